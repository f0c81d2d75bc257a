//! From a plan to the operations of a frame.
//!
//! | the rectangle has | it becomes |
//! |---|---|
//! | one colour | a fill |
//! | up to 256 colours | the headerless palette form (`bare`) where that is cheaper, else a palette PNG |
//! | more | an RGB PNG |
//!
//! What the plan says moves becomes units of H.264 ([`streams`], [`h264`]).
//!
//! A codec for tiles is added here: a new [`OpKind`](lattice_wire::OpKind), and an arm of
//! [`Encoder::tile`] that chooses it. One for video is another encoder in [`streams`].

mod bare;
pub mod h264;
mod png;
pub mod streams;

use bare::Bare;
use lattice_engine::classify::{Class, Classifier};
use lattice_engine::picture::Picture;
use lattice_engine::plan::FramePlan;
use lattice_wire::{Draft, Rect, Size};
use png::PalettePng;

/// What stands around the pixels of a palette PNG, in bytes, beside the palette.
const AROUND_PNG: usize = 75;
/// So much smaller a PNG has to be: its decoder's start takes a browser some 0.2 ms, in which a link of
/// 1 Mbit/s carries 25 bytes.
const PNG_START: usize = 25;
/// Above this many pixels the headerless form is not tried: a browser takes some 4 ns for each of its
/// pixels, on the thread that takes in packets, and decodes PNGs on others.
const BARE_PIXELS: usize = 128 * 128;

/// Encodes tiles. Keeps its memory from one frame to the next.
#[derive(Debug, Default)]
pub struct Encoder {
    classifier: Classifier,
    png: PalettePng,
    rgb: Vec<u8>,
}

impl Encoder {
    /// No memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the operations of a plan but for its video; pixels come from `picture`, which shows the plan's
    /// result.
    pub fn encode(&mut self, plan: &FramePlan, picture: &Picture, draft: &mut Draft) {
        plan.copies.iter().for_each(|&copy| draft.copy(copy));
        plan.fills.iter().for_each(|&(rect, color)| draft.fill(rect, color));
        plan.tiles.iter().for_each(|&rect| self.tile(picture, rect, draft));
    }

    fn tile(&mut self, picture: &Picture, rect: Rect, draft: &mut Draft) {
        match self.classifier.classify(picture, rect) {
            Class::Fill(color) => draft.fill(rect, color),
            Class::Palette { colors, indices } => {
                palette(&mut self.png, rect, colors, indices, draft);
            }
            Class::TrueColor => {
                self.rgb.resize(rect.area() * 3, 0);
                let rows = self.rgb.chunks_exact_mut(usize::from(rect.width) * 3);
                for (out, row) in rows.zip(picture.rows(rect)) {
                    let bytes = out.as_chunks_mut::<3>().0;
                    bytes.iter_mut().zip(row).for_each(|(out, &pixel)| *out = rgb(pixel));
                }
                draft.png(rect, |out| png::rgb(rect.size(), &self.rgb, out));
            }
        }
    }
}

/// A small picture as a PNG of three bytes a pixel, as small as it gets in some milliseconds.
pub fn still_png(size: Size, rgb: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    png::small_rgb(size, rgb, &mut file);
    file
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
    let mut file = Vec::new();
    png::rgba(size, &rgba, &mut file);
    file
}

fn rgb(pixel: u32) -> [u8; 3] {
    let [blue, green, red, _] = pixel.to_le_bytes();
    [red, green, blue]
}

