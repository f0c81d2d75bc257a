//! From a plan to the operations of a frame.
//!
//! | the rectangle has | it becomes |
//! |---|---|
//! | one colour | a fill |
//! | up to 256 colours | the headerless palette form while that is smaller, else a palette PNG |
//! | more | an RGB PNG |
//!
//! What the plan says moves becomes units of H.264 ([`streams`], [`h264`]).
//!
//! A codec for tiles is added here: a new [`OpKind`], and an arm of [`Encoder::tile`] that chooses
//! it. One for video is another encoder in [`streams`].

pub mod h264;
mod png;
pub mod streams;

use lattice_engine::classify::{Class, Classifier};
use lattice_engine::picture::Picture;
use lattice_engine::plan::FramePlan;
use lattice_wire::{Op, OpKind, Rect, Size};

/// Below this many pixels a palette rectangle is sent as bare indices: about where the headers of
/// a PNG (some 80 bytes) and its decoder's start outweigh what compression saves on text.
const BARE_PIXELS: usize = 1024;

/// Encodes tiles. Keeps its memory from one frame to the next.
#[derive(Debug, Default)]
pub struct Encoder {
    classifier: Classifier,
    png: png::PalettePng,
    rgb: Vec<u8>,
}

impl Encoder {
    /// No memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The operations of a plan but for its video; pixels come from `picture`, which shows the plan's result.
    pub fn encode(&mut self, plan: &FramePlan, picture: &Picture) -> Vec<Op> {
        let copies =
            plan.copies.iter().map(|copy| Op { rect: copy.to, kind: OpKind::Copy(copy.from) });
        let fills = plan.fills.iter().map(|&(rect, color)| Op { rect, kind: OpKind::Fill(color) });
        let mut ops: Vec<Op> = copies.chain(fills).collect();
        ops.extend(plan.tiles.iter().map(|&rect| self.tile(picture, rect)));
        ops
    }

    fn tile(&mut self, picture: &Picture, rect: Rect) -> Op {
        let kind = match self.classifier.classify(picture, rect) {
            Class::Fill(color) => OpKind::Fill(color),
            Class::Palette { colors, indices } if indices.len() <= BARE_PIXELS => {
                OpKind::Palette(bare_palette(colors, indices).into())
            }
            Class::Palette { colors, indices } => {
                OpKind::Png(self.png.encode(rect.size(), colors, indices).into())
            }
            Class::TrueColor => {
                self.rgb.resize(rect.area() * 3, 0);
                let rows = self.rgb.chunks_exact_mut(usize::from(rect.width) * 3);
                for (out, row) in rows.zip(picture.rows(rect)) {
                    let bytes = out.as_chunks_mut::<3>().0;
                    bytes.iter_mut().zip(row).for_each(|(out, &pixel)| *out = rgb(pixel));
                }
                OpKind::Png(png::rgb(rect.size(), &self.rgb).into())
            }
        };
        Op { rect, kind }
    }
}

/// A cursor's image as a PNG with alpha. `argb` has one premultiplied `0xAARRGGBB` a pixel, in
/// rows, as XFIXES gives it.
pub fn cursor_png(size: Size, argb: &[u32]) -> Vec<u8> {
    let straight = |pixel: &u32| {
        let alpha = pixel >> 24;
        let color = |value: u8| match alpha {
            0 => 0,
            _ => (u32::from(value) * 255 / alpha).min(255) as u8,
        };
        let [red, green, blue] = rgb(*pixel);
        [color(red), color(green), color(blue), alpha as u8]
    };
    let rgba: Vec<u8> = argb.iter().flat_map(straight).collect();
    png::rgba(size, &rgba)
}

fn rgb(pixel: u32) -> [u8; 3] {
    let [blue, green, red, _] = pixel.to_le_bytes();
    [red, green, blue]
}

/// The payload of [`OpKind::Palette`].
fn bare_palette(colors: &[u32], indices: &[u8]) -> Vec<u8> {
    let bits = bits_for(colors.len());
    let mut out = Vec::with_capacity(1 + colors.len() * 3 + indices.len() * bits / 8 + 1);
    out.push((colors.len() - 1) as u8);
    out.extend(colors.iter().flat_map(|&color| rgb(color)));
    pack(indices, bits, &mut out);
    out
}

/// The bits of an index into so many colours: 1, 2, 4 or 8.
fn bits_for(colors: usize) -> usize {
    match colors {
        0..=2 => 1,
        3..=4 => 2,
        5..=16 => 4,
        _ => 8,
    }
}

