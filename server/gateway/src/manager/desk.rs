//! One session in the manager's hands: where it stands, its hub, and the link to its agent.

use crate::agent::{self, Source};
use crate::http::api::{Desktops, Live, NoSuchViewer, Presence};
use crate::hub::{AgentEvent, Event, Hub, Seen, Settings, Status, Whose};
use crate::runtime::{Address, Instance, InstanceState, Spec};
use crate::session_api::{self, AppError, Catalogue};
use crate::store::{Desired, Session, Timestamp};
use lattice_engine::reconcile::{self, Action, Lifecycle, Observed, State};
use lattice_engine::session::SessionId;
use lattice_wire::apps::App;
use lattice_wire::{Micros, Role, ViewerId, close};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What a fresh desktop has where nobody's window says otherwise: a Chromebook's screen.
const GEOMETRY: (u16, u16) = (1366, 768);

pub(super) struct Desk {
    session: Session,
    asked: Option<Timestamp>,
    life: Lifecycle,
    /// The runtime works on it: until it is done there is nothing to be seen.
    is_busy: bool,
    room: Option<Room>,
    apps: watch::Sender<Vec<App>>,
}

/// What all desks share.
pub(super) struct Shared<'a> {
    pub(super) settings: &'a Settings,
    pub(super) notice: &'a mpsc::Sender<()>,
    pub(super) desktops: &'a Desktops,
}

/// Where viewers and the desktop meet.
struct Room {
    hub: Hub,
    status: watch::Receiver<Status>,
    link: Option<AgentLink>,
    relay: Option<session_api::Link>,
    encoders: u8,
    told: String,
}

