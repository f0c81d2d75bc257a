//! A desktop with a film and somebody who types, its agent, the gateway, one link and one viewer.

use crate::link::{Chance, Nature, Pipe};
use lattice_engine::fanout::{Effect, Fanout, Limits, Sees};
use lattice_engine::frame_clock::{Due, FrameClock};
use lattice_engine::rate::Pace;
use lattice_engine::rate::ladder::{Ladder, Mode, Scale};
use lattice_wire::{
    Ack, Epoch, FrameFlags, FrameId, FrameRef, FrameTable, Micros, Rect, Refresh, Seq, Size, Step,
    StepKind, ViewerId,
};

const VIEWER: ViewerId = ViewerId(1);
const FASTEST: Micros = Micros(16_667);
/// The film: 1920x1080, 30 frames a second.
const PIXELS: u64 = 1920 * 1080;
const FILM: Micros = Micros(33_333);
/// What the encoder spends where nothing limits it.
const UNLIMITED_BITS: f64 = 0.2 * PIXELS as f64;
const DECODE: Micros = Micros::from_millis(4);
const SECOND: u64 = 1000;

/// A frame on its way: which, how large, and the oldest key whose effect it shows.
#[derive(Clone, Copy)]
struct Frame {
    id: FrameId,
    is_refresh: bool,
    keys_from: Option<Micros>,
    made: Micros,
}

/// How the viewer behaves.
#[derive(Clone, Copy, PartialEq)]
pub enum Viewer {
    Honest,
    /// Says each thing so much later, ms.
    Delaying(u64),
}

pub struct World {
    now: Micros,
    nature: Nature,
    viewer: Viewer,
    fanout: Fanout,
    clock: FrameClock,
    ladder: Ladder,
    mode: Mode,
    pace: Pace,
    down: Pipe<Frame>,
    up: Pipe<Ack>,
    up_keys: Pipe<Micros>,
    delayed: Vec<(Micros, Ack)>,
    chance: Chance,
    next_id: u32,
    film_at: Micros,
    unit_at: Micros,
    /// The oldest key that was typed and not drawn, by the time it was pressed.
    typed: Option<Micros>,
    /// Frames that are not painted, oldest first: when they were made.
    unpainted: Vec<(FrameId, Micros)>,
    log: Log,
}

/// What happened.
#[derive(Default)]
pub struct Log {
    /// When a key's effect was painted, and how long after it was pressed, ms.
    pub typing: Vec<(u64, f64)>,
    /// For each millisecond, how much older than necessary the oldest unpainted frame is, ms.
    pub debt: Vec<f64>,
    /// When the mode changed, and to what.
    pub modes: Vec<(u64, Mode)>,
    /// When a frame was painted, when it had been made, and its bytes, with video.
    pub painted: Vec<(u64, u64)>,
    /// The pace at the end of each millisecond, kbit/s.
    pub pace: Vec<f64>,
    /// Bytes sent in each millisecond.
    pub sent: Vec<usize>,
}

impl World {
    pub fn new(nature: Nature, viewer: Viewer, seed: u64) -> Self {
        let mut fanout = Fanout::new(Limits::default());
        fanout.join(VIEWER, Sees::Video, Micros(0));
        fanout.handle_controller(Some(VIEWER));
        fanout.handle_kernel(VIEWER, Micros((nature.rtt * 1000.0) as u64));
        // What goes up is small: it is late, but never waits for room.
        let up = Nature { kbit: 1e6, loss: 0.0, stalls: (0, 0), steps: &[], ..nature };
        let mut ladder = Ladder::new(FASTEST);
        let mode = ladder.choose(Pace::UNKNOWN, PIXELS);
        let mut world = Self {
            now: Micros(0),
            nature,
            viewer,
            fanout,
            clock: FrameClock::new(FASTEST, 2),
            ladder,
            mode,
            pace: Pace::UNKNOWN,
            down: Pipe::new(nature, seed),
            up: Pipe::new(up, seed + 1),
            up_keys: Pipe::new(up, seed + 2),
            delayed: Vec::new(),
            chance: Chance(seed + 3),
            next_id: 0,
            film_at: Micros(0),
            unit_at: Micros(0),
            typed: None,
            unpainted: Vec::new(),
            log: Log::default(),
        };
        world.poll();
        world
    }

