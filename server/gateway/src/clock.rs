//! The machine's monotonic clock, the one that agents stamp their frames with.

use lattice_wire::Micros;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// `CLOCK_MONOTONIC` now.
pub fn now() -> Micros {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Micros(seconds * 1_000_000 + nanos / 1000)
}

/// A span of the clock as a duration.
pub fn span(micros: Micros) -> Duration {
    Duration::from_micros(micros.0)
}

/// The timer's time at which the clock shows `at`.
pub fn instant(at: Micros) -> tokio::time::Instant {
    tokio::time::Instant::now() + span(at.since(now()))
}
