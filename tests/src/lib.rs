//! What the suites stand on: real X servers, the real `lattice share` with its agent, a viewer in
//! Rust, and X clients that draw and listen.
//!
//! Everything here is an oracle of its own: the viewer reads packets with `lattice_wire` and paints
//! them by the words of the protocol's documentation, the scene talks to the X server directly, and
//! what is expected comes from `GetImage`. Nothing is taken from the agent or the gateway but their
//! binaries. Each thing that is started ends when it is dropped.
//!
//! Failures panic with the whole story: this is test code, its errors are for the person who reads
//! the test's output.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod beat;
pub mod btrfs;
pub mod compare;
pub mod containers;
pub mod desktops;
pub mod engine;
pub mod footage;
pub mod gits;
pub mod http;
pub mod keylog;
pub mod mark;
pub mod metrics;
pub mod people;
pub mod process;
pub mod randr;
pub mod raw;
pub mod registry;
pub mod relay;
pub mod scene;
pub mod screen;
pub mod script;
pub mod secure;
pub mod serve;
pub mod shape;
pub mod share;
pub mod storms;
pub mod typing;
pub mod vaults;
pub mod viewer;
pub mod wait;
pub mod x;
pub mod xserver;

pub use share::{Share, ShareOptions};
pub use viewer::{Viewer, ViewerOptions};
pub use wait::{eventually, patience};
pub use xserver::XServer;
