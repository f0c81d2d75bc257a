//! `lattice share`: one existing X display in the browser.
//!
//! Builds the parts, prints the address once there is something to open, and on a signal takes them
//! down in order: viewers are told to come back, then the agent ends, then this process.

use crate::accept::{self, Drain};
use crate::agent::{self, ChildSpec, PrivateDir, Source};
use crate::auth::{Door, Token};
use crate::cli::{self, ShareArgs, Switch};
use crate::http::origin::Sites;
use crate::http::{self, App};
use crate::hub::{Hub, Settings, Status};
use crate::telemetry::Metrics;
use anyhow::{Context as _, bail};
use lattice_wire::Availability;
use lattice_wire::picture::MAX_STREAMS;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// How many ports after a taken one are tried.
const PORTS_TRIED: u16 = 100;
/// How long connections may take to end.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);
/// How long the first word about the display may take before the address is printed anyway.
const READY_PATIENCE: Duration = Duration::from_secs(5);
const UPKEEP: Duration = Duration::from_secs(5);

/// Runs until a signal or until something fails that cannot be started again.
pub async fn run(args: ShareArgs) -> anyhow::Result<()> {
    if let Some((name, nearest)) = cli::misspelt(variables()) {
        bail!("{name} sets nothing; did you mean {nearest}?");
    }
    let mut signals = Signals::new()?;
    let token = match &args.token_file {
        Some(path) => Token::from_file(path)?,
        None => Token::fresh()?,
    };
    let source = source(&args)?;
    let private = match &source {
        Source::Child(spec) => Some(spec.directory.path().to_owned()),
        Source::Socket { .. } => None,
    };
    let listener = listen(args.listen.as_deref()).await?;
    let mut server = Server::start(&args, source, &token, listener)?;
    let end = tokio::select! {
        end = server.serve(&args, &token) => end,
        () = signals.next() => Ok(()),
    };
    tracing::info!("ending; a second signal ends at once");
    tokio::select! {
        () = server.end() => end,
        () = signals.next() => {
            if let Some(path) = private {
                let _ = std::fs::remove_dir_all(path);
            }
            std::process::exit(130);
        }
    }
}

/// Everything that runs.
struct Server {
    address: SocketAddr,
    drain: Drain,
    hub: JoinHandle<()>,
    agent: JoinHandle<anyhow::Result<()>>,
    stop_agent: watch::Sender<bool>,
    status: watch::Receiver<Status>,
    metrics: Metrics,
}

impl Server {
    fn start(
        args: &ShareArgs,
        source: Source,
        token: &Token,
        listener: TcpListener,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("find out the address listened on")?;
        let metrics = Metrics::install();
        let settings = Settings {
            name: args.name.clone(),
            max_viewers: usize::from(args.max_viewers),
            encoders: encoders(args.h264),
        };
        let (hub, hub_task) = Hub::spawn(settings);
        let status = hub.status();
        let (pid, agent_pid) = watch::channel(None);
        let (stop_agent, stopped) = watch::channel(false);
        let drain = Drain::default();
        let app = App {
            hub: hub.clone(),
            door: Door::new(token, address.port()),
            sites: Sites::new(address.port(), &own_names(address), &args.public_url)?,
            metrics: metrics.clone(),
            agent: agent_pid,
        };
        let agent = tokio::spawn(async move { agent::run(source, &hub, &pid, stopped).await });
        let router = http::router(Arc::new(app));
        let connections = usize::from(args.max_connections);
        tokio::spawn(accept::serve(listener, router, drain.guard(), connections));
        Ok(Self { address, drain, hub: hub_task, agent, stop_agent, status, metrics })
    }

