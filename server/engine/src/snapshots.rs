//! When snapshots of somebody's Data are made, and which are kept: every quarter of an hour while Data
//! changes and before every risky step, the older the fewer.
//!
//! Times are seconds since 1970, of a clock that may have been set back.

use lattice_wire::snapshots::{Cause, Snapshot, SnapshotId};
use std::collections::BTreeSet;

/// Between two that nobody asked for, in seconds.
pub const EVERY_S: u64 = 15 * 60;

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// Up to which age, of those within which span the newest is kept. Each span is made of whole ones of the
/// line before, so what is the newest of a week was the newest of its day and of its hour.
const RUNGS: [(u64, u64); 4] =
    [(4 * HOUR_S, 1), (2 * DAY_S, HOUR_S), (30 * DAY_S, DAY_S), (182 * DAY_S, 7 * DAY_S)];
/// What somebody asked for, or what was made before a risky step, is kept as long as that, in seconds.
const ON_PURPOSE_S: u64 = 30 * DAY_S;
/// And no more than so many of these.
const MOST_ON_PURPOSE: usize = 48;
/// The newest stay even where no room is left.
const LAST: usize = 3;
/// Of those that programs of a desktop asked for, the newest so many are kept. What such a program is may
/// be hostile: it can have none but its own go.
pub const MOST_FROM_INSIDE: usize = 12;

/// Whether it is time to see if Data has changed, where it was last seen to at `last`.
pub fn is_due(last: Option<u64>, now: u64) -> bool {
    last.is_none_or(|last| last > now || now - last >= EVERY_S)
}

/// Which of these are not kept any longer. The newest always is.
pub fn to_go(snapshots: &[Snapshot], now: u64) -> Vec<SnapshotId> {
    let (mut spans, mut gone) = (BTreeSet::new(), Vec::new());
    let (mut on_purpose, mut from_inside) = (0, 0);
    for (place, one) in newest_first(snapshots).into_iter().enumerate() {
        // Of two clocks the later one: what is from the future is new.
        let age = now.saturating_sub(one.at);
        let is_kept = match one.cause {
            Cause::Desktop => {
                from_inside += 1;
                from_inside <= MOST_FROM_INSIDE && age < ON_PURPOSE_S
            }
            Cause::Schedule | Cause::Asked | Cause::Reset | Cause::Restore | Cause::Template => {
                let rung = RUNGS.iter().find(|(up_to, _)| age < *up_to);
                let is_first = rung.is_some_and(|(_, span)| {
                    spans.insert((*span, one.at / span, one_of(*span, one)))
                });
                let is_on_purpose = one.cause != Cause::Schedule && age < ON_PURPOSE_S;
                on_purpose += usize::from(is_on_purpose);
                is_first || (is_on_purpose && on_purpose <= MOST_ON_PURPOSE)
            }
        };
        if place > 0 && !is_kept {
            gone.push(one.id.clone());
        }
    }
    gone
}

/// Which one is to go first where no room is left; nothing where those that are there stay.
pub fn to_go_for_room(snapshots: &[Snapshot]) -> Option<SnapshotId> {
    let all = newest_first(snapshots);
    let newest = all.first().map(|one| &one.id);
    let is_from_inside = |one: &&Snapshot| one.cause == Cause::Desktop;
    let (from_inside, others): (Vec<_>, Vec<_>) = all.iter().copied().partition(is_from_inside);
    // What a program asked for has nothing else go.
    let oldest_of_those = from_inside.into_iter().rfind(|one| Some(&one.id) != newest);
    // Nobody asked for those of the schedule.
    let older = others.into_iter().skip(LAST).rev();
    let oldest = oldest_of_those.or(older.min_by_key(|one| one.cause != Cause::Schedule));
    oldest.map(|one| one.id.clone())
}

/// Whether little room is left on a disk of so many bytes: less than a twentieth, or than 1 GiB of a large one.
pub fn is_short_of_room(free: u64, all: u64) -> bool {
    free < (all / 20).min(1 << 30)
}

/// Where every one is kept, each is its own span.
fn one_of(span: u64, one: &Snapshot) -> Option<&SnapshotId> {
    (span == 1).then_some(&one.id)
}

