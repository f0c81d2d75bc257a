//! From fresh pixels to what a frame says: the shadow of what viewers have, and the steps that take
//! it to what the display shows.

use crate::classify::single_color;
use crate::damage::{take_in, tiles_of};
use crate::digest::Bands;
use crate::lossy::Lossy;
use crate::motion::{Mover, Shift};
use crate::picture::Picture;
use crate::region::Region;
use crate::video::{Rules, Unit, VideoRegions};
use lattice_wire::{Copy, Micros, Point, Rect, Size};
use smallvec::SmallVec;

/// The largest rectangle that is sent as one tile: the browser's cost is per tile, and a larger one
/// would keep it from decoding several at once.
const MAX_TILE: Size = Size::new(512, 256);

/// How much larger than its parts a merged tile may be, in pixels, before merging costs more bytes
/// than a rectangle's own headers.
const MERGE_SLACK: usize = 256;

/// Above so many rectangles only the hull of what a frame touched is remembered.
const MAX_TOUCHED: usize = 64;

/// A change of at most so many pixels is a letter or a caret.
const CARET_AREA: usize = 32 * 32;

/// So many windows that were moved in a frame take no memory of their own: a hand drags one.
const SHIFTS: usize = 8;

/// How many of the newest tiles a box is tried to be merged with: those in the row above and beside.
const MERGE_REACH: usize = 40;

/// A window that was moved without being resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveHint {
    /// Where it was, on the screen before the frame; the part on the screen.
    pub from: Rect,
    /// Pixels to the right.
    pub dx: i32,
    /// Pixels down.
    pub dy: i32,
}

/// What a frame says, before anything is encoded. Whoever plans adds to it; it keeps its memory when it
/// is cleared, so one for all frames asks for none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FramePlan {
    /// Pixels that merely moved. All read the picture before the frame.
    pub copies: Vec<Copy>,
    /// Rectangles of one colour.
    pub fills: Vec<(Rect, u32)>,
    /// Rectangles to be encoded from the shadow.
    pub tiles: Vec<Rect>,
    /// Pictures of video streams, of the shadow, too.
    pub videos: Vec<Unit>,
}

impl FramePlan {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.copies.is_empty()
            && self.fills.is_empty()
            && self.tiles.is_empty()
            && self.videos.is_empty()
    }

    /// Nothing is to change.
    pub fn clear(&mut self) {
        self.copies.clear();
        self.fills.clear();
        self.tiles.clear();
        self.videos.clear();
    }

    /// Adds all pixels that it paints, or more: the hull of many rectangles.
    pub fn touch(&self, region: &mut Region) {
        let copies = self.copies.iter().map(|copy| copy.to);
        let fills = self.fills.iter().map(|(rect, _)| *rect);
        let videos = self.videos.iter().flat_map(|unit| unit.damage.iter().copied());
        let tiles = self.tiles.iter().copied();
        region.add_around(copies.chain(fills).chain(tiles).chain(videos), MAX_TOUCHED);
    }
}

/// Memory that is kept from one frame to the next.
#[derive(Debug, Default)]
struct Scratch {
    /// What changed and is told by no other way yet.
    boxes: Vec<Rect>,
    /// What waits for the next unit of a video.
    held: Vec<Rect>,
    left: Vec<Rect>,
    strips: Vec<Rect>,
}

/// Knows what viewers have, and plans what they get.
///
/// INVARIANT: a viewer that painted every frame shows the shadow, but for what `lossy` says.
///
/// Of the two pictures the one takes in fresh pixels while the other is what viewers have, and then
/// they change places: nothing is copied from one to the other but what changed in the frame before
/// and not in this one.
#[derive(Debug)]
pub struct Planner {
    shadow: Picture,
    /// Becomes the shadow. The same pictures, but for `behind`, where this one is older.
    next: Picture,
    behind: Region,
    bands: Bands,
    mover: Mover,
    videos: VideoRegions,
    lossy: Lossy,
    /// Where the newest small change was: a caret, most likely.
    caret: Option<Point>,
    scratch: Scratch,
}

impl Planner {
    /// A black screen. Viewers know nothing of it until a whole refresh.
    pub fn new(size: Size) -> Self {
        Self {
            shadow: Picture::new(size),
            next: Picture::new(size),
            behind: Region::new(),
            bands: Bands::new(size),
            mover: Mover::new(),
            videos: VideoRegions::new(size),
            lossy: Lossy::new(size),
            caret: None,
            scratch: Scratch::default(),
        }
    }

    /// What the display showed last: what viewers have, exactly or roughly, once they have painted
    /// every frame planned so far.
    pub fn shadow(&self) -> &Picture {
        &self.shadow
    }

    /// The regions that move.
    pub fn videos(&self) -> &VideoRegions {
        &self.videos
    }

    /// The same, to tell them of viewers and encoders.
    pub fn videos_mut(&mut self) -> &mut VideoRegions {
        &mut self.videos
    }

    /// Whether viewers have every pixel exactly.
    pub fn is_exact(&self) -> bool {
        self.lossy.is_empty()
    }

