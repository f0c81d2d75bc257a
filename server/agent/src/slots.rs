//! The bounded hand-overs between the agent's threads.
//!
//! | from → to | what | bound and overflow rule |
//! |---|---|---|
//! | link → capture | [`Commands`] | one of each kind; the newest wins, refreshes merge |
//! | link → input | [`Inputs`] | 1024; further ones are dropped and counted, then all is released |
//! | capture → link | [`Outbound`] | 2 frames: capture waits; of all else the newest of its kind |
//! | input → capture | [`Echo`] | the newest |
//! | link → input | `watched` | the newest |
//! | input → capture | [`PointerSlot`] | the newest |

mod inputs;
mod outbound;

pub use inputs::{InputItem, Inputs};
pub use outbound::{Kind, Next, Outbound};

use lattice_engine::rate::Pace;
use lattice_wire::link::MAX_REFRESH_RECTS;
use lattice_wire::{FrameRef, Micros, Point, Refresh, RefreshId, Seq, Size, ViewerId};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// All that the threads share.
#[derive(Debug)]
pub struct Shared {
    /// For the capture thread.
    pub commands: Commands,
    /// For the input thread.
    pub inputs: Inputs,
    /// For the link.
    pub outbound: Outbound,
    /// The last input that the display was given.
    pub echo: Echo,
    /// Since when the capture thread is in the X server's hands.
    pub capture_busy: Busy,
    /// Since when the input thread is in the X server's hands.
    pub input_busy: Busy,
    /// Whether anybody looks.
    pub watched: AtomicBool,
    /// Where the pointer was put last.
    pub pointer: PointerSlot,
    /// What was done so far.
    pub counters: Counters,
}

impl Shared {
    /// Nothing handed over yet.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            commands: Commands { slot: Mutex::default(), waker: Waker::new()? },
            inputs: Inputs::new(Waker::new()?),
            outbound: Outbound::default(),
            echo: Echo::default(),
            capture_busy: Busy::default(),
            input_busy: Busy::default(),
            watched: AtomicBool::new(false),
            pointer: PointerSlot::default(),
            counters: Counters::default(),
        })
    }
}

/// Takes a lock. A thread that panicked ends the process, so there is nothing to recover from.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Numbers of [`lattice_wire::AgentStats`].
#[derive(Debug, Default)]
pub struct Counters {
    /// How often pixels were fetched.
    pub grabs: AtomicU64,
    /// Frames handed to the link.
    pub frames: AtomicU64,
    /// How often the capture thread woke up.
    pub wakeups: AtomicU64,
    /// Inputs given to the display.
    pub inputs: AtomicU64,
    /// Inputs dropped.
    pub inputs_dropped: AtomicU64,
    /// Units of video that were encoded.
    pub video_units: AtomicU64,
    /// Keyframes among them.
    pub video_keyframes: AtomicU64,
    /// Video encoders that there are.
    pub encoders: AtomicU64,
    /// Frames begun late because the one before was not done.
    pub late: AtomicU64,
}

/// Counts one.
pub fn count(counter: &AtomicU64) {
    count_more(counter, 1);
}

/// Counts some.
pub fn count_more(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Wakes a thread that waits for file descriptors.
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// A waker that has not been rung.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?))
    }

    /// Ends the wait, or the next one.
    pub fn wake(&self) {
        // It fails only where it has been rung 2^64 times and nobody came: rung it is.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Waits until it is rung, `other` is readable, or `timeout` has passed.
    pub fn wait(&self, other: Option<BorrowedFd<'_>>, timeout: Option<Micros>) {
        // Ours twice where there is no other.
        let other = other.unwrap_or(self.0.as_fd());
        let mut fds = [self.0.as_fd(), other].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let timeout = timeout.map(|span| Timespec {
            tv_sec: (span.0 / 1_000_000) as i64,
            tv_nsec: (span.0 % 1_000_000 * 1000) as i64,
        });
        // An interrupted wait is a wait that ended early, which every caller expects.
        let _ = poll(&mut fds, timeout.as_ref());
        let _ = rustix::io::read(self.0.as_fd(), &mut [0u8; 8]);
    }
}

/// What the gateway asked of the capture thread.
#[derive(Debug, Default)]
pub struct Command {
    /// The link went or was replaced: nobody looks until told otherwise.
    pub link_changed: bool,
    /// How many viewers look, and how many video encoders there may be for them.
    pub watch: Option<(u16, u8)>,
    /// What the link carries of the viewer that paces.
    pub pace: Option<Pace>,
    /// A refresh frame is wanted, and the newest request for it.
    pub refresh: Option<(RefreshId, Refresh)>,
    /// The newest frame that was painted.
    pub painted: Option<FrameRef>,
    /// Another size is wanted.
    pub resize: Option<Size>,
    /// A still picture is wanted, and whether at once.
    pub still: Option<bool>,
}

/// A slot for commands to the capture thread.
#[derive(Debug)]
pub struct Commands {
    slot: Mutex<Command>,
    waker: Waker,
}

impl Commands {
    /// Adds to what is asked.
    pub fn update(&self, change: impl FnOnce(&mut Command)) {
        change(&mut lock(&self.slot));
        self.waker.wake();
    }

    /// All that was asked since the last time.
    pub fn take(&self) -> Command {
        std::mem::take(&mut lock(&self.slot))
    }

    /// What ends the capture thread's waits.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }
}

impl Command {
    /// Adds a refresh to what is asked for already.
    pub fn add_refresh(&mut self, request: RefreshId, new: Refresh) {
        let refresh = match self.refresh.take() {
            Some((_, old)) => merged(old, new),
            None => new,
        };
        self.refresh = Some((request, refresh));
    }
}