fn newest_first(snapshots: &[Snapshot]) -> Vec<&Snapshot> {
    let mut sorted: Vec<_> = snapshots.iter().collect();
    sorted.sort_by_key(|one| std::cmp::Reverse((one.at, &one.id)));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_wire::snapshots::Kind;

    const NOW: u64 = 1_800_000_000;

    fn snapshot(at: u64, cause: Cause) -> Snapshot {
        let id = SnapshotId::new(at * 1000, cause as u32);
        let kind = Kind::Repository;
        Snapshot { id, at, cause, kind, files: 1, bytes: 1, left_out: 0, name: None }
    }

    /// Ages of those that stay, in seconds, where there is one every quarter of an hour, thinned as often.
    fn after(days: u64) -> Vec<u64> {
        let (mut kept, end) = (Vec::new(), NOW + days * DAY_S);
        for at in (NOW..=end).step_by(EVERY_S as usize) {
            kept.push(snapshot(at, Cause::Schedule));
            let gone = to_go(&kept, at);
            kept.retain(|one| !gone.contains(&one.id));
        }
        kept.iter().map(|one| end - one.at).collect()
    }

    #[test]
    fn it_is_due_every_quarter_of_an_hour_and_when_the_clock_was_set_back() {
        assert!(is_due(None, NOW));
        assert!(!is_due(Some(NOW), NOW + EVERY_S - 1));
        assert!(is_due(Some(NOW), NOW + EVERY_S));
        assert!(is_due(Some(NOW + 1), NOW));
    }

    #[test]
    fn the_older_the_fewer() {
        let kept = after(400);
        let within =
            |from: u64, to: u64| kept.iter().filter(|age| (from..to).contains(age)).count();
        assert_eq!(within(0, 4 * HOUR_S), 16);
        assert!((43..=45).contains(&within(4 * HOUR_S, 2 * DAY_S)), "{kept:?}");
        assert!((27..=29).contains(&within(2 * DAY_S, 30 * DAY_S)), "{kept:?}");
        assert!((20..=23).contains(&within(30 * DAY_S, 182 * DAY_S)), "{kept:?}");
        assert_eq!(within(182 * DAY_S, u64::MAX), 0);
        // Nowhere is a gap wider than what is promised for its age.
        for (newer, older) in kept.iter().rev().zip(kept.iter().rev().skip(1)) {
            let gap = older - newer;
            let promised = match *older {
                age if age < 4 * HOUR_S => EVERY_S,
                age if age < 2 * DAY_S => 2 * HOUR_S,
                age if age < 30 * DAY_S => 2 * DAY_S,
                _ => 14 * DAY_S,
            };
            assert!(gap <= promised, "{gap} at {older}");
        }
    }

    #[test]
    fn thinning_twice_is_thinning_once_and_the_newest_stays() {
        let all: Vec<_> = (0..5000).map(|n| snapshot(NOW - n * EVERY_S, Cause::Schedule)).collect();
        let gone = to_go(&all, NOW);
        let kept: Vec<_> = all.into_iter().filter(|one| !gone.contains(&one.id)).collect();
        assert_eq!(to_go(&kept, NOW), []);
        let old = [snapshot(5, Cause::Schedule), snapshot(4, Cause::Schedule)];
        assert_eq!(to_go(&old, NOW), [old[1].id.clone()]);
    }

    #[test]
    fn what_was_made_on_purpose_stays_longer_and_is_bounded() {
        let all: Vec<_> = (0..100).map(|n| snapshot(NOW - 5 * DAY_S - n, Cause::Asked)).collect();
        let kept = all.len() - to_go(&all, NOW).len();
        assert!((MOST_ON_PURPOSE..=MOST_ON_PURPOSE + 1).contains(&kept), "{kept}");
        let [near, far] = [29, 31].map(|days| snapshot(NOW - days * DAY_S, Cause::Restore));
        let same_day = snapshot(far.at + 1, Cause::Schedule);
        let newest = snapshot(NOW, Cause::Schedule);
        assert_eq!(to_go(&[newest, near, far.clone(), same_day], NOW), [far.id]);
    }

    #[test]
    fn where_no_room_is_left_the_oldest_that_nobody_asked_for_goes_first() {
        let mut all: Vec<_> = (1..=4).map(|at| snapshot(at, Cause::Schedule)).collect();
        all.push(snapshot(0, Cause::Asked));
        let first = to_go_for_room(&all).expect("one too many");
        assert_eq!(first, all[0].id);
        all.remove(0);
        assert_eq!(to_go_for_room(&all), Some(all[3].id.clone()));
        all.remove(3);
        assert_eq!(to_go_for_room(&all), None);
        assert!(is_short_of_room((1 << 30) - 1, 1 << 40) && !is_short_of_room(1 << 30, 1 << 40));
        assert!(is_short_of_room(4, 100) && !is_short_of_room(5, 100));
    }

    #[test]
    fn what_programs_ask_for_is_bounded_and_has_nothing_else_go() {
        let usual: Vec<_> = (1..60).map(|n| snapshot(NOW - n * EVERY_S, Cause::Schedule)).collect();
        let asked: Vec<_> =
            (1..40).map(|n| snapshot(NOW - n * DAY_S / 2 - 7, Cause::Asked)).collect();
        let before: Vec<_> = usual.iter().chain(&asked).cloned().collect();
        let flood = (0..500).map(|n| snapshot(NOW - n * 60 - 3, Cause::Desktop));
        let all: Vec<_> = before.iter().cloned().chain(flood).collect();
        let gone = to_go(&all, NOW);
        let others_gone = to_go(&before, NOW);
        assert!(before.iter().all(|one| gone.contains(&one.id) == others_gone.contains(&one.id)));
        let kept = all.iter().filter(|one| one.cause == Cause::Desktop && !gone.contains(&one.id));
        assert_eq!(kept.count(), MOST_FROM_INSIDE);
        let old = snapshot(NOW - 31 * DAY_S, Cause::Desktop);
        assert_eq!(to_go(&[snapshot(NOW, Cause::Schedule), old.clone()], NOW), [old.id]);
    }

    #[test]
    fn where_no_room_is_left_those_of_programs_go_first() {
        let good: Vec<_> = (1..=3).map(|at| snapshot(at, Cause::Schedule)).collect();
        let flood: Vec<_> = (4..=9).map(|at| snapshot(at, Cause::Desktop)).collect();
        let mut all: Vec<_> = good.iter().chain(&flood).cloned().collect();
        while let Some(gone) = to_go_for_room(&all) {
            all.retain(|one| one.id != gone);
        }
        // The newest is what has just been made.
        assert_eq!(all.iter().map(|one| one.at).collect::<Vec<_>>(), [1, 2, 3, 9]);
    }

    #[test]
    fn a_clock_that_was_set_back_loses_nothing() {
        let all = [snapshot(NOW + DAY_S, Cause::Schedule), snapshot(NOW + 1, Cause::Schedule)];
        assert_eq!(to_go(&all, NOW), []);
    }
}
