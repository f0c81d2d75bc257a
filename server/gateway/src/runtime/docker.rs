//! Desktops made of containers, which a broker starts and ends (`crate::broker`): this is the gateway's
//! side, which holds no socket of any engine.

use super::{Address, AppInstance, AppState, Instance, InstanceState, Relay, RuntimeError, Spec};
use crate::broker::protocol::{
    self, Engine, Id, MAX_REPLY, Order, Progress, Reply, Request, Seen, SeenState, Stored, Tokens,
    Wanted,
};
use crate::logs::{Lines, PartName, Window};
use crate::recipe;
use crate::snapshots::{Kept, Upload};
use lattice_engine::session::SessionId;
use lattice_wire::imports::CloneUrl;
use lattice_wire::snapshots;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long the broker may take for an answer: the longest is a stop, whose apps have a minute.
const PATIENCE: Duration = Duration::from_secs(100);
/// The pause before the broker is looked for again.
const BROKER_PAUSE: Duration = Duration::from_millis(500);

/// The runtime.
#[derive(Debug)]
pub struct Docker {
    socket: PathBuf,
    changes: Arc<watch::Sender<u64>>,
    watcher: JoinHandle<()>,
    /// What desktops of a kind use, in bytes; see `recipe::kind`.
    needs: Mutex<BTreeMap<String, u64>>,
    /// What people keep, as it was last told, also of those who have no desktop any more.
    stored: Mutex<BTreeMap<i64, Stored>>,
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Docker {
    /// Desktops by the broker that listens at `socket`, which need not be there yet. The session's
    /// directories are beside it.
    pub fn open(socket: PathBuf) -> Self {
        let changes = Arc::new(watch::Sender::new(0));
        let watcher = tokio::spawn(follow(socket.clone(), changes.clone()));
        Self { socket, changes, watcher, needs: Mutex::default(), stored: Mutex::default() }
    }

    /// How the engine is.
    pub async fn engine(&self) -> Result<Engine, RuntimeError> {
        match self.ask(&Request::Hello).await? {
            Reply::Engine(engine) => Ok(engine),
            other => Err(odd(&other)),
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) async fn reserve(&self) -> Result<Option<SessionId>, RuntimeError> {
        match self.ask(&Request::Reserve).await? {
            Reply::Reserved(session) => Ok(session.map(|id| id.0)),
            other => Err(odd(&other)),
        }
    }

    pub(super) async fn start(&self, spec: &Spec) -> Result<(), RuntimeError> {
        let order = Order {
            session: Id(spec.session.clone()),
            owner: spec.owner,
            title: spec.title.clone(),
            geometry: spec.geometry,
            template: spec.template.clone(),
            text: spec.text.as_deref().map(str::to_owned),
        };
        self.have_done(&Request::Start(order)).await
    }

    pub(super) async fn stop(&self, session: &SessionId) -> Result<(), RuntimeError> {
        self.have_done(&Request::Stop(Id(session.clone()))).await
    }

    pub(super) async fn remove(&self, session: &SessionId) -> Result<(), RuntimeError> {
        self.have_done(&Request::Remove(Id(session.clone()))).await
    }

    pub(super) async fn reset(&self, spec: &Spec) -> Result<(), RuntimeError> {
        self.have_done(&Request::Reset(Id(spec.session.clone()), spec.owner)).await
    }

    pub(super) async fn recipe(&self, session: &SessionId) -> Result<Option<String>, RuntimeError> {
        match self.ask(&Request::Recipe(Id(session.clone()))).await? {
            Reply::Recipe(text) => Ok(text),
            other => Err(odd(&other)),
        }
    }

    /// By the desktops that ran at the last look.
    pub(super) fn need(&self, kind: &str) -> Option<u64> {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner).get(kind).copied()
    }

    pub(super) fn stored(&self, owner: i64) -> Option<Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).get(&owner).copied()
    }

    pub(super) async fn pause(&self, session: &SessionId) -> Result<(), RuntimeError> {
        self.have_done(&Request::Pause(Id(session.clone()))).await
    }

    pub(super) async fn resume(&self, session: &SessionId) -> Result<(), RuntimeError> {
        self.have_done(&Request::Resume(Id(session.clone()))).await
    }

    pub(super) async fn open_app(
        &self,
        session: &SessionId,
        app: &str,
    ) -> Result<(), RuntimeError> {
        self.have_done(&Request::Open(Id(session.clone()), app.to_owned())).await
    }

    pub(super) async fn close_app(
        &self,
        session: &SessionId,
        app: &str,
    ) -> Result<(), RuntimeError> {
        self.have_done(&Request::Close(Id(session.clone()), app.to_owned())).await
    }

    /// The answer comes over the connection as the keeper gives it, however long that takes.
    pub(super) async fn keep(
        &self,
        owner: i64,
        request: &snapshots::Request,
    ) -> Result<Kept, RuntimeError> {
        kept(self.keeper(&Request::Keep(owner, request.clone())).await?.answer().await)
    }

    /// What follows goes over the connection as well.
    pub(super) async fn upload(
        &self,
        owner: i64,
        request: &snapshots::Request,
    ) -> Result<Upload, RuntimeError> {
        self.keeper(&Request::Keep(owner, request.clone())).await
    }

    /// Clones a repository in a container of its own.
    pub(super) async fn fetch(&self, url: &CloneUrl) -> Result<Kept, RuntimeError> {
        kept(self.keeper(&Request::Fetch(url.clone())).await?.answer().await)
    }

    async fn keeper(&self, request: &Request) -> Result<Upload, RuntimeError> {
        match self.begin(request).await? {
            (Reply::Keeps, reader, writer) => Ok(Upload::new(writer, reader, None)),
            (other, ..) => Err(odd(&other)),
        }
    }

    /// What a part says comes over the connection as it is read; the broker ends it with the part.
    pub(super) async fn logs(
        &self,
        session: &SessionId,
        part: &PartName,
        window: Window,
    ) -> Result<Lines, RuntimeError> {
        let request = Request::Logs(Id(session.clone()), part.clone(), window);
        match timeout(PATIENCE, self.begin(&request)).await {
            Ok(begun) => match begun? {
                (Reply::Says, reader, writer) => Ok(Lines::of_pipe(reader, writer)),
                (other, ..) => Err(odd(&other)),
            },
            Err(_) => Err(no_broker(&self.socket, &io::ErrorKind::TimedOut.into())),
        }
    }

    /// Asks for something that has more to it than the answer: both ways of the connection.
    async fn begin(
        &self,
        request: &Request,
    ) -> Result<(Reply, BufReader<OwnedReadHalf>, OwnedWriteHalf), RuntimeError> {
        let failed = |error: io::Error| no_broker(&self.socket, &error);
        let stream = UnixStream::connect(&self.socket).await.map_err(failed)?;
        let (reader, mut writer) = stream.into_split();
        protocol::write(&mut writer, request).await.map_err(failed)?;
        let mut reader = BufReader::new(reader);
        let reply = protocol::read(&mut reader, MAX_REPLY).await.map_err(failed)?;
        let reply = reply.ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))?;
        Ok((understood(reply)?, reader, writer))
    }

    /// Has an app's image be there, and says how far that is; it may take long.
    pub(super) async fn pull(
        &self,
        wanted: &Wanted,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        let failed = |error: io::Error| no_broker(&self.socket, &error);
        let mut stream = UnixStream::connect(&self.socket).await.map_err(failed)?;
        let (reader, mut writer) = stream.split();
        protocol::write(&mut writer, &Request::Pull(wanted.clone())).await.map_err(failed)?;
        let mut reader = BufReader::new(reader);
        loop {
            let reply = timeout(PATIENCE, protocol::read(&mut reader, MAX_REPLY)).await;
            let reply = reply.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let Some(reply) = reply.map_err(failed)? else {
                return Err(RuntimeError::Unusable {
                    what: "the broker went away while it fetched the app".into(),
                    remedy: "try again; what is here already is not fetched twice".into(),
                });
            };
            match understood(reply)? {
                Reply::Pulling(so_far) => progress(so_far),
                Reply::Done => return Ok(()),
                other => return Err(odd(&other)),
            }
        }
    }

    pub(super) async fn freeze(&self, owner: i64) -> Result<(), RuntimeError> {
        self.have_done(&Request::Freeze(owner)).await
    }

    pub(super) async fn thaw(&self, owner: i64) -> Result<(), RuntimeError> {
        self.have_done(&Request::Thaw(owner)).await
    }

    pub(super) async fn list(&self) -> Result<Vec<Instance>, RuntimeError> {
        match self.ask(&Request::List).await? {
            Reply::Instances(seen) => {
                *self.needs.lock().unwrap_or_else(PoisonError::into_inner) = means(&seen);
                let stored = seen.iter().filter_map(|seen| Some((seen.owner, seen.stored?)));
                self.stored.lock().unwrap_or_else(PoisonError::into_inner).extend(stored);
                Ok(seen.into_iter().map(|seen| self.instance(seen)).collect())
            }
            other => Err(odd(&other)),
        }
    }

    fn instance(&self, seen: Seen) -> Instance {
        let session = seen.session.0;
        let state = match seen.state {
            SeenState::Starting => InstanceState::Starting,
            SeenState::Running(tokens) => InstanceState::Running(self.address(&session, tokens)),
            SeenState::Paused(tokens) => InstanceState::Paused(self.address(&session, tokens)),
            SeenState::Ended(reason) => InstanceState::Ended { reason },
        };
        let apps = seen.apps.into_iter().map(|app| AppInstance {
            name: app.name,
            state: match (app.ended, app.is_starting) {
                (Some(reason), _) => AppState::Ended { reason },
                (None, true) => AppState::Starting,
                (None, false) => AppState::Running,
            },
        });
        let Seen { owner, recipe, usage, .. } = seen;
        Instance { apps: apps.collect(), session, owner, recipe, state, usage }
    }

    pub(super) fn port_socket(&self, session: &SessionId, app: &str, port: u16) -> PathBuf {
        self.place(session).join("ports").join(app).join(format!("{port}.sock"))
    }

    fn place(&self, session: &SessionId) -> PathBuf {
        self.socket.parent().unwrap_or(Path::new("/")).join(session.as_str())
    }

    fn address(&self, session: &SessionId, tokens: Tokens) -> Address {
        let place = self.place(session);
        let relay = Relay { socket: place.join("gate/gateway.sock"), token: tokens.api.0 };
        let socket = place.join("link/agent.sock");
        Address { socket, token: tokens.agent.0, relay: Some(relay) }
    }

    pub(super) async fn have_done(&self, request: &Request) -> Result<(), RuntimeError> {
        match self.ask(request).await? {
            Reply::Done => Ok(()),
            other => Err(odd(&other)),
        }
    }

    pub(super) async fn ask(&self, request: &Request) -> Result<Reply, RuntimeError> {
        let asked = timeout(PATIENCE, ask(&self.socket, request)).await;
        let reply = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        understood(reply.map_err(|error| no_broker(&self.socket, &error))?)
    }
}

