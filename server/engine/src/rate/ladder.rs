//! What video may cost at a pace, and what gives way first.
//!
//! In this order, each step as far as it goes before the next: frames are merged (60 a second
//! become 30, which is what films have), quality falls, frames become fewer, the picture smaller,
//! and at last there are stills. A still, sharp picture every half second can be read; a lecture at
//! five blurred frames a second still shows the hand that moves.
//!
//! Everything here is about video. Text is never made worse: it is small, and what there is of it
//! is held back by the frame clock alone.

use super::{Bitrate, Pace};
use lattice_wire::{Micros, Size};

/// Bits a pixel at which more would not be seen in motion: 4 Mbit/s at 1280x720 and 60 frames a
/// second is 0.07, 1080p at 30 and 5 Mbit/s 0.08 — what video portals give live H.264.
const RICH: f64 = 0.08;
/// Bits a pixel below which fewer frames look better than worse ones. A real-time encoder of
/// Baseline profile at its coarsest step spends about 0.02 on ordinary video.
const POOR: f64 = 0.025;
/// The share of the link that video may fill. The rest is for typing beside it, for headers, and
/// for the link's queue to run empty after each frame.
const SHARE: f64 = 0.8;
/// A better step must be affordable by so much more before it is taken again.
const REGAIN: f64 = 1.3;
/// How fast units that turned out larger than asked are forgotten, per unit: by half in 230 units,
/// 8 s at 30 a second.
const FORGET: f64 = 0.997;
/// Units that are averaged, and by how much the average must be above what was asked to show that
/// the encoder cannot, rather than that it aims badly.
const AVERAGED: f64 = 32.0;
const EXCESS: f64 = 1.3;

/// The steps, from the best: frames a second and scale. Stills follow.
const STEPS: [(u64, Scale); 7] = [
    (60, Scale::Full),
    (30, Scale::Full),
    (15, Scale::Full),
    (10, Scale::Full),
    (5, Scale::Full),
    (5, Scale::TwoThirds),
    (5, Scale::Half),
];
const STILLS_INTERVAL: Micros = Micros::from_millis(500);

/// H.264's quantiser (0..=51). At 27 moving pictures of a camera are 35 dB like the original, and
/// each step finer costs a sixth more bytes for a fifth of a decibel, in pictures that are gone after
/// 33 ms; what stays is sent exactly anyway. Above 44 there is more block than picture.
const MIN_QP: u8 = 27;
const MAX_QP: u8 = 44;
/// A film of more pixels than this is coded three steps coarser: at 1080p that is still 35 dB, since
/// its pixels show less each, and it takes a quarter off the encoder, which two cores need there.
const LARGE: u64 = 1 << 20;
const LARGE_MIN_QP: u8 = 30;

/// Exact pixels in one frame: what the link carries in this time, so that a letter typed behind
/// them need not wait longer.
pub const PORTION: Micros = Micros::from_millis(50);
const LEAST_PORTION: u64 = 8 << 10;

/// By how much a video region is coded smaller than it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scale {
    /// As it is.
    Full,
    /// Two thirds of each side, 4/9 of the pixels.
    TwoThirds,
    /// Half of each side, a quarter of the pixels.
    Half,
}

impl Scale {
    /// The coded size for a region: both sides even, as H.264 wants them, and at least 16, the side
    /// of its blocks.
    pub fn apply(self, size: Size) -> Size {
        let side = |side: u16| {
            let scaled = match self {
                Self::Full => u32::from(side),
                Self::TwoThirds => u32::from(side) * 2 / 3,
                Self::Half => u32::from(side) / 2,
            };
            (scaled.next_multiple_of(2)).max(16) as u16
        };
        Size::new(side(size.width), side(size.height))
    }

    /// The share of the pixels that is left.
    fn share(self) -> f64 {
        match self {
            Self::Full => 1.0,
            Self::TwoThirds => 4.0 / 9.0,
            Self::Half => 0.25,
        }
    }
}

/// How video is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// The least time between two units of a stream; other changes need not wait for it.
    pub interval: Micros,
    /// What all units of one frame may cost together, bits; nothing where the quantiser alone is to
    /// decide.
    pub bits_per_frame: Option<u32>,
    /// The finest and the coarsest quantiser.
    pub qp: (u8, u8),
    /// By how much the pictures are coded smaller.
    pub scale: Scale,
    /// No streams at all: what moves is sent as still pictures, an `interval` apart.
    pub stills: bool,
    /// Bytes of exact pixels that one frame may carry where video has come to rest; nothing where
    /// the link does not mind.
    pub portion: Option<usize>,
}

/// Chooses the mode. Holds on to a step unless another is clearly better, so that it does not flap.
#[derive(Debug)]
pub struct Ladder {
    /// The display's own frame interval.
    fastest: Micros,
    /// An index of [`STEPS`], or its length for stills.
    step: usize,
    /// Bits a pixel that this content costs at the coarsest: at least [`POOR`].
    least: f64,
    /// What units cost of what was asked for them, on average.
    excess: f64,
}

