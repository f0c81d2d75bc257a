//! New folders in Data: of a zip file that somebody sends, or of a repository that is cloned.
//!
//! INVARIANT: until all of it is there, nobody waits for it and nothing is done: a keeper does nothing
//! before the end, and whoever goes away before that has ended it.

use super::keeper::{Kept, Upload};
use super::{SnapshotError, Snapshots, alone, odd};
use crate::runtime::RuntimeError;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use lattice_wire::imports::{CLONE_PATIENCE_S, CloneUrl, MOST_UPLOAD, ProjectName};
use lattice_wire::snapshots::{Refusal, Reply, Request};
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// So many repositories are cloned at once: each may take the memory of one clone.
pub(super) const MOST_CLONES: usize = 2;
/// How long nothing may come of what somebody sends.
const STALLED: Duration = Duration::from_secs(30);
/// How long all of it may take.
const LONGEST: Duration = Duration::from_secs(1800);
/// How long unpacking may take.
const UNPACKED: Duration = Duration::from_secs(300);
/// For the sandbox to begin and to end in.
const SLACK: Duration = Duration::from_secs(20);

/// What there is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What the folder is called.
    pub folder: String,
    /// How many files are in it.
    pub files: u64,
    /// How long they are together, in bytes.
    pub bytes: u64,
}

impl Snapshots {
    /// Makes a new folder of a zip file.
    pub async fn import<E: Error + Send + Sync + 'static>(
        &self,
        owner: i64,
        name: ProjectName,
        zip: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Imported, SnapshotError> {
        let place = self.import_place(owner)?;
        timeout(LONGEST, self.take_in(owner, name, zip, place)).await.unwrap_or_else(|_| late())
    }

    /// Makes a new folder of a repository.
    pub async fn clone_in(
        &self,
        owner: i64,
        name: ProjectName,
        url: &CloneUrl,
    ) -> Result<Imported, SnapshotError> {
        let place = self.import_place(owner)?;
        let cloned = async {
            let _one = self.0.clones.acquire().await.map_err(|_| SnapshotError::Crowd)?;
            let Kept { reply, content } = self.0.runtime.fetch(url).await?;
            match reply {
                Reply::Content { .. } => {}
                Reply::Refused { why, detail } => {
                    return Err(SnapshotError::Refused { why, detail });
                }
                other => return Err(odd(&other)),
            }
            self.take_in(owner, name, content.stream(), place).await
        };
        let patience = Duration::from_secs(CLONE_PATIENCE_S) + SLACK + UNPACKED;
        timeout(patience, cloned).await.unwrap_or_else(|_| late())
    }

    async fn take_in<E: Error + Send + Sync + 'static>(
        &self,
        owner: i64,
        name: ProjectName,
        zip: impl Stream<Item = Result<Bytes, E>>,
        place: OwnedSemaphorePermit,
    ) -> Result<Imported, SnapshotError> {
        let mut zip = pin!(zip);
        let mut upload = self.0.runtime.upload(owner, &Request::Import { name }).await?;
        let mut all = 0;
        loop {
            let piece = timeout(STALLED, zip.next()).await;
            let piece = match piece.map_err(|_| stalled())? {
                None => break,
                Some(piece) => piece.map_err(|error| {
                    refused(Refusal::Odd, format!("it did not arrive whole; try again: {error}"))
                })?,
            };
            all += piece.len() as u64;
            if all > MOST_UPLOAD {
                let most = MOST_UPLOAD >> 20;
                return Err(refused(
                    Refusal::Odd,
                    format!("it is larger than {most} MB; make it smaller"),
                ));
            }
            if upload.write(&piece).await.is_err() {
                // It has said why.
                return imported(upload.answer().await);
            }
        }
        let own = self.clone();
        alone(async move {
            let _place = place;
            // Nobody's snapshot waits for somebody's slow network.
            let _turn = own.turn(owner).await?;
            let done = own.finish(upload).await;
            if done.is_err()
                && let Err(error) = own.ask(owner, &Request::Unstage {}).await
            {
                tracing::warn!(owner, %error, "what was unpacked could not be thrown away yet");
            }
            done
        })
        .await
    }

    async fn finish(&self, upload: Upload) -> Result<Imported, SnapshotError> {
        match timeout(UNPACKED, upload.finish()).await {
            Ok(kept) => imported(kept),
            Err(_) => {
                let detail =
                    format!("it was not unpacked in {} s; make it smaller", UNPACKED.as_secs());
                Err(refused(Refusal::Odd, detail))
            }
        }
    }

    fn import_place(&self, owner: i64) -> Result<OwnedSemaphorePermit, SnapshotError> {
        let mut imports = self.0.imports.lock().unwrap_or_else(PoisonError::into_inner);
        imports.retain(|_, place| place.available_permits() == 0);
        let place = imports.entry(owner).or_insert_with(|| Arc::new(Semaphore::new(1)));
        place.clone().try_acquire_owned().map_err(|_| SnapshotError::Importing)
    }
}

fn imported(kept: io::Result<Kept>) -> Result<Imported, SnapshotError> {
    let failed = |error| RuntimeError::Refused(format!("the keeper did not unpack it: {error}"));
    match kept.map_err(failed)?.reply {
        Reply::Imported { folder, files, bytes } => Ok(Imported { folder, files, bytes }),
        Reply::Refused { why, detail } => Err(refused(why, detail)),
        other => Err(odd(&other)),
    }
}

fn refused(why: Refusal, detail: String) -> SnapshotError {
    SnapshotError::Refused { why, detail }
}

fn stalled() -> SnapshotError {
    let detail = format!("nothing came for {} s; try again", STALLED.as_secs());
    refused(Refusal::Odd, detail)
}

fn late() -> Result<Imported, SnapshotError> {
    Err(refused(Refusal::Odd, "it took too long; make it smaller".to_owned()))
}
