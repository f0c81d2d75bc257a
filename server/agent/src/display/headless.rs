//! A display that plays a script: a test backend that needs no X server.
//!
//! A line is a command; `#` starts a comment at the beginning of a line.
//!
//! ```text
//! size W H                     the screen, 640 x 480 otherwise; at once, wherever it stands
//! fill X Y W H #rrggbb         one colour
//! noise X Y W H SEED           every pixel another colour
//! text X Y W H SEED            two colours in the manner of letters
//! scroll X Y W H DX DY         moves the pixels within the rectangle
//! cursor W H #rrggbb           the pointer's shape, hot in its middle; 0 0 hides it
//! wait MS                      the next line comes so much later
//! loop                         starts again; a wait must have come before
//! on-key fill X Y W H #rrggbb  not played: each key press paints it, a little lighter each time
//! ```
//!
//! The script plays only while somebody looks, as no time passes for a screen that nobody sees.

use super::{Events, Fetched, Grab, Hints, Options, Pixels};
use anyhow::{Context, bail, ensure};
use lattice_engine::picture::Picture;
use lattice_engine::region::Region;
use lattice_wire::{Cursor, Micros, Point, Rect, Size};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many keys were pressed on a scripted display: what its input edge tells it.
pub type KeyCount = Arc<AtomicU64>;

/// After a pause the script goes on from now, rather than catching up.
const MAX_LATE: Micros = Micros::from_millis(50);

/// A display that plays a script.
#[derive(Debug)]
pub struct HeadlessDisplay {
    script: Script,
    at: usize,
    due: Option<Micros>,
    watched: bool,
    screen: Picture,
    damage: Region,
    resized: Option<Size>,
    cursor: Option<Cursor>,
    resize: Option<(Size, Size)>,
    keys: KeyCount,
    keys_seen: u64,
}

/// A parsed script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    size: Option<Size>,
    steps: Vec<Step>,
    on_key: Vec<(Rect, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Fill(Rect, u32),
    Noise(Rect, u32),
    Text(Rect, u32),
    Scroll(Rect, i32, i32),
    Cursor(Size, u32),
    Wait(Micros),
    Loop,
}

impl HeadlessDisplay {
    /// A black screen, before the script's first line.
    pub fn new(script: Script, options: &Options, keys: KeyCount) -> Self {
        let size = script.size.unwrap_or(Size::new(640, 480));
        let keys_seen = keys.load(Ordering::Acquire);
        Self {
            script,
            at: 0,
            due: Some(Micros(0)),
            watched: false,
            screen: Picture::new(size),
            damage: Region::new(),
            resized: None,
            cursor: None,
            resize: options.resize,
            keys,
            keys_seen,
        }
    }

    pub(super) fn size(&self) -> Size {
        self.screen.size()
    }

    pub(super) fn limits(&self) -> (Size, Size) {
        self.resize.unwrap_or((self.size(), self.size()))
    }

    pub(super) fn wake_at(&self) -> Option<Micros> {
        self.due.filter(|_| self.watched)
    }

    pub(super) fn watch(&mut self, on: bool) {
        self.watched = on;
    }

    pub(super) fn drain(&mut self, now: Micros) -> Events {
        if self.watched {
            self.play(now);
            self.echo_keys();
        }
        Events {
            damaged: self.watched && !self.damage.is_empty(),
            resized: self.resized.take(),
            cursor: self.cursor.take(),
        }
    }

