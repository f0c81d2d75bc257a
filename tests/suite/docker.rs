//! `lattice serve` with desktops made of containers: started from the pool and from nothing, found again
//! after whatever was killed, and never left behind.

use lattice_engine::session::SessionId;
use lattice_tests::containers::{docker, name, names, slots};
use lattice_tests::engine::Engine;
use lattice_tests::process::{children, repository, signal};
use lattice_tests::scene::Random;
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::viewer::View;
use lattice_tests::wait::{GENEROUS, until_some};
use lattice_tests::xserver::TempDir;
use lattice_tests::{Viewer, eventually, patience};
use lattice_wire::Availability;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// What every desktop consists of.
const ROLES: [&str; 4] = ["api", "dbus", "desktop", "xorg"];

fn serve(pool: usize) -> Serve {
    serve_on(pool, Vec::new())
}

fn serve_on(pool: usize, mut env: Vec<(&'static str, String)>) -> Serve {
    env.push(("LATTICE_BROKER__POOL", pool.to_string()));
    let args = vec!["--runtime", "docker"];
    Serve::start_with(ServeOptions { args, env, ..ServeOptions::default() })
}

/// Asks for a desktop, and how long it takes until a viewer has a whole picture of it.
fn click(serve: &Serve) -> (SessionId, Viewer, Duration) {
    let asked = Instant::now();
    let session = serve.try_create().expect("a session");
    let viewer = serve.viewer(&serve.admin(), &session);
    viewer.wait_picture();
    (session, viewer, asked.elapsed())
}

/// The containers of one session: their roles, and the engine's ids.
fn containers(session: &SessionId) -> BTreeSet<(String, String)> {
    let label = format!("label=io.lattice.session={session}");
    let format = "{{.Label \"io.lattice.role\"}} {{.ID}}";
    let lines = docker(&["ps", "--filter", &label, "--format", format]);
    let pair = |line: &str| line.split_once(' ').map(|(role, id)| (role.into(), id.into()));
    lines.lines().filter_map(pair).collect()
}

fn roles(session: &SessionId) -> Vec<String> {
    containers(session).into_iter().map(|(role, _)| role).collect()
}

fn ready(serve: &Serve) -> usize {
    slots(serve.desktops().data())
}

fn broker(serve: &Serve) -> u32 {
    until_some("the broker", GENEROUS, || {
        children(serve.pid()).into_iter().find(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.split(|byte| *byte == 0).nth(1) == Some(b"broker"))
        })
    })
}

fn delete(serve: &Serve, session: &SessionId) {
    let path = format!("/api/v1/sessions/{session}");
    let answer = serve.try_ask("DELETE", &path, &Value::Null).expect("it answers");
    assert!(answer.status < 300, "{answer:?}");
}

#[test]
fn a_desktop_is_shown_at_once_from_the_pool_and_soon_from_nothing() {
    let cold = serve(0);
    let (session, viewer, took) = click(&cold);
    println!("from nothing: a picture {took:.2?} after the click");
    assert!(took < patience(Duration::from_secs(6)), "it took {took:?}");
    eventually("all parts", || roles(&session) == ROLES);
    drop(viewer);
    drop(cold);

    let serve = serve(1);
    eventually("a slot", || ready(&serve) == 1);
    let (session, viewer, took) = click(&serve);
    println!("from the pool: a picture {took:.2?} after the click");
    assert!(serve.log().contains("is_ready=true"), "the slot was used: {}", serve.log());
    assert!(took < patience(Duration::from_secs(2)), "it took {took:?}");
    eventually("all parts", || roles(&session) == ROLES);
    // Its programs are another user's than the bus, which was there before them.
    let owner = "dbus-send --session --print-reply --dest=org.freedesktop.DBus / \
                 org.freedesktop.DBus.NameHasOwner string:org.xfce.Panel";
    eventually("the panel on the session bus", || {
        docker(&["exec", &name(&session, "desktop"), "sh", "-c", owner]).contains("true")
    });
    eventually("the pool to be filled again", || ready(&serve) == 1);
    until_some("administrators to be told of it", GENEROUS * 2, || {
        (serve.metric("lattice_pool", &["of=\"ready\""]) >= 1.0).then_some(())
    });
    delete(&serve, &session);
    viewer.wait_closed();
    eventually("nothing of it to be left", || containers(&session).is_empty());
}

