//! What depends on what the server is told. Each probe looks, and changes nothing.

use super::{Finding, said, unusable};
use crate::cli::{HealthcheckArgs, Switch};
use crate::config::Config;
use crate::healthcheck;
use crate::listen::{DEFAULT_ADDRESS, reachable};
use crate::runtime::process::{check_length, probe};
use crate::store::{Store, StoreError};
use crate::tls::certificate::{CertificateError, Files, Validity};
use rustix::fs::{Access, AtFlags, CWD, FlockOperation, accessat, flock, statvfs};
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;

/// Homes grow into what is free, and the database must never find the disk full.
const ENOUGH_ROOM: u64 = 5 << 30;
/// File systems of other machines may be a little ahead of our clock.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// In seconds.
const DAY: i64 = 86_400;
/// With so many days left a certificate that is renewed by itself would have been.
const FEW_DAYS: i64 = 14;

/// The directory for data, or where it would be made.
pub(super) fn data(dir: &Path, run: &Path) -> Finding {
    let what = "data";
    if let Err(error) = check_length(run) {
        return unusable(what, error);
    }
    let Some(existing) = dir.ancestors().find(|path| path.exists()) else {
        let text = format!("{} is nowhere", dir.display());
        return Finding::fault(what, text, "name another directory with --data-dir");
    };
    if !existing.is_dir() {
        let text = format!("{} is no directory", existing.display());
        return Finding::fault(what, text, "move it away, or name another with --data-dir");
    }
    if let Err(error) =
        accessat(CWD, existing, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
    {
        let text = format!("{} cannot be written to: {error}", existing.display());
        let remedy = "give it to the user that lattice runs as, or name another with --data-dir";
        return Finding::fault(what, text, remedy);
    }
    let free = statvfs(existing).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    judge_room(what, dir, existing == dir, free.unwrap_or(0))
}

pub(super) fn judge_room(what: &'static str, dir: &Path, is_made: bool, free: u64) -> Finding {
    let made = if is_made { "" } else { ", which will be made" };
    let text = format!("{}{made}, with {} MiB free", dir.display(), free >> 20);
    match free >= ENOUGH_ROOM {
        true => Finding::ok(what, text),
        false => Finding::warning(what, text, "make room, or move it to a larger disk"),
    }
}

/// The database, read only.
pub(super) async fn database(path: &Path) -> Finding {
    let what = "database";
    if !path.exists() {
        return Finding::ok(what, format!("{} will be made", path.display()));
    }
    let shown = path.display();
    match Store::inspect(path).await {
        Ok((found, known)) if found == known => {
            Finding::ok(what, format!("{shown} opens, schema {found}"))
        }
        Ok((found, known)) => {
            let text =
                format!("{shown} opens; the next start takes it from schema {found} to {known}");
            Finding::warning(what, text, "copy it first, since earlier releases will refuse it")
        }
        // Both say themselves what to do.
        Err(error @ (StoreError::Newer { .. } | StoreError::Foreign(_))) => {
            said(what, &error.to_string())
        }
        Err(error) => {
            let text = format!("{shown} cannot be read: {:#}", anyhow::Error::from(error));
            Finding::fault(
                what,
                text,
                "run this as the user that lattice serve runs as; if it is \
                 damaged, restore a copy",
            )
        }
    }
}

/// Whether a server runs over the directory: it holds a lock as long as it lives.
pub(crate) fn has_server(data: &Path) -> bool {
    // Shared and for an instant: a server that starts just now would be in the way of itself.
    let lock = File::open(data.join("lock"));
    lock.is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
}

/// That server, as a finding.
pub(super) fn server(data: &Path, has_server: bool) -> Finding {
    let text = match has_server {
        true => format!("one runs over {}; a second one would be refused", data.display()),
        false => format!("none runs over {}", data.display()),
    };
    Finding::ok("server", text)
}

/// The address to listen on.
pub(super) async fn address(asked: Option<&str>, has_server: bool) -> Finding {
    let what = "address";
    let address = match asked {
        None => DEFAULT_ADDRESS,
        Some(asked) => match tokio::net::lookup_host(asked).await.map(|mut found| found.next()) {
            Ok(Some(address)) => address,
            Ok(None) | Err(_) => {
                let text = format!("{asked} is no address to listen on");
                return Finding::fault(what, text, "write it as 127.0.0.1:8080");
            }
        },
    };
    match TcpListener::bind(address).await {
        Ok(_) if has_server => Finding::warning(
            what,
            format!("nothing listens on {address}, but a server runs"),
            "it was started with another address: lattice admin url prints which",
        ),
        Ok(_) => Finding::ok(what, format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_lattice = answers(address).await;
            judge_taken(address, asked.is_some(), is_lattice, has_server)
        }
        Err(error) => {
            let text = format!("{address} cannot be listened on: {error}");
            let remedy = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "choose a port from 1024 on, or give lattice CAP_NET_BIND_SERVICE"
                }
                _ => "choose an address of this machine, or 0.0.0.0 for all of them",
            };
            Finding::fault(what, text, remedy)
        }
    }
}

