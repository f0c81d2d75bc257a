//! What the kernel is told of a connection, and what it tells.
//!
//! `TCP_INFO` is read through nix, whose checked getter neither rustix nor socket2 has; by hand it
//! would be unsafe code of ours.

use lattice_wire::Micros;
use nix::sys::socket::GetSockOpt as _;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::TcpStream;

/// Data in the kernel that is not on the wire yet; more would only be old pictures in a queue, which
/// nothing can take back: at 5 Mbit/s these are 50 ms.
const NOT_SENT: u32 = 32 << 10;
/// How often the kernel is asked.
const INTERVAL: Micros = Micros::from_millis(250);

/// Sets a connection up for pictures that must not be late.
pub fn tune(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOT_SENT)?;
    socket.set_tcp_user_timeout(Some(timeout))
}

/// The least round trip of a connection, noted while it is written to and so never of an idle one.
#[derive(Debug)]
pub struct PathRtt {
    least_us: AtomicU32,
    next: AtomicU64,
}

impl Default for PathRtt {
    fn default() -> Self {
        Self { least_us: AtomicU32::new(UNKNOWN), next: AtomicU64::new(0) }
    }
}

const UNKNOWN: u32 = u32::MAX;

impl PathRtt {
    /// What was noted last.
    pub fn least(&self) -> Option<Micros> {
        let least = self.least_us.load(Relaxed);
        (least != UNKNOWN).then_some(Micros(u64::from(least)))
    }

    /// Notes the round trip of `stream` if it is time to.
    pub fn note(&self, stream: &TcpStream, now: Micros) {
        if now.0 < self.next.load(Relaxed) {
            return;
        }
        self.next.store(now.plus(INTERVAL).0, Relaxed);
        if let Some(least) = min_rtt_us(stream) {
            self.least_us.store(least, Relaxed);
        }
    }
}

mod option {
    use nix::{getsockopt_impl, libc, sockopt_impl};

    /// `struct tcp_info` up to `tcpi_min_rtt`, which Linux has had since 4.6. Every kernel fills in as
    /// much as is asked for, and only adds at the end.
    pub(super) type Info = [u32; 38];

    sockopt_impl!(
        /// `TCP_INFO`, in numbers of four bytes.
        TcpInfo,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        super::option::Info
    );
}

/// `tcpi_min_rtt` of `linux/tcp.h`: after 8 single bytes, 24 numbers of 4 bytes, 4 of 8 and 3 of 4.
const MIN_RTT: usize = (8 + 24 * 4 + 4 * 8 + 3 * 4) / 4;

fn min_rtt_us(stream: &TcpStream) -> Option<u32> {
    let info = option::TcpInfo.get(stream).ok()?;
    info.get(MIN_RTT).copied().filter(|&least| least != UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_kernel_knows_how_near_the_other_end_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut client, (mut server, _)) = (client.expect("connected"), server.expect("accepted"));
        tune(&server, Duration::from_secs(9)).expect("the options are known");
        let path = PathRtt::default();
        for _ in 0..3 {
            server.write_all(b"ping").await.expect("sent");
            client.read_exact(&mut [0; 4]).await.expect("received");
            client.write_all(b"pong").await.expect("sent");
            server.read_exact(&mut [0; 4]).await.expect("received");
        }
        path.note(&server, Micros(1));
        let least = path.least().expect("a round trip");
        assert!((1..1_000_000).contains(&least.0), "{least:?} on this very machine");
    }
}
