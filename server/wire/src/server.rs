//! What a viewer is told besides the picture.

use crate::codec::{DecodeError, Reader, Writer};
use crate::geometry::{Point, Size};
use crate::picture::{DIGEST, Digest, FRAME, Frame, expect_kind};
use crate::standing::{STANDING, Standing};
use crate::units::{Micros, ViewerId};
use bytes::Bytes;

/// The kind byte of a [`Cursor`].
pub const CURSOR: u8 = 0x03;
/// The kind byte of a [`Welcome`].
pub const WELCOME: u8 = 0x04;
/// The kind byte of a [`Control`].
pub const CONTROL: u8 = 0x05;
/// The kind byte of a [`DisplayState`].
pub const DISPLAY_STATE: u8 = 0x06;
/// The kind byte of a [`Ping`].
pub const PING: u8 = 0x07;
/// The kind byte of a [`Condition`].
pub const CONDITION: u8 = 0x08;
/// The kind byte of [`People`].
pub const PEOPLE: u8 = 0x09;
/// The kind byte of a [`Pointing`].
pub const POINTING: u8 = 0x0a;
/// The kind byte of a [`ServerPacket::OfferPage`], which has nothing else.
pub const OFFER_PAGE: u8 = 0x0c;

/// The longest side of a cursor; X cursors are 64 at most in practice, browsers show 128.
pub const MAX_CURSOR_SIDE: u16 = 256;
/// The largest image of a cursor, in bytes: more than the raw pixels of the largest.
pub const MAX_CURSOR_BYTES: usize = 512 << 10;
/// The longest name or message, in bytes.
pub const MAX_TEXT: usize = 512;
/// The most who are listed.
pub const MAX_PEOPLE: usize = 1000;

/// Any packet towards a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerPacket {
    /// A change of the picture.
    Frame(Frame),
    /// What the picture hashes to.
    Digest(Digest),
    /// The pointer's shape.
    Cursor(Cursor),
    /// The answer to a hello.
    Welcome(Welcome),
    /// Who drives.
    Control(Control),
    /// Whether there is a display.
    DisplayState(DisplayState),
    /// A request for a [`Pong`](crate::client::ClientPacket::Pong).
    Ping(Ping),
    /// What limits the picture.
    Condition(Condition),
    /// Who is there.
    People(People),
    /// Where somebody points.
    Pointing(Pointing),
    /// Whether the desktop rests or waits.
    Standing(Standing),
    /// Somebody on the desktop asks for the desktop's page; told to owners only. Viewers of an earlier
    /// release pass over it.
    OfferPage,
}

impl ServerPacket {
    /// The packet's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Frame(packet) => packet.encode(),
            Self::Digest(packet) => packet.encode(),
            Self::Cursor(packet) => packet.encode(),
            Self::Welcome(packet) => packet.encode(),
            Self::Control(packet) => packet.encode(),
            Self::DisplayState(packet) => packet.encode(),
            Self::Ping(packet) => packet.encode(),
            Self::Condition(packet) => packet.encode(),
            Self::People(packet) => packet.encode(),
            Self::Pointing(packet) => packet.encode(),
            Self::Standing(packet) => packet.encode(),
            Self::OfferPage => vec![OFFER_PAGE],
        }
    }

    /// Reads any packet towards a viewer.
    pub fn decode(packet: &Bytes) -> Result<Self, DecodeError> {
        match *packet.first().ok_or(DecodeError::Truncated)? {
            FRAME => Frame::decode(packet).map(Self::Frame),
            DIGEST => Digest::decode(packet).map(Self::Digest),
            CURSOR => Cursor::decode(packet).map(Self::Cursor),
            WELCOME => Welcome::decode(packet).map(Self::Welcome),
            CONTROL => Control::decode(packet).map(Self::Control),
            DISPLAY_STATE => DisplayState::decode(packet).map(Self::DisplayState),
            PING => Ping::decode(packet).map(Self::Ping),
            CONDITION => Condition::decode(packet).map(Self::Condition),
            PEOPLE => People::decode(packet).map(Self::People),
            POINTING => Pointing::decode(packet).map(Self::Pointing),
            STANDING => Standing::decode(packet).map(Self::Standing),
            OFFER_PAGE => {
                let mut reader = Reader::new(packet);
                expect_kind(&mut reader, OFFER_PAGE)?;
                reader.end()?;
                Ok(Self::OfferPage)
            }
            kind => Err(DecodeError::UnknownKind(kind)),
        }
    }
}

