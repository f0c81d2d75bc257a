//! A zip file that somebody uploaded: what is in it, once all of it is known to be harmless.
//!
//! INVARIANT: [`Archive::open`] looks at everything before anything is written. What it lets through has
//! plain relative paths, no two things of one path, nothing below a file or a link, links that stay in the
//! folder, and no more than the limits of `lattice_wire::imports`.

use crate::fault::{Fault, Result};
use lattice_wire::imports::{MOST_DEPTH, MOST_PIECES, MOST_RATIO, MOST_UNPACKED};
use lattice_wire::snapshots::{MAX_PATH, Refusal, What};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// Very small files pack better than [`MOST_RATIO`] says, and harm nobody.
const HARMLESS: u64 = 1 << 20;
/// The longest name of a file, in bytes: as file systems have it.
const MAX_NAME: usize = 255;
/// What of a file's mode says what it is, and its kinds, see inode(7).
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;
/// In the flags: the name is UTF-8, see APPNOTE 4.4.4.
const UTF8: u16 = 1 << 11;
/// What macOS adds for itself.
const MAC: [&str; 2] = ["__MACOSX", ".DS_Store"];

/// A zip file that may be unpacked.
#[derive(Debug)]
pub(crate) struct Archive {
    zip: ZipArchive<File>,
    /// What is in it. Folders come before what is in them.
    pub(crate) pieces: Vec<Piece>,
}

/// Something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Names with `/` between them.
    pub(crate) path: String,
    pub(crate) what: What,
    /// Whether it is a program.
    pub(crate) runs: bool,
    /// How long it says it is, in bytes.
    pub(crate) bytes: u64,
    index: usize,
}

impl Archive {
    /// Looks at all that is in it.
    pub(crate) fn open(file: File) -> Result<Self> {
        let length = file.metadata().map_err(Fault::step("look at the zip file"))?.len();
        let mut zip = ZipArchive::new(file).map_err(unreadable)?;
        if zip.len() > MOST_PIECES {
            return odd(format!("more than {MOST_PIECES} files are in the zip file"));
        }
        if zip.has_duplicate_names() {
            return odd("two files in the zip file have the same name");
        }
        let mut pieces = (0..zip.len()).map(|at| piece(&zip, at)).collect::<Result<Vec<_>>>()?;
        pieces.retain(|piece| !piece.path.split('/').any(|name| MAC.contains(&name)));
        let bytes = pieces.iter().fold(0_u64, |sum, piece| sum.saturating_add(piece.bytes));
        if bytes > MOST_UNPACKED {
            let most = MOST_UNPACKED >> 30;
            return odd(format!("more than {most} GB are in the zip file, unpacked"));
        }
        if bytes > length.saturating_mul(MOST_RATIO).saturating_add(HARMLESS)
            || zip.has_overlapping_files().map_err(unreadable)?
        {
            return odd("the zip file is made so that it fills disks; pack the files again");
        }
        without_folder_around(&mut pieces);
        check_places(&pieces)?;
        pieces.sort_by(|one, other| one.path.split('/').cmp(other.path.split('/')));
        if pieces.is_empty() {
            return odd("nothing is in the zip file");
        }
        let mut archive = Self { zip, pieces };
        for link in archive.pieces.clone().iter().filter(|piece| piece.what == What::Link) {
            archive.target(link)?;
        }
        Ok(archive)
    }

    /// Where a link leads: to something in the folder.
    pub(crate) fn target(&mut self, link: &Piece) -> Result<String> {
        let mut target = Vec::new();
        self.copy(link, &mut target)?;
        let stays = |target: &String| stays(&link.path, target);
        String::from_utf8(target).ok().filter(stays).ok_or_else(|| {
            let detail = format!(
                "the link {:?} in it leads out of its folder; leave it out and try again",
                link.path
            );
            Fault::new(Refusal::Odd, detail)
        })
    }

