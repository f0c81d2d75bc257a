//! Whose link the agent is to fit, and what viewers are told of theirs.
//!
//! The viewer that drives paces: its hands wait for what it sees. But one whose link is too narrow
//! for any video does not take it from the others, and where nobody drives, the fastest paces. The
//! others lag behind where they cannot follow, and catch up by themselves.

use super::{Effect, Stage, Viewer};
use crate::rate::{Bitrate, Pace};
use lattice_wire::{Bottleneck, Condition, Micros, ViewerId};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Below this there is not much left of video, and other viewers need not share that.
const LEAST_TO_PACE: Bitrate = Bitrate(1_000_000);
/// Small changes of the pace are told so often, large ones at once.
const PACE_INTERVAL: Micros = Micros::from_millis(500);
/// How often a viewer is told of its condition.
const CONDITION_INTERVAL: Micros = Micros::from_millis(1000);
/// Frames that an agent begins late within a second, from which on it is short of time.
const MANY_LATE: u64 = 5;
/// How long that counts.
const LATE_FOR: Micros = Micros::from_millis(2000);

/// What was said to whom.
#[derive(Debug)]
pub(super) struct Pacing {
    pub(super) controller: Option<ViewerId>,
    /// What the agent has been told, and when.
    pace: (Pace, Micros),
    conditions: BTreeMap<ViewerId, Told>,
    late: Option<Micros>,
}

#[derive(Debug)]
struct Told {
    condition: Condition,
    when: Micros,
    /// When to see whether it still holds; nothing while all is well.
    look: Option<Micros>,
}

impl Pacing {
    pub(super) fn new() -> Self {
        let (controller, conditions, late) = (None, BTreeMap::new(), None);
        Self { controller, pace: (Pace::UNKNOWN, Micros(0)), conditions, late }
    }

    /// There is a new agent, which has been told nothing.
    pub(super) fn reset(&mut self) {
        self.pace = (Pace::UNKNOWN, Micros(0));
        self.late = None;
    }

    pub(super) fn leave(&mut self, viewer: ViewerId) {
        self.conditions.remove(&viewer);
    }

    pub(super) fn handle_late(&mut self, frames: u64, now: Micros) {
        if frames >= MANY_LATE {
            self.late = Some(now);
        }
    }

    pub(super) fn deadline(&self) -> Option<Micros> {
        self.conditions.values().filter_map(|told| told.look).min()
    }

    pub(super) fn poll(
        &mut self,
        viewers: &BTreeMap<ViewerId, Viewer>,
        now: Micros,
        effects: &mut Vec<Effect>,
    ) {
        let pace = self.pacer(viewers).map_or(Pace::UNKNOWN, Viewer::pace);
        let (told, when) = self.pace;
        if differs(told, pace, 10) || differs(told, pace, 100) && now.since(when) >= PACE_INTERVAL {
            self.pace = (pace, now);
            effects.push(Effect::Pace(pace));
        }
        let is_late = self.late.is_some_and(|late| now.since(late) < LATE_FOR);
        for (&id, viewer) in viewers {
            let told = self.conditions.entry(id).or_insert(Told::NOTHING);
            if let Some(condition) = told.change(viewer.condition(is_late, now), now) {
                effects.push(Effect::Condition(id, condition));
            }
        }
    }

    fn pacer<'a>(&self, viewers: &'a BTreeMap<ViewerId, Viewer>) -> Option<&'a Viewer> {
        let driving = self
            .controller
            .and_then(|id| viewers.get(&id))
            .filter(|viewer| viewer.link.bitrate().is_none_or(|bitrate| bitrate >= LEAST_TO_PACE));
        driving.or_else(|| viewers.values().max_by_key(|viewer| viewer.rank()))
    }
}

impl Viewer {
    fn pace(&self) -> Pace {
        Pace { bitrate: self.link.bitrate(), base_rtt: self.link.base_rtt() }
    }

    /// Who is live comes before who is not, then the wider link, then the shorter.
    fn rank(&self) -> (u8, u32, Reverse<Micros>) {
        let stage = match self.stage {
            Stage::Live(_) => 2,
            Stage::Lagging { .. } => 1,
            Stage::Awaiting(_) => 0,
        };
        let Pace { bitrate, base_rtt } = self.pace();
        (stage, Bitrate::write(bitrate), Reverse(base_rtt))
    }

    fn condition(&self, is_late: bool, now: Micros) -> Condition {
        let bottleneck = match self.link.bottleneck(now) {
            Bottleneck::Nothing if is_late => Bottleneck::Server,
            other => other,
        };
        let debt_ms = u16::try_from(self.debt(now).0 / 1000).unwrap_or(u16::MAX);
        Condition { bottleneck, bitrate: Bitrate::write(self.link.bitrate()), debt_ms }
    }
}

/// Whether one of two paces is not within a `part`th of the other.
fn differs(old: Pace, new: Pace, part: u64) -> bool {
    let apart = |a: u64, b: u64| a.abs_diff(b) * part > a.max(b);
    let wide = |pace: Pace| u64::from(Bitrate::write(pace.bitrate));
    // A millisecond is the scheduler's, not the link's.
    let is_far = old.base_rtt.0.abs_diff(new.base_rtt.0) > 1000;
    apart(wide(old), wide(new)) || is_far && apart(old.base_rtt.0, new.base_rtt.0)
}

impl Told {
    /// What is not worth saying to somebody who has just come.
    const NOTHING: Self = Self {
        condition: Condition { bottleneck: Bottleneck::Nothing, bitrate: u32::MAX, debt_ms: 0 },
        when: Micros(0),
        look: None,
    };

    /// What there is to be said, if there is.
    fn change(&mut self, new: Condition, now: Micros) -> Option<Condition> {
        let old = self.condition;
        // Numbers matter only while something limits.
        let moved = old.bitrate.abs_diff(new.bitrate) > old.bitrate / 4
            || old.debt_ms.abs_diff(new.debt_ms) > 50;
        let is_news =
            old.bottleneck != new.bottleneck || new.bottleneck != Bottleneck::Nothing && moved;
        let may = now >= self.when.plus(CONDITION_INTERVAL) || self.when == Micros(0);
        let say = is_news && may;
        if say {
            (self.condition, self.when) = (new, now);
        }
        let unsettled = self.condition.bottleneck != Bottleneck::Nothing || is_news && !say;
        self.look = unsettled.then(|| now.plus(CONDITION_INTERVAL));
        say.then_some(new)
    }
}
