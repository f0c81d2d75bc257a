//! What is known of the snapshots of one person: a directory beside nobody's Data, with a file for each.
//!
//! ```text
//! <store>/            0700
//!   lock              held by whoever changes anything
//!   reading           held by whoever reads a snapshot, so that nothing is taken away below them
//!   records/ID.json   a snapshot that is whole
//!   btrfs/ID          read-only subvolumes
//!   repository/  key  of restic's format, and what it is encrypted with
//!   ready             what was read ahead of the next snapshot
//!   pruned            when the repository last gave back what nothing needs
//!   staged            what is laid out in Data, to be put in its place
//! ```
//!
//! INVARIANT: a record is written last and removed first. What has none is not there, and goes with the
//! next tidying.

use crate::fault::{Fault, Result};
use lattice_engine::snapshots;
use lattice_wire::snapshots::{Inside, Snapshot, SnapshotId};
use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What is kept of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) snapshot: Snapshot,
    /// What Data came to.
    pub(crate) fingerprint: String,
    /// What was laid out in the root of Data when btrfs kept it with all the rest.
    pub(crate) without: Option<String>,
    /// Where it is, in a repository.
    pub(crate) in_repository: Option<InRepository>,
}

/// A snapshot as a repository knows it: its file, and its root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct InRepository {
    pub(crate) file: String,
    pub(crate) tree: String,
}

/// What is laid out in Data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Staged {
    /// The directory in the root of Data.
    pub(crate) name: String,
    /// That very one, whatever its owner may have put in its place.
    pub(crate) inode: u64,
    /// Where it belongs.
    pub(crate) path: Inside,
}

/// The directory.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) dir: PathBuf,
}

impl Shelf {
    /// Makes what is missing.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let private = |path: &Path| DirBuilder::new().mode(0o700).recursive(true).create(path);
        private(dir)
            .and_then(|()| private(&dir.join("records")))
            .map_err(Fault::step("make the directory for snapshots"))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Waits until nobody else changes anything; until the file is closed nobody does.
    pub(crate) fn lock(&self) -> Result<File> {
        let file = self.lock_file("lock")?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| Fault::step("lock the snapshots")(error.into()))?;
        Ok(file)
    }

    /// Until the file is closed nothing goes.
    pub(crate) fn read(&self) -> Result<File> {
        let file = self.lock_file("reading")?;
        flock(&file, FlockOperation::LockShared)
            .map_err(|error| Fault::step("lock the snapshots")(error.into()))?;
        Ok(file)
    }

    /// Nothing where somebody reads.
    pub(crate) fn while_nobody_reads(&self) -> Result<Option<File>> {
        let file = self.lock_file("reading")?;
        Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(file))
    }

    fn lock_file(&self, name: &str) -> Result<File> {
        let mut options = OpenOptions::new();
        let options = options.create(true).append(true).mode(0o600);
        options.open(self.dir.join(name)).map_err(Fault::step("open a lock"))
    }

    /// The newest first. One that cannot be read is none.
    pub(crate) fn records(&self) -> Result<Vec<Record>> {
        let listed = fs::read_dir(self.dir.join("records"));
        let entries = listed.map_err(Fault::step("list the snapshots"))?;
        let records = entries.filter_map(|entry| self.load(&entry.ok()?.path()).ok().flatten());
        let mut records: Vec<Record> = records.collect();
        records.sort_by(|one, other| {
            (other.snapshot.at, &other.snapshot.id).cmp(&(one.snapshot.at, &one.snapshot.id))
        });
        Ok(records)
    }

    pub(crate) fn record(&self, id: &SnapshotId) -> Result<Record> {
        let read = self.load(&self.record_path(id)).map_err(Fault::step("read of a snapshot"))?;
        read.ok_or_else(|| {
            Fault::missing(
                "there is no such snapshot, or it is not kept any longer; list them again",
            )
        })
    }

    pub(crate) fn put(&self, record: &Record) -> Result<()> {
        self.save(&self.record_path(&record.snapshot.id), record)
    }

    pub(crate) fn remove(&self, id: &SnapshotId) -> Result<()> {
        remove_file(&self.record_path(id))
    }

    fn record_path(&self, id: &SnapshotId) -> PathBuf {
        self.dir.join("records").join(format!("{id}.json"))
    }

    pub(crate) fn staged(&self) -> Result<Option<Staged>> {
        self.load(&self.dir.join("staged")).map_err(Fault::step("read what is laid out"))
    }

    pub(crate) fn set_staged(&self, staged: Option<&Staged>) -> Result<()> {
        match staged {
            Some(staged) => self.save(&self.dir.join("staged"), staged),
            None => remove_file(&self.dir.join("staged")),
        }
    }

    pub(crate) fn ready(&self) -> Option<String> {
        self.load(&self.dir.join("ready")).ok().flatten()
    }

    pub(crate) fn set_ready(&self, file: Option<&String>) -> Result<()> {
        match file {
            Some(file) => self.save(&self.dir.join("ready"), file),
            None => remove_file(&self.dir.join("ready")),
        }
    }

    /// When room was last given back.
    pub(crate) fn pruned(&self) -> Option<u64> {
        self.load(&self.dir.join("pruned")).ok().flatten()
    }

    pub(crate) fn set_pruned(&self, at: u64) -> Result<()> {
        self.save(&self.dir.join("pruned"), &at)
    }

    /// What is written by [`Shelf::save`]; nothing where it is not there.
    pub(crate) fn load<T: DeserializeOwned>(&self, path: &Path) -> io::Result<Option<T>> {
        match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => Ok(Some(serde_json::from_slice(&read?)?)),
        }
    }

    /// Nobody ever reads half of it, and it is there after a power cut.
    pub(crate) fn save(&self, path: &Path, what: &impl Serialize) -> Result<()> {
        let written = || -> io::Result<()> {
            let unfinished = path.with_extension("new");
            let mut options = OpenOptions::new();
            let options = options.create(true).write(true).truncate(true).mode(0o600);
            let mut file = options.open(&unfinished)?;
            file.write_all(&serde_json::to_vec(what)?)?;
            file.sync_all()?;
            fs::rename(&unfinished, path)
        };
        written().map_err(Fault::step("note a snapshot"))
    }

    /// Whether little room is left for any.
    pub(crate) fn is_short_of_room(&self) -> Result<bool> {
        let disk = rustix::fs::statvfs(&self.dir)
            .map_err(|error| Fault::step("look how much room there is")(error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(snapshots::is_short_of_room(bytes(disk.f_bavail), bytes(disk.f_blocks)))
    }
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Fault::step("forget a snapshot")(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