async fn answers(address: SocketAddr) -> bool {
    let address = reachable(address);
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://{address}/healthz");
        if healthcheck::run(&HealthcheckArgs { url }).await.is_ok() {
            return true;
        }
    }
    false
}

/// What it means that somebody listens there already.
fn judge_taken(address: SocketAddr, is_asked: bool, is_lattice: bool, has_server: bool) -> Finding {
    let what = "address";
    match (is_lattice, has_server, is_asked) {
        (true, true, _) => Finding::ok(what, format!("lattice answers on {address}")),
        (_, _, false) => Finding::warning(
            what,
            format!("{address} is used by another program, so a port after it is taken"),
            "name one with --listen, for an address that stays the same",
        ),
        (true, false, true) => Finding::fault(
            what,
            format!("{address} is used by a lattice over another directory"),
            "end that one, or name another address with --listen",
        ),
        (false, _, true) => Finding::fault(
            what,
            format!("{address} is used by a program that does not answer as lattice does"),
            "end that one, or name another address with --listen",
        ),
    }
}

/// Whether what moves is sent as video.
pub(super) fn video(h264: Switch) -> Finding {
    Finding::ok(
        "video",
        match h264 {
            Switch::On => "H.264 is on, for browsers that decode it",
            Switch::Off => "H.264 is off: what moves is shown as stills",
        },
    )
}

/// The certificate that browsers are shown.
pub(super) fn certificates(config: &Config) -> Finding {
    let what = "certificates";
    let tls = &config.tls;
    let listen = config.server.listen.as_deref().and_then(|text| text.parse::<SocketAddr>().ok());
    let listen = listen.unwrap_or(DEFAULT_ADDRESS).ip();
    match (&tls.cert, &tls.key, &config.acme.directory) {
        (Some(certificate), Some(key), _) => {
            let files = Files { certificate: certificate.clone(), key: key.clone() };
            let read = files.read().map(|pair| pair.cert.first().and_then(|one| Validity::of(one)));
            judge_certificate(certificate, read, SystemTime::now())
        }
        (_, _, Some(directory)) => Finding::ok(what, format!("ordered from {directory}")),
        _ if !tls.mode.is_on(listen, false) => {
            Finding::ok(what, format!("none is needed: {listen} is served without TLS"))
        }
        _ => {
            let fallback = config.data_dir.join("tls");
            let directory = tls.directory.as_deref().unwrap_or(&fallback).display();
            Finding::ok(what, format!("of an authority of its own, which is kept in {directory}"))
        }
    }
}

fn judge_certificate(
    path: &Path,
    read: Result<Option<Validity>, CertificateError>,
    now: SystemTime,
) -> Finding {
    let what = "certificates";
    let remedy = "put a newer one there, which is taken without a restart";
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    let shown = path.display();
    match read {
        Err(error) => {
            let text = format!("{:#}", anyhow::Error::from(error));
            Finding::fault(what, text, "name good ones in tls.cert and tls.key")
        }
        Ok(None) => Finding::fault(what, format!("{shown} cannot be understood"), remedy),
        Ok(Some(Validity { not_before, .. })) if now < not_before => {
            let remedy = "set the clock, or wait";
            Finding::fault(what, format!("{shown} is not good yet"), remedy)
        }
        Ok(Some(Validity { not_after, .. })) => match (not_after - now) / DAY {
            _ if not_after < now => Finding::fault(what, format!("{shown} has expired"), remedy),
            days if days < FEW_DAYS => {
                Finding::warning(what, format!("{shown} is good for {days} more days"), remedy)
            }
            days => Finding::ok(what, format!("{shown} is good for {days} days")),
        },
    }
}

/// Whether the clock is kept right, where systemd says so.
pub(super) fn time_servers() -> Option<Finding> {
    let kept = Path::new("/run/systemd/timesync");
    kept.is_dir().then(|| judge_time_servers(kept.join("synchronized").exists()))
}

fn judge_time_servers(is_right: bool) -> Finding {
    let what = "time servers";
    match is_right {
        true => Finding::ok(what, "the clock follows one"),
        false => Finding::warning(
            what,
            "the clock follows none",
            "see timedatectl timesync-status; sign-ins, links and certificates end by the clock",
        ),
    }
}

/// Sign-ins and links end by the clock. What was written already was not written in the future.
pub(super) fn clock(database: &Path) -> Finding {
    let log = database.with_extension("db-wal");
    let files = [probe::own_program().ok(), Some(database.to_owned()), Some(log)];
    judge_clock(SystemTime::now(), files.into_iter().flatten())
}

