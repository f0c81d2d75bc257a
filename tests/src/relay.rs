//! A network to cut and to slow down: a TCP relay in user space.

use crate::shape::{self, Direction, Profile};
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
    /// The way from the near side and the way back, of a link that is shaped.
    shaped: Option<[Arc<Direction>; 2]>,
    /// Where connections go; without it they hang.
    to: Mutex<Option<SocketAddr>>,
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
        Self::start_with(Shared { to: Mutex::new(Some(to)), ..Shared::default() })
    }

    /// The same, and so many bytes a second come back through each connection.
    pub fn slow(to: SocketAddr, bytes_per_second: u32) -> Self {
        let (to, rate) = (Mutex::new(Some(to)), Some(bytes_per_second));
        Self::start_with(Shared { to, rate, ..Shared::default() })
    }

    /// A link of this profile, which leads nowhere yet.
    pub fn shaped(profile: &Profile) -> Self {
        let ways = [1, 2].map(|seed| Arc::new(Direction::new(profile.clone(), seed)));
        Self::start_with(Shared { shaped: Some(ways), ..Shared::default() })
    }

    fn start_with(shared: Shared) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind a port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(shared);
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
                    connect(&own, stream);
                });
            }
        });
        Self { address, shared }
    }

    /// Leads new connections there from now on.
    pub fn lead(&self, to: SocketAddr) {
        *self.shared.to.lock().expect("no holder of the lock panics") = Some(to);
    }

    /// Begins the course of a shaped link.
    pub fn begin(&self) {
        let now = Instant::now();
        self.shared.shaped.iter().flatten().for_each(|way| way.start(now));
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

fn connect(shared: &Arc<Shared>, near: TcpStream) {
    let to = *shared.to.lock().expect("no holder of the lock panics");
    let Some(Ok(far)) = to.map(TcpStream::connect) else { return };
    let _ = near.set_nodelay(true).and(far.set_nodelay(true));
    let clones = [(near.try_clone(), far.try_clone()), (far.try_clone(), near.try_clone())];
    if shared.rate.is_some() {
        // As much as a slow link's router holds: the kernel's own buffers would hide the link.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&far, 64 << 10);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&near, 32 << 10);
    }
    shared.streams.lock().expect("no holder of the lock panics").extend([near, far]);
    for (way, (from, to)) in clones.into_iter().enumerate() {
        let (Ok(from), Ok(to)) = (from, to) else { return };
        let shared = shared.clone();
        thread::spawn(move || match &shared.shaped {
            Some(ways) => shape::pass(&ways[way], from, to),
            None => pump(&shared, from, to, if way == 1 { shared.rate } else { None }),
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience;
    use std::ops::Range;

    /// A server that sends `bytes` at once, and one that sends back what it gets.
    fn server(bytes: usize) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                stream.set_nodelay(true).unwrap();
                let _ = stream.write_all(&vec![7; bytes]);
                let mut buffer = [0; 64];
                while let Ok(len @ 1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(&buffer[..len]);
                }
            }
        });
        address
    }

    fn linked(profile: &Profile, bytes: usize) -> (Relay, TcpStream) {
        let relay = Relay::shaped(profile);
        relay.lead(server(bytes));
        let stream = TcpStream::connect(relay.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        (relay, stream)
    }

    fn link(latency_ms: u64, rate: u32, outages: Vec<Range<Duration>>) -> Profile {
        let (latency, rates) = (Duration::from_millis(latency_ms), vec![(Duration::ZERO, rate)]);
        Profile { latency, rates, outages, ..Profile::default() }
    }

    #[test]
    fn a_link_passes_what_its_rate_says() {
        const RATE: u32 = 1_000_000;
        let (_relay, mut stream) = linked(&link(0, RATE, vec![]), RATE as usize);
        let start = Instant::now();
        stream.read_exact(&mut vec![0; RATE as usize]).unwrap();
        let took = start.elapsed();
        let latest = patience(Duration::from_millis(1100));
        assert!(
            took > Duration::from_millis(900) && took < latest,
            "a second's worth took {took:?}"
        );
    }

    #[test]
    fn bytes_travel_both_ways() {
        let (_relay, mut stream) = linked(&link(30, 1_000_000, vec![]), 1);
        stream.read_exact(&mut [0; 1]).unwrap();
        for _ in 0..3 {
            let start = Instant::now();
            stream.write_all(b"?").unwrap();
            stream.read_exact(&mut [0; 1]).unwrap();
            assert!(start.elapsed() >= Duration::from_millis(60), "{:?}", start.elapsed());
        }
    }

    #[test]
    fn a_black_hole_passes_nothing_and_then_everything() {
        let outage = Duration::ZERO..Duration::from_millis(400);
        let (relay, mut stream) = linked(&link(0, 100_000_000, vec![outage]), 1);
        stream.read_exact(&mut [0; 1]).unwrap();
        relay.begin();
        let start = Instant::now();
        for _ in 0..50 {
            stream.write_all(b"?").unwrap();
        }
        stream.read_exact(&mut [0; 50]).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(390), "{:?}", start.elapsed());
    }

    #[test]
    fn a_full_queue_holds_its_sender_back() {
        let outage = Duration::ZERO..Duration::from_secs(3600);
        let (relay, mut stream) = linked(&link(0, 100_000_000, vec![outage]), 0);
        relay.begin();
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut sent = 0;
        while let Ok(len) = stream.write(&[0; 4096]) {
            sent += len;
            assert!(sent < 16 << 20, "a link holds {sent} bytes");
        }
        assert!(sent > 256 << 10, "a link holds {sent} bytes only");
    }

    #[test]
    fn every_link_of_the_bench_has_a_profile() {
        let course = Duration::from_secs(30);
        let well_at = |name| Profile::named(name, course).unwrap().well_at();
        assert_eq!(well_at("200ms-2mbit"), None);
        assert_eq!(well_at("step-5-0.5-5"), Some(Duration::from_secs(20)));
        assert_eq!(well_at("blackhole-3s"), Some(Duration::from_secs(13)));
        assert!(Profile::named("avian", course).is_none());
    }
}
