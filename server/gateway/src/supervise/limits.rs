//! What a desktop may use: a control group of its own where groups are writable, and limits of its
//! processes in any case.

use crate::runtime::process::Limits;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

const GIB: u64 = 1 << 30;
/// Of one process. Chromium and editors that watch a tree need some thousand.
const MAX_FILES: u32 = 8192;
/// The length of a period of processor time, in microseconds.
const PERIOD_US: f64 = 100_000.0;
/// What the groups of one session are called, wherever they are.
const PREFIX: &str = "lattice-";

/// Three quarters of the machine's memory at most, but no more than 4 GiB, 1024 processes, and all
/// processors: desktops in groups of their own share them evenly.
pub(crate) fn defaults() -> Limits {
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let memory = memory.map_or(4 * GIB, |total| (total / 4 * 3).min(4 * GIB));
    Limits { memory, pids: 1024, cpus: None }
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The command that limits itself and becomes what follows. Each process can have so much data: a
/// group limits them together, this is all there is where there is no group.
pub(super) fn of_processes(limits: &Limits) -> Vec<OsString> {
    let options =
        [format!("--nproc={}", limits.pids), format!("--nofile={MAX_FILES}"), "--core=0".into()];
    let memory = format!("--data={}", limits.memory);
    ["prlimit".into()]
        .into_iter()
        .chain(options)
        .chain([memory, "--".into()])
        .map(Into::into)
        .collect()
}

/// The control groups of one session.
#[derive(Debug, Default)]
pub(super) struct Groups {
    directories: Vec<PathBuf>,
    /// What could not be limited, and why.
    pub(super) missing: Vec<String>,
}

impl Groups {
    /// Makes them below the group that this process is in.
    pub(super) fn create(session: &str, limits: &Limits) -> Self {
        let mut groups = Self::default();
        let parents = parents();
        for (controller, settings) in settings(limits) {
            let made = match parents.iter().find(|parent| parent.controls(controller)) {
                Some(parent) => parent.create(session, controller, &settings),
                None => Err("this machine has no such control group".into()),
            };
            match made {
                Ok(directory) if groups.directories.contains(&directory) => {}
                Ok(directory) => groups.directories.push(directory),
                Err(why) => groups.missing.push(format!("{controller}: {why}")),
            }
        }
        groups
    }

    /// The command that joins them and becomes what follows.
    pub(super) fn join(&self) -> Vec<OsString> {
        if self.directories.is_empty() {
            return Vec::new();
        }
        let script =
            r#"while [ "$1" != -- ]; do echo $$ >"$1" || exit; shift; done; shift; exec "$@""#;
        let mut command: Vec<OsString> = ["/bin/sh", "-c", script, "sh"].map(Into::into).into();
        command.extend(self.directories.iter().map(|dir| dir.join("cgroup.procs").into()));
        command.push("--".into());
        command
    }
}

/// Removes a session's groups, which are empty.
pub(crate) fn remove(session: &str) {
    for parent in parents() {
        let _ = fs::remove_dir(parent.directory.join(format!("{PREFIX}{session}")));
    }
}

/// What the desktops of a gateway started from here could not be limited by together. Nothing is
/// tried: only looked at.
pub(crate) fn out_of_reach() -> Vec<&'static str> {
    let parents = parents();
    let has_none = |controller: &&str| {
        !parents.iter().any(|parent| parent.controls(controller) && parent.is_ours(controller))
    };
    let wanted = settings(&defaults()).into_iter().filter(|(_, settings)| !settings.is_empty());
    wanted.map(|(controller, _)| controller).filter(has_none).collect()
}

/// The files to write for each controller, in version 1 and version 2 of the interface; see the
/// kernel's admin-guide/cgroup-v1 and cgroup-v2.
type Setting = (&'static str, &'static str, String, String);

