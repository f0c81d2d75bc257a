//! Who may look at which preview: tickets, which lead there once and soon, and the seats that browsers
//! swap them for. Time comes in as an argument.
//!
//! They are in memory only. Who has a seat when the server starts anew is led through the server's own
//! pages again, which nobody sees.

use super::name::Name;
use crate::http::api::Right;
use crate::store::TokenHash;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A ticket is used by the page that got it.
const TICKET_LIFE: Duration = Duration::from_secs(30);
/// A school day; then one is led through the server's own pages again.
pub(super) const SEAT_LIFE: Duration = Duration::from_secs(12 * 3600);
/// So soon after it was looked at a seat is looked at again: whoever lost the right loses the preview.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Tickets and seats; the oldest go first.
const MOST: usize = 4096;
/// What one browser may have under way with one preview.
const MOST_AT_ONCE: usize = 32;

/// All tickets and seats.
#[derive(Debug, Default)]
pub(super) struct Seats {
    tickets: HashMap<TokenHash, (Seat, Instant)>,
    seats: HashMap<TokenHash, (Seat, Instant)>,
}

/// A right to look at one preview.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) name: Name,
    pub(super) right: Right,
    /// When it was last seen to be worth something.
    looked: Instant,
    /// What is under way.
    pub(super) turns: Arc<Semaphore>,
}

impl Seat {
    pub(super) fn new(name: Name, right: Right, now: Instant) -> Self {
        Self { name, right, looked: now, turns: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }

    /// Whether it is time to see whether it is still worth something.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now.duration_since(self.looked) >= LOOK_AGAIN
    }
}

impl Seats {
    /// Makes a ticket for a seat.
    pub(super) fn offer(&mut self, ticket: TokenHash, seat: Seat, now: Instant) {
        keep(&mut self.tickets, ticket, seat, now, TICKET_LIFE);
    }

    /// Swaps a ticket for a seat at that very preview; nothing where it was used or is too old.
    pub(super) fn take(
        &mut self,
        ticket: &TokenHash,
        name: &Name,
        own: TokenHash,
        now: Instant,
    ) -> bool {
        // Used up whatever comes of it.
        let Some((seat, made)) = self.tickets.remove(ticket) else { return false };
        if now.duration_since(made) > TICKET_LIFE || seat.name != *name {
            return false;
        }
        keep(&mut self.seats, own, seat, now, SEAT_LIFE);
        true
    }

    /// The seat of that secret at that very preview.
    pub(super) fn find(&self, own: &TokenHash, name: &Name, now: Instant) -> Option<Seat> {
        let (seat, made) = self.seats.get(own)?;
        let is_good = now.duration_since(*made) <= SEAT_LIFE && seat.name == *name;
        is_good.then(|| seat.clone())
    }

    /// It was just seen to be worth what it was.
    pub(super) fn looked(&mut self, own: &TokenHash, now: Instant) {
        if let Some((seat, _)) = self.seats.get_mut(own) {
            seat.looked = now;
        }
    }

    /// It is worth nothing any more.
    pub(super) fn end(&mut self, own: &TokenHash) {
        self.seats.remove(own);
    }
}

fn keep(
    all: &mut HashMap<TokenHash, (Seat, Instant)>,
    key: TokenHash,
    seat: Seat,
    now: Instant,
    life: Duration,
) {
    if all.len() >= MOST {
        all.retain(|_, (_, made)| now.duration_since(*made) <= life);
    }
    if all.len() >= MOST {
        let oldest = all.iter().min_by_key(|(_, (_, made))| *made).map(|(key, _)| *key);
        oldest.and_then(|key| all.remove(&key));
    }
    all.insert(key, (seat, now));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::Admission;

    fn name(port: u16) -> Name {
        Name { session: "abcdefghijklmnop".parse().expect("an id"), port }
    }

    fn seat(port: u16, now: Instant) -> Seat {
        Seat::new(
            name(port),
            Right::Person(Box::new(Admission::of_owner(name(port).session, None))),
            now,
        )
    }

    fn hash(text: &str) -> TokenHash {
        TokenHash::of(text)
    }

    #[test]
    fn a_ticket_is_good_once_soon_and_for_its_own_preview() {
        let (mut seats, start) = (Seats::default(), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        seats.offer(hash("a"), seat(8000, start), start);
        assert!(seats.find(&hash("a"), &name(8000), start).is_none(), "it is no seat");
        assert!(seats.take(&hash("a"), &name(8000), hash("own"), later(1)));
        assert!(!seats.take(&hash("a"), &name(8000), hash("again"), later(1)));
        assert!(seats.find(&hash("own"), &name(8000), later(2)).is_some());
        assert!(seats.find(&hash("own"), &name(8001), later(2)).is_none(), "another port");
        seats.offer(hash("b"), seat(8000, start), start);
        assert!(!seats.take(&hash("b"), &name(8001), hash("x"), later(1)), "another preview");
        assert!(!seats.take(&hash("b"), &name(8000), hash("x"), later(1)), "used up all the same");
        seats.offer(hash("c"), seat(8000, start), start);
        assert!(!seats.take(&hash("c"), &name(8000), hash("x"), later(31)), "too old");
    }

    #[test]
    fn a_seat_ends_with_the_day_or_with_its_right() {
        let (mut seats, start) = (Seats::default(), Instant::now());
        seats.offer(hash("a"), seat(8000, start), start);
        assert!(seats.take(&hash("a"), &name(8000), hash("own"), start));
        let found = seats.find(&hash("own"), &name(8000), start).expect("there");
        let soon = start + LOOK_AGAIN;
        assert!(!found.is_due(start) && found.is_due(soon));
        seats.looked(&hash("own"), soon);
        assert!(!seats.find(&hash("own"), &name(8000), soon).expect("there").is_due(soon));
        let evening = start + SEAT_LIFE + Duration::from_secs(1);
        assert!(seats.find(&hash("own"), &name(8000), evening).is_none());
        seats.end(&hash("own"));
        assert!(seats.find(&hash("own"), &name(8000), start).is_none());
    }

    #[test]
    fn there_are_never_more_than_so_many_and_the_oldest_go_first() {
        let (mut seats, start) = (Seats::default(), Instant::now());
        for number in 0..=MOST {
            let now = start + Duration::from_millis(number as u64);
            seats.offer(hash(&number.to_string()), seat(8000, now), now);
        }
        assert_eq!(seats.tickets.len(), MOST);
        let now = start + Duration::from_secs(5);
        assert!(!seats.take(&hash("0"), &name(8000), hash("x"), now));
        assert!(seats.take(&hash("1"), &name(8000), hash("x"), now));
    }
}
