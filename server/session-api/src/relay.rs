//! What is answered to whom, without sockets or clock: time comes in as an argument, counted from any
//! moment.
//!
//! INVARIANT: a client has at most one question under way, so there are never more than clients.

use crate::pace::Pace;
use lattice_wire::apps::{
    Answer, App, AppName, AppState, Ask, FromGateway, Reply, Request, Said, ToGateway,
};
use lattice_wire::desktop::Question as Desktop;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long somebody waits for a gateway that is away.
const LINK_PATIENCE: Duration = Duration::from_secs(10);
/// How long for one that is there: a busy machine starts containers slowly.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// How long for a snapshot, over which the desktop may stand still: all of Data is read, if it is the first.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(600);
/// How often apps are opened within [`WITHIN`]: more is a key held down, or worse.
const MOST_OPENS: usize = 10;
/// How often anything is asked about the desktop.
const MOST_QUESTIONS: usize = 20;
const WITHIN: Duration = Duration::from_secs(10);
/// One is the desktop's own.
const MOST_WATCHERS: usize = 4;

/// A program of the desktop, by the number of its connection.
pub(crate) type Client = u64;

/// What is to be said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Say {
    Client(Client, Reply),
    Gateway(ToGateway),
}

pub(crate) struct Relay {
    linked: bool,
    last_id: u64,
    questions: BTreeMap<u64, Question>,
    watchers: Vec<Client>,
    opens: Pace,
    questions_asked: Pace,
    apps: Vec<App>,
    /// Those that were open when they were last not ended.
    were_open: Vec<AppName>,
    /// Those of whose end somebody was told.
    told: Vec<AppName>,
    said: Vec<Say>,
}

struct Question {
    client: Client,
    ask: Ask,
    /// Whether a gateway has heard it.
    is_asked: bool,
    until: Duration,
}

impl Question {
    /// How long a gateway that is there may take.
    fn patience(&self) -> Duration {
        match self.ask {
            Ask::Desktop(Desktop::Snapshot { .. }) => SNAPSHOT_PATIENCE,
            Ask::List {} | Ask::Open { .. } | Ask::Close { .. } | Ask::Desktop(_) => {
                ANSWER_PATIENCE
            }
        }
    }

    /// Whether the next gateway may be asked, whatever the one before has done about it.
    fn may_be_asked_again(&self) -> bool {
        match &self.ask {
            Ask::Desktop(question) => question.may_be_asked_again(),
            Ask::List {} | Ask::Open { .. } | Ask::Close { .. } => true,
        }
    }
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            linked: false,
            last_id: 0,
            questions: BTreeMap::new(),
            watchers: Vec::new(),
            opens: Pace::new(MOST_OPENS, WITHIN),
            questions_asked: Pace::new(MOST_QUESTIONS, WITHIN),
            apps: Vec::new(),
            were_open: Vec::new(),
            told: Vec::new(),
            said: Vec::new(),
        }
    }
}

impl Relay {
    /// What is to be said since the last time.
    pub(crate) fn poll_said(&mut self) -> Vec<Say> {
        std::mem::take(&mut self.said)
    }

    pub(crate) fn is_waiting(&self, client: Client) -> bool {
        self.questions.values().any(|question| question.client == client)
    }

    pub(crate) fn is_watching(&self, client: Client) -> bool {
        self.watchers.contains(&client)
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.questions.values().map(|question| question.until).min()
    }

    pub(crate) fn handle_request(&mut self, client: Client, request: Request, now: Duration) {
        match request {
            Request::Status {} => self.reply(client, Reply::Status { linked: self.linked }),
            Request::Watch {} => self.watch(client),
            Request::List {} => self.ask(client, Ask::List {}, now),
            Request::Close { app } => self.ask(client, Ask::Close { app }, now),
            Request::Open { app } => {
                match self.opens.wait(now) {
                    None => self.ask(client, Ask::Open { app }, now),
                    Some(wait) => {
                        let seconds = wait.as_secs() + 1;
                        self.refuse(client, &format!("{MOST_OPENS} apps were opened just now; wait {seconds} s and try again"));
                    }
                }
            }
            Request::Desktop(question) => match self.questions_asked.wait(now) {
                None => self.ask(client, Ask::Desktop(question), now),
                Some(wait) => {
                    let seconds = wait.as_secs() + 1;
                    let reason = format!(
                        "too much was asked about the desktop just now; wait {seconds} s and try again"
                    );
                    self.refuse(client, &reason);
                }
            },
        }
    }

    /// The client hung up.
    pub(crate) fn handle_gone(&mut self, client: Client) {
        self.questions.retain(|_, question| question.client != client);
        self.watchers.retain(|watcher| *watcher != client);
    }

