//! What breaks ends in a live, exact picture or in words for the person who looks, and nobody else
//! is slowed by it.

use lattice_tests::compare::{assert_exact, difference};
use lattice_tests::process::{child_named, is_running, rss, signal};
use lattice_tests::relay::Relay;
use lattice_tests::scene::Scene;
use lattice_tests::wait::{is_long_run, until_some};
use lattice_tests::{Share, Viewer, ViewerOptions, XServer, eventually, patience};
use lattice_wire::close::{RESTART, SILENT, STALLED};
use lattice_wire::{Availability, Size};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Waits for a live display and checks that it is seen to the pixel while it changes.
fn check_alive(viewer: &Viewer, server: &XServer) {
    viewer.wait("a live display", |view| view.is_live());
    let mut scene = Scene::open(server.connect());
    scene.scroll(3);
    let real = server.image();
    viewer.wait("the picture to be right again", |view| {
        difference(&view.screen.picture, &real).is_none()
    });
    scene.drag(5);
    assert_exact(viewer, server);
    assert_eq!(viewer.view(|view| view.closed.clone()), None);
}

fn lose(viewer: &Viewer) -> Duration {
    viewer.wait_for("word of the loss", Duration::from_secs(20), |view| {
        view.display.as_ref().is_some_and(|display| {
            display.state == Availability::Lost && !display.reason.is_empty()
        })
    })
}

#[test]
fn a_killed_agent_comes_back() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    let epoch = viewer.view(|view| view.screen.at.map(|at| at.epoch));
    for _ in 0..2 {
        let agent = share.agent();
        let killed = Instant::now();
        signal(agent, Signal::KILL);
        until_some("another agent", patience(Duration::from_secs(10)), || {
            child_named(share.pid(), "lattice-agent").filter(|&pid| pid != agent)
        });
        viewer.wait("a picture of another run", |view| {
            view.screen.at.map(|at| at.epoch) != epoch && view.is_live()
        });
        let back = killed.elapsed();
        assert!(back < patience(Duration::from_secs(5)), "the picture was back after {back:?}");
        check_alive(&viewer, &server);
    }
    share.assert_no_panics();
}

#[test]
fn a_killed_x_server_is_reported_and_found_again() {
    let mut server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    for _ in 0..2 {
        server.kill();
        let told = lose(&viewer);
        assert!(told < patience(Duration::from_secs(2)), "told after {told:?}");
        // Who joins while there is no display is told so, too.
        let late = Viewer::join(&share);
        lose(&late);
        server.restart();
        check_alive(&viewer, &server);
        check_alive(&late, &server);
    }
    share.assert_no_panics();
}

#[test]
fn a_share_of_a_display_that_comes_later_waits_for_it() {
    let mut server = XServer::start(1366, 768);
    server.kill();
    let share = Share::start(&server);
    let viewer = Viewer::join(&share);
    lose(&viewer);
    server.restart();
    check_alive(&viewer, &server);
}

#[test]
fn an_x_server_that_hangs_hangs_nobody() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    let mut scene = Scene::open(server.connect());
    scene.scroll(1);
    assert_exact(&viewer, &server);
    let pings = viewer.view(|view| view.pings);

    // Time itself is under test: the server does nothing for 5 s.
    server.stop();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        viewer.type_text("a");
        assert_eq!(share.get("/healthz").status, 200);
        assert!(viewer.view(|view| view.closed.is_none()));
        std::thread::sleep(Duration::from_millis(100));
    }
    viewer.wait("pings to go on", |view| view.pings > pings);
    server.cont();
    check_alive(&viewer, &server);
    share.assert_no_panics();
}

