//! A link as TCP shows it: in order, nothing lost, and late.

use lattice_wire::Micros;
use std::collections::VecDeque;

/// Numbers that look like chance and are the same on every run (Vigna's SplitMix64).
pub struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What a link is like.
#[derive(Clone, Copy)]
pub struct Nature {
    /// The round trip, ms.
    pub rtt: f64,
    /// What it carries, kbit/s; from these times on (ms), these.
    pub kbit: f64,
    pub steps: &'static [(u64, f64)],
    /// How much later than the one before a frame may arrive, ms.
    pub jitter: f64,
    /// Of so many packets one is lost, and repaired a round trip later. 0 for none.
    pub loss: f64,
    /// How often the link stands still, and for how long, ms; 0 for never.
    pub stalls: (u64, u64),
    /// From when to when nothing gets through in either direction, ms.
    pub hole: (u64, u64),
}

/// A link that leaves nothing to wish for.
pub const PERFECT: Nature = Nature {
    rtt: 1.0,
    kbit: 1e6,
    steps: &[],
    jitter: 0.0,
    loss: 0.0,
    stalls: (0, 0),
    hole: (0, 0),
};

/// What is on its way.
struct Load<T> {
    what: T,
    /// Bytes that have not left.
    left: f64,
    begun: bool,
}

pub struct Pipe<T> {
    nature: Nature,
    queue: VecDeque<Load<T>>,
    /// What has left, and when it arrives.
    flying: VecDeque<(f64, T)>,
    last_arrival: f64,
    chance: Chance,
}

impl<T> Pipe<T> {
    pub fn new(nature: Nature, seed: u64) -> Self {
        let (queue, flying) = (VecDeque::new(), VecDeque::new());
        Self { nature, queue, flying, last_arrival: 0.0, chance: Chance(seed) }
    }

    /// Gives bytes to the socket; TCP, WebSocket and IP add their headers.
    pub fn send(&mut self, what: T, bytes: usize) {
        let left = (bytes + 60 + bytes / 1400 * 40) as f64;
        self.queue.push_back(Load { what, left, begun: false });
    }

    /// Throws away what has not begun to leave.
    pub fn drop_waiting(&mut self) {
        self.queue.retain(|load| load.begun);
    }

    /// A millisecond passes; `taken` hears of what begins to leave, and what arrives comes back.
    pub fn tick(&mut self, now: Micros, mut taken: impl FnMut()) -> Vec<T> {
        let ms = now.0 / 1000;
        let in_hole = (self.nature.hole.0..self.nature.hole.1).contains(&ms);
        let kbit = self.nature.steps.iter().rev().find(|(from, _)| ms >= *from);
        let mut room = kbit.map_or(self.nature.kbit, |(_, kbit)| *kbit) / 8.0;
        let (every, span) = self.nature.stalls;
        let is_still = every > 0 && ms % every >= every - span;
        while room > 0.0 && !in_hole && !is_still {
            let Some(load) = self.queue.front_mut() else { break };
            if !std::mem::replace(&mut load.begun, true) {
                taken();
            }
            let part = load.left.min(room);
            (load.left, room) = (load.left - part, room - part);
            let packets = (part / 1400.0).max(0.05);
            if self.chance.share() < packets * self.nature.loss {
                self.last_arrival = ms as f64 + self.nature.rtt * 1.5;
            }
            if load.left <= 0.0 {
                let Some(load) = self.queue.pop_front() else { break };
                let late = self.chance.share() * self.nature.jitter;
                let arrival = ms as f64 + self.nature.rtt / 2.0 + late;
                self.last_arrival = self.last_arrival.max(arrival);
                self.flying.push_back((self.last_arrival, load.what));
            }
        }
        if in_hole {
            return Vec::new();
        }
        let there = self.flying.iter().take_while(|(at, _)| *at <= ms as f64).count();
        self.flying.drain(..there).map(|(_, what)| what).collect()
    }
}
