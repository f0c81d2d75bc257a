//! The agent's link comes and goes, and says who it is.

use super::{Link, Session, UNKNOWN_LIMITS};
use lattice_wire::{AgentHello, Availability, DisplayState, ToAgent};
use tokio::sync::mpsc;

impl Session {
    pub(super) fn link_up(&mut self, hello: AgentHello, to_agent: mpsc::Sender<ToAgent>) {
        self.link = Some(Link { to_agent, watching: (0, 0), makes_stills: false });
        self.display = None;
        self.arrivals.clear();
        // Its first word says whether there is a display to ask for pixels.
        self.fanout.suspend();
        self.introduce(hello);
    }

    pub(super) fn introduce(&mut self, hello: AgentHello) {
        self.learn_stills(&hello);
        let (min, max) = hello.limits;
        // A range that is none, as of a hostile agent or one without a display, is a fixed size.
        let ordered = min.width <= max.width && min.height <= max.height;
        let limits = match (min.area() > 0 && ordered, max.area() > 0) {
            (true, _) => (min, max),
            (false, true) => (max, max),
            (false, false) => UNKNOWN_LIMITS,
        };
        if (limits, &hello.name) == (self.limits, &self.agent_name) {
            return;
        }
        (self.limits, self.agent_name) = (limits, hello.name);
        self.welcome_again();
    }

    pub(super) fn welcome_again(&self) {
        for (&viewer, member) in &self.viewers {
            member.outbox.push_latest(self.welcome(viewer, member.visitor.role));
        }
    }

    pub(super) fn link_down(&mut self, reason: String) {
        self.link = None;
        self.display(DisplayState { state: Availability::Lost, reason });
    }
}
