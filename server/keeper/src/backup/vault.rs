//! The repository: opened by its password, tidied, checked.

use super::Result;
use super::remote::{Remote, Trouble};
use crate::fault::is_full;
use lattice_engine::backups;
use lattice_wire::backup::{Keep, Person, Place, Set, Where};
use rustic_backend::LocalBackend;
use rustic_core::repofile::{MasterKey, SnapshotFile, SnapshotId};
use rustic_core::{
    CheckOptions, CheckResults, ConfigOptions, Credentials, KeyOptions, OpenStatus, PruneOptions,
    Repository, RepositoryBackends, RepositoryOptions, RusticError, WriteBackend,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Whose snapshots are ours in a repository that others may use, too.
pub(super) const HOST: &str = "lattice";
/// What the snapshot of the server's state is called.
pub(super) const STATE: &str = "state";

/// What the library says of packs that are on their way out, and are not as the index has them where a backup
/// was broken off: nothing needs them.
const TO_GO: [&str; 2] = ["marked to delete: true", "marked to-delete: true"];

/// Where it is, and what opens it once it has been opened.
pub(super) struct Vault {
    place: Where,
    /// Where it is not a directory of this machine.
    remote: Option<Arc<Remote>>,
    key: Option<MasterKey>,
}

/// What makes a backup whole, in the description of the snapshot of the server's state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) people: Vec<Person>,
}

/// A whole backup.
pub(super) struct Whole {
    pub(super) set: Set,
    pub(super) state: SnapshotFile,
    pub(super) people: Vec<Person>,
}

impl Vault {
    pub(super) fn at(place: Where) -> Result<Self> {
        let patience = Duration::from_secs(place.patience_s.max(1));
        let remote = Remote::of(&place.repository, patience)?;
        Ok(Self { place, remote: remote.map(Arc::new), key: None })
    }

    /// Makes it.
    pub(super) fn init(&mut self) -> Result<()> {
        let place = &self.place.repository;
        if self.has_config()? {
            return Err(format!("there is a repository in {place} already; it can be used"));
        }
        let is_empty = match (place, &self.remote) {
            (_, Some(remote)) => remote.is_empty().map_err(said)?,
            (Place::Directory(path), None) => {
                fs::read_dir(path).into_iter().flatten().next().is_none()
            }
            (Place::Sftp(_) | Place::S3(_), None) => true,
        };
        if !is_empty {
            return Err(format!(
                "{place} is not empty; name an empty directory, or one that is not there yet, as \
                 backup.repository"
            ));
        }
        let credentials = Credentials::Password(self.password()?);
        let made = self.unopened(false)?;
        let made = made.init(&credentials, &KeyOptions::default(), &ConfigOptions::default());
        self.key = Some(made.map_err(|error| self.failed("make a repository in", &error))?.key());
        Ok(())
    }

    /// Whoever reads here reads what is really there.
    pub(super) fn open(&mut self) -> Result<Repository<OpenStatus>> {
        self.opened(false)
    }

    /// The same, where what was read of it before may be had from this machine: a backup looks at each folder of
    /// the one before.
    pub(super) fn open_to_write(&mut self) -> Result<Repository<OpenStatus>> {
        self.opened(self.remote.is_some())
    }

    fn opened(&mut self, cached: bool) -> Result<Repository<OpenStatus>> {
        if !self.has_config()? {
            let remedy = match self.place.repository {
                Place::Directory(_) => "see that its disk is mounted",
                Place::Sftp(_) | Place::S3(_) => "see that backup.repository names the right place",
            };
            return Err(format!(
                "there is no repository in {}; {remedy}, or make one there by: lattice backup init",
                self.place.repository
            ));
        }
        let credentials = match &self.key {
            Some(key) => Credentials::Masterkey(key.clone()),
            None => Credentials::Password(self.password()?),
        };
        let opened = self.unopened(cached)?.open(&credentials).map_err(|error| {
            match error.is_incorrect_password() && self.trouble().is_none() {
                true => format!(
                    "the password in {} is not that of the repository in {}; name the file with the \
                     right one as backup.password_file",
                    self.place.password_file.display(),
                    self.place.repository
                ),
                false => self.failed("open the repository in", &error),
            }
        })?;
        self.key = Some(opened.key());
        Ok(opened)
    }

