//! The accept loop: HTTP/1.1 on TCP, by TLS or plain, with limits against clients that hold on and
//! say nothing.
//!
//! `axum::serve` sets no header timer and forgets upgraded sockets at shutdown; this loop does both.
//! INVARIANT: at most `max_connections` sockets are open; more wait in the kernel's backlog.

use crate::clock;
use crate::tcp::{self, PathRtt};
use crate::tls::handshake::{self, Acceptor};
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};
use tokio_rustls::server::TlsStream;

/// A client has so long to send its headers, on a fresh connection and on a kept one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes nothing of what it asked for is given up; a slow one is not. Longer than the
/// patience with viewers, who are told why.
const WRITE_TIMEOUT: Duration = Duration::from_secs(40);
/// The largest block of headers; larger ones are answered with 431.
const MAX_HEADERS: usize = 16 << 10;
/// How long to wait after the system ran out of sockets or memory.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(200);
/// How long, and for how much, a closed connection is read on so that its last words arrive.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 4 << 20;

/// So long after it was made a connection may yet ask for the first time, though the end has begun:
/// a program whose new connection is closed takes that for a failure. One that is silent for longer a
/// browser has made beforehand; it makes another.
const FIRST_REQUEST: Duration = Duration::from_secs(2);
/// What has come by a kept connection before the end began is read within this.
const READ_OUT: Duration = Duration::from_millis(10);

/// Those who will come back after a restart do so one in this time: a handshake and a whole picture
/// each, which two cores do at this pace beside everything else.
const COMES_BACK_EVERY: Duration = Duration::from_millis(10);
/// However many there are, nobody waits for longer than this.
const LONGEST_RETURN: Duration = Duration::from_secs(8);

/// Tells all connections to end, and knows when they have.
#[derive(Debug)]
pub struct Drain {
    closing: watch::Sender<Option<Duration>>,
    alive: mpsc::Sender<Infallible>,
    ended: mpsc::Receiver<Infallible>,
    returning: Arc<AtomicU32>,
}

/// What a connection holds while it lives.
#[derive(Debug, Clone)]
pub struct Guard {
    closing: watch::Receiver<Option<Duration>>,
    _alive: mpsc::Sender<Infallible>,
    returning: Arc<AtomicU32>,
}

/// Counts one who will come back after a restart, as long as it is held.
#[derive(Debug)]
pub struct Returning(Arc<AtomicU32>);

impl Drop for Returning {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Drain {
    fn default() -> Self {
        let (alive, ended) = mpsc::channel(1);
        let returning = Arc::default();
        Self { closing: watch::Sender::new(None), alive, ended, returning }
    }
}

impl Drain {
    /// For one more connection or task.
    pub fn guard(&self) -> Guard {
        Guard {
            closing: self.closing.subscribe(),
            _alive: self.alive.clone(),
            returning: self.returning.clone(),
        }
    }

    /// Ends everything that holds a guard, and waits for it at most so long; whether all ended.
    pub async fn close(self, patience: Duration) -> bool {
        let Self { closing, alive, mut ended, returning } = self;
        let spread = COMES_BACK_EVERY.saturating_mul(returning.load(Ordering::Relaxed));
        closing.send_replace(Some(spread.min(LONGEST_RETURN)));
        drop(alive);
        tokio::time::timeout(patience, ended.recv()).await.is_ok()
    }
}

impl Guard {
    /// Resolves when it is time to end, with the time over which those who come back should spread.
    pub async fn closing(&mut self) -> Duration {
        // The sender only goes once it has said so.
        let closing = self.closing.wait_for(Option::is_some).await;
        closing.ok().and_then(|spread| *spread).unwrap_or_default()
    }

    /// Counts the holder among those who come back.
    pub fn returning(&self) -> Returning {
        self.returning.fetch_add(1, Ordering::Relaxed);
        Returning(self.returning.clone())
    }
}

/// The connection that a request came by.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Who is at its other end.
    pub peer: SocketAddr,
    /// How long the way to it is, as far as the kernel knows.
    pub path: Arc<PathRtt>,
    /// Held by whatever outlives the request.
    pub guard: Guard,
}

/// What stands behind a listener.
#[derive(Debug, Clone)]
pub struct Entrance {
    /// What is served.
    pub router: Router,
    /// Where TLS is spoken.
    pub tls: Option<Secured>,
}

/// What makes a listener one for TLS.
#[derive(Debug, Clone)]
pub struct Secured {
    /// Does the handshakes.
    pub acceptor: Acceptor,
    /// Answers who comes without TLS all the same.
    pub plain: Router,
}

/// Serves `router` by plain HTTP until `guard` says to end.
pub async fn serve(listener: TcpListener, router: Router, guard: Guard, max_connections: usize) {
    serve_entrance(listener, Entrance { router, tls: None }, guard, max_connections).await;
}