    /// Takes over the first picture, whose `region` is all of it, read as in [`Self::plan`]. Nobody has
    /// another, so there is nothing to compare and nothing to tell but a refresh.
    ///
    /// # Panics
    /// Where the region is not within the screen.
    pub fn begin(&mut self, region: &Region, mut fresh: impl FnMut(usize, u16, &mut [u32])) {
        for (index, &rect) in region.rects().iter().enumerate() {
            let rows = (0..).zip(self.shadow.rows_mut(rect));
            rows.for_each(|(y, row)| fresh(index, y, row));
            self.bands.touch(rect);
        }
        self.behind = region.clone();
    }

    /// Adds to `plan`, which is empty, the change at `now` to what the display shows, which `fresh` reads
    /// where it may differ from before: within `region`, row by row as [`take_in`] says. The shadow becomes
    /// that.
    ///
    /// # Panics
    /// Where the region is not within the screen.
    pub fn plan(
        &mut self,
        now: Micros,
        region: &Region,
        mut fresh: impl FnMut(usize, u16, &mut [u32]),
        hints: &[MoveHint],
        rules: &Rules,
        plan: &mut FramePlan,
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let Scratch { boxes, held, left, strips } = &mut scratch;
        boxes.clear();
        held.clear();
        self.catch_up(region);
        take_in(&mut fresh, &mut self.next, &self.shadow, region, boxes);
        if !boxes.is_empty() {
            self.videos.hold(now, boxes, held);
            let shifts: SmallVec<[Shift; SHIFTS]> =
                hints.iter().filter_map(|hint| self.shift_of(hint)).collect();
            let copies = &mut plan.copies;
            self.mover.find(&self.next, &self.shadow, boxes, &shifts, copies);
            self.lossy.carry(copies, now);
            self.take_over(region, held.iter().chain(boxes.iter()));
            leave_to_copies(boxes, copies, left);
            self.videos.watch(now, boxes, copies, &self.shadow, rules, held);
            held.iter().for_each(|&rect| self.lossy.soil(rect, now));
            self.paint_exactly(boxes, strips, plan);
        }
        self.add_due(now, rules, &mut scratch, plan);
        self.scratch = scratch;
        self.note_caret(plan);
    }

    /// Adds the pictures of video that are due at `now`, of what the shadow shows already.
    pub fn plan_due(&mut self, now: Micros, rules: &Rules, plan: &mut FramePlan) {
        let mut scratch = std::mem::take(&mut self.scratch);
        self.add_due(now, rules, &mut scratch, plan);
        self.scratch = scratch;
    }

    /// When the next picture of a video is due, or a region of video ends.
    pub fn next_due(&self, rules: &Rules) -> Option<Micros> {
        self.videos.next_due(rules)
    }

    /// Adds what was sent roughly and has rested since, so that it is sent exactly: at most about `area`
    /// pixels, nearest to `pointer` or the last small change first.
    pub fn plan_refinement(
        &mut self,
        now: Micros,
        pointer: Point,
        area: usize,
        plan: &mut FramePlan,
    ) {
        let focuses = [self.caret.unwrap_or(pointer), pointer];
        let Scratch { boxes, strips, .. } = &mut self.scratch;
        boxes.clear();
        self.lossy.take_rested(now, &focuses, area, boxes);
        paint(&self.shadow, boxes.iter().copied(), strips, plan);
    }

    /// When there will be something to refine.
    pub fn next_refinement(&self) -> Option<Micros> {
        self.lossy.next_rested()
    }

    /// Adds `region` as the shadow has it, for viewers that lack it.
    pub fn plan_refresh(&mut self, region: &Region, plan: &mut FramePlan) {
        let region = region.clip(self.shadow.size());
        let tiles = region.rects().iter().flat_map(|&rect| tiles_of(rect));
        paint(&self.shadow, tiles, &mut self.scratch.strips, plan);
    }

    /// Takes out of `region` what is shown as video, for viewers that lack it and see video: they get
    /// it with the next unit, and exactly, as all do, once it rests. A still of a film outweighs
    /// seconds of its stream, and whoever fell behind has no time for it.
    pub fn leave_to_video(&mut self, region: &mut Region, now: Micros) {
        for (_, place) in self.videos.streams() {
            for &part in region.within(place).rects() {
                self.lossy.soil(part, now);
            }
            region.subtract(place);
        }
    }

    /// The shadow's hashes, a band each.
    pub fn digest(&mut self) -> Vec<u32> {
        self.bands.compute(&self.shadow).to_vec()
    }

    /// Makes `next` what the shadow is, but for `region`, which is about to be written.
    fn catch_up(&mut self, region: &Region) {
        region.rects().iter().for_each(|&rect| self.behind.subtract(rect));
        self.behind.rects().iter().for_each(|&rect| self.next.copy_from(&self.shadow, rect));
        self.behind.clear();
    }

