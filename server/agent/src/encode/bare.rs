//! The payload of [`OpKind::Palette`](lattice_wire::OpKind): text, carets, rules and icons without a
//! PNG's headers.

use super::rgb;
use std::iter;

/// The most colours that it holds.
const MAX_COLORS: usize = 64;
/// In the first byte, beside the number of colours: they are grey, one byte each.
const GREY: u8 = 0x80;

/// A rectangle that can be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bare<'a> {
    colors: &'a [u32],
    /// One a pixel, row after row.
    indices: &'a [u8],
    width: usize,
    bits: u32,
    is_grey: bool,
}

impl<'a> Bare<'a> {
    /// A rectangle of this width, or nothing where it has too many colours.
    pub(super) fn new(colors: &'a [u32], indices: &'a [u8], width: u16) -> Option<Self> {
        if !(1..=MAX_COLORS).contains(&colors.len()) {
            return None;
        }
        let bits = (colors.len() as u32).next_power_of_two().ilog2();
        let is_grey = colors.iter().all(|&color| {
            let [red, green, blue] = rgb(color);
            red == green && green == blue
        });
        Some(Self { colors, indices, width: usize::from(width), bits, is_grey })
    }

    /// How many bytes it takes.
    pub(super) fn len(&self) -> usize {
        let different = self.rows().filter(|(_, repeats)| !repeats).count();
        let bits = self.rows().count() - 1 + different * self.width * self.bits as usize;
        let table = self.colors.len() * if self.is_grey { 1 } else { 3 };
        1 + table + bits.div_ceil(8)
    }

    /// Appends the payload.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let grey = if self.is_grey { GREY } else { 0 };
        out.push((self.colors.len() - 1) as u8 | grey);
        let channels = if self.is_grey { 1 } else { 3 };
        out.extend(self.colors.iter().flat_map(|&color| rgb(color).into_iter().take(channels)));
        let mut bits = Bits { out, pending: 0, count: 0 };
        for (number, (row, repeats)) in self.rows().enumerate() {
            if number > 0 {
                bits.push(u8::from(repeats), 1);
            }
            if !repeats {
                row.iter().for_each(|&index| bits.push(index, self.bits));
            }
        }
        bits.finish();
    }

    /// Each row, and whether it is the same as the one above it.
    fn rows(&self) -> impl Iterator<Item = (&'a [u8], bool)> {
        let rows = self.indices.chunks_exact(self.width);
        let above = iter::once(None).chain(rows.clone().map(Some));
        rows.zip(above).map(|(row, above)| (row, above == Some(row)))
    }
}

/// Appends numbers of a few bits, from the highest bit of each byte down.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    /// Those that do not fill a byte yet are its lowest.
    pending: u16,
    count: u32,
}

impl Bits<'_> {
    fn push(&mut self, value: u8, bits: u32) {
        self.pending = self.pending << bits | u16::from(value);
        self.count += bits;
        if self.count >= 8 {
            self.count -= 8;
            self.out.push((self.pending >> self.count) as u8);
        }
    }

    /// Fills the last byte up with zeros.
    fn finish(mut self) {
        if self.count > 0 {
            self.push(0, 8 - self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes rows of these indices take, and the last of them.
    fn check(colors: &[u32], rows: &[&[u8]]) -> (usize, Vec<u8>) {
        let indices = rows.concat();
        let bare = Bare::new(colors, &indices, rows[0].len() as u16).expect("few colours");
        let mut bytes = Vec::new();
        bare.write(&mut bytes);
        assert_eq!(bytes.len(), bare.len());
        (bytes.len(), bytes[bytes.len().saturating_sub(3)..].to_vec())
    }

    const INK: &[u32] = &[0xffffff, 0];
    const BLUE: &[u32] = &[0xffffff, 0x0000ff, 0x8080ff];

    #[test]
    fn a_row_like_the_one_above_takes_a_bit() {
        let row: &[u8] = &[0, 1, 0, 1, 1];
        // 01011, 1, 1, 0 11111, 1
        let rows: &[&[u8]] = &[row, row, row, &[1; 5], &[1; 5]];
        assert_eq!(check(INK, rows), (5, vec![0x00, 0b0101_1110, 0b1111_1100]));
    }

    #[test]
    fn indices_take_the_bits_that_the_colours_need() {
        // 00 01 10, 0 10 01 00
        let (len, last) = check(BLUE, &[&[0, 1, 2], &[2, 1, 0]]);
        assert_eq!((len, &last[1..]), (1 + 9 + 2, &[0b0001_1001, 0b0010_0000][..]));
        let greys: Vec<u32> = (0..64).map(|grey| grey * 0x01_0101).collect();
        let row: Vec<u8> = (0..64).collect();
        assert_eq!(check(&greys, &[&row]).0, 1 + 64 + 48);
        assert_eq!(check(&greys[..17], &[&row[..17]]).0, 1 + 17 + (17 * 5usize).div_ceil(8));
    }

    #[test]
    fn sixteen_blocks_in_a_row_take_their_first_row() {
        let row: Vec<u8> = (0..256).map(|x: u32| (x / 16 % 2) as u8).collect();
        assert_eq!(check(INK, &[&row[..]; 16]).0, 3 + 34);
    }

    /// An `h` of 6 by 9 pixels, as a terminal's font has it.
    #[test]
    fn a_letter_of_a_terminal_takes_few_bytes() {
        const STEM: &[u8] = &[1, 0, 0, 0, 0, 0];
        const LEGS: &[u8] = &[1, 0, 0, 0, 0, 1];
        let rows: &[&[u8]] = &[STEM, STEM, STEM, &[1, 0, 1, 1, 1, 0], &[1, 1, 0, 0, 0, 1]];
        assert_eq!(check(INK, &[rows, &[LEGS; 4]].concat()).0, 3 + 4);
    }

    #[test]
    fn too_many_colours_are_refused() {
        assert!(Bare::new(&[0; 65], &[0], 1).is_none());
        assert!(Bare::new(&[], &[], 1).is_none());
    }
}
