//! Whoever sends what nobody should is closed or clamped with the right code and counted by reason;
//! nothing panics, and the others go on looking.

use lattice_tests::compare::assert_exact;
use lattice_tests::http::{Response, request};
use lattice_tests::process::rss;
use lattice_tests::raw::Raw;
use lattice_tests::scene::Scene;
use lattice_tests::viewer::hello;
use lattice_tests::wait::{GENEROUS, until_some};
use lattice_tests::{Share, Viewer, XServer, eventually};
use lattice_wire::close::{FLOOD, PROTOCOL, SILENT, VERSION};
use lattice_wire::{
    Ack, Capabilities, ClientPacket, Epoch, FrameId, FrameRef, Hello, Input, Micros, Modifiers,
    Point, PointerAt, Seq, Size, Text, Wheel,
};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

fn refused(share: &Share, reason: &str) -> f64 {
    share.metric("lattice_packets_refused_total", &[&format!("reason=\"{reason}\"")])
}

/// Checks that `misbehave` gets a viewer closed with `code` and counted under `reason`.
fn check(share: &Share, name: &str, code: u16, reason: &str, misbehave: impl FnOnce(&mut Raw)) {
    let before = refused(share, reason);
    let mut raw = Raw::connect(share);
    misbehave(&mut raw);
    assert_eq!(raw.close_code(), code, "{name}");
    eventually(&format!("{name} to be counted as {reason}"), || refused(share, reason) > before);
}

fn after_hello(message: Message) -> impl FnOnce(&mut Raw) {
    move |raw| {
        raw.send(Message::Binary(hello().encode().into()));
        raw.send(message);
    }
}

fn binary(bytes: &[u8]) -> Message {
    Message::Binary(bytes.to_vec().into())
}

#[test]
fn broken_packets_close_with_a_code_and_a_counted_reason() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let witness = Viewer::join(&share);
    witness.wait_picture();

    let hello = hello().encode();
    let key = Input::Text(Text { seq: Seq(1), text: "x".into() }).encode();
    let malformed: [(&str, Vec<u8>); 11] = [
        ("an empty packet", vec![]),
        ("an unknown kind", vec![0x7f, 1, 2, 3]),
        ("a packet of the other direction", vec![0x07; 13]),
        ("a packet for the agent", vec![0x63; 9]),
        ("a truncated acknowledgement", vec![0x82, 1, 2]),
        ("a refresh with a tail", vec![0x85, 0]),
        ("a text that is longer than it says", [key.as_slice(), b"y"].concat()),
        ("a text that is no UTF-8", vec![0x91, 1, 0, 0, 0, 1, 0, 0xff]),
        ("a text beyond its limit", vec![0x91, 1, 0, 0, 0, 0xff, 0xff]),
        ("a key with modifiers that do not exist", vec![0x90, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0]),
        ("a button that does not exist", vec![0x93, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0]),
    ];
    for (name, packet) in &malformed {
        check(&share, name, PROTOCOL, "malformed", after_hello(binary(packet)));
    }
    for len in 0..hello.len() {
        let prefix = binary(&hello[..len]);
        check(&share, "a truncated hello", PROTOCOL, "malformed", |raw| raw.send(prefix));
    }
    check(&share, "a text message", PROTOCOL, "text", after_hello(Message::Text("hi".into())));
    let large = binary(&vec![0x91; lattice_wire::MAX_CLIENT_PACKET + 1]);
    check(&share, "a packet beyond the limit", PROTOCOL, "too_large", after_hello(large));

    let ack = Ack { at: FrameRef { epoch: Epoch(1), id: FrameId(1) }, decode_us: 0, queued: 0 };
    for packet in [ClientPacket::Ack(ack), ClientPacket::Refresh, ClientPacket::TakeControl] {
        let packet = binary(&packet.encode());
        check(&share, "a packet before the hello", PROTOCOL, "misplaced", |raw| raw.send(packet));
    }
    check(&share, "a second hello", PROTOCOL, "misplaced", after_hello(binary(&hello)));

    witness.assert_no_faults();
    let mut scene = Scene::open(server.connect());
    scene.scroll(3);
    assert_exact(&witness, &server);
    share.assert_no_panics();
}

