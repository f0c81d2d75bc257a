//! Paths as the engine names them. A broker that is in a container itself sees its directories
//! elsewhere than the engine does, which mounts them by their paths on its own machine.

use super::engine::Engine;
use crate::runtime::RuntimeError;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a container's directories are on the engine's machine.
#[derive(Debug, Clone, Default)]
pub(super) struct HostPaths(Option<Vec<(PathBuf, PathBuf)>>);

impl HostPaths {
    /// Those of this process. In a container that the engine does not know it is on the same machine as
    /// that, which is in the container with it.
    pub(super) async fn find(engine: &Engine) -> Result<Self, RuntimeError> {
        let Some(own) = own_container() else { return Ok(Self::default()) };
        let Some(found) = engine.known(&own).await? else { return Ok(Self::default()) };
        let pair = |mount: bollard::models::MountPoint| {
            Some((PathBuf::from(mount.destination?), PathBuf::from(mount.source?)))
        };
        Ok(Self(Some(found.mounts.unwrap_or_default().into_iter().filter_map(pair).collect())))
    }

    /// # Errors
    /// Where the engine cannot reach the path.
    pub(super) fn host(&self, path: &Path) -> Result<PathBuf, RuntimeError> {
        let Some(mounts) = &self.0 else { return Ok(path.to_owned()) };
        let below = |(inside, outside): &(PathBuf, PathBuf)| {
            let rest = path.strip_prefix(inside).ok()?;
            Some((inside.components().count(), outside.join(rest)))
        };
        let found = mounts.iter().filter_map(below).max_by_key(|(depth, _)| *depth);
        found.map(|(_, path)| path).ok_or_else(|| RuntimeError::Unusable {
            what: format!("{} is on no volume", path.display()),
            remedy: "mount a volume there, so that desktops reach it".into(),
        })
    }
}

/// This container's id, which the engine has in the paths of the files that it mounts over those of
/// `/etc`; nothing outside of containers.
pub(super) fn own_container() -> Option<String> {
    if !Path::new("/.dockerenv").exists() {
        return None;
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    id_in(&mounts)
}

fn id_in(mounts: &str) -> Option<String> {
    let is_id = |part: &&str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let etc = mounts
        .lines()
        .filter(|line| line.contains(" /etc/hosts ") || line.contains(" /etc/hostname "));
    etc.flat_map(|line| line.split(['/', ' '])).find(is_id).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_leads_to_a_path() {
        let paths = HostPaths(Some(vec![
            ("/var/lib/lattice".into(), "/var/lib/docker/volumes/a/_data".into()),
            ("/var/lib/lattice/run".into(), "/run/lattice".into()),
        ]));
        let host = |path: &str| paths.host(Path::new(path)).map(|p| p.display().to_string());
        assert_eq!(host("/var/lib/lattice/run/x").expect("there"), "/run/lattice/x");
        let homes = host("/var/lib/lattice/homes/1").expect("there");
        assert_eq!(homes, "/var/lib/docker/volumes/a/_data/homes/1");
        assert!(host("/var/lib/lattices").is_err());
        assert!(host("/tmp").expect_err("on no volume").to_string().contains("/tmp"));
        let anywhere = HostPaths::default().host(Path::new("/tmp/x")).expect("as it is");
        assert_eq!(anywhere, Path::new("/tmp/x"));
    }

    #[test]
    fn a_container_knows_its_id() {
        let id = "3f".repeat(32);
        let line = |file: &str| {
            format!(
                "612 600 254:1 /var/lib/docker/containers/{id}/{file} /etc/{file} rw,relatime - ext4 /dev/vda rw"
            )
        };
        assert_eq!(id_in(&line("hosts")), Some(id.clone()));
        assert_eq!(
            id_in(&format!("1 2 3:4 / / rw - overlay overlay rw\n{}", line("hostname"))),
            Some(id)
        );
        assert_eq!(id_in("612 600 254:1 / /etc rw - ext4 /dev/vda rw"), None);
    }
}
