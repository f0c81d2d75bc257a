//! Where people's files are: a home, Data, and homes of apps for each, which outlive every desktop.

use super::containers::{INSTALLATION, OWNER, ROLE, Source};
use super::engine::Engine;
use super::host::HostPaths;
use crate::runtime::RuntimeError;
use crate::runtime::process::home;
use bollard::models::{
    ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions, VolumeCreateRequest,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What keeps them.
#[derive(Debug)]
pub(super) enum Keeper {
    /// Plain directories below this one.
    Directory(PathBuf),
    /// Volumes of the engine's, by a driver of it.
    Volume(Volumes),
}

/// Volumes that one driver makes.
#[derive(Debug)]
pub(super) struct Volumes {
    pub(super) driver: String,
    pub(super) options: BTreeMap<String, String>,
    pub(super) installation: String,
    /// Those that were given to their owner by this process.
    pub(super) ready: Mutex<BTreeSet<String>>,
}

/// One person's.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) home: Source,
    pub(super) data: Source,
}

/// Whose they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) owner: i64,
    pub(super) uid: u32,
}

impl Keeper {
    /// Makes what is missing.
    pub(super) async fn prepare(
        &self,
        person: Person,
        engine: &Engine,
        paths: &HostPaths,
    ) -> Result<Kept, RuntimeError> {
        match self {
            Self::Directory(base) => {
                let (home, data) = home::prepare(base, person.owner, Some(person.uid))?;
                let source = |path| paths.host(path).map(Source::Directory);
                Ok(Kept { home: source(&home)?, data: source(&data)? })
            }
            Self::Volume(volumes) => Ok(Kept {
                home: volumes.prepare(person, "home", engine).await?,
                data: volumes.prepare(person, "data", engine).await?,
            }),
        }
    }

    /// Moves the home away, and those of apps, so that the next start makes new ones. What was moved
    /// away last is kept.
    pub(super) async fn reset(&self, person: Person, engine: &Engine) -> Result<(), RuntimeError> {
        match self {
            Self::Directory(base) => home::set_aside(base, person.owner),
            Self::Volume(volumes) => volumes.reset(person, engine).await,
        }
    }

    /// The same for the home of one app.
    pub(super) async fn prepare_app(
        &self,
        person: Person,
        app: &str,
        engine: &Engine,
        paths: &HostPaths,
    ) -> Result<Source, RuntimeError> {
        match self {
            Self::Directory(base) => {
                let home = home::prepare_app(base, person.owner, app, Some(person.uid))?;
                Ok(Source::Directory(paths.host(&home)?))
            }
            Self::Volume(volumes) => volumes.prepare(person, &format!("app.{app}"), engine).await,
        }
    }
}

impl Volumes {
    async fn prepare(
        &self,
        person: Person,
        what: &str,
        engine: &Engine,
    ) -> Result<Source, RuntimeError> {
        let name = format!("lattice-{}-{}-{what}", self.installation, person.owner);
        if self.ready.lock().unwrap_or_else(PoisonError::into_inner).contains(&name) {
            return Ok(Source::Volume(name));
        }
        let labels = [(INSTALLATION, self.installation.clone()), (OWNER, person.owner.to_string())];
        let labels = labels.map(|(name, value)| (name.to_owned(), value));
        let options = self.options.clone().into_iter();
        engine
            .make_volume(VolumeCreateRequest {
                name: Some(name.clone()),
                driver: Some(self.driver.clone()),
                driver_opts: Some(options.collect()),
                labels: Some(HashMap::from(labels)),
                ..VolumeCreateRequest::default()
            })
            .await?;
        let give = "chown \"$1:$1\" /kept && chmod 700 /kept && \
                    { [ -d /kept/Data ] || { rm -f /kept/Data; mkdir -m 700 /kept/Data; }; } && \
                    chown -h \"$1:$1\" /kept/Data";
        engine.run_once(&format!("{name}-prepare"), self.chore(&name, give, person)).await?;
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        Ok(Source::Volume(name))
    }

    async fn reset(&self, person: Person, engine: &Engine) -> Result<(), RuntimeError> {
        let name = format!("lattice-{}-{}-home", self.installation, person.owner);
        let aside = "cd /kept && rm -rf .before-reset && mkdir .before-reset && \
                     find . -mindepth 1 -maxdepth 1 ! -name Data ! -name .before-reset \
                     -exec mv -t .before-reset {} +";
        engine.run_once(&format!("{name}-reset"), self.chore(&name, aside, person)).await
    }

    /// A container that does something in a volume: only through the engine are volumes of every driver
    /// reached. It sees that volume alone.
    fn chore(&self, volume: &str, script: &str, person: Person) -> ContainerCreateBody {
        let words = ["sh", "-ec", script, "sh", &person.uid.to_string()].map(str::to_owned);
        let labels = [
            (INSTALLATION.to_owned(), self.installation.clone()),
            (ROLE.to_owned(), "prepare".to_owned()),
        ];
        ContainerCreateBody {
            image: Some("lattice/base".into()),
            user: Some("0:0".into()),
            cmd: Some(words.to_vec()),
            labels: Some(HashMap::from(labels)),
            host_config: Some(HostConfig {
                cap_drop: Some(vec!["ALL".into()]),
                cap_add: Some(["CHOWN", "DAC_OVERRIDE", "FOWNER"].map(str::to_owned).to_vec()),
                security_opt: Some(vec!["no-new-privileges".into()]),
                readonly_rootfs: Some(true),
                network_mode: Some("none".into()),
                memory: Some(64 << 20),
                pids_limit: Some(16),
                mounts: Some(vec![Mount {
                    typ: Some(MountType::VOLUME),
                    source: Some(volume.to_owned()),
                    target: Some("/kept".into()),
                    volume_options: Some(MountVolumeOptions {
                        no_copy: Some(true),
                        ..MountVolumeOptions::default()
                    }),
                    ..Mount::default()
                }]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }
}
