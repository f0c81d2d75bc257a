//! The images that desktops are made of, and which of them nothing needs.
//!
//! INVARIANT: what is removed is an image that Lattice built and has replaced since, or one that a signed
//! catalogue once named; no container is of it, no template has an app of it, and it has no name that
//! somebody else gave it.

use super::{Core, Desktops, SESSION};
use crate::broker::containers::IMAGE;
use crate::broker::pulls::repository;
use crate::broker::stock::{ImageId, ImageKind, SeenImage};
use crate::runtime::RuntimeError;
use bollard::models::{ContainerSummary, ImageSummary};
use std::collections::{BTreeMap, BTreeSet};

/// On images of ours: the release of Lattice that they were built with.
const RELEASE: &str = "io.lattice.version";

/// What needs images, by their ids.
#[derive(Debug, Default)]
struct Needs {
    /// How many containers there are of each.
    containers: BTreeMap<String, u32>,
    /// Which sessions those of this installation are of.
    sessions: BTreeMap<String, BTreeSet<String>>,
    core: BTreeSet<String>,
    templates: BTreeMap<String, BTreeSet<String>>,
    /// What signed catalogues have named: repositories by digest.
    admitted: BTreeMap<String, BTreeSet<String>>,
}

impl Desktops {
    /// Those that have to do with Lattice, the largest first.
    pub(in crate::broker) async fn images(&self) -> Result<Vec<SeenImage>, RuntimeError> {
        let needs = self.needs().await?;
        let all = self.engine.images().await?;
        let mut images: Vec<_> = all.into_iter().filter_map(|image| judge(image, &needs)).collect();
        images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.names.cmp(&b.names)));
        Ok(images)
    }

    /// Removes one that nothing needs.
    pub(in crate::broker) async fn remove_image(&self, id: &ImageId) -> Result<(), RuntimeError> {
        let images = self.images().await?;
        let Some(image) = images.iter().find(|image| image.id == *id) else {
            let what = format!("there is no image {} of Lattice's", id.as_str());
            return Err(RuntimeError::Refused(what));
        };
        let name = image.names.first().map_or(id.as_str(), String::as_str);
        if let Some(why) = &image.kept {
            return Err(RuntimeError::Refused(format!("the image {name} stays: {why}")));
        }
        self.engine.remove_image(id.as_str()).await?;
        tracing::info!(image = name, id = id.as_str(), "an image that nothing needs was removed");
        Ok(())
    }

    async fn needs(&self) -> Result<Needs, RuntimeError> {
        let mut needs = Needs { admitted: self.pulls.named(), ..Needs::default() };
        for container in self.engine.list(Vec::new()).await? {
            self.count(container, &mut needs);
        }
        for core in Core::ALL {
            if let Some(id) = self.id_of(&core.image()).await? {
                needs.core.insert(id);
            }
        }
        for (name, template) in &self.settings.templates {
            for app in template.apps.values() {
                if let Some(id) = self.id_of(&app.image).await? {
                    needs.templates.entry(id).or_default().insert(name.clone());
                }
            }
        }
        Ok(needs)
    }

    fn count(&self, container: ContainerSummary, needs: &mut Needs) {
        let Some(image) = container.image_id else { return };
        *needs.containers.entry(image.clone()).or_default() += 1;
        let labels = container.labels.unwrap_or_default();
        let own = self.label();
        let is_own = labels.iter().any(|(name, value)| format!("{name}={value}") == own);
        if let Some(session) = labels.get(SESSION).filter(|_| is_own) {
            needs.sessions.entry(image).or_default().insert(session.clone());
        }
    }

    async fn id_of(&self, name: &str) -> Result<Option<String>, RuntimeError> {
        let found = match name.contains('@') {
            true => self.engine.pinned_image(name).await?,
            false => self.engine.image(name).await?,
        };
        Ok(found.and_then(|image| image.id))
    }
}

