//! The link to the desktop's agent: length-prefixed packets on a Unix socket.
//!
//! The agent is hostile input: whoever uses its desktop may have written what comes. Lengths are
//! checked before memory is taken, memory is taken as bytes arrive, and the first packet that is
//! none ends the link.

use super::AgentEvent;
use crate::auth::Token;
use bytes::{Bytes, BytesMut};
use lattice_wire::link::MAX_FROM_AGENT;
use lattice_wire::{AgentHello, DecodeError, FromAgent, ToAgent, VERSION};
use metrics::counter;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Packets that wait for the agent.
const TO_AGENT: usize = 1024;
/// How long the agent may take for its hello, and for the rest of a packet it has begun.
const PATIENCE: Duration = Duration::from_secs(10);
/// Memory that is taken for a packet before its bytes have arrived.
const FIRST_PIECE: usize = 64 << 10;

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The socket failed or was closed.
    #[error("{step} the agent's link")]
    Io {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A packet took too long.
    #[error("the agent did not finish its {0} in {seconds} s", seconds = PATIENCE.as_secs())]
    Slow(&'static str),
    /// It does not read.
    #[error("the agent took no packet for {seconds} s", seconds = PATIENCE.as_secs())]
    Deaf,
    /// The length before a packet is none.
    #[error("the agent announced a packet of {0} bytes, the limit is {MAX_FROM_AGENT}")]
    Length(usize),
    /// Bytes that are no packet.
    #[error("the agent sent what is no packet")]
    Packet(#[from] DecodeError),
    /// It heard who we are and hung up.
    #[error("the agent refused this gateway; its log says why")]
    Refused,
    /// Something else came first.
    #[error("the agent did not begin with its hello")]
    NoHello,
    /// The agent is of another release.
    #[error(
        "the agent speaks protocol version {0}, this gateway {VERSION}; install both from one release"
    )]
    Version(u16),
    /// The hub let the link go.
    #[error("the agent took no packets and was given up")]
    GivenUp,
}

impl LinkError {
    fn is_bad_packet(&self) -> bool {
        match self {
            Self::Length(_) | Self::Packet(_) | Self::NoHello => true,
            Self::Io { .. }
            | Self::Slow(_)
            | Self::Deaf
            | Self::Refused
            | Self::Version(_)
            | Self::GivenUp => false,
        }
    }
}

/// Runs a link until it ends. The hub hears of its start and of all packets, not of its end;
/// `greeted` is set once the agent is one that we can work with.
pub async fn run(
    stream: UnixStream,
    token: &Token,
    hub: &mpsc::Sender<AgentEvent>,
    greeted: &mut bool,
) -> LinkError {
    let (mut reader, mut writer) = stream.into_split();
    let error = match greet(&mut reader, &mut writer, token).await {
        Ok(hello) => {
            *greeted = true;
            let (to_agent, packets) = mpsc::channel(TO_AGENT);
            let _ = hub.send(AgentEvent::Up(hello, to_agent)).await;
            tokio::select! {
                error = receive(&mut reader, hub) => error,
                error = transmit(&mut writer, packets) => error,
            }
        }
        Err(error) => error,
    };
    if error.is_bad_packet() {
        counter!("lattice_packets_refused_total", "reason" => "agent").increment(1);
    }
    error
}

async fn greet(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    token: &Token,
) -> Result<AgentHello, LinkError> {
    let hello = ToAgent::Hello { version: VERSION, token: token.expose().to_owned() };
    write(writer, &hello).await?;
    let answer = timeout(PATIENCE, read(reader)).await.map_err(|_| LinkError::Slow("hello"))?;
    let answer = answer.map_err(|error| match error {
        LinkError::Io { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
            LinkError::Refused
        }
        error => error,
    })?;
    match FromAgent::decode(&answer)? {
        FromAgent::Hello(hello) if hello.version == VERSION => Ok(hello),
        FromAgent::Hello(hello) => Err(LinkError::Version(hello.version)),
        _ => Err(LinkError::NoHello),
    }
}

async fn receive(
    reader: &mut (impl AsyncRead + Unpin),
    hub: &mpsc::Sender<AgentEvent>,
) -> LinkError {
    loop {
        let packet = match read(reader).await {
            Ok(bytes) => FromAgent::decode(&bytes).map_err(LinkError::from),
            Err(error) => Err(error),
        };
        match packet {
            Ok(packet) => {
                if hub.send(AgentEvent::Packet(packet)).await.is_err() {
                    return LinkError::GivenUp;
                }
            }
            Err(error) => return error,
        }
    }
}

async fn transmit(
    writer: &mut (impl AsyncWrite + Unpin),
    mut packets: mpsc::Receiver<ToAgent>,
) -> LinkError {
    while let Some(packet) = packets.recv().await {
        if let Err(error) = write(writer, &packet).await {
            return error;
        }
    }
    LinkError::GivenUp
}

async fn read(reader: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, LinkError> {
    let failed = |source| LinkError::Io { step: "read", source };
    let len = reader.read_u32_le().await.map_err(failed)? as usize;
    if len == 0 || len > MAX_FROM_AGENT {
        return Err(LinkError::Length(len));
    }
    let body = async {
        let mut packet = BytesMut::with_capacity(len.min(FIRST_PIECE));
        let mut rest = reader.take(len as u64);
        while packet.len() < len {
            if packet.len() == packet.capacity() {
                // The agent has sent as much as we hold, so it may be believed twice that.
                packet.reserve((len - packet.len()).min(packet.len().max(FIRST_PIECE)));
            }
            if rest.read_buf(&mut packet).await.map_err(failed)? == 0 {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        Ok(packet.freeze())
    };
    timeout(PATIENCE, body).await.map_err(|_| LinkError::Slow("packet"))?
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), packet: &ToAgent) -> Result<(), LinkError> {
    let packet = packet.encode();
    let mut message = Vec::with_capacity(4 + packet.len());
    message.extend_from_slice(&(packet.len() as u32).to_le_bytes());
    message.extend_from_slice(&packet);
    let written = timeout(PATIENCE, writer.write_all(&message)).await;
    let failed = |source| LinkError::Io { step: "write", source };
    written.map_err(|_| LinkError::Deaf)?.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8]) -> Result<Bytes, LinkError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let mut bytes = bytes;
        runtime.expect("a runtime").block_on(read(&mut bytes))
    }

    #[test]
    fn a_packet_follows_its_length() {
        assert_eq!(check(&[2, 0, 0, 0, 7, 8, 9]).expect("a packet"), [7, 8].as_slice());
        let mut large = (200_000u32).to_le_bytes().to_vec();
        large.resize(200_004, 5);
        assert_eq!(check(&large).expect("a packet").len(), 200_000);
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_any_byte_of_it() {
        assert!(matches!(check(&[0xff; 4]), Err(LinkError::Length(0xffff_ffff))));
        assert!(matches!(check(&[0; 4]), Err(LinkError::Length(0))));
    }

    #[test]
    fn a_packet_that_ends_early_is_an_error() {
        assert!(matches!(check(&[9, 0, 0, 0, 1]), Err(LinkError::Io { .. })));
        assert!(matches!(check(&[9, 0]), Err(LinkError::Io { .. })));
    }
}
