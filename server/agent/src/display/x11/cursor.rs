//! The pointer's shape, which is not part of the screen's picture.

use crate::display::DisplayError;
use lattice_wire::server::MAX_CURSOR_SIDE;
use lattice_wire::{Cursor, Point, Size};
use std::collections::HashMap;
use x11rb::errors::ReplyError;
use x11rb::protocol::xfixes::{self, GetCursorImageReply};
use x11rb::rust_connection::RustConnection;

/// Themes have about 30 shapes; animated ones have as many again.
const MAX_KEPT: usize = 64;

/// Shapes by the X server's serial number.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    kept: HashMap<u32, Cursor>,
}

impl Cursors {
    /// The shape that the X server said has this serial number, or the current one.
    pub(super) fn get(
        &mut self,
        connection: &RustConnection,
        serial: Option<u32>,
    ) -> Result<Option<Cursor>, DisplayError> {
        if let Some(kept) = serial.and_then(|serial| self.kept.get(&serial)) {
            return Ok(Some(kept.clone()));
        }
        let image = match xfixes::get_cursor_image(connection)?.reply() {
            Ok(image) => image,
            // There is no pointer just now.
            Err(ReplyError::X11Error(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if self.kept.len() >= MAX_KEPT {
            self.kept.clear();
        }
        let cursor = cursor_of(&image);
        self.kept.insert(image.cursor_serial, cursor.clone());
        Ok(Some(cursor))
    }
}

/// No pointer at all.
pub fn hidden() -> Cursor {
    Cursor { hot: Point::default(), size: Size::default(), png: bytes::Bytes::new() }
}

fn cursor_of(image: &GetCursorImageReply) -> Cursor {
    let whole = Size::new(image.width, image.height);
    let is_clear = image.cursor_image.iter().all(|pixel| pixel >> 24 == 0);
    if is_clear || image.cursor_image.len() < whole.area() {
        return hidden();
    }
    let size = whole.clamp(Size::default(), Size::new(MAX_CURSOR_SIDE, MAX_CURSOR_SIDE));
    let rows = image.cursor_image.chunks_exact(usize::from(whole.width));
    let kept = rows.take(usize::from(size.height));
    let pixels: Vec<u32> = kept.flat_map(|row| &row[..usize::from(size.width)]).copied().collect();
    let hot = Point { x: image.xhot.min(size.width - 1), y: image.yhot.min(size.height - 1) };
    Cursor { hot, size, png: crate::encode::cursor_png(size, &pixels).into() }
}
