//! `lattice supervise DIRECTORY`: the supervisor of one desktop.
//!
//! It starts the desktop, its agent and its relay, each in a sandbox (`sandbox`), starts again what dies, and
//! ends all of it when asked to. It has no connection to the gateway, so nothing that happens to
//! that happens to the desktop: it takes its order from the run directory and says there how things
//! are (`runtime::process::place`).
//!
//! INVARIANT: nothing of the desktop outlives it. The sandboxes die with it by the kernel's hand,
//! and what they leave behind becomes its child and is waited for before it says that it is done.

pub(crate) mod limits;
mod log;
mod part;
pub(crate) mod sandbox;
pub(crate) mod setup;

use crate::runtime::process::place::{Order, Place, Said};
use anyhow::Context as _;
use limits::Groups;
use log::Log;
use part::{Living, Seat};
use std::convert::Infallible;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

/// How often a part may end by itself within [`CRASH_WINDOW`] and be started again.
const MAX_CRASHES: usize = 3;
const CRASH_WINDOW: Duration = Duration::from_secs(60);
/// How long programs may take to save what they have; then they are killed.
const DESKTOP_PATIENCE: Duration = Duration::from_secs(4);
const AGENT_PATIENCE: Duration = Duration::from_secs(1);
const RELAY_PATIENCE: Duration = Duration::from_secs(1);
/// How long the X server and the agent may take to listen, on a machine that is very busy.
const LISTEN_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
/// Before a part is started again: what ends at once should not be a busy loop.
const PAUSE: Duration = Duration::from_millis(200);
/// Pictures are to be given back to the system when they are freed, see `crate::agent`.
const ALLOCATOR: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=1048576");

/// Runs until it is asked to end or the desktop cannot be kept up.
pub async fn run(dir: &Path) -> anyhow::Result<()> {
    // Away from the terminal and the process group of whoever started this.
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .context("take care of orphans")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    // Nothing to be done about it: there is no terminal to lose.
    let _hang_up = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    let place = Place::new(dir);
    let _lock = place
        .claim()
        .with_context(|| format!("take {}, which another supervisor may have", dir.display()))?;
    let order = place.order().with_context(|| format!("read the order in {}", dir.display()))?;
    let log = Log::open(dir).with_context(|| format!("open the log in {}", dir.display()))?;
    let mut desk = Desk::new(order, place, log);
    let said = tokio::select! {
        reason = desk.keep() => Said::Ended { reason },
        _ = terminate.recv() => Said::Stopped,
        _ = interrupt.recv() => Said::Stopped,
    };
    desk.end().await;
    match &said {
        Said::Ended { reason } => desk.log.line("supervisor", reason),
        Said::Starting | Said::Running | Said::Stopped => {
            desk.log.line("supervisor", "ended as asked");
        }
    }
    desk.place.say(&said).context("note the end")
}

/// The parts of one desktop.
struct Desk {
    order: Order,
    place: Place,
    log: Log,
    groups: Groups,
    desktop: Seat,
    agent: Seat,
    relay: Seat,
}

impl Desk {
    fn new(order: Order, place: Place, log: Log) -> Self {
        let living = Living::default();
        let [desktop, agent, relay] =
            ["desktop", "agent", "api"].map(|name| Seat::new(name, &living));
        Self { order, place, log, groups: Groups::default(), desktop, agent, relay }
    }

    /// Keeps the parts up; returns why that is no longer possible.
    async fn keep(&mut self) -> String {
        if let Err(error) = self.prepare() {
            return format!("{error:#}");
        }
        let Self { order, place, log, groups, desktop, agent, relay } = self;
        let parts = Parts { order, place, log, groups };
        tokio::select! {
            reason = parts.keep_desktop(desktop) => reason,
            reason = parts.keep_agent(agent) => reason,
            never = parts.keep_relay(relay) => match never {},
        }
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        self.place.say(&Said::Starting).context("note the start")?;
        setup::prepare(&self.order, &self.place).context("make the desktop's files")?;
        self.groups = Groups::create(&self.order.session, &self.order.limits);
        for missing in &self.groups.missing {
            let note = format!("only each process is limited, not the desktop: {missing}");
            self.log.line("supervisor", &note);
        }
        Ok(())
    }

    /// Ends the desktop first, so that programs can save while the agent still shows it.
    async fn end(&mut self) {
        self.desktop.end(DESKTOP_PATIENCE, &self.log).await;
        self.agent.end(AGENT_PATIENCE, &self.log).await;
        self.relay.end(RELAY_PATIENCE, &self.log).await;
        limits::remove(&self.order.session);
    }
}

/// What it takes to start a part.
struct Parts<'a> {
    order: &'a Order,
    place: &'a Place,
    log: &'a Log,
    groups: &'a Groups,
}

