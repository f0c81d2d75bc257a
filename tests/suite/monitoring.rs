//! What operators watch: rules and dashboard speak of metrics that there are.

use lattice_tests::Viewer;
use lattice_tests::eventually;
use lattice_tests::process::repository;
use lattice_tests::serve::Serve;
use lattice_wire::Modifiers;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// Of what has not happened yet there is no series: a desktop that stood still, a link whose limit was met.
const OF_EVENTS: [&str; 2] = ["lattice_snapshot_frozen_seconds", "lattice_pace_bits_per_second"];

pub(crate) fn monitoring(file: &str) -> String {
    fs::read_to_string(repository().join("deploy/monitoring").join(file)).expect("it is there")
}

/// The metrics that a text speaks of, as they are called before a histogram is spread over its series.
pub(crate) fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_metric = |word: &&str| word.starts_with("lattice_") || word.starts_with("process_");
    words.filter(is_metric).map(|word| word.strip_suffix("_bucket").unwrap_or(word)).collect()
}

#[test]
fn rules_and_dashboard_speak_of_metrics_that_there_are() {
    let serve = Serve::start();
    let session = serve.try_create().expect("a session");
    let viewer: Viewer = serve.viewer(&serve.admin(), &session);
    viewer.wait_picture();
    viewer.wait("to drive", lattice_tests::viewer::View::drives);
    let (rules, dashboard) = (monitoring("alerts.yaml"), monitoring("dashboard.json"));
    // Of backups there are some once there was one; they are looked at there (`backup.rs`).
    let wanted: BTreeSet<_> = metrics_in(&rules)
        .into_iter()
        .chain(metrics_in(&dashboard))
        .filter(|name| !name.starts_with("lattice_backup_") || *name == "lattice_backup_configured")
        .collect();
    assert!(wanted.len() > 15, "{wanted:?}");
    let mut missing = BTreeSet::new();
    eventually("every metric to be there", || {
        viewer.stroke("KeyA", "a", Modifiers::default());
        let there = serve.metrics();
        let has = |name: &str| there.has(name) || there.has(&format!("{name}_bucket"));
        missing = wanted.iter().filter(|name| !has(name) && !OF_EVENTS.contains(name)).collect();
        if !missing.is_empty() {
            println!("missing: {missing:?}");
        }
        missing.is_empty()
    });
    // States that rules look for are states that there are.
    for state in ["queued", "failed", "running"] {
        let label = format!("state=\"{state}\"");
        assert_eq!(serve.metrics().series("lattice_sessions", &[&label]).count(), 1, "{state}");
    }
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard: Value = serde_json::from_str(&monitoring("dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut places = BTreeSet::new();
    for panel in panels {
        let place = |name: &str| panel["gridPos"][name].as_u64().expect("a number");
        assert!(place("x") + place("w") <= 24, "Grafana's grid has 24 columns: {panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(places.insert((x, y)), "two panels are at the same place: {panel}");
            }
        }
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty() && !panel["title"].as_str().expect("a title").is_empty());
    }
}

#[test]
fn rules_ring_when_something_is_wrong_and_are_silent_otherwise() {
    let directory = repository().join("deploy/monitoring");
    let promtool = |arguments: &[&str]| {
        Command::new("promtool").args(arguments).current_dir(&directory).output()
    };
    let Ok(tried) = promtool(&["test", "rules", "alerts.test.yaml"]) else {
        return println!(
            "the rules were not tried: promtool is not installed (package prometheus)"
        );
    };
    let said = |output: &[u8]| String::from_utf8_lossy(output).into_owned();
    assert!(tried.status.success(), "{}{}", said(&tried.stdout), said(&tried.stderr));
}
