//! What one session is made of: its template as it is, its versions, and a new one of them.
//!
//! INVARIANT: a version is stored only when it is a good template and a snapshot of Data was made first.
//! Nothing that runs changes by it: it holds from the next start on.

use super::Api;
use super::answers::{Read, Size, conflict, invalid, no_such};
use super::gate::AboutSession;
use crate::http::problem::Problem;
use crate::label::is_hidden;
use crate::recipe::Recipe;
use crate::store::{NewVersion, Session, StoreError, TemplateVersion, Timestamp};
use crate::template::{self, Fault, MAX_BYTES, Template};
use axum::Json;
use axum::extract::{Path, State};
use lattice_engine::policy::{Action, decide};
use lattice_engine::reconcile::State as Lives;
use lattice_wire::snapshots::Cause;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest body: a template whose every byte JSON writes as six.
const MAX_BODY: usize = 6 * MAX_BYTES as usize + (16 << 10);
/// The longest note, in characters.
const MAX_NOTE: usize = 200;

/// What a session is made of from its next start on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionTemplate)]
pub(super) struct TemplateView {
    /// The template that it began with, which is what its `name` must stay.
    #[schema(example = "go")]
    base: String,
    /// The number of its newest version; 0 is the server's own template.
    version: u32,
    /// What it says, as YAML; null where the server has no such template any more.
    text: Option<String>,
    /// What there is to know of a desktop that is made of it, as Markdown; may be empty.
    readme: String,
    /// Whether the desktop that runs is made of this already; null where none runs.
    running: Option<bool>,
    /// Whether whoever asks may change it.
    may_edit: bool,
    /// Whether desktops of this server can have apps.
    has_apps: bool,
}

/// A text to be looked at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckTemplate {
    text: String,
}

/// A version to be applied.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyTemplate {
    text: String,
    /// The number of the version that it changes.
    based_on: u32,
    /// What is to be said of it.
    #[schema(max_length = 200)]
    note: Option<String>,
    /// Whether the desktop is to end and start again with it, where it runs.
    #[serde(default)]
    restart: bool,
}

/// A version to go back to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestoreTemplate {
    /// The number of the newest version.
    based_on: u32,
    /// Whether the desktop is to end and start again with it, where it runs.
    #[serde(default)]
    restart: bool,
}

/// Everything that is wrong with a text; nothing where it is good.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TemplateFaults)]
pub(super) struct FaultsView {
    faults: Vec<FaultView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TemplateFault)]
struct FaultView {
    /// From 1; 0 where no line is to blame.
    line: u64,
    /// The key, with those that it is below; may be empty.
    #[schema(example = "services.code.image")]
    place: String,
    /// What is wrong, and what to do about it.
    message: String,
}

/// What came of applying a version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TemplateApplied)]
pub(super) struct AppliedView {
    template: TemplateView,
    /// The snapshot of Data that was made before.
    snapshot: String,
    /// Whether the desktop starts again with it now.
    restarted: bool,
}

/// The versions that are kept, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TemplateVersions)]
pub(super) struct VersionsView {
    versions: Vec<VersionView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TemplateVersion)]
pub(super) struct VersionView {
    /// 0 is what it was before the first change.
    number: u32,
    /// What whoever applied it is called; null for the server's own.
    author: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// What its author says of it; may be empty.
    note: String,
    /// What it says, where one version is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl VersionView {
    fn of(version: TemplateVersion, with_text: bool) -> Self {
        let TemplateVersion { number, text, author, created_at, note } = version;
        let created_at = created_at.to_string();
        Self { number, author, created_at, note, text: with_text.then_some(text) }
    }
}

impl From<Fault> for FaultView {
    fn from(Fault { line, place, what }: Fault) -> Self {
        Self { line, place, message: what }
    }
}

/// A version that is yet to be judged.
struct Change<'a> {
    text: &'a str,
    based_on: u32,
    note: &'a str,
    restart: bool,
}

impl Api {
    /// What a session is to be made of when it starts next.
    async fn wanted(&self, session: &Session) -> Result<std::sync::Arc<Recipe>, StoreError> {
        self.making().recipes.wanted(self.store(), session).await
    }

    async fn template_view(
        &self,
        about: &AboutSession,
        session: &Session,
    ) -> Result<TemplateView, Problem> {
        let wanted = self.wanted(session).await?;
        let live = self.desktops().list();
        let live = live.get(&session.id).filter(|live| runs(live.state));
        Ok(TemplateView {
            base: session.template.clone(),
            version: session.template_version,
            text: wanted.text().map(|text| text.to_string()),
            readme: wanted.template().map(|made| made.readme.clone()).unwrap_or_default(),
            // The manager may not have looked yet.
            running: live.map(|live| live.recipe.kind() == wanted.kind()),
            may_edit: decide(about.pass.who, self.action_here(Action::EditTemplate)).is_some(),
            has_apps: self.making().has_apps,
        })
    }

