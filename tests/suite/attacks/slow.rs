//! Whoever dawdles is cut and keeps nobody out; what is not HTTP/1.1 is not begun.

use super::{honest_requests, quantile};
use lattice_tests::http::Kept;
use lattice_tests::people::Proof;
use lattice_tests::process::allow_many_files;
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::wait::GENEROUS;
use lattice_tests::{eventually, patience};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The server's patience with headers, bodies and handshakes.
const PATIENCE: Duration = Duration::from_secs(10);
const DRIP: Duration = Duration::from_millis(500);
/// An honest request's, 19 times of 20.
const ANSWER: Duration = Duration::from_millis(500);

/// One who dawdles, and what was answered.
struct Dawdler {
    stream: TcpStream,
    answer: Vec<u8>,
    lived: Option<Duration>,
}

/// Opens `count` connections that each begin so and then send `drip` again and again, if anything,
/// until all are cut.
fn dawdle(address: SocketAddr, count: usize, opening: &[u8], drip: &[u8]) -> Vec<Dawdler> {
    let open = |_| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(opening).expect("sent");
        stream.set_nonblocking(true).expect("an option of sockets");
        Dawdler { stream, answer: Vec::new(), lived: None }
    };
    let mut all: Vec<_> = (0..count).map(open).collect();
    let start = Instant::now();
    eventually("all who dawdle to be cut", || {
        for one in all.iter_mut().filter(|one| one.lived.is_none()) {
            let _ = one.stream.write(drip);
            if one.is_cut() {
                one.lived = Some(start.elapsed());
            }
        }
        thread::sleep(DRIP);
        all.iter().all(|one| one.lived.is_some())
    });
    all
}

