//! What merely moved: scrolled text and dragged windows, found in the pixels and proved by them.
//!
//! How far a scroll went is found by hashing lines: the area that changed is cut into strips across
//! the direction of motion, and in a sample of them each line is hashed before and after. A line of
//! a kind that occurs once before and is met elsewhere after votes for its distance. How far a
//! window went needs no search: the X server tells it. And who scrolls by a line scrolls by a line
//! again: the distances found last are tried before any search.
//!
//! Either way every strip is then compared, line by line and pixel by pixel, with what lay at that
//! distance before, and only runs of equal lines are copied. Strips are 64 pixels wide, so that a
//! blinking caret, a clock or a scroll bar spoils one of them and not all.

use crate::picture::Picture;
use lattice_wire::{Copy, Point, Rect, Size};
use smallvec::SmallVec;
use std::collections::HashMap;

/// The width of a strip, in pixels.
const STRIP: u16 = 64;

/// In how many strips of an area lines are hashed: enough that text is met, and a quarter of the
/// reading that all would take at 1080p.
const SAMPLES: usize = 6;

/// The smallest area in which a scroll is looked for, in pixels each way; below it tiles are cheap.
const MIN_AREA: (u16, u16) = (STRIP, 24);

/// The shortest run of lines that is copied; shorter ones cost more as operations than as tiles.
const MIN_RUN: u16 = 8;

/// The fewest lines that must agree on a distance.
const MIN_VOTES: u32 = 6;

/// How many distances are remembered to be tried first; up and down again makes two.
const MAX_HABITS: usize = 4;

/// In how many rows a remembered distance must show itself before it is tried, of [`TRIED_ROWS`].
const SHOWN_ROWS: usize = 4;
const TRIED_ROWS: u16 = 32;

/// How many distances are tried in an area: panes that scroll together rarely are more.
const MAX_DISTANCES: usize = 3;

/// How many windows that moved at once are looked at; a hand drags one.
const MAX_SHIFTS: usize = 8;

/// How many of the newest runs a run is tried to be joined with: those of the strip beside it.
const JOIN_REACH: usize = 40;

/// The most copies of a frame; what lies beyond is sent as tiles.
const MAX_COPIES: usize = 64;

/// Boxes closer than this belong to one area, in pixels: blank tiles between lines of text do not
/// change when the text scrolls.
const NEAR: u16 = 128;

/// Lines of this hash have one colour only and tell nothing.
const BLANK: u64 = 0;

/// Pixels that are thought to have moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// Where they would be now.
    pub to: Rect,
    /// Pixels to the right.
    pub dx: i32,
    /// Pixels down.
    pub dy: i32,
}

/// So many areas of a frame take no memory of their own.
const AREAS: usize = 8;

/// So many strips of an area take none: what 4096 pixels have.
const STRIPS: usize = 64;

/// Finds copies. Keeps its memory from frame to frame.
#[derive(Debug, Default)]
pub struct Mover {
    prover: Prover,
    before: Vec<u64>,
    after: Vec<u64>,
    places: HashMap<u64, Place, PassThrough>,
    votes: Vec<u32>,
    best: Vec<(u32, i32)>,
    /// Which columns have had one colour so far.
    blank: Vec<bool>,
    /// The distances found last, newest first.
    habits: SmallVec<[(i32, i32); MAX_HABITS + 1]>,
}

/// Finds what of a shift holds.
#[derive(Debug, Default)]
struct Prover {
    /// Which lines are the same in their whole width.
    whole: Vec<bool>,
    /// Which lines of a strip are.
    same: Vec<bool>,
    runs: Vec<Rect>,
}

impl Mover {
    /// No memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes `copies` those that make part of `next` from `shadow`, which differ within `boxes` only.
    /// `known` are tried first. No two copies overlap in what they paint.
    pub fn find(
        &mut self,
        next: &Picture,
        shadow: &Picture,
        boxes: &[Rect],
        known: &[Shift],
        copies: &mut Vec<Copy>,
    ) {
        copies.clear();
        for shift in largest_touched(known, boxes) {
            if covered(shift.to, copies) < shift.to.area() {
                self.prover.prove(next, shadow, shift, Axis::Down, copies);
            }
        }
        for area in areas(boxes) {
            let is_explained = |copies: &[Copy]| covered(area, copies) * 2 >= area.area();
            for (dx, dy) in self.habits.clone() {
                let shift = Shift { to: area, dx, dy };
                if !is_explained(copies) && shows(next, shadow, shift) {
                    self.prove(next, shadow, shift, Axis::of(shift), copies);
                }
            }
            for axis in [Axis::Down, Axis::Across] {
                if is_explained(copies) {
                    break;
                }
                for distance in self.distances(next, shadow, area, axis) {
                    let (dx, dy) = axis.shift(distance);
                    self.prove(next, shadow, Shift { to: area, dx, dy }, axis, copies);
                }
            }
        }
        copies.retain(|copy| boxes.iter().any(|rect| rect.intersect(copy.to).is_some()));
        copies.sort_unstable_by_key(|copy| largest(copy.to));
        copies.truncate(MAX_COPIES);
    }

