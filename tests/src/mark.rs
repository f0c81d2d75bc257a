//! A number in the picture that survives lossy coding: a strip of black and white blocks. The bench's
//! probe reads it back (`tests/web/bench/probe.mjs`).
//!
//! From the left: a white and a black block, by which a strip is known; [`BITS`] blocks of the
//! number, the highest bit first, white for 1; and two blocks with the count of its ones modulo 4.

use x11rb::protocol::xproto::Rectangle;

/// The side of a block: a macroblock of H.264.
pub const BLOCK: u16 = 16;
/// How many bits of a number a strip shows.
pub const BITS: u16 = 12;
/// The size of a strip.
pub const WIDTH: u16 = BLOCK * (BITS + 4);

/// Whether each block is white, from the left.
fn blocks(number: u32) -> impl Iterator<Item = bool> {
    let bits = number & ((1 << BITS) - 1);
    let word = 0b10 << (BITS + 2) | bits << 2 | bits.count_ones() & 3;
    (0..BITS + 4).rev().map(move |bit| word >> bit & 1 == 1)
}

/// The blocks of this colour, in a strip whose top left corner is at `x`, `y`.
pub fn rectangles(number: u32, white: bool, (x, y): (i16, i16)) -> Vec<Rectangle> {
    let places = (x..).step_by(usize::from(BLOCK)).zip(blocks(number));
    let wanted = places.filter(|&(_, is_white)| is_white == white);
    wanted.map(|(x, _)| Rectangle { x, y, width: BLOCK, height: BLOCK }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(number: u32) -> String {
        blocks(number).map(|white| if white { '1' } else { '0' }).collect()
    }

    #[test]
    fn a_number_is_framed_and_counted() {
        assert_eq!(shown(0), "10".to_owned() + "000000000000" + "00");
        assert_eq!(shown(0xa07), "10".to_owned() + "101000000111" + "01");
        assert_eq!(shown(0x1a07), shown(0xa07), "only the lower bits are shown");
    }

    #[test]
    fn black_and_white_fill_the_strip() {
        let areas = [true, false].map(|white| rectangles(77, white, (5, 9)));
        assert_eq!(areas.iter().map(Vec::len).sum::<usize>(), usize::from(WIDTH / BLOCK));
        assert!(areas.iter().flatten().all(|area| area.y == 9 && (area.x - 5) % 16 == 0));
    }
}
