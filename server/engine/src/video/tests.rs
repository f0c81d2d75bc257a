use super::*;
use crate::rate::Pace;
use crate::rate::ladder::Ladder;

const SIZE: Size = Size::new(1280, 768);
const PLAYER: Rect = Rect { x: 100, y: 90, width: 641, height: 480 };
const FRAME: Micros = Micros(33_333);

fn rules(streams: u8) -> Rules {
    let mode = Ladder::new(Micros(16_667)).choose(Pace::UNKNOWN, 0);
    Rules { streams, mode, affordable: None }
}

/// A screen whose pixels are of many colours, other ones for each seed.
fn film(seed: u32) -> Picture {
    let mut picture = Picture::new(SIZE);
    for (pixel, at) in picture.pixels_mut().iter_mut().zip(seed..) {
        *pixel = at.wrapping_mul(0x9E37_79B1) & 0xff_ffff;
    }
    picture
}

/// What is due.
#[derive(Debug, Default, PartialEq, Eq)]
struct Due {
    units: Vec<Unit>,
    stills: Vec<Rect>,
}

fn due(regions: &mut VideoRegions, now: Micros, rules: &Rules) -> Due {
    let mut due = Due::default();
    regions.take_due(now, rules, &mut due.units, &mut due.stills);
    due
}

/// Regions and the clock that they are shown by.
struct Show {
    regions: VideoRegions,
    rules: Rules,
    now: Micros,
    frames: u32,
}

impl Show {
    fn new(streams: u8) -> Self {
        let (regions, rules) = (VideoRegions::new(SIZE), rules(streams));
        Self { regions, rules, now: Micros(1_000_000), frames: 0 }
    }

    /// A frame in which these rectangles changed; returns what is due and what goes as tiles.
    fn frame(&mut self, changed: &[Rect], copies: &[Copy]) -> (Due, Vec<Rect>) {
        self.now = self.now.plus(FRAME);
        self.frames += 1;
        let tiles = changed.iter().flat_map(|&rect| crate::damage::tiles_of(rect));
        let (mut rest, mut held) = (tiles.collect(), Vec::new());
        self.regions.hold(self.now, &mut rest, &mut held);
        let screen = film(self.frames * 977);
        self.regions.watch(self.now, &mut rest, copies, &screen, &self.rules, &mut held);
        (due(&mut self.regions, self.now, &self.rules), rest)
    }

    /// The same often; returns the last.
    fn frames(&mut self, count: usize, changed: &[Rect]) -> (Due, Vec<Rect>) {
        (1..count).for_each(|_| drop(self.frame(changed, &[])));
        self.frame(changed, &[])
    }

    fn places(&self) -> Vec<Rect> {
        self.regions.streams().map(|(_, place)| place).collect()
    }
}

#[test]
fn a_player_becomes_one_region_of_its_own_size() {
    let mut show = Show::new(2);
    let (due, rest) = show.frames(6, &[PLAYER]);
    assert_eq!(rest, []);
    let [unit] = &due.units[..] else { panic!("one unit, not {due:?}") };
    assert_eq!((unit.place, &unit.damage[..]), (PLAYER, &[PLAYER][..]));
}

#[test]
fn two_pictures_a_second_are_no_video() {
    let mut show = Show::new(2);
    for _ in 0..20 {
        show.now = show.now.plus(Micros::from_millis(500));
        let (due, rest) = show.frame(&[PLAYER], &[]);
        assert!(due.units.is_empty() && !rest.is_empty());
    }
}

#[test]
fn a_large_film_is_video_however_seldom_it_can_be_looked_at() {
    let mut show = Show::new(2);
    let whole = Rect::new(0, 0, SIZE.width, SIZE.height);
    for _ in 0..2 {
        show.now = show.now.plus(Micros::from_millis(300));
        show.frame(&[whole], &[]);
    }
    assert_eq!(show.places(), [whole]);
}

#[test]
fn a_small_animation_stays_exact() {
    let mut show = Show::new(2);
    let (due, rest) = show.frames(60, &[Rect::new(70, 70, 100, 50)]);
    assert!(due.units.is_empty() && !rest.is_empty());
}