    /// Adds the copies that hold of a shift of an area, and remembers its distance if there are any.
    fn prove(
        &mut self,
        next: &Picture,
        shadow: &Picture,
        shift: Shift,
        axis: Axis,
        copies: &mut Vec<Copy>,
    ) {
        let before = copies.len();
        self.prover.prove(next, shadow, shift, axis, copies);
        if copies.len() > before {
            self.habits.retain(|habit| *habit != (shift.dx, shift.dy));
            self.habits.insert(0, (shift.dx, shift.dy));
            self.habits.truncate(MAX_HABITS);
        }
    }

    /// The distances that most lines of the sampled strips agree on, best first.
    fn distances(
        &mut self,
        next: &Picture,
        shadow: &Picture,
        area: Rect,
        axis: Axis,
    ) -> SmallVec<[i32; MAX_DISTANCES]> {
        let (across, along) = axis.extent(area);
        if across < MIN_AREA.0 || along < MIN_AREA.1 {
            return SmallVec::new();
        }
        self.votes.clear();
        self.votes.resize(usize::from(along) * 2, 0);
        let strips: SmallVec<[Rect; STRIPS]> = axis.strips(area).collect();
        let step = strips.len().div_ceil(SAMPLES);
        for strip in strips.into_iter().skip(step / 2).step_by(step) {
            axis.hash(shadow, strip, &mut self.before, &mut self.blank);
            axis.hash(next, strip, &mut self.after, &mut self.blank);
            self.vote(along);
        }
        let counts = self.votes.iter().zip(-i32::from(along)..);
        let enough = counts.filter(|(count, _)| **count >= MIN_VOTES);
        self.best.clear();
        self.best.extend(enough.map(|(count, distance)| (*count, distance)));
        self.best.sort_unstable_by_key(|&(count, at)| (std::cmp::Reverse(count), at.abs(), at));
        self.best.iter().take(MAX_DISTANCES).map(|&(_, distance)| distance).collect()
    }

    /// Lets the lines of one strip vote.
    fn vote(&mut self, along: u16) {
        self.places.clear();
        for (line, &hash) in (0u16..).zip(&self.before) {
            let place = Place { line, count: 1 };
            self.places.entry(hash).and_modify(|place| place.count += 1).or_insert(place);
        }
        for (line, hash) in (0u16..).zip(&self.after) {
            let Some(place) = self.places.get(hash) else { continue };
            if *hash != BLANK && place.count == 1 && place.line != line {
                self.votes[usize::from(along + line - place.line)] += 1;
            }
        }
    }
}

/// Where a line of some hash was.
#[derive(Debug, Clone, Copy)]
struct Place {
    line: u16,
    count: u16,
}

/// Along which axis lines follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    /// Lines are rows, strips are columns of 64 pixels.
    Down,
    /// Lines are columns, strips are rows of 64 pixels.
    Across,
}

impl Axis {
    /// Along which a shift goes.
    fn of(shift: Shift) -> Self {
        if shift.dy != 0 { Self::Down } else { Self::Across }
    }

    /// The area's extent across and along the axis.
    fn extent(self, area: Rect) -> (u16, u16) {
        match self {
            Self::Down => (area.width, area.height),
            Self::Across => (area.height, area.width),
        }
    }

    fn shift(self, distance: i32) -> (i32, i32) {
        match self {
            Self::Down => (0, distance),
            Self::Across => (distance, 0),
        }
    }

    fn strips(self, area: Rect) -> impl Iterator<Item = Rect> {
        let (across, _) = self.extent(area);
        (0..across).step_by(usize::from(STRIP)).map(move |start| {
            let width = STRIP.min(across - start);
            match self {
                Self::Down => Rect { x: area.x + start, width, ..area },
                Self::Across => Rect { y: area.y + start, height: width, ..area },
            }
        })
    }

    /// Lines `start..end` of a strip.
    fn lines(self, strip: Rect, start: u16, end: u16) -> Rect {
        match self {
            Self::Down => Rect { y: strip.y + start, height: end - start, ..strip },
            Self::Across => Rect { x: strip.x + start, width: end - start, ..strip },
        }
    }

    /// The hash of every line of a strip.
    fn hash(self, picture: &Picture, strip: Rect, hashes: &mut Vec<u64>, blank: &mut Vec<bool>) {
        hashes.clear();
        match self {
            Self::Down => hashes.extend(picture.rows(strip).map(row_hash)),
            Self::Across => column_hashes(picture, strip, hashes, blank),
        }
    }

