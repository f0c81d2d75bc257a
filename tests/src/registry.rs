//! A registry of one image, on loopback, that can be made to lie: what an app comes from, and whoever
//! puts another in its place.

use lattice_gateway::template::digest;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What it does about what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// It answers.
    Honest,
    /// It gives another manifest than it is asked for by its digest.
    OtherManifest,
    /// It gives another layer.
    OtherLayer,
    /// It has nothing any more.
    Empty,
    /// It begins to give a layer, and stops in the middle for so long.
    Slow(Duration),
}

/// A registry, until it is dropped.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    manners: Manners,
    image: Image,
    /// How often a layer was asked for.
    layers: usize,
}

#[derive(Debug, Clone)]
struct Image {
    manifest: String,
    config: String,
    layer: String,
}

impl Image {
    /// With one file, which says this.
    fn of(words: &str) -> Self {
        let layer = tar("hello", words);
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/hello"] },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", digest(&layer))] },
        })
        .to_string();
        let part = |kind: &str, text: &str| json!({ "mediaType": kind, "size": text.len(), "digest": format!("sha256:{}", digest(text)) });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": part("application/vnd.docker.container.image.v1+json", &config),
            "layers": [part("application/vnd.docker.image.rootfs.diff.tar.gzip", &layer)],
        })
        .to_string();
        Self { manifest, config, layer }
    }
}

/// An archive of one file. All of it is text, as its words are.
fn tar(name: &str, words: &str) -> String {
    let mut header = vec![0_u8; 512];
    let fields: [(usize, String); 6] = [
        (0, name.to_owned()),
        (100, "0000755\0".to_owned()),
        (108, "0000000\0".repeat(2)),
        (124, format!("{:011o}\0", words.len())),
        (136, "00000000000\0".to_owned()),
        (148, "        0".to_owned()),
    ];
    for (at, field) in fields {
        header[at..at + field.len()].copy_from_slice(field.as_bytes());
    }
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = header;
    bytes.extend_from_slice(words.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
    String::from_utf8(bytes).expect("it is text")
}

impl Registry {
    /// With an image of one file, which says this.
    ///
    /// # Panics
    /// Where no port is free.
    pub fn start(words: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let image = Image::of(words);
        let state = Arc::new(Mutex::new(State { manners: Manners::Honest, image, layers: 0 }));
        let own = Arc::downgrade(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(state) = own.upgrade() else { return };
                thread::spawn(move || while answer(&stream, &state) {});
            }
        });
        Self { address, state }
    }

    /// From now on it has this image instead, also by the digest of the one before.
    pub fn swap(&self, words: &str) {
        self.state().image = Image::of(words);
    }

    /// From now on it is so.
    pub fn behave(&self, manners: Manners) {
        self.state().manners = manners;
    }

    /// How often a layer was asked for.
    pub fn layers(&self) -> usize {
        self.state().layers
    }

    /// The name of its image, by its digest.
    pub fn image(&self) -> String {
        let digest = digest(&self.state().image.manifest);
        format!("{}/hello@sha256:{digest}", self.address)
    }

    fn empty(&self) -> State {
        State { manners: Manners::Empty, image: self.state().image.clone(), layers: 0 }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Whoever waits for the next sees that nobody needs it any more.
        let empty = Arc::new(Mutex::new(self.empty()));
        drop(std::mem::replace(&mut self.state, empty));
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers one request; whether another may come.
fn answer(mut stream: &TcpStream, state: &Mutex<State>) -> bool {
    let mut lines = BufReader::new(stream).lines();
    let Some(Ok(first)) = lines.next() else { return false };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let mut locked = state.lock().unwrap_or_else(PoisonError::into_inner);
    let Image { manifest, config, layer } = locked.image.clone();
    let manners = locked.manners;
    let is_layer = path.ends_with(&digest(&layer))
        || path.contains("/blobs/") && !path.ends_with(&digest(&config));
    locked.layers += usize::from(is_layer);
    drop(locked);
    let kind;
    let body = match path {
        "/v2/" => {
            kind = "application/json";
            "{}".to_owned()
        }
        _ if manners == Manners::Empty => {
            return reply(stream, method, "404 Not Found", MISSING, MISSING_BODY);
        }
        _ if path.contains("/manifests/") => {
            kind = MANIFEST;
            match manners {
                Manners::OtherManifest => Image::of("evil").manifest,
                _ => manifest,
            }
        }
        _ if is_layer => {
            kind = "application/octet-stream";
            match manners {
                Manners::OtherLayer => layer.replace('a', "e"),
                _ => layer,
            }
        }
        _ => {
            kind = "application/octet-stream";
            config
        }
    };
    if let (Manners::Slow(pause), true) = (manners, is_layer) {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let half = body.len() / 2;
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&body.as_bytes()[..half]));
        thread::sleep(pause);
        return stream.write_all(&body.as_bytes()[half..]).is_ok();
    }
    reply(stream, method, "200 OK", kind, &body)
}

const MISSING: &str = "application/json";
const MISSING_BODY: &str =
    r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;

fn reply(mut stream: &TcpStream, method: &str, status: &str, kind: &str, body: &str) -> bool {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Docker-Distribution-Api-Version: registry/2.0\r\n\r\n",
        body.len()
    );
    let body = if method == "HEAD" { "" } else { body };
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_ok()
}
