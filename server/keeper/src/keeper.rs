//! What is done about each request.

use crate::archive::Archive;
use crate::beneath::Root;
use crate::contents::{Contents, Piece};
use crate::fault::{Fault, Result};
use crate::pack::{Chunks, pack};
use crate::shelf::{InRepository, Record, Shelf};
use crate::walk::{Tally, tally};
use crate::{btrfs, fetch, import, put, repository};
use lattice_engine::snapshots;
use lattice_wire::imports::ProjectName;
use lattice_wire::snapshots::{
    Cause, Inside, Kind, MAX_ENTRIES, Refusal, Reply, Request, Snapshot, SnapshotId, SnapshotName,
    What,
};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// To find out what nothing needs, all that is known of is looked through. In seconds.
const PRUNE_EVERY_S: u64 = 24 * 3600;

/// Snapshots of one person's Data.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Data, as it is.
    pub(crate) data: PathBuf,
    /// Where snapshots are kept.
    pub(crate) store: PathBuf,
    /// Whose files are to be what is restored; nothing where this process may not choose.
    pub(crate) owner: Option<u32>,
}

/// What is answered, and what content follows.
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) content: Option<Content>,
}

/// Content that is yet to be written.
pub(crate) enum Content {
    /// Of a snapshot.
    Kept(Box<Kept>),
    /// What was cloned.
    Cloned(fetch::Cloned),
}

pub(crate) struct Kept {
    contents: Contents,
    piece: Piece,
    how: How,
    /// Until it is written, nothing goes.
    _reading: fs::File,
}

enum How {
    Plain { most: u64 },
    Packed,
}

impl Keeper {
    /// `input` is what follows the request, where anything does.
    pub(crate) fn handle(&self, request: Request, input: &mut dyn io::Read) -> Answer {
        let answered = match request {
            Request::File { snapshot, path, most } => self.file(&snapshot, &path, most),
            Request::Zip { snapshot, path } => self.zip(&snapshot, &path),
            Request::List {} => self.list().map(Answer::from),
            Request::Prepare { only_if_changed, desktop_runs } => {
                self.prepare(only_if_changed, desktop_runs).map(Answer::from)
            }
            Request::Take { cause, name } => self.take_locked(cause, name).map(Answer::from),
            Request::Tidy {} => self.tidy().map(Answer::from),
            Request::Tree { snapshot, path } => self.tree(&snapshot, &path).map(Answer::from),
            Request::Stage { snapshot, path } => self.stage(&snapshot, &path).map(Answer::from),
            Request::Restore {} => self.restore().map(Answer::from),
            Request::Unstage {} => self.unstage().map(Answer::from),
            Request::Import { name } => self.import(&name, input).map(Answer::from),
        };
        answered.unwrap_or_else(|fault| Answer::from(fault.reply()))
    }

    fn shelf(&self) -> Result<Shelf> {
        Shelf::open(&self.store)
    }

    fn root(&self) -> Result<Arc<Root>> {
        Root::open(&self.data).map(Arc::new).map_err(Fault::step("open Data"))
    }

    fn kind(&self) -> Kind {
        match btrfs::can_keep(&self.data, &self.store) {
            true => Kind::Btrfs,
            false => Kind::Repository,
        }
    }

    fn list(&self) -> Result<Reply> {
        let records = self.shelf()?.records()?;
        let snapshots = records.into_iter().map(|record| record.snapshot).collect();
        Ok(Reply::Snapshots { kind: self.kind(), snapshots })
    }

    fn prepare(&self, only_if_changed: bool, desktop_runs: bool) -> Result<Reply> {
        let shelf = self.shelf()?;
        let (_lock, data) = (shelf.lock()?, self.root()?);
        let but = put::staged_name(&shelf, &data)?;
        let records = shelf.records()?;
        if only_if_changed && let Some(newest) = records.first() {
            let now = tally(&data, but.as_ref());
            if now.fingerprint() == newest.fingerprint {
                return Ok(Reply::Unchanged {});
            }
        }
        make_room(&shelf)?;
        let freeze = desktop_runs && self.kind() == Kind::Repository;
        if freeze {
            // Read while everybody goes on: what is left for the moment when nobody may is what changes
            // until then.
            let before = shelf.ready();
            let (ahead, _) = repository::add(&shelf, &data, but.as_ref())?;
            shelf.set_ready(Some(&ahead.file))?;
            repository::forget(&shelf, &Vec::from_iter(before))?;
        }
        Ok(Reply::Prepared { freeze })
    }

