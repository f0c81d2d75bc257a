//! Which names this server answers to, and whether a request comes from its own pages.
//!
//! A page of another site can make a browser send requests here, and by DNS rebinding it can even do
//! so under its own name. So `Host` must be a name of ours, and `Origin`, where there is one, must be
//! exactly the origin of that name.

use axum::http::{HeaderMap, header};
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The names of this server.
#[derive(Debug, Clone)]
pub struct Sites {
    port: u16,
    /// From authority as in `Host` to origin as in `Origin`.
    named: HashMap<String, String>,
}

/// The name by which a request reached this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Scheme, host and port, as a browser writes them.
    pub origin: String,
}

/// What a request says about the page it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginCheck {
    /// Nothing: not a browser, or not a request that says it.
    Missing,
    /// One of ours.
    Same,
    /// Another, or an unreadable one.
    Foreign,
}

/// A `--public-url` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a public URL; it has the form https://desk.example or http://desk.example:8080"
)]
pub struct PublicUrlError(String);

impl Sites {
    /// The names of a server on `port`: loopback, any address, the given host names, and what a
    /// proxy publishes.
    pub fn new(port: u16, hosts: &[String], public: &[String]) -> Result<Self, PublicUrlError> {
        let mut sites = Self { port, named: HashMap::new() };
        for host in hosts.iter().map(String::as_str).chain(["localhost"]) {
            let host = host.to_ascii_lowercase();
            let authority = if port == 80 { host } else { format!("{host}:{port}") };
            sites.named.insert(authority.clone(), format!("http://{authority}"));
        }
        for url in public {
            let origin = origin_of(url).ok_or_else(|| PublicUrlError(url.clone()))?;
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            sites.named.insert(authority.to_owned(), origin.clone());
        }
        Ok(sites)
    }

    /// The site that these headers ask for, where it is one of ours.
    pub fn recognise(&self, headers: &HeaderMap) -> Option<Site> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next()?.to_str().ok()?.to_ascii_lowercase();
        if hosts.next().is_some() {
            return None;
        }
        if let Some(origin) = self.named.get(&host) {
            return Some(Site { origin: origin.clone() });
        }
        // No attacker can make a browser believe that his page came from an address of ours.
        self.is_own_address(&host).then(|| Site { origin: format!("http://{host}") })
    }

    fn is_own_address(&self, host: &str) -> bool {
        let (address, port) = match host.rsplit_once(':') {
            Some((address, port)) if !port.ends_with(']') => (address, port.parse().ok()),
            _ => (host, Some(80)),
        };
        let v6 = || address.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
        port == Some(self.port) && (address.parse::<Ipv4Addr>().is_ok() || v6().is_some())
    }
}

impl Site {
    /// Whether browsers reach it by TLS, so that cookies must not travel without.
    pub fn is_secure(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// Whether browsers keep cookies that are `Secure` for it: they trust the way to their own
    /// machine like one by TLS.
    pub fn takes_secure_cookies(&self) -> bool {
        let Some((scheme, authority)) = self.origin.split_once("://") else { return false };
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => authority,
        };
        scheme == "https" || matches!(host, "localhost" | "127.0.0.1" | "[::1]")
    }

    /// Compares a request's origin with this site's, to the byte: browsers write origins one way.
    pub fn check_origin(&self, headers: &HeaderMap) -> OriginCheck {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => OriginCheck::Missing,
            (Some(origin), None) if origin.as_bytes() == self.origin.as_bytes() => {
                OriginCheck::Same
            }
            (Some(_), _) => OriginCheck::Foreign,
        }
    }

    /// Whether the browser itself says that the request was started by another site.
    pub fn is_cross_site(headers: &HeaderMap) -> bool {
        let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
        !matches!(site, None | Some(b"same-origin" | b"none"))
    }
}

