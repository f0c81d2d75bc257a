//! One viewer: what it has been sent, what it lacks, and how fast it is.

use super::{Limits, Sees};
use crate::rate::link::{Link, Painted};
use crate::rate::{MAX_ON_THE_WAY, on_the_wire};
use crate::region::Region;
use lattice_wire::link::MAX_REFRESH_RECTS;
use lattice_wire::{Ack, FrameFlags, FrameRef, FrameTable, Micros, Rect, RefreshId, StepKind};
use std::collections::VecDeque;

/// Steps of a frame times rectangles that are missed, up to which each pair is looked at.
const MAX_PAIRS: usize = 1024;

#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) sees: Sees,
    pub(super) stage: Stage,
    pub(super) link: Link,
    sent: VecDeque<Sent>,
    /// Since when it has frames to take, and has neither painted nor been written any of them.
    /// Dropping frames does not change it.
    waiting_since: Option<Micros>,
    /// The newest frame that was sent to it.
    latest: Option<FrameRef>,
    /// When it may be given a keyframe again for the asking.
    next_keyframe: Micros,
}

#[derive(Debug, PartialEq)]
pub(super) enum Stage {
    /// Needs a keyframe, to be asked for not before this time.
    Awaiting(Micros),
    /// Gets each frame, and lacks at most what was video in them.
    Live(Region),
    /// Gets no frames until what it lacks has been refreshed.
    Lagging {
        missed: Region,
        /// The answer to this request holds it, and all that will have been missed until then.
        covered: Option<RefreshId>,
    },
}

/// A frame on its way to a viewer.
#[derive(Debug)]
struct Sent {
    at: FrameRef,
    len: usize,
    when: Micros,
    /// Its bytes have begun to go out, so all of them will.
    on_the_wire: bool,
    touched: Region,
}

/// A frame as the fan-out looks at it, worked out once for all viewers.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    pub(super) table: &'a FrameTable,
    /// Its length with and without video.
    pub(super) len: (usize, usize),
    pub(super) touched: Region,
    /// A refresh without exact pixels of what is shown as video.
    pub(super) lacks_stills: bool,
}

impl Viewer {
    pub(super) fn new(sees: Sees, now: Micros) -> Self {
        Self {
            sees,
            stage: Stage::Awaiting(now),
            link: Link::new(),
            sent: VecDeque::new(),
            waiting_since: None,
            latest: None,
            next_keyframe: now,
        }
    }

    /// There is a new display: no frame from before counts.
    pub(super) fn reset(&mut self) {
        self.stage = Stage::Awaiting(Micros(0));
        self.sent.clear();
        (self.latest, self.waiting_since) = (None, None);
    }

    /// Offers a frame; whether the viewer gets it.
    pub(super) fn offer(&mut self, frame: &Arrival<'_>, limits: &Limits, now: Micros) -> bool {
        let len = match self.sees {
            Sees::Video => frame.len.0,
            Sees::Stills => frame.len.1,
        };
        if !self.wants(frame) || !self.has_room(limits, len, now) {
            return false;
        }
        let flags = frame.table.flags;
        let mut missed = match std::mem::replace(&mut self.stage, Stage::Live(Region::new())) {
            Stage::Live(missed) if flags == FrameFlags::default() => missed,
            // It brings all that was missed.
            Stage::Live(_) | Stage::Lagging { .. } | Stage::Awaiting(_) => Region::new(),
        };
        if self.sees == Sees::Stills {
            missed = without_video(missed, frame.table);
        }
        self.stage = Stage::Live(missed);
        self.push(frame, len, now);
        true
    }

