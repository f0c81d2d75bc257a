//! The capture thread: from the display's damage to frames.
//!
//! It owns the display, the shadow of what viewers have, and the frame clock. Without a viewer it
//! holds no pixels, and hears of no damage unless a still picture is waited for.
//!
//! INVARIANT: the shadow is what a viewer has that painted every frame up to the newest id, but for
//! what the planner knows to be stale; a refresh frame is made from it, after a normal frame has
//! brought it up to date.

mod frames;
mod stills;

use crate::clock;
use crate::display::{Display, DisplayError, Events};
use crate::encode::Encoder;
use crate::encode::streams::Streams;
use crate::slots::{Command, Shared, count, merged};
use lattice_engine::damage::History;
use lattice_engine::frame_clock::{Due, FrameClock};
use lattice_engine::plan::{FramePlan, Planner};
use lattice_engine::rate::Pace;
use lattice_engine::rate::effort::Effort;
use lattice_engine::rate::ladder::Ladder;
use lattice_engine::video::Rules;
use lattice_wire::{
    Availability, DisplayState, Draft, Epoch, FrameId, Micros, Refresh, RefreshId, Size,
};
use std::hash::{BuildHasher, Hasher};
use stills::Stills;

/// A picture that did not change so long rests: its digest is sent.
const REST: Micros = Micros::from_millis(150);
/// Sizes that come faster than this while a window is dragged are not worth setting.
const RESIZE_DEBOUNCE: Micros = Micros::from_millis(120);
/// After a screen changed its size while it was read.
const RETRY_GRAB: Micros = Micros::from_millis(10);
/// Frames sent and not painted.
const MAX_IN_FLIGHT: usize = 2;
/// A change that costs the link less time than this as exact tiles is not made video.
const AFFORDABLE: Micros = Micros::from_millis(150);
/// The pauses between attempts to connect.
const RECONNECT: (Micros, Micros) = (Micros::from_millis(250), Micros::from_millis(2000));

