//! The manager between a real store and a runtime that only keeps books: what people want becomes
//! true, whatever goes wrong on the way.
//!
//! In real time: the store's threads do not wait for a clock that a test turns.

use lattice_engine::admission::Machine;
use lattice_engine::idle::Policy;
use lattice_engine::reconcile::State;
use lattice_engine::session::SessionId;
use lattice_gateway::clock;
use lattice_gateway::http::api::{Desktops, Live, Order, Queue};
use lattice_gateway::hub::{Event, Hub, Right, Seat, Settings, Visitor};
use lattice_gateway::manager::{Gauge, Manager, Rules};
use lattice_gateway::recipe::Recipes;
use lattice_gateway::runtime::{Call, Failure, Fake, Held, InstanceState, Runtime, Stored, Usage};
use lattice_gateway::store::{
    Actor, Desired, NewSession, NewUser, NewVersion, Store, Timestamp, UserId, UserRole,
};
use lattice_gateway::telemetry::Metrics;
use lattice_wire::{
    Capabilities, ClientPacket, Input, Micros, Point, PointerAt, Role, Seq, ServerPacket, Standing,
    ToAgent, VERSION, close,
};
use sqlx::{Connection as _, SqliteConnection};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Generous: a test that gets what it waits for never waits so long.
const PATIENCE: Duration = Duration::from_secs(20);
const MINUTE: Micros = Micros::from_millis(60_000);
/// A machine with room for everybody.
const ROOMY: Machine =
    Machine { total: 64 << 30, available: Some(60 << 30), pressure: None, cores: 8 };
/// The first pause before something is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What outlives a gateway.
struct World {
    dir: tempfile::TempDir,
    fake: Fake,
    store: Store,
    owner: UserId,
    policy: Policy,
    machine: watch::Sender<Machine>,
}

