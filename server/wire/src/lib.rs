//! What the browser, the gateway and the agent say to each other: protocol version 3.
//!
//! A packet is one WebSocket message, or one length-prefixed message on the agent's link
//! ([`link`]). Its first byte is its kind; every number is little-endian. Decoding checks each
//! length against the bytes that are there *and* against a named limit before it allocates, and
//! returns an error for any input that is not exactly one packet: nothing here panics on bytes.
//!
//! | kinds | from → to | module |
//! |---|---|---|
//! | `0x01..=0x3f` | agent → gateway → viewer | [`picture`], [`server`], [`standing`] |
//! | `0x40..=0x5f` | agent → gateway | [`link`] |
//! | `0x60..=0x7f` | gateway → agent | [`link`] |
//! | `0x80..=0x8f` | viewer → gateway | [`client`] |
//! | `0x90..=0x9f` | viewer → gateway → agent: input | [`input`] |
//!
//! Apart from these, [`apps`] and [`desktop`] are what programs of a desktop ask for: lines of JSON, which scripts can write,
//! [`snapshots`] what is asked of the keeper of people's snapshots, and [`backup`] of backups.
//!
//! `web/protocol` mirrors this crate; `tests/vectors` holds packets which both must read and write
//! to the byte.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod apps;
pub mod backup;
pub mod client;
pub mod close;
mod codec;
pub mod desktop;
mod draft;
pub mod geometry;
pub mod imports;
pub mod input;
pub mod link;
pub mod picture;
pub mod server;
pub mod snapshots;
pub mod standing;
pub mod units;

pub use client::{Ack, Capabilities, ClientPacket, Hello};
pub use codec::{DecodeError, Reader, Writer};
pub use draft::{Draft, Drawn};
pub use geometry::{Point, Rect, Size};
pub use input::{Button, Input, Key, Modifiers, PointerAt, Text, Wheel};
pub use link::{AgentHello, AgentStats, Askers, FromAgent, Refresh, ToAgent};
pub use picture::{
    Copy, Digest, Frame, FrameFlags, FrameHead, FrameTable, Op, OpKind, Step, StepKind, Video,
};
pub use server::{
    Availability, Bottleneck, Condition, Control, Cursor, DisplayState, People, Person, Ping,
    Pointing, Role, ServerPacket, Welcome,
};
pub use standing::Standing;
pub use units::{Epoch, FrameId, FrameRef, Micros, RefreshId, Seq, ViewerId};

/// The protocol version that both hellos carry. A peer that speaks another one is refused by name.
pub const VERSION: u16 = 3;

/// The WebSocket subprotocol that a viewer must offer.
pub const SUBPROTOCOL: &str = "lattice.v1";

/// The longest side of a screen, in pixels: the largest size that 8K displays have.
pub const MAX_SIDE: u16 = 8192;

/// The largest packet towards a viewer. A 5120x2880 picture of noise is 44 MB as PNG.
pub const MAX_SERVER_PACKET: usize = 64 << 20;

/// The largest packet from a viewer. A paste is cut into packets by the viewer.
pub const MAX_CLIENT_PACKET: usize = 8 << 10;
