//! A real `lattice serve`, asked by its API as a program would.

use crate::containers::remove_all;
use crate::desktops::Desktops;
use crate::http::{Response, try_request};
use crate::metrics::Metrics;
use crate::process::{binary, repository, signal};
use crate::share::{address_of, url_in};
use crate::wait::{GENEROUS, until_some};
use lattice_engine::session::SessionId;
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// Further arguments.
    pub args: Vec<&'static str>,
    /// Further environment.
    pub env: Vec<(&'static str, String)>,
    /// Whether it is handed its socket at each start, as by systemd.
    pub handed: bool,
    /// A file of the only authorities that its machine trusts, where that is not what the machine has. For root.
    pub authorities: Option<PathBuf>,
}

/// `lattice serve` over directories of its own, on a port of its own.
#[derive(Debug)]
pub struct Serve {
    options: ServeOptions,
    desktops: Desktops,
    child: Child,
    address: SocketAddr,
    token: String,
    socket: Option<TcpListener>,
}

impl Serve {
    /// Starts it with nothing in its directory, and gets the first administrator's token.
    ///
    /// # Panics
    /// With the program's log where it does not become ready.
    pub fn start() -> Self {
        Self::start_with(ServeOptions::default())
    }

    /// The same, as the options say.
    ///
    /// # Panics
    /// With the program's log where it does not become ready.
    pub fn start_with(options: ServeOptions) -> Self {
        Self::start_over(Desktops::new(), options)
    }

    /// The same, over what is there.
    ///
    /// # Panics
    /// With the program's log where it does not become ready.
    pub fn start_over(desktops: Desktops, options: ServeOptions) -> Self {
        fs::create_dir_all(desktops.data()).expect("a directory");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = options.handed.then(|| {
            let socket = TcpListener::bind(listen).expect("a port");
            // As many wait as at `lattice.socket`: the library's 128 are fewer than a test's viewers,
            // and who finds no room tries again only after a second.
            rustix::net::listen(&socket, 4096).expect("it listens");
            socket
        });
        let (child, address) = launch(&options, &desktops, listen, socket.as_ref());
        let token = admin_token(&desktops, &[]);
        Self { options, desktops, child, address, token, socket }
    }

    /// A token for a program of a user's.
    ///
    /// # Panics
    /// Where there is no such user.
    pub fn token_of(&self, user: &str) -> String {
        admin_token(&self.desktops, &["--user", user])
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first administrator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// All metrics of this moment.
    ///
    /// # Panics
    /// Where they are not to be had.
    pub fn metrics(&self) -> Metrics {
        let answer = self.try_ask("GET", "/metrics", &Value::Null).expect("it answers");
        assert_eq!(answer.status, 200, "/metrics: {}", answer.body);
        Metrics::parse(&answer.body)
    }

    /// The sum of one metric's series with these labels, such as `dir="out"`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        self.metrics().sum(name, labels)
    }

    /// Checks that nothing panicked, by counter and by log.
    ///
    /// # Panics
    /// Where something did.
    pub fn assert_no_panics(&self) {
        assert_eq!(self.metric("lattice_panics_total", &[]), 0.0, "{}", self.log());
        assert!(!self.log().contains("panicked at"), "{}", self.log());
    }

    /// What it runs.
    pub fn desktops(&self) -> &Desktops {
        &self.desktops
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What SQLite finds broken in the database; "ok" where nothing is.
    ///
    /// # Panics
    /// Where it cannot be opened.
    pub fn broken(&self) -> String {
        let file = self.desktops.data().join("lattice.db");
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        let runtime = tokio::runtime::Runtime::new().expect("threads and an epoll");
        runtime.block_on(async {
            let mut database = options.connect().await.expect("it opens");
            let check = sqlx::query_scalar("PRAGMA integrity_check");
            check.fetch_one(&mut database).await.expect("it is checked")
        })
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(log_of(&self.desktops)).unwrap_or_default()
    }

    /// A request of the administrator's; the server may be gone.
    pub fn try_ask(&self, method: &str, path: &str, body: &Value) -> io::Result<Response> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head =
            format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", self.token);
        try_request(self.address, method, path, &head, &body)
    }

    /// Makes a session that is to run.
    pub fn try_create(&self) -> io::Result<SessionId> {
        let answer = self.try_ask("POST", "/api/v1/sessions", &json!({ "template": "desktop" }))?;
        let made: Value = serde_json::from_str(&answer.body)?;
        let id = made["id"].as_str().and_then(|id| id.parse().ok());
        id.ok_or_else(|| io::Error::other(format!("no session was made: {answer:?}")))
    }