/// The pointer's shape, drawn by the browser so that it has no latency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The pixel that points, from the image's top left corner.
    pub hot: Point,
    /// The image's size; 0 x 0 hides the pointer.
    pub size: Size,
    /// A PNG with alpha, empty for a hidden pointer.
    pub png: Bytes,
}

impl Cursor {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        Writer::packet(CURSOR, 12 + self.png.len())
            .point(self.hot)
            .size(self.size)
            .u32(self.png.len() as u32)
            .bytes(&self.png)
            .finish()
    }

    /// Reads a packet.
    pub fn decode(packet: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        expect_kind(&mut reader, CURSOR)?;
        let (hot, size) = (reader.point()?, reader.size()?);
        if size.width > MAX_CURSOR_SIDE || size.height > MAX_CURSOR_SIDE {
            return Err(DecodeError::Invalid("cursor size"));
        }
        let len = reader.u32()? as usize;
        if len > MAX_CURSOR_BYTES {
            return Err(DecodeError::TooLarge {
                field: "cursor image",
                value: len,
                limit: MAX_CURSOR_BYTES,
            });
        }
        if (len == 0) != (size.area() == 0) {
            return Err(DecodeError::Invalid("cursor image"));
        }
        let png = packet.slice_ref(reader.take(len)?);
        reader.end()?;
        Ok(Self { hot, size, png })
    }
}

/// What a viewer may do; each may what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks.
    View,
    /// Points at things: the others see where its pointer is.
    Assist,
    /// Drives when given control, and may ask for it.
    Control,
    /// The desktop is theirs: drives whenever it wishes, gives control, sees who is there.
    Own,
}

impl Role {
    /// All of them, by their number on the wire.
    pub const ALL: [Self; 4] = [Self::View, Self::Assist, Self::Control, Self::Own];

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = usize::from(reader.u8()?);
        Self::ALL.get(number).copied().ok_or(DecodeError::Invalid("role"))
    }
}

/// The gateway's answer to a viewer's hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The protocol version that is spoken from here on.
    pub version: u16,
    /// The viewer's own id.
    pub viewer: ViewerId,
    /// What it may do.
    pub role: Role,
    /// The smallest and largest size that a resize request is clamped to; both equal to the
    /// display's own size where it cannot be resized.
    pub limits: (Size, Size),
    /// What the desktop is called.
    pub name: String,
}

impl Welcome {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        Writer::packet(WELCOME, 32 + self.name.len())
            .u16(self.version)
            .u32(self.viewer.0)
            .u8(self.role as u8)
            .size(self.limits.0)
            .size(self.limits.1)
            .str16(&self.name, MAX_TEXT)
            .finish()
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        expect_kind(&mut reader, WELCOME)?;
        let version = reader.u16()?;
        let viewer = ViewerId(reader.u32()?);
        let role = Role::read(&mut reader)?;
        let limits = (reader.size()?, reader.size()?);
        let name = reader.str16("name", MAX_TEXT)?.to_owned();
        reader.end()?;
        Ok(Self { version, viewer, role, limits, name })
    }
}

/// Who drives the desktop, and how many look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// The viewer that drives, or [`ViewerId`] 0.
    pub controller: ViewerId,
    /// How many viewers there are.
    pub viewers: u16,
}

impl Control {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        Writer::packet(CONTROL, 6).u32(self.controller.0).u16(self.viewers).finish()
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        expect_kind(&mut reader, CONTROL)?;
        let (controller, viewers) = (ViewerId(reader.u32()?), reader.u16()?);
        reader.end()?;
        Ok(Self { controller, viewers })
    }
}

/// Somebody who looks at the desktop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their viewer.
    pub viewer: ViewerId,
    /// What they may do.
    pub role: Role,
    /// Whether they wait to be given control.
    pub asks: bool,
    /// What they are called.
    pub name: String,
}

/// All who look at the desktop, in the order in which they came; told to owners only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People(pub Vec<Person>);

