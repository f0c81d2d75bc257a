//! What an app needs beside its own container for what it declares: a network with walls around it, and
//! a proxy that lets some names of the session bus through.

use super::{Desktops, Found, LISTEN_LOOK, LISTEN_PATIENCE, Place, Subject, group};
use crate::broker::containers::{Core, SESSION};
use crate::broker::network;
use crate::runtime::RuntimeError;
use crate::template::{App, Network};
use lattice_engine::session::SessionId;
use std::sync::Arc;
use std::time::Instant;
use tokio::time::sleep;

impl Desktops {
    /// Makes it; in vain where that fails, and then the app is not to start.
    pub(super) async fn grant(
        &self,
        place: &Place,
        subject: &Subject<'_>,
        name: &str,
        app: &App,
    ) -> Result<(), RuntimeError> {
        if app.permissions.network == Network::Internet {
            self.raise_walls().await?;
            let installation = &self.settings.installation;
            network::make(&self.engine, installation, subject.site.session).await?;
        }
        if app.permissions.dbus.is_empty() {
            return Ok(());
        }
        let image = self.image(Core::Dbus.image()).await?;
        let socket = place.make_proxy(name, subject.uid)?;
        let id = self.create(subject.proxy(name, app), &image).await?;
        self.engine.start(&id).await?;
        let begun = Instant::now();
        while !socket.exists() {
            if begun.elapsed() > LISTEN_PATIENCE {
                let what = format!("the proxy of the session bus for {name} did not come up");
                return Err(RuntimeError::Refused(what));
            }
            sleep(LISTEN_LOOK).await;
        }
        Ok(())
    }

    /// Removes what only a closed app needed. Its network stays for the others.
    pub(super) async fn release(&self, found: &Found, app: &str) -> Result<(), RuntimeError> {
        for (_, aide) in found.aides.iter().filter(|((of, _), _)| of == app) {
            self.engine.remove(&aide.id).await?;
        }
        Ok(())
    }

    /// Leads from sockets in the session's directory to the ports that an app declares, once its
    /// container runs: they are of its network alone.
    pub(super) async fn lead_to_ports(
        &self,
        place: &Place,
        subject: &Subject<'_>,
        name: &str,
        app: &App,
        container: &str,
    ) -> Result<(), RuntimeError> {
        if app.permissions.ports.is_empty() {
            return Ok(());
        }
        let image = self.image(Core::Api.image()).await?;
        place.make_ports(name, subject.uid, self.settings.gateway)?;
        let id = self.create(subject.forwarder(name, app, container), &image).await?;
        self.engine.start(&id).await
    }

    pub(super) async fn raise_walls(&self) -> Result<(), RuntimeError> {
        let image = self.image(network::IMAGE.into()).await?;
        self.walls.raise(&self.engine, &self.settings.installation, image.id).await
    }

    /// The engine went away, and with it perhaps its rules.
    pub(in crate::broker) async fn doubt_walls(&self) {
        self.walls.doubt().await;
    }

    /// Puts walls in place where there is a network that needs them.
    pub(in crate::broker) async fn check_walls(&self) {
        let networks = self.engine.networks(vec![self.label()]).await;
        if networks.is_ok_and(|networks| !networks.is_empty())
            && let Err(error) = self.raise_walls().await
        {
            tracing::error!(%error, "apps that use the internet may have no walls around them");
        }
    }

    /// Does so again and again.
    pub(in crate::broker) async fn keep_walls(self: Arc<Self>) {
        loop {
            sleep(network::RULES_LAST).await;
            self.check_walls().await;
        }
    }

    /// Removes networks of sessions that are no more.
    pub(super) async fn sweep_networks(&self) -> Result<(), RuntimeError> {
        let installation = &self.settings.installation;
        let networks = self.engine.networks(vec![self.label()]).await?;
        if networks.is_empty() {
            return Ok(());
        }
        let sessions = group(self.engine.list(vec![self.label()]).await?);
        let of = networks.iter().filter_map(|(_, labels)| labels.get(SESSION)?.parse().ok());
        for session in of.filter(|session: &SessionId| !sessions.contains_key(session)) {
            let _turn = self.turns.take(&session).await;
            if self.find(&session).await?.is_empty() {
                network::remove(&self.engine, installation, &session).await?;
            }
        }
        Ok(())
    }
}
