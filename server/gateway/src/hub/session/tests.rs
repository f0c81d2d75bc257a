use super::*;
use crate::hub::{Right, Whose};
use crate::store::LinkId;
use lattice_wire::{
    AgentHello, Bottleneck, Epoch, Frame, FrameFlags, FrameId, Key, Modifiers, Op, OpKind, Point,
    Rect, Role, Standing, Video,
};

const NOW: Micros = Micros(1);
const MS: fn(u64) -> Micros = Micros::from_millis;
const SIZE: Size = Size::new(64, 64);

fn key(seq: u32, down: bool) -> Input {
    let (code, key) = ("KeyA".to_owned(), "a".to_owned());
    Input::Key(Key { seq: Seq(seq), down, modifiers: Modifiers::default(), code, key })
}

/// A session with an agent that a test plays.
struct Room {
    session: Session,
    packets: mpsc::Receiver<ToAgent>,
}

impl Room {
    fn new(encoders: u8, places: usize) -> Self {
        let settings = Settings { name: None, max_viewers: 9, encoders };
        let mut session = Session::new(settings);
        let (to_agent, packets) = mpsc::channel(places);
        let hello = AgentHello { version: VERSION, limits: UNKNOWN_LIMITS, name: String::new() };
        session.handle_agent(AgentEvent::Up(hello, to_agent), NOW);
        let live = DisplayState { state: Availability::Live, reason: String::new() };
        session.handle_agent(AgentEvent::Packet(FromAgent::DisplayState(live)), NOW);
        Self { session, packets }
    }

    fn join(&mut self, capabilities: Capabilities) -> Seat {
        self.admit(Visitor::owner(), capabilities)
    }

    fn admit(&mut self, visitor: Visitor, capabilities: Capabilities) -> Seat {
        let (reply, mut seat) = oneshot::channel();
        let join = Event::Join { visitor, capabilities, reply };
        self.session.handle_event(join, NOW);
        self.session.settle(NOW);
        seat.try_recv().expect("an answer").expect("a seat")
    }

    /// What the agent has been told since it was asked last.
    fn told(&mut self) -> Vec<ToAgent> {
        std::iter::from_fn(|| self.packets.try_recv().ok()).collect()
    }

    fn send(&mut self, frame: &Frame, now: Micros) {
        let packet = FromAgent::decode(&frame.encode().into()).expect("a good packet");
        self.session.handle_agent(AgentEvent::Packet(packet), now);
        self.session.settle(now);
    }

    fn ack(&mut self, viewer: ViewerId, frame: &Frame, now: Micros) {
        let ack = ClientPacket::Ack(Ack { at: frame.at, decode_us: 0, queued: 0 });
        self.session.handle_event(Event::Packet(viewer, ack, now), now);
        self.session.settle(now);
    }
}

/// A frame of a fill, a unit of video and a picture of so many bytes.
fn film(id: u32, len: usize) -> Frame {
    let rect = Rect::new(0, 0, 32, 32);
    let video = Video {
        stream: 0,
        keyframe: false,
        coded: Size::new(32, 32),
        damage: vec![rect],
        unit: Bytes::from_static(&[0, 0, 1, 9]),
    };
    let kinds = [OpKind::Fill(7), OpKind::Video(video), OpKind::Png(vec![1; len].into())];
    Frame {
        flags: FrameFlags { keyframe: (id == 1).then_some(SIZE), refresh: None },
        at: FrameRef { epoch: Epoch(7), id: FrameId(id) },
        echo: (ViewerId(0), Seq(0)),
        cost_us: 0,
        ops: kinds.into_iter().map(|kind| Op { rect, kind }).collect(),
    }
}

/// The frames and conditions that wait for a viewer.
async fn waiting(seat: &Seat) -> Vec<ServerPacket> {
    let mut packets = Vec::new();
    while let Ok(item) = tokio::time::timeout(std::time::Duration::ZERO, seat.outbox.next()).await {
        let packet = ServerPacket::decode(&item.bytes).expect("a good packet");
        if matches!(packet, ServerPacket::Frame(_) | ServerPacket::Condition(_)) {
            packets.push(packet);
        }
    }
    packets
}

