//! What plain HTTP gets where TLS is spoken: the way to the same page by `https`, and for an ACME
//! server the proof that a name is ours. Nothing else is served without TLS.

use super::origin::{Sites, host_header};
use crate::tls::shown::Challenges;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use std::sync::Arc;

#[derive(Debug)]
struct Plain {
    sites: Sites,
    challenges: Arc<Challenges>,
}

/// Answers for a server that is at home at `sites` and orders certificates by `challenges`.
pub fn router(sites: Sites, challenges: Arc<Challenges>) -> Router {
    Router::new()
        .route("/.well-known/acme-challenge/{token}", get(challenge))
        .fallback(lead)
        .with_state(Arc::new(Plain { sites, challenges }))
}

async fn challenge(State(plain): State<Arc<Plain>>, Path(token): Path<String>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    match plain.challenges.for_token(&token) {
        Some(answer) => (kind, answer).into_response(),
        None => (StatusCode::NOT_FOUND, kind, "no certificate is being ordered by this token\n")
            .into_response(),
    }
}

/// By a redirect that is not remembered, since TLS may be switched off again.
async fn lead(State(plain): State<Arc<Plain>>, request: Request) -> Response {
    let closing = [
        (header::CONNECTION, "close"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let site = host_header(request.headers()).and_then(|host| plain.sites.secure_site(host));
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let Some(site) = site else {
        let text = "This server speaks https, and not under the name that was asked for; open the \
                    https:// address that it printed when it started.\n";
        return (StatusCode::BAD_REQUEST, closing, text).into_response();
    };
    let address = site.address(path);
    let text = format!("This server speaks https: open {address}\n");
    match *request.method() {
        Method::GET | Method::HEAD => {
            let to = [(header::LOCATION, address)];
            (StatusCode::TEMPORARY_REDIRECT, closing, to, text).into_response()
        }
        // What was sent is sent already; to have it sent again would hide that it went unencrypted.
        _ => (StatusCode::BAD_REQUEST, closing, text).into_response(),
    }
}
