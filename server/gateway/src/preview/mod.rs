//! Previews: the pages of programs that run on a desktop, each port on an origin of its own
//! (`<port>--<session>.<domain>`).
//!
//! ```text
//! browser ──▶ https://5173--<session>.<domain>/ ──no seat──▶ <server>/preview/<session>/5173
//!                                                               │ its script asks the API, as its person
//!             …/.lattice/enter/<ticket> ◀──── a ticket, once ───┘
//!                 │ a cookie of that origin alone
//!                 ▼
//!             the program, by a Unix socket that leads to this one port of its app (`forward`)
//! ```
//!
//! Where there is no domain for them, each has a port of the server's host (`ports`). Browsers share cookies
//! between ports, so there a program's cookies have names that tell them apart, and it gets its own only.
//!
//! INVARIANT: what a program answers is never of the server's own origin, and no secret of the server's
//! reaches a program: cookies of ours are taken out on the way (`headers`).
//! INVARIANT: what is connected to is a socket in the directory of that very session. Nothing that comes
//! with a request names an address.

mod forward;
mod headers;
mod name;
mod pages;
mod ports;
mod seats;
#[cfg(test)]
mod tests;

pub use name::Name;
pub use ports::{MOST as MOST_PORTS, NoPort, parse as parse_ports};

use crate::accept::Connection;
use crate::auth::Token;
use crate::http::api::{Api, Right, Target};
use crate::http::forwarded::Proxies;
use crate::http::origin::{Site, Sites, host_header};
use crate::runtime::Runtime;
use crate::store::TokenHash;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use name::path_within;
use pages::Page;
use ports::Ports;
use seats::{SEAT_LIFE, Seat, Seats};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What of a preview's paths is the server's own.
const OWN_PATHS: &str = "/.lattice/";

/// Who may look at what; the API offers tickets, previews take them.
#[derive(Debug, Clone)]
pub struct Book(Arc<Pages>);

#[derive(Debug)]
struct Pages {
    /// Below which all names lead here; nothing where there is none.
    domain: Option<String>,
    /// For where there is none.
    ports: Mutex<Ports>,
    seats: Mutex<Seats>,
}

impl Book {
    /// For names below this domain.
    pub fn new(domain: Option<String>) -> Self {
        let domain = domain.map(|domain| domain.to_ascii_lowercase());
        Self(Arc::new(Pages { domain, ports: Mutex::default(), seats: Mutex::default() }))
    }

    /// On these ports of the server's host, where it listens.
    pub fn on_ports(ports: Vec<u16>) -> Self {
        let ports = Mutex::new(Ports::new(ports));
        Self(Arc::new(Pages { domain: None, ports, seats: Mutex::default() }))
    }

    /// Whether there are names or ports for previews.
    pub fn is_possible(&self) -> bool {
        self.0.domain.is_some() || !self.ports().is_empty()
    }

    /// A preview's origin, for whoever reaches the server as `site`; by ports, only once it was entered.
    pub fn origin(&self, name: &Name, site: &Site) -> Option<String> {
        match &self.0.domain {
            Some(domain) => Some(name.origin(domain, site)),
            None => self.ports().of(name).map(|port| on_port(site, port)),
        }
    }

    /// The same for who is about to enter; `owner` is whose desktop it is, by user id.
    ///
    /// # Errors
    /// Where there is no port for it.
    pub fn lease(&self, name: &Name, owner: i64, site: &Site) -> Result<String, NoPort> {
        match &self.0.domain {
            Some(domain) => Ok(name.origin(domain, site)),
            None => self.ports().take(name, owner, Instant::now()).map(|port| on_port(site, port)),
        }
    }

    /// Has a ticket lead to a preview once.
    pub fn offer(&self, ticket: &Token, name: Name, right: Right) {
        let now = Instant::now();
        let hash = TokenHash::of(ticket.expose());
        self.seats().offer(hash, Seat::new(name, right, now), now);
    }

