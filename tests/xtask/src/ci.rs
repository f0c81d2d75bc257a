//! `cargo xtask ci`: everything about the code that can be told without running it.

use anyhow::Result;

use crate::step::{PROFILE, Steps, cargo, is_there, succeed};
use crate::{layers, web};

pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    add_to(&mut steps);
    steps.finish("Checks")
}

/// The cheap ones first.
pub(crate) fn add_to(steps: &mut Steps) {
    steps.run("format", || succeed(&mut cargo(&["fmt", "--all", "--check"])));
    steps.run("layers", layers::check);
    if is_there("cargo-deny", &["--version"]) {
        steps.run("licences and bans", deny);
    } else {
        println!("\ncargo-deny is not installed: licences are not checked");
    }
    steps.run("types of the web", web::check);
    steps.run("lints", lints);
}

/// Advisories are left out: their database comes from the network. `cargo deny check` has them.
fn deny() -> Result<()> {
    succeed(&mut cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"]))
}

fn lints() -> Result<()> {
    let build = ["clippy", "--workspace", "--all-targets", "--locked", "--profile", PROFILE];
    succeed(cargo(&build).args(["--", "-D", "warnings"]))
}
