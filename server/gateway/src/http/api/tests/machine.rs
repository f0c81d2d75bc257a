//! What administrators see of the machine.

use super::*;

#[tokio::test]
async fn figures_are_for_administrators_and_count_what_is_there() {
    let world = World::new().await;
    let (admin, member) = (world.admin().await, world.user().await);
    let (theirs, mine) = (world.browser(&member).await, world.browser(&admin).await);
    for path in ["/api/v1/machine/figures", "/api/v1/machine/checks"] {
        assert_eq!(world.get(path, &theirs).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(world.get(path, &Proof::default()).await.status, StatusCode::UNAUTHORIZED);
    }
    for (viewers, state) in [(2, State::Running), (0, State::Running), (0, State::Queued)] {
        let session = world.session_of(&member).await;
        world.show(&session, state, viewers);
    }
    let (headers, nothing) = (HeaderMap::new(), String::new());
    let path = "/api/v1/machine/figures";
    let response = world.open(Method::GET, path, &mine, headers, nothing).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = response.into_body();
    let frame = body.frame().await.expect("an event").expect("no error").into_data();
    let text = String::from_utf8(frame.expect("data").to_vec()).expect("text");
    let data = text.lines().find_map(|line| line.strip_prefix("data:")).expect("data");
    let figures: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(figures["sessions"], json!({ "running": 2, "queued": 1 }));
    assert_eq!(figures["viewers"], 2);
    assert!(figures["cores"].as_u64() > Some(0), "{figures}");
    assert!(figures["memory"]["total_bytes"].as_u64() > Some(0), "{figures}");
    // How backups are doing comes with the first ones.
    let frame = body.frame().await.expect("an event").expect("no error").into_data();
    let text = String::from_utf8(frame.expect("data").to_vec()).expect("text");
    assert!(text.contains("event: backup") && text.contains("\"configured\":true"), "{text}");
    let checks = world.get("/api/v1/machine/checks", &mine).await;
    assert_eq!((checks.status, checks.json()), (StatusCode::OK, json!({ "checks": [] })));
}
