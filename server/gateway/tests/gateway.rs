//! The gateway from outside: real sockets, an agent that the test plays, viewers that it is.

#[allow(unreachable_pub)] // Every test binary has a copy of its own.
mod support;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use lattice_wire::*;
use support::*;
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite::{self, Message};

#[tokio::test]
async fn a_viewer_that_joins_gets_a_keyframe_and_then_each_frame() {
    let gateway = Gateway::start(9).await;
    let mut agent = gateway.agent().await;
    let mut viewer = gateway.viewer().await;
    // In this order: an agent that thinks nobody looks makes no pictures.
    agent.until_packet(watch(1)).await;
    agent.until_asked(Refresh::Whole).await;
    let sent = agent.frame(1, true, true).await;
    assert_eq!(viewer.paint(1).await.encode(), sent);
    agent.until_packet(ToAgent::Painted(frame_ref(1))).await;
    let sent = agent.frame(2, false, false).await;
    assert_eq!(viewer.paint(2).await.encode(), sent);
    drop(viewer);
    agent.until_packet(watch(0)).await;
    gateway.counted("lattice_damage_to_write_seconds_count", 1).await;
}

#[tokio::test]
async fn video_reaches_who_decodes_it_and_passes_by_who_does_not() {
    let gateway = Gateway::start(9).await;
    let mut agent = gateway.agent().await;
    let (mut ann, mut ben) =
        (gateway.viewer().await, gateway.viewer_with(Capabilities::H264).await);
    agent.until_packet(ToAgent::Watch { viewers: 2, encoders: ENCODERS }).await;
    let flags = FrameFlags { keyframe: Some(SIZE), refresh: Some(RefreshId(1)) };
    let plain = frame(1, flags, Bytes::from_static(b"png"));
    let rect = SIZE.bounds().expect("not empty");
    let unit = Bytes::from_static(&[0, 0, 0, 1, 0x65]);
    let video = Video { stream: 3, keyframe: true, coded: SIZE, damage: vec![rect], unit };
    let mut sent = plain.clone();
    sent.ops.push(Op { rect, kind: OpKind::Video(video) });
    agent.send(sent.encode()).await;
    assert_eq!(ben.paint(1).await, sent);
    assert_eq!(ann.paint(1).await, plain);
    gateway.counted("lattice_viewer_debt_seconds_count", 2).await;
    // What she lacks comes as it is now.
    let missed = vec![rect];
    agent.until_asked(Refresh::Part { since: frame_ref(1), missed, askers: Askers::Stills }).await;
}

