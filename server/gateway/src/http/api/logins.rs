//! Signing in and out, and who one is.

use super::Api;
use super::answers::{Read, auth_problem, conflict, internal, invalid};
use super::gate::Pass;
use super::users::{Role, check_password};
use crate::auth::{AuthError, Entry, Identity};
use crate::http::problem::Problem;
use crate::hub::Whose;
use crate::store::{Holder, Timestamp, UserChange};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A name and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    name: String,
    #[schema(format = Password)]
    password: String,
}

/// A secret from a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Secret {
    /// What follows `/enter#` or `/s/` in the link.
    pub(super) token: String,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// The one until now, where there is one.
    #[schema(format = Password)]
    current: Option<String>,
    #[schema(format = Password)]
    new: String,
}

/// Who one is: a user or a guest.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Me {
    /// Somebody with an account.
    User(Myself),
    /// Somebody who came by a share link.
    Guest(Visit),
}

#[derive(Serialize, ToSchema)]
pub(super) struct Myself {
    id: String,
    name: String,
    display_name: String,
    role: Role,
    has_password: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Visit {
    /// The session of the newest link.
    session: String,
    /// `view`, `assist` or `control`.
    role: &'static str,
}

/// Sign in by name and password.
#[utoipa::path(
    post, path = "/api/v1/login", tag = "people", request_body = Credentials,
    responses((status = 204, description = "Signed in; the cookie says so"),
        (status = 401, description = "The name or the password is wrong"),
        (status = 429, description = "Too many wrong passwords"))
)]
pub(super) async fn login(
    State(api): State<Api>,
    pass: Pass,
    headers: HeaderMap,
    Read(given): Read<Credentials>,
) -> Result<Response, Problem> {
    let device = api.auth().cookies().device(&headers, &pass.site);
    let peer = pass.connection.peer.ip();
    let entry = api.auth().sign_in(&given.name, &given.password, device.as_ref(), peer).await;
    let wrong = "the name or the password is wrong";
    let entry = entry.map_err(|error| auth_problem(error, wrong))?;
    let_in(&api, &pass, &entry).await
}

/// Sign in by a one-time link.
#[utoipa::path(
    post, path = "/api/v1/enter", tag = "people", request_body = Secret,
    responses((status = 204, description = "Signed in; the cookie says so"),
        (status = 401, description = "The link is wrong, was used, or has expired"))
)]
pub(super) async fn enter(
    State(api): State<Api>,
    pass: Pass,
    headers: HeaderMap,
    Read(given): Read<Secret>,
) -> Result<Response, Problem> {
    let device = api.auth().cookies().device(&headers, &pass.site);
    let entry = api.auth().enter(&given.token, device.as_ref(), pass.connection.peer.ip()).await;
    let wrong = "the link is wrong, was used, or has expired; ask for a new one, or print one by \
                 lattice admin url";
    let entry = entry.map_err(|error| auth_problem(error, wrong))?;
    let_in(&api, &pass, &entry).await
}

/// Whoever used the browser until now is signed out of it.
async fn let_in(api: &Api, pass: &Pass, entry: &Entry) -> Result<Response, Problem> {
    end_login(api, &pass.identity).await?;
    let cookies = api.auth().cookies();
    let login = cookies.set_login(&entry.token, &pass.site);
    let device = cookies.set_device(&entry.device, &pass.site);
    let (Some(login), Some(device)) = (login, device) else {
        return Err(internal("a cookie that is no header"));
    };
    let set = AppendHeaders([(header::SET_COOKIE, login), (header::SET_COOKIE, device)]);
    Ok((StatusCode::NO_CONTENT, set).into_response())
}

async fn end_login(api: &Api, identity: &Identity) -> Result<(), Problem> {
    let Some(login) = identity.login() else { return Ok(()) };
    api.store().end_login(login).await?;
    api.desktops().dismiss(Whose::Login(login)).await;
    api.note_change();
    Ok(())
}

/// Sign out.
#[utoipa::path(
    post, path = "/api/v1/logout", tag = "people",
    responses((status = 204, description = "Signed out, and no longer watching anything"))
)]
pub(super) async fn logout(State(api): State<Api>, pass: Pass) -> Result<Response, Problem> {
    end_login(&api, &pass.identity).await?;
    let cleared = api.auth().cookies().clear_login(&pass.site);
    let cleared = cleared.ok_or_else(|| internal("a cookie that is no header"))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cleared)]).into_response())
}

/// Who one is.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "people",
    responses((status = 200, body = Me), (status = 401, description = "Nobody is signed in"))
)]
pub(super) async fn me(State(api): State<Api>, pass: Pass) -> Result<Json<Me>, Problem> {
    match pass.identity {
        Identity::User { user, .. } => Ok(Json(Me::User(Myself {
            id: user.id.0.to_string(),
            name: user.name,
            display_name: user.display_name,
            role: user.role.into(),
            has_password: user.has_password,
        }))),
        Identity::Guest(login) => {
            let mut grants = api.store().grants(Holder::Guest(login), Timestamp::now()).await?;
            let newest = grants.pop().ok_or_else(nobody)?;
            let visit = Visit { session: newest.session.to_string(), role: newest.role.as_str() };
            Ok(Json(Me::Guest(visit)))
        }
        Identity::Anonymous => Err(nobody()),
    }
}

fn nobody() -> Problem {
    let detail = "the link that you came by has ended; ask for a new one, or sign in";
    Problem::new(StatusCode::UNAUTHORIZED, "Not signed in", detail)
}

/// Set one's own password. All other browsers are signed out.
#[utoipa::path(
    put, path = "/api/v1/me/password", tag = "people", request_body = NewPassword,
    responses((status = 204, description = "It is set"),
        (status = 403, description = "The current password is wrong"))
)]
pub(super) async fn set_password(
    State(api): State<Api>,
    pass: Pass,
    Read(given): Read<NewPassword>,
) -> Result<StatusCode, Problem> {
    let Identity::User { user, login } = &pass.identity else {
        return Err(internal("a password of nobody"));
    };
    check_password(&given.new, &user.name)?;
    if user.has_password {
        let current = given.current.as_deref();
        let current = current.ok_or_else(|| invalid("`current` must be the password until now"))?;
        api.auth().confirm(user, current).await.map_err(|error| match error {
            AuthError::Wrong => {
                let detail = "`current` is not the password until now";
                Problem::new(StatusCode::FORBIDDEN, "Wrong password", detail)
            }
            error => auth_problem(error, ""),
        })?;
    } else if given.current.is_some() {
        return Err(conflict("there is no password yet; leave `current` out"));
    }
    let hash = api.auth().passwords().hash(&given.new).await?;
    let change = UserChange { password_hash: Some(&hash), ..UserChange::default() };
    let actor = pass.identity.actor();
    let ended = api.store().change_user(user.id, &change, *login, actor, Timestamp::now()).await?;
    for login in ended.signed_out {
        api.desktops().dismiss(Whose::Login(login)).await;
    }
    api.note_change();
    Ok(StatusCode::NO_CONTENT)
}
