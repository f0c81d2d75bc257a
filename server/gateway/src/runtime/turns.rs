//! One thing at a time is done to each session.

use lattice_engine::session::SessionId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// Whose turn it is, for each session to which something is being done.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<SessionId, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the session's turn, which lasts as long as what is returned.
    pub(crate) async fn take(&self, session: &SessionId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(session.clone()).or_default().clone()
        };
        turn.lock_owned().await
    }
}
