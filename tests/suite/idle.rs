//! Who does nothing costs nothing: counters prove it.

use lattice_tests::compare::assert_exact;
use lattice_tests::process::{cpu_time, pss};
use lattice_tests::scene::Scene;
use lattice_tests::{Share, Viewer, XServer, eventually, patience};
use std::time::Duration;

#[test]
fn nothing_is_grabbed_while_nobody_looks() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let mut scene = Scene::open(server.connect());
    scene.play(Duration::from_millis(500));
    assert_eq!(share.settled("lattice_agent_grabs_total"), 0.0, "nobody has looked yet");

    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    scene.scroll(5);
    drop(viewer);
    share.wait_nobody();
    let before = share.settled("lattice_agent_grabs_total");
    assert!(before > 0.0, "somebody looked");
    let frames = share.settled("lattice_agent_frames_total");
    scene.play(Duration::from_millis(1500));
    assert_eq!(share.settled("lattice_agent_grabs_total"), before, "nobody looks any more");
    assert_eq!(share.metric("lattice_agent_frames_total", &[]), frames, "nobody was asked for it");
}

#[test]
fn a_still_picture_costs_pings_only() {
    let server = XServer::start(1920, 1080);
    let share = Share::start(&server);
    let _scene = Scene::open(server.connect());
    let viewer = Viewer::join(&share);
    viewer.wait_digest();
    share.settled("lattice_agent_grabs_total");

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

const MB: u64 = 1_000_000;

/// What agent and gateway take of the machine's memory.
fn memory(share: &Share) -> u64 {
    pss(share.agent()) + pss(share.pid())
}

#[test]
fn memory_is_bounded_and_given_back() {
    let server = XServer::start(1920, 1080);
    let share = Share::start(&server);
    let mut scene = Scene::open(server.connect());
    let agent = share.agent();
    let unwatched = pss(agent);

    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    scene.play(Duration::from_secs(2));
    assert_exact(&viewer, &server);
    let one = memory(&share);
    println!("PSS: agent {unwatched} unwatched; agent and gateway {one} with one viewer");
    assert!(one <= 55 * MB, "{one} bytes with one viewer");

    let others: Vec<Viewer> = (0..10).map(|_| Viewer::join(&share)).collect();
    others.iter().for_each(Viewer::wait_picture);
    others.iter().for_each(|other| assert_exact(other, &server));
    let eleven = memory(&share);
    println!("PSS: {eleven} with eleven viewers");
    assert!(eleven <= one + 15 * MB, "{one} bytes with one viewer, {eleven} with eleven");

    drop((viewer, others));
    share.wait_nobody();
    // What an allocator keeps of what was given back to it.
    let kept = 6 * MB;
    eventually("the agent to give its memory back", || pss(agent) <= unwatched + kept);
    println!("PSS: agent {} after the last has left", pss(agent));
    assert_eq!(share.agent(), agent, "it is the same agent");
}
