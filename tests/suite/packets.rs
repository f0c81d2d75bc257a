//! A million broken packets: decoding never panics, and what it accepts it writes again.
//!
//! The same property runs without end in `tests/fuzz`; this is its share that fits into every run.

use bytes::Bytes;
use lattice_tests::scene::Random;
use lattice_wire::{
    Ack, AgentHello, AgentStats, Askers, Availability, Bottleneck, Button, Capabilities,
    ClientPacket, Condition, Control, Cursor, DecodeError, Digest, DisplayState, Epoch, Frame,
    FrameFlags, FrameId, FrameRef, FromAgent, Hello, Input, Key, Micros, Modifiers, Op, OpKind,
    Ping, Point, PointerAt, Rect, Refresh, RefreshId, Role, Seq, ServerPacket, Size, Text, ToAgent,
    Video, ViewerId, Welcome, Wheel,
};

const ROUNDS: usize = 1_000_000;
const AT: FrameRef = FrameRef { epoch: Epoch(0x0102_0304), id: FrameId(7) };

/// Decodes as every reader would, and checks that what was accepted says the same again.
fn check(packet: &[u8]) -> [Result<(), DecodeError>; 4] {
    let bytes = Bytes::copy_from_slice(packet);
    let client = ClientPacket::decode(packet);
    let server = ServerPacket::decode(&bytes);
    let to_agent = ToAgent::decode(packet);
    if let Ok(read) = &client {
        assert_eq!(read.encode(), packet, "{read:?}");
    }
    if let Ok(read) = &server {
        assert_eq!(read.encode(), packet, "{read:?}");
    }
    if let Ok(read) = &to_agent {
        assert_eq!(ToAgent::decode(&read.encode()).as_ref(), Ok(read));
    }
    [client.map(drop), server.map(drop), to_agent.map(drop), FromAgent::decode(&bytes).map(drop)]
}

/// One packet of each kind.
fn seeds() -> Vec<Vec<u8>> {
    let (at, modifiers, seq) = (Point { x: 3, y: 700 }, Modifiers(5), Seq(9));
    let limits = (Size::new(64, 64), Size::new(5120, 2880));
    let inputs = [
        Input::Key(Key { seq, down: true, modifiers, code: "KeyA".into(), key: "é".into() }),
        Input::Text(Text { seq, text: "日本".into() }),
        Input::Pointer(PointerAt { seq, at }),
        Input::Button(Button { seq, at, button: 2, down: false, modifiers }),
        Input::Wheel(Wheel { seq, at, dx: -120, dy: 60, modifiers }),
        Input::ReleaseAll(seq),
    ];
    let rect = Rect::new(8, 8, 4, 2);
    let ops = [
        OpKind::Fill(0x0012_3456),
        OpKind::Copy(at),
        OpKind::Png(Bytes::from_static(b"\x89PNG not really")),
        OpKind::Palette(Bytes::from_static(&[0, 1, 2, 3, 0])),
        OpKind::Video(Video {
            stream: 1,
            keyframe: false,
            coded: Size::new(4, 2),
            damage: vec![rect],
            unit: Bytes::from_static(&[0, 0, 1, 0x41]),
        }),
    ];
    let frame = Frame {
        flags: FrameFlags { keyframe: Some(Size::new(1366, 768)), refresh: Some(RefreshId(9)) },
        at: AT,
        echo: (ViewerId(2), seq),
        cost_us: 900,
        ops: ops.map(|kind| Op { rect, kind }).to_vec(),
    };
    let digest = Digest { at: AT, size: Size::new(1366, 768), bands: (0..12).collect() };
    let cursor = Cursor { hot: at, size: Size::new(24, 24), png: Bytes::from_static(b"png") };
    let welcome =
        Welcome { version: 1, viewer: ViewerId(2), role: Role::Own, limits, name: "Desk".into() };
    let reason = "the display does not answer".to_owned();
    let server = [
        ServerPacket::Frame(frame),
        ServerPacket::Digest(digest),
        ServerPacket::Cursor(cursor),
        ServerPacket::Welcome(welcome),
        ServerPacket::Control(Control { controller: ViewerId(2), viewers: 3 }),
        ServerPacket::DisplayState(DisplayState { state: Availability::Lost, reason }),
        ServerPacket::Ping(Ping { sent: Micros(1), round_trip_us: 400 }),
        ServerPacket::Condition(Condition {
            bottleneck: Bottleneck::Network,
            bitrate: 2_000_000,
            debt_ms: 90,
        }),
    ];
    let client = [
        ClientPacket::Hello(Hello {
            version: 1,
            capabilities: Capabilities(3),
            viewport: Size::new(1366, 768),
        }),
        ClientPacket::Ack(Ack { at: AT, decode_us: 12, queued: 1 }),
        ClientPacket::Pong(Micros(77)),
        ClientPacket::Resize(Size::new(1, 65535)),
        ClientPacket::Refresh,
        ClientPacket::TakeControl,
    ];
    let to_agent = [
        ToAgent::Hello { version: 1, token: "secret".into() },
        ToAgent::Watch { viewers: 2, encoders: 1 },
        ToAgent::Pace { bitrate: u32::MAX, base_rtt_us: 40 },
        ToAgent::Refresh(RefreshId(1), Refresh::Whole),
        ToAgent::Refresh(
            RefreshId(2),
            Refresh::Part {
                since: AT,
                missed: vec![rect, Rect::new(0, 0, 64, 64)],
                askers: Askers::Both,
            },
        ),
        ToAgent::Painted(AT),
        ToAgent::Resize(Size::new(800, 600)),
    ];
    let hello = AgentHello { version: 1, limits, name: "Desk".into() };
    let stats = AgentStats { grabs: 1, frames: 2, inputs_dropped: 5, ..AgentStats::default() };
    let mut seeds = vec![hello.encode(), stats.encode()];
    seeds.extend(server.iter().map(ServerPacket::encode));
    seeds.extend(client.iter().map(ClientPacket::encode));
    seeds.extend(to_agent.iter().map(ToAgent::encode));
    for input in inputs {
        seeds.push(ToAgent::Input(ViewerId(2), input.clone()).encode());
        seeds.push(input.encode());
    }
    seeds
}

