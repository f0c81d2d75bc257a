//! Snapshots of what desktops of this machine keep: a keeper is started for each request, as root's or
//! this user's process, outside of every sandbox.

use super::place::private_dir;
use super::{Process, home, own_uid, probe};
use crate::runtime::{InstanceState, RuntimeError};
use crate::snapshots::keeper::{self, Kept, Upload};
use crate::supervise::sandbox;
use lattice_wire::imports::CloneUrl;
use lattice_wire::snapshots::Request;
use rustix::fs::statfs;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// What statfs(2) says of btrfs, see <linux/magic.h>.
const BTRFS: u64 = 0x9123_683E;
/// Whose process a clone is where it can be chosen: nobody's, who owns nothing.
const NOBODY: u32 = 65_534;

impl Process {
    pub(in crate::runtime) async fn keep(
        &self,
        owner: i64,
        request: &Request,
    ) -> Result<Kept, RuntimeError> {
        let (data, store, uid) = self.kept_of(owner).await?;
        if request.changes_data() {
            self.storage.note_change(owner);
        }
        keeper::run(&self.settings.keeper, &data, &store, uid, request).await
    }

    /// The same for a request that something follows.
    pub(in crate::runtime) async fn upload(
        &self,
        owner: i64,
        request: &Request,
    ) -> Result<Upload, RuntimeError> {
        let (data, store, uid) = self.kept_of(owner).await?;
        if request.changes_data() {
            self.storage.note_change(owner);
        }
        keeper::begin(&self.settings.keeper, &data, &store, uid, request).await
    }

    /// Clones a repository in a sandbox of its own.
    pub(in crate::runtime) async fn fetch(&self, url: &CloneUrl) -> Result<Kept, RuntimeError> {
        let failed = |step| RuntimeError::step(step, &self.bwrap);
        probe::reachable(&self.settings.keeper)?;
        let uid = rustix::process::geteuid().is_root().then_some(NOBODY);
        let words = sandbox::fetch(uid, &self.settings.keeper, url, &self.settings.import_allow);
        let mut command = Command::new(&self.bwrap);
        command.args(words).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.kill_on_drop(true).spawn().map_err(failed("start"))?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe.into());
        let stdout = stdout.map_err(failed("hear from"))?;
        Kept::read(stdout, Some(child)).await.map_err(failed("clone a repository in"))
    }

    /// A person's Data, where their snapshots are, and who owns files of theirs.
    async fn kept_of(&self, owner: i64) -> Result<(PathBuf, PathBuf, Option<u32>), RuntimeError> {
        let settings = &self.settings;
        let uid = own_uid(owner)?;
        self.prepare_data(owner).await;
        let (_, data) = home::prepare(&settings.data, owner, uid)?;
        let store = settings.data.join("snapshots").join(owner.to_string());
        Ok((data, store, uid))
    }

    /// Where btrfs makes snapshots, new Data is a subvolume of it. Where that cannot be, it is the
    /// directory that it would be elsewhere.
    pub(super) async fn prepare_data(&self, owner: i64) {
        let user = self.settings.data.join("homes").join(owner.to_string());
        let data = user.join("data");
        let is_btrfs = statfs(&self.settings.data).is_ok_and(|found| found.f_type as u64 == BTRFS);
        if !is_btrfs || !rustix::process::geteuid().is_root() || data.symlink_metadata().is_ok() {
            return;
        }
        let made = async {
            private_dir(&user)?;
            let mut command = Command::new("btrfs");
            let output = command.args(["subvolume", "create"]).arg(&data).output().await?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Err(io::Error::other(said));
            }
            fs::set_permissions(&data, fs::Permissions::from_mode(0o700))
        };
        if let Err(error) = made.await {
            tracing::warn!(owner, %error, "Data is a plain directory, since no subvolume could be made");
        }
    }

    /// Stops all that may write to that person's Data.
    pub(in crate::runtime) async fn freeze(&self, owner: i64) -> Result<(), RuntimeError> {
        for (session, place) in self.places_of(owner)? {
            super::freeze::freeze(&place, &session).await?;
        }
        Ok(())
    }

    /// Lets it go on.
    pub(in crate::runtime) async fn thaw(&self, owner: i64) -> Result<(), RuntimeError> {
        // All of them, also where one fails.
        let mut result = Ok(());
        for (session, place) in self.places_of(owner)? {
            result = result.and(super::freeze::thaw(&place, &session));
        }
        result
    }

    fn places_of(&self, owner: i64) -> Result<Vec<(String, PathBuf)>, RuntimeError> {
        let runs = |state| match state {
            InstanceState::Running(_) | InstanceState::Starting | InstanceState::Paused(_) => true,
            InstanceState::Ended { .. } => false,
        };
        let own = self.places()?.into_iter().filter(|(_, place)| {
            place.order().is_ok_and(|order| order.owner == owner)
                && super::observe(place).is_some_and(runs)
        });
        Ok(own.map(|(session, place)| (session.to_string(), Path::to_owned(place.dir()))).collect())
    }
}
