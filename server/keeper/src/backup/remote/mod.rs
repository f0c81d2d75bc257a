//! A repository on another machine: what rustic asks of a backend, over SFTP or S3.
//!
//! The library has a backend of its own for this, which brings twenty-five kinds of storage, an async runtime
//! and four hundred crates, cannot be told which keys an SSH server may have, and does not say what to do.
//! Here each thing is asked a few times at most, each time for a bounded while, and what cannot be reached
//! then is not asked again: whatever still waits hears the same at once.
//!
//! INVARIANT: what is written is there whole or not at all.

mod packet;
mod s3;
mod session;
mod sftp;
mod ssh;
mod text;

use lattice_wire::backup::Place;
use rustic_core::{
    BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend,
};
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Between two tries, as parts of how long a server may be silent: 0.3, 1 and 3 s of half a minute.
const WAITS: [u32; 3] = [100, 30, 10];

/// Why something could not be done.
#[derive(Debug)]
enum Fault {
    /// It is not there.
    Missing,
    /// It may succeed a moment later: a connection broke, a server is busy.
    Passing(String),
    /// It will not, with what to do.
    Lasting(String),
}

type Answer<T> = Result<T, Fault>;

/// What is in a directory, each with its size in bytes.
type Names = Vec<(String, u64)>;

/// What can be reached no longer, or was refused, as a sentence for whoever operates the server.
#[derive(Debug, Clone)]
pub(super) struct Trouble(pub(super) String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

/// A repository.
pub(super) struct Remote {
    name: String,
    transport: Transport,
    patience: Duration,
    /// Why nothing is asked any more.
    down: Mutex<Option<Trouble>>,
}

enum Transport {
    Sftp(sftp::Pool),
    S3(Box<s3::Bucket>),
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.name).finish()
    }
}

impl Remote {
    /// Nothing where the place is a directory of this machine.
    pub(super) fn of(place: &Place, patience: Duration) -> Result<Option<Self>, String> {
        let transport = match place {
            Place::Directory(_) => return Ok(None),
            Place::Sftp(place) => Transport::Sftp(sftp::Pool::new(place.clone(), patience)),
            Place::S3(place) => Transport::S3(Box::new(s3::Bucket::new(place, patience)?)),
        };
        Ok(Some(Self { name: place.to_string(), transport, patience, down: Mutex::default() }))
    }

    /// Asks again although it could not be reached before.
    pub(super) fn revive(&self) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why nothing is asked any more.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether anything is where the repository is to be.
    pub(super) fn is_empty(&self) -> Result<bool, Trouble> {
        let is_empty = self.often(|to| match to {
            Transport::Sftp(pool) => pool.is_empty(),
            Transport::S3(bucket) => bucket.is_empty(),
        })?;
        Ok(is_empty.unwrap_or(true))
    }

    /// Whether there is a repository.
    pub(super) fn has_config(&self) -> Result<bool, Trouble> {
        Ok(self.often(|to| list(to, FileType::Config))?.is_some_and(|found| !found.is_empty()))
    }

    /// Removes what was half written long ago by somebody who did not live to finish it, as far as it was seen
    /// since this was made. What cannot be removed takes room, and is in nobody's way.
    pub(super) fn sweep(&self) {
        match &self.transport {
            Transport::Sftp(pool) => pool.sweep(),
            // What is put into a bucket is there whole or not at all.
            Transport::S3(_) => {}
        }
    }

    /// What is answered, within a few tries; nothing where something is not there.
    fn often<T>(&self, ask: impl Fn(&Transport) -> Answer<T>) -> Result<Option<T>, Trouble> {
        let mut waits = WAITS.iter();
        loop {
            if let Some(trouble) = self.trouble() {
                return Err(trouble);
            }
            let why = match ask(&self.transport) {
                Ok(answer) => return Ok(Some(answer)),
                Err(Fault::Missing) => return Ok(None),
                Err(Fault::Lasting(why)) => why,
                Err(Fault::Passing(why)) => match waits.next() {
                    Some(wait) => {
                        thread::sleep(self.patience / *wait);
                        continue;
                    }
                    None => why,
                },
            };
            let trouble = Trouble(format!("the repository {}: {why}", self.name));
            *self.down.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble.clone());
            return Err(trouble);
        }
    }

    /// The same for the library, to which whatever is not there is an error.
    fn ask<T>(
        &self,
        step: &str,
        path: &str,
        ask: impl Fn(&Transport) -> Answer<T>,
    ) -> RusticResult<T> {
        let missing = || Trouble(format!("the repository {}: {path} is not there", self.name));
        let answer = self.often(ask).and_then(|answer| answer.ok_or_else(missing));
        answer.map_err(|trouble| RusticError::with_source(ErrorKind::Backend, step, trouble))
    }
}

