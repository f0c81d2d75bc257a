//! Snapshots of the Data of a session's owner: which there are, what is in them, and putting it back.
//! All sessions of a person share their Data, and so its snapshots.

use super::Api;
use super::answers::{Read, invalid, no_such};
use super::gate::AboutSession;
use crate::http::problem::Problem;
use crate::snapshots::{Content, SnapshotError};
use crate::store::Timestamp;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use lattice_wire::snapshots::{Cause, Entry, Inside, Kind, Refusal, Snapshot, SnapshotId, What};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use utoipa::{IntoParams, ToSchema};

/// When to come again where the runtime could not be asked.
const TROUBLE_S: u64 = 5;

/// The snapshots that there are.
#[derive(Serialize, ToSchema)]
pub(super) struct Snapshots {
    /// What the next one will be: `btrfs`, of one instant; or `repository`, read while the desktop
    /// stands still.
    kind: &'static str,
    /// The newest first.
    snapshots: Vec<SnapshotView>,
}

/// A snapshot of somebody's Data.
#[derive(Serialize, ToSchema)]
#[schema(as = Snapshot)]
pub(super) struct SnapshotView {
    #[schema(example = "019ac0ffee0012345678")]
    id: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// Why it was made: `schedule`, `asked`, `desktop` (a program of a desktop asked), or before a `reset`,
    /// a `restore` or a change of the `template`.
    cause: &'static str,
    /// What it was called by whoever asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What it is: `btrfs` or `repository`.
    kind: &'static str,
    /// How many files are in it.
    files: u64,
    /// How long they are together.
    bytes: u64,
    /// What was there and is not in it: sockets and the like, and what could not be read.
    left_out: u64,
}

/// What is in a folder of a snapshot.
#[derive(Serialize, ToSchema)]
pub(super) struct Tree {
    /// Folders first, then by name.
    entries: Vec<EntryView>,
    /// Whether there are more than are listed.
    cut: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SnapshotEntry)]
struct EntryView {
    /// What is no Unicode in it is replaced: such a file comes with its folder only.
    name: String,
    /// `folder`, `file` or `link`.
    what: &'static str,
    bytes: u64,
    #[schema(format = DateTime)]
    modified_at: String,
}

/// What is to be restored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restore {
    /// A file or a folder; all of Data where it is empty.
    #[schema(example = "project/main.go")]
    path: String,
}

/// What of a snapshot.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    /// A path in Data with `/` between names; all of it where it is left out.
    #[serde(default)]
    path: String,
}

/// Which file of a snapshot, and how much of it.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct OfFile {
    /// A path in Data with `/` between names.
    path: String,
    /// So many bytes of it at most.
    most: Option<u64>,
}

type Asked<T> = Result<Query<T>, QueryRejection>;

impl From<SnapshotError> for Problem {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Refused { why, detail } => {
                let (code, title) = match why {
                    Refusal::Missing => (StatusCode::NOT_FOUND, "Not found"),
                    Refusal::Odd => (StatusCode::BAD_REQUEST, "Not understood"),
                    Refusal::InTheWay => (StatusCode::CONFLICT, "Not possible now"),
                    Refusal::Full => (StatusCode::INSUFFICIENT_STORAGE, "Disk full"),
                    Refusal::Failed => (StatusCode::SERVICE_UNAVAILABLE, "Not possible now"),
                };
                if why == Refusal::Failed {
                    tracing::warn!(detail, "what was asked of snapshots failed");
                }
                Self::new(code, title, detail)
            }
            SnapshotError::Crowd | SnapshotError::Importing => {
                let (code, title) = (StatusCode::TOO_MANY_REQUESTS, "Too much at once");
                Self::new(code, title, error.to_string()).retry_after(TROUBLE_S)
            }
            SnapshotError::Runtime(error) => {
                let error = format!("{:#}", anyhow::Error::new(error));
                tracing::warn!(error, "snapshots cannot be reached");
                let detail = format!(
                    "snapshots cannot be reached at this moment; try again soon, and tell an \
                     administrator if it stays so: {error}"
                );
                let (code, title) = (StatusCode::SERVICE_UNAVAILABLE, "Not possible now");
                Self::new(code, title, detail).retry_after(TROUBLE_S)
            }
        }
    }
}

