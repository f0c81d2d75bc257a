use super::*;
use crate::damage::History;
use lattice_wire::{Epoch, FrameFlags, FrameId, Rect, Seq, Size, Step, StepKind};
use proptest::prelude::*;

const SIZE: Size = Size::new(64, 64);
const ANN: ViewerId = ViewerId(1);
const BEN: ViewerId = ViewerId(2);

fn at(id: u32) -> FrameRef {
    FrameRef { epoch: Epoch(7), id: FrameId(id) }
}

fn frame(id: u32, rects: &[Rect]) -> FrameTable {
    let steps = rects.iter().map(|&rect| Step { rect, kind: StepKind::Fill(0) }).collect();
    let flags = FrameFlags::default();
    let echo = (ViewerId(0), Seq(0));
    FrameTable { flags, at: at(id), size: SIZE, noticed: Micros(0), echo, cost_us: 0, steps }
}

fn keyframe(id: u32) -> FrameTable {
    let flags = FrameFlags { keyframe: true, refresh: true };
    FrameTable { flags, ..frame(id, &[]) }
}

fn spot(x: u16) -> Rect {
    Rect::new(x, 0, 4, 4)
}

/// Two viewers with the picture of frame 1, which both have painted.
fn live() -> Fanout {
    let mut fanout = Fanout::new(Limits::default());
    fanout.join(ANN, Micros(0));
    fanout.join(BEN, Micros(0));
    assert_eq!(fanout.poll(Micros(0)), [Effect::Refresh(Refresh::Whole)]);
    assert_eq!(fanout.handle_frame(&keyframe(1), 10, Micros(0)), [ANN, BEN]);
    fanout.handle_ack(ANN, at(1), Micros(0));
    fanout.handle_ack(BEN, at(1), Micros(0));
    assert_eq!(fanout.poll(Micros(0)), [Effect::Painted(at(1))]);
    fanout
}

#[test]
fn joins_share_one_keyframe() {
    let mut fanout = Fanout::new(Limits::default());
    fanout.join(ANN, Micros(0));
    assert_eq!(fanout.poll(Micros(0)), [Effect::Refresh(Refresh::Whole)]);
    fanout.join(BEN, Micros(1));
    assert_eq!(fanout.poll(Micros(1)), []);
    assert_eq!(fanout.handle_frame(&frame(1, &[spot(0)]), 10, Micros(1)), []);
    assert_eq!(fanout.handle_frame(&keyframe(1), 10, Micros(1)), [ANN, BEN]);
}

#[test]
fn a_keyframe_that_never_comes_is_asked_for_again() {
    let mut fanout = Fanout::new(Limits::default());
    fanout.join(ANN, Micros(0));
    fanout.poll(Micros(0));
    assert_eq!(fanout.deadline(), Some(REFRESH_PATIENCE));
    assert_eq!(fanout.poll(REFRESH_PATIENCE), [Effect::Refresh(Refresh::Whole)]);
}

#[test]
fn a_viewer_that_never_paints_falls_behind_and_the_other_does_not() {
    let mut fanout = live();
    for id in 2..40 {
        let receivers = fanout.handle_frame(&frame(id, &[spot(0)]), 10, Micros(0));
        assert!(receivers.contains(&ANN));
        assert_eq!(receivers.contains(&BEN), id < 6, "frame {id}");
        fanout.handle_taken(BEN);
        fanout.handle_ack(ANN, at(id), Micros(0));
    }
    let effects = fanout.poll(Micros(0));
    assert_eq!(effects.iter().filter(|effect| **effect == Effect::DropQueued(BEN)).count(), 1);
    assert_eq!(effects.last(), Some(&Effect::Painted(at(39))));
    assert_eq!(fanout.poll(Limits::default().stall), [Effect::Close(BEN)]);
}

#[test]
fn a_viewer_that_never_reads_is_closed_though_its_queue_is_dropped_again_and_again() {
    let mut fanout = live();
    let (mut closed, mut id) = (false, 1);
    for ms in (0..31_000).step_by(100) {
        let now = Micros::from_millis(ms);
        id += 1;
        fanout.handle_frame(&frame(id, &[spot(0)]), 10, now);
        fanout.handle_ack(ANN, at(id), now);
        for effect in fanout.poll(now) {
            match effect {
                Effect::Refresh(Refresh::Part { .. }) => {
                    let flags = FrameFlags { keyframe: false, refresh: true };
                    fanout.handle_frame(&FrameTable { flags, ..frame(id, &[spot(0)]) }, 10, now);
                }
                Effect::Close(viewer) => closed |= viewer == BEN,
                _ => {}
            }
        }
    }
    assert!(closed);
}

