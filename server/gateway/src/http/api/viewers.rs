//! Who looks at a session, and who drives it.

use super::Api;
use super::answers::{Read, conflict};
use super::gate::AboutSession;
use crate::http::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lattice_wire::ViewerId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(super) struct Viewers {
    viewers: Vec<ViewerView>,
}

/// Somebody who looks.
#[derive(Serialize, ToSchema)]
#[schema(as = Viewer)]
struct ViewerView {
    viewer: u32,
    name: String,
    /// `owner`, `admin`, `control`, `assist` or `view`.
    role: &'static str,
    driving: bool,
    /// Whether it is a tab of the asker's own browser.
    you: bool,
}

/// Who is to drive.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Control {
    /// A viewer; null takes control back.
    to: Option<u32>,
}

/// Who looks at a session.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/viewers", tag = "sharing", params(("id" = String, Path)),
    responses((status = 200, body = Viewers))
)]
pub(super) async fn list(State(api): State<Api>, about: AboutSession) -> Json<Viewers> {
    let own = about.pass.identity.login();
    let present = api.desktops().viewers(&about.session.id).await.into_iter();
    let viewers = present.map(|presence| ViewerView {
        viewer: presence.viewer.0,
        name: presence.name,
        role: presence.role,
        driving: presence.driving,
        you: own.is_some() && presence.login == own,
    });
    Json(Viewers { viewers: viewers.collect() })
}

/// Give a viewer control, or take it back.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/control", tag = "sharing", request_body = Control,
    params(("id" = String, Path)),
    responses((status = 204, description = "It is so"),
        (status = 409, description = "That viewer is not there, or may not drive"))
)]
pub(super) async fn give_control(
    State(api): State<Api>,
    about: AboutSession,
    Read(given): Read<Control>,
) -> Result<StatusCode, Problem> {
    let given = api.desktops().give_control(&about.session.id, given.to.map(ViewerId)).await;
    given.map_err(|_| {
        conflict("that viewer is not there or may not drive; read the list of viewers again")
    })?;
    Ok(StatusCode::NO_CONTENT)
}
