//! Apps of catalogues: installed, brought up to date, brought back and removed, by whoever may.

use super::*;
use crate::runtime::{Call, Failure};
use std::time::Duration;

const MINE: &str = "/api/v1/catalogue/apps/draw/mine";
const ALL: &str = "/api/v1/catalogue/apps/draw/everybody";

impl World {
    async fn catalogue(&self, who: &Proof) -> Value {
        let read = self.get("/api/v1/catalogue", who).await;
        assert_eq!(read.status, StatusCode::OK, "{}", read.detail());
        read.json()
    }

    /// What the catalogue has of its app.
    pub(super) async fn edition(&self, who: &Proof) -> String {
        let offer = &self.catalogue(who).await["apps"][0]["offer"];
        offer["edition"].as_str().expect("it is offered").to_owned()
    }

    /// Asks for what the catalogue has, and waits until that is done, whatever comes of it.
    async fn install(&self, who: &Proof, path: &str) -> Answer {
        let body = json!({ "edition": self.edition(who).await });
        let answer = self.ask(Method::POST, path, who, body).await;
        let mut pulls = self.api.installer().pulls();
        let settled = pulls.wait_for(|now| now.all.iter().all(|one| one.error.is_some()));
        tokio::time::timeout(Duration::from_secs(5), settled).await.expect("in time").expect("it");
        answer
    }

    /// So that there is something to go back to.
    pub(super) async fn install_twice(&self, who: &Proof, path: &str) {
        let serial = 2 + 2 * u64::from(self.names.fetch_add(1, Ordering::Relaxed));
        for serial in [serial, serial + 1] {
            self.shelf.put(serial, &format!("{serial}.0"));
            let Some(user) = self.get("/api/v1/me", who).await.json()["user"].as_object().cloned()
            else {
                return;
            };
            assert!(!user.is_empty());
            self.install(who, path).await;
        }
    }
}

struct Scene {
    world: World,
    admin: Proof,
    member: Proof,
}

impl Scene {
    async fn with(people_install: bool) -> Self {
        let world = World::with(House { people_install, ..House::USUAL }).await;
        let admin = world.browser(&world.admin().await).await;
        let member = world.browser(&world.user().await).await;
        Self { world, admin, member }
    }

    /// The app as this one sees it.
    async fn app(&self, who: &Proof) -> Value {
        self.world.catalogue(who).await["apps"][0].clone()
    }

    async fn post(&self, who: &Proof, path: &str) -> Answer {
        self.world.ask(Method::POST, path, who, Value::Null).await
    }

    async fn delete(&self, who: &Proof, path: &str) -> Answer {
        self.world.ask(Method::DELETE, path, who, Value::Null).await
    }
}

#[tokio::test]
async fn an_app_is_installed_updated_brought_back_and_removed() {
    let scene = Scene::with(false).await;
    let (world, admin, member) = (&scene.world, &scene.admin, &scene.member);
    let app = scene.app(admin).await;
    assert_eq!(app["offer"]["version"], "1.0");
    assert_eq!(app["offer"]["powers"][0]["text"], "can read and change your files");
    assert_eq!(app["offer"]["powers"][0]["risky"], true);
    assert_eq!(world.install(admin, ALL).await.status, StatusCode::ACCEPTED);
    let installed = scene.app(member).await["everybody"].clone();
    assert_eq!((&installed["version"], &installed["update"]), (&json!("1.0"), &json!(false)));
    assert_eq!(installed["previous"], Value::Null);

    world.shelf.put(2, "2.0");
    assert_eq!(scene.app(member).await["everybody"]["update"], true);
    world.install(admin, ALL).await;
    let installed = scene.app(member).await["everybody"].clone();
    assert_eq!(
        (&installed["version"], &installed["previous"]["version"]),
        (&json!("2.0"), &json!("1.0"))
    );
    assert_eq!(installed["update"], false);

    let back = scene.post(admin, &format!("{ALL}/rollback")).await;
    assert_eq!(back.status, StatusCode::NO_CONTENT, "{}", back.detail());
    let installed = scene.app(member).await["everybody"].clone();
    assert_eq!((&installed["version"], &installed["update"]), (&json!("1.0"), &json!(true)));

    assert_eq!(scene.delete(admin, ALL).await.status, StatusCode::NO_CONTENT);
    assert_eq!(scene.app(member).await["everybody"], Value::Null);
    assert_eq!(scene.delete(admin, ALL).await.status, StatusCode::NOT_FOUND);
    let noted = world.api.store().audit(10).await.expect("read");
    let noted: Vec<_> = noted.iter().map(|line| line.action.as_str()).collect();
    assert_eq!(noted[..4], ["app.remove", "app.rollback", "app.install", "app.install"]);
}

