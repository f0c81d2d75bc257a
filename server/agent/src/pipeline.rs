//! The capture thread: from the display's damage to frames.
//!
//! It owns the display, the shadow of what viewers have, and the frame clock. Without a viewer it
//! holds no pixels and hears of no damage.
//!
//! INVARIANT: the shadow is what a viewer has that painted every frame up to the newest id; a
//! refresh frame is made from it, after a normal frame has brought it up to date.

use crate::clock;
use crate::display::{Display, DisplayError, Events, Grab};
use crate::encode::Encoder;
use crate::slots::{Command, Kind, Shared, count, merged};
use lattice_engine::damage::History;
use lattice_engine::frame_clock::{Due, FrameClock};
use lattice_engine::picture::Picture;
use lattice_engine::plan::{FramePlan, MoveHint, Planner};
use lattice_engine::region::Region;
use lattice_wire::{
    Availability, Digest, DisplayState, Epoch, Frame, FrameFlags, FrameId, FrameRef, Micros,
    Refresh, Seq, Size, ViewerId,
};
use std::hash::{BuildHasher, Hasher};

/// A picture that did not change so long rests: its digest is sent.
const REST: Micros = Micros::from_millis(150);
/// Sizes that come faster than this while a window is dragged are not worth setting.
const RESIZE_DEBOUNCE: Micros = Micros::from_millis(120);
/// After a screen changed its size while it was read.
const RETRY_GRAB: Micros = Micros::from_millis(10);
/// Frames sent and not painted.
const MAX_IN_FLIGHT: usize = 2;
/// The pauses between attempts to connect.
const RECONNECT: (Micros, Micros) = (Micros::from_millis(250), Micros::from_millis(2000));

/// Captures for ever. `connect` is tried again whenever the display is gone.
pub fn run(
    shared: &Shared,
    interval: Micros,
    mut connect: impl FnMut() -> Result<Display, DisplayError>,
) {
    let (mut viewers, mut pause, mut told) = (0, RECONNECT.0, String::new());
    let mut is_asked = false;
    loop {
        let connected = {
            let _busy = shared.capture_busy.enter();
            connect()
        };
        let error = match connected {
            Ok(display) => {
                (pause, told) = (RECONNECT.0, String::new());
                let mut session = Session::new(shared, interval, display, viewers);
                session.refresh = is_asked.then(|| (Refresh::Whole, clock::now()));
                let Err(error) = session.run();
                viewers = session.viewers;
                is_asked = session.refresh.is_some();
                error
            }
            Err(error) => error,
        };
        let reason = error.to_string();
        if reason != told {
            tracing::warn!(reason, "there is no display; trying again");
            let lost = DisplayState { state: Availability::Lost, reason: reason.clone() };
            shared.outbound.set_display(lost);
            told = reason;
        }
        let until = clock::now().plus(pause);
        while clock::now() < until {
            shared.commands.waker().wait(None, Some(until.since(clock::now())));
            let command = shared.commands.take();
            viewers = match command.watch {
                Some((watching, _)) => watching,
                None if command.link_changed => 0,
                None => viewers,
            };
            is_asked =
                viewers > 0 && (command.refresh.is_some() || is_asked && !command.link_changed);
        }
        pause = Micros((pause.0 * 2).min(RECONNECT.1.0));
    }
}

enum Never {}

/// One unbroken run of a display.
struct Session<'a> {
    shared: &'a Shared,
    display: Display,
    encoder: Encoder,
    clock: FrameClock,
    epoch: Epoch,
    newest: FrameId,
    viewers: u16,
    canvas: Option<Canvas>,
    /// When the damage was noticed that the next frame shows.
    noticed: Option<Micros>,
    refresh: Option<(Refresh, Micros)>,
    retry_at: Micros,
    resize: Option<(Size, Micros)>,
    digest_at: Option<Micros>,
}

/// The pictures that exist only while somebody looks.
struct Canvas {
    planner: Planner,
    next: Picture,
    history: History,
    /// Nothing of the screen is known yet.
    is_blank: bool,
    /// Live viewers have a picture of another size.
    keyframe: bool,
}

impl Canvas {
    fn new(size: Size, keyframe: bool) -> Self {
        let (planner, next) = (Planner::new(size), Picture::new(size));
        Self { planner, next, history: History::new(), is_blank: true, keyframe }
    }
}

