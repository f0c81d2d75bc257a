//! The way from an HTTP request to a viewer: who may, then the upgrade, then [`viewer`].

pub mod viewer;

use crate::accept::Connection;
use crate::auth::Credential;
use crate::http::origin::{OriginCheck, Site};
use crate::http::problem::Problem;
use crate::http::{App, refuse};
use crate::hub::{Hub, Visitor};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hyper_util::rt::TokioIo;
use lattice_wire::{MAX_CLIENT_PACKET, SUBPROTOCOL};
use std::sync::Arc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{self, WebSocketConfig};
use viewer::{PIECE, Socket};

/// `GET /ws/share`.
pub async fn share(
    State(app): State<Arc<App>>,
    Extension(connection): Extension<Connection>,
    Extension(site): Extension<Site>,
    request: Request,
) -> Result<Response, Problem> {
    authorize(&app, &connection, &site, request.headers())?;
    upgrade(request, connection, app.hub.clone(), Visitor::owner(), std::future::pending())
}

/// Answers the upgrade of a visitor who may look, and serves them once it is done, until `revoked`.
pub fn upgrade(
    request: Request,
    connection: Connection,
    hub: Hub,
    visitor: Visitor,
    revoked: impl Future<Output = ()> + Send + 'static,
) -> Result<Response, Problem> {
    accept(request, |socket| async move {
        let Connection { path, guard, .. } = connection;
        viewer::serve(socket, &hub, visitor, &path, guard, revoked).await;
    })
}

/// Answers the upgrade of somebody who may look where there is nothing to see, and tells them so:
/// a browser does not show its page the answer to an upgrade that was refused.
pub fn turn_away(
    request: Request,
    connection: Connection,
    code: u16,
    reason: String,
) -> Result<Response, Problem> {
    accept(request, move |mut socket| async move {
        viewer::dismiss(&mut socket, code, &reason).await;
        drop(connection);
    })
}

fn accept<F>(
    mut request: Request,
    serve: impl FnOnce(Upgraded) -> F + Send + 'static,
) -> Result<Response, Problem>
where
    F: Future<Output = ()> + Send,
{
    let accept = handshake(request.headers())?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                let (io, role) = (TokioIo::new(upgraded), protocol::Role::Server);
                let socket = WebSocketStream::from_raw_socket(io, role, Some(limits())).await;
                serve(socket).await;
            }
            Err(error) => tracing::debug!(%error, "a connection ended before its upgrade"),
        }
    });
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, Body::empty()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

fn authorize(
    app: &App,
    connection: &Connection,
    site: &Site,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let credential = app.door.check(headers, connection.peer.ip()).map_err(refuse)?;
    match (site.check_origin(headers), credential) {
        (OriginCheck::Same, _) | (OriginCheck::Missing, Credential::Bearer) => Ok(()),
        (OriginCheck::Missing, Credential::Cookie) => Err(forbidden(
            "a request with a cookie must say by Origin which page it comes from; programs that \
             are no browser send the token as Authorization: Bearer"
                .into(),
        )),
        (OriginCheck::Foreign, _) => Err(forbidden(format!(
            "only pages of {} may connect; where another address leads here, name it with \
             --public-url",
            site.origin
        ))),
    }
}

fn forbidden(detail: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "Origin not allowed", detail)
}

/// Checks an upgrade as RFC 6455 §4.2.1 asks and returns its `Sec-WebSocket-Accept`.
fn handshake(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "Bad upgrade", detail);
    let lists_token =
        |name, token: &str| items(headers, name).any(|found| found.eq_ignore_ascii_case(token));
    if !lists_token(header::UPGRADE, "websocket") || !lists_token(header::CONNECTION, "upgrade") {
        return Err(Problem::new(
            StatusCode::UPGRADE_REQUIRED,
            "Upgrade required",
            "this address speaks WebSocket; ask with Connection: upgrade and Upgrade: websocket",
        ));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(bad("Sec-WebSocket-Version must be 13"));
    }
    // Names of subprotocols are told apart by case (RFC 6455 §11.5), tokens of HTTP are not.
    if !items(headers, header::SEC_WEBSOCKET_PROTOCOL).any(|found| found == SUBPROTOCOL) {
        return Err(bad(&format!("the viewer must offer the subprotocol {SUBPROTOCOL}")));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or_else(|| bad("Sec-WebSocket-Key must be 16 bytes in base64"))?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|_| bad("Sec-WebSocket-Key cannot be answered"))
}

/// The items of a comma-separated header.
fn items(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(MAX_CLIENT_PACKET)
        .max_message_size(Some(MAX_CLIENT_PACKET))
        .max_frame_size(Some(MAX_CLIENT_PACKET))
        // Pieces are written one by one, each as soon as it is there; besides one, pongs may wait.
        .write_buffer_size(0)
        .max_write_buffer_size(4 * PIECE)
}

/// A viewer's socket over the connection that hyper has handed over.
pub type Upgraded = Socket<TokioIo<hyper::upgrade::Upgraded>>;