#[test]
fn a_strip_that_no_encoder_takes_stays_exact() {
    let mut show = Show::new(2);
    let (due, rest) = show.frames(60, &[Rect::new(70, 70, 1000, 10)]);
    assert!(due.units.is_empty() && !rest.is_empty());
}

#[test]
fn text_that_changes_fast_stays_exact() {
    let mut show = Show::new(2);
    let text = Picture::new(SIZE);
    for _ in 0..60 {
        show.now = show.now.plus(FRAME);
        let mut boxes: Vec<Rect> = crate::damage::tiles_of(PLAYER).collect();
        let mut held = Vec::new();
        show.regions.watch(show.now, &mut boxes, &[], &text, &show.rules, &mut held);
        assert_eq!(held, []);
    }
}

#[test]
fn a_caret_beside_a_player_is_a_tile_at_once() {
    let mut show = Show::new(2);
    show.frames(10, &[PLAYER]);
    let caret = Rect::new(900, 710, 2, 16);
    let (_, rest) = show.frame(&[PLAYER, caret], &[]);
    assert_eq!(rest, [caret]);
}

#[test]
fn a_caret_in_a_player_that_rests_is_a_tile() {
    let mut show = Show::new(2);
    show.frames(10, &[PLAYER]);
    show.now = show.now.plus(Micros::from_millis(400));
    let caret = Rect::new(200, 200, 2, 16);
    let (due, rest) = show.frame(&[caret], &[]);
    assert_eq!((due, rest), (Due::default(), vec![caret]));
    let (due, _) = show.frame(&[PLAYER], &[]);
    assert_eq!(due.units.len(), 1, "it plays on in its old region");
}

#[test]
fn a_short_pause_does_not_end_a_region_and_a_long_one_does() {
    let mut show = Show::new(2);
    show.frames(10, &[PLAYER]);
    show.now = show.now.plus(Micros::from_millis(4000));
    show.frame(&[], &[]);
    assert_eq!(show.places(), [PLAYER]);
    assert!(show.regions.next_due(&show.rules).is_some(), "its end is waited for");
    show.now = show.now.plus(Micros::from_millis(1100));
    show.frame(&[], &[]);
    assert_eq!(show.places(), []);
    assert_eq!(show.regions.next_due(&show.rules), None);
}

#[test]
fn a_player_that_goes_full_screen_has_one_region_again() {
    let mut show = Show::new(2);
    show.frames(10, &[PLAYER]);
    let whole = Rect::new(0, 0, SIZE.width, SIZE.height);
    let (due, _) = show.frames(10, &[whole]);
    assert_eq!(show.places(), [whole]);
    assert_eq!(due.units.len(), 1);
}

#[test]
fn a_film_in_a_corner_of_a_region_gets_one_that_fits() {
    let mut show = Show::new(2);
    let whole = Rect::new(0, 0, SIZE.width, SIZE.height);
    show.frames(10, &[whole]);
    let corner = Rect::new(64, 64, 320, 256);
    show.frames(60, &[corner]);
    assert_eq!(show.places(), [corner]);
}

#[test]
fn a_scroll_in_a_region_ends_it() {
    let mut show = Show::new(2);
    show.frames(10, &[PLAYER]);
    let from = lattice_wire::Point { x: PLAYER.x, y: PLAYER.y + 20 };
    let to = Rect { height: PLAYER.height - 20, ..PLAYER };
    let is_ended = |_: u32| {
        show.frame(&[PLAYER], &[Copy { from, to }]);
        show.places().is_empty()
    };
    assert!((0..LOOK).any(is_ended), "within so many frames");
}

#[test]
fn more_films_than_streams_are_shown_as_stills_seldom() {
    let mut show = Show::new(1);
    let films = [Rect::new(0, 0, 320, 256), Rect::new(640, 0, 320, 256)];
    show.frames(10, &films);
    let (mut units, mut stills) = (0, 0);
    for _ in 0..30 {
        let (due, rest) = show.frame(&films, &[]);
        assert_eq!(rest, []);
        units += due.units.len();
        stills += usize::from(!due.stills.is_empty());
    }
    assert_eq!(units, 30);
    assert!((6..=9).contains(&stills), "{stills} stills a second");
}

