//! Snapshots of what desktops made of containers keep: a keeper in a container of its own makes them, and
//! what a program destroys comes back.

use super::started;
use crate::snapshots::{DELETE, ENCRYPT, FILL, PICTURE};
use lattice_gateway::runtime::Runtime;
use lattice_gateway::snapshots::Snapshots;
use lattice_tests::btrfs::Btrfs;
use lattice_tests::containers::{Containers, docker};
use lattice_tests::desktops::{running, state};
use lattice_tests::eventually;
use lattice_tests::xserver::TempDir;
use lattice_wire::snapshots::{Cause, Inside, Kind};
use std::fs;
use std::sync::Arc;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_in_a_container_destroys_comes_back() {
    check(Containers::new(), Kind::Repository).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_where_the_disk_makes_snapshots_itself() {
    let dir = TempDir::new("containers");
    let test = "the_same_where_the_disk_makes_snapshots_itself";
    let Some(disk) = Btrfs::mount_or_leave_out(test, &dir.path().join("data"), 640 << 20) else {
        return;
    };
    check(Containers::in_directory(dir, &[]), Kind::Btrfs).await;
    drop(disk);
}

async fn check(containers: Containers, kind: Kind) {
    let runtime = Arc::new(containers.open());
    let (session, other) =
        (started(&runtime, 1, "desktop").await, started(&runtime, 2, "desktop").await);
    let ask = |script: &str| containers.ask(&session, "desktop", script);
    assert_eq!(ask(FILL), "5");
    let before = ask(PICTURE);
    let snapshots = Snapshots::new(runtime.clone());
    let begun = Instant::now();
    let good = snapshots.take(1, Cause::Asked).await.expect("a snapshot");
    println!("{kind:?}: a snapshot took {:.2?}", begun.elapsed());
    assert_eq!((good.kind, good.left_out), (kind, 0));
    assert!(snapshots.take_if_changed(1).await.expect("looked").is_none());
    running(&runtime, &session).await;
    for disaster in [ENCRYPT, DELETE] {
        ask(disaster);
        assert_ne!(ask(PICTURE), before);
        let begun = Instant::now();
        let restored = snapshots.restore(1, good.id.clone(), Inside::all()).await;
        assert_eq!(restored.expect("restored").cause, Cause::Restore);
        println!("{kind:?}: everything was restored in {:.2?}", begun.elapsed());
        assert_eq!(ask(PICTURE), before);
    }
    // Neither the desktop nor anybody else's keeper sees any of it.
    assert_eq!(ask("ls -d /store /data /kept 2>/dev/null; command -v lattice-keeper btrfs"), "");
    assert!(snapshots.list(2).await.expect("a list").snapshots.is_empty());
    let theirs = snapshots.tree(2, good.id.clone(), Inside::all()).await;
    theirs.expect_err("it is somebody else's");
    stands_still(&runtime, &containers, &session).await;
    for session in [&session, &other] {
        runtime.remove(session).await.expect("a removal");
    }
    let left = docker(&["ps", "--all", "--quiet", "--filter", "name=-keep-1-"]);
    assert_eq!(left, "", "keepers are gone");
    assert!(fs::read_dir(containers.path().join("data/snapshots")).expect("there").count() >= 1);
}

/// It is told of as one that runs all the while, and goes on.
async fn stands_still(
    runtime: &Runtime,
    containers: &Containers,
    session: &lattice_engine::session::SessionId,
) {
    containers.ask(
        session,
        "desktop",
        "cd; (i=0; while :; do i=$((i+1)); echo $i >n; done) >/dev/null 2>&1 </dev/null &",
    );
    let number = || fs::read_to_string(containers.home(1).join("n")).unwrap_or_default();
    lattice_tests::eventually("it to count", || !number().is_empty());
    runtime.freeze(1).await.expect("it stands still");
    let seen = state(runtime, session).await;
    assert!(matches!(seen, Some(lattice_gateway::runtime::InstanceState::Running(_))), "{seen:?}");
    let then = number();
    // As long as it is to be seen that it does not move.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(number(), then);
    runtime.thaw(1).await.expect("it goes on");
    lattice_tests::eventually("it to go on", || number() != then);
    runtime.thaw(1).await.expect("nothing to do");
}

/// What an earlier broker had made and not started belongs to nobody; what it had started goes on.
#[test]
fn what_an_earlier_broker_was_killed_over_is_removed() {
    let mut containers = Containers::with_options(&["--pool", "0"]);
    let installation = fs::read_to_string(containers.path().join("data/installation"));
    let installation = format!("io.lattice.installation={}", installation.expect("there").trim());
    let rest = ["--label", &installation, "--label", "io.lattice.broker=earlier"];
    let make = |how: &[&str]| {
        let what = ["--entrypoint", "/bin/sleep", "lattice/base", "1000"];
        docker(&[how, &rest, &what].concat());
    };
    containers.restart_broker_after(|| {
        make(&["create", "--name", "lattice-tests-not-started"]);
        make(&["run", "--detach", "--name", "lattice-tests-at-work"]);
    });
    eventually("one to be left", || containers.names() == ["lattice-tests-at-work"]);
    // It is there to stay, however often is looked; and when it has ended, it goes.
    containers.restart_broker();
    assert_eq!(containers.names(), ["lattice-tests-at-work"]);
    containers.restart_broker_after(|| drop(docker(&["kill", "lattice-tests-at-work"])));
    eventually("none to be left", || containers.names().is_empty());
}
