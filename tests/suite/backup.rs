//! Backups of a real server: made while people write, put back onto an empty machine, and noticed where
//! they are of no use.

use crate::monitoring::{metrics_in, monitoring};
use lattice_tests::desktops::Desktops;
use lattice_tests::eventually;
use lattice_tests::people::{PASSWORD, Proof};
use lattice_tests::process::{binary, signal};
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::xserver::TempDir;
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const TOKENS: [&str; 7] =
    ["grants", "links", "preview_links", "logins", "devices", "one_time", "tokens"];

/// Where a backup goes.
pub(crate) struct Vault {
    pub(crate) dir: TempDir,
    pub(crate) repository: PathBuf,
    /// Where it is not that directory.
    pub(crate) elsewhere: Vec<(&'static str, String)>,
}

impl Vault {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new("vault");
        let repository = dir.path().join("repository");
        let vault = Self { dir, repository, elsewhere: Vec::new() };
        vault.set_password("a long password");
        fs::write(vault.config(), "").expect("written");
        vault
    }

    fn password(&self) -> PathBuf {
        self.dir.path().join("password")
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("lattice.toml")
    }

    fn set_password(&self, password: &str) {
        fs::write(self.password(), password).expect("written");
        fs::set_permissions(self.password(), fs::Permissions::from_mode(0o600)).expect("set");
    }

    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().expect("a path").to_owned();
        let mut env = vec![
            ("LATTICE_BACKUP__REPOSITORY", text(&self.repository)),
            ("LATTICE_BACKUP__PASSWORD_FILE", text(&self.password())),
        ];
        env.extend(self.elsewhere.iter().cloned());
        env
    }

    pub(crate) fn command(&self, words: &[&str], data: &Path) -> Command {
        let mut command = Command::new(binary("lattice"));
        command.args(words).arg("--data-dir").arg(data);
        command.env("LATTICE_CONFIG", self.config()).envs(self.env());
        command
    }

    /// What it says, which must succeed.
    pub(crate) fn run(&self, words: &[&str], data: &Path) -> String {
        let output = self.command(words, data).output().expect("lattice starts");
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        said(&output)
    }

    /// What it says, which must fail with these words.
    pub(crate) fn refused(&self, step: &[&str], data: &Path, words: &[&str]) {
        let output = self.command(step, data).output().expect("lattice starts");
        assert!(!output.status.success(), "{step:?}: {}", said(&output));
        for word in words {
            assert!(said(&output).contains(word), "{word} is not in: {}", said(&output));
        }
    }

    pub(crate) fn restore(&self, into: &Path) {
        self.run(&["restore", "--into", into.to_str().expect("a path")], Path::new("/nonexistent"));
    }

    fn packs(&self) -> Vec<PathBuf> {
        files(&self.repository.join("data"))
    }
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

pub(crate) fn state(data: &Path) -> Value {
    let text = fs::read_to_string(data.join("backup/state.json")).expect("it is noted");
    serde_json::from_str(&text).expect("JSON")
}

/// All that is there, to the byte, with modes, owners and times.
pub(crate) fn picture(dir: &Path) -> String {
    let script = "find . -printf '%P %y %m %U %G %T@ %l %n\\n' | sort && \
                  find . -type f -print0 | sort -z | xargs -0 sha256sum";
    let output = Command::new("sh").args(["-c", script]).current_dir(dir).output();
    said(&output.expect("a shell"))
}

/// What the database says to a question that has one number or word as its answer.
fn ask(database: &Path, question: &'static str) -> String {
    let options = SqliteConnectOptions::new().filename(database).read_only(true);
    let runtime = tokio::runtime::Runtime::new().expect("threads and an epoll");
    runtime.block_on(async {
        let mut database = options.connect().await.expect("it opens");
        sqlx::query_scalar(question).fetch_one(&mut database).await.expect("an answer")
    })
}

pub(crate) fn sealed(database: &Path) {
    assert_eq!(ask(database, "PRAGMA integrity_check"), "ok");
    let question = "SELECT CAST((SELECT count(*) FROM grants) + (SELECT count(*) FROM links) + \
                    (SELECT count(*) FROM preview_links) + \
                    (SELECT count(*) FROM logins) + (SELECT count(*) FROM devices) + \
                    (SELECT count(*) FROM one_time) + (SELECT count(*) FROM tokens) AS TEXT)";
    assert_eq!(ask(database, question), "0", "one of {TOKENS:?} is not empty");
}

