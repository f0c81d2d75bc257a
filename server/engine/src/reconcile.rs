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
    /// It is frozen, and goes on when told to.
    Paused,
    /// It ended by itself, and why.
    Ended(String),
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It is wanted and nothing has been done yet.
    Requested,
    /// It is to start as soon as there is a place for it.
    Queued,
    /// It comes up.
    Starting,
    /// It runs.
    Running,
    /// It is paused: nobody works at it.
    Idle,
    /// It goes down.
    Stopping,
    /// It is not there, and is not to be.
    Stopped,
    /// It would not run; see [`Lifecycle::reason`].
    Failed,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Requested,
        Self::Queued,
        Self::Starting,
        Self::Running,
        Self::Idle,
        Self::Stopping,
        Self::Stopped,
        Self::Failed,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Idle => "idle",
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
    /// Freeze it.
    Pause,
    /// Let it go on.
    Resume,
    /// End it, and have its home begin anew.
    Reset,
}

/// What somebody wishes beside that it runs; the last wish counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Pause,
    /// Stays until it runs.
    Resume,
    Restart,
    Reset,
}

/// One session between what is wanted and what is.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    state: State,
    since: Micros,
    reason: String,
    failures: u32,
    retry_at: Option<Micros>,
    wish: Option<Wish>,
    /// How often in a row it could not be paused or resumed, and until when that is not tried again.
    stumbles: u32,
    hold_until: Option<Micros>,
}

impl Lifecycle {
    /// A session that nothing is known of yet.
    pub fn new(desired: Desired, now: Micros) -> Self {
        let state = match desired {
            Desired::Running => State::Requested,
            Desired::Stopped => State::Stopped,
        };
        Self {
            state,
            since: now,
            reason: String::new(),
            failures: 0,
            retry_at: None,
            wish: None,
            stumbles: 0,
            hold_until: None,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when.
    pub fn since(&self) -> Micros {
        self.since
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
            (Desired::Running, _) if self.wish == Some(Wish::Reset) => self.resets(now),
            (Desired::Running, Observed::Absent) if self.wish == Some(Wish::Restart) => {
                self.wish = None;
                self.is_absent(now);
                None
            }
            (Desired::Running, _) if self.wish == Some(Wish::Restart) => self.halts(now),
            (Desired::Running, Observed::Running) => self.runs(now),
            (Desired::Running, Observed::Paused) => self.sleeps(now),
            (Desired::Running, Observed::Starting) => self.starts(now),
            (Desired::Running, Observed::Absent) => self.is_absent(now),
            (Desired::Running, Observed::Ended(reason)) => self.ended(reason, now),
        }
    }

    /// There is a place for it. What is [`State::Queued`] starts by this alone.
    pub fn admit(&mut self, now: Micros) -> Option<Action> {
        let waits = self.state == State::Queued;
        waits.then(|| self.act(State::Starting, Action::Start, now))
    }

    /// Nobody works at it: it is to be paused, where it runs.
    pub fn doze(&mut self) {
        if self.state == State::Running && self.wish.is_none() {
            self.wish = Some(Wish::Pause);
        }
    }

    /// Somebody is to work at it: it is to go on, where it is paused.
    pub fn wake(&mut self) {
        match (self.state, self.wish) {
            (_, Some(Wish::Restart | Wish::Reset)) => {}
            (State::Idle, _) => self.wish = Some(Wish::Resume),
            (_, _) => self.wish = None,
        }
    }

    /// Its home is to begin anew. Once, and only where it is to run.
    pub fn reset(&mut self) {
        self.wish = Some(Wish::Reset);
    }

    /// It is to end and start again, as it is. Once, and only where it is to run.
    pub fn restart(&mut self) {
        if self.wish != Some(Wish::Reset) {
            self.wish = Some(Wish::Restart);
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
            // It is as it was before: it runs, or is paused.
            State::Idle => {
                self.reason = reason;
                self.hold_until = Some(now.plus(pause(self.stumbles)));
                self.stumbles += 1;
            }
            State::Requested
            | State::Queued
            | State::Starting
            | State::Running
            | State::Stopped
            | State::Failed => self.fail(reason, now),
        }
    }

    /// A person asks anew: what failed before does not count.
    pub fn ask(&mut self, now: Micros) {
        self.failures = 0;
        self.wake();
        if self.state == State::Failed {
            self.retry_at = Some(now);
        }
    }

    /// When to look again though nothing was heard.
    pub fn deadline(&self) -> Option<Micros> {
        match self.state {
            State::Failed | State::Stopping => self.retry_at,
            State::Starting => Some(self.since.plus(START_PATIENCE)),
            State::Idle if self.wish == Some(Wish::Resume) => self.hold_until,
            State::Requested | State::Queued | State::Running | State::Idle | State::Stopped => {
                None
            }
        }
    }

    fn halts(&mut self, now: Micros) -> Option<Action> {
        self.wish = None;
        let waits = self.state == State::Stopping && self.retry_at.is_some_and(|at| now < at);
        (!waits).then(|| self.act(State::Stopping, Action::Stop, now))
    }

    fn rest(&mut self, now: Micros) -> Option<Action> {
        self.failures = 0;
        self.wish = None;
        self.enter(State::Stopped, now);
        None
    }

    fn resets(&mut self, now: Micros) -> Option<Action> {
        self.wish = None;
        Some(self.act(State::Stopping, Action::Reset, now))
    }

    fn runs(&mut self, now: Micros) -> Option<Action> {
        if self.wish.take() == Some(Wish::Pause) && !self.is_held(now) {
            return Some(self.act(State::Idle, Action::Pause, now));
        }
        self.enter(State::Running, now);
        if now.since(self.since) >= SETTLED {
            self.failures = 0;
        }
        None
    }

    fn sleeps(&mut self, now: Micros) -> Option<Action> {
        if self.wish != Some(Wish::Resume) {
            self.stumbles = 0;
            self.enter(State::Idle, now);
            return None;
        }
        (!self.is_held(now)).then(|| self.act(State::Idle, Action::Resume, now))
    }

    fn is_held(&self, now: Micros) -> bool {
        self.hold_until.is_some_and(|until| now < until)
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
            State::Requested | State::Stopped | State::Stopping => self.enter(State::Queued, now),
            State::Queued => {}
            State::Starting if now.since(self.since) < SEEN_PATIENCE => {}
            State::Starting | State::Running | State::Idle => {
                self.fail("the desktop is gone".into(), now);
            }
            State::Failed => self.retry(now),
        }
        None
    }

