//! A script of `tests/web/bench` with a real browser, which is told lines and answers with JSON.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::people::PASSWORD;
use crate::process::repository;

/// Runs until it is dropped.
#[derive(Debug)]
pub struct Script {
    child: Child,
    /// It ends with its input.
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Starts one by its file's name, and waits until it says that it is ready.
    ///
    /// # Panics
    /// Where it cannot, or ends instead.
    pub fn start(name: &str, args: &[&str]) -> Self {
        Self::run(Command::new("node"), name, args)
    }

    /// The same; it and its browser run whenever they want to, before all else here, as they would on a
    /// machine of their own.
    ///
    /// # Panics
    /// The same, and where it may not come first: only root may.
    pub fn start_before_all_else(name: &str, args: &[&str]) -> Self {
        let mut command = Command::new("chrt");
        command.args(["--rr", "1", "node"]);
        Self::run(command, name, args)
    }

    fn run(mut command: Command, name: &str, args: &[&str]) -> Self {
        command.arg(repository().join("tests/web/bench").join(name)).args(args);
        command.env("LATTICE_PASSWORD", PASSWORD).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("node is there");
        let input = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut script = Self { child, input, lines };
        let ready = script.line();
        assert_eq!(ready, "ready", "{name}");
        script
    }

    /// Tells it a line, and waits for its answer.
    ///
    /// # Panics
    /// Where it ends instead.
    pub fn say(&mut self, line: &str) -> Value {
        let input = self.input.as_mut().expect("a pipe");
        writeln!(input, "{line}").expect("it listens");
        serde_json::from_str(&self.line()).expect("JSON")
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it says something").expect("text")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}
