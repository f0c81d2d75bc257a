//! People's files in subvolumes of btrfs: each person has one for the home, one for the homes of apps
//! and one for Data, and each holds what it may and no more. Whoever has filled one is told that the
//! disk quota is exceeded, and nobody else notices.
//!
//! They are where plain directories are and named as these, so backups, resets and restores know no
//! difference, and a directory becomes a subvolume when its owner's next desktop starts.
//!
//! Only root with CAP_SYS_ADMIN may set bounds, which is more than a broker is to be able to. A
//! container that runs for a moment does it (`containers/quota/keep`), wherever the broker is.
//!
//! INVARIANT: what a person has is whole at every moment, under the name it always had. A directory is
//! copied beside itself, and the two change names in one step.

use super::qgroups::{self, Counting, counted, is_subvolume};
use super::{Person, Quotas, Stored, chore};
use crate::broker::containers::{INSTALLATION, OWNER};
use crate::broker::engine::Engine;
use crate::broker::host::HostPaths;
use crate::runtime::RuntimeError;
use crate::runtime::process::place::private_dir;
use bollard::models::{ContainerCreateBody, ContainerSummaryStateEnum as State, Mount, MountType};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// What makes subvolumes.
pub(in crate::broker) const IMAGE: &str = "lattice/quota";
/// What a directory is copied into, beside it.
const COPY: &str = ".subvolume";
/// Another's files are copied and given to their owner, which takes these; bounds take the last.
const RIGHTS: [&str; 5] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SYS_ADMIN"];

/// What keeps them.
#[derive(Debug)]
pub(in crate::broker) struct Btrfs {
    pub(in crate::broker) base: PathBuf,
    pub(in crate::broker) quotas: Quotas,
    pub(in crate::broker) installation: String,
    /// Whether an administrator asked for it, so that nobody is to start without.
    pub(in crate::broker) is_asked_for: bool,
    /// One thing at a time is done to subvolumes. It has whose plain directories are left as they are,
    /// since they could not be copied: whoever else starts a desktop of theirs would write on into them.
    pub(in crate::broker) left: Mutex<BTreeSet<i64>>,
}

/// What is to be done to one directory of somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Deed {
    /// There is none yet.
    Make,
    /// It is a plain one.
    Copy,
    /// It holds more or less than it may.
    Limit,
}

impl Btrfs {
    /// Makes what is missing, and sets bounds that are not as they are to be.
    pub(super) async fn prepare(
        &self,
        person: Person,
        engine: &Engine,
        paths: &HostPaths,
    ) -> Result<(), RuntimeError> {
        match self.bound(person.owner, engine, paths).await {
            Err(error) if !self.is_asked_for => {
                tracing::warn!(
                    owner = person.owner, %error,
                    "what somebody keeps is not bounded, since no subvolume could be made for it"
                );
                Ok(())
            }
            done => done.map_err(|error| RuntimeError::Unusable {
                what: format!("what is kept of this person could not be bounded: {error}"),
                remedy: "lattice doctor names what is missing; --storage auto does without".into(),
            }),
        }
    }

    /// What somebody keeps; nothing where the file system does not count it.
    pub(super) fn measure(&self, owner: i64) -> Option<Stored> {
        let user = self.user(owner);
        let is_own = |path: &Path| path.symlink_metadata().is_ok_and(|found| is_subvolume(&found));
        let of = |name: &str| counted(&user.join(name)).filter(|_| is_own(&user.join(name)));
        let (data, home) = (of("data")?, of("home")?);
        let apps = of("apps");
        let is_enforced = data.limit == self.quotas.data && home.limit == self.quotas.home;
        let apps = apps.map_or(0, |apps| apps.used);
        Some(self.quotas.told(data.used, home.used, apps, is_enforced))
    }

    fn user(&self, owner: i64) -> PathBuf {
        self.base.join("homes").join(owner.to_string())
    }

    fn limit(&self, name: &str) -> Option<u64> {
        if name == "data" { self.quotas.data } else { self.quotas.home }
    }

    async fn bound(
        &self,
        owner: i64,
        engine: &Engine,
        paths: &HostPaths,
    ) -> Result<(), RuntimeError> {
        let user = self.user(owner);
        private_dir(&user).map_err(RuntimeError::step("make the directory", &user))?;
        let mut left = self.left.lock().await;
        let mut deeds = self.missing(&user).map_err(RuntimeError::step("look at", &user))?;
        let is_plain = |deeds: &[(&str, Deed)]| deeds.iter().any(|(_, deed)| *deed == Deed::Copy);
        if is_plain(&deeds) && (left.contains(&owner) || self.is_in(owner, engine).await?) {
            tracing::info!(owner, "plain directories stay as they are while a desktop has them");
            deeds.retain(|(_, deed)| *deed != Deed::Copy);
        }
        if deeds.is_empty() {
            return Ok(());
        }
        if is_plain(&deeds) {
            left.insert(owner);
        }
        let copied = deeds.iter().filter(|(_, deed)| *deed == Deed::Copy);
        let copied: Vec<_> = copied.map(|(name, _)| user.join(name)).collect();
        for plain in &copied {
            // Of an earlier broker that was killed over it.
            remove(copy_of(plain)).await?;
        }
        let homes = paths.host(&self.base.join("homes"))?;
        let body = ContainerCreateBody {
            cmd: Some(self.words(owner, &deeds)),
            ..chore(&self.installation, IMAGE, &RIGHTS, vec![mount(&homes)])
        };
        engine.run_once(&format!("lattice-{}-quota", self.installation), body).await?;
        for plain in copied {
            exchange(&plain).await?;
        }
        left.remove(&owner);
        Ok(())
    }