/// What became of a frame.
enum Made {
    Done,
    ScreenChanged,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, interval: Micros, display: Display, viewers: u16) -> Self {
        shared.outbound.set_limits(display.limits());
        let live = DisplayState { state: Availability::Live, reason: String::new() };
        shared.outbound.set_display(live);
        Self {
            shared,
            display,
            encoder: Encoder::new(),
            clock: FrameClock::new(interval, MAX_IN_FLIGHT),
            epoch: random_epoch(),
            newest: FrameId(0),
            viewers,
            canvas: None,
            noticed: None,
            refresh: None,
            retry_at: Micros(0),
            resize: None,
            digest_at: None,
        }
    }

    /// Works until the display is gone.
    fn run(&mut self) -> Result<Never, DisplayError> {
        self.watch()?;
        loop {
            count(&self.shared.counters.wakeups);
            let command = self.shared.commands.take();
            self.handle_command(command)?;
            let now = clock::now();
            self.drain(now)?;
            if !self.work(now)? {
                let timeout = self.next_due(now).map(|due| due.since(clock::now()));
                self.shared.commands.waker().wait(self.display.fd(), timeout);
            }
        }
    }

    fn handle_command(&mut self, command: Command) -> Result<(), DisplayError> {
        let viewers = self.viewers;
        if command.link_changed {
            self.viewers = 0;
            self.refresh = None;
            self.stop()?;
        }
        if let Some((viewers, _)) = command.watch {
            self.viewers = viewers;
        }
        if self.viewers != viewers || command.link_changed {
            self.watch()?;
        }
        if let Some(at) = command.painted.filter(|at| at.epoch == self.epoch) {
            self.clock.handle_painted(at.id);
        }
        let now = clock::now();
        let (min, max) = self.display.limits();
        if let Some(size) = command.resize.filter(|_| min != max) {
            self.resize = Some((size.clamp(min, max), now.plus(RESIZE_DEBOUNCE)));
        }
        if let Some(new) = command.refresh.filter(|_| self.viewers > 0) {
            self.refresh = Some(match self.refresh.take() {
                Some((old, asked)) => (merged(old, new), asked),
                None => (new, now),
            });
        }
        Ok(())
    }

    /// Starts or stops looking, as there are viewers.
    fn watch(&mut self) -> Result<(), DisplayError> {
        if self.viewers == 0 {
            return self.stop();
        }
        let _busy = self.shared.capture_busy.enter();
        self.display.watch(true)
    }

    /// Gives all memory for pixels back.
    fn stop(&mut self) -> Result<(), DisplayError> {
        self.canvas = None;
        self.refresh = None;
        self.digest_at = None;
        self.noticed = None;
        self.clock.reset();
        let _busy = self.shared.capture_busy.enter();
        self.display.watch(false)
    }

    fn drain(&mut self, now: Micros) -> Result<(), DisplayError> {
        let Events { damaged, resized, cursor } = {
            let _busy = self.shared.capture_busy.enter();
            self.display.drain(now)?
        };
        if let Some(cursor) = cursor {
            self.shared.outbound.set_cursor(cursor.encode());
        }
        if let Some(size) = resized {
            self.shared.outbound.set_limits(self.display.limits());
            if self.canvas.as_ref().is_some_and(|canvas| canvas.next.size() != size) {
                self.canvas = Some(Canvas::new(size, true));
                self.digest_at = None;
                self.clock.handle_damage();
            }
        }
        if damaged {
            self.noticed.get_or_insert(now);
            self.clock.handle_damage();
        }
        Ok(())
    }

    /// Does one thing that is due; false where nothing is.
    fn work(&mut self, now: Micros) -> Result<bool, DisplayError> {
        if let Some((size, _)) = self.resize.filter(|&(_, due)| due <= now) {
            self.resize = None;
            let _busy = self.shared.capture_busy.enter();
            self.display.resize(size)?;
            return Ok(true);
        }
        let may_frame = now >= self.retry_at && self.shared.outbound.has_room();
        if may_frame && let Some((refresh, asked)) = self.refresh.take() {
            self.answer(refresh, asked)?;
            return Ok(true);
        }
        if may_frame && self.canvas.is_some() && self.clock.poll(now) == Due::Now {
            self.frame(now)?;
            return Ok(true);
        }
        if self.digest_at.is_some_and(|due| due <= now) {
            self.digest_at = None;
            self.digest();
            return Ok(true);
        }
        Ok(false)
    }

    /// When there is something to do even if nothing happens. By the same `now` by which there was
    /// nothing to do: what has become due since is due in no time, and not forgotten.
    fn next_due(&self, now: Micros) -> Option<Micros> {
        let frame = match self.clock.poll(now) {
            // Waiting for room; the link wakes us.
            Due::Now => (now < self.retry_at).then_some(self.retry_at),
            Due::At(due) => Some(due.max(self.retry_at)),
            Due::Blocked | Due::Idle => None,
        };
        let frame = frame.filter(|_| self.canvas.is_some());
        let refresh = self.refresh.as_ref().map(|_| self.retry_at);
        let refresh = refresh.filter(|&due| due > now);
        let resize = self.resize.map(|(_, due)| due);
        let times = [frame, refresh, resize, self.digest_at, self.display.wake_at()];
        times.into_iter().flatten().min()
    }

    /// Makes a frame of what changed, if anything did.
    fn frame(&mut self, now: Micros) -> Result<Made, DisplayError> {
        let Some(canvas) = &mut self.canvas else { return Ok(Made::Done) };
        let noticed = self.noticed.take().unwrap_or(now);
        let echo = self.shared.echo.settled();
        let Some((region, hints)) = grab(self.shared, &mut self.display, canvas)? else {
            return Ok(self.try_again(now));
        };
        let Some(canvas) = &mut self.canvas else { return Ok(Made::Done) };
        let (was_blank, keyframe) = (canvas.is_blank, canvas.keyframe);
        (canvas.is_blank, canvas.keyframe) = (false, false);
        let mut plan = canvas.planner.plan(&canvas.next, &region, &hints);
        if was_blank {
            // Nobody has this picture yet: those who look are sent all of it.
            self.newest.0 += 1;
            self.clock.handle_nothing(now);
            if !keyframe {
                return Ok(Made::Done);
            }
            plan = canvas.planner.plan_refresh(&Region::whole(canvas.next.size()));
            canvas.history.record(self.newest, plan.touched());
        } else if plan.is_empty() {
            self.clock.handle_nothing(now);
            return Ok(Made::Done);
        } else {
            self.newest.0 += 1;
            canvas.history.record(self.newest, plan.touched());
        }
        self.clock.handle_sent(self.newest, now);
        self.send(&plan, FrameFlags { keyframe, refresh: false }, noticed, echo);
        Ok(Made::Done)
    }

    /// Makes a refresh frame.
    fn answer(&mut self, refresh: Refresh, asked: Micros) -> Result<(), DisplayError> {
        let now = clock::now();
        let size = self.display.size();
        let canvas = self.canvas.get_or_insert_with(|| Canvas::new(size, false));
        let is_stale = canvas.is_blank || self.clock.poll(now) != Due::Idle;
        if is_stale && matches!(self.frame(now)?, Made::ScreenChanged) {
            self.refresh = Some((refresh, asked));
            return Ok(());
        }
        let Some(canvas) = &self.canvas else { return Ok(()) };
        let whole = Region::whole(canvas.next.size());
        let part = self.missed(&canvas.history, &refresh);
        let (region, keyframe) = part.map_or((whole, true), |part| (part, false));
        let plan = canvas.planner.plan_refresh(&region);
        let echo = self.shared.echo.settled();
        self.send(&plan, FrameFlags { keyframe, refresh: true }, asked, echo);
        Ok(())
    }

    /// What a viewer lacks, or nothing where only all of it will do.
    fn missed(&self, history: &History, refresh: &Refresh) -> Option<Region> {
        let Refresh::Part { since, missed } = refresh else { return None };
        if since.epoch != self.epoch || since.id > self.newest {
            return None;
        }
        let mut region = history.since(since.id)?;
        missed.iter().for_each(|&rect| region.add(rect));
        Some(region)
    }

    fn send(
        &mut self,
        plan: &FramePlan,
        flags: FrameFlags,
        noticed: Micros,
        echo: (ViewerId, Seq),
    ) {
        let Some(canvas) = &self.canvas else { return };
        let picture = canvas.planner.shadow();
        let ops = self.encoder.encode(plan, picture);
        let at = FrameRef { epoch: self.epoch, id: self.newest };
        let now = clock::now();
        let cost_us = now.since(noticed).0.min(u64::from(u32::MAX)) as u32;
        let frame = Frame { flags, at, size: picture.size(), noticed, echo, cost_us, ops };
        tracing::trace!(frame.id = at.id.0, ops = frame.ops.len(), cost_us, "a frame is sent");
        self.shared.outbound.push(Kind::Frame, frame.encode());
        count(&self.shared.counters.frames);
        self.digest_at = Some(now.plus(REST));
    }

    fn digest(&mut self) {
        let Some(canvas) = &mut self.canvas else { return };
        let at = FrameRef { epoch: self.epoch, id: self.newest };
        let digest = Digest { at, size: canvas.next.size(), bands: canvas.planner.digest() };
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

/// Fetches what changed, or all of it where nothing is known.
fn grab(
    shared: &Shared,
    display: &mut Display,
    canvas: &mut Canvas,
) -> Result<Option<(Region, Vec<MoveHint>)>, DisplayError> {
    let also = if canvas.is_blank { Region::whole(canvas.next.size()) } else { Region::new() };
    let _busy = shared.capture_busy.enter();
    count(&shared.counters.grabs);
    match display.grab(&also, &mut canvas.next)? {
        Grab::Done(region, hints) => Ok(Some((region, hints))),
        Grab::Changed => Ok(None),
    }
}

/// Different on every run: the standard library seeds its hashers from the system's randomness.
fn random_epoch() -> Epoch {
    let random = std::hash::RandomState::new().build_hasher().finish();
    Epoch((random as u32).max(1))
}
