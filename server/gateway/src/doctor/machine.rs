//! What this machine has that desktops are made of. Each probe looks, and changes nothing.

use super::{Finding, said, unusable};
use crate::agent;
use crate::runtime::process::{find_relay, probe};
use crate::supervise::limits;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

const AGENT_PATIENCE: Duration = Duration::from_secs(5);
/// Where programs are looked for in a desktop, see `supervise::sandbox`.
const DESKTOP_PATH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
/// Where distributions keep modules of Xorg.
const XORG_MODULES: [&str; 3] =
    ["/usr/lib/xorg/modules", "/usr/lib64/xorg/modules", "/usr/lib/x86_64-linux-gnu/xorg/modules"];

/// A program of the desktop, and the package that Debian has it in.
type Part = (&'static str, &'static str);
/// Without one of these there is no desktop.
const NEEDED: [Part; 8] = [
    ("dbus-daemon", "dbus-daemon"),
    ("dbus-send", "dbus-bin"),
    ("xfconf-query", "xfconf"),
    ("xfsettingsd", "xfce4-settings"),
    ("xfwm4", "xfwm4"),
    ("xfdesktop", "xfdesktop4"),
    ("xfce4-panel", "xfce4-panel"),
    ("xkbcomp", "x11-xkb-utils"),
];
/// Without these there is less to do on it.
const WANTED: [Part; 3] =
    [("xfce4-terminal", "xfce4-terminal"), ("thunar", "thunar"), ("mousepad", "mousepad")];

/// Whether sandboxes can be made.
pub(super) async fn sandboxes() -> Finding {
    match probe::walls().await {
        Ok(bwrap) => Finding::ok("sandboxes", format!("{} makes them", bwrap.display())),
        Err(error) => unusable("sandboxes", error),
    }
}

/// The X server.
pub(super) fn display() -> Finding {
    let has_driver =
        XORG_MODULES.iter().any(|dir| Path::new(dir).join("drivers/dummy_drv.so").is_file());
    let has_fallback = probe::on_path("Xvfb").is_some();
    judge_display(probe::display_server(), has_driver, has_fallback)
}

fn judge_display(server: Option<PathBuf>, has_driver: bool, has_fallback: bool) -> Finding {
    let what = "display";
    let remedy = "apt-get install xserver-xorg-core xserver-xorg-video-dummy";
    let server = server.filter(|path| !path.ends_with("Xvfb"));
    match (server, has_driver, has_fallback) {
        (Some(server), true, _) => {
            Finding::ok(what, format!("{} with the dummy driver", server.display()))
        }
        (Some(_) | None, _, true) => {
            let text = "Xvfb only, whose screens cannot grow beyond their first size";
            Finding::warning(what, text, remedy)
        }
        (Some(server), false, false) => {
            Finding::fault(what, format!("{} has no dummy driver", server.display()), remedy)
        }
        (None, _, false) => Finding::fault(what, "there is neither Xorg nor Xvfb", remedy),
    }
}

/// The parts of the desktop itself.
pub(super) fn desktop() -> Vec<Finding> {
    let dirs: Vec<PathBuf> = DESKTOP_PATH.iter().map(PathBuf::from).collect();
    judge_parts(&lacking(&NEEDED, &dirs), &lacking(&WANTED, &dirs))
}

fn lacking(parts: &[Part], dirs: &[PathBuf]) -> Vec<Part> {
    let is_there = |(program, _): &Part| dirs.iter().any(|dir| dir.join(program).is_file());
    parts.iter().filter(|part| !is_there(part)).copied().collect()
}

fn judge_parts(needed: &[Part], wanted: &[Part]) -> Vec<Finding> {
    let column = |parts: &[Part], of: fn(&Part) -> &'static str| {
        parts.iter().map(of).collect::<Vec<_>>().join(" ")
    };
    let text = |parts: &[Part]| format!("missing: {}", column(parts, |part| part.0));
    let remedy = |parts: &[Part]| format!("apt-get install {}", column(parts, |part| part.1));
    let mut findings = vec![match needed.is_empty() {
        true => Finding::ok("desktop", "all parts of XFCE that it needs"),
        false => Finding::fault("desktop", text(needed), remedy(needed)),
    }];
    if !wanted.is_empty() {
        findings.push(Finding::warning("programs", text(wanted), remedy(wanted)));
    }
    findings
}

