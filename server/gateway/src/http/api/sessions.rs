//! Sessions: what people have, and what they want of it.

use super::answers::{Read, conflict, internal, invalid};
use super::desktops::{Live, Queue};
use super::gate::{AboutSession, Pass};
use super::users::check_label;
use super::{Api, MOST_SESSIONS, Template};
use crate::auth::Identity;
use crate::broker::protocol::{Held, Stored};
use crate::http::problem::Problem;
use crate::store::{Desired, NewSession, Session, StoreError, Timestamp};
use axum::Json;
use axum::extract::{self, RawQuery};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use lattice_engine::policy::{Action, SessionRole, decide};
use lattice_engine::reconcile::State;
use lattice_engine::session::SessionId;
use lattice_wire::snapshots::Cause;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

/// When to come again where sessions cannot be looked after.
const TROUBLE_S: u64 = 5;

/// A session, as whoever asks sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionView {
    #[schema(example = "mzxw6ytboinquzjm")]
    pub(super) id: String,
    name: String,
    template: String,
    owner: OwnerView,
    /// `requested`, `queued`, `starting`, `running`, `idle` (paused), `stopping`, `stopped` or `failed`.
    state: &'static str,
    /// Why it is in that state, for a person; may be empty.
    reason: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// Where its desktop is to be seen.
    url: String,
    /// What the asker is to it: `owner`, `admin`, `control`, `assist` or `view`.
    role: &'static str,
    /// How many look.
    viewers: usize,
    /// Its place in line, where it is `queued`.
    queue: Option<Queue>,
    /// Whether it can be paused.
    can_pause: bool,
    /// What its owner keeps, for them and administrators, where that was measured.
    storage: Option<StorageView>,
}

/// What somebody keeps, in all of their sessions together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Storage)]
struct StorageView {
    data: PlaceView,
    home: PlaceView,
    /// The homes of all apps.
    apps: PlaceView,
    /// Whether no more than the limits can be kept; else they only say what should not be exceeded.
    enforced: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct PlaceView {
    used_bytes: u64,
    /// Nothing where it is not limited.
    limit_bytes: Option<u64>,
    /// Whether less than a twentieth of the limit is left.
    full: bool,
}

impl From<Stored> for StorageView {
    fn from(stored: Stored) -> Self {
        let view = |held: Held| PlaceView {
            used_bytes: held.used,
            limit_bytes: held.limit,
            full: held.is_full(),
        };
        Self {
            data: view(stored.data),
            home: view(stored.home),
            apps: view(stored.apps),
            enforced: stored.is_enforced,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct OwnerView {
    id: String,
    name: String,
    display_name: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    sessions: Vec<SessionView>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Templates {
    templates: Vec<Template>,
}

/// A session to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateSession {
    /// The id of a template.
    template: String,
    /// What it is to be called; else what the template is called.
    #[schema(max_length = 64)]
    name: Option<String>,
}

impl Api {
    /// What somebody sees, and as what: everybody's, or their own and what is shared with them.
    pub(super) async fn visible(
        &self,
        identity: &Identity,
        all: bool,
    ) -> Result<Vec<(Session, SessionRole)>, StoreError> {
        let (user, admin) = (identity.user().map(|user| user.id), identity.is_admin());
        let role = |session: &Session, shared| match (user == Some(session.owner.id), admin) {
            (true, _) => Some(SessionRole::Owner),
            (false, true) => Some(SessionRole::Admin),
            (false, false) => shared,
        };
        if all && admin {
            let mut sessions = self.store().all_sessions().await?;
            sessions.retain(|session| !session.deleted);
            let seen = |session: Session| role(&session, None).map(|role| (session, role));
            return Ok(sessions.into_iter().filter_map(seen).collect());
        }
        let Some(holder) = identity.holder() else { return Ok(Vec::new()) };
        let now = Timestamp::now();
        let mut shared = HashMap::new();
        for grant in self.store().grants(holder, now).await? {
            let most = shared.entry(grant.session).or_insert(grant.role);
            *most = grant.role.max(*most);
        }
        let shared = |session: &Session| shared.get(&session.id).copied().map(SessionRole::Shared);
        let sessions = self.store().sessions_for(holder, now).await?.into_iter();
        let seen = |session: Session| role(&session, shared(&session)).map(|role| (session, role));
        Ok(sessions.filter_map(seen).collect())
    }

    /// What would not be done now is not promised.
    fn check_manager(&self) -> Result<(), Problem> {
        if !self.desktops().in_trouble() {
            return Ok(());
        }
        let detail = "desktops cannot be started or changed at this moment, those that run go on; try \
                      again soon, and tell an administrator if it stays so";
        let (code, title) = (StatusCode::SERVICE_UNAVAILABLE, "Not possible now");
        Err(Problem::new(code, title, detail).retry_after(TROUBLE_S))
    }

    async fn view_again(&self, about: &AboutSession) -> Result<SessionView, Problem> {
        let session = self.store().session(&about.session.id).await?;
        let session = session.ok_or(StoreError::Missing("session"))?;
        Ok(view(session, about.role, &self.desktops().list()))
    }
}

pub(super) fn view(
    session: Session,
    role: SessionRole,
    live: &HashMap<SessionId, Live>,
) -> SessionView {
    let found = live.get(&session.id);
    let state = state(session.desired, found.map(|live| live.state));
    SessionView {
        state: state.name(),
        queue: found.and_then(|live| live.queue).filter(|_| state == State::Queued),
        can_pause: found.is_some_and(|live| live.can_pause),
        reason: found.map(|live| live.reason.clone()).unwrap_or_default(),
        viewers: found.map_or(0, |live| live.viewers),
        storage: found
            .filter(|_| matches!(role, SessionRole::Owner | SessionRole::Admin))
            .and_then(|live| live.stored)
            .map(StorageView::from),
        url: format!("/d/{}", session.id),
        role: role.as_str(),
        id: session.id.to_string(),
        name: session.name,
        template: session.template,
        owner: OwnerView {
            id: session.owner.id.0.to_string(),
            name: session.owner.name,
            display_name: session.owner.display_name,
        },
        created_at: session.created_at.to_string(),
    }
}

/// What is, read with what is wanted: the manager may not have looked yet.
fn state(desired: Desired, live: Option<State>) -> State {
    match (desired, live.unwrap_or(State::Stopped)) {
        (Desired::Running, State::Stopped | State::Stopping) => State::Requested,
        (
            Desired::Stopped,
            State::Requested | State::Queued | State::Starting | State::Running | State::Idle,
        ) => State::Stopping,
        (_, state) => state,
    }
}

/// Whether a query asks for everybody's, which it must be allowed to.
pub(super) fn wants_all(pass: &Pass, query: Option<&str>) -> Result<bool, Problem> {
    match query.unwrap_or("") {
        "" | "all=0" => Ok(false),
        "all=1" if decide(pass.who, Action::ListAllSessions).is_some() => Ok(true),
        "all=1" => Err(super::gate::refused(&pass.identity, pass.who, Action::ListAllSessions)),
        _ => Err(invalid("the query may be all=1 and nothing else")),
    }
}

/// What desktops can be made of.
#[utoipa::path(
    get, path = "/api/v1/templates", tag = "sessions",
    responses((status = 200, body = Templates))
)]
pub(super) async fn templates(extract::State(api): extract::State<Api>) -> Json<Templates> {
    Json(Templates { templates: api.templates().to_vec() })
}

/// One's own sessions and those shared with one.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions",
    params(("all" = Option<u8>, Query, description = "1: everybody's, for administrators")),
    responses((status = 200, body = Sessions))
)]
pub(super) async fn list(
    extract::State(api): extract::State<Api>,
    pass: Pass,
    RawQuery(query): RawQuery,
) -> Result<Json<Sessions>, Problem> {
    let all = wants_all(&pass, query.as_deref())?;
    let (sessions, live) = (api.visible(&pass.identity, all).await?, api.desktops().list());
    let sessions = sessions.into_iter().map(|(session, role)| view(session, role, &live));
    Ok(Json(Sessions { sessions: sessions.collect() }))
}

