//! A gateway in this process, an agent that a test plays, and viewers.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use lattice_gateway::accept::{self, Drain};
use lattice_gateway::agent::{self, Source};
use lattice_gateway::auth::{Door, Token};
use lattice_gateway::http::forwarded::Proxies;
use lattice_gateway::http::origin::{Scheme, Sites};
use lattice_gateway::http::{self, App, Names};
use lattice_gateway::hub::{Hub, Settings, Status};
use lattice_gateway::telemetry::Metrics;
use lattice_wire::*;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{self, Message};

/// Generous: a test that gets what it waits for never waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// What the machine has.
pub const ENCODERS: u8 = 3;
pub const SIZE: Size = Size::new(640, 480);

/// What an agent is told when so many viewers without H.264 look.
pub fn watch(viewers: u16) -> ToAgent {
    ToAgent::Watch { viewers, encoders: 0 }
}

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(PATIENCE, future).await;
    in_time.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

pub struct Gateway {
    pub address: SocketAddr,
    pub token: Token,
    pub drain: Drain,
    pub metrics: Metrics,
    pub status: watch::Receiver<Status>,
    sockets: UnixListener,
    agent_token: Token,
    _stop: watch::Sender<bool>,
    _dir: tempfile::TempDir,
}

impl Gateway {
    pub async fn start(max_viewers: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("agent");
        let sockets = UnixListener::bind(&path).expect("a socket");
        let agent_token = Token::fresh().expect("random bytes");
        let (hub, _) = Hub::spawn(Settings { name: None, max_viewers, encoders: ENCODERS });
        let status = hub.status();
        let (stop, stopped) = watch::channel(false);
        let (pid, agent_pid) = watch::channel(None);
        let source = Source::Socket { path, token: agent_token.clone() };
        let for_agent = hub.clone();
        tokio::spawn(async move { agent::run(source, &for_agent, &pid, stopped).await });

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let token = Token::fresh().expect("random bytes");
        let metrics = Metrics::install();
        let public = ["https://lattice.school.edu".to_owned()];
        let app = App {
            hub,
            door: Door::new(&token, address.port()),
            names: Names {
                sites: Sites::new(Scheme::Http, address.port(), &[], &public).expect("a good URL"),
                proxies: Proxies::default(),
                authority: None,
            },
            metrics: metrics.clone(),
            agent: agent_pid,
        };
        let drain = Drain::default();
        let router = http::router(Arc::new(app));
        tokio::spawn(accept::serve(listener, router, drain.guard(), 1000));
        Self {
            address,
            token,
            drain,
            metrics,
            status,
            sockets,
            agent_token,
            _stop: stop,
            _dir: dir,
        }
    }

    /// Plays the agent: its hello is said, its display is live.
    pub async fn agent(&self) -> Agent {
        let (stream, _) = soon("the gateway's link", self.sockets.accept()).await.expect("a link");
        let mut agent = Agent { stream, asked: RefreshId::default() };
        let hello = agent.next().await;
        let token = self.agent_token.expose().to_owned();
        assert_eq!(hello, ToAgent::Hello { version: VERSION, token });
        let limits = (Size::new(320, 200), Size::new(1920, 1080));
        agent.send(AgentHello { version: VERSION, limits, name: "Bench".into() }.encode()).await;
        agent.say(Availability::Live, "").await;
        agent
    }

    pub fn url(&self) -> String {
        format!("ws://{}/ws/share", self.address)
    }

