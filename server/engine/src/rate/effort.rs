//! How many pictures of video a second this machine can make.
//!
//! Where many desktops share a processor, encoding takes longer than its own time: whoever goes on
//! asking for 60 pictures a second then has none in time. So the interval between pictures follows
//! what one takes by the clock, and leaves room for everything else.

use lattice_wire::Micros;

/// A picture may take so much of the interval that it belongs to.
const SHARE_PERCENT: u64 = 70;
/// How slowly the estimate follows, in pictures: one slow picture is chance.
const INERTIA: u64 = 8;

/// The time that a picture of video takes, by the clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Effort {
    cost: Micros,
}

impl Effort {
    /// A frame with video took so long from its grab to its hand-over.
    pub fn handle_cost(&mut self, cost: Micros) {
        let (old, new) = (self.cost.0, cost.0);
        self.cost = match old {
            0 => cost,
            _ => Micros((old * (INERTIA - 1) + new) / INERTIA),
        };
    }

    /// The least time between two pictures of video.
    pub fn least_interval(&self) -> Micros {
        Micros(self.cost.0 * 100 / SHARE_PERCENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(costs_ms: impl IntoIterator<Item = u64>) -> u64 {
        let mut effort = Effort::default();
        costs_ms.into_iter().for_each(|ms| effort.handle_cost(Micros::from_millis(ms)));
        effort.least_interval().0 / 1000
    }

    #[test]
    fn a_fast_machine_sets_no_bound_that_matters() {
        assert!(after([5; 20]) <= 8);
    }

    #[test]
    fn a_machine_that_takes_twice_as_long_shows_half_as_many() {
        assert!((55..=58).contains(&after([40; 40])));
    }

    #[test]
    fn one_slow_picture_changes_little_and_many_are_followed() {
        assert!(after([10, 10, 10, 80]) < 30);
        assert!(after([10; 5].into_iter().chain([80; 30])) > 100);
    }
}
