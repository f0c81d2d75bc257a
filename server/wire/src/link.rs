//! The link between a gateway and the agent of one desktop: a stream socket on which each packet
//! follows its length (`u32`).
//!
//! The agent listens, the gateway connects and says [`ToAgent::Hello`] with the token; the agent
//! answers [`FromAgent::Hello`]. A new gateway connection replaces the one before: a gateway that
//! was killed and restarted finds its desktops again. Frames, digests, cursors and display states
//! travel as the viewer will get them, so the gateway forwards their bytes untouched.

use crate::codec::{DecodeError, Reader, Writer};
use crate::geometry::{Rect, Size};
use crate::input::Input;
use crate::picture::{DIGEST, FRAME, FrameTable, frame_ref};
use crate::server::{CURSOR, DISPLAY_STATE, DisplayState, MAX_TEXT};
use crate::units::{FrameRef, RefreshId, ViewerId};
use crate::{Digest, MAX_SERVER_PACKET};
use bytes::Bytes;

const AGENT_HELLO: u8 = 0x40;
const AGENT_STATS: u8 = 0x41;
const AGENT_STILL: u8 = 0x42;
const GATEWAY_HELLO: u8 = 0x60;
const WATCH: u8 = 0x61;
const REFRESH: u8 = 0x62;
const PAINTED: u8 = 0x63;
const RESIZE: u8 = 0x64;
const INPUT: u8 = 0x65;
const PACE: u8 = 0x66;
const STILL: u8 = 0x67;

/// The longest token, in bytes.
pub const MAX_TOKEN: usize = 128;
/// The largest packet from a gateway.
pub const MAX_TO_AGENT: usize = 64 << 10;
/// The largest packet from an agent.
pub const MAX_FROM_AGENT: usize = MAX_SERVER_PACKET;
/// The largest still picture, in pixels: what a card of a list shows, on a fine screen too.
pub const STILL_SIZE: Size = Size::new(384, 240);
/// The largest still picture, in bytes: one of noise does not compress.
pub const MAX_STILL: usize = 288 << 10;
/// In the version of a hello that is not an agent's first one: it makes still pictures. A gateway that
/// does not know of them looks at the version of the first alone, and one that does asks no other agent.
pub const MAKES_STILLS: u16 = 0x8000;
/// The most rectangles of a refresh request; a more ragged region is asked for as its hull.
pub const MAX_REFRESH_RECTS: usize = 256;

/// Who the agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentHello {
    /// The protocol version it speaks.
    pub version: u16,
    /// The smallest and largest size its display can be given; equal where it is fixed.
    pub limits: (Size, Size),
    /// What the display is called.
    pub name: String,
}

/// What the agent has done since it started; sent at most once a second and only when it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AgentStats {
    /// How often pixels were fetched from the display.
    pub grabs: u64,
    /// How many frames were sent.
    pub frames: u64,
    /// How often the capture thread woke up, for whatever reason.
    pub wakeups: u64,
    /// How many input events were given to the display.
    pub inputs: u64,
    /// How many input events were dropped because the display did not take them in time.
    pub inputs_dropped: u64,
    /// How many units of video were encoded.
    pub video_units: u64,
    /// How many of them were keyframes.
    pub video_keyframes: u64,
    /// How many video encoders there are now.
    pub encoders: u64,
    /// How many frames were begun later than they were due because the one before was not done.
    pub late: u64,
}

impl AgentStats {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        Writer::packet(AGENT_STATS, 72)
            .u64(self.grabs)
            .u64(self.frames)
            .u64(self.wakeups)
            .u64(self.inputs)
            .u64(self.inputs_dropped)
            .u64(self.video_units)
            .u64(self.video_keyframes)
            .u64(self.encoders)
            .u64(self.late)
            .finish()
    }
}

/// Any packet from an agent. Those for viewers keep their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromAgent {
    /// The answer to a hello.
    Hello(AgentHello),
    /// A frame: its table, and the packet to forward.
    Frame(FrameTable, Bytes),
    /// A digest, and the packet to forward.
    Digest(FrameRef, Bytes),
    /// A cursor packet to forward.
    Cursor(Bytes),
    /// Whether there is a display.
    DisplayState(DisplayState),
    /// What it has done.
    Stats(AgentStats),
    /// A still picture, for whoever knows what to make of it: nobody but a browser looks into it.
    Still(Bytes),
}

