//! Snapshots of people's Data: made when it is time or somebody asks, looked into, and put back.
//!
//! Files are a keeper's to touch (`server/keeper`), which the runtime starts where Data is. Here is in
//! which order it is asked, and that desktops are frozen for as long as nobody may write, and no longer.
//!
//! INVARIANT: what was frozen is let go on, whatever becomes of whoever asked for it: all that changes
//! anything runs in a task of its own.

mod imports;
pub mod keeper;
mod rounds;

pub use imports::Imported;
pub use keeper::{Content, Kept, Upload};

use crate::runtime::{InstanceState, Runtime, RuntimeError};
use crate::telemetry;
use lattice_wire::snapshots::{
    Cause, Entry, Inside, Kind, Refusal, Reply, Request, Snapshot, SnapshotId, SnapshotName,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long desktops may stand still for a snapshot. What has been read ahead leaves less than a second
/// to be read then.
const FROZEN_AT_MOST: Duration = Duration::from_secs(45);
/// The same where something is put back, which is not to be ended half way.
const FROZEN_TO_RESTORE: Duration = Duration::from_secs(600);
/// How long anything else may take: the first snapshot of very much, on a slow disk.
const PATIENCE: Duration = Duration::from_secs(3600);
/// So many things wait for one person's turn at most, or are read of theirs at once; more are refused.
const MOST_AT_ONCE: usize = 6;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The keeper refused.
    #[error("{detail}")]
    Refused {
        /// In which way.
        why: Refusal,
        /// For a person, with what to do.
        detail: String,
    },
    /// As much as may be is asked for at once already.
    #[error("very much is being done with these snapshots already; wait until that is done")]
    Crowd,
    /// A folder is being made for them already.
    #[error("files of yours are being taken in already; wait until they are there")]
    Importing,
    /// It could not be asked.
    #[error("snapshots cannot be reached")]
    Runtime(#[from] RuntimeError),
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    /// What the next one will be.
    pub kind: Kind,
    /// The newest first.
    pub snapshots: Vec<Snapshot>,
}

/// A handle to all of it.
#[derive(Debug, Clone)]
pub struct Snapshots(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    runtime: Arc<Runtime>,
    /// One thing at a time is changed of each person's.
    turns: Mutex<HashMap<i64, Arc<tokio::sync::Mutex<()>>>>,
    /// Each that is read takes a process.
    reads: Mutex<HashMap<i64, Arc<Semaphore>>>,
    /// Each person makes one new folder at a time.
    imports: Mutex<HashMap<i64, Arc<Semaphore>>>,
    /// Each clone takes memory of the server's.
    clones: Semaphore,
}

impl Snapshots {
    /// Those of everybody whose desktops this runtime runs.
    pub fn new(runtime: Arc<Runtime>) -> Self {
        Self(Arc::new(Parts {
            runtime,
            turns: Mutex::default(),
            reads: Mutex::default(),
            imports: Mutex::default(),
            clones: Semaphore::new(imports::MOST_CLONES),
        }))
    }

    /// What there is of a person's.
    pub async fn list(&self, owner: i64) -> Result<Shelf, SnapshotError> {
        match self.ask(owner, &Request::List {}).await? {
            Reply::Snapshots { kind, snapshots } => Ok(Shelf { kind, snapshots }),
            other => Err(odd(&other)),
        }
    }

    /// What is in a folder, and whether that is not all.
    pub async fn tree(
        &self,
        owner: i64,
        snapshot: SnapshotId,
        path: Inside,
    ) -> Result<(Vec<Entry>, bool), SnapshotError> {
        let _place = self.reads(owner)?;
        match self.ask(owner, &Request::Tree { snapshot, path }).await? {
            Reply::Entries { entries, cut } => Ok((entries, cut)),
            other => Err(odd(&other)),
        }
    }

    /// What is in a file, `most` bytes of it, and how long that is.
    pub async fn file(
        &self,
        owner: i64,
        snapshot: SnapshotId,
        path: Inside,
        most: Option<u64>,
    ) -> Result<(Content, Option<u64>), SnapshotError> {
        self.content(owner, &Request::File { snapshot, path, most }).await
    }

    /// A folder, packed.
    pub async fn zip(
        &self,
        owner: i64,
        snapshot: SnapshotId,
        path: Inside,
    ) -> Result<Content, SnapshotError> {
        Ok(self.content(owner, &Request::Zip { snapshot, path }).await?.0)
    }

    /// Makes one.
    pub async fn take(&self, owner: i64, cause: Cause) -> Result<Snapshot, SnapshotError> {
        self.take_named(owner, cause, None).await
    }

    /// Makes one that is called that.
    pub async fn take_named(
        &self,
        owner: i64,
        cause: Cause,
        name: Option<SnapshotName>,
    ) -> Result<Snapshot, SnapshotError> {
        let own = self.clone();
        alone(async move {
            let _turn = own.turn(owner).await?;
            let taken = counted(own.take_now(owner, Request::Take { cause, name }, false).await)?;
            taken.ok_or_else(|| odd(&Reply::Unchanged {}))
        })
        .await
    }

    /// Makes one where Data has changed; nothing where it has not.
    pub async fn take_if_changed(&self, owner: i64) -> Result<Option<Snapshot>, SnapshotError> {
        let own = self.clone();
        alone(async move {
            let _turn = own.turn(owner).await?;
            let request = Request::Take { cause: Cause::Schedule, name: None };
            counted(own.take_now(owner, request, true).await)
        })
        .await
    }

    /// Puts back what is at a path of a snapshot; which snapshot holds what was there before.
    pub async fn restore(
        &self,
        owner: i64,
        snapshot: SnapshotId,
        path: Inside,
    ) -> Result<Snapshot, SnapshotError> {
        let own = self.clone();
        alone(async move {
            let _turn = own.turn(owner).await?;
            // What takes long is done first, while everybody goes on.
            self::done(own.ask(owner, &Request::Stage { snapshot, path }).await?)?;
            let restored = own.put_back(owner).await;
            if restored.is_err()
                && let Err(error) = own.ask(owner, &Request::Unstage {}).await
            {
                tracing::warn!(owner, %error, "what was laid out could not be thrown away yet");
            }
            own.tidy(owner).await;
            telemetry::count_snapshot(if restored.is_ok() { "restored" } else { "not-restored" });
            restored
        })
        .await
    }

    async fn put_back(&self, owner: i64) -> Result<Snapshot, SnapshotError> {
        self.prepare(owner, false).await?;
        // Also where a snapshot needs no rest: nobody is to see half of what was there, half of what is
        // put back.
        let runs = self.runs(owner).await?;
        let reply = self.while_frozen(owner, runs, &Request::Restore {}, FROZEN_TO_RESTORE).await?;
        taken(reply)
    }

    async fn take_now(
        &self,
        owner: i64,
        request: Request,
        only_if_changed: bool,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        let Some(freeze) = self.prepare(owner, only_if_changed).await? else { return Ok(None) };
        let snapshot = taken(self.while_frozen(owner, freeze, &request, FROZEN_AT_MOST).await?)?;
        tracing::info!(
            owner, snapshot = %snapshot.id, kind = ?snapshot.kind, cause = ?snapshot.cause,
            files = snapshot.files, bytes = snapshot.bytes, left_out = snapshot.left_out,
            "a snapshot was made"
        );
        self.tidy(owner).await;
        Ok(Some(snapshot))
    }

    /// Whether desktops are to be frozen over it; nothing where there is no need for a snapshot.
    async fn prepare(
        &self,
        owner: i64,
        only_if_changed: bool,
    ) -> Result<Option<bool>, SnapshotError> {
        let desktop_runs = self.runs(owner).await?;
        match self.ask(owner, &Request::Prepare { only_if_changed, desktop_runs }).await? {
            Reply::Prepared { freeze } => Ok(Some(freeze)),
            Reply::Unchanged {} => Ok(None),
            other => Err(odd(&other)),
        }
    }

    async fn while_frozen(
        &self,
        owner: i64,
        freeze: bool,
        request: &Request,
        at_most: Duration,
    ) -> Result<Reply, SnapshotError> {
        if !freeze {
            return self.ask(owner, request).await;
        }
        let runtime = &self.0.runtime;
        let begun = Instant::now();
        let frozen = runtime.freeze(owner).await;
        let asked = match frozen {
            Ok(()) => timeout(at_most, self.ask(owner, request)).await,
            Err(error) => Ok(Err(error.into())),
        };
        // Also what was frozen in part.
        let thawed = runtime.thaw(owner).await;
        telemetry::count_frozen(begun.elapsed());
        let reply = asked.unwrap_or_else(|_| {
            let detail = format!(
                "Data could not be read in {} s, for which the desktop stood still; try again when \
                 less of it changes",
                at_most.as_secs()
            );
            Err(SnapshotError::Refused { why: Refusal::Failed, detail })
        })?;
        thawed?;
        Ok(reply)
    }

    /// Does that with the desktops of a person standing still, and whether they did so to its end: where
    /// that takes too long, or they cannot be made to, it is done all the same.
    pub(crate) async fn while_still<T>(
        &self,
        owner: i64,
        work: impl Future<Output = T>,
    ) -> Result<(T, bool), SnapshotError> {
        let _turn = self.turn(owner).await?;
        let runtime = &self.0.runtime;
        let begun = Instant::now();
        let frozen = runtime.freeze(owner).await;
        if let Err(error) = &frozen {
            let error = error.to_string();
            tracing::warn!(owner, error, "a desktop could not be made to stand still");
        }
        tokio::pin!(work);
        let done = match &frozen {
            Ok(()) => timeout(FROZEN_AT_MOST, &mut work).await.ok(),
            Err(_) => None,
        };
        // Also what was frozen in part.
        runtime.thaw(owner).await?;
        telemetry::count_frozen(begun.elapsed());
        match done {
            Some(done) => Ok((done, true)),
            None => Ok((work.await, false)),
        }
    }

    /// Nobody waits for it, and what fails is tried again after the next snapshot.
    async fn tidy(&self, owner: i64) {
        if let Err(error) = self.ask(owner, &Request::Tidy {}).await {
            tracing::warn!(owner, %error, "snapshots could not be tidied");
        }
    }

    /// Whether anything runs that may write to Data.
    pub(crate) async fn runs(&self, owner: i64) -> Result<bool, SnapshotError> {
        let instances = self.0.runtime.list().await?;
        Ok(instances.iter().any(|instance| {
            instance.owner == owner
                && matches!(instance.state, InstanceState::Running(_) | InstanceState::Starting)
        }))
    }

    async fn content(
        &self,
        owner: i64,
        request: &Request,
    ) -> Result<(Content, Option<u64>), SnapshotError> {
        let place = self.reads(owner)?;
        let Kept { reply, content } = self.0.runtime.keep(owner, request).await?;
        match reply {
            Reply::Content { bytes } => Ok((content.holding(place), bytes)),
            Reply::Refused { why, detail } => Err(SnapshotError::Refused { why, detail }),
            other => Err(odd(&other)),
        }
    }

    async fn ask(&self, owner: i64, request: &Request) -> Result<Reply, SnapshotError> {
        let asked = timeout(PATIENCE, self.0.runtime.keep(owner, request)).await;
        let kept = asked.unwrap_or_else(|_| {
            let what = "the keeper of snapshots did not answer in an hour".to_owned();
            Err(RuntimeError::Refused(what))
        });
        match kept?.reply {
            Reply::Refused { why, detail } => Err(SnapshotError::Refused { why, detail }),
            reply => Ok(reply),
        }
    }

    async fn turn(&self, owner: i64) -> Result<OwnedMutexGuard<()>, SnapshotError> {
        let turn = {
            let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(owner).or_default().clone()
        };
        // One is the map's.
        if Arc::strong_count(&turn) > MOST_AT_ONCE + 1 {
            return Err(SnapshotError::Crowd);
        }
        Ok(turn.lock_owned().await)
    }

    fn reads(&self, owner: i64) -> Result<OwnedSemaphorePermit, SnapshotError> {
        let mut reads = self.0.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.retain(|_, places| places.available_permits() < MOST_AT_ONCE);
        let places = reads.entry(owner).or_insert_with(|| Arc::new(Semaphore::new(MOST_AT_ONCE)));
        places.clone().try_acquire_owned().map_err(|_| SnapshotError::Crowd)
    }
}

/// In a task of its own, which goes on where nobody waits for it any longer.
async fn alone<T: Send + 'static>(
    work: impl Future<Output = Result<T, SnapshotError>> + Send + 'static,
) -> Result<T, SnapshotError> {
    let broke = |_| SnapshotError::Runtime(RuntimeError::Refused("the snapshot broke".into()));
    tokio::spawn(work).await.map_err(broke)?
}

fn counted(
    taken: Result<Option<Snapshot>, SnapshotError>,
) -> Result<Option<Snapshot>, SnapshotError> {
    match &taken {
        Ok(Some(_)) => telemetry::count_snapshot("made"),
        Ok(None) => {}
        Err(_) => telemetry::count_snapshot("failed"),
    }
    taken
}

fn taken(reply: Reply) -> Result<Snapshot, SnapshotError> {
    match reply {
        Reply::Taken { snapshot } => Ok(snapshot),
        other => Err(odd(&other)),
    }
}

fn done(reply: Reply) -> Result<(), SnapshotError> {
    match reply {
        Reply::Done {} => Ok(()),
        other => Err(odd(&other)),
    }
}

fn odd(reply: &Reply) -> SnapshotError {
    let what = format!("the keeper answered something else than was asked: {reply:?}");
    SnapshotError::Runtime(RuntimeError::Refused(what))
}
