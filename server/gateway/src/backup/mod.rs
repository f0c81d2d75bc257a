//! Backups: what `lattice backup`, the schedule of `lattice serve` and the API do, all the same.
//!
//! Files are a keeper's to read (`server/keeper`), which runs here, as whoever runs this: people's files are
//! read by root or by the user that the server runs as, and never by a gateway that has no right to them.
//! Each person's are read while their desktop stands still, one after the other; then the database is
//! copied, without tokens, and what names everything is written last.
//!
//! INVARIANT: one thing at a time happens to a repository from here: `backup/lock` is held.

pub mod command;
mod place;
mod rounds;
pub(crate) mod run;
mod settings;
pub(crate) mod state;
mod vault;

pub use settings::Backup;

use crate::config::Config;
use crate::snapshots::Snapshots;
use crate::telemetry;
use anyhow::{Context as _, bail};
use lattice_wire::backup::{Keep, Place, Where};
use rustix::fs::{FlockOperation, flock};
use state::{Drill, Made, State};
use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Where everything is.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    place: Where,
    keep: Keep,
    /// The server's own state.
    data: PathBuf,
    /// People's files.
    people: PathBuf,
    /// What is ours: the lock, what is known of the last ones, and scratch places.
    dir: PathBuf,
    keeper: PathBuf,
}

/// What keeps desktops from writing while files are read.
#[derive(Debug, Clone)]
pub(crate) enum Still {
    /// They stand still.
    Desktops(Snapshots),
    /// No server runs that could make them.
    Nobody,
}

/// How far something is that is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) step: Step,
    /// Since when, in seconds since 1970.
    pub(crate) since: u64,
    /// So many parts of it are done: people of a backup, and the server's state.
    pub(crate) done: u64,
    /// Of so many; 0 where nobody knows yet.
    pub(crate) of: u64,
}

/// Hears how many parts of what is being done are done, and of how many.
type Tell<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A backup is made.
    Backup,
    /// A backup is put back into a scratch place.
    Drill,
}

impl Step {
    /// As APIs and metrics call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Drill => "drill",
        }
    }
}

/// The server's backups: a handle.
#[derive(Debug, Clone)]
pub struct Backups(Option<Arc<Parts>>);

#[derive(Debug)]
struct Parts {
    site: Site,
    settings: Backup,
    still: Still,
    now: Mutex<Option<Progress>>,
}

impl Site {
    /// Nothing where no backup is configured.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Option<Self>> {
        let settings = &config.backup;
        let (Some(repository), Some(password_file)) =
            (place::of(settings)?, &settings.password_file)
        else {
            return Ok(None);
        };
        let dir = config.data_dir.join("backup");
        Ok(Some(Self {
            place: Where {
                repository,
                password_file: password_file.clone(),
                cache: dir.join("cache"),
                patience_s: settings.timeout()?.as_secs(),
            },
            keep: settings.keep(),
            data: config.data_dir.clone(),
            people: settings.people.clone().unwrap_or_else(|| config.data_dir.clone()),
            dir,
            keeper: crate::agent::find_beside("lattice-keeper", "LATTICE_KEEPER")?,
        }))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("ask.sock")
    }

    /// Who has files here.
    fn people_known(&self) -> anyhow::Result<Vec<i64>> {
        let homes = self.people.join("homes");
        let entries = match fs::read_dir(&homes) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.with_context(|| format!("read {}", homes.display()))?,
        };
        let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        let mut known: Vec<i64> = entries.filter_map(|entry| number(entry.ok()?)).collect();
        known.sort_unstable();
        Ok(known)
    }

    fn make_dir(&self) -> anyhow::Result<()> {
        // Root's timer makes it, the gateway reads in it; all of it is in a private directory.
        let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(&self.dir);
        made.with_context(|| format!("make the directory {}", self.dir.display()))
    }

    fn lock(&self) -> anyhow::Result<File> {
        self.make_dir()?;
        let path = self.dir.join("lock");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).with_context(|| format!("open {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("a backup or a drill is under way already; wait until that is done");
        }
        Ok(file)
    }
}

impl Backups {
    /// Those that are configured.
    pub(crate) fn of(config: &Config, snapshots: &Snapshots) -> anyhow::Result<Self> {
        // A gateway without a right to people's files only shows what root's timer did.
        let Some(site) = Site::of(config)? else { return Ok(Self::off()) };
        let still = match config.desktops.broker {
            Some(_) => Still::Nobody,
            None => Still::Desktops(snapshots.clone()),
        };
        let settings = config.backup.clone();
        Ok(Self(Some(Arc::new(Parts { site, settings, still, now: Mutex::new(None) }))))
    }

    /// None.
    pub fn off() -> Self {
        Self(None)
    }

