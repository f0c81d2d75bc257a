//! Previews as browsers meet them: over real sockets, before a program that tells what it was asked.

mod ports;

use super::*;
use crate::accept::{Drain, serve};
use crate::auth::{Auth, admin};
use crate::catalogues::install::Installer;
use crate::http::api::{Admission, Desktops, Inbox, Keeping, Live, Making};
use crate::http::origin::Scheme;
use crate::recipe::Recipes;
use crate::runtime::Fake;
use crate::snapshots::Snapshots;
use crate::store::{Actor, NewPreviewLink, NewSession, Store, Timestamp};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use lattice_engine::reconcile::State as Lives;
use lattice_engine::session::SessionId;
use lattice_wire::apps::{App, AppName, AppState, Said};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use tokio::time::timeout;

const ORIGIN: &str = "http://5173--abcdefghijklmnop.localhost:8080";
/// Of the server's, where a preview has one.
const PORT: u16 = 20100;
const PATIENCE: Duration = Duration::from_secs(10);

/// What the desktop is made of.
const VUE: &str = "name: vue\nservices: {code: {image: lattice/code}}\nx-lattice: {title: Vue, apps: \
                   {code: {title: VS Code}}, permissions: {code: {ports: [5173]}}}\n";

/// A server with one desktop, whose app `code` declares port 5173.
struct World {
    address: std::net::SocketAddr,
    api: Api,
    session: SessionId,
    owner: i64,
    live: watch::Sender<Arc<HashMap<SessionId, Live>>>,
    programs: PathBuf,
    _dir: tempfile::TempDir,
    _drain: Drain,
}

/// What was answered.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl World {
    async fn new() -> Self {
        Self::with(Book::new(Some("localhost".into()))).await
    }

    /// The server's port for previews, where it has one, is this world's only port.
    async fn with(book: Book) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("lattice.db")).await.expect("a fresh database");
        admin::bootstrap(&store, Timestamp::now()).await.expect("made");
        let (owner, _) = admin::open(&store, Timestamp::now()).await.expect("an administrator");
        let session: SessionId = "abcdefghijklmnop".parse().expect("an id");
        let new = NewSession { id: &session, owner, template: "vue", name: "Desktop" };
        store.create_session(&new, 8, Timestamp::now()).await.expect("made");
        let auth = Auth::new(store.clone(), 8080).await.expect("ready");
        let (desktops, Inbox { live, .. }) = Desktops::channel();
        let recipes = Recipes::new([("vue".into(), VUE.into())]);
        let making = Making { recipes, has_apps: true, owners_edit: false };
        let programs = dir.path().join("run");
        let runtime = Arc::new(Runtime::Fake(Fake::new(programs.clone())));
        let snapshots = Snapshots::new(runtime.clone());
        let library = crate::catalogues::Library {
            directory: dir.path().join("catalogues"),
            keys: Vec::new(),
            seen: dir.path().join("seen"),
        };
        let backups = crate::backup::Backups::off();
        let logs = crate::logs::Logs::new(runtime.clone());
        let installer = Installer::new(library, false, runtime.clone(), store.clone());
        let keeping = Keeping { snapshots, logs, backups, installer };
        let host = crate::host::Host::new(dir.path().to_owned(), None);
        let api = Api::new(store, auth, desktops, keeping, making, book, host);
        let previews = Previews {
            api: api.clone(),
            runtime,
            home: "http://127.0.0.1:8080".into(),
            sites: Sites::new(Scheme::Http, 8080, &[], &[]).expect("good names"),
            proxies: Proxies::default(),
        };
        let router = match api.previews().0.domain {
            Some(_) => Router::new()
                .fallback(any(|| async { "the server itself" }))
                .layer(from_fn_with_state(Arc::new(previews), answer_previews)),
            None => Router::new().fallback(answer_on_port).with_state((Arc::new(previews), PORT)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it");
        let drain = Drain::default();
        tokio::spawn(serve(listener, router, drain.guard(), 64));
        let programs = programs.join(session.as_str()).join("code");
        std::fs::create_dir_all(&programs).expect("a directory");
        let owner = owner.0;
        let world = Self { address, api, session, owner, live, programs, _dir: dir, _drain: drain };
        world.show(Lives::Running, AppState::Running);
        world
    }

    fn show(&self, state: Lives, app: AppState) {
        let app = App {
            name: AppName::parse("code").expect("a name"),
            title: Said::cut("VS Code"),
            icon: Said::cut("vscode"),
            state: app,
            reason: None,
        };
        let live = Live {
            state,
            reason: String::new(),
            viewers: 0,
            apps: vec![app],
            queue: None,
            can_pause: true,
            stored: None,
            usage: crate::runtime::Usage::default(),
            recipe: Recipes::new([("vue".into(), VUE.into())]).base("vue"),
            is_current: true,
        };
        self.live.send_modify(|all| drop(Arc::make_mut(all).insert(self.session.clone(), live)));
    }

    fn program(&self) {
        answer_whatever(&self.programs.join("5173.sock"));
    }

    /// A browser's cookie, by a ticket as the API gives its owner.
    async fn seat(&self) -> String {
        let entered = self.get(&format!("/.lattice/enter/{}", self.ticket(5173)), "").await;
        assert_eq!(entered.status, 303, "{}", entered.body);
        let cookie = entered.header("set-cookie").expect("a cookie");
        assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
        let pair = cookie.split(';').next().expect("a pair");
        format!("Cookie: {pair}\r\n")
    }

    fn ticket(&self, port: u16) -> String {
        let ticket = Token::fresh().expect("random bytes");
        let user = Some(crate::store::UserId(self.owner));
        let admission = Admission::of_owner(self.session.clone(), user);
        let name = Name { session: self.session.clone(), port };
        self.api.previews().offer(&ticket, name, Right::Person(Box::new(admission)));
        ticket.expose().to_owned()
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        let navigates = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
        self.ask("5173--abcdefghijklmnop.localhost:8080", path, &format!("{navigates}{headers}"))
            .await
    }

    async fn ask(&self, host: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        let read = timeout(PATIENCE, stream.read_to_string(&mut text)).await;
        read.expect("an answer").expect("text");
        answer(&text)
    }
}

