//! One backup, one drill, one restore.

use super::state::{Attempt, Drill, Made, State};
use super::vault::{Vault, odd};
use super::{Site, Still, Tell};
use crate::store::{Store, Timestamp};
use anyhow::{Context as _, bail};
use lattice_wire::backup::{Of, Part, Person, Read, Reply, Request, Restored, Set};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is kept of each person, as it is called below `homes/<number>`. Homes that were set aside by a
/// reset are not.
const KEPT: [&str; 3] = ["apps", "data", "home"];

/// Whoever looks whether all is well waits so long for a repository.
const REACH: Duration = Duration::from_secs(20);

/// Makes a backup, and notes what came of it.
pub(super) async fn back_up(site: &Site, still: &Still, tell: Tell<'_>) -> anyhow::Result<Made> {
    let _lock = site.lock()?;
    let (at, begun) = (seconds(), Instant::now());
    let made = make(site, still, tell).await;
    clear(&site.dir.join("copy")).await;
    clear(&site.dir.join("aside")).await;
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

async fn make(site: &Site, still: &Still, tell: Tell<'_>) -> anyhow::Result<Made> {
    let mut vault = Vault::open(site).await?;
    let (mut made, mut people) = (Made::default(), Vec::new());
    // People first: a number is never given twice, and the database must know of each that is kept.
    let known = site.people_known()?;
    let all = known.len() as u64 + 1;
    for number in known {
        tell(people.len() as u64, all);
        let (read, stood_still) = person(&mut vault, site, still, number).await?;
        made.moving += u64::from(!stood_still);
        add(&mut made, &read);
        people.push(Person { number, snapshot: read.snapshot });
    }
    made.people = people.len() as u64;
    tell(made.people, all);
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
    let request = Request::Read { of: Of::State, parts, people, held: false };
    let read = vault.read(&request).await?;
    add(&mut made, &read);
    made.set = read.snapshot;
    if let Err(error) = vault.ask(&Request::Confirm { set: made.set.clone() }).await {
        // What cannot be read again is not to be taken for a backup.
        let _ = vault.ask(&Request::Forget { snapshots: vec![made.set] }).await;
        return Err(error);
    }
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

/// Reads one person's files: first while their desktop goes on, however far away the repository is; then it
/// stands still while what has changed meanwhile is laid aside on this machine, and that is read. Whether it did.
async fn person(
    vault: &mut Vault,
    site: &Site,
    still: &Still,
    number: i64,
) -> anyhow::Result<(Read, bool)> {
    let home = site.people.join("homes").join(number.to_string());
    let parts = KEPT.map(|name| Part { name: name.into(), path: home.join(name) }).to_vec();
    let read = |held| Request::Read {
        of: Of::Person(number),
        parts: parts.clone(),
        people: Vec::new(),
        held,
    };
    let ahead = vault.read(&read(false)).await?;
    let Still::Desktops(snapshots) = still else { return Ok((ahead, true)) };
    let hold = Request::Hold { parts: parts.clone(), aside: site.dir.join("aside") };
    let held = match snapshots.while_still(number, vault.hold(&hold)).await {
        Ok((held, stood_still)) => held.map(|held| (held, stood_still)),
        Err(error) => {
            // It may have been asked and not have answered yet.
            *vault = Vault::open(site).await?;
            Err(error.into())
        }
    };
    let (is_held, stood_still) = match held {
        // What did not change did not move, either.
        Ok((held, _)) if held.unchanged => return Ok((ahead, true)),
        Ok((held, stood_still)) => (true, stood_still && held.loose == 0),
        Err(error) => {
            let error = format!("{error:#}");
            tracing::warn!(number, error, "somebody's files are read while their desktop goes on");
            (false, false)
        }
    };
    let mut then = vault.read(&read(is_held)).await?;
    then.added += ahead.added;
    vault.ask(&Request::Forget { snapshots: vec![ahead.snapshot] }).await?;
    Ok((then, stood_still))
}

/// Restores the newest backup into a scratch place, compares every file, and reads the whole repository.
pub(super) async fn drill(site: &Site, tell: Tell<'_>) -> anyhow::Result<Drill> {
    let _lock = site.lock()?;
    let (at, begun) = (seconds(), Instant::now());
    let scratch = site.dir.join("scratch");
    clear(&scratch).await;
    let restored = rehearse(site, &scratch, tell).await;
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

async fn rehearse(site: &Site, scratch: &Path, tell: Tell<'_>) -> anyhow::Result<Restored> {
    tell(0, 2);
    let mut vault = Vault::open(site).await?;
    let restored = put_back(&mut vault, None, scratch).await?;
    // And all that is older.
    tell(1, 2);
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
    let opened = tokio::time::timeout(REACH, Vault::open(site)).await;
    let opened = opened.map_err(|_| {
        anyhow::anyhow!(
            "the repository {} did not answer in {} s; see whether its machine is well",
            site.place.repository,
            REACH.as_secs()
        )
    })?;
    opened.map(drop)
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

/// Now, in seconds since 1970.
pub(crate) fn seconds() -> u64 {
    u64::try_from(Timestamp::now().0).unwrap_or(0)
}
