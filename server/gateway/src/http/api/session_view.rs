//! A session as whoever asks sees it.

use super::apps::AppView;
use super::desktops::{Live, Queue, Shown};
use crate::broker::protocol::{Held, PartState, SeenPart, Stored, Usage};
use crate::store::{Desired, Session, Timestamp, User};
use lattice_engine::policy::SessionRole;
use lattice_engine::reconcile::State;
use serde::Serialize;
use utoipa::ToSchema;

/// A session, as whoever asks sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionView {
    #[schema(example = "mzxw6ytboinquzjm")]
    pub(super) id: String,
    name: String,
    template: String,
    owner: OwnerView,
    /// `requested`, `queued`, `starting`, `running`, `idle` (paused), `stopping`, `stopped` or `failed`.
    state: &'static str,
    /// Why it is in that state, for a person; may be empty.
    reason: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// Where its desktop is to be seen.
    url: String,
    /// What the asker is to it: `owner`, `admin`, `control`, `assist` or `view`.
    role: &'static str,
    /// How many look.
    viewers: usize,
    /// Its place in line, where it is `queued`.
    queue: Option<Queue>,
    /// Whether it can be paused.
    can_pause: bool,
    /// The number of its newest picture, which changes with each.
    pub(super) picture: Option<u64>,
    /// What its owner keeps, for them and administrators, where that was measured.
    storage: Option<StorageView>,
    /// What it is made of and takes, for its owner and administrators, where it runs.
    usage: Option<UsageView>,
    /// Its apps, for its owner and administrators.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    apps: Vec<AppView>,
    /// Apps that are installed and that it has not, for its owner and administrators.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOutView>,
    /// The version of its template that holds from its next start on; 0 is the server's own.
    template_version: u32,
    /// Whether what runs is made of that, for its owner and administrators; null where nothing runs.
    template_current: Option<bool>,
    /// Where it was thrown away: until when it can be had back.
    #[serde(skip_serializing_if = "Option::is_none")]
    discarded: Option<DiscardedView>,
}

/// An app that is installed, and that a session has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LeftOut)]
struct LeftOutView {
    /// Its name in its catalogue.
    #[schema(example = "draw")]
    app: String,
    /// `name`, since the desktop has another app of that name, or `room`, since all its apps together would
    /// need more than any desktop may have.
    why: &'static str,
}

/// What a session is made of and takes, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Usage)]
struct UsageView {
    /// Since when it runs.
    #[schema(format = DateTime)]
    since: Option<String>,
    memory_bytes: Option<u64>,
    /// How busy it keeps the processors: 100 is one of them, all the time.
    cpu_percent: Option<u32>,
    /// Nothing where it is not made of containers.
    parts: Vec<PartView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Part)]
struct PartView {
    /// `xorg`, `dbus`, `api`, `desktop`, or the name of an app.
    name: String,
    app: bool,
    /// `starting`, `running`, `paused` or `ended`.
    state: &'static str,
}

impl From<&Usage> for UsageView {
    fn from(usage: &Usage) -> Self {
        let part = |part: &SeenPart| PartView {
            name: part.name.clone(),
            app: part.is_app,
            state: match part.state {
                PartState::Starting => "starting",
                PartState::Running => "running",
                PartState::Paused => "paused",
                PartState::Ended => "ended",
            },
        };
        Self {
            since: usage.since.map(|since| Timestamp(since).to_string()),
            memory_bytes: usage.memory,
            cpu_percent: usage.cpu,
            parts: usage.parts.iter().map(part).collect(),
        }
    }
}

/// Until when a session that was thrown away can be had back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Discarded)]
struct DiscardedView {
    /// Then it goes for good.
    #[schema(format = DateTime)]
    until: String,
    /// Until when its programs are kept with what is not saved in them; null where they are not.
    #[schema(format = DateTime)]
    programs_until: Option<String>,
}

