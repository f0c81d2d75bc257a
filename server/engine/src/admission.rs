//! Whether there is a place for one more desktop, and how long those who wait for one will.
//!
//! First come, first served: whoever is first in line and has no place holds up those behind, even
//! where theirs is smaller, or large desktops would never start. Memory is what a place is made of:
//! without it desktops are killed. A pressed processor makes everything slow and nothing fail, so it
//! is a reason to start one after another, not to start none.
//! Pure: what was measured comes in as an argument.

use lattice_wire::Micros;
use std::collections::{BTreeMap, VecDeque};

/// What a desktop takes until one of its template was measured: an XFCE desktop at rest is below.
pub const USUAL_NEED: u64 = 150 << 20;
/// What is never given away: for what desktops grow by, and for everything else on the machine.
const LEAST_RESERVE: u64 = 512 << 20;
/// The same on large machines, as a part of them.
const RESERVE_PART: u64 = 10;
/// Starts under way for each core; more would all be late.
const STARTS_A_CORE: u32 = 2;
/// At so many percent of the last 10 s in which something waited for a core, starts go one by one.
const PRESSED: f32 = 80.0;
/// What is remembered of places that became free and of starts that came to an end.
const MEMORY: usize = 16;
/// How long that says anything.
const FRESH: Micros = Micros::from_millis(3_600_000);

/// The machine as it was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// Its memory, in bytes.
    pub total: u64,
    /// What of it can be had; nothing where that is not known.
    pub available: Option<u64>,
    /// In how many percent of the last 10 s something waited for a core, where that is known.
    pub pressure: Option<f32>,
    /// Its cores.
    pub cores: u32,
}

/// What desktops do at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// How many there are, those that start and those that are paused too.
    pub desktops: usize,
    /// How many of them start.
    pub starting: u32,
    /// What those are going to need, in bytes: it is not taken yet, and no longer to be had.
    pub promised: u64,
}

/// Whether one more may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Enter,
    /// Others are starting; it is soon its turn.
    Turn,
    /// The machine is full.
    Full,
}

/// What is known of places and starts.
#[derive(Debug, Default)]
pub struct Admission {
    /// What a desktop of a kind was measured to need.
    needs: BTreeMap<String, u64>,
    /// When places became free.
    freed: VecDeque<Micros>,
    /// When starts came to an end, and how long they had taken.
    starts: VecDeque<(Micros, Micros)>,
}

impl Admission {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// A desktop of that kind was measured to need so many bytes.
    pub fn handle_need(&mut self, kind: &str, bytes: u64) {
        self.needs.insert(kind.to_owned(), bytes);
    }

    /// Forgets what desktops need of a kind that there is none of any more.
    pub fn forget_needs(&mut self, is_there: impl Fn(&str) -> bool) {
        self.needs.retain(|kind, _| is_there(kind));
    }

    /// A desktop went, and with it what it took.
    pub fn handle_free(&mut self, now: Micros) {
        self.freed.push_back(now);
        if self.freed.len() > MEMORY {
            self.freed.pop_front();
        }
    }

    /// A desktop has come up within so long.
    pub fn handle_start(&mut self, took: Micros, now: Micros) {
        self.starts.push_back((now, took));
        if self.starts.len() > MEMORY {
            self.starts.pop_front();
        }
    }

    /// What a desktop of that kind takes, in bytes.
    pub fn need(&self, kind: &str) -> u64 {
        self.needs.get(kind).copied().unwrap_or(USUAL_NEED)
    }

    /// Whether one more may start that needs so many bytes.
    pub fn decide(&self, machine: &Machine, load: &Load, need: u64) -> Verdict {
        let wanted = load.promised.saturating_add(need).saturating_add(reserve(machine.total));
        // Where there is no desktop nothing would ever become free: better to try.
        let fits = load.desktops == 0 || machine.available.is_none_or(|free| wanted <= free);
        if !fits {
            Verdict::Full
        } else if load.starting >= at_once(machine) {
            Verdict::Turn
        } else {
            Verdict::Enter
        }
    }

    /// How long whoever is at this place in line has to wait, from 1; nothing where nobody knows.
    pub fn wait(
        &self,
        verdict: Verdict,
        position: usize,
        machine: &Machine,
        now: Micros,
    ) -> Option<Micros> {
        let span = match verdict {
            Verdict::Enter => Micros(0),
            Verdict::Turn => {
                let turns = position.div_ceil(at_once(machine) as usize);
                Micros(self.start_time(now)?.0 * turns as u64)
            }
            Verdict::Full => Micros(self.free_interval(now)?.0 * position as u64),
        };
        Some(span)
    }

    /// How long starts took lately.
    fn start_time(&self, now: Micros) -> Option<Micros> {
        let fresh = self.starts.iter().filter(|(at, _)| now.since(*at) < FRESH);
        let (count, sum) = fresh.fold((0, 0), |(count, sum), (_, took)| (count + 1, sum + took.0));
        (count > 0).then(|| Micros(sum / count))
    }

    /// At what interval places became free lately. Time in which none did makes it longer, so what is
    /// estimated does not stay good when the pace does not.
    fn free_interval(&self, now: Micros) -> Option<Micros> {
        let mut fresh = self.freed.iter().filter(|at| now.since(**at) < FRESH);
        let first = *fresh.next()?;
        let intervals = fresh.count() as u64;
        (intervals > 0).then(|| Micros(now.since(first).0 / intervals))
    }
}

