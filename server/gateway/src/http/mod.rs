//! The addresses of the server, and what every answer carries.

pub mod api;
mod health;
pub mod origin;
pub mod problem;
pub mod serve;
mod session_api;
mod static_files;

use crate::accept::Connection;
use crate::auth::{Door, Refusal};
use crate::hub::Hub;
use crate::telemetry::Metrics;
use crate::ws;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use origin::{Site, Sites};
use problem::Problem;
use std::sync::Arc;
use tokio::sync::watch;

/// What the handlers share.
#[derive(Debug)]
pub struct App {
    /// The session.
    pub hub: Hub,
    /// Who may look.
    pub door: Door,
    /// The server's names.
    pub sites: Sites,
    /// What is measured.
    pub metrics: Metrics,
    /// The agent's process, where it is a child of this one.
    pub agent: watch::Receiver<Option<u32>>,
}

/// The id of the one session of `lattice share`.
pub const SESSION: &str = "share";

/// Sent with every answer. Scripts, styles and connections are this server's own; nothing may frame
/// a page; a string never becomes markup.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
         img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=(), \
         fullscreen=(self), clipboard-read=(self), clipboard-write=(self)",
    ),
];

/// All routes of `lattice share`.
pub fn router(app: Arc<App>) -> Router {
    let sites = app.sites.clone();
    let routes = Router::new()
        .route("/", get(to_session))
        .route("/d/{session}", any(viewer_page))
        .route("/ws/share", get(ws::share))
        .route("/api/v1/share", post(session_api::share))
        .route("/api/v1/sessions/share", get(session_api::session))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .with_state(app);
    finish(routes, sites)
}

/// Adds what all servers answer, and what every request goes through.
fn finish(routes: Router, sites: Sites) -> Router {
    routes
        .route("/static/{*path}", any(static_file))
        .route("/healthz", get(health::healthz))
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(sites, only_our_names))
        .layer(middleware::map_response(with_headers))
}

/// What a refusal of the door is answered with.
pub(crate) fn refuse(refusal: Refusal) -> Problem {
    let again = "open the address that lattice share printed";
    match refusal {
        Refusal::Missing => Problem::new(
            StatusCode::UNAUTHORIZED,
            "Not signed in",
            format!("no token and no cookie came with the request; {again}"),
        ),
        Refusal::Wrong => Problem::new(
            StatusCode::UNAUTHORIZED,
            "Wrong token",
            format!("the token or cookie is not of this run; {again}"),
        ),
        Refusal::TooMany { retry_after_s } => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many wrong tokens",
            format!("too many wrong tokens came from this address; wait {retry_after_s} s"),
        )
        .retry_after(retry_after_s),
    }
}

async fn only_our_names(State(sites): State<Sites>, mut request: Request, next: Next) -> Response {
    let Some(site) = sites.recognise(request.headers()) else {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host: String = host.unwrap_or("").chars().take(100).collect();
        let detail = format!(
            "this server does not answer to the name {host:?}; open the address that it printed, \
             or start it with --public-url to give it another"
        );
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "Unknown host name", detail)
            .into_response();
    };
    request.extensions_mut().insert::<Site>(site);
    next.run(request).await
}

async fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Relative, so that it leads there by whatever scheme and name the request came. Below a path of a
/// proxy's nothing works: pages and cookies are those of a whole origin.
async fn to_session() -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, "d/share")]).into_response()
}

async fn viewer_page(Path(session): Path<String>, method: Method, headers: HeaderMap) -> Response {
    if session != SESSION {
        return missing(&headers, &format!("/d/{session}"));
    }
    page("index.html", &method, &headers)
}

/// A page of `web/`, which a build has that was made with it.
fn page(name: &str, method: &Method, headers: &HeaderMap) -> Response {
    static_files::file(name, method, headers).unwrap_or_else(|| {
        let detail = format!("this build holds no page: web/{name} was missing when it was made");
        Problem::new(StatusCode::NOT_FOUND, "No page", detail).into_response()
    })
}

async fn static_file(Path(path): Path<String>, method: Method, headers: HeaderMap) -> Response {
    static_files::file(&path, &method, &headers)
        .unwrap_or_else(|| missing(&headers, &format!("/static/{path}")))
}

async fn not_found(request: Request) -> Response {
    missing(request.headers(), request.uri().path())
}

fn missing(headers: &HeaderMap, path: &str) -> Response {
    static_files::not_found_page(headers).unwrap_or_else(|| {
        let path: String = path.chars().take(200).collect();
        let detail = format!("there is nothing at {path}; begin at /");
        Problem::new(StatusCode::NOT_FOUND, "Not found", detail).into_response()
    })
}

async fn wrong_method(method: Method, request: Request) -> Problem {
    let detail = format!("{} does not take {method}", request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", detail)
}

/// Whether a request comes from this very machine and not through a proxy on it.
fn is_local(connection: &Connection, site: &Site, headers: &HeaderMap) -> bool {
    let forwarded = ["forwarded", "x-forwarded-for"].iter().any(|name| headers.contains_key(*name));
    let local_name = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
    connection.peer.ip().to_canonical().is_loopback()
        && !forwarded
        && local_name.iter().any(|name| site.origin.starts_with(name))
}
