//! Images that somebody builds on the machine, for administrators to watch. Nothing here starts a build:
//! what `make images` tells the engine is read, and no more.

use super::{Api, MEASURE_EVERY};
use crate::broker::protocol::Build;
use crate::store::Timestamp;
use crate::telemetry;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use utoipa::ToSchema;

/// Between two looks while somebody watches.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// An engine that takes longer is busy with something else, and nobody waits for this.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of builds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Builds {
    /// Another whenever one has ended, so that the list of images may be another, too.
    pub(super) revision: u64,
    pub(super) all: Vec<Build>,
}

/// Who watches, and what there is to see. [`Api::follow_builds`] looks.
#[derive(Debug)]
pub(super) struct Watch {
    seen: watch::Sender<Arc<Builds>>,
    /// Its receivers are those who see them.
    lookers: watch::Sender<()>,
    wake: Notify,
}

/// It is looked often while there is one.
#[derive(Debug)]
pub(super) struct Looker {
    _counted: watch::Receiver<()>,
}

impl Default for Watch {
    fn default() -> Self {
        let seen = watch::Sender::new(Arc::default());
        Self { seen, lookers: watch::Sender::new(()), wake: Notify::new() }
    }
}

impl Watch {
    fn pause(&self) -> Duration {
        let goes_on = self.seen.borrow().all.iter().any(|build| !build.is_failed);
        let is_watched = self.lookers.receiver_count() > 0;
        match is_watched || (goes_on && self.seen.receiver_count() > 0) {
            true => WATCH_EVERY,
            false => MEASURE_EVERY,
        }
    }
}

/// An image that is being built on the machine, or could not be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Build)]
pub(super) struct BuildView {
    /// Its name.
    #[schema(example = "lattice/vscode-golang")]
    image: String,
    /// `running` or `failed`.
    state: &'static str,
    /// Which of the images it is that are being built one after the other, from 1; 0 where it is what all
    /// of them are made from.
    number: u32,
    of: u32,
    /// Which of its steps is under way, from 1; 0 before the first.
    step: u32,
    /// How many it has; 0 where that is not known yet.
    steps: u32,
    /// For how long it is being built, or since when it has failed.
    seconds: u64,
}

impl BuildView {
    fn of(build: &Build, now: Timestamp) -> Self {
        Self {
            image: build.image.clone(),
            state: if build.is_failed { "failed" } else { "running" },
            number: build.number,
            of: build.of,
            step: build.step,
            steps: build.steps,
            seconds: u64::try_from(now.0.saturating_sub(build.since)).unwrap_or(0),
        }
    }
}

impl Builds {
    /// As the API tells of them now.
    pub(super) fn view(&self) -> Vec<BuildView> {
        let now = Timestamp::now();
        self.all.iter().map(|build| BuildView::of(build, now)).collect()
    }

    /// What is known after a look that found these.
    fn after(&self, all: Vec<Build>) -> Self {
        let is_same = |a: &Build, b: &Build| (&a.run, &a.image) == (&b.run, &b.image);
        let goes_on = |build: &Build| all.iter().any(|now| !now.is_failed && is_same(now, build));
        let ended = self.all.iter().any(|build| !build.is_failed && !goes_on(build));
        Self { revision: self.revision + u64::from(ended), all }
    }
}

impl Api {
    /// What is known of builds, and changes of it.
    pub(super) fn builds(&self) -> watch::Receiver<Arc<Builds>> {
        self.0.builds.seen.subscribe()
    }

    /// Somebody watches for as long as they keep this.
    pub(super) fn watch_builds(&self) -> Looker {
        let watch = &self.0.builds;
        let looker = Looker { _counted: watch.lookers.subscribe() };
        watch.wake.notify_one();
        looker
    }

    /// Keeps what is known of builds: closely while somebody watches or is to be told, else now and then.
    /// For ever.
    pub async fn follow_builds(self) {
        let watch = &self.0.builds;
        loop {
            self.look_at_builds().await;
            tokio::select! {
                () = sleep(watch.pause()) => {}
                () = watch.wake.notified() => {}
            }
        }
    }

    async fn look_at_builds(&self) {
        let runtime = self.installer().runtime();
        // Where the engine is away, or a broker is older, nobody knows.
        let asked = timeout(PATIENCE, runtime.builds()).await.ok().and_then(Result::ok).flatten();
        let before = self.0.builds.seen.borrow().clone();
        let now = before.after(asked.unwrap_or_default());
        telemetry::machine::count_builds(&now.all);
        // Whoever is told that one has ended asks what is there.
        if now.revision != before.revision
            && let Ok(Ok(images)) = timeout(PATIENCE, runtime.images()).await
        {
            self.note_present(images.as_deref());
        }
        if now != *before {
            self.0.builds.seen.send_replace(Arc::new(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(run: &str, image: &str, step: u32, is_failed: bool) -> Build {
        let (run, image) = (run.to_owned(), image.to_owned());
        Build { run, image, number: 1, of: 2, step, steps: 9, since: 5, is_failed }
    }

    #[track_caller]
    fn check(before: Vec<Build>, after: Vec<Build>, has_ended: bool) {
        let known = Builds { revision: 7, all: before };
        assert_eq!(known.after(after).revision, 7 + u64::from(has_ended));
    }

    #[test]
    fn the_revision_is_another_once_an_image_is_no_longer_being_built() {
        let (first, later) = (build("a", "x", 1, false), build("a", "x", 2, false));
        let failed = build("a", "x", 2, true);
        check(vec![], vec![first.clone()], false);
        check(vec![first.clone()], vec![later.clone()], false);
        check(vec![later.clone()], vec![build("a", "y", 0, false)], true);
        check(vec![later.clone()], vec![], true);
        check(vec![later.clone()], vec![failed.clone()], true);
        check(vec![failed], vec![], false);
        check(vec![later.clone(), build("b", "x", 1, false)], vec![later], true);
    }

    #[test]
    fn clocks_that_differ_make_no_odd_spans() {
        let view =
            |since| BuildView::of(&Build { since, ..build("a", "x", 1, false) }, Timestamp(40));
        assert_eq!((view(5).seconds, view(41).seconds), (35, 0));
    }

    #[tokio::test]
    async fn it_is_looked_closely_only_while_somebody_watches() {
        let watch = Watch::default();
        assert_eq!(watch.pause(), MEASURE_EVERY);
        let looker = watch.lookers.subscribe();
        assert_eq!(watch.pause(), WATCH_EVERY);
        drop(looker);
        let told = watch.seen.subscribe();
        assert_eq!(watch.pause(), MEASURE_EVERY);
        let all = vec![build("a", "x", 1, false)];
        watch.seen.send_replace(Arc::new(Builds { revision: 0, all }));
        assert_eq!(watch.pause(), WATCH_EVERY);
        drop(told);
        assert_eq!(watch.pause(), MEASURE_EVERY);
    }
}
