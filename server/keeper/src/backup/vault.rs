//! The repository: opened by its password, tidied, checked.

use super::Result;
use crate::fault::is_full;
use lattice_engine::backups;
use lattice_wire::backup::{Keep, Person, Set, Where};
use rustic_backend::LocalBackend;
use rustic_core::repofile::{MasterKey, SnapshotFile, SnapshotId};
use rustic_core::{
    CheckOptions, ConfigOptions, Credentials, KeyOptions, OpenStatus, PruneOptions, Repository,
    RepositoryBackends, RepositoryOptions, RusticError,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// Whose snapshots are ours in a repository that others may use, too.
pub(super) const HOST: &str = "lattice";
/// What the snapshot of the server's state is called.
pub(super) const STATE: &str = "state";

/// Where it is, and what opens it once it has been opened.
pub(super) struct Vault {
    place: Where,
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
    pub(super) fn at(place: Where) -> Self {
        Self { place, key: None }
    }

    /// Makes it.
    pub(super) fn init(&mut self) -> Result<()> {
        let path = &self.place.repository;
        if path.join("config").exists() {
            return Err(format!(
                "there is a repository in {} already; it can be used",
                path.display()
            ));
        }
        let mut found = fs::read_dir(path).into_iter().flatten();
        if found.next().is_some() {
            return Err(format!(
                "{} is not empty; name an empty directory, or one that is not there yet, as \
                 backup.repository",
                path.display()
            ));
        }
        let credentials = Credentials::Password(self.password()?);
        let made = self.unopened()?;
        let made = made.init(&credentials, &KeyOptions::default(), &ConfigOptions::default());
        self.key = Some(made.map_err(|error| self.failed("make a repository in", &error))?.key());
        Ok(())
    }

    pub(super) fn open(&mut self) -> Result<Repository<OpenStatus>> {
        let path = &self.place.repository;
        if !path.join("config").is_file() {
            return Err(format!(
                "there is no repository in {}; see that its disk is mounted, or make one there by: \
                 lattice backup init",
                path.display()
            ));
        }
        let credentials = match &self.key {
            Some(key) => Credentials::Masterkey(key.clone()),
            None => Credentials::Password(self.password()?),
        };
        let opened = self.unopened()?.open(&credentials).map_err(|error| {
            match error.is_incorrect_password() {
                true => format!(
                    "the password in {} is not that of the repository in {}; name the file with the \
                     right one as backup.password_file",
                    self.place.password_file.display(),
                    path.display()
                ),
                false => self.failed("open the repository in", &error),
            }
        })?;
        self.key = Some(opened.key());
        Ok(opened)
    }

    fn unopened(&self) -> Result<Repository<()>> {
        let path = &self.place.repository;
        let text = path.to_str().ok_or_else(|| format!("{} is no Unicode", path.display()))?;
        let backend = LocalBackend::new(text, []);
        let backend = backend.map_err(|error| self.failed("reach", &error))?;
        let backends = RepositoryBackends::new(Arc::new(backend), None);
        Repository::new(&RepositoryOptions::default().no_cache(true), &backends)
            .map_err(|error| self.failed("reach", &error))
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
        let all = self.snapshots()?;
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
        if stale.is_empty() {
            return Ok(0);
        }
        let repository = self.open()?;
        let tidied = repository.delete_snapshots(&stale).and_then(|()| {
            // What goes is marked first and removed a day later, so that whoever reads meanwhile can.
            let options = PruneOptions::default();
            let plan = repository.prune_plan(&options)?;
            repository.prune(&options, plan)
        });
        tidied.map_err(|error| self.failed("give back room in", &error))?;
        Ok(gone.len() as u64)
    }

    /// The newest first.
    pub(super) fn sets(&mut self) -> Result<Vec<Whole>> {
        Ok(whole(&self.snapshots()?))
    }

    /// All that are ours.
    pub(super) fn snapshots(&mut self) -> Result<Vec<SnapshotFile>> {
        let all = self.open()?.get_all_snapshots();
        let mut all = all.map_err(|error| self.failed("list what is in", &error))?;
        all.retain(|one| one.hostname == HOST);
        Ok(all)
    }

    /// Reads everything.
    pub(super) fn check(&mut self) -> Result<()> {
        let options = CheckOptions::default().read_data(true);
        let repository = self.open()?;
        // Of what is damaged in certain ways the library says nothing and panics.
        let checked = catch_unwind(AssertUnwindSafe(|| repository.check(options)));
        let Ok(results) = checked else {
            return Err(format!(
                "the repository in {} is damaged so that it cannot be read; look at its disk, and make a \
                 backup into a new one",
                self.repository().display()
            ));
        };
        let results = results.map_err(|error| self.failed("check", &error))?;
        let Err(error) = results.is_ok() else { return Ok(()) };
        let first = results.0.first().map(|(_, error)| error.to_string());
        Err(format!(
            "the repository in {} is damaged: {}; look at its disk, and make a backup into a new \
             repository",
            self.place.repository.display(),
            one_line(&first.unwrap_or_else(|| error.to_string()))
        ))
    }

    pub(super) fn repository(&self) -> &Path {
        &self.place.repository
    }

    /// What the library says, as one line.
    pub(super) fn failed(&self, step: &str, error: &RusticError) -> String {
        let path = self.place.repository.display();
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(one) = cause {
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
            self.place.repository.display()
        )
    }
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
