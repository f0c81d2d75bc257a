//! The API's side of the session manager: what runs is read from a snapshot, what is to happen is
//! said by orders. The store holds what is desired; an order only says where to look.

use super::gallery::Gallery;
use crate::broker::protocol::{Stored, Usage};
use crate::hub::Whose;
use crate::recipe::Recipe;
use crate::session_api::AppError;
use crate::store::LoginId;
use lattice_engine::reconcile::State;
use lattice_engine::session::SessionId;
use lattice_wire::ViewerId;
use lattice_wire::apps::App;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use utoipa::ToSchema;

/// Orders that wait; beyond, the requests that give them wait.
const ORDERS: usize = 256;
/// How long a request waits for what it asked for to be done.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// A session as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// What it does.
    pub state: State,
    /// Why, for a person to read; may be empty.
    pub reason: String,
    /// How many look.
    pub viewers: usize,
    /// The apps of its recipe, and how they are.
    pub apps: Vec<App>,
    /// What it is made of: where it runs, what it was started with.
    pub recipe: Arc<Recipe>,
    /// Whether a start would make it of the same.
    pub is_current: bool,
    /// Where it waits, if it does.
    pub queue: Option<Queue>,
    /// Whether it can be paused.
    pub can_pause: bool,
    /// What its owner keeps, where that was measured.
    pub stored: Option<Stored>,
    /// What it is made of and takes.
    pub usage: Usage,
}

/// A place in the line of those for which the machine has no room yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Queue {
    /// From 1, who is next.
    pub position: u16,
    /// How many seconds it is thought to take; nothing where nobody knows.
    pub eta_s: Option<u32>,
}

/// Whether what was asked for was done, or why not.
pub type Answer = oneshot::Sender<Result<(), String>>;

/// Somebody who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Their place.
    pub viewer: ViewerId,
    /// What they are called.
    pub name: String,
    /// What they may do, as the API writes it.
    pub role: &'static str,
    /// Whether they drive.
    pub driving: bool,
    /// By which login they came, to be told "you".
    pub login: Option<LoginId>,
}

/// That viewer is not there, may not drive, or nothing runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchViewer;

/// What the manager is told.
#[derive(Debug)]
pub enum Order {
    /// What is desired of this session may have changed.
    Look(SessionId),
    /// Say who looks at it.
    Viewers(SessionId, oneshot::Sender<Vec<Presence>>),
    /// Have that viewer drive it, or whoever owns it.
    GiveControl(SessionId, Option<ViewerId>, oneshot::Sender<Result<(), NoSuchViewer>>),
    /// Freeze it, where it runs.
    Pause(SessionId, Answer),
    /// End it and start it, where it runs.
    Restart(SessionId, Answer),
    /// End it, have its home begin anew, and start it.
    Reset(SessionId, Answer),
    /// End these sockets now.
    Dismiss(Whose),
    /// A session that is half started already, if there is one.
    Reserve(oneshot::Sender<Option<SessionId>>),
    /// Have its next picture made.
    Picture(SessionId),
    /// Have its page offered to its owner; whether one looks.
    OfferPage(SessionId, oneshot::Sender<bool>),
    /// Open or close that app on it.
    App(SessionId, AppOrder, oneshot::Sender<Result<(), AppError>>),
}

/// What is to become of an app of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppOrder {
    /// It is to be open.
    Open(String),
    /// It is not.
    Close(String),
}

/// A new session is not held up for one that would start sooner.
const RESERVE_PATIENCE: Duration = Duration::from_millis(500);

/// A handle to the manager.
#[derive(Debug, Clone)]
pub struct Desktops {
    live: watch::Receiver<Arc<HashMap<SessionId, Live>>>,
    trouble: watch::Receiver<bool>,
    orders: mpsc::Sender<Order>,
    gallery: Gallery,
}

/// What runs, as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) live: Arc<HashMap<SessionId, Live>>,
    /// The number of each session's newest picture.
    pub(super) pictures: HashMap<SessionId, u64>,
}

/// The manager's end.
#[derive(Debug)]
pub struct Inbox {
    /// Where it says what is: all sessions of the runtime.
    pub live: watch::Sender<Arc<HashMap<SessionId, Live>>>,
    /// Where it says that it cannot look after sessions at this moment.
    pub trouble: watch::Sender<bool>,
    /// Where it is told.
    pub orders: mpsc::Receiver<Order>,
}

