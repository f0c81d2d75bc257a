//! A program of the desktop asks: one connection, one question, one answer.

use crate::watch::notify;
use lattice_wire::apps::{AppName, MAX_LINE, Reply, Request};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The relay answers everything within 40 s, but for snapshots: within ten minutes, over which this may
/// have stood still.
const PATIENCE: Duration = Duration::from_secs(660);

/// Opens an app. Who chose it in a menu sees no terminal, so what goes wrong is shown on the desktop,
/// too.
pub(crate) fn open(socket: &Path, app: AppName) -> Result<(), String> {
    let opened = done(ask(socket, &Request::Open { app: app.clone() }));
    if let Err(reason) = &opened {
        let title = title(socket, &app).unwrap_or_else(|| app.to_string());
        let _ = notify(&format!("{title} could not be opened"), reason, "dialog-warning");
    }
    opened
}

/// What people call an app, where that can be had at once.
fn title(socket: &Path, app: &AppName) -> Option<String> {
    let Ok(Reply::Status { linked: true }) = ask(socket, &Request::Status {}) else { return None };
    let Ok(Reply::Apps { apps }) = ask(socket, &Request::List {}) else { return None };
    apps.into_iter().find(|known| known.name == *app).map(|known| known.title.into())
}

pub(crate) fn close(socket: &Path, app: AppName) -> Result<(), String> {
    done(ask(socket, &Request::Close { app }))
}

pub(crate) fn apps(socket: &Path) -> Result<(), String> {
    match ask(socket, &Request::List {})? {
        Reply::Apps { apps } if apps.is_empty() => say("This desktop has no apps."),
        Reply::Apps { apps } => apps.iter().try_for_each(|app| {
            let reason = app.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
            say(&format!(
                "{:<16} {:<24} {}{reason}",
                app.name.as_str(),
                app.title.as_str(),
                app.state.as_str()
            ))
        }),
        other => Err(unexpected(other)),
    }
}

pub(crate) fn say(text: &str) -> Result<(), String> {
    writeln!(io::stdout(), "{text}").map_err(|error| format!("write to standard output: {error}"))
}

fn done(reply: Result<Reply, String>) -> Result<(), String> {
    match reply? {
        Reply::Done {} => Ok(()),
        other => Err(unexpected(other)),
    }
}

pub(crate) fn unexpected(reply: Reply) -> String {
    match reply {
        Reply::Refused { reason } => reason.into(),
        other => format!("the desktop's relay answered something else: {other:?}"),
    }
}

pub(crate) fn ask(socket: &Path, request: &Request) -> Result<Reply, String> {
    let mut connection = Connection::open(socket)?;
    connection.stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    // A relay with too many to hear says so and hangs up, perhaps before it was asked.
    let told = connection.tell(request);
    connection.hear().map_err(|unheard| told.err().unwrap_or(unheard))
}

/// To the relay.
pub(crate) struct Connection {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Connection {
    pub(crate) fn open(socket: &Path) -> Result<Self, String> {
        let connect = || {
            let stream = UnixStream::connect(socket)?;
            let lines = BufReader::new(stream.try_clone()?);
            Ok(Self { stream, lines })
        };
        connect().map_err(|error: io::Error| {
            let path = socket.display();
            // An app that was not granted it has not even the directory.
            if socket.parent().is_some_and(|directory| !directory.exists()) {
                return format!(
                    "this app may not ask its desktop's manager: there is no {path}; its template, or the \
                     catalogue that it is from, can grant that by manager: true among its permissions"
                );
            }
            format!(
                "Lattice cannot be asked from here: connect to {path}: {error}; this works in a desktop \
                 of Lattice, see lattice --help"
            )
        })
    }

    pub(crate) fn tell(&mut self, request: &Request) -> Result<(), String> {
        let mut line = serde_json::to_vec(request).map_err(|error| error.to_string())?;
        line.push(b'\n');
        self.stream.write_all(&line).map_err(|error| format!("ask the desktop's relay: {error}"))
    }

    pub(crate) fn hear(&mut self) -> Result<Reply, String> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.lines).take(MAX_LINE as u64 + 1);
        bounded
            .read_until(b'\n', &mut line)
            .map_err(|error| format!("hear the desktop's relay: {error}"))?;
        if !line.ends_with(b"\n") {
            return Err("the desktop's relay ended; try again in a moment".into());
        }
        serde_json::from_slice(&line)
            .map_err(|error| format!("understand the desktop's relay: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_that_may_not_ask_learns_who_can_let_it() {
        let none = std::env::temp_dir().join(format!("lattice-none-{}", std::process::id()));
        let refused = |socket: &Path| Connection::open(socket).err().expect("nobody listens");
        let said = refused(&none.join("desktop.sock"));
        assert!(said.contains("may not ask") && said.contains("manager: true"), "{said}");
        // Where there is a place for it, the relay is only not there yet.
        let said = refused(&std::env::temp_dir().join("lattice-no-such-relay.sock"));
        assert!(said.contains("cannot be asked") && !said.contains("manager: true"), "{said}");
    }
}