    /// Prints the address once there is something behind it, and waits for what must not happen.
    async fn serve(&mut self, args: &ShareArgs, token: &Token) -> anyhow::Result<()> {
        let mut upkeep = interval(UPKEEP);
        let mut status = self.status.clone();
        let announce = announce(&mut status, args, self.address, token);
        tokio::pin!(announce);
        let mut announced = false;
        loop {
            tokio::select! {
                done = &mut announce, if !announced => {
                    done?;
                    announced = true;
                }
                ended = &mut self.agent => {
                    return ended.context("look after the agent")?.and(
                        Err(anyhow::anyhow!("nobody looks after the agent any more")));
                }
                ended = &mut self.hub => {
                    return ended.context("run the session").and(
                        Err(anyhow::anyhow!("the session ended")));
                }
                _ = upkeep.tick() => self.metrics.upkeep(),
            }
        }
    }

    async fn end(self) {
        if !self.drain.close(DRAIN_PATIENCE).await {
            tracing::warn!("some connections did not end in time and are cut");
        }
        self.stop_agent.send_replace(true);
        if !self.agent.is_finished() {
            let _ = self.agent.await;
        }
    }
}

async fn announce(
    status: &mut watch::Receiver<Status>,
    args: &ShareArgs,
    address: SocketAddr,
    token: &Token,
) -> anyhow::Result<()> {
    let known = status.wait_for(|status| status.display.is_some());
    let lost = match timeout(READY_PATIENCE, known).await {
        Ok(Ok(status)) if status.display == Some(Availability::Live) => None,
        Ok(Ok(status)) => Some(status.reason.clone()),
        Ok(Err(_)) | Err(_) => Some("its agent has not said anything yet".into()),
    };
    if let Some(reason) = lost {
        let display = args.display.as_deref().unwrap_or("of the agent");
        let mut stderr = io::stderr();
        writeln!(stderr, "display {display} does not answer: {reason}; waiting for it")?;
    }
    if !address.ip().is_loopback() {
        tracing::warn!(
            "plain HTTP beyond this machine is not encrypted, and browsers withhold the clipboard \
             and keyboard lock there; put a TLS proxy in front and name it with --public-url"
        );
    }
    let base = match args.public_url.first() {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", reachable(address)),
    };
    let mut stdout = io::stdout();
    writeln!(stdout, "Lattice is ready: {base}/d/{}#{}", http::SESSION, token.expose())?;
    stdout.flush().context("print the address")
}

/// An encoder keeps a core busy, and one desktop has all of them.
fn encoders(h264: Switch) -> u8 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    match h264 {
        Switch::On => u8::try_from(cores).unwrap_or(u8::MAX).min(MAX_STREAMS),
        Switch::Off => 0,
    }
}

fn source(args: &ShareArgs) -> anyhow::Result<Source> {
    if let Some(path) = &args.agent_socket {
        return external(path);
    }
    let display = args.display.clone().context("name the display with --display :N")?;
    Ok(Source::Child(ChildSpec {
        program: agent::find_program()?,
        display,
        allow_resize: args.allow_resize,
        name: args.name.clone(),
        directory: PrivateDir::create()?,
    }))
}

fn external(path: &Path) -> anyhow::Result<Source> {
    let token = std::env::var("LATTICE_AGENT_TOKEN")
        .ok()
        .context("--agent-socket needs the agent's token in LATTICE_AGENT_TOKEN")?;
    let token = Token::parse(&token)
        .context("LATTICE_AGENT_TOKEN must hold 22 to 128 characters of A-Z a-z 0-9 - _")?;
    Ok(Source::Socket { path: path.to_owned(), token })
}

async fn listen(asked: Option<&str>) -> anyhow::Result<TcpListener> {
    let Some(asked) = asked else { return listen_by_default().await };
    let addresses = tokio::net::lookup_host(asked).await.with_context(|| {
        format!("{asked} is no address to listen on; it has the form 127.0.0.1:8080")
    })?;
    let address = addresses.into_iter().next();
    let address = address.with_context(|| format!("{asked} leads to no address"))?;
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let hint = match next_free(address).await {
                Some(free) => format!("{} is free: --listen {free}", free.port()),
                None => "stop the program that uses it, or choose another port".into(),
            };
            bail!("{address} is used by another program; {hint}")
        }
        Err(error) => Err(error).with_context(|| format!("listen on {address}")),
    }
}

