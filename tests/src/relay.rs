//! A network to cut and to slow down: a TCP relay in user space.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Passes connections on to one address.
///
/// A cut is what a dead network is: nothing arrives and nobody is told, neither by an error nor by
/// an end. New connections hang as well.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    cut: Mutex<bool>,
    mended: Condvar,
    closed: AtomicBool,
    /// Bytes a second that pass to the near side; nothing where there is no limit.
    rate: Option<u32>,
    /// Connections accepted so far.
    accepted: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
}

impl Shared {
    /// Waits while the network is cut.
    fn pass(&self) {
        let mut cut = self.cut.lock().expect("no holder of the lock panics");
        while *cut {
            cut = self.mended.wait(cut).expect("no holder of the lock panics");
        }
    }
}

impl Relay {
    /// Listens on a port of its own.
    ///
    /// # Panics
    /// Where loopback has no port left.
    pub fn start(to: SocketAddr) -> Self {
        Self::start_with(to, None)
    }

    /// The same, and so many bytes a second come back through each connection.
    pub fn slow(to: SocketAddr, bytes_per_second: u32) -> Self {
        Self::start_with(to, Some(bytes_per_second))
    }

    fn start_with(to: SocketAddr, rate: Option<u32>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind a port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { rate, ..Shared::default() });
        let own = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if own.closed.load(Ordering::Acquire) {
                    break;
                }
                own.accepted.fetch_add(1, Ordering::Relaxed);
                let own = own.clone();
                thread::spawn(move || {
                    own.pass();
                    connect(&own, stream, to);
                });
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections came so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Nothing passes any more.
    pub fn cut(&self) {
        *self.shared.cut.lock().expect("no holder of the lock panics") = true;
    }

    /// Everything passes again, what was held first.
    pub fn mend(&self) {
        *self.shared.cut.lock().expect("no holder of the lock panics") = false;
        self.shared.mended.notify_all();
    }

    /// Breaks every connection so that both ends hear of it.
    pub fn reset(&self) {
        let mut streams = self.shared.streams.lock().expect("no holder of the lock panics");
        for stream in streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.mend();
        self.reset();
        // The listener's thread looks at `closed` with the next connection: this one.
        let _ = TcpStream::connect(self.address);
    }
}

fn connect(shared: &Arc<Shared>, near: TcpStream, to: SocketAddr) {
    let Ok(far) = TcpStream::connect(to) else { return };
    let _ = near.set_nodelay(true).and(far.set_nodelay(true));
    if shared.rate.is_some() {
        // As much as a slow link's router holds: the kernel's own buffers would hide the link.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&far, 64 << 10);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&near, 32 << 10);
    }
    let pairs = [
        (near.try_clone(), far.try_clone(), None),
        (far.try_clone(), near.try_clone(), shared.rate),
    ];
    shared.streams.lock().expect("no holder of the lock panics").extend([near, far]);
    for (from, to, rate) in pairs {
        let (Ok(from), Ok(to)) = (from, to) else { return };
        let shared = shared.clone();
        thread::spawn(move || pump(&shared, from, to, rate));
    }
}

fn pump(shared: &Shared, mut from: TcpStream, mut to: TcpStream, rate: Option<u32>) {
    let mut buffer = [0; 16 << 10];
    // A slow link passes small pieces at an even pace.
    let piece = if rate.is_some() { 1 << 10 } else { buffer.len() };
    let mut free_at = Instant::now();
    while let Ok(len @ 1..) = from.read(&mut buffer[..piece]) {
        shared.pass();
        if let Some(rate) = rate {
            let takes = Duration::from_secs_f64(len as f64 / f64::from(rate));
            free_at = free_at.max(Instant::now()) + takes;
            thread::sleep(free_at.saturating_duration_since(Instant::now()));
        }
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    shared.pass();
    let _ = to.shutdown(Shutdown::Write);
}
