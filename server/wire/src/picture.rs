//! Frames: what changed on the screen since the frame before.
//!
//! ```text
//! offset  size  field
//!      0     1  kind 0x01
//!      1     1  flags: bit 0 keyframe, bit 1 refresh
//!      2     2  number of operations
//!      4     4  epoch
//!      8     4  frame id
//!     12     4  width, height of the screen
//!     16     8  when the change was noticed, µs of the agent's monotonic clock
//!     24     4  viewer whose input is echoed, 0 for none
//!     28     4  sequence number of the last input of that viewer applied before the grab
//!     32     4  from noticing the change to handing over the frame, µs
//!     36  14*n  operations
//!      …        payloads, in the order of the operations that have one
//! ```
//!
//! An operation is `kind u8, 0 u8, rectangle 4*u16, argument u32`. All operations of a frame
//! appear together or not at all. Copies read the picture as it was *before* the frame; everything
//! else paints over the result, in order. The table stands before all payloads so that the gateway
//! learns what a frame touches without looking at media.
//!
//! | kind | argument | payload |
//! |---|---|---|
//! | 1 fill | colour `0x00RRGGBB` | – |
//! | 2 copy | source x (low half), source y (high half) | – |
//! | 3 png | payload length | a PNG of the rectangle's size, opaque |
//! | 4 palette | payload length | see [`OpKind::Palette`] |
//! | 5 video | payload length | see [`Video`]; the rectangle is the stream's place on the screen |

use crate::codec::{DecodeError, Reader, Writer};
use crate::geometry::{Point, Rect, Size};
use crate::units::{Epoch, FrameId, FrameRef, Micros, Seq, ViewerId};
use bytes::Bytes;

/// The kind byte of a [`Frame`].
pub const FRAME: u8 = 0x01;
/// The kind byte of a [`Digest`].
pub const DIGEST: u8 = 0x02;

/// The most operations a frame may have.
pub const MAX_OPS: usize = 8192;
/// The largest payload of one operation: an uncompressed 1920x1080 picture with room to spare.
pub const MAX_PAYLOAD: usize = 16 << 20;
/// Video streams that may exist at once; a stream's number is below it.
pub const MAX_STREAMS: u8 = 16;
/// The most rectangles that one unit of video paints.
pub const MAX_VIDEO_DAMAGE: usize = 64;
/// Rows of the screen that one hash of a [`Digest`] covers.
pub const BAND_HEIGHT: u16 = 64;

const HEADER: usize = 36;
/// Where the number of operations stands.
const COUNT: usize = 2;
const OP: usize = 14;

/// How a frame relates to the picture a viewer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameFlags {
    /// The frame carries every pixel; the viewer takes the frame's size and forgets what it had.
    pub keyframe: bool,
    /// The frame is for viewers that joined or fell behind; others have this picture already.
    pub refresh: bool,
}

impl FrameFlags {
    fn to_byte(self) -> u8 {
        u8::from(self.keyframe) | u8::from(self.refresh) << 1
    }

    fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        if byte > 3 {
            return Err(DecodeError::Invalid("frame flags"));
        }
        Ok(Self { keyframe: byte & 1 != 0, refresh: byte & 2 != 0 })
    }
}

/// Pixels moved within the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Copy {
    /// Top left corner of the source, which has the destination's size.
    pub from: Point,
    /// Where it goes.
    pub to: Rect,
}

impl Copy {
    /// The source rectangle.
    pub fn source(self) -> Rect {
        Rect { x: self.from.x, y: self.from.y, ..self.to }
    }
}

/// What an operation paints with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpKind {
    /// One colour, `0x00RRGGBB`.
    Fill(u32),
    /// Pixels that were elsewhere before the frame; the point is the source's top left corner.
    Copy(Point),
    /// A PNG file.
    Png(Bytes),
    /// `number of colours - 1: u8`, that many `R, G, B`, then an index a pixel in rows, packed from
    /// the highest bit down without gaps between rows: 1, 2, 4 or 8 bits for up to 2, 4, 16 or 256
    /// colours. PNG's own headers would outweigh a typed letter.
    Palette(Bytes),
    /// The next picture of a video stream, which is lossy.
    Video(Video),
}

