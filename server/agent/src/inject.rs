//! Giving input to a display: by XTEST on a connection of its own, or to a scripted display.

use crate::clock;
use crate::display::headless::KeyCount;
use crate::display::{DisplayError, x11};
use crate::slots::Shared;
use lattice_engine::keys::{KeyAction, Keymap};
use lattice_wire::{Point, Size};
use rustix::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xproto::{
    AutoRepeatMode, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ChangeKeyboardControlAux,
    ConnectionExt as _, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, Mapping,
    MappingNotifyEvent, Window,
};
use x11rb::protocol::{Event, xtest};
use x11rb::rust_connection::RustConnection;

/// Where input goes.
#[derive(Debug)]
pub enum Injector {
    /// An X server.
    X11(XInjector),
    /// A scripted display, which only counts keys.
    Headless(KeyCount, Arc<Shared>),
}

/// What the display says back.
#[derive(Debug, Default)]
pub struct Told {
    /// Somebody else gave the keyboard another map.
    pub keymap: Option<Keymap>,
    /// The modifier state after all input so far.
    pub state: Option<u16>,
}

impl Injector {
    /// Connects to an X server. `is_ours` says that nobody else types on it.
    pub fn x11(display: &str, is_ours: bool) -> Result<Self, DisplayError> {
        XInjector::connect(display, is_ours).map(Self::X11)
    }

    /// What becomes readable when the display has something to say.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::X11(x) => Some(x.connection.stream().as_fd()),
            Self::Headless(..) => None,
        }
    }

    /// The keymap now.
    pub fn keymap(&self) -> Result<Keymap, DisplayError> {
        match self {
            Self::X11(x) => x.keymap(),
            Self::Headless(..) => Ok(Keymap::default()),
        }
    }

    /// A key went down on the viewer's side: all that a scripted display understands of keys.
    pub fn note_key(&self) {
        if let Self::Headless(keys, shared) = self {
            keys.fetch_add(1, Ordering::Release);
            shared.commands.waker().wake();
        }
    }

    /// Does what the keyboard decided.
    pub fn perform(&mut self, action: KeyAction) -> Result<(), DisplayError> {
        match self {
            Self::X11(x) => x.perform(action),
            Self::Headless(..) => Ok(()),
        }
    }

    /// Moves the pointer.
    pub fn motion(&mut self, at: Point) -> Result<(), DisplayError> {
        match self {
            Self::X11(x) => x.motion(at),
            Self::Headless(..) => Ok(()),
        }
    }

    /// Presses or releases a pointer button, in X's numbers.
    pub fn button(&mut self, button: u8, down: bool) -> Result<(), DisplayError> {
        match self {
            Self::X11(x) => {
                x.fake(if down { BUTTON_PRESS_EVENT } else { BUTTON_RELEASE_EVENT }, button)
            }
            Self::Headless(..) => Ok(()),
        }
    }

    /// Waits until the display has taken all input in, and hears what it has to say.
    pub fn settle(&mut self) -> Result<Told, DisplayError> {
        match self {
            Self::X11(x) => x.settle(),
            Self::Headless(..) => Ok(Told::default()),
        }
    }

    /// Hears what the display has to say.
    pub fn listen(&mut self) -> Result<Told, DisplayError> {
        match self {
            Self::X11(x) => x.listen(),
            Self::Headless(..) => Ok(Told::default()),
        }
    }
}

/// An X server's input.
#[derive(Debug)]
pub struct XInjector {
    connection: RustConnection,
    root: Window,
    size: Size,
    /// Keycodes that we bound, whose notice has not come back.
    binding: Vec<u8>,
}

impl XInjector {
    fn connect(display: &str, is_ours: bool) -> Result<Self, DisplayError> {
        let (connection, screen) = x11::connect(display)?;
        let setup = connection.setup();
        let Some(screen) = setup.roots.get(screen) else {
            return Err(DisplayError::Unusable(format!("{display} has no screen {screen}")));
        };
        let (root, size) =
            (screen.root, Size::new(screen.width_in_pixels, screen.height_in_pixels));
        if connection.extension_information(xtest::X11_EXTENSION_NAME)?.is_none() {
            let text = format!("the X server {display} lacks XTEST; enable it");
            return Err(DisplayError::Unusable(text));
        }
        if is_ours {
            let control = ChangeKeyboardControlAux::new().auto_repeat_mode(AutoRepeatMode::OFF);
            connection.change_keyboard_control(&control)?;
        }
        let events = x11rb::protocol::xproto::ChangeWindowAttributesAux::new()
            .event_mask(x11rb::protocol::xproto::EventMask::STRUCTURE_NOTIFY);
        connection.change_window_attributes(root, &events)?;
        connection.flush()?;
        Ok(Self { connection, root, size, binding: Vec::new() })
    }