#[test]
fn a_busy_agent_is_still_told_what_is_let_go_of() {
    let mut room = Room::new(0, 2 * KEPT_FREE);
    let viewer = room.join(Capabilities(0)).viewer;
    let mut input = |input: Input| {
        let packet = ClientPacket::Input(input);
        room.session.handle_event(Event::Packet(viewer, packet, NOW), NOW);
    };
    (1..1000).for_each(|seq| input(key(seq, true)));
    input(key(1000, false));
    assert_eq!(room.told().last(), Some(&ToAgent::Input(viewer, key(1000, false))));
}

#[test]
fn there_are_encoders_while_somebody_can_see_what_they_make() {
    let watch = |viewers, encoders| ToAgent::Watch { viewers, encoders };
    let mut room = Room::new(2, 100);
    room.join(Capabilities::SECURE_CONTEXT);
    assert!(room.told().contains(&watch(1, 0)));
    let viewer = room.join(Capabilities::H264).viewer;
    assert!(room.told().contains(&watch(2, 2)));
    room.session.handle_event(Event::Left(viewer), NOW);
    room.session.settle(NOW);
    assert!(room.told().contains(&watch(1, 0)));
    // Switched off, nobody is taken for one who sees video.
    let mut room = Room::new(0, 100);
    room.join(Capabilities::H264);
    assert!(room.told().contains(&watch(1, 0)));
}

#[tokio::test]
async fn each_viewer_gets_a_frame_in_the_form_that_it_can_show() {
    let mut room = Room::new(2, 100);
    let seats = [room.join(Capabilities::H264), room.join(Capabilities(0))];
    let sent = film(1, 9);
    room.send(&sent, NOW);
    assert_eq!(waiting(&seats[0]).await, [ServerPacket::Frame(sent.clone())]);
    let rest = sent.ops.iter().filter(|op| !matches!(op.kind, OpKind::Video(_))).cloned();
    let stills = Frame { ops: rest.collect(), ..sent };
    assert_eq!(waiting(&seats[1]).await, [ServerPacket::Frame(stills)]);
}

/// Shows frames of 3.2 Mbit/s over 2 Mbit/s and 60 ms until that is noticed.
fn narrow(room: &mut Room, seat: &Seat) {
    room.session.handle_event(Event::Kernel(seat.viewer, MS(20)), NOW);
    room.session.handle_event(Event::RoundTrip(seat.viewer, MS(60)), NOW);
    let mut free = MS(0);
    for id in 1..14 {
        let now = MS(1000 + u64::from(id) * 50);
        let frame = film(id, 20_000);
        room.send(&frame, now);
        free = free.max(now).plus(MS(80));
        room.ack(seat.viewer, &frame, free.plus(MS(60)));
    }
}

#[test]
fn the_agent_is_told_the_pace_of_a_narrow_link_and_that_it_is_gone() {
    let mut room = Room::new(2, 1000);
    let seat = room.join(Capabilities::H264);
    narrow(&mut room, &seat);
    let pace = room.told().into_iter().rev().find_map(|packet| match packet {
        ToAgent::Pace { bitrate, base_rtt_us } => Some((bitrate, base_rtt_us)),
        _ => None,
    });
    let (bitrate, base_rtt_us) = pace.expect("a pace");
    assert!((1_000_000..2_500_000).contains(&bitrate), "{bitrate} bit/s");
    assert!((60_000..70_000).contains(&base_rtt_us), "{base_rtt_us} us");
    room.session.handle_event(Event::Left(seat.viewer), MS(9000));
    room.session.settle(MS(9000));
    let gone = ToAgent::Pace { bitrate: u32::MAX, base_rtt_us: 0 };
    assert!(room.told().contains(&gone));
}

#[tokio::test]
async fn a_viewer_is_told_that_its_network_limits_it() {
    let mut room = Room::new(2, 1000);
    let seat = room.join(Capabilities::H264);
    narrow(&mut room, &seat);
    let told = waiting(&seat).await.into_iter().rev().find_map(|packet| match packet {
        ServerPacket::Condition(condition) => Some(condition.bottleneck),
        _ => None,
    });
    assert_eq!(told, Some(Bottleneck::Network));
}

/// Somebody who came by a link.
fn guest(role: Role, name: &str) -> Visitor {
    Visitor { role, name: name.into(), right: Right::default() }
}

/// The packets besides frames that wait for a viewer.
async fn heard(seat: &Seat) -> Vec<ServerPacket> {
    let mut packets = Vec::new();
    while let Ok(item) = tokio::time::timeout(std::time::Duration::ZERO, seat.outbox.next()).await {
        packets.push(ServerPacket::decode(&item.bytes).expect("a good packet"));
    }
    packets
}

