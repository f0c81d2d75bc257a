//! A viewer's picture: frames painted by the words of the protocol, as plainly as can be.

use lattice_engine::picture::{Picture, RGB};
use lattice_wire::{Digest, Frame, FrameRef, Op, OpKind, Point, Rect, Size};

/// A colour that no test draws: where it is left standing, something was not sent.
const UNSEEN: u32 = 0x00fe_01fd;

/// What a viewer shows.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    /// The pixels.
    pub picture: Picture,
    /// The frame they are.
    pub at: Option<FrameRef>,
}

impl Screen {
    /// Paints a frame. What the protocol forbids is an error that says what was wrong.
    pub fn paint(&mut self, frame: &Frame) -> Result<(), String> {
        self.check_order(frame)?;
        if let Some(size) = frame.flags.keyframe {
            self.picture = Picture::new(size);
            self.picture.pixels_mut().fill(UNSEEN);
        }
        if let Some(op) = frame.ops.iter().find(|op| !self.holds(op)) {
            return Err(format!("{:?} paints outside the screen: {op:?}", frame.at));
        }
        let copied: Vec<(Rect, Vec<u32>)> =
            frame.ops.iter().filter_map(|op| self.copied(op)).collect();
        for (rect, pixels) in copied {
            self.put(rect, &pixels);
        }
        for op in &frame.ops {
            self.paint_op(op)?;
        }
        self.at = Some(frame.at);
        Ok(())
    }

    /// Whether the pixels hash to what the server says; nothing where it speaks of another frame.
    pub fn agrees_with(&self, digest: &Digest) -> Option<bool> {
        (self.at == Some(digest.at))
            .then(|| digest.size == self.picture.size() && bands(&self.picture) == digest.bands)
    }

    /// Which bands of the picture hash to something else.
    pub fn wrong_bands(&self, digest: &Digest) -> Vec<usize> {
        let own = bands(&self.picture);
        let pairs = own.iter().zip(&digest.bands).enumerate();
        pairs.filter(|(_, (own, told))| own != told).map(|(band, _)| band).collect()
    }

    fn holds(&self, op: &Op) -> bool {
        let source = match op.kind {
            OpKind::Copy(Point { x, y }) => Rect { x, y, ..op.rect },
            OpKind::Fill(_) | OpKind::Png(_) | OpKind::Palette(_) | OpKind::Video(_) => op.rect,
        };
        let bounds = self.picture.size().bounds();
        bounds.is_some_and(|bounds| bounds.contains(op.rect) && bounds.contains(source))
    }

    fn check_order(&self, frame: &Frame) -> Result<(), String> {
        let Some(last) = self.at else {
            let whole = frame.flags.keyframe.is_some();
            return if whole { Ok(()) } else { Err("the first frame is no keyframe".to_owned()) };
        };
        if frame.flags.keyframe.is_some() {
            return Ok(());
        }
        if frame.at.epoch != last.epoch {
            return Err(format!("{:?} follows {last:?} and is no keyframe", frame.at));
        }
        let follows = match frame.flags.refresh.is_some() {
            false => frame.at.id.0 == last.id.0 + 1,
            true => frame.at.id >= last.id,
        };
        if follows { Ok(()) } else { Err(format!("{:?} follows {last:?}", frame.at)) }
    }

    fn copied(&self, op: &Op) -> Option<(Rect, Vec<u32>)> {
        let OpKind::Copy(Point { x, y }) = op.kind else { return None };
        let source = Rect { x, y, ..op.rect };
        Some((op.rect, self.picture.rows(source).flatten().copied().collect()))
    }

    fn paint_op(&mut self, op: &Op) -> Result<(), String> {
        match &op.kind {
            OpKind::Copy(_) => {}
            OpKind::Fill(color) => self.picture.fill(op.rect, *color),
            OpKind::Png(file) => self.put(op.rect, &decode_png(file, op.rect.size())?),
            OpKind::Palette(bytes) => self.put(op.rect, &decode_palette(bytes, op.rect.size())?),
            // Not decoded: whatever stands here instead has to be made exact all the same.
            OpKind::Video(video) => {
                video.damage.iter().for_each(|&rect| self.picture.fill(rect, UNSEEN));
            }
        }
        Ok(())
    }

    fn put(&mut self, rect: Rect, pixels: &[u32]) {
        let rows = pixels.chunks_exact(usize::from(rect.width));
        self.picture.rows_mut(rect).zip(rows).for_each(|(to, from)| to.copy_from_slice(from));
    }
}