#[tokio::test]
async fn a_large_frame_arrives_whole() {
    let gateway = Gateway::start(9).await;
    let mut agent = gateway.agent().await;
    let mut viewer = gateway.viewer().await;
    let flags = FrameFlags { keyframe: Some(SIZE), refresh: Some(RefreshId(1)) };
    let noise: Vec<u8> =
        (0..9_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sent = frame(1, flags, noise.into());
    agent.until_asked(Refresh::Whole).await;
    let (packet, received) = (sent.encode(), viewer.paint(1));
    let ((), received) = tokio::join!(agent.send(packet), received);
    assert!(received == sent, "the frame came changed");
}

#[tokio::test]
async fn the_first_viewer_drives_and_the_other_takes_over_by_asking() {
    let gateway = Gateway::start(9).await;
    let mut agent = gateway.agent().await;
    let mut ann = gateway.viewer().await;
    let mut ben = gateway.viewer().await;
    let controlled_by = |id: ViewerId| {
        move |packet| match packet {
            ServerPacket::Control(control) if control.controller == id => Some(control.viewers),
            _ => None,
        }
    };
    assert_eq!(ben.until("control", controlled_by(ann.id)).await, 2);

    ben.send(ClientPacket::Input(key(1))).await;
    ben.send(ClientPacket::Resize(Size::new(800, 600))).await;
    gateway.counted("lattice_input_dropped_total{reason=\"not_controller\"}", 2).await;
    ann.send(ClientPacket::Input(key(5))).await;
    let input = |packet: &ToAgent| match packet {
        ToAgent::Input(viewer, input) => Some((*viewer, input.clone())),
        ToAgent::Resize(size) => panic!("{size:?} was asked for by a watcher"),
        _ => None,
    };
    assert_eq!(agent.until(input).await, (ann.id, key(5)));

    ben.send(ClientPacket::TakeControl).await;
    assert_eq!(agent.until(input).await, (ann.id, Input::ReleaseAll(Seq(5))));
    ann.until("control", controlled_by(ben.id)).await;
    ben.send(ClientPacket::Input(key(2))).await;
    assert_eq!(agent.until(input).await, (ben.id, key(2)));

    ben.socket.close(None).await.expect("closed");
    assert_eq!(agent.until(input).await, (ben.id, Input::ReleaseAll(Seq(2))));
    assert_eq!(ann.until("control", controlled_by(ann.id)).await, 1);
}

#[tokio::test]
async fn any_size_is_clamped_to_what_the_display_allows() {
    let gateway = Gateway::start(9).await;
    let mut agent = gateway.agent().await;
    let mut viewer = gateway.viewer().await;
    let resize = |packet: &ToAgent| match packet {
        ToAgent::Resize(size) => Some(*size),
        _ => None,
    };
    for (asked, given) in [
        (Size::new(0, 0), Size::new(320, 200)),
        (Size::new(1, 1000), Size::new(320, 1000)),
        (Size::new(65535, 65535), Size::new(1920, 1080)),
        (Size::new(801, 603), Size::new(801, 603)),
    ] {
        viewer.send(ClientPacket::Resize(asked)).await;
        assert_eq!(agent.until(resize).await, given, "{asked:?}");
    }
}

#[tokio::test]
async fn a_viewer_that_reads_nothing_does_not_slow_another() {
    let gateway = Gateway::start(9).await;
    let mut agent = gateway.agent().await;
    let mut fast = gateway.viewer().await;
    agent.until_asked(Refresh::Whole).await;
    agent.frame(1, true, true).await;
    fast.paint(1).await;
    let slow = gateway.viewer().await;
    agent.until_asked(Refresh::Whole).await;
    agent.frame(1, true, true).await;
    for id in 2..60 {
        let picture = Bytes::from(vec![id as u8; 300_000]);
        let packet = frame(id, FrameFlags::default(), picture).encode();
        let ((), _) = tokio::join!(agent.send(packet), fast.paint(id));
    }
    gateway.counted("lattice_frames_dropped_total{reason=\"lagging\"}", 40).await;
    drop(slow);
}

#[tokio::test]
async fn what_is_no_packet_closes_with_the_protocol_code() {
    let gateway = Gateway::start(9).await;
    let good = ClientPacket::Hello(hello(VERSION)).encode();
    let table: [(&str, Message); 9] = [
        ("text", Message::text("hello")),
        ("empty", Message::binary(Vec::new())),
        ("truncated", Message::binary(good[..5].to_vec())),
        ("trailing", Message::binary([good.clone(), vec![0]].concat())),
        ("unknown", Message::binary(vec![0xff, 1, 2])),
        ("the server's", Message::binary(vec![0x01; 60])),
        ("not a hello", Message::binary(ClientPacket::Refresh.encode())),
        ("just too large", Message::binary(vec![0x81; MAX_CLIENT_PACKET + 1])),
        ("far too large", Message::binary(vec![0x81; 3 << 20])),
    ];
    for (what, message) in table {
        let mut viewer = gateway.socket().await;
        // A gateway that has seen enough may close while the rest is still being sent.
        let _ = viewer.socket.send(message).await;
        assert_eq!(viewer.closed().await.0, close::PROTOCOL, "{what}");
    }
    let mut viewer = gateway.viewer().await;
    viewer.send(ClientPacket::Hello(hello(VERSION))).await;
    assert_eq!(viewer.closed().await.0, close::PROTOCOL, "a second hello");
}

#[tokio::test]
async fn another_protocol_version_is_refused_by_name() {
    let gateway = Gateway::start(9).await;
    let mut viewer = gateway.socket().await;
    viewer.send(ClientPacket::Hello(hello(99))).await;
    let (code, reason) = viewer.closed().await;
    assert_eq!(code, close::VERSION);
    assert!(reason.contains("another protocol version"), "{reason}");
}

#[tokio::test]
async fn a_flood_of_pointer_events_is_closed_as_one() {
    let gateway = Gateway::start(9).await;
    let mut agent = gateway.agent().await;
    let mut viewer = gateway.viewer().await;
    let motion = |seq: u32| {
        let at = Point { x: seq as u16, y: 1 };
        let packet = ClientPacket::Input(Input::Pointer(PointerAt { seq: Seq(seq), at }));
        Message::binary(packet.encode())
    };
    for seq in 0..1_000_000 {
        if viewer.socket.feed(motion(seq)).await.is_err() {
            break;
        }
    }
    assert_eq!(viewer.closed().await.0, close::FLOOD);
    gateway.counted("lattice_input_dropped_total{reason=\"coalesced\"}", 1000).await;
    // The agent was given what a person can do, and was told when it was over.
    let mut motions = 0;
    while !matches!(agent.next().await, ToAgent::Input(_, Input::ReleaseAll(_))) {
        motions += 1;
    }
    assert!(motions < 2000, "{motions} motions reached the agent");
}

#[tokio::test]
async fn a_full_session_turns_viewers_away() {
    let gateway = Gateway::start(1).await;
    let _first = gateway.viewer().await;
    let mut second = gateway.socket().await;
    second.send(ClientPacket::Hello(hello(VERSION))).await;
    assert_eq!(second.closed().await.0, close::FULL);
}

#[tokio::test]
async fn a_lost_agent_is_told_and_a_new_one_starts_with_a_keyframe() {
    let gateway = Gateway::start(9).await;
    let agent = gateway.agent().await;
    let mut viewer = gateway.viewer().await;
    drop(agent);
    let state = |wanted: Availability| {
        move |packet| match packet {
            ServerPacket::DisplayState(state) if state.state == wanted => Some(state.reason),
            _ => None,
        }
    };
    let reason = viewer.until("the loss", state(Availability::Lost)).await;
    assert_eq!(reason, "the desktop's agent is away; connecting to it again");
    let ready = gateway.get("/readyz", "").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains(&reason), "{ready}");

    let mut agent = gateway.agent().await;
    viewer.until("the return", state(Availability::Live)).await;
    agent.until_asked(Refresh::Whole).await;
    agent.frame(1, true, true).await;
    viewer.paint(1).await;
    assert!(gateway.get("/readyz", "").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_agent_that_sends_nonsense_loses_its_link_only() {
    let gateway = Gateway::start(9).await;
    for nonsense in [vec![0x55, 1, 2, 3], vec![0x01; 30], vec![0x44]] {
        let mut agent = gateway.agent().await;
        agent.send(nonsense).await;
        let mut rest = Vec::new();
        soon("the end", agent.stream.read_to_end(&mut rest)).await.expect("an end");
    }
    gateway.counted("lattice_packets_refused_total{reason=\"agent\"}", 3).await;
    let mut agent = gateway.agent().await;
    let mut viewer = gateway.viewer().await;
    agent.until_asked(Refresh::Whole).await;
    agent.frame(1, true, true).await;
    viewer.paint(1).await;
}

#[tokio::test]
async fn shutdown_tells_viewers_to_come_back() {
    let gateway = Gateway::start(9).await;
    let (mut viewer, mut silent) = (gateway.viewer().await, gateway.socket().await);
    let drain = gateway.drain;
    let (ended, first, second) =
        tokio::join!(drain.close(PATIENCE), viewer.closed(), silent.closed());
    assert!(ended);
    assert_eq!(first, (close::RESTART, close::restart_reason(20)));
    assert_eq!(second.0, close::RESTART);
}

#[tokio::test]
async fn only_our_own_pages_and_programs_with_the_token_may_connect() {
    let gateway = Gateway::start(9).await;
    let own = format!("http://{}", gateway.address);
    let other_port = format!("http://127.0.0.1:{}", gateway.address.port() ^ 1);
    let suffix = format!("{own}.evil.example");
    let dot = format!("http://127.0.0.1.:{}", gateway.address.port());
    let upper = own.replace("http", "HTTP");
    let https = own.replace("http", "https");
    let localhost = format!("http://localhost:{}", gateway.address.port());
    let origins: [(Option<&str>, u16, u16); 13] = [
        (None, 403, 101),
        (Some(&own), 101, 101),
        (Some("null"), 403, 403),
        (Some("https://evil.example"), 403, 403),
        (Some(&other_port), 403, 403),
        (Some(&https), 403, 403),
        (Some("https://sub.lattice.school.edu"), 403, 403),
        (Some(&suffix), 403, 403),
        (Some("https://lattice.school.edu.evil.com"), 403, 403),
        (Some(&upper), 403, 403),
        (Some("http://lättice.example"), 403, 403),
        (Some(&dot), 403, 403),
        (Some(&localhost), 403, 403),
    ];
    let bearer = format!("Bearer {}", gateway.token.expose());
    let cookie = sign_in(&gateway).await;
    for (origin, with_cookie, with_bearer) in origins {
        for (name, value, expected) in
            [("cookie", &cookie, with_cookie), ("authorization", &bearer, with_bearer)]
        {
            let mut headers = vec![(name, value.as_str()), ("sec-websocket-protocol", SUBPROTOCOL)];
            headers.extend(origin.map(|origin| ("origin", origin)));
            let status = match gateway.upgrade(&headers).await {
                Ok((_, response)) => response.status().as_u16(),
                Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(status, expected, "Origin {origin:?} with {name}");
        }
    }
}

type Headers<'a> = &'a [(&'static str, &'a str)];

async fn sign_in(gateway: &Gateway) -> String {
    let body = format!("{{\"token\":\"{}\"}}", gateway.token.expose());
    let answer = post(gateway, &body, "").await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    let (cookie, attributes) = line.and_then(|line| line.split_once("; ")).expect("a cookie");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict");
    cookie.to_owned()
}

async fn post(gateway: &Gateway, body: &str, headers: &str) -> String {
    let request = format!(
        "POST /api/v1/share HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
         {headers}\r\n{body}",
        gateway.address,
        body.len(),
    );
    gateway.http(&request).await
}

#[tokio::test]
async fn an_upgrade_needs_credentials_and_the_subprotocol() {
    let gateway = Gateway::start(9).await;
    let bearer = format!("Bearer {}", gateway.token.expose());
    let cases: [(Headers, u16, &str); 5] = [
        (&[("sec-websocket-protocol", SUBPROTOCOL)], 401, "lattice share printed"),
        (
            &[("authorization", "Bearer x"), ("sec-websocket-protocol", SUBPROTOCOL)],
            401,
            "not of this run",
        ),
        (&[("authorization", &bearer)], 400, SUBPROTOCOL),
        (
            &[("authorization", &bearer), ("sec-websocket-protocol", "chat, lattice.v2")],
            400,
            SUBPROTOCOL,
        ),
        (&[("authorization", &bearer), ("host", "evil.example")], 421, "evil.example"),
    ];
    for (headers, status, text) in cases {
        let Err(tungstenite::Error::Http(response)) = gateway.upgrade(headers).await else {
            panic!("{headers:?} should be refused");
        };
        assert_eq!(response.status().as_u16(), status, "{headers:?}");
        let body = String::from_utf8(response.into_body().unwrap_or_default()).expect("text");
        assert!(body.contains(text), "{body}");
    }
    let plain = gateway.get("/ws/share", &format!("Authorization: {bearer}\r\n")).await;
    assert!(plain.starts_with("HTTP/1.1 426"), "{plain}");
}

#[tokio::test]
async fn the_token_is_swapped_only_by_our_pages_and_only_if_right() {
    let gateway = Gateway::start(9).await;
    let body = format!("{{\"token\":\"{}\"}}", gateway.token.expose());
    let large = format!("{{\"token\":\"{}\"}}", "x".repeat(5000));
    for (body, headers, status) in [
        (&*body, "Sec-Fetch-Site: same-origin\r\n", 204),
        (&body, "Sec-Fetch-Site: cross-site\r\n", 403),
        (&body, "Sec-Fetch-Site: same-site\r\n", 403),
        (&body, "Origin: http://evil.example\r\n", 403),
        (&body, "Origin: null\r\n", 403),
        ("{\"token\":\"wrong\"}", "", 401),
        ("{\"token\":1}", "", 400),
        ("", "", 400),
        (&large, "", 413),
    ] {
        let answer = post(&gateway, body, headers).await;
        let shown = &body[..body.len().min(20)];
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{shown} {headers}: {answer}");
        assert_eq!(status == 204, !answer.contains("application/problem+json"), "{answer}");
    }
    for _ in 0..60 {
        post(&gateway, "{\"token\":\"guess\"}", "").await;
    }
    let limited = post(&gateway, "{\"token\":\"guess\"}", "").await;
    assert!(limited.starts_with("HTTP/1.1 429") && limited.contains("retry-after: "), "{limited}");
    assert!(post(&gateway, &body, "").await.starts_with("HTTP/1.1 204"));
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let gateway = Gateway::start(9).await;
    for path in
        ["/", "/healthz", "/d/share", "/d/nothing", "/static/none.js", "/nowhere", "/metrics"]
    {
        let answer = gateway.get(path, "").await;
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self';",
            "require-trusted-types-for 'script'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-embedder-policy: require-corp",
            "cross-origin-resource-policy: same-origin",
            "permissions-policy: ",
        ] {
            assert!(answer.contains(header), "{path} lacks {header}:\n{answer}");
        }
    }
}

#[tokio::test]
async fn every_answer_says_the_release_that_pages_name_their_files_by() {
    let gateway = Gateway::start(9).await;
    let page = gateway.get("/d/share", "").await;
    let release = page.split("/static/@").nth(1).and_then(|rest| rest.split('/').next());
    let told = format!("lattice-release: {}\r\n", release.expect("a page of a release"));
    for path in ["/d/share", "/api/v1/sessions/share", "/healthz", "/nowhere"] {
        let answer = gateway.get(path, "").await;
        assert!(answer.contains(&told), "{path} lacks {told}:\n{answer}");
    }
}

#[tokio::test]
async fn what_the_session_is_needs_the_token() {
    let gateway = Gateway::start(9).await;
    let _agent = gateway.agent().await;
    let mut status = gateway.status.clone();
    soon("life", status.wait_for(|status| status.is_live())).await.expect("a hub");
    assert!(gateway.get("/api/v1/sessions/share", "").await.starts_with("HTTP/1.1 401"));
    let bearer = format!("Authorization: Bearer {}\r\n", gateway.token.expose());
    let answer = gateway.get("/api/v1/sessions/share", &bearer).await;
    let url = format!("\"url\":\"http://{}/d/share\"", gateway.address);
    for part in
        ["HTTP/1.1 200", "\"id\":\"share\"", "\"state\":\"running\"", "\"name\":\"Bench\"", &url]
    {
        assert!(answer.contains(part), "{part} is missing in {answer}");
    }
    let through_proxy = gateway.get("/metrics", "X-Forwarded-For: 192.0.2.1\r\n").await;
    assert!(through_proxy.starts_with("HTTP/1.1 401"), "{through_proxy}");
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let gateway = Gateway::start(9).await;
    let large = format!("X-Large: {}\r\n", "x".repeat(64 << 10));
    let answer = gateway.get("/healthz", &large).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let alive = gateway.get("/healthz", "").await;
    assert!(alive.ends_with("{\"status\":\"ok\"}"), "{alive}");
}

#[tokio::test]
async fn the_time_from_a_key_to_its_frame_is_measured() {
    let gateway = Gateway::start(9).await;
    let mut agent = gateway.agent().await;
    let mut viewer = gateway.viewer().await;
    agent.until_asked(Refresh::Whole).await;
    agent.frame(1, true, true).await;
    viewer.paint(1).await;
    viewer.send(ClientPacket::Input(key(3))).await;
    agent.until_packet(ToAgent::Input(viewer.id, key(3))).await;
    let echo = (viewer.id, Seq(3));
    let echoing = Frame { echo, ..frame(2, FrameFlags::default(), Bytes::new()) };
    agent.send(echoing.encode()).await;
    assert_eq!(viewer.paint(2).await.echo, echo);
    gateway.counted("lattice_key_to_pixel_seconds_count", 1).await;
}

#[tokio::test]
async fn a_viewer_that_says_goodbye_is_answered() {
    let gateway = Gateway::start(9).await;
    let mut viewer = gateway.viewer().await;
    viewer.socket.close(None).await.expect("sent");
    let last = async {
        loop {
            match viewer.socket.next().await {
                Some(Ok(_)) => {}
                last => return last,
            }
        }
    };
    assert!(soon("the answer", last).await.is_none(), "the socket ended without an answer");
}
