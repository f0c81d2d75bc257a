//! One session in the manager's hands: where it stands, its hub, and the link to its agent.

use super::room::Room;
use crate::broker::protocol::Stored;
use crate::http::api::{Answer, Desktops, Live, NoSuchViewer, Presence, Queue};
use crate::hub::{Event, Hub, Seen, Settings, Whose};
use crate::recipe::Recipe;
use crate::runtime::{Instance, InstanceState, Spec, Usage};
use crate::session_api::{self, AppError, Asking};
use crate::store::{Desired, Session, Timestamp};
use lattice_engine::idle::{Clock, Due, Mode, Policy};
use lattice_engine::reconcile::{self, Action, Lifecycle, Observed, State};
use lattice_engine::session::SessionId;
use lattice_wire::apps::App;
use lattice_wire::{Micros, Role, Standing, ViewerId, close};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// What a fresh desktop has where nobody's window says otherwise: a Chromebook's screen.
const GEOMETRY: (u16, u16) = (1366, 768);

pub(super) struct Desk {
    session: Session,
    /// What it is made of when it starts next.
    wanted: Arc<Recipe>,
    /// What it is made of where it runs, else the same.
    made_of: Arc<Recipe>,
    asked: Option<Timestamp>,
    life: Lifecycle,
    /// It was thrown away, and its programs are kept as they are.
    is_held: bool,
    /// What the runtime does with it: until that is done there is nothing to be seen.
    busy: Option<Action>,
    room: Option<Room>,
    apps: watch::Sender<Vec<App>>,
    clock: Clock,
    can_pause: bool,
    /// What those are told who look, of its rest.
    warning: Option<Standing>,
    /// It was stopped because nobody worked at it.
    has_rested: bool,
    queue: Option<Queue>,
    /// When it was let in, until it has come up.
    admitted_at: Option<Micros>,
    /// Whether it takes a place of the machine.
    holds_place: bool,
    /// Who waits for something to have been done.
    awaited: Option<(Action, Answer)>,
    usage: Usage,
}

/// What all desks share.
pub(super) struct Shared<'a> {
    pub(super) settings: &'a Settings,
    pub(super) notice: &'a mpsc::Sender<()>,
    pub(super) desktops: &'a Desktops,
    pub(super) asking: &'a Asking,
}

impl Desk {
    pub(super) fn new(
        session: &Session,
        recipe: Arc<Recipe>,
        policy: Policy,
        can_pause: bool,
        now: Micros,
    ) -> Self {
        Self {
            session: session.clone(),
            wanted: recipe.clone(),
            made_of: recipe,
            asked: session.started_at,
            // What was thrown away is looked at first: it may run, with its programs kept.
            life: Lifecycle::new(wanted(session), now),
            is_held: false,
            busy: None,
            room: None,
            apps: watch::Sender::default(),
            clock: Clock::new(policy, now),
            can_pause,
            warning: None,
            has_rested: false,
            queue: None,
            admitted_at: None,
            holds_place: false,
            awaited: None,
            usage: Usage::default(),
        }
    }

    /// Takes over what the store says now of what there is.
    pub(super) fn update(
        &mut self,
        session: &Session,
        instance: Option<&InstanceState>,
        now: Micros,
    ) {
        if self.session.name != session.name
            && let Some(room) = &self.room
        {
            // A hub that is busy hears of the next name, or shows this one from the next start on.
            room.hub.try_send(Event::Name(session.name.clone()));
        }
        self.session = session.clone();
        if session.started_at > self.asked {
            self.asked = session.started_at;
            self.life.ask(now);
            self.clock.handle_work(now);
        }
        // Of one that is yet to start there is nothing to keep.
        let is_up = matches!(instance, Some(InstanceState::Running(_) | InstanceState::Paused(_)));
        let discarded = session.discarded;
        let holds = is_up && discarded.is_some_and(|it| it.is_held(Timestamp::now()));
        let was_held = std::mem::replace(&mut self.is_held, holds);
        match (was_held, holds) {
            (_, true) if self.can_pause => self.life.doze(),
            (true, false) => self.wake(now),
            (_, _) => {}
        }
        if self.desired() == reconcile::Desired::Running {
            self.has_rested = false;
        }
    }

    /// What it is to do, all things considered.
    fn desired(&self) -> reconcile::Desired {
        let is_kept = self.session.discarded.is_none() || self.is_held;
        match self.session.desired {
            Desired::Running if !self.session.deleted && is_kept => reconcile::Desired::Running,
            Desired::Running | Desired::Stopped => reconcile::Desired::Stopped,
        }
    }

    pub(super) fn state(&self) -> State {
        self.life.state()
    }

