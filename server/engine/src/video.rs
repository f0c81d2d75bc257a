//! What moves: regions whose pixels change too often, too richly to be sent exactly each time.
//!
//! Each tile of the screen remembers how often in a row it has changed. Where a patch of tiles keeps
//! changing, the hull of what changed there becomes a region; from then on changes in it wait for the
//! next *unit*, a picture of the whole region by a lossy stream of its own, or an exact still where
//! there is no stream to be had. A region lasts while it moves, and ends when it has rested for five
//! seconds, when it turns out to be scrolled text, or when much less than it covers is moving.
//!
//! A region does not swallow small changes while it rests: a caret in a paused player stays sharp.
//!
//! ```text
//!  changed boxes ─┬─ in a region ──────────────▶ pending ──▶ unit of its stream, when one is due
//!                 └─ elsewhere ──▶ copies ──▶ watch ──┬──▶ tiles
//!                                                     └──▶ a new region
//! ```

mod heat;

use crate::damage::TILE;
use crate::picture::Picture;
use crate::rate::ladder::Mode;
use crate::region::Region;
pub use heat::Content;
use heat::HeatMap;
use lattice_wire::picture::{MAX_STREAMS, MAX_VIDEO_DAMAGE};
use lattice_wire::{Copy, Micros, Rect, Size};
use smallvec::SmallVec;

/// Fewer changed pixels than this, in a region that rests, go as tiles.
const LITTLE: usize = 4 * TILE as usize * TILE as usize;
/// A region in which a unit was due so lately is moving: whatever changes there is part of it.
const MOVING: Micros = Micros::from_millis(250);
/// An encoder holds several pictures in memory; it is given up after so long without use.
const UNUSED: Micros = Micros::from_millis(5000);
/// How often a region is looked at anew: whether it is a scroll, and whether it is far too large.
const LOOK: u32 = 16;
/// The least time between two keyframes of a stream, however many viewers come.
const KEYFRAME_INTERVAL: Micros = Micros::from_millis(1000);
/// The least time between stills where a stream would be better but none is to be had.
const STILL: Micros = Micros::from_millis(125);
/// What may be done about what moves.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Streams that there may be; 0 where no viewer can decode them.
    pub streams: u8,
    /// How video is to be made.
    pub mode: Mode,
    /// The bytes of exact tiles that the link takes at once without falling behind; nothing where no
    /// limit of it is known. Larger changes begin as video.
    pub affordable: Option<usize>,
}

/// How a region is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By the stream of this number.
    Stream(u8),
    /// As exact stills.
    Stills,
}

/// A part of the screen that moves.
#[derive(Debug, Clone)]
struct Moving {
    how: How,
    place: Rect,
    content: Content,
    /// What has changed since the last unit.
    pending: Vec<Rect>,
    changed: Micros,
    shown: Option<Micros>,
    keyframe: Option<Micros>,
    wants_keyframe: bool,
    units: u32,
    /// The hull of what changed since the region was last looked at.
    recent: Option<Rect>,
}

/// What changed of a stream's place. A film changes all over, which is one rectangle.
pub type Damage = SmallVec<[Rect; 8]>;

/// A picture of a stream that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The stream.
    pub stream: u8,
    /// Its place on the screen.
    pub place: Rect,
    /// What is shown there.
    pub content: Content,
    /// What changed of it, within the place and at even distances from its corner.
    pub damage: Damage,
    /// Viewers came that lack the units before.
    pub keyframe: bool,
}

/// The regions of one screen.
#[derive(Debug)]
pub struct VideoRegions {
    heat: HeatMap,
    regions: Vec<Moving>,
    scratch: Scratch,
}

/// Memory that is kept from one frame to the next.
#[derive(Debug, Default)]
struct Scratch {
    outside: Vec<Rect>,
    joined: Region,
}

impl VideoRegions {
    /// Nothing moves.
    pub fn new(size: Size) -> Self {
        Self { heat: HeatMap::new(size), regions: Vec::new(), scratch: Scratch::default() }
    }

    /// The streams that exist, and their places.
    pub fn streams(&self) -> impl Iterator<Item = (u8, Rect)> {
        self.regions.iter().filter_map(|region| match region.how {
            How::Stream(stream) => Some((stream, region.place)),
            How::Stills => None,
        })
    }

    /// The pixels of all regions that move at `now`.
    pub fn moving_pixels(&self, now: Micros) -> u64 {
        let moving = self.regions.iter().filter(|region| region.is_moving(now));
        moving.map(|region| region.place.area() as u64).sum()
    }

