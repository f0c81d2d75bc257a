//! Bounds-checked reading and writing of little-endian bytes.
//!
//! What stands in every frame is written in as few bytes as it needs, by [`Writer::var`]: seven bits
//! a byte from the lowest on, the highest bit set in all but the last (LEB128, as in DWARF 5,
//! section 7.6). A number has one such form; a longer one is refused.

use crate::geometry::{Point, Rect, Size};

/// Why bytes are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The packet ends before the field does; it may be the start of a valid one.
    #[error("the packet is truncated")]
    Truncated,
    /// No packet of this direction has this kind.
    #[error("unknown packet kind {0:#04x}")]
    UnknownKind(u8),
    /// A field holds a value that it may not have.
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// A count or length is above its limit.
    #[error("{field} is {value}, the limit is {limit}")]
    TooLarge {
        /// Which field.
        field: &'static str,
        /// What it said.
        value: usize,
        /// What it may say.
        limit: usize,
    },
    /// The packet goes on after its last field.
    #[error("{0} bytes follow the packet")]
    Trailing(usize),
}

/// Reads fields from the front of a packet.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Two bytes, signed.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of up to five bytes.
    pub fn var(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            // The fifth byte holds the highest four bits; a last byte of nothing is one too many.
            let is_overlong = byte == 0 && shift > 0 || shift == 28 && byte > 0x0f;
            if is_overlong {
                return Err(DecodeError::Invalid(field));
            }
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// The same of at most 16 bits.
    pub fn var16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        u16::try_from(self.var(field)?).map_err(|_| DecodeError::Invalid(field))
    }

    /// A number of either sign: 0, -1, 1, -2 and so on are written as 0, 1, 2, 3.
    pub fn svar(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        let folded = self.var(field)?;
        Ok((folded >> 1) as i32 ^ -((folded & 1) as i32))
    }

    /// A byte that is 0 or 1.
    pub fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid(field)),
        }
    }

    /// A count, refused above `limit` before anything is allocated for it.
    pub fn count(&mut self, field: &'static str, limit: usize) -> Result<usize, DecodeError> {
        let value = usize::from(self.u16()?);
        if value > limit {
            return Err(DecodeError::TooLarge { field, value, limit });
        }
        Ok(value)
    }

    /// A count in few bytes of things that take `least` bytes or more each.
    pub fn var_count(
        &mut self,
        field: &'static str,
        limit: usize,
        least: usize,
    ) -> Result<usize, DecodeError> {
        let value = self.var(field)? as usize;
        if value > limit {
            return Err(DecodeError::TooLarge { field, value, limit });
        }
        if value * least > self.rest.len() {
            return Err(DecodeError::Truncated);
        }
        Ok(value)
    }

    /// UTF-8 text with a one-byte length.
    pub fn str8(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let len = usize::from(self.u8()?);
        std::str::from_utf8(self.take(len)?).map_err(|_| DecodeError::Invalid(field))
    }

    /// UTF-8 text with a two-byte length of at most `limit`.
    pub fn str16(&mut self, field: &'static str, limit: usize) -> Result<&'a str, DecodeError> {
        let len = self.count(field, limit)?;
        std::str::from_utf8(self.take(len)?).map_err(|_| DecodeError::Invalid(field))
    }

    /// `x, y`.
    pub fn point(&mut self) -> Result<Point, DecodeError> {
        Ok(Point { x: self.u16()?, y: self.u16()? })
    }

    /// `width, height`.
    pub fn size(&mut self) -> Result<Size, DecodeError> {
        Ok(Size { width: self.u16()?, height: self.u16()? })
    }

    /// `x, y, width, height`, not empty and within the largest screen.
    pub fn rect(&mut self) -> Result<Rect, DecodeError> {
        let (x, y, width, height) = (self.u16()?, self.u16()?, self.u16()?, self.u16()?);
        Rect::checked(x, y, width, height).ok_or(DecodeError::Invalid("rectangle"))
    }

    /// `width, height` in few bytes, neither of them 0 and both within the largest screen.
    pub fn var_size(&mut self, field: &'static str) -> Result<Size, DecodeError> {
        let size = Size { width: self.var16(field)?, height: self.var16(field)? };
        size.bounds().map(|_| size).ok_or(DecodeError::Invalid(field))
    }

    /// `x, y, width, height` in few bytes, not empty and within the largest screen.
    pub fn var_rect(&mut self) -> Result<Rect, DecodeError> {
        const FIELD: &str = "rectangle";
        let (x, y) = (self.var16(FIELD)?, self.var16(FIELD)?);
        let (width, height) = (self.var16(FIELD)?, self.var16(FIELD)?);
        Rect::checked(x, y, width, height).ok_or(DecodeError::Invalid(FIELD))
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Checks that nothing is left.
    pub fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(DecodeError::Trailing(more)),
        }
    }
}

