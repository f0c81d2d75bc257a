//! Frames: what changed on the screen since the frame before.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | kind 0x01 |
//! | 1 | flags: bit 0 keyframe, bit 1 refresh |
//! | 4 | epoch |
//! | var | frame id |
//! | 2 var | width, height of the screen; only of a keyframe |
//! | 1 | which request it answers; only of a refresh |
//! | var | viewer whose input is echoed, 0 for none |
//! | var | sequence number of the last input of that viewer applied before the grab |
//! | var | from noticing the change to handing over the frame, µs |
//! | var | number of operations |
//! | … | operations |
//! | … | payloads, in the order of the operations that have one |
//!
//! `var` is a number in as few bytes as it needs ([`Writer::var`]): most frames show a typed letter or
//! a caret, and a link of 300 kbit/s carries one byte in 27 µs.
//!
//! An operation is `kind u8, x, y, width, height: 4*var`, then its argument. All operations of a frame
//! appear together or not at all. Copies read the picture as it was *before* the frame; everything
//! else paints over the result, in order. The table stands before all payloads so that the gateway
//! learns what a frame touches without looking at media.
//!
//! | kind | argument | payload |
//! |---|---|---|
//! | 1 fill | `red, green, blue: 3*u8` | – |
//! | 2 copy | from the destination to the source, `dx, dy: 2*svar` ([`Writer::svar`]) | – |
//! | 3 png | payload length, `var` | a PNG of the rectangle's size, opaque |
//! | 4 palette | payload length, `var` | see [`OpKind::Palette`] |
//! | 5 video | payload length, `var` | see [`Video`]; the rectangle is the stream's place on the screen |
//!
//! Only a keyframe says how large the screen is. Whoever paints another frame has to check that it
//! stays within the picture; whoever reads its table knows that it stays within the largest screen.

use crate::MAX_SIDE;
use crate::codec::{DecodeError, Reader, Writer};
use crate::draft::Draft;
use crate::geometry::{Point, Rect, Size};
use crate::units::{Epoch, FrameId, FrameRef, RefreshId, Seq, ViewerId};
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

/// More than a frame's header takes.
const HEADER: usize = 40;
/// The least that an operation takes in the table.
const LEAST_OP: usize = 6;
/// More than it takes in the table.
const OP: usize = 16;
/// Where rectangles of unknown screens lie.
const LARGEST: Rect = Rect { x: 0, y: 0, width: MAX_SIDE, height: MAX_SIDE };

/// How a frame relates to the picture a viewer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameFlags {
    /// The frame carries every pixel of a screen of this size, both sides at least 1; the viewer
    /// forgets what it had.
    pub keyframe: Option<Size>,
    /// The frame is for viewers that joined or fell behind, as this request said; others have this
    /// picture already.
    pub refresh: Option<RefreshId>,
}

