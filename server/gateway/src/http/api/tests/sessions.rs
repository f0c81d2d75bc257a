//! Sessions as their owners meet them.

use super::*;
use crate::runtime::{Held, PartState, SeenPart, Stored, Usage};

#[tokio::test]
async fn a_session_is_made_shown_stopped_started_and_deleted() {
    let world = World::new().await;
    let user = world.user().await;
    let who = world.browser(&user).await;
    let templates = world.get("/api/v1/templates", &who).await.json();
    assert_eq!(templates["templates"][0]["id"], "desktop");
    let body = json!({ "template": "desktop", "name": "Maths" });
    let made = world.ask(Method::POST, "/api/v1/sessions", &who, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.detail());
    let view = made.json();
    let id = view["id"].as_str().expect("an id").to_owned();
    assert_eq!(made.headers[header::LOCATION], format!("/api/v1/sessions/{id}"));
    assert_eq!(view["url"], format!("/d/{id}"));
    assert_eq!(view["owner"]["id"], user.id.0.to_string());
    let facts = ["name", "state", "role", "template"].map(|field| view[field].clone());
    assert_eq!(facts, ["Maths", "requested", "owner", "desktop"].map(Value::from));
    assert!(view["created_at"].as_str().is_some_and(|at| at.ends_with('Z') && at.len() == 20));
    assert_eq!(world.told().await, [format!("look {id}")]);

    let session: SessionId = id.parse().expect("an id");
    world.show(&session, State::Running, 2);
    let path = format!("/api/v1/sessions/{id}");
    let shown = world.get(&path, &who).await.json();
    assert_eq!((&shown["state"], &shown["viewers"]), (&json!("running"), &json!(2)));
    for (order, state) in [("stop", "stopping"), ("start", "running")] {
        let path = format!("{path}/{order}");
        let answer = world.ask(Method::POST, &path, &who, Value::Null).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.json()["state"], state);
        assert_eq!(world.told().await, [format!("look {id}")]);
    }
    let gone = world.ask(Method::DELETE, &path, &who, Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(world.told().await, [format!("look {id}")]);
    assert_eq!(world.get(&path, &who).await.status, StatusCode::NOT_FOUND);
    let listed = world.get("/api/v1/sessions", &who).await.json();
    assert_eq!(listed, json!({ "sessions": [] }));
}

#[tokio::test]
async fn a_session_that_waits_says_where_it_stands() {
    let world = World::new().await;
    let user = world.user().await;
    let (who, session) = (world.browser(&user).await, world.session_of(&user).await);
    let path = format!("/api/v1/sessions/{session}");
    world.show(&session, State::Queued, 0);
    let shown = world.get(&path, &who).await.json();
    assert_eq!(shown["queue"], json!({ "position": 3, "eta_s": 120 }));
    world.show(&session, State::Running, 0);
    assert_eq!(world.get(&path, &who).await.json()["queue"], Value::Null);
}

#[tokio::test]
async fn what_its_owner_keeps_is_told_to_them_and_not_to_whom_they_share_with() {
    let world = World::new().await;
    let user = world.user().await;
    let (who, session) = (world.browser(&user).await, world.session_of(&user).await);
    let path = format!("/api/v1/sessions/{session}");
    world.show(&session, State::Running, 0);
    assert_eq!(world.get(&path, &who).await.json()["storage"], Value::Null);
    let nothing = Held { used: 0, limit: None };
    let data = Held { used: 95, limit: Some(100) };
    let stored = Stored { data, home: nothing, apps: nothing, is_enforced: true };
    world.live.send_modify(|all| {
        let live = Arc::make_mut(all).get_mut(&session).expect("shown");
        let part = SeenPart { name: "xorg".into(), is_app: false, state: PartState::Running };
        live.stored = Some(stored);
        live.usage = Usage { since: Some(0), memory: Some(7), cpu: None, parts: vec![part] };
    });
    let shown = world.get(&path, &who).await.json();
    let data = json!({ "used_bytes": 95, "limit_bytes": 100, "full": true });
    assert_eq!(shown["storage"]["data"], data);
    assert_eq!(shown["storage"]["home"]["limit_bytes"], Value::Null);
    assert_eq!(shown["storage"]["enforced"], true);
    let part = json!({ "name": "xorg", "app": false, "state": "running" });
    let usage = json!({ "since": "1970-01-01T00:00:00Z", "memory_bytes": 7, "cpu_percent": null, "parts": [part] });
    assert_eq!(shown["usage"], usage);
    let (secret, _) = world.link(&who, &session, json!({ "role": "control" })).await;
    let other = world.user().await;
    let guest = world.browser(&other).await;
    assert_eq!(world.redeem(&guest, &secret).await.status, StatusCode::OK);
    let shown = world.get(&path, &guest).await;
    assert_eq!((shown.status, shown.json()["storage"].clone()), (StatusCode::OK, Value::Null));
    assert_eq!(shown.json()["usage"], Value::Null);
}

