//! The session's state and what each event does to it. Nothing here waits.

mod link;
mod people;
mod report;
mod rest;
mod still;

use super::outbox::{FrameMark, Outbox};
use super::{AgentEvent, Event, Full, Seat, Settings, Status, Visitor, packet};
use crate::clock;
use bytes::Bytes;
use lattice_engine::arbiter::{Arbiter, Grant};
use lattice_engine::fanout::{Effect, Fanout, Limits, Sees};
use lattice_engine::rate::{Bitrate, Pace};
use lattice_wire::{
    Ack, AgentStats, Availability, Capabilities, ClientPacket, Condition, DisplayState, FrameRef,
    FrameTable, FromAgent, Input, Micros, Role, Seq, ServerPacket, Size, ToAgent, VERSION,
    ViewerId, Welcome, close,
};
use metrics::{counter, histogram};
use report::{Counted, drop_input};
use rest::Rest;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use still::Still;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

/// Places in the agent's channel that input must leave free for what must not be lost.
const KEPT_FREE: usize = 64;
/// Keys and buttons whose effect has not been seen yet.
const MAX_ARRIVALS: usize = 256;
/// A frame that follows a key so late shows something else.
const EFFECT_PATIENCE: Micros = Micros::from_millis(1000);
/// Until the agent says what sizes there are: equal, so no viewer offers to resize.
const UNKNOWN_LIMITS: (Size, Size) = (Size::new(1, 1), Size::new(1, 1));

pub(super) struct Session {
    settings: Settings,
    fanout: Fanout,
    arbiter: Arbiter,
    viewers: BTreeMap<ViewerId, Member>,
    last_id: ViewerId,
    link: Option<Link>,
    display: Option<DisplayState>,
    limits: (Size, Size),
    agent_name: String,
    cursor: Option<Bytes>,
    stats: AgentStats,
    arrivals: VecDeque<(ViewerId, Seq, Micros)>,
    rest: Rest,
    still: Still,
    status: watch::Sender<Status>,
    counted: Counted,
}