impl From<Snapshot> for SnapshotView {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            id: snapshot.id.to_string(),
            created_at: time(i64::try_from(snapshot.at).unwrap_or(0)),
            cause: match snapshot.cause {
                Cause::Schedule => "schedule",
                Cause::Asked => "asked",
                Cause::Reset => "reset",
                Cause::Restore => "restore",
                Cause::Template => "template",
                Cause::Desktop => "desktop",
            },
            name: snapshot.name.map(String::from),
            kind: name_of(snapshot.kind),
            files: snapshot.files,
            bytes: snapshot.bytes,
            left_out: snapshot.left_out,
        }
    }
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        let what = match entry.what {
            What::Folder => "folder",
            What::File => "file",
            What::Link => "link",
        };
        Self { name: entry.name, what, bytes: entry.bytes, modified_at: time(entry.modified_at) }
    }
}

/// The snapshots of the Data of a session's owner.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/snapshots", tag = "snapshots", params(("id" = String, Path)),
    responses((status = 200, body = Snapshots),
        (status = 503, description = "Snapshots cannot be reached at this moment"))
)]
pub(super) async fn list(
    State(api): State<Api>,
    about: AboutSession,
) -> Result<Json<Snapshots>, Problem> {
    let shelf = api.snapshots().list(about.session.owner.id.0).await?;
    let snapshots = shelf.snapshots.into_iter().map(SnapshotView::from).collect();
    Ok(Json(Snapshots { kind: name_of(shelf.kind), snapshots }))
}

/// Make a snapshot now. Where that takes it, desktops stand still for a moment.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/snapshots", tag = "snapshots", params(("id" = String, Path)),
    responses((status = 201, body = SnapshotView),
        (status = 503, description = "It cannot be made at this moment"),
        (status = 507, description = "No room is left"))
)]
pub(super) async fn take(State(api): State<Api>, about: AboutSession) -> Result<Response, Problem> {
    let taken = api.snapshots().take(about.session.owner.id.0, Cause::Asked).await?;
    note(&api, &about, "session.snapshot", taken.id.as_str()).await?;
    Ok((StatusCode::CREATED, Json(SnapshotView::from(taken))).into_response())
}

/// What is in a folder of a snapshot.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/snapshots/{snapshot}/tree", tag = "snapshots",
    params(("id" = String, Path), ("snapshot" = String, Path), Of),
    responses((status = 200, body = Tree),
        (status = 404, description = "There is no such snapshot, or nothing at that path"))
)]
pub(super) async fn tree(
    State(api): State<Api>,
    about: AboutSession,
    Path((_, snapshot)): Path<(String, String)>,
    asked: Asked<Of>,
) -> Result<Json<Tree>, Problem> {
    let (snapshot, path) = (which(&snapshot)?, inside(&of(asked)?.path)?);
    let owner = about.session.owner.id.0;
    let (entries, cut) = api.snapshots().tree(owner, snapshot, path).await?;
    Ok(Json(Tree { entries: entries.into_iter().map(EntryView::from).collect(), cut }))
}

/// A file of a snapshot.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/snapshots/{snapshot}/file", tag = "snapshots",
    params(("id" = String, Path), ("snapshot" = String, Path), OfFile),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 400, description = "It is no file"),
        (status = 404, description = "There is no such snapshot, or nothing at that path"))
)]
pub(super) async fn file(
    State(api): State<Api>,
    about: AboutSession,
    Path((_, snapshot)): Path<(String, String)>,
    asked: Asked<OfFile>,
) -> Result<Response, Problem> {
    let OfFile { path, most } = of(asked)?;
    let (snapshot, path) = (which(&snapshot)?, inside(&path)?);
    let name = path.split().map_or("Data", |(_, name)| name).to_owned();
    let owner = about.session.owner.id.0;
    let (content, bytes) = api.snapshots().file(owner, snapshot, path, most).await?;
    let mut response = download(content, &name, "application/octet-stream");
    if let Some(bytes) = bytes {
        response.headers_mut().insert(header::CONTENT_LENGTH, bytes.into());
    }
    Ok(response)
}

