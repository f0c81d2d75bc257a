use super::*;
use lattice_wire::{
    Askers, Bottleneck, Epoch, FrameFlags, FrameId, Rect, RefreshId, Seq, Size, Step, StepKind,
};

mod pace;
mod stills;
mod world;

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
    FrameTable { flags, at: at(id), echo, cost_us: 0, steps }
}

fn keyframe(id: u32) -> FrameTable {
    let flags = FrameFlags { keyframe: Some(SIZE), refresh: None };
    FrameTable { flags, ..frame(id, &[]) }
}

/// The request for a keyframe of this number.
fn whole(number: u8) -> Effect {
    Effect::Refresh(RefreshId(number), Refresh::Whole)
}

fn requests(effects: Vec<Effect>) -> Vec<(RefreshId, Refresh)> {
    let requests = effects.into_iter().filter_map(|effect| match effect {
        Effect::Refresh(request, refresh) => Some((request, refresh)),
        _ => None,
    });
    requests.collect()
}

impl Fanout {
    /// A frame comes; returns who gets it.
    fn send(&mut self, table: &FrameTable, len: usize, now: Micros) -> Vec<ViewerId> {
        self.handle_frame(table, len, now).into_iter().map(|(viewer, _)| viewer).collect()
    }

    /// The same frame comes as the answer to the newest request.
    fn answer(&mut self, table: &FrameTable, len: usize, now: Micros) -> Vec<ViewerId> {
        self.answer_to(self.request, table, len, now)
    }

    /// The same frame comes as the answer to this request.
    fn answer_to(
        &mut self,
        request: RefreshId,
        table: &FrameTable,
        len: usize,
        now: Micros,
    ) -> Vec<ViewerId> {
        let flags = FrameFlags { refresh: Some(request), ..table.flags };
        self.send(&FrameTable { flags, ..table.clone() }, len, now)
    }

    /// A viewer paints a frame in no time.
    fn paint(&mut self, viewer: ViewerId, at: FrameRef, now: Micros) {
        self.handle_ack(viewer, Ack { at, decode_us: 0, queued: 0 }, now);
    }
}

fn spot(x: u16) -> Rect {
    Rect::new(x, 0, 4, 4)
}

/// Two viewers with the picture of frame 1, which both have painted.
fn live() -> Fanout {
    let mut fanout = Fanout::new(Limits::default());
    fanout.join(ANN, Sees::Video, Micros(0));
    fanout.join(BEN, Sees::Video, Micros(0));
    assert_eq!(fanout.poll(Micros(0)), [whole(1)]);
    assert_eq!(fanout.answer(&keyframe(1), 10, Micros(0)), [ANN, BEN]);
    fanout.paint(ANN, at(1), Micros(0));
    fanout.paint(BEN, at(1), Micros(0));
    assert_eq!(fanout.poll(Micros(0)), [Effect::Painted(at(1))]);
    fanout
}

#[test]
fn joins_share_one_keyframe() {
    let mut fanout = Fanout::new(Limits::default());
    fanout.join(ANN, Sees::Video, Micros(0));
    assert_eq!(fanout.poll(Micros(0)), [whole(1)]);
    fanout.join(BEN, Sees::Video, Micros(1));
    assert_eq!(fanout.poll(Micros(1)), []);
    assert_eq!(fanout.send(&frame(1, &[spot(0)]), 10, Micros(1)), []);
    assert_eq!(fanout.answer(&keyframe(1), 10, Micros(1)), [ANN, BEN]);
}

#[test]
fn a_keyframe_that_never_comes_is_asked_for_again() {
    let mut fanout = Fanout::new(Limits::default());
    fanout.join(ANN, Sees::Video, Micros(0));
    fanout.poll(Micros(0));
    assert_eq!(fanout.deadline(), Some(REFRESH_PATIENCE));
    assert_eq!(fanout.poll(REFRESH_PATIENCE), [whole(2)]);
}

