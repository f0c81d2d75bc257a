//! `lattice serve`: desktops for people.
//!
//! Builds the parts, prints the address, and on a signal takes them down in order: viewers are told to
//! come back, the desktops are let go of, the store is closed. The desktops run on and are found
//! again, unless they are to end with this process.

use crate::accept::Drain;
use crate::auth::{Auth, Token, admin};
use crate::backup::Backups;
use crate::broker::bootstrap::Bootstrap;
use crate::catalogues::install::Installer;
use crate::cli::ServeArgs;
use crate::config::Config;
use crate::front::Front;
use crate::ground::Ground;
use crate::host::Host;
use crate::http::Names;
use crate::http::api::{Api, Inside, Keeping, MOST_SESSIONS, Making};
use crate::http::origin::{Scheme, Sites};
use crate::http::serve::{App, router};
use crate::hub::Settings;
use crate::listen::{Handed, adopt, bind, listen, own_names, reachable};
use crate::logs::Logs;
use crate::manager::{Manager, Rules};
use crate::preview::{Book, Previews, answer_on_port};
use crate::runtime::{OwnBroker, Runtime};
use crate::session_api::Asking;
use crate::share::{encoders, tell_of, warn_of_plain};
use crate::signals::Signals;
use crate::snapshots::Snapshots;
use crate::store::{Actor, Desired, NewSession, Session, Store, Timestamp};
use crate::telemetry::Metrics;
use crate::tls::Tls;
use crate::tls::authority::Root;
use anyhow::{Context as _, bail};
use axum::Router;
use lattice_engine::session::SessionId;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};

/// How long connections may take to end: a request that is on its way is answered, if it comes at all.
/// deploy/lattice.service gives all of the end twice this.
const DRAIN_PATIENCE: Duration = Duration::from_secs(15);
/// How long the directory for data may still be held by a server that has ended.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const UPKEEP: Duration = Duration::from_secs(5);
/// What `--open` makes where there is no desktop yet.
pub(crate) const TEMPLATE: &str = "desktop";

/// Where things are below the directory for data.
#[derive(Debug, Clone)]
pub struct Places {
    data: PathBuf,
}

impl Places {
    /// Those of this directory, which is made where it is missing.
    pub fn open(data: &Path) -> anyhow::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data)
            .with_context(|| format!("make the directory for data {}", data.display()))?;
        Ok(Self { data: data.to_owned() })
    }

    /// Those of this directory, whether it is there or not.
    pub fn at(data: &Path) -> Self {
        Self { data: data.to_owned() }
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.data.join("lattice.db")
    }

    /// Run directories of desktops.
    pub fn run(&self) -> PathBuf {
        self.data.join("run")
    }

    /// Directories of desktops that are made of containers, where a broker is started for them.
    pub fn desktops(&self) -> PathBuf {
        self.data.join("desktops")
    }

    /// What the address was that the last server printed, for `lattice admin url`.
    pub fn origin(&self) -> PathBuf {
        self.data.join("origin")
    }

    /// Two servers over one directory would end each other's desktops: held as long as the file is
    /// open, however the process ends.
    async fn lock(&self) -> anyhow::Result<File> {
        let path = self.data.join("lock");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).with_context(|| format!("open {}", path.display()))?;
        // One that was killed in the middle of starting a program has left that program's half-made
        // process with the file, for some milliseconds.
        let begun = Instant::now();
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if begun.elapsed() > LOCK_PATIENCE {
                bail!(
                    "another lattice serve uses {} ({error}); end it, or name another directory with \
                     --data-dir",
                    self.data.display()
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(file)
    }
}

/// Runs until a signal or until something fails that cannot be started again, on the sockets that were
/// handed over, if any were.
pub async fn run(args: ServeArgs, handed: Handed) -> anyhow::Result<()> {
    let config = Config::load(&args)?;
    if let Some(bootstrap) = Bootstrap::find(&config).await {
        return bootstrap.run(&config).await;
    }
    let mut signals = Signals::new()?;
    let places = Places::open(&config.data_dir)?;
    let _lock = places.lock().await?;
    let store = Store::open(&places.database()).await?;
    let first = admin::bootstrap(&store, Timestamp::now()).await?;
    let opened = if args.open { Some(open_desktop(&store).await?) } else { None };
    let mut server = Server::start(&config, &places, store, handed).await?;
    server.announce(&config, &places, opened.as_ref(), first.as_ref())?;
    let end = tokio::select! {
        end = server.keep() => end,
        () = signals.next() => Ok(()),
    };
    tracing::info!("ending; a second signal ends at once");
    tokio::select! {
        ended = server.end(args.end_desktops) => end.and(ended),
        () = signals.next() => std::process::exit(130),
    }
}

