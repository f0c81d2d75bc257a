//! `lattice share`: one existing X display in the browser.
//!
//! Builds the parts, prints the address once there is something to open, and on a signal takes them
//! down in order: viewers are told to come back, then the agent ends, then this process.

use crate::accept::Drain;
use crate::agent::{self, ChildSpec, PrivateDir, Source};
use crate::auth::{Door, Token};
use crate::cli::{self, ShareArgs, Switch};
use crate::front::Front;
use crate::http::origin::{Scheme, Sites};
use crate::http::{self, App, Names};
use crate::hub::{Hub, Settings, Status};
use crate::listen::{bind, listen, own_names, reachable};
use crate::signals::Signals;
use crate::telemetry::{self, Metrics};
use crate::tls::Tls;
use crate::tls::authority::Root;
use anyhow::{Context as _, bail};
use lattice_wire::Availability;
use lattice_wire::picture::MAX_STREAMS;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

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
    let plain = match args.tls.http_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let mut server = Server::start(&args, source, &token, listener, plain)?;
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
    scheme: Scheme,
    /// Of our own authority, where browsers are shown a certificate of it.
    root: Option<Arc<Root>>,
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
        plain: Option<TcpListener>,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("find out the address listened on")?;
        let (hosts, public) = (own_names(address), &args.public_url);
        let tls = args.tls.settings(address.ip(), hosts.clone(), public)?;
        let tls = tls.map(Tls::start).transpose()?;
        let scheme = if tls.is_some() { Scheme::Https } else { Scheme::Http };
        let sites = Sites::new(scheme, address.port(), &hosts, public)?;
        let root = tls.as_ref().and_then(Tls::root);
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
            names: Names {
                sites: sites.clone(),
                proxies: args.tls.proxies(),
                authority: root.clone(),
            },
            metrics: metrics.clone(),
            agent: agent_pid,
        };
        let agent = tokio::spawn(async move { agent::run(source, &hub, &pid, stopped).await });
        let router = http::router(Arc::new(app));
        let max_connections = usize::from(args.max_connections);
        Front { listener, plain, tls, sites, ports: Vec::new(), max_connections }
            .open(router, &drain);
        Ok(Self { address, scheme, root, drain, hub: hub_task, agent, stop_agent, status, metrics })
    }

    /// Prints the address once there is something behind it, and waits for what must not happen.
    async fn serve(&mut self, args: &ShareArgs, token: &Token) -> anyhow::Result<()> {
        let mut upkeep = interval(UPKEEP);
        let mut status = self.status.clone();
        let mut counted = self.status.clone();
        telemetry::count_sessions([counted.borrow().state()].into_iter());
        let address = (self.scheme, self.address);
        let announce = announce(&mut status, args, address, self.root.as_deref(), token);
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
                Ok(()) = counted.changed() => {
                    telemetry::count_sessions([counted.borrow_and_update().state()].into_iter());
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
    (scheme, address): (Scheme, SocketAddr),
    root: Option<&Root>,
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
    warn_of_plain(scheme, address);
    let base = match args.public_url.first() {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("{scheme}://{}", reachable(address)),
    };
    if let Some(root) = root {
        tell_of(root, &base)?;
    }
    let mut stdout = io::stdout();
    writeln!(stdout, "Lattice is ready: {base}/d/{}#{}", http::SESSION, token.expose())?;
    stdout.flush().context("print the address")
}

/// Says how devices come to trust an authority of our own.
pub(crate) fn tell_of(root: &Root, base: &str) -> io::Result<()> {
    let mut stderr = io::stderr();
    writeln!(
        stderr,
        "Browsers warn of the certificate until they are told to trust {}:\n  {base}/ca says \
         how; its SHA-256 fingerprint must be\n  {}",
        root.name, root.fingerprint
    )
}

/// Warns where passwords and pictures would travel in the clear.
pub(crate) fn warn_of_plain(scheme: Scheme, address: SocketAddr) {
    if scheme == Scheme::Http && !address.ip().is_loopback() {
        tracing::warn!(
            "plain HTTP beyond this machine is not encrypted, and browsers withhold the clipboard \
             and keyboard lock there; leave out --tls off, or put a TLS proxy in front and name it \
             with --public-url"
        );
    }
}

/// An encoder keeps a core busy, and one desktop has all of them.
pub(crate) fn encoders(h264: Switch) -> u8 {
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

/// The names of the environment's variables; one that is no Unicode is none of ours.
fn variables() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}