/// One unit of a stream of H.264 and what of its picture is to be painted.
///
/// `stream: u8, flags: u8 (bit 0 keyframe), coded width, height: 2*u16, count: u16`, that many
/// rectangles of `4*u16` on the screen, then the access unit in Annex B form to the end (ITU-T
/// H.264). The colours are BT.709 in limited range, and the unit says so itself.
///
/// A stream begins with a keyframe, before which its other units cannot be decoded. Whoever missed
/// a unit, or was sent a refresh or a keyframe of the screen, has to wait for the next one; what is
/// painted in vain meanwhile is sent exactly once it rests.
///
/// The picture covers the operation's rectangle. It is coded at that size, each side made even by
/// repeating the last row or column, or at a smaller one and then stretched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video {
    /// Which stream, below [`MAX_STREAMS`].
    pub stream: u8,
    /// The unit can be decoded without those before it.
    pub keyframe: bool,
    /// The size of the coded picture, both sides even.
    pub coded: Size,
    /// What is painted of it, on the screen and within the operation's rectangle.
    pub damage: Vec<Rect>,
    /// The access unit.
    pub unit: Bytes,
}

const VIDEO: usize = 8;

impl Video {
    fn payload_len(&self) -> usize {
        VIDEO + self.damage.len() * 8 + self.unit.len()
    }

    fn write(&self, out: Writer) -> Writer {
        let out = out
            .u8(self.stream)
            .u8(u8::from(self.keyframe))
            .size(self.coded)
            .u16(self.damage.len() as u16);
        self.damage.iter().fold(out, |out, &rect| out.rect(rect)).bytes(&self.unit)
    }

    /// Reads a payload; `place` is the operation's rectangle.
    fn read(payload: &Bytes, place: Rect) -> Result<Self, DecodeError> {
        // A payload has its length from the table: what it lacks cannot follow.
        let short = |_: DecodeError| DecodeError::Invalid("video payload");
        let mut reader = Reader::new(payload);
        let stream = reader.u8().map_err(short)?;
        if stream >= MAX_STREAMS {
            return Err(DecodeError::Invalid("video stream"));
        }
        let keyframe = match reader.u8().map_err(short)? {
            flags @ 0..=1 => flags == 1,
            _ => return Err(DecodeError::Invalid("video flags")),
        };
        let coded = reader.size().map_err(short)?;
        let is_even = coded.width.is_multiple_of(2) && coded.height.is_multiple_of(2);
        if coded.bounds().is_none() || !is_even {
            return Err(DecodeError::Invalid("video size"));
        }
        let count = reader.u16().map_err(short)?;
        let count = usize::from(count);
        if count == 0 || count > MAX_VIDEO_DAMAGE {
            return Err(DecodeError::Invalid("video damage"));
        }
        let mut damage = Vec::with_capacity(count);
        for _ in 0..count {
            let rect = reader.rect().map_err(short)?;
            if !place.contains(rect) {
                return Err(DecodeError::Invalid("video damage"));
            }
            damage.push(rect);
        }
        let unit = payload.slice_ref(reader.rest());
        if unit.is_empty() {
            return Err(DecodeError::Invalid("video payload"));
        }
        Ok(Self { stream, keyframe, coded, damage, unit })
    }
}

/// One step of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// What it paints.
    pub rect: Rect,
    /// With what.
    pub kind: OpKind,
}

/// The change from one picture of the screen to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// For whom it is.
    pub flags: FrameFlags,
    /// Which frame the viewer has after it.
    pub at: FrameRef,
    /// The screen's size, both sides at least 1.
    pub size: Size,
    /// When the change was noticed.
    pub noticed: Micros,
    /// Whose input, and which was the last of it that the display had been given.
    pub echo: (ViewerId, Seq),
    /// From noticing the change to handing over the frame, µs: the server's share of the latency.
    pub cost_us: u32,
    /// The steps.
    pub ops: Vec<Op>,
}

impl Frame {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let payload: usize = self.ops.iter().map(Op::payload_len).sum();
        let mut out = Writer::packet(FRAME, HEADER + self.ops.len() * OP + payload)
            .u8(self.flags.to_byte())
            .u16(self.ops.len() as u16)
            .u32(self.at.epoch.0)
            .u32(self.at.id.0)
            .size(self.size)
            .u64(self.noticed.0)
            .u32(self.echo.0.0)
            .u32(self.echo.1.0)
            .u32(self.cost_us);
        for op in &self.ops {
            let (kind, argument) = op.code();
            out = out.u8(kind).u8(0).rect(op.rect).u32(argument);
        }
        self.ops.iter().fold(out, |out, op| op.write_payload(out)).finish()
    }

    /// Reads a packet; payloads share its bytes.
    pub fn decode(packet: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        let table = FrameTable::read(&mut reader)?;
        let mut payload =
            |len: usize| -> Result<Bytes, DecodeError> { Ok(packet.slice_ref(reader.take(len)?)) };
        let mut ops = Vec::with_capacity(table.steps.len());
        for &Step { rect, kind } in &table.steps {
            let kind = match kind {
                StepKind::Fill(color) => OpKind::Fill(color),
                StepKind::Copy(from) => OpKind::Copy(from),
                StepKind::Png(len) => OpKind::Png(payload(len)?),
                StepKind::Palette(len) => OpKind::Palette(payload(len)?),
                StepKind::Video(len) => OpKind::Video(Video::read(&payload(len)?, rect)?),
            };
            ops.push(Op { rect, kind });
        }
        reader.end()?;
        let FrameTable { flags, at, size, noticed, echo, cost_us, .. } = table;
        Ok(Self { flags, at, size, noticed, echo, cost_us, ops })
    }
}

