//! Which pixels really changed, and which changed lately.

use crate::picture::Picture;
use crate::region::Region;
use lattice_wire::{FrameId, Rect};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// The side of a tile, in pixels: the best trade between the cost of a rectangle in the browser
/// and pixels sent in vain, measured at 1080p.
pub const TILE: u16 = 64;

/// How many frames [`History`] looks back: two seconds at 60 a second.
const HISTORY: usize = 120;

/// A region of more rectangles than this is remembered as its hull.
const HISTORY_RECTS: usize = 64;

/// So many tiles in a row are compared without memory of their own: what 4096 pixels have.
const TILES_IN_A_ROW: usize = 64;

/// Takes fresh pixels of `region` into `next`, and adds to `boxes` the tight boxes around those of them
/// that differ from `shadow`, a picture of the same size: one at most for a tile of the screen and a
/// rectangle of the region.
///
/// `fresh` is asked once for each row of pixels: for row `y` of the region's rectangle number `i`, by
/// `fresh(i, y, row)`. The row is compared while the processor's nearest cache still holds it.
///
/// # Panics
/// Where the region is not within the pictures.
pub fn take_in(
    fresh: &mut impl FnMut(usize, u16, &mut [u32]),
    next: &mut Picture,
    shadow: &Picture,
    region: &Region,
    boxes: &mut Vec<Rect>,
) {
    for (index, &rect) in region.rects().iter().enumerate() {
        for tiles in rows_of_tiles(rect) {
            let fetch = |y: u16, row: &mut [u32]| fresh(index, y - rect.y, row);
            changes_in(fetch, next, shadow, tiles, boxes);
        }
    }
}

/// `rect` cut at the rows of tiles.
fn rows_of_tiles(rect: Rect) -> impl Iterator<Item = Rect> {
    cuts(rect.y, rect.bottom())
        .filter_map(move |(top, bottom)| Rect::between(rect.x, top, rect.right(), bottom))
}

/// The parts of `rect` in the tiles of the screen, in rows.
pub fn tiles_of(rect: Rect) -> impl Iterator<Item = Rect> {
    let rows = cuts(rect.y, rect.bottom());
    rows.flat_map(move |(top, bottom)| {
        cuts(rect.x, rect.right())
            .filter_map(move |(left, right)| Rect::between(left, top, right, bottom))
    })
}

/// `start..end` cut at multiples of [`TILE`].
fn cuts(start: u16, end: u16) -> impl Iterator<Item = (u16, u16)> {
    (start / TILE..end.div_ceil(TILE))
        .map(move |tile| ((tile * TILE).max(start), ((tile + 1) * TILE).min(end)))
}

/// Adds the boxes of the tiles in one row of them. Read along the rows of pixels, as memory likes it:
/// all tiles grow their boxes side by side.
fn changes_in(
    mut fetch: impl FnMut(u16, &mut [u32]),
    next: &mut Picture,
    shadow: &Picture,
    row: Rect,
    boxes: &mut Vec<Rect>,
) {
    let mut tiles: SmallVec<[Change; TILES_IN_A_ROW]> =
        cuts(row.x, row.right()).map(|(left, right)| Change::new(left, right)).collect();
    for (y, (new, old)) in (row.y..).zip(next.rows_mut(row).zip(shadow.rows(row))) {
        fetch(y, new);
        if new == old {
            continue;
        }
        for tile in &mut tiles {
            tile.grow(y, row.x, new, old);
        }
    }
    let changed = tiles.into_iter();
    boxes.extend(
        changed.filter_map(|tile| Rect::between(tile.left, tile.top, tile.right, tile.bottom)),
    );
}

/// The box around what differs in a tile; empty to begin with.
#[derive(Debug)]
struct Change {
    columns: (u16, u16),
    left: u16,
    right: u16,
    top: u16,
    bottom: u16,
}

impl Change {
    fn new(start: u16, end: u16) -> Self {
        Self { columns: (start, end), left: end, right: start, top: 0, bottom: 0 }
    }

    /// Takes in row `y`, which begins in column `x`.
    fn grow(&mut self, y: u16, x: u16, new: &[u32], old: &[u32]) {
        let (start, end) = (usize::from(self.columns.0 - x), usize::from(self.columns.1 - x));
        if new[start..end] == old[start..end] {
            return;
        }
        if self.bottom == 0 {
            self.top = y;
        }
        self.bottom = y + 1;
        // Only what lies outside the box so far can make it wider.
        let differs = |column: &u16| new[usize::from(column - x)] != old[usize::from(column - x)];
        self.left = (self.columns.0..self.left).find(differs).unwrap_or(self.left);
        self.right = (self.right..self.columns.1)
            .rev()
            .find(differs)
            .map_or(self.right, |column| column + 1);
    }
}

