//! A new folder in Data, of a zip file: laid out whole in a place that its owner cannot enter, then put
//! where it belongs by one rename. Where anything fails before that, nothing has changed.
//!
//! Each step is from a directory that is held open and that this process has just made, so no link is
//! ever followed; links are made when all the rest is there.

use crate::archive::{Archive, Piece};
use crate::beneath::{DIRECTORY, Root};
use crate::fault::{Fault, Result};
use crate::put::{self, LAID, own};
use crate::shelf::Shelf;
use lattice_wire::imports::{MOST_UPLOAD, ProjectName};
use lattice_wire::snapshots::{Inside, MAX_CHUNK, Refusal, Reply, What};
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RenameFlags, Uid, chownat, fchmod, mkdirat, openat, renameat_with,
    symlinkat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;

/// Takes what is uploaded to where snapshots are kept. It has no name there, so it goes with this process.
pub(crate) fn receive(shelf: &Shelf, input: &mut dyn Read) -> Result<File> {
    let mut bits = [0; 8];
    getrandom::fill(&mut bits)
        .map_err(|error| Fault::new(Refusal::Failed, format!("get random bytes: {error}")))?;
    let path = shelf.dir.join(format!("upload-{:016x}", u64::from_le_bytes(bits)));
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create_new(true).mode(0o600);
    let mut file = options.open(&path).map_err(Fault::step("make a file for what is uploaded"))?;
    fs::remove_file(&path).map_err(Fault::step("make a file for what is uploaded"))?;
    let cut = |error: io::Error| {
        Fault::new(Refusal::Failed, format!("the file did not arrive whole: {error}"))
    };
    let (mut all, mut chunk) = (0, vec![0; MAX_CHUNK]);
    loop {
        let mut length = [0; 4];
        input.read_exact(&mut length).map_err(cut)?;
        let length = u32::from_be_bytes(length) as usize;
        all += length as u64;
        if length == 0 {
            break;
        }
        if length > MAX_CHUNK || all > MOST_UPLOAD {
            let detail = format!("the file is larger than {} MB", MOST_UPLOAD >> 20);
            return Err(Fault::new(Refusal::Odd, detail));
        }
        input.read_exact(&mut chunk[..length]).map_err(cut)?;
        file.write_all(&chunk[..length]).map_err(Fault::step("keep what is uploaded"))?;
    }
    file.rewind().map_err(Fault::step("keep what is uploaded"))?;
    Ok(file)
}

/// Makes the folder, for that user where this process may choose.
pub(crate) fn import(
    shelf: &Shelf,
    data: &Root,
    owner: Option<u32>,
    archive: &mut Archive,
    name: &ProjectName,
) -> Result<Reply> {
    let stage = put::begin(shelf, data, &Inside::all())?;
    mkdirat(&stage, LAID, Mode::RWXU).map_err(failed)?;
    let laid = openat(&stage, LAID, DIRECTORY, Mode::empty()).map_err(failed)?;
    let mut layer = Layer { laid, owner, last: None };
    let pieces = archive.pieces.clone();
    let (links, others): (Vec<_>, Vec<_>) =
        pieces.iter().partition(|piece| piece.what == What::Link);
    for piece in others.into_iter().chain(links) {
        layer.lay(archive, piece)?;
    }
    let Layer { laid, .. } = layer;
    finish(&laid, owner, true).map_err(failed)?;
    rustix::fs::syncfs(&stage).map_err(failed)?;
    let folder = place(&stage, data, name)?;
    let files = pieces.iter().filter(|piece| piece.what == What::File).count() as u64;
    Ok(Reply::Imported { folder, files, bytes: pieces.iter().map(|piece| piece.bytes).sum() })
}

/// Puts it in Data, under a name that nothing has there.
fn place(stage: &OwnedFd, data: &Root, name: &ProjectName) -> Result<String> {
    for name in name.and_like_it() {
        match renameat_with(stage, LAID, data, name.as_str(), RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(name),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let detail = format!(
        "there are very many folders in Data that are called like {:?}; give it another name",
        name.as_str()
    );
    Err(Fault::new(Refusal::InTheWay, detail))
}

struct Layer {
    laid: OwnedFd,
    owner: Option<u32>,
    /// The folder that something was laid in last; what follows is mostly there as well.
    last: Option<(String, OwnedFd)>,
}

impl Layer {
    fn lay(&mut self, archive: &mut Archive, piece: &Piece) -> Result<()> {
        if piece.what == What::Folder {
            return self.folder(&piece.path).map(drop);
        }
        let (above, name) = piece.path.rsplit_once('/').unwrap_or(("", &piece.path));
        let owner = self.owner;
        let folder = self.folder(above)?;
        if piece.what == What::Link {
            symlinkat(archive.target(piece)?, folder, name).map_err(failed)?;
            let Some(uid) = owner else { return Ok(()) };
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)));
            return chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(failed);
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let flags = flags | OFlags::NOFOLLOW;
        let file = openat(folder, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        let mut file = File::from(file);
        archive.copy(piece, &mut file)?;
        finish(&OwnedFd::from(file), owner, piece.runs).map_err(failed)
    }

    /// The folder of that path, made where it is missing.
    fn folder(&mut self, path: &str) -> Result<&OwnedFd> {
        if path.is_empty() {
            return Ok(&self.laid);
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let mut here = self.laid.try_clone().map_err(Fault::step("open a folder"))?;
            for name in path.split('/').map(OsStr::new) {
                let made = mkdirat(&here, name, Mode::RWXU);
                here = openat(&here, name, DIRECTORY, Mode::empty()).map_err(failed)?;
                match made {
                    Ok(()) => finish(&here, self.owner, true).map_err(failed)?,
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            self.last = Some((path.to_owned(), here));
        }
        Ok(self.last.as_ref().map_or(&self.laid, |(_, folder)| folder))
    }
}

/// Nothing of what a zip file says of rights is taken over but whether something is a program.
fn finish(made: &OwnedFd, owner: Option<u32>, runs: bool) -> rustix::io::Result<()> {
    own(made, owner)?;
    fchmod(made, Mode::from_raw_mode(if runs { 0o755 } else { 0o644 }))
}

fn failed(error: Errno) -> Fault {
    Fault::step("make the new folder in Data")(error.into())
}
