//! What waits for one viewer's socket.
//!
//! INVARIANT: bounded. Frames wait only as long as the fan-out gives them room; of every other kind
//! of packet at most one waits: a newer one takes the place of the one before.

use bytes::Bytes;
use lattice_wire::Micros;
use lattice_wire::picture::DIGEST;
use lattice_wire::server::DISPLAY_STATE;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A packet on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The packet.
    pub bytes: Bytes,
    /// Set for frames.
    pub frame: Option<FrameMark>,
}

/// What is measured once a frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameMark {
    /// Frames of an older run were dropped behind this one's back, so nobody counts on it.
    pub run: u32,
    /// When its change was noticed, had it come from the agent in no time; nothing for refreshes, which
    /// answer no change.
    pub noticed: Option<Micros>,
    /// When the key or button that it shows the effect of had arrived.
    pub input: Option<Micros>,
}

/// The queue; the hub fills it, the viewer's socket empties it.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<VecDeque<Item>>,
    ready: Notify,
}

impl Outbox {
    /// Adds a frame behind everything.
    pub fn push_frame(&self, bytes: Bytes, mark: FrameMark) {
        self.lock().push_back(Item { bytes, frame: Some(mark) });
        self.ready.notify_one();
    }

    /// Adds a packet of which only the newest counts.
    pub fn push_latest(&self, bytes: Bytes) {
        let mut queue = self.lock();
        let kind = bytes.first().copied();
        let same = |item: &Item| item.frame.is_none() && item.bytes.first().copied() == kind;
        let place = queue.iter().position(same);
        match place {
            // A digest holds after a frame, a display's loss after what was seen of it: neither may
            // overtake a frame.
            Some(place) if kind == Some(DIGEST) || kind == Some(DISPLAY_STATE) => {
                queue.remove(place);
                queue.push_back(Item { bytes, frame: None });
            }
            Some(place) => queue[place].bytes = bytes,
            None => queue.push_back(Item { bytes, frame: None }),
        }
        drop(queue);
        self.ready.notify_one();
    }

    /// Throws away frames and digests; returns how many frames.
    pub fn drop_frames(&self) -> usize {
        let mut queue = self.lock();
        let frames = queue.iter().filter(|item| item.frame.is_some()).count();
        queue.retain(|item| item.frame.is_none() && item.bytes.first() != Some(&DIGEST));
        frames
    }

    /// The next packet, once there is one. One task at a time may wait.
    pub async fn next(&self) -> Item {
        loop {
            if let Some(item) = self.lock().pop_front() {
                return item;
            }
            self.ready.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Item>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_wire::picture::FRAME;
    use lattice_wire::server::{CONTROL, CURSOR};

    const MARK: FrameMark = FrameMark { run: 0, noticed: None, input: None };

    fn packets(outbox: &Outbox) -> Vec<Vec<u8>> {
        outbox.lock().iter().map(|item| item.bytes.to_vec()).collect()
    }

    #[test]
    fn of_a_kind_the_newest_waits_in_the_oldest_ones_place() {
        let outbox = Outbox::default();
        for packet in [[CONTROL, 1], [CURSOR, 1], [CONTROL, 2]] {
            outbox.push_latest(Bytes::copy_from_slice(&packet));
        }
        assert_eq!(packets(&outbox), [[CONTROL, 2], [CURSOR, 1]]);
    }

    #[test]
    fn a_digest_or_a_loss_stays_behind_the_frame_before_it() {
        for kind in [DIGEST, DISPLAY_STATE] {
            let outbox = Outbox::default();
            outbox.push_latest(Bytes::copy_from_slice(&[kind, 1]));
            outbox.push_frame(Bytes::from_static(&[FRAME, 2]), MARK);
            outbox.push_latest(Bytes::copy_from_slice(&[kind, 2]));
            assert_eq!(packets(&outbox), [[FRAME, 2], [kind, 2]]);
        }
    }

    #[test]
    fn dropping_frames_leaves_everything_else() {
        let outbox = Outbox::default();
        outbox.push_latest(Bytes::from_static(&[CONTROL, 1]));
        outbox.push_frame(Bytes::from_static(&[FRAME, 2]), MARK);
        outbox.push_latest(Bytes::from_static(&[DIGEST, 2]));
        assert_eq!(outbox.drop_frames(), 1);
        assert_eq!(packets(&outbox), [[CONTROL, 1]]);
    }
}
