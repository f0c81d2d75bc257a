//! Desktops of the docker runtime: a real broker over the engine of this machine, with directories of
//! its own for each test.

use crate::process::{binary, repository, signal};
use crate::wait::{GENEROUS, until_some};
use crate::x;
use crate::xserver::TempDir;
use lattice_engine::session::SessionId;
use lattice_gateway::runtime::{Docker, Runtime};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use x11rb::rust_connection::RustConnection;

/// A machine's worth of desktops made of containers. What is left when it is dropped is removed.
#[derive(Debug)]
pub struct Containers {
    dir: TempDir,
    options: Vec<String>,
    broker: Child,
}

impl Containers {
    /// None yet.
    ///
    /// # Panics
    /// Where no engine answers, or the broker does not come up.
    pub fn new() -> Self {
        Self::with_options(&[])
    }

    /// None yet, and the broker has further options.
    ///
    /// # Panics
    /// The same.
    pub fn with_options(options: &[&str]) -> Self {
        Self::in_directory(TempDir::new("containers"), options)
    }

    /// None yet, of templates that are there beside those of Lattice.
    ///
    /// # Panics
    /// The same.
    pub fn with_templates(templates: &[&str]) -> Self {
        let dir = TempDir::new("containers");
        let all = dir.path().join("templates");
        fs::create_dir(&all).expect("a directory of ours");
        for entry in fs::read_dir(repository().join("containers/templates")).expect("there") {
            let path = entry.expect("there").path();
            fs::copy(&path, all.join(path.file_name().expect("a name"))).expect("copied");
        }
        for text in templates {
            let name = text.lines().next().and_then(|line| line.strip_prefix("name: "));
            let name = name.expect("a template begins with its name");
            fs::write(all.join(format!("{name}.yaml")), text).expect("written");
        }
        Self::in_directory(dir, &[])
    }

    /// None yet, in a directory that may hold something already; templates, for one.
    ///
    /// # Panics
    /// The same.
    pub fn in_directory(dir: TempDir, options: &[&str]) -> Self {
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let broker = launch(dir.path(), &options);
        Self { dir, options, broker }
    }

    /// A gateway starts.
    pub fn open(&self) -> Runtime {
        Runtime::Docker(Docker::open(self.run().join("broker.sock")))
    }

    /// The directory that all others are in.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where sessions have their directories.
    pub fn run(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// The home of a user.
    pub fn home(&self, owner: i64) -> PathBuf {
        self.dir.path().join("data/homes").join(owner.to_string()).join("home")
    }

    /// Where the engine has a volume of a user, as `home` or `data`.
    ///
    /// # Panics
    /// Where there is none.
    pub fn mount_point(&self, owner: i64, what: &str) -> PathBuf {
        let installation = fs::read_to_string(self.dir.path().join("data/installation"));
        let installation = installation.expect("a broker has run");
        let name = format!("lattice-{}-{owner}-{what}", installation.trim());
        docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", &name]).into()
    }

    /// The broker's process.
    pub fn broker(&self) -> u32 {
        self.broker.id()
    }

    /// Kills the broker, and starts another over the same directories.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn restart_broker(&mut self) {
        signal(self.broker.id(), Signal::KILL);
        self.broker.wait().expect("it is ours");
        self.broker = launch(self.dir.path(), &self.options);
    }

    /// The same, and something is done while there is none.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn restart_broker_after(&mut self, meanwhile: impl FnOnce()) {
        signal(self.broker.id(), Signal::KILL);
        self.broker.wait().expect("it is ours");
        meanwhile();
        self.broker = launch(self.dir.path(), &self.options);
    }

    /// The same, and the next has other options.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn restart_broker_with(&mut self, options: &[&str]) {
        self.options = options.iter().map(|option| (*option).to_owned()).collect();
        self.restart_broker();
    }

    /// The names of all volumes of ours.
    pub fn volumes(&self) -> Vec<String> {
        volumes(&self.dir.path().join("data"))
    }

    /// What the broker has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("broker.log")).unwrap_or_default()
    }

    /// The names of all containers of ours, also of those that have ended.
    pub fn names(&self) -> Vec<String> {
        names(&self.dir.path().join("data"))
    }

    /// Those of one session.
    pub fn of(&self, session: &SessionId) -> Vec<String> {
        let label = format!("label=io.lattice.session={session}");
        let names = docker(&["ps", "--all", "--filter", &label, "--format", "{{.Names}}"]);
        names.lines().map(str::to_owned).collect()
    }

    /// What the engine knows of one part of a desktop.
    ///
    /// # Panics
    /// Where there is none.
    pub fn inspect(&self, session: &SessionId, part: &str) -> Value {
        let text = docker(&["inspect", &name(session, part)]);
        let mut all: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        all.remove(0)
    }

    /// Runs a script in one part of a desktop, as a program there would.
    ///
    /// # Panics
    /// Where the part is not there.
    pub fn inside(&self, session: &SessionId, part: &str, script: &str) -> Output {
        let mut command = Command::new("docker");
        command.args(["exec", &name(session, part), "/bin/bash", "-c", script]);
        command.output().expect("docker is there")
    }

    /// What a script prints there, whether it succeeds or not.
    pub fn ask(&self, session: &SessionId, part: &str, script: &str) -> String {
        let output = self.inside(session, part, script);
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).trim().to_owned()
    }

    /// Kills one part of a desktop.
    ///
    /// # Panics
    /// Where it is not there.
    pub fn kill(&self, session: &SessionId, part: &str) {
        docker(&["kill", &name(session, part)]);
    }
}

