//! What is in a snapshot, of either kind: looked at, read and laid out by the same code.

use crate::beneath::{Found, Root};
use crate::fault::{Fault, Result};
use crate::repository;
use crate::shelf::{Record, Shelf};
use lattice_wire::snapshots::{Entry, Inside, Kind, Refusal, What};
use rustic_core::repofile::{Node, NodeType};
use rustic_core::{IndexedFullStatus, TreeId};
use rustix::fs::Timespec;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// So much of a file is held at a time.
const PIECE: usize = 1 << 20;

/// Where it is.
#[derive(Debug)]
pub(crate) enum Contents {
    /// But for what has that name at the top.
    Btrfs {
        root: Root,
        without: Option<String>,
    },
    Repository {
        repository: Box<rustic_core::Repository<IndexedFullStatus>>,
        tree: TreeId,
    },
}

/// Something in it.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) name: OsString,
    pub(crate) what: What,
    pub(crate) bytes: u64,
    /// Who may do what with it, without more.
    pub(crate) mode: u32,
    pub(crate) modified: Timespec,
    place: Place,
}

/// Where more of it is.
#[derive(Debug, Clone)]
enum Place {
    Path(PathBuf),
    Tree(TreeId),
    Node(Box<Node>),
}

impl Contents {
    pub(crate) fn open(shelf: &Shelf, record: &Record) -> Result<Self> {
        let broken = || Fault::new(Refusal::Failed, "what is noted of this snapshot is broken");
        match record.snapshot.kind {
            Kind::Btrfs => {
                let path = shelf.dir.join("btrfs").join(record.snapshot.id.as_str());
                let root = Root::open(&path).map_err(Fault::step("open the snapshot"))?;
                Ok(Self::Btrfs { root, without: record.without.clone() })
            }
            Kind::Repository => {
                let known = record.in_repository.as_ref().ok_or_else(broken)?;
                let tree = known.tree.parse().map_err(|_| broken())?;
                let repository = Box::new(repository::open_to_read(shelf)?);
                Ok(Self::Repository { repository, tree })
            }
        }
    }

    /// All of it.
    pub(crate) fn top(&self) -> Piece {
        let place = match self {
            Self::Btrfs { .. } => Place::Path(PathBuf::new()),
            Self::Repository { tree, .. } => Place::Tree(*tree),
        };
        let modified = Timespec { tv_sec: 0, tv_nsec: 0 };
        let name = OsString::from("Data");
        Piece { name, what: What::Folder, bytes: 0, mode: 0o700, modified, place }
    }

    /// What is at a path. No link is followed on the way.
    pub(crate) fn find(&self, path: &Inside) -> Result<Piece> {
        let mut here = self.top();
        for name in path.as_str().split('/').filter(|name| !name.is_empty()) {
            let missing = || {
                Fault::missing(format!(
                    "there is no {path:?} in this snapshot",
                    path = path.as_str()
                ))
            };
            if here.what != What::Folder {
                return Err(missing());
            }
            let mut below = self.list(&here)?.into_iter();
            here = below.find(|piece| piece.name == OsStr::new(name)).ok_or_else(missing)?;
        }
        Ok(here)
    }

    /// What is in a folder.
    pub(crate) fn list(&self, folder: &Piece) -> Result<Vec<Piece>> {
        match (self, &folder.place) {
            (Self::Btrfs { root, without }, Place::Path(path)) if folder.what == What::Folder => {
                let (mut found, _) = root.list(path).map_err(Fault::step("list a folder"))?;
                found.retain(|found| {
                    without.as_ref().is_none_or(|name| found.path != Path::new(name))
                });
                Ok(found.into_iter().map(Piece::from).collect())
            }
            (Self::Repository { repository, .. }, Place::Tree(tree)) => {
                let nodes = repository.get_tree(tree)?.nodes;
                Ok(nodes.into_iter().filter_map(Piece::of_node).collect())
            }
            _ => Err(odd(folder, "folder")),
        }
    }

    /// Where a link leads.
    pub(crate) fn target(&self, link: &Piece) -> Result<OsString> {
        match (self, &link.place) {
            (Self::Btrfs { root, .. }, Place::Path(path)) if link.what == What::Link => {
                root.link(path).map_err(Fault::step("read a link"))
            }
            (Self::Repository { .. }, Place::Node(node)) if node.is_symlink() => {
                Ok(node.node_type.to_link().as_os_str().to_owned())
            }
            _ => Err(odd(link, "link")),
        }
    }

