//! What every runtime promises, tried on the fake and on real desktops, and what the process runtime
//! does about parts that die.

use lattice_engine::session::SessionId;
use lattice_gateway::runtime::{Fake, InstanceState, Runtime, Spec};
use lattice_tests::containers::Containers;
use lattice_tests::desktops::{Desktops, ended, running, spec, state};
use lattice_tests::process::{binary, is_running, repository, signal};
use lattice_tests::wait::{GENEROUS, until_some};
use lattice_tests::xserver::TempDir;
use lattice_tests::{eventually, patience, x};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use x11rb::connection::Connection as _;

/// A runtime's world, in which gateways come and go.
enum World {
    Fake(Fake),
    Process(Desktops),
    Docker(Containers),
    /// The same, with people's files in volumes of the engine's.
    Volumes(Containers),
}

impl World {
    fn fake() -> Self {
        Self::Fake(Fake::new("/nonexistent".into()))
    }

    fn process() -> Self {
        Self::Process(Desktops::new())
    }

    fn docker() -> Self {
        Self::Docker(Containers::new())
    }

    fn volumes() -> Self {
        Self::Volumes(Containers::with_options(&["--volume-driver", "local"]))
    }

    /// A gateway starts.
    async fn open(&self) -> Runtime {
        match self {
            Self::Fake(fake) => Runtime::Fake(fake.clone()),
            Self::Process(desktops) => desktops.open().await,
            Self::Docker(containers) | Self::Volumes(containers) => containers.open(),
        }
    }

    /// A desktop dies by itself.
    fn kill(&self, session: &SessionId) {
        match self {
            Self::Fake(fake) => fake.end(session, "it was killed"),
            Self::Process(desktops) => {
                signal(desktops.supervisor(session).expect("a supervisor"), Signal::KILL);
            }
            Self::Docker(containers) | Self::Volumes(containers) => {
                containers.kill(session, "xorg");
            }
        }
    }

    /// Checks that nothing of a session runs.
    fn assert_gone(&self, session: &SessionId) {
        match self {
            Self::Fake(_) => {}
            Self::Process(desktops) => {
                let left = desktops.processes(session);
                assert!(left.is_empty(), "{left:?} of {session} are still there");
                let supervisor = desktops.supervisor(session);
                assert!(!supervisor.is_some_and(is_running), "{supervisor:?} is still there");
            }
            Self::Docker(containers) | Self::Volumes(containers) => {
                let left = containers.of(session);
                assert!(left.is_empty(), "{left:?} of {session} are still there");
            }
        }
    }

    /// Whether nothing of a session runs that has ended by itself.
    fn is_over(&self, session: &SessionId) -> bool {
        match self {
            // Containers that have ended are there to say why.
            Self::Fake(_) | Self::Docker(_) | Self::Volumes(_) => true,
            Self::Process(desktops) => desktops.processes(session).is_empty(),
        }
    }

    fn home(&self, owner: i64) -> Option<PathBuf> {
        match self {
            Self::Fake(_) => None,
            Self::Process(desktops) => Some(desktops.home(owner)),
            Self::Docker(containers) => Some(containers.home(owner)),
            Self::Volumes(containers) => Some(containers.mount_point(owner, "home")),
        }
    }

    fn data(&self, owner: i64) -> Option<PathBuf> {
        match self {
            Self::Volumes(containers) => Some(containers.mount_point(owner, "data")),
            Self::Fake(_) | Self::Process(_) | Self::Docker(_) => {
                self.home(owner).map(|home| home.with_file_name("data"))
            }
        }
    }

    fn run_dir(&self, session: &SessionId) -> Option<PathBuf> {
        match self {
            Self::Fake(_) => None,
            Self::Process(desktops) => Some(desktops.run_dir(session)),
            Self::Docker(containers) | Self::Volumes(containers) => {
                Some(containers.run().join(session.as_str()))
            }
        }
    }
}

/// Makes a test of each name for each runtime.
macro_rules! contract {
    ($($name:ident)*) => {
        mod fake {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(&super::World::fake()).await })*
        }
        mod process {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(&super::World::process()).await })*
        }
        mod docker {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(&super::World::docker()).await })*
        }
        mod volumes {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(&super::World::volumes()).await })*
        }
    };
}

contract! {
    starting_and_stopping_twice_is_fine
    a_desktop_that_dies_by_itself_is_seen
    a_gateway_that_starts_finds_what_runs
    two_at_once_are_separate
    a_reset_ends_it_and_keeps_data
}