#[test]
fn a_killed_gateway_leaves_nothing_behind_and_comes_back_at_its_address() {
    let server = XServer::start(1366, 768);
    let mut share = Share::start(&server);
    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    let agent = share.agent();
    share.kill();
    assert_eq!(viewer.wait_closed().0, 1006);
    eventually("the agent to follow its gateway", || !is_running(agent));
    let refused = Viewer::try_join(&share, ViewerOptions::default());
    assert!(refused.is_err(), "nobody listens any more");

    let start = Instant::now();
    share.restart();
    let back = Viewer::join(&share);
    back.wait_picture();
    let took = start.elapsed();
    assert!(took < patience(Duration::from_secs(5)), "the picture was back after {took:?}");
    check_alive(&back, &server);
    share.assert_no_panics();
}

#[test]
fn a_gateway_that_is_told_to_end_says_goodbye() {
    let server = XServer::start(1366, 768);
    let mut share = Share::start(&server);
    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    let agent = share.agent();
    let start = Instant::now();
    let status = share.terminate();
    assert!(status.success(), "{status:?}\n{}", share.log());
    assert!(start.elapsed() < patience(Duration::from_secs(5)), "{:?}", start.elapsed());
    assert_eq!(viewer.wait_closed().0, RESTART);
    eventually("the agent to follow its gateway", || !is_running(agent));
}

#[test]
fn a_network_that_is_cut_for_10_s_catches_up() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let relay = Relay::start(share.address());
    let address = Some(relay.address());
    let far = Viewer::join_with(&share, ViewerOptions { address, ..ViewerOptions::default() });
    let near = Viewer::join(&share);
    far.wait_picture();
    near.wait_picture();
    let mut scene = Scene::open(server.connect());
    assert_exact(&far, &server);

    relay.cut();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        scene.play(Duration::from_millis(400));
        assert_exact(&near, &server);
    }
    assert!(far.view(|view| view.closed.is_none()));
    relay.mend();
    let real = server.image();
    far.wait("the far viewer to catch up", |view| {
        difference(&view.screen.picture, &real).is_none()
    });
    check_alive(&far, &server);
    check_alive(&near, &server);

    relay.reset();
    far.wait_closed();
    let back = Viewer::join_with(&share, ViewerOptions { address, ..ViewerOptions::default() });
    back.wait_picture();
    check_alive(&back, &server);
    share.assert_no_panics();
}

/// How many frames a viewer gets of two seconds of a lively scene.
fn frames_of(viewer: &Viewer, server: &XServer, scene: &mut Scene) -> usize {
    let before = viewer.view(|view| view.frames.len());
    scene.play(Duration::from_secs(2));
    assert_exact(viewer, server);
    viewer.view(|view| view.frames.len()) - before
}

/// Checks that a viewer gets (nearly) as many frames beside a bad one as without it, and what the
/// bad one costs in memory.
fn check_not_slowed(join_bad: impl FnOnce(&Share) -> Viewer) -> (XServer, Share, Viewer) {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let good = Viewer::join(&share);
    good.wait_picture();
    let mut scene = Scene::open(server.connect());
    frames_of(&good, &server, &mut scene);
    let alone = frames_of(&good, &server, &mut scene);
    let memory = rss(share.pid());

    let bad = join_bad(&share);
    eventually("the bad one to be counted", || share.metric("lattice_viewers", &[]) == 2.0);
    // Frames large enough to fill every buffer of the kernel that would read for it.
    for _ in 0..40 {
        scene.noise();
        assert_exact(&good, &server);
    }
    let beside = frames_of(&good, &server, &mut scene);
    assert!(
        beside * 10 >= alone * 8,
        "{beside} frames in 2 s beside the bad viewer, {alone} without it"
    );
    let grown = rss(share.pid()).saturating_sub(memory);
    // A few of the largest frames, and the allocator's own.
    assert!(grown < 24 << 20, "the gateway grew by {grown} bytes");
    share.assert_no_panics();
    drop(good);
    (server, share, bad)
}

fn join_badly(bad: ViewerOptions) -> impl FnOnce(&Share) -> Viewer {
    move |share| Viewer::join_with(share, bad)
}