/// Serves what stands behind a listener until `guard` says to end.
pub async fn serve_entrance(
    listener: TcpListener,
    entrance: Entrance,
    mut guard: Guard,
    max_connections: usize,
) {
    let slots = Arc::new(Semaphore::new(max_connections));
    let mut short = false;
    loop {
        // What is not accepted any more waits for the next server, where one is handed the listener.
        let next = tokio::select! {
            biased;
            _ = guard.closing() => return,
            next = accept(&listener, &slots) => next,
        };
        match next {
            Ok((stream, peer, slot)) => {
                short = false;
                let connection = Connection { peer, path: Arc::default(), guard: guard.clone() };
                tokio::spawn(serve_one(stream, slot, entrance.clone(), connection));
            }
            Err(error) if is_clients_fault(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut short, true) {
                    tracing::warn!(%error, "cannot accept connections; trying until it works");
                }
                sleep(OUT_OF_SOCKETS).await;
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, slot))
}

/// The client went before it was accepted: nothing of ours is short.
fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn serve_one(
    stream: TcpStream,
    slot: OwnedSemaphorePermit,
    entrance: Entrance,
    connection: Connection,
) {
    if let Err(error) = tcp::tune(&stream, WRITE_TIMEOUT) {
        tracing::debug!(%error, "a socket option was refused");
    }
    let ask_by = Instant::now() + FIRST_REQUEST;
    let Entrance { router, tls } = entrance;
    let stream = Lingering::new(stream, slot, connection.path.clone());
    let Some(tls) = tls else {
        return serve_http(stream.lasting(), router, connection, ask_by).await;
    };
    let mut guard = connection.guard.clone();
    let over = async {
        guard.closing().await;
        sleep_until(ask_by).await;
    };
    let admitted = tokio::select! {
        admitted = tls.acceptor.in_time(admit(stream, &tls.acceptor)) => admitted,
        () = over => None,
    };
    match admitted {
        Some(Admitted::Secure(stream)) => serve_http(stream, router, connection, ask_by).await,
        Some(Admitted::Plain(stream)) => serve_http(stream, tls.plain, connection, ask_by).await,
        Some(Admitted::Nobody) | None => {}
    }
}

/// Who comes to a listener for TLS.
enum Admitted {
    Secure(TlsStream<Lingering>),
    Plain(Lingering),
    Nobody,
}

/// The first byte of a TLS connection is that of a handshake record; HTTP begins with a letter.
async fn admit(stream: Lingering, acceptor: &Acceptor) -> Admitted {
    match stream.peek().await {
        Some(HANDSHAKE) => {}
        Some(byte) if byte.is_ascii_alphabetic() => {
            handshake::count("plain");
            return Admitted::Plain(stream.lasting());
        }
        _ => {
            handshake::count("failed");
            return Admitted::Nobody;
        }
    }
    match acceptor.handshake(stream).await {
        Ok(mut stream) => {
            stream.get_mut().0.lasts = true;
            Admitted::Secure(stream)
        }
        Err(refused) => {
            // So that it learns why.
            drop(refused.lasting());
            Admitted::Nobody
        }
    }
}

/// `ContentType.handshake` of RFC 8446.
const HANDSHAKE: u8 = 22;

/// Serves a connection until either end closes it. Its first request may come until `ask_by`, though
/// the end has begun.
async fn serve_http<S>(stream: S, router: Router, connection: Connection, ask_by: Instant)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut guard = connection.guard.clone();
    let router = TowerToHyperService::new(router);
    let (asks, mut asked) = watch::channel(false);
    let service = service_fn(move |mut request: Request<Incoming>| {
        asks.send_replace(true);
        request.extensions_mut().insert(connection.clone());
        hyper::service::Service::call(&router, request)
    });
    let mut serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let last_request_came = async {
        guard.closing().await;
        wait_last_request(&mut asked, ask_by).await;
    };
    let served = tokio::select! {
        biased;
        served = serving.as_mut() => served,
        () = last_request_came => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits for the last request by a connection, which hyper is then to close: it would at once, even
/// if nobody had had the time to ask anything by it.
async fn wait_last_request(asked: &mut watch::Receiver<bool>, ask_by: Instant) {
    let read_out = Instant::now() + READ_OUT;
    let has_asked = *asked.borrow_and_update();
    let patience = if has_asked { read_out } else { ask_by.max(read_out) };
    let _ = timeout_at(patience, asked.changed()).await;
}

/// A socket that is read on for a moment after it was dropped. The kernel answers data that nobody
/// read with a reset, which would overtake the status or close code that says what was wrong.
struct Lingering {
    /// `None` once dropped.
    open: Option<(TcpStream, OwnedSemaphorePermit)>,
    /// Whether anything was said that must arrive. Before a handshake is done nothing was, and who
    /// never does one must not hold its place for longer.
    lasts: bool,
    /// Whether the other end has closed, so that nothing can come any more.
    ended: bool,
    /// When to give up a write that the kernel has no room for. Not all kernels do so themselves
    /// where the other end lives and takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    /// Where the kernel's round trip is noted.
    path: Arc<PathRtt>,
}

impl Lingering {
    fn new(stream: TcpStream, slot: OwnedSemaphorePermit, path: Arc<PathRtt>) -> Self {
        Self { open: Some((stream, slot)), lasts: false, ended: false, stall: None, path }
    }

    fn lasting(mut self) -> Self {
        self.lasts = true;
        self
    }

    /// The first byte that comes, which stays to be read.
    async fn peek(&self) -> Option<u8> {
        let (stream, _) = self.open.as_ref()?;
        let mut first = [0];
        (stream.peek(&mut first).await.ok()? == 1).then_some(first[0])
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let (stream, _) = self.open.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(stream))
    }

    /// Makes an error of a write that has made no progress for too long.
    fn watch(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stall = None;
            if let Some((stream, _)) = &self.open {
                self.path.note(stream, clock::now());
            }
            return written;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        stall.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some((stream, slot)) = self.open.take().filter(|_| self.lasts && !self.ended) else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let _slot = slot;
            let _ = tokio::time::timeout(LINGER, linger(stream)).await;
        });
    }
}