/// Writes fields to the end of a packet.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Starts a packet of this kind.
    pub fn packet(kind: u8, capacity: usize) -> Self {
        Self::packet_in(kind, capacity, Vec::new())
    }

    /// The same in memory that was used before.
    pub(crate) fn packet_in(kind: u8, capacity: usize, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.reserve(capacity + 1);
        bytes.push(kind);
        Self { bytes }
    }

    /// Goes on after these bytes.
    pub(crate) fn over(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The packet.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// One byte.
    pub fn u8(mut self, value: u8) -> Self {
        self.bytes.push(value);
        self
    }

    /// Two bytes.
    pub fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Two bytes, signed.
    pub fn i16(self, value: i16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Four bytes.
    pub fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Eight bytes.
    pub fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// A number in as few bytes as it needs.
    pub fn var(mut self, value: u32) -> Self {
        let mut rest = value;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
        self
    }

    /// A number of either sign in as few bytes as it needs.
    pub fn svar(self, value: i32) -> Self {
        self.var((value << 1 ^ value >> 31) as u32)
    }

    /// Bytes as they are.
    pub fn bytes(mut self, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(value);
        self
    }

    /// `x, y`.
    pub fn point(self, value: Point) -> Self {
        self.u16(value.x).u16(value.y)
    }

    /// `width, height`.
    pub fn size(self, value: Size) -> Self {
        self.u16(value.width).u16(value.height)
    }

    /// `x, y, width, height`.
    pub fn rect(self, value: Rect) -> Self {
        self.u16(value.x).u16(value.y).u16(value.width).u16(value.height)
    }

    /// `width, height` in few bytes.
    pub fn var_size(self, value: Size) -> Self {
        self.var(value.width.into()).var(value.height.into())
    }

    /// `x, y, width, height` in few bytes.
    pub fn var_rect(self, value: Rect) -> Self {
        self.var(value.x.into()).var(value.y.into()).var_size(value.size())
    }

    /// Text with a one-byte length, cut at a character boundary where it is longer than 255 bytes.
    pub fn str8(self, value: &str) -> Self {
        let text = cut(value, usize::from(u8::MAX));
        self.u8(text.len() as u8).bytes(text.as_bytes())
    }

    /// Text with a two-byte length, cut at a character boundary where it is longer than `limit`.
    pub fn str16(self, value: &str, limit: usize) -> Self {
        let text = cut(value, limit.min(usize::from(u16::MAX)));
        self.u16(text.len() as u16).bytes(text.as_bytes())
    }
}

/// The longest prefix of `text` that has at most `limit` bytes and ends between characters.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aé日", 2), "a");
        assert_eq!(cut("aé日", 3), "aé");
        assert_eq!(cut("aé日", 99), "aé日");
    }

    #[test]
    fn numbers_take_the_bytes_they_need_and_come_back() {
        for (value, len) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u32::MAX, 5)] {
            let bytes = Writer::default().var(value).finish();
            assert_eq!(bytes.len(), len, "{value}");
            assert_eq!(Reader::new(&bytes).var("n"), Ok(value));
            for short in 0..len {
                assert_eq!(Reader::new(&bytes[..short]).var("n"), Err(DecodeError::Truncated));
            }
        }
        for (value, len) in [(0, 1), (-1, 1), (63, 1), (-64, 1), (64, 2), (i32::MIN, 5)] {
            let bytes = Writer::default().svar(value).finish();
            assert_eq!((bytes.len(), Reader::new(&bytes).svar("n")), (len, Ok(value)));
        }
    }

    #[test]
    fn a_number_has_no_second_form() {
        let overlong = [
            &[0x80, 0][..],
            &[0xff, 0],
            &[0x81, 0x80, 0],
            &[0xff, 0xff, 0xff, 0xff, 0x1f],
            &[0xff, 0xff, 0xff, 0xff, 0x8f, 0],
        ];
        for bytes in overlong {
            assert_eq!(Reader::new(bytes).var("n"), Err(DecodeError::Invalid("n")), "{bytes:x?}");
        }
        let wide = Writer::default().var(65_536).finish();
        assert_eq!(Reader::new(&wide).var16("n"), Err(DecodeError::Invalid("n")));
    }

    #[test]
    fn a_rectangle_beyond_the_largest_screen_is_invalid() {
        let bytes = [0xff, 0x1f, 0, 0, 2, 0, 1, 0];
        assert_eq!(Reader::new(&bytes).rect(), Err(DecodeError::Invalid("rectangle")));
    }
}
