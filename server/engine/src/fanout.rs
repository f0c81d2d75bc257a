//! From one stream of frames to any number of viewers, each as fast as it can.
//!
//! A viewer is `Awaiting` a keyframe, then `Live`: it gets each frame. One that does not keep up is
//! `Lagging`: what waited for it is dropped and remembered as a region; once it has painted what was
//! on its way, it gets that region as it is *now*, in a refresh that all laggards share, and is live
//! again. Such a refresh bears the number of its request: one that comes late, when another has been
//! asked for, may lack what that was to bring. So a laggard costs one refresh at most every
//! [`Limits::refresh_interval`], and never slows another viewer: the fastest one paces the agent
//! ([`Effect::Painted`]).
//!
//! A viewer whose browser cannot decode video is no laggard: it gets each frame at once, without its
//! units of video. Their places are remembered, too, and come with the same refreshes, as stills.
//!
//! ```text
//! join ─▶ Awaiting ── keyframe ──▶ Live ◀── refresh ── Lagging
//!            ▲  ▲                  │ │                    ▲
//!            │  └──── asks ────────┘ └── too far behind ──┘
//!            └─────── resized while behind ───────────────┘
//! ```

mod pacing;
mod viewer;

use crate::rate::Pace;
use crate::region::Region;
use lattice_wire::link::MAX_REFRESH_RECTS;
use lattice_wire::{
    Ack, Askers, Condition, FrameRef, FrameTable, Micros, Rect, Refresh, RefreshId, ViewerId,
};
use pacing::Pacing;
use std::collections::BTreeMap;
use viewer::{Arrival, Stage, Viewer};

/// How far a viewer may fall behind.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Frames that were sent to a viewer, not painted, and are older than its link explains.
    pub max_unacked: usize,
    /// Bytes of them; one frame of any size is always let through.
    pub max_queued: usize,
    /// What its link takes so long to carry may be on its way besides; two frames always may.
    pub max_wait: Micros,
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
            max_wait: Micros::from_millis(500),
            refresh_interval: Micros::from_millis(500),
            stall: Micros::from_millis(30_000),
        }
    }
}

/// What a viewer's browser can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sees {
    /// Everything.
    Video,
    /// Everything but units of video.
    Stills,
}

/// How long an agent may take to answer a request for a refresh before it is asked again.
const REFRESH_PATIENCE: Micros = Micros::from_millis(2000);

/// The least time between two keyframes that one viewer gets by asking.
const KEYFRAME_INTERVAL: Micros = Micros::from_millis(1000);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the agent for current pixels.
    Refresh(RefreshId, Refresh),
    /// Tell the agent the newest frame that a viewer has painted.
    Painted(FrameRef),
    /// Tell the agent what the link carries of the viewer that paces it.
    Pace(Pace),
    /// Tell this viewer how well it is served.
    Condition(ViewerId, Condition),
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
    /// The newest request.
    request: RefreshId,
    asked: Option<Asked>,
    last_part: Option<Micros>,
    /// There is no display to ask for pixels.
    is_away: bool,
    pacing: Pacing,
    effects: Vec<Effect>,
}

