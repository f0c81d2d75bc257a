//! How often apps may be opened from a desktop.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Twice what an honest relay lets through.
const MOST: usize = 20;
const WITHIN: Duration = Duration::from_secs(10);

/// When the last ones were.
#[derive(Debug, Default)]
pub(super) struct Pace(VecDeque<Instant>);

impl Pace {
    /// Whether one more is not too many; it counts then.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        self.0.retain(|at| now.duration_since(*at) < WITHIN);
        let allowed = self.0.len() < MOST;
        if allowed {
            self.0.push_back(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_are_refused_until_the_first_are_long_ago() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert!((0..MOST).all(|_| pace.allows(now)));
        assert!(!pace.allows(now));
        assert!(pace.allows(now + WITHIN));
    }
}
