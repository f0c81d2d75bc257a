//! A desktop that takes all it can get: it ends what is its own, and its neighbour goes on typing.

use lattice_tests::containers::{display, docker, name};
use lattice_tests::keylog::KeyLog;
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::storms::STORMS;
use lattice_tests::typing::p95;
use lattice_tests::{Viewer, ViewerOptions, patience};
use std::thread;
use std::time::{Duration, Instant};

/// So long each lasts.
const TIME: Duration = Duration::from_secs(8);
/// A latency below this is nobody's concern, whatever it was before.
const UNNOTICED: Duration = Duration::from_millis(60);

#[test]
fn a_neighbour_goes_on_typing_whatever_a_desktop_does() {
    let serve = Serve::start_with(ServeOptions {
        args: vec!["--runtime", "docker"],
        env: vec![("LATTICE_BROKER__POOL", "0".into())],
        ..ServeOptions::default()
    });
    serve.account("bob", "member");
    let (ada, bob) = (serve.admin(), serve.sign_in("bob"));
    let (wild, calm) = (serve.desktop_of(&ada), serve.desktop_of(&bob));
    // Whoever looks at the wild one does so on a machine of their own: its pictures are taken, not painted.
    let options = ViewerOptions { paints: false, ..ViewerOptions::default() };
    let watched = Viewer::try_open(serve.upgrade(&ada, &wild), serve.address(), options);
    let watched = watched.expect("the wild desktop is there");
    watched.wait("a frame", |view| !view.frames.is_empty());
    let viewer = serve.viewer(&bob, &calm);
    viewer.wait_picture();
    let room = serve.desktops().data().join("desktops").join(calm.as_str());
    viewer.wait("to drive", lattice_tests::viewer::View::drives);
    // The desktops' programs come first.
    thread::sleep(Duration::from_secs(4));
    let connect = || display(&room).expect("its display");
    let keylog = KeyLog::open(connect(), connect());
    viewer.type_for(Duration::from_secs(1));
    let before = viewer.type_for(TIME);
    println!(
        "alone: p95 {:.1?} of {} keys, longest {:.1?}",
        p95(&before),
        before.len(),
        before[before.len() - 1]
    );

    for storm in STORMS {
        let what = storm.name;
        let (mut storm, began) = (storm.rage(&wild, TIME + Duration::from_secs(2)), Instant::now());
        thread::sleep(Duration::from_millis(500));
        let during = viewer.type_for(TIME);
        // Where a key took very long, the storm may have had its time.
        let ran = began.elapsed() > TIME * 5 / 4 || storm.try_wait().expect("it is ours").is_none();
        println!(
            "{what}: p95 {:.1?} of {} keys, longest {:.1?}",
            p95(&during),
            during.len(),
            during[during.len() - 1]
        );
        assert!(ran, "{what} ended before its time");
        let bound = (p95(&before) * 2).max(patience(UNNOTICED));
        assert!(p95(&during) < bound, "{what}: {:?}, and {:?} alone", p95(&during), p95(&before));
        storm.wait().expect("it is ours");
        // What was wild lives on: its containers are the same, its programs answer.
        let state = docker(&[
            "inspect",
            "--format",
            "{{.State.Running}} {{.RestartCount}}",
            &name(&wild, "desktop"),
        ]);
        assert_eq!(state, "true 0", "{what}");
        let names = docker(&["exec", &name(&wild, "desktop"), "sh", "-c", "cat /proc/[0-9]*/comm"]);
        assert!(names.contains("xfce4-panel") && names.contains("xfwm4"), "{what}: {names}");
    }
    assert!(keylog.log().presses().count() > 50);
    watched.assert_no_faults();
    viewer.assert_no_faults();
    serve.assert_no_panics();
}
