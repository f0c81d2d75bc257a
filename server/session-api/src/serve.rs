//! The relay's sockets: one thread that waits for all of them at once.
//!
//! INVARIANT: nothing that a program of the desktop does makes this grow, wait or end. Connections,
//! lines and what waits to be read have bounds; who says nothing is let go.

use crate::peer::Peer;
use crate::relay::{Client, Relay, Say};
use lattice_wire::apps::{
    APPS_VERSION, FromGateway, MAX_LINE, MAX_REQUEST, MAX_SECRET, Reply, Said, ToGateway,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;

/// Programs at a time; each asks one thing and goes.
const MOST_CLIENTS: usize = 16;
/// Who may be a gateway and has not said so.
const MOST_CALLERS: usize = 4;
/// How long nothing may be said by somebody who neither waits nor watches.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);
const CALLER_PATIENCE: Duration = Duration::from_secs(5);
const TOKEN: &str = "LATTICE_API_TOKEN";
/// Fewer characters of base64 would be less than 128 bits.
const MIN_TOKEN: usize = 22;

/// Serves until it is killed, or, where that is asked for, until standard input ends.
///
/// # Errors
/// Where it was told no token, or cannot listen.
pub(crate) fn run(desktop: &Path, gateway: &Path, exit_on_eof: bool) -> Result<(), String> {
    let token = std::env::var(TOKEN).unwrap_or_default();
    if !(MIN_TOKEN..=MAX_SECRET).contains(&token.len()) {
        return Err(format!("{TOKEN} must hold a token of {MIN_TOKEN} to {MAX_SECRET} characters"));
    }
    let server = Server {
        token,
        programs: listen(desktop, 0o666)?,
        // The gateway may be another user, who is in this socket's group.
        calls: listen(gateway, 0o660)?,
        start: Instant::now(),
        relay: Relay::default(),
        clients: BTreeMap::new(),
        callers: BTreeMap::new(),
        gateway: None,
        last: 0,
        lifeline: exit_on_eof.then(io::stdin),
    };
    server.run().map_err(|error| format!("wait for the sockets: {error}"))
}

fn listen(path: &Path, mode: u32) -> Result<UnixListener, String> {
    let failed = |step| move |error: io::Error| format!("{step} {}: {error}", path.display());
    // That of one that was killed would take connections from nobody.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(failed("remove the old socket")(error));
        }
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed("listen on"))?;
    listener.set_nonblocking(true).map_err(failed("listen on"))?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("set the mode of"))?;
    Ok(listener)
}

struct Server {
    token: String,
    programs: UnixListener,
    calls: UnixListener,
    start: Instant,
    relay: Relay,
    clients: BTreeMap<Client, Peer>,
    callers: BTreeMap<u64, Peer>,
    gateway: Option<Peer>,
    last: u64,
    /// With whose end this ends.
    lifeline: Option<io::Stdin>,
}

/// Whose socket something happened on.
#[derive(Debug, Clone, Copy)]
enum Which {
    Programs,
    Calls,
    Client(Client),
    Caller(u64),
    Gateway,
    Lifeline,
}