    /// All sessions, and how each is.
    ///
    /// # Panics
    /// Where it does not say.
    pub fn sessions(&self) -> BTreeMap<SessionId, (String, String)> {
        let answer = self.try_ask("GET", "/api/v1/sessions", &Value::Null);
        let answer = answer.unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        let list: Value = serde_json::from_str(&answer.body).expect("JSON");
        let text = |session: &Value, name: &str| session[name].as_str().expect(name).to_owned();
        let sessions = list["sessions"].as_array().expect("a list").iter();
        let id = |session| text(session, "id").parse().expect("an id");
        sessions.map(|one| (id(one), (text(one, "state"), text(one, "reason")))).collect()
    }

    /// Starts it again, where it was, once it has ended.
    ///
    /// # Panics
    /// With the program's log where it does not become ready.
    pub fn restart(&mut self) {
        let _ = self.child.wait();
        (self.child, self.address) =
            launch(&self.options, &self.desktops, self.address, self.socket.as_ref());
    }

    /// Asks it to end, as Ctrl-C does, and waits for it.
    pub fn terminate(&mut self) -> ExitStatus {
        signal(self.pid(), Signal::TERM);
        let child = &mut self.child;
        until_some("the server to end", GENEROUS, || child.try_wait().ok().flatten())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        remove_all(self.desktops.data());
        if std::thread::panicking() {
            println!("--- log of lattice serve ---\n{}", self.log());
        }
    }
}

fn log_of(desktops: &Desktops) -> PathBuf {
    desktops.path().join("serve.log")
}

fn lattice(desktops: &Desktops) -> Command {
    prepared(Command::new(binary("lattice")), desktops)
}

/// A shell that becomes the server, and gives it a socket as its third file.
fn lattice_with(socket: &TcpListener, desktops: &Desktops) -> Command {
    // The shell inherits what a process of ours is not meant to, but for this once.
    rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::empty()).expect("it is open");
    let script = r#"export LISTEN_PID=$$ LISTEN_FDS=1
eval "exec \"\$@\" 3<&$SOCKET $([ "$SOCKET" = 3 ] || echo "$SOCKET<&-")""#;
    let mut command = Command::new("/bin/bash");
    command.args(["-c", script, "bash"]).arg(binary("lattice"));
    command.env("SOCKET", socket.as_raw_fd().to_string());
    prepared(command, desktops)
}

/// A shell that becomes the server, where the machine's authorities are others.
fn lattice_trusting(file: &Path, desktops: &Desktops) -> Command {
    let script = r#"mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(file).arg(binary("lattice"));
    prepared(command, desktops)
}

fn prepared(mut command: Command, desktops: &Desktops) -> Command {
    command.env("LATTICE_AGENT", binary("lattice-agent"));
    command.env("LATTICE_CONTAINERS", repository().join("containers"));
    // What the machine's owner has configured is no part of the test.
    let nothing = desktops.path().join("lattice.toml");
    File::create(&nothing).expect("write a configuration");
    command.env("LATTICE_CONFIG", nothing);
    command
}

fn admin_token(desktops: &Desktops, args: &[&str]) -> String {
    let mut command = lattice(desktops);
    command.args(["admin", "token", "--data-dir"]).arg(desktops.data()).args(args);
    let output = command.output().expect("start lattice");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "lattice admin token: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn launch(
    options: &ServeOptions,
    desktops: &Desktops,
    listen: SocketAddr,
    socket: Option<&TcpListener>,
) -> (Child, SocketAddr) {
    let log = File::options().create(true).append(true).open(log_of(desktops));
    let mut command = match socket {
        Some(socket) => lattice_with(socket, desktops),
        None => match &options.authorities {
            Some(file) => lattice_trusting(file, desktops),
            None => lattice(desktops),
        },
    };
    command.args(["serve", "--data-dir"]).arg(desktops.data());
    if socket.is_none() {
        command.args(["--listen", &listen.to_string()]);
    }
    // What is best here is not what a test is about.
    if !options.args.contains(&"--runtime") {
        command.args(["--runtime", "process"]);
    }
    command.args(&options.args).envs(options.env.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.expect("open a log file"));
    let mut child = command.spawn().expect("start lattice");
    let lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
    match url_in(lines) {
        Some(url) => (child, address_of(&url)),
        None => {
            let _ = child.kill();
            let log = fs::read_to_string(log_of(desktops)).unwrap_or_default();
            panic!("lattice serve did not become ready: {:?}\n{log}", child.wait());
        }
    }
}
