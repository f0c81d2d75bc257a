//! The encoders of the video streams, one for each region that moves.

use super::h264::{Config, EncodeError, VideoEncoder, even};
use lattice_engine::picture::Picture;
use lattice_engine::rate::ladder::Mode;
use lattice_engine::video::Unit;
use lattice_wire::picture::MAX_STREAMS;
use lattice_wire::{Draft, Drawn, Micros, Rect};
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// What a stream is given where the link sets no bound: more than any quantiser in use can spend.
const UNBOUNDED: f64 = 200e6;
/// So much coarser a stream is quantised that could not be encoded: openh264 has a fixed room for a
/// picture, which noise outgrows. 12 steps are a quarter of the bits.
const COARSER: i32 = 12;
/// A place of so many pixels is worth a second thread: it halves the time until 1080p is encoded,
/// for a twentieth more bytes. With more, the browser would have no processor left to decode on.
const TWO_THREADS: usize = 640 * 360;
/// A rate that differs by less than an eighth is not worth telling the encoder.
const NOTABLE: f64 = 0.125;

/// All encoders.
#[derive(Debug)]
pub struct Streams {
    encoders: BTreeMap<u8, Stream>,
    /// Threads of an encoder for a large place.
    threads: u16,
}

impl Default for Streams {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = if cores > 1 { 2 } else { 1 };
        Self { encoders: BTreeMap::new(), threads }
    }
}

#[derive(Debug)]
struct Stream {
    place: Rect,
    encoder: VideoEncoder,
    /// It could not be encoded as finely as it should be.
    is_coarse: bool,
}

/// What came of the units of a frame.
#[derive(Debug, Default)]
pub struct Encoded {
    /// How many there are.
    pub units: usize,
    /// How many of them are keyframes.
    pub keyframes: usize,
    /// Bits of the units.
    pub bits: u64,
    /// Pixels that were coded, after scaling.
    pub pixels: u64,
    /// Streams that cannot go on.
    pub failed: Vec<u8>,
}

impl Streams {
    /// How many encoders there are.
    pub fn len(&self) -> usize {
        self.encoders.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.encoders.is_empty()
    }

    /// Frees the encoders of all streams but these.
    pub fn keep(&mut self, streams: impl Iterator<Item = (u8, Rect)>) {
        if self.encoders.is_empty() {
            return;
        }
        let kept: SmallVec<[(u8, Rect); MAX_STREAMS as usize]> = streams.collect();
        self.encoders.retain(|&number, stream| kept.contains(&(number, stream.place)));
    }

    /// Adds what `picture` shows of the units to a frame.
    pub fn encode(
        &mut self,
        units: &[Unit],
        picture: &Picture,
        mode: &Mode,
        now: Micros,
        draft: &mut Draft,
    ) -> Encoded {
        let all: usize = units.iter().map(|unit| unit.place.area()).sum();
        let mut encoded = Encoded::default();
        for unit in units {
            let share = unit.place.area() as f64 / all as f64;
            let wanted = config(unit, mode, share, self.threads);
            let is_coarse = self.encoders.get(&unit.stream).is_some_and(|own| own.is_coarse);
            let drawn = self.unit(unit, picture, wanted, is_coarse, now, draft).or_else(|_| {
                self.encoders.remove(&unit.stream);
                self.unit(unit, picture, wanted, true, now, draft)
            });
            match drawn {
                Ok(Drawn { keyframe, bytes }) => {
                    encoded.units += 1;
                    encoded.keyframes += usize::from(keyframe);
                    encoded.bits += bytes as u64 * 8;
                    encoded.pixels += wanted.coded.area() as u64;
                }
                Err(error) => {
                    tracing::warn!(%error, stream = unit.stream, "a video stream is given up");
                    self.encoders.remove(&unit.stream);
                    encoded.failed.push(unit.stream);
                }
            }
        }
        encoded
    }

    fn unit(
        &mut self,
        unit: &Unit,
        picture: &Picture,
        wanted: Config,
        is_coarse: bool,
        now: Micros,
        draft: &mut Draft,
    ) -> Result<Drawn, EncodeError> {
        let (finest, coarsest) = wanted.quantisers;
        let finest = if is_coarse { (finest + COARSER).min(coarsest) } else { finest };
        let wanted = Config { quantisers: (finest, coarsest), ..wanted };
        let fits = |stream: &&mut Stream| {
            let own = stream.encoder.config();
            stream.place == unit.place
                && (own.coded, own.quantisers, own.content)
                    == (wanted.coded, wanted.quantisers, wanted.content)
        };
        let stream = match self.encoders.get_mut(&unit.stream).filter(fits) {
            Some(stream) => stream,
            None => {
                // Of two encoders for one stream the old one goes first: they are large.
                self.encoders.remove(&unit.stream);
                let encoder = VideoEncoder::new(wanted)?;
                let stream = Stream { place: unit.place, encoder, is_coarse };
                self.encoders.entry(unit.stream).or_insert(stream)
            }
        };
        let own = stream.encoder.config();
        let differs = |new: f64, old: f64| (new - old).abs() > old * NOTABLE;
        if differs(wanted.bitrate.into(), own.bitrate.into())
            || differs(wanted.frame_rate.into(), own.frame_rate.into())
        {
            stream.encoder.set_rate(wanted.bitrate, wanted.frame_rate)?;
        }
        let time_ms = (now.0 / 1000) as i64;
        draft.video(unit.place, unit.stream, wanted.coded, &unit.damage, |out| {
            stream.encoder.encode(picture, unit.place, time_ms, unit.keyframe, out)
        })
    }
}

