//! Backups, for administrators: how the last ones went, and another one now.

use super::Api;
use super::answers::conflict;
use crate::backup::state::{Drill, Made};
use crate::backup::{Step, run};
use crate::http::problem::Problem;
use crate::store::Timestamp;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lattice_engine::backups::next_at;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// How backups are doing.
#[derive(Serialize, ToSchema)]
pub(super) struct BackupView {
    /// Whether any are configured.
    configured: bool,
    /// Whether this server makes them; else root of the machine that has people's files does.
    made_here: bool,
    /// Where they go, without what opens it.
    repository: Option<RepositoryView>,
    /// How long it is from one to the next, where they are made by themselves.
    every: Option<String>,
    /// The same of drills.
    drill_every: Option<String>,
    /// When the next one is due, where they are made by themselves.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    /// The same of drills.
    #[schema(format = DateTime)]
    next_drill_at: Option<String>,
    /// What is being done now.
    now: Option<Doing>,
    /// How far that is.
    progress: Option<ProgressView>,
    /// Why the last try came to nothing; nothing where it succeeded.
    error: Option<String>,
    /// When that was.
    #[schema(format = DateTime)]
    tried_at: Option<String>,
    /// The last that succeeded.
    last: Option<MadeView>,
    /// The last drill.
    drill: Option<DrillView>,
}

/// Where backups go.
#[derive(Serialize, ToSchema)]
struct RepositoryView {
    /// `directory`, `sftp` or `s3`.
    kind: &'static str,
    /// As the configuration has it.
    place: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Doing {
    /// A backup is made.
    Backup,
    /// One is put back into a scratch place and compared.
    Drill,
}

/// How far something is.
#[derive(Serialize, ToSchema)]
struct ProgressView {
    #[schema(format = DateTime)]
    since: String,
    /// So many parts of it: people and the server's state, or of a drill the files and the whole repository.
    done: u64,
    /// Of so many; 0 where that is not known yet.
    of: u64,
}

/// A backup that was made.
#[derive(Serialize, ToSchema)]
struct MadeView {
    /// By which `lattice restore --snapshot` knows it.
    id: String,
    #[schema(format = DateTime)]
    at: String,
    seconds: f64,
    people: u64,
    files: u64,
    bytes: u64,
    /// What of it was new to the repository, as it is kept there.
    added_bytes: u64,
    /// What could not be read, or is no file, folder or link.
    left_out: u64,
    /// People whose desktop did not stand still while it was read.
    moving: u64,
}

/// A drill that was made.
#[derive(Serialize, ToSchema)]
struct DrillView {
    #[schema(format = DateTime)]
    at: String,
    seconds: f64,
    ok: bool,
    error: Option<String>,
    /// Files that came back as the backup says.
    files: u64,
    bytes: u64,
}

fn time(at: u64) -> String {
    Timestamp(i64::try_from(at).unwrap_or(0)).to_string()
}

impl From<Made> for MadeView {
    fn from(made: Made) -> Self {
        Self {
            id: made.set,
            at: time(made.at),
            seconds: made.seconds,
            people: made.people,
            files: made.files,
            bytes: made.bytes,
            added_bytes: made.added,
            left_out: made.left_out,
            moving: made.moving,
        }
    }
}

impl From<Drill> for DrillView {
    fn from(drill: Drill) -> Self {
        Self {
            at: time(drill.at),
            seconds: drill.seconds,
            ok: drill.error.is_none(),
            error: drill.error,
            files: drill.files,
            bytes: drill.bytes,
        }
    }
}

/// How backups are doing.
#[utoipa::path(
    get, path = "/api/v1/backup", tag = "server",
    responses((status = 200, body = BackupView))
)]
pub(super) async fn read(State(api): State<Api>) -> Json<BackupView> {
    Json(view(&api))
}

pub(super) fn view(api: &Api) -> BackupView {
    let backups = api.backups();
    let (state, now) = (backups.state(), backups.now());
    let next = |last: Option<(u64, bool)>, every: anyhow::Result<Option<Duration>>| {
        let every = every.ok().flatten().filter(|_| backups.is_here())?;
        Some(time(next_at(Some(last?), every.as_secs(), run::seconds())))
    };
    let settings = backups.settings();
    let tried = state.last.as_ref().map(|last| (last.at, last.error.is_none()));
    let drilled = state.drill.as_ref().map(|drill| (drill.at, drill.error.is_none()));
    BackupView {
        configured: backups.is_on(),
        made_here: backups.is_here(),
        repository: backups
            .place()
            .map(|place| RepositoryView { kind: place.kind(), place: place.to_string() }),
        every: settings.and_then(|settings| settings.every.clone()),
        drill_every: settings.and_then(|settings| settings.drill_every.clone()),
        next_at: settings.and_then(|settings| next(tried, settings.every())),
        // Of nothing there is no drill.
        next_drill_at: settings
            .filter(|_| state.made.is_some())
            .and_then(|settings| next(drilled, settings.drill_every())),
        now: now.map(|now| match now.step {
            Step::Backup => Doing::Backup,
            Step::Drill => Doing::Drill,
        }),
        progress: now.map(|now| ProgressView {
            since: time(now.since),
            done: now.done,
            of: now.of,
        }),
        tried_at: state.last.as_ref().map(|last| time(last.at)),
        error: state.last.and_then(|last| last.error),
        last: state.made.map(Into::into),
        drill: state.drill.map(Into::into),
    }
}

/// Make a backup now. `now` says so until it is done.
#[utoipa::path(
    post, path = "/api/v1/backup", tag = "server",
    responses(
        (status = 202, body = BackupView),
        (status = 409, description = "None is configured here, or one is under way")
    )
)]
pub(super) async fn back_up(
    State(api): State<Api>,
) -> Result<(StatusCode, Json<BackupView>), Problem> {
    check(&api)?;
    let backups = api.backups().clone();
    begin(&api, async move { drop(backups.back_up().await) }).await
}

/// Put the newest into a scratch place and compare every file.
#[utoipa::path(
    post, path = "/api/v1/backup/drill", tag = "server",
    responses(
        (status = 202, body = BackupView),
        (status = 409, description = "None is configured here, or one is under way")
    )
)]
pub(super) async fn drill(
    State(api): State<Api>,
) -> Result<(StatusCode, Json<BackupView>), Problem> {
    check(&api)?;
    let backups = api.backups().clone();
    begin(&api, async move { drop(backups.drill().await) }).await
}

fn check(api: &Api) -> Result<(), Problem> {
    let backups = api.backups();
    if !backups.is_on() {
        return Err(conflict(
            "no backup is configured; name backup.repository and backup.password_file in the \
             configuration, and restart the server",
        ));
    }
    if !backups.is_here() {
        return Err(conflict(
            "this server may not read people's files; run `lattice backup` as root on the machine \
             that has them",
        ));
    }
    if backups.now().is_some() {
        return Err(conflict("a backup or a drill is under way already; wait until that is done"));
    }
    Ok(())
}

/// What comes of it is noted where [`read`] looks.
async fn begin(
    api: &Api,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<(StatusCode, Json<BackupView>), Problem> {
    tokio::spawn(work);
    // It has begun when it says so, and a moment later where others are in front.
    tokio::task::yield_now().await;
    Ok((StatusCode::ACCEPTED, Json(view(api))))
}
