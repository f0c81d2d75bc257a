//! What desktops use: measured now and then, so that who decides whether there is room for one more goes
//! by what they really take.

use super::{Container, Core, Desktops, Found, State, group};
use crate::broker::engine::Taken;
use crate::broker::protocol::{PartState, SeenPart, Usage};
use crate::runtime::RuntimeError;
use futures_util::future::join_all;
use lattice_engine::session::SessionId;
use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Memory changes slowly, and each look costs the engine some milliseconds a container.
const INTERVAL: Duration = Duration::from_secs(30);

/// What a desktop was measured to use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    at: Instant,
    taken: Taken,
    /// In hundredths of a processor, since the look before.
    cpu: Option<u32>,
}

impl Used {
    fn new(taken: Taken, before: Option<&Self>) -> Self {
        let at = Instant::now();
        let cpu = before.and_then(|before| {
            // Of fewer containers, one that ended took its time along.
            let busy = taken.cpu.checked_sub(before.taken.cpu)?.as_secs_f64();
            Some((busy / at.duration_since(before.at).as_secs_f64() * 100.0).round() as u32)
        });
        Self { at, taken, cpu }
    }
}

impl Desktops {
    /// Measures for as long as this runs.
    pub(in crate::broker) async fn measure(self: Arc<Self>) {
        loop {
            if let Err(error) = self.measure_all().await {
                tracing::debug!(%error, "what desktops use could not be measured");
            }
            sleep(INTERVAL).await;
        }
    }

    async fn measure_all(&self) -> Result<(), RuntimeError> {
        let mut measured = BTreeMap::new();
        for (session, found) in group(self.engine.list(vec![self.label()]).await?) {
            if self.is_slot(&session, &found) {
                continue;
            }
            let all = found.core.values().chain(found.apps.values());
            let running = all.filter(|container| container.state == State::RUNNING);
            let parts = join_all(running.map(|part| self.engine.taken(&part.id))).await;
            let taken = parts.into_iter().flatten().fold(Taken::default(), Taken::and);
            let used = Used::new(taken, self.used().get(&session));
            measured.insert(session, used);
        }
        *self.used() = measured;
        Ok(())
    }

    /// What a session is made of and takes.
    pub(super) fn usage(&self, session: &SessionId, found: &Found) -> Usage {
        let used = self.used().get(session).copied();
        let core = Core::ALL.into_iter().filter_map(|core| {
            let container = found.core.get(&core)?;
            Some(part(core.name(), false, container))
        });
        let apps = found.apps.iter().map(|(name, container)| part(name, true, container));
        Usage {
            // Others may have been made ahead of time.
            since: found.core.get(&Core::Desktop).and_then(|desktop| desktop.made),
            memory: used.map(|used| used.taken.memory),
            cpu: used.and_then(|used| used.cpu),
            parts: core.chain(apps).collect(),
        }
    }

    pub(super) fn used(&self) -> MutexGuard<'_, BTreeMap<SessionId, Used>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn part(name: &str, is_app: bool, container: &Container) -> SeenPart {
    let state = match container.state {
        State::RUNNING => PartState::Running,
        State::PAUSED => PartState::Paused,
        State::CREATED | State::RESTARTING => PartState::Starting,
        _ => PartState::Ended,
    };
    SeenPart { name: name.to_owned(), is_app, state }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_busy_it_was_is_known_from_the_second_look_on() {
        let taken = |seconds| Taken { memory: 1, cpu: Duration::from_secs(seconds) };
        let first = Used::new(taken(100), None);
        assert_eq!(first.cpu, None);
        let earlier = Instant::now().checked_sub(Duration::from_secs(10));
        let first = Used { at: earlier.expect("the machine runs for longer"), ..first };
        let second = Used::new(taken(105), Some(&first));
        assert!(second.cpu.is_some_and(|cpu| (48..=50).contains(&cpu)), "{second:?}");
        assert_eq!(Used::new(taken(3), Some(&first)).cpu, None, "a container ended");
    }
}
