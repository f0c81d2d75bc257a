//! What programs of a desktop are told about it, and may have done: by `lattice` in the desktop, through
//! the session's relay and its link (`crate::session_api`).
//!
//! INVARIANT: such a program may be anybody's. It asks about the session that its link says, and what it
//! can have done is in `lattice_wire::desktop`: one more snapshot, a link with a bound to what it gives, how
//! long and how many; the end of such a link. What others see or keep it cannot end, read or change.

use super::session_view::state;
use super::{Api, MOST_LINKS_INSIDE};
use crate::auth::Token;
use crate::http::problem::Problem;
use crate::hub::Whose;
use crate::session_api::{Asked, Pace};
use crate::store::{
    Actor, FROM_DESKTOP, Link as Kept, LinkId, NewLink, Session, StoreError, Timestamp, TokenHash,
};
use lattice_engine::policy::LinkRole;
use lattice_engine::session::SessionId;
use lattice_wire::apps::Said;
use lattice_wire::desktop::{
    Address, Data, Link, Looker, MAX_LINKS, MAX_LOOKERS, Question, Right, Snapshot, Status, Told,
};
use lattice_wire::snapshots::{Cause, Snapshot as Made, SnapshotName};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const HOUR: Duration = Duration::from_secs(3600);
/// How long a link from inside works, in seconds.
const LIFE_S: RangeInclusive<u32> = 60..=86_400;
/// How many browsers may use one.
const USES: u32 = 100;
/// How many snapshots of one person's Data, and how many links, are made from inside within an hour.
const SNAPSHOTS_AN_HOUR: usize = 6;
const LINKS_AN_HOUR: usize = 20;
/// How often the page is offered.
const OFFERS: usize = 3;
const OFFERS_WITHIN: Duration = Duration::from_secs(10);
/// Which snapshot is the newest is asked of a keeper, which is a process: once within this.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// And nobody waits for it longer.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// Answers desktops' programs.
#[derive(Debug)]
pub struct Inside {
    api: Api,
    /// Where people find this server, without a slash at the end.
    home: String,
    /// The most that a link from inside may give; nothing where none is made.
    most: Option<LinkRole>,
    /// What is counted of each owner: all their desktops together have one share.
    owners: Mutex<HashMap<i64, Owner>>,
}

/// What is counted of one owner.
#[derive(Debug)]
struct Owner {
    snapshots: Pace,
    links: Pace,
    offers: Pace,
    /// One is being made.
    is_busy: bool,
    /// When the newest snapshot was last looked for, and which that was.
    looked_at: Option<Instant>,
    newest: Option<Snapshot>,
}

impl Default for Owner {
    fn default() -> Self {
        Self {
            snapshots: Pace::new(SNAPSHOTS_AN_HOUR, HOUR),
            links: Pace::new(LINKS_AN_HOUR, HOUR),
            offers: Pace::new(OFFERS, OFFERS_WITHIN),
            is_busy: false,
            looked_at: None,
            newest: None,
        }
    }
}

/// An answer, or why there is none, for a person.
type Answered = Result<Told, String>;

impl Inside {
    /// Over this API, for a server at this address.
    pub fn new(api: Api, home: &str, most: Option<LinkRole>) -> Self {
        Self { api, home: home.trim_end_matches('/').to_owned(), most, owners: Mutex::default() }
    }

    /// Answers for as long as anybody may ask, each beside the others: links bound how many there are.
    pub async fn answer_all(self, mut questions: mpsc::Receiver<Asked>) {
        let own = Arc::new(self);
        while let Some(Asked { session, question, reply }) = questions.recv().await {
            let own = own.clone();
            tokio::spawn(async move {
                let _ = reply.send(own.answer(&session, question).await);
            });
        }
    }

    /// Answers one question of that session.
    pub(super) async fn answer(&self, session: &SessionId, question: Question) -> Answered {
        let found = self.api.store().session(session).await.map_err(told)?;
        let session =
            found.ok_or("this desktop was deleted; take it back on the home page first")?;
        match question {
            Question::Status {} => self.status(session).await,
            Question::Snapshot { name } => self.snapshot(&session, name).await,
            Question::Share { right, for_s } => self.share(&session, right, for_s).await,
            Question::Links {} => self.links(&session.id).await,
            Question::Revoke { link } => self.revoke(&session, LinkId(link)).await,
            Question::Manage {} => self.manage(&session).await,
        }
    }

