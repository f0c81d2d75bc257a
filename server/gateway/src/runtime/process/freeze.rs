//! A desktop stands still while its owner's Data is read: all of its programs are stopped as by a
//! terminal's Ctrl-Z, and go on as if nothing had been. Its agent is no program of it, and goes on
//! showing the last picture.
//!
//! INVARIANT: what stands still is noted in its run directory first. Whoever starts a gateway over it
//! lets it go on.

use super::watcher;
use crate::runtime::RuntimeError;
use crate::supervise::sandbox::{HOME, MARK};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The note: those that stood still of themselves, which are not to go on.
const NOTE: &str = "frozen";
/// How long it may take until nothing runs any more. What is in the kernel comes out of it first.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);

/// Returns when nothing of it runs any more.
pub(super) async fn freeze(place: &Path, session: &str) -> Result<(), RuntimeError> {
    let failed = |error| RuntimeError::step("freeze the desktop of", place)(error);
    let still: Vec<String> = programs(session)
        .into_iter()
        .filter(|pid| states(*pid).iter().all(|state| *state == 'T'))
        .map(|pid| pid.to_string())
        .collect();
    fs::write(place.join(NOTE), still.join(" ")).map_err(failed)?;
    let begun = Instant::now();
    loop {
        // One that was just started is found by the next look, and none starts one that stands still.
        let mut moving = programs(session);
        moving.retain(|pid| states(*pid).iter().any(|state| matches!(state, 'R' | 'S')));
        if moving.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(failed(io::Error::new(
                io::ErrorKind::TimedOut,
                "some of its programs do not stand still",
            )));
        }
        for pid in moving {
            signal(pid, Signal::STOP);
        }
        sleep(PAUSE).await;
    }
}

/// Lets it go on, where it stands still.
pub(super) fn thaw(place: &Path, session: &str) -> Result<(), RuntimeError> {
    let note = place.join(NOTE);
    let still = match fs::read_to_string(&note) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(RuntimeError::step("read", &note))?,
    };
    let still: BTreeSet<i32> = still.split(' ').filter_map(|pid| pid.parse().ok()).collect();
    // Children first: a shell that wakes up before they do would think that they were stopped.
    for pid in programs(session).into_iter().rev().filter(|pid| !still.contains(pid)) {
        signal(pid, Signal::CONT);
    }
    fs::remove_file(&note).map_err(RuntimeError::step("remove", &note))
}

/// All programs of a desktop, parents before their children: whatever descends from the first process
/// of the sandbox that has Data, which is ours and itself only waits. What a program is called or says of
/// itself does not matter.
fn programs(session: &str) -> Vec<i32> {
    let processes = watcher::processes();
    let mut children = BTreeMap::<i32, Vec<i32>>::new();
    for (pid, parent) in &processes {
        children.entry(*parent).or_default().push(*pid);
    }
    let mark = format!("{MARK}={session}");
    let is_first = |pid: &i32| is_first(*pid) && has_mark(*pid, &mark) && has_data(*pid);
    let mut found: Vec<i32> = processes.iter().map(|(pid, _)| *pid).filter(is_first).collect();
    let firsts = found.len();
    let mut next = 0;
    while next < found.len() {
        found.extend(children.get(&found[next]).into_iter().flatten());
        next += 1;
    }
    found.split_off(firsts)
}

/// Whether it is the first of a namespace of processes in ours; see proc(5).
fn is_first(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let numbers: Vec<_> = line.split_whitespace().collect();
    numbers.len() >= 2 && numbers.last() == Some(&"1")
}

fn has_mark(pid: i32, mark: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

fn has_data(pid: i32) -> bool {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(HOME))
}

/// How each thread of a process is: one whose first has ended may go on.
fn states(pid: i32) -> Vec<char> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let state = |stat: String| stat.rsplit_once(')')?.1.trim_start().chars().next();
    threads.filter_map(|it| state(fs::read_to_string(it.path().join("stat")).ok()?)).collect()
}

fn signal(pid: i32, signal: Signal) {
    // One that has ended needs none.
    let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, signal));
}
