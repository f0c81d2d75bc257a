//! From one stream of frames to any number of viewers, each as fast as it can.
//!
//! A viewer is `Awaiting` a keyframe, then `Live`: it gets each frame. One that does not keep up is
//! `Lagging`: what waited for it is dropped and remembered as a region; once it has painted what was
//! on its way, it gets that region as it is *now*, in a refresh that all laggards share, and is live
//! again. So a laggard costs one refresh at most every [`Limits::refresh_interval`], and never slows
//! another viewer: the fastest one paces the agent ([`Effect::Painted`]).
//!
//! ```text
//! join ─▶ Awaiting ── keyframe ──▶ Live ◀── refresh ── Lagging
//!            ▲  ▲                  │ │                    ▲
//!            │  └──── asks ────────┘ └── too far behind ──┘
//!            └─────── resized while behind ───────────────┘
//! ```

use crate::region::Region;
use lattice_wire::link::MAX_REFRESH_RECTS;
use lattice_wire::{FrameRef, FrameTable, Micros, Rect, Refresh, ViewerId};
use std::collections::{BTreeMap, VecDeque};

/// How far a viewer may fall behind.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Frames that were sent to a viewer and not painted.
    pub max_unacked: usize,
    /// Bytes of them; one frame of any size is always let through.
    pub max_queued: usize,
    /// The least time between two refreshes for laggards.
    pub refresh_interval: Micros,
    /// A viewer that paints nothing for so long, while frames wait for it, is closed.
    pub stall: Micros,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_unacked: 4,
            max_queued: 4 << 20,
            refresh_interval: Micros::from_millis(500),
            stall: Micros::from_millis(30_000),
        }
    }
}

/// How long an agent may take to answer a request for a refresh before it is asked again.
const REFRESH_PATIENCE: Micros = Micros::from_millis(2000);

/// The least time between two keyframes that one viewer gets by asking.
const KEYFRAME_INTERVAL: Micros = Micros::from_millis(1000);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the agent for current pixels.
    Refresh(Refresh),
    /// Tell the agent the newest frame that a viewer has painted.
    Painted(FrameRef),
    /// Throw away this viewer's frames whose writing to its socket has not begun.
    DropQueued(ViewerId),
    /// Close this viewer's connection: it has stalled.
    Close(ViewerId),
}

/// The viewers of one session.
#[derive(Debug)]
pub struct Fanout {
    limits: Limits,
    viewers: BTreeMap<ViewerId, Viewer>,
    newest: Option<FrameRef>,
    painted: Option<FrameRef>,
    asked: Option<Asked>,
    last_part: Option<Micros>,
    /// There is no display to ask for pixels.
    is_away: bool,
    effects: Vec<Effect>,
}

