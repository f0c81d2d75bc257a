use super::*;
use crate::rate::Pace;
use crate::rate::ladder::Ladder;
use proptest::prelude::*;

const SIZE: Size = Size::new(300, 200);
const NOW: Micros = Micros(1_000_000);

/// No viewer decodes video.
fn rules() -> Rules {
    let mode = Ladder::new(Micros(16_667)).choose(Pace::UNKNOWN, 0);
    Rules { streams: 0, mode, affordable: None }
}

/// What is planned where nothing has moved before.
fn plan(planner: &mut Planner, next: &Picture, hints: &[MoveHint]) -> FramePlan {
    let region = Region::whole(next.size());
    let fresh = next.reader(&region);
    planned(|plan| planner.plan(NOW, &region, fresh, hints, &rules(), plan))
}

/// What is added to a plan.
fn planned(add: impl FnOnce(&mut FramePlan)) -> FramePlan {
    let mut plan = FramePlan::default();
    add(&mut plan);
    plan
}

fn refresh_of(planner: &mut Planner, region: &Region) -> FramePlan {
    planned(|plan| planner.plan_refresh(region, plan))
}

fn touched(plan: &FramePlan) -> Region {
    let mut region = Region::new();
    plan.touch(&mut region);
    region
}

/// Applies a plan as a viewer would: copies read the picture before, tiles are exact.
fn apply(viewer: &mut Picture, plan: &FramePlan, shadow: &Picture) {
    let before = viewer.clone();
    for copy in &plan.copies {
        let rows = before.rows(copy.source()).map(<[u32]>::to_vec).collect::<Vec<_>>();
        viewer.rows_mut(copy.to).zip(rows).for_each(|(to, from)| to.copy_from_slice(&from));
    }
    plan.fills.iter().for_each(|&(rect, color)| viewer.fill(rect, color));
    plan.tiles.iter().for_each(|&rect| viewer.copy_from(shadow, rect));
    for &rect in plan.videos.iter().flat_map(|unit| &unit.damage) {
        // Nobody knows what a lossy stream shows.
        viewer.fill(rect, 0xfe_01fd);
    }
}

/// Sends exactly what was sent roughly, in portions.
fn refine(planner: &mut Planner, viewer: &mut Picture, mut now: Micros) {
    while !planner.is_exact() {
        now = planner.next_refinement().expect("what is stale will have rested").max(now);
        let plan = planned(|plan| planner.plan_refinement(now, Point { x: 0, y: 0 }, 5000, plan));
        assert!(!plan.is_empty());
        apply(viewer, &plan, planner.shadow());
    }
}

fn noise(picture: &mut Picture, rect: Rect, seed: u32) {
    let mut state = seed | 1;
    for row in picture.rows_mut(rect) {
        for pixel in row {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *pixel = state >> 8;
        }
    }
}