fn kept(read: io::Result<Kept>) -> Result<Kept, RuntimeError> {
    read.map_err(|error| RuntimeError::Refused(format!("the keeper of snapshots: {error}")))
}

fn understood(reply: Reply) -> Result<Reply, RuntimeError> {
    match reply {
        Reply::Refused { what, remedy: Some(remedy) } => {
            Err(RuntimeError::Unusable { what, remedy })
        }
        Reply::Refused { what, remedy: None } => Err(RuntimeError::Refused(what)),
        reply => Ok(reply),
    }
}

async fn ask(socket: &Path, request: &Request) -> io::Result<Reply> {
    let mut stream = UnixStream::connect(socket).await?;
    let (reader, mut writer) = stream.split();
    protocol::write(&mut writer, request).await?;
    let reply = protocol::read(&mut BufReader::new(reader), MAX_REPLY).await?;
    reply.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "it went away over it"))
}

/// The mean of what was measured, for each kind.
fn means(seen: &[Seen]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::<String, (u64, u64)>::new();
    for (seen, used) in seen.iter().filter_map(|seen| Some((seen, seen.used?))) {
        let kind = recipe::kind(&seen.template, seen.recipe.as_deref());
        let (sum, count) = sums.entry(kind).or_default();
        (*sum, *count) = (*sum + used, *count + 1);
    }
    sums.into_iter().map(|(kind, (sum, count))| (kind, sum / count)).collect()
}

