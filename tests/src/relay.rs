//! A network to cut: a TCP relay in user space.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

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
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind a port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
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
    let pairs = [(near.try_clone(), far.try_clone()), (far.try_clone(), near.try_clone())];
    shared.streams.lock().expect("no holder of the lock panics").extend([near, far]);
    for (from, to) in pairs {
        let (Ok(from), Ok(to)) = (from, to) else { return };
        let shared = shared.clone();
        thread::spawn(move || pump(&shared, from, to));
    }
}

fn pump(shared: &Shared, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 << 10];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        shared.pass();
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    shared.pass();
    let _ = to.shutdown(Shutdown::Write);
}
