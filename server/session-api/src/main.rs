//! `lattice-session`: how programs of a desktop have apps opened on it.
//!
//! The relay (`serve`) is the main process of a session's `api` container, between the desktop's
//! programs and the gateway. In the desktop the same program is `lattice`: `lattice open code` is what
//! an entry of the menu runs. The forwarder (`forward`) leads to the ports of an app that declares some.

#![forbid(unsafe_code)]

mod arguments;
mod client;
mod forward;
mod peer;
mod relay;
mod serve;
mod watch;

use arguments::Command;
use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Command::Serve { desktop, gateway }) => serve::run(&desktop, &gateway),
        Ok(Command::Forward { directory, ports }) => forward::run(&directory, &ports),
        Ok(Command::Open { socket, app }) => client::open(&socket, app),
        Ok(Command::Close { socket, app }) => client::close(&socket, app),
        Ok(Command::Apps { socket }) => client::apps(&socket),
        Ok(Command::Status { socket }) => client::status(&socket),
        Ok(Command::Watch { socket }) => watch::run(&socket),
        Ok(Command::Help) => client::say(arguments::HELP.trim_end()),
        Ok(Command::Version) => client::say(concat!("lattice-session ", env!("CARGO_PKG_VERSION"))),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "lattice: {error}");
            ExitCode::FAILURE
        }
    }
}
