//! Images that somebody builds on the machine, as a page sees them.

use super::stock::image;
use super::*;
use crate::broker::protocol::{Build, ImageKind};
use crate::runtime::{Call, Failure};

fn build(step: u32, is_failed: bool) -> Build {
    Build {
        run: "7-1".into(),
        image: "lattice/code".into(),
        number: 3,
        of: 12,
        step,
        steps: 9,
        since: Timestamp::now().0 - 35,
        is_failed,
    }
}

impl World {
    /// The first figures that a page is told which are so.
    async fn figures(&self, who: &Proof, is_so: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (headers, nothing) = (HeaderMap::new(), String::new());
            let path = "/api/v1/machine/figures";
            let response = self.open(Method::GET, path, who, headers, nothing).await;
            let frame = response.into_body().frame().await.expect("an event").expect("no error");
            let text = String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text");
            let data = text.lines().find_map(|line| line.strip_prefix("data:")).expect("data");
            let figures: Value = serde_json::from_str(data).expect("JSON");
            if is_so(&figures) {
                return figures;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn administrators_see_what_is_being_built_and_the_list_of_images_is_new_when_it_ends() {
    let world = World::new().await;
    let boss = world.browser(&world.admin().await).await;
    let following = tokio::spawn(world.api.clone().follow_builds());
    world.runtime.stock(vec![image('a', ImageKind::Shipped, None)]);
    world.runtime.build(vec![build(4, false)]);
    // Whoever looks has it looked at once.
    let figures = world.figures(&boss, |figures| figures["builds"] != json!([])).await;
    let mut told = figures["builds"][0].clone();
    let seconds = told["seconds"].take().as_u64().expect("seconds");
    assert!((35..600).contains(&seconds), "{seconds}");
    let expected = json!({
        "image": "lattice/code", "state": "running", "number": 3, "of": 12, "step": 4, "steps": 9,
        "seconds": null
    });
    assert_eq!((told, &figures["builds_revision"]), (expected, &json!(0)));

    let code = crate::broker::protocol::SeenImage {
        names: vec!["lattice/code".into()],
        ..image('b', ImageKind::Shipped, None)
    };
    world.runtime.stock(vec![code]);
    world.runtime.build(vec![]);
    let figures = world.figures(&boss, |figures| figures["builds_revision"] == 1).await;
    assert_eq!(figures["builds"], json!([]));
    let present = world.api.present().expect("it was looked anew");
    assert!(present.has("lattice/code") && !present.has("lattice/a"));

    world.runtime.build(vec![build(4, true)]);
    let figures = world.figures(&boss, |figures| figures["builds"] != json!([])).await;
    assert_eq!(figures["builds"][0]["state"], "failed");
    world.runtime.fail(Call::Builds, Failure::Step("the engine is away"));
    world.figures(&boss, |figures| figures["builds"] == json!([])).await;
    following.abort();
}
