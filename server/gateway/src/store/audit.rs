//! Who did what to whom, in the transaction that did it.

use super::{LoginId, Store, StoreError, Timestamp, Tx, UserId};
use sqlx::Row as _;
use std::fmt;

/// Said of what a program of a desktop asked for, in its owner's name.
pub const FROM_DESKTOP: &str = "from the desktop";

/// How long it is kept: a school year and the summer after it.
const KEPT_S: i64 = 400 * 86_400;

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Somebody at the machine's own command line, or the server itself.
    System,
    /// A user.
    User(UserId),
    /// A guest, told apart by their login.
    Guest(LoginId),
    /// Somebody unknown.
    Anonymous,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::User(id) => write!(f, "user {}", id.0),
            Self::Guest(id) => write!(f, "guest {}", id.0),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who, as [`Actor`] writes it.
    pub actor: String,
    /// What, as a dotted name.
    pub action: String,
    /// To what.
    pub subject: String,
    /// With which particulars. Never a secret.
    pub detail: String,
}

/// Notes it.
pub(super) async fn note(
    tx: &mut Tx,
    now: Timestamp,
    actor: Actor,
    action: &'static str,
    subject: String,
    detail: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO audit (at, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)")
        .bind(now.0)
        .bind(actor.to_string())
        .bind(action)
        .bind(subject)
        .bind(detail)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl Store {
    /// The newest lines, newest first.
    pub async fn audit(&self, most: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT at, actor, action, subject, detail FROM audit ORDER BY id DESC LIMIT ?",
        )
        .bind(most)
        .fetch_all(&self.readers)
        .await?;
        let entry = |row: &sqlx::sqlite::SqliteRow| {
            Ok(AuditEntry {
                at: Timestamp(row.try_get("at")?),
                actor: row.try_get("actor")?,
                action: row.try_get("action")?,
                subject: row.try_get("subject")?,
                detail: row.try_get("detail")?,
            })
        };
        rows.iter().map(entry).collect()
    }

    /// Forgets what is older than it is kept.
    pub async fn prune_audit(&self, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM audit WHERE at < ?")
            .bind(now.0 - KEPT_S)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}
