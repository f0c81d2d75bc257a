//! When the next frame is due.
//!
//! Newest wins: damage that comes while a frame may not be made yet waits in the X server, merged,
//! and nothing queues in front of the capture. A frame after rest is due at once.

use lattice_wire::{FrameId, Micros};
use std::collections::VecDeque;

/// Decides when to grab.
#[derive(Debug)]
pub struct FrameClock {
    interval: Micros,
    max_in_flight: usize,
    damaged: bool,
    not_before: Micros,
    in_flight: VecDeque<FrameId>,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Make a frame.
    Now,
    /// Make one then.
    At(Micros),
    /// Viewers have not painted the frames before; wait for [`FrameClock::handle_painted`].
    Blocked,
    /// Nothing changed.
    Idle,
}

impl FrameClock {
    /// At most one frame every `interval`, at most `max_in_flight` sent and not painted.
    pub fn new(interval: Micros, max_in_flight: usize) -> Self {
        Self {
            interval,
            max_in_flight,
            damaged: false,
            not_before: Micros(0),
            in_flight: VecDeque::new(),
        }
    }

    /// The screen changed.
    pub fn handle_damage(&mut self) {
        self.damaged = true;
    }

    /// The damage was looked at, at `now`, and nothing was to be sent.
    pub fn handle_nothing(&mut self, now: Micros) {
        self.damaged = false;
        self.not_before = now.plus(self.interval);
    }

    /// The damage was grabbed at `now` and went out as frame `id`.
    pub fn handle_sent(&mut self, id: FrameId, now: Micros) {
        self.handle_nothing(now);
        self.in_flight.push_back(id);
    }

    /// A viewer has painted `id` and so all frames before it.
    pub fn handle_painted(&mut self, id: FrameId) {
        self.in_flight.retain(|&sent| sent > id);
    }

    /// Frames in flight will not be acknowledged: the viewers are gone, or the ids start again.
    pub fn reset(&mut self) {
        self.in_flight.clear();
        self.not_before = Micros(0);
    }

    /// What to do at `now`.
    pub fn poll(&self, now: Micros) -> Due {
        if !self.damaged {
            Due::Idle
        } else if self.in_flight.len() >= self.max_in_flight {
            Due::Blocked
        } else if now < self.not_before {
            Due::At(self.not_before)
        } else {
            Due::Now
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> FrameClock {
        FrameClock::new(Micros(16_000), 2)
    }

    #[test]
    fn the_first_frame_after_rest_is_due_at_once() {
        let mut clock = clock();
        assert_eq!(clock.poll(Micros(5)), Due::Idle);
        clock.handle_damage();
        assert_eq!(clock.poll(Micros(5)), Due::Now);
    }

    #[test]
    fn frames_keep_their_distance() {
        let mut clock = clock();
        clock.handle_damage();
        clock.handle_sent(FrameId(1), Micros(1000));
        clock.handle_damage();
        assert_eq!(clock.poll(Micros(2000)), Due::At(Micros(17_000)));
        assert_eq!(clock.poll(Micros(17_000)), Due::Now);
    }

    #[test]
    fn two_frames_in_flight_block_until_one_is_painted() {
        let mut clock = clock();
        for id in 1..=2 {
            clock.handle_damage();
            clock.handle_sent(FrameId(id), Micros(0));
        }
        clock.handle_damage();
        assert_eq!(clock.poll(Micros::from_millis(900)), Due::Blocked);
        clock.handle_painted(FrameId(1));
        assert_eq!(clock.poll(Micros::from_millis(900)), Due::Now);
    }

    #[test]
    fn painting_a_late_frame_counts_for_all_before_it() {
        let mut clock = clock();
        clock.handle_sent(FrameId(1), Micros(0));
        clock.handle_sent(FrameId(2), Micros(0));
        clock.handle_painted(FrameId(2));
        clock.handle_damage();
        assert_eq!(clock.poll(Micros::from_millis(900)), Due::Now);
    }
}
