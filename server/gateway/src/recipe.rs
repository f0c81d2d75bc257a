//! What a session is made of: its *recipe*. It is a template, either one of the server's own files, by its
//! name, or the newest version that somebody applied to this session.
//!
//! INVARIANT: whatever is asked about what a session is made of (its apps, their ports, when it rests, what
//! it needs) is asked of a [`Recipe`], and each is made by [`compose`]. What already runs is as it was
//! started, whatever was applied since: [`Recipes::running`].

use crate::runtime::{Instance, Runtime, RuntimeError};
use crate::store::{Installed, Session, Store, StoreError};
use crate::template::{self, App, Template};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// What a session is made of.
#[derive(Debug, Clone)]
pub struct Recipe {
    name: String,
    version: Option<u32>,
    apps_revision: Option<i64>,
    text: Option<Arc<str>>,
    /// What the runtime is to be given, where that is not what the server's template of that name says.
    sent: Option<Arc<str>>,
    digest: Option<String>,
    template: Option<Template>,
    /// Apps that are installed and that it has not: it has others of that name, or no room.
    missing: Vec<String>,
}

/// The texts that a recipe is composed of.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name of the template that the session began with.
    pub name: String,
    /// Which version of it; 0 is the server's own file.
    pub version: u32,
    /// What it says.
    pub text: Arc<str>,
    /// What the session has beside its template.
    pub apps: Vec<(String, App)>,
    /// As of when, see [`Session::apps_revision`].
    pub apps_revision: i64,
}

/// The one way to a recipe. What a session has beside its template belongs in here: it is merged into the
/// text, and the recipe has a digest then, which says that the runtime must be given that text.
pub fn compose(source: Source) -> Recipe {
    let Source { name, version, text, apps, apps_revision } = source;
    let is_own = version > 0;
    // One that an earlier release took and this one does not is refused, with the reason, when it
    // is started.
    let mut template = template::read_sent(&name, &text).ok();
    let mut sent = is_own.then(|| text.clone());
    let mut missing = Vec::new();
    if let Some(base) = template.as_ref().filter(|_| !apps.is_empty()) {
        let (all, left_out) = template::with_apps(base.clone(), apps);
        let made = template::read_sent(&name, &all).ok().filter(|made| made.apps != base.apps);
        if let Some(made) = made {
            (template, sent) = (Some(made), Some(all.into()));
        }
        missing = left_out;
    }
    Recipe {
        version: Some(version),
        apps_revision: Some(apps_revision),
        digest: sent.as_deref().map(template::digest),
        template,
        text: Some(text),
        sent,
        missing,
        name,
    }
}

/// What desktops of one kind have in common, such as the memory that they need.
pub fn kind(name: &str, digest: Option<&str>) -> String {
    match digest {
        Some(digest) => format!("{name}@{digest}"),
        None => name.to_owned(),
    }
}

impl Recipe {
    /// Of a template that the server has no more.
    fn gone(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: Some(0),
            apps_revision: Some(0),
            text: None,
            sent: None,
            digest: None,
            template: None,
            missing: Vec::new(),
        }
    }

    /// As the runtime has it: composed already.
    fn running(name: &str, text: String) -> Self {
        let text: Arc<str> = text.into();
        Self {
            name: name.to_owned(),
            version: None,
            apps_revision: None,
            digest: Some(template::digest(&text)),
            template: template::read_sent(name, &text).ok(),
            sent: Some(text.clone()),
            text: Some(text),
            missing: Vec::new(),
        }
    }

    /// The name of the template that it began with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its template says, without what the session has beside it; nothing where the server has no such template any more.
    pub fn text(&self) -> Option<&Arc<str>> {
        self.text.as_ref()
    }

    /// What the runtime is to be given; nothing where it has that template itself.
    pub fn own_text(&self) -> Option<&Arc<str>> {
        self.sent.as_ref()
    }

    /// What it says, as it was read; nothing where it is no good template (any more).
    pub fn template(&self) -> Option<&Template> {
        self.template.as_ref()
    }

    /// Its apps by name.
    pub fn apps(&self) -> impl Iterator<Item = (&str, &App)> {
        let apps = self.template.iter().flat_map(|template| &template.apps);
        apps.map(|(name, app)| (name.as_str(), app))
    }

    /// Apps that are installed and that it has not, each with whether that is for another app of that
    /// name; else there was no room.
    pub fn left_out(&self) -> impl Iterator<Item = (&str, bool)> {
        let has = |name: &str| self.apps().any(|(own, _)| own == name);
        self.missing.iter().map(move |name| (name.as_str(), has(name)))
    }

    /// The app that declares a port.
    pub fn app_at(&self, port: u16) -> Option<(&str, &App)> {
        self.apps().find(|(_, app)| app.permissions.ports.contains(&port))
    }

    /// See [`kind`].
    pub fn kind(&self) -> String {
        kind(&self.name, self.digest.as_deref())
    }

    /// Whether it is what that session is to be made of, as the store has it now.
    pub fn is_wanted_by(&self, session: &Session) -> bool {
        self.name == session.template
            && self.version == Some(session.template_version)
            && self.apps_revision == Some(session.apps_revision)
    }

    /// Whether what runs was started with it.
    pub fn is_of(&self, instance: &Instance) -> bool {
        self.digest == instance.recipe
    }
}

/// By what they say: two of the same text are one.
impl PartialEq for Recipe {
    fn eq(&self, other: &Self) -> bool {
        let key = |recipe: &Self| (recipe.version, recipe.template.is_some());
        key(self) == key(other) && self.name == other.name && self.digest == other.digest
    }
}

impl Eq for Recipe {}

