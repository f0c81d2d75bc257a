//! Steps: named things to do that pass or fail, run one after another, all of them, with a
//! summary at the end.

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
}

#[derive(Debug)]
struct Outcome {
    name: String,
    took: Duration,
    passed: bool,
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
        let passed = result.is_ok();
        self.done.push(Outcome { name: name.to_owned(), took: start.elapsed(), passed });
        passed
    }

    /// Prints the summary; an error if any step failed.
    pub(crate) fn finish(self, what: &str) -> Result<()> {
        let failed = self.done.iter().filter(|outcome| !outcome.passed).count();
        println!("\n{}", bold(&format!("── {what}")));
        for Outcome { name, took, passed } in &self.done {
            let mark = if *passed { "ok    " } else { "FAILED" };
            println!("{mark} {:>6.1} s  {name}", took.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|outcome| outcome.took).sum();
        println!("total  {:>6.1} s", total.as_secs_f64());
        println!("steps: {} passed, {failed} failed", self.done.len() - failed);
        ensure!(failed == 0, "{failed} of {} steps failed", self.done.len());
        Ok(())
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("../..").canonicalize().unwrap_or_else(|_| here.to_owned())
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
