//! Waiting for what other processes do: by looking again and again, never by sleeping and hoping.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Not a bound that is under test.
pub const GENEROUS: Duration = Duration::from_secs(20);

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A bound that *is* under test, stretched by `LATTICE_TEST_PATIENCE` (a factor, 1 by default) for
/// machines that are slow or busy with something else.
pub fn patience(bound: Duration) -> Duration {
    let factor = std::env::var("LATTICE_TEST_PATIENCE").ok().and_then(|text| text.parse().ok());
    bound.mul_f64(factor.unwrap_or(1.0))
}

/// Whether tests that take minutes run: `LATTICE_TEST_LONG=1` asks for them. Where they do not, it
/// says which one was left out.
pub fn is_long_run(name: &str) -> bool {
    let asked = std::env::var("LATTICE_TEST_LONG").is_ok_and(|long| long == "1");
    if !asked {
        println!("{name} was left out: LATTICE_TEST_LONG=1 runs it");
    }
    asked
}

/// Looks until `look` finds something, and panics with `what` when it does not within `timeout`.
pub fn until_some<T>(what: &str, timeout: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {timeout:?} in vain: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Looks until `holds` does, for as long as anything may take.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    until_some(what, GENEROUS, || holds().then_some(()));
}
