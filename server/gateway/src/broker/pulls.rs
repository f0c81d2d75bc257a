//! Images of apps: fetched when a catalogue that the administrator's key signed names them, and then
//! only if what came is what it says.
//!
//! INVARIANT: a request names a catalogue, an app and a digest; what is fetched, and from where, is what
//! a signed catalogue says. So whoever breaks into the gateway fetches nothing that is not in one.

use super::engine::Engine;
use super::protocol::{Progress, Reply, Wanted};
use crate::catalogues::{Library, Shelf, pinned};
use crate::runtime::RuntimeError;
use crate::runtime::process::place::write_atomically;
use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use futures_util::StreamExt as _;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// How long all of it may take: a gigabyte by a slow line.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long nothing may come at all.
const STALLED: Duration = Duration::from_secs(80);
/// Images that were ever named by catalogues are remembered, so many at most.
const MOST_ADMITTED: usize = 4000;

/// How a pull is doing.
#[derive(Debug, Clone)]
enum State {
    Under(Progress),
    Done,
    Failed { what: String, remedy: Option<String> },
}

/// All pulls.
#[derive(Debug)]
pub(super) struct Pulls {
    library: Library,
    /// Where it is kept which images a signed catalogue has named.
    kept: PathBuf,
    /// Those that are under way, by image: whoever wants the same follows the same.
    under_way: Mutex<HashMap<String, watch::Receiver<State>>>,
    admitted: Mutex<BTreeSet<String>>,
}

impl Pulls {
    pub(super) fn new(library: Library, data: &Path) -> Self {
        let kept = data.join("catalogues-images.json");
        let admitted = std::fs::read(&kept).ok();
        let admitted = admitted.and_then(|kept| serde_json::from_slice(&kept).ok());
        Self {
            library,
            kept,
            under_way: Mutex::default(),
            admitted: Mutex::new(admitted.unwrap_or_default()),
        }
    }

    /// Whether a signed catalogue has named this image at some time, and it was fetched then.
    pub(super) fn has_admitted(&self, image: &str) -> bool {
        self.admitted().contains(image)
    }

    /// All images that signed catalogues have named and that were fetched then: their repositories, by
    /// their digests.
    pub(super) fn named(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut named = BTreeMap::<String, BTreeSet<String>>::new();
        for image in self.admitted().iter() {
            let of = named.entry(pinned(image).to_owned()).or_default();
            of.insert(repository(image).to_owned());
        }
        named
    }

    /// Has an image be there; what to follow.
    fn begin(self: &Arc<Self>, engine: &Arc<Engine>, wanted: Wanted) -> watch::Receiver<State> {
        let mut under_way = self.under_way();
        // One that met a fault is none that could be followed.
        if let Some(state) = under_way.get(&wanted.image).filter(|it| it.has_changed().is_ok()) {
            return state.clone();
        }
        let (state, follow) = watch::channel(State::Under(Progress::default()));
        under_way.insert(wanted.image.clone(), follow.clone());
        drop(under_way);
        let (own, engine) = (self.clone(), engine.clone());
        // It is brought to its end, also when whoever asked has gone: half an image is of no use.
        tokio::spawn(async move {
            let image = wanted.image.clone();
            let pulled = own.pull(&engine, &wanted, &state).await;
            // The next one begins anew, also after this one's bad end.
            own.under_way().remove(&image);
            if let Err(error) = &pulled {
                tracing::warn!(image, %error, "an app could not be fetched");
            }
            state.send_replace(match pulled {
                Ok(()) => State::Done,
                Err(RuntimeError::Unusable { what, remedy }) => {
                    State::Failed { what, remedy: Some(remedy) }
                }
                Err(error) => State::Failed { what: error.to_string(), remedy: None },
            });
        });
        follow
    }

