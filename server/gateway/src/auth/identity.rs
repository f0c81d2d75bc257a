//! Who a request is from.

use super::door::bearer;
use super::{Auth, AuthError, count, hash};
use crate::http::origin::Site;
use crate::store::{
    Actor, Holder, LoginId, Store, StoreError, Timestamp, TokenHash, User, UserRole,
};
use axum::http::{HeaderMap, header};
use std::net::IpAddr;

/// A login's last sign of life is kept to this many seconds: not every request writes.
const NOTED_EVERY_S: i64 = 60;

/// How a request proved who it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Not at all.
    None,
    /// By a header that no page of another site can make a browser send.
    Bearer,
    /// By a cookie, so the page that it comes from matters.
    Cookie,
}

/// Who a request is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Nobody we know.
    Anonymous,
    /// Somebody who came by a share link.
    Guest(LoginId),
    /// A user, in a browser or by a program that has a bearer token.
    User {
        /// Who.
        user: User,
        /// Their login, where it is a browser.
        login: Option<LoginId>,
    },
}

impl Identity {
    /// Who holds what was shared with them.
    pub fn holder(&self) -> Option<Holder> {
        match self {
            Self::Anonymous => None,
            Self::Guest(login) => Some(Holder::Guest(*login)),
            Self::User { user, .. } => Some(Holder::User(user.id)),
        }
    }

    /// The login, where there is one.
    pub fn login(&self) -> Option<LoginId> {
        match self {
            Self::Anonymous => None,
            Self::Guest(login) => Some(*login),
            Self::User { login, .. } => *login,
        }
    }

    /// The user, where it is one.
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::User { user, .. } => Some(user),
            Self::Anonymous | Self::Guest(_) => None,
        }
    }

    /// Whether it is an administrator.
    pub fn is_admin(&self) -> bool {
        self.user().is_some_and(|user| user.role == UserRole::Admin)
    }

    /// As the audit knows them.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Anonymous => Actor::Anonymous,
            Self::Guest(login) => Actor::Guest(*login),
            Self::User { user, .. } => Actor::User(user.id),
        }
    }
}

impl Auth {
    /// Who a request is from. A wrong bearer token is an error, and not saved by a right cookie; a
    /// cookie that is no longer good is as good as none, so that one can sign in again.
    pub async fn identify(
        &self,
        headers: &HeaderMap,
        site: &Site,
        peer: IpAddr,
    ) -> Result<(Identity, Proof), AuthError> {
        let now = Timestamp::now();
        if headers.contains_key(header::AUTHORIZATION) {
            let token = bearer(headers).unwrap_or("");
            let Some(found) = self.store.bearer(&TokenHash::of(token)).await? else {
                return Err(self.wrong_token("bearer", peer));
            };
            count("bearer", "ok");
            if found.last_used_at.is_none_or(|last| now.since(last) >= NOTED_EVERY_S) {
                self.note(
                    "token",
                    move |store| async move { store.touch_token(found.id, now).await },
                );
            }
            return Ok((Identity::User { user: found.user, login: None }, Proof::Bearer));
        }
        let Some(cookie) = self.cookies.login(headers, site) else {
            return Ok((Identity::Anonymous, Proof::None));
        };
        let Some(login) = self.store.login(&hash(&cookie), now).await? else {
            count("cookie", "wrong");
            return Ok((Identity::Anonymous, Proof::None));
        };
        if now.since(login.last_seen_at) >= NOTED_EVERY_S {
            let id = login.id;
            self.note("login", move |store| async move { store.touch_login(id, now).await });
        }
        let identity = match login.user {
            Some(user) => Identity::User { user, login: Some(login.id) },
            None => Identity::Guest(login.id),
        };
        Ok((identity, Proof::Cookie))
    }

    /// Writes beside the request, which has nothing to lose when the database is locked.
    fn note<F>(&self, what: &'static str, write: impl FnOnce(Store) -> F)
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let written = write(self.store.clone());
        tokio::spawn(async move {
            if let Err(error) = written.await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a {what}'s use was not noted"
                );
            }
        });
    }
}
