//! The people: their names, roles and passwords.

use super::audit::{Actor, note};
use super::{LoginId, Store, StoreError, Timestamp, Tx, UserId};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

/// What a user may do beside using their own sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserRole {
    /// Nothing.
    Member,
    /// Administer the server.
    Admin,
}

impl UserRole {
    /// As the API and the store write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        match text {
            "member" => Ok(Self::Member),
            "admin" => Ok(Self::Admin),
            _ => Err(StoreError::Damaged("users.role")),
        }
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// What they sign in with.
    pub name: String,
    /// What others call them.
    pub display_name: String,
    /// What they may do.
    pub role: UserRole,
    /// Whether they can sign in with a password.
    pub has_password: bool,
    /// Whether they may not sign in at all.
    pub disabled: bool,
    /// Since when they are known.
    pub created_at: Timestamp,
}

/// A user to be made.
#[derive(Debug)]
pub struct NewUser<'a> {
    /// What they sign in with.
    pub name: &'a str,
    /// What others call them.
    pub display_name: &'a str,
    /// What they may do.
    pub role: UserRole,
    /// Their password's hash, where they have one.
    pub password_hash: Option<&'a str>,
}

/// What is to be different about a user; `None` stays.
#[derive(Debug, Default)]
pub struct UserChange<'a> {
    /// What others call them.
    pub display_name: Option<&'a str>,
    /// What they may do.
    pub role: Option<UserRole>,
    /// Whether they may not sign in.
    pub disabled: Option<bool>,
    /// Their password's hash.
    pub password_hash: Option<&'a str>,
}

/// What came of a change.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed {
    /// The user as they are now.
    pub user: User,
    /// The logins that ended with it.
    pub signed_out: Vec<LoginId>,
}

pub(super) fn user(row: &SqliteRow) -> Result<User, StoreError> {
    Ok(User {
        id: UserId(row.try_get("id")?),
        name: row.try_get("name")?,
        display_name: row.try_get("display_name")?,
        role: UserRole::parse(row.try_get("role")?)?,
        has_password: row.try_get("has_password")?,
        disabled: row.try_get("disabled")?,
        created_at: Timestamp(row.try_get("created_at")?),
    })
}

/// Names are the same whatever their case.
fn key(name: &str) -> String {
    name.to_lowercase()
}

