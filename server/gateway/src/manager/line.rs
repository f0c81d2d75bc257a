//! The line of sessions that wait for a place: who is let in, and what the others are told.
//!
//! Nothing of it is kept: whoever stands as queued is in it, those who asked first in front. So a
//! session that is stopped or deleted has left it, and a restarted gateway has the same line.

use super::desk::Desk;
use crate::http::api::Queue;
use lattice_engine::admission::{Admission, Load, Machine, Verdict};
use lattice_engine::reconcile::{Action, State};
use lattice_engine::session::SessionId;
use lattice_wire::Micros;
use std::collections::BTreeMap;

/// Estimates are told this roughly, or each look would change them.
const ROUGHLY_S: u64 = 5;
/// The same of longer ones.
const ROUGHLY_LONG_S: u64 = 30;

/// Lets in whoever has a place now, and tells the others where they stand. What is returned is to be
/// started.
pub(super) fn admit(
    desks: &mut BTreeMap<SessionId, Desk>,
    admission: &Admission,
    machine: &Machine,
    now: Micros,
) -> Vec<(SessionId, Action)> {
    let mut load = load(desks, admission);
    let mut line: Vec<_> = desks.iter_mut().filter(|(_, desk)| desk.is_queued()).collect();
    line.sort_by_key(|(_, desk)| desk.order());
    let mut admitted = Vec::new();
    let mut line = line.into_iter().peekable();
    let mut verdict = Verdict::Enter;
    while let Some((_, desk)) = line.peek_mut() {
        let need = admission.need(&desk.kind());
        verdict = admission.decide(machine, &load, need);
        if verdict != Verdict::Enter {
            break;
        }
        load = Load {
            desktops: load.desktops + 1,
            starting: load.starting + 1,
            promised: load.promised + need,
        };
        let Some((id, desk)) = line.next() else { break };
        admitted.extend(desk.admit(now).map(|action| (id.clone(), action)));
    }
    for (position, (_, desk)) in (1..).zip(line) {
        let eta = admission.wait(verdict, position, machine, now);
        let position = u16::try_from(position).unwrap_or(u16::MAX);
        desk.stand_in_line(Queue { position, eta_s: eta.map(seconds) });
    }
    admitted
}

fn load(desks: &BTreeMap<SessionId, Desk>, admission: &Admission) -> Load {
    let mut load = Load::default();
    for desk in desks.values() {
        match desk.state() {
            State::Starting => {
                load.desktops += 1;
                load.starting += 1;
                load.promised += admission.need(&desk.kind());
            }
            State::Running | State::Idle | State::Stopping => load.desktops += 1,
            State::Requested | State::Queued | State::Stopped | State::Failed => {}
        }
    }
    load
}

/// Rounded up: whoever comes earlier than told is glad.
fn seconds(span: Micros) -> u32 {
    let seconds = span.0.div_ceil(1_000_000);
    let unit = if seconds > 60 { ROUGHLY_LONG_S } else { ROUGHLY_S };
    u32::try_from(seconds.div_ceil(unit) * unit).unwrap_or(u32::MAX)
}
