//! A viewer in Rust, which notices whatever breaks the protocol's promises.

use crate::screen::Screen;
use crate::share::Share;
use crate::wait::GENEROUS;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use lattice_wire::{
    Ack, Availability, Capabilities, ClientPacket, Control, Cursor, DisplayState, Frame, FrameRef,
    Hello, Input, Micros, RefreshId, Seq, ServerPacket, Size, VERSION, ViewerId, Welcome,
};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Request};
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, error::ProtocolError};

/// How a viewer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewerOptions {
    /// Where to connect, if not straight to the share.
    pub address: Option<SocketAddr>,
    /// Whether it says what it painted.
    pub acks: bool,
    /// Whether it reads anything after its hello.
    pub reads: bool,
    /// Whether it keeps a picture of what it is shown; one of many need not.
    pub paints: bool,
    /// Whether it says that it decodes H.264. It does not: what it is shown as video stays unseen
    /// until it comes exactly.
    pub h264: bool,
}

impl Default for ViewerOptions {
    fn default() -> Self {
        Self { address: None, acks: true, reads: true, paints: true, h264: false }
    }
}

/// A connected viewer; it leaves when it is dropped.
#[derive(Debug)]
pub struct Viewer {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    next_seq: AtomicU32,
}

/// All that a viewer has been told.
#[derive(Debug, Default)]
pub struct View {
    /// What it shows.
    pub screen: Screen,
    /// Its welcome.
    pub welcome: Option<Welcome>,
    /// Who drives.
    pub control: Option<Control>,
    /// Whether there is a display.
    pub display: Option<DisplayState>,
    /// The pointer's shape.
    pub cursor: Option<Cursor>,
    /// Every frame, in order.
    pub frames: Vec<FrameSeen>,
    /// Digests that agreed with the picture.
    pub digests_good: u64,
    /// Pings that were answered.
    pub pings: u64,
    /// Bytes of all packets.
    pub bytes: u64,
    /// Bytes of all packets that were no pings.
    pub bytes_but_pings: u64,
    /// What broke a promise of the protocol.
    pub faults: Vec<String>,
    /// How it ended: close code and reason, 1006 where there was none.
    pub closed: Option<(u16, String)>,
}

/// One frame as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct FrameSeen {
    /// Which.
    pub at: FrameRef,
    /// Whether it was whole.
    pub keyframe: bool,
    /// Which request of those who wait it answered.
    pub refresh: Option<RefreshId>,
    /// Whose input it echoed.
    pub echo: (ViewerId, Seq),
    /// When it arrived.
    pub arrived: Instant,
    /// The packet's length.
    pub bytes: usize,
    /// Its operations by kind: fill, copy, png, palette, video.
    pub ops: [u32; 5],
}

impl View {
    /// Whether this viewer drives.
    pub fn drives(&self) -> bool {
        let own = self.welcome.as_ref().map(|welcome| welcome.viewer);
        own.is_some() && self.control.map(|control| control.controller) == own
    }

    /// Whether the display is there: who joins a live one is told nothing but its picture.
    pub fn is_live(&self) -> bool {
        let told = self.display.as_ref().map(|display| display.state);
        told.unwrap_or(Availability::Live) == Availability::Live
    }
}

#[derive(Debug, Default)]
struct Shared {
    view: Mutex<View>,
    changed: Condvar,
}

#[derive(Debug)]
enum Command {
    Send(Message),
    Leave,
}

impl Viewer {
    /// Joins a share.
    ///
    /// # Panics
    /// Where the gateway refuses.
    pub fn join(share: &Share) -> Self {
        Self::join_with(share, ViewerOptions::default())
    }

    /// Joins a share and behaves in its own way.
    ///
    /// # Panics
    /// Where the gateway refuses.
    pub fn join_with(share: &Share, options: ViewerOptions) -> Self {
        Self::try_join(share, options).unwrap_or_else(|error| panic!("join: {error}"))
    }

    /// The same where the gateway may be gone.
    pub fn try_join(share: &Share, options: ViewerOptions) -> Result<Self, String> {
        Self::try_open(upgrade(share), options.address.unwrap_or(share.address()), options)
    }

