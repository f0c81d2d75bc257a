//! The thinking of Lattice, sans I/O: pixels, packets and times come in as arguments, decisions go
//! out. Nothing here reads a clock, spawns, locks or opens anything (`clippy.toml` forbids it), so
//! every behaviour is tested without waiting.
//!
//! From pixels to a frame, in the agent: [`picture`] → [`damage`] (which tiles changed) →
//! [`motion`] (what merely moved) → [`video`] (what keeps changing) → [`classify`] (one colour, few
//! colours, many) → [`plan`], at times that [`frame_clock`] chooses and at a cost that [`rate`]
//! allows; what went out roughly is sent exactly once it rests ([`lossy`]). From a frame to viewers, in
//! the gateway: [`fanout`]. From a viewer to the desktop: [`arbiter`] (who drives), [`keys`] (which
//! keycodes type this). [`session`] names desktops, [`reconcile`]
//! says what to do about each, [`idle`] when nobody works at it, [`admission`] whether there is a place
//! for it, [`policy`] who may,
//! [`snapshots`] when Data is kept, and for how long.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod admission;
pub mod arbiter;
pub mod backups;
pub mod classify;
pub mod damage;
pub mod digest;
pub mod fanout;
pub mod frame_clock;
pub mod idle;
pub mod keys;
pub mod lossy;
pub mod motion;
pub mod picture;
pub mod plan;
pub mod policy;
pub mod rate;
pub mod reconcile;
pub mod region;
pub mod session;
pub mod snapshots;
pub mod video;
