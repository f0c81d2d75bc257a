//! The signals that ask a server to end.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What asks a process to end.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Of the terminal's closing; nothing where the process is to outlive it.
    hang_up: Option<Signal>,
}

impl Signals {
    /// Starts listening for them.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("listen for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("listen for SIGTERM")?,
            hang_up: Self::hang_up()?,
        })
    }

    /// Not where it is ignored, as under `nohup`: listening would undo that.
    fn hang_up() -> anyhow::Result<Option<Signal>> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if ignores_hang_up(&status) {
            return Ok(None);
        }
        signal(SignalKind::hangup()).map(Some).context("listen for SIGHUP")
    }

    /// Waits for one.
    pub async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}

/// Reads the set of ignored signals in `/proc/<pid>/status`, whose lowest bit is SIGHUP's.
fn ignores_hang_up(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_up_that_is_ignored_is_recognised() {
        for (set, ignored) in [("0000000000001000", false), ("0000000000001001", true), ("", false)]
        {
            let status = format!("Name:\tlattice\nSigIgn:\t{set}\nSigCgt:\t0000000000000001\n");
            assert_eq!(ignores_hang_up(&status), ignored, "{set}");
        }
    }
}
