//! The frames of one run of a display: made from damage, from video that is due, from what has come
//! to rest, or because a viewer asked.

use super::{Asked, Canvas, Made, REST, RETRY_GRAB, Session};
use crate::clock;
use crate::display::{Display, DisplayError, Fetched, Grab};
use crate::encode::streams::Encoded;
use crate::slots::{Kind, Shared, count, count_more};
use lattice_engine::damage::History;
use lattice_engine::frame_clock::Due;
use lattice_engine::plan::FramePlan;
use lattice_engine::rate::MAX_ON_THE_WAY;
use lattice_engine::rate::ladder::PORTION;
use lattice_engine::region::Region;
use lattice_engine::video::Unit;
use lattice_wire::{
    Askers, Digest, FrameFlags, FrameHead, FrameRef, Micros, Refresh, Seq, ViewerId,
};
use std::sync::atomic::Ordering;

/// What is sent exactly in one frame once it rests, in pixels, where the link does not mind: the
/// browser decodes so much in 3 to 5 ms.
const REFINED: usize = 256 * 256;
/// So many such frames are on their way, so that one is decoded while the next is made. A letter
/// typed meanwhile waits for their decoding at most.
const REFINING: usize = 2;
/// What has rested so long beyond its time, because frames are always on their way, goes along with
/// them.
const OVERDUE: Micros = Micros::from_millis(300);
/// A frame that shows something else takes along so much less than one that only refines.
const ALONG: usize = 4;
/// What a pixel of a film costs when it is sent exactly, in bytes.
const BYTES_A_PIXEL: usize = 3;