/// Make a session of one's own, which starts.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "sessions", request_body = CreateSession,
    responses((status = 201, body = SessionView),
        (status = 409, description = "There are as many as may be"),
        (status = 503, description = "Desktops cannot be started at this moment"))
)]
pub(super) async fn create(
    extract::State(api): extract::State<Api>,
    pass: Pass,
    Read(given): Read<CreateSession>,
) -> Result<Response, Problem> {
    api.check_manager()?;
    let user = pass.identity.user().ok_or_else(|| internal("a session of nobody"))?;
    let template = api.templates().iter().find(|template| template.id == given.template);
    let template = template.ok_or_else(|| {
        invalid("`template` must be the id of one that GET /api/v1/templates lists")
    })?;
    let name = given.name.as_deref().map_or(template.title.as_str(), str::trim);
    check_label("name", name)?;
    let id = match api.desktops().reserve().await {
        // One that waits in line for long may be offered a second time.
        Some(ready) if api.store().session(&ready).await?.is_none() => ready,
        Some(_) | None => fresh_id()?,
    };
    let new = NewSession { id: &id, owner: user.id, template: &template.id, name };
    api.store().create_session(&new, MOST_SESSIONS, Timestamp::now()).await?;
    api.desktops().wake(&id).await;
    api.note_change();
    let session = api.store().session(&id).await?.ok_or(StoreError::Missing("session"))?;
    let view = view(session, SessionRole::Owner, &api.desktops().list());
    let location = [(header::LOCATION, format!("/api/v1/sessions/{id}"))];
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

fn fresh_id() -> Result<SessionId, Problem> {
    let mut bits = [0; 10];
    getrandom::fill(&mut bits).map_err(|_| internal("no random bytes"))?;
    Ok(SessionId::from_bytes(bits))
}

/// A session.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = SessionView))
)]
pub(super) async fn read(
    extract::State(api): extract::State<Api>,
    about: AboutSession,
) -> Json<SessionView> {
    Json(view(about.session, about.role, &api.desktops().list()))
}

