//! Sets of pixels as disjoint rectangles.

use lattice_wire::{Rect, Size};
use smallvec::{SmallVec, smallvec};

/// So many rectangles take no memory of their own: what a frame of typing, of a scrolled or a dragged
/// window or of a film consists of.
const INLINE: usize = 8;

/// A set of pixels.
///
/// INVARIANT: no two rectangles overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Region {
    rects: SmallVec<[Rect; INLINE]>,
}

impl Region {
    /// No pixels.
    pub const fn new() -> Self {
        Self { rects: SmallVec::new_const() }
    }

    /// All pixels of a screen.
    pub fn whole(size: Size) -> Self {
        Self { rects: size.bounds().into_iter().collect() }
    }

    /// The pixels of rectangles that may overlap, or their hull where there are more than `limit`.
    /// Making disjoint parts of hostile rectangles takes time with the third power of their number.
    pub fn around(rects: &[Rect], limit: usize) -> Self {
        let mut region = Self::new();
        region.add_around(rects.iter().copied(), limit);
        region
    }

    /// Adds these pixels, in the same way.
    pub fn add_around(&mut self, rects: impl Iterator<Item = Rect> + Clone, limit: usize) {
        match rects.clone().count() > limit {
            true => rects.reduce(Rect::union).into_iter().for_each(|hull| self.add(hull)),
            false => rects.for_each(|rect| self.add(rect)),
        }
    }

    /// Whether it has no pixels.
    pub fn is_empty(&self) -> bool {
        self.rects.is_empty()
    }

    /// Its disjoint rectangles.
    pub fn rects(&self) -> &[Rect] {
        &self.rects
    }

    /// How many pixels it has.
    pub fn area(&self) -> usize {
        self.rects.iter().map(|rect| rect.area()).sum()
    }

    /// The smallest rectangle around it.
    pub fn hull(&self) -> Option<Rect> {
        self.rects.iter().copied().reduce(Rect::union)
    }

    /// Whether any pixel of `rect` is in it.
    pub fn intersects(&self, rect: Rect) -> bool {
        self.rects.iter().any(|own| own.intersect(rect).is_some())
    }

    /// Whether all pixels of `rect` are in it.
    pub fn contains(&self, rect: Rect) -> bool {
        let covered = self.rects.iter().filter_map(|own| own.intersect(rect));
        covered.map(|part| part.area()).sum::<usize>() == rect.area()
    }

    /// Adds the pixels of `rect`.
    pub fn add(&mut self, rect: Rect) {
        if self.rects.iter().any(|own| own.contains(rect)) {
            return;
        }
        self.subtract(rect);
        self.rects.push(rect);
    }

    /// Adds all pixels of `other`.
    pub fn add_all(&mut self, other: &Region) {
        other.rects.iter().for_each(|&rect| self.add(rect));
    }

    /// Removes the pixels of `rect`. Where it was held, what is left stands: the order of rectangles that
    /// were not touched does not change. Their memory is kept.
    pub fn subtract(&mut self, rect: Rect) {
        let mut at = 0;
        while let Some(&own) = self.rects.get(at) {
            let Some(hole) = own.intersect(rect) else {
                at += 1;
                continue;
            };
            self.rects.remove(at);
            for part in around(own, hole) {
                self.rects.insert(at, part);
                at += 1;
            }
        }
    }

    /// The part of it in `rect`.
    pub fn within(&self, rect: Rect) -> Region {
        Region { rects: self.rects.iter().filter_map(|own| own.intersect(rect)).collect() }
    }

    /// The part of it on a screen of this size.
    pub fn clip(&self, size: Size) -> Region {
        size.bounds().map_or_else(Region::new, |bounds| self.within(bounds))
    }

    /// The same set in at most `limit` rectangles where that can be done by widening it to its hull.
    pub fn simplified(mut self, limit: usize) -> Region {
        self.simplify(limit);
        self
    }

    /// Widens it to its hull where it has more than `limit` rectangles.
    pub fn simplify(&mut self, limit: usize) {
        if self.rects.len() > limit
            && let Some(hull) = self.hull()
        {
            self.rects.clear();
            self.rects.push(hull);
        }
    }

    /// Makes it the same as `other`, in the memory that it has.
    pub fn set(&mut self, other: &Region) {
        self.rects.clear();
        self.rects.extend_from_slice(&other.rects);
    }

    /// Removes all pixels. Its memory is kept.
    pub fn clear(&mut self) {
        self.rects.clear();
    }
}

impl From<Rect> for Region {
    fn from(rect: Rect) -> Self {
        Self { rects: smallvec![rect] }
    }
}

impl FromIterator<Rect> for Region {
    fn from_iter<T: IntoIterator<Item = Rect>>(rects: T) -> Self {
        let mut region = Region::new();
        rects.into_iter().for_each(|rect| region.add(rect));
        region
    }
}

/// What is left of `outer` around `hole`, which lies in it: above, below, left, right.
fn around(outer: Rect, hole: Rect) -> impl Iterator<Item = Rect> {
    [
        Rect::between(outer.x, outer.y, outer.right(), hole.y),
        Rect::between(outer.x, hole.bottom(), outer.right(), outer.bottom()),
        Rect::between(outer.x, hole.y, hole.x, hole.bottom()),
        Rect::between(hole.right(), hole.y, outer.right(), hole.bottom()),
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const SIDE: u16 = 12;

    fn pixels(region: &Region) -> BTreeSet<(u16, u16)> {
        let mut set = BTreeSet::new();
        for rect in region.rects() {
            for y in rect.y..rect.bottom() {
                for x in rect.x..rect.right() {
                    assert!(set.insert((x, y)), "rectangles of {region:?} overlap");
                }
            }
        }
        set
    }

    fn any_rect() -> impl Strategy<Value = Rect> {
        (0..SIDE, 0..SIDE, 1..SIDE, 1..SIDE).prop_map(|(x, y, w, h)| Rect::new(x, y, w, h))
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_set_of_pixels(steps in prop::collection::vec((any_rect(), any::<bool>()), 0..12)) {
            let (mut region, mut model) = (Region::new(), BTreeSet::new());
            for (rect, add) in steps {
                let touched = pixels(&rect.into());
                if add {
                    region.add(rect);
                    model.extend(touched);
                } else {
                    region.subtract(rect);
                    model.retain(|pixel| !touched.contains(pixel));
                }
                prop_assert_eq!(&pixels(&region), &model);
                prop_assert_eq!(region.area(), model.len());
            }
        }

        #[test]
        fn simplifying_never_loses_a_pixel(rects in prop::collection::vec(any_rect(), 0..9)) {
            let region: Region = rects.into_iter().collect();
            let simple = region.clone().simplified(2);
            prop_assert!(region.rects().iter().all(|&rect| simple.contains(rect)));
            prop_assert!(simple.rects().len() <= 2);
        }
    }
}
