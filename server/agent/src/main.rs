//! `lattice-agent`: see the library for what it does.

#![forbid(unsafe_code)]

use clap::Parser;
use lattice_agent::cli::Cli;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    start_log();
    lattice_agent::run(cli)
}

fn start_log() {
    let filter = EnvFilter::try_from_env("LATTICE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
