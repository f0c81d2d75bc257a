//! What runs desktops. To the rest of the gateway every runtime looks the same: it starts and stops
//! sessions, says what really runs, and for what runs gives an address and a token.
//!
//! INVARIANT: the truth lies outside the gateway, in processes and run directories, so that a
//! gateway that was killed finds it again: [`Runtime::list`] reads it anew each time, and
//! [`Runtime::changes`] only says when that is worth while.

pub mod docker;
mod fake;
mod fake_keeper;
pub(crate) mod ledger;
mod own_broker;
pub mod process;
pub(crate) mod rota;
pub(crate) mod stock;
pub(crate) mod turns;

pub use docker::Docker;
pub use fake::{Call, Failure, Fake};
pub use own_broker::{BrokerSettings, OwnBroker};
pub use process::{Process, Settings};

use crate::auth::Token;
pub use crate::broker::protocol::{Held, PartState, Progress, SeenPart, Stored, Usage, Wanted};
use crate::logs::{Lines, PartName, Window};
use crate::snapshots::{Kept, Upload};
use lattice_engine::session::SessionId;
use lattice_wire::imports::CloneUrl;
use lattice_wire::snapshots::Request;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// Why a reset is refused: whoever works in that home would lose it.
pub(crate) const HOME_IN_USE: &str =
    "another desktop of the same person runs with the same home; stop it first";
/// Why nothing is installed where desktops are sandboxes.
pub(crate) const NO_APPS: &str =
    "desktops in sandboxes have no apps; run lattice serve with containers";
const NEEDS_CONTAINERS: &str =
    "desktops in sandboxes have no apps and no pause; run lattice serve with containers";

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Which session.
    pub session: SessionId,
    /// The user it belongs to, whose home and Data it gets.
    pub owner: i64,
    /// What viewers call it.
    pub title: String,
    /// The first size of its screen.
    pub geometry: (u16, u16),
    /// What it is made of, by name.
    pub template: String,
    /// The text of its own template of that name; else the one that the runtime has holds.
    pub text: Option<Arc<str>>,
}

/// What a runtime runs, or ran until it ended by itself.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Which session.
    pub session: SessionId,
    /// The user it belongs to.
    pub owner: i64,
    /// The digest of the text that it was started with, where one was; see `template::digest`.
    pub recipe: Option<String>,
    /// How it is.
    pub state: InstanceState,
    /// Its apps that are open, or ended by themselves since it was started.
    pub apps: Vec<AppInstance>,
    /// What it is made of and takes.
    pub usage: Usage,
}

/// One app of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppInstance {
    /// Which, as its template calls it.
    pub name: String,
    /// How it is.
    pub state: AppState,
}

/// How an app is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppState {
    /// Under way.
    Starting,
    /// Open.
    Running,
    /// It ended by itself, and not because somebody closed its window. It is listed so until it is
    /// opened again or closed.
    Ended {
        /// Why, for a person.
        reason: String,
    },
}

/// How an instance is.
#[derive(Debug, Clone)]
pub enum InstanceState {
    /// Under way.
    Starting,
    /// There, to be linked to.
    Running(Address),
    /// There, and frozen: it uses no processor, and goes on where it was.
    Paused(Address),
    /// It ended by itself. It is listed so until it is started again, stopped or removed.
    Ended {
        /// Why, for a person.
        reason: String,
    },
}

/// Where an instance's agent listens, and what it expects to be told.
#[derive(Debug, Clone)]
pub struct Address {
    /// Its Unix socket.
    pub socket: PathBuf,
    /// Its token.
    pub token: Token,
    /// Where programs of the desktop ask for apps, if they can.
    pub relay: Option<Relay>,
}

/// Where an instance's relay (`lattice-session serve`) listens for the gateway, and what it expects to
/// be told.
#[derive(Debug, Clone)]
pub struct Relay {
    /// Its Unix socket.
    pub socket: PathBuf,
    /// Its token.
    pub token: Token,
}

/// The runtimes there are.
#[derive(Debug)]
pub enum Runtime {
    /// Desktops as sandboxed processes of this machine.
    Process(Process),
    /// Desktops as sets of containers, by a broker.
    Docker(Docker),
    /// Nothing but the bookkeeping, for tests.
    Fake(Fake),
}