    fn take_locked(&self, cause: Cause, name: Option<SnapshotName>) -> Result<Reply> {
        let shelf = self.shelf()?;
        let (_lock, data) = (shelf.lock()?, self.root()?);
        let snapshot = self.take(&shelf, &data, cause, name)?;
        Ok(Reply::Taken { snapshot })
    }

    fn take(
        &self,
        shelf: &Shelf,
        data: &Arc<Root>,
        cause: Cause,
        name: Option<SnapshotName>,
    ) -> Result<Snapshot> {
        let but = put::staged_name(shelf, data)?;
        let (id, at) = fresh_id()?;
        let kind = self.kind();
        let (in_repository, tally) = match kind {
            Kind::Btrfs => (None, self.take_by_btrfs(shelf, &id, but.as_ref())?),
            Kind::Repository => {
                let (made, tally) = repository::add(shelf, data, but.as_ref())?;
                (Some(made), tally)
            }
        };
        let Tally { files, bytes, left_out, .. } = tally;
        let snapshot = Snapshot { id, at, cause, kind, files, bytes, left_out, name };
        let fingerprint = tally.fingerprint();
        let without = but.filter(|_| kind == Kind::Btrfs);
        let without = without.map(|name| name.to_string_lossy().into_owned());
        shelf.put(&Record { snapshot: snapshot.clone(), fingerprint, without, in_repository })?;
        shelf.set_ready(None)?;
        Ok(snapshot)
    }

    fn take_by_btrfs(
        &self,
        shelf: &Shelf,
        id: &SnapshotId,
        but: Option<&OsString>,
    ) -> Result<Tally> {
        let all = shelf.dir.join("btrfs");
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&all)
            .map_err(Fault::step("make the directory for snapshots"))?;
        let path = all.join(id.as_str());
        btrfs::make(&self.data, &path)?;
        // Nothing in it changes from here on, however long it takes to look.
        let root = Root::open(&path).map(Arc::new).map_err(Fault::step("open the snapshot"))?;
        Ok(tally(&root, but))
    }

    fn tidy(&self) -> Result<Reply> {
        let shelf = self.shelf()?;
        let _lock = shelf.lock()?;
        if let Some(_nobody_reads) = shelf.while_nobody_reads()? {
            let known: Vec<_> = shelf.records()?.into_iter().map(|one| one.snapshot).collect();
            remove(&shelf, &snapshots::to_go(&known, now()))?;
            sweep(&shelf, false)?;
        }
        Ok(Reply::Done {})
    }

    fn tree(&self, id: &SnapshotId, path: &Inside) -> Result<Reply> {
        let shelf = self.shelf()?;
        let _reading = shelf.read()?;
        let contents = Contents::open(&shelf, &shelf.record(id)?)?;
        let mut pieces = contents.list(&contents.find(path)?)?;
        pieces.sort_by(|one, other| (one.what, &one.name).cmp(&(other.what, &other.name)));
        let cut = pieces.len() > MAX_ENTRIES;
        let entries = pieces.iter().take(MAX_ENTRIES).map(Piece::entry).collect();
        Ok(Reply::Entries { entries, cut })
    }

    fn file(&self, id: &SnapshotId, path: &Inside, most: Option<u64>) -> Result<Answer> {
        let content = self.open(id, path, How::Plain { most: most.unwrap_or(u64::MAX) })?;
        if content.piece.what != What::File {
            let detail = format!("{:?} is no file in this snapshot", path.as_str());
            return Err(Fault::new(Refusal::Odd, detail));
        }
        let bytes = Some(content.piece.bytes.min(most.unwrap_or(u64::MAX)));
        Ok(Answer { reply: Reply::Content { bytes }, content: Some(Content::Kept(content)) })
    }

    fn zip(&self, id: &SnapshotId, path: &Inside) -> Result<Answer> {
        let content = self.open(id, path, How::Packed)?;
        let content = Some(Content::Kept(content));
        Ok(Answer { reply: Reply::Content { bytes: None }, content })
    }

    fn open(&self, id: &SnapshotId, path: &Inside, how: How) -> Result<Box<Kept>> {
        let shelf = self.shelf()?;
        let reading = shelf.read()?;
        let contents = Contents::open(&shelf, &shelf.record(id)?)?;
        let piece = contents.find(path)?;
        Ok(Box::new(Kept { contents, piece, how, _reading: reading }))
    }

    fn stage(&self, id: &SnapshotId, path: &Inside) -> Result<Reply> {
        let shelf = self.shelf()?;
        let (_lock, data) = (shelf.lock()?, self.root()?);
        let contents = Contents::open(&shelf, &shelf.record(id)?)?;
        let piece = contents.find(path)?;
        put::clear(&shelf, &data)?;
        let staged = put::stage(&shelf, &data, self.owner, &contents, &piece, path);
        if staged.is_err() {
            put::clear(&shelf, &data)?;
        }
        staged.map(|()| Reply::Done {})
    }

    fn restore(&self) -> Result<Reply> {
        let shelf = self.shelf()?;
        let (_lock, data) = (shelf.lock()?, self.root()?);
        let snapshot = self.take(&shelf, &data, Cause::Restore, None)?;
        if let Err(fault) = put::place(&shelf, &data, self.owner) {
            put::clear(&shelf, &data)?;
            return Err(fault);
        }
        Ok(Reply::Taken { snapshot })
    }

    fn import(&self, name: &ProjectName, input: &mut dyn io::Read) -> Result<Reply> {
        let shelf = self.shelf()?;
        let file = import::receive(&shelf, input)?;
        let mut archive = Archive::open(file)?;
        let (_lock, data) = (shelf.lock()?, self.root()?);
        put::clear(&shelf, &data)?;
        let imported = import::import(&shelf, &data, self.owner, &mut archive, name);
        put::clear(&shelf, &data)?;
        imported
    }

    fn unstage(&self) -> Result<Reply> {
        let shelf = self.shelf()?;
        let (_lock, data) = (shelf.lock()?, self.root()?);
        put::clear(&shelf, &data)?;
        Ok(Reply::Done {})
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { reply, content: None }
    }
}

