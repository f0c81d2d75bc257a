//! Points, sizes and rectangles in device pixels; the origin is the top left corner.

use crate::MAX_SIDE;

/// A position on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: u16,
    /// Pixels from the top edge.
    pub y: u16,
}

/// The extent of a screen or picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Size {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
}

impl Size {
    /// A size of `width` x `height` pixels.
    pub const fn new(width: u16, height: u16) -> Self {
        Self { width, height }
    }

    /// The number of pixels.
    pub const fn area(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// The nearest size within `min` and `max`, side by side.
    pub fn clamp(self, min: Size, max: Size) -> Size {
        Size::new(
            self.width.max(min.width).min(max.width),
            self.height.max(min.height).min(max.height),
        )
    }

    /// The whole of it, or nothing where a side is 0.
    pub fn bounds(self) -> Option<Rect> {
        Rect::checked(0, 0, self.width, self.height)
    }
}

/// A rectangle.
///
/// INVARIANT: it is not empty, and its right and bottom edges are at most [`MAX_SIDE`], so edges
/// fit in `u16` and areas in `u32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rect {
    /// Left edge.
    pub x: u16,
    /// Top edge.
    pub y: u16,
    /// Pixels across, at least 1.
    pub width: u16,
    /// Pixels down, at least 1.
    pub height: u16,
}

impl Rect {
    /// A rectangle, or nothing where it would be empty or reach beyond the largest screen.
    pub fn checked(x: u16, y: u16, width: u16, height: u16) -> Option<Self> {
        let fits = |start: u16, len: u16| {
            len > 0 && start.checked_add(len).is_some_and(|end| end <= MAX_SIDE)
        };
        (fits(x, width) && fits(y, height)).then_some(Self { x, y, width, height })
    }

    /// A rectangle of known good numbers.
    ///
    /// # Panics
    /// Where the invariant does not hold; for values from a packet use [`Rect::checked`].
    pub fn new(x: u16, y: u16, width: u16, height: u16) -> Self {
        Self::checked(x, y, width, height).expect("the caller knows the rectangle to be valid")
    }

    /// The rectangle between two edges each way, or nothing where it would be empty.
    pub fn between(left: u16, top: u16, right: u16, bottom: u16) -> Option<Self> {
        Self::checked(left, top, right.checked_sub(left)?, bottom.checked_sub(top)?)
    }

    /// One past the last column.
    pub const fn right(self) -> u16 {
        self.x + self.width
    }

    /// One past the last row.
    pub const fn bottom(self) -> u16 {
        self.y + self.height
    }

    /// The number of pixels.
    pub const fn area(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Its extent.
    pub const fn size(self) -> Size {
        Size { width: self.width, height: self.height }
    }

    /// The part that lies in both.
    pub fn intersect(self, other: Rect) -> Option<Rect> {
        Rect::between(
            self.x.max(other.x),
            self.y.max(other.y),
            self.right().min(other.right()),
            self.bottom().min(other.bottom()),
        )
    }

    /// The smallest rectangle around both.
    pub fn union(self, other: Rect) -> Rect {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let width = self.right().max(other.right()) - x;
        let height = self.bottom().max(other.bottom()) - y;
        Rect { x, y, width, height }
    }

    /// Whether all of `other` lies in it.
    pub fn contains(self, other: Rect) -> bool {
        self.intersect(other) == Some(other)
    }

    /// The part on a screen of this size.
    pub fn clip(self, size: Size) -> Option<Rect> {
        self.intersect(size.bounds()?)
    }

    /// The same rectangle moved, or nothing where it would leave the plane.
    pub fn moved(self, dx: i32, dy: i32) -> Option<Rect> {
        let x = u16::try_from(i32::from(self.x).saturating_add(dx)).ok()?;
        let y = u16::try_from(i32::from(self.y).saturating_add(dy)).ok()?;
        Rect::checked(x, y, self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_far_rectangles_do_not_exist() {
        assert_eq!(Rect::checked(1, 1, 0, 5), None);
        assert_eq!(Rect::checked(8191, 0, 2, 1), None);
        assert_eq!(Rect::checked(65535, 0, 1, 1), None);
        assert!(Rect::checked(8191, 8191, 1, 1).is_some());
    }

    #[test]
    fn rectangles_that_touch_do_not_intersect() {
        let left = Rect::new(0, 0, 10, 10);
        assert_eq!(left.intersect(Rect::new(10, 0, 5, 5)), None);
        assert_eq!(left.intersect(Rect::new(9, 9, 5, 5)), Some(Rect::new(9, 9, 1, 1)));
    }
}
