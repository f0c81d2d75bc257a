//! Previews: the pages of programs that run on a desktop, by the ports that its apps declare.

use super::Api;
use super::answers::{Read, conflict, internal, invalid};
use super::gate::AboutSession;
use super::preview_links::Right;
use crate::auth::Token;
use crate::http::origin::Site;
use crate::http::problem::Problem;
use crate::preview::Name;
use crate::recipe::Recipe;
use crate::store::{Session, UserId};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lattice_engine::policy::Action;
use lattice_engine::reconcile::State as Lives;
use lattice_engine::session::SessionId;
use lattice_wire::apps::AppState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A port on which a program of an app may be looked at.
#[derive(Serialize, ToSchema)]
#[schema(as = Preview)]
pub(super) struct PreviewView {
    #[schema(example = 5173)]
    port: u16,
    /// The app that declares it.
    #[schema(example = "code")]
    app: String,
    /// What people call that app.
    title: String,
    /// Whether that app is open.
    is_open: bool,
    /// Where its pages are, for whoever may look; nothing where the server has no names for previews, or
    /// has ports for them and this one was not entered yet.
    url: Option<String>,
}

/// All ports that the apps of a session declare.
#[derive(Serialize, ToSchema)]
pub(super) struct Previews {
    previews: Vec<PreviewView>,
    /// Why they cannot be looked at, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<&'static str>,
}

/// A preview to be opened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenPreview {
    #[schema(example = 5173)]
    port: u16,
}

/// Where a preview is entered.
#[derive(Serialize, ToSchema)]
pub(super) struct Entrance {
    /// It leads there once, within half a minute.
    url: String,
}

/// Where a program's pages can be had at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Of this app.
    Open(String),
    /// That app is not open.
    Closed {
        /// What people call it.
        title: String,
    },
    /// The desktop does not run, or rests.
    Asleep,
    /// No app of the desktop declares that port.
    Undeclared,
}

pub(super) const NO_NAMES: &str = "this server has no names for previews; an administrator gives it some by \
                        preview.domain, a domain whose names all lead here, or by preview.ports";

impl Api {
    /// What there is behind a port of a session, of which nothing is said where there is no such session.
    pub async fn preview_target(&self, session: &SessionId, port: u16) -> Target {
        match self.store().session(session).await {
            Ok(Some(found)) => match self.recipe_of(&found).await {
                Ok(recipe) => self.target(&found, &recipe, port),
                Err(_) => Target::Undeclared,
            },
            Ok(None) | Err(_) => Target::Undeclared,
        }
    }

    pub(super) fn target(&self, session: &Session, recipe: &Recipe, port: u16) -> Target {
        let Some((name, app)) = recipe.app_at(port) else { return Target::Undeclared };
        let all = self.desktops().list();
        let Some(live) = all.get(&session.id).filter(|live| live.state == Lives::Running) else {
            return Target::Asleep;
        };
        let is_open = |state| matches!(state, AppState::Running | AppState::Starting);
        let mut known = live.apps.iter();
        match known.any(|known| known.name.as_str() == name && is_open(known.state)) {
            true => Target::Open(name.to_owned()),
            false => Target::Closed { title: app.title.clone() },
        }
    }
}

/// The ports on which programs of a session may be looked at.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/previews", tag = "apps", params(("id" = String, Path)),
    responses((status = 200, body = Previews))
)]
pub(super) async fn list(
    State(api): State<Api>,
    about: AboutSession,
) -> Result<Json<Previews>, Problem> {
    let AboutSession { pass, session, .. } = about;
    let recipe = api.recipe_of(&session).await?;
    let of_app = recipe
        .apps()
        .flat_map(|(name, app)| app.permissions.ports.iter().map(move |port| (name, app, *port)));
    let previews = of_app.map(|(name, app, port)| PreviewView {
        port,
        app: name.to_owned(),
        title: app.title.clone(),
        is_open: matches!(api.target(&session, &recipe, port), Target::Open(_)),
        url: api.previews().origin(&Name { session: session.id.clone(), port }, &pass.site),
    });
    let previews: Vec<_> = previews.collect();
    let is_without = !previews.is_empty() && !api.previews().is_possible();
    Ok(Json(Previews { previews, unavailable: is_without.then_some(NO_NAMES) }))
}

/// Enter a preview.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/previews", tag = "apps", request_body = OpenPreview,
    params(("id" = String, Path)),
    responses((status = 201, body = Entrance),
        (status = 400, description = "No app of the session declares that port, and which are declared"),
        (status = 409, description = "The server has no names for previews"))
)]
pub(super) async fn open(
    State(api): State<Api>,
    about: AboutSession,
    Read(given): Read<OpenPreview>,
) -> Result<(StatusCode, Json<Entrance>), Problem> {
    let AboutSession { pass, session, .. } = about;
    let recipe = api.recipe_of(&session).await?;
    if api.target(&session, &recipe, given.port) == Target::Undeclared {
        return Err(undeclared(given.port));
    }
    let admission = api.admit(&pass.identity, session.id.as_str(), Action::Preview).await?;
    let (name, owner) = (Name { session: session.id, port: given.port }, session.owner.id);
    let url = api.entrance(name, owner, Right::Person(Box::new(admission)), &pass.site)?;
    Ok((StatusCode::CREATED, Json(Entrance { url })))
}

pub(super) fn undeclared(port: u16) -> Problem {
    invalid(format!(
        "no app of this desktop declares port {port}; a template lists them under ports in \
         x-lattice.permissions"
    ))
}

impl Api {
    /// Where a preview of that person's desktop is entered once, by that right.
    pub(super) fn entrance(
        &self,
        name: Name,
        owner: UserId,
        right: Right,
        site: &Site,
    ) -> Result<String, Problem> {
        if !self.previews().is_possible() {
            return Err(conflict(NO_NAMES));
        }
        let origin = self.previews().lease(&name, owner.0, site);
        let origin = origin.map_err(|error| conflict(error.to_string()))?;
        let ticket = Token::fresh().map_err(|_| internal("random bytes for a ticket"))?;
        self.previews().offer(&ticket, name, right);
        Ok(format!("{origin}/.lattice/enter/{}", ticket.expose()))
    }
}