impl Dawdler {
    fn is_cut(&mut self) -> bool {
        let mut piece = [0; 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return true,
                Ok(count) => self.answer.extend_from_slice(&piece[..count]),
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }
}

/// Checks that all were cut about when the server's patience ends.
fn check_cut(what: &str, all: &[Dawdler]) {
    let lived: Vec<_> = all.iter().filter_map(|one| one.lived).collect();
    let (first, last) = (lived.iter().min(), lived.iter().max());
    let (first, last) = (*first.expect("some"), *last.expect("some"));
    println!("{} {what} were cut after {first:?} to {last:?}", all.len());
    assert!(last < PATIENCE + patience(Duration::from_secs(5)), "{what}: {last:?}");
}

#[test]
fn who_dawdles_is_cut_and_keeps_nobody_out() {
    allow_many_files();
    let serve = Serve::start();
    let (address, head) = (serve.address(), format!("Host: {}\r\n", serve.address()));
    let line = format!("GET /api/v1/me HTTP/1.1\r\n{head}X-Slow: ");
    let post = format!("POST /api/v1/login HTTP/1.1\r\n{head}Content-Length: 1000\r\n\r\n{{");
    let mut times = thread::scope(|scope| {
        let silent = scope.spawn(|| dawdle(address, 1000, b"", b""));
        let headers = scope.spawn(|| dawdle(address, 500, line.as_bytes(), b"x"));
        let bodies = scope.spawn(|| dawdle(address, 100, post.as_bytes(), b" "));
        let ended = || silent.is_finished() && headers.is_finished() && bodies.is_finished();
        let times = honest_requests(&serve, &serve.admin(), ended);
        check_cut("who said nothing", &silent.join().expect("they are cut"));
        check_cut("who dribbled headers", &headers.join().expect("they are cut"));
        let bodies = bodies.join().expect("they are cut");
        check_cut("who dribbled bodies", &bodies);
        for one in bodies {
            let answer = String::from_utf8_lossy(&one.answer);
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        }
        times
    });
    let (count, p95) = (times.len(), quantile(&mut times, 0.95));
    let last = times.last().copied().unwrap_or_default();
    println!("{count} honest requests meanwhile, 95 % within {p95:?}, all within {last:?}");
    assert!(p95 < patience(ANSWER), "{p95:?}");
    serve.assert_no_panics();
}

/// All that comes until the server closes, which it must soon.
fn exchange(stream: &mut (impl Read + Write), bytes: &[u8]) -> Vec<u8> {
    // A server that has had enough may close before the last byte.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// How HTTP/2 begins without being asked for, and an empty frame of settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[test]
fn headers_without_end_and_other_versions_of_http_are_refused() {
    let serve = Serve::start();
    let connect = || {
        let stream = TcpStream::connect(serve.address()).expect("it listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("a timeout");
        stream
    };
    let host = serve.address();
    let long = "x".repeat(64 << 10);
    let many: String = (0..2000).map(|number| format!("X-{number}: {number}\r\n")).collect();
    for lines in [format!("X-Long: {long}\r\n"), many] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        let answer = exchange(&mut connect(), request.as_bytes());
        assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    }
    let start = Instant::now();
    let answer = exchange(&mut connect(), PREFACE);
    let shown = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{shown}");
    println!("the preface of HTTP/2 was refused after {:?} by {shown:?}", start.elapsed());
    assert!(start.elapsed() < patience(Duration::from_secs(2)));

    let upgrade =
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    let answer = Kept::connect(host).ask("GET", "/healthz", upgrade, "").expect("an answer");
    assert_eq!((answer.status, answer.header("upgrade")), (200, None), "h2c is not spoken");
    serve.assert_no_panics();
}

/// A client that trusts the server's own authority.
fn client(serve: &Serve, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    lattice_gateway::tls::install_provider();
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(serve.desktops().data().join("tls/ca.pem"));
    roots.add(root.expect("the authority's certificate")).expect("it is one");
    let config = ClientConfig::builder().with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Sends some bytes by TLS; what is spoken, and all that is answered.
fn by_tls(
    serve: &Serve,
    config: &Arc<ClientConfig>,
    bytes: &[u8],
) -> io::Result<(Option<Vec<u8>>, Vec<u8>)> {
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    let stream = TcpStream::connect(serve.address())?;
    stream.set_read_timeout(Some(GENEROUS))?;
    let mut stream = rustls::StreamOwned::new(session, stream);
    stream.flush()?;
    let answer = exchange(&mut stream, bytes);
    Ok((stream.conn.alpn_protocol().map(<[u8]>::to_vec), answer))
}

#[test]
fn who_never_ends_a_tls_handshake_is_cut_and_keeps_nobody_out() {
    allow_many_files();
    let options = ServeOptions { args: vec!["--tls", "on"], ..ServeOptions::default() };
    let serve = Serve::start_with(options);
    let config = client(&serve, &[b"h2", b"http/1.1"]);
    let port = serve.address().port();
    let request = format!(
        "GET /api/v1/me HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{}\r\n",
        Proof::lines(&serve.admin())
    );
    // The beginning of a hello of 512 bytes.
    let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    let mut times = thread::scope(|scope| {
        let silent = scope.spawn(|| dawdle(serve.address(), 250, b"", b""));
        let dribbled = scope.spawn(|| dawdle(serve.address(), 250, &hello, b"\0"));
        let mut times = Vec::new();
        while !(silent.is_finished() && dribbled.is_finished()) {
            let start = Instant::now();
            let (spoken, answer) = by_tls(&serve, &config, request.as_bytes()).expect("it answers");
            assert_eq!(spoken.as_deref(), Some(&b"http/1.1"[..]));
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
            times.push(start.elapsed());
            thread::sleep(Duration::from_millis(20));
        }
        check_cut("who began no handshake", &silent.join().expect("they are cut"));
        check_cut("who dribbled a handshake", &dribbled.join().expect("they are cut"));
        times
    });
    let (count, p95) = (times.len(), quantile(&mut times, 0.95));
    let last = times.last().copied().unwrap_or_default();
    println!("{count} honest requests by TLS meanwhile, 95 % within {p95:?}, all within {last:?}");
    assert!(p95 < patience(ANSWER), "{p95:?}");

    by_tls(&serve, &client(&serve, &[b"h2"]), b"").expect_err("HTTP/2 is not spoken");
    let (_, answer) = by_tls(&serve, &config, PREFACE).expect("a handshake");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"));
    assert!(!serve.log().contains("panicked at"), "{}", serve.log());
}