/// A server with a person's files, without a desktop.
pub(crate) fn with_files(vault: &Vault) -> Serve {
    let serve = Serve::start_with(ServeOptions { env: vault.env(), ..ServeOptions::default() });
    let ann = serve.account("ann", "member");
    let data = serve.desktops().data().join(format!("homes/{ann}/data"));
    fs::create_dir_all(data.join("project")).expect("made");
    fs::write(data.join("project/essay"), "words").expect("written");
    fs::set_permissions(data.join("project/essay"), fs::Permissions::from_mode(0o640))
        .expect("set");
    fs::hard_link(data.join("project/essay"), data.join("same")).expect("made");
    symlink("project/essay", data.join("link")).expect("made");
    if rustix::process::geteuid().is_root() {
        lchown(data.join("project/essay"), Some(100_002), Some(100_002)).expect("given away");
    }
    serve
}

#[test]
fn a_backup_made_while_people_write_comes_back_on_an_empty_machine() {
    if !rustix::process::geteuid().is_root() {
        return println!("the backup was left out: only root can write from inside of desktops");
    }
    let vault = Vault::new();
    let serve = Serve::start_with(ServeOptions { env: vault.env(), ..ServeOptions::default() });
    let ann = serve.account("ann", "member");
    let owners = [serve.admin(), serve.sign_in("ann")];
    let sessions = owners.each_ref().map(|owner| serve.desktop_of(owner));
    let data = serve.desktops().data().to_owned();
    serve.link(&sessions[0], "view", json!({}));
    for session in &sessions {
        let script = "mkdir ~/Data/still && cd ~/Data/still && head -c 3000000 /dev/urandom >film && \
                      ln film other-name && ln -s film link && chmod 640 film && mkdir -p a/b && \
                      echo x >'a/b/ü' && mkdir ~/Data/moving";
        let output = serve.desktops().inside(session, script);
        assert!(output.status.success(), "{}", said(&output));
    }
    vault.run(&["backup", "init"], &data);
    // Twenty files a second, each told of in a list once it is there; and two files of which the one that is
    // read first is the longer one, by a byte at most, at every moment. Who writes is a program of the desktop and not
    // of the shell that was sent in from outside, whose parent is elsewhere: as such it stands still.
    let write = "i=0; while [ ! -e stop ]; do i=$((i+1)); \
                 echo file $i >file-$i; echo $i >>list; sleep 0.05; done";
    let race = "while [ ! -e stop ]; do echo >>a-first; echo >>z-last; done";
    for session in &sessions {
        for script in [write, race] {
            let script = format!("cd ~/Data/moving && {script}");
            let script = format!("setsid bash -c '{script}' </dev/null >/dev/null 2>&1 &");
            assert!(serve.desktops().inside(session, &script).status.success());
        }
    }
    eventually("both to write", || {
        sessions.iter().all(|session| {
            let script = "test -e ~/Data/moving/file-20";
            serve.desktops().inside(session, script).status.success()
        })
    });
    println!("{}", vault.run(&["backup"], &data));
    // The next one adds what is new.
    println!("{}", vault.run(&["backup"], &data));
    for session in &sessions {
        let listed = || {
            let output = serve.desktops().inside(session, "wc -l <~/Data/moving/list");
            said(&output).trim().parse::<u64>().expect("a number")
        };
        let seen = listed();
        eventually("it to go on", || listed() > seen);
        serve.desktops().inside(session, "touch ~/Data/moving/stop");
    }
    let made = state(&data)["made"].clone();
    assert_eq!((&made["people"], &made["moving"]), (&json!(2), &json!(0)), "{made}");
    assert!(made["added"].as_u64().expect("a number") < 1 << 20, "{made}");
    assert!(made["bytes"].as_u64().expect("a number") > 6_000_000, "{made}");
    println!("{}", vault.run(&["backup", "drill"], &data));
    assert!(!data.join("backup/scratch").exists() && !data.join("backup/copy").exists());

    let there = Desktops::new();
    vault.restore(there.data());
    for number in ["1", ann.as_str()] {
        let homes = [&data, there.data()].map(|dir| dir.join(format!("homes/{number}/data")));
        let [before, after] = homes.each_ref().map(|home| picture(&home.join("still")));
        assert!(before.contains("film") && before.lines().count() > 8, "{before}");
        assert_eq!(before, after);
        let moving = homes[1].join("moving");
        let list = fs::read_to_string(moving.join("list")).expect("there");
        assert!(list.lines().count() >= 20, "{list}");
        for line in list.lines() {
            let file = fs::read_to_string(moving.join(format!("file-{line}"))).expect("there");
            assert_eq!(file, format!("file {line}\n"), "it stood still");
        }
        let [first, last] =
            ["a-first", "z-last"].map(|name| fs::metadata(moving.join(name)).expect("there").len());
        assert!(first.wrapping_sub(last) <= 1, "{first} and {last}: it stood still");
    }
    let [one, other] = ["film", "other-name"].map(|name| {
        fs::metadata(there.data().join("homes/1/data/still").join(name)).expect("there").ino()
    });
    assert_eq!(one, other, "two names of one file");
    sealed(&there.data().join("lattice.db"));

    // Everybody signs in as before, and has the desktops that they had; nobody else does.
    let back = Serve::start_over(there, ServeOptions::default());
    assert_eq!(back.broken(), "ok");
    let before = serve.ask(&owners[1], "GET", "/api/v1/me", &Value::Null);
    let after = back.ask(&owners[1], "GET", "/api/v1/me", &Value::Null);
    assert_eq!((before.status, after.status), (200, 401), "{}", after.body);
    let body = json!({ "name": "ann", "password": PASSWORD });
    assert_eq!(back.ask(&Proof::Nobody, "POST", "/api/v1/login", &body).status, 204);
    let ann = back.sign_in("ann");
    let path = format!("/api/v1/sessions/{}", sessions[1]);
    eventually("her desktop to run", || {
        back.grant(&ann, "GET", &path, &Value::Null)["state"] == "running"
    });
    let seen = back.desktops().inside(&sessions[1], "cat ~/Data/still/a/b/ü");
    assert_eq!(said(&seen).trim(), "x");
    serve.assert_no_panics();
}

