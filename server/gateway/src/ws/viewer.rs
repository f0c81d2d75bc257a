//! One viewer's socket: reads what it says for the hub, writes what the hub has for it.
//!
//! Reading and writing go on side by side. A viewer that does not read holds up nothing but its own
//! socket; one that says too much, or what is no packet, is closed with a code that says why.

use crate::accept::Guard;
use crate::clock;
use crate::hub::intake::{Admission, Intake};
use crate::hub::outbox::{Item, Outbox};
use crate::hub::{Event, Hub, Seat, Visitor, sleep_until};
use crate::tcp::PathRtt;
use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use lattice_wire::{
    ClientPacket, DecodeError, Hello, Micros, Ping, ServerPacket, VERSION, ViewerId, close,
};
use metrics::{counter, histogram};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

/// A viewer's WebSocket.
pub type Socket<S> = WebSocketStream<S>;

/// Packets are written in pieces of this size: the socket's own buffer, which holds a copy, stays so
/// small, and a viewer that must go need not take the rest of a picture first.
pub const PIECE: usize = 64 << 10;

const HELLO_PATIENCE: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Three pings without a sign of life make 15 s of silence.
const SILENT_PINGS: u32 = 3;
/// How often the hub hears that a frame goes on being taken.
const PROGRESS_INTERVAL: Micros = Micros::from_millis(1000);
/// A socket that takes not one piece for so long has nobody at its other end.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// How long a viewer may take to answer a close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The other end went, or cannot be told anything any more.
    Gone,
    /// It is told this code and reason.
    Close(u16, &'static str),
    /// It is asked to come back within this time.
    Restart(Duration),
}

/// What reader and writer know of each other.
#[derive(Debug)]
struct Life {
    unanswered: AtomicU32,
    pinged: AtomicU64,
    round_trip_us: AtomicU32,
    /// The first round trip is told at once, not with the next ping.
    first_pong: Notify,
}

/// Serves a viewer until it or the gateway ends it, or what let it in is `revoked`.
pub async fn serve<S>(
    mut socket: Socket<S>,
    hub: &Hub,
    visitor: Visitor,
    path: &PathRtt,
    mut guard: Guard,
    revoked: impl Future<Output = ()> + Send,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let _returning = guard.returning();
    let ending = tokio::select! {
        ending = session(&mut socket, hub, visitor, path, revoked) => ending,
        within = guard.closing() => Ending::Restart(within),
    };
    match ending {
        Ending::Close(code, reason) => dismiss(&mut socket, code, reason).await,
        Ending::Restart(within) => {
            let reason =
                close::restart_reason(u32::try_from(within.as_millis()).unwrap_or(u32::MAX));
            dismiss(&mut socket, close::RESTART, &reason).await;
        }
        // Where it said goodbye, the answer has yet to be written.
        Ending::Gone => {
            let _ = timeout(CLOSE_PATIENCE, read_out(&mut socket)).await;
        }
    }
}

/// Ends a viewer's socket with a code that says why.
pub async fn dismiss<S>(socket: &mut Socket<S>, code: u16, reason: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    counter!("lattice_viewers_closed_total", "code" => code.to_string()).increment(1);
    tracing::info!(close.code = code, close.reason = reason, "a viewer is closed");
    let _ = timeout(CLOSE_PATIENCE, say_goodbye(socket, code, reason)).await;
}

async fn say_goodbye<S>(socket: &mut Socket<S>, code: u16, reason: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let farewell = CloseFrame { code: code.into(), reason: reason.into() };
    if socket.send(Message::Close(Some(farewell))).await.is_ok() {
        read_out(socket).await;
    }
}

/// Reads until the closing handshake is done; reading also writes the answer to a close.
async fn read_out<S>(socket: &mut Socket<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(_)) = socket.next().await {}
}

async fn session<S>(
    socket: &mut Socket<S>,
    hub: &Hub,
    visitor: Visitor,
    path: &PathRtt,
    revoked: impl Future<Output = ()> + Send,
) -> Ending
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let hello = match hello(socket).await {
        Ok(hello) => hello,
        Err(ending) => return ending,
    };
    let seat = match hub.join(visitor, hello.capabilities).await {
        Some(Ok(seat)) => seat,
        Some(Err(full)) => {
            tracing::warn!(viewers.max = full.max, "a viewer was turned away: the session is full");
            return Ending::Close(close::FULL, "the session has as many viewers as it may");
        }
        None => return Ending::Restart(Duration::ZERO),
    };
    let viewer = seat.viewer;
    // Whoever reads the log of a complaint wants to know.
    tracing::info!(
        viewer.id = viewer.0,
        viewer.capabilities = hello.capabilities.0,
        viewer.width = hello.viewport.width,
        viewer.height = hello.viewport.height,
        "a viewer joined"
    );
    let departure = Departure { hub: Some(hub.clone()), viewer };
    let ending = tokio::select! {
        ending = look(socket, hub, seat, path) => ending,
        // Begun with the seat: of what ended while a hello was waited for, the hub told nobody.
        () = revoked => Ending::Close(close::REVOKED, "the right to look has ended"),
    };
    departure.tell().await;
    tracing::info!(viewer.id = viewer.0, "a viewer left");
    ending
}

