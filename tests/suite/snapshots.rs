//! Snapshots of a real desktop's Data: what a program in it destroys comes back by the API, and what it
//! tries on the snapshots themselves fails.

use lattice_engine::session::SessionId;
use lattice_gateway::snapshots::Snapshots;
use lattice_tests::btrfs::Btrfs;
use lattice_tests::desktops::{Desktops, running, spec};
use lattice_tests::eventually;
use lattice_tests::people::Proof;
use lattice_tests::serve::Serve;
use lattice_wire::snapshots::{Cause, Inside, Kind};
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;
use std::time::Instant;

/// Files of every kind, some of them large.
pub(crate) const FILL: &str = "cd ~/Data && mkdir -p project/src 'a b' && echo words >essay.txt && : >empty && \
    head -c 5000000 /dev/urandom >project/film.bin && printf 'package main\\n' >project/src/main.go && \
    ln -s project/src link && echo x >'a b/ü' && chmod 750 essay.txt && ls -A | wc -l";
/// All that is there, to the byte.
pub(crate) const PICTURE: &str = "cd ~/Data && find . -printf '%P %y %m %l\\n' | sort && \
    find . -type f -print0 | sort -z | xargs -0 sha256sum";
pub(crate) const ENCRYPT: &str = "cd ~/Data && find . -type f -print0 | while IFS= read -r -d '' f; do \
    { head -c 64 /dev/urandom; gzip -c \"$f\"; } >\"$f.locked\" && rm -f \"$f\"; done; \
    echo 'send money' >README-PAY.txt";
pub(crate) const DELETE: &str = "rm -rf ~/Data/* ~/Data/.[!.]*; ls -A ~/Data | wc -l";
/// Whoever wants to be paid has to find these first.
const ATTACK: &str = "for i in 1 2 3; do d=\"$d/..\"; ls -A ~/Data/$d/snapshots 2>/dev/null; done; \
    ls -d /var/lib/lattice \"$1\" \"$1\"/snapshots /proc/1/root\"$1\" /proc/*/cwd/snapshots 2>/dev/null; \
    find / -xdev \\( -name records -o -name '*.pack' -o -name snapshots \\) 2>/dev/null | \
        grep -v -e ^/usr -e ^/proc -e ^/opt; \
    command -v lattice-keeper; \
    mount --bind / /mnt 2>/dev/null && echo mounted; \
    nsenter --target 1 --mount true 2>/dev/null && echo entered; \
    for p in /proc/[0-9]*; do grep -lsa -e lattice-keeper $p/cmdline | grep -v -e /$$/ -e /self/; done; true";

struct Scene {
    serve: Serve,
    owner: Proof,
    session: SessionId,
    path: String,
}

impl Scene {
    fn start() -> Self {
        let serve = Serve::start();
        let owner = serve.admin();
        let session = serve.desktop_of(&owner);
        let path = format!("/api/v1/sessions/{session}/snapshots");
        Self { serve, owner, session, path }
    }

    /// What a script inside prints, whether it succeeds or not.
    fn inside(&self, script: &str) -> String {
        let output = self.serve.desktops().inside(&self.session, script);
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).trim().to_owned()
    }

    fn list(&self) -> Vec<Value> {
        let told = self.serve.grant(&self.owner, "GET", &self.path, &Value::Null);
        told["snapshots"].as_array().expect("a list").clone()
    }

    fn take(&self) -> String {
        let made = self.serve.grant(&self.owner, "POST", &self.path, &Value::Null);
        assert_eq!(made["left_out"], 0, "{made}");
        made["id"].as_str().expect("an id").to_owned()
    }

    fn file(&self, snapshot: &str, path: &str) -> String {
        let path = format!("{}/{snapshot}/file?path={path}", self.path);
        let answer = self.serve.ask(&self.owner, "GET", &path, &Value::Null);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    fn restore(&self, snapshot: &str, path: &str) {
        let begun = Instant::now();
        let body = json!({ "path": path });
        let to = format!("{}/{snapshot}/restore", self.path);
        let before = self.serve.grant(&self.owner, "POST", &to, &body);
        assert_eq!(before["cause"], "restore");
        println!("{path:?} was restored in {:.2?}", begun.elapsed());
    }

    fn states(&self) -> Vec<char> {
        states(self.serve.desktops(), &self.session)
    }
}