    pub(super) fn grab(&mut self, also: &Region, size: Size) -> Grab<'_> {
        let mut region = std::mem::take(&mut self.damage);
        region.add_all(also);
        let region = region.clip(self.size());
        if size != self.size() {
            return Grab::Changed;
        }
        Grab::Done(Fetched { region, hints: Hints::new(), pixels: Pixels::Picture(&self.screen) })
    }

    pub(super) fn resize(&mut self, size: Size) {
        let old = std::mem::replace(&mut self.screen, Picture::new(size));
        if let Some(kept) = old.size().bounds().and_then(|bounds| bounds.clip(size)) {
            for (to, from) in self.screen.rows_mut(kept).zip(old.rows(kept)) {
                to.copy_from_slice(from);
            }
        }
        self.damage = Region::whole(size);
        self.resized = Some(size);
    }

    fn play(&mut self, now: Micros) {
        let Some(mut due) = self.due.filter(|&due| due <= now) else { return };
        if now.since(due) > MAX_LATE {
            due = now;
        }
        while let Some(step) = self.script.steps.get(self.at).cloned() {
            self.at += 1;
            match step {
                Step::Wait(span) => {
                    due = due.plus(span);
                    if due > now {
                        self.due = Some(due);
                        return;
                    }
                }
                Step::Loop => self.at = 0,
                Step::Cursor(size, color) => self.cursor = Some(cursor(size, color)),
                Step::Fill(rect, _)
                | Step::Noise(rect, _)
                | Step::Text(rect, _)
                | Step::Scroll(rect, ..) => {
                    if let Some(rect) = rect.clip(self.size()) {
                        self.paint(rect, &step);
                    }
                }
            }
        }
        self.due = None;
    }

    fn paint(&mut self, rect: Rect, step: &Step) {
        match *step {
            Step::Fill(_, color) => self.screen.fill(rect, color),
            Step::Noise(_, seed) => self.each(rect, |x, y| hash(x, y, seed) & 0xff_ffff),
            Step::Text(_, seed) => self.each(rect, |x, y| letter(x, y, seed)),
            Step::Scroll(_, dx, dy) => self.scroll(rect, dx, dy),
            Step::Cursor(..) | Step::Wait(_) | Step::Loop => {}
        }
        self.damage.add(rect);
    }

    fn each(&mut self, rect: Rect, color: impl Fn(u32, u32) -> u32) {
        for (y, row) in (0..).zip(self.screen.rows_mut(rect)) {
            (0..).zip(row).for_each(|(x, pixel)| *pixel = color(x, y));
        }
    }

    fn scroll(&mut self, rect: Rect, dx: i32, dy: i32) {
        let old = self.screen.clone();
        let moved = rect.moved(dx, dy).and_then(|moved| moved.intersect(rect));
        let Some(to) = moved else { return };
        let Some(from) = to.moved(-dx, -dy) else { return };
        for (to, from) in self.screen.rows_mut(to).zip(old.rows(from)) {
            to.copy_from_slice(from);
        }
    }

    fn echo_keys(&mut self) {
        let pressed = self.keys.load(Ordering::Acquire);
        if pressed == self.keys_seen {
            return;
        }
        self.keys_seen = pressed;
        let lighter = (pressed as u32).wrapping_mul(0x01_0101);
        for (rect, color) in self.script.on_key.clone() {
            if let Some(rect) = rect.clip(self.size()) {
                self.screen.fill(rect, color.wrapping_add(lighter) & 0xff_ffff);
                self.damage.add(rect);
            }
        }
    }
}

fn cursor(size: Size, color: u32) -> Cursor {
    if size.area() == 0 {
        return super::x11::hidden_cursor();
    }
    let pixels = vec![0xff00_0000 | color; size.area()];
    let hot = Point { x: size.width / 2, y: size.height / 2 };
    Cursor { hot, size, png: crate::encode::cursor_png(size, &pixels).into() }
}

/// Mixes its arguments; the constants are those of MurmurHash3's finaliser.
fn hash(x: u32, y: u32, seed: u32) -> u32 {
    let mut h = x ^ y.rotate_left(16) ^ seed.wrapping_mul(0x9e37_79b1);
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

/// Black strokes on white, in cells of 9 x 18.
fn letter(x: u32, y: u32, seed: u32) -> u32 {
    let (cell, stroke) = (hash(x / 9, y / 18, seed), (x % 9 / 2) + (y % 18 / 3) * 5);
    let in_gap = x % 9 == 8 || y % 18 >= 15;
    if !in_gap && cell >> stroke & 1 == 1 { 0 } else { 0xff_ffff }
}

/// Reads a script.
pub fn parse(text: &str) -> anyhow::Result<Script> {
    let mut script = Script::default();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !words.is_empty() && !words[0].starts_with('#') {
            script.add(&words).with_context(|| format!("line {number}: {line}"))?;
        }
    }
    Ok(script)
}