/// What is never given away of a machine with so much memory, in bytes.
pub fn reserve(total: u64) -> u64 {
    LEAST_RESERVE.max(total / RESERVE_PART)
}

/// How many may start at a time.
pub fn at_once(machine: &Machine) -> u32 {
    match machine.pressure {
        Some(pressure) if pressure >= PRESSED => 1,
        Some(_) | None => STARTS_A_CORE * machine.cores.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;
    const S: fn(u64) -> Micros = |seconds| Micros::from_millis(seconds * 1000);

    fn machine(available_mib: u64) -> Machine {
        Machine {
            total: 4096 * MIB,
            available: Some(available_mib * MIB),
            pressure: None,
            cores: 2,
        }
    }

    fn load(desktops: usize, starting: u32) -> Load {
        Load { desktops, starting, promised: u64::from(starting) * USUAL_NEED }
    }

    fn check(machine: Machine, load: Load, verdict: Verdict) {
        let decided = Admission::new().decide(&machine, &load, USUAL_NEED);
        assert_eq!(decided, verdict, "{machine:?} {load:?}");
    }

    #[test]
    fn there_is_a_place_while_memory_is_left_beside_the_reserve() {
        check(machine(512 + 150), load(1, 0), Verdict::Enter);
        check(machine(512 + 149), load(1, 0), Verdict::Full);
        // What starts has yet to take what it needs.
        check(machine(512 + 299), load(2, 1), Verdict::Full);
        check(machine(512 + 300), load(2, 1), Verdict::Enter);
        // A tenth of a large machine is more.
        let large = Machine { total: 65_536 * MIB, ..machine(6553 + 149) };
        check(large, load(1, 0), Verdict::Full);
    }

    #[test]
    fn the_first_desktop_is_always_tried_and_what_is_unknown_is_fine() {
        check(machine(10), load(0, 0), Verdict::Enter);
        check(Machine { available: None, ..machine(0) }, load(9, 0), Verdict::Enter);
    }

    #[test]
    fn starts_take_turns_and_go_one_by_one_under_pressure() {
        check(machine(4000), load(9, 3), Verdict::Enter);
        check(machine(4000), load(9, 4), Verdict::Turn);
        let pressed = Machine { pressure: Some(95.0), ..machine(4000) };
        check(pressed, load(9, 0), Verdict::Enter);
        check(pressed, load(9, 1), Verdict::Turn);
        check(Machine { pressure: Some(50.0), ..machine(4000) }, load(9, 1), Verdict::Enter);
    }

    #[test]
    fn what_was_measured_counts_from_then_on() {
        let mut admission = Admission::new();
        assert_eq!(admission.need("go"), USUAL_NEED);
        admission.handle_need("go", 900 * MIB);
        assert_eq!((admission.need("go"), admission.need("desktop")), (900 * MIB, USUAL_NEED));
    }

    #[test]
    fn a_wait_is_as_long_as_the_pace_says_and_unknown_without_one() {
        let full = machine(0);
        let mut admission = Admission::new();
        let wait = |admission: &Admission, position, now| {
            admission.wait(Verdict::Full, position, &full, S(now))
        };
        assert_eq!(wait(&admission, 1, 0), None);
        admission.handle_free(S(100));
        assert_eq!(wait(&admission, 1, 100), None, "one is no pace");
        admission.handle_free(S(160));
        admission.handle_free(S(220));
        assert_eq!(wait(&admission, 1, 220), Some(S(60)));
        assert_eq!(wait(&admission, 3, 220), Some(S(180)));
        // Nobody has gone since.
        assert_eq!(wait(&admission, 1, 340), Some(S(120)));
        assert_eq!(wait(&admission, 1, 220 + 3600), None);
    }

    #[test]
    fn who_waits_for_a_turn_waits_as_long_as_starts_take() {
        let mut admission = Admission::new();
        let wait = |admission: &Admission, position| {
            admission.wait(Verdict::Turn, position, &machine(4000), S(50))
        };
        assert_eq!(wait(&admission, 1), None);
        admission.handle_start(S(2), S(40));
        admission.handle_start(S(4), S(41));
        assert_eq!((wait(&admission, 1), wait(&admission, 4)), (Some(S(3)), Some(S(3))));
        assert_eq!(wait(&admission, 5), Some(S(6)));
    }

    proptest! {
        /// More memory never costs a place, and who is further behind never waits less.
        #[test]
        fn more_is_never_worse(
            free in 0..8192u64, more in 0..8192u64, desktops in 0..50usize, starting in 0..6u32,
            times in prop::collection::vec(0..4000u64, 0..30), place in 1..40usize,
        ) {
            let mut admission = Admission::new();
            let mut times = times;
            times.sort_unstable();
            times.iter().for_each(|at| admission.handle_free(S(*at)));
            let load = load(desktops, starting);
            let decide = |free| admission.decide(&machine(free), &load, USUAL_NEED);
            if decide(free) != Verdict::Full {
                prop_assert_ne!(decide(free + more), Verdict::Full);
            }
            let wait = |place| admission.wait(Verdict::Full, place, &machine(0), S(4000));
            prop_assert!(wait(place + 1) >= wait(place));
        }
    }
}
