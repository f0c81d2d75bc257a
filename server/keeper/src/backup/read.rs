//! Reading files into the repository.

use super::hold::{Ahead, Held, Stamp};
use super::vault::{HOST, Manifest, STATE, Vault, name};
use super::{Result, meta};
use crate::beneath::Root;
use crate::repository::Opener;
use crate::walk::{Shared, Walk, lock};
use lattice_engine::snapshots::is_short_of_room;
use lattice_wire::backup::{Of, Part, Person, Place, Read};
use lattice_wire::snapshots::What;
use rustic_core::repofile::{Node, NodeType};
use rustic_core::{BackupOptions, ReadSource, ReadSourceEntry, RusticResult, SnapshotOptions};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

/// Reads what is in these directories, or what was held of them. A directory that is not there is left out.
pub(super) fn read(
    vault: &mut Vault,
    of: Of,
    parts: &[Part],
    people: &[Person],
    held: Option<Held>,
) -> Result<(Read, Ahead)> {
    let label = match of {
        Of::Person(number) => format!("person-{number}"),
        Of::State => STATE.to_owned(),
    };
    let source = match &held {
        Some(held) => Source::held(held),
        None => Source::live(parts)?,
    };
    let mut options = SnapshotOptions::default().label(label.clone()).host(HOST.to_owned());
    if of == Of::State {
        let manifest = Manifest { people: people.to_vec() };
        let text = serde_json::to_string(&manifest).map_err(|error| error.to_string())?;
        options = options.description(text);
    }
    let repository = vault.open_to_write()?;
    let archived = options.to_snapshot().and_then(|snapshot| {
        let repository = repository.to_indexed_ids()?;
        let options = BackupOptions::default().no_scan(true);
        let made = repository.archive(&options, &source, snapshot, &[PathBuf::from(label)])?;
        Ok(made)
    });
    let made = archived.map_err(|error| vault.failed("write to", &error))?;
    let failed = source.failed.load(Ordering::Relaxed);
    let tally = lock(&source.tally).clone();
    let summary = made.summary.clone().unwrap_or_default();
    // The library notes in its log alone what it could not write.
    let expected = (tally.files + tally.links).saturating_sub(failed);
    if summary.total_files_processed != expected {
        if let Some(trouble) = vault.trouble() {
            return Err(trouble.0);
        }
        vault.forget(&[name(&made)])?;
        return Err(match has_little_room(vault.repository()) {
            true => vault.full(),
            false => format!(
                "of {expected} files {} could be written to {}, so there is no backup; see whether \
                 its disk is well",
                summary.total_files_processed,
                vault.repository()
            ),
        });
    }
    let read = Read {
        snapshot: name(&made),
        files: expected,
        bytes: summary.total_bytes_processed,
        added: summary.data_added_packed,
        left_out: tally.left_out + failed,
    };
    let ahead = source.ahead.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok((read, ahead.unwrap_or_else(Ahead::begin)))
}

fn has_little_room(place: &Place) -> bool {
    let Place::Directory(path) = place else { return false };
    rustix::fs::statvfs(path).is_ok_and(|disk| {
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        is_short_of_room(bytes(disk.f_bavail), bytes(disk.f_blocks))
    })
}

/// Something to be kept.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// In the backup.
    pub(super) path: PathBuf,
    node: Node,
    /// Where what is in a file is read.
    pub(super) from: Option<(Arc<Root>, PathBuf)>,
    pub(super) stamp: Stamp,
}

/// All that is in some directories, one after the other.
#[derive(Debug)]
pub(super) struct Walks {
    parts: vec::IntoIter<(PathBuf, Arc<Root>)>,
    now: Option<(PathBuf, Arc<Root>, Walk)>,
    pub(super) tally: Shared,
}

