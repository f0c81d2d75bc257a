//! A display to look at: an X server, or a script that plays the part of one.

pub mod headless;
pub mod x11;

use lattice_engine::picture::Picture;
use lattice_engine::plan::MoveHint;
use lattice_engine::region::Region;
use lattice_wire::{Cursor, Micros, Rect, Size};
use rustix::fd::BorrowedFd;
use smallvec::SmallVec;
use x11rb::errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError};

/// Why a display cannot be shown, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum DisplayError {
    /// Nobody listens there, or it refused us.
    #[error("cannot connect to the X server {display}: {reason}")]
    Connect {
        /// Which display.
        display: String,
        /// What went wrong.
        reason: String,
    },
    /// It works, but not in a way that can be shown.
    #[error("{0}")]
    Unusable(String),
    /// The connection ended.
    #[error("the connection to the X server was lost: {0}")]
    Lost(String),
}

impl From<ConnectionError> for DisplayError {
    fn from(error: ConnectionError) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<ReplyError> for DisplayError {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => error.into(),
            ReplyError::X11Error(error) => Self::Unusable(format!(
                "the X server refused {} with {:?}",
                error.request_name.unwrap_or("a request"),
                error.error_kind
            )),
        }
    }
}

impl From<ReplyOrIdError> for DisplayError {
    fn from(error: ReplyOrIdError) -> Self {
        match error {
            ReplyOrIdError::IdsExhausted => Self::Lost("it has no more resource ids".into()),
            ReplyOrIdError::ConnectionError(error) => error.into(),
            ReplyOrIdError::X11Error(error) => ReplyError::X11Error(error).into(),
        }
    }
}

impl From<ConnectError> for DisplayError {
    fn from(error: ConnectError) -> Self {
        Self::Lost(error.to_string())
    }
}

/// What is wanted of a display.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name: `:N`, `HOST:N`, a socket's path.
    pub name: String,
    /// Whether pixels may come through shared memory.
    pub shm: bool,
    /// The sizes it may be given, if it may be resized.
    pub resize: Option<(Size, Size)>,
}

/// What happened on a display since the last look.
#[derive(Debug, Default)]
pub struct Events {
    /// Pixels changed.
    pub damaged: bool,
    /// It has this size now.
    pub resized: Option<Size>,
    /// The pointer has this shape now.
    pub cursor: Option<Cursor>,
}

/// Windows that moved; a hand moves one.
pub type Hints = SmallVec<[MoveHint; 4]>;

/// So many rectangles of damage take no memory of their own.
const FEW_RECTS: usize = 16;

/// What a grab brought.
#[derive(Debug)]
pub enum Grab<'a> {
    /// Fresh pixels.
    Done(Fetched<'a>),
    /// The screen changed its size meanwhile; look at the events and try again.
    Changed,
}

/// Fresh pixels of a display.
#[derive(Debug)]
pub struct Fetched<'a> {
    /// Where, within the display.
    pub region: Region,
    /// Windows that moved.
    pub hints: Hints,
    pixels: Pixels<'a>,
}

/// Where fetched pixels lie.
#[derive(Debug)]
enum Pixels<'a> {
    /// Packed in memory that an X server wrote, one rectangle of the region after the other.
    Shared(&'a x11::Segment),
    /// The same in memory of our own.
    Packed(Vec<u32>),
    /// In a picture of the whole screen.
    Picture(&'a Picture),
}

impl Fetched<'_> {
    /// Reads rows: row `y` of the region's rectangle number `i` by `reader(i, y, row)`. The memory
    /// may be shared with the X server, so each row is read once.
    pub fn reader(&self) -> impl FnMut(usize, u16, &mut [u32]) {
        let rects = self.region.rects();
        let starts = rects.iter().scan(0, |next, rect| {
            let start = *next;
            *next += rect.area();
            Some(start)
        });
        let starts: SmallVec<[usize; FEW_RECTS]> = starts.collect();
        move |index, y, row| {
            let start = starts[index] + usize::from(y) * row.len();
            match &self.pixels {
                Pixels::Shared(segment) => segment.copy_out(start, row),
                Pixels::Packed(pixels) => row.copy_from_slice(&pixels[start..start + row.len()]),
                Pixels::Picture(picture) => {
                    let Rect { x, y: top, width, .. } = rects[index];
                    row.copy_from_slice(picture.row(x, top + y, width));
                }
            }
        }
    }
}

/// A display.
#[derive(Debug)]
pub enum Display {
    /// An X server.
    X11(Box<x11::X11Display>),
    /// A script.
    Headless(headless::HeadlessDisplay),
}

impl Display {
    /// How large it is.
    pub fn size(&self) -> Size {
        match self {
            Self::X11(display) => display.size(),
            Self::Headless(display) => display.size(),
        }
    }

    /// The sizes it can be given; equal where it cannot be resized.
    pub fn limits(&self) -> (Size, Size) {
        match self {
            Self::X11(display) => display.limits(),
            Self::Headless(display) => display.limits(),
        }
    }

    /// What becomes readable when something happens.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::X11(display) => Some(display.fd()),
            Self::Headless(_) => None,
        }
    }

    /// When to look again even if nothing becomes readable.
    pub fn wake_at(&self) -> Option<Micros> {
        match self {
            Self::X11(_) => None,
            Self::Headless(display) => display.wake_at(),
        }
    }

    /// Starts or stops noticing changes. All memory for pixels is given back when it stops.
    pub fn watch(&mut self, on: bool) -> Result<(), DisplayError> {
        match self {
            Self::X11(display) => display.watch(on),
            Self::Headless(display) => {
                display.watch(on);
                Ok(())
            }
        }
    }

    /// What happened. Sends what waits to be sent, so that waiting for [`Display::fd`] makes sense.
    pub fn drain(&mut self, now: Micros) -> Result<Events, DisplayError> {
        match self {
            Self::X11(display) => display.drain(),
            Self::Headless(display) => Ok(display.drain(now)),
        }
    }

    /// Fetches what changed since the last grab, and `also`, for who knows it to have this size.
    pub fn grab(&mut self, also: &Region, size: Size) -> Result<Grab<'_>, DisplayError> {
        match self {
            Self::X11(display) => display.grab(also, size),
            Self::Headless(display) => Ok(display.grab(also, size)),
        }
    }

    /// Gives it another size within its limits, as near as it can.
    pub fn resize(&mut self, size: Size) -> Result<(), DisplayError> {
        match self {
            Self::X11(display) => display.resize(size),
            Self::Headless(display) => {
                display.resize(size);
                Ok(())
            }
        }
    }
}