/// Appends indices of `bits` bits each, from the highest bit of each byte down; the last byte is
/// filled up with zeros.
fn pack(indices: &[u8], bits: usize, out: &mut Vec<u8>) {
    match bits {
        1 => pack_by::<8>(indices, out),
        2 => pack_by::<4>(indices, out),
        4 => pack_by::<2>(indices, out),
        _ => out.extend_from_slice(indices),
    }
}

/// The same with so many indices a byte, known when compiled: a third of the time.
fn pack_by<const N: usize>(indices: &[u8], out: &mut Vec<u8>) {
    let byte = |chunk: &[u8; N]| chunk.iter().fold(0, |byte, index| byte << (8 / N) | index);
    let (chunks, rest) = indices.as_chunks::<N>();
    out.extend(chunks.iter().map(byte));
    if !rest.is_empty() {
        let mut last = [0; N];
        last[..rest.len()].copy_from_slice(rest);
        out.push(byte(&last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::png::{ColorType, Decoder, Transformations};
    use std::io::Cursor;

    const SIZE: Size = Size::new(70, 41);

    /// A picture whose pixel number `i` has the colour number `i % colors`.
    fn striped(colors: u32) -> Picture {
        let mut picture = Picture::new(SIZE);
        let pixels = picture.pixels_mut().iter_mut().zip(0u32..);
        pixels.for_each(|(pixel, i)| *pixel = (i % colors * 0x01_0307) & 0xff_ffff);
        picture
    }

    fn decode_png(file: &[u8]) -> Vec<u32> {
        let mut decoder = Decoder::new(Cursor::new(file));
        decoder.set_transformations(Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!(info.color_type, ColorType::Rgb);
        bytes.chunks(3).map(|c| u32::from_be_bytes([0, c[0], c[1], c[2]])).collect()
    }

    fn decode_bare(payload: &[u8], pixels: usize) -> Vec<u32> {
        let count = usize::from(payload[0]) + 1;
        let colors: Vec<u32> = payload[1..=count * 3]
            .chunks(3)
            .map(|c| u32::from_be_bytes([0, c[0], c[1], c[2]]))
            .collect();
        let (bits, packed) = (bits_for(count), &payload[1 + count * 3..]);
        assert_eq!(packed.len(), (pixels * bits).div_ceil(8));
        let index = |i: usize| {
            let at = i * bits;
            usize::from(packed[at / 8] >> (8 - bits - at % 8)) & ((1 << bits) - 1)
        };
        (0..pixels).map(|i| colors[index(i)]).collect()
    }

    fn check(colors: u32, rect: Rect, expect_bare: bool) {
        let picture = striped(colors);
        let plan = FramePlan { tiles: vec![rect], ..FramePlan::default() };
        let ops = Encoder::new().encode(&plan, &picture);
        let expected: Vec<u32> = picture.rows(rect).flatten().copied().collect();
        let found = match &ops[..] {
            [Op { kind: OpKind::Png(file), .. }] if !expect_bare => decode_png(file),
            [Op { kind: OpKind::Palette(bytes), .. }] if expect_bare => {
                decode_bare(bytes, rect.area())
            }
            other => panic!("unexpected {other:?}"),
        };
        assert!(found == expected, "{colors} colours in {rect:?}");
    }

    #[test]
    fn a_letter_is_bare_indices() {
        for colors in [2, 3, 4, 5, 16, 17, 150] {
            check(colors, Rect::new(3, 5, 9, 18), true);
        }
    }

    #[test]
    fn text_is_a_palette_png() {
        for colors in [2, 3, 4, 5, 16, 17, 255, 256] {
            check(colors, Rect::new(1, 0, 69, 41), false);
        }
    }

    #[test]
    fn a_photo_is_an_rgb_png() {
        check(2000, Rect::new(0, 0, 70, 41), false);
    }

    #[test]
    fn one_colour_is_a_fill_even_as_a_tile() {
        let plan = FramePlan { tiles: vec![Rect::new(0, 0, 9, 9)], ..FramePlan::default() };
        let ops = Encoder::new().encode(&plan, &Picture::new(SIZE));
        assert_eq!(ops, [Op { rect: Rect::new(0, 0, 9, 9), kind: OpKind::Fill(0) }]);
    }

    #[test]
    fn a_typed_letter_costs_less_than_a_png_header() {
        let bytes = bare_palette(&[0, 1, 2, 3], &[0; 9 * 18]);
        assert_eq!(bytes.len(), 1 + 12 + 41);
    }

    #[test]
    fn a_cursor_keeps_its_alpha() {
        let file = cursor_png(Size::new(2, 1), &[0x8040_2000, 0]);
        let mut reader = Decoder::new(Cursor::new(file)).read_info().unwrap();
        let mut bytes = [0; 8];
        reader.next_frame(&mut bytes).unwrap();
        assert_eq!(bytes, [127, 63, 0, 128, 0, 0, 0, 0]);
    }
}
