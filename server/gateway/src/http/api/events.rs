//! What changes, as server-sent events. Level-triggered: each look at the store and the manager is
//! compared with what was sent last, so nothing is missed and nothing is told twice.

use super::Api;
use super::builds::{BuildView, Builds};
use super::catalogue::seen_pulls;
use super::desktops::Live;
use super::gate::Pass;
use super::session_view::{SessionView, view};
use super::sessions::wants_all;
use crate::accept::Guard;
use crate::auth::Identity;
use crate::catalogues::install::Pulls;
use crate::http::problem::Problem;
use crate::store::{StoreError, Timestamp};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use lattice_engine::session::SessionId;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How often a comment is sent, so that nothing on the way thinks the connection dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often it is asked whether the login is still good, when nothing changes.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// What changes within such a span is told together.
const GATHER: Duration = Duration::from_millis(50);

/// What changes in the sessions that one sees. The first event, `ready`, asks to read the list;
/// `session` has a session that is new or different, `gone` the id of one that is no longer seen;
/// `catalogue` has the apps that are on their way, and a `revision` that changes when one was installed
/// or removed; `builds`, for administrators, has the images that somebody builds on the machine. A
/// `revision` beside them changes when one has ended, for everybody: templates may lack other images then.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "sessions",
    params(("all" = Option<u8>, Query, description = "1: everybody's, for administrators")),
    responses((status = 200, content_type = "text/event-stream", body = String))
)]
pub(super) async fn follow(
    State(api): State<Api>,
    pass: Pass,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let all = wants_all(&pass, query.as_deref())?;
    let mut feed = Feed {
        live: api.desktops().changes(),
        changes: api.changes(),
        pictures: api.desktops().gallery().changes(),
        pulls: api.installer().pulls(),
        builds: api.builds(),
        told: String::new(),
        told_builds: String::new(),
        guard: pass.connection.guard.clone(),
        identity: pass.identity,
        api,
        all,
        looked: Instant::now(),
        sent: HashMap::new(),
        queue: VecDeque::new(),
    };
    feed.sent = feed.seen().await?;
    feed.told = feed.pulling().unwrap_or_default();
    feed.queue.push_back(Event::default().event("ready").data("{}"));
    feed.told_builds = told_builds(feed.builds.borrow().revision, &[]);
    feed.look_at_builds();
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    let mut response = sse.into_response();
    // nginx would keep events until its buffer is full.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    Ok(response)
}

/// One connection's events.
struct Feed {
    api: Api,
    identity: Identity,
    all: bool,
    live: watch::Receiver<Arc<HashMap<SessionId, Live>>>,
    changes: watch::Receiver<u64>,
    pictures: watch::Receiver<u64>,
    pulls: watch::Receiver<Pulls>,
    builds: watch::Receiver<Arc<Builds>>,
    /// What was said last of apps on their way.
    told: String,
    /// What was said last of builds.
    told_builds: String,
    guard: Guard,
    /// When the store was last asked.
    looked: Instant,
    sent: HashMap<String, SessionView>,
    /// At most one for each session that was or is seen.
    queue: VecDeque<Event>,
}

