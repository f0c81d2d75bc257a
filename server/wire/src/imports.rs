//! What a new project may be made of: a zip file that somebody uploads, or a Git repository.
//!
//! Both come to the keeper as a zip file, in chunks as `snapshots` has them: the one as it is, the other
//! packed where it was cloned, which is a sandbox that sees neither Data nor anything else.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The largest zip file that is taken, in bytes.
pub const MOST_UPLOAD: u64 = 256 << 20;
/// So much may be in one, unpacked, in bytes.
pub const MOST_UNPACKED: u64 = 2 << 30;
/// So many files, folders and links may be in one.
pub const MOST_PIECES: usize = 50_000;
/// So many folders may be inside each other.
pub const MOST_DEPTH: usize = 64;
/// How often what is in one may be as long as the file itself.
pub const MOST_RATIO: u64 = 200;
/// So much room a clone has, its history and its files together, in bytes. Less than
/// [`MOST_UPLOAD`], so that all that was cloned can be taken.
pub const MOST_CLONE: u64 = 192 << 20;
/// How long a clone may take, in seconds.
pub const CLONE_PATIENCE_S: u64 = 120;
/// The longest address of a repository, in bytes.
const MAX_URL: usize = 1024;
/// The longest name of a project, in bytes, with room for the number of its like.
const MAX_NAME: usize = 80;
/// What a project is called whose file or address says nothing.
const UNNAMED: &str = "project";

/// What a project's folder is called.
///
/// INVARIANT: the name of a file that is neither hidden nor an option: no `/`, no control character, no
/// `.` nor `-` at its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectName(String);

/// What was given is no name of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a project's name has 1 to {MAX_NAME} bytes, no / or \\ in it, and no . or - in front")]
pub struct NotAName;

impl ProjectName {
    /// A name after that of a file: without folders in front of it, without its ending, and with `-` for
    /// what a name cannot hold.
    pub fn after(file: &str) -> Self {
        let last = file.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or("");
        let lower = last.to_ascii_lowercase();
        let ending = [".zip", ".git"].into_iter().find(|ending| lower.ends_with(ending));
        let stem = &last[..last.len() - ending.map_or(0, str::len)];
        let good = |c: char| !c.is_control() && !is_invisible(c);
        let plain: String = stem.chars().map(|c| if good(c) { c } else { '-' }).collect();
        let mut name = plain.trim_start_matches(['.', '-', ' ']).trim_end();
        while name.len() > MAX_NAME {
            let last = name.char_indices().next_back().map_or(0, |(at, _)| at);
            name = name[..last].trim_end();
        }
        Self::try_from(name.to_owned()).unwrap_or_else(|_| Self(UNNAMED.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names to try, one after the other, where something of the name is there already.
    pub fn and_like_it(&self) -> impl Iterator<Item = String> + '_ {
        let numbered = (2..100).map(|number| format!("{}-{number}", self.0));
        std::iter::once(self.0.clone()).chain(numbered)
    }
}

impl TryFrom<String> for ProjectName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let fits = !text.is_empty() && text.len() <= MAX_NAME && text.trim() == text;
        let plain = |c: char| c != '/' && c != '\\' && !c.is_control() && !is_invisible(c);
        let good = fits && !text.starts_with(['.', '-']) && text.chars().all(plain);
        if good { Ok(Self(text)) } else { Err(NotAName) }
    }
}

impl From<ProjectName> for String {
    fn from(name: ProjectName) -> Self {
        name.0
    }
}

/// What makes a name look like another one: marks of direction, and what has no width.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Where a repository is cloned from.
///
/// INVARIANT: `https://` or `http://`, a host, a port perhaps, a path; no name or password, no query, no
/// escapes in the host, nothing that two programs could read in two ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CloneUrl {
    text: String,
    secure: bool,
    host: Host,
    port: u16,
}

/// Which machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// By a name that is yet to be looked up, in small letters.
    Name(String),
    /// By its address.
    Four(Ipv4Addr),
    /// By its address.
    Six(Ipv6Addr),
}

