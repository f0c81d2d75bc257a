//! Share links, and what those who redeemed them hold.
//!
//! INVARIANT: a grant is worth what its link is worth at this moment. Nothing about a link's life is
//! copied, so what is revoked or expired has ended for everybody at once.

use super::audit::{Actor, FROM_DESKTOP, note};
use super::logins::insert_login;
use super::sessions::session;
use super::{LinkId, LoginId, Session, Store, StoreError, Timestamp, TokenHash, Tx, UserId};
use lattice_engine::policy::LinkRole;
use lattice_engine::session::SessionId;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

/// How often a link without a limit may be used: it bounds the logins that one link can make.
const MOST_USES: i64 = 10_000;
/// How long a link that has ended is kept.
const KEPT_S: i64 = 30 * 86_400;

/// A share link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// What it gives.
    pub role: LinkRole,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How often it may be used.
    pub max_uses: Option<u32>,
    /// How often it was.
    pub uses: u32,
    /// Whether a program of the desktop asked for it.
    pub from_desktop: bool,
}

/// A link to be made.
#[derive(Debug)]
pub struct NewLink<'a> {
    /// For which session.
    pub session: &'a SessionId,
    /// What it gives.
    pub role: LinkRole,
    /// Its secret's hash.
    pub token: TokenHash,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How often it may be used.
    pub max_uses: Option<u32>,
    /// Who makes it.
    pub created_by: UserId,
    /// Whether a program of the desktop asks for it.
    pub from_desktop: bool,
}

/// Whose a grant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A user's, wherever they sign in.
    User(UserId),
    /// One guest's browser's.
    Guest(LoginId),
}

impl Holder {
    fn columns(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::User(user) => (Some(user.0), None),
            Self::Guest(login) => (None, Some(login.0)),
        }
    }
}

/// What a link gives somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Which link.
    pub link: LinkId,
    /// In which session.
    pub session: SessionId,
    /// What.
    pub role: LinkRole,
}

/// What came of redeeming a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// What it gives.
    pub grant: Grant,
    /// The guest's new login, where it needed one.
    pub login: Option<LoginId>,
}

fn link(row: &SqliteRow) -> Result<Link, StoreError> {
    Ok(Link {
        id: LinkId(row.try_get("id")?),
        role: role(row)?,
        created_at: Timestamp(row.try_get("created_at")?),
        expires_at: Timestamp(row.try_get("expires_at")?),
        max_uses: row.try_get("max_uses")?,
        uses: row.try_get("uses")?,
        from_desktop: row.try_get("from_desktop")?,
    })
}

fn role(row: &SqliteRow) -> Result<LinkRole, StoreError> {
    LinkRole::parse(row.try_get("role")?).ok_or(StoreError::Damaged("links.role"))
}

fn grant(row: &SqliteRow) -> Result<Grant, StoreError> {
    let session: &str = row.try_get("session")?;
    Ok(Grant {
        link: LinkId(row.try_get("link")?),
        session: session.parse().map_err(|_| StoreError::Damaged("links.session"))?,
        role: role(row)?,
    })
}

impl Store {
    /// Makes a link, unless the session has `most` that have not ended; of those that programs of the
    /// desktop asked for, where one more does.
    pub async fn create_link(
        &self,
        new: &NewLink<'_>,
        most: u32,
        now: Timestamp,
    ) -> Result<Link, StoreError> {
        let mut tx = self.begin().await?;
        let alive: u32 = sqlx::query_scalar(
            "SELECT count(*) FROM links
             WHERE session = ? AND revoked_at IS NULL AND expires_at > ? AND from_desktop >= ?",
        )
        .bind(new.session.as_str())
        .bind(now.0)
        .bind(new.from_desktop)
        .fetch_one(&mut *tx)
        .await?;
        if alive >= most {
            return Err(StoreError::TooMany { max: most });
        }
        let row = sqlx::query(
            "INSERT INTO links
                 (session, role, token_hash, created_by, created_at, expires_at, max_uses, from_desktop)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
        )
        .bind(new.session.as_str())
        .bind(new.role.as_str())
        .bind(new.token.bytes())
        .bind(new.created_by.0)
        .bind(now.0)
        .bind(new.expires_at.0)
        .bind(new.max_uses)
        .bind(new.from_desktop)
        .fetch_one(&mut *tx)
        .await?;
        let made = link(&row)?;
        let subject = format!("link {} of session {}", made.id.0, new.session);
        let detail = told(made.role.as_str(), new.from_desktop);
        note(&mut tx, now, Actor::User(new.created_by), "link.create", subject, &detail).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// The links of a session that have not ended, the newest first.
    pub async fn links(&self, of: &SessionId, now: Timestamp) -> Result<Vec<Link>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM links WHERE session = ? AND revoked_at IS NULL AND expires_at > ?
             ORDER BY id DESC",
        )
        .bind(of.as_str())
        .bind(now.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(link).collect()
    }

