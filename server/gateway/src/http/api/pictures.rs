//! What a session's screen shows, small, for those who may watch it.

use super::Api;
use super::gate::AboutSession;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use lattice_engine::reconcile::State as Stands;
use lattice_engine::session::SessionId;
use std::time::Duration;
use tokio::time::timeout;

/// How long the first picture of a desktop is waited for: it takes some 50 ms on a machine with time.
const PATIENCE: Duration = Duration::from_secs(5);

/// A small picture of a session's screen, as its desktop made it. Nobody has looked into it: judge its
/// size before decoding it. Reading it asks for the next: `picture` of the session changes once there is
/// one. A desktop that is paused shows its last.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/picture", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, content_type = "image/png", body = Vec<u8>),
        (status = 204, description = "There is none, as of a desktop that does not run"))
)]
pub(super) async fn read(State(api): State<Api>, about: AboutSession) -> Response {
    let Some((number, png)) = api.newest(&about.session.id).await else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let mut response = png.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    // Opened as a page it is one without rights.
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    if let Ok(tag) = HeaderValue::try_from(format!("\"{number}\"")) {
        headers.insert(header::ETAG, tag);
    }
    response
}

impl Api {
    /// The newest picture, waited for where there is none yet.
    async fn newest(&self, session: &SessionId) -> Option<(u64, Bytes)> {
        let gallery = self.desktops().gallery();
        let mut changes = gallery.changes();
        let state = self.desktops().list().get(session).map(|live| live.state);
        if !matches!(state, Some(Stands::Running | Stands::Idle)) {
            return None;
        }
        // Looked at before it is asked for: the first may come while this waits for its turn.
        let is_first = gallery.picture(session).is_none();
        self.desktops().want_picture(session).await;
        if is_first && state == Some(Stands::Running) {
            let first = changes.wait_for(|_| gallery.picture(session).is_some());
            let _ = timeout(PATIENCE, first).await;
            // That was this one; and now for the next.
            self.desktops().want_picture(session).await;
        }
        gallery.picture(session)
    }
}
