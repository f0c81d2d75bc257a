//! Where viewers and one desktop meet: its hub, and the links to its agent and relay.

use super::desk::Shared;
use crate::agent::{self, Source};
use crate::hub::{AgentEvent, Event, Hub, Settings, Status, Whose};
use crate::runtime::Address;
use crate::session_api;
use lattice_engine::session::SessionId;
use lattice_wire::apps::App;
use lattice_wire::{Micros, Standing, close};
use std::mem::discriminant;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Where viewers and the desktop meet.
pub(super) struct Room {
    pub(super) hub: Hub,
    pub(super) status: watch::Receiver<Status>,
    link: Option<AgentLink>,
    relay: Option<session_api::Link>,
    pub(super) encoders: u8,
    told: String,
    standing: Standing,
}

struct AgentLink {
    address: Address,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl AgentLink {
    fn leads_to(&self, address: &Address) -> bool {
        let same = self.address.socket == address.socket
            && self.address.token.expose() == address.token.expose();
        same && !self.task.is_finished()
    }
}

impl Room {
    pub(super) fn open(settings: Settings, notice: mpsc::Sender<()>) -> Self {
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
        let standing = Standing::Usual;
        Self { hub, status, link: None, relay: None, encoders, told: String::new(), standing }
    }

    /// When somebody last worked here, and when somebody who may came.
    pub(super) fn visited(&self) -> (Option<Micros>, Option<Micros>) {
        let status = self.status.borrow();
        (status.worked_at, status.opened_at)
    }

    /// Says how the desktop stands. The time of a warning goes by itself.
    pub(super) async fn stand(&mut self, standing: Standing) {
        let is_warned = matches!(standing, Standing::Warned { .. });
        let same = discriminant(&self.standing) == discriminant(&standing);
        if self.standing == standing || (is_warned && same) {
            return;
        }
        self.standing = standing;
        self.hub.send(Event::Standing(standing)).await;
    }

    pub(super) async fn link_to(&mut self, address: &Address) {
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

    pub(super) fn relay_to(
        &mut self,
        session: &SessionId,
        address: &Address,
        apps: &watch::Sender<Vec<App>>,
        shared: &Shared<'_>,
    ) {
        let Some(relay) = &address.relay else {
            self.relay = None;
            return;
        };
        if self.relay.as_ref().is_none_or(|link| !link.leads_to(relay)) {
            let (session, relay) = (session.clone(), relay.clone());
            let (desktops, asking) = (shared.desktops.clone(), shared.asking.clone());
            let link = session_api::Link::open(session, relay, apps.subscribe(), desktops, asking);
            self.relay = Some(link);
        }
    }

    pub(super) async fn unlink(&mut self) {
        self.relay = None;
        if let Some(link) = self.link.take() {
            link.stop.send_replace(true);
            let _ = link.task.await;
        }
    }

    /// Says why there is no picture.
    pub(super) async fn tell(&mut self, reason: &str) {
        if self.told != reason {
            reason.clone_into(&mut self.told);
            let _ = self.hub.agent().send(AgentEvent::Down(reason.to_owned())).await;
        }
    }

    pub(super) async fn close(mut self, reason: &'static str) {
        self.hub.send(Event::Dismiss(Whose::Everybody, close::ENDED, reason)).await;
        self.unlink().await;
    }
}