impl Ladder {
    /// A ladder on its best step, for a display of at most one frame every `fastest`.
    pub fn new(fastest: Micros) -> Self {
        Self { fastest, step: 0, least: POOR, excess: 1.0 }
    }

    /// The mode for `pixels` of video on the screen, all regions together.
    pub fn choose(&mut self, pace: Pace, pixels: u64) -> Mode {
        let Some(bitrate) = pace.bitrate else {
            *self = Self::new(self.fastest);
            return self.mode(None, pixels);
        };
        let budget = f64::from(bitrate.0) * SHARE;
        let wanted = (0..STEPS.len()).find(|&step| self.needs(step, pixels) <= budget);
        let wanted = wanted.unwrap_or(STEPS.len());
        // Down at once, up only with room to spare.
        let affordable = |step: &usize| self.needs(*step, pixels) * REGAIN <= budget;
        self.step = match wanted < self.step {
            true => (wanted..self.step).find(affordable).unwrap_or(self.step),
            false => wanted,
        };
        self.mode(Some(bitrate), pixels)
    }

    /// A frame's units came out at `bits` where [`Mode::bits_per_frame`] had `asked` for so many. Where
    /// they are more again and again, this content costs so much at the coarsest quantiser, and fewer
    /// frames have to make up for it. To be called for every frame with video, with the `pixels` that
    /// were coded (after scaling).
    pub fn handle_encoded(&mut self, bits: u64, asked: Option<u32>, pixels: u64) {
        let Some(asked) = asked.filter(|_| pixels > 0) else { return };
        self.least = (self.least * FORGET).max(POOR);
        // One large unit is a keyframe or a new scene; it counts as twice what was asked at most.
        let excess = (bits as f64 / f64::from(asked.max(1))).min(2.0);
        self.excess += (excess - self.excess) / AVERAGED;
        if self.excess > EXCESS {
            let cost = f64::from(asked) * self.excess / pixels as f64;
            self.least = self.least.max(cost.min(RICH));
        }
    }

    /// Bits a second without which a step is not worth taking.
    fn needs(&self, step: usize, pixels: u64) -> f64 {
        let Some(&(rate, scale)) = STEPS.get(step) else { return 0.0 };
        // Merging comes before quality: 60 frames a second only where all of them are good.
        let least = if step == 0 { RICH } else { self.least };
        let rate = rate.min(1_000_000 / self.fastest.0.max(1)) as f64;
        rate * pixels as f64 * scale.share() * least
    }

