//! One task a session: it owns the viewers, the link to the desktop's agent, and who drives.
//!
//! Viewers and the agent talk to it by bounded channels; it never waits for any of them. What goes
//! to a viewer waits in its [`Outbox`], bounded by the fan-out; what goes to the agent in a channel
//! whose last places are kept for what must not be lost.

pub mod agent_link;
pub mod intake;
pub mod outbox;
mod session;

use crate::clock;
use crate::store::{LinkId, LoginId, UserId};
use bytes::Bytes;
use lattice_wire::{
    AgentHello, Availability, Capabilities, ClientPacket, FromAgent, Micros, Person, Role,
    Standing, ToAgent, ViewerId,
};
use outbox::Outbox;
use session::Session;
use std::future::pending;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Events of viewers that wait for the hub; beyond, their sockets are not read.
const EVENTS: usize = 256;
/// Packets of the agent that wait for the hub; beyond, its socket is not read. Each may be large.
const AGENT_EVENTS: usize = 2;

/// Work is noted at most so often: the manager looks at every session whenever a status changes.
pub const WORK_NOTED: Micros = Micros::from_millis(5000);

/// What a viewer tells the hub.
#[derive(Debug)]
pub enum Event {
    /// Somebody wants to look.
    Join {
        /// Who it is.
        visitor: Visitor,
        /// What their browser can do.
        capabilities: Capabilities,
        /// Where their place is told.
        reply: oneshot::Sender<Result<Seat, Full>>,
    },
    /// A viewer went.
    Left(ViewerId),
    /// Control is given to this viewer by whoever may do so from outside, or taken back where there
    /// is none.
    Give(Option<ViewerId>),
    /// Whether the desktop rests or waits has changed. Of one that is paused there is no link.
    Standing(Standing),
    /// The desktop's agent may have so many video encoders from here on.
    Encoders(u8),
    /// Somebody looks at still pictures: a new one is wanted as soon as there is something new to see.
    WantStill,
    /// The desktop's page is to be offered to its owner.
    OfferPage,
    /// The desktop is called this from here on.
    Name(String),
    /// These viewers must go, with this close code and reason.
    Dismiss(Whose, u16, &'static str),
    /// A packet of a viewer, and when it came.
    Packet(ViewerId, ClientPacket, Micros),
    /// A frame of this run is being written to the viewer's socket.
    Taken(ViewerId, u32),
    /// A piece of a frame went out to this viewer.
    Progress(ViewerId),
    /// This viewer answered a ping after so long.
    RoundTrip(ViewerId, Micros),
    /// The kernel's least round trip on this viewer's connection has changed.
    Kernel(ViewerId, Micros),
}

/// What the agent's link tells the hub.
#[derive(Debug)]
pub enum AgentEvent {
    /// A link is up; packets for the agent go in here.
    Up(AgentHello, mpsc::Sender<ToAgent>),
    /// The agent said something.
    Packet(FromAgent),
    /// The link is gone, and why, for a person to read.
    Down(String),
}

/// Who wants to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// What they may do.
    pub role: Role,
    /// What owners know them by.
    pub name: String,
    /// What let them in.
    pub right: Right,
}

impl Visitor {
    /// Whoever has the token of `lattice share` owns the desktop.
    pub fn owner() -> Self {
        Self { role: Role::Own, name: String::new(), right: Right::default() }
    }
}

/// What let a viewer in, by its number in the store: when that ends, so does the viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Right {
    /// The signed-in browser; a program has none.
    pub login: Option<LoginId>,
    /// The share link.
    pub link: Option<LinkId>,
    /// The person, where they have an account.
    pub user: Option<UserId>,
}

/// Viewers that have something in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of a signed-in browser.
    Login(LoginId),
    /// Those who came by a share link.
    Link(LinkId),
    /// Those of a person, wherever they are. They may come back by what they may do now.
    User(UserId),
    /// All.
    Everybody,
}

impl Whose {
    /// Whether a viewer with this right is one of them.
    pub fn includes(self, right: Right) -> bool {
        match self {
            Self::Login(login) => right.login == Some(login),
            Self::Link(link) => right.link == Some(link),
            Self::User(user) => right.user == Some(user),
            Self::Everybody => true,
        }
    }
}

/// The session has as many viewers as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// How many that is.
    pub max: usize,
}

