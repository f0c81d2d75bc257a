//! What a viewer says.

use crate::codec::{DecodeError, Reader, Writer};
use crate::geometry::{Point, Size};
use crate::input::Input;
use crate::picture::frame_ref;
use crate::units::{FrameRef, Micros, ViewerId};

const HELLO: u8 = 0x81;
const ACK: u8 = 0x82;
const PONG: u8 = 0x83;
const RESIZE: u8 = 0x84;
const REFRESH: u8 = 0x85;
const TAKE_CONTROL: u8 = 0x86;
const GIVE_CONTROL: u8 = 0x87;
const RELEASE_CONTROL: u8 = 0x88;
const POINT: u8 = 0x89;

/// What a browser can do; unknown bits are ignored, so that a newer viewer may say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// The page is in a secure context: WebCodecs, clipboard and keyboard lock are to be had.
    pub const SECURE_CONTEXT: Self = Self(1);
    /// `ImageDecoder` exists; without it PNGs are decoded by `createImageBitmap`.
    pub const IMAGE_DECODER: Self = Self(2);
    /// `VideoDecoder` exists and decodes H.264.
    pub const H264: Self = Self(4);
    /// The page has been here before and comes back by itself: nobody has just opened it.
    pub const RETURNING: Self = Self(8);

    /// Whether all of `other` is there.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The first packet of a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// The newest protocol version the viewer speaks.
    pub version: u16,
    /// What its browser can do.
    pub capabilities: Capabilities,
    /// The place it has for the screen, in device pixels.
    pub viewport: Size,
}

/// A frame was painted. Every frame is acknowledged, in order; one that could not be painted just
/// before the [`ClientPacket::Refresh`] that it causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Which.
    pub at: FrameRef,
    /// From the frame's arrival to its painting, µs.
    pub decode_us: u32,
    /// How many frames had arrived and were not painted yet.
    pub queued: u8,
}

/// Any packet from a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientPacket {
    /// The first packet.
    Hello(Hello),
    /// A frame was painted.
    Ack(Ack),
    /// The time of the ping that it answers.
    Pong(Micros),
    /// The desktop should have this size.
    Resize(Size),
    /// The viewer's picture is not good (it could not decode, or a hash differed) and it asks for
    /// all of it.
    Refresh,
    /// The viewer wants to drive: an owner does at once, others ask for it by this.
    TakeControl,
    /// This viewer is to drive.
    GiveControl(ViewerId),
    /// The viewer lets go of control, or no longer asks for it.
    ReleaseControl,
    /// The viewer, who does not drive, points here.
    Point(Point),
    /// Keys and pointer.
    Input(Input),
}

impl ClientPacket {
    /// The packet's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(hello) => Writer::packet(HELLO, 10)
                .u16(hello.version)
                .u32(hello.capabilities.0)
                .size(hello.viewport)
                .finish(),
            Self::Ack(ack) => Writer::packet(ACK, 13)
                .u32(ack.at.epoch.0)
                .u32(ack.at.id.0)
                .u32(ack.decode_us)
                .u8(ack.queued)
                .finish(),
            Self::Pong(sent) => Writer::packet(PONG, 8).u64(sent.0).finish(),
            Self::Resize(size) => Writer::packet(RESIZE, 4).size(*size).finish(),
            Self::Refresh => vec![REFRESH],
            Self::TakeControl => vec![TAKE_CONTROL],
            Self::GiveControl(to) => Writer::packet(GIVE_CONTROL, 4).u32(to.0).finish(),
            Self::ReleaseControl => vec![RELEASE_CONTROL],
            Self::Point(at) => Writer::packet(POINT, 4).point(*at).finish(),
            Self::Input(input) => input.encode(),
        }
    }

    /// Reads any packet from a viewer.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        let read = match reader.u8()? {
            HELLO => Self::Hello(Hello {
                version: reader.u16()?,
                capabilities: Capabilities(reader.u32()?),
                viewport: reader.size()?,
            }),
            ACK => Self::Ack(Ack {
                at: frame_ref(&mut reader)?,
                decode_us: reader.u32()?,
                queued: reader.u8()?,
            }),
            PONG => Self::Pong(Micros(reader.u64()?)),
            RESIZE => Self::Resize(reader.size()?),
            REFRESH => Self::Refresh,
            TAKE_CONTROL => Self::TakeControl,
            GIVE_CONTROL => Self::GiveControl(ViewerId(reader.u32()?)),
            RELEASE_CONTROL => Self::ReleaseControl,
            POINT => Self::Point(reader.point()?),
            _ => return Input::decode(packet).map(Self::Input),
        };
        reader.end()?;
        Ok(read)
    }
}
