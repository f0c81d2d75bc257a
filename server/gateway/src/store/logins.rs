//! Who is signed in, and by what one signs in without a password.

use super::audit::{Actor, note};
use super::users::user;
use super::{LoginId, Store, StoreError, Timestamp, TokenHash, TokenId, Tx, User, UserId};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

/// A login ends when nothing came by it for so long.
pub const IDLE_S: i64 = 12 * 3600;
/// A login ends after so long, whatever comes by it. Its cookie does as well.
pub const LIFETIME_S: i64 = 30 * 86_400;
/// Logins of one user; one more ends the one that was quiet for longest.
const MOST_LOGINS: i64 = 100;
/// A device is forgotten when its user was not there for so long.
const DEVICE_S: i64 = 180 * 86_400;
/// Devices remembered of one user.
const MOST_DEVICES: i64 = 50;

/// An authenticated browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its id.
    pub id: LoginId,
    /// Whose it is; a guest's is nobody's.
    pub user: Option<User>,
    /// When something last came by it, to the minute.
    pub last_seen_at: Timestamp,
}

/// A program that has a bearer token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The token's id.
    pub id: TokenId,
    /// Whose it is.
    pub user: User,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// Somebody who has just signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub user: UserId,
    /// Their login.
    pub login: LoginId,
}

fn login(row: &SqliteRow) -> Result<Login, StoreError> {
    let of: Option<i64> = row.try_get("user")?;
    Ok(Login {
        id: LoginId(row.try_get("login")?),
        user: of.map(|_| user(row)).transpose()?,
        last_seen_at: Timestamp(row.try_get("last_seen_at")?),
    })
}

impl Store {
    /// Signs a user in under the secret `token`, with a device that is theirs from now on.
    pub async fn create_login(
        &self,
        id: UserId,
        token: &TokenHash,
        device: &TokenHash,
        now: Timestamp,
    ) -> Result<SignedIn, StoreError> {
        let mut tx = self.begin().await?;
        let login = sign_in(&mut tx, id, token, device, now).await?;
        note(&mut tx, now, Actor::User(id), "login.password", format!("user {}", id.0), "").await?;
        tx.commit().await?;
        Ok(login)
    }

