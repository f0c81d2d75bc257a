//! Where backups go, as the configuration says it: a directory, `sftp://user@host:port/path` or
//! `s3://bucket/prefix`.

use super::settings::Backup;
use anyhow::{Context as _, bail, ensure};
use lattice_wire::backup::{Place, S3, Sftp};
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// What most servers take, and some insist on.
const REGION: &str = "us-east-1";

/// The place; nothing where none is named.
pub(super) fn of(settings: &Backup) -> anyhow::Result<Option<Place>> {
    let Some(text) = settings.repository.as_deref() else { return Ok(None) };
    let place = match text.split_once(':') {
        _ if text.starts_with('/') => Place::Directory(PathBuf::from(text)),
        Some(("sftp", rest)) => Place::Sftp(sftp(settings, rest)?),
        Some(("s3", rest)) => Place::S3(s3(settings, rest)?),
        Some((scheme, _)) => bail!(
            "backup.repository is {text}, and {scheme}: is not spoken; name a directory, \
             sftp://user@host/path or s3://bucket/prefix, or mount what is elsewhere, as by NFS or \
             rclone mount"
        ),
        None => bail!(
            "backup.repository must be an absolute path, sftp://user@host/path or s3://bucket/prefix, \
             and is {text}"
        ),
    };
    unused(settings, &place)?;
    Ok(Some(place))
}

/// What belongs to another kind of place is a slip.
fn unused(settings: &Backup, place: &Place) -> anyhow::Result<()> {
    let of_ssh = [
        ("ssh_key_file", settings.ssh_key_file.is_some()),
        ("ssh_known_hosts", settings.ssh_known_hosts.is_some()),
    ];
    let of_s3 = [
        ("s3_endpoint", settings.s3_endpoint.is_some()),
        ("s3_region", settings.s3_region.is_some()),
        ("s3_key_file", settings.s3_key_file.is_some()),
        ("s3_ca_file", settings.s3_ca_file.is_some()),
    ];
    let (ssh, s3) = match place {
        Place::Directory(_) => (&of_ssh[..], &of_s3[..]),
        Place::Sftp(_) => (&[][..], &of_s3[..]),
        Place::S3(_) => (&of_ssh[..], &[][..]),
    };
    for (key, is_there) in ssh.iter().chain(s3) {
        ensure!(!is_there, "backup.{key} is of no use for the repository {place}; leave it out");
    }
    Ok(())
}

fn sftp(settings: &Backup, rest: &str) -> anyhow::Result<Sftp> {
    const FORM: &str = "write it as sftp://user@host/path, or sftp://user@host:port/path";
    let text = format!("sftp:{rest}");
    let rest = rest.strip_prefix("//");
    let rest = rest.with_context(|| format!("backup.repository is {text}; {FORM}"))?;
    let (authority, path) = rest
        .split_once('/')
        .with_context(|| format!("backup.repository {text} has no path; {FORM}"))?;
    let (user, host) = authority
        .rsplit_once('@')
        .with_context(|| format!("backup.repository {text} names no user; {FORM}"))?;
    ensure!(
        !user.contains(':'),
        "backup.repository has a password in it, which everybody reads who reads the configuration; \
         give that user a key, and name the file with it as backup.ssh_key_file"
    );
    let (host, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match host.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        },
    };
    let port = match port.map(str::parse::<u16>) {
        None => 22,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => bail!("backup.repository {text} has no good port; {FORM}"),
    };
    let is_word = |word: &str| {
        !word.is_empty()
            && !word.starts_with('-')
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    ensure!(is_word(user), "backup.repository {text} has no good user; {FORM}");
    ensure!(
        is_word(host) || host.parse::<Ipv6Addr>().is_ok(),
        "backup.repository {text} has no good host; {FORM}"
    );
    let path = format!("/{}", path.trim_end_matches('/'));
    ensure!(
        path.len() > 1 && !path.split('/').any(|part| matches!(part, "." | "..")),
        "backup.repository {text} names no directory of its own; {FORM}"
    );
    let key_file = file("ssh_key_file", settings.ssh_key_file.as_deref(), || {
        "make a key for it: ssh-keygen -t ed25519 -N '' -f /etc/lattice/backup.ssh".into()
    })?;
    let known_hosts = file("ssh_known_hosts", settings.ssh_known_hosts.as_deref(), || {
        format!("put there what ssh-keyscan -p {port} {host} prints, once it was compared")
    })?;
    for (key, path) in [("ssh_key_file", &key_file), ("ssh_known_hosts", &known_hosts)] {
        let is_plain = path.to_str().is_some_and(|text| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._+@,=".contains(&byte))
        });
        ensure!(
            is_plain,
            "backup.{key} is {}, and ssh takes letters, digits and - . _ + @ , = alone; call it \
             otherwise",
            path.display()
        );
    }
    Ok(Sftp { user: user.into(), host: host.into(), port, path, key_file, known_hosts })
}

