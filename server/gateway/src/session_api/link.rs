//! The link to one session's relay: a task that connects to it whenever it is there, answers what it
//! asks and tells it how the apps are.
//!
//! A relay is outside: programs of its desktop decide what it asks. Its lines have a bound, at most
//! [`MOST_AT_ONCE`] questions are worked on while no more is read, and each kind of them has a pace.

use super::Asking;
use super::lines::{LineError, Lines, Told, split};
use super::pace::Pace;
use crate::http::api::Desktops;
use crate::runtime::Relay;
use lattice_engine::session::SessionId;
use lattice_wire::apps::{APPS_VERSION, Answer, App, Ask, FromGateway, Said, Secret, ToGateway};
use std::error::Error;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

const MOST_AT_ONCE: usize = 4;
/// How often apps are opened, and how often anything is asked about the desktop, within [`WITHIN`]: twice
/// what an honest relay lets through.
const MOST_OPENS: usize = 20;
const MOST_QUESTIONS: usize = 40;
const WITHIN: Duration = Duration::from_secs(10);
const TOO_OFTEN: &str = "too much was asked just now; wait a few seconds";
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A link that held so long did not fail by what it was greeted with.
const SETTLED: Duration = Duration::from_secs(10);
const HELLO_PATIENCE: Duration = Duration::from_secs(5);

/// The link; it ends when this is dropped.
pub(crate) struct Link {
    relay: Relay,
    task: JoinHandle<()>,
}

impl Link {
    /// Links a session to its relay. `apps` says how its apps are.
    pub(crate) fn open(
        session: SessionId,
        relay: Relay,
        apps: watch::Receiver<Vec<App>>,
        desktops: Desktops,
        asking: Asking,
    ) -> Self {
        let task = Task {
            session,
            relay: relay.clone(),
            apps,
            desktops,
            asking,
            opens: Pace::new(MOST_OPENS, WITHIN),
            questions: Pace::new(MOST_QUESTIONS, WITHIN),
        };
        Self { relay, task: tokio::spawn(task.run()) }
    }

    pub(crate) fn leads_to(&self, relay: &Relay) -> bool {
        let same =
            self.relay.socket == relay.socket && self.relay.token.expose() == relay.token.expose();
        same && !self.task.is_finished()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("connect to {path}")]
    Connect {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("it did not take the token")]
    Refused,
    #[error(
        "it speaks version {0} and this gateway {APPS_VERSION}; build its image again with make images"
    )]
    Version(u16),
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("the session is no longer looked after")]
    Abandoned,
}

struct Task {
    session: SessionId,
    relay: Relay,
    apps: watch::Receiver<Vec<App>>,
    desktops: Desktops,
    asking: Asking,
    opens: Pace,
    questions: Pace,
}

impl Task {
    async fn run(mut self) {
        let (mut pause, mut told) = (FIRST_PAUSE, String::new());
        loop {
            let began = Instant::now();
            let error = match self.greet().await {
                Ok((lines, relay)) => self.serve(lines, relay).await,
                Err(error) => error,
            };
            if let LinkError::Abandoned = error {
                return;
            }
            // One that takes the hello and then fails, again and again, is not heard of each time.
            if began.elapsed() >= SETTLED {
                pause = FIRST_PAUSE;
                told.clear();
            }
            let reason = format!(
                "{error}{}",
                error.source().map_or(String::new(), |source| format!(": {source}"))
            );
            // It may be starting, or frozen: that is said once.
            if reason != told {
                tracing::warn!(session = %self.session, reason, "a desktop's programs cannot be heard, nor apps opened from its menu; trying again");
                told = reason;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn greet(&self) -> Result<(Lines, Told), LinkError> {
        let path = &self.relay.socket;
        let stream = UnixStream::connect(path)
            .await
            .map_err(|source| LinkError::Connect { path: path.display().to_string(), source })?;
        let (mut lines, mut relay) = split(stream);
        let token = Secret::try_from(self.relay.token.expose().to_owned());
        let token = token.map_err(|_| LinkError::Refused)?;
        relay.tell(&FromGateway::Hello { version: APPS_VERSION, token }).await?;
        match timeout(HELLO_PATIENCE, lines.next()).await {
            Ok(Ok(ToGateway::Hello { version: APPS_VERSION })) => Ok((lines, relay)),
            Ok(Ok(ToGateway::Hello { version })) => Err(LinkError::Version(version)),
            Ok(Ok(ToGateway::Ask { .. })) => Err(LineError::Malformed.into()),
            Ok(Err(LineError::Ended)) => Err(LinkError::Refused),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(LineError::Stuck.into()),
        }
    }

    async fn serve(&mut self, mut lines: Lines, mut relay: Told) -> LinkError {
        let mut works = JoinSet::new();
        self.apps.mark_changed();
        loop {
            let heard = tokio::select! {
                line = lines.next(), if works.len() < MOST_AT_ONCE => line,
                Some(done) = works.join_next() => {
                    let Ok((id, what)) = done else { continue };
                    match relay.tell(&FromGateway::Answer { id, what }).await {
                        Ok(()) => continue,
                        Err(error) => return error.into(),
                    }
                }
                changed = self.apps.changed() => {
                    if changed.is_err() {
                        return LinkError::Abandoned;
                    }
                    let apps = self.apps.borrow_and_update().clone();
                    match relay.tell(&FromGateway::Apps { apps }).await {
                        Ok(()) => continue,
                        Err(error) => return error.into(),
                    }
                }
            };
            match heard {
                Ok(ToGateway::Ask { id, what }) => {
                    let answer = self.answer(what);
                    works.spawn(async move { (id, answer.await) });
                }
                Ok(ToGateway::Hello { .. }) => return LineError::Malformed.into(),
                Err(error) => return error.into(),
            }
        }
    }

    fn answer(&mut self, ask: Ask) -> impl Future<Output = Answer> + Send + use<> {
        let now = Instant::now();
        let is_allowed = match &ask {
            Ask::Open { .. } => self.opens.allows(now),
            Ask::Desktop(_) => self.questions.allows(now),
            Ask::List {} | Ask::Close { .. } => true,
        };
        let (session, desktops) = (self.session.clone(), self.desktops.clone());
        let (asking, apps) = (self.asking.clone(), self.apps.borrow().clone());
        async move {
            if !is_allowed {
                return refused(TOO_OFTEN);
            }
            let done = match ask {
                Ask::List {} => return Answer::Apps { apps },
                Ask::Desktop(question) => {
                    let told = asking.ask(session, question).await;
                    return told.map_or_else(|reason| refused(&reason), Answer::Desktop);
                }
                Ask::Open { app } => desktops.open(&session, app.as_str()).await,
                Ask::Close { app } => desktops.close(&session, app.as_str()).await,
            };
            done.map_or_else(|error| refused(&error.to_string()), |()| Answer::Done {})
        }
    }
}

fn refused(reason: &str) -> Answer {
    Answer::Refused { reason: Said::cut(reason) }
}