/// Why an address is not cloned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAUrl {
    /// Too long, or empty.
    #[error("the address of a repository has 1 to {MAX_URL} characters")]
    Length,
    /// Something that no address holds.
    #[error(
        "the address holds a space, a backslash or a letter that addresses do not have; copy it again"
    )]
    Letters,
    /// Another way than HTTPS.
    #[error("only addresses that begin with https:// are cloned")]
    Scheme,
    /// A name or a password in it.
    #[error(
        "the address holds a name or a password; only repositories that everybody may read are cloned"
    )]
    Secret,
    /// No host, or one that is written in an odd way.
    #[error(
        "the address does not name its server in the usual way, as in https://git.example/project"
    )]
    Host,
    /// A port that is none.
    #[error("the port in the address is none; it is a number from 1 to 65535")]
    Port,
    /// No path, or one with something in it that leads elsewhere.
    #[error("the address does not name a repository; it ends in a path without ?, #, // or ..")]
    Path,
}

impl CloneUrl {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Which machine.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// At which port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for CloneUrl {
    type Err = NotAUrl;

    fn from_str(text: &str) -> Result<Self, NotAUrl> {
        if text.is_empty() || text.len() > MAX_URL {
            return Err(NotAUrl::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"'<>^`{|}".contains(&byte)) {
            return Err(NotAUrl::Letters);
        }
        let (scheme, rest) = text.split_once("://").ok_or(NotAUrl::Scheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(NotAUrl::Scheme),
        };
        let (authority, path) = rest.split_once('/').ok_or(NotAUrl::Path)?;
        if authority.contains('@') {
            return Err(NotAUrl::Secret);
        }
        let (host, port) = host_and_port(authority)?;
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        let path = path.trim_end_matches('/');
        let escape = |name: &str| ["%2e", "%2f", "%5c", "%00"].iter().any(|bad| name.contains(bad));
        let good =
            |name: &str| !matches!(name, "" | "." | "..") && !escape(&name.to_ascii_lowercase());
        if path.contains(['?', '#']) || !path.split('/').all(good) {
            return Err(NotAUrl::Path);
        }
        let scheme = if secure { "https" } else { "http" };
        let text = format!("{scheme}://{}/{path}", authority.to_ascii_lowercase());
        Ok(Self { text, secure, host, port })
    }
}

fn host_and_port(authority: &str) -> Result<(Host, Option<u16>), NotAUrl> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(NotAUrl::Host)?;
            (Host::Six(host.parse().map_err(|_| NotAUrl::Host)?), port)
        }
        None => {
            let at = authority.find(':').unwrap_or(authority.len());
            (named(&authority[..at])?, &authority[at..])
        }
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port = digits.parse::<u16>().map_err(|_| NotAUrl::Port)?;
            Some(port).filter(|port| *port > 0).ok_or(NotAUrl::Port)?.into()
        }
        Some(_) => return Err(NotAUrl::Port),
        None if port.is_empty() => None,
        None => return Err(NotAUrl::Host),
    };
    Ok((host, port))
}

