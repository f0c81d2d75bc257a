//! H.264 for what moves: one stream for each video region.

mod ffi;

use lattice_engine::picture::Picture;
use lattice_engine::video::Content;
use lattice_wire::{Rect, Size};
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
    bgra_to_yuv420,
};

/// openh264 refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{step} the video encoder: openh264 says {code}")]
pub struct EncodeError {
    step: &'static str,
    code: i32,
}

/// What a stream is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// The size of the pictures that are given, both sides even.
    pub source: Size,
    /// The size they are coded at, both sides even, none larger than the source's.
    pub coded: Size,
    /// Bit/s.
    pub bitrate: i32,
    /// Pictures a second that the bits are shared by.
    pub frame_rate: f32,
    /// The least and the greatest quantiser (0 to 51, ITU-T H.264): the least bounds the bytes where
    /// the link would carry more than anybody sees.
    pub quantisers: (i32, i32),
    /// What the pictures show.
    pub content: Content,
    /// How many threads encode a picture, each a slice of it: at least 1.
    pub threads: u16,
}

/// A picture as encoders take it: luma, and chroma at half its size each way.
#[derive(Debug, Default)]
struct I420 {
    size: Size,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    /// Pixels of a place with an odd side, made even.
    padded: Picture,
}

/// One stream's encoder.
#[derive(Debug)]
pub struct VideoEncoder {
    handle: ffi::Handle,
    config: Config,
    input: I420,
}

/// The sides made even by rounding up.
pub fn even(size: Size) -> Size {
    Size::new(size.width.next_multiple_of(2), size.height.next_multiple_of(2))
}

impl VideoEncoder {
    /// An encoder whose first unit will be a keyframe.
    ///
    /// # Errors
    /// Where openh264 does not take the size.
    pub fn new(config: Config) -> Result<Self, EncodeError> {
        Ok(Self { handle: ffi::Handle::new(&config)?, config, input: I420::new(config.source) })
    }

    /// What it was told to be like.
    pub fn config(&self) -> Config {
        self.config
    }

    /// Changes what the stream may cost.
    ///
    /// # Errors
    /// Where openh264 refuses.
    pub fn set_rate(&mut self, bitrate: i32, frame_rate: f32) -> Result<(), EncodeError> {
        if frame_rate != self.config.frame_rate {
            self.handle.set_frame_rate(frame_rate)?;
            self.config.frame_rate = frame_rate;
        }
        if bitrate != self.config.bitrate {
            self.handle.set_bitrate(bitrate)?;
            self.config.bitrate = bitrate;
        }
        Ok(())
    }

    /// Appends the unit of what `place` of `picture` shows to `out`; whether it is a keyframe.
    ///
    /// `place` has the source's size, or a side is one pixel shorter: then its last row or column is
    /// repeated. `time_ms` must grow.
    ///
    /// # Errors
    /// Where openh264 fails; the stream has to begin anew with another encoder.
    pub fn encode(
        &mut self,
        picture: &Picture,
        place: Rect,
        time_ms: i64,
        keyframe: bool,
        out: &mut Vec<u8>,
    ) -> Result<bool, EncodeError> {
        self.input.take(picture, place);
        self.handle.encode(&mut self.input, time_ms, keyframe, out)
    }
}

impl I420 {
    fn new(size: Size) -> Self {
        let area = size.area();
        Self {
            size,
            y: vec![0; area],
            u: vec![0; area / 4],
            v: vec![0; area / 4],
            padded: Picture::default(),
        }
    }

    /// Takes over pixels, BT.709 in limited range.
    fn take(&mut self, picture: &Picture, place: Rect) {
        if place.size() != self.size {
            let mut padded = std::mem::take(&mut self.padded);
            pad(&mut padded, self.size, picture, place);
            self.convert(&padded, Rect::new(0, 0, self.size.width, self.size.height));
            self.padded = padded;
        } else {
            self.convert(picture, place);
        }
    }

    fn convert(&mut self, picture: &Picture, place: Rect) {
        let stride = usize::from(picture.size().width);
        let start = usize::from(place.y) * stride + usize::from(place.x);
        let end = start + (usize::from(place.height) - 1) * stride + usize::from(place.width);
        // Little-endian `0x00RRGGBB` is B, G, R and a byte that means nothing.
        let bgra: &[u8] = bytemuck::cast_slice(&picture.pixels()[start..end]);
        let width = u32::from(self.size.width);
        let mut planes = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(&mut self.y),
            y_stride: width,
            u_plane: BufferStoreMut::Borrowed(&mut self.u),
            u_stride: width / 2,
            v_plane: BufferStoreMut::Borrowed(&mut self.v),
            v_stride: width / 2,
            width,
            height: self.size.height.into(),
        };
        bgra_to_yuv420(
            &mut planes,
            bgra,
            stride as u32 * 4,
            YuvRange::Limited,
            YuvStandardMatrix::Bt709,
            YuvConversionMode::Fast,
        )
        .expect("the planes have the place's size");
    }
}

