//! The names and addresses that a certificate of our own must be good for.

use rcgen::SanType;
use rustls::pki_types::{DnsName, ServerName};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A machine with very many addresses is asked for by few of them, and a certificate goes over the
/// wire with each connection.
const MAX_FOUND: usize = 64;

/// What a browser has in its address bar.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A host name, in lower case.
    Host(String),
    /// An address.
    Address(IpAddr),
}

/// All that this server answers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// What somebody asked for: the certificate has these or is useless.
    pub required: BTreeSet<Name>,
    /// What the machine happens to have.
    pub found: BTreeSet<Name>,
}

impl Name {
    /// The name in the authority of a URL, or nothing where it has none.
    pub fn parse(host: &str) -> Option<Self> {
        let host = host.trim().trim_end_matches('.').to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        match bare.parse::<IpAddr>() {
            Ok(address) => Some(Self::Address(address.to_canonical())),
            Err(_) => DnsName::try_from(host.as_str()).is_ok().then_some(Self::Host(host)),
        }
    }

    /// As rcgen wants it.
    pub fn to_san(&self) -> Option<SanType> {
        match self {
            Self::Host(host) => host.as_str().try_into().ok().map(SanType::DnsName),
            Self::Address(address) => Some(SanType::IpAddress(*address)),
        }
    }

    /// As rustls wants it.
    pub fn to_server_name(&self) -> Option<ServerName<'static>> {
        match self {
            Self::Host(host) => ServerName::try_from(host.clone()).ok(),
            Self::Address(address) => Some(ServerName::IpAddress((*address).into())),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Names {
    /// Those of a server that listens on `listen`, is called `hosts` and published as `public`.
    pub fn of(listen: IpAddr, hosts: &[String], public: &[String]) -> Self {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let mut required = BTreeSet::from([Name::Host("localhost".into())]);
        required.extend(loopback.map(Name::Address));
        required.extend(hosts.iter().filter_map(|host| Name::parse(host)));
        required.extend(public.iter().filter_map(|url| host_of(url)));
        let mut found = BTreeSet::new();
        if listen.is_unspecified() {
            found.extend(interfaces().into_iter().map(Name::Address).take(MAX_FOUND));
            found.retain(|name| !required.contains(name));
        } else {
            required.insert(Name::Address(listen.to_canonical()));
        }
        Self { required, found }
    }

    /// All of them.
    pub fn all(&self) -> BTreeSet<Name> {
        self.required.union(&self.found).cloned().collect()
    }
}

/// The host in a URL such as `https://desk.example:8443/`.
pub fn host_of(url: &str) -> Option<Name> {
    let (_, rest) = url.trim().split_once("://")?;
    let authority = rest.split('/').next()?;
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => Name::parse(host),
        _ => Name::parse(authority),
    }
}

/// The addresses of this machine by which others can reach it. Those of one link only are not among
/// them: browsers take no zone.
pub fn interfaces() -> BTreeSet<IpAddr> {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return BTreeSet::new() };
    let addresses = all.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| SocketAddr::from((address.ip(), 0)));
        let v6 = address.as_sockaddr_in6().map(|address| SocketAddr::from((address.ip(), 0)));
        Some(v4.or(v6)?.ip())
    });
    addresses.filter(|address| !is_of_one_link(*address)).collect()
}

fn is_of_one_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_unspecified(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_addresses_are_told_apart() {
        let host = |host: &str| Some(Name::Host(host.into()));
        let address = |address: &str| Some(Name::Address(address.parse().expect("an address")));
        let table = [
            ("https://Desk.Example", host("desk.example")),
            ("https://desk.example:8443/", host("desk.example")),
            ("http://192.0.2.7:8080", address("192.0.2.7")),
            ("https://[2001:db8::7]:8443", address("2001:db8::7")),
            ("https://[2001:db8::7]", address("2001:db8::7")),
            ("https://", None),
            ("desk.example", None),
            ("https://a b", None),
        ];
        for (url, name) in table {
            assert_eq!(host_of(url), name, "{url}");
        }
    }

    #[test]
    fn a_server_on_one_address_needs_no_other() {
        let listen = "192.0.2.7".parse().expect("an address");
        let names = Names::of(listen, &["Box".into(), "no name".into()], &["https://d.edu".into()]);
        let shown: Vec<_> = names.all().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["box", "d.edu", "localhost", "127.0.0.1", "192.0.2.7", "::1"]);
        assert!(names.found.is_empty());
    }

    #[test]
    fn a_server_on_any_address_is_good_for_those_of_the_machine() {
        let all = Names::of("0.0.0.0".parse().expect("an address"), &[], &[]).all();
        let mine = interfaces();
        assert!(mine.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "{mine:?}");
        assert!(
            mine.iter().take(MAX_FOUND).all(|one| all.contains(&Name::Address(*one))),
            "{all:?}"
        );
    }
}