    /// Joins whatever `request` asks for at `address`.
    pub fn try_open(
        request: Request<()>,
        address: SocketAddr,
        options: ViewerOptions,
    ) -> Result<Self, String> {
        let shared = Arc::new(Shared::default());
        let (commands, inbox) = mpsc::unbounded_channel();
        let (joined, wait) = oneshot::channel();
        let own = shared.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime needs only threads and an epoll");
            runtime.block_on(live(own, inbox, joined, request, address, options));
        });
        wait.blocking_recv().map_err(|error| error.to_string())??;
        Ok(Self { shared, commands, next_seq: AtomicU32::new(1) })
    }

    /// Looks at what it has been told.
    pub fn view<R>(&self, look: impl FnOnce(&View) -> R) -> R {
        look(&self.shared.lock())
    }

    /// Waits until `holds` does, for as long as anything may take.
    ///
    /// # Panics
    /// Where it does not come to hold.
    pub fn wait(&self, what: &str, holds: impl FnMut(&View) -> bool) {
        self.wait_for(what, GENEROUS, holds);
    }

    /// Waits until `holds` does, at most `timeout`, and says how long that took.
    ///
    /// # Panics
    /// Where it does not come to hold.
    pub fn wait_for(
        &self,
        what: &str,
        timeout: Duration,
        mut holds: impl FnMut(&View) -> bool,
    ) -> Duration {
        let start = Instant::now();
        let view = self.shared.lock();
        let (view, _) = self
            .shared
            .changed
            .wait_timeout_while(view, timeout, |view| !holds(view))
            .expect("no holder of the lock panics");
        let story = (start.elapsed() >= timeout).then(|| view.story());
        drop(view);
        if let Some(story) = story {
            panic!("waited {timeout:?} in vain: {what}; {story}");
        }
        start.elapsed()
    }

    /// Waits for the first picture.
    pub fn wait_picture(&self) {
        self.wait("a first picture", |view| view.screen.at.is_some());
    }

    /// Waits for a digest that agrees, counted from now.
    pub fn wait_digest(&self) {
        let before = self.view(|view| view.digests_good);
        self.wait("a digest that agrees", |view| view.digests_good > before);
    }

    /// Waits for the end of the connection.
    pub fn wait_closed(&self) -> (u16, String) {
        self.wait("the connection to be closed", |view| view.closed.is_some());
        self.view(|view| view.closed.clone()).unwrap_or_default()
    }

    /// Says something.
    pub fn send(&self, packet: &ClientPacket) {
        self.send_raw(Message::Binary(packet.encode().into()));
    }

    /// Says anything.
    pub fn send_raw(&self, message: Message) {
        // A viewer that was closed is not heard; tests look at `closed` where that matters.
        let _ = self.commands.send(Command::Send(message));
    }

    /// Sends input with the next number, and says which it had.
    pub fn input(&self, make: impl FnOnce(Seq) -> Input) -> Seq {
        let seq = Seq(self.next_seq.fetch_add(1, Ordering::Relaxed));
        self.send(&ClientPacket::Input(make(seq)));
        seq
    }

    /// Checks that nothing broke the protocol's promises so far.
    ///
    /// # Panics
    /// Where something did.
    pub fn assert_no_faults(&self) {
        let faults = self.view(|view| view.faults.clone());
        assert!(faults.is_empty(), "the viewer noticed: {faults:#?}");
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Leave);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, View> {
        self.view.lock().expect("no holder of the lock panics")
    }

    fn change<R>(&self, change: impl FnOnce(&mut View) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }
}

/// The request that upgrades to a viewer's socket, with the secret as bearer.
pub fn upgrade(share: &Share) -> Request<()> {
    upgrade_at(share.address(), "/ws/share", &share.bearer())
}

/// The same at any address and path, with these lines of a header.
///
/// # Panics
/// Where the lines are none.
pub fn upgrade_at(address: SocketAddr, path: &str, head: &str) -> Request<()> {
    let url = format!("ws://{address}{path}");
    let mut request = url.into_client_request().expect("the URL is one");
    let headers = request.headers_mut();
    headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static(lattice_wire::SUBPROTOCOL));
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        headers.append(name, HeaderValue::from_str(value).expect("a header's value"));
    }
    request
}

/// The hello of a viewer that can do what it must.
pub fn hello() -> ClientPacket {
    hello_of(Capabilities::default())
}

fn hello_of(capabilities: Capabilities) -> ClientPacket {
    ClientPacket::Hello(Hello { version: VERSION, capabilities, viewport: Size::new(1366, 768) })
}

async fn live(
    shared: Arc<Shared>,
    mut inbox: mpsc::UnboundedReceiver<Command>,
    joined: oneshot::Sender<Result<(), String>>,
    request: Request<()>,
    address: SocketAddr,
    options: ViewerOptions,
) {
    let mut socket = match open(request, address, options).await {
        Ok(socket) => socket,
        Err(error) => {
            let _ = joined.send(Err(error.to_string()));
            return;
        }
    };
    let _ = joined.send(Ok(()));
    let closed = loop {
        tokio::select! {
            message = socket.next(), if options.reads => match message {
                Some(Ok(Message::Binary(packet))) => {
                    let answer = shared.change(|view| view.take(&packet, options.paints));
                    let Some(answer) = answer else { continue };
                    let is_ack = matches!(answer, ClientPacket::Ack(_));
                    if options.acks || !is_ack {
                        // An error shows in the next read.
                        let _ = socket.send(Message::Binary(answer.encode().into())).await;
                    }
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    break (u16::from(frame.code), frame.reason.to_string());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => shared.change(|view| {
                    view.faults.push(format!("a message that is not binary: {other:?}"));
                }),
                Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) | Err(Error::Io(_))) | None => {
                    break (1006, "no close frame".to_owned());
                }
                Some(Err(error)) => break (1006, error.to_string()),
            },
            command = inbox.recv() => match command {
                Some(Command::Send(message)) => {
                    let _ = socket.send(message).await;
                }
                Some(Command::Leave) | None => {
                    let _ = socket.close(None).await;
                    return;
                }
            },
        }
    };
    shared.change(|view| view.closed = Some(closed));
}

