//! What breaks beside a running `lattice serve` is told to whom it concerns, mends itself in time, and
//! disturbs nobody else: X servers, agents, a locked database, a clock that jumps, slow viewers.

use lattice_engine::session::SessionId;
use lattice_tests::process::{cpu_time, rss, signal};
use lattice_tests::relay::Relay;
use lattice_tests::scene::Scene;
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::wait::{GENEROUS, until_some};
use lattice_tests::xserver::TempDir;
use lattice_tests::{Viewer, ViewerOptions, eventually, patience};
use lattice_wire::{Availability, FrameId};
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, SqliteConnection};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often a ticking desktop changes.
const TICK: Duration = Duration::from_millis(50);

/// A small change at a steady pace on a session's display, for as long as `during` takes.
fn ticking<R>(serve: &Serve, session: &SessionId, during: impl FnOnce() -> R) -> R {
    let mut scene = Scene::open(serve.desktops().connect(session));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut color = 0;
            while !over.load(Ordering::SeqCst) {
                color = (color + 0x0012_3457) & 0x00ff_ffff;
                scene.dot(40, 40, color);
                thread::sleep(TICK);
            }
        });
        let _end = End(&over);
        during()
    })
}

/// Says that it is over, also when what is waited for panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// How many frames a viewer got in the last `time` of what it has seen, a second.
fn rate(viewer: &Viewer, since: Instant) -> f64 {
    let frames =
        viewer.view(|view| view.frames.iter().filter(|frame| frame.arrived >= since).count());
    frames as f64 / since.elapsed().as_secs_f64()
}

/// Lets a neighbour tick while `fault` happens and is mended; checks that the neighbour's frames go on.
fn beside_a_neighbour(serve: &Serve, what: &str, fault: impl FnOnce()) {
    let neighbour = serve.desktop_of(&serve.admin());
    let viewer = serve.viewer(&serve.admin(), &neighbour);
    viewer.wait_picture();
    ticking(serve, &neighbour, || {
        let begun = Instant::now();
        thread::sleep(Duration::from_secs(2));
        let quiet = rate(&viewer, begun);
        let begun = Instant::now();
        fault();
        thread::sleep(Duration::from_secs(2).saturating_sub(begun.elapsed()));
        let meanwhile = rate(&viewer, begun);
        println!("{what}: the neighbour had {meanwhile:.1} frames a second, {quiet:.1} before");
        assert!(meanwhile > 0.5 * quiet, "{what}: {meanwhile:.1} frames a second of {quiet:.1}");
    });
    viewer.assert_no_faults();
    assert_eq!(viewer.view(|view| view.closed.clone()), None);
}

#[test]
fn a_killed_x_server_is_told_within_a_second_and_comes_back_within_five() {
    let serve = Serve::start();
    let session = serve.desktop_of(&serve.admin());
    let desktops = serve.desktops();
    let viewer = serve.viewer(&serve.admin(), &session);
    viewer.wait_picture();
    let server = until_some("the X server", GENEROUS, || {
        ["Xorg", "Xvfb"].iter().find_map(|name| desktops.process(&session, name))
    });
    beside_a_neighbour(&serve, "an X server is killed", || {
        let killed = Instant::now();
        signal(server, Signal::KILL);
        viewer.wait("word that the display is lost", |view| {
            view.display.as_ref().is_some_and(|display| display.state == Availability::Lost)
        });
        let told = killed.elapsed();
        viewer.wait("the display", |view| {
            view.is_live() && view.frames.last().is_some_and(|frame| frame.arrived > killed + told)
        });
        let back = killed.elapsed();
        println!("an X server was killed: told after {told:.0?}, a picture again after {back:.0?}");
        assert!(told < patience(Duration::from_secs(1)), "it was told after {told:?}");
        assert!(back < patience(Duration::from_secs(5)), "it was back after {back:?}");
    });
    viewer.assert_no_faults();
    assert_eq!(viewer.view(|view| view.closed.clone()), None, "its viewers stay");
}

#[test]
fn an_agent_that_is_killed_or_aborts_comes_back_within_a_second() {
    let serve = Serve::start();
    let session = serve.desktop_of(&serve.admin());
    let desktops = serve.desktops();
    let viewer = serve.viewer(&serve.admin(), &session);
    viewer.wait_picture();
    beside_a_neighbour(&serve, "agents die", || {
        // An abort is what a panic of the encoder's makes of it.
        for (what, with) in [("killed", Signal::KILL), ("aborted", Signal::ABORT)] {
            let agent = desktops.process(&session, "lattice-agent").expect("it runs");
            let died = Instant::now();
            signal(agent, with);
            viewer.wait("another agent's first picture", |view| {
                let last = view.frames.iter().rev().find(|frame| frame.keyframe);
                last.is_some_and(|frame| frame.arrived > died)
            });
            let back = died.elapsed();
            println!("an agent was {what}: a picture again after {back:.0?}");
            assert!(back < patience(Duration::from_secs(1)), "{what}: back after {back:?}");
            viewer.wait_digest();
        }
    });
    viewer.assert_no_faults();
    assert_eq!(viewer.view(|view| view.closed.clone()), None, "its viewers stay");
}