    /// Runs for so many milliseconds, with or without the film.
    pub fn run(&mut self, ms: u64, film: bool) {
        for _ in 0..ms {
            self.now = self.now.plus(Micros::from_millis(1));
            let millis = self.now.0 / 1000;
            let bytes = self.act(film, millis);
            self.log.sent.push(bytes);
            self.arrive();
            self.poll();
            let oldest = self.unpainted.first().map_or(self.now, |&(_, made)| made);
            let age = self.now.since(oldest).0 as f64 / 1000.0;
            self.log.debt.push((age - self.nature.rtt - 4.0).max(0.0));
            let pace = self.pace.bitrate.map_or(f64::INFINITY, |it| f64::from(it.0) / 1000.0);
            self.log.pace.push(pace);
        }
    }

    /// The base round trip that the agent was told, ms.
    pub fn told_rtt(&self) -> f64 {
        self.pace.base_rtt.0 as f64 / 1000.0
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The desktop and its agent; returns the bytes of the frame that was made.
    fn act(&mut self, film: bool, millis: u64) -> usize {
        // Ten keys a second, not in step with the film.
        if millis.is_multiple_of(97) {
            self.up_keys.send(self.now, 10);
        }
        for pressed in self.up_keys.tick(self.now, || ()) {
            self.typed.get_or_insert(pressed);
            self.clock.handle_damage();
        }
        let unit_due = film && self.now >= self.film_at.max(self.unit_at);
        if unit_due {
            self.clock.handle_damage();
        }
        if self.clock.poll(self.now) != Due::Now {
            return 0;
        }
        let typing = if self.typed.is_some() { 60 } else { 0 };
        let unit = if unit_due { self.unit() } else { 0 };
        self.next_id += 1;
        self.clock.handle_sent(FrameId(self.next_id), self.now);
        self.send(unit, typing, FrameFlags::default());
        typing + unit
    }

    /// Bytes of the next unit of video.
    fn unit(&mut self) -> usize {
        self.film_at = Micros(self.now.0 / FILM.0 * FILM.0).plus(FILM);
        // The encoder is asked a little early rather than a whole film's frame late.
        self.unit_at = Micros(self.now.0 + self.mode.interval.0 - self.mode.interval.0 / 8);
        let asked = self.mode.bits_per_frame;
        let scale = match self.mode.scale {
            Scale::Full => 1.0,
            Scale::TwoThirds => 4.0 / 9.0,
            Scale::Half => 0.25,
        };
        let aim = asked.map_or(UNLIMITED_BITS, f64::from).min(UNLIMITED_BITS * scale);
        // Encoders miss their aim by a third, and a new scene costs twice.
        let scene = if self.next_id.is_multiple_of(211) { 2.0 } else { 1.0 };
        let bits = aim * (0.7 + 0.6 * self.chance.share()) * scene;
        self.ladder.handle_encoded(bits as u64, asked, (PIXELS as f64 * scale) as u64);
        (bits / 8.0) as usize
    }

    fn send(&mut self, video: usize, other: usize, flags: FrameFlags) {
        let rect = Rect::new(0, 0, 1920, 1080);
        let mut steps = vec![Step { rect: Rect::new(0, 0, 9, 18), kind: StepKind::Palette(other) }];
        if video > 0 {
            steps.push(Step { rect, kind: StepKind::Video(video) });
        }
        let table = FrameTable {
            flags,
            at: FrameRef { epoch: Epoch(1), id: FrameId(self.next_id) },
            echo: (ViewerId(0), Seq(0)),
            cost_us: 0,
            steps,
        };
        let bytes = 18 + 9 * table.steps.len() + video + other;
        let keys_from = self.typed.take();
        for _ in self.fanout.handle_frame(&table, bytes, self.now) {
            let (id, is_refresh, made) = (table.at.id, flags.refresh.is_some(), self.now);
            self.down.send(Frame { id, is_refresh, keys_from, made }, bytes);
            self.unpainted.push((table.at.id, self.now));
        }
    }

    /// What comes out at either end of the link.
    fn arrive(&mut self) {
        let fanout = &mut self.fanout;
        for frame in self.down.tick(self.now, || fanout.handle_taken(VIEWER)) {
            let painted = self.now.plus(DECODE).0 / 1000;
            if let Some(pressed) = frame.keys_from {
                self.log.typing.push((painted, painted as f64 - pressed.0 as f64 / 1000.0));
            }
            if !frame.is_refresh {
                self.log.painted.push((painted, frame.made.0 / 1000));
            }
            self.unpainted.retain(|(id, _)| *id > frame.id);
            let at = FrameRef { epoch: Epoch(1), id: frame.id };
            let ack = Ack { at, decode_us: DECODE.0 as u32, queued: 0 };
            let delay = match self.viewer {
                Viewer::Honest => DECODE,
                Viewer::Delaying(ms) => DECODE.plus(Micros::from_millis(ms)),
            };
            self.delayed.push((self.now.plus(delay), ack));
        }
        while self.delayed.first().is_some_and(|(when, _)| *when <= self.now) {
            let (_, ack) = self.delayed.remove(0);
            self.up.send(ack, 14);
        }
        for ack in self.up.tick(self.now, || ()) {
            self.fanout.handle_ack(VIEWER, ack, self.now);
        }
    }

    fn poll(&mut self) {
        for effect in self.fanout.poll(self.now) {
            match effect {
                Effect::Painted(at) => self.clock.handle_painted(at.id),
                Effect::Pace(pace) => {
                    self.pace = pace;
                    self.clock.handle_pace(pace.base_rtt);
                    let mode = self.ladder.choose(pace, PIXELS);
                    let step = |mode: Mode| (mode.interval, mode.scale, mode.stills);
                    if step(mode) != step(self.mode) {
                        self.log.modes.push((self.now.0 / 1000, mode));
                    }
                    self.mode = mode;
                }
                Effect::Refresh(request, refresh) => {
                    let keyframe = (refresh == Refresh::Whole).then_some(Size::new(1920, 1080));
                    self.next_id = self.next_id.max(1);
                    let bytes = if keyframe.is_some() { 60_000 } else { 15_000 };
                    self.send(0, bytes, FrameFlags { keyframe, refresh: Some(request) });
                }
                Effect::DropQueued(_) => {
                    self.down.drop_waiting();
                    self.unpainted.clear();
                }
                Effect::Condition(..) => {}
                Effect::Close(_) => panic!("the viewer was given up at {} ms", self.now.0 / 1000),
            }
        }
    }
}

impl Log {
    /// The figures, for people.
    pub fn summary(&self, from: u64, to: u64) -> String {
        format!(
            "typing p50 {:.0} p95 {:.0} ms, longest debt above 500 ms {} ms, {:.0} kbit/s, \
             {:.1} frames/s, {} changes of mode",
            self.typing_at(0.5, from, to),
            self.typing_at(0.95, from, to),
            self.longest_above(500.0, 0, to),
            self.rate(from, to),
            self.frames(from, to),
            self.changes(from, to),
        )
    }