#[test]
fn frames_that_are_no_websocket_close_the_connection() {
    let server = XServer::start(800, 600);
    let share = Share::start(&server);
    let cases: [(&str, &[u8]); 6] = [
        ("an unmasked frame", &[0x82, 1, 0x85]),
        ("reserved bits", &[0xf2, 0x81, 1, 2, 3, 4, 0x85]),
        ("an unknown opcode", &[0x8b, 0x80, 1, 2, 3, 4]),
        ("a length of 2^63", &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
        ("a length of 4 GiB", &[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4]),
        ("a fragmented ping", &[0x09, 0x80, 1, 2, 3, 4]),
    ];
    let count = || refused(&share, "websocket") + refused(&share, "too_large");
    for (name, bytes) in cases {
        let before = count();
        let mut raw = Raw::join(&share);
        raw.bytes(bytes);
        let code = raw.close_code();
        assert!([1002, 1009, PROTOCOL, 1006].contains(&code), "{name}: {code}");
        eventually(&format!("{name} to be counted"), || count() > before);
    }
    // A message in a million fragments of nothing is either refused or costs nothing.
    let memory = rss(share.pid());
    let mut raw = Raw::join(&share);
    raw.bytes(&[0x02, 0x80, 0, 0, 0, 0]);
    raw.bytes(&[0x00, 0x80, 0, 0, 0, 0].repeat(200_000));
    assert!(rss(share.pid()) < memory + (16 << 20), "fragments are kept");
    drop(raw);
    eventually("everybody to be gone", || share.metric("lattice_viewers", &[]) == 0.0);
    share.assert_no_panics();
}

#[test]
fn versions_that_are_not_spoken_are_refused_by_name() {
    let server = XServer::start(800, 600);
    let share = Share::start(&server);
    let hello = |version| {
        let (capabilities, viewport) = (Capabilities::default(), Size::new(1, 1));
        ClientPacket::Hello(Hello { version, capabilities, viewport })
    };
    let spoken = lattice_wire::VERSION;
    for version in [0, spoken - 1, spoken + 1, u16::MAX] {
        let mut raw = Raw::connect(&share);
        raw.send(binary(&hello(version).encode()));
        assert_eq!(raw.close_code(), VERSION, "version {version}");
    }
    let ours = Viewer::join(&share);
    ours.wait("a welcome", |view| view.welcome.as_ref().is_some_and(|told| told.version == spoken));
}

#[test]
fn who_says_nothing_is_closed() {
    let server = XServer::start(800, 600);
    let share = Share::start(&server);
    // No hello, and a hello but no pong: time itself is under test, so both at once.
    let (mute, mut deaf) = (Raw::connect(&share), Raw::join(&share));
    deaf.wait_for(Duration::from_secs(30));
    let start = Instant::now();
    let mute = std::thread::spawn(move || (mute.close_code(), start.elapsed()));
    assert_eq!(deaf.close_code(), SILENT);
    let deaf = start.elapsed();
    assert!((12..25).contains(&deaf.as_secs()), "a viewer without pongs lived for {deaf:?}");
    let (code, lived) = mute.join().expect("the thread only reads");
    assert_eq!(code, SILENT);
    assert!(lived < Duration::from_secs(20), "a viewer without hello lived for {lived:?}");
}

#[test]
fn a_flood_of_motions_is_thinned_and_a_larger_one_closed() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let witness = Viewer::join(&share);
    witness.wait_picture();
    let viewer = Viewer::join(&share);
    viewer.send(&ClientPacket::TakeControl);
    viewer.wait("control", |view| view.drives());

    // As many as a mouse of 8 kHz sends in a second.
    for number in 0..8000u16 {
        viewer.point(number % 1366, number % 768);
    }
    let thinned = || share.metric("lattice_input_dropped_total", &["reason=\"coalesced\""]);
    eventually("most motions to be thinned out", || thinned() > 4000.0);
    let seq = viewer.point(11, 12);
    viewer.wait("the last motion to matter", |_| seq.0 > 0);
    eventually("the last motion to arrive", || {
        let at = lattice_tests::x::pointer(&server.connect());
        at == (11, 12)
    });
    assert_eq!(viewer.view(|view| view.closed.clone()), None);
    assert!(share.metric("lattice_agent_inputs_total", &[]) < 4000.0);

    let memory = rss(share.pid());
    for number in 0..200_000u32 {
        viewer.point((number % 1366) as u16, (number % 768) as u16);
    }
    assert_eq!(viewer.wait_closed().0, FLOOD);
    let closed = || share.metric("lattice_viewers_closed_total", &["code=\"4029\""]);
    eventually("the flood to be counted", || closed() == 1.0);
    assert!(rss(share.pid()) < memory + (24 << 20), "the gateway kept the flood");

    witness.assert_no_faults();
    let mut scene = Scene::open(server.connect());
    scene.scroll(3);
    assert_exact(&witness, &server);
    share.assert_no_panics();
}