/// End a session for good. Its owner's files stay.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 204, description = "It is ending and no longer listed"))
)]
pub(super) async fn delete(
    extract::State(api): extract::State<Api>,
    about: AboutSession,
) -> Result<StatusCode, Problem> {
    let (id, actor) = (&about.session.id, about.pass.identity.actor());
    api.store().delete_session(id, actor, Timestamp::now()).await?;
    api.desktops().wake(id).await;
    api.note_change();
    Ok(StatusCode::NO_CONTENT)
}

/// Have a session run. One that failed is tried again, one that is paused goes on.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/start", tag = "sessions", params(("id" = String, Path)),
    responses((status = 202, body = SessionView),
        (status = 503, description = "Desktops cannot be started at this moment"))
)]
pub(super) async fn start(
    extract::State(api): extract::State<Api>,
    about: AboutSession,
) -> Result<Response, Problem> {
    api.check_manager()?;
    desire(&api, &about, Desired::Running).await
}

/// Have a session rest. Unsaved work in it is lost.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/stop", tag = "sessions", params(("id" = String, Path)),
    responses((status = 202, body = SessionView))
)]
pub(super) async fn stop(
    extract::State(api): extract::State<Api>,
    about: AboutSession,
) -> Result<Response, Problem> {
    desire(&api, &about, Desired::Stopped).await
}

/// Have a session rest with everything that runs in it. It goes on by `start`, or when somebody who may
/// drive opens it or gives any input.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/pause", tag = "sessions", params(("id" = String, Path)),
    responses((status = 202, body = SessionView),
        (status = 409, description = "It does not run, or cannot be paused"),
        (status = 503, description = "Desktops cannot be paused at this moment"))
)]
pub(super) async fn pause(
    extract::State(api): extract::State<Api>,
    about: AboutSession,
) -> Result<Response, Problem> {
    api.check_manager()?;
    let id = &about.session.id;
    let live = api.desktops().list().get(id).map(|live| (live.state, live.can_pause));
    match live {
        Some((State::Idle, _)) => {}
        Some((State::Running, true)) => api.desktops().pause(id).await.map_err(conflict)?,
        Some((State::Running, false)) => {
            let detail = "desktops of this server cannot be paused; stop it, or have the server run \
                          desktops in containers";
            return Err(conflict(detail));
        }
        Some(_) | None => return Err(conflict("only a desktop that runs can be paused; start it")),
    }
    Ok((StatusCode::ACCEPTED, Json(api.view_again(&about).await?)).into_response())
}

/// Have a session begin anew: it is stopped, its home becomes as it is at first, and it starts. Data
/// stays, and a snapshot is made of it first.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/reset", tag = "sessions", params(("id" = String, Path)),
    responses((status = 202, body = SessionView),
        (status = 409, description = "It cannot be reset as it is"),
        (status = 503, description = "Desktops cannot be started at this moment"))
)]
pub(super) async fn reset(
    extract::State(api): extract::State<Api>,
    about: AboutSession,
) -> Result<Response, Problem> {
    api.check_manager()?;
    let (id, actor) = (&about.session.id, about.pass.identity.actor());
    // It touches nothing in Data, so what fails here is no reason to refuse it.
    if let Err(error) = api.snapshots().take(about.session.owner.id.0, Cause::Reset).await {
        let error = format!("{:#}", anyhow::Error::new(error));
        tracing::warn!(session = %id, error, "no snapshot could be made before a reset");
    }
    api.store().note_reset(id, actor, Timestamp::now()).await?;
    let reset = api.desktops().reset(id).await;
    api.note_change();
    reset.map_err(conflict)?;
    Ok((StatusCode::ACCEPTED, Json(api.view_again(&about).await?)).into_response())
}

async fn desire(api: &Api, about: &AboutSession, desired: Desired) -> Result<Response, Problem> {
    let (id, actor) = (&about.session.id, about.pass.identity.actor());
    api.store().set_desired(id, desired, actor, Timestamp::now()).await?;
    api.desktops().wake(id).await;
    api.note_change();
    Ok((StatusCode::ACCEPTED, Json(api.view_again(about).await?)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_shows_before_the_manager_has_looked() {
        let table = [
            (Desired::Running, None, State::Requested),
            (Desired::Running, Some(State::Stopped), State::Requested),
            (Desired::Running, Some(State::Starting), State::Starting),
            (Desired::Running, Some(State::Failed), State::Failed),
            (Desired::Stopped, None, State::Stopped),
            (Desired::Running, Some(State::Queued), State::Queued),
            (Desired::Running, Some(State::Idle), State::Idle),
            (Desired::Stopped, Some(State::Running), State::Stopping),
            (Desired::Stopped, Some(State::Queued), State::Stopping),
            (Desired::Stopped, Some(State::Idle), State::Stopping),
            (Desired::Stopped, Some(State::Failed), State::Failed),
        ];
        for (desired, live, shown) in table {
            assert_eq!(state(desired, live), shown, "{desired:?} {live:?}");
        }
    }
}