    async fn status(&self, session: Session) -> Answered {
        let live = self.api.desktops().list().get(&session.id).cloned();
        let mut lookers: Vec<_> = self.api.desktops().viewers(&session.id).await;
        let more = lookers.len().saturating_sub(MAX_LOOKERS);
        lookers.truncate(MAX_LOOKERS);
        let looker = |seen: super::Presence| Looker {
            name: Said::cut(&seen.name),
            role: Said::cut(seen.role),
            drives: seen.driving,
        };
        let snapshot = self.newest(session.owner.id.0).await;
        let state = state(session.desired, live.as_ref().map(|live| live.state));
        let usage = live.as_ref().map(|live| live.usage.clone()).unwrap_or_default();
        let template = live.as_ref().and_then(|live| Some(live.recipe.template()?.title.clone()));
        let up_s = usage.since.map(|since| Timestamp::now().since(Timestamp(since)));
        let data = live.and_then(|live| live.stored).map(|stored| stored.data);
        Ok(Told::Status(Box::new(Status {
            name: Said::cut(&session.name),
            template: Said::cut(&template.unwrap_or(session.template)),
            state: Said::cut(state.name()),
            since: usage.since,
            up_s: up_s.map(|up| u64::try_from(up).unwrap_or(0)),
            memory: usage.memory,
            cpu: usage.cpu,
            data: data.map(|data| Data { used: data.used, limit: data.limit }),
            lookers: lookers.into_iter().map(looker).collect(),
            more_lookers: u32::try_from(more).unwrap_or(u32::MAX),
            snapshot,
            share: self.most.map(right_of),
        })))
    }

    /// The newest snapshot as far as that is known without having a keeper run all the time.
    async fn newest(&self, owner: i64) -> Option<Snapshot> {
        if let Some(known) = self.known_newest(owner) {
            return known;
        }
        let shelf = timeout(LOOK_PATIENCE, self.api.snapshots().list(owner)).await.ok()?.ok()?;
        let newest = shelf.snapshots.into_iter().next().map(snapshot_of);
        self.owners().entry(owner).or_default().newest.clone_from(&newest);
        newest
    }

    /// What is known of it; nothing where it is time to ask, which is noted.
    fn known_newest(&self, owner: i64) -> Option<Option<Snapshot>> {
        let mut owners = self.owners();
        let counted = owners.entry(owner).or_default();
        if counted.looked_at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return Some(counted.newest.clone());
        }
        counted.looked_at = Some(Instant::now());
        None
    }

    async fn snapshot(&self, session: &Session, name: Option<SnapshotName>) -> Answered {
        let owner = session.owner.id.0;
        let _turn = self.begin_snapshot(owner)?;
        let taken = self.api.snapshots().take_named(owner, Cause::Desktop, name).await;
        let made = taken.map_err(|error| Problem::from(error).detail().to_owned())?;
        let detail = format!("{}, {FROM_DESKTOP}", made.id);
        let (actor, now) = (Actor::User(session.owner.id), Timestamp::now());
        let noted =
            self.api.store().note_of_session(&session.id, "session.snapshot", &detail, actor, now);
        noted.await.map_err(told)?;
        let made = snapshot_of(made);
        let mut owners = self.owners();
        let counted = owners.entry(owner).or_default();
        (counted.looked_at, counted.newest) = (Some(Instant::now()), Some(made.clone()));
        Ok(Told::Snapshot(made))
    }

    /// Counts one more snapshot, which ends with what is returned.
    fn begin_snapshot(&self, owner: i64) -> Result<Turn<'_>, String> {
        let mut owners = self.owners();
        let counted = owners.entry(owner).or_default();
        if counted.is_busy {
            return Err("a snapshot is being made already; wait until it is there".into());
        }
        if let Some(wait) = counted.snapshots.wait(Instant::now()) {
            return Err(format!(
                "{SNAPSHOTS_AN_HOUR} snapshots were made from inside in the last hour; wait {}, or make \
                 one on the desktop's page",
                minutes(wait)
            ));
        }
        counted.is_busy = true;
        Ok(Turn { inside: self, owner })
    }

    async fn share(&self, session: &Session, right: Right, for_s: u32) -> Answered {
        let role = role_of(right);
        let page = self.page(&session.id);
        match self.most {
            None => {
                return Err(format!(
                    "no links are made from inside a desktop on this server; share it on its page: {page}"
                ));
            }
            Some(most) if role > most => {
                return Err(format!(
                    "a link from inside gives {} at most on this server; make others on the desktop's \
                     page: {page}",
                    most.as_str()
                ));
            }
            Some(_) => {}
        }
        if !LIFE_S.contains(&for_s) {
            let reason = "a link from inside works for 1 minute at least and 24 hours at most";
            return Err(format!("{reason}; make longer ones on the desktop's page: {page}"));
        }
        let owner = self.api.store().user(session.owner.id).await.map_err(told)?;
        if owner.is_none_or(|owner| owner.disabled) {
            return Err("whoever owns this desktop may not share it; ask an administrator".into());
        }
        let now = Instant::now();
        let wait = self.owners().entry(session.owner.id.0).or_default().links.wait(now);
        if let Some(wait) = wait {
            return Err(format!(
                "{LINKS_AN_HOUR} links were made from inside in the last hour; wait {}, or make one on the \
                 desktop's page: {page}",
                minutes(wait)
            ));
        }
        let token = Token::fresh().map_err(|error| error.to_string())?;
        let (link, now) = (TokenHash::of(token.expose()), Timestamp::now());
        let new = NewLink {
            session: &session.id,
            role,
            token: link,
            expires_at: now.plus(for_s.into()),
            max_uses: Some(USES),
            created_by: session.owner.id,
            from_desktop: true,
        };
        let made = match self.api.store().create_link(&new, MOST_LINKS_INSIDE, now).await {
            Err(StoreError::TooMany { max }) => {
                return Err(format!(
                    "{max} links from inside work already; end one first: lattice share --list names \
                     them, lattice share --revoke NUMBER ends one"
                ));
            }
            made => made.map_err(told)?,
        };
        // Whoever watches for its end counts with it.
        self.api.note_change();
        let url = address(format!("{}/s/{}", self.home, token.expose()))?;
        Ok(Told::Link { link: view(&made, now), url })
    }

    async fn links(&self, session: &SessionId) -> Answered {
        let now = Timestamp::now();
        let links = self.api.store().links(session, now).await.map_err(told)?;
        let own = links.iter().filter(|link| link.from_desktop).take(MAX_LINKS);
        Ok(Told::Links { links: own.map(|link| view(link, now)).collect() })
    }

    async fn revoke(&self, session: &Session, link: LinkId) -> Answered {
        let store = self.api.store();
        let now = Timestamp::now();
        match store.revoke_link_from_desktop(&session.id, link, session.owner.id, now).await {
            Err(StoreError::Missing(_)) => Err(format!(
                "no link {} was made from inside this desktop and works; lattice share --list names \
                 those that do, and others are ended on the desktop's page: {}",
                link.0,
                self.page(&session.id)
            )),
            Err(error) => Err(told(error)),
            Ok(()) => {
                self.api.desktops().dismiss(Whose::Link(link)).await;
                self.api.note_change();
                Ok(Told::Revoked {})
            }
        }
    }

    async fn manage(&self, session: &Session) -> Answered {
        let page = self.page(&session.id);
        let owner = session.owner.id.0;
        let wait = self.owners().entry(owner).or_default().offers.wait(Instant::now());
        if wait.is_some() {
            return Err(
                "the page was offered just now; look at the edge of the browser's tab".into()
            );
        }
        if !self.api.desktops().offer_page(&session.id).await {
            return Err(format!(
                "nobody who owns this desktop looks at it now; open its page in a browser: {page}"
            ));
        }
        Ok(Told::Offered { url: address(page)? })
    }

    fn page(&self, session: &SessionId) -> String {
        format!("{}/#desktop/{session}", self.home)
    }

    /// Whoever has nothing that counts any longer is forgotten.
    fn owners(&self) -> MutexGuard<'_, HashMap<i64, Owner>> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        owners.retain(|_, owner| owner.counts(now));
        owners
    }
}