    /// Viewers came that lack earlier units: the next of each stream is to be a keyframe.
    pub fn want_keyframes(&mut self) {
        self.regions.iter_mut().for_each(|region| region.wants_keyframe = true);
    }

    /// A stream failed: its region goes on as stills.
    pub fn give_up(&mut self, stream: u8) {
        let own = self.regions.iter_mut().filter(|region| region.how == How::Stream(stream));
        own.for_each(|region| region.how = How::Stills);
    }

    /// Takes what changed in regions that move out of `boxes`, and adds it to `held`: it waits for the
    /// next unit.
    pub fn hold(&mut self, now: Micros, boxes: &mut Vec<Rect>, held: &mut Vec<Rect>) {
        for region in &mut self.regions {
            let inside = boxes.iter().filter_map(|rect| rect.intersect(region.place));
            let area: usize = inside.map(|rect| rect.area()).sum();
            // Every so often it must prove anew that it is no scroll, see `release_scrolled`.
            let is_looked_at = region.units % LOOK == LOOK - 1 && region.shown != Some(now);
            if area == 0 || is_looked_at || !region.is_moving(now) && area < LITTLE {
                continue;
            }
            region.take(now, boxes, held, &mut self.scratch);
        }
    }

    /// Takes note of what changed outside regions and was not merely moved, and decides what begins
    /// to move: that is taken out of `boxes` and added to `held`. `shadow` shows the boxes as they are
    /// now.
    pub fn watch(
        &mut self,
        now: Micros,
        boxes: &mut Vec<Rect>,
        copies: &[Copy],
        shadow: &Picture,
        rules: &Rules,
        held: &mut Vec<Rect>,
    ) {
        self.release_scrolled(copies);
        // Those that were passed over to be looked at, and move on.
        for region in self.regions.iter_mut().filter(|region| region.is_moving(now)) {
            region.take(now, boxes, held, &mut self.scratch);
        }
        for (place, content) in self.heat.note(now, boxes, shadow, rules.affordable) {
            let mut region = self.begin(now, place, content, rules);
            region.take(now, boxes, held, &mut self.scratch);
            self.regions.push(region);
        }
    }

    /// What is due at `now`: adds to `units` pictures of streams, to `stills` what is to be sent exactly.
    pub fn take_due(
        &mut self,
        now: Micros,
        rules: &Rules,
        units: &mut Vec<Unit>,
        stills: &mut Vec<Rect>,
    ) {
        self.retire(now);
        for region in &mut self.regions {
            if region.pending.is_empty() || region.due(rules).is_some_and(|at| at > now) {
                continue;
            }
            (region.shown, region.units) = (Some(now), region.units.wrapping_add(1));
            match region.how {
                How::Stream(stream) if !rules.mode.stills => {
                    let may =
                        region.keyframe.is_none_or(|last| last.plus(KEYFRAME_INTERVAL) <= now);
                    let keyframe = region.wants_keyframe && may;
                    if keyframe || region.keyframe.is_none() {
                        (region.keyframe, region.wants_keyframe) = (Some(now), false);
                    }
                    let place = region.place;
                    let damage = region.pending.iter().map(|&rect| evenly(rect, place)).collect();
                    let content = region.content;
                    units.push(Unit { stream, place, content, damage, keyframe });
                }
                How::Stream(_) | How::Stills => stills.extend_from_slice(&region.pending),
            }
            region.pending.clear();
        }
    }

    /// When something will be due.
    pub fn next_due(&self, rules: &Rules) -> Option<Micros> {
        let times = self.regions.iter().map(|region| match region.pending.is_empty() {
            true => region.changed.plus(UNUSED),
            false => region.due(rules).unwrap_or(Micros(0)),
        });
        times.min()
    }

    /// Ends what has not moved for long, and fits what moves in a small part of its region.
    fn retire(&mut self, now: Micros) {
        self.regions.retain(|region| {
            let is_used = !region.pending.is_empty() || now.since(region.changed) < UNUSED;
            let is_far_too_large = region.units % LOOK == LOOK - 1
                && region.recent.is_some_and(|recent| recent.area() * 3 < region.place.area());
            is_used && !is_far_too_large
        });
        for region in &mut self.regions {
            if region.units % LOOK == 0 {
                region.recent = None;
            }
        }
    }