/// The request that the agent has not answered.
#[derive(Debug, Clone, Copy)]
struct Asked {
    request: RefreshId,
    whole: bool,
    /// Some of those who asked see no video, so the answer has exact pixels of everything.
    stills: bool,
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
            request: RefreshId::default(),
            asked: None,
            last_part: None,
            is_away: false,
            pacing: Pacing::new(),
            effects: Vec::new(),
        }
    }

    /// A viewer came at `now` and needs a picture.
    pub fn join(&mut self, viewer: ViewerId, sees: Sees, now: Micros) {
        self.viewers.insert(viewer, Viewer::new(sees, now));
    }

    /// A viewer went.
    pub fn leave(&mut self, viewer: ViewerId) {
        self.viewers.remove(&viewer);
        self.pacing.leave(viewer);
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
        self.pacing.reset();
        for (&id, viewer) in &mut self.viewers {
            viewer.reset();
            self.effects.push(Effect::DropQueued(id));
        }
    }

    /// The viewer that drives, if any does.
    pub fn handle_controller(&mut self, controller: Option<ViewerId>) {
        self.pacing.controller = controller;
    }

    /// The agent has begun so many frames later than they were due.
    pub fn handle_late(&mut self, frames: u64, now: Micros) {
        self.pacing.handle_late(frames, now);
    }

    /// A viewer answered a ping after so long.
    pub fn handle_round_trip(&mut self, viewer: ViewerId, round_trip: Micros, now: Micros) {
        if let Some(viewer) = self.viewers.get_mut(&viewer) {
            viewer.link.handle_round_trip(round_trip, now);
        }
    }

    /// The kernel's least round trip on a viewer's connection.
    pub fn handle_kernel(&mut self, viewer: ViewerId, min_rtt: Micros) {
        if let Some(viewer) = self.viewers.get_mut(&viewer) {
            viewer.link.handle_kernel(min_rtt);
        }
    }

    /// Whether any viewer can show video.
    pub fn sees_video(&self) -> bool {
        self.viewers.values().any(|viewer| viewer.sees == Sees::Video)
    }

    /// A frame of `len` bytes came from the agent; returns who gets it, and in which form.
    pub fn handle_frame(
        &mut self,
        table: &FrameTable,
        len: usize,
        now: Micros,
    ) -> Vec<(ViewerId, Sees)> {
        self.newest = Some(table.at);
        let answered = self.asked.filter(|asked| table.flags.refresh == Some(asked.request));
        let lacks_stills = table.flags.refresh.is_some()
            && table.flags.keyframe.is_none()
            && !answered.is_some_and(|asked| asked.stills);
        // What answers an older request, late or while the whole was asked for, answers no other.
        if answered.is_some() {
            self.asked = None;
        }
        let len = (len, len.saturating_sub(table.video_len()));
        let frame = Arrival { table, len, touched: touched_by(table), lacks_stills };
        let mut receivers = Vec::new();
        for (&id, viewer) in &mut self.viewers {
            if viewer.offer(&frame, &self.limits, now) {
                receivers.push((id, viewer.sees));
            } else if table.flags.refresh.is_none() && viewer.miss(&frame) {
                self.effects.push(Effect::DropQueued(id));
            }
        }
        receivers
    }

    /// A digest came that holds after frame `at`; returns the viewers it is true for.
    pub fn handle_digest(&self, at: FrameRef) -> Vec<ViewerId> {
        self.viewers.iter().filter(|(_, viewer)| viewer.has(at)).map(|(&id, _)| id).collect()
    }

    /// The oldest waiting frame of a viewer is being written to its socket. On a slow link that
    /// takes a while, and the viewer gets it whole whatever is dropped behind it.
    pub fn handle_taken(&mut self, viewer: ViewerId) {
        if let Some(viewer) = self.viewers.get_mut(&viewer) {
            viewer.handle_taken();
        }
    }

    /// A part of a frame has been written to a viewer's socket: slow as it is, it takes it.
    pub fn handle_progress(&mut self, viewer: ViewerId, now: Micros) {
        if let Some(viewer) = self.viewers.get_mut(&viewer) {
            viewer.handle_progress(now);
        }
    }

    /// A viewer has painted a frame and all before it; returns how late. A frame it was not sent is
    /// ignored.
    pub fn handle_ack(&mut self, viewer: ViewerId, ack: Ack, now: Micros) -> Option<Micros> {
        let viewer = self.viewers.get_mut(&viewer)?;
        if !viewer.handle_ack(ack, now) {
            return None;
        }
        let at = ack.at;
        let newer = |old: FrameRef| old.epoch != at.epoch || old.id < at.id;
        if self.painted.is_none_or(newer) && self.newest.is_some_and(|new| new.epoch == at.epoch) {
            self.painted = Some(at);
            self.effects.push(Effect::Painted(at));
        }
        Some(viewer.link.debt())
    }

    /// A viewer says at `now` that its picture is not good. It gets a keyframe once it has
    /// acknowledged what is on its way.
    pub fn handle_refresh_request(&mut self, id: ViewerId, now: Micros) {
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        viewer.handle_refresh_request(KEYFRAME_INTERVAL, now);
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
                viewer.forgive();
                self.effects.push(Effect::Close(id));
            }
        }
        self.pacing.poll(&self.viewers, now, &mut self.effects);
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
        let look = self.pacing.deadline();
        stalls.chain(patience).chain(refresh).chain(keyframes).chain(look).min()
    }

    fn ask(&mut self, now: Micros) {
        if self.is_away {
            return;
        }
        let mut awaited = self.viewers.values().filter_map(Viewer::awaits_from);
        let whole = awaited.any(|from| from <= now);
        if whole && self.asked.is_none_or(|asked| !asked.whole) {
            self.ask_for(Refresh::Whole, true, now);
        }
        if self.asked.is_some() || now < self.next_part() {
            return;
        }
        let Some(since) = self.newest else { return };
        let (mut all, mut askers) = (Region::new(), None);
        let request = self.request.next();
        for viewer in self.viewers.values_mut().filter(|viewer| viewer.may_catch_up()) {
            let asker = match viewer.sees {
                Sees::Video => Askers::Video,
                Sees::Stills => Askers::Stills,
            };
            askers = Some(askers.map_or(asker, |others: Askers| others.and(asker)));
            all.add_all(viewer.catch_up(request));
        }
        if let Some(askers) = askers.filter(|_| !all.is_empty()) {
            self.last_part = Some(now);
            let missed = all.simplified(MAX_REFRESH_RECTS).rects().to_vec();
            let part = Refresh::Part { since, missed, askers };
            self.ask_for(part, askers.see_stills(), now);
        }
    }

    fn ask_for(&mut self, refresh: Refresh, stills: bool, now: Micros) {
        self.request = self.request.next();
        let whole = refresh == Refresh::Whole;
        self.asked = Some(Asked { request: self.request, whole, stills, when: now });
        self.effects.push(Effect::Refresh(self.request, refresh));
    }

    fn next_part(&self) -> Micros {
        self.last_part.map_or(Micros(0), |last| last.plus(self.limits.refresh_interval))
    }
}

fn touched_by(table: &FrameTable) -> Region {
    if let Some(size) = table.flags.keyframe {
        return Region::whole(size);
    }
    // The agent is not trusted to keep the steps few.
    let rects: Vec<Rect> = table.steps.iter().map(|step| step.rect).collect();
    Region::around(&rects, MAX_REFRESH_RECTS)
}

#[cfg(test)]
mod tests;
