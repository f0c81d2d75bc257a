//! `lattice serve` that is replaced while people work: nobody is refused, what was asked is answered,
//! and viewers come back by themselves, not all in one instant.

use futures_util::{SinkExt as _, StreamExt as _};
use lattice_engine::session::SessionId;
use lattice_tests::http::try_request;
use lattice_tests::patience;
use lattice_tests::process::signal;
use lattice_tests::scene::Random;
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::viewer::{hello, upgrade_at};
use lattice_tests::wait::{GENEROUS, until_some};
use lattice_wire::close::{RESTART, return_within};
use lattice_wire::{Ack, ClientPacket, ServerPacket};
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const VIEWERS: usize = 200;
/// As many as one desktop takes.
const VIEWERS_EACH: usize = 100;
const REQUESTS_A_SECOND: u32 = 50;
/// A request that takes so long is answered all the same.
const SLOW: Duration = Duration::from_secs(5);
/// The end is over within this, whatever goes on.
const DRAINED_WITHIN: Duration = Duration::from_secs(20);

/// What one viewer went through at one restart.
#[derive(Debug, Clone, Copy)]
struct Return {
    /// When it connected again.
    connected: Instant,
    /// How long it had no picture.
    away: Duration,
}

/// 200 viewers and 50 requests a second, through two upgrades: one with nothing else going on, and one
/// while a request takes five seconds.
#[test]
fn an_upgrade_refuses_nobody_and_viewers_come_back_spread_out() {
    let mut serve = Serve::start_with(ServeOptions { handed: true, ..ServeOptions::default() });
    let sessions: Vec<_> =
        (0..VIEWERS / VIEWERS_EACH).map(|_| serve.desktop_of(&serve.admin())).collect();
    let crowd = Crowd::gather(&serve, &sessions);
    let load = Load::start(&serve);
    crowd.wait_live("all viewers to have a picture");

    upgrade(&mut serve);
    let quick = crowd.returned("all viewers to be back");
    let slow = SlowRequest::start(&serve, SLOW);
    upgrade(&mut serve);
    assert_eq!(slow.status(), Some(201), "what was being asked is answered");
    let held_up = crowd.returned("all viewers to be back, who waited for the request");

    let asked = load.end();
    println!("{asked} requests were answered through two upgrades");
    report("viewers were away", &quick);
    report("viewers were away while a request took 5 s", &held_up);
    let spread = spread(&quick);
    println!("{VIEWERS} viewers came back over {spread:?}");
    // Each waits for a random part of two seconds: the ends of 200 such are within a tenth of them.
    assert!(spread > Duration::from_millis(1600), "they came back within {spread:?}");
    let late = percentile(&quick, 95);
    assert!(late < patience(Duration::from_millis(2500)), "95 % were back after {late:?}");
    crowd.end();
    assert!(!serve.log().contains("panicked at"), "{}", serve.log());
}

#[test]
fn the_end_waits_for_what_is_asked_but_not_for_ever_and_a_second_signal_not_at_all() {
    let mut serve = Serve::start();
    let session = serve.desktop_of(&serve.admin());
    for is_hurried in [false, true] {
        let viewer = serve.viewer(&serve.admin(), &session);
        viewer.wait_picture();
        // One of each kind that would go on for ever.
        let never = [
            "GET /healthz HTTP/1.1\r\nHost: ".to_owned(),
            format!(
                "POST /api/v1/sessions HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{",
                serve.address(),
                serve.token()
            ),
            format!(
                "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
                serve.address(),
                serve.token()
            ),
        ];
        let held = never.map(|text| {
            let mut stream = TcpStream::connect(serve.address()).expect("it listens");
            stream.write_all(text.as_bytes()).expect("sent");
            stream
        });
        let begun = Instant::now();
        let status = if is_hurried {
            signal(serve.pid(), Signal::TERM);
            viewer.wait_closed();
            serve.terminate()
        } else {
            serve.terminate()
        };
        let took = begun.elapsed();
        println!("it ended {took:?} after the signal, {status}; hurried: {is_hurried}");
        if is_hurried {
            assert_eq!(status.code(), Some(130));
            assert!(took < patience(Duration::from_secs(3)), "it took {took:?}");
        } else {
            assert!(status.success(), "{status}");
            assert!(took < patience(DRAINED_WITHIN), "it took {took:?}");
            let (code, reason) = viewer.wait_closed();
            assert_eq!((code, return_within(&reason)), (RESTART, Some(10)), "{reason}");
        }
        drop(held);
        serve.restart();
    }
}

