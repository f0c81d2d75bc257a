//! A runtime without desktops: the bookkeeping only, and what a test wants to go wrong.

use super::{
    Address, AppInstance, AppState, Instance, InstanceState, Progress, Relay, RuntimeError, Spec,
    Stored, Usage,
};
use crate::auth::Token;
use crate::broker::protocol::{Build, SeenImage};
use crate::logs::{Line, Lines, PartName, Window};
use crate::template;
use lattice_engine::session::SessionId;
use lattice_wire::snapshots::Snapshot;
use std::collections::BTreeMap;
use std::io;
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
pub(super) struct World {
    instances: BTreeMap<SessionId, Instance>,
    starts: u64,
    holds: bool,
    holds_pulls: bool,
    calls: BTreeMap<Call, u64>,
    failures: BTreeMap<Call, Failure>,
    needs: BTreeMap<String, u64>,
    texts: BTreeMap<SessionId, Arc<str>>,
    pub(super) stored: BTreeMap<i64, Stored>,
    pub(super) images: Vec<SeenImage>,
    pub(super) builds: Vec<Build>,
    pub(super) kept: BTreeMap<i64, Vec<Snapshot>>,
}

/// What a runtime is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`super::Runtime::start`].
    Start,
    /// [`super::Runtime::stop`].
    Stop,
    /// [`super::Runtime::remove`].
    Remove,
    /// [`super::Runtime::pause`].
    Pause,
    /// [`super::Runtime::resume`].
    Resume,
    /// [`super::Runtime::reset`].
    Reset,
    /// [`super::Runtime::open`].
    Open,
    /// [`super::Runtime::close`].
    Close,
    /// [`super::Runtime::keep`].
    Keep,
    /// [`super::Runtime::freeze`].
    Freeze,
    /// [`super::Runtime::thaw`].
    Thaw,
    /// [`super::Runtime::pull`].
    Pull,
    /// [`super::Runtime::images`], and what removes one.
    Images,
    /// [`super::Runtime::volumes`].
    Volumes,
    /// [`super::Runtime::builds`].
    Builds,
}

/// How it fails to.
#[derive(Debug, Clone)]
pub enum Failure {
    /// A step does not work, for this reason.
    Step(&'static str),
    /// Something in it panics.
    Panic,
}

impl Fake {
    /// Nothing runs. The agents' sockets are said to be `<directory>/<session>/agent.sock`, those of
    /// relays `<directory>/<session>/gate/gateway.sock`; nobody listens there unless a test does.
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

    /// From now on such calls fail so.
    pub fn fail(&self, call: Call, failure: Failure) {
        self.world().failures.insert(call, failure);
    }

    /// From now on all calls work.
    pub fn heal(&self) {
        self.world().failures.clear();
    }

    /// How many such calls there were, also of those that failed.
    pub fn calls(&self, call: Call) -> u64 {
        self.world().calls.get(&call).copied().unwrap_or(0)
    }

    /// From now on desktops of this template are said to need so many bytes.
    pub fn measure(&self, template: &str, need: u64) {
        self.world().needs.insert(template.to_owned(), need);
    }

    /// From now on this user is said to keep so much.
    pub fn fill(&self, owner: i64, stored: Stored) {
        self.world().stored.insert(owner, stored);
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn log_parts(&self) -> Vec<&'static str> {
        vec!["desktop"]
    }

    /// Everything says the same three lines, and goes on saying nothing.
    pub(super) fn logs(&self, part: &PartName, window: Window) -> Result<Lines, RuntimeError> {
        if part.as_str() != "desktop" {
            return Err(RuntimeError::Refused(format!("there is no part {part}")));
        }
        let said = ["one", "<b>two</b>", "three"].into_iter().enumerate().map(|(number, text)| {
            Line { at: Some(format!("2026-11-28T20:56:0{number}.000Z")), text: text.to_owned() }
        });
        let skipped = 3usize.saturating_sub(window.tail as usize);
        Ok(Lines::said(said.skip(skipped), window.follow))
    }

    /// Somebody else starts a session.
    pub fn put(&self, session: &SessionId, owner: i64) -> Result<(), RuntimeError> {
        let state = InstanceState::Running(self.address(session)?);
        let instance = Instance {
            session: session.clone(),
            owner,
            recipe: None,
            state,
            apps: Vec::new(),
            usage: Usage::default(),
        };
        self.world().instances.insert(session.clone(), instance);
        self.bump();
        Ok(())
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
        self.enter(Call::Start)?;
        let address = self.address(&spec.session)?;
        let mut world = self.world();
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
        let recipe = spec.text.as_deref().map(template::digest);
        match &spec.text {
            Some(text) => drop(world.texts.insert(spec.session.clone(), text.clone())),
            None => drop(world.texts.remove(&spec.session)),
        }
        let instance = Instance {
            session: session.clone(),
            owner,
            recipe,
            state,
            apps: Vec::new(),
            usage: Usage::default(),
        };
        world.instances.insert(session, instance);
        drop(world);
        self.bump();
        Ok(())
    }

