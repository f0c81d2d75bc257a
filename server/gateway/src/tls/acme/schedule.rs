//! When to order: by chance a little later than one could, so that many gateways that were started
//! together do not come together, and less and less often where it fails.

pub(super) const HOUR: i64 = 60 * 60;
/// After the first failure. Public servers allow about five failed attempts an hour for a name.
const FIRST_PAUSE: i64 = 3 * 60;
const LONGEST_PAUSE: i64 = 12 * HOUR;

/// A number from 0 to 1.
pub(super) fn dice() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// How many seconds to wait after so many failures before this one.
pub(super) fn pause(failures: u32, dice: f64) -> i64 {
    let doubled =
        FIRST_PAUSE.saturating_mul(1_i64.checked_shl(failures.min(16)).unwrap_or(i64::MAX));
    // From three quarters to five quarters of it.
    (doubled.min(LONGEST_PAUSE) as f64 * (0.75 + 0.5 * dice)) as i64
}

/// How many seconds after a certificate could be renewed it is.
pub(super) fn spread(dice: f64) -> i64 {
    (12.0 * HOUR as f64 * dice) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_day_and_are_never_the_same_for_all() {
        let pauses: Vec<_> = (0..12).map(|failures| pause(failures, 0.5)).collect();
        assert_eq!(&pauses[..4], [180, 360, 720, 1440]);
        assert_eq!(pauses[11], LONGEST_PAUSE);
        assert_eq!(pause(u32::MAX, 0.5), LONGEST_PAUSE);
        assert_eq!((pause(0, 0.0), pause(0, 1.0)), (135, 225));
        assert_eq!((spread(0.0), spread(1.0)), (0, 12 * HOUR));
        assert!((0.0..=1.0).contains(&dice()));
    }

    #[test]
    fn in_the_first_hour_there_are_at_most_five_attempts() {
        let mut at = 0;
        let attempts = (0..).take_while(|&failures| {
            let now = at;
            at += pause(failures, 0.0);
            now < HOUR
        });
        assert!(attempts.count() <= 5);
    }
}
