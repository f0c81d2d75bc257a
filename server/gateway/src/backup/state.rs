//! What came of the last backup and the last drill: `backup/state.json` in the data directory, which the
//! administrator's page, metrics and `lattice doctor` read.

use crate::telemetry;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// All that is known. Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// The last try.
    pub(crate) last: Option<Attempt>,
    /// The last that succeeded.
    pub(crate) made: Option<Made>,
    /// The last drill.
    pub(crate) drill: Option<Drill>,
}

/// A try to make a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) at: u64,
    /// Why nothing came of it.
    pub(crate) error: Option<String>,
}

/// A backup.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) at: u64,
    pub(crate) seconds: f64,
    /// Its id.
    pub(crate) set: String,
    pub(crate) people: u64,
    pub(crate) files: u64,
    /// How much all of it is.
    pub(crate) bytes: u64,
    /// How much of it was new to the repository, as it is kept there.
    pub(crate) added: u64,
    /// What could not be read, or is no file, folder or link.
    pub(crate) left_out: u64,
    /// People whose desktop did not stand still while their files were read.
    pub(crate) moving: u64,
}

/// A drill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Drill {
    pub(crate) at: u64,
    pub(crate) seconds: f64,
    /// Why it failed.
    pub(crate) error: Option<String>,
    /// What it was of.
    pub(crate) set: String,
    /// Files that came back as they were.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl State {
    /// Nothing where nothing is known.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read(path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Nobody ever reads half of it. It has no secrets, and root may write what the gateway reads.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, serde_json::to_vec_pretty(self)?)?;
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o644))?;
        fs::rename(&unfinished, path)
    }

    /// For `/metrics`.
    pub(crate) fn count(&self) {
        let show = |figures: &[(&'static str, f64)]| {
            for (name, value) in figures {
                telemetry::show_backup(name, *value);
            }
        };
        if let Some(last) = &self.last {
            show(&[
                ("lattice_backup_ok", f64::from(last.error.is_none())),
                ("lattice_backup_last_try_timestamp_seconds", last.at as f64),
            ]);
        }
        if let Some(made) = &self.made {
            show(&[
                ("lattice_backup_last_success_timestamp_seconds", made.at as f64),
                ("lattice_backup_duration_seconds", made.seconds),
                ("lattice_backup_bytes", made.bytes as f64),
                ("lattice_backup_added_bytes", made.added as f64),
                ("lattice_backup_people", made.people as f64),
                ("lattice_backup_files", made.files as f64),
                ("lattice_backup_left_out", made.left_out as f64),
                ("lattice_backup_moving_people", made.moving as f64),
            ]);
        }
        if let Some(drill) = &self.drill {
            show(&[
                ("lattice_backup_drill_timestamp_seconds", drill.at as f64),
                ("lattice_backup_drill_ok", f64::from(drill.error.is_none())),
                ("lattice_backup_drill_duration_seconds", drill.seconds),
                ("lattice_backup_drill_files", drill.files as f64),
                ("lattice_backup_drill_bytes", drill.bytes as f64),
            ]);
        }
    }
}