    /// Makes `same` tell which lines of `to` are those of `from`, a strip of the same size before. Of
    /// those that `known` says so it is known already.
    fn same(
        self,
        next: &Picture,
        to: Rect,
        shadow: &Picture,
        from: Rect,
        known: &[bool],
        same: &mut Vec<bool>,
    ) {
        let rows = next.rows(to).zip(shadow.rows(from));
        same.clear();
        match self {
            Self::Down => {
                same.extend(rows.zip(known).map(|((new, old), &known)| known || new == old));
            }
            Self::Across => {
                same.resize(usize::from(to.width), true);
                for (new, old) in rows {
                    let columns = same.iter_mut().zip(new.iter().zip(old));
                    columns.for_each(|(same, (new, old))| *same &= new == old);
                }
            }
        }
    }
}

/// The known shifts that may be worth their proof: programs may move any number of windows that
/// nobody sees.
fn largest_touched(known: &[Shift], boxes: &[Rect]) -> SmallVec<[Shift; MAX_SHIFTS]> {
    let touched = |shift: &&Shift| boxes.iter().any(|rect| rect.intersect(shift.to).is_some());
    let mut shifts: SmallVec<[Shift; MAX_SHIFTS]> = known.iter().filter(touched).copied().collect();
    shifts.sort_unstable_by_key(|shift| largest(shift.to));
    shifts.truncate(MAX_SHIFTS);
    shifts
}

impl Prover {
    /// Adds the copies that hold of a shift, found by comparing every pixel.
    fn prove(
        &mut self,
        next: &Picture,
        shadow: &Picture,
        shift: Shift,
        axis: Axis,
        copies: &mut Vec<Copy>,
    ) {
        if (shift.dx, shift.dy) == (0, 0) {
            return;
        }
        let Some(to) = with_source_on(shift, next.size()) else { return };
        // Most rows that moved did so in their whole width, and reading along them is far quicker than
        // strip by strip.
        self.whole.clear();
        if let (Axis::Down, Some(source)) = (axis, to.moved(-shift.dx, -shift.dy)) {
            let rows = next.rows(to).zip(shadow.rows(source));
            self.whole.extend(rows.map(|(new, old)| new == old));
        }
        // Runs of neighbouring strips grow together where they cover the same lines.
        self.runs.clear();
        for strip in axis.strips(to) {
            let Some(source) = strip.moved(-shift.dx, -shift.dy) else { continue };
            axis.same(next, strip, shadow, source, &self.whole, &mut self.same);
            for (start, end) in runs_of(&self.same) {
                let run = axis.lines(strip, start, end);
                if is_blank(next, run) {
                    // It lay anywhere before, and is cheaper as a fill.
                    continue;
                }
                let joined = |own: &&mut Rect| own.union(run).area() == own.area() + run.area();
                match self.runs.iter_mut().rev().take(JOIN_REACH).find(joined) {
                    Some(own) => *own = own.union(run),
                    None => self.runs.push(run),
                }
            }
        }
        // The largest first, so that they win where runs of several distances compete.
        self.runs.sort_unstable_by_key(|&run| largest(run));
        self.runs.iter().take(MAX_COPIES).for_each(|&run| push(run, shift, copies));
    }
}

/// Sorts the largest first, and those that are as large by where they are.
fn largest(rect: Rect) -> impl Ord {
    (std::cmp::Reverse(rect.area()), rect.y, rect.x)
}

/// Whether a shift shows itself in some rows of its area, in half of their width at least.
fn shows(next: &Picture, shadow: &Picture, shift: Shift) -> bool {
    let Some(to) = with_source_on(shift, next.size()) else { return false };
    let Some(from) = to.moved(-shift.dx, -shift.dy) else { return false };
    let half = usize::from(to.width / 2);
    let rows = next.rows(to).zip(shadow.rows(from));
    let tried = rows.step_by(usize::from(to.height.div_ceil(TRIED_ROWS)));
    let is_shown = |(new, old): &(&[u32], &[u32])| {
        (new[..half] == old[..half] || new[half..] == old[half..])
            && new.iter().any(|&pixel| pixel != new[0])
    };
    tried.filter(is_shown).take(SHOWN_ROWS).count() == SHOWN_ROWS
}

/// The part of a shift's destination whose source is on the screen.
fn with_source_on(shift: Shift, size: Size) -> Option<Rect> {
    let limit = |start: u16, end: u16, delta: i32, side: u16| {
        let (low, high) = (delta.max(0), i32::from(side) + delta.min(0));
        let clamp = |edge: u16| u16::try_from(i32::from(edge).clamp(low, high.max(low))).ok();
        Some((clamp(start)?, clamp(end)?))
    };
    let to = shift.to;
    let (left, right) = limit(to.x, to.right(), shift.dx, size.width)?;
    let (top, bottom) = limit(to.y, to.bottom(), shift.dy, size.height)?;
    Rect::between(left, top, right, bottom)?.clip(size)
}

