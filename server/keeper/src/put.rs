//! Putting back what is in a snapshot: laid out whole in a directory of Data's own file system that its
//! owner cannot enter, then put in its place by renaming. Whoever looks sees what was there or what is
//! restored, never half of it, and where anything fails before that, nothing has changed.
//!
//! Every step is from a directory that is held open, so no link leads out of Data.

use crate::beneath::{DIRECTORY, Root, names};
use crate::contents::{Contents, Piece};
use crate::fault::{Fault, Result};
use crate::shelf::{Shelf, Staged};
use lattice_wire::snapshots::{Inside, Refusal, What};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid, chownat, fchmod,
    fchown, fstat, futimens, mkdirat, openat, renameat, renameat_with, statat, symlinkat, unlinkat,
    utimensat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What a directory in Data is called in which something is laid out.
const STAGE: &str = ".lattice-restore-";
/// What is laid out, in it.
pub(crate) const LAID: &str = "laid";
/// What it takes the place of, in it.
const OLD: &str = "old";

/// Lays it out, for that user where this process may choose.
pub(crate) fn stage(
    shelf: &Shelf,
    data: &Root,
    owner: Option<u32>,
    contents: &Contents,
    piece: &Piece,
    path: &Inside,
) -> Result<()> {
    let stage = begin(shelf, data, path)?;
    let layer = Layer { contents, owner };
    layer.lay(piece, &stage, OsStr::new(LAID))?;
    let failed = |error: Errno| Fault::step("lay out what is to be restored")(error.into());
    rustix::fs::syncfs(&stage).map_err(failed)
}

/// Makes a directory in Data to lay something out in that belongs to that path.
pub(crate) fn begin(shelf: &Shelf, data: &Root, path: &Inside) -> Result<OwnedFd> {
    let mut bits = [0; 8];
    getrandom::fill(&mut bits)
        .map_err(|error| Fault::new(Refusal::Failed, format!("get random bytes: {error}")))?;
    let name = format!("{STAGE}{:016x}", u64::from_le_bytes(bits));
    let failed = |error: Errno| Fault::step("make a place to lay out files in")(error.into());
    mkdirat(data, &name, Mode::RWXU).map_err(failed)?;
    let stage = openat(data, &name, DIRECTORY, Mode::empty()).map_err(failed)?;
    let inode = fstat(&stage).map_err(failed)?.st_ino;
    // Noted first: whatever happens from here on, it is known what is to be thrown away.
    shelf.set_staged(Some(&Staged { name, inode, path: path.clone() }))?;
    Ok(stage)
}

struct Layer<'a> {
    contents: &'a Contents,
    owner: Option<u32>,
}

impl Layer<'_> {
    fn lay(&self, piece: &Piece, at: &OwnedFd, name: &OsStr) -> Result<()> {
        let failed = |error: Errno| Fault::step("lay out what is to be restored")(error.into());
        match piece.what {
            What::Folder => {
                mkdirat(at, name, Mode::RWXU).map_err(failed)?;
                let folder = openat(at, name, DIRECTORY, Mode::empty()).map_err(failed)?;
                for below in self.contents.list(piece)? {
                    self.lay(&below, &folder, &below.name)?;
                }
                self.finish(&folder, piece).map_err(failed)
            }
            What::File => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = openat(at, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
                let mut file = File::from(file);
                self.contents.copy(piece, &mut file)?;
                self.finish(&file, piece).map_err(failed)
            }
            What::Link => {
                symlinkat(self.contents.target(piece)?, at, name).map_err(failed)?;
                if let Some(uid) = self.owner {
                    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)));
                    chownat(at, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
                }
                utimensat(at, name, &times(piece), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)
            }
        }
    }

    fn finish(&self, made: impl AsFd, piece: &Piece) -> rustix::io::Result<()> {
        own(&made, self.owner)?;
        fchmod(&made, Mode::from_raw_mode(piece.mode))?;
        futimens(&made, &times(piece))
    }
}

/// Puts what is laid out in its place.
pub(crate) fn place(shelf: &Shelf, data: &Root, owner: Option<u32>) -> Result<()> {
    let staged = shelf.staged()?.ok_or_else(|| {
        Fault::new(
            Refusal::Failed,
            "nothing is laid out any more that could be restored; try again",
        )
    })?;
    let stage = open_stage(data, &staged).ok_or_else(|| {
        let detail = "what was laid out was moved away from within the desktop; try again";
        Fault::new(Refusal::InTheWay, detail)
    })?;
    match staged.path.split() {
        None => place_all(data, &stage, &staged)?,
        Some((above, name)) => {
            let above = folders(data, &above, owner)?;
            swap(&stage, OsStr::new(LAID), &above, OsStr::new(name))
                .map_err(|error| Fault::step("put back what was laid out")(error.into()))?;
        }
    }
    clear(shelf, data)
}

