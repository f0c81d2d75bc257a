//! What the parts of a desktop say. Read by its owner and by administrators: a program may write into its
//! log whatever it likes, its person's secrets too.

use super::Api;
use super::answers::{internal, invalid};
use super::gate::AboutSession;
use crate::accept::Guard;
use crate::broker::protocol::SeenPart;
use crate::http::api::Admission;
use crate::http::problem::Problem;
use crate::logs::{Line, LogError, MOST_LINES, PartName, Reading, Window};
use crate::runtime::RuntimeError;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use lattice_engine::policy::Action;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use utoipa::{IntoParams, ToSchema};

/// How much of it, where nothing is said.
const USUAL_LINES: u32 = 500;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often it is asked whether one may still read it, and how soon after anything has changed.
const LOOK_EVERY: Duration = Duration::from_secs(15);
const LOOK_SOON: Duration = Duration::from_secs(1);
/// When to come again where too many are read.
const CROWD_S: u64 = 5;

/// The parts of a desktop that have a log.
#[derive(Serialize, ToSchema)]
pub(super) struct LogParts {
    parts: Vec<LogPart>,
}

/// A part of a desktop that has a log.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct LogPart {
    /// What `part` is to be; of an app it is `app:` and its name.
    #[schema(example = "app:code")]
    part: String,
    /// What people call it, where it is an app.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
}

/// Which log, and how much of it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    /// Which part, as `/logs/parts` has it.
    #[param(example = "desktop")]
    part: String,
    /// The newest so many lines of what was said, 5000 at most; 500 where it is left out.
    tail: Option<u32>,
    /// 1: as server-sent events, what is said from then on too. `ready` comes first, then `lines`, each with
    /// an array of `{"at", "text"}`, and `ended` when the part has ended.
    follow: Option<u8>,
    /// 1: as a file to be kept.
    download: Option<u8>,
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match &error {
            LogError::Crowd => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many logs", error.to_string())
                    .retry_after(CROWD_S)
            }
            LogError::Runtime(RuntimeError::Refused(why)) => {
                let detail = format!("{why}; /logs/parts lists those that there are");
                Self::new(StatusCode::NOT_FOUND, "Not found", detail)
            }
            LogError::Runtime(RuntimeError::Unusable { .. } | RuntimeError::Step { .. }) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a log cannot be read");
                let detail = "the log cannot be read at this moment; try again soon";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not possible now", detail)
                    .retry_after(CROWD_S)
            }
        }
    }
}

/// The parts of a desktop that have a log.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/logs/parts", tag = "logs", params(("id" = String, Path)),
    responses((status = 200, body = LogParts))
)]
pub(super) async fn parts(State(api): State<Api>, about: AboutSession) -> Json<LogParts> {
    let id = &about.session.id;
    let all = api.desktops().list();
    let recipe = all.get(id).map(|live| live.recipe.clone());
    let title = |name: &str| {
        let known = recipe.iter().flat_map(|recipe| recipe.apps());
        let found = known.into_iter().find(|(app, _)| *app == name);
        found.map_or(name, |(_, app)| &app.title).to_owned()
    };
    let taken = all.get(id).map(|live| live.usage.parts.as_slice()).unwrap_or_default();
    let of_taken = taken.iter().map(|SeenPart { name, is_app, .. }| LogPart {
        part: if *is_app { format!("app:{name}") } else { name.clone() },
        title: is_app.then(|| title(name)),
    });
    let kept = api.logs().kept_parts(id);
    let of_kept = kept.iter().map(|name| LogPart { part: (*name).to_owned(), title: None });
    Json(LogParts { parts: of_taken.chain(of_kept).collect() })
}