/// The server's own templates, and the way to the recipe of each session.
#[derive(Debug, Clone, Default)]
pub struct Recipes(Arc<BTreeMap<String, Arc<Recipe>>>);

impl Recipes {
    /// Over these templates, each with its text.
    pub fn new(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let composed = texts.into_iter().map(|(name, text)| {
            let (text, apps) = (text.into(), Vec::new());
            let source = Source { name: name.clone(), version: 0, text, apps, apps_revision: 0 };
            (name, Arc::new(compose(source)))
        });
        Self(Arc::new(composed.collect()))
    }

    /// The server's own templates.
    pub fn bases(&self) -> impl Iterator<Item = &Template> {
        self.0.values().filter_map(|recipe| recipe.template())
    }

    /// Whether one is called so.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// One of them.
    pub fn base(&self, name: &str) -> Arc<Recipe> {
        self.0.get(name).cloned().unwrap_or_else(|| Arc::new(Recipe::gone(name)))
    }

    /// What a session is to be made of when it starts next.
    pub async fn wanted(
        &self,
        store: &Store,
        session: &Session,
    ) -> Result<Arc<Recipe>, StoreError> {
        let (name, apps_revision) = (session.template.clone(), session.apps_revision);
        let apps = additional(store, session).await?;
        let (version, text) = match session.template_version {
            0 => match self.base(&name) {
                base if apps.is_empty() && apps_revision == 0 => return Ok(base),
                base => match base.text() {
                    Some(text) => (0, text.clone()),
                    None => return Ok(base),
                },
            },
            newest => {
                let version = store.template_version(&session.id, newest).await?;
                let version = version.ok_or(StoreError::Damaged("template_versions"))?;
                (version.number, version.text.into())
            }
        };
        let made = compose(Source { name, version, text, apps, apps_revision });
        if !made.missing.is_empty() {
            let apps = made.missing.join(", ");
            tracing::info!(session = %session.id, apps, "installed apps are left out: the desktop has others of that name, or no room");
        }
        Ok(Arc::new(made))
    }

    /// What a session that runs was made of. `known` are those that it may well be.
    pub async fn running(
        &self,
        runtime: &Runtime,
        name: &str,
        instance: &Instance,
        known: [&Arc<Recipe>; 2],
    ) -> Result<Arc<Recipe>, RuntimeError> {
        if let Some(known) = known.into_iter().find(|known| known.is_of(instance)) {
            return Ok(known.clone());
        }
        Ok(match runtime.recipe(&instance.session).await? {
            Some(text) => Arc::new(Recipe::running(name, text)),
            None => self.base(name),
        })
    }
}

/// What its owner has installed, then what everybody has; of two of a name it is their own.
async fn additional(store: &Store, session: &Session) -> Result<Vec<(String, App)>, StoreError> {
    let mut apps = BTreeMap::new();
    for Installed { app, edition, .. } in store.installed_for(session.owner.id).await? {
        if let Entry::Vacant(vacant) = apps.entry(app) {
            let read = template::read(&edition.definition).ok();
            let read = read.and_then(|mut alone| alone.apps.remove(vacant.key()));
            read.map(|app| vacant.insert(app));
        }
    }
    Ok(apps.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name: go\nservices: {code: {image: lattice/terminal}}\nx-lattice: {title: Go, \
                        apps: {code: {title: Code}}, permissions: {code: {ports: [8080]}}}\n";

    fn source(version: u32, text: &str) -> Recipe {
        with(version, text, Vec::new())
    }

    fn with(version: u32, text: &str, apps: Vec<(String, App)>) -> Recipe {
        let (name, text) = ("go".into(), text.into());
        compose(Source { name, version, text, apps, apps_revision: 1 })
    }

    #[test]
    fn what_is_installed_is_beside_the_template_and_is_sent_with_it() {
        let base = source(0, TEXT);
        let code = base.apps().next().expect("there").1.clone();
        let more = vec![("draw".to_owned(), code.clone())];
        let made = with(0, TEXT, more.clone());
        assert_eq!(made.apps().map(|(name, _)| name).collect::<Vec<_>>(), ["code", "draw"]);
        assert_eq!(made.text().map(|text| &**text), Some(TEXT), "the template is as it was");
        let sent = made.own_text().expect("sent");
        assert_eq!(made.kind(), format!("go@{}", template::digest(sent)));
        assert_eq!(template::read_sent("go", sent).as_ref(), Ok(made.template().expect("good")));
        assert_ne!(made, base);
        let shadowed = with(0, TEXT, vec![("code".to_owned(), code)]);
        assert_eq!(shadowed.own_text(), None, "what the template says holds");
        assert!(with(2, "name: [", more).template().is_none());
    }

    #[test]
    fn the_servers_own_template_is_named_and_another_is_sent() {
        let base = source(0, TEXT);
        assert_eq!((base.kind().as_str(), base.own_text()), ("go", None));
        assert_eq!(base.app_at(8080).map(|(name, _)| name), Some("code"));
        let own = source(3, TEXT);
        assert_eq!(own.own_text().map(|text| &**text), Some(TEXT));
        assert_eq!(own.kind(), format!("go@{}", template::digest(TEXT)));
        assert_ne!(own, base);
        assert_eq!(own, source(3, TEXT));
    }

    #[test]
    fn one_that_is_no_template_has_no_apps_and_is_sent_to_be_refused() {
        for bad in ["name: other\nx-lattice: {title: Other}\n", "name: go\n", "services: [", ""] {
            let recipe = source(2, bad);
            assert!(recipe.template().is_none() && recipe.own_text().is_some(), "{bad}");
            assert_eq!(recipe.apps().count(), 0);
        }
        let gone = Recipes::default().base("go");
        assert_eq!((gone.name(), gone.text(), gone.apps().count()), ("go", None, 0));
    }
}