#[derive(Debug)]
struct Viewer {
    stage: Stage,
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
enum Stage {
    /// Needs a keyframe, to be asked for not before this time.
    Awaiting(Micros),
    Live,
    /// What it lacks, and whether the refresh that is asked for covers it.
    Lagging {
        missed: Region,
        covered: bool,
    },
}

/// A frame on its way to a viewer.
#[derive(Debug)]
struct Sent {
    at: FrameRef,
    len: usize,
    /// Its bytes have begun to go out, so all of them will.
    on_the_wire: bool,
    touched: Region,
}

/// The request that the agent has not answered.
#[derive(Debug, Clone, Copy)]
struct Asked {
    whole: bool,
    when: Micros,
}

impl Fanout {
    /// No viewers.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            viewers: BTreeMap::new(),
            newest: None,
            painted: None,
            asked: None,
            last_part: None,
            is_away: false,
            effects: Vec::new(),
        }
    }

    /// A viewer came at `now` and needs a picture.
    pub fn join(&mut self, viewer: ViewerId, now: Micros) {
        let fresh = Viewer {
            stage: Stage::Awaiting(now),
            sent: VecDeque::new(),
            waiting_since: None,
            latest: None,
            next_keyframe: now,
        };
        self.viewers.insert(viewer, fresh);
    }

    /// A viewer went.
    pub fn leave(&mut self, viewer: ViewerId) {
        self.viewers.remove(&viewer);
        // An agent that nobody looks at forgets what it was asked: who comes next asks anew.
        if self.viewers.is_empty() {
            self.asked = None;
        }
    }

    /// The display is gone: no frame from before counts, nobody is to blame for not painting, and
    /// nothing is asked for until [`Fanout::reset`].
    pub fn suspend(&mut self) {
        self.reset();
        self.is_away = true;
    }

    /// There is a new display: no frame from before counts.
    pub fn reset(&mut self) {
        self.is_away = false;
        (self.newest, self.painted, self.asked, self.last_part) = (None, None, None, None);
        self.effects.clear();
        for (&id, viewer) in &mut self.viewers {
            viewer.stage = Stage::Awaiting(Micros(0));
            viewer.sent.clear();
            (viewer.latest, viewer.waiting_since) = (None, None);
            self.effects.push(Effect::DropQueued(id));
        }
    }

    /// A frame of `len` bytes came from the agent; returns who gets it.
    pub fn handle_frame(&mut self, table: &FrameTable, len: usize, now: Micros) -> Vec<ViewerId> {
        self.newest = Some(table.at);
        // A part does not answer who asked for the whole meanwhile.
        if table.flags.refresh && (table.flags.keyframe || self.asked.is_some_and(|it| !it.whole)) {
            self.asked = None;
        }
        let touched = touched_by(table);
        let mut receivers = Vec::new();
        for (&id, viewer) in &mut self.viewers {
            if viewer.wants(table) && viewer.has_room(&self.limits, len) {
                viewer.stage = Stage::Live;
                viewer.push(table.at, len, &touched, now);
                receivers.push(id);
            } else if !table.flags.refresh && viewer.miss(table, &touched) {
                self.effects.push(Effect::DropQueued(id));
            }
        }
        receivers
    }

    /// A digest came that holds after frame `at`; returns the viewers it is true for.
    pub fn handle_digest(&self, at: FrameRef) -> Vec<ViewerId> {
        let current = |viewer: &Viewer| viewer.stage == Stage::Live && viewer.latest == Some(at);
        self.viewers.iter().filter(|(_, viewer)| current(viewer)).map(|(&id, _)| id).collect()
    }

    /// The oldest waiting frame of a viewer is being written to its socket. On a slow link that
    /// takes a while, and the viewer gets it whole whatever is dropped behind it.
    pub fn handle_taken(&mut self, viewer: ViewerId) {
        let Some(viewer) = self.viewers.get_mut(&viewer) else { return };
        if let Some(sent) = viewer.sent.iter_mut().find(|sent| !sent.on_the_wire) {
            sent.on_the_wire = true;
        }
    }

    /// A part of a frame has been written to a viewer's socket: slow as it is, it takes it.
    pub fn handle_progress(&mut self, viewer: ViewerId, now: Micros) {
        let viewer = self.viewers.get_mut(&viewer);
        if let Some(since) = viewer.and_then(|viewer| viewer.waiting_since.as_mut()) {
            *since = now;
        }
    }

    /// A viewer has painted frame `at` and all before it. A frame it was not sent is ignored.
    pub fn handle_ack(&mut self, viewer: ViewerId, at: FrameRef, now: Micros) {
        let Some(viewer) = self.viewers.get_mut(&viewer) else { return };
        let Some(place) = viewer.sent.iter().position(|sent| sent.at == at) else { return };
        viewer.sent.drain(..=place);
        viewer.waiting_since = (!viewer.sent.is_empty()).then_some(now);
        let newer = |old: FrameRef| old.epoch != at.epoch || old.id < at.id;
        if self.painted.is_none_or(newer) && self.newest.is_some_and(|new| new.epoch == at.epoch) {
            self.painted = Some(at);
            self.effects.push(Effect::Painted(at));
        }
    }

    /// A viewer says at `now` that its picture is not good. It gets a keyframe once it has
    /// acknowledged what is on its way.
    pub fn handle_refresh_request(&mut self, id: ViewerId, now: Micros) {
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        viewer.stage = Stage::Awaiting(viewer.next_keyframe.max(now));
        viewer.sent.retain(|sent| sent.on_the_wire);
        viewer.next_keyframe = viewer.next_keyframe.max(now).plus(KEYFRAME_INTERVAL);
        self.effects.push(Effect::DropQueued(id));
    }

    /// What is to be done at `now`.
    pub fn poll(&mut self, now: Micros) -> Vec<Effect> {
        if self.asked.is_some_and(|asked| now.since(asked.when) >= REFRESH_PATIENCE) {
            self.asked = None;
        }
        self.ask(now);
        for (&id, viewer) in &mut self.viewers {
            if viewer.stalled_at(&self.limits).is_some_and(|at| at <= now) {
                // Once is enough: the edge takes the viewer away.
                viewer.waiting_since = None;
                self.effects.push(Effect::Close(id));
            }
        }
        std::mem::take(&mut self.effects)
    }

    /// When to poll again at the latest.
    pub fn deadline(&self) -> Option<Micros> {
        let stalls = self.viewers.values().filter_map(|viewer| viewer.stalled_at(&self.limits));
        let patience = self.asked.map(|asked| asked.when.plus(REFRESH_PATIENCE));
        let may_ask = self.asked.is_none() && !self.is_away;
        let waits = may_ask && self.viewers.values().any(Viewer::may_catch_up);
        let refresh = waits.then(|| self.next_part());
        let free = !self.is_away && self.asked.is_none_or(|asked| !asked.whole);
        let keyframes = self.viewers.values().filter_map(Viewer::awaits_from).filter(|_| free);
        stalls.chain(patience).chain(refresh).chain(keyframes).min()
    }

    fn ask(&mut self, now: Micros) {
        if self.is_away {
            return;
        }
        let mut awaited = self.viewers.values().filter_map(Viewer::awaits_from);
        let whole = awaited.any(|from| from <= now);
        if whole && self.asked.is_none_or(|asked| !asked.whole) {
            self.asked = Some(Asked { whole: true, when: now });
            self.effects.push(Effect::Refresh(Refresh::Whole));
        }
        if self.asked.is_some() || now < self.next_part() {
            return;
        }
        let Some(since) = self.newest else { return };
        let mut all = Region::new();
        for viewer in self.viewers.values_mut().filter(|viewer| viewer.may_catch_up()) {
            if let Stage::Lagging { missed, covered } = &mut viewer.stage {
                all.add_all(missed);
                *covered = true;
            }
        }
        if !all.is_empty() {
            self.asked = Some(Asked { whole: false, when: now });
            self.last_part = Some(now);
            let missed = all.simplified(MAX_REFRESH_RECTS).rects().to_vec();
            self.effects.push(Effect::Refresh(Refresh::Part { since, missed }));
        }
    }

    fn next_part(&self) -> Micros {
        self.last_part.map_or(Micros(0), |last| last.plus(self.limits.refresh_interval))
    }
}

