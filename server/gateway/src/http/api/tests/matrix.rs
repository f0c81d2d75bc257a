//! Every route of the description × everybody, against the policy.

use super::*;
use crate::broker::protocol::ImageKind;
use lattice_engine::policy::{LinkRole, Who, decide};
use std::collections::BTreeSet;
use utoipa::openapi::path::Operation;

/// All that a session's stranger, guest, friend or owner can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Person {
    Anonymous,
    /// With a link to this session.
    Guest(LinkRole),
    /// With a link to another one.
    GuestElsewhere(LinkRole),
    /// With an account and a link to this session.
    Friend(LinkRole),
    Stranger,
    Owner,
    /// A program of the owner's.
    OwnersProgram,
    Admin,
}

impl Person {
    fn all() -> Vec<Self> {
        use Person::*;
        let mut all = vec![Anonymous, Stranger, Owner, OwnersProgram, Admin];
        for role in LinkRole::ALL {
            all.extend([Guest(role), GuestElsewhere(role), Friend(role)]);
        }
        all
    }

    fn who(self) -> Who {
        match self {
            Self::Anonymous => Who::Anonymous,
            Self::Guest(role) => Who::Guest { shared: Some(role) },
            Self::GuestElsewhere(_) => Who::Guest { shared: None },
            Self::Friend(role) => Who::User { owner: false, shared: Some(role) },
            Self::Stranger => Who::User { owner: false, shared: None },
            Self::Owner | Self::OwnersProgram => Who::User { owner: true, shared: None },
            Self::Admin => Who::Admin { owner: false },
        }
    }
}

/// What a route is tried with.
struct Case {
    session: SessionId,
    owner: Proof,
    asks: Proof,
}

impl World {
    async fn case(&self, person: Person) -> Case {
        let owner = self.user().await;
        let session = self.session_of(&owner).await;
        let signed_in = self.browser(&owner).await;
        let asks = match person {
            Person::Anonymous => Proof::default(),
            Person::Guest(role) => self.holder(&signed_in, &session, role, None).await,
            Person::GuestElsewhere(role) => {
                let other = self.user().await;
                let elsewhere = self.session_of(&other).await;
                self.holder(&self.browser(&other).await, &elsewhere, role, None).await
            }
            Person::Friend(role) => {
                let friend = self.browser(&self.user().await).await;
                self.holder(&signed_in, &session, role, Some(friend)).await
            }
            Person::Stranger => self.browser(&self.user().await).await,
            Person::Owner => signed_in.clone(),
            Person::OwnersProgram => self.program(&owner).await,
            Person::Admin => self.browser(&self.admin().await).await,
        };
        Case { session, owner: signed_in, asks }
    }