    /// Everything that keeps a text from being this session's template.
    async fn faults(&self, session: &Session, text: &str) -> Result<Vec<Fault>, StoreError> {
        let (template, mut faults) = self.own_faults(session, text);
        let Some(template) = template.filter(|template| !template.apps.is_empty()) else {
            return Ok(faults);
        };
        let known = self.known_images(session.owner.id).await?;
        for (name, app) in template.apps.iter().filter(|(_, app)| !known.has(&app.image)) {
            let line = text.lines().position(|line| line.contains(&app.image));
            faults.push(Fault {
                line: line.map_or(0, |line| line as u64 + 1),
                place: format!("services.{name}.image"),
                what:
                    "is neither of Lattice's own images nor of any that a signed catalogue names; \
                       have an administrator add it to one, or to a template of the server's own"
                        .to_owned(),
            });
        }
        Ok(faults)
    }

    /// What the text alone shows, and the template where it is one.
    fn own_faults(&self, session: &Session, text: &str) -> (Option<Template>, Vec<Fault>) {
        if text.len() as u64 > MAX_BYTES {
            let what = format!("a template has at most {MAX_BYTES} bytes, not {}", text.len());
            return (None, vec![Fault { line: 0, place: String::new(), what }]);
        }
        let template = match template::read(text) {
            Ok(template) => template,
            Err(faults) => return (None, faults),
        };
        let mut faults = Vec::new();
        if template.name != session.template {
            let (line, name) = (line_of("name", text), &session.template);
            let what = format!("must stay {name}: what apps keep is found by it");
            faults.push(Fault { line, place: "name".into(), what });
        }
        if !self.making().has_apps && !template.apps.is_empty() {
            let what =
                "cannot be had: this server runs desktops without containers, which have no \
                        apps; leave them out"
                    .to_owned();
            faults.push(Fault { line: line_of("services", text), place: "services".into(), what });
        }
        (Some(template), faults)
    }

    async fn apply(
        &self,
        about: &AboutSession,
        change: &Change<'_>,
    ) -> Result<Json<AppliedView>, Problem> {
        let Change { text, based_on, note, restart } = *change;
        let session = &about.session;
        check_note(note)?;
        if let [first, rest @ ..] = &self.faults(session, text).await?[..] {
            let more = match rest.len() {
                0 => String::new(),
                1 => "; one thing more is wrong".into(),
                more => format!("; {more} things more are wrong"),
            };
            return Err(invalid(format!("the template is not good: {first}{more}")));
        }
        if based_on != session.template_version {
            return Err(StoreError::Overtaken { newest: session.template_version }.into());
        }
        let before = self.wanted(session).await?;
        let before = before.text().map(|text| &**text).unwrap_or_default();
        if before == text {
            return Err(conflict("the template says this already; nothing was changed"));
        }
        let author = about.pass.identity.user().map(|user| user.id);
        let author = author.ok_or_else(|| super::answers::internal("a version of nobody"))?;
        let snapshot = self.snapshots().take(session.owner.id.0, Cause::Template).await;
        let snapshot = snapshot.map_err(|error| {
            Problem::from(error)
                .preceded_by("nothing was changed, since no snapshot of Data could be made")
        })?;
        let new = NewVersion { based_on, before, text, note, author };
        self.store().apply_template(&session.id, &new, Timestamp::now()).await?;
        self.desktops().wake(&session.id).await;
        self.note_change();
        let restarted = restart && self.begin_anew(session).await;
        let session = self.store().session(&session.id).await?;
        let session = session.ok_or(StoreError::Missing("session"))?;
        let template = self.template_view(about, &session).await?;
        Ok(Json(AppliedView { template, snapshot: snapshot.id.to_string(), restarted }))
    }

    /// Has a desktop that runs end and start again; whether it does.
    async fn begin_anew(&self, session: &Session) -> bool {
        let state = self.desktops().list().get(&session.id).map(|live| live.state);
        if !state.is_some_and(|state| runs(state) || state == Lives::Starting) {
            return false;
        }
        match self.desktops().restart(&session.id).await {
            Ok(()) => true,
            Err(reason) => {
                tracing::warn!(session = %session.id, reason, "a desktop does not start anew");
                false
            }
        }
    }
}

fn runs(state: Lives) -> bool {
    matches!(state, Lives::Running | Lives::Idle)
}

/// The line on which a key of the file itself stands, where each has a line of its own.
fn line_of(key: &str, text: &str) -> u64 {
    let is_it = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
    text.lines().zip(1..).find(|(line, _)| is_it(line)).map_or(1, |(_, number)| number)
}