/// As in sandboxes, see `inside.rs`; here the socket leads through containers.
#[test]
fn programs_of_a_desktop_ask_about_it_and_have_links_and_snapshots_made() {
    let serve = serve(0);
    let (session, _viewer, _) = click(&serve);
    eventually("all parts", || roles(&session) == ROLES);
    let desktop = name(&session, "desktop");
    let lattice = |words: &str| {
        let script = format!("lattice {words} 2>&1 || echo \"ended with $?\"");
        docker(&["exec", &desktop, "sh", "-c", &script])
    };
    eventually("its programs to be heard", || lattice("status").contains("State      running"));
    let status: Value = serde_json::from_str(&lattice("status --json")).expect("JSON");
    assert_eq!(status["lookers"][0]["role"], "owner", "{status}");
    assert!(lattice("snapshot before the talk").contains("“before the talk”"));
    let path = format!("/api/v1/sessions/{session}/snapshots");
    let kept = serve.grant(&serve.admin(), "GET", &path, &Value::Null);
    let newest = &kept["snapshots"][0];
    assert_eq!((&newest["name"], &newest["cause"]), (&json!("before the talk"), &json!("desktop")));
    let said = lattice("share --for 10m");
    let secret = said.lines().find_map(|line| Some(line.split_once("/s/")?.1)).expect("a link");
    serve.viewer(&serve.redeem(secret), &session).wait_picture();
    assert!(lattice("share --right control").contains("view at most"));
    assert!(lattice("manage").contains(&format!("/#desktop/{session}")));
    assert!(lattice("restore all").contains("ended with 2"));
    // The way to the gateway is the relay's alone.
    assert_eq!(
        docker(&[
            "exec",
            &desktop,
            "sh",
            "-c",
            "ls /run/lattice/api; ls /run/lattice/gate 2>/dev/null; true"
        ]),
        "desktop.sock"
    );
}

/// Two apps of the same image, one of which may ask.
const ASKING: &str = "name: asking
services:
  asker: { image: lattice/terminal, command: [sleep, infinity] }
  other: { image: lattice/terminal, command: [sleep, infinity] }
x-lattice:
  title: Asking
  apps:
    asker: { title: Asker, opens: at-start }
    other: { title: Other, opens: at-start }
  permissions:
    asker: { manager: true }
    other: { display: true, clipboard: true, dbus: [org.example.*], data: write, ports: [8000] }
";

#[test]
fn an_app_asks_about_its_desktop_where_it_is_granted_that_and_only_there() {
    let dir = TempDir::new("templates");
    let own = repository().join("containers/templates");
    for (name, text) in [
        ("asking.yaml", ASKING.to_owned()),
        ("desktop.yaml", fs::read_to_string(own.join("desktop.yaml")).expect("there")),
    ] {
        fs::write(dir.path().join(name), text).expect("written");
    }
    let templates = dir.path().to_string_lossy().into_owned();
    let serve = serve_on(0, vec![("LATTICE_DESKTOPS__TEMPLATES", templates)]);
    let body = json!({ "template": "asking" });
    let made = serve.grant(&serve.admin(), "POST", "/api/v1/sessions", &body);
    let session: SessionId = made["id"].as_str().expect("an id").parse().expect("an id");
    let inside = |part: &str, script: &str| {
        let script = format!("( {script} ) 2>&1 || echo \"ended with $?\"");
        docker(&["exec", &name(&session, part), "sh", "-c", &script])
    };
    eventually("both apps", || roles(&session).iter().filter(|role| *role == "app").count() == 2);
    eventually("the app to be heard", || {
        inside("app-asker", "lattice status").contains("State      running")
    });
    assert!(inside("app-asker", "lattice snapshot by an app").contains("“by an app”"));
    let path = format!("/api/v1/sessions/{session}/snapshots");
    let kept = serve.grant(&serve.admin(), "GET", &path, &Value::Null);
    assert_eq!(kept["snapshots"][0]["name"], "by an app", "{kept}");
    // It has the way in and no other: neither the gateway's, nor that of making one.
    assert_eq!(inside("app-asker", "ls /run/lattice/api"), "desktop.sock");
    assert!(inside("app-asker", "ls /run/lattice/gate").contains("ended with"));
    let made = inside("app-asker", "rm -f /run/lattice/api/desktop.sock || echo kept");
    assert!(made.contains("kept"), "{made}");
    // The other has the command, and is told who could let it.
    let said = inside("app-other", "lattice status");
    for word in ["may not ask", "manager: true", "ended with 1"] {
        assert!(said.contains(word), "{said}");
    }
    assert!(inside("app-other", "ls /run/lattice/api").contains("ended with"));
    serve.assert_no_panics();
}

#[test]
fn what_is_killed_beside_a_desktop_does_not_end_it() {
    let mut serve = serve(0);
    let (session, viewer, _) = click(&serve);
    eventually("all parts", || roles(&session) == ROLES);
    let before = containers(&session);

    // The viewer notices nothing of the broker.
    let first = broker(&serve);
    signal(first, Signal::KILL);
    let again =
        until_some("another broker", GENEROUS, || Some(broker(&serve)).filter(|pid| *pid != first));
    eventually("it to be ready", || {
        serve.try_ask("GET", "/readyz", &Value::Null).is_ok_and(|answer| answer.status == 200)
    });
    assert_ne!(first, again);
    viewer.assert_no_faults();
    assert_eq!(containers(&session), before);
    drop(viewer);

    signal(serve.pid(), Signal::KILL);
    let killed = Instant::now();
    serve.restart();
    let viewer = serve.viewer(&serve.admin(), &session);
    viewer.wait_picture();
    let took = killed.elapsed();
    println!("a picture {took:.2?} after the gateway was killed");
    assert_eq!(containers(&session), before, "the desktop is the same");
    assert!(took < patience(Duration::from_secs(5)), "it took {took:?}");

    // Its display cannot be done without: the desktop is made anew.
    let killed = Instant::now();
    docker(&["kill", &name(&session, "xorg")]);
    viewer.wait("to be told", is_away);
    let told = killed.elapsed();
    viewer.wait_for("the desktop to be back", patience(Duration::from_secs(10)), |view| {
        !is_away(view)
    });
    println!("X killed: told after {told:.2?}, back after {:.2?}", killed.elapsed());
    eventually("all parts", || roles(&session) == ROLES);
    delete(&serve, &session);
    eventually("nothing of it to be left", || containers(&session).is_empty());
}