impl Default for Containers {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        signal(self.broker.id(), Signal::TERM);
        let _ = self.broker.wait();
        remove_all(&self.dir.path().join("data"));
    }
}

/// The names of all containers that were made for the Lattice with this directory for data.
pub fn names(data: &Path) -> Vec<String> {
    listed(data, &["ps", "--all"], "{{.Names}}")
}

/// What the engine lists of that which was made for the Lattice with this directory for data.
fn listed(data: &Path, list: &[&str], format: &str) -> Vec<String> {
    let Ok(installation) = fs::read_to_string(data.join("installation")) else {
        return Vec::new();
    };
    let filter = format!("label=io.lattice.installation={}", installation.trim());
    let names = docker(&[list, &["--filter", &filter, "--format", format]].concat());
    names.lines().map(str::to_owned).collect()
}

/// How many displays are ready ahead of time for the Lattice with this directory for data: frozen X
/// servers that are nobody's.
pub fn slots(data: &Path) -> usize {
    let ours = names(data);
    let paused = docker(&["ps", "--filter", "status=paused", "--format", "{{.Names}}"]);
    let is_slot = |name: &&str| {
        let session = name.strip_suffix("-xorg");
        let desktop = session.map(|session| format!("{session}-desktop"));
        ours.iter().any(|ours| ours == name) && desktop.is_some_and(|name| !ours.contains(&name))
    };
    paused.lines().filter(is_slot).count()
}

/// The cookie of the X server of the session with this directory.
pub fn cookie(place: &Path) -> Option<Vec<u8>> {
    let entry = fs::read(place.join("auth/client")).ok()?;
    Some(entry.get(entry.len().checked_sub(16)?..)?.to_vec())
}

/// The X server of the session with this directory, where it answers already.
pub fn display(place: &Path) -> Option<RustConnection> {
    let stream = UnixStream::connect(place.join("x/X0")).ok()?;
    x::try_connect_by(stream, &cookie(place)?).ok()
}

/// The names of all volumes that were made for it.
pub fn volumes(data: &Path) -> Vec<String> {
    listed(data, &["volume", "ls"], "{{.Name}}")
}

/// The names of all networks that were made for it.
pub fn networks(data: &Path) -> Vec<String> {
    listed(data, &["network", "ls"], "{{.Name}}")
}

/// Removes all containers, networks and volumes that were made for the Lattice with this directory for data.
pub fn remove_all(data: &Path) {
    let names = names(data);
    if !names.is_empty() {
        let mut command = Command::new("docker");
        let _ = command.args(["rm", "--force", "--volumes"]).args(names).output();
    }
    let networks = networks(data);
    if !networks.is_empty() {
        let _ = Command::new("docker").args(["network", "rm"]).args(networks).output();
    }
    let volumes = volumes(data);
    if !volumes.is_empty() {
        let _ = Command::new("docker").args(["volume", "rm"]).args(volumes).output();
    }
}

/// The name of one part of a desktop, as the engine knows it.
pub fn name(session: &SessionId, part: &str) -> String {
    format!("lattice-{session}-{part}")
}

/// Has the engine's command do something, and returns what it printed.
///
/// # Panics
/// Where it fails.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output();
    let output = output.expect("docker is installed: deploy/install-packages containers");
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn launch(dir: &Path, options: &[String]) -> Child {
    let socket = dir.join("run/broker.sock");
    let _ = fs::remove_file(&socket);
    let log = File::options().create(true).append(true).open(dir.join("broker.log"));
    let log = log.expect("a file of ours");
    let mut command = Command::new(binary("lattice"));
    command.arg("broker");
    for (option, path) in [("--run-dir", "run"), ("--data-dir", "data")] {
        command.arg(option).arg(dir.join(path));
    }
    let own = dir.join("templates");
    let templates = if own.exists() { own } else { repository().join("containers/templates") };
    command.arg("--templates").arg(templates).args(options);
    let mut broker = command.stdin(Stdio::null()).stderr(log).spawn().expect("it starts");
    until_some("the broker to listen", GENEROUS, || {
        let ended = broker.try_wait().expect("it is ours");
        let said = || fs::read_to_string(dir.join("broker.log")).unwrap_or_default();
        assert!(ended.is_none(), "the broker ended: {}", said());
        // It is there a moment before anybody listens at it.
        UnixStream::connect(&socket).is_ok().then_some(())
    });
    broker
}
