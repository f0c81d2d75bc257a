//! What the program is told to do.

use lattice_wire::apps::AppName;
use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Opens apps on this desktop.

  lattice open APP     open an app, or leave it open
  lattice close APP    end an app
  lattice apps         the apps there are, and how they are
  lattice status       whether apps can be opened now
  lattice watch        show a notification when an app ends by itself

  --socket PATH        where the desktop's relay listens

  lattice-session serve [--desktop PATH] [--gateway PATH]
                       be that relay, with the token in LATTICE_API_TOKEN
  lattice-session forward --directory PATH PORT...
                       lead from sockets in that directory to these ports
";

const DESKTOP: &str = "/run/lattice/api/desktop.sock";
const GATEWAY: &str = "/run/lattice/gate/gateway.sock";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve { desktop: PathBuf, gateway: PathBuf },
    Forward { directory: PathBuf, ports: Vec<u16> },
    Open { socket: PathBuf, app: AppName },
    Close { socket: PathBuf, app: AppName },
    Apps { socket: PathBuf },
    Status { socket: PathBuf },
    Watch { socket: PathBuf },
    Help,
    Version,
}

pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let (mut words, mut socket, mut gateway) = (Vec::new(), None, None);
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let Some(text) = argument.to_str() else {
            return Err(format!("{} is not UTF-8", argument.display()));
        };
        let target = match text {
            "--help" | "-h" => return Ok(Command::Help),
            "--version" | "-V" => return Ok(Command::Version),
            "--socket" | "--desktop" | "--directory" => &mut socket,
            "--gateway" => &mut gateway,
            _ if text.starts_with('-') => {
                return Err(format!("there is no option {text}; see lattice --help"));
            }
            _ => {
                words.push(text.to_owned());
                continue;
            }
        };
        let path = arguments.next().ok_or_else(|| format!("{text} needs a path"))?;
        *target = Some(PathBuf::from(path));
    }
    if let Some(("forward", ports)) =
        words.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        let directory = socket.ok_or("forward needs --directory")?;
        let ports: Result<Vec<u16>, _> = ports.iter().map(|port| port.parse()).collect();
        let ports = ports.map_err(|_| "ports are numbers up to 65535")?;
        return match ports[..] {
            [] => Err("name the ports to lead to".into()),
            [..] => Ok(Command::Forward { directory, ports }),
        };
    }
    let socket = socket.unwrap_or_else(|| PathBuf::from(DESKTOP));
    let gateway = gateway.unwrap_or_else(|| PathBuf::from(GATEWAY));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve"] => Ok(Command::Serve { desktop: socket, gateway }),
        ["open", app] => Ok(Command::Open { socket, app: name(app)? }),
        ["close", app] => Ok(Command::Close { socket, app: name(app)? }),
        ["apps"] => Ok(Command::Apps { socket }),
        ["status"] => Ok(Command::Status { socket }),
        ["watch"] => Ok(Command::Watch { socket }),
        ["open" | "close"] => Err("name the app; lattice apps lists those there are".into()),
        [] => Ok(Command::Help),
        _ => Err(format!("{:?} is nothing that can be done; see lattice --help", words.join(" "))),
    }
}

fn name(text: &str) -> Result<AppName, String> {
    AppName::parse(text)
        .ok_or_else(|| format!("{text:?} is no app's name; lattice apps lists those there are"))
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
            Ok(Command::Serve { desktop: "/d".into(), gateway: "/g".into() })
        );
        assert_eq!(check(""), Ok(Command::Help));
        assert_eq!(
            check("forward --directory /d 5173 8000"),
            Ok(Command::Forward { directory: "/d".into(), ports: vec![5173, 8000] })
        );
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
        ] {
            let error = check(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
