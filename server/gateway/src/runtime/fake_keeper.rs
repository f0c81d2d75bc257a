//! Snapshots of nobody's files, for tests: each has one file.

use super::RuntimeError;
use super::fake::{Call, Fake};
use crate::snapshots::{Kept, Upload};
use lattice_wire::imports::{CloneUrl, Host};
use lattice_wire::snapshots::{
    Cause, Entry, Inside, Kind, Refusal, Reply, Request, Snapshot, SnapshotId, SnapshotName, What,
};
use std::io::Cursor;

/// The only file.
const FILE: &str = "essay.txt";
const WORDS: &[u8] = b"words\n";

impl Fake {
    /// The first snapshot that somebody has.
    pub fn first_snapshot() -> SnapshotId {
        SnapshotId::new(1_000_000, 1)
    }

    /// Somebody has a snapshot.
    pub fn give_snapshot(&self, owner: i64) {
        let given = snapshot(Self::first_snapshot(), 1000, Cause::Schedule);
        self.world().kept.entry(owner).or_default().push(given);
    }

    pub(super) async fn keep(&self, owner: i64, request: &Request) -> Result<Kept, RuntimeError> {
        self.enter(Call::Keep)?;
        let (reply, content) = self.answer(owner, request);
        let mut bytes =
            serde_json::to_vec(&reply).map_err(|error| RuntimeError::Refused(error.to_string()))?;
        bytes.push(b'\n');
        for chunk in content.into_iter().chain([&[][..]]) {
            bytes.extend(u32::try_from(chunk.len()).unwrap_or(0).to_be_bytes());
            bytes.extend(chunk);
        }
        let kept = Kept::read(Cursor::new(bytes), None).await;
        kept.map_err(|error| RuntimeError::Refused(error.to_string()))
    }

    pub(super) async fn upload(
        &self,
        owner: i64,
        request: &Request,
    ) -> Result<Upload, RuntimeError> {
        self.enter(Call::Keep)?;
        let (reply, _) = self.answer(owner, request);
        let mut line =
            serde_json::to_vec(&reply).map_err(|error| RuntimeError::Refused(error.to_string()))?;
        line.push(b'\n');
        Ok(Upload::new(tokio::io::sink(), Cursor::new(line), None))
    }

    /// Every repository has the same files; what is on no server of the internet is not cloned.
    pub(super) async fn fetch(&self, url: &CloneUrl) -> Result<Kept, RuntimeError> {
        self.enter(Call::Keep)?;
        let answer: &[u8] = match url.host() {
            Host::Name(_) => b"{\"content\":{\"bytes\":null}}\n\0\0\0\x02PK\0\0\0\0",
            Host::Four(_) | Host::Six(_) => {
                b"{\"refused\":{\"why\":\"odd\",\"detail\":\"it is not on the public internet\"}}\n"
            }
        };
        let kept = Kept::read(answer, None).await;
        kept.map_err(|error| RuntimeError::Refused(error.to_string()))
    }

    fn answer(&self, owner: i64, request: &Request) -> (Reply, Option<&'static [u8]>) {
        let mut world = self.world();
        let kept = world.kept.entry(owner).or_default();
        let taken = |kept: &mut Vec<Snapshot>, cause, name: Option<&SnapshotName>| {
            let at = 2000 + kept.len() as u64;
            let made = snapshot(SnapshotId::new(at * 1000, 0), at, cause);
            let made = Snapshot { name: name.cloned(), ..made };
            kept.insert(0, made.clone());
            Reply::Taken { snapshot: made }
        };
        if let Request::Tree { snapshot, path }
        | Request::File { snapshot, path, .. }
        | Request::Zip { snapshot, path }
        | Request::Stage { snapshot, path } = request
            && (!kept.iter().any(|one| one.id == *snapshot) || !is_there(path))
        {
            let detail = "there is no such thing".to_owned();
            return (Reply::Refused { why: Refusal::Missing, detail }, None);
        }
        let reply = match request {
            Request::List {} => {
                Reply::Snapshots { kind: Kind::Repository, snapshots: kept.clone() }
            }
            Request::Prepare { only_if_changed: true, .. } if !kept.is_empty() => {
                Reply::Unchanged {}
            }
            Request::Prepare { desktop_runs, .. } => Reply::Prepared { freeze: *desktop_runs },
            Request::Take { cause, name } => taken(kept, *cause, name.as_ref()),
            Request::Restore {} => taken(kept, Cause::Restore, None),
            Request::Stage { .. } | Request::Unstage {} | Request::Tidy {} => Reply::Done {},
            Request::Import { name } => {
                Reply::Imported { folder: name.as_str().to_owned(), files: 1, bytes: 2 }
            }
            Request::Tree { .. } => {
                let entry = Entry {
                    name: FILE.into(),
                    what: What::File,
                    bytes: WORDS.len() as u64,
                    modified_at: 1000,
                };
                Reply::Entries { entries: vec![entry], cut: false }
            }
            Request::File { .. } => {
                return (Reply::Content { bytes: Some(WORDS.len() as u64) }, Some(WORDS));
            }
            Request::Zip { .. } => return (Reply::Content { bytes: None }, Some(b"PK")),
        };
        (reply, None)
    }
}

fn is_there(path: &Inside) -> bool {
    path.is_all() || path.as_str() == FILE
}

fn snapshot(id: SnapshotId, at: u64, cause: Cause) -> Snapshot {
    Snapshot { id, at, cause, kind: Kind::Repository, files: 1, bytes: 6, left_out: 0, name: None }
}
