//! Apps on their way from a catalogue to people: fetched, then noted as installed. Desktops have them
//! from their next start.
//!
//! What is under way is nowhere but here: a gateway that ends over it has installed nothing, and
//! whoever asks again finds what is here already.

use super::{Library, Shelf, Trace, digest_of};
use crate::runtime::{Progress, Runtime, RuntimeError, Wanted};
use crate::store::{Audience, Edition, NewInstalled, Store, StoreError, Timestamp, UserId};
use crate::template::{self, Entry};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// So many are fetched at once: more would only make each slower.
const MOST_PULLS: usize = 6;
/// So many that came to nothing are told of, the newest.
const MOST_FAILED: usize = 30;

/// A handle to it.
#[derive(Debug, Clone)]
pub struct Installer(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    library: Library,
    /// Whether people may install for themselves.
    is_open: bool,
    runtime: Arc<Runtime>,
    store: Store,
    shelf: Mutex<Option<(Vec<Trace>, Arc<Shelf>)>>,
    pulls: watch::Sender<Pulls>,
}

/// What is under way, and what came to nothing.
#[derive(Debug, Clone, Default)]
pub struct Pulls {
    /// Changes whenever something was installed, removed or brought back.
    pub revision: u64,
    /// The oldest first.
    pub all: Vec<Pull>,
}

/// One app on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Of which catalogue.
    pub catalogue: String,
    /// Which.
    pub app: String,
    /// For whom.
    pub audience: Audience,
    /// How much of it is here.
    pub progress: Progress,
    /// Why it came to nothing, where it did.
    pub error: Option<String>,
}

/// Why something is not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is no such app in a catalogue that can be trusted.
    #[error("{0}")]
    Missing(String),
    /// It does not go with what there is.
    #[error("{0}")]
    Conflict(String),
    /// Too much is under way.
    #[error("{MOST_PULLS} apps are being fetched at this moment; wait until one is here")]
    Busy,
    /// The runtime does not have it there.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a catalogue has of an app, as it is kept of what is installed.
pub fn edition_of(app: &str, entry: &Entry) -> Edition {
    Edition {
        image: entry.app.image.clone(),
        version: entry.version.clone(),
        definition: template::alone(app, &entry.app),
    }
}

/// What tells one edition from all others, also where only its permissions are others.
pub fn fingerprint(edition: &Edition) -> String {
    let Edition { version, definition, .. } = edition;
    digest_of(format!("{version}\n{definition}").as_bytes())[..32].to_owned()
}

impl Installer {
    /// Over these parts.
    pub fn new(library: Library, is_open: bool, runtime: Arc<Runtime>, store: Store) -> Self {
        let (shelf, pulls) = (Mutex::default(), watch::Sender::default());
        Self(Arc::new(Parts { library, is_open, runtime, store, shelf, pulls }))
    }

    /// Whether people may install for themselves; else only administrators install.
    pub fn is_open(&self) -> bool {
        self.0.is_open
    }

    /// What runs desktops, and has their images.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    /// Whether desktops have apps here.
    pub fn has_apps(&self) -> bool {
        self.0.runtime.has_apps()
    }

    /// What there is to install. Read anew where files changed.
    pub async fn shelf(&self) -> Arc<Shelf> {
        let own = self.clone();
        let looked = tokio::task::spawn_blocking(move || own.look()).await;
        looked.unwrap_or_default()
    }

    fn look(&self) -> Arc<Shelf> {
        let Parts { library, shelf, .. } = &*self.0;
        let mut known = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the look: what changes during it is looked at again.
        let trace = library.trace();
        match &*known {
            Some((as_of, shelf)) if *as_of == trace => shelf.clone(),
            _ => {
                let shelf = Arc::new(library.look());
                for refused in &shelf.refused {
                    tracing::warn!(catalogue = refused.name, why = %refused.why, "a catalogue is refused");
                }
                *known = Some((trace, shelf.clone()));
                shelf
            }
        }
    }

    /// What is under way.
    pub fn pulls(&self) -> watch::Receiver<Pulls> {
        self.0.pulls.subscribe()
    }

    /// Begins to install an app, or its newer edition, which is to be the one of this [`fingerprint`];
    /// that goes on by itself.
    pub async fn begin(
        &self,
        (catalogue, app): (&str, &str),
        wanted: &str,
        audience: Audience,
        by: UserId,
    ) -> Result<(), InstallError> {
        if !self.has_apps() {
            return Err(InstallError::Conflict(crate::runtime::NO_APPS.into()));
        }
        let shelf = self.shelf().await;
        let Some((_, entry)) = shelf.find(catalogue, app) else {
            return Err(InstallError::Missing(
                match shelf.refused.iter().find(|it| it.name == catalogue) {
                    Some(refused) => {
                        format!("the catalogue {catalogue} is refused: {}", refused.why)
                    }
                    None => format!("there is no app {app} in a catalogue {catalogue}"),
                },
            ));
        };
        let edition = edition_of(app, entry);
        if fingerprint(&edition) != wanted {
            return Err(InstallError::Conflict(format!(
                "the catalogue has another edition of {} than the one that you looked at; look at it again",
                entry.app.title
            )));
        }
        self.check_catalogue(catalogue, app, audience, by).await?;
        let pull = Pull {
            catalogue: catalogue.to_owned(),
            app: app.to_owned(),
            audience,
            progress: Progress { done: 0, total: entry.size },
            error: None,
        };
        if self.enter(pull.clone())? {
            let own = self.clone();
            tokio::spawn(async move { own.install(pull, edition, by).await });
        }
        Ok(())
    }