async fn starting_and_stopping_twice_is_fine(world: &World) {
    let runtime = world.open().await;
    let spec = spec(1);
    assert!(state(&runtime, &spec.session).await.is_none());
    runtime.stop(&spec.session).await.expect("stopping what is not there is fine");
    runtime.start(&spec).await.expect("a start");
    runtime.start(&spec).await.expect("starting what starts is fine");
    let first = running(&runtime, &spec.session).await;
    runtime.start(&spec).await.expect("starting what runs is fine");
    let again = running(&runtime, &spec.session).await;
    assert_eq!(first.token.expose(), again.token.expose(), "it is the same one");
    let list = runtime.list().await.expect("a list");
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].owner, 1);
    if let Some(home) = world.home(1) {
        fs::write(home.join("essay"), "words").expect("written");
    }

    runtime.stop(&spec.session).await.expect("a stop");
    world.assert_gone(&spec.session);
    assert!(state(&runtime, &spec.session).await.is_none(), "what was stopped is not listed");
    runtime.stop(&spec.session).await.expect("stopping twice is fine");

    runtime.start(&spec).await.expect("it can be started again");
    running(&runtime, &spec.session).await;
    runtime.remove(&spec.session).await.expect("a removal");
    world.assert_gone(&spec.session);
    assert!(!world.run_dir(&spec.session).is_some_and(|dir| dir.exists()));
    if let Some(home) = world.home(1) {
        let essay = fs::read_to_string(home.join("essay"));
        assert_eq!(essay.expect("the home stays"), "words");
    }
    runtime.remove(&spec.session).await.expect("removing twice is fine");
}

async fn a_reset_ends_it_and_keeps_data(world: &World) {
    let runtime = world.open().await;
    let spec = spec(1);
    runtime.reset(&spec).await.expect("resetting what was never there is fine");
    runtime.start(&spec).await.expect("a start");
    running(&runtime, &spec.session).await;
    if let Some(home) = world.home(1) {
        fs::write(home.join("settings"), "odd").expect("written");
        fs::write(world.data(1).expect("it has").join("essay"), "words").expect("written");
    }
    runtime.reset(&spec).await.expect("a reset");
    world.assert_gone(&spec.session);
    assert!(state(&runtime, &spec.session).await.is_none(), "it is to be started anew");
    runtime.start(&spec).await.expect("it can be started again");
    running(&runtime, &spec.session).await;
    let Some(home) = world.home(1) else { return };
    assert!(!home.join("settings").exists(), "the home is as it is at first");
    let essay = fs::read_to_string(world.data(1).expect("it has").join("essay"));
    assert_eq!(essay.expect("Data stays"), "words");

    let mut other = spec.clone();
    other.session = SessionId::from_bytes([9; 10]);
    let refused = runtime.reset(&other).await.expect_err("somebody is in that home");
    assert!(refused.to_string().contains("stop it first"), "{refused}");
    running(&runtime, &spec.session).await;
    runtime.remove(&spec.session).await.expect("a removal");
}

async fn a_desktop_that_dies_by_itself_is_seen(world: &World) {
    let runtime = world.open().await;
    let spec = spec(1);
    runtime.start(&spec).await.expect("a start");
    running(&runtime, &spec.session).await;
    world.kill(&spec.session);
    // Woken by `changes`, which is all that `ended` waits for.
    let reason = ended(&runtime, &spec.session).await;
    assert!(reason.contains("killed"), "{reason}");
    let gone = Instant::now();
    while gone.elapsed() < GENEROUS && !world.is_over(&spec.session) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(world.is_over(&spec.session), "something of it still runs");
    runtime.start(&spec).await.expect("it can be started again");
    running(&runtime, &spec.session).await;
    runtime.remove(&spec.session).await.expect("a removal");
}

async fn a_gateway_that_starts_finds_what_runs(world: &World) {
    let first = world.open().await;
    let spec = spec(1);
    first.start(&spec).await.expect("a start");
    let before = running(&first, &spec.session).await;
    drop(first);
    let second = world.open().await;
    let found = second.list().await.expect("a list");
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].session, found[0].owner), (&spec.session, 1));
    let after = running(&second, &spec.session).await;
    assert_eq!(before.socket, after.socket);
    assert_eq!(before.token.expose(), after.token.expose());
    second.start(&spec).await.expect("what runs is not started again");
    // What another gateway started is watched as well.
    world.kill(&spec.session);
    ended(&second, &spec.session).await;
    second.remove(&spec.session).await.expect("a removal");
    world.assert_gone(&spec.session);
}

