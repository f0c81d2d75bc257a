//! Share links: made, read and ended by a session's owner, swapped once by whoever gets one.

use super::answers::{Read, auth_problem, internal, invalid, no_such};
use super::gate::{AboutSession, Pass};
use super::logins::Secret;
use super::{Api, MOST_LINKS};
use crate::auth::{AuthError, Identity, Token};
use crate::http::problem::Problem;
use crate::hub::Whose;
use crate::store::{self, LinkId, NewLink, Timestamp, TokenHash};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use lattice_engine::policy::LinkRole;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use utoipa::ToSchema;

const DAY_S: i64 = 86_400;
const LIFE_S: RangeInclusive<i64> = 60..=30 * DAY_S;
const USES: RangeInclusive<u32> = 1..=1000;

/// What a link gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shared {
    /// Sees.
    View,
    /// Sees and points.
    Assist,
    /// Sees, and drives when given control.
    Control,
}

impl From<Shared> for LinkRole {
    fn from(shared: Shared) -> Self {
        match shared {
            Shared::View => Self::View,
            Shared::Assist => Self::Assist,
            Shared::Control => Self::Control,
        }
    }
}

/// A link to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateLink {
    role: Shared,
    /// How long it lasts; a day where it is left out.
    #[schema(minimum = 60, maximum = 2_592_000, default = 86_400)]
    expires_in_s: Option<i64>,
    /// How many browsers may use it; any number where it is left out.
    #[schema(minimum = 1, maximum = 1000)]
    max_uses: Option<u32>,
}

/// A link.
#[derive(Serialize, ToSchema)]
#[schema(as = Link)]
pub(super) struct LinkView {
    id: String,
    /// The link itself, only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// `view`, `assist` or `control`.
    role: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
    max_uses: Option<u32>,
    uses: u32,
    /// Whether it was made on the desktop, by `lattice share`.
    from_desktop: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Links {
    links: Vec<LinkView>,
}

/// Where a redeemed link leads.
#[derive(Serialize, ToSchema)]
pub(super) struct Place {
    url: String,
    /// What one is to the session now; `preview` where the link shows one page of it and nothing else.
    role: &'static str,
}

fn view(link: store::Link, url: Option<String>) -> LinkView {
    LinkView {
        id: link.id.0.to_string(),
        url,
        role: link.role.as_str(),
        created_at: link.created_at.to_string(),
        expires_at: link.expires_at.to_string(),
        max_uses: link.max_uses,
        uses: link.uses,
        from_desktop: link.from_desktop,
    }
}

/// The links of a session that have not ended.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/links", tag = "sharing", params(("id" = String, Path)),
    responses((status = 200, body = Links))
)]
pub(super) async fn list(
    State(api): State<Api>,
    about: AboutSession,
) -> Result<Json<Links>, Problem> {
    let links = api.store().links(&about.session.id, Timestamp::now()).await?;
    Ok(Json(Links { links: links.into_iter().map(|link| view(link, None)).collect() }))
}

/// Make a link.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/links", tag = "sharing", request_body = CreateLink,
    params(("id" = String, Path)), responses((status = 201, body = LinkView))
)]
pub(super) async fn create(
    State(api): State<Api>,
    about: AboutSession,
    Read(given): Read<CreateLink>,
) -> Result<Response, Problem> {
    let user = about.pass.identity.user().ok_or_else(|| internal("a link of nobody"))?;
    let for_s = given.expires_in_s.unwrap_or(DAY_S);
    if !LIFE_S.contains(&for_s) {
        return Err(invalid("`expires_in_s` must be from 60 (a minute) to 2592000 (30 days)"));
    }
    if given.max_uses.is_some_and(|uses| !USES.contains(&uses)) {
        return Err(invalid("`max_uses` must be from 1 to 1000, or null for any number"));
    }
    let (token, now) = (Token::fresh()?, Timestamp::now());
    let new = NewLink {
        session: &about.session.id,
        role: given.role.into(),
        token: TokenHash::of(token.expose()),
        expires_at: now.plus(for_s),
        max_uses: given.max_uses,
        created_by: user.id,
        from_desktop: false,
    };
    let made = api.store().create_link(&new, MOST_LINKS, now).await?;
    // Whoever watches for its end counts with it.
    api.note_change();
    let url = about.pass.site.address(&format!("/s/{}", token.expose()));
    Ok((StatusCode::CREATED, Json(view(made, Some(url)))).into_response())
}

/// End a link. Whoever came by it stops seeing the session at once.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}/links/{link}", tag = "sharing",
    params(("id" = String, Path), ("link" = String, Path)),
    responses((status = 204, description = "It has ended"))
)]
pub(super) async fn revoke(
    State(api): State<Api>,
    about: AboutSession,
    Path(named): Path<HashMap<String, String>>,
) -> Result<StatusCode, Problem> {
    let link = named.get("link").and_then(|link| link.parse().ok()).map(LinkId);
    let link = link.ok_or_else(|| no_such("link"))?;
    let actor = about.pass.identity.actor();
    api.store().revoke_link(&about.session.id, link, actor, Timestamp::now()).await?;
    api.desktops().dismiss(Whose::Link(link)).await;
    api.note_change();
    Ok(StatusCode::NO_CONTENT)
}

/// Swap a link for a place in its session. Whoever is signed in stays so; others get a cookie.
#[utoipa::path(
    post, path = "/api/v1/redeem", tag = "sharing", request_body = Secret,
    responses((status = 200, body = Place),
        (status = 404, description = "The link is wrong, used up, or has ended"))
)]
pub(super) async fn redeem(
    State(api): State<Api>,
    pass: Pass,
    Read(given): Read<Secret>,
) -> Result<Response, Problem> {
    let (token, now, fresh) = (TokenHash::of(&given.token), Timestamp::now(), Token::fresh()?);
    let redeemed = match &pass.identity {
        Identity::User { user, .. } => api.store().redeem_as_user(&token, user.id, now).await?,
        Identity::Anonymous | Identity::Guest(_) => {
            let (known, hash) = (pass.identity.login(), TokenHash::of(fresh.expose()));
            api.store().redeem_as_guest(&token, known, &hash, now).await?
        }
    };
    let Some(redeemed) = redeemed else {
        let url = api.enter_by_link(&token, &pass.site).await?;
        let url = url.ok_or_else(|| not_good(&api, &pass))?;
        return Ok(Json(Place { url, role: "preview" }).into_response());
    };
    api.note_change();
    let identity = match redeemed.login {
        Some(login) => Identity::Guest(login),
        None => pass.identity.clone(),
    };
    let session = redeemed.grant.session;
    let tie = api.tie(&identity, Some(session.as_str())).await?;
    let role = tie.who.role().ok_or_else(|| no_such("session"))?;
    let place = Json(Place { url: format!("/d/{session}"), role: role.as_str() });
    if redeemed.login.is_none() {
        return Ok(place.into_response());
    }
    let cookie = api.auth().cookies().set_login(&fresh, &pass.site);
    let cookie = cookie.ok_or_else(|| internal("a cookie that is no header"))?;
    Ok(([(header::SET_COOKIE, cookie)], place).into_response())
}

/// One answer for all that can be wrong with a link: a guess learns nothing.
fn not_good(api: &Api, pass: &Pass) -> Problem {
    match api.auth().wrong_token("link", pass.connection.peer.ip()) {
        AuthError::Wrong => Problem::new(
            StatusCode::NOT_FOUND,
            "Link not valid",
            "the link is wrong, was used up, has expired or was ended; ask whoever gave it to you \
             for a new one",
        ),
        error => auth_problem(error, ""),
    }
}
