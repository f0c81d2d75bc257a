//! What this machine has that desktops made of containers need. Each probe looks, and changes nothing.

use super::Finding;
use super::told::judge_room;
use crate::broker::look::{Look, look};
use crate::broker::protocol::Storage;
use crate::config::{Config, RuntimeChoice};
use crate::ground::templates_in;
use crate::runtime::{Docker, RuntimeError};
use crate::template;
use rustix::fs::statvfs;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// XFCE takes a dozen, VS Code and Chromium a few dozen more, and a desktop has a user of its own.
const ENOUGH_INOTIFY: u64 = 128;
const INOTIFY: &str = "/proc/sys/fs/inotify/max_user_instances";
const WHAT: &str = "engine";

/// What desktops can be made of, and the images of all apps.
pub(super) fn templates(config: &Config) -> (BTreeSet<String>, Finding) {
    let what = "templates";
    let found = templates_in(config).and_then(|directory| Ok(template::load_all(&directory)?));
    let (good, bad) = match found {
        Ok(found) => found,
        Err(error) => {
            let remedy = "install them from the release, or name them in desktops.templates";
            return (BTreeSet::new(), Finding::fault(what, format!("{error:#}"), remedy));
        }
    };
    let apps = good.iter().flat_map(|(template, _)| template.apps.values());
    let images = apps.map(|app| app.image.clone()).collect();
    let finding = match &bad[..] {
        [] => Finding::ok(what, format!("{}, all good", good.len())),
        bad => {
            let files: Vec<_> = bad.iter().map(|(file, _)| file.display().to_string()).collect();
            let text = format!("{} of {} are left out", bad.len(), good.len() + bad.len());
            let remedy = format!("lattice template check {}", files.join(" "));
            Finding::warning(what, text, remedy)
        }
    };
    (images, finding)
}

/// The engine and what is in it, by a broker or by its own socket.
pub(super) async fn containers(config: &Config, apps: &BTreeSet<String>) -> Vec<Finding> {
    let desktops = &config.desktops;
    if desktops.runtime == RuntimeChoice::Process {
        return vec![Finding::ok(WHAT, "not asked for: desktops are to be processes in sandboxes")];
    }
    if let Some(socket) = &desktops.broker {
        let found = Docker::open(socket.clone()).engine().await;
        let found = found.map(|engine| Look {
            version: engine.version,
            api: engine.api,
            missing: engine.missing,
            storage: engine.storage,
            has_network: true,
            ..Look::default()
        });
        return judge(found, true);
    }
    let is_needed = desktops.runtime == RuntimeChoice::Docker;
    if !desktops.engine.exists() {
        return vec![judge_absent(&desktops.engine, is_needed)];
    }
    if !rustix::process::geteuid().is_root() {
        return vec![degree(
            is_needed,
            "only root can give each desktop made of containers a user id of its own",
            "run lattice broker as root, and name its socket in desktops.broker",
        )];
    }
    let apps: Vec<_> = apps.iter().cloned().collect();
    judge(look(&desktops.engine, &apps, &config.data_dir).await, is_needed)
}

fn judge_absent(socket: &Path, is_needed: bool) -> Finding {
    degree(
        is_needed,
        format!("there is none at {}", socket.display()),
        "deploy/install-packages containers installs one, systemctl start docker starts it",
    )
}

/// Without containers there are sandboxes, unless containers were asked for.
fn degree(is_needed: bool, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
    match is_needed {
        true => Finding::fault(WHAT, text, remedy),
        false => {
            let text =
                format!("{}; desktops are processes in sandboxes, without apps", text.into());
            Finding::warning(WHAT, text, remedy)
        }
    }
}

fn judge(found: Result<Look, RuntimeError>, is_needed: bool) -> Vec<Finding> {
    let look = match found {
        Ok(look) => look,
        Err(RuntimeError::Unusable { what, remedy }) => {
            return vec![degree(is_needed, what, remedy)];
        }
        Err(error @ (RuntimeError::Step { .. } | RuntimeError::Refused(_))) => {
            let text = format!("{:#}", anyhow::Error::from(error));
            return vec![degree(is_needed, text, "see what its log says: journalctl -u docker")];
        }
    };
    let mut findings =
        vec![Finding::ok(WHAT, format!("Docker {} by API {}", look.version, look.api))];
    findings.push(match (&look.missing[..], is_needed) {
        ([], _) => Finding::ok("images", "all that every desktop needs"),
        (missing, _) => degree_of_images(missing, is_needed),
    });
    if !look.missing_apps.is_empty() {
        let names: Vec<_> = look.missing_apps.iter().map(|name| short(name)).collect();
        findings.push(Finding::warning(
            "apps",
            format!("there is no image {}, which apps need", look.missing_apps.join(", ")),
            format!("make images APPS=\"{}\"", names.join(" ")),
        ));
    }
    if !look.unlimited.is_empty() {
        findings.push(Finding::warning(
            "engine limits",
            format!("the engine cannot limit {}", look.unlimited.join(" and ")),
            "boot with the control groups of it: cgroup_enable=memory swapaccount=1",
        ));
    }
    findings.extend(room(&look.root));
    findings.extend(look.storage.map(judge_storage));
    if !look.has_network {
        findings.push(Finding::warning(
            "network",
            "containers have no bridge, or it leads nowhere: ports are not published, images not built",
            "install iptables, set sysctl net.ipv4.ip_forward=1, and restart the engine",
        ));
    }
    findings
}

fn degree_of_images(missing: &[String], is_needed: bool) -> Finding {
    let text = format!("missing: {}", missing.join(" "));
    match is_needed {
        true => Finding::fault("images", text, "make images"),
        false => {
            Finding::warning("images", format!("{text}; desktops are sandboxes"), "make images")
        }
    }
}

