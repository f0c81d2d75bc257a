//! Links that show one preview: whoever opens one sees the pages of one program, by its own address, and is
//! nobody to the desktop, which they cannot look at, nor at another of its ports.
//!
//! Such a link needs no login. It is swapped for a ticket to the preview, and the seat there is worth what
//! the link is worth.

use super::Api;
use super::answers::{Read, internal, invalid, no_such};
use super::gate::AboutSession;
use super::previews::{NO_NAMES, Target, undeclared};
use super::{MOST_LINKS, admission::Admission};
use crate::auth::Token;
use crate::http::origin::Site;
use crate::http::problem::Problem;
use crate::preview::Name;
use crate::store::{NewPreviewLink, PreviewLink, PreviewLinkId, StoreError, Timestamp, TokenHash};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::time::sleep;
use utoipa::ToSchema;

const DAY_S: i64 = 86_400;
const LIFE_S: RangeInclusive<i64> = 60..=30 * DAY_S;
/// How often it is asked whether what is under way may go on.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After so many looks a login is kept alive.
const LOOKS_A_TOUCH: u32 = 12;

/// By what somebody may look at a preview.
#[derive(Debug, Clone)]
pub enum Right {
    /// By what they are to its desktop.
    Person(Box<Admission>),
    /// By a link to that preview alone.
    Link(PreviewLinkId),
}

/// A link to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreatePreviewLink {
    /// Which one it shows.
    #[schema(example = 5173)]
    port: u16,
    /// How long it lasts; a day where it is left out.
    #[schema(minimum = 60, maximum = 2_592_000, default = 86_400)]
    expires_in_s: Option<i64>,
}

/// A link that shows one preview and nothing else.
#[derive(Serialize, ToSchema)]
#[schema(as = PreviewLink)]
pub(super) struct PreviewLinkView {
    id: String,
    /// The link itself, only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    port: u16,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
    /// How often it was opened.
    uses: u32,
}

#[derive(Serialize, ToSchema)]
pub(super) struct PreviewLinks {
    links: Vec<PreviewLinkView>,
}

fn view(link: PreviewLink, url: Option<String>) -> PreviewLinkView {
    PreviewLinkView {
        id: link.id.0.to_string(),
        url,
        port: link.port,
        created_at: link.created_at.to_string(),
        expires_at: link.expires_at.to_string(),
        uses: link.uses,
    }
}

/// The links to previews of a session that have not ended.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/preview-links", tag = "sharing", params(("id" = String, Path)),
    responses((status = 200, body = PreviewLinks))
)]
pub(super) async fn list(
    State(api): State<Api>,
    about: AboutSession,
) -> Result<Json<PreviewLinks>, Problem> {
    let links = api.store().preview_links(&about.session.id, Timestamp::now()).await?;
    Ok(Json(PreviewLinks { links: links.into_iter().map(|link| view(link, None)).collect() }))
}

/// Make a link to one preview.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/preview-links", tag = "sharing",
    request_body = CreatePreviewLink, params(("id" = String, Path)),
    responses((status = 201, body = PreviewLinkView),
        (status = 400, description = "No app of the session declares that port"),
        (status = 409, description = "The server has no names for previews"))
)]
pub(super) async fn create(
    State(api): State<Api>,
    about: AboutSession,
    Read(given): Read<CreatePreviewLink>,
) -> Result<(StatusCode, Json<PreviewLinkView>), Problem> {
    let AboutSession { pass, session, .. } = about;
    let user = pass.identity.user().ok_or_else(|| internal("a link of nobody"))?;
    let for_s = given.expires_in_s.unwrap_or(DAY_S);
    if !LIFE_S.contains(&for_s) {
        return Err(invalid("`expires_in_s` must be from 60 (a minute) to 2592000 (30 days)"));
    }
    let recipe = api.recipe_of(&session).await?;
    if api.target(&session, &recipe, given.port) == Target::Undeclared {
        return Err(undeclared(given.port));
    }
    if !api.previews().is_possible() {
        return Err(super::answers::conflict(NO_NAMES));
    }
    let (token, now) = (Token::fresh()?, Timestamp::now());
    let new = NewPreviewLink {
        session: &session.id,
        port: given.port,
        token: TokenHash::of(token.expose()),
        expires_at: now.plus(for_s),
        created_by: user.id,
    };
    let made = api.store().create_preview_link(&new, MOST_LINKS, now).await?;
    let url = pass.site.address(&format!("/s/{}", token.expose()));
    Ok((StatusCode::CREATED, Json(view(made, Some(url)))))
}

/// End a link to a preview. Whoever came by it stops seeing it within seconds.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}/preview-links/{link}", tag = "sharing",
    params(("id" = String, Path), ("link" = String, Path)),
    responses((status = 204, description = "It has ended"))
)]
pub(super) async fn revoke(
    State(api): State<Api>,
    about: AboutSession,
    Path((_, link)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let link = link.parse().map(PreviewLinkId).map_err(|_| no_such("link"))?;
    let actor = about.pass.identity.actor();
    api.store().revoke_preview_link(&about.session.id, link, actor, Timestamp::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Api {
    /// Where the link of that secret leads, by a ticket that is good once; nothing where it is not good.
    pub(super) async fn enter_by_link(
        &self,
        token: &TokenHash,
        site: &Site,
    ) -> Result<Option<String>, Problem> {
        let shown = self.store().open_preview_link(token, Timestamp::now()).await?;
        let Some(shown) = shown else { return Ok(None) };
        let Some(session) = self.store().session(&shown.session).await? else { return Ok(None) };
        let name = Name { session: shown.session, port: shown.port };
        self.entrance(name, session.owner.id, Right::Link(shown.link), site).map(Some)
    }

    /// Whether a right to look at a preview is still worth what it was.
    pub async fn right_stands(&self, right: &Right) -> Result<bool, StoreError> {
        match right {
            Right::Person(admission) => self.still_stands(admission).await,
            Right::Link(link) => self.store().preview_link_stands(*link, Timestamp::now()).await,
        }
    }

    /// Returns some seconds after a right to look at a preview was lost; the login of a person is kept
    /// alive until then. It was good a moment ago.
    pub async fn until_lost(self, right: Right) {
        for look in 1_u32.. {
            sleep(LOOK_EVERY).await;
            match (self.right_stands(&right).await, &right) {
                (Ok(false), _) => return,
                (Ok(true), Right::Person(admission)) if look % LOOKS_A_TOUCH == 0 => {
                    self.keep_alive(admission).await;
                }
                (Ok(true), _) => {}
                (Err(error), _) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "a right to look at a preview cannot be looked at");
                }
            }
        }
    }
}
