//! Who does nothing costs nothing: counters prove it.

use lattice_tests::process::cpu_time;
use lattice_tests::scene::Scene;
use lattice_tests::{Share, Viewer, XServer, eventually, patience};
use std::time::Duration;

/// Until the counters rest: the agent reports at most once a second.
fn settled(share: &Share, name: &str) -> f64 {
    let mut last = share.metric(name, &[]);
    eventually("the counters to rest", || {
        std::thread::sleep(Duration::from_millis(1300));
        let now = share.metric(name, &[]);
        std::mem::replace(&mut last, now) == now
    });
    last
}

#[test]
fn nothing_is_grabbed_while_nobody_looks() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let mut scene = Scene::open(server.connect());
    scene.play(Duration::from_millis(500));
    assert_eq!(settled(&share, "lattice_agent_grabs_total"), 0.0, "nobody has looked yet");

    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    scene.scroll(5);
    drop(viewer);
    eventually("nobody to look", || share.metric("lattice_viewers", &[]) == 0.0);
    let before = settled(&share, "lattice_agent_grabs_total");
    assert!(before > 0.0, "somebody looked");
    scene.play(Duration::from_millis(1500));
    assert_eq!(settled(&share, "lattice_agent_grabs_total"), before, "nobody looks any more");
}

#[test]
fn a_still_picture_costs_pings_only() {
    let server = XServer::start(1920, 1080);
    let share = Share::start(&server);
    let _scene = Scene::open(server.connect());
    let viewer = Viewer::join(&share);
    viewer.wait_digest();
    settled(&share, "lattice_agent_grabs_total");

    // Time itself is under test: two pings' worth of it.
    let numbers = || {
        let metrics = share.metrics();
        let count = |name| metrics.sum(name, &[]);
        (
            count("lattice_agent_grabs_total"),
            count("lattice_agent_wakeups_total"),
            viewer.view(|view| (view.frames.len(), view.bytes_but_pings, view.pings)),
            cpu_time(share.agent()),
            cpu_time(share.pid()),
        )
    };
    let before = numbers();
    let time = Duration::from_secs(10);
    std::thread::sleep(time);
    let after = numbers();
    assert_eq!(after.0, before.0, "pixels were grabbed");
    assert!(after.1 - before.1 <= 20.0, "the agent woke {} times", after.1 - before.1);
    assert_eq!((after.2.0, after.2.1), (before.2.0, before.2.1), "packets that were no pings");
    assert!((1..=3).contains(&(after.2.2 - before.2.2)), "pings every 5 s: {:?}", after.2);
    let bound = patience(time / 100);
    let (agent, gateway) = (after.3 - before.3, after.4 - before.4);
    assert!(agent <= bound && gateway <= bound, "agent {agent:?}, gateway {gateway:?} of {time:?}");
}
