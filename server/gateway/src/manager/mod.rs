//! One task that makes what people want of their sessions true: the store says what is wanted, the
//! runtime what runs, [`Lifecycle`] what to do about the difference.
//!
//! Level-triggered: whatever happens, it looks at both again. So it needs no memory over a restart of
//! the gateway, and a desktop that runs then is found and shown again.

mod desk;
mod line;
mod room;
mod rules;

pub use rules::{Gauge, Rules};

use crate::http::api::{Answer, AppOrder, Desktops, Inbox, Live, NoSuchViewer, Order};
use crate::hub::{Hub, Settings};
use crate::recipe::Recipe;
use crate::runtime::{Instance, InstanceState, Runtime};
use crate::session_api::AppError;
use crate::store::{Actor, Desired, Session, Store, Timestamp};
use crate::telemetry;
use crate::{clock, hub};
use anyhow::Context as _;
use desk::{Desk, Shared};
use lattice_engine::admission::Admission;
use lattice_engine::reconcile::{Action, State};
use lattice_engine::session::SessionId;
use lattice_wire::Micros;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Even where nobody says that anything changed.
const LOOK_INTERVAL: Micros = Micros::from_millis(10_000);
/// How long a viewer may be ahead of the first look at a session.
const HUB_PATIENCE: Duration = Duration::from_secs(2);
/// After the store or the runtime could not be asked.
const TROUBLE_PAUSE: Micros = Micros::from_millis(1000);

/// Where the viewers of each session go that is to run.
pub type Hubs = Arc<BTreeMap<SessionId, Hub>>;

/// A handle to the manager's task.
#[derive(Debug, Clone)]
pub struct Manager {
    hubs: watch::Receiver<Hubs>,
    trouble: watch::Receiver<Option<String>>,
    stop: watch::Sender<bool>,
}

impl Manager {
    /// Starts the task and returns, with a handle to it, the API's side. It ends by
    /// [`Manager::end`] and leaves the desktops alone.
    pub fn spawn(
        store: Store,
        runtime: Arc<Runtime>,
        settings: Settings,
        rules: Rules,
    ) -> (Self, Desktops, JoinHandle<()>) {
        let (desktops, Inbox { live, trouble: is_troubled, orders }) = Desktops::channel();
        let (hubs, seen) = watch::channel(Hubs::default());
        let (stop, stopped) = watch::channel(false);
        let (trouble, troubled) = watch::channel(Some("sessions are yet to be looked at".into()));
        let (notice, noticed) = mpsc::channel(1);
        let task = Task {
            store,
            runtime,
            settings,
            desktops: desktops.clone(),
            rules,
            admission: Admission::new(),
            desks: BTreeMap::new(),
            live,
            hubs,
            actions: JoinSet::new(),
            removing: BTreeSet::new(),
            notice,
            trouble,
            is_troubled,
        };
        let task = tokio::spawn(task.run(orders, noticed, stopped));
        (Self { hubs: seen, trouble: troubled, stop }, desktops, task)
    }

    /// Where the viewers of that session go; nothing where it is not to run.
    pub fn hub(&self, session: &SessionId) -> Option<Hub> {
        self.hubs.borrow().get(session).cloned()
    }

    /// The same, where the session has only just been wanted; nothing, too, where nobody has looked
    /// at it in time.
    pub async fn hub_soon(&self, session: &SessionId) -> Option<Hub> {
        let mut hubs = self.hubs.clone();
        let is_there = hubs.wait_for(|hubs| hubs.contains_key(session));
        let hubs = timeout(HUB_PATIENCE, is_there).await.ok()?.ok()?;
        hubs.get(session).cloned()
    }

    /// Why sessions are not being looked after, where they are not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// Lets go of all desktops, which run on.
    pub fn end(&self) {
        self.stop.send_replace(true);
    }
}

/// Something that the runtime was told to do has been done.
struct Done {
    session: SessionId,
    what: What,
    result: anyhow::Result<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Act,
    Remove,
}

struct Task {
    store: Store,
    runtime: Arc<Runtime>,
    settings: Settings,
    /// For desktops' programs, who ask as the API does.
    desktops: Desktops,
    rules: Rules,
    admission: Admission,
    desks: BTreeMap<SessionId, Desk>,
    live: watch::Sender<Arc<HashMap<SessionId, Live>>>,
    hubs: watch::Sender<Hubs>,
    actions: JoinSet<Done>,
    /// What is being removed: it is not asked for twice.
    removing: BTreeSet<SessionId>,
    notice: mpsc::Sender<()>,
    /// Why sessions are not looked after, where they are not.
    trouble: watch::Sender<Option<String>>,
    /// The same for the API, which does not wait for the first look.
    is_troubled: watch::Sender<bool>,
}

