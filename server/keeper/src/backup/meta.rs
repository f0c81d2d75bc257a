//! What is kept of a file beside what is in it: whose it is, its rights, times, other names and
//! attributes; and back from there.

use crate::beneath::{Found, Root};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lattice_wire::snapshots::What;
use rustic_core::jiff::Timestamp;
use rustic_core::repofile::Metadata;
use rustix::fs::{Stat, fgetxattr, flistxattr};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::os::fd::AsFd;
use std::path::Path;

/// The bit of a mode by which only owners remove files of a folder, and the same as restic writes it, which
/// is as Go has it. Bits that lend a user or group id are kept of nobody, as in snapshots: no desktop can
/// use them, and services may not set them.
const STICKY: (u32, u32) = (0o1000, 1 << 20);
/// The type of a node in a mode, in the same way.
const GO_FOLDER: u32 = 1 << 31;
const GO_LINK: u32 = 1 << 27;
/// The longest list of names and the longest value that the kernel gives, in bytes.
const MAX_ATTRIBUTE: usize = 64 << 10;

/// Of something in a directory.
pub(super) fn of(root: &Root, found: &Found) -> Metadata {
    let attributes = match found.what {
        What::File => root.file(&found.path).map(attributes).unwrap_or_default(),
        What::Folder => root.directory(&found.path).map(attributes).unwrap_or_default(),
        What::Link => Vec::new(),
    };
    from(&found.stat, found.what, attributes)
}

/// Of the directory itself.
pub(super) fn of_root(root: &Root) -> std::io::Result<Metadata> {
    Ok(from(&rustix::fs::fstat(root)?, What::Folder, attributes(root)))
}

fn from(stat: &Stat, what: What, attributes: Vec<Value>) -> Metadata {
    let kind = match what {
        What::Folder => GO_FOLDER,
        What::Link => GO_LINK,
        What::File => 0,
    };
    let sticky = if stat.st_mode & STICKY.0 == 0 { 0 } else { STICKY.1 };
    let is_file = what == What::File;
    let mtime = time(stat.st_mtime, stat.st_mtime_nsec as i64);
    Metadata {
        mode: Some(stat.st_mode & 0o777 | sticky | kind),
        mtime,
        ctime: time(stat.st_ctime, stat.st_ctime_nsec as i64),
        uid: Some(stat.st_uid),
        gid: Some(stat.st_gid),
        inode: stat.st_ino,
        // Names of one file are told by these two; the number of a device may be another after a restart.
        device_id: if is_file && stat.st_nlink > 1 { stat.st_dev } else { 0 },
        size: if is_file { stat.st_size as u64 } else { 0 },
        links: if is_file { stat.st_nlink } else { 0 },
        extended_attributes: typed(attributes),
        ..Metadata::default()
    }
}

/// The rights as the system has them.
pub(super) fn unix_mode(go: u32) -> u32 {
    go & 0o777 | if go & STICKY.1 == 0 { 0 } else { STICKY.0 }
}

/// Those that the owner gave, and lists of who may what. What belongs to the machine stays.
fn attributes(of: impl AsFd) -> Vec<Value> {
    let mut names = vec![0; MAX_ATTRIBUTE];
    let length = flistxattr(&of, names.as_mut_slice()).unwrap_or(0);
    let names =
        names[..length].split(|byte| *byte == 0).filter_map(|name| str::from_utf8(name).ok());
    let is_kept = |name: &&str| name.starts_with("user.") || name.starts_with("system.posix_acl_");
    let read = |name: &str| {
        let mut value = vec![0; MAX_ATTRIBUTE];
        let length = fgetxattr(&of, Path::new(name), value.as_mut_slice()).ok()?;
        value.truncate(length);
        Some(json!({ "name": name, "value": BASE64_STANDARD.encode(&value) }))
    };
    names.filter(is_kept).filter_map(read).collect()
}

/// The library does not name the type of these, but reads them as they are written.
fn typed<T: DeserializeOwned>(attributes: Vec<Value>) -> Vec<T> {
    attributes.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect()
}

fn time(seconds: i64, nanoseconds: i64) -> Option<Timestamp> {
    Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
}
