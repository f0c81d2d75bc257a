//! An X server's screen.
//!
//! Damage says where to look: at level `NonEmpty` one event comes until the damage is taken, so an
//! idle or unwatched screen costs nothing. A grab takes the damage into a region, fetches its
//! rectangles by MIT-SHM, all requests of a step in one write; each pixel is then read from the
//! shared memory once.

mod connect;
mod cursor;
mod randr;
mod shm;
mod windows;

pub use connect::{Connected, connect};
pub use cursor::hidden as hidden_cursor;

use super::{DisplayError, Events, FEW_RECTS, Fetched, Grab, Options, Pixels};
use lattice_engine::picture::RGB;
use lattice_engine::region::Region;
use lattice_wire::{MAX_SIDE, Rect, Size};
use rustix::fd::{AsFd, BorrowedFd};
pub use shm::Segment;
use smallvec::SmallVec;
use windows::Windows;
use x11rb::NONE;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::damage::{self, Damage, ReportLevel};
use x11rb::protocol::shm::ConnectionExt as _;
use x11rb::protocol::xfixes::{self, ConnectionExt as _, CursorNotifyMask};
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConnectionExt as _, EventMask, ImageFormat, Window,
};
use x11rb::protocol::{Event, randr as xrandr};
use x11rb::rust_connection::RustConnection;

/// More rectangles than this are fetched as their hull, since each costs a request.
const MAX_RECTS: usize = 64;

/// An X server's screen.
#[derive(Debug)]
pub struct X11Display {
    connection: RustConnection,
    root: Window,
    size: Size,
    limits: (Size, Size),
    resizable: bool,
    use_shm: bool,
    segment: Option<Segment>,
    watching: Option<Watching>,
    cursors: cursor::Cursors,
    events: Events,
}

/// What there is only while somebody looks.
#[derive(Debug)]
struct Watching {
    damage: Damage,
    region: xfixes::Region,
    windows: Windows,
}

impl X11Display {
    /// Connects, and checks that the screen can be shown.
    pub fn connect(options: &Options) -> Result<Self, DisplayError> {
        let (connection, screen) = connect(&options.name)?;
        let root = connect::usable_screen(&connection, screen, &options.name)?.root;
        let damage = connection.extension_information(damage::X11_EXTENSION_NAME)?;
        let fixes = connection.extension_information(xfixes::X11_EXTENSION_NAME)?;
        if damage.is_none() || fixes.is_none() {
            let text = format!("the X server {} lacks DAMAGE or XFIXES; enable them", options.name);
            return Err(DisplayError::Unusable(text));
        }
        xfixes::query_version(&connection, 5, 0)?.reply()?;
        damage::query_version(&connection, 1, 1)?.reply()?;
        let use_shm = options.shm && has_fd_shm(&connection)?;
        let has_randr = connection.extension_information(xrandr::X11_EXTENSION_NAME)?.is_some();
        let mut display = Self {
            connection,
            root,
            size: Size::default(),
            limits: Default::default(),
            resizable: options.resize.is_some() && has_randr,
            use_shm,
            segment: None,
            watching: None,
            cursors: cursor::Cursors::default(),
            events: Events::default(),
        };
        display.listen(EventMask::STRUCTURE_NOTIFY)?;
        display.size = display.ask_size()?;
        display.limits = (display.size, display.size);
        if let Some((min, max)) = options.resize.filter(|_| has_randr) {
            display.limits = (min, randr::max_size(&display.connection, root, max)?);
        }
        let (size, resizable) = (display.size, display.resizable);
        tracing::info!(display.name = options.name, ?size, shm = use_shm, resizable, "connected");
        Ok(display)
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    pub(super) fn limits(&self) -> (Size, Size) {
        self.limits
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.connection.stream().as_fd()
    }

    pub(super) fn watch(&mut self, on: bool) -> Result<(), DisplayError> {
        match (on, self.watching.take()) {
            (true, None) => self.start_watching(),
            (true, watching @ Some(_)) => {
                self.watching = watching;
                Ok(())
            }
            (false, Some(watching)) => self.stop_watching(&watching),
            (false, None) => Ok(()),
        }
    }

    pub(super) fn drain(&mut self) -> Result<Events, DisplayError> {
        self.hear()?;
        self.connection.flush()?;
        Ok(std::mem::take(&mut self.events))
    }

    /// Takes in what the X server has said so far.
    fn hear(&mut self) -> Result<(), DisplayError> {
        let mut resized = None;
        while let Some(event) = self.connection.poll_for_event()? {
            self.handle(&event, &mut resized)?;
        }
        if let Some(size) = resized {
            self.set_size(size);
        }
        Ok(())
    }

    pub(super) fn grab(&mut self, also: &Region, size: Size) -> Result<Grab<'_>, DisplayError> {
        let mut region = self.take_damage()?;
        region.add_all(also);
        let region = region.clip(self.size).simplified(MAX_RECTS);
        if size != self.size {
            return Ok(Grab::Changed);
        }
        self.make_segment()?;
        let fetched = match &self.segment {
            Some(segment) => {
                fetch_shm(&self.connection, self.root, segment, &region).map(|()| None)
            }
            None => fetch_plain(&self.connection, self.root, &region).map(Some),
        };
        let packed = match fetched {
            Ok(packed) => packed,
            // BadMatch: the screen became smaller under us.
            Err(ReplyError::X11Error(error)) => {
                tracing::debug!(kind = ?error.error_kind, "the screen changed while it was read");
                let size = self.ask_size()?;
                self.set_size(size);
                return Ok(Grab::Changed);
            }
            Err(error) => return Err(error.into()),
        };
        // Events and answers come in one order: windows are now where the pixels show them.
        self.hear()?;
        let hints = self.watching.as_mut().map(|watching| watching.windows.moves(self.size));
        let pixels = match (packed, &self.segment) {
            (None, Some(segment)) => Pixels::Shared(segment),
            (packed, _) => Pixels::Packed(packed.unwrap_or_default()),
        };
        Ok(Grab::Done(Fetched { region, hints: hints.unwrap_or_default(), pixels }))
    }