#[test]
fn a_viewer_that_never_paints_falls_behind_and_the_other_does_not() {
    let mut fanout = live();
    for id in 2..40 {
        let receivers = fanout.send(&frame(id, &[spot(0)]), 10, Micros(0));
        assert!(receivers.contains(&ANN));
        assert_eq!(receivers.contains(&BEN), id < 6, "frame {id}");
        fanout.handle_taken(BEN);
        fanout.paint(ANN, at(id), Micros(0));
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
        fanout.send(&frame(id, &[spot(0)]), 10, now);
        fanout.paint(ANN, at(id), now);
        for effect in fanout.poll(now) {
            match effect {
                Effect::Refresh(_, Refresh::Part { .. }) => {
                    fanout.answer(&frame(id, &[spot(0)]), 10, now);
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
    fanout.send(&frame(2, &[spot(0)]), 9 << 20, Micros(0));
    fanout.paint(ANN, at(2), Micros(0));
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
        fanout.send(&frame(id, &[spot(0)]), 10, Micros(0));
        fanout.paint(ANN, at(id), Micros(0));
        fanout.handle_taken(BEN);
    }
    fanout.send(&frame(6, &[spot(30)]), 10, Micros(0));
    fanout.poll(Micros(0));
    // What was written is on its way: it paints that first.
    fanout.paint(BEN, at(5), Micros(9));
    let missed = vec![spot(30)];
    let part = Refresh::Part { since: at(6), missed, askers: Askers::Video };
    assert_eq!(fanout.poll(Micros(9)), [Effect::Refresh(RefreshId(2), part)]);
    assert_eq!(fanout.send(&frame(7, &[spot(50)]), 10, Micros(9)), [ANN]);
    assert_eq!(fanout.answer(&frame(7, &[spot(30), spot(50)]), 10, Micros(9)), [BEN]);
    assert_eq!(fanout.send(&frame(8, &[spot(1)]), 10, Micros(9)), [ANN, BEN]);
}

#[test]
fn one_large_frame_is_let_through() {
    let mut fanout = live();
    assert_eq!(fanout.send(&frame(2, &[spot(0)]), 50 << 20, Micros(0)), [ANN, BEN]);
    assert_eq!(fanout.send(&frame(3, &[spot(0)]), 10, Micros(0)), []);
}

#[test]
fn a_resize_while_behind_needs_a_keyframe() {
    let mut fanout = live();
    for id in 2..=6 {
        fanout.send(&frame(id, &[spot(0)]), 10, Micros(0));
        fanout.paint(ANN, at(id), Micros(0));
        fanout.handle_taken(BEN);
    }
    assert_eq!(fanout.send(&keyframe(7), 10, Micros(0)), [ANN]);
    fanout.poll(Micros(0));
    fanout.paint(BEN, at(5), Micros(0));
    assert_eq!(fanout.poll(Micros(0)), [whole(2)]);
}

#[test]
fn an_ack_of_a_frame_that_was_not_sent_is_ignored() {
    let mut fanout = live();
    fanout.send(&frame(2, &[spot(0)]), 10, Micros(0));
    fanout.paint(ANN, at(9), Micros(0));
    fanout.paint(ViewerId(77), at(2), Micros(0));
    fanout.paint(ANN, FrameRef { epoch: Epoch(8), id: FrameId(2) }, Micros(0));
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
            if matches!(effect, Effect::Refresh(_, Refresh::Whole)) {
                keyframes += 1;
                fanout.answer(&keyframe(1), 10, now);
            }
        }
    }
    assert!((1..=4).contains(&keyframes), "{keyframes} keyframes");
}

#[test]
fn a_digest_goes_to_those_who_have_the_frame() {
    let mut fanout = live();
    assert_eq!(fanout.handle_digest(at(1)), [ANN, BEN]);
    fanout.send(&frame(2, &[spot(0)]), 10, Micros(0));
    assert_eq!(fanout.handle_digest(at(1)), []);
    fanout.join(ViewerId(3), Sees::Video, Micros(0));
    assert_eq!(fanout.handle_digest(at(2)), [ANN, BEN]);
}

#[test]
fn a_new_agent_means_a_new_picture_for_all() {
    let mut fanout = live();
    fanout.reset();
    let effects = fanout.poll(Micros(5));
    assert!(effects.contains(&whole(2)));
    assert!(effects.contains(&Effect::DropQueued(ANN)));
}

#[test]
fn a_keyframe_on_its_way_over_a_slow_link_is_not_sent_a_second_time() {
    let mut fanout = live();
    let carol = ViewerId(3);
    fanout.join(carol, Sees::Video, Micros(0));
    fanout.poll(Micros(0));
    assert_eq!(fanout.answer(&keyframe(1), 9 << 20, Micros(0)), [carol]);
    fanout.handle_taken(carol);
    for id in 2..40 {
        let now = Micros::from_millis(u64::from(id) * 1000);
        fanout.send(&frame(id, &[spot(0)]), 10, now);
        fanout.handle_progress(carol, now);
        for viewer in [ANN, BEN] {
            fanout.paint(viewer, at(id), now);
        }
        let effects = fanout.poll(now);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Refresh(..))), "{effects:?}");
    }
    let now = Micros::from_millis(40_000);
    fanout.paint(carol, at(1), now);
    let part = Refresh::Part { since: at(39), missed: vec![spot(0)], askers: Askers::Video };
    assert_eq!(fanout.poll(now)[0], Effect::Refresh(RefreshId(3), part));
}

