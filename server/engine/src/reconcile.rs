//! What is to be done about a session: what is wanted against what runs.
//!
//! Level-triggered: each look at the world is judged by itself, so that nothing is lost with an event
//! that was missed or with the gateway that was to handle it. Pure: time comes in as an argument.

use lattice_wire::Micros;

/// A desktop that has not come up in so long never will.
const START_PATIENCE: Micros = Micros::from_millis(60_000);
/// What was started is seen to start within this.
const SEEN_PATIENCE: Micros = Micros::from_millis(10_000);
/// The pause before the first further attempt; doubled each time.
const FIRST_PAUSE: Micros = Micros::from_millis(1000);
/// So many attempts are made by themselves; then a person has to ask.
const MAX_ATTEMPTS: u32 = 5;
/// A desktop that ran so long was good: its end counts as the first.
const SETTLED: Micros = Micros::from_millis(60_000);

/// What its owner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// It is to run.
    Running,
    /// It is not.
    Stopped,
}

/// What the runtime has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Nothing.
    Absent,
    /// It comes up.
    Starting,
    /// It runs.
    Running,
    /// It ended by itself, and why.
    Ended(String),
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It is wanted and nothing has been done yet.
    Requested,
    /// It comes up.
    Starting,
    /// It runs.
    Running,
    /// It goes down.
    Stopping,
    /// It is not there, and is not to be.
    Stopped,
    /// It would not run; see [`Lifecycle::reason`].
    Failed,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Requested,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
        Self::Failed,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// What the runtime is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start it.
    Start,
    /// End it, and what is left of it.
    Stop,
}

/// One session between what is wanted and what is.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    state: State,
    since: Micros,
    reason: String,
    failures: u32,
    retry_at: Option<Micros>,
}

impl Lifecycle {
    /// A session that nothing is known of yet.
    pub fn new(desired: Desired, now: Micros) -> Self {
        let state = match desired {
            Desired::Running => State::Requested,
            Desired::Stopped => State::Stopped,
        };
        Self { state, since: now, reason: String::new(), failures: 0, retry_at: None }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it failed or does not end, for a person to read; empty otherwise.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Judges a look at the world. What is returned is to be done before the next look.
    pub fn observe(&mut self, desired: Desired, observed: Observed, now: Micros) -> Option<Action> {
        match (desired, observed) {
            (Desired::Stopped, Observed::Absent) => self.rest(now),
            (Desired::Stopped, _) => self.halts(now),
            (Desired::Running, Observed::Running) => self.runs(now),
            (Desired::Running, Observed::Starting) => self.starts(now),
            (Desired::Running, Observed::Absent) => self.is_absent(now),
            (Desired::Running, Observed::Ended(reason)) => self.ended(reason, now),
        }
    }

    /// The runtime could not do what it was told.
    pub fn refuse(&mut self, reason: String, now: Micros) {
        match self.state {
            // What is to end is never given up: tried again after a pause, however often.
            State::Stopping => {
                self.reason = reason;
                self.retry_at = Some(now.plus(self.next_pause()));
            }
            State::Requested
            | State::Starting
            | State::Running
            | State::Stopped
            | State::Failed => self.fail(reason, now),
        }
    }

    /// A person asks anew: what failed before does not count.
    pub fn ask(&mut self, now: Micros) {
        self.failures = 0;
        if self.state == State::Failed {
            self.retry_at = Some(now);
        }
    }

    /// When to look again though nothing was heard.
    pub fn deadline(&self) -> Option<Micros> {
        match self.state {
            State::Failed | State::Stopping => self.retry_at,
            State::Starting => Some(self.since.plus(START_PATIENCE)),
            State::Requested | State::Running | State::Stopped => None,
        }
    }

    fn halts(&mut self, now: Micros) -> Option<Action> {
        let waits = self.state == State::Stopping && self.retry_at.is_some_and(|at| now < at);
        (!waits).then(|| self.act(State::Stopping, Action::Stop, now))
    }

    fn rest(&mut self, now: Micros) -> Option<Action> {
        self.failures = 0;
        self.enter(State::Stopped, now);
        None
    }

    fn runs(&mut self, now: Micros) -> Option<Action> {
        self.enter(State::Running, now);
        if now.since(self.since) >= SETTLED {
            self.failures = 0;
        }
        None
    }

    fn starts(&mut self, now: Micros) -> Option<Action> {
        self.enter(State::Starting, now);
        if now.since(self.since) < START_PATIENCE {
            return None;
        }
        let seconds = START_PATIENCE.0 / 1_000_000;
        self.fail(format!("the desktop did not come up within {seconds} s"), now);
        Some(Action::Stop)
    }

    fn is_absent(&mut self, now: Micros) -> Option<Action> {
        match self.state {
            State::Requested | State::Stopped | State::Stopping => {
                Some(self.act(State::Starting, Action::Start, now))
            }
            State::Starting if now.since(self.since) < SEEN_PATIENCE => None,
            State::Starting | State::Running => {
                self.fail("the desktop is gone".into(), now);
                None
            }
            State::Failed => self.retry(now),
        }
    }

    fn ended(&mut self, reason: String, now: Micros) -> Option<Action> {
        match self.state {
            // What is left of an earlier run says nothing about this one.
            State::Requested | State::Stopped | State::Stopping => {
                Some(self.act(State::Starting, Action::Start, now))
            }
            State::Starting | State::Running => {
                if now.since(self.since) >= SETTLED {
                    self.failures = 0;
                }
                self.fail(reason, now);
                None
            }
            State::Failed => self.retry(now),
        }
    }

    fn retry(&mut self, now: Micros) -> Option<Action> {
        let due = self.retry_at.is_some_and(|at| at <= now);
        due.then(|| self.act(State::Starting, Action::Start, now))
    }

    fn act(&mut self, state: State, action: Action, now: Micros) -> Action {
        self.enter(state, now);
        action
    }

    fn enter(&mut self, state: State, now: Micros) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
        self.retry_at = None;
        self.reason.clear();
    }