    /// The login of that secret, where it has not ended and its user may sign in.
    pub async fn login(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Login>, StoreError> {
        let row = sqlx::query(
            "SELECT users.*, users.password_hash IS NOT NULL AS has_password,
                 logins.id AS login, logins.user, logins.last_seen_at
             FROM logins LEFT JOIN users ON users.id = logins.user
             WHERE logins.token_hash = ? AND logins.expires_at > ? AND logins.last_seen_at > ?
                 AND coalesce(users.disabled, 0) = 0 AND users.deleted_at IS NULL",
        )
        .bind(token.bytes())
        .bind(now.0)
        .bind(now.0 - IDLE_S)
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(login).transpose()
    }

    /// The login of that id, on the same terms.
    pub async fn login_of_id(
        &self,
        id: LoginId,
        now: Timestamp,
    ) -> Result<Option<Login>, StoreError> {
        let row = sqlx::query(
            "SELECT users.*, users.password_hash IS NOT NULL AS has_password,
                 logins.id AS login, logins.user, logins.last_seen_at
             FROM logins LEFT JOIN users ON users.id = logins.user
             WHERE logins.id = ? AND logins.expires_at > ? AND logins.last_seen_at > ?
                 AND coalesce(users.disabled, 0) = 0 AND users.deleted_at IS NULL",
        )
        .bind(id.0)
        .bind(now.0)
        .bind(now.0 - IDLE_S)
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(login).transpose()
    }

    /// Notes that something came by a login.
    pub async fn touch_login(&self, id: LoginId, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE logins SET last_seen_at = max(last_seen_at, ?) WHERE id = ?")
            .bind(now.0)
            .bind(id.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Ends a login.
    pub async fn end_login(&self, id: LoginId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM logins WHERE id = ?").bind(id.0).execute(&self.writer).await?;
        Ok(())
    }

    /// Forgets logins, sign-ins and devices that have ended, and says which logins.
    pub async fn prune_logins(&self, now: Timestamp) -> Result<Vec<LoginId>, StoreError> {
        let mut tx = self.begin().await?;
        let ended: Vec<i64> = sqlx::query_scalar(
            "DELETE FROM logins WHERE expires_at <= ? OR last_seen_at <= ? RETURNING id",
        )
        .bind(now.0)
        .bind(now.0 - IDLE_S)
        .fetch_all(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM one_time WHERE expires_at <= ?")
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM devices WHERE last_seen_at <= ?")
            .bind(now.0 - DEVICE_S)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(ended.into_iter().map(LoginId).collect())
    }

    /// Whether a user has signed in with that device before.
    pub async fn knows_device(&self, device: &TokenHash, user: UserId) -> Result<bool, StoreError> {
        let known = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM devices WHERE token_hash = ? AND user = ?)",
        )
        .bind(device.bytes())
        .bind(user.0)
        .fetch_one(&self.readers)
        .await?;
        Ok(known)
    }

    /// Makes a sign-in that works once.
    pub async fn create_one_time(
        &self,
        user: UserId,
        token: &TokenHash,
        expires_at: Timestamp,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("INSERT INTO one_time (token_hash, user, expires_at) VALUES (?, ?, ?)")
            .bind(token.bytes())
            .bind(user.0)
            .bind(expires_at.0)
            .execute(&mut *tx)
            .await?;
        note(&mut tx, now, actor, "one-time.create", format!("user {}", user.0), "").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Signs somebody in by a one-time sign-in, which is used up. Nothing where it is unknown, used
    /// or has ended.
    pub async fn enter(
        &self,
        one_time: &TokenHash,
        token: &TokenHash,
        device: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<SignedIn>, StoreError> {
        let mut tx = self.begin().await?;
        let id: Option<i64> = sqlx::query_scalar(
            "UPDATE one_time SET used_at = ?2
             WHERE token_hash = ?1 AND used_at IS NULL AND expires_at > ?2
                 AND user IN (SELECT id FROM users WHERE disabled = 0 AND deleted_at IS NULL)
             RETURNING user",
        )
        .bind(one_time.bytes())
        .bind(now.0)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(id) = id.map(UserId) else { return Ok(None) };
        let login = sign_in(&mut tx, id, token, device, now).await?;
        note(&mut tx, now, Actor::User(id), "login.one-time", format!("user {}", id.0), "").await?;
        tx.commit().await?;
        Ok(Some(login))
    }

    /// Makes a bearer token for a program of a user.
    pub async fn create_token(
        &self,
        user: UserId,
        name: &str,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("INSERT INTO tokens (token_hash, user, name, created_at) VALUES (?, ?, ?, ?)")
            .bind(token.bytes())
            .bind(user.0)
            .bind(name)
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
        note(&mut tx, now, Actor::System, "token.create", format!("user {}", user.0), name).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whose program it is that has this bearer token.
    pub async fn bearer(&self, token: &TokenHash) -> Result<Option<Bearer>, StoreError> {
        let row = sqlx::query(
            "SELECT users.*, users.password_hash IS NOT NULL AS has_password,
                 tokens.id AS token, tokens.last_used_at
             FROM tokens JOIN users ON users.id = tokens.user
             WHERE tokens.token_hash = ? AND users.disabled = 0 AND users.deleted_at IS NULL",
        )
        .bind(token.bytes())
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let last: Option<i64> = row.try_get("last_used_at")?;
        Ok(Some(Bearer {
            id: TokenId(row.try_get("token")?),
            user: user(&row)?,
            last_used_at: last.map(Timestamp),
        }))
    }

    /// Notes that a program used its token.
    pub async fn touch_token(&self, id: TokenId, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE tokens SET last_used_at = ? WHERE id = ?")
            .bind(now.0)
            .bind(id.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

pub(super) async fn insert_login(
    tx: &mut Tx,
    token: &TokenHash,
    user: Option<UserId>,
    now: Timestamp,
) -> Result<LoginId, StoreError> {
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO logins (token_hash, user, created_at, last_seen_at, expires_at)
         VALUES (?1, ?2, ?3, ?3, ?4) RETURNING id",
    )
    .bind(token.bytes())
    .bind(user.map(|user| user.0))
    .bind(now.0)
    .bind(now.0 + LIFETIME_S)
    .fetch_one(&mut **tx)
    .await?;
    Ok(LoginId(id))
}

async fn sign_in(
    tx: &mut Tx,
    user: UserId,
    token: &TokenHash,
    device: &TokenHash,
    now: Timestamp,
) -> Result<SignedIn, StoreError> {
    let login = insert_login(tx, token, Some(user), now).await?;
    sqlx::query(
        "DELETE FROM logins WHERE user = ?1 AND id NOT IN (
             SELECT id FROM logins WHERE user = ?1 ORDER BY last_seen_at DESC, id DESC LIMIT ?2)",
    )
    .bind(user.0)
    .bind(MOST_LOGINS)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "INSERT INTO devices (token_hash, user, last_seen_at) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET last_seen_at = ?3",
    )
    .bind(device.bytes())
    .bind(user.0)
    .bind(now.0)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "DELETE FROM devices WHERE user = ?1 AND token_hash NOT IN (
             SELECT token_hash FROM devices WHERE user = ?1 ORDER BY last_seen_at DESC LIMIT ?2)",
    )
    .bind(user.0)
    .bind(MOST_DEVICES)
    .execute(&mut **tx)
    .await?;
    Ok(SignedIn { user, login })
}
