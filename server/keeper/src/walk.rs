//! All that is in Data, one after the other, and what it comes to: so that one can tell whether it is as
//! it was, without reading it.

use crate::beneath::{Found, Root};
use lattice_wire::snapshots::What;
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec;

/// Files that claim to be longer are left out: nothing of that length fits, and to read the holes of a
/// sparse one would take for ever.
pub(crate) const LONGEST_FILE: u64 = 64 << 30;

/// What a walk has come to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) files: u64,
    pub(crate) links: u64,
    pub(crate) bytes: u64,
    pub(crate) left_out: u64,
    hash: Sha256,
}

/// It, shared with whoever looks at what is found.
pub(crate) type Shared = Arc<Mutex<Tally>>;

/// A folder comes before what is in it, which comes by name.
#[derive(Debug)]
pub(crate) struct Walk {
    root: Arc<Root>,
    above: Vec<vec::IntoIter<Found>>,
    tally: Shared,
}

impl Walk {
    /// Of all but what has that name in the root; what it comes to is added to the tally.
    pub(crate) fn new(root: Arc<Root>, but: Option<&OsString>, tally: Shared) -> Self {
        let mut walk = Self { root, above: Vec::new(), tally };
        let mut first = walk.list(Path::new(""));
        first.retain(|found| but.is_none_or(|but| found.path.as_os_str() != but));
        walk.above.push(first.into_iter());
        walk
    }

    fn list(&self, path: &Path) -> Vec<Found> {
        let (found, left_out) = self.root.list(path).unwrap_or((Vec::new(), 1));
        lock(&self.tally).left_out += left_out;
        found
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let Some(found) = self.above.last_mut()?.next() else {
                self.above.pop();
                continue;
            };
            if found.what == What::File && found.stat.st_size as u64 > LONGEST_FILE {
                lock(&self.tally).left_out += 1;
                continue;
            }
            lock(&self.tally).count(&found);
            if found.what == What::Folder {
                let below = self.list(&found.path);
                self.above.push(below.into_iter());
            }
            return Some(found);
        }
    }
}

impl Tally {
    fn count(&mut self, found: &Found) {
        let stat = &found.stat;
        match found.what {
            What::File => {
                self.files += 1;
                self.bytes += stat.st_size as u64;
            }
            What::Link => self.links += 1,
            What::Folder => {}
        }
        // How long a folder is depends on what was in it once.
        let size = if found.what == What::Folder { 0 } else { stat.st_size };
        let path = found.path.as_os_str().as_bytes();
        self.hash.update((path.len() as u64).to_le_bytes());
        self.hash.update(path);
        // The kernel alone sets the time of a change, so whoever sets the others back is found out.
        for number in [
            i64::from(stat.st_mode),
            size,
            stat.st_ino as i64,
            stat.st_mtime,
            stat.st_mtime_nsec as i64,
            stat.st_ctime,
            stat.st_ctime_nsec as i64,
        ] {
            self.hash.update(number.to_le_bytes());
        }
    }

    /// The same where all is as it was, else another.
    pub(crate) fn fingerprint(&self) -> String {
        let mut text = String::new();
        for byte in self.hash.clone().finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

pub(crate) fn lock(tally: &Shared) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all of it comes to.
pub(crate) fn tally(root: &Arc<Root>, but: Option<&OsString>) -> Tally {
    let shared = Shared::default();
    Walk::new(root.clone(), but, shared.clone()).for_each(drop);
    lock(&shared).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    use std::fs;

    #[test]
    fn a_change_is_noticed_that_hides_itself() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = Arc::new(Root::open(dir.path()).expect("there"));
        let print = || tally(&root, None).fingerprint();
        fs::create_dir(dir.path().join("a")).expect("made");
        fs::write(dir.path().join("a/essay"), "words").expect("written");
        let mut seen = vec![print()];
        assert_eq!(print(), seen[0], "to look changes nothing");
        let stat = rustix::fs::stat(dir.path().join("a/essay")).expect("there");
        fs::write(dir.path().join("a/essay"), "WORDS").expect("written");
        let at = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
        let times = Timestamps { last_access: at, last_modification: at };
        utimensat(CWD, dir.path().join("a/essay"), &times, AtFlags::empty()).expect("set");
        seen.push(print());
        fs::rename(dir.path().join("a/essay"), dir.path().join("a/essays")).expect("renamed");
        seen.push(print());
        fs::create_dir(dir.path().join("b")).expect("made");
        seen.push(print());
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 4);
        let but = OsString::from("b");
        let (with, without) = (tally(&root, None), tally(&root, Some(&but)));
        assert_ne!(with.fingerprint(), without.fingerprint());
        assert_eq!((with.files, with.bytes, with.left_out), (1, 5, 0));
    }

    #[test]
    fn it_has_an_end_however_deep_it_is_and_tells_what_it_left_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut directory = rustix::fs::openat(
            CWD,
            dir.path(),
            crate::beneath::DIRECTORY,
            rustix::fs::Mode::empty(),
        )
        .expect("there");
        let name = "d".repeat(250);
        for _ in 0..20 {
            rustix::fs::mkdirat(&directory, &name, rustix::fs::Mode::RWXU).expect("made");
            directory = rustix::fs::openat(
                &directory,
                &name,
                crate::beneath::DIRECTORY,
                rustix::fs::Mode::empty(),
            )
            .expect("there");
        }
        let huge = fs::File::create(dir.path().join("huge")).expect("made");
        huge.set_len(LONGEST_FILE + 1).expect("it takes no room");
        let root = Arc::new(Root::open(dir.path()).expect("there"));
        let tally = tally(&root, None);
        assert_eq!((tally.files, tally.left_out), (0, 2));
    }
}
