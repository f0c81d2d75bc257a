//! Frames that are none: whoever sends them is closed, and nobody else notices.

use super::{Witness, grown};
use lattice_engine::session::SessionId;
use lattice_tests::eventually;
use lattice_tests::people::Proof;
use lattice_tests::process::rss;
use lattice_tests::raw::Raw;
use lattice_tests::serve::Serve;
use lattice_tests::viewer::upgrade_at;
use lattice_wire::close::{FLOOD, PROTOCOL};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::client;

/// Connections that each send one of each kind; as many again before, to warm up.
const ROUNDS: usize = 120;
/// The gateway's memory, before and after.
const MEMORY: i64 = 10 << 20;

const REASONS: [&str; 4] = ["websocket", "too_large", "text", "malformed"];

/// Longer than frames of its kind may be by one byte.
const LONG_PING: [u8; 134] = {
    let mut frame = [0; 134];
    [frame[0], frame[1], frame[3]] = [0x89, 0xfe, 126];
    frame
};

/// What no client sends, the close code for it, and the reason under which it is counted. Masks are
/// of zeros, so that the bytes are legible.
const BROKEN: [(&str, &[u8], u16, &str); 16] = [
    ("no mask", &[0x82, 1, 0x85], PROTOCOL, "websocket"),
    ("a compressed frame", &[0xc2, 0x81, 0, 0, 0, 0, 0x85], PROTOCOL, "websocket"),
    ("all reserved bits", &[0xf2, 0x81, 0, 0, 0, 0, 0x85], PROTOCOL, "websocket"),
    ("2^63 bytes", &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], PROTOCOL, "too_large"),
    ("4 GiB", &[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], PROTOCOL, "too_large"),
    ("a fragmented ping", &[0x09, 0x80, 0, 0, 0, 0], PROTOCOL, "websocket"),
    ("a fragmented close", &[0x08, 0x80, 0, 0, 0, 0], PROTOCOL, "websocket"),
    ("a long ping", &LONG_PING, PROTOCOL, "websocket"),
    ("an unknown opcode", &[0x83, 0x80, 0, 0, 0, 0], PROTOCOL, "websocket"),
    ("an unknown control opcode", &[0x8b, 0x80, 0, 0, 0, 0], PROTOCOL, "websocket"),
    ("the middle of no message", &[0x80, 0x81, 0, 0, 0, 0, 0x85], PROTOCOL, "websocket"),
    (
        "a message within a message",
        &[0x02, 0x80, 0, 0, 0, 0, 0x82, 0x81, 0, 0, 0, 0, 0x85],
        PROTOCOL,
        "websocket",
    ),
    ("bad UTF-8", &[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], PROTOCOL, "text"),
    ("a text", &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'], PROTOCOL, "text"),
    ("no packet", &[0x82, 0x83, 0, 0, 0, 0, 0x7f, 1, 2], PROTOCOL, "malformed"),
    ("an empty packet", &[0x82, 0x80, 0, 0, 0, 0], PROTOCOL, "malformed"),
];

struct Target<'a> {
    serve: &'a Serve,
    session: &'a SessionId,
    guest: Proof,
}

impl Target<'_> {
    fn open(&self) -> Raw {
        self.serve.raw(&self.guest, self.session)
    }

    fn join(&self) -> Raw {
        let mut raw = self.open();
        raw.say_hello();
        raw
    }

    fn refused(&self, reason: &str) -> f64 {
        let label = format!("reason=\"{reason}\"");
        self.serve.metric("lattice_packets_refused_total", &[&label])
    }

    /// One connection for each kind of broken frame, half of them after a hello; how many frames.
    fn send_broken(&self, round: usize) -> usize {
        for (name, bytes, code, _) in BROKEN {
            let mut raw = if round.is_multiple_of(2) { self.open() } else { self.join() };
            raw.bytes(bytes);
            assert_eq!(raw.close_code(), code, "{name}");
        }
        // What ends in its middle is told nothing: there is nobody left.
        let mut raw = self.open();
        raw.bytes(&[0x82, 0xfe, 1, 0, 0, 0, 0, 0, 0x91]);
        let _ = raw.stream().shutdown(Shutdown::Write);
        let code = raw.close_code();
        assert!([1005, 1006].contains(&code), "a truncated message: {code}");
        BROKEN.len() + 1
    }

    /// A message of one-byte fragments, beyond the largest packet or just below it.
    fn send_fragments(&self, count: usize, code: u16) -> usize {
        let mut raw = self.join();
        raw.bytes(&[0x02, 0x81, 0, 0, 0, 0, 0x91]);
        raw.bytes(&[0x00, 0x81, 0, 0, 0, 0, 0x01].repeat(count));
        raw.bytes(&[0x80, 0x81, 0, 0, 0, 0, 0x01]);
        assert_eq!(raw.close_code(), code, "{count} fragments of a byte");
        count + 2
    }

    /// Pings at a pace that is borne; how many.
    fn ping_steadily(&self) -> usize {
        let mut raw = self.join();
        let (pace, rounds, at_once) = (Duration::from_millis(20), 250, 20);
        for _ in 0..rounds {
            raw.bytes(&[0x89, 0x81, 0, 0, 0, 0, b'p'].repeat(at_once));
            thread::sleep(pace);
        }
        raw.bytes(BROKEN[0].1);
        assert_eq!(raw.close_code(), PROTOCOL, "it was still open");
        rounds * at_once
    }

    /// Pings as fast as they go; how many.
    fn flood_with_pings(&self) -> usize {
        let mut raw = self.join();
        let (rounds, at_once) = (60, 1000);
        for _ in 0..rounds {
            raw.bytes(&[0x89, 0x81, 0, 0, 0, 0, b'p'].repeat(at_once));
        }
        assert_eq!(raw.close_code(), FLOOD);
        rounds * at_once
    }
}

