//! The chores of the repository: `cargo xtask COMMAND`. One module for each command, and
//! [`step`] for what they share. They use what is installed; what is not, npm and cargo bring in
//! versions that are named: in `package-lock.json`, in [`node`], in [`test`] and [`ci`].

mod bench;
mod ci;
mod engine;
mod layers;
mod node;
mod step;
mod test;
mod web;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask bench         latency, bytes, processor time, memory (--help names its options)
cargo xtask ci            format, lints, layers, licences, web types
cargo xtask check-web     the types of web/, by tsc, within templates too
cargo xtask deny-layers   the arrows between the crates
cargo xtask test          all suites, with a summary (make test installs what it needs)";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next();
    if command.as_deref() == Some("bench") {
        return end(bench::run(&args.collect::<Vec<_>>()));
    }
    if let Some(extra) = args.next() {
        return wrong_usage(&format!("unexpected argument '{extra}'"));
    }
    let result = match command.as_deref() {
        Some("ci") => ci::run(),
        Some("check-web") => web::check(),
        Some("deny-layers") => layers::check(),
        Some("test") => test::run(),
        Some("help" | "--help") => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => return wrong_usage(&format!("no command '{other}'")),
        None => return wrong_usage("name a command"),
    };
    end(result)
}

fn end(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn wrong_usage(what: &str) -> ExitCode {
    println!("xtask: {what}\n{USAGE}");
    ExitCode::from(2)
}
