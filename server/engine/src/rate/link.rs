//! What one viewer's link carries, judged by how late its frames are painted.
//!
//! TCP hides loss and delivers in order, so the only sign of a narrow link is time: a frame that is
//! acknowledged later than the link's own round trip has waited somewhere. Where nothing waits there
//! is nothing to know, and no limit. Where something does, the bytes that came through meanwhile say
//! what the link carries (the idea of BBR, Cardwell et al., ACM Queue 14(5), 2016), and the limit
//! becomes a little less, so that the queue runs empty.
//!
//! # The round trip without a queue
//!
//! Delay means nothing without the delay that is nobody's fault, and each of the two sources for it
//! is wrong alone:
//!
//! - The kernel's `TCP_INFO` knows the least round trip to the *first hop*: behind a proxy or a relay
//!   that is the proxy, and the rest of the path would count as a queue.
//! - Acknowledgements (and pongs) go all the way, and the least of them over ten seconds is right
//!   behind proxies, too; but they are the client's word, and one that delays them could have its
//!   queue called a long path.
//!
//! So the base is what the client's answers say, never below the kernel's figure and never more than
//! [`TRUST`] above it: a client can loosen its own limit by that much and no further. The same holds
//! for the time it claims to spend on decoding, see [`MAX_DECODE`].
//!
//! # The limit
//!
//! Each frame is a probe: what it took from the moment it could have begun to arrive gives a rate.
//! Of the last [`SAMPLES`] rates the slowest does not count, as one pause (a lost packet, a scan for
//! networks) says nothing about what the link carries; a link that became narrow shows it again with
//! the next frame. A frame that waited longer than [`TARGET`] is an overload and brings the limit
//! below that rate. Without overload the limit grows: in little steps while frames take as long as it
//! says, and doubling each round trip while they come through clearly faster, so that a link that
//! recovers is used within two seconds.

use super::Bitrate;
use super::average::{Demand, Least};
use lattice_wire::{Bottleneck, Micros};
use std::collections::VecDeque;

/// How much longer than the kernel's round trip the base may be. The longest path behind a proxy
/// that is not by satellite takes about 300 ms.
const TRUST: Micros = Micros::from_millis(400);
/// The longest decoding that is believed, as time that is not the link's.
const MAX_DECODE: Micros = Micros::from_millis(100);

/// So long a frame may wait beyond its own transmission. Typing shares the queue with video, and its
/// budget is 60 ms.
const TARGET: Micros = Micros::from_millis(30);
/// An overload brings the limit to this share of what the link carried: the rest empties the queue.
const BACK_OFF: f64 = 0.9;
/// Where the rates say that the link carries enough and frames wait all the same, for so long, it
/// is the rates that are wrong: frames arrived in bunches.
const DISBELIEF: Micros = Micros::from_millis(400);
const DISBELIEF_CUT: f64 = 0.8;
/// But so much of them is true: what waits may be more than any limit could hold back, such as a
/// page of text that scrolls.
const LEAST_BELIEF: f64 = 0.6;

/// Rates that are looked at.
const SAMPLES: usize = 6;
/// A smaller frame takes about as long as the clock's and the scheduler's errors.
const LEAST_PROBE: u64 = 1200;
/// But one that would take so long if the limit were true says whether it is: a limit that is far too
/// low makes frames small, and could otherwise never be seen to be.
const TELLING: Micros = Micros::from_millis(8);
/// The first limit needs so many bytes behind it, and as much to have been sent as makes a queue: a
/// few letters that were late because this machine or the browser was busy say nothing.
const LEAST_EVIDENCE: u64 = 32 << 10;
const LEAST_DEMAND: f64 = 0.5;
/// Older rates do not count.
const FRESH: Micros = Micros::from_millis(2000);

/// How fast the limit grows near what the link carried: 15 % a second, doubling with each second
/// of calm.
const CREEP: f64 = 0.14;
const CREEP_DOUBLES: Micros = Micros::from_millis(1000);
/// It creeps only while so much of it is used: what is not asked for is not known to be there.
const USED: f64 = 0.65;
/// Frames that come through so much faster than the limit show that it is outdated.
const CLEARLY_FASTER: f64 = 1.4;
/// Then it doubles in a round trip, or in this time where that is shorter.
const LEAP: Micros = Micros::from_millis(120);