/// How the desktop's processes are.
fn states(desktops: &Desktops, session: &SessionId) -> Vec<char> {
    let state = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.trim_start().chars().next()
    };
    desktops.processes(session).into_iter().filter_map(state).collect()
}

#[test]
fn what_a_program_encrypts_or_deletes_comes_back_byte_for_byte() {
    if !rustix::process::geteuid().is_root() {
        return println!("the disasters were left out: only root can make them from inside");
    }
    let scene = Scene::start();
    assert_eq!(scene.inside(FILL), "5");
    let (good, before) = (scene.take(), scene.inside(PICTURE));
    assert!(before.lines().count() > 12, "{before}");
    for (disaster, left) in [(ENCRYPT, ""), (DELETE, "0")] {
        assert_eq!(scene.inside(disaster), left);
        assert_ne!(scene.inside(PICTURE), before);
        scene.restore(&good, "");
        assert_eq!(scene.inside(PICTURE), before, "after {disaster}");
    }
    // One file, whose folder is gone; and it is its owner's to change.
    scene.inside("rm -rf ~/Data/project");
    scene.restore(&good, "project/src/main.go");
    let script =
        "cd ~/Data/project && echo '// mine' >>src/main.go && find . -type f && cat src/main.go";
    assert_eq!(scene.inside(script), "./src/main.go\npackage main\n// mine");
    assert_eq!(scene.file(&good, "project/src/main.go"), "package main\n");
    assert!(!scene.states().contains(&'T'), "the desktop goes on");
    scene.serve.assert_no_panics();
}

#[test]
fn a_desktop_reaches_no_snapshot_and_one_is_made_without_being_asked_for() {
    if !rustix::process::geteuid().is_root() {
        return println!("the attempts were left out: only root can make them from inside");
    }
    let scene = Scene::start();
    scene.inside("echo words >~/Data/essay.txt");
    eventually("a snapshot that nobody asked for", || {
        scene.list().iter().any(|one| one["cause"] == "schedule" && one["files"] == 1)
    });
    let kept = scene.list().last().expect("there is one")["id"].as_str().expect("an id").to_owned();
    let data = scene.serve.desktops().data().display().to_string();
    assert_eq!(scene.inside(&format!("set -- {data}; {ATTACK}")), "");
    let store = scene.serve.desktops().data().join("snapshots");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(&store).expect("there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o700);
    // What it leaves in the way of a restore leads nowhere.
    let outside = scene.serve.desktops().path().join("outside");
    fs::create_dir(&outside).expect("made");
    scene.inside(&format!(
        "cd ~/Data && rm essay.txt && ln -s {0} essay.txt && ln -s {0} project",
        outside.display()
    ));
    scene.restore(&kept, "");
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 0);
    assert_eq!(scene.inside("cat ~/Data/essay.txt; ls -A ~/Data"), "words\nessay.txt");
}

/// Two files that a program writes one after the other are of one moment in every snapshot.
#[test]
fn a_desktop_stands_still_while_its_data_is_read() {
    if !rustix::process::geteuid().is_root() {
        return println!("standing still was left out: only root can start a program inside");
    }
    let scene = Scene::start();
    scene.inside("head -c 3000000 /dev/urandom >~/Data/m.bin");
    // Files of the same name sort to both ends of what is read.
    let writes =
        "cd ~/Data; (i=0; while :; do i=$((i+1)); echo $i >a; echo $i >z; done) >/dev/null 2>&1 &";
    scene.inside(writes);
    eventually("it to write", || scene.inside("cat ~/Data/z").parse::<u64>().is_ok());
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let mut last = 0;
    for _ in 0..3 {
        let taken = scene.take();
        let (a, z) = (scene.file(&taken, "a"), scene.file(&taken, "z"));
        // A shell empties a file before it writes to it.
        if let (Some(a), Some(z)) = (number(&a), number(&z)) {
            assert!(a == z || a == z + 1, "a has {a}, z has {z}");
            assert!(z >= last);
            last = z;
        }
        eventually("it to go on", || {
            number(&scene.inside("cat ~/Data/z")).is_some_and(|now| now > last + 10)
        });
    }
    assert!(!scene.states().contains(&'T'));
}