/// What there is to say of an image; nothing where it has nothing to do with Lattice.
fn judge(image: ImageSummary, needs: &Needs) -> Option<SeenImage> {
    // The engine writes `<none>` where there is none.
    let real = |name: &String| !name.starts_with("<none>");
    let tags: Vec<String> = image.repo_tags.into_iter().filter(real).collect();
    let known: Vec<String> = image.repo_digests.into_iter().filter(real).collect();
    let digests: Vec<String> =
        known.iter().filter_map(|name| Some(name.split_once('@')?.1.to_owned())).collect();
    let by_catalogue: BTreeSet<&String> = digests
        .iter()
        .chain([&image.id])
        .filter_map(|digest| needs.admitted.get(digest))
        .flatten()
        .collect();
    let built = image.labels.get(IMAGE);
    let templates = needs.templates.get(&image.id);
    let is_core = needs.core.contains(&image.id);
    let kind = if !by_catalogue.is_empty() {
        ImageKind::Catalogue
    } else if built.is_some() && (is_core || tags.iter().any(|tag| tag.starts_with("lattice/"))) {
        ImageKind::Shipped
    } else if templates.is_some() {
        ImageKind::Template
    } else if built.is_some() && tags.is_empty() && known.is_empty() {
        ImageKind::Stale
    } else {
        return None;
    };
    let names = match (kind, built) {
        _ if !tags.is_empty() => tags.iter().map(|tag| plain(tag)).collect(),
        (ImageKind::Catalogue, _) => by_catalogue.iter().map(|name| (*name).clone()).collect(),
        (_, Some(built)) => vec![format!("lattice/{built}")],
        (_, None) => known.iter().map(|name| repository(name).to_owned()).collect(),
    };
    let containers = needs.containers.get(&image.id).copied().unwrap_or(0);
    // Of a name that its catalogue has it by, or it came as a file with.
    let foreign = tags.iter().find(|tag| !by_catalogue.contains(&repository(tag).to_owned()));
    let kept = match (kind, foreign) {
        _ if is_core => Some("every desktop is made of it".to_owned()),
        _ if containers > 0 => Some(match containers {
            1 => "1 container is of it".to_owned(),
            count => format!("{count} containers are of it"),
        }),
        (ImageKind::Shipped, _) => Some("it came with Lattice".to_owned()),
        (ImageKind::Template, _) => Some("a template names it".to_owned()),
        _ if templates.is_some() => Some("a template names it".to_owned()),
        (ImageKind::Catalogue | ImageKind::Stale, Some(tag)) => {
            Some(format!("somebody called it {tag}; remove it by: docker rmi {tag}"))
        }
        (ImageKind::Catalogue | ImageKind::Stale, None) => None,
    };
    Some(SeenImage {
        names,
        digests,
        kind,
        release: image.labels.get(RELEASE).cloned(),
        size: u64::try_from(image.size).unwrap_or(0),
        made: image.created,
        desktops: needs.sessions.get(&image.id).map_or(0, |of| of.len() as u32),
        containers,
        is_core,
        templates: templates.into_iter().flatten().cloned().collect(),
        kept,
        id: ImageId::try_from(image.id).ok()?,
    })
}

/// A tag as people write it.
fn plain(tag: &str) -> String {
    tag.strip_suffix(":latest").unwrap_or(tag).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const DRAW: &str = "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";

    fn image(tags: &[&str], digests: &[&str], built: Option<&str>) -> ImageSummary {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ImageSummary {
            id: A.into(),
            repo_tags: all(tags),
            repo_digests: all(digests),
            size: 7,
            labels: built.into_iter().map(|name| (IMAGE.to_owned(), name.to_owned())).collect(),
            ..ImageSummary::default()
        }
    }

    fn catalogue() -> Needs {
        let draw = BTreeSet::from(["r.example/draw".to_owned()]);
        Needs { admitted: BTreeMap::from([(DRAW.to_owned(), draw)]), ..Needs::default() }
    }

    #[track_caller]
    fn check(image: ImageSummary, needs: &Needs, expected: Option<(ImageKind, &str, bool)>) {
        let seen = judge(image, needs);
        let told = seen.as_ref().map(|seen| (seen.kind, seen.names.join(" "), seen.kept.is_none()));
        let expected = expected.map(|(kind, name, can_go)| (kind, name.to_owned(), can_go));
        assert_eq!(told, expected, "{seen:?}");
    }

    #[test]
    fn only_what_lattice_built_and_replaced_or_a_catalogue_named_can_go() {
        use ImageKind::{Catalogue, Shipped, Stale, Template};
        let (none, pinned) = (["<none>:<none>"], format!("r.example/draw@{DRAW}"));
        let draw = || image(&none, &[&pinned], None);
        let nothing = Needs::default();
        let shipped = image(&["lattice/vscode:latest"], &[], Some("vscode"));
        check(shipped, &nothing, Some((Shipped, "lattice/vscode", false)));
        let stale = || image(&none, &["<none>@<none>"], Some("vscode"));
        check(stale(), &nothing, Some((Stale, "lattice/vscode", true)));
        check(draw(), &catalogue(), Some((Catalogue, "r.example/draw", true)));
        check(draw(), &nothing, None);
        // What came by `docker load` has its own digest alone, and its tag.
        let loaded = image(&["r.example/draw:1.0"], &[], None);
        let mut by_id = catalogue();
        by_id.admitted.insert(A.into(), BTreeSet::from(["r.example/draw".to_owned()]));
        check(loaded, &by_id, Some((Catalogue, "r.example/draw:1.0", true)));
        let named = image(&["mine:1"], &[&pinned], None);
        check(named, &catalogue(), Some((Catalogue, "mine:1", false)));
        // Made from one of ours, whose labels it has.
        check(image(&["school/app:1"], &[], Some("vscode")), &nothing, None);
        check(image(&["postgres:17"], &[], None), &nothing, None);
        check(image(&none, &[], None), &nothing, None);

        let mut used = catalogue();
        used.containers.insert(A.into(), 2);
        check(stale(), &used, Some((Stale, "lattice/vscode", false)));
        check(draw(), &used, Some((Catalogue, "r.example/draw", false)));
        let mut needed = catalogue();
        needed.templates.insert(A.into(), BTreeSet::from(["go".to_owned()]));
        check(draw(), &needed, Some((Catalogue, "r.example/draw", false)));
        check(image(&["postgres:17"], &[], None), &needed, Some((Template, "postgres:17", false)));
        let core = Needs { core: BTreeSet::from([A.to_owned()]), ..Needs::default() };
        check(stale(), &core, Some((Shipped, "lattice/vscode", false)));
    }
}