impl Content {
    /// Writes it in chunks. What fails half way leaves it without its end.
    pub(crate) fn write(self, to: impl Write) -> Result<()> {
        let mut chunks = Chunks::new(to);
        match self {
            Self::Kept(kept) => match kept.how {
                How::Plain { most } => kept.contents.read(&kept.piece, most, &mut chunks)?,
                How::Packed => pack(&kept.contents, &kept.piece, &mut chunks)?,
            },
            Self::Cloned(clone) => clone.pack(&mut chunks)?,
        }
        chunks.finish().map_err(Fault::step("write the answer"))
    }
}

/// Has older ones go until there is room for another.
fn make_room(shelf: &Shelf) -> Result<()> {
    while shelf.is_short_of_room()? {
        let known: Vec<_> = shelf.records()?.into_iter().map(|one| one.snapshot).collect();
        let (Some(first), Some(_nobody_reads)) =
            (snapshots::to_go_for_room(&known), shelf.while_nobody_reads()?)
        else {
            return Err(Fault::full());
        };
        remove(shelf, &[first])?;
        sweep(shelf, true)?;
    }
    Ok(())
}

/// Removes snapshots: what says that they are there first.
fn remove(shelf: &Shelf, gone: &[SnapshotId]) -> Result<()> {
    gone.iter().try_for_each(|id| shelf.remove(id))
}

/// Removes whatever nothing is noted of: what was just forgotten, and what is left of a keeper that was
/// killed. What a repository gains by that it gives back once a day, or at once where there is a `need`.
/// Nobody is to read meanwhile.
fn sweep(shelf: &Shelf, need: bool) -> Result<()> {
    let records = shelf.records()?;
    let ids: BTreeSet<_> = records.iter().map(|one| one.snapshot.id.as_str().to_owned()).collect();
    let made = match fs::read_dir(shelf.dir.join("btrfs")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(Fault::step("list the snapshots"))?.flatten().collect(),
    };
    for one in made.iter().filter(|one| !ids.contains(one.file_name().to_string_lossy().as_ref())) {
        btrfs::remove(&one.path())?;
    }
    if !shelf.dir.join("repository/config").exists() {
        return Ok(());
    }
    let of = |record: &Record| {
        record.in_repository.as_ref().map(|InRepository { file, .. }| file.clone())
    };
    let mut needed: BTreeSet<_> = records.iter().filter_map(of).collect();
    needed.extend(shelf.ready());
    let mut gone = repository::all(shelf)?;
    gone.retain(|file| !needed.contains(file));
    if !gone.is_empty() {
        repository::forget(shelf, &gone)?;
    }
    let (last, now) = (shelf.pruned(), now());
    if need || last.is_none_or(|last| last > now || now - last >= PRUNE_EVERY_S) {
        repository::prune(shelf)?;
        shelf.set_pruned(now)?;
    }
    Ok(())
}

/// With the time of it, in seconds.
fn fresh_id() -> Result<(SnapshotId, u64)> {
    let mut bits = [0; 4];
    getrandom::fill(&mut bits)
        .map_err(|error| Fault::new(Refusal::Failed, format!("get random bytes: {error}")))?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Ok((SnapshotId::new(at_ms, u32::from_le_bytes(bits)), since.as_secs()))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
