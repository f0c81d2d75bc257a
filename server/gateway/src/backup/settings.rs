//! `[backup]` of the configuration.

use super::place;
use crate::template;
use anyhow::bail;
use lattice_wire::backup::{Keep, Place};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More often than this makes no sense, and less than this is a slip.
const LEAST: Duration = Duration::from_secs(60);
/// How long a machine may be silent.
const PATIENCE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

/// Where backups go, and when. Off until a repository is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// A directory, best on another machine's disk that is mounted here; or `sftp://user@host:port/path`, or
    /// `s3://bucket/prefix`.
    pub repository: Option<String>,
    /// The password that everything there is encrypted with is the first line of this file.
    pub password_file: Option<PathBuf>,
    /// For SFTP: our private key.
    pub ssh_key_file: Option<PathBuf>,
    /// For SFTP: the keys of the other machine, as in `~/.ssh/known_hosts`.
    pub ssh_known_hosts: Option<PathBuf>,
    /// For S3: the server, as an address of HTTPS.
    pub s3_endpoint: Option<String>,
    /// For S3: where the bucket is, as that server calls it.
    pub s3_region: Option<String>,
    /// For S3: the id of the access key is the first line of this file, the secret the second.
    pub s3_key_file: Option<PathBuf>,
    /// For S3: certificates (PEM) of the authorities that may vouch for that server, in place of those that this
    /// machine trusts.
    pub s3_ca_file: Option<PathBuf>,
    /// How long another machine may be silent until it is taken to be gone.
    pub timeout: String,
    /// How long it is from one backup to the next, such as 24h; none is made by itself where nothing is said.
    pub every: Option<String>,
    /// The same for drills.
    pub drill_every: Option<String>,
    /// The newest of so many days are kept.
    pub keep_daily: u32,
    /// And of so many weeks.
    pub keep_weekly: u32,
    /// And of so many months.
    pub keep_monthly: u32,
    /// Where people's files are, where that is not the data directory: the broker's.
    pub people: Option<PathBuf>,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            repository: None,
            password_file: None,
            ssh_key_file: None,
            ssh_known_hosts: None,
            s3_endpoint: None,
            s3_region: None,
            s3_key_file: None,
            s3_ca_file: None,
            timeout: "30s".into(),
            every: None,
            drill_every: None,
            keep_daily: 7,
            keep_weekly: 5,
            keep_monthly: 12,
            people: None,
        }
    }
}

impl Backup {
    /// Whether it fits together, and with the rest.
    pub(crate) fn check(&self, data: &Path, has_broker: bool) -> anyhow::Result<()> {
        self.every()?;
        self.drill_every()?;
        let (Some(repository), Some(password)) = (&self.repository, &self.password_file) else {
            if self.repository.is_some() || self.password_file.is_some() {
                bail!("backup.repository and backup.password_file go together; name both or none");
            }
            if self.every.is_some() || self.drill_every.is_some() {
                bail!("backup.every says when, and nothing where to; name backup.repository, too");
            }
            return Ok(());
        };
        self.timeout()?;
        if !password.is_absolute() {
            bail!("backup.password_file must be an absolute path, and is {}", password.display());
        }
        let Some(Place::Directory(path)) = place::of(self)? else {
            return self.check_times(has_broker);
        };
        for below in [Some(data), self.people.as_deref()].into_iter().flatten() {
            if path.starts_with(below) {
                bail!(
                    "backup.repository is {repository}, below {}, which it is a backup of; name a \
                     directory on another disk",
                    below.display()
                );
            }
        }
        self.check_times(has_broker)
    }

    fn check_times(&self, has_broker: bool) -> anyhow::Result<()> {
        if has_broker && (self.every.is_some() || self.drill_every.is_some()) {
            bail!(
                "backup.every is for a server that may read people's files, which only the broker's \
                 machine may here; leave it out, and let root run `lattice backup` by a timer, as \
                 deploy/lattice-backup.timer does"
            );
        }
        Ok(())
    }

    /// How long another machine may be silent.
    pub(super) fn timeout(&self) -> anyhow::Result<Duration> {
        match template::time(&self.timeout) {
            Ok(span) if PATIENCE.contains(&span) => Ok(span),
            Ok(_) | Err(_) => bail!(
                "backup.timeout is {:?}; write how long another machine may be silent, from 1s to 10m",
                self.timeout
            ),
        }
    }

    /// Between two backups.
    pub(crate) fn every(&self) -> anyhow::Result<Option<Duration>> {
        span("every", self.every.as_deref())
    }

    /// Between two drills.
    pub(crate) fn drill_every(&self) -> anyhow::Result<Option<Duration>> {
        span("drill_every", self.drill_every.as_deref())
    }

    pub(super) fn keep(&self) -> Keep {
        Keep { daily: self.keep_daily, weekly: self.keep_weekly, monthly: self.keep_monthly }
    }
}

fn span(key: &str, text: Option<&str>) -> anyhow::Result<Option<Duration>> {
    let Some(text) = text else { return Ok(None) };
    match template::time(text) {
        Ok(span) if span >= LEAST => Ok(Some(span)),
        Ok(_) => bail!("backup.{key} is {text}; the least is 1m"),
        Err(_) => bail!("backup.{key} is {text:?}, which is no time; write it as 24h or 7d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl Fn(&mut Backup), words: &[&str]) {
        let mut backup = Backup {
            repository: Some("/mnt/backup".into()),
            password_file: Some("/etc/lattice/backup.password".into()),
            every: Some("24h".into()),
            ..Backup::default()
        };
        change(&mut backup);
        let data = Path::new("/var/lib/lattice");
        let checked = backup.check(data, false);
        let Some(first) = words.first() else {
            checked.expect("good");
            return;
        };
        let said = checked.expect_err(first).to_string();
        for word in words {
            assert!(said.contains(word), "{word} is not in: {said}");
        }
    }

    #[test]
    fn what_is_wrong_names_its_key_and_the_remedy() {
        check(|_| {}, &[]);
        check(|it| *it = Backup::default(), &[]);
        check(|it| it.every = Some("7d".into()), &[]);
        check(|it| it.every = Some("daily".into()), &["backup.every", "daily", "24h"]);
        check(|it| it.every = Some("5s".into()), &["backup.every", "1m"]);
        check(|it| it.drill_every = Some("1".into()), &["backup.drill_every"]);
        check(|it| it.password_file = None, &["backup.password_file", "name both"]);
        check(|it| it.repository = None, &["backup.repository", "name both"]);
        check(
            |it| (it.repository, it.password_file) = (None, None),
            &["backup.every", "backup.repository"],
        );
        check(|it| it.repository = Some("backups".into()), &["backup.repository", "absolute"]);
        check(|it| it.repository = Some("sftp:host:/b".into()), &["sftp:", "sftp://user@host"]);
        check(|it| it.timeout = "0s".into(), &["backup.timeout", "1s"]);
        check(|it| it.repository = Some("/var/lib/lattice/b".into()), &["below", "another disk"]);
    }

    #[test]
    fn a_gateway_without_peoples_files_does_not_read_them() {
        let backup = Backup {
            repository: Some("/mnt/backup".into()),
            password_file: Some("/p".into()),
            ..Backup::default()
        };
        backup.check(Path::new("/d"), true).expect("by a timer");
        let error = Backup { every: Some("24h".into()), ..backup }.check(Path::new("/d"), true);
        let said = error.expect_err("it cannot").to_string();
        assert!(said.contains("backup.every") && said.contains("lattice-backup.timer"), "{said}");
    }
}