fn mutate(packet: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let len = packet.len() as u32;
        let at = random.below(len.max(1)) as usize;
        let interesting = [0, 1, 0x7f, 0x80, 0xff, random.number() as u8];
        let value = interesting[random.below(6) as usize];
        match random.below(6) {
            0 => packet.truncate(at),
            1 => packet.insert(at.min(packet.len()), value),
            2 if len > 0 => {
                packet.remove(at);
            }
            3 if len > 0 => packet[at] ^= 1 << random.below(8),
            4 => packet.extend_from_within(at..),
            _ if len > 0 => packet[at] = value,
            _ => packet.push(value),
        }
        packet.truncate(4096);
    }
}

#[test]
fn every_seed_is_read_by_somebody() {
    for seed in seeds() {
        let read = check(&seed);
        assert!(read.iter().any(Result::is_ok), "{seed:02x?}: {read:?}");
    }
}

#[test]
fn every_strict_prefix_is_truncated() {
    for seed in seeds() {
        let whole = check(&seed);
        for len in 0..seed.len() {
            for (reader, result) in check(&seed[..len]).into_iter().enumerate() {
                if whole[reader].is_ok() {
                    assert_eq!(result, Err(DecodeError::Truncated), "{:02x?}", &seed[..len]);
                }
            }
        }
    }
}

#[test]
fn a_million_broken_packets_do_no_harm() {
    let seeds = seeds();
    let mut random = Random(0x2545_f491);
    let (mut accepted, mut packet) = (0, Vec::new());
    for round in 0..ROUNDS {
        // Half of the time what was broken before is broken further.
        if round % 2 == 0 {
            packet.clone_from(&seeds[random.below(seeds.len() as u32) as usize]);
        }
        mutate(&mut packet, &mut random);
        accepted += usize::from(check(&packet).iter().any(Result::is_ok));
    }
    assert!(accepted > ROUNDS / 100, "only {accepted} packets got past their kind");
}