    fn fail(&mut self, reason: String, now: Micros) {
        self.enter(State::Failed, now);
        self.reason = reason;
        let pause = self.next_pause();
        self.retry_at = (self.failures < MAX_ATTEMPTS).then(|| now.plus(pause));
    }

    fn next_pause(&mut self) -> Micros {
        let pause = Micros(FIRST_PAUSE.0 << self.failures.min(MAX_ATTEMPTS));
        self.failures += 1;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: fn(u64) -> Micros = |seconds| Micros::from_millis(seconds * 1000);

    fn wanted() -> Lifecycle {
        Lifecycle::new(Desired::Running, S(0))
    }

    fn ended() -> Observed {
        Observed::Ended("no more memory".into())
    }

    #[test]
    fn a_session_is_started_seen_and_stopped() {
        let mut session = wanted();
        let steps = [
            (Desired::Running, Observed::Absent, Some(Action::Start), State::Starting),
            (Desired::Running, Observed::Starting, None, State::Starting),
            (Desired::Running, Observed::Running, None, State::Running),
            (Desired::Stopped, Observed::Running, Some(Action::Stop), State::Stopping),
            (Desired::Stopped, Observed::Absent, None, State::Stopped),
            (Desired::Running, Observed::Absent, Some(Action::Start), State::Starting),
        ];
        for (at, (desired, observed, action, state)) in (0..).zip(steps) {
            assert_eq!(session.observe(desired, observed, S(at)), action);
            assert_eq!(session.state(), state);
        }
    }

    #[test]
    fn what_a_restarted_gateway_finds_running_is_left_alone() {
        let mut session = wanted();
        assert_eq!(session.observe(Desired::Running, Observed::Running, S(0)), None);
        assert_eq!(session.state(), State::Running);
    }

    #[test]
    fn a_crash_is_answered_by_ever_longer_pauses_and_at_last_by_a_person() {
        let mut session = wanted();
        let mut now = S(0);
        let mut pauses = Vec::new();
        session.observe(Desired::Running, Observed::Absent, now);
        while let Some(at) = {
            session.observe(Desired::Running, ended(), now);
            session.deadline()
        } {
            assert_eq!((session.state(), session.reason()), (State::Failed, "no more memory"));
            assert_eq!(session.observe(Desired::Running, ended(), Micros(at.0 - 1)), None);
            pauses.push(at.since(now));
            now = at;
            assert_eq!(session.observe(Desired::Running, ended(), now), Some(Action::Start));
        }
        assert_eq!(pauses, [S(1), S(2), S(4), S(8)]);
        assert_eq!(session.observe(Desired::Running, ended(), S(9999)), None);
        session.ask(S(9999));
        assert_eq!(session.observe(Desired::Running, ended(), S(9999)), Some(Action::Start));
    }

    #[test]
    fn an_end_that_is_refused_is_tried_again_with_pauses_and_never_given_up() {
        let mut session = wanted();
        let mut now = S(0);
        let mut pauses = Vec::new();
        session.observe(Desired::Running, Observed::Running, now);
        for _ in 0..7 {
            let action = session.observe(Desired::Stopped, Observed::Running, now);
            assert_eq!(action, Some(Action::Stop));
            session.refuse("the disk is full".into(), now);
            assert_eq!((session.state(), session.reason()), (State::Stopping, "the disk is full"));
            assert_eq!(session.observe(Desired::Stopped, Observed::Running, now), None);
            let at = session.deadline().expect("it is tried again");
            pauses.push(at.since(now));
            now = at;
        }
        assert_eq!(pauses, [S(1), S(2), S(4), S(8), S(16), S(32), S(32)]);
        assert_eq!(session.observe(Desired::Stopped, Observed::Absent, now), None);
        assert_eq!((session.state(), session.reason()), (State::Stopped, ""));
    }

    #[test]
    fn what_failed_to_start_is_ended_at_once() {
        let mut session = wanted();
        session.observe(Desired::Running, Observed::Absent, S(0));
        session.refuse("no memory".into(), S(0));
        assert_eq!(session.observe(Desired::Stopped, ended(), S(0)), Some(Action::Stop));
    }

    #[test]
    fn a_crash_after_an_hour_counts_as_the_first() {
        let mut session = wanted();
        for _ in 0..3 {
            session.observe(Desired::Running, Observed::Absent, S(0));
            session.observe(Desired::Running, ended(), S(0));
            session.ask(S(0));
        }
        session.observe(Desired::Running, ended(), S(0));
        session.observe(Desired::Running, Observed::Running, S(10));
        session.observe(Desired::Running, ended(), S(3610));
        assert_eq!(session.deadline(), Some(S(3611)));
    }

    #[test]
    fn a_desktop_that_hangs_while_it_starts_is_ended() {
        let mut session = wanted();
        session.observe(Desired::Running, Observed::Absent, S(0));
        assert_eq!(session.observe(Desired::Running, Observed::Starting, S(59)), None);
        assert_eq!(session.deadline(), Some(S(60)));
        let action = session.observe(Desired::Running, Observed::Starting, S(60));
        assert_eq!(action, Some(Action::Stop));
        assert!(session.reason().contains("60 s"), "{}", session.reason());
    }

    proptest! {
        /// Whatever was seen before, a world that obeys from here on becomes what is wanted.
        #[test]
        fn an_obedient_world_becomes_what_is_wanted(
            past in prop::collection::vec((any::<bool>(), 0..4u8, 0..100u64), 0..40),
            runs in any::<bool>(),
        ) {
            let mut session = wanted();
            let mut now = S(0);
            let mut world = Observed::Absent;
            for (runs, observed, step) in past {
                let desired = if runs { Desired::Running } else { Desired::Stopped };
                world = match observed {
                    0 => Observed::Absent,
                    1 => Observed::Starting,
                    2 => Observed::Running,
                    _ => ended(),
                };
                let is_running = world == Observed::Running;
                let action = session.observe(desired, world.clone(), now);
                prop_assert!(!(is_running && action == Some(Action::Start)));
                now = now.plus(S(step));
            }
            let desired = if runs { Desired::Running } else { Desired::Stopped };
            session.ask(now);
            for _ in 0..8 {
                match (session.observe(desired, world.clone(), now), &world) {
                    (Some(Action::Start), _) => world = Observed::Starting,
                    (Some(Action::Stop), _) => world = Observed::Absent,
                    (None, Observed::Starting) => world = Observed::Running,
                    // Nothing happens but that time goes by.
                    (None, _) => now = session.deadline().unwrap_or(now).max(now),
                }
            }
            let (expected, state) = match desired {
                Desired::Running => (Observed::Running, State::Running),
                Desired::Stopped => (Observed::Absent, State::Stopped),
            };
            prop_assert_eq!(world, expected);
            prop_assert_eq!(session.state(), state);
        }
    }
}
