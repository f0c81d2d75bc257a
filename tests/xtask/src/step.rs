//! Steps: named things to do that pass, fail or are left out, one after another, all of them, with
//! a summary at the end.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The cargo profile of everything that is tested, so that a test run compiles once.
pub(crate) const PROFILE: &str = "checked";

/// Runs steps and remembers how they went.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Outcome>,
    unsteady: Vec<String>,
}

#[derive(Debug)]
struct Outcome {
    name: String,
    took: Duration,
    end: End,
}

#[derive(Debug, PartialEq)]
enum End {
    Passed,
    Failed,
    Skipped(String),
}

impl Steps {
    /// Runs one step and tells whether it passed. A failure is printed at once and remembered.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> bool {
        println!("\n{}", bold(&format!("── {name}")));
        let start = Instant::now();
        let result = step();
        if let Err(error) = &result {
            println!("{name} failed: {error:#}");
        }
        let end = if result.is_ok() { End::Passed } else { End::Failed };
        self.done.push(Outcome { name: name.to_owned(), took: start.elapsed(), end });
        result.is_ok()
    }

    /// Remembers a step that is left out, and why.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        let end = End::Skipped(why.to_owned());
        self.done.push(Outcome { name: name.to_owned(), took: Duration::ZERO, end });
    }

    /// Remembers what failed at first and passed when it was run again: it fails nothing, but the
    /// summary names it, for somebody to find out why.
    pub(crate) fn note_unsteady(&mut self, what: String) {
        self.unsteady.push(what);
    }

    /// Prints the summary; an error if any step failed.
    pub(crate) fn finish(self, what: &str) -> Result<()> {
        println!("\n{}", bold(&format!("── {what}")));
        print!("{}", self.summary());
        let failed = self.count(|end| *end == End::Failed);
        ensure!(failed == 0, "{failed} of {} steps failed", self.done.len());
        Ok(())
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        for Outcome { name, took, end } in &self.done {
            let seconds = took.as_secs_f64();
            text += &match end {
                End::Passed => format!("ok      {seconds:>6.1} s  {name}\n"),
                End::Failed => format!("FAILED  {seconds:>6.1} s  {name}\n"),
                End::Skipped(why) => format!("skipped           {name}: {why}\n"),
            };
        }
        for what in &self.unsteady {
            text += &format!("UNSTEADY          {what} failed, and passed when it was run again\n");
        }
        let total: Duration = self.done.iter().map(|outcome| outcome.took).sum();
        let passed = self.count(|end| *end == End::Passed);
        let failed = self.count(|end| *end == End::Failed);
        let skipped = self.count(|end| matches!(end, End::Skipped(_)));
        text += &format!("total   {:>6.1} s\n", total.as_secs_f64());
        text + &format!("steps: {passed} passed, {failed} failed, {skipped} skipped\n")
    }

    fn count(&self, is_meant: impl Fn(&End) -> bool) -> usize {
        self.done.iter().filter(|outcome| is_meant(&outcome.end)).count()
    }
}

/// The root of the repository. `cargo run` says where it runs; where this was compiled may be
/// another clone, if both share a target directory.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.join("../..").canonicalize().unwrap_or(here)
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), Into::into)
}

/// A command in the root of the repository, with nothing to read.
pub(crate) fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root()).stdin(Stdio::null());
    command
}

/// The cargo that runs this, with its progress shown where a person watches.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    command(&program, args)
}

/// Runs a command to its end, its output shown; an error if it fails.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    println!("$ {shown}");
    let status = command.status().with_context(|| format!("start '{shown}'"))?;
    if !status.success() {
        bail!("'{shown}' ended with {status}");
    }
    Ok(())
}

/// Whether the program is there: it is started with `args` and its output thrown away.
pub(crate) fn is_there(program: &str, args: &[&str]) -> bool {
    command(program, args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Installs a cargo subcommand in exactly this version, unless there is one already.
pub(crate) fn install(subcommand: &str, version: &str) -> Result<()> {
    if is_there(subcommand, &["--version"]) {
        return Ok(());
    }
    println!("{subcommand} is missing: cargo builds it, which takes some minutes");
    succeed(&mut cargo(&["install", "--locked", &format!("{subcommand}@{version}")]))
        .with_context(|| format!("install {subcommand}"))
}

/// Whether the tests that take long are wanted.
pub(crate) fn is_long_run() -> bool {
    std::env::var("LATTICE_TEST_LONG").is_ok_and(|long| long == "1")
}

/// The files of a directory whose names end so, sorted, as paths for a command line.
pub(crate) fn files(directory: &str, ending: &str) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(root().join(directory))
        .with_context(|| format!("list the directory {directory}"))?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.with_context(|| format!("list the directory {directory}"))?.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(ending) {
            found.push(format!("{directory}/{name}"));
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "no *{ending} in {directory}");
    Ok(found)
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn bold(text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted_and_says_why() {
        let mut steps = Steps::default();
        assert!(steps.run("first", || Ok(())));
        steps.skip("second", "it is not there");
        let summary = steps.summary();
        assert!(summary.contains("second: it is not there\n"), "{summary}");
        assert!(summary.ends_with("steps: 1 passed, 0 failed, 1 skipped\n"), "{summary}");
        assert!(steps.finish("Steps").is_ok());
    }

    #[test]
    fn what_passed_at_the_second_time_is_named() {
        let mut steps = Steps::default();
        assert!(steps.run("first", || Ok(())));
        steps.note_unsteady("a suite".to_owned());
        let summary = steps.summary();
        assert!(summary.contains("UNSTEADY          a suite failed"), "{summary}");
        assert!(steps.finish("Steps").is_ok());
    }

    #[test]
    fn a_failure_fails_the_whole_and_stops_nothing() {
        let mut steps = Steps::default();
        assert!(!steps.run("first", || bail!("no")));
        assert!(steps.run("second", || Ok(())));
        assert!(steps.summary().ends_with("steps: 1 passed, 1 failed, 0 skipped\n"));
        assert!(steps.finish("Steps").is_err());
    }
}