    async fn holder(
        &self,
        owner: &Proof,
        session: &SessionId,
        role: LinkRole,
        friend: Option<Proof>,
    ) -> Proof {
        let (secret, _) = self.link(owner, session, json!({ "role": role.as_str() })).await;
        let who = friend.clone().unwrap_or_default();
        let redeemed = self.redeem(&who, &secret).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.detail());
        friend.unwrap_or_else(|| redeemed.proof())
    }

    /// A path and a body with which the route works for whoever may.
    async fn works(&self, method: &Method, path: &str, case: &Case) -> (String, Value) {
        let now = Timestamp::now();
        let mut filled = path.replace("{id}", case.session.as_str());
        let mut body = Value::Null;
        match (method.as_str(), path) {
            ("POST", "/api/v1/login") => {
                let name = format!("known{}", self.names.fetch_add(1, Ordering::Relaxed));
                let hash = self.api.auth().passwords().hash("correct horse").await.expect("hashed");
                let password_hash = Some(hash.as_str());
                let role = UserRole::Member;
                let new = NewUser { name: &name, display_name: "K", role, password_hash };
                self.api.store().create_user(&new, Actor::System, now).await.expect("made");
                body = json!({ "name": name, "password": "correct horse" });
            }
            ("POST", "/api/v1/enter") => {
                let user = self.user().await;
                let token = admin::invite(self.api.store(), user.id, Actor::System, now).await;
                body = json!({ "token": token.expect("made").expose() });
            }
            ("POST", "/api/v1/redeem") => {
                let with = json!({ "role": "view" });
                let (secret, _) = self.link(&case.owner, &case.session, with).await;
                body = json!({ "token": secret });
            }
            ("POST", "/api/v1/backup" | "/api/v1/backup/drill") => {
                // One after the other.
                while self.api.backups().now().is_some() {
                    tokio::task::yield_now().await;
                }
            }
            ("PUT", "/api/v1/me/password") => body = json!({ "new": "a long password" }),
            ("POST", "/api/v1/users") => {
                let n = self.names.fetch_add(1, Ordering::Relaxed);
                body = json!({ "name": format!("new{n}") });
            }
            ("PATCH" | "DELETE", "/api/v1/users/{id}") => {
                filled = format!("/api/v1/users/{}", self.user().await.id.0);
                body = json!({ "display_name": "Renamed" });
            }
            ("POST", "/api/v1/sessions/{id}/pause") => {
                self.show(&case.session, State::Running, 0);
            }
            ("PATCH", "/api/v1/sessions/{id}") | ("POST", "/api/v1/sessions/{id}/duplicate") => {
                body = json!({ "name": "Renamed" });
            }
            ("POST", "/api/v1/imports/zip") => filled += "?name=shop.zip",
            ("POST", "/api/v1/imports/git") => {
                body = json!({ "url": "https://git.example/ada/shop.git" });
            }
            (_, path) if path.starts_with("/api/v1/catalogue/") => {
                filled = path.replace("{catalogue}", "apps").replace("{app}", "draw");
                let admin = self.browser(&self.admin().await).await;
                let asks = if path.contains("/mine") { &case.asks } else { &admin };
                if *method == Method::DELETE || path.ends_with("/rollback") {
                    self.install_twice(asks, filled.trim_end_matches("/rollback")).await;
                } else {
                    body = json!({ "edition": self.edition(&admin).await });
                }
            }
            ("POST", "/api/v1/sessions") => body = json!({ "template": "desktop" }),
            ("POST", "/api/v1/sessions/{id}/links") => body = json!({ "role": "view" }),
            ("DELETE", "/api/v1/sessions/{id}/links/{link}") => {
                let with = json!({ "role": "view" });
                let (_, id) = self.link(&case.owner, &case.session, with).await;
                filled = filled.replace("{link}", &id);
            }
            ("POST", "/api/v1/sessions/{id}/apps") => body = json!({ "app": "code" }),
            ("DELETE", "/api/v1/sessions/{id}/apps/{app}") => {
                filled = filled.replace("{app}", "code");
            }
            ("POST", "/api/v1/sessions/{id}/preview-links") => body = json!({ "port": 5173 }),
            ("DELETE", "/api/v1/sessions/{id}/preview-links/{link}") => {
                let path = format!("/api/v1/sessions/{}/preview-links", case.session);
                let port = json!({ "port": 5173 });
                let made = self.ask(Method::POST, &path, &case.owner, port).await.json();
                filled = filled.replace("{link}", made["id"].as_str().expect("an id"));
            }
            ("GET", "/api/v1/sessions/{id}/logs") => filled += "?part=desktop",
            ("POST", "/api/v1/sessions/{id}/previews") => body = json!({ "port": 5173 }),
            (_, path) if path.contains("{snapshot}") => {
                let owner = self.api.store().session(&case.session).await.expect("read");
                self.runtime.give_snapshot(owner.expect("there").owner.id.0);
                filled = filled.replace("{snapshot}", Fake::first_snapshot().as_str());
                match path.rsplit('/').next() {
                    Some("file") => filled += "?path=essay.txt",
                    Some("restore") => body = json!({ "path": "" }),
                    _ => {}
                }
            }
            ("POST", "/api/v1/sessions/{id}/template/check") => body = json!({ "text": "" }),
            ("PUT", "/api/v1/sessions/{id}/template") => {
                body = json!({ "text": format!("{DESKTOP}# more\n"), "based_on": 0 });
            }
            (_, path) if path.contains("{version}") => {
                let author = self.admin().await.id;
                let more = format!("{DESKTOP}# more\n");
                let new =
                    NewVersion { based_on: 0, before: DESKTOP, text: &more, note: "", author };
                let made = self.api.store().apply_template(&case.session, &new, now).await;
                made.expect("made");
                filled = filled.replace("{version}", "0");
                body = json!({ "based_on": 1 });
            }
            ("DELETE", "/api/v1/machine/images/{image}") => {
                let image = super::stock::image('f', ImageKind::Stale, None);
                filled = filled.replace("{image}", image.id.as_str());
                self.runtime.stock(vec![image]);
            }
            ("POST", "/api/v1/sessions/{id}/control") => body = json!({ "to": 2 }),
            _ => {}
        }
        (filled, body)
    }
}

