//! Which pixels viewers have only roughly, and when each of them is sent exactly.
//!
//! What was shown as video, or is held back for the next unit of one, is *stale*. Once a stale pixel
//! has rested it is sent exactly, a portion a frame, so that typing never waits behind it, and first
//! where somebody looks: near the pointer and near what changed last.
//!
//! INVARIANT: a pixel that may differ between the shadow and the picture of a viewer that painted
//! every frame lies in a stale box. More may lie there: boxes only grow until they are cleaned.

use crate::damage::{TILE, tiles_of};
use lattice_wire::{Copy, Micros, Point, Rect, Size};

/// So long a pixel must not have changed before it is sent exactly. Video at 8 pictures a second
/// still changes within it, and together with what sending takes it stays below the 300 ms after
/// which a person would notice.
const REST: Micros = Micros::from_millis(150);

/// The stale pixels of one screen, as a box in each tile.
#[derive(Debug)]
pub struct Lossy {
    columns: usize,
    tiles: Vec<Option<Stale>>,
    count: usize,
    /// What copies make stale.
    spoilt: Vec<Rect>,
    /// What has rested, by its distance and its tile's number.
    rested: Vec<(u32, usize, Rect)>,
}

/// The stale part of a tile.
#[derive(Debug, Clone, Copy)]
struct Stale {
    rect: Rect,
    since: Micros,
}

impl Lossy {
    /// Everything is exact.
    pub fn new(size: Size) -> Self {
        let tiles = |side: u16| usize::from(side.div_ceil(TILE));
        let columns = tiles(size.width);
        let tiles = vec![None; columns * tiles(size.height)];
        Self { columns, tiles, count: 0, spoilt: Vec::new(), rested: Vec::new() }
    }

    /// Whether viewers have every pixel exactly.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Viewers have these pixels only roughly, as of `now`.
    pub fn soil(&mut self, rect: Rect, now: Micros) {
        for part in tiles_of(rect) {
            let at = self.index(part);
            let rect = match self.tiles[at] {
                Some(stale) => stale.rect.union(part),
                None => {
                    self.count += 1;
                    part
                }
            };
            self.tiles[at] = Some(Stale { rect, since: now });
        }
    }

    /// Viewers have these pixels exactly.
    pub fn clean(&mut self, rect: Rect) {
        if self.is_empty() {
            return;
        }
        for part in tiles_of(rect) {
            let at = self.index(part);
            if self.tiles[at].is_some_and(|stale| part.contains(stale.rect)) {
                self.tiles[at] = None;
                self.count -= 1;
            }
        }
    }

    /// Where copies read stale pixels they paint stale pixels.
    pub fn carry(&mut self, copies: &[Copy], now: Micros) {
        if self.is_empty() {
            return;
        }
        // All of them read the picture before the frame.
        let mut spoilt = std::mem::take(&mut self.spoilt);
        spoilt.extend(copies.iter().flat_map(|copy| self.carried(*copy)));
        spoilt.drain(..).for_each(|rect| self.soil(rect, now));
        self.spoilt = spoilt;
    }

    fn carried(&self, copy: Copy) -> impl Iterator<Item = Rect> {
        let source = copy.source();
        let (dx, dy) = (
            i32::from(copy.to.x) - i32::from(source.x),
            i32::from(copy.to.y) - i32::from(source.y),
        );
        tiles_of(source).filter_map(move |part| {
            let stale = self.tiles[self.index(part)]?;
            stale.rect.intersect(part)?.moved(dx, dy)
        })
    }

    /// Adds to `boxes` what has rested and is to be sent exactly now, at most about `area` pixels but at
    /// least one box, and nearest to one of the `focuses` first. It counts as exact from here on.
    pub fn take_rested(
        &mut self,
        now: Micros,
        focuses: &[Point],
        area: usize,
        boxes: &mut Vec<Rect>,
    ) {
        let rested = self.tiles.iter().enumerate().filter_map(|(at, stale)| {
            let Stale { rect, since } = (*stale)?;
            (since.plus(REST) <= now).then_some((distance(rect, focuses), at, rect))
        });
        self.rested.clear();
        self.rested.extend(rested);
        self.rested.sort_unstable_by_key(|&(distance, at, _)| (distance, at));
        let mut taken = 0;
        for &(_, at, rect) in &self.rested {
            if taken > 0 && taken + rect.area() > area {
                break;
            }
            taken += rect.area();
            boxes.push(rect);
            self.tiles[at] = None;
            self.count -= 1;
        }
        // In rows again, so that neighbours are joined to larger tiles.
        boxes.sort_unstable_by_key(|rect| (rect.y / TILE, rect.x));
    }

