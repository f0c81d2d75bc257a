//! `lattice healthcheck`: one plain HTTP request, for images that hold no other client.

use crate::cli::HealthcheckArgs;
use anyhow::{Context as _, bail};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);
/// A health answer is a few lines.
const MAX_ANSWER: u64 = 16 << 10;

/// Asks; an error says what the answer was or why there was none.
pub async fn run(args: &HealthcheckArgs) -> anyhow::Result<()> {
    let url = &args.url;
    let rest = url.strip_prefix("http://").with_context(|| {
        format!("{url} is not an http:// URL; ask the address that lattice itself listens on")
    })?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, "healthz"));
    let answer = timeout(PATIENCE, ask(authority, path)).await;
    let answer = answer.with_context(|| format!("{url} did not answer in 5 s"))?;
    let answer = answer.with_context(|| format!("ask {url}"))?;
    let status = answer.split(' ').nth(1).unwrap_or("no status");
    if status != "200" {
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        bail!("{url} answered {status} {}", body.trim());
    }
    Ok(())
}

async fn ask(authority: &str, path: &str) -> std::io::Result<String> {
    let address = match authority.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => authority.to_owned(),
        _ => format!("{authority}:80"),
    };
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