impl People {
    /// The packet. Those beyond [`MAX_PEOPLE`] are left out.
    pub fn encode(&self) -> Vec<u8> {
        let people = &self.0[..self.0.len().min(MAX_PEOPLE)];
        let out = Writer::packet(PEOPLE, 2 + 24 * people.len()).u16(people.len() as u16);
        let write = |out: Writer, person: &Person| {
            out.u32(person.viewer.0)
                .u8(person.role as u8)
                .u8(u8::from(person.asks))
                .str8(&person.name)
        };
        people.iter().fold(out, write).finish()
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        expect_kind(&mut reader, PEOPLE)?;
        let count = reader.count("people", MAX_PEOPLE)?;
        let mut people = Vec::new();
        for _ in 0..count {
            people.push(Person {
                viewer: ViewerId(reader.u32()?),
                role: Role::read(&mut reader)?,
                asks: reader.flag("asks")?,
                name: reader.str8("name")?.to_owned(),
            });
        }
        reader.end()?;
        Ok(Self(people))
    }
}

/// Where a viewer that does not drive points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointing {
    /// Who points.
    pub viewer: ViewerId,
    /// At which pixel.
    pub at: Point,
}

impl Pointing {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        Writer::packet(POINTING, 8).u32(self.viewer.0).point(self.at).finish()
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        expect_kind(&mut reader, POINTING)?;
        let (viewer, at) = (ViewerId(reader.u32()?), reader.point()?);
        reader.end()?;
        Ok(Self { viewer, at })
    }
}

/// Whether there is a display to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Frames come.
    Live,
    /// The display is gone or does not answer; the agent goes on trying.
    Lost,
    /// The desktop has ended for good.
    Ended,
}

/// A change of [`Availability`], with its reason in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayState {
    /// What holds now.
    pub state: Availability,
    /// Why, for a person to read; empty when live.
    pub reason: String,
}

impl DisplayState {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let state = match self.state {
            Availability::Live => 0,
            Availability::Lost => 1,
            Availability::Ended => 2,
        };
        Writer::packet(DISPLAY_STATE, 3 + self.reason.len())
            .u8(state)
            .str16(&self.reason, MAX_TEXT)
            .finish()
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        expect_kind(&mut reader, DISPLAY_STATE)?;
        let state = match reader.u8()? {
            0 => Availability::Live,
            1 => Availability::Lost,
            2 => Availability::Ended,
            _ => return Err(DecodeError::Invalid("display state")),
        };
        let reason = reader.str16("reason", MAX_TEXT)?.to_owned();
        reader.end()?;
        Ok(Self { state, reason })
    }
}

/// A sign of life that the viewer echoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// When it was sent; comes back in the pong.
    pub sent: Micros,
    /// The last round trip that the gateway measured with this viewer, `u32::MAX` µs for none yet.
    pub round_trip_us: u32,
}

impl Ping {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        Writer::packet(PING, 12).u64(self.sent.0).u32(self.round_trip_us).finish()
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        expect_kind(&mut reader, PING)?;
        let (sent, round_trip_us) = (Micros(reader.u64()?), reader.u32()?);
        reader.end()?;
        Ok(Self { sent, round_trip_us })
    }
}

/// What keeps a viewer from seeing every change at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bottleneck {
    /// Nothing does.
    Nothing,
    /// The desktop's machine is short of processor time.
    Server,
    /// The network carries less than there is to show.
    Network,
    /// The browser takes longer to paint than the frames are apart.
    Browser,
}

/// How well a viewer is served; sent when it changes, at most once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// What limits it.
    pub bottleneck: Bottleneck,
    /// What its link is thought to carry, bit/s; `u32::MAX` while no limit has been met.
    pub bitrate: u32,
    /// How much older than the link's own delay the picture is, ms.
    pub debt_ms: u16,
}

impl Condition {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let bottleneck = match self.bottleneck {
            Bottleneck::Nothing => 0,
            Bottleneck::Server => 1,
            Bottleneck::Network => 2,
            Bottleneck::Browser => 3,
        };
        Writer::packet(CONDITION, 7).u8(bottleneck).u32(self.bitrate).u16(self.debt_ms).finish()
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        expect_kind(&mut reader, CONDITION)?;
        let bottleneck = match reader.u8()? {
            0 => Bottleneck::Nothing,
            1 => Bottleneck::Server,
            2 => Bottleneck::Network,
            3 => Bottleneck::Browser,
            _ => return Err(DecodeError::Invalid("bottleneck")),
        };
        let (bitrate, debt_ms) = (reader.u32()?, reader.u16()?);
        reader.end()?;
        Ok(Self { bottleneck, bitrate, debt_ms })
    }
}