/// What a stream is to be like that has this share of all that moves.
fn config(unit: &Unit, mode: &Mode, share: f64, threads: u16) -> Config {
    let place = unit.place;
    let source = even(place.size());
    let frame_rate = 1e6 / mode.interval.0.max(1) as f64;
    let bits = mode.bits_per_frame.map(|bits| f64::from(bits) * share * frame_rate);
    Config {
        source,
        coded: mode.scale.apply(source),
        bitrate: bits.unwrap_or(UNBOUNDED).clamp(10e3, UNBOUNDED) as i32,
        frame_rate: frame_rate as f32,
        quantisers: (i32::from(mode.qp.0), i32::from(mode.qp.1)),
        content: unit.content,
        threads: if place.area() >= TWO_THREADS { threads } else { 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_engine::rate::Pace;
    use lattice_engine::rate::ladder::{Ladder, Scale};
    use lattice_engine::video::Content;
    use lattice_wire::{Size, Step, StepKind};
    use smallvec::smallvec;

    fn mode() -> Mode {
        Ladder::new(Micros(33_333)).choose(Pace::UNKNOWN, 0)
    }

    fn unit(stream: u8, place: Rect) -> Unit {
        let content = Content::Pictures;
        Unit { stream, place, content, damage: smallvec![place], keyframe: false }
    }

    fn encode(streams: &mut Streams, units: &[Unit], mode: &Mode, frame: u64) -> Encoded {
        let picture = Picture::new(Size::new(641, 480));
        streams.encode(units, &picture, mode, Micros::from_millis(frame * 33), &mut Draft::new())
    }

    #[test]
    fn a_stream_begins_with_a_keyframe_and_goes_on_without() {
        let mut streams = Streams::default();
        let place = Rect::new(1, 2, 161, 120);
        let first = encode(&mut streams, &[unit(3, place)], &mode(), 0);
        let (picture, mut draft) = (Picture::new(Size::new(641, 480)), Draft::new());
        let next = streams.encode(&[unit(3, place)], &picture, &mode(), Micros(33_000), &mut draft);
        assert_eq!((first.keyframes, next.keyframes), (1, 0));
        assert_eq!(next.pixels, Size::new(162, 120).area() as u64);
        let [Step { rect, kind: StepKind::Video(len) }] = draft.steps() else { panic!("one unit") };
        assert!(*rect == place && *len as u64 > next.bits / 8);
    }

    #[test]
    fn another_place_or_scale_begins_anew() {
        let mut streams = Streams::default();
        let place = Rect::new(0, 0, 160, 120);
        encode(&mut streams, &[unit(0, place)], &mode(), 0);
        let moved = Rect::new(8, 0, 160, 120);
        assert_eq!(encode(&mut streams, &[unit(0, moved)], &mode(), 1).keyframes, 1);
        let half = Mode { scale: Scale::Half, ..mode() };
        let smaller = encode(&mut streams, &[unit(0, moved)], &half, 2);
        assert_eq!((smaller.keyframes, smaller.pixels), (1, 80 * 60));
        assert_eq!(streams.len(), 1);
    }

    #[test]
    fn text_has_an_encoder_of_its_kind() {
        let mut streams = Streams::default();
        let film = unit(0, Rect::new(0, 0, 160, 120));
        let text = Unit { content: Content::Text, ..film.clone() };
        encode(&mut streams, &[film], &mode(), 0);
        let encoded = encode(&mut streams, &[text], &mode(), 1);
        assert_eq!((encoded.keyframes, streams.len()), (1, 1), "it begins anew");
    }

    #[test]
    fn streams_that_ended_free_their_encoders() {
        let mut streams = Streams::default();
        let places = [Rect::new(0, 0, 160, 120), Rect::new(320, 0, 160, 120)];
        encode(&mut streams, &[unit(0, places[0]), unit(1, places[1])], &mode(), 0);
        streams.keep([(1, places[1])].into_iter());
        assert_eq!(streams.len(), 1);
    }

    #[test]
    fn noise_that_outgrows_the_encoder_is_encoded_more_coarsely() {
        let mut streams = Streams::default();
        let mut picture = Picture::new(Size::new(641, 480));
        for frame in 0..4u32 {
            for (pixel, at) in picture.pixels_mut().iter_mut().zip(frame..) {
                *pixel = at.wrapping_mul(0x9E37_79B1).wrapping_mul(at | 1) >> 8;
            }
            let units = [unit(0, Rect::new(0, 0, 400, 301))];
            let now = Micros::from_millis(u64::from(frame) * 33);
            let encoded = streams.encode(&units, &picture, &mode(), now, &mut Draft::new());
            assert_eq!((encoded.failed, encoded.units), (vec![], 1), "frame {frame}");
        }
    }

    #[test]
    fn a_size_that_the_encoder_refuses_fails_its_stream_alone() {
        let mut streams = Streams::default();
        let units = [unit(0, Rect::new(0, 0, 4, 4)), unit(1, Rect::new(320, 0, 160, 120))];
        let encoded = encode(&mut streams, &units, &mode(), 0);
        assert_eq!((encoded.failed, encoded.units, streams.len()), (vec![0], 1, 1));
    }
}
