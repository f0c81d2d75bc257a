//! What containers say: read by the engine, bounded, and one reader never in the way of others.

use super::started;
use lattice_engine::session::SessionId;
use lattice_gateway::logs::{Line, Lines, MOST_AT_ONCE, PartName, Window};
use lattice_gateway::runtime::{Runtime, RuntimeError};
use lattice_tests::containers::Containers;
use lattice_tests::eventually;
use lattice_tests::wait::GENEROUS;
use std::fs;
use std::time::Duration;
use tokio::time::timeout;

const TALKATIVE: &str = "name: talkative
services:
  talker: { image: lattice/terminal, command: [/bin/bash, -c, 'printf \"one\\n\\033[31mtwo\\033[0m\\nthree\\n\"; exec sleep infinity'] }
x-lattice:
  title: Talkative
  apps: { talker: { title: Talker } }
";

fn part(name: &str) -> PartName {
    PartName::try_from(name.to_owned()).expect("a part")
}

async fn read(runtime: &Runtime, session: &SessionId, name: &str, tail: u32) -> Vec<String> {
    let window = Window { tail, follow: false };
    let mut lines = runtime.logs(session, &part(name), window).await.expect("a log");
    let mut all = Vec::new();
    while let Some(some) = timeout(GENEROUS, next(&mut lines)).await.expect("it ends") {
        all.extend(some.into_iter().map(|line| line.text));
    }
    all
}

async fn next(lines: &mut Lines) -> Option<Vec<Line>> {
    lines.next().await.expect("read")
}

async fn until(lines: &mut Lines, text: &str) {
    let found = async {
        while let Some(some) = next(lines).await {
            if some.iter().any(|line| line.text == text) {
                return true;
            }
        }
        false
    };
    assert!(timeout(GENEROUS, found).await.expect(text), "it ended without {text}");
}

/// The memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_is_read_and_followed_to_its_end() {
    let containers = Containers::with_templates(&[TALKATIVE]);
    let runtime = containers.open();
    let session = started(&runtime, 1, "talkative").await;
    runtime.open(&session, "talker").await.expect("it opens");
    eventually("the app to have said all", || {
        let said = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(read(&runtime, &session, "app:talker", 10))
        });
        said == ["one", "two", "three"]
    });
    assert_eq!(read(&runtime, &session, "app:talker", 1).await, ["three"]);
    for core in ["xorg", "dbus", "api", "desktop"] {
        read(&runtime, &session, core, 5000).await;
        let config = containers.inspect(&session, core)["HostConfig"]["LogConfig"].clone();
        assert_eq!(config["Type"], "json-file", "{core}");
        assert_eq!(config["Config"]["max-size"], "1m", "{core}");
    }
    for gone in ["app:nothing", "app:code", "proxy", "nothing"] {
        let refused = runtime.logs(&session, &part(gone), Window { tail: 1, follow: false }).await;
        assert!(matches!(refused, Err(RuntimeError::Refused(_))), "{gone}");
    }
    let other: SessionId = "abcdefghijklmnop".parse().expect("an id");
    assert!(runtime.logs(&other, &part("xorg"), Window { tail: 1, follow: true }).await.is_err());

    let window = Window { tail: 0, follow: true };
    let mut lines = runtime.logs(&session, &part("app:talker"), window).await.expect("a log");
    let say = "echo from within >/proc/1/fd/1";
    assert!(containers.inside(&session, "app-talker", say).status.success());
    until(&mut lines, "from within").await;
    runtime.close(&session, "talker").await.expect("it closes");
    let ended = async { while next(&mut lines).await.is_some() {} };
    timeout(GENEROUS, ended).await.expect("it ends with its part");
    runtime.remove(&session).await.expect("a removal");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_of_a_flood_holds_up_nobody_and_takes_no_memory() {
    let containers = Containers::with_templates(&[TALKATIVE]);
    let runtime = containers.open();
    let session = started(&runtime, 1, "talkative").await;
    runtime.open(&session, "talker").await.expect("it opens");
    let follow = Window { tail: 10, follow: true };
    let mut all = Vec::new();
    for _ in 0..MOST_AT_ONCE {
        all.push(runtime.logs(&session, &part("app:talker"), follow).await.expect("a log"));
    }
    let refused = runtime.logs(&session, &part("app:talker"), follow).await;
    assert!(matches!(refused, Err(RuntimeError::Unusable { .. })), "{refused:?}");
    let before = resident(containers.broker());
    let flood = "yes a line that is repeated without end | head -c 60000000 >/proc/1/fd/1";
    assert!(containers.inside(&session, "app-talker", flood).status.success());
    let grown = resident(containers.broker()).saturating_sub(before);
    println!("the broker grew by {grown} KiB over a flood that {MOST_AT_ONCE} readers do not read");
    assert!(grown < 48 << 10, "the broker grew by {grown} KiB");
    let listed = timeout(Duration::from_secs(10), runtime.list()).await.expect("it answers");
    assert_eq!(listed.expect("a list").len(), 1);
    drop(all);
    // Their places are free again once the broker has seen that they are gone.
    let begun = std::time::Instant::now();
    while runtime.logs(&session, &part("xorg"), follow).await.is_err() {
        assert!(begun.elapsed() < GENEROUS, "the places of those who are gone are free again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    runtime.remove(&session).await.expect("a removal");
}