    /// Writes what is in a file, its first `most` bytes.
    pub(crate) fn read(&self, file: &Piece, most: u64, to: &mut dyn Write) -> Result<()> {
        match (self, &file.place) {
            (Self::Btrfs { root, .. }, Place::Path(path)) if file.what == What::File => {
                let opened = root.file(path).map_err(Fault::step("open a file"))?;
                io::copy(&mut opened.take(most), to).map_err(Fault::step("read a file"))?;
                Ok(())
            }
            (Self::Repository { repository, .. }, Place::Node(node)) if node.is_file() => {
                let open = repository.open_file(node)?;
                let most = usize::try_from(most.min(file.bytes)).unwrap_or(usize::MAX);
                let mut done = 0;
                while done < most {
                    let piece = repository.read_file_at(&open, done, PIECE.min(most - done))?;
                    if piece.is_empty() {
                        return Err(Fault::new(
                            Refusal::Failed,
                            "a file of the snapshot is cut off",
                        ));
                    }
                    to.write_all(&piece).map_err(Fault::step("write a file"))?;
                    done += piece.len();
                }
                Ok(())
            }
            _ => Err(odd(file, "file")),
        }
    }

    /// Fills an empty file with what is in one, sharing what can be shared.
    pub(crate) fn copy(&self, file: &Piece, to: &mut File) -> Result<()> {
        if let (Self::Btrfs { root, .. }, Place::Path(path)) = (self, &file.place)
            && let Ok(from) = root.file(path)
            && rustix::fs::ioctl_ficlone(&to, &from).is_ok()
        {
            return Ok(());
        }
        let mut holey = Holey { file: to, end: 0 };
        self.read(file, u64::MAX, &mut holey)?;
        let end = holey.end;
        to.set_len(end).map_err(Fault::step("write a file"))
    }
}

/// Leaves holes where there is nothing but zeros, as disks of virtual machines have them.
struct Holey<'a> {
    file: &'a mut File,
    end: u64,
}

impl Write for Holey<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(64 << 10)];
        let length = match bytes.iter().all(|byte| *byte == 0) {
            true => {
                self.file.seek(SeekFrom::Current(bytes.len() as i64))?;
                bytes.len()
            }
            false => self.file.write(bytes)?,
        };
        self.end += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl From<Found> for Piece {
    fn from(found: Found) -> Self {
        let stat = &found.stat;
        Self {
            name: found.path.file_name().unwrap_or_default().to_owned(),
            what: found.what,
            bytes: if found.what == What::File { stat.st_size as u64 } else { 0 },
            mode: stat.st_mode & 0o777,
            modified: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ },
            place: Place::Path(found.path),
        }
    }
}

impl Piece {
    /// Nothing where it is none that we keep. A name that leads anywhere else is of no repository of ours.
    fn of_node(node: Node) -> Option<Self> {
        let name = node.name().into_owned();
        if name.is_empty() || Path::new(&name).file_name() != Some(&name) {
            return None;
        }
        let what = match node.node_type {
            NodeType::Dir => What::Folder,
            NodeType::File => What::File,
            NodeType::Symlink { .. } => What::Link,
            NodeType::Dev { .. } | NodeType::Chardev { .. } | NodeType::Fifo | NodeType::Socket => {
                return None;
            }
        };
        let modified = node.meta.mtime.map_or(Timespec { tv_sec: 0, tv_nsec: 0 }, |at| Timespec {
            tv_sec: at.as_second(),
            tv_nsec: at.subsec_nanosecond().into(),
        });
        let (bytes, mode) = (node.meta.size, node.meta.mode.unwrap_or(0o600) & 0o777);
        let bytes = if what == What::File { bytes } else { 0 };
        let place = match (what, node.subtree) {
            (What::Folder, Some(tree)) => Place::Tree(tree),
            (What::Folder, None) => return None,
            (What::File | What::Link, _) => Place::Node(Box::new(node)),
        };
        Some(Self { name, what, bytes, mode, modified, place })
    }

    pub(crate) fn entry(&self) -> Entry {
        Entry {
            name: self.name.to_string_lossy().into_owned(),
            what: self.what,
            bytes: self.bytes,
            modified_at: self.modified.tv_sec,
        }
    }
}

fn odd(piece: &Piece, wanted: &str) -> Fault {
    let is = match piece.what {
        What::Folder => "folder",
        What::File => "file",
        What::Link => "link",
    };
    let name = piece.name.to_string_lossy();
    Fault::new(Refusal::Odd, format!("{name:?} is a {is} in this snapshot, and no {wanted}"))
}
