//! Desktops made of containers: started, ended, looked at.
//!
//! What there is, the engine knows: every container carries in its labels whose it is, and a broker
//! that starts finds all that an earlier one made.

use super::containers::{
    APP, Aide, Core, INSTALLATION, OWNER, Plan, RECIPE, ROLE, SANDBOX, SESSION, Site, Source,
    Subject, TEMPLATE,
};
use super::data::{Keeper, Person};
use super::engine::Engine;
use super::host::HostPaths;
use super::network::{self, Walls};
use super::place::{Parts, Place, Tenant};
use super::protocol::{Id, MAX_TITLE, Order, Seen, SeenApp, SeenState, Tokens};
use super::pulls::Pulls;
use crate::runtime::ledger::Ledger;
use crate::runtime::process::own_uid;
use crate::runtime::rota::Rota;
use crate::runtime::turns::Turns;
use crate::runtime::{HOME_IN_USE, RuntimeError};
use crate::template::{Access, App, Opens, Template};
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as State};
use futures_util::future::{join_all, try_join_all};
use lattice_engine::session::SessionId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::sleep;

/// How long the display and the session bus may take until they listen.
const LISTEN_PATIENCE: Duration = Duration::from_secs(20);
/// How often to look whether they do: a look costs some microseconds.
const LISTEN_LOOK: Duration = Duration::from_millis(4);
/// What Compose gives a service that says nothing.
const USUAL_GRACE: Duration = Duration::from_secs(10);
/// The longest name of an app, see `template::values::name`.
const MAX_APP_NAME: usize = 64;

