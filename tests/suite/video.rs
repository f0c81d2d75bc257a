//! What keeps changing is shown as video, to those who can decode it, and exactly when it rests.

use lattice_tests::beat::{Beat, Motion};
use lattice_tests::compare::{assert_exact, assert_exact_after_video};
use lattice_tests::scene::Scene;
use lattice_tests::{Share, Viewer, ViewerOptions, XServer, eventually};
use std::time::Duration;

const DECODES: ViewerOptions =
    ViewerOptions { address: None, acks: true, reads: true, paints: true, h264: true };
const UNITS: &str = "lattice_agent_video_units_total";

/// Frames of a viewer that had video in them, and what they weigh in all.
fn video_of(viewer: &Viewer) -> (usize, usize) {
    viewer.view(|view| {
        let with_video = view.frames.iter().filter(|frame| frame.ops[4] > 0);
        with_video.fold((0, 0), |(count, bytes), frame| (count + 1, bytes + frame.bytes))
    })
}

#[test]
fn a_film_is_video_while_it_plays_and_exact_when_it_rests() {
    let server = XServer::start(1600, 900);
    let share = Share::start(&server);
    let viewer = Viewer::join_with(&share, DECODES);
    viewer.wait_picture();
    let mut film = Beat::prepare(server.connect(), Motion::Video);
    assert_exact(&viewer, &server);
    film.play(30.0, Duration::from_secs(3));
    assert_exact_after_video(&viewer, &server);
    let (frames, bytes) = video_of(&viewer);
    assert!(frames >= 20, "{frames} frames with video");
    // The same as lossless tiles is more than two megabytes a frame.
    assert!(bytes / frames < 200_000, "{bytes} bytes in {frames} frames");
    viewer.wait("a digest of the picture at rest", |view| view.digests_good > 0);
    share.assert_no_panics();
}

#[test]
fn text_beside_a_film_stays_exact_and_prompt() {
    let server = XServer::start(1920, 1080);
    let share = Share::start(&server);
    let viewer = Viewer::join_with(&share, DECODES);
    viewer.wait_picture();
    let mut film = Beat::prepare(server.connect(), Motion::Video);
    let mut scene = Scene::open(server.connect());
    scene.dot(5, 5, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| film.play(30.0, Duration::from_secs(3)));
        for step in 0..20u32 {
            std::thread::sleep(Duration::from_millis(100));
            let color = 0x0010_0000 + step;
            scene.dot(5, 5, color);
            viewer.wait("the dot to have its colour", |view| {
                view.screen.picture.pixels().contains(&color)
            });
        }
    });
    assert!(video_of(&viewer).0 >= 10, "the film was video meanwhile");
    assert_exact_after_video(&viewer, &server);
}

#[test]
fn a_class_costs_one_video_encoder_and_who_cannot_decode_sees_stills() {
    let server = XServer::start(1600, 900);
    let share = Share::start(&server);
    let class: Vec<Viewer> = (0..12)
        .map(|number| {
            let h264 = number % 3 != 0;
            Viewer::join_with(&share, ViewerOptions { h264, ..DECODES })
        })
        .collect();
    class.iter().for_each(Viewer::wait_picture);
    let mut film = Beat::prepare(server.connect(), Motion::Video);
    class.iter().for_each(|viewer| assert_exact_after_video(viewer, &server));
    let before = share.settled(UNITS);
    film.play(20.0, Duration::from_secs(4));
    for (number, viewer) in class.iter().enumerate() {
        assert_exact_after_video(viewer, &server);
        let (frames, _) = video_of(viewer);
        let all = viewer.view(|view| view.frames.len());
        match number % 3 {
            0 => assert!(frames == 0 && all > 3, "stills: {frames} with video of {all}"),
            _ => assert!(frames > 10, "video: {frames} of {all} frames"),
        }
    }
    let units = share.settled(UNITS) - before;
    assert!(units <= 100.0, "{units} units of 80 pictures for all");
    eventually("the encoder to be freed", || share.metric("lattice_agent_encoders", &[]) == 0.0);
    share.assert_no_panics();
}

#[test]
fn who_joins_a_film_sees_all_of_it_at_once() {
    let server = XServer::start(1600, 900);
    let share = Share::start(&server);
    let first = Viewer::join_with(&share, DECODES);
    first.wait_picture();
    let mut film = Beat::prepare(server.connect(), Motion::Video);
    std::thread::scope(|scope| {
        scope.spawn(|| film.play(20.0, Duration::from_secs(3)));
        first.wait("video", |view| view.frames.iter().any(|frame| frame.ops[4] > 0));
        let late = Viewer::join_with(&share, DECODES);
        late.wait_picture();
        late.view(|view| {
            let picture = &view.frames[0];
            assert!(picture.keyframe && picture.ops[4] == 0, "exact: {picture:?}");
        });
        late.wait("a keyframe of the video", |view| {
            view.frames.iter().any(|frame| frame.ops[4] > 0)
        });
    });
    assert_exact_after_video(&first, &server);
}