    async fn pull(
        &self,
        engine: &Engine,
        wanted: &Wanted,
        state: &watch::Sender<State>,
    ) -> Result<(), RuntimeError> {
        let Wanted { app, image, .. } = wanted;
        let size = self.allow(wanted).await?;
        if engine.pinned_image(image).await?.is_none() {
            let all = timeout(PATIENCE, fetch(engine, image, size, state)).await;
            all.unwrap_or_else(|_| Err(slow(image, PATIENCE)))?;
            if engine.pinned_image(image).await?.is_none() {
                return Err(swapped(app, image));
            }
            tracing::info!(app, image, "an app was fetched");
        }
        self.admit(image)
    }

    /// What there is to fetch, in bytes, where a signed catalogue says that it may be.
    async fn allow(&self, wanted: &Wanted) -> Result<u64, RuntimeError> {
        let library = self.library.clone();
        let shelf = tokio::task::spawn_blocking(move || library.look()).await;
        let shelf = shelf.map_err(|error| RuntimeError::Refused(error.to_string()))?;
        match named(&shelf, wanted) {
            Ok(size) => Ok(size),
            // What was installed once can be had back, whatever its catalogue says today.
            Err(_) if self.admitted().contains(&wanted.image) => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn admit(&self, image: &str) -> Result<(), RuntimeError> {
        let mut admitted = self.admitted();
        if admitted.contains(image) {
            return Ok(());
        }
        if admitted.len() >= MOST_ADMITTED {
            return Err(RuntimeError::Unusable {
                what: format!("{MOST_ADMITTED} images of apps were fetched here already"),
                remedy: format!("remove {} to forget of what", self.kept.display()),
            });
        }
        let mut more = admitted.clone();
        more.insert(image.to_owned());
        let bytes = serde_json::to_vec(&more).map_err(std::io::Error::from);
        bytes
            .and_then(|bytes| write_atomically(&self.kept, &bytes))
            .map_err(RuntimeError::step("note what was fetched in", &self.kept))?;
        *admitted = more;
        Ok(())
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<State>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admitted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of an image without tag and digest.
pub(super) fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        // A colon before the last slash is a registry's port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

/// Whether that is what a signed catalogue says, and how much there is to fetch.
fn named(shelf: &Shelf, Wanted { catalogue, app, image }: &Wanted) -> Result<u64, RuntimeError> {
    if let Some(refused) = shelf.refused.iter().find(|refused| refused.name == *catalogue) {
        return Err(RuntimeError::Refused(format!(
            "the catalogue {catalogue} is refused: {}",
            refused.why
        )));
    }
    let Some((_, entry)) = shelf.find(catalogue, app) else {
        return Err(RuntimeError::Unusable {
            what: format!("no catalogue {catalogue} that the broker trusts has an app {app}"),
            remedy: "see that gateway and broker have the same catalogues and keys".into(),
        });
    };
    match entry.app.image == *image {
        true => Ok(entry.size),
        false => Err(RuntimeError::Refused(format!(
            "the catalogue {catalogue} has {app} as {}, and not as {}; look at it again",
            pinned(&entry.app.image),
            pinned(image)
        ))),
    }
}

async fn fetch(
    engine: &Engine,
    image: &str,
    size: u64,
    state: &watch::Sender<State>,
) -> Result<(), RuntimeError> {
    state.send_replace(State::Under(Progress { done: 0, total: size }));
    let mut lines = std::pin::pin!(engine.pull(image).await?);
    let mut layers = Layers::default();
    loop {
        let line = timeout_at(Instant::now() + STALLED, lines.next()).await;
        match line.map_err(|_| slow(image, STALLED))? {
            None => return Ok(()),
            Some(Ok(line)) => {
                layers.note(&line);
                state.send_replace(State::Under(layers.progress(size)));
            }
            Some(Err(error)) => return Err(explain(engine, image, error)),
        }
    }
}

/// How much of each layer is here.
#[derive(Debug, Default)]
struct Layers(HashMap<String, Progress>);

impl Layers {
    fn note(&mut self, line: &CreateImageInfo) {
        let (Some(id), Some(status)) = (&line.id, line.status.as_deref()) else { return };
        let number = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        match (status, &line.progress_detail) {
            ("Downloading", Some(detail)) => {
                let layer = self.0.entry(id.clone()).or_default();
                layer.total = number(detail.total).unwrap_or(0).max(layer.total);
                layer.done = number(detail.current).unwrap_or(0).max(layer.done);
            }
            ("Download complete" | "Pull complete", _) => {
                if let Some(layer) = self.0.get_mut(id) {
                    layer.done = layer.total;
                }
            }
            _ => {}
        }
    }

    /// Layers that are not begun are in what the catalogue says.
    fn progress(&self, size: u64) -> Progress {
        let sum = |of: fn(&Progress) -> u64| self.0.values().map(of).fold(0, u64::saturating_add);
        let known = sum(|layer| layer.total);
        Progress { done: sum(|layer| layer.done), total: known.max(size) }
    }
}

fn slow(image: &str, patience: Duration) -> RuntimeError {
    RuntimeError::Unusable {
        what: format!("{image} did not come within {} s", patience.as_secs()),
        remedy: "see whether its registry answers, and try again; what is here stays".into(),
    }
}

/// Something else came than what was asked for.
fn swapped(app: &str, image: &str) -> RuntimeError {
    RuntimeError::Refused(format!(
        "{app} is refused: what came is not what its catalogue names by {}. Somebody may have put \
         another program in its place; nothing of it was installed. Tell whoever made the catalogue",
        pinned(image)
    ))
}

fn explain(engine: &Engine, image: &str, error: Error) -> RuntimeError {
    let message = match &error {
        Error::DockerStreamError { error } => error.clone(),
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::RequestTimeoutError => return slow(image, STALLED),
        _ => return engine.explain(error),
    };
    said(image, &message)
}

/// What the engine's words about a pull mean.
fn said(image: &str, message: &str) -> RuntimeError {
    let lower = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let app = image.split_once('@').map_or(image, |(name, _)| name);
    if has(&["verification failed", "unexpected digest", "digest mismatch", "filesystem layer ver"])
        || (lower.contains("digest") && has(&["failed commit", "does not match", "did not match"]))
    {
        return swapped(app, image);
    }
    let remedy = match () {
        () if has(&["no space left"]) => {
            "the disk is full; make room, by docker image prune for one, and try again"
        }
        () if has(&[
            "manifest unknown",
            "blob unknown",
            "unknown blob",
            "not found",
            "name unknown",
        ]) =>
        {
            "its registry does not have that digest any more; ask whoever made the catalogue"
        }
        () if has(&["denied", "unauthorized", "authentication"]) => {
            "its registry gives it to nobody without a sign-in; use docker pull as root, or docker load"
        }
        () => "see whether this machine reaches its registry, or bring the image by docker load",
    };
    RuntimeError::Unusable {
        what: format!("{image} could not be fetched: {}", message.trim_end_matches('.')),
        remedy: remedy.into(),
    }
}

/// Follows a pull for a gateway: a line whenever there is more, and one at its end.
pub(super) async fn serve(
    mut writer: impl tokio::io::AsyncWrite + Unpin,
    pulls: &Arc<Pulls>,
    engine: &Arc<Engine>,
    wanted: Wanted,
) -> std::io::Result<()> {
    let mut state = pulls.begin(engine, wanted);
    loop {
        let now = state.borrow_and_update().clone();
        let reply = match now {
            State::Under(progress) => Reply::Pulling(progress),
            State::Done => return super::protocol::write(&mut writer, &Reply::Done).await,
            State::Failed { what, remedy } => {
                return super::protocol::write(&mut writer, &Reply::Refused { what, remedy }).await;
            }
        };
        super::protocol::write(&mut writer, &reply).await?;
        // Engines tell more often than anybody looks.
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Said again where nothing comes for long, so that the gateway knows this to be at work.
        if let Ok(Err(_)) = timeout(STALLED / 4, state.changed()).await
            && matches!(*state.borrow(), State::Under(_))
        {
            let what = "the broker met a fault over it; its log says more".to_owned();
            return super::protocol::write(&mut writer, &Reply::Refused { what, remedy: None })
                .await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogues::tests::Scene;
    use bollard::models::ProgressDetail;

    fn wanted(scene: &Scene) -> Wanted {
        let shelf = scene.library.look();
        let (_, entry) = shelf.find("apps", "draw").expect("there");
        Wanted { catalogue: "apps".into(), app: "draw".into(), image: entry.app.image.clone() }
    }

    #[tokio::test]
    async fn only_what_a_signed_catalogue_names_is_allowed() {
        let scene = Scene::new();
        scene.put(1, "1.0");
        let data = tempfile::tempdir().expect("a directory");
        let pulls = Pulls::new(scene.library.clone(), data.path());
        let good = wanted(&scene);
        assert_eq!(pulls.allow(&good).await.expect("allowed"), 3 << 20);
        let other = Wanted { image: "evil@sha256:00".into(), ..good.clone() };
        let refused = pulls.allow(&other).await.expect_err("refused").to_string();
        assert!(refused.contains("and not as sha256:00"), "{refused}");
        let nowhere = Wanted { catalogue: "../apps".into(), ..good.clone() };
        assert!(pulls.allow(&nowhere).await.is_err());
        scene.put(2, "2.0");
        assert!(pulls.allow(&good).await.is_err(), "it was never fetched");
        pulls.admit(&good.image).expect("noted");
        let later = Pulls::new(scene.library.clone(), data.path());
        assert!(later.allow(&good).await.is_ok(), "what was fetched once can be had back");
        assert!(later.has_admitted(&good.image) && !later.has_admitted(&other.image));
        let nobody = Library { keys: Vec::new(), ..scene.library.clone() };
        let nobody = Pulls::new(nobody, tempfile::tempdir().expect("a directory").path());
        let refused = nobody.allow(&wanted(&scene)).await.expect_err("refused").to_string();
        assert!(refused.contains("not trusted here"), "{refused}");
    }

    #[test]
    fn what_comes_is_added_up() {
        let line = |id: &str, status: &str, detail: Option<(i64, i64)>| CreateImageInfo {
            id: Some(id.into()),
            status: Some(status.into()),
            progress_detail: detail.map(|(current, total)| ProgressDetail {
                current: Some(current),
                total: Some(total),
            }),
            ..CreateImageInfo::default()
        };
        let mut layers = Layers::default();
        layers.note(&line("a", "Downloading", Some((10, 100))));
        layers.note(&line("b", "Downloading", Some((5, 50))));
        assert_eq!(layers.progress(400), Progress { done: 15, total: 400 });
        layers.note(&line("a", "Download complete", None));
        layers.note(&line("b", "Downloading", Some((-1, 50))));
        layers.note(&line("c", "Extracting", Some((1, 1000))));
        assert_eq!(layers.progress(0), Progress { done: 105, total: 150 });
    }

    #[test]
    fn what_engines_say_is_said_so_that_somebody_can_act() {
        for (message, word) in [
            ("manifest verification failed for digest sha256:00", "another program in its place"),
            ("filesystem layer verification failed for digest sha256:00", "another program"),
            ("failed commit on ref \"x\": unexpected commit digest sha256:00", "another program"),
            ("write /var/lib/docker/tmp/x: no space left on device", "the disk is full"),
            ("manifest unknown: manifest unknown", "does not have that digest"),
            ("Get \"http://127.0.0.1:1/v2/\": connection refused", "docker load"),
            ("pull access denied for x", "without a sign-in"),
        ] {
            let said = said("r.example/draw@sha256:00", message).to_string();
            assert!(said.contains(word), "{word} is not in: {said}");
        }
    }
}