fn judge_storage(storage: Storage) -> Finding {
    let what = "people's files";
    let Storage { keeper, is_enforced, obstacle } = storage;
    match (is_enforced, obstacle) {
        (true, _) => Finding::ok(what, format!("{keeper}; nobody keeps more than the quota")),
        (false, None) => Finding::warning(
            what,
            format!("{keeper}: who keeps more than the quota is told of, and not stopped"),
            "put the data directory on btrfs, and the quota is enforced",
        ),
        (false, Some(obstacle)) => {
            let (why, remedy) = obstacle.split_once("; ").unwrap_or((&obstacle, "make images"));
            Finding::warning(what, format!("{keeper}, and no quota is enforced: {why}"), remedy)
        }
    }
}

fn short(image: &str) -> &str {
    image.strip_prefix("lattice/").unwrap_or(image)
}

/// Room where the engine keeps images and volumes.
fn room(root: &Path) -> Option<Finding> {
    let disk = statvfs(root).ok()?;
    Some(judge_room("engine's disk", root, true, disk.f_bavail.saturating_mul(disk.f_frsize)))
}

/// How many files and watches of them each user may have.
pub(super) fn bounds(connections: u16) -> Vec<Finding> {
    let instances = fs::read_to_string(INOTIFY).ok().and_then(|text| text.trim().parse().ok());
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    judge_bounds(instances, files, connections)
}

fn judge_bounds(instances: Option<u64>, files: Option<u64>, connections: u16) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(few) = instances.filter(|count| *count < ENOUGH_INOTIFY) {
        findings.push(Finding::warning(
            "inotify",
            format!("each user may watch files {few} times, which programs of one desktop use up"),
            format!("sysctl fs.inotify.max_user_instances={ENOUGH_INOTIFY}, or more"),
        ));
    }
    // A connection has one, and a desktop's link, its relay and the database take some.
    let enough = u64::from(connections) + 1024;
    if let Some(few) = files.filter(|count| *count < enough) {
        findings.push(Finding::warning(
            "files",
            format!("this process may have {few} open, too few for {connections} connections"),
            format!(
                "LimitNOFILE={enough} of its service or ulimit -n, or fewer server.max_connections"
            ),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("bounds", "enough open files and watches of files"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    fn good() -> Look {
        Look {
            version: "20.10.24".into(),
            api: "1.41".into(),
            has_network: true,
            ..Look::default()
        }
    }

    #[test]
    fn an_engine_that_is_not_there_matters_where_it_was_asked_for() {
        let socket = Path::new("/run/docker.sock");
        let words = ["there is none at /run/docker.sock", "systemctl start docker"];
        check(&judge_absent(socket, true), "fault", &words);
        check(&judge_absent(socket, false), "warning", &["in sandboxes", words[1]]);
        let old = || {
            let what = "the engine speaks only API 1.40".to_owned();
            Err(RuntimeError::Unusable { what, remedy: "install a newer engine".into() })
        };
        check(&judge(old(), true)[0], "fault", &["1.40; install a newer engine"]);
        check(&judge(old(), false)[0], "warning", &["1.40"]);
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_makes_it() {
        let findings = judge(Ok(good()), true);
        assert_eq!(findings.len(), 2);
        check(&findings[0], "ok", &["Docker 20.10.24 by API 1.41"]);
        check(&findings[1], "ok       images", &[]);
        let missing = vec!["lattice/xorg".to_owned(), "lattice/dbus".to_owned()];
        let missing_apps = vec!["lattice/chromium".to_owned(), "lattice/vscode-golang".to_owned()];
        let look = Look { missing, missing_apps, ..good() };
        let findings = judge(Ok(look.clone()), true);
        check(&findings[1], "fault", &["missing: lattice/xorg lattice/dbus; make images"]);
        check(&findings[2], "warning", &["make images APPS=\"chromium vscode-golang\""]);
        check(&judge(Ok(look), false)[1], "warning", &["make images"]);
    }

    #[test]
    fn limits_and_networks_that_an_engine_lacks_are_said() {
        let look = Look { unlimited: vec!["memory", "processes"], has_network: false, ..good() };
        let findings = judge(Ok(look), true);
        check(&findings[2], "warning", &["cannot limit memory and processes", "cgroup_enable"]);
        check(&findings[3], "warning  network", &["iptables", "ip_forward"]);
    }

    #[test]
    fn whether_a_quota_is_enforced_is_said_with_what_would_do() {
        let storage = |keeper: &str, is_enforced, obstacle: Option<&str>| Storage {
            keeper: keeper.into(),
            is_enforced,
            obstacle: obstacle.map(str::to_owned),
        };
        let of = |storage| {
            let look = Look { storage: Some(storage), ..good() };
            judge(Ok(look), true).pop().expect("it is last")
        };
        check(&of(storage("btrfs subvolumes", true, None)), "ok       people's files", &["quota"]);
        let plain = storage("plain directories", false, None);
        check(&of(plain), "warning", &["plain directories: who", "on btrfs"]);
        let lacking =
            storage("btrfs subvolumes", false, Some("the image x is not there; make images"));
        check(&of(lacking), "warning", &["enforced: the image x is not there; make images"]);
    }

    #[test]
    fn bounds_are_enough_or_the_remedy_is_said() {
        check(&judge_bounds(Some(128), Some(20_000), 4096)[0], "ok", &[]);
        check(&judge_bounds(None, None, 4096)[0], "ok", &[]);
        let findings = judge_bounds(Some(64), Some(1024), 4096);
        check(&findings[0], "warning", &["64 times", "max_user_instances=128"]);
        check(&findings[1], "warning", &["1024 open", "LimitNOFILE=5120"]);
    }
}