fn no_broker(socket: &Path, error: &io::Error) -> RuntimeError {
    RuntimeError::Unusable {
        what: format!("the broker at {} does not answer ({error})", socket.display()),
        remedy: "see whether lattice broker runs, and what its log says".into(),
    }
}

pub(super) fn odd(reply: &Reply) -> RuntimeError {
    let kind = match reply {
        Reply::Done => "done",
        Reply::Engine(_) => "an engine",
        Reply::Reserved(_) => "a reservation",
        Reply::Instances(_) => "a list",
        Reply::Recipe(_) => "a template",
        Reply::Images(_) => "images",
        Reply::Volumes(_) => "volumes",
        Reply::Pool(_) => "a pool",
        Reply::Builds(_) => "builds",
        Reply::Keeps => "what a keeper says",
        Reply::Pulling(_) => "how far a pull is",
        Reply::Says => "a log",
        Reply::Changed => "a change",
        Reply::Refused { .. } => "a refusal",
    };
    RuntimeError::Refused(format!("the broker answered something else than was asked: {kind}"))
}

/// Says when something may have changed: also when a broker comes or goes.
async fn follow(socket: PathBuf, changes: Arc<watch::Sender<u64>>) {
    loop {
        // An error is an end like another.
        let _ = watch_one(&socket, &changes).await;
        changes.send_modify(|count| *count += 1);
        sleep(BROKER_PAUSE).await;
    }
}

async fn watch_one(socket: &Path, changes: &watch::Sender<u64>) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    let (reader, mut writer) = stream.split();
    protocol::write(&mut writer, &Request::Watch).await?;
    let mut reader = BufReader::new(reader);
    while let Some(Reply::Changed) = protocol::read(&mut reader, MAX_REPLY).await? {
        changes.send_modify(|count| *count += 1);
    }
    Ok(())
}
