//! Whether a desktop rests or waits, told to those who look at it.

use crate::codec::{DecodeError, Reader, Writer};
use crate::picture::expect_kind;

/// The kind byte of a [`Standing`].
pub const STANDING: u8 = 0x0b;

/// What there is to know of a desktop beside its picture; told when it changes. Viewers of an earlier
/// release pass over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Usual,
    /// Nobody has worked for a while, and if nobody does it rests soon.
    Warned {
        /// How long nobody has worked, s.
        idle_s: u32,
        /// How long is left, s.
        left_s: u32,
        /// Whether it then stops, and is not merely paused.
        stops: bool,
    },
    /// It is frozen, and goes on as soon as somebody who may drive gives any input.
    Paused,
    /// It is to start as soon as there is a place for it.
    Queued {
        /// Its place in line, from 1.
        position: u16,
        /// How long that is thought to take, s; nothing where nobody knows.
        eta_s: Option<u32>,
    },
}

impl Standing {
    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let packet = Writer::packet(STANDING, 10);
        let packet = match *self {
            Self::Usual => packet.u8(0),
            Self::Warned { idle_s, left_s, stops } => {
                packet.u8(1).u32(idle_s).u32(left_s).u8(u8::from(stops))
            }
            Self::Paused => packet.u8(2),
            Self::Queued { position, eta_s } => {
                packet.u8(3).u16(position).u32(eta_s.unwrap_or(u32::MAX))
            }
        };
        packet.finish()
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        expect_kind(&mut reader, STANDING)?;
        let standing = match reader.u8()? {
            0 => Self::Usual,
            1 => Self::Warned {
                idle_s: reader.u32()?,
                left_s: reader.u32()?,
                stops: reader.flag("stops")?,
            },
            2 => Self::Paused,
            3 => Self::Queued {
                position: reader.u16()?,
                eta_s: Some(reader.u32()?).filter(|&eta| eta != u32::MAX),
            },
            _ => return Err(DecodeError::Invalid("standing")),
        };
        reader.end()?;
        Ok(standing)
    }
}