    fn keymap(&self) -> Result<Keymap, DisplayError> {
        let (first, last) =
            (self.connection.setup().min_keycode, self.connection.setup().max_keycode);
        let count = last.checked_sub(first).and_then(|span| span.checked_add(1));
        let count = count.ok_or_else(|| {
            DisplayError::Unusable(format!("its keycodes go from {first} to {last}"))
        })?;
        let symbols = self.connection.get_keyboard_mapping(first, count)?;
        let rows = self.connection.get_modifier_mapping()?;
        let (symbols, rows) = (symbols.reply()?, rows.reply()?);
        let mut modifiers: [Vec<u8>; 8] = Default::default();
        let per_row = rows.keycodes.len() / 8;
        for (row, keycodes) in modifiers.iter_mut().zip(rows.keycodes.chunks(per_row.max(1))) {
            row.extend(keycodes.iter().filter(|&&keycode| keycode != 0));
        }
        Ok(Keymap {
            min_keycode: first,
            keysyms_per_keycode: symbols.keysyms_per_keycode,
            keysyms: symbols.keysyms,
            modifiers,
        })
    }

    fn perform(&mut self, action: KeyAction) -> Result<(), DisplayError> {
        match action {
            KeyAction::Press(keycode) => self.fake(KEY_PRESS_EVENT, keycode),
            KeyAction::Release(keycode) => self.fake(KEY_RELEASE_EVENT, keycode),
            KeyAction::Bind { keycode, keysym } => {
                self.connection.change_keyboard_mapping(1, keycode, 2, &[keysym, keysym])?;
                self.binding.push(keycode);
                Ok(())
            }
            KeyAction::Wait { until } => {
                // What was typed so far must have arrived before the time runs.
                self.connection.get_input_focus()?.reply()?;
                std::thread::sleep(Duration::from_micros(until.since(clock::now()).0));
                Ok(())
            }
        }
    }

    fn motion(&self, at: Point) -> Result<(), DisplayError> {
        let clamp = |value: u16, side: u16| value.min(side.saturating_sub(1)) as i16;
        let (x, y) = (clamp(at.x, self.size.width), clamp(at.y, self.size.height));
        xtest::fake_input(&self.connection, MOTION_NOTIFY_EVENT, 0, 0, self.root, x, y, 0)?;
        Ok(())
    }

    fn fake(&self, kind: u8, detail: u8) -> Result<(), DisplayError> {
        xtest::fake_input(&self.connection, kind, detail, 0, self.root, 0, 0, 0)?;
        Ok(())
    }

    fn settle(&mut self) -> Result<Told, DisplayError> {
        let state = self.connection.query_pointer(self.root)?.reply()?.mask;
        let mut told = self.listen()?;
        told.state = Some(state.into());
        Ok(told)
    }

    fn listen(&mut self) -> Result<Told, DisplayError> {
        let mut told = Told::default();
        // Asking for the keymap may bring further events along.
        while self.hear_events()? {
            told.keymap = Some(self.keymap()?);
        }
        Ok(told)
    }

    /// Handles what has come; true where somebody else changed the keymap.
    fn hear_events(&mut self) -> Result<bool, DisplayError> {
        let mut is_foreign = false;
        while let Some(event) = self.connection.poll_for_event()? {
            match event {
                Event::ConfigureNotify(event) if event.window == self.root => {
                    self.size = Size::new(event.width, event.height);
                }
                Event::MappingNotify(event) if event.request != Mapping::POINTER => {
                    is_foreign |= !self.is_own(&event);
                }
                Event::Error(error) => {
                    tracing::debug!(kind = ?error.error_kind, "the X server refused input");
                }
                _ => {}
            }
        }
        Ok(is_foreign)
    }

    fn is_own(&mut self, event: &MappingNotifyEvent) -> bool {
        let bound = |&keycode: &u8| (event.first_keycode, event.count) == (keycode, 1);
        let at = self.binding.iter().position(bound);
        if let Some(at) = at.filter(|_| event.request == Mapping::KEYBOARD) {
            self.binding.remove(at);
            return true;
        }
        false
    }
}
