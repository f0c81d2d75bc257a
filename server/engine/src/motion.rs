//! What merely moved: scrolled text and dragged windows, found in the pixels and proved by them.
//!
//! A scroll is found by hashing lines. The area that changed is cut into strips across the
//! direction of motion (64 pixels wide, so that a blinking caret, a clock or a scroll bar spoils
//! one strip and not all); each line of each strip is hashed before and after. A line of a kind that
//! occurs once before and is met elsewhere after votes for its distance. The distances with most
//! votes are then tried on every strip. A window's move needs no search: the X server tells it.
//! Either way a copy is planned only after its source was compared with its destination, pixel by
//! pixel.

use crate::picture::Picture;
use lattice_wire::{Copy, Point, Rect};
use std::collections::HashMap;

/// The width of a strip, in pixels.
const STRIP: u16 = 64;

/// The smallest area in which a scroll is looked for, in pixels each way; below it tiles are cheap.
const MIN_AREA: (u16, u16) = (STRIP, 24);

/// The shortest run of lines that is copied; shorter ones cost more as operations than as tiles.
const MIN_RUN: u16 = 8;

/// The fewest lines that must agree on a distance.
const MIN_VOTES: u32 = 6;

/// How many distances are tried in an area: panes that scroll together rarely are more.
const MAX_DISTANCES: usize = 3;

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
    /// Where they would be now; the source is on the screen, too.
    pub to: Rect,
    /// Pixels to the right.
    pub dx: i32,
    /// Pixels down.
    pub dy: i32,
}

/// Finds copies. Keeps its memory from frame to frame.
#[derive(Debug, Default)]
pub struct Mover {
    before: Lines,
    after: Lines,
    places: HashMap<u64, Place, PassThrough>,
}

impl Mover {
    /// No memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The copies that make part of `next` from `shadow`, which differ within `boxes` only. `known`
    /// are tried first. No two copies overlap in what they paint.
    pub fn find(
        &mut self,
        next: &Picture,
        shadow: &Picture,
        boxes: &[Rect],
        known: &[Shift],
    ) -> Vec<Copy> {
        let mut copies = Vec::new();
        for shift in known.iter().filter(|shift| (shift.dx, shift.dy) != (0, 0)) {
            prove_shift(next, shadow, shift, &mut copies);
        }
        for area in areas(boxes) {
            if covered(area, &copies) * 2 >= area.area() {
                continue;
            }
            self.find_scroll(next, shadow, area, Axis::Down, &mut copies);
            if covered(area, &copies) * 2 < area.area() {
                self.find_scroll(next, shadow, area, Axis::Across, &mut copies);
            }
        }
        copies.retain(|copy| boxes.iter().any(|rect| rect.intersect(copy.to).is_some()));
        copies.sort_by_key(|copy| std::cmp::Reverse(copy.to.area()));
        copies.truncate(MAX_COPIES);
        copies
    }

    fn find_scroll(
        &mut self,
        next: &Picture,
        shadow: &Picture,
        area: Rect,
        axis: Axis,
        copies: &mut Vec<Copy>,
    ) {
        let (across, along) = axis.extent(area);
        if across < MIN_AREA.0 || along < MIN_AREA.1 {
            return;
        }
        self.before.hash(shadow, area, axis);
        self.after.hash(next, area, axis);
        for distance in self.distances(along) {
            let mut runs = Runs::default();
            for strip in 0..self.after.strips {
                self.runs_of(strip, distance, &mut runs);
            }
            for run in runs.done() {
                let Some(to) = axis.rect(area, run) else { continue };
                prove_run(next, shadow, area, to, axis.shift(distance), copies);
            }
        }
    }

    /// The distances that most lines agree on, best first.
    fn distances(&mut self, along: u16) -> Vec<i32> {
        let mut votes = vec![0u32; usize::from(along) * 2];
        for strip in 0..self.after.strips {
            self.places.clear();
            for (line, &hash) in (0u16..).zip(self.before.strip(strip)) {
                let place = Place { line, count: 1 };
                self.places.entry(hash).and_modify(|place| place.count += 1).or_insert(place);
            }
            for (line, &hash) in (0u16..).zip(self.after.strip(strip)) {
                let Some(place) = self.places.get(&hash) else { continue };
                if hash != BLANK && place.count == 1 && place.line != line {
                    votes[usize::from(along + line - place.line)] += 1;
                }
            }
        }
        let mut best: Vec<(u32, i32)> = votes
            .into_iter()
            .zip(-i32::from(along)..)
            .filter(|(count, _)| *count >= MIN_VOTES)
            .collect();
        best.sort_unstable_by_key(|&(count, distance)| (std::cmp::Reverse(count), distance.abs()));
        best.into_iter().take(MAX_DISTANCES).map(|(_, distance)| distance).collect()
    }