/// Why a runtime did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// This machine cannot run desktops as it is.
    #[error("{what}; {remedy}")]
    Unusable {
        /// What is missing.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// A step failed.
    #[error("{step} {}", path.display())]
    Step {
        /// Which.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What was asked for cannot be.
    #[error("{0}")]
    Refused(String),
}

impl RuntimeError {
    pub(crate) fn step(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Step { step, path: path.to_owned(), source }
    }
}

impl Runtime {
    /// A session that is half started already, for whoever wants a new one: it is theirs alone, and
    /// starts the sooner. Nothing where there is none.
    pub async fn reserve(&self) -> Option<SessionId> {
        match self {
            Self::Docker(docker) => docker.reserve().await.ok().flatten(),
            Self::Process(_) | Self::Fake(_) => None,
        }
    }

    /// Starts a session; returns once that is under way. Starting what runs is fine.
    pub async fn start(&self, spec: &Spec) -> Result<(), RuntimeError> {
        match self {
            Self::Process(process) => process.start(spec).await,
            Self::Docker(docker) => docker.start(spec).await,
            Self::Fake(fake) => fake.start(spec),
        }
    }

    /// Ends a session; its whole process tree is gone when this returns. Stopping what is not there
    /// is fine.
    pub async fn stop(&self, session: &SessionId) -> Result<(), RuntimeError> {
        match self {
            Self::Process(process) => process.stop(session).await,
            Self::Docker(docker) => docker.stop(session).await,
            Self::Fake(fake) => fake.stop(session),
        }
    }

    /// Ends a session and removes what was kept of it beside its owner's home and Data.
    pub async fn remove(&self, session: &SessionId) -> Result<(), RuntimeError> {
        match self {
            Self::Process(process) => process.remove(session).await,
            Self::Docker(docker) => docker.remove(session).await,
            Self::Fake(fake) => fake.remove(session),
        }
    }

    /// Ends a session and has its home begin anew; what was in it is kept aside once, and Data stays.
    pub async fn reset(&self, spec: &Spec) -> Result<(), RuntimeError> {
        match self {
            Self::Process(process) => process.reset(spec).await,
            Self::Docker(docker) => docker.reset(spec).await,
            Self::Fake(fake) => fake.reset(&spec.session),
        }
    }

    /// The text that a session was started with, where one was.
    pub async fn recipe(&self, session: &SessionId) -> Result<Option<String>, RuntimeError> {
        match self {
            Self::Process(process) => process.recipe(session),
            Self::Docker(docker) => docker.recipe(session).await,
            Self::Fake(fake) => Ok(fake.recipe(session)),
        }
    }

    /// Whether desktops have apps.
    pub fn has_apps(&self) -> bool {
        match self {
            Self::Process(_) => false,
            Self::Docker(_) | Self::Fake(_) => true,
        }
    }

    /// What a desktop of this kind was measured to need, in bytes; see `Recipe::kind`.
    pub fn need(&self, kind: &str) -> Option<u64> {
        match self {
            Self::Process(_) => None,
            Self::Docker(docker) => docker.need(kind),
            Self::Fake(fake) => fake.need(kind),
        }
    }

    /// What this user keeps, as it was last measured; nothing where it was not.
    pub fn stored(&self, owner: i64) -> Option<Stored> {
        match self {
            Self::Process(process) => process.stored(owner),
            Self::Docker(docker) => docker.stored(owner),
            Self::Fake(fake) => fake.stored(owner),
        }
    }

    /// Freezes a session. Pausing what is paused is fine.
    pub async fn pause(&self, session: &SessionId) -> Result<(), RuntimeError> {
        match self {
            Self::Process(_) => Err(RuntimeError::Refused(NEEDS_CONTAINERS.into())),
            Self::Docker(docker) => docker.pause(session).await,
            Self::Fake(fake) => fake.pause(session),
        }
    }

    /// Lets a paused session go on. Resuming what runs is fine.
    pub async fn resume(&self, session: &SessionId) -> Result<(), RuntimeError> {
        match self {
            Self::Process(_) => Err(RuntimeError::Refused(NEEDS_CONTAINERS.into())),
            Self::Docker(docker) => docker.resume(session).await,
            Self::Fake(fake) => fake.resume(session),
        }
    }

    /// Has the image of an app be there, and says how far that is. The image is what its catalogue says,
    /// or this fails.
    pub async fn pull(
        &self,
        wanted: &Wanted,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        match self {
            Self::Process(_) => Err(RuntimeError::Refused(NO_APPS.into())),
            Self::Docker(docker) => docker.pull(wanted, progress).await,
            Self::Fake(fake) => fake.pull(progress).await,
        }
    }

    /// Whether sessions can be paused.
    pub fn can_pause(&self) -> bool {
        match self {
            Self::Process(_) => false,
            Self::Docker(_) | Self::Fake(_) => true,
        }
    }

    /// Opens an app of a session that runs; returns once that is under way. Opening what is open is
    /// fine.
    pub async fn open(&self, session: &SessionId, app: &str) -> Result<(), RuntimeError> {
        match self {
            Self::Process(_) => Err(RuntimeError::Refused(NEEDS_CONTAINERS.into())),
            Self::Docker(docker) => docker.open_app(session, app).await,
            Self::Fake(fake) => fake.open(session, app),
        }
    }

    /// Ends an app. Closing what is not open is fine.
    pub async fn close(&self, session: &SessionId, app: &str) -> Result<(), RuntimeError> {
        match self {
            Self::Process(_) => Err(RuntimeError::Refused(NEEDS_CONTAINERS.into())),
            Self::Docker(docker) => docker.close_app(session, app).await,
            Self::Fake(fake) => fake.close(session, app),
        }
    }

    /// Where a socket leads to a port that an app of a session declares, once that app is open; nothing
    /// where there are no such sockets.
    pub fn port_socket(&self, session: &SessionId, app: &str, port: u16) -> Option<PathBuf> {
        match self {
            Self::Process(_) => None,
            Self::Docker(docker) => Some(docker.port_socket(session, app, port)),
            Self::Fake(fake) => fake.port_socket(session, app, port),
        }
    }

    /// What a part of a session says, and said before.
    pub async fn logs(
        &self,
        session: &SessionId,
        part: &PartName,
        window: Window,
    ) -> Result<Lines, RuntimeError> {
        match self {
            Self::Process(process) => process.logs(session, part, window),
            Self::Docker(docker) => docker.logs(session, part, window).await,
            Self::Fake(fake) => fake.logs(part, window),
        }
    }

    /// The parts of a session that say something and are not among what it takes ([`Usage::parts`]).
    pub fn kept_log_parts(&self, session: &SessionId) -> Vec<&'static str> {
        match self {
            Self::Process(process) => process.log_parts(session),
            Self::Docker(_) => Vec::new(),
            Self::Fake(fake) => fake.log_parts(),
        }
    }

    /// Asks the keeper of that person's snapshots.
    pub async fn keep(&self, owner: i64, request: &Request) -> Result<Kept, RuntimeError> {
        match self {
            Self::Process(process) => process.keep(owner, request).await,
            Self::Docker(docker) => docker.keep(owner, request).await,
            Self::Fake(fake) => fake.keep(owner, request).await,
        }
    }

    /// The same for a request that something follows, which is yet to come.
    pub async fn upload(&self, owner: i64, request: &Request) -> Result<Upload, RuntimeError> {
        match self {
            Self::Process(process) => process.upload(owner, request).await,
            Self::Docker(docker) => docker.upload(owner, request).await,
            Self::Fake(fake) => fake.upload(owner, request).await,
        }
    }

    /// Clones a repository where nothing of anybody is, and packs it.
    pub async fn fetch(&self, url: &CloneUrl) -> Result<Kept, RuntimeError> {
        match self {
            Self::Process(process) => process.fetch(url).await,
            Self::Docker(docker) => docker.fetch(url).await,
            Self::Fake(fake) => fake.fetch(url).await,
        }
    }

    /// Stops all that may write to that person's Data until [`Self::thaw`]. It is listed as before.
    pub async fn freeze(&self, owner: i64) -> Result<(), RuntimeError> {
        match self {
            Self::Process(process) => process.freeze(owner).await,
            Self::Docker(docker) => docker.freeze(owner).await,
            Self::Fake(fake) => fake.enter(Call::Freeze),
        }
    }

    /// Lets it go on. What was not frozen is left as it is.
    pub async fn thaw(&self, owner: i64) -> Result<(), RuntimeError> {
        match self {
            Self::Process(process) => process.thaw(owner).await,
            Self::Docker(docker) => docker.thaw(owner).await,
            Self::Fake(fake) => fake.enter(Call::Thaw),
        }
    }

    /// What there is at this moment. A session that was stopped is not listed.
    pub async fn list(&self) -> Result<Vec<Instance>, RuntimeError> {
        match self {
            Self::Process(process) => process.list().await,
            Self::Docker(docker) => docker.list().await,
            Self::Fake(fake) => Ok(fake.list()),
        }
    }

    /// Changes whenever a look at the list is worth while.
    pub fn changes(&self) -> watch::Receiver<u64> {
        match self {
            Self::Process(process) => process.changes(),
            Self::Docker(docker) => docker.changes(),
            Self::Fake(fake) => fake.changes(),
        }
    }
}