    /// Tries an upgrade with these headers.
    pub async fn upgrade(
        &self,
        headers: &[(&'static str, &str)],
    ) -> Result<(WebSocketStream<TcpStream>, Response), tungstenite::Error> {
        let mut request = self.url().into_client_request().expect("a request");
        for (name, value) in headers {
            let value = tungstenite::http::HeaderValue::from_bytes(value.as_bytes());
            request.headers_mut().insert(*name, value.expect("a header"));
        }
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        soon("the upgrade", tokio_tungstenite::client_async(request, stream)).await
    }

    /// A socket that has said nothing yet.
    pub async fn socket(&self) -> Viewer {
        let bearer = format!("Bearer {}", self.token.expose());
        let headers = [("authorization", &*bearer), ("sec-websocket-protocol", SUBPROTOCOL)];
        let (socket, _) = self.upgrade(&headers).await.expect("an upgrade");
        Viewer { socket, id: ViewerId(0) }
    }

    /// A viewer that has been welcomed, and decodes no video.
    pub async fn viewer(&self) -> Viewer {
        self.viewer_with(Capabilities::default()).await
    }

    /// A viewer that has been welcomed, with a browser that can do this.
    pub async fn viewer_with(&self, capabilities: Capabilities) -> Viewer {
        let mut viewer = self.socket().await;
        viewer.send(ClientPacket::Hello(Hello { capabilities, ..hello(VERSION) })).await;
        viewer.id = viewer
            .until("a welcome", |packet| match packet {
                ServerPacket::Welcome(welcome) => Some(welcome.viewer),
                _ => None,
            })
            .await;
        viewer
    }

    /// One plain HTTP exchange: status line, headers and body as text.
    pub async fn http(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let _ = soon("an answer", stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub async fn get(&self, path: &str, headers: &str) -> String {
        let host = self.address;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
        self.http(&request).await
    }

    /// Waits until a counter's line has at least this value.
    pub async fn counted(&self, line: &str, least: u64) {
        let counted = async {
            loop {
                let text = self.metrics.render(None);
                let value =
                    text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
                if value.is_some_and(|value: u64| value >= least) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(&format!("{line} {least}"), counted).await;
    }
}

pub fn hello(version: u16) -> Hello {
    Hello { version, capabilities: Capabilities::default(), viewport: Size::new(800, 600) }
}

pub struct Agent {
    pub stream: UnixStream,
    /// The newest request for a refresh.
    asked: RefreshId,
}

impl Agent {
    pub async fn next(&mut self) -> ToAgent {
        let packet = async {
            let len = self.stream.read_u32_le().await.expect("a length");
            let mut packet = vec![0; len as usize];
            self.stream.read_exact(&mut packet).await.expect("a packet");
            packet
        };
        let packet = soon("a packet for the agent", packet).await;
        let packet = ToAgent::decode(&packet).expect("a good packet");
        if let ToAgent::Refresh(request, _) = packet {
            self.asked = request;
        }
        packet
    }

    /// The first packet that `wanted` takes; others are skipped.
    pub async fn until<T>(&mut self, wanted: impl Fn(&ToAgent) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(&self.next().await) {
                return found;
            }
        }
    }

    pub async fn until_packet(&mut self, wanted: ToAgent) {
        self.until(|packet| (*packet == wanted).then_some(())).await;
    }

    pub async fn until_asked(&mut self, wanted: Refresh) {
        self.until(|packet| {
            matches!(packet, ToAgent::Refresh(_, refresh) if *refresh == wanted).then_some(())
        })
        .await;
    }

    pub async fn send(&mut self, packet: Vec<u8>) {
        let mut message = (packet.len() as u32).to_le_bytes().to_vec();
        message.extend(packet);
        self.stream.write_all(&message).await.expect("sent");
    }

    pub async fn say(&mut self, state: Availability, reason: &str) {
        self.send(DisplayState { state, reason: reason.into() }.encode()).await;
    }

    pub async fn frame(&mut self, id: u32, keyframe: bool, refresh: bool) -> Vec<u8> {
        let refresh = refresh.then_some(self.asked);
        let flags = FrameFlags { keyframe: keyframe.then_some(SIZE), refresh };
        let packet = frame(id, flags, Bytes::new()).encode();
        self.send(packet.clone()).await;
        packet
    }
}

pub fn frame_ref(id: u32) -> FrameRef {
    FrameRef { epoch: Epoch(7), id: FrameId(id) }
}

/// A frame of one fill, and of one picture where `png` is not empty.
pub fn frame(id: u32, flags: FrameFlags, png: Bytes) -> Frame {
    let rect = SIZE.bounds().expect("not empty");
    let mut ops = vec![Op { rect, kind: OpKind::Fill(id) }];
    if !png.is_empty() {
        ops.push(Op { rect, kind: OpKind::Png(png) });
    }
    Frame { flags, at: frame_ref(id), echo: (ViewerId(0), Seq(0)), cost_us: 1500, ops }
}

pub struct Viewer {
    pub socket: WebSocketStream<TcpStream>,
    pub id: ViewerId,
}

impl Viewer {
    pub async fn send(&mut self, packet: ClientPacket) {
        self.socket.send(Message::binary(packet.encode())).await.expect("sent");
    }

    pub async fn until<T>(&mut self, what: &str, wanted: impl Fn(ServerPacket) -> Option<T>) -> T {
        let found = async {
            loop {
                let message = self.socket.next().await.expect("more").expect("a message");
                let Message::Binary(bytes) = message else { continue };
                let packet = ServerPacket::decode(&bytes).expect("a good packet");
                if let Some(found) = wanted(packet) {
                    return found;
                }
            }
        };
        soon(what, found).await
    }

    /// Waits for a frame and says that it was painted.
    pub async fn paint(&mut self, id: u32) -> Frame {
        let wanted = |packet| match packet {
            ServerPacket::Frame(frame) if frame.at.id == FrameId(id) => Some(frame),
            _ => None,
        };
        let frame = self.until(&format!("frame {id}"), wanted).await;
        self.ack(id).await;
        frame
    }

    pub async fn ack(&mut self, id: u32) {
        let ack = Ack { at: frame_ref(id), decode_us: 100, queued: 0 };
        self.send(ClientPacket::Ack(ack)).await;
    }

    /// The code and reason that the gateway closes with.
    pub async fn closed(&mut self) -> (u16, String) {
        let closed = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => {
                        return (frame.code.into(), frame.reason.to_string());
                    }
                    Some(Ok(_)) => {}
                    other => panic!("no close code came but {other:?}"),
                }
            }
        };
        soon("a close", closed).await
    }
}

pub fn key(seq: u32) -> Input {
    Input::Key(Key {
        seq: Seq(seq),
        down: true,
        modifiers: Modifiers::default(),
        code: "KeyA".into(),
        key: "a".into(),
    })
}
