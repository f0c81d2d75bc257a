//! Desktops as processes of this machine, each in a bubblewrap sandbox under a supervisor of its own
//! (`crate::supervise`).
//!
//! A supervisor is started detached, so that it outlives this process however that ends. Nothing
//! about it is kept in memory: its run directory says who it is and how it is (`place`), and a
//! gateway that starts over the same directories reads the same.
//!
//! What isolates: process, IPC, host name, mount and network namespaces, and where the gateway is root
//! a user id of its own for every owner. A desktop's network is its own loopback and nothing else. No
//! setting shares this machine's network: with it would come its abstract sockets, where whoever first
//! binds the name that X clients try before any file would be given the keys of other desktops.

mod freeze;
pub(crate) mod home;
mod logs;
pub mod place;
pub(crate) mod probe;
mod snapshots;
mod storage;
mod usage;
pub(crate) mod walk;
mod watcher;

pub use place::Limits;
pub(crate) use watcher::processes;

use super::turns::Turns;
use super::{HOME_IN_USE, Instance, InstanceState, RuntimeError, Spec};
use crate::broker::protocol::{Stored, Volumes};
use crate::supervise::{limits, sandbox};
use crate::template;
use ipnet::IpNet;
use lattice_engine::session::SessionId;
use place::{Order, Place, Said};
use rustix::process::{Signal, pidfd_send_signal};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::timeout;
use watcher::Watcher;

/// The user id of user 0's desktops where each owner has one: beyond those of people and of
/// distributions' services.
const FIRST_UID: i64 = 100_000;
/// How long a supervisor may take to end its desktop; it kills what takes longer than 3 s.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How long the kernel may take to end what was killed.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// The longest path that a Unix socket's address holds, see unix(7).
const MAX_SOCKET_PATH: usize = 107;

/// How desktops are run on this machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where homes are: `<data>/homes/<user>/{home,data}`.
    pub data: PathBuf,
    /// Where sessions have their run directories.
    pub run: PathBuf,
    /// The program that is a supervisor when it is called `PROGRAM supervise DIRECTORY`.
    pub supervisor: PathBuf,
    /// The agent's program.
    pub agent: PathBuf,
    /// The program that keeps snapshots.
    pub keeper: PathBuf,
    /// The program by which programs of a desktop ask about it, `lattice` in there; without it they cannot.
    pub relay: Option<PathBuf>,
    /// The directory with `xorg/` and `desktop/`.
    pub containers: PathBuf,
    /// What one desktop may use.
    pub limits: Limits,
    /// From where repositories may be cloned beside the public internet.
    pub import_allow: Vec<IpNet>,
}

impl Settings {
    /// The usual ones: this program and what is installed beside it.
    pub fn new(data: PathBuf, run: PathBuf) -> anyhow::Result<Self> {
        // An installation of before has none, and desktops work without it.
        let relay = find_relay().inspect_err(|error| {
            let error = format!("{error:#}");
            tracing::warn!(error, "desktops have no command lattice");
        });
        Ok(Self {
            data,
            run,
            supervisor: probe::own_program()?,
            agent: crate::agent::find_program()?,
            keeper: crate::agent::find_beside("lattice-keeper", "LATTICE_KEEPER")?,
            relay: relay.ok(),
            containers: probe::find_containers()?,
            limits: limits::defaults(),
            import_allow: Vec::new(),
        })
    }
}

/// The relay's program.
pub(crate) fn find_relay() -> anyhow::Result<PathBuf> {
    crate::agent::find_beside("lattice-session", "LATTICE_RELAY")
}

/// The runtime.
#[derive(Debug)]
pub struct Process {
    settings: Settings,
    bwrap: PathBuf,
    watcher: Watcher,
    /// One of start, stop and remove at a time for each session.
    turns: Turns,
    meter: usage::Meter,
    storage: storage::Storage,
}

impl Process {
    /// Makes the directories, tries whether sandboxes work, and watches what runs already.
    pub async fn open(settings: Settings) -> Result<Self, RuntimeError> {
        for dir in [&settings.data, &settings.run] {
            place::private_dir(dir).map_err(RuntimeError::step("make the directory", dir))?;
        }
        check_length(&settings.run)?;
        let bwrap = probe::sandbox(&settings).await?;
        limits::make_room();
        let watcher = Watcher::start().map_err(RuntimeError::step("watch", &settings.run))?;
        let storage = storage::Storage::start(&settings, &watcher);
        let process = Self {
            settings,
            bwrap,
            watcher,
            turns: Turns::default(),
            meter: usage::Meter::default(),
            storage,
        };
        for (session, place) in process.places()? {
            process.watch(&place);
            // Of a gateway that was killed over a snapshot.
            freeze::thaw(place.dir(), session.as_str())?;
        }
        Ok(process)
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.watcher.changes()
    }

