//! Accounts, for administrators.

use super::Api;
use super::answers::{Read, conflict, invalid, no_such};
use super::gate::Pass;
use crate::auth::{MAX_PASSWORD, admin};
use crate::http::problem::Problem;
use crate::hub::Whose;
use crate::label::is_hidden;
use crate::store::{Holder, NewUser, StoreError, Timestamp, User, UserChange, UserId, UserRole};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What NIST SP 800-63B asks for at least.
const MIN_PASSWORD: usize = 8;
const MAX_NAME: usize = 64;

/// What a user may do beside using their own sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// Nothing.
    Member,
    /// Administer the server.
    Admin,
}

impl From<UserRole> for Role {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::Member => Self::Member,
            UserRole::Admin => Self::Admin,
        }
    }
}

impl From<Role> for UserRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
        }
    }
}

/// A user, as administrators see them.
#[derive(Serialize, ToSchema)]
pub(super) struct UserView {
    id: String,
    name: String,
    display_name: String,
    role: Role,
    has_password: bool,
    disabled: bool,
    #[schema(format = DateTime)]
    created_at: String,
    /// A sign-in that works once, where the user was made without a password. Only in that answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Users {
    users: Vec<UserView>,
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateUser {
    /// What they sign in with: letters, digits, `.`, `_`, `-` and `@`.
    #[schema(max_length = 64)]
    name: String,
    /// What others call them; else the name.
    #[schema(max_length = 64)]
    display_name: Option<String>,
    /// Without it the answer has a sign-in that works once.
    #[schema(format = Password, min_length = 8)]
    password: Option<String>,
    role: Option<Role>,
}

/// What is to be different.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeUser {
    #[schema(max_length = 64)]
    display_name: Option<String>,
    role: Option<Role>,
    /// A disabled user is signed out and cannot sign in.
    disabled: Option<bool>,
    #[schema(format = Password, min_length = 8)]
    password: Option<String>,
}

fn view(user: User, url: Option<String>) -> UserView {
    UserView {
        id: user.id.0.to_string(),
        name: user.name,
        display_name: user.display_name,
        role: user.role.into(),
        has_password: user.has_password,
        disabled: user.disabled,
        created_at: user.created_at.to_string(),
        url,
    }
}

/// All users.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "people",
    responses((status = 200, body = Users))
)]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Users>, Problem> {
    let users = api.store().users().await?;
    Ok(Json(Users { users: users.into_iter().map(|user| view(user, None)).collect() }))
}

/// Make a user.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "people", request_body = CreateUser,
    responses((status = 201, body = UserView), (status = 409, description = "The name is taken"))
)]
pub(super) async fn create(
    State(api): State<Api>,
    pass: Pass,
    Read(given): Read<CreateUser>,
) -> Result<Response, Problem> {
    let name = given.name.trim();
    check_name(name)?;
    let display_name = given.display_name.as_deref().map_or(name, str::trim);
    check_label("display_name", display_name)?;
    let password_hash = match &given.password {
        Some(password) => {
            check_password(password, name)?;
            Some(api.auth().passwords().hash(password).await?)
        }
        None => None,
    };
    let new = NewUser {
        name,
        display_name,
        role: given.role.unwrap_or(Role::Member).into(),
        password_hash: password_hash.as_deref(),
    };
    let (actor, now) = (pass.identity.actor(), Timestamp::now());
    let made = api.store().create_user(&new, actor, now).await.map_err(|error| match error {
        StoreError::NameTaken => conflict(format!(
            "somebody has the name {name:?} already, in capitals or small letters; choose another"
        )),
        error => error.into(),
    })?;
    let url = match password_hash {
        Some(_) => None,
        None => {
            let token = admin::invite(api.store(), made.id, actor, now).await;
            let token = token.map_err(|error| super::answers::auth_problem(error, ""))?;
            Some(pass.site.address(&format!("/enter#{}", token.expose())))
        }
    };
    let location = format!("/api/v1/users/{}", made.id.0);
    let answer = (StatusCode::CREATED, [(header::LOCATION, location)], Json(view(made, url)));
    Ok(answer.into_response())
}