/// Throws away what is laid out, where anything is.
pub(crate) fn clear(shelf: &Shelf, data: &Root) -> Result<()> {
    let Some(staged) = shelf.staged()? else { return Ok(()) };
    if let Some(stage) = open_stage(data, &staged) {
        let failed = |error: Errno| Fault::step("throw away what was laid out")(error.into());
        remove_below(&stage).map_err(failed)?;
        unlinkat(data, &staged.name, AtFlags::REMOVEDIR).map_err(failed)?;
    }
    shelf.set_staged(None)
}

/// What has no place in a snapshot, in the root of Data.
pub(crate) fn staged_name(shelf: &Shelf, data: &Root) -> Result<Option<OsString>> {
    let staged = shelf.staged()?;
    let there = staged.filter(|staged| open_stage(data, staged).is_some());
    Ok(there.map(|staged| staged.name.into()))
}

fn open_stage(data: &Root, staged: &Staged) -> Option<OwnedFd> {
    let stage = openat(data, &staged.name, DIRECTORY, Mode::empty()).ok()?;
    fstat(&stage).is_ok_and(|found| found.st_ino == staged.inode).then_some(stage)
}

/// One after the other; where one fails, those before are put back as they were.
fn place_all(data: &Root, stage: &OwnedFd, staged: &Staged) -> Result<()> {
    let failed = |error: Errno| Fault::step("put back what was laid out")(error.into());
    let laid = openat(stage, LAID, DIRECTORY, Mode::empty()).map_err(failed)?;
    mkdirat(stage, OLD, Mode::RWXU).map_err(failed)?;
    let old = openat(stage, OLD, DIRECTORY, Mode::empty()).map_err(failed)?;
    let list = |directory: &dyn Fn() -> std::io::Result<Vec<OsString>>| {
        directory().map_err(Fault::step("list what is there"))
    };
    let fresh = list(&|| names(&laid))?;
    let mut there = list(&|| names(data))?;
    there.retain(|name| name != OsStr::new(&staged.name) && !fresh.contains(name));
    let mut done: Vec<(&OwnedFd, &OsString)> = Vec::new();
    let moves = there.iter().map(|name| (&old, name)).chain(fresh.iter().map(|name| (&laid, name)));
    for (beside, name) in moves {
        let moved = match std::ptr::eq(beside, &old) {
            true => renameat(data, name, &old, name),
            false => swap(&laid, name, data, name),
        };
        if let Err(error) = moved {
            for (beside, name) in done.into_iter().rev() {
                let _ = swap(beside, name, data, name);
            }
            return Err(failed(error));
        }
        done.push((beside, name));
    }
    Ok(())
}

/// Puts one in the place of another, or where none is; what was there is then where it came from.
fn swap(from: impl AsFd, name: &OsStr, to: impl AsFd, as_name: &OsStr) -> rustix::io::Result<()> {
    let moved = |how| renameat_with(&from, name, &to, as_name, how);
    match moved(RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => match moved(RenameFlags::EXCHANGE) {
            // Undoing where the other had nothing.
            Err(Errno::NOENT) => renameat(&to, as_name, &from, name),
            exchanged => exchanged,
        },
        Err(Errno::NOENT) => renameat(&to, as_name, &from, name),
        moved => moved,
    }
}

/// The folders on the way, made where they are missing.
fn folders(data: &Root, path: &Inside, owner: Option<u32>) -> Result<OwnedFd> {
    let failed = |error: Errno| Fault::step("make the folder to restore to")(error.into());
    let mut here = data.directory(Path::new("")).map_err(Fault::step("open Data"))?;
    for name in path.as_str().split('/').filter(|name| !name.is_empty()) {
        let made = mkdirat(&here, name, Mode::RWXU);
        here = match openat(&here, name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let detail = format!(
                    "{name:?} in {:?} is no folder any more; restore that folder, or everything",
                    path.as_str()
                );
                return Err(Fault::new(Refusal::InTheWay, detail));
            }
            opened => opened.map_err(failed)?,
        };
        if made.is_ok() {
            own(&here, owner).map_err(failed)?;
        }
    }
    Ok(here)
}

pub(crate) fn own(made: impl AsFd, owner: Option<u32>) -> rustix::io::Result<()> {
    let Some(uid) = owner else { return Ok(()) };
    fchown(made, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)))
}

fn times(piece: &Piece) -> Timestamps {
    let accessed = Timespec { tv_sec: piece.modified.tv_sec, tv_nsec: piece.modified.tv_nsec };
    Timestamps { last_access: accessed, last_modification: piece.modified }
}

/// Empties a directory that is held open, wherever it may have been moved to.
fn remove_below(directory: &OwnedFd) -> rustix::io::Result<()> {
    // Its owner may have taken from themselves the right to look into it.
    let _ = fchmod(directory, Mode::RWXU);
    let all =
        names(directory).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    for name in all {
        let found = statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            unlinkat(directory, &name, AtFlags::empty())?;
            continue;
        }
        remove_below(&openat(directory, &name, DIRECTORY, Mode::empty())?)?;
        unlinkat(directory, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}
