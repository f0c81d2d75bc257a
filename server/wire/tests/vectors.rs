//! Packets that Rust and JavaScript must both read and write to the byte: `tests/vectors`.
//!
//! After a deliberate change of the protocol, `UPDATE_VECTORS=1 cargo test -p lattice-wire` writes
//! the file anew; the JavaScript tests then say what the web client has to learn.

use bytes::Bytes;
use lattice_wire::link::encode_still;
use lattice_wire::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/packets.json");

/// A packet in every form: who sends it, its bytes, its fields, and whether Rust reads it back.
struct Vector {
    name: &'static str,
    direction: &'static str,
    bytes: Vec<u8>,
    fields: Value,
    reads_back: bool,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn server(name: &'static str, packet: ServerPacket, fields: Value) -> Vector {
    let bytes = packet.encode();
    let reads_back = ServerPacket::decode(&bytes.clone().into()) == Ok(packet);
    Vector { name, direction: "server", bytes, fields, reads_back }
}

fn client(name: &'static str, packet: ClientPacket, fields: Value) -> Vector {
    let bytes = packet.encode();
    let reads_back = ClientPacket::decode(&bytes) == Ok(packet);
    Vector { name, direction: "client", bytes, fields, reads_back }
}

fn to_agent(name: &'static str, packet: ToAgent) -> Vector {
    let bytes = packet.encode();
    let reads_back = ToAgent::decode(&bytes) == Ok(packet);
    Vector { name, direction: "gateway", bytes, fields: Value::Null, reads_back }
}

fn from_agent(name: &'static str, bytes: Vec<u8>, expected: FromAgent) -> Vector {
    let reads_back = FromAgent::decode(&bytes.clone().into()) == Ok(expected);
    Vector { name, direction: "agent", bytes, fields: Value::Null, reads_back }
}

fn at(epoch: u32, id: u32) -> FrameRef {
    FrameRef { epoch: Epoch(epoch), id: FrameId(id) }
}

fn video() -> Video {
    Video {
        stream: 2,
        keyframe: true,
        coded: Size::new(642, 360),
        damage: vec![Rect::new(100, 200, 64, 64), Rect::new(700, 500, 41, 60)],
        unit: Bytes::from_static(&[0, 0, 0, 1, 0x67]),
    }
}

fn full_frame() -> Frame {
    Frame {
        flags: FrameFlags { keyframe: Some(Size::new(1366, 768)), refresh: Some(RefreshId(200)) },
        at: at(0xdead_beef, 300),
        echo: (ViewerId(3), Seq(77)),
        cost_us: 1234,
        ops: vec![
            Op { rect: Rect::new(0, 0, 1366, 768), kind: OpKind::Fill(0x0012_34ab) },
            Op { rect: Rect::new(10, 40, 100, 50), kind: OpKind::Copy(Point { x: 10, y: 20 }) },
            Op { rect: Rect::new(1, 2, 3, 4), kind: OpKind::Png(Bytes::from_static(b"\x89PNG")) },
            Op {
                rect: Rect::new(1365, 767, 1, 1),
                kind: OpKind::Palette(Bytes::from_static(&[1, 0, 0, 0, 255, 255, 255, 0x80])),
            },
            Op { rect: Rect::new(100, 200, 641, 360), kind: OpKind::Video(video()) },
        ],
    }
}

fn vectors() -> Vec<Vector> {
    let frame = full_frame();
    let frame_fields = json!({
        "type": "frame", "keyframe": {"width": 1366, "height": 768}, "refresh": 200,
        "epoch": 0xdead_beef_u32, "id": 300, "echoViewer": 3, "echoSeq": 77, "costUs": 1234,
        "ops": [
            {"kind": "fill", "x": 0, "y": 0, "width": 1366, "height": 768, "color": 0x0012_34ab},
            {"kind": "copy", "x": 10, "y": 40, "width": 100, "height": 50, "fromX": 10, "fromY": 20},
            {"kind": "png", "x": 1, "y": 2, "width": 3, "height": 4, "data": "89504e47"},
            {"kind": "palette", "x": 1365, "y": 767, "width": 1, "height": 1, "data": "01000000ffffff80"},
            {"kind": "video", "x": 100, "y": 200, "width": 641, "height": 360, "stream": 2,
             "keyframe": true, "codedWidth": 642, "codedHeight": 360, "damage": [
                {"x": 100, "y": 200, "width": 64, "height": 64},
                {"x": 700, "y": 500, "width": 41, "height": 60},
             ], "data": "0000000167"},
        ],
    });
    let empty =
        Frame { flags: FrameFlags::default(), ops: Vec::new(), at: at(1, 1), ..frame.clone() };
    let empty_fields = json!({
        "type": "frame", "keyframe": null, "refresh": null, "epoch": 1, "id": 1, "echoViewer": 3,
        "echoSeq": 77, "costUs": 1234, "ops": [],
    });
    let hello =
        Hello { version: VERSION, capabilities: Capabilities(3), viewport: Size::new(1366, 768) };
    let key = Key {
        seq: Seq(5),
        down: true,
        modifiers: Modifiers(17),
        code: "KeyE".into(),
        key: "€".into(),
    };
    let modifiers = Modifiers(2);
    let spot = Point { x: 65535, y: 9 };
    let refresh = Refresh::Part {
        since: at(2, 3),
        missed: vec![Rect::new(1, 2, 3, 4), Rect::new(5, 6, 7, 8)],
        askers: Askers::Video,
    };
    let agent_hello = AgentHello {
        version: VERSION,
        limits: (Size::new(320, 200), Size::new(3840, 2160)),
        name: ":7".into(),
    };
    let stats = AgentStats {
        grabs: 1,
        frames: 2,
        wakeups: 3,
        inputs: 4,
        inputs_dropped: 5,
        video_units: 6,
        video_keyframes: 7,
        encoders: 8,
        late: 9,
    };
    let digest =
        Digest { at: at(1, 9), size: Size::new(10, 130), bands: vec![1, 0xffff_ffff, 0x8000_0000] };
    let table = FrameTable::decode(&frame.encode()).expect("the frame is valid");
    vec![
        server("frame", ServerPacket::Frame(frame.clone()), frame_fields),
        server("empty frame", ServerPacket::Frame(empty), empty_fields),
        server(
            "digest",
            ServerPacket::Digest(digest.clone()),
            json!({"type": "digest", "epoch": 1, "id": 9, "width": 10, "height": 130, "bands": [1, 0xffff_ffff_u32, 0x8000_0000_u32]}),
        ),
        server(
            "cursor",
            ServerPacket::Cursor(Cursor {
                hot: Point { x: 3, y: 4 },
                size: Size::new(24, 25),
                png: Bytes::from_static(&[1, 2, 3]),
            }),
            json!({"type": "cursor", "hotX": 3, "hotY": 4, "width": 24, "height": 25, "png": "010203"}),
        ),
        server(
            "hidden cursor",
            ServerPacket::Cursor(Cursor {
                hot: Point::default(),
                size: Size::default(),
                png: Bytes::new(),
            }),
            json!({"type": "cursor", "hotX": 0, "hotY": 0, "width": 0, "height": 0, "png": ""}),
        ),
        server(
            "welcome",
            ServerPacket::Welcome(Welcome {
                version: VERSION,
                viewer: ViewerId(7),
                role: Role::Own,
                limits: (Size::new(320, 200), Size::new(3840, 2160)),
                name: "Ann’s desktop".into(),
            }),
            json!({"type": "welcome", "version": VERSION, "viewer": 7, "role": "own", "minWidth": 320, "minHeight": 200, "maxWidth": 3840, "maxHeight": 2160, "name": "Ann’s desktop"}),
        ),
        server(
            "control",
            ServerPacket::Control(Control { controller: ViewerId(7), viewers: 2 }),
            json!({"type": "control", "controller": 7, "viewers": 2}),
        ),
        server(
            "people",
            ServerPacket::People(People(vec![
                Person { viewer: ViewerId(7), role: Role::Own, asks: false, name: "Ann".into() },
                Person {
                    viewer: ViewerId(9), role: Role::Control, asks: true, name: "Zoë".into()
                },
            ])),
            json!({"type": "people", "people": [
                {"viewer": 7, "role": "own", "asks": false, "name": "Ann"},
                {"viewer": 9, "role": "control", "asks": true, "name": "Zoë"},
            ]}),
        ),
        server(
            "pointing",
            ServerPacket::Pointing(Pointing { viewer: ViewerId(9), at: Point { x: 640, y: 3 } }),
            json!({"type": "pointing", "viewer": 9, "x": 640, "y": 3}),
        ),
        server(
            "usual standing",
            ServerPacket::Standing(Standing::Usual),
            json!({"type": "standing", "is": "usual"}),
        ),
        server(
            "warned",
            ServerPacket::Standing(Standing::Warned { idle_s: 1500, left_s: 300, stops: true }),
            json!({"type": "standing", "is": "warned", "idleS": 1500, "leftS": 300, "stops": true}),
        ),
        server(
            "paused",
            ServerPacket::Standing(Standing::Paused),
            json!({"type": "standing", "is": "paused"}),
        ),
        server(
            "queued",
            ServerPacket::Standing(Standing::Queued { position: 3, eta_s: Some(120) }),
            json!({"type": "standing", "is": "queued", "position": 3, "etaS": 120}),
        ),
        server(
            "queued for nobody knows how long",
            ServerPacket::Standing(Standing::Queued { position: 1, eta_s: None }),
            json!({"type": "standing", "is": "queued", "position": 1, "etaS": null}),
        ),
        server("the page is offered", ServerPacket::OfferPage, json!({"type": "offerPage"})),
        server(
            "display lost",
            ServerPacket::DisplayState(DisplayState {
                state: Availability::Lost,
                reason: "the X server :7 does not answer".into(),
            }),
            json!({"type": "displayState", "state": "lost", "reason": "the X server :7 does not answer"}),
        ),
        server(
            "ping",
            ServerPacket::Ping(Ping { sent: Micros(123_456_789_012), round_trip_us: 850 }),
            json!({"type": "ping", "sentUs": "123456789012", "roundTripUs": 850}),
        ),
        server(
            "condition",
            ServerPacket::Condition(Condition {
                bottleneck: Bottleneck::Network,
                bitrate: 5_000_000,
                debt_ms: 120,
            }),
            json!({"type": "condition", "bottleneck": "network", "bitrate": 5_000_000, "debtMs": 120}),
        ),
        client(
            "hello",
            ClientPacket::Hello(hello),
            json!({"type": "hello", "version": VERSION, "capabilities": 3, "width": 1366, "height": 768}),
        ),
        client(
            "ack",
            ClientPacket::Ack(Ack { at: at(0xdead_beef, 42), decode_us: 900, queued: 1 }),
            json!({"type": "ack", "epoch": 0xdead_beef_u32, "id": 42, "decodeUs": 900, "queued": 1}),
        ),
        client(
            "pong",
            ClientPacket::Pong(Micros(123_456_789_012)),
            json!({"type": "pong", "sentUs": "123456789012"}),
        ),
        client(
            "resize",
            ClientPacket::Resize(Size::new(1367, 771)),
            json!({"type": "resize", "width": 1367, "height": 771}),
        ),
        client("refresh", ClientPacket::Refresh, json!({"type": "refresh"})),
        client("take control", ClientPacket::TakeControl, json!({"type": "takeControl"})),
        client(
            "give control",
            ClientPacket::GiveControl(ViewerId(9)),
            json!({"type": "giveControl", "viewer": 9}),
        ),
        client("release control", ClientPacket::ReleaseControl, json!({"type": "releaseControl"})),
        client(
            "point",
            ClientPacket::Point(Point { x: 640, y: 3 }),
            json!({"type": "point", "x": 640, "y": 3}),
        ),
        client(
            "key",
            ClientPacket::Input(Input::Key(key.clone())),
            json!({"type": "key", "seq": 5, "down": true, "modifiers": 17, "code": "KeyE", "key": "€"}),
        ),
        client(
            "text",
            ClientPacket::Input(Input::Text(Text { seq: Seq(6), text: "é日".into() })),
            json!({"type": "text", "seq": 6, "text": "é日"}),
        ),
        client(
            "pointer",
            ClientPacket::Input(Input::Pointer(PointerAt { seq: Seq(7), at: spot })),
            json!({"type": "pointer", "seq": 7, "x": 65535, "y": 9}),
        ),
        client(
            "button",
            ClientPacket::Input(Input::Button(Button {
                seq: Seq(8),
                at: spot,
                button: 2,
                down: false,
                modifiers,
            })),
            json!({"type": "button", "seq": 8, "x": 65535, "y": 9, "button": 2, "down": false, "modifiers": 2}),
        ),
        client(
            "wheel",
            ClientPacket::Input(Input::Wheel(Wheel {
                seq: Seq(9),
                at: spot,
                dx: -120,
                dy: 30,
                modifiers,
            })),
            json!({"type": "wheel", "seq": 9, "x": 65535, "y": 9, "dx": -120, "dy": 30, "modifiers": 2}),
        ),
        client(
            "release all",
            ClientPacket::Input(Input::ReleaseAll(Seq(10))),
            json!({"type": "releaseAll", "seq": 10}),
        ),
        to_agent("gateway hello", ToAgent::Hello { version: VERSION, token: "secret".into() }),
        to_agent("watch", ToAgent::Watch { viewers: 30, encoders: 2 }),
        to_agent("pace", ToAgent::Pace { bitrate: 5_000_000, base_rtt_us: 60_000 }),
        to_agent("refresh whole", ToAgent::Refresh(RefreshId(255), Refresh::Whole)),
        to_agent("refresh part", ToAgent::Refresh(RefreshId(3), refresh)),
        to_agent("painted", ToAgent::Painted(at(1, 2))),
        to_agent("agent resize", ToAgent::Resize(Size::new(800, 600))),
        to_agent("agent input", ToAgent::Input(ViewerId(3), Input::Key(key))),
        to_agent("still", ToAgent::Still { at_once: true }),
        from_agent("agent still", encode_still(b"png"), FromAgent::Still(b"png".to_vec().into())),
        from_agent("agent hello", agent_hello.encode(), FromAgent::Hello(agent_hello)),
        from_agent("agent stats", stats.encode(), FromAgent::Stats(stats)),
        from_agent("agent frame", frame.encode(), FromAgent::Frame(table, frame.encode().into())),
        from_agent(
            "agent digest",
            digest.encode(),
            FromAgent::Digest(digest.at, digest.encode().into()),
        ),
    ]
}

/// Whether these bytes are a packet of their direction, and why not.
fn decode(direction: &str, bytes: &[u8]) -> Result<(), DecodeError> {
    let shared = Bytes::copy_from_slice(bytes);
    match direction {
        "server" => ServerPacket::decode(&shared).map(drop),
        "client" => ClientPacket::decode(bytes).map(drop),
        "gateway" => ToAgent::decode(bytes).map(drop),
        "agent" => FromAgent::decode(&shared).map(drop),
        other => panic!("unknown direction {other}"),
    }
}

#[test]
fn the_shared_vectors_are_what_rust_writes_and_reads() {
    let entry = |vector: &Vector| json!({"name": vector.name, "direction": vector.direction, "hex": hex(&vector.bytes), "packet": vector.fields});
    let written = Value::Array(vectors().iter().map(entry).collect());
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(FILE, format!("{written:#}\n")).unwrap();
    }
    let file: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    assert_eq!(file, written, "tests/vectors/packets.json is not what this version writes");
    for vector in vectors() {
        assert!(vector.reads_back, "{} does not read back as itself", vector.name);
    }
}

