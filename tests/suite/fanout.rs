//! A class looks at one desktop: everything is encoded once, and who does not keep up costs only
//! themselves.

use lattice_tests::beat::{Beat, Motion};
use lattice_tests::compare::{assert_exact_after_video, difference};
use lattice_tests::process::rss;
use lattice_tests::relay::Relay;
use lattice_tests::scene::{Piece, Scene};
use lattice_tests::wait::{is_long_run, until_some};
use lattice_tests::{Share, Viewer, ViewerOptions, XServer, eventually};
use lattice_wire::close::STALLED;
use lattice_wire::{FrameRef, RefreshId};
use std::collections::HashSet;
use std::time::Duration;

const CLASS: usize = 30;
const FRAMES: &str = "lattice_agent_frames_total";

fn join_class(share: &Share, count: usize, options: ViewerOptions) -> Vec<Viewer> {
    (0..count).map(|_| Viewer::join_with(share, options)).collect()
}

/// Checks that all of them see what the display shows, now that it rests.
fn assert_all_exact(class: &[Viewer], server: &XServer) {
    let real = server.image();
    for (number, viewer) in class.iter().enumerate() {
        viewer.wait(&format!("viewer {number} to be exact"), |view| {
            difference(&view.screen.picture, &real).is_none()
        });
        viewer.assert_no_faults();
    }
}

/// The frames that anybody of the class got from `before` on, each once.
fn different_frames(class: &[Viewer], before: &[usize]) -> HashSet<(FrameRef, Option<RefreshId>)> {
    let pairs = class.iter().zip(before);
    pairs
        .flat_map(|(viewer, &before)| {
            viewer.view(|view| {
                let new = view.frames[before..].iter();
                new.map(|frame| (frame.at, frame.refresh)).collect::<Vec<_>>()
            })
        })
        .collect()
}

#[test]
fn a_class_costs_one_encoding_and_the_slow_cost_nobody() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let mut scene = Scene::open(server.connect());
    let class = join_class(&share, CLASS, ViewerOptions::default());
    class.iter().for_each(Viewer::wait_picture);
    assert_all_exact(&class, &server);

    let made = share.settled(FRAMES);
    let before: Vec<usize> =
        class.iter().map(|viewer| viewer.view(|view| view.frames.len())).collect();
    scene.play_piece(Piece::Scroll, Duration::from_secs(4));
    assert_all_exact(&class, &server);
    let made = share.settled(FRAMES) - made;
    let different = different_frames(&class, &before);
    let got: usize = class
        .iter()
        .zip(&before)
        .map(|(viewer, before)| viewer.view(|view| view.frames.len() - before))
        .sum();
    println!("{made} frames were made, {} differed, {got} arrived", different.len());
    assert_eq!(made, different.len() as f64, "each frame is encoded once");
    assert!(made > 4.0, "{made} frames in 4 s");
    assert!(got as f64 > made, "frames reach the class and not one viewer: {got}");

    let deaf = ViewerOptions { reads: false, ..ViewerOptions::default() };
    let mute = ViewerOptions { acks: false, ..ViewerOptions::default() };
    let deaf = join_class(&share, 5, deaf);
    let mute = join_class(&share, 2, mute);
    let all = (CLASS + deaf.len() + mute.len()) as f64;
    eventually("everybody to be counted", || share.metric("lattice_viewers", &[]) == all);
    for _ in 0..10 {
        scene.noise();
        scene.play_piece(Piece::Scroll, Duration::from_millis(200));
    }
    assert_all_exact(&class, &server);
    mute.iter().for_each(Viewer::assert_no_faults);
    if is_long_run("the end of those who never read") {
        let code = format!("code=\"{STALLED}\"");
        let closed = || share.metric("lattice_viewers_closed_total", &[&code]);
        until_some("those who never read to be closed", Duration::from_secs(60), || {
            scene.scroll(1);
            std::thread::sleep(Duration::from_millis(100));
            (closed() >= deaf.len() as f64).then_some(())
        });
        assert_all_exact(&class, &server);
    }
    for viewer in &class {
        assert_eq!(viewer.view(|view| view.closed.clone()), None);
    }
    share.assert_no_panics();
}

/// What a viewer may be behind in the gateway's memory: its queue and its connection's buffers.
const SLOW_BYTES: u64 = 4 << 20;

#[test]
fn text_and_a_film_reach_a_class_whole_while_some_are_slow_and_some_deaf() {
    let server = XServer::start(1024, 768);
    let share = Share::start(&server);
    let mut scene = Scene::open(server.connect());
    let mut film = Beat::prepare(server.connect(), Motion::Clip);
    let decodes = ViewerOptions { h264: true, ..ViewerOptions::default() };
    let class = join_class(&share, CLASS, decodes);
    class.iter().for_each(Viewer::wait_picture);
    let memory = rss(share.pid());

    // 64 kbit/s each.
    let relays: Vec<Relay> = (0..5).map(|_| Relay::slow(share.address(), 8000)).collect();
    let narrow = |relay: &Relay| ViewerOptions { address: Some(relay.address()), ..decodes };
    let slow: Vec<Viewer> =
        relays.iter().map(|relay| Viewer::join_with(&share, narrow(relay))).collect();
    let deaf = join_class(&share, 2, ViewerOptions { reads: false, ..decodes });
    let all = (CLASS + slow.len() + deaf.len()) as f64;
    eventually("everybody to be counted", || share.metric("lattice_viewers", &[]) == all);

    let starts: Vec<usize> =
        class.iter().map(|viewer| viewer.view(|view| view.frames.len())).collect();
    let units = |share: &Share| share.settled("lattice_agent_video_units_total");
    let before = units(&share);
    let time = Duration::from_secs(6);
    std::thread::scope(|scope| {
        scope.spawn(|| film.play(10.0, time));
        let pace = Duration::from_millis(100);
        for _ in 0..time.as_millis() / pace.as_millis() {
            scene.scroll(1);
            std::thread::sleep(pace);
        }
    });
    let made = units(&share) - before;

    let shown = |viewer: &Viewer, start: usize| {
        viewer.view(|view| {
            let new = view.frames[start..].iter().filter(|frame| frame.refresh.is_none());
            new.map(|frame| (frame.at, frame.ops[4])).collect::<HashSet<_>>()
        })
    };
    let seen: Vec<_> =
        class.iter().zip(&starts).map(|(viewer, &start)| shown(viewer, start)).collect();
    let every: HashSet<_> = seen.iter().flatten().collect();
    let video: u32 = every.iter().map(|(_, units)| units).sum();
    let all: usize = seen.iter().map(HashSet::len).sum();
    let arrived = all as f64 / (every.len() * class.len()) as f64;
    println!("{} frames, {arrived:.3} of them arrived; {made} units of video", every.len());
    assert!(every.len() > 20, "{} frames in {time:?}", every.len());
    assert!(arrived > 0.95, "{arrived} of {} frames arrived", every.len());
    assert!(video > 10, "the film was video: {video} units");
    assert!(made <= f64::from(video), "each picture is encoded once, not {made} of {video} times");
    let grown = rss(share.pid()).saturating_sub(memory);
    println!("the gateway grew by {grown} bytes");
    assert!(grown < (slow.len() + deaf.len()) as u64 * SLOW_BYTES, "it grew by {grown} bytes");
    assert_exact_after_video(&class[0], &server);
    for viewer in &class {
        viewer.assert_no_faults();
        assert_eq!(viewer.view(|view| view.closed.clone()), None);
    }
    share.assert_no_panics();
}