#[tokio::test]
async fn a_session_is_paused_and_reset_where_that_can_be() {
    let world = World::new().await;
    let user = world.user().await;
    let (who, session) = (world.browser(&user).await, world.session_of(&user).await);
    let path = |verb| format!("/api/v1/sessions/{session}/{verb}");
    let post = async |verb| world.ask(Method::POST, &path(verb), &who, Value::Null).await;
    let refused = post("pause").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.detail().contains("start it"), "{}", refused.detail());
    world.show(&session, State::Running, 0);
    assert_eq!(post("pause").await.status, StatusCode::ACCEPTED);
    assert_eq!(world.told().await, [format!("pause {session}")]);
    world.show(&session, State::Idle, 0);
    let again = post("pause").await;
    assert_eq!((again.status, &again.json()["state"]), (StatusCode::ACCEPTED, &json!("idle")));
    assert_eq!(world.told().await, [""; 0]);
    assert_eq!(post("reset").await.status, StatusCode::ACCEPTED);
    assert_eq!(world.told().await, [format!("reset {session}")]);

    world.show(&session, State::Running, 0);
    world.live.send_modify(|all| {
        let live = Arc::make_mut(all).get_mut(&session).expect("shown");
        live.can_pause = false;
    });
    let refused = post("pause").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.detail().contains("containers"), "{}", refused.detail());
}

