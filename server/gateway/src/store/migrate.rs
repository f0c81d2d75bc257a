//! Bringing a database up to date, and refusing one that is ahead.

use super::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool};
use sqlx::{ConnectOptions as _, Connection as _};
use std::path::Path;

/// Each ends by setting `user_version` to its own number. What was released is never changed.
const MIGRATIONS: [&str; 6] = [
    include_str!("migrations/0001_people_and_sessions.sql"),
    include_str!("migrations/0002_discarded_sessions.sql"),
    include_str!("migrations/0003_template_versions.sql"),
    include_str!("migrations/0004_installed_apps.sql"),
    include_str!("migrations/0005_preview_links.sql"),
    include_str!("migrations/0006_links_from_desktops.sql"),
];
/// "Latt", so that `file` and we ourselves can tell whose a database is.
const APPLICATION: i64 = 0x4c61_7474;

/// The schema of this release.
pub(super) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Refuses what is not ours to open, before anything is written to it.
pub(super) async fn check(path: &Path) -> Result<(), StoreError> {
    // Opening for writing would switch it to a write-ahead log.
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false);
    let plain = options.busy_timeout(super::PATIENCE).connect().await;
    look(plain.map_err(|error| foreign(error, path))?, path).await?;
    Ok(())
}

/// Looks at a database without changing a byte of it or beside it; returns its schema.
pub(super) async fn inspect(path: &Path) -> Result<i64, StoreError> {
    let log = path.with_extension("db-wal");
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false);
    // Without a log nobody writes, and SQLite need not make the files by which writers agree.
    let options = options.read_only(true).immutable(!log.exists());
    let opened = options.busy_timeout(super::PATIENCE).connect().await;
    look(opened.map_err(|error| foreign(error, path))?, path).await
}

async fn look(mut plain: SqliteConnection, path: &Path) -> Result<i64, StoreError> {
    let version: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut plain)
        .await
        .map_err(|error| foreign(error, path))?;
    let application: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut plain).await?;
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut plain).await?;
    plain.close().await?;
    judge(path, version, application, tables)?;
    Ok(version)
}

fn judge(path: &Path, version: i64, application: i64, tables: i64) -> Result<(), StoreError> {
    if application != APPLICATION && (application != 0 || tables > 0 || version > 0) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    if version > KNOWN {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: KNOWN });
    }
    Ok(())
}

/// Applies what is missing, all or nothing.
pub(super) async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    // Asked again, since another process may just have migrated.
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *tx).await?;
    if version > KNOWN {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: KNOWN });
    }
    let done = usize::try_from(version).unwrap_or(0);
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        sqlx::raw_sql(*migration).execute(&mut *tx).await?;
        tracing::info!(schema = number + 1, "the database was brought up to date");
    }
    tx.commit().await?;
    Ok(())
}

/// SQLITE_NOTADB: the file is something else.
fn foreign(error: sqlx::Error, path: &Path) -> StoreError {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some("26") => StoreError::Foreign(path.to_owned()),
        _ => error.into(),
    }
}
