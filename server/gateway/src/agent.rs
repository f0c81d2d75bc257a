//! The agent of the shared display: a child process that is started again when it stops, or one
//! that runs elsewhere and is connected to again.
//!
//! The child hangs on a pipe that only this process holds: however this process ends, the child
//! reads the pipe's end and goes. It has a process group of its own, so that Ctrl-C ends it by us
//! and in order.

use crate::auth::Token;
use crate::hub::agent_link::{self, LinkError};
use crate::hub::{AgentEvent, Hub};
use anyhow::Context as _;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An agent that ran so long did not fail by starting.
const SETTLED: Duration = Duration::from_secs(10);
/// How long a fresh agent may take to listen, and a dismissed one to go.
const START_PATIENCE: Duration = Duration::from_secs(10);
const STOP_PATIENCE: Duration = Duration::from_secs(2);
const EXIT_PATIENCE: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(10);
/// Pictures are to be given back to the system when they are freed. glibc stops doing that for
/// blocks up to the largest one it has seen freed, and keeps them in a heap with holes; a threshold
/// that is set stays. See mallopt(3), `M_MMAP_THRESHOLD`.
const ALLOCATOR: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=1048576");

/// Which agent.
#[derive(Debug)]
pub enum Source {
    /// A child of ours for this display.
    Child(ChildSpec),
    /// One that listens already.
    Socket {
        /// Where.
        path: PathBuf,
        /// Its token.
        token: Token,
    },
}

impl Source {
    /// Whether an agent that failed so before it ever worked would always do.
    fn is_hopeless(&self, reason: &anyhow::Error) -> bool {
        match (self, reason.downcast_ref::<LinkError>()) {
            (_, Some(LinkError::Version(_))) => true,
            // One that runs elsewhere may be about to be replaced.
            (Self::Child(_), Some(LinkError::Refused)) => true,
            // One that was killed has no status of its own.
            _ => reason.downcast_ref::<Exited>().is_some_and(|exited| exited.0.code().is_some()),
        }
    }
}

/// The agent's process ended.
#[derive(Debug, thiserror::Error)]
#[error("the agent ended with {0}")]
struct Exited(ExitStatus);

/// How to start the agent.
#[derive(Debug)]
pub struct ChildSpec {
    /// The program.
    pub program: PathBuf,
    /// The display.
    pub display: String,
    /// Whether viewers may resize it.
    pub allow_resize: bool,
    /// The name it is to have.
    pub name: Option<String>,
    /// Where its socket goes.
    pub directory: PrivateDir,
}

/// Finds `lattice-agent`: where `LATTICE_AGENT` says, beside this program, or on the path.
pub fn find_program() -> anyhow::Result<PathBuf> {
    find_beside("lattice-agent", "LATTICE_AGENT")
}

/// A program of ours: where the variable says, beside this one, or on PATH.
pub(crate) fn find_beside(name: &str, variable: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        let path = PathBuf::from(path);
        anyhow::ensure!(path.is_file(), "{variable} names {}, which is no file", path.display());
        return Ok(path);
    }
    let own = std::env::current_exe().context("find out where this program is")?;
    let beside = own.with_file_name(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join(name));
    std::iter::once(beside.clone()).chain(on_path).find(|path| path.is_file()).with_context(|| {
        format!(
            "{name} is neither at {} nor on PATH; install it there or name it in {variable}",
            beside.display()
        )
    })
}

