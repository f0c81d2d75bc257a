//! `cargo xtask test`: all suites, each of them whatever became of the others, and a summary.
//! `LATTICE_TEST_LONG=1` adds the long tests, which ask for that variable themselves,
//! and fuzzing.

use std::process::Command;

use anyhow::{Context, Result};

use crate::ci;
use crate::node::node;
use crate::step::{PROFILE, Steps, cargo, files, is_there, root, succeed};
use crate::web;

pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    ci::add_to(&mut steps);
    if steps.run("build", build) {
        steps.run("Rust tests", rust);
        steps.run("web unit tests", web_units);
        steps.run("browser suites", browser);
    }
    if std::env::var("LATTICE_TEST_LONG").is_ok_and(|long| long == "1") {
        steps.run("fuzzing", fuzz);
    }
    steps.finish("Tests")
}

fn build() -> Result<()> {
    succeed(&mut cargo(&[
        "build",
        "--workspace",
        "--all-targets",
        "--locked",
        "--profile",
        PROFILE,
    ]))
}

fn rust() -> Result<()> {
    if !is_there("cargo-nextest", &["--version"]) {
        succeed(&mut cargo(&["install", "--locked", "cargo-nextest@0.9.143"]))
            .context("install cargo-nextest, which runs the tests")?;
    }
    let run = ["nextest", "run", "--workspace", "--locked", "--cargo-profile", PROFILE];
    succeed(with_binaries(&mut cargo(&run)).args(["--profile", "ci"]))
}

fn web_units() -> Result<()> {
    let tests = files("tests/web/unit", ".test.mjs")?;
    succeed(node(&["--test"])?.args(tests))
}

/// One browser at a time: they measure, and two of them would measure each other.
fn browser() -> Result<()> {
    web::install()?;
    let tests = files("tests/web/suites", ".test.mjs")?;
    let mut one_by_one = node(&["--test", "--test-concurrency=1"])?;
    succeed(with_binaries(&mut one_by_one).args(tests))
}

/// Ten minutes of bytes that nobody meant; `tests/fuzz/README.md` explains the commands.
fn fuzz() -> Result<()> {
    const DIRECTORY: &str = "tests/fuzz";
    if !is_there("cargo-fuzz", &["--version"]) {
        succeed(&mut cargo(&["install", "--locked", "cargo-fuzz"]))
            .context("install cargo-fuzz")?;
    }
    let corpus = root().join(DIRECTORY).join("corpus/packets");
    std::fs::create_dir_all(&corpus).with_context(|| format!("make {}", corpus.display()))?;
    let seed = ["seed.mjs", "../vectors/packets.json", "corpus/packets"];
    succeed(node(&seed)?.current_dir(root().join(DIRECTORY)))?;
    let run = ["fuzz", "run", "packets", "--", "-max_len=4096", "-max_total_time=600"];
    let mut run = cargo(&run);
    succeed(run.current_dir(root().join(DIRECTORY)).env("RUSTC_BOOTSTRAP", "1"))
}

/// Tells the tests which `lattice` and `lattice-agent` are meant.
fn with_binaries(command: &mut Command) -> &mut Command {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), Into::into);
    command.env("LATTICE_BIN_DIR", target.join(PROFILE))
}
