//! Identities and units that would be mistaken for each other as plain numbers.

/// Microseconds of the machine's monotonic clock (`CLOCK_MONOTONIC`), so that agent and gateway,
/// which share a machine, can subtract each other's times. Never compared with a browser's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub u64);

impl Micros {
    /// From whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1000)
    }

    /// The time from `earlier` to this, 0 where the order is the other way round.
    pub const fn since(self, earlier: Micros) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }

    /// This time and `span` together.
    pub const fn plus(self, span: Micros) -> Micros {
        Micros(self.0.saturating_add(span.0))
    }
}

/// One unbroken run of a display: a new one starts when the agent or its X server does. Frame ids
/// of different epochs are not comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Epoch(pub u32);

/// The number of a frame in its epoch, counting from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FrameId(pub u32);

/// A frame, across epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FrameRef {
    /// The run of the display.
    pub epoch: Epoch,
    /// The frame in it.
    pub id: FrameId,
}

/// The number of a request for current pixels, from 0 after 255; the answer bears it, so that one that
/// comes late is not taken for the answer to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RefreshId(pub u8);

impl RefreshId {
    /// The number after this.
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// The number a viewer gives to an input event, counting from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Seq(pub u32);

/// One browser tab's connection to a session; 0 is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ViewerId(pub u32);
