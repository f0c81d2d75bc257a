//! What a link does to bytes: a user-space stand-in for `tc netem`, for [`crate::relay`].
//!
//! Bytes wait in a router's queue, pass the bottleneck at its rate, travel, and arrive in order. All
//! connections share the queue and the bottleneck. A full queue is not read from, so the sender's
//! own buffers fill and it notices; nothing is lost, as nothing is in TCP: a lost packet shows as a
//! stall of a round trip, with all that came meanwhile behind it.
//!
//! The kernels at both ends acknowledge what the relay took, so their own round trip is that of
//! loopback whatever the link says.

use crate::scene::Random;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::sync::mpsc::{SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a router holds, as too many do.
const QUEUE_BYTES: usize = 256 << 10;
/// Kernel buffers beside the queue: smaller than a packet of loopback (64 KiB) they would stall.
const SOCKET_BYTES: usize = 64 << 10;
const PACKET_BYTES: usize = 1400;
/// Pieces that travel at once. With the fastest link and the longest way it is never reached.
const MAX_TRAVELLING: usize = 4096;

/// A link. Both directions are alike.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// Half a round trip.
    pub latency: Duration,
    /// Up to so much is added, anew for each packet; order is kept.
    pub jitter: Duration,
    /// Bytes a second from these moments of the course on; without limit before the first.
    pub rates: Vec<(Duration, u32)>,
    /// Times of the course in which nothing passes.
    pub outages: Vec<Range<Duration>>,
    /// Of so many packets in a thousand each comes a round trip late.
    pub stalls_per_mille: u32,
}

impl Profile {
    /// The links of the bench, by name, over a course of this length.
    pub fn named(name: &str, course: Duration) -> Option<Self> {
        let link = |round_trip_ms: u64, megabits: f64| Self {
            latency: Duration::from_micros(round_trip_ms * 500),
            rates: vec![(Duration::ZERO, rate(megabits))],
            ..Self::default()
        };
        Some(match name {
            "lan" => Self { latency: Duration::from_micros(100), ..link(0, 1000.0) },
            "20ms-20mbit" => link(20, 20.0),
            "60ms-5mbit-stalls" => {
                let jitter = Duration::from_millis(5);
                Self { stalls_per_mille: 10, jitter, ..link(60, 5.0) }
            }
            "200ms-2mbit" => link(200, 2.0),
            "step-5-0.5-5" => {
                let steps = [(0, 5.0), (1, 0.5), (2, 5.0)];
                let rates = steps.map(|(third, megabits)| (course * third / 3, rate(megabits)));
                Self { rates: rates.to_vec(), ..link(20, 5.0) }
            }
            "blackhole-3s" => {
                let start = course / 3;
                Self { outages: vec![start..start + Duration::from_secs(3)], ..link(20, 20.0) }
            }
            _ => return None,
        })
    }

    /// When the course has done its worst; nothing where every moment is like the others.
    pub fn well_at(&self) -> Option<Duration> {
        let outage = self.outages.last().map(|outage| outage.end);
        let step = self.rates.last().map(|&(at, _)| at).filter(|at| !at.is_zero());
        outage.max(step)
    }

    fn rate_at(&self, time: Duration) -> Option<u32> {
        self.rates.iter().rev().find(|&&(from, _)| from <= time).map(|&(_, rate)| rate)
    }

    /// A piece is what passes in 2 ms, so that a link is shared evenly and steps are seen soon.
    fn piece_at(&self, time: Duration) -> usize {
        self.rate_at(time).map_or(16 << 10, |rate| (rate as usize / 500).clamp(512, 16 << 10))
    }
}

fn rate(megabits: f64) -> u32 {
    (megabits * 125_000.0) as u32
}

/// One direction of a link, which its connections share.
#[derive(Debug)]
pub(crate) struct Direction {
    profile: Profile,
    /// When the course began; until then it is at its very beginning.
    started: Mutex<Option<Instant>>,
    free_at: Mutex<Instant>,
    queued: Mutex<usize>,
    left: Condvar,
    random: Mutex<Random>,
}

