//! When nobody works at a desktop: who looks at it is warned, it is paused, and it is stopped at last.
//!
//! Only what a person does with keys and pointer counts as work; looking does not. Pure: time comes in
//! as an argument.

use lattice_wire::Micros;

/// How long nobody may have worked at a desktop before each happens.
///
/// INVARIANT: each is longer than the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Who looks is told.
    pub warn: Micros,
    /// It is frozen.
    pub pause: Micros,
    /// It is stopped.
    pub stop: Micros,
}

/// What a desktop at which nobody works is due for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing: somebody worked lately, or it is paused and rests.
    Nothing,
    /// A word to those who look.
    Warning(Warning),
    /// To be paused.
    Pause,
    /// To be stopped.
    Stop,
}

/// What those who look are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// How long nobody has worked.
    pub idle: Micros,
    /// How long is left.
    pub left: Micros,
    /// Whether it then stops, and is not merely paused.
    pub stops: bool,
}

/// What a desktop does, as far as its rest goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It runs and can be paused.
    Pausable,
    /// It runs and cannot be paused.
    Running,
    /// It is paused.
    Paused,
}

/// The clock of one desktop.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    policy: Policy,
    since: Micros,
}

impl Clock {
    /// A clock that begins now.
    pub fn new(policy: Policy, now: Micros) -> Self {
        Self { policy, since: now }
    }

    /// From now on it goes by another policy; who worked when is as it was.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Somebody worked, or may be about to.
    pub fn handle_work(&mut self, at: Micros) {
        self.since = self.since.max(at);
    }

    /// What it is due for.
    pub fn due(&self, mode: Mode, now: Micros) -> Due {
        let idle = now.since(self.since);
        let Policy { warn, pause, stop } = self.policy;
        let (warn, end, due) = match mode {
            Mode::Pausable => (warn, pause, Due::Pause),
            // The warning comes as long before the end.
            Mode::Running => (Micros(stop.0 - (pause.0 - warn.0)), stop, Due::Stop),
            Mode::Paused => (stop, stop, Due::Stop),
        };
        if idle >= stop {
            Due::Stop
        } else if idle >= end {
            due
        } else if idle >= warn {
            let left = Micros(end.0 - idle.0);
            Due::Warning(Warning { idle, left, stops: due == Due::Stop })
        } else {
            Due::Nothing
        }
    }

    /// When it is due for something else if nobody works.
    pub fn deadline(&self, mode: Mode, now: Micros) -> Option<Micros> {
        let Policy { warn, pause, stop } = self.policy;
        let steps = match mode {
            Mode::Pausable => [warn, pause, stop],
            Mode::Running => [Micros(stop.0 - (pause.0 - warn.0)), stop, stop],
            Mode::Paused => [stop; 3],
        };
        steps.into_iter().map(|step| self.since.plus(step)).find(|&at| now < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: Policy = Policy { warn: min(25), pause: min(30), stop: min(480) };

    const fn min(minutes: u64) -> Micros {
        Micros::from_millis(minutes * 60_000)
    }

    fn check(mode: Mode, table: &[(u64, Due)]) {
        let clock = Clock::new(POLICY, min(100));
        for &(idle, due) in table {
            assert_eq!(clock.due(mode, min(100 + idle)), due, "{mode:?} after {idle} min");
        }
    }

    fn warning(idle: u64, left: u64, stops: bool) -> Due {
        Due::Warning(Warning { idle: min(idle), left: min(left), stops })
    }

    #[test]
    fn a_desktop_that_can_be_paused_is_after_a_warning() {
        let table = [
            (0, Due::Nothing),
            (24, Due::Nothing),
            (25, warning(25, 5, false)),
            (29, warning(29, 1, false)),
            (30, Due::Pause),
            (479, Due::Pause),
            (480, Due::Stop),
        ];
        check(Mode::Pausable, &table);
    }

    #[test]
    fn one_that_cannot_is_stopped_after_a_warning() {
        let table = [
            (30, Due::Nothing),
            (474, Due::Nothing),
            (475, warning(475, 5, true)),
            (480, Due::Stop),
        ];
        check(Mode::Running, &table);
    }

    #[test]
    fn a_paused_one_rests_until_it_is_stopped() {
        let table = [(25, Due::Nothing), (479, Due::Nothing), (480, Due::Stop), (999, Due::Stop)];
        check(Mode::Paused, &table);
    }

    #[test]
    fn work_begins_the_time_anew_and_never_sets_it_back() {
        let mut clock = Clock::new(POLICY, min(0));
        clock.handle_work(min(29));
        clock.handle_work(min(3));
        assert_eq!(clock.due(Mode::Pausable, min(53)), Due::Nothing);
        assert_eq!(clock.due(Mode::Pausable, min(59)), Due::Pause);
    }

    proptest! {
        /// Whoever sleeps until the deadline misses nothing, and is not woken for nothing.
        #[test]
        fn nothing_changes_before_the_deadline_and_something_does_at_it(
            mode in prop::sample::select(vec![Mode::Pausable, Mode::Running, Mode::Paused]),
            now in 0..600u64,
            part in 0..100u64,
        ) {
            let kind = |due| match due {
                Due::Nothing => 0,
                Due::Warning(_) => 1,
                Due::Pause => 2,
                Due::Stop => 3,
            };
            let clock = Clock::new(POLICY, min(0));
            let now = min(now);
            let before = kind(clock.due(mode, now));
            match clock.deadline(mode, now) {
                Some(at) => {
                    let between = Micros(now.0 + (at.0 - 1 - now.0) * part / 100);
                    prop_assert_eq!(kind(clock.due(mode, between)), before);
                    prop_assert!(kind(clock.due(mode, at)) > before);
                }
                None => prop_assert_eq!(before, 3),
            }
        }
    }
}