async fn open(
    request: Request<()>,
    address: SocketAddr,
    options: ViewerOptions,
) -> Result<WebSocketStream<TcpStream>, Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    if !options.reads {
        // As small as the kernel allows, so that its buffers do not read for the viewer.
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096)
            .map_err(std::io::Error::from)?;
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(lattice_wire::MAX_SERVER_PACKET))
        .max_frame_size(Some(lattice_wire::MAX_SERVER_PACKET));
    let (mut socket, _) =
        tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?;
    let capabilities = if options.h264 { Capabilities::H264 } else { Capabilities::default() };
    socket.send(Message::Binary(hello_of(capabilities).encode().into())).await?;
    Ok(socket)
}

impl View {
    /// Takes in a packet and answers it.
    fn take(&mut self, packet: &Bytes, paints: bool) -> Option<ClientPacket> {
        let arrived = Instant::now();
        self.bytes += packet.len() as u64;
        let read = ServerPacket::decode(packet);
        if !matches!(read, Ok(ServerPacket::Ping(_) | ServerPacket::Condition(_))) {
            self.bytes_but_pings += packet.len() as u64;
        }
        match read {
            Ok(ServerPacket::Frame(frame)) => {
                return self.take_frame(&frame, packet.len(), arrived, paints);
            }
            Ok(ServerPacket::Digest(_)) if !paints => {}
            Ok(ServerPacket::Digest(digest)) => match self.screen.agrees_with(&digest) {
                Some(true) => self.digests_good += 1,
                Some(false) => self.faults.push(format!(
                    "the digest of {:?} at {:?} differs in bands {:?} of the picture of {:?}",
                    digest.at,
                    digest.size,
                    self.screen.wrong_bands(&digest),
                    self.screen.picture.size(),
                )),
                None => {}
            },
            Ok(
                ServerPacket::Condition(_)
                | ServerPacket::People(_)
                | ServerPacket::Pointing(_)
                | ServerPacket::Standing(_)
                | ServerPacket::OfferPage,
            ) => {}
            Ok(ServerPacket::Cursor(cursor)) => self.cursor = Some(cursor),
            Ok(ServerPacket::Welcome(welcome)) => self.welcome = Some(welcome),
            Ok(ServerPacket::Control(control)) => self.control = Some(control),
            Ok(ServerPacket::DisplayState(display)) => self.display = Some(display),
            Ok(ServerPacket::Ping(ping)) => {
                self.pings += 1;
                return Some(ClientPacket::Pong(ping.sent));
            }
            Err(error) => self.faults.push(format!("a packet that cannot be read: {error}")),
        }
        None
    }

    fn take_frame(
        &mut self,
        frame: &Frame,
        bytes: usize,
        arrived: Instant,
        paints: bool,
    ) -> Option<ClientPacket> {
        self.frames.push(FrameSeen {
            at: frame.at,
            keyframe: frame.flags.keyframe.is_some(),
            refresh: frame.flags.refresh,
            echo: frame.echo,
            arrived,
            bytes,
            ops: frame.ops.iter().fold([0; 5], count_op),
        });
        if paints && let Err(fault) = self.screen.paint(frame) {
            self.faults.push(fault);
            return Some(ClientPacket::Refresh);
        }
        let decode_us = arrived.elapsed().as_micros() as u32;
        Some(ClientPacket::Ack(Ack { at: frame.at, decode_us, queued: 0 }))
    }

    fn story(&self) -> String {
        format!(
            "{} frames, the last is {:?}; {} good digests; {:?}; {:?}; closed {:?}; faults {:?}",
            self.frames.len(),
            self.screen.at,
            self.digests_good,
            self.display,
            self.control,
            self.closed,
            self.faults
        )
    }
}

fn count_op(mut counts: [u32; 5], op: &lattice_wire::Op) -> [u32; 5] {
    use lattice_wire::OpKind::{Copy, Fill, Palette, Png, Video};
    let kind = match op.kind {
        Fill(_) => 0,
        Copy(_) => 1,
        Png(_) => 2,
        Palette(_) => 3,
        Video(_) => 4,
    };
    counts[kind] += 1;
    counts
}

/// The machine's monotonic clock, which agent and gateway read as well.
fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// The same as the protocol writes it.
pub fn now_micros() -> Micros {
    Micros(now().as_micros() as u64)
}