    /// The lines of a strip that are what was `distance` before them, in runs.
    fn runs_of(&self, strip: usize, distance: i32, runs: &mut Runs) {
        let (before, after) = (self.before.strip(strip), self.after.strip(strip));
        let came_along = |line: usize| {
            let source = usize::try_from(line as i32 - distance).ok();
            source.and_then(|source| before.get(source)) == Some(&after[line])
        };
        let mut line = 0;
        while line < after.len() {
            let start = line;
            // A run of blank lines alone says nothing about motion.
            let mut telling = false;
            while line < after.len() && came_along(line) {
                telling |= after[line] != BLANK;
                line += 1;
            }
            if telling && line - start >= usize::from(MIN_RUN) {
                runs.add(strip as u16, start as u16, line as u16);
            }
            line += 1;
        }
    }
}

/// Where a line of some hash was.
#[derive(Debug, Clone, Copy)]
struct Place {
    line: u16,
    count: u16,
}

/// The direction of a scroll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    /// Lines are rows, strips are columns of 64 pixels.
    Down,
    /// Lines are columns, strips are rows of 64 pixels.
    Across,
}

impl Axis {
    /// The area's extent across and along the motion.
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

    /// The rectangle of a run in `area`.
    fn rect(self, area: Rect, run: Run) -> Option<Rect> {
        let strips = (run.first * STRIP, run.last * STRIP + STRIP);
        let (columns, rows) = match self {
            Self::Down => (strips, (run.start, run.end)),
            Self::Across => ((run.start, run.end), strips),
        };
        let rect = Rect::between(columns.0, rows.0, columns.1, rows.1)?;
        area.intersect(rect.moved(area.x.into(), area.y.into())?)
    }
}

/// Lines `start..end` of the strips `first..=last`.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: u16,
    last: u16,
    start: u16,
    end: u16,
}

/// Runs of neighbouring strips, joined where they cover the same lines.
#[derive(Debug, Default)]
struct Runs {
    runs: Vec<Run>,
}

impl Runs {
    fn add(&mut self, strip: u16, start: u16, end: u16) {
        let beside = |run: &&mut Run| run.last + 1 == strip && (run.start, run.end) == (start, end);
        match self.runs.iter_mut().find(beside) {
            Some(run) => run.last = strip,
            None => self.runs.push(Run { first: strip, last: strip, start, end }),
        }
    }

    /// The largest first, so that they win where runs of several distances compete.
    fn done(mut self) -> Vec<Run> {
        let size = |run: &Run| u32::from(run.last - run.first + 1) * u32::from(run.end - run.start);
        self.runs.sort_by_key(|run| std::cmp::Reverse(size(run)));
        self.runs
    }
}

/// The hash of every line of every strip of an area.
#[derive(Debug, Default)]
struct Lines {
    hashes: Vec<u64>,
    strips: usize,
    lines: usize,
}

impl Lines {
    fn strip(&self, strip: usize) -> &[u64] {
        &self.hashes[strip * self.lines..(strip + 1) * self.lines]
    }

    fn hash(&mut self, picture: &Picture, area: Rect, axis: Axis) {
        let (across, along) = axis.extent(area);
        self.strips = usize::from(across.div_ceil(STRIP));
        self.lines = usize::from(along);
        self.hashes.clear();
        self.hashes.resize(self.strips * self.lines, BLANK);
        match axis {
            Axis::Down => self.hash_rows(picture, area),
            Axis::Across => self.hash_columns(picture, area),
        }
    }

    fn hash_rows(&mut self, picture: &Picture, area: Rect) {
        for (line, row) in picture.rows(area).enumerate() {
            for (strip, pixels) in row.chunks(usize::from(STRIP)).enumerate() {
                self.hashes[strip * self.lines + line] = row_hash(pixels);
            }
        }
    }

