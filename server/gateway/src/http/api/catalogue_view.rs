//! Catalogues and their apps as the API shows them.

use super::Template;
use crate::catalogues::install::{Pull, edition_of, fingerprint};
use crate::catalogues::{Power, Shelf, pinned, powers};
use crate::store::{Audience, Edition, Installed};
use crate::template::{self, App, Entry};
use serde::Serialize;
use utoipa::ToSchema;

/// A catalogue.
#[derive(Serialize, ToSchema)]
pub(super) struct CatalogueView {
    /// Its name in addresses.
    #[schema(example = "school")]
    name: String,
    /// Its name for people; nothing where it is refused.
    title: Option<String>,
    serial: Option<u64>,
    /// Whose signature it has.
    signed_by: Option<String>,
    /// Why it is refused, and what to do about it.
    refused: Option<String>,
}

/// An app of a catalogue.
#[derive(Serialize, ToSchema)]
#[schema(as = CatalogueApp)]
pub(super) struct AppView {
    catalogue: String,
    /// Its name in addresses, and on desktops.
    #[schema(example = "draw")]
    app: String,
    title: String,
    icon: String,
    summary: String,
    /// Plain text.
    description: String,
    /// What its catalogue has; nothing where it is in none any more.
    offer: Option<OfferView>,
    /// As the one who asks has it for themselves.
    mine: Option<InstalledView>,
    /// As everybody has it.
    everybody: Option<InstalledView>,
    /// Titles of kinds of desktop that have an app of that name of their own, and keep that.
    shadowed_by: Vec<String>,
}

/// What a catalogue has of an app.
#[derive(Serialize, ToSchema)]
struct OfferView {
    /// What tells this edition from all others; to be said to install it.
    edition: String,
    version: String,
    license: String,
    /// Where it comes from.
    source: String,
    /// What there is to fetch.
    size_bytes: u64,
    /// What it may use of a desktop's memory.
    memory_bytes: u64,
    /// Its image without the digest.
    image: String,
    digest: String,
    /// What it may do.
    powers: Vec<Power>,
}

/// An app that is installed.
#[derive(Serialize, ToSchema)]
struct InstalledView {
    version: String,
    digest: String,
    /// What it may do.
    powers: Vec<Power>,
    /// Whether its catalogue has another edition.
    update: bool,
    /// What it could do after that, and cannot now.
    adds: Vec<Power>,
    /// What it was before, and can be again.
    previous: Option<EarlierView>,
    /// Who installed it so.
    by: String,
    #[schema(format = DateTime)]
    at: String,
}

#[derive(Serialize, ToSchema)]
struct EarlierView {
    version: String,
    digest: String,
    /// What it could do then, and cannot now.
    adds: Vec<Power>,
}

/// An app on its way.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct PullView {
    catalogue: String,
    app: String,
    #[serde(rename = "for")]
    audience: AudienceView,
    done_bytes: u64,
    total_bytes: u64,
    /// Why it came to nothing, where it did.
    error: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AudienceView {
    Me,
    All,
}

impl CatalogueView {
    pub(super) fn all(shelf: &Shelf) -> Vec<Self> {
        let good = shelf.good.iter().map(|signed| Self {
            name: signed.catalogue.name.clone(),
            title: Some(signed.catalogue.title.clone()),
            serial: Some(signed.catalogue.serial),
            signed_by: Some(signed.by.clone()),
            refused: None,
        });
        let refused = shelf.refused.iter().map(|refused| Self {
            name: refused.name.clone(),
            title: None,
            serial: None,
            signed_by: None,
            refused: Some(refused.why.to_string()),
        });
        good.chain(refused).collect()
    }
}

impl AppView {
    /// Those of catalogues, then those that are installed and in none any more.
    pub(super) fn all(shelf: &Shelf, installed: &[Installed], templates: &[Template]) -> Vec<Self> {
        let mut all = Vec::new();
        for signed in &shelf.good {
            let catalogue = &signed.catalogue.name;
            for (app, entry) in &signed.catalogue.apps {
                let of =
                    installed.iter().filter(|one| one.app == *app && one.catalogue == *catalogue);
                all.push(Self::offered(catalogue, app, entry, of, templates));
            }
        }
        for one in installed {
            if !all.iter().any(|view| view.app == one.app && view.catalogue == one.catalogue) {
                let same = |it: &&Installed| it.app == one.app && it.catalogue == one.catalogue;
                all.extend(Self::left(one, installed.iter().filter(same), templates));
            }
        }
        all
    }