    /// What it is made of when it starts next, and what it is made of now.
    pub(super) fn recipes(&self) -> [&Arc<Recipe>; 2] {
        [&self.wanted, &self.made_of]
    }

    /// Takes over what it is made of, and by that when it rests.
    pub(super) fn take_recipes(
        &mut self,
        wanted: Arc<Recipe>,
        made_of: Arc<Recipe>,
        policy: Policy,
    ) {
        self.clock.set_policy(policy);
        (self.wanted, self.made_of) = (wanted, made_of);
    }

    /// Of which kind it is when it starts next.
    pub(super) fn kind(&self) -> String {
        self.wanted.kind()
    }

    /// The template that it began with.
    pub(super) fn template(&self) -> &str {
        &self.session.template
    }

    pub(super) fn spec(&self) -> Spec {
        Spec {
            session: self.session.id.clone(),
            owner: self.session.owner.id.0,
            title: self.session.name.clone(),
            geometry: GEOMETRY,
            template: self.session.template.clone(),
            text: self.wanted.own_text().cloned(),
        }
    }

    pub(super) fn deadline(&self, now: Micros) -> Option<Micros> {
        if self.busy.is_some() {
            return None;
        }
        let rest = self.mode().and_then(|mode| self.clock.deadline(mode, now));
        self.life.deadline().into_iter().chain(rest).min()
    }

    fn mode(&self) -> Option<Mode> {
        match self.life.state() {
            State::Running if self.can_pause => Some(Mode::Pausable),
            State::Running => Some(Mode::Running),
            State::Idle => Some(Mode::Paused),
            State::Requested
            | State::Queued
            | State::Starting
            | State::Stopping
            | State::Stopped
            | State::Failed => None,
        }
    }

    /// Hears from those who look whether anybody works at it, and has it rest where nobody does.
    /// Whether it is to be stopped.
    pub(super) fn mind(&mut self, now: Micros) -> bool {
        let (worked, opened) = self.room.as_ref().map_or((None, None), Room::visited);
        worked.into_iter().for_each(|at| self.clock.handle_work(at));
        // What happened before it was to be paused was known then.
        if worked.max(opened).is_some_and(|at| at >= self.life.since()) {
            self.wake(now);
        }
        self.warning = None;
        match self.mode().map_or(Due::Nothing, |mode| self.clock.due(mode, now)) {
            Due::Nothing => {}
            Due::Warning(warning) => {
                let seconds = |span: Micros| u32::try_from(span.0 / 1_000_000).unwrap_or(u32::MAX);
                self.warning = Some(Standing::Warned {
                    idle_s: seconds(warning.idle),
                    left_s: seconds(warning.left),
                    stops: warning.stops,
                });
            }
            Due::Pause => self.life.doze(),
            Due::Stop => {
                self.has_rested = true;
                return true;
            }
        }
        false
    }

    /// Somebody is there.
    fn wake(&mut self, now: Micros) {
        if self.life.state() == State::Idle {
            self.clock.handle_work(now);
            self.life.wake();
        }
    }

    /// Somebody wants it paused.
    pub(super) fn pause(&mut self, answer: Answer) {
        if self.life.state() != State::Running {
            let _ = answer.send(Err("only a desktop that runs can be paused".into()));
            return;
        }
        self.life.doze();
        self.awaited = Some((Action::Pause, answer));
    }

    /// Somebody wants it to end and start again.
    pub(super) fn restart(&mut self, answer: Answer) {
        self.life.restart();
        self.awaited = Some((Action::Stop, answer));
    }

    /// Somebody wants its home to begin anew.
    pub(super) fn reset(&mut self, answer: Answer) {
        self.life.reset();
        self.awaited = Some((Action::Reset, answer));
    }

    pub(super) fn is_queued(&self) -> bool {
        self.life.state() == State::Queued
    }

    /// Who asked first is first in line; who asked in the same second, as they were seen.
    pub(super) fn order(&self) -> (Option<Timestamp>, Micros, SessionId) {
        (self.asked, self.life.since(), self.session.id.clone())
    }

    /// There is a place for it.
    pub(super) fn admit(&mut self, now: Micros) -> Option<Action> {
        self.queue = None;
        self.admitted_at = Some(now);
        self.busy = self.life.admit(now);
        self.busy
    }

    /// There is none yet.
    pub(super) fn stand_in_line(&mut self, queue: Queue) {
        self.queue = Some(queue);
    }

    /// How long it took to come up, where it just has.
    pub(super) fn came_up(&mut self, now: Micros) -> Option<Micros> {
        match self.life.state() {
            State::Running => self.admitted_at.take().map(|at| now.since(at)),
            State::Starting => None,
            State::Requested
            | State::Queued
            | State::Idle
            | State::Stopping
            | State::Stopped
            | State::Failed => {
                self.admitted_at = None;
                None
            }
        }
    }