fn decode_png(file: &[u8], size: Size) -> Result<Vec<u32>, String> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(|error| format!("PNG: {error}"))?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or("PNG of unknown size")?];
    let info = reader.next_frame(&mut bytes).map_err(|error| format!("PNG: {error}"))?;
    let expected = (u32::from(size.width), u32::from(size.height));
    if (info.width, info.height) != expected {
        return Err(format!("a PNG of {}x{} for {size:?}", info.width, info.height));
    }
    let rgb = |red: u8, green: u8, blue: u8| u32::from_be_bytes([0, red, green, blue]);
    let bytes = &bytes[..info.buffer_size()];
    match info.color_type {
        png::ColorType::Rgb => Ok(bytes.chunks_exact(3).map(|p| rgb(p[0], p[1], p[2])).collect()),
        png::ColorType::Grayscale => Ok(bytes.iter().map(|&grey| rgb(grey, grey, grey)).collect()),
        other => Err(format!("a PNG of type {other:?}, which is not opaque")),
    }
}

fn decode_palette(bytes: &[u8], size: Size) -> Result<Vec<u32>, String> {
    const SHORT: &str = "a truncated palette";
    let (&head, rest) = bytes.split_first().ok_or(SHORT)?;
    let (colors, channels) = (usize::from(head & 0x3f) + 1, if head & 0x80 == 0 { 3 } else { 1 });
    let (table, packed) = rest.split_at_checked(colors * channels).ok_or(SHORT)?;
    let colors: Vec<u32> = table
        .chunks_exact(channels)
        .map(|color| u32::from_be_bytes([0, color[0], color[channels / 2], color[channels - 1]]))
        .collect();
    let index_bits = (0..7).find(|&bits| 1 << bits >= colors.len()).ok_or("too many colours")?;
    let mut bits = packed.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut read = |count: u32| {
        (0..count).try_fold(0, |all, _| Some(all << 1 | usize::from(bits.next()?))).ok_or(SHORT)
    };
    let mut pixels: Vec<u32> = Vec::with_capacity(size.area());
    for row in 0..size.height {
        if row > 0 && read(1)? == 1 {
            pixels.extend_from_within(pixels.len() - usize::from(size.width)..);
            continue;
        }
        for _ in 0..size.width {
            let color = colors.get(read(index_bits)?);
            pixels.push(*color.ok_or("an index beyond the palette")?);
        }
    }
    match bits.next() {
        _ if head & 0x40 != 0 => Err("an unknown form of palette".to_owned()),
        Some(_) if bits.count() >= 7 => Err("bytes behind the pixels".to_owned()),
        Some(_) | None => Ok(pixels),
    }
}

/// The hashes of [`Digest`], pixel by pixel.
pub fn bands(picture: &Picture) -> Vec<u32> {
    const MULTIPLIER: u32 = 0x9e37_79b1;
    const ROWS: usize = 64;
    let band = ROWS * usize::from(picture.size().width);
    let hash = |pixels: &[u32]| {
        let mut lanes: [u32; 8] = std::array::from_fn(|lane| lane as u32);
        for (number, pixel) in pixels.iter().enumerate() {
            let swapped = (pixel & RGB).swap_bytes() >> 8;
            let lane = &mut lanes[number % 8];
            *lane = (*lane ^ swapped).wrapping_mul(MULTIPLIER);
        }
        lanes.iter().fold(0u32, |folded, lane| {
            let mixed = (folded ^ lane).wrapping_mul(MULTIPLIER);
            mixed ^ (mixed >> 15)
        })
    };
    picture.pixels().chunks(band.max(1)).map(hash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_palette_is_read_from_the_highest_bit_without_gaps() {
        // Two colours, six pixels: 1 0 1, like the row above, 1 1 0.
        let bytes = [1, 0, 0, 0, 255, 0, 1, 0b1011_0110];
        let (black, red) = (0, 0x00ff_0001);
        let rows = [red, black, red, red, black, red, red, red, black];
        assert_eq!(decode_palette(&bytes, Size::new(3, 3)), Ok(rows.to_vec()));
        assert!(decode_palette(&bytes, Size::new(3, 4)).is_err());
        assert!(decode_palette(&[&bytes[..], &[0]].concat(), Size::new(3, 3)).is_err());
        let greys = [0x82, 0, 128, 255, 0b1001_0000];
        let greys = decode_palette(&greys, Size::new(2, 1));
        assert_eq!(greys, Ok(vec![0x00ff_ffff, 0x0080_8080]));
    }

    #[test]
    fn one_wrong_pixel_changes_one_band() {
        let mut picture = Picture::new(Size::new(33, 130));
        let before = bands(&picture);
        picture.pixels_mut()[33 * 129 + 32] = 1;
        let after = bands(&picture);
        assert_eq!((before.len(), before[..2] == after[..2]), (3, true));
        assert_ne!(before[2], after[2]);
    }
}
