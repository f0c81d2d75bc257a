//! One request of a browser, asked of a program by its Unix socket, and a connection that it becomes.

use super::headers::{to_browser, to_program};
use super::pages::Page;
use super::refuse;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, Uri, Version};
use axum::response::{IntoResponse as _, Response};
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// A program that compiles before it answers may take its time, one that hangs not for ever.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// Resolves when nothing may be shown any more: the right to look has ended, or the server does.
pub(super) type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a request goes.
pub(super) struct Way {
    pub(super) socket: PathBuf,
    pub(super) port: u16,
    pub(super) origin: String,
    /// The port that it has to itself, where it has no name.
    pub(super) own: Option<u16>,
    /// Held until all is said.
    pub(super) turn: OwnedSemaphorePermit,
}

/// Asks the program; a page says so where nobody answers. At the `ending` all that is under way ends: a
/// socket, a body, and the wait for an answer. What was begun is broken off rather than ended, so that a
/// browser does not take a piece for the whole, and does not wait for more either.
pub(super) async fn forward(way: Way, mut request: Request, mut ending: Ending) -> Response {
    let Way { socket, port, origin, own, turn } = way;
    let upgrade = to_program(request.headers_mut(), port, &origin, own);
    let browser = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    match path.parse::<Uri>() {
        Ok(path) => *request.uri_mut() = path,
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    }
    *request.version_mut() = Version::HTTP_11;
    let asked = tokio::select! {
        asked = timeout(ANSWER_PATIENCE, ask(socket, request)) => asked,
        () = &mut ending => return refuse("this preview is not shown any more"),
    };
    let mut response = match asked {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => return Page::Silent { port }.response(),
        Err(_) => return Page::Slow { port }.response(),
    };
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    to_browser(response.headers_mut(), port, is_upgrade, own);
    match (is_upgrade, browser) {
        (true, Some(browser)) => {
            let program = hyper::upgrade::on(&mut response);
            tokio::spawn(join(browser, program, ending, turn));
            let (parts, _) = response.into_parts();
            Response::from_parts(parts, Body::empty())
        }
        // Nobody asked for it.
        (true, None) => Page::Silent { port }.response(),
        (false, _) => {
            let (parts, body) = response.into_parts();
            let body = Held { body, ending, _turn: turn };
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
async fn join(browser: OnUpgrade, program: OnUpgrade, ending: Ending, _turn: OwnedSemaphorePermit) {
    let (Ok(browser), Ok(program)) = tokio::join!(browser, program) else { return };
    let (mut browser, mut program) = (TokioIo::new(browser), TokioIo::new(program));
    tokio::select! {
        _ = copy_bidirectional(&mut browser, &mut program) => {}
        () = ending => {}
    }
}

/// A body, the turn that it takes until it has ended, and what ends it before.
struct Held {
    body: hyper::body::Incoming,
    ending: Ending,
    _turn: OwnedSemaphorePermit,
}

impl hyper::body::Body for Held {
    type Data = bytes::Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        if self.ending.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err("this preview is not shown any more".into())));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
