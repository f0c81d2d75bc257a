//! The names of previews: `<port>--<session>.<domain>`, an origin for each port of each session, so
//! that no page of one reaches another, and none reaches the pages of the server.

use crate::http::origin::Site;
use lattice_engine::session::SessionId;

/// Which program's pages are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// On which desktop.
    pub session: SessionId,
    /// Where it listens.
    pub port: u16,
}

impl Name {
    /// The preview that `host` names, which is what `Host` says; nothing where it is not below the
    /// domain, or not written exactly as browsers write it.
    pub fn parse(host: &str, domain: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let (name, port) = match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host.as_str(), None),
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !port.is_none_or(is_number) {
            return None;
        }
        let label = name.strip_suffix(domain)?.strip_suffix('.')?;
        let (port, session) = label.split_once("--")?;
        // One number has one name.
        if !is_number(port) || port.starts_with('0') {
            return None;
        }
        Some(Self { session: session.parse().ok()?, port: port.parse().ok()? })
    }

    /// Its origin, for whoever reaches the server as `site`.
    pub fn origin(&self, domain: &str, site: &Site) -> String {
        let (scheme, authority) = site.origin.split_once("://").unwrap_or(("http", ""));
        let port = match authority.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => format!(":{port}"),
            _ => String::new(),
        };
        format!("{scheme}://{}--{}.{domain}{port}", self.port, self.session)
    }
}

/// Where a preview leads after its entrance: a path of the same origin, or its first page.
pub(super) fn path_within(to: Option<&str>) -> &str {
    let is_path = |to: &&str| {
        to.starts_with('/')
            && !to.starts_with("//")
            && to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    to.filter(is_path).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "abcdefghijklmnop";

    fn parsed(host: &str) -> Option<u16> {
        let name = Name::parse(host, "apps.school.example")?;
        assert_eq!(name.session.as_str(), ID);
        Some(name.port)
    }

    #[test]
    fn a_name_is_a_port_and_a_session_below_the_domain() {
        for (host, port) in [
            (format!("5173--{ID}.apps.school.example"), Some(5173)),
            (format!("5173--{ID}.apps.school.example:8443"), Some(5173)),
            (format!("5173--{}.Apps.School.Example", ID.to_uppercase()), Some(5173)),
            (format!("05173--{ID}.apps.school.example"), None),
            (format!("70000--{ID}.apps.school.example"), None),
            (format!("-1--{ID}.apps.school.example"), None),
            (format!("+80--{ID}.apps.school.example"), None),
            (format!("--{ID}.apps.school.example"), None),
            (format!("5173--{ID}.apps.school.example."), None),
            (format!("5173--{ID}.apps.school.example.evil.example"), None),
            (format!("5173--{ID}.evilapps.school.example"), None),
            (format!("5173--{ID}x.apps.school.example"), None),
            (format!("a.5173--{ID}.apps.school.example"), None),
            (format!("5173--{ID}.a.apps.school.example"), None),
            (format!("5173--{ID}.apps.school.example:"), None),
            (format!("5173--{ID}.apps.school.example:80:80"), None),
            (format!("user@5173--{ID}.apps.school.example"), None),
            ("apps.school.example".into(), None),
            (".apps.school.example".into(), None),
            (String::new(), None),
        ] {
            assert_eq!(parsed(&host), port, "{host}");
        }
    }

    #[test]
    fn an_origin_has_the_scheme_and_the_port_by_which_the_server_is_reached() {
        let name = Name { session: ID.parse().expect("an id"), port: 8000 };
        for (site, origin) in [
            ("http://127.0.0.1:8080", "http://8000--abcdefghijklmnop.localhost:8080"),
            ("http://[::1]:8080", "http://8000--abcdefghijklmnop.localhost:8080"),
            ("http://[::1]", "http://8000--abcdefghijklmnop.localhost"),
            ("https://desk.example", "https://8000--abcdefghijklmnop.localhost"),
        ] {
            assert_eq!(name.origin("localhost", &Site::new(site)), origin, "{site}");
        }
    }

    #[test]
    fn nothing_but_a_path_leads_anywhere() {
        assert_eq!(path_within(Some("/a/b?c=d")), "/a/b?c=d");
        for bad in [
            None,
            Some(""),
            Some("//evil.example"),
            Some("/\\evil"),
            Some("https://e"),
            Some("/a b"),
            Some("/\r\nX: y"),
        ] {
            assert_eq!(path_within(bad), "/", "{bad:?}");
        }
    }
}
