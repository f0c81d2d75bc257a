//! Which names this server answers to, and whether a request comes from its own pages.
//!
//! A page of another site can make a browser send requests here, and by DNS rebinding it can even do
//! so under its own name. So `Host` must be a name of ours, and `Origin`, where there is one, must be
//! exactly the origin of that name.

use axum::http::{HeaderMap, header};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How browsers reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// By TLS.
    Https,
}

/// The names of this server.
#[derive(Debug, Clone)]
pub struct Sites {
    scheme: Scheme,
    port: u16,
    /// Authorities as in `Host` of this server itself.
    own: HashSet<String>,
    /// By authority as in `Host`, as others publish it.
    public: HashMap<String, Site>,
}

/// The name by which a request reached this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Scheme, host and port, as a browser writes them.
    pub origin: String,
    /// The path below which a proxy publishes it, such as `/lattice`; mostly none. The proxy takes it
    /// off, so it matters to whole addresses only.
    pub base: String,
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
    "{0:?} is not a public URL; it has the form https://desk.example, http://desk.example:8080 or \
     https://school.example/lattice"
)]
pub struct PublicUrlError(String);

impl Scheme {
    /// The port that needs no mention.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl Sites {
    /// The names of a server that speaks `scheme` on `port`: loopback, any address, the given host
    /// names, and what a proxy publishes.
    pub fn new(
        scheme: Scheme,
        port: u16,
        hosts: &[String],
        public: &[String],
    ) -> Result<Self, PublicUrlError> {
        let mut sites = Self { scheme, port, own: HashSet::new(), public: HashMap::new() };
        for host in hosts.iter().map(String::as_str).chain(["localhost"]) {
            sites.own.insert(sites.authority(&host.to_ascii_lowercase()));
        }
        for url in public {
            let site = site_of(url).ok_or_else(|| PublicUrlError(url.clone()))?;
            let authority = site.origin.split_once("://").map_or("", |(_, authority)| authority);
            // Of two below one name the first counts: requests do not say below which they came.
            sites.public.entry(authority.to_owned()).or_insert(site);
        }
        Ok(sites)
    }

    /// How browsers reach it.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn authority(&self, host: &str) -> String {
        match self.port == self.scheme.default_port() {
            true => host.to_owned(),
            false => format!("{host}:{}", self.port),
        }
    }

    /// The site that these headers ask for, where it is one of ours.
    pub fn recognise(&self, headers: &HeaderMap) -> Option<Site> {
        self.recognise_host(host_header(headers)?, None)
    }

    /// The site of this authority, where it is one of ours. A trusted proxy may say that browsers
    /// reach it by another scheme; what is published as a whole URL is reached by that.
    pub fn recognise_host(&self, host: &str, scheme: Option<Scheme>) -> Option<Site> {
        let host = host.to_ascii_lowercase();
        if let Some(site) = self.public.get(&host) {
            return Some(site.clone());
        }
        // No attacker can make a browser believe that his page came from an address of ours.
        let is_own = self.own.contains(&host) || self.is_own_address(&host);
        let scheme = scheme.unwrap_or(self.scheme);
        is_own.then(|| Site::new(format!("{scheme}://{host}")))
    }

    /// Where somebody who asked for `host` by plain HTTP, on whatever port, is at home by TLS.
    pub fn secure_site(&self, host: &str) -> Option<Site> {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => name,
            _ => host,
        };
        let candidates = [host.to_owned(), name.to_owned(), self.authority(name)];
        let mut sites = candidates.iter().filter_map(|host| self.recognise_host(host, None));
        sites.find(Site::is_secure)
    }

    fn is_own_address(&self, host: &str) -> bool {
        let (address, port) = match host.rsplit_once(':') {
            Some((address, port)) if !port.ends_with(']') => (address, port.parse().ok()),
            _ => (host, Some(self.scheme.default_port())),
        };
        let v6 = || address.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
        port == Some(self.port) && (address.parse::<Ipv4Addr>().is_ok() || v6().is_some())
    }
}

/// What a request calls the server, if it says one thing.
pub fn host_header(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

impl Site {
    /// The site of a whole origin.
    pub fn new(origin: impl Into<String>) -> Self {
        Self { origin: origin.into(), base: String::new() }
    }

    /// The whole address of a path of ours.
    pub fn address(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.base)
    }

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

fn site_of(url: &str) -> Option<Site> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = authority.to_ascii_lowercase();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(allowed) {
        return None;
    }
    let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
    Some(Site { origin: format!("{scheme}://{authority}"), base: base_of(path)? })
}

