//! The broker: the one process that holds the container engine's socket.
//!
//! Whoever holds that socket is root on the machine, so the process that faces the network does not.
//! The broker listens on a Unix socket for the gateway alone and does a closed set of things
//! (`protocol`); how containers are made is its own affair (`containers`). It keeps nothing that the
//! engine does not know: it may be killed at any time, and the next one goes on.

pub mod bootstrap;
pub mod builds;
mod calls;
mod containers;
mod data;
mod desktops;
mod engine;
mod host;
mod logs;
pub mod look;
mod network;
mod place;
pub mod protocol;
mod pulls;
mod stack;
pub mod stock;

use crate::catalogues::Library;
use crate::cli::{BrokerArgs, Storage};
use crate::runtime::RuntimeError;
use crate::runtime::process::check_length;
use crate::runtime::process::place::write_atomically;
use crate::signals::Signals;
use crate::template::{self, Template};
use anyhow::{Context as _, bail};
use bollard::container::LogOutput;
use containers::{APP, SESSION};
use data::{Btrfs, Directories, Keeper, Quotas, Volumes};
use desktops::{Desktops, Keeping, Settings};
use engine::Engine;
use futures_util::StreamExt as _;
use host::HostPaths;
use lattice_engine::session::SessionId;
use lattice_wire::imports::CloneUrl;
use lattice_wire::snapshots;
use protocol::{Id, MAX_REQUEST, Reply, Request};
use pulls::Pulls;
use rustix::fs::{Gid, Mode, Uid, chmod, chown};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Where the engine listens where nothing else is said.
pub const ENGINE: &str = "/var/run/docker.sock";
/// Its socket in the run directory.
pub const SOCKET: &str = "broker.sock";
/// How long a request may take to come in once its connection is there.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// How many connections are served at once; a gateway has one a request.
const MAX_CONNECTIONS: usize = 256;
/// The first pause before the engine is asked again after it went away, and the longest.
const ENGINE_PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));
/// How often to look for what nobody minds any more.
const SWEEP_EVERY: Duration = Duration::from_secs(20);

/// Runs until a signal, or until its standard input ends where it is to end with whoever started it.
pub async fn run(args: BrokerArgs) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    if !rustix::process::geteuid().is_root() {
        bail!(
            "the broker gives every desktop a user id of its own, which only root can; run it as root"
        );
    }
    let run = &args.run_dir;
    check_length(run)?;
    for dir in [run, &args.data_dir] {
        fs::create_dir_all(dir).with_context(|| format!("make the directory {}", dir.display()))?;
    }
    let templates = load_templates(&args.templates)?;
    let engine = Engine::new(args.engine.clone());
    // The engine may come later than this does; paths are needed when the first desktop starts.
    let paths = loop {
        match HostPaths::find(&engine).await {
            Ok(paths) => break paths,
            Err(error) => {
                tracing::warn!(%error, "waiting for the container engine");
                tokio::select! {
                    () = sleep(ENGINE_PAUSE.1) => {}
                    () = signals.next() => return Ok(()),
                }
            }
        }
    };
    let installation = installation(&args.data_dir)?;
    let settings = Settings {
        run: run.clone(),
        keeper: keeper(&args, &installation)?,
        measure_every: Duration::from_secs(args.measure_every.max(1)),
        installation,
        gateway: args.gateway.map_or(0, |gateway| gateway.group),
        templates,
        paths,
        pool: args.pool,
    };
    let library = Library {
        directory: args.catalogues.clone().unwrap_or_else(|| args.data_dir.join("catalogues")),
        keys: args.catalogue_key.clone(),
        seen: args.data_dir.join("catalogues-seen-broker.json"),
    };
    let pulls = Arc::new(Pulls::new(library, &args.data_dir));
    let desktops = Arc::new(Desktops::new(engine, settings, pulls));
    let listener = listen(&run.join(SOCKET), args.gateway)?;
    tracing::info!(socket = %run.join(SOCKET).display(), engine = %desktops.engine().socket().display(), "the broker listens");
    tokio::spawn(follow(desktops.clone()));
    tokio::spawn(sweep_now_and_then(desktops.clone()));
    tokio::spawn(desktops.clone().keep_pool());
    tokio::spawn(desktops.clone().measure());
    tokio::spawn(desktops.clone().measure_files());
    tokio::spawn(desktops.clone().keep_walls());
    tokio::select! {
        () = accept(listener, desktops) => {}
        () = signals.next() => {}
        () = starter_ends(), if args.with_starter => {}
    }
    Ok(())
}

