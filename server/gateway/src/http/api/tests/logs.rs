//! Logs as the API tells them.

use super::*;
use crate::broker::protocol::{PartState, SeenPart};

const STREAM: &str = "text/event-stream";

async fn world() -> (World, Proof, SessionId) {
    let world = World::new().await;
    let owner = world.user().await;
    let browser = world.browser(&owner).await;
    let session = world.session_of(&owner).await;
    (world, browser, session)
}

#[tokio::test]
async fn parts_are_those_of_the_desktop_and_its_apps_by_name() {
    let (world, browser, session) = world().await;
    world.show(&session, State::Running, 0);
    let part =
        |name: &str, is_app| SeenPart { name: name.to_owned(), is_app, state: PartState::Running };
    world.live.send_modify(|all| {
        let live = Arc::make_mut(all).get_mut(&session).expect("shown");
        live.usage.parts = vec![part("xorg", false), part("code", true)];
    });
    let told = world.get(&format!("/api/v1/sessions/{session}/logs/parts"), &browser).await;
    let expected = json!({ "parts": [
        { "part": "xorg" },
        { "part": "app:code", "title": "VS Code" },
        { "part": "desktop" },
    ] });
    assert_eq!(told.json(), expected);
}

#[tokio::test]
async fn a_log_is_text_and_nothing_else() {
    let (world, browser, session) = world().await;
    let path = format!("/api/v1/sessions/{session}/logs?part=desktop&tail=2");
    let read = world.get(&path, &browser).await;
    assert_eq!(read.status, StatusCode::OK, "{}", read.detail());
    let text = "2026-11-28T20:56:01.000Z <b>two</b>\n2026-11-28T20:56:02.000Z three\n";
    assert_eq!(read.body, text);
    assert_eq!(read.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(read.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(read.headers[header::CONTENT_SECURITY_POLICY], "sandbox");
    assert!(!read.headers.contains_key(header::CONTENT_DISPOSITION));
    let kept = world.get(&format!("{path}&download=1"), &browser).await;
    let name = format!("attachment; filename=\"{session}-desktop.log\"");
    assert_eq!(kept.headers[header::CONTENT_DISPOSITION], name.as_str());
}

#[tokio::test]
async fn what_is_not_understood_is_refused_by_name() {
    let (world, browser, session) = world().await;
    let asked = async |query: &str| {
        let path = format!("/api/v1/sessions/{session}/logs{query}");
        let answer = world.get(&path, &browser).await;
        (answer.status.as_u16(), answer.detail())
    };
    for (query, status, named) in [
        ("", 400, "part"),
        ("?part=..%2Flog", 400, "`part`"),
        ("?part=", 400, "`part`"),
        ("?part=desktop&tail=5001", 400, "`tail` is 5000 at most"),
        ("?part=desktop&tail=-1", 400, "query"),
        ("?part=desktop&follow=2", 400, "`follow` is 1 or 0"),
        ("?part=desktop&since=0", 400, "since"),
        ("?part=app:nothing", 404, "/logs/parts lists"),
    ] {
        let (answered, detail) = asked(query).await;
        assert_eq!(answered, status, "{query}: {detail}");
        assert!(detail.contains(named), "{query}: {detail}");
    }
}

#[tokio::test]
async fn who_follows_hears_until_they_may_no_longer() {
    let (world, browser, session) = world().await;
    let path = format!("/api/v1/sessions/{session}/logs?part=desktop&follow=1");
    let opened = world.open(Method::GET, &path, &browser, HeaderMap::new(), String::new()).await;
    assert_eq!(opened.status(), StatusCode::OK);
    assert_eq!(opened.headers()[header::CONTENT_TYPE], STREAM);
    let mut body = opened.into_body();
    let mut heard = String::new();
    while !heard.contains("three") {
        let frame = body.frame().await.expect("goes on").expect("read");
        heard += std::str::from_utf8(frame.data_ref().expect("data")).expect("text");
    }
    assert!(heard.starts_with("event: ready\n"), "{heard}");
    assert!(heard.contains(r#"{"at":"2026-11-28T20:56:01.000Z","text":"<b>two</b>"}"#), "{heard}");
    let path = format!("/api/v1/sessions/{session}");
    let deleted = world.ask(Method::DELETE, &path, &browser, Value::Null).await;
    assert!(deleted.status.is_success());
    // Soon, and without a word more than what keeps the connection.
    let rest = tokio::time::timeout(std::time::Duration::from_secs(11), body.collect()).await;
    let rest = rest.expect("it ends").expect("read").to_bytes();
    assert!(!String::from_utf8_lossy(&rest).contains("event:"), "{rest:?}");
}
