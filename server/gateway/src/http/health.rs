//! For whoever watches over the process: is it alive, is it of use, what has it done.

use super::origin::Site;
use super::problem::Problem;
use super::{App, is_local, refuse};
use crate::accept::Connection;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde_json::json;
use std::sync::Arc;

/// Alive: it answers.
pub(super) async fn healthz() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "status": "ok" }))).into_response()
}

/// Of use: a viewer would see the desktop.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let status = app.hub.status().borrow().clone();
    let code = if status.is_live() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "ready": status.is_live(),
        "agent": status.linked,
        "state": status.state(),
        "reason": status.reason,
    });
    (code, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// What it has done, for this machine or whoever has the token.
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    Extension(site): Extension<Site>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !is_local(&connection, &site, &headers) {
        app.door.check(&headers, connection.peer.ip()).map_err(refuse)?;
    }
    let pid = *app.agent.borrow();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, app.metrics.render(pid)).into_response())
}