    fn has_config(&self) -> Result<bool> {
        match (&self.place.repository, &self.remote) {
            (_, Some(remote)) => {
                // What was asked for before may have come to nothing.
                remote.revive();
                remote.has_config().map_err(said)
            }
            (Place::Directory(path), None) => Ok(path.join("config").is_file()),
            (Place::Sftp(_) | Place::S3(_), None) => Ok(false),
        }
    }

    fn unopened(&self, cached: bool) -> Result<Repository<()>> {
        let backend: Arc<dyn WriteBackend> = match (&self.place.repository, &self.remote) {
            (Place::Directory(path), _) => {
                let text =
                    path.to_str().ok_or_else(|| format!("{} is no Unicode", path.display()))?;
                let backend = LocalBackend::new(text, []);
                Arc::new(backend.map_err(|error| self.failed("reach", &error))?)
            }
            (_, Some(remote)) => remote.clone(),
            (place, None) => return Err(format!("{place} cannot be reached")),
        };
        let options = match cached {
            true => RepositoryOptions::default().cache_dir(self.place.cache.clone()),
            false => RepositoryOptions::default().no_cache(true),
        };
        Repository::new(&options, &RepositoryBackends::new(backend, None))
            .map_err(|error| self.failed("reach", &error))
    }

    /// What of it this machine remembers is read anew.
    pub(super) fn drop_cache(&self) {
        if self.remote.is_some() {
            let _ = fs::remove_dir_all(&self.place.cache);
        }
    }

    fn password(&self) -> Result<String> {
        let path = &self.place.password_file;
        let read = fs::read_to_string(path)
            .map_err(|error| format!("read backup.password_file {}: {error}", path.display()))?;
        let password = read.lines().next().unwrap_or_default().to_owned();
        match password.is_empty() {
            true => Err(format!(
                "{} has no password in its first line; write one there",
                path.display()
            )),
            false => Ok(password),
        }
    }

    pub(super) fn forget(&mut self, snapshots: &[String]) -> Result<()> {
        let ids = snapshots.iter().map(|id| id.parse());
        let ids: Vec<SnapshotId> = ids
            .collect::<std::result::Result<_, _>>()
            .map_err(|error: Box<RusticError>| self.failed("forget something of", &error))?;
        let deleted = self.open()?.delete_snapshots(&ids);
        deleted.map_err(|error| self.failed("forget something of", &error))
    }

    /// Forgets backups that are not kept any longer, and what belongs to none; how many backups.
    pub(super) fn tidy(&mut self, keep: Keep) -> Result<u64> {
        let repository = self.open_to_write()?;
        let all = self.ours(&repository)?;
        let sets = whole(&all);
        let times: Vec<_> = sets.iter().map(|it| (it.set.id.clone(), it.set.at)).collect();
        let gone: BTreeSet<_> = backups::to_go(&times, keep).into_iter().collect();
        let mut kept = BTreeSet::new();
        for it in sets.iter().filter(|it| !gone.contains(&it.set.id)) {
            kept.insert(it.set.id.clone());
            kept.extend(it.people.iter().map(|person| person.snapshot.clone()));
        }
        let stale = all.iter().filter(|one| !kept.contains(&name(one)));
        let stale: Vec<SnapshotId> = stale.map(|one| one.id).collect();
        if !stale.is_empty() {
            let tidied = repository.delete_snapshots(&stale).and_then(|()| {
                // What goes is marked first and removed a day later, so that whoever reads meanwhile can.
                let options = PruneOptions::default();
                let plan = repository.prune_plan(&options)?;
                repository.prune(&options, plan)
            });
            tidied.map_err(|error| self.failed("give back room in", &error))?;
        }
        if let Some(remote) = &self.remote {
            remote.sweep();
        }
        Ok(gone.len() as u64)
    }

    /// The newest first.
    pub(super) fn sets(&mut self) -> Result<Vec<Whole>> {
        Ok(whole(&self.snapshots()?))
    }

    /// All that are ours.
    pub(super) fn snapshots(&mut self) -> Result<Vec<SnapshotFile>> {
        let repository = self.open()?;
        self.ours(&repository)
    }

    fn ours(&self, repository: &Repository<OpenStatus>) -> Result<Vec<SnapshotFile>> {
        let all = repository.get_all_snapshots();
        let mut all = all.map_err(|error| self.failed("list what is in", &error))?;
        all.retain(|one| one.hostname == HOST);
        Ok(all)
    }