    fn offered<'a>(
        catalogue: &str,
        app: &str,
        entry: &Entry,
        installed: impl Iterator<Item = &'a Installed>,
        templates: &[Template],
    ) -> Self {
        let (image, digest) = entry.app.image.split_once('@').unwrap_or((&entry.app.image, ""));
        let edition = edition_of(app, entry);
        let offer = OfferView {
            edition: fingerprint(&edition),
            version: entry.version.clone(),
            license: entry.license.clone(),
            source: entry.source.clone(),
            size_bytes: entry.size,
            memory_bytes: entry.app.size.memory,
            image: image.to_owned(),
            digest: digest.to_owned(),
            powers: powers(&entry.app.permissions),
        };
        let mut view = Self::bare(catalogue, app, &entry.app, templates);
        view.summary.clone_from(&entry.summary);
        view.description.clone_from(&entry.description);
        view.offer = Some(offer);
        view.fill(installed, Some((&edition, &entry.app)));
        view
    }

    /// One that no catalogue has any more; nothing where what was kept of it cannot be read.
    fn left<'a>(
        one: &Installed,
        installed: impl Iterator<Item = &'a Installed>,
        templates: &[Template],
    ) -> Option<Self> {
        let app = defined(&one.app, &one.edition)?;
        let mut view = Self::bare(&one.catalogue, &one.app, &app, templates);
        view.fill(installed, None);
        Some(view)
    }

    fn bare(catalogue: &str, name: &str, app: &App, templates: &[Template]) -> Self {
        let has_own = |template: &&Template| template.apps.iter().any(|own| own.name == name);
        let shadowed_by = templates.iter().filter(has_own).map(|template| template.title.clone());
        Self {
            catalogue: catalogue.to_owned(),
            app: name.to_owned(),
            title: app.title.clone(),
            icon: app.icon.clone(),
            summary: String::new(),
            description: String::new(),
            offer: None,
            mine: None,
            everybody: None,
            shadowed_by: shadowed_by.collect(),
        }
    }

    fn fill<'a>(
        &mut self,
        installed: impl Iterator<Item = &'a Installed>,
        offer: Option<(&Edition, &App)>,
    ) {
        for one in installed {
            let view = InstalledView::of(one, offer);
            match one.audience {
                Audience::One(_) => self.mine = Some(view),
                Audience::Everybody => self.everybody = Some(view),
            }
        }
    }
}

impl InstalledView {
    fn of(one: &Installed, offer: Option<(&Edition, &App)>) -> Self {
        let may = |edition: &Edition| {
            defined(&one.app, edition).map(|app| powers(&app.permissions)).unwrap_or_default()
        };
        let now = may(&one.edition);
        let beyond = |then: Vec<Power>| -> Vec<Power> {
            then.into_iter().filter(|power| !now.contains(power)).collect()
        };
        let update = offer.filter(|(offer, _)| offer.definition != one.edition.definition);
        let adds = update.map(|(_, app)| beyond(powers(&app.permissions))).unwrap_or_default();
        let previous = one.previous.as_ref().map(|previous| EarlierView {
            version: previous.version.clone(),
            digest: pinned(&previous.image).to_owned(),
            adds: beyond(may(previous)),
        });
        Self {
            version: one.edition.version.clone(),
            digest: pinned(&one.edition.image).to_owned(),
            update: update.is_some(),
            adds,
            previous,
            powers: now,
            by: one.by.clone(),
            at: one.at.to_string(),
        }
    }
}

/// An app as it was kept.
fn defined(name: &str, edition: &Edition) -> Option<App> {
    template::read(&edition.definition).ok()?.apps.remove(name)
}

impl From<&Pull> for PullView {
    fn from(pull: &Pull) -> Self {
        Self {
            catalogue: pull.catalogue.clone(),
            app: pull.app.clone(),
            audience: match pull.audience {
                Audience::One(_) => AudienceView::Me,
                Audience::Everybody => AudienceView::All,
            },
            done_bytes: pull.progress.done,
            total_bytes: pull.progress.total,
            error: pull.error.clone(),
        }
    }
}