#[test]
fn a_frame_that_takes_a_minute_to_write_is_no_stall() {
    let mut fanout = live();
    fanout.handle_frame(&frame(2, &[spot(0)]), 9 << 20, Micros(0));
    fanout.handle_ack(ANN, at(2), Micros(0));
    fanout.poll(Micros(0));
    for seconds in 1..=60 {
        let now = Micros::from_millis(seconds * 1000);
        fanout.handle_progress(BEN, now);
        assert_eq!(fanout.poll(now), []);
    }
    assert_eq!(fanout.poll(Micros::from_millis(90_000)), [Effect::Close(BEN)]);
}

#[test]
fn a_laggard_catches_up_with_what_it_missed_only() {
    let mut fanout = live();
    for id in 2..=5 {
        fanout.handle_frame(&frame(id, &[spot(0)]), 10, Micros(0));
        fanout.handle_ack(ANN, at(id), Micros(0));
        fanout.handle_taken(BEN);
    }
    fanout.handle_frame(&frame(6, &[spot(30)]), 10, Micros(0));
    fanout.poll(Micros(0));
    // What was written is on its way: it paints that first.
    fanout.handle_ack(BEN, at(5), Micros(9));
    let missed = vec![spot(30)];
    let part = Effect::Refresh(Refresh::Part { since: at(6), missed });
    assert_eq!(fanout.poll(Micros(9)), [part]);
    assert_eq!(fanout.handle_frame(&frame(7, &[spot(50)]), 10, Micros(9)), [ANN]);
    let flags = FrameFlags { keyframe: false, refresh: true };
    let refresh = FrameTable { flags, ..frame(7, &[spot(30), spot(50)]) };
    assert_eq!(fanout.handle_frame(&refresh, 10, Micros(9)), [BEN]);
    assert_eq!(fanout.handle_frame(&frame(8, &[spot(1)]), 10, Micros(9)), [ANN, BEN]);
}

#[test]
fn one_large_frame_is_let_through() {
    let mut fanout = live();
    assert_eq!(fanout.handle_frame(&frame(2, &[spot(0)]), 50 << 20, Micros(0)), [ANN, BEN]);
    assert_eq!(fanout.handle_frame(&frame(3, &[spot(0)]), 10, Micros(0)), []);
}

#[test]
fn a_resize_while_behind_needs_a_keyframe() {
    let mut fanout = live();
    for id in 2..=6 {
        fanout.handle_frame(&frame(id, &[spot(0)]), 10, Micros(0));
        fanout.handle_ack(ANN, at(id), Micros(0));
        fanout.handle_taken(BEN);
    }
    let flags = FrameFlags { keyframe: true, refresh: false };
    let resized = FrameTable { flags, ..frame(7, &[]) };
    assert_eq!(fanout.handle_frame(&resized, 10, Micros(0)), [ANN]);
    fanout.poll(Micros(0));
    fanout.handle_ack(BEN, at(5), Micros(0));
    assert_eq!(fanout.poll(Micros(0)), [Effect::Refresh(Refresh::Whole)]);
}

#[test]
fn an_ack_of_a_frame_that_was_not_sent_is_ignored() {
    let mut fanout = live();
    fanout.handle_frame(&frame(2, &[spot(0)]), 10, Micros(0));
    fanout.handle_ack(ANN, at(9), Micros(0));
    fanout.handle_ack(ViewerId(77), at(2), Micros(0));
    fanout.handle_ack(ANN, FrameRef { epoch: Epoch(8), id: FrameId(2) }, Micros(0));
    assert_eq!(fanout.poll(Micros(0)), []);
}

#[test]
fn asking_for_keyframes_again_and_again_gives_one_a_second() {
    let mut fanout = live();
    let mut keyframes = 0;
    for ms in 0..3000 {
        let now = Micros::from_millis(ms);
        fanout.handle_refresh_request(ANN, now);
        for effect in fanout.poll(now) {
            if effect == Effect::Refresh(Refresh::Whole) {
                keyframes += 1;
                fanout.handle_frame(&keyframe(1), 10, now);
            }
        }
    }
    assert!((1..=4).contains(&keyframes), "{keyframes} keyframes");
}

#[test]
fn a_digest_goes_to_those_who_have_the_frame() {
    let mut fanout = live();
    assert_eq!(fanout.handle_digest(at(1)), [ANN, BEN]);
    fanout.handle_frame(&frame(2, &[spot(0)]), 10, Micros(0));
    assert_eq!(fanout.handle_digest(at(1)), []);
    fanout.join(ViewerId(3), Micros(0));
    assert_eq!(fanout.handle_digest(at(2)), [ANN, BEN]);
}

