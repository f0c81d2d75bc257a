//! Certificate files that somebody else keeps fresh are read again when they change.
//!
//! They are looked at every few seconds: that sees every way of replacing a file, on every file
//! system. What cannot be used is said once, and the old certificate stays.

use super::certificate::{Files, Validity};
use super::shown::Shown;
use crate::accept::Guard;
use rustls::sign::CertifiedKey;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

const INTERVAL: Duration = Duration::from_secs(3);
/// Whoever renews does so earlier; this late it is worth a warning.
const SOON: i64 = 7 * 24 * 60 * 60;

/// What tells one state of a file from another.
type Stamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// The files, and how they looked when they were read last.
#[derive(Debug)]
pub(super) struct Watch {
    files: Files,
    seen: [Stamp; 2],
}

impl Watch {
    /// Reads the files for the first time: here what is wrong with them is the caller's.
    pub(super) fn start(
        files: Files,
        now: i64,
    ) -> Result<(Self, CertifiedKey), super::certificate::CertificateError> {
        let seen = stamps(&files);
        let key = files.read()?;
        warn_of_the_end(&files, &key, now);
        Ok((Self { files, seen }, key))
    }

    /// Replaces what is shown whenever the files change.
    pub(super) async fn keep(mut self, shown: Arc<Shown>, mut guard: Guard) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = guard.closing() => return,
            }
            if let Some(key) = self.look(super::now()) {
                shown.set_general(key);
            }
        }
    }

    fn look(&mut self, now: i64) -> Option<CertifiedKey> {
        let seen = stamps(&self.files);
        if seen == self.seen {
            return None;
        }
        // Before the files are read: what changes meanwhile is looked at again.
        self.seen = seen;
        let file = self.files.certificate.display();
        match self.files.read() {
            Ok(key) => {
                tracing::info!(%file, "new connections are shown the certificate that is there now");
                warn_of_the_end(&self.files, &key, now);
                Some(key)
            }
            Err(error) => {
                let error = anyhow::Error::from(error);
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the certificate files changed and cannot be used; the old certificate stays"
                );
                None
            }
        }
    }
}

fn stamps(files: &Files) -> [Stamp; 2] {
    [&files.certificate, &files.key].map(|path| stamp(path))
}

fn stamp(path: &Path) -> Stamp {
    let of = |data: Metadata| {
        let (modified, changed) =
            ((data.mtime(), data.mtime_nsec()), (data.ctime(), data.ctime_nsec()));
        (data.dev(), data.ino(), data.size(), modified.0, modified.1, changed.0, changed.1)
    };
    std::fs::metadata(path).ok().map(of)
}

fn warn_of_the_end(files: &Files, key: &CertifiedKey, now: i64) {
    let Some(validity) = key.cert.first().and_then(|certificate| Validity::of(certificate)) else {
        return;
    };
    let file = files.certificate.display();
    if now > validity.not_after {
        tracing::warn!(%file, "the certificate has expired; browsers refuse it, so replace it");
    } else if now > validity.not_after - SOON {
        let days = (validity.not_after - now) / (24 * 60 * 60);
        tracing::warn!(%file, days, "the certificate expires soon; replace it");
    } else if now < validity.not_before {
        tracing::warn!(%file, "the certificate is of the future; check this machine's clock");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    /// Writes a pair the way renewing programs do, so that the file is another each time.
    fn write(files: &Files) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["one.test".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed");
        let pairs = [(&files.certificate, certificate.pem()), (&files.key, key.serialize_pem())];
        for (path, text) in pairs {
            let fresh = path.with_extension("fresh");
            std::fs::write(&fresh, text).expect("written");
            std::fs::rename(&fresh, path).expect("renamed");
        }
    }

    #[test]
    fn files_are_read_when_they_change_and_bad_ones_leave_the_old() {
        let dir = tempfile::tempdir().expect("a directory");
        let files =
            Files { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
        assert!(Watch::start(files.clone(), 0).is_err(), "there is nothing yet");
        write(&files);
        let (mut watch, first) = Watch::start(files.clone(), 0).expect("a pair");
        assert!(watch.look(0).is_none(), "nothing changed");
        write(&files);
        let second = watch.look(0).expect("they changed");
        assert_ne!(first.cert, second.cert);

        let key = std::fs::read(&files.key).expect("there");
        write(&files);
        std::fs::write(&files.key, &key).expect("written");
        assert!(watch.look(0).is_none(), "another key");
        std::fs::remove_file(&files.key).expect("removed");
        assert!(watch.look(0).is_none(), "no key");
        write(&files);
        assert!(watch.look(0).is_some(), "both are there again");
    }
}
