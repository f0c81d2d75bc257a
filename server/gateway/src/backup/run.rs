//! One backup, one drill, one restore.

use super::state::{Attempt, Drill, Made, State};
use super::vault::{Vault, odd};
use super::{Site, Still};
use crate::store::{Store, Timestamp};
use anyhow::{Context as _, bail};
use lattice_wire::backup::{Of, Part, Person, Read, Reply, Request, Restored, Set};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is kept of each person, as it is called below `homes/<number>`. Homes that were set aside by a
/// reset are not.
const KEPT: [&str; 3] = ["apps", "data", "home"];

/// Makes a backup, and notes what came of it.
pub(super) async fn back_up(site: &Site, still: &Still) -> anyhow::Result<Made> {
    let _lock = site.lock()?;
    let (at, begun) = (seconds(), Instant::now());
    let made = make(site, still).await;
    clear(&site.dir.join("copy")).await;
    let mut state = State::read(&site.state());
    let error = made.as_ref().err().map(|error| format!("{error:#}"));
    match &error {
        Some(error) => tracing::error!(error, "there is no backup"),
        None => tracing::info!("a backup was made"),
    }
    state.last = Some(Attempt { at, error });
    let made = made.map(|made| Made { at, seconds: begun.elapsed().as_secs_f64(), ..made });
    if let Ok(made) = &made {
        state.made = Some(made.clone());
    }
    note(site, &state)?;
    made
}

fn note(site: &Site, state: &State) -> anyhow::Result<()> {
    state.count();
    state.write(&site.state()).with_context(|| format!("write {}", site.state().display()))
}

async fn make(site: &Site, still: &Still) -> anyhow::Result<Made> {
    let mut vault = Vault::open(site).await?;
    let (mut made, mut people) = (Made::default(), Vec::new());
    // People first: a number is never given twice, and the database must know of each that is kept.
    for number in site.people_known()? {
        let (read, stood_still) = person(&mut vault, site, still, number).await?;
        made.moving += u64::from(!stood_still);
        add(&mut made, &read);
        people.push(Person { number, snapshot: read.snapshot });
    }
    made.people = people.len() as u64;
    let copy = site.dir.join("copy");
    clear(&copy).await;
    fs::DirBuilder::new().mode(0o700).create(&copy).context("make a place for copies")?;
    let database = site.data.join("lattice.db");
    Store::copy(&database, &copy.join("lattice.db"))
        .await
        .with_context(|| format!("copy the database {}", database.display()))?;
    match fs::copy(site.people.join("installation"), copy.join("installation")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).context("copy the installation's name");
        }
        Ok(_) | Err(_) => {}
    }
    let parts = vec![
        Part { name: String::new(), path: copy },
        Part { name: "tls".into(), path: site.data.join("tls") },
    ];
    let read = vault.read(&Request::Read { of: Of::State, parts, people }).await?;
    add(&mut made, &read);
    made.set = read.snapshot;
    // The backup is there; what cannot be tidied now is the next time.
    if let Err(error) = vault.ask(&Request::Tidy { keep: site.keep }).await {
        tracing::warn!(error = format!("{error:#}"), "old backups could not be removed");
    }
    Ok(made)
}

fn add(made: &mut Made, read: &Read) {
    made.files += read.files;
    made.bytes += read.bytes;
    made.added += read.added;
    made.left_out += read.left_out;
}