#[tokio::test]
async fn nothing_is_started_while_sessions_cannot_be_looked_after() {
    let world = World::new().await;
    let user = world.user().await;
    let (who, session) = (world.browser(&user).await, world.session_of(&user).await);
    world.show(&session, State::Running, 0);
    let verbs =
        ["start", "pause", "reset"].map(|verb| format!("/api/v1/sessions/{session}/{verb}"));
    let ask = async |path: &str| {
        let body = match path {
            "/api/v1/sessions" => json!({ "template": "desktop" }),
            _ => Value::Null,
        };
        world.ask(Method::POST, path, &who, body).await
    };
    world.trouble.send_replace(true);
    for path in verbs.iter().map(String::as_str).chain(["/api/v1/sessions"]) {
        let answer = ask(path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.headers[header::RETRY_AFTER], "5");
        assert!(answer.detail().contains("try again"), "{}", answer.detail());
    }
    // What runs can be ended and seen.
    let stop = format!("/api/v1/sessions/{session}/stop");
    assert_eq!(ask(&stop).await.status, StatusCode::ACCEPTED);
    let listed = world.get("/api/v1/sessions", &who).await.json();
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(1));
    world.trouble.send_replace(false);
    assert_eq!(ask(&verbs[0]).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn an_administrator_sees_all_when_asking_for_all() {
    let world = World::new().await;
    let ann = world.user().await;
    let session = world.session_of(&ann).await;
    let root = world.browser(&world.admin().await).await;
    let own = world.get("/api/v1/sessions", &root).await.json();
    assert_eq!(own, json!({ "sessions": [] }));
    let all = world.get("/api/v1/sessions?all=1", &root).await.json();
    assert_eq!(all["sessions"][0]["id"], session.as_str());
    assert_eq!(all["sessions"][0]["role"], "admin");
    let hers = world.browser(&ann).await;
    for path in ["/api/v1/sessions?all=1", "/api/v1/events?all=1"] {
        assert_eq!(world.get(path, &hers).await.status, StatusCode::FORBIDDEN);
    }
    let odd = world.get("/api/v1/sessions?owner=1", &hers).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn nobody_has_more_sessions_than_may_be() {
    let world = World::new().await;
    let who = world.browser(&world.user().await).await;
    let make = async || {
        let body = json!({ "template": "desktop" });
        world.ask(Method::POST, "/api/v1/sessions", &who, body).await
    };
    for _ in 0..MOST_SESSIONS {
        assert_eq!(make().await.status, StatusCode::CREATED);
    }
    let refused = make().await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.detail().contains("8 already"), "{}", refused.detail());
}

#[tokio::test]
async fn what_a_session_cannot_be_made_of_is_refused() {
    let world = World::new().await;
    let who = world.browser(&world.user().await).await;
    let long = "n".repeat(65);
    for body in [
        json!({ "template": "nonsense" }),
        json!({ "template": "../desktop" }),
        json!({ "template": "desktop", "name": "" }),
        json!({ "template": "desktop", "name": "a\nb" }),
        json!({ "template": "desktop", "name": long }),
    ] {
        let answer = world.ask(Method::POST, "/api/v1/sessions", &who, body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let shown = json!({ "template": "desktop", "name": "<svg onload=alert(1)>" });
    let answer = world.ask(Method::POST, "/api/v1/sessions", &who, shown).await;
    assert_eq!(answer.status, StatusCode::CREATED, "markup is a name like another");
}

#[tokio::test]
async fn a_locked_database_is_told_as_busy() {
    let world = World::new().await;
    let error = crate::store::StoreError::Busy;
    let response =
        axum::response::IntoResponse::into_response(crate::http::problem::Problem::from(error));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    drop(world);
}

#[tokio::test]
async fn a_session_is_renamed_duplicated_thrown_away_and_taken_back() {
    let world = World::new().await;
    let user = world.user().await;
    let (who, session) = (world.browser(&user).await, world.session_of(&user).await);
    let path = format!("/api/v1/sessions/{session}");
    let body = json!({ "name": "  Maths " });
    let renamed = world.ask(Method::PATCH, &path, &who, body).await;
    assert_eq!((renamed.status, &renamed.json()["name"]), (StatusCode::OK, &json!("Maths")));
    for wrong in [json!({ "name": " " }), json!({ "name": "a\u{202e}b" }), json!({ "owner": 1 })] {
        let refused = world.ask(Method::PATCH, &path, &who, wrong).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    }
    let twin = format!("{path}/duplicate");
    let twin = world.ask(Method::POST, &twin, &who, json!({ "name": "Maths 2" })).await;
    assert_eq!(twin.status, StatusCode::CREATED, "{}", twin.detail());
    let twin = twin.json();
    assert_eq!((&twin["name"], &twin["template"]), (&json!("Maths 2"), &json!("desktop")));
    assert_ne!(twin["id"], session.as_str());

    let (secret, _) = world.link(&who, &session, json!({ "role": "view" })).await;
    let thrown = world.ask(Method::POST, &format!("{path}/discard"), &who, Value::Null).await;
    assert_eq!(thrown.status, StatusCode::OK, "{}", thrown.detail());
    assert!(thrown.json()["discarded"]["until"].is_string());
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::POST, format!("{path}/start")),
        (Method::POST, format!("{path}/links")),
        (Method::POST, format!("{path}/discard")),
    ] {
        let refused = world.ask(method, &path, &who, json!({ "role": "view" })).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(world.redeem(&Proof::default(), &secret).await.status, StatusCode::NOT_FOUND);
    let listed = world.get("/api/v1/sessions", &who).await.json();
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(1));
    let all = world.get("/api/v1/sessions?all=1", &world.browser(&world.admin().await).await).await;
    assert_eq!(all.json()["sessions"].as_array().map(Vec::len), Some(1));
    let thrown = world.get("/api/v1/sessions?discarded=1", &who).await.json();
    assert_eq!(thrown["sessions"][0]["id"], session.as_str());
    let stranger = world.browser(&world.user().await).await;
    let others = world.get("/api/v1/sessions?discarded=1", &stranger).await.json();
    assert_eq!(others, json!({ "sessions": [] }));

    world.told().await;
    let recover = format!("{path}/recover");
    let refused = world.ask(Method::POST, &recover, &stranger, Value::Null).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    let back = world.ask(Method::POST, &recover, &who, Value::Null).await;
    assert_eq!(back.status, StatusCode::OK, "{}", back.detail());
    assert_eq!(world.told().await, [format!("look {session}")]);
    assert_eq!(world.redeem(&Proof::default(), &secret).await.status, StatusCode::OK);
    for order in [(Method::POST, format!("{path}/discard")), (Method::DELETE, path.clone())] {
        let done = world.ask(order.0, &order.1, &who, Value::Null).await;
        assert!(done.status.is_success(), "what was thrown away can be deleted for good");
    }
    let recovered = world.ask(Method::POST, &recover, &who, Value::Null).await;
    assert_eq!(recovered.status, StatusCode::NOT_FOUND);
}