#[test]
fn administrators_see_how_it_went_and_a_flipped_byte_is_noticed() {
    let vault = Vault::new();
    let mut serve = with_files(&vault);
    let data = serve.desktops().data().to_owned();
    vault.run(&["backup", "init"], &data);
    let read = |serve: &Serve| serve.grant(&serve.admin(), "GET", "/api/v1/backup", &Value::Null);
    assert_eq!(read(&serve)["last"], Value::Null);
    for (path, done) in [("/api/v1/backup", "last"), ("/api/v1/backup/drill", "drill")] {
        serve.grant(&serve.admin(), "POST", path, &Value::Null);
        eventually("it to be done", || {
            !read(&serve)[done].is_null() && read(&serve)["now"].is_null()
        });
    }
    let told = read(&serve);
    assert_eq!((&told["error"], &told["drill"]["ok"]), (&Value::Null, &json!(true)), "{told}");
    assert_eq!(told["last"]["people"], 1);
    for name in ["lattice_backup_ok", "lattice_backup_drill_ok"] {
        assert_eq!(serve.metric(name, &[]), 1.0);
    }
    assert!(serve.metric("lattice_backup_last_success_timestamp_seconds", &[]) > 1e9);
    let there = serve.metrics();
    for file in ["alerts.yaml", "dashboard.json"] {
        for name in metrics_in(&monitoring(file)) {
            // Nothing is planned here.
            let is_of_plans = name == "lattice_backup_interval_seconds";
            assert!(
                !name.starts_with("lattice_backup_") || is_of_plans || there.has(name),
                "{name}"
            );
        }
    }
    let examined = vault.command(&["doctor"], &data).output().expect("lattice starts");
    for line in ["the repository is there", "last backup", "came back as they were"] {
        assert!(said(&examined).contains(line), "{line}: {}", said(&examined));
    }
    let packs = vault.packs();
    assert!(!packs.is_empty());
    for pack in &packs {
        let mut bytes = fs::read(pack).expect("there");
        bytes[5] ^= 1;
        fs::set_permissions(pack, fs::Permissions::from_mode(0o600)).expect("set");
        fs::write(pack, bytes).expect("written");
    }
    vault.refused(&["backup", "drill"], &data, &["lattice: "]);
    assert!(!state(&data)["drill"]["error"].is_null());
    assert_eq!(read(&serve)["drill"]["ok"], false);
    serve.terminate();
    serve.restart();
    assert_eq!(serve.metric("lattice_backup_drill_ok", &[]), 0.0);
    serve.assert_no_panics();
}

