//! A desktop that takes all it can get: it ends what is its own, and its neighbour goes on typing.

use lattice_engine::session::SessionId;
use lattice_tests::containers::{display, docker, name};
use lattice_tests::keylog::KeyLog;
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::typing::p95;
use lattice_tests::{Viewer, ViewerOptions, patience};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// So long each lasts.
const TIME: Duration = Duration::from_secs(8);
/// A latency below this is nobody's concern, whatever it was before.
const UNNOTICED: Duration = Duration::from_millis(60);

fn run(session: &SessionId, script: &str) -> Child {
    let mut command = Command::new("docker");
    command.args(["exec", &name(session, "desktop"), "/bin/bash", "-c", script]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("docker is there")
}

/// Makes windows as fast as the X server takes them, by its own protocol.
const WINDOWS: &str = r#"perl -MIO::Socket::UNIX -e '
    open(C, "<", "/run/lattice/auth/client"); local $/; $cookie = substr(<C>, -16); close C;
    $s = IO::Socket::UNIX->new(Peer => "/tmp/.X11-unix/X0") or die; binmode $s;
    syswrite $s, pack("CxSSSSxx", 0x6c, 11, 0, 18, 16) . "MIT-MAGIC-COOKIE-1\0\0" . $cookie;
    sub take { my ($n, $b) = (shift, ""); while (length $b < $n) { sysread($s, $b, $n - length $b, length $b) or die } $b }
    $h = take(8); $r = take(4 * unpack("x6S", $h));
    ($base, $vendor, $formats) = (unpack("L", substr($r, 4, 4)), unpack("S", substr($r, 16, 2)), unpack("C", substr($r, 21, 1)));
    $root = unpack("L", substr($r, 32 + (($vendor + 3) & ~3) + 8 * $formats, 4));
    $end = time + SECONDS;
    for ($i = 1; time < $end; $i++) {
        $w = $base + $i % 200;
        $out = $i > 200 ? pack("CxSL", 4, 2, $w) : "";
        $out .= pack("CCSLLssSSSSLLL", 1, 0, 9, $w, $root, 40 + $i % 900, 40 + $i % 500, 300, 200, 1, 1, 0, 2, $i * 7919 & 0xffffff);
        syswrite $s, $out . pack("CxSL", 8, 2, $w);
        # An answer now and then, lest the server takes it all in first.
        if ($i % 50 == 0) { syswrite $s, pack("CxS", 43, 1); do { $a = unpack("C", take(32)) } while $a != 1 }
    }'"#;

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

    let seconds = TIME.as_secs() + 2;
    let storms = [
        ("fork bomb", format!("perl -e '$end = time + {seconds}; while (time < $end) {{ fork }}'")),
        (
            "memory",
            format!(
                "end=$((SECONDS + {seconds})); while [ $SECONDS -lt $end ]; do \
                            perl -e '$x .= \"x\" x 1e8 while 1'; done"
            ),
        ),
        ("windows", WINDOWS.replace("SECONDS", &seconds.to_string())),
    ];
    for (what, script) in storms {
        let (mut storm, began) = (run(&wild, &script), Instant::now());
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
