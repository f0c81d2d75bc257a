//! Giving an X server's screen another size.
//!
//! Xorg takes any size: a mode of our own is created, added to the output and set. Modes that we
//! made before are deleted. Xvfb never grows past its first size and gets the nearest it has.

use crate::display::DisplayError;
use lattice_wire::{MAX_SIDE, Size};
use std::time::Duration;
use x11rb::CURRENT_TIME;
use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::randr::{
    ConnectionExt, Crtc, GetScreenResourcesCurrentReply, Mode, ModeInfo, Output, Rotation,
    SetConfig,
};
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;

/// Our modes' names begin so.
const PREFIX: &str = "lattice-";
/// A mode change that meets another one, or a draw, is refused at times.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(15);

/// The largest size that the server takes, up to `wanted`.
pub(super) fn max_size(
    connection: &RustConnection,
    root: Window,
    wanted: Size,
) -> Result<Size, DisplayError> {
    let range = connection.randr_get_screen_size_range(root)?.reply()?;
    let largest = Size::new(range.max_width.min(MAX_SIDE), range.max_height.min(MAX_SIDE));
    Ok(wanted.clamp(Size::new(1, 1), largest))
}

/// Gives the screen this size. A refusal is no error: the screen takes the nearest mode it has, or
/// stays as it is.
pub(super) fn resize(
    connection: &RustConnection,
    root: Window,
    new: Size,
) -> Result<(), DisplayError> {
    for attempt in 1..=TRIES {
        let head = Head::find(connection, root);
        let changed = head.and_then(|head| match (head, attempt) {
            (None, _) => {
                tracing::warn!("the display has no output that could be resized");
                Ok(())
            }
            (Some(head), TRIES) => head.take_nearest(new),
            (Some(head), _) => head.resize(new),
        });
        match changed {
            Ok(()) => return Ok(()),
            Err(ReplyError::ConnectionError(error)) => return Err(error.into()),
            Err(ReplyError::X11Error(error)) => {
                tracing::debug!(attempt, kind = ?error.error_kind, request = error.request_name, "a mode change was refused");
            }
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// The output that shows the screen.
struct Head<'a> {
    connection: &'a RustConnection,
    root: Window,
    resources: GetScreenResourcesCurrentReply,
    output: Output,
    crtc: Crtc,
    modes: Vec<Mode>,
}

impl<'a> Head<'a> {
    /// The lit output, or else any that could be; nothing where the X server has none.
    fn find(connection: &'a RustConnection, root: Window) -> Result<Option<Self>, ReplyError> {
        let resources = connection.randr_get_screen_resources_current(root)?.reply()?;
        let mut best = None;
        for &output in &resources.outputs {
            let info =
                connection.randr_get_output_info(output, resources.config_timestamp)?.reply()?;
            let crtc = if info.crtc != 0 { Some(info.crtc) } else { info.crtcs.first().copied() };
            let is_lit = info.crtc != 0;
            if let Some(crtc) = crtc
                && (is_lit || best.is_none())
            {
                best = Some((output, crtc, info.modes));
                if is_lit {
                    break;
                }
            }
        }
        Ok(best.map(|(output, crtc, modes)| Self {
            connection,
            root,
            resources,
            output,
            crtc,
            modes,
        }))
    }

    fn resize(&self, new: Size) -> Result<(), ReplyError> {
        let mode = self.mode_for(new)?;
        self.change(new, mode)?;
        self.delete_modes_but(mode)
    }

    /// The largest mode that is there already and fits into `new`.
    fn take_nearest(&self, new: Size) -> Result<(), ReplyError> {
        let known = self.resources.modes.iter().filter(|mode| self.modes.contains(&mode.id));
        let fitting = known.filter(|mode| mode.width <= new.width && mode.height <= new.height);
        let area = |mode: &&ModeInfo| u32::from(mode.width) * u32::from(mode.height);
        let Some(mode) = fitting.max_by_key(area) else { return Ok(()) };
        self.change(Size::new(mode.width, mode.height), mode.id)
    }

    /// Nobody sees the steps between: the server does nothing else meanwhile.
    fn change(&self, new: Size, mode: Mode) -> Result<(), ReplyError> {
        self.connection.grab_server()?;
        let changed = self.change_steps(new, mode);
        self.connection.ungrab_server()?;
        self.connection.flush()?;
        changed
    }

    /// The screen must hold the mode before and after: it grows first and shrinks last.
    fn change_steps(&self, new: Size, mode: Mode) -> Result<(), ReplyError> {
        let screen = self.connection.get_geometry(self.root)?.reply()?;
        let old = Size::new(screen.width, screen.height);
        let both = Size::new(old.width.max(new.width), old.height.max(new.height));
        if both != old {
            self.set_screen(both)?;
        }
        self.set_mode(mode)?;
        if both != new {
            self.set_screen(new)?;
        }
        Ok(())
    }

    fn set_screen(&self, size: Size) -> Result<(), ReplyError> {
        // 96 dots an inch, whatever the size: text keeps its size in pixels.
        let mm = |pixels: u16| u32::from(pixels) * 254 / 960;
        let Size { width, height } = size;
        self.connection
            .randr_set_screen_size(self.root, width, height, mm(width).max(1), mm(height).max(1))?
            .check()
    }

    fn set_mode(&self, mode: Mode) -> Result<(), ReplyError> {
        let (time, config) = (CURRENT_TIME, self.resources.config_timestamp);
        let outputs = [self.output];
        let asked = self.connection.randr_set_crtc_config(
            self.crtc,
            time,
            config,
            0,
            0,
            mode,
            Rotation::ROTATE0,
            &outputs,
        )?;
        match asked.reply()?.status {
            SetConfig::SUCCESS => Ok(()),
            status => {
                tracing::debug!(?status, "the mode was not taken");
                Ok(())
            }
        }
    }

    /// A mode of this size on the output: one that is there, or a new one.
    fn mode_for(&self, size: Size) -> Result<Mode, ReplyError> {
        let sized = |mode: &&ModeInfo| (mode.width, mode.height) == (size.width, size.height);
        let mut candidates = self.resources.modes.iter().filter(sized);
        if let Some(mode) = candidates.clone().find(|mode| self.modes.contains(&mode.id)) {
            return Ok(mode.id);
        }
        let ours = candidates.find(|mode| self.is_ours(mode.id));
        let mode = match ours {
            Some(mode) => mode.id,
            None => {
                let name = format!("{PREFIX}{}x{}", size.width, size.height);
                let info = timing(size, name.len() as u16);
                self.connection.randr_create_mode(self.root, info, name.as_bytes())?.reply()?.mode
            }
        };
        self.connection.randr_add_output_mode(self.output, mode)?.check()?;
        Ok(mode)
    }

    fn delete_modes_but(&self, current: Mode) -> Result<(), ReplyError> {
        for mode in self.resources.modes.iter().map(|mode| mode.id) {
            if mode != current && self.is_ours(mode) {
                self.connection.randr_delete_output_mode(self.output, mode)?;
                self.connection.randr_destroy_mode(mode)?;
            }
        }
        Ok(())
    }

    fn is_ours(&self, wanted: Mode) -> bool {
        let mut names = self.resources.names.as_slice();
        for mode in &self.resources.modes {
            let Some((name, rest)) = names.split_at_checked(usize::from(mode.name_len)) else {
                break;
            };
            if mode.id == wanted {
                return name.starts_with(PREFIX.as_bytes());
            }
            names = rest;
        }
        false
    }
}

/// Some timing: nothing is scanned out, but drivers check that it is plausible.
fn timing(size: Size, name_len: u16) -> ModeInfo {
    let (htotal, vtotal) = (size.width + 160, size.height + 30);
    let clock = u32::from(htotal) * u32::from(vtotal) * 60;
    ModeInfo {
        id: 0,
        width: size.width,
        height: size.height,
        // The dummy driver refuses dot clocks above 300 MHz.
        dot_clock: clock.min(300_000_000),
        hsync_start: size.width + 48,
        hsync_end: size.width + 80,
        htotal,
        hskew: 0,
        vsync_start: size.height + 3,
        vsync_end: size.height + 9,
        vtotal,
        name_len,
        mode_flags: Default::default(),
    }
}