/// Everything that runs.
struct Server {
    address: SocketAddr,
    scheme: Scheme,
    /// Of our own authority, where browsers are shown a certificate of it.
    root: Option<Arc<Root>>,
    drain: Drain,
    store: Store,
    manager: Manager,
    managing: JoinHandle<()>,
    runtime: Arc<Runtime>,
    /// Goes last: what ends desktops needs it.
    broker: Option<OwnBroker>,
    metrics: Metrics,
    backups: Backups,
}

impl Server {
    async fn start(
        config: &Config,
        places: &Places,
        store: Store,
        handed: Handed,
    ) -> anyhow::Result<Self> {
        let Ground { runtime, recipes, broker } = Ground::open(config, places).await?;
        let runtime = Arc::new(runtime);
        let asked = config.server.listen.as_deref();
        let listener = match handed.listener {
            Some(listener) => adopt(listener, asked).await?,
            None => listen(asked).await?,
        };
        let address = listener.local_addr().context("find out the address listened on")?;
        let asked = config.tls()?;
        let plain = match (handed.plain, asked.http_listen) {
            (Some(listener), _) => Some(adopt(listener, None).await?),
            (None, Some(address)) => Some(bind(address).await?),
            (None, None) => None,
        };
        let (hosts, public) = (own_names(address), &config.server.public_url);
        let domain = match &config.preview.domain {
            Some(domain) => Some(domain.clone()),
            None if config.preview.ports.is_some() => None,
            None if address.ip().is_loopback() && public.is_empty() => Some("localhost".to_owned()),
            None => None,
        };
        let tls = asked.settings(address.ip(), hosts.clone(), public)?;
        let tls = tls.map(Tls::start).transpose()?;
        let scheme = if tls.is_some() { Scheme::Https } else { Scheme::Http };
        let sites = Sites::new(scheme, address.port(), &hosts, public)?;
        let root = tls.as_ref().and_then(Tls::root);
        let metrics = Metrics::install();
        let settings = Settings {
            name: None,
            max_viewers: usize::from(config.desktops.max_viewers),
            encoders: encoders(config.video.h264),
        };
        let (asking, questions) = Asking::channel();
        let rules = Rules { asking, ..Rules::new(recipes.clone()) };
        let (manager, desktops, managing) =
            Manager::spawn(store.clone(), runtime.clone(), settings, rules);
        let auth = Auth::new(store.clone(), address.port()).await?;
        let snapshots = Snapshots::new(runtime.clone());
        tokio::spawn(snapshots.clone().go_round());
        let backups = Backups::of(config, &snapshots)?;
        tokio::spawn(backups.clone().go_round());
        let making = Making {
            recipes,
            has_apps: runtime.has_apps(),
            owners_edit: config.desktops.owners_edit_templates,
        };
        let library = config.catalogues.library(&config.data_dir)?;
        let is_open = config.catalogues.people_install;
        let installer = Installer::new(library, is_open, runtime.clone(), store.clone());
        let logs = Logs::new(runtime.clone());
        let keeping = Keeping { snapshots, logs, backups: backups.clone(), installer };
        let listeners = match domain {
            Some(_) => Vec::new(),
            None => listen_for_previews(address, &config.preview.ports()?).await?,
        };
        let book = match domain {
            Some(domain) => Book::new(Some(domain)),
            None => Book::on_ports(listeners.iter().map(|(port, _)| *port).collect()),
        };
        let host = Host::new(config.data_dir.clone(), Some(config.clone()));
        let api = Api::new(store.clone(), auth, desktops, keeping, making, book, host);
        tokio::spawn(api.clone().upkeep());
        let home = origin(config, scheme, address);
        let inside = Inside::new(api.clone(), &home, config.desktops.links_from_inside.most());
        tokio::spawn(inside.answer_all(questions));
        tokio::spawn(api.clone().measure());
        tokio::spawn(api.clone().follow_builds());
        let previews = Previews {
            api: api.clone(),
            runtime: runtime.clone(),
            home,
            sites: sites.clone(),
            proxies: asked.proxies(),
        };
        let shared = Arc::new(previews.clone());
        let on_port = |(port, listener)| {
            let state = (shared.clone(), port);
            (listener, Router::new().fallback(answer_on_port).with_state(state))
        };
        let ports = listeners.into_iter().map(on_port).collect();
        let app = App { api, manager: manager.clone(), metrics: metrics.clone(), previews };
        let drain = Drain::default();
        let names =
            Names { sites: sites.clone(), proxies: asked.proxies(), authority: root.clone() };
        let max_connections = usize::from(config.server.max_connections);
        Front { listener, plain, tls, sites, ports, max_connections }
            .open(router(app, names), &drain);
        Ok(Self {
            address,
            scheme,
            root,
            drain,
            store,
            manager,
            managing,
            runtime,
            broker,
            metrics,
            backups,
        })
    }

