//! A repository on a machine that is reached by SSH: files and directories, by a few connections.

use super::packet::{FOR_READING, FOR_WRITING};
use super::session::Session;
use super::{Answer, Fault};
use bytes::Bytes;
use lattice_wire::backup::Sftp;
use rustic_core::FileType;
use std::ops::Range;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// So many connections at once; a server lets ten begin at a time.
const CONNECTIONS: usize = 4;
/// What a file is called until it is whole.
const UNFINISHED: &str = ".part";

/// A few connections, made when they are needed.
pub(super) struct Pool {
    place: Sftp,
    patience: Duration,
    idle: Mutex<(Vec<Session>, usize)>,
    freed: Condvar,
}

impl Pool {
    pub(super) fn new(place: Sftp, patience: Duration) -> Self {
        Self { place, patience, idle: Mutex::default(), freed: Condvar::new() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Session) -> Answer<T>) -> Answer<T> {
        let kept = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            while idle.1 >= CONNECTIONS {
                idle = self.freed.wait(idle).unwrap_or_else(PoisonError::into_inner);
            }
            idle.1 += 1;
            idle.0.pop()
        };
        let session = match kept {
            Some(session) => Ok(session),
            None => Session::connect(&self.place, self.patience),
        };
        let done = session.map(|mut session| {
            let done = work(&mut session);
            // What broke in the middle has answers on the way that belong to nothing.
            let is_well = !matches!(done, Err(Fault::Passing(_))) && session.is_even();
            (done, is_well.then_some(session))
        });
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.1 -= 1;
        self.freed.notify_one();
        match done {
            Ok((done, session)) => {
                if matches!(done, Err(Fault::Passing(_))) {
                    // The others have lost the same machine.
                    idle.0.clear();
                }
                idle.0.extend(session);
                done
            }
            Err(fault) => Err(fault),
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.place.path.trim_end_matches('/'))
    }

    pub(super) fn is_empty(&self) -> Answer<bool> {
        match self.with(|session| session.list(&self.place.path)) {
            Err(Fault::Missing) => Ok(true),
            found => Ok(found?.is_empty()),
        }
    }

    /// The directory and all in it that restic's format has.
    pub(super) fn create(&self) -> Answer<()> {
        self.with(|session| {
            session.mkdir(self.place.path.trim_end_matches('/'))?;
            for name in ["data", "index", "keys", "snapshots"] {
                session.mkdir(&self.at(name))?;
            }
            for number in 0..=u8::MAX {
                session.mkdir(&self.at(&format!("data/{number:02x}")))?;
            }
            Ok(())
        })
    }

    /// Names and sizes in bytes.
    pub(super) fn list(&self, of: FileType) -> Answer<Vec<(String, u64)>> {
        match of {
            FileType::Config => {
                let path = self.at("config");
                Ok(vec![("config".into(), self.with(|session| session.size(&path))?)])
            }
            FileType::Index | FileType::Key | FileType::Snapshot => {
                let path = self.at(of.dirname());
                self.with(|session| session.list(&path))
            }
            FileType::Pack => self.packs(),
        }
    }

    fn packs(&self) -> Answer<Vec<(String, u64)>> {
        let data = self.at(FileType::Pack.dirname());
        let below = self.with(|session| session.list(&data))?;
        let some = |part: &[(String, u64)]| {
            self.with(|session| {
                let mut all = Vec::new();
                for (name, _) in part {
                    match session.list(&format!("{data}/{name}")) {
                        Err(Fault::Missing) => {}
                        found => all.extend(found?),
                    }
                }
                Ok(all)
            })
        };
        let parts = below.chunks(below.len().div_ceil(CONNECTIONS).max(1));
        thread::scope(|scope| {
            let all: Vec<_> = parts.map(|part| scope.spawn(move || some(part))).collect();
            let mut found = Vec::new();
            for one in all {
                let lost = || Fault::Passing("a list was lost".into());
                found.extend(one.join().map_err(|_| lost())??);
            }
            Ok(found)
        })
    }

    pub(super) fn read(&self, path: &str, range: Option<Range<u64>>) -> Answer<Vec<u8>> {
        let path = self.at(path);
        self.with(|session| {
            let range = match range {
                Some(range) => range,
                None => 0..session.size(&path)?,
            };
            let handle = session.open(&path, FOR_READING)?;
            let read = session.read(&handle, range);
            session.close(&handle)?;
            read
        })
    }

    pub(super) fn write(&self, path: &str, pieces: &[Bytes]) -> Answer<()> {
        let path = self.at(path);
        let unfinished = format!("{path}{UNFINISHED}");
        self.with(|session| {
            let opened = match session.open(&unfinished, FOR_WRITING) {
                Err(Fault::Missing) => {
                    // Repositories that others made need not have all directories yet.
                    session.mkdir(path.rsplit_once('/').map_or("", |(above, _)| above))?;
                    session.open(&unfinished, FOR_WRITING)
                }
                opened => opened,
            };
            let handle = opened?;
            let written = session.write(&handle, pieces);
            let closed = session.close(&handle);
            let done = written.and(closed).and_then(|()| session.replace(&unfinished, &path));
            if let Err(Fault::Lasting(_)) = done {
                let _ = session.remove(&unfinished);
            }
            done
        })
    }

    pub(super) fn remove(&self, path: &str) -> Answer<()> {
        let path = self.at(path);
        self.with(|session| session.remove(&path))
    }
}
