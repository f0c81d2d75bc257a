//! The files that a desktop finds: its X cookies, who it is, and the X server's configuration.

use super::sandbox;
use crate::runtime::process::place::{Order, Place, private_dir, write_atomically};
use anyhow::Context as _;
use rustix::fs::{Gid, Uid, chown};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The size that the configuration in the repository begins with.
const USUAL: (u16, u16) = (1366, 768);
const COOKIE: &[u8] = b"MIT-MAGIC-COOKIE-1";

/// Makes them anew.
pub(super) fn prepare(order: &Order, place: &Place) -> anyhow::Result<()> {
    for name in ["x", "auth", "link", "api", "gate", "etc"] {
        let path = place.join(name);
        let _ = fs::remove_dir_all(&path);
        private_dir(&path).with_context(|| format!("make {}", path.display()))?;
    }
    for (name, cookie) in cookies()? {
        let path = place.join("auth").join(name);
        write_atomically(&path, &cookie).context("write the X cookie")?;
        own(&path, order.uid)?;
    }
    for (name, text) in accounts(&order.title, order.uid.unwrap_or(sandbox::INNER_UID)) {
        for_all(&place.join("etc").join(name), text.as_bytes())?;
    }
    for_all(&place.join("etc/machine-id"), machine_id()?.as_bytes())?;
    let path = order.containers.join("xorg/xorg.conf");
    let config = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    for_all(&place.join("xorg.conf"), with_size(&config, order.geometry).as_bytes())?;
    for name in ["x", "auth", "link", "api", "gate"] {
        own(&place.join(name), order.uid)?;
    }
    Ok(())
}

/// A fresh cookie in the files of both ends: the X server's and its programs'.
pub(crate) fn cookies() -> anyhow::Result<[(&'static str, Vec<u8>); 2]> {
    let file = authority(&random()?);
    Ok([("server", file.clone()), ("client", file)])
}

/// What programs take for the identity of their machine, see machine-id(5).
pub(crate) fn machine_id() -> anyhow::Result<String> {
    let digits = random()?.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(digits + "\n")
}

/// The account that programs find themselves to be, and what they call their machine.
pub(crate) fn accounts(title: &str, uid: u32) -> [(&'static str, String); 4] {
    let name = sandbox::plain(title).replace([':', ','], "");
    let home = sandbox::HOME;
    [
        (
            "passwd",
            format!(
                "root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n\
                 student:x:{uid}:{uid}:{name}:{home}:/bin/bash\n"
            ),
        ),
        ("group", format!("root:x:0:\nnogroup:x:65534:\nstudent:x:{uid}:\n")),
        ("hostname", "desktop\n".into()),
        ("hosts", "127.0.0.1 localhost desktop\n::1 localhost ip6-localhost\n".into()),
    ]
}

/// One entry of a cookie file, for any host (family 0xffff) and display number 0.
fn authority(cookie: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xff];
    for field in [b"", b"0" as &[u8], COOKIE, cookie] {
        bytes.extend((field.len() as u16).to_be_bytes());
        bytes.extend(field);
    }
    bytes
}

/// The configuration with another first mode. The dummy has no tube, so the blanks are what they
/// may be least in the standard's reduced blanking, at 60 Hz.
pub(crate) fn with_size(config: &str, size: (u16, u16)) -> String {
    if size == USUAL {
        return config.to_owned();
    }
    let (width, height) = (u32::from(size.0), u32::from(size.1));
    let (across, down) = (width + 160, height + 23);
    let clock = f64::from(across * down * 60) / 1e6;
    let usual = format!("\"{}x{}\"", USUAL.0, USUAL.1);
    let name = format!("\"{width}x{height}\"");
    let mode = format!(
        "    Modeline {name} {clock:.2} {width} {} {} {across} {height} {} {} {down}",
        width + 48,
        width + 80,
        height + 3,
        height + 9
    );
    let lines = config.lines().map(|line| match line.trim_start().starts_with("Modeline") {
        true => mode.clone(),
        false => line.replace(&usual, &name),
    });
    lines.flat_map(|line| [line, "\n".into()]).collect()
}

fn random() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("get random bytes from the system")?;
    Ok(bytes)
}

/// A file that whoever the desktop runs as can read; the directory keeps out everybody else.
fn for_all(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_atomically(path, bytes)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o644)))
        .with_context(|| format!("write {}", path.display()))
}

fn own(path: &Path, uid: Option<u32>) -> anyhow::Result<()> {
    let Some(uid) = uid else { return Ok(()) };
    chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)))
        .with_context(|| format!("give {} to user {uid}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = include_str!("../../../../containers/xorg/xorg.conf");

    #[test]
    fn the_first_mode_is_the_size_asked_for() {
        assert_eq!(with_size(CONFIG, USUAL), CONFIG);
        let config = with_size(CONFIG, (1920, 1080));
        assert!(!config.contains("1366"), "{config}");
        assert!(config.contains("Modes   \"1920x1080\""), "{config}");
        let mode = "Modeline \"1920x1080\" 137.65 1920 1968 2000 2080 1080 1083 1089 1103";
        assert!(config.contains(mode), "{config}");
    }

    #[test]
    fn a_cookie_holds_for_display_0_whatever_the_host_is_called() {
        let entry = authority(&[7; 16]);
        assert_eq!(&entry[..7], b"\xff\xff\0\0\0\x010");
        assert_eq!(&entry[7..], [b"\0\x12MIT-MAGIC-COOKIE-1\0\x10" as &[u8], &[7; 16]].concat());
    }
}