/// Where the disk makes snapshots itself, Data is a subvolume from the beginning.
#[tokio::test(flavor = "multi_thread")]
async fn what_btrfs_keeps_comes_back_as_well() {
    let test = "what_btrfs_keeps_comes_back_as_well";
    if !rustix::process::geteuid().is_root() {
        return println!("{test} was left out: only root mounts disks");
    }
    let desktops = Desktops::new();
    let Some(disk) = Btrfs::mount_or_leave_out(test, desktops.data(), 640 << 20) else { return };
    let runtime = Arc::new(desktops.open().await);
    let spec = spec(1);
    runtime.start(&spec).await.expect("a start");
    running(&runtime, &spec.session).await;
    let ask = |script: &str| {
        let output = desktops.inside(&spec.session, script);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(ask(FILL), "5");
    let before = ask(PICTURE);
    let snapshots = Snapshots::new(runtime.clone());
    let good = snapshots.take(1, Cause::Asked).await.expect("a snapshot");
    assert_eq!((good.kind, good.left_out), (Kind::Btrfs, 0));
    assert!(snapshots.take_if_changed(1).await.expect("looked").is_none());
    for disaster in [ENCRYPT, DELETE] {
        ask(disaster);
        assert_ne!(ask(PICTURE), before);
        let begun = Instant::now();
        let restored = snapshots.restore(1, good.id.clone(), Inside::all()).await;
        assert_eq!(restored.expect("restored").cause, Cause::Restore);
        println!("on btrfs everything was restored in {:.2?}", begun.elapsed());
        assert_eq!(ask(PICTURE), before);
    }
    assert_eq!(snapshots.list(1).await.expect("a list").snapshots.len(), 3);
    runtime.remove(&spec.session).await.expect("a removal");
    drop((runtime, snapshots, disk));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_frozen_goes_on_whatever_becomes_of_the_gateway() {
    let desktops = Desktops::new();
    let runtime = desktops.open().await;
    let (spec, other) = (spec(1), spec(2));
    for spec in [&spec, &other] {
        runtime.start(spec).await.expect("a start");
    }
    for spec in [&spec, &other] {
        running(&runtime, &spec.session).await;
        eventually("the panel", || desktops.process(&spec.session, "xfce4-panel").is_some());
    }
    runtime.freeze(1).await.expect("frozen");
    let panel = |session: &SessionId| {
        let pid = desktops.process(session, "xfce4-panel").expect("it runs");
        fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs").contains(") T ")
    };
    assert!(panel(&spec.session) && !panel(&other.session));
    let moving = |session: &SessionId| {
        // The sandbox's own two, and the agent, which cannot write to Data.
        states(&desktops, session).iter().filter(|state| **state != 'T').count()
    };
    let all = states(&desktops, &spec.session).len();
    println!("{} of {all} processes go on", moving(&spec.session));
    assert!(moving(&spec.session) < all / 2, "{:?}", states(&desktops, &spec.session));
    // Still listed as running, and another gateway finds it and lets it go on.
    running(&runtime, &spec.session).await;
    drop(runtime);
    let runtime = desktops.open().await;
    assert!(!states(&desktops, &spec.session).contains(&'T'));
    runtime.freeze(1).await.expect("frozen");
    runtime.thaw(1).await.expect("thawed");
    runtime.thaw(1).await.expect("nothing to do");
    assert!(!states(&desktops, &spec.session).contains(&'T'));
    for spec in [&spec, &other] {
        runtime.remove(&spec.session).await.expect("a removal");
    }
}
