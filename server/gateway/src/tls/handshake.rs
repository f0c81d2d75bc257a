//! From a socket to a TLS connection, or not.
//!
//! A handshake that takes too long is given up. INVARIANT: at most `most` are half done; one more
//! pushes out the oldest, which had its time, so that those who never finish keep nobody else out.

use super::shown::ACME_PROTOCOL;
use metrics::counter;
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// From the connection to the last word of the handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// Data that is encrypted and not yet in the kernel; more would only wait there, as in `tcp`.
const BUFFER: usize = 32 << 10;

/// Does the handshakes of a listener.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    half_done: Arc<HalfDone>,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").field("half_done", &self.half_done).finish_non_exhaustive()
    }
}

impl Acceptor {
    /// An acceptor with at most so many handshakes at once.
    pub fn new(config: Arc<ServerConfig>, most: usize) -> Self {
        let half_done = HalfDone { most: most.max(1), turns: Mutex::default() };
        Self { tls: TlsAcceptor::from(config), half_done: Arc::new(half_done) }
    }

    /// The result of `work`, which leads through a handshake, if it comes in time.
    pub async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut turn = self.half_done.begin();
        let why = tokio::select! {
            done = timeout(PATIENCE, work) => match done {
                Ok(done) => return Some(done),
                Err(_) => "late",
            },
            _ = &mut turn.pushed_out => "pushed_out",
        };
        count(why);
        None
    }

    /// The connection after its handshake, or the bare one where that failed or was all that was
    /// wanted, as by an ACME server.
    pub async fn handshake<S>(&self, stream: S) -> Result<TlsStream<S>, S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = match self.tls.accept(stream).into_fallible().await {
            Ok(stream) => stream,
            Err((error, stream)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                count("failed");
                return Err(stream);
            }
        };
        let (_, session) = stream.get_mut();
        session.set_buffer_limit(Some(BUFFER));
        if session.alpn_protocol() == Some(ACME_PROTOCOL) {
            count("acme");
            return Err(stream.into_inner().0);
        }
        count("ok");
        Ok(stream)
    }
}

pub(crate) fn count(result: &'static str) {
    counter!("lattice_tls_handshakes_total", "result" => result).increment(1);
}

#[derive(Debug)]
struct HalfDone {
    most: usize,
    turns: Mutex<Turns>,
}

/// Those that are under way, the oldest first.
#[derive(Debug, Default)]
struct Turns {
    next: u64,
    open: BTreeMap<u64, oneshot::Sender<Infallible>>,
}

/// One that is under way.
struct Turn<'a> {
    of: &'a HalfDone,
    number: u64,
    pushed_out: oneshot::Receiver<Infallible>,
}

impl HalfDone {
    fn begin(&self) -> Turn<'_> {
        let (sender, pushed_out) = oneshot::channel();
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let number = turns.next;
        turns.next += 1;
        turns.open.insert(number, sender);
        if turns.open.len() > self.most {
            turns.open.pop_first();
        }
        Turn { of: self, number, pushed_out }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.of.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::certificate::provider;
    use crate::tls::shown::Shown;

    fn acceptor(most: usize) -> Acceptor {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("protocols")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shown::default()));
        Acceptor::new(Arc::new(config), most)
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_takes_too_long_is_given_up() {
        let acceptor = acceptor(9);
        let started = tokio::time::Instant::now();
        assert_eq!(acceptor.in_time(std::future::pending::<()>()).await, None);
        assert_eq!(started.elapsed(), PATIENCE);
        assert_eq!(acceptor.in_time(async { 7 }).await, Some(7));
        assert!(acceptor.half_done.turns.lock().expect("whole").open.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_too_many_pushes_out_the_oldest() {
        let acceptor = acceptor(2);
        let spawn = || {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.in_time(std::future::pending::<()>()).await })
        };
        let tasks = [spawn(), spawn()];
        tokio::task::yield_now().await;
        assert!(tasks.iter().all(|task| !task.is_finished()));
        let started = tokio::time::Instant::now();
        assert_eq!(acceptor.in_time(async { 7 }).await, Some(7));
        let [oldest, other] = tasks;
        assert_eq!(oldest.await.expect("no panic"), None);
        assert_eq!(started.elapsed(), Duration::ZERO, "at once");
        assert_eq!(other.await.expect("no panic"), None);
        assert_eq!(started.elapsed(), PATIENCE);
    }
}
