//! A backup comes back into an empty directory, and every file there is compared with what the backup
//! says: its repository names each piece of a file by the SHA-256 of what is in it.

use super::vault::{Vault, Whole};
use super::{Result, meta};
use lattice_wire::backup::Restored;
use rustic_core::repofile::{Metadata, Node, NodeType, SnapshotFile};
use rustic_core::{
    IndexedFullStatus, LocalDestination, LsOptions, Repository, RestoreOptions, RusticResult,
    TreeId,
};
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

/// So many things that differ are told of.
const EXAMPLES: usize = 5;

/// Puts that backup, or the newest, into a directory that is empty or not there.
pub(super) fn restore(vault: &mut Vault, set: Option<&str>, into: &Path) -> Result<Restored> {
    let whole = choose(vault, set)?;
    prepare(into, &whole)?;
    let repository = vault.open()?.to_indexed();
    let repository = repository.map_err(|error| vault.failed("read", &error))?;
    let mut restored =
        Restored { set: whole.set.clone(), files: 0, bytes: 0, differing: 0, examples: Vec::new() };
    let unfinished =
        |error: String| format!("{error}; what is in {} is not whole, remove it", into.display());
    // What a server looks for first comes last.
    for person in &whole.people {
        let home = into.join("homes").join(person.number.to_string());
        let snapshot = repository.get_snapshots(&[&person.snapshot]);
        let snapshot = snapshot.map_err(|error| unfinished(vault.failed("read", &error)))?;
        let Some(snapshot) = snapshot.first() else {
            return Err(unfinished(vault.damaged("somebody's files are missing")));
        };
        one(vault, &repository, snapshot, &home, &mut restored).map_err(unfinished)?;
    }
    one(vault, &repository, &whole.state, into, &mut restored).map_err(unfinished)?;
    Ok(restored)
}

fn choose(vault: &mut Vault, set: Option<&str>) -> Result<Whole> {
    let sets = vault.sets()?;
    let known = |sets: &[Whole]| {
        let ids: Vec<_> = sets.iter().take(8).map(|it| it.set.id[..8].to_owned()).collect();
        ids.join(", ")
    };
    let matching = |it: &Whole| set.is_none_or(|asked| it.set.id.starts_with(asked));
    match sets.iter().position(matching) {
        Some(place) => Ok(sets.into_iter().nth(place).expect("it was just found")),
        None if sets.is_empty() => Err(format!(
            "there is no whole backup in {} yet; make one by: lattice backup",
            vault.repository()
        )),
        None => Err(format!(
            "there is no backup {}; the newest are {}",
            set.unwrap_or_default(),
            known(&sets)
        )),
    }
}

fn prepare(into: &Path, whole: &Whole) -> Result<()> {
    let failed = |error: io::Error| format!("make the directory {}: {error}", into.display());
    match fs::read_dir(into) {
        Ok(mut found) => {
            if found.next().is_some() {
                return Err(format!(
                    "{} is not empty, and nothing is written over what is there; name an empty \
                     directory, or move away what is in it",
                    into.display()
                ));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            private(into).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    let disk = rustix::fs::statvfs(into).map_err(|error| failed(error.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < whole.set.bytes {
        return Err(format!(
            "the backup is {} MiB, and {} has room for {} MiB; make room there, or name another \
             directory",
            whole.set.bytes >> 20,
            into.display(),
            free >> 20
        ));
    }
    Ok(())
}

fn private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

fn one(
    vault: &Vault,
    repository: &Repository<IndexedFullStatus>,
    snapshot: &SnapshotFile,
    into: &Path,
    restored: &mut Restored,
) -> Result<()> {
    private(into).map_err(|error| format!("make the directory {}: {error}", into.display()))?;
    let text = into.to_str().ok_or_else(|| format!("{} is no Unicode", into.display()))?;
    let root = root(snapshot.tree);
    let put = || -> RusticResult<()> {
        let nodes = repository.ls(&root, &LsOptions::default())?;
        let options = RestoreOptions::default().numeric_id(true);
        let there = LocalDestination::new(text, true, false)?;
        let plan = repository.prepare_restore(&options, nodes.clone(), &there, false)?;
        repository.restore(plan, &options, nodes, &there)
    };
    put().map_err(|error| vault.failed("restore from", &error))?;
    let nodes = repository.ls(&root, &LsOptions::default());
    for node in nodes.map_err(|error| vault.failed("read", &error))? {
        let (path, node) = node.map_err(|error| vault.failed("read", &error))?;
        if node.is_file() {
            restored.files += 1;
            restored.bytes += node.meta.size;
        }
        if let Err(why) = compare(repository, &into.join(&path), &node) {
            restored.differing += 1;
            if restored.examples.len() < EXAMPLES {
                restored.examples.push(format!("{}: {why}", into.join(&path).display()));
            }
        }
    }
    Ok(())
}

fn root(tree: TreeId) -> Node {
    let mut root = Node::new_node(OsStr::new(""), NodeType::Dir, Metadata::default());
    root.subtree = Some(tree);
    root
}

/// Whether a file is as the backup says; else how it differs.
fn compare(
    repository: &Repository<IndexedFullStatus>,
    path: &Path,
    node: &Node,
) -> std::result::Result<(), String> {
    let said = |error: io::Error| error.to_string();
    let found = fs::symlink_metadata(path).map_err(said)?;
    let kind = found.file_type();
    if (kind.is_dir(), kind.is_file(), kind.is_symlink())
        != (node.is_dir(), node.is_file(), node.is_symlink())
    {
        return Err("it is of another type".into());
    }
    if rustix::process::geteuid().is_root()
        && (Some(found.uid()), Some(found.gid())) != (node.meta.uid, node.meta.gid)
    {
        return Err(format!("it is owned by {}:{}", found.uid(), found.gid()));
    }
    if node.is_symlink() {
        let target = fs::read_link(path).map_err(said)?;
        let is_same = target == node.node_type.to_link();
        return is_same.then_some(()).ok_or_else(|| "it leads elsewhere".into());
    }
    let mode = node.meta.mode.map(meta::unix_mode);
    if mode.is_some_and(|mode| mode != found.mode() & 0o7777) {
        return Err(format!("its mode is {:o}", found.mode() & 0o7777));
    }
    let changed = node.meta.mtime.map(|at| (at.as_second(), i64::from(at.subsec_nanosecond())));
    // Before 1970 the two parts have other signs.
    if changed.is_some_and(|(s, _)| s >= 0) && changed != Some((found.mtime(), found.mtime_nsec()))
    {
        return Err("its time is another".into());
    }
    if node.is_file() { contents(repository, path, node) } else { Ok(()) }
}

fn contents(
    repository: &Repository<IndexedFullStatus>,
    path: &Path,
    node: &Node,
) -> std::result::Result<(), String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    for id in node.content.iter().flatten() {
        let entry = repository.get_index_entry(id).map_err(|error| error.to_string())?;
        let mut piece = vec![0; entry.location.data_length() as usize];
        file.read_exact(&mut piece).map_err(|error| error.to_string())?;
        let hash: [u8; 32] = Sha256::digest(&piece).into();
        if *id.to_hex().as_str() != *hex(&hash) {
            return Err("what is in it is something else".into());
        }
    }
    match file.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err("it is longer".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
