//! `lattice-session`: how programs of a desktop have apps opened on it, and ask about it.
//!
//! The relay (`serve`) is the main process of a session's `api` container, between the desktop's
//! programs and the gateway. In the desktop the same program is `lattice`: `lattice open code` is what
//! an entry of the menu runs. The forwarder (`forward`) leads to the ports of an app that declares some.

#![forbid(unsafe_code)]

mod arguments;
mod client;
mod desktop;
mod forward;
mod pace;
mod peer;
mod relay;
mod serve;
mod span;
mod watch;

use arguments::Command;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// The words are not understood.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            note(&format!("lattice: {error}"));
            return ExitCode::from(USAGE);
        }
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("lattice: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Serve { desktop, gateway, exit_on_eof } => {
            serve::run(&desktop, &gateway, exit_on_eof)
        }
        Command::Forward { directory, ports } => forward::run(&directory, &ports),
        Command::Open { socket, app } => client::open(&socket, app),
        Command::Close { socket, app } => client::close(&socket, app),
        Command::Apps { socket } => client::apps(&socket),
        Command::Watch { socket } => watch::run(&socket),
        Command::Status { socket, json } => desktop::status(&socket, json),
        Command::Snapshot { socket, name, json } => desktop::snapshot(&socket, name, json),
        Command::Share { socket, right, for_s, json } => {
            desktop::share(&socket, right, for_s, json)
        }
        Command::Links { socket, json } => desktop::links(&socket, json),
        Command::Revoke { socket, link } => desktop::revoke(&socket, link),
        Command::Manage { socket } => desktop::manage(&socket),
        Command::Help => client::say(arguments::HELP.trim_end()),
        Command::Version => client::say(concat!("lattice-session ", env!("CARGO_PKG_VERSION"))),
    }
}

/// Says something beside what was asked for.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