#[test]
fn a_new_agent_means_a_new_picture_for_all() {
    let mut fanout = live();
    fanout.reset();
    let effects = fanout.poll(Micros(5));
    assert!(effects.contains(&Effect::Refresh(Refresh::Whole)));
    assert!(effects.contains(&Effect::DropQueued(ANN)));
}

#[test]
fn a_keyframe_on_its_way_over_a_slow_link_is_not_sent_a_second_time() {
    let mut fanout = live();
    let carol = ViewerId(3);
    fanout.join(carol, Micros(0));
    fanout.poll(Micros(0));
    assert_eq!(fanout.handle_frame(&keyframe(1), 9 << 20, Micros(0)), [carol]);
    fanout.handle_taken(carol);
    for id in 2..40 {
        let now = Micros::from_millis(u64::from(id) * 1000);
        fanout.handle_frame(&frame(id, &[spot(0)]), 10, now);
        fanout.handle_progress(carol, now);
        for viewer in [ANN, BEN] {
            fanout.handle_ack(viewer, at(id), now);
        }
        let effects = fanout.poll(now);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Refresh(_))), "{effects:?}");
    }
    let now = Micros::from_millis(40_000);
    fanout.handle_ack(carol, at(1), now);
    let part = Refresh::Part { since: at(39), missed: vec![spot(0)] };
    assert_eq!(fanout.poll(now), [Effect::Refresh(part)]);
}

#[test]
fn without_a_display_nobody_stalls_and_nothing_is_asked() {
    let mut fanout = live();
    fanout.handle_frame(&frame(2, &[spot(0)]), 10, Micros(0));
    fanout.suspend();
    let later = Micros::from_millis(100_000);
    assert_eq!(fanout.deadline(), None);
    assert_eq!(fanout.poll(later), [Effect::DropQueued(ANN), Effect::DropQueued(BEN)]);
    fanout.join(ViewerId(3), later);
    assert_eq!(fanout.poll(later), []);
    fanout.reset();
    assert!(fanout.poll(later).contains(&Effect::Refresh(Refresh::Whole)));
}

#[test]
fn a_frame_of_thousands_of_crossing_rectangles_takes_no_time() {
    let mut fanout = live();
    let columns = (0..2000).map(|x| Rect::new(x, 0, 1, 4000));
    let rows = (0..2000).map(|y| Rect::new(0, y, 4000, 1));
    let hostile = frame(2, &columns.chain(rows).collect::<Vec<_>>());
    let hostile = FrameTable { size: Size::new(4000, 4000), ..hostile };
    // With every fragment kept this would take minutes.
    assert_eq!(fanout.handle_frame(&hostile, 10, Micros(0)), [ANN, BEN]);
}

#[test]
fn a_part_does_not_answer_who_needs_the_whole() {
    let mut fanout = live();
    for id in 2..=6 {
        fanout.handle_frame(&frame(id, &[spot(0)]), 10, Micros(0));
        fanout.handle_ack(ANN, at(id), Micros(0));
    }
    fanout.poll(Micros(0));
    fanout.join(ViewerId(3), Micros(1));
    assert_eq!(fanout.poll(Micros(1)), [Effect::Refresh(Refresh::Whole)]);
    let flags = FrameFlags { keyframe: false, refresh: true };
    fanout.handle_frame(&FrameTable { flags, ..frame(6, &[spot(0)]) }, 10, Micros(2));
    let effects = fanout.poll(Micros(2));
    assert!(!effects.contains(&Effect::Refresh(Refresh::Whole)), "{effects:?}");
}

#[test]
fn who_comes_when_all_have_gone_asks_at_once() {
    let mut fanout = Fanout::new(Limits::default());
    fanout.join(ANN, Micros(0));
    assert_eq!(fanout.poll(Micros(0)), [Effect::Refresh(Refresh::Whole)]);
    fanout.leave(ANN);
    fanout.join(BEN, Micros(1));
    assert_eq!(fanout.poll(Micros(1)), [Effect::Refresh(Refresh::Whole)]);
}

/// A display, its agent and viewers that paint, lag and leave as they please.
struct World {
    fanout: Fanout,
    screen: [u32; 16],
    id: u32,
    history: History,
    viewers: BTreeMap<ViewerId, Watcher>,
    asked: Vec<Refresh>,
    now: Micros,
}

#[derive(Default)]
struct Watcher {
    picture: [u32; 16],
    /// Frames on their way: the id, and the pixels they bring.
    queue: VecDeque<(u32, Vec<(usize, u32)>)>,
    on_the_wire: usize,
}