/// The templates of a directory by name. Bad ones are left out, and the log says why.
fn load_templates(directory: &Path) -> anyhow::Result<BTreeMap<String, Template>> {
    let templates = template::load_good(directory)?;
    Ok(templates.into_iter().map(|(template, _)| (template.name.clone(), template)).collect())
}

/// What keeps people's files.
fn keeper(args: &BrokerArgs, installation: &str) -> anyhow::Result<Keeper> {
    let base = args.data_dir.clone();
    let quotas = Quotas { data: args.data_quota.0, home: args.home_quota.0 };
    let installation = installation.to_owned();
    if let Some(driver) = &args.volume_driver {
        return Ok(Keeper::Volume(Volumes {
            driver: driver.clone(),
            options: args.volume_option.iter().cloned().collect(),
            installation,
            quotas,
            ready: Mutex::default(),
        }));
    }
    let keeper = match (args.storage, data::qgroups::is_btrfs(&base)) {
        (Storage::Directory, _) | (Storage::Auto, false) => {
            Keeper::Directory(Directories { base, quotas })
        }
        (Storage::Btrfs, false) => bail!(
            "people's files are to be in subvolumes, but {} is not on btrfs; mount one there, or              leave --storage out",
            base.display()
        ),
        (Storage::Auto | Storage::Btrfs, true) => Keeper::Btrfs(Btrfs {
            base,
            quotas,
            installation,
            is_asked_for: args.storage == Storage::Btrfs,
            left: tokio::sync::Mutex::default(),
        }),
    };
    let (data_quota, home_quota) = (&args.data_quota, &args.home_quota);
    tracing::info!(%keeper, %data_quota, %home_quota, "what keeps people's files");
    Ok(keeper)
}

/// What this Lattice is called in labels, made at the first start.
fn installation(data: &Path) -> anyhow::Result<String> {
    let path = data.join("installation");
    if let Some(known) = fs::read_to_string(&path).ok().filter(|text| !text.trim().is_empty()) {
        return Ok(known.trim().to_owned());
    }
    let mut bits = [0; 10];
    getrandom::fill(&mut bits).context("get random bytes from the system")?;
    let name = SessionId::from_bytes(bits).to_string();
    write_atomically(&path, name.as_bytes())
        .with_context(|| format!("write {}", path.display()))?;
    Ok(name)
}

/// The socket, for one user alone.
fn listen(path: &Path, gateway: Option<Gateway>) -> anyhow::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove {}", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    // Nobody else gets as far as the socket, also before it has its owner.
    chmod(directory, Mode::from_raw_mode(0o700))?;
    let listener =
        UnixListener::bind(path).with_context(|| format!("listen on {}", path.display()))?;
    chmod(path, Mode::from_raw_mode(0o600))?;
    if let Some(Gateway { user, group }) = gateway {
        chown(path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        chown(directory, None, Some(Gid::from_raw(group)))?;
    }
    chmod(directory, Mode::from_raw_mode(0o710))?;
    Ok(listener)
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gateway {
    /// Its user id.
    pub user: u32,
    /// Its group id.
    pub group: u32,
}

async fn accept(listener: UnixListener, desktops: Arc<Desktops>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // A semaphore that is never closed.
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a gateway could not connect");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let desktops = desktops.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(stream, &desktops).await {
                tracing::warn!(%error, "a request came to nothing");
            }
            drop(place);
        });
    }
}

/// One connection, one request.
async fn serve(mut stream: UnixStream, desktops: &Arc<Desktops>) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let read = timeout(REQUEST_PATIENCE, protocol::read(&mut reader, MAX_REQUEST)).await;
    let request = match read {
        Ok(Ok(Some(request))) => request,
        Ok(Ok(None)) | Err(_) => return Ok(()),
        Ok(Err(error)) => {
            let what = format!("the request is not understood: {error}");
            let remedy = Some("gateway and broker must be of the same release".into());
            return protocol::write(&mut writer, &Reply::Refused { what, remedy }).await;
        }
    };
    if let Request::Keep(owner, request) = request {
        let is_read =
            matches!(request, snapshots::Request::File { .. } | snapshots::Request::Zip { .. });
        let keeping = match desktops.keep(owner, &request).await {
            Ok(keeping) => keeping,
            Err(error) => return protocol::write(&mut writer, &refused(&error)).await,
        };
        return match request {
            snapshots::Request::Import { .. } => {
                take_in(reader, writer, desktops, owner, keeping).await
            }
            _ => hand_on(writer, desktops, owner, keeping, is_read).await,
        };
    }
    if let Request::Logs(session, part, window) = request {
        return logs::hand_on(reader, writer, desktops, &session.0, &part, window).await;
    }
    if let Request::Fetch(url) = request {
        return fetch(reader, writer, desktops, &url).await;
    }
    if let Request::Pull(wanted) = request {
        return pulls::serve(writer, desktops.pulls(), desktops.engine(), wanted).await;
    }
    if request != Request::Watch {
        // What was begun is brought to its end, also when whoever asked has gone: half a desktop is
        // of use to nobody.
        let own = desktops.clone();
        let reply = tokio::spawn(async move { answer(&own, request).await }).await;
        let reply =
            reply.unwrap_or_else(|error| refused(&RuntimeError::Refused(error.to_string())));
        return protocol::write(&mut writer, &reply).await;
    }
    let mut changes = desktops.changes();
    loop {
        changes.mark_unchanged();
        protocol::write(&mut writer, &Reply::Changed).await?;
        let mut byte = [0];
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            _ = reader.read(&mut byte) => return Ok(()),
        }
    }
}