/// A viewer's place in the session.
#[derive(Debug)]
pub struct Seat {
    /// Its id.
    pub viewer: ViewerId,
    /// What is to be written to it.
    pub outbox: Arc<Outbox>,
    /// Resolves to a close code and reason when it must go.
    pub dismissed: oneshot::Receiver<(u16, &'static str)>,
}

/// Somebody who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// As owners know them.
    pub person: Person,
    /// What let them in.
    pub right: Right,
}

/// The session as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What the desktop is called.
    pub name: String,
    /// Whether there is a display, once the agent said so.
    pub display: Option<Availability>,
    /// Why there is none, for a person to read.
    pub reason: String,
    /// Whether an agent is there.
    pub linked: bool,
    /// Who looks, in the order in which they came.
    pub people: Vec<Seen>,
    /// Who of them drives.
    pub controller: Option<ViewerId>,
    /// When somebody last worked at it, as exactly as [`WORK_NOTED`] has it; at once where it rests or
    /// is about to.
    pub worked_at: Option<Micros>,
    /// When somebody who may drive last opened it. A page that comes back by itself does not count.
    pub opened_at: Option<Micros>,
}

impl Status {
    /// The session's state as the API names it.
    pub fn state(&self) -> &'static str {
        match (self.linked, self.display) {
            (true, Some(Availability::Live)) => "running",
            (_, Some(Availability::Ended)) => "stopped",
            (_, Some(Availability::Live | Availability::Lost) | None) => "starting",
        }
    }

    /// Whether a viewer would see the desktop.
    pub fn is_live(&self) -> bool {
        self.state() == "running"
    }
}

/// What a session is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The desktop's name where it has one of its own.
    pub name: Option<String>,
    /// The most viewers.
    pub max_viewers: usize,
    /// The most video encoders its agent may have; 0 where there is to be no video.
    pub encoders: u8,
}

impl Settings {
    /// The same for a session of this name.
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }
}

/// A handle to the session's task.
#[derive(Debug, Clone)]
pub struct Hub {
    events: mpsc::Sender<Event>,
    agent: mpsc::Sender<AgentEvent>,
    status: watch::Receiver<Status>,
    still: watch::Receiver<Bytes>,
}

impl Hub {
    /// Starts the task. It ends when the last handle is gone.
    pub fn spawn(settings: Settings) -> (Self, tokio::task::JoinHandle<()>) {
        let (events, from_viewers) = mpsc::channel(EVENTS);
        let (agent, from_agent) = mpsc::channel(AGENT_EVENTS);
        let session = Session::new(settings);
        let (status, still) = (session.status(), session.still());
        let task = tokio::spawn(run(session, from_viewers, from_agent));
        (Self { events, agent, status, still }, task)
    }

    /// Asks for a place; nothing where the session's task is gone.
    pub async fn join(
        &self,
        visitor: Visitor,
        capabilities: Capabilities,
    ) -> Option<Result<Seat, Full>> {
        let (reply, answer) = oneshot::channel();
        self.send(Event::Join { visitor, capabilities, reply }).await;
        answer.await.ok()
    }

    /// Tells the hub something. A hub that is gone needs no telling: the process ends then.
    pub async fn send(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    /// Tells the hub something if there is room for it; whether there was.
    pub fn try_send(&self, event: Event) -> bool {
        self.events.try_send(event).is_ok()
    }

    /// Where the agent's link reports.
    pub fn agent(&self) -> mpsc::Sender<AgentEvent> {
        self.agent.clone()
    }

    /// The newest still picture as the agent wrote it, of at most
    /// [`lattice_wire::link::MAX_STILL`] bytes and otherwise anything; empty at first.
    pub fn still(&self) -> watch::Receiver<Bytes> {
        self.still.clone()
    }

    /// The session as it is, and its changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}

async fn run(
    mut session: Session,
    mut viewers: mpsc::Receiver<Event>,
    mut agent: mpsc::Receiver<AgentEvent>,
) {
    loop {
        let deadline = session.deadline();
        tokio::select! {
            event = viewers.recv() => match event {
                Some(event) => session.handle_event(event, clock::now()),
                None => return,
            },
            Some(event) = agent.recv() => session.handle_agent(event, clock::now()),
            () = sleep_until(deadline) => {}
        }
        session.settle(clock::now());
    }
}

/// Sleeps until the clock shows `at`, for ever where it is nothing.
pub(crate) async fn sleep_until(at: Option<Micros>) {
    match at {
        Some(at) => tokio::time::sleep_until(clock::instant(at)).await,
        None => pending().await,
    }
}

fn packet(packet: &lattice_wire::ServerPacket) -> Bytes {
    packet.encode().into()
}
