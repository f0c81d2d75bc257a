//! Apps as the API has them.

use super::*;

#[tokio::test]
async fn apps_are_listed_as_the_manager_tells_of_them() {
    let world = World::new().await;
    let owner = world.user().await;
    let (session, asks) = (world.session_of(&owner).await, world.browser(&owner).await);
    let path = format!("/api/v1/sessions/{session}/apps");
    assert_eq!(world.get(&path, &asks).await.json(), json!([]), "nobody has looked yet");
    world.show(&session, State::Running, 0);
    let app = json!({
        "name": "code", "title": "VS Code", "icon": "vscode", "state": "ended", "reason": "killed",
    });
    world.live.send_modify(|all| {
        let live = Arc::make_mut(all).get_mut(&session).expect("shown");
        live.apps = vec![serde_json::from_value(app.clone()).expect("an app")];
    });
    let mut seen = app;
    seen["ports"] = json!([5173]);
    assert_eq!(world.get(&path, &asks).await.json(), json!([seen]));
}

#[tokio::test]
async fn an_app_is_opened_closed_or_refused_with_a_remedy() {
    let world = World::new().await;
    let owner = world.user().await;
    let (session, asks) = (world.session_of(&owner).await, world.browser(&owner).await);
    let path = format!("/api/v1/sessions/{session}/apps");
    let open = |app: &'static str| world.ask(Method::POST, &path, &asks, json!({ "app": app }));
    assert_eq!(open("code").await.status, StatusCode::ACCEPTED);
    let close = world.ask(Method::DELETE, &format!("{path}/code"), &asks, Value::Null).await;
    assert_eq!(close.status, StatusCode::NO_CONTENT);
    assert_eq!(world.told().await, ["Open(\"code\")", "Close(\"code\")"]);
    let missing = open("browser").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.detail(), "there is no app \"browser\" on this desktop; there are: code");
    let early = open("late").await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    assert!(early.detail().contains("start it first"), "{}", early.detail());
}
