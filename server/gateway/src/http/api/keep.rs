//! What becomes of a session beside running: another name, one more like it, and a way back for what
//! was thrown away.

use super::answers::{Read, conflict, internal};
use super::gate::AboutSession;
use super::session_view::SessionView;
use super::sessions::made;
use super::users::check_label;
use super::{Api, MOST_SESSIONS};
use crate::http::problem::Problem;
use crate::store::Timestamp;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

/// What is to change of a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeSession {
    /// What it is to be called.
    #[schema(max_length = 64)]
    name: String,
}

/// One more session of the same kind.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DuplicateSession {
    /// What it is to be called.
    #[schema(max_length = 64)]
    name: String,
}

/// Call a session something else.
#[utoipa::path(
    patch, path = "/api/v1/sessions/{id}", tag = "sessions", request_body = ChangeSession,
    params(("id" = String, Path)), responses((status = 200, body = SessionView))
)]
pub(super) async fn rename(
    State(api): State<Api>,
    about: AboutSession,
    Read(given): Read<ChangeSession>,
) -> Result<Json<SessionView>, Problem> {
    let name = given.name.trim();
    check_label("name", name)?;
    let (id, actor) = (&about.session.id, about.pass.identity.actor());
    api.store().rename_session(id, name, actor, Timestamp::now()).await?;
    api.desktops().wake(id).await;
    api.note_change();
    Ok(Json(api.view_again(&about).await?))
}

/// Make one more session of the same template, as this one has it now, which starts with nothing open. Files, settings and Data
/// belong to their owner, so both have the same.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/duplicate", tag = "sessions", request_body = DuplicateSession,
    params(("id" = String, Path)),
    responses((status = 201, body = SessionView),
        (status = 409, description = "There are as many as may be, or its template is gone"),
        (status = 503, description = "Desktops cannot be started at this moment"))
)]
pub(super) async fn duplicate(
    State(api): State<Api>,
    about: AboutSession,
    Read(given): Read<DuplicateSession>,
) -> Result<Response, Problem> {
    api.check_manager()?;
    let user = about.pass.identity.user().ok_or_else(|| internal("a session of nobody"))?;
    let name = given.name.trim();
    check_label("name", name)?;
    let template = &about.session.template;
    let own = about.session.template_version > 0;
    if !own && !api.templates().iter().any(|known| known.id == *template) {
        let detail = format!(
            "this server has no template {template} any more; make a desktop of another one"
        );
        return Err(conflict(detail));
    }
    made(&api, user.id, (template, Some(&about.session.id)), name).await
}

/// Throw a session away. Nobody sees it any more, and until `discarded.until` it can be had back as it
/// was, with its links; until `discarded.programs_until` also with what is open in it.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/discard", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = SessionView))
)]
pub(super) async fn discard(
    State(api): State<Api>,
    about: AboutSession,
) -> Result<Json<SessionView>, Problem> {
    let (id, actor) = (&about.session.id, about.pass.identity.actor());
    api.store().discard_session(id, actor, Timestamp::now()).await?;
    api.desktops().wake(id).await;
    api.note_change();
    Ok(Json(api.view_again(&about).await?))
}

/// Have a session back that was thrown away. One that was not stays as it is.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/recover", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = SessionView),
        (status = 409, description = "There are as many others as may be"))
)]
pub(super) async fn recover(
    State(api): State<Api>,
    about: AboutSession,
) -> Result<Json<SessionView>, Problem> {
    let (id, actor) = (&about.session.id, about.pass.identity.actor());
    api.store().recover_session(id, MOST_SESSIONS, actor, Timestamp::now()).await?;
    api.desktops().wake(id).await;
    api.note_change();
    Ok(Json(api.view_again(&about).await?))
}
