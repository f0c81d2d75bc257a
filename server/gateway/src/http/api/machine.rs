//! What administrators see of the machine: figures as they change, and what is wrong.

use super::builds::{BuildView, Looker};
use super::gate::Pass;
use super::{Api, backups};
use crate::accept::Guard;
use crate::broker::protocol::Pool;
use crate::doctor::Finding;
use crate::host::{Limits, Load};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::sleep;
use utoipa::ToSchema;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// So many figures in one answer. Browsers ask again by themselves, and it is asked again who they are.
const FIGURES: u32 = 15;
/// How long a browser waits before it asks again.
const AGAIN: Duration = Duration::from_millis(250);

/// How the machine is and what it carries.
#[derive(Serialize, ToSchema)]
pub(super) struct Figures {
    #[serde(flatten)]
    load: Load,
    /// How many sessions are in each state.
    sessions: BTreeMap<&'static str, usize>,
    /// How many look, at all desktops together.
    viewers: usize,
    /// What desktops take of the memory, as far as that is known, in bytes.
    desktops_bytes: u64,
    /// Desktops that are half started ahead of time, as they were counted within the last quarter of a
    /// minute; nothing where none ever are, or nobody knows.
    pool: Option<Pool>,
    /// Images that somebody builds on the machine, and such as could not be built within the last hour.
    builds: Vec<BuildView>,
    /// Another whenever a build has ended: images and checks may be others then.
    builds_revision: u64,
    /// What this server gives at most.
    limits: Limits,
}

/// What is right or wrong with the machine.
#[derive(Serialize, ToSchema)]
pub(super) struct Checks {
    checks: Vec<Finding>,
}

/// How the machine is and what it carries, each two seconds. The events are called `figures` and have a
/// `Figures` each; one called `backup` has how backups are doing, at first and when that has changed. The
/// answer ends after half a minute, and is to be asked for again.
#[utoipa::path(
    get, path = "/api/v1/machine/figures", tag = "machine",
    responses((status = 200, content_type = "text/event-stream", body = Figures))
)]
pub(super) async fn figures(State(api): State<Api>, pass: Pass) -> Response {
    let looker = api.watch_builds();
    let guard = pass.connection.guard.clone();
    let told = Told { api, guard, number: 0, backup: String::new(), _looker: looker };
    let events = stream::unfold((told, VecDeque::new()), |(mut told, mut queue)| async move {
        if queue.is_empty() {
            queue = told.next().await?;
        }
        let event = queue.pop_front()?;
        Some((Ok::<_, Infallible>(event), (told, queue)))
    });
    let mut response = Sse::new(events).into_response();
    // nginx would keep events until its buffer is full.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    response
}

/// What one connection was told.
struct Told {
    api: Api,
    guard: Guard,
    number: u32,
    backup: String,
    _looker: Looker,
}

impl Told {
    /// The next events, once it is time; nothing where the answer ends.
    async fn next(&mut self) -> Option<VecDeque<Event>> {
        if self.number == FIGURES {
            return None;
        }
        if self.number > 0 {
            tokio::select! {
                _ = self.guard.closing() => return None,
                () = sleep(EVERY) => {}
            }
        }
        self.number += 1;
        let event = Event::default().event("figures").retry(AGAIN);
        let mut queue = VecDeque::from([event.json_data(self.api.figures()).ok()?]);
        let backup = serde_json::to_string(&backups::view(&self.api)).ok()?;
        if backup != self.backup {
            queue.push_back(Event::default().event("backup").data(&backup));
            self.backup = backup;
        }
        Some(queue)
    }
}

/// What `lattice doctor` finds: what is right, what is wrong, and what to do about it.
#[utoipa::path(
    get, path = "/api/v1/machine/checks", tag = "machine",
    responses((status = 200, body = Checks))
)]
pub(super) async fn checks(State(api): State<Api>) -> Json<Checks> {
    Json(Checks { checks: api.host().findings().await })
}

impl Api {
    fn figures(&self) -> Figures {
        let shown = self.desktops().shown();
        let mut sessions = BTreeMap::new();
        for live in shown.live.values() {
            *sessions.entry(live.state.name()).or_default() += 1;
        }
        let builds = self.builds().borrow().clone();
        let memory = shown.live.values().filter_map(|live| live.usage.memory);
        Figures {
            load: self.host().load(),
            sessions,
            viewers: shown.live.values().map(|live| live.viewers).sum(),
            desktops_bytes: memory.sum(),
            pool: self.pool(),
            builds: builds.view(),
            builds_revision: builds.revision,
            limits: self.host().limits(),
        }
    }
}