/// The stretches of `true` that are worth a copy.
fn runs_of(same: &[bool]) -> impl Iterator<Item = (u16, u16)> {
    let mut line = 0;
    same.chunk_by(|one, other| one == other).filter_map(move |chunk| {
        let start = line;
        line += chunk.len() as u16;
        (chunk[0] && line - start >= MIN_RUN).then_some((start, line))
    })
}

fn is_blank(picture: &Picture, rect: Rect) -> bool {
    crate::classify::single_color(picture, rect).is_some()
}

/// Adds a copy unless an earlier one paints there already.
fn push(to: Rect, shift: Shift, copies: &mut Vec<Copy>) {
    if copies.iter().any(|copy| copy.to.intersect(to).is_some()) {
        return;
    }
    if let Some(from) = to.moved(-shift.dx, -shift.dy) {
        copies.push(Copy { from: Point { x: from.x, y: from.y }, to });
    }
}

/// The hash of every column of a strip. Row by row all the same, for the cache's sake: every
/// column's hash grows by one pixel a row.
fn column_hashes(picture: &Picture, strip: Rect, hashes: &mut Vec<u64>, blank: &mut Vec<bool>) {
    hashes.resize(usize::from(strip.width), 1);
    blank.clear();
    blank.resize(usize::from(strip.width), true);
    hash_columns(picture, strip, hashes, blank);
}

/// Apart from it, since of slices the compiler knows that they do not overlap.
fn hash_columns(picture: &Picture, strip: Rect, hashes: &mut [u64], blank: &mut [bool]) {
    let first = picture.row(strip.x, strip.y, strip.width);
    for row in picture.rows(strip) {
        let columns = hashes.iter_mut().zip(blank.iter_mut()).zip(first.iter().zip(row));
        for ((hash, blank), (first, pixel)) in columns {
            *blank &= pixel == first;
            *hash = mix(*hash, u64::from(*pixel));
        }
    }
    for (hash, blank) in hashes.iter_mut().zip(blank) {
        *hash = if *blank { BLANK } else { *hash | 1 };
    }
}

/// [`BLANK`] for one colour, anything else otherwise. Four lanes let the processor multiply
/// without waiting for the product before.
fn row_hash(pixels: &[u32]) -> u64 {
    if pixels.iter().all(|pixel| *pixel == pixels[0]) {
        return BLANK;
    }
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let mut lanes = [1u64, 2, 3, 4];
    let mut chunks = pixels.chunks_exact(8);
    for chunk in &mut chunks {
        for (lane, two) in lanes.iter_mut().zip(chunk.chunks_exact(2)) {
            *lane = mix(*lane, pair(two[0], two[1]));
        }
    }
    let rest = chunks.remainder().iter().fold(5, |hash, &pixel| mix(hash, pixel.into()));
    lanes.into_iter().fold(rest, mix) | 1
}

/// One step of a multiplicative hash; the multiplier is 2^64 divided by the golden ratio.
fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(23) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The hulls of boxes that lie near each other.
fn areas(boxes: &[Rect]) -> SmallVec<[Rect; AREAS]> {
    let mut areas: SmallVec<[Rect; AREAS]> = SmallVec::new();
    for &rect in boxes {
        let mut grown = rect;
        // What the grown area reaches now may reach others in turn.
        while let Some(at) = areas.iter().position(|&area| near(area, grown)) {
            grown = grown.union(areas.swap_remove(at));
        }
        areas.push(grown);
    }
    areas
}

fn near(one: Rect, other: Rect) -> bool {
    let apart = |a_start: u16, a_end: u16, b_start: u16, b_end: u16| {
        a_start.max(b_start).saturating_sub(a_end.min(b_end))
    };
    apart(one.x, one.right(), other.x, other.right()) <= NEAR
        && apart(one.y, one.bottom(), other.y, other.bottom()) <= NEAR
}

fn covered(area: Rect, copies: &[Copy]) -> usize {
    copies.iter().filter_map(|copy| copy.to.intersect(area)).map(|part| part.area()).sum()
}

/// Keys of the map are hashes already.
#[derive(Debug, Default, Clone, Copy)]
struct PassThrough;

impl std::hash::BuildHasher for PassThrough {
    type Hasher = Passed;

    fn build_hasher(&self) -> Passed {
        Passed(0)
    }
}

#[derive(Debug)]
struct Passed(u64);

impl std::hash::Hasher for Passed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| mix(hash, byte.into()));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
