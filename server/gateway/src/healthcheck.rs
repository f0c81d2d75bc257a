//! `lattice healthcheck`: one HTTP request, for images that hold no other client.

use crate::broker::bootstrap::Bootstrap;
use crate::cli::{HealthcheckArgs, ServeArgs};
use crate::config::Config;
use crate::http::origin::Scheme;
use crate::tls::client::asking_anybody;
use anyhow::{Context as _, bail};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(5);
/// A health answer is a few lines.
const MAX_ANSWER: u64 = 16 << 10;

/// Whether this container is well: one that only looks after a gateway is as well as that.
pub async fn check(args: &HealthcheckArgs) -> anyhow::Result<()> {
    if let Ok(config) = Config::load(&ServeArgs::default())
        && let Some(bootstrap) = Bootstrap::find(&config).await
    {
        return bootstrap.health().await;
    }
    run(args).await
}

/// Asks; an error says what the answer was or why there was none.
pub async fn run(args: &HealthcheckArgs) -> anyhow::Result<()> {
    let url = &args.url;
    let plain = url.strip_prefix("http://").map(|rest| (Scheme::Http, rest));
    let secure = || url.strip_prefix("https://").map(|rest| (Scheme::Https, rest));
    let (scheme, rest) = plain.or_else(secure).with_context(|| {
        format!(
            "{url} is no http:// or https:// URL; ask the address that lattice itself listens on"
        )
    })?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, "healthz"));
    let answer = timeout(PATIENCE, ask(scheme, authority, path)).await;
    let answer = answer.with_context(|| format!("{url} did not answer in 5 s"))?;
    let answer = answer.with_context(|| format!("ask {url}"))?;
    let status = answer.split(' ').nth(1).unwrap_or("no status");
    if status != "200" {
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        bail!("{url} answered {status} {}", body.trim());
    }
    Ok(())
}

async fn ask(scheme: Scheme, authority: &str, path: &str) -> anyhow::Result<String> {
    let (host, address) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, authority.to_owned()),
        _ => (authority, format!("{authority}:{}", scheme.default_port())),
    };
    let stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    if scheme == Scheme::Http {
        return exchange(stream, &request).await;
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let connector = TlsConnector::from(Arc::new(asking_anybody()?));
    exchange(connector.connect(ServerName::try_from(host)?, stream).await?, &request).await
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> anyhow::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
