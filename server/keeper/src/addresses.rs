//! Which machines repositories are cloned from: those of the internet, and what an administrator allows.
//!
//! A name is looked up once, all that it leads to is judged, and that is what is connected to: who answers
//! otherwise a moment later has nobody who asks.

use crate::fault::{Fault, Result};
use ipnet::IpNet;
use lattice_wire::imports::{CloneUrl, Host};
use lattice_wire::snapshots::Refusal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};

/// Where a URL leads: all of it may be connected to.
pub(crate) fn of(url: &CloneUrl, allowed: &[IpNet]) -> Result<Vec<IpAddr>> {
    let found: Vec<IpAddr> = match url.host() {
        Host::Four(address) => vec![(*address).into()],
        Host::Six(address) => vec![(*address).into()],
        Host::Name(name) => {
            let looked_up = (name.as_str(), url.port()).to_socket_addrs();
            let unknown = |error| {
                let detail =
                    format!("the server {name} was not found; look at the address: {error}");
                Fault::new(Refusal::Odd, detail)
            };
            looked_up.map_err(unknown)?.map(|address| address.ip()).collect()
        }
    };
    judge(url, &found, allowed)?;
    Ok(found)
}

/// Refuses where any of them is not to be reached. Without TLS only what is allowed is.
fn judge(url: &CloneUrl, found: &[IpAddr], allowed: &[IpNet]) -> Result<()> {
    let is_allowed = |address: &IpAddr| {
        let address = address.to_canonical();
        allowed.iter().any(|network| network.contains(&address))
    };
    let refused = |detail: &str| Err(Fault::new(Refusal::Odd, detail));
    if found.is_empty() {
        return refused("the server in the address was not found");
    }
    if !found.iter().all(|address| is_public(*address) || is_allowed(address)) {
        return refused(
            "the address leads to a machine that is not on the public internet; only public ones are \
             cloned from, and those that an administrator allows",
        );
    }
    if !url.is_secure() && !found.iter().all(is_allowed) {
        return refused("only addresses that begin with https:// are cloned");
    }
    Ok(())
}

/// Whether an address is one of the public internet: the IANA registries of special ones (RFC 6890 and its
/// successors) say which are not. What holds an address of the other kind is that one.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => is_public_4(four),
        IpAddr::V6(six) => is_public_6(six),
    }
}

fn is_public_4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // This network, the machine itself, groups and what is reserved.
        (0 | 127 | 224.., ..) => true,
        // Private ranges (RFC 1918), and carriers' own (RFC 6598).
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => true,
        // Link-local, with the metadata services of clouds.
        (169, 254, _) => true,
        // Protocols, relays of 6to4, examples, and tests of devices (RFC 2544).
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113) | (198, 18..=19, _) => {
            true
        }
        // A cloud's own services at an address that looks public.
        (168, 63, 129) => true,
        _ => false,
    };
    !special
}

fn is_public_6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        // Translated addresses (RFC 6052), and 6to4: what they hold counts.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let [a, b, c, d] = ((u32::from(high) << 16) | u32::from(low)).to_be_bytes();
            is_public_4(Ipv4Addr::new(a, b, c, d))
        }
        // Protocols and Teredo, examples, and a range for documents.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // All that is given out is in 2000::/3.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(url: &str, found: &[&str], allowed: &[&str]) -> Result<()> {
        let found: Vec<_> = found.iter().map(|one| one.parse().expect("an address")).collect();
        let allowed: Vec<_> = allowed.iter().map(|one| one.parse().expect("a network")).collect();
        judge(&url.parse().expect("a URL"), &found, &allowed)
    }

    #[test]
    fn only_machines_of_the_internet_are_asked() {
        let url = "https://git.example/a";
        for good in ["8.8.8.8", "140.82.121.4", "2606:50c0:8000::153", "64:ff9b::808:808"] {
            judged(url, &[good], &[]).expect(good);
        }
        for bad in [
            "0.0.0.0",
            "127.0.0.1",
            "127.255.0.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "198.18.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "::7f00:1",
            "64:ff9b:1::1",
        ] {
            judged(url, &[bad], &[]).expect_err(bad);
            // One good address does not help another.
            judged(url, &["8.8.8.8", bad], &[]).expect_err(bad);
        }
        judged(url, &[], &[]).expect_err("nobody");
    }

    #[test]
    fn an_administrator_may_allow_more_and_that_only() {
        let own = ["127.0.0.0/8", "fd00::/8"];
        judged("http://git.example/a", &["127.0.0.1"], &own).expect("allowed");
        judged("https://git.example/a", &["fd00::1", "::ffff:127.0.0.1"], &own).expect("allowed");
        judged("https://git.example/a", &["10.0.0.1"], &own).expect_err("not that one");
        judged("http://git.example/a", &["8.8.8.8"], &own).expect_err("without TLS");
        judged("http://git.example/a", &["127.0.0.1", "8.8.8.8"], &own).expect_err("without TLS");
    }
}
