//! The addresses of `lattice serve`: pages, the API, and the sockets of viewers.

use super::api::{Admission, Api};
use super::origin::Site;
use super::problem::Problem;
use super::{Names, api, finish, is_local, page};
use crate::accept::Connection;
use crate::hub::Visitor;
use crate::manager::Manager;
use crate::preview::{Previews, answer_previews};
use crate::telemetry::Metrics;
use crate::ws;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use axum::{Extension, Json, Router};
use lattice_engine::policy::{Action, SessionRole};
use lattice_wire::{Role, close};
use serde_json::json;
use std::sync::Arc;

/// Within which time those come back for whose desktop there is no hub yet.
const COME_BACK_MS: u32 = 2000;

/// What the handlers share.
#[derive(Debug)]
pub struct App {
    /// People, and what they have.
    pub api: Api,
    /// What runs.
    pub manager: Manager,
    /// What is measured.
    pub metrics: Metrics,
    /// The pages of programs.
    pub previews: Previews,
}

/// All routes of `lattice serve`, under these names.
pub fn router(app: App, names: Names) -> Router {
    let api = api::router(app.api.clone());
    let previews = from_fn_with_state(Arc::new(app.previews.clone()), answer_previews);
    let routes = Router::new()
        .route("/", any(home))
        .route("/enter", any(enter))
        .route("/s/{token}", any(redeem))
        .route("/s/", any(redeem))
        .route("/d/{session}", any(viewer))
        .route("/preview/{session}/{port}", any(preview))
        .route("/ws/{session}", get(socket))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(app))
        .merge(api);
    // Before everything else: they are other origins, and none of our headers is theirs.
    finish(routes, names).layer(previews)
}

// Pages hold nothing about anybody: what they show they ask the API for. So a GET by whatever looks
// at links in messages uses nothing up.

async fn home(method: Method, headers: HeaderMap) -> Response {
    page("home.html", &method, &headers)
}

async fn enter(method: Method, headers: HeaderMap) -> Response {
    page("enter.html", &method, &headers)
}

async fn redeem(method: Method, headers: HeaderMap) -> Response {
    page("redeem.html", &method, &headers)
}

async fn preview(method: Method, headers: HeaderMap) -> Response {
    page("preview.html", &method, &headers)
}

async fn viewer(method: Method, headers: HeaderMap) -> Response {
    page("index.html", &method, &headers)
}

/// `GET /ws/<session>`.
async fn socket(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    Extension(site): Extension<Site>,
    Path(session): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let peer = connection.peer.ip();
    let admission = app.api.authorize_socket(request.headers(), &session, &site, peer).await?;
    if !admission.is_wanted {
        let reason = "the desktop is stopped".to_owned();
        return ws::turn_away(request, connection, close::ENDED, reason);
    }
    let Some(hub) = app.manager.hub_soon(&admission.session).await else {
        // A server that has just started on a busy machine has not looked at its desktops yet. Nothing
        // has ended, and who were told so would not come back.
        let reason = close::restart_reason(COME_BACK_MS);
        return ws::turn_away(request, connection, close::RESTART, reason);
    };
    let visitor = visitor(&admission);
    let revoked = app.api.clone().until_worthless(admission);
    ws::upgrade(request, connection, hub, visitor, revoked)
}

/// What the policy lets them do is what the hub lets them do.
fn visitor(admission: &Admission) -> Visitor {
    let role = match admission.role {
        SessionRole::Owner | SessionRole::Admin => Role::Own,
        SessionRole::Shared(_) if admission.may(Action::Drive) => Role::Control,
        SessionRole::Shared(_) if admission.may(Action::Point) => Role::Assist,
        SessionRole::Shared(_) => Role::View,
    };
    Visitor { role, name: admission.name.clone(), right: admission.right }
}

/// Of use: what people want of their sessions is being looked after.
async fn readyz(State(app): State<Arc<App>>) -> Response {
    let trouble = app.manager.trouble();
    let code = match trouble {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = json!({ "ready": trouble.is_none(), "reason": trouble.unwrap_or_default() });
    (code, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// What it has done, for this machine or an administrator's program.
async fn metrics(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    Extension(site): Extension<Site>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !is_local(&connection, &site, &headers) {
        app.api.authorize_administrator(&headers, &site, connection.peer.ip()).await?;
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, app.metrics.render(None)).into_response())
}
