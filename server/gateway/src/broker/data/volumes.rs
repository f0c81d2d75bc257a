//! People's files in volumes of the engine's, by a driver that an administrator chose. Only through the
//! engine are volumes of every driver reached, so whatever is done in one is done by a container that
//! runs for a moment.

use super::{Person, Stored, chore};
use crate::broker::containers::{INSTALLATION, OWNER, Source};
use crate::broker::data::Quotas;
use crate::broker::engine::Engine;
use crate::runtime::RuntimeError;
use bollard::models::{
    ContainerCreateBody, Mount, MountType, MountVolumeOptions, VolumeCreateRequest,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// What one look at one volume may take, in seconds: some are on other machines.
const LOOK_PATIENCE_S: u32 = 60;
/// What has the few commands that are needed.
const IMAGE: &str = "lattice/base";
/// What a look may take of one processor.
const LOOK_NANO_CPUS: i64 = 250_000_000;

/// Volumes that one driver makes.
#[derive(Debug)]
pub(in crate::broker) struct Volumes {
    pub(in crate::broker) driver: String,
    pub(in crate::broker) options: BTreeMap<String, String>,
    pub(in crate::broker) installation: String,
    pub(in crate::broker) quotas: Quotas,
    /// Those that were given to their owner by this process.
    pub(in crate::broker) ready: Mutex<BTreeSet<String>>,
}

impl Volumes {
    pub(super) async fn prepare(
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

    /// Only what is there: whatever else is named would be made, by another driver.
    pub(super) async fn reset(&self, person: Person, engine: &Engine) -> Result<(), RuntimeError> {
        for (name, what) in self.volumes_of(person.owner, engine).await? {
            if what != "home" && !what.starts_with("app.") {
                continue;
            }
            let aside = "cd /kept && rm -rf .before-reset && mkdir .before-reset && \
                         find . -mindepth 1 -maxdepth 1 ! -name Data ! -name .before-reset \
                         -exec mv -t .before-reset {} +";
            engine.run_once(&format!("{name}-reset"), self.chore(&name, aside, person)).await?;
        }
        Ok(())
    }

    /// The volumes of somebody, and what each is for.
    async fn volumes_of(
        &self,
        owner: i64,
        engine: &Engine,
    ) -> Result<Vec<(String, String)>, RuntimeError> {
        let prefix = format!("lattice-{}-{owner}-", self.installation);
        let labels =
            vec![format!("{INSTALLATION}={}", self.installation), format!("{OWNER}={owner}")];
        let all = engine.volumes(labels).await?.into_iter();
        let pair = |name: String| Some((name.clone(), name.strip_prefix(&prefix)?.to_owned()));
        Ok(all.filter_map(pair).collect())
    }

    /// A container that does something in a volume, given the number of whose it is.
    fn chore(&self, volume: &str, script: &str, person: Person) -> ContainerCreateBody {
        let words = ["sh", "-ec", script, "sh", &person.uid.to_string()].map(str::to_owned);
        let mounts = vec![mount(volume, "/kept", false)];
        let body = chore(&self.installation, IMAGE, &["CHOWN", "DAC_OVERRIDE", "FOWNER"], mounts);
        ContainerCreateBody { cmd: Some(words.to_vec()), ..body }
    }

    /// What somebody keeps, as `du` counts it; at leisure, and of no more than the volumes there are.
    pub(super) async fn measure(&self, owner: i64, engine: &Engine) -> Option<Stored> {
        let ours = self.volumes_of(owner, engine).await.ok()?;
        // What is kept of Data is nobody's to clear away.
        let ours = ours.iter().filter(|(_, what)| what != "snapshots");
        let mounts: Vec<_> =
            ours.map(|(name, what)| mount(name, &format!("/kept/{what}"), true)).collect();
        if mounts.is_empty() {
            return None;
        }
        let script = "for kept in /kept/*; do \
                      size=$(timeout \"$1\" du -skx \"$kept\" 2>/dev/null | tail -n 1 | cut -f 1) && \
                      echo \"${kept##*/} ${size:-?}\"; done";
        let words = ["sh", "-c", script, "sh", &LOOK_PATIENCE_S.to_string()].map(str::to_owned);
        let mut body = chore(&self.installation, IMAGE, &["DAC_READ_SEARCH"], mounts);
        body.cmd = Some(words.to_vec());
        body.host_config.get_or_insert_default().nano_cpus = Some(LOOK_NANO_CPUS);
        match engine
            .run_and_read(&format!("lattice-{}-{owner}-measure", self.installation), body)
            .await
        {
            Ok(said) => self.read(&said),
            Err(error) => {
                tracing::debug!(owner, %error, "volumes could not be measured");
                None
            }
        }
    }

    /// Lines of what, and how many KiB it has.
    fn read(&self, said: &str) -> Option<Stored> {
        let pair = |line: &str| {
            let (what, size) = line.split_once(' ')?;
            Some((what.to_owned(), size.trim().parse::<u64>().ok()? << 10))
        };
        let sizes: BTreeMap<_, _> = said.lines().filter_map(pair).collect();
        let of = |what: &str| sizes.get(what).copied();
        let apps = sizes.iter().filter(|(what, _)| what.starts_with("app."));
        let apps = apps.map(|(_, size)| size).sum();
        // One that could not be looked at in time is not to be told of as empty.
        Some(self.quotas.told(of("data")?, of("home")?, apps, false))
    }
}

fn mount(volume: &str, target: &str, is_read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(volume.to_owned()),
        target: Some(target.to_owned()),
        read_only: Some(is_read_only),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_volumes_hold_is_read_and_one_that_is_not_known_is_not_nothing() {
        let volumes = Volumes {
            driver: "local".into(),
            options: BTreeMap::new(),
            installation: "abc".into(),
            quotas: Quotas { data: Some(1 << 20), home: None },
            ready: Mutex::default(),
        };
        let stored = volumes.read("app.go.code 4\napp.kiosk.web 8\ndata 2048\nhome 12\n");
        let stored = stored.expect("all of it");
        assert_eq!(
            (stored.data.used, stored.home.used, stored.apps.used),
            (2 << 20, 12 << 10, 12 << 10)
        );
        assert!(stored.data.is_full() && !stored.home.is_full() && !stored.is_enforced);
        assert_eq!(volumes.read("data ?\nhome 12\n"), None);
        assert_eq!(volumes.read(""), None);
    }
}
