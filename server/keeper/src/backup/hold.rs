//! What changes while a backup is made: first everything is read, however long the way to the repository is;
//! then, with the desktop standing still, what has changed since is laid aside on this machine's own disk,
//! and read from there once the desktop goes on. No network is ever waited for by whoever stands still.

use super::Result;
use super::read::{Entry, Walks};
use crate::beneath::Root;
use crate::walk::{Tally, lock};
use lattice_engine::snapshots::is_short_of_room;
use lattice_wire::backup::{Held as Said, Part};
use rustix::fs::{Stat, ioctl_ficlone};
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What changed so shortly before somebody looked may have changed again within the same tick of the clock
/// that files have their times by.
const TICK: Duration = Duration::from_secs(1);

/// What tells that something is as it was. The kernel alone sets the time of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: i64,
    mode: u32,
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            inode: stat.st_ino,
            size: stat.st_size,
            mode: stat.st_mode,
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }
}

/// What was read, as it was found.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Seconds since 1970.
    begun: i64,
    seen: HashMap<PathBuf, Stamp>,
}

impl Ahead {
    pub(super) fn begin() -> Self {
        let now = SystemTime::now().checked_sub(TICK).unwrap_or(UNIX_EPOCH);
        let begun = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { begun: i64::try_from(begun).unwrap_or(i64::MAX), seen: HashMap::new() }
    }

    pub(super) fn note(&mut self, entry: &Entry) {
        self.seen.insert(entry.path.clone(), entry.stamp);
    }

    fn is_same(&self, entry: &Entry) -> bool {
        self.seen.get(&entry.path) == Some(&entry.stamp) && entry.stamp.changed.0 < self.begun
    }
}

/// All as it was at one moment.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) entries: Vec<Entry>,
    pub(super) tally: Tally,
    aside: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.aside);
    }
}

/// Looks at what has changed, and lays that aside.
pub(super) fn hold(parts: &[Part], aside: &Path, ahead: Option<&Ahead>) -> Result<(Said, Held)> {
    let failed = |error: io::Error| format!("lay aside in {}: {error}", aside.display());
    match fs::remove_dir_all(aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    DirBuilder::new().mode(0o700).create(aside).map_err(failed)?;
    let mut held = Held { entries: Vec::new(), tally: Tally::default(), aside: aside.to_owned() };
    let place = Arc::new(Root::open(aside).map_err(failed)?);
    let mut said = Said { unchanged: true, files: 0, loose: 0 };
    let walks = Walks::of(parts)?;
    let tally = walks.tally.clone();
    for mut entry in walks {
        let is_same = ahead.is_some_and(|ahead| ahead.is_same(&entry));
        said.unchanged &= is_same;
        if let Some((root, path)) = entry.from.clone().filter(|_| !is_same) {
            let name = said.files.to_string();
            match lay(&root, &path, &entry, &aside.join(&name)) {
                Ok(true) => {
                    entry.from = Some((place.clone(), PathBuf::from(name)));
                    said.files += 1;
                }
                Ok(false) => said.loose += 1,
                // It cannot be read then, either, and is counted there.
                Err(_) => {}
            }
        }
        held.entries.push(entry);
    }
    said.unchanged &= ahead.is_some_and(|ahead| ahead.seen.len() == held.entries.len());
    held.tally = lock(&tally).clone();
    Ok((said, held))
}

/// Whether there was room for it.
fn lay(root: &Root, path: &Path, entry: &Entry, to: &Path) -> io::Result<bool> {
    let from = root.file(path)?;
    let length = u64::try_from(entry.stamp.size).unwrap_or(0);
    let copy = File::create(to)?;
    if ioctl_ficlone(&copy, &from).is_ok() {
        return Ok(true);
    }
    let disk = rustix::fs::fstatvfs(&copy)?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    if is_short_of_room(bytes(disk.f_bavail).saturating_sub(length), bytes(disk.f_blocks)) {
        fs::remove_file(to)?;
        return Ok(false);
    }
    io::copy(&mut from.take(length), &mut &copy)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a change between the two.
    fn check(change: impl Fn(&Path), is_unchanged: bool, files: u64) {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        fs::create_dir_all(data.join("a")).expect("made");
        fs::write(data.join("a/essay"), "words").expect("written");
        fs::write(data.join("film"), "pictures").expect("written");
        let parts = [Part { name: "data".into(), path: data.clone() }];
        let mut ahead = Ahead::begin();
        // As if all this had been there for long.
        ahead.begun += 60;
        Walks::of(&parts).expect("there").for_each(|entry| ahead.note(&entry));
        change(&data);
        let (said, held) = hold(&parts, &dir.path().join("aside"), Some(&ahead)).expect("held");
        assert_eq!((said.unchanged, said.files, said.loose), (is_unchanged, files, 0));
        assert_eq!(fs::read_dir(dir.path().join("aside")).expect("there").count() as u64, files);
        drop(held);
        assert!(!dir.path().join("aside").exists());
    }

    #[test]
    fn what_has_changed_is_laid_aside_and_nothing_else() {
        check(|_| {}, true, 0);
        check(|data| fs::write(data.join("a/essay"), "WORDS").expect("written"), false, 1);
        check(|data| fs::write(data.join("new"), "").expect("written"), false, 1);
        check(|data| fs::remove_file(data.join("film")).expect("removed"), false, 0);
        check(|data| fs::rename(data.join("film"), data.join("a/b")).expect("moved"), false, 1);
        check(|data| fs::create_dir(data.join("b")).expect("made"), false, 0);
    }

    #[test]
    fn what_changed_a_moment_before_it_was_read_is_not_trusted() {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        fs::create_dir(&data).expect("made");
        fs::write(data.join("essay"), "words").expect("written");
        let parts = [Part { name: "data".into(), path: data.clone() }];
        let mut ahead = Ahead::begin();
        Walks::of(&parts).expect("there").for_each(|entry| ahead.note(&entry));
        let (said, held) = hold(&parts, &dir.path().join("aside"), Some(&ahead)).expect("held");
        assert_eq!((said.unchanged, said.files), (false, 1));
        assert_eq!(fs::read(dir.path().join("aside/0")).expect("there"), b"words");
        assert_eq!((held.entries.len(), held.tally.files), (2, 1));
    }
}
