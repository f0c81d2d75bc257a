//! The requests of the ACME client, one connection each: they are a dozen in two months.

use axum::http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(30);
/// A chain of certificates is a few thousand bytes.
const MAX_BODY: usize = 1 << 20;

/// Asks by TLS only.
pub(super) struct Http {
    pub(super) tls: Arc<ClientConfig>,
}

type Outgoing = Request<BodyWrapper<bytes::Bytes>>;

impl HttpClient for Http {
    fn request(
        &self,
        request: Outgoing,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let tls = TlsConnector::from(self.tls.clone());
        Box::pin(async move {
            let host = request.uri().host().unwrap_or_default().to_owned();
            let answer = timeout(PATIENCE, ask(tls, request)).await;
            let answer = answer.map_err(|_| anyhow::anyhow!("no answer in 30 s")).flatten();
            answer.map_err(|error| Error::Other(format!("ask {host}: {error:#}").into()))
        })
    }
}

async fn ask(tls: TlsConnector, mut request: Outgoing) -> anyhow::Result<BytesResponse> {
    let uri = request.uri().clone();
    if uri.scheme_str() != Some("https") {
        anyhow::bail!("{uri} is no https URL");
    }
    let authority = uri.authority().ok_or_else(|| anyhow::anyhow!("{uri} names no host"))?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = TcpStream::connect((host.as_str(), authority.port_u16().unwrap_or(443))).await?;
    let stream = tls.connect(ServerName::try_from(host)?, stream).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender.
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>()?;
    request.headers_mut().insert(header::HOST, HeaderValue::from_str(authority.as_str())?);
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("read the answer: {error}"))?.to_bytes();
    Ok(axum::http::Response::from_parts(parts, Full::new(body)).into())
}