/// Ends the server in order and starts it again, as an upgrade does.
fn upgrade(serve: &mut Serve) {
    assert!(serve.terminate().success(), "{}", serve.log());
    serve.restart();
}

/// Many viewers in one thread, who come back as the page does.
struct Crowd {
    state: Arc<CrowdState>,
    thread: thread::JoinHandle<()>,
}

#[derive(Default)]
struct CrowdState {
    live: AtomicU32,
    over: AtomicBool,
    returns: Mutex<Vec<Return>>,
    faults: Mutex<Vec<String>>,
}

impl CrowdState {
    /// Says the first faults, and how many there are: all 200 may have the same.
    fn assert_faultless(&self) {
        let faults = self.faults.lock().expect("nobody panics").clone();
        let first = &faults[..faults.len().min(3)];
        assert!(faults.is_empty(), "{} viewers have faults, such as {first:?}", faults.len());
    }
}

impl Crowd {
    fn gather(serve: &Serve, sessions: &[SessionId]) -> Self {
        let state = Arc::new(CrowdState::default());
        let (address, token) = (serve.address(), serve.token().to_owned());
        let (own, sessions) = (state.clone(), sessions.to_vec());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime needs only threads and an epoll").block_on(async {
                let mut random = Random(1);
                let everybody = (0..VIEWERS).map(|number| {
                    let session = sessions[number / VIEWERS_EACH].clone();
                    let seed = Random(random.below(u32::MAX - 1) + 1);
                    tokio::spawn(come_back(own.clone(), address, session, token.clone(), seed))
                });
                for viewer in everybody.collect::<Vec<_>>() {
                    viewer.await.expect("it does not panic");
                }
            });
        });
        Self { state, thread }
    }

    fn wait_live(&self, what: &str) {
        let patience = 3 * GENEROUS;
        until_some(what, patience, || {
            self.state.assert_faultless();
            (self.state.live.load(Ordering::SeqCst) as usize == VIEWERS).then_some(())
        });
    }

    /// What each went through since this was asked last.
    fn returned(&self, what: &str) -> Vec<Return> {
        until_some(what, 3 * GENEROUS, || {
            self.state.assert_faultless();
            let mut returns = self.state.returns.lock().expect("nobody panics");
            (returns.len() == VIEWERS).then(|| std::mem::take(&mut *returns))
        })
    }

    fn end(self) {
        self.state.over.store(true, Ordering::SeqCst);
        self.thread.join().expect("it does not panic");
    }
}

/// Looks until all is over; on a restart it returns when it was asked to.
async fn come_back(
    state: Arc<CrowdState>,
    address: SocketAddr,
    session: SessionId,
    token: String,
    mut random: Random,
) {
    let mut closed = None;
    loop {
        match look(&state, address, &session, &token, closed).await {
            Ok(Some(within)) => {
                closed = Some(Instant::now());
                sleep(within.mul_f64(f64::from(random.below(1000)) / 1000.0)).await;
            }
            Ok(None) => return,
            Err(fault) => {
                return state.faults.lock().expect("nobody panics").push(fault);
            }
        }
    }
}

