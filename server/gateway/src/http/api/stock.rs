//! What the machine holds, for administrators: the images that desktops are made of, and what everybody
//! keeps. The same numbers are in `/metrics`, without names.

use super::answers::{conflict, no_such};
use super::gate::Pass;
use super::session_view::{OwnerView, StorageView};
use super::{Api, MEASURE_EVERY};
use crate::broker::protocol::{Held, ImageId, Pool, SeenImage, Stored, Volumes};
use crate::catalogues::pinned;
use crate::http::problem::Problem;
use crate::runtime::RuntimeError;
use crate::runtime::stock::NO_IMAGES;
use crate::store::{Edition, Installed, Timestamp, User};
use crate::telemetry;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use tokio::time::sleep;
use utoipa::ToSchema;

/// Images.
#[derive(Serialize, ToSchema)]
#[schema(as = Images)]
pub(super) struct ImagesView {
    /// The largest first.
    images: Vec<ImageView>,
    /// Of them all together. Layers that several have are counted for each.
    total_bytes: u64,
    /// Of those that nothing needs.
    removable_bytes: u64,
    /// Why there are none, where desktops are made of none.
    obstacle: Option<&'static str>,
}

/// An image.
#[derive(Serialize, ToSchema)]
#[schema(as = Image)]
struct ImageView {
    /// Its own digest, with `sha256:`.
    id: String,
    /// What it is called.
    names: Vec<String>,
    /// `shipped`, `catalogue`, `template` (somebody else's, of which a template has an app) or `stale`
    /// (one of Lattice's that a newer one has replaced).
    kind: &'static str,
    /// The release that it was built with, where that is another than this server's.
    other_release: Option<String>,
    size_bytes: u64,
    #[schema(format = DateTime)]
    made_at: String,
    /// How many desktops there are with a container of it.
    desktops: u32,
    /// Whether every desktop is made of it.
    core: bool,
    /// The templates that have an app of it.
    templates: Vec<String>,
    /// The apps of catalogues that are installed of it, with their versions.
    installed: Vec<String>,
    /// Why it is not removed; null where it can be.
    kept: Option<String>,
}

/// What everybody keeps.
#[derive(Serialize, ToSchema)]
#[schema(as = Volumes)]
pub(super) struct VolumesView {
    /// Who has the most first.
    people: Vec<PersonView>,
    /// In what it is kept.
    keeper: String,
    /// Whether no more than the limits can be kept.
    enforced: bool,
    /// Why no limit holds where one could.
    obstacle: Option<String>,
}

/// What one person keeps.
#[derive(Serialize, ToSchema)]
#[schema(as = PersonVolumes)]
struct PersonView {
    id: String,
    /// Null where the account is gone, and the files are not.
    owner: Option<OwnerView>,
    storage: StorageView,
    used_bytes: u64,
    /// Whether less than a fifth of what may be kept in some place is left.
    near: bool,
}

/// The images that desktops are made of, or were.
#[utoipa::path(
    get, path = "/api/v1/machine/images", tag = "machine",
    responses((status = 200, body = ImagesView),
        (status = 503, description = "The container engine does not answer"))
)]
pub(super) async fn images(State(api): State<Api>) -> Result<Json<ImagesView>, Problem> {
    let Some(images) = api.installer().runtime().images().await? else {
        let obstacle = Some(NO_IMAGES);
        let (images, total_bytes, removable_bytes) = (Vec::new(), 0, 0);
        return Ok(Json(ImagesView { images, total_bytes, removable_bytes, obstacle }));
    };
    api.note_present(Some(&images));
    let installed = api.store().all_installed().await?;
    let images: Vec<_> = images.into_iter().map(|image| view(image, &installed)).collect();
    let free = images.iter().filter(|image| image.kept.is_none());
    Ok(Json(ImagesView {
        total_bytes: images.iter().map(|image| image.size_bytes).sum(),
        removable_bytes: free.map(|image| image.size_bytes).sum(),
        images,
        obstacle: None,
    }))
}

/// Remove an image that nothing needs: one of Lattice's that a newer one has replaced, or one of a
/// catalogue of which nothing is installed.
#[utoipa::path(
    delete, path = "/api/v1/machine/images/{image}", tag = "machine",
    params(("image" = String, Path, description = "Its own digest, with `sha256:`")),
    responses((status = 204), (status = 404, description = "There is no such image"),
        (status = 409, description = "Something needs it, and what"))
)]
pub(super) async fn remove_image(
    State(api): State<Api>,
    pass: Pass,
    Path(image): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = ImageId::try_from(image).map_err(|_| no_such("image"))?;
    let runtime = api.installer().runtime();
    let images = runtime.images().await?.ok_or_else(|| conflict(NO_IMAGES))?;
    let found = images.into_iter().find(|image| image.id == id);
    let found = found.ok_or_else(|| no_such("image"))?;
    // The broker knows of no installed apps, and judges the rest by itself again.
    if let Some(why) = view(found, &api.store().all_installed().await?).kept {
        return Err(conflict(format!("that image stays: {why}")));
    }
    runtime.remove_image(&id).await?;
    let by = pass.identity.user().map(|user| user.id.0);
    tracing::info!(image = id.as_str(), by, "an image was removed");
    Ok(StatusCode::NO_CONTENT)
}