#[tokio::test]
async fn people_install_for_themselves_where_the_administrator_says_so() {
    let scene = Scene::with(false).await;
    let refused = scene.world.install(&scene.member, MINE).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.detail().contains("only administrators install"), "{}", refused.detail());
    assert_eq!(scene.world.catalogue(&scene.member).await["may_install"], false);
    assert_eq!(scene.world.install(&scene.admin, MINE).await.status, StatusCode::ACCEPTED);

    let scene = Scene::with(true).await;
    assert_eq!(scene.world.install(&scene.member, MINE).await.status, StatusCode::ACCEPTED);
    assert_eq!(scene.app(&scene.member).await["mine"]["version"], "1.0");
    assert_eq!(scene.app(&scene.admin).await["mine"], Value::Null, "it is theirs alone");
    let for_all = scene.world.install(&scene.member, ALL).await;
    assert_eq!(for_all.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nothing_is_installed_but_what_was_looked_at() {
    let scene = Scene::with(true).await;
    let (world, admin) = (&scene.world, &scene.admin);
    let body = json!({ "edition": world.edition(admin).await });
    world.shelf.put(2, "2.0");
    let late = world.ask(Method::POST, MINE, admin, body.clone()).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.detail().contains("look at it again"), "{}", late.detail());
    let nowhere = "/api/v1/catalogue/apps/other/mine";
    assert_eq!(
        world.ask(Method::POST, nowhere, admin, body.clone()).await.status,
        StatusCode::NOT_FOUND
    );
    // An older catalogue is refused as a whole, and says so.
    world.shelf.put(1, "1.0");
    let read = world.catalogue(admin).await;
    let refused = read["catalogues"][0]["refused"].as_str().expect("refused");
    assert!(refused.contains("its serial is 1, but 2 was seen before"), "{refused}");
    let refused = world.ask(Method::POST, MINE, admin, body).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    assert!(refused.detail().contains("is refused"), "{}", refused.detail());
}

#[tokio::test]
async fn what_comes_to_nothing_says_why_and_installs_nothing() {
    let scene = Scene::with(true).await;
    let (world, member) = (&scene.world, &scene.member);
    world.runtime.fail(Call::Pull, Failure::Step("it is not what its catalogue names"));
    world.install(member, MINE).await;
    let read = world.catalogue(member).await;
    assert_eq!(read["apps"][0]["mine"], Value::Null);
    assert_eq!(
        (&read["pulls"][0]["for"], &read["pulls"][0]["app"]),
        (&json!("me"), &json!("draw"))
    );
    assert!(read["pulls"][0]["error"].is_string(), "{read}");
    assert_eq!(world.catalogue(&scene.admin).await["pulls"], json!([]), "it is theirs alone");
    world.runtime.heal();
    world.install(member, MINE).await;
    let read = world.catalogue(member).await;
    assert_eq!((&read["apps"][0]["mine"]["version"], &read["pulls"]), (&json!("1.0"), &json!([])));
}

#[tokio::test]
async fn what_is_asked_for_twice_is_fetched_once() {
    let scene = Scene::with(true).await;
    let (world, member) = (&scene.world, &scene.member);
    world.runtime.hold_pulls(true);
    let body = json!({ "edition": world.edition(member).await });
    for _ in 0..2 {
        let asked = world.ask(Method::POST, MINE, member, body.clone()).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED);
    }
    assert_eq!(world.catalogue(member).await["pulls"].as_array().map(Vec::len), Some(1));
    world.runtime.hold_pulls(false);
    world.install(member, MINE).await;
    assert_eq!(scene.app(member).await["mine"]["version"], "1.0");
}

#[tokio::test]
async fn what_no_catalogue_has_any_more_stays_and_can_be_removed() {
    let scene = Scene::with(true).await;
    let (world, member) = (&scene.world, &scene.member);
    world.install(member, MINE).await;
    world.shelf.sign("apps", "name: apps\ntitle: Apps\nserial: 9\n");
    let app = scene.app(member).await;
    assert_eq!((&app["offer"], &app["mine"]["update"]), (&Value::Null, &json!(false)));
    assert_eq!(app["title"], "Draw");
    assert_eq!(scene.delete(member, MINE).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.catalogue(member).await["apps"], json!([]));
}
