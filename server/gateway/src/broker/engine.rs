//! The container engine: the few things that the broker asks of it, and what its errors mean.

mod images;

use super::containers::BROKER;
use crate::logs::Window;
use crate::runtime::RuntimeError;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerSummary, EventMessage, Network,
    NetworkCreateRequest, SystemInfo, Volume, VolumeCreateRequest,
};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, EventsOptionsBuilder,
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    LogsOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder, StatsOptionsBuilder,
    StopContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::{Stream, StreamExt as _};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The oldest API that has all that is used: Docker 20.10, which is Debian 12's.
const LEAST_API: (usize, usize) = (1, 41);
/// How long the engine may take for one answer, in seconds. Ending a container takes as long as it may
/// take to end, at most a minute.
const PATIENCE: u64 = 90;

/// A connection to the engine, made when it is first needed, and anew when the engine was away.
#[derive(Debug)]
pub(super) struct Engine {
    socket: PathBuf,
    docker: Mutex<Option<Docker>>,
    /// This process among all that ever used the engine.
    process: String,
}

/// What a container takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    /// In bytes.
    pub(super) memory: u64,
    /// Of all processors together, since it was made.
    pub(super) cpu: Duration,
}

impl Taken {
    /// What both take.
    pub(super) fn and(self, other: Self) -> Self {
        Self { memory: self.memory + other.memory, cpu: self.cpu + other.cpu }
    }
}

impl Engine {
    pub(super) fn new(socket: PathBuf) -> Self {
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let process = format!("{:x}-{}", since_1970.as_nanos(), std::process::id());
        Self { socket, docker: Mutex::default(), process }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The connection, speaking the newest API that both ends know.
    async fn docker(&self) -> Result<Docker, RuntimeError> {
        let known = self.docker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(docker) = known {
            return Ok(docker);
        }
        let path = self.socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&path, PATIENCE, API_DEFAULT_VERSION);
        let docker = docker.map_err(|error| self.explain(error))?;
        let docker = docker.negotiate_version().await.map_err(|error| self.explain(error))?;
        let version = docker.client_version();
        let spoken = (version.major_version, version.minor_version);
        if spoken < LEAST_API {
            return Err(RuntimeError::Unusable {
                what: format!("the engine at {path} speaks only API {version}"),
                remedy: format!(
                    "Lattice needs {}.{}, which is Docker 20.10; install a newer engine",
                    LEAST_API.0, LEAST_API.1
                ),
            });
        }
        *self.docker.lock().unwrap_or_else(PoisonError::into_inner) = Some(docker.clone());
        Ok(docker)
    }

    /// Its version, and that of the API that is spoken.
    pub(super) async fn version(&self) -> Result<(String, String), RuntimeError> {
        let docker = self.docker().await?;
        let version = docker.version().await.map_err(|error| self.explain(error))?;
        Ok((version.version.unwrap_or_default(), docker.client_version().to_string()))
    }

    /// What it says of itself.
    pub(super) async fn info(&self) -> Result<SystemInfo, RuntimeError> {
        self.docker().await?.info().await.map_err(|error| self.explain(error))
    }