impl Server {
    fn run(mut self) -> io::Result<()> {
        loop {
            for (which, flags) in self.wait()? {
                if let Which::Lifeline = which
                    && self.has_ended()
                {
                    return Ok(());
                }
                self.handle(which, flags)?;
            }
            let now = self.now();
            self.relay.handle_time(now);
            self.let_go(now);
            self.speak(now);
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Nobody says anything there.
    fn has_ended(&self) -> bool {
        let mut byte = [0];
        self.lifeline.as_ref().is_some_and(|lifeline| {
            !matches!(rustix::io::read(lifeline, &mut byte), Ok(1) | Err(Errno::INTR))
        })
    }

    fn wait(&self) -> io::Result<Vec<(Which, PollFlags)>> {
        let mut whose = vec![Which::Programs, Which::Calls];
        let mut sockets = vec![
            PollFd::new(&self.programs, PollFlags::IN),
            PollFd::new(&self.calls, PollFlags::IN),
        ];
        let mut add = |which, peer, is_waiting| {
            let peer: &Peer = peer;
            whose.push(which);
            sockets.push(PollFd::from_borrowed_fd(
                std::os::fd::AsFd::as_fd(peer.stream()),
                peer.interest(is_waiting),
            ));
        };
        for (client, peer) in &self.clients {
            add(Which::Client(*client), peer, self.relay.is_waiting(*client));
        }
        self.callers.iter().for_each(|(caller, peer)| add(Which::Caller(*caller), peer, false));
        self.gateway.iter().for_each(|peer| add(Which::Gateway, peer, false));
        if let Some(lifeline) = &self.lifeline {
            whose.push(Which::Lifeline);
            sockets.push(PollFd::new(lifeline, PollFlags::IN));
        }
        let wait = self.deadline().map(|at| at.saturating_sub(self.now()));
        let wait = wait.and_then(|wait| Timespec::try_from(wait).ok());
        match poll(&mut sockets, wait.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let happened = whose.iter().zip(&sockets).map(|(which, fd)| (*which, fd.revents()));
        Ok(happened.filter(|(_, flags)| !flags.is_empty()).collect())
    }

    fn deadline(&self) -> Option<Duration> {
        let clients = self.clients.iter().filter(|(client, _)| self.is_pressed(**client));
        let clients = clients.map(|(_, peer)| peer.heard + CLIENT_PATIENCE);
        let callers = self.callers.values().map(|peer| peer.heard + CALLER_PATIENCE);
        clients.chain(callers).chain(self.relay.deadline()).min()
    }

    /// Whether it is that client's turn.
    fn is_pressed(&self, client: Client) -> bool {
        !self.relay.is_waiting(client) && !self.relay.is_watching(client)
    }

    fn handle(&mut self, which: Which, flags: PollFlags) -> io::Result<()> {
        let now = self.now();
        match which {
            Which::Lifeline => Ok(()),
            Which::Programs => self.admit(now),
            Which::Calls => self.take_call(now),
            Which::Client(client) => {
                let Some(peer) = self.clients.get_mut(&client) else { return Ok(()) };
                move_bytes(peer, flags);
                self.hear_client(client, now);
                Ok(())
            }
            Which::Caller(caller) => {
                let Some(mut peer) = self.callers.remove(&caller) else { return Ok(()) };
                move_bytes(&mut peer, flags);
                self.hear_caller(caller, peer, now);
                Ok(())
            }
            Which::Gateway => {
                let Some(peer) = &mut self.gateway else { return Ok(()) };
                move_bytes(peer, flags);
                self.hear_gateway(now);
                Ok(())
            }
        }
    }

    fn admit(&mut self, now: Duration) -> io::Result<()> {
        while let Some(stream) = accept(&self.programs)? {
            let Ok(mut peer) = Peer::new(stream, MAX_REQUEST, now) else { continue };
            if self.clients.len() >= MOST_CLIENTS {
                let reason = "too many programs ask at once; try again in a moment";
                peer.tell(&line(&Reply::Refused { reason: Said::cut(reason) }), now);
                continue;
            }
            self.last += 1;
            self.clients.insert(self.last, peer);
        }
        Ok(())
    }

    fn take_call(&mut self, now: Duration) -> io::Result<()> {
        while let Some(stream) = accept(&self.calls)? {
            let Ok(peer) = Peer::new(stream, MAX_LINE, now) else { continue };
            // The oldest of those who say nothing goes first.
            while self.callers.len() >= MOST_CALLERS {
                self.callers.pop_first();
            }
            self.last += 1;
            self.callers.insert(self.last, peer);
        }
        Ok(())
    }

    /// One thing at a time: what follows is read when it has been answered.
    fn hear_client(&mut self, client: Client, now: Duration) {
        while !self.relay.is_waiting(client) {
            let Some(peer) = self.clients.get_mut(&client) else { return };
            let Some(heard) = peer.line(now) else { return };
            match heard.map(|line| serde_json::from_slice(&line)) {
                Ok(Ok(request)) => self.relay.handle_request(client, request, now),
                Ok(Err(error)) => {
                    let reason = format!("this is no request: {error}; see lattice --help");
                    self.relay.refuse(client, &reason);
                }
                Err(()) => {
                    let reason = format!("a request has at most {MAX_REQUEST} bytes, in a line");
                    self.relay.refuse(client, &reason);
                    peer.is_leaving = true;
                    self.speak(now);
                    return;
                }
            }
            self.speak(now);
        }
    }

    /// Who knows the token is the gateway from now on.
    fn hear_caller(&mut self, caller: u64, mut peer: Peer, now: Duration) {
        let version = match peer.line(now) {
            None if peer.is_gone(false) => return,
            None => {
                self.callers.insert(caller, peer);
                return;
            }
            Some(Err(())) => return,
            Some(Ok(line)) => match serde_json::from_slice(&line) {
                Ok(FromGateway::Hello { version, token }) if self.is_ours(token.expose()) => {
                    version
                }
                Ok(_) | Err(_) => return,
            },
        };
        peer.tell(&line(&ToGateway::Hello { version: APPS_VERSION }), now);
        if version != APPS_VERSION {
            return;
        }
        self.relay.handle_unlinked(now);
        self.gateway = Some(peer);
        self.relay.handle_linked(now);
        self.speak(now);
        self.hear_gateway(now);
    }

    fn is_ours(&self, token: &str) -> bool {
        token.as_bytes().ct_eq(self.token.as_bytes()).into()
    }

    fn hear_gateway(&mut self, now: Duration) {
        while let Some(peer) = &mut self.gateway {
            let Some(heard) = peer.line(now) else { return };
            match heard.map(|line| serde_json::from_slice(&line)) {
                Ok(Ok(line)) => self.relay.handle_gateway(line),
                // A gateway that cannot be understood is none.
                Ok(Err(_)) | Err(()) => peer.end(),
            }
            self.speak(now);
        }
    }

    /// Forgets who hung up, and who keeps everybody waiting.
    fn let_go(&mut self, now: Duration) {
        let relay = &mut self.relay;
        self.clients.retain(|client, peer| {
            let is_waiting = relay.is_waiting(*client);
            let is_late =
                !is_waiting && !relay.is_watching(*client) && peer.heard + CLIENT_PATIENCE <= now;
            let stays = !peer.is_gone(is_waiting) && !is_late;
            if !stays {
                relay.handle_gone(*client);
            }
            stays
        });
        self.callers.retain(|_, peer| peer.heard + CALLER_PATIENCE > now && !peer.is_gone(false));
        if self.gateway.as_ref().is_some_and(|peer| peer.is_gone(false)) {
            self.gateway = None;
            self.relay.handle_unlinked(now);
        }
    }

    fn speak(&mut self, now: Duration) {
        for said in self.relay.poll_said() {
            let (peer, line) = match &said {
                Say::Client(client, reply) => (self.clients.get_mut(client), line(reply)),
                Say::Gateway(ask) => (self.gateway.as_mut(), line(ask)),
            };
            if let Some(peer) = peer {
                peer.tell(&line, now);
            }
        }
    }
}

fn move_bytes(peer: &mut Peer, flags: PollFlags) {
    if flags.contains(PollFlags::IN) {
        peer.fill();
    }
    if flags.contains(PollFlags::OUT) {
        peer.flush();
    }
    // What it said before it hung up has been read.
    if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
        peer.end();
    }
}

/// The next connection that waits, if one does.
fn accept(listener: &UnixListener) -> io::Result<Option<UnixStream>> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => return Ok(Some(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            // Who gave up while waiting.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn line(what: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(what).expect("these types have no maps with keys that are no strings")
}
