//! What the parts of a desktop say, for whoever looks after it: read as they say it.
//!
//! What is in a log was written by programs on a desktop, so it is foreign: it is cut to a length, and
//! made plain text ([`plain`]) before anybody sees it. What is kept is bounded by whoever keeps it, the
//! supervisor or the engine; what is on its way is one piece at a time, which waits for its reader.
//!
//! INVARIANT: nothing of Lattice writes keys typed, clipboard text or tokens into one.

mod file;
mod lines;
mod plain;

pub use lines::{Line, Lines};
pub use plain::plain;

pub(crate) use file::{File, PARTS, stamped};

use crate::runtime::{Runtime, RuntimeError};
use crate::store::UserId;
use lattice_engine::session::SessionId;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// As many lines of before are read at most.
pub const MOST_LINES: u32 = 5000;
/// As many logs are read at once: each is a connection of the broker's, which has others to serve.
pub const MOST_AT_ONCE: usize = 48;
/// The same of one person.
const MOST_OF_ONE: u32 = 6;
/// `app:` and the longest name of an app.
const MAX_PART: usize = 4 + 64;

/// A part of a desktop that says something: a role as runtimes call it, or `app:` and the app's name.
/// It is compared with names that there are, and never a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartName(String);

/// It is no name of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part is a-z, 0-9 and -, and of an app begins with app:")]
pub struct NotAPart;

impl PartName {
    /// Of an app.
    pub fn app(name: &str) -> Result<Self, NotAPart> {
        format!("app:{name}").try_into()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which app, where it is one.
    pub fn of_app(&self) -> Option<&str> {
        self.0.strip_prefix("app:")
    }
}

impl TryFrom<String> for PartName {
    type Error = NotAPart;

    fn try_from(text: String) -> Result<Self, NotAPart> {
        let name = text.strip_prefix("app:").unwrap_or(&text);
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_good = !name.is_empty() && text.len() <= MAX_PART && name.bytes().all(inner);
        if is_good { Ok(Self(text)) } else { Err(NotAPart) }
    }
}

impl From<PartName> for String {
    fn from(part: PartName) -> Self {
        part.0
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The newest so many lines of what was said.
    pub tail: u32,
    /// Whether also what is said from then on.
    pub follow: bool,
}

/// A handle to the logs of all desktops.
#[derive(Debug, Clone)]
pub struct Logs(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    runtime: Arc<Runtime>,
    room: Arc<Semaphore>,
    /// How many each person reads.
    reading: Mutex<HashMap<UserId, u32>>,
}

/// Why a log is not read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// As many as may be are read already.
    #[error("very many logs are read at this moment; close one, or try again soon")]
    Crowd,
    /// The runtime has none of it.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// A log that is read, and the place that it takes.
#[derive(Debug)]
pub struct Reading {
    /// What is said.
    pub lines: Lines,
    _place: Place,
}

#[derive(Debug)]
struct Place {
    parts: Arc<Parts>,
    user: UserId,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut reading = self.parts.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let left = reading.get(&self.user).map_or(0, |count| count.saturating_sub(1));
        match left {
            0 => drop(reading.remove(&self.user)),
            left => drop(reading.insert(self.user, left)),
        }
    }
}

impl Logs {
    /// Of what this runtime runs.
    pub fn new(runtime: Arc<Runtime>) -> Self {
        let room = Arc::new(Semaphore::new(MOST_AT_ONCE));
        Self(Arc::new(Parts { runtime, room, reading: Mutex::default() }))
    }

    /// The parts that have said something and are no containers; those are among what a desktop takes.
    pub fn kept_parts(&self, session: &SessionId) -> Vec<&'static str> {
        self.0.runtime.kept_log_parts(session)
    }

    /// Begins to read.
    ///
    /// # Errors
    /// Where too many are read already, or the runtime has no such part.
    pub async fn read(
        &self,
        user: UserId,
        session: &SessionId,
        part: &PartName,
        window: Window,
    ) -> Result<Reading, LogError> {
        let place = self.place(user)?;
        let lines = self.0.runtime.logs(session, part, window).await?;
        Ok(Reading { lines, _place: place })
    }

    fn place(&self, user: UserId) -> Result<Place, LogError> {
        let permit = self.0.room.clone().try_acquire_owned().map_err(|_| LogError::Crowd)?;
        let mut reading = self.0.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let own = reading.entry(user).or_default();
        if *own >= MOST_OF_ONE {
            return Err(LogError::Crowd);
        }
        *own += 1;
        Ok(Place { parts: self.0.clone(), user, _permit: permit })
    }
}

impl Reading {
    /// What is said next; nothing at the end. Whoever gives up waiting misses nothing.
    ///
    /// # Errors
    /// Where it cannot be read any further.
    pub async fn next(&mut self) -> std::io::Result<Option<Vec<Line>>> {
        self.lines.next().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Fake;

    #[test]
    fn a_part_is_a_name_and_leads_nowhere() {
        for good in ["xorg", "desktop", "app:code", "app:vs-code2"] {
            let part = PartName::try_from(good.to_owned()).expect(good);
            assert_eq!(part.of_app(), good.strip_prefix("app:"));
        }
        let long = format!("app:{}", "a".repeat(65));
        for bad in ["", "app:", "../log", "app:../x", "a/b", "A", "a b", "app:app:x", "é", &long] {
            assert_eq!(PartName::try_from(bad.to_owned()), Err(NotAPart), "{bad}");
        }
    }

    #[tokio::test]
    async fn one_person_reads_a_few_at_once_and_others_still_can() {
        let dir = tempfile::tempdir().expect("a directory");
        let fake = Fake::new(dir.path().to_owned());
        let logs = Logs::new(Arc::new(Runtime::Fake(fake)));
        let session = SessionId::from_bytes([7; 10]);
        let part = PartName::try_from("desktop".to_owned()).expect("a part");
        let window = Window { tail: 10, follow: true };
        let read = async |user| logs.read(UserId(user), &session, &part, window).await;
        let mut open = Vec::new();
        for _ in 0..MOST_OF_ONE {
            open.push(read(1).await.expect("there is room"));
        }
        assert!(matches!(read(1).await, Err(LogError::Crowd)));
        open.push(read(2).await.expect("another person"));
        open.remove(0);
        open.push(read(1).await.expect("one was closed"));
        drop(open);
        assert!(logs.0.reading.lock().expect("nobody panicked").is_empty());
        assert_eq!(logs.0.room.available_permits(), MOST_AT_ONCE);
    }
}
