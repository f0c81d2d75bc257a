//! Apps that were installed of a catalogue, for one person or for everybody.

use super::audit::{Actor, note};
use super::{Store, StoreError, Timestamp, Tx, UserId};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

/// One owner has so many at most, and everybody together as many again: each has its place in a menu.
const MOST_INSTALLED: u32 = 8;

/// For whom an app is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// One person.
    One(UserId),
    /// All who have an account.
    Everybody,
}

/// An app that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Which, by its name in the catalogue.
    pub app: String,
    /// The catalogue that it was installed of.
    pub catalogue: String,
    /// For whom.
    pub audience: Audience,
    /// What it is.
    pub edition: Edition,
    /// What it was before, and can be again.
    pub previous: Option<Edition>,
    /// What whoever installed it is called.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What an app is, as a catalogue had it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition {
    /// Its image, named by its digest.
    pub image: String,
    /// Its version, for people.
    pub version: String,
    /// The app, as a template with nothing else in it.
    pub definition: String,
}

/// An app that is to be installed, or to be brought to another edition.
#[derive(Debug, Clone)]
pub struct NewInstalled<'a> {
    /// Which.
    pub app: &'a str,
    /// The catalogue.
    pub catalogue: &'a str,
    /// For whom.
    pub audience: Audience,
    /// What it is to be.
    pub edition: &'a Edition,
    /// Who has it so.
    pub by: UserId,
}

impl Audience {
    /// As the database has it.
    fn owner(self) -> Option<i64> {
        match self {
            Self::One(user) => Some(user.0),
            Self::Everybody => None,
        }
    }

    fn told(self) -> String {
        match self {
            Self::One(user) => format!("user {}", user.0),
            Self::Everybody => "everybody".into(),
        }
    }
}