    /// A gateway is there: whatever waits is asked, also what an earlier one was.
    /// But for what is done twice where it is asked twice.
    pub(crate) fn handle_linked(&mut self, now: Duration) {
        self.linked = true;
        let is_lost =
            |_: &u64, question: &mut Question| question.is_asked && !question.may_be_asked_again();
        let lost: Vec<_> = self.questions.extract_if(.., is_lost).collect();
        for (_, question) in lost {
            let reason =
                "Lattice restarted meanwhile; see whether it was done, and try again if not";
            self.refuse(question.client, reason);
        }
        for (id, question) in &mut self.questions {
            question.until = now + question.patience();
            question.is_asked = true;
            self.said.push(Say::Gateway(ToGateway::Ask { id: *id, what: question.ask.clone() }));
        }
    }

    pub(crate) fn handle_unlinked(&mut self, now: Duration) {
        self.linked = false;
        for question in self.questions.values_mut() {
            question.until = now + LINK_PATIENCE;
        }
    }

    pub(crate) fn handle_gateway(&mut self, line: FromGateway) {
        match line {
            // Heard already; it says nothing new.
            FromGateway::Hello { .. } => {}
            FromGateway::Answer { id, what } => self.answer(id, what),
            FromGateway::Apps { apps } => self.learn(apps),
        }
    }

    pub(crate) fn handle_time(&mut self, now: Duration) {
        let late = |_: &u64, question: &mut Question| question.until <= now;
        let late: Vec<_> = self.questions.extract_if(.., late).collect();
        let reason = match self.linked {
            false => "Lattice is restarting; try again in a moment",
            true => "Lattice did not answer in time; try again in a moment",
        };
        for (_, question) in late {
            self.refuse(question.client, reason);
        }
    }

    pub(crate) fn refuse(&mut self, client: Client, reason: &str) {
        self.reply(client, Reply::Refused { reason: Said::cut(reason) });
    }

    fn reply(&mut self, client: Client, reply: Reply) {
        self.said.push(Say::Client(client, reply));
    }

    fn ask(&mut self, client: Client, ask: Ask, now: Duration) {
        self.last_id += 1;
        let (id, is_asked) = (self.last_id, self.linked);
        let mut question = Question { client, ask, is_asked, until: now + LINK_PATIENCE };
        if is_asked {
            question.until = now + question.patience();
            self.said.push(Say::Gateway(ToGateway::Ask { id, what: question.ask.clone() }));
        }
        self.questions.insert(id, question);
    }

    fn answer(&mut self, id: u64, answer: Answer) {
        // Nobody waits for it any more.
        let Some(question) = self.questions.remove(&id) else { return };
        let reply = match answer {
            Answer::Apps { apps } => Reply::Apps { apps },
            Answer::Refused { reason } => Reply::Refused { reason },
            Answer::Desktop(told) => Reply::Desktop(told),
            Answer::Done {} => {
                if let Ask::Open { app } = &question.ask {
                    // Should it end again, that is news again.
                    self.told.retain(|told| told != app);
                }
                Reply::Done {}
            }
        };
        self.reply(question.client, reply);
    }

    fn watch(&mut self, client: Client) {
        if !self.is_watching(client) {
            if self.watchers.len() >= MOST_WATCHERS {
                return self.refuse(client, "enough programs watch already; end one of them");
            }
            self.watchers.push(client);
        }
        self.reply(client, Reply::Watching {});
        self.tell_of_ends();
    }

    fn learn(&mut self, apps: Vec<App>) {
        for app in &apps {
            match app.state {
                AppState::Ended => continue,
                AppState::Closed | AppState::Starting => {
                    self.were_open.retain(|name| *name != app.name)
                }
                AppState::Running if self.were_open.contains(&app.name) => {}
                AppState::Running => self.were_open.push(app.name.clone()),
            }
            self.told.retain(|told| *told != app.name);
        }
        let is_there = |name: &AppName| apps.iter().any(|app| app.name == *name);
        self.were_open.retain(&is_there);
        self.told.retain(is_there);
        self.apps = apps;
        self.tell_of_ends();
    }

    /// Who begins to watch hears of what ended before: the desktop may start later than its apps.
    fn tell_of_ends(&mut self) {
        if self.watchers.is_empty() {
            return;
        }
        for app in self.apps.iter().filter(|app| app.state == AppState::Ended) {
            if self.told.contains(&app.name) {
                continue;
            }
            self.told.push(app.name.clone());
            let was_open = self.were_open.contains(&app.name);
            for watcher in &self.watchers {
                let ended = Reply::Ended { app: app.clone(), was_open };
                self.said.push(Say::Client(*watcher, ended));
            }
        }
    }
}

#[cfg(test)]
mod tests;
