//! The life of a share link, as those who hold it meet it.

use super::*;
use crate::hub::Whose;
use std::time::Duration;

impl World {
    async fn shared(&self, with: Value) -> (Proof, SessionId, String, String) {
        let owner = self.user().await;
        let (session, owner) = (self.session_of(&owner).await, self.browser(&owner).await);
        let (secret, id) = self.link(&owner, &session, with).await;
        (owner, session, secret, id)
    }

    async fn status(&self, path: &str, who: &Proof) -> StatusCode {
        self.get(path, who).await.status
    }
}

#[tokio::test]
async fn a_link_is_swapped_for_a_cookie_that_opens_one_session() {
    let world = World::new().await;
    let (_, session, secret, _) = world.shared(json!({ "role": "assist" })).await;
    let other = world.session_of(&world.user().await).await;
    let redeemed = world.redeem(&Proof::default(), &secret).await;
    assert_eq!(redeemed.json(), json!({ "url": format!("/d/{session}"), "role": "assist" }));
    let set = redeemed.headers[header::SET_COOKIE].to_str().expect("ascii");
    assert!(
        set.starts_with("__Host-Http-lattice-8080=") && set.contains("; HttpOnly; SameSite=Lax")
    );
    assert!(!set.contains(&secret));

    let guest = redeemed.proof();
    let me = world.get("/api/v1/me", &guest).await.json();
    assert_eq!(me, json!({ "guest": { "session": session.as_str(), "role": "assist" } }));
    let seen = world.get("/api/v1/sessions", &guest).await.json();
    assert_eq!(seen["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(seen["sessions"][0]["role"], "assist");
    let path = |id: &SessionId| format!("/api/v1/sessions/{id}");
    assert_eq!(world.status(&path(&session), &guest).await, StatusCode::OK);
    assert_eq!(world.status(&path(&other), &guest).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn one_browser_uses_a_link_once_and_looking_uses_nothing() {
    let world = World::new().await;
    let (owner, session, secret, _) = world.shared(json!({ "role": "view", "max_uses": 1 })).await;
    // What a bot of a messenger does with a link: GET and HEAD, of pages that are not the API's.
    for method in [Method::GET, Method::HEAD] {
        for path in ["/api/v1/redeem", &*format!("/s/{secret}")] {
            let answer = world.ask(method.clone(), path, &Proof::default(), Value::Null).await;
            assert!(!answer.status.is_success(), "{method} {path}");
        }
    }
    let guest = world.redeem(&Proof::default(), &secret).await;
    assert_eq!(guest.status, StatusCode::OK);
    let again = world.redeem(&guest.proof(), &secret).await;
    assert_eq!(again.status, StatusCode::OK, "the page was loaded again");
    assert!(!again.headers.contains_key(header::SET_COOKIE));
    let another = world.redeem(&Proof::default(), &secret).await;
    assert_eq!(another.status, StatusCode::NOT_FOUND);
    let links = world.get(&format!("/api/v1/sessions/{session}/links"), &owner).await.json();
    assert_eq!((&links["links"][0]["uses"], &links["links"][0]["url"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn all_that_can_be_wrong_with_a_link_is_answered_alike() {
    let world = World::new().await;
    let (owner, session, used, _) = world.shared(json!({ "role": "view", "max_uses": 1 })).await;
    world.redeem(&Proof::default(), &used).await;
    let (revoked, id) = world.link(&owner, &session, json!({ "role": "view" })).await;
    let path = format!("/api/v1/sessions/{session}/links/{id}");
    world.ask(Method::DELETE, &path, &owner, Value::Null).await;
    let (_, gone, deleted, _) = world.shared(json!({ "role": "view" })).await;
    let now = Timestamp::now();
    world.api.store().delete_session(&gone, Actor::System, now).await.expect("deleted");
    let never = Token::fresh().expect("random bytes").expose().to_owned();
    let first = world.redeem(&Proof::default(), &used).await;
    for secret in [revoked, deleted, never, String::new(), "x".repeat(1000)] {
        let answer = world.redeem(&Proof::default(), &secret).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::NOT_FOUND, &first.body));
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
    }
}

#[tokio::test]
async fn guessing_is_limited_but_who_has_a_link_still_gets_in() {
    let world = World::new().await;
    let (_, _, secret, _) = world.shared(json!({ "role": "view" })).await;
    let mut limited = 0;
    for n in 0..100 {
        let answer = world.redeem(&Proof::default(), &format!("guess{n}")).await;
        limited += usize::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(answer.headers.contains_key(header::RETRY_AFTER));
        }
    }
    assert_eq!(limited, 40);
    assert_eq!(world.redeem(&Proof::default(), &secret).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_link_ends_what_it_gave_at_once() {
    let world = World::new().await;
    let (owner, session, secret, id) = world.shared(json!({ "role": "control" })).await;
    let guest = world.redeem(&Proof::default(), &secret).await.proof();
    let friend = world.browser(&world.user().await).await;
    world.redeem(&friend, &secret).await;
    let path = format!("/api/v1/sessions/{session}");
    for who in [&guest, &friend] {
        assert_eq!(world.status(&path, who).await, StatusCode::OK);
    }
    world.told().await;
    let revoke = format!("{path}/links/{id}");
    let revoked = world.ask(Method::DELETE, &revoke, &owner, Value::Null).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    assert_eq!(world.told().await, [format!("dismiss Link(LinkId({id}))")]);
    for who in [&guest, &friend] {
        assert_eq!(world.status(&path, who).await, StatusCode::NOT_FOUND);
    }
    assert_eq!(world.status("/api/v1/me", &guest).await, StatusCode::UNAUTHORIZED);
    assert_eq!(world.status("/api/v1/me", &friend).await, StatusCode::OK);
    let again = world.ask(Method::DELETE, &revoke, &owner, Value::Null).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_admission_that_was_overtaken_by_a_revocation_does_not_stand() {
    let world = World::new().await;
    let (owner, session, secret, id) = world.shared(json!({ "role": "view" })).await;
    let guest = world.redeem(&Proof::default(), &secret).await.proof();
    let mut headers = HeaderMap::new();
    headers.insert(header::ORIGIN, ORIGIN.parse().expect("a header"));
    headers.insert(header::COOKIE, guest.cookie.expect("a cookie").parse().expect("a header"));
    let (site, peer) = (Site::new(ORIGIN), [192, 0, 2, 7].into());
    let admission = world.api.authorize_socket(&headers, session.as_str(), &site, peer).await;
    let admission = admission.expect("they may look");
    assert!(
        Whose::Link(crate::store::LinkId(id.parse().expect("a number"))).includes(admission.right)
    );
    let revoke = format!("/api/v1/sessions/{session}/links/{id}");
    world.ask(Method::DELETE, &revoke, &owner, Value::Null).await;
    assert!(!world.api.still_stands(&admission).await.expect("asked"));
}

/// In true time: what expires is the store's, and its clock is the wall's.
#[tokio::test]
async fn a_link_that_expires_ends_sockets_within_a_second() {
    let world = World::new().await;
    let owner = world.user().await;
    let session = world.session_of(&owner).await;
    let upkeep = tokio::spawn(world.api.clone().upkeep());
    let now = Timestamp::now();
    let expires_at = now.plus(2);
    let new = crate::store::NewLink {
        session: &session,
        role: lattice_engine::policy::LinkRole::View,
        token: TokenHash::of("secret"),
        expires_at,
        max_uses: None,
        created_by: owner.id,
        from_desktop: false,
    };
    let link = world.api.store().create_link(&new, 10, now).await.expect("made");
    world.api.note_change();
    let line = format!("dismiss Link({:?})", link.id);
    let ended = async {
        while !world.told().await.contains(&line) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("they are told to go");
    assert!((0..=1).contains(&Timestamp::now().since(expires_at)));
    upkeep.abort();
}

#[tokio::test]
async fn a_users_link_is_theirs_wherever_they_sign_in() {
    let world = World::new().await;
    let (owner, session, secret, _) = world.shared(json!({ "role": "view", "max_uses": 1 })).await;
    let friend = world.user().await;
    let first = world.browser(&friend).await;
    let redeemed = world.redeem(&first, &secret).await;
    assert!(!redeemed.headers.contains_key(header::SET_COOKIE), "they stay signed in");
    let second = world.browser(&friend).await;
    let path = format!("/api/v1/sessions/{session}");
    assert_eq!(world.get(&path, &second).await.json()["role"], "view");
    let owners = world.redeem(&owner, &secret).await.json();
    assert_eq!(owners["role"], "owner", "a link makes an owner no less");
}

#[tokio::test]
async fn a_guest_gathers_links_and_the_newest_is_where_they_are() {
    let world = World::new().await;
    let (_, first, one, _) = world.shared(json!({ "role": "view" })).await;
    let (_, second, two, _) = world.shared(json!({ "role": "control" })).await;
    let before = world.redeem(&Proof::default(), &one).await.proof();
    let after = world.redeem(&before, &two).await.proof();
    assert_ne!(before.cookie, after.cookie);
    for session in [&first, &second] {
        let path = format!("/api/v1/sessions/{session}");
        assert_eq!(world.status(&path, &after).await, StatusCode::OK);
    }
    let me = world.get("/api/v1/me", &after).await.json();
    assert_eq!(me["guest"]["session"], second.as_str());
    let path = format!("/api/v1/sessions/{second}");
    assert_eq!(world.status(&path, &before).await, StatusCode::NOT_FOUND, "the old cookie");
}

#[tokio::test]
async fn a_link_is_made_within_limits_that_are_told() {
    let world = World::new().await;
    let (owner, session, _, id) = world.shared(json!({ "role": "view" })).await;
    let path = format!("/api/v1/sessions/{session}/links");
    let table = [
        (json!({}), "role"),
        (json!({ "role": "owner" }), "owner"),
        (json!({ "role": "view", "expires_in_s": 59 }), "expires_in_s"),
        (json!({ "role": "view", "expires_in_s": 2_592_001 }), "expires_in_s"),
        (json!({ "role": "view", "expires_in_s": -1 }), "expires_in_s"),
        (json!({ "role": "view", "max_uses": 0 }), "max_uses"),
        (json!({ "role": "view", "max_uses": 1001 }), "max_uses"),
        (json!({ "role": "view", "max_uses": -1 }), "-1"),
    ];
    for (body, named) in table {
        let answer = world.ask(Method::POST, &path, &owner, body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answer.detail().contains(named), "{body}: {}", answer.detail());
    }
    // Another session's link is not ended by way of one's own.
    let (other, elsewhere, _, _) = world.shared(json!({ "role": "view" })).await;
    let path = format!("/api/v1/sessions/{elsewhere}/links/{id}");
    let answer = world.ask(Method::DELETE, &path, &other, Value::Null).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
