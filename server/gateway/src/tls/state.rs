//! The directory in which keys and certificates outlive the process: nobody else can look into it,
//! and a file in it is either the old one or the new one, never half of each.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The directory is there, and private.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

/// Why the directory, or a file in it, could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{step} {path}")]
pub struct StateError {
    step: &'static str,
    path: String,
    #[source]
    source: io::Error,
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.display().to_string();
    move |source| StateError { step, path, source }
}

impl StateDir {
    /// Makes the directory where it is missing, and closes it to others where it is open.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(failed("make the directory", path))?;
        let mode = std::fs::metadata(path).map_err(failed("look at", path))?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(directory = %path.display(), "others could look at keys here; closing it");
            let closed = std::fs::set_permissions(path, Permissions::from_mode(0o700));
            closed.map_err(failed("close to others", path))?;
        }
        Ok(Self(path.to_owned()))
    }

    /// Keeps other processes from changing what is here until the file is dropped.
    pub fn lock(&self) -> Result<File, StateError> {
        let path = self.path("lock");
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(failed("open", &path))?;
        file.lock().map_err(failed("lock", &path))?;
        Ok(file)
    }

    /// Where a file of this name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What a file holds, or nothing where there is none.
    pub fn read(&self, name: &str) -> Result<Option<String>, StateError> {
        let path = self.path(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Replaces a file, whole, readable by its owner only.
    pub fn write(&self, name: &str, text: &str) -> Result<(), StateError> {
        let path = self.path(name);
        let fresh = self.path(&format!("{name}.new"));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&fresh, &path))
            .and_then(|()| File::open(&self.0)?.sync_all());
        written.map_err(failed("write", &path))
    }

    /// Puts a file aside under another name; one that is not there is fine.
    pub fn put_aside(&self, name: &str, to: &str) -> Result<(), StateError> {
        let path = self.path(name);
        match std::fs::rename(&path, self.path(to)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("rename", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn what_is_kept_is_nobody_elses_and_replaced_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/tls");
        let state = StateDir::open(&path).expect("made");
        assert_eq!(mode(&path), 0o700);
        assert_eq!(state.read("key").expect("looked"), None);
        state.write("key", "one").expect("written");
        state.write("key", "2").expect("written");
        assert_eq!(state.read("key").expect("read").as_deref(), Some("2"));
        assert_eq!(mode(&state.path("key")), 0o600);

        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("opened");
        StateDir::open(&path).expect("there");
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_directory_that_cannot_be_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = StateDir::open(file.path()).expect_err("it is a file");
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
    }
}