fn check_note(note: &str) -> Result<(), Problem> {
    match note.chars().count() <= MAX_NOTE && !note.chars().any(is_hidden) {
        true => Ok(()),
        false => Err(invalid(format!(
            "`note` has at most {MAX_NOTE} characters that can be seen, on one line"
        ))),
    }
}

/// What a session is made of.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/template", tag = "templates", params(("id" = String, Path)),
    responses((status = 200, body = TemplateView))
)]
pub(super) async fn read(
    State(api): State<Api>,
    about: AboutSession,
) -> Result<Json<TemplateView>, Problem> {
    Ok(Json(api.template_view(&about, &about.session).await?))
}

/// Say what is wrong with a text, as a template of this session. Nothing is changed.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/template/check", tag = "templates",
    request_body = CheckTemplate, params(("id" = String, Path)),
    responses((status = 200, body = FaultsView))
)]
pub(super) async fn check(
    State(api): State<Api>,
    about: AboutSession,
    Size(given): Size<CheckTemplate, MAX_BODY>,
) -> Result<Json<FaultsView>, Problem> {
    let faults = api.faults(&about.session, &given.text).await?;
    Ok(Json(FaultsView { faults: faults.into_iter().map(FaultView::from).collect() }))
}

/// Apply a new version: a snapshot of Data is made first, and it holds from the next start on.
#[utoipa::path(
    put, path = "/api/v1/sessions/{id}/template", tag = "templates", request_body = ApplyTemplate,
    params(("id" = String, Path)),
    responses((status = 200, body = AppliedView),
        (status = 400, description = "It is no good template, and on which line"),
        (status = 409, description = "Another version came between, or it says the same"),
        (status = 503, description = "No snapshot could be made, so nothing was changed"))
)]
pub(super) async fn apply(
    State(api): State<Api>,
    about: AboutSession,
    Size(given): Size<ApplyTemplate, MAX_BODY>,
) -> Result<Json<AppliedView>, Problem> {
    let ApplyTemplate { text, based_on, note, restart } = given;
    let note = note.unwrap_or_default();
    api.apply(&about, &Change { text: &text, based_on, note: note.trim(), restart }).await
}

/// The versions of what a session is made of.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/template/versions", tag = "templates",
    params(("id" = String, Path)), responses((status = 200, body = VersionsView))
)]
pub(super) async fn versions(
    State(api): State<Api>,
    about: AboutSession,
) -> Result<Json<VersionsView>, Problem> {
    let mut kept = api.store().template_versions(&about.session.id).await?;
    if kept.is_empty() {
        kept.extend(api.first(&about.session).await?);
    }
    let versions = kept.into_iter().map(|version| VersionView::of(version, false)).collect();
    Ok(Json(VersionsView { versions }))
}

/// One version, with what it says.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/template/versions/{version}", tag = "templates",
    params(("id" = String, Path), ("version" = u32, Path)),
    responses((status = 200, body = VersionView))
)]
pub(super) async fn version(
    State(api): State<Api>,
    about: AboutSession,
    Path((_, number)): Path<(String, String)>,
) -> Result<Json<VersionView>, Problem> {
    Ok(Json(VersionView::of(api.version(&about.session, &number).await?, true)))
}

/// Go back to a version, by a new one that says the same.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/template/versions/{version}/restore", tag = "templates",
    request_body = RestoreTemplate, params(("id" = String, Path), ("version" = u32, Path)),
    responses((status = 200, body = AppliedView),
        (status = 409, description = "Another version came between, or it says the same"),
        (status = 503, description = "No snapshot could be made, so nothing was changed"))
)]
pub(super) async fn restore(
    State(api): State<Api>,
    about: AboutSession,
    Path((_, number)): Path<(String, String)>,
    Read(given): Read<RestoreTemplate>,
) -> Result<Json<AppliedView>, Problem> {
    let former = api.version(&about.session, &number).await?;
    let note = format!("Version {} again", former.number);
    let RestoreTemplate { based_on, restart } = given;
    api.apply(&about, &Change { text: &former.text, based_on, note: &note, restart }).await
}

impl Api {
    /// What a session was made of before any change, where there was none.
    async fn first(&self, session: &Session) -> Result<Option<TemplateVersion>, Problem> {
        let recipe = self.wanted(session).await?;
        Ok(recipe.text().map(|text| TemplateVersion {
            number: 0,
            text: text.to_string(),
            author: None,
            created_at: session.created_at,
            note: String::new(),
        }))
    }

    async fn version(&self, session: &Session, number: &str) -> Result<TemplateVersion, Problem> {
        let number: u32 = number.parse().map_err(|_| no_such("version"))?;
        let found = self.store().template_version(&session.id, number).await?;
        let found = match found {
            None if number == 0 && session.template_version == 0 => self.first(session).await?,
            found => found,
        };
        found.ok_or_else(|| no_such("version"))
    }
}
