//! Packets on their way to the gateway.

use super::lock;
use lattice_wire::{Availability, DisplayState, Micros, Size};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Frames that may wait for the link; with more the display's damage waits instead.
const MAX_FRAMES: usize = 2;

/// Packets that were written leave their memory to the next frames: so many, and of so many bytes, which
/// a unit of a film at 1080p rarely has.
const SPARE: usize = MAX_FRAMES + 2;
const SPARE_BYTES: usize = 256 << 10;

/// What a packet is, as far as the queue cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A frame; all are kept, the capture thread sees to it that there are few.
    Frame,
    /// A digest; the newest is kept.
    Digest,
    /// A cursor; the newest is kept, and sent to every new link.
    Cursor,
    /// A display state; the newest is kept, and sent to every new link.
    State,
    /// Statistics; the newest are kept.
    Stats,
    /// A still picture; the newest is kept.
    Still,
}

/// The queue to the link, and what every new link is told first.
#[derive(Debug, Default)]
pub struct Outbound {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    link: u64,
    is_open: bool,
    packets: VecDeque<(Kind, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
    cursor: Option<Vec<u8>>,
    display: Option<DisplayState>,
    hung: Option<String>,
    limits: Option<(Size, Size)>,
}

/// What came of waiting for a packet.
#[derive(Debug)]
pub enum Next {
    /// A packet to write.
    Packet(Kind, Vec<u8>),
    /// Nothing for a while.
    Nothing,
    /// The link is closed, or another one took its place.
    Closed,
}

impl Outbound {
    /// A new link takes over. Returns its number.
    pub fn open(&self) -> u64 {
        let mut queue = lock(&self.queue);
        queue.link += 1;
        queue.is_open = true;
        queue.packets.clear();
        let state = queue.state();
        queue.push(Kind::State, state.encode());
        if let Some(cursor) = queue.cursor.clone() {
            queue.push(Kind::Cursor, cursor);
        }
        self.changed.notify_all();
        queue.link
    }

    /// The link of this number is gone; true where it was the current one.
    pub fn close(&self, link: u64) -> bool {
        let mut queue = lock(&self.queue);
        let was_current = queue.is_open && queue.link == link;
        if was_current {
            queue.is_open = false;
            queue.packets.clear();
            self.changed.notify_all();
        }
        was_current
    }

    /// Whether this link is the current one.
    pub fn is_current(&self, link: u64) -> bool {
        let queue = lock(&self.queue);
        queue.is_open && queue.link == link
    }

    /// Hands a packet over; without a link it is dropped.
    pub fn push(&self, kind: Kind, packet: Vec<u8>) {
        lock(&self.queue).push(kind, packet);
        self.changed.notify_all();
    }

    /// Memory for a frame's packet: that of one that was written, where there is any.
    pub fn memory(&self) -> Vec<u8> {
        lock(&self.queue).spare.pop().unwrap_or_default()
    }

    /// Takes the memory of a packet back that was written.
    pub fn give_back(&self, packet: Vec<u8>) {
        let mut queue = lock(&self.queue);
        if queue.spare.len() < SPARE && packet.capacity() <= SPARE_BYTES {
            queue.spare.push(packet);
        }
    }

    /// Whether another frame may be made.
    pub fn has_room(&self) -> bool {
        let queue = lock(&self.queue);
        queue.packets.iter().filter(|(kind, _)| *kind == Kind::Frame).count() < MAX_FRAMES
    }

    /// The pointer has this shape.
    pub fn set_cursor(&self, packet: Vec<u8>) {
        let mut queue = lock(&self.queue);
        queue.cursor = Some(packet.clone());
        queue.push(Kind::Cursor, packet);
        self.changed.notify_all();
    }

    /// The display came or went. Frames of the one before are dropped.
    pub fn set_display(&self, state: DisplayState) {
        let mut queue = lock(&self.queue);
        queue.packets.retain(|(kind, _)| *kind == Kind::State);
        queue.cursor = None;
        queue.display = Some(state);
        queue.announce();
        self.changed.notify_all();
    }

    /// The display does not answer, for this reason, or answers again.
    pub fn set_hung(&self, reason: Option<String>) {
        let mut queue = lock(&self.queue);
        if queue.hung.is_some() != reason.is_some() {
            queue.hung = reason;
            queue.announce();
            self.changed.notify_all();
        }
    }

    /// The sizes that the display can be given.
    pub fn set_limits(&self, limits: (Size, Size)) {
        lock(&self.queue).limits = Some(limits);
        self.changed.notify_all();
    }

