//! Images and volumes, as administrators meet them.

use super::*;
use crate::broker::protocol::{Held, ImageId, ImageKind, SeenImage, Stored};
use crate::runtime::{Call, Failure};
use crate::store::{Audience, Edition, NewInstalled};

const IMAGES: &str = "/api/v1/machine/images";
const VOLUMES: &str = "/api/v1/machine/volumes";

fn id(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

pub(super) fn image(digit: char, kind: ImageKind, kept: Option<&str>) -> SeenImage {
    SeenImage {
        id: ImageId::try_from(id(digit)).expect("a digest"),
        names: vec![format!("lattice/{digit}")],
        digests: Vec::new(),
        kind,
        release: Some("0.0.1".into()),
        size: 1 << 30,
        made: 1_790_000_000,
        desktops: 2,
        containers: 3,
        is_core: false,
        templates: vec!["go".into()],
        kept: kept.map(str::to_owned),
    }
}

#[tokio::test]
async fn images_are_told_with_what_uses_them_and_only_what_nothing_uses_is_removed() {
    let world = World::new().await;
    let (admin, member) = (world.admin().await, world.user().await);
    let (boss, other) = (world.browser(&admin).await, world.browser(&member).await);
    world.runtime.stock(vec![
        image('a', ImageKind::Shipped, Some("it came with Lattice")),
        image('b', ImageKind::Stale, None),
        image('c', ImageKind::Catalogue, None),
        image('d', ImageKind::Catalogue, None),
    ]);
    let edition = |digit: char, version: &str| Edition {
        image: format!("r.example/draw@{}", id(digit)),
        version: version.into(),
        definition: version.into(),
    };
    for edition in [edition('d', "1"), edition('c', "2")] {
        let audience = Audience::One(member.id);
        let (app, catalogue, by) = ("draw", "apps", member.id);
        let new = NewInstalled { app, catalogue, audience, edition: &edition, by };
        world.api.store().install(&new, Timestamp::now()).await.expect("installed");
    }
    let all = world.get(IMAGES, &boss).await;
    assert_eq!(all.status, StatusCode::OK, "{}", all.detail());
    let all = all.json();
    let told = |at: usize, key: &str| all["images"][at][key].clone();
    assert_eq!(told(0, "kept"), "it came with Lattice");
    assert_eq!((told(0, "kind"), told(0, "other_release")), (json!("shipped"), json!("0.0.1")));
    assert_eq!((told(0, "desktops"), told(0, "templates")), (json!(2), json!(["go"])));
    assert_eq!((told(1, "kept"), told(1, "kind")), (Value::Null, json!("stale")));
    assert_eq!(told(2, "installed"), json!(["draw 2"]));
    assert_eq!(told(2, "kept"), "draw 2 is installed");
    assert_eq!(told(3, "kept"), "draw can be brought back to it");
    assert_eq!(
        (&all["total_bytes"], &all["removable_bytes"]),
        (&json!(4u64 << 30), &json!(1 << 30))
    );

    let remove = async |digit: char, who: &Proof| {
        let path = format!("{IMAGES}/{}", id(digit));
        let answer = world.ask(Method::DELETE, &path, who, Value::Null).await;
        (answer.status, answer.detail())
    };
    assert_eq!(remove('b', &other).await.0, StatusCode::FORBIDDEN);
    assert_eq!(remove('e', &boss).await.0, StatusCode::NOT_FOUND);
    for (digit, why) in [('a', "came with Lattice"), ('c', "installed"), ('d', "brought back")] {
        let (status, detail) = remove(digit, &boss).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert!(detail.contains(why), "{detail}");
    }
    assert_eq!(remove('b', &boss).await.0, StatusCode::NO_CONTENT);
    let left = world.get(IMAGES, &boss).await.json();
    assert_eq!(left["images"].as_array().map(Vec::len), Some(3));
    for path in [format!("{IMAGES}/postgres"), format!("{IMAGES}/..%2f..%2fetc")] {
        let answer = world.ask(Method::DELETE, &path, &boss, Value::Null).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn volumes_are_everybodys_and_the_fullest_come_first() {
    let world = World::new().await;
    let (admin, member) = (world.admin().await, world.user().await);
    let boss = world.browser(&admin).await;
    let stored = |used| Stored {
        data: Held { used, limit: Some(10) },
        home: Held { used: 1, limit: None },
        apps: Held { used: 0, limit: None },
        is_enforced: false,
    };
    world.runtime.fill(member.id.0, stored(4));
    world.runtime.fill(4711, stored(9));
    let told = world.get(VOLUMES, &boss).await.json();
    assert_eq!(told["keeper"], "plain directories");
    let person = |at: usize| told["people"][at].clone();
    assert_eq!((&person(0)["owner"], &person(0)["near"]), (&Value::Null, &json!(true)));
    assert_eq!((&person(0)["id"], &person(0)["used_bytes"]), (&json!("4711"), &json!(10)));
    assert_eq!(person(1)["owner"]["name"], json!(member.name));
    assert_eq!(
        (&person(1)["near"], &person(1)["storage"]["data"]["full"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test]
async fn an_engine_that_is_away_is_said_to_be() {
    let world = World::new().await;
    let boss = world.browser(&world.admin().await).await;
    world.runtime.fail(Call::Images, Failure::Step("the engine is away"));
    world.runtime.fail(Call::Volumes, Failure::Step("the engine is away"));
    for path in [IMAGES, VOLUMES] {
        assert_eq!(world.get(path, &boss).await.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
}

#[tokio::test]
async fn a_template_whose_image_is_not_there_says_which() {
    let world = World::new().await;
    let boss = world.browser(&world.admin().await).await;
    let missing = async || {
        let told = world.get("/api/v1/templates", &boss).await.json();
        told["templates"][0]["missing_images"].clone()
    };
    assert_eq!(missing().await, json!([]), "nobody has looked yet");
    world.runtime.stock(vec![image('a', ImageKind::Shipped, None)]);
    assert_eq!(world.get(IMAGES, &boss).await.status, StatusCode::OK);
    assert_eq!(missing().await, json!(["lattice/code"]));
    let code =
        SeenImage { names: vec!["lattice/code".into()], ..image('b', ImageKind::Shipped, None) };
    world.runtime.stock(vec![code]);
    assert_eq!(world.get(IMAGES, &boss).await.status, StatusCode::OK);
    assert_eq!(missing().await, json!([]));
}
