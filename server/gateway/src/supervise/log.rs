//! What the supervisor and the parts say, in a file that stays small.
//!
//! At [`MAX_BYTES`] the file becomes `log.before` and a new one begins. A part that says more than
//! can be read at [`PACE`] waits with it: it may fill its own time, not this machine's disk or ours.

use crate::logs::stamped;
use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::sleep;

/// Some thousand lines.
const MAX_BYTES: u64 = 256 * 1024;
/// The pause after so many bytes as are read at once.
const PACE: Duration = Duration::from_millis(10);
const READ_AT_ONCE: usize = 4096;
/// Longer lines are cut in pieces.
const MAX_LINE: usize = 1024;

/// The log of one desktop.
#[derive(Debug, Clone)]
pub(super) struct Log(Arc<Mutex<Written>>);

#[derive(Debug)]
struct Written {
    path: PathBuf,
    file: File,
    bytes: u64,
    last: String,
}

impl Log {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("log");
        let file = append(&path)?;
        let (bytes, last) = (file.metadata()?.len(), String::new());
        Ok(Self(Arc::new(Mutex::new(Written { path, file, bytes, last }))))
    }

    /// Writes a line of our own or of a part.
    pub(super) fn line(&self, who: &str, text: &str) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // There is nobody to tell about a disk that is full.
        let _ = written.write(who, text);
    }

    /// The newest line that a part wrote.
    pub(super) fn last(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }

    /// Takes down whatever comes, until it ends.
    pub(super) fn follow(
        &self,
        who: &'static str,
        from: Option<impl AsyncRead + Unpin + Send + 'static>,
    ) {
        let Some(from) = from else { return };
        let log = self.clone();
        tokio::spawn(async move {
            let _ = log.take_down(who, from).await;
        });
    }

    async fn take_down(&self, who: &str, mut from: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut buffer = [0; READ_AT_ONCE];
        let mut rest: Vec<u8> = Vec::new();
        loop {
            let count = from.read(&mut buffer).await?;
            rest.extend_from_slice(&buffer[..count]);
            while let Some(end) = line_end(&rest, count == 0) {
                let line: Vec<u8> = rest.drain(..end).collect();
                self.line(who, String::from_utf8_lossy(&line).trim_end());
            }
            if count == 0 {
                return Ok(());
            }
            if count == buffer.len() {
                sleep(PACE).await;
            }
        }
    }
}

/// Where the first line ends; at the end of all, what is left is one.
fn line_end(bytes: &[u8], is_all: bool) -> Option<usize> {
    let newline = bytes.iter().take(MAX_LINE).position(|byte| *byte == b'\n');
    newline.map(|at| at + 1).or_else(|| match bytes.len() {
        0 => None,
        MAX_LINE.. => Some(MAX_LINE),
        length => is_all.then_some(length),
    })
}

impl Written {
    fn write(&mut self, who: &str, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if who != "supervisor" {
            self.last = text.to_owned();
        }
        // What a part says may try to look like something else in a terminal.
        let line = stamped(SystemTime::now(), who, text);
        if self.bytes + line.len() as u64 > MAX_BYTES {
            rename(&self.path, self.path.with_extension("before"))?;
            self.file = append(&self.path)?;
            self.bytes = 0;
        }
        self.bytes += line.len() as u64;
        self.file.write_all(line.as_bytes())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dir: &Path, name: &str) -> String {
        std::fs::read_to_string(dir.join(name)).unwrap_or_default()
    }

    #[tokio::test]
    async fn lines_are_taken_down_with_who_said_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = Log::open(dir.path()).expect("a log");
        let said: &[u8] = b"one\n\ntwo \x1b[2J\nthree";
        log.take_down("desktop", said).await.expect("read");
        let text = read(dir.path(), "log");
        let lines: Vec<_> = text.lines().filter_map(|line| line.split_once("desktop: ")).collect();
        let said: Vec<_> = lines.iter().map(|(_, said)| *said).collect();
        assert_eq!(said, ["one", "two", "three"]);
        assert_eq!(log.last(), "three");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_floods_the_log_fills_no_disk_and_the_newest_lines_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = Log::open(dir.path()).expect("a log");
        let flood = tokio::io::repeat(b'x').take(5_000_000);
        log.take_down("desktop", flood).await.expect("read");
        log.line("desktop", "the last word");
        let (now, before) = (read(dir.path(), "log"), read(dir.path(), "log.before"));
        assert!(now.ends_with("the last word\n"));
        assert!(now.len() as u64 <= MAX_BYTES && before.len() as u64 <= MAX_BYTES);
        assert!(before.lines().count() > 100, "the lines before are there, too");
    }
}