#[test]
fn input_beyond_the_screen_is_clamped_or_ignored() {
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let viewer = Viewer::join(&share);
    viewer.wait("control", |view| view.drives());
    let (far, modifiers) = (Point { x: 65535, y: 65535 }, Modifiers(127));
    viewer.input(|seq| Input::Pointer(PointerAt { seq, at: far }));
    eventually("the pointer to be in the corner", || {
        lattice_tests::x::pointer(&server.connect()) == (1365, 767)
    });
    viewer.input(|seq| Input::Wheel(Wheel { seq, at: far, dx: i16::MIN, dy: i16::MAX, modifiers }));
    viewer.key(true, "", "", Modifiers::default());
    viewer.key(false, "NoSuchKey", "NoSuchKey", modifiers);
    viewer.key(true, "KeyA", "\u{0}", Modifiers::default());
    viewer.compose("\u{0}\u{7f}\u{202e}\u{10ffff}");
    viewer.input(|_| Input::ReleaseAll(Seq(0)));
    viewer.send(&ClientPacket::Ack(Ack {
        at: FrameRef { epoch: Epoch(u32::MAX), id: FrameId(u32::MAX) },
        decode_us: u32::MAX,
        queued: 255,
    }));
    viewer.send(&ClientPacket::Pong(Micros(u64::MAX)));
    for side in [0, 1, 65535] {
        viewer.send(&ClientPacket::Resize(Size::new(side, side)));
    }
    let mut scene = Scene::open(server.connect());
    scene.scroll(3);
    // An acknowledgement of a frame that was never sent is a lie; it may close this viewer only.
    let other = Viewer::join(&share);
    other.wait_picture();
    assert_exact(&other, &server);
    assert_eq!(server.image().size(), Size::new(1366, 768));
    share.assert_no_panics();
}

/// An upgrade by hand: the answer to it with these header fields instead of the usual ones.
fn handshake(share: &Share, fields: &[(&str, &str)]) -> u16 {
    let mut head = format!("GET /ws/share HTTP/1.1\r\nHost: {}\r\n", share.address());
    let usual = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "lattice.v1"),
    ];
    let given = |name: &str| fields.iter().any(|(own, _)| *own == name);
    for (name, value) in usual.iter().filter(|(name, _)| !given(name)).chain(fields) {
        if !value.is_empty() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(share.address()).expect("the gateway listens");
    stream.set_read_timeout(Some(GENEROUS)).expect("a timeout");
    stream.write_all(head.as_bytes()).expect("send the request");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        answer.push(byte[0]);
    }
    Response::parse(&String::from_utf8_lossy(&answer)).map_or(0, |answer| answer.status)
}

/// Swaps the secret for the cookie as the page does.
fn cookie(share: &Share) -> String {
    let body = format!("{{\"token\":\"{}\"}}", share.token());
    let head = format!("Content-Type: application/json\r\nOrigin: {}\r\n", share.origin());
    let answer = request(share.address(), "POST", "/api/v1/share", &head, &body);
    assert_eq!(answer.status, 204, "{}", answer.body);
    let cookie = answer.header("set-cookie").expect("a cookie is set").to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains(share.token()), "the cookie is the secret itself");
    cookie.split(';').next().unwrap_or_default().to_owned()
}

#[test]
fn only_our_own_pages_and_bearers_get_a_socket() {
    let server = XServer::start(800, 600);
    let share = Share::start(&server);
    let (cookie, origin) = (cookie(&share), share.origin());
    let bearer = format!("Bearer {}", share.token());
    let port = share.address().port();
    let with_cookie = |origin: &str| handshake(&share, &[("Cookie", &cookie), ("Origin", origin)]);
    assert_eq!(with_cookie(&origin), 101);
    let foreign = [
        String::new(),
        "null".to_owned(),
        "http://evil.example".to_owned(),
        format!("http://127.0.0.1:{}", port ^ 1),
        "http://127.0.0.1".to_owned(),
        format!("https://127.0.0.1:{port}"),
        format!("http://127.0.0.1.evil.example:{port}"),
        format!("http://evil.127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}.evil.example"),
        format!("http://127.0.0.1:{port}/"),
        format!("http://127.0.0.1.:{port}"),
    ];
    for origin in &foreign {
        assert_eq!(with_cookie(origin), 403, "Origin: {origin:?} with the cookie");
    }
    assert_eq!(handshake(&share, &[("Authorization", &bearer)]), 101, "a bearer needs no origin");
    let stranger = [("Authorization", bearer.as_str()), ("Origin", "http://evil.example")];
    assert_eq!(handshake(&share, &stranger), 403, "a page of another site with the bearer");

    assert_eq!(handshake(&share, &[]), 401);
    assert_eq!(handshake(&share, &[("Origin", &origin)]), 401);
    for wrong in ["Bearer wrong", "Bearer ", "Basic dXNlcjpwYXNz"] {
        assert_eq!(handshake(&share, &[("Authorization", wrong)]), 401, "{wrong}");
    }
    let wrong = format!("{}x", cookie);
    assert_eq!(handshake(&share, &[("Cookie", &wrong), ("Origin", &origin)]), 401);

    for protocol in ["", "lattice.v2", "chat", "LATTICE.V1"] {
        let fields = [("Authorization", bearer.as_str()), ("Sec-WebSocket-Protocol", protocol)];
        assert_eq!(handshake(&share, &fields), 400, "subprotocol {protocol:?}");
    }
    let offered =
        [("Authorization", bearer.as_str()), ("Sec-WebSocket-Protocol", "v9, lattice.v1")];
    assert_eq!(handshake(&share, &offered), 101);
    let wrong = share.metric("lattice_auth_attempts_total", &["result=\"wrong\""]);
    assert!(wrong >= 2.0, "wrong bearers are counted: {wrong}");
    share.assert_no_panics();
}

