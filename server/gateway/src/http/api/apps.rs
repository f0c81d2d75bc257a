//! The apps of a session: what may be opened on its desktop, and what is open.

use super::answers::{Read, conflict};
use super::gate::AboutSession;
use super::{Api, Live};
use crate::http::problem::Problem;
use crate::session_api::AppError;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use lattice_wire::apps::App;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An app, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = App)]
pub(super) struct AppView {
    #[schema(example = "code")]
    name: String,
    #[schema(example = "VS Code")]
    title: String,
    /// The name of its icon.
    icon: String,
    /// `closed`, `starting`, `running` or `ended`, which is by itself.
    state: &'static str,
    /// Why it ended, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Ports on which its programs may be looked at, see the previews of a session.
    ports: Vec<u16>,
}

/// An app to be opened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenApp {
    /// Its name.
    #[schema(example = "code")]
    app: String,
}

impl AppView {
    /// All apps of what runs, or would.
    pub(super) fn all_of(live: &Live) -> Vec<Self> {
        let ports = |app: &App| {
            let mut apps = live.recipe.apps();
            let found = apps.find(|(name, _)| *name == app.name.as_str());
            found.map(|(_, app)| app.permissions.ports.clone()).unwrap_or_default()
        };
        live.apps.iter().map(|app| Self::of(app.clone(), ports(app))).collect()
    }

    fn of(app: App, ports: Vec<u16>) -> Self {
        Self {
            ports,
            name: app.name.into(),
            title: app.title.into(),
            icon: app.icon.into(),
            state: app.state.as_str(),
            reason: app.reason.map(String::from),
        }
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        match &error {
            AppError::Missing { .. } => {
                Self::new(StatusCode::NOT_FOUND, "Not found", error.to_string())
            }
            AppError::NotRunning => conflict(error.to_string()),
            AppError::Failed(reason) => {
                let detail = format!("the app could not be opened or closed: {reason}");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not possible now", detail)
            }
        }
    }
}

/// The apps of a session.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/apps", tag = "apps", params(("id" = String, Path)),
    responses((status = 200, body = Vec<AppView>))
)]
pub(super) async fn list(State(api): State<Api>, about: AboutSession) -> Json<Vec<AppView>> {
    let live = api.desktops().list();
    Json(live.get(&about.session.id).map(AppView::all_of).unwrap_or_default())
}

/// Open an app on a session's desktop.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/apps", tag = "apps", request_body = OpenApp,
    params(("id" = String, Path)),
    responses((status = 202, description = "It is opening, or open"),
        (status = 404, description = "There is no such app, and which there are"),
        (status = 409, description = "The desktop does not run"))
)]
pub(super) async fn open(
    State(api): State<Api>,
    about: AboutSession,
    Read(given): Read<OpenApp>,
) -> Result<StatusCode, Problem> {
    api.desktops().open(&about.session.id, &given.app).await?;
    Ok(StatusCode::ACCEPTED)
}

/// End an app.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}/apps/{app}", tag = "apps",
    params(("id" = String, Path), ("app" = String, Path)),
    responses((status = 204, description = "It is not open"),
        (status = 404, description = "There is no such app, and which there are"),
        (status = 409, description = "The desktop does not run"))
)]
pub(super) async fn close(
    State(api): State<Api>,
    about: AboutSession,
    Path((_, app)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    api.desktops().close(&about.session.id, &app).await?;
    Ok(StatusCode::NO_CONTENT)
}
