//! When the next frame is due.
//!
//! Newest wins: damage that comes while a frame may not be made yet waits in the X server, merged,
//! and nothing queues in front of the capture. A frame after rest is due at once, and so are a few
//! more right behind it: programs draw a letter in two or three steps (the caret away, the letter,
//! the caret back), and the last of them must not wait for a whole interval. In the long run frames
//! keep the interval (the generic cell rate algorithm of ITU-T I.371).

use lattice_wire::{FrameId, Micros};
use std::collections::VecDeque;

/// How many intervals' worth of frames may be made right behind each other after rest.
const BURST: u64 = 2;

/// The least time between two looks at the screen: about what one costs.
const MIN_SPACING: Micros = Micros(2000);

/// Decides when to grab.
#[derive(Debug)]
pub struct FrameClock {
    interval: Micros,
    max_in_flight: usize,
    damaged: bool,
    /// When the frames made so far would be used up at one an interval.
    used_up: Micros,
    last: Option<Micros>,
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
        let (damaged, used_up, last) = (false, Micros(0), None);
        Self { interval, max_in_flight, damaged, used_up, last, in_flight: VecDeque::new() }
    }

    /// The screen changed.
    pub fn handle_damage(&mut self) {
        self.damaged = true;
    }

    /// The damage was looked at, at `now`, and nothing was to be sent: half the cost of a frame.
    pub fn handle_nothing(&mut self, now: Micros) {
        self.spend(now, Micros(self.interval.0 / 2));
    }

    /// The damage was grabbed at `now` and went out as frame `id`.
    pub fn handle_sent(&mut self, id: FrameId, now: Micros) {
        self.spend(now, self.interval);
        self.in_flight.push_back(id);
    }

    fn spend(&mut self, now: Micros, cost: Micros) {
        self.damaged = false;
        self.last = Some(now);
        self.used_up = self.used_up.max(now).plus(cost);
    }

    /// A viewer has painted `id` and so all frames before it.
    pub fn handle_painted(&mut self, id: FrameId) {
        self.in_flight.retain(|&sent| sent > id);
    }

    /// Frames in flight will not be acknowledged: the viewers are gone, or the ids start again.
    pub fn reset(&mut self) {
        self.in_flight.clear();
        self.used_up = Micros(0);
    }

    /// What to do at `now`.
    pub fn poll(&self, now: Micros) -> Due {
        let not_before = self.not_before();
        if !self.damaged {
            Due::Idle
        } else if self.in_flight.len() >= self.max_in_flight {
            Due::Blocked
        } else if now < not_before {
            Due::At(not_before)
        } else {
            Due::Now
        }
    }

    fn not_before(&self) -> Micros {
        let earned = self.used_up.since(Micros(self.interval.0 * BURST));
        let spaced = self.last.map_or(Micros(0), |last| last.plus(MIN_SPACING));
        earned.max(spaced)
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
    fn the_steps_of_one_drawing_follow_each_other_closely() {
        let mut clock = clock();
        for step in 0..3 {
            let now = Micros(1000 + step * 2000);
            clock.handle_damage();
            assert_eq!(clock.poll(now), Due::Now, "step {step}");
            clock.handle_sent(FrameId(step as u32 + 1), now);
            clock.handle_painted(FrameId(step as u32 + 1));
        }
        clock.handle_damage();
        assert!(matches!(clock.poll(Micros(7000)), Due::At(_)));
    }

    #[test]
    fn endless_drawing_gets_a_frame_an_interval() {
        let mut clock = clock();
        let mut frames = 0;
        for now in (0..1_600_000).step_by(100).map(Micros) {
            clock.handle_damage();
            if clock.poll(now) == Due::Now {
                frames += 1;
                clock.handle_sent(FrameId(frames), now);
                clock.handle_painted(FrameId(frames));
            }
        }
        assert!((100..=103).contains(&frames), "{frames} frames in 1.6 s");
    }

    #[test]
    fn drawing_the_same_again_and_again_costs_two_looks_an_interval() {
        let mut clock = clock();
        let mut looks = 0;
        for now in (0..1_600_000).step_by(100).map(Micros) {
            clock.handle_damage();
            if clock.poll(now) == Due::Now {
                looks += 1;
                clock.handle_nothing(now);
            }
        }
        assert!((200..=206).contains(&looks), "{looks} looks in 1.6 s");
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