fn settings(limits: &Limits) -> Vec<(&'static str, Vec<Setting>)> {
    let bytes = limits.memory.to_string();
    let memory = vec![("memory.limit_in_bytes", "memory.max", bytes.clone(), bytes)];
    let pids = vec![("pids.max", "pids.max", limits.pids.to_string(), limits.pids.to_string())];
    let quota = |cpus: f64| (cpus * PERIOD_US) as u64;
    let cpu = limits.cpus.map(|cpus| {
        let both = format!("{} {PERIOD_US}", quota(cpus));
        ("cpu.cfs_quota_us", "cpu.max", quota(cpus).to_string(), both)
    });
    vec![("memory", memory), ("pids", pids), ("cpu", cpu.into_iter().collect())]
}

/// A group that this process is in.
#[derive(Debug, PartialEq)]
struct Parent {
    directory: PathBuf,
    /// Those of version 1; version 2 says itself in a file.
    controllers: Option<Vec<String>>,
}

impl Parent {
    fn controls(&self, controller: &str) -> bool {
        match &self.controllers {
            Some(names) => names.iter().any(|name| name == controller),
            None => fs::read_to_string(self.directory.join("cgroup.controllers"))
                .is_ok_and(|names| names.split_whitespace().any(|name| name == controller)),
        }
    }