    fn mode(&self, bitrate: Option<Bitrate>, pixels: u64) -> Mode {
        let portion = bitrate.map(|it| it.bytes_in(PORTION).max(LEAST_PORTION) as usize);
        let finest = if pixels > LARGE { LARGE_MIN_QP } else { MIN_QP };
        let qp = (finest, MAX_QP);
        let Some(&(rate, scale)) = STEPS.get(self.step) else {
            let (interval, scale) = (STILLS_INTERVAL, Scale::Full);
            let bits_per_frame = None;
            return Mode { interval, bits_per_frame, qp, scale, stills: true, portion };
        };
        // Rounding must not put a display's own 60 Hz just beyond a step's.
        let interval = Micros((1_000_000 / rate).max(self.fastest.0));
        let interval = if self.step == 0 { self.fastest } else { interval };
        let bits_per_frame = bitrate.map(|it| {
            let fair = f64::from(it.0) * SHARE * interval.0 as f64 / 1e6;
            // Twice what is rich: beyond, bits only make a stream that is fine already burst. Of one that
            // is about to begin nobody knows the pixels yet.
            let most = match pixels {
                0 => f64::INFINITY,
                _ => 2.0 * RICH * pixels as f64 * scale.share(),
            };
            fair.min(most) as u32
        });
        Mode { interval, bits_per_frame, qp, scale, stills: false, portion }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL_HD: u64 = 1920 * 1080;
    const FASTEST: Micros = Micros(16_667);

    #[test]
    fn a_large_film_is_coded_a_little_coarser() {
        let finest = |pixels| ladder().choose(Pace::UNKNOWN, pixels).qp.0;
        assert_eq!((finest(1280 * 720), finest(FULL_HD)), (MIN_QP, LARGE_MIN_QP));
    }

    fn ladder() -> Ladder {
        Ladder::new(FASTEST)
    }

    fn at(kbit: u32) -> Pace {
        Pace { bitrate: Some(Bitrate(kbit * 1000)), base_rtt: Micros(0) }
    }

    fn rate(mode: Mode) -> u64 {
        1_000_000 / mode.interval.0
    }

    #[test]
    fn without_a_limit_nothing_gives_way() {
        let mode = ladder().choose(Pace::UNKNOWN, FULL_HD);
        assert_eq!((mode.interval, mode.scale, mode.stills), (FASTEST, Scale::Full, false));
        assert_eq!((mode.bits_per_frame, mode.portion), (None, None));
    }

    #[test]
    fn what_gives_way_first_is_in_order() {
        let mut ladder = ladder();
        let mut seen: Vec<(u64, Scale, bool)> = Vec::new();
        let mut thinnest_at_full_rate = f64::MAX;
        for kbit in (10..20_000).rev().step_by(10) {
            let mode = ladder.choose(at(kbit), FULL_HD);
            let step = (rate(mode), mode.scale, mode.stills);
            if seen.last() != Some(&step) {
                seen.push(step);
            }
            if step == (30, Scale::Full, false) {
                let bits = f64::from(mode.bits_per_frame.expect("a limit"));
                thinnest_at_full_rate = thinnest_at_full_rate.min(bits / FULL_HD as f64);
            }
        }
        let full = [59, 30, 15, 10, 5].map(|rate| (rate, Scale::Full, false));
        let small = [Scale::TwoThirds, Scale::Half].map(|scale| (5, scale, false));
        let stills = [(2, Scale::Full, true)];
        assert_eq!(seen, [&full[..], &small, &stills].concat());
        // Quality went as far as it goes before the first frame was given up.
        assert!(thinnest_at_full_rate < POOR * 1.05, "{thinnest_at_full_rate}");
    }

    #[test]
    fn what_is_chosen_fits_the_link() {
        for kbit in [100, 300, 500, 1000, 2000, 5000, 20_000, 90_000] {
            for pixels in [320 * 240, 1280 * 720, FULL_HD, 4 * FULL_HD] {
                let mode = ladder().choose(at(kbit), pixels);
                let Some(bits) = mode.bits_per_frame else { continue };
                let used = u64::from(bits) * rate(mode);
                assert!(used <= u64::from(kbit) * 900, "{used} bit/s of {kbit} kbit/s: {mode:?}");
            }
        }
    }

    #[test]
    fn an_estimate_that_wavers_does_not_make_the_ladder_flap() {
        let mut ladder = ladder();
        let mut changes = 0;
        let mut last = None;
        // Every border between steps is somewhere within one of these.
        for middle in [190, 250, 600, 900, 1800, 6000] {
            for n in 0..200u32 {
                let wave = [0, 8, 11, 3, -4, -11, -9, 2][n as usize % 8];
                let kbit = (middle * (100 + wave) / 100) as u32;
                let mode = ladder.choose(at(kbit), FULL_HD);
                let step = (mode.interval, mode.scale, mode.stills);
                changes += u32::from(last.is_some_and(|last| last != step));
                last = Some(step);
            }
        }
        assert!(changes <= 12, "{changes} changes over six levels");
    }

    #[test]
    fn content_that_cannot_be_had_so_cheaply_gets_fewer_frames_instead() {
        let mut ladder = ladder();
        let before = ladder.choose(at(3000), FULL_HD);
        assert_eq!(rate(before), 30);
        for _ in 0..30 {
            let mode = ladder.choose(at(3000), FULL_HD);
            let asked = mode.bits_per_frame;
            // Noise: 0.07 bits a pixel whatever is asked.
            ladder.handle_encoded(FULL_HD * 7 / 100, asked, FULL_HD);
        }
        assert!(rate(ladder.choose(at(3000), FULL_HD)) <= 15);
        for _ in 0..2000 {
            let asked = ladder.choose(at(3000), FULL_HD).bits_per_frame;
            ladder.handle_encoded(1000, asked, FULL_HD);
        }
        assert_eq!(rate(ladder.choose(at(3000), FULL_HD)), 30);
    }

    #[test]
    fn one_keyframe_is_not_the_content() {
        let mut ladder = ladder();
        let mode = ladder.choose(at(2500), FULL_HD);
        ladder.handle_encoded(FULL_HD, mode.bits_per_frame, FULL_HD);
        assert_eq!(rate(ladder.choose(at(2500), FULL_HD)), 30);
    }

    #[test]
    fn a_stream_that_is_about_to_begin_has_its_share_of_the_link() {
        let mode = ladder().choose(at(3000), 0);
        let bits = mode.bits_per_frame.expect("a limit");
        assert_eq!(u64::from(bits), (3e6 * SHARE) as u64 * mode.interval.0 / 1_000_000);
    }

    #[test]
    fn coded_sizes_are_even_and_never_nothing() {
        assert_eq!(Scale::Full.apply(Size::new(641, 359)), Size::new(642, 360));
        assert_eq!(Scale::TwoThirds.apply(Size::new(1920, 1080)), Size::new(1280, 720));
        assert_eq!(Scale::Half.apply(Size::new(20, 90)), Size::new(16, 46));
    }
}