/// Adds the cheaper of both forms for few colours.
fn palette(png: &mut PalettePng, rect: Rect, colors: &[u32], indices: &[u8], draft: &mut Draft) {
    let is_small = indices.len() <= BARE_PIXELS;
    let bare = Bare::new(colors, indices, rect.width).filter(|_| is_small);
    if let Some(bare) = bare.filter(|bare| bare.len() <= AROUND_PNG + PNG_START) {
        return draft.palette(rect, |out| bare.write(out));
    }
    let file = png.encode(rect.size(), colors, indices);
    match bare.filter(|bare| bare.len() <= file.len() + PNG_START) {
        Some(bare) => draft.palette(rect, |out| bare.write(out)),
        None => draft.png(rect, |out| out.extend_from_slice(file)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::png::{ColorType, Decoder, Transformations};
    use lattice_wire::{
        Epoch, Frame, FrameFlags, FrameHead, FrameId, FrameRef, Op, OpKind, Point, Seq, ViewerId,
    };
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

    /// By the words of the protocol, bit by bit.
    fn decode_bare(payload: &[u8], size: Size) -> Vec<u32> {
        let (count, is_grey) = (usize::from(payload[0] & 0x3f) + 1, payload[0] & 0x80 != 0);
        let (table, packed) = payload[1..].split_at(count * if is_grey { 1 } else { 3 });
        let colors: Vec<u32> = match is_grey {
            true => table.iter().map(|&grey| u32::from(grey) * 0x01_0101).collect(),
            false => table.chunks(3).map(|c| u32::from_be_bytes([0, c[0], c[1], c[2]])).collect(),
        };
        let mut bits = packed.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
        let mut read = |count: u32| (0..count).fold(0, |all, _| all << 1 | bits.next().unwrap());
        let mut pixels: Vec<u32> = Vec::new();
        let width = usize::from(size.width);
        for row in 0..usize::from(size.height) {
            if row > 0 && read(1) == 1 {
                pixels.extend_from_within((row - 1) * width..);
                continue;
            }
            let index_bits = (1..9).find(|bits| 1 << bits >= count).unwrap();
            pixels.extend((0..width).map(|_| colors[usize::from(read(index_bits))]));
        }
        let rest: Vec<u8> = bits.collect();
        assert!(rest.len() < 8 && !rest.contains(&1), "zeros fill the last byte");
        pixels
    }

    /// A frame of a plan, after a while.
    fn packet(plan: &FramePlan, picture: &Picture) -> Vec<u8> {
        let mut draft = Draft::new();
        Encoder::new().encode(plan, picture, &mut draft);
        let at = FrameRef { epoch: Epoch(0xdead_beef), id: FrameId(20_000) };
        let echo = (ViewerId(9000), Seq(700));
        let head = FrameHead { flags: FrameFlags::default(), at, echo, cost_us: 1900 };
        draft.packet(&head, Vec::new())
    }

    /// What becomes of tiles.
    fn ops(tiles: Vec<Rect>, picture: &Picture) -> Vec<Op> {
        let plan = FramePlan { tiles, ..FramePlan::default() };
        Frame::decode(&packet(&plan, picture).into()).expect("a good packet").ops
    }

    fn check(colors: u32, rect: Rect, expect_bare: bool) {
        let picture = striped(colors);
        let ops = ops(vec![rect], &picture);
        let expected: Vec<u32> = picture.rows(rect).flatten().copied().collect();
        let found = match &ops[..] {
            [Op { kind: OpKind::Png(file), .. }] if !expect_bare => decode_png(file),
            [Op { kind: OpKind::Palette(bytes), .. }] if expect_bare => {
                decode_bare(bytes, rect.size())
            }
            other => panic!("unexpected {other:?}"),
        };
        assert!(found == expected, "{colors} colours in {rect:?}");
    }

    #[test]
    fn a_letter_is_bare_indices() {
        for colors in [2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 40, 64] {
            check(colors, Rect::new(3, 5, 9, 18), true);
        }
    }

    #[test]
    fn text_of_many_colours_is_a_palette_png() {
        for colors in [65, 150, 255, 256] {
            check(colors, Rect::new(1, 0, 69, 41), false);
        }
    }

    #[test]
    fn rows_that_repeat_are_bare_and_what_else_repeats_is_a_png() {
        // As many pixels a row as colours, so each row is the one above.
        check(35, Rect::new(0, 0, 70, 41), true);
        // Each row is the one above moved by a pixel, which only a PNG makes use of.
        check(23, Rect::new(0, 0, 69, 41), false);
    }

    #[test]
    fn whatever_the_pixels_are_they_come_back() {
        let mut state = 1u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for _ in 0..2000 {
            let size = Size::new(1 + random(20) as u16, 1 + random(12) as u16);
            let (colors, channel) = (1 + random(20), if random(2) == 0 { 1 } else { 0x01_0101 });
            let mut picture = Picture::new(size);
            for y in 0..usize::from(size.height) {
                let width = usize::from(size.width);
                if y > 0 && random(2) == 0 {
                    picture.pixels_mut().copy_within((y - 1) * width..y * width, y * width);
                    continue;
                }
                let row = &mut picture.pixels_mut()[y * width..][..width];
                row.iter_mut().for_each(|pixel| *pixel = random(colors) * channel);
            }
            let rect = size.bounds().unwrap();
            let found = match ops(vec![rect], &picture).remove(0).kind {
                OpKind::Fill(color) => vec![color; size.area()],
                OpKind::Palette(bytes) => decode_bare(&bytes, size),
                OpKind::Png(file) => decode_png(&file),
                other => panic!("unexpected {other:?}"),
            };
            assert_eq!(found, picture.pixels(), "{size:?}");
        }
    }

    #[test]
    fn a_large_rectangle_is_a_png_however_few_bytes_it_would_be_bare() {
        let mut picture = Picture::new(Size::new(129, 128));
        picture.fill(Rect::new(0, 0, 129, 60), 0xffffff);
        let encode = |rect: Rect| ops(vec![rect], &picture).remove(0).kind;
        assert!(matches!(encode(Rect::new(0, 0, 128, 128)), OpKind::Palette(_)));
        assert!(matches!(encode(Rect::new(0, 0, 129, 128)), OpKind::Png(_)));
    }

    #[test]
    fn a_photo_is_an_rgb_png() {
        check(2000, Rect::new(0, 0, 70, 41), false);
    }

    #[test]
    fn one_colour_is_a_fill_even_as_a_tile() {
        let ops = ops(vec![Rect::new(0, 0, 9, 9)], &Picture::new(SIZE));
        assert_eq!(ops, [Op { rect: Rect::new(0, 0, 9, 9), kind: OpKind::Fill(0) }]);
    }

    #[test]
    fn a_typed_letter_takes_34_bytes() {
        // The `h` of VGA's font, 8 by 16, a bit a pixel.
        const LETTER: [u8; 10] = [0xe0, 0x60, 0x60, 0x6c, 0x76, 0x66, 0x66, 0x66, 0x66, 0xe6];
        let mut picture = Picture::new(Size::new(1000, 600));
        let rect = Rect::new(812, 430, 7, 10);
        for (row, bits) in picture.rows_mut(rect).zip(LETTER) {
            let ink = |x: usize| if bits << x & 0x80 != 0 { 0 } else { 0xff_ffff };
            row.iter_mut().enumerate().for_each(|(x, pixel)| *pixel = ink(x));
        }
        let plan = FramePlan { tiles: vec![rect], ..FramePlan::default() };
        assert_eq!(packet(&plan, &picture).len(), 34);
    }

    #[test]
    fn a_window_that_is_dragged_over_one_colour_takes_49_bytes() {
        let from = Point { x: 300, y: 200 };
        let copies = vec![lattice_wire::Copy { from, to: Rect::new(307, 203, 640, 380) }];
        let bared = [Rect::new(300, 200, 640, 3), Rect::new(300, 203, 7, 377)];
        let fills = bared.map(|rect| (rect, 0x33_6699)).to_vec();
        let plan = FramePlan { copies, fills, ..FramePlan::default() };
        assert_eq!(packet(&plan, &Picture::new(Size::new(1000, 600))).len(), 49);
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