/// Captures for ever. `connect` is tried again whenever the display is gone.
pub fn run(
    shared: &Shared,
    interval: Micros,
    mut connect: impl FnMut() -> Result<Display, DisplayError>,
) {
    let (mut viewers, mut pause, mut told) = ((0, 0), RECONNECT.0, String::new());
    let mut request = None;
    loop {
        let connected = {
            let _busy = shared.capture_busy.enter();
            connect()
        };
        let error = match connected {
            Ok(display) => {
                (pause, told) = (RECONNECT.0, String::new());
                let mut session = Session::new(shared, interval, display, viewers);
                let whole =
                    |request| Asked { request, refresh: Refresh::Whole, when: clock::now() };
                session.asked = request.map(whole);
                let Err(error) = session.run();
                viewers = (session.viewers, session.encoders);
                request = session.asked.map(|asked| asked.request);
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
                Some(watching) => watching,
                None if command.link_changed => (0, 0),
                None => viewers,
            };
            let before = request.filter(|_| !command.link_changed);
            let newest = command.refresh.map(|(request, _)| request).or(before);
            request = newest.filter(|_| viewers.0 > 0);
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
    streams: Streams,
    /// What the frame says that is being made, and its packet: memory that all frames share.
    plan: FramePlan,
    draft: Draft,
    clock: FrameClock,
    ladder: Ladder,
    effort: Effort,
    pace: Pace,
    rules: Rules,
    epoch: Epoch,
    newest: FrameId,
    viewers: u16,
    /// How many video encoders there may be.
    encoders: u8,
    canvas: Option<Canvas>,
    /// When the damage was noticed that the next frame shows.
    noticed: Option<Micros>,
    asked: Option<Asked>,
    retry_at: Micros,
    resize: Option<(Size, Micros)>,
    digest_at: Option<Micros>,
    still: Stills,
}

/// A refresh that is to be made.
struct Asked {
    /// The newest request for it.
    request: RefreshId,
    refresh: Refresh,
    /// When the oldest came.
    when: Micros,
}

/// The pictures that exist only while somebody looks.
struct Canvas {
    planner: Planner,
    history: History,
    /// Nothing of the screen is known yet.
    is_blank: bool,
    /// Live viewers have a picture of another size.
    keyframe: bool,
}

impl Canvas {
    fn new(size: Size, keyframe: bool) -> Self {
        Self { planner: Planner::new(size), history: History::new(), is_blank: true, keyframe }
    }

    fn size(&self) -> Size {
        self.planner.shadow().size()
    }
}

/// What became of a frame.
enum Made {
    Done,
    ScreenChanged,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, interval: Micros, display: Display, watching: (u16, u8)) -> Self {
        shared.outbound.set_limits(display.limits());
        let live = DisplayState { state: Availability::Live, reason: String::new() };
        shared.outbound.set_display(live);
        let mut ladder = Ladder::new(interval);
        let mode = ladder.choose(Pace::UNKNOWN, 0);
        Self {
            shared,
            display,
            encoder: Encoder::new(),
            streams: Streams::default(),
            plan: FramePlan::default(),
            draft: Draft::new(),
            clock: FrameClock::new(interval, MAX_IN_FLIGHT),
            ladder,
            effort: Effort::default(),
            pace: Pace::UNKNOWN,
            rules: Rules { streams: 0, mode, affordable: None },
            epoch: random_epoch(),
            newest: FrameId(0),
            viewers: watching.0,
            encoders: watching.1,
            canvas: None,
            noticed: None,
            asked: None,
            retry_at: Micros(0),
            resize: None,
            digest_at: None,
            still: Stills::default(),
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
            (self.viewers, self.encoders) = (0, 0);
            self.handle_pace(Pace::UNKNOWN);
            self.asked = None;
            self.still = Stills::default();
            self.stop()?;
        }
        if let Some(at_once) = command.still {
            self.want_still(at_once, clock::now())?;
        }
        if let Some(watching) = command.watch {
            (self.viewers, self.encoders) = watching;
        }
        if let Some(pace) = command.pace {
            self.handle_pace(pace);
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
        if let Some((request, new)) = command.refresh.filter(|_| self.viewers > 0) {
            let (refresh, when) = match self.asked.take() {
                Some(old) => (merged(old.refresh, new), old.when),
                None => (new, now),
            };
            self.asked = Some(Asked { request, refresh, when });
        }
        Ok(())
    }

    /// What may be done about video now.
    fn choose_rules(&mut self, now: Micros) {
        let planner = self.canvas.as_ref().map(|canvas| &canvas.planner);
        let pixels = planner.map_or(0, |planner| planner.videos().moving_pixels(now));
        let mut mode = self.ladder.choose(self.pace, pixels);
        mode.interval = mode.interval.max(self.effort.least_interval());
        let affordable = self.pace.bitrate.map(|rate| rate.bytes_in(AFFORDABLE) as usize);
        self.rules = Rules { streams: self.encoders, mode, affordable };
    }

    fn handle_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.clock.handle_pace(pace.base_rtt);
    }

    /// Starts or stops looking, as there are viewers.
    fn watch(&mut self) -> Result<(), DisplayError> {
        if self.viewers == 0 {
            self.stop()?;
        }
        if self.viewers == 0 && !self.still.is_wanted() {
            return Ok(());
        }
        let _busy = self.shared.capture_busy.enter();
        self.display.watch(true)
    }

    /// Gives all memory for pixels back.
    fn stop(&mut self) -> Result<(), DisplayError> {
        self.canvas = None;
        self.streams = Streams::default();
        (self.plan, self.draft) = (FramePlan::default(), Draft::new());
        self.count_encoders();
        self.asked = None;
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
            if self.canvas.as_ref().is_some_and(|canvas| canvas.size() != size) {
                self.canvas = Some(Canvas::new(size, true));
                self.digest_at = None;
                self.clock.handle_damage();
            }
        }
        if damaged {
            self.noticed.get_or_insert(now);
            self.clock.handle_damage();
            if self.canvas.is_none() {
                self.still.handle_change();
            }
        }
        Ok(())
    }

    /// Does one thing that is due; false where nothing is.
    fn work(&mut self, now: Micros) -> Result<bool, DisplayError> {
        self.choose_rules(now);
        if let Some((size, _)) = self.resize.filter(|&(_, due)| due <= now) {
            self.resize = None;
            let _busy = self.shared.capture_busy.enter();
            self.display.resize(size)?;
            return Ok(true);
        }
        let may_frame = now >= self.retry_at && self.shared.outbound.has_room();
        if may_frame && let Some(asked) = self.asked.take() {
            self.answer(asked)?;
            return Ok(true);
        }
        if may_frame && self.canvas.is_some() && self.clock.poll(now) == Due::Now {
            self.frame(now)?;
            return Ok(true);
        }
        // With damage waiting, the frame that shows it shows what is due of video as well.
        let is_idle = may_frame && self.clock.poll(now) == Due::Idle && self.clock.has_room(now);
        if is_idle && (self.video(now) || self.refine(now)) {
            return Ok(true);
        }
        if self.digest_at.is_some_and(|due| due <= now) {
            self.digest_at = None;
            self.digest();
            return Ok(true);
        }
        if self.still_due().is_some_and(|due| due <= now) {
            self.make_still(now)?;
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
        let planner = self.canvas.as_ref().map(|canvas| &canvas.planner);
        let may_send = self.clock.has_room(now) && self.shared.outbound.has_room();
        let is_idle = self.clock.poll(now) == Due::Idle && may_send;
        let video = planner.filter(|_| is_idle).and_then(|planner| planner.next_due(&self.rules));
        let is_calm = is_idle && self.may_refine();
        let refinement = planner.filter(|_| is_calm).and_then(Planner::next_refinement);
        let refresh = self.asked.as_ref().map(|_| self.retry_at);
        let refresh = refresh.filter(|&due| due > now);
        let resize = self.resize.map(|(_, due)| due);
        let wake = self.display.wake_at();
        let times =
            [frame, video, refinement, refresh, resize, self.digest_at, wake, self.still_due()];
        times.into_iter().flatten().min()
    }
}

/// Different on every run: the standard library seeds its hashers from the system's randomness.
fn random_epoch() -> Epoch {
    let random = std::hash::RandomState::new().build_hasher().finish();
    Epoch((random as u32).max(1))
}