/// On a long link much is on its way before the first frame is acknowledged. So where the round trip
/// is longer than this, the limit does not begin with none but here, and leaps from it.
const SHORT: Micros = Micros::from_millis(30);
const START: f64 = 3_000_000.0;
/// The least limit: a still of a few hundred pixels a second.
const LEAST: f64 = 50_000.0;
/// Above this nothing that a screen shows is limited, and the limit is forgotten.
const PLENTY: f64 = 80_000_000.0;

/// How long what was noticed last counts for [`Link::bottleneck`].
const RECENT: Micros = Micros::from_millis(2000);

/// A frame that was painted, as both ends saw it.
#[derive(Debug, Clone, Copy)]
pub struct Painted {
    /// Its bytes.
    pub bytes: usize,
    /// When it was given to the connection.
    pub sent: Micros,
    /// From its arrival to its painting, as the viewer says.
    pub decode: Micros,
    /// Frames that had arrived and were not painted, as the viewer says.
    pub queued: u8,
}

/// The state of one viewer's link.
#[derive(Debug)]
pub struct Link {
    round_trips: Least,
    decodes: Least,
    kernel_min: Option<Micros>,
    probes: VecDeque<Probe>,
    arrived: Micros,
    limit: Option<f64>,
    /// When the limit was looked at last.
    judged: Micros,
    /// The newest overload.
    overload: Option<Micros>,
    /// When the first of the newest frames had waited, if those all did and the limit stayed.
    streak: Option<Micros>,
    demand: Demand,
    slow_painting: Option<Micros>,
    debt: Micros,
}

/// How long so many bytes took.
#[derive(Debug, Clone, Copy)]
struct Probe {
    at: Micros,
    bytes: u64,
    took: Micros,
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

impl Link {
    /// Nothing is known.
    pub fn new() -> Self {
        Self {
            round_trips: Least::new(),
            decodes: Least::new(),
            kernel_min: None,
            probes: VecDeque::new(),
            arrived: Micros(0),
            limit: None,
            judged: Micros(0),
            overload: None,
            streak: None,
            demand: Demand::default(),
            slow_painting: None,
            debt: Micros(0),
        }
    }

    /// So many bytes of a frame were given to the connection.
    pub fn handle_sent(&mut self, bytes: usize, now: Micros) {
        self.demand.add(bytes, now);
    }

    /// A ping was answered after so long. It queues behind frames, so only the least of many counts.
    pub fn handle_round_trip(&mut self, round_trip: Micros, now: Micros) {
        self.round_trips.add(round_trip, now);
    }

    /// The least round trip to the first hop, from `TCP_INFO`.
    pub fn handle_kernel(&mut self, min_rtt: Micros) {
        self.kernel_min = Some(min_rtt);
    }

    /// A viewer says at `now` that it has painted a frame.
    pub fn handle_painted(&mut self, frame: Painted, now: Micros) {
        let decode = Micros(frame.decode.0.min(MAX_DECODE.0));
        let arrived = Micros(now.0.saturating_sub(decode.0));
        let delay = arrived.since(frame.sent);
        self.round_trips.add(delay, now);
        self.decodes.add(decode, now);
        if self.judged == Micros(0) && self.base_rtt() > SHORT {
            self.limit = Some(START);
        }
        let begun = frame.sent.plus(self.base_rtt());
        let took = arrived.since(begun.max(self.arrived));
        self.arrived = self.arrived.max(arrived);
        let bytes = frame.bytes as u64;
        let own = self.bitrate().map_or(Micros(0), |bitrate| bitrate.time_of(bytes));
        if bytes >= LEAST_PROBE || own >= TELLING {
            self.probes.push_back(Probe { at: now, bytes, took });
            if self.probes.len() > SAMPLES {
                self.probes.pop_front();
            }
        }
        let waited = delay.since(self.base_rtt()).since(own);
        match waited > TARGET {
            true => self.back_off(now),
            false => self.grow(now),
        }
        self.judged = now;
        self.debt = self.lateness(frame.sent, now);
        if frame.queued >= 2 && waited <= TARGET || frame.decode > MAX_DECODE {
            self.slow_painting = Some(now);
        }
    }

