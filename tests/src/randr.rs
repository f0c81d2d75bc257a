//! Sets the screen's size the way `xrandr` does.

use crate::x::{root, sync};
use lattice_wire::Size;
use x11rb::protocol::randr::{
    ConnectionExt as _, GetScreenResourcesReply, ModeInfo, Rotation, SetConfig,
};
use x11rb::protocol::xproto::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

/// Gives the screen of a server with one output this size.
///
/// # Panics
/// Where the server cannot.
pub fn set_size(connection: &RustConnection, size: Size) {
    let root = root(connection);
    let resources = resources(connection);
    let (output, crtc) = (resources.outputs[0], resources.crtcs[0]);
    let mode = match resources.modes.iter().find(|mode| has_size(mode, size)) {
        Some(mode) => mode.id,
        None => create_mode(connection, size),
    };
    // Harmless where the output has the mode already.
    connection.randr_add_output_mode(output, mode).expect("send").check().expect("add a mode");

    // A screen may not be smaller than what its CRTC shows at any time: off, resize, on.
    connection.grab_server().expect("send");
    configure(connection, crtc, 0, &[]);
    connection
        .randr_set_screen_size(
            root,
            size.width,
            size.height,
            millimetres(size.width),
            millimetres(size.height),
        )
        .expect("send")
        .check()
        .unwrap_or_else(|error| panic!("set the screen to {size:?}: {error}"));
    configure(connection, crtc, mode, &[output]);
    connection.ungrab_server().expect("send");
    sync(connection);
}

fn resources(connection: &RustConnection) -> GetScreenResourcesReply {
    let root = root(connection);
    connection.randr_get_screen_resources(root).expect("send").reply().expect("RandR resources")
}

fn has_size(mode: &ModeInfo, size: Size) -> bool {
    (mode.width, mode.height) == (size.width, size.height)
}

fn create_mode(connection: &RustConnection, Size { width, height }: Size) -> u32 {
    let name = format!("test-{width}x{height}");
    let mode = ModeInfo {
        width,
        height,
        // 60 Hz without blanking to speak of: nothing is ever scanned out.
        dot_clock: u32::from(width) * u32::from(height) * 60,
        hsync_start: width,
        hsync_end: width,
        htotal: width,
        vsync_start: height,
        vsync_end: height,
        vtotal: height,
        name_len: name.len() as u16,
        ..ModeInfo::default()
    };
    let root = root(connection);
    let created = connection.randr_create_mode(root, mode, name.as_bytes()).expect("send");
    created.reply().unwrap_or_else(|error| panic!("create mode {name}: {error}")).mode
}

fn configure(connection: &RustConnection, crtc: u32, mode: u32, outputs: &[u32]) {
    let done = connection
        .randr_set_crtc_config(crtc, 0, 0, 0, 0, mode, Rotation::ROTATE0, outputs)
        .expect("send")
        .reply()
        .expect("set the CRTC");
    assert_eq!(done.status, SetConfig::SUCCESS, "the server refused the CRTC's configuration");
}

/// At 96 dots an inch.
fn millimetres(pixels: u16) -> u32 {
    u32::from(pixels) * 254 / 960
}