#[test]
fn http_that_is_not_for_us_is_refused() {
    let server = XServer::start(800, 600);
    let share = Share::start(&server);
    let status = |method: &str, path: &str, head: &str, body: &str| {
        request(share.address(), method, path, head, body).status
    };
    assert_eq!(status("GET", "/healthz", "", ""), 200);
    eventually("the share to be ready", || share.is_ready());
    let proxied = "X-Forwarded-For: 192.0.2.1\r\n";
    assert_eq!(status("GET", "/metrics", proxied, ""), 401, "from elsewhere without the secret");
    assert_eq!(status("GET", "/metrics", &format!("{proxied}{}", share.bearer()), ""), 200);
    assert_eq!(status("GET", "/api/v1/sessions/share", "", ""), 401);
    assert_eq!(share.get("/api/v1/sessions/share").status, 200);
    for host in ["evil.example", "127.0.0.1.evil.example", ""] {
        let mut stream = TcpStream::connect(share.address()).expect("the gateway listens");
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("send the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer comes");
        let answer = Response::parse(&answer).map(|answer| answer.status);
        assert_eq!(answer, Some(421), "Host: {host:?}");
    }
    assert_eq!(status("GET", "/no/such/page", "", ""), 404);
    for path in ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "/..%2fCargo.toml", "//etc/passwd"] {
        assert_eq!(status("GET", path, "", ""), 404, "{path}");
    }
    assert_eq!(status("POST", "/api/v1/share", "Content-Type: application/json\r\n", "{"), 400);
    let origin = "Content-Type: application/json\r\nOrigin: http://evil.example\r\n";
    let token = format!("{{\"token\":\"{}\"}}", share.token());
    assert_eq!(status("POST", "/api/v1/share", origin, &token), 403);
    let wrong = "{\"token\":\"0123456789abcdef0123456789abcdef\"}";
    assert_eq!(status("POST", "/api/v1/share", "Content-Type: application/json\r\n", wrong), 401);
    let large = format!("{{\"token\":\"{}\"}}", "x".repeat(1 << 20));
    let answer = status("POST", "/api/v1/share", "Content-Type: application/json\r\n", &large);
    assert_eq!(answer, 413);
    assert_eq!(status("GET", "/", &format!("X: {}\r\n", "x".repeat(100_000)), ""), 431);
    assert!(!share.log().contains(share.token()), "the secret is in the log");
    share.assert_no_panics();
}

#[test]
fn who_sends_headers_slowly_is_cut_off_and_disturbs_nobody() {
    let server = XServer::start(800, 600);
    let share = Share::start(&server);
    let start = Instant::now();
    let mut slow: Vec<TcpStream> = (0..200)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(share.address()).ok()?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").ok()?;
            Some(stream)
        })
        .collect();
    let viewer = Viewer::join(&share);
    viewer.wait_picture();
    assert_eq!(share.get("/healthz").status, 200);
    let mut stream = slow.pop().expect("200 were opened");
    stream.set_nonblocking(true).expect("a socket can be nonblocking");
    // One byte now and then, as a slowloris does.
    until_some("the slow one to be cut off", Duration::from_secs(25), || {
        std::thread::sleep(Duration::from_millis(250));
        let mut answer = [0; 512];
        let ended = match stream.read(&mut answer) {
            Ok(0) => true,
            Ok(len) => String::from_utf8_lossy(&answer[..len]).starts_with("HTTP/1.1 408"),
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        };
        (ended || stream.write_all(b"x").is_err()).then_some(())
    });
    let lived = start.elapsed();
    assert!((5..20).contains(&lived.as_secs()), "a slow header lived for {lived:?}");
    share.assert_no_panics();
}

#[test]
fn guessing_the_secret_is_limited_but_whoever_has_it_still_passes() {
    let server = XServer::start(800, 600);
    let share = Share::start(&server);
    let statuses: Vec<u16> = (0..100)
        .map(|number| {
            let head = format!("Authorization: Bearer guess-number-{number:010}\r\n");
            request(share.address(), "GET", "/api/v1/sessions/share", &head, "").status
        })
        .collect();
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    Viewer::join(&share).wait_picture();
}
