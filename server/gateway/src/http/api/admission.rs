//! Who may open a viewer's socket, and as what.

use super::Api;
use super::answers::{auth_problem, internal, no_such};
use super::gate::refused;
use crate::auth::{Identity, Proof};
use crate::http::origin::{OriginCheck, Site};
use crate::http::problem::Problem;
use crate::hub::Right;
use crate::store::{Desired, Login, StoreError, Timestamp};
use axum::http::{HeaderMap, StatusCode};
use lattice_engine::policy::{Action, SessionRole, Who, decide};
use lattice_engine::session::SessionId;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::sleep;

const LOOK_INTERVAL: Duration = Duration::from_secs(60);

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
    /// By what.
    pub right: Right,
    /// Whether its desktop is to run.
    pub is_wanted: bool,
    who: Who,
}

impl Admission {
    /// Of an administrator to whom the session belongs.
    #[cfg(test)]
    pub(crate) fn of_owner(session: SessionId, user: Option<crate::store::UserId>) -> Self {
        let right = Right { login: None, link: None, user };
        let (role, who) = (SessionRole::Owner, Who::Admin { owner: true });
        Self { session, role, name: "Ada".into(), right, is_wanted: true, who }
    }

    /// Whether they may do that to the session.
    pub fn may(&self, action: Action) -> bool {
        decide(self.who, action).is_some()
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
        self.admit(&identity, session, Action::Watch).await
    }

    /// As what they may do that to a session.
    pub(super) async fn admit(
        &self,
        identity: &Identity,
        session: &str,
        action: Action,
    ) -> Result<Admission, Problem> {
        let tie = self.tie(identity, Some(session)).await?;
        let permit = decide(tie.who, action);
        let permit = permit.ok_or_else(|| refused(identity, tie.who, action))?;
        let found = tie.session.ok_or_else(|| no_such("session"))?;
        let role = permit.role().ok_or_else(|| internal("a permit without a role"))?;
        let link = match role {
            SessionRole::Shared(_) => tie.grant.map(|grant| grant.link),
            SessionRole::Owner | SessionRole::Admin => None,
        };
        Ok(Admission {
            is_wanted: found.desired == Desired::Running,
            session: found.id,
            role,
            name: name(identity),
            right: Right {
                login: identity.login(),
                link,
                user: identity.user().map(|user| user.id),
            },
            who: tie.who,
        })
    }
}

impl Api {
    /// Returns when an admission is no longer worth what it was, and keeps its login alive until
    /// then. Mostly [`super::Order::Dismiss`] is quicker; but what ended before the hub knew of the
    /// socket has told nobody, so this begins once it does.
    pub async fn until_worthless(self, admission: Admission) {
        loop {
            match self.still_stands(&admission).await {
                Ok(false) => return,
                Ok(true) => self.keep_alive(&admission).await,
                Err(error) => note(&error),
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    pub(super) async fn keep_alive(&self, admission: &Admission) {
        let Some(login) = admission.right.login else { return };
        if let Err(error) = self.auth().touch(login).await {
            note(&error);
        }
    }

    /// Whether the asker administers the server.
    pub async fn authorize_administrator(
        &self,
        headers: &HeaderMap,
        site: &Site,
        peer: IpAddr,
    ) -> Result<(), Problem> {
        let identified = self.auth().identify(headers, site, peer).await;
        let (identity, proof) =
            identified.map_err(|error| auth_problem(error, "the bearer token is wrong"))?;
        check_page(headers, site, proof)?;
        let who = self.tie(&identity, None).await?.who;
        let permit = decide(who, Action::ReadMetrics);
        permit.map(|_| ()).ok_or_else(|| refused(&identity, who, Action::ReadMetrics))
    }

    /// Whether an admission is still worth what it was.
    pub async fn still_stands(&self, admission: &Admission) -> Result<bool, StoreError> {
        let identity = match (admission.right.login, admission.right.user) {
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
        let same_link = admission.right.link.is_none() || admission.right.link == link;
        Ok(tie.session.is_some() && tie.who == admission.who && same_link)
    }
}

fn note(error: &StoreError) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, "a viewer's right cannot be looked at; trying again");
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
