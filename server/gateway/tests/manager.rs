//! The manager between a real store and a runtime that only keeps books: what people want becomes
//! true, whatever goes wrong on the way.
//!
//! In real time: the store's threads do not wait for a clock that a test turns.

use lattice_engine::reconcile::State;
use lattice_engine::session::SessionId;
use lattice_gateway::http::api::{Desktops, Live};
use lattice_gateway::hub::{Hub, Seat, Settings, Visitor};
use lattice_gateway::manager::Manager;
use lattice_gateway::runtime::{Call, Failure, Fake, InstanceState, Runtime};
use lattice_gateway::session_api::Catalogue;
use lattice_gateway::store::{
    Actor, Desired, NewSession, NewUser, Store, Timestamp, UserId, UserRole,
};
use lattice_wire::{Capabilities, ToAgent, VERSION, close};
use sqlx::{Connection as _, SqliteConnection};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// Generous: a test that gets what it waits for never waits so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first pause before something is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What outlives a gateway.
struct World {
    dir: tempfile::TempDir,
    fake: Fake,
    store: Store,
    owner: UserId,
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
        Self { dir, fake, store, owner: ada.id }
    }

    /// A gateway starts.
    fn gateway(&self) -> Gateway {
        let runtime = Arc::new(Runtime::Fake(self.fake.clone()));
        let settings = Settings { name: None, max_viewers: 10, encoders: 1 };
        let (manager, desktops, task) =
            Manager::spawn(self.store.clone(), runtime, settings, Catalogue::default());
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
        let none =
            Live { state: State::Stopped, reason: String::new(), viewers: 0, apps: Vec::new() };
        all.get(session).cloned().unwrap_or(none)
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

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(PATIENCE, future).await;
    in_time.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

fn check_pause(since: Instant, least: Duration) {
    assert!(since.elapsed() >= least, "it was tried again after {:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wanted_session_is_started_and_shown() {
    let world = World::new().await;
    let gateway = world.gateway();
    let session = world.create(1).await;
    std::fs::create_dir(world.dir.path().join(session.as_str())).expect("a directory");
    let agent = UnixListener::bind(world.socket(&session)).expect("a socket");
    gateway.desktops.wake(&session).await;
    let live = gateway.stands(&session, Some(State::Running)).await;
    assert_eq!((live.reason.as_str(), live.viewers), ("", 0));
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
    let live = calm_changes.borrow()[&calm].clone();
    let expected =
        Live { state: State::Running, reason: String::new(), viewers: 1, apps: Vec::new() };
    assert_eq!(live, expected);
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
