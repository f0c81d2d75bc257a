//! Viewers whose browser cannot decode video, beside one that can.

use super::*;

const CAROL: ViewerId = ViewerId(3);
const MOVIE: Rect = Rect { x: 16, y: 16, width: 32, height: 32 };
const UNIT: usize = 900;
/// What a step takes in a frame's table.
const STEP: usize = 9;

/// A frame with a unit of video and these fills after it.
fn playing(id: u32, rects: &[Rect]) -> FrameTable {
    let mut table = frame(id, rects);
    table.steps.insert(0, Step { rect: MOVIE, kind: StepKind::Video(UNIT) });
    table
}

/// Ann sees video, Carol stills; both have painted frame 1.
fn mixed() -> Fanout {
    let mut fanout = Fanout::new(Limits::default());
    fanout.join(ANN, Sees::Video, Micros(0));
    fanout.join(CAROL, Sees::Stills, Micros(0));
    fanout.poll(Micros(0));
    fanout.answer(&keyframe(1), 10, Micros(0));
    fanout.paint(ANN, at(1), Micros(0));
    fanout.paint(CAROL, at(1), Micros(0));
    fanout.poll(Micros(0));
    fanout
}

fn part_of(effects: Vec<Effect>) -> Option<Vec<Rect>> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Refresh(_, Refresh::Part { missed, askers, .. }) => {
            assert_eq!(askers, Askers::Stills);
            Some(missed)
        }
        _ => None,
    })
}

#[test]
fn each_gets_every_frame_at_once_in_the_form_it_can_show() {
    let mut fanout = mixed();
    for id in 2..30 {
        let receivers = fanout.handle_frame(&playing(id, &[spot(0)]), 2000, Micros(0));
        assert_eq!(receivers, [(ANN, Sees::Video), (CAROL, Sees::Stills)], "frame {id}");
        fanout.paint(ANN, at(id), Micros(0));
        fanout.paint(CAROL, at(id), Micros(0));
        assert!(!fanout.poll(Micros(0)).contains(&Effect::DropQueued(CAROL)));
    }
}

#[test]
fn the_place_of_a_video_comes_as_stills_twice_a_second() {
    let mut fanout = mixed();
    let mut stills = 0;
    for tick in 0..300u32 {
        let now = Micros::from_millis(u64::from(tick) * 10);
        let id = 2 + tick;
        fanout.send(&playing(id, &[]), 2000, now);
        for viewer in [ANN, CAROL] {
            fanout.paint(viewer, at(id), now);
        }
        if let Some(missed) = part_of(fanout.poll(now)) {
            assert_eq!(missed, [MOVIE]);
            stills += 1;
            // Only who lacks it gets it.
            assert_eq!(fanout.answer(&frame(id, &[MOVIE]), 500, now), [CAROL]);
            fanout.paint(CAROL, at(id), now);
        }
    }
    assert!((5..=7).contains(&stills), "{stills} stills in 3 s");
}

#[test]
fn no_digest_is_true_for_who_lacks_something() {
    let mut fanout = mixed();
    fanout.send(&playing(2, &[]), 2000, Micros(0));
    assert_eq!(fanout.handle_digest(at(2)), [ANN]);
    fanout.poll(Micros(0));
    fanout.answer(&frame(2, &[MOVIE]), 500, Micros(0));
    assert_eq!(fanout.handle_digest(at(2)), [ANN, CAROL]);
}

#[test]
fn what_is_painted_over_exactly_is_not_asked_for() {
    let mut fanout = mixed();
    fanout.send(&playing(2, &[MOVIE]), 2000, Micros(0));
    assert_eq!(part_of(fanout.poll(Micros(0))), None);
    assert_eq!(fanout.handle_digest(at(2)), [ANN, CAROL]);
    fanout.send(&playing(3, &[Rect::new(16, 16, 32, 8)]), 2000, Micros(0));
    assert_eq!(part_of(fanout.poll(Micros(0))), Some(vec![Rect::new(16, 24, 32, 24)]));
}

#[test]
fn a_copy_of_what_is_missed_is_missed_too() {
    let mut fanout = mixed();
    fanout.send(&playing(2, &[]), 2000, Micros(0));
    // The right half of the film and as much beside it move to the top left.
    let copy = StepKind::Copy(lattice_wire::Point { x: 32, y: 16 });
    let steps = vec![Step { rect: Rect::new(0, 0, 24, 8), kind: copy }];
    fanout.send(&FrameTable { steps, ..frame(3, &[]) }, 100, Micros(0));
    let missed: Region = part_of(fanout.poll(Micros(0))).expect("a request").into_iter().collect();
    assert!(missed.contains(MOVIE) && missed.contains(Rect::new(0, 0, 16, 8)), "{missed:?}");
    assert_eq!(missed.area(), MOVIE.area() + 16 * 8);
}

#[test]
fn a_film_costs_who_cannot_see_it_no_room() {
    let mut fanout = mixed();
    let large = Limits::default().max_queued;
    let step = Step { rect: MOVIE, kind: StepKind::Video(large) };
    let table = |id| FrameTable { steps: vec![step], ..frame(id, &[]) };
    let len = large + STEP + 37;
    assert_eq!(fanout.send(&table(2), len, Micros(0)), [ANN, CAROL]);
    assert_eq!(fanout.send(&table(3), len, Micros(0)), [CAROL]);
}

#[test]
fn a_refresh_that_passed_by_is_asked_for_anew() {
    let mut fanout = mixed();
    fanout.send(&playing(2, &[]), 2000, Micros(0));
    assert_eq!(part_of(fanout.poll(Micros(0))), Some(vec![MOVIE]));
    // By the time it comes she has no room, then she has caught up with what was on its way.
    for id in 3..=5 {
        fanout.send(&frame(id, &[spot(0)]), 10, Micros(0));
        fanout.paint(ANN, at(id), Micros(0));
    }
    assert_eq!(fanout.answer(&frame(5, &[MOVIE]), 500, Micros(0)), []);
    fanout.paint(CAROL, at(5), Micros(1));
    let later = Micros::from_millis(500);
    assert_eq!(part_of(fanout.poll(later)), Some(vec![MOVIE]));
    assert_eq!(fanout.answer(&frame(5, &[MOVIE]), 500, later), [CAROL]);
}

#[test]
fn who_lags_and_cannot_see_video_catches_up_with_all_of_it() {
    let mut fanout = mixed();
    for id in 2..=9 {
        fanout.send(&playing(id, &[spot(0)]), 2000, Micros(0));
        fanout.paint(ANN, at(id), Micros(0));
        fanout.handle_taken(CAROL);
    }
    fanout.poll(Micros(0));
    fanout.paint(CAROL, at(5), Micros(9));
    let missed = part_of(fanout.poll(Micros::from_millis(600))).expect("a request");
    let missed: Region = missed.into_iter().collect();
    assert!(missed.contains(MOVIE) && missed.contains(spot(0)), "{missed:?}");
}
