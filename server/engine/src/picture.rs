//! A picture in memory.

use crate::region::Region;
use lattice_wire::{Rect, Size};

/// A screen's pixels in rows without gaps, each `0x00RRGGBB`: what a 24-bit X display holds on a
/// little-endian machine.
///
/// INVARIANT: the highest byte is 0, so that equal pixels are equal numbers. An X server leaves
/// anything there; whoever copies pixels in masks them with [`RGB`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Picture {
    size: Size,
    pixels: Vec<u32>,
}

/// The bits of a pixel that are its colour.
pub const RGB: u32 = 0x00ff_ffff;

impl Picture {
    /// A black picture. The memory is touched only as it is written.
    pub fn new(size: Size) -> Self {
        Self { size, pixels: vec![0; size.area()] }
    }

    /// Its size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// All pixels, row after row.
    pub fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// All pixels, row after row.
    pub fn pixels_mut(&mut self) -> &mut [u32] {
        &mut self.pixels
    }

    /// The pixels of row `y` from column `x`, `width` of them.
    ///
    /// # Panics
    /// Where that is not within the picture.
    pub fn row(&self, x: u16, y: u16, width: u16) -> &[u32] {
        let start = usize::from(y) * usize::from(self.size.width) + usize::from(x);
        &self.pixels[start..start + usize::from(width)]
    }

    /// The same, to write.
    ///
    /// # Panics
    /// Where that is not within the picture.
    pub fn row_mut(&mut self, x: u16, y: u16, width: u16) -> &mut [u32] {
        let start = usize::from(y) * usize::from(self.size.width) + usize::from(x);
        &mut self.pixels[start..start + usize::from(width)]
    }

    /// The rows of a rectangle, from the top.
    ///
    /// # Panics
    /// Where the rectangle is not within the picture.
    pub fn rows(&self, rect: Rect) -> impl Iterator<Item = &[u32]> {
        (rect.y..rect.bottom()).map(move |y| self.row(rect.x, y, rect.width))
    }

    /// The same, to write.
    ///
    /// # Panics
    /// Where the rectangle is not within the picture.
    pub fn rows_mut(&mut self, rect: Rect) -> impl Iterator<Item = &mut [u32]> {
        let (x, width) = (usize::from(rect.x), usize::from(rect.width));
        let stride = usize::from(self.size.width).max(1);
        let rows = self.pixels.chunks_exact_mut(stride).skip(usize::from(rect.y));
        rows.take(usize::from(rect.height)).map(move |row| &mut row[x..x + width])
    }

    /// Copies out rows of pixels: row `y` of rectangle number `i` of a region.
    pub fn reader(&self, region: &Region) -> impl FnMut(usize, u16, &mut [u32]) {
        |index, y, row| {
            let rect = region.rects()[index];
            row.copy_from_slice(self.row(rect.x, rect.y + y, rect.width));
        }
    }

    /// Paints a rectangle in one colour.
    pub fn fill(&mut self, rect: Rect, color: u32) {
        self.rows_mut(rect).for_each(|row| row.fill(color));
    }

    /// Takes over the pixels of a rectangle from a picture of the same size.
    pub fn copy_from(&mut self, other: &Picture, rect: Rect) {
        self.rows_mut(rect).zip(other.rows(rect)).for_each(|(to, from)| to.copy_from_slice(from));
    }
}