/// Makes `out` what `place` shows, with its last row or column repeated up to `size`.
fn pad(out: &mut Picture, size: Size, picture: &Picture, place: Rect) {
    if out.size() != size {
        *out = Picture::new(size);
    }
    for row in 0..size.height {
        let source = picture.row(place.x, place.y + row.min(place.height - 1), place.width);
        let target = out.row_mut(0, row, size.width);
        target[..source.len()].copy_from_slice(source);
        target[source.len()..].fill(source[source.len() - 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openh264::decoder::Decoder;
    use openh264::formats::YUVSource as _;

    fn config(size: Size) -> Config {
        Config {
            source: even(size),
            coded: even(size),
            bitrate: 20_000_000,
            frame_rate: 30.0,
            quantisers: (18, 40),
            content: Content::Pictures,
            threads: 1,
        }
    }

    /// A smooth picture that moves by `step`.
    fn picture(size: Size, step: usize) -> Picture {
        let mut picture = Picture::new(size);
        let width = usize::from(size.width);
        for (at, pixel) in picture.pixels_mut().iter_mut().enumerate() {
            let (x, y) = (at % width + step * 3, at / width);
            let (red, green, blue) = (x / 2 % 256, (y + x) / 3 % 256, 255 - y / 2 % 256);
            *pixel = (red << 16 | green << 8 | blue) as u32;
        }
        picture
    }

    /// The mean squared error of luma between the picture and what a decoder makes of the unit.
    fn error_of(decoder: &mut Decoder, unit: &[u8], picture: &Picture, place: Rect) -> f64 {
        let decoded = decoder.decode(unit).expect("a unit is decoded").expect("and shown at once");
        assert_eq!(decoded.dimensions(), {
            let size = even(place.size());
            (usize::from(size.width), usize::from(size.height))
        });
        let (stride, ..) = decoded.strides();
        let mut sum = 0.0;
        for (row, pixels) in picture.rows(place).enumerate() {
            for (column, &pixel) in pixels.iter().enumerate() {
                let [blue, green, red, _] = pixel.to_le_bytes().map(f64::from);
                // ITU-R BT.709-6, item 3.2 to 3.4, in 8 bits.
                let luma = 16.0 + (0.2126 * red + 0.7152 * green + 0.0722 * blue) * 219.0 / 255.0;
                sum += (luma - f64::from(decoded.y()[row * stride + column])).powi(2);
            }
        }
        sum / place.area() as f64
    }

    fn check(size: Size, place: Rect, threads: u16) {
        let config = Config { threads, ..config(place.size()) };
        let mut encoder = VideoEncoder::new(config).expect("an encoder");
        let mut decoder = Decoder::new().expect("a decoder");
        for step in 0..6 {
            let picture = picture(size, step);
            let mut unit = Vec::new();
            let time = step as i64 * 33;
            let forced = step == 4;
            let keyframe =
                encoder.encode(&picture, place, time, forced, &mut unit).expect("a unit");
            assert_eq!(keyframe, step == 0 || forced, "step {step}");
            let error = error_of(&mut decoder, &unit, &picture, place);
            // 38 dB, and no picture held back.
            assert!(error < 10.3, "step {step}: mean squared error {error}");
        }
    }

    #[test]
    fn a_decoder_shows_each_unit_at_once_and_much_like_the_screen() {
        check(Size::new(640, 480), Rect::new(0, 0, 640, 480), 1);
    }

    #[test]
    fn a_region_of_odd_size_within_the_screen_is_coded_evenly() {
        check(Size::new(641, 483), Rect::new(7, 5, 321, 243), 1);
    }

    #[test]
    fn two_threads_make_one_picture() {
        check(Size::new(640, 480), Rect::new(0, 0, 640, 480), 2);
    }

    #[test]
    fn text_is_coded_as_screens_are() {
        let size = Size::new(640, 480);
        let text = Config { content: Content::Text, ..config(size) };
        let mut encoder = VideoEncoder::new(text).expect("an encoder");
        let mut decoder = Decoder::new().expect("a decoder");
        let place = Rect::new(0, 0, 640, 480);
        for step in 0..3 {
            let (picture, mut unit) = (picture(size, step), Vec::new());
            encoder.encode(&picture, place, step as i64 * 33, false, &mut unit).expect("a unit");
            assert!(error_of(&mut decoder, &unit, &picture, place) < 10.3, "step {step}");
        }
    }

    #[test]
    fn a_smaller_coded_size_is_scaled_by_the_encoder() {
        let place = Rect::new(0, 0, 640, 480);
        let coded = Size::new(320, 240);
        let mut encoder = VideoEncoder::new(Config { coded, ..config(place.size()) }).unwrap();
        let mut unit = Vec::new();
        encoder.encode(&picture(place.size(), 0), place, 0, false, &mut unit).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let decoded = decoder.decode(&unit).unwrap().unwrap();
        assert_eq!(decoded.dimensions(), (320, 240));
    }

    #[test]
    fn fewer_bits_a_second_make_smaller_units() {
        let size = Size::new(640, 480);
        let place = Rect::new(0, 0, 640, 480);
        let mut encoder = VideoEncoder::new(config(size)).unwrap();
        let spent = |encoder: &mut VideoEncoder, steps: std::ops::Range<usize>| {
            let mut unit = Vec::new();
            for step in steps {
                let time = step as i64 * 33;
                encoder.encode(&picture(size, step * 5), place, time, false, &mut unit).unwrap();
            }
            unit.len()
        };
        spent(&mut encoder, 0..2);
        let before = spent(&mut encoder, 2..32);
        encoder.set_rate(200_000, 30.0).unwrap();
        spent(&mut encoder, 32..40);
        let after = spent(&mut encoder, 40..70);
        assert!(after * 2 < before, "{before} bytes, then {after}");
    }

    /// A decoder that may not reorder holds no picture back: ITU-T H.264, E.2.1,
    /// `max_num_reorder_frames`, without which browsers hold back as many as the level allows.
    #[test]
    fn the_stream_says_that_it_never_reorders_and_which_colours_it_has() {
        let size = Size::new(64, 64);
        let mut encoder = VideoEncoder::new(config(size)).unwrap();
        let mut unit = Vec::new();
        encoder.encode(&picture(size, 0), Rect::new(0, 0, 64, 64), 0, true, &mut unit).unwrap();
        let sps = openh264::nal_units(&unit)
            .find(|nal| nal.iter().find(|byte| **byte > 1).is_some_and(|byte| byte & 31 == 7))
            .expect("a keyframe has its parameters");
        assert_eq!(max_reordered(sps), Some(0), "{sps:02x?}");
    }

    /// `max_num_reorder_frames` of a sequence parameter set of a baseline stream.
    fn max_reordered(nal: &[u8]) -> Option<u32> {
        let start = nal.iter().position(|&byte| byte > 1)? + 1;
        let mut bits = Bits { bytes: unescape(&nal[start..]), at: 24 };
        bits.ue(); // seq_parameter_set_id
        bits.ue(); // log2_max_frame_num_minus4
        let order = bits.ue();
        assert_eq!(order, 2, "pictures come in the order they are shown in");
        bits.ue(); // max_num_ref_frames
        bits.read(1);
        bits.ue();
        bits.ue();
        bits.read(2); // frame_mbs_only_flag, direct_8x8_inference_flag
        if bits.read(1) == 1 {
            (0..4).for_each(|_| bits.skip());
        }
        if bits.read(1) == 0 {
            return None;
        }
        assert_eq!(bits.read(1), 0, "no aspect ratio");
        assert_eq!(bits.read(1), 0, "no overscan");
        assert_eq!(bits.read(1), 1, "the signal is described");
        bits.read(3);
        assert_eq!(bits.read(1), 0, "limited range");
        assert_eq!(bits.read(1), 1);
        assert_eq!([bits.read(8), bits.read(8), bits.read(8)], [1, 1, 1], "BT.709");
        bits.read(1); // chroma_loc_info_present_flag
        bits.read(1); // timing_info_present_flag
        bits.read(2); // HRD parameters
        bits.read(1); // pic_struct_present_flag
        if bits.read(1) == 0 {
            return None;
        }
        bits.read(1);
        (0..4).for_each(|_| bits.skip());
        Some(bits.ue())
    }

    struct Bits {
        bytes: Vec<u8>,
        at: usize,
    }

    impl Bits {
        fn read(&mut self, count: usize) -> u32 {
            (0..count).fold(0, |value, _| {
                let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
                self.at += 1;
                value << 1 | u32::from(bit)
            })
        }

        fn skip(&mut self) {
            self.ue();
        }

        fn ue(&mut self) -> u32 {
            let zeros = (0..).take_while(|_| self.read(1) == 0).count();
            (1 << zeros) - 1 + self.read(zeros)
        }
    }

    fn unescape(bytes: &[u8]) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        for &byte in bytes {
            if !(byte == 3 && out.ends_with(&[0, 0])) {
                out.push(byte);
            }
        }
        out
    }
}
