//! How often something may be tried.
//!
//! INVARIANT: both maps are bounded, whatever addresses and names come.

use crate::store::{TokenHash, UserId};
use lattice_wire::Micros;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::IpAddr;

const WINDOW: Micros = Micros::from_millis(60_000);
/// Addresses remembered at once; beyond, strangers share one budget.
const MAX_ADDRESSES: usize = 1024;
/// Accounts remembered at once; beyond, the one that was quiet for longest is forgotten.
const MAX_ACCOUNTS: usize = 4096;
/// Passwords that may be tried at an account within a minute.
const TRIES: u32 = 5;
/// The longest that an account is closed; and what was wrong is forgotten after as long.
const LONGEST: Micros = Micros::from_millis(15 * 60_000);

/// How often each address was wrong in its current minute.
#[derive(Debug)]
pub(super) struct Budgets {
    most: u32,
    seen: HashMap<IpAddr, Budget>,
    strangers: Budget,
}

#[derive(Debug, Clone, Copy, Default)]
struct Budget {
    since: Micros,
    used: u32,
}

impl Budgets {
    /// So many a minute for each address.
    pub(super) fn new(most: u32) -> Self {
        Self { most, seen: HashMap::new(), strangers: Budget::default() }
    }

    /// Counts one; where there were too many, in how many seconds there may be more.
    pub(super) fn spend(&mut self, peer: IpAddr, now: Micros) -> Result<(), u64> {
        let peer = prefix(peer);
        if self.seen.len() >= MAX_ADDRESSES && !self.seen.contains_key(&peer) {
            self.seen.retain(|_, budget| now.since(budget.since) < WINDOW);
        }
        let budget = if self.seen.len() < MAX_ADDRESSES || self.seen.contains_key(&peer) {
            self.seen.entry(peer).or_insert(Budget { since: now, used: 0 })
        } else {
            &mut self.strangers
        };
        if now.since(budget.since) >= WINDOW {
            *budget = Budget { since: now, used: 0 };
        }
        budget.used = budget.used.saturating_add(1);
        if budget.used <= self.most {
            return Ok(());
        }
        Err(seconds(WINDOW.since(now.since(budget.since))))
    }
}

/// One household or machine has a whole /64, so that is what is counted.
fn prefix(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

fn seconds(left: Micros) -> u64 {
    left.0.div_ceil(1_000_000)
}

/// What passwords are tried at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Account {
    /// A user. At a device of theirs they have tries of their own: who guesses elsewhere does not
    /// lock them out.
    User {
        /// Who.
        user: UserId,
        /// Which device, where they have signed in with it before.
        device: Option<TokenHash>,
    },
    /// A name that is nobody's. It is counted all the same, or the limit would tell it.
    Unknown([u8; 16]),
}

impl Account {
    /// A name that is nobody's.
    pub(super) fn unknown(name: &str) -> Self {
        let hash: [u8; 32] = Sha256::digest(name.to_lowercase().as_bytes()).into();
        let mut short = [0; 16];
        short.copy_from_slice(&hash[..16]);
        Self::Unknown(short)
    }
}

/// The tries at each account.
#[derive(Debug, Default)]
pub(super) struct Accounts(HashMap<Account, Tries>);

#[derive(Debug, Clone, Copy)]
struct Tries {
    /// In the minute from `since`.
    used: u32,
    since: Micros,
    /// How often the account was closed in a row.
    closings: u32,
    closed_until: Micros,
    last: Micros,
}

impl Accounts {
    /// Counts a try; where there were too many, in how many seconds there may be another. Five a
    /// minute are free; then one after 1, 2, 4, 8 and every 15 minutes.
    pub(super) fn try_at(&mut self, account: Account, now: Micros) -> Result<(), u64> {
        self.make_room(account, now);
        let fresh = Tries { used: 0, since: now, closings: 0, closed_until: now, last: now };
        let tries = self.0.entry(account).or_insert(fresh);
        if now < tries.closed_until {
            return Err(seconds(tries.closed_until.since(now)));
        }
        if now.since(tries.last.max(tries.closed_until)) >= LONGEST {
            *tries = fresh;
        }
        if now.since(tries.since) >= WINDOW {
            (tries.since, tries.used) = (now, 0);
        }
        tries.used += 1;
        tries.last = now;
        if tries.used >= TRIES || tries.closings > 0 {
            let closed = Micros(WINDOW.0 << tries.closings.min(4)).min(LONGEST);
            tries.closed_until = Micros(now.0 + closed.0);
            tries.closings += 1;
        }
        Ok(())
    }

