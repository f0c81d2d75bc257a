//! What `lattice` does in a real desktop, through its relay and a real server; and what programs there try
//! that they may not.

use lattice_engine::session::SessionId;
use lattice_tests::eventually;
use lattice_tests::people::Proof;
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::wait::GENEROUS;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// After this all that was asked too often is forgotten; the relay's own span is a second shorter.
const PACE: Duration = Duration::from_secs(11);

/// A desktop of the administrator's, asked as its own programs ask.
struct Scene {
    serve: Serve,
    session: SessionId,
}

impl Scene {
    fn start() -> Self {
        Self::with(ServeOptions::default())
    }

    fn with(options: ServeOptions) -> Self {
        let serve = Serve::start_with(options);
        let session = serve.desktop_of(&serve.admin());
        let scene = Self { serve, session };
        scene.wait_for_relay(&scene.session);
        scene
    }

    fn wait_for_relay(&self, session: &SessionId) {
        eventually("the relay to be linked", || {
            UnixStream::connect(self.socket(session)).is_ok()
                && self.raw(session, b"{\"status\":{}}\n").contains("true")
        });
    }

    /// The socket as it is outside; in the desktop it is another path.
    fn socket(&self, session: &SessionId) -> std::path::PathBuf {
        self.serve.desktops().run_dir(session).join("api/desktop.sock")
    }

    /// What comes back for these bytes.
    fn raw(&self, session: &SessionId, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket(session)).expect("it listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("set");
        let _ = stream.write_all(bytes);
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
        line
    }

    /// The same for one question about the desktop.
    fn about(&self, session: &SessionId, question: &Value) -> Value {
        let line = json!({ "desktop": question }).to_string() + "\n";
        serde_json::from_str(&self.raw(session, line.as_bytes())).expect("an answer")
    }

    /// How a command ends in the desktop, and what it says.
    fn lattice(&self, words: &str) -> (i32, String) {
        let output = self.serve.desktops().inside(&self.session, &format!("lattice {words}"));
        let said = [output.stdout, output.stderr].concat();
        let code = output.status.code().expect("it ends by itself");
        (code, String::from_utf8_lossy(&said).trim().to_owned())
    }

    fn does(&self, words: &str) -> String {
        let (code, said) = self.lattice(words);
        assert_eq!(code, 0, "lattice {words}: {said}");
        said
    }

    fn fails(&self, words: &str, status: i32) -> String {
        let (code, said) = self.lattice(words);
        assert_eq!(code, status, "lattice {words}: {said}");
        said
    }

    fn list(&self, what: &str) -> Vec<Value> {
        let path = format!("/api/v1/sessions/{}/{what}", self.session);
        let told = self.serve.grant(&self.serve.admin(), "GET", &path, &Value::Null);
        told[what].as_array().expect("a list").clone()
    }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("left out: only root can go into a desktop");
    }
    is_root
}

fn secret_in(said: &str) -> String {
    let url = said.lines().find(|line| line.contains("/s/")).expect("an address");
    url.rsplit('/').next().expect("a path").to_owned()
}

