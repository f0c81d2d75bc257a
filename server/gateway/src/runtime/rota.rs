//! Whose files are looked at next, where each look takes long. Pure: whoever looks says who is there and what time
//! it is.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Those who have a desktop are looked at every so often, whoever is new at once, and of the others those whose
/// files may have changed since: by a desktop that has ended, or without any.
#[derive(Debug)]
pub(crate) struct Rota {
    every: Duration,
    turns: Mutex<Turns>,
}

#[derive(Debug, Default)]
struct Turns {
    /// When everybody's turn last came.
    began: Option<Instant>,
    /// Who had a desktop then, or since.
    present: BTreeSet<i64>,
    /// Who was looked at ever.
    known: BTreeSet<i64>,
    /// Who is to be looked at when everybody's turn comes again.
    changed: BTreeSet<i64>,
    /// Who is to be looked at now, one after the other.
    due: BTreeSet<i64>,
}

impl Rota {
    /// Those of `everybody` who have no desktop are looked at once.
    pub(crate) fn new(every: Duration, everybody: BTreeSet<i64>) -> Self {
        Self { every, turns: Mutex::new(Turns { changed: everybody, ..Turns::default() }) }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody's files change, whether or not they have a desktop.
    pub(crate) fn note_change(&self, owner: i64) {
        self.turns().changed.insert(owner);
    }

    /// Those who have a desktop now, and whether each is to be looked at.
    pub(crate) fn round(&self, present: BTreeSet<i64>, now: Instant) -> Vec<(i64, bool)> {
        let mut turns = self.turns();
        let gone: Vec<_> = turns.present.difference(&present).copied().collect();
        turns.changed.extend(gone);
        let every = self.every;
        let is_time = turns.began.is_none_or(|began| now.duration_since(began) >= every);
        if is_time {
            turns.began = Some(now);
            let changed = std::mem::take(&mut turns.changed);
            turns.due.extend(changed);
        }
        let all = present.iter().map(|owner| {
            let is_new = turns.known.insert(*owner);
            let is_due = turns.due.remove(owner);
            (*owner, is_time || is_new || is_due)
        });
        let all = all.collect();
        turns.present = present;
        all
    }

    /// One who has no desktop and is to be looked at.
    pub(crate) fn next(&self) -> Option<i64> {
        let mut turns = self.turns();
        let next = turns.due.pop_first()?;
        turns.known.insert(next);
        Some(next)
    }

    /// How long it is until everybody's turn comes again.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        let since = self.turns().began.map_or(self.every, |began| now.duration_since(began));
        self.every.saturating_sub(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(300);

    fn set(all: &[i64]) -> BTreeSet<i64> {
        all.iter().copied().collect()
    }

    fn others(rota: &Rota) -> Vec<i64> {
        std::iter::from_fn(|| rota.next()).collect()
    }

    #[test]
    fn whoever_is_there_comes_first_and_everybody_else_once() {
        let (rota, now) = (Rota::new(EVERY, set(&[1, 2, 3])), Instant::now());
        assert_eq!(rota.round(set(&[2]), now), [(2, true)]);
        assert_eq!(others(&rota), [1, 3]);
        let later = now + EVERY / 2;
        assert_eq!(rota.round(set(&[2]), later), [(2, false)]);
        assert_eq!(rota.wait(later), EVERY / 2);
        // Somebody new is not waited for.
        assert_eq!(rota.round(set(&[2, 9]), later), [(2, false), (9, true)]);
        assert_eq!(rota.round(set(&[2, 9]), now + EVERY), [(2, true), (9, true)]);
        assert_eq!(others(&rota), [0; 0]);
        assert_eq!(rota.wait(now + EVERY), EVERY);
    }

    #[test]
    fn whoever_leaves_or_whose_files_change_otherwise_is_looked_at_once_more() {
        let (rota, now) = (Rota::new(EVERY, set(&[])), Instant::now());
        rota.round(set(&[2, 3]), now);
        rota.round(set(&[3]), now + Duration::from_secs(1));
        rota.note_change(7);
        rota.note_change(3);
        assert_eq!(others(&rota), [0; 0], "a change takes its time");
        assert_eq!(rota.round(set(&[3]), now + EVERY), [(3, true)]);
        assert_eq!(others(&rota), [2, 7]);
        rota.round(set(&[3]), now + 2 * EVERY);
        assert_eq!(others(&rota), [0; 0]);
    }
}