fn operations() -> Vec<(Method, String)> {
    let mut all = Vec::new();
    for (path, item) in openapi::document().paths.paths {
        let operations: [(Method, &Option<Operation>); 5] = [
            (Method::GET, &item.get),
            (Method::PUT, &item.put),
            (Method::POST, &item.post),
            (Method::DELETE, &item.delete),
            (Method::PATCH, &item.patch),
        ];
        let present = operations.into_iter().filter(|(_, operation)| operation.is_some());
        all.extend(present.map(|(method, _)| (method, path.clone())));
    }
    all
}

fn gated() -> Vec<(Method, &'static str, Action)> {
    routes().into_iter().map(|route| (route.method, route.path, route.action)).collect()
}

#[tokio::test]
async fn the_description_and_the_routes_are_the_same() {
    let described: BTreeSet<(String, String)> =
        operations().into_iter().map(|(method, path)| (method.to_string(), path)).collect();
    let routed: BTreeSet<(String, String)> = gated()
        .into_iter()
        .map(|(method, path, _)| (method.to_string(), path.to_owned()))
        .collect();
    assert_eq!(described, routed);
    assert_eq!(routed.len(), routes().len());
    // Whatever names a session must be about it, or nobody would ask what the asker is to it.
    for (_, path, action) in gated() {
        let names = path.starts_with("/api/v1/sessions/{id}");
        assert_eq!(names, action.is_about_session(), "{path}");
    }
}

#[tokio::test]
async fn everybody_may_what_the_policy_says_and_nothing_else() {
    let (world, gated) = (World::new().await, gated());
    let mut cells = 0;
    for (method, path) in operations() {
        let line = gated.iter().find(|(m, p, _)| *m == method && *p == path);
        let (_, _, action) = line.expect("every route has a line in the policy");
        for person in Person::all() {
            let case = world.case(person).await;
            let (filled, body) = world.works(&method, &path, &case).await;
            let headers = HeaderMap::new();
            let status = if path == "/api/v1/events" {
                world
                    .open(method.clone(), &filled, &case.asks, headers, String::new())
                    .await
                    .status()
            } else {
                world.ask(method.clone(), &filled, &case.asks, body).await.status
            };
            let cell = format!("{person:?}: {method} {path} answered {status}");
            let reads = decide(person.who(), Action::ReadSession).is_some();
            let expected = match (decide(person.who(), *action), person) {
                (Some(_), _) => {
                    assert!(status.is_success(), "{cell}");
                    cells += 1;
                    continue;
                }
                (None, Person::Anonymous) => StatusCode::UNAUTHORIZED,
                (None, _) if action.is_about_session() && !reads => StatusCode::NOT_FOUND,
                (None, _) => StatusCode::FORBIDDEN,
            };
            assert_eq!(status, expected, "{cell}");
            cells += 1;
        }
    }
    assert_eq!(cells, routes().len() * Person::all().len());
}

#[tokio::test]
async fn a_socket_opens_for_the_same_people() {
    let world = World::new().await;
    let site = Site::new(ORIGIN);
    let peer = "192.0.2.7".parse().expect("an address");
    for person in Person::all() {
        let case = world.case(person).await;
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, ORIGIN.parse().expect("a header"));
        let bearer = case.asks.bearer.map(|token| format!("Bearer {token}"));
        for (name, value) in [(header::COOKIE, case.asks.cookie), (header::AUTHORIZATION, bearer)] {
            value.map(|value| headers.insert(name, value.parse().expect("a header")));
        }
        let id = case.session.as_str();
        let admitted = world.api.authorize_socket(&headers, id, &site, peer).await;
        let expected = decide(person.who(), Action::Watch).and_then(|permit| permit.role());
        assert_eq!(admitted.as_ref().ok().map(|it| it.role), expected, "{person:?}");
        let Ok(admission) = admitted else { continue };
        for action in [Action::Point, Action::Drive] {
            let expected = decide(person.who(), action).is_some();
            assert_eq!(admission.may(action), expected, "{person:?} {action:?}");
        }
        assert!(world.api.still_stands(&admission).await.expect("asked"), "{person:?}");
        assert_eq!(
            admission.right.link.is_some(),
            matches!(person, Person::Guest(_) | Person::Friend(_))
        );
        let foreign = headers.clone();
        for origin in ["http://evil.example", "http://localhost:8081", "null"] {
            let mut foreign = foreign.clone();
            foreign.insert(header::ORIGIN, origin.parse().expect("a header"));
            let refused = world.api.authorize_socket(&foreign, id, &site, peer).await;
            assert!(refused.is_err(), "{person:?} from {origin}");
        }
        headers.remove(header::ORIGIN);
        let without = world.api.authorize_socket(&headers, id, &site, peer).await;
        assert_eq!(without.is_ok(), person == Person::OwnersProgram, "{person:?}");
    }
}