#[test]
fn every_strict_prefix_is_truncated_and_every_longer_packet_is_refused() {
    for Vector { name, direction, bytes, .. } in vectors() {
        for len in 0..bytes.len() {
            let found = decode(direction, &bytes[..len]);
            assert_eq!(found, Err(DecodeError::Truncated), "{name} cut to {len} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(decode(direction, &longer).is_err(), "{name} with a byte more");
    }
}

/// The start of a frame that says it has so many operations.
fn frame_of(operations: u32) -> Writer {
    Writer::packet(0x01, 0).u8(0).u32(7).var(1).var(0).var(0).var(0).var(operations)
}

#[test]
fn lengths_above_their_limits_are_refused_before_anything_is_allocated() {
    let found = FrameTable::decode(&frame_of(8193).finish());
    let limit = lattice_wire::picture::MAX_OPS;
    assert_eq!(found, Err(DecodeError::TooLarge { field: "operations", value: 8193, limit }));
    assert_eq!(FrameTable::decode(&frame_of(8192).finish()), Err(DecodeError::Truncated));
    let png = frame_of(1).u8(3).var_rect(Rect::new(1, 2, 3, 4)).var((16 << 20) + 1);
    assert!(matches!(
        FrameTable::decode(&png.finish()),
        Err(DecodeError::TooLarge { field: "payload", .. })
    ));
}

#[test]
fn a_keyframe_may_not_reach_outside_its_screen_and_no_frame_outside_the_largest() {
    let decode = |packet: Vec<u8>| FrameTable::decode(&packet).map(drop);
    let fill = Op { rect: Rect::new(1360, 0, 7, 1), kind: OpKind::Fill(0) };
    let copy = Op { rect: Rect::new(0, 0, 8, 1), kind: OpKind::Copy(Point { x: 1360, y: 0 }) };
    for op in [fill, copy] {
        let mut frame = Frame { ops: vec![op], ..full_frame() };
        assert!(matches!(decode(frame.encode()), Err(DecodeError::Invalid(_))));
        frame.flags.keyframe = None;
        assert_eq!(decode(frame.encode()), Ok(()), "whoever paints it knows the screen");
    }
    let copy = || frame_of(1).u8(2).var_rect(Rect::new(8000, 0, 100, 1));
    assert_eq!(decode(copy().svar(92).svar(0).finish()), Ok(()));
    for (dx, dy) in [(93, 0), (-8001, 0), (0, -1), (i32::MAX, 0), (0, i32::MIN)] {
        assert!(matches!(decode(copy().svar(dx).svar(dy).finish()), Err(DecodeError::Invalid(_))));
    }
}

#[test]
fn a_frame_has_one_form() {
    for packet in [
        Writer::packet(0x01, 0).u8(0).u32(7).bytes(&[0x81, 0]).bytes(&[0; 4]),
        frame_of(1).u8(3).bytes(&[0x80, 0, 0, 1, 1, 0]),
        Writer::packet(0x01, 0).u8(4).u32(7).bytes(&[1, 0, 0, 0, 0]),
    ] {
        assert!(matches!(FrameTable::decode(&packet.finish()), Err(DecodeError::Invalid(_))));
    }
}

/// What a frame that shows so much costs beside its pixels.
fn overhead(ops: Vec<OpKind>) -> usize {
    let rect = Rect::new(812, 430, 9, 18);
    let frame = Frame {
        flags: FrameFlags::default(),
        at: at(0xdead_beef, 20_000),
        echo: (ViewerId(9000), Seq(700)),
        cost_us: 1900,
        ops: ops.into_iter().map(|kind| Op { rect, kind }).collect(),
    };
    frame.encode().len()
}

#[test]
fn what_stands_around_the_pixels_of_a_typed_letter_is_few_bytes() {
    assert_eq!(overhead(vec![]), 16);
    assert_eq!(overhead(vec![OpKind::Palette(Bytes::new())]), 24);
    // It came from 24 pixels further left.
    assert_eq!(overhead(vec![OpKind::Copy(Point { x: 788, y: 430 })]), 25);
    assert_eq!(overhead(vec![OpKind::Fill(0)]), 26);
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for direction in ["server", "client", "gateway", "agent"] {
            let _ = decode(direction, &bytes);
        }
    }

    #[test]
    fn whatever_a_frame_says_is_written_as_it_was_read(bytes in prop::collection::vec(any::<u8>(), 0..40), flags in 0u8..4) {
        let packet = Bytes::from([&[0x01, flags][..], &bytes].concat());
        if let Ok(read) = ServerPacket::decode(&packet) {
            prop_assert_eq!(read.encode(), packet);
        }
    }

    #[test]
    fn a_damaged_packet_is_read_as_something_or_refused(pick in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let all = vectors();
        let vector = pick.get(&all);
        let mut bytes = vector.bytes.clone();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = decode(vector.direction, &bytes);
    }

    #[test]
    fn whatever_a_client_says_is_written_as_it_was_read(bytes in prop::collection::vec(any::<u8>(), 0..40), kind in 0x80u8..0x98) {
        let packet = [&[kind][..], &bytes].concat();
        if let Ok(read) = ClientPacket::decode(&packet) {
            prop_assert_eq!(read.encode(), packet);
        }
    }
}

/// Any frame with some units of video among other operations.
fn any_frame() -> impl Strategy<Value = Frame> {
    let op = (0..5u8, 1..200u16, prop::collection::vec(any::<u8>(), 1..40)).prop_map(
        |(kind, side, bytes)| {
            let rect = Rect::new(side, side / 2, side, side);
            let bytes = Bytes::from(bytes);
            let kind = match kind {
                0 => OpKind::Fill(u32::from(side)),
                1 => OpKind::Copy(Point { x: side, y: 0 }),
                2 => OpKind::Png(bytes),
                3 => OpKind::Palette(bytes),
                _ => OpKind::Video(Video { damage: vec![rect], unit: bytes, ..video() }),
            };
            Op { rect, kind }
        },
    );
    prop::collection::vec(op, 0..12).prop_map(|ops| Frame { ops, ..full_frame() })
}

proptest! {
    #[test]
    fn without_video_a_frame_is_what_it_would_be_had_there_been_none(frame in any_frame()) {
        let packet = frame.encode();
        let table = FrameTable::decode(&packet).expect("a good packet");
        let is_video = |op: &Op| matches!(op.kind, OpKind::Video(_));
        let rest = frame.ops.iter().filter(|op| !is_video(op)).cloned().collect();
        let expected = Frame { ops: rest, ..frame.clone() }.encode();
        prop_assert_eq!(table.without_video(&packet), Ok(expected.clone()));
        prop_assert_eq!(table.video_len(), packet.len() - expected.len());
        prop_assert_eq!(table.has_video(), frame.ops.iter().any(is_video));
    }
}
