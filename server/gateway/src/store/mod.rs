//! What outlives the gateway: people, sessions, links, logins, and who did what. SQLite, one file.
//!
//! All SQL of the gateway is in this room. Times come in as arguments, secrets as their hashes.
//!
//! INVARIANT: every transaction that may write begins IMMEDIATE, on the one connection that may
//! write; those who wait for it are served in order. So no transaction of ours fails because another
//! of ours was quicker, and what another process locks is waited for. Those who read wait for a turn,
//! too, and longer: only others of ours can be in front of them.

mod audit;
mod copy;
mod discarded;
mod installed;
mod links;
mod logins;
mod migrate;
mod preview_links;
mod sessions;
mod templates;
#[cfg(test)]
mod tests;
mod time;
mod users;

pub use audit::{Actor, AuditEntry, FROM_DESKTOP};
pub use discarded::Discarded;
pub use installed::{Audience, Edition, Installed, NewInstalled};
pub use links::{Grant, Holder, Link, NewLink, Redeemed};
pub use logins::{Bearer, IDLE_S, LIFETIME_S, Login, SignedIn};
pub use preview_links::{NewPreviewLink, PreviewLink, PreviewLinkId, Shown};
pub use sessions::{Desired, NewSession, Owner, Session};
pub use templates::{MOST_VERSIONS, NewVersion, TemplateVersion};
pub use time::Timestamp;
pub use users::{Changed, NewUser, User, UserChange, UserRole};

use sha2::{Digest, Sha256};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};
use std::fmt;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a lock of another process is waited for, and how long a turn to write.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that only read; each is a thread.
const READERS: u32 = 2;
/// How long a turn to read is waited for. Nobody else can lock readers out, so only a crowd is in front,
/// such as all viewers after a restart on a busy machine: it is served late rather than refused.
const READ_TURN: Duration = Duration::from_secs(30);

/// A user's id. A home directory is named after it, so it is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub i64);
/// A share link's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub i64);
/// A login's id: not the secret in its cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoginId(pub i64);
/// A bearer token's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub i64);

/// What is kept of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of this secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file could not be used.
    #[error("open the database {path}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A newer release has used it.
    #[error(
        "the database {path} is of a newer release (schema {found}, this one knows up to {known}); \
         start that release again, or restore the copy from before the upgrade"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// It is some other program's.
    #[error("{0} is a database of another program; name another data directory")]
    Foreign(PathBuf),
    /// Another process kept it locked for too long.
    #[error("the database was locked for too long by another process")]
    Busy,
    /// Nothing more fits.
    #[error("the database cannot grow: the disk is full")]
    Full,
    /// It holds what no release writes.
    #[error("the database holds something unreadable in {0}")]
    Damaged(&'static str),
    /// The database refused.
    #[error("ask the database")]
    Query(#[source] sqlx::Error),
    /// Somebody has that name.
    #[error("the name is taken")]
    NameTaken,
    /// Nobody would be left to administer.
    #[error("this is the last administrator")]
    LastAdmin,
    /// There is no such thing.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// Somebody else was quicker.
    #[error("version {newest} came between")]
    Overtaken {
        /// What they made.
        newest: u32,
    },
    /// There are as many as may be.
    #[error("there are {max} already")]
    TooMany {
        /// How many that is.
        max: u32,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::PoolTimedOut => return Self::Busy,
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<i64>().ok()),
            _ => None,
        };
        // The low byte is the primary code (https://www.sqlite.org/rescode.html).
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy,
            Some(13) => Self::Full,
            _ => Self::Query(error),
        }
    }
}

/// A handle to the database.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Store {
    /// Opens the database in `path`, makes it where it is missing, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_patient(path, PATIENCE).await
    }

    /// The schema of the database in `path`, and the newest one known here. Nothing is changed.
    pub async fn inspect(path: &Path) -> Result<(i64, i64), StoreError> {
        Ok((migrate::inspect(path).await?, migrate::KNOWN))
    }

    /// Copies the database in `from`, which may be in use, to `to`: without logins, links and tokens.
    pub async fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
        copy::copy(from, to).await
    }

    async fn open_patient(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        // SQLite would make it readable for others; its companions get the same mode.
        let made = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path);
        made.map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .foreign_keys(true)
            .busy_timeout(patience)
            .journal_mode(SqliteJournalMode::Wal)
            // A revoked link stays revoked after a power cut.
            .synchronous(SqliteSynchronous::Full);
        let pool = |turn| {
            SqlitePoolOptions::new()
                .acquire_timeout(turn)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
        };
        migrate::check(path).await?;
        let writer = pool(patience).max_connections(1).connect_with(options.clone()).await?;
        migrate::migrate(&writer, path).await?;
        let reading = options.pragma("query_only", "ON");
        let readers = pool(READ_TURN).max_connections(READERS).connect_with(reading).await?;
        Ok(Self { writer, readers })
    }

    /// Ends all connections, after which nothing waits in the write-ahead log.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

type Tx = Transaction<'static, Sqlite>;
