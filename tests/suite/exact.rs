//! What a viewer sees is what the X server shows, to the pixel, 300 ms after it rests.

use lattice_tests::compare::{assert_exact, difference};
use lattice_tests::scene::Scene;
use lattice_tests::xserver::Program;
use lattice_tests::{Share, Viewer, XServer, eventually, patience};
use lattice_wire::{ClientPacket, Size};
use std::time::Duration;

/// Draws everything there is and checks the picture after each step.
fn check_scene(server: &XServer, share: &Share) {
    let viewer = Viewer::join(share);
    viewer.wait_picture();
    assert_exact(&viewer, server);

    let mut scene = Scene::open(server.connect());
    assert_exact(&viewer, server);
    scene.scroll(25);
    assert_exact(&viewer, server);
    scene.drag(40);
    assert_exact(&viewer, server);
    scene.gradient();
    assert_exact(&viewer, server);
    scene.noise();
    assert_exact(&viewer, server);
    scene.dot(3, 200, 0x00ff_0000);
    assert_exact(&viewer, server);
    scene.play(Duration::from_millis(1500));
    assert_exact(&viewer, server);
    viewer.wait("a digest of the picture at rest", |view| view.digests_good > 0);
    share.assert_no_panics();
}

#[test]
fn a_scene_is_exact_at_1366x768() {
    let server = XServer::start(1366, 768);
    check_scene(&server, &Share::start(&server));
}

#[test]
fn a_scene_is_exact_at_1920x1080() {
    let server = XServer::start(1920, 1080);
    check_scene(&server, &Share::start(&server));
}

#[test]
fn a_scene_is_exact_at_an_odd_size() {
    let server = XServer::start(1367, 771);
    check_scene(&server, &Share::start(&server));
}

#[test]
fn a_scene_is_exact_without_shared_memory() {
    let size = Size::new(1003, 701);
    let server = XServer::start_with(Program::Xorg, size, &["-extension", "MIT-SHM"]);
    check_scene(&server, &Share::start(&server));
}

#[test]
fn a_scene_is_exact_on_xvfb() {
    let server = XServer::start_with(Program::Xvfb, Size::new(1366, 768), &[]);
    check_scene(&server, &Share::start(&server));
}

#[test]
fn what_moves_is_copied() {
    let server = XServer::start(1920, 1080);
    let share = Share::start(&server);
    let mut scene = Scene::open(server.connect());
    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    viewer.wait_digest();

    let work = |draw: &mut dyn FnMut()| {
        let before = viewer.view(|view| view.frames.len());
        draw();
        assert_exact(&viewer, &server);
        viewer.view(|view| {
            let frames = &view.frames[before..];
            let copies: u32 = frames.iter().map(|frame| frame.ops[1]).sum();
            (copies, frames.iter().map(|frame| frame.bytes).sum::<usize>())
        })
    };
    let paced = |draw: &mut dyn FnMut()| {
        for _ in 0..20 {
            draw();
            std::thread::sleep(Duration::from_millis(25));
        }
    };
    let (copies, scrolled) = work(&mut || paced(&mut || scene.scroll(1)));
    assert!(copies >= 10, "20 scrolls took {copies} copies and {scrolled} bytes");
    // A line of text and what it costs to say so; all of the paper is above 100 kB each time.
    assert!(scrolled < 20 * 12_000, "20 scrolls took {copies} copies and {scrolled} bytes");
    let (copies, dragged) = work(&mut || paced(&mut || scene.drag(1)));
    assert!(copies >= 10, "20 steps of a drag took {copies} copies and {dragged} bytes");
}

