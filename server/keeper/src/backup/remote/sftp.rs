//! A repository on a machine that is reached by SSH: files and directories, by a few connections.

use super::packet::{Entry, FOR_READING, FOR_WRITING};
use super::session::Session;
use super::{Answer, Fault, Names};
use bytes::Bytes;
use lattice_wire::backup::Sftp;
use rustic_core::FileType;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// So many connections at once; a server lets ten begin at a time.
const CONNECTIONS: usize = 4;
/// What a file is called until it is whole.
const UNFINISHED: &str = ".part";
/// What is not finished so long after something newer came into the repository never will be, in seconds.
/// Far longer than a file takes, and both times are of that machine's clock.
const GIVEN_UP_AFTER: u32 = 6 * 3600;

/// A few connections, made when they are needed.
pub(super) struct Pool {
    place: Sftp,
    patience: Duration,
    idle: Mutex<(Vec<Session>, usize)>,
    freed: Condvar,
    seen: Mutex<Seen>,
}

/// What lists of directories said beside what was asked, from which it is known what was left behind.
#[derive(Default)]
struct Seen {
    /// Files that are not finished, and when they were last written to.
    unfinished: BTreeMap<String, u32>,
    /// When any that is finished was last written to.
    newest: u32,
}

impl Seen {
    fn note(&mut self, directory: &str, found: &[Entry]) {
        for Entry { name, attributes } in found {
            let Some(changed) = attributes.changed else { continue };
            if is_id(name) {
                self.newest = self.newest.max(changed);
            } else if name.strip_suffix(UNFINISHED).is_some_and(is_id) {
                self.unfinished.insert(format!("{directory}/{name}"), changed);
            }
        }
    }

    fn given_up(&self) -> Vec<String> {
        let old =
            |changed: u32| changed.checked_add(GIVEN_UP_AFTER).is_some_and(|it| it < self.newest);
        let all = self.unfinished.iter().filter(|(_, changed)| old(**changed));
        all.map(|(path, _)| path.clone()).collect()
    }
}

/// Whether a file is named by what is in it, as all of restic's are: others may keep what they like beside them.
fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|it| it.is_ascii_hexdigit())
}

impl Pool {
    pub(super) fn new(place: Sftp, patience: Duration) -> Self {
        Self {
            place,
            patience,
            idle: Mutex::default(),
            freed: Condvar::new(),
            seen: Mutex::default(),
        }
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
    pub(super) fn list(&self, of: FileType) -> Answer<Names> {
        match of {
            FileType::Config => {
                let path = self.at("config");
                Ok(vec![("config".into(), self.with(|session| session.size(&path))?)])
            }
            FileType::Index | FileType::Key | FileType::Snapshot => {
                let path = self.at(of.dirname());
                self.with(|session| self.look(session, &path))
            }
            FileType::Pack => self.packs(),
        }
    }

    /// What is in a directory; what else that says is remembered.
    fn look(&self, session: &mut Session, directory: &str) -> Answer<Names> {
        let found = session.list(directory)?;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).note(directory, &found);
        Ok(found.into_iter().map(|it| (it.name, it.attributes.size)).collect())
    }

    fn packs(&self) -> Answer<Names> {
        let data = self.at(FileType::Pack.dirname());
        let below = self.with(|session| self.look(session, &data))?;
        let some = |part: &[(String, u64)]| {
            self.with(|session| {
                let mut all = Vec::new();
                for (name, _) in part {
                    match self.look(session, &format!("{data}/{name}")) {
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

    /// Removes what was left behind, as far as lists have shown it.
    pub(super) fn sweep(&self) {
        let given_up = self.seen.lock().unwrap_or_else(PoisonError::into_inner).given_up();
        for path in given_up {
            match self.with(|session| session.remove(&path)) {
                Ok(()) | Err(Fault::Missing | Fault::Lasting(_)) => {}
                // That machine is gone; there is another time.
                Err(Fault::Passing(_)) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::remote::packet::Attributes;

    fn entry(name: &str, changed: Option<u32>) -> Entry {
        Entry { name: name.into(), attributes: Attributes { size: 1, changed } }
    }

    #[test]
    fn only_what_is_ours_and_was_left_behind_is_swept() {
        let (id, now) = ("0123456789abcdef".repeat(4), 1_700_000_000);
        let old = Some(now - GIVEN_UP_AFTER - 1);
        let mut seen = Seen::default();
        seen.note("/d/00", &[entry(&format!("{id}.part"), old), entry(&id, old)]);
        // Nothing newer has come: that machine's clock may have stood still.
        assert_eq!(seen.given_up(), Vec::<String>::new());
        let young = Some(now - GIVEN_UP_AFTER);
        let others = ["notes.part", "0123.part", ".part", "config.part.part"];
        let others: Vec<_> = others.map(|name| entry(name, old)).into();
        seen.note("/d/01", &[entry(&format!("{id}.part"), young)]);
        // What is no file of the repository says nothing of its time.
        seen.note("/d/02", &[entry(&format!("{id}.part"), None), entry("new", Some(u32::MAX))]);
        seen.note("/d/03", &others);
        assert_eq!(seen.given_up(), Vec::<String>::new());
        seen.note("/d/04", &[entry(&id, Some(now))]);
        assert_eq!(seen.given_up(), [format!("/d/00/{id}.part")]);
    }
}