impl Script {
    fn add(&mut self, words: &[&str]) -> anyhow::Result<()> {
        let step = match *words {
            ["size", w, h] => {
                let size = Size::new(w.parse()?, h.parse()?);
                ensure!(size.bounds().is_some(), "the size is empty or above the limit");
                self.size = Some(size);
                return Ok(());
            }
            ["on-key", "fill", x, y, w, h, color] => {
                self.on_key.push((rect([x, y, w, h])?, rgb(color)?));
                return Ok(());
            }
            ["fill", x, y, w, h, color] => Step::Fill(rect([x, y, w, h])?, rgb(color)?),
            ["noise", x, y, w, h, seed] => Step::Noise(rect([x, y, w, h])?, seed.parse()?),
            ["text", x, y, w, h, seed] => Step::Text(rect([x, y, w, h])?, seed.parse()?),
            ["scroll", x, y, w, h, dx, dy] => {
                Step::Scroll(rect([x, y, w, h])?, dx.parse()?, dy.parse()?)
            }
            ["cursor", w, h, color] => {
                let size = Size::new(w.parse()?, h.parse()?);
                ensure!(size.width.max(size.height) <= 256, "the cursor is too large");
                Step::Cursor(size, rgb(color)?)
            }
            ["wait", span] => {
                let span: u32 = span.parse()?;
                ensure!(span > 0, "a wait takes at least a millisecond");
                Step::Wait(Micros::from_millis(span.into()))
            }
            ["loop"] => {
                let waits = self.steps.iter().any(|step| matches!(step, Step::Wait(_)));
                ensure!(waits, "a loop without a wait would never end");
                Step::Loop
            }
            _ => bail!("no such command"),
        };
        self.steps.push(step);
        Ok(())
    }
}

fn rect(words: [&str; 4]) -> anyhow::Result<Rect> {
    let [x, y, w, h] = words.map(str::parse::<u16>);
    Rect::checked(x?, y?, w?, h?).context("the rectangle is empty or too far out")
}

fn rgb(word: &str) -> anyhow::Result<u32> {
    let digits = word.strip_prefix('#').filter(|digits| digits.len() == 6);
    Ok(u32::from_str_radix(digits.context("a colour looks like #rrggbb")?, 16)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_engine::damage::take_in;

    fn display(script: &str) -> HeadlessDisplay {
        let options = Options { name: String::new(), shm: false, resize: None };
        let mut display =
            HeadlessDisplay::new(parse(script).unwrap(), &options, KeyCount::default());
        display.watch(true);
        display
    }

    fn grabbed(display: &mut HeadlessDisplay, now: u64) -> (Region, Picture) {
        display.drain(Micros::from_millis(now));
        let mut next = Picture::new(display.size());
        let Grab::Done(fetched) = display.grab(&Region::new(), next.size()) else {
            panic!("the size is the display's own")
        };
        let shadow = next.clone();
        take_in(&mut fetched.reader(), &mut next, &shadow, &fetched.region, &mut Vec::new());
        (fetched.region, next)
    }

    #[test]
    fn it_paints_what_is_due_and_no_more() {
        let mut display =
            display("size 20 10\nfill 1 1 2 2 #0000ff\nwait 50\nfill 5 5 1 1 #ff0000");
        let (region, picture) = grabbed(&mut display, 1000);
        assert_eq!(region, Rect::new(1, 1, 2, 2).into());
        assert_eq!(picture.row(1, 1, 2), [0xff, 0xff]);
        assert_eq!(grabbed(&mut display, 1050).0, Rect::new(5, 5, 1, 1).into());
        assert_eq!(display.wake_at(), None);
    }

    #[test]
    fn a_key_paints_its_echo() {
        let mut display = display("on-key fill 0 0 3 3 #000000");
        display.keys.fetch_add(1, Ordering::Release);
        let (region, picture) = grabbed(&mut display, 1);
        assert_eq!(region, Rect::new(0, 0, 3, 3).into());
        assert_eq!(picture.row(0, 0, 1), [0x01_0101]);
    }

    #[test]
    fn resizing_keeps_the_picture() {
        let mut display = display("size 4 4\nfill 0 0 4 4 #00ff00");
        display.drain(Micros(1));
        display.resize(Size::new(7, 3));
        assert_eq!(display.drain(Micros(2)).resized, Some(Size::new(7, 3)));
        assert_eq!(display.screen.row(3, 2, 2), [0xff00, 0]);
    }

    #[test]
    fn bad_scripts_name_the_line() {
        for bad in ["paint 1", "fill 0 0 0 1 #000000", "loop", "wait 0", "fill 0 0 1 1 red"] {
            let error = parse(&format!("size 8 8\n{bad}")).expect_err(bad);
            assert!(error.to_string().starts_with("line 2"), "{error}");
        }
    }
}