impl FromAgent {
    /// Reads a packet. Nothing in it is trusted: its desktop's user may have written it.
    pub fn decode(packet: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        match reader.u8()? {
            AGENT_HELLO => {
                let version = reader.u16()?;
                let limits = (reader.size()?, reader.size()?);
                let name = reader.str16("name", MAX_TEXT)?.to_owned();
                reader.end()?;
                Ok(Self::Hello(AgentHello { version, limits, name }))
            }
            AGENT_STATS => {
                let stats = AgentStats {
                    grabs: reader.u64()?,
                    frames: reader.u64()?,
                    wakeups: reader.u64()?,
                    inputs: reader.u64()?,
                    inputs_dropped: reader.u64()?,
                    video_units: reader.u64()?,
                    video_keyframes: reader.u64()?,
                    encoders: reader.u64()?,
                    late: reader.u64()?,
                };
                reader.end()?;
                Ok(Self::Stats(stats))
            }
            AGENT_STILL => {
                let value = reader.u32()? as usize;
                if value > MAX_STILL {
                    return Err(DecodeError::TooLarge { field: "still", value, limit: MAX_STILL });
                }
                reader.take(value)?;
                reader.end()?;
                Ok(Self::Still(packet.slice(packet.len() - value..)))
            }
            FRAME => Ok(Self::Frame(FrameTable::decode(packet)?, packet.clone())),
            DIGEST => Ok(Self::Digest(Digest::decode(packet)?.at, packet.clone())),
            CURSOR => crate::Cursor::decode(packet).map(|_| Self::Cursor(packet.clone())),
            DISPLAY_STATE => DisplayState::decode(packet).map(Self::DisplayState),
            kind => Err(DecodeError::UnknownKind(kind)),
        }
    }
}

/// The packet of a still picture: a PNG of at most [`STILL_SIZE`].
pub fn encode_still(png: &[u8]) -> Vec<u8> {
    Writer::packet(AGENT_STILL, 4 + png.len()).u32(png.len() as u32).bytes(png).finish()
}

impl AgentHello {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        Writer::packet(AGENT_HELLO, 12 + self.name.len())
            .u16(self.version)
            .size(self.limits.0)
            .size(self.limits.1)
            .str16(&self.name, MAX_TEXT)
            .finish()
    }
}

/// A request for current pixels for viewers that joined or fell behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refresh {
    /// Every pixel, as a keyframe.
    Whole,
    /// These rectangles and all that changed after `since`.
    Part {
        /// The newest frame that the gateway knew of when it asked.
        since: FrameRef,
        /// What was missed up to it.
        missed: Vec<Rect>,
        /// What they see.
        askers: Askers,
    },
}

/// What those see who ask for a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Askers {
    /// No video: they need exact pixels of everything.
    Stills,
    /// Video, all of them. They lack what the next units of each stream build upon; what is shown as
    /// video can come to them with the next keyframe.
    Video,
    /// Some the one, some the other.
    Both,
}

impl Askers {
    /// Whether any of them sees video.
    pub fn see_video(self) -> bool {
        match self {
            Self::Video | Self::Both => true,
            Self::Stills => false,
        }
    }

    /// Whether any of them sees no video.
    pub fn see_stills(self) -> bool {
        match self {
            Self::Stills | Self::Both => true,
            Self::Video => false,
        }
    }

    /// Those and others.
    pub fn and(self, others: Self) -> Self {
        if self == others { self } else { Self::Both }
    }
}

