//! `cargo xtask ci`: everything about the code that can be told without running it.

use anyhow::{Context, Result, ensure};

use crate::step::{PROFILE, Steps, cargo, install, is_long_run, is_there, succeed};
use crate::{layers, web};

/// The cargo-deny that `make test-all` installs.
const CARGO_DENY: &str = "0.20.2";

pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    add_to(&mut steps);
    steps.finish("Checks")
}

/// The cheap ones first.
pub(crate) fn add_to(steps: &mut Steps) {
    steps.run("format", format);
    steps.run("layers", layers::check);
    const LICENCES: &str = "licences and bans";
    if is_long_run() || is_there("cargo-deny", &["--version"]) {
        steps.run(LICENCES, deny);
    } else {
        steps.skip(LICENCES, "cargo-deny is not installed; `make test-all` installs it");
    }
    steps.run("types of the web", web::check);
    steps.run("lints", lints);
}

fn format() -> Result<()> {
    component("fmt", "rustfmt")?;
    succeed(&mut cargo(&["fmt", "--all", "--check"]))
}

/// Advisories are left out: their database comes from the network. `cargo deny check` has them.
fn deny() -> Result<()> {
    install("cargo-deny", CARGO_DENY)?;
    succeed(&mut cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]))
}

fn lints() -> Result<()> {
    component("clippy", "clippy")?;
    let build = ["clippy", "--workspace", "--all-targets", "--locked", "--profile", PROFILE];
    succeed(cargo(&build).args(["--", "-D", "warnings"]))
}

/// rustup leaves both out in its minimal profile, and cargo's own words for that are few.
fn component(subcommand: &str, name: &str) -> Result<()> {
    let said = cargo(&[subcommand, "--version"]).output().context("start cargo")?;
    ensure!(
        said.status.success(),
        "this Rust is without {name}: run `rustup component add {name}`, or install the package \
         of that name from where this Rust came"
    );
    Ok(())
}