#[test]
fn a_desktop_says_how_it_is_from_inside() {
    if !is_root() {
        return;
    }
    let scene = Scene::start();
    let said = scene.does("status");
    for part in ["Desktop    ", "State      running", "Here       nobody", "see this desktop"] {
        assert!(said.contains(part), "{said}");
    }
    let viewer = scene.serve.viewer(&scene.serve.admin(), &scene.session);
    viewer.wait_picture();
    let told: Value = serde_json::from_str(&scene.does("status --json")).expect("JSON");
    let here = &told["lookers"][0];
    assert_eq!((&here["role"], &here["drives"]), (&json!("owner"), &json!(true)), "{told}");
    assert_eq!((&told["state"], &told["share"]), (&json!("running"), &json!("view")), "{told}");
    assert!(told["memory"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{told}");
    // What is kept is looked at as soon as there is somebody, and told the same everywhere.
    eventually("Data to be measured", || !scene.does("status").contains("Data       not known"));
    let told: Value = serde_json::from_str(&scene.does("status --json")).expect("JSON");
    let ask = |path: &str| scene.serve.grant(&scene.serve.admin(), "GET", path, &Value::Null);
    let seen = ask(&format!("/api/v1/sessions/{}", scene.session));
    let everybody = ask("/api/v1/machine/volumes");
    let kept = &everybody["people"][0]["storage"];
    assert_eq!(told["data"]["used"], seen["storage"]["data"]["used_bytes"], "{told} {seen}");
    assert_eq!(seen["storage"], *kept, "{everybody}");
    assert!(kept["home"]["used_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{everybody}");
    assert_eq!((&kept["data"]["limit_bytes"], &kept["enforced"]), (&Value::Null, &json!(false)));
    assert_eq!(everybody["keeper"], "plain directories");
    assert!(told["up_s"].as_u64().is_some_and(|seconds| seconds < 600), "{told}");
    // No secret of anybody's is in it.
    let text = told.to_string();
    assert!(!text.contains(scene.serve.token()) && !text.contains("token"), "{text}");
    assert!(scene.does("--help").contains("lattice snapshot"));
    assert!(scene.fails("statu", 2).contains("lattice --help"));
    assert!(scene.fails("open code", 1).contains("no apps"));
    scene.serve.assert_no_panics();
}

#[test]
fn a_snapshot_is_made_from_inside_and_found_on_the_page() {
    if !is_root() {
        return;
    }
    let scene = Scene::start();
    scene.serve.desktops().inside(&scene.session, "echo words >~/Data/essay.txt");
    let said = scene.does("snapshot before the talk");
    assert!(said.contains("“before the talk”") && said.contains("1 file"), "{said}");
    let kept = &scene.list("snapshots")[0];
    let seen = (&kept["name"], &kept["cause"], &kept["files"]);
    assert_eq!(seen, (&json!("before the talk"), &json!("desktop"), &json!(1)), "{kept}");
    assert!(scene.does("status").contains("“before the talk”"));
    // What it holds comes back as of any other, by the page and not from here.
    let id = kept["id"].as_str().expect("an id");
    let path = format!("/api/v1/sessions/{}/snapshots/{id}/restore", scene.session);
    scene.serve.desktops().inside(&scene.session, "rm ~/Data/essay.txt");
    scene.serve.grant(&scene.serve.admin(), "POST", &path, &json!({ "path": "" }));
    let output = scene.serve.desktops().inside(&scene.session, "cat ~/Data/essay.txt");
    assert_eq!(output.stdout, b"words\n");
    scene.serve.assert_no_panics();
}

#[test]
fn a_link_is_made_from_inside_listed_and_ended_on_either_side() {
    if !is_root() {
        return;
    }
    let scene = Scene::start();
    assert!(scene.does("share --list").contains("No link"));
    let said = scene.does("share --for 30m");
    let guest = scene.serve.redeem(&secret_in(&said));
    scene.serve.viewer(&guest, &scene.session).wait_picture();
    let link = &scene.list("links")[0];
    assert_eq!((&link["role"], &link["from_desktop"]), (&json!("view"), &json!(true)), "{link}");
    let listed = scene.does("share --list");
    assert!(listed.contains("view     ends in ") && listed.contains("opened once"), "{listed}");
    // On the page, as any other.
    let path =
        format!("/api/v1/sessions/{}/links/{}", scene.session, link["id"].as_str().unwrap_or(""));
    let owner = scene.serve.admin();
    scene.serve.grant(&owner, "DELETE", &path, &Value::Null);
    let looks = |who: &Proof| {
        let path = format!("/api/v1/sessions/{}", scene.session);
        scene.serve.ask(who, "GET", &path, &Value::Null).status
    };
    assert_eq!(looks(&guest), 404);
    // From inside, its own.
    let guest = scene.serve.redeem(&secret_in(&scene.does("share")));
    assert_eq!(looks(&guest), 200);
    let number: Value = serde_json::from_str(&scene.does("share --list --json")).expect("JSON");
    let number = number[0]["number"].as_i64().expect("a number");
    assert!(scene.does(&format!("share --revoke {number}")).contains("has ended"));
    assert_eq!(looks(&guest), 404);
    assert!(scene.fails(&format!("share --revoke {number}"), 1).contains("--list"));
    scene.serve.assert_no_panics();
}

#[test]
fn an_administrator_says_what_links_from_inside_give() {
    if !is_root() {
        return;
    }
    let with = |most: &str| {
        let env = vec![("LATTICE_DESKTOPS__LINKS_FROM_INSIDE", most.to_owned())];
        Scene::with(ServeOptions { env, ..ServeOptions::default() })
    };
    let scene = with("none");
    let refused = scene.fails("share", 1);
    let page = format!("/#desktop/{}", scene.session);
    assert!(refused.contains("on this server") && refused.contains(&page), "{refused}");
    assert!(scene.does("status").contains("no links from inside"));
    drop(scene);
    let scene = with("control");
    scene.does("share --right control");
    assert_eq!(scene.list("links")[0]["role"], "control");
}

/// Whatever a program says, it is said of its own desktop.
#[test]
fn programs_of_a_desktop_reach_no_other_and_take_no_more_than_their_share() {
    let scene = Scene::start();
    let Scene { serve, session: own, .. } = &scene;
    let owner = serve.admin();
    serve.account("ben", "member");
    let ben = serve.sign_in("ben");
    let other = serve.desktop_of(&ben);
    scene.wait_for_relay(&other);
    let view = json!({ "share": { "right": "view", "for_s": 3600 } });
    let of_ben = scene.about(&other, &view);
    let number = of_ben["desktop"]["link"]["link"]["number"].as_i64().expect("a link");
    let by_page = serve.link(own, "control", Value::Null);

    // Another's link by its number, and one of the owner's own that was made on the page.
    for link in [number, by_page.id.parse().expect("a number"), 0, -1, i64::MAX] {
        let told = scene.about(own, &json!({ "revoke": { "link": link } }));
        let reason = told["refused"]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("was made from inside this desktop"), "{link}: {told}");
    }
    let listed = scene.about(own, &json!({ "links": {} }));
    assert_eq!(listed["desktop"]["links"]["links"], json!([]), "{listed}");
    assert_eq!(scene.list("links").len(), 1);

    // What is no question is refused by name, whatever session it names.
    for (line, part) in [
        (json!({ "desktop": { "status": { "session": other.as_str() } } }).to_string(), "session"),
        (
            json!({ "session": other.as_str(), "desktop": { "status": {} } }).to_string(),
            "no request",
        ),
        (
            json!({ "desktop": { "restore": { "snapshot": "019ac0ffee0012345678" } } }).to_string(),
            "restore",
        ),
        (json!({ "desktop": { "delete": {} } }).to_string(), "delete"),
        (json!({ "desktop": { "share": { "right": "owner", "for_s": 60 } } }).to_string(), "owner"),
        (json!({ "desktop": { "snapshot": { "name": "a\u{1b}[2J" } } }).to_string(), "name"),
        (json!({ "desktop": { "snapshot": { "name": "a\nb" } } }).to_string(), "name"),
        (json!({ "desktop": { "snapshot": { "name": "x".repeat(81) } } }).to_string(), "name"),
        (json!({ "desktop": { "snapshot": { "name": "x".repeat(5000) } } }).to_string(), "4096"),
        ("{\"desktop\":".to_owned() + &"[".repeat(4000), "no request"),
    ] {
        let said = scene.raw(own, (line.clone() + "\n").as_bytes());
        assert!(said.contains("refused") && said.contains(part), "{line:.80}: {said}");
    }

    // What a link may be.
    for (right, for_s, part) in
        [("control", 60, "view at most"), ("view", 59, "1 minute"), ("view", 86_401, "24 hours")]
    {
        let told = scene.about(own, &json!({ "share": { "right": right, "for_s": for_s } }));
        assert!(
            told["refused"]["reason"].as_str().is_some_and(|said| said.contains(part)),
            "{told}"
        );
    }
    flood(&scene, &view);

    // None of it was felt by the other, or by the page.
    let path = format!("/api/v1/sessions/{other}");
    assert_eq!(serve.grant(&ben, "GET", &path, &Value::Null)["state"], "running");
    let path = format!("/api/v1/sessions/{other}/links");
    assert_eq!(
        serve.grant(&ben, "GET", &path, &Value::Null)["links"].as_array().map(Vec::len),
        Some(1)
    );
    let path = format!("/api/v1/sessions/{own}/snapshots");
    serve.grant(&owner, "POST", &path, &Value::Null);
    serve.assert_no_panics();
}

/// Hundreds of each, from one desktop, as fast as they are taken.
fn flood(scene: &Scene, view: &Value) {
    let refusals = |question: &Value, most: usize| {
        let mut made = 0;
        for _ in 0..150 {
            made += usize::from(scene.about(&scene.session, question).get("desktop").is_some());
        }
        assert!((1..=most).contains(&made), "{made} of {question} were done, and {most} may be");
    };
    refusals(view, 5);
    assert_eq!(scene.list("links").len(), 6, "five, and the one that was made on the page");
    // Those questions have used up what the relay lets through: its pace is the first to be met.
    let said = scene.about(&scene.session, &json!({ "status": {} }));
    assert!(said["refused"]["reason"].as_str().is_some_and(|said| said.contains("wait")), "{said}");
    // All of them: one that is heard again may be the only one so far.
    std::thread::sleep(PACE);
    refusals(&json!({ "snapshot": {} }), 6);
    let kept = scene.list("snapshots");
    let from_inside = kept.iter().filter(|one| one["cause"] == "desktop").count();
    assert!((1..=6).contains(&from_inside), "{kept:?}");
}

#[test]
fn a_desktop_is_heard_again_after_a_restart_and_its_relay_after_it_was_killed() {
    let mut scene = Scene::start();
    scene.serve.terminate();
    scene.serve.restart();
    scene.wait_for_relay(&scene.session);
    let relay = scene.serve.desktops().process(&scene.session, "lattice-session");
    lattice_tests::process::signal(relay.expect("it runs"), rustix::process::Signal::KILL);
    scene.wait_for_relay(&scene.session);
    let told = scene.about(&scene.session, &json!({ "status": {} }));
    assert_eq!(told["desktop"]["status"]["state"], "running", "{told}");
    let path = format!("/api/v1/sessions/{}/stop", scene.session);
    scene.serve.grant(&scene.serve.admin(), "POST", &path, &Value::Null);
    eventually("it to stop", || scene.serve.sessions()[&scene.session].0 == "stopped");
    assert!(scene.serve.desktops().processes(&scene.session).is_empty(), "nothing is left");
    let log = std::fs::read_to_string(scene.serve.desktops().run_dir(&scene.session).join("log"));
    assert!(!log.expect("a log").contains("api does not end"), "it ends when it is asked to");
}
