//! Numbers over the last while.

use lattice_wire::Micros;
use std::collections::VecDeque;

/// How long the least round trip and the least decoding time are remembered: as BBR does.
const WINDOW: Micros = Micros::from_millis(10_000);
/// The time over which what is sent is averaged.
const DEMAND_SPAN: f64 = 500_000.0;

/// The least value of the last [`WINDOW`], to a tenth of it.
#[derive(Debug)]
pub(super) struct Least {
    /// When each part began, and its least value.
    parts: VecDeque<(Micros, Micros)>,
}

impl Least {
    const PARTS: u64 = 10;

    pub(super) fn new() -> Self {
        Self { parts: VecDeque::new() }
    }

    pub(super) fn add(&mut self, value: Micros, now: Micros) {
        let part = Micros(WINDOW.0 / Self::PARTS);
        match self.parts.back_mut().filter(|(begun, _)| now.since(*begun) < part) {
            Some((_, least)) => *least = (*least).min(value),
            None => self.parts.push_back((now, value)),
        }
        // The newest stays, however old: after a pause it is all there is.
        while self.parts.len() > 1 && now.since(self.parts[0].0) >= WINDOW {
            self.parts.pop_front();
        }
    }

    pub(super) fn get(&self) -> Option<Micros> {
        self.parts.iter().map(|&(_, least)| least).min()
    }
}

/// Bits a second of what is sent, averaged with fading weights.
#[derive(Debug, Default)]
pub(super) struct Demand {
    rate: f64,
    at: Micros,
}

impl Demand {
    pub(super) fn add(&mut self, bytes: usize, now: Micros) {
        self.rate = self.get(now) + bytes as f64 * 8e6 / DEMAND_SPAN;
        self.at = now;
    }

    pub(super) fn get(&self, now: Micros) -> f64 {
        self.rate * (-(now.since(self.at).0 as f64) / DEMAND_SPAN).exp()
    }
}