fn judge_clock(now: SystemTime, files: impl Iterator<Item = PathBuf>) -> Finding {
    let written = |path: PathBuf| Some((fs::metadata(&path).ok()?.modified().ok()?, path));
    match files.filter_map(written).max() {
        Some((at, path)) if now + CLOCK_TOLERANCE < at => Finding::warning(
            "clock",
            format!("it is earlier than when {} was written", path.display()),
            "set it: sign-ins, links and certificates end by it",
        ),
        Some(_) | None => Finding::ok("clock", "is not behind what was written by it"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Verdict, check};
    use super::*;

    #[test]
    fn a_directory_that_is_yet_to_be_made_is_fine_and_stays_unmade() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b");
        let finding = data(&path, &path.join("run"));
        assert!(!matches!(finding.verdict, Verdict::Fault { .. }), "{finding}");
        check(&finding, "", &["which will be made", "MiB free"]);
        assert!(!dir.path().join("a").exists());
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_a_fault() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("data");
        fs::write(&path, "").expect("written");
        check(&data(&path, &path.join("run")), "fault", &["no directory", "--data-dir"]);
        let long = dir.path().join("a".repeat(100));
        check(&data(&long, &long.join("run")), "fault", &["too long"]);
    }

    #[test]
    fn less_than_five_gibibytes_is_little() {
        let judge = |is_made, free| judge_room("data", Path::new("/data"), is_made, free);
        check(&judge(true, ENOUGH_ROOM), "ok", &["/data, with 5120 MiB free"]);
        check(&judge(false, ENOUGH_ROOM - 1), "warning", &["5119 MiB", "make room"]);
    }

    #[tokio::test]
    async fn a_database_is_looked_at_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lattice.db");
        check(&database(&path).await, "ok", &["will be made"]);
        let store = Store::open(&path).await.expect("made");
        check(&database(&path).await, "ok", &["opens, schema"]);
        store.close().await;
        let names = || fs::read_dir(dir.path()).expect("there").count();
        let (before, bytes) = (names(), fs::read(&path).expect("there"));
        check(&database(&path).await, "ok", &["opens, schema"]);
        assert_eq!((names(), fs::read(&path).expect("there")), (before, bytes));
        fs::write(&path, "no database at all, and long enough to be read as one".repeat(20))
            .expect("written");
        check(&database(&path).await, "fault", &["another program; name another data directory"]);
    }

    #[test]
    fn a_server_is_known_by_its_lock() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(!has_server(dir.path()));
        let file = File::create(dir.path().join("lock")).expect("made");
        assert!(!has_server(dir.path()));
        flock(&file, FlockOperation::NonBlockingLockExclusive).expect("it is ours");
        assert!(has_server(dir.path()));
        drop(file);
        assert!(!has_server(dir.path()));
    }

    #[tokio::test]
    async fn a_taken_address_is_a_fault_where_it_was_asked_for() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = taken.local_addr().expect("bound");
        // Whoever listens there hangs up at once, which is not how lattice answers.
        let hang_up = tokio::spawn(async move {
            loop {
                drop(taken.accept().await);
            }
        });
        let words = ["does not answer as lattice does", "--listen"];
        check(&address(Some(&at.to_string()), false).await, "fault", &words);
        hang_up.abort();
        let _ = hang_up.await;
        check(&address(Some(&at.to_string()), false).await, "ok", &["is free"]);
        check(&address(Some(&at.to_string()), true).await, "warning", &["lattice admin url"]);
        check(&address(Some("8080"), false).await, "fault", &["127.0.0.1:8080"]);
        check(&judge_taken(at, false, false, false), "warning", &["a port after it"]);
        check(&judge_taken(at, true, true, true), "ok", &["lattice answers"]);
        check(&judge_taken(at, true, true, false), "fault", &["over another directory"]);
    }

    #[test]
    fn a_certificate_is_good_for_a_while_or_that_is_said() {
        let (now, path) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1000), Path::new("/c.pem"));
        let judge = |not_before, not_after| {
            judge_certificate(path, Ok(Some(Validity { not_before, not_after })), now)
        };
        check(&judge(0, 1000 + 90 * DAY), "ok", &["/c.pem is good for 90 days"]);
        check(&judge(0, 1000 + 3 * DAY), "warning", &["3 more days", "put a newer one there"]);
        check(&judge(0, 999), "fault", &["has expired"]);
        check(&judge(1001, 1000 + 90 * DAY), "fault", &["not good yet"]);
        let error = CertificateError::NoCertificate("/c.pem".into());
        check(&judge_certificate(path, Err(error), now), "fault", &["tls.cert"]);
    }

    #[test]
    fn a_clock_that_follows_nobody_is_said() {
        check(&judge_time_servers(true), "ok", &[]);
        check(&judge_time_servers(false), "warning", &["timedatectl"]);
    }

    #[test]
    fn a_clock_behind_what_was_written_is_wrong() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = || [file.path().to_owned()].into_iter();
        let now = SystemTime::now();
        check(&judge_clock(now, path()), "ok", &[]);
        check(&judge_clock(now - Duration::from_secs(3600), path()), "warning", &["set it"]);
        check(&judge_clock(now, ["/nonexistent".into()].into_iter()), "ok", &[]);
    }
}