    /// The sizes that the display can be given, waiting a while for the first display.
    pub fn limits(&self, patience: Duration) -> Option<(Size, Size)> {
        let queue = lock(&self.queue);
        let unknown = |queue: &mut Queue| queue.limits.is_none() && queue.display.is_none();
        match self.changed.wait_timeout_while(queue, patience, unknown) {
            Ok((queue, _)) => queue.limits,
            Err(_) => None,
        }
    }

    /// Waits for the next packet of this link.
    pub fn next(&self, link: u64, patience: Micros) -> Next {
        let empty =
            |queue: &mut Queue| queue.is_open && queue.link == link && queue.packets.is_empty();
        let patience = Duration::from_micros(patience.0);
        let waited = self.changed.wait_timeout_while(lock(&self.queue), patience, empty);
        let Ok((mut queue, _)) = waited else { return Next::Closed };
        if !queue.is_open || queue.link != link {
            return Next::Closed;
        }
        queue.packets.pop_front().map_or(Next::Nothing, |(kind, packet)| Next::Packet(kind, packet))
    }
}

impl Queue {
    fn push(&mut self, kind: Kind, packet: Vec<u8>) {
        if !self.is_open {
            return;
        }
        if kind != Kind::Frame {
            self.packets.retain(|(queued, _)| *queued != kind);
        }
        self.packets.push_back((kind, packet));
    }

    fn announce(&mut self) {
        let state = self.state();
        self.push(Kind::State, state.encode());
    }

    fn state(&self) -> DisplayState {
        let lost = |reason: &str| DisplayState { state: Availability::Lost, reason: reason.into() };
        match (&self.display, &self.hung) {
            (_, Some(reason)) => lost(reason),
            (Some(state), None) => state.clone(),
            (None, None) => lost("the display is being connected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(outbound: &Outbound, link: u64) -> Vec<(Kind, Vec<u8>)> {
        std::iter::from_fn(|| match outbound.next(link, Micros(0)) {
            Next::Packet(kind, packet) => Some((kind, packet)),
            Next::Nothing | Next::Closed => None,
        })
        .collect()
    }

    fn opened() -> (Outbound, u64) {
        let outbound = Outbound::default();
        let link = outbound.open();
        drain(&outbound, link);
        (outbound, link)
    }

    #[test]
    fn of_small_packets_the_newest_is_kept_in_order() {
        let (outbound, link) = opened();
        outbound.push(Kind::Digest, vec![1]);
        outbound.push(Kind::Frame, vec![2]);
        outbound.push(Kind::Digest, vec![3]);
        assert_eq!(drain(&outbound, link), [(Kind::Frame, vec![2]), (Kind::Digest, vec![3])]);
    }

    #[test]
    fn two_waiting_frames_leave_no_room() {
        let (outbound, link) = opened();
        outbound.push(Kind::Frame, vec![]);
        assert!(outbound.has_room());
        outbound.push(Kind::Frame, vec![]);
        assert!(!outbound.has_room());
        drain(&outbound, link);
        assert!(outbound.has_room());
    }

    #[test]
    fn a_new_link_is_told_the_state_and_the_cursor() {
        let (outbound, old) = opened();
        outbound.set_cursor(vec![3]);
        let new = outbound.open();
        assert!(matches!(outbound.next(old, Micros(0)), Next::Closed));
        let kinds: Vec<Kind> = drain(&outbound, new).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [Kind::State, Kind::Cursor]);
    }

    #[test]
    fn a_lost_display_takes_its_frames_along() {
        let (outbound, link) = opened();
        outbound.push(Kind::Frame, vec![]);
        outbound.set_display(DisplayState { state: Availability::Lost, reason: String::new() });
        assert!(drain(&outbound, link).iter().all(|(kind, _)| *kind == Kind::State));
    }

    #[test]
    fn a_hung_display_is_announced_once_and_again_when_it_answers() {
        let (outbound, link) = opened();
        outbound.set_display(DisplayState { state: Availability::Live, reason: String::new() });
        drain(&outbound, link);
        outbound.set_hung(Some("no answer".into()));
        outbound.set_hung(Some("no answer".into()));
        assert_eq!(drain(&outbound, link).len(), 1);
        outbound.set_hung(None);
        let [(Kind::State, packet)] = &drain(&outbound, link)[..] else { panic!("one state") };
        let state = DisplayState::decode(packet).expect("it is a display state");
        assert_eq!(state.state, Availability::Live);
    }
}