impl Task {
    async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut noticed: mpsc::Receiver<()>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut changes = self.runtime.changes();
        while !*stop.borrow() {
            self.look().await;
            self.publish();
            let deadline = self.deadline();
            tokio::select! {
                Some(order) = orders.recv() => self.handle_order(order).await,
                Ok(()) = changes.changed() => {}
                Some(_) = noticed.recv() => {}
                Some(done) = self.actions.join_next() => self.handle_done(done),
                () = hub::sleep_until(Some(deadline)) => {}
                () = stopping(&mut stop) => {}
            }
        }
        for desk in self.desks.into_values() {
            desk.let_go().await;
        }
    }

    fn deadline(&self) -> Micros {
        let now = clock::now();
        // Nobody says so where a start comes to nothing: an earlier gateway may have died in the middle
        // of ordering it.
        // Nor where the machine has room again.
        let is_starting =
            self.desks.values().any(|desk| matches!(desk.state(), State::Queued | State::Starting));
        let in_trouble = self.trouble.borrow().is_some();
        let usual = if in_trouble || is_starting { TROUBLE_PAUSE } else { LOOK_INTERVAL };
        let desks = self.desks.values().filter_map(|desk| desk.deadline(now));
        desks.chain([now.plus(usual)]).min().unwrap_or(now)
    }

    /// Compares what is wanted with what is, and has the difference done.
    async fn look(&mut self) {
        match self.compare().await {
            Ok(()) => {
                self.trouble.send_replace(None);
                self.is_troubled.send_replace(false);
            }
            Err(error) => {
                let reason = Some(format!("{error:#}"));
                if *self.trouble.borrow() != reason {
                    tracing::warn!(reason, "sessions cannot be looked after; trying again");
                }
                self.trouble.send_replace(reason);
                self.is_troubled.send_replace(true);
            }
        }
    }

    async fn compare(&mut self) -> anyhow::Result<()> {
        let sessions = self.store.all_sessions().await?;
        let instances = self.runtime.list().await?;
        let mut instances: BTreeMap<_, _> =
            instances.into_iter().map(|instance| (instance.session.clone(), instance)).collect();
        let known: BTreeSet<_> = sessions.iter().map(|session| session.id.clone()).collect();
        for session in sessions {
            let instance = instances.get(&session.id);
            self.tend(session, instance).await?;
        }
        self.admit();
        let shared = Shared {
            settings: &self.settings,
            notice: &self.notice,
            desktops: &self.desktops,
            asking: &self.rules.asking,
        };
        for (id, desk) in &mut self.desks {
            desk.follow(instances.get(id).map(|instance| &instance.state), &shared).await;
        }
        for desk in self.desks.extract_if(.., |id, _| !known.contains(id)) {
            desk.1.close("the desktop was deleted").await;
        }
        // What nobody knows of belongs to nobody.
        instances.retain(|id, _| !known.contains(id) && !self.removing.contains(id));
        for orphan in instances.into_keys() {
            tracing::warn!(session = %orphan, "a desktop that belongs to no session is removed");
            self.remove(orphan);
        }
        Ok(())
    }

    async fn tend(
        &mut self,
        mut session: Session,
        instance: Option<&Instance>,
    ) -> anyhow::Result<()> {
        let now = clock::now();
        if session.deleted && instance.is_none() {
            if let Some(mut desk) = self.desks.remove(&session.id) {
                if desk.gave_back(None) {
                    self.admission.handle_free(now);
                }
                desk.close("the desktop was deleted").await;
            }
            self.remove(session.id);
            return Ok(());
        }
        let id = session.id.clone();
        let [wanted, made_of] = self.recipes(&session, instance).await?;
        let policy = self.rules.policy(&made_of);
        let desk = match self.desks.entry(id.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let can_pause = self.runtime.can_pause();
                entry.insert(Desk::new(&session, wanted.clone(), policy, can_pause, now))
            }
        };
        desk.take_recipes(wanted, made_of, policy);
        let state = instance.map(|instance| &instance.state);
        desk.update(&session, state, now);
        let is_thrown_away = session.discarded.is_some();
        if desk.mind(now) && session.desired == Desired::Running && !is_thrown_away {
            tracing::info!(session = %id, "nobody works at a desktop, so it is stopped");
            let (desired, at) = (Desired::Stopped, Timestamp::now());
            self.store.set_desired(&id, desired, Actor::System, at).await?;
            session.desired = desired;
            desk.update(&session, state, now);
        }
        let action = desk.observe(state, now);
        desk.show_apps(instance);
        if let Some(took) = desk.came_up(now) {
            telemetry::count_start(Duration::from_micros(took.0));
            self.admission.handle_start(took, now);
        }
        if desk.gave_back(state) {
            self.admission.handle_free(now);
        }
        if let Some(action) = action {
            self.have_done(id, action);
        }
        Ok(())
    }

    /// What a session is made of when it starts next, and what it is made of where it runs.
    async fn recipes(
        &self,
        session: &Session,
        instance: Option<&Instance>,
    ) -> anyhow::Result<[Arc<Recipe>; 2]> {
        let recipes = &self.rules.recipes;
        let known = self.desks.get(&session.id).map(Desk::recipes);
        let wanted = match known {
            Some([wanted, _]) if wanted.is_wanted_by(session) => wanted.clone(),
            _ => recipes.wanted(&self.store, session).await?,
        };
        let runs = |state: &InstanceState| {
            matches!(state, InstanceState::Running(_) | InstanceState::Paused(_))
        };
        let Some(instance) = instance.filter(|instance| runs(&instance.state)) else {
            return Ok([wanted.clone(), wanted]);
        };
        let before = known.map_or(&wanted, |[_, made_of]| made_of);
        let found = recipes.running(&self.runtime, &session.template, instance, [&wanted, before]);
        let made_of = found.await.unwrap_or_else(|error| {
            // The next look asks again.
            let error = format!("{:#}", anyhow::Error::new(error));
            tracing::warn!(session = %session.id, error, "what a desktop is made of is not known");
            wanted.clone()
        });
        Ok([wanted, made_of])
    }

    /// Starts whom there is a place for.
    fn admit(&mut self) {
        let waiting: Vec<_> = self.desks.values().filter(|desk| desk.is_queued()).collect();
        if waiting.is_empty() {
            return;
        }
        // One that was not measured yet is like others that began with the same template.
        let need = |desk: &Desk| {
            let kind = desk.kind();
            let need = self.runtime.need(&kind).or_else(|| self.runtime.need(desk.template()));
            need.map(|need| (kind, need))
        };
        let needs: Vec<_> = waiting.into_iter().filter_map(need).collect();
        let kinds: BTreeSet<_> = self.desks.values().map(Desk::kind).collect();
        let recipes = &self.rules.recipes;
        self.admission.forget_needs(|kind| kinds.contains(kind) || recipes.has(kind));
        for (kind, need) in needs {
            self.admission.handle_need(&kind, need);
        }
        let (machine, now) = (self.rules.gauge.read(), clock::now());
        for (id, action) in line::admit(&mut self.desks, &self.admission, &machine, now) {
            self.have_done(id, action);
        }
    }

    fn have_done(&mut self, id: SessionId, action: Action) {
        let Some(desk) = self.desks.get(&id) else { return };
        let (runtime, spec) = (self.runtime.clone(), desk.spec());
        self.act(id, What::Act, async move {
            match action {
                Action::Start => runtime.start(&spec).await?,
                Action::Stop => runtime.stop(&spec.session).await?,
                Action::Pause => runtime.pause(&spec.session).await?,
                Action::Resume => runtime.resume(&spec.session).await?,
                Action::Reset => runtime.reset(&spec).await?,
            }
            Ok(())
        });
    }

    /// Removes what the runtime has of a session, and only then forgets it: until then whoever
    /// manages next knows that there is something to remove.
    fn remove(&mut self, session: SessionId) {
        if !self.removing.insert(session.clone()) {
            return;
        }
        let (runtime, store, id) = (self.runtime.clone(), self.store.clone(), session.clone());
        self.act(session, What::Remove, async move {
            runtime.remove(&id).await?;
            Ok(store.forget_session(&id).await?)
        });
    }

    /// Has something done beside everything else. Work that panics is work that failed.
    fn act(
        &mut self,
        session: SessionId,
        what: What,
        work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.actions.spawn(async move {
            let mut works = JoinSet::new();
            works.spawn(work);
            let result = match works.join_next().await {
                Some(Ok(result)) => result,
                Some(Err(error)) => Err(error).context("the runtime broke"),
                None => Ok(()),
            };
            if let Err(error) = &result {
                let error = format!("{error:#}");
                tracing::warn!(session = %session, error, "what a session needs could not be done");
                // Each look finds again what is to be removed. This keeps it from the next ones.
                if what == What::Remove {
                    sleep(clock::span(TROUBLE_PAUSE)).await;
                }
            }
            Done { session, what, result }
        });
    }

    fn handle_done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        let Done { session, what, result } =
            done.expect("it hands panics of the work on as errors");
        match what {
            What::Remove => {
                self.removing.remove(&session);
            }
            What::Act => {
                if let Some(desk) = self.desks.get_mut(&session) {
                    let refused = result.err().map(|error| format!("{error:#}"));
                    desk.handle_done(refused, clock::now());
                }
            }
        }
    }

    async fn handle_order(&mut self, order: Order) {
        match order {
            // Every turn looks.
            Order::Look(_) => {}
            Order::Viewers(session, reply) => {
                let people = self.desks.get(&session).map(Desk::people).unwrap_or_default();
                let _ = reply.send(people);
            }
            Order::GiveControl(session, to, reply) => {
                let given = match self.desks.get(&session) {
                    Some(desk) => desk.give_control(to).await,
                    None => Err(NoSuchViewer),
                };
                let _ = reply.send(given);
            }
            Order::Pause(session, answer) => self.ask(&session, answer, Desk::pause),
            Order::Restart(session, answer) => self.ask(&session, answer, Desk::restart),
            Order::Reset(session, answer) => self.ask(&session, answer, Desk::reset),
            Order::Dismiss(whose) => {
                for desk in self.desks.values() {
                    desk.dismiss(whose).await;
                }
            }
            Order::Reserve(reply) => {
                let runtime = self.runtime.clone();
                tokio::spawn(async move { reply.send(runtime.reserve().await) });
            }
            Order::Picture(session) => {
                if let Some(desk) = self.desks.get(&session) {
                    desk.want_picture();
                }
            }
            Order::OfferPage(session, reply) => {
                let is_offered = self.desks.get(&session).is_some_and(Desk::offer_page);
                let _ = reply.send(is_offered);
            }
            Order::App(session, what, reply) => match self.check_app(&session, &what) {
                Ok(()) => {
                    let runtime = self.runtime.clone();
                    tokio::spawn(async move {
                        let _ = reply.send(order_app(&runtime, &session, what).await);
                    });
                }
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
            },
        }
    }

    fn check_app(&self, session: &SessionId, what: &AppOrder) -> Result<(), AppError> {
        let (AppOrder::Open(app) | AppOrder::Close(app)) = what;
        self.desks.get(session).ok_or(AppError::NotRunning)?.check_app(app)
    }

    fn ask(&mut self, session: &SessionId, answer: Answer, ask: impl FnOnce(&mut Desk, Answer)) {
        match self.desks.get_mut(session) {
            Some(desk) => ask(desk, answer),
            None => {
                let _ = answer.send(Err("the desktop has yet to be looked at; try again".into()));
            }
        }
    }

    fn publish(&mut self) {
        self.share_encoders();
        let owners: BTreeSet<_> = self.desks.values().map(Desk::owner).collect();
        let stored = owners.into_iter().filter_map(|who| Some((who, self.runtime.stored(who)?)));
        let stored: BTreeMap<_, _> = stored.collect();
        telemetry::count_stored(stored.values());
        let live = self
            .desks
            .iter()
            .map(|(id, desk)| (id.clone(), desk.live(stored.get(&desk.owner()).copied())));
        let live: HashMap<_, _> = live.collect();
        telemetry::count_sessions(live.values().map(|live| live.state.name()));
        self.live.send_if_modified(|told| {
            let differs = **told != live;
            if differs {
                *told = Arc::new(live);
            }
            differs
        });
        let hubs: BTreeMap<_, _> =
            self.desks.iter().filter_map(|(id, desk)| Some((id.clone(), desk.hub()?))).collect();
        self.hubs.send_replace(Arc::new(hubs));
    }

    /// An encoder keeps a core busy: those who are looked at share the cores, each has one at least.
    fn share_encoders(&mut self) {
        let watched = self.desks.values().filter(|desk| desk.is_watched()).count();
        let share = match self.settings.encoders {
            0 => 0,
            all => (usize::from(all) / watched.max(1)).max(1) as u8,
        };
        self.desks.values_mut().for_each(|desk| desk.allow_encoders(share));
    }
}

async fn order_app(runtime: &Runtime, session: &SessionId, what: AppOrder) -> Result<(), AppError> {
    let done = match &what {
        AppOrder::Open(app) => runtime.open(session, app).await,
        AppOrder::Close(app) => runtime.close(session, app).await,
    };
    done.map_err(|error| {
        let reason = format!("{:#}", anyhow::Error::new(error));
        tracing::warn!(session = %session, reason, "{what:?} failed");
        AppError::Failed(reason)
    })
}

async fn stopping(stop: &mut watch::Receiver<bool>) {
    // The sender only goes once it has said so.
    let _ = stop.wait_for(|stop| *stop).await;
}