/// A folder of a snapshot as a zip file.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/snapshots/{snapshot}/zip", tag = "snapshots",
    params(("id" = String, Path), ("snapshot" = String, Path), Of),
    responses((status = 200, content_type = "application/zip", body = Vec<u8>),
        (status = 404, description = "There is no such snapshot, or nothing at that path"))
)]
pub(super) async fn zip(
    State(api): State<Api>,
    about: AboutSession,
    Path((_, snapshot)): Path<(String, String)>,
    asked: Asked<Of>,
) -> Result<Response, Problem> {
    let (snapshot, path) = (which(&snapshot)?, inside(&of(asked)?.path)?);
    let name = path.split().map_or("Data", |(_, name)| name).to_owned() + ".zip";
    let content = api.snapshots().zip(about.session.owner.id.0, snapshot, path).await?;
    Ok(download(content, &name, "application/zip"))
}

/// Put back a file, a folder, or all of Data. What is there now is in the snapshot that is answered.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/snapshots/{snapshot}/restore", tag = "snapshots",
    request_body = Restore, params(("id" = String, Path), ("snapshot" = String, Path)),
    responses((status = 200, body = SnapshotView),
        (status = 404, description = "There is no such snapshot, or nothing at that path"),
        (status = 409, description = "What is there now is in the way"),
        (status = 503, description = "It cannot be restored at this moment"),
        (status = 507, description = "No room is left"))
)]
pub(super) async fn restore(
    State(api): State<Api>,
    about: AboutSession,
    Path((_, snapshot)): Path<(String, String)>,
    Read(given): Read<Restore>,
) -> Result<Json<SnapshotView>, Problem> {
    let (snapshot, path) = (which(&snapshot)?, inside(&given.path)?);
    let detail = snapshot.to_string();
    let before = api.snapshots().restore(about.session.owner.id.0, snapshot, path).await?;
    note(&api, &about, "session.restore", &detail).await?;
    Ok(Json(before.into()))
}

async fn note(
    api: &Api,
    about: &AboutSession,
    action: &'static str,
    snapshot: &str,
) -> Result<(), Problem> {
    let (id, actor) = (&about.session.id, about.pass.identity.actor());
    Ok(api.store().note_of_session(id, action, snapshot, actor, Timestamp::now()).await?)
}

fn which(snapshot: &str) -> Result<SnapshotId, Problem> {
    snapshot.parse().map_err(|_| no_such("snapshot"))
}

fn inside(path: &str) -> Result<Inside, Problem> {
    path.parse().map_err(|error| invalid(format!("`path` is not understood: {error}")))
}

fn of<T>(asked: Asked<T>) -> Result<T, Problem> {
    let Query(asked) = asked.map_err(|error| {
        let detail: String = error.body_text().chars().take(300).collect();
        invalid(format!("the query is not what this takes: {detail}"))
    })?;
    Ok(asked)
}

/// Somebody's own file must not be taken for a page of this server's, whatever is in it.
fn download(content: Content, name: &str, kind: &'static str) -> Response {
    let mut response = Body::from_stream(content.stream()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    // nginx would keep all of it before it passes any of it on.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    if let Ok(named) = HeaderValue::try_from(named(name)) {
        headers.insert(header::CONTENT_DISPOSITION, named);
    }
    response
}

/// As RFC 8187 writes a name.
fn named(name: &str) -> String {
    let mut text = "attachment; filename*=UTF-8''".to_owned();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                text.push(char::from(byte));
            }
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Btrfs => "btrfs",
        Kind::Repository => "repository",
    }
}

/// Whoever owns a file says when it was changed, and may say anything: 9999 is the last year told of.
fn time(at: i64) -> String {
    Timestamp(at.clamp(0, 253_402_300_799)).to_string()
}