#[test]
fn without_a_display_nobody_stalls_and_nothing_is_asked() {
    let mut fanout = live();
    fanout.send(&frame(2, &[spot(0)]), 10, Micros(0));
    fanout.suspend();
    let later = Micros::from_millis(100_000);
    assert_eq!(fanout.deadline(), None);
    assert_eq!(fanout.poll(later), [Effect::DropQueued(ANN), Effect::DropQueued(BEN)]);
    fanout.join(ViewerId(3), Sees::Video, later);
    assert_eq!(fanout.poll(later), []);
    fanout.reset();
    assert!(fanout.poll(later).contains(&whole(2)));
}

#[test]
fn a_frame_of_thousands_of_crossing_rectangles_takes_no_time() {
    let mut fanout = live();
    let columns = (0..2000).map(|x| Rect::new(x, 0, 1, 4000));
    let rows = (0..2000).map(|y| Rect::new(0, y, 4000, 1));
    let hostile = frame(2, &columns.chain(rows).collect::<Vec<_>>());
    // With every fragment kept this would take minutes.
    assert_eq!(fanout.send(&hostile, 10, Micros(0)), [ANN, BEN]);
}

#[test]
fn a_part_does_not_answer_who_needs_the_whole() {
    let mut fanout = live();
    for id in 2..=6 {
        fanout.send(&frame(id, &[spot(0)]), 10, Micros(0));
        fanout.paint(ANN, at(id), Micros(0));
    }
    fanout.poll(Micros(0));
    fanout.join(ViewerId(3), Sees::Video, Micros(1));
    assert_eq!(fanout.poll(Micros(1)), [whole(3)]);
    fanout.answer_to(RefreshId(2), &frame(6, &[spot(0)]), 10, Micros(2));
    let effects = fanout.poll(Micros(2));
    assert_eq!(requests(effects), []);
}

#[test]
fn an_answer_that_comes_after_another_request_is_not_taken_for_the_answer_to_that() {
    let mut fanout = live();
    let carol = ViewerId(3);
    fanout.join(carol, Sees::Video, Micros(0));
    fanout.poll(Micros(0));
    fanout.answer(&keyframe(1), 10, Micros(0));
    fanout.paint(carol, at(1), Micros(0));
    for id in 2..=6 {
        fanout.send(&frame(id, &[spot(0)]), 10, Micros(0));
        fanout.paint(ANN, at(id), Micros(0));
        fanout.handle_taken(carol);
    }
    // Carol has to paint what is on its way first, so only Ben is asked for.
    let missed = vec![spot(0)];
    let part =
        |since| Refresh::Part { since: at(since), missed: missed.clone(), askers: Askers::Video };
    assert_eq!(requests(fanout.poll(Micros(0))), [(RefreshId(3), part(6))]);
    fanout.send(&frame(7, &[spot(9)]), 10, Micros(0));
    fanout.paint(ANN, at(7), Micros(0));
    fanout.paint(carol, at(5), Micros(1));
    let missed_by_both = requests(fanout.poll(REFRESH_PATIENCE));
    assert_eq!(missed_by_both[0].0, RefreshId(4));
    // The agent was slow, and what it sends holds what Ben alone lacked then.
    let late = frame(7, &[spot(0), spot(9)]);
    assert_eq!(fanout.answer_to(RefreshId(3), &late, 10, REFRESH_PATIENCE), []);
    assert_eq!(requests(fanout.poll(REFRESH_PATIENCE)), [], "it is still waited for");
    assert_eq!(fanout.answer_to(RefreshId(4), &late, 10, REFRESH_PATIENCE), [BEN, carol]);
}

#[test]
fn who_comes_when_all_have_gone_asks_at_once() {
    let mut fanout = Fanout::new(Limits::default());
    fanout.join(ANN, Sees::Video, Micros(0));
    assert_eq!(fanout.poll(Micros(0)), [whole(1)]);
    fanout.leave(ANN);
    fanout.join(BEN, Sees::Video, Micros(1));
    assert_eq!(fanout.poll(Micros(1)), [whole(2)]);
}
