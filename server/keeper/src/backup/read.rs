//! Reading files into the repository.

use super::vault::{HOST, Manifest, STATE, Vault, name};
use super::{Result, meta};
use crate::beneath::Root;
use crate::repository::Opener;
use crate::walk::{Shared, Walk, lock};
use lattice_engine::snapshots::is_short_of_room;
use lattice_wire::backup::{Of, Part, Person, Read};
use lattice_wire::snapshots::What;
use rustic_core::repofile::{Node, NodeType};
use rustic_core::{BackupOptions, ReadSource, ReadSourceEntry, RusticResult, SnapshotOptions};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec;

/// Reads what is in these directories. A directory that is not there is left out.
pub(super) fn read(vault: &mut Vault, of: Of, parts: &[Part], people: &[Person]) -> Result<Read> {
    let label = match of {
        Of::Person(number) => format!("person-{number}"),
        Of::State => STATE.to_owned(),
    };
    let source = Source::open(parts)?;
    let mut options = SnapshotOptions::default().label(label.clone()).host(HOST.to_owned());
    if of == Of::State {
        let manifest = Manifest { people: people.to_vec() };
        let text = serde_json::to_string(&manifest).map_err(|error| error.to_string())?;
        options = options.description(text);
    }
    let repository = vault.open()?;
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
        vault.forget(&[name(&made)])?;
        return Err(match has_little_room(vault.repository()) {
            true => vault.full(),
            false => format!(
                "of {expected} files {} could be written to {}, so there is no backup; see whether \
                 its disk is well",
                summary.total_files_processed,
                vault.repository().display()
            ),
        });
    }
    Ok(Read {
        snapshot: name(&made),
        files: expected,
        bytes: summary.total_bytes_processed,
        added: summary.data_added_packed,
        left_out: tally.left_out + failed,
    })
}

fn has_little_room(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|disk| {
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        is_short_of_room(bytes(disk.f_bavail), bytes(disk.f_blocks))
    })
}

/// Directories, as the library reads them.
struct Source {
    parts: Vec<(PathBuf, Arc<Root>)>,
    tally: Shared,
    failed: Arc<AtomicU64>,
}

struct Entries {
    parts: vec::IntoIter<(PathBuf, Arc<Root>)>,
    now: Option<(PathBuf, Arc<Root>, Walk)>,
    tally: Shared,
    failed: Arc<AtomicU64>,
}

impl Source {
    fn open(parts: &[Part]) -> Result<Self> {
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
        Ok(Self { parts: opened, tally: Shared::default(), failed: Arc::default() })
    }
}

impl ReadSource for Source {
    type Open = Opener;
    type Iter = Entries;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Entries {
        let (tally, failed) = (self.tally.clone(), self.failed.clone());
        Entries { parts: self.parts.clone().into_iter(), now: None, tally, failed }
    }
}

impl Entries {
    /// The directory itself, where it has a name; what is in it comes next.
    fn begin(&mut self, name: PathBuf, root: Arc<Root>) -> Option<ReadSourceEntry<Opener>> {
        let walk = Walk::new(root.clone(), None, self.tally.clone());
        let node = meta::of_root(&root)
            .ok()
            .filter(|_| !name.as_os_str().is_empty())
            .map(|meta| Node::new_node(name.file_name().unwrap_or_default(), NodeType::Dir, meta));
        self.now = Some((name.clone(), root, walk));
        Some(ReadSourceEntry { path: name, node: node?, open: None })
    }

    fn found(&mut self) -> Option<ReadSourceEntry<Opener>> {
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
            let open = (found.what == What::File)
                .then(|| Opener::new(root.clone(), found.path.clone(), self.failed.clone()));
            return Some(ReadSourceEntry { path: prefix.join(&found.path), node, open });
        }
    }
}

impl Iterator for Entries {
    type Item = RusticResult<ReadSourceEntry<Opener>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.found() {
                return Some(Ok(entry));
            }
            let (name, root) = self.parts.next()?;
            if let Some(entry) = self.begin(name, root) {
                return Some(Ok(entry));
            }
        }
    }
}