struct Member {
    visitor: Visitor,
    outbox: Arc<Outbox>,
    dismiss: Option<oneshot::Sender<(u16, &'static str)>>,
    /// Counts the drops of its frames: reports of frames from before one no longer matter.
    run: u32,
    last_seq: Seq,
}

struct Link {
    to_agent: mpsc::Sender<ToAgent>,
    /// How many viewers and encoders it was told of.
    watching: (u16, u8),
    /// Whether it makes still pictures.
    makes_stills: bool,
}

impl Session {
    pub(super) fn new(settings: Settings) -> Self {
        let name = settings.name.clone().unwrap_or_default();
        let reason = "the desktop's agent is starting".to_owned();
        let status = Status {
            name,
            display: None,
            reason,
            linked: false,
            people: Vec::new(),
            controller: None,
            worked_at: None,
            opened_at: None,
        };
        Self {
            settings,
            fanout: Fanout::new(Limits::default()),
            arbiter: Arbiter::new(),
            viewers: BTreeMap::new(),
            last_id: first_id(),
            link: None,
            display: None,
            limits: UNKNOWN_LIMITS,
            agent_name: String::new(),
            cursor: None,
            stats: AgentStats::default(),
            arrivals: VecDeque::new(),
            rest: Rest::default(),
            still: Still::default(),
            status: watch::Sender::new(status),
            counted: Counted::default(),
        }
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(super) fn deadline(&self) -> Option<Micros> {
        self.fanout.deadline()
    }

    pub(super) fn handle_event(&mut self, event: Event, now: Micros) {
        match event {
            Event::Join { visitor, capabilities, reply } => {
                self.join(visitor, capabilities, reply, now);
            }
            Event::Left(viewer) => self.leave(viewer),
            Event::Give(to) => self.give_from_outside(to),
            Event::Standing(standing) => self.stand(standing, now),
            Event::Encoders(encoders) => self.settings.encoders = encoders,
            Event::WantStill => self.want_still(),
            Event::OfferPage => self.offer_page(),
            Event::Name(name) => {
                self.settings.name = Some(name);
                self.welcome_again();
            }
            Event::Dismiss(whose, code, reason) => {
                for viewer in self.those(whose) {
                    self.dismiss(viewer, code, reason);
                }
            }
            Event::Packet(viewer, packet, at) => self.handle_packet(viewer, packet, at, now),
            Event::Taken(viewer, run) => {
                if self.viewers.get(&viewer).is_some_and(|member| member.run == run) {
                    self.fanout.handle_taken(viewer);
                }
            }
            Event::Progress(viewer) => self.fanout.handle_progress(viewer, now),
            Event::RoundTrip(viewer, span) => self.fanout.handle_round_trip(viewer, span, now),
            Event::Kernel(viewer, min_rtt) => self.fanout.handle_kernel(viewer, min_rtt),
        }
    }

    pub(super) fn handle_agent(&mut self, event: AgentEvent, now: Micros) {
        match event {
            AgentEvent::Up(hello, to_agent) => self.link_up(hello, to_agent),
            AgentEvent::Down(reason) => self.link_down(reason),
            AgentEvent::Packet(FromAgent::Hello(hello)) => self.introduce(hello),
            AgentEvent::Packet(FromAgent::Frame(table, bytes)) => self.frame(&table, bytes, now),
            AgentEvent::Packet(FromAgent::Digest(at, bytes)) => self.digest(at, &bytes),
            AgentEvent::Packet(FromAgent::Cursor(bytes)) => {
                self.broadcast(&bytes);
                self.cursor = Some(bytes);
            }
            AgentEvent::Packet(FromAgent::DisplayState(state)) => self.display(state),
            AgentEvent::Packet(FromAgent::Still(png)) => self.show_still(png),
            AgentEvent::Packet(FromAgent::Stats(stats)) => self.count_stats(stats, now),
        }
    }

    /// Carries out what the fan-out decided, and tells the agent and others what changed.
    pub(super) fn settle(&mut self, now: Micros) {
        // First of all: an agent that thinks nobody looks makes no pictures.
        self.tell_watching();
        for effect in self.fanout.poll(now) {
            match effect {
                Effect::Refresh(request, refresh) => self.tell(ToAgent::Refresh(request, refresh)),
                Effect::Painted(at) => self.tell(ToAgent::Painted(at)),
                Effect::Pace(pace) => self.pace(pace),
                Effect::Condition(viewer, condition) => self.tell_condition(viewer, condition),
                Effect::DropQueued(viewer) => self.drop_queued(viewer),
                Effect::Close(viewer) => {
                    self.dismiss(viewer, close::STALLED, "no frame was painted for too long");
                }
            }
        }
        self.publish();
    }

    fn tell_watching(&mut self) {
        let viewers = u16::try_from(self.viewers.len()).unwrap_or(u16::MAX);
        let encoders = if self.fanout.sees_video() { self.settings.encoders } else { 0 };
        if self.link.as_ref().is_some_and(|link| link.watching != (viewers, encoders)) {
            self.tell(ToAgent::Watch { viewers, encoders });
            if let Some(link) = &mut self.link {
                link.watching = (viewers, encoders);
            }
        }
    }

    fn pace(&mut self, pace: Pace) {
        report::pace(pace);
        let bitrate = Bitrate::write(pace.bitrate);
        let base_rtt_us = u32::try_from(pace.base_rtt.0).unwrap_or(u32::MAX);
        self.tell(ToAgent::Pace { bitrate, base_rtt_us });
    }

    fn tell_condition(&self, viewer: ViewerId, condition: Condition) {
        if let Some(member) = self.viewers.get(&viewer) {
            member.outbox.push_latest(packet(&ServerPacket::Condition(condition)));
        }
    }

    fn join(
        &mut self,
        visitor: Visitor,
        capabilities: Capabilities,
        reply: oneshot::Sender<Result<Seat, Full>>,
        now: Micros,
    ) {
        let max = self.settings.max_viewers;
        if self.viewers.len() >= max {
            let _ = reply.send(Err(Full { max }));
            return;
        }
        let viewer = ViewerId(self.last_id.0.wrapping_add(1).max(1));
        self.last_id = viewer;
        let (dismiss, dismissed) = oneshot::channel();
        let outbox = Arc::new(Outbox::default());
        let role = visitor.role;
        let member = Member {
            visitor,
            outbox: outbox.clone(),
            dismiss: Some(dismiss),
            run: 0,
            last_seq: Seq(0),
        };
        member.outbox.push_latest(self.welcome(viewer, role));
        if reply.send(Ok(Seat { viewer, outbox, dismissed })).is_err() {
            return;
        }
        if let Some(state) = self.unavailable() {
            member.outbox.push_latest(state);
        }
        self.greet_standing(&member, now);
        if let Some(cursor) = &self.cursor {
            member.outbox.push_latest(cursor.clone());
        }
        self.viewers.insert(viewer, member);
        self.note_opened(role, capabilities, now);
        self.arbiter.join(viewer, role);
        let video = self.settings.encoders > 0 && capabilities.has(Capabilities::H264);
        self.fanout.join(viewer, if video { Sees::Video } else { Sees::Stills }, now);
        self.announce_control();
    }

    fn leave(&mut self, viewer: ViewerId) {
        let drove = self.arbiter.authorize(viewer);
        let Some(member) = self.viewers.remove(&viewer) else { return };
        self.arrivals.retain(|&(id, ..)| id != viewer);
        self.arbiter.leave(viewer);
        self.fanout.leave(viewer);
        if let Some(grant) = drove {
            self.let_go(grant, member.last_seq);
        }
        self.announce_control();
    }

    fn handle_packet(&mut self, viewer: ViewerId, packet: ClientPacket, at: Micros, now: Micros) {
        match packet {
            ClientPacket::Ack(ack) => self.ack(viewer, ack, at),
            ClientPacket::Refresh => self.fanout.handle_refresh_request(viewer, now),
            ClientPacket::TakeControl => self.ask_control(viewer, |arbiter| arbiter.take(viewer)),
            ClientPacket::GiveControl(to) => {
                self.ask_control(viewer, |arbiter| arbiter.give(viewer, to));
            }
            ClientPacket::ReleaseControl => {
                self.ask_control(viewer, |arbiter| arbiter.release(viewer));
            }
            ClientPacket::Point(at) => self.point(viewer, at),
            ClientPacket::Input(input) => match self.arbiter.authorize(viewer) {
                Some(grant) => {
                    self.note_work(&input, now);
                    self.inject(grant, input, at);
                }
                None => drop_input("not_controller"),
            },
            ClientPacket::Resize(size) => match self.arbiter.authorize(viewer) {
                Some(grant) => self.resize(grant, size),
                None => drop_input("not_controller"),
            },
            // The socket's task keeps these to itself.
            ClientPacket::Hello(_) | ClientPacket::Pong(_) => {}
        }
    }

    /// `at` is when it was read: what waited here is not the link's.
    fn ack(&mut self, viewer: ViewerId, ack: Ack, at: Micros) {
        if let Some(debt) = self.fanout.handle_ack(viewer, ack, at) {
            histogram!("lattice_viewer_debt_seconds").record(debt.0 as f64 / 1e6);
        }
    }

    fn inject(&mut self, grant: Grant, input: Input, at: Micros) {
        let viewer = grant.viewer();
        if let Some(member) = self.viewers.get_mut(&viewer) {
            member.last_seq = input.seq();
        }
        let seen = match &input {
            Input::Key(key) => key.down,
            Input::Button(button) => button.down,
            Input::Text(_) => true,
            Input::Pointer(_) | Input::Wheel(_) | Input::ReleaseAll(_) => false,
        };
        let seq = input.seq();
        let kept_free = if input.is_release() { 0 } else { KEPT_FREE };
        if self.input_or_count(ToAgent::Input(viewer, input), kept_free) && seen {
            if self.arrivals.len() >= MAX_ARRIVALS {
                self.arrivals.pop_front();
            }
            self.arrivals.push_back((viewer, seq, at));
        }
    }

    /// Nothing that this viewer held stays pressed.
    fn let_go(&mut self, grant: Grant, seq: Seq) {
        self.input_or_count(ToAgent::Input(grant.viewer(), Input::ReleaseAll(seq)), 0);
    }

    fn resize(&mut self, _grant: Grant, size: Size) {
        let (min, max) = self.limits;
        if min != max {
            self.tell(ToAgent::Resize(size.clamp(min, max)));
        }
    }

    fn display(&mut self, state: DisplayState) {
        // A display that comes back is another one: no picture from before can be built upon.
        match state.state {
            Availability::Live => {
                self.fanout.reset();
                // What was asked of the one before went with it.
                self.ask_still();
            }
            Availability::Lost | Availability::Ended => self.fanout.suspend(),
        }
        if self.display.as_ref() != Some(&state) {
            self.broadcast(&packet(&ServerPacket::DisplayState(state.clone())));
        }
        self.display = Some(state);
    }

    fn frame(&mut self, table: &FrameTable, bytes: Bytes, now: Micros) {
        histogram!("lattice_frame_encode_seconds").record(f64::from(table.cost_us) / 1e6);
        let input = self.arrival(table.echo, now);
        let noticed = Micros(now.0.saturating_sub(table.cost_us.into()));
        let noticed = table.flags.refresh.is_none().then_some(noticed);
        let receivers = self.fanout.handle_frame(table, bytes.len(), now);
        if table.flags.refresh.is_none() {
            let passed_by = self.viewers.len().saturating_sub(receivers.len()) as u64;
            counter!("lattice_frames_dropped_total", "reason" => "lagging").increment(passed_by);
        }
        let stills = stills(table, &bytes, &receivers);
        for (viewer, sees) in receivers {
            if let Some(member) = self.viewers.get(&viewer) {
                let input = input.filter(|_| viewer == table.echo.0);
                let mark = FrameMark { run: member.run, noticed, input };
                let form = match sees {
                    Sees::Video => &bytes,
                    Sees::Stills => &stills,
                };
                member.outbox.push_frame(form.clone(), mark);
            }
        }
    }

    /// When the input had come that this echo answers first.
    fn arrival(&mut self, (viewer, seq): (ViewerId, Seq), now: Micros) -> Option<Micros> {
        if viewer == ViewerId(0) {
            return None;
        }
        let mut newest = None;
        while let Some(&(id, number, at)) = self.arrivals.front() {
            if id == viewer && number > seq {
                break;
            }
            self.arrivals.pop_front();
            newest = (id == viewer).then_some(at);
        }
        newest.filter(|&at| now.since(at) < EFFECT_PATIENCE)
    }

    fn digest(&mut self, at: FrameRef, bytes: &Bytes) {
        for viewer in self.fanout.handle_digest(at) {
            if let Some(member) = self.viewers.get(&viewer) {
                member.outbox.push_latest(bytes.clone());
            }
        }
    }

    fn drop_queued(&mut self, viewer: ViewerId) {
        let Some(member) = self.viewers.get_mut(&viewer) else { return };
        member.run = member.run.wrapping_add(1);
        let dropped = member.outbox.drop_frames() as u64;
        counter!("lattice_frames_dropped_total", "reason" => "queued").increment(dropped);
    }

    fn dismiss(&mut self, viewer: ViewerId, code: u16, reason: &'static str) {
        let dismiss = self.viewers.get_mut(&viewer).and_then(|member| member.dismiss.take());
        if let Some(dismiss) = dismiss {
            let _ = dismiss.send((code, reason));
        }
    }

    /// Sends what must not be lost. An agent that does not even take that hangs: its link is dropped.
    fn tell(&mut self, what: ToAgent) {
        let Some(link) = &self.link else { return };
        if let Err(TrySendError::Full(_)) = link.to_agent.try_send(what) {
            tracing::warn!("the agent takes no packets; its link is dropped");
            self.link = None;
        }
    }

    /// Sends input where `kept_free` places stay; whether it was sent.
    fn input_or_count(&mut self, what: ToAgent, kept_free: usize) -> bool {
        let Some(link) = &self.link else {
            drop_input("no_agent");
            return false;
        };
        let room = link.to_agent.capacity() > kept_free;
        if !room || link.to_agent.try_send(what).is_err() {
            drop_input("agent_busy");
            return false;
        }
        true
    }

    fn welcome(&self, viewer: ViewerId, role: Role) -> Bytes {
        let name = self.name().to_owned();
        let welcome = Welcome { version: VERSION, viewer, role, limits: self.limits, name };
        packet(&ServerPacket::Welcome(welcome))
    }

    fn name(&self) -> &str {
        self.settings.name.as_deref().unwrap_or(&self.agent_name)
    }

    /// What a new viewer must know where there is no picture to come.
    fn unavailable(&self) -> Option<Bytes> {
        let starting = || DisplayState {
            state: Availability::Lost,
            reason: "the desktop's agent is starting".into(),
        };
        let state = match (&self.display, &self.link) {
            // There is a display: it is only frozen, or has yet to be made.
            _ if self.rest.explains() => return None,
            (Some(state), _) if state.state != Availability::Live => state.clone(),
            (None, None) => starting(),
            (Some(_) | None, _) => return None,
        };
        Some(packet(&ServerPacket::DisplayState(state)))
    }

    fn broadcast(&self, bytes: &Bytes) {
        for member in self.viewers.values() {
            member.outbox.push_latest(bytes.clone());
        }
    }
}

/// The packet for those who cannot see video, made once for all of them.
fn stills(table: &FrameTable, bytes: &Bytes, receivers: &[(ViewerId, Sees)]) -> Bytes {
    if !table.has_video() || receivers.iter().all(|(_, sees)| *sees == Sees::Video) {
        return bytes.clone();
    }
    table.without_video(bytes).expect("the table was read from this packet").into()
}

/// Ids start at a random place, so that an agent's echo of a viewer from before the gateway was
/// restarted is hardly ever somebody's; not beyond 2^14, as each frame has room for one.
fn first_id() -> ViewerId {
    ViewerId(clock::now().0 as u32 & 0x3fff)
}

#[cfg(test)]
mod tests;
