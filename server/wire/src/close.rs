//! Why a WebSocket was closed: standard codes of RFC 6455 where they fit, our own from 4000.

/// The gateway shuts down or restarts; come back soon, at a moment of the viewer's own within the time
/// that the reason names (`restart_reason`).
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

/// What is said with [`RESTART`]: viewers spread their return over so many milliseconds, so that a
/// school of them does not come back in one instant.
pub fn restart_reason(within_ms: u32) -> String {
    format!("restarting; come back within {within_ms} ms")
}

/// The milliseconds that a reason of [`RESTART`] names.
pub fn return_within(reason: &str) -> Option<u32> {
    let (_, rest) = reason.split_once("come back within ")?;
    rest.strip_suffix(" ms")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_soon_to_come_back_is_read_as_it_was_said() {
        for within in [0, 250, u32::MAX] {
            let reason = restart_reason(within);
            assert_eq!(return_within(&reason), Some(within));
            // A close frame has room for 123 bytes of it (RFC 6455, 5.5).
            assert!(reason.len() <= 123);
        }
        for reason in ["", "restarting", "come back within soon ms", "come back within 5 s"] {
            assert_eq!(return_within(reason), None, "{reason}");
        }
    }
}
