//! One request of a browser, asked of a program by its Unix socket, and a connection that it becomes.

use super::headers::{to_browser, to_program};
use super::pages::Page;
use crate::accept::Connection;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, Uri, Version};
use axum::response::{IntoResponse as _, Response};
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// A program that compiles before it answers may take its time, one that hangs not for ever.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// Where a request goes.
pub(super) struct Way {
    pub(super) socket: PathBuf,
    pub(super) port: u16,
    pub(super) origin: String,
    /// Held until all is said.
    pub(super) turn: OwnedSemaphorePermit,
}

/// Asks the program; a page says so where nobody answers. `revoked` resolves when whoever asks may no
/// longer look: a socket ends then, as it does when the server does.
pub(super) async fn forward(
    way: Way,
    mut request: Request,
    connection: Connection,
    revoked: impl Future<Output = ()> + Send + 'static,
) -> Response {
    let Way { socket, port, origin, turn } = way;
    let upgrade = to_program(request.headers_mut(), port, &origin);
    let browser = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    match path.parse::<Uri>() {
        Ok(path) => *request.uri_mut() = path,
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    }
    *request.version_mut() = Version::HTTP_11;
    let mut response = match timeout(ANSWER_PATIENCE, ask(socket, request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => return Page::Silent { port }.response(),
        Err(_) => return Page::Slow { port }.response(),
    };
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    to_browser(response.headers_mut(), port, is_upgrade);
    match (is_upgrade, browser) {
        (true, Some(browser)) => {
            let program = hyper::upgrade::on(&mut response);
            tokio::spawn(join(browser, program, connection, revoked, turn));
            let (parts, _) = response.into_parts();
            Response::from_parts(parts, Body::empty())
        }
        // Nobody asked for it.
        (true, None) => Page::Silent { port }.response(),
        (false, _) => {
            let (parts, body) = response.into_parts();
            let body = Held { body, _turn: turn };
            Response::from_parts(parts, Body::new(body))
        }
    }
}

async fn ask(socket: PathBuf, request: Request) -> io::Result<Response<hyper::body::Incoming>> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, wire) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        // Who waits for an answer is told by its own end.
        let _ = wire.with_upgrades().await;
    });
    sender.send_request(request).await.map_err(io::Error::other)
}

/// Passes bytes both ways until one side ends, the right to look does, or the server.
async fn join(
    browser: OnUpgrade,
    program: OnUpgrade,
    connection: Connection,
    revoked: impl Future<Output = ()>,
    _turn: OwnedSemaphorePermit,
) {
    let (Ok(browser), Ok(program)) = tokio::join!(browser, program) else { return };
    let (mut browser, mut program) = (TokioIo::new(browser), TokioIo::new(program));
    let mut guard = connection.guard;
    tokio::select! {
        _ = copy_bidirectional(&mut browser, &mut program) => {}
        () = revoked => {}
        _ = guard.closing() => {}
    }
}

/// A body, and the turn that it takes until it has ended.
struct Held {
    body: hyper::body::Incoming,
    _turn: OwnedSemaphorePermit,
}

impl hyper::body::Body for Held {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