impl World {
    fn spot(index: usize) -> Rect {
        Rect::new(index as u16 * 4, 0, 4, 4)
    }

    fn pixels(&self, table: &FrameTable) -> Vec<(usize, u32)> {
        let all = (0..16).filter(|&i| {
            table.flags.keyframe
                || table.steps.iter().any(|step| step.rect.intersect(Self::spot(i)).is_some())
        });
        all.map(|i| (i, self.screen[i])).collect()
    }

    fn send(&mut self, table: &FrameTable) {
        let pixels = self.pixels(table);
        for viewer in self.fanout.handle_frame(table, 1000, self.now) {
            let watcher = self.viewers.get_mut(&viewer).unwrap();
            watcher.queue.push_back((table.at.id.0, pixels.clone()));
        }
    }

    fn draw(&mut self, index: usize) {
        self.id += 1;
        self.screen[index] = self.id;
        self.history.record(FrameId(self.id), Self::spot(index).into());
        self.send(&frame(self.id, &[Self::spot(index)]));
    }

    fn answer(&mut self) {
        for refresh in std::mem::take(&mut self.asked) {
            let table = match refresh {
                Refresh::Whole => keyframe(self.id),
                Refresh::Part { since, missed } => {
                    let mut region: Region = missed.into_iter().collect();
                    region.add_all(&self.history.since(since.id).unwrap());
                    let flags = FrameFlags { keyframe: false, refresh: true };
                    FrameTable { flags, ..frame(self.id, region.rects()) }
                }
            };
            self.send(&table);
        }
    }

    fn poll(&mut self) {
        for effect in self.fanout.poll(self.now) {
            match effect {
                Effect::Refresh(refresh) => self.asked.push(refresh),
                Effect::Painted(_) => {}
                Effect::DropQueued(id) => {
                    if let Some(watcher) = self.viewers.get_mut(&id) {
                        watcher.queue.truncate(watcher.on_the_wire);
                    }
                }
                Effect::Close(id) => panic!("{id:?} stalled"),
            }
        }
    }

    fn write(&mut self, id: ViewerId) {
        let watcher = self.viewers.get_mut(&id).unwrap();
        if watcher.on_the_wire < watcher.queue.len() {
            watcher.on_the_wire += 1;
            self.fanout.handle_taken(id);
        }
    }

    fn paint(&mut self, id: ViewerId) {
        let watcher = self.viewers.get_mut(&id).unwrap();
        if watcher.on_the_wire == 0 {
            return;
        }
        watcher.on_the_wire -= 1;
        let (frame, pixels) = watcher.queue.pop_front().unwrap();
        pixels.into_iter().for_each(|(i, value)| watcher.picture[i] = value);
        self.fanout.handle_ack(id, at(frame), self.now);
    }
}

#[derive(Debug, Clone)]
enum Event {
    Draw(usize),
    Write(u32),
    Paint(u32),
    Answer,
    Complain(u32),
    Wait(u64),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..16usize).prop_map(Event::Draw),
        4 => (1..=3u32).prop_map(Event::Write),
        4 => (1..=3u32).prop_map(Event::Paint),
        2 => Just(Event::Answer),
        1 => (1..=3u32).prop_map(Event::Complain),
        1 => (1..700u64).prop_map(Event::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_everybody_ends_with_the_whole_picture(
        events in prop::collection::vec(any_event(), 0..150),
    ) {
        let mut world = World {
            fanout: Fanout::new(Limits::default()),
            screen: [0; 16],
            id: 1,
            history: History::new(),
            viewers: BTreeMap::new(),
            asked: Vec::new(),
            now: Micros(0),
        };
        for id in 1..=3 {
            world.viewers.insert(ViewerId(id), Watcher::default());
            world.fanout.join(ViewerId(id), Micros(0));
        }
        let settle = (0..40).flat_map(|_| {
            let each = (1..=3).flat_map(|id| [Event::Write(id), Event::Paint(id)]);
            each.chain([Event::Answer, Event::Wait(300)])
        });
        for event in events.into_iter().chain(settle) {
            world.poll();
            match event {
                Event::Draw(index) => world.draw(index),
                Event::Write(id) => world.write(ViewerId(id)),
                Event::Paint(id) => world.paint(ViewerId(id)),
                Event::Answer => world.answer(),
                Event::Complain(id) => world.fanout.handle_refresh_request(ViewerId(id), world.now),
                Event::Wait(ms) => world.now = world.now.plus(Micros::from_millis(ms)),
            }
        }
        for (id, watcher) in &world.viewers {
            prop_assert_eq!(watcher.picture, world.screen, "{:?}", id);
        }
    }
}