    pub(super) fn stop(&self, session: &SessionId) -> Result<(), RuntimeError> {
        self.enter(Call::Stop)?;
        self.take_away(session);
        Ok(())
    }

    pub(super) fn remove(&self, session: &SessionId) -> Result<(), RuntimeError> {
        self.enter(Call::Remove)?;
        self.take_away(session);
        Ok(())
    }

    pub(super) fn pause(&self, session: &SessionId) -> Result<(), RuntimeError> {
        self.enter(Call::Pause)?;
        self.change(session, |instance| {
            if let InstanceState::Running(address) = &instance.state {
                instance.state = InstanceState::Paused(address.clone());
            }
        })
    }

    pub(super) fn resume(&self, session: &SessionId) -> Result<(), RuntimeError> {
        self.enter(Call::Resume)?;
        self.change(session, |instance| {
            if let InstanceState::Paused(address) = &instance.state {
                instance.state = InstanceState::Running(address.clone());
            }
        })
    }

    pub(super) fn reset(&self, session: &SessionId) -> Result<(), RuntimeError> {
        self.enter(Call::Reset)?;
        self.take_away(session);
        Ok(())
    }

    pub(super) fn stored(&self, owner: i64) -> Option<Stored> {
        self.world().stored.get(&owner).copied()
    }

    pub(super) fn recipe(&self, session: &SessionId) -> Option<String> {
        self.world().texts.get(session).map(|text| text.to_string())
    }

    pub(super) fn need(&self, kind: &str) -> Option<u64> {
        self.world().needs.get(kind).copied()
    }

    pub(super) fn open(&self, session: &SessionId, app: &str) -> Result<(), RuntimeError> {
        self.enter(Call::Open)?;
        self.change(session, |instance| {
            instance.apps.retain(|open| open.name != app);
            instance.apps.push(AppInstance { name: app.to_owned(), state: AppState::Running });
        })
    }

    pub(super) fn close(&self, session: &SessionId, app: &str) -> Result<(), RuntimeError> {
        self.enter(Call::Close)?;
        self.change(session, |instance| instance.apps.retain(|open| open.name != app))
    }

    /// In four steps, and as long as a test holds it.
    pub(super) async fn pull(
        &self,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        for step in 0..4 {
            progress(Progress { done: step << 20, total: 4 << 20 });
            tokio::task::yield_now().await;
        }
        let mut held = self.changes();
        while self.world().holds_pulls {
            // Whoever lets go says so.
            let _ = held.changed().await;
        }
        self.enter(Call::Pull)
    }

    /// From now on no image is ever there as a whole, or is at once.
    pub fn hold_pulls(&self, holds: bool) {
        self.world().holds_pulls = holds;
        self.bump();
    }

    pub(super) fn port_socket(&self, session: &SessionId, app: &str, port: u16) -> Option<PathBuf> {
        Some(self.directory.join(session.as_str()).join(app).join(format!("{port}.sock")))
    }

    /// An app ends by itself.
    pub fn end_app(
        &self,
        session: &SessionId,
        app: &str,
        reason: &str,
    ) -> Result<(), RuntimeError> {
        self.change(session, |instance| {
            for open in instance.apps.iter_mut().filter(|open| open.name == app) {
                open.state = AppState::Ended { reason: reason.to_owned() };
            }
        })
    }

    fn change(
        &self,
        session: &SessionId,
        change: impl FnOnce(&mut Instance),
    ) -> Result<(), RuntimeError> {
        let mut world = self.world();
        let instance = world.instances.get_mut(session);
        let instance = instance
            .ok_or_else(|| RuntimeError::Refused(format!("the desktop {session} does not run")))?;
        change(instance);
        drop(world);
        self.bump();
        Ok(())
    }

    /// Counts a call, and fails where it is to.
    pub(super) fn enter(&self, call: Call) -> Result<(), RuntimeError> {
        let mut world = self.world();
        *world.calls.entry(call).or_default() += 1;
        let failure = world.failures.get(&call).cloned();
        drop(world);
        match failure {
            None => Ok(()),
            Some(Failure::Step(reason)) => {
                let failed = RuntimeError::step("work in", &self.directory);
                Err(failed(io::Error::other(reason)))
            }
            Some(Failure::Panic) => panic!("a test wants a {call:?} to panic"),
        }
    }

    fn take_away(&self, session: &SessionId) {
        let gone = self.world().instances.remove(session);
        if gone.is_some() {
            self.bump();
        }
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
        let place = self.directory.join(session.as_str());
        let token = || Token::fresh().map_err(|error| RuntimeError::Refused(error.to_string()));
        let relay = Relay { socket: place.join("gate/gateway.sock"), token: token()? };
        Ok(Address { socket: place.join("agent.sock"), token: token()?, relay: Some(relay) })
    }

    fn bump(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
