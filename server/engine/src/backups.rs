//! Which backups are kept, and when the next one is due. Times are seconds since 1970, of a clock that
//! may have been set back.

use lattice_wire::backup::Keep;
use std::collections::BTreeSet;

const DAY_S: u64 = 24 * 3600;
/// What failed is tried again after this long.
const RETRY_S: u64 = 3600;

/// Which of these are not kept any longer: the newest of each of the last so many days, weeks and months
/// in which there was one is. The newest of all always is. Of those of one second whoever is named first is newer.
pub fn to_go(backups: &[(String, u64)], keep: Keep) -> Vec<String> {
    let mut sorted: Vec<_> = backups.iter().collect();
    sorted.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
    let rungs = [(keep.daily, DAY_S), (keep.weekly, 7 * DAY_S), (keep.monthly, 30 * DAY_S)];
    let mut kept: BTreeSet<&str> = sorted.first().map(|(id, _)| id.as_str()).into_iter().collect();
    for (count, span) in rungs {
        let mut spans = BTreeSet::new();
        let newest = sorted.iter().filter(|(_, at)| spans.insert(at / span));
        kept.extend(newest.take(count as usize).map(|(id, _)| id.as_str()));
    }
    let gone = sorted.iter().filter(|(id, _)| !kept.contains(id.as_str()));
    gone.map(|(id, _)| id.clone()).collect()
}

/// When the next is due, where the last was begun at `last`: as [`is_due`] has it.
pub fn next_at(last: Option<(u64, bool)>, every: u64, now: u64) -> u64 {
    match last {
        Some((last, succeeded)) if last <= now => {
            last.saturating_add(if succeeded { every } else { every.min(RETRY_S) })
        }
        Some(_) | None => now,
    }
}

/// Whether it is time for the next, where the last was begun at `last`. One that failed is tried again
/// after an hour, or sooner where it is due more often.
pub fn is_due(last: Option<(u64, bool)>, every: u64, now: u64) -> bool {
    next_at(last, every, now) <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn the_newest_of_days_weeks_and_months_stay() {
        let keep = Keep { daily: 7, weekly: 4, monthly: 6 };
        let mut all: Vec<(String, u64)> = Vec::new();
        for hour in (0..400 * 24).step_by(6) {
            all.push((format!("{hour}"), NOW + hour * 3600));
            let gone = to_go(&all, keep);
            all.retain(|(id, _)| !gone.contains(id));
        }
        let end = all.iter().map(|(_, at)| *at).max().expect("some");
        let within = |days: u64| all.iter().filter(|(_, at)| end - at < days * DAY_S).count();
        assert_eq!(within(7), 7);
        assert!((13..=17).contains(&all.len()), "{}", all.len());
        assert!(end - all.iter().map(|(_, at)| *at).min().expect("some") > 140 * DAY_S);
    }

    #[test]
    fn the_last_one_stays_whatever_is_kept() {
        let keep = Keep { daily: 0, weekly: 0, monthly: 0 };
        let all = [("a".to_owned(), NOW), ("b".to_owned(), NOW + 1)];
        assert_eq!(to_go(&all, keep), ["a"]);
        assert_eq!(to_go(&[], keep), [""; 0]);
    }

    #[test]
    fn of_one_second_the_newer_stays_whatever_they_are_called() {
        let keep = Keep { daily: 1, weekly: 1, monthly: 1 };
        for [newer, older] in [["a", "b"], ["b", "a"]] {
            let all = [(newer.to_owned(), NOW), (older.to_owned(), NOW)];
            assert_eq!(to_go(&all, keep), [older]);
        }
    }

    #[test]
    fn it_is_due_as_often_as_asked_and_sooner_after_a_failure() {
        assert!(is_due(None, DAY_S, NOW));
        assert!(!is_due(Some((NOW, true)), DAY_S, NOW + DAY_S - 1));
        assert!(is_due(Some((NOW, true)), DAY_S, NOW + DAY_S));
        assert!(is_due(Some((NOW, false)), DAY_S, NOW + 3600));
        assert!(!is_due(Some((NOW, false)), 60, NOW + 59));
        assert!(is_due(Some((NOW + 9, true)), DAY_S, NOW));
        assert_eq!(next_at(Some((NOW - 5, true)), DAY_S, NOW), NOW - 5 + DAY_S);
        assert_eq!(next_at(None, DAY_S, NOW), NOW);
    }
}
