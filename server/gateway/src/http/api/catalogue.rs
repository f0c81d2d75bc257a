//! Apps that can be installed: what there is in catalogues, what is installed, and what is under way.

use super::Api;
use super::answers::{Read, conflict, internal};
use super::catalogue_view::{AppView, CatalogueView, PullView};
use super::gate::Pass;
use crate::catalogues::install::{InstallError, Pull};
use crate::http::problem::Problem;
use crate::store::{Audience, UserId};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All that can be installed.
#[derive(Serialize, ToSchema)]
#[schema(as = Catalogue)]
pub(super) struct CataloguesView {
    /// The catalogues, also those that are refused.
    catalogues: Vec<CatalogueView>,
    /// Their apps, and those that are installed and no longer in one.
    apps: Vec<AppView>,
    /// What is on its way, or came to nothing.
    pulls: Vec<PullView>,
    /// Whether whoever asks may install for themselves.
    may_install: bool,
    /// Whether they may for everybody.
    may_install_for_all: bool,
    /// Why nothing can be installed here, where that is so.
    obstacle: Option<&'static str>,
}

/// Which edition of an app is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InstallApp {
    /// `offer.edition` of what the person looked at: nothing else is installed.
    edition: String,
}

/// What can be installed, and what is. Permissions are in words for people.
#[utoipa::path(
    get, path = "/api/v1/catalogue", tag = "apps",
    responses((status = 200, body = CataloguesView))
)]
pub(super) async fn read(
    State(api): State<Api>,
    pass: Pass,
) -> Result<Json<CataloguesView>, Problem> {
    let user = asker(&pass)?;
    let installer = api.installer();
    let shelf = installer.shelf().await;
    let installed = api.store().installed_for(user).await?;
    let is_admin = pass.identity.is_admin();
    let pulls = installer.pulls().borrow().all.clone();
    Ok(Json(CataloguesView {
        catalogues: CatalogueView::all(&shelf),
        apps: AppView::all(&shelf, &installed, &api.templates()),
        pulls: seen_pulls(&pulls, user),
        may_install: is_admin || installer.is_open(),
        may_install_for_all: is_admin,
        obstacle: (!installer.has_apps()).then_some(crate::runtime::NO_APPS),
    }))
}

/// Those that are for everybody or for this person.
pub(super) fn seen_pulls(pulls: &[Pull], user: UserId) -> Vec<PullView> {
    let is_seen = |pull: &&Pull| match pull.audience {
        Audience::Everybody => true,
        Audience::One(owner) => owner == user,
    };
    pulls.iter().filter(is_seen).map(PullView::from).collect()
}

/// Install an app for oneself, or bring it to the edition that its catalogue has now. It goes on by
/// itself: events `catalogue` say how far it is. Desktops have it from their next start.
#[utoipa::path(
    post, path = "/api/v1/catalogue/{catalogue}/{app}/mine", tag = "apps", request_body = InstallApp,
    params(("catalogue" = String, Path), ("app" = String, Path)),
    responses((status = 202, description = "It is under way"),
        (status = 403, description = "Only administrators install here"),
        (status = 409, description = "The catalogue has another edition by now, or another app has that name"))
)]
pub(super) async fn install_mine(
    State(api): State<Api>,
    pass: Pass,
    Path(names): Path<(String, String)>,
    Read(given): Read<InstallApp>,
) -> Result<StatusCode, Problem> {
    let user = check_may(&api, &pass)?;
    install(&api, &names, &given.edition, Audience::One(user), user).await
}

/// The same for everybody.
#[utoipa::path(
    post, path = "/api/v1/catalogue/{catalogue}/{app}/everybody", tag = "apps",
    request_body = InstallApp, params(("catalogue" = String, Path), ("app" = String, Path)),
    responses((status = 202, description = "It is under way"),
        (status = 409, description = "The catalogue has another edition by now, or another app has that name"))
)]
pub(super) async fn install_for_all(
    State(api): State<Api>,
    pass: Pass,
    Path(names): Path<(String, String)>,
    Read(given): Read<InstallApp>,
) -> Result<StatusCode, Problem> {
    install(&api, &names, &given.edition, Audience::Everybody, asker(&pass)?).await
}

async fn install(
    api: &Api,
    (catalogue, app): &(String, String),
    edition: &str,
    audience: Audience,
    by: UserId,
) -> Result<StatusCode, Problem> {
    api.installer().begin((catalogue, app), edition, audience, by).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Bring an app of one's own back to what it was before its last update.
#[utoipa::path(
    post, path = "/api/v1/catalogue/{catalogue}/{app}/mine/rollback", tag = "apps",
    params(("catalogue" = String, Path), ("app" = String, Path)),
    responses((status = 204), (status = 404, description = "There is nothing to go back to"))
)]
pub(super) async fn roll_back_mine(
    State(api): State<Api>,
    pass: Pass,
    Path((_, app)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let user = check_may(&api, &pass)?;
    api.installer().roll_back(&app, Audience::One(user), user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Bring an app that everybody has back to what it was before its last update.
#[utoipa::path(
    post, path = "/api/v1/catalogue/{catalogue}/{app}/everybody/rollback", tag = "apps",
    params(("catalogue" = String, Path), ("app" = String, Path)),
    responses((status = 204), (status = 404, description = "There is nothing to go back to"))
)]
pub(super) async fn roll_back_for_all(
    State(api): State<Api>,
    pass: Pass,
    Path((_, app)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    api.installer().roll_back(&app, Audience::Everybody, asker(&pass)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove an app of one's own. Desktops have it until they are started again.
#[utoipa::path(
    delete, path = "/api/v1/catalogue/{catalogue}/{app}/mine", tag = "apps",
    params(("catalogue" = String, Path), ("app" = String, Path)),
    responses((status = 204), (status = 404, description = "It is not installed"))
)]
pub(super) async fn remove_mine(
    State(api): State<Api>,
    pass: Pass,
    Path((_, app)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    // Whoever was once allowed to install may always remove.
    let user = asker(&pass)?;
    api.installer().remove(&app, Audience::One(user), user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove an app that everybody has.
#[utoipa::path(
    delete, path = "/api/v1/catalogue/{catalogue}/{app}/everybody", tag = "apps",
    params(("catalogue" = String, Path), ("app" = String, Path)),
    responses((status = 204), (status = 404, description = "It is not installed"))
)]
pub(super) async fn remove_for_all(
    State(api): State<Api>,
    pass: Pass,
    Path((_, app)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    api.installer().remove(&app, Audience::Everybody, asker(&pass)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn asker(pass: &Pass) -> Result<UserId, Problem> {
    Ok(pass.identity.user().ok_or_else(|| internal("an app of nobody"))?.id)
}

/// Whether people install for themselves is the administrator's to say.
fn check_may(api: &Api, pass: &Pass) -> Result<UserId, Problem> {
    if !pass.identity.is_admin() && !api.installer().is_open() {
        let detail = "on this server only administrators install apps; ask one of them";
        return Err(Problem::new(StatusCode::FORBIDDEN, "Not allowed", detail));
    }
    asker(pass)
}

impl From<InstallError> for Problem {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Missing(what) => Self::new(StatusCode::NOT_FOUND, "Not found", what),
            InstallError::Conflict(what) => conflict(what),
            InstallError::Busy => {
                let (code, title) = (StatusCode::TOO_MANY_REQUESTS, "Busy");
                Self::new(code, title, error.to_string()).retry_after(10)
            }
            InstallError::Store(error) => error.into(),
            InstallError::Runtime(error) => error.into(),
        }
    }
}