/// What somebody keeps, in all of their sessions together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Storage)]
pub(super) struct StorageView {
    data: PlaceView,
    home: PlaceView,
    /// The homes of all apps.
    apps: PlaceView,
    /// Whether no more than the limits can be kept; else they only say what should not be exceeded.
    enforced: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct PlaceView {
    used_bytes: u64,
    /// Nothing where it is not limited.
    limit_bytes: Option<u64>,
    /// Whether less than a twentieth of the limit is left.
    full: bool,
}

impl From<Stored> for StorageView {
    fn from(stored: Stored) -> Self {
        let view = |held: Held| PlaceView {
            used_bytes: held.used,
            limit_bytes: held.limit,
            full: held.is_full(),
        };
        Self {
            data: view(stored.data),
            home: view(stored.home),
            apps: view(stored.apps),
            enforced: stored.is_enforced,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct OwnerView {
    id: String,
    name: String,
    display_name: String,
}

impl OwnerView {
    pub(super) fn of_user(user: &User) -> Self {
        let (id, name) = (user.id.0.to_string(), user.name.clone());
        Self { id, name, display_name: user.display_name.clone() }
    }
}

/// What somebody who is that to it is told of a session.
pub(super) fn view(session: Session, role: SessionRole, shown: &Shown) -> SessionView {
    let found = shown.live.get(&session.id);
    let kept = found.filter(|_| matches!(role, SessionRole::Owner | SessionRole::Admin));
    let state = state(session.desired, found.map(|live| live.state));
    SessionView {
        state: state.name(),
        picture: shown.pictures.get(&session.id).copied(),
        queue: found.and_then(|live| live.queue).filter(|_| state == State::Queued),
        can_pause: found.is_some_and(|live| live.can_pause),
        reason: found.map(|live| live.reason.clone()).unwrap_or_default(),
        viewers: found.map_or(0, |live| live.viewers),
        usage: kept
            .filter(|live| matches!(live.state, State::Running | State::Idle))
            .map(|live| UsageView::from(&live.usage)),
        apps: kept.map(AppView::all_of).unwrap_or_default(),
        left_out: kept.map(left_out).unwrap_or_default(),
        template_version: session.template_version,
        template_current: kept
            .filter(|live| matches!(live.state, State::Running | State::Idle))
            .map(|live| live.is_current),
        storage: kept.and_then(|live| live.stored).map(StorageView::from),
        discarded: session.discarded.map(|discarded| DiscardedView {
            until: discarded.gone_at().to_string(),
            programs_until: discarded.held_until.map(|until| until.to_string()),
        }),
        url: format!("/d/{}", session.id),
        role: role.as_str(),
        id: session.id.to_string(),
        name: session.name,
        template: session.template,
        owner: OwnerView {
            id: session.owner.id.0.to_string(),
            name: session.owner.name,
            display_name: session.owner.display_name,
        },
        created_at: session.created_at.to_string(),
    }
}

fn left_out(live: &Live) -> Vec<LeftOutView> {
    let why = |is_name| if is_name { "name" } else { "room" };
    let of = live.recipe.left_out();
    of.map(|(app, is_name)| LeftOutView { app: app.to_owned(), why: why(is_name) }).collect()
}

/// What is, read with what is wanted: the manager may not have looked yet.
pub(super) fn state(desired: Desired, live: Option<State>) -> State {
    match (desired, live.unwrap_or(State::Stopped)) {
        (Desired::Running, State::Stopped | State::Stopping) => State::Requested,
        (
            Desired::Stopped,
            State::Requested | State::Queued | State::Starting | State::Running | State::Idle,
        ) => State::Stopping,
        (_, state) => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_shows_before_the_manager_has_looked() {
        let table = [
            (Desired::Running, None, State::Requested),
            (Desired::Running, Some(State::Stopped), State::Requested),
            (Desired::Running, Some(State::Starting), State::Starting),
            (Desired::Running, Some(State::Failed), State::Failed),
            (Desired::Stopped, None, State::Stopped),
            (Desired::Running, Some(State::Queued), State::Queued),
            (Desired::Running, Some(State::Idle), State::Idle),
            (Desired::Stopped, Some(State::Running), State::Stopping),
            (Desired::Stopped, Some(State::Queued), State::Stopping),
            (Desired::Stopped, Some(State::Idle), State::Stopping),
            (Desired::Stopped, Some(State::Failed), State::Failed),
        ];
        for (desired, live, shown) in table {
            assert_eq!(state(desired, live), shown, "{desired:?} {live:?}");
        }
    }
}
