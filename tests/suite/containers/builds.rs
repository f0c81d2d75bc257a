//! Builds of images, as `deploy/images` tells the engine of them and the broker reads that: with the real
//! script and the real engine, and a client in between that builds nothing and waits to be told to go on.

use lattice_gateway::broker::protocol::Build;
use lattice_gateway::runtime::Runtime;
use lattice_tests::containers::{Containers, docker};
use lattice_tests::process::repository;
use lattice_tests::wait::eventually;
use lattice_tests::xserver::TempDir;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Each step waits for a file of its number. What it does not know the engine's own client does.
const CLIENT: &str = r##"#!/bin/bash
here=$(dirname "$0")
case "$1 $2" in
    "version --format") echo 20.10.24 ;;
    "build --progress=plain")
        # As the engine's own: it heeds whoever has had enough of it, and says that it failed.
        trap 'exit 1' INT
        for step in 1 2; do
            echo "#$step [stage-1 $step/2] RUN true"
            for _ in {1..1200}; do [ -e "$here/go-$step" ] && break; sleep 0.1; done
        done
        [ ! -e "$here/fail" ] ;;
    "create "*) [ ! -e "$here/lost" ] && echo none ;;
    "image inspect") echo 1000000 ;;
    "cp "* | "rm "*) ;;
    *) exec "$REAL" "$@" ;;
esac
"##;

/// A copy of the script in a repository of its own, with two images that nobody else has.
struct Bench {
    dir: TempDir,
    image: String,
}

impl Bench {
    fn new(name: &str) -> Self {
        let (dir, name) = (TempDir::new("builds"), format!("{name}-{}", std::process::id()));
        let at = |path: &str| dir.path().join(path);
        for made in ["deploy", "client", &format!("containers/{name}"), "containers/later"] {
            fs::create_dir_all(at(made)).expect("made");
        }
        fs::copy(repository().join("deploy/images"), at("deploy/images")).expect("copied");
        let list = format!("{name} debian always The first\nlater debian always The second\n");
        for (path, text) in [
            ("containers/images.list", list.as_str()),
            ("containers/install-packages", ""),
            ("Cargo.toml", "version = \"0.1.0\"\n"),
            ("client/docker", CLIENT),
        ] {
            fs::write(at(path), text).expect("written");
        }
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(at("client/docker"), mode).expect("it may run");
        Self { dir, image: format!("lattice/{name}") }
    }

    /// Begins as the leader of a group of processes, as a shell's job is.
    fn start(&self) -> Child {
        let path = std::env::var("PATH").expect("there is one");
        let real = Command::new("sh").args(["-c", "command -v docker"]).output().expect("asked");
        let mut command = Command::new(self.dir.path().join("deploy/images"));
        command.env("REAL", String::from_utf8_lossy(&real.stdout).trim());
        command.env("PATH", format!("{}:{path}", self.dir.path().join("client").display()));
        command.env_remove("BINARIES").env_remove("LOCK").env_remove("VERBOSE");
        let command = command.stdin(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command.spawn().expect("bash is there")
    }

    fn tell(&self, file: &str) {
        fs::write(self.dir.path().join("client").join(file), "").expect("written");
    }

    /// The engine's own records of the first image.
    fn records(&self) -> String {
        let label = format!("label=io.lattice.build.image={}", self.image);
        docker(&["volume", "ls", "--quiet", "--filter", &label])
    }

    async fn seen(&self, runtime: &Runtime) -> Option<Build> {
        let builds = runtime.builds().await.expect("asked").expect("desktops are made of images");
        builds.into_iter().find(|build| build.image == self.image)
    }

    /// Waits until the broker says so of the first image.
    async fn wait(&self, runtime: &Runtime, what: &str, is_so: impl Fn(Option<&Build>) -> bool) {
        for _ in 0..600 {
            if is_so(self.seen(runtime).await.as_ref()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{what}: {:?}", self.seen(runtime).await);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for file in ["go-1", "go-2"] {
            self.tell(file);
        }
        for record in self.records().lines() {
            docker(&["volume", "rm", record]);
        }
    }
}

fn is_at(build: Option<&Build>, step: u32) -> bool {
    build.is_some_and(|build| {
        let place = (build.number, build.of, build.step, build.steps);
        place == (1, 2, step, 2) && !build.is_failed
    })
}

fn end(mut child: Child) -> ExitStatus {
    child.wait().expect("it ended")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_told_of_from_its_first_step_to_its_last_and_then_no_more() {
    let runtime = Containers::new();
    let runtime = runtime.open();
    let bench = Bench::new("steps");
    let child = bench.start();
    bench.wait(&runtime, "the first step", |build| is_at(build, 1)).await;
    // It is told again though nothing changes, and one record is enough.
    let before = bench.records();
    eventually("another record", || bench.records() != before);
    eventually("one record", || bench.records().lines().count() == 1);
    bench.tell("go-1");
    bench.wait(&runtime, "the second step", |build| is_at(build, 2)).await;
    bench.tell("go-2");
    assert!(end(child).success());
    assert_eq!((bench.seen(&runtime).await, bench.records().as_str()), (None, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_stays_on_record_until_somebody_builds_again_and_an_end_leaves_nothing() {
    let runtime = Containers::new();
    let runtime = runtime.open();
    let bench = Bench::new("failure");
    for file in ["fail", "go-1", "go-2"] {
        bench.tell(file);
    }
    assert_eq!(end(bench.start()).code(), Some(1));
    let build = bench.seen(&runtime).await.expect("it is told");
    assert!(build.is_failed && build.number == 1, "{build:?}");
    // What comes after the engine has built it may fail as well.
    fs::remove_file(bench.dir.path().join("client/fail")).expect("removed");
    bench.tell("lost");
    assert!(!end(bench.start()).success());
    let build = bench.seen(&runtime).await.expect("it is told");
    assert!(build.is_failed && build.number == 1, "{build:?}");

    fs::remove_file(bench.dir.path().join("client/go-1")).expect("removed");
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let child = bench.start();
        bench.wait(&runtime, "another try", |build| is_at(build, 1)).await;
        let group = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process_group(group, signal).expect("it is ended");
        assert!(!end(child).success());
        assert_eq!((bench.seen(&runtime).await, bench.records().as_str()), (None, ""));
    }
}