    pub(super) fn resize(&mut self, size: Size) -> Result<(), DisplayError> {
        if !self.resizable {
            return Ok(());
        }
        randr::resize(&self.connection, self.root, size)?;
        let now = self.ask_size()?;
        if now != size {
            tracing::warn!(
                asked.width = size.width,
                asked.height = size.height,
                width = now.width,
                height = now.height,
                "the display took another size"
            );
        }
        self.set_size(now);
        Ok(())
    }

    fn listen(&self, mask: EventMask) -> Result<(), DisplayError> {
        let attributes = ChangeWindowAttributesAux::new().event_mask(mask);
        self.connection.change_window_attributes(self.root, &attributes)?;
        Ok(())
    }

    fn start_watching(&mut self) -> Result<(), DisplayError> {
        let connection = &self.connection;
        self.listen(EventMask::STRUCTURE_NOTIFY | EventMask::SUBSTRUCTURE_NOTIFY)?;
        connection.xfixes_select_cursor_input(self.root, CursorNotifyMask::DISPLAY_CURSOR)?;
        let region = connection.generate_id()?;
        xfixes::create_region(connection, region, &[])?;
        let damage = connection.generate_id()?;
        damage::create(connection, damage, self.root, ReportLevel::NON_EMPTY)?.check()?;
        let windows = Windows::load(connection, self.root)?;
        self.watching = Some(Watching { damage, region, windows });
        self.events.cursor = self.cursors.get(connection, None)?;
        Ok(())
    }

    fn stop_watching(&mut self, watching: &Watching) -> Result<(), DisplayError> {
        damage::destroy(&self.connection, watching.damage)?;
        xfixes::destroy_region(&self.connection, watching.region)?;
        self.connection.xfixes_select_cursor_input(self.root, CursorNotifyMask::default())?;
        self.listen(EventMask::STRUCTURE_NOTIFY)?;
        self.drop_segment()?;
        self.connection.flush()?;
        Ok(())
    }

    fn handle(&mut self, event: &Event, resized: &mut Option<Size>) -> Result<(), DisplayError> {
        match event {
            Event::DamageNotify(_) => self.events.damaged = self.watching.is_some(),
            Event::XfixesCursorNotify(event) => {
                let cursor = self.cursors.get(&self.connection, Some(event.cursor_serial))?;
                self.events.cursor = cursor.or(self.events.cursor.take());
            }
            Event::ConfigureNotify(event) if event.window == self.root => {
                *resized = Some(Size::new(event.width, event.height));
            }
            Event::Error(error) => {
                tracing::debug!(kind = ?error.error_kind, request = error.request_name, "the X server refused a request");
            }
            other => {
                if let Some(watching) = &mut self.watching {
                    watching.windows.handle(other, self.root);
                }
            }
        }
        Ok(())
    }

