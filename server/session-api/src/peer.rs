//! One connection: lines in, lines out, and never more of either than may be.

use rustix::event::PollFlags;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// What waits for somebody who does not read; beyond, they are let go.
const MOST_UNREAD: usize = 128 << 10;
const CHUNK: usize = 4096;

pub(crate) struct Peer {
    stream: UnixStream,
    read: Vec<u8>,
    written: Vec<u8>,
    longest: usize,
    /// It says nothing more.
    ended: bool,
    /// It hears nothing more.
    hung_up: bool,
    /// When it last said a line, or was told one.
    pub(crate) heard: Duration,
    /// It is let go as soon as it has been told everything.
    pub(crate) is_leaving: bool,
}

impl Peer {
    pub(crate) fn new(stream: UnixStream, longest: usize, now: Duration) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (read, written) = (Vec::new(), Vec::new());
        let (ended, hung_up, is_leaving) = (false, false, false);
        Ok(Self { stream, read, written, longest, ended, hung_up, heard: now, is_leaving })
    }

    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// What to wait for. Nothing is read from somebody who waits for an answer.
    pub(crate) fn interest(&self, is_waiting: bool) -> PollFlags {
        let mut flags = PollFlags::empty();
        if !is_waiting && !self.is_leaving && !self.ended {
            flags |= PollFlags::IN;
        }
        if !self.written.is_empty() {
            flags |= PollFlags::OUT;
        }
        flags
    }

    /// Takes what has come.
    pub(crate) fn fill(&mut self) {
        let mut chunk = [0; CHUNK];
        while !self.ended && self.read.len() <= self.longest {
            match self.stream.read(&mut chunk) {
                Ok(0) => self.ended = true,
                Ok(length) => self.read.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.end(),
            }
        }
    }

    /// The next whole line; an error where it is too long.
    pub(crate) fn line(&mut self, now: Duration) -> Option<Result<Vec<u8>, ()>> {
        match self.read.iter().position(|byte| *byte == b'\n') {
            Some(end) if end <= self.longest => {
                self.heard = now;
                Some(Ok(self.read.drain(..=end).collect()))
            }
            None if self.read.len() <= self.longest => None,
            Some(_) | None => {
                self.read = Vec::new();
                Some(Err(()))
            }
        }
    }

    pub(crate) fn tell(&mut self, line: &[u8], now: Duration) {
        self.heard = now;
        self.written.extend_from_slice(line);
        self.written.push(b'\n');
        if self.written.len() > MOST_UNREAD {
            self.end();
        }
        self.flush();
    }

    /// Says on what has to be said.
    pub(crate) fn flush(&mut self) {
        while !self.written.is_empty() {
            match self.stream.write(&self.written) {
                Ok(length) => drop(self.written.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.end(),
            }
        }
        // What was long for once is not kept.
        self.written.shrink_to(CHUNK);
        self.read.shrink_to(CHUNK);
    }

    /// It hung up.
    pub(crate) fn end(&mut self) {
        (self.ended, self.hung_up) = (true, true);
        self.written.clear();
    }

    /// Who has said all that it wants to say still hears the answer.
    pub(crate) fn is_gone(&self, is_waiting: bool) -> bool {
        let has_heard = self.written.is_empty() && !is_waiting;
        self.hung_up || (has_heard && (self.is_leaving || self.ended))
    }
}
