//! What a page hears of changes.

use super::*;
use std::time::Duration;

/// The events of one connection.
struct Stream(Body, String);

impl World {
    async fn follow(&self, who: &Proof) -> Stream {
        let (headers, nothing) = (HeaderMap::new(), String::new());
        let response = self.open(Method::GET, "/api/v1/events", who, headers, nothing).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Stream(response.into_body(), String::new())
    }
}

impl Stream {
    /// The name and data of the next event; nothing at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.1.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| line.strip_prefix(name)).unwrap_or("").trim().to_owned()
                };
                let (name, data) = (field("event:"), field("data:"));
                self.1 = rest.to_owned();
                let data = serde_json::from_str(&data).unwrap_or(Value::Null);
                return Some((name, data));
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.0.frame());
            let frame = frame.await.expect("an event comes")?.expect("no error");
            let data = frame.into_data().expect("data");
            self.1.push_str(std::str::from_utf8(&data).expect("text"));
        }
    }
}

#[tokio::test]
async fn a_page_hears_of_its_own_sessions_and_no_others() {
    let world = World::new().await;
    let (ann, ben) = (world.user().await, world.user().await);
    let hers = world.browser(&ann).await;
    let mut stream = world.follow(&hers).await;
    assert_eq!(stream.next().await, Some(("ready".into(), json!({}))));

    world.session_of(&ben).await;
    let body = json!({ "template": "desktop" });
    let made = world.ask(Method::POST, "/api/v1/sessions", &hers, body).await.json();
    let (name, data) = stream.next().await.expect("an event");
    assert_eq!((name.as_str(), &data), ("session", &made));

    let session: SessionId = made["id"].as_str().expect("an id").parse().expect("an id");
    world.show(&session, State::Running, 0);
    assert_eq!(stream.next().await.expect("an event").1["state"], "running");
    world.show(&session, State::Running, 3);
    assert_eq!(stream.next().await.expect("an event").1["viewers"], 3);

    let (agent, newest) = watch::channel(Bytes::new());
    let gallery = world.api.desktops().gallery().clone();
    tokio::spawn(gallery.follow(session.clone(), newest));
    for picture in [&b"one"[..], b"two"] {
        agent.send_replace(Bytes::from_static(picture));
        let told = stream.next().await.expect("an event").1;
        let path = format!("/api/v1/sessions/{session}/picture");
        let answer = world.get(&path, &hers).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, picture), "as it came");
        let number = told["picture"].as_u64().expect("a number");
        assert_eq!(answer.headers[header::ETAG], format!("\"{number}\""));
    }

    let path = format!("/api/v1/sessions/{session}");
    world.ask(Method::DELETE, &path, &hers, Value::Null).await;
    let gone = stream.next().await;
    assert_eq!(gone, Some(("gone".into(), json!({ "id": session.as_str() }))));
}

#[tokio::test]
async fn a_guest_hears_that_the_link_has_ended() {
    let world = World::new().await;
    let owner = world.user().await;
    let (session, owner) = (world.session_of(&owner).await, world.browser(&owner).await);
    let (secret, link) = world.link(&owner, &session, json!({ "role": "view" })).await;
    let guest = world.redeem(&Proof::default(), &secret).await.proof();
    let mut stream = world.follow(&guest).await;
    stream.next().await;
    world.show(&session, State::Running, 1);
    assert_eq!(stream.next().await.expect("an event").1["role"], "view");
    let path = format!("/api/v1/sessions/{session}/links/{link}");
    world.ask(Method::DELETE, &path, &owner, Value::Null).await;
    let gone = stream.next().await;
    assert_eq!(gone, Some(("gone".into(), json!({ "id": session.as_str() }))));
}

#[tokio::test]
async fn events_end_with_the_login() {
    let world = World::new().await;
    let user = world.user().await;
    let (here, there) = (world.browser(&user).await, world.browser(&user).await);
    let (mut first, mut second) = (world.follow(&here).await, world.follow(&there).await);
    first.next().await;
    second.next().await;
    world.ask(Method::POST, "/api/v1/logout", &here, Value::Null).await;
    assert_eq!(first.next().await, None);
    let body = json!({ "template": "desktop" });
    world.ask(Method::POST, "/api/v1/sessions", &there, body).await;
    assert_eq!(second.next().await.expect("the other goes on").0, "session");
}

#[tokio::test]
async fn events_end_with_the_server() {
    let world = World::new().await;
    let who = world.browser(&world.admin().await).await;
    let mut stream = world.follow(&who).await;
    stream.next().await;
    let World { drain, api, router, .. } = world;
    drop((api, router));
    let closing = tokio::spawn(drain.close(Duration::from_secs(5)));
    assert_eq!(stream.next().await, None);
    drop(stream);
    assert!(closing.await.expect("no panic"), "nothing holds on");
}

#[tokio::test]
async fn how_far_an_app_is_is_told_to_those_whose_it_is() {
    let world = World::new().await;
    let (ann, ben) = (world.user().await, world.user().await);
    let (hers, his) = (world.browser(&ann).await, world.browser(&ben).await);
    let (mut stream, mut other) = (world.follow(&hers).await, world.follow(&his).await);
    stream.next().await;
    other.next().await;
    world.runtime.hold_pulls(true);
    let body = json!({ "edition": world.edition(&hers).await });
    let path = "/api/v1/catalogue/apps/draw/mine";
    world.ask(Method::POST, path, &hers, body).await;
    let (name, mut told) = stream.next().await.expect("an event");
    assert_eq!(name, "catalogue");
    while told["pulls"][0]["done_bytes"] != 3 << 20 {
        told = stream.next().await.expect("an event").1;
    }
    assert_eq!((&told["revision"], &told["pulls"][0]["for"]), (&json!(0), &json!("me")));
    world.runtime.hold_pulls(false);
    while told["revision"] == 0 {
        told = stream.next().await.expect("an event").1;
    }
    assert_eq!(told["pulls"], json!([]));
    let (_, told) = other.next().await.expect("something has changed");
    assert_eq!(told, json!({ "revision": 1, "pulls": [] }), "what is hers is not told to him");
}

#[tokio::test]
async fn administrators_hear_of_builds_and_everybody_that_one_has_ended() {
    let world = World::new().await;
    let (boss, member) = (world.admin().await, world.user().await);
    let (hers, his) = (world.browser(&boss).await, world.browser(&member).await);
    let build = |image: &str| crate::broker::protocol::Build {
        run: "7-1".into(),
        image: image.into(),
        number: 1,
        of: 1,
        step: 4,
        steps: 9,
        since: Timestamp::now().0,
        is_failed: false,
    };
    let (mut theirs, mut plain) = (world.follow(&hers).await, world.follow(&his).await);
    for stream in [&mut theirs, &mut plain] {
        assert_eq!(stream.next().await.expect("an event").0, "ready");
    }
    let following = tokio::spawn(world.api.clone().follow_builds());
    world.runtime.build(vec![build("lattice/code")]);
    let _looker = world.api.watch_builds();
    let (name, told) = theirs.next().await.expect("an event");
    assert_eq!((name.as_str(), &told["builds"][0]["image"]), ("builds", &json!("lattice/code")));
    world.runtime.build(vec![]);
    let ended = json!({ "revision": 1, "builds": [] });
    assert_eq!(theirs.next().await, Some(("builds".into(), ended.clone())));
    assert_eq!(plain.next().await, Some(("builds".into(), ended)), "and nothing before");
    following.abort();
}