/// Keeps an agent linked to the hub until told to stop; then ends it where it is a child.
///
/// `pid` shows the child while there is one. Only an agent that has never worked and never can is an
/// error: any other is tried again.
pub async fn run(
    source: Source,
    hub: &Hub,
    pid: &watch::Sender<Option<u32>>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let events = hub.agent();
    let mut pause = FIRST_PAUSE;
    let mut greeted = false;
    while !*stop.borrow() {
        let started = Instant::now();
        let reason = match &source {
            Source::Socket { path, token } => {
                let link = connect_and_run(path, token, &events, &mut greeted);
                tokio::select! {
                    error = link => error.context(format!("the agent at {}", path.display())),
                    _ = stop.wait_for(|stop| *stop) => break,
                }
            }
            Source::Child(spec) => match spec.start().await {
                Ok(child) => {
                    pid.send_replace(child.process.id());
                    let reason = child.run(spec, &events, &mut greeted, &mut stop).await;
                    pid.send_replace(None);
                    reason
                }
                Err(error) if !greeted => return Err(error),
                Err(error) => error,
            },
        };
        if *stop.borrow() {
            break;
        }
        if !greeted && source.is_hopeless(&reason) {
            return Err(reason.context("the agent cannot work; what it wrote says more"));
        }
        if started.elapsed() >= SETTLED {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(reason = %format!("{reason:#}"), "the agent is lost; starting it again");
        let told = match &source {
            Source::Child(_) => "the desktop's agent stopped; starting it again",
            Source::Socket { .. } => "the desktop's agent is away; connecting to it again",
        };
        let _ = events.send(AgentEvent::Down(told.into())).await;
        tokio::select! {
            () = sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

async fn connect_and_run(
    path: &Path,
    token: &Token,
    events: &mpsc::Sender<AgentEvent>,
    greeted: &mut bool,
) -> anyhow::Error {
    match UnixStream::connect(path).await {
        Ok(stream) => agent_link::run(stream, token, events, greeted).await.into(),
        Err(error) => anyhow::Error::new(error).context("connect to its socket"),
    }
}

/// A started agent.
struct Running {
    process: Child,
    /// The pipe it hangs on. Held apart: waiting for a child closes the pipe that it still has.
    lifeline: Option<ChildStdin>,
    socket: PathBuf,
    token: Token,
}

impl ChildSpec {
    async fn start(&self) -> anyhow::Result<Running> {
        let socket = self.directory.path.join("agent");
        // The socket of one that was killed would take connections from nobody.
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context(format!("remove the old socket {}", socket.display()));
            }
            Ok(()) | Err(_) => {}
        }
        let token = Token::fresh()?;
        let mut process = Command::new(&self.program)
            .args(self.arguments(&socket))
            .env("LATTICE_AGENT_TOKEN", token.expose())
            .envs(std::env::var_os(ALLOCATOR.0).is_none().then_some(ALLOCATOR))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start the agent {}", self.program.display()))?;
        let lifeline = process.stdin.take();
        Ok(Running { process, lifeline, socket, token })
    }

    fn arguments(&self, socket: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["--display".into(), self.display.clone().into()];
        arguments.extend(["--listen".into(), socket.into()]);
        if self.allow_resize {
            arguments.push("--allow-resize".into());
        }
        if let Some(name) = &self.name {
            arguments.extend(["--name".into(), name.into()]);
        }
        arguments.push("--exit-on-eof".into());
        arguments
    }
}

impl Running {
    /// Links it to the hub until it, the link or the gateway ends; then ends the process.
    async fn run(
        mut self,
        spec: &ChildSpec,
        events: &mpsc::Sender<AgentEvent>,
        greeted: &mut bool,
        stop: &mut watch::Receiver<bool>,
    ) -> anyhow::Error {
        let Self { process, socket, token, lifeline: _ } = &mut self;
        let link = async {
            let stream = connect(socket).await.with_context(|| {
                let seconds = START_PATIENCE.as_secs();
                format!("{} did not listen within {seconds} s", spec.program.display())
            })?;
            Err::<(), _>(agent_link::run(stream, token, events, greeted).await.into())
        };
        let reason = tokio::select! {
            ended = process.wait() => exited(ended),
            ended = link => ended.err().unwrap_or_else(|| LinkError::GivenUp.into()),
            _ = stop.wait_for(|stop| *stop) => anyhow::anyhow!("the gateway ends"),
        };
        // A process that dies closes its link first, and how it died says more than that.
        let reason = match timeout(EXIT_PATIENCE, process.wait()).await {
            Ok(ended) if reason.is::<LinkError>() => exited(ended),
            Ok(_) | Err(_) => reason,
        };
        self.end().await;
        reason
    }

    /// Closes its pipe, and kills it where it does not go by itself.
    async fn end(mut self) {
        drop(self.lifeline.take());
        if timeout(STOP_PATIENCE, self.process.wait()).await.is_err() {
            tracing::warn!("the agent did not end by itself and is killed");
            let _ = self.process.kill().await;
        }
    }
}

fn exited(ended: io::Result<ExitStatus>) -> anyhow::Error {
    match ended {
        Ok(status) => Exited(status).into(),
        Err(error) => anyhow::Error::new(error).context("wait for the agent"),
    }
}

/// Connects once the agent listens.
async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let started = Instant::now();
    loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) if started.elapsed() >= START_PATIENCE => return Err(error),
            Err(_) => sleep(POLL).await,
        }
    }
}

/// A directory that only this user can enter; removed when dropped.
#[derive(Debug)]
pub struct PrivateDir {
    path: PathBuf,
}

const PREFIX: &str = "lattice-share-";

