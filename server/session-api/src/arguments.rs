//! What the program is told to do.

use crate::span;
use lattice_wire::apps::AppName;
use lattice_wire::desktop::Right;
use lattice_wire::snapshots::{NotASnapshotName, SnapshotName};
use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Asks Lattice about this desktop, from inside it.

  lattice open APP     open an app, or leave it open
  lattice close APP    end an app
  lattice apps         the apps there are, and how they are
  lattice watch        show a notification when an app ends by itself

  lattice status       how this desktop is: who looks at it, what it takes, the newest snapshot
  lattice snapshot [NAME]
                       make a snapshot of Data, called NAME
  lattice share [--for 2h] [--right view|assist|control]
                       make a link by which others see this desktop, and print it
  lattice share --list
                       the links that were made so, without their addresses
  lattice share --revoke NUMBER
                       end one of them
  lattice manage       offer this desktop's page to whoever owns it and looks at it

  --json               of status, snapshot and share: as JSON
  --socket PATH        where the desktop's relay listens

  Ends with 0 where it was done, 1 where it was not, 2 where the words are not understood.
  Snapshots are put back, and links by others are ended, on the desktop's page.

  lattice-session serve [--desktop PATH] [--gateway PATH] [--exit-on-eof]
                       be that relay, with the token in LATTICE_API_TOKEN
  lattice-session forward --directory PATH PORT...
                       lead from sockets in that directory to these ports
";

const DESKTOP: &str = "/run/lattice/api/desktop.sock";
const GATEWAY: &str = "/run/lattice/gate/gateway.sock";
/// How long a link works where nothing is said, in seconds.
const USUAL_SPAN_S: u32 = 2 * 3600;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve { desktop: PathBuf, gateway: PathBuf, exit_on_eof: bool },
    Forward { directory: PathBuf, ports: Vec<u16> },
    Open { socket: PathBuf, app: AppName },
    Close { socket: PathBuf, app: AppName },
    Apps { socket: PathBuf },
    Watch { socket: PathBuf },
    Status { socket: PathBuf, json: bool },
    Snapshot { socket: PathBuf, name: Option<SnapshotName>, json: bool },
    Share { socket: PathBuf, right: Right, for_s: u32, json: bool },
    Links { socket: PathBuf, json: bool },
    Revoke { socket: PathBuf, link: i64 },
    Manage { socket: PathBuf },
    Help,
    Version,
}

/// What was given beside the words.
#[derive(Default)]
struct Options {
    socket: Option<PathBuf>,
    gateway: Option<PathBuf>,
    json: bool,
    list: bool,
    exit_on_eof: bool,
    span: Option<String>,
    right: Option<String>,
    revoke: Option<String>,
}

pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let (mut words, mut options) = (Vec::new(), Options::default());
    let mut arguments = arguments;
    let mut is_over = false;
    while let Some(argument) = arguments.next() {
        let Some(text) = argument.to_str() else {
            return Err(format!("{:?} is not UTF-8", argument.display().to_string()));
        };
        if is_over || !text.starts_with('-') {
            words.push(text.to_owned());
            continue;
        }
        let mut value = |what| next(&mut arguments, text, what);
        match text {
            "--" => is_over = true,
            "--help" | "-h" => return Ok(Command::Help),
            "--version" | "-V" => return Ok(Command::Version),
            "--socket" | "--desktop" | "--directory" => {
                options.socket = Some(value("a path")?.into());
            }
            "--gateway" => options.gateway = Some(value("a path")?.into()),
            "--json" => options.json = true,
            "--list" => options.list = true,
            "--exit-on-eof" => options.exit_on_eof = true,
            "--for" => options.span = Some(value("a time, such as 30m or 2h")?),
            "--right" => options.right = Some(value("view, assist or control")?),
            "--revoke" => options.revoke = Some(value("the number of a link")?),
            _ => return Err(format!("there is no option {text:?}; see lattice --help")),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    command(&words, options)
}

fn next(
    arguments: &mut impl Iterator<Item = OsString>,
    option: &str,
    what: &str,
) -> Result<String, String> {
    let value = arguments.next().ok_or_else(|| format!("{option} needs {what}"))?;
    value.into_string().map_err(|value| format!("{:?} is not UTF-8", value.display().to_string()))
}

fn command(words: &[&str], options: Options) -> Result<Command, String> {
    let Options { socket, gateway, json, list, exit_on_eof, span, right, revoke } = options;
    let first = words.first().copied().unwrap_or_default();
    let is_share = first == "share";
    let stray = [
        ("--json", json && !is_share && !matches!(first, "status" | "snapshot")),
        ("--list", list && !is_share),
        ("--exit-on-eof", exit_on_eof && first != "serve"),
        ("--for", span.is_some() && !is_share),
        ("--right", right.is_some() && !is_share),
        ("--revoke", revoke.is_some() && !is_share),
    ];
    if let Some((option, _)) = stray.into_iter().find(|(_, is_stray)| *is_stray) {
        return Err(format!("{option} is no option of lattice {first}; see lattice --help"));
    }
    if let ["forward", ports @ ..] = words {
        let directory = socket.ok_or("forward needs --directory")?;
        let ports: Result<Vec<u16>, _> = ports.iter().map(|port| port.parse()).collect();
        let ports = ports.map_err(|_| "ports are numbers up to 65535")?;
        return match ports[..] {
            [] => Err("name the ports to lead to".into()),
            [..] => Ok(Command::Forward { directory, ports }),
        };
    }
    let socket = socket.unwrap_or_else(|| PathBuf::from(DESKTOP));
    match *words {
        ["serve"] => {
            let gateway = gateway.unwrap_or_else(|| PathBuf::from(GATEWAY));
            Ok(Command::Serve { desktop: socket, gateway, exit_on_eof })
        }
        ["open", app] => Ok(Command::Open { socket, app: app_name(app)? }),
        ["close", app] => Ok(Command::Close { socket, app: app_name(app)? }),
        ["apps"] => Ok(Command::Apps { socket }),
        ["watch"] => Ok(Command::Watch { socket }),
        ["status"] => Ok(Command::Status { socket, json }),
        ["snapshot", ref name @ ..] => {
            Ok(Command::Snapshot { socket, name: snapshot_name(name)?, json })
        }
        ["share"] => share(socket, json, list, revoke, span, right),
        ["share", other, ..] => {
            Err(format!("lattice share takes no {other:?}; see lattice --help for its options"))
        }
        ["manage"] => Ok(Command::Manage { socket }),
        ["open" | "close"] => Err("name the app; lattice apps lists those there are".into()),
        [] => Ok(Command::Help),
        _ => Err(format!("{:?} is nothing that can be done; see lattice --help", words.join(" "))),
    }
}

fn share(
    socket: PathBuf,
    json: bool,
    list: bool,
    revoke: Option<String>,
    span: Option<String>,
    right: Option<String>,
) -> Result<Command, String> {
    let makes = span.is_some() || right.is_some();
    match (list, revoke) {
        (true, Some(_)) => Err("--list and --revoke do not go together; use one".into()),
        (true, None) | (false, Some(_)) if makes => {
            Err("--for and --right are for a new link, without --list and --revoke".into())
        }
        (true, None) => Ok(Command::Links { socket, json }),
        (false, Some(_)) if json => Err("--json is no option of lattice share --revoke".into()),
        (false, Some(number)) => {
            let link = number.parse().map_err(|_| {
                format!("{number:?} is no number of a link; lattice share --list has them")
            })?;
            Ok(Command::Revoke { socket, link })
        }
        (false, None) => {
            let for_s = span.map_or(Ok(USUAL_SPAN_S), |text| span::parse(&text))?;
            let right = right.map_or(Ok(Right::View), |text| right_of(&text))?;
            Ok(Command::Share { socket, right, for_s, json })
        }
    }
}

fn right_of(text: &str) -> Result<Right, String> {
    let all = [Right::View, Right::Assist, Right::Control];
    let right = all.into_iter().find(|right| right.as_str() == text);
    right.ok_or_else(|| format!("--right is view, assist or control, and not {text:?}"))
}

fn app_name(text: &str) -> Result<AppName, String> {
    AppName::parse(text)
        .ok_or_else(|| format!("{text:?} is no app's name; lattice apps lists those there are"))
}

/// Several words are one name.
fn snapshot_name(words: &[&str]) -> Result<Option<SnapshotName>, String> {
    if words.is_empty() {
        return Ok(None);
    }
    let text = words.join(" ");
    let name = SnapshotName::parse(&text);
    name.map(Some).ok_or_else(|| format!("{text:?} is no name: {NotASnapshotName}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn commands_are_read() {
        let code = AppName::parse("code").expect("a name");
        assert_eq!(check("open code"), Ok(Command::Open { socket: DESKTOP.into(), app: code }));
        assert_eq!(check("apps --socket /s"), Ok(Command::Apps { socket: "/s".into() }));
        assert_eq!(
            check("serve --desktop /d --gateway /g"),
            Ok(Command::Serve { desktop: "/d".into(), gateway: "/g".into(), exit_on_eof: false })
        );
        assert_eq!(check(""), Ok(Command::Help));
        assert_eq!(
            check("forward --directory /d 5173 8000"),
            Ok(Command::Forward { directory: "/d".into(), ports: vec![5173, 8000] })
        );
    }

    #[test]
    fn what_is_asked_about_the_desktop_is_read() {
        let socket = || PathBuf::from(DESKTOP);
        assert_eq!(check("status --json"), Ok(Command::Status { socket: socket(), json: true }));
        let name = SnapshotName::parse("before the talk");
        let made = Command::Snapshot { socket: socket(), name, json: false };
        assert_eq!(check("snapshot before the talk"), Ok(made));
        let dashed = SnapshotName::parse("-v2");
        let made = Command::Snapshot { socket: socket(), name: dashed, json: false };
        assert_eq!(check("snapshot -- -v2"), Ok(made));
        let link = |right, for_s| Command::Share { socket: socket(), right, for_s, json: false };
        assert_eq!(check("share"), Ok(link(Right::View, 7200)));
        assert_eq!(check("share --for 30m --right assist"), Ok(link(Right::Assist, 1800)));
        assert_eq!(check("share --list"), Ok(Command::Links { socket: socket(), json: false }));
        let revoked = Command::Revoke { socket: socket(), link: 7 };
        assert_eq!(check("share --revoke 7"), Ok(revoked));
        assert_eq!(check("manage"), Ok(Command::Manage { socket: socket() }));
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_a_remedy() {
        for (line, part) in [
            ("open", "name the app"),
            ("open ../x", "lattice apps"),
            ("open a b", "--help"),
            ("--quick", "--help"),
            ("apps --socket", "needs a path"),
            ("forward 5173", "--directory"),
            ("forward --directory /d", "name the ports"),
            ("forward --directory /d 5173 70000", "65535"),
            ("open code --json", "no option of lattice open"),
            ("status --for 2h", "no option of lattice status"),
            ("share view", "--help"),
            ("share --for", "such as 30m"),
            ("share --for soon", "such as 30m"),
            ("share --right own", "view, assist or control"),
            ("share --list --revoke 1", "do not go together"),
            ("share --list --for 1h", "a new link"),
            ("share --revoke seven", "--list"),
            ("delete-snapshot 7", "nothing that can be done"),
        ] {
            let error = check(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
        let words = ["snapshot", "a\u{1b}[2J"].map(OsString::from);
        let error = parse(words.into_iter()).expect_err("no name");
        assert!(error.contains("control characters") && !error.contains('\u{1b}'), "{error}");
    }
}
