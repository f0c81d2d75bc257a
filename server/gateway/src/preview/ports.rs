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

/// So many anybody may have, however few there are.
const LEAST: usize = 2;

/// Why a preview gets no port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPort {
    /// There is none left.
    #[error(
        "all ports for previews are in use; an administrator gives the server more by preview.ports, or \
         names by preview.domain"
    )]
    AllInUse,
    /// Whoever's desktop it is has as many as anybody may have.
    #[error(
        "the desktops of this person have {most} pages on ports of the server already, and nobody may \
         have more; use one of these, or wait until nobody has looked at one of them for a day. An \
         administrator gives the server more by preview.ports, or names by preview.domain"
    )]
    Enough {
        /// How many.
        most: usize,
    },
}

/// The ports that there are, and whose each is.
#[derive(Debug, Default)]
pub(super) struct Ports {
    all: Vec<u16>,
    leases: HashMap<u16, Lease>,
}

#[derive(Debug)]
struct Lease {
    name: Name,
    /// Whose desktop it is of, by user id.
    owner: i64,
    used: Instant,
}

impl Ports {
    pub(super) fn new(all: Vec<u16>) -> Self {
        Self { all, leases: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// So many one person's previews may have at once: a quarter of all, so that one who opens page after
    /// page leaves some for others.
    fn most(&self) -> usize {
        self.all.len().div_ceil(4).max(LEAST)
    }

    /// The port of this preview of `owner`'s: the one that it has, one that nobody has had, or the one
    /// whose preview has not been looked at for longest.
    ///
    /// # Errors
    /// Where all are in use, or the owner has as many as anybody may have.
    pub(super) fn take(&mut self, name: &Name, owner: i64, now: Instant) -> Result<u16, NoPort> {
        let port = match self.of(name) {
            Some(own) => own,
            None => self.free(owner, now)?,
        };
        self.leases.insert(port, Lease { name: name.clone(), owner, used: now });
        Ok(port)
    }

    fn free(&self, owner: i64, now: Instant) -> Result<u16, NoPort> {
        let rests = |lease: &Lease| now.duration_since(lease.used) >= REST;
        let own = self.leases.values().filter(|lease| lease.owner == owner && !rests(lease));
        let most = self.most();
        if own.count() >= most {
            return Err(NoPort::Enough { most });
        }
        let fresh = self.all.iter().copied().find(|port| !self.leases.contains_key(port));
        let resting = || {
            let resting = self.leases.iter().filter(|(_, lease)| rests(lease));
            resting.min_by_key(|(_, lease)| lease.used).map(|(port, _)| *port)
        };
        fresh.or_else(resting).ok_or(NoPort::AllInUse)
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
        assert_eq!(ports.take(&name(5173), 1, start), Ok(20100));
        assert_eq!(ports.take(&name(8000), 1, later(1)), Ok(20101));
        assert_eq!(ports.take(&name(5173), 1, later(2)), Ok(20100));
        assert_eq!(ports.of(&name(8000)), Some(20101));
        assert_eq!(ports.take(&name(9000), 2, later(24)), Err(NoPort::AllInUse), "both are in use");
        ports.touch(20101, later(25));
        assert_eq!(ports.take(&name(9000), 2, later(26)), Ok(20100));
        assert_eq!((ports.whose(20100), ports.of(&name(5173))), (Some(name(9000)), None));
        assert_eq!(ports.take(&name(5173), 1, later(27)), Err(NoPort::AllInUse));
        assert_eq!(Ports::default().take(&name(1), 1, start), Err(NoPort::AllInUse));
    }

    #[test]
    fn nobody_has_more_than_a_quarter_of_the_ports() {
        let (mut ports, start) = (Ports::new((20100..20112).collect()), Instant::now());
        let later = |hours: u64| start + Duration::from_secs(hours * 3600);
        for (number, hour) in [(1, 0), (2, 1), (3, 2)] {
            assert_eq!(ports.take(&name(number), 7, later(hour)), Ok(20099 + number));
        }
        let enough = Err(NoPort::Enough { most: 3 });
        assert_eq!(ports.take(&name(4), 7, later(3)), enough);
        assert_eq!(ports.take(&name(2), 7, later(3)), Ok(20101), "what there is stays");
        assert_eq!(ports.take(&name(9), 8, later(3)), Ok(20103), "there are some for others");
        assert_eq!(ports.take(&name(4), 7, later(23)), enough);
        assert_eq!(ports.take(&name(4), 7, later(24)), Ok(20104), "nobody looks at the first");
        let mut few = Ports::new(vec![20100]);
        assert_eq!(few.take(&name(1), 7, start), Ok(20100), "a single port is for whoever comes");
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
