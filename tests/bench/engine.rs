//! What the pure engine takes for a frame: recordings of what desktops do, replayed through the
//! planner, the search for motion and the digest. `cargo xtask bench --engine` runs it; there is no
//! X server, no encoder and no clock in it.
//!
//! A recording is played to and fro: what scrolled up scrolls down, so no frame jumps.

use divan::Bencher;
use lattice_engine::damage::take_in;
use lattice_engine::digest::Bands;
use lattice_engine::motion::{Mover, Shift};
use lattice_engine::picture::Picture;
use lattice_engine::plan::{FramePlan, MoveHint, Planner};
use lattice_engine::rate::{Pace, ladder::Ladder};
use lattice_engine::region::Region;
use lattice_engine::video::Rules;
use lattice_tests::footage::Footage;
use lattice_tests::scene::Random;
use lattice_wire::{Micros, Rect, Size};
use std::hint::black_box;

/// Tells how often and how much memory is asked for.
#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const SCREEN: Size = Size::new(1920, 1080);
const FRAMES: usize = 8;
/// 30 frames a second, at which video is known as such.
const FRAME: Micros = Micros(33_333);
const PAPER: u32 = 0x00fb_fbf8;
const INK: u32 = 0x0010_4080;
const LINE: u16 = 15;
const SHEET: Rect = Rect { x: 24, y: 24, width: 1000, height: 900 };
const CARD: Size = Size::new(320, 200);
const RECORDINGS: [&str; 4] = ["typing", "scroll 1000x900", "drag 320x200", "video 1280x720"];

fn main() {
    divan::main();
}

/// A frame of a recording: the screen, and where it differs from both its neighbours.
struct Recorded {
    picture: Picture,
    damage: Region,
    /// Where the dragged window is.
    window: Option<Rect>,
}

/// From what was drawn to what a frame says: damage, motion, video, tiles.
#[divan::bench(args = RECORDINGS)]
fn plan(bencher: Bencher, recording: &str) {
    let mut replay = Replay::new(recording);
    bencher.bench_local(|| {
        black_box(replay.step());
    });
}

/// The digest after each frame of a recording, of the bands that it touched.
#[divan::bench(args = RECORDINGS)]
fn digest(bencher: Bencher, recording: &str) {
    let frames = record(recording);
    let mut bands = Bands::new(SCREEN);
    let mut at = (0..FRAMES).cycle();
    bencher.bench_local(|| {
        let frame = &frames[at.next().expect("a cycle has no end")];
        frame.damage.rects().iter().for_each(|&rect| bands.touch(rect));
        black_box(bands.compute(&frame.picture));
    });
}

/// The search for motion alone, as it is where nothing tells of it.
#[divan::bench(args = RECORDINGS)]
fn motion(bencher: Bencher, recording: &str) {
    let frames = record(recording);
    let steps: Vec<_> = to_and_fro()
        .map(|(from, to)| {
            let (before, after) = (&frames[from], &frames[to]);
            let mut damage = before.damage.clone();
            damage.add_all(&after.damage);
            let (mut next, mut fresh) = (before.picture.clone(), after.picture.reader(&damage));
            let mut boxes = Vec::new();
            take_in(&mut fresh, &mut next, &before.picture, &damage, &mut boxes);
            (before, after, boxes)
        })
        .collect();
    let mut at = steps.iter().cycle();
    bencher.bench_local(|| {
        let (before, after, boxes) = at.next().expect("a cycle has no end");
        let known: [Shift; 0] = [];
        // A new one each time: it would remember the distance.
        let mut copies = Vec::new();
        Mover::new().find(&after.picture, &before.picture, boxes, &known, &mut copies);
        black_box(copies)
    });
}

/// A planner and the recording that it sees.
struct Replay {
    frames: Vec<Recorded>,
    planner: Planner,
    plan: FramePlan,
    rules: Rules,
    at: usize,
    steps: Vec<(usize, usize)>,
    now: Micros,
}

impl Replay {
    fn new(recording: &str) -> Self {
        let frames = record(recording);
        let mode = Ladder::new(Micros(16_667)).choose(Pace::UNKNOWN, 0);
        let rules = Rules { streams: 1, mode, affordable: None };
        let (planner, steps) = (Planner::new(SCREEN), to_and_fro().collect());
        let (plan, now) = (FramePlan::default(), Micros(1_000_000));
        let mut replay = Self { frames, planner, plan, rules, at: 0, steps, now };
        // From a black screen to the first frame, and until video is known as such.
        replay.plan(0, &Region::whole(SCREEN), &[]);
        (0..4 * FRAMES).for_each(|_| _ = replay.step());
        replay
    }

