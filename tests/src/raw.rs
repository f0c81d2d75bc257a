//! A viewer's socket by hand: blocking, and without manners.

use crate::share::Share;
use crate::viewer::{hello, upgrade};
use crate::wait::GENEROUS;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

/// One that is open.
#[derive(Debug)]
pub struct Raw {
    socket: WebSocket<TcpStream>,
}

impl Raw {
    /// Connects to a share.
    ///
    /// # Panics
    /// Where the gateway refuses.
    pub fn connect(share: &Share) -> Self {
        Self::open(share.address(), upgrade(share))
    }

    /// Connects to a share and says hello.
    ///
    /// # Panics
    /// Where the gateway refuses.
    pub fn join(share: &Share) -> Self {
        let mut raw = Self::connect(share);
        raw.say_hello();
        raw
    }

    /// Connects to whatever `request` asks for at `address`.
    ///
    /// # Panics
    /// Where the gateway refuses.
    pub fn open(address: SocketAddr, request: Request<()>) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("a timeout");
        let (socket, _) = client(request, stream).expect("the gateway upgrades");
        Self { socket }
    }

    /// Says hello.
    pub fn say_hello(&mut self) {
        self.send(Message::Binary(hello().encode().into()));
    }

    /// Waits so long for each message from here on.
    ///
    /// # Panics
    /// Where the system does not.
    pub fn wait_for(&mut self, timeout: Duration) {
        self.socket.get_mut().set_read_timeout(Some(timeout)).expect("a timeout");
    }

    /// Says anything.
    pub fn send(&mut self, message: Message) {
        // What is sent to a socket that was just closed shows in `close_code`.
        let _ = self.socket.send(message);
    }

    /// Sends anything, be it a frame or not.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.socket.get_mut().write_all(bytes);
    }

    /// The connection below.
    pub fn stream(&self) -> &TcpStream {
        self.socket.get_ref()
    }

    /// Reads to the end; the code of the close frame, 1006 where there was none.
    pub fn close_code(mut self) -> u16 {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return frame.map_or(1005, |frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return 1006,
            }
        }
    }
}