fn say(room: &mut Room, viewer: ViewerId, packet: ClientPacket) {
    room.session.handle_event(Event::Packet(viewer, packet, NOW), NOW);
    room.session.settle(NOW);
}

#[tokio::test(start_paused = true)]
async fn owners_hear_who_is_there_and_guests_do_not() {
    let mut room = Room::new(0, 100);
    let owner = room.join(Capabilities(0));
    let sue = room.admit(guest(Role::Control, "Sue"), Capabilities(0));
    say(&mut room, sue.viewer, ClientPacket::TakeControl);
    let people = heard(&owner).await.into_iter().find_map(|packet| match packet {
        ServerPacket::People(people) => Some(people.0),
        _ => None,
    });
    let people: Vec<_> = people.expect("a list").into_iter().map(|p| (p.name, p.asks)).collect();
    assert_eq!(people, [(String::new(), false), ("Sue".to_owned(), true)]);
    assert!(!heard(&sue).await.iter().any(|packet| matches!(packet, ServerPacket::People(_))));
}

/// Programs of the desktop have it offered: who came by a link, even one that lets them drive, hears nothing.
#[tokio::test(start_paused = true)]
async fn the_page_is_offered_to_the_owner_who_drives_or_else_to_all_owners() {
    let mut room = Room::new(0, 100);
    let owners = [(); 2].map(|()| room.join(Capabilities(0)));
    let roles = [Role::View, Role::Assist, Role::Control];
    let guests = roles.map(|role| room.admit(guest(role, "Sue"), Capabilities(0)));
    let check = async |room: &mut Room, expected: [usize; 2], when: &str| {
        room.session.handle_event(Event::OfferPage, NOW);
        let offers = async |seat: &Seat| {
            let heard = heard(seat).await;
            heard.iter().filter(|packet| matches!(packet, ServerPacket::OfferPage)).count()
        };
        assert_eq!([offers(&owners[0]).await, offers(&owners[1]).await], expected, "{when}");
        for guest in &guests {
            assert_eq!(offers(guest).await, 0, "{when}");
        }
    };
    check(&mut room, [1, 0], "the first owner drives").await;
    say(&mut room, owners[0].viewer, ClientPacket::GiveControl(guests[2].viewer));
    check(&mut room, [1, 1], "a guest drives").await;
}

#[tokio::test(start_paused = true)]
async fn control_that_is_handed_over_lets_go_of_what_was_held() {
    let mut room = Room::new(0, 100);
    let owner = room.join(Capabilities(0)).viewer;
    let sue = room.admit(guest(Role::Control, "Sue"), Capabilities(0)).viewer;
    say(&mut room, owner, ClientPacket::Input(key(7, true)));
    say(&mut room, sue, ClientPacket::Input(key(1, true)));
    say(&mut room, owner, ClientPacket::GiveControl(sue));
    say(&mut room, owner, ClientPacket::Input(key(8, true)));
    say(&mut room, sue, ClientPacket::Input(key(2, true)));
    let inputs: Vec<_> = room
        .told()
        .into_iter()
        .filter_map(|told| match told {
            ToAgent::Input(viewer, input) => Some((viewer, input)),
            _ => None,
        })
        .collect();
    let expected = [(owner, key(7, true)), (owner, Input::ReleaseAll(Seq(7))), (sue, key(2, true))];
    assert_eq!(inputs, expected);
}

