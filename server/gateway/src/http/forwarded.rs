//! Who really asks, where a proxy stands in between.
//!
//! Anybody can write `X-Forwarded-For`. So it is read from the right, where the nearest proxy wrote,
//! and only as long as the one who wrote is trusted: the first address that is no trusted proxy's is
//! the client's, and what stands left of it is hearsay. Nothing is remembered of any of it.
//!
//! Being on this machine is not trust. A proxy must overwrite or remove what its clients write into
//! `X-Forwarded-Proto` and `X-Forwarded-Host`; `Forwarded` (RFC 7239) is read only where there is
//! no `X-Forwarded-For`, so that a client cannot pass it by a proxy that knows only the other.

use super::origin::Scheme;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// The proxies whose word is taken.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<IpNet>);

/// What a request says by way of trusted proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Who asks: the peer itself where no trusted proxy says otherwise.
    pub client: IpAddr,
    /// How the client reached the proxy.
    pub scheme: Option<Scheme>,
    /// What the client calls the server, as in `Host`.
    pub host: Option<String>,
}

impl Proxies {
    /// Proxies with these addresses.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// Whether what comes from this address may speak for others.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Who asks, and as whom, by the headers that came from `peer`.
    pub fn resolve(&self, peer: IpAddr, headers: &HeaderMap) -> Forwarded {
        let client = peer.to_canonical();
        if !self.trusts(client) {
            return Forwarded { client, scheme: None, host: None };
        }
        if !headers.contains_key(FOR) && headers.contains_key(FORWARDED) {
            return self.by_forwarded(client, headers);
        }
        self.by_x_forwarded(client, headers)
    }

    fn by_x_forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> Forwarded {
        let hops = values(headers, &FOR);
        let (client, place) = self.walk(peer, hops.iter().map(|hop| address(hop)));
        // Proxies that list every hop list it in the same place; others write one value.
        let beside = |name| {
            let all = values(headers, name);
            let place = if all.len() == hops.len() { place } else { 0 };
            all.len().checked_sub(place + 1).and_then(|index| all.get(index).copied())
        };
        Forwarded {
            client,
            scheme: beside(&PROTO).and_then(scheme),
            host: beside(&HOST).map(str::to_owned),
        }
    }

    fn by_forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> Forwarded {
        let lines = headers.get_all(FORWARDED).iter().filter_map(|line| line.to_str().ok());
        let hops: Vec<&str> = lines.flat_map(|line| unquoted(line, ',')).collect();
        let addresses = hops.iter().map(|hop| address(&parameter(hop, "for")?));
        let (client, place) = self.walk(peer, addresses);
        let hop = hops.len().checked_sub(place + 1).and_then(|index| hops.get(index));
        Forwarded {
            client,
            scheme: hop.and_then(|hop| scheme(&parameter(hop, "proto")?)),
            host: hop.and_then(|hop| parameter(hop, "host")).map(Cow::into_owned),
        }
    }

    /// Goes from the right over what proxies said of those before them, and returns who asks and in
    /// which place from the right that stood. One that is unreadable is nobody: who said so is taken.
    fn walk(
        &self,
        peer: IpAddr,
        hops: impl DoubleEndedIterator<Item = Option<IpAddr>> + ExactSizeIterator,
    ) -> (IpAddr, usize) {
        let (mut client, mut place) = (peer, 0);
        for (index, hop) in hops.rev().enumerate() {
            place = index;
            let Some(hop) = hop else { break };
            client = hop;
            if !self.trusts(client) {
                break;
            }
        }
        (client, place)
    }
}

/// The values in all lines of a header.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| line.to_str().unwrap_or("").split(',')).map(str::trim).collect()
}

fn scheme(text: &str) -> Option<Scheme> {
    match text {
        text if text.eq_ignore_ascii_case("https") => Some(Scheme::Https),
        text if text.eq_ignore_ascii_case("http") => Some(Scheme::Http),
        _ => None,
    }
}

/// An address as proxies write them: alone or with a port, IPv6 in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    let alone = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    alone.or_else(bare).or_else(with_port).map(|address| address.to_canonical())
}

/// Splits at `separator` where it does not stand in quotes.
fn unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut in_quotes, mut escaped) = (false, false);
    text.split(move |char| {
        match char {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            char => return char == separator && !in_quotes,
        }
        false
    })
}