fn answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Listens there as a program would, by way of its forwarder: answers each request with all of it, and an
/// upgrade by echoing what comes; `/endless` never to the end, and `/silent` not at all.
fn answer_whatever(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("it can listen");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read_exact(&mut byte).await.is_err() {
                        return;
                    }
                    asked.push(byte[0]);
                }
                let asked = String::from_utf8(asked).expect("text");
                if asked.starts_with("GET /silent ") {
                    return std::future::pending().await;
                }
                if asked.starts_with("GET /endless ") {
                    let told =
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
                    let _ = stream.write_all(told.as_bytes()).await;
                    return std::future::pending().await;
                }
                if asked.to_ascii_lowercase().contains("upgrade: websocket") {
                    let told = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                                Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";
                    let _ = stream.write_all(told.as_bytes()).await;
                    let (mut reader, mut writer) = stream.split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                    return;
                }
                let told = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nSet-Cookie: id=7\r\nSet-Cookie: all=1; \
                     Domain=localhost\r\nClear-Site-Data: \"*\"\r\n\r\n{asked}",
                    asked.len()
                );
                let _ = stream.write_all(told.as_bytes()).await;
            });
        }
    });
}

#[tokio::test]
async fn a_stranger_is_led_to_the_servers_own_page_and_a_program_is_refused() {
    let world = World::new().await;
    world.program();
    let page = world.get("/a?b=c", "").await;
    assert_eq!(page.status, 303);
    let to = "http://127.0.0.1:8080/preview/abcdefghijklmnop/5173?to=%2Fa%3Fb%3Dc";
    assert_eq!(page.header("location"), Some(to));
    let host = "5173--abcdefghijklmnop.localhost:8080";
    for headers in [
        "",
        "Accept: */*\r\n",
        "Cookie: lattice-preview-8080=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n",
        "Upgrade: websocket\r\nAccept: text/html\r\n",
    ] {
        assert_eq!(world.ask(host, "/", headers).await.status, 401, "{headers}");
    }
    // Whatever is no name of a preview is the server's own to answer.
    for host in [
        "127.0.0.1:8080",
        "evil.example",
        "5173--abcdefghijklmnop.localhost.evil.example",
        "x5173--abcdefghijklmnop.localhost",
    ] {
        assert_eq!(world.ask(host, "/", "").await.body, "the server itself", "{host}");
    }
}

