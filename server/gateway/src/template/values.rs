//! The values of a template: sizes, times, names, images, paths.

use crate::label::is_hidden;
use std::time::Duration;

/// The longest name of a template, service or icon.
const MAX_NAME: usize = 40;
/// Where starter files come from: below this directory of an image.
const STARTERS: &str = "/usr/share/lattice/starter/";
/// Directories whose contents a container must not hide from itself.
const FIXED: [&str; 9] =
    ["/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/sbin", "/sys", "/usr"];

/// A name that can be part of a file's or container's: letters a to z, digits and dashes.
pub(super) fn name(text: &str) -> Result<String, String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = text.len() <= MAX_NAME
        && text.bytes().all(inner)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-');
    match good {
        true => Ok(text.to_owned()),
        false => {
            Err(format!("{text:?} is no name: at most {MAX_NAME} of a-z, 0-9 and -, from a letter"))
        }
    }
}

/// A line for people to read.
pub(super) fn label(text: &str, longest: usize) -> Result<String, String> {
    let is_good =
        !text.trim().is_empty() && text.chars().count() <= longest && !text.chars().any(is_hidden);
    match is_good {
        true => Ok(text.to_owned()),
        false => Err(format!("must be 1 to {longest} characters that can be seen")),
    }
}

/// Whether that is one of Lattice's own images, which have no digest in their name: `make images` builds
/// them on this machine, and nothing of such a name comes from elsewhere.
pub(crate) fn is_own_image(text: &str) -> bool {
    text.strip_prefix("lattice/").is_some_and(|own| name(own).is_ok())
}

/// An image that is what it was when the file was written: one of Lattice's own, which are of this
/// release, or another by its digest.
pub(super) fn image(text: &str) -> Result<String, String> {
    let own = is_own_image(text);
    let pinned = text.split_once("@sha256:").is_some_and(|(repository, digest)| {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:".contains(c);
        !repository.is_empty()
            && repository.len() <= 200
            && repository.chars().all(is_part)
            && digest.len() == 64
            && digest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
    });
    match own || pinned {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "{text:?} may be another image tomorrow; name it by its digest, as in name@sha256:…, or \
             use one of Lattice's own, as in lattice/desktop"
        )),
    }
}

/// Bytes as Compose writes them: `512m`, `2g`, `1.5gb`; units are powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let fault = || format!("{text:?} is no size; write it as 512m or 2g");
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return Err(fault()),
    };
    let count: f64 = digits.parse().map_err(|_| fault())?;
    let bytes = count * unit as f64;
    // Beyond this not every whole number is one of f64.
    match (0.0..9.0e15).contains(&bytes) {
        true => Ok(bytes as u64),
        false => Err(fault()),
    }
}

/// A time as Compose writes it: `90s`, `25m`, `1h30m`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let fault = || format!("{text:?} is no time; write it as 25m or 1h30m");
    let mut seconds: u64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(fault());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fault)?;
        let count: u64 = rest[..end].parse().map_err(|_| fault())?;
        let unit: u64 = match rest.as_bytes()[end] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            _ => return Err(fault()),
        };
        let more = count.checked_mul(unit).ok_or_else(fault)?;
        seconds = seconds.checked_add(more).ok_or_else(fault)?;
        rest = &rest[end + 1..];
    }
    Ok(Duration::from_secs(seconds))
}

/// A path inside a container that starts at its root and does not climb.
pub(super) fn path(text: &str) -> Result<String, String> {
    let parts = text.strip_prefix('/').filter(|rest| !rest.is_empty());
    match parts.is_some_and(|parts| parts.split('/').all(is_part)) && text.len() <= 255 {
        true => Ok(text.to_owned()),
        false => {
            Err(format!("{text:?} is no path; it begins with / and has no empty part, . or .."))
        }
    }
}

fn is_part(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && !part.chars().any(|c| is_hidden(c) || c == '\\')
}

/// A directory of its own memory: `/path`, `/path:size=64m`, `/path:exec`, `/path:size=64m,exec`.
pub(super) fn tmpfs(text: &str) -> Result<super::Tmpfs, String> {
    let (place, options) = text.split_once(':').unwrap_or((text, ""));
    let place = path(place)?;
    let is_in = |fixed: &&&str| place == **fixed || place.starts_with(&format!("{fixed}/"));
    if let Some(fixed) = FIXED.iter().find(is_in) {
        return Err(format!("{place} would hide what is in {fixed}"));
    }
    let mut made = super::Tmpfs { path: place, size: super::DEFAULT_TMPFS, exec: false };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", size)) => made.size = bytes(size)?,
            None if option == "exec" => made.exec = true,
            _ => return Err(format!("{option:?} is no option here; there are size=… and exec")),
        }
    }
    Ok(made)
}

/// A name on the session bus, or all below it: `org.freedesktop.Notifications`, `org.example.*`.
pub(super) fn bus_name(text: &str) -> Result<String, String> {
    let base = text.strip_suffix(".*").unwrap_or(text);
    let is_part = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        part.bytes().all(inner) && part.bytes().next().is_some_and(|first| !first.is_ascii_digit())
    };
    let is_good = text.len() <= 255 && base.split('.').count() >= 2 && base.split('.').all(is_part);
    match is_good {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "{text:?} is no name on the bus; it is like org.example.App or org.example.*"
        )),
    }
}

/// Where starter files are in an image.
pub(super) fn starter_from(text: &str) -> Result<String, String> {
    match text.starts_with(STARTERS) {
        true => path(text),
        false => Err(format!("{text:?} is not below {STARTERS}, where images have them")),
    }
}

/// Where starter files go below Data.
pub(super) fn starter_to(text: &str) -> Result<String, String> {
    match path(&format!("/{text}")) {
        Ok(_) if !text.split('/').any(|part| part.starts_with('.')) => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is no place below Data; it has no part that begins with a dot")),
    }
}
