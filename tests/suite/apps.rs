//! Apps asked for by a desktop's own programs: a real relay between `lattice open` and a manager whose
//! runtime only keeps books.

use lattice_engine::session::SessionId;
use lattice_gateway::hub::Settings;
use lattice_gateway::manager::{Manager, Rules};
use lattice_gateway::recipe::Recipes;
use lattice_gateway::runtime::{AppState, Call, Failure, Fake, InstanceState, Relay, Runtime};
use lattice_gateway::store::{Actor, NewSession, NewUser, Store, Timestamp, UserRole};
use lattice_tests::process::{self, binary};
use lattice_tests::wait::{GENEROUS, eventually};
use lattice_tests::xserver::TempDir;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime as Tokio;
use tokio::task::JoinHandle;

/// What the desktop is made of.
const GO: &str = "\
name: go
services: { code: { image: lattice/code }, browser: { image: lattice/chromium } }
x-lattice:
  title: Go
  apps: { code: { title: VS Code, icon: code }, browser: { title: Browser, icon: browser } }
";

/// A desktop that runs, with its relay, and what a gateway finds.
struct World {
    dir: TempDir,
    tokio: Tokio,
    fake: Fake,
    store: Store,
    session: SessionId,
    relay: Option<Child>,
}

impl World {
    fn new() -> Self {
        let dir = TempDir::new("apps");
        let tokio = Tokio::new().expect("threads");
        let fake = Fake::new(dir.path().to_owned());
        let session = SessionId::from_bytes([7; 10]);
        let store = tokio.block_on(async {
            let store = Store::open(&dir.path().join("db")).await.expect("a store");
            let ada = NewUser {
                name: "ada",
                display_name: "Ada",
                role: UserRole::Member,
                password_hash: None,
            };
            let ada = store.create_user(&ada, Actor::System, Timestamp::now()).await;
            let owner = ada.expect("a user").id;
            let new = NewSession { id: &session, owner, template: "go", name: "Go" };
            store.create_session(&new, 8, Timestamp::now()).await.expect("made");
            store
        });
        fake.put(&session, 1).expect("it runs");
        fs::create_dir_all(dir.path().join(session.as_str()).join("gate")).expect("a directory");
        let mut world = Self { dir, tokio, fake, store, session, relay: None };
        world.start_relay();
        world
    }

    fn address(&self) -> Relay {
        let list = self.tokio.block_on(Runtime::Fake(self.fake.clone()).list()).expect("a list");
        match list.into_iter().next().map(|instance| instance.state) {
            Some(InstanceState::Running(address)) => address.relay.expect("it has a relay"),
            other => panic!("the desktop is {other:?}"),
        }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("desktop.sock")
    }

    fn start_relay(&mut self) {
        let relay = self.address();
        let mut command = Command::new(binary("lattice-session"));
        command.arg("serve").arg("--desktop").arg(self.socket());
        command.arg("--gateway").arg(&relay.socket);
        command.env("LATTICE_API_TOKEN", relay.token.expose());
        self.relay = Some(command.spawn().expect("the relay starts"));
        let gate = relay.socket;
        eventually("the relay listens", || UnixStream::connect(&gate).is_ok());
    }

    fn kill_relay(&mut self) {
        if let Some(mut relay) = self.relay.take() {
            let _ = relay.kill();
            let _ = relay.wait();
        }
    }

    /// A gateway starts.
    fn gateway(&self) -> (Manager, JoinHandle<()>) {
        let recipes = Recipes::new([("go".into(), GO.into())]);
        let settings = Settings { name: None, max_viewers: 10, encoders: 1 };
        let runtime = Arc::new(Runtime::Fake(self.fake.clone()));
        let _guard = self.tokio.enter();
        let (manager, _, task) =
            Manager::spawn(self.store.clone(), runtime, settings, Rules::new(recipes));
        (manager, task)
    }

    fn lattice(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("lattice-session"));
        command.args(arguments).arg("--socket").arg(self.socket());
        // Nothing is shown on whatever desktop the test runs on.
        command.env("PATH", self.dir.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.lattice(arguments).output().expect("it starts")
    }