    /// Makes `next` the shadow. The two differ in the boxes only, which lie within `region`.
    fn take_over<'a>(&mut self, region: &Region, boxes: impl Iterator<Item = &'a Rect> + Clone) {
        std::mem::swap(&mut self.shadow, &mut self.next);
        // Adding up many boxes takes longer than copying what lies between them.
        match boxes.clone().count() > MAX_TOUCHED {
            true => self.behind.set(region),
            false => boxes.clone().for_each(|&rect| self.behind.add(rect)),
        }
        boxes.for_each(|&rect| self.bands.touch(rect));
    }

    fn add_due(&mut self, now: Micros, rules: &Rules, scratch: &mut Scratch, plan: &mut FramePlan) {
        let Scratch { boxes, left: stills, strips, .. } = scratch;
        stills.clear();
        self.videos.take_due(now, rules, &mut plan.videos, stills);
        boxes.clear();
        boxes.extend(stills.iter().flat_map(|&still| tiles_of(still)));
        self.paint_exactly(boxes, strips, plan);
        // What waited for its unit may have been sent exactly meanwhile.
        for &rect in plan.videos.iter().flat_map(|unit| &unit.damage) {
            self.lossy.soil(rect, now);
        }
    }

    fn paint_exactly(&mut self, boxes: &[Rect], strips: &mut Vec<Rect>, plan: &mut FramePlan) {
        boxes.iter().for_each(|&rect| self.lossy.clean(rect));
        paint(&self.shadow, boxes.iter().copied(), strips, plan);
    }

    fn note_caret(&mut self, plan: &FramePlan) {
        let small = plan.tiles.iter().chain(plan.fills.iter().map(|(rect, _)| rect)).next_back();
        if let Some(rect) = small.filter(|rect| rect.area() <= CARET_AREA) {
            self.caret = Some(Point { x: rect.x + rect.width / 2, y: rect.y + rect.height / 2 });
        }
    }

    fn shift_of(&self, hint: &MoveHint) -> Option<Shift> {
        let size = self.shadow.size();
        let to = shifted_onto(hint.from.clip(size)?, hint.dx, hint.dy, size)?;
        Some(Shift { to, dx: hint.dx, dy: hint.dy })
    }
}

/// Adds these boxes as `shadow` has them.
fn paint(
    shadow: &Picture,
    boxes: impl Iterator<Item = Rect>,
    strips: &mut Vec<Rect>,
    plan: &mut FramePlan,
) {
    // Boxes come in rows of tiles: joined to strips first, then strips to blocks.
    strips.clear();
    for rect in boxes {
        match single_color(shadow, rect) {
            Some(color) => add_fill(&mut plan.fills, rect, color),
            None => add_tile(strips, rect, 1),
        }
    }
    strips.iter().for_each(|&strip| add_tile(&mut plan.tiles, strip, MERGE_REACH));
}

/// The part of `rect` that is still on the screen after a move, where it is then.
fn shifted_onto(rect: Rect, dx: i32, dy: i32, size: Size) -> Option<Rect> {
    let edge = |at: u16, delta: i32, limit: u16| {
        u16::try_from((i32::from(at) + delta).clamp(0, i32::from(limit))).ok()
    };
    Rect::between(
        edge(rect.x, dx, size.width)?,
        edge(rect.y, dy, size.height)?,
        edge(rect.right(), dx, size.width)?,
        edge(rect.bottom(), dy, size.height)?,
    )
}

/// Leaves of the boxes what no copy has painted already.
fn leave_to_copies(boxes: &mut Vec<Rect>, copies: &[Copy], rest: &mut Vec<Rect>) {
    rest.clear();
    for &rect in &*boxes {
        // Most boxes lie within one copy or beside all of them.
        if copies.iter().any(|copy| copy.to.contains(rect)) {
            continue;
        }
        if copies.iter().all(|copy| copy.to.intersect(rect).is_none()) {
            rest.push(rect);
            continue;
        }
        let mut left = Region::from(rect);
        copies.iter().for_each(|copy| left.subtract(copy.to));
        rest.extend_from_slice(left.rects());
    }
    std::mem::swap(boxes, rest);
}

/// Adds a fill, as part of one beside or above it where both make a rectangle.
fn add_fill(fills: &mut Vec<(Rect, u32)>, rect: Rect, color: u32) {
    let newest = fills.iter_mut().rev().take(MERGE_REACH);
    let mut same = newest.filter(|(_, painted)| *painted == color);
    match same.find(|(own, _)| own.union(rect).area() == own.area() + rect.area()) {
        Some((own, _)) => *own = own.union(rect),
        None => fills.push((rect, color)),
    }
}

/// Adds a tile, as part of one of the newest `reach` where that wastes little.
fn add_tile(tiles: &mut Vec<Rect>, rect: Rect, reach: usize) {
    let fits = |own: &&mut Rect| {
        let both = own.union(rect);
        let apart = own.area() + rect.area();
        both.width <= MAX_TILE.width
            && both.height <= MAX_TILE.height
            && both.area() <= apart + apart / 8 + MERGE_SLACK
    };
    match tiles.iter_mut().rev().take(reach).find(fits) {
        Some(own) => *own = own.union(rect),
        None => tiles.push(rect),
    }
}

#[cfg(test)]
mod tests;
