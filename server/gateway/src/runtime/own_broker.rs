//! A broker that this process starts, keeps up, and takes down with itself: where nobody else runs one.

use super::RuntimeError;
use crate::broker::SOCKET;
use crate::supervise::sandbox;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// The pause before one that ended is started again.
const PAUSE: Duration = Duration::from_millis(300);
/// How long one may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// How it is started.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// The program that is a broker when it is called `PROGRAM broker`.
    pub program: PathBuf,
    /// Where sessions have their directories.
    pub run: PathBuf,
    /// Where homes and Data are.
    pub data: PathBuf,
    /// Where templates are.
    pub templates: PathBuf,
    /// Where the engine listens.
    pub engine: PathBuf,
    /// Where catalogues of apps are.
    pub catalogues: PathBuf,
    /// Whose signatures under them count, as NAME=KEY.
    pub catalogue_keys: Vec<String>,
}

/// The broker, as long as this lives.
#[derive(Debug)]
pub struct OwnBroker {
    keeper: JoinHandle<()>,
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        // With it goes the pipe, at whose end the broker ends.
        self.keeper.abort();
    }
}

impl OwnBroker {
    /// Starts it and waits until it listens.
    pub async fn start(settings: BrokerSettings) -> Result<Self, RuntimeError> {
        let socket = settings.run.join(SOCKET);
        // One that is left over is no answer to whether this one listens.
        let _ = std::fs::remove_file(&socket);
        let first = spawn(&settings)?;
        let keeper = tokio::spawn(keep(settings, first));
        let own = Self { keeper };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if socket.exists() {
                return Ok(own);
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(RuntimeError::Unusable {
            what: "the broker did not come up".into(),
            remedy: "its lines above say why".into(),
        })
    }
}

async fn keep(settings: BrokerSettings, mut child: Child) {
    loop {
        // Waiting would close it, and that is the broker's sign to end.
        let _stdin = child.stdin.take();
        let status = child.wait().await;
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        tracing::warn!(status, "the broker ended and is started again");
        loop {
            sleep(PAUSE).await;
            match spawn(&settings) {
                Ok(again) => break child = again,
                Err(error) => tracing::warn!(%error, "the broker could not be started"),
            }
        }
    }
}

fn spawn(settings: &BrokerSettings) -> Result<Child, RuntimeError> {
    let BrokerSettings { program, run, data, templates, engine, catalogues, catalogue_keys } =
        settings;
    let inherited = sandbox::INHERITED.into_iter().chain(["LATTICE_LOG", "LATTICE_LOG_FORMAT"]);
    let inherited = inherited.filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
    let is_its_own = |(name, _): &(OsString, OsString)| {
        name.to_str().is_some_and(|name| name.starts_with("LATTICE_BROKER__"))
    };
    let own = std::env::vars_os().filter(is_its_own);
    let option = |name: &str, path: &Path| [name.into(), path.as_os_str().to_owned()];
    Command::new(program)
        .args(["broker", "--with-starter"])
        .args(option("--run-dir", run))
        .args(option("--data-dir", data))
        .args(option("--templates", templates))
        .args(option("--engine", engine))
        .args(option("--catalogues", catalogues))
        .args(catalogue_keys.iter().flat_map(|key| ["--catalogue-key", key]))
        .current_dir("/")
        .env_clear()
        .envs(inherited.chain(own))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        // Signals of the terminal are for the server, which needs the broker until its own end.
        .process_group(0)
        .spawn()
        .map_err(RuntimeError::step("start the broker", program))
}
