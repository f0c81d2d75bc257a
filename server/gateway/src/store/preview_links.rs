//! Links that show one preview and nothing else: no desktop, no picture of it, no other port.
//!
//! INVARIANT: what somebody came by is worth what its link is worth at this moment, as with links of
//! desktops. Whoever made one and may no longer share the desktop takes it with them: it ends with the
//! session, with its owner, and with an account that was switched off.

use super::audit::{Actor, note};
use super::{Store, StoreError, Timestamp, TokenHash, UserId};
use lattice_engine::session::SessionId;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

/// How long a link that has ended is kept.
const KEPT_S: i64 = 30 * 86_400;
/// A link is good as long as it has not ended, and neither has whose it is.
macro_rules! good {
    ($also:literal) => {
        concat!(
            "SELECT preview_links.id, preview_links.session, preview_links.port
     FROM preview_links JOIN sessions ON sessions.id = preview_links.session
         JOIN users AS makers ON makers.id = preview_links.created_by
         JOIN users AS owners ON owners.id = sessions.owner
     WHERE preview_links.revoked_at IS NULL AND preview_links.expires_at > ?2
         AND sessions.deleted_at IS NULL AND sessions.discarded_at IS NULL
         AND makers.disabled = 0 AND makers.deleted_at IS NULL
         AND owners.disabled = 0 AND owners.deleted_at IS NULL
         AND (makers.id = owners.id OR makers.role = 'admin') AND ",
            $also
        )
    };
}

/// The id of a link to a preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PreviewLinkId(pub i64);

/// A link to a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewLink {
    /// Its id.
    pub id: PreviewLinkId,
    /// Where the program listens whose pages it shows.
    pub port: u16,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How often it was opened.
    pub uses: u32,
}

/// One to be made.
#[derive(Debug)]
pub struct NewPreviewLink<'a> {
    /// Of which session.
    pub session: &'a SessionId,
    /// Of which port.
    pub port: u16,
    /// Its secret's hash.
    pub token: TokenHash,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who makes it.
    pub created_by: UserId,
}

/// What a good link shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// By which link.
    pub link: PreviewLinkId,
    /// Of which session.
    pub session: SessionId,
    /// Which port.
    pub port: u16,
}

fn link(row: &SqliteRow) -> Result<PreviewLink, StoreError> {
    Ok(PreviewLink {
        id: PreviewLinkId(row.try_get("id")?),
        port: row.try_get("port")?,
        created_at: Timestamp(row.try_get("created_at")?),
        expires_at: Timestamp(row.try_get("expires_at")?),
        uses: row.try_get("uses")?,
    })
}

impl Store {
    /// Makes a link, unless the session has `most` that have not ended.
    pub async fn create_preview_link(
        &self,
        new: &NewPreviewLink<'_>,
        most: u32,
        now: Timestamp,
    ) -> Result<PreviewLink, StoreError> {
        let mut tx = self.begin().await?;
        let alive: u32 = sqlx::query_scalar(
            "SELECT count(*) FROM preview_links
             WHERE session = ? AND revoked_at IS NULL AND expires_at > ?",
        )
        .bind(new.session.as_str())
        .bind(now.0)
        .fetch_one(&mut *tx)
        .await?;
        if alive >= most {
            return Err(StoreError::TooMany { max: most });
        }
        let row = sqlx::query(
            "INSERT INTO preview_links (session, port, token_hash, created_by, created_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
        )
        .bind(new.session.as_str())
        .bind(new.port)
        .bind(new.token.bytes())
        .bind(new.created_by.0)
        .bind(now.0)
        .bind(new.expires_at.0)
        .fetch_one(&mut *tx)
        .await?;
        let made = link(&row)?;
        let subject = format!("preview link {} of session {}", made.id.0, new.session);
        let (actor, port) = (Actor::User(new.created_by), new.port.to_string());
        note(&mut tx, now, actor, "preview_link.create", subject, &port).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// The links to previews of a session that have not ended, the newest first.
    pub async fn preview_links(
        &self,
        of: &SessionId,
        now: Timestamp,
    ) -> Result<Vec<PreviewLink>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM preview_links
             WHERE session = ? AND revoked_at IS NULL AND expires_at > ? ORDER BY id DESC",
        )
        .bind(of.as_str())
        .bind(now.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(link).collect()
    }

