//! The link to the gateway: a Unix socket with one connection that counts, the newest.
//!
//! A connection has a thread that reads and one that writes, and dies with either. What comes in
//! is checked here and handed to the capture and input threads; nothing here touches the display,
//! so a display that hangs is noticed here and told.

use crate::clock;
use crate::slots::{InputItem, Kind, Next, Shared, count};
use anyhow::{Context, bail, ensure};
use lattice_engine::rate::Pace;
use lattice_wire::link::{MAKES_STILLS, MAX_TO_AGENT};
use lattice_wire::{AgentHello, AgentStats, Micros, Size, ToAgent, VERSION};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A gateway says hello at once; one that does not is none.
const HELLO_PATIENCE: Duration = Duration::from_secs(3);
/// Connections that have not said hello yet.
const MAX_STRANGERS: usize = 8;
/// How often the display is watched for hanging.
const WATCH_INTERVAL: Micros = Micros::from_millis(500);
/// A display that does not answer so long hangs: the longest answers, to mode changes, take 20 ms.
const HUNG_AFTER: Micros = Micros::from_millis(3000);
/// How often statistics are sent at most.
const STATS_INTERVAL: Micros = Micros::from_millis(1000);

/// The memory that is kept for messages, in bytes.
const MESSAGE_BYTES: usize = 256 << 10;

/// What the link says and expects.
#[derive(Debug)]
pub struct LinkConfig {
    /// What a gateway must know.
    pub token: String,
    /// What the display is called.
    pub name: String,
    /// The display, for messages.
    pub display: String,
}

/// Opens the socket, for this user alone. A socket that is left over is replaced.
pub fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    use std::os::unix::fs::FileTypeExt;
    if let Ok(found) = std::fs::symlink_metadata(path) {
        ensure!(found.file_type().is_socket(), "{} exists and is no socket", path.display());
        std::fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("listen on {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))
        .with_context(|| format!("restrict {}", path.display()))?;
    Ok(listener)
}

/// Serves gateways for ever.
pub fn serve(
    listener: &UnixListener,
    shared: &Arc<Shared>,
    config: LinkConfig,
) -> anyhow::Result<()> {
    let link = Arc::new(Link {
        shared: shared.clone(),
        config,
        current: Mutex::default(),
        strangers: AtomicUsize::new(0),
    });
    loop {
        let (stream, _) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: some will be free again.
                tracing::warn!(%error, "a connection could not be accepted");
                std::thread::sleep(Duration::from_millis(200));
                continue;
            }
        };
        if link.strangers.fetch_add(1, Ordering::Relaxed) >= MAX_STRANGERS {
            link.strangers.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let link = link.clone();
        let thread = std::thread::Builder::new().name("link-read".into());
        thread.spawn(move || link.meet(stream)).context("start a link thread")?;
    }
}

struct Link {
    shared: Arc<Shared>,
    config: LinkConfig,
    current: Mutex<Option<UnixStream>>,
    strangers: AtomicUsize,
}

impl Link {
    fn meet(self: Arc<Self>, stream: UnixStream) {
        let greeted = self.greet(&stream);
        self.strangers.fetch_sub(1, Ordering::Relaxed);
        if let Err(error) = greeted {
            tracing::warn!(error = format!("{error:#}"), "a gateway was refused");
            return;
        }
        if let Err(error) = self.run(stream) {
            tracing::info!(error = format!("{error:#}"), "the gateway's link ended");
        }
    }

    fn greet(&self, stream: &UnixStream) -> anyhow::Result<()> {
        stream.set_read_timeout(Some(HELLO_PATIENCE)).context("set the read timeout")?;
        let packet = read_packet(stream).context("read the hello")?;
        let ToAgent::Hello { version, token } = ToAgent::decode(&packet)? else {
            bail!("its first packet is not a hello");
        };
        ensure!(same(token.as_bytes(), self.config.token.as_bytes()), "its token is wrong");
        ensure!(
            version == VERSION,
            "it speaks protocol version {version}, this agent speaks {VERSION}: update the older one"
        );
        stream.set_read_timeout(None).context("clear the read timeout")
    }

