//! A file system of a test's own that bounds what each person keeps.

use crate::xserver::TempDir;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A small disk with btrfs, until it is dropped.
#[derive(Debug)]
pub struct Btrfs {
    at: PathBuf,
    image: TempDir,
}

impl Btrfs {
    /// Mounts one of so many bytes, which takes of the machine's disk what is written to it.
    ///
    /// # Errors
    /// Where this machine does not mount files, or knows no btrfs: why.
    pub fn mount(at: &Path, bytes: u64) -> Result<Self, String> {
        let dir = TempDir::new("btrfs");
        let image = dir.path().join("image");
        File::create(&image).and_then(|file| file.set_len(bytes)).map_err(|e| e.to_string())?;
        run(Command::new("mkfs.btrfs").arg("--quiet").arg(&image))?;
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        // A loop device that is attached so is detached with the mount.
        run(Command::new("mount").args(["-t", "btrfs", "-o", "loop"]).arg(&image).arg(at))?;
        Ok(Self { at: at.to_owned(), image: dir })
    }

    /// The same, or nothing where this machine cannot, which is said with the name of what is left out.
    pub fn mount_or_leave_out(test: &str, at: &Path, bytes: u64) -> Option<Self> {
        match Self::mount(at, bytes) {
            Ok(mounted) => Some(mounted),
            Err(why) => {
                println!("{test} was left out: no btrfs can be mounted here: {why}");
                None
            }
        }
    }

    /// Unmounts it, and mounts it again, as a machine does that was switched off and on.
    ///
    /// # Panics
    /// Where it cannot be.
    pub fn remount(&self) {
        let image = self.image.path().join("image");
        run(Command::new("umount").arg(&self.at)).expect("nobody uses it");
        run(Command::new("mount").args(["-t", "btrfs", "-o", "loop"]).arg(image).arg(&self.at))
            .expect("as before");
    }
}

impl Drop for Btrfs {
    fn drop(&mut self) {
        let unmounted = run(Command::new("umount").arg(&self.at));
        if unmounted.is_err() {
            let _ = run(Command::new("umount").arg("--lazy").arg(&self.at));
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Output { status, stderr, .. } =
        command.output().map_err(|error| format!("{name}: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{name}: {}", String::from_utf8_lossy(&stderr).trim())),
    }
}