/// Somebody else holds the database's lock for writing as long as this lives.
struct Lock {
    runtime: tokio::runtime::Runtime,
    connection: Option<SqliteConnection>,
}

impl Lock {
    fn take(serve: &Serve) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("threads and an epoll");
        let path = serve.desktops().data().join("lattice.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let connection = runtime.block_on(async {
            let mut connection = options.connect().await.expect("it opens");
            sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.expect("locked");
            connection
        });
        Self { runtime, connection: Some(connection) }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        self.runtime.block_on(async {
            let _ = sqlx::query("ROLLBACK").execute(&mut connection).await;
        });
    }
}

#[test]
fn a_locked_database_delays_writers_for_a_while_and_then_tells_them_to_come_again() {
    let serve = Serve::start();
    beside_a_neighbour(&serve, "the database is locked", || {
        let answers = asked_under_lock(&serve, Duration::from_secs(3), "short");
        for (status, _) in &answers {
            assert_eq!(*status, 201, "a short lock is waited for: {answers:?}");
        }
        let answers = asked_under_lock(&serve, Duration::from_secs(10), "long");
        for (status, retry_after) in &answers {
            assert_eq!(*status, 503, "a long lock is told: {answers:?}");
            assert!(retry_after.is_some(), "{answers:?}");
        }
    });
    assert_eq!(asked_under_lock(&serve, Duration::ZERO, "after")[0].0, 201, "all is well after it");
    serve.assert_no_panics();
}

/// What five writers are answered who ask at once while the database is locked for so long.
fn asked_under_lock(serve: &Serve, long: Duration, name: &str) -> Vec<(u16, Option<String>)> {
    let lock = Lock::take(serve);
    let locked = Instant::now();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..5)
            .map(|number| {
                scope.spawn(move || {
                    let user = json!({ "name": format!("{name}{number}"), "role": "member" });
                    let answer = serve.try_ask("POST", "/api/v1/users", &user).expect("an answer");
                    (answer.status, answer.header("retry-after").map(str::to_owned))
                })
            })
            .collect();
        // Who reads does not wait.
        let me = serve.try_ask("GET", "/api/v1/users", &Value::Null).expect("an answer");
        assert_eq!(me.status, 200);
        thread::sleep(long.saturating_sub(locked.elapsed()));
        drop(lock);
        writers.into_iter().map(|writer| writer.join().expect("it does not panic")).collect()
    })
}

/// Where Debian's package faketime has its library.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// The clock of a server, which can be set while it runs; that of the machine is left alone.
struct Clock {
    dir: TempDir,
}

impl Clock {
    fn new() -> Self {
        let clock = Self { dir: TempDir::new("clock") };
        clock.set(0);
        clock
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("offset")
    }

    fn set(&self, hours: i64) {
        // By renaming, so that nobody reads half of it.
        let new = self.dir.path().join("new");
        fs::write(&new, format!("{:+}", hours * 3600)).expect("written");
        fs::rename(new, self.file()).expect("renamed");
    }

