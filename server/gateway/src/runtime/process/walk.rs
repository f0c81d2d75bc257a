//! How much room plain directories take: looked at file by file, slowly, so that whoever works does not
//! notice.
//!
//! What is in them is not to be trusted, so no link is followed, and there are bounds on all of it.

use crate::broker::protocol::{Held, Stored};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// After so many files it rests, for so long: at most some ten thousand files a second.
const STEP: u32 = 256;
const REST: Duration = Duration::from_millis(25);
/// More are not looked at of one person; then it is that much, or more.
const MOST_FILES: u32 = 2_000_000;
/// Each level has a file open.
const MOST_LEVELS: usize = 128;
/// Files of several names are counted once, as long as that many are known.
const MOST_LINKED: usize = 100_000;
/// What `st_blocks` counts, see stat(2).
const BLOCK: u64 = 512;

/// What one person may keep, in bytes; nothing where that is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quotas {
    pub(crate) data: Option<u64>,
    /// In the home, and as much in all homes of apps.
    pub(crate) home: Option<u64>,
}

impl Quotas {
    /// Nothing is bounded.
    pub(crate) const NONE: Self = Self { data: None, home: None };

    /// With what is used of them.
    pub(crate) fn told(self, data: u64, home: u64, apps: u64, is_enforced: bool) -> Stored {
        let held = |used, limit| Held { used, limit };
        Stored {
            data: held(data, self.data),
            home: held(home, self.home),
            apps: held(apps, self.home),
            is_enforced,
        }
    }
}

/// What somebody keeps. Nobody is left walking where nobody waits for it.
pub(crate) async fn measure(base: &Path, owner: i64, quotas: Quotas) -> Option<Stored> {
    let user = base.join("homes").join(owner.to_string());
    let waits = Arc::new(());
    let waiting = Arc::downgrade(&waits);
    spawn_blocking(move || {
        let mut walk = Walk { waiting, rest: REST, files: 0, linked: HashSet::new() };
        let mut of = |name: &str| walk.count(&user.join(name));
        Some(quotas.told(of("data").ok()?, of("home").ok()?, of("apps").unwrap_or(0), false))
    })
    .await
    .ok()?
}

struct Walk {
    /// Gone when nobody wants to know any more.
    waiting: Weak<()>,
    rest: Duration,
    files: u32,
    linked: HashSet<(u64, u64)>,
}

impl Walk {
    /// Bytes of the disk that a directory takes, with all below it.
    fn count(&mut self, top: &Path) -> io::Result<u64> {
        let directory = open(CWD, top)?;
        let device = rustix::fs::fstat(&directory)?.st_dev;
        let mut sum = 0;
        let mut above = vec![(Dir::read_from(&directory)?, directory)];
        while let Some((entries, directory)) = above.last_mut() {
            let Some(entry) = entries.read() else {
                above.pop();
                continue;
            };
            // What was removed meanwhile, or cannot be read, takes no room here.
            let Ok(name) = entry.map(|entry| CString::from(entry.file_name())) else { continue };
            if matches!(name.as_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(found) = statat(&*directory, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if found.st_dev != device {
                continue;
            }
            if !self.rest() {
                break;
            }
            let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
            if is_directory || found.st_nlink < 2 || self.is_first(found.st_dev, found.st_ino) {
                sum += found.st_blocks as u64 * BLOCK;
            }
            if is_directory
                && above.len() < MOST_LEVELS
                && let Some((_, directory)) = above.last()
                && let Ok(below) = open(directory, &name)
                && let Ok(entries) = Dir::read_from(&below)
            {
                above.push((entries, below));
            }
        }
        Ok(sum)
    }

    /// Whether there may be another.
    fn rest(&mut self) -> bool {
        self.files += 1;
        if self.files.is_multiple_of(STEP) {
            thread::sleep(self.rest);
        }
        self.files < MOST_FILES && self.waiting.strong_count() > 0
    }

    fn is_first(&mut self, device: u64, file: u64) -> bool {
        self.linked.len() >= MOST_LINKED || self.linked.insert((device, file))
    }
}

fn open(at: impl std::os::fd::AsFd, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, path, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn walk_for(waits: &Arc<()>, files: u32) -> Walk {
        let waiting = Arc::downgrade(waits);
        Walk { waiting, rest: Duration::ZERO, files, linked: HashSet::new() }
    }

    fn count(top: &Path) -> u64 {
        let waits = Arc::new(());
        walk_for(&waits, 0).count(top).expect("it is there")
    }

    #[test]
    fn what_takes_room_is_counted_once_and_no_link_is_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (own, other) = (dir.path().join("own"), dir.path().join("other"));
        for made in [own.join("a/b"), other.clone()] {
            fs::create_dir_all(made).expect("made");
        }
        fs::write(other.join("film"), vec![1; 8 << 20]).expect("written");
        let before = count(&own);
        fs::write(own.join("a/b/film"), vec![1; 1 << 20]).expect("written");
        let with_film = count(&own);
        assert!(((1 << 20)..(1 << 20) + 65536).contains(&(with_film - before)), "{with_film}");
        fs::hard_link(own.join("a/b/film"), own.join("same")).expect("linked");
        symlink(&other, own.join("elsewhere")).expect("linked");
        symlink(other.join("film"), own.join("film")).expect("linked");
        let file = fs::File::create(own.join("sparse")).expect("made");
        file.set_len(1 << 30).expect("it takes none");
        assert!(count(&own) - with_film < 65536, "{} after {with_film}", count(&own));
    }

    #[test]
    fn it_has_an_end_whatever_there_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut path = dir.path().to_owned();
        for _ in 0..2 * MOST_LEVELS {
            path.push("d");
        }
        fs::create_dir_all(&path).expect("made");
        count(dir.path());
        let waits = Arc::new(());
        let mut walk = walk_for(&waits, MOST_FILES - 2);
        fs::write(dir.path().join("film"), vec![1; 1 << 20]).expect("written");
        walk.count(dir.path()).expect("there");
        assert_eq!(walk.files, MOST_FILES);
        // Nobody waits any more.
        let mut walk = walk_for(&waits, 0);
        drop(waits);
        walk.count(dir.path()).expect("there");
        assert_eq!(walk.files, 1);
    }

    #[tokio::test]
    async fn a_person_is_told_of_with_the_bounds() {
        let base = tempfile::tempdir().expect("a directory");
        let quotas = Quotas { data: Some(1 << 20), home: Some(1 << 30) };
        assert_eq!(
            measure(base.path(), 7, quotas).await,
            None,
            "nobody is not somebody with nothing"
        );
        let user = base.path().join("homes/7");
        for name in ["home", "data"] {
            fs::create_dir_all(user.join(name)).expect("made");
        }
        fs::write(user.join("data/film"), vec![1; 2 << 20]).expect("written");
        let stored = measure(base.path(), 7, quotas).await.expect("measured");
        assert!(
            stored.data.is_full() && !stored.home.is_full() && !stored.is_enforced,
            "{stored:?}"
        );
    }
}
