//! Whether the desktop rests or waits, told to those who look; and when somebody last worked at it.

use super::super::{WORK_NOTED, packet};
use super::{Member, Session};
use lattice_wire::{Capabilities, Input, Micros, Role, ServerPacket, Standing};

/// What the session knows of its rest.
#[derive(Debug)]
pub(super) struct Rest {
    standing: Standing,
    /// Since when it stands so.
    since: Micros,
    pub(super) worked_at: Option<Micros>,
    pub(super) opened_at: Option<Micros>,
}

impl Default for Rest {
    fn default() -> Self {
        let standing = Standing::Usual;
        Self { standing, since: Micros(0), worked_at: None, opened_at: None }
    }
}

impl Rest {
    /// Whether it says why there is no picture.
    pub(super) fn explains(&self) -> bool {
        matches!(self.standing, Standing::Paused | Standing::Queued { .. })
    }

    /// What somebody is to be told who comes now.
    fn told(&self, now: Micros) -> Standing {
        let passed = u32::try_from(now.since(self.since).0 / 1_000_000).unwrap_or(u32::MAX);
        match self.standing {
            Standing::Warned { idle_s, left_s, stops } => Standing::Warned {
                idle_s: idle_s.saturating_add(passed),
                left_s: left_s.saturating_sub(passed),
                stops,
            },
            standing @ (Standing::Usual | Standing::Paused | Standing::Queued { .. }) => standing,
        }
    }
}

impl Session {
    /// Takes over how the desktop stands, and tells everybody.
    pub(super) fn stand(&mut self, standing: Standing, now: Micros) {
        (self.rest.standing, self.rest.since) = (standing, now);
        // The agent is frozen: what is for it is not kept, and nobody is given up for not painting.
        if standing == Standing::Paused {
            self.link = None;
            self.fanout.suspend();
        }
        for member in self.viewers.values() {
            tell(member, standing);
        }
    }

    /// Tells somebody who has just come, where there is anything to tell.
    pub(super) fn greet_standing(&self, member: &Member, now: Micros) {
        let standing = self.rest.told(now);
        if standing != Standing::Usual {
            tell(member, standing);
        }
    }

    /// Somebody came. Whoever only looks wakes nobody, nor does a page that comes back by itself.
    pub(super) fn note_opened(&mut self, role: Role, capabilities: Capabilities, now: Micros) {
        let may_drive = matches!(role, Role::Control | Role::Own);
        if may_drive && !capabilities.has(Capabilities::RETURNING) {
            self.rest.opened_at = Some(now);
        }
    }

    /// Whoever drives did something. Letting go of everything is what pages do by themselves.
    pub(super) fn note_work(&mut self, input: &Input, now: Micros) {
        let is_work = match input {
            Input::Key(_)
            | Input::Text(_)
            | Input::Button(_)
            | Input::Pointer(_)
            | Input::Wheel(_) => true,
            Input::ReleaseAll(_) => false,
        };
        let was_noted = self.rest.worked_at.is_some_and(|at| now.since(at) < WORK_NOTED);
        if is_work && !(was_noted && self.rest.standing == Standing::Usual) {
            self.rest.worked_at = Some(now);
        }
    }
}

fn tell(member: &Member, standing: Standing) {
    member.outbox.push_latest(packet(&ServerPacket::Standing(standing)));
}