impl PrivateDir {
    /// Makes one, named after this process, and removes those of processes that were killed.
    pub fn create() -> anyhow::Result<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self::create_in_first(runtime, std::env::temp_dir())
    }

    /// The runtime directory may be another user's, after `su` for instance.
    fn create_in_first(runtime: Option<PathBuf>, temporary: PathBuf) -> anyhow::Result<Self> {
        if let Some(Ok(made)) =
            runtime.filter(|dir| dir.is_absolute()).map(|dir| Self::create_in(&dir))
        {
            return Ok(made);
        }
        Self::create_in(&temporary)
            .context("make a private directory; name a writable one in XDG_RUNTIME_DIR or TMPDIR")
    }

    fn create_in(base: &Path) -> anyhow::Result<Self> {
        sweep(base);
        let mut salt = [0; 8];
        getrandom::fill(&mut salt).context("get random bytes from the system")?;
        let name = format!("{PREFIX}{}-{:016x}", std::process::id(), u64::from_le_bytes(salt));
        let path = base.join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("create the directory {}", path.display()))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn sweep(base: &Path) {
    let own = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(owner) else { continue };
        let dead = !Path::new("/proc").join(pid.to_string()).exists();
        if dead && entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == own) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that a directory of this name belongs to.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_directory_is_private_and_goes_when_dropped() {
        let dir = PrivateDir::create().expect("a directory");
        let path = dir.path().to_owned();
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(
            owner(&path.file_name().expect("a name").to_string_lossy()),
            Some(std::process::id())
        );
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_runtime_directory_that_cannot_be_written_to_is_passed_over() {
        let temporary = tempfile::tempdir().expect("a directory");
        // Even root cannot make a directory in a file.
        let file = temporary.path().join("file");
        std::fs::write(&file, "").expect("written");
        for unusable in [None, Some(file.clone()), Some(PathBuf::new())] {
            let made = PrivateDir::create_in_first(unusable, temporary.path().to_owned());
            let made = made.expect("a directory");
            assert_eq!(made.path().parent(), Some(temporary.path()));
        }
        let error = PrivateDir::create_in_first(None, file).expect_err("nowhere to make it");
        assert!(error.to_string().contains("XDG_RUNTIME_DIR"), "{error:#}");
    }

    #[test]
    fn directories_of_the_dead_are_swept_and_others_left() {
        let base = tempfile::tempdir().expect("a directory");
        let make = |name: String| {
            let path = base.path().join(name);
            std::fs::create_dir(&path).expect("made");
            path
        };
        let dead = make(format!("{PREFIX}4294967290-0"));
        let alive = make(format!("{PREFIX}{}-0", std::process::id()));
        let other = make("lattice-share-notes".into());
        sweep(base.path());
        assert!(!dead.exists() && alive.exists() && other.exists());
    }

    async fn run_once(source: Source) -> String {
        let (hub, _task) =
            Hub::spawn(crate::hub::Settings { name: None, max_viewers: 1, encoders: 0 });
        let (pid, _) = watch::channel(None);
        let (_stop, stopped) = watch::channel(false);
        let ran = timeout(START_PATIENCE, run(source, &hub, &pid, stopped)).await;
        format!("{:#}", ran.expect("it ends").expect_err("it cannot work"))
    }

    #[tokio::test]
    async fn an_agent_that_does_not_understand_its_command_line_is_not_started_again() {
        let error = run_once(Source::Child(ChildSpec {
            program: "/bin/false".into(),
            display: ":7".into(),
            allow_resize: false,
            name: None,
            directory: PrivateDir::create().expect("a directory"),
        }));
        let error = error.await;
        assert!(error.contains("the agent ended with exit status: 1"), "{error}");
    }

    #[tokio::test]
    async fn an_agent_of_another_release_ends_the_gateway() {
        use lattice_wire::{AgentHello, Size};
        use tokio::io::AsyncWriteExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("agent");
        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        let limits = (Size::new(1, 1), Size::new(1, 1));
        let hello = AgentHello { version: 99, limits, name: String::new() }.encode();
        let agent = async {
            let (mut stream, _) = listener.accept().await.expect("a link");
            stream.write_u32_le(hello.len() as u32).await.expect("sent");
            stream.write_all(&hello).await.expect("sent");
            stream
        };
        let token = Token::fresh().expect("random bytes");
        let (error, _stream) = tokio::join!(run_once(Source::Socket { path, token }), agent);
        assert!(error.contains("protocol version 99"), "{error}");
    }

    #[test]
    fn the_agent_is_told_what_it_needs() {
        let spec = ChildSpec {
            program: "lattice-agent".into(),
            display: ":7".into(),
            allow_resize: true,
            name: Some("Maths".into()),
            directory: PrivateDir::create().expect("a directory"),
        };
        let words = ["--display", ":7", "--listen", "/s", "--allow-resize", "--name", "Maths"];
        let mut expected: Vec<OsString> = words.map(OsString::from).into();
        expected.push("--exit-on-eof".into());
        assert_eq!(spec.arguments(Path::new("/s")), expected);
    }
}
