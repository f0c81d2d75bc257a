//! A real `lattice share`.

use crate::http::{Response, request, try_request};
use crate::metrics::Metrics;
use crate::process::{binary, child_named, is_running, signal};
use crate::wait::{GENEROUS, eventually, until_some};
use crate::xserver::{TempDir, XServer, random};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;

/// How a share is started.
#[derive(Debug, Clone, Default)]
pub struct ShareOptions {
    /// Further arguments, such as `--allow-resize`.
    pub args: Vec<&'static str>,
    /// Further environment.
    pub env: Vec<(&'static str, String)>,
}

/// `lattice share` of one display, on a port of its own.
#[derive(Debug)]
pub struct Share {
    options: ShareOptions,
    display: String,
    xauthority: PathBuf,
    dir: TempDir,
    child: Child,
    url: String,
    address: SocketAddr,
    token: String,
}

impl Share {
    /// Shares a server's display.
    pub fn start(server: &XServer) -> Self {
        Self::start_with(server, ShareOptions::default())
    }

    /// The same, and it may be resized by viewers.
    pub fn resizable(server: &XServer) -> Self {
        Self::start_with(server, ShareOptions { args: vec!["--allow-resize"], env: vec![] })
    }

    /// The same, as the options say.
    ///
    /// # Panics
    /// With the program's log where it does not become ready.
    pub fn start_with(server: &XServer, options: ShareOptions) -> Self {
        let dir = TempDir::new("share");
        let token: String = random::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        write_secret(&dir.path().join("token"), &token);
        let (display, xauthority) = (server.display(), server.xauthority());
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let (child, url) = launch(&options, &display, &xauthority, &dir, listen);
        let address = address_of(&url);
        let token = url.split_once('#').map_or(token, |(_, token)| token.to_owned());
        Self { options, display, xauthority, dir, child, url, address, token }
    }

    /// The URL that was printed, secret included.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The secret.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The gateway's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The agent's process, which must be there.
    pub fn agent(&self) -> u32 {
        until_some("the agent to run", GENEROUS, || child_named(self.pid(), "lattice-agent"))
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// A request with the secret as bearer.
    pub fn get(&self, path: &str) -> Response {
        request(self.address, "GET", path, &self.bearer(), "")
    }

    /// The header field with the secret.
    pub fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token)
    }

    /// All metrics of this moment.
    ///
    /// # Panics
    /// Where they are not to be had.
    pub fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "/metrics: {}", answer.body);
        Metrics::parse(&answer.body)
    }

    /// The sum of one metric's series with these labels, such as `dir="out"`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        self.metrics().sum(name, labels)
    }

    /// The same once it rests: the agent reports its numbers at most once a second.
    ///
    /// # Panics
    /// Where it never does.
    pub fn settled(&self, name: &str) -> f64 {
        let mut last = self.metric(name, &[]);
        eventually("the counters to rest", || {
            std::thread::sleep(std::time::Duration::from_millis(1300));
            let now = self.metric(name, &[]);
            std::mem::replace(&mut last, now) == now
        });
        last
    }

    /// Waits until nobody looks any more.
    ///
    /// # Panics
    /// Where somebody goes on looking.
    pub fn wait_nobody(&self) {
        eventually("nobody to look", || self.metric("lattice_viewers", &[]) == 0.0);
    }

    /// Checks that nothing panicked, by counter and by log.
    ///
    /// # Panics
    /// Where something did.
    pub fn assert_no_panics(&self) {
        assert_eq!(self.metric("lattice_panics_total", &[]), 0.0, "{}", self.log());
        assert!(!self.log().contains("panicked at"), "{}", self.log());
    }

    /// Ends the gateway as a crash would.
    pub fn kill(&mut self) {
        signal(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }

    /// Asks it to end, as Ctrl-C does, and waits for it.
    pub fn terminate(&mut self) -> ExitStatus {
        signal(self.pid(), Signal::TERM);
        let child = &mut self.child;
        until_some("the gateway to end", GENEROUS, || child.try_wait().ok().flatten())
    }

    /// Starts it again at the same address with the same secret.
    ///
    /// # Panics
    /// Where it does not become ready, or its URL is another one.
    pub fn restart(&mut self) {
        let (child, url) =
            launch(&self.options, &self.display, &self.xauthority, &self.dir, self.address);
        self.child = child;
        assert_eq!(url, self.url, "a restart with the same token file keeps the URL");
    }

    /// Whether it answers on `/readyz`.
    pub fn is_ready(&self) -> bool {
        try_request(self.address, "GET", "/readyz", "", "").is_ok_and(|answer| answer.status == 200)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let agent = child_named(self.pid(), "lattice-agent");
        signal(self.pid(), Signal::TERM);
        let deadline = std::time::Instant::now() + GENEROUS;
        while matches!(self.child.try_wait(), Ok(None)) && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        self.kill();
        let orphan = agent.filter(|&pid| is_running(pid));
        if let Some(pid) = orphan
            && !std::thread::panicking()
        {
            eventually("the agent to end after its gateway", || !is_running(pid));
        }
        if std::thread::panicking() {
            println!("--- log of lattice share ---\n{}", self.log());
        }
    }
}

fn write_secret(path: &Path, secret: &str) {
    let mut options = File::options();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(secret.as_bytes())).expect("write a token file");
}

fn launch(
    options: &ShareOptions,
    display: &str,
    xauthority: &Path,
    dir: &TempDir,
    listen: SocketAddr,
) -> (Child, String) {
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.path().join("log"))
        .expect("open a log file");
    let mut command = Command::new(binary("lattice"));
    command.args(["share", "--display", display, "--listen", &listen.to_string()]);
    command.arg("--token-file").arg(dir.path().join("token"));
    command.args(&options.args).env("XAUTHORITY", xauthority).env_remove("DISPLAY");
    command.env("LATTICE_AGENT", binary("lattice-agent"));
    command.envs(options.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().expect("start lattice");
    let lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
    match url_in(lines) {
        Some(url) => (child, url),
        None => {
            let _ = child.kill();
            let log = fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            panic!("lattice share did not become ready: {:?}\n{log}", child.wait());
        }
    }
}

/// The URL of the line that says so, read by a thread that then keeps the pipe empty.
pub(crate) fn url_in(
    lines: impl Iterator<Item = std::io::Result<String>> + Send + 'static,
) -> Option<String> {
    let (found, wait) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(url) = line.strip_prefix("Lattice is ready: ") {
                let _ = found.send(url.trim().to_owned());
            }
        }
    });
    wait.recv_timeout(GENEROUS).ok()
}

pub(crate) fn address_of(url: &str) -> SocketAddr {
    let address = url.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    address
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("the printed URL {url} names no address"))
}