impl Desktops {
    /// Both ends.
    pub fn channel() -> (Self, Inbox) {
        let (says, live) = watch::channel(Arc::default());
        let (is_troubled, trouble) = watch::channel(false);
        let (orders, told) = mpsc::channel(ORDERS);
        let gallery = Gallery::default();
        (
            Self { live, trouble, orders, gallery },
            Inbox { live: says, trouble: is_troubled, orders: told },
        )
    }

    /// What runs.
    pub(super) fn list(&self) -> Arc<HashMap<SessionId, Live>> {
        self.live.borrow().clone()
    }

    /// The same with what belongs to it.
    pub(super) fn shown(&self) -> Shown {
        Shown { live: self.list(), pictures: self.gallery.numbers() }
    }

    /// Pictures of what runs.
    pub fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// Has a session's next picture made.
    pub(super) async fn want_picture(&self, session: &SessionId) {
        self.order(Order::Picture(session.clone())).await;
    }

    /// What runs, and its changes.
    pub fn changes(&self) -> watch::Receiver<Arc<HashMap<SessionId, Live>>> {
        self.live.clone()
    }

    /// Has the manager look at what is desired of a session.
    pub async fn wake(&self, session: &SessionId) {
        self.order(Order::Look(session.clone())).await;
    }

    /// The id of a session that starts the sooner, for a new one; nothing where none is ready.
    pub(super) async fn reserve(&self) -> Option<SessionId> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Reserve(reply)).await;
        timeout(RESERVE_PATIENCE, answer).await.ok()?.ok()?
    }

    /// Whether what is wanted is not made true at this moment.
    pub(super) fn in_trouble(&self) -> bool {
        *self.trouble.borrow()
    }

    /// Has a session paused; an error says why it is not.
    pub(super) async fn pause(&self, session: &SessionId) -> Result<(), String> {
        self.asked(|answer| Order::Pause(session.clone(), answer)).await
    }

    /// Has a session that runs end and start again; an error says why it does not.
    pub(super) async fn restart(&self, session: &SessionId) -> Result<(), String> {
        self.asked(|answer| Order::Restart(session.clone(), answer)).await
    }

    /// Has a session begin anew; an error says why it does not.
    pub(super) async fn reset(&self, session: &SessionId) -> Result<(), String> {
        self.asked(|answer| Order::Reset(session.clone(), answer)).await
    }

    /// What takes longer goes on by itself, and what was overtaken by something else is no error.
    async fn asked(&self, order: impl FnOnce(Answer) -> Order) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        self.order(order(reply)).await;
        match timeout(ANSWER_PATIENCE, answer).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    /// Who looks at a session.
    pub(super) async fn viewers(&self, session: &SessionId) -> Vec<Presence> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Viewers(session.clone(), reply)).await;
        answer.await.unwrap_or_default()
    }

    /// Has a viewer drive.
    pub(super) async fn give_control(
        &self,
        session: &SessionId,
        to: Option<ViewerId>,
    ) -> Result<(), NoSuchViewer> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::GiveControl(session.clone(), to, reply)).await;
        answer.await.unwrap_or(Err(NoSuchViewer))
    }

    /// Has a session's page offered to its owner; whether one looks.
    pub(super) async fn offer_page(&self, session: &SessionId) -> bool {
        let (reply, answer) = oneshot::channel();
        self.order(Order::OfferPage(session.clone(), reply)).await;
        answer.await.unwrap_or(false)
    }

    /// Ends sockets.
    pub(super) async fn dismiss(&self, whose: Whose) {
        self.order(Order::Dismiss(whose)).await;
    }

    /// Opens an app; returns once that is under way. Opening what is open is fine.
    pub async fn open(&self, session: &SessionId, app: &str) -> Result<(), AppError> {
        self.app(session, AppOrder::Open(app.to_owned())).await
    }

    /// Ends an app. Closing what is not open is fine.
    pub async fn close(&self, session: &SessionId, app: &str) -> Result<(), AppError> {
        self.app(session, AppOrder::Close(app.to_owned())).await
    }

    async fn app(&self, session: &SessionId, what: AppOrder) -> Result<(), AppError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::App(session.clone(), what, reply)).await;
        let fault = || AppError::Failed("the server has a fault; its log says more".into());
        answer.await.unwrap_or_else(|_| Err(fault()))
    }

    /// Tells the manager. One that is gone needs no orders: the process ends then.
    pub async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }
}
