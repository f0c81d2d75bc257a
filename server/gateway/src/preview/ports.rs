//! Previews where the server has no domain for them: each on a port of the server's host, which is an
//! origin of its own as well, but for cookies. Time comes in as an argument.
//!
//! A port is leased to one preview for as long as anybody looks at it, and a day longer: what a program has
//! left in a browser is of that port's origin, and whoever gets it next would find it. Until then a preview
//! that comes back gets the port that it had.
//!
//! INVARIANT: a port without a lease answers nothing, and one with a lease nothing but that preview.

use super::name::Name;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// So long after it was last looked at a preview keeps its port: longer than a seat lasts, so nobody has
/// a page of it open by then that could still ask for anything.
const REST: Duration = Duration::from_secs(24 * 3600);
/// More would be listened on for nothing.
pub const MOST: usize = 1000;

/// The ports that there are, and whose each is.
#[derive(Debug, Default)]
pub(super) struct Ports {
    all: Vec<u16>,
    leases: HashMap<u16, Lease>,
}

#[derive(Debug)]
struct Lease {
    name: Name,
    used: Instant,
}

impl Ports {
    pub(super) fn new(all: Vec<u16>) -> Self {
        Self { all, leases: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The port of this preview: the one that it has, one that nobody has had, or the one whose preview
    /// has not been looked at for longest; nothing where all are in use.
    pub(super) fn take(&mut self, name: &Name, now: Instant) -> Option<u16> {
        let own = self.leases.iter().find(|(_, lease)| lease.name == *name).map(|(port, _)| *port);
        let port = own.or_else(|| {
            let mut all = self.all.iter().copied();
            let fresh = all.find(|port| !self.leases.contains_key(port));
            fresh.or_else(|| {
                let rests = |lease: &Lease| now.duration_since(lease.used) >= REST;
                let resting = self.leases.iter().filter(|(_, lease)| rests(lease));
                resting.min_by_key(|(_, lease)| lease.used).map(|(port, _)| *port)
            })
        })?;
        self.leases.insert(port, Lease { name: name.clone(), used: now });
        Some(port)
    }

    /// The port that this preview has, if any.
    pub(super) fn of(&self, name: &Name) -> Option<u16> {
        self.leases.iter().find(|(_, lease)| lease.name == *name).map(|(port, _)| *port)
    }

    /// Whose a port is.
    pub(super) fn whose(&self, port: u16) -> Option<Name> {
        self.leases.get(&port).map(|lease| lease.name.clone())
    }

    /// Somebody who may has looked at what is there.
    pub(super) fn touch(&mut self, port: u16, now: Instant) {
        if let Some(lease) = self.leases.get_mut(&port) {
            lease.used = now;
        }
    }
}

/// The ports of a range as it is written: `20100-20199`, or one alone.
pub fn parse(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| is_number && *port >= 1024)
    };
    let (first, last) = (number(first.trim())?, number(last.trim())?);
    (first <= last && usize::from(last - first) < MOST).then_some(first..=last)
}

/// The port that a `Host` names, and the host before it; nothing where it names none.
pub(super) fn split(host: &str) -> Option<(&str, u16)> {
    let (name, port) = host.rsplit_once(':')?;
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = !port.starts_with('0') && !name.is_empty();
    Some((name, port.parse().ok().filter(|_| is_number && is_plain)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(port: u16) -> Name {
        Name { session: "abcdefghijklmnop".parse().expect("an id"), port }
    }

    #[test]
    fn a_preview_keeps_its_port_and_no_other_gets_it_before_a_day_has_passed() {
        let (mut ports, start) = (Ports::new(vec![20100, 20101]), Instant::now());
        let later = |hours: u64| start + Duration::from_secs(hours * 3600);
        assert_eq!(ports.whose(20100), None, "what was not leased is nobody's");
        assert_eq!(ports.take(&name(5173), start), Some(20100));
        assert_eq!(ports.take(&name(8000), later(1)), Some(20101));
        assert_eq!(ports.take(&name(5173), later(2)), Some(20100));
        assert_eq!(ports.of(&name(8000)), Some(20101));
        assert_eq!(ports.take(&name(9000), later(24)), None, "both are in use");
        ports.touch(20101, later(25));
        assert_eq!(ports.take(&name(9000), later(26)), Some(20100));
        assert_eq!((ports.whose(20100), ports.of(&name(5173))), (Some(name(9000)), None));
        assert_eq!(ports.take(&name(5173), later(27)), None);
        assert_eq!(Ports::default().take(&name(1), start), None);
    }

    #[test]
    fn a_range_is_two_ports_that_anybody_may_listen_on() {
        assert_eq!(parse("20100-20199"), Some(20100..=20199));
        assert_eq!(parse(" 20100 - 20100 "), Some(20100..=20100));
        assert_eq!(parse("20100"), Some(20100..=20100));
        for bad in [
            "",
            "-",
            "20199-20100",
            "80-90",
            "1-70000",
            "+2000-3000",
            "2000-3000",
            "a-b",
            "1024-1025-1026",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_host_names_its_port_in_one_way() {
        assert_eq!(split("desk.example:20100"), Some(("desk.example", 20100)));
        assert_eq!(split("[::1]:20100"), Some(("[::1]", 20100)));
        for bad in [
            "desk.example",
            "desk.example:",
            "desk.example:020100",
            "desk.example:+1",
            ":20100",
            "",
            "a:99999",
        ] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