/// What is installed beside the program: the desktop's own files.
pub(super) fn files() -> Finding {
    let what = "files";
    let found = match probe::find_containers() {
        Ok(found) => found,
        Err(error) => return said(what, &format!("{error:#}")),
    };
    match probe::reachable(&found.join("desktop/display")) {
        Ok(()) => Finding::ok(what, format!("{}", found.display())),
        Err(error) => unusable(what, error),
    }
}

/// The agent, which must be of the same release.
pub(super) async fn agent() -> Finding {
    let what = "agent";
    let program = match agent::find_program() {
        Ok(program) => program,
        Err(error) => return said(what, &format!("{error:#}")),
    };
    if let Err(error) = probe::reachable(&program) {
        return unusable(what, error);
    }
    let mut command = Command::new(&program);
    let asked = command.arg("--version").stdin(Stdio::null()).kill_on_drop(true).output();
    let answer = match timeout(AGENT_PATIENCE, asked).await {
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stdout);
            said.lines().next().unwrap_or_default().trim().to_owned()
        }
        Ok(Err(error)) => format!("an error: {error}"),
        Err(_) => "no answer in 5 s".into(),
    };
    judge_agent(&program, &answer, env!("CARGO_PKG_VERSION"))
}

fn judge_agent(program: &Path, answer: &str, wanted: &str) -> Finding {
    let shown = program.display();
    match answer == format!("lattice-agent {wanted}") {
        true => Finding::ok("agent", format!("{shown}, {wanted}")),
        false => Finding::fault(
            "agent",
            format!(
                "{shown} is not lattice-agent {wanted}; asked for its version it gave {answer:?}"
            ),
            "install lattice and lattice-agent of one release side by side",
        ),
    }
}

/// What the command `lattice` of desktops is.
pub(super) fn relay() -> Finding {
    let what = "lattice in desktops";
    match find_relay() {
        Ok(program) => Finding::ok(what, format!("{}", program.display())),
        Err(error) => Finding::warning(
            what,
            format!("desktops have no command lattice: {error:#}"),
            "install lattice-session beside lattice, of the same release",
        ),
    }
}

/// Whether desktops can be limited as a whole.
pub(super) fn groups() -> Finding {
    judge_groups(&limits::out_of_reach())
}

fn judge_groups(missing: &[&str]) -> Finding {
    match missing {
        [] => Finding::ok("limits", "control groups can be made from here"),
        missing => Finding::warning(
            "limits",
            format!(
                "no control groups for {} can be made from here: each process of a desktop is \
                 limited, but not all of them together",
                missing.join(" and ")
            ),
            "run lattice as a service with Delegate=yes, as deploy/lattice.service does",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn xorg_needs_its_driver_and_xvfb_stands_in() {
        let xorg = || Some("/usr/lib/xorg/Xorg".into());
        check(&judge_display(xorg(), true, false), "ok", &["Xorg with the dummy driver"]);
        check(&judge_display(xorg(), false, true), "warning", &["Xvfb only"]);
        check(&judge_display(xorg(), false, false), "fault", &["xserver-xorg-video-dummy"]);
        check(&judge_display(Some("/usr/bin/Xvfb".into()), true, true), "warning", &["Xvfb only"]);
        check(&judge_display(None, false, false), "fault", &["neither"]);
    }

    #[test]
    fn parts_that_are_missing_are_named_with_their_packages() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("xfwm4"), "").expect("written");
        let parts = [("xfwm4", "xfwm4"), ("xfdesktop", "xfdesktop4")];
        let missing = lacking(&parts, &[dir.path().to_owned()]);
        assert_eq!(missing, [("xfdesktop", "xfdesktop4")]);
        let findings = judge_parts(&missing, &missing);
        let words = ["missing: xfdesktop; apt-get install xfdesktop4"];
        check(&findings[0], "fault    desktop", &words);
        check(&findings[1], "warning  programs", &words);
        assert_eq!(judge_parts(&[], &[]).len(), 1);
    }

    #[test]
    fn an_agent_of_another_release_is_a_fault() {
        let path = Path::new("/usr/bin/lattice-agent");
        check(&judge_agent(path, "lattice-agent 1.2.3", "1.2.3"), "ok", &["1.2.3"]);
        check(
            &judge_agent(path, "lattice-agent 1.2.2", "1.2.3"),
            "fault",
            &["1.2.2", "one release"],
        );
    }

    #[test]
    fn what_is_lost_without_control_groups_is_said() {
        check(&judge_groups(&[]), "ok", &[]);
        check(&judge_groups(&["memory", "pids"]), "warning", &["memory and pids", "Delegate=yes"]);
    }
}
