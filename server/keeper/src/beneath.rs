//! A directory that is not left: whatever is opened below it, no link is followed.
//!
//! Data is its owner's, who may put a link in the place of anything at any moment. So the kernel is told
//! with each step that it is not to be followed (openat2(2)), and nothing is reached by a whole path.

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat, openat2, statat,
};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use lattice_wire::snapshots::What;

/// A directory.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

/// Something in it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// From the root on.
    pub(crate) path: PathBuf,
    pub(crate) stat: Stat,
    pub(crate) what: What,
}

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, DIRECTORY, Mode::empty())?))
    }

    /// The directory at a path; the empty one is the root itself.
    pub(crate) fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        self.at(path, DIRECTORY)
    }

    /// A regular file, to be read.
    pub(crate) fn file(&self, path: &Path) -> io::Result<File> {
        // A pipe in its place would be waited for.
        let opened = self.at(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW)?;
        let found = rustix::fs::fstat(&opened)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file any more"));
        }
        Ok(File::from(opened))
    }

    /// Where a link leads.
    pub(crate) fn link(&self, path: &Path) -> io::Result<OsString> {
        let (above, name) = (path.parent().unwrap_or(Path::new("")), path.file_name());
        let name = name.ok_or(io::ErrorKind::InvalidInput)?;
        let target = rustix::fs::readlinkat(self.directory(above)?, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    /// All that is in a directory, by name, and how many things are that are told of to nobody: neither
    /// files nor directories nor links, or of another file system.
    pub(crate) fn list(&self, path: &Path) -> io::Result<(Vec<Found>, u64)> {
        let directory = self.directory(path)?;
        let device = rustix::fs::fstat(&directory)?.st_dev;
        let (mut all, mut left_out) = (Vec::new(), 0);
        for name in names(&directory)? {
            // What was removed meanwhile is not there.
            let Ok(stat) = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            match what(&stat) {
                Some(what) if stat.st_dev == device => {
                    all.push(Found { path: path.join(&name), stat, what });
                }
                Some(_) | None => left_out += 1,
            }
        }
        Ok((all, left_out))
    }

    fn at(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let stays = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), stays)?)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How directories are opened.
pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The names in a directory, sorted.
pub(crate) fn names(directory: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// What something is, where it is kept at all.
fn what(stat: &Stat) -> Option<What> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Some(What::Folder),
        FileType::RegularFile => Some(What::File),
        FileType::Symlink => Some(What::Link),
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_is_reached_by_a_link() {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        fs::create_dir_all(data.join("in")).expect("made");
        fs::create_dir(dir.path().join("out")).expect("made");
        fs::write(dir.path().join("out/secret"), "s").expect("written");
        fs::write(data.join("in/essay"), "e").expect("written");
        symlink("../out", data.join("up")).expect("made");
        symlink("/etc/passwd", data.join("passwd")).expect("made");
        symlink("in", data.join("within")).expect("made");
        let root = Root::open(&data).expect("there");
        for path in [
            "up/secret",
            "passwd",
            "within/essay",
            "../out/secret",
            "/etc/passwd",
            "in/../../out/secret",
        ] {
            assert!(root.file(Path::new(path)).is_err(), "{path}");
        }
        assert!(root.directory(Path::new("up")).is_err());
        root.file(Path::new("in/essay")).expect("a file");
        assert_eq!(root.link(Path::new("passwd")).expect("a link"), "/etc/passwd");
        rustix::fs::mknodat(CWD, data.join("pipe"), FileType::Fifo, Mode::RWXU, 0).expect("made");
        root.file(Path::new("pipe")).expect_err("a pipe is no file, and not waited for");
        let (all, left_out) = root.list(Path::new("")).expect("a list");
        let names: Vec<_> = all.iter().map(|found| found.path.to_str().expect("a name")).collect();
        assert_eq!((names, left_out), (vec!["in", "passwd", "up", "within"], 1));
        symlink(&data, dir.path().join("data.link")).expect("made");
        Root::open(&dir.path().join("data.link")).expect_err("not even the root is a link");
    }
}
