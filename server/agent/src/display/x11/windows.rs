//! Where the root's children are, so that a dragged window is known to have moved.

use crate::display::{DisplayError, Hints};
use lattice_engine::plan::MoveHint;
use lattice_wire::{Rect, Size};
use std::collections::HashMap;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{ConnectionExt, GetGeometryReply, Window};
use x11rb::rust_connection::RustConnection;

/// More windows than anybody moves about; further ones are repainted where they move.
const MAX_WINDOWS: usize = 1024;

/// The root's children.
#[derive(Debug, Default)]
pub(super) struct Windows {
    known: HashMap<Window, Tracked>,
}

#[derive(Debug, Clone, Copy)]
struct Tracked {
    at_frame: Place,
    now: Place,
}

/// With the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    x: i32,
    y: i32,
    width: i32,
    height: i32,
}

impl Windows {
    /// Asks where they are.
    pub(super) fn load(connection: &RustConnection, root: Window) -> Result<Self, DisplayError> {
        let tree = connection.query_tree(root)?.reply()?;
        let children = tree.children.into_iter().take(MAX_WINDOWS);
        let asked = children
            .map(|child| Ok((child, connection.get_geometry(child)?)))
            .collect::<Result<Vec<_>, DisplayError>>()?;
        let mut windows = Self::default();
        for (child, cookie) in asked {
            // A child that is gone by now is just not there.
            if let Ok(geometry) = cookie.reply() {
                windows.place(child, Place::of(&geometry));
            }
        }
        Ok(windows)
    }

    /// Follows what the X server says of the root's children.
    pub(super) fn handle(&mut self, event: &Event, root: Window) {
        match event {
            Event::CreateNotify(event) if event.parent == root => {
                let place = place(event.x, event.y, event.width, event.height, event.border_width);
                self.place(event.window, place);
            }
            Event::ConfigureNotify(event) if event.event == root => {
                let place = place(event.x, event.y, event.width, event.height, event.border_width);
                self.place(event.window, place);
            }
            Event::ReparentNotify(event) if event.parent != root => {
                self.known.remove(&event.window);
            }
            Event::DestroyNotify(event) => {
                self.known.remove(&event.window);
            }
            _ => {}
        }
    }

    /// Which windows moved since the last time, without changing their size.
    pub(super) fn moves(&mut self, screen: Size) -> Hints {
        let mut hints = Hints::new();
        for window in self.known.values_mut() {
            let (from, to) = (window.at_frame, window.now);
            let (dx, dy) = (to.x - from.x, to.y - from.y);
            window.at_frame = to;
            if (dx, dy) == (0, 0) || (from.width, from.height) != (to.width, to.height) {
                continue;
            }
            hints.extend(from.on(screen).map(|from| MoveHint { from, dx, dy }));
        }
        hints
    }

    fn place(&mut self, window: Window, now: Place) {
        if let Some(tracked) = self.known.get_mut(&window) {
            tracked.now = now;
        } else if self.known.len() < MAX_WINDOWS {
            self.known.insert(window, Tracked { at_frame: now, now });
        }
    }
}

impl Place {
    fn of(geometry: &GetGeometryReply) -> Self {
        place(geometry.x, geometry.y, geometry.width, geometry.height, geometry.border_width)
    }

    fn on(self, screen: Size) -> Option<Rect> {
        let clamp = |value: i32, max: u16| value.clamp(0, i32::from(max)) as u16;
        Rect::between(
            clamp(self.x, screen.width),
            clamp(self.y, screen.height),
            clamp(self.x + self.width, screen.width),
            clamp(self.y + self.height, screen.height),
        )
    }
}

fn place(x: i16, y: i16, width: u16, height: u16, border: u16) -> Place {
    let around = 2 * i32::from(border);
    Place {
        x: x.into(),
        y: y.into(),
        width: i32::from(width) + around,
        height: i32::from(height) + around,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Size = Size::new(100, 100);

    fn moved(from: Place, to: Place) -> Hints {
        let mut windows = Windows::default();
        windows.place(7, from);
        windows.place(7, to);
        let hints = windows.moves(SCREEN);
        assert!(windows.moves(SCREEN).is_empty(), "a move is told once");
        hints
    }

    #[test]
    fn a_dragged_window_is_a_hint() {
        let hints = moved(place(10, 10, 20, 20, 1), place(15, 7, 20, 20, 1));
        assert_eq!(hints[..], [MoveHint { from: Rect::new(10, 10, 22, 22), dx: 5, dy: -3 }]);
    }

    #[test]
    fn only_the_part_on_the_screen_can_be_copied() {
        let hints = moved(place(-10, 90, 20, 20, 0), place(0, 90, 20, 20, 0));
        assert_eq!(hints[..], [MoveHint { from: Rect::new(0, 90, 10, 10), dx: 10, dy: 0 }]);
    }

    #[test]
    fn a_resized_window_is_none() {
        assert!(moved(place(10, 10, 20, 20, 0), place(5, 10, 25, 20, 0)).is_empty());
    }
}