#[test]
fn a_viewer_may_resize_the_display_where_it_was_allowed_to() {
    let server = XServer::start(1366, 768);
    let share = Share::resizable(&server);
    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    let limits = viewer.view(|view| view.welcome.clone()).expect("a welcome came first").limits;
    assert!(limits.0 != limits.1, "a resizable display has a range of sizes: {limits:?}");

    let asked = [(1367, 771), (801, 601), (1920, 1080), (1, 1), (65535, 65535), (1366, 768)];
    for (width, height) in asked {
        let asked = Size::new(width, height);
        let expected = asked.clamp(limits.0, limits.1);
        viewer.send(&ClientPacket::Resize(asked));
        viewer.wait(&format!("a picture of {expected:?} for {asked:?}"), |view| {
            view.screen.picture.size() == expected
        });
        let mut scene = Scene::open(server.connect());
        scene.scroll(5);
        scene.drag(5);
        // The largest size takes longer than 300 ms even to read.
        if expected.area() < 3000 * 2000 {
            assert_exact(&viewer, &server);
        } else {
            let real = server.image();
            viewer.wait("the largest picture", |view| {
                difference(&view.screen.picture, &real).is_none()
            });
        }
    }
    viewer.assert_no_faults();
    share.assert_no_panics();
}

#[test]
fn nobody_resizes_the_display_without_being_allowed_to() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    let limits = viewer.view(|view| view.welcome.clone()).expect("a welcome came first").limits;
    assert_eq!(limits, (Size::new(1366, 768), Size::new(1366, 768)));
    viewer.send(&ClientPacket::Resize(Size::new(800, 600)));
    // Input after it is answered by a frame, so the request was heard by then.
    let mut scene = Scene::open(server.connect());
    scene.scroll(3);
    assert_exact(&viewer, &server);
    assert_eq!(server.image().size(), Size::new(1366, 768));
}

#[test]
fn a_display_that_somebody_else_resizes_is_followed() {
    let mut server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    for size in [Size::new(1367, 771), Size::new(1280, 1024), Size::new(640, 481)] {
        server.set_size(size);
        viewer.wait("a picture of the new size", |view| view.screen.picture.size() == size);
        let mut scene = Scene::open(server.connect());
        scene.scroll(3);
        assert_exact(&viewer, &server);
    }
    share.assert_no_panics();
}

#[test]
fn every_viewer_is_exact_whenever_it_joins() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let mut scene = Scene::open(server.connect());
    let first = Viewer::join(&share);
    first.wait_picture();
    scene.scroll(5);
    let second = Viewer::join(&share);
    scene.drag(7);
    second.wait_picture();
    assert_exact(&first, &server);
    assert_exact(&second, &server);

    drop(first);
    scene.play(Duration::from_millis(300));
    assert_exact(&second, &server);
    drop(second);
    eventually("nobody to look", || share.metric("lattice_viewers", &[]) == 0.0);
    // Nobody saw this; who comes back does.
    scene.noise();
    scene.scroll(9);
    for _ in 0..3 {
        let back = Viewer::join(&share);
        back.wait_picture();
        assert_exact(&back, &server);
    }
    share.assert_no_panics();
}

#[test]
fn a_refresh_brings_everything_again() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let _scene = Scene::open(server.connect());
    let viewer = Viewer::join(&share);
    viewer.wait_digest();
    let before = viewer.view(|view| view.frames.len());
    viewer.send(&ClientPacket::Refresh);
    viewer.wait("a refresh", |view| {
        view.frames[before..].iter().any(|frame| frame.refresh.is_some())
    });
    viewer.wait_digest();
    assert_exact(&viewer, &server);
}

#[test]
fn a_viewer_that_joins_sees_a_picture_at_once() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let _scene = Scene::open(server.connect());
    for round in 0..15 {
        let viewer = Viewer::join(&share);
        let bound = patience(Duration::from_millis(500));
        let what = format!("a first picture, in round {round}");
        viewer.wait_for(&what, bound, |view| view.screen.at.is_some());
        drop(viewer);
        eventually("nobody to look", || share.metric("lattice_viewers", &[]) == 0.0);
    }
}

#[test]
fn a_digest_is_never_that_of_another_size() {
    let mut server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    let mut scene = Scene::open(server.connect());
    for round in 0..20 {
        // A digest is due 150 ms after this, and the size changes about then.
        scene.dot(5, 5 + round, 0x00ff_0000);
        std::thread::sleep(Duration::from_millis(125 + 2 * round as u64));
        let size = Size::new(1000 + 7 * round as u16, 700);
        server.set_size(size);
        viewer.wait("a picture of the new size", |view| view.screen.picture.size() == size);
        viewer.wait_digest();
        viewer.assert_no_faults();
    }
}