    /// Whether it gave its place back since the last look.
    pub(super) fn gave_back(&mut self, instance: Option<&InstanceState>) -> bool {
        let holds = instance.is_some_and(|state| !matches!(state, InstanceState::Ended { .. }));
        std::mem::replace(&mut self.holds_place, holds) && !holds
    }

    /// What the runtime is to do now; it is busy with that until [`Desk::handle_done`].
    pub(super) fn observe(
        &mut self,
        instance: Option<&InstanceState>,
        now: Micros,
    ) -> Option<Action> {
        if self.busy.is_some() {
            return None;
        }
        let observed = match instance {
            None => Observed::Absent,
            Some(InstanceState::Starting) => Observed::Starting,
            Some(InstanceState::Running(_)) => Observed::Running,
            Some(InstanceState::Paused(_)) => Observed::Paused,
            Some(InstanceState::Ended { reason }) => Observed::Ended(reason.clone()),
        };
        let before = self.life.state();
        let action = self.life.observe(self.desired(), observed, now);
        self.busy = action;
        if self.life.state() != State::Queued {
            self.queue = None;
        }
        if self.life.state() != before {
            if self.life.state() == State::Running {
                self.clock.handle_work(now);
            }
            tracing::info!(
                session = %self.session.id,
                state = self.life.state().name(),
                reason = self.life.reason(),
                "a session changed"
            );
        }
        action
    }

    pub(super) fn handle_done(&mut self, refused: Option<String>, now: Micros) {
        let done = self.busy.take();
        if let Some((_, answer)) = self.awaited.take_if(|(action, _)| Some(*action) == done) {
            let _ = answer.send(refused.clone().map_or(Ok(()), Err));
        }
        if let Some(reason) = refused {
            self.life.refuse(reason, now);
        }
    }

    /// Opens the room where the desktop is to run, and links it to the desktop where that runs.
    pub(super) async fn follow(&mut self, instance: Option<&InstanceState>, shared: &Shared<'_>) {
        let is_thrown_away = self.session.deleted || self.session.discarded.is_some();
        if is_thrown_away || self.desired() == reconcile::Desired::Stopped {
            let reason = match (is_thrown_away, self.has_rested) {
                (true, _) => "the desktop was deleted",
                (false, true) => "nobody worked at the desktop, so it was stopped",
                (false, false) => "the desktop was stopped",
            };
            if let Some(room) = self.room.take() {
                room.close(reason).await;
            }
            return;
        }
        let standing = self.standing(instance);
        let room = self.room.get_or_insert_with(|| {
            let settings = shared.settings.clone().named(&self.session.name);
            let room = Room::open(settings, shared.notice.clone());
            let gallery = shared.desktops.gallery().clone();
            tokio::spawn(gallery.follow(self.session.id.clone(), room.hub.still()));
            room
        });
        match instance {
            Some(InstanceState::Running(address)) => {
                room.stand(standing).await;
                room.link_to(address).await;
                room.relay_to(&self.session.id, address, &self.apps, shared);
            }
            // What is frozen answers nobody.
            Some(InstanceState::Paused(_)) => room.unlink().await,
            // Its supervisor starts it again: the link finds it when it is back.
            Some(InstanceState::Starting) => {}
            Some(InstanceState::Ended { .. }) | None => room.unlink().await,
        }
        room.stand(standing).await;
        if self.life.state() == State::Failed {
            room.tell(self.life.reason()).await;
        }
    }

    /// Takes over how the apps are.
    pub(super) fn show_apps(&mut self, instance: Option<&Instance>) {
        let open = instance.map_or(&[][..], |instance| &instance.apps);
        let apps = session_api::apps(&self.made_of, open);
        self.usage = instance.map(|instance| told(&instance.usage)).unwrap_or_default();
        self.apps.send_if_modified(|told| {
            let differs = *told != apps;
            *told = apps;
            differs
        });
    }

    /// Whether an app can be opened and closed now.
    pub(super) fn check_app(&self, app: &str) -> Result<(), AppError> {
        let apps = self.apps.borrow();
        if !apps.iter().any(|known| known.name.as_str() == app) {
            let names = apps.iter().map(|app| app.name.to_string()).collect();
            return Err(AppError::Missing { app: app.chars().take(64).collect(), names });
        }
        if self.life.state() == State::Running { Ok(()) } else { Err(AppError::NotRunning) }
    }

    /// What those who look are told beside the picture.
    fn standing(&self, instance: Option<&InstanceState>) -> Standing {
        match (instance, self.queue) {
            (Some(InstanceState::Paused(_)), _) => Standing::Paused,
            (_, Some(Queue { position, eta_s })) => Standing::Queued { position, eta_s },
            (_, None) => self.warning.unwrap_or(Standing::Usual),
        }
    }

