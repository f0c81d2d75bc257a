//! What people keep: looked at now and then, so that they and their administrators are told before, or
//! when, there is no room for more.

use super::{Desktops, State, group};
use crate::broker::data::{Keeper, QUOTA_IMAGE, READ_EVERY};
use crate::broker::protocol::{Storage, Stored};
use crate::broker::stock::Volumes;
use crate::runtime::RuntimeError;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use tokio::time::sleep;

impl Desktops {
    /// Measures for as long as this runs.
    pub(in crate::broker) async fn measure_files(self: Arc<Self>) {
        let every = self.settings.measure_every;
        loop {
            let Ok(present) = self.present().await else {
                sleep(every.min(READ_EVERY)).await;
                continue;
            };
            for (owner, may_look) in self.rota.round(present, Instant::now()) {
                self.look(owner, may_look).await;
            }
            match self.rota.next() {
                Some(owner) => self.look(owner, true).await,
                None => sleep(every.min(READ_EVERY)).await,
            }
        }
    }

    async fn look(&self, owner: i64, may_look: bool) {
        let keeper = &self.settings.keeper;
        if let Some(stored) = keeper.measure(owner, &self.engine, may_look).await {
            self.note(owner, stored);
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
        if self.stored.note(owner, stored) {
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
        Ok(Volumes { storage, people: self.stored.people() })
    }
}
