//! Snapshots in a repository of restic's format, where the file system makes none: each piece of a file
//! is kept once, however many snapshots and files it is in. What they are encrypted with lies beside it,
//! since whoever reads the one reads the other; a backup elsewhere is another matter.
//!
//! Data is read by a walk of ours, which follows no link, and not by the library's own.

use crate::beneath::Root;
use crate::fault::{Fault, Result};
use crate::shelf::{InRepository, Shelf};
use crate::walk::{Shared, Tally, Walk, lock};
use lattice_wire::snapshots::{Refusal, What};
use rustic_backend::LocalBackend;
use rustic_core::jiff::Timestamp;
use rustic_core::repofile::{MasterKey, Metadata, Node, NodeType, SnapshotFile, SnapshotId};
use rustic_core::{
    BackupOptions, ConfigOptions, Credentials, ErrorKind, IndexedFullStatus, KeyOptions,
    OpenStatus, PruneOptions, ReadSource, ReadSourceEntry, ReadSourceOpen, RepositoryBackends,
    RepositoryOptions, RusticError, RusticResult, SnapshotOptions,
};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Take};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What all snapshots are said to be of, so that the next one finds the last to compare with.
const OF: &str = "Data";
/// The type of a node in a mode as restic writes it, which is Go's.
const GO_FOLDER: u32 = 1 << 31;
const GO_LINK: u32 = 1 << 27;

/// Opens it, and makes it where there is none.
pub(crate) fn open(shelf: &Shelf) -> Result<rustic_core::Repository<OpenStatus>> {
    let (dir, key) = (shelf.dir.join("repository"), shelf.dir.join("key"));
    let known: Option<MasterKey> =
        shelf.load(&key).map_err(Fault::step("read the key of the repository"))?;
    let has_any = dir.join("config").exists();
    let credentials = match known {
        Some(known) => Credentials::Masterkey(known),
        None if has_any => {
            let detail = "the key of the repository of snapshots is gone; the administrator must put \
                          it back beside the repository";
            return Err(Fault::new(Refusal::Failed, detail));
        }
        None => {
            let fresh = MasterKey::new();
            shelf.save(&key, &fresh)?;
            Credentials::Masterkey(fresh)
        }
    };
    let path = dir.to_str().ok_or_else(|| Fault::new(Refusal::Failed, "its path is no Unicode"))?;
    let backend = LocalBackend::new(path, [])?;
    let backends = RepositoryBackends::new(Arc::new(backend), None);
    let options = RepositoryOptions::default().no_cache(true);
    let repository = rustic_core::Repository::new(&options, &backends)?;
    Ok(match has_any {
        true => repository.open(&credentials)?,
        false => {
            repository.init(&credentials, &KeyOptions::default(), &ConfigOptions::default())?
        }
    })
}

/// The same, with all that is needed to read what is in it.
pub(crate) fn open_to_read(shelf: &Shelf) -> Result<rustic_core::Repository<IndexedFullStatus>> {
    Ok(open(shelf)?.to_indexed()?)
}

/// Reads all of Data but what has that name in its root.
pub(crate) fn add(
    shelf: &Shelf,
    data: &Arc<Root>,
    but: Option<&OsString>,
) -> Result<(InRepository, Tally)> {
    let repository = open(shelf)?.to_indexed_ids()?;
    let snapshot =
        SnapshotOptions::default().label(OF.to_owned()).host("lattice".to_owned()).to_snapshot()?;
    let source = Source {
        data: data.clone(),
        but: but.cloned(),
        tally: Shared::default(),
        failed: Arc::default(),
    };
    let options = BackupOptions::default().no_scan(true);
    let made = repository.archive(&options, &source, snapshot, &[PathBuf::from(OF)])?;
    let failed = source.failed.load(Ordering::Relaxed);
    let mut tally = lock(&source.tally).clone();
    // The library notes in its log alone what it could not write.
    let expected = tally.files + tally.links - failed.min(tally.files);
    let written = made.summary.as_ref().map_or(0, |summary| summary.total_files_processed);
    if written != expected {
        repository.delete_snapshots(&[made.id])?;
        return Err(match shelf.is_short_of_room()? {
            true => Fault::full(),
            false => Fault::new(
                Refusal::Failed,
                format!("of {expected} files {written} could be kept, so there is no snapshot"),
            ),
        });
    }
    tally.left_out += failed;
    Ok((of(&made), tally))
}

