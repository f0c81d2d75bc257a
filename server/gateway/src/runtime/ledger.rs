//! What people keep, as it was last measured, so that they and their administrators are told before, or when,
//! there is no room for more.

use crate::broker::protocol::{Held, Stored};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What changes less is not told of at once, in bytes.
const WORTH_TELLING: u64 = 1 << 20;

/// By the number of their owner.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<i64, Stored>>);

impl Ledger {
    fn all(&self) -> MutexGuard<'_, BTreeMap<i64, Stored>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What somebody keeps; nothing where that was not measured.
    pub(crate) fn of(&self, owner: i64) -> Option<Stored> {
        self.all().get(&owner).copied()
    }

    /// What everybody keeps who was measured.
    pub(crate) fn people(&self) -> Vec<(i64, Stored)> {
        self.all().iter().map(|(owner, stored)| (*owner, *stored)).collect()
    }

    /// Notes what was measured; whether whoever shows it should look anew. The log says where no room is left.
    pub(crate) fn note(&self, owner: i64, stored: Stored) -> bool {
        let before = self.all().insert(owner, stored);
        for (place, held) in full(&stored) {
            let was_full =
                before.is_some_and(|before| full(&before).any(|(other, _)| other == place));
            if !was_full {
                let (used, limit) = (held.used, held.limit.unwrap_or_default());
                let is_enforced = stored.is_enforced;
                tracing::warn!(owner, place, used, limit, is_enforced, "little or no room is left");
            }
        }
        before.is_none_or(|before| is_news(&before, &stored))
    }
}

fn places(stored: &Stored) -> [(&'static str, Held); 3] {
    [("data", stored.data), ("home", stored.home), ("apps", stored.apps)]
}

fn full(stored: &Stored) -> impl Iterator<Item = (&'static str, Held)> + use<> {
    places(stored).into_iter().filter(|(_, held)| held.is_full())
}

fn is_news(before: &Stored, after: &Stored) -> bool {
    let differs = |(before, after): (Held, Held)| {
        before.limit != after.limit
            || before.is_full() != after.is_full()
            || before.used.abs_diff(after.used) >= WORTH_TELLING
    };
    let [before_all, after_all] = [before, after].map(|one| places(one).map(|(_, held)| held));
    before.is_enforced != after.is_enforced || before_all.into_iter().zip(after_all).any(differs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(data: u64) -> Stored {
        let nothing = Held { used: 0, limit: None };
        let data = Held { used: data, limit: Some(100 << 20) };
        Stored { data, home: nothing, apps: nothing, is_enforced: true }
    }

    #[test]
    fn what_little_is_left_is_told_of_and_what_little_has_changed_is_not() {
        let mib = 1 << 20;
        let of = |used| full(&stored(used)).map(|(place, _)| place).collect::<Vec<_>>();
        assert_eq!(of(95 * mib - 1), [""; 0]);
        assert_eq!(of(95 * mib), ["data"]);
        assert_eq!(of(200 * mib), ["data"]);
        assert!(!is_news(&stored(10 * mib), &stored(11 * mib - 1)));
        assert!(is_news(&stored(10 * mib), &stored(11 * mib)));
        assert!(is_news(&stored(95 * mib - 1), &stored(95 * mib)));
        assert!(is_news(&stored(1), &Stored { is_enforced: false, ..stored(1) }));
    }
}