    /// Whether the frame continues this viewer's picture.
    fn wants(&self, frame: &Arrival<'_>) -> bool {
        let table = frame.table;
        let (answers, is_whole) = (table.flags.refresh, table.flags.keyframe.is_some());
        let is_refresh = answers.is_some();
        if frame.lacks_stills && self.sees == Sees::Stills {
            return false;
        }
        match &self.stage {
            Stage::Awaiting(_) => is_whole && self.sent.is_empty(),
            // A keyframe of another frame than the viewer has: the agent has begun anew.
            Stage::Live(_) if is_refresh && is_whole => self.latest != Some(table.at),
            // Whoever was live when a refresh was asked for was asked for, and gets it in its turn.
            Stage::Live(missed) if is_refresh => {
                !missed.is_empty() && self.latest == Some(table.at)
            }
            Stage::Live(_) => true,
            Stage::Lagging { covered, .. } => {
                self.sent.is_empty() && is_refresh && (*covered == answers || is_whole)
            }
        }
    }

    /// Frames that the link itself holds take no room: see [`on_the_wire`].
    fn has_room(&self, limits: &Limits, len: usize, now: Micros) -> bool {
        let queued = self.sent.iter().map(|sent| sent.len).sum::<usize>() + len;
        let wire = on_the_wire(self.link.base_rtt());
        let waiting = self.sent.iter().filter(|sent| now.since(sent.when) >= wire).count();
        let carried = |span| self.link.bitrate().map_or(u64::MAX, |bitrate| bitrate.bytes_in(span));
        let in_time = queued as u64 <= carried(wire.plus(limits.max_wait));
        self.sent.is_empty()
            || waiting < limits.max_unacked
                && self.sent.len() < MAX_ON_THE_WAY + limits.max_unacked
                && queued <= limits.max_queued
                && (in_time || self.sent.len() < 2)
    }

    fn push(&mut self, frame: &Arrival<'_>, len: usize, now: Micros) {
        let (at, touched) = (frame.table.at, frame.touched.clone());
        self.waiting_since.get_or_insert(now);
        self.sent.push_back(Sent { at, len, when: now, on_the_wire: false, touched });
        self.latest = Some(at);
        self.link.handle_sent(len, now);
    }

    /// The frame passes this viewer by; whether what waits for it must be dropped.
    pub(super) fn miss(&mut self, frame: &Arrival<'_>) -> bool {
        let (fell_behind, mut missed, covered) = match &mut self.stage {
            Stage::Awaiting(_) => return false,
            // Frames that are dropped now may be older than what a refresh was asked for.
            Stage::Live(missed) => (true, std::mem::take(missed), None),
            // A refresh that is asked for holds what came after the asking, too.
            Stage::Lagging { missed, covered } => (false, std::mem::take(missed), *covered),
        };
        if fell_behind {
            for lost in self.sent.iter().filter(|sent| !sent.on_the_wire) {
                missed.add_all(&lost.touched);
            }
            self.sent.retain(|sent| sent.on_the_wire);
        }
        missed.add_all(&frame.touched);
        // A picture of another size has to come whole.
        self.stage = match frame.table.flags.keyframe.is_some() {
            true => Stage::Awaiting(Micros(0)),
            false => Stage::Lagging { missed: missed.simplified(MAX_REFRESH_RECTS), covered },
        };
        fell_behind
    }

    /// The oldest waiting frame is being written.
    pub(super) fn handle_taken(&mut self) {
        if let Some(sent) = self.sent.iter_mut().find(|sent| !sent.on_the_wire) {
            sent.on_the_wire = true;
        }
    }

    /// A part of a frame has been written.
    pub(super) fn handle_progress(&mut self, now: Micros) {
        if let Some(since) = self.waiting_since.as_mut() {
            *since = now;
        }
    }

    /// A frame and all before it are painted; whether it was one that had been sent.
    pub(super) fn handle_ack(&mut self, ack: Ack, now: Micros) -> bool {
        let Some(place) = self.sent.iter().position(|sent| sent.at == ack.at) else { return false };
        if let Some(Sent { len, when, .. }) = self.sent.drain(..=place).next_back() {
            let decode = Micros(u64::from(ack.decode_us));
            let painted = Painted { bytes: len, sent: when, decode, queued: ack.queued };
            self.link.handle_painted(painted, now);
        }
        self.waiting_since = (!self.sent.is_empty()).then_some(now);
        true
    }