#[test]
fn what_is_wrong_is_refused_with_what_to_do() {
    let vault = Vault::new();
    let mut serve = with_files(&vault);
    let data = serve.desktops().data().to_owned();
    let missing = ["no repository in", "mounted", "lattice backup init"];
    vault.refused(&["backup"], &data, &missing);
    assert!(state(&data)["last"]["error"].as_str().is_some_and(|why| why.contains(missing[0])));
    serve.terminate();
    vault.refused(&["backup", "drill"], &data, &missing);
    vault.run(&["backup", "init"], &data);
    let nothing = vault.dir.path().join("back");
    let into = ["restore", "--into", nothing.to_str().expect("a path")];
    vault.refused(&into, &data, &["no whole backup"]);
    vault.run(&["backup"], &data);
    vault.run(&["backup", "list"], &data);
    // Files are whole, owners and names too, also where no server runs.
    vault.restore(&nothing);
    let [before, after] = [&data, &nothing].map(|dir| picture(&dir.join("homes")));
    let below = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let own = |lines: Vec<String>| {
        let is_own = |line: &String| line.contains("/data");
        lines.into_iter().filter(is_own).collect::<Vec<_>>()
    };
    assert_eq!(own(below(&before)), own(below(&after)));
    sealed(&nothing.join("lattice.db"));
    vault.refused(&into, &data, &["is not empty", "name an empty directory"]);
    fs::set_permissions(vault.password(), fs::Permissions::from_mode(0o644)).expect("set");
    vault.refused(&["backup"], &data, &["can be read by others", "chmod 600"]);
    vault.set_password("another");
    vault.refused(&["backup"], &data, &["the password in", "backup.password_file"]);
}

#[test]
fn a_backup_that_is_killed_leaves_the_repository_as_it_was() {
    let vault = Vault::new();
    let mut serve = with_files(&vault);
    let data = serve.desktops().data().to_owned();
    serve.terminate();
    vault.run(&["backup", "init"], &data);
    vault.run(&["backup"], &data);
    let film = data.join("homes/2/data/film");
    let bytes: Vec<u8> =
        (0..30_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(&film, &bytes).expect("written");
    let before = vault.packs().len();
    let mut child =
        vault.command(&["backup"], &data).stdout(Stdio::null()).spawn().expect("started");
    let begun = Instant::now();
    while vault.packs().len() == before && begun.elapsed() < Duration::from_secs(60) {
        assert!(child.try_wait().expect("a child").is_none(), "it is too quick to be killed");
        thread::sleep(Duration::from_millis(2));
    }
    kill(&mut child);
    let listed = vault.run(&["backup", "list"], &data);
    assert_eq!(listed.trim().lines().count(), 1, "{listed}");
    println!("{}", vault.run(&["backup"], &data));
    println!("{}", vault.run(&["backup", "drill"], &data));
    assert_eq!(state(&data)["made"]["people"], 1);
}

pub(crate) fn kill(child: &mut Child) {
    signal(child.id(), Signal::KILL);
    child.wait().expect("it ends");
}

#[test]
fn a_full_disk_is_said_to_be_full() {
    let mut vault = Vault::new();
    let disk = vault.dir.path().join("disk");
    fs::create_dir(&disk).expect("made");
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&disk).status();
    if !mount.is_ok_and(|status| status.success()) {
        return println!("the full disk was left out: none can be mounted here");
    }
    vault.repository = disk.join("repository");
    let mut serve = with_files(&vault);
    let data = serve.desktops().data().to_owned();
    serve.terminate();
    vault.run(&["backup", "init"], &data);
    vault.run(&["backup"], &data);
    let film: Vec<u8> =
        (0..5_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(data.join("homes/2/data/film"), film).expect("written");
    let output = vault.command(&["backup"], &data).output().expect("lattice starts");
    let listed = vault.command(&["backup", "list"], &data).output().expect("lattice starts");
    let unmounted = Command::new("umount").arg(&disk).status().expect("umount");
    assert!(unmounted.success());
    assert!(!output.status.success());
    assert!(said(&output).contains("no room is left"), "{}", said(&output));
    assert_eq!(said(&listed).trim().lines().count(), 1, "{}", said(&listed));
}