    /// The bridge of containers with a network that is not their own, where there is one.
    pub(super) async fn bridge(&self) -> Result<Option<String>, RuntimeError> {
        match self.docker().await?.inspect_network("bridge", None).await {
            Ok(found) => {
                let mut options = found.options.unwrap_or_default();
                Ok(options.remove("com.docker.network.bridge.name"))
            }
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Makes a container; which.
    pub(super) async fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<String, RuntimeError> {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        match self.docker().await?.create_container(Some(options), body).await {
            Ok(made) => Ok(made.id),
            Err(Error::DockerResponseServerError { status_code: 409, .. }) => {
                Err(RuntimeError::Unusable {
                    what: format!("a container that is not Lattice's has the name {name}"),
                    remedy: format!("rename it, or remove it by: docker rm {name}"),
                })
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Makes a container that does one thing and ends, for as long as this process is there to see it.
    pub(super) async fn create_chore(
        &self,
        name: &str,
        mut body: ContainerCreateBody,
    ) -> Result<String, RuntimeError> {
        body.labels.get_or_insert_default().insert(BROKER.into(), self.process.clone());
        self.create(name, body).await
    }

    /// Removes chores that an earlier process was killed over, among the containers with this label: it
    /// had made them and not started, or they have ended since. Those at work are let end their work.
    pub(super) async fn sweep_chores(&self, label: String) -> Result<(), RuntimeError> {
        for chore in self.list(vec![label, BROKER.into()]).await? {
            let labels = chore.labels.unwrap_or_default();
            let is_own = labels.get(BROKER).is_none_or(|of| *of == self.process);
            let Some(id) = chore.id.filter(|_| !is_own) else { continue };
            // The list lags behind: what has just been started is in it as if it had not.
            let state = self.known(&id).await?.and_then(|known| known.state);
            if !state.and_then(|state| state.running).unwrap_or(false) {
                self.remove(&id).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn start(&self, container: &str) -> Result<(), RuntimeError> {
        let docker = self.docker().await?;
        docker.start_container(container, None).await.map_err(|error| self.explain(error))
    }

    /// Makes a volume; one that is there with the same driver is taken.
    pub(super) async fn make_volume(
        &self,
        volume: VolumeCreateRequest,
    ) -> Result<(), RuntimeError> {
        let made = self.docker().await?.create_volume(volume).await;
        made.map(drop).map_err(|error| self.explain(error))
    }

    /// The names of volumes with these labels.
    pub(super) async fn volumes(&self, labels: Vec<String>) -> Result<Vec<String>, RuntimeError> {
        let found = self.find_volumes(labels).await?;
        Ok(found.into_iter().map(|volume| volume.name).collect())
    }

    async fn find_volumes(&self, labels: Vec<String>) -> Result<Vec<Volume>, RuntimeError> {
        let filters = HashMap::from([("label".to_owned(), labels)]);
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let found = self.docker().await?.list_volumes(Some(options)).await;
        Ok(found.map_err(|error| self.explain(error))?.volumes.unwrap_or_default())
    }

    /// What volumes with these labels are labelled with.
    pub(super) async fn labels_of_volumes(
        &self,
        labels: Vec<String>,
    ) -> Result<Vec<HashMap<String, String>>, RuntimeError> {
        let found = self.find_volumes(labels).await?;
        Ok(found.into_iter().map(|volume| volume.labels).collect())
    }

    /// Runs a container to its end, and removes it; what it printed.
    pub(super) async fn run_and_read(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<String, RuntimeError> {
        self.remove(name).await?;
        let container = self.create_chore(name, body).await?;
        let ran = self.run_to_end(&container).await;
        let printed = LogsOptionsBuilder::default().stdout(true);
        let lines = self.lines(&container, printed.build()).await.concat();
        self.remove(&container).await?;
        ran.map(|()| lines)
    }

    /// Runs a container to its end, and removes it.
    pub(super) async fn run_once(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<(), RuntimeError> {
        // An earlier broker may have been killed over it.
        self.remove(name).await?;
        let container = self.create_chore(name, body).await?;
        let ran = self.run_to_end(&container).await;
        self.remove(&container).await?;
        ran
    }

    async fn run_to_end(&self, container: &str) -> Result<(), RuntimeError> {
        let docker = self.docker().await?;
        let mut end = std::pin::pin!(docker.wait_container(container, None));
        self.start(container).await?;
        match end.next().await {
            Some(Ok(_)) | None => Ok(()),
            Some(Err(Error::DockerContainerWaitError { code, .. })) => {
                let said = self.said(container).await;
                let what =
                    if said.is_empty() { format!("it ended with status {code}") } else { said };
                Err(RuntimeError::Refused(what))
            }
            Some(Err(error)) => Err(self.explain(error)),
        }
    }

    /// The last of what a container complained about, on one line.
    async fn said(&self, container: &str) -> String {
        let options = LogsOptionsBuilder::default().stderr(true).tail("3").build();
        let lines = self.lines(container, options).await;
        let lines: Vec<_> = lines.iter().map(|line| line.trim()).collect();
        lines.join("; ")
    }

    async fn lines(&self, container: &str, options: LogsOptions) -> Vec<String> {
        let Ok(docker) = self.docker().await else { return Vec::new() };
        let lines = docker.logs(container, Some(options)).filter_map(|line| async { line.ok() });
        lines.map(|line| line.to_string()).collect().await
    }

    /// Networks with these labels: their ids and labels.
    pub(super) async fn networks(
        &self,
        labels: Vec<String>,
    ) -> Result<Vec<(String, HashMap<String, String>)>, RuntimeError> {
        let filters = HashMap::from([("label".to_owned(), labels)]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let found = self.docker().await?.list_networks(Some(options)).await;
        let found = found.map_err(|error| self.explain(error))?.into_iter();
        let pair = |network: Network| Some((network.id?, network.labels.unwrap_or_default()));
        Ok(found.filter_map(pair).collect())
    }

    /// Makes a network, or takes the one of that name; not where its range is in use.
    pub(super) async fn make_network(
        &self,
        network: NetworkCreateRequest,
    ) -> Result<bool, RuntimeError> {
        match self.docker().await?.create_network(network).await {
            Ok(_) | Err(Error::DockerResponseServerError { status_code: 409, .. }) => Ok(true),
            Err(Error::DockerResponseServerError { message, .. })
                if message.to_lowercase().contains("overlap") =>
            {
                Ok(false)
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Removes a network. One that is not there is fine.
    pub(super) async fn remove_network(&self, network: &str) -> Result<(), RuntimeError> {
        self.gone(self.docker().await?.remove_network(network).await)
    }

    /// Asks it to end, and kills it where it takes longer. One that is not there has ended.
    pub(super) async fn stop(&self, container: &str, grace: Duration) -> Result<(), RuntimeError> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        self.gone(self.docker().await?.stop_container(container, Some(options)).await)
    }

    /// Kills it and removes it with its own volumes. One that is not there is fine.
    pub(super) async fn remove(&self, container: &str) -> Result<(), RuntimeError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        self.gone(self.docker().await?.remove_container(container, Some(options)).await)
    }

    pub(super) async fn pause(&self, container: &str) -> Result<(), RuntimeError> {
        let docker = self.docker().await?;
        docker.pause_container(container).await.map_err(|error| self.explain(error))
    }

    pub(super) async fn resume(&self, container: &str) -> Result<(), RuntimeError> {
        let docker = self.docker().await?;
        docker.unpause_container(container).await.map_err(|error| self.explain(error))
    }

    /// All containers with these labels, also those that have ended.
    pub(super) async fn list(
        &self,
        labels: Vec<String>,
    ) -> Result<Vec<ContainerSummary>, RuntimeError> {
        let mut filters = HashMap::new();
        if !labels.is_empty() {
            filters.insert("label".to_owned(), labels);
        }
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let docker = self.docker().await?;
        docker.list_containers(Some(options)).await.map_err(|error| self.explain(error))
    }

    /// What a container takes: memory without what the kernel would give up at once, as the engine's
    /// own command counts it.
    pub(super) async fn taken(&self, container: &str) -> Option<Taken> {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let docker = self.docker().await.ok()?;
        let mut stats = std::pin::pin!(docker.stats(container, Some(options)));
        let stats = stats.next().await?.ok()?;
        let cpu = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage).unwrap_or(0);
        let memory = stats.memory_stats?;
        let kept = memory.stats.unwrap_or_default();
        // The first by version 1 of control groups, the second by version 2.
        let spare = kept.get("total_inactive_file").or_else(|| kept.get("inactive_file"));
        let memory = memory.usage?.saturating_sub(spare.copied().unwrap_or(0));
        Some(Taken { memory, cpu: Duration::from_nanos(cpu) })
    }

    /// What a container will say, which is yet to be started.
    pub(super) async fn attach(
        &self,
        container: &str,
    ) -> Result<AttachContainerResults, RuntimeError> {
        let options = AttachContainerOptionsBuilder::default()
            .stream(true)
            .stdin(true)
            .stdout(true)
            .stderr(true);
        let docker = self.docker().await?;
        let attached = docker.attach_container(container, Some(options.build())).await;
        attached.map_err(|error| self.explain(error))
    }

    /// What it knows of a container; nothing where there is none.
    pub(super) async fn known(
        &self,
        container: &str,
    ) -> Result<Option<ContainerInspectResponse>, RuntimeError> {
        match self.docker().await?.inspect_container(container, None).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// What a container says, from then on, and as long as it runs.
    pub(super) async fn log(
        &self,
        container: &str,
        since: SystemTime,
    ) -> Result<impl Stream<Item = Result<LogOutput, Error>> + use<>, RuntimeError> {
        let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let since = i32::try_from(since).unwrap_or(i32::MAX);
        let options = LogsOptionsBuilder::default().follow(true).stdout(true).stderr(true);
        let docker = self.docker().await?;
        Ok(docker.logs(container, Some(options.since(since).build())))
    }

    /// The newest of what a container has said, and what it says from then on where that is wanted: each
    /// line with its time.
    pub(super) async fn say(
        &self,
        container: &str,
        window: Window,
    ) -> Result<impl Stream<Item = Result<LogOutput, Error>> + use<>, RuntimeError> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true);
        let options = options.follow(window.follow).tail(&window.tail.to_string());
        Ok(self.docker().await?.logs(container, Some(options.build())))
    }

    /// Whether its memory's limit ended a container.
    pub(super) async fn ran_out_of_memory(&self, container: &str) -> bool {
        let Ok(docker) = self.docker().await else { return false };
        let found = docker.inspect_container(container, None).await.ok();
        found.and_then(|found| found.state?.oom_killed).unwrap_or(false)
    }

    /// What happens to containers with this label, until the engine goes away.
    pub(super) async fn events(
        &self,
        label: String,
    ) -> Result<impl Stream<Item = EventMessage> + use<>, RuntimeError> {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("label".to_owned(), vec![label]),
        ]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let docker = self.docker().await?;
        // What cannot be read ends it, as the engine's end does.
        let events = docker.events(Some(options)).take_while(|event| {
            let is_good = event.is_ok();
            async move { is_good }
        });
        Ok(events.filter_map(|event| async { event.ok() }))
    }

    fn gone(&self, result: Result<(), Error>) -> Result<(), RuntimeError> {
        match result {
            // 304: it had ended. 404: it is not there. 409: it is being removed.
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 304 | 404 | 409, .. }) => {
                Ok(())
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    /// What an error means to whoever looks after this machine.
    pub(super) fn explain(&self, error: Error) -> RuntimeError {
        let socket = self.socket.display();
        match error {
            Error::DockerResponseServerError { message, .. } => explain_message(&message),
            Error::IOError { .. }
            | Error::HyperResponseError { .. }
            | Error::HyperLegacyError { .. }
            | Error::SocketNotFoundError(_)
            | Error::RequestTimeoutError => {
                // Whoever answers next may be another version.
                self.docker.lock().unwrap_or_else(PoisonError::into_inner).take();
                RuntimeError::Unusable {
                    what: format!("the container engine does not answer at {socket}"),
                    remedy: "start it (systemctl start docker), or name its socket with --engine"
                        .into(),
                }
            }
            other => RuntimeError::Refused(format!("the container engine at {socket}: {other}")),
        }
    }
}

fn explain_message(message: &str) -> RuntimeError {
    let lower = message.to_lowercase();
    let remedy = match () {
        () if lower.contains("no space left") => {
            "the disk is full; make room, by docker image prune for one"
        }
        () if lower.contains("permission denied") => {
            "whoever runs the broker must be allowed to use the engine"
        }
        () if lower.contains("no such image") => "build the images by: make images",
        () => return RuntimeError::Refused(format!("the container engine refused: {message}")),
    };
    RuntimeError::Unusable {
        what: format!("the container engine refused: {}", message.trim_end_matches('.')),
        remedy: remedy.into(),
    }
}
