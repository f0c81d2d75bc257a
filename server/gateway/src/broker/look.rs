//! What `lattice doctor` asks the engine. Nothing is changed by it.

use super::containers::Core;
use super::data::QUOTA_IMAGE;
use super::data::qgroups::{self, Counting};
use super::engine::Engine;
use super::protocol::Storage;
use crate::runtime::RuntimeError;
use std::path::{Path, PathBuf};

/// How an engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Its version, and that of the API that is spoken with it.
    pub version: String,
    /// See there.
    pub api: String,
    /// Images that every desktop needs and that are not there.
    pub missing: Vec<String>,
    /// Those that apps of templates are made from.
    pub missing_apps: Vec<String>,
    /// Where it keeps images and volumes.
    pub root: PathBuf,
    /// What it cannot limit.
    pub unlimited: Vec<&'static str>,
    /// What would keep people's files, where this is the engine's machine.
    pub storage: Option<Storage>,
    /// Whether it has a bridge for containers with a network, and packets go over it.
    pub has_network: bool,
}

/// Looks at the engine with this socket, which may be used by templates with apps of these images.
///
/// `data` is where people's files would be.
pub async fn look(socket: &Path, apps: &[String], data: &Path) -> Result<Look, RuntimeError> {
    let engine = Engine::new(socket.to_owned());
    let (version, api) = engine.version().await?;
    let mut missing = Vec::new();
    for core in Core::ALL {
        if engine.image(&core.image()).await?.is_none() {
            missing.push(core.image());
        }
    }
    let mut missing_apps = Vec::new();
    for image in apps {
        if engine.image(image).await?.is_none() {
            missing_apps.push(image.clone());
        }
    }
    let storage = storage(&engine, data).await?;
    let info = engine.info().await?;
    let limits = [
        ("memory", info.memory_limit),
        ("processes", info.pids_limit),
        ("processor time", info.cpu_cfs_quota),
    ];
    let unlimited = limits.into_iter().filter(|(_, can)| *can == Some(false));
    let forwards = info.ipv4_forwarding != Some(false);
    // The engine knows it by name also when somebody has removed it.
    let bridge = engine.bridge().await?;
    let has_bridge = bridge.is_some_and(|name| Path::new("/sys/class/net").join(name).exists());
    Ok(Look {
        version,
        api,
        missing,
        missing_apps,
        root: info.docker_root_dir.unwrap_or_default().into(),
        unlimited: unlimited.map(|(what, _)| what).collect(),
        storage: Some(storage),
        has_network: forwards && has_bridge,
    })
}

/// What a broker that is started here would keep people's files in: it is told by the environment.
async fn storage(engine: &Engine, data: &Path) -> Result<Storage, RuntimeError> {
    let told = |name: &str| std::env::var(format!("LATTICE_BROKER__{name}")).ok();
    if let Some(driver) = told("VOLUME_DRIVER") {
        let keeper = format!("volumes by the driver {driver}");
        return Ok(Storage { keeper, is_enforced: false, obstacle: None });
    }
    // What is yet to be made will be on what is there.
    let existing = data.ancestors().find(|path| path.exists()).unwrap_or(data);
    if told("STORAGE").as_deref() == Some("directory") || !qgroups::is_btrfs(existing) {
        let keeper = "plain directories".to_owned();
        return Ok(Storage { keeper, is_enforced: false, obstacle: None });
    }
    let has_image = engine.image(QUOTA_IMAGE).await?.is_some();
    let obstacle = match (qgroups::counting(existing), has_image) {
        (_, false) => Some(format!("the image {QUOTA_IMAGE} is not there; make images")),
        (Counting::Lost, true) => Some(format!(
            "the file system has lost count; btrfs quota rescan {}",
            existing.display()
        )),
        (Counting::Off | Counting::On, true) => None,
    };
    let is_enforced = obstacle.is_none();
    Ok(Storage { keeper: "btrfs subvolumes".into(), is_enforced, obstacle })
}