impl Store {
    /// All users, by name.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        let rows = sqlx::query(
            "SELECT *, password_hash IS NOT NULL AS has_password FROM users
             WHERE deleted_at IS NULL ORDER BY name_key",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(user).collect()
    }

    /// The user of that id.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let row = sqlx::query(
            "SELECT *, password_hash IS NOT NULL AS has_password FROM users
             WHERE id = ? AND deleted_at IS NULL",
        )
        .bind(id.0)
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(user).transpose()
    }

    /// The user of that name, whatever its case.
    pub async fn user_named(&self, name: &str) -> Result<Option<User>, StoreError> {
        let row = sqlx::query(
            "SELECT *, password_hash IS NOT NULL AS has_password FROM users
             WHERE name_key = ? AND deleted_at IS NULL",
        )
        .bind(key(name))
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(user).transpose()
    }

    /// The hash of that user's password, where they have one.
    pub async fn password_hash(&self, id: UserId) -> Result<Option<String>, StoreError> {
        let hash: Option<Option<String>> =
            sqlx::query_scalar("SELECT password_hash FROM users WHERE id = ?")
                .bind(id.0)
                .fetch_optional(&self.readers)
                .await?;
        Ok(hash.flatten())
    }

    /// Makes a user.
    pub async fn create_user(
        &self,
        new: &NewUser<'_>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<User, StoreError> {
        let mut tx = self.begin().await?;
        let made = insert(&mut tx, new, actor, now).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Makes the first user, an administrator without a password; nothing where there are users.
    pub async fn create_first_user(
        &self,
        new: &NewUser<'_>,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        let mut tx = self.begin().await?;
        let users: i64 =
            sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut *tx).await?;
        if users > 0 {
            return Ok(None);
        }
        let made = insert(&mut tx, new, Actor::System, now).await?;
        tx.commit().await?;
        Ok(Some(made))
    }

    /// Changes a user. Whoever may no longer sign in, or has another role or password, is signed
    /// out everywhere but at `keep`.
    pub async fn change_user(
        &self,
        id: UserId,
        change: &UserChange<'_>,
        keep: Option<LoginId>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Changed, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "UPDATE users SET display_name = coalesce(?2, display_name),
                 role = coalesce(?3, role), disabled = coalesce(?4, disabled),
                 password_hash = coalesce(?5, password_hash)
             WHERE id = ?1 AND deleted_at IS NULL
             RETURNING *, password_hash IS NOT NULL AS has_password",
        )
        .bind(id.0)
        .bind(change.display_name)
        .bind(change.role.map(UserRole::as_str))
        .bind(change.disabled)
        .bind(change.password_hash)
        .fetch_optional(&mut *tx)
        .await?;
        let user = row.as_ref().map(user).transpose()?.ok_or(StoreError::Missing("user"))?;
        keep_an_admin(&mut tx).await?;
        let mut signed_out: Vec<i64> = Vec::new();
        if change.password_hash.is_some() || change.role.is_some() || user.disabled {
            signed_out = sqlx::query_scalar(
                "DELETE FROM logins WHERE user = ? AND id IS NOT ? RETURNING id",
            )
            .bind(id.0)
            .bind(keep.map(|login| login.0))
            .fetch_all(&mut *tx)
            .await?;
        }
        // A sign-in that was meant for somebody without a password is not a second way in.
        if change.password_hash.is_some() || user.disabled {
            forget_one_time(&mut tx, id).await?;
        }
        note(&mut tx, now, actor, "user.change", format!("user {}", id.0), &change.names()).await?;
        tx.commit().await?;
        Ok(Changed { user, signed_out: signed_out.into_iter().map(LoginId).collect() })
    }

    /// Deletes a user with their logins, links and tokens. Their sessions are to be ended.
    pub async fn delete_user(
        &self,
        id: UserId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let deleted = sqlx::query(
            "UPDATE users SET deleted_at = ?2, password_hash = NULL
             WHERE id = ?1 AND deleted_at IS NULL",
        )
        .bind(id.0)
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        if deleted.rows_affected() == 0 {
            return Err(StoreError::Missing("user"));
        }
        keep_an_admin(&mut tx).await?;
        forget_one_time(&mut tx, id).await?;
        for statement in [
            "DELETE FROM logins WHERE user = ?",
            "DELETE FROM tokens WHERE user = ?",
            "DELETE FROM grants WHERE user = ?",
            "DELETE FROM devices WHERE user = ?",
        ] {
            sqlx::query(statement).bind(id.0).execute(&mut *tx).await?;
        }
        super::sessions::delete_all_of(&mut tx, id, now).await?;
        note(&mut tx, now, actor, "user.delete", format!("user {}", id.0), "").await?;
        tx.commit().await?;
        Ok(())
    }
}

impl UserChange<'_> {
    /// Which fields it has, for the audit: passwords are not for it.
    fn names(&self) -> String {
        let role = self.role.map(|role| format!("role {}", role.as_str()));
        let disabled = self.disabled.map(|off| if off { "disabled" } else { "enabled" }.to_owned());
        let name = self.display_name.map(|_| "display name".to_owned());
        let password = self.password_hash.map(|_| "password".to_owned());
        let names: Vec<String> = [role, disabled, name, password].into_iter().flatten().collect();
        names.join(", ")
    }
}

async fn insert(
    tx: &mut Tx,
    new: &NewUser<'_>,
    actor: Actor,
    now: Timestamp,
) -> Result<User, StoreError> {
    let row = sqlx::query(
        "INSERT INTO users (name, name_key, display_name, role, password_hash, created_at)
         VALUES (?, ?, ?, ?, ?, ?)
         RETURNING *, password_hash IS NOT NULL AS has_password",
    )
    .bind(new.name)
    .bind(key(new.name))
    .bind(new.display_name)
    .bind(new.role.as_str())
    .bind(new.password_hash)
    .bind(now.0)
    .fetch_one(&mut **tx)
    .await
    .map_err(taken)?;
    let made = user(&row)?;
    let subject = format!("user {}", made.id.0);
    note(tx, now, actor, "user.create", subject, made.role.as_str()).await?;
    Ok(made)
}

fn taken(error: sqlx::Error) -> StoreError {
    match error.as_database_error() {
        Some(cause) if cause.is_unique_violation() => StoreError::NameTaken,
        _ => error.into(),
    }
}

/// Refuses a change that leaves nobody who can administer; the transaction is then dropped.
async fn keep_an_admin(tx: &mut Tx) -> Result<(), StoreError> {
    let admins: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM users
         WHERE role = 'admin' AND disabled = 0 AND deleted_at IS NULL",
    )
    .fetch_one(&mut **tx)
    .await?;
    if admins == 0 { Err(StoreError::LastAdmin) } else { Ok(()) }
}

async fn forget_one_time(tx: &mut Tx, id: UserId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM one_time WHERE user = ? AND used_at IS NULL")
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