    pub(super) async fn start(&self, spec: &Spec) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(&spec.session).await;
        let place = self.place(&spec.session);
        match observe(&place) {
            Some(
                InstanceState::Starting | InstanceState::Running(_) | InstanceState::Paused(_),
            ) => return Ok(()),
            // What its last supervisor left behind when it was killed may still be going.
            Some(InstanceState::Ended { .. }) => clear(&place)
                .await
                .map_err(RuntimeError::step("end what is left of", place.dir()))?,
            None => {}
        }
        // What an app may do is nothing here; that a text is no template is refused all the same.
        if let Some(text) = &spec.text {
            template::read_sent(&spec.template, text).map_err(RuntimeError::Refused)?;
        }
        let order = self.order(spec).await?;
        place.prepare(&order, spec.text.as_deref())?;
        self.spawn(&place)?;
        Ok(())
    }

    pub(super) async fn stop(&self, session: &SessionId) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(session).await;
        self.stop_in(&self.place(session)).await
    }

    /// A home is its owner's, not a session's: nothing else may be in it while it is moved away.
    pub(super) async fn reset(&self, spec: &Spec) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(&spec.session).await;
        let others = self.list().await?.into_iter();
        let mut others = others.filter(|other| other.owner == spec.owner);
        let is_up = |state: &InstanceState| !matches!(state, InstanceState::Ended { .. });
        if others.any(|other| other.session != spec.session && is_up(&other.state)) {
            return Err(RuntimeError::Refused(HOME_IN_USE.into()));
        }
        self.stop_in(&self.place(&spec.session)).await?;
        self.storage.note_change(spec.owner);
        home::set_aside(&self.settings.data, spec.owner)
    }

    pub(super) async fn remove(&self, session: &SessionId) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(session).await;
        let place = self.place(session);
        self.stop_in(&place).await?;
        match fs::remove_dir_all(place.dir()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(RuntimeError::step("remove the run directory", place.dir())(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<Instance>, RuntimeError> {
        let mut found = Vec::new();
        let places = self.places()?;
        let usage = self.meter.look(&places);
        for (session, place) in places {
            let Some(state) = observe(&place) else { continue };
            let Some(Order { owner, recipe, .. }) = place.order().ok() else { continue };
            let usage = usage.get(&session).cloned().unwrap_or_default();
            found.push(Instance { session, owner, recipe, state, apps: Vec::new(), usage });
        }
        Ok(found)
    }

    /// What somebody keeps; nothing where that was not measured yet.
    pub(super) fn stored(&self, owner: i64) -> Option<Stored> {
        self.storage.of(owner)
    }

    /// What everybody keeps who was measured.
    pub(super) fn volumes(&self) -> Volumes {
        self.storage.volumes()
    }

    pub(super) fn recipe(&self, session: &SessionId) -> Result<Option<String>, RuntimeError> {
        let place = self.place(session);
        place.recipe().map_err(RuntimeError::step("read the desktop's template in", place.dir()))
    }

    fn place(&self, session: &SessionId) -> Place {
        place_of(&self.settings.run, session)
    }

    fn places(&self) -> Result<Vec<(SessionId, Place)>, RuntimeError> {
        let run = &self.settings.run;
        places(run).map_err(RuntimeError::step("list", run))
    }

    async fn order(&self, spec: &Spec) -> Result<Order, RuntimeError> {
        let uid = own_uid(spec.owner)?;
        self.prepare_data(spec.owner).await;
        let (home, data) = home::prepare(&self.settings.data, spec.owner, uid)?;
        let Settings { agent, relay, containers, limits, .. } = self.settings.clone();
        Ok(Order {
            session: spec.session.to_string(),
            owner: spec.owner,
            title: spec.title.clone(),
            geometry: spec.geometry,
            home,
            data,
            uid,
            bwrap: self.bwrap.clone(),
            agent,
            relay,
            containers,
            limits,
            recipe: spec.text.as_deref().map(template::digest),
        })
    }

    /// Starts a supervisor that does not depend on this process: it has no descriptor of ours and few of
    /// our variables, and leaves our session and terminal by itself.
    fn spawn(&self, place: &Place) -> Result<(), RuntimeError> {
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(place.join("log"));
        let log = log.map_err(RuntimeError::step("open the log in", place.dir()))?;
        let program = &self.settings.supervisor;
        let inherited = sandbox::INHERITED.into_iter().chain(["LATTICE_LOG_FORMAT"]);
        let inherited = inherited.filter_map(|name| Some((name, std::env::var_os(name)?)));
        let child = Command::new(program)
            .arg("supervise")
            .arg(place.dir())
            .current_dir("/")
            .env_clear()
            .envs(inherited)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(RuntimeError::step("start the supervisor", program))?;
        self.watcher.watch_directory(place.dir());
        self.watcher.watch_child(child);
        Ok(())
    }

    /// Watches what an earlier gateway started.
    fn watch(&self, place: &Place) {
        self.watcher.watch_directory(place.dir());
        if let Some((_, descriptor)) = place.supervisor() {
            self.watcher.watch_process(descriptor);
        }
    }

    async fn stop_in(&self, place: &Place) -> Result<(), RuntimeError> {
        let failed = |step| RuntimeError::step(step, place.dir());
        if let Some(descriptor) = taken_up(place).await {
            end(place, descriptor).await.map_err(failed("end the desktop of"))?;
        }
        clear(place).await.map_err(failed("end what is left of"))?;
        if let Ok(order) = place.order() {
            limits::remove(&order.session);
            place.say(&Said::Stopped).map_err(failed("note the end in"))?;
        }
        Ok(())
    }
}

/// The supervisor. One that is just starting is waited for, lest it start what was stopped.
async fn taken_up(place: &Place) -> Option<OwnedFd> {
    loop {
        if let Some((_, descriptor)) = place.supervisor() {
            return Some(descriptor);
        }
        let is_starting = place.said().is_none() && place.was_just_ordered();
        if !is_starting || place.join("pid").exists() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Ends a supervisor, which ends all that is below it; what it was killed over is left.
async fn end(place: &Place, supervisor: OwnedFd) -> io::Result<()> {
    let _ = pidfd_send_signal(&supervisor, Signal::TERM);
    let supervisor = watcher::awaitable(supervisor)?;
    if timeout(STOP_PATIENCE, supervisor.readable()).await.is_err() {
        tracing::warn!(directory = %place.dir().display(), "the supervisor does not end and is killed");
        let _ = pidfd_send_signal(supervisor.get_ref(), Signal::KILL);
        watcher::ended(supervisor, KILL_PATIENCE).await?;
    }
    Ok(())
}

/// Waits until nothing of a session is left whose supervisor is gone. A supervisor that was killed has
/// not waited for its sandboxes, which the kernel kills just then.
async fn clear(place: &Place) -> io::Result<()> {
    let left = watcher::marked(place.session().as_bytes());
    for descriptor in &left {
        let _ = pidfd_send_signal(descriptor, Signal::KILL);
    }
    for descriptor in left {
        watcher::ended(watcher::awaitable(descriptor)?, KILL_PATIENCE).await?;
    }
    Ok(())
}

fn place_of(run: &Path, session: &SessionId) -> Place {
    Place::new(&run.join(session.as_str()))
}

/// The run directories there are.
fn places(run: &Path) -> io::Result<Vec<(SessionId, Place)>> {
    let entries = fs::read_dir(run)?;
    let sessions = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let with_place = |session: SessionId| {
        let place = place_of(run, &session);
        (session, place)
    };
    Ok(sessions.map(with_place).collect())
}

/// What really is at a place; nothing where it was stopped or never ordered.
fn observe(place: &Place) -> Option<InstanceState> {
    // Looked for first: what it says last, it says before it goes.
    let lives = place.supervisor().is_some();
    let ended = |reason: &str| Some(InstanceState::Ended { reason: reason.to_owned() });
    match (place.said(), lives) {
        (Some(Said::Stopped), _) => None,
        (Some(Said::Ended { reason }), _) => Some(InstanceState::Ended { reason }),
        (Some(Said::Running), true) => match place.address() {
            Ok(address) => Some(InstanceState::Running(address)),
            Err(error) => ended(&format!("its token cannot be read: {error}")),
        },
        (Some(Said::Starting) | None, true) => Some(InstanceState::Starting),
        (Some(Said::Running | Said::Starting), false) => ended("its supervisor was killed"),
        (None, false) if place.join("pid").exists() => ended("its supervisor was killed"),
        (None, false) if place.was_just_ordered() => Some(InstanceState::Starting),
        (None, false) if place.join("spec.json").exists() => {
            ended("its supervisor did not start; its log says more")
        }
        (None, false) => None,
    }
}

/// The user id for an owner's desktops, where this process may choose one.
pub(crate) fn own_uid(owner: i64) -> Result<Option<u32>, RuntimeError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let uid = FIRST_UID.checked_add(owner).and_then(|uid| u32::try_from(uid).ok());
    let uid = uid.filter(|uid| owner >= 0 && *uid < u32::MAX / 2);
    uid.map(Some).ok_or_else(|| RuntimeError::Refused(format!("user {owner} has no user id")))
}

/// Refuses a directory in which sockets would have no valid address.
pub(crate) fn check_length(run: &Path) -> Result<(), RuntimeError> {
    let longest = run.join("a".repeat(16)).join(place::RELAY_SOCKET).as_os_str().len();
    if longest <= MAX_SOCKET_PATH {
        return Ok(());
    }
    let too_long = longest - MAX_SOCKET_PATH;
    Err(RuntimeError::Unusable {
        what: format!("the run directory {} is {too_long} characters too long", run.display()),
        remedy: "a socket in it would have no valid address; choose a shorter one".into(),
    })
}
