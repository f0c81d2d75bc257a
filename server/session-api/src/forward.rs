//! What leads from outside to ports that programs listen on here: a Unix socket for each in one
//! directory, named `<port>.sock`. It runs in the network namespace of an app, which mostly has no
//! network but itself, so nothing else can reach those programs.
//!
//! INVARIANT: it connects to this machine's own loopback and to no port but those that it was told, so
//! whoever holds the sockets reaches what the app declares and nothing more.

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Connections at a time, of all ports together: a browser holds six to one page, and a few sockets.
/// Each takes two threads.
const MOST: usize = 64;
/// Enough to copy with.
const STACK: usize = 64 << 10;
/// Programs listen on either; development servers on what `localhost` happened to be.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// Where no more descriptors can be had, some come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Forwards until it is killed.
///
/// # Errors
/// Where it cannot listen.
pub(crate) fn run(directory: &Path, ports: &[u16]) -> Result<(), String> {
    let open = Arc::new(AtomicUsize::new(0));
    let mut listening = Vec::new();
    for &port in ports {
        let listener = listen(&directory.join(format!("{port}.sock")))?;
        let open = open.clone();
        listening.push(thread::spawn(move || accept(&listener, port, &open)));
    }
    for thread in listening {
        // It ends by a panic only.
        thread.join().map_err(|_| "a listener failed".to_owned())?;
    }
    Ok(())
}

fn listen(path: &Path) -> Result<UnixListener, String> {
    let failed = |step| move |error: io::Error| format!("{step} {}: {error}", path.display());
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove the old socket")(error));
        }
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed("listen on"))?;
    // The gateway is in the group of the directory.
    fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(failed("set the mode of"))?;
    Ok(listener)
}

fn accept(listener: &UnixListener, port: u16, open: &Arc<AtomicUsize>) {
    loop {
        let Ok((caller, _)) = listener.accept() else {
            thread::sleep(ACCEPT_PAUSE);
            continue;
        };
        // Beyond that the caller is hung up on, which it can tell from an answer.
        let Some(place) = Place::take(open) else { continue };
        let forwarding = move || {
            let _place = place;
            // Who hears nothing but the end knows that nobody listens.
            let _ = forward(&caller, port);
        };
        let _ = thread::Builder::new().stack_size(STACK).spawn(forwarding);
    }
}

fn forward(caller: &UnixStream, port: u16) -> io::Result<()> {
    let program = connect(port)?;
    program.set_nodelay(true)?;
    let (mut from_caller, mut to_program) = (caller.try_clone()?, program.try_clone()?);
    let back = thread::Builder::new().stack_size(STACK).spawn(move || {
        let _ = io::copy(&mut from_caller, &mut to_program);
        let _ = to_program.shutdown(Shutdown::Write);
    })?;
    let (mut from_program, mut to_caller) = (program.try_clone()?, caller.try_clone()?);
    let _ = io::copy(&mut from_program, &mut to_caller);
    // A program that has ended reads nothing more either.
    let _ = caller.shutdown(Shutdown::Both);
    let _ = program.shutdown(Shutdown::Both);
    let _ = back.join();
    Ok(())
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::ConnectionRefused);
    for address in LOOPBACK {
        match TcpStream::connect_timeout(&(address, port).into(), CONNECT_PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// One of [`MOST`], as long as this lives.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(open.clone());
        // Given back by its end where there is none.
        (open.fetch_add(1, Ordering::Relaxed) < MOST).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// A directory of our own with a forwarder to `port`, which runs until the test ends.
    fn forwarder(port: u16) -> std::path::PathBuf {
        let directory =
            std::env::temp_dir().join(format!("lattice-forward-{port}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let own = directory.clone();
        thread::spawn(move || run(&own, &[port]));
        let socket = directory.join(format!("{port}.sock"));
        while UnixStream::connect(&socket).is_err() {
            thread::sleep(Duration::from_millis(5));
        }
        socket
    }

    #[test]
    fn bytes_pass_both_ways_and_so_does_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let socket = forwarder(listener.local_addr().expect("it").port());
        // That of the look whether it listens.
        drop(listener.accept());
        let mut caller = UnixStream::connect(&socket).expect("it listens");
        let (mut program, _) = listener.accept().expect("it connects");
        caller.write_all(b"question").expect("sent");
        caller.shutdown(Shutdown::Write).expect("said all");
        let mut heard = String::new();
        program.read_to_string(&mut heard).expect("heard to the end");
        assert_eq!(heard, "question");
        program.write_all(b"answer").expect("sent");
        drop(program);
        let mut heard = String::new();
        caller.read_to_string(&mut heard).expect("heard to the end");
        assert_eq!(heard, "answer");
    }

    #[test]
    fn where_nobody_listens_the_caller_hears_the_end() {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("it").port();
        drop(free);
        let mut caller = UnixStream::connect(forwarder(port)).expect("it listens");
        let mut heard = Vec::new();
        assert!(matches!(caller.read_to_end(&mut heard), Ok(0) | Err(_)));
    }
}