    /// Ends a link of that session.
    pub async fn revoke_preview_link(
        &self,
        of: &SessionId,
        id: PreviewLinkId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let changed = sqlx::query(
            "UPDATE preview_links SET revoked_at = ?3
             WHERE id = ?1 AND session = ?2 AND revoked_at IS NULL",
        )
        .bind(id.0)
        .bind(of.as_str())
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(StoreError::Missing("link"));
        }
        let subject = format!("preview link {} of session {of}", id.0);
        note(&mut tx, now, actor, "preview_link.revoke", subject, "").await?;
        tx.commit().await?;
        Ok(())
    }

    /// What the link of that secret shows, and counts that it was opened; nothing where it is not good.
    pub async fn open_preview_link(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Shown>, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(good!("preview_links.token_hash = ?1"))
            .bind(token.bytes())
            .bind(now.0)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (id, session): (i64, &str) = (row.try_get("id")?, row.try_get("session")?);
        let shown = Shown {
            link: PreviewLinkId(id),
            session: session.parse().map_err(|_| StoreError::Damaged("preview_links.session"))?,
            port: row.try_get("port")?,
        };
        sqlx::query("UPDATE preview_links SET uses = uses + 1 WHERE id = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Some(shown))
    }

    /// Whether a link is still good.
    pub async fn preview_link_stands(
        &self,
        id: PreviewLinkId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let row = sqlx::query(good!("preview_links.id = ?1"))
            .bind(id.0)
            .bind(now.0)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }

    /// Forgets links to previews that ended long ago.
    pub async fn prune_preview_links(&self, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM preview_links WHERE min(expires_at, coalesce(revoked_at, expires_at)) < ?",
        )
        .bind(now.0 - KEPT_S)
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NewSession, NewUser, UserChange, UserRole};

    const NOW: Timestamp = Timestamp(1_800_000_000);

    struct World {
        store: Store,
        owner: UserId,
        session: SessionId,
        _dir: tempfile::TempDir,
    }

    impl World {
        async fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let store = Store::open(&dir.path().join("db")).await.expect("a fresh database");
            let role = UserRole::Member;
            let ann = NewUser { name: "ann", display_name: "Ann", role, password_hash: None };
            let ann = store.create_user(&ann, Actor::System, NOW).await.expect("a user").id;
            let (root, role) = ("root", UserRole::Admin);
            let root = NewUser { name: root, display_name: root, role, password_hash: None };
            store.create_user(&root, Actor::System, NOW).await.expect("an administrator");
            let session = SessionId::from_bytes([7; 10]);
            let new = NewSession { id: &session, owner: ann, template: "vue", name: "Vue" };
            store.create_session(&new, 8, NOW).await.expect("made");
            Self { store, owner: ann, session, _dir: dir }
        }

        async fn link(&self, secret: &str) -> PreviewLink {
            let token = TokenHash::of(secret);
            let (session, expires_at, created_by) = (&self.session, NOW.plus(3600), self.owner);
            let new = NewPreviewLink { session, port: 5173, token, expires_at, created_by };
            self.store.create_preview_link(&new, 3, NOW).await.expect("a link")
        }

        async fn opens(&self, secret: &str, now: Timestamp) -> Option<u16> {
            let shown = self.store.open_preview_link(&TokenHash::of(secret), now).await;
            let shown = shown.expect("asked")?;
            assert_eq!(shown.session, self.session);
            assert!(self.store.preview_link_stands(shown.link, now).await.expect("asked"));
            Some(shown.port)
        }
    }

    #[tokio::test]
    async fn a_link_shows_its_port_until_it_ends() {
        let world = World::new().await;
        let (one, two) = (world.link("one").await, world.link("two").await);
        assert_eq!(world.opens("one", NOW).await, Some(5173));
        assert_eq!(world.opens("one", NOW.plus(3599)).await, Some(5173));
        assert_eq!(world.opens("one", NOW.plus(3600)).await, None, "it has expired");
        assert_eq!(world.opens("other", NOW).await, None);
        let listed = world.store.preview_links(&world.session, NOW).await.expect("read");
        let uses: Vec<_> = listed.iter().map(|link| (link.id, link.uses)).collect();
        assert_eq!(uses, [(two.id, 0), (one.id, 2)]);
        let actor = Actor::User(world.owner);
        let other = SessionId::from_bytes([8; 10]);
        let foreign = world.store.revoke_preview_link(&other, one.id, actor, NOW).await;
        assert!(matches!(foreign, Err(StoreError::Missing("link"))), "of another session");
        let revoked = world.store.revoke_preview_link(&world.session, one.id, actor, NOW).await;
        revoked.expect("revoked");
        assert_eq!(world.opens("one", NOW).await, None);
        assert!(!world.store.preview_link_stands(one.id, NOW).await.expect("asked"));
        assert_eq!(world.opens("two", NOW).await, Some(5173));
    }

    #[tokio::test]
    async fn it_ends_with_the_session_and_with_whoever_made_it() {
        let world = World::new().await;
        world.link("a").await;
        let change = async |disabled| {
            let change = UserChange { disabled: Some(disabled), ..UserChange::default() };
            let changed = world.store.change_user(world.owner, &change, None, Actor::System, NOW);
            changed.await.expect("changed");
        };
        change(true).await;
        assert_eq!(world.opens("a", NOW).await, None);
        change(false).await;
        assert_eq!(world.opens("a", NOW).await, Some(5173));
        let deleted = world.store.delete_session(&world.session, Actor::System, NOW).await;
        deleted.expect("deleted");
        assert_eq!(world.opens("a", NOW).await, None);
    }

    #[tokio::test]
    async fn a_session_has_so_many_at_most() {
        let world = World::new().await;
        for number in 0..3 {
            world.link(&number.to_string()).await;
        }
        let (session, token, created_by) = (&world.session, TokenHash::of("x"), world.owner);
        let new = NewPreviewLink { session, port: 1, token, expires_at: NOW.plus(60), created_by };
        let refused = world.store.create_preview_link(&new, 3, NOW).await;
        assert!(matches!(refused, Err(StoreError::TooMany { max: 3 })));
    }
}