/// A gateway's manager.
struct Gateway {
    manager: Manager,
    desktops: Desktops,
    task: JoinHandle<()>,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let fake = Fake::new(dir.path().to_owned());
        let store = Store::open(&dir.path().join("db")).await.expect("a store");
        let ada = NewUser {
            name: "ada",
            display_name: "Ada",
            role: UserRole::Member,
            password_hash: None,
        };
        let ada = store.create_user(&ada, Actor::System, Timestamp::now()).await.expect("a user");
        let policy =
            Policy { warn: MINUTE, pause: Micros(2 * MINUTE.0), stop: Micros(3 * MINUTE.0) };
        let machine = watch::Sender::new(ROOMY);
        Self { dir, fake, store, owner: ada.id, policy, machine }
    }

    /// A gateway starts.
    fn gateway(&self) -> Gateway {
        let runtime = Arc::new(Runtime::Fake(self.fake.clone()));
        let settings = Settings { name: None, max_viewers: 10, encoders: 1 };
        let rules = Rules {
            rests: Some(self.policy),
            gauge: Gauge::Said(self.machine.subscribe()),
            ..Rules::new(recipes())
        };
        let (manager, desktops, task) =
            Manager::spawn(self.store.clone(), runtime, settings, rules);
        Gateway { manager, desktops, task }
    }

    /// Somebody wants a session.
    async fn create(&self, number: u8) -> SessionId {
        let id = SessionId::from_bytes([number; 10]);
        let new = NewSession { id: &id, owner: self.owner, template: "desktop", name: "Desk" };
        self.store.create_session(&new, 8, Timestamp::now()).await.expect("made");
        id
    }

    async fn set(&self, session: &SessionId, desired: Desired) {
        let set = self.store.set_desired(session, desired, Actor::System, Timestamp::now());
        set.await.expect("noted");
    }

    async fn delete(&self, session: &SessionId) {
        let deleted = self.store.delete_session(session, Actor::System, Timestamp::now());
        deleted.await.expect("noted");
    }

    /// Says something to the database behind the store's back.
    async fn sql(&self, statement: &'static str) {
        let url = format!("sqlite://{}", self.dir.path().join("db").display());
        let mut connection = SqliteConnection::connect(&url).await.expect("a connection");
        sqlx::query(statement).execute(&mut connection).await.expect(statement);
    }

    fn socket(&self, session: &SessionId) -> PathBuf {
        self.dir.path().join(session.as_str()).join("agent.sock")
    }

    /// What the runtime has of a session.
    async fn instance(&self, session: &SessionId) -> Option<InstanceState> {
        let list = Runtime::Fake(self.fake.clone()).list().await.expect("a list");
        list.into_iter().find(|found| found.session == *session).map(|found| found.state)
    }

    /// Waits until there were so many calls.
    async fn called(&self, call: Call, count: u64) {
        soon(&format!("{call:?} {count}"), async {
            while self.fake.calls(call) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

impl Gateway {
    /// Waits until a session stands so; nothing: until it is not told of.
    async fn stands(&self, session: &SessionId, state: Option<State>) -> Live {
        let mut changes = self.desktops.changes();
        let stands = changes.wait_for(|all| all.get(session).map(|live| live.state) == state);
        let all = soon(&format!("{session} to be {state:?}"), stands).await.expect("it lives");
        all.get(session).cloned().unwrap_or_else(|| live(State::Stopped, 0))
    }

    /// Waits until a session is told of so.
    async fn shows(&self, session: &SessionId, wanted: impl Fn(&Live) -> bool) -> Live {
        let mut changes = self.desktops.changes();
        let told = changes.wait_for(|all| all.get(session).is_some_and(&wanted));
        let all = soon("a session to be told of so", told).await.expect("the manager lives");
        all.get(session).cloned().expect("it is there")
    }

    async fn hub(&self, session: &SessionId) -> Hub {
        self.manager.hub_soon(session).await.expect("a hub")
    }

    /// Somebody looks.
    async fn viewer(&self, session: &SessionId) -> Seat {
        let hub = self.hub(session).await;
        let joined = hub.join(Visitor::owner(), Capabilities::default()).await;
        joined.expect("the hub lives").expect("there is room")
    }

    /// Somebody looks who may do this.
    async fn page(&self, session: &SessionId, role: Role, capabilities: Capabilities) -> Seat {
        let visitor = Visitor { role, name: String::new(), right: Right::default() };
        let joined = self.hub(session).await.join(visitor, capabilities).await;
        joined.expect("the hub lives").expect("there is room")
    }

    /// Whoever sits there moves the pointer.
    async fn works(&self, session: &SessionId, seat: &Seat) {
        let at = PointerAt { seq: Seq(1), at: Point { x: 1, y: 1 } };
        let packet = ClientPacket::Input(Input::Pointer(at));
        let now = clock::now();
        self.hub(session).await.send(Event::Packet(seat.viewer, packet, now)).await;
    }

    /// Waits until whoever looks at a session is told this.
    async fn tells(&self, session: &SessionId, reason: &str) {
        let mut status = self.hub(session).await.status();
        let told = status.wait_for(|status| status.reason.ends_with(reason));
        soon(&format!("{reason:?} to be told"), told).await.expect("the hub lives");
    }

    /// Waits until there is trouble, or none.
    async fn trouble(&self, wanted: bool) -> String {
        soon(&format!("trouble to be {wanted}"), async {
            while self.manager.trouble().is_some() != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            self.manager.trouble().unwrap_or_default()
        })
        .await
    }

    /// Has something done, and waits for it.
    async fn order(
        &self,
        order: impl FnOnce(lattice_gateway::http::api::Answer) -> Order,
    ) -> Result<(), String> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.desktops.order(order(reply)).await;
        soon("an answer", answer).await.expect("an answer")
    }

    async fn end(self) {
        self.manager.end();
        soon("the manager to end", self.task).await.expect("it does not panic");
    }

    /// Ends it in the midst of whatever it does.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Waits until a page is told that its desktop stands so.
async fn told(seat: &Seat, what: &str, wanted: impl Fn(Standing) -> bool) -> Standing {
    soon(what, async {
        loop {
            let bytes = seat.outbox.next().await.bytes;
            match ServerPacket::decode(&bytes).expect("a good packet") {
                ServerPacket::Standing(standing) if wanted(standing) => return standing,
                _ => {}
            }
        }
    })
    .await
}

/// What desktops are made of.
fn recipes() -> Recipes {
    Recipes::new([("desktop".into(), "name: desktop\nx-lattice: {title: Desktop}\n".into())])
}

/// A session without anything to say of it.
fn live(state: State, viewers: usize) -> Live {
    let (reason, apps) = (String::new(), Vec::new());
    let (queue, stored, usage) = (None, None, Usage::default());
    let (recipe, is_current) = (recipes().base("desktop"), true);
    Live { state, reason, viewers, apps, recipe, is_current, queue, can_pause: true, stored, usage }
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(PATIENCE, future).await;
    in_time.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

fn check_pause(since: Instant, least: Duration) {
    assert!(since.elapsed() >= least, "it was tried again after {:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wanted_session_is_started_and_shown() {
    let metrics = Metrics::install();
    let world = World::new().await;
    let gateway = world.gateway();
    let session = world.create(1).await;
    std::fs::create_dir(world.dir.path().join(session.as_str())).expect("a directory");
    let agent = UnixListener::bind(world.socket(&session)).expect("a socket");
    gateway.desktops.wake(&session).await;
    let live = gateway.stands(&session, Some(State::Running)).await;
    assert_eq!((live.reason.as_str(), live.viewers), ("", 0));
    let text = metrics.render(None);
    let counted = text.lines().find_map(|l| l.strip_prefix("lattice_session_start_seconds_count "));
    assert!(counted.is_some_and(|count| count != "0"), "its start was not counted:\n{text}");
    let Some(InstanceState::Running(address)) = world.instance(&session).await else {
        panic!("it does not run");
    };

    let (mut link, _) = soon("a link to the agent", agent.accept()).await.expect("a link");
    let length = soon("a hello", link.read_u32_le()).await.expect("a length");
    let mut packet = vec![0; length as usize];
    soon("a hello", link.read_exact(&mut packet)).await.expect("a packet");
    let token = address.token.expose().to_owned();
    assert_eq!(ToAgent::decode(&packet), Ok(ToAgent::Hello { version: VERSION, token }));

    let _seat = gateway.viewer(&session).await;
    let mut changes = gateway.desktops.changes();
    let counted = changes.wait_for(|all| all[&session].viewers == 1);
    soon("the viewer to be counted", counted).await.expect("it lives");
    assert_eq!(world.fake.calls(Call::Start), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_ends_and_who_looked_is_told() {
    let world = World::new().await;
    let gateway = world.gateway();
    let session = world.create(1).await;
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, Some(State::Running)).await;
    let seat = gateway.viewer(&session).await;

    world.set(&session, Desired::Stopped).await;
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, Some(State::Stopped)).await;
    let told = soon("the viewer to be told", seat.dismissed).await;
    assert_eq!(told, Ok((close::ENDED, "the desktop was stopped")));
    assert!(world.instance(&session).await.is_none());
    assert!(gateway.manager.hub(&session).is_none());
    assert_eq!((world.fake.calls(Call::Stop), world.fake.calls(Call::Remove)), (1, 0));

    world.set(&session, Desired::Running).await;
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, Some(State::Running)).await;
    let _seat = gateway.viewer(&session).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_removed_and_forgotten() {
    let world = World::new().await;
    let gateway = world.gateway();
    let session = world.create(1).await;
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, Some(State::Running)).await;
    let seat = gateway.viewer(&session).await;

    world.delete(&session).await;
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, None).await;
    let told = soon("the viewer to be told", seat.dismissed).await;
    assert_eq!(told, Ok((close::ENDED, "the desktop was deleted")));
    forgotten(&world).await;
    assert!(world.instance(&session).await.is_none());
    assert_eq!(world.fake.calls(Call::Remove), 1);
}

/// Waits until no session is left in the store.
async fn forgotten(world: &World) {
    soon("all sessions to be forgotten", async {
        while !world.store.all_sessions().await.expect("sessions").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_up_is_stopped_and_deleted_as_well() {
    let world = World::new().await;
    let gateway = world.gateway();
    world.fake.hold_starts();
    let (stopped, deleted) = (world.create(1).await, world.create(2).await);
    gateway.desktops.wake(&stopped).await;
    for session in [&stopped, &deleted] {
        gateway.stands(session, Some(State::Starting)).await;
    }
    world.set(&stopped, Desired::Stopped).await;
    world.delete(&deleted).await;
    gateway.desktops.wake(&stopped).await;
    gateway.stands(&stopped, Some(State::Stopped)).await;
    gateway.stands(&deleted, None).await;
    assert!(world.instance(&stopped).await.is_none());
    assert!(world.instance(&deleted).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_forgotten_only_once_its_desktop_is_removed() {
    let world = World::new().await;
    world.fake.fail(Call::Remove, Failure::Step("it is busy"));
    let session = world.create(1).await;
    world.delete(&session).await;
    let gateway = world.gateway();
    world.called(Call::Remove, 1).await;
    let first = Instant::now();
    world.called(Call::Remove, 2).await;
    check_pause(first, PAUSE.mul_f64(0.9));
    assert_eq!(world.store.all_sessions().await.expect("sessions").len(), 1);
    world.fake.heal();
    forgotten(&world).await;
    assert_eq!(gateway.manager.trouble(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_that_belongs_to_no_session_is_removed() {
    let world = World::new().await;
    let known = world.create(1).await;
    let orphan = SessionId::from_bytes([2; 10]);
    for session in [&known, &orphan] {
        world.fake.put(session, 1).expect("random bytes");
    }
    world.fake.fail(Call::Remove, Failure::Step("it is busy"));
    let gateway = world.gateway();
    world.called(Call::Remove, 1).await;
    let first = Instant::now();
    world.called(Call::Remove, 2).await;
    check_pause(first, PAUSE.mul_f64(0.9));
    world.fake.heal();
    soon("the orphan to go", async {
        while world.instance(&orphan).await.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    gateway.stands(&known, Some(State::Running)).await;
    assert_eq!((world.fake.calls(Call::Start), world.fake.calls(Call::Stop)), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_says_why_and_is_tried_again_with_pauses() {
    let world = World::new().await;
    world.fake.fail(Call::Start, Failure::Step("the disk is full"));
    let session = world.create(1).await;
    let gateway = world.gateway();
    let live = gateway.stands(&session, Some(State::Failed)).await;
    // The step and its cause.
    assert!(live.reason.starts_with("work in /"), "{}", live.reason);
    assert!(live.reason.ends_with(": the disk is full"), "{}", live.reason);
    gateway.tells(&session, "the disk is full").await;
    let mut last = Instant::now();
    for (calls, pause) in [(2, PAUSE), (3, PAUSE * 2)] {
        world.called(Call::Start, calls).await;
        check_pause(last, pause.mul_f64(0.8));
        last = Instant::now();
    }
    // The next would be 4 s from here. A person does not wait for it.
    world.fake.heal();
    world.set(&session, Desired::Running).await;
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, Some(State::Running)).await;
    assert!(last.elapsed() < PAUSE * 3, "it took {:?}", last.elapsed());
    assert_eq!((world.fake.calls(Call::Start), world.fake.starts()), (4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_fails_says_why_and_is_tried_again_with_pauses() {
    let world = World::new().await;
    let session = world.create(1).await;
    let gateway = world.gateway();
    gateway.stands(&session, Some(State::Running)).await;
    world.fake.fail(Call::Stop, Failure::Step("the disk is full"));
    world.set(&session, Desired::Stopped).await;
    gateway.desktops.wake(&session).await;
    world.called(Call::Stop, 1).await;
    let first = Instant::now();
    let mut changes = gateway.desktops.changes();
    let said = changes.wait_for(|all| all[&session].reason.ends_with("the disk is full"));
    let state = soon("the reason", said).await.expect("it lives")[&session].state;
    assert_eq!(state, State::Stopping);
    world.called(Call::Stop, 2).await;
    check_pause(first, PAUSE.mul_f64(0.9));
    world.fake.heal();
    let live = gateway.stands(&session, Some(State::Stopped)).await;
    assert_eq!(live.reason, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_panics_costs_one_attempt() {
    let world = World::new().await;
    world.fake.fail(Call::Start, Failure::Panic);
    world.fake.fail(Call::Remove, Failure::Panic);
    let session = world.create(1).await;
    let gateway = world.gateway();
    gateway.stands(&session, Some(State::Failed)).await;
    world.delete(&session).await;
    gateway.desktops.wake(&session).await;
    world.called(Call::Remove, 1).await;
    world.fake.heal();
    forgotten(&world).await;
    let again = world.create(2).await;
    gateway.desktops.wake(&again).await;
    gateway.stands(&again, Some(State::Running)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_that_ends_by_itself_is_started_again() {
    let world = World::new().await;
    let session = world.create(1).await;
    let gateway = world.gateway();
    gateway.stands(&session, Some(State::Running)).await;
    let mut seat = gateway.viewer(&session).await;
    let ended = Instant::now();
    world.fake.end(&session, "it ran out of memory");
    let live = gateway.stands(&session, Some(State::Failed)).await;
    assert_eq!(live.reason, "it ran out of memory");
    gateway.tells(&session, "it ran out of memory").await;
    assert!(ended.elapsed() < PAUSE, "viewers were told after {:?}", ended.elapsed());
    gateway.stands(&session, Some(State::Running)).await;
    check_pause(ended, PAUSE.mul_f64(0.9));
    assert_eq!(world.fake.starts(), 2);
    assert!(seat.dismissed.try_recv().is_err(), "who looks stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_manager_finds_what_runs_and_does_what_was_wanted_meanwhile() {
    let world = World::new().await;
    let (stays, goes) = (world.create(1).await, world.create(2).await);
    let first = world.gateway();
    for session in [&stays, &goes] {
        first.stands(session, Some(State::Running)).await;
    }
    let mut seat = first.viewer(&stays).await;
    first.end().await;
    assert!(seat.dismissed.try_recv().is_err(), "the gateway tells viewers of its end itself");
    world.set(&goes, Desired::Stopped).await;
    let came = world.create(3).await;

    let second = world.gateway();
    second.stands(&stays, Some(State::Running)).await;
    second.stands(&goes, Some(State::Stopped)).await;
    second.stands(&came, Some(State::Running)).await;
    let _seat = second.viewer(&stays).await;
    second.kill().await;

    let third = world.gateway();
    third.stands(&stays, Some(State::Running)).await;
    third.stands(&came, Some(State::Running)).await;
    assert_eq!((world.fake.calls(Call::Start), world.fake.starts()), (3, 3));
    assert_eq!((world.fake.calls(Call::Stop), world.fake.calls(Call::Remove)), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_do_not_disturb_each_other() {
    let world = World::new().await;
    let (calm, wild) = (world.create(1).await, world.create(2).await);
    let gateway = world.gateway();
    for session in [&calm, &wild] {
        gateway.stands(session, Some(State::Running)).await;
    }
    let mut seat = gateway.viewer(&calm).await;
    let calm_changes = gateway.desktops.changes();
    world.fake.end(&wild, "it crashed");
    gateway.stands(&wild, Some(State::Failed)).await;
    gateway.stands(&wild, Some(State::Running)).await;
    world.fake.fail(Call::Stop, Failure::Step("it is busy"));
    world.set(&wild, Desired::Stopped).await;
    gateway.desktops.wake(&wild).await;
    world.called(Call::Stop, 1).await;
    world.fake.heal();
    world.delete(&wild).await;
    gateway.desktops.wake(&wild).await;
    gateway.stands(&wild, None).await;
    assert!(seat.dismissed.try_recv().is_err(), "who looks at the other one stays");
    let shown = calm_changes.borrow()[&calm].clone();
    assert_eq!(shown, live(State::Running, 1));
    assert_eq!(world.fake.starts(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_asked_is_trouble_until_it_can() {
    let world = World::new().await;
    let session = world.create(1).await;
    let gateway = world.gateway();
    gateway.stands(&session, Some(State::Running)).await;
    assert_eq!(gateway.trouble(false).await, "");
    let mut seat = gateway.viewer(&session).await;
    world.sql("ALTER TABLE sessions RENAME TO hidden").await;
    gateway.desktops.wake(&session).await;
    let reason = gateway.trouble(true).await;
    assert!(reason.contains("no such table"), "{reason}");
    assert!(gateway.manager.hub(&session).is_some(), "what runs is shown on");
    assert!(seat.dismissed.try_recv().is_err(), "who looks stays");
    // Nobody has to say so.
    world.sql("ALTER TABLE hidden RENAME TO sessions").await;
    gateway.trouble(false).await;
    gateway.stands(&session, Some(State::Running)).await;
    assert_eq!((world.fake.calls(Call::Start), world.fake.calls(Call::Remove)), (1, 0));
    world.store.close().await;
    gateway.desktops.wake(&session).await;
    let reason = gateway.trouble(true).await;
    assert!(reason.contains("closed"), "{reason}");
    gateway.end().await;
}

const NONE: Capabilities = Capabilities(0);

const fn ms(millis: u64) -> Micros {
    Micros::from_millis(millis)
}

/// A world in which desktops rest after less than a second, but are not stopped.
async fn drowsy() -> World {
    let mut world = World::new().await;
    world.policy = Policy { warn: ms(300), pause: ms(900), stop: MINUTE };
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_at_which_nobody_works_is_paused_after_a_warning_and_woken_by_input() {
    let world = drowsy().await;
    let (session, gateway) = (world.create(1).await, world.gateway());
    gateway.stands(&session, Some(State::Running)).await;
    let mut seat = gateway.page(&session, Role::Own, NONE).await;
    let warned = told(&seat, "a warning", |is| matches!(is, Standing::Warned { .. })).await;
    assert_eq!(warned, Standing::Warned { idle_s: 0, left_s: 0, stops: false });
    told(&seat, "the pause", |is| is == Standing::Paused).await;
    let live = gateway.stands(&session, Some(State::Idle)).await;
    assert_eq!((live.viewers, world.fake.calls(Call::Pause)), (1, 1));
    assert!(matches!(world.instance(&session).await, Some(InstanceState::Paused(_))));
    assert!(seat.dismissed.try_recv().is_err(), "who looks stays");

    gateway.works(&session, &seat).await;
    told(&seat, "the end of it", |is| is == Standing::Usual).await;
    gateway.stands(&session, Some(State::Running)).await;
    assert_eq!(world.fake.calls(Call::Resume), 1);
    // And anew.
    gateway.stands(&session, Some(State::Idle)).await;
    assert_eq!((world.fake.starts(), world.fake.calls(Call::Stop)), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn work_after_the_warning_keeps_a_desktop_awake() {
    let mut world = World::new().await;
    world.policy = Policy { warn: ms(200), pause: ms(1500), stop: MINUTE };
    let (session, gateway) = (world.create(1).await, world.gateway());
    gateway.stands(&session, Some(State::Running)).await;
    let seat = gateway.page(&session, Role::Own, NONE).await;
    let begun = Instant::now();
    for _ in 0..8 {
        told(&seat, "a warning", |is| matches!(is, Standing::Warned { .. })).await;
        gateway.works(&session, &seat).await;
        told(&seat, "the end of it", |is| is == Standing::Usual).await;
    }
    check_pause(begun, Duration::from_millis(8 * 150));
    assert_eq!(world.fake.calls(Call::Pause), 0);
    gateway.stands(&session, Some(State::Idle)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opens_a_paused_desktop_wakes_it_and_whoever_watches_does_not() {
    let world = drowsy().await;
    let (session, gateway) = (world.create(1).await, world.gateway());
    gateway.stands(&session, Some(State::Idle)).await;
    let watcher = gateway.page(&session, Role::View, NONE).await;
    let back = gateway.page(&session, Role::Own, Capabilities::RETURNING).await;
    for seat in [&watcher, &back] {
        told(seat, "that it is paused", |is| is == Standing::Paused).await;
    }
    gateway.works(&session, &watcher).await;
    // The manager has looked since.
    let mut changes = gateway.desktops.changes();
    let counted = changes.wait_for(|all| all[&session].viewers == 2);
    soon("the viewers to be counted", counted).await.expect("it lives");
    assert_eq!(world.fake.calls(Call::Resume), 0);
    let _owner = gateway.page(&session, Role::Control, NONE).await;
    gateway.stands(&session, Some(State::Running)).await;
    assert_eq!(world.fake.calls(Call::Resume), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_desktop_stays_so_over_a_restart_and_goes_on_by_a_start() {
    let world = drowsy().await;
    let (session, first) = (world.create(1).await, world.gateway());
    first.stands(&session, Some(State::Idle)).await;
    first.kill().await;
    let second = world.gateway();
    second.stands(&session, Some(State::Idle)).await;
    let instance = world.instance(&session).await;
    assert!(matches!(instance, Some(InstanceState::Paused(_))), "{instance:?}");
    assert_eq!(world.fake.calls(Call::Resume), 0);
    world.set(&session, Desired::Running).await;
    second.desktops.wake(&session).await;
    second.stands(&session, Some(State::Running)).await;
    assert_eq!((world.fake.calls(Call::Resume), world.fake.starts()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_that_rests_for_long_is_stopped_and_does_not_come_back() {
    let mut world = World::new().await;
    world.policy = Policy { warn: ms(100), pause: ms(200), stop: ms(700) };
    let (session, gateway) = (world.create(1).await, world.gateway());
    gateway.stands(&session, Some(State::Running)).await;
    let seat = gateway.page(&session, Role::View, NONE).await;
    gateway.stands(&session, Some(State::Idle)).await;
    gateway.stands(&session, Some(State::Stopped)).await;
    let reason = soon("the viewer to be told", seat.dismissed).await.expect("told").1;
    assert!(reason.contains("nobody worked"), "{reason}");
    let stored = world.store.session(&session).await.expect("read").expect("there");
    assert_eq!(stored.desired, Desired::Stopped);
    assert_eq!((world.fake.calls(Call::Stop), world.fake.calls(Call::Start)), (1, 1));
    world.set(&session, Desired::Running).await;
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, Some(State::Running)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_pauses_and_resets_a_desktop() {
    let world = World::new().await;
    let (session, gateway) = (world.create(1).await, world.gateway());
    gateway.stands(&session, Some(State::Running)).await;
    assert_eq!(gateway.order(|answer| Order::Pause(session.clone(), answer)).await, Ok(()));
    gateway.stands(&session, Some(State::Idle)).await;
    let refused = gateway.order(|answer| Order::Pause(session.clone(), answer)).await;
    assert!(refused.is_err(), "it is paused already");
    assert_eq!(gateway.order(|answer| Order::Reset(session.clone(), answer)).await, Ok(()));
    gateway.stands(&session, Some(State::Running)).await;
    assert_eq!((world.fake.calls(Call::Reset), world.fake.starts()), (1, 2));

    for call in [Call::Pause, Call::Reset] {
        world.fake.fail(call, Failure::Step("the disk is full"));
    }
    for reset in [false, true] {
        let refused = gateway.order(|answer| match reset {
            true => Order::Reset(session.clone(), answer),
            false => Order::Pause(session.clone(), answer),
        });
        let refused = refused.await.expect_err("it fails");
        assert!(refused.ends_with("the disk is full"), "{refused}");
        gateway.stands(&session, Some(State::Running)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_no_room_waits_in_line_and_comes_in_when_there_is() {
    let world = World::new().await;
    let full = Machine { total: 4 << 30, available: Some(100 << 20), ..ROOMY };
    world.machine.send_replace(full);
    let first = world.create(1).await;
    let gateway = world.gateway();
    // Where there is none yet, one is tried.
    gateway.stands(&first, Some(State::Running)).await;
    let (second, third, fourth) =
        (world.create(2).await, world.create(3).await, world.create(4).await);
    gateway.desktops.wake(&second).await;
    let mut line = Vec::new();
    for session in [&second, &third, &fourth] {
        let live = gateway.stands(session, Some(State::Queued)).await;
        let queue = live.queue.expect("a place in line");
        assert_eq!(queue.eta_s, None, "nobody knows yet");
        line.push((queue.position, session));
    }
    line.sort_unstable();
    assert_eq!(line.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [1, 2, 3]);
    let [(_, next), (_, goes), (_, last)] = line[..] else { panic!("{line:?}") };
    let seat = gateway.page(last, Role::Own, NONE).await;
    told(&seat, "its place", |is| is == Standing::Queued { position: 3, eta_s: None }).await;

    world.set(goes, Desired::Stopped).await;
    gateway.desktops.wake(goes).await;
    gateway.stands(goes, Some(State::Stopped)).await;
    told(&seat, "its place", |is| is == Standing::Queued { position: 2, eta_s: None }).await;
    assert_eq!(world.fake.starts(), 1);
    // Room for one; nobody has to say so.
    world.machine.send_replace(Machine { available: Some(800 << 20), ..full });
    gateway.stands(next, Some(State::Running)).await;
    world.machine.send_replace(ROOMY);
    gateway.stands(last, Some(State::Running)).await;
    told(&seat, "the end of it", |is| is == Standing::Usual).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_desktop_was_measured_to_need_counts() {
    let world = World::new().await;
    world.machine.send_replace(Machine { total: 4 << 30, available: Some(2 << 30), ..ROOMY });
    world.fake.measure("desktop", 3 << 30);
    let (session, gateway) = (world.create(1).await, world.gateway());
    gateway.stands(&session, Some(State::Running)).await;
    let other = world.create(2).await;
    gateway.desktops.wake(&other).await;
    gateway.stands(&other, Some(State::Queued)).await;
    world.fake.measure("desktop", 1 << 30);
    gateway.stands(&other, Some(State::Running)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_keeps_is_shown_with_all_of_their_sessions() {
    let world = World::new().await;
    let gateway = world.gateway();
    let session = world.create(1).await;
    gateway.desktops.wake(&session).await;
    let live = gateway.stands(&session, Some(State::Running)).await;
    assert_eq!(live.stored, None);
    let held = Held { used: 7, limit: Some(100) };
    let stored = Stored { data: held, home: held, apps: held, is_enforced: true };
    world.fake.fill(world.owner.0, stored);
    let mut changes = gateway.desktops.changes();
    let told = changes.wait_for(|all| all[&session].stored == Some(stored));
    soon("it to be told", told).await.expect("it lives");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_starts_at_once_takes_turns() {
    let world = World::new().await;
    world.machine.send_replace(Machine { cores: 1, ..ROOMY });
    world.fake.hold_starts();
    let mut waiting = Vec::new();
    for number in 1..=6 {
        waiting.push(world.create(number).await);
    }
    let gateway = world.gateway();
    for started in [2, 4, 6] {
        world.called(Call::Start, started).await;
        let mut changes = gateway.desktops.changes();
        let told = changes.wait_for(|all| {
            let starting = all.values().filter(|live| live.state == State::Starting).count();
            let queued = all.values().filter(|live| live.queue.is_some()).count();
            (starting, queued) == (2, 6 - started as usize)
        });
        let all = soon("two to start", told).await.expect("it lives").clone();
        assert_eq!(world.fake.calls(Call::Start), started);
        let next = all.values().find_map(|live| live.queue.filter(|queue| queue.position == 1));
        match (started, next) {
            (2, next) => assert_eq!(next, Some(Queue { position: 1, eta_s: None })),
            // Those before took a moment.
            (4, next) => assert_eq!(next, Some(Queue { position: 1, eta_s: Some(5) })),
            (_, next) => assert_eq!(next, None),
        }
        for (session, _) in all.iter().filter(|(_, live)| live.state == State::Starting) {
            world.fake.finish_start(session).expect("random bytes");
        }
    }
    for session in &waiting {
        gateway.stands(session, Some(State::Running)).await;
    }
}

#[tokio::test]
async fn a_desktop_that_was_thrown_away_is_frozen_for_a_while_and_goes_on_when_taken_back() {
    let world = World::new().await;
    let session = world.create(1).await;
    let gateway = world.gateway();
    gateway.stands(&session, Some(State::Running)).await;
    let (actor, now) = (Actor::System, Timestamp::now());
    world.store.discard_session(&session, actor, now).await.expect("thrown away");
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, Some(State::Idle)).await;
    assert_eq!(world.fake.calls(Call::Stop), 0, "its programs are kept");
    assert!(gateway.manager.hub(&session).is_none(), "nobody looks at it");
    // Another gateway keeps them, too.
    gateway.end().await;
    let gateway = world.gateway();
    gateway.stands(&session, Some(State::Idle)).await;
    world.store.recover_session(&session, 8, actor, now).await.expect("taken back");
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, Some(State::Running)).await;
    assert_eq!((world.fake.calls(Call::Start), world.fake.calls(Call::Stop)), (1, 0));
    assert!(gateway.manager.hub(&session).is_some());

    world.store.discard_session(&session, actor, now.plus(-600)).await.expect("thrown away");
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, Some(State::Stopped)).await;
    assert_eq!(world.fake.calls(Call::Start), 1, "it does not start by itself");
    world.store.recover_session(&session, 8, actor, now).await.expect("taken back");
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, Some(State::Running)).await;
    gateway.end().await;
}

#[tokio::test]
async fn a_restart_ends_a_desktop_and_starts_it_again_with_those_who_look() {
    let world = World::new().await;
    let session = world.create(1).await;
    let gateway = world.gateway();
    gateway.stands(&session, Some(State::Running)).await;
    let _seat = gateway.viewer(&session).await;
    gateway.order(|answer| Order::Restart(session.clone(), answer)).await.expect("ended");
    world.called(Call::Start, 2).await;
    gateway.stands(&session, Some(State::Running)).await;
    assert_eq!(world.fake.calls(Call::Stop), 1);
    let people = gateway.hub(&session).await.status().borrow().people.len();
    assert_eq!(people, 1, "they need not come back");
    gateway.end().await;
}

/// A desktop goes on as it was started, also for a gateway that has only just come; the newest version
/// holds from its next start on.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_holds_from_the_next_start_on() {
    let world = World::new().await;
    let gateway = world.gateway();
    let session = world.create(1).await;
    gateway.desktops.wake(&session).await;
    let live = gateway.stands(&session, Some(State::Running)).await;
    assert!(live.is_current && live.apps.is_empty());

    let before = "name: desktop\nx-lattice: {title: Desktop}\n";
    let text = "name: desktop\nservices: {code: {image: lattice/code}}\nx-lattice: {title: Desktop, apps: \
                {code: {title: Code}}}\n";
    let apply = async |based_on: u32, text: &str| {
        let new = NewVersion { based_on, before, text, note: "", author: world.owner };
        world.store.apply_template(&session, &new, Timestamp::now()).await.expect("applied");
        gateway.desktops.wake(&session).await;
    };
    apply(0, text).await;
    let live = gateway.shows(&session, |live| !live.is_current).await;
    assert!(live.apps.is_empty(), "it runs as before");
    let refused = gateway.desktops.open(&session, "code").await;
    assert!(refused.is_err(), "what runs has no such app");

    world.set(&session, Desired::Stopped).await;
    gateway.desktops.wake(&session).await;
    gateway.stands(&session, Some(State::Stopped)).await;
    world.set(&session, Desired::Running).await;
    gateway.desktops.wake(&session).await;
    let live = gateway.shows(&session, |live| live.state == State::Running).await;
    assert!(live.is_current);
    assert_eq!(live.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["code"]);
    gateway.desktops.open(&session, "code").await.expect("it has that app");

    // What it was started with is nowhere but in the runtime now.
    apply(1, before).await;
    gateway.shows(&session, |live| !live.is_current).await;
    gateway.end().await;
    let gateway = world.gateway();
    let live = gateway.shows(&session, |live| live.state == State::Running).await;
    assert!(!live.is_current && live.apps.len() == 1, "{live:?}");
}
