//! Snapshots: a keeper runs in a container that sees one person's Data and the directory of their
//! snapshots, which no desktop has, and nothing else. What may write to Data stands still when asked to.

use super::{Container, Desktops, Person, Settings, State, group, uid};
use crate::broker::data;
use crate::broker::engine::Engine;
use crate::runtime::RuntimeError;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfigLogConfig};
use futures_util::stream::BoxStream;
use lattice_wire::snapshots::Request;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWrite;
use tokio::time::sleep;

/// Files are their owner's, and so are those that are put back.
const RIGHTS: [&str; 4] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"];
/// A repository of very much takes some hundred bytes for each piece of a file.
const MEMORY: i64 = 1 << 30;
const PIDS: i64 = 128;
/// Whoever wanted it to stand still has been killed, or it is no use any more.
const FROZEN_AT_MOST: Duration = Duration::from_secs(90);

/// A keeper at work.
pub(in crate::broker) struct Keeping {
    pub(in crate::broker) container: String,
    /// What it says.
    pub(in crate::broker) output: BoxStream<'static, Result<LogOutput, Error>>,
    /// What it is told beside the request.
    pub(in crate::broker) input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Desktops {
    /// Starts a keeper. The engine removes it when it ends.
    pub(in crate::broker) async fn keep(
        &self,
        owner: i64,
        request: &Request,
    ) -> Result<Keeping, RuntimeError> {
        let Settings { keeper, paths, installation, .. } = &self.settings;
        let uid = uid(owner)?;
        let person = Person { owner, uid };
        if request.changes_data() {
            self.rota.note_change(owner);
        }
        let image = self.image(data::QUOTA_IMAGE.into()).await?;
        let kept = keeper.prepare(person, &self.engine, paths).await?;
        let store = keeper.prepare_store(person, &self.engine, paths).await?;
        let words = serde_json::to_string(request)
            .map_err(|error| RuntimeError::Refused(error.to_string()))?;
        let uid = uid.to_string();
        let words = ["--data", "/data", "--store", "/store", "--owner", &uid, "--request", &words];
        let mounts = vec![kept.data.mounted("/data"), store.mounted("/store")];
        let mut body = data::chore(installation, &image.id, &RIGHTS, mounts);
        if let Some(host) = &mut body.host_config {
            host.auto_remove = Some(true);
            host.memory = Some(MEMORY);
            host.pids_limit = Some(PIDS);
            // What people keep is not to be in the engine's log.
            let none = HostConfigLogConfig { typ: Some("none".into()), config: None };
            host.log_config = Some(none);
        }
        let is_told = matches!(request, Request::Import { .. });
        let body = ContainerCreateBody {
            open_stdin: Some(is_told),
            stdin_once: Some(is_told),
            entrypoint: Some(vec!["/usr/bin/lattice-keeper".into()]),
            cmd: Some(words.map(str::to_owned).to_vec()),
            ..body
        };
        let mut bits = [0; 8];
        getrandom::fill(&mut bits).map_err(|error| RuntimeError::Refused(error.to_string()))?;
        let name = format!("lattice-{installation}-keep-{owner}-{:016x}", u64::from_le_bytes(bits));
        self.set_to_work(&name, body).await
    }

    /// Starts a container that is heard, and told something perhaps.
    pub(super) async fn set_to_work(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<Keeping, RuntimeError> {
        let container = self.engine.create_chore(name, body).await?;
        let AttachContainerResults { output, input } = self.engine.attach(&container).await?;
        self.engine.start(&container).await?;
        Ok(Keeping { container, output, input })
    }

    /// Ends a keeper whose answer nobody wants any more.
    pub(in crate::broker) async fn end_keeper(&self, container: &str) {
        if let Err(error) = self.engine.remove(container).await {
            tracing::warn!(%error, "a keeper that is of no use any more could not be ended");
        }
    }

    /// Freezes the desktops of a person and their apps. Displays go on, and show the last picture.
    pub(in crate::broker) async fn hold_still(
        self: &Arc<Self>,
        owner: i64,
    ) -> Result<(), RuntimeError> {
        let begun = Instant::now();
        let all = group(self.engine.list(vec![self.label()]).await?);
        for (session, found) in all.into_iter().filter(|(_, found)| found.owner == owner) {
            let _turn = self.turns.take(&session).await;
            let desktop = found.core.get(&super::Core::Desktop);
            let runs = |container: &&Container| container.state == State::RUNNING;
            for container in found.apps.values().chain(desktop).filter(runs) {
                // Noted first, so that it is never told of as one that rests.
                self.frozen().insert((owner, container.id.clone()), begun);
                self.engine.pause(&container.id).await?;
            }
        }
        let own = self.clone();
        tokio::spawn(async move {
            sleep(FROZEN_AT_MOST).await;
            // Not what stands still again for a later one.
            if let Err(error) = own.let_go_on_since(owner, begun).await {
                tracing::warn!(owner, %error, "a desktop that stood still could not be let go on");
            }
        });
        Ok(())
    }

    /// Lets go on what [`Self::hold_still`] froze.
    pub(in crate::broker) async fn let_go_on(&self, owner: i64) -> Result<(), RuntimeError> {
        self.let_go_on_since(owner, Instant::now()).await
    }

    /// The same of what stands still since then at the latest.
    async fn let_go_on_since(&self, owner: i64, since: Instant) -> Result<(), RuntimeError> {
        let is_meant = |((of, _), at): &(&(i64, String), &Instant)| *of == owner && **at <= since;
        let own: Vec<_> =
            self.frozen().iter().filter(is_meant).map(|(frozen, _)| frozen.clone()).collect();
        let mut result = Ok(());
        for frozen in own {
            let thawed = resume(&self.engine, &frozen.1).await;
            self.frozen().remove(&frozen);
            result = result.and(thawed);
        }
        self.bump();
        result
    }

    /// Whether it stands still for a snapshot, and is not paused.
    pub(super) fn stands_still(&self, container: &Container) -> bool {
        self.frozen().keys().any(|(_, frozen)| *frozen == container.id)
    }

    fn frozen(&self) -> MutexGuard<'_, BTreeMap<(i64, String), Instant>> {
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that has ended meanwhile, or goes on already, needs none.
async fn resume(engine: &Engine, container: &str) -> Result<(), RuntimeError> {
    let is_paused = |found: bollard::models::ContainerInspectResponse| {
        found.state.and_then(|state| state.paused).unwrap_or(false)
    };
    match engine.known(container).await?.is_some_and(is_paused) {
        true => engine.resume(container).await,
        false => Ok(()),
    }
}