fn scroll(picture: &mut Picture, rect: Rect, dx: i32, dy: i32) {
    let before = picture.clone();
    for y in rect.y..rect.bottom() {
        for x in rect.x..rect.right() {
            let (from_x, from_y) = (i32::from(x) - dx, i32::from(y) - dy);
            let inside = (i32::from(rect.x)..i32::from(rect.right())).contains(&from_x)
                && (i32::from(rect.y)..i32::from(rect.bottom())).contains(&from_y);
            if inside {
                picture.row_mut(x, y, 1)[0] = before.row(from_x as u16, from_y as u16, 1)[0];
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Draw {
    Fill(Rect, u32),
    Noise(Rect, u32),
    Scroll(Rect, i32, i32),
}

fn any_draw() -> impl Strategy<Value = Draw> {
    let rect = (0..SIZE.width - 1, 0..SIZE.height - 1, 1..200u16, 1..180u16)
        .prop_map(|(x, y, w, h)| Rect::new(x, y, w, h).clip(SIZE).unwrap());
    prop_oneof![
        (rect.clone(), 0..4u32).prop_map(|(rect, color)| Draw::Fill(rect, color * 0x3f3f3f)),
        (rect.clone(), any::<u32>()).prop_map(|(rect, seed)| Draw::Noise(rect, seed)),
        (rect, -70..70i32, -70..70i32, 0..3u8).prop_map(|(rect, dx, dy, axis)| match axis {
            0 => Draw::Scroll(rect, 0, dy),
            1 => Draw::Scroll(rect, dx, 0),
            _ => Draw::Scroll(rect, dx, dy),
        }),
    ]
}

proptest! {
    #[test]
    fn a_viewer_that_follows_the_plans_has_every_pixel(
        frames in prop::collection::vec(prop::collection::vec(any_draw(), 1..4), 1..8),
        hinted in any::<bool>(),
        film in prop::option::of((0..100u16, 0..60u16, 180..200u16, 130..140u16)),
        streams in 0..3u8,
        first in prop::option::of(any::<u32>()),
    ) {
        let film = film.map(|(x, y, width, height)| Rect::new(x, y, width, height));
        let rules = Rules { streams, ..rules() };
        let mut now = NOW;
        let mut planner = Planner::new(SIZE);
        let (mut screen, mut viewer) = (Picture::new(SIZE), Picture::new(SIZE));
        if let Some(seed) = first {
            let whole = Region::whole(SIZE);
            noise(&mut screen, Rect::new(20, 10, 150, 120), seed);
            planner.begin(&whole, screen.reader(&whole));
            prop_assert_eq!(planner.shadow(), &screen);
            apply(&mut viewer, &refresh_of(&mut planner, &whole), &screen);
        }
        for (draws, seed) in frames.into_iter().flat_map(|draws| {
            // Between two drawings the film shows some pictures, if there is one.
            (1..6u32).map(move |seed| (if seed == 1 { draws.clone() } else { vec![] }, seed))
        }) {
            now = now.plus(Micros::from_millis(33));
            let (mut damage, mut hints) = (Region::new(), Vec::new());
            if let Some(film) = film {
                noise(&mut screen, film, now.0 as u32 ^ seed);
                damage.add(film);
            }
            for draw in draws {
                match draw {
                    Draw::Fill(rect, color) => { screen.fill(rect, color); damage.add(rect); }
                    Draw::Noise(rect, seed) => { noise(&mut screen, rect, seed); damage.add(rect); }
                    Draw::Scroll(rect, dx, dy) => {
                        scroll(&mut screen, rect, dx, dy);
                        damage.add(rect);
                        hints.push(MoveHint { from: rect, dx, dy });
                    }
                }
            }
            if !hinted { hints.clear(); }
            let fresh = screen.reader(&damage);
                let plan = planned(|plan| planner.plan(now, &damage, fresh, &hints, &rules, plan));
            apply(&mut viewer, &plan, planner.shadow());
            prop_assert!(viewer == screen || !planner.is_exact(), "{plan:?}");
            prop_assert!(planner.shadow() == &screen);
        }
        prop_assert!(film.is_some() || planner.is_exact());
        refine(&mut planner, &mut viewer, now);
        prop_assert!(viewer == screen);
    }
}

#[test]
fn a_film_becomes_video_and_then_exact() {
    let mut planner = Planner::new(SIZE);
    let (mut screen, mut viewer) = (Picture::new(SIZE), Picture::new(SIZE));
    let film = Rect::new(30, 20, 200, 150);
    let rules = Rules { streams: 1, ..rules() };
    let (mut now, mut tiles, mut units) = (NOW, 0, 0);
    for frame in 0..30 {
        now = now.plus(Micros::from_millis(33));
        noise(&mut screen, film, frame * 2);
        let damage = Region::from(film);
        let fresh = screen.reader(&damage);
        let plan = planned(|plan| planner.plan(now, &damage, fresh, &[], &rules, plan));
        apply(&mut viewer, &plan, planner.shadow());
        tiles += usize::from(!plan.tiles.is_empty());
        units += plan.videos.len();
    }
    assert!(tiles <= 5 && units >= 25, "{tiles} frames with tiles, {units} units");
    refine(&mut planner, &mut viewer, now);
    assert!(viewer == screen);
}

#[test]
fn who_missed_part_of_a_film_is_not_sent_a_still_of_it() {
    let mut planner = Planner::new(SIZE);
    let mut screen = Picture::new(SIZE);
    let film = Rect::new(30, 20, 200, 150);
    let rules = Rules { streams: 1, ..rules() };
    let mut now = NOW;
    for frame in 0..30 {
        now = now.plus(Micros::from_millis(33));
        noise(&mut screen, film, frame * 2);
        let damage = Region::from(film);
        let fresh = screen.reader(&damage);
        planned(|plan| planner.plan(now, &damage, fresh, &[], &rules, plan));
    }
    let mut missed = Region::whole(SIZE);
    planner.leave_to_video(&mut missed, now);
    let mut viewer = Picture::new(SIZE);
    viewer.fill(Rect::new(0, 0, 300, 200), 0x12_3456);
    let refresh = refresh_of(&mut planner, &missed);
    assert!(!touched(&refresh).intersects(film), "{refresh:?}");
    apply(&mut viewer, &refresh, planner.shadow());
    refine(&mut planner, &mut viewer, now);
    assert!(viewer == screen, "it gets all of it when the film rests");
}

#[test]
fn no_change_is_no_frame() {
    let screen = Picture::new(SIZE);
    assert!(plan(&mut Planner::new(SIZE), &screen, &[]).is_empty());
}

#[test]
fn a_typed_letter_is_one_small_tile() {
    let mut planner = Planner::new(SIZE);
    let mut screen = Picture::new(SIZE);
    let letter = Rect::new(60, 60, 9, 18);
    noise(&mut screen, letter, 1);
    let plan = plan(&mut planner, &screen, &[]);
    assert_eq!(plan, FramePlan { tiles: vec![letter], ..FramePlan::default() });
}

#[test]
fn a_cleared_window_is_one_fill() {
    let mut planner = Planner::new(SIZE);
    let mut screen = Picture::new(SIZE);
    let window = Rect::new(10, 20, 250, 150);
    screen.fill(window, 0xff_ffff);
    let plan = plan(&mut planner, &screen, &[]);
    assert!(plan.tiles.is_empty() && plan.copies.is_empty());
    assert!(plan.fills.len() <= 4, "{:?}", plan.fills);
    assert_eq!(touched(&plan).area(), window.area());
}

#[test]
fn a_scrolled_page_is_a_copy_and_a_strip() {
    let mut planner = Planner::new(SIZE);
    let mut screen = Picture::new(SIZE);
    let page = Rect::new(20, 10, 256, 180);
    noise(&mut screen, page, 5);
    plan(&mut planner, &screen, &[]);
    scroll(&mut screen, page, 0, -17);
    noise(&mut screen, Rect::new(20, 173, 256, 17), 9);
    let plan = plan(&mut planner, &screen, &[]);
    let copied: usize = plan.copies.iter().map(|copy| copy.to.area()).sum();
    assert_eq!(copied, 256 * 163, "{plan:?}");
    let sent: usize = plan.tiles.iter().map(|tile| tile.area()).sum();
    assert!(sent <= 256 * 17 * 5 / 4, "{plan:?}");
}

#[test]
fn a_caret_beside_the_scrolled_text_does_not_hide_the_scroll() {
    let mut planner = Planner::new(SIZE);
    let mut screen = Picture::new(SIZE);
    let page = Rect::new(0, 0, 256, 200);
    noise(&mut screen, page, 5);
    plan(&mut planner, &screen, &[]);
    scroll(&mut screen, page, 0, 30);
    screen.fill(Rect::new(100, 100, 2, 16), 0);
    let plan = plan(&mut planner, &screen, &[]);
    let copied: usize = plan.copies.iter().map(|copy| copy.to.area()).sum();
    assert!(copied > 256 * 170 * 8 / 10, "{plan:?}");
}

#[test]
fn a_sideways_scroll_is_found_too() {
    let mut planner = Planner::new(SIZE);
    let mut screen = Picture::new(SIZE);
    let page = Rect::new(0, 0, 300, 128);
    noise(&mut screen, page, 5);
    plan(&mut planner, &screen, &[]);
    scroll(&mut screen, page, -40, 0);
    let plan = plan(&mut planner, &screen, &[]);
    let copied: usize = plan.copies.iter().map(|copy| copy.to.area()).sum();
    assert_eq!(copied, 260 * 128, "{plan:?}");
}

#[test]
fn a_hinted_window_move_is_a_copy() {
    let mut planner = Planner::new(SIZE);
    let mut screen = Picture::new(SIZE);
    let window = Rect::new(20, 20, 128, 100);
    noise(&mut screen, window, 5);
    plan(&mut planner, &screen, &[]);
    let mut moved = Picture::new(SIZE);
    noise(&mut moved, Rect::new(33, 27, 128, 100), 5);
    let hint = MoveHint { from: window, dx: 13, dy: 7 };
    let plan = plan(&mut planner, &moved, &[hint]);
    let copied: usize = plan.copies.iter().map(|copy| copy.to.area()).sum();
    assert_eq!(copied, 128 * 100, "{plan:?}");
}

#[test]
fn a_refresh_paints_all_it_was_asked_for() {
    let mut planner = Planner::new(SIZE);
    let mut screen = Picture::new(SIZE);
    noise(&mut screen, Rect::new(0, 0, 150, 200), 3);
    plan(&mut planner, &screen, &[]);
    let mut viewer = Picture::new(SIZE);
    viewer.fill(Rect::new(0, 0, 300, 200), 0x123456);
    let plan = refresh_of(&mut planner, &Region::whole(SIZE));
    apply(&mut viewer, &plan, planner.shadow());
    assert!(viewer == screen);
}

#[test]
fn tiles_stay_within_their_largest_size() {
    let size = Size::new(1366, 768);
    let mut planner = Planner::new(size);
    let mut screen = Picture::new(size);
    noise(&mut screen, Rect::new(0, 0, 1366, 768), 3);
    let plan = plan(&mut planner, &screen, &[]);
    assert!(plan.tiles.len() <= 16, "{} tiles", plan.tiles.len());
    assert!(plan.tiles.iter().all(|tile| tile.width <= 512 && tile.height <= 256));
}