    /// One name is one app: that of another catalogue would take the place of the first.
    async fn check_catalogue(
        &self,
        catalogue: &str,
        app: &str,
        audience: Audience,
        by: UserId,
    ) -> Result<(), InstallError> {
        let installed = self.0.store.installed_for(by).await?;
        let same = installed.iter().find(|one| one.app == app && one.audience == audience);
        match same.filter(|one| one.catalogue != catalogue) {
            Some(other) => Err(InstallError::Conflict(format!(
                "another app {app} is installed, of the catalogue {}; remove that first",
                other.catalogue
            ))),
            None => Ok(()),
        }
    }

    /// Notes that it is under way; whether it was not already.
    fn enter(&self, pull: Pull) -> Result<bool, InstallError> {
        let mut entered = Ok(true);
        self.0.pulls.send_if_modified(|pulls| {
            let is_same = |one: &Pull| one.app == pull.app && one.audience == pull.audience;
            let under_way = pulls.all.iter().filter(|one| one.error.is_none());
            if under_way.clone().any(is_same) {
                entered = Ok(false);
            } else if under_way.count() >= MOST_PULLS {
                entered = Err(InstallError::Busy);
            } else {
                pulls.all.retain(|one| !is_same(one));
                pulls.all.push(pull);
                return true;
            }
            false
        });
        entered
    }

    async fn install(self, pull: Pull, edition: Edition, by: UserId) {
        let Pull { catalogue, app, audience, .. } = &pull;
        let wanted =
            Wanted { catalogue: catalogue.clone(), app: app.clone(), image: edition.image.clone() };
        let done = async {
            self.fetch(&wanted, *audience).await?;
            let (app, catalogue, audience) = (app.as_str(), catalogue.as_str(), *audience);
            let new = NewInstalled { app, catalogue, audience, edition: &edition, by };
            self.0.store.install(&new, Timestamp::now()).await?;
            Ok::<_, InstallError>(())
        };
        let done = done.await;
        if let Err(error) = &done {
            tracing::warn!(catalogue, app, %error, "an app was not installed");
        }
        self.leave(app, *audience, done.err().map(|error| error.to_string()));
    }

    async fn fetch(&self, wanted: &Wanted, audience: Audience) -> Result<(), RuntimeError> {
        let tell = |progress: Progress| {
            self.0.pulls.send_if_modified(|pulls| {
                let mut all = pulls.all.iter_mut();
                let own = all.find(|one| one.app == wanted.app && one.audience == audience);
                own.is_some_and(|own| std::mem::replace(&mut own.progress, progress) != progress)
            });
        };
        self.0.runtime.pull(wanted, &tell).await
    }

    /// It is no longer under way.
    fn leave(&self, app: &str, audience: Audience, error: Option<String>) {
        self.0.pulls.send_modify(|pulls| {
            let is_it = |one: &Pull| one.app == app && one.audience == audience;
            match error {
                None => {
                    pulls.revision += 1;
                    pulls.all.retain(|one| !is_it(one));
                }
                Some(error) => {
                    for one in pulls.all.iter_mut().filter(|one| is_it(one)) {
                        one.error = Some(error.clone());
                    }
                    let failed = pulls.all.iter().filter(|one| one.error.is_some()).count();
                    if failed > MOST_FAILED
                        && let Some(oldest) = pulls.all.iter().position(|one| one.error.is_some())
                    {
                        pulls.all.remove(oldest);
                    }
                }
            }
        });
    }

    /// Brings an app back to what it was before, once that is seen to be there.
    pub async fn roll_back(
        &self,
        app: &str,
        audience: Audience,
        by: UserId,
    ) -> Result<(), InstallError> {
        let installed = self.0.store.installed_for(by).await?;
        let own = installed.iter().find(|one| one.app == app && one.audience == audience);
        let own = own.ok_or(StoreError::Missing("app among those that are installed"))?;
        let previous =
            own.previous.as_ref().ok_or(StoreError::Missing("earlier version of that app"))?;
        let wanted = Wanted {
            catalogue: own.catalogue.clone(),
            app: app.to_owned(),
            image: previous.image.clone(),
        };
        self.0.runtime.pull(&wanted, &|_| {}).await?;
        self.0.store.roll_back_app(app, audience, by, Timestamp::now()).await?;
        self.forget_failure(app, audience);
        Ok(())
    }

    /// Removes an app. Its image stays until somebody makes room.
    pub async fn remove(
        &self,
        app: &str,
        audience: Audience,
        by: UserId,
    ) -> Result<(), InstallError> {
        self.0.store.remove_app(app, audience, by, Timestamp::now()).await?;
        self.forget_failure(app, audience);
        Ok(())
    }

    fn forget_failure(&self, app: &str, audience: Audience) {
        self.0.pulls.send_modify(|pulls| {
            pulls.revision += 1;
            pulls
                .all
                .retain(|one| one.app != app || one.audience != audience || one.error.is_none());
        });
    }
}
