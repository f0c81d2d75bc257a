//! `/api/v1` of `lattice serve`: what people and programs ask of the server.
//!
//! INVARIANT: a route is reached through the gate only, which asks the policy; [`routes`] gives each
//! its action, so none can be forgotten. The store says what is wanted, the manager (behind
//! [`Desktops`]) makes it true and says what is.

mod admission;
mod answers;
mod apps;
mod backups;
mod builds;
mod catalogue;
mod catalogue_view;
mod desktops;
mod events;
mod gallery;
mod gate;
mod imports;
mod inside;
mod keep;
mod known_images;
mod links;
mod logins;
mod logs;
mod machine;
mod openapi;
mod pictures;
mod preview_links;
mod previews;
mod session_view;
mod sessions;
mod snapshots;
mod stock;
mod templates;
#[cfg(test)]
mod tests;
mod upkeep;
mod users;
mod viewers;

pub use admission::Admission;
pub use desktops::{Answer, AppOrder, Desktops, Inbox, Live, NoSuchViewer, Order, Presence, Queue};
pub use gallery::Gallery;
pub use inside::Inside;
pub use preview_links::Right;
pub use previews::Target;

use crate::auth::Auth;
use crate::backup::Backups;
use crate::broker::protocol::Pool;
use crate::catalogues::install::Installer;
use crate::host::Host;
use crate::logs::Logs;
use crate::preview::Book;
use crate::recipe::{Recipe, Recipes};
use crate::session_api::TemplateApp;
use crate::snapshots::Snapshots;
use crate::store::{Session, Store, StoreError};
use crate::template;
use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use lattice_engine::policy::Action;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stock::Present;
use tokio::sync::watch;
use utoipa::ToSchema;

/// Sessions of one user; more would starve the others.
pub const MOST_SESSIONS: u32 = 8;
/// Links of one session that have not ended.
const MOST_LINKS: u32 = 100;
/// The same of those that its own programs asked for.
const MOST_LINKS_INSIDE: u32 = 5;

/// How often the machine is looked at for `/metrics`.
const MEASURE_EVERY: Duration = Duration::from_secs(15);

/// What a desktop can be made of.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Template {
    /// Its name in the API.
    #[schema(example = "desktop")]
    pub id: String,
    /// Its name for people.
    #[schema(example = "Plain desktop")]
    pub title: String,
    /// What is in it.
    pub summary: String,
    /// What there is to know, as Markdown; may be empty. Whoever wrote the template wrote it.
    pub readme: String,
    /// The apps that can be opened on it.
    pub apps: Vec<TemplateApp>,
    /// The images of apps that are not on this machine, as it was last seen; such apps do not open.
    #[schema(example = json!(["lattice/vscode-java"]))]
    pub missing_images: Vec<String>,
}

impl Template {
    /// As the API tells of it.
    fn of(made: &template::Template, present: Option<&Present>) -> Self {
        let images: BTreeSet<_> = made.apps.values().map(|app| app.image.as_str()).collect();
        let is_missing = |image: &&str| present.is_some_and(|present| !present.has(image));
        Self {
            missing_images: images.into_iter().filter(is_missing).map(str::to_owned).collect(),
            id: made.name.clone(),
            title: made.title.clone(),
            summary: made.summary.clone(),
            readme: made.readme.clone(),
            apps: made.apps.iter().map(|(name, app)| TemplateApp::of(name, app)).collect(),
        }
    }
}

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Api(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    store: Store,
    auth: Auth,
    desktops: Desktops,
    snapshots: Snapshots,
    installer: Installer,
    making: Making,
    logs: Logs,
    previews: Book,
    backups: Backups,
    host: Host,
    /// The images that there were when it was last looked; nothing before the first look.
    present: Mutex<Option<Arc<Present>>>,
    /// The desktops that were half started when it was last looked.
    pool: Mutex<Option<Pool>>,
    /// Images that are being built.
    builds: builds::Watch,
    /// Bumped whenever the store may say something else than before.
    changed: watch::Sender<u64>,
}