async fn two_at_once_are_separate(world: &World) {
    let runtime = world.open().await;
    let (one, other) = (spec(1), spec(2));
    let (first, second) = tokio::join!(runtime.start(&one), runtime.start(&other));
    first.and(second).expect("two starts");
    let a = running(&runtime, &one.session).await;
    let b = running(&runtime, &other.session).await;
    assert_ne!(a.socket, b.socket);
    assert_ne!(a.token.expose(), b.token.expose());
    runtime.stop(&one.session).await.expect("a stop");
    world.assert_gone(&one.session);
    let left = state(&runtime, &other.session).await;
    assert!(matches!(left, Some(InstanceState::Running(_))), "{left:?}");
    runtime.remove(&other.session).await.expect("a removal");
}

/// A desktop that runs.
async fn desktop() -> (Desktops, Runtime, SessionId) {
    let desktops = Desktops::new();
    let runtime = desktops.open().await;
    let spec = spec(3);
    runtime.start(&spec).await.expect("a start");
    running(&runtime, &spec.session).await;
    (desktops, runtime, spec.session)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_has_a_desktop_of_xfce_within_three_seconds() {
    let desktops = Desktops::new();
    let runtime = desktops.open().await;
    let spec = spec(3);
    let asked = Instant::now();
    runtime.start(&spec).await.expect("a start");
    let address = running(&runtime, &spec.session).await;
    UnixStream::connect(&address.socket).expect("the agent answers");
    let there = asked.elapsed();
    let display = desktops.connect(&spec.session);
    let missing = || {
        let shown = x::window_classes(&display);
        ["Xfce4-panel", "Xfdesktop"].into_iter().filter(move |name| !shown.contains(*name))
    };
    eventually("the panel and the desktop's background", || missing().next().is_none());
    let whole = asked.elapsed();
    println!("a desktop: reachable after {there:.2?}, panel and background after {whole:.2?}");
    assert!(there < patience(Duration::from_secs(3)), "it was reachable after {there:?}");
    assert!(desktops.process(&spec.session, "Xorg").is_some(), "Xvfb is only the second choice");
    runtime.remove(&spec.session).await.expect("a removal");
}

fn x_server(desktops: &Desktops, session: &SessionId) -> u32 {
    until_some("the X server", GENEROUS, || {
        desktops.process(session, "Xorg").or_else(|| desktops.process(session, "Xvfb"))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_x_server_comes_back_with_the_desktop_and_the_home() {
    let (desktops, runtime, session) = desktop().await;
    eventually("the panel", || desktops.process(&session, "xfce4-panel").is_some());
    let essay = desktops.home(3).join("essay");
    fs::write(&essay, "words").expect("written");
    let agent = desktops.process(&session, "lattice-agent");
    let (server, panel) =
        (x_server(&desktops, &session), desktops.process(&session, "xfce4-panel"));
    let killed = Instant::now();
    signal(server, Signal::KILL);
    until_some("another panel", patience(Duration::from_secs(5)), || {
        desktops.process(&session, "xfce4-panel").filter(|pid| Some(*pid) != panel)
    });
    let back = killed.elapsed();
    assert_ne!(x_server(&desktops, &session), server);
    assert!(back < patience(Duration::from_secs(5)), "the desktop was back after {back:?}");
    assert_eq!(fs::read_to_string(&essay).expect("kept"), "words");
    assert_eq!(desktops.process(&session, "lattice-agent"), agent, "its viewers stay connected");
    running(&runtime, &session).await;
    runtime.remove(&session).await.expect("a removal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_comes_back_and_the_desktop_does_not_notice() {
    let (desktops, runtime, session) = desktop().await;
    let server = x_server(&desktops, &session);
    let agent = desktops.process(&session, "lattice-agent").expect("it runs");
    let socket = desktops.run_dir(&session).join("link/agent.sock");
    let killed = Instant::now();
    signal(agent, Signal::KILL);
    until_some("another agent that listens", patience(Duration::from_secs(2)), || {
        let other = desktops.process(&session, "lattice-agent").is_some_and(|pid| pid != agent);
        (other && UnixStream::connect(&socket).is_ok()).then_some(())
    });
    let back = killed.elapsed();
    assert!(back < patience(Duration::from_secs(2)), "the agent was back after {back:?}");
    assert_eq!(x_server(&desktops, &session), server);
    runtime.remove(&session).await.expect("a removal");
}

/// Files of which no desktop can be made.
fn broken_containers(script: &str) -> TempDir {
    let dir = TempDir::new("containers");
    let (desktop, xorg) = (dir.path().join("desktop"), dir.path().join("xorg"));
    for made in [&desktop, &xorg] {
        fs::create_dir(made).expect("made");
    }
    fs::write(xorg.join("xorg.conf"), "").expect("written");
    let display = desktop.join("display");
    fs::write(&display, format!("#!/bin/bash\n{script}\n")).expect("written");
    readable(dir.path());
    readable(&display);
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn where_xorg_does_not_start_xvfb_takes_its_place() {
    let containers = TempDir::new("containers");
    let xorg = containers.path().join("xorg");
    fs::create_dir(&xorg).expect("made");
    fs::write(xorg.join("xorg.conf"), "Section \"Nonsense\"\n").expect("written");
    let desktop = repository().join("containers/desktop");
    symlink(desktop, containers.path().join("desktop")).expect("made");
    readable(containers.path());
    let desktops = Desktops::with_containers(containers.path().to_owned());
    let runtime = desktops.open().await;
    let spec = Spec { geometry: (1024, 700), ..spec(3) };
    runtime.start(&spec).await.expect("a start");
    running(&runtime, &spec.session).await;
    assert!(desktops.process(&spec.session, "Xvfb").is_some());
    let display = desktops.connect(&spec.session);
    let screen = &display.setup().roots[0];
    assert_eq!((screen.width_in_pixels, screen.height_in_pixels), spec.geometry);
    let log = desktops.log(&spec.session);
    assert!(log.contains("Xorg did not start; using Xvfb"), "{log}");
    runtime.remove(&spec.session).await.expect("a removal");
}

fn readable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_up_ends_and_says_why() {
    let containers =
        broken_containers("for i in {1..100}; do echo line $i; done; echo no X; exit 3");
    let desktops = Desktops::with_containers(containers.path().to_owned());
    let runtime = desktops.open().await;
    let spec = spec(3);
    runtime.start(&spec).await.expect("a start");
    let reason = ended(&runtime, &spec.session).await;
    assert!(reason.starts_with("the desktop ended 4 times within 60 s"), "{reason}");
    assert!(reason.ends_with("exit status: 3; no X"), "{reason}");
    let log = desktops.log(&spec.session);
    assert!(log.contains("desktop: line 1\n") && log.contains("desktop: line 100\n"), "{log}");
    assert!(desktops.processes(&spec.session).is_empty());
    runtime.remove(&spec.session).await.expect("a removal");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_want_to_end_is_killed() {
    let script = "trap '' TERM; setsid bash -c 'trap \"\" TERM; while :; do sleep 0.1; done' & \
                  while :; do sleep 0.1; done";
    let containers = broken_containers(script);
    let desktops = Desktops::with_containers(containers.path().to_owned());
    let runtime = desktops.open().await;
    let spec = spec(3);
    runtime.start(&spec).await.expect("a start");
    eventually("it to run", || desktops.process(&spec.session, "sleep").is_some());
    let asked = Instant::now();
    runtime.stop(&spec.session).await.expect("a stop");
    assert!(desktops.processes(&spec.session).is_empty());
    let took = asked.elapsed();
    assert!(took < patience(Duration::from_secs(8)), "it took {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_outlives_whoever_started_it_and_costs_nothing() {
    let (desktops, runtime, session) = desktop().await;
    let supervisor = desktops.supervisor(&session).expect("it runs");
    let stat = fs::read_to_string(format!("/proc/{supervisor}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let session_of = fields.split_whitespace().nth(3).expect("field 6");
    assert_eq!(session_of, supervisor.to_string(), "it leads a session of its own");
    let files = fs::read_dir(format!("/proc/{supervisor}/fd")).expect("it runs");
    let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let tty = targets.filter(|target| target.starts_with("/dev/") && !target.ends_with("null"));
    assert_eq!(tty.count(), 0, "it has no terminal");
    assert_eq!(
        binary("lattice"),
        fs::read_link(format!("/proc/{supervisor}/exe")).expect("it runs")
    );
    runtime.remove(&session).await.expect("a removal");
}