    /// Prints where to go: to a desktop that was opened, to the first sign-in, or to the home page.
    fn announce(
        &self,
        config: &Config,
        places: &Places,
        opened: Option<&(SessionId, Token)>,
        first: Option<&Token>,
    ) -> anyhow::Result<()> {
        let origin = origin(config, self.scheme, self.address);
        let path = places.origin();
        fs::write(&path, &origin).with_context(|| format!("write {}", path.display()))?;
        warn_of_plain(self.scheme, self.address);
        if let Some(root) = &self.root {
            tell_of(root, &origin)?;
        }
        let url = match (opened, first) {
            (Some((session, token)), _) => entrance(&origin, &format!("?next=d/{session}"), token),
            (None, Some(token)) => {
                let mut stderr = io::stderr();
                writeln!(
                    stderr,
                    "This address signs the first administrator in, once. Later ones are printed \
                     by: lattice admin url"
                )?;
                entrance(&origin, "", token)
            }
            (None, None) => format!("{origin}/"),
        };
        let mut stdout = io::stdout();
        writeln!(stdout, "Lattice is ready: {url}")?;
        stdout.flush().context("print the address")
    }

    /// Waits for what must not happen.
    async fn keep(&mut self) -> anyhow::Result<()> {
        let mut upkeep = interval(UPKEEP);
        loop {
            tokio::select! {
                ended = &mut self.managing => {
                    return ended.context("look after the sessions").and(
                        Err(anyhow::anyhow!("nobody looks after the sessions any more")));
                }
                _ = upkeep.tick() => {
                    self.metrics.upkeep();
                    self.backups.look();
                }
            }
        }
    }

    async fn end(self, end_desktops: bool) -> anyhow::Result<()> {
        if !self.drain.close(DRAIN_PATIENCE).await {
            tracing::warn!("some connections did not end in time and are cut");
        }
        self.manager.end();
        if !self.managing.is_finished() {
            let _ = self.managing.await;
        }
        if end_desktops {
            end_all(&self.runtime).await?;
        }
        self.store.close().await;
        drop(self.broker);
        Ok(())
    }
}

/// The address that people are told.
fn origin(config: &Config, scheme: Scheme, address: SocketAddr) -> String {
    match config.server.public_url.first() {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("{scheme}://{}", reachable(address)),
    }
}

/// Has a desktop of the first administrator's run; which, and a sign-in for it.
async fn open_desktop(store: &Store) -> anyhow::Result<(SessionId, Token)> {
    let now = Timestamp::now();
    let (user, token) = admin::open(store, now).await?;
    let sessions = store.all_sessions().await?.into_iter();
    let mut own = sessions.filter(|session| {
        session.owner.id == user && !session.deleted && session.discarded.is_none()
    });
    if let Some(Session { id, .. }) = own.next() {
        store.set_desired(&id, Desired::Running, Actor::System, now).await?;
        return Ok((id, token));
    }
    let mut bits = [0; 10];
    getrandom::fill(&mut bits).context("get random bytes from the system")?;
    let id = SessionId::from_bytes(bits);
    let new = NewSession { id: &id, owner: user, template: TEMPLATE, name: "Desktop" };
    store.create_session(&new, MOST_SESSIONS, now).await?;
    Ok((id, token))
}

/// Ends all desktops, and what is kept ready for others, each beside the others.
async fn end_all(runtime: &Arc<Runtime>) -> anyhow::Result<()> {
    let instances = runtime.list().await.context("find the desktops that run")?;
    let mut sessions: Vec<_> = instances.into_iter().map(|instance| instance.session).collect();
    while let Some(slot) = runtime.reserve().await {
        sessions.push(slot);
    }
    let ends = sessions.into_iter().map(|session| {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.stop(&session).await })
    });
    for end in ends.collect::<Vec<_>>() {
        end.await.context("end a desktop")?.context("end a desktop")?;
    }
    Ok(())
}

/// The address that signs in with a token, which stays in the browser: no server sees a fragment.
pub fn entrance(origin: &str, query: &str, token: &Token) -> String {
    format!("{origin}/enter{query}#{}", token.expose())
}

/// Listens on the ports for previews, beside the server itself. One that another program has is left out.
async fn listen_for_previews(
    server: SocketAddr,
    ports: &[u16],
) -> anyhow::Result<Vec<(u16, TcpListener)>> {
    let mut listeners = Vec::new();
    for port in ports.iter().copied().filter(|port| *port != server.port()) {
        match bind(SocketAddr::new(server.ip(), port)).await {
            Ok(listener) => listeners.push((port, listener)),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(port, error, "a port for previews cannot be used");
            }
        }
    }
    if listeners.is_empty() && !ports.is_empty() {
        bail!("none of the ports of preview.ports can be used; name others, or preview.domain");
    }
    Ok(listeners)
}
