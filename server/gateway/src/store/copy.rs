//! A copy of the database for a backup: whole, and without what lets anybody in. People, their passwords'
//! hashes, their desktops and the audit stay.

use super::{StoreError, migrate};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What cookies, links and tokens of programs are known by goes; what depends on another first.
const WITHOUT: [&str; 7] = [
    "DELETE FROM grants",
    "DELETE FROM links",
    "DELETE FROM preview_links",
    "DELETE FROM logins",
    "DELETE FROM devices",
    "DELETE FROM one_time",
    "DELETE FROM tokens",
];

/// Copies the database in `from`, which may be in use, to `to`, which must not be there.
pub(super) async fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let opened = |source| StoreError::Open { path: to.to_owned(), source };
    migrate::check(from).await?;
    let options = |path: &Path| {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(false);
        options.busy_timeout(super::PATIENCE)
    };
    let mut original = options(from).connect().await?;
    let target = to.to_string_lossy().into_owned();
    sqlx::query("VACUUM INTO ?").bind(target).execute(&mut original).await?;
    original.close().await?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o600)).map_err(opened)?;
    // No companions beside it, and no page that still has what was deleted.
    let copy = options(to).journal_mode(SqliteJournalMode::Delete).pragma("secure_delete", "ON");
    let mut copy = copy.connect().await?;
    for tokens in WITHOUT {
        sqlx::query(tokens).execute(&mut copy).await?;
    }
    sqlx::query("VACUUM").execute(&mut copy).await?;
    let found: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut copy).await?;
    copy.close().await?;
    if found != "ok" {
        return Err(StoreError::Damaged("a table, as PRAGMA integrity_check says"));
    }
    Ok(())
}