/// The value of one parameter in an element of `Forwarded`.
fn parameter<'a>(element: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut pairs = unquoted(element, ';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    let value = value.trim();
    let Some(quoted) = value.strip_prefix('"') else { return Some(Cow::Borrowed(value)) };
    let quoted = quoted.strip_suffix('"')?;
    if !quoted.contains('\\') {
        return Some(Cow::Borrowed(quoted));
    }
    let mut chars = quoted.chars();
    let mut plain = String::with_capacity(quoted.len());
    while let Some(char) = chars.next() {
        plain.push(if char == '\\' { chars.next()? } else { char });
    }
    Some(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    /// Asks by headers written as `name: value` lines.
    fn check(peer: &str, lines: &str) -> (String, Option<Scheme>, Option<String>) {
        let networks = ["10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1/32"];
        let proxies = Proxies::new(networks.map(|text| text.parse().expect("a network")));
        let mut headers = HeaderMap::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").expect("a header");
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        let found = proxies.resolve(peer.parse().expect("an address"), &headers);
        (found.client.to_string(), found.scheme, found.host)
    }

    #[test]
    fn the_right_most_hop_that_is_no_trusted_proxy_is_the_client() {
        let table = [
            ("203.0.113.9", "", "203.0.113.9"),
            ("203.0.113.9", "X-Forwarded-For: 192.0.2.1", "203.0.113.9"),
            ("127.0.0.2", "X-Forwarded-For: 192.0.2.1", "127.0.0.2"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "X-Forwarded-For: 192.0.2.1", "192.0.2.1"),
            ("::ffff:10.0.0.1", "X-Forwarded-For: ::ffff:192.0.2.1", "192.0.2.1"),
            ("10.0.0.1", "X-Forwarded-For: 8.8.8.8, 192.0.2.1", "192.0.2.1"),
            ("10.0.0.1", "X-Forwarded-For: 8.8.8.8,192.0.2.1 ,10.9.9.9", "192.0.2.1"),
            ("10.0.0.1", "X-Forwarded-For: 8.8.8.8\nX-Forwarded-For: 192.0.2.1", "192.0.2.1"),
            ("10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", "X-Forwarded-For: 192.0.2.1, nonsense", "10.0.0.1"),
            ("10.0.0.1", "X-Forwarded-For: 192.0.2.1, nonsense, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "X-Forwarded-For: 192.0.2.1,", "10.0.0.1"),
            ("10.0.0.1", "X-Forwarded-For: 192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8:1::5", "X-Forwarded-For: [2001:db8::7]:4711", "2001:db8::7"),
            ("2001:db8:1::5", "X-Forwarded-For: [2001:db8::7]", "2001:db8::7"),
            ("2001:db8:2::5", "X-Forwarded-For: 2001:db8::7", "2001:db8:2::5"),
            ("10.0.0.1", "X-Forwarded-For: \u{e4}", "10.0.0.1"),
            ("10.0.0.1", "Forwarded: for=192.0.2.1", "192.0.2.1"),
            ("203.0.113.9", "Forwarded: for=192.0.2.1", "203.0.113.9"),
            ("10.0.0.1", "Forwarded: for=8.8.8.8, For=\"192.0.2.1:80\";by=x", "192.0.2.1"),
            ("10.0.0.1", "Forwarded: for=\"[2001:db8::7]:80\", for=10.1.1.1", "2001:db8::7"),
            ("10.0.0.1", "Forwarded: by=\"a,\\\"b\";for=192.0.2.1", "192.0.2.1"),
            ("10.0.0.1", "Forwarded: for=192.0.2.1, for=unknown", "10.0.0.1"),
            ("10.0.0.1", "Forwarded: for=192.0.2.1, for=\"_secret", "10.0.0.1"),
            ("10.0.0.1", "Forwarded: for=8.8.8.8\nX-Forwarded-For: 192.0.2.1", "192.0.2.1"),
        ];
        for (peer, lines, client) in table {
            assert_eq!(check(peer, lines).0, client, "{peer} says {lines:?}");
        }
    }

    #[test]
    fn scheme_and_host_are_those_that_the_trusted_proxy_beside_the_client_saw() {
        use Scheme::{Http, Https};
        let table = [
            ("203.0.113.9", "X-Forwarded-Proto: https\nX-Forwarded-Host: a.test", None, None),
            (
                "10.0.0.1",
                "X-Forwarded-Proto: https\nX-Forwarded-Host: a.test",
                Some(Https),
                Some("a.test"),
            ),
            ("10.0.0.1", "X-Forwarded-Proto: HTTP", Some(Http), None),
            ("10.0.0.1", "X-Forwarded-Proto: wss", None, None),
            (
                "10.0.0.1",
                "X-Forwarded-For: 8.8.8.8, 192.0.2.1, 10.0.0.2\nX-Forwarded-Proto: http, https, http\n\
                 X-Forwarded-Host: evil.test, a.test:8443, inner.test",
                Some(Https),
                Some("a.test:8443"),
            ),
            (
                "10.0.0.1",
                "X-Forwarded-For: 8.8.8.8, 192.0.2.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: b.test",
                Some(Https),
                Some("b.test"),
            ),
            (
                "10.0.0.1",
                "Forwarded: for=8.8.8.8;proto=http;host=evil.test, for=192.0.2.1;proto=https;\
                 host=\"a.test:8443\", for=10.0.0.2;proto=http;host=inner.test",
                Some(Https),
                Some("a.test:8443"),
            ),
            (
                "10.0.0.1",
                "Forwarded: for=unknown;proto=https;host=a.test",
                Some(Https),
                Some("a.test"),
            ),
        ];
        for (peer, lines, scheme, host) in table {
            let found = check(peer, lines);
            assert_eq!((found.1, found.2.as_deref()), (scheme, host), "{peer} says {lines:?}");
        }
    }
}
