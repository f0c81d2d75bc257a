//! What desktops take, added up from proc(5): that of each process below a supervisor. Memory that
//! processes share counts for each of them, so it is rather too much than too little.

use super::place::Place;
use crate::broker::protocol::Usage;
use lattice_engine::session::SessionId;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// A look costs some 20 µs for each process of the machine.
const INTERVAL: Duration = Duration::from_secs(10);

/// What was measured last.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Measured>);

#[derive(Debug, Default)]
struct Measured {
    at: Option<Instant>,
    /// The processor time of each session then.
    cpu: HashMap<SessionId, Duration>,
    usage: HashMap<SessionId, Usage>,
}

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    parent: i32,
    /// In ticks.
    busy: u64,
    /// In pages.
    resident: u64,
}

impl Meter {
    /// What each session takes, looked at anew where that was long ago or there is a new one.
    pub(super) fn look(&self, places: &[(SessionId, Place)]) -> HashMap<SessionId, Usage> {
        let mut measured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = measured.at.is_some_and(|at| at.elapsed() < INTERVAL);
        let known = places.iter().all(|(session, _)| measured.usage.contains_key(session));
        let is_good = is_fresh && known;
        if !is_good && !places.is_empty() {
            measured.measure(places);
        }
        measured.usage.clone()
    }
}

impl Measured {
    fn measure(&mut self, places: &[(SessionId, Place)]) {
        let all = processes();
        let mut children = BTreeMap::<i32, Vec<i32>>::new();
        for (pid, process) in &all {
            children.entry(process.parent).or_default().push(*pid);
        }
        let (now, before) = (Instant::now(), std::mem::take(&mut self.cpu));
        let passed = self.at.map(|at| now.duration_since(at).as_secs_f64());
        self.usage.clear();
        for (session, place) in places {
            let Some((supervisor, _)) = place.supervisor() else { continue };
            let (mut busy, mut resident) = (0, 0);
            let mut open = vec![supervisor.pid.as_raw_pid()];
            while let Some(pid) = open.pop() {
                if let Some(process) = all.get(&pid) {
                    (busy, resident) = (busy + process.busy, resident + process.resident);
                }
                open.extend(children.get(&pid).into_iter().flatten());
            }
            let ticks = rustix::param::clock_ticks_per_second().max(1);
            let cpu = Duration::from_secs_f64(busy as f64 / ticks as f64);
            let share = before.get(session).zip(passed).and_then(|(before, passed)| {
                Some((cpu.checked_sub(*before)?.as_secs_f64() / passed * 100.0).round() as u32)
            });
            let started = fs::metadata(place.join("pid")).and_then(|data| data.modified()).ok();
            let since = started.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            self.cpu.insert(session.clone(), cpu);
            let usage = Usage {
                since: since.and_then(|since| i64::try_from(since.as_secs()).ok()),
                memory: Some(resident * rustix::param::page_size() as u64),
                cpu: share,
                parts: Vec::new(),
            };
            self.usage.insert(session.clone(), usage);
        }
        self.at = Some(now);
    }
}

/// All of this machine that can be seen.
fn processes() -> BTreeMap<i32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let read = |pid| Some((pid, parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?));
    pids.filter_map(read).collect()
}

/// Fields 4, 14, 15 and 24 of proc(5). The name before may hold blanks and brackets.
fn parse(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        busy: number(11)? + number(12)?,
        resident: number(21)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_whatever_a_program_is_called() {
        let line = "7 (a) b (c) S 3 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 99 1000 64 18";
        assert_eq!(parse(line), Some(Process { parent: 3, busy: 300, resident: 64 }));
        assert_eq!(parse("7 (short) S 3"), None);
        let own = processes();
        let own = own.get(&rustix::process::getpid().as_raw_pid()).expect("this process");
        assert!(own.resident > 0);
    }
}