/// What desktops are made of and where they are.
#[derive(Debug)]
pub(super) struct Settings {
    /// Where sessions have their directories.
    pub(super) run: PathBuf,
    /// Which Lattice this is, where several use one engine.
    pub(super) installation: String,
    /// The gateway's group.
    pub(super) gateway: u32,
    pub(super) keeper: Keeper,
    /// How long after a look at people's files comes the next, where every file is looked at.
    pub(super) measure_every: Duration,
    pub(super) templates: BTreeMap<String, Template>,
    pub(super) paths: HostPaths,
    /// How many slots are kept ready.
    pub(super) pool: usize,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Desktops {
    engine: Arc<Engine>,
    settings: Settings,
    pulls: Arc<Pulls>,
    changes: watch::Sender<u64>,
    /// One thing at a time is done to each session.
    turns: Turns,
    /// Those that are being started by this process.
    starting: Mutex<BTreeSet<SessionId>>,
    /// Apps of which not even a container came to be, and why.
    unopened: Mutex<BTreeMap<(SessionId, String), String>>,
    /// The memory that sessions use, in bytes.
    used: Mutex<BTreeMap<SessionId, Used>>,
    /// What people keep.
    stored: Ledger,
    /// Whose files are looked at next.
    rota: Rota,
    /// Slots that this process is making.
    making: Mutex<BTreeSet<SessionId>>,
    /// Slots that a gateway took, until their desktop is started.
    reserved: Mutex<HashMap<SessionId, Instant>>,
    /// What stands still while somebody's Data is read: whose, which container, and since when.
    frozen: Mutex<BTreeMap<(i64, String), Instant>>,
    walls: Walls,
}

/// The containers of one session.
#[derive(Debug, Default)]
struct Found {
    owner: i64,
    template: String,
    /// The digest of what it was made of, where that was sent with its start.
    recipe: Option<String>,
    core: BTreeMap<Core, Container>,
    apps: BTreeMap<String, Container>,
    /// What apps need beside themselves, by app and role: what lets them talk to some names on the
    /// session bus, and what leads to their ports.
    aides: BTreeMap<(String, Aide), Container>,
}

#[derive(Debug)]
struct Container {
    id: String,
    state: State,
    /// As the engine tells it to people: `Exited (137) 2 seconds ago`.
    status: String,
    /// When it was made, in seconds since 1970.
    made: Option<i64>,
}

mod fetch;
mod grants;
mod images;
mod parts;
mod pool;
mod recipes;
mod snapshots;
mod storage;
mod usage;

use recipes::{Recipe, app, grace};
pub(super) use snapshots::Keeping;
use usage::Used;

impl Desktops {
    pub(super) fn new(engine: Engine, settings: Settings, pulls: Arc<Pulls>) -> Self {
        let changes = watch::Sender::new(0);
        let (turns, starting, unopened, used, stored, making) = Default::default();
        let rota = Rota::new(settings.measure_every, settings.keeper.owners());
        let (reserved, frozen, walls) = Default::default();
        Self {
            engine: Arc::new(engine),
            settings,
            pulls,
            changes,
            turns,
            starting,
            unopened,
            used,
            stored,
            rota,
            making,
            reserved,
            frozen,
            walls,
        }
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(super) fn pulls(&self) -> &Arc<Pulls> {
        &self.pulls
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn bump(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// The label by which the engine tells ours from others.
    pub(super) fn label(&self) -> String {
        format!("{INSTALLATION}={}", self.settings.installation)
    }

    /// Starts a desktop, and returns when it is there. Half a desktop is never left behind.
    pub(super) async fn start(&self, order: &Order) -> Result<(), RuntimeError> {
        let session = &order.session.0;
        let recipe = self.ordered(order)?;
        if order.title.len() > MAX_TITLE {
            return Err(RuntimeError::Refused(format!("a title has {MAX_TITLE} bytes at most")));
        }
        let _turn = self.turns.take(session).await;
        let found = self.find(session).await?;
        if matches!(self.judge(session, &found), Some(SeenState::Running(_) | SeenState::Paused(_)))
        {
            return Ok(());
        }
        let _starting = Starting::begin(self, session);
        let began = Instant::now();
        let is_ready = self.is_slot(session, &found);
        let made = match is_ready {
            true => self.furnish(order, &recipe, Some(found)).await,
            false => {
                self.clear(session, found).await?;
                self.furnish(order, &recipe, None).await
            }
        };
        if let Err(error) = made {
            let left = self.find(session).await?;
            self.clear(session, left).await?;
            return Err(error);
        }
        let (template, recipe) = (&order.template, recipe.digest);
        tracing::info!(%session, template, recipe, is_ready, took = ?began.elapsed(), "a desktop was started");
        Ok(())
    }

    /// Makes the desktop itself, on parts that are there or are made beside it.
    async fn furnish(
        &self,
        order: &Order,
        recipe: &Recipe<'_>,
        slot: Option<Found>,
    ) -> Result<(), RuntimeError> {
        let session = &order.session.0;
        let template = recipe.template.as_ref();
        // Looked for first: where one is missing nothing is made at all.
        let image = self.image(Core::Desktop.image()).await?;
        let uid = uid(order.owner)?;
        let place = self.place(session);
        let Settings { keeper, paths, .. } = &self.settings;
        let tokens = match &slot {
            Some(_) => None,
            None => {
                let gateway = self.settings.gateway;
                Some(place.prepare(Parts { uid, gateway, geometry: order.geometry })?)
            }
        };
        place.furnish(Tenant { uid, title: &order.title, template, text: recipe.text })?;
        let person = Person { owner: order.owner, uid };
        let kept = keeper.prepare(person, &self.engine, paths).await?;
        let directory = paths.host(place.dir())?;
        let site = self.site(session, &directory);
        let digest = recipe.digest.as_deref();
        let subject =
            Subject { site, owner: order.owner, uid, template, recipe: digest, kept: &kept };
        let parts = async {
            match (&slot, &tokens) {
                (Some(found), _) => self.resume_all(found).await.into_iter().collect(),
                (None, Some(tokens)) => {
                    self.make_parts(&place, site, uid, &order.title, tokens).await
                }
                (None, None) => Ok(()),
            }
        };
        let desktop = self.create(subject.desktop(), &image);
        // Both to their ends, also where one fails: what is being made then would be left behind.
        let (parts, desktop) = tokio::join!(parts, desktop);
        parts?;
        self.engine.start(&desktop?).await?;
        let at_start = template.apps.iter().filter(|(_, app)| app.opens == Opens::AtStart);
        join_all(at_start.map(|(app, _)| async move {
            if let Err(error) = self.open_for(session, order.owner, (template, digest), app).await {
                let reason = error.to_string();
                tracing::warn!(%session, app, reason, "an app could not be opened");
                self.unopened().insert((session.clone(), app.clone()), reason);
            }
        }))
        .await;
        Ok(())
    }

    /// Makes and starts display, session bus and relay, and returns when they listen.
    async fn make_parts(
        &self,
        place: &Place,
        site: Site<'_>,
        uid: u32,
        title: &str,
        tokens: &Tokens,
    ) -> Result<(), RuntimeError> {
        let images = try_join_all(Core::PARTS.map(|core| self.image(core.image()))).await?;
        let make = |(core, image): (Core, Image)| {
            let plan = site.part(core, uid, title, tokens);
            async move {
                let id = self.create(plan, &image).await?;
                self.engine.start(&id).await
            }
        };
        let made = join_all(Core::PARTS.into_iter().zip(images).map(make)).await;
        made.into_iter().collect::<Result<(), _>>()?;
        for (socket, core) in [(place.agent_socket(), Core::Xorg), (place.bus_socket(), Core::Dbus)]
        {
            let begun = Instant::now();
            while !socket.exists() {
                if begun.elapsed() > LISTEN_PATIENCE {
                    let seconds = LISTEN_PATIENCE.as_secs();
                    let what = format!("{core} did not come up within {seconds} s");
                    return Err(RuntimeError::Refused(what));
                }
                sleep(LISTEN_LOOK).await;
            }
        }
        Ok(())
    }

    fn site<'a>(&'a self, session: &'a SessionId, place: &'a Path) -> Site<'a> {
        Site { installation: &self.settings.installation, session, place }
    }

    /// Ends a desktop: its apps are asked to, then everything is killed.
    pub(super) async fn stop(&self, session: &SessionId) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(session).await;
        self.stop_in_turn(session).await
    }

