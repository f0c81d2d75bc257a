//! Desktops of the process runtime: real sandboxes, with directories of their own for each test.

use crate::process::{binary, repository, signal};
use crate::wait::{GENEROUS, until_some};
use crate::x;
use crate::xserver::{TempDir, random};
use lattice_engine::session::SessionId;
use lattice_gateway::runtime::process::Limits;
use lattice_gateway::runtime::{Address, InstanceState, Process, Runtime, Settings, Spec};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use x11rb::rust_connection::RustConnection;

/// A session that nobody else has.
pub fn spec(owner: i64) -> Spec {
    let session = SessionId::from_bytes(random());
    Spec {
        session,
        owner,
        title: format!("Desk of {owner}"),
        geometry: (1366, 768),
        template: "desktop".into(),
        text: None,
    }
}

/// A machine's worth of desktops. What still runs when it is dropped is ended.
#[derive(Debug)]
pub struct Desktops {
    dir: TempDir,
    settings: Settings,
}

impl Desktops {
    /// None yet.
    pub fn new() -> Self {
        Self::with_containers(repository().join("containers"))
    }

    /// None yet, and they are to be made of the files in another directory.
    pub fn with_containers(containers: PathBuf) -> Self {
        let dir = TempDir::new("desktops");
        let settings = Settings {
            data: dir.path().join("data"),
            // Where `lattice serve` has them below its directory for data.
            run: dir.path().join("data/run"),
            supervisor: binary("lattice"),
            agent: binary("lattice-agent"),
            keeper: binary("lattice-keeper"),
            relay: Some(binary("lattice-session")),
            containers,
            limits: Limits { memory: 2 << 30, pids: 600, cpus: None },
            import_allow: Vec::new(),
        };
        Self { dir, settings }
    }

    /// A gateway starts over these directories.
    ///
    /// # Panics
    /// Where this machine cannot make sandboxes.
    pub async fn open(&self) -> Runtime {
        let process = Process::open(self.settings.clone()).await;
        Runtime::Process(process.unwrap_or_else(|error| panic!("open the runtime: {error}")))
    }

    /// The directory that all others are in.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The directory for data.
    pub fn data(&self) -> &Path {
        &self.settings.data
    }

    /// The session that a process is a supervisor of, by its command line.
    fn supervises(&self, pid: u32) -> Option<SessionId> {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        let directory = Path::new(words.get(2).filter(|_| words[1] == "supervise")?.as_ref());
        let is_ours = directory.parent() == Some(&self.settings.run);
        is_ours.then_some(directory.file_name()?.to_str()?.parse().ok()?)
    }

