//! What the kernel knows about a process: its children, time, memory, and signals to it.

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the binaries under test are: `LATTICE_BIN_DIR`, or next to the running test.
///
/// # Panics
/// With the remedy where the binary is missing.
pub fn binary(name: &str) -> PathBuf {
    let dir = match std::env::var_os("LATTICE_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => profile_dir(),
    };
    let path = dir.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace` first, or name the directory in \
         LATTICE_BIN_DIR",
        path.display()
    );
    path
}

/// `target/debug` or `target/release`: tests run from `deps` in it, tools from itself.
fn profile_dir() -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let dir = own.parent().expect("a program is in a directory");
    let in_deps = dir.file_name().is_some_and(|name| name == "deps");
    if in_deps { dir.parent().map(Path::to_owned).unwrap_or_default() } else { dir.to_owned() }
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository").to_owned()
}

/// Sends a signal; a process that is gone already is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _ = kill_process(pid, signal);
    }
}

/// Lets this process, and those that it starts from here on, have as many files open as they may.
///
/// # Panics
/// Where the system does not let it have what it may have.
pub fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the maximum is allowed");
}

/// Whether a process runs (one that ended and was not waited for does not).
pub fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] != "Z")
}

/// The processes that a process started and that still run.
pub fn children(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| {
        stat(pid).is_some_and(|fields| fields[0] != "Z" && fields[1] == parent.to_string())
    })
    .collect()
}

/// A process and all that descends from it.
pub fn family(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        found.extend(children(found[next]));
        next += 1;
    }
    found
}

/// The child of `parent` with this program name.
pub fn child_named(parent: u32, name: &str) -> Option<u32> {
    let has_name = |&pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
    };
    children(parent).into_iter().find(has_name)
}

/// The processor time that a process has used, in user and kernel mode.
pub fn cpu_time(pid: u32) -> Duration {
    let Some(fields) = stat(pid) else { return Duration::ZERO };
    // Fields 14 and 15 of proc(5), of which the first two (pid, comm) were cut off.
    let ticks: u64 = fields[11..13].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on every architecture that Linux's /proc shows to user space here.
    Duration::from_millis(ticks * 10)
}

/// The memory that only this process uses plus its share of what it shares, in bytes.
pub fn pss(pid: u32) -> u64 {
    kib_field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// The memory of a process that is in RAM, in bytes.
pub fn rss(pid: u32) -> u64 {
    kib_field(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// How many file descriptors a process has open.
pub fn open_files(pid: u32) -> usize {
    entries(&format!("/proc/{pid}/fd"))
}

/// How many threads a process has.
pub fn threads(pid: u32) -> usize {
    entries(&format!("/proc/{pid}/task"))
}

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

fn kib_field(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The fields of `/proc/PID/stat` after the name, which may hold blanks and brackets.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