impl Op {
    fn payload_len(&self) -> usize {
        match &self.kind {
            OpKind::Fill(_) | OpKind::Copy(_) => 0,
            OpKind::Png(payload) | OpKind::Palette(payload) => payload.len(),
            OpKind::Video(video) => video.payload_len(),
        }
    }

    fn write_payload(&self, out: Writer) -> Writer {
        match &self.kind {
            OpKind::Fill(_) | OpKind::Copy(_) => out,
            OpKind::Png(payload) | OpKind::Palette(payload) => out.bytes(payload),
            OpKind::Video(video) => video.write(out),
        }
    }

    fn code(&self) -> (u8, u32) {
        match &self.kind {
            OpKind::Fill(color) => (1, *color),
            OpKind::Copy(from) => (2, u32::from(from.x) | u32::from(from.y) << 16),
            OpKind::Png(payload) => (3, payload.len() as u32),
            OpKind::Palette(payload) => (4, payload.len() as u32),
            OpKind::Video(video) => (5, video.payload_len() as u32),
        }
    }
}

/// One line of a frame's table: an operation without its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What it paints.
    pub rect: Rect,
    /// With what.
    pub kind: StepKind,
}

/// [`OpKind`] without the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// One colour, `0x00RRGGBB`.
    Fill(u32),
    /// Pixels from elsewhere; the point is the source's top left corner.
    Copy(Point),
    /// A PNG of this many bytes.
    Png(usize),
    /// A palette payload of this many bytes.
    Palette(usize),
    /// A video payload of this many bytes.
    Video(usize),
}

/// All of a frame but its pixels: what the gateway reads to decide who gets the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameTable {
    /// For whom it is.
    pub flags: FrameFlags,
    /// Which frame the viewer has after it.
    pub at: FrameRef,
    /// The screen's size.
    pub size: Size,
    /// When the change was noticed.
    pub noticed: Micros,
    /// Whose input, and which was the last of it that the display had been given.
    pub echo: (ViewerId, Seq),
    /// From noticing the change to handing over the frame, µs: the server's share of the latency.
    pub cost_us: u32,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl FrameTable {
    /// Reads the table of a packet and checks that the payloads have the lengths it states.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        let table = Self::read(&mut reader)?;
        reader.take(table.payload_len())?;
        reader.end()?;
        Ok(table)
    }

    /// Whether any step is a unit of video.
    pub fn has_video(&self) -> bool {
        self.steps.iter().any(Step::is_video)
    }

    /// How many bytes of the packet its units of video take.
    pub fn video_len(&self) -> usize {
        let video = self.steps.iter().filter(|step| step.is_video());
        video.map(|step| OP + step.payload_len()).sum()
    }

    /// The packet without its units of video, for viewers that cannot decode them. `packet` is the
    /// one that this table was read from; any other gives an error or nonsense.
    pub fn without_video(&self, packet: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut out = Vec::with_capacity(packet.len());
        let mut reader = Reader::new(packet);
        let kept = self.steps.iter().filter(|step| !step.is_video()).count();
        out.extend_from_slice(reader.take(COUNT)?);
        reader.take(2)?;
        out.extend_from_slice(&(kept as u16).to_le_bytes());
        out.extend_from_slice(reader.take(HEADER - COUNT - 2)?);
        let table = self.steps.iter().map(|step| (step, OP));
        let payloads = self.steps.iter().map(|step| (step, step.payload_len()));
        for (step, len) in table.chain(payloads) {
            let bytes = reader.take(len)?;
            if !step.is_video() {
                out.extend_from_slice(bytes);
            }
        }
        reader.end()?;
        Ok(out)
    }

    fn payload_len(&self) -> usize {
        self.steps.iter().map(Step::payload_len).sum()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_kind(reader, FRAME)?;
        let flags = FrameFlags::from_byte(reader.u8()?)?;
        let count = reader.count("operations", MAX_OPS)?;
        let at = frame_ref(reader)?;
        let size = reader.size()?;
        let bounds = size.bounds().ok_or(DecodeError::Invalid("screen size"))?;
        let noticed = Micros(reader.u64()?);
        let echo = (ViewerId(reader.u32()?), Seq(reader.u32()?));
        let cost_us = reader.u32()?;
        let mut table = Reader::new(reader.take(count * OP)?);
        let mut steps = Vec::with_capacity(count);
        for _ in 0..count {
            steps.push(Step::read(&mut table, bounds)?);
        }
        Ok(Self { flags, at, size, noticed, echo, cost_us, steps })
    }
}

