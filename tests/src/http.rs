//! HTTP by hand, so that a test can send what no library would.

use crate::patience;
use crate::wait::GENEROUS;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Its status code.
    pub status: u16,
    /// Its header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Response {
    /// The value of the first field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Reads an answer's head and all that follows it.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let (first, fields) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = first.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let headers = fields.lines().filter_map(|line| line.split_once(':'));
        let headers = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self { status, headers, body: body.to_owned() })
    }
}

/// Sends one request and reads until the server closes.
///
/// # Panics
/// Where nothing like an answer comes.
pub fn request(address: SocketAddr, method: &str, path: &str, head: &str, body: &str) -> Response {
    try_request(address, method, path, head, body)
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// The same, for a server that may be gone.
pub fn try_request(
    address: SocketAddr,
    method: &str,
    path: &str,
    head: &str,
    body: &str,
) -> std::io::Result<Response> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience(Duration::from_secs(10))))?;
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{head}\r\n{body}"
    );
    stream.write_all(text.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    Response::parse(&answer)
        .ok_or_else(|| std::io::Error::other(format!("not an HTTP answer: {answer:?}")))
}

/// A connection that is kept for many requests.
#[derive(Debug)]
pub struct Kept {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Kept {
    /// Connects.
    ///
    /// # Panics
    /// Where nobody listens.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, GENEROUS).expect("the gateway listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("a timeout");
        stream.set_nodelay(true).expect("an option of TCP");
        Self { address, stream: BufReader::new(stream) }
    }

    /// Sends one request and reads its answer.
    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        head: &str,
        body: &str,
    ) -> io::Result<Response> {
        let (address, length) = (self.address, body.len());
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n{head}\r\n\
             {body}"
        );
        self.stream.get_mut().write_all(text.as_bytes())?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let answer = Response::parse(&head);
        let mut answer = answer.ok_or_else(|| io::Error::other(format!("no answer: {head:?}")))?;
        let length = answer.header("content-length").and_then(|text| text.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body)?;
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }
}
