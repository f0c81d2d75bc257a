//! The one way to a handler: who asks, from which page, and whether they may.

use super::Api;
use super::answers::{auth_problem, internal, no_such};
use crate::accept::Connection;
use crate::auth::{Identity, Proof};
use crate::http::origin::{OriginCheck, Site};
use crate::http::problem::Problem;
use crate::store::{Grant, Session, StoreError, Timestamp, UserRole};
use axum::Extension;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use lattice_engine::policy::{self, Action, Permit, SessionRole, Who};
use lattice_engine::session::SessionId;

/// A request that was let through.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    /// Who asks.
    pub(super) identity: Identity,
    /// What they are to what they ask about.
    pub(super) who: Who,
    /// By which name of the server.
    pub(super) site: Site,
    /// On which connection.
    pub(super) connection: Connection,
    subject: Option<(Session, SessionRole)>,
}

/// A request about a session, which there is and which they may ask about.
#[derive(Debug)]
pub(super) struct AboutSession {
    pub(super) pass: Pass,
    pub(super) session: Session,
    pub(super) role: SessionRole,
}

/// What somebody is to a session, and by which link.
#[derive(Debug)]
pub(super) struct Tie {
    pub(super) who: Who,
    pub(super) session: Option<Session>,
    pub(super) grant: Option<Grant>,
}

impl<S: Sync> FromRequestParts<S> for Pass {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.remove().ok_or_else(|| internal("a route without its gate"))
    }
}

impl<S: Sync> FromRequestParts<S> for AboutSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut pass = Pass::from_request_parts(parts, state).await?;
        let subject = pass.subject.take();
        let (session, role) = subject.ok_or_else(|| internal("a route without its session"))?;
        Ok(Self { pass, session, role })
    }
}

pub(super) async fn gate(
    State((api, action)): State<(Api, Action)>,
    params: RawPathParams,
    Extension(connection): Extension<Connection>,
    Extension(site): Extension<Site>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let peer = connection.peer.ip();
    let action = api.action_here(action);
    let identified = api.auth().identify(request.headers(), &site, peer).await;
    let (identity, proof) =
        identified.map_err(|error| auth_problem(error, "the bearer token is wrong"))?;
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    check_page(&site, request.headers(), safe, proof)?;
    let named = params.iter().find(|(name, _)| *name == "id").map(|(_, id)| id);
    let about = named.filter(|_| action.is_about_session());
    let tie = match action {
        // What was thrown away is there for nothing else.
        Action::RecoverSession | Action::DeleteSession => api.tie_kept(&identity, about).await?,
        _ => api.tie(&identity, about).await?,
    };
    let who = tie.who;
    let permit = policy::decide(who, action);
    let permit = permit.ok_or_else(|| refused(&identity, who, action))?;
    let subject = match about {
        Some(_) => Some(subject(permit, tie.session)?),
        None => None,
    };
    request.extensions_mut().insert(Pass { identity, who, site, connection, subject });
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn subject(permit: Permit, session: Option<Session>) -> Result<(Session, SessionRole), Problem> {
    let session = session.ok_or_else(|| no_such("session"))?;
    Ok((session, permit.role().ok_or_else(|| internal("a permit without a role"))?))
}

impl Api {
    /// What a route lets one do on this server, whose administrator may let owners do more.
    pub(super) fn action_here(&self, action: Action) -> Action {
        match action {
            Action::EditTemplate if self.making().owners_edit => Action::EditOwnTemplate,
            action => action,
        }
    }

    /// What somebody is to the session of that id, where one is named.
    pub(super) async fn tie(
        &self,
        identity: &Identity,
        named: Option<&str>,
    ) -> Result<Tie, StoreError> {
        let tie = self.tie_kept(identity, named).await?;
        match &tie.session {
            Some(session) if session.discarded.is_some() => self.tie_kept(identity, None).await,
            _ => Ok(tie),
        }
    }

    /// The same, also where it was thrown away and can be had back.
    async fn tie_kept(&self, identity: &Identity, named: Option<&str>) -> Result<Tie, StoreError> {
        let id = named.and_then(|id| id.parse::<SessionId>().ok());
        let (session, grant) = match (id, identity.holder()) {
            (Some(id), Some(holder)) => (
                self.store().session_or_discarded(&id).await?,
                self.store().grant(&id, holder, Timestamp::now()).await?,
            ),
            _ => (None, None),
        };
        let shared = grant.as_ref().map(|grant| grant.role);
        let owned_by = session.as_ref().map(|session| session.owner.id);
        let who = match identity {
            Identity::Anonymous => Who::Anonymous,
            Identity::Guest(_) => Who::Guest { shared },
            Identity::User { user, .. } => {
                let owner = owned_by == Some(user.id);
                match user.role {
                    UserRole::Admin => Who::Admin { owner },
                    UserRole::Member => Who::User { owner, shared },
                }
            }
        };
        Ok(Tie { who, session, grant })
    }
}

/// A page of another site must not be able to have a browser ask in its person's name.
fn check_page(site: &Site, headers: &HeaderMap, safe: bool, proof: Proof) -> Result<(), Problem> {
    let elsewhere = Site::is_cross_site(headers);
    if safe {
        return if elsewhere && proof == Proof::Cookie { Err(foreign(site)) } else { Ok(()) };
    }
    match (site.check_origin(headers), proof) {
        _ if elsewhere => Err(foreign(site)),
        (OriginCheck::Foreign, _) => Err(foreign(site)),
        (OriginCheck::Missing, Proof::Cookie) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "Origin not allowed",
            "a request with a cookie must say by Origin which page it comes from; programs that \
             are no browser send a token as Authorization: Bearer",
        )),
        (OriginCheck::Missing, Proof::Bearer | Proof::None) | (OriginCheck::Same, _) => Ok(()),
    }
}

fn foreign(site: &Site) -> Problem {
    let detail = format!("only pages of {} may ask this", site.origin);
    Problem::new(StatusCode::FORBIDDEN, "Origin not allowed", detail)
}

/// A session that one may not even read is not there, so that nobody learns which there are.
pub(super) fn refused(identity: &Identity, who: Who, action: Action) -> Problem {
    if *identity == Identity::Anonymous {
        let detail = "sign in first; programs send a token as Authorization: Bearer";
        return Problem::new(StatusCode::UNAUTHORIZED, "Not signed in", detail);
    }
    if action.is_about_session() && policy::decide(who, Action::ReadSession).is_none() {
        return no_such("session");
    }
    let detail = match (action.is_about_session(), identity) {
        (true, _) if action == Action::DuplicateSession => "only the session's owner may do this",
        (true, _) if action == Action::EditTemplate => {
            "only administrators change what a desktop is made of on this server; ask one of them"
        }
        (true, _) => "only the session's owner and administrators may do this",
        (false, Identity::Guest(_)) => "this needs an account; sign in with yours",
        (false, _) => "only administrators may do this",
    };
    Problem::new(StatusCode::FORBIDDEN, "Not allowed", detail)
}