/// Any packet from a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToAgent {
    /// The first packet.
    Hello {
        /// The protocol version the gateway speaks.
        version: u16,
        /// Proof that it is this agent's gateway.
        token: String,
    },
    /// Who looks.
    Watch {
        /// How many viewers there are; with 0 nothing is captured.
        viewers: u16,
        /// How many video encoders the agent may have; 0 where no viewer decodes H.264, or where
        /// others on this machine have all there are.
        encoders: u8,
    },
    /// What the link carries of the viewer that paces the agent.
    Pace {
        /// Bit/s; `u32::MAX` while no limit has been met.
        bitrate: u32,
        /// Its round trip without anything queued, µs.
        base_rtt_us: u32,
    },
    /// Make a refresh frame, which bears the number of the newest request that it answers.
    Refresh(RefreshId, Refresh),
    /// The newest frame that any viewer has painted.
    Painted(FrameRef),
    /// The desktop should have this size.
    Resize(Size),
    /// Input of the viewer that drives.
    Input(ViewerId, Input),
    /// Make a still picture, once: when the screen shows something else than in the last one.
    Still {
        /// Whether the gateway has none: then whatever the screen shows.
        at_once: bool,
    },
}

impl ToAgent {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello { version, token } => {
                Writer::packet(GATEWAY_HELLO, 4 + token.len()).u16(*version).str8(token).finish()
            }
            Self::Watch { viewers, encoders } => {
                Writer::packet(WATCH, 3).u16(*viewers).u8(*encoders).finish()
            }
            Self::Pace { bitrate, base_rtt_us } => {
                Writer::packet(PACE, 8).u32(*bitrate).u32(*base_rtt_us).finish()
            }
            Self::Refresh(request, Refresh::Whole) => {
                Writer::packet(REFRESH, 2).u8(request.0).u8(1).finish()
            }
            Self::Refresh(request, Refresh::Part { since, missed, askers }) => {
                let kind = match askers {
                    Askers::Stills => 0,
                    Askers::Video => 2,
                    Askers::Both => 3,
                };
                let out = Writer::packet(REFRESH, 12 + missed.len() * 8)
                    .u8(request.0)
                    .u8(kind)
                    .u32(since.epoch.0)
                    .u32(since.id.0)
                    .u16(missed.len() as u16);
                missed.iter().fold(out, |out, &rect| out.rect(rect)).finish()
            }
            Self::Painted(at) => Writer::packet(PAINTED, 8).u32(at.epoch.0).u32(at.id.0).finish(),
            Self::Resize(size) => Writer::packet(RESIZE, 4).size(*size).finish(),
            Self::Input(viewer, input) => {
                let input = input.encode();
                Writer::packet(INPUT, 4 + input.len()).u32(viewer.0).bytes(&input).finish()
            }
            Self::Still { at_once } => Writer::packet(STILL, 1).u8((*at_once).into()).finish(),
        }
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        let read = match reader.u8()? {
            GATEWAY_HELLO => {
                let version = reader.u16()?;
                let token = reader.str8("token")?;
                if token.len() > MAX_TOKEN {
                    return Err(DecodeError::Invalid("token"));
                }
                Self::Hello { version, token: token.to_owned() }
            }
            WATCH => Self::Watch { viewers: reader.u16()?, encoders: reader.u8()? },
            PACE => Self::Pace { bitrate: reader.u32()?, base_rtt_us: reader.u32()? },
            REFRESH => Self::Refresh(RefreshId(reader.u8()?), read_refresh(&mut reader)?),
            PAINTED => Self::Painted(frame_ref(&mut reader)?),
            RESIZE => Self::Resize(reader.size()?),
            INPUT => {
                let viewer = ViewerId(reader.u32()?);
                Self::Input(viewer, Input::decode(reader.rest())?)
            }
            STILL => Self::Still { at_once: reader.flag("still")? },
            kind => return Err(DecodeError::UnknownKind(kind)),
        };
        reader.end()?;
        Ok(read)
    }
}

fn read_refresh(reader: &mut Reader<'_>) -> Result<Refresh, DecodeError> {
    let askers = match reader.u8()? {
        0 => Askers::Stills,
        1 => return Ok(Refresh::Whole),
        2 => Askers::Video,
        3 => Askers::Both,
        _ => return Err(DecodeError::Invalid("refresh")),
    };
    let since = frame_ref(reader)?;
    let count = reader.count("rectangles", MAX_REFRESH_RECTS)?;
    let missed = (0..count).map(|_| reader.rect()).collect::<Result<_, _>>()?;
    Ok(Refresh::Part { since, missed, askers })
}