/// From the path of a URL, which may end with a slash.
fn base_of(path: &str) -> Option<String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Some(String::new());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_name = |part: &str| !["", ".", ".."].contains(&part) && part.bytes().all(allowed);
    path.split('/').all(is_name).then(|| format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn sites() -> Sites {
        let public =
            ["https://Lattice.School.edu/".into(), "http://xn--lttice-bua.example:8443".into()];
        Sites::new(Scheme::Http, 8080, &["box".into()], &public).expect("good names")
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
    fn a_server_with_tls_is_asked_for_by_https_names() {
        let public = ["https://desk.example".into(), "http://old.example:8080".into()];
        let sites = Sites::new(Scheme::Https, 8443, &["Box".into()], &public).expect("good names");
        let origin =
            |host: &str, scheme| sites.recognise_host(host, scheme).map(|site| site.origin);
        let table = [
            ("127.0.0.1:8443", None, Some("https://127.0.0.1:8443")),
            ("box:8443", None, Some("https://box:8443")),
            ("BOX:8443", Some(Scheme::Http), Some("http://box:8443")),
            ("desk.example", None, Some("https://desk.example")),
            ("desk.example", Some(Scheme::Http), Some("https://desk.example")),
            ("old.example:8080", None, Some("http://old.example:8080")),
            ("box", None, None),
            ("127.0.0.1", None, None),
            ("127.0.0.1:443", None, None),
        ];
        for (host, scheme, expected) in table {
            assert_eq!(origin(host, scheme).as_deref(), expected, "{host} {scheme:?}");
        }
        let standard = Sites::new(Scheme::Https, 443, &["box".into()], &[]).expect("good names");
        for (host, known) in [("box", true), ("192.0.2.1", true), ("box:80", false)] {
            let site = standard.recognise_host(host, None);
            assert_eq!(site.is_some_and(|site| site.is_secure()), known, "{host}");
        }
    }

    #[test]
    fn who_comes_by_plain_http_is_led_to_https_of_the_same_name() {
        let public = ["https://desk.example".into(), "http://old.example".into()];
        let sites = Sites::new(Scheme::Https, 8443, &["box".into()], &public).expect("good names");
        let table = [
            ("desk.example", Some("https://desk.example")),
            ("desk.example:8443", Some("https://desk.example")),
            ("box", Some("https://box:8443")),
            ("box:8443", Some("https://box:8443")),
            ("box:80", Some("https://box:8443")),
            ("192.0.2.1", Some("https://192.0.2.1:8443")),
            ("[2001:db8::1]:80", Some("https://[2001:db8::1]:8443")),
            ("old.example", None),
            ("evil.example", None),
            ("evil.example:8443", None),
            ("", None),
        ];
        for (host, origin) in table {
            let site = sites.secure_site(host).map(|site| site.origin);
            assert_eq!(site.as_deref(), origin, "{host}");
        }
    }

    #[test]
    fn an_origin_is_ours_to_the_byte_or_foreign() {
        let site = Site::new("https://lattice.school.edu");
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
        let site = Site::new("http://localhost:8080");
        let mut headers = HeaderMap::new();
        headers.append(header::ORIGIN, HeaderValue::from_static("http://localhost:8080"));
        headers.append(header::ORIGIN, HeaderValue::from_static("http://evil.example"));
        assert_eq!(site.check_origin(&headers), OriginCheck::Foreign);
        headers.append(header::HOST, HeaderValue::from_static("localhost:8080"));
        headers.append(header::HOST, HeaderValue::from_static("localhost:8080"));
        assert_eq!(sites().recognise(&headers), None);
    }

    #[test]
    fn a_proxy_may_publish_it_below_a_path() {
        let public = ["HTTPS://School.example/Lattice/".into(), "https://school.example".into()];
        let sites = Sites::new(Scheme::Http, 8080, &[], &public).expect("good URLs");
        let address = |host| sites.recognise_host(host, None).map(|site| site.address("/d/share"));
        let school = address("school.example");
        assert_eq!(school.as_deref(), Some("https://school.example/Lattice/d/share"));
        let own = address("localhost:8080");
        assert_eq!(own.as_deref(), Some("http://localhost:8080/d/share"));
        let site = sites.recognise_host("school.example", None).expect("ours");
        let origin = HeaderValue::from_static("https://school.example");
        let headers = HeaderMap::from_iter([(header::ORIGIN, origin)]);
        assert_eq!(site.check_origin(&headers), OriginCheck::Same);
    }

    #[test]
    fn a_public_url_that_is_none_is_named() {
        for url in [
            "desk.example",
            "ftp://desk.example",
            "https://",
            "https:///a",
            "https://a@b",
            "https://a//b",
            "https://a/../b",
            "https://a/b?c",
            "https://a/b#c",
            "https://a/b//",
        ] {
            let error =
                Sites::new(Scheme::Http, 80, &[], &[url.into()]).expect_err("no public URL");
            assert!(error.to_string().contains(url), "{error}");
        }
    }
}
