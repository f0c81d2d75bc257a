//! The command line.

use anyhow::{Context, bail};
use clap::Parser;
use lattice_wire::{MAX_SIDE, Size};
use std::path::PathBuf;

/// The smallest screen that a desktop is usable on.
pub const MIN_SIZE: Size = Size::new(320, 200);

/// Shows one X display to a Lattice gateway.
///
/// `lattice share` and the desktop containers start it; it listens on a Unix socket, and the
/// gateway that knows the token in LATTICE_AGENT_TOKEN connects to it.
#[derive(Debug, Clone, Parser)]
#[command(name = "lattice-agent", version)]
pub struct Cli {
    /// The display: `:N`, `:N.S`, `HOST:N`, the path of an X socket, or `headless:FILE` for a
    /// scripted picture without an X server
    #[arg(long, env = "DISPLAY", value_name = "DISPLAY")]
    pub display: String,

    /// The Unix socket to listen on; one that is left over is replaced
    #[arg(long, value_name = "SOCKET")]
    pub listen: PathBuf,

    /// What the display is called in the viewer
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Let viewers resize the display. It is taken to be ours then: keys do not repeat by
    /// themselves on it, since the viewer's keyboard repeats already
    #[arg(long)]
    pub allow_resize: bool,

    /// The largest size that a viewer may ask for
    #[arg(long, value_name = "WxH", default_value = "3840x2160", value_parser = parse_size)]
    pub max_size: Size,

    /// At most so many frames a second
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=240))]
    pub fps: u32,

    /// Fetch pixels through the X connection instead of shared memory: many times slower, for X
    /// servers that cannot share memory
    #[arg(long)]
    pub no_shm: bool,

    /// Exit when standard input ends, that is when the process that started this one does
    #[arg(long)]
    pub exit_on_eof: bool,
}

fn parse_size(text: &str) -> anyhow::Result<Size> {
    let (width, height) = text.split_once('x').context("a size looks like 1920x1080")?;
    let size = Size::new(width.parse()?, height.parse()?);
    if size != size.clamp(MIN_SIZE, Size::new(MAX_SIDE, MAX_SIDE)) {
        bail!(
            "a size is at least {}x{} and at most {MAX_SIDE}x{MAX_SIDE}",
            MIN_SIZE.width,
            MIN_SIZE.height
        );
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked() {
        assert_eq!(parse_size("1920x1080").ok(), Some(Size::new(1920, 1080)));
        for bad in ["1920", "1x1", "70000x10", "x", "9000x1000", "-5x900"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
