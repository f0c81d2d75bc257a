//! The API as a browser or a program meets it: requests in, answers out, over a real store and a
//! manager that only notes what it is told.

mod apps;
mod backups;
mod builds;
mod catalogue;
mod events;
mod guard;
mod imports;
mod inside;
mod links;
mod logs;
mod machine;
mod matrix;
mod people;
mod previews;
mod sessions;
mod snapshots;
mod stock;
mod templates;

use super::*;
use crate::accept::{Connection, Drain};
use crate::auth::{Token, admin};
use crate::backup::Backups;
use crate::broker::protocol::Usage;
use crate::catalogues::tests::Scene as Shelves;
use crate::host::Host;
use crate::http::origin::Site;
use crate::logs::Logs;
use crate::preview::Book;
use crate::recipe::Recipes;
use crate::runtime::{Fake, Runtime};
use crate::session_api::AppError;
use crate::store::{Actor, NewSession, NewUser, NewVersion, Timestamp, TokenHash, User, UserRole};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use lattice_engine::reconcile::State;
use lattice_engine::session::SessionId;
use lattice_wire::ViewerId;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

const ORIGIN: &str = "http://localhost:8080";

/// A server with an administrator.
struct World {
    api: Api,
    router: Router,
    /// Where snapshots are kept.
    runtime: Fake,
    recipes: Recipes,
    live: watch::Sender<Arc<HashMap<SessionId, Live>>>,
    trouble: watch::Sender<bool>,
    told: Arc<Mutex<Vec<String>>>,
    drain: Drain,
    names: AtomicU32,
    /// What can be installed.
    shelf: Shelves,
    _dir: tempfile::TempDir,
}

/// What a request proves who it is from with.
#[derive(Debug, Clone, Default)]
struct Proof {
    cookie: Option<String>,
    bearer: Option<String>,
}

/// What desktops are made of.
const DESKTOP: &str = "\
name: desktop
services: { code: { image: lattice/code, mem_limit: 1g } }
x-lattice:
  title: Plain desktop
  summary: A window manager and a terminal
  readme: '# Begin'
  apps: { code: { title: VS Code, icon: vscode } }
  permissions: { code: { ports: [5173] } }
";

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap_or("").to_owned()
    }

    /// What a browser would keep of it.
    fn proof(&self) -> Proof {
        let set = self.headers.get_all(header::SET_COOKIE).iter();
        let pairs = set.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
        Proof { cookie: Some(pairs.collect::<Vec<_>>().join("; ")), bearer: None }
    }
}

/// What the administrator has said.
#[derive(Debug, Clone, Copy)]
struct House {
    /// People may install apps for themselves.
    people_install: bool,
    /// Owners may change what their desktops are made of.
    owners_edit: bool,
    /// There are apps.
    has_apps: bool,
}

impl House {
    const USUAL: Self = Self { people_install: true, owners_edit: false, has_apps: true };
}

impl World {
    async fn new() -> Self {
        Self::with(House::USUAL).await
    }

