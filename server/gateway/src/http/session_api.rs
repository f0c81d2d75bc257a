//! `/api/v1`: swapping the token for a cookie, and what the session is.

use super::origin::{OriginCheck, Site};
use super::problem::Problem;
use super::{App, SESSION, refuse};
use crate::accept::Connection;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http_body_util::{BodyExt as _, Limited};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const MAX_BODY: usize = 4 << 10;
const BODY_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Swap {
    token: String,
}

#[derive(Serialize)]
struct SessionView {
    id: &'static str,
    name: String,
    state: &'static str,
    reason: String,
    viewers: usize,
    url: String,
}

/// `POST /api/v1/share`: the token for a cookie.
pub(super) async fn share(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    Extension(site): Extension<Site>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    if site.check_origin(&parts.headers) == OriginCheck::Foreign
        || Site::is_cross_site(&parts.headers)
    {
        let detail = format!("the token is taken from pages of {} only", site.origin);
        return Err(Problem::new(StatusCode::FORBIDDEN, "Origin not allowed", detail));
    }
    let Swap { token } = read(body).await?;
    let cookie = app.door.swap(&token, connection.peer.ip(), site.is_secure()).map_err(refuse)?;
    let headers = [(header::SET_COOKIE, cookie)];
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::NO_CONTENT, headers, no_store).into_response())
}

async fn read(body: Body) -> Result<Swap, Problem> {
    let bytes = timeout(BODY_PATIENCE, Limited::new(body, MAX_BODY).collect()).await;
    let slow = |_| {
        let detail = "the body did not arrive in 10 s; send it at once";
        Problem::new(StatusCode::REQUEST_TIMEOUT, "Request timeout", detail)
    };
    let bytes = bytes.map_err(slow)?.map_err(|_| {
        let detail = format!("the body is broken or larger than {MAX_BODY} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Body not accepted", detail)
    })?;
    serde_json::from_slice(&bytes.to_bytes()).map_err(|_| {
        let detail = "the body must be the JSON object {\"token\": \"…\"}";
        Problem::new(StatusCode::BAD_REQUEST, "Not understood", detail)
    })
}

/// `GET /api/v1/sessions/share`.
pub(super) async fn session(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    Extension(site): Extension<Site>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    app.door.check(&headers, connection.peer.ip()).map_err(refuse)?;
    let status = app.hub.status().borrow().clone();
    let view = SessionView {
        id: SESSION,
        state: status.state(),
        name: status.name,
        reason: status.reason,
        viewers: status.people.len(),
        url: site.address(&format!("/d/{SESSION}")),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(view)).into_response())
}
