//! What time itself changes: links and logins that expire.

use super::Api;
use crate::hub::Whose;
use crate::store::{StoreError, Timestamp};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::sleep;

/// How long nothing is looked for at most; the wall clock may jump meanwhile.
const LONGEST: Duration = Duration::from_secs(60);
/// How long to wait where the store failed.
const AGAIN: Duration = Duration::from_secs(1);
/// How often logins are looked through for those that have ended.
const LOGINS_S: i64 = 60;
/// How often what has long ended is forgotten.
const PRUNE_S: i64 = 3600;

/// When each was last done.
struct Done {
    links: Timestamp,
    logins: Timestamp,
    pruned: Timestamp,
}

impl Api {
    /// Ends the sockets of what expires, within a second, and forgets what has ended. For ever.
    pub async fn upkeep(self) {
        let mut changes = self.changes();
        let long_ago = Timestamp(0);
        let mut done = Done { links: Timestamp::now(), logins: long_ago, pruned: long_ago };
        loop {
            changes.mark_unchanged();
            let wait = match self.expire(&mut done, Timestamp::now()).await {
                Ok(next) => next.map_or(LONGEST, until).min(LONGEST),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "upkeep is late");
                    AGAIN
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Ends what has expired; when the next link does.
    async fn expire(
        &self,
        done: &mut Done,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let links = self.store().links_expired(done.links, now).await?;
        for link in &links {
            self.desktops().dismiss(Whose::Link(*link)).await;
        }
        done.links = now;
        let mut logins = Vec::new();
        if now.since(done.logins) >= LOGINS_S {
            logins = self.store().prune_logins(now).await?;
            done.logins = now;
        }
        for login in &logins {
            self.desktops().dismiss(Whose::Login(*login)).await;
        }
        if !links.is_empty() || !logins.is_empty() {
            self.note_change();
        }
        if now.since(done.pruned) >= PRUNE_S {
            if self.store().delete_discarded(now).await? > 0 {
                self.note_change();
            }
            self.store().prune_links(now).await?;
            self.store().prune_preview_links(now).await?;
            self.store().prune_audit(now).await?;
            done.pruned = now;
        }
        self.store().next_expiry(now).await
    }
}

fn until(at: Timestamp) -> Duration {
    let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(at.0).unwrap_or(0));
    at.duration_since(SystemTime::now()).unwrap_or_default()
}