    async fn with(house: House) -> Self {
        let House { people_install, owners_edit, has_apps } = house;
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("lattice.db")).await.expect("a fresh database");
        admin::bootstrap(&store, Timestamp::now()).await.expect("made");
        let auth = Auth::new(store.clone(), 8080).await.expect("ready");
        let (desktops, inbox) = Desktops::channel();
        let told = Arc::default();
        tokio::spawn(manager(inbox.orders, Arc::clone(&told)));
        let recipes = Recipes::new([("desktop".into(), DESKTOP.into())]);
        let making = Making { recipes: recipes.clone(), has_apps, owners_edit };
        let runtime = Fake::new(dir.path().to_owned());
        let shared = Arc::new(Runtime::Fake(runtime.clone()));
        let (snapshots, logs) = (Snapshots::new(shared.clone()), Logs::new(shared));
        let book = Book::new(Some("localhost".into()));
        let backups = Backups::nowhere(dir.path(), &snapshots);
        let host = Host::new(dir.path().to_owned(), None);
        let shelf = Shelves::new();
        shelf.put(1, "1.0");
        let anything = Arc::new(Runtime::Fake(runtime.clone()));
        let library = shelf.library.clone();
        let installer = Installer::new(library, people_install, anything, store.clone());
        let keeping = Keeping { snapshots, logs, backups, installer };
        let api = Api::new(store, auth, desktops, keeping, making, book, host);
        Self {
            router: router(api.clone()),
            api,
            runtime,
            recipes,
            live: inbox.live,
            trouble: inbox.trouble,
            told,
            drain: Drain::default(),
            names: AtomicU32::new(0),
            shelf,
            _dir: dir,
        }
    }

    async fn admin(&self) -> User {
        self.api.store().user_named("admin").await.expect("read").expect("there")
    }

    /// A user of a name that nobody has yet.
    async fn user(&self) -> User {
        let name = format!("user{}", self.names.fetch_add(1, Ordering::Relaxed));
        let role = UserRole::Member;
        let new = NewUser { name: &name, display_name: &name, role, password_hash: None };
        self.api.store().create_user(&new, Actor::System, Timestamp::now()).await.expect("made")
    }

    /// A browser in which that user is signed in.
    async fn browser(&self, user: &User) -> Proof {
        let token = Token::fresh().expect("random bytes");
        let hash = TokenHash::of(token.expose());
        let now = Timestamp::now();
        self.api.store().create_login(user.id, &hash, &hash, now).await.expect("signed in");
        let cookie = format!("__Host-Http-lattice-8080={}", token.expose());
        Proof { cookie: Some(cookie), bearer: None }
    }

    /// A program of that user.
    async fn program(&self, user: &User) -> Proof {
        let token = admin::token(self.api.store(), Some(&user.name), Timestamp::now());
        let token = token.await.expect("made").expose().to_owned();
        Proof { cookie: None, bearer: Some(token) }
    }

    async fn session_of(&self, owner: &User) -> SessionId {
        let mut bits = [0; 10];
        getrandom::fill(&mut bits).expect("random bytes");
        let id = SessionId::from_bytes(bits);
        let new = NewSession { id: &id, owner: owner.id, template: "desktop", name: "Desktop" };
        self.api.store().create_session(&new, 8, Timestamp::now()).await.expect("made");
        id
    }

    /// The secret of a new link, and its id.
    async fn link(&self, owner: &Proof, session: &SessionId, with: Value) -> (String, String) {
        let path = format!("/api/v1/sessions/{session}/links");
        let made = self.ask(Method::POST, &path, owner, with).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.detail());
        let made = made.json();
        let url = made["url"].as_str().expect("a URL");
        let secret = url.strip_prefix(&format!("{ORIGIN}/s/")).expect("a link").to_owned();
        (secret, made["id"].as_str().expect("an id").to_owned())
    }

    async fn redeem(&self, who: &Proof, secret: &str) -> Answer {
        self.ask(Method::POST, "/api/v1/redeem", who, json!({ "token": secret })).await
    }

    async fn get(&self, path: &str, who: &Proof) -> Answer {
        self.ask(Method::GET, path, who, Value::Null).await
    }

    /// As a page of ours asks, or a program.
    async fn ask(&self, method: Method, path: &str, who: &Proof, body: Value) -> Answer {
        let mut headers = HeaderMap::new();
        if who.cookie.is_some() {
            headers.insert(header::ORIGIN, ORIGIN.parse().expect("a header"));
            headers.insert("sec-fetch-site", "same-origin".parse().expect("a header"));
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, who, headers, body).await
    }

    /// With exactly these headers beside the proof.
    async fn send(
        &self,
        method: Method,
        path: &str,
        who: &Proof,
        headers: HeaderMap,
        body: String,
    ) -> Answer {
        let response = self.open(method, path, who, headers, body).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
        who: &Proof,
        headers: HeaderMap,
        body: String,
    ) -> Response {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("a path");
        *request.headers_mut() = headers;
        let bearer = who.bearer.as_ref().map(|token| format!("Bearer {token}"));
        for (name, value) in [(header::COOKIE, &who.cookie), (header::AUTHORIZATION, &bearer)] {
            if let Some(value) = value {
                request.headers_mut().insert(name, value.parse().expect("a header"));
            }
        }
        let peer = "192.0.2.7:50000".parse().expect("an address");
        let guard = self.drain.guard();
        request.extensions_mut().insert(Connection { peer, path: Arc::default(), guard });
        request.extensions_mut().insert(Site::new(ORIGIN));
        let router = TowerToHyperService::new(self.router.clone());
        router.call(request).await.expect("a router always answers")
    }

    /// What the manager was told since the last time.
    async fn told(&self) -> Vec<String> {
        // It answers in order, so it has heard all that came before.
        self.api.desktops().viewers(&SessionId::from_bytes([0; 10])).await;
        std::mem::take(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn show(&self, session: &SessionId, state: State, viewers: usize) {
        let queue = (state == State::Queued).then_some(Queue { position: 3, eta_s: Some(120) });
        let (reason, apps) = (String::new(), Vec::new());
        let (stored, usage) = (None, Usage::default());
        let (recipe, is_current) = (self.recipes.base("desktop"), true);
        let live = Live {
            state,
            reason,
            viewers,
            apps,
            recipe,
            is_current,
            queue,
            can_pause: true,
            stored,
            usage,
        };
        self.live.send_modify(|all| {
            Arc::make_mut(all).insert(session.clone(), live);
        });
    }
}

/// Two look at every session: the owner's login 1 as viewer 1, who drives, and viewer 2.
async fn manager(mut orders: tokio::sync::mpsc::Receiver<Order>, told: Arc<Mutex<Vec<String>>>) {
    while let Some(order) = orders.recv().await {
        let line = match order {
            Order::Look(session) => format!("look {session}"),
            Order::Viewers(_, reply) => {
                let presence = |viewer, login| Presence {
                    viewer: ViewerId(viewer),
                    name: format!("Viewer {viewer}"),
                    role: "owner",
                    driving: viewer == 1,
                    login,
                };
                let login = Some(crate::store::LoginId(1));
                let _ = reply.send(vec![presence(1, login), presence(2, None)]);
                continue;
            }
            Order::GiveControl(_, to, reply) => {
                let there = to.is_none_or(|viewer| viewer.0 <= 2);
                let _ = reply.send(if there { Ok(()) } else { Err(NoSuchViewer) });
                format!("control {to:?}")
            }
            Order::Pause(session, answer) => {
                let _ = answer.send(Ok(()));
                format!("pause {session}")
            }
            Order::Restart(session, answer) => {
                let _ = answer.send(Ok(()));
                format!("restart {session}")
            }
            Order::Reset(session, answer) => {
                let _ = answer.send(Ok(()));
                format!("reset {session}")
            }
            Order::Dismiss(whose) => format!("dismiss {whose:?}"),
            Order::Reserve(reply) => {
                let _ = reply.send(None);
                continue;
            }
            Order::Picture(session) => format!("picture {session}"),
            Order::OfferPage(session, reply) => {
                let _ = reply.send(true);
                format!("offer the page of {session}")
            }
            Order::App(_, what, reply) => {
                let (AppOrder::Open(app) | AppOrder::Close(app)) = &what;
                let done = match app.as_str() {
                    "code" => Ok(()),
                    "late" => Err(AppError::NotRunning),
                    _ => Err(AppError::Missing { app: app.clone(), names: vec!["code".into()] }),
                };
                let _ = reply.send(done);
                format!("{what:?}")
            }
        };
        told.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}