    fn ports(&self) -> MutexGuard<'_, Ports> {
        self.0.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.0.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What answers for all previews.
#[derive(Debug, Clone)]
pub struct Previews {
    /// People, and what they have.
    pub api: Api,
    /// What runs the programs.
    pub runtime: Arc<Runtime>,
    /// Where the server's own pages are.
    pub home: String,
    /// As what the server is reached.
    pub sites: Sites,
    /// Who may say for whom he asks.
    pub proxies: Proxies,
}

/// Answers requests for names of previews, and passes on all others.
pub async fn answer_previews(
    State(previews): State<Arc<Previews>>,
    request: Request,
    next: Next,
) -> Response {
    match previews.asked(&request) {
        Some(asked) => previews.answer(asked, request).await,
        None => next.run(request).await,
    }
}

/// Answers requests that came by one of the ports for previews: with what it is leased to, or not at all.
pub async fn answer_on_port(
    State((previews, port)): State<(Arc<Previews>, u16)>,
    request: Request,
) -> Response {
    match previews.asked_on(port, &request) {
        Some(asked) => previews.answer(asked, request).await,
        None => (StatusCode::NOT_FOUND, "no preview is here\n").into_response(),
    }
}

/// What a request is about.
struct Asked {
    name: Name,
    /// Where it has a port of its own: which.
    port: Option<u16>,
    /// Where the server's own pages are, as whoever asks reaches it.
    home: String,
    /// The preview's, as the browser writes it.
    origin: String,
    connection: Connection,
}

impl Previews {
    fn asked(&self, request: &Request) -> Option<Asked> {
        let domain = self.api.previews().0.domain.as_deref()?;
        let connection = request.extensions().get::<Connection>()?.clone();
        let forwarded = self.proxies.resolve(connection.peer.ip(), request.headers());
        let host = forwarded.host.as_deref().or_else(|| host_header(request.headers()))?;
        let name = Name::parse(host, domain)?;
        let scheme = forwarded.scheme.unwrap_or(self.sites.scheme());
        Some(Asked {
            name,
            port: None,
            home: self.home.clone(),
            origin: format!("{scheme}://{}", host.to_ascii_lowercase()),
            connection,
        })
    }

    /// `Host` must name that port of a host that is ours: any other has a page of somebody else's, who has
    /// had a name of theirs lead here.
    fn asked_on(&self, port: u16, request: &Request) -> Option<Asked> {
        let connection = request.extensions().get::<Connection>()?.clone();
        let forwarded = self.proxies.resolve(connection.peer.ip(), request.headers());
        let host = forwarded.host.as_deref().or_else(|| host_header(request.headers()))?;
        let (name, named) = ports::split(host)?;
        let own = [format!("{name}:{}", self.sites.port()), name.to_owned()];
        let site = own.iter().find_map(|own| self.sites.recognise_host(own, forwarded.scheme))?;
        (named == port).then_some(())?;
        let leased = self.api.previews().ports().whose(port)?;
        Some(Asked {
            name: leased,
            port: Some(port),
            home: site.address(""),
            origin: on_port(&site, port),
            connection,
        })
    }

    async fn answer(&self, asked: Asked, request: Request) -> Response {
        let (path, headers) = (request.uri().path(), request.headers());
        let (own, now) = (self.own(&asked, headers), Instant::now());
        if let Some(ticket) =
            path.strip_prefix(OWN_PATHS).and_then(|own| own.strip_prefix("enter/"))
        {
            return self.enter(&asked, &request, ticket);
        }
        let seat = own.and_then(|own| self.api.previews().seats().find(&own, &asked.name, now));
        let seat = match (seat, own) {
            (Some(seat), Some(own)) if seat.is_due(now) => self.look_again(seat, &own, now).await,
            (seat, _) => seat,
        };
        if path == format!("{OWN_PATHS}ready") {
            return match seat {
                Some(_) => lead(path_within(query(&request, "to").as_deref())),
                None => Page::NoCookie.response(),
            };
        }
        let Some(seat) = seat else { return self.ask_who(&asked, &request) };
        if let Some(port) = asked.port {
            self.api.previews().ports().touch(port, now);
            // It would outlive the lease, and answer for whatever has the port then.
            if headers.contains_key("service-worker") {
                return refuse("previews on ports have no service workers");
            }
        }
        if !is_of_its_own(headers, request.method(), &asked.origin) {
            return refuse("another site may not ask this; open the preview itself");
        }
        let name = &asked.name;
        let app = match self.api.preview_target(&name.session, name.port).await {
            Target::Open(app) => app,
            Target::Closed { title } => return Page::Closed { title }.response(),
            Target::Asleep => {
                return Page::Asleep { desktop: format!("{}/d/{}", asked.home, name.session) }
                    .response();
            }
            Target::Undeclared => return Page::Undeclared { port: name.port }.response(),
        };
        let Some(socket) = self.runtime.port_socket(&name.session, &app, name.port) else {
            return Page::Undeclared { port: name.port }.response();
        };
        let Ok(turn) = seat.turns.clone().try_acquire_owned() else {
            return (StatusCode::TOO_MANY_REQUESTS, "too much is under way in this preview\n")
                .into_response();
        };
        let lost = self.api.clone().until_lost(seat.right);
        let mut guard = asked.connection.guard;
        let ending = Box::pin(async move {
            tokio::select! {
                () = lost => {}
                _ = guard.closing() => {}
            }
        });
        let own = asked.port;
        let way = forward::Way { socket, port: name.port, origin: asked.origin, own, turn };
        forward::forward(way, request, ending).await
    }

