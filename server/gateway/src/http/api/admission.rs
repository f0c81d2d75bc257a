//! Who may open a viewer's socket, and as what.

use super::Api;
use super::answers::{auth_problem, internal, no_such};
use super::gate::refused;
use crate::auth::{Identity, Proof};
use crate::http::origin::{OriginCheck, Site};
use crate::http::problem::Problem;
use crate::store::{LinkId, Login, LoginId, StoreError, Timestamp, UserId};
use axum::http::{HeaderMap, StatusCode};
use lattice_engine::policy::{Action, SessionRole, Who, decide};
use lattice_engine::session::SessionId;
use std::net::IpAddr;

/// Somebody who may look at a session. It is worth what it was when it was given: the manager ends
/// the socket when told to by [`super::Order::Dismiss`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// At which session.
    pub session: SessionId,
    /// As what.
    pub role: SessionRole,
    /// What others call them.
    pub name: String,
    /// Their account, where they have one.
    pub user: Option<UserId>,
    /// Their browser's login; a program has none.
    pub login: Option<LoginId>,
    /// The link that gives them this, where one does.
    pub link: Option<LinkId>,
    who: Who,
}

impl Admission {
    /// Whether they may do that to the session.
    pub fn may(&self, action: Action) -> bool {
        decide(self.who, action).is_some()
    }

    /// Whether they came by what is to end.
    pub fn is_of(&self, whose: super::Whose) -> bool {
        match whose {
            super::Whose::Link(link) => self.link == Some(link),
            super::Whose::Login(login) => self.login == Some(login),
            super::Whose::User(user) => self.user == Some(user),
        }
    }
}

impl Api {
    /// Who asks for `/ws/<session>`, and as what they may look.
    pub async fn authorize_socket(
        &self,
        headers: &HeaderMap,
        session: &str,
        site: &Site,
        peer: IpAddr,
    ) -> Result<Admission, Problem> {
        let identified = self.auth().identify(headers, site, peer).await;
        let (identity, proof) =
            identified.map_err(|error| auth_problem(error, "the bearer token is wrong"))?;
        check_page(headers, site, proof)?;
        let tie = self.tie(&identity, Some(session)).await?;
        let permit = decide(tie.who, Action::Watch);
        let permit = permit.ok_or_else(|| refused(&identity, tie.who, Action::Watch))?;
        let found = tie.session.ok_or_else(|| no_such("session"))?;
        let role = permit.role().ok_or_else(|| internal("a permit without a role"))?;
        let link = match role {
            SessionRole::Shared(_) => tie.grant.map(|grant| grant.link),
            SessionRole::Owner | SessionRole::Admin => None,
        };
        Ok(Admission {
            session: found.id,
            role,
            name: name(&identity),
            user: identity.user().map(|user| user.id),
            login: identity.login(),
            link,
            who: tie.who,
        })
    }
}

impl Api {
    /// Whether an admission is still worth what it was. To be asked once its socket can be found by
    /// [`super::Order::Dismiss`]: what ended between the two has told nobody.
    pub async fn still_stands(&self, admission: &Admission) -> Result<bool, StoreError> {
        let identity = match (admission.login, admission.user) {
            (Some(id), _) => match self.store().login_of_id(id, Timestamp::now()).await? {
                Some(Login { user: Some(user), .. }) => Identity::User { user, login: Some(id) },
                Some(Login { user: None, .. }) => Identity::Guest(id),
                None => return Ok(false),
            },
            (None, Some(id)) => match self.store().user(id).await? {
                Some(user) if !user.disabled => Identity::User { user, login: None },
                _ => return Ok(false),
            },
            (None, None) => return Ok(false),
        };
        let tie = self.tie(&identity, Some(admission.session.as_str())).await?;
        let link = tie.grant.map(|grant| grant.link);
        let same_link = admission.link.is_none() || admission.link == link;
        Ok(tie.session.is_some() && tie.who == admission.who && same_link)
    }
}

fn name(identity: &Identity) -> String {
    match identity {
        Identity::User { user, .. } => user.display_name.clone(),
        // Two guests are told apart by it.
        Identity::Guest(login) => format!("Guest {}", login.0),
        Identity::Anonymous => "Nobody".to_owned(),
    }
}

/// Browsers send the cookie with whatever page opens a socket, so it must be one of ours.
fn check_page(headers: &HeaderMap, site: &Site, proof: Proof) -> Result<(), Problem> {
    let detail = match (site.check_origin(headers), proof) {
        (OriginCheck::Same, _) | (OriginCheck::Missing, Proof::Bearer | Proof::None) => {
            return Ok(());
        }
        (OriginCheck::Missing, Proof::Cookie) => {
            "a request with a cookie must say by Origin which page it comes from; programs that \
             are no browser send a token as Authorization: Bearer"
                .to_owned()
        }
        (OriginCheck::Foreign, _) => format!(
            "only pages of {} may connect; where another address leads here, name it with \
             --public-url",
            site.origin
        ),
    };
    Err(Problem::new(StatusCode::FORBIDDEN, "Origin not allowed", detail))
}