/// What a part of a desktop says: as text, or followed as server-sent events.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/logs", tag = "logs", params(("id" = String, Path), Of),
    responses((status = 200, body = String, description = "`text/plain`, each line with its time; or `text/event-stream`"),
        (status = 404, description = "The desktop has no such part at this moment"),
        (status = 429, description = "Too many logs are read"),
        (status = 503, description = "It cannot be read at this moment"))
)]
pub(super) async fn read(
    State(api): State<Api>,
    about: AboutSession,
    asked: Result<Query<Of>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(of) = asked.map_err(|error| {
        let detail: String = error.body_text().chars().take(300).collect();
        invalid(format!("the query is not what this takes: {detail}"))
    })?;
    let AboutSession { pass, session, .. } = about;
    let (follow, download) = (is_one(of.follow, "follow")?, is_one(of.download, "download")?);
    let tail = of.tail.unwrap_or(USUAL_LINES);
    if tail > MOST_LINES {
        return Err(invalid(format!("`tail` is {MOST_LINES} at most")));
    }
    let part = PartName::try_from(of.part)
        .map_err(|error| invalid(format!("`part` is not understood: {error}")))?;
    let user = pass.identity.user().ok_or_else(|| internal("a log for nobody"))?.id;
    let reading = api.logs().read(user, &session.id, &part, Window { tail, follow }).await?;
    if !follow {
        let name = download.then(|| file_name(session.id.as_str(), &part));
        return Ok(text(reading, name.as_deref()));
    }
    let admission = api.admit(&pass.identity, session.id.as_str(), Action::ReadLogs).await?;
    let guard = pass.connection.guard.clone();
    let (state, look_at) = (Stage::Begins, Instant::now() + LOOK_EVERY);
    let changes = api.changes();
    Ok(events(Feed { api, admission, guard, reading, state, changes, look_at }))
}

fn is_one(value: Option<u8>, name: &str) -> Result<bool, Problem> {
    match value {
        None | Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(_) => Err(invalid(format!("`{name}` is 1 or 0"))),
    }
}

fn file_name(session: &str, part: &PartName) -> String {
    format!("{session}-{}.log", part.as_str().replace(':', "-"))
}

/// It is never more than text, whatever is in it.
fn text(reading: Reading, name: Option<&str>) -> Response {
    let lines = stream::unfold(reading, |mut reading| async move {
        match reading.next().await {
            Ok(Some(lines)) => {
                let text: String = lines.iter().map(written).collect();
                Some((Ok(Bytes::from(text)), reading))
            }
            Ok(None) => None,
            Err(error) => Some((Err(error), reading)),
        }
    });
    let mut response = Body::from_stream(lines).into_response();
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let kept = name.map(|name| HeaderValue::try_from(format!("attachment; filename=\"{name}\"")));
    if let Some(Ok(kept)) = kept {
        headers.insert(header::CONTENT_DISPOSITION, kept);
    }
    unbuffered(&mut response);
    response
}

fn written(line: &Line) -> String {
    match &line.at {
        Some(at) => format!("{at} {}\n", line.text),
        None => format!("{}\n", line.text),
    }
}

/// nginx would keep it until its buffer is full.
fn unbuffered(response: &mut Response) {
    let name = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(name, HeaderValue::from_static("no"));
}

fn events(feed: Feed) -> Response {
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    let mut response = sse.into_response();
    unbuffered(&mut response);
    response
}

/// A log that somebody follows. Nothing is read of it before the last event was taken.
struct Feed {
    api: Api,
    admission: Admission,
    guard: Guard,
    reading: Reading,
    state: Stage,
    changes: watch::Receiver<u64>,
    /// When to ask again whether they may.
    look_at: Instant,
}

enum Stage {
    Begins,
    Says,
    Ended,
}

impl Feed {
    /// The next event; nothing once the log, the right to read it, or the server has ended.
    async fn next(&mut self) -> Option<Event> {
        match self.state {
            Stage::Begins => {
                self.state = Stage::Says;
                return Some(Event::default().event("ready").data("{}"));
            }
            Stage::Says => {}
            Stage::Ended => return None,
        }
        loop {
            // First: whoever says something all the time must not put it off.
            if Instant::now() >= self.look_at {
                self.look_at = Instant::now() + LOOK_EVERY;
                if matches!(self.api.still_stands(&self.admission).await, Ok(false)) {
                    return None;
                }
            }
            let read = tokio::select! {
                _ = self.guard.closing() => return None,
                changed = self.changes.changed() => {
                    changed.ok()?;
                    self.look_at = self.look_at.min(Instant::now() + LOOK_SOON);
                    continue;
                }
                () = sleep_until(self.look_at) => continue,
                read = self.reading.next() => read,
            };
            let event = match read {
                Ok(Some(lines)) => {
                    let told: Vec<_> = lines
                        .into_iter()
                        .map(|Line { at, text }| json!({ "at": at, "text": text }))
                        .collect();
                    Event::default().event("lines").json_data(told).ok()
                }
                Ok(None) => self.end(json!({})),
                Err(error) => {
                    tracing::warn!(%error, "a log broke off");
                    self.end(json!({ "reason": "it could not be read any further" }))
                }
            };
            return event;
        }
    }

    fn end(&mut self, data: serde_json::Value) -> Option<Event> {
        self.state = Stage::Ended;
        Event::default().event("ended").json_data(data).ok()
    }
}
