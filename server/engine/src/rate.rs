//! How much to send to whom, so that nothing queues on the way.
//!
//! The gateway watches each [viewer's link](link) and tells the agent the pace of the one that paces
//! it; the agent's [`ladder`] turns that into what its video may cost, and its
//! [`frame clock`](crate::frame_clock) holds frames back that would only wait.

mod average;
pub mod effort;
pub mod ladder;
pub mod link;

use lattice_wire::Micros;

/// Bits a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(pub u32);

impl Bitrate {
    /// How a packet says that no limit has been met.
    const UNLIMITED: u32 = u32::MAX;

    /// From a packet's field; nothing where no limit has been met.
    pub fn read(field: u32) -> Option<Self> {
        (field != Self::UNLIMITED).then_some(Self(field))
    }

    /// A packet's field.
    pub fn write(bitrate: Option<Self>) -> u32 {
        bitrate.map_or(Self::UNLIMITED, |bitrate| bitrate.0.min(Self::UNLIMITED - 1))
    }

    /// How many bytes go through in `span`.
    pub fn bytes_in(self, span: Micros) -> u64 {
        u64::from(self.0).saturating_mul(span.0) / 8_000_000
    }

    /// How long so many bytes take.
    pub fn time_of(self, bytes: u64) -> Micros {
        Micros(bytes.saturating_mul(8_000_000) / u64::from(self.0.max(1)))
    }
}

/// What the link carries of the viewer that paces the agent: [`lattice_wire::ToAgent::Pace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Nothing while no limit has been met.
    pub bitrate: Option<Bitrate>,
    /// The round trip without anything queued.
    pub base_rtt: Micros,
}

impl Pace {
    /// No limit is known, and no delay.
    pub const UNKNOWN: Self = Self { bitrate: None, base_rtt: Micros(0) };

    /// From the fields of [`lattice_wire::ToAgent::Pace`].
    pub fn read(bitrate: u32, base_rtt_us: u32) -> Self {
        Self { bitrate: Bitrate::read(bitrate), base_rtt: Micros(u64::from(base_rtt_us)) }
    }
}

/// The longest base round trip that counts. Beyond any real path (a geostationary satellite has
/// 600 ms); without a bound, who invents a delay could have seconds of frames on the way.
const MAX_BASE_RTT: Micros = Micros::from_millis(1000);

/// Frames on their way to a viewer, however long that is: at 60 frames a second, 250 ms of them.
pub const MAX_ON_THE_WAY: usize = 16;

/// How long after it was sent a frame may be unpainted without anything being queued: the link's
/// own round trip and a quarter for its jitter.
///
/// Two frames in flight are a queue where the round trip is shorter than a frame; where it is
/// 200 ms they would be 10 frames a second on an empty link. So a frame counts as waiting only once
/// it is older than this.
pub fn on_the_wire(base_rtt: Micros) -> Micros {
    let base = base_rtt.0.min(MAX_BASE_RTT.0);
    Micros(base + base / 4)
}