impl Owner {
    fn counts(&self, now: Instant) -> bool {
        let paces = [&self.snapshots, &self.links, &self.offers];
        let is_known = self.looked_at.is_some_and(|at| now.duration_since(at) < LOOK_EVERY);
        self.is_busy || is_known || !paces.iter().all(|pace| pace.is_idle(now))
    }
}

/// A snapshot that is being made from inside.
struct Turn<'a> {
    inside: &'a Inside,
    owner: i64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(counted) = self.inside.owners().get_mut(&self.owner) {
            counted.is_busy = false;
        }
    }
}

/// What a problem of the store is to a program: faults are in the server's log.
fn told(error: StoreError) -> String {
    Problem::from(error).detail().to_owned()
}

fn address(text: String) -> Result<Address, String> {
    Address::try_from(text).map_err(|why| {
        format!("this server's own address cannot be told: {why}; see server.public_url")
    })
}

fn snapshot_of(made: Made) -> Snapshot {
    let at = Timestamp(i64::try_from(made.at).unwrap_or(0).min(LAST_SECOND));
    let when = Said::cut(&at.to_string());
    Snapshot { name: made.name, at: made.at, when, files: made.files, bytes: made.bytes }
}

/// Of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

fn view(link: &Kept, now: Timestamp) -> Link {
    Link {
        number: link.id.0,
        right: right_of(link.role),
        expires_at: link.expires_at.0,
        left_s: u64::try_from(link.expires_at.since(now)).unwrap_or(0),
        uses: link.uses,
    }
}

fn role_of(right: Right) -> LinkRole {
    match right {
        Right::View => LinkRole::View,
        Right::Assist => LinkRole::Assist,
        Right::Control => LinkRole::Control,
    }
}

fn right_of(role: LinkRole) -> Right {
    match role {
        LinkRole::View => Right::View,
        LinkRole::Assist => Right::Assist,
        LinkRole::Control => Right::Control,
    }
}

fn minutes(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    if minutes == 1 { "a minute".into() } else { format!("{minutes} minutes") }
}
