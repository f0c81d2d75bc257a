//! Where people's files are: bounded for each by subvolumes of btrfs, measured elsewhere, and in volumes
//! of whatever driver the engine has.

use super::started;
use lattice_engine::session::SessionId;
use lattice_gateway::runtime::{Runtime, Spec, Stored};
use lattice_tests::btrfs::Btrfs;
use lattice_tests::containers::{Containers, docker};
use lattice_tests::desktops::{running, spec};
use lattice_tests::engine::Engine;
use lattice_tests::wait::{GENEROUS, until_some};
use lattice_tests::xserver::TempDir;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

const MIB: u64 = 1 << 20;
/// btrfs, and half of it is for its own.
const DISK: u64 = 640 * MIB;
/// A desktop's own settings need some.
const QUOTAS: [&str; 4] = ["--data-quota", "64m", "--home-quota", "48m"];
/// A subvolume is asked for as anybody may: `BTRFS_IOC_SUBVOL_CREATE` of <linux/btrfs.h>.
const MAKE_SUBVOLUME: &str = "perl -e 'sysopen(my $d, \"Data\", 0) or die; \
    my $named = pack(\"q Z4088\", 0, \"own\"); ioctl($d, 0x5000940E, $named) or print \"$!\"'; \
    ls Data";
/// Writes until it is refused.
const FILL: &str = "dd if=/dev/zero of=\"$0\" bs=1M count=300 conv=fsync";

/// A disk, and a broker over it, which is to go first; nothing where that cannot be mounted here.
fn on_btrfs(test: &str, options: &[&str]) -> Option<(Btrfs, Containers)> {
    let dir = TempDir::new("containers");
    let disk = Btrfs::mount_or_leave_out(test, &dir.path().join("data"), DISK)?;
    Some((disk, Containers::in_directory(dir, options)))
}

fn fill(containers: &Containers, session: &SessionId, file: &str) -> String {
    containers.ask(session, "desktop", &format!("set -- {file}; {}", FILL.replace("$0", "$1")))
}

fn is_subvolume(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.ino() == 256)
}