/// Reads one person's files: first while their desktop goes on, then what has changed meanwhile while it
/// stands still. Whether it did.
async fn person(
    vault: &mut Vault,
    site: &Site,
    still: &Still,
    number: i64,
) -> anyhow::Result<(Read, bool)> {
    let home = site.people.join("homes").join(number.to_string());
    let parts = KEPT.map(|name| Part { name: name.into(), path: home.join(name) }).to_vec();
    let request = Request::Read { of: Of::Person(number), parts, people: Vec::new() };
    let Still::Desktops(snapshots) = still else {
        return Ok((vault.read(&request).await?, true));
    };
    let ahead = match snapshots.runs(number).await {
        Ok(false) => None,
        // Where nobody knows, as well.
        Ok(true) | Err(_) => Some(vault.read(&request).await?),
    };
    let read = snapshots.while_still(number, vault.read(&request)).await;
    let (read, stood_still) = match read {
        Ok(read) => read,
        Err(error) => {
            tracing::warn!(number, %error, "somebody's files are read while their desktop goes on");
            (vault.read(&request).await, false)
        }
    };
    let mut read = read?;
    if let Some(ahead) = ahead {
        read.added += ahead.added;
        vault.ask(&Request::Forget { snapshots: vec![ahead.snapshot] }).await?;
    }
    Ok((read, stood_still))
}

/// Restores the newest backup into a scratch place, compares every file, and reads the whole repository.
pub(super) async fn drill(site: &Site) -> anyhow::Result<Drill> {
    let _lock = site.lock()?;
    let (at, begun) = (seconds(), Instant::now());
    let scratch = site.dir.join("scratch");
    clear(&scratch).await;
    let restored = rehearse(site, &scratch).await;
    clear(&scratch).await;
    let mut drill = Drill { at, seconds: begun.elapsed().as_secs_f64(), ..Drill::default() };
    match &restored {
        Ok(restored) => {
            drill.set.clone_from(&restored.set.id);
            (drill.files, drill.bytes) = (restored.files, restored.bytes);
        }
        Err(error) => drill.error = Some(format!("{error:#}")),
    }
    let mut state = State::read(&site.state());
    state.drill = Some(drill.clone());
    note(site, &state)?;
    match restored {
        Ok(_) => tracing::info!(files = drill.files, "a backup drill succeeded"),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "a backup drill failed");
            return Err(error);
        }
    }
    Ok(drill)
}

async fn rehearse(site: &Site, scratch: &Path) -> anyhow::Result<Restored> {
    let mut vault = Vault::open(site).await?;
    let restored = put_back(&mut vault, None, scratch).await?;
    vault.ask(&Request::Check {}).await?;
    Ok(restored)
}

/// Restores a backup, the newest where none is named.
pub(super) async fn restore(
    site: &Site,
    set: Option<&str>,
    into: &Path,
) -> anyhow::Result<Restored> {
    let mut vault = Vault::open(site).await?;
    put_back(&mut vault, set, into).await
}

async fn put_back(vault: &mut Vault, set: Option<&str>, into: &Path) -> anyhow::Result<Restored> {
    let request = Request::Restore { set: set.map(str::to_owned), into: into.to_owned() };
    let restored = match vault.ask(&request).await? {
        Reply::Restored(restored) => restored,
        other => return Err(odd(&other)),
    };
    if restored.differing > 0 {
        bail!(
            "{} of what was restored into {} is not as the backup says: {}; restore into a disk that is \
             well, as root, or name an earlier backup",
            restored.differing,
            into.display(),
            restored.examples.join("; ")
        );
    }
    Ok(restored)
}

/// Which backups there are, the newest first.
pub(super) async fn list(site: &Site) -> anyhow::Result<Vec<Set>> {
    match Vault::open(site).await?.ask(&Request::List {}).await? {
        Reply::Sets { sets } => Ok(sets),
        other => Err(odd(&other)),
    }
}

/// Makes the repository.
pub(super) async fn init(site: &Site) -> anyhow::Result<()> {
    Vault::start(site).await?.ask(&Request::Init {}).await.map(drop)
}

/// Sees whether the repository can be used.
pub(crate) async fn reach(site: &Site) -> anyhow::Result<()> {
    Vault::open(site).await.map(drop)
}

/// What an earlier run left, or this one.
async fn clear(path: &Path) {
    let path: PathBuf = path.to_owned();
    let cleared = tokio::task::spawn_blocking(move || match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a scratch place could not be removed");
        }
        Ok(()) | Err(_) => {}
    });
    let _ = cleared.await;
}

pub(super) fn seconds() -> u64 {
    u64::try_from(Timestamp::now().0).unwrap_or(0)
}
