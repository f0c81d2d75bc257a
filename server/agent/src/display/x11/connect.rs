//! Finding and entering an X server.
//!
//! x11rb takes the path of a socket for display 0, so sockets are opened here.

use crate::display::DisplayError;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ImageOrder, Screen, VisualClass};
use x11rb::reexports::x11rb_protocol::xauth::{Family, get_auth};
use x11rb::rust_connection::{DefaultStream, RustConnection};

/// A connection to an X server, and which of its screens.
pub type Connected = (RustConnection, usize);

#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    socket: Socket<'a>,
    number: u16,
    screen: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Socket<'a> {
    Path(String),
    Host(&'a str),
}

/// Connects to a display by name, with the cookie that `XAUTHORITY` has for it.
pub fn connect(display: &str) -> Result<Connected, DisplayError> {
    let failed = |reason: String| DisplayError::Connect { display: display.into(), reason };
    let target =
        parse(display).ok_or_else(|| failed("it is neither :N, HOST:N nor a path".into()))?;
    let opened = match &target.socket {
        Socket::Path(path) => UnixStream::connect(path).and_then(DefaultStream::from_unix_stream),
        Socket::Host(host) => TcpStream::connect((*host, 6000 + target.number))
            .and_then(DefaultStream::from_tcp_stream),
    };
    let (stream, (family, address)) = opened.map_err(|error| failed(error.to_string()))?;
    let (name, data) = cookie(family, &address, target.number);
    let entered =
        RustConnection::connect_to_stream_with_auth_info(stream, target.screen, name, data);
    entered.map(|connection| (connection, target.screen)).map_err(|error| failed(error.to_string()))
}

/// The screen, where its pixels are what a [`Picture`](lattice_engine::picture::Picture) holds.
pub(super) fn usable_screen<'a>(
    connection: &'a RustConnection,
    screen: usize,
    display: &str,
) -> Result<&'a Screen, DisplayError> {
    let setup = connection.setup();
    let Some(root) = setup.roots.get(screen) else {
        return Err(DisplayError::Unusable(format!("{display} has no screen {screen}")));
    };
    let depth = root.root_depth;
    let format = setup.pixmap_formats.iter().find(|format| format.depth == depth);
    let visuals = root.allowed_depths.iter().flat_map(|depth| &depth.visuals);
    let visual = visuals.clone().find(|visual| visual.visual_id == root.root_visual);
    let fits = format.is_some_and(|format| format.bits_per_pixel == 32)
        && setup.image_byte_order == ImageOrder::LSB_FIRST
        && visual.is_some_and(|visual| {
            visual.class == VisualClass::TRUE_COLOR
                && (visual.red_mask, visual.green_mask, visual.blue_mask)
                    == (0xff_0000, 0xff00, 0xff)
        });
    if fits {
        return Ok(root);
    }
    Err(DisplayError::Unusable(format!(
        "the X server {display} has depth {depth}; start it with depth 24 in 32 bits a pixel \
         (Xvfb: -screen 0 1920x1080x24, Xorg: DefaultDepth 24)"
    )))
}

fn cookie(family: Family, address: &[u8], number: u16) -> (Vec<u8>, Vec<u8>) {
    match get_auth(family, address, number) {
        Ok(Some(found)) => found,
        Ok(None) => Default::default(),
        Err(error) => {
            tracing::debug!(%error, "the X authority file could not be read");
            Default::default()
        }
    }
}

fn parse(display: &str) -> Option<Target<'_>> {
    if display.starts_with('/') {
        let digits = display.rsplit(|char: char| !char.is_ascii_digit()).next().unwrap_or_default();
        let number = digits.parse().unwrap_or(0);
        return Some(Target { socket: Socket::Path(display.to_owned()), number, screen: 0 });
    }
    let (host, rest) = display.rsplit_once(':')?;
    let (number, screen) = rest.split_once('.').unwrap_or((rest, "0"));
    let (number, screen) = (number.parse().ok()?, screen.parse().ok()?);
    let socket = match host {
        "" | "unix" => Socket::Path(format!("/tmp/.X11-unix/X{number}")),
        host => Socket::Host(host),
    };
    // Ports end at 65535.
    (number <= u16::MAX - 6000).then_some(Target { socket, number, screen })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(display: &str, socket: Socket<'_>, number: u16, screen: usize) {
        assert_eq!(parse(display), Some(Target { socket, number, screen }), "{display}");
    }

    #[test]
    fn display_names_are_understood() {
        check(":7", Socket::Path("/tmp/.X11-unix/X7".into()), 7, 0);
        check("unix:7.1", Socket::Path("/tmp/.X11-unix/X7".into()), 7, 1);
        check("school:2.3", Socket::Host("school"), 2, 3);
        check("/run/desk/X12", Socket::Path("/run/desk/X12".into()), 12, 0);
        check("/run/desk/socket", Socket::Path("/run/desk/socket".into()), 0, 0);
    }

    #[test]
    fn what_is_no_display_is_refused() {
        for bad in ["", "7", ":", ":x", ":1.x", ":70000", ":65000"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