    /// What is to be done, for each directory that is not as it is to be.
    fn missing(&self, user: &Path) -> io::Result<Vec<(&'static str, Deed)>> {
        let mut deeds = Vec::new();
        for name in ["home", "apps", "data"] {
            let path = user.join(name);
            match path.symlink_metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    deeds.push((name, Deed::Make))
                }
                Err(error) => return Err(error),
                Ok(found) if !is_subvolume(&found) => deeds.push((name, Deed::Copy)),
                Ok(_) => {
                    let is_right = |found: qgroups::Counted| found.limit == self.limit(name);
                    if !counted(&path).is_some_and(is_right) {
                        deeds.push((name, Deed::Limit));
                    }
                }
            }
        }
        Ok(deeds)
    }

    /// The same, as `keep` is told. A bound comes after what is copied, since nothing of it is lost
    /// where that is more.
    fn words(&self, owner: i64, deeds: &[(&str, Deed)]) -> Vec<String> {
        let mut words = Vec::new();
        if qgroups::counting(&self.base) == Counting::Off {
            words.push("on".to_owned());
        }
        for (name, deed) in deeds {
            let place = format!("{owner}/{name}");
            let limited = match deed {
                Deed::Make => {
                    words.extend(["make".to_owned(), place.clone()]);
                    place
                }
                Deed::Copy => {
                    let copy = format!("{place}{COPY}");
                    words.extend(["copy".to_owned(), place, copy.clone()]);
                    copy
                }
                Deed::Limit => place,
            };
            let limit = self.limit(name).map_or_else(|| "none".to_owned(), |most| most.to_string());
            words.extend(["limit".to_owned(), limit, limited]);
        }
        words
    }

    /// Whether programs of somebody's run, which would write on into what is copied.
    async fn is_in(&self, owner: i64, engine: &Engine) -> Result<bool, RuntimeError> {
        let labels =
            vec![format!("{INSTALLATION}={}", self.installation), format!("{OWNER}={owner}")];
        let ended = [Some(State::EXITED), Some(State::DEAD)];
        let all = engine.list(labels).await?;
        Ok(all.iter().any(|container| !ended.contains(&container.state)))
    }
}

fn copy_of(plain: &Path) -> PathBuf {
    let mut name = plain.as_os_str().to_owned();
    name.push(COPY);
    name.into()
}

/// Puts a copy in the place of what it was made from, which is then removed.
async fn exchange(plain: &Path) -> Result<(), RuntimeError> {
    let copy = copy_of(plain);
    renameat_with(CWD, plain, CWD, &copy, RenameFlags::EXCHANGE)
        .map_err(|error| RuntimeError::step("exchange for a subvolume", plain)(error.into()))?;
    tracing::info!(path = %plain.display(), "a directory became a subvolume");
    // Its owner has all of it, so there is no reason to hold anybody up.
    if let Err(error) = remove(copy).await {
        tracing::warn!(%error, "what a subvolume was made from could not be removed");
    }
    Ok(())
}

/// Removes a directory or subvolume, where there is one.
async fn remove(path: PathBuf) -> Result<(), RuntimeError> {
    let removal = spawn_blocking(move || match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(RuntimeError::step("remove", &path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    });
    removal.await.unwrap_or_else(|error| Err(RuntimeError::Refused(error.to_string())))
}

fn mount(homes: &Path) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(homes.to_string_lossy().into_owned()),
        target: Some("/kept".into()),
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn btrfs(base: &Path) -> Btrfs {
        Btrfs {
            base: base.into(),
            quotas: Quotas { data: Some(1 << 30), home: None },
            installation: "abc".into(),
            is_asked_for: false,
            left: Mutex::default(),
        }
    }

    #[test]
    fn what_is_missing_is_made_and_what_is_plain_is_copied_before_it_is_bounded() {
        let base = tempfile::tempdir().expect("a directory");
        let btrfs = btrfs(base.path());
        let user = btrfs.user(7);
        fs::create_dir_all(user.join("data")).expect("made");
        let deeds = btrfs.missing(&user).expect("looked");
        let expected = [("home", Deed::Make), ("apps", Deed::Make), ("data", Deed::Copy)];
        assert_eq!(deeds, expected);
        // What is no btrfs does not count.
        let words = btrfs.words(7, &deeds[1..]).join(" ");
        assert_eq!(
            words,
            "on make 7/apps limit none 7/apps copy 7/data 7/data.subvolume limit 1073741824 \
             7/data.subvolume"
        );
        let words = btrfs.words(7, &[("data", Deed::Limit)]).join(" ");
        assert_eq!(words, "on limit 1073741824 7/data");
        assert!(btrfs.measure(7).is_none());
    }

    #[tokio::test]
    async fn a_copy_takes_the_place_of_what_it_was_made_from_in_one_step() {
        let base = tempfile::tempdir().expect("a directory");
        let (plain, copy) = (base.path().join("data"), base.path().join("data.subvolume"));
        for (directory, words) in [(&plain, "old"), (&copy, "new")] {
            fs::create_dir(directory).expect("made");
            fs::write(directory.join("essay"), words).expect("written");
        }
        exchange(&plain).await.expect("exchanged");
        assert_eq!(fs::read_to_string(plain.join("essay")).expect("there"), "new");
        assert!(!copy.exists());
        exchange(&plain).await.expect_err("there is no copy");
        assert_eq!(fs::read_to_string(plain.join("essay")).expect("there"), "new");
    }
}
