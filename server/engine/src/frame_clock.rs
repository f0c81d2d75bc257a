//! When the next frame is due.
//!
//! Newest wins: damage that comes while a frame may not be made yet waits in the X server, merged,
//! and nothing queues in front of the capture. A frame after rest is due at once, and so are a few
//! more right behind it: programs draw a letter in two or three steps (the caret away, the letter,
//! the caret back), and the last of them must not wait for a whole interval. In the long run frames
//! keep the interval (the generic cell rate algorithm of ITU-T I.371).
//!
//! What is sent and not painted is a queue only beyond what the link itself holds: a frame younger
//! than the link's round trip cannot have been acknowledged yet, whatever the viewer does. So
//! `max_in_flight` counts the older ones, and [`MAX_ON_THE_WAY`] bounds all of them. A frame only
//! grows older, so what is `Blocked` stays so until something is painted: no deadline ends it.

use crate::rate::{MAX_ON_THE_WAY, on_the_wire};
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
    /// The frames that are sent and not painted, and when they were sent.
    in_flight: VecDeque<(FrameId, Micros)>,
    /// The same of frames that only refine.
    refining: VecDeque<FrameId>,
    /// So old a frame may be and still be on the wire.
    on_the_wire: Micros,
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
    /// At most one frame every `interval`, at most `max_in_flight` sent and not painted beyond what
    /// the link itself holds: nothing, until [`FrameClock::handle_pace`] says otherwise.
    pub fn new(interval: Micros, max_in_flight: usize) -> Self {
        let (damaged, used_up, last) = (false, Micros(0), None);
        let (in_flight, refining, on_the_wire) = (VecDeque::new(), VecDeque::new(), Micros(0));
        Self { interval, max_in_flight, damaged, used_up, last, in_flight, refining, on_the_wire }
    }

    /// The round trip, without anything queued, of the viewer that paces.
    pub fn handle_pace(&mut self, base_rtt: Micros) {
        self.on_the_wire = on_the_wire(base_rtt);
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
        self.in_flight.push_back((id, now));
    }

    /// Frame `id` went out without any damage: it refines what is there already. What is typed next
    /// is not to wait for it, neither for an interval nor for its painting.
    pub fn handle_refined(&mut self, id: FrameId) {
        self.refining.push_back(id);
    }

    /// The least time between frames in the long run.
    pub fn interval(&self) -> Micros {
        self.interval
    }

    /// Whether another frame may be sent at `now`.
    pub fn has_room(&self, now: Micros) -> bool {
        !self.is_full(now)
    }

    /// Whether there is time for what is not urgent: nothing is in flight, but for fewer than
    /// `most` frames that refine.
    pub fn may_refine(&self, most: usize) -> bool {
        self.in_flight.is_empty() && self.refining.len() < most
    }

    fn spend(&mut self, now: Micros, cost: Micros) {
        self.damaged = false;
        self.last = Some(now);
        self.used_up = self.used_up.max(now).plus(cost);
    }

    /// A viewer has painted `id` and so all frames before it.
    pub fn handle_painted(&mut self, id: FrameId) {
        self.in_flight.retain(|&(sent, _)| sent > id);
        self.refining.retain(|&sent| sent > id);
    }

    /// Frames in flight will not be acknowledged: the viewers are gone, or the ids start again.
    pub fn reset(&mut self) {
        self.in_flight.clear();
        self.refining.clear();
        self.used_up = Micros(0);
    }

    /// What to do at `now`.
    pub fn poll(&self, now: Micros) -> Due {
        let not_before = self.not_before();
        if !self.damaged {
            Due::Idle
        } else if self.is_full(now) {
            Due::Blocked
        } else if now < not_before {
            Due::At(not_before)
        } else {
            Due::Now
        }
    }

    fn is_full(&self, now: Micros) -> bool {
        let waits = |&&(_, sent): &&(FrameId, Micros)| now.since(sent) >= self.on_the_wire;
        let waiting = self.in_flight.iter().filter(waits).count();
        waiting >= self.max_in_flight || self.in_flight.len() >= MAX_ON_THE_WAY
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
    fn frames_that_a_long_link_holds_are_no_queue() {
        let mut clock = clock();
        clock.handle_pace(Micros::from_millis(200));
        let (mut frames, mut painted) = (0, 0);
        for now in (0..2_000_000).step_by(1000).map(Micros) {
            clock.handle_damage();
            if clock.poll(now) == Due::Now {
                frames += 1;
                clock.handle_sent(FrameId(frames), now);
            }
            // Painted 200 ms after they were sent, 16 ms apart.
            let arrived = (now.since(Micros::from_millis(200)).0 / 16_000) as u32;
            if arrived > painted {
                painted = arrived;
                clock.handle_painted(FrameId(painted));
            }
        }
        assert!(frames >= 115, "{frames} frames in 2 s");
    }

    #[test]
    fn frames_that_wait_behind_a_long_link_are_a_queue() {
        let mut clock = clock();
        clock.handle_pace(Micros::from_millis(100));
        for id in 1..=2 {
            clock.handle_sent(FrameId(id), Micros(u64::from(id)));
        }
        clock.handle_damage();
        assert_eq!(clock.poll(Micros::from_millis(120)), Due::Now);
        assert_eq!(clock.poll(Micros::from_millis(126)), Due::Blocked);
        clock.handle_painted(FrameId(1));
        assert_eq!(clock.poll(Micros::from_millis(126)), Due::Now);
    }

    #[test]
    fn no_link_holds_more_than_a_few_frames() {
        let mut clock = clock();
        clock.handle_pace(Micros(u64::MAX));
        for id in 1..=MAX_ON_THE_WAY as u32 {
            clock.handle_damage();
            let now = Micros::from_millis(u64::from(id) * 20);
            assert_eq!(clock.poll(now), Due::Now, "frame {id}");
            clock.handle_sent(FrameId(id), now);
        }
        clock.handle_damage();
        assert_eq!(clock.poll(Micros::from_millis(400)), Due::Blocked);
    }

    #[test]
    fn typing_does_not_wait_for_what_refines_but_that_waits_for_typing() {
        let mut clock = clock();
        (1..=2).for_each(|id| clock.handle_refined(FrameId(id)));
        assert!(!clock.may_refine(2));
        clock.handle_damage();
        assert_eq!(clock.poll(Micros(5)), Due::Now);
        clock.handle_sent(FrameId(3), Micros(5));
        clock.handle_painted(FrameId(2));
        assert!(!clock.may_refine(2), "a letter is on its way");
        clock.handle_painted(FrameId(3));
        assert!(clock.may_refine(2));
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
