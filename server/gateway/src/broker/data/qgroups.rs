//! What btrfs counts of each subvolume. The kernel shows it below `/sys/fs/btrfs` to everybody, so
//! nothing here needs a right.

use rustix::fs::{statfs, statvfs};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const KERNEL: &str = "/sys/fs/btrfs";
/// `BTRFS_SUPER_MAGIC` of <linux/magic.h>.
const MAGIC: u32 = 0x9123_683E;
/// The inode of a subvolume's own directory, `BTRFS_FIRST_FREE_OBJECTID` of <linux/btrfs_tree.h>; no
/// other directory has it.
const TOP: u64 = 256;
/// Of `limit_flags`: what is referenced is limited (`BTRFS_QGROUP_LIMIT_MAX_RFER`).
const LIMITED: u64 = 1;

/// Whether a path is on btrfs.
pub(in crate::broker) fn is_btrfs(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.f_type as u32 == MAGIC)
}

/// Whether a directory of btrfs is a subvolume.
pub(super) fn is_subvolume(directory: &fs::Metadata) -> bool {
    directory.is_dir() && directory.ino() == TOP
}

/// Whether a file system counts what is in subvolumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Counting {
    /// It does not, or is no btrfs.
    Off,
    /// It does.
    On,
    /// It does, but knows that it has lost count.
    Lost,
}

/// One subvolume, as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    /// In bytes.
    pub(super) used: u64,
    pub(super) limit: Option<u64>,
}

/// How that of a path does.
pub(in crate::broker) fn counting(path: &Path) -> Counting {
    let Some((system, _)) = place(Path::new(KERNEL), path) else { return Counting::Off };
    judge(&system)
}

/// What is counted of the subvolume that a path is in; nothing where that is not.
pub(super) fn counted(path: &Path) -> Option<Counted> {
    let (system, id) = place(Path::new(KERNEL), path)?;
    read(&system, id)
}

fn judge(system: &Path) -> Counting {
    let groups = system.join("qgroups");
    let says = |name: &str, value: u64| number(&groups.join(name)) == Some(value);
    match () {
        // Kernels before 6.1 have no such file, but the directory only while they count.
        () if !groups.is_dir() || says("enabled", 0) => Counting::Off,
        () if says("inconsistent", 1) => Counting::Lost,
        () => Counting::On,
    }
}

fn read(system: &Path, id: u64) -> Option<Counted> {
    if judge(system) == Counting::Off {
        return None;
    }
    let group = system.join("qgroups").join(format!("0_{id}"));
    let used = number(&group.join("referenced"))?;
    let is_limited = number(&group.join("limit_flags"))? & LIMITED != 0;
    let limit = is_limited.then(|| number(&group.join("max_referenced"))).flatten();
    Some(Counted { used, limit })
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Where the kernel shows the file system of a path, and the number of the subvolume it is in.
fn place(kernel: &Path, path: &Path) -> Option<(PathBuf, u64)> {
    if !is_btrfs(path) {
        return None;
    }
    let mixed = statvfs(path).ok()?.f_fsid;
    fs::read_dir(kernel).ok()?.flatten().find_map(|entry| {
        let id = unmixed(entry.file_name().to_str()?, mixed)?;
        Some((entry.path(), id))
    })
}

/// The number of a subvolume, where the one that `statfs` tells of it is of the file system with this
/// UUID: it is that folded in half and mixed with the number (`btrfs_statfs` in fs/btrfs/super.c).
fn unmixed(uuid: &str, mixed: u64) -> Option<u64> {
    let digits: String = uuid.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 {
        return None;
    }
    let bits = u128::from_str_radix(&digits, 16).ok()?;
    let folded = (bits >> 64) as u64 ^ bits as u64;
    // Two numbers of 32 bits, the first of which is in the lower half here and in the upper half there.
    let id = folded ^ mixed.rotate_left(32);
    // Numbers are given from 256 on, one after the other, and 5 is the whole's.
    (id < 1 << 32).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subvolume_is_known_by_what_statfs_tells() {
        // As seen: `statvfs` of subvolumes of a real file system, and what `rootid` says of them.
        let uuid = "8a2308ce-dbee-41b9-878d-299abcd25017";
        let seen = [
            (0x673c_11ab_0dae_2154, 5),
            (0x673c_10af_0dae_2154, 257),
            (0x673c_10ac_0dae_2154, 258),
        ];
        for (mixed, id) in seen {
            assert_eq!(unmixed(uuid, mixed), Some(id));
            assert_eq!(unmixed("00000000-0000-0000-0000-000000000000", mixed), None);
            assert_eq!(unmixed("features", mixed), None);
        }
    }

    #[test]
    fn what_the_kernel_shows_is_read() {
        let system = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = system.path().join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            fs::write(path, text).expect("written");
        };
        assert_eq!(judge(system.path()), Counting::Off);
        write("qgroups/0_257/referenced", "20955136\n");
        write("qgroups/0_257/limit_flags", "1\n");
        write("qgroups/0_257/max_referenced", "20971520\n");
        assert_eq!(judge(system.path()), Counting::On, "as kernels before 6.1 show it");
        let counted = Counted { used: 20_955_136, limit: Some(20_971_520) };
        assert_eq!(read(system.path(), 257), Some(counted));
        assert_eq!(read(system.path(), 258), None);
        write("qgroups/0_257/limit_flags", "0\n");
        assert_eq!(read(system.path(), 257).expect("there").limit, None);
        write("qgroups/enabled", "1\n");
        write("qgroups/inconsistent", "1\n");
        assert_eq!(judge(system.path()), Counting::Lost);
        write("qgroups/enabled", "0\n");
        assert_eq!((judge(system.path()), read(system.path(), 257)), (Counting::Off, None));
    }

    #[test]
    fn what_is_no_btrfs_is_not_counted() {
        assert!(!is_btrfs(Path::new("/proc")) && counting(Path::new("/proc")) == Counting::Off);
        assert_eq!(counted(Path::new("/proc")), None);
    }
}