    /// Ends regions of which copies explain half of what they show: what moves there is a scroll.
    fn release_scrolled(&mut self, copies: &[Copy]) {
        self.regions.retain(|region| {
            let parts = copies.iter().filter_map(|copy| copy.to.intersect(region.place));
            parts.map(|part| part.area()).sum::<usize>() * 2 < region.place.area()
        });
    }

    /// A region that begins, and takes the place of those that it meets.
    fn begin(&mut self, now: Micros, place: Rect, content: Content, rules: &Rules) -> Moving {
        let meets = |region: &mut Moving| region.place.intersect(place).is_some();
        let met: Vec<Moving> = self.regions.extract_if(.., meets).collect();
        let place = met.iter().fold(place, |place, region| place.union(region.place));
        let used = self.streams().fold(0u32, |used, (stream, _)| used | 1 << stream);
        let count = u32::from(rules.streams.min(MAX_STREAMS));
        let free = (0..MAX_STREAMS).find(|stream| used & 1 << stream == 0);
        let how = match free {
            Some(stream) if used.count_ones() < count => How::Stream(stream),
            Some(_) | None => How::Stills,
        };
        let pending = met.into_iter().flat_map(|region| region.pending).collect();
        Moving {
            how,
            place,
            content,
            pending,
            changed: now,
            shown: None,
            keyframe: None,
            wants_keyframe: false,
            units: 0,
            recent: None,
        }
    }
}

impl Moving {
    fn is_moving(&self, now: Micros) -> bool {
        self.shown.is_none_or(|shown| now.since(shown.max(self.changed)) <= MOVING)
    }

    /// Takes what lies in its place out of `boxes`, and adds it to `held`.
    fn take(
        &mut self,
        now: Micros,
        boxes: &mut Vec<Rect>,
        held: &mut Vec<Rect>,
        scratch: &mut Scratch,
    ) {
        let before = held.len();
        scratch.outside.clear();
        for rect in boxes.drain(..) {
            match rect.intersect(self.place) {
                Some(part) if part == rect => held.push(rect),
                Some(part) => {
                    held.push(part);
                    let mut left = Region::from(rect);
                    left.subtract(part);
                    scratch.outside.extend_from_slice(left.rects());
                }
                None => scratch.outside.push(rect),
            }
        }
        std::mem::swap(boxes, &mut scratch.outside);
        let inside = &held[before..];
        let Some(hull) = inside.iter().copied().reduce(Rect::union) else { return };
        self.changed = now;
        self.recent = Some(self.recent.map_or(hull, |recent| recent.union(hull)));
        self.pending.extend_from_slice(inside);
        join(&mut self.pending, &mut scratch.joined);
    }

    fn due(&self, rules: &Rules) -> Option<Micros> {
        let least = match self.how {
            How::Stream(_) => rules.mode.interval,
            How::Stills => rules.mode.interval.max(STILL),
        };
        self.shown.map(|shown| shown.plus(least))
    }
}

/// The rectangle widened to whole samples of chroma, which is coded at half the size: browsers copy
/// nothing less of a picture without making a detour.
fn evenly(rect: Rect, place: Rect) -> Rect {
    let down = |at: u16, start: u16| start + (at - start) / 2 * 2;
    let up = |at: u16, start: u16, end: u16| (start + (at - start).next_multiple_of(2)).min(end);
    let (left, top) = (down(rect.x, place.x), down(rect.y, place.y));
    let right = up(rect.right(), place.x, place.right());
    let bottom = up(rect.bottom(), place.y, place.bottom());
    Rect::between(left, top, right, bottom).unwrap_or(rect)
}

/// Makes boxes disjoint and few: rows of neighbouring boxes become one, and where that is not enough
/// their hull does.
fn join(boxes: &mut Vec<Rect>, joined: &mut Region) {
    let hull = boxes.iter().copied().reduce(Rect::union);
    let area: usize = boxes.iter().map(|rect| rect.area()).sum();
    let Some(hull) = hull else { return };
    // Most of the region moves, as in any film: nothing is gained by saying which tiles.
    if boxes.len() > MAX_VIDEO_DAMAGE || area * 4 >= hull.area() * 3 {
        boxes.clear();
        boxes.push(hull);
    } else {
        joined.clear();
        boxes.drain(..).for_each(|rect| joined.add(rect));
        joined.simplify(MAX_VIDEO_DAMAGE);
        boxes.extend_from_slice(joined.rects());
    }
}

#[cfg(test)]
mod tests;