/// What the last frames touched, so that a viewer that fell behind gets just what it lacks.
#[derive(Debug, Default)]
pub struct History {
    frames: VecDeque<(FrameId, Region)>,
}

impl History {
    /// No frames yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Frame `id` touched what `touch` adds to a region. Ids grow by one.
    pub fn record(&mut self, id: FrameId, touch: impl FnOnce(&mut Region)) {
        // The memory of the oldest is the newest's.
        let oldest = (self.frames.len() == HISTORY).then(|| self.frames.pop_front()).flatten();
        let mut region = oldest.map_or_else(Region::new, |(_, region)| region);
        region.clear();
        touch(&mut region);
        region.simplify(HISTORY_RECTS);
        self.frames.push_back((id, region));
    }

    /// All that frames after `id` touched; nothing where that is no longer known.
    pub fn since(&self, id: FrameId) -> Option<Region> {
        let (oldest, _) = self.frames.front()?;
        if id.0.saturating_add(1) < oldest.0 {
            return None;
        }
        let mut touched = Region::new();
        for (_, region) in self.frames.iter().filter(|(frame, _)| *frame > id) {
            touched.add_all(region);
        }
        Some(touched)
    }

    /// The ids start again.
    pub fn clear(&mut self) {
        self.frames.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_wire::Size;

    fn check(change: &[Rect], looked_at: Rect, expected: &[Rect]) {
        let shadow = Picture::new(Size::new(200, 140));
        let (mut screen, mut next) = (shadow.clone(), shadow.clone());
        change.iter().for_each(|&rect| screen.fill(rect, 0xff));
        let region = Region::from(looked_at);
        let mut boxes = Vec::new();
        take_in(&mut screen.reader(&region), &mut next, &shadow, &region, &mut boxes);
        assert_eq!(boxes, expected);
        assert!(next.rows(looked_at).eq(screen.rows(looked_at)));
    }

    const ALL: Rect = Rect { x: 0, y: 0, width: 200, height: 140 };

    #[test]
    fn a_letter_is_boxed_tightly() {
        let letter = Rect::new(70, 70, 9, 18);
        check(&[letter], ALL, &[letter]);
    }

    #[test]
    fn a_diagonal_is_boxed_as_a_whole() {
        let (start, end) = (Rect::new(3, 60, 1, 1), Rect::new(60, 3, 1, 1));
        check(&[start, end], ALL, &[Rect::new(3, 3, 58, 58)]);
    }

    #[test]
    fn a_change_across_tiles_has_a_box_in_each() {
        check(&[Rect::new(60, 5, 8, 1)], ALL, &[Rect::new(60, 5, 4, 1), Rect::new(64, 5, 4, 1)]);
    }

    #[test]
    fn nothing_is_seen_outside_the_damage() {
        check(&[Rect::new(0, 0, 10, 10)], Rect::new(64, 64, 64, 64), &[]);
    }

    #[test]
    fn the_last_pixel_is_seen() {
        let corner = Rect::new(199, 139, 1, 1);
        check(&[corner], Rect::new(100, 100, 100, 40), &[corner]);
    }

    #[test]
    fn tiles_cover_a_rectangle_exactly() {
        let rect = Rect::new(33, 60, 150, 70);
        let region: Region = tiles_of(rect).collect();
        assert_eq!(region.area(), rect.area());
        assert!(region.contains(rect));
    }

    #[test]
    fn history_knows_what_came_after() {
        let mut history = History::new();
        for id in 1..=3u32 {
            history.record(FrameId(id), |all| all.add(Rect::new(id as u16, 0, 1, 1)));
        }
        assert_eq!(history.since(FrameId(3)), Some(Region::new()));
        assert_eq!(history.since(FrameId(1)).map(|region| region.area()), Some(2));
        assert_eq!(history.since(FrameId(0)).map(|region| region.area()), Some(3));
    }

    #[test]
    fn history_admits_what_it_forgot() {
        let mut history = History::new();
        (1..=200).for_each(|id| history.record(FrameId(id), |_| ()));
        assert_eq!(history.since(FrameId(50)), None);
        assert!(history.since(FrameId(150)).is_some());
        assert_eq!(History::new().since(FrameId(150)), None);
    }
}