    /// The try was right.
    pub(super) fn clear(&mut self, account: Account) {
        self.0.remove(&account);
    }

    fn make_room(&mut self, account: Account, now: Micros) {
        if self.0.len() < MAX_ACCOUNTS || self.0.contains_key(&account) {
            return;
        }
        self.0.retain(|_, tries| now.since(tries.last.max(tries.closed_until)) < LONGEST);
        if self.0.len() >= MAX_ACCOUNTS {
            let quietest = self.0.iter().min_by_key(|(_, tries)| tries.last).map(|(key, _)| *key);
            quietest.map(|key| self.0.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Account = Account::User { user: UserId(1), device: None };
    const MINUTE: u64 = 60_000_000;

    #[test]
    fn a_million_addresses_cost_no_memory_and_share_a_budget() {
        let mut budgets = Budgets::new(60);
        let spent = (0..5000u32).map(|n| budgets.spend(IpAddr::V4(n.into()), Micros(0)));
        let limited = spent.filter(Result::is_err).count();
        assert_eq!(budgets.seen.len(), MAX_ADDRESSES);
        assert_eq!(limited, 5000 - MAX_ADDRESSES - 60);
        assert_eq!(budgets.spend(IpAddr::V4(9999.into()), WINDOW), Ok(()));
    }

    #[test]
    fn an_account_closes_for_longer_each_time() {
        let mut accounts = Accounts::default();
        for n in 0..5 {
            assert_eq!(accounts.try_at(ANN, Micros(n)), Ok(()));
        }
        assert_eq!(accounts.try_at(ANN, Micros(5)), Err(60));
        let mut now = 4 + MINUTE;
        for minutes in [2, 4, 8, 15, 15] {
            assert_eq!(accounts.try_at(ANN, Micros(now)), Ok(()), "one try is free at {now}");
            assert_eq!(accounts.try_at(ANN, Micros(now)), Err(minutes * 60));
            now += minutes * MINUTE;
        }
        // Nobody tried for a quarter of an hour after it opened: all is forgotten.
        now += LONGEST.0;
        for n in 0..5 {
            assert_eq!(accounts.try_at(ANN, Micros(now + n)), Ok(()));
        }
        assert!(accounts.try_at(ANN, Micros(now + 5)).is_err());
    }

    #[test]
    fn five_a_minute_for_ever_is_not_many() {
        let mut accounts = Accounts::default();
        for n in 0..100 {
            assert_eq!(accounts.try_at(ANN, Micros(n * MINUTE / 4)), Ok(()), "try {n}");
        }
    }

    #[test]
    fn who_was_right_starts_anew_and_a_device_of_their_own_is_not_closed() {
        let mut accounts = Accounts::default();
        for n in 0..20 {
            let _ = accounts.try_at(ANN, Micros(n));
        }
        let device = Some(TokenHash::of("a device"));
        let at_home = Account::User { user: UserId(1), device };
        assert_eq!(accounts.try_at(at_home, Micros(20)), Ok(()));
        accounts.clear(ANN);
        assert_eq!(accounts.try_at(ANN, Micros(21)), Ok(()));
    }

    #[test]
    fn any_number_of_names_is_bounded() {
        let mut accounts = Accounts::default();
        for n in 0..2 * MAX_ACCOUNTS as u64 {
            assert_eq!(accounts.try_at(Account::unknown(&format!("name {n}")), Micros(n)), Ok(()));
        }
        assert_eq!(accounts.0.len(), MAX_ACCOUNTS);
    }
}