    fn set_size(&mut self, size: Size) {
        let size = size.clamp(Size::new(1, 1), Size::new(MAX_SIDE, MAX_SIDE));
        if size == self.size {
            return;
        }
        self.size = size;
        if !self.resizable {
            self.limits = (size, size);
        }
        self.events.resized = Some(size);
    }

    fn ask_size(&self) -> Result<Size, DisplayError> {
        let geometry = self.connection.get_geometry(self.root)?.reply()?;
        let largest = Size::new(MAX_SIDE, MAX_SIDE);
        Ok(Size::new(geometry.width, geometry.height).clamp(Size::new(1, 1), largest))
    }

    fn take_damage(&self) -> Result<Region, DisplayError> {
        let Some(watching) = &self.watching else { return Ok(Region::new()) };
        damage::subtract(&self.connection, watching.damage, NONE, watching.region)?;
        let fetched = xfixes::fetch_region(&self.connection, watching.region)?.reply()?;
        // Thousands of rectangles would take longer to add up than their hull takes to compare.
        let rects = match fetched.rectangles.len() > MAX_RECTS {
            true => std::slice::from_ref(&fetched.extents),
            false => &fetched.rectangles,
        };
        let rects = rects.iter().filter_map(|rect| {
            let left = u16::try_from(rect.x.max(0)).ok()?;
            let top = u16::try_from(rect.y.max(0)).ok()?;
            let right = (i32::from(rect.x) + i32::from(rect.width)).clamp(0, MAX_SIDE.into());
            let bottom = (i32::from(rect.y) + i32::from(rect.height)).clamp(0, MAX_SIDE.into());
            Rect::between(left, top, right as u16, bottom as u16)
        });
        Ok(rects.collect())
    }

    /// Shared memory for the current mode, where it is to be had.
    fn make_segment(&mut self) -> Result<(), DisplayError> {
        if !self.use_shm || self.segment.as_ref().is_some_and(|known| known.size() == self.size) {
            return Ok(());
        }
        self.drop_segment()?;
        match Segment::attach(&self.connection, self.size) {
            Ok(segment) => self.segment = Some(segment),
            Err(error @ DisplayError::Lost(_)) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "pixels go through the X connection, which is slow");
                self.use_shm = false;
            }
        }
        Ok(())
    }

    fn drop_segment(&mut self) -> Result<(), DisplayError> {
        self.segment.take().map_or(Ok(()), |segment| segment.detach(&self.connection))
    }
}

/// Whether memory can be shared by file descriptor: MIT-SHM 1.2, and not over TCP.
fn has_fd_shm(connection: &RustConnection) -> Result<bool, DisplayError> {
    let extension = x11rb::protocol::shm::X11_EXTENSION_NAME;
    if connection.extension_information(extension)?.is_none() {
        return Ok(false);
    }
    let version = connection.shm_query_version()?.reply()?;
    Ok((version.major_version, version.minor_version) >= (1, 2))
}

/// Has the X server write the region's rectangles into shared memory, one after the other.
fn fetch_shm(
    connection: &RustConnection,
    root: Window,
    segment: &Segment,
    region: &Region,
) -> Result<(), ReplyError> {
    let (format, seg) = (ImageFormat::Z_PIXMAP.into(), segment.seg());
    let mut offset = 0;
    let mut asked = SmallVec::<[_; FEW_RECTS]>::new();
    for &rect in region.rects() {
        let Rect { x, y, width, height } = rect;
        let (x, y) = (x as i16, y as i16);
        let at = offset as u32;
        asked.push(connection.shm_get_image(root, x, y, width, height, !0, format, seg, at)?);
        offset += rect.area() * 4;
    }
    // Everything is asked for before the first answer is waited for.
    asked.into_iter().try_for_each(|cookie| cookie.reply().map(drop))
}

/// The pixels of the region's rectangles, one after the other.
fn fetch_plain(
    connection: &RustConnection,
    root: Window,
    region: &Region,
) -> Result<Vec<u32>, ReplyError> {
    let mut packed = Vec::with_capacity(region.area());
    for &rect in region.rects() {
        let (x, y) = (rect.x as i16, rect.y as i16);
        let cookie =
            connection.get_image(ImageFormat::Z_PIXMAP, root, x, y, rect.width, rect.height, !0)?;
        let data = cookie.reply()?.data;
        if data.len() < rect.area() * 4 {
            return Err(ConnectionError::UnknownError.into());
        }
        let (pixels, _) = data.as_chunks::<4>();
        let pixels = pixels.iter().take(rect.area());
        packed.extend(pixels.map(|&bytes| u32::from_le_bytes(bytes) & RGB));
    }
    Ok(packed)
}