    /// Row by row all the same, for the cache's sake: every column's hash grows by one pixel a row.
    fn hash_columns(&mut self, picture: &Picture, area: Rect) {
        let mut blank = vec![true; self.lines];
        let mut first = vec![0; self.lines];
        for (y, row) in picture.rows(area).enumerate() {
            let strip = y / usize::from(STRIP);
            let hashes = &mut self.hashes[strip * self.lines..(strip + 1) * self.lines];
            if y % usize::from(STRIP) == 0 {
                blank.fill(true);
                first.copy_from_slice(row);
            }
            let columns = hashes.iter_mut().zip(&mut blank).zip(&first).zip(row);
            for (((hash, blank), first), pixel) in columns {
                *blank &= pixel == first;
                *hash = mix(*hash, u64::from(*pixel) + 1);
            }
            let last = y % usize::from(STRIP) == usize::from(STRIP) - 1;
            if last || y + 1 == usize::from(area.height) {
                let uniform = hashes.iter_mut().zip(&blank).filter(|(_, blank)| **blank);
                uniform.for_each(|(hash, _)| *hash = BLANK);
            }
        }
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
fn areas(boxes: &[Rect]) -> Vec<Rect> {
    let mut areas: Vec<Rect> = Vec::new();
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

/// Adds the copies that hold of a known shift: strip by strip, since another window may lie over it.
fn prove_shift(next: &Picture, shadow: &Picture, shift: &Shift, copies: &mut Vec<Copy>) {
    let mut runs = Runs::default();
    for (number, x) in (0u16..).zip((shift.to.x..shift.to.right()).step_by(usize::from(STRIP))) {
        let right = x.saturating_add(STRIP).min(shift.to.right());
        let Some(strip) = Rect::between(x, shift.to.y, right, shift.to.bottom()) else { continue };
        let Some(source) = strip.moved(-shift.dx, -shift.dy) else { continue };
        let mut start = None;
        let rows = next.rows(strip).zip(shadow.rows(source)).map(|(new, old)| new == old);
        for (line, same) in (0u16..).zip(rows.chain([false])) {
            match (same, start) {
                (true, None) => start = Some(line),
                (false, Some(first)) => {
                    if line - first >= MIN_RUN {
                        runs.add(number, first, line);
                    }
                    start = None;
                }
                _ => {}
            }
        }
    }
    for run in runs.done() {
        let Some(to) = Axis::Down.rect(shift.to, run) else { continue };
        push(to, (shift.dx, shift.dy), copies);
    }
}

/// Adds the copy of a run that hashes promise, if the pixels keep the promise. The run ends where
/// its source leaves the area that was hashed; the copy goes on as far as the pixels do.
fn prove_run(
    next: &Picture,
    shadow: &Picture,
    area: Rect,
    to: Rect,
    shift: (i32, i32),
    copies: &mut Vec<Copy>,
) {
    if !came_from(next, shadow, to, shift) {
        return;
    }
    let mut grown = to;
    for line in lines_beyond(to, area, shift) {
        if !came_from(next, shadow, line, shift) {
            break;
        }
        grown = grown.union(line);
    }
    push(grown, shift, copies);
}

/// The lines of `area` that follow `to` on the side to which the source lies, nearest first.
fn lines_beyond(to: Rect, area: Rect, (dx, dy): (i32, i32)) -> impl Iterator<Item = Rect> {
    let row = move |y: u16| Rect { y, height: 1, ..to };
    let column = move |x: u16| Rect { x, width: 1, ..to };
    let after = (0..if dy < 0 { area.bottom() - to.bottom() } else { 0 })
        .map(move |line| row(to.bottom() + line));
    let before = (0..if dy > 0 { to.y - area.y } else { 0 }).map(move |line| row(to.y - 1 - line));
    let right = (0..if dx < 0 { area.right() - to.right() } else { 0 })
        .map(move |line| column(to.right() + line));
    let left = (0..if dx > 0 { to.x - area.x } else { 0 }).map(move |line| column(to.x - 1 - line));
    after.chain(before).chain(right).chain(left)
}

/// Whether the pixels of `to` are those that lay against the shift before.
fn came_from(next: &Picture, shadow: &Picture, to: Rect, (dx, dy): (i32, i32)) -> bool {
    let source = to.moved(-dx, -dy).filter(|source| source.clip(shadow.size()) == Some(*source));
    source.is_some_and(|source| next.rows(to).eq(shadow.rows(source)))
}

/// Adds a copy unless an earlier one paints there already.
fn push(to: Rect, shift: (i32, i32), copies: &mut Vec<Copy>) {
    if copies.iter().any(|copy| copy.to.intersect(to).is_some()) {
        return;
    }
    if let Some(from) = to.moved(-shift.0, -shift.1) {
        copies.push(Copy { from: Point { x: from.x, y: from.y }, to });
    }
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
