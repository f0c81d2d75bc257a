//! What a frame asks of the allocator in the steady state: a few rectangles, never pixels.

use allocation_counter::{AllocationInfo, measure};
use lattice_engine::picture::Picture;
use lattice_engine::plan::Planner;
use lattice_engine::rate::{Pace, ladder::Ladder};
use lattice_engine::region::Region;
use lattice_engine::video::Rules;
use lattice_wire::{Micros, Rect, Size};

const SCREEN: Size = Size::new(1280, 720);
const FRAME: Micros = Micros(33_333);
const FRAMES: u32 = 60;

struct Desk {
    picture: Picture,
    planner: Planner,
    rules: Rules,
    now: Micros,
}

impl Desk {
    /// All of it is planned once.
    fn new() -> Self {
        let mode = Ladder::new(Micros(16_667)).choose(Pace::UNKNOWN, 0);
        let rules = Rules { streams: 1, mode, affordable: None };
        let (picture, planner) = (Picture::new(SCREEN), Planner::new(SCREEN));
        let mut desk = Self { picture, planner, rules, now: Micros(1_000_000) };
        desk.plan(&Region::whole(SCREEN));
        desk
    }

    /// Whether something of the frame is video.
    fn plan(&mut self, damage: &Region) -> bool {
        self.now = self.now.plus(FRAME);
        let fresh = self.picture.reader(damage);
        let plan = self.planner.plan(self.now, damage, fresh, &[], &self.rules);
        !plan.videos.is_empty()
    }

    /// A letter at its place.
    fn type_letter(&mut self, number: u32) {
        let place = Rect::new(100 + (number % 150) as u16 * 7, 200, 7, 13);
        self.picture.fill(place, 0x0020_3040 + number);
        self.plan(&place.into());
    }

    /// A frame that differs in every pixel.
    fn film(&mut self, number: u32) -> bool {
        let place = Rect::new(200, 100, 640, 360);
        for (y, row) in (0..).zip(self.picture.rows_mut(place)) {
            for (x, pixel) in (0..).zip(row) {
                *pixel =
                    ((number * 5 + x) & 0xff) << 16 | ((y + number) & 0xff) << 8 | ((x * y) & 0xff);
            }
        }
        self.plan(&place.into())
    }
}

/// Of one frame, on average; the bytes are the most that were held at once.
fn check(what: &str, info: AllocationInfo, most: u64, most_bytes: u64) {
    let each = info.count_total / u64::from(FRAMES);
    println!("{what}: {each} allocations a frame, {} bytes at most at once", info.bytes_max);
    assert!(each <= most, "{what}: {info:?}");
    assert!(info.bytes_max <= most_bytes, "{what}: {info:?}");
}

#[test]
fn a_frame_asks_for_a_few_rectangles_and_never_for_pixels() {
    let mut desk = Desk::new();
    (0..FRAMES).for_each(|number| desk.type_letter(number));
    let typed = measure(|| (0..FRAMES).for_each(|number| desk.type_letter(number + 7)));
    check("typing", typed, 4, 1 << 10);

    assert!((0..FRAMES).any(|number| desk.film(number)), "it becomes video");
    let mut videos = 0;
    let film =
        measure(|| videos = (FRAMES..2 * FRAMES).filter(|&number| desk.film(number)).count());
    assert!(videos > FRAMES as usize / 2, "it is video by then: {videos}");
    // A picture of the film has 900 KiB.
    check("a film", film, 40, 16 << 10);
}