fn origin_of(url: &str) -> Option<String> {
    let url = url.trim().to_ascii_lowercase();
    let (scheme, rest) = url.split_once("://")?;
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(allowed) {
        return None;
    }
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    Some(format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn sites() -> Sites {
        let public =
            ["https://Lattice.School.edu/".into(), "http://xn--lttice-bua.example:8443".into()];
        Sites::new(8080, &["box".into()], &public).expect("good names")
    }

    fn recognise(host: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(
            header::HOST,
            HeaderValue::from_bytes(host.as_bytes()).expect("a header"),
        )]);
        sites().recognise(&headers).map(|site| site.origin)
    }

    #[test]
    fn only_our_own_names_are_answered_to() {
        let table = [
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("localhost:8080", Some("http://localhost:8080")),
            ("LOCALHOST:8080", Some("http://localhost:8080")),
            ("[::1]:8080", Some("http://[::1]:8080")),
            ("192.0.2.9:8080", Some("http://192.0.2.9:8080")),
            ("box:8080", Some("http://box:8080")),
            ("lattice.school.edu", Some("https://lattice.school.edu")),
            ("xn--lttice-bua.example:8443", Some("http://xn--lttice-bua.example:8443")),
            ("lattice.school.edu:8080", None),
            ("lattice.school.edu.", None),
            ("lattice.school.edu.evil.com", None),
            ("www.lattice.school.edu", None),
            ("evil.example:8080", None),
            ("localhost", None),
            ("localhost.:8080", None),
            ("127.0.0.1:8081", None),
            ("127.1:8080", None),
            ("0x7f000001:8080", None),
            ("[::1]", None),
            ("user@localhost:8080", None),
            ("", None),
        ];
        for (host, origin) in table {
            assert_eq!(recognise(host).as_deref(), origin, "Host: {host}");
        }
    }

    #[test]
    fn an_origin_is_ours_to_the_byte_or_foreign() {
        let site = Site { origin: "https://lattice.school.edu".into() };
        let table = [
            ("https://lattice.school.edu", OriginCheck::Same),
            ("null", OriginCheck::Foreign),
            ("", OriginCheck::Foreign),
            ("https://evil.example", OriginCheck::Foreign),
            ("https://lattice.school.edu:444", OriginCheck::Foreign),
            ("https://lattice.school.edu:443", OriginCheck::Foreign),
            ("http://lattice.school.edu", OriginCheck::Foreign),
            ("https://www.lattice.school.edu", OriginCheck::Foreign),
            ("https://lattice.school.edu.evil.com", OriginCheck::Foreign),
            ("https://evil-lattice.school.edu", OriginCheck::Foreign),
            ("https://LATTICE.school.edu", OriginCheck::Foreign),
            ("https://lattice.school.edu.", OriginCheck::Foreign),
            ("https://lättice.school.edu", OriginCheck::Foreign),
            ("https://lattice.school.edu/", OriginCheck::Foreign),
        ];
        for (origin, expected) in table {
            let value = HeaderValue::from_bytes(origin.as_bytes()).expect("a header");
            let headers = HeaderMap::from_iter([(header::ORIGIN, value)]);
            assert_eq!(site.check_origin(&headers), expected, "Origin: {origin}");
        }
        assert_eq!(site.check_origin(&HeaderMap::new()), OriginCheck::Missing);
    }

    #[test]
    fn two_origins_or_hosts_are_nobodys() {
        let site = Site { origin: "http://localhost:8080".into() };
        let mut headers = HeaderMap::new();
        headers.append(header::ORIGIN, HeaderValue::from_static("http://localhost:8080"));
        headers.append(header::ORIGIN, HeaderValue::from_static("http://evil.example"));
        assert_eq!(site.check_origin(&headers), OriginCheck::Foreign);
        headers.append(header::HOST, HeaderValue::from_static("localhost:8080"));
        headers.append(header::HOST, HeaderValue::from_static("localhost:8080"));
        assert_eq!(sites().recognise(&headers), None);
    }

    #[test]
    fn a_public_url_that_is_none_is_named() {
        for url in ["desk.example", "ftp://desk.example", "https://", "https://a/b", "https://a@b"]
        {
            let error = Sites::new(80, &[], &[url.into()]).expect_err("no public URL");
            assert!(error.to_string().contains(url), "{error}");
        }
    }
}