#[tokio::test]
async fn a_ticket_becomes_a_cookie_once_and_the_program_never_sees_it() {
    let world = World::new().await;
    world.program();
    let ticket = world.ticket(5173);
    let path = format!("/.lattice/enter/{ticket}?to=%2Fpage%3Fx");
    let entered = world.get(&path, "").await;
    assert_eq!(entered.header("location"), Some("/.lattice/ready?to=%2Fpage%3Fx"));
    let again = world.get(&path, "").await;
    assert!(again.header("set-cookie").is_none(), "a ticket is good once");
    assert!(again.header("location").expect("led").starts_with("http://127.0.0.1:8080/preview/"));
    let cookie = world.seat().await;
    let ready = world.get("/.lattice/ready?to=%2Fpage%3Fx", &cookie).await;
    assert_eq!(ready.header("location"), Some("/page?x"));
    let away = world.get("/.lattice/ready?to=%2F%2Fevil.example", &cookie).await;
    assert_eq!(away.header("location"), Some("/"));
    assert_eq!(world.get("/.lattice/ready?to=%2F", "").await.status, 403, "no cookie is kept");

    let more = cookie.replace("Cookie: ", "Cookie: theme=dark; ");
    let shown = world.get("/page?x", &more).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert!(shown.body.starts_with("GET /page?x HTTP/1.1\r\n"), "{}", shown.body);
    let asked = shown.body.to_ascii_lowercase();
    assert!(
        asked.contains("host: localhost:5173") && asked.contains("cookie: theme=dark\r\n"),
        "{asked}"
    );
    assert!(!asked.contains("lattice-preview"), "{asked}");
    assert_eq!(shown.header("set-cookie"), Some("id=7"));
    assert!(
        !shown.head.contains("all=1") && !shown.head.contains("lear-Site-Data"),
        "{}",
        shown.head
    );
    assert!(
        shown.header("content-security-policy").is_none(),
        "the program's pages have their own"
    );
}

#[tokio::test]
async fn a_seat_is_for_its_own_port_and_ends_with_the_right() {
    let world = World::new().await;
    world.program();
    let cookie = world.seat().await;
    let other = "8000--abcdefghijklmnop.localhost:8080";
    assert_eq!(world.ask(other, "/", &cookie).await.status, 401);
    let asked = |headers: &str| {
        let headers = format!("{cookie}{headers}");
        let world = &world;
        async move { world.ask("5173--abcdefghijklmnop.localhost:8080", "/", &headers).await.status }
    };
    assert_eq!(asked("").await, 200);
    assert_eq!(asked("Sec-Fetch-Site: cross-site\r\n").await, 403);
    assert_eq!(asked("Origin: https://evil.example\r\n").await, 403);
    world
        .api
        .store()
        .delete_session(&world.session, Actor::System, Timestamp::now())
        .await
        .expect("deleted");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_ne!(asked("").await, 200);
}

#[tokio::test]
async fn where_nothing_can_be_shown_a_page_says_why() {
    let world = World::new().await;
    let cookie = world.seat().await;
    let silent = world.get("/", &cookie).await;
    assert_eq!(silent.status, 502);
    assert!(silent.body.contains("Nothing answers on port 5173 yet"), "{}", silent.body);
    assert!(silent.header("refresh").is_some());
    world.program();
    assert_eq!(world.get("/", &cookie).await.status, 200);
    world.show(Lives::Running, AppState::Closed);
    assert!(world.get("/", &cookie).await.body.contains("VS Code is closed"));
    world.show(Lives::Idle, AppState::Running);
    let asleep = world.get("/", &cookie).await;
    assert_eq!(asleep.status, 503);
    assert!(asleep.body.contains("http://127.0.0.1:8080/d/abcdefghijklmnop"), "{}", asleep.body);
}

