//! The machine's monotonic clock, which agent and gateway share.

use lattice_wire::Micros;
use rustix::time::{ClockId, clock_gettime};

/// Now.
pub fn now() -> Micros {
    let time = clock_gettime(ClockId::Monotonic);
    Micros(time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000)
}
