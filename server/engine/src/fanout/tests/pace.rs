//! Who paces the agent, and who is told what.

use super::*;
use crate::rate::Bitrate;

const MS: fn(u64) -> Micros = Micros::from_millis;

/// A viewer whose link carries this much, with 20 ms of round trip, paints what it is sent.
struct Watcher {
    id: ViewerId,
    kbit: u64,
    /// When the link has carried what it was given.
    free: Micros,
    /// Frames on their way and when they will be painted.
    queue: Vec<(FrameRef, Micros)>,
}

struct Room {
    fanout: Fanout,
    watchers: Vec<Watcher>,
    now: Micros,
    id: u32,
    effects: Vec<(Micros, Effect)>,
}

impl Room {
    fn new(links: &[(ViewerId, u64)]) -> Self {
        let mut fanout = Fanout::new(Limits::default());
        let watchers = links.iter().map(|&(id, kbit)| {
            fanout.join(id, Sees::Video, Micros(0));
            Watcher { id, kbit, free: Micros(0), queue: Vec::new() }
        });
        let watchers = watchers.collect();
        let mut room = Self { fanout, watchers, now: Micros(0), id: 1, effects: Vec::new() };
        room.settle();
        room.answer(&keyframe(1), 100);
        room
    }

    fn settle(&mut self) {
        for effect in self.fanout.poll(self.now) {
            if let Effect::Refresh(_, Refresh::Part { .. }) = &effect {
                self.answer(&frame(self.id, &[spot(0)]), 1000);
            }
            self.effects.push((self.now, effect));
        }
    }

    fn send(&mut self, table: &FrameTable, len: usize) {
        let receivers = self.fanout.send(table, len, self.now);
        self.carry(table, len, receivers);
    }

    fn answer(&mut self, table: &FrameTable, len: usize) {
        let receivers = self.fanout.answer(table, len, self.now);
        self.carry(table, len, receivers);
    }

    fn carry(&mut self, table: &FrameTable, len: usize, receivers: Vec<ViewerId>) {
        for viewer in receivers {
            let watcher = self.watchers.iter_mut().find(|it| it.id == viewer).unwrap();
            let took = Micros(len as u64 * 8000 / watcher.kbit);
            watcher.free = watcher.free.max(self.now).plus(took);
            watcher.queue.push((table.at, watcher.free.plus(MS(20))));
        }
    }

    /// Runs for so long; a frame of so many bytes every 40 ms, none where that is 0.
    fn run(&mut self, span: Micros, len: usize) {
        let end = self.now.plus(span);
        while self.now < end {
            if len > 0 && self.now.0.is_multiple_of(40_000) {
                self.id += 1;
                self.send(&frame(self.id, &[spot(0)]), len);
            }
            self.now = self.now.plus(MS(1));
            for watcher in &mut self.watchers {
                while watcher.queue.first().is_some_and(|&(_, at)| at <= self.now) {
                    let (at, when) = watcher.queue.remove(0);
                    self.fanout.paint(watcher.id, at, when);
                }
            }
            self.settle();
        }
    }

    fn pace(&self) -> Option<Bitrate> {
        let paces = self.effects.iter().rev().find_map(|(_, effect)| match effect {
            Effect::Pace(pace) => Some(pace.bitrate),
            _ => None,
        });
        paces.flatten()
    }

    fn conditions(&self, id: ViewerId) -> Vec<(Micros, Condition)> {
        let told = self.effects.iter().filter_map(|(when, effect)| match effect {
            Effect::Condition(viewer, condition) if *viewer == id => Some((*when, *condition)),
            _ => None,
        });
        told.collect()
    }
}

#[test]
fn where_nobody_drives_the_fastest_paces() {
    let mut room = Room::new(&[(ANN, 2000), (BEN, 1_000_000)]);
    room.run(MS(3000), 20_000);
    assert_eq!(room.pace(), None);
    // He goes, and she is the fastest.
    room.fanout.leave(BEN);
    room.watchers.pop();
    room.run(MS(3000), 20_000);
    let pace = room.pace().expect("a limit").0;
    assert!((1_200_000..2_400_000).contains(&pace), "{pace} bit/s of 2 Mbit/s");
}

#[test]
fn who_drives_paces_even_where_others_are_faster() {
    let mut room = Room::new(&[(ANN, 2000), (BEN, 1_000_000)]);
    room.fanout.handle_controller(Some(ANN));
    room.run(MS(3000), 20_000);
    assert!(room.pace().is_some());
}

#[test]
fn who_drives_over_hardly_any_link_does_not_take_the_video_from_the_others() {
    let mut room = Room::new(&[(ANN, 300), (BEN, 1_000_000)]);
    room.fanout.handle_controller(Some(ANN));
    room.run(MS(5000), 20_000);
    assert_eq!(room.pace(), None);
}

#[test]
fn a_viewer_hears_what_limits_it_at_most_once_a_second_and_when_it_is_over() {
    let mut room = Room::new(&[(ANN, 2000)]);
    room.run(MS(5000), 20_000);
    room.run(MS(10_000), 0);
    let told = room.conditions(ANN);
    assert_eq!(told[0].1.bottleneck, Bottleneck::Network);
    assert!(told.windows(2).all(|pair| pair[1].0.since(pair[0].0) >= MS(1000)), "{told:?}");
    let (when, last) = told[told.len() - 1];
    assert_eq!(last.bottleneck, Bottleneck::Nothing);
    assert!(when < MS(9000), "{when:?}");
    // Then nothing wakes the hub.
    assert_eq!(room.fanout.deadline(), None);
}

#[test]
fn a_viewer_that_nothing_limits_is_told_nothing() {
    let mut room = Room::new(&[(ANN, 1_000_000)]);
    room.run(MS(3000), 20_000);
    assert_eq!(room.conditions(ANN), []);
}

#[test]
fn an_agent_that_is_late_again_and_again_is_what_limits() {
    let mut room = Room::new(&[(ANN, 1_000_000)]);
    room.fanout.handle_late(MANY_LATE_FRAMES, room.now);
    room.settle();
    assert_eq!(room.conditions(ANN)[0].1.bottleneck, Bottleneck::Server);
    room.run(MS(5000), 0);
    assert_eq!(room.conditions(ANN)[1].1.bottleneck, Bottleneck::Nothing);
}

const MANY_LATE_FRAMES: u64 = 30;

#[test]
fn a_new_agent_is_told_the_pace_anew() {
    let mut room = Room::new(&[(ANN, 2000)]);
    room.run(MS(3000), 20_000);
    room.effects.clear();
    room.fanout.reset();
    room.settle();
    assert!(room.pace().is_some());
}