    fn step(&mut self) -> &FramePlan {
        let (from, to) = self.steps[self.at % self.steps.len()];
        self.at += 1;
        let (before, after) = (&self.frames[from], &self.frames[to]);
        let mut damage = before.damage.clone();
        damage.add_all(&after.damage);
        let hints = before.window.zip(after.window).map(|(from, to)| MoveHint {
            from,
            dx: i32::from(to.x) - i32::from(from.x),
            dy: i32::from(to.y) - i32::from(from.y),
        });
        self.plan(to, &damage, hints.as_slice())
    }

    /// The one place that knows how a planner is asked.
    fn plan(&mut self, frame: usize, damage: &Region, hints: &[MoveHint]) -> &FramePlan {
        self.now = self.now.plus(FRAME);
        self.plan.clear();
        let fresh = self.frames[frame].picture.reader(damage);
        self.planner.plan(self.now, damage, fresh, hints, &self.rules, &mut self.plan);
        &self.plan
    }
}

/// Steps between neighbours, as many up as down.
fn to_and_fro() -> impl Iterator<Item = (usize, usize)> {
    let up = (1..FRAMES).map(|to| (to - 1, to));
    up.chain((1..FRAMES).rev().map(|from| (from, from - 1)))
}

/// The same on every run.
fn record(name: &str) -> Vec<Recorded> {
    let text = sheet();
    let footage = Footage::new(Size::new(1280, 720));
    let frame = |number: usize| match name {
        "typing" => typed(&text, number as u16),
        "scroll 1000x900" => scrolled(&text, number as u16),
        "drag 320x200" => dragged(&text, number as u16),
        "video 1280x720" => filmed(&footage, number as u32),
        other => unreachable!("no recording is called {other}"),
    };
    (0..FRAMES).map(frame).collect()
}

fn typed(text: &Picture, number: u16) -> Recorded {
    let mut picture = shown(text, 0);
    let letter = |number: u16| Rect::new(200 + number * 7, 512, 7, 13);
    (0..=number).for_each(|number| glyph(&mut picture, letter(number), u32::from(number) + 9));
    let damage = Region::around(&[letter(number), letter(number + 1)], 2);
    Recorded { picture, damage, window: None }
}

fn scrolled(text: &Picture, number: u16) -> Recorded {
    Recorded { picture: shown(text, number), damage: Region::from(SHEET), window: None }
}

fn dragged(text: &Picture, number: u16) -> Recorded {
    let mut picture = shown(text, 0);
    let card = Rect::new(300 + number * 7, 200 + number * 3, CARD.width, CARD.height);
    picture.fill(card, 0x00d8_e4f0);
    for row in 0..CARD.height / LINE - 1 {
        words(&mut picture, Rect::new(card.x + 6, card.y + row * LINE, card.width - 12, LINE), row);
    }
    Recorded { picture, damage: Region::from(card), window: Some(card) }
}

fn filmed(footage: &Footage, number: u32) -> Recorded {
    let mut picture = Picture::new(SCREEN);
    let area = Rect::new(320, 180, 1280, 720);
    let frame = footage.frame(number);
    for (y, row) in picture.rows_mut(area).enumerate() {
        row.copy_from_slice(frame.row(0, y as u16, area.width));
    }
    Recorded { picture, damage: Region::from(area), window: None }
}

/// A sheet of text that is higher than what is shown of it.
fn sheet() -> Picture {
    let lines = SHEET.height / LINE + FRAMES as u16;
    let mut sheet = Picture::new(Size::new(SHEET.width, lines * LINE));
    sheet.fill(Rect::new(0, 0, SHEET.width, lines * LINE), PAPER);
    for line in 0..lines {
        words(&mut sheet, Rect::new(6, line * LINE, SHEET.width - 12, LINE), line);
    }
    sheet
}

/// The screen with the sheet on it, scrolled by so many lines.
fn shown(sheet: &Picture, lines: u16) -> Picture {
    let mut screen = Picture::new(SCREEN);
    screen.fill(Rect::new(0, 0, SCREEN.width, SCREEN.height), 0x0030_6080);
    for (y, row) in screen.rows_mut(SHEET).enumerate() {
        row.copy_from_slice(sheet.row(0, y as u16 + lines * LINE, SHEET.width));
    }
    screen
}

fn words(picture: &mut Picture, line: Rect, seed: u16) {
    let mut random = Random(u32::from(seed) * 2 + 1);
    for x in (line.x..line.right() - 7).step_by(7) {
        // Every sixth is a blank.
        if random.below(6) > 0 {
            glyph(picture, Rect::new(x, line.y + 1, 6, 13), random.below(26));
        }
    }
}

/// Something of the size and colours of a letter, the same for the same number.
fn glyph(picture: &mut Picture, place: Rect, letter: u32) {
    let mut random = Random(letter * 77 + 1);
    for row in picture.rows_mut(place) {
        for pixel in row {
            *pixel = if random.below(3) == 0 { INK } else { PAPER };
        }
    }
}
