//! The addresses of the server, and what every answer carries.

pub mod api;
mod authority;
pub mod forwarded;
mod health;
pub mod origin;
pub mod plain;
pub mod problem;
pub mod serve;
mod session_api;
mod static_files;

use crate::accept::Connection;
use crate::auth::{Door, Refusal};
use crate::hub::Hub;
use crate::telemetry::Metrics;
use crate::tls::authority::Root;
use crate::ws;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use forwarded::Proxies;
use origin::{Site, Sites, host_header};
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
    /// As what it is reached.
    pub names: Names,
    /// What is measured.
    pub metrics: Metrics,
    /// The agent's process, where it is a child of this one.
    pub agent: watch::Receiver<Option<u32>>,
}

/// As what a server is reached.
#[derive(Debug, Clone)]
pub struct Names {
    /// Its names.
    pub sites: Sites,
    /// Who may say for whom he asks.
    pub proxies: Proxies,
    /// What devices may be told to trust, where the server has an authority of its own.
    pub authority: Option<Arc<Root>>,
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
    let names = app.names.clone();
    let routes = Router::new()
        .route("/", get(to_session))
        .route("/d/{session}", any(viewer_page))
        .route("/ws/share", get(ws::share))
        .route("/api/v1/share", post(session_api::share))
        .route("/api/v1/sessions/share", get(session_api::session))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .with_state(app);
    finish(routes, names)
}

/// Adds what all servers answer, and what every request goes through.
fn finish(routes: Router, names: Names) -> Router {
    let authority = Router::new()
        .route("/ca", get(authority::page))
        .route("/ca.crt", get(authority::pem))
        .route("/ca.der", get(authority::der))
        .route("/ca/qr.svg", get(authority::code))
        .with_state(names.clone());
    routes
        .merge(authority)
        .route("/static/{*path}", any(static_file))
        .route("/healthz", get(health::healthz))
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(names, only_our_names))
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

/// Finds out as whom the server is asked, and by whom, and answers to its own names only.
async fn only_our_names(State(names): State<Names>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Connection>().map(|connection| connection.peer.ip());
    let forwarded = peer.map(|peer| names.proxies.resolve(peer, request.headers()));
    let (host, scheme) = match &forwarded {
        Some(forwarded) => (forwarded.host.as_deref(), forwarded.scheme),
        None => (None, None),
    };
    let host = host.or_else(|| host_header(request.headers()));
    let Some(site) = host.and_then(|host| names.sites.recognise_host(host, scheme)) else {
        let host: String = host.unwrap_or("").chars().take(100).collect();
        let detail = format!(
            "this server does not answer to the name {host:?}; open the address that it printed, \
             or start it with --public-url to give it another"
        );
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "Unknown host name", detail)
            .into_response();
    };
    request.extensions_mut().insert::<Site>(site);
    let connection = request.extensions_mut().get_mut::<Connection>();
    if let (Some(connection), Some(forwarded)) = (connection, forwarded) {
        connection.peer.set_ip(forwarded.client);
    }
    next.run(request).await
}

/// By this a page that was opened before learns that the server has other pages by now.
const RELEASE: HeaderName = HeaderName::from_static("lattice-release");

async fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        // What says itself what it may do has less to say than a page.
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response.headers_mut().insert(RELEASE, HeaderValue::from_static(static_files::RELEASE));
    response
}

/// Relative, so that it leads there by whatever scheme and name the request came, and below whatever
/// path a proxy took off.
async fn to_session() -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, "d/share")]).into_response()
}

async fn viewer_page(
    Path(session): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if session != SESSION {
        return missing(&headers, uri.path());
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

async fn static_file(
    Path(path): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    static_files::file(&path, &method, &headers).unwrap_or_else(|| missing(&headers, uri.path()))
}

async fn not_found(request: Request) -> Response {
    missing(request.headers(), request.uri().path())
}

fn missing(headers: &HeaderMap, path: &str) -> Response {
    static_files::not_found_page(headers, path).unwrap_or_else(|| {
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
    let by_proxy = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    let forwarded = by_proxy.iter().any(|name| headers.contains_key(*name));
    let authority = site.origin.split_once("://").map_or("", |(_, authority)| authority);
    let local_name = ["127.0.0.1:", "localhost:", "[::1]:"];
    connection.peer.ip().to_canonical().is_loopback()
        && !forwarded
        && local_name.iter().any(|name| authority.starts_with(name))
}