    fn ended(&mut self, reason: String, now: Micros) -> Option<Action> {
        match self.state {
            // What is left of an earlier run says nothing about this one.
            State::Requested | State::Stopped | State::Stopping => self.enter(State::Queued, now),
            State::Queued => {}
            State::Starting | State::Running | State::Idle => {
                if now.since(self.since) >= SETTLED {
                    self.failures = 0;
                }
                self.fail(reason, now);
            }
            State::Failed => self.retry(now),
        }
        None
    }

    fn retry(&mut self, now: Micros) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.enter(State::Queued, now);
        }
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
        let pause = pause(self.failures);
        self.failures += 1;
        pause
    }
}

/// The pause after so many failures and one.
fn pause(failures: u32) -> Micros {
    Micros(FIRST_PAUSE.0 << failures.min(MAX_ATTEMPTS))
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

    /// A look at the world where there is always a place.
    fn step(
        session: &mut Lifecycle,
        desired: Desired,
        seen: Observed,
        now: Micros,
    ) -> Option<Action> {
        session.observe(desired, seen, now).or_else(|| session.admit(now))
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
            assert_eq!(step(&mut session, desired, observed, S(at)), action);
            assert_eq!(session.state(), state);
        }
    }

    #[test]
    fn a_restart_ends_it_once_and_starts_it_again() {
        let mut session = wanted();
        step(&mut session, Desired::Running, Observed::Running, S(0));
        session.restart();
        session.ask(S(1));
        let steps = [
            (Observed::Running, Some(Action::Stop), State::Stopping),
            (Observed::Absent, Some(Action::Start), State::Starting),
            (Observed::Running, None, State::Running),
        ];
        for (at, (observed, action, state)) in (1..).zip(steps) {
            assert_eq!(step(&mut session, Desired::Running, observed, S(at)), action);
            assert_eq!(session.state(), state);
        }
        session.restart();
        assert_eq!(step(&mut session, Desired::Stopped, Observed::Absent, S(9)), None);
        assert_eq!(session.state(), State::Stopped);
        let started = step(&mut session, Desired::Running, Observed::Absent, S(10));
        assert_eq!(started, Some(Action::Start));
        assert_eq!(step(&mut session, Desired::Running, Observed::Running, S(11)), None);
    }

    #[test]
    fn what_a_restarted_gateway_finds_running_is_left_alone() {
        let mut session = wanted();
        assert_eq!(step(&mut session, Desired::Running, Observed::Running, S(0)), None);
        assert_eq!(session.state(), State::Running);
    }

    #[test]
    fn a_crash_is_answered_by_ever_longer_pauses_and_at_last_by_a_person() {
        let mut session = wanted();
        let mut now = S(0);
        let mut pauses = Vec::new();
        step(&mut session, Desired::Running, Observed::Absent, now);
        while let Some(at) = {
            step(&mut session, Desired::Running, ended(), now);
            session.deadline()
        } {
            assert_eq!((session.state(), session.reason()), (State::Failed, "no more memory"));
            assert_eq!(step(&mut session, Desired::Running, ended(), Micros(at.0 - 1)), None);
            pauses.push(at.since(now));
            now = at;
            assert_eq!(step(&mut session, Desired::Running, ended(), now), Some(Action::Start));
        }
        assert_eq!(pauses, [S(1), S(2), S(4), S(8)]);
        assert_eq!(step(&mut session, Desired::Running, ended(), S(9999)), None);
        session.ask(S(9999));
        assert_eq!(step(&mut session, Desired::Running, ended(), S(9999)), Some(Action::Start));
    }

    #[test]
    fn an_end_that_is_refused_is_tried_again_with_pauses_and_never_given_up() {
        let mut session = wanted();
        let mut now = S(0);
        let mut pauses = Vec::new();
        step(&mut session, Desired::Running, Observed::Running, now);
        for _ in 0..7 {
            let action = step(&mut session, Desired::Stopped, Observed::Running, now);
            assert_eq!(action, Some(Action::Stop));
            session.refuse("the disk is full".into(), now);
            assert_eq!((session.state(), session.reason()), (State::Stopping, "the disk is full"));
            assert_eq!(step(&mut session, Desired::Stopped, Observed::Running, now), None);
            let at = session.deadline().expect("it is tried again");
            pauses.push(at.since(now));
            now = at;
        }
        assert_eq!(pauses, [S(1), S(2), S(4), S(8), S(16), S(32), S(32)]);
        assert_eq!(step(&mut session, Desired::Stopped, Observed::Absent, now), None);
        assert_eq!((session.state(), session.reason()), (State::Stopped, ""));
    }

    #[test]
    fn what_failed_to_start_is_ended_at_once() {
        let mut session = wanted();
        step(&mut session, Desired::Running, Observed::Absent, S(0));
        session.refuse("no memory".into(), S(0));
        assert_eq!(step(&mut session, Desired::Stopped, ended(), S(0)), Some(Action::Stop));
    }

    #[test]
    fn a_crash_after_an_hour_counts_as_the_first() {
        let mut session = wanted();
        for _ in 0..3 {
            step(&mut session, Desired::Running, Observed::Absent, S(0));
            step(&mut session, Desired::Running, ended(), S(0));
            session.ask(S(0));
        }
        step(&mut session, Desired::Running, ended(), S(0));
        step(&mut session, Desired::Running, Observed::Running, S(10));
        step(&mut session, Desired::Running, ended(), S(3610));
        assert_eq!(session.deadline(), Some(S(3611)));
    }

    #[test]
    fn a_desktop_that_hangs_while_it_starts_is_ended() {
        let mut session = wanted();
        step(&mut session, Desired::Running, Observed::Absent, S(0));
        assert_eq!(step(&mut session, Desired::Running, Observed::Starting, S(59)), None);
        assert_eq!(session.deadline(), Some(S(60)));
        let action = step(&mut session, Desired::Running, Observed::Starting, S(60));
        assert_eq!(action, Some(Action::Stop));
        assert!(session.reason().contains("60 s"), "{}", session.reason());
    }

    #[test]
    fn what_is_to_start_waits_for_its_place() {
        let mut session = wanted();
        for at in [0, 1, 100] {
            assert_eq!(session.observe(Desired::Running, Observed::Absent, S(at)), None);
            assert_eq!((session.state(), session.since()), (State::Queued, S(0)));
            assert_eq!(session.deadline(), None);
        }
        assert_eq!(session.admit(S(101)), Some(Action::Start));
        assert_eq!(session.admit(S(101)), None, "a place is taken once");
        assert_eq!(session.observe(Desired::Running, Observed::Absent, S(102)), None);
        assert_eq!(session.state(), State::Starting);
    }

    #[test]
    fn what_is_no_longer_wanted_leaves_the_queue() {
        let mut session = wanted();
        session.observe(Desired::Running, Observed::Absent, S(0));
        assert_eq!(session.observe(Desired::Stopped, Observed::Absent, S(1)), None);
        assert_eq!((session.state(), session.admit(S(1))), (State::Stopped, None));
    }

    /// A session that runs, and one that is paused.
    fn running() -> Lifecycle {
        let mut session = wanted();
        session.observe(Desired::Running, Observed::Running, S(0));
        session
    }

    fn paused() -> Lifecycle {
        let mut session = running();
        session.doze();
        session.observe(Desired::Running, Observed::Running, S(1));
        session.observe(Desired::Running, Observed::Paused, S(2));
        session
    }

    #[test]
    fn what_nobody_works_at_is_paused_until_somebody_comes() {
        let mut session = running();
        session.doze();
        let mut steps = |seen, at| {
            let action = session.observe(Desired::Running, seen, S(at));
            (action, session.state())
        };
        assert_eq!(steps(Observed::Running, 1), (Some(Action::Pause), State::Idle));
        assert_eq!(steps(Observed::Paused, 2), (None, State::Idle));
        assert_eq!(steps(Observed::Paused, 9999), (None, State::Idle));
        session.wake();
        let mut steps = |seen, at| {
            let action = session.observe(Desired::Running, seen, S(at));
            (action, session.state())
        };
        assert_eq!(steps(Observed::Paused, 10_000), (Some(Action::Resume), State::Idle));
        assert_eq!(steps(Observed::Running, 10_001), (None, State::Running));
    }

    #[test]
    fn what_a_restarted_gateway_finds_paused_stays_so() {
        let mut session = wanted();
        assert_eq!(session.observe(Desired::Running, Observed::Paused, S(0)), None);
        assert_eq!((session.state(), session.deadline()), (State::Idle, None));
    }

    #[test]
    fn whoever_comes_while_it_is_being_paused_finds_it_awake() {
        let mut session = running();
        session.doze();
        assert_eq!(session.observe(Desired::Running, Observed::Running, S(1)), Some(Action::Pause));
        session.wake();
        let action = session.observe(Desired::Running, Observed::Paused, S(2));
        assert_eq!(action, Some(Action::Resume));
    }

    #[test]
    fn who_comes_before_it_is_paused_keeps_it_awake() {
        let mut session = running();
        session.doze();
        session.wake();
        assert_eq!(session.observe(Desired::Running, Observed::Running, S(1)), None);
        assert_eq!(session.state(), State::Running);
    }

    #[test]
    fn what_cannot_be_paused_runs_on_and_is_left_alone_for_a_while() {
        let mut session = running();
        for (at, action) in [(10, true), (10, false), (11, true), (12, false), (13, true)] {
            session.doze();
            let asked = session.observe(Desired::Running, Observed::Running, S(at));
            assert_eq!(asked, action.then_some(Action::Pause), "{at}");
            match asked {
                Some(_) => session.refuse("no freezer".into(), S(at)),
                None => assert_eq!(session.state(), State::Running),
            }
        }
    }

    #[test]
    fn what_cannot_be_resumed_says_why_and_is_tried_again_with_pauses() {
        let mut session = paused();
        session.wake();
        let mut now = S(10);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let action = session.observe(Desired::Running, Observed::Paused, now);
            assert_eq!(action, Some(Action::Resume));
            session.refuse("no freezer".into(), now);
            assert_eq!(session.observe(Desired::Running, Observed::Paused, now), None);
            assert_eq!((session.state(), session.reason()), (State::Idle, "no freezer"));
            let at = session.deadline().expect("it is tried again");
            pauses.push(at.since(now));
            now = at;
        }
        assert_eq!(pauses, [S(1), S(2), S(4), S(8), S(16), S(32), S(32)]);
        assert_eq!(session.observe(Desired::Running, Observed::Running, now), None);
        assert_eq!((session.state(), session.reason()), (State::Running, ""));
    }

    #[test]
    fn a_paused_desktop_is_stopped_and_its_end_is_seen() {
        let mut session = paused();
        let action = session.observe(Desired::Stopped, Observed::Paused, S(9));
        assert_eq!((action, session.state()), (Some(Action::Stop), State::Stopping));
        let mut session = paused();
        session.observe(Desired::Running, ended(), S(9));
        assert_eq!((session.state(), session.reason()), (State::Failed, "no more memory"));
    }

    #[test]
    fn a_reset_ends_it_and_starts_it_anew_once() {
        for seen in [Observed::Running, Observed::Paused, Observed::Absent, ended()] {
            let mut session = running();
            session.reset();
            session.wake();
            let action = session.observe(Desired::Running, seen, S(1));
            assert_eq!((action, session.state()), (Some(Action::Reset), State::Stopping));
            let action = step(&mut session, Desired::Running, Observed::Absent, S(2));
            assert_eq!((action, session.state()), (Some(Action::Start), State::Starting));
            assert_eq!(session.observe(Desired::Running, Observed::Running, S(3)), None);
        }
    }

    #[test]
    fn a_reset_that_is_refused_leaves_it_as_it_is() {
        let mut session = running();
        session.reset();
        session.observe(Desired::Running, Observed::Running, S(1));
        session.refuse("another one runs".into(), S(1));
        assert_eq!(session.observe(Desired::Running, Observed::Running, S(2)), None);
        assert_eq!(session.state(), State::Running);
    }

    proptest! {
        /// Whatever was seen before, a world that obeys from here on becomes what is wanted.
        #[test]
        fn an_obedient_world_becomes_what_is_wanted(
            past in prop::collection::vec((any::<bool>(), 0..5u8, 0..100u64, 0..4u8), 0..40),
            runs in any::<bool>(),
        ) {
            let mut session = wanted();
            let mut now = S(0);
            let mut world = Observed::Absent;
            for (runs, observed, span, wish) in past {
                let desired = if runs { Desired::Running } else { Desired::Stopped };
                world = match observed {
                    0 => Observed::Absent,
                    1 => Observed::Starting,
                    2 => Observed::Running,
                    3 => Observed::Paused,
                    _ => ended(),
                };
                match wish {
                    0 => session.doze(),
                    1 => session.wake(),
                    2 => session.reset(),
                    _ => {}
                }
                let is_up = matches!(world, Observed::Running | Observed::Paused);
                let action = step(&mut session, desired, world.clone(), now);
                prop_assert!(!(is_up && action == Some(Action::Start)));
                now = now.plus(S(span));
            }
            let desired = if runs { Desired::Running } else { Desired::Stopped };
            session.ask(now);
            for _ in 0..12 {
                // Somebody is there.
                session.wake();
                match (step(&mut session, desired, world.clone(), now), &world) {
                    (Some(Action::Start), _) => world = Observed::Starting,
                    (Some(Action::Stop | Action::Reset), _) => world = Observed::Absent,
                    (Some(Action::Pause), _) => world = Observed::Paused,
                    (Some(Action::Resume), _) => world = Observed::Running,
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