    /// Ends a link of that session that a program of its desktop had asked for, as one asks now.
    pub async fn revoke_link_from_desktop(
        &self,
        of: &SessionId,
        id: LinkId,
        owner: UserId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.end_link(of, id, Actor::User(owner), true, now).await
    }

    /// Ends a link of that session.
    pub async fn revoke_link(
        &self,
        of: &SessionId,
        id: LinkId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.end_link(of, id, actor, false, now).await
    }

    async fn end_link(
        &self,
        of: &SessionId,
        id: LinkId,
        actor: Actor,
        from_desktop: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let changed = sqlx::query(
            "UPDATE links SET revoked_at = ?3
             WHERE id = ?1 AND session = ?2 AND revoked_at IS NULL AND from_desktop >= ?4",
        )
        .bind(id.0)
        .bind(of.as_str())
        .bind(now.0)
        .bind(from_desktop)
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(StoreError::Missing("link"));
        }
        let subject = format!("link {} of session {of}", id.0);
        note(&mut tx, now, actor, "link.revoke", subject, &told("", from_desktop)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Swaps a link for a grant to a user. Their own session, and what they hold by this link
    /// already, uses nothing up. Nothing where the link is unknown or has ended.
    pub async fn redeem_as_user(
        &self,
        token: &TokenHash,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<Redeemed>, StoreError> {
        let mut tx = self.begin().await?;
        let Some((found, owner)) = find(&mut tx, token, now).await? else { return Ok(None) };
        let holder = Holder::User(user);
        if owner != user && !holds(&mut tx, found.link, holder).await? {
            if !use_up(&mut tx, found.link).await? {
                return Ok(None);
            }
            give(&mut tx, &found, holder, Actor::User(user), now).await?;
            tx.commit().await?;
        }
        Ok(Some(Redeemed { grant: found, login: None }))
    }

    /// Swaps a link for a grant to a guest, whose browser `known` is where it came by a link before.
    /// What it holds by this link already uses nothing up; else it gets a login of its own under
    /// `fresh`, with what it held until now, so that whoever knows the old secret gains nothing.
    pub async fn redeem_as_guest(
        &self,
        token: &TokenHash,
        known: Option<LoginId>,
        fresh: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Redeemed>, StoreError> {
        let mut tx = self.begin().await?;
        let Some((found, _)) = find(&mut tx, token, now).await? else { return Ok(None) };
        if let Some(known) = known
            && holds(&mut tx, found.link, Holder::Guest(known)).await?
        {
            return Ok(Some(Redeemed { grant: found, login: None }));
        }
        if !use_up(&mut tx, found.link).await? {
            return Ok(None);
        }
        let login = insert_login(&mut tx, fresh, None, now).await?;
        if let Some(known) = known {
            sqlx::query(
                "INSERT INTO grants (link, login, granted_at)
                 SELECT link, ?, granted_at FROM grants WHERE login = ? ORDER BY id",
            )
            .bind(login.0)
            .bind(known.0)
            .execute(&mut *tx)
            .await?;
        }
        give(&mut tx, &found, Holder::Guest(login), Actor::Guest(login), now).await?;
        tx.commit().await?;
        Ok(Some(Redeemed { grant: found, login: Some(login) }))
    }

    /// The most that somebody's links give them in a session.
    pub async fn grant(
        &self,
        of: &SessionId,
        holder: Holder,
        now: Timestamp,
    ) -> Result<Option<Grant>, StoreError> {
        let grants = self.grants(holder, now).await?;
        Ok(grants.into_iter().filter(|grant| grant.session == *of).max_by_key(|grant| grant.role))
    }

    /// All that somebody holds by links that have not ended, the newest last.
    pub async fn grants(&self, holder: Holder, now: Timestamp) -> Result<Vec<Grant>, StoreError> {
        let (user, login) = holder.columns();
        let rows = sqlx::query(
            "SELECT grants.link, links.session, links.role
             FROM grants JOIN links ON links.id = grants.link
                 JOIN sessions ON sessions.id = links.session
             WHERE (grants.user = ?1 OR grants.login = ?2)
                 AND links.revoked_at IS NULL AND links.expires_at > ?3
                 AND sessions.deleted_at IS NULL AND sessions.discarded_at IS NULL
             ORDER BY grants.id",
        )
        .bind(user)
        .bind(login)
        .bind(now.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(grant).collect()
    }

    /// The sessions that are somebody's own or shared with them, the oldest first.
    pub async fn sessions_for(
        &self,
        holder: Holder,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let (user, login) = holder.columns();
        let rows = sqlx::query(
            "SELECT sessions.*, users.name AS owner_name, users.display_name AS owner_display_name
             FROM sessions JOIN users ON users.id = sessions.owner
             WHERE sessions.deleted_at IS NULL AND sessions.discarded_at IS NULL
                 AND (sessions.owner = ?1 OR sessions.id IN (
                 SELECT links.session FROM grants JOIN links ON links.id = grants.link
                 WHERE (grants.user = ?1 OR grants.login = ?2)
                     AND links.revoked_at IS NULL AND links.expires_at > ?3))
             ORDER BY sessions.created_at, sessions.id",
        )
        .bind(user)
        .bind(login)
        .bind(now.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(session).collect()
    }

    /// The links that expired after `from` and until `to`.
    pub async fn links_expired(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<LinkId>, StoreError> {
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM links WHERE revoked_at IS NULL AND expires_at > ? AND expires_at <= ?",
        )
        .bind(from.0)
        .bind(to.0)
        .fetch_all(&self.readers)
        .await?;
        Ok(ids.into_iter().map(LinkId).collect())
    }

    /// When the next link expires after `from`.
    pub async fn next_expiry(&self, from: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT min(expires_at) FROM links WHERE revoked_at IS NULL AND expires_at > ?",
        )
        .bind(from.0)
        .fetch_one(&self.readers)
        .await?;
        Ok(next.map(Timestamp))
    }

    /// Forgets links that ended long ago, with what they gave.
    pub async fn prune_links(&self, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM links WHERE min(expires_at, coalesce(revoked_at, expires_at)) < ?",
        )
        .bind(now.0 - KEPT_S)
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}

/// Particulars for the audit, with where it came from.
fn told(detail: &str, from_desktop: bool) -> String {
    match (detail, from_desktop) {
        (detail, false) => detail.to_owned(),
        ("", true) => FROM_DESKTOP.to_owned(),
        (detail, true) => format!("{detail}, {FROM_DESKTOP}"),
    }
}

/// The link of that secret, where it has not ended, and whose session it is for.
async fn find(
    tx: &mut Tx,
    token: &TokenHash,
    now: Timestamp,
) -> Result<Option<(Grant, UserId)>, StoreError> {
    let row = sqlx::query(
        "SELECT links.id AS link, links.session, links.role, sessions.owner
         FROM links JOIN sessions ON sessions.id = links.session
         WHERE links.token_hash = ? AND links.revoked_at IS NULL AND links.expires_at > ?
             AND sessions.deleted_at IS NULL AND sessions.discarded_at IS NULL",
    )
    .bind(token.bytes())
    .bind(now.0)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((grant(&row)?, UserId(row.try_get("owner")?))))
}

async fn holds(tx: &mut Tx, link: LinkId, holder: Holder) -> Result<bool, StoreError> {
    let (user, login) = holder.columns();
    let held: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM grants WHERE link = ? AND (user = ? OR login = ?))",
    )
    .bind(link.0)
    .bind(user)
    .bind(login)
    .fetch_one(&mut **tx)
    .await?;
    Ok(held)
}

/// Counts a use; whether there was one left.
async fn use_up(tx: &mut Tx, link: LinkId) -> Result<bool, StoreError> {
    let changed = sqlx::query(
        "UPDATE links SET uses = uses + 1 WHERE id = ? AND uses < coalesce(max_uses, ?)",
    )
    .bind(link.0)
    .bind(MOST_USES)
    .execute(&mut **tx)
    .await?;
    Ok(changed.rows_affected() == 1)
}

async fn give(
    tx: &mut Tx,
    grant: &Grant,
    holder: Holder,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (user, login) = holder.columns();
    sqlx::query("INSERT INTO grants (link, user, login, granted_at) VALUES (?, ?, ?, ?)")
        .bind(grant.link.0)
        .bind(user)
        .bind(login)
        .bind(now.0)
        .execute(&mut **tx)
        .await?;
    let subject = format!("link {} of session {}", grant.link.0, grant.session);
    note(tx, now, actor, "link.redeem", subject, grant.role.as_str()).await
}