/// One refresh that serves both.
pub fn merged(old: Refresh, new: Refresh) -> Refresh {
    match (old, new) {
        (
            Refresh::Part { since: a, missed: mut rects, askers: one },
            Refresh::Part { since: b, missed: more, askers: other },
        ) if a.epoch == b.epoch && rects.len() + more.len() <= 4 * MAX_REFRESH_RECTS => {
            rects.extend(more);
            let since = if a.id < b.id { a } else { b };
            Refresh::Part { since, missed: rects, askers: one.and(other) }
        }
        (Refresh::Part { .. } | Refresh::Whole, Refresh::Part { .. } | Refresh::Whole) => {
            Refresh::Whole
        }
    }
}

/// How long a frame waits for the number of the input that it may show.
const ECHO_PATIENCE: Duration = Duration::from_millis(1);

/// Whose input was applied last, and which.
#[derive(Debug, Default)]
pub struct Echo {
    last: AtomicU64,
    applying: AtomicBool,
}

impl Echo {
    /// Input is on its way to the display.
    pub fn begin(&self) {
        self.applying.store(true, Ordering::Release);
    }

    /// The display has taken this input in, and all before it.
    pub fn set(&self, viewer: ViewerId, seq: Seq) {
        self.last.store(u64::from(viewer.0) << 32 | u64::from(seq.0), Ordering::Release);
    }

    /// No input is on its way any more.
    pub fn end(&self) {
        self.applying.store(false, Ordering::Release);
    }

    /// Whether input is on its way.
    pub fn is_applying(&self) -> bool {
        self.applying.load(Ordering::Acquire)
    }

    /// The last that it took in.
    pub fn get(&self) -> (ViewerId, Seq) {
        let both = self.last.load(Ordering::Acquire);
        (ViewerId((both >> 32) as u32), Seq(both as u32))
    }

    /// The same, once the display's word on what is being applied has come: a program may have
    /// drawn its answer to a key before the input thread has run again.
    pub fn settled(&self) -> (ViewerId, Seq) {
        let start = Instant::now();
        while self.is_applying() && start.elapsed() < ECHO_PATIENCE {
            std::thread::yield_now();
        }
        self.get()
    }
}

/// Where the pointer was put last: what lies near is looked at.
#[derive(Debug, Default)]
pub struct PointerSlot(AtomicU32);

impl PointerSlot {
    /// The pointer is here.
    pub fn set(&self, at: Point) {
        self.0.store(u32::from(at.x) << 16 | u32::from(at.y), Ordering::Relaxed);
    }

    /// Where it was put last.
    pub fn get(&self) -> Point {
        let both = self.0.load(Ordering::Relaxed);
        Point { x: (both >> 16) as u16, y: both as u16 }
    }
}

/// Since when a thread has been waiting for the X server.
#[derive(Debug, Default)]
pub struct Busy(AtomicU64);

/// The thread is in the X server's hands while this lives.
#[derive(Debug)]
pub struct BusyGuard<'a>(&'a Busy);

impl Busy {
    /// The thread is about to ask the X server something.
    pub fn enter(&self) -> BusyGuard<'_> {
        self.renew();
        BusyGuard(self)
    }

    /// The X server is known to have answered, or we were waiting for something else.
    pub fn renew(&self) {
        self.0.store(crate::clock::now().0.max(1), Ordering::Relaxed);
    }

    /// How long the thread has been waiting at `now`.
    pub fn waited(&self, now: Micros) -> Micros {
        match self.0.load(Ordering::Relaxed) {
            0 => Micros(0),
            since => now.since(Micros(since)),
        }
    }
}

impl Drop for BusyGuard<'_> {
    fn drop(&mut self) {
        self.0.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_wire::{Askers, Epoch, FrameId, Rect};

    fn part(epoch: u32, id: u32) -> Refresh {
        let since = FrameRef { epoch: Epoch(epoch), id: FrameId(id) };
        let askers = if id == 4 { Askers::Video } else { Askers::Stills };
        Refresh::Part { since, missed: vec![Rect::new(id as u16, 0, 1, 1)], askers }
    }

    #[test]
    fn refreshes_merge_to_the_older_frame() {
        let Refresh::Part { since, missed, askers } = merged(part(1, 9), part(1, 4)) else {
            panic!("two parts of one epoch make a part");
        };
        assert_eq!(askers, Askers::Both);
        assert_eq!((since.id, missed.len()), (FrameId(4), 2));
    }

    #[test]
    fn requests_that_merge_are_answered_under_the_newest_number() {
        let mut command = Command::default();
        command.add_refresh(RefreshId(255), part(1, 9));
        command.add_refresh(RefreshId(0), part(1, 4));
        let (request, refresh) = command.refresh.expect("both are asked for");
        assert_eq!((request, refresh), (RefreshId(0), merged(part(1, 9), part(1, 4))));
    }

    #[test]
    fn refreshes_of_different_epochs_make_a_whole_one() {
        assert_eq!(merged(part(1, 9), part(2, 4)), Refresh::Whole);
        assert_eq!(merged(Refresh::Whole, part(2, 4)), Refresh::Whole);
    }

    #[test]
    fn the_echo_keeps_viewer_and_number_together() {
        let echo = Echo::default();
        echo.set(ViewerId(u32::MAX), Seq(7));
        assert_eq!(echo.get(), (ViewerId(u32::MAX), Seq(7)));
    }
}
