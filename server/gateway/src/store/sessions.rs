//! The sessions that people want: what the manager makes true.

use super::audit::{Actor, note};
use super::discarded::Discarded;
use super::templates::copy_template;
use super::{Store, StoreError, Timestamp, Tx, UserId};
use lattice_engine::session::SessionId;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

/// What a session is wanted to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// Run.
    Running,
    /// Rest; its files stay.
    Stopped,
}

impl Desired {
    fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        match text {
            "running" => Ok(Self::Running),
            "stopped" => Ok(Self::Stopped),
            _ => Err(StoreError::Damaged("sessions.desired")),
        }
    }
}

/// Whose a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Their id.
    pub id: UserId,
    /// What they sign in with.
    pub name: String,
    /// What others call them.
    pub display_name: String,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub owner: Owner,
    /// What it is made of.
    pub template: String,
    /// The newest version of that which was applied to it; 0 is the server's own.
    pub template_version: u32,
    /// Changes with what its owner, or everybody, has installed.
    pub apps_revision: i64,
    /// What it is called.
    pub name: String,
    /// What it is to do.
    pub desired: Desired,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a start was last asked for: a later one than the manager knows asks it to try again.
    pub started_at: Option<Timestamp>,
    /// Whether it is to go for good.
    pub deleted: bool,
    /// Where somebody has thrown it away and can still have it back.
    pub discarded: Option<Discarded>,
}

/// A session to be made, running.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// Its id.
    pub id: &'a SessionId,
    /// Whose it is.
    pub owner: UserId,
    /// What it is made of.
    pub template: &'a str,
    /// What it is called.
    pub name: &'a str,
}

pub(super) fn session(row: &SqliteRow) -> Result<Session, StoreError> {
    let id: &str = row.try_get("id")?;
    let deleted_at: Option<i64> = row.try_get("deleted_at")?;
    let started_at: Option<i64> = row.try_get("started_at")?;
    let discarded_at: Option<i64> = row.try_get("discarded_at")?;
    let held_until: Option<i64> = row.try_get("held_until")?;
    let held_until = held_until.map(Timestamp);
    Ok(Session {
        id: id.parse().map_err(|_| StoreError::Damaged("sessions.id"))?,
        owner: Owner {
            id: UserId(row.try_get("owner")?),
            name: row.try_get("owner_name")?,
            display_name: row.try_get("owner_display_name")?,
        },
        template: row.try_get("template")?,
        template_version: row.try_get("template_version")?,
        apps_revision: row.try_get("apps_revision")?,
        name: row.try_get("name")?,
        desired: Desired::parse(row.try_get("desired")?)?,
        created_at: Timestamp(row.try_get("created_at")?),
        started_at: started_at.map(Timestamp),
        deleted: deleted_at.is_some(),
        discarded: discarded_at.map(|at| Discarded { at: Timestamp(at), held_until }),
    })
}

impl Store {
    /// All sessions that the manager has to do with: also those that are to go.
    pub async fn all_sessions(&self) -> Result<Vec<Session>, StoreError> {
        let rows = sqlx::query(
            "SELECT sessions.*, users.name AS owner_name, users.display_name AS owner_display_name
             FROM sessions JOIN users ON users.id = sessions.owner
             ORDER BY sessions.created_at, sessions.id",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(session).collect()
    }

    /// The session of that id, unless it is to go or was thrown away.
    pub async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        Ok(self.session_or_discarded(id).await?.filter(|session| session.discarded.is_none()))
    }