#[test]
fn a_viewer_that_never_acks_slows_nobody() {
    let bad = ViewerOptions { acks: false, ..ViewerOptions::default() };
    let (server, share, bad) = check_not_slowed(join_badly(bad));
    // Nor itself for good: what it got is a right picture, however old.
    bad.assert_no_faults();
    let alone = Viewer::join(&share);
    alone.wait_picture();
    assert_exact(&alone, &server);
}

#[test]
fn a_viewer_that_never_reads_slows_nobody_and_is_closed() {
    let bad = ViewerOptions { reads: false, ..ViewerOptions::default() };
    let (_server, share, _bad) = check_not_slowed(join_badly(bad));
    let closed = || {
        let code = |code: u16| {
            share.metric("lattice_viewers_closed_total", &[&format!("code=\"{code}\"")])
        };
        code(SILENT) + code(STALLED)
    };
    until_some("the viewer to be closed", Duration::from_secs(40), || {
        (closed() == 1.0).then_some(())
    });
    eventually("it to be gone", || share.metric("lattice_viewers", &[]) == 0.0);
}

/// A slow link's bytes a second: 1 Mb/s.
const SLOW: u32 = 125_000;

/// Checks that a viewer on a slow link gets a picture that takes the link so long, is not given up
/// meanwhile, and follows the display afterwards. It is all the same to the one beside it.
fn check_slow_link(seconds: u16) {
    let server = XServer::start(1920, 1080);
    let share = Share::start(&server);
    let mut scene = Scene::open(server.connect());
    // Noise takes three bytes a pixel.
    let (width, pixels) = (1500, u32::from(seconds) * SLOW / 3);
    scene.noise_window(Size::new(width, (pixels / u32::from(width)) as u16));
    let near = Viewer::join(&share);
    assert_exact_soon(&near, &server);

    let relay = Relay::slow(share.address(), SLOW);
    let address = Some(relay.address());
    let far = Viewer::join_with(&share, ViewerOptions { address, ..ViewerOptions::default() });
    let real = server.image();
    let bound = patience(Duration::from_secs(u64::from(seconds) * 3 / 2 + 5));
    let took = far.wait_for("the picture to come through the slow link", bound, |view| {
        view.closed.is_some() || difference(&view.screen.picture, &real).is_none()
    });
    assert_eq!(far.view(|view| view.closed.clone()), None, "after {took:?}");
    let least = Duration::from_secs(u64::from(seconds) * 8 / 10);
    assert!(took > least, "the link was not slow: {took:?}");
    assert_eq!(far.view(|view| view.frames.len()), 1, "one picture was enough");

    scene.scroll(3);
    assert_exact_soon(&far, &server);
    far.wait("a digest of the picture at rest", |view| view.digests_good > 0);
    near.assert_no_faults();
    share.assert_no_panics();
}

/// As [`assert_exact`], for what takes longer on its way than that allows.
fn assert_exact_soon(viewer: &Viewer, server: &XServer) {
    let real = server.image();
    viewer
        .wait("the picture to be right", |view| difference(&view.screen.picture, &real).is_none());
    viewer.assert_no_faults();
}

#[test]
fn a_picture_comes_through_a_slow_link() {
    check_slow_link(5);
}

#[test]
fn a_picture_that_takes_a_slow_link_37_s_comes_through() {
    if is_long_run("a picture that takes a slow link 37 s") {
        check_slow_link(37);
    }
}

#[test]
fn a_viewer_on_a_slow_link_slows_nobody_and_catches_up() {
    let mut relay = None;
    let (server, share, far) = check_not_slowed(|share| {
        let address = relay.insert(Relay::slow(share.address(), SLOW)).address();
        let options = ViewerOptions { address: Some(address), ..ViewerOptions::default() };
        Viewer::join_with(share, options)
    });
    // Nothing old waits in front of what it lacks: some frames of its own, not forty of noise.
    assert_exact_soon(&far, &server);
    assert_eq!(far.view(|view| view.closed.clone()), None);
    share.assert_no_panics();
}
