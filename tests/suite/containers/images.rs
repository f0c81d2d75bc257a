//! Images, as the broker tells of them and removes them: nothing that anybody needs or has given a name.

use lattice_gateway::broker::protocol::{ImageId, ImageKind, SeenImage};
use lattice_gateway::runtime::Runtime;
use lattice_tests::containers::{Containers, docker};

async fn seen(runtime: &Runtime) -> Vec<SeenImage> {
    runtime.images().await.expect("asked").expect("desktops are made of images")
}

/// Made of one of ours, whose labels it has, and without a name: as one is that a newer one has replaced.
struct Replaced {
    id: String,
}

impl Replaced {
    fn new() -> Self {
        let container = docker(&["create", "lattice/base", "true"]);
        let id = docker(&["commit", &container]);
        docker(&["rm", &container]);
        Self { id }
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker").args(["image", "rm", &self.id]).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_was_replaced_is_removed_once_nothing_is_made_of_it_and_no_other_is() {
    let containers = Containers::new();
    let runtime = containers.open();
    let replaced = Replaced::new();
    let images = seen(&runtime).await;
    let find = |name: &str| {
        let mut all = images.iter().filter(|image| image.kind == ImageKind::Shipped);
        all.find(|image| image.names.iter().any(|known| known == name)).expect("it is listed")
    };
    let xorg = find("lattice/xorg");
    assert!(xorg.is_core && xorg.kept.is_some() && xorg.size > 1 << 20, "{xorg:?}");
    assert!(images.iter().all(|image| !image.names[0].starts_with("debian")), "{images:?}");
    for name in ["lattice/xorg", "lattice/terminal"] {
        let error = runtime.remove_image(&find(name).id).await.expect_err("it stays").to_string();
        assert!(error.contains(name) && error.contains("stays"), "{error}");
    }

    let id = ImageId::try_from(replaced.id.clone()).expect("a digest");
    let stale = images.iter().find(|image| image.id == id).expect("it is listed");
    assert_eq!((stale.kind, &stale.kept), (ImageKind::Stale, &None), "{stale:?}");
    let container = docker(&["create", &replaced.id, "true"]);
    let error = runtime.remove_image(&id).await.expect_err("it is in use").to_string();
    docker(&["rm", &container]);
    assert!(error.contains("1 container"), "{error}");
    runtime.remove_image(&id).await.expect("removed");
    assert!(seen(&runtime).await.iter().all(|image| image.id != id));
    let error = runtime.remove_image(&id).await.expect_err("it is gone").to_string();
    assert!(error.contains("there is no image"), "{error}");
}
