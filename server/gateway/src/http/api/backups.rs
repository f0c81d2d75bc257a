//! Backups, for administrators: how the last ones went, and another one now.

use super::Api;
use super::answers::conflict;
use crate::backup::Step;
use crate::backup::state::{Drill, Made};
use crate::http::problem::Problem;
use crate::store::Timestamp;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// How backups are doing.
#[derive(Serialize, ToSchema)]
pub(super) struct BackupView {
    /// Whether any are configured.
    configured: bool,
    /// Whether this server makes them; else root of the machine that has people's files does.
    made_here: bool,
    /// How long it is from one to the next, where they are made by themselves.
    every: Option<String>,
    /// What is being done now.
    now: Option<Doing>,
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

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Doing {
    /// A backup is made.
    Backup,
    /// One is put back into a scratch place and compared.
    Drill,
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

fn view(api: &Api) -> BackupView {
    let backups = api.backups();
    let state = backups.state();
    let (tried_at, error) = match state.last {
        Some(last) => (Some(time(last.at)), last.error),
        None => (None, None),
    };
    BackupView {
        configured: backups.is_on(),
        made_here: backups.is_here(),
        every: backups.every(),
        now: backups.now().map(|step| match step {
            Step::Backup => Doing::Backup,
            Step::Drill => Doing::Drill,
        }),
        error,
        tried_at,
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