    async fn stop_in_turn(&self, session: &SessionId) -> Result<(), RuntimeError> {
        let found = self.find(session).await?;
        self.resume_all(&found).await;
        // What cannot be read any more is ended all the same.
        let of = self.made_of(session, &found).ok();
        let of = of.as_deref();
        join_all(found.apps.iter().map(|(name, container)| async move {
            let grace = grace(of, name);
            if container.state == State::RUNNING
                && let Err(error) = self.engine.stop(&container.id, grace).await
            {
                tracing::warn!(%session, app = name, %error, "an app does not end and is killed");
            }
        }))
        .await;
        self.clear(session, found).await?;
        self.bump();
        Ok(())
    }

    /// Ends a desktop, and gives its owner a home as a new one has.
    pub(super) async fn reset(&self, session: &SessionId, owner: i64) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(session).await;
        let all = group(self.engine.list(vec![self.label()]).await?);
        let is_in =
            |found: &Found| found.owner == owner && found.core.values().any(Container::is_alive);
        if all.iter().any(|(other, found)| other != session && is_in(found)) {
            return Err(RuntimeError::Refused(HOME_IN_USE.into()));
        }
        self.stop_in_turn(session).await?;
        let person = Person { owner, uid: uid(owner)? };
        self.settings.keeper.reset(person, &self.engine).await
    }