    fn run(self: &Arc<Self>, stream: UnixStream) -> anyhow::Result<()> {
        let number = self.take_over(&stream)?;
        let writer = self.clone();
        let out = stream.try_clone().context("share the socket")?;
        let thread = std::thread::Builder::new().name("link-write".into());
        thread.spawn(move || writer.write_all(number, &out)).context("start the writer")?;
        tracing::info!(link.number = number, "a gateway is linked");
        let ended = self.read_all(number, &stream);
        let _ = stream.shutdown(std::net::Shutdown::Both);
        // Under the lock, so that what a newer link has said meanwhile is not forgotten with it.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.outbound.close(number) {
            *current = None;
            self.forget();
        }
        ended
    }

    /// Makes this connection the one that counts, and ends the one before.
    fn take_over(&self, stream: &UnixStream) -> anyhow::Result<u64> {
        let copy = stream.try_clone().context("share the socket")?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.shared.outbound.open();
        if let Some(old) = current.replace(copy) {
            let _ = old.shutdown(std::net::Shutdown::Both);
        }
        self.forget();
        Ok(number)
    }

    fn forget(&self) {
        self.shared.commands.update(|command| {
            *command = crate::slots::Command { link_changed: true, ..Default::default() };
        });
        self.shared.watched.store(false, Ordering::Relaxed);
        self.shared.inputs.push(InputItem::ReleaseAll);
    }

    fn read_all(&self, number: u64, stream: &UnixStream) -> anyhow::Result<()> {
        loop {
            let packet = read_packet(stream)?;
            let packet = ToAgent::decode(&packet).context("understand the gateway")?;
            if !self.shared.outbound.is_current(number) {
                bail!("another gateway took over");
            }
            self.handle(packet);
        }
    }

    fn handle(&self, packet: ToAgent) {
        let commands = &self.shared.commands;
        match packet {
            ToAgent::Hello { .. } => tracing::debug!("the gateway said hello again"),
            ToAgent::Watch { viewers, encoders } => {
                commands.update(|command| command.watch = Some((viewers, encoders)));
                self.shared.watched.store(viewers > 0, Ordering::Relaxed);
                self.shared.inputs.waker().wake();
            }
            ToAgent::Refresh(request, refresh) => {
                commands.update(|command| command.add_refresh(request, refresh));
            }
            ToAgent::Pace { bitrate, base_rtt_us } => {
                let pace = Pace::read(bitrate, base_rtt_us);
                commands.update(|command| command.pace = Some(pace));
            }
            ToAgent::Still { at_once } => commands.update(|command| {
                command.still = Some(command.still.unwrap_or(false) || at_once);
            }),
            ToAgent::Painted(at) => commands.update(|command| command.painted = Some(at)),
            ToAgent::Resize(size) => commands.update(|command| command.resize = Some(size)),
            ToAgent::Input(viewer, input) => {
                if !self.shared.inputs.push(InputItem::Apply(viewer, input)) {
                    count(&self.shared.counters.inputs_dropped);
                }
            }
        }
    }

    fn write_all(&self, number: u64, mut stream: &UnixStream) {
        if let Err(error) = self.try_write_all(number, &mut stream) {
            tracing::debug!(%error, "the link could not be written to");
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }

    fn try_write_all(&self, number: u64, stream: &mut impl Write) -> std::io::Result<()> {
        let mut limits = self.shared.outbound.limits(Duration::from_secs(1)).unwrap_or_default();
        let mut message = Vec::new();
        write_packet(stream, &self.hello(VERSION, limits), &mut message)?;
        write_packet(stream, &self.hello(VERSION | MAKES_STILLS, limits), &mut message)?;
        let (mut sent, mut due) = (AgentStats::default(), Micros(0));
        loop {
            match self.shared.outbound.next(number, WATCH_INTERVAL) {
                Next::Packet(kind, packet) => {
                    if kind == Kind::Frame {
                        // The capture thread may have waited for room.
                        self.shared.commands.waker().wake();
                    }
                    write_packet(stream, &packet, &mut message)?;
                    self.shared.outbound.give_back(packet);
                }
                Next::Nothing => {}
                Next::Closed => return Ok(()),
            }
            // A display that came up late, or was resized by others, has other limits.
            if let Some(new) = self.shared.outbound.limits(Duration::ZERO)
                && new != limits
            {
                limits = new;
                write_packet(stream, &self.hello(VERSION | MAKES_STILLS, limits), &mut message)?;
            }
            let now = clock::now();
            self.watch_display(now);
            let stats = self.stats();
            if now >= due && stats != sent {
                self.shared.outbound.push(Kind::Stats, stats.encode());
                (sent, due) = (stats, now.plus(STATS_INTERVAL));
            }
        }
    }

    fn hello(&self, version: u16, limits: (Size, Size)) -> Vec<u8> {
        AgentHello { version, limits, name: self.config.name.clone() }.encode()
    }

    fn watch_display(&self, now: Micros) {
        let waited = self.shared.capture_busy.waited(now).max(self.shared.input_busy.waited(now));
        let hung = waited > HUNG_AFTER;
        let reason = || format!("the X server {} does not answer", self.config.display);
        self.shared.outbound.set_hung(hung.then(reason));
    }

    fn stats(&self) -> AgentStats {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AgentStats {
            grabs: read(&counters.grabs),
            frames: read(&counters.frames),
            wakeups: read(&counters.wakeups),
            inputs: read(&counters.inputs),
            inputs_dropped: read(&counters.inputs_dropped),
            video_units: read(&counters.video_units),
            video_keyframes: read(&counters.video_keyframes),
            encoders: read(&counters.encoders),
            late: read(&counters.late),
        }
    }
}

fn read_packet(mut stream: &UnixStream) -> anyhow::Result<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len) as usize;
    ensure!(len <= MAX_TO_AGENT, "a packet of {len} bytes is above the limit of {MAX_TO_AGENT}");
    let mut packet = vec![0; len];
    stream.read_exact(&mut packet)?;
    Ok(packet)
}

/// Writes a packet; `message` is memory that is kept for the next.
fn write_packet(
    stream: &mut impl Write,
    packet: &[u8],
    message: &mut Vec<u8>,
) -> std::io::Result<()> {
    // In one piece, so that the gateway wakes once.
    message.clear();
    message.extend_from_slice(&(packet.len() as u32).to_le_bytes());
    message.extend_from_slice(packet);
    let written = stream.write_all(message);
    // The picture of a whole screen is rare, and its memory is not to be held for ever.
    if message.capacity() > MESSAGE_BYTES {
        *message = Vec::new();
    }
    written
}

/// Compares in a time that does not depend on where the two differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_same_only_when_equal() {
        assert!(same(b"abc", b"abc"));
        assert!(!same(b"abc", b"abd"));
        assert!(!same(b"abc", b"abcd"));
    }
}