/// Forgets these, which need not be there. What only they have had stays until [`prune`].
pub(crate) fn forget(shelf: &Shelf, files: &[String]) -> Result<()> {
    let ids: Vec<SnapshotId> = files.iter().filter_map(|file| file.parse().ok()).collect();
    let repository = open(shelf)?;
    let known: Vec<_> = repository.list::<SnapshotId>()?.collect();
    let ids: Vec<_> = ids.into_iter().filter(|id| known.contains(id)).collect();
    Ok(repository.delete_snapshots(&ids)?)
}

/// All there are, also those that nobody knows of.
pub(crate) fn all(shelf: &Shelf) -> Result<Vec<String>> {
    let repository = open(shelf)?;
    Ok(repository.list::<SnapshotId>()?.map(|id| id.to_hex().as_str().to_owned()).collect())
}

/// Gives back the room that nothing needs any longer. Nobody is to read meanwhile.
pub(crate) fn prune(shelf: &Shelf) -> Result<()> {
    let repository = open(shelf)?;
    let options = PruneOptions::default().instant_delete(true);
    let plan = repository.prune_plan(&options)?;
    Ok(repository.prune(&options, plan)?)
}

fn of(made: &SnapshotFile) -> InRepository {
    InRepository {
        file: made.id.to_hex().as_str().to_owned(),
        tree: made.tree.to_hex().as_str().to_owned(),
    }
}

/// Data, as the library reads it.
struct Source {
    data: Arc<Root>,
    but: Option<OsString>,
    tally: Shared,
    failed: Arc<AtomicU64>,
}

struct Entries {
    walk: Walk,
    data: Arc<Root>,
    tally: Shared,
    failed: Arc<AtomicU64>,
}

/// Opens a file, and counts it where it cannot be.
pub(crate) struct Opener {
    data: Arc<Root>,
    path: PathBuf,
    failed: Arc<AtomicU64>,
}

/// A file that counts its faults, and ends where it ended when it was opened.
pub(crate) struct Reading {
    file: Take<File>,
    failed: Arc<AtomicU64>,
}

impl ReadSource for Source {
    type Open = Opener;
    type Iter = Entries;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Entries {
        let walk = Walk::new(self.data.clone(), self.but.as_ref(), self.tally.clone());
        let (data, tally) = (self.data.clone(), self.tally.clone());
        Entries { walk, data, tally, failed: self.failed.clone() }
    }
}

impl Iterator for Entries {
    type Item = RusticResult<ReadSourceEntry<Opener>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = self.walk.next()?;
            let (kind, go) = match found.what {
                What::Folder => (NodeType::Dir, GO_FOLDER),
                What::File => (NodeType::File, 0),
                What::Link => match self.data.link(&found.path) {
                    Ok(target) => (NodeType::from_link(Path::new(&target)), GO_LINK),
                    // It was removed meanwhile.
                    Err(_) => {
                        lock(&self.tally).links -= 1;
                        continue;
                    }
                },
            };
            let stat = &found.stat;
            let is_file = found.what == What::File;
            let meta = Metadata {
                mode: Some(stat.st_mode & 0o777 | go),
                mtime: time(stat.st_mtime, stat.st_mtime_nsec as i64),
                ctime: time(stat.st_ctime, stat.st_ctime_nsec as i64),
                inode: stat.st_ino,
                size: if is_file { stat.st_size as u64 } else { 0 },
                links: if is_file { 1 } else { 0 },
                ..Metadata::default()
            };
            let name = found.path.file_name().unwrap_or_default();
            let node = Node::new_node(name, kind, meta);
            let (data, failed) = (self.data.clone(), self.failed.clone());
            let open = is_file.then(|| Opener { data, path: found.path.clone(), failed });
            return Some(Ok(ReadSourceEntry { path: found.path, node, open }));
        }
    }
}

impl Opener {
    pub(crate) fn new(data: Arc<Root>, path: PathBuf, failed: Arc<AtomicU64>) -> Self {
        Self { data, path, failed }
    }
}

impl ReadSourceOpen for Opener {
    type Reader = Reading;

    fn open(self) -> RusticResult<Reading> {
        let opened = self.data.file(&self.path).and_then(|file| {
            let length = file.metadata()?.len();
            Ok(file.take(length))
        });
        match opened {
            Ok(file) => Ok(Reading { file, failed: self.failed }),
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                Err(RusticError::with_source(ErrorKind::InputOutput, "open a file", error))
            }
        }
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        })
    }
}

fn time(seconds: i64, nanoseconds: i64) -> Option<Timestamp> {
    Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
}