    /// That it works, and what it says.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", error(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// That it does not, and why.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} worked");
        error(&output)
    }

    /// What comes back for bytes that no honest program says.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("the relay listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("set");
        // It may hang up before it has read all.
        let _ = stream.write_all(bytes);
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
        line
    }

    /// Whether the relay says that a gateway is there.
    fn is_linked(&self) -> bool {
        self.raw(b"{\"status\":{}}\n").contains("true")
    }

    /// The apps that the runtime has.
    fn open_apps(&self) -> Vec<(String, AppState)> {
        let list = self.tokio.block_on(Runtime::Fake(self.fake.clone()).list()).expect("a list");
        let apps = list.into_iter().flat_map(|instance| instance.apps);
        apps.map(|app| (app.name, app.state)).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_relay();
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_app_is_opened_listed_and_closed_from_the_desktop() {
    let world = World::new();
    let _gateway = world.gateway();
    world.says(&["open", "code"]);
    assert_eq!(world.open_apps(), [("code".to_owned(), AppState::Running)]);
    eventually("the list says so", || world.says(&["apps"]).contains("running"));
    let list = world.says(&["apps"]);
    assert!(list.lines().count() == 2 && list.contains("VS Code"), "{list}");
    assert!(world.is_linked());
    world.says(&["close", "code"]);
    assert_eq!(world.open_apps(), []);
}

#[test]
fn a_script_may_say_its_line_and_wait_for_the_answer() {
    let world = World::new();
    let mut stream = UnixStream::connect(world.socket()).expect("it listens");
    stream.write_all(b"{\"open\":{\"app\":\"code\"}}\n").expect("said");
    stream.shutdown(Shutdown::Write).expect("said all");
    let _gateway = world.gateway();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "{\"done\":{}}\n");
}

#[test]
fn what_cannot_be_opened_says_why() {
    let world = World::new();
    let _gateway = world.gateway();
    let missing = world.fails(&["open", "photoshop"]);
    assert!(missing.contains("there are: browser, code"), "{missing}");
    world.fake.fail(Call::Open, Failure::Step("the image is missing"));
    let failed = world.fails(&["open", "code"]);
    assert!(failed.contains("the image is missing"), "{failed}");
    assert_eq!(world.open_apps(), []);
}

#[test]
fn a_desktop_that_watches_is_told_that_an_app_ended() {
    let world = World::new();
    let _gateway = world.gateway();
    world.says(&["open", "code"]);
    eventually("the list says so", || world.says(&["apps"]).contains("running"));
    let mut watch = world.lattice(&["watch"]).stderr(Stdio::piped()).spawn().expect("it starts");
    world.fake.end_app(&world.session, "code", "it used all of its memory").expect("it was open");
    // Without notify-send it is said on standard error.
    let mut line = String::new();
    let mut said = BufReader::new(watch.stderr.take().expect("piped"));
    said.read_line(&mut line).expect("a line");
    let _ = watch.kill();
    let _ = watch.wait();
    assert!(line.contains("VS Code ended unexpectedly: it used all of its memory."), "{line}");
    assert!(world.says(&["apps"]).contains("ended: it used all"), "the list says it, too");
}

#[test]
fn who_asks_while_the_gateway_is_away_is_answered_by_the_next() {
    let world = World::new();
    let mut open = world.lattice(&["open", "code"]).spawn().expect("it starts");
    assert!(world.fails(&["status"]).contains("restarting"));
    let (manager, task) = world.gateway();
    assert!(open.wait().expect("it ends").success());
    manager.end();
    world.tokio.block_on(task).expect("it ends in order");
    eventually("the relay notices", || !world.is_linked());
    let _next = world.gateway();
    world.says(&["close", "code"]);
    assert_eq!(world.open_apps(), []);
}

#[test]
fn a_relay_that_was_killed_is_found_again() {
    let mut world = World::new();
    let _gateway = world.gateway();
    world.says(&["open", "code"]);
    world.kill_relay();
    world.start_relay();
    world.says(&["close", "code"]);
    assert_eq!(world.open_apps(), []);
}

#[test]
fn opening_has_a_pace() {
    let world = World::new();
    let _gateway = world.gateway();
    for _ in 0..10 {
        world.says(&["open", "code"]);
    }
    assert!(world.fails(&["open", "code"]).contains("wait"), "the eleventh");
    world.says(&["apps"]);
}