#[test]
fn broken_frames_by_the_hundred_thousand_close_their_senders_only() {
    let serve = Serve::start();
    let session = serve.desktop_of(&serve.admin());
    let mut witness = Witness::of(&serve, &session);
    let guest = serve.redeem(&serve.link(&session, "control", json!({})).secret);
    let target = Target { serve: &serve, session: &session, guest };
    for round in 0..20 {
        target.send_broken(round);
    }
    let _ = (target.send_fragments(8192, PROTOCOL), target.flood_with_pings());
    witness.check();

    let memory = rss(serve.pid());
    let counted = REASONS.map(|reason| target.refused(reason));
    let start = Instant::now();
    let mut sent = 0;
    thread::scope(|scope| {
        let floods = scope.spawn(|| {
            let pings = target.ping_steadily() + target.flood_with_pings();
            let fragments: usize = (0..13).map(|_| target.send_fragments(8192, PROTOCOL)).sum();
            pings + fragments + target.send_fragments(8189, PROTOCOL)
        });
        let broken = scope.spawn(|| (0..ROUNDS).map(|round| target.send_broken(round)).sum());
        while !(floods.is_finished() && broken.is_finished()) {
            witness.check();
        }
        let broken: usize = broken.join().expect("the frames are refused");
        sent = broken + floods.join().expect("the floods end");
    });
    let took = start.elapsed();
    assert!(sent >= 100_000, "{sent}");
    for (reason, before) in REASONS.into_iter().zip(counted) {
        let kinds = BROKEN.iter().filter(|(.., own)| *own == reason).count();
        let more = target.refused(reason) - before;
        assert!(more >= (kinds * ROUNDS) as f64, "{more} were counted as {reason}");
    }
    let viewers = || serve.metric("lattice_viewers", &[]);
    eventually("everybody else to be gone", || viewers() == 1.0);
    let grown = grown(serve.pid(), memory);
    println!("{sent} frames in {took:?}; the gateway grew by {} KiB", grown >> 10);
    assert!(grown.abs() < MEMORY, "the gateway grew by {grown} bytes");
    witness.check();
    serve.assert_no_panics();
}

#[test]
fn nothing_is_taken_compressed() {
    let serve = Serve::start();
    let session = serve.desktop_of(&serve.admin());
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let head = serve.head(&serve.admin()) + offer;
    let request = upgrade_at(serve.address(), &format!("/ws/{session}"), &head);
    let stream = TcpStream::connect(serve.address()).expect("it listens");
    let (_, answer) = client(request, stream).expect("it upgrades");
    assert_eq!(answer.headers().get("sec-websocket-extensions"), None);

    // {"token":"x"}, which uncompressed is understood.
    let gzip: [u8; 33] = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xab, 0x56, 0x2a, 0xc9, 0xcf, 0x4e, 0xcd, 0x53, 0xb2,
        0x52, 0xaa, 0x50, 0xaa, 5, 0, 0xb6, 0x29, 0xca, 0x2d, 13, 0, 0, 0,
    ];
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let answer = post_bytes(&serve, encoding, &gzip);
        assert!(answer.starts_with("HTTP/1.1 415 "), "{encoding}: {answer}");
    }
    serve.assert_no_panics();
}

fn post_bytes(serve: &Serve, encoding: &str, body: &[u8]) -> String {
    let (address, length) = (serve.address(), body.len());
    let head = format!(
        "POST /api/v1/redeem HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Encoding: {encoding}\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(&[head.as_bytes(), body].concat()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}
