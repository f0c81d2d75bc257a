//! How long it takes from the click on a template to a desktop, and what desktops cost that nobody works
//! at: `cargo xtask bench start` runs it, against the container engine of this machine.
//!
//! "Picture" is when a viewer has a whole picture whose digest agrees, "panel" when XFCE's panel and its
//! background have windows. Desktops are clicked one after the other, but for the class, whose ten come
//! within two seconds.

mod neighbour;

use lattice_engine::session::SessionId;
use lattice_tests::containers::{display, docker, name, names, slots};
use lattice_tests::keylog::KeyLog;
use lattice_tests::people::Proof;
use lattice_tests::process::pss;
use lattice_tests::script::Script;
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::typing::p95;
use lattice_tests::viewer::View;
use lattice_tests::wait::{GENEROUS, until_some};
use lattice_tests::x;
use lattice_tests::{Viewer, ViewerOptions};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 10;
const CLASS: usize = 10;
/// So many slots are made while somebody types.
const REFILLED: usize = 6;
const CLASS_COMES_IN: Duration = Duration::from_secs(2);
/// So long an idle desktop is watched.
const WATCHED: Duration = Duration::from_secs(10);

fn main() {
    // `cargo test --benches` asks whether it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    // Only one of them: `cargo bench --bench start -- apps`.
    let parts: [(&str, fn()); 5] = [
        ("click", clicks),
        ("refill", refill),
        ("neighbour", neighbour::measure),
        ("cost", cost),
        ("apps", apps),
    ];
    let named = |name: &str| std::env::args().any(|argument| argument == name);
    let is_one = parts.iter().any(|(name, _)| named(name));
    for (_, part) in parts.iter().filter(|(name, _)| !is_one || named(name)) {
        part();
        println!();
    }
}

fn clicks() {
    println!("| click → | n | picture p50 | p95 | panel p50 | p95 |");
    println!("|---|---|---|---|---|---|");
    one_by_one("from nothing", 0);
    one_by_one("from the pool", 2);
    class();
}

fn serve(pool: usize) -> Serve {
    let env = vec![("LATTICE_BROKER__POOL", pool.to_string())];
    let args = vec!["--runtime", "docker"];
    Serve::start_with(ServeOptions { args, env, ..ServeOptions::default() })
}

/// One click: which session, and when picture and panel were there.
struct Started {
    session: SessionId,
    picture: Duration,
    panel: Duration,
    viewer: Viewer,
}

fn click(serve: &Serve, who: &Proof, template: &str) -> Started {
    let asked = Instant::now();
    let made = serve.grant(who, "POST", "/api/v1/sessions", &json!({ "template": template }));
    let session: SessionId = made["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let viewer = serve.viewer(who, &session);
    viewer.wait_picture();
    viewer.wait_digest();
    let picture = asked.elapsed();
    until_some("the panel", 3 * GENEROUS, || {
        // Questions cost the X server time, too.
        thread::sleep(Duration::from_millis(50));
        let shown = windows(serve, &session)?;
        ["Xfce4-panel", "Xfdesktop"].iter().all(|name| shown.contains(*name)).then_some(())
    });
    Started { session, picture, panel: asked.elapsed(), viewer }
}

fn place(serve: &Serve, session: &SessionId) -> PathBuf {
    serve.desktops().data().join("desktops").join(session.as_str())
}

/// The classes of all windows on a desktop.
fn windows(serve: &Serve, session: &SessionId) -> Option<BTreeSet<String>> {
    Some(x::window_classes(&display(&place(serve, session))?))
}

/// Whether there is a window on a desktop with this in its title.
fn is_titled(serve: &Serve, session: &SessionId, part: &str) -> bool {
    let titles = display(&place(serve, session)).map(|display| x::window_titles(&display));
    titles.is_some_and(|titles| titles.iter().any(|title| title.contains(part)))
}

fn one_by_one(what: &str, pool: usize) {
    let serve = serve(pool);
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        until_some("the pool", 3 * GENEROUS, || {
            (slots(serve.desktops().data()) >= pool).then_some(())
        });
        let started = click(&serve, &serve.admin(), "desktop");
        delete(&serve, &started.session);
        all.push((started.picture, started.panel));
    }
    row(what, &all);
}

