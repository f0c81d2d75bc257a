//! New folders in Data where desktops are made of containers: a keeper in a container makes them, and a
//! repository is cloned in another that sees nothing of anybody.

use super::started;
use crate::imports::zip_of;
use bytes::Bytes;
use futures_util::stream;
use lattice_gateway::snapshots::{SnapshotError, Snapshots};
use lattice_tests::containers::{Containers, docker};
use lattice_tests::eventually;
use lattice_wire::imports::ProjectName;
use lattice_wire::snapshots::Refusal;
use std::io;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_file_is_unpacked_in_a_container_and_private_addresses_are_not_cloned_from() {
    let containers = Containers::new();
    let runtime = Arc::new(containers.open());
    let session = started(&runtime, 1, "desktop").await;
    let snapshots = Snapshots::new(runtime.clone());
    let script =
        "z.writestr('shop/main.go', 'package main')\nz.writestr('shop/big', 'x' * 3000000)";
    let Some(good) = zip_of(script) else { return println!("left out: there is no python3") };
    let send = async |zip: Vec<u8>, cut: bool| {
        let mut pieces: Vec<io::Result<Bytes>> =
            zip.chunks(100_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        if cut {
            pieces.truncate(2);
            pieces.push(Err(io::ErrorKind::BrokenPipe.into()));
        }
        snapshots.import(1, ProjectName::after("shop.zip"), stream::iter(pieces)).await
    };
    send(good.clone(), true).await.expect_err("it is cut off");
    let made = send(good, false).await.expect("unpacked");
    assert_eq!((made.folder.as_str(), made.files), ("shop", 2));
    let seen = containers.ask(
        &session,
        "desktop",
        "cd ~/Data && echo mine >>shop/main.go && ls -A && cat shop/main.go && wc -c <shop/big",
    );
    assert_eq!(seen, "shop\npackage mainmine\n3000000");
    let evil = zip_of("z.writestr('../../evil', 'e')").expect("made");
    let refused = send(evil, false).await.expect_err("it leads out");
    assert!(matches!(&refused, SnapshotError::Refused { why: Refusal::Odd, .. }), "{refused}");
    assert_eq!(containers.ask(&session, "desktop", "ls -A ~/Data"), "shop");
    for url in ["https://10.0.0.1/a", "https://169.254.169.254/a", "http://127.0.0.1/a"] {
        let name = ProjectName::after("a");
        let refused = snapshots.clone_in(1, name, &url.parse().expect("an address")).await;
        let detail = refused.expect_err(url).to_string();
        assert!(detail.contains("public internet"), "{url}: {detail}");
    }
    eventually("what cloned to be gone", || {
        docker(&["ps", "-a", "--filter", "name=-fetch-", "--format", "{{.Names}}"]).is_empty()
    });
}