impl Feed {
    /// The next event; nothing once the login or the server has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            let is_picture = tokio::select! {
                _ = self.guard.closing() => return None,
                changed = self.live.changed() => changed.map(|()| false).ok()?,
                changed = self.changes.changed() => changed.map(|()| false).ok()?,
                changed = self.pictures.changed() => changed.map(|()| true).ok()?,
                changed = self.pulls.changed() => {
                    changed.ok()?;
                    sleep(GATHER).await;
                    self.look_at_pulls();
                    continue;
                }
                changed = self.builds.changed() => {
                    changed.ok()?;
                    self.look_at_builds();
                    continue;
                }
                () = sleep(LOOK_EVERY) => false,
            };
            sleep(GATHER).await;
            let is_picture = is_picture && self.looked.elapsed() < LOOK_EVERY;
            if is_picture && !self.live.has_changed().ok()? && !self.changes.has_changed().ok()? {
                self.pictures.mark_unchanged();
                self.look_at_pictures();
                continue;
            }
            self.live.mark_unchanged();
            self.changes.mark_unchanged();
            self.pictures.mark_unchanged();
            match self.look().await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "events are late");
                }
            }
        }
    }

    /// Queues how far apps are, where that is other than before. Whose they are does not change, so
    /// the store is not asked.
    fn look_at_pulls(&mut self) {
        self.pulls.mark_unchanged();
        if let Some(told) = self.pulling().filter(|told| *told != self.told) {
            self.queue.push_back(Event::default().event("catalogue").data(&told));
            self.told = told;
        }
    }

    /// Queues which images are being built. Which step of them is under way changes by the second, and
    /// nobody but administrators is told.
    fn look_at_builds(&mut self) {
        let builds = self.builds.borrow_and_update().clone();
        let seen = if self.identity.is_admin() { builds.view() } else { Vec::new() };
        let told = told_builds(builds.revision, &seen);
        if told != self.told_builds {
            self.queue.push_back(Event::default().event("builds").data(&told));
            self.told_builds = told;
        }
    }

    /// What there is to say of apps on their way; nothing to guests.
    fn pulling(&self) -> Option<String> {
        let user = self.identity.user()?.id;
        let pulls = self.pulls.borrow();
        let (revision, pulls) = (pulls.revision, seen_pulls(&pulls.all, user));
        serde_json::to_string(&serde_json::json!({ "revision": revision, "pulls": pulls })).ok()
    }

    /// Queues what has a new picture. These come often, and say nothing of who may see what: the store is
    /// not asked.
    fn look_at_pictures(&mut self) {
        for (id, number) in self.api.desktops().gallery().numbers() {
            let Some(session) = self.sent.get_mut(id.as_str()) else { continue };
            if session.picture.replace(number) != Some(number)
                && let Ok(event) = Event::default().event("session").json_data(&*session)
            {
                self.queue.push_back(event);
            }
        }
    }

    /// Queues what is different; whether the login is still good.
    async fn look(&mut self) -> Result<bool, StoreError> {
        self.looked = Instant::now();
        if !self.renew().await? {
            return Ok(false);
        }
        let seen = self.seen().await?;
        for (id, session) in &seen {
            if self.sent.get(id) != Some(session)
                && let Ok(event) = Event::default().event("session").json_data(session)
            {
                self.queue.push_back(event);
            }
        }
        for id in self.sent.keys().filter(|id| !seen.contains_key(*id)) {
            let gone = serde_json::json!({ "id": id }).to_string();
            self.queue.push_back(Event::default().event("gone").data(gone));
        }
        self.sent = seen;
        Ok(true)
    }

    /// Asks again who it is, without counting that as a sign of life: a forgotten tab is none.
    async fn renew(&mut self) -> Result<bool, StoreError> {
        if let Some(id) = self.identity.login() {
            let Some(login) = self.api.store().login_of_id(id, Timestamp::now()).await? else {
                return Ok(false);
            };
            if let Some(user) = login.user {
                self.identity = Identity::User { user, login: Some(id) };
            }
            return Ok(!self.all || self.identity.is_admin());
        }
        let Some(user) = self.identity.user() else { return Ok(false) };
        let Some(user) = self.api.store().user(user.id).await? else { return Ok(false) };
        let good = !user.disabled;
        self.identity = Identity::User { user, login: None };
        Ok(good && (!self.all || self.identity.is_admin()))
    }

    async fn seen(&self) -> Result<HashMap<String, SessionView>, StoreError> {
        let shown = self.api.desktops().shown();
        let sessions = self.api.visible(&self.identity, self.all).await?.into_iter();
        let views = sessions.map(|(session, role)| view(session, role, &shown));
        Ok(views.map(|view| (view.id.clone(), view)).collect())
    }
}

fn told_builds(revision: u64, builds: &[BuildView]) -> String {
    serde_json::json!({ "revision": revision, "builds": builds }).to_string()
}
