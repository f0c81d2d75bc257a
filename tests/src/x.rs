//! Plain X requests.

use lattice_engine::picture::{Picture, RGB};
use lattice_wire::Size;
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use x11rb::connection::Connection;
use x11rb::errors::ConnectError;
use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt, ImageFormat, MapState, Window};
use x11rb::rust_connection::{DefaultStream, RustConnection};

/// The only kind of cookie in use.
pub const COOKIE_NAME: &[u8] = b"MIT-MAGIC-COOKIE-1";

/// Connects to a display of this machine with its cookie; an empty one stands for none.
///
/// # Panics
/// Where the server is not there or refuses the cookie.
pub fn connect(number: u32, cookie: &[u8]) -> RustConnection {
    let path = format!("/tmp/.X11-unix/X{number}");
    connect_by(UnixStream::connect(&path).unwrap_or_else(|error| panic!("{path}: {error}")), cookie)
}

/// The same by a socket that is connected already.
///
/// # Panics
/// Where the server refuses the cookie.
pub fn connect_by(stream: UnixStream, cookie: &[u8]) -> RustConnection {
    try_connect_by(stream, cookie).unwrap_or_else(|error| panic!("the X server: {error}"))
}

/// The same where the server may refuse.
///
/// # Errors
/// Where it does.
///
/// # Panics
/// Where the socket cannot be used at all.
pub fn try_connect_by(stream: UnixStream, cookie: &[u8]) -> Result<RustConnection, ConnectError> {
    let (stream, _) = DefaultStream::from_unix_stream(stream).expect("a fresh socket is usable");
    let name = if cookie.is_empty() { Vec::new() } else { COOKIE_NAME.to_vec() };
    RustConnection::connect_to_stream_with_auth_info(stream, 0, name, cookie.to_vec())
}

/// The window that all others are in.
pub fn root(connection: &RustConnection) -> Window {
    connection.setup().roots[0].root
}

/// What the whole screen shows.
///
/// # Panics
/// Where the server refuses, or has no 32 bits a pixel.
pub fn screen_image(connection: &RustConnection) -> Picture {
    let root = root(connection);
    let geometry = connection.get_geometry(root).expect("send").reply().expect("root's geometry");
    let size = Size::new(geometry.width, geometry.height);
    let image = connection
        .get_image(ImageFormat::Z_PIXMAP, root, 0, 0, size.width, size.height, u32::MAX)
        .expect("send")
        .reply()
        .expect("an image of the root window");
    assert_eq!(image.data.len(), size.area() * 4, "the display has no 32 bits a pixel");
    let mut picture = Picture::new(size);
    for (pixel, bytes) in picture.pixels_mut().iter_mut().zip(image.data.chunks_exact(4)) {
        *pixel = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) & RGB;
    }
    picture
}

/// The classes of the windows that are shown, wherever a window manager has put them.
///
/// # Panics
/// Where the server is gone.
pub fn window_classes(connection: &RustConnection) -> BTreeSet<String> {
    // Two names, each with a zero byte after it; the second is the class.
    let classes = of_windows(connection, AtomEnum::WM_CLASS.into());
    let second = |class: Vec<u8>| class.split(|byte| *byte == 0).nth(1).map(<[u8]>::to_vec);
    classes.map(|class| text(&second(class).unwrap_or_default())).collect()
}

/// What stands on them.
///
/// # Panics
/// Where the server is gone.
pub fn window_titles(connection: &RustConnection) -> BTreeSet<String> {
    let title = connection.intern_atom(false, b"_NET_WM_NAME").expect("send").reply();
    of_windows(connection, title.expect("an atom").atom).map(|title| text(&title)).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A property of each window that is shown; empty where it has none.
fn of_windows(connection: &RustConnection, property: Atom) -> impl Iterator<Item = Vec<u8>> {
    let mut windows = vec![root(connection)];
    std::iter::from_fn(move || {
        while let Some(window) = windows.pop() {
            // A window may go while it is asked about.
            let value =
                connection.get_property(false, window, property, AtomEnum::ANY, 0, u8::MAX.into());
            let value = value.expect("send").reply().map(|reply| reply.value).unwrap_or_default();
            let attributes = connection.get_window_attributes(window).expect("send").reply();
            let children = connection.query_tree(window).expect("send").reply();
            windows.extend(children.map(|tree| tree.children).unwrap_or_default());
            if attributes.is_ok_and(|window| window.map_state == MapState::VIEWABLE) {
                return Some(value);
            }
        }
        None
    })
}

/// Waits until the server has done all that this connection asked for.
///
/// # Panics
/// Where the server is gone.
pub fn sync(connection: &RustConnection) {
    connection.get_input_focus().expect("send").reply().expect("the server answers");
}

/// Where the pointer is.
///
/// # Panics
/// Where the server is gone.
pub fn pointer(connection: &RustConnection) -> (i16, i16) {
    let at = connection.query_pointer(root(connection)).expect("send").reply();
    let at = at.expect("the server answers");
    (at.root_x, at.root_y)
}