    /// When the next stale box will have rested.
    pub fn next_rested(&self) -> Option<Micros> {
        if self.is_empty() {
            return None;
        }
        self.tiles.iter().flatten().map(|stale| stale.since.plus(REST)).min()
    }

    fn index(&self, part: Rect) -> usize {
        usize::from(part.y / TILE) * self.columns + usize::from(part.x / TILE)
    }
}

/// How far the nearest of the focuses is, in pixels one way and the other together.
fn distance(rect: Rect, focuses: &[Point]) -> u32 {
    let apart = |at: u16, start: u16, end: u16| {
        u32::from(start.saturating_sub(at).max(at.saturating_sub(end)))
    };
    let to = |focus: &Point| {
        apart(focus.x, rect.x, rect.right()) + apart(focus.y, rect.y, rect.bottom())
    };
    focuses.iter().map(to).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rested(lossy: &mut Lossy, now: Micros, focuses: &[Point], area: usize) -> Vec<Rect> {
        let mut boxes = Vec::new();
        lossy.take_rested(now, focuses, area, &mut boxes);
        boxes
    }

    const SIZE: Size = Size::new(300, 200);
    const RESTED: Micros = Micros::from_millis(150);

    fn soiled(rects: &[Rect]) -> Lossy {
        let mut lossy = Lossy::new(SIZE);
        rects.iter().for_each(|&rect| lossy.soil(rect, Micros(0)));
        lossy
    }

    #[test]
    fn a_stale_box_is_taken_once_it_has_rested() {
        let mut lossy = soiled(&[Rect::new(10, 10, 20, 20)]);
        assert_eq!(rested(&mut lossy, Micros(149_999), &[], usize::MAX), []);
        assert_eq!(lossy.next_rested(), Some(RESTED));
        assert_eq!(rested(&mut lossy, RESTED, &[], usize::MAX), [Rect::new(10, 10, 20, 20)]);
        assert!(lossy.is_empty());
    }

    #[test]
    fn what_changes_again_starts_to_rest_anew() {
        let mut lossy = soiled(&[Rect::new(10, 10, 20, 20)]);
        lossy.soil(Rect::new(12, 12, 30, 4), Micros(100_000));
        assert_eq!(rested(&mut lossy, RESTED, &[], usize::MAX), []);
        let all = rested(&mut lossy, RESTED.plus(Micros(100_000)), &[], usize::MAX);
        assert_eq!(all, [Rect::new(10, 10, 32, 20)]);
    }

    #[test]
    fn exact_pixels_clean_what_they_cover_and_no_more() {
        let mut lossy = soiled(&[Rect::new(10, 10, 20, 20), Rect::new(100, 100, 5, 5)]);
        lossy.clean(Rect::new(0, 0, 29, 64));
        lossy.clean(Rect::new(64, 64, 100, 100));
        assert_eq!(rested(&mut lossy, RESTED, &[], usize::MAX), [Rect::new(10, 10, 20, 20)]);
    }

    #[test]
    fn a_copy_of_stale_pixels_is_stale_where_it_goes() {
        let mut lossy = soiled(&[Rect::new(10, 10, 20, 20)]);
        let copy = Copy { from: Point { x: 0, y: 0 }, to: Rect::new(100, 50, 25, 25) };
        lossy.carry(&[copy], Micros(0));
        lossy.clean(Rect::new(0, 0, 64, 64));
        let taken: usize =
            rested(&mut lossy, RESTED, &[], usize::MAX).iter().map(|r| r.area()).sum();
        assert_eq!(taken, 15 * 15);
    }

    #[test]
    fn a_portion_is_what_lies_nearest_to_where_somebody_looks() {
        let mut lossy = soiled(&[Rect::new(0, 0, 300, 200)]);
        let pointer = Point { x: 290, y: 190 };
        let first = rested(&mut lossy, RESTED, &[pointer], 5000);
        assert_eq!(first[0], Rect::new(256, 128, 44, 64));
        let mut portions = 1;
        while !lossy.is_empty() {
            assert!(!rested(&mut lossy, RESTED, &[pointer], 5000).is_empty());
            portions += 1;
        }
        assert!(portions >= 12, "{portions} portions of 60000 pixels");
    }
}
