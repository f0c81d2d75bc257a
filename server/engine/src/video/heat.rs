//! Where the screen keeps changing: how often in a row each tile has.

use crate::damage::TILE;
use crate::picture::Picture;
use lattice_wire::{Micros, Rect, Size};

/// Changes of a tile that are further apart do not belong together: below 3 pictures a second
/// nothing moves, it only changes. It is no more because a large film sent as tiles may be looked at
/// no oftener, however often it changes.
const TOGETHER: Micros = Micros::from_millis(350);
/// So many changes in a row make a tile part of what moves …
const OFTEN: u16 = 5;
/// … and so many where a patch of [`LARGE`] tiles does: each of its frames costs a megabyte.
const OFTEN_LARGE: u16 = 2;
/// A patch of fewer tiles stays exact: a spinner, a clock, a small animation costs little as tiles.
const SMALL: usize = 6;
/// About 450 x 450 pixels.
const LARGE: usize = 48;
/// A narrower strip stays exact: H.264 codes blocks of 16 x 16, and encoders take nothing smaller.
const NARROW: u16 = 32;
/// What exact tiles cost: text as palette PNG about a quarter of a byte a pixel, pictures as true
/// colour two and a half, both measured on a desktop's pixels.
const BYTES_OF_TEXT: (usize, usize) = (1, 4);
const BYTES_OF_PICTURES: (usize, usize) = (5, 2);
/// Rows and columns of pixels between those that are looked at to tell pictures from text.
const SAMPLE: usize = 4;
/// A tile with so many colours among the 256 sampled is a picture: text has a background, of which
/// most samples are, and the few shades of its letters' edges.
const RICH: usize = 96;

/// What a place shows, as far as an encoder cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// Films and photos.
    Pictures,
    /// Mostly text and widgets: sharp edges, flat colours, much that repeats.
    Text,
}

/// The tiles of a screen.
#[derive(Debug)]
pub(super) struct HeatMap {
    columns: usize,
    tiles: Vec<Heat>,
    /// Which of the boxes that are looked at are pictures.
    rich: Vec<bool>,
    /// The tiles that they lie in, by number; and those of one patch of them.
    warm: Vec<usize>,
    patch: Vec<usize>,
}

/// How often in a row a tile has changed.
#[derive(Debug, Clone, Copy, Default)]
struct Heat {
    count: u16,
    last: Micros,
    hull: Option<Rect>,
}

impl HeatMap {
    /// Nothing has changed.
    pub(super) fn new(size: Size) -> Self {
        let tiles = |side: u16| usize::from(side.div_ceil(TILE));
        let columns = tiles(size.width);
        let tiles = vec![Heat::default(); columns * tiles(size.height)];
        Self { columns, tiles, rich: Vec::new(), warm: Vec::new(), patch: Vec::new() }
    }

    /// Notes what changed at `now`, each box within a tile, and returns the places that move. Where
    /// the boxes cost more than `affordable` bytes as exact tiles, one change is enough.
    pub(super) fn note(
        &mut self,
        now: Micros,
        boxes: &[Rect],
        shadow: &Picture,
        affordable: Option<usize>,
    ) -> Vec<(Rect, Content)> {
        let mut rich = std::mem::take(&mut self.rich);
        rich.extend(boxes.iter().map(|&rect| is_rich(shadow, rect)));
        let places = self.note_all(now, boxes, &rich, affordable);
        rich.clear();
        self.rich = rich;
        places
    }