impl Viewer {
    /// Whether the frame continues this viewer's picture.
    fn wants(&self, table: &FrameTable) -> bool {
        match &self.stage {
            Stage::Awaiting(_) => table.flags.keyframe && self.sent.is_empty(),
            // A keyframe of another frame than the viewer has: the agent has begun anew.
            Stage::Live if table.flags.refresh => {
                table.flags.keyframe && self.latest != Some(table.at)
            }
            Stage::Live => true,
            Stage::Lagging { covered, .. } => {
                self.sent.is_empty() && table.flags.refresh && (*covered || table.flags.keyframe)
            }
        }
    }

    fn has_room(&self, limits: &Limits, len: usize) -> bool {
        let queued: usize = self.sent.iter().map(|sent| sent.len).sum();
        self.sent.is_empty()
            || self.sent.len() < limits.max_unacked && queued + len <= limits.max_queued
    }

    fn push(&mut self, at: FrameRef, len: usize, touched: &Region, now: Micros) {
        self.waiting_since.get_or_insert(now);
        self.sent.push_back(Sent { at, len, on_the_wire: false, touched: touched.clone() });
        self.latest = Some(at);
    }

    /// The frame passes this viewer by; whether what waits for it must be dropped.
    fn miss(&mut self, table: &FrameTable, touched: &Region) -> bool {
        let fell_behind = self.stage == Stage::Live;
        let (mut missed, covered) = match &mut self.stage {
            Stage::Awaiting(_) => return false,
            Stage::Live => (Region::new(), false),
            // A refresh that is asked for holds what came after the asking, too.
            Stage::Lagging { missed, covered } => (std::mem::take(missed), *covered),
        };
        if fell_behind {
            for lost in self.sent.iter().filter(|sent| !sent.on_the_wire) {
                missed.add_all(&lost.touched);
            }
            self.sent.retain(|sent| sent.on_the_wire);
        }
        missed.add_all(touched);
        // A picture of another size has to come whole.
        self.stage = match table.flags.keyframe {
            true => Stage::Awaiting(Micros(0)),
            false => Stage::Lagging { missed: missed.simplified(MAX_REFRESH_RECTS), covered },
        };
        fell_behind
    }

    /// From when on a keyframe may be asked for, if one is needed and can be taken.
    fn awaits_from(&self) -> Option<Micros> {
        match self.stage {
            Stage::Awaiting(from) if self.sent.is_empty() => Some(from),
            Stage::Awaiting(_) | Stage::Live | Stage::Lagging { .. } => None,
        }
    }

    fn may_catch_up(&self) -> bool {
        matches!(self.stage, Stage::Lagging { .. }) && self.sent.is_empty()
    }

    fn stalled_at(&self, limits: &Limits) -> Option<Micros> {
        self.waiting_since.map(|since| since.plus(limits.stall))
    }
}

fn touched_by(table: &FrameTable) -> Region {
    if table.flags.keyframe {
        return Region::whole(table.size);
    }
    // The agent is not trusted to keep the steps few.
    let rects: Vec<Rect> = table.steps.iter().map(|step| step.rect).collect();
    Region::around(&rects, MAX_REFRESH_RECTS)
}

#[cfg(test)]
mod tests;