    pub(super) async fn pause(&self, session: &SessionId) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(session).await;
        let found = self.running(session).await?;
        // Apps first: nobody waits for an answer of what is frozen already.
        let all = found.apps.values().chain(found.aides.values());
        let all = all.chain(found.core.values().rev());
        for container in all.filter(|container| container.state == State::RUNNING) {
            self.engine.pause(&container.id).await?;
        }
        self.bump();
        Ok(())
    }

    pub(super) async fn resume(&self, session: &SessionId) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(session).await;
        let found = self.running(session).await?;
        for result in self.resume_all(&found).await {
            result?;
        }
        self.bump();
        Ok(())
    }

    async fn resume_all(&self, found: &Found) -> Vec<Result<(), RuntimeError>> {
        let all = found.core.values().chain(found.aides.values()).chain(found.apps.values());
        let paused = all.filter(|container| container.state == State::PAUSED);
        join_all(paused.map(|container| self.engine.resume(&container.id))).await
    }

    /// Opens an app on a desktop that runs.
    pub(super) async fn open(&self, session: &SessionId, app: &str) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(session).await;
        let found = self.running(session).await?;
        let template = self.made_of(session, &found)?;
        match found.apps.get(app) {
            Some(open) if open.state == State::RUNNING => return Ok(()),
            Some(ended) => self.engine.remove(&ended.id).await?,
            None => {}
        }
        self.release(&found, app).await?;
        self.unopened().remove(&(session.clone(), app.to_owned()));
        let recipe = (template.as_ref(), found.recipe.as_deref());
        let opened = self.open_for(session, found.owner, recipe, app).await;
        self.bump();
        opened
    }

    async fn open_for(
        &self,
        session: &SessionId,
        owner: i64,
        (template, recipe): (&Template, Option<&str>),
        name: &str,
    ) -> Result<(), RuntimeError> {
        let app = app(template, name)?;
        if recipe.is_some() {
            self.check_image(name, &app.image)?;
        }
        let (uid, place) = (uid(owner)?, self.place(session));
        let Settings { keeper, paths, .. } = &self.settings;
        let image = self.image(app.image.clone()).await?;
        let person = Person { owner, uid };
        let kept = keeper.prepare(person, &self.engine, paths).await?;
        // Who may not see the person's files keeps none of its own.
        let own: Option<Source> = match app.permissions.data {
            Access::None => None,
            Access::Read | Access::Write => {
                let directory = format!("{}.{name}", template.name);
                Some(keeper.prepare_app(person, &directory, &self.engine, paths).await?)
            }
        };
        let directory = paths.host(place.dir())?;
        let site = self.site(session, &directory);
        let subject = Subject { site, owner, uid, template, recipe, kept: &kept };
        let plan = subject.app(name, app, own.as_ref(), image.sandbox.as_deref());
        let opened = async {
            self.grant(&place, &subject, name, app).await?;
            let id = self.create(plan, &image).await?;
            self.engine.start(&id).await?;
            self.lead_to_ports(&place, &subject, name, app, &id).await
        };
        let opened = opened.await;
        if opened.is_err() {
            let found = self.find(session).await?;
            if let Some(container) = found.apps.get(name) {
                self.engine.remove(&container.id).await?;
            }
            self.release(&found, name).await?;
        }
        opened
    }

    /// Ends an app.
    pub(super) async fn close(&self, session: &SessionId, name: &str) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(session).await;
        let found = self.find(session).await?;
        self.unopened().remove(&(session.clone(), name.to_owned()));
        if let Some(container) = found.apps.get(name) {
            let grace = grace(self.made_of(session, &found).ok().as_deref(), name);
            self.engine.stop(&container.id, grace).await?;
            self.engine.remove(&container.id).await?;
        }
        self.release(&found, name).await?;
        self.bump();
        Ok(())
    }

    /// All there are.
    pub(super) async fn list(&self) -> Result<Vec<Seen>, RuntimeError> {
        let containers = self.engine.list(vec![self.label()]).await?;
        let mut sessions = group(containers);
        for session in self.starting().iter() {
            sessions.entry(session.clone()).or_default();
        }
        let mut seen = Vec::new();
        for (session, found) in sessions {
            let Some(mut state) = self.judge(&session, &found) else { continue };
            if let SeenState::Ended(reason) = &mut state {
                *reason = self.why(&found, reason).await;
            }
            let apps = self.apps(&session, &found).await;
            let usage = self.usage(&session, &found);
            let used = usage.memory;
            let Found { owner, template, recipe, .. } = found;
            let stored = self.stored.of(owner);
            let session = Id(session);
            let seen_one =
                Seen { session, owner, template, recipe, used, stored, state, apps, usage };
            seen.push(seen_one);
        }
        Ok(seen)
    }

    async fn apps(&self, session: &SessionId, found: &Found) -> Vec<SeenApp> {
        let mut apps = Vec::new();
        for (name, container) in &found.apps {
            let ended = match container.state {
                State::EXITED | State::DEAD if container.exit_code() == Some(0) => continue,
                State::EXITED | State::DEAD => Some(self.how_ended(container).await),
                _ => None,
            };
            let is_starting = container.state == State::CREATED;
            apps.push(SeenApp { name: name.clone(), is_starting, ended });
        }
        let unopened = self.unopened();
        let of_session = unopened.iter().filter(|((of, _), _)| of == session);
        apps.extend(of_session.map(|((_, name), reason)| SeenApp {
            name: name.clone(),
            is_starting: false,
            ended: Some(reason.clone()),
        }));
        apps
    }

    /// An app whose window was closed leaves nothing behind.
    pub(super) async fn tidy(&self, session: &SessionId, app: &str) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(session).await;
        let found = self.find(session).await?;
        let closed = found.apps.get(app).filter(|container| {
            container.state == State::EXITED && container.exit_code() == Some(0)
        });
        if let Some(container) = closed {
            self.engine.remove(&container.id).await?;
            self.release(&found, app).await?;
        }
        Ok(())
    }

    /// Removes directories and networks of sessions that have no container: what an earlier broker was killed over.
    pub(super) async fn sweep(&self) -> Result<(), RuntimeError> {
        self.sweep_directories().await?;
        self.sweep_networks().await
    }

    pub(super) async fn sweep_directories(&self) -> Result<(), RuntimeError> {
        let run = &self.settings.run;
        let sessions = group(self.engine.list(vec![self.label()]).await?);
        let entries = std::fs::read_dir(run).map_err(RuntimeError::step("list", run))?;
        let dirs = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        for session in dirs.filter(|session: &SessionId| !sessions.contains_key(session)) {
            let _turn = self.turns.take(&session).await;
            if self.find(&session).await?.is_empty() {
                self.place(&session).remove()?;
            }
        }
        Ok(())
    }

    /// The images that every desktop needs and that are not there.
    pub(super) async fn missing(&self) -> Result<Vec<String>, RuntimeError> {
        let mut missing = Vec::new();
        for core in Core::ALL {
            if self.engine.image(&core.image()).await?.is_none() {
                missing.push(core.image());
            }
        }
        Ok(missing)
    }

    /// An image as it is now: what a container is made from is named by its digest.
    async fn image(&self, name: String) -> Result<Image, RuntimeError> {
        // What came by `docker load` is there by its own digest alone, and is taken by that where a
        // signed catalogue named it.
        let found = match self.pulls.has_admitted(&name) {
            true => self.engine.pinned_image(&name).await?,
            false => self.engine.image(&name).await?,
        };
        let Some(found) = found else {
            let own = name.strip_prefix("lattice/");
            return Err(RuntimeError::Unusable {
                what: format!("the image {name} is not there"),
                remedy: match own {
                    Some(own) => format!("build it by: make images APPS={own}"),
                    None => format!("get it by: docker pull {name}"),
                },
            });
        };
        let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
        // Only of ours is it believed what they need.
        let is_own = name.starts_with("lattice/");
        let sandbox = labels.get(SANDBOX).filter(|_| is_own).cloned();
        Ok(Image { id: found.id.unwrap_or(name), sandbox })
    }

    async fn create(&self, plan: Plan, image: &Image) -> Result<String, RuntimeError> {
        let Plan { name, mut body } = plan;
        body.image = Some(image.id.clone());
        self.engine.create(&name, body).await
    }

    /// What runs of a session that does.
    async fn running(&self, session: &SessionId) -> Result<Found, RuntimeError> {
        let found = self.find(session).await?;
        match self.judge(session, &found) {
            Some(SeenState::Running(_) | SeenState::Paused(_)) => Ok(found),
            _ => Err(RuntimeError::Refused(format!("the desktop {session} does not run"))),
        }
    }

    async fn find(&self, session: &SessionId) -> Result<Found, RuntimeError> {
        let labels = vec![self.label(), format!("{SESSION}={session}")];
        let containers = self.engine.list(labels).await?;
        Ok(group(containers).remove(session).unwrap_or_default())
    }

    /// Kills and removes all that there is of a session.
    async fn clear(&self, session: &SessionId, found: Found) -> Result<(), RuntimeError> {
        self.unopened().retain(|(of, _), _| of != session);
        let all = found.apps.values().chain(found.aides.values()).chain(found.core.values());
        try_join_all(all.map(|container| self.engine.remove(&container.id))).await?;
        network::remove(&self.engine, &self.settings.installation, session).await?;
        self.place(session).remove()
    }

    /// How a session is; nothing where there is nothing of it.
    fn judge(&self, session: &SessionId, found: &Found) -> Option<SeenState> {
        if self.starting().contains(session) {
            return Some(SeenState::Starting);
        }
        // A slot is nobody's desktop.
        if found.is_empty() || self.making().contains(session) || self.is_slot(session, found) {
            return None;
        }
        let ended = found.core.iter().find(|(_, container)| !container.is_alive());
        if let Some((core, _)) = ended {
            return Some(SeenState::Ended(core.to_string()));
        }
        let missing = Core::ALL.into_iter().find(|core| !found.core.contains_key(core));
        let place = self.place(session);
        match (missing, place.tokens()) {
            (Some(core), _) => Some(SeenState::Ended(format!("{core} is missing"))),
            (None, Err(error)) => Some(SeenState::Ended(format!("its directory is gone: {error}"))),
            (None, Ok(_)) if !place.agent_socket().exists() => Some(SeenState::Starting),
            (None, Ok(tokens)) => {
                let rests =
                    |part: &Container| part.state == State::PAUSED && !self.stands_still(part);
                let is_paused = found.core.values().any(rests);
                Some(if is_paused { SeenState::Paused(tokens) } else { SeenState::Running(tokens) })
            }
        }
    }

    /// Why a session ended, for a person.
    async fn why(&self, found: &Found, part: &str) -> String {
        let ended = found.core.iter().find(|(_, container)| !container.is_alive());
        match ended {
            Some((core, container)) => format!("{core} {}", self.how_ended(container).await),
            None => part.to_owned(),
        }
    }

    async fn how_ended(&self, container: &Container) -> String {
        match container.exit_code() {
            None => "was never started".into(),
            Some(137) if self.engine.ran_out_of_memory(&container.id).await => {
                "needed more memory than it may use".into()
            }
            // 128 and the number of the signal.
            Some(137) => "was killed".into(),
            Some(code) => format!("ended with status {code}"),
        }
    }

    fn place(&self, session: &SessionId) -> Place {
        Place::new(&self.settings.run, session)
    }

    fn starting(&self) -> MutexGuard<'_, BTreeSet<SessionId>> {
        self.starting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn making(&self) -> MutexGuard<'_, BTreeSet<SessionId>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unopened(&self) -> MutexGuard<'_, BTreeMap<(SessionId, String), String>> {
        self.unopened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An image that is there.
#[derive(Debug)]
struct Image {
    id: String,
    sandbox: Option<String>,
}

/// A session that is being started, as long as this lives.
struct Starting<'a>(&'a Desktops, SessionId);