/// Waits for what somebody keeps to be told so.
async fn told(runtime: &Runtime, owner: i64, wanted: impl Fn(&Stored) -> bool) -> Stored {
    let begun = std::time::Instant::now();
    loop {
        runtime.list().await.expect("a list");
        let stored = runtime.stored(owner);
        if let Some(stored) = stored.filter(&wanted) {
            return stored;
        }
        // The kernel counts anew with each commit, half a minute after the last.
        assert!(begun.elapsed() < 3 * GENEROUS, "it is told: {stored:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fills_what_is_theirs_is_refused_more_and_nobody_else_notices() {
    let test = "who_fills_what_is_theirs_is_refused_more_and_nobody_else_notices";
    let Some((disk, mut containers)) = on_btrfs(test, &QUOTAS) else { return };
    let runtime = containers.open();
    let (one, other) =
        (started(&runtime, 1, "desktop").await, started(&runtime, 2, "desktop").await);
    let ask = |session: &SessionId, script: &str| containers.ask(session, "desktop", script);
    assert_eq!(ask(&one, "echo words >Data/essay && cat Data/essay"), "words");

    for file in ["Data/film", "film"] {
        let said = fill(&containers, &one, file);
        assert!(said.contains("Disk quota exceeded"), "{file}: {said}");
    }
    let user = containers.home(1).with_file_name("data");
    let written = fs::metadata(user.join("film")).expect("as much as there was room").len();
    println!("{} MiB of 64 were written", written / MIB);
    assert!((48 * MIB..=64 * MIB).contains(&written), "{written}");
    // Neither is there a way around it,
    assert_eq!(ask(&one, MAKE_SUBVOLUME), "Operation not permittedessay\nfilm");
    // nor does it do anything to anybody else.
    let said = ask(
        &other,
        "dd if=/dev/zero of=Data/film bs=1M count=32 conv=fsync 2>&1 && touch note && echo good",
    );
    assert!(said.ends_with("good"), "{said}");
    let stored = told(&runtime, 1, |stored| stored.data.is_full() && stored.home.is_full()).await;
    assert!(stored.is_enforced && stored.data.limit == Some(64 * MIB), "{stored:?}");
    assert!(stored.data.used <= 64 * MIB, "{stored:?}");
    let stored = told(&runtime, 2, |stored| stored.data.used >= 32 * MIB).await;
    assert!(!stored.data.is_full(), "{stored:?}");
    assert!(containers.log().contains("little or no room is left"), "{}", containers.log());

    // With all of it full a desktop starts all the same, and what is there is there, also after the
    // machine was off.
    for session in [&one, &other] {
        runtime.stop(session).await.expect("a stop");
    }
    containers.restart_broker_after(|| disk.remount());
    let again = started_as(&runtime, &one, 1).await;
    let ask = |script: &str| containers.ask(&again, "desktop", script);
    assert_eq!(ask("cat Data/essay"), "words");
    let said = fill(&containers, &again, "Data/more");
    assert!(said.contains("Disk quota exceeded"), "{said}");
    // Who makes room has room.
    assert_eq!(ask("rm -f Data/film Data/more && sync && echo gone"), "gone");
    let said = ask("dd if=/dev/zero of=Data/film bs=1M count=32 conv=fsync 2>&1 && echo good");
    assert!(said.ends_with("good"), "{said}");

    // A reset leaves Data, and gives a home in which there is room, and as much as before.
    let reset = Spec { session: again.clone(), ..spec(1) };
    runtime.reset(&reset).await.expect("a reset");
    let again = started_as(&runtime, &again, 1).await;
    let ask = |script: &str| containers.ask(&again, "desktop", script);
    assert_eq!(
        ask("cat Data/essay; ls film 2>&1"),
        "words\nls: cannot access 'film': No such file or directory"
    );
    let said = ask("dd if=/dev/zero of=film bs=1M count=16 conv=fsync 2>&1 && echo good");
    assert!(said.ends_with("good"), "{said}");
    let said = fill(&containers, &again, "film");
    assert!(said.contains("Disk quota exceeded"), "{said}");
    // The second reset removes what the first kept.
    let kept = || {
        let entries = fs::read_dir(containers.home(1).with_file_name("")).expect("there").flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().contains("reset")).count()
    };
    assert_eq!(kept(), 2, "the home and those of apps");
    runtime.reset(&reset).await.expect("a reset");
    assert_eq!(kept(), 2);
}

/// Starts that session again.
async fn started_as(runtime: &Runtime, session: &SessionId, owner: i64) -> SessionId {
    let spec = Spec { session: session.clone(), ..spec(owner) };
    runtime.start(&spec).await.expect("a start");
    running(runtime, session).await;
    spec.session
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_directories_become_subvolumes_when_nobody_is_in_and_nothing_is_lost() {
    let test = "plain_directories_become_subvolumes_when_nobody_is_in_and_nothing_is_lost";
    let plain = [&QUOTAS[..], &["--storage", "directory"]].concat();
    let Some((_disk, mut containers)) = on_btrfs(test, &plain) else { return };
    let runtime = containers.open();
    let session = started(&runtime, 1, "desktop").await;
    let make = "mkdir -p Data/a/b && echo words >Data/a/b/essay && ln Data/a/b/essay Data/same && \
                ln -s /etc/shadow Data/link && chmod 640 Data/a/b/essay && echo odd >settings && \
                mkfifo Data/pipe && dd if=/dev/zero of=Data/film bs=1M count=80 2>/dev/null && echo made";
    assert_eq!(containers.ask(&session, "desktop", make), "made");
    let (home, data) = (containers.home(1), containers.home(1).with_file_name("data"));
    assert!(!is_subvolume(&data));
    // Of a broker that was killed over it.
    fs::create_dir(data.with_file_name("data.subvolume")).expect("made");
    symlink("/etc", data.with_file_name("data.subvolume/x")).expect("made");

    containers.restart_broker_with(&QUOTAS);
    let second = started(&runtime, 1, "desktop").await;
    assert!(!is_subvolume(&data), "a desktop has it");
    assert_eq!(containers.ask(&second, "desktop", "cat Data/a/b/essay"), "words");
    for session in [&session, &second] {
        runtime.stop(session).await.expect("a stop");
    }
    started_as(&runtime, &session, 1).await;
    assert!(is_subvolume(&data) && is_subvolume(&home), "{}", containers.log());
    let ask = |script: &str| containers.ask(&session, "desktop", script);
    let seen = ask(
        "cat Data/a/b/essay settings; stat -c '%h %a %u' Data/same; readlink Data/link; stat -c %F Data/pipe",
    );
    assert_eq!(seen, "words\nodd\n2 640 100001\n/etc/shadow\nfifo");
    assert_eq!(
        ask("stat -c %s Data/film"),
        (80 * MIB).to_string(),
        "more than may be kept is kept"
    );
    // What came by copying is counted once it is on the disk.
    told(&runtime, 1, |stored| stored.data.used >= 80 * MIB).await;
    let said = ask("dd if=/dev/zero of=Data/more bs=1M count=8 conv=fsync");
    assert!(said.contains("Disk quota exceeded"), "{said}");
    let names = fs::read_dir(home.with_file_name("")).expect("there").flatten();
    let mut names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["apps", "data", "home"], "nothing else is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_subvolume_can_be_made_plain_directories_are_or_nobody_starts() {
    let test = "where_no_subvolume_can_be_made_plain_directories_are_or_nobody_starts";
    // All but lattice/quota.
    let images = ["base", "xorg", "dbus", "api", "desktop"].map(|name| format!("lattice/{name}"));
    let engine = Engine::with_images(&images.each_ref().map(String::as_str));
    let socket = engine.socket().to_string_lossy().into_owned();
    let options = ["--engine", &socket, "--pool", "0", "--storage", "btrfs"];
    let Some((_disk, mut containers)) = on_btrfs(test, &options) else { return };
    let runtime = containers.open();
    let error = runtime.start(&spec(1)).await.expect_err("nobody starts").to_string();
    assert!(error.contains("lattice/quota") && error.contains("lattice doctor"), "{error}");
    containers.restart_broker_with(&options[..4]);
    let spec = spec(1);
    runtime.start(&spec).await.expect("a start");
    running(&runtime, &spec.session).await;
    assert!(!is_subvolume(&containers.home(1)));
    let log = containers.log();
    assert!(log.contains("is not bounded") && log.contains("lattice/quota"), "{log}");
    runtime.remove(&spec.session).await.expect("a removal");
}

#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_who_keeps_more_than_they_should_is_told_of() {
    let options = ["--data-quota", "16m", "--measure-every", "1", "--pool", "0"];
    let containers = Containers::with_options(&options);
    let runtime = containers.open();
    let session = started(&runtime, 1, "desktop").await;
    let stored = told(&runtime, 1, |_| true).await;
    assert!(!stored.data.is_full() && !stored.is_enforced, "{stored:?}");
    let write = "dd if=/dev/zero of=Data/film bs=1M count=20 conv=fsync 2>&1 && echo good";
    let said = containers.ask(&session, "desktop", write);
    assert!(said.ends_with("good"), "nothing stops anybody: {said}");
    let stored = told(&runtime, 1, |stored| stored.data.used >= 20 * MIB).await;
    assert!(stored.data.is_full() && stored.data.used < 21 * MIB, "{stored:?}");
    assert!(!stored.home.is_full(), "{stored:?}");
    let log = containers.log();
    assert_eq!(log.matches("little or no room is left").count(), 1, "once is enough: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_driver_is_given_its_options_and_is_measured() {
    let dir = TempDir::new("containers");
    let device = dir.path().join("device");
    fs::create_dir(&device).expect("made");
    let options = format!("type=none o=bind device={}", device.display());
    let options = [
        "--volume-driver",
        "local",
        "--volume-option",
        &options,
        "--data-quota",
        "16m",
        "--measure-every",
        "1",
        "--pool",
        "0",
    ];
    let containers = Containers::in_directory(dir, &options);
    let runtime = containers.open();
    // Before anything is there: what does not exist is not to be made by the engine's usual driver.
    let session = spec(1);
    runtime.reset(&session).await.expect("nothing to reset");
    assert_eq!(containers.volumes(), [""; 0]);
    runtime.start(&session).await.expect("a start");
    running(&runtime, &session.session).await;
    let volumes = containers.volumes();
    assert_eq!(volumes.len(), 2, "{volumes:?}");
    for volume in &volumes {
        let said = docker(&[
            "volume",
            "inspect",
            "--format",
            "{{.Driver}} {{.Options.type}} {{.Options.o}} {{.Options.device}}",
            volume,
        ]);
        assert_eq!(said, format!("local none bind {}", device.display()));
    }
    let write = "dd if=/dev/zero of=Data/film bs=1M count=20 conv=fsync 2>&1 && echo good";
    let said = containers.ask(&session.session, "desktop", write);
    assert!(said.ends_with("good"), "{said}");
    assert_eq!(
        fs::metadata(device.join("film")).expect("it is where it should be").len(),
        20 * MIB
    );
    let stored = told(&runtime, 1, |stored| stored.data.used >= 20 * MIB).await;
    assert!(stored.data.is_full() && !stored.is_enforced, "{stored:?}");
    runtime.remove(&session.session).await.expect("a removal");
    until_some("the look to end", GENEROUS, || containers.names().is_empty().then_some(()));
}
