//! A runtime without desktops: the bookkeeping only, and what a test wants to go wrong.

use super::{Address, Instance, InstanceState, RuntimeError, Spec};
use crate::auth::Token;
use lattice_engine::session::SessionId;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What runs outside of any gateway.
///
/// A clone is another gateway over the same: it finds what runs.
#[derive(Debug, Clone)]
pub struct Fake {
    directory: PathBuf,
    world: Arc<Mutex<World>>,
    changes: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Default)]
struct World {
    instances: BTreeMap<SessionId, Instance>,
    starts: u64,
    holds: bool,
    failure: Option<String>,
}

impl Fake {
    /// Nothing runs. The agents' sockets are said to be `<directory>/<session>/agent.sock`; nobody
    /// listens there unless a test does.
    pub fn new(directory: PathBuf) -> Self {
        let changes = Arc::new(watch::Sender::new(0));
        Self { directory, world: Arc::default(), changes }
    }

    /// How many starts there were of what did not run.
    pub fn starts(&self) -> u64 {
        self.world().starts
    }

    /// From now on what is started stays `Starting` until [`Self::finish_start`].
    pub fn hold_starts(&self) {
        self.world().holds = true;
    }

    /// The next start fails for this reason.
    pub fn fail_next_start(&self, reason: &str) {
        self.world().failure = Some(reason.to_owned());
    }

    /// A session that is starting runs now.
    pub fn finish_start(&self, session: &SessionId) -> Result<(), RuntimeError> {
        let address = self.address(session)?;
        self.set(session, InstanceState::Running(address));
        Ok(())
    }

    /// A session ends by itself.
    pub fn end(&self, session: &SessionId, reason: &str) {
        self.set(session, InstanceState::Ended { reason: reason.to_owned() });
    }

    pub(super) fn start(&self, spec: &Spec) -> Result<(), RuntimeError> {
        let address = self.address(&spec.session)?;
        let mut world = self.world();
        if let Some(reason) = world.failure.take() {
            return Err(RuntimeError::Refused(reason));
        }
        let there = world.instances.get(&spec.session);
        if there.is_some_and(|found| !matches!(found.state, InstanceState::Ended { .. })) {
            return Ok(());
        }
        let (session, owner) = (spec.session.clone(), spec.owner);
        let state = match world.holds {
            true => InstanceState::Starting,
            false => InstanceState::Running(address),
        };
        world.starts += 1;
        world.instances.insert(session.clone(), Instance { session, owner, state });
        drop(world);
        self.bump();
        Ok(())
    }

    pub(super) fn stop(&self, session: &SessionId) -> Result<(), RuntimeError> {
        let gone = self.world().instances.remove(session);
        if gone.is_some() {
            self.bump();
        }
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<Instance> {
        self.world().instances.values().cloned().collect()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn set(&self, session: &SessionId, state: InstanceState) {
        if let Some(instance) = self.world().instances.get_mut(session) {
            instance.state = state;
        }
        self.bump();
    }

    fn address(&self, session: &SessionId) -> Result<Address, RuntimeError> {
        let token = Token::fresh().map_err(|error| RuntimeError::Refused(error.to_string()))?;
        Ok(Address { socket: self.directory.join(session.as_str()).join("agent.sock"), token })
    }

    fn bump(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