fn is_away(view: &View) -> bool {
    view.display.as_ref().is_some_and(|display| display.state != Availability::Live)
}

#[test]
fn an_engine_that_stops_and_starts_is_survived() {
    let images = ["lattice/base", "lattice/xorg", "lattice/dbus", "lattice/api", "lattice/desktop"];
    let mut engine = Engine::with_images(&images);
    let socket = engine.socket().to_string_lossy().into_owned();
    let serve = serve_on(0, vec![("LATTICE_DESKTOPS__ENGINE", socket)]);
    let (session, viewer, _) = click(&serve);
    let ready = || serve.try_ask("GET", "/readyz", &Value::Null).expect("it answers").status;
    eventually("it to be ready", || ready() == 200);

    engine.stop();
    eventually("it to say that it is not ready", || ready() == 503);
    let health = serve.try_ask("GET", "/healthz", &Value::Null).expect("it answers");
    assert_eq!(health.status, 200);
    let refused = serve.try_ask("POST", "/api/v1/sessions", &json!({"template": "desktop"}));
    assert_eq!(refused.expect("it answers").status, 503);
    thread::sleep(Duration::from_secs(5));

    engine.start();
    let started = Instant::now();
    eventually("it to be ready", || ready() == 200);
    viewer.wait_for("the desktop to be back", patience(Duration::from_secs(20)), |view| {
        !is_away(view)
    });
    println!("a picture {:.2?} after the engine was back", started.elapsed());
    delete(&serve, &session);
}

#[test]
fn a_server_that_is_to_end_its_desktops_ends_what_it_keeps_ready_as_well() {
    let env = vec![("LATTICE_BROKER__POOL", "1".to_owned())];
    let args = vec!["--runtime", "docker", "--end-desktops"];
    let mut serve = Serve::start_with(ServeOptions { args, env, ..ServeOptions::default() });
    eventually("a slot", || ready(&serve) == 1);
    let (session, viewer, _) = click(&serve);
    eventually("all parts", || roles(&session) == ROLES);
    eventually("the pool to be filled again", || ready(&serve) == 1);
    drop(viewer);
    assert!(serve.terminate().success());
    assert_eq!(names(serve.desktops().data()), Vec::<String>::new());
}

/// Whatever is killed in the middle of whatever: in the end there is what is wanted, and nothing else.
#[test]
fn kills_in_the_middle_of_starts_and_ends_leave_nothing_behind() {
    const KILLS: u32 = 20;
    let mut serve = serve(1);
    let mut random = Random(7);
    let mut sessions = BTreeSet::new();
    for kill in 0..KILLS {
        if sessions.len() < 2 {
            sessions.extend(serve.try_create().ok());
        } else if let Some(session) = sessions.pop_first() {
            // Whether it was told in time or not, it is to be gone.
            let path = format!("/api/v1/sessions/{session}");
            let _ = serve.try_ask("DELETE", &path, &Value::Null);
        }
        thread::sleep(Duration::from_millis(u64::from(random.below(1200))));
        match kill % 4 {
            0 => {
                signal(serve.pid(), Signal::KILL);
                serve.restart();
            }
            _ => signal(broker(&serve), Signal::KILL),
        }
    }
    let wanted: Vec<_> = serve.sessions().into_keys().collect();
    eventually("all that is wanted to run", || {
        wanted.iter().all(|session| roles(session) == ROLES)
    });
    for session in &wanted {
        delete(&serve, session);
    }
    let data = serve.desktops().data().to_owned();
    let deadline = Instant::now() + 3 * GENEROUS;
    loop {
        let left: BTreeSet<_> = names(&data).into_iter().collect();
        // A desktop's directory goes after its containers.
        let rooms = fs::read_dir(data.join("desktops")).expect("there").flatten();
        let rooms = rooms.filter(|entry| entry.file_name().to_string_lossy().len() == 16).count();
        if left.len() == 3 && ready(&serve) == 1 && rooms == 1 {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "only the slot was to be left, and there are {left:?} and {rooms} directories"
        );
        thread::sleep(Duration::from_millis(200));
    }
    serve.assert_no_panics();
}