    /// Reads everything.
    pub(super) fn check(&mut self) -> Result<()> {
        let options = CheckOptions::default().read_data(true);
        let results = self.open()?.check(options);
        self.sound(results.map_err(|error| self.failed("check", &error))?)
    }

    /// Whether all is there that a backup needs which has just been made: what an earlier one wrote is not
    /// written again, and may have been lost.
    pub(super) fn confirm(&mut self, set: &str) -> Result<()> {
        let repository = self.open_to_write()?;
        let all = self.ours(&repository)?;
        let of = whole(&all).into_iter().find(|it| it.set.id == set);
        let Some(of) = of else {
            return Err(format!(
                "the backup that was just written to {} is not whole there; look at its disk",
                self.place.repository
            ));
        };
        let is_in = |one: &&SnapshotFile| of.people.iter().any(|it| it.snapshot == name(one));
        let trees = all.iter().filter(is_in).map(|one| one.tree).chain([of.state.tree]).collect();
        let options = CheckOptions::default().trust_cache(true);
        let results = repository.check_with_trees(options, trees);
        self.sound(results.map_err(|error| self.failed("check", &error))?)
    }

    fn sound(&self, results: CheckResults) -> Result<()> {
        // One at a time, since the library gives no name to what it finds.
        let alone = results.0.into_iter().map(|one| CheckResults(vec![one]));
        let wrong = alone.filter(|one| one.is_ok().is_err());
        let told = wrong.filter_map(|one| one.0.first().map(|(_, error)| error.to_string()));
        let first =
            told.map(|text| one_line(&text)).find(|text| !TO_GO.iter().any(|it| text.contains(it)));
        let Some(first) = first else { return Ok(()) };
        Err(self.trouble().map_or_else(|| self.damaged(&first), said))
    }

    pub(super) fn damaged(&self, how: &str) -> String {
        format!(
            "the repository in {} is damaged: {how}; look at its disk, and make a backup into a new \
             repository",
            self.place.repository
        )
    }

    pub(super) fn repository(&self) -> &Place {
        &self.place.repository
    }

    /// Why the other machine is not asked any more.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.remote.as_ref()?.trouble()
    }

    /// What the library says, as one line.
    pub(super) fn failed(&self, step: &str, error: &RusticError) -> String {
        let path = &self.place.repository;
        // Whatever went wrong then did so since nothing answers.
        if let Some(trouble) = self.trouble() {
            return said(trouble);
        }
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(one) = cause {
            if let Some(trouble) = one.downcast_ref::<Trouble>() {
                return said(trouble.clone());
            }
            if one.downcast_ref::<io::Error>().is_some_and(is_full) {
                return self.full();
            }
            cause = one.source();
        }
        format!("{step} {path}: {}", one_line(&error.display_log()))
    }

    pub(super) fn full(&self) -> String {
        format!(
            "no room is left for the backup in {}; make room there, or keep fewer by backup.keep_daily, \
             keep_weekly and keep_monthly",
            self.place.repository
        )
    }
}

fn said(trouble: Trouble) -> String {
    trouble.0
}

/// As it is named in lines.
pub(super) fn name(snapshot: &SnapshotFile) -> String {
    snapshot.id.to_hex().as_str().to_owned()
}

/// Which of these are the last of a whole backup, the newest first.
fn whole(all: &[SnapshotFile]) -> Vec<Whole> {
    let bytes = |one: &SnapshotFile| one.summary.as_ref().map_or(0, |it| it.total_bytes_processed);
    let known: BTreeMap<_, _> = all.iter().map(|one| (name(one), bytes(one))).collect();
    let read = |state: &SnapshotFile| {
        let manifest: Manifest = serde_json::from_str(state.description.as_ref()?).ok()?;
        let mut all = bytes(state);
        for person in &manifest.people {
            all += known.get(&person.snapshot)?;
        }
        let set = Set {
            id: name(state),
            at: u64::try_from(state.time.timestamp().as_second()).unwrap_or(0),
            people: manifest.people.len() as u64,
            bytes: all,
        };
        Some(Whole { set, state: state.clone(), people: manifest.people })
    };
    let mut sets: Vec<_> = all.iter().filter(|one| one.label == STATE).filter_map(read).collect();
    sets.sort_by(|one, other| other.state.time.cmp(&one.state.time));
    sets
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
