//! What a broker does where something that it needs is missing: it says so and what to do about it, and
//! leaves nothing half-made behind.

use lattice_engine::session::SessionId;
use lattice_gateway::runtime::{Runtime, Spec};
use lattice_tests::containers::{Containers, docker, name};
use lattice_tests::desktops::spec;
use lattice_tests::engine::Engine;
use lattice_tests::xserver::TempDir;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// Has a desktop started, in vain; why.
async fn refused(containers: &Containers, spec: &Spec) -> String {
    let runtime: Runtime = containers.open();
    let error = runtime.start(spec).await.expect_err("it cannot be").to_string();
    println!("{error}");
    let left = containers.of(&spec.session);
    let ours = |name: &&String| containers.names().contains(name);
    assert_eq!(left.iter().filter(ours).count(), 0, "{left:?}");
    assert!(!rooms(containers).contains(&spec.session), "its directory was left");
    error
}

/// Sessions that have a directory.
fn rooms(containers: &Containers) -> Vec<SessionId> {
    let entries = fs::read_dir(containers.run()).expect("there").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_missing_is_named_with_how_to_get_it() {
    let engine = Engine::with_images(&["lattice/base", "lattice/dbus"]);
    let socket = engine.socket().to_string_lossy().into_owned();
    let containers = Containers::with_options(&["--engine", &socket]);
    let error = refused(&containers, &spec(1)).await;
    says(&error, &["the image lattice/desktop is not there", "make images"]);
    // Also where only a part is missing of what is looked for later.
    docker(&["--host", &engine.host(), "tag", "lattice/base", "lattice/desktop"]);
    let error = refused(&containers, &spec(1)).await;
    says(&error, &["is not there", "make images"]);
    assert_eq!(docker(&["--host", &engine.host(), "ps", "--all", "--quiet"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_its_image_leaves_the_desktop_as_it_is() {
    let digest = "0".repeat(64);
    let template = format!(
        "name: lost\nservices: {{ app: {{ image: 'registry.example/app@sha256:{digest}' }} }}\n\
         x-lattice: {{ title: Lost, apps: {{ app: {{ title: App }} }} }}\n"
    );
    let containers = Containers::with_templates(&[&template]);
    let runtime = containers.open();
    let session = super::started(&runtime, 1, "lost").await;
    let before = containers.of(&session);
    let error = runtime.open(&session, "app").await.expect_err("no image").to_string();
    says(&error, &["registry.example/app@sha256:0000", "docker pull"]);
    assert_eq!(containers.of(&session), before);
    let error = runtime.open(&session, "--privileged").await.expect_err("no app").to_string();
    says(&error, &["there is no app"]);
    let other = Spec { template: "../../etc".into(), ..spec(1) };
    let error = runtime.start(&other).await.expect_err("no template").to_string();
    says(&error, &["there is no template"]);
    runtime.remove(&session).await.expect("a removal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_a_foreign_container_has_is_not_taken_from_it() {
    let containers = Containers::new();
    for part in ["desktop", "xorg"] {
        let spec = spec(1);
        let name = name(&spec.session, part);
        docker(&["create", "--name", &name, "lattice/base", "true"]);
        let error = refused(&containers, &spec).await;
        let left = docker(&[
            "ps",
            "--all",
            "--format",
            "{{.Names}}",
            "--filter",
            &format!("name={}", spec.session),
        ]);
        docker(&["rm", &name]);
        says(&error, &[&name, "not Lattice's", "docker rm"]);
        assert_eq!(left, name, "only the foreign one is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_not_there_is_missed_with_a_remedy() {
    let containers = Containers::with_options(&["--engine", "/nonexistent/docker.sock"]);
    let error = refused(&containers, &spec(1)).await;
    says(&error, &["/nonexistent/docker.sock", "systemctl start docker"]);
}

/// Answers whatever it is asked as an engine of 2018 answers the question for its version.
fn old_engine(path: &Path) {
    let listener = UnixListener::bind(path).expect("a socket of ours");
    let answer = |mut stream: UnixStream| {
        let body = r#"{"Version":"18.06.3-ce","ApiVersion":"1.38","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}"#;
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
            let head = "HTTP/1.1 200 OK\r\nApi-Version: 1.38\r\nContent-Type: application/json";
            let length = body.len();
            let _ = write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}");
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_too_old_is_refused() {
    let dir = TempDir::new("old");
    let socket = dir.path().join("docker.sock");
    old_engine(&socket);
    let containers = Containers::with_options(&["--engine", &socket.to_string_lossy()]);
    let error = refused(&containers, &spec(1)).await;
    says(&error, &["1.38", "1.41", "Docker 20.10"]);
}

/// A small disk, until it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn new(path: PathBuf) -> Self {
        fs::create_dir_all(&path).expect("made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k,nr_inodes=64", "tmpfs"]).arg(&path);
        assert!(mount.status().expect("mount is there").success(), "{}", path.display());
        Self(path)
    }

    /// Leaves room for nothing.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filling")).expect("room for one");
        while file.write_all(&[0; 4096]).is_ok() {}
        let names = (0..).map(|number: u32| self.0.join(format!("filling-{number}")));
        for _ in names.map(File::create).take_while(Result::is_ok) {}
    }

    fn empty(&self) {
        for entry in fs::read_dir(&self.0).expect("there").flatten() {
            if entry.file_name().to_string_lossy().starts_with("filling") {
                fs::remove_file(entry.path()).expect("removed");
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_nothing_is_left_on_it() {
    for place in ["data", "run"] {
        let dir = TempDir::new("containers");
        let path = dir.path().join(place);
        let disk = Disk::new(path.clone());
        let containers = Containers::in_directory(dir, &[]);
        disk.fill();
        let error = refused(&containers, &spec(1)).await;
        says(&error, &["the disk is full", "make room"]);
        disk.empty();
        let runtime = containers.open();
        let session = super::started(&runtime, 1, "desktop").await;
        runtime.remove(&session).await.expect("a removal");
        drop(containers);
        drop(disk);
        let _ = fs::remove_dir_all(path.parent().expect("it has one"));
    }
}