#[test]
fn only_who_knows_the_token_is_the_gateway() {
    let world = World::new();
    let gate = world.address().socket;
    let mode = |path: &PathBuf| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    // Programs may run as another user than the relay; nobody else comes to where their socket is.
    assert_eq!((mode(&gate), mode(&world.socket())), (0o660, 0o666));
    let wrong = "x".repeat(43);
    let hello = format!("{{\"hello\":{{\"version\":1,\"token\":\"{wrong}\"}}}}\n");
    let apps = "{\"apps\":{\"apps\":[]}}\n".to_owned();
    for said in [hello, apps, "\n".into(), "[".repeat(40 << 10)] {
        let mut stream = UnixStream::connect(&gate).expect("it listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("set");
        let _ = stream.write_all(said.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, b"", "to {:?}", &said[..said.len().min(40)]);
    }
    let _gateway = world.gateway();
    world.says(&["open", "code"]);
}

#[test]
fn a_hostile_program_neither_ends_the_relay_nor_makes_it_grow() {
    let world = World::new();
    let _gateway = world.gateway();
    world.says(&["apps"]);
    let pid = world.relay.as_ref().expect("it runs").id();
    let before = process::rss(pid);
    assert!(world.raw(b"nonsense\n").contains("no request"));
    assert!(world.raw(b"\xff\xfe\n").contains("no request"));
    assert!(world.raw(b"{\"open\":{\"app\":\"../../etc\"}}\n").contains("no request"));
    assert!(world.raw(&b"x".repeat(1 << 20)).contains("at most 4096 bytes"));
    let deep = [b"[".repeat(4000), b"\n".to_vec()].concat();
    assert!(world.raw(&deep).contains("no request"));
    // Many who say nothing keep others out for as long as nobody is let go.
    let connect = || UnixStream::connect(world.socket()).expect("it listens");
    let mut idle: Vec<_> = (0..63).map(|_| connect()).collect();
    // Those from before may not be gone yet, and have a place until they are.
    eventually("the last place to be taken", || {
        idle.push(connect());
        let output = world.run(&["apps"]);
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).contains("too many programs")
    });
    assert!(idle.len() < 100, "{} were let in", idle.len());
    drop(idle);
    eventually("there is room again", || world.run(&["apps"]).status.success());
    // Who asks and never reads.
    let mut deaf = UnixStream::connect(world.socket()).expect("it listens");
    deaf.set_write_timeout(Some(Duration::from_millis(500))).expect("set");
    let _ = deaf.write_all(&b"{\"status\":{}}\n".repeat(1 << 17));
    assert!(world.says(&["apps"]).contains("VS Code"));
    drop(deaf);
    let grown = process::rss(pid).saturating_sub(before);
    assert!(grown < 1 << 20, "it grew by {grown} bytes");
}

/// The desktop's user may have taken the relay's place.
#[test]
fn a_hostile_relay_gets_no_more_than_an_honest_one() {
    let mut world = World::new();
    world.kill_relay();
    let gate = world.address().socket;
    fs::remove_file(&gate).expect("it was there");
    let listener = UnixListener::bind(&gate).expect("free again");
    let _gateway = world.gateway();
    let hello = b"{\"hello\":{\"version\":1}}\n".as_slice();
    let other_session =
        b"{\"ask\":{\"id\":1,\"session\":\"aaaaaaaaaaaaaaaa\",\"what\":{\"list\":{}}}}\n";
    for said in [b"\xff\n".as_slice(), other_session, hello, &b"x".repeat(64 << 10)] {
        let (mut stream, mut lines) = call(&listener);
        let _ = stream.write_all(&[hello, said].concat());
        // It hangs up, with what it was not read still on its way or not.
        while lines.read_line(&mut String::new()).is_ok_and(|length| length > 0) {}
    }
    let (mut stream, lines) = call(&listener);
    stream.write_all(hello).expect("it listens");
    let open = b"{\"ask\":{\"id\":9,\"what\":{\"open\":{\"app\":\"code\"}}}}\n";
    stream.write_all(&open.repeat(40)).expect("it listens");
    let answers = lines.lines().map(|line| line.expect("an answer"));
    let answers: Vec<_> = answers.filter(|line| line.contains("answer")).take(40).collect();
    let refused = answers.iter().filter(|line| line.contains("wait a few seconds")).count();
    assert_eq!(refused, 20, "{answers:?}");
    assert_eq!(world.fake.calls(Call::Open), 20);
}

/// The gateway calls; its hello is not looked at.
fn call(listener: &UnixListener) -> (UnixStream, BufReader<UnixStream>) {
    let (stream, _) = listener.accept().expect("the gateway calls");
    stream.set_read_timeout(Some(GENEROUS)).expect("set");
    let mut lines = BufReader::new(stream.try_clone().expect("one more handle"));
    lines.read_line(&mut String::new()).expect("a hello");
    (stream, lines)
}
