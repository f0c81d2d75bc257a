//! Previews as the API tells of them and gives tickets.

use super::*;
use lattice_wire::apps::{App, AppName, AppState, Said};

fn code(state: AppState) -> App {
    App {
        name: AppName::parse("code").expect("a name"),
        title: Said::cut("VS Code"),
        icon: Said::cut("vscode"),
        state,
        reason: None,
    }
}

#[tokio::test]
async fn each_declared_port_has_an_address_of_its_own_and_says_whether_its_app_is_open() {
    let world = World::new().await;
    let owner = world.user().await;
    let browser = world.browser(&owner).await;
    let session = world.session_of(&owner).await;
    let path = format!("/api/v1/sessions/{session}/previews");
    let told = world.get(&path, &browser).await.json();
    let url = format!("http://5173--{session}.localhost:8080");
    let closed = json!([
        { "port": 5173, "app": "code", "title": "VS Code", "is_open": false, "url": url }
    ]);
    assert_eq!(told["previews"], closed);
    assert!(told.get("unavailable").is_none(), "{told}");
    world.show(&session, State::Running, 0);
    world.live.send_modify(|all| {
        let live = Arc::make_mut(all).get_mut(&session).expect("shown");
        live.apps = vec![code(AppState::Running)];
    });
    let told = world.get(&path, &browser).await.json();
    assert_eq!(told["previews"][0]["is_open"], true);
}

#[tokio::test]
async fn a_ticket_leads_to_a_declared_port_and_to_no_other() {
    let world = World::new().await;
    let owner = world.user().await;
    let browser = world.browser(&owner).await;
    let session = world.session_of(&owner).await;
    let path = format!("/api/v1/sessions/{session}/previews");
    let made = world.ask(Method::POST, &path, &browser, json!({ "port": 5173 })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.detail());
    let made = made.json();
    let url = made["url"].as_str().expect("a URL");
    assert!(url.starts_with(&format!("http://5173--{session}.localhost:8080/.lattice/enter/")));
    let refused = world.ask(Method::POST, &path, &browser, json!({ "port": 22 })).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.detail().contains("no app of this desktop declares port 22"));
    for bad in
        [json!({ "port": 70000 }), json!({ "port": -1 }), json!({ "port": "5173" }), json!({})]
    {
        let refused = world.ask(Method::POST, &path, &browser, bad.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}