impl FrameFlags {
    fn to_byte(self) -> u8 {
        u8::from(self.keyframe.is_some()) | u8::from(self.refresh.is_some()) << 1
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
    /// What a PNG's own headers would outweigh: a typed letter, a caret, a rule, an icon.
    ///
    /// `u8` of which the lowest six bits are the number of colours less 1, the next is 0 and the
    /// highest says that they are grey; that many colours, `R, G, B` or, where they are grey, one byte
    /// for all three; then bits, from the highest of each byte down, without gaps and filled up with
    /// zeros. Each row but the first begins with a bit that says whether it is the same as the one
    /// above. Where it is not, an index a pixel follows, of as many bits as the largest needs.
    Palette(Bytes),
    /// The next picture of a video stream, which is lossy.
    Video(Video),
}

/// One unit of a stream of H.264 and what of its picture is to be painted.
///
/// `stream: u8` (bit 7 keyframe), `coded width, height, count: 3*var`, that many rectangles of `4*var`
/// on the screen, then the access unit in Annex B form to the end (ITU-T H.264). The colours are BT.709
/// in limited range, and the unit says so itself.
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

/// In a unit's first byte, beside its stream.
pub(crate) const VIDEO_KEYFRAME: u8 = 0x80;

impl Video {
    /// Reads a payload; `place` is the operation's rectangle.
    fn read(payload: &Bytes, place: Rect) -> Result<Self, DecodeError> {
        // A payload has its length from the table: what it lacks cannot follow.
        let short = |_: DecodeError| DecodeError::Invalid("video payload");
        let mut reader = Reader::new(payload);
        let first = reader.u8().map_err(short)?;
        let (stream, keyframe) = (first & !VIDEO_KEYFRAME, first & VIDEO_KEYFRAME != 0);
        if stream >= MAX_STREAMS {
            return Err(DecodeError::Invalid("video stream"));
        }
        let coded = reader.var_size("video size").map_err(short)?;
        if !coded.width.is_multiple_of(2) || !coded.height.is_multiple_of(2) {
            return Err(DecodeError::Invalid("video size"));
        }
        let count = reader.var_count("video damage", MAX_VIDEO_DAMAGE, 4).map_err(short)?;
        if count == 0 {
            return Err(DecodeError::Invalid("video damage"));
        }
        let mut damage = Vec::with_capacity(count);
        for _ in 0..count {
            let rect = reader.var_rect().map_err(short)?;
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

/// Appends what stands before the access unit of a unit that is no keyframe.
pub(crate) fn write_video_head(out: &mut Vec<u8>, stream: u8, coded: Size, damage: &[Rect]) {
    let writer = Writer::over(std::mem::take(out));
    let writer = writer.u8(stream).var_size(coded).var(damage.len() as u32);
    *out = damage.iter().fold(writer, |out, &rect| out.var_rect(rect)).finish();
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
        let &Self { flags, at, echo, cost_us, .. } = self;
        let mut draft = Draft::new();
        self.ops.iter().for_each(|op| op.add_to(&mut draft));
        draft.packet(&FrameHead { flags, at, echo, cost_us }, Vec::new())
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
        let FrameTable { flags, at, echo, cost_us, .. } = table;
        Ok(Self { flags, at, echo, cost_us, ops })
    }
}

impl Op {
    fn add_to(&self, draft: &mut Draft) {
        let rect = self.rect;
        match &self.kind {
            OpKind::Fill(color) => draft.fill(rect, *color),
            OpKind::Copy(from) => draft.copy(Copy { from: *from, to: rect }),
            OpKind::Png(file) => draft.png(rect, |out| out.extend_from_slice(file)),
            OpKind::Palette(payload) => draft.palette(rect, |out| out.extend_from_slice(payload)),
            OpKind::Video(Video { stream, keyframe, coded, damage, unit }) => {
                let written = draft.video(rect, *stream, *coded, damage, |out| {
                    out.extend_from_slice(unit);
                    Ok::<_, std::convert::Infallible>(*keyframe)
                });
                let Ok(_) = written;
            }
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

/// What stands before the table of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// For whom it is.
    pub flags: FrameFlags,
    /// Which frame the viewer has after it.
    pub at: FrameRef,
    /// Whose input, and which was the last of it that the display had been given.
    pub echo: (ViewerId, Seq),
    /// From noticing the change to handing over the frame, µs: the server's share of the latency.
    pub cost_us: u32,
}

impl FrameHead {
    /// The packet up to its payloads, for which there is room, in `memory`.
    pub(crate) fn write<'a>(
        &self,
        steps: impl ExactSizeIterator<Item = &'a Step>,
        payloads: usize,
        memory: Vec<u8>,
    ) -> Writer {
        let room = HEADER + steps.len() * OP + payloads;
        let mut out = Writer::packet_in(FRAME, room, memory)
            .u8(self.flags.to_byte())
            .u32(self.at.epoch.0)
            .var(self.at.id.0);
        if let Some(size) = self.flags.keyframe {
            out = out.var_size(size);
        }
        if let Some(request) = self.flags.refresh {
            out = out.u8(request.0);
        }
        let (viewer, seq) = self.echo;
        let out = out.var(viewer.0).var(seq.0).var(self.cost_us).var(steps.len() as u32);
        steps.fold(out, |out, step| step.write(out))
    }
}

/// All of a frame but its pixels: what the gateway reads to decide who gets the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameTable {
    /// For whom it is.
    pub flags: FrameFlags,
    /// Which frame the viewer has after it.
    pub at: FrameRef,
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

    /// How many bytes of the packet its units of video take, with their lines of the table.
    pub fn video_len(&self) -> usize {
        let video = self.steps.iter().filter(|step| step.is_video());
        video.map(|step| step.write(Writer::default()).finish().len() + step.payload_len()).sum()
    }

    /// The packet without its units of video, for viewers that cannot decode them. `packet` is the
    /// one that this table was read from; any other gives an error or nonsense.
    pub fn without_video(&self, packet: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let start = packet.len().checked_sub(self.payload_len()).ok_or(DecodeError::Truncated)?;
        let mut payloads = Reader::new(&packet[start..]);
        let steps: Vec<Step> = self.steps.iter().filter(|step| !step.is_video()).copied().collect();
        let len = steps.iter().map(Step::payload_len).sum();
        let mut out = self.head().write(steps.iter(), len, Vec::new());
        for step in &self.steps {
            let payload = payloads.take(step.payload_len())?;
            if !step.is_video() {
                out = out.bytes(payload);
            }
        }
        Ok(out.finish())
    }

    fn payload_len(&self) -> usize {
        self.steps.iter().map(Step::payload_len).sum()
    }

    fn head(&self) -> FrameHead {
        let &Self { flags, at, echo, cost_us, .. } = self;
        FrameHead { flags, at, echo, cost_us }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_kind(reader, FRAME)?;
        let bits = reader.u8()?;
        if bits > 3 {
            return Err(DecodeError::Invalid("frame flags"));
        }
        let at = FrameRef { epoch: Epoch(reader.u32()?), id: FrameId(reader.var("frame id")?) };
        let keyframe = (bits & 1 != 0).then(|| reader.var_size("screen size")).transpose()?;
        let refresh = (bits & 2 != 0).then(|| reader.u8().map(RefreshId)).transpose()?;
        let echo = (ViewerId(reader.var("viewer")?), Seq(reader.var("sequence number")?));
        let cost_us = reader.var("cost")?;
        let bounds = keyframe.and_then(Size::bounds).unwrap_or(LARGEST);
        let count = reader.var_count("operations", MAX_OPS, LEAST_OP)?;
        let steps = (0..count).map(|_| Step::read(reader, bounds)).collect::<Result<_, _>>()?;
        Ok(Self { flags: FrameFlags { keyframe, refresh }, at, echo, cost_us, steps })
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

    fn write(&self, out: Writer) -> Writer {
        let head = |kind| out.u8(kind).var_rect(self.rect);
        match self.kind {
            StepKind::Fill(color) => {
                let [_, red, green, blue] = color.to_be_bytes();
                head(1).bytes(&[red, green, blue])
            }
            StepKind::Copy(from) => {
                let distance = |from: u16, to: u16| i32::from(from) - i32::from(to);
                head(2).svar(distance(from.x, self.rect.x)).svar(distance(from.y, self.rect.y))
            }
            StepKind::Png(len) => head(3).var(len as u32),
            StepKind::Palette(len) => head(4).var(len as u32),
            StepKind::Video(len) => head(5).var(len as u32),
        }
    }

    fn read(reader: &mut Reader<'_>, bounds: Rect) -> Result<Self, DecodeError> {
        let kind = reader.u8()?;
        let rect = reader.var_rect()?;
        if !bounds.contains(rect) {
            return Err(DecodeError::Invalid("rectangle outside the screen"));
        }
        let kind = match kind {
            1 => {
                let (red, green, blue) = (reader.u8()?, reader.u8()?, reader.u8()?);
                StepKind::Fill(u32::from_be_bytes([0, red, green, blue]))
            }
            2 => StepKind::Copy(copy_source(reader, rect, bounds)?),
            3 => StepKind::Png(payload_len(reader)?),
            4 => StepKind::Palette(payload_len(reader)?),
            5 => StepKind::Video(payload_len(reader)?),
            _ => return Err(DecodeError::Invalid("operation kind")),
        };
        Ok(Self { rect, kind })
    }
}

fn copy_source(reader: &mut Reader<'_>, to: Rect, bounds: Rect) -> Result<Point, DecodeError> {
    const OUTSIDE: &str = "copy source outside the screen";
    let (dx, dy) = (reader.svar(OUTSIDE)?, reader.svar(OUTSIDE)?);
    to.moved(dx, dy)
        .filter(|&source| bounds.contains(source))
        .map(|source| Point { x: source.x, y: source.y })
        .ok_or(DecodeError::Invalid(OUTSIDE))
}

fn payload_len(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let value = reader.var("payload")? as usize;
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