    /// All supervisors that run over these directories, of whichever session.
    pub fn supervisors(&self) -> Vec<(SessionId, u32)> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid| Some((self.supervises(pid)?, pid))).collect()
    }

    /// A session's run directory.
    pub fn run_dir(&self, session: &SessionId) -> PathBuf {
        self.settings.run.join(session.as_str())
    }

    /// The home of a user.
    pub fn home(&self, owner: i64) -> PathBuf {
        self.settings.data.join("homes").join(owner.to_string()).join("home")
    }

    /// What a session's supervisor and parts have said.
    pub fn log(&self, session: &SessionId) -> String {
        fs::read_to_string(self.run_dir(session).join("log")).unwrap_or_default()
    }

    /// The session's supervisor, dead or alive.
    pub fn supervisor(&self, session: &SessionId) -> Option<u32> {
        let text = fs::read_to_string(self.run_dir(session).join("pid")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    /// The session's processes but for the supervisor, by the mark in their environment.
    pub fn processes(&self, session: &SessionId) -> BTreeSet<u32> {
        let mark = format!("LATTICE_SESSION={session}");
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| variables(*pid).contains(&mark)).collect()
    }

    /// The session's process with this name.
    pub fn process(&self, session: &SessionId, name: &str) -> Option<u32> {
        let has_name = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
        };
        self.processes(session).into_iter().find(has_name)
    }

    /// Runs a script as a program of the desktop would: as its user, in its namespaces. Only root can
    /// go there.
    ///
    /// # Panics
    /// Where the desktop is not there.
    pub fn inside(&self, session: &SessionId, script: &str) -> Output {
        let pid =
            until_some("the desktop's session", GENEROUS, || self.process(session, "session"));
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid.to_string(), "--mount", "--uts", "--ipc", "--net", "--pid"]);
        let uid = owner_of(pid);
        command.args(["--setuid", &uid, "--setgid", &uid]);
        command.args(["--", "/bin/bash", "-c", script]).env_clear();
        let variables = variables(pid);
        command.envs(variables.iter().filter_map(|variable| variable.split_once('=')));
        command.current_dir("/").output().expect("nsenter is part of every Debian")
    }

    /// A connection to the session's X server from outside, with its cookie.
    ///
    /// # Panics
    /// Where the server is not there.
    pub fn connect(&self, session: &SessionId) -> RustConnection {
        x::connect_by(self.x_stream(session), &self.cookie(session))
    }

    /// A connection to the session's X server on which nothing was said yet.
    ///
    /// # Panics
    /// Where the server is not there.
    pub fn x_stream(&self, session: &SessionId) -> UnixStream {
        let socket = self.run_dir(session).join("x/X0");
        UnixStream::connect(socket).expect("the X server listens")
    }

    /// The cookie of the session's X server.
    ///
    /// # Panics
    /// Where there is none.
    pub fn cookie(&self, session: &SessionId) -> Vec<u8> {
        let entry = fs::read(self.run_dir(session).join("auth/client")).expect("a cookie file");
        entry[entry.len() - 16..].to_vec()
    }
}

impl Default for Desktops {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Desktops {
    fn drop(&mut self) {
        let entries = fs::read_dir(&self.settings.run).into_iter().flatten().flatten();
        let sessions = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for session in sessions.collect::<Vec<SessionId>>() {
            let alive = self.supervisor(&session).filter(|pid| is_supervisor(*pid, &session));
            alive.into_iter().for_each(|pid| signal(pid, Signal::KILL));
        }
    }
}

/// A pid file may be older than whoever has its number now.
fn is_supervisor(pid: u32, session: &SessionId) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(session.as_str())
}

/// Waits until a session runs, and returns where.
///
/// # Panics
/// Where it ends, or does not start in time.
pub async fn running(runtime: &Runtime, session: &SessionId) -> Address {
    let mut changes = runtime.changes();
    let wait = async {
        loop {
            match state(runtime, session).await {
                Some(InstanceState::Running(address)) => return address,
                Some(InstanceState::Ended { reason }) => panic!("{session} ended: {reason}"),
                Some(InstanceState::Starting | InstanceState::Paused(_)) | None => {}
            }
            changes.changed().await.expect("the runtime is there");
        }
    };
    tokio::time::timeout(GENEROUS, wait).await.expect("it starts in time")
}

/// Waits until a session has ended by itself, and returns why.
///
/// # Panics
/// Where it does not.
pub async fn ended(runtime: &Runtime, session: &SessionId) -> String {
    let mut changes = runtime.changes();
    let wait = async {
        loop {
            if let Some(InstanceState::Ended { reason }) = state(runtime, session).await {
                return reason;
            }
            changes.changed().await.expect("the runtime is there");
        }
    };
    tokio::time::timeout(GENEROUS, wait).await.expect("it ends in time")
}

/// How a session is, if it is listed.
///
/// # Panics
/// Where there is no list.
pub async fn state(runtime: &Runtime, session: &SessionId) -> Option<InstanceState> {
    let list = runtime.list().await.expect("a list");
    list.into_iter().find(|found| found.session == *session).map(|found| found.state)
}

/// The variables that a process was started with.
fn variables(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let variables = bytes.split(|byte| *byte == 0).filter(|variable| !variable.is_empty());
    variables.map(|variable| String::from_utf8_lossy(variable).into_owned()).collect()
}

fn owner_of(pid: u32) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::metadata(format!("/proc/{pid}")).expect("it runs");
    found.uid().to_string()
}