/// Makes sure that the hub hears of a viewer's going, however its task ends.
struct Departure {
    hub: Option<Hub>,
    viewer: ViewerId,
}

impl Departure {
    async fn tell(mut self) {
        if let Some(hub) = self.hub.take() {
            hub.send(Event::Left(self.viewer)).await;
        }
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        let Some(hub) = self.hub.take() else { return };
        let viewer = self.viewer;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { hub.send(Event::Left(viewer)).await });
        }
    }
}

async fn hello<S>(socket: &mut Socket<S>) -> Result<Hello, Ending>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let silent = Ending::Close(close::SILENT, "no hello came in time");
    let packet = async {
        loop {
            if let Some(bytes) = binary(socket.next().await)? {
                return decode(&bytes);
            }
        }
    };
    match timeout(HELLO_PATIENCE, packet).await.map_err(|_| silent)?? {
        ClientPacket::Hello(hello) if hello.version == VERSION => Ok(hello),
        ClientPacket::Hello(_) => Err(Ending::Close(
            close::VERSION,
            "the gateway speaks another protocol version; reload the page",
        )),
        _ => Err(refused("misplaced", "the first packet must be a hello")),
    }
}

async fn look<S>(socket: &mut Socket<S>, hub: &Hub, seat: Seat, path: &PathRtt) -> Ending
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let life = Life {
        unanswered: AtomicU32::new(0),
        pinged: AtomicU64::new(0),
        round_trip_us: AtomicU32::new(u32::MAX),
        first_pong: Notify::new(),
    };
    let Seat { viewer, outbox, dismissed } = seat;
    let (sink, stream) = socket.split();
    tokio::select! {
        ending = read(stream, hub, viewer, &life) => ending,
        ending = write(sink, hub, viewer, &outbox, &life, path) => ending,
        dismissal = dismissed => match dismissal {
            Ok((code, reason)) => Ending::Close(code, reason),
            Err(_) => Ending::Restart(Duration::ZERO),
        },
    }
}

async fn read(
    mut stream: impl Stream<Item = Result<Message, Error>> + Unpin,
    hub: &Hub,
    viewer: ViewerId,
    life: &Life,
) -> Ending {
    let mut intake = Intake::new(clock::now());
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            () = sleep_until(intake.deadline()) => {
                let now = clock::now();
                pass(hub, viewer, intake.release(now), now).await;
                continue;
            }
        };
        let now = clock::now();
        if intake.is_flood(now) {
            return Ending::Close(close::FLOOD, "more packets came than anybody can send by hand");
        }
        let packet = match binary(message) {
            Ok(Some(bytes)) => decode(&bytes),
            Ok(None) => continue,
            Err(ending) => Err(ending),
        };
        match packet {
            Err(ending) => return ending,
            Ok(ClientPacket::Hello(_)) => return refused("misplaced", "a second hello came"),
            Ok(ClientPacket::Pong(sent)) => {
                if let Some(span) = life.hear_pong(sent, now) {
                    hub.send(Event::RoundTrip(viewer, span)).await;
                }
            }
            Ok(packet) => match intake.admit(packet, now) {
                Admission::Pass(packets) => pass(hub, viewer, packets, now).await,
                Admission::Held { replaced: false } => {}
                Admission::Held { replaced: true } => drop_input("coalesced"),
                Admission::Dropped => drop_input("rate"),
            },
        }
        life.unanswered.store(0, Relaxed);
    }
}

async fn pass(
    hub: &Hub,
    viewer: ViewerId,
    packets: impl IntoIterator<Item = Option<ClientPacket>>,
    now: Micros,
) {
    for packet in packets.into_iter().flatten() {
        hub.send(Event::Packet(viewer, packet, now)).await;
    }
}

fn drop_input(reason: &'static str) {
    counter!("lattice_input_dropped_total", "reason" => reason).increment(1);
}

/// The bytes of a message that may hold a packet, nothing for one that only shows life.
fn binary(message: Option<Result<Message, Error>>) -> Result<Option<Bytes>, Ending> {
    match message {
        Some(Ok(Message::Binary(bytes))) => {
            counter!("lattice_ws_bytes_total", "dir" => "in").increment(bytes.len() as u64);
            Ok(Some(bytes))
        }
        Some(Ok(Message::Text(_))) => Err(refused("text", "packets are binary, a text came")),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
        Some(Ok(Message::Close(_))) | None => Err(Ending::Gone),
        Some(Err(error)) => Err(broken(&error)),
    }
}