impl Store {
    /// What this person has of their own, and what everybody has; in the order of names.
    pub async fn installed_for(&self, user: UserId) -> Result<Vec<Installed>, StoreError> {
        let rows = sqlx::query(
            "SELECT app, catalogue, owner, image, version, definition, previous_image,
                 previous_version, previous_definition, users.display_name AS by, installed_at
             FROM installed JOIN users ON users.id = installed.installed_by
             WHERE owner = ? OR owner IS NULL ORDER BY app, owner IS NULL",
        )
        .bind(user.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(installed).collect()
    }

    /// What anybody has.
    pub async fn all_installed(&self) -> Result<Vec<Installed>, StoreError> {
        let rows = sqlx::query(
            "SELECT app, catalogue, owner, image, version, definition, previous_image,
                 previous_version, previous_definition, users.display_name AS by, installed_at
             FROM installed JOIN users ON users.id = installed.installed_by
             ORDER BY app, version",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(installed).collect()
    }

    /// Installs an app, or brings it to another edition; what it was before is kept.
    pub async fn install(&self, new: &NewInstalled<'_>, now: Timestamp) -> Result<(), StoreError> {
        let NewInstalled { app, catalogue, audience, edition, by } = *new;
        let Edition { image, version, definition } = edition;
        let mut tx = self.begin().await?;
        let others: u32 =
            sqlx::query_scalar("SELECT count(*) FROM installed WHERE owner IS ? AND app <> ?")
                .bind(audience.owner())
                .bind(app)
                .fetch_one(&mut *tx)
                .await?;
        if others >= MOST_INSTALLED {
            return Err(StoreError::TooMany { max: MOST_INSTALLED });
        }
        // What is the same is no other edition: what was before stays.
        sqlx::query(
            "INSERT INTO installed
                 (app, catalogue, owner, image, version, definition, installed_by, installed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (app, coalesce(owner, 0)) DO UPDATE SET
                 previous_image = iif(definition = ?6, previous_image, image),
                 previous_version = iif(definition = ?6, previous_version, version),
                 previous_definition = iif(definition = ?6, previous_definition, definition),
                 catalogue = ?2, image = ?4, version = ?5, definition = ?6,
                 installed_by = ?7, installed_at = ?8",
        )
        .bind(app)
        .bind(catalogue)
        .bind(audience.owner())
        .bind(image)
        .bind(version)
        .bind(definition)
        .bind(by.0)
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        let detail = format!("for {}, {image}", audience.told());
        let subject = format!("app {catalogue}/{app}");
        touch(&mut tx, audience).await?;
        note(&mut tx, now, Actor::User(by), "app.install", subject, &detail).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Brings an app back to what it was before, which changes places with what it is.
    pub async fn roll_back_app(
        &self,
        app: &str,
        audience: Audience,
        by: UserId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let image: Option<String> = sqlx::query_scalar(
            "UPDATE installed SET
                 image = previous_image, previous_image = image,
                 version = previous_version, previous_version = version,
                 definition = previous_definition, previous_definition = definition,
                 installed_by = ?3, installed_at = ?4
             WHERE app = ?1 AND owner IS ?2 AND previous_image IS NOT NULL RETURNING image",
        )
        .bind(app)
        .bind(audience.owner())
        .bind(by.0)
        .bind(now.0)
        .fetch_optional(&mut *tx)
        .await?;
        let image = image.ok_or(StoreError::Missing("earlier version of that app"))?;
        let detail = format!("for {}, {image}", audience.told());
        touch(&mut tx, audience).await?;
        note(&mut tx, now, Actor::User(by), "app.rollback", format!("app {app}"), &detail).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes an app.
    pub async fn remove_app(
        &self,
        app: &str,
        audience: Audience,
        by: UserId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query("DELETE FROM installed WHERE app = ? AND owner IS ?")
            .bind(app)
            .bind(audience.owner())
            .execute(&mut *tx)
            .await?;
        if gone.rows_affected() == 0 {
            return Err(StoreError::Missing("app among those that are installed"));
        }
        let detail = format!("for {}", audience.told());
        touch(&mut tx, audience).await?;
        note(&mut tx, now, Actor::User(by), "app.remove", format!("app {app}"), &detail).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Has sessions be made anew, when they start next.
async fn touch(tx: &mut Tx, audience: Audience) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE sessions SET apps_revision = apps_revision + 1 WHERE ?1 IS NULL OR owner = ?1",
    )
    .bind(audience.owner())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn installed(row: &SqliteRow) -> Result<Installed, StoreError> {
    let owner: Option<i64> = row.try_get("owner")?;
    let image: Option<String> = row.try_get("previous_image")?;
    let previous = match image {
        None => None,
        Some(image) => Some(Edition {
            image,
            version: row.try_get("previous_version")?,
            definition: row.try_get("previous_definition")?,
        }),
    };
    Ok(Installed {
        app: row.try_get("app")?,
        catalogue: row.try_get("catalogue")?,
        audience: owner.map_or(Audience::Everybody, |owner| Audience::One(UserId(owner))),
        edition: Edition {
            image: row.try_get("image")?,
            version: row.try_get("version")?,
            definition: row.try_get("definition")?,
        },
        previous,
        by: row.try_get("by")?,
        at: Timestamp(row.try_get("installed_at")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NewUser, UserRole};

    const NOW: Timestamp = Timestamp(1_800_000_000);

    struct Scene {
        store: Store,
        user: UserId,
        other: UserId,
        _dir: tempfile::TempDir,
    }

    impl Scene {
        async fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let store = Store::open(&dir.path().join("lattice.db")).await.expect("a database");
            let mut users = Vec::new();
            for name in ["ada", "sam"] {
                let role = UserRole::Member;
                let new = NewUser { name, display_name: name, role, password_hash: None };
                users.push(store.create_user(&new, Actor::System, NOW).await.expect("made").id);
            }
            Self { store, user: users[0], other: users[1], _dir: dir }
        }

        async fn install(&self, audience: Audience, version: &str) {
            let edition = Edition {
                image: format!("a@sha256:{version}"),
                version: version.into(),
                definition: format!("app {version}"),
            };
            let (app, catalogue, by) = ("draw", "apps", self.user);
            let new = NewInstalled { app, catalogue, audience, edition: &edition, by };
            self.store.install(&new, NOW).await.expect("installed");
        }

        /// The version that is installed and the one before, each for whom.
        async fn of(&self, user: UserId) -> Vec<(Audience, String, Option<String>)> {
            let all = self.store.installed_for(user).await.expect("read").into_iter();
            all.map(|one| (one.audience, one.edition.version, one.previous.map(|was| was.version)))
                .collect()
        }
    }

    #[tokio::test]
    async fn an_update_keeps_what_was_before_and_a_rollback_goes_there_and_back() {
        let scene = Scene::new().await;
        let own = Audience::One(scene.user);
        let back = || scene.store.roll_back_app("draw", own, scene.user, NOW);
        scene.install(own, "1").await;
        assert!(matches!(back().await, Err(StoreError::Missing(_))));
        scene.install(own, "2").await;
        scene.install(own, "2").await;
        assert_eq!(scene.of(scene.user).await, [(own, "2".into(), Some("1".into()))]);
        back().await.expect("back");
        assert_eq!(scene.of(scene.user).await, [(own, "1".into(), Some("2".into()))]);
        back().await.expect("and forth");
        assert_eq!(scene.of(scene.user).await, [(own, "2".into(), Some("1".into()))]);
        assert_eq!(scene.of(scene.other).await, [], "others have nothing of it");
        let noted = scene.store.audit(1).await.expect("read");
        assert_eq!(noted[0].action, "app.rollback");
    }

    #[tokio::test]
    async fn what_is_everybodys_is_beside_what_is_ones_own() {
        let scene = Scene::new().await;
        scene.install(Audience::Everybody, "1").await;
        scene.install(Audience::One(scene.user), "2").await;
        assert_eq!(scene.of(scene.other).await, [(Audience::Everybody, "1".into(), None)]);
        assert_eq!(scene.of(scene.user).await.len(), 2);
        let remove = |audience| scene.store.remove_app("draw", audience, scene.user, NOW);
        remove(Audience::Everybody).await.expect("removed");
        assert!(matches!(remove(Audience::Everybody).await, Err(StoreError::Missing(_))));
        let own = Audience::One(scene.user);
        assert_eq!(scene.of(scene.user).await, [(own, "2".into(), None)]);
    }
}
