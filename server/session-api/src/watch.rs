//! Shows on the desktop when an app has ended by itself.

use crate::client::Connection;
use lattice_wire::apps::{App, Reply, Request};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Watches until it is ended: the relay may be started again.
pub(crate) fn run(socket: &Path) -> Result<(), String> {
    let (mut pause, mut said) = (FIRST_PAUSE, String::new());
    loop {
        let reason = match watch(socket, &mut pause) {
            Ok(never) => match never {},
            Err(reason) => reason,
        };
        if reason != said {
            let _ = writeln!(io::stderr(), "lattice: {reason}; trying again");
            said = reason;
        }
        sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Never {}

fn watch(socket: &Path, pause: &mut Duration) -> Result<Never, String> {
    let mut connection = Connection::open(socket)?;
    connection.tell(&Request::Watch {})?;
    loop {
        match connection.hear()? {
            Reply::Watching {} => *pause = FIRST_PAUSE,
            Reply::Ended { app, was_open } => show_end(&app, was_open),
            Reply::Refused { reason } => return Err(reason.into()),
            Reply::Apps { .. } | Reply::Done {} | Reply::Status { .. } | Reply::Desktop(_) => {}
        }
    }
}

fn show_end(app: &App, was_open: bool) {
    let (summary, body) = told(app, was_open);
    if let Err(error) = notify(&summary, &body, app.icon.as_str()) {
        let _ = writeln!(io::stderr(), "lattice: {summary}: {body} ({error})");
    }
}

fn told(app: &App, was_open: bool) -> (String, String) {
    let title = &app.title;
    let summary = match was_open {
        true => format!("{title} ended unexpectedly"),
        false => format!("{title} could not be opened"),
    };
    let reason = app.reason.as_ref().map_or("", |reason| reason.as_str());
    let reason = match reason.is_empty() || reason.ends_with(['.', '!', '?']) {
        true => reason.to_owned(),
        false => format!("{reason}."),
    };
    let body = format!("{reason} To open it again, choose {title} in the menu Apps.");
    (summary, body.trim_start().to_owned())
}

/// Shows something on the desktop, above its windows.
pub(crate) fn notify(summary: &str, body: &str, icon: &str) -> Result<(), String> {
    let mut command = Command::new("notify-send");
    command.args(["--app-name=Lattice", "--urgency=normal", "--icon", icon, "--", summary]);
    // It is read as markup.
    command.arg(escaped(body)).stdin(Stdio::null());
    let status = command.status().map_err(|error| format!("start notify-send: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("notify-send: {status}")) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_wire::apps::{AppName, AppState, Said};

    fn check(was_open: bool, reason: &str, expected: (&str, &str)) {
        let app = App {
            name: AppName::parse("code").expect("a name"),
            title: Said::cut("VS Code"),
            icon: Said::cut("vscode"),
            state: AppState::Ended,
            reason: Some(Said::cut(reason)),
        };
        let (summary, body) = told(&app, was_open);
        assert_eq!((summary.as_str(), body.as_str()), expected);
    }

    #[test]
    fn what_is_shown_says_what_why_and_what_to_do() {
        let again = "To open it again, choose VS Code in the menu Apps.";
        let body = format!("it used more than 2 GB of memory. {again}");
        check(true, "it used more than 2 GB of memory", ("VS Code ended unexpectedly", &body));
        check(false, "", ("VS Code could not be opened", again));
    }

    #[test]
    fn a_reason_is_no_markup() {
        assert_eq!(escaped("<b>a&b"), "&lt;b&gt;a&amp;b");
    }
}
