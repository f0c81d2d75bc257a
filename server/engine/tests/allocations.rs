//! What a frame asks of the allocator in the steady state: nothing.

use allocation_counter::{AllocationInfo, measure};
use lattice_engine::damage::History;
use lattice_engine::picture::Picture;
use lattice_engine::plan::{FramePlan, MoveHint, Planner};
use lattice_engine::rate::{Pace, ladder::Ladder};
use lattice_engine::region::Region;
use lattice_engine::video::Rules;
use lattice_wire::{FrameId, Micros, Rect, Size};

const SCREEN: Size = Size::new(1280, 1200);
const FRAME: Micros = Micros(33_333);
/// More than the history of what frames touched holds: until it is full it grows.
const FRAMES: u32 = 150;

struct Desk {
    picture: Picture,
    planner: Planner,
    history: History,
    plan: FramePlan,
    rules: Rules,
    now: Micros,
    frame: FrameId,
}

impl Desk {
    /// All of it is planned once.
    fn new() -> Self {
        let mode = Ladder::new(Micros(16_667)).choose(Pace::UNKNOWN, 0);
        let rules = Rules { streams: 1, mode, affordable: None };
        let (picture, planner) = (Picture::new(SCREEN), Planner::new(SCREEN));
        let (history, plan) = (History::new(), FramePlan::default());
        let (now, frame) = (Micros(1_000_000), FrameId(0));
        let mut desk = Self { picture, planner, history, plan, rules, now, frame };
        desk.show(&Region::whole(SCREEN), &[]);
        desk
    }

    /// Makes a frame of the change, as an agent does.
    fn show(&mut self, damage: &Region, hints: &[MoveHint]) {
        self.now = self.now.plus(FRAME);
        self.frame.0 += 1;
        self.plan.clear();
        let fresh = self.picture.reader(damage);
        self.planner.plan(self.now, damage, fresh, hints, &self.rules, &mut self.plan);
        self.history.record(self.frame, |region| self.plan.touch(region));
    }

    fn noise(&mut self, place: Rect, seed: u32) {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        for pixel in self.picture.rows_mut(place).flatten() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *pixel = state >> 8;
        }
    }

    /// Moves a rectangle's pixels up by so many rows.
    fn lift(&mut self, place: Rect, rows: u16) {
        for y in place.y..place.bottom() - rows {
            for x in place.x..place.right() {
                self.picture.row_mut(x, y, 1)[0] = self.picture.row(x, y + rows, 1)[0];
            }
        }
    }

    /// A letter at its place, and a caret behind it.
    fn type_letter(&mut self, number: u32) {
        let place = Rect::new(100 + (number % 70) as u16 * 7, 200, 7, 13);
        self.picture.fill(place, 0x0020_3040 + number);
        self.picture.fill(Rect { x: place.x + 7, width: 2, ..place }, 0);
        self.show(&Rect { width: 9, ..place }.into(), &[]);
    }

    /// A page goes up by a few rows, beside a clock.
    fn scroll(&mut self, number: u32) {
        let page = Rect::new(40, 60, 1000, 560);
        self.lift(page, 17);
        self.noise(Rect { y: page.bottom() - 17, height: 17, ..page }, number);
        let clock = Rect::new(1200, 10, 40, 16);
        self.picture.fill(clock, number);
        self.show(&[page, clock].into_iter().collect(), &[]);
    }

    /// A window goes up by three rows, and the X server says so.
    fn drag(&mut self, number: u32) {
        let window = |number: u32| Rect::new(300, 1000 - 3 * number as u16, 400, 100);
        if number == 0 {
            self.noise(window(0), 1);
            self.show(&Region::whole(SCREEN), &[]);
            return;
        }
        let (from, to) = (window(number - 1), window(number));
        self.lift(from.union(to), 3);
        self.picture.fill(Rect { y: to.bottom(), height: 3, ..to }, 0x0033_6699);
        self.show(&from.union(to).into(), &[MoveHint { from, dx: 0, dy: -3 }]);
    }

    /// A frame that differs in every pixel.
    fn film(&mut self, number: u32) {
        let place = Rect::new(200, 100, 640, 360);
        self.noise(place, number);
        self.show(&place.into(), &[]);
    }
}

/// What so many frames ask for, after as many others; and in how many of them there is something that
/// `is_so` tells.
fn check(what: &str, mut draw: impl FnMut(&mut Desk, u32), is_so: impl Fn(&FramePlan) -> bool) {
    let mut desk = Desk::new();
    (0..FRAMES).for_each(|number| draw(&mut desk, number));
    let mut those = 0;
    let asked: AllocationInfo = measure(|| {
        for number in FRAMES..2 * FRAMES {
            draw(&mut desk, number);
            those += u32::from(is_so(&desk.plan));
        }
    });
    println!("{what}: {} allocations in {FRAMES} frames", asked.count_total);
    assert!(those > FRAMES * 9 / 10, "{what}: only {those} are what is to be measured");
    assert_eq!((asked.count_total, asked.bytes_total), (0, 0), "{what}");
}

#[test]
fn a_typed_letter_asks_for_nothing() {
    check("typing", Desk::type_letter, |plan| plan.tiles.len() == 1);
}

#[test]
fn a_scrolled_page_asks_for_nothing() {
    check("scrolling", Desk::scroll, |plan| !plan.copies.is_empty() && !plan.tiles.is_empty());
}

#[test]
fn a_dragged_window_asks_for_nothing() {
    check("dragging", Desk::drag, |plan| !plan.copies.is_empty());
}

#[test]
fn a_film_asks_for_nothing() {
    check("a film", Desk::film, |plan| plan.videos.len() == 1);
}
