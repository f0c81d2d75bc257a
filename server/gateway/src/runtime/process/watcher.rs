//! Notices that something changed: a supervisor wrote its state, or ended. Costs nothing while
//! nothing does.

use crate::supervise::sandbox;
use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Counts the changes.
#[derive(Debug)]
pub(super) struct Watcher {
    changes: Arc<watch::Sender<u64>>,
    directories: Arc<AsyncFd<OwnedFd>>,
    reader: JoinHandle<()>,
}

impl Watcher {
    pub(super) fn start() -> io::Result<Self> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let directories = Arc::new(awaitable(inotify::init(flags)?)?);
        let changes = Arc::new(watch::Sender::new(0));
        let reader = tokio::spawn(read(directories.clone(), changes.clone()));
        Ok(Self { changes, directories, reader })
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// For those who notice a change by themselves.
    pub(super) fn counter(&self) -> Arc<watch::Sender<u64>> {
        self.changes.clone()
    }

    /// Files are written by renaming, so that is what is looked out for. The kernel forgets the
    /// watch when the directory goes.
    pub(super) fn watch_directory(&self, directory: &Path) {
        let what = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::DELETE_SELF;
        if let Err(error) = inotify::add_watch(self.directories.get_ref(), directory, what) {
            tracing::warn!(%error, directory = %directory.display(), "a session cannot be watched");
        }
        bump(&self.changes);
    }

    /// Waits for a child, which also keeps it from staying behind as a zombie.
    pub(super) fn watch_child(&self, mut child: Child) {
        let changes = self.changes.clone();
        tokio::spawn(async move {
            let _ = child.wait().await;
            bump(&changes);
        });
    }

    /// Waits for a process that is no child.
    pub(super) fn watch_process(&self, descriptor: OwnedFd) {
        let changes = self.changes.clone();
        tokio::spawn(async move {
            if let Ok(descriptor) = awaitable(descriptor) {
                let _ = descriptor.readable().await;
            }
            bump(&changes);
        });
    }
}

/// A descriptor to wait for: a process' is readable when that has ended.
///
/// tokio's safe way is deprecated because a type may say one descriptor now and another later, or
/// close it; the one that it recommends is unsafe for that reason, which this crate forbids. An
/// [`OwnedFd`] is always the same one and open.
#[expect(deprecated, reason = "sound for OwnedFd")]
pub(super) fn awaitable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(descriptor)
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(directories: Arc<AsyncFd<OwnedFd>>, changes: Arc<watch::Sender<u64>>) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    while let Ok(mut ready) = directories.readable().await {
        // What it was does not matter: a look shows how things are.
        let mut events = inotify::Reader::new(directories.get_ref(), &mut buffer);
        while events.next().is_ok() {}
        ready.clear_ready();
        bump(&changes);
    }
}

fn bump(changes: &watch::Sender<u64>) {
    changes.send_modify(|count| *count += 1);
}

/// Waits until a process has ended.
pub(super) async fn ended(descriptor: AsyncFd<OwnedFd>, patience: Duration) -> io::Result<()> {
    match timeout(patience, descriptor.readable()).await {
        Ok(ready) => ready.map(|mut ready| ready.retain_ready()),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it is killed and does not go")),
    }
}

/// Descriptors of the processes that carry a session's mark in the environment that they were started
/// with. A program may wipe its own, but not that of the first process of its sandbox, which ends
/// after all others.
pub(super) fn marked(session: &[u8]) -> Vec<OwnedFd> {
    let mark = [sandbox::MARK.as_bytes(), b"=", session].concat();
    let has_mark = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark)
    };
    let own = std::process::id();
    let pids = processes().into_iter().map(|(pid, _)| pid).filter(|pid| *pid as u32 != own);
    let open = |pid: i32| {
        let descriptor = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        // Looked at again: the number may have been given away meanwhile.
        has_mark(&pid).then_some(descriptor)
    };
    pids.filter(has_mark).filter_map(open).collect()
}

/// All processes and their parents.
pub(crate) fn processes() -> Vec<(i32, i32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| Some((pid, parent(pid)?))).collect()
}

fn parent(pid: i32) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