/// A name whose last part looks like a number would be taken for an address by some and not by others.
fn named(text: &str) -> Result<Host, NotAUrl> {
    if let Ok(address) = text.parse() {
        return Ok(Host::Four(address));
    }
    let good = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let last = text.rsplit('.').next().unwrap_or("");
    let is_number = last.starts_with(|c: char| c.is_ascii_digit());
    if text.len() > 253 || is_number || !text.split('.').all(good) {
        return Err(NotAUrl::Host);
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}

impl TryFrom<String> for CloneUrl {
    type Error = NotAUrl;

    fn try_from(text: String) -> Result<Self, NotAUrl> {
        text.parse()
    }
}

impl From<CloneUrl> for String {
    fn from(url: CloneUrl) -> Self {
        url.text
    }
}

impl fmt::Display for CloneUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_project_is_called_after_its_file_and_leads_nowhere() {
        for (file, name) in [
            ("Maths.zip", "Maths"),
            ("C:\\Users\\ada\\my shop.ZIP", "my shop"),
            ("https://git.example/ada/shop.git", "shop"),
            ("https://git.example/ada/shop/", "shop"),
            ("../../etc/passwd", "passwd"),
            ("..", "project"),
            (".zip", "project"),
            ("", "project"),
            ("--upload-pack=x.zip", "upload-pack=x"),
            (".hidden.zip", "hidden"),
            ("a\u{202e}gpj.zip", "a-gpj"),
            ("über.zip", "über"),
        ] {
            assert_eq!(ProjectName::after(file).as_str(), name, "{file}");
        }
        for bad in
            ["", ".", "..", ".git", "-rf", "a/b", "a\\b", "a\nb", "a\0", " a", &"a".repeat(81)]
        {
            assert_eq!(ProjectName::try_from(bad.to_owned()), Err(NotAName), "{bad:?}");
        }
        let names: Vec<_> = ProjectName::after("a.zip").and_like_it().take(3).collect();
        assert_eq!(names, ["a", "a-2", "a-3"]);
    }

    #[test]
    fn only_plain_addresses_of_the_web_are_cloned() {
        let good =
            |text: &str| text.parse::<CloneUrl>().unwrap_or_else(|why| panic!("{text}: {why}"));
        let url = good("HTTPS://Git.Example:8443/Ada/Shop.git/");
        assert_eq!(url.as_str(), "https://git.example:8443/Ada/Shop.git");
        assert_eq!((url.host(), url.port()), (&Host::Name("git.example".into()), 8443));
        assert_eq!(good("https://[::1]/a").host(), &Host::Six(Ipv6Addr::LOCALHOST));
        assert_eq!(good("http://127.0.0.1:80/a").host(), &Host::Four(Ipv4Addr::LOCALHOST));
        assert_eq!(good("http://x.example/a").port(), 80);
        use NotAUrl::{Host as H, Length, Letters, Path, Port, Scheme, Secret};
        for (bad, why) in [
            ("", Length),
            ("git.example/ada/shop", Scheme),
            ("git@git.example:ada/shop", Scheme),
            ("ssh://git.example/a", Scheme),
            ("git://git.example/a", Scheme),
            ("file:///etc/passwd", Scheme),
            ("ftp://git.example/a", Scheme),
            ("ext::sh -c id", Letters),
            ("ext::https://git.example/a", Scheme),
            ("--upload-pack=id", Scheme),
            ("https://ada:secret@git.example/a", Secret),
            ("https://git.example@127.0.0.1/a", Secret),
            ("https://git.example", Path),
            ("https://git.example/", Path),
            ("https://git.example//a", Path),
            ("https://git.example/a/../b", Path),
            ("https://git.example/%2e%2e/b", Path),
            ("https://git.example/a?x=1", Path),
            ("https://git.example/a#b", Path),
            ("https:///a", H),
            ("https://127.1/a", H),
            ("https://0x7f.0.0.1/a", H),
            ("https://2130706433/a", H),
            ("https://0177.0.0.0x1/a", H),
            ("https://git.example./a", H),
            ("https://-git.example/a", H),
            ("https://git_.example/a", H),
            ("https://%31%32%37.0.0.1/a", H),
            ("https://[::1/a", H),
            ("https://[fe80::1%25eth0]/a", H),
            ("https://[::1]x/a", H),
            ("https://git.example:/a", Port),
            ("https://git.example:0/a", Port),
            ("https://git.example:99999/a", Port),
            ("https://git.example:8x/a", Port),
            ("https://git.example/a b", Letters),
            ("https://git.example\\@evil.example/a", Letters),
            ("https://git.example/a\nb", Letters),
            ("https://gıt.example/a", Letters),
        ] {
            assert_eq!(bad.parse::<CloneUrl>(), Err(why), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_a_name_that_leads_out(file in "[./\\\\\\-a\\x00 ü]{0,100}") {
            let name = ProjectName::after(&file);
            prop_assert_eq!(ProjectName::try_from(name.as_str().to_owned()), Ok(name.clone()));
            prop_assert!(!name.as_str().contains('/') && name.as_str() != "..");
        }
    }
}