    /// Swaps a ticket for a cookie. The ticket is used up and leaves the address bar.
    fn enter(&self, asked: &Asked, request: &Request, ticket: &str) -> Response {
        let now = Instant::now();
        let Ok(own) = Token::fresh() else { return Page::NoCookie.response() };
        let is_good = request.method() == Method::GET
            && Token::parse(ticket).is_some_and(|ticket| {
                let (ticket, own) = (TokenHash::of(ticket.expose()), TokenHash::of(own.expose()));
                self.api.previews().seats().take(&ticket, &asked.name, own, now)
            });
        if !is_good {
            return self.ask_who(asked, request);
        }
        let to = path_within(query(request, "to").as_deref()).to_owned();
        let mut response = lead(&format!("{OWN_PATHS}ready?to={}", encoded(&to)));
        let secure = if asked.origin.starts_with("https:") { "; Secure" } else { "" };
        let cookie = format!(
            "{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
            self.cookie(asked),
            own.expose(),
            SEAT_LIFE.as_secs()
        );
        if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
            cookie.set_sensitive(true);
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        if asked.port.is_some() {
            // Of who had the port before. Cookies are not only its own.
            let name = HeaderName::from_static("clear-site-data");
            let value = HeaderValue::from_static("\"cache\", \"storage\"");
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// A person is led through the server's own page; a program is told.
    fn ask_who(&self, asked: &Asked, request: &Request) -> Response {
        let is_page = matches!(*request.method(), Method::GET | Method::HEAD)
            && !request.headers().contains_key(header::UPGRADE)
            && match request.headers().get("sec-fetch-mode") {
                Some(mode) => mode == "navigate",
                None => request
                    .headers()
                    .get(header::ACCEPT)
                    .and_then(|accept| accept.to_str().ok())
                    .is_some_and(|accept| accept.contains("text/html")),
            };
        if !is_page {
            let told = "not signed in to this preview; open it in a browser\n";
            return (StatusCode::UNAUTHORIZED, told).into_response();
        }
        let Name { session, port } = &asked.name;
        let uri = request.uri();
        let path = match uri.path().starts_with(OWN_PATHS) {
            true => "/",
            false => uri.path_and_query().map_or("/", |path| path.as_str()),
        };
        lead(&format!("{}/preview/{session}/{port}?to={}", asked.home, encoded(path)))
    }

    async fn look_again(&self, seat: Seat, own: &TokenHash, now: Instant) -> Option<Seat> {
        match self.api.right_stands(&seat.right).await {
            Ok(true) => self.api.previews().seats().looked(own, now),
            Ok(false) => {
                self.api.previews().seats().end(own);
                return None;
            }
            // The store is busy: it is looked at again with the next request.
            Err(_) => {}
        }
        Some(seat)
    }

    fn own(&self, asked: &Asked, headers: &HeaderMap) -> Option<TokenHash> {
        let token = Token::parse(crate::auth::cookie(headers, &self.cookie(asked))?)?;
        Some(TokenHash::of(token.expose()))
    }

    /// The port is in it, because a browser sends a cookie to every port of a host.
    fn cookie(&self, asked: &Asked) -> String {
        format!("lattice-preview-{}", asked.port.unwrap_or(self.sites.port()))
    }
}

/// The origin of a port of the server's host.
fn on_port(site: &Site, port: u16) -> String {
    let (scheme, authority) = site.origin.split_once("://").unwrap_or(("http", ""));
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    };
    format!("{scheme}://{host}:{port}")
}

/// Whether a request comes from the preview's own pages, or opens one of them.
fn is_of_its_own(headers: &HeaderMap, method: &Method, origin: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let opens = matches!(*method, Method::GET | Method::HEAD)
        && text("sec-fetch-mode") == Some("navigate")
        && text("sec-fetch-dest") == Some("document");
    let is_same = !Site::is_cross_site(headers);
    let from_itself = headers.get_all(header::ORIGIN).iter().all(|value| value == origin);
    // Sockets are under no policy of browsers but this.
    let names_itself = !headers.contains_key(header::UPGRADE) || text("origin") == Some(origin);
    (is_same || opens) && from_itself && names_itself
}

fn query(request: &Request, name: &str) -> Option<String> {
    let pairs = request.uri().query()?.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(key, _)| *key == name)?.1;
    percent_encoding::percent_decode_str(value).decode_utf8().ok().map(|text| text.into_owned())
}

fn encoded(path: &str) -> String {
    percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn lead(to: &str) -> Response {
    let headers = [
        (header::LOCATION, to.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn refuse(why: &'static str) -> Response {
    (StatusCode::FORBIDDEN, [(header::CACHE_CONTROL, "no-store")], why).into_response()
}