fn broken(error: &Error) -> Ending {
    match error {
        Error::Capacity(_) => refused("too_large", "a packet was larger than packets may be"),
        Error::Utf8(_) => refused("text", "packets are binary, a text came"),
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => Ending::Gone,
        Error::Protocol(_) => refused("websocket", "the WebSocket protocol was broken"),
        _ => Ending::Gone,
    }
}

fn decode(bytes: &[u8]) -> Result<ClientPacket, Ending> {
    ClientPacket::decode(bytes).map_err(|error| match error {
        DecodeError::Truncated => refused("malformed", "a packet was truncated"),
        DecodeError::UnknownKind(_) => refused("malformed", "a packet was of an unknown kind"),
        DecodeError::Invalid(_) => refused("malformed", "a packet held an invalid value"),
        DecodeError::TooLarge { .. } => refused("malformed", "a field was above its limit"),
        DecodeError::Trailing(_) => refused("malformed", "a packet went on after its end"),
    })
}

fn refused(reason: &'static str, text: &'static str) -> Ending {
    counter!("lattice_packets_refused_total", "reason" => reason).increment(1);
    Ending::Close(close::PROTOCOL, text)
}

async fn write(
    mut sink: impl Sink<Message, Error = Error> + Unpin,
    hub: &Hub,
    viewer: ViewerId,
    outbox: &Outbox,
    life: &Life,
    path: &PathRtt,
) -> Ending {
    let mut pings = interval(PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Micros(0);
    let mut told_rtt = None;
    loop {
        let item = tokio::select! {
            item = outbox.next() => item,
            _ = pings.tick() => {
                if life.unanswered.fetch_add(1, Relaxed) >= SILENT_PINGS {
                    return Ending::Close(close::SILENT, "nothing was heard for 15 seconds");
                }
                Item { bytes: life.ping(), frame: None }
            }
            () = life.first_pong.notified() => Item { bytes: life.ping(), frame: None },
        };
        if let Some(mark) = item.frame {
            hub.send(Event::Taken(viewer, mark.run)).await;
        }
        let pieces = item.bytes.len().div_ceil(PIECE).max(1);
        for number in 0..pieces {
            if let Err(ending) = send_piece(&mut sink, &item.bytes, number, pieces).await {
                return ending;
            }
            // No ping gets between the pieces; that they are taken one after the other shows life.
            if number > 0 {
                life.unanswered.store(0, Relaxed);
            }
            let now = clock::now();
            if item.frame.is_some() && now.since(told) >= PROGRESS_INTERVAL {
                told = now;
                hub.send(Event::Progress(viewer)).await;
            }
        }
        if path.least() != told_rtt {
            told_rtt = path.least();
            if let Some(least) = told_rtt {
                hub.send(Event::Kernel(viewer, least)).await;
            }
        }
        if let Some(mark) = item.frame {
            let now = clock::now();
            measure("lattice_damage_to_write_seconds", mark.noticed, now);
            measure("lattice_key_to_pixel_seconds", mark.input, now);
        }
    }
}

/// Writes one of the pieces of a packet.
async fn send_piece(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    bytes: &Bytes,
    number: usize,
    pieces: usize,
) -> Result<(), Ending> {
    let piece = bytes.slice(number * PIECE..bytes.len().min((number + 1) * PIECE));
    counter!("lattice_ws_bytes_total", "dir" => "out").increment(piece.len() as u64);
    let kind = if number == 0 { Data::Binary } else { Data::Continue };
    let frame = Frame::message(piece, OpCode::Data(kind), number + 1 == pieces);
    match timeout(WRITE_PATIENCE, sink.send(Message::Frame(frame))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ending::Gone),
        Err(_) => Err(Ending::Close(close::STALLED, "nothing was read for 30 seconds")),
    }
}

fn measure(name: &'static str, since: Option<Micros>, now: Micros) {
    // An agent may say any time; one from the future or from long ago measures nothing.
    let span = since.filter(|&since| since <= now).map(|since| now.since(since));
    if let Some(span) = span.filter(|span| *span < Micros::from_millis(60_000)) {
        histogram!(name).record(span.0 as f64 / 1e6);
    }
}

impl Life {
    fn ping(&self) -> Bytes {
        let sent = clock::now();
        self.pinged.store(sent.0, Relaxed);
        let ping = Ping { sent, round_trip_us: self.round_trip_us.load(Relaxed) };
        ServerPacket::Ping(ping).encode().into()
    }

    /// Only the answer to the last ping measures; any other shows life and nothing else.
    fn hear_pong(&self, sent: Micros, now: Micros) -> Option<Micros> {
        if sent.0 != self.pinged.load(Relaxed) {
            return None;
        }
        let span = now.since(sent);
        let shown = u32::try_from(span.0).unwrap_or(u32::MAX - 1);
        if self.round_trip_us.swap(shown, Relaxed) == u32::MAX {
            self.first_pong.notify_one();
        }
        Some(span)
    }
}
