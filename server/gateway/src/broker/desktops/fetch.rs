//! A repository is cloned in a container of its own, which sees an empty directory in memory and a network
//! with walls around it, and is gone afterwards.

use super::snapshots::Keeping;
use super::{Desktops, Settings};
use crate::broker::{data, network};
use crate::runtime::RuntimeError;
use bollard::models::{ContainerCreateBody, HostConfigLogConfig};
use lattice_engine::session::SessionId;
use lattice_wire::imports::{CloneUrl, MOST_CLONE};
use std::collections::HashMap;

/// What clones.
const IMAGE: &str = "lattice/fetch";
/// Beside what is cloned, which is in memory, too.
const MEMORY: i64 = 512 << 20;
const PIDS: i64 = 64;
/// Nobody's, who owns nothing.
const USER: &str = "65534:65534";

impl Desktops {
    /// Starts a clone; the id is that of its network.
    pub(in crate::broker) async fn fetch(
        &self,
        url: &CloneUrl,
    ) -> Result<(Keeping, SessionId), RuntimeError> {
        let Settings { installation, .. } = &self.settings;
        let image = self.image(IMAGE.into()).await?;
        self.raise_walls().await?;
        let mut bits = [0; 10];
        getrandom::fill(&mut bits).map_err(|error| RuntimeError::Refused(error.to_string()))?;
        let own = SessionId::from_bytes(bits);
        let _turn = self.turns.take(&own).await;
        network::make(&self.engine, installation, &own).await?;
        let begun = self.begin_fetch(&own, url, &image.id).await;
        if begun.is_err() {
            network::remove(&self.engine, installation, &own).await?;
        }
        Ok((begun?, own))
    }

    async fn begin_fetch(
        &self,
        own: &SessionId,
        url: &CloneUrl,
        image: &str,
    ) -> Result<Keeping, RuntimeError> {
        let installation = &self.settings.installation;
        let mut body = data::chore(installation, image, &[], Vec::new());
        if let Some(host) = &mut body.host_config {
            host.network_mode = Some(super::super::containers::network_name(own));
            let scratch = format!("size={MOST_CLONE},mode=1777,nosuid,nodev");
            host.tmpfs = Some(HashMap::from([("/tmp".to_owned(), scratch)]));
            host.memory = Some(MEMORY);
            host.memory_swap = Some(MEMORY);
            host.pids_limit = Some(PIDS);
            let none = HostConfigLogConfig { typ: Some("none".into()), config: None };
            host.log_config = Some(none);
        }
        let words = ["--scratch", "/tmp", "--fetch", url.as_str()];
        let body = ContainerCreateBody {
            user: Some(USER.into()),
            entrypoint: Some(vec!["/usr/bin/lattice-keeper".into()]),
            cmd: Some(words.map(str::to_owned).to_vec()),
            network_disabled: Some(false),
            ..body
        };
        self.set_to_work(&format!("lattice-{installation}-fetch-{own}"), body).await
    }

    /// Ends it, and takes its network away.
    pub(in crate::broker) async fn end_fetch(&self, container: &str, own: &SessionId) {
        self.end_keeper(container).await;
        let removed = network::remove(&self.engine, &self.settings.installation, own).await;
        if let Err(error) = removed {
            tracing::warn!(%error, "the network of a clone could not be removed yet");
        }
    }
}