/// What desktops are made of, and by whose word.
#[derive(Debug, Clone)]
pub struct Making {
    /// What each is made of.
    pub recipes: Recipes,
    /// Whether they can have apps.
    pub has_apps: bool,
    /// Whether owners may change it of theirs; else administrators alone.
    pub owners_edit: bool,
}

/// What is kept beside what is there.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// Of each person's Data, on this machine.
    pub snapshots: Snapshots,
    /// Of what desktops said.
    pub logs: Logs,
    /// Of everything, elsewhere.
    pub backups: Backups,
    /// Apps that were installed.
    pub installer: Installer,
}

impl Api {
    /// The API over these parts.
    pub fn new(
        store: Store,
        auth: Auth,
        desktops: Desktops,
        keeping: Keeping,
        making: Making,
        previews: Book,
        host: Host,
    ) -> Self {
        let changed = watch::Sender::new(0);
        let Keeping { snapshots, logs, backups, installer } = keeping;
        Self(Arc::new(Parts {
            store,
            auth,
            desktops,
            snapshots,
            installer,
            making,
            logs,
            previews,
            backups,
            host,
            present: Mutex::default(),
            pool: Mutex::default(),
            builds: builds::Watch::default(),
            changed,
        }))
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Who comes.
    pub fn auth(&self) -> &Auth {
        &self.0.auth
    }

    /// The manager.
    pub fn desktops(&self) -> &Desktops {
        &self.0.desktops
    }

    /// Who may look at which program's pages.
    pub fn previews(&self) -> &Book {
        &self.0.previews
    }

    /// What is kept of people's Data.
    pub fn snapshots(&self) -> &Snapshots {
        &self.0.snapshots
    }

    /// What desktops say.
    pub(crate) fn logs(&self) -> &Logs {
        &self.0.logs
    }

    /// Backups of everything.
    pub(crate) fn backups(&self) -> &Backups {
        &self.0.backups
    }

    /// The machine that this is on.
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    fn installer(&self) -> &Installer {
        &self.0.installer
    }

    /// What desktops can be made of.
    fn templates(&self) -> Vec<Template> {
        let present = self.present();
        let bases = self.0.making.recipes.bases();
        bases.map(|made| Template::of(made, present.as_deref())).collect()
    }

    /// What a session is made of: where it runs, what it was started with.
    async fn recipe_of(&self, session: &Session) -> Result<Arc<Recipe>, StoreError> {
        if let Some(live) = self.desktops().list().get(&session.id) {
            return Ok(live.recipe.clone());
        }
        self.0.making.recipes.wanted(self.store(), session).await
    }

    /// What desktops are made of, and by whose word.
    fn making(&self) -> &Making {
        &self.0.making
    }

    /// Has everybody who follows events look again.
    fn note_change(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }
}

/// A route, and what it lets one do.
struct Route {
    #[cfg_attr(not(test), expect(dead_code, reason = "for the test that walks all routes"))]
    method: Method,
    path: &'static str,
    action: Action,
    handler: MethodRouter<Api>,
}

fn route<H, T>(method: Method, path: &'static str, action: Action, handler: H) -> Route
where
    H: Handler<T, Api>,
    T: 'static,
{
    // Only CONNECT and methods of one's own have no filter; none of them is in the list.
    let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::TRACE);
    Route { method, path, action, handler: on(filter, handler) }
}

/// All of them. `{id}` of an action about a session is the session's.
fn routes() -> Vec<Route> {
    const GET: Method = Method::GET;
    const PUT: Method = Method::PUT;
    const POST: Method = Method::POST;
    const PATCH: Method = Method::PATCH;
    const DELETE: Method = Method::DELETE;
    vec![
        route(GET, "/api/openapi.json", Action::ReadDescription, openapi::description),
        route(POST, "/api/v1/login", Action::SignIn, logins::login),
        route(POST, "/api/v1/enter", Action::SignIn, logins::enter),
        route(POST, "/api/v1/logout", Action::SignOut, logins::logout),
        route(GET, "/api/v1/me", Action::ReadSelf, logins::me),
        route(PUT, "/api/v1/me/password", Action::SetOwnPassword, logins::set_password),
        route(GET, "/api/v1/users", Action::ManageUsers, users::list),
        route(POST, "/api/v1/users", Action::ManageUsers, users::create),
        route(PATCH, "/api/v1/users/{id}", Action::ManageUsers, users::change),
        route(DELETE, "/api/v1/users/{id}", Action::ManageUsers, users::delete),
        route(GET, "/api/v1/backup", Action::ManageBackups, backups::read),
        route(POST, "/api/v1/backup", Action::ManageBackups, backups::back_up),
        route(POST, "/api/v1/backup/drill", Action::ManageBackups, backups::drill),
        route(GET, "/api/v1/templates", Action::ListTemplates, sessions::templates),
        route(GET, "/api/v1/catalogue", Action::ReadCatalogue, catalogue::read),
        route(
            POST,
            "/api/v1/catalogue/{catalogue}/{app}/mine",
            Action::InstallOwnApps,
            catalogue::install_mine,
        ),
        route(
            DELETE,
            "/api/v1/catalogue/{catalogue}/{app}/mine",
            Action::InstallOwnApps,
            catalogue::remove_mine,
        ),
        route(
            POST,
            "/api/v1/catalogue/{catalogue}/{app}/mine/rollback",
            Action::InstallOwnApps,
            catalogue::roll_back_mine,
        ),
        route(
            POST,
            "/api/v1/catalogue/{catalogue}/{app}/everybody",
            Action::InstallAppsForAll,
            catalogue::install_for_all,
        ),
        route(
            DELETE,
            "/api/v1/catalogue/{catalogue}/{app}/everybody",
            Action::InstallAppsForAll,
            catalogue::remove_for_all,
        ),
        route(
            POST,
            "/api/v1/catalogue/{catalogue}/{app}/everybody/rollback",
            Action::InstallAppsForAll,
            catalogue::roll_back_for_all,
        ),
        route(POST, "/api/v1/imports/zip", Action::CreateSession, imports::zip),
        route(POST, "/api/v1/imports/git", Action::CreateSession, imports::git),
        route(GET, "/api/v1/sessions", Action::ListSessions, sessions::list),
        route(POST, "/api/v1/sessions", Action::CreateSession, sessions::create),
        route(GET, "/api/v1/sessions/{id}", Action::ReadSession, sessions::read),
        route(PATCH, "/api/v1/sessions/{id}", Action::RenameSession, keep::rename),
        route(DELETE, "/api/v1/sessions/{id}", Action::DeleteSession, sessions::delete),
        route(POST, "/api/v1/sessions/{id}/duplicate", Action::DuplicateSession, keep::duplicate),
        route(POST, "/api/v1/sessions/{id}/discard", Action::DiscardSession, keep::discard),
        route(POST, "/api/v1/sessions/{id}/recover", Action::RecoverSession, keep::recover),
        route(POST, "/api/v1/sessions/{id}/start", Action::RunSession, sessions::start),
        route(POST, "/api/v1/sessions/{id}/stop", Action::RunSession, sessions::stop),
        route(POST, "/api/v1/sessions/{id}/pause", Action::RunSession, sessions::pause),
        route(POST, "/api/v1/sessions/{id}/restart", Action::RunSession, sessions::restart),
        route(POST, "/api/v1/sessions/{id}/reset", Action::ResetSession, sessions::reset),
        route(GET, "/api/v1/sessions/{id}/picture", Action::Watch, pictures::read),
        route(GET, "/api/v1/sessions/{id}/links", Action::ShareSession, links::list),
        route(POST, "/api/v1/sessions/{id}/links", Action::ShareSession, links::create),
        route(DELETE, "/api/v1/sessions/{id}/links/{link}", Action::ShareSession, links::revoke),
        route(GET, "/api/v1/sessions/{id}/viewers", Action::ListViewers, viewers::list),
        route(POST, "/api/v1/sessions/{id}/control", Action::GiveControl, viewers::give_control),
        route(GET, "/api/v1/sessions/{id}/apps", Action::UseApps, apps::list),
        route(POST, "/api/v1/sessions/{id}/apps", Action::UseApps, apps::open),
        route(DELETE, "/api/v1/sessions/{id}/apps/{app}", Action::UseApps, apps::close),
        route(GET, "/api/v1/sessions/{id}/previews", Action::Preview, previews::list),
        route(POST, "/api/v1/sessions/{id}/previews", Action::Preview, previews::open),
        route(
            GET,
            "/api/v1/sessions/{id}/preview-links",
            Action::ShareSession,
            preview_links::list,
        ),
        route(
            POST,
            "/api/v1/sessions/{id}/preview-links",
            Action::ShareSession,
            preview_links::create,
        ),
        route(
            DELETE,
            "/api/v1/sessions/{id}/preview-links/{link}",
            Action::ShareSession,
            preview_links::revoke,
        ),
        route(GET, "/api/v1/sessions/{id}/logs", Action::ReadLogs, logs::read),
        route(GET, "/api/v1/sessions/{id}/logs/parts", Action::ReadLogs, logs::parts),
        route(GET, "/api/v1/sessions/{id}/template", Action::ReadTemplate, templates::read),
        route(PUT, "/api/v1/sessions/{id}/template", Action::EditTemplate, templates::apply),
        route(POST, "/api/v1/sessions/{id}/template/check", Action::ReadTemplate, templates::check),
        route(
            GET,
            "/api/v1/sessions/{id}/template/versions",
            Action::ReadTemplate,
            templates::versions,
        ),
        route(
            GET,
            "/api/v1/sessions/{id}/template/versions/{version}",
            Action::ReadTemplate,
            templates::version,
        ),
        route(
            POST,
            "/api/v1/sessions/{id}/template/versions/{version}/restore",
            Action::EditTemplate,
            templates::restore,
        ),
        route(GET, "/api/v1/sessions/{id}/snapshots", Action::ReadSnapshots, snapshots::list),
        route(POST, "/api/v1/sessions/{id}/snapshots", Action::TakeSnapshot, snapshots::take),
        route(
            GET,
            "/api/v1/sessions/{id}/snapshots/{snapshot}/tree",
            Action::ReadSnapshots,
            snapshots::tree,
        ),
        route(
            GET,
            "/api/v1/sessions/{id}/snapshots/{snapshot}/file",
            Action::ReadSnapshots,
            snapshots::file,
        ),
        route(
            GET,
            "/api/v1/sessions/{id}/snapshots/{snapshot}/zip",
            Action::ReadSnapshots,
            snapshots::zip,
        ),
        route(
            POST,
            "/api/v1/sessions/{id}/snapshots/{snapshot}/restore",
            Action::RestoreSnapshot,
            snapshots::restore,
        ),
        route(POST, "/api/v1/redeem", Action::Redeem, links::redeem),
        route(GET, "/api/v1/machine/figures", Action::ReadMetrics, machine::figures),
        route(GET, "/api/v1/machine/checks", Action::ReadMetrics, machine::checks),
        route(GET, "/api/v1/machine/images", Action::ReadMetrics, stock::images),
        route(DELETE, "/api/v1/machine/images/{image}", Action::RemoveImages, stock::remove_image),
        route(GET, "/api/v1/machine/volumes", Action::ReadMetrics, stock::volumes),
        route(GET, "/api/v1/events", Action::FollowEvents, events::follow),
    ]
}

/// The routes of the API. Requests must carry [`crate::accept::Connection`] and
/// [`super::origin::Site`].
pub fn router(api: Api) -> Router {
    let gated = routes().into_iter().fold(Router::new(), |router, route| {
        let gate = from_fn_with_state((api.clone(), route.action), gate::gate);
        router.route(route.path, route.handler.route_layer(gate))
    });
    gated.with_state(api)
}
