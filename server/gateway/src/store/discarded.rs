//! Sessions that somebody has thrown away and can still have back.

use super::audit::{Actor, note};
use super::sessions::{Session, check_room, session};
use super::{Store, StoreError, Timestamp, UserId};
use lattice_engine::session::SessionId;
use sqlx::Row as _;

/// That a session was thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discarded {
    /// When.
    pub at: Timestamp,
    /// Until when its programs are kept as they were; nothing where they are not.
    pub held_until: Option<Timestamp>,
}

impl Discarded {
    /// When it goes for good.
    pub fn gone_at(self) -> Timestamp {
        self.at.plus(DISCARDED_S)
    }

    /// Whether its programs are still kept as they were.
    pub fn is_held(self, now: Timestamp) -> bool {
        self.held_until.is_some_and(|until| now < until)
    }
}

/// How long a session that was thrown away can be had back: over a weekend and some days.
const DISCARDED_S: i64 = 7 * 86_400;
/// How long its programs are kept, with what is not saved in them.
const HELD_S: i64 = 600;
/// Of one owner so many are kept with their programs, which take memory.
const MOST_HELD: u32 = 2;
/// Of one owner so many can be had back; beyond, the oldest goes for good.
const MOST_DISCARDED: u32 = 50;

impl Store {
    /// Throws a session away: nobody sees it, and it can be had back until
    /// [`Discarded::gone_at`], for a while with its programs.
    pub async fn discard_session(
        &self,
        id: &SessionId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let owner: Option<i64> = sqlx::query_scalar(
            "UPDATE sessions SET discarded_at = ?2, held_until = ?3
             WHERE id = ?1 AND deleted_at IS NULL AND discarded_at IS NULL RETURNING owner",
        )
        .bind(id.as_str())
        .bind(now.0)
        .bind(now.plus(HELD_S).0)
        .fetch_optional(&mut *tx)
        .await?;
        let owner = owner.ok_or(StoreError::Missing("session"))?;
        for (statement, most) in [
            (
                "UPDATE sessions SET held_until = NULL
                 WHERE owner = ?1 AND held_until IS NOT NULL AND id NOT IN (
                     SELECT id FROM sessions WHERE owner = ?1 AND held_until IS NOT NULL
                     ORDER BY discarded_at DESC, id = ?2 DESC LIMIT ?3)",
                MOST_HELD,
            ),
            (
                "UPDATE sessions SET desired = 'stopped', deleted_at = discarded_at
                 WHERE owner = ?1 AND discarded_at IS NOT NULL AND deleted_at IS NULL
                     AND id NOT IN (
                     SELECT id FROM sessions
                     WHERE owner = ?1 AND discarded_at IS NOT NULL AND deleted_at IS NULL
                     ORDER BY discarded_at DESC, id = ?2 DESC LIMIT ?3)",
                MOST_DISCARDED,
            ),
        ] {
            sqlx::query(statement)
                .bind(owner)
                .bind(id.as_str())
                .bind(most)
                .execute(&mut *tx)
                .await?;
        }
        note(&mut tx, now, actor, "session.discard", format!("session {id}"), "").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Has a session back that was thrown away, as it was, unless its owner has `most` others. One
    /// that was not thrown away stays as it is.
    pub async fn recover_session(
        &self,
        id: &SessionId,
        most: u32,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "SELECT owner, discarded_at FROM sessions WHERE id = ? AND deleted_at IS NULL",
        )
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let row = row.ok_or(StoreError::Missing("session"))?;
        let discarded_at: Option<i64> = row.try_get("discarded_at")?;
        if discarded_at.is_none() {
            return Ok(());
        }
        check_room(&mut tx, UserId(row.try_get("owner")?), most).await?;
        // What was to run is asked for anew, behind those who wait already.
        sqlx::query(
            "UPDATE sessions SET discarded_at = NULL, held_until = NULL,
                 started_at = CASE desired WHEN 'running' THEN max(?2, coalesce(started_at, 0) + 1)
                              ELSE started_at END
             WHERE id = ?1",
        )
        .bind(id.as_str())
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        note(&mut tx, now, actor, "session.recover", format!("session {id}"), "").await?;
        tx.commit().await?;
        Ok(())
    }

    /// What somebody has thrown away and can have back, the newest first.
    pub async fn discarded_of(&self, owner: UserId) -> Result<Vec<Session>, StoreError> {
        let rows = sqlx::query(
            "SELECT sessions.*, users.name AS owner_name, users.display_name AS owner_display_name
             FROM sessions JOIN users ON users.id = sessions.owner
             WHERE sessions.owner = ? AND sessions.discarded_at IS NOT NULL
                 AND sessions.deleted_at IS NULL
             ORDER BY sessions.discarded_at DESC, sessions.id",
        )
        .bind(owner.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(session).collect()
    }

    /// Marks what was thrown away long ago as what is to go; how many that were.
    pub async fn delete_discarded(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let gone: Vec<String> = sqlx::query_scalar(
            "UPDATE sessions SET desired = 'stopped', deleted_at = ?1
             WHERE discarded_at <= ?1 - ?2 AND deleted_at IS NULL RETURNING id",
        )
        .bind(now.0)
        .bind(DISCARDED_S)
        .fetch_all(&mut *tx)
        .await?;
        for id in &gone {
            let subject = format!("session {id}");
            note(&mut tx, now, Actor::System, "session.delete", subject, "discarded").await?;
        }
        tx.commit().await?;
        Ok(gone.len() as u64)
    }
}
