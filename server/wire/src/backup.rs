//! How backups are asked for, of the keeper (`server/keeper`, `--backup`): lines of JSON in, a line of
//! JSON out for each. The first says where the repository is.
//!
//! A backup is a set of snapshots in a repository of restic's format: one of each person's files, and one
//! of the server's own state, which is made last and names all others. What no such one names is half of
//! a backup and goes with the next [`Request::Tidy`].

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// The longest line, in bytes, with its end: a set names everybody.
pub const MAX_LINE: usize = 4 << 20;

/// The first line: which repository, and the file with its password. Secrets are named by their files alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Where {
    /// Where it is.
    pub repository: Place,
    /// The password is its first line.
    pub password_file: PathBuf,
    /// A directory for what backups read of a repository elsewhere again and again.
    pub cache: PathBuf,
    /// So long, in seconds, a server may be silent until it is taken to be gone.
    pub patience_s: u64,
}

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A directory of another, by SSH.
    Sftp(Sftp),
    /// A bucket.
    S3(S3),
}

/// A directory of a machine that is reached by SSH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sftp {
    /// As whom.
    pub user: String,
    /// A name or an address.
    pub host: String,
    /// 22 as a rule.
    pub port: u16,
    /// From the root of that machine on.
    pub path: String,
    /// Our private key.
    pub key_file: PathBuf,
    /// The keys of that machine, as ssh has them.
    pub known_hosts: PathBuf,
}

/// A bucket of a server that speaks as S3 does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// The server, as an address of HTTPS.
    pub endpoint: String,
    /// As the server calls where it is.
    pub region: String,
    /// Its name.
    pub bucket: String,
    /// What all names in it begin with; nothing, or ends with a slash.
    pub prefix: String,
    /// The id of the access key is its first line, the key the second.
    pub key_file: PathBuf,
    /// Certificates (PEM) of the authorities that may vouch for the server; those that this machine trusts
    /// where none is named.
    pub ca_file: Option<PathBuf>,
}

impl Place {
    /// What kind of place it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::Sftp(_) => "sftp",
            Self::S3(_) => "s3",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Sftp(Sftp { user, host, port, path, .. }) => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                match port {
                    22 => write!(f, "sftp://{user}@{host}{path}"),
                    _ => write!(f, "sftp://{user}@{host}:{port}{path}"),
                }
            }
            Self::S3(S3 { bucket, prefix, .. }) => {
                write!(f, "s3://{bucket}/{}", prefix.trim_end_matches('/'))
            }
        }
    }
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
        /// Not as it is there now, but as [`Request::Hold`] found it.
        held: bool,
    },
    /// Look at what has changed since these were read last, and keep that aside as it is now. It touches
    /// nothing but this machine's disks, so that whoever stands still meanwhile waits for no network.
    Hold {
        /// From where.
        parts: Vec<Part>,
        /// A directory for it, which goes with what is read of it.
        aside: PathBuf,
    },
    /// See that all is in the repository which a backup needs that was just made, without reading it.
    Confirm {
        /// Which.
        set: String,
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

/// What has changed since it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Nothing has: what was read is right.
    pub unchanged: bool,
    /// So many files were laid aside.
    pub files: u64,
    /// And so many were not, for want of room.
    pub loose: u64,
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
    /// To [`Request::Hold`].
    Held(Held),
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