/// Hands on what a keeper says. What changes something is brought to its end, also when whoever asked
/// has gone.
async fn hand_on(
    mut writer: impl AsyncWrite + Unpin,
    desktops: &Arc<Desktops>,
    owner: i64,
    keeping: Keeping,
    is_read: bool,
) -> io::Result<()> {
    let Keeping { container, mut output, input: _input } = keeping;
    let mut handed = protocol::write(&mut writer, &Reply::Keeps).await;
    while let Some(Ok(said)) = output.next().await {
        match said {
            LogOutput::StdErr { message } => {
                let message = String::from_utf8_lossy(&message).trim().to_owned();
                tracing::warn!(owner, message, "a keeper complains");
            }
            LogOutput::StdOut { message } | LogOutput::Console { message } if handed.is_ok() => {
                handed = writer.write_all(&message).await;
            }
            LogOutput::StdOut { .. } | LogOutput::Console { .. } | LogOutput::StdIn { .. } => {}
        }
        if handed.is_err() && is_read {
            desktops.end_keeper(&container).await;
            break;
        }
    }
    handed
}

/// Hands what follows a request on to a keeper, and what that says back. A keeper does nothing before
/// the end of it, so it ends with whoever went away before that.
async fn take_in(
    mut reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
    desktops: &Arc<Desktops>,
    owner: i64,
    mut keeping: Keeping,
) -> io::Result<()> {
    let mut input = std::mem::replace(&mut keeping.input, Box::pin(tokio::io::sink()));
    let fed = async {
        // Where it takes no more, it says why.
        let _ = tokio::io::copy(&mut reader, &mut input).await;
        let _ = input.shutdown().await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        handed = hand_on(writer, desktops, owner, keeping, false) => handed,
        () = fed => Ok(()),
    }
}

/// Hands on what is cloned. Where nobody wants it any more, it ends.
async fn fetch(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    desktops: &Arc<Desktops>,
    url: &CloneUrl,
) -> io::Result<()> {
    let (keeping, own) = match desktops.fetch(url).await {
        Ok(fetching) => fetching,
        Err(error) => return protocol::write(&mut writer, &refused(&error)).await,
    };
    let container = keeping.container.clone();
    let mut byte = [0];
    let handed = tokio::select! {
        handed = hand_on(writer, desktops, 0, keeping, true) => handed,
        _ = reader.read(&mut byte) => Ok(()),
    };
    desktops.end_fetch(&container, &own).await;
    handed
}

async fn answer(desktops: &Arc<Desktops>, request: Request) -> Reply {
    let done = match request {
        Request::Hello => return or_refused(engine_of(desktops).await),
        Request::List => return or_refused(desktops.list().await.map(Reply::Instances)),
        Request::Recipe(session) => {
            return or_refused(desktops.recipe_of(&session.0).map(Reply::Recipe));
        }
        Request::Images => return or_refused(desktops.images().await.map(Reply::Images)),
        Request::Volumes => return or_refused(desktops.volumes().await.map(Reply::Volumes)),
        Request::Builds => return or_refused(desktops.builds().await.map(Reply::Builds)),
        Request::Pool => return or_refused(desktops.pool().await.map(Reply::Pool)),
        Request::RemoveImage(image) => desktops.remove_image(&image).await,
        Request::Reserve => {
            return or_refused(desktops.reserve().await.map(|id| Reply::Reserved(id.map(Id))));
        }
        Request::Start(order) => desktops.start(&order).await,
        Request::Stop(session) | Request::Remove(session) => desktops.stop(&session.0).await,
        Request::Reset(session, owner) => desktops.reset(&session.0, owner).await,
        Request::Pause(session) => desktops.pause(&session.0).await,
        Request::Resume(session) => desktops.resume(&session.0).await,
        Request::Open(session, app) => desktops.open(&session.0, &app).await,
        Request::Close(session, app) => desktops.close(&session.0, &app).await,
        Request::Freeze(owner) => desktops.hold_still(owner).await,
        Request::Thaw(owner) => desktops.let_go_on(owner).await,
        // Answered before, with more than one line.
        Request::Watch | Request::Keep(..) | Request::Fetch(..) => Ok(()),
        Request::Pull(_) | Request::Logs(..) => Ok(()),
    };
    or_refused(done.map(|()| Reply::Done))
}