    /// Whether groups that are limited by that controller could be made in it.
    fn is_ours(&self, controller: &str) -> bool {
        let is_writable =
            accessat(CWD, &self.directory, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
        let read = |name| fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        let is_free = || {
            // The group of all, which may have processes and groups at once.
            let is_root_group = !self.directory.join("cgroup.type").exists();
            is_root_group || read_pids(&self.directory).iter().all(|pid| *pid == std::process::id())
        };
        let is_given =
            || read("cgroup.subtree_control").split_whitespace().any(|n| n == controller);
        is_writable && (self.controllers.is_some() || is_given() || is_free())
    }

    fn create(
        &self,
        session: &str,
        controller: &str,
        settings: &[Setting],
    ) -> Result<PathBuf, String> {
        if self.controllers.is_none() {
            self.delegate(controller)?;
        }
        let directory = self.directory.join(format!("{PREFIX}{session}"));
        if !directory.is_dir() {
            fs::create_dir(&directory).map_err(|error| error.to_string())?;
        }
        for (first, second, old, new) in settings {
            let (name, value) =
                if self.controllers.is_some() { (first, old) } else { (second, new) };
            fs::write(directory.join(name), value).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(directory)
    }

    /// Version 2 gives a controller to the groups below only where no process is in the group
    /// itself, so this one moves to a group of its own first.
    fn delegate(&self, controller: &str) -> Result<(), String> {
        let control = self.directory.join("cgroup.subtree_control");
        let enabled = fs::read_to_string(&control).unwrap_or_default();
        if enabled.split_whitespace().any(|name| name == controller) {
            return Ok(());
        }
        fs::write(&control, format!("+{controller}")).map_err(|error| {
            format!("{}: {error}; run lattice as a service with Delegate=yes", control.display())
        })
    }
}

/// The groups that this process is in and may make groups in.
fn parents() -> Vec<Parent> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let found = find_parents(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
    found.into_iter().map(Parent::above_own_leaf).collect()
}

impl Parent {
    /// A gateway in a delegated group of version 2 lives in its leaf `gateway`, and so do the
    /// supervisors that it starts; desktops go beside it.
    fn above_own_leaf(self) -> Self {
        match self.directory.parent() {
            Some(above) if self.directory.ends_with(LEAF) => {
                Self { directory: above.to_owned(), ..self }
            }
            Some(_) | None => self,
        }
    }
}

/// The leaf for the gateway itself.
const LEAF: &str = "gateway";

/// Moves this process into a leaf of its group, where groups are of version 2 and given to it, so
/// that its desktops can have groups beside it. Elsewhere nothing happens.
pub(crate) fn make_room() {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let own = find_parents(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
    let Some(own) = own.into_iter().find(|parent| parent.controllers.is_none()) else { return };
    let is_root_group = !own.directory.join("cgroup.type").exists();
    let is_alone = read_pids(&own.directory) == [std::process::id()];
    if is_root_group || !is_alone || own.directory.ends_with(LEAF) {
        return;
    }
    let leaf = own.directory.join(LEAF);
    // It is there already where desktops of an earlier gateway outlived it.
    let moved = fs::DirBuilder::new()
        .recursive(true)
        .create(&leaf)
        .and_then(|()| fs::write(leaf.join("cgroup.procs"), std::process::id().to_string()));
    if let Err(error) = moved {
        tracing::debug!(%error, group = %own.directory.display(), "the control group is not ours");
    }
}

fn read_pids(group: &Path) -> Vec<u32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Reads `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn find_parents(groups: &str, mounts: &str) -> Vec<Parent> {
    let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(names), Some(path)) = (fields.next(), fields.next()) else { continue };
        let names: Vec<String> = names.split(',').map(str::to_owned).collect();
        let is_second = names == [""];
        let is_its = |mount: &&Mount| match is_second {
            true => mount.kind == "cgroup2",
            false => {
                mount.kind == "cgroup" && mount.options.split(',').any(|name| names[0] == name)
            }
        };
        let Some(mount) = mounts.iter().find(is_its) else { continue };
        let below = Path::new(path).strip_prefix(mount.root).unwrap_or(Path::new(""));
        let directory = Path::new(mount.point).join(below.strip_prefix("/").unwrap_or(below));
        found.push(Parent { directory, controllers: (!is_second).then_some(names) });
    }
    found
}

/// A line of mountinfo, see proc(5).
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let mut after = after.split(' ');
        let (root, point) = (before.next()?, before.next()?);
        let kind = after.next()?;
        Some(Self { root, point, kind, options: after.nth(1)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_groups_are_found_in_either_version() {
        let mounts = "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      31 25 0:27 /box /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                      32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let groups = "4:memory:/api/x\n8:pids:/box/y\n9:name=systemd:/\n0::/user.slice\n";
        let found = find_parents(groups, mounts);
        let directories: Vec<_> = found.iter().map(|parent| parent.directory.to_owned()).collect();
        assert_eq!(
            directories,
            [
                PathBuf::from("/sys/fs/cgroup/memory/api/x"),
                PathBuf::from("/sys/fs/cgroup/pids/y"),
                PathBuf::from("/sys/fs/cgroup/unified/user.slice"),
            ]
        );
        assert!(found[0].controls("memory") && !found[0].controls("pids"));
    }

    #[test]
    fn what_a_desktop_may_use_is_written_as_the_kernel_wants_it() {
        let limits = Limits { memory: 1000, pids: 7, cpus: Some(1.5) };
        let dir = tempfile::tempdir().expect("a directory");
        for (controllers, name, value) in [
            (Some(vec!["cpu".to_owned()]), "cpu.cfs_quota_us", "150000"),
            (None, "cpu.max", "150000 100000"),
        ] {
            let parent = Parent { directory: dir.path().to_owned(), controllers };
            let all = settings(&limits);
            let (controller, cpu) = all.iter().find(|(name, _)| *name == "cpu").expect("there");
            let made = parent.create("s", controller, cpu).expect("writable");
            assert_eq!(fs::read_to_string(made.join(name)).expect("written"), value);
        }
    }

    #[test]
    fn what_cannot_be_limited_is_said() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let parent = Parent { directory: file.path().into(), controllers: Some(Vec::new()) };
        assert!(parent.create("s", "memory", &[]).is_err());
        assert_eq!(Groups::default().join(), Vec::<OsString>::new());
    }

    #[test]
    fn the_defaults_leave_the_machine_something() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
        assert!(defaults().memory <= 4 * GIB && defaults().memory > 0);
    }
}
