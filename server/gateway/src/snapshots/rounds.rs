//! Goes round, and has a snapshot made of each person's Data whose desktop runs and who has changed
//! something in the last quarter of an hour.

use super::Snapshots;
use crate::runtime::{Instance, InstanceState};
use crate::store::Timestamp;
use lattice_engine::snapshots::is_due;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks at who is there.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Who is to be looked at.
#[derive(Debug, Default)]
struct Rounds {
    /// When Data of whoever is there was last looked at, in seconds since 1970.
    looked: BTreeMap<i64, Option<u64>>,
}

impl Snapshots {
    /// Goes on for as long as this runs: one after the other, so that nobody notices.
    pub async fn go_round(self) {
        let mut rounds = Rounds::default();
        loop {
            // Where the runtime cannot be asked, the next look finds out.
            if let Ok(instances) = self.0.runtime.list().await {
                let works = |state: &InstanceState| {
                    matches!(state, InstanceState::Running(_) | InstanceState::Starting)
                };
                // One that has hardly begun does not say yet whose it is.
                let is_known = |instance: &&Instance| instance.owner != 0;
                let there = instances.iter().filter(is_known);
                let there = there.filter(|instance| works(&instance.state));
                let now = seconds();
                for owner in rounds.due(there.map(|instance| instance.owner).collect(), now) {
                    if let Err(error) = self.take_if_changed(owner).await {
                        let error = format!("{:#}", anyhow::Error::new(error));
                        tracing::warn!(
                            owner,
                            error,
                            "no snapshot could be made of somebody's Data"
                        );
                    }
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Rounds {
    /// Of those who are there, whose time it is; and whoever has gone since, once more.
    fn due(&mut self, there: BTreeSet<i64>, now: u64) -> Vec<i64> {
        for owner in &there {
            self.looked.entry(*owner).or_default();
        }
        let is_due = |(owner, looked): (&i64, &mut Option<u64>)| {
            let due = !there.contains(owner) || is_due(*looked, now);
            if due {
                *looked = Some(now);
            }
            due.then_some(*owner)
        };
        let due = self.looked.iter_mut().filter_map(is_due).collect();
        self.looked.retain(|owner, _| there.contains(owner));
        due
    }
}

fn seconds() -> u64 {
    u64::try_from(Timestamp::now().0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_engine::snapshots::EVERY_S;

    #[test]
    fn each_is_looked_at_every_quarter_of_an_hour_and_once_more_when_they_go() {
        let mut rounds = Rounds::default();
        let mut due = |there: &[i64], now| rounds.due(there.iter().copied().collect(), now);
        assert_eq!(due(&[], 5), [0; 0]);
        assert_eq!(due(&[1, 2], 10), [1, 2], "nobody knows what changed before");
        assert_eq!(due(&[1, 2], 40), [0; 0]);
        assert_eq!(due(&[1, 2, 3], 70), [3]);
        assert_eq!(due(&[1, 3], 100), [2], "it is gone");
        assert_eq!(due(&[1, 3], 130), [0; 0]);
        assert_eq!(due(&[1, 3], 10 + EVERY_S), [1]);
        assert_eq!(due(&[1, 3], 70 + EVERY_S), [3]);
    }
}
