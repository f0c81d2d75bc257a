//! A server of Git repositories behind a certificate, on loopback: Git's own program for it, and what others do
//! who mean less well.

use crate::secure::{Authority, answer};
use crate::xserver::TempDir;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use std::convert::Infallible;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;

/// Until it is dropped.
#[derive(Debug)]
pub struct Gits {
    _dir: TempDir,
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Gits {
    /// Starts it under that name. It has one repository, `/shop.git`, of two commits; `/moved.git` leads there,
    /// `/closed.git` asks who it is, and nothing else is there.
    ///
    /// # Panics
    /// Where there is no Git, or it does not start.
    pub fn start(authority: &Authority, name: &str) -> Self {
        let dir = TempDir::new("gits");
        make(dir.path());
        let (root, tls) = (dir.path().join("root"), authority.vouch(name));
        let runtime = Runtime::new().expect("threads");
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)));
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let service = service_fn(move |request| {
            count.fetch_add(1, Ordering::Relaxed);
            serve(root.clone(), request)
        });
        runtime.spawn(answer(listener, Some(tls), service));
        Self { _dir: dir, address, asked, _runtime: runtime }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How often it was asked for anything.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// A repository in `root/shop.git`.
fn make(dir: &Path) {
    let work = dir.join("work");
    fs::create_dir_all(work.join("notes")).expect("made");
    git(dir, &["init", "--quiet", "--initial-branch=main", "work"]);
    for (number, text) in ["package main", "package main // better"].into_iter().enumerate() {
        fs::write(work.join("main.go"), text).expect("written");
        fs::write(work.join("notes/read me.md"), "words").expect("written");
        fs::write(work.join("run.sh"), "#!/bin/sh\n").expect("written");
        fs::set_permissions(work.join("run.sh"), fs::Permissions::from_mode(0o755)).expect("set");
        git(&work, &["add", "--all"]);
        git(&work, &["commit", "--quiet", "-m", &format!("commit {number}")]);
    }
    fs::create_dir_all(dir.join("root")).expect("made");
    git(dir, &["clone", "--quiet", "--bare", "work", "root/shop.git"]);
}

fn git(dir: &Path, words: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=somebody", "-c", "user.email=somebody@school.example"]);
    let output = git.args(words).current_dir(dir).output().expect("git is installed");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

type Answer = Response<Full<Bytes>>;

async fn serve(root: PathBuf, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    if let Some(rest) = path.strip_prefix("/moved.git") {
        let to = format!("/shop.git{rest}?{query}");
        return Ok(plain(StatusCode::FOUND, &[("location", &to)]));
    }
    if path.starts_with("/closed.git") {
        let ask = [("www-authenticate", "Basic realm=\"closed\"")];
        return Ok(plain(StatusCode::UNAUTHORIZED, &ask));
    }
    let Ok(body) = body.collect().await else { return Ok(plain(StatusCode::BAD_REQUEST, &[])) };
    let body = body.to_bytes();
    let method = head.method.to_string();
    let run = move || program(&root, [&method, &path, &query], &head.headers, &body);
    Ok(tokio::task::spawn_blocking(run).await.expect("it ends"))
}

fn plain(status: StatusCode, headers: &[(&str, &str)]) -> Answer {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Full::default()).expect("an answer")
}

/// `git http-backend`, which speaks CGI.
fn program(
    root: &Path,
    [method, path, query]: [&str; 3],
    headers: &HeaderMap,
    body: &[u8],
) -> Answer {
    let text = |name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let mut program = Command::new("git");
    program.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    program.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", query);
    program.env("CONTENT_TYPE", text("content-type"));
    program.env("CONTENT_LENGTH", body.len().to_string());
    program.env("HTTP_CONTENT_ENCODING", text("content-encoding"));
    program.env("GIT_PROTOCOL", text("git-protocol"));
    // It runs for root over files of root's.
    program.env("GIT_CONFIG_COUNT", "1");
    program.env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut program = program.spawn().expect("git is installed");
    let mut to = program.stdin.take().expect("piped");
    let body = body.to_owned();
    let writing = std::thread::spawn(move || to.write_all(&body));
    let output = program.wait_with_output().expect("it ends").stdout;
    let _ = writing.join();
    let end = output.windows(4).position(|it| it == b"\r\n\r\n").unwrap_or(output.len());
    let said = String::from_utf8_lossy(&output[..end]).into_owned();
    let mut answer = Response::builder();
    for (name, value) in said.lines().filter_map(|line| line.split_once(": ")) {
        match name {
            "Status" => answer = answer.status(value.split(' ').next().unwrap_or("500")),
            _ => answer = answer.header(name.parse::<HeaderName>().expect("a name"), value),
        }
    }
    let rest = output.get(end + 4..).unwrap_or_default();
    answer.body(Full::from(Bytes::copy_from_slice(rest))).expect("an answer")
}
