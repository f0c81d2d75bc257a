//! Where a server listens, and the names that lead there.

use anyhow::{Context as _, bail};
use listenfd::ListenFd;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener, UdpSocket};
use tokio::net::{TcpListener, TcpSocket};

/// Where a server listens that was told nothing.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// How many ports after a taken one are tried.
const PORTS_TRIED: u16 = 100;

/// Connections that wait to be accepted. When a network comes back, all who were on it are here at
/// once, and whoever finds no room tries again after a second, then two, then four.
const BACKLOG: u32 = 1024;

/// Sockets that whoever started this process has made and keeps, by the protocol of `sd_listen_fds`
/// (systemd's `lattice.socket`). While no server runs connections wait there, so that a restart
/// refuses nobody.
#[derive(Debug, Default)]
pub struct Handed {
    /// Where browsers come.
    pub listener: Option<StdListener>,
    /// Where they may come by plain HTTP to be led to TLS.
    pub plain: Option<StdListener>,
}

impl Handed {
    /// Takes what the environment names. To be called before there are threads, for it is taken out
    /// of the environment: no child may take it for its own.
    pub fn take() -> anyhow::Result<Self> {
        let mut handed = ListenFd::from_env();
        if handed.len() > 2 {
            bail!(
                "{} sockets were handed over; two have a use: that for browsers, then one for plain \
                 HTTP that leads to TLS",
                handed.len()
            );
        }
        let mut next = |index| handed.take_tcp_listener(index).context("a socket was handed over");
        Ok(Self { listener: next(0)?, plain: next(1)? })
    }
}

/// Listens where `handed` does, which must be what was asked for, if anything was.
pub async fn adopt(handed: StdListener, asked: Option<&str>) -> anyhow::Result<TcpListener> {
    let address = handed.local_addr().context("find out the address of the socket handed over")?;
    if let Some(asked) = asked
        && !tokio::net::lookup_host(asked)
            .await
            .is_ok_and(|mut found| found.any(|one| one == address))
    {
        bail!(
            "the socket that was handed over is {address}, but --listen says {asked}; leave that out \
             (LATTICE_SERVER__LISTEN, or server.listen in the file), or change ListenStream of \
             lattice.socket"
        );
    }
    handed.set_nonblocking(true).context("use the socket that was handed over")?;
    TcpListener::from_std(handed).context("use the socket that was handed over")
}

/// Listens on what was asked for; else on the default address, or on the next port that is free.
pub async fn listen(asked: Option<&str>) -> anyhow::Result<TcpListener> {
    let Some(asked) = asked else { return listen_by_default() };
    let addresses = tokio::net::lookup_host(asked).await.with_context(|| {
        format!("{asked} is no address to listen on; it has the form 127.0.0.1:8080")
    })?;
    let address = addresses.into_iter().next();
    bind(address.with_context(|| format!("{asked} leads to no address"))?).await
}

/// Listens on this very address.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    match open(address) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let hint = match next_free(address) {
                Some(free) => format!("{} is free: --listen {free}", free.port()),
                None => "stop the program that uses it, or choose another port".into(),
            };
            bail!("{address} is used by another program; {hint}")
        }
        Err(error) => Err(error).with_context(|| format!("listen on {address}")),
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // So that a restart need not wait for old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn listen_by_default() -> anyhow::Result<TcpListener> {
    match open(DEFAULT_ADDRESS) {
        Ok(listener) => return Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        Err(error) => return Err(error).with_context(|| format!("listen on {DEFAULT_ADDRESS}")),
    }
    for address in following(DEFAULT_ADDRESS) {
        if let Ok(listener) = open(address) {
            let mut stderr = io::stderr();
            writeln!(stderr, "{DEFAULT_ADDRESS} is used by another program; taking {address}")?;
            return Ok(listener);
        }
    }
    bail!("{DEFAULT_ADDRESS} and the {PORTS_TRIED} ports after it are used; name one with --listen")
}

fn next_free(taken: SocketAddr) -> Option<SocketAddr> {
    following(taken).find(|&address| open(address).is_ok())
}

fn following(taken: SocketAddr) -> impl Iterator<Item = SocketAddr> {
    let ports = (1..=PORTS_TRIED).filter_map(move |step| taken.port().checked_add(step));
    ports.map(move |port| SocketAddr::new(taken.ip(), port))
}

/// The address as others can use it: one of the machine's, where any is listened on.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => {
            SocketAddr::new(outward(address.ip()).unwrap_or(DEFAULT_ADDRESS.ip()), address.port())
        }
        false => address,
    }
}

/// The address that packets to elsewhere would leave from. Connecting UDP sends nothing; the
/// addresses are those that RFC 5737 and RFC 3849 keep for examples.
fn outward(any: IpAddr) -> Option<IpAddr> {
    let elsewhere = if any.is_ipv4() { "192.0.2.1:9" } else { "[2001:db8::1]:9" };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(elsewhere).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

/// Host names by which a server on `address` may be asked for, besides localhost and addresses.
pub fn own_names(address: SocketAddr) -> Vec<String> {
    if address.ip().is_loopback() {
        return Vec::new();
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { Vec::new() } else { vec![name] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_was_handed_over_must_be_the_one_asked_for() {
        let made = || StdListener::bind("127.0.0.1:0").expect("a port");
        let handed = made();
        let address = handed.local_addr().expect("bound");
        let adopted = adopt(handed, None).await.expect("nothing else was asked for");
        assert_eq!(adopted.local_addr().expect("bound"), address);
        let handed = made();
        let asked = handed.local_addr().expect("bound").to_string();
        adopt(handed, Some(&asked)).await.expect("it is what was asked for");
        let error = adopt(made(), Some("127.0.0.1:1")).await.expect_err("another was asked for");
        assert!(error.to_string().contains("but --listen says 127.0.0.1:1"), "{error}");
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_next_free_one() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = taken.local_addr().expect("bound");
        let error = listen(Some(&address.to_string())).await.expect_err("it is taken");
        let text = error.to_string();
        assert!(text.starts_with(&format!("{address} is used by another program; ")), "{text}");
        assert!(text.contains("--listen 127.0.0.1:"), "{text}");
    }

    #[tokio::test]
    async fn what_is_no_address_is_named() {
        let error = listen(Some("8080")).await.expect_err("no address");
        assert!(error.to_string().contains("8080 is no address to listen on"), "{error}");
    }
}
