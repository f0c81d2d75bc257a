//! Viewers that say or read nothing. The timer is the test's, so no test waits.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use lattice_gateway::accept::Drain;
use lattice_gateway::hub::{AgentEvent, Hub, Settings, Visitor};
use lattice_gateway::tcp::PathRtt;
use lattice_gateway::ws::viewer;
use lattice_wire::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as Side;

type Socket = WebSocketStream<DuplexStream>;

struct Room {
    hub: Hub,
    drain: Drain,
}

impl Room {
    fn new() -> Self {
        let (hub, _) = Hub::spawn(Settings { name: None, max_viewers: 9, encoders: 0 });
        Self { hub, drain: Drain::default() }
    }

    /// A viewer whose kernel holds so many bytes for it, and the task that serves it.
    async fn connect(&self, buffer: usize) -> (Socket, JoinHandle<()>) {
        let (near, far) = tokio::io::duplex(buffer);
        let near = WebSocketStream::from_raw_socket(near, Side::Server, None).await;
        let (hub, guard) = (self.hub.clone(), self.drain.guard());
        let task = tokio::spawn(async move {
            viewer::serve(
                near,
                &hub,
                Visitor::owner(),
                &PathRtt::default(),
                guard,
                std::future::pending(),
            )
            .await
        });
        (WebSocketStream::from_raw_socket(far, Side::Client, None).await, task)
    }

    /// Plays an agent: where its events go, and what it is told.
    async fn agent(&self) -> (mpsc::Sender<AgentEvent>, mpsc::Receiver<ToAgent>) {
        let (to_agent, packets) = mpsc::channel(100);
        let agent = self.hub.agent();
        let limits = (Size::new(1, 1), Size::new(1, 1));
        let hello = AgentHello { version: VERSION, limits, name: String::new() };
        agent.send(AgentEvent::Up(hello, to_agent)).await.expect("a hub");
        (agent, packets)
    }

    async fn viewer(&self, buffer: usize) -> (Socket, JoinHandle<()>) {
        let (mut socket, task) = self.connect(buffer).await;
        let capabilities = Capabilities::default();
        let hello = Hello { version: VERSION, capabilities, viewport: Size::new(1, 1) };
        say(&mut socket, ClientPacket::Hello(hello)).await;
        (socket, task)
    }
}

/// A frame with so many bytes of pixels; the first is a keyframe.
fn picture(id: u32, len: usize) -> AgentEvent {
    let rect = Rect::new(0, 0, 100, 100);
    let frame = Frame {
        flags: FrameFlags {
            keyframe: (id == 1).then_some(Size::new(100, 100)),
            refresh: (id == 1).then_some(RefreshId(1)),
        },
        at: FrameRef { epoch: Epoch(1), id: FrameId(id) },
        echo: (ViewerId(0), Seq(0)),
        cost_us: 0,
        ops: vec![Op { rect, kind: OpKind::Png(Bytes::from(vec![1; len])) }],
    };
    AgentEvent::Packet(FromAgent::decode(&frame.encode().into()).expect("a frame"))
}

async fn say(socket: &mut Socket, packet: ClientPacket) {
    socket.send(Message::binary(packet.encode())).await.expect("sent");
}

/// Reads on; answers the first `answered` pings. Returns the pings and the close code.
async fn listen(socket: &mut Socket, answered: usize) -> (Vec<Ping>, u16) {
    let mut pings = Vec::new();
    loop {
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => {
                if let Ok(ServerPacket::Ping(ping)) = ServerPacket::decode(&bytes) {
                    if pings.len() < answered {
                        say(socket, ClientPacket::Pong(ping.sent)).await;
                    }
                    pings.push(ping);
                }
            }
            Some(Ok(Message::Close(Some(frame)))) => return (pings, frame.code.into()),
            other => panic!("no close but {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_no_hello_is_closed_after_ten_seconds() {
    let room = Room::new();
    let started = tokio::time::Instant::now();
    let (mut socket, _task) = room.connect(1 << 20).await;
    assert_eq!(listen(&mut socket, 0).await, (Vec::new(), close::SILENT));
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn who_answers_no_ping_is_closed_after_fifteen_seconds() {
    let room = Room::new();
    let started = tokio::time::Instant::now();
    let (mut socket, _task) = room.viewer(1 << 20).await;
    let (pings, code) = listen(&mut socket, 0).await;
    assert_eq!((pings.len(), code), (3, close::SILENT));
    assert_eq!(started.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn who_answers_pings_stays_and_learns_the_round_trip() {
    let room = Room::new();
    let started = tokio::time::Instant::now();
    let (mut socket, _task) = room.viewer(1 << 20).await;
    let (pings, code) = listen(&mut socket, 20).await;
    assert_eq!((pings.len(), code), (23, close::SILENT));
    assert_eq!(started.elapsed().as_secs(), 110);
    assert_eq!(pings[0].round_trip_us, u32::MAX);
    assert!(pings[1].round_trip_us < 5_000_000);
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_is_given_up_after_thirty_seconds() {
    let room = Room::new();
    let (agent, _packets) = room.agent().await;
    let started = tokio::time::Instant::now();
    let (_socket, task) = room.viewer(10_000).await;
    let mut status = room.hub.status();
    status.wait_for(|status| status.people.len() == 1).await.expect("a hub");
    agent.send(picture(1, 500_000)).await.expect("a hub");
    task.await.expect("no panic");
    assert!((30..=31).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    status.wait_for(|status| status.people.is_empty()).await.expect("a hub");
}

#[tokio::test(start_paused = true)]
async fn who_takes_pictures_slowly_is_alive_though_pings_wait_behind_them() {
    const PICTURE: usize = 1_000_000;
    let room = Room::new();
    let (agent, _packets) = room.agent().await;
    let (mut socket, task) = room.viewer(10_000).await;
    let mut status = room.hub.status();
    status.wait_for(|status| status.people.len() == 1).await.expect("a hub");
    for id in 1..=4 {
        agent.send(picture(id, PICTURE)).await.expect("a hub");
    }
    let (mut taken, mut some) = (0, vec![0; 10_000]);
    while taken < 4 * PICTURE {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let more = socket.get_mut().read(&mut some).await.expect("bytes");
        assert!(more > 0, "closed after {taken} bytes");
        taken += more;
    }
    let started = tokio::time::Instant::now();
    task.await.expect("no panic");
    assert!((15..=31).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}