#[tokio::test(start_paused = true)]
async fn who_may_point_is_seen_by_the_others() {
    let mut room = Room::new(0, 100);
    let owner = room.join(Capabilities(0));
    let helper = room.admit(guest(Role::Assist, "Hal"), Capabilities(0));
    let watcher = room.admit(guest(Role::View, "Eve"), Capabilities(0));
    let at = Point { x: 5, y: 6 };
    for viewer in [owner.viewer, helper.viewer, watcher.viewer] {
        say(&mut room, viewer, ClientPacket::Point(at));
    }
    for (seat, expected) in [(&owner, 1), (&helper, 0), (&watcher, 1)] {
        let seen: Vec<_> = heard(seat)
            .await
            .into_iter()
            .filter_map(|packet| match packet {
                ServerPacket::Pointing(pointing) => Some(pointing),
                _ => None,
            })
            .collect();
        assert_eq!(seen.len(), expected);
        assert!(seen.iter().all(|seen| (seen.viewer, seen.at) == (helper.viewer, at)));
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_not_drive_makes_no_noise_by_asking() {
    let mut room = Room::new(0, 100);
    let owner = room.join(Capabilities(0));
    let eve = room.admit(guest(Role::View, "Eve"), Capabilities(0)).viewer;
    heard(&owner).await;
    for packet in [ClientPacket::TakeControl, ClientPacket::ReleaseControl] {
        say(&mut room, eve, packet);
    }
    say(&mut room, eve, ClientPacket::GiveControl(eve));
    assert_eq!(heard(&owner).await, []);
}

#[test]
fn a_revoked_link_takes_those_with_it_who_came_by_it() {
    let mut room = Room::new(0, 100);
    let by = |link| Visitor {
        right: Right { link: Some(LinkId(link)), ..Right::default() },
        ..guest(Role::View, "Sue")
    };
    let mut owner = room.join(Capabilities(0));
    let mut sue = room.admit(by(4), Capabilities(0));
    let mut eve = room.admit(by(5), Capabilities(0));
    let revoke = Event::Dismiss(Whose::Link(LinkId(4)), close::REVOKED, "the link was revoked");
    room.session.handle_event(revoke, NOW);
    assert_eq!(sue.dismissed.try_recv(), Ok((close::REVOKED, "the link was revoked")));
    assert!(owner.dismissed.try_recv().is_err() && eve.dismissed.try_recv().is_err());
}

#[test]
fn control_given_from_outside_goes_to_who_may_drive_and_comes_back() {
    let mut room = Room::new(0, 100);
    let owner = room.join(Capabilities(0)).viewer;
    let sue = room.admit(guest(Role::Control, "Sue"), Capabilities(0)).viewer;
    let eve = room.admit(guest(Role::View, "Eve"), Capabilities(0)).viewer;
    let driver = |room: &Room| room.session.arbiter.controller();
    assert_eq!(driver(&room), Some(owner));
    room.session.handle_event(Event::Give(Some(eve)), NOW);
    assert_eq!(driver(&room), Some(owner), "who may only look never drives");
    room.session.handle_event(Event::Give(Some(sue)), NOW);
    assert_eq!(driver(&room), Some(sue));
    room.session.handle_event(Event::Give(None), NOW);
    assert_eq!(driver(&room), Some(owner));
}

/// A viewer of that role that moves the pointer.
fn works(room: &mut Room, viewer: ViewerId, now: Micros) {
    let at = lattice_wire::PointerAt { seq: Seq(1), at: Point { x: 1, y: 1 } };
    let packet = ClientPacket::Input(Input::Pointer(at));
    room.session.handle_event(Event::Packet(viewer, packet, now), now);
    room.session.settle(now);
}

#[test]
fn work_is_noted_now_and_then_and_at_once_where_the_desktop_rests() {
    let mut room = Room::new(0, 100);
    let viewer = room.join(Capabilities(0)).viewer;
    let status = room.session.status();
    let noted = || status.borrow().worked_at;
    assert_eq!(noted(), None, "looking is no work");
    for (now, at) in [(1000, 1000), (2000, 1000), (5999, 1000), (6000, 6000)] {
        works(&mut room, viewer, MS(now));
        assert_eq!(noted(), Some(MS(at)));
    }
    let warned = Standing::Warned { idle_s: 1500, left_s: 300, stops: false };
    room.session.handle_event(Event::Standing(warned), MS(6500));
    works(&mut room, viewer, MS(7000));
    assert_eq!(noted(), Some(MS(7000)));
    // Pages let go of everything by themselves.
    let release = ClientPacket::Input(Input::ReleaseAll(Seq(2)));
    room.session.handle_event(Event::Packet(viewer, release, MS(20_000)), MS(20_000));
    room.session.settle(MS(20_000));
    assert_eq!(noted(), Some(MS(7000)));
}

#[test]
fn what_somebody_does_who_does_not_drive_is_no_work() {
    let mut room = Room::new(0, 100);
    room.join(Capabilities(0));
    let visitor = Visitor { role: Role::Control, ..Visitor::owner() };
    let second = room.admit(visitor, Capabilities(0)).viewer;
    works(&mut room, second, MS(1000));
    assert_eq!(room.session.status().borrow().worked_at, None);
}

#[test]
fn a_desktop_is_opened_by_who_may_drive_and_not_by_a_page_that_comes_back() {
    let mut room = Room::new(0, 100);
    let status = room.session.status();
    for (role, capabilities, opens) in [
        (Role::View, Capabilities(0), false),
        (Role::Assist, Capabilities(0), false),
        (Role::Own, Capabilities::RETURNING, false),
        (Role::Control, Capabilities(0), true),
    ] {
        room.admit(Visitor { role, ..Visitor::owner() }, capabilities);
        assert_eq!(status.borrow().opened_at.is_some(), opens, "{role:?}");
    }
}

#[tokio::test]
async fn who_comes_late_is_told_what_is_left() {
    let mut room = Room::new(0, 100);
    let warned = Standing::Warned { idle_s: 1500, left_s: 300, stops: true };
    room.session.handle_event(Event::Standing(warned), Micros(0));
    let (reply, mut seat) = oneshot::channel();
    let (visitor, capabilities) = (Visitor::owner(), Capabilities(0));
    room.session.handle_event(Event::Join { visitor, capabilities, reply }, MS(60_000));
    let seat = seat.try_recv().expect("an answer").expect("a seat");
    let told = Standing::Warned { idle_s: 1560, left_s: 240, stops: true };
    assert!(standings(&seat).await.contains(&told));
}

#[tokio::test]
async fn a_paused_desktop_takes_nothing_and_is_not_lost() {
    let mut room = Room::new(0, 100);
    let seat = room.join(Capabilities(0));
    room.told();
    room.session.handle_event(Event::Standing(Standing::Paused), NOW);
    works(&mut room, seat.viewer, MS(1000));
    assert_eq!(room.told(), []);
    let late = room.join(Capabilities(0));
    for seat in [&seat, &late] {
        assert_eq!(standings(seat).await, [Standing::Paused]);
    }
    // Nobody is given up for not painting what does not come.
    room.session.settle(MS(600_000));
    assert_eq!(room.session.viewers.len(), 2);
    assert!(room.session.viewers.values().all(|member| member.dismiss.is_some()));
}

/// What a viewer is told of how the desktop stands; that a display is lost must not be among the rest.
async fn standings(seat: &Seat) -> Vec<Standing> {
    let mut standings = Vec::new();
    while let Ok(item) = tokio::time::timeout(std::time::Duration::ZERO, seat.outbox.next()).await {
        match ServerPacket::decode(&item.bytes).expect("a good packet") {
            ServerPacket::Standing(standing) => standings.push(standing),
            ServerPacket::DisplayState(display) => assert_eq!(display.state, Availability::Live),
            _ => {}
        }
    }
    standings
}

#[test]
fn a_still_picture_is_asked_for_once_of_an_agent_that_makes_them() {
    let mut room = Room::new(0, 99);
    let still = room.session.still();
    let asks = |told: Vec<ToAgent>| {
        let still = |packet| match packet {
            ToAgent::Still { at_once } => Some(at_once),
            _ => None,
        };
        told.into_iter().filter_map(still).collect::<Vec<_>>()
    };
    room.session.handle_event(Event::WantStill, NOW);
    assert_eq!(asks(room.told()), [false; 0], "an older agent would take it for a fault");
    let version = VERSION | lattice_wire::link::MAKES_STILLS;
    let hello = AgentHello { version, limits: UNKNOWN_LIMITS, name: String::new() };
    for _ in 0..2 {
        let again = AgentEvent::Packet(FromAgent::Hello(hello.clone()));
        room.session.handle_agent(again, NOW);
        room.session.handle_event(Event::WantStill, NOW);
    }
    assert_eq!(asks(room.told()), [true]);
    for picture in [b"one", b"two"] {
        let png = AgentEvent::Packet(FromAgent::Still(Bytes::from_static(picture)));
        room.session.handle_agent(png, NOW);
    }
    assert_eq!(&**still.borrow(), b"one", "what nobody asked for is dropped");
    room.session.handle_event(Event::WantStill, NOW);
    assert_eq!(asks(room.told()), [false]);
    let live = DisplayState { state: Availability::Live, reason: String::new() };
    room.session.handle_agent(AgentEvent::Packet(FromAgent::DisplayState(live)), NOW);
    assert_eq!(asks(room.told()), [false], "another display has not heard of it");
}
