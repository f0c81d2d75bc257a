//! A log as it is read: piece by piece, as fast as whoever reads it takes them.

use super::file::File;
use super::plain;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader};

/// Longer lines are cut.
pub(super) const MAX_LINE: usize = 4096;
/// So much is read at once.
const PIECE: usize = 8 << 10;

/// One line of a log, as plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was said, as RFC 3339 has it, where that is known.
    pub at: Option<String>,
    /// What.
    pub text: String,
}

/// A log that is being read.
pub struct Lines(Source);

enum Source {
    Pipe(Pipe),
    File(File),
    Said(VecDeque<Line>, bool),
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

impl Lines {
    /// Of what comes out of `from`, each line with a time before it, until that ends; `held` is what must
    /// not be closed before.
    pub(crate) fn of_pipe(
        from: impl AsyncRead + Send + Unpin + 'static,
        held: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let from: Box<dyn AsyncRead + Send + Unpin> = Box::new(from);
        let from = BufReader::with_capacity(PIECE, from);
        Self(Source::Pipe(Pipe { from, splitter: Splitter::default(), _held: Box::new(held) }))
    }

    /// Of a file.
    pub(crate) fn of_file(file: File) -> Self {
        Self(Source::File(file))
    }

    /// These, and where `is_open` nothing more for ever.
    pub(crate) fn said(lines: impl IntoIterator<Item = Line>, is_open: bool) -> Self {
        Self(Source::Said(lines.into_iter().collect(), is_open))
    }

    /// What is said next, at least a line; nothing at the end. Whoever gives up waiting misses nothing.
    ///
    /// # Errors
    /// Where it cannot be read any further.
    pub async fn next(&mut self) -> io::Result<Option<Vec<Line>>> {
        match &mut self.0 {
            Source::Pipe(pipe) => pipe.next().await,
            Source::File(file) => file.next().await,
            Source::Said(lines, false) if lines.is_empty() => Ok(None),
            Source::Said(lines, true) if lines.is_empty() => std::future::pending().await,
            Source::Said(lines, _) => Ok(Some(lines.drain(..).collect())),
        }
    }
}

struct Pipe {
    from: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    splitter: Splitter,
    _held: Box<dyn AsyncWrite + Send + Unpin>,
}

impl Pipe {
    async fn next(&mut self) -> io::Result<Option<Vec<Line>>> {
        loop {
            let piece = self.from.fill_buf().await?;
            let count = piece.len();
            let lines = match count {
                0 => self.splitter.last().into_iter().collect(),
                _ => self.splitter.take(piece),
            };
            self.from.consume(count);
            if count == 0 && lines.is_empty() {
                return Ok(None);
            }
            if !lines.is_empty() {
                return Ok(Some(lines.iter().map(|line| Line::read(line)).collect()));
            }
        }
    }
}

impl Line {
    /// A line of which the first word may be a time.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        match text.split_once(' ').filter(|(first, _)| is_time(first)) {
            Some((at, said)) => Self { at: Some(at.to_owned()), text: plain(said) },
            None if is_time(&text) => Self { at: Some(text.into_owned()), text: String::new() },
            None => Self { at: None, text: plain(&text) },
        }
    }
}

/// As RFC 3339 has it, in UTC.
pub(super) fn is_time(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | 'T' | 'Z');
    (20..=30).contains(&word.len())
        && word.starts_with(|c: char| c.is_ascii_digit())
        && word.as_bytes()[10] == b'T'
        && word.ends_with('Z')
        && word.chars().all(is_part)
}

/// Makes lines of pieces. Of one that is too long the end is left out.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    begun: Vec<u8>,
}

impl Splitter {
    /// The lines that are whole with this piece, without their ends.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_end) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            let room = MAX_LINE.saturating_sub(self.begun.len());
            self.begun.extend_from_slice(&text[..text.len().min(room)]);
            if is_end {
                whole.push(std::mem::take(&mut self.begun));
            }
        }
        whole
    }

    /// What was begun and not ended.
    pub(super) fn last(&mut self) -> Option<Vec<u8>> {
        (!self.begun.is_empty()).then(|| std::mem::take(&mut self.begun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(mut lines: Lines) -> Vec<Line> {
        let mut all = Vec::new();
        while let Some(some) = lines.next().await.expect("read") {
            all.extend(some);
        }
        all
    }

    #[tokio::test]
    async fn lines_have_their_time_and_are_plain() {
        let said: &[u8] = b"2026-11-28T20:56:07.123456789Z \x1b[31mone\x1b[0m\n\
              2026-11-28T20:56:08Z\nnot a time two\n\xff\xfe end";
        let (held, _) = tokio::io::duplex(1);
        let lines = all(Lines::of_pipe(said, held)).await;
        let seen: Vec<_> =
            lines.iter().map(|line| (line.at.as_deref(), line.text.as_str())).collect();
        let expected = [
            (Some("2026-11-28T20:56:07.123456789Z"), "one"),
            (Some("2026-11-28T20:56:08Z"), ""),
            (None, "not a time two"),
            (None, "\u{fffd}\u{fffd} end"),
        ];
        assert_eq!(seen, expected);
    }

    #[tokio::test]
    async fn whoever_says_very_much_on_one_line_takes_no_memory_for_it() {
        let mut splitter = Splitter::default();
        for _ in 0..10_000 {
            assert!(splitter.take(&[b'x'; 1000]).is_empty());
        }
        assert!(splitter.begun.capacity() <= 2 * MAX_LINE);
        let ended = splitter.take(b"\nnext\n");
        assert_eq!(ended.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_LINE, 4]);
    }

    #[tokio::test]
    async fn no_more_is_read_than_is_taken() {
        use tokio::io::AsyncWriteExt as _;
        let (from, mut to) = tokio::io::duplex(64 << 10);
        let writer = tokio::spawn(async move {
            let mut sent = 0usize;
            loop {
                if to.write_all(&[b'x'; 1023]).await.and(to.write_all(b"\n").await).is_err() {
                    return sent;
                }
                sent += 1024;
            }
        });
        let (held, _) = tokio::io::duplex(1);
        let mut lines = Lines::of_pipe(from, held);
        assert!(lines.next().await.expect("read").is_some());
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        drop(lines);
        let sent = writer.await.expect("it ends");
        assert!(
            sent <= (64 << 10) + 2 * PIECE,
            "{sent} bytes were taken of which one piece was wanted"
        );
    }
}