#[test]
fn without_any_stream_a_film_is_stills() {
    let mut show = Show::new(0);
    let (due, rest) = show.frames(30, &[PLAYER]);
    assert!(due.units.is_empty());
    assert_eq!(rest, []);
    assert_eq!(show.places(), []);
}

#[test]
fn a_slower_mode_makes_fewer_units_of_all_that_changed() {
    let mut show = Show::new(2);
    show.frames(10, &[PLAYER]);
    show.rules.mode.interval = Micros::from_millis(200);
    let parts = [Rect::new(100, 90, 200, 64), Rect::new(400, 400, 200, 64)];
    let (mut units, mut last) = (0, None);
    for frame in 0..30 {
        let (due, _) = show.frame(&[parts[frame % 2]], &[]);
        units += due.units.len();
        last = due.units.into_iter().next_back().or(last);
    }
    assert!((4..=6).contains(&units), "{units} units in a second");
    let damage: Region = last.expect("a unit").damage.into_iter().collect();
    assert!(parts.iter().all(|&part| damage.contains(part)), "{damage:?}");
}

#[test]
fn viewers_that_come_cost_a_keyframe_a_second_at_most() {
    let mut show = Show::new(2);
    show.frames(10, &[PLAYER]);
    let mut keyframes = 0;
    for _ in 0..90 {
        show.regions.want_keyframes();
        let (due, _) = show.frame(&[PLAYER], &[]);
        keyframes += due.units.iter().filter(|unit| unit.keyframe).count();
    }
    assert!((2..=3).contains(&keyframes), "{keyframes} in three seconds");
}

#[test]
fn a_change_beyond_what_the_link_carries_begins_as_video() {
    let mut show = Show::new(2);
    show.rules.affordable = Some(100_000);
    let (due, rest) = show.frame(&[PLAYER], &[]);
    assert_eq!((due.units.len(), rest), (1, vec![]));
    assert_eq!(due.units[0].content, Content::Pictures);
}

#[test]
fn a_page_of_text_beyond_what_the_link_carries_begins_as_video_of_text() {
    let mut regions = VideoRegions::new(SIZE);
    let rules = Rules { affordable: Some(10_000), ..rules(2) };
    let (now, text) = (Micros(1_000_000), Picture::new(SIZE));
    let mut boxes: Vec<Rect> = crate::damage::tiles_of(PLAYER).collect();
    regions.watch(now, &mut boxes, &[], &text, &rules, &mut Vec::new());
    assert_eq!(boxes, []);
    let due = due(&mut regions, now, &rules);
    assert_eq!(due.units.len(), 1);
    assert_eq!(due.units[0].content, Content::Text);
}

#[test]
fn a_stream_that_failed_is_not_used_again() {
    let mut show = Show::new(1);
    show.frames(10, &[PLAYER]);
    let stream = show.regions.streams().next().expect("a stream").0;
    show.regions.give_up(stream);
    let (due, _) = show.frames(5, &[PLAYER]);
    assert!(due.units.is_empty());
}

#[test]
fn damage_is_even_within_its_place_and_little() {
    let mut show = Show::new(2);
    show.frames(10, &[PLAYER]);
    show.rules.mode.interval = Micros::from_millis(5000);
    let dots = (0..200u16).map(|i| Rect::new(100 + i * 37 % 600, 90 + i * 91 % 470, 5, 5));
    let dots: Vec<Rect> = dots.collect();
    show.frame(&dots, &[]);
    show.rules.mode.interval = Micros(0);
    let (due, _) = show.frame(&[], &[]);
    let [unit] = &due.units[..] else { panic!("one unit, not {due:?}") };
    assert!(unit.damage.len() <= MAX_VIDEO_DAMAGE);
    for rect in &unit.damage {
        assert!(PLAYER.contains(*rect), "{rect:?}");
        let starts = [rect.x - PLAYER.x, rect.y - PLAYER.y];
        assert!(starts.iter().all(|start| start.is_multiple_of(2)), "{rect:?}");
        let ends =
            [(rect.right(), PLAYER.x, PLAYER.right()), (rect.bottom(), PLAYER.y, PLAYER.bottom())];
        let is_whole =
            |(end, start, last): (u16, u16, u16)| end == last || (end - start).is_multiple_of(2);
        assert!(ends.into_iter().all(is_whole), "{rect:?}");
    }
}