    /// The session of that id, unless it is to go for good.
    pub async fn session_or_discarded(
        &self,
        id: &SessionId,
    ) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query(
            "SELECT sessions.*, users.name AS owner_name, users.display_name AS owner_display_name
             FROM sessions JOIN users ON users.id = sessions.owner
             WHERE sessions.id = ? AND sessions.deleted_at IS NULL",
        )
        .bind(id.as_str())
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(session).transpose()
    }

    /// Makes a session that is to run, unless its owner has `most` already.
    pub async fn create_session(
        &self,
        new: &NewSession<'_>,
        most: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.create_session_like(new, None, most, now).await
    }

    /// The same, made of what another session of that template is made of.
    pub async fn create_session_like(
        &self,
        new: &NewSession<'_>,
        like: Option<&SessionId>,
        most: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        check_room(&mut tx, new.owner, most).await?;
        sqlx::query(
            "INSERT INTO sessions (id, owner, template, name, desired, created_at, started_at)
             VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?5)",
        )
        .bind(new.id.as_str())
        .bind(new.owner.0)
        .bind(new.template)
        .bind(new.name)
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        if let Some(like) = like {
            copy_template(&mut tx, like, new.id, now).await?;
        }
        let subject = format!("session {}", new.id);
        note(&mut tx, now, Actor::User(new.owner), "session.create", subject, new.template).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Says what a session is to do. To start what runs already asks for another try.
    pub async fn set_desired(
        &self,
        id: &SessionId,
        desired: Desired,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let action = match desired {
            Desired::Running => "session.start",
            Desired::Stopped => "session.stop",
        };
        self.desire(id, desired, action, actor, now).await
    }

    /// Says that a session is to run, with its home as it is at first.
    pub async fn note_reset(
        &self,
        id: &SessionId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.desire(id, Desired::Running, "session.reset", actor, now).await
    }

    /// Notes what was done with a session that changes nothing here.
    pub async fn note_of_session(
        &self,
        id: &SessionId,
        action: &'static str,
        detail: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        note(&mut tx, now, actor, action, format!("session {id}"), detail).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn desire(
        &self,
        id: &SessionId,
        desired: Desired,
        action: &'static str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let changed = sqlx::query(
            "UPDATE sessions SET desired = ?2,
                 started_at = CASE ?2 WHEN 'running' THEN max(?3, coalesce(started_at, 0) + 1)
                              ELSE started_at END
             WHERE id = ?1 AND deleted_at IS NULL AND discarded_at IS NULL",
        )
        .bind(id.as_str())
        .bind(desired.as_str())
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(StoreError::Missing("session"));
        }
        note(&mut tx, now, actor, action, format!("session {id}"), "").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Marks a session as one that is to go, and ends its links.
    pub async fn delete_session(
        &self,
        id: &SessionId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let changed = sqlx::query(
            "UPDATE sessions SET desired = 'stopped', deleted_at = ?2
             WHERE id = ?1 AND deleted_at IS NULL",
        )
        .bind(id.as_str())
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(StoreError::Missing("session"));
        }
        sqlx::query("UPDATE links SET revoked_at = coalesce(revoked_at, ?2) WHERE session = ?1")
            .bind(id.as_str())
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
        note(&mut tx, now, actor, "session.delete", format!("session {id}"), "").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Calls a session something else.
    pub async fn rename_session(
        &self,
        id: &SessionId,
        name: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let changed = sqlx::query(
            "UPDATE sessions SET name = ?2
             WHERE id = ?1 AND deleted_at IS NULL AND discarded_at IS NULL",
        )
        .bind(id.as_str())
        .bind(name)
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(StoreError::Missing("session"));
        }
        note(&mut tx, now, actor, "session.rename", format!("session {id}"), name).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets a session that was to go and whose desktop is gone.
    pub async fn forget_session(&self, id: &SessionId) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE id = ? AND deleted_at IS NOT NULL")
            .bind(id.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Whether an owner may have one more.
pub(super) async fn check_room(tx: &mut Tx, owner: UserId, most: u32) -> Result<(), StoreError> {
    let owned: u32 = sqlx::query_scalar(
        "SELECT count(*) FROM sessions
         WHERE owner = ? AND deleted_at IS NULL AND discarded_at IS NULL",
    )
    .bind(owner.0)
    .fetch_one(&mut **tx)
    .await?;
    if owned >= most { Err(StoreError::TooMany { max: most }) } else { Ok(()) }
}

/// Marks all sessions of a user as ones that are to go.
pub(super) async fn delete_all_of(
    tx: &mut Tx,
    owner: UserId,
    now: Timestamp,
) -> Result<(), StoreError> {
    for statement in [
        "UPDATE links SET revoked_at = coalesce(revoked_at, ?2)
         WHERE session IN (SELECT id FROM sessions WHERE owner = ?1)",
        "UPDATE sessions SET desired = 'stopped', deleted_at = coalesce(deleted_at, ?2)
         WHERE owner = ?1",
    ] {
        sqlx::query(statement).bind(owner.0).bind(now.0).execute(&mut **tx).await?;
    }
    Ok(())
}