impl Step {
    fn is_video(&self) -> bool {
        matches!(self.kind, StepKind::Video(_))
    }

    fn payload_len(&self) -> usize {
        match self.kind {
            StepKind::Fill(_) | StepKind::Copy(_) => 0,
            StepKind::Png(len) | StepKind::Palette(len) | StepKind::Video(len) => len,
        }
    }

    fn read(reader: &mut Reader<'_>, bounds: Rect) -> Result<Self, DecodeError> {
        let (kind, reserved) = (reader.u8()?, reader.u8()?);
        let rect = reader.rect()?;
        let argument = reader.u32()?;
        if reserved != 0 {
            return Err(DecodeError::Invalid("reserved byte"));
        }
        if !bounds.contains(rect) {
            return Err(DecodeError::Invalid("rectangle outside the screen"));
        }
        let kind = match kind {
            1 if argument <= 0x00ff_ffff => StepKind::Fill(argument),
            1 => return Err(DecodeError::Invalid("fill colour")),
            2 => StepKind::Copy(copy_source(argument, rect, bounds)?),
            3 => StepKind::Png(payload_len(argument)?),
            4 => StepKind::Palette(payload_len(argument)?),
            5 => StepKind::Video(payload_len(argument)?),
            _ => return Err(DecodeError::Invalid("operation kind")),
        };
        Ok(Self { rect, kind })
    }
}

fn copy_source(argument: u32, to: Rect, bounds: Rect) -> Result<Point, DecodeError> {
    let from = Point { x: argument as u16, y: (argument >> 16) as u16 };
    Rect::checked(from.x, from.y, to.width, to.height)
        .filter(|&source| bounds.contains(source))
        .map(|_| from)
        .ok_or(DecodeError::Invalid("copy source outside the screen"))
}

fn payload_len(argument: u32) -> Result<usize, DecodeError> {
    let value = argument as usize;
    if value > MAX_PAYLOAD {
        return Err(DecodeError::TooLarge { field: "payload", value, limit: MAX_PAYLOAD });
    }
    Ok(value)
}

/// What the screen's pixels hash to, in bands of [`BAND_HEIGHT`] rows from the top (the last may be
/// shorter); sent once the picture rests, so that a viewer can prove its own.
///
/// A pixel counts as `p = 0x00BBGGRR`. Pixel number `i` of a band, in rows, goes to lane
/// `l = i mod 8`: `h[l] = (h[l] xor p) * 0x9E3779B1 mod 2^32` (2^32 divided by the golden ratio, the
/// multiplier of Fibonacci hashing), from `h[l] = l`. The band's hash is the lanes folded in order by
/// `f = (f xor h[l]) * 0x9E3779B1; f = f xor (f >> 15)` from `f = 0`. Each step is a bijection of its
/// lane, so one wrong pixel always changes the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The frame after which it holds.
    pub at: FrameRef,
    /// The screen's size.
    pub size: Size,
    /// One hash a band.
    pub bands: Vec<u32>,
}

impl Digest {
    /// How many bands a screen has.
    pub fn bands_of(size: Size) -> usize {
        usize::from(size.height.div_ceil(BAND_HEIGHT))
    }

    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let out = Writer::packet(DIGEST, 12 + self.bands.len() * 4)
            .u32(self.at.epoch.0)
            .u32(self.at.id.0)
            .size(self.size);
        self.bands.iter().fold(out, |out, &band| out.u32(band)).finish()
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        expect_kind(&mut reader, DIGEST)?;
        let at = frame_ref(&mut reader)?;
        let size = reader.size()?;
        size.bounds().ok_or(DecodeError::Invalid("screen size"))?;
        let bands = (0..Self::bands_of(size)).map(|_| reader.u32()).collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self { at, size, bands })
    }
}

pub(crate) fn expect_kind(reader: &mut Reader<'_>, kind: u8) -> Result<(), DecodeError> {
    match reader.u8()? {
        found if found == kind => Ok(()),
        found => Err(DecodeError::UnknownKind(found)),
    }
}

pub(crate) fn frame_ref(reader: &mut Reader<'_>) -> Result<FrameRef, DecodeError> {
    Ok(FrameRef { epoch: Epoch(reader.u32()?), id: FrameId(reader.u32()?) })
}