fn class() {
    let serve = serve(2);
    let names: Vec<_> = (0..CLASS).map(|number| format!("student{number}")).collect();
    names.iter().for_each(|name| drop(serve.account(name, "member")));
    let (in_browser, by_packets) = names.split_last().expect("a class");
    let students: Vec<_> = by_packets.iter().map(|name| serve.sign_in(name)).collect();
    let mut browser = Script::start("student.mjs", &[&serve.origin(), in_browser]);
    until_some("the pool", 3 * GENEROUS, || (slots(serve.desktops().data()) >= 2).then_some(()));
    let all = Mutex::new(Vec::new());
    let began = Instant::now();
    let turn = |number: usize| CLASS_COMES_IN * number as u32 / CLASS as u32;
    let seen = thread::scope(|scope| {
        for (number, student) in students.iter().enumerate() {
            let (serve, all) = (&serve, &all);
            scope.spawn(move || {
                thread::sleep(turn(number));
                let started = click(serve, student, "desktop");
                let times = (started.picture, started.panel, began.elapsed());
                all.lock().expect("nobody panics").push(times);
            });
        }
        thread::sleep(turn(students.len()));
        (browser.say(""), began.elapsed())
    });
    let all = all.into_inner().expect("nobody panics");
    let pairs: Vec<_> = all.iter().map(|(picture, panel, _)| (*picture, *panel)).collect();
    row(&format!("{CLASS} within {CLASS_COMES_IN:?}"), &pairs);
    let last = all.iter().map(|(.., at)| *at).chain([seen.1]).max().unwrap_or_default();
    println!("\nThe last of {CLASS} students had a desktop {last:.1?} after the first clicked.");
    let seconds = |name: &str| seen.0[name].as_f64().expect("milliseconds") / 1e3;
    println!(
        "The one in a browser: exact after {:.1} s, with its panel after {:.1} s.",
        seconds("exact"),
        seconds("desktop")
    );
}

/// How long a key takes on a desktop while the pool is filled beside it.
fn refill() {
    println!("| typing | keys | p50 ms | p95 ms | longest ms |");
    println!("|---|---|---|---|---|");
    let serve = serve(REFILLED);
    let full = |serve: &Serve| slots(serve.desktops().data()) >= REFILLED;
    until_some("the pool", 3 * GENEROUS, || full(&serve).then_some(()));
    let started = click(&serve, &serve.admin(), "desktop");
    until_some("the pool", 3 * GENEROUS, || full(&serve).then_some(()));
    let viewer = started.viewer;
    viewer.wait("to drive", View::drives);
    let connect = || display(&place(&serve, &started.session)).expect("its display");
    let _keylog = KeyLog::open(connect(), connect());
    viewer.type_for(Duration::from_secs(2));
    typing("alone", &viewer.type_for(WATCHED));
    let own = format!("lattice-{}-", started.session);
    let all = names(serve.desktops().data());
    let pool: Vec<_> = all.iter().filter(|name| !name.starts_with(&own)).collect();
    let mut remove = vec!["rm", "--force"];
    remove.extend(pool.iter().map(|name| name.as_str()));
    docker(&remove);
    let (done, began) = (AtomicBool::new(false), Instant::now());
    let took = thread::scope(|scope| {
        scope.spawn(|| {
            until_some("the pool", 3 * GENEROUS, || full(&serve).then_some(()));
            done.store(true, Ordering::Release);
        });
        viewer.type_while(|| !done.load(Ordering::Acquire))
    });
    typing(&format!("while {REFILLED} slots are made in {:.1?}", began.elapsed()), &took);
}

fn typing(what: &str, took: &[Duration]) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {what} | {} | {:.1} | {:.1} | {:.1} |",
        took.len(),
        ms(took[took.len() / 2]),
        ms(p95(took)),
        ms(took[took.len() - 1])
    );
}

