//! What people keep: looked at now and then, so that they and their administrators are told before, or
//! when, there is no room for more.

use super::{Desktops, State, group};
use crate::broker::data::{Keeper, QUOTA_IMAGE};
use crate::broker::protocol::{Held, Storage, Stored};
use crate::broker::stock::Volumes;
use crate::runtime::RuntimeError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::time::sleep;

/// What changes less is not told of at once.
const WORTH_TELLING: u64 = 1 << 20;

impl Desktops {
    /// Measures for as long as this runs: once everybody, then those who have a desktop, since nobody
    /// else's files change.
    pub(in crate::broker) async fn measure_files(self: Arc<Self>) {
        let every = self.settings.measure_every;
        let mut others: BTreeSet<_> = self.settings.keeper.owners().into_iter().collect();
        let mut looked: Option<Instant> = None;
        loop {
            let may_look = looked.is_none_or(|looked| looked.elapsed() >= every);
            if let Ok(present) = self.present().await {
                others.retain(|owner| !present.contains(owner));
                for owner in present.into_iter().chain(std::mem::take(&mut others)) {
                    let keeper = &self.settings.keeper;
                    if let Some(stored) = keeper.measure(owner, &self.engine, may_look).await {
                        self.note(owner, stored);
                    }
                }
                if may_look {
                    looked = Some(Instant::now());
                }
            }
            sleep(self.settings.keeper.pause(every)).await;
        }
    }

    /// Whose desktops run.
    async fn present(&self) -> Result<BTreeSet<i64>, RuntimeError> {
        let all = group(self.engine.list(vec![self.label()]).await?);
        let runs = all
            .values()
            .filter(|found| found.core.values().any(|container| container.state == State::RUNNING));
        Ok(runs.map(|found| found.owner).filter(|owner| *owner != 0).collect())
    }

    fn note(&self, owner: i64, stored: Stored) {
        let before = self.stored().insert(owner, stored);
        for (place, held) in full(&stored) {
            let was_full =
                before.is_some_and(|before| full(&before).any(|(other, _)| other == place));
            if !was_full {
                let (used, limit) = (held.used, held.limit.unwrap_or_default());
                let is_enforced = stored.is_enforced;
                tracing::warn!(owner, place, used, limit, is_enforced, "little or no room is left");
            }
        }
        if before.is_none_or(|before| is_news(&before, &stored)) {
            self.bump();
        }
    }

    /// What keeps people's files, and whether it bounds what they keep.
    pub(in crate::broker) async fn storage(&self) -> Result<Storage, RuntimeError> {
        let keeper = self.settings.keeper.to_string();
        let could_be = matches!(self.settings.keeper, Keeper::Btrfs(_));
        let lacks_image = could_be && self.engine.image(QUOTA_IMAGE).await?.is_none();
        let obstacle =
            lacks_image.then(|| format!("the image {QUOTA_IMAGE} is not there; make images"));
        // It is switched on with the first desktop of somebody.
        Ok(Storage { keeper, is_enforced: could_be && !lacks_image, obstacle })
    }

    /// What everybody keeps who was measured.
    pub(in crate::broker) async fn volumes(&self) -> Result<Volumes, RuntimeError> {
        let storage = self.storage().await?;
        let people = self.stored().iter().map(|(owner, stored)| (*owner, *stored)).collect();
        Ok(Volumes { storage, people })
    }

    pub(super) fn stored(&self) -> MutexGuard<'_, BTreeMap<i64, Stored>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
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