    /// Its picture is not good: it needs a keyframe, but one each `interval` at most.
    pub(super) fn handle_refresh_request(&mut self, interval: Micros, now: Micros) {
        let from = self.next_keyframe.max(now);
        self.stage = Stage::Awaiting(from);
        self.sent.retain(|sent| sent.on_the_wire);
        self.next_keyframe = from.plus(interval);
    }

    /// Whether its picture, once painted, is exactly that of frame `at`.
    pub(super) fn has(&self, at: FrameRef) -> bool {
        let whole = matches!(&self.stage, Stage::Live(missed) if missed.is_empty());
        whole && self.latest == Some(at)
    }

    /// By how much the oldest frame that is not painted is older than it has to be.
    pub(super) fn debt(&self, now: Micros) -> Micros {
        let oldest = self.sent.front().map(|sent| self.link.lateness(sent.when, now));
        oldest.unwrap_or(Micros(0)).max(self.link.debt())
    }

    /// From when on a keyframe may be asked for, if one is needed and can be taken.
    pub(super) fn awaits_from(&self) -> Option<Micros> {
        match self.stage {
            Stage::Awaiting(from) if self.sent.is_empty() => Some(from),
            Stage::Awaiting(_) | Stage::Live(_) | Stage::Lagging { .. } => None,
        }
    }

    pub(super) fn may_catch_up(&self) -> bool {
        match &self.stage {
            Stage::Lagging { .. } => self.sent.is_empty(),
            Stage::Live(missed) => !missed.is_empty(),
            Stage::Awaiting(_) => false,
        }
    }

    /// What this request is to ask for on its behalf.
    pub(super) fn catch_up(&mut self, request: RefreshId) -> &Region {
        match &mut self.stage {
            Stage::Lagging { missed, covered } => {
                *covered = Some(request);
                missed
            }
            Stage::Live(missed) => missed,
            Stage::Awaiting(_) => const { &Region::new() },
        }
    }

    pub(super) fn stalled_at(&self, limits: &Limits) -> Option<Micros> {
        self.waiting_since.map(|since| since.plus(limits.stall))
    }

    /// Once is enough: the edge takes the viewer away.
    pub(super) fn forgive(&mut self) {
        self.waiting_since = None;
    }
}

/// What is missed after a frame whose units of video are left out.
///
/// Copies read the picture before the frame, so what was missed in a source is missed in its
/// destination; what is painted over is there again; and the place of a unit of video is missed.
fn without_video(missed: Region, table: &FrameTable) -> Region {
    if missed.is_empty() && !table.has_video() {
        return missed;
    }
    // The agent is not trusted to keep the steps few; a frame of a real one stays far below.
    if table.steps.len() * (missed.rects().len() + 1) > MAX_PAIRS {
        let all: Vec<Rect> = table.steps.iter().map(|step| step.rect).collect();
        let mut hull = missed;
        hull.add_all(&Region::around(&all, MAX_REFRESH_RECTS));
        return hull.simplified(MAX_REFRESH_RECTS);
    }
    let mut after = missed.clone();
    let copies = table.steps.iter().filter_map(|step| match step.kind {
        StepKind::Copy(from) => Some(lattice_wire::Copy { from, to: step.rect }),
        StepKind::Fill(_) | StepKind::Png(_) | StepKind::Palette(_) | StepKind::Video(_) => None,
    });
    let mut moved = Region::new();
    for copy in copies {
        after.subtract(copy.to);
        for part in missed.within(copy.source()).rects() {
            let (dx, dy) = (part.x - copy.from.x, part.y - copy.from.y);
            moved.add(Rect { x: copy.to.x + dx, y: copy.to.y + dy, ..*part });
        }
    }
    after.add_all(&moved);
    for step in &table.steps {
        match step.kind {
            StepKind::Video(_) => after.add(step.rect),
            StepKind::Fill(_) | StepKind::Png(_) | StepKind::Palette(_) => {
                after.subtract(step.rect);
            }
            StepKind::Copy(_) => {}
        }
    }
    after.simplified(MAX_REFRESH_RECTS)
}
