//! `cargo xtask test`: all suites, each of them whatever became of the others, and a summary.
//! `LATTICE_TEST_LONG=1` adds the soaks among the Rust tests, which ask for that variable
//! themselves, fuzzing, and the check of the licences where cargo-deny is to be installed first.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::ci;
use crate::engine::{self, Engine};
use crate::node::node;
use crate::step::{PROFILE, Steps, cargo, files, install, is_long_run, root, succeed, target};
use crate::web;

/// What runs the tests, and what feeds them bytes.
const CARGO_NEXTEST: &str = "0.9.143";
const CARGO_FUZZ: &str = "0.13.2";

pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    ci::add_to(&mut steps);
    if steps.run("build", build) {
        let engine = Engine::prepare(&mut steps);
        steps.run("Rust tests", || rust(engine.is_some()));
        steps.run("web unit tests", web_units);
        browser(&mut steps, "browser suites", "tests/web/suites");
        with_containers(&mut steps, engine);
    }
    if is_long_run() {
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

fn rust(has_engine: bool) -> Result<()> {
    if let Err(error) = install("cargo-nextest", CARGO_NEXTEST) {
        println!("{error:#}: the tests run by `cargo test`, which ends none that hangs");
        return rust_without_nextest(has_engine);
    }
    let run = ["nextest", "run", "--workspace", "--locked", "--cargo-profile", PROFILE];
    let mut run = cargo(&run);
    run.args(["--profile", "ci"]);
    if !has_engine {
        run.args(["-E", &format!("not ({})", engine::TESTS)]);
    }
    succeed(with_binaries(&mut run))
}

/// The same tests, two at a time as `.config/nextest.toml` has those with real processes.
fn rust_without_nextest(has_engine: bool) -> Result<()> {
    let run = ["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast", "--locked"];
    let mut run = cargo(&run);
    run.args(["--profile", PROFILE, "--", "--test-threads", "2"]);
    if !has_engine {
        run.args(engine::MODULES.iter().flat_map(|module| ["--skip", *module]));
    }
    succeed(with_binaries(&mut run))
}

fn web_units() -> Result<()> {
    let tests = files("tests/web/unit", ".test.mjs")?;
    succeed(node(&["--test"])?.args(tests))
}

/// Browser suites over desktops made of containers, with the apps that people open there. Last, for
/// their images are the largest.
fn with_containers(steps: &mut Steps, engine: Option<Engine>) {
    const SUITES: &str = "browser suites with containers";
    let Some(engine) = engine else {
        return steps.skip(SUITES, "there is no engine that has the images of desktops");
    };
    if steps.run("images of apps", engine::app_images) {
        browser(steps, SUITES, "tests/web/containers");
    } else {
        steps.skip(SUITES, "their images could not be built");
    }
    drop(engine);
}

/// One browser at a time: they measure, and two of them would measure each other. A file with a
/// failure is run once more by itself: a machine whose time is shared can stand still for longer
/// than a browser waits. Twice is a failure, once is named in the summary.
fn browser(steps: &mut Steps, name: &str, directory: &str) {
    let mut unsteady = Vec::new();
    steps.run(name, || {
        web::install()?;
        let mut failed = files(directory, ".test.mjs")?;
        failed.retain(|file| !passes(file));
        let failed_twice: Vec<String>;
        (unsteady, failed_twice) = failed.into_iter().partition(|file| passes(file));
        ensure!(failed_twice.is_empty(), "failed twice: {}", failed_twice.join(", "));
        Ok(())
    });
    unsteady.into_iter().for_each(|file| steps.note_unsteady(file));
}

fn passes(suite: &str) -> bool {
    let run = node(&["--test", suite]).and_then(|mut run| succeed(with_binaries(&mut run)));
    run.inspect_err(|error| println!("{error:#}")).is_ok()
}

/// Ten minutes of bytes that nobody meant; `tests/fuzz/README.md` explains the commands.
fn fuzz() -> Result<()> {
    const DIRECTORY: &str = "tests/fuzz";
    install("cargo-fuzz", CARGO_FUZZ)?;
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
    command.env("LATTICE_BIN_DIR", target().join(PROFILE));
    // All suites together say whether the product is right on any machine, however busy; `cargo
    // nextest run` alone, and the bench, say how fast it is on this one.
    if std::env::var_os("LATTICE_TEST_PATIENCE").is_none() {
        command.env("LATTICE_TEST_PATIENCE", "10");
    }
    command
}