impl Session<'_> {
    /// Makes a frame of what changed, if anything did.
    pub(super) fn frame(&mut self, now: Micros) -> Result<Made, DisplayError> {
        let Some(canvas) = &mut self.canvas else { return Ok(Made::Done) };
        let noticed = self.noticed.take().unwrap_or(now);
        let echo = self.shared.echo.settled();
        let Some(fetched) = grab(self.shared, &mut self.display, canvas)? else {
            return Ok(self.try_again(now));
        };
        let keyframe = canvas.keyframe.then(|| canvas.size());
        let was_blank = canvas.is_blank;
        (canvas.is_blank, canvas.keyframe) = (false, false);
        let (region, hints) = (&fetched.region, &fetched.hints);
        let mut plan = std::mem::take(&mut self.plan);
        plan.clear();
        if was_blank {
            // Nobody has this picture yet: those who look are sent all of it.
            canvas.planner.begin(region, fetched.reader());
            self.clock.handle_nothing(now);
            if keyframe.is_none() {
                self.newest.0 += 1;
                return Ok(Made::Done);
            }
            let whole = Region::whole(canvas.size());
            canvas.planner.plan_refresh(&whole, &mut plan);
        } else {
            canvas.planner.plan(now, region, fetched.reader(), hints, &self.rules, &mut plan);
        }
        if plan.is_empty() {
            self.clock.handle_nothing(now);
        } else {
            self.take_along(&mut plan, now);
            self.number(&plan);
            self.clock.handle_sent(self.newest, now);
            self.send(&plan, FrameFlags { keyframe, refresh: None }, noticed, echo);
        }
        self.plan = plan;
        Ok(Made::Done)
    }

    /// Makes a refresh frame.
    pub(super) fn answer(&mut self, asked: Asked) -> Result<(), DisplayError> {
        let now = clock::now();
        let size = self.display.size();
        let canvas = self.canvas.get_or_insert_with(|| Canvas::new(size, false));
        let is_stale = canvas.is_blank || self.clock.poll(now) != Due::Idle;
        if is_stale && matches!(self.frame(now)?, Made::ScreenChanged) {
            self.asked = Some(asked);
            return Ok(());
        }
        let Asked { request, refresh, when } = asked;
        let part = self.canvas.as_ref().and_then(|canvas| self.missed(&canvas.history, &refresh));
        let askers = match (&part, refresh) {
            (Some(_), Refresh::Part { askers, .. }) => askers,
            (None, _) | (_, Refresh::Whole) => Askers::Both,
        };
        let Some(canvas) = &mut self.canvas else { return Ok(()) };
        let keyframe = part.is_none().then(|| canvas.size());
        let mut region = part.unwrap_or_else(|| Region::whole(canvas.size()));
        if !askers.see_stills() {
            canvas.planner.leave_to_video(&mut region, now);
        }
        if askers.see_video() {
            // They lack what the next pictures of each stream build upon.
            canvas.planner.videos_mut().want_keyframes();
        }
        let mut plan = FramePlan::default();
        canvas.planner.plan_refresh(&region, &mut plan);
        let echo = self.shared.echo.settled();
        self.send(&plan, FrameFlags { keyframe, refresh: Some(request) }, when, echo);
        Ok(())
    }

    /// What a viewer lacks, or nothing where only all of it will do.
    fn missed(&self, history: &History, refresh: &Refresh) -> Option<Region> {
        let Refresh::Part { since, missed, .. } = refresh else { return None };
        if since.epoch != self.epoch || since.id > self.newest {
            return None;
        }
        let mut region = history.since(since.id)?;
        missed.iter().for_each(|&rect| region.add(rect));
        Some(region)
    }

    /// Shows what is due of video; false where nothing is.
    pub(super) fn video(&mut self, now: Micros) -> bool {
        let Some(canvas) = &mut self.canvas else { return false };
        if canvas.planner.next_due(&self.rules).is_none_or(|due| due > now) {
            return false;
        }
        let mut plan = std::mem::take(&mut self.plan);
        plan.clear();
        canvas.planner.plan_due(now, &self.rules, &mut plan);
        if plan.is_empty() {
            // A region has ended.
            self.streams.keep(canvas.planner.videos().streams());
            self.count_encoders();
        } else {
            self.take_along(&mut plan, now);
            self.number(&plan);
            self.clock.handle_sent(self.newest, now);
            let echo = self.shared.echo.settled();
            self.send(&plan, FrameFlags::default(), now, echo);
        }
        self.plan = plan;
        true
    }

    /// Adds some of what should long have been exact to a frame of something else: while a film
    /// plays on a long link there is never a moment when nothing is on its way.
    fn take_along(&mut self, plan: &mut FramePlan, now: Micros) {
        let area = self.refined_area() / ALONG;
        let pointer = self.shared.pointer.get();
        let Some(canvas) = &mut self.canvas else { return };
        let rested = canvas.planner.next_refinement();
        if rested.is_some_and(|at| at.plus(OVERDUE) <= now) {
            canvas.planner.plan_refinement(now, pointer, area, plan);
        }
    }

    /// Gives a frame its number, and remembers what it touches.
    fn number(&mut self, plan: &FramePlan) {
        self.newest.0 += 1;
        if let Some(canvas) = &mut self.canvas {
            canvas.history.record(self.newest, |region| plan.touch(region));
        }
    }

    /// Whether viewers have time for what is not urgent. On a link with a limit one portion may wait
    /// at the bottleneck, beside those that fill the way there and back.
    pub(super) fn may_refine(&self) -> bool {
        let most = match self.rules.mode.portion {
            Some(_) => 1 + (self.pace.base_rtt.0 / PORTION.0) as usize,
            None => REFINING,
        };
        self.clock.may_refine(most.min(MAX_ON_THE_WAY))
    }

    /// The pixels that may be sent exactly in one frame.
    fn refined_area(&self) -> usize {
        self.rules.mode.portion.map_or(REFINED, |bytes| bytes / BYTES_A_PIXEL).min(REFINED)
    }

    /// Sends some of what has come to rest exactly; false where nothing has, or where viewers are
    /// not done with the frames before.
    pub(super) fn refine(&mut self, now: Micros) -> bool {
        let area = self.refined_area();
        let may_refine = self.may_refine();
        let Some(canvas) = &mut self.canvas else { return false };
        let is_rested = canvas.planner.next_refinement().is_some_and(|at| at <= now);
        if !is_rested || !may_refine {
            return false;
        }
        let pointer = self.shared.pointer.get();
        let mut plan = std::mem::take(&mut self.plan);
        plan.clear();
        canvas.planner.plan_refinement(now, pointer, area, &mut plan);
        let is_exact = canvas.planner.is_exact();
        self.number(&plan);
        self.clock.handle_refined(self.newest);
        let echo = self.shared.echo.settled();
        self.send(&plan, FrameFlags::default(), now, echo);
        self.plan = plan;
        if is_exact {
            // It had rested before it was refined.
            self.digest_at = Some(now);
        }
        true
    }

    fn send(
        &mut self,
        plan: &FramePlan,
        flags: FrameFlags,
        noticed: Micros,
        echo: (ViewerId, Seq),
    ) {
        let start = clock::now();
        let Some(canvas) = &self.canvas else { return };
        self.draft.clear();
        self.encoder.encode(plan, canvas.planner.shadow(), &mut self.draft);
        if !plan.videos.is_empty() {
            self.encode_video(&plan.videos, start);
            self.effort.handle_cost(clock::now().since(start));
        }
        let at = FrameRef { epoch: self.epoch, id: self.newest };
        let now = clock::now();
        let cost_us = now.since(noticed).0.min(u64::from(u32::MAX)) as u32;
        let ops = self.draft.steps().len();
        tracing::trace!(frame.id = at.id.0, ops, cost_us, "a frame is sent");
        let head = FrameHead { flags, at, echo, cost_us };
        let outbound = &self.shared.outbound;
        outbound.push(Kind::Frame, self.draft.packet(&head, outbound.memory()));
        self.still.handle_change();
        count(&self.shared.counters.frames);
        if now.since(start) > self.clock.interval() {
            count(&self.shared.counters.late);
        }
        self.digest_at = Some(now.plus(REST));
    }

    /// Adds units of video to the frame. A stream that fails goes on as stills; what its unit should
    /// have shown is stale and so will be refined.
    fn encode_video(&mut self, units: &[Unit], now: Micros) {
        let Some(canvas) = &mut self.canvas else { return };
        let mode = self.rules.mode;
        let (picture, draft) = (canvas.planner.shadow(), &mut self.draft);
        let Encoded { units, keyframes, bits, pixels, failed } =
            self.streams.encode(units, picture, &mode, now, draft);
        let (asked, interval) = (mode.bits_per_frame, mode.interval.0);
        tracing::trace!(bits, asked, interval, keyframes, pixels, "video is encoded");
        let videos = canvas.planner.videos_mut();
        failed.into_iter().for_each(|stream| videos.give_up(stream));
        self.streams.keep(videos.streams());
        self.ladder.handle_encoded(bits, mode.bits_per_frame, pixels);
        count_more(&self.shared.counters.video_units, units as u64);
        count_more(&self.shared.counters.video_keyframes, keyframes as u64);
        self.count_encoders();
    }

    pub(super) fn count_encoders(&self) {
        self.shared.counters.encoders.store(self.streams.len() as u64, Ordering::Relaxed);
    }

    /// Tells what the picture hashes to. What is not exact yet is told when it is.
    pub(super) fn digest(&mut self) {
        let canvas = self.canvas.as_mut().filter(|canvas| canvas.planner.is_exact());
        let Some(canvas) = canvas else { return };
        let at = FrameRef { epoch: self.epoch, id: self.newest };
        let digest = Digest { at, size: canvas.size(), bands: canvas.planner.digest() };
        self.shared.outbound.push(Kind::Digest, digest.encode());
    }

    fn try_again(&mut self, now: Micros) -> Made {
        if let Some(canvas) = &mut self.canvas {
            // The damage was taken off the display and its pixels were not read.
            let keyframe = !canvas.is_blank || canvas.keyframe;
            *canvas = Canvas::new(self.display.size(), keyframe);
            self.digest_at = None;
        }
        self.clock.handle_damage();
        self.retry_at = now.plus(RETRY_GRAB);
        Made::ScreenChanged
    }
}

/// Fetches what changed, or all of it where nothing is known; nothing where the screen has another
/// size meanwhile.
pub(super) fn grab<'a>(
    shared: &Shared,
    display: &'a mut Display,
    canvas: &Canvas,
) -> Result<Option<Fetched<'a>>, DisplayError> {
    let also = if canvas.is_blank { Region::whole(canvas.size()) } else { Region::new() };
    let _busy = shared.capture_busy.enter();
    count(&shared.counters.grabs);
    match display.grab(&also, canvas.size())? {
        Grab::Done(fetched) => Ok(Some(fetched)),
        Grab::Changed => Ok(None),
    }
}
