//! Sessions: what people have, and what they want of it.

use super::answers::{Read, conflict, internal, invalid};
use super::gate::{AboutSession, Pass};
use super::session_view::{SessionView, view};
use super::users::check_label;
use super::{Api, MOST_SESSIONS, Template};
use crate::auth::Identity;
use crate::http::problem::Problem;
use crate::store::{Desired, NewSession, Session, StoreError, Timestamp, UserId};
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
            sessions.retain(|session| !session.deleted && session.discarded.is_none());
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
    pub(super) fn check_manager(&self) -> Result<(), Problem> {
        if !self.desktops().in_trouble() {
            return Ok(());
        }
        let detail = "desktops cannot be started or changed at this moment, those that run go on; try \
                      again soon, and tell an administrator if it stays so";
        let (code, title) = (StatusCode::SERVICE_UNAVAILABLE, "Not possible now");
        Err(Problem::new(code, title, detail).retry_after(TROUBLE_S))
    }

    pub(super) async fn view_again(&self, about: &AboutSession) -> Result<SessionView, Problem> {
        let session = self.store().session_or_discarded(&about.session.id).await?;
        let session = session.ok_or(StoreError::Missing("session"))?;
        Ok(view(session, about.role, &self.desktops().shown()))
    }
}

/// Whether a query asks for everybody's, which it must be allowed to.
pub(super) fn wants_all(pass: &Pass, query: Option<&str>) -> Result<bool, Problem> {
    match query.unwrap_or("") {
        "" | "all=0" => Ok(false),
        "all=1" if decide(pass.who, Action::ListAllSessions).is_some() => Ok(true),
        "all=1" => Err(super::gate::refused(&pass.identity, pass.who, Action::ListAllSessions)),
        _ => Err(invalid("the query may be all=1, or discarded=1 for a list, and nothing else")),
    }
}

/// What desktops can be made of.
#[utoipa::path(
    get, path = "/api/v1/templates", tag = "sessions",
    responses((status = 200, body = Templates))
)]
pub(super) async fn templates(extract::State(api): extract::State<Api>) -> Json<Templates> {
    Json(Templates { templates: api.templates() })
}

/// One's own sessions and those shared with one.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions",
    params(("all" = Option<u8>, Query, description = "1: everybody's, for administrators"),
        ("discarded" = Option<u8>, Query, description = "1: one's own that were thrown away and can be had back")),
    responses((status = 200, body = Sessions))
)]
pub(super) async fn list(
    extract::State(api): extract::State<Api>,
    pass: Pass,
    RawQuery(query): RawQuery,
) -> Result<Json<Sessions>, Problem> {
    if query.as_deref() == Some("discarded=1") {
        let Some(user) = pass.identity.user() else {
            return Ok(Json(Sessions { sessions: vec![] }));
        };
        let (found, live) = (api.store().discarded_of(user.id).await?, api.desktops().shown());
        let views = found.into_iter().map(|session| view(session, SessionRole::Owner, &live));
        return Ok(Json(Sessions { sessions: views.collect() }));
    }
    let all = wants_all(&pass, query.as_deref())?;
    let (sessions, live) = (api.visible(&pass.identity, all).await?, api.desktops().shown());
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
    let template = api.templates().into_iter().find(|template| template.id == given.template);
    let template = template.ok_or_else(|| {
        invalid("`template` must be the id of one that GET /api/v1/templates lists")
    })?;
    let name = given.name.as_deref().map_or(template.title.as_str(), str::trim);
    check_label("name", name)?;
    made(&api, user.id, (&template.id, None), name).await
}

/// Makes a session, which starts: of a template, or of what another session of it is made of.
pub(super) async fn made(
    api: &Api,
    owner: UserId,
    (template, like): (&str, Option<&SessionId>),
    name: &str,
) -> Result<Response, Problem> {
    let id = match api.desktops().reserve().await {
        // One that waits in line for long may be offered a second time.
        Some(ready) if api.store().session_or_discarded(&ready).await?.is_none() => ready,
        Some(_) | None => fresh_id()?,
    };
    let new = NewSession { id: &id, owner, template, name };
    api.store().create_session_like(&new, like, MOST_SESSIONS, Timestamp::now()).await?;
    api.desktops().wake(&id).await;
    api.note_change();
    let session = api.store().session(&id).await?.ok_or(StoreError::Missing("session"))?;
    let view = view(session, SessionRole::Owner, &api.desktops().shown());
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
    Json(view(about.session, about.role, &api.desktops().shown()))
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

/// Have a session end and start again as it is: its programs are closed, its files stay. One that does
/// not run starts.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/restart", tag = "sessions", params(("id" = String, Path)),
    responses((status = 202, body = SessionView),
        (status = 409, description = "It does not end"),
        (status = 503, description = "Desktops cannot be started at this moment"))
)]
pub(super) async fn restart(
    extract::State(api): extract::State<Api>,
    about: AboutSession,
) -> Result<Response, Problem> {
    api.check_manager()?;
    let id = &about.session.id;
    let state = api.desktops().list().get(id).map(|live| live.state);
    let runs = matches!(state, Some(State::Starting | State::Running | State::Idle));
    let answer = desire(&api, &about, Desired::Running).await?;
    if runs && about.session.desired == Desired::Running {
        api.desktops().restart(id).await.map_err(conflict)?;
        return Ok((StatusCode::ACCEPTED, Json(api.view_again(&about).await?)).into_response());
    }
    Ok(answer)
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