impl<'a> Starting<'a> {
    fn begin(desktops: &'a Desktops, session: &SessionId) -> Self {
        desktops.starting().insert(session.clone());
        desktops.bump();
        Self(desktops, session.clone())
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.0.starting().remove(&self.1);
        self.0.bump();
    }
}

impl Found {
    fn is_empty(&self) -> bool {
        self.core.is_empty() && self.apps.is_empty() && self.aides.is_empty()
    }
}

impl Container {
    fn is_alive(&self) -> bool {
        matches!(self.state, State::RUNNING | State::PAUSED)
    }

    fn exit_code(&self) -> Option<i64> {
        let (_, rest) = self.status.split_once("Exited (")?;
        rest.split_once(')')?.0.parse().ok()
    }
}

fn uid(owner: i64) -> Result<u32, RuntimeError> {
    own_uid(owner)?.ok_or_else(|| RuntimeError::Unusable {
        what: "every desktop has a user id of its own, which only root can give".into(),
        remedy: "run the broker as root".into(),
    })
}

/// The containers of each session. One whose labels are not understood is not ours.
fn group(containers: Vec<ContainerSummary>) -> BTreeMap<SessionId, Found> {
    let mut sessions = BTreeMap::<SessionId, Found>::new();
    for container in containers {
        let labels = container.labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).map(String::as_str).unwrap_or_default();
        let Ok(session) = label(SESSION).parse::<SessionId>() else { continue };
        let Some(id) = container.id else { continue };
        let found = sessions.entry(session).or_default();
        found.owner = label(OWNER).parse().unwrap_or(found.owner);
        if !label(TEMPLATE).is_empty() {
            label(TEMPLATE).clone_into(&mut found.template);
        }
        if !label(RECIPE).is_empty() {
            found.recipe = Some(label(RECIPE).to_owned());
        }
        let state = container.state.unwrap_or(State::EMPTY);
        let status = container.status.unwrap_or_default();
        let container = Container { id, state, status, made: container.created };
        let (role, app) = (label(ROLE), label(APP).to_owned());
        if let Some(core) = Core::from_name(role) {
            found.core.insert(core, container);
        } else if let Some(aide) = Aide::from_name(role) {
            found.aides.insert((app, aide), container);
        } else if role == "app" {
            found.apps.insert(app, container);
        }
    }
    sessions
}
