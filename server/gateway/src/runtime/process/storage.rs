//! What people keep where desktops are sandboxes: in plain directories, which nothing limits, looked at now and
//! then.

use super::place::Place;
use super::walk::{self, Quotas};
use super::watcher::Watcher;
use super::{InstanceState, Settings, observe, places};
use crate::broker::protocol::{Storage as Kind, Stored, Volumes};
use crate::runtime::ledger::Ledger;
use crate::runtime::rota::Rota;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Between two looks at the files of whoever has a desktop.
const EVERY: Duration = Duration::from_secs(300);

/// What everybody keeps.
#[derive(Debug)]
pub(super) struct Storage {
    ledger: Arc<Ledger>,
    rota: Arc<Rota>,
    measuring: JoinHandle<()>,
}

impl Storage {
    /// Measures for as long as it is there.
    pub(super) fn start(settings: &Settings, watcher: &Watcher) -> Self {
        let Settings { data, run, .. } = settings.clone();
        let ledger = Arc::new(Ledger::default());
        let rota = Arc::new(Rota::new(EVERY, owners(&data)));
        let changes = watcher.counter();
        let looks = Looks { data, run, ledger: ledger.clone(), rota: rota.clone(), changes };
        Self { ledger, rota, measuring: tokio::spawn(looks.go_on()) }
    }

    /// Somebody's files are changed without their desktop.
    pub(super) fn note_change(&self, owner: i64) {
        self.rota.note_change(owner);
    }

    pub(super) fn of(&self, owner: i64) -> Option<Stored> {
        self.ledger.of(owner)
    }

    pub(super) fn volumes(&self) -> Volumes {
        let keeper = "plain directories".to_owned();
        let storage = Kind { keeper, is_enforced: false, obstacle: None };
        Volumes { storage, people: self.ledger.people() }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.measuring.abort();
    }
}

/// Who is looked at, one after the other.
struct Looks {
    data: PathBuf,
    run: PathBuf,
    ledger: Arc<Ledger>,
    rota: Arc<Rota>,
    changes: Arc<watch::Sender<u64>>,
}

impl Looks {
    async fn go_on(self) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            for (owner, is_due) in self.rota.round(present(&self.run), Instant::now()) {
                if is_due {
                    self.look(owner).await;
                }
            }
            match self.rota.next() {
                Some(owner) => self.look(owner).await,
                None => {
                    let _ = timeout(self.rota.wait(Instant::now()), changes.changed()).await;
                }
            }
        }
    }

    async fn look(&self, owner: i64) {
        let stored = walk::measure(&self.data, owner, Quotas::NONE).await;
        if stored.is_some_and(|stored| self.ledger.note(owner, stored)) {
            self.changes.send_modify(|count| *count += 1);
        }
    }
}

/// Whose files there are.
fn owners(data: &Path) -> BTreeSet<i64> {
    let entries = fs::read_dir(data.join("homes")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whose desktops run.
fn present(run: &Path) -> BTreeSet<i64> {
    let runs = |place: &Place| matches!(observe(place), Some(InstanceState::Running(_)));
    let all = places(run).into_iter().flatten().map(|(_, place)| place).filter(runs);
    all.filter_map(|place| Some(place.order().ok()?.owner)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybodys_files_are_looked_at_once_and_whoever_shows_it_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let (data, run) = (dir.path().join("data"), dir.path().join("run"));
        fs::create_dir_all(&run).expect("made");
        for owner in [3, 7] {
            for name in ["home", "data"] {
                fs::create_dir_all(data.join(format!("homes/{owner}/{name}"))).expect("made");
            }
        }
        fs::create_dir_all(data.join("homes/lost+found")).expect("made");
        fs::write(data.join("homes/7/data/film"), vec![1; 3 << 20]).expect("written");
        let (ledger, changes) = (Arc::new(Ledger::default()), Arc::new(watch::Sender::new(0)));
        let mut told = changes.subscribe();
        let rota = Arc::new(Rota::new(EVERY, owners(&data)));
        let looks = Looks { data, run, ledger: ledger.clone(), rota, changes };
        let measuring = tokio::spawn(looks.go_on());
        while ledger.people().len() < 2 {
            told.changed().await.expect("somebody measures");
        }
        let [three, seven] = [3, 7].map(|owner| ledger.of(owner).expect("measured"));
        assert!(seven.data.used - three.data.used >= 3 << 20, "{three:?} {seven:?}");
        assert_eq!((seven.data.limit, seven.is_enforced), (None, false));
        measuring.abort();
    }
}