fn s3(settings: &Backup, rest: &str) -> anyhow::Result<S3> {
    const FORM: &str = "write it as s3://bucket, or s3://bucket/prefix";
    let text = format!("s3:{rest}");
    let rest = rest.strip_prefix("//");
    let rest = rest.with_context(|| format!("backup.repository is {text}; {FORM}"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_good = |bytes: &str, more: &[u8]| {
        bytes.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    ensure!(
        (3..=63).contains(&bucket.len()) && is_good(bucket, b"-._"),
        "backup.repository {text} has no good name of a bucket; {FORM}"
    );
    let prefix = prefix.trim_matches('/');
    ensure!(
        is_good(prefix, b"-._/") && !prefix.split('/').any(|part| matches!(part, "." | "..")),
        "backup.repository {text} has an odd prefix; letters, digits and - . _ / do"
    );
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let endpoint = settings.s3_endpoint.as_deref().context(
        "backup.repository is a bucket, and nothing says whose; name the server as backup.s3_endpoint, \
         such as https://s3.example.org",
    )?;
    check_endpoint(endpoint)?;
    let region = settings.s3_region.as_deref().unwrap_or(REGION);
    ensure!(
        !region.is_empty() && is_good(region, b"-_"),
        "backup.s3_region is {region:?}; name it as the server does, such as {REGION}"
    );
    let key_file = file("s3_key_file", settings.s3_key_file.as_deref(), || {
        "its first line is the id of the access key, its second the secret".into()
    })?;
    let ca_file = settings.s3_ca_file.as_deref();
    if let Some(path) = ca_file {
        ensure!(
            endpoint.starts_with("https:"),
            "backup.s3_ca_file is of no use for {endpoint}, which needs no certificate; leave it out"
        );
        ensure!(
            path.is_absolute(),
            "backup.s3_ca_file must be an absolute path, and is {}",
            path.display()
        );
    }
    Ok(S3 {
        endpoint: endpoint.trim_end_matches('/').into(),
        region: region.into(),
        bucket: bucket.into(),
        prefix,
        key_file,
        ca_file: ca_file.map(Path::to_owned),
    })
}

/// What goes there is encrypted, but who may delete is told by a signature that others could send again.
fn check_endpoint(endpoint: &str) -> anyhow::Result<()> {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
    let host = rest.split('/').next().unwrap_or_default();
    ensure!(
        !host.is_empty() && !host.contains('@') && !rest.contains(['?', '#']),
        "backup.s3_endpoint is {scheme}://…, which is no address of a server; write it as \
         https://s3.example.org, and keys into backup.s3_key_file"
    );
    let name = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, _)) => host,
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_here =
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match scheme {
        "https" => Ok(()),
        "http" if is_here => Ok(()),
        _ => bail!(
            "backup.s3_endpoint is {endpoint}, and others could listen and change what is sent; name an \
             address that begins with https://"
        ),
    }
}

fn file(
    key: &str,
    path: Option<&Path>,
    remedy: impl FnOnce() -> String,
) -> anyhow::Result<PathBuf> {
    match path {
        Some(path) if path.is_absolute() => Ok(path.to_owned()),
        Some(path) => bail!("backup.{key} must be an absolute path, and is {}", path.display()),
        None => bail!("the repository needs backup.{key}, a file; {}", remedy()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(repository: &str) -> Backup {
        let mut settings = Backup { repository: Some(repository.into()), ..Backup::default() };
        if repository.starts_with("sftp") {
            settings.ssh_key_file = Some("/k".into());
            settings.ssh_known_hosts = Some("/h".into());
        }
        if repository.starts_with("s3") {
            settings.s3_endpoint = Some("https://s3.example.org/".into());
            settings.s3_key_file = Some("/k".into());
        }
        settings
    }

    fn check(repository: &str, shown: &str) {
        let place = of(&settings(repository)).expect(repository).expect("a place");
        assert_eq!(place.to_string(), shown);
    }

    fn refused(change: impl Fn(&mut Backup), repository: &str, words: &[&str]) {
        let mut settings = settings(repository);
        change(&mut settings);
        let said = of(&settings).expect_err(repository).to_string();
        for word in words {
            assert!(said.contains(word), "{word} is not in: {said}");
        }
    }

    #[test]
    fn places_are_understood() {
        check("/mnt/backup", "/mnt/backup");
        check("sftp://lattice@vault/srv/backup/", "sftp://lattice@vault/srv/backup");
        check("sftp://l@vault:22/b", "sftp://l@vault/b");
        check("sftp://l@[::1]:2222/b", "sftp://l@[::1]:2222/b");
        check("s3://school", "s3://school/");
        check("s3://school/lattice/a/", "s3://school/lattice/a");
    }

    #[test]
    fn what_is_wrong_names_its_key_and_the_remedy() {
        let same = |_: &mut Backup| {};
        refused(same, "backups", &["absolute", "sftp://", "s3://"]);
        refused(same, "rclone:b", &["rclone:", "mount"]);
        for odd in ["sftp:host:/b", "sftp://vault/b", "sftp://l@vault", "sftp://l@vault:0/b"] {
            refused(same, odd, &["backup.repository", "sftp://user@host"]);
        }
        refused(same, "sftp://l@-oProxyCommand=x/b", &["host"]);
        refused(same, "sftp://-l@vault/b", &["user"]);
        refused(same, "sftp://l@vault/a/../b", &["directory"]);
        refused(same, "sftp://l:secret@vault/b", &["password", "backup.ssh_key_file"]);
        refused(
            |it| it.ssh_key_file = None,
            "sftp://l@v/b",
            &["backup.ssh_key_file", "ssh-keygen"],
        );
        refused(|it| it.ssh_known_hosts = None, "sftp://l@v:7/b", &["ssh_known_hosts", "-p 7 v"]);
        refused(
            |it| it.ssh_key_file = Some("/a b".into()),
            "sftp://l@v/b",
            &["ssh_key_file", "ssh"],
        );
        refused(|it| it.ssh_key_file = Some("key".into()), "sftp://l@v/b", &["absolute", "key"]);
        refused(
            |it| it.s3_region = Some("x".into()),
            "sftp://l@v/b",
            &["s3_region", "leave it out"],
        );
        refused(same, "s3://b", &["bucket"]);
        refused(same, "s3://school/a b", &["prefix"]);
        refused(|it| it.s3_endpoint = None, "s3://school", &["backup.s3_endpoint", "https://"]);
        refused(
            |it| it.s3_endpoint = Some("http://s3.example.org".into()),
            "s3://school",
            &["https"],
        );
        refused(
            |it| it.s3_endpoint = Some("https://id:key@host".into()),
            "s3://school",
            &["s3_key_file"],
        );
        refused(|it| it.s3_key_file = None, "s3://school", &["backup.s3_key_file", "first line"]);
        refused(|it| it.s3_ca_file = Some("ca".into()), "s3://school", &["s3_ca_file", "absolute"]);
        refused(
            |it| {
                it.s3_endpoint = Some("http://127.0.0.1:9000".into());
                it.s3_ca_file = Some("/ca".into());
            },
            "s3://school",
            &["s3_ca_file", "leave it out"],
        );
        refused(|it| it.s3_ca_file = Some("/ca".into()), "sftp://l@v/b", &["s3_ca_file"]);
        let near =
            Backup { s3_endpoint: Some("http://127.0.0.1:9000".into()), ..settings("s3://school") };
        of(&near).expect("nobody is between");
    }
}