async fn engine_of(desktops: &Desktops) -> Result<Reply, RuntimeError> {
    let (version, api) = desktops.engine().version().await?;
    let missing = desktops.missing().await?;
    let storage = Some(desktops.storage().await?);
    Ok(Reply::Engine(protocol::Engine { version, api, missing, storage }))
}

fn or_refused(result: Result<Reply, RuntimeError>) -> Reply {
    result.unwrap_or_else(|error| refused(&error))
}

fn refused(error: &RuntimeError) -> Reply {
    match error {
        RuntimeError::Unusable { what, remedy } => {
            Reply::Refused { what: what.clone(), remedy: Some(remedy.clone()) }
        }
        RuntimeError::Step { source, .. } => {
            let is_full =
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            let remedy = is_full.then(|| "the disk is full there; make room".to_owned());
            Reply::Refused { what: format!("{error}: {source}"), remedy }
        }
        RuntimeError::Refused(what) => Reply::Refused { what: what.clone(), remedy: None },
    }
}

/// Tells gateways when something changes, for as long as this runs, whether the engine does or not.
async fn follow(desktops: Arc<Desktops>) {
    let mut pause = ENGINE_PAUSE.0;
    loop {
        match desktops.engine().events(desktops.label()).await {
            Err(error) => tracing::debug!(%error, "the container engine is away"),
            Ok(events) => {
                if let Err(error) = desktops.sweep().await {
                    tracing::warn!(%error, "what is left of earlier desktops could not be removed");
                }
                desktops.check_walls().await;
                desktops.bump();
                let mut events = std::pin::pin!(events);
                while let Some(event) = events.next().await {
                    pause = ENGINE_PAUSE.0;
                    handle_event(&desktops, event);
                }
                desktops.doubt_walls().await;
                tracing::warn!("the container engine went away");
            }
        }
        desktops.bump();
        sleep(pause).await;
        pause = (pause * 2).min(ENGINE_PAUSE.1);
    }
}

/// Removes what an earlier broker was killed over, for as long as this runs: when this one starts, the engine may
/// still be making it, or still be removing the last container of a desktop, whose directory goes after that.
async fn sweep_now_and_then(desktops: Arc<Desktops>) {
    loop {
        // Where the engine is away, that is told elsewhere.
        let _ = desktops.engine().sweep_chores(desktops.label()).await;
        sleep(SWEEP_EVERY).await;
        let _ = desktops.sweep_directories().await;
    }
}

fn handle_event(desktops: &Arc<Desktops>, event: bollard::models::EventMessage) {
    desktops.bump();
    if event.action.as_deref() != Some("die") {
        return;
    }
    tokio::spawn(look_again(desktops.clone()));
    let labels = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
    let session = labels.get(SESSION).and_then(|session| session.parse::<SessionId>().ok());
    let (Some(session), Some(app)) = (session, labels.get(APP).cloned()) else { return };
    let desktops = desktops.clone();
    tokio::spawn(async move {
        if let Err(error) = desktops.tidy(&session, &app).await {
            tracing::warn!(%session, app, %error, "an app that was closed could not be removed");
        }
    });
}

/// The engine's list lags behind what it tells: a container that died is in it as running for a moment.
async fn look_again(desktops: Arc<Desktops>) {
    for pause in [50, 200, 1000] {
        sleep(Duration::from_millis(pause)).await;
        desktops.bump();
    }
}

/// Standard input is a pipe from whoever started it, and ends with that.
async fn starter_ends() {
    let pipe = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 0).map_err(io::Error::from);
    let Ok(mut pipe) = pipe.and_then(pipe::Receiver::from_owned_fd) else {
        tracing::warn!(
            "standard input is no pipe: the broker does not notice when its starter ends"
        );
        return std::future::pending().await;
    };
    let mut bytes = [0; 64];
    while pipe.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
}