    /// The most bytes that were sent within any span of so many ms.
    pub fn most_sent(&self, from: u64, to: u64, span: usize) -> usize {
        let sent = &self.sent[from as usize..to as usize];
        sent.windows(span).map(|window| window.iter().sum()).max().unwrap_or(0)
    }

    /// The latency below which so large a share of the keys stays that were painted in that time.
    pub fn typing_at(&self, share: f64, from: u64, to: u64) -> f64 {
        let in_time = self.typing.iter().filter(|(at, _)| (from..to).contains(at));
        let mut all: Vec<f64> = in_time.map(|&(_, ms)| ms).collect();
        all.sort_by(f64::total_cmp);
        assert!(all.len() > 20, "only {} keys were seen from {from} to {to} ms", all.len());
        all[((all.len() - 1) as f64 * share) as usize]
    }

    /// The longest time without a break, ms, for which the debt was above `limit`.
    pub fn longest_above(&self, limit: f64, from: u64, to: u64) -> usize {
        let within = &self.debt[from as usize..to as usize];
        within.split(|&debt| debt <= limit).map(<[f64]>::len).max().unwrap_or(0)
    }

    /// What was sent on average, kbit/s.
    pub fn rate(&self, from: u64, to: u64) -> f64 {
        let bytes: usize = self.sent[from as usize..to as usize].iter().sum();
        bytes as f64 * 8.0 / (to - from) as f64
    }

    /// Frames painted a second.
    pub fn frames(&self, from: u64, to: u64) -> f64 {
        let count = self.painted.iter().filter(|(at, _)| (from..to).contains(at)).count();
        count as f64 * SECOND as f64 / (to - from) as f64
    }

    /// How often the frame rate, size or kind of the video changed.
    pub fn changes(&self, from: u64, to: u64) -> usize {
        self.modes.iter().filter(|(at, _)| (from..to).contains(at)).count()
    }
}
