//! The newest still picture of each desktop, as its agent wrote it. Nothing here looks into one: it is
//! whatever somebody's desktop wants it to be, of a bounded size, and for their browser to judge.

use bytes::Bytes;
use lattice_engine::session::SessionId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A handle to the pictures.
#[derive(Debug, Clone, Default)]
pub struct Gallery {
    pictures: Arc<Mutex<HashMap<SessionId, (u64, Bytes)>>>,
    /// How many there were.
    hung: Arc<watch::Sender<u64>>,
}

impl Gallery {
    /// Shows the pictures of a session as they come, until there are no more.
    pub async fn follow(self, session: SessionId, mut newest: watch::Receiver<Bytes>) {
        while newest.changed().await.is_ok() {
            let picture = newest.borrow_and_update().clone();
            let mut number = 0;
            self.hung.send_modify(|hung| {
                *hung += 1;
                number = *hung;
                self.lock().insert(session.clone(), (number, picture));
            });
        }
        self.hung.send_modify(|_| {
            self.lock().remove(&session);
        });
    }

    /// The number and the bytes of a session's newest picture.
    pub(super) fn picture(&self, session: &SessionId) -> Option<(u64, Bytes)> {
        self.lock().get(session).cloned()
    }

    /// The number of each session's newest picture.
    pub(super) fn numbers(&self) -> HashMap<SessionId, u64> {
        self.lock().iter().map(|(session, (number, _))| (session.clone(), *number)).collect()
    }

    /// Changes with each picture that comes or goes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.hung.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, (u64, Bytes)>> {
        self.pictures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