    fn note_all(
        &mut self,
        now: Micros,
        boxes: &[Rect],
        rich: &[bool],
        affordable: Option<usize>,
    ) -> Vec<(Rect, Content)> {
        let bytes: usize = boxes.iter().zip(rich).map(|(rect, &rich)| cost(*rect, rich)).sum();
        let is_dear = affordable.is_some_and(|affordable| bytes > affordable);
        // Text moves only where the link cannot take it as text.
        let area = |wanted: bool| -> usize {
            let those = boxes.iter().zip(rich).filter(|(_, rich)| **rich == wanted);
            those.map(|(rect, _)| rect.area()).sum()
        };
        let content = if area(true) < area(false) { Content::Text } else { Content::Pictures };
        self.warm.clear();
        for (&rect, &rich) in boxes.iter().zip(rich) {
            if is_dear || rich {
                let tile = self.heat(now, rect);
                self.warm.push(tile);
            }
        }
        self.warm.sort_unstable();
        self.warm.dedup();
        if self.warm.len() < SMALL {
            return Vec::new();
        }
        let mut places = Vec::new();
        while self.next_patch() {
            let place = self.place_of(&self.patch, is_dear);
            places.extend(
                place.map(|place| (place, if is_dear { content } else { Content::Pictures })),
            );
        }
        places
    }

    /// Notes a change of the tile that `rect` lies in; returns the tile's number.
    fn heat(&mut self, now: Micros, rect: Rect) -> usize {
        let at = usize::from(rect.y / TILE) * self.columns + usize::from(rect.x / TILE);
        let heat = &mut self.tiles[at];
        // Two boxes of one frame are one change.
        if heat.last != now || heat.count == 0 {
            let goes_on = now.since(heat.last) <= TOGETHER && heat.count > 0;
            heat.count = if goes_on { heat.count.saturating_add(1) } else { 1 };
            heat.hull = heat.hull.filter(|_| goes_on);
            heat.last = now;
        }
        heat.hull = Some(heat.hull.map_or(rect, |hull| hull.union(rect)));
        at
    }

    /// Takes a group of warm tiles that touch each other, by side or corner; false where none is left.
    fn next_patch(&mut self) -> bool {
        self.patch.clear();
        self.patch.extend(self.warm.pop());
        let mut next = 0;
        while let Some(&tile) = self.patch.get(next) {
            next += 1;
            let (column, row) = (tile % self.columns, tile / self.columns);
            let near = |other: &mut usize| {
                (*other % self.columns).abs_diff(column) <= 1
                    && (*other / self.columns).abs_diff(row) <= 1
            };
            self.patch.extend(self.warm.extract_if(.., near));
        }
        !self.patch.is_empty()
    }

    /// Where a patch would have its region, if it is one.
    fn place_of(&self, patch: &[usize], is_dear: bool) -> Option<Rect> {
        let often = match patch.len() {
            0..SMALL => return None,
            _ if is_dear => 1,
            LARGE.. => OFTEN_LARGE,
            _ => OFTEN,
        };
        let hot = || patch.iter().map(|&tile| &self.tiles[tile]).filter(|heat| heat.count >= often);
        // Most of the patch, and most of its hull, or else it is no picture that moves.
        if hot().count() * 5 < patch.len() * 3 {
            return None;
        }
        let hull = hot().filter_map(|heat| heat.hull).reduce(Rect::union)?;
        if hull.width.min(hull.height) < NARROW {
            return None;
        }
        let tile = usize::from(TILE) * usize::from(TILE);
        (patch.len() * tile * 2 >= hull.area()).then_some(hull)
    }
}

/// What a box costs as an exact tile, bytes.
fn cost(rect: Rect, is_rich: bool) -> usize {
    let (bytes, pixels) = if is_rich { BYTES_OF_PICTURES } else { BYTES_OF_TEXT };
    rect.area() * bytes / pixels
}

/// Whether a rectangle is a picture rather than text or widgets.
fn is_rich(picture: &Picture, rect: Rect) -> bool {
    let mut colors = [0; (TILE as usize / SAMPLE).pow(2)];
    let sampled = picture.rows(rect).step_by(SAMPLE).flat_map(|row| row.iter().step_by(SAMPLE));
    let mut count = 0;
    for (color, &pixel) in colors.iter_mut().zip(sampled) {
        *color = pixel;
        count += 1;
    }
    let colors = &mut colors[..count];
    colors.sort_unstable();
    // A smaller box has fewer samples, and as large a share of them must differ.
    colors.chunk_by(|one, other| one == other).count() * 256 >= RICH * count.max(64)
}
