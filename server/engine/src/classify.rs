//! What a rectangle is made of: one colour, few, or many.

use crate::picture::Picture;
use lattice_wire::Rect;

/// The most colours that a palette holds.
pub const MAX_COLORS: usize = 256;

/// Slots of the colour table: four times the colours it may hold, so that probes are short.
const SLOTS: usize = 1024;
const EMPTY: u32 = u32::MAX;

/// What a rectangle is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class<'a> {
    /// This colour alone, `0x00RRGGBB`.
    Fill(u32),
    /// At most [`MAX_COLORS`]: text, icons, widgets.
    Palette {
        /// The colours in the order of their first use.
        colors: &'a [u32],
        /// One index a pixel, row after row.
        indices: &'a [u8],
    },
    /// More: photos, gradients.
    TrueColor,
}

/// The colour of a rectangle that has only one.
pub fn single_color(picture: &Picture, rect: Rect) -> Option<u32> {
    let color = picture.row(rect.x, rect.y, 1)[0];
    picture.rows(rect).all(|row| row.iter().all(|&pixel| pixel == color)).then_some(color)
}

/// Counts colours. Keeps its memory from one rectangle to the next.
#[derive(Debug)]
pub struct Classifier {
    slots: Box<[(u32, u8); SLOTS]>,
    colors: Vec<u32>,
    indices: Vec<u8>,
}

impl Default for Classifier {
    fn default() -> Self {
        Self { slots: Box::new([(EMPTY, 0); SLOTS]), colors: Vec::new(), indices: Vec::new() }
    }
}

impl Classifier {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// What `rect` of `picture` is made of.
    pub fn classify(&mut self, picture: &Picture, rect: Rect) -> Class<'_> {
        self.slots.fill((EMPTY, 0));
        self.colors.clear();
        let mut indices = std::mem::take(&mut self.indices);
        indices.resize(rect.area(), 0);
        let fits = self.index_all(picture, rect, &mut indices);
        self.indices = indices;
        if !fits {
            return Class::TrueColor;
        }
        match *self.colors {
            [color] => Class::Fill(color),
            _ => Class::Palette { colors: &self.colors, indices: &self.indices },
        }
    }

    /// Whether every pixel has found its place in the palette.
    fn index_all(&mut self, picture: &Picture, rect: Rect, indices: &mut [u8]) -> bool {
        // No pixel has this value, so the first one is looked up.
        let (mut last, mut index) = (EMPTY, 0);
        let rows = indices.chunks_exact_mut(usize::from(rect.width));
        for (out, row) in rows.zip(picture.rows(rect)) {
            for (out, &pixel) in out.iter_mut().zip(row) {
                if pixel != last {
                    let Some(found) = self.index_of(pixel) else { return false };
                    (last, index) = (pixel, found);
                }
                *out = index;
            }
        }
        true
    }

    fn index_of(&mut self, pixel: u32) -> Option<u8> {
        // Fibonacci hashing: the highest bits of the product are the best mixed.
        let mut slot = (pixel.wrapping_mul(0x9E37_79B1) >> 22) as usize;
        loop {
            let (color, index) = self.slots[slot];
            if color == pixel {
                return Some(index);
            }
            if color == EMPTY {
                break;
            }
            slot = (slot + 1) % SLOTS;
        }
        if self.colors.len() == MAX_COLORS {
            return None;
        }
        let index = self.colors.len() as u8;
        self.slots[slot] = (pixel, index);
        self.colors.push(pixel);
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_wire::Size;

    /// A picture whose pixel number `i` is the colour number `i % colors`.
    fn striped(colors: u32) -> Picture {
        let mut picture = Picture::new(Size::new(40, 40));
        let pixels = picture.pixels_mut().iter_mut().zip(0u32..);
        pixels.for_each(|(pixel, i)| *pixel = (i % colors) * 0x010307);
        picture
    }

    const ALL: Rect = Rect { x: 0, y: 0, width: 40, height: 40 };

    #[test]
    fn one_colour_is_a_fill() {
        assert_eq!(Classifier::new().classify(&striped(1), ALL), Class::Fill(0));
        assert_eq!(single_color(&striped(1), ALL), Some(0));
        assert_eq!(single_color(&striped(2), ALL), None);
    }

    #[test]
    fn a_palette_gives_back_every_pixel() {
        for count in [2, 3, 16, 17, 255, 256] {
            let picture = striped(count);
            let mut classifier = Classifier::new();
            let Class::Palette { colors, indices } = classifier.classify(&picture, ALL) else {
                panic!("{count} colours are a palette");
            };
            assert_eq!(colors.len(), count as usize);
            let painted: Vec<u32> = indices.iter().map(|&i| colors[usize::from(i)]).collect();
            assert_eq!(painted, picture.pixels());
        }
    }

    #[test]
    fn one_colour_too_many_is_true_colour() {
        assert_eq!(Classifier::new().classify(&striped(257), ALL), Class::TrueColor);
    }

    #[test]
    fn a_classifier_forgets_the_rectangle_before() {
        let mut classifier = Classifier::new();
        classifier.classify(&striped(257), ALL);
        assert!(
            matches!(classifier.classify(&striped(3), ALL), Class::Palette { colors, .. } if colors.len() == 3)
        );
    }
}
