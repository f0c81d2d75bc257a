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

#[tokio::test]
async fn a_link_to_a_preview_leads_there_and_makes_its_holder_nobody_to_the_desktop() {
    let world = World::new().await;
    let owner = world.user().await;
    let browser = world.browser(&owner).await;
    let session = world.session_of(&owner).await;
    let path = format!("/api/v1/sessions/{session}/preview-links");
    let made = world.ask(Method::POST, &path, &browser, json!({ "port": 5173 })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.detail());
    let made = made.json();
    let url = made["url"].as_str().expect("a URL");
    let secret = url.strip_prefix(&format!("{ORIGIN}/s/")).expect("a link");
    let nobody = Proof::default();
    let opened = world.redeem(&nobody, secret).await;
    assert_eq!(opened.status, StatusCode::OK, "{}", opened.detail());
    assert!(!opened.headers.contains_key(header::SET_COOKIE), "nobody is signed in by it");
    let place = opened.json();
    assert_eq!(place["role"], "preview");
    let start = format!("http://5173--{session}.localhost:8080/.lattice/enter/");
    assert!(place["url"].as_str().expect("a URL").starts_with(&start), "{place}");
    // A friend by another link gains nothing by this one.
    let friend = world.browser(&world.user().await).await;
    assert_eq!(world.redeem(&friend, secret).await.json()["role"], "preview");
    for about in ["", "/picture", "/previews", "/links", "/logs?part=desktop", "/apps"] {
        let about = format!("/api/v1/sessions/{session}{about}");
        assert_eq!(world.get(&about, &friend).await.status, StatusCode::NOT_FOUND, "{about}");
        assert_eq!(world.get(&about, &nobody).await.status, StatusCode::UNAUTHORIZED, "{about}");
    }
    let told = world.get(&path, &browser).await.json();
    assert_eq!((&told["links"][0]["uses"], &told["links"][0]["port"]), (&json!(2), &json!(5173)));
    assert!(told["links"][0].get("url").is_none(), "it is told once");
    let links = world.get(&format!("/api/v1/sessions/{session}/links"), &browser).await.json();
    assert_eq!(links["links"], json!([]), "they are kept apart");

    let one = format!("{path}/{}", made["id"].as_str().expect("an id"));
    let gone = world.ask(Method::DELETE, &one, &browser, Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(world.redeem(&nobody, secret).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.ask(Method::DELETE, &one, &browser, Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_link_to_what_is_no_preview_is_refused() {
    let world = World::new().await;
    let owner = world.user().await;
    let browser = world.browser(&owner).await;
    let session = world.session_of(&owner).await;
    let path = format!("/api/v1/sessions/{session}/preview-links");
    for bad in [
        json!({}),
        json!({ "port": 22 }),
        json!({ "port": 0 }),
        json!({ "port": 70000 }),
        json!({ "port": 5173, "expires_in_s": 59 }),
        json!({ "port": 5173, "expires_in_s": 2_592_001 }),
        json!({ "port": 5173, "host": "169.254.169.254" }),
    ] {
        let refused = world.ask(Method::POST, &path, &browser, bad.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}