struct AgentLink {
    address: Address,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Desk {
    pub(super) fn new(session: &Session, now: Micros) -> Self {
        Self {
            session: session.clone(),
            asked: session.started_at,
            life: Lifecycle::new(desired(session), now),
            is_busy: false,
            room: None,
            apps: watch::Sender::default(),
        }
    }

    /// Takes over what the store says now.
    pub(super) fn update(&mut self, session: &Session, now: Micros) {
        self.session = session.clone();
        if session.started_at > self.asked {
            self.asked = session.started_at;
            self.life.ask(now);
        }
    }

    pub(super) fn spec(&self) -> Spec {
        Spec {
            session: self.session.id.clone(),
            owner: self.session.owner.id.0,
            title: self.session.name.clone(),
            geometry: GEOMETRY,
            template: self.session.template.clone(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Micros> {
        self.life.deadline().filter(|_| !self.is_busy)
    }

    /// What the runtime is to do now; it is busy with that until [`Desk::handle_done`].
    pub(super) fn observe(
        &mut self,
        instance: Option<&InstanceState>,
        now: Micros,
    ) -> Option<Action> {
        if self.is_busy {
            return None;
        }
        let observed = match instance {
            None => Observed::Absent,
            Some(InstanceState::Starting) => Observed::Starting,
            Some(InstanceState::Running(_) | InstanceState::Paused(_)) => Observed::Running,
            Some(InstanceState::Ended { reason }) => Observed::Ended(reason.clone()),
        };
        let before = self.life.state();
        let action = self.life.observe(desired(&self.session), observed, now);
        self.is_busy = action.is_some();
        if self.life.state() != before {
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
        self.is_busy = false;
        if let Some(reason) = refused {
            self.life.refuse(reason, now);
        }
    }

    /// Opens the room where the desktop is to run, and links it to the desktop where that runs.
    pub(super) async fn follow(&mut self, instance: Option<&InstanceState>, shared: &Shared<'_>) {
        if desired(&self.session) == reconcile::Desired::Stopped {
            let reason = match self.session.deleted {
                true => "the desktop was deleted",
                false => "the desktop was stopped",
            };
            if let Some(room) = self.room.take() {
                room.close(reason).await;
            }
            return;
        }
        let room = self.room.get_or_insert_with(|| {
            let settings = shared.settings.clone().named(&self.session.name);
            Room::open(settings, shared.notice.clone())
        });
        match instance {
            Some(InstanceState::Running(address) | InstanceState::Paused(address)) => {
                room.link_to(address).await;
                room.relay_to(&self.session.id, address, &self.apps, shared.desktops);
            }
            // Its supervisor starts it again: the link finds it when it is back.
            Some(InstanceState::Starting) => {}
            Some(InstanceState::Ended { .. }) | None => room.unlink().await,
        }
        if self.life.state() == State::Failed {
            room.tell(self.life.reason()).await;
        }
    }

    /// Takes over how the apps are.
    pub(super) fn show_apps(&mut self, catalogue: &Catalogue, instance: Option<&Instance>) {
        let open = instance.map_or(&[][..], |instance| &instance.apps);
        let apps = catalogue.apps(&self.session.template, open);
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

    /// As the API tells of it.
    pub(super) fn live(&self) -> Live {
        Live {
            state: self.life.state(),
            reason: self.life.reason().to_owned(),
            viewers: self.room.as_ref().map_or(0, |room| room.status.borrow().people.len()),
            apps: self.apps.borrow().clone(),
        }
    }

    pub(super) fn hub(&self) -> Option<Hub> {
        self.room.as_ref().map(|room| room.hub.clone())
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

impl AgentLink {
    fn leads_to(&self, address: &Address) -> bool {
        let same = self.address.socket == address.socket
            && self.address.token.expose() == address.token.expose();
        same && !self.task.is_finished()
    }
}

impl Room {
    fn open(settings: Settings, notice: mpsc::Sender<()>) -> Self {
        let encoders = settings.encoders;
        let (hub, _) = Hub::spawn(settings);
        let status = hub.status();
        let mut changes = status.clone();
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                // One that waits says it for all.
                let _ = notice.try_send(());
            }
        });
        Self { hub, status, link: None, relay: None, encoders, told: String::new() }
    }

    async fn link_to(&mut self, address: &Address) {
        if self.link.as_ref().is_some_and(|link| link.leads_to(address)) {
            return;
        }
        self.unlink().await;
        self.told.clear();
        let source = Source::Socket { path: address.socket.clone(), token: address.token.clone() };
        let (stop, stopped) = watch::channel(false);
        let hub = self.hub.clone();
        let task = tokio::spawn(async move {
            let (pid, _) = watch::channel(None);
            if let Err(error) = agent::run(source, &hub, &pid, stopped).await {
                tracing::warn!(error = %format!("{error:#}"), "a desktop's agent is of no use");
                let _ = hub.agent().send(AgentEvent::Down(format!("{error:#}"))).await;
            }
        });
        self.link = Some(AgentLink { address: address.clone(), stop, task });
    }

    fn relay_to(
        &mut self,
        session: &SessionId,
        address: &Address,
        apps: &watch::Sender<Vec<App>>,
        desktops: &Desktops,
    ) {
        let Some(relay) = &address.relay else {
            self.relay = None;
            return;
        };
        if self.relay.as_ref().is_none_or(|link| !link.leads_to(relay)) {
            let (session, relay) = (session.clone(), relay.clone());
            let link = session_api::Link::open(session, relay, apps.subscribe(), desktops.clone());
            self.relay = Some(link);
        }
    }

    async fn unlink(&mut self) {
        self.relay = None;
        if let Some(link) = self.link.take() {
            link.stop.send_replace(true);
            let _ = link.task.await;
        }
    }

    /// Says why there is no picture.
    async fn tell(&mut self, reason: &str) {
        if self.told != reason {
            reason.clone_into(&mut self.told);
            let _ = self.hub.agent().send(AgentEvent::Down(reason.to_owned())).await;
        }
    }

    async fn close(mut self, reason: &'static str) {
        self.hub.send(Event::Dismiss(Whose::Everybody, close::ENDED, reason)).await;
        self.unlink().await;
    }
}

fn desired(session: &Session) -> reconcile::Desired {
    match session.desired {
        Desired::Running if !session.deleted => reconcile::Desired::Running,
        Desired::Running | Desired::Stopped => reconcile::Desired::Stopped,
    }
}
