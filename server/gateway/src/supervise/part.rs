//! One part of a desktop as a process: bwrap, with a sandbox below it.

use super::log::Log;
use crate::runtime::process::processes;
use anyhow::Context as _;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, waitid};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long the kernel may take to end what was killed.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// A started part.
pub(super) struct Part {
    child: Child,
    /// The pipe it hangs on: closing it asks the part to end. Held apart, because waiting for a
    /// child closes the pipe that it still has.
    lifeline: Option<ChildStdin>,
}

/// Which of this process' children are parts that were not waited for. All others are what a
/// sandbox left behind.
#[derive(Debug, Clone, Default)]
pub(super) struct Living(Rc<RefCell<BTreeSet<i32>>>);

/// The seat of a part, kept up to date so that the part can be ended whatever was waited for.
pub(super) struct Seat {
    name: &'static str,
    part: Option<Part>,
    living: Living,
}

impl Seat {
    pub(super) fn new(name: &'static str, living: &Living) -> Self {
        Self { name, part: None, living: living.clone() }
    }

    /// Starts the part and waits for its end. How that came is returned in words.
    pub(super) async fn run(&mut self, mut command: Command, log: &Log) -> anyhow::Result<String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start the {}", self.name))?;
        self.living.0.borrow_mut().extend(pid(&child));
        log.follow(self.name, child.stdout.take());
        log.follow(self.name, child.stderr.take());
        let lifeline = child.stdin.take();
        let part = self.part.insert(Part { child, lifeline });
        let ended = part.child.wait().await;
        self.end(Duration::ZERO, log).await;
        Ok(words(ended))
    }

    /// Asks the part to end, kills it where it takes longer than that, and returns when all of its
    /// sandbox is gone.
    pub(super) async fn end(&mut self, patience: Duration, log: &Log) {
        if let Some(mut part) = self.part.take() {
            drop(part.lifeline.take());
            let pid = pid(&part.child);
            if timeout(patience, part.child.wait()).await.is_err() {
                log.line("supervisor", &format!("the {} does not end and is killed", self.name));
                let _ = part.child.kill().await;
            }
            self.living.0.borrow_mut().retain(|living| Some(*living) != pid);
        }
        self.living.clear_orphans(log).await;
    }
}

impl Living {
    /// Ends what a sandbox left behind. The process that is the first in its namespace outlives
    /// bwrap itself for a moment, and is done only when all the others in there are.
    async fn clear_orphans(&self, log: &Log) {
        let until = Instant::now() + KILL_PATIENCE;
        loop {
            let orphans = self.orphans();
            if orphans.is_empty() {
                return;
            }
            if Instant::now() >= until {
                return log.line("supervisor", &format!("{} processes do not go", orphans.len()));
            }
            for orphan in orphans {
                let _ = kill_process(orphan, Signal::KILL);
                let _ = waitid(WaitId::Pid(orphan), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            }
            sleep(POLL).await;
        }
    }

    fn orphans(&self) -> Vec<Pid> {
        let own = getpid().as_raw_pid();
        let living = self.0.borrow();
        let children = processes().into_iter().filter(|(_, parent)| *parent == own);
        let orphans = children.filter(|(pid, _)| !living.contains(pid));
        orphans.filter_map(|(pid, _)| Pid::from_raw(pid)).collect()
    }
}

fn pid(child: &Child) -> Option<i32> {
    child.id()?.try_into().ok()
}

fn words(ended: io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => status.to_string(),
        Err(error) => format!("an end that cannot be told: {error}"),
    }
}