    /// A repository that is nowhere, and a keeper that cannot be started.
    #[cfg(test)]
    pub(crate) fn nowhere(dir: &Path, snapshots: &Snapshots) -> Self {
        let nowhere = dir.join("nowhere");
        let settings = Backup { every: Some("24h".into()), ..Backup::default() };
        let site = Site {
            place: Where {
                repository: Place::Directory(nowhere.clone()),
                password_file: nowhere.clone(),
                cache: nowhere.clone(),
                patience_s: 1,
            },
            keep: settings.keep(),
            data: dir.to_owned(),
            people: dir.to_owned(),
            dir: dir.join("backup"),
            keeper: nowhere,
        };
        let still = Still::Desktops(snapshots.clone());
        Self(Some(Arc::new(Parts { site, settings, still, now: Mutex::new(None) })))
    }

    /// Whether any are configured.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether this server may make them, since it may read people's files.
    pub(crate) fn is_here(&self) -> bool {
        self.0.as_ref().is_some_and(|parts| matches!(parts.still, Still::Desktops(_)))
    }

    pub(crate) fn settings(&self) -> Option<&Backup> {
        Some(&self.0.as_ref()?.settings)
    }

    /// Where they go; it has no secrets.
    pub(crate) fn place(&self) -> Option<&Place> {
        Some(&self.0.as_ref()?.site.place.repository)
    }

    /// What came of the last ones.
    pub(crate) fn state(&self) -> State {
        self.0.as_ref().map(|parts| State::read(&parts.site.state())).unwrap_or_default()
    }

    /// Shows what root's timer may have done meanwhile.
    pub(crate) fn look(&self) {
        if self.is_on() && !self.is_here() {
            self.state().count();
        }
    }

    /// What is being done now.
    pub(crate) fn now(&self) -> Option<Progress> {
        let parts = self.0.as_ref()?;
        *parts.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one; in a task of its own, so that it goes on whoever waits.
    pub(crate) async fn back_up(&self) -> anyhow::Result<Made> {
        self.alone(Step::Backup, |parts| async move {
            run::back_up(&parts.site, &parts.still, &|done, of| parts.tell(done, of)).await
        })
        .await
    }

    /// The same for a drill.
    pub(crate) async fn drill(&self) -> anyhow::Result<Drill> {
        self.alone(Step::Drill, |parts| async move {
            run::drill(&parts.site, &|done, of| parts.tell(done, of)).await
        })
        .await
    }

    async fn alone<T: Send + 'static, F>(
        &self,
        step: Step,
        work: impl FnOnce(Arc<Parts>) -> F,
    ) -> anyhow::Result<T>
    where
        F: Future<Output = anyhow::Result<T>> + Send + 'static,
    {
        let parts = self.0.clone().context("no backup is configured; name backup.repository")?;
        {
            let mut now = parts.now.lock().unwrap_or_else(PoisonError::into_inner);
            if now.is_some() {
                bail!("a backup or a drill is under way already; wait until that is done");
            }
            *now = Some(Progress { step, since: run::seconds(), done: 0, of: 0 });
        }
        telemetry::show_backup_step(step.name(), true);
        let busy = Busy(parts.clone(), step);
        let work = work(parts);
        let done = tokio::spawn(async move {
            let _busy = busy;
            work.await
        });
        done.await.context("finish what was begun")?
    }
}

impl Parts {
    fn tell(&self, done: u64, of: u64) {
        if let Some(now) = self.now.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            (now.done, now.of) = (done, of);
        }
    }
}

/// Until it is dropped, something is being done.
struct Busy(Arc<Parts>, Step);

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.now.lock().unwrap_or_else(PoisonError::into_inner) = None;
        telemetry::show_backup_step(self.1.name(), false);
    }
}

/// Whoever reads these reads everything that was ever backed up, or deletes it.
fn check_secrets(place: &Where) -> anyhow::Result<()> {
    let (key, file) = match &place.repository {
        Place::Directory(_) => ("password_file", &place.password_file),
        Place::Sftp(sftp) => ("ssh_key_file", &sftp.key_file),
        Place::S3(s3) => ("s3_key_file", &s3.key_file),
    };
    for (key, path) in [("password_file", &place.password_file), (key, file)] {
        let found =
            fs::metadata(path).with_context(|| format!("read backup.{key} {}", path.display()))?;
        if found.mode() & 0o077 != 0 {
            bail!(
                "backup.{key} {} can be read by others (mode {:o}); chmod 600 {}",
                path.display(),
                found.mode() & 0o777,
                path.display()
            );
        }
    }
    if let Place::S3(s3) = &place.repository
        && let Some(path) = &s3.ca_file
    {
        fs::metadata(path).with_context(|| format!("read backup.s3_ca_file {}", path.display()))?;
    }
    if let Place::Sftp(sftp) = &place.repository
        && let Err(error) = fs::metadata(&sftp.known_hosts)
    {
        bail!(
            "read backup.ssh_known_hosts {}: {error}; put there what ssh-keyscan -p {} {} prints, once it \
             was compared with what whoever keeps that machine says",
            sftp.known_hosts.display(),
            sftp.port,
            sftp.host
        );
    }
    Ok(())
}