async fn listen_by_default() -> anyhow::Result<TcpListener> {
    match TcpListener::bind(DEFAULT_ADDRESS).await {
        Ok(listener) => return Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        Err(error) => return Err(error).with_context(|| format!("listen on {DEFAULT_ADDRESS}")),
    }
    for address in following(DEFAULT_ADDRESS) {
        if let Ok(listener) = TcpListener::bind(address).await {
            let mut stderr = io::stderr();
            writeln!(stderr, "{DEFAULT_ADDRESS} is used by another program; taking {address}")?;
            return Ok(listener);
        }
    }
    bail!("{DEFAULT_ADDRESS} and the {PORTS_TRIED} ports after it are used; name one with --listen")
}

async fn next_free(taken: SocketAddr) -> Option<SocketAddr> {
    for address in following(taken) {
        if TcpListener::bind(address).await.is_ok() {
            return Some(address);
        }
    }
    None
}

fn following(taken: SocketAddr) -> impl Iterator<Item = SocketAddr> {
    let ports = (1..=PORTS_TRIED).filter_map(move |step| taken.port().checked_add(step));
    ports.map(move |port| SocketAddr::new(taken.ip(), port))
}

/// The address as others can use it: one of the machine's, where any is listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => {
            SocketAddr::new(outward(address.ip()).unwrap_or(DEFAULT_ADDRESS.ip()), address.port())
        }
        false => address,
    }
}

/// The address that packets to elsewhere would leave from. Connecting UDP sends nothing; the
/// addresses are those that RFC 5737 and RFC 3849 keep for examples.
fn outward(any: IpAddr) -> Option<IpAddr> {
    let elsewhere = if any.is_ipv4() { "192.0.2.1:9" } else { "[2001:db8::1]:9" };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(elsewhere).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

/// Host names by which a server on `address` may be asked for, besides localhost and addresses.
fn own_names(address: SocketAddr) -> Vec<String> {
    if address.ip().is_loopback() {
        return Vec::new();
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { Vec::new() } else { vec![name] }
}

/// The names of the environment's variables; one that is no Unicode is none of ours.
fn variables() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}

/// What asks a process to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Of the terminal's closing; nothing where the process is to outlive it.
    hang_up: Option<Signal>,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("listen for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("listen for SIGTERM")?,
            hang_up: Self::hang_up()?,
        })
    }

    /// Not where it is ignored, as under `nohup`: listening would undo that.
    fn hang_up() -> anyhow::Result<Option<Signal>> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if ignores_hang_up(&status) {
            return Ok(None);
        }
        signal(SignalKind::hangup()).map(Some).context("listen for SIGHUP")
    }

    async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}

/// Reads the set of ignored signals in `/proc/<pid>/status`, whose lowest bit is SIGHUP's.
fn ignores_hang_up(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_next_free_one() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = taken.local_addr().expect("bound");
        let error = listen(Some(&address.to_string())).await.expect_err("it is taken");
        let text = error.to_string();
        assert!(text.starts_with(&format!("{address} is used by another program; ")), "{text}");
        assert!(text.contains("--listen 127.0.0.1:"), "{text}");
    }

    #[test]
    fn a_hang_up_that_is_ignored_is_recognised() {
        for (set, ignored) in [("0000000000001000", false), ("0000000000001001", true), ("", false)]
        {
            let status = format!("Name:\tlattice\nSigIgn:\t{set}\nSigCgt:\t0000000000000001\n");
            assert_eq!(ignores_hang_up(&status), ignored, "{set}");
        }
    }

    #[tokio::test]
    async fn what_is_no_address_is_named() {
        let error = listen(Some("8080")).await.expect_err("no address");
        assert!(error.to_string().contains("8080 is no address to listen on"), "{error}");
    }
}
