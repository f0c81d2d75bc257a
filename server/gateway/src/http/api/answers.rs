//! Bodies in and out, and what each failure is answered with.

use crate::auth::{AuthError, PasswordError};
use crate::http::problem::Problem;
use crate::store::StoreError;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use std::error::Error;
use std::time::Duration;
use tokio::time::timeout;

const MAX_BODY: usize = 16 << 10;
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// When to come again where the database was locked.
const BUSY_S: u64 = 2;

/// A request's body: one JSON object with the fields that it may have, and no others.
#[derive(Debug)]
pub(super) struct Read<T>(pub(super) T);

/// The same, of at most so many bytes.
#[derive(Debug)]
pub(super) struct Size<T, const MOST: usize>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Read<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(request, MAX_BODY).await.map(Self)
    }
}

impl<T: DeserializeOwned, S: Sync, const MOST: usize> FromRequest<S> for Size<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(request, MOST).await.map(Self)
    }
}

async fn read<T: DeserializeOwned>(request: Request, most: usize) -> Result<T, Problem> {
    // Nothing is inflated, so nothing small can become large.
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        let detail = "the body must come as it is, without Content-Encoding";
        let (code, title) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Encoding not accepted");
        return Err(Problem::new(code, title, detail));
    }
    let body = Limited::new(request.into_body(), most).collect();
    let slow = |_| {
        let detail = "the body did not arrive in 10 s; send it at once";
        Problem::new(StatusCode::REQUEST_TIMEOUT, "Request timeout", detail)
    };
    let bytes = timeout(BODY_PATIENCE, body).await.map_err(slow)?.map_err(|_| {
        let detail = format!("the body is broken or larger than {most} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Body not accepted", detail)
    })?;
    serde_json::from_slice(&bytes.to_bytes()).map_err(|error| {
        // It names the field. What it quotes is the asker's own.
        let detail: String = error.to_string().chars().take(300).collect();
        invalid(format!("the body is not what this takes: {detail}"))
    })
}

/// The request itself is wrong.
pub(super) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "Not understood", detail)
}

/// It does not go with what there is.
pub(super) fn conflict(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, "Not possible now", detail)
}

/// There is nothing of that id, for this asker at least.
pub(super) fn no_such(what: &'static str) -> Problem {
    let detail = format!("there is no such {what}, or it is not shared with you");
    Problem::new(StatusCode::NOT_FOUND, "Not found", detail)
}

/// A fault of ours.
pub(super) fn internal(what: &'static str) -> Problem {
    tracing::error!(what, "a request met a fault");
    let detail = "the server has a fault; its log says more";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Fault", detail)
}

/// What somebody who was not let in is told; `wrong` where what they brought is wrong.
pub(super) fn auth_problem(error: AuthError, wrong: &'static str) -> Problem {
    match error {
        AuthError::Wrong => Problem::new(StatusCode::UNAUTHORIZED, "Not signed in", wrong),
        AuthError::Limited { retry_after_s } => {
            let detail = format!("there were too many wrong ones; wait {retry_after_s} s");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "Too many tries", detail)
                .retry_after(retry_after_s)
        }
        AuthError::Password(PasswordError::Busy { retry_after_s }) => {
            let detail = "very many people are signing in at this moment; try again soon";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Busy", detail).retry_after(retry_after_s)
        }
        AuthError::Store(error) => error.into(),
        AuthError::Password(_) | AuthError::Token(_) => {
            tracing::error!(error = &error as &dyn Error, "a request met a fault");
            internal("auth")
        }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        auth_problem(error.into(), "")
    }
}

impl From<crate::auth::TokenError> for Problem {
    fn from(error: crate::auth::TokenError) -> Self {
        auth_problem(error.into(), "")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing(what) => no_such(what),
            StoreError::NameTaken => {
                conflict("somebody has that name; names are the same in capitals and small letters")
            }
            StoreError::LastAdmin => conflict(
                "nobody would be left to administer the server; make somebody else an \
                 administrator first",
            ),
            StoreError::Overtaken { newest } => conflict(format!(
                "somebody else applied version {newest} meanwhile; look at it, and apply yours to that"
            )),
            StoreError::TooMany { max } => {
                conflict(format!("there are {max} already, and no more may be; end one first"))
            }
            StoreError::Busy => {
                tracing::warn!("the database is locked by another process");
                let detail = "the database is locked at this moment; try again soon";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Busy", detail).retry_after(BUSY_S)
            }
            StoreError::Full => {
                tracing::error!("the disk is full: the database cannot be written");
                let detail = "the server's disk is full; its administrator must make room";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "Disk full", detail)
            }
            StoreError::Open { .. }
            | StoreError::Newer { .. }
            | StoreError::Foreign(_)
            | StoreError::Damaged(_)
            | StoreError::Query(_) => {
                tracing::error!(error = &error as &dyn Error, "a request met a fault");
                internal("store")
            }
        }
    }
}