    /// As the API tells of it.
    pub(super) fn live(&self, stored: Option<Stored>) -> Live {
        Live {
            state: self.life.state(),
            reason: self.life.reason().to_owned(),
            viewers: self.room.as_ref().map_or(0, |room| room.status.borrow().people.len()),
            apps: self.apps.borrow().clone(),
            recipe: self.made_of.clone(),
            is_current: self.made_of.kind() == self.wanted.kind(),
            queue: self.queue,
            can_pause: self.can_pause,
            stored,
            usage: self.usage.clone(),
        }
    }

    pub(super) fn owner(&self) -> i64 {
        self.session.owner.id.0
    }

    pub(super) fn hub(&self) -> Option<Hub> {
        self.room.as_ref().map(|room| room.hub.clone())
    }

    /// Somebody looks at its pictures.
    pub(super) fn want_picture(&self) {
        if let Some(room) = &self.room {
            // A hub that is busy has something else to do; whoever looks asks again.
            room.hub.try_send(Event::WantStill);
        }
    }

    /// Has its page offered to its owner; whether one looks.
    pub(super) fn offer_page(&self) -> bool {
        let Some(room) = &self.room else { return false };
        let is_owner = |seen: &Seen| seen.person.role == Role::Own;
        let is_there = room.status.borrow().people.iter().any(is_owner);
        is_there && room.hub.try_send(Event::OfferPage)
    }

    /// Who looks.
    pub(super) fn people(&self) -> Vec<Presence> {
        let Some(room) = &self.room else { return Vec::new() };
        let status = room.status.borrow();
        let presence = |seen: &Seen| Presence {
            viewer: seen.person.viewer,
            name: seen.person.name.clone(),
            role: self.role(seen),
            driving: status.controller == Some(seen.person.viewer),
            login: seen.right.login,
        };
        status.people.iter().map(presence).collect()
    }

    /// As the API names it.
    fn role(&self, seen: &Seen) -> &'static str {
        match seen.person.role {
            Role::View => "view",
            Role::Assist => "assist",
            Role::Control => "control",
            Role::Own if seen.right.user == Some(self.session.owner.id) => "owner",
            Role::Own => "admin",
        }
    }

    pub(super) async fn give_control(&self, to: Option<ViewerId>) -> Result<(), NoSuchViewer> {
        let room = self.room.as_ref().ok_or(NoSuchViewer)?;
        let may = |seen: &Seen| {
            Some(seen.person.viewer) == to && matches!(seen.person.role, Role::Control | Role::Own)
        };
        if to.is_some() && !room.status.borrow().people.iter().any(may) {
            return Err(NoSuchViewer);
        }
        room.hub.send(Event::Give(to)).await;
        Ok(())
    }

    /// Ends the sockets of those who may no longer look.
    pub(super) async fn dismiss(&self, whose: Whose) {
        let Some(room) = &self.room else { return };
        let reason = "the right to look was withdrawn";
        room.hub.send(Event::Dismiss(whose, close::REVOKED, reason)).await;
    }

    pub(super) fn is_watched(&self) -> bool {
        self.room.as_ref().is_some_and(|room| !room.status.borrow().people.is_empty())
    }

    pub(super) fn allow_encoders(&mut self, share: u8) {
        let Some(room) = self.room.as_mut().filter(|room| room.encoders != share) else { return };
        // A hub that is busy hears of it with the next look.
        if room.hub.try_send(Event::Encoders(share)) {
            room.encoders = share;
        }
    }

    /// The session is gone: its viewers are told why.
    pub(super) async fn close(self, reason: &'static str) {
        if let Some(room) = self.room {
            room.close(reason).await;
        }
    }

    /// The gateway ends, the desktop does not.
    pub(super) async fn let_go(self) {
        if let Some(mut room) = self.room {
            room.unlink().await;
        }
    }
}

/// As exact as anybody needs it: nobody is told of what changes all the time.
fn told(usage: &Usage) -> Usage {
    const MEMORY_STEP: u64 = 8 << 20;
    const CPU_STEP: u32 = 5;
    Usage {
        memory: usage.memory.map(|bytes| bytes.next_multiple_of(MEMORY_STEP)),
        cpu: usage.cpu.map(|share| (share + CPU_STEP / 2) / CPU_STEP * CPU_STEP),
        ..usage.clone()
    }
}

fn wanted(session: &Session) -> reconcile::Desired {
    let is_there = !session.deleted && session.discarded.is_none();
    match session.desired {
        Desired::Running if is_there => reconcile::Desired::Running,
        Desired::Running | Desired::Stopped => reconcile::Desired::Stopped,
    }
}
