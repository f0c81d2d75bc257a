//! Far more viewers than a class: at once, and all of them anew.

use super::Witness;
use lattice_engine::session::SessionId;
use lattice_tests::http::Kept;
use lattice_tests::people::Proof;
use lattice_tests::process::{allow_many_files, rss, signal};
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::{Viewer, ViewerOptions, eventually, patience};
use rustix::process::Signal;
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};

const CROWD: usize = 200;
/// How many of them join at the same time.
const AT_ONCE: usize = 8;
/// What one more viewer may cost the gateway.
const EACH: u64 = 1536 << 10;

/// All of them join; how long it takes until each has been shown something.
fn join(serve: &Serve, who: &Proof, session: &SessionId) -> (Vec<Viewer>, Duration) {
    let start = Instant::now();
    let options = ViewerOptions { paints: false, ..ViewerOptions::default() };
    let join = || {
        let join = |_| Viewer::try_open(serve.upgrade(who, session), serve.address(), options);
        (0..CROWD / AT_ONCE).map(join).collect::<Result<Vec<_>, _>>().expect("all may look")
    };
    let crowd: Vec<_> = thread::scope(|scope| {
        let joins: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(join)).collect();
        joins.into_iter().flat_map(|joined| joined.join().expect("all may look")).collect()
    });
    for viewer in &crowd {
        viewer.wait("a first frame", |view| !view.frames.is_empty());
    }
    (crowd, start.elapsed())
}

#[test]
fn two_hundred_look_at_one_desktop_and_all_come_back_at_once_after_a_crash() {
    allow_many_files();
    let env = vec![("LATTICE_DESKTOPS__MAX_VIEWERS", "250".to_owned())];
    let mut serve = Serve::start_with(ServeOptions { env, ..ServeOptions::default() });
    let session = serve.desktop_of(&serve.admin());
    let guest = serve.redeem(&serve.link(&session, "view", Value::Null).secret);
    let mut witness = Witness::of(&serve, &session);
    witness.check();
    let memory = rss(serve.pid());

    let (crowd, took) = join(&serve, &guest, &session);
    witness.check();
    let grown = rss(serve.pid()).saturating_sub(memory);
    println!("{CROWD} viewers joined in {took:?}; the gateway grew by {} KiB", grown >> 10);
    assert!(took < patience(Duration::from_secs(10)), "{took:?}");
    assert!(grown < CROWD as u64 * EACH, "the gateway grew by {grown} bytes");

    signal(serve.pid(), Signal::KILL);
    serve.restart();
    for viewer in &crowd {
        viewer.wait_closed();
    }
    let (crowd, took) = join(&serve, &guest, &session);
    println!("{CROWD} viewers came back in {took:?} after the gateway had been killed");
    assert!(took < patience(Duration::from_secs(10)), "{took:?}");
    let mut witness = Witness::of(&serve, &session);
    witness.check();
    for viewer in &crowd {
        assert_eq!(viewer.view(|view| view.closed.clone()), None);
        viewer.assert_no_faults();
    }
    drop(crowd);
    eventually("the crowd to be gone", || serve.metric("lattice_viewers", &[]) == 1.0);
    serve.assert_no_panics();
}

#[test]
fn all_who_come_while_the_server_is_busy_are_answered() {
    allow_many_files();
    let serve = Serve::start();
    // It does not get to accept anybody.
    signal(serve.pid(), Signal::STOP);
    let start = Instant::now();
    let kept: Vec<_> = (0..CROWD).map(|_| Kept::connect(serve.address())).collect();
    let took = start.elapsed();
    signal(serve.pid(), Signal::CONT);
    println!("{CROWD} connections to a server that accepts none took {took:?}");
    assert!(took < patience(Duration::from_secs(5)), "who finds no room waits for seconds");
    for mut kept in kept {
        assert_eq!(kept.ask("GET", "/healthz", "", "").expect("an answer").status, 200);
    }
    serve.assert_no_panics();
}