/// Looks until the server restarts, and says within which time to come back; nothing once all is over.
async fn look(
    state: &CrowdState,
    address: SocketAddr,
    session: &SessionId,
    token: &str,
    closed: Option<Instant>,
) -> Result<Option<Duration>, String> {
    let stream = tokio::net::TcpStream::connect(address).await;
    let stream = stream.map_err(|error| format!("refused: {error}"))?;
    let connected = Instant::now();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let request = upgrade_at(address, &format!("/ws/{session}"), &bearer);
    let upgraded = tokio_tungstenite::client_async(request, stream).await;
    let (mut socket, _) = upgraded.map_err(|error| format!("not upgraded: {error}"))?;
    let say = |packet: ClientPacket| Message::Binary(packet.encode().into());
    socket.send(say(hello())).await.map_err(|error| error.to_string())?;
    let mut is_live = false;
    loop {
        let next = timeout(Duration::from_millis(500), socket.next()).await;
        if state.over.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let Ok(next) = next else { continue };
        match next {
            Some(Ok(Message::Binary(packet))) => match ServerPacket::decode(&packet) {
                Ok(ServerPacket::Frame(frame)) => {
                    let ack = Ack { at: frame.at, decode_us: 0, queued: 0 };
                    let _ = socket.send(say(ClientPacket::Ack(ack))).await;
                    if !std::mem::replace(&mut is_live, true) {
                        state.live.fetch_add(1, Ordering::SeqCst);
                        if let Some(closed) = closed {
                            let back = Return { connected, away: closed.elapsed() };
                            state.returns.lock().expect("nobody panics").push(back);
                        }
                    }
                }
                Ok(ServerPacket::Ping(ping)) => {
                    let _ = socket.send(say(ClientPacket::Pong(ping.sent))).await;
                }
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            },
            Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Restart => {
                let within = return_within(&frame.reason).ok_or(frame.reason.to_string())?;
                return Ok(Some(Duration::from_millis(within.into())));
            }
            other => return Err(format!("this is no restart: {other:?}")),
        }
    }
}

/// Requests at a steady pace, each by a connection of its own.
struct Load {
    over: Arc<AtomicBool>,
    workers: Vec<thread::JoinHandle<u32>>,
}

impl Load {
    fn start(serve: &Serve) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..REQUESTS_A_SECOND)
            .map(|number| {
                let (over, address) = (over.clone(), serve.address());
                let head = format!("Authorization: Bearer {}\r\n", serve.token());
                thread::spawn(move || {
                    let paths = ["/healthz", "/", "/api/v1/sessions", "/api/v1/me"];
                    thread::sleep(Duration::from_secs(1) * number / REQUESTS_A_SECOND);
                    let mut asked = 0;
                    while !over.load(Ordering::SeqCst) {
                        let begun = Instant::now();
                        let path = paths[(number + asked) as usize % paths.len()];
                        let answer = try_request(address, "GET", path, &head, "");
                        match answer {
                            Ok(answer) => assert_eq!(answer.status, 200, "{path}: {answer:?}"),
                            Err(error) => panic!("{path}: {error}"),
                        }
                        asked += 1;
                        thread::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed()));
                    }
                    asked
                })
            })
            .collect();
        Self { over, workers }
    }

    /// Checks that each was answered; how many there were.
    fn end(self) -> u32 {
        self.over.store(true, Ordering::SeqCst);
        self.workers.into_iter().map(|worker| worker.join().expect("all are answered")).sum()
    }
}

/// A request whose body takes its time.
struct SlowRequest(thread::JoinHandle<Option<u16>>);

impl SlowRequest {
    /// Returns once its first part is sent.
    fn start(serve: &Serve, takes: Duration) -> Self {
        let mut stream = TcpStream::connect(serve.address()).expect("it listens");
        let body = r#"{"template":"desktop"}"#;
        let head = format!(
            "POST /api/v1/sessions HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: \
             Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            serve.address(),
            serve.token(),
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        // That it was accepted shows only in its being answered.
        thread::sleep(Duration::from_millis(200));
        Self(thread::spawn(move || {
            for byte in body.as_bytes() {
                stream.write_all(&[*byte]).ok()?;
                thread::sleep(takes / body.len() as u32);
            }
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
        }))
    }

    /// How it was answered.
    fn status(self) -> Option<u16> {
        self.0.join().expect("it does not panic")
    }
}

fn percentile(returns: &[Return], percent: usize) -> Duration {
    let mut away: Vec<_> = returns.iter().map(|back| back.away).collect();
    away.sort();
    away[(away.len() * percent / 100).min(away.len() - 1)]
}

fn report(what: &str, returns: &[Return]) {
    let [median, late, last] = [50, 95, 100].map(|percent| percentile(returns, percent));
    println!("{what} for {median:?} (median), {late:?} (p95), {last:?} (longest)");
}

/// The time from the first who came back to the last.
fn spread(returns: &[Return]) -> Duration {
    let connected = returns.iter().map(|back| back.connected);
    let (first, last) = (connected.clone().min(), connected.max());
    first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first)
}