fn list(transport: &Transport, of: FileType) -> Answer<Names> {
    match transport {
        Transport::Sftp(pool) => pool.list(of),
        Transport::S3(bucket) => bucket.list(of),
    }
}

fn read(transport: &Transport, path: &str, range: Option<Range<u64>>) -> Answer<Vec<u8>> {
    match transport {
        Transport::Sftp(pool) => pool.read(path, range),
        Transport::S3(bucket) => bucket.read(path, range),
    }
}

/// Where restic keeps it, from the repository on.
fn path(of: FileType, id: &Id) -> String {
    let hex = id.to_hex();
    match of {
        FileType::Config => "config".into(),
        FileType::Pack => format!("data/{}/{}", &hex.as_str()[..2], hex.as_str()),
        FileType::Index | FileType::Key | FileType::Snapshot => {
            format!("{}/{}", of.dirname(), hex.as_str())
        }
    }
}

impl ReadBackend for Remote {
    fn location(&self) -> String {
        self.name.clone()
    }

    fn list_with_size(&self, of: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let found = self.ask("list files", of.dirname(), |to| match list(to, of) {
            // A server keeps no empty directories, or has none yet.
            Err(Fault::Missing) => Ok(Vec::new()),
            found => found,
        })?;
        if of == FileType::Config {
            let size = |(_, size): &(String, u64)| u32::try_from(*size).unwrap_or(u32::MAX);
            return Ok(found.first().map(|one| (Id::default(), size(one))).into_iter().collect());
        }
        let known = |(name, size): &(String, u64)| {
            Some((Id::parse_some(name, of)?, u32::try_from(*size).unwrap_or(u32::MAX)))
        };
        Ok(found.iter().filter_map(known).collect())
    }

    fn read_full(&self, of: FileType, id: &Id) -> RusticResult<bytes::Bytes> {
        let path = path(of, id);
        Ok(self.ask("read a file", &path, |to| read(to, &path, None))?.into())
    }

    fn read_partial(
        &self,
        of: FileType,
        id: &Id,
        _cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<bytes::Bytes> {
        let path = path(of, id);
        let range = u64::from(offset)..u64::from(offset) + u64::from(length);
        let read = self.ask("read a file", &path, |to| read(to, &path, Some(range.clone())))?;
        if read.len() != length as usize {
            let short = Trouble(format!("the repository {}: {path} is cut short", self.name));
            return Err(RusticError::with_source(ErrorKind::Backend, "read a file", short));
        }
        Ok(read.into())
    }

    fn warmup_path(&self, of: FileType, id: &Id) -> String {
        path(of, id)
    }
}

impl WriteBackend for Remote {
    fn create(&self) -> RusticResult<()> {
        self.ask("make directories", "", |to| match to {
            Transport::Sftp(pool) => pool.create(),
            Transport::S3(_) => Ok(()),
        })
    }

    fn write_bytes(
        &self,
        of: FileType,
        id: &Id,
        _cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        let (path, pieces) = (path(of, id), content.slice());
        self.ask("write a file", &path, |to| match to {
            Transport::Sftp(pool) => pool.write(&path, pieces),
            Transport::S3(bucket) => bucket.write(&path, pieces),
        })
    }

    fn remove(&self, of: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let path = path(of, id);
        let removed = self.often(|to| match to {
            Transport::Sftp(pool) => pool.remove(&path),
            Transport::S3(bucket) => bucket.remove(&path),
        });
        // What is gone is what was wanted: the answer to the first try may have been lost.
        let removed = removed.map(drop);
        removed.map_err(|it| RusticError::with_source(ErrorKind::Backend, "remove a file", it))
    }
}