impl Parts<'_> {
    async fn keep_desktop(&self, seat: &mut Seat) -> String {
        let mut crashes = Crashes::new("the desktop");
        loop {
            let command = self.command(sandbox::desktop(self.order, self.place));
            let ended = seat.run(command, self.log).await;
            if let Some(reason) = self.judge(ended, &mut crashes).await {
                return reason;
            }
        }
    }

    async fn keep_agent(&self, seat: &mut Seat) -> String {
        if !listens(&self.place.x_socket()).await {
            return format!("its X server did not start within {} s", LISTEN_PATIENCE.as_secs());
        }
        let mut crashes = Crashes::new("its agent");
        loop {
            let command = match self.agent() {
                Ok(command) => command,
                Err(error) => return format!("{error:#}"),
            };
            let ended = tokio::select! {
                ended = seat.run(command, self.log) => ended,
                ended = self.announce() => ended,
            };
            if let Some(reason) = self.judge(ended, &mut crashes).await {
                return reason;
            }
        }
    }

    /// Keeps the relay up, where there is one. A desktop whose relay does not stay up is a desktop.
    async fn keep_relay(&self, seat: &mut Seat) -> Infallible {
        let mut crashes = Crashes::new("its relay");
        while let Some(program) = &self.order.relay {
            let ended = match self.relay(program) {
                Ok(command) => seat.run(command, self.log).await,
                Err(error) => Err(error),
            };
            if let Some(reason) = self.judge(ended, &mut crashes).await {
                let note = format!("programs cannot ask about the desktop: {reason}");
                self.log.line("supervisor", &note);
                break;
            }
        }
        std::future::pending().await
    }

    fn relay(&self, program: &Path) -> anyhow::Result<Command> {
        let token = self.place.relay_token().context("read the relay's token")?;
        let token = token.context("there is no token for the relay")?;
        let mut command = self.command(sandbox::relay(self.order, self.place, program));
        command.env("LATTICE_API_TOKEN", token.expose());
        Ok(command)
    }

    /// Says that the desktop is there, once the agent listens; never ends by itself.
    async fn announce(&self) -> anyhow::Result<String> {
        if listens(&self.place.agent_socket()).await {
            self.place.say(&Said::Running).context("note that it runs")?;
        }
        std::future::pending().await
    }

    /// Returns a reason where a part that ended is not to be started again.
    async fn judge(&self, ended: anyhow::Result<String>, crashes: &mut Crashes) -> Option<String> {
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => return Some(format!("{error:#}")),
        };
        if let Some(reason) = crashes.add(Instant::now(), &format!("{ended}; {}", self.log.last()))
        {
            return Some(reason);
        }
        self.log
            .line("supervisor", &format!("{} ended ({ended}); starting it again", crashes.what));
        sleep(PAUSE).await;
        None
    }

    fn agent(&self) -> anyhow::Result<Command> {
        // The socket of one that was killed would take connections from nobody.
        let _ = std::fs::remove_file(self.place.agent_socket());
        let token = self.place.token().context("read the agent's token")?;
        let mut command = self.command(sandbox::agent(self.order, self.place));
        command.env("LATTICE_AGENT_TOKEN", token.expose()).env(ALLOCATOR.0, ALLOCATOR.1);
        Ok(command)
    }

    /// bwrap in the desktop's control groups. What is secret is in the environment: everybody on
    /// this machine can read a command line.
    fn command(&self, arguments: Vec<OsString>) -> Command {
        let mut words = self.groups.join();
        words.push(self.order.bwrap.clone().into());
        words.extend(arguments);
        let mut command = Command::new(words.remove(0));
        command.args(words).env_clear().envs(sandbox::environment(self.order));
        command
    }
}

/// Waits until somebody takes connections at a socket.
async fn listens(socket: &Path) -> bool {
    let until = Instant::now() + LISTEN_PATIENCE;
    while UnixStream::connect(socket).await.is_err() {
        if Instant::now() >= until {
            return false;
        }
        sleep(POLL).await;
    }
    true
}

/// When a part ended by itself.
struct Crashes {
    what: &'static str,
    at: Vec<Instant>,
}

impl Crashes {
    fn new(what: &'static str) -> Self {
        Self { what, at: Vec::new() }
    }

    /// Counts one more; returns a reason where that is one too many.
    fn add(&mut self, now: Instant, why: &str) -> Option<String> {
        self.at.retain(|at| now.duration_since(*at) < CRASH_WINDOW);
        self.at.push(now);
        let (what, seconds) = (self.what, CRASH_WINDOW.as_secs());
        (self.at.len() > MAX_CRASHES).then(|| {
            let times = self.at.len();
            format!("{what} ended {times} times within {seconds} s, at last with {why}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_crashes_a_minute_are_borne_and_old_ones_forgotten() {
        let mut crashes = Crashes::new("the desktop");
        let start = Instant::now();
        let mut at = |seconds| crashes.add(start + Duration::from_secs(seconds), "status 1; no X");
        assert_eq!([at(0), at(1), at(2)], [None, None, None]);
        assert_eq!(at(61), None);
        let reason = at(61).or_else(|| at(61)).expect("one too many");
        assert!(reason.starts_with("the desktop ended 4 times within 60 s"), "{reason}");
        assert!(reason.ends_with("status 1; no X"), "{reason}");
    }
}
