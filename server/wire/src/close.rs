//! Why a WebSocket was closed: standard codes of RFC 6455 where they fit, our own from 4000.

/// The gateway shuts down or restarts; come back soon.
pub const RESTART: u16 = 1012;
/// A packet was malformed, out of place or too large.
pub const PROTOCOL: u16 = 4000;
/// No hello came in time, or pings went unanswered.
pub const SILENT: u16 = 4001;
/// The viewer speaks no protocol version that the gateway does.
pub const VERSION: u16 = 4002;
/// The right to look was withdrawn or has expired.
pub const REVOKED: u16 = 4003;
/// The viewer took no frames for too long.
pub const STALLED: u16 = 4008;
/// The session has as many viewers as it may.
pub const FULL: u16 = 4013;
/// The viewer sent more than anybody can type, point or ask.
pub const FLOOD: u16 = 4029;
/// The desktop has ended.
pub const ENDED: u16 = 4100;