    fn options(&self) -> ServeOptions {
        let env = vec![
            ("LD_PRELOAD", FAKETIME.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        ServeOptions { env, ..ServeOptions::default() }
    }
}

/// The hours that the server's clock is ahead, by what it answers to be the time.
fn ahead(serve: &Serve, session: &SessionId) -> f64 {
    let path = format!("/api/v1/sessions/{session}/links");
    let made = serve.grant(&serve.admin(), "POST", &path, &json!({ "role": "view" }));
    let created = made["created_at"].as_str().expect("a time");
    let date = |text: &str| {
        let output = Command::new("date").args(["-d", text, "+%s"]).output().expect("date");
        String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("seconds")
    };
    (date(created) - date("now")) / 3600.0
}

#[test]
fn a_clock_that_jumps_signs_nobody_out_and_stirs_nothing_up() {
    if !Path::new(FAKETIME).exists() {
        return println!("the clock was left out: the package faketime is not installed");
    }
    let clock = Clock::new();
    let serve = Serve::start_with(clock.options());
    let admin = serve.admin();
    let session = serve.desktop_of(&admin);
    serve.account("ann", "member");
    let ann = serve.sign_in("ann");
    let viewer = serve.viewer(&admin, &session);
    viewer.wait_picture();
    let supervisors = serve.desktops().supervisors();
    for hours in [1, -1, 0] {
        clock.set(hours);
        eventually("the server to see the jump", || {
            (ahead(&serve, &session) - hours as f64).abs() < 0.1
        });
        let (before, logged) = (cpu_time(serve.pid()), serve.log().lines().count());
        thread::sleep(Duration::from_secs(3));
        let used = cpu_time(serve.pid()).saturating_sub(before);
        let lines = serve.log().lines().count() - logged;
        println!("{hours:+} h: {used:?} of processor time in 3 s, {lines} lines logged");
        assert!(used < patience(Duration::from_millis(600)), "{hours:+} h: {used:?} in 3 s");
        assert!(lines < 20, "{hours:+} h: {}", serve.log());
        let me = serve.ask(&ann, "GET", "/api/v1/me", &Value::Null);
        assert_eq!(me.status, 200, "{hours:+} h: whoever is signed in stays so");
        let me = serve.ask(&serve.sign_in("ann"), "GET", "/api/v1/me", &Value::Null);
        assert_eq!(me.status, 200, "{hours:+} h: one signs in as ever");
        assert_eq!(viewer.view(|view| view.closed.clone()), None, "{hours:+} h");
        assert_eq!(serve.sessions()[&session].0, "running", "{hours:+} h");
        assert_eq!(serve.desktops().supervisors(), supervisors, "{hours:+} h");
        serve.viewer(&admin, &session).wait_picture();
    }
    viewer.assert_no_faults();
    serve.assert_no_panics();
}

/// Everybody who looks with a view link: the class, some of them by 64 kbit/s, some who never read.
#[test]
fn slow_guests_cost_the_others_nothing_and_are_not_far_behind() {
    const CLASS: usize = 23;
    let serve = Serve::start();
    let admin = serve.admin();
    let session = serve.desktop_of(&admin);
    let link = serve.link(&session, "view", json!({}));
    let join = |options: ViewerOptions| {
        let guest = serve.redeem(&link.secret);
        let request = serve.upgrade(&guest, &session);
        let address = options.address.unwrap_or(serve.address());
        Viewer::try_open(request, address, options).unwrap_or_else(|error| panic!("join: {error}"))
    };
    let class: Vec<Viewer> = (0..CLASS).map(|_| join(ViewerOptions::default())).collect();
    class.iter().for_each(Viewer::wait_picture);
    let pace = |class: &[Viewer], since: Instant| {
        class.iter().map(|viewer| rate(viewer, since)).sum::<f64>() / class.len() as f64
    };
    ticking(&serve, &session, || {
        let alone = Instant::now();
        thread::sleep(Duration::from_secs(4));
        let before = pace(&class, alone);
        let memory = rss(serve.pid());
        let relays: Vec<Relay> = (0..5).map(|_| Relay::slow(serve.address(), 8000)).collect();
        let narrow = |relay: &Relay| ViewerOptions {
            address: Some(relay.address()),
            ..ViewerOptions::default()
        };
        let slow: Vec<Viewer> = relays.iter().map(|relay| join(narrow(relay))).collect();
        let deaf = ViewerOptions { reads: false, ..ViewerOptions::default() };
        let deaf: Vec<Viewer> = (0..2).map(|_| join(deaf)).collect();
        slow.iter().for_each(Viewer::wait_picture);
        // What happened while their first picture was on its way follows it.
        thread::sleep(Duration::from_secs(3));
        let together = Instant::now();
        thread::sleep(Duration::from_secs(6));
        let meanwhile = pace(&class, together);
        let behind = lag(&class[0], &slow, together);
        let fresh = slow.iter().map(|viewer| rate(viewer, together)).fold(f64::MAX, f64::min);
        let grown = rss(serve.pid()).saturating_sub(memory) >> 20;
        println!(
            "{CLASS} guests had {before:.1} frames a second alone, {meanwhile:.1} with {} slow ones \
             and {} deaf ones; the slow had {fresh:.1} at least and were {behind:.0?} behind at \
             most; the gateway grew by {grown} MiB",
            slow.len(),
            deaf.len(),
        );
        assert!(meanwhile > 0.9 * before, "{meanwhile:.1} frames a second of {before:.1}");
        assert!(fresh >= 1.0, "the slowest had {fresh:.1} frames a second");
        assert!(behind < patience(Duration::from_secs(3)), "the slowest was {behind:?} behind");
        assert!(grown <= 4 * (slow.len() + deaf.len()) as u64, "it grew by {grown} MiB");
    });
    for viewer in &class {
        viewer.assert_no_faults();
        assert_eq!(viewer.view(|view| view.closed.clone()), None);
    }
    serve.assert_no_panics();
}

/// How much later than a quick viewer any of the slow ones saw what it had seen, at most.
fn lag(quick: &Viewer, slow: &[Viewer], since: Instant) -> Duration {
    let frames = |viewer: &Viewer| -> Vec<(FrameId, Instant)> {
        viewer.view(|view| view.frames.iter().map(|frame| (frame.at.id, frame.arrived)).collect())
    };
    let seen = frames(quick);
    let late = slow.iter().flat_map(|viewer| {
        let own = frames(viewer).into_iter().filter(move |(_, arrived)| *arrived >= since);
        own.filter_map(|(id, arrived)| {
            // The first of the quick one's frames that this one does not show yet.
            let (_, next) = seen.iter().find(|(other, _)| other.0 > id.0)?;
            Some(arrived.saturating_duration_since(*next))
        })
        .collect::<Vec<_>>()
    });
    late.max().unwrap_or_default()
}
