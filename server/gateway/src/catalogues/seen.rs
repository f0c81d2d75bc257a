//! Which serials of catalogues were seen, so that nobody puts an older one in the place of a newer.

use super::Refusal;
use crate::runtime::process::place::write_atomically;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The newest of each catalogue, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    newest: BTreeMap<String, Newest>,
    #[serde(skip)]
    is_new: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    serial: u64,
    /// Of its bytes.
    digest: String,
}

impl Seen {
    /// What was kept; nothing where nothing was.
    pub(super) fn load(path: &Path) -> Self {
        let kept = std::fs::read(path).ok();
        kept.and_then(|kept| serde_json::from_slice(&kept).ok()).unwrap_or_default()
    }

    /// Keeps it, where it is other than it was.
    pub(super) fn save(&self, path: &Path) {
        if !self.is_new {
            return;
        }
        let saved = serde_json::to_vec(self).map_err(Into::into);
        if let Err(error) = saved.and_then(|bytes| write_atomically(path, &bytes)) {
            let path = path.display();
            tracing::warn!(%path, %error, "which catalogues were seen cannot be kept");
        }
    }

    /// Takes a catalogue that is signed, unless it is older than one that was seen.
    pub(super) fn admit(&mut self, name: &str, serial: u64, digest: &str) -> Result<(), Refusal> {
        let known = self.newest.get(name);
        match known.map_or(0, |known| known.serial) {
            newest if serial < newest => {
                return Err(Refusal::Older { found: serial, known: newest });
            }
            newest if serial == newest => {
                return match known.is_some_and(|known| known.digest == digest) {
                    true => Ok(()),
                    false => Err(Refusal::Reused(serial)),
                };
            }
            _ => {}
        }
        self.newest.insert(name.to_owned(), Newest { serial, digest: digest.to_owned() });
        self.is_new = true;
        Ok(())
    }
}
