//! The certificate of our own authority: made anew before it ends, and when the machine gets another
//! address.

use super::authority::{Authority, AuthorityError, Root};
use super::names::Names;
use super::now;
use super::shown::Shown;
use super::state::StateDir;
use crate::accept::Guard;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often the machine's addresses are looked at.
const INTERVAL: Duration = Duration::from_secs(30);

/// The authority, and what its certificate is good for now.
pub(super) struct Own {
    authority: Authority,
    find: Box<dyn Fn() -> Names + Send + Sync>,
    names: Names,
    renewal: i64,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Own {
    /// Shows a certificate for the names that `find` finds.
    pub(super) fn start(
        state: &StateDir,
        find: impl Fn() -> Names + Send + Sync + 'static,
        shown: &Shown,
    ) -> Result<Self, AuthorityError> {
        let names = find();
        let authority = Authority::open(state, &names, now())?;
        let leaf = authority.leaf(&names, now())?;
        shown.set_general(leaf.key);
        Ok(Self { authority, find: Box::new(find), names, renewal: leaf.renewal })
    }

    pub(super) fn root(&self) -> &Arc<Root> {
        self.authority.root()
    }

    pub(super) async fn keep(mut self, shown: Arc<Shown>, mut guard: Guard) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = guard.closing() => return,
            }
            match self.renew(&shown, now()) {
                Ok(()) => failing = false,
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    let error = anyhow::Error::from(error);
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "no fresh certificate could be made; the old one stays, and it is tried again"
                    );
                }
                Err(_) => {}
            }
        }
    }

    fn renew(&mut self, shown: &Shown, now: i64) -> Result<(), AuthorityError> {
        let names = (self.find)();
        if names == self.names && now < self.renewal {
            return Ok(());
        }
        let leaf = self.authority.leaf(&names, now)?;
        shown.set_general(leaf.key);
        (self.names, self.renewal) = (names, leaf.renewal);
        Ok(())
    }
}
