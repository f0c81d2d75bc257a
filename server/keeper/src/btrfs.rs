//! Snapshots that btrfs makes itself: subvolumes that nobody can write to, of one instant, which take no
//! room but for what changes afterwards.

use crate::fault::{Fault, Result};
use lattice_wire::snapshots::Refusal;
use rustix::fs::{AtFlags, CWD, statat, statfs};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What statfs(2) says of btrfs, see <linux/magic.h>.
const BTRFS: u64 = 0x9123_683E;
/// The inode of the root of every subvolume.
const FIRST_INODE: u64 = 256;

/// Whether snapshots of Data can be made there: both are of one btrfs, Data is a subvolume, and this
/// machine has the program.
pub(crate) fn can_keep(data: &Path, store: &Path) -> bool {
    let is_btrfs = |path| statfs(path).is_ok_and(|found| found.f_type as u64 == BTRFS);
    let Ok(found) = statat(CWD, data, AtFlags::SYMLINK_NOFOLLOW) else { return false };
    // Whoever is not root could make one and never remove it.
    rustix::process::geteuid().is_root()
        && found.st_ino == FIRST_INODE
        && is_btrfs(data)
        && is_btrfs(store)
        && same_disk(data, store)
        && run(&["--version".as_ref()]).is_ok()
}

/// A subvolume has a device of its own; the file system's number is that of all.
fn same_disk(one: &Path, other: &Path) -> bool {
    let number = |path: &Path| rustix::fs::statvfs(path).map(|found| found.f_blocks);
    matches!((number(one), number(other)), (Ok(one), Ok(other)) if one == other)
}

/// Makes one at `to`, where nothing is yet.
pub(crate) fn make(data: &Path, to: &Path) -> Result<()> {
    run(&["subvolume".as_ref(), "snapshot".as_ref(), "-r".as_ref(), data, to])
}

/// Removes one, which need not be there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    if statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).is_err() {
        return Ok(());
    }
    // With fewer rights than it takes it is emptied, and goes as a directory does.
    if run(&["subvolume".as_ref(), "delete".as_ref(), path]).is_ok() {
        return Ok(());
    }
    let writable = ["property", "set", "-f", "-ts"]
        .map(Path::new)
        .into_iter()
        .chain([path])
        .chain(["ro", "false"].map(Path::new));
    run(&writable.collect::<Vec<_>>())?;
    fs::remove_dir_all(path).map_err(Fault::step("remove a snapshot"))
}

fn run(words: &[&Path]) -> Result<()> {
    let output = Command::new("btrfs").args(words).output().map_err(Fault::step("run btrfs"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if said.contains("No space left") || said.contains("quota exceeded") {
        return Err(Fault::full());
    }
    Err(Fault::new(Refusal::Failed, format!("btrfs: {said}")))
}