impl Direction {
    pub(crate) fn new(profile: Profile, seed: u32) -> Self {
        Self {
            profile,
            started: Mutex::new(None),
            free_at: Mutex::new(Instant::now()),
            queued: Mutex::new(0),
            left: Condvar::new(),
            random: Mutex::new(Random(seed | 1)),
        }
    }

    /// Begins the course.
    pub(crate) fn start(&self, at: Instant) {
        *lock(&self.started) = Some(at);
    }

    fn time_at(&self, at: Instant) -> Duration {
        lock(&self.started).map_or(Duration::ZERO, |start| at.saturating_duration_since(start))
    }

    /// Waits for room in the queue.
    fn enter(&self, bytes: usize) {
        let full = |queued: &mut usize| *queued > 0 && *queued + bytes > QUEUE_BYTES;
        let queued = self.left.wait_while(lock(&self.queued), full);
        *queued.expect("no holder of the lock panics") += bytes;
    }

    fn leave(&self, bytes: usize) {
        *lock(&self.queued) -= bytes;
        self.left.notify_all();
    }

    /// Takes the bottleneck for so many bytes that came then, waits until they are through, and
    /// answers when they should have been: who wakes late makes the link no slower.
    fn transmit(&self, came: Instant, bytes: usize) -> Instant {
        let through = {
            let mut free_at = lock(&self.free_at);
            let mut start = (*free_at).max(came);
            let time = self.time_at(start);
            if let Some(outage) = self.profile.outages.iter().find(|outage| outage.contains(&time))
            {
                start += outage.end - time;
            }
            let rate = self.profile.rate_at(self.time_at(start));
            let takes = rate.map_or(0.0, |rate| bytes as f64 / f64::from(rate));
            *free_at = start + Duration::from_secs_f64(takes);
            *free_at
        };
        thread::sleep(through.saturating_duration_since(Instant::now()));
        through
    }

    /// How long these bytes travel.
    fn travel(&self, bytes: usize) -> Duration {
        let Profile { latency, jitter, stalls_per_mille, .. } = self.profile;
        let mut random = lock(&self.random);
        let packets = bytes.div_ceil(PACKET_BYTES);
        let stalls = (0..packets).any(|_| random.below(1000) < stalls_per_mille);
        let late = if stalls { latency * 2 } else { Duration::ZERO };
        let micros = random.below(u32::try_from(jitter.as_micros()).unwrap_or(u32::MAX).max(1));
        latency + late + Duration::from_micros(u64::from(micros))
    }
}

/// Bytes, and when they came or are due.
type Piece = (Instant, Vec<u8>);

/// Passes the bytes of one connection in one direction, until either end closes.
pub(crate) fn pass(direction: &Arc<Direction>, mut from: TcpStream, mut to: TcpStream) {
    // Where the kernel refuses, the link is a little longer.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&from, SOCKET_BYTES);
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(&to, SOCKET_BYTES);
    // `enter` bounds it, by bytes.
    let (queue, waiting) = channel::<Piece>();
    let (travelling, arriving) = sync_channel::<Piece>(MAX_TRAVELLING);
    let own = direction.clone();
    thread::spawn(move || bottleneck(&own, waiting.iter(), &travelling));
    thread::spawn(move || {
        for (due, bytes) in arriving {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buffer = [0; 16 << 10];
    loop {
        let piece = direction.profile.piece_at(direction.time_at(Instant::now()));
        let Ok(len @ 1..) = from.read(&mut buffer[..piece]) else { break };
        direction.enter(len);
        if queue.send((Instant::now(), buffer[..len].to_vec())).is_err() {
            direction.leave(len);
            break;
        }
    }
}

fn bottleneck(
    direction: &Direction,
    waiting: impl Iterator<Item = Piece>,
    travelling: &SyncSender<Piece>,
) {
    let mut last_due = Instant::now();
    let mut is_open = true;
    for (came, bytes) in waiting {
        // What nobody takes any more still leaves the queue to the others.
        if is_open {
            let through = direction.transmit(came, bytes.len());
            last_due = last_due.max(through + direction.travel(bytes.len()));
        }
        direction.leave(bytes.len());
        is_open = is_open && travelling.send((last_due, bytes)).is_ok();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no holder of the lock panics")
}
