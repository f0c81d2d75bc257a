//! A desktop that is made of a text of its own: the containers are what that says, for as long as the
//! desktop is there, and what no file may say is refused in it as well.

use super::running;
use lattice_gateway::runtime::{Runtime, Spec};
use lattice_gateway::template;
use lattice_tests::containers::{Containers, docker};
use lattice_tests::desktops::spec;
use serde_json::Value;

const BASE: &str = "\
name: plain
services: { code: { image: lattice/terminal, command: [sleep, '600'], mem_limit: 128m } }
x-lattice:
  title: Plain
  apps: { code: { title: Code } }
  permissions: { code: { data: write } }
";

/// Less memory, no right to change files, and one app more.
const CHANGED: &str = "\
name: plain
services:
  code: { image: lattice/terminal, command: [sleep, '600'], mem_limit: 96m }
  more: { image: lattice/terminal, command: [sleep, '600'], stop_grace_period: 1s }
x-lattice:
  title: Plain
  apps: { code: { title: Code }, more: { title: More } }
  permissions: { code: { data: read } }
";

async fn start(runtime: &Runtime, spec: &Spec) {
    runtime.start(spec).await.expect("a start");
    running(runtime, &spec.session).await;
}

/// The memory of the app, and whether it may change its owner's files.
fn code(containers: &Containers, spec: &Spec) -> (Option<u64>, Option<bool>) {
    let found = containers.inspect(&spec.session, "app-code");
    let mounts = found["Mounts"].as_array().cloned().unwrap_or_default();
    let is_data =
        |mount: &&Value| mount["Destination"].as_str().is_some_and(|path| path.ends_with("/Data"));
    let writable = mounts.iter().find(is_data).and_then(|mount| mount["RW"].as_bool());
    (found["HostConfig"]["Memory"].as_u64(), writable)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_is_what_its_own_template_says_also_after_the_broker_restarts() {
    let mut containers = Containers::with_templates(&[BASE]);
    let runtime = containers.open();
    let plain = Spec { template: "plain".into(), ..spec(1) };
    start(&runtime, &plain).await;
    runtime.open(&plain.session, "code").await.expect("it opens");
    assert_eq!(code(&containers, &plain), (Some(128 << 20), Some(true)));
    assert_eq!(runtime.recipe(&plain.session).await.expect("asked"), None);
    runtime.stop(&plain.session).await.expect("a stop");

    let changed = Spec { text: Some(CHANGED.into()), ..plain.clone() };
    start(&runtime, &changed).await;
    containers.restart_broker();
    let runtime = containers.open();
    running(&runtime, &changed.session).await;
    for app in ["code", "more"] {
        runtime.open(&changed.session, app).await.expect("it opens");
    }
    assert_eq!(code(&containers, &changed), (Some(96 << 20), Some(false)));
    let text = runtime.recipe(&changed.session).await.expect("asked");
    assert_eq!(text.as_deref(), Some(CHANGED));
    let list = runtime.list().await.expect("a list");
    let found = list.iter().find(|found| found.session == changed.session).expect("it runs");
    assert_eq!(found.recipe, Some(template::digest(CHANGED)));
    runtime.stop(&changed.session).await.expect("a stop");

    // Back again.
    start(&runtime, &plain).await;
    runtime.open(&plain.session, "code").await.expect("it opens");
    assert_eq!(code(&containers, &plain), (Some(128 << 20), Some(true)));
    let error = runtime.open(&plain.session, "more").await.expect_err("no such app").to_string();
    assert!(error.contains("there is no app more"), "{error}");
    runtime.remove(&plain.session).await.expect("a removal");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_file_may_say_is_refused_by_the_broker_in_a_text_too() {
    let containers = Containers::with_templates(&[BASE]);
    let runtime = containers.open();
    let long = format!("{BASE}#{}\n", "x".repeat(64 << 10));
    let changed = |from: &str, to: &str| BASE.replace(from, to);
    for (text, parts) in [
        (changed("mem_limit: 128m", "privileged: true"), &["line 2", "privileged"][..]),
        (changed("mem_limit: 128m", "volumes: ['/:/host']"), &["line 2", "volumes"]),
        (changed("mem_limit: 128m", "user: '0'"), &["line 2", "user"]),
        (changed("mem_limit: 128m", "network_mode: host"), &["line 2", "network_mode"]),
        (changed("data: write", "data: everything"), &["line 6"]),
        (changed("lattice/terminal", "alpine:latest"), &["line 2", "by its digest"]),
        (changed("name: plain", "name: other"), &["named \"other\" and not \"plain\""]),
        (changed("name: plain", "name: ../../etc"), &["line 1"]),
        (long, &["at most 65536 bytes"]),
        (String::new(), &["not good"]),
    ] {
        let spec = Spec { template: "plain".into(), text: Some(text.as_str().into()), ..spec(1) };
        let error = runtime.start(&spec).await.expect_err("no such template").to_string();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
        assert_eq!(containers.of(&spec.session), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_there_and_that_nobody_chose_is_no_app_of_a_text_that_is_sent() {
    let containers = Containers::with_templates(&[BASE]);
    let runtime = containers.open();
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", "lattice/terminal"]);
    let pinned = format!("lattice.invalid/terminal@{id}");
    let text = BASE.replace("lattice/terminal", &format!("'{pinned}'"));
    let text = text.replace("title: Code }", "title: Code, opens: at-start }");
    let plain = Spec { template: "plain".into(), text: Some(text.into()), ..spec(1) };
    start(&runtime, &plain).await;
    let list = runtime.list().await.expect("a list");
    let seen = list.iter().find(|seen| seen.session == plain.session).expect("it runs");
    assert_eq!(seen.apps.len(), 1, "its owner is told: {:?}", seen.apps);
    let error = runtime.open(&plain.session, "code").await.expect_err("refused").to_string();
    for part in ["the app code", &pinned, "lattice catalogue add"] {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
    assert!(containers.of(&plain.session).iter().all(|name| !name.contains("app-code")));
    runtime.remove(&plain.session).await.expect("a removal");
}
