//! Which apps the desktops of each template have, and how they are.

use crate::runtime::{AppInstance, AppState};
use lattice_wire::apps::{self, App, AppName, Said};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
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

/// The apps of each template, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(Arc<HashMap<String, Vec<App>>>);

impl Catalogue {
    /// Of these templates, each with its apps.
    pub fn new<'a>(templates: impl IntoIterator<Item = (&'a str, &'a [TemplateApp])>) -> Self {
        let known = templates.into_iter().map(|(template, apps)| {
            let mut apps: Vec<_> = apps.iter().filter_map(closed).collect();
            apps.sort_by(|one, other| one.name.cmp(&other.name));
            (template.to_owned(), apps)
        });
        Self(Arc::new(known.collect()))
    }

    /// How the apps of a desktop are. A template that is no more has none.
    pub fn apps(&self, template: &str, open: &[AppInstance]) -> Vec<App> {
        let mut apps = self.0.get(template).cloned().unwrap_or_default();
        for app in &mut apps {
            let found = open.iter().find(|open| open.name == app.name.as_str());
            (app.state, app.reason) = match found.map(|found| &found.state) {
                None => (apps::AppState::Closed, None),
                Some(AppState::Starting) => (apps::AppState::Starting, None),
                Some(AppState::Running) => (apps::AppState::Running, None),
                Some(AppState::Ended { reason }) => {
                    (apps::AppState::Ended, Some(Said::cut(reason)))
                }
            };
        }
        apps
    }
}

/// Templates were checked: each of their names is one.
fn closed(app: &TemplateApp) -> Option<App> {
    Some(App {
        name: AppName::parse(&app.name)?,
        title: Said::cut(&app.title),
        icon: Said::cut(&app.icon),
        state: apps::AppState::Closed,
        reason: None,
    })
}
