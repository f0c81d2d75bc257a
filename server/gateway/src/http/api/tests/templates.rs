//! What a session is made of, as its owner and administrators meet it.

use super::*;
use crate::runtime::{Call, Failure};

struct Scene {
    world: World,
    owner: Proof,
    admin: Proof,
    session: SessionId,
    path: String,
}

impl Scene {
    async fn new() -> Self {
        Self::with(World::new().await).await
    }

    async fn with(world: World) -> Self {
        let owner = world.user().await;
        let session = world.session_of(&owner).await;
        world.runtime.put(&session, owner.id.0).expect("it runs");
        let admin = world.browser(&world.admin().await).await;
        let owner = world.browser(&owner).await;
        let path = format!("/api/v1/sessions/{session}/template");
        Self { world, owner, admin, session, path }
    }

    async fn read(&self) -> Value {
        self.world.get(&self.path, &self.owner).await.json()
    }

    async fn apply(&self, who: &Proof, body: Value) -> Answer {
        self.world.ask(Method::PUT, &self.path, who, body).await
    }

    /// What is wrong with a text: lines and places.
    async fn faults(&self, text: &str) -> Vec<(u64, String)> {
        let path = format!("{}/check", self.path);
        let answer =
            self.world.ask(Method::POST, &path, &self.owner, json!({ "text": text })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.detail());
        let faults = answer.json()["faults"].as_array().cloned().expect("a list");
        let place = |fault: &Value| fault["place"].as_str().unwrap_or("").to_owned();
        faults.iter().map(|fault| (fault["line"].as_u64().unwrap_or(99), place(fault))).collect()
    }

    fn snapshots(&self) -> u64 {
        self.world.runtime.calls(Call::Keep)
    }
}

fn more() -> String {
    DESKTOP.replace("mem_limit: 1g", "mem_limit: 512m")
}

#[tokio::test]
async fn a_version_is_applied_after_a_snapshot_and_gone_back_from() {
    let scene = Scene::new().await;
    let before = scene.read().await;
    let facts =
        |view: &Value| (view["version"].clone(), view["text"].clone(), view["running"].clone());
    assert_eq!(facts(&before), (json!(0), json!(DESKTOP), Value::Null));
    assert_eq!((&before["base"], &before["may_edit"]), (&json!("desktop"), &json!(false)));
    scene.world.show(&scene.session, State::Running, 0);
    assert_eq!(scene.read().await["running"], true);

    let body = json!({ "text": more(), "based_on": 0, "note": "less memory" });
    let applied = scene.apply(&scene.admin, body).await;
    assert_eq!(applied.status, StatusCode::OK, "{}", applied.detail());
    let applied = applied.json();
    assert_eq!(facts(&applied["template"]), (json!(1), json!(more()), json!(false)));
    assert_eq!(
        (&applied["restarted"], &applied["template"]["may_edit"]),
        (&json!(false), &json!(true))
    );
    let listed = format!("/api/v1/sessions/{}/snapshots", scene.session);
    let listed = scene.world.get(&listed, &scene.owner).await.json();
    assert_eq!(listed["snapshots"][0]["cause"], "template");
    assert_eq!(listed["snapshots"][0]["id"], applied["snapshot"]);

    let versions = scene.world.get(&format!("{}/versions", scene.path), &scene.owner).await.json();
    let versions = versions["versions"].as_array().cloned().expect("a list");
    let seen: Vec<_> = versions.iter().map(|one| (&one["number"], &one["note"])).collect();
    assert_eq!(seen, [(&json!(1), &json!("less memory")), (&json!(0), &json!(""))]);
    assert!(versions[0]["author"].is_string() && versions[1]["author"].is_null());

    let (_, told) = (scene.world.told().await, scene.path.clone());
    let back = format!("{told}/versions/0/restore");
    let body = json!({ "based_on": 1, "restart": true });
    let back = scene.world.ask(Method::POST, &back, &scene.admin, body).await;
    assert_eq!(back.status, StatusCode::OK, "{}", back.detail());
    let back = back.json();
    assert_eq!((&back["template"]["version"], &back["restarted"]), (&json!(2), &json!(true)));
    assert_eq!(back["template"]["text"], DESKTOP);
    let told = scene.world.told().await;
    assert!(told.iter().any(|line| line.contains("restart")), "{told:?}");
    let two = scene.world.get(&format!("{}/versions/2", scene.path), &scene.owner).await.json();
    assert_eq!((&two["note"], &two["text"]), (&json!("Version 0 again"), &json!(DESKTOP)));
    let audit = scene.world.api.store().audit(10).await.expect("read");
    let changes = audit.iter().filter(|entry| entry.action == "session.template");
    let details: Vec<_> = changes.map(|entry| entry.detail.clone()).collect();
    assert_eq!(details, ["version 2: Version 0 again", "version 1: less memory"]);
}

#[tokio::test]
async fn who_was_overtaken_or_changes_nothing_is_told_and_nothing_happens() {
    let scene = Scene::new().await;
    let first = scene.apply(&scene.admin, json!({ "text": more(), "based_on": 0 })).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.detail());
    let count = scene.snapshots();
    for (body, word) in [
        (json!({ "text": DESKTOP, "based_on": 0 }), "version 1"),
        (json!({ "text": more(), "based_on": 1 }), "already"),
    ] {
        let answer = scene.apply(&scene.admin, body).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert!(answer.detail().contains(word), "{}", answer.detail());
    }
    assert_eq!(scene.snapshots(), count, "none was made for it");
    assert_eq!(scene.read().await["version"], 1);
}