    /// The round trip without anything queued.
    pub fn base_rtt(&self) -> Micros {
        let floor = self.kernel_min.unwrap_or(Micros(0));
        let said = self.round_trips.get().unwrap_or(floor);
        Micros(said.0.clamp(floor.0, floor.0 + TRUST.0))
    }

    /// What the link carries, where a limit has been met.
    pub fn bitrate(&self) -> Option<Bitrate> {
        self.limit.map(|limit| Bitrate(limit as u32))
    }

    /// By how much a frame that was sent at `sent` and is not painted at `now` is older than one
    /// has to be.
    pub fn lateness(&self, sent: Micros, now: Micros) -> Micros {
        let decode = self.decodes.get().unwrap_or(Micros(0));
        now.since(sent).since(self.base_rtt()).since(decode)
    }

    /// How late the newest frame was that has been painted.
    pub fn debt(&self) -> Micros {
        self.debt
    }

    /// What keeps this viewer from seeing more, as far as its own link and browser go.
    pub fn bottleneck(&self, now: Micros) -> Bottleneck {
        let recent = |at: Micros| now.since(at) < RECENT;
        let is_used = |limit: f64| self.demand.get(now) >= limit / 2.0;
        let overloaded = self.overload.is_some_and(recent);
        if self.limit.is_some_and(|limit| overloaded || is_used(limit)) {
            Bottleneck::Network
        } else if self.slow_painting.is_some_and(recent) {
            Bottleneck::Browser
        } else {
            Bottleneck::Nothing
        }
    }

    /// A frame has waited.
    fn back_off(&mut self, now: Micros) {
        self.overload = Some(now);
        let since = *self.streak.get_or_insert(now);
        let Some((carried, bytes)) = self.carried(now) else { return };
        let plenty = bytes >= LEAST_EVIDENCE && self.demand.get(now) >= carried * LEAST_DEMAND;
        if self.limit.is_none() && !plenty {
            return;
        }
        let limit = self.limit.unwrap_or(f64::MAX);
        let lowered = if carried * BACK_OFF < limit {
            carried * BACK_OFF
        } else if now.since(since) >= DISBELIEF && limit > carried * LEAST_BELIEF {
            limit * DISBELIEF_CUT
        } else {
            return;
        };
        self.limit = Some(lowered.max(LEAST));
        self.streak = Some(now);
    }

    /// A frame came through without waiting.
    fn grow(&mut self, now: Micros) {
        self.streak = None;
        let Some(limit) = self.limit else { return };
        // What was sent before the limit was lowered says nothing about the lower one.
        let calm = now.since(self.overload.unwrap_or(Micros(0))).since(self.base_rtt());
        if calm == Micros(0) {
            return;
        }
        let carried = self.carried(now).map_or(0.0, |(carried, _)| carried);
        let leap = std::f64::consts::LN_2 * 1e6 / self.base_rtt().0.max(LEAP.0) as f64;
        let rate = if carried > limit * CLEARLY_FASTER {
            leap
        } else if carried > limit && self.demand.get(now) >= limit * USED {
            (CREEP * (calm.0 as f64 / CREEP_DOUBLES.0 as f64).exp2()).min(leap)
        } else {
            return;
        };
        // After a pause there is no more evidence than after a moment.
        let span = now.since(self.judged).0.min(LEAP.0) as f64 / 1e6;
        let limit = limit * (rate * span).exp();
        self.limit = (limit < PLENTY).then_some(limit);
    }

    /// Bits a second at which the last frames came through, and their bytes; the slowest is left out.
    fn carried(&self, now: Micros) -> Option<(f64, u64)> {
        let fresh = self.probes.iter().filter(|probe| now.since(probe.at) < FRESH);
        let mut fresh: Vec<&Probe> = fresh.collect();
        let slowness = |probe: &Probe| probe.took.0 as f64 / probe.bytes as f64;
        fresh.sort_by(|a, b| slowness(a).total_cmp(&slowness(b)));
        fresh.pop()?;
        let bytes: u64 = fresh.iter().map(|probe| probe.bytes).sum();
        let took: u64 = fresh.iter().map(|probe| probe.took.0).sum();
        (bytes > 0).then(|| (bytes as f64 * 8e6 / took.max(1) as f64, bytes))
    }
}

#[cfg(test)]
mod tests;