impl Walks {
    pub(super) fn of(parts: &[Part]) -> Result<Self> {
        let mut opened = Vec::new();
        for part in parts {
            match Root::open(&part.path) {
                Ok(root) => opened.push((PathBuf::from(&part.name), Arc::new(root))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("read {}: {error}", part.path.display())),
            }
        }
        // Entries come by name, or they are not found in the backup before.
        opened.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Self { parts: opened.into_iter(), now: None, tally: Shared::default() })
    }

    /// The directory itself, where it has a name; what is in it comes next.
    fn begin(&mut self, name: PathBuf, root: Arc<Root>) -> Option<Entry> {
        let walk = Walk::new(root.clone(), None, self.tally.clone());
        let meta = meta::of_root(&root).ok().zip(rustix::fs::fstat(&root).ok());
        let own = meta.filter(|_| !name.as_os_str().is_empty());
        self.now = Some((name.clone(), root, walk));
        let (meta, stat) = own?;
        let node = Node::new_node(name.file_name().unwrap_or_default(), NodeType::Dir, meta);
        Some(Entry { path: name, node, from: None, stamp: Stamp::of(&stat) })
    }

    fn found(&mut self) -> Option<Entry> {
        let (prefix, root, walk) = self.now.as_mut()?;
        loop {
            let found = walk.next()?;
            let kind = match found.what {
                What::Folder => NodeType::Dir,
                What::File => NodeType::File,
                What::Link => match root.link(&found.path) {
                    Ok(target) => NodeType::from_link(Path::new(&target)),
                    // It was removed meanwhile.
                    Err(_) => {
                        lock(&self.tally).links -= 1;
                        continue;
                    }
                },
            };
            let name = found.path.file_name().unwrap_or(OsStr::new(""));
            let node = Node::new_node(name, kind, meta::of(root, &found));
            let from = (found.what == What::File).then(|| (root.clone(), found.path.clone()));
            let stamp = Stamp::of(&found.stat);
            return Some(Entry { path: prefix.join(&found.path), node, from, stamp });
        }
    }
}

impl Iterator for Walks {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.found() {
                return Some(entry);
            }
            let (name, root) = self.parts.next()?;
            if let Some(entry) = self.begin(name, root) {
                return Some(entry);
            }
        }
    }
}

/// The same, as the library reads it: once.
struct Source {
    entries: Mutex<Option<Box<dyn Iterator<Item = Entry> + Send>>>,
    tally: Shared,
    failed: Arc<AtomicU64>,
    /// What is found, as it is.
    ahead: Noted,
}

type Noted = Arc<Mutex<Option<Ahead>>>;

struct Entries {
    entries: Box<dyn Iterator<Item = Entry> + Send>,
    failed: Arc<AtomicU64>,
    ahead: Noted,
}

impl Source {
    fn live(parts: &[Part]) -> Result<Self> {
        let walks = Walks::of(parts)?;
        let tally = walks.tally.clone();
        Ok(Self::new(Box::new(walks), tally))
    }

    fn held(held: &Held) -> Self {
        let tally = Arc::new(Mutex::new(held.tally.clone()));
        Self::new(Box::new(held.entries.clone().into_iter()), tally)
    }

    fn new(entries: Box<dyn Iterator<Item = Entry> + Send>, tally: Shared) -> Self {
        let ahead = Arc::new(Mutex::new(Some(Ahead::begin())));
        Self { entries: Mutex::new(Some(entries)), tally, failed: Arc::default(), ahead }
    }
}

impl ReadSource for Source {
    type Open = Opener;
    type Iter = Entries;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Entries {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner).take();
        let entries = entries.unwrap_or_else(|| Box::new(std::iter::empty()));
        Entries { entries, failed: self.failed.clone(), ahead: self.ahead.clone() }
    }
}

impl Iterator for Entries {
    type Item = RusticResult<ReadSourceEntry<Opener>>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        if let Some(ahead) = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            ahead.note(&entry);
        }
        let Entry { path, node, from, .. } = entry;
        let open = from.map(|(root, path)| Opener::new(root, path, self.failed.clone()));
        Some(Ok(ReadSourceEntry { path, node, open }))
    }
}
