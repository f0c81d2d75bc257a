//! Snapshots as their owners meet them.

use super::*;
use crate::runtime::{Call, Failure};

struct Scene {
    world: World,
    asks: Proof,
    session: SessionId,
    path: String,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let owner = world.user().await;
        let (session, asks) = (world.session_of(&owner).await, world.browser(&owner).await);
        world.runtime.put(&session, owner.id.0).expect("it runs");
        let path = format!("/api/v1/sessions/{session}/snapshots");
        Self { world, asks, session, path }
    }

    async fn take(&self) -> Answer {
        self.world.ask(Method::POST, &self.path, &self.asks, Value::Null).await
    }

    async fn get(&self, of: &str, rest: &str) -> Answer {
        self.world.get(&format!("{}/{of}/{rest}", self.path), &self.asks).await
    }

    async fn restore(&self, of: &str, body: Value) -> Answer {
        let path = format!("{}/{of}/restore", self.path);
        self.world.ask(Method::POST, &path, &self.asks, body).await
    }

    fn frozen(&self) -> [u64; 2] {
        [Call::Freeze, Call::Thaw].map(|call| self.world.runtime.calls(call))
    }
}

#[tokio::test]
async fn a_snapshot_is_made_browsed_downloaded_and_restored() {
    let scene = Scene::new().await;
    let none = scene.world.get(&scene.path, &scene.asks).await.json();
    assert_eq!(none, json!({ "kind": "repository", "snapshots": [] }));
    let made = scene.take().await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.detail());
    let made = made.json();
    assert_eq!((&made["cause"], &made["files"]), (&json!("asked"), &json!(1)));
    assert_eq!(scene.frozen(), [1, 1], "the desktop stood still, and goes on");
    let id = made["id"].as_str().expect("an id").to_owned();
    let tree = scene.get(&id, "tree").await.json();
    assert_eq!(tree["entries"][0]["name"], "essay.txt");
    assert_eq!(tree["entries"][0]["modified_at"], "1970-01-01T00:16:40Z");
    let file = scene.get(&id, "file?path=essay.txt").await;
    assert_eq!(&*file.body, b"words\n");
    let header = |name: &str| file.headers[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(header("content-length"), "6");
    assert_eq!(header("content-disposition"), "attachment; filename*=UTF-8''essay.txt");
    assert_eq!(
        (header("content-security-policy"), header("x-content-type-options")),
        ("sandbox".into(), "nosniff".into())
    );
    let zip = scene.get(&id, "zip").await;
    assert_eq!(zip.headers["content-disposition"], "attachment; filename*=UTF-8''Data.zip");
    assert_eq!(&*zip.body, b"PK");
    let restored = scene.restore(&id, json!({ "path": "essay.txt" })).await;
    assert_eq!(restored.json()["cause"], "restore", "{}", restored.detail());
    assert_eq!(scene.frozen(), [2, 2]);
    let listed = scene.world.get(&scene.path, &scene.asks).await.json();
    assert_eq!(listed["snapshots"].as_array().map(Vec::len), Some(2));
    let noted = scene.world.api.store().audit(2).await.expect("read");
    let noted: Vec<_> =
        noted.iter().map(|entry| (entry.action.as_str(), entry.detail.as_str())).collect();
    assert_eq!(noted, [("session.restore", id.as_str()), ("session.snapshot", id.as_str())]);
}

#[tokio::test]
async fn what_leads_nowhere_or_out_of_data_is_refused_with_a_reason() {
    let scene = Scene::new().await;
    let id = scene.take().await.json()["id"].as_str().expect("an id").to_owned();
    for (of, rest, status) in [
        ("..%2f..%2fetc", "tree", 404),
        ("0123456789abcdef0123", "tree", 404),
        ("0123456789ABCDEF0123", "tree", 404),
        (&*id, "tree?path=gone", 404),
        (&*id, "tree?path=..%2fother", 400),
        (&*id, "tree?path=%2fetc", 400),
        (&*id, "file?path=a%00b", 400),
        (&*id, "file", 400),
        (&*id, "file?path=essay.txt&most=-1", 400),
        (&*id, "tree?path=&follow=1", 400),
    ] {
        let answer = scene.get(of, rest).await;
        assert_eq!(answer.status.as_u16(), status, "{of}/{rest}: {}", answer.detail());
        assert!(!answer.detail().is_empty(), "{of}/{rest}");
    }
    for body in [json!({ "path": "../x" }), json!({}), json!({ "path": "", "to": "/etc" })] {
        let answer = scene.restore(&id, body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(scene.restore(&id, json!({ "path": "gone" })).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_desktop_goes_on_whatever_fails() {
    let scene = Scene::new().await;
    scene.world.runtime.fail(Call::Freeze, Failure::Step("a program does not stand still"));
    let refused = scene.take().await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.detail().contains("try again"), "{}", refused.detail());
    assert_eq!(scene.frozen(), [1, 1], "also what was frozen in part");
    scene.world.runtime.heal();
    scene.world.runtime.fail(Call::Keep, Failure::Step("no keeper"));
    assert_eq!(scene.take().await.status, StatusCode::SERVICE_UNAVAILABLE);
    scene.world.runtime.heal();
    assert_eq!(scene.take().await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_is_read_at_once_is_bounded_for_each_and_given_back() {
    let scene = Scene::new().await;
    let id = scene.take().await.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("{}/{id}/zip", scene.path);
    let open =
        || scene.world.open(Method::GET, &path, &scene.asks, HeaderMap::new(), String::new());
    let mut downloads = Vec::new();
    for _ in 0..6 {
        downloads.push(open().await);
    }
    assert!(downloads.iter().all(|download| download.status().is_success()));
    assert_eq!(open().await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(scene.get(&id, "tree").await.status, StatusCode::TOO_MANY_REQUESTS);
    downloads.pop();
    assert_eq!(scene.get(&id, "tree").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_reset_is_preceded_by_a_snapshot_and_does_not_wait_for_one_that_fails() {
    let scene = Scene::new().await;
    let path = format!("/api/v1/sessions/{}/reset", scene.session);
    let reset = || scene.world.ask(Method::POST, &path, &scene.asks, Value::Null);
    assert_eq!(reset().await.status, StatusCode::ACCEPTED);
    let listed = scene.world.get(&scene.path, &scene.asks).await.json();
    assert_eq!(listed["snapshots"][0]["cause"], "reset");
    scene.world.runtime.fail(Call::Keep, Failure::Step("no keeper"));
    assert_eq!(reset().await.status, StatusCode::ACCEPTED);
    assert_eq!(scene.world.told().await.len(), 2);
}