    /// Writes what is in a file: as much as the file says, and whole.
    pub(crate) fn copy(&mut self, piece: &Piece, to: &mut impl Write) -> Result<()> {
        let damaged = || {
            let detail = format!("{:?} in it is damaged; pack it again and try again", piece.path);
            Fault::new(Refusal::Odd, detail)
        };
        let file = self.zip.by_index(piece.index).map_err(|_| damaged())?;
        let (mut file, mut buffer, mut all) =
            (file.take(piece.bytes.saturating_add(1)), vec![0; 64 << 10], 0_u64);
        loop {
            match file.read(&mut buffer) {
                Ok(0) if all == piece.bytes => return Ok(()),
                Ok(length) if length > 0 && all + length as u64 <= piece.bytes => {
                    to.write_all(&buffer[..length]).map_err(Fault::step("unpack the zip file"))?;
                    all += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return Err(damaged()),
            }
        }
    }
}

fn piece(zip: &ZipArchive<File>, index: usize) -> Result<Piece> {
    let entry = zip.by_index_data(index).map_err(unreadable)?;
    let name = entry.name().map_err(unreadable)?;
    let shown: String = name.chars().take(120).collect();
    let named = |why: &str| odd(format!("{shown:?} in it {why}; leave it out and try again"));
    // What says that it is UTF-8 and is none may be read in two ways.
    let is_utf8 = std::str::from_utf8(entry.name_raw()).is_ok();
    if entry.flags().as_u16() & UTF8 != 0 && !is_utf8 {
        return named("has a name with letters that no file has");
    }
    let is_folder = name.ends_with('/');
    let path = match plain(&name) {
        Ok(path) => path,
        Err(why) => return named(why),
    };
    if entry.encrypted() {
        return odd("the zip file is protected by a password; pack it again without one");
    }
    let mode = entry.unix_mode().unwrap_or(0);
    let what = match mode & KIND {
        LINK if !is_folder => What::Link,
        FOLDER => What::Folder,
        0 | REGULAR if is_folder => What::Folder,
        0 | REGULAR => What::File,
        _ => return named("is neither a file nor a folder"),
    };
    let is_known =
        matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated);
    if !is_known && what != What::Folder {
        return named("is packed in a way that is not known here (not by Deflate)");
    }
    let bytes = if what == What::Folder { 0 } else { entry.size() };
    if what == What::Link && bytes > MAX_PATH as u64 {
        return named("is a link that is too long");
    }
    Ok(Piece { path, what, runs: mode & 0o111 != 0, bytes, index })
}

/// The path that a name is, or what is wrong with it.
fn plain(name: &str) -> std::result::Result<String, &'static str> {
    if name.chars().any(|c| c.is_control() || c == '\u{fffd}') {
        return Err("has a name with letters that no file has");
    }
    if name.contains('\\') {
        return Err("has a name with a backslash");
    }
    let is_drive =
        name.chars().nth(1) == Some(':') && name.starts_with(|c: char| c.is_alphabetic());
    if name.starts_with('/') || is_drive {
        return Err("has a path that does not begin in the zip file");
    }
    let path = name.strip_suffix('/').unwrap_or(name);
    let path = path.strip_prefix("./").unwrap_or(path);
    if path.len() > MAX_PATH || path.split('/').any(|name| name.len() > MAX_NAME) {
        return Err("has a name that is too long");
    }
    if path.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return Err("has a path that leads elsewhere");
    }
    if path.split('/').count() > MOST_DEPTH {
        return Err("is too deep in folders");
    }
    Ok(path.to_owned())
}

/// Whether a link leads to something below the folder, whatever other such links are on the way: nothing
/// goes up but at its beginning, and that no further than to the top.
fn stays(link: &str, target: &str) -> bool {
    let depth = link.split('/').count() - 1;
    let ups = target.split('/').take_while(|name| *name == "..").count();
    let mut rest = target.split('/').skip(ups);
    !target.is_empty()
        && !target.starts_with('/')
        && !target.chars().any(char::is_control)
        && ups <= depth
        && rest.all(|name| name != "..")
}

/// Many zip files hold one folder with all the rest in it, which is the project.
fn without_folder_around(pieces: &mut Vec<Piece>) {
    let Some(first) = pieces.first() else { return };
    let top = first.path.split('/').next().unwrap_or("").to_owned();
    let below = format!("{top}/");
    let is_folder = |piece: &Piece| piece.path == top && piece.what == What::Folder;
    let has_more = pieces.iter().any(|piece| piece.path.starts_with(&below));
    if !has_more || !pieces.iter().all(|piece| is_folder(piece) || piece.path.starts_with(&below)) {
        return;
    }
    pieces.retain(|piece| piece.path != top);
    for piece in pieces {
        piece.path.drain(..below.len());
    }
}

/// Each has a place of its own, and what is around it is a folder.
fn check_places(pieces: &[Piece]) -> Result<()> {
    let mut known: HashMap<&str, What> = HashMap::with_capacity(pieces.len());
    for piece in pieces {
        let before = known.insert(&piece.path, piece.what);
        if before.is_some_and(|before| (before, piece.what) != (What::Folder, What::Folder)) {
            return odd(format!("two files in the zip file are called {:?}", piece.path));
        }
    }
    for piece in pieces {
        let ends = piece.path.match_indices('/').map(|(at, _)| &piece.path[..at]);
        for above in ends {
            if matches!(known.get(above), Some(What::File | What::Link)) {
                return odd(format!("{above:?} in the zip file is a file and a folder at once"));
            }
        }
    }
    Ok(())
}

fn odd<T>(detail: impl Into<String>) -> Result<T> {
    Err(Fault::new(Refusal::Odd, detail))
}

fn unreadable(error: ZipError) -> Fault {
    match error {
        ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Fault::step("read the zip file")(error)
        }
        _ => Fault::new(Refusal::Odd, "the file is no zip file, or it is damaged; pack it again"),
    }
}