/// What idle and paused desktops take.
fn cost() {
    println!("| desktops | memory, MB each | of it shims | CPU, % of a core each | paused |");
    println!("|---|---|---|---|---|");
    let serve = serve(0);
    let mut sessions = Vec::new();
    for count in [1, 2, 5] {
        while sessions.len() < count {
            let name = format!("person{}", sessions.len());
            serve.account(&name, "member");
            let who = serve.sign_in(&name);
            let started = click(&serve, &who, "desktop");
            sessions.push((started.session, who));
        }
        thread::sleep(Duration::from_secs(5));
        let ids: Vec<_> = sessions.iter().flat_map(|(session, _)| ids(session)).collect();
        let (memory, shims) = memory(&ids);
        let busy = busy(&ids);
        for (session, who) in &sessions {
            serve.grant(who, "POST", &format!("/api/v1/sessions/{session}/pause"), &Value::Null);
        }
        until_some("all to be paused", GENEROUS, || {
            let idle = sessions.iter().all(|(session, who)| state(&serve, who, session) == "idle");
            idle.then_some(())
        });
        let paused = self::busy(&ids);
        for (session, who) in &sessions {
            serve.grant(who, "POST", &format!("/api/v1/sessions/{session}/start"), &Value::Null);
            until_some("it to run", GENEROUS, || {
                (state(&serve, who, session) == "running").then_some(())
            });
        }
        let each = |sum: f64| sum / count as f64;
        println!(
            "| {count} | {:.0} | {:.0} | {:.2} | {:.2} |",
            each((memory + shims) as f64 / 1e6),
            each(shims as f64 / 1e6),
            each(busy),
            each(paused)
        );
    }
}

/// How long the programs of templates take to open a window, where their images are here.
fn apps() {
    println!("| template | VS Code answers | its window | again, until it takes keys |");
    println!("|---|---|---|---|");
    for (template, image, project) in
        [("go", "vscode-golang", "go-project"), ("node-vue", "vscode-node-vue", "vue-project")]
    {
        let images = docker(&["images", "--format", "{{.Repository}}"]);
        let image = format!("lattice/{image}");
        if !images.lines().any(|line| line == image) {
            println!("| {template} | {image} is not here | | |");
            continue;
        }
        let serve = serve(2);
        let mut rows = Vec::new();
        for _ in 0..3 {
            until_some("the pool", 3 * GENEROUS, || {
                (slots(serve.desktops().data()) >= 2).then_some(())
            });
            let asked = Instant::now();
            let started = click(&serve, &serve.admin(), template);
            let code = name(&started.session, "app-code");
            let script = "exec 3<>/dev/tcp/127.0.0.1/20080 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 \
                          && head -c 12 <&3 | grep -q 'HTTP/1.1 [23]'";
            until_some("VS Code's page", 6 * GENEROUS, || {
                let mut ask = Command::new("docker");
                let answers = ask.args(["exec", &code, "bash", "-c", script]).output();
                answers.is_ok_and(|output| output.status.success()).then_some(())
            });
            let answers = asked.elapsed();
            until_some("VS Code's window", 6 * GENEROUS, || {
                windows(&serve, &started.session)?.contains("Code").then_some(())
            });
            let window = asked.elapsed();
            let session = started.session.clone();
            let home = format!("{template}.code");
            rows.push([answers, window, again(&serve, started, &home, project)]);
            delete(&serve, &session);
        }
        let median = |column: usize| {
            let mut all: Vec<_> = rows.iter().map(|row| row[column]).collect();
            all.sort();
            all[all.len() / 2]
        };
        println!("| {template} | {:.1?} | {:.1?} | {:.1?} |", median(0), median(1), median(2));
    }
}

