//! Which apps a desktop has, and how they are.

use crate::recipe::Recipe;
use crate::runtime::{AppInstance, AppState};
use crate::template;
use lattice_wire::apps::{self, App, AppName, Said};
use serde::Serialize;
use utoipa::ToSchema;

/// An app that a template has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TemplateApp {
    /// Its name in the API.
    #[schema(example = "code")]
    pub name: String,
    /// Its name for people.
    #[schema(example = "VS Code")]
    pub title: String,
    /// The name of its icon.
    #[schema(example = "vscode")]
    pub icon: String,
    /// Ports on which its programs may be looked at, see the previews of a session.
    pub ports: Vec<u16>,
}

impl TemplateApp {
    /// As the API tells of it.
    pub fn of(name: &str, app: &template::App) -> Self {
        Self {
            name: name.to_owned(),
            title: app.title.clone(),
            icon: app.icon.clone(),
            ports: app.permissions.ports.clone(),
        }
    }
}

/// How the apps of a desktop are, in the order of their names. One of a template that is no more has none.
pub fn apps(recipe: &Recipe, open: &[AppInstance]) -> Vec<App> {
    let mut apps: Vec<_> = recipe.apps().filter_map(|(name, app)| closed(name, app)).collect();
    for app in &mut apps {
        let found = open.iter().find(|open| open.name == app.name.as_str());
        (app.state, app.reason) = match found.map(|found| &found.state) {
            None => (apps::AppState::Closed, None),
            Some(AppState::Starting) => (apps::AppState::Starting, None),
            Some(AppState::Running) => (apps::AppState::Running, None),
            Some(AppState::Ended { reason }) => (apps::AppState::Ended, Some(Said::cut(reason))),
        };
    }
    apps
}

/// Templates were checked: each of their names is one.
fn closed(name: &str, app: &template::App) -> Option<App> {
    Some(App {
        name: AppName::parse(name)?,
        title: Said::cut(&app.title),
        icon: Said::cut(&app.icon),
        state: apps::AppState::Closed,
        reason: None,
    })
}
