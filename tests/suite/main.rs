//! Lattice through its real binaries: `lattice share` with its agent on real X servers, seen by a
//! viewer in Rust that trusts nobody.
//!
//! Each test has its own X server and share, on numbers and ports that are free, so they run side by
//! side. The browser's side of the same is in `tests/web`.

mod apps;
mod attacks;
mod backup;
mod backup_elsewhere;
mod catalogue;
mod containers;
mod deploy;
mod docker;
mod exact;
mod fanout;
mod faults;
mod hostile;
mod idle;
mod imports;
mod inside;
mod keep;
mod logs;
mod monitoring;
mod packets;
mod previews;
mod runtime;
mod serve;
mod snapshots;
mod soak;
mod survive;
mod template;
mod typing;
mod upgrade;
mod video;
mod walls;
