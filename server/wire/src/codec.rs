//! Bounds-checked reading and writing of little-endian bytes.

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
        let mut bytes = Vec::with_capacity(capacity + 1);
        bytes.push(kind);
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
    fn a_rectangle_beyond_the_largest_screen_is_invalid() {
        let bytes = [0xff, 0x1f, 0, 0, 2, 0, 1, 0];
        assert_eq!(Reader::new(&bytes).rect(), Err(DecodeError::Invalid("rectangle")));
    }
}