/// What everybody keeps, also those who have no desktop at this moment.
#[utoipa::path(
    get, path = "/api/v1/machine/volumes", tag = "machine",
    responses((status = 200, body = VolumesView),
        (status = 503, description = "The broker or the container engine does not answer"))
)]
pub(super) async fn volumes(State(api): State<Api>) -> Result<Json<VolumesView>, Problem> {
    let Volumes { storage, people } = api.installer().runtime().volumes().await?;
    let users = api.store().users().await?;
    let mut people: Vec<_> =
        people.into_iter().map(|(id, stored)| person(id, stored, &users)).collect();
    people.sort_by_key(|person| std::cmp::Reverse(person.used_bytes));
    let (keeper, enforced) = (storage.keeper, storage.is_enforced);
    Ok(Json(VolumesView { people, keeper, enforced, obstacle: storage.obstacle }))
}

fn view(image: SeenImage, installed: &[Installed]) -> ImageView {
    let is_it = |edition: &Edition| {
        let digest = pinned(&edition.image);
        digest == image.id.as_str() || image.digests.iter().any(|known| known == digest)
    };
    let told = |one: &Installed| format!("{} {}", one.app, one.edition.version);
    let mut now: Vec<_> = installed.iter().filter(|one| is_it(&one.edition)).map(told).collect();
    now.dedup();
    let mut before = installed.iter().filter(|one| one.previous.as_ref().is_some_and(is_it));
    let kept = match (image.kept, now.first(), before.next()) {
        (Some(why), ..) => Some(why),
        (None, Some(app), _) => Some(format!("{app} is installed")),
        (None, None, Some(one)) => Some(format!("{} can be brought back to it", one.app)),
        (None, None, None) => None,
    };
    ImageView {
        id: image.id.into(),
        names: image.names,
        kind: image.kind.name(),
        other_release: image.release.filter(|release| release != env!("CARGO_PKG_VERSION")),
        size_bytes: image.size,
        made_at: Timestamp(image.made).to_string(),
        desktops: image.desktops,
        core: image.is_core,
        templates: image.templates,
        installed: now,
        kept,
    }
}

fn person(id: i64, stored: Stored, users: &[User]) -> PersonView {
    let owner = users.iter().find(|user| user.id.0 == id);
    let all = [stored.data, stored.home, stored.apps];
    PersonView {
        id: id.to_string(),
        owner: owner.map(OwnerView::of_user),
        used_bytes: all.iter().map(|held| held.used).sum(),
        near: all.iter().any(Held::is_near),
        storage: stored.into(),
    }
}

impl From<RuntimeError> for Problem {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Refused(what) => conflict(what),
            error => Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not now", error.to_string()),
        }
    }
}

/// The images that are on the machine.
#[derive(Debug)]
pub(super) struct Present(BTreeSet<String>);

impl Present {
    pub(super) fn of(images: &[SeenImage]) -> Self {
        let names = images.iter().flat_map(|image| image.names.iter().chain(&image.digests));
        let ids = images.iter().map(|image| image.id.as_str().to_owned());
        Self(names.cloned().chain(ids).collect())
    }

    /// Whether one of that name is; of one that is named by its digest, that counts.
    pub(super) fn has(&self, image: &str) -> bool {
        match pinned(image) {
            "" => self.0.contains(image),
            digest => self.0.contains(digest),
        }
    }
}

impl Api {
    /// The images that were there when it was last looked.
    pub(super) fn present(&self) -> Option<Arc<Present>> {
        self.0.present.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The desktops that were half started when it was last looked.
    pub(super) fn pool(&self) -> Option<Pool> {
        *self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_present(&self, images: Option<&[SeenImage]>) {
        let present = images.map(|images| Arc::new(Present::of(images)));
        *self.0.present.lock().unwrap_or_else(PoisonError::into_inner) = present;
    }

    /// Keeps the numbers of the machine in `/metrics` as administrators see them. For ever.
    pub async fn measure(self) {
        for round in 0_u64.. {
            let desktops =
                self.desktops().shown().live.values().filter_map(|live| live.usage.memory).sum();
            telemetry::machine::count_load(&self.host().load(), desktops);
            telemetry::machine::count_limits(&self.host().limits());
            // Where the engine is away, or a broker is older, nobody knows.
            let pool = self.installer().runtime().pool().await.unwrap_or(None);
            telemetry::machine::count_pool(pool);
            *self.0.pool.lock().unwrap_or_else(PoisonError::into_inner) = pool;
            // What does not change every quarter of a minute. Where the engine is away, what was last seen
            // stays, and `lattice_stock_seen_timestamp_seconds` says when that was.
            if round.is_multiple_of(4) {
                let runtime = self.installer().runtime();
                let (images, volumes) = tokio::join!(runtime.images(), runtime.volumes());
                match (images, volumes) {
                    (Ok(images), Ok(volumes)) => {
                        self.note_present(images.as_deref());
                        telemetry::machine::count_images(images.as_deref().unwrap_or_default());
                        telemetry::machine::count_volumes(&volumes.people);
                        telemetry::machine::seen(Timestamp::now().0);
                    }
                    (Err(error), _) | (_, Err(error)) => {
                        tracing::debug!(%error, "images and volumes cannot be looked at");
                    }
                }
            }
            sleep(MEASURE_EVERY).await;
        }
    }
}
