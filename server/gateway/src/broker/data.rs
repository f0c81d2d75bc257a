//! Where people's files are: a home, Data, and homes of apps for each, which outlive every desktop.

mod btrfs;
pub(super) mod qgroups;
mod volumes;

pub(super) use btrfs::{Btrfs, IMAGE as QUOTA_IMAGE};
pub(super) use volumes::Volumes;

use super::containers::{INSTALLATION, ROLE, Source};
use super::engine::Engine;
use super::host::HostPaths;
use super::protocol::Stored;
use crate::runtime::RuntimeError;
use crate::runtime::process::home;
use crate::runtime::process::place::private_dir;
use crate::runtime::process::walk;
pub(super) use crate::runtime::process::walk::Quotas;
use bollard::models::{ContainerCreateBody, HostConfig, Mount};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often numbers are read that the file system keeps anyway, and it is seen who is new.
pub(super) const READ_EVERY: Duration = Duration::from_secs(10);

/// What keeps them.
#[derive(Debug)]
pub(super) enum Keeper {
    /// Plain directories.
    Directory(Directories),
    /// Subvolumes of btrfs, which are bounded.
    Btrfs(Btrfs),
    /// Volumes of the engine's, by a driver of it.
    Volume(Volumes),
}

/// Plain directories below one.
#[derive(Debug)]
pub(super) struct Directories {
    pub(super) base: PathBuf,
    pub(super) quotas: Quotas,
}

/// One person's.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) home: Source,
    pub(super) data: Source,
    /// Whether they are bounded by subvolumes, of which programs are to make none of their own.
    pub(super) in_subvolumes: bool,
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
            Self::Directory(Directories { base, .. }) => in_directories(base, person, paths, false),
            Self::Btrfs(btrfs) => {
                btrfs.prepare(person, engine, paths).await?;
                in_directories(&btrfs.base, person, paths, true)
            }
            Self::Volume(volumes) => Ok(Kept {
                home: volumes.prepare(person, "home", engine).await?,
                data: volumes.prepare(person, "data", engine).await?,
                in_subvolumes: false,
            }),
        }
    }

    /// Moves the home away, and those of apps, so that the next start makes new ones. What was moved
    /// away last is kept.
    pub(super) async fn reset(&self, person: Person, engine: &Engine) -> Result<(), RuntimeError> {
        match self {
            // Subvolumes are renamed as directories are, and removed as such once they are empty.
            Self::Directory(Directories { base, .. }) | Self::Btrfs(Btrfs { base, .. }) => {
                home::set_aside(base, person.owner)
            }
            Self::Volume(volumes) => volumes.reset(person, engine).await,
        }
    }

    /// Where snapshots of their Data are, which no container has but their keeper.
    pub(super) async fn prepare_store(
        &self,
        person: Person,
        engine: &Engine,
        paths: &HostPaths,
    ) -> Result<Source, RuntimeError> {
        match self {
            Self::Directory(Directories { base, .. }) | Self::Btrfs(Btrfs { base, .. }) => {
                let store = base.join("snapshots").join(person.owner.to_string());
                let failed = RuntimeError::step("make the directory for snapshots", &store);
                private_dir(&store).map_err(failed)?;
                Ok(Source::Directory(paths.host(&store)?))
            }
            Self::Volume(volumes) => volumes.prepare(person, "snapshots", engine).await,
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
            Self::Directory(Directories { base, .. }) | Self::Btrfs(Btrfs { base, .. }) => {
                let home = home::prepare_app(base, person.owner, app, Some(person.uid))?;
                Ok(Source::Directory(paths.host(&home)?))
            }
            Self::Volume(volumes) => volumes.prepare(person, &format!("app.{app}"), engine).await,
        }
    }

    /// What somebody keeps; nothing where that is not known. It may take minutes where every file is to
    /// be looked at, which is only done where it `may_look`.
    pub(super) async fn measure(
        &self,
        owner: i64,
        engine: &Engine,
        may_look: bool,
    ) -> Option<Stored> {
        match self {
            Self::Btrfs(btrfs) => match btrfs.measure(owner) {
                Some(stored) => Some(stored),
                // What is in a plain directory is not counted by the file system.
                None if may_look => walk::measure(&btrfs.base, owner, btrfs.quotas).await,
                None => None,
            },
            Self::Directory(_) | Self::Volume(_) if !may_look => None,
            Self::Directory(Directories { base, quotas }) => {
                walk::measure(base, owner, *quotas).await
            }
            Self::Volume(volumes) => volumes.measure(owner, engine).await,
        }
    }

    /// Everybody whose files are near enough to be looked at, also if no desktop of theirs runs.
    pub(super) fn owners(&self) -> BTreeSet<i64> {
        match self {
            Self::Directory(Directories { base, .. }) | Self::Btrfs(Btrfs { base, .. }) => {
                let entries = std::fs::read_dir(base.join("homes")).into_iter().flatten().flatten();
                entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
            }
            Self::Volume(_) => BTreeSet::new(),
        }
    }
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(_) => f.write_str("plain directories"),
            Self::Btrfs(_) => f.write_str("btrfs subvolumes"),
            Self::Volume(volumes) => write!(f, "volumes by the driver {}", volumes.driver),
        }
    }
}

fn in_directories(
    base: &Path,
    person: Person,
    paths: &HostPaths,
    in_subvolumes: bool,
) -> Result<Kept, RuntimeError> {
    let (home, data) = home::prepare(base, person.owner, Some(person.uid))?;
    let source = |path| paths.host(path).map(Source::Directory);
    Ok(Kept { home: source(&home)?, data: source(&data)?, in_subvolumes })
}

/// A container that does something with people's files, and ends. It sees these and nothing else.
pub(super) fn chore(
    installation: &str,
    image: &str,
    rights: &[&str],
    mounts: Vec<Mount>,
) -> ContainerCreateBody {
    let labels = [(INSTALLATION, installation), (ROLE, "prepare")];
    ContainerCreateBody {
        image: Some(image.into()),
        user: Some("0:0".into()),
        labels: Some(HashMap::from(labels.map(|(name, value)| (name.into(), value.into())))),
        host_config: Some(HostConfig {
            cap_drop: Some(vec!["ALL".into()]),
            cap_add: Some(rights.iter().map(|right| (*right).to_owned()).collect()),
            security_opt: Some(vec!["no-new-privileges".into()]),
            readonly_rootfs: Some(true),
            network_mode: Some("none".into()),
            memory: Some(64 << 20),
            pids_limit: Some(16),
            mounts: Some(mounts),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}