#[tokio::test]
async fn without_a_snapshot_nothing_is_changed() {
    let scene = Scene::new().await;
    scene.world.runtime.fail(Call::Keep, Failure::Step("the disk is full"));
    let refused = scene.apply(&scene.admin, json!({ "text": more(), "based_on": 0 })).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    let detail = refused.detail();
    for part in ["nothing was changed", "snapshot", "the disk is full"] {
        assert!(detail.contains(part), "{detail}");
    }
    assert_eq!(scene.read().await["version"], 0);
}

#[tokio::test]
async fn a_text_names_images_of_lattice_or_of_a_catalogue_and_no_others() {
    let scene = Scene::new().await;
    let with = |image: &str| DESKTOP.replace("lattice/code", &format!("'{image}'"));
    let shelf = scene.world.shelf.library.look();
    let (_, draw) = shelf.find("apps", "draw").expect("there");
    assert_eq!(scene.faults(&with(&draw.app.image)).await, []);
    assert_eq!(scene.faults(&with("lattice/other")).await, []);
    let other = with(&format!("r.example/draw@sha256:{}", "0a".repeat(32)));
    assert_eq!(scene.faults(&other).await, [(2, "services.code.image".to_owned())]);
    let refused = scene.apply(&scene.admin, json!({ "text": other, "based_on": 0 })).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.detail().contains("signed catalogue"), "{}", refused.detail());
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_line_and_never_applied() {
    let scene = Scene::new().await;
    assert_eq!(scene.faults(DESKTOP).await, []);
    let (lines, long) = (DESKTOP, "#".repeat(64 << 10));
    for (text, line, place) in [
        (lines.replace("mem_limit: 1g", "privileged: true"), 2, "services.code.privileged"),
        (lines.replace("mem_limit: 1g", "mem_limit: 1x"), 2, "services.code.mem_limit"),
        (lines.replace("icon: vscode", "icon: a b"), 7, "x-lattice.apps.code.icon"),
        (lines.replace("[5173]", "[80]"), 8, "x-lattice.permissions.code.ports"),
        (lines.replace("name: desktop", "name: other"), 1, "name"),
        (lines.replace("services:", "services: {"), 2, ""),
        (format!("{lines}{long}"), 0, ""),
        (String::new(), 0, ""),
    ] {
        let faults = scene.faults(&text).await;
        assert!(!faults.is_empty(), "{text:.200}");
        let found = faults.contains(&(line, place.to_owned()));
        assert!(found || place.is_empty(), "{faults:?} lacks {line} {place}");
        let refused = scene.apply(&scene.admin, json!({ "text": text, "based_on": 0 })).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{text:.200}");
        if line > 0 && !place.is_empty() {
            assert!(refused.detail().contains(&format!("line {line}")), "{}", refused.detail());
        }
    }
    for body in [
        json!({ "text": more() }),
        json!({ "text": more(), "based_on": 0, "name": "x" }),
        json!({ "text": more(), "based_on": 0, "note": "a\nb" }),
        json!({ "text": more(), "based_on": 0, "note": "n".repeat(201) }),
    ] {
        let refused = scene.apply(&scene.admin, body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!((scene.read().await["version"].clone(), scene.snapshots()), (json!(0), 0));
    for number in ["1", "-1", "99999999999", "x"] {
        let path = format!("{}/versions/{number}", scene.path);
        assert_eq!(scene.world.get(&path, &scene.owner).await.status, StatusCode::NOT_FOUND);
    }
    let zero = scene.world.get(&format!("{}/versions/0", scene.path), &scene.owner).await;
    assert_eq!(zero.json()["text"], DESKTOP);
}

#[tokio::test]
async fn a_server_without_containers_takes_no_apps() {
    let scene = Scene::with(World::with(House { has_apps: false, ..House::USUAL }).await).await;
    let faults = scene.faults(&more()).await;
    assert_eq!(faults, [(2, "services".to_owned())]);
    assert_eq!(scene.faults("name: desktop\nx-lattice: { title: Mine }\n").await, []);
}

#[tokio::test]
async fn owners_change_theirs_where_the_server_lets_them() {
    let body = || json!({ "text": more(), "based_on": 0 });
    let scene = Scene::new().await;
    let refused = scene.apply(&scene.owner, body()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused.detail().starts_with("only administrators change what"),
        "{}",
        refused.detail()
    );

    let scene = Scene::with(World::with(House { owners_edit: true, ..House::USUAL }).await).await;
    assert_eq!(scene.read().await["may_edit"], true);
    let applied = scene.apply(&scene.owner, body()).await;
    assert_eq!(applied.status, StatusCode::OK, "{}", applied.detail());
    let stranger = scene.world.browser(&scene.world.user().await).await;
    assert_eq!(scene.apply(&stranger, body()).await.status, StatusCode::NOT_FOUND);
    // A twin is made of the same.
    let twin = format!("/api/v1/sessions/{}/duplicate", scene.session);
    let twin = scene.world.ask(Method::POST, &twin, &scene.owner, json!({ "name": "Twin" })).await;
    let twin = twin.json()["id"].as_str().expect("an id").to_owned();
    let twin = format!("/api/v1/sessions/{twin}/template");
    let twin = scene.world.get(&twin, &scene.owner).await.json();
    assert_eq!((&twin["version"], &twin["text"]), (&json!(1), &json!(more())));
}