/// VS Code, which is open, is closed and opened again, as warm as it gets: how long until what is typed
/// is in the file that it had open.
///
/// Who looks does so on a machine of their own, so nobody paints here.
fn again(serve: &Serve, started: Started, home: &str, project: &str) -> Duration {
    let (session, admin) = (&started.session, serve.admin());
    let width = started.viewer.view(|view| view.screen.picture.size().width);
    drop(started.viewer);
    let options = ViewerOptions { paints: false, h264: true, ..ViewerOptions::default() };
    let viewer = Viewer::try_open(serve.upgrade(&admin, session), serve.address(), options);
    let viewer = viewer.expect("it is there");
    viewer.wait("to drive", View::drives);
    let app = name(session, "app-code");
    until_some("its file", 6 * GENEROUS, || is_titled(serve, session, " - Code").then_some(()));
    // What it has open it remembers some seconds later.
    thread::sleep(WATCHED);
    // Its title tells what is not saved, where it does not save by itself.
    let settings = serve.desktops().data().join("homes/1/apps").join(home);
    let settings = settings.join(".local/share/lattice").join(project).join("User/settings.json");
    let text = fs::read_to_string(&settings).expect("it has settings");
    fs::write(&settings, text.replacen('{', r#"{ "files.autoSave": "off","#, 1)).expect("written");
    viewer.click(width - 14, 10);
    until_some("VS Code to end", 3 * GENEROUS, || {
        docker(&["ps", "--quiet", "--filter", &format!("name={app}")]).is_empty().then_some(())
    });
    let (path, body) = (format!("/api/v1/sessions/{session}/apps"), json!({ "app": "code" }));
    let asked = Instant::now();
    serve.grant(&admin, "POST", &path, &body);
    until_some("what is typed", 6 * GENEROUS, || {
        viewer.type_text("x");
        // To ask more often costs as much as VS Code itself.
        thread::sleep(Duration::from_millis(100));
        is_titled(serve, session, "\u{25cf}").then_some(())
    });
    asked.elapsed()
}

fn state(serve: &Serve, who: &Proof, session: &SessionId) -> String {
    let found = serve.grant(who, "GET", &format!("/api/v1/sessions/{session}"), &Value::Null);
    found["state"].as_str().unwrap_or_default().to_owned()
}

fn delete(serve: &Serve, session: &SessionId) {
    serve.grant(&serve.admin(), "DELETE", &format!("/api/v1/sessions/{session}"), &Value::Null);
    until_some("it to be gone", GENEROUS, || ids(session).is_empty().then_some(()));
}

fn ids(session: &SessionId) -> Vec<String> {
    let label = format!("label=io.lattice.session={session}");
    let ids = docker(&["ps", "--all", "--no-trunc", "--quiet", "--filter", &label]);
    ids.lines().map(str::to_owned).collect()
}

/// The memory of containers as the engine counts it, and that of the processes which hold them, in bytes.
fn memory(ids: &[String]) -> (u64, u64) {
    let mut command = vec!["stats", "--no-stream", "--format", "{{.MemUsage}}"];
    command.extend(ids.iter().map(String::as_str));
    let used = docker(&command)
        .lines()
        .map(|line| bytes(line.split(' ').next().unwrap_or_default()))
        .sum();
    let shims = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let is_ours =
            line.contains("containerd-shim") && ids.iter().any(|id| line.contains(id.as_str()));
        is_ours.then(|| pss(pid))
    });
    (used, shims.sum())
}

/// As the engine's command writes it: `12.5MiB`.
fn bytes(text: &str) -> u64 {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = match &text[end..] {
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => 1.0,
    };
    (text[..end].parse::<f64>().unwrap_or(0.0) * unit) as u64
}

/// How much of a core containers take, in percent.
fn busy(ids: &[String]) -> f64 {
    let total = || -> f64 { ids.iter().map(|id| cpu_seconds(id)).sum() };
    let (before, began) = (total(), Instant::now());
    thread::sleep(WATCHED);
    100.0 * (total() - before) / began.elapsed().as_secs_f64()
}

/// What a container has used, by whichever version of control groups there is.
fn cpu_seconds(id: &str) -> f64 {
    let first = fs::read_to_string(format!("/sys/fs/cgroup/cpuacct/docker/{id}/cpuacct.usage"));
    if let Some(nanos) = first.ok().and_then(|text| text.trim().parse::<f64>().ok()) {
        return nanos / 1e9;
    }
    let places = [format!("docker/{id}"), format!("system.slice/docker-{id}.scope")];
    let stat = places
        .iter()
        .find_map(|place| fs::read_to_string(format!("/sys/fs/cgroup/{place}/cpu.stat")).ok());
    let micros = stat.as_deref().and_then(|stat| stat.lines().next()?.strip_prefix("usage_usec "));
    micros.and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e6
}

fn row(what: &str, all: &[(Duration, Duration)]) {
    let nth = |pick: fn(&(Duration, Duration)) -> Duration, share: usize| {
        let mut sorted: Vec<_> = all.iter().map(pick).collect();
        sorted.sort();
        sorted[(sorted.len() * share / 100).min(sorted.len() - 1)]
    };
    let (picture, panel) =
        (|pair: &(Duration, Duration)| pair.0, |pair: &(Duration, Duration)| pair.1);
    println!(
        "| {what} | {} | {:.2?} | {:.2?} | {:.2?} | {:.2?} |",
        all.len(),
        nth(picture, 50),
        nth(picture, 95),
        nth(panel, 50),
        nth(panel, 95)
    );
}
