//! New folders as people make them before a desktop.

use super::*;
use crate::runtime::{Call, Failure};

struct Scene {
    world: World,
    asks: Proof,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let owner = world.user().await;
        let asks = world.browser(&owner).await;
        Self { world, asks }
    }

    async fn ask(&self, path: &str, body: Value) -> Answer {
        self.world.ask(Method::POST, path, &self.asks, body).await
    }

    async fn clone_in(&self, url: &str) -> Answer {
        self.ask("/api/v1/imports/git", json!({ "url": url })).await
    }
}

#[tokio::test]
async fn a_zip_file_and_a_repository_become_folders() {
    let scene = Scene::new().await;
    let zip = scene.ask("/api/v1/imports/zip?name=My%20shop.zip", json!("PK")).await;
    assert_eq!(zip.status, StatusCode::CREATED, "{}", zip.detail());
    assert_eq!(zip.json(), json!({ "folder": "My shop", "files": 1, "bytes": 2 }));
    let git = scene.clone_in(" https://git.example/ada/shop.git ").await;
    assert_eq!(git.status, StatusCode::CREATED, "{}", git.detail());
    assert_eq!(git.json()["folder"], "shop");
    let named = json!({ "url": "https://git.example/ada/shop.git", "name": "mine" });
    assert_eq!(scene.ask("/api/v1/imports/git", named).await.json()["folder"], "mine");
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_words_for_people() {
    let scene = Scene::new().await;
    for (url, word) in [
        ("git@git.example:ada/shop", "https://"),
        ("file:///etc/passwd", "https://"),
        ("https://ada:secret@git.example/a", "password"),
        ("https://git.example/../a", "path"),
        ("https://127.0.0.1/a", "public internet"),
        ("https://[::1]/a", "public internet"),
    ] {
        let refused = scene.clone_in(url).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{url}");
        assert!(refused.detail().contains(word), "{url}: {}", refused.detail());
    }
    let named = json!({ "url": "https://git.example/a", "name": "../up" });
    assert_eq!(scene.ask("/api/v1/imports/git", named).await.status, StatusCode::BAD_REQUEST);
    let nameless = scene.ask("/api/v1/imports/zip", json!("PK")).await;
    assert_eq!(nameless.status, StatusCode::BAD_REQUEST);
    scene.world.runtime.fail(Call::Keep, Failure::Step("no keeper"));
    let away = scene.clone_in("https://git.example/a").await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE);
}
