//! What sessions are made of, where that was changed: versions of their templates.

use super::audit::{Actor, note};
use super::{Store, StoreError, Timestamp, Tx, UserId};
use lattice_engine::session::SessionId;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

/// Versions that are kept of one session: the first, which is as it was before any change, and the newest
/// of the others.
pub const MOST_VERSIONS: u32 = 50;

/// A version of a session's template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateVersion {
    /// From 1; 0 is what it was before the first change.
    pub number: u32,
    /// What it says.
    pub text: String,
    /// What whoever wrote it is called; nothing of what came with the server.
    pub author: Option<String>,
    /// When it was applied.
    pub created_at: Timestamp,
    /// What its author says of it; may be empty.
    pub note: String,
}

/// A version to be made.
#[derive(Debug)]
pub struct NewVersion<'a> {
    /// The number of the newest version that its author had seen.
    pub based_on: u32,
    /// What that says: it is kept where it is the first.
    pub before: &'a str,
    /// What this one says.
    pub text: &'a str,
    /// What its author says of it.
    pub note: &'a str,
    /// Whose it is.
    pub author: UserId,
}

fn version(row: &SqliteRow) -> Result<TemplateVersion, StoreError> {
    Ok(TemplateVersion {
        number: row.try_get("number")?,
        text: row.try_get("text")?,
        author: row.try_get("author_name")?,
        created_at: Timestamp(row.try_get("created_at")?),
        note: row.try_get("note")?,
    })
}

impl Store {
    /// A version of a session's template, where it is kept.
    pub async fn template_version(
        &self,
        id: &SessionId,
        number: u32,
    ) -> Result<Option<TemplateVersion>, StoreError> {
        let row = sqlx::query(
            "SELECT template_versions.*, users.display_name AS author_name
             FROM template_versions LEFT JOIN users ON users.id = template_versions.author
             WHERE session = ? AND number = ?",
        )
        .bind(id.as_str())
        .bind(number)
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(version).transpose()
    }

    /// All versions that are kept of a session's template, the newest first, without their texts.
    pub async fn template_versions(
        &self,
        id: &SessionId,
    ) -> Result<Vec<TemplateVersion>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, '' AS text, template_versions.created_at, note,
                 users.display_name AS author_name
             FROM template_versions LEFT JOIN users ON users.id = template_versions.author
             WHERE session = ? ORDER BY number DESC",
        )
        .bind(id.as_str())
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(version).collect()
    }

    /// Applies a version to a session and returns its number; [`StoreError::Overtaken`] where its author
    /// has not seen the newest.
    pub async fn apply_template(
        &self,
        id: &SessionId,
        new: &NewVersion<'_>,
        now: Timestamp,
    ) -> Result<u32, StoreError> {
        let mut tx = self.begin().await?;
        let newest: Option<u32> = sqlx::query_scalar(
            "SELECT template_version FROM sessions
             WHERE id = ? AND deleted_at IS NULL AND discarded_at IS NULL",
        )
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let newest = newest.ok_or(StoreError::Missing("session"))?;
        if newest != new.based_on {
            return Err(StoreError::Overtaken { newest });
        }
        if newest == 0 {
            insert(&mut tx, id, 0, (new.before, None, ""), now).await?;
        }
        let number = newest + 1;
        insert(&mut tx, id, number, (new.text, Some(new.author), new.note), now).await?;
        sqlx::query("UPDATE sessions SET template_version = ?2 WHERE id = ?1")
            .bind(id.as_str())
            .bind(number)
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM template_versions WHERE session = ?1 AND number BETWEEN 1 AND ?2")
            .bind(id.as_str())
            .bind((number + 1).saturating_sub(MOST_VERSIONS))
            .execute(&mut *tx)
            .await?;
        let detail = match new.note {
            "" => format!("version {number}"),
            said => format!("version {number}: {said}"),
        };
        let (actor, subject) = (Actor::User(new.author), format!("session {id}"));
        note(&mut tx, now, actor, "session.template", subject, &detail).await?;
        tx.commit().await?;
        Ok(number)
    }
}

async fn insert(
    tx: &mut Tx,
    id: &SessionId,
    number: u32,
    (text, author, said): (&str, Option<UserId>, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR REPLACE INTO template_versions (session, number, text, author, created_at, note)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(id.as_str())
    .bind(number)
    .bind(text)
    .bind(author.map(|author| author.0))
    .bind(now.0)
    .bind(said)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Has a new session begin with what another one is made of.
pub(super) async fn copy_template(
    tx: &mut Tx,
    from: &SessionId,
    to: &SessionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    for statement in [
        "INSERT INTO template_versions (session, number, text, author, created_at, note)
         SELECT ?2, min(number, 1), text, author, ?3, note FROM template_versions
         WHERE session = ?1
             AND number IN (0, (SELECT template_version FROM sessions WHERE id = ?1))",
        "UPDATE sessions SET template_version = 1
         WHERE id = ?2 AND (SELECT template_version FROM sessions WHERE id = ?1) > 0",
    ] {
        let query = sqlx::query(statement).bind(from.as_str()).bind(to.as_str()).bind(now.0);
        query.execute(&mut **tx).await?;
    }
    Ok(())
}
