//! What others are told of a session: its status, and numbers for whoever runs the gateway.

use super::{Session, Status};
use lattice_engine::rate::Pace;
use lattice_wire::{AgentStats, Micros, Role};
use metrics::{counter, gauge};

impl Session {
    pub(super) fn publish(&self) {
        let new = Status {
            name: self.name().to_owned(),
            display: self.display.as_ref().map(|display| display.state),
            reason: self.display.as_ref().map_or_else(String::new, |state| state.reason.clone()),
            linked: self.link.is_some(),
            people: self.people(),
            controller: self.arbiter.controller(),
            worked_at: self.rest.worked_at,
            opened_at: self.rest.opened_at,
        };
        self.status.send_if_modified(|status| {
            // Before the first link the reason stays that it is starting.
            let differs = *status != new
                && (new.linked
                    || new.display.is_some()
                    || new.people != status.people
                    || (new.worked_at, new.opened_at) != (status.worked_at, status.opened_at));
            if differs {
                *status = new;
            }
            differs
        });
    }

    pub(super) fn count_viewers(&mut self) {
        let roles = self.viewers.values().map(|member| member.visitor.role);
        self.counted.become_of(roles);
    }

    pub(super) fn count_stats(&mut self, new: AgentStats, now: Micros) {
        let old = std::mem::replace(&mut self.stats, new);
        // A number below the last one comes from an agent that has started anew.
        let grown = |new: u64, old: u64| new.checked_sub(old).unwrap_or(new);
        for (name, new, old) in [
            ("lattice_agent_grabs_total", new.grabs, old.grabs),
            ("lattice_agent_frames_total", new.frames, old.frames),
            ("lattice_agent_wakeups_total", new.wakeups, old.wakeups),
            ("lattice_agent_inputs_total", new.inputs, old.inputs),
            ("lattice_agent_inputs_dropped_total", new.inputs_dropped, old.inputs_dropped),
            ("lattice_agent_video_units_total", new.video_units, old.video_units),
            ("lattice_agent_video_keyframes_total", new.video_keyframes, old.video_keyframes),
            ("lattice_agent_late_frames_total", new.late, old.late),
        ] {
            counter!(name).increment(grown(new, old));
        }
        gauge!("lattice_agent_encoders").set(new.encoders as f64);
        self.fanout.handle_late(grown(new.late, old.late), now);
    }
}

/// What this session has added to the gateway's numbers of viewers by role.
#[derive(Debug, Default)]
pub(super) struct Counted([u32; Role::ALL.len()]);

impl Counted {
    fn become_of(&mut self, roles: impl Iterator<Item = Role>) {
        let mut new = [0; Role::ALL.len()];
        roles.for_each(|role| new[role as usize] += 1);
        for (name, (new, old)) in ROLES.into_iter().zip(new.into_iter().zip(self.0)) {
            gauge!("lattice_viewers", "role" => name).increment(f64::from(new) - f64::from(old));
        }
        self.0 = new;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.become_of(std::iter::empty());
    }
}

const ROLES: [&str; Role::ALL.len()] = ["view", "assist", "control", "own"];

/// A link that has shown no limit counts as one without end.
pub(super) fn pace(pace: Pace) {
    let shown = pace.bitrate.map_or(f64::INFINITY, |bitrate| f64::from(bitrate.0));
    gauge!("lattice_pace_bits_per_second").set(shown);
}

pub(super) fn drop_input(reason: &'static str) {
    counter!("lattice_input_dropped_total", "reason" => reason).increment(1);
}
