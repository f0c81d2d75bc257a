//! How often something may be, counted in times that come as arguments.

use std::collections::VecDeque;
use std::time::Duration;

/// When the last ones were.
pub(crate) struct Pace {
    most: usize,
    within: Duration,
    times: VecDeque<Duration>,
}

impl Pace {
    /// So many within that span.
    pub(crate) fn new(most: usize, within: Duration) -> Self {
        Self { most, within, times: VecDeque::new() }
    }

    /// How long until there may be another; nothing where it may be now, which counts then.
    pub(crate) fn wait(&mut self, now: Duration) -> Option<Duration> {
        let within = self.within;
        self.times.retain(|at| *at + within > now);
        if self.times.len() < self.most {
            self.times.push_back(now);
            return None;
        }
        self.times.front().map(|first| *first + within - now)
    }
}