async fn linger(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = self.stream()?.poll_read(cx, buf);
        self.ended |= match &read {
            Poll::Ready(Ok(())) => buf.filled().len() == before && buf.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        read
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write_vectored(cx, bytes);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;

    /// A client's connection that is being served, and what ends it.
    async fn connected() -> (TcpStream, Drain) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let client = TcpStream::connect(address).await.expect("a connection");
        let (stream, peer, slot) =
            accept(&listener, &Arc::new(Semaphore::new(1))).await.expect("accepted");
        let router = Router::new().route("/", get(|| async { "here" }));
        let drain = Drain::default();
        let connection = Connection { peer, path: Arc::default(), guard: drain.guard() };
        tokio::spawn(serve_one(stream, slot, Entrance { router, tls: None }, connection));
        (client, drain)
    }

    async fn ask(client: &mut TcpStream) {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    }

    #[tokio::test]
    async fn who_has_just_connected_is_answered_after_the_end_has_begun_and_only_once() {
        let (mut client, drain) = connected().await;
        let ended = tokio::spawn(drain.close(10 * FIRST_REQUEST));
        sleep(10 * READ_OUT).await;
        ask(&mut client).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer and the end");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("here"), "{answer}");
        assert!(ended.await.expect("no panic"));
    }

    #[tokio::test]
    async fn a_kept_connection_that_asks_nothing_does_not_hold_up_the_end() {
        let (mut client, drain) = connected().await;
        ask(&mut client).await;
        let _ = client.read_u8().await.expect("an answer");
        let begun = Instant::now();
        assert!(drain.close(10 * FIRST_REQUEST).await);
        assert!(begun.elapsed() < FIRST_REQUEST / 2, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_holds_up_the_end_while_it_is_new() {
        for (age, waits) in [
            (Duration::ZERO, FIRST_REQUEST),
            (FIRST_REQUEST, READ_OUT),
            (2 * FIRST_REQUEST, READ_OUT),
        ] {
            let (client, drain) = connected().await;
            sleep(age).await;
            let begun = Instant::now();
            assert!(drain.close(10 * FIRST_REQUEST).await);
            let took = begun.elapsed();
            assert!(took <= waits + READ_OUT, "{took:?} after {age:?}");
            drop(client);
        }
    }

    /// The timer is the test's; what the kernel gives up by itself it does in true time.
    #[tokio::test(start_paused = true)]
    async fn who_asks_for_much_and_reads_nothing_does_not_keep_its_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut client = TcpStream::connect(address).await.expect("a connection");
        let asked = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
        client.write_all(asked.as_bytes()).await.expect("sent");
        let slots = Arc::new(Semaphore::new(1));
        let (stream, peer, slot) = accept(&listener, &slots).await.expect("accepted");
        let router = Router::new().route("/", get(|| async { vec![0; 1 << 20] }));
        let drain = Drain::default();
        let connection = Connection { peer, path: Arc::default(), guard: drain.guard() };
        let started = tokio::time::Instant::now();
        let entrance = Entrance { router, tls: None };
        let served =
            tokio::time::timeout(10 * WRITE_TIMEOUT, serve_one(stream, slot, entrance, connection));
        served.await.expect("it is given up");
        assert!(started.elapsed() >= WRITE_TIMEOUT, "{:?}", started.elapsed());
        let _free = slots.acquire().await.expect("a place");
        drop((client, drain));
    }
}
