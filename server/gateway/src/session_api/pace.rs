//! How often something may be asked from a desktop.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// When the last ones were.
#[derive(Debug)]
pub(crate) struct Pace {
    most: usize,
    within: Duration,
    times: VecDeque<Instant>,
}

impl Pace {
    /// So many within that span.
    pub(crate) fn new(most: usize, within: Duration) -> Self {
        Self { most, within, times: VecDeque::new() }
    }

    /// Whether one more is not too many; it counts then.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        self.wait(now).is_none()
    }

    /// How long until one more is not too many; nothing where it is not now, and then it counts.
    pub(crate) fn wait(&mut self, now: Instant) -> Option<Duration> {
        let within = self.within;
        self.times.retain(|at| now.duration_since(*at) < within);
        if self.times.len() < self.most {
            self.times.push_back(now);
            return None;
        }
        self.times.front().map(|first| (*first + within).duration_since(now))
    }

    /// Whether it knows of nothing that still counts.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        self.times.iter().all(|at| now.duration_since(*at) >= self.within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_are_refused_until_the_first_are_long_ago() {
        let (most, within) = (20, Duration::from_secs(10));
        let (mut pace, now) = (Pace::new(most, within), Instant::now());
        assert!((0..most).all(|_| pace.allows(now)));
        assert!(!pace.allows(now));
        assert_eq!(pace.wait(now + Duration::from_secs(4)), Some(Duration::from_secs(6)));
        assert!(!pace.is_idle(now));
        assert!(pace.is_idle(now + within) && pace.allows(now + within));
    }
}