/// Change a user.
#[utoipa::path(
    patch, path = "/api/v1/users/{id}", tag = "people", request_body = ChangeUser,
    params(("id" = String, Path)), responses((status = 200, body = UserView))
)]
pub(super) async fn change(
    State(api): State<Api>,
    pass: Pass,
    Path(id): Path<String>,
    Read(given): Read<ChangeUser>,
) -> Result<Json<UserView>, Problem> {
    let user = find(&api, &id).await?;
    let display_name = given.display_name.as_deref().map(str::trim);
    if let Some(label) = display_name {
        check_label("display_name", label)?;
    }
    let password_hash = match &given.password {
        Some(password) => {
            check_password(password, &user.name)?;
            Some(api.auth().passwords().hash(password).await?)
        }
        None => None,
    };
    let change = UserChange {
        display_name,
        role: given.role.map(UserRole::from).filter(|role| *role != user.role),
        disabled: given.disabled,
        password_hash: password_hash.as_deref(),
    };
    let (actor, login) = (pass.identity.actor(), pass.identity.login());
    let changed = api.store().change_user(user.id, &change, login, actor, Timestamp::now()).await?;
    for login in changed.signed_out {
        api.desktops().dismiss(Whose::Login(login)).await;
    }
    if change.role.is_some() || changed.user.disabled {
        api.desktops().dismiss(Whose::User(user.id)).await;
    }
    api.note_change();
    Ok(Json(view(changed.user, None)))
}

/// Delete a user with their sessions.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}", tag = "people", params(("id" = String, Path)),
    responses((status = 204, description = "The user is deleted, their sessions are ending"))
)]
pub(super) async fn delete(
    State(api): State<Api>,
    pass: Pass,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let (user, now) = (find(&api, &id).await?, Timestamp::now());
    let sessions = api.store().sessions_for(Holder::User(user.id), now).await?;
    api.store().delete_user(user.id, pass.identity.actor(), now).await?;
    api.desktops().dismiss(Whose::User(user.id)).await;
    for session in sessions.iter().filter(|session| session.owner.id == user.id) {
        api.desktops().wake(&session.id).await;
    }
    api.note_change();
    Ok(StatusCode::NO_CONTENT)
}

async fn find(api: &Api, id: &str) -> Result<User, Problem> {
    let id = id.parse().map(UserId).map_err(|_| no_such("user"))?;
    api.store().user(id).await?.ok_or_else(|| no_such("user"))
}

/// Letters and digits of any script; what looks like a path or markup is none.
fn check_name(name: &str) -> Result<(), Problem> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    let good = (1..=MAX_NAME).contains(&name.chars().count()) && name.chars().all(allowed);
    if good && name.chars().any(char::is_alphanumeric) {
        return Ok(());
    }
    let rule = "1 to 64 letters, digits, dots, dashes, underscores and @, with a letter or digit";
    Err(invalid(format!("`name` must be {rule}")))
}

/// What people are to read: anything but control characters.
pub(super) fn check_label(field: &str, label: &str) -> Result<(), Problem> {
    if (1..=MAX_NAME).contains(&label.chars().count()) && !label.chars().any(is_hidden) {
        return Ok(());
    }
    Err(invalid(format!("`{field}` must be 1 to 64 characters that can be seen")))
}

pub(super) fn check_password(password: &str, name: &str) -> Result<(), Problem> {
    if password.chars().count() < MIN_PASSWORD || password.len() > MAX_PASSWORD {
        let rule = format!("{MIN_PASSWORD} characters at least, {MAX_PASSWORD} bytes at most");
        return Err(invalid(format!("a password must have {rule}")));
    }
    if password.to_lowercase() == name.to_lowercase() {
        return Err(invalid("a password must not be the name"));
    }
    Ok(())
}
