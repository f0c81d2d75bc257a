//! What the machine's own administrator does at its command line, also beside a running gateway:
//! the first account, one-time sign-ins and bearer tokens.

use super::{AuthError, Token};
use crate::store::{Actor, NewUser, Store, Timestamp, TokenHash, User, UserId, UserRole};

/// The first account's name.
pub const FIRST_ADMIN: &str = "admin";
/// How long a sign-in works that an administrator has asked for.
const ASKED_S: i64 = 3600;
/// How long one works that is printed at the start, or given to somebody new.
const GIVEN_S: i64 = 7 * 86_400;

/// Why an administrator's command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such user.
    #[error("there is no user {0:?}; `lattice admin` takes the name that they sign in with")]
    NoSuchUser(String),
    /// They may not sign in.
    #[error("the user {0:?} is disabled; enable them first")]
    Disabled(String),
    /// There is no administrator.
    #[error("there is no administrator yet; start `lattice serve` once, which makes the first")]
    NoAdmin,
    /// The store or the system failed.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// At the start: makes the first administrator where there is nobody, and as long as no
/// administrator has a password gives a one-time sign-in to print.
pub async fn bootstrap(store: &Store, now: Timestamp) -> Result<Option<Token>, AuthError> {
    let first = NewUser {
        name: FIRST_ADMIN,
        display_name: "Administrator",
        role: UserRole::Admin,
        password_hash: None,
    };
    let made = store.create_first_user(&first, now).await?;
    let user = match made {
        Some(user) => user,
        None => {
            let users = store.users().await?;
            let mut admins = users.into_iter().filter(|user| user.role == UserRole::Admin);
            let Some(admin) = admins.next() else { return Ok(None) };
            if admin.has_password || admins.any(|other| other.has_password) || admin.disabled {
                return Ok(None);
            }
            admin
        }
    };
    one_time(store, user.id, GIVEN_S, Actor::System, now).await.map(Some)
}

/// A sign-in that works once, for somebody new or at another's wish.
pub async fn invite(
    store: &Store,
    user: UserId,
    actor: Actor,
    now: Timestamp,
) -> Result<Token, AuthError> {
    one_time(store, user, GIVEN_S, actor, now).await
}

/// `lattice admin url`: a one-time sign-in for that user, else for the first administrator.
pub async fn url(store: &Store, name: Option<&str>, now: Timestamp) -> Result<Token, AdminError> {
    let user = find(store, name).await?;
    Ok(one_time(store, user.id, ASKED_S, Actor::System, now).await?)
}

/// A one-time sign-in for the first administrator, and who that is.
pub async fn open(store: &Store, now: Timestamp) -> Result<(UserId, Token), AdminError> {
    let user = find(store, None).await?.id;
    Ok((user, one_time(store, user, GIVEN_S, Actor::System, now).await?))
}

/// `lattice admin token`: a bearer token for a program of that user, else of the first
/// administrator.
pub async fn token(store: &Store, name: Option<&str>, now: Timestamp) -> Result<Token, AdminError> {
    let user = find(store, name).await?;
    let token = Token::fresh().map_err(AuthError::from)?;
    let hash = TokenHash::of(token.expose());
    store.create_token(user.id, "command line", &hash, now).await.map_err(AuthError::from)?;
    Ok(token)
}

async fn find(store: &Store, name: Option<&str>) -> Result<User, AdminError> {
    let Some(name) = name else {
        let mut users = store.users().await.map_err(AuthError::from)?;
        users.retain(|user| user.role == UserRole::Admin && !user.disabled);
        return users.into_iter().min_by_key(|user| user.id).ok_or(AdminError::NoAdmin);
    };
    let found = store.user_named(name).await.map_err(AuthError::from)?;
    let user = found.ok_or_else(|| AdminError::NoSuchUser(name.to_owned()))?;
    if user.disabled { Err(AdminError::Disabled(name.to_owned())) } else { Ok(user) }
}

async fn one_time(
    store: &Store,
    user: UserId,
    for_s: i64,
    actor: Actor,
    now: Timestamp,
) -> Result<Token, AuthError> {
    let token = Token::fresh()?;
    let hash = TokenHash::of(token.expose());
    store.create_one_time(user, &hash, now.plus(for_s), actor, now).await?;
    Ok(token)
}
