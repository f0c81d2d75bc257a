//! Slots: display, session bus and relay of a desktop, started and frozen before anybody has asked for
//! it. They are the same whatever the desktop is made of, so there is one pool for all templates.
//!
//! A slot has the id of the session that it will be. So its containers' labels are right from the
//! beginning, and a broker that starts finds it as it finds desktops.

use super::{Container, Core, Desktops, Found, Parts, State, group};
use crate::broker::protocol::Pool;
use crate::runtime::RuntimeError;
use futures_util::future::join_all;
use lattice_engine::session::SessionId;
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// What most desktops begin with; others are made from the beginning.
const GEOMETRY: (u16, u16) = (1366, 768);
/// A slot that was reserved and not started within this time is free again.
const RESERVED_FOR: Duration = Duration::from_secs(20);
/// So long nothing may have been started before a slot is: people who wait come first.
const CALM: Duration = Duration::from_secs(2);
/// How often to count slots though nothing was heard.
const LOOK: Duration = Duration::from_secs(30);
/// The first of the user ids of slots, which are below 2^31: the engine takes no larger one.
const FIRST_UID: u32 = 1_000_000_000;

impl Desktops {
    /// Takes a slot for a session that is yet to be.
    pub(in crate::broker) async fn reserve(&self) -> Result<Option<SessionId>, RuntimeError> {
        let slots = self.slots().await?;
        let mut reserved = self.reserved();
        reserved.retain(|_, since| since.elapsed() < RESERVED_FOR);
        let free = slots.into_keys().find(|session| !reserved.contains_key(session));
        if let Some(session) = &free {
            reserved.insert(session.clone(), Instant::now());
        }
        drop(reserved);
        self.bump();
        Ok(free)
    }

    /// How many slots nobody has reserved, and how many there are to be.
    pub(in crate::broker) async fn pool(&self) -> Result<Pool, RuntimeError> {
        let wanted = self.settings.pool;
        let slots = if wanted == 0 { HashMap::new() } else { self.slots().await? };
        let reserved = self.reserved();
        let ready = slots.keys().filter(|session| !reserved.contains_key(session)).count();
        Ok(Pool { ready, wanted })
    }

    /// Whether what there is of a session is a slot that works.
    pub(super) fn is_slot(&self, session: &SessionId, found: &Found) -> bool {
        let parts = Core::PARTS.iter().map(|core| found.core.get(core));
        let place = self.place(session);
        parts.flatten().filter(|part| part.is_alive()).count() == Core::PARTS.len()
            && !found.core.contains_key(&Core::Desktop)
            && found.apps.is_empty()
            && !place.is_furnished()
            && place.agent_socket().exists()
    }

    async fn slots(&self) -> Result<HashMap<SessionId, Found>, RuntimeError> {
        let all = group(self.engine.list(vec![self.label()]).await?);
        let is_starting = |session: &SessionId| self.starting().contains(session);
        let slots = all
            .into_iter()
            .filter(|(session, found)| !is_starting(session) && self.is_slot(session, found));
        Ok(slots.collect())
    }

    /// Makes slots whenever some are missing and nobody waits for a desktop, one after the other.
    pub(in crate::broker) async fn keep_pool(self: Arc<Self>) {
        if self.settings.pool == 0 {
            return;
        }
        let mut changes = self.changes();
        loop {
            let filled = self.fill_by_one().await;
            let pause = match filled {
                Ok(true) => Duration::ZERO,
                Ok(false) => {
                    let _ = timeout(LOOK, changes.changed()).await;
                    CALM
                }
                Err(error) => {
                    tracing::warn!(%error, "no desktop could be made ready ahead of time");
                    LOOK
                }
            };
            sleep(pause).await;
            self.calm().await;
            changes.mark_unchanged();
        }
    }

    /// Waits until nothing is being started, and nothing was for a while.
    async fn calm(&self) {
        let mut changes = self.changes();
        loop {
            let busy = !self.starting().is_empty();
            let changed = timeout(CALM, changes.changed()).await.is_ok();
            if !busy && !changed {
                return;
            }
        }
    }

    /// Makes one slot where one is missing, or removes one that is too many: some are where a broker or a
    /// gateway was killed between taking one and starting it. Whether there was anything to do.
    async fn fill_by_one(&self) -> Result<bool, RuntimeError> {
        let slots = self.slots().await?;
        let is_free = |session: &SessionId| !self.reserved().contains_key(session);
        // One that a broker was killed over is not frozen yet.
        for (session, slot) in &slots {
            let _turn = self.turns.take(session).await;
            if slot.core.values().any(is_running) && !self.reserved().contains_key(session) {
                let found = self.find(session).await?;
                if self.is_slot(session, &found) {
                    self.freeze(&found).await?;
                }
            }
        }
        let free: Vec<_> = slots.keys().filter(|session| is_free(session)).cloned().collect();
        if let Some(extra) = free.get(self.settings.pool) {
            let _turn = self.turns.take(extra).await;
            // Somebody may have taken it meanwhile.
            let found = self.find(extra).await?;
            if is_free(extra) && self.is_slot(extra, &found) {
                self.clear(extra, found).await?;
            }
            return Ok(true);
        }
        if free.len() == self.settings.pool {
            return Ok(false);
        }
        let mut bits = [0; 10];
        let random = getrandom::fill(&mut bits);
        random.map_err(|error| RuntimeError::Refused(format!("get random bytes: {error}")))?;
        let session = SessionId::from_bytes(bits);
        let uid = FIRST_UID + u32::from_le_bytes([bits[0], bits[1], bits[2], bits[3] & 0x3f]);
        let _turn = self.turns.take(&session).await;
        self.making().insert(session.clone());
        let mut made = self.make_slot(&session, uid).await;
        if made.is_err() {
            let left = self.find(&session).await;
            let cleared = match left {
                Ok(left) => self.clear(&session, left).await,
                Err(error) => Err(error),
            };
            made = made.and(cleared);
        }
        self.making().remove(&session);
        made.map(|()| true)
    }

    async fn make_slot(&self, session: &SessionId, uid: u32) -> Result<(), RuntimeError> {
        let place = self.place(session);
        let gateway = self.settings.gateway;
        let tokens = place.prepare(Parts { uid, gateway, geometry: GEOMETRY })?;
        let directory = self.settings.paths.host(place.dir())?;
        let site = self.site(session, &directory);
        self.make_parts(&place, site, uid, "Desktop", &tokens).await?;
        self.freeze(&self.find(session).await?).await
    }

    async fn freeze(&self, slot: &Found) -> Result<(), RuntimeError> {
        let running = slot.core.values().filter(|part| is_running(part));
        join_all(running.map(|part| self.engine.pause(&part.id))).await.into_iter().collect()
    }

    fn reserved(&self) -> MutexGuard<'_, HashMap<SessionId, Instant>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_running(part: &Container) -> bool {
    part.state == State::RUNNING
}
