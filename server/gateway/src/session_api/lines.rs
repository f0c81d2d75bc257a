//! Lines of JSON from and to a relay.

use lattice_wire::apps::{FromGateway, MAX_LINE, ToGateway};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// How long a relay may leave unread what it is told.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
const CHUNK: usize = 1024;

/// Why a relay is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("the connection failed")]
    Io(#[from] io::Error),
    #[error("it ended the connection")]
    Ended,
    #[error("it said a line of more than {MAX_LINE} bytes")]
    TooLong,
    #[error("it said what is no line of a relay")]
    Malformed,
    #[error("it does not read")]
    Stuck,
}

/// What a relay says.
pub(super) struct Lines {
    reader: OwnedReadHalf,
    read: Vec<u8>,
}

/// Where it is told.
pub(super) struct Told(OwnedWriteHalf);

pub(super) fn split(stream: UnixStream) -> (Lines, Told) {
    let (reader, writer) = stream.into_split();
    (Lines { reader, read: Vec::new() }, Told(writer))
}

impl Lines {
    /// The next line. Nothing is lost where this is not waited for to its end.
    pub(super) async fn next(&mut self) -> Result<ToGateway, LineError> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(|_| LineError::Malformed);
            }
            if self.read.len() > MAX_LINE {
                return Err(LineError::TooLong);
            }
            self.read.reserve(CHUNK);
            if self.reader.read_buf(&mut self.read).await? == 0 {
                return Err(LineError::Ended);
            }
        }
    }
}

impl Told {
    pub(super) async fn tell(&mut self, what: &FromGateway) -> Result<(), LineError> {
        let mut line = serde_json::to_vec(what).map_err(io::Error::from)?;
        line.push(b'\n');
        let written = timeout(WRITE_PATIENCE, self.0.write_all(&line)).await;
        Ok(written.map_err(|_| LineError::Stuck)??)
    }
}
