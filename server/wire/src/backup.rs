//! How backups are asked for, of the keeper (`server/keeper`, `--backup`): lines of JSON in, a line of
//! JSON out for each. The first says where the repository is.
//!
//! A backup is a set of snapshots in a repository of restic's format: one of each person's files, and one
//! of the server's own state, which is made last and names all others. What no such one names is half of
//! a backup and goes with the next [`Request::Tidy`].

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The longest line, in bytes, with its end: a set names everybody.
pub const MAX_LINE: usize = 4 << 20;

/// The first line: which repository, and the file with its password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Where {
    /// A directory.
    pub repository: PathBuf,
    /// The password is its first line.
    pub password_file: PathBuf,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Make the repository, in an empty directory or none.
    Init {},
    /// See that it is there and the password is right.
    Open {},
    /// Read files into it. Where nothing changed since the last time, nothing is read.
    Read {
        /// Whose.
        of: Of,
        /// From where.
        parts: Vec<Part>,
        /// What makes the backup whole: whose snapshots belong to it. Only with [`Of::State`].
        people: Vec<Person>,
    },
    /// Forget these snapshots: what was read ahead.
    Forget {
        /// Which.
        snapshots: Vec<String>,
    },
    /// Forget backups that are not kept any longer and what is half made, and give room back.
    Tidy {
        /// What is kept.
        keep: Keep,
    },
    /// Which whole backups there are.
    List {},
    /// Read all that is in the repository and see that it is as it was written.
    Check {},
    /// Put a backup into an empty directory, and compare every file there with what the backup says.
    Restore {
        /// Which; the newest where none is named. The first letters suffice.
        set: Option<String>,
        /// An empty directory, or none.
        into: PathBuf,
    },
}

/// Whose files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// A person's, by number.
    Person(i64),
    /// The server's own.
    State,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What it is called in the backup; what is in it is at the top where that is empty.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Somebody whose files are in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Their number.
    pub number: i64,
    /// The snapshot of their files.
    pub snapshot: String,
}

/// How many backups are kept: the newest of so many days, weeks (of seven days) and months (of thirty).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Days.
    pub daily: u32,
    /// Weeks.
    pub weekly: u32,
    /// Months.
    pub monthly: u32,
}

/// A whole backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Its id.
    pub id: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// How many people's files are in it.
    pub people: u64,
    /// How much all of it is, in bytes.
    pub bytes: u64,
}

/// What came of reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The snapshot.
    pub snapshot: String,
    /// Files and links in it.
    pub files: u64,
    /// How long they are together.
    pub bytes: u64,
    /// So many bytes the repository has grown by.
    pub added: u64,
    /// What could not be read, or is no file, folder or link.
    pub left_out: u64,
}

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// Which backup it is.
    pub set: Set,
    /// Files that were compared.
    pub files: u64,
    /// Their length, in bytes.
    pub bytes: u64,
    /// How many things are not as the backup says.
    pub differing: u64,
    /// The first of these, and how they differ.
    pub examples: Vec<String>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// It was done.
    Done {},
    /// To [`Request::Read`].
    Read(Read),
    /// To [`Request::Tidy`]: how many backups were forgotten.
    Tidied {
        /// So many.
        forgotten: u64,
    },
    /// To [`Request::List`], the newest first.
    Sets {
        /// All of them.
        sets: Vec<Set>,
    },
    /// To [`Request::Restore`].
    Restored(Restored),
    /// Nothing came of it.
    Refused {
        /// Why, with what to do.
        detail: String,
    },
}