#[tokio::test]
async fn a_socket_is_joined_for_its_own_pages_only() {
    let world = World::new().await;
    world.program();
    let cookie = world.seat().await;
    let open = |origin: &'static str| {
        let (cookie, address) = (cookie.clone(), world.address);
        async move {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            let request = format!(
                "GET /ws HTTP/1.1\r\nHost: 5173--abcdefghijklmnop.localhost:8080\r\n{cookie}{origin}\
                 Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.expect("sent");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let byte = timeout(PATIENCE, stream.read_u8()).await.expect("an answer");
                head.push(byte.expect("a byte"));
            }
            (answer(&String::from_utf8(head).expect("text")).status, stream)
        }
    };
    for foreign in [
        "",
        "Origin: https://evil.example\r\n",
        "Origin: http://127.0.0.1:8080\r\n",
        "Origin: null\r\n",
    ] {
        assert_eq!(open(foreign).await.0, 403, "{foreign}");
    }
    let (status, mut stream) =
        open("Origin: http://5173--abcdefghijklmnop.localhost:8080\r\n").await;
    assert_eq!(status, 101);
    stream.write_all(b"both ways").await.expect("sent");
    let mut heard = [0; 9];
    timeout(PATIENCE, stream.read_exact(&mut heard)).await.expect("in time").expect("heard");
    assert_eq!(&heard, b"both ways");
}

fn is_own(method: Method, lines: &[(&'static str, &str)]) -> bool {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::try_from(*value).expect("a value"));
    }
    is_of_its_own(&headers, &method, ORIGIN)
}

#[test]
fn other_sites_open_a_preview_and_do_nothing_else_with_it() {
    let navigate = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    assert!(is_own(Method::GET, &navigate));
    assert!(!is_own(Method::POST, &navigate), "a form of another site");
    assert!(!is_own(Method::GET, &[navigate[0], navigate[1], ("sec-fetch-dest", "iframe")]));
    for site in ["cross-site", "same-site"] {
        assert!(
            !is_own(Method::GET, &[("sec-fetch-site", site), ("sec-fetch-mode", "no-cors")]),
            "{site}"
        );
    }
    assert!(is_own(Method::POST, &[("sec-fetch-site", "same-origin"), ("origin", ORIGIN)]));
    assert!(!is_own(Method::POST, &[("origin", "http://8000--abcdefghijklmnop.localhost:8080")]));
    let socket = ("upgrade", "websocket");
    assert!(is_own(Method::GET, &[socket, ("origin", ORIGIN)]));
    assert!(!is_own(Method::GET, &[socket, ("origin", "null")]));
    assert!(!is_own(Method::GET, &[socket]), "a socket says where it is from");
}

#[tokio::test]
async fn who_comes_by_a_link_sees_one_port_until_it_is_revoked_and_then_nothing_hangs() {
    let world = World::new().await;
    world.program();
    let (now, store) = (Timestamp::now(), world.api.store());
    let new = NewPreviewLink {
        session: &world.session,
        port: 5173,
        token: TokenHash::of("a link"),
        expires_at: now.plus(3600),
        created_by: crate::store::UserId(world.owner),
    };
    let link = store.create_preview_link(&new, 10, now).await.expect("made").id;
    let ticket = Token::fresh().expect("random bytes");
    let name = Name { session: world.session.clone(), port: 5173 };
    world.api.previews().offer(&ticket, name, Right::Link(link));
    let entered = world.get(&format!("/.lattice/enter/{}", ticket.expose()), "").await;
    let cookie = entered.header("set-cookie").and_then(|cookie| cookie.split(';').next());
    let cookie = format!("Cookie: {}\r\n", cookie.expect("a cookie"));
    assert_eq!(world.get("/", &cookie).await.status, 200);
    // Neither another port, nor the server's own pages, nor another desktop.
    for host in [
        "8000--abcdefghijklmnop.localhost:8080",
        "5173--ponmlkjihgfedcba.localhost:8080",
        "22--abcdefghijklmnop.localhost:8080",
    ] {
        assert_eq!(world.ask(host, "/", &cookie).await.status, 401, "{host}");
    }
    assert_eq!(world.ask("localhost:8080", "/", &cookie).await.body, "the server itself");

    let endless = world.get("/endless", &cookie);
    let silent = world.get("/silent", &cookie);
    let revoked = async {
        // Both are under way by then, which the program's own answer shows for one of them.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let actor = Actor::System;
        store.revoke_preview_link(&world.session, link, actor, now).await.expect("revoked");
    };
    let (endless, silent, ()) = tokio::join!(endless, silent, revoked);
    assert_eq!((endless.status, endless.body.as_str()), (200, "5\r\nhello\r\n"), "it breaks off");
    assert_eq!(silent.status, 403, "{}", silent.body);
    let page = world.get("/", &cookie).await;
    assert_eq!(page.status, 303, "led to where one may ask who one is");
    assert_eq!(world.ask("5173--abcdefghijklmnop.localhost:8080", "/", &cookie).await.status, 401);
}
