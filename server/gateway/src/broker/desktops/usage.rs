//! What desktops use: measured now and then, so that who decides whether there is room for one more goes
//! by what they really take.

use super::{Desktops, State, group};
use crate::runtime::RuntimeError;
use futures_util::future::join_all;
use lattice_engine::session::SessionId;
use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// Memory changes slowly, and each look costs the engine some milliseconds a container.
const INTERVAL: Duration = Duration::from_secs(30);

impl Desktops {
    /// Measures for as long as this runs.
    pub(in crate::broker) async fn measure(self: Arc<Self>) {
        loop {
            if let Err(error) = self.measure_all().await {
                tracing::debug!(%error, "what desktops use could not be measured");
            }
            sleep(INTERVAL).await;
        }
    }

    async fn measure_all(&self) -> Result<(), RuntimeError> {
        let mut measured = BTreeMap::new();
        for (session, found) in group(self.engine.list(vec![self.label()]).await?) {
            if self.is_slot(&session, &found) {
                continue;
            }
            let all = found.core.values().chain(found.apps.values());
            let running = all.filter(|container| container.state == State::RUNNING);
            let parts = join_all(running.map(|part| self.engine.memory(&part.id))).await;
            measured.insert(session, parts.into_iter().flatten().sum());
        }
        *self.used() = measured;
        Ok(())
    }

    pub(super) fn used(&self) -> MutexGuard<'_, BTreeMap<SessionId, u64>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
