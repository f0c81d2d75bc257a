//! The machine that this server runs on: what it has, how busy it is, and what is wrong with it.

use crate::config::{Config, Desktops, Video};
use crate::doctor::{self, Finding};
use crate::manager::Gauge;
use crate::share::encoders;
use lattice_engine::admission::{at_once, reserve};
use rustix::fs::statvfs;
use serde::Serialize;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use utoipa::ToSchema;

/// Where this server is.
#[derive(Debug, Clone)]
pub struct Host(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    started: Instant,
    data: PathBuf,
    /// What it was told; nothing in tests that have no use for it.
    config: Option<Config>,
}

/// What it has and how busy it is at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Load {
    /// The release of Lattice.
    pub version: &'static str,
    /// Since when this server runs, in seconds.
    pub up_s: u64,
    /// How many processors there are.
    pub cores: u32,
    /// Programs that run or wait to, on average over 1, 5 and 15 minutes; nothing where the kernel does
    /// not say.
    pub load: Option<[f64; 3]>,
    /// For how many of 100 moments of the last ten seconds something waited for a processor.
    pub pressure_percent: Option<f32>,
    /// Memory.
    pub memory: Room,
    /// The disk with the data.
    pub disk: Room,
}

/// What there is of something, and what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Room {
    /// In bytes; 0 where nobody knows.
    pub total_bytes: u64,
    /// In bytes.
    pub free_bytes: u64,
}

/// What this server gives at most, whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Limits {
    /// Memory that no desktop gets that is about to start, in bytes.
    pub reserve_bytes: u64,
    /// How many desktops start at a time, as busy as the machine is now.
    pub starts: u32,
    /// How many people look at one desktop.
    pub viewers: u16,
    /// How many video encoders run at a time, of all desktops together; 0 where films are tiles.
    pub encoders: u8,
}

impl Host {
    /// A server with this directory for data, from now on.
    pub fn new(data: PathBuf, config: Option<Config>) -> Self {
        Self(Arc::new(Parts { started: Instant::now(), data, config }))
    }

    /// What it has and how busy it is. Reads a few files of the kernel.
    pub fn load(&self) -> Load {
        let machine = Gauge::Kernel.read();
        let disk = statvfs(&self.0.data).ok();
        let disk = disk.map(|disk| (disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize));
        let room = |(total_bytes, free_bytes)| Room { total_bytes, free_bytes };
        Load {
            version: env!("CARGO_PKG_VERSION"),
            up_s: self.0.started.elapsed().as_secs(),
            cores: machine.cores,
            load: averages(&fs::read_to_string("/proc/loadavg").unwrap_or_default()),
            pressure_percent: machine.pressure,
            memory: room((machine.total, machine.available.unwrap_or(0))),
            disk: room(disk.unwrap_or_default()),
        }
    }

    /// What it gives at most.
    pub fn limits(&self) -> Limits {
        let machine = Gauge::Kernel.read();
        let told = self.0.config.as_ref();
        let viewers = told.map(|config| config.desktops.max_viewers);
        let h264 = told.map(|config| config.video.h264);
        Limits {
            reserve_bytes: reserve(machine.total),
            starts: at_once(&machine),
            viewers: viewers.unwrap_or_else(|| Desktops::default().max_viewers),
            encoders: encoders(h264.unwrap_or_else(|| Video::default().h264)),
        }
    }

    /// What `lattice doctor` finds, asked from inside. Takes up to some seconds.
    pub async fn findings(&self) -> Vec<Finding> {
        match &self.0.config {
            Some(config) => doctor::of_server(config).await,
            None => Vec::new(),
        }
    }
}

/// The first three fields, see `proc_loadavg(5)`.
fn averages(text: &str) -> Option<[f64; 3]> {
    let mut fields = text.split(' ').map(|field| field.parse().ok());
    let mut next = || fields.next().flatten();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_the_first_three_fields() {
        assert_eq!(averages("0.52 1.50 12.00 2/310 4711\n"), Some([0.52, 1.5, 12.0]));
        assert_eq!(averages("0.52 soon"), None);
        assert_eq!(averages(""), None);
    }

    #[test]
    fn where_nothing_is_told_the_usual_limits_hold_on_this_machine() {
        let limits = Host::new("/".into(), None).limits();
        assert_eq!(limits.viewers, 100);
        assert!(limits.encoders > 0 && limits.starts > 0, "{limits:?}");
        assert!(limits.reserve_bytes >= 512 << 20, "{limits:?}");
    }

    #[test]
    fn this_machine_has_processors_memory_and_a_disk() {
        let load = Host::new("/".into(), None).load();
        assert!(load.cores > 0 && load.load.is_some(), "{load:?}");
        for room in [load.memory, load.disk] {
            assert!(room.total_bytes > room.free_bytes && room.free_bytes > 0, "{load:?}");
        }
        let nowhere = Host::new("/proc/self/nothing".into(), None).load();
        assert_eq!(nowhere.disk, Room { total_bytes: 0, free_bytes: 0 });
    }
}
