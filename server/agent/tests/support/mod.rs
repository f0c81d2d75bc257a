//! A gateway that knows one agent and paints what it sends.

use bytes::Bytes;
use lattice_engine::digest::band_hash;
use lattice_engine::picture::Picture;
use lattice_wire::picture::BAND_HEIGHT;
use lattice_wire::{
    Availability, Digest, DisplayState, Frame, FrameRef, FromAgent, OpKind, Rect, ToAgent, VERSION,
};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const TOKEN: &str = "a token of the tests";

/// A running agent, ended and its socket removed when this goes.
pub(crate) struct Agent {
    child: Child,
    pub(crate) socket: PathBuf,
}

impl Agent {
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        let socket = std::env::temp_dir().join(format!("lattice-{}-{name}", std::process::id()));
        let child = Command::new(env!("CARGO_BIN_EXE_lattice-agent"))
            .args(arguments)
            .args(["--exit-on-eof", "--listen"])
            .arg(&socket)
            .env("LATTICE_AGENT_TOKEN", TOKEN)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the agent starts");
        Self { child, socket }
    }

    /// Ends the agent's standard input and waits for it to exit by itself.
    pub(crate) fn wait_after_eof(&mut self) -> bool {
        drop(self.child.stdin.take());
        let exited = |child: &mut Child| child.try_wait().is_ok_and(|status| status.is_some());
        wait_for(|| exited(&mut self.child).then_some(())).is_some()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Asks again and again, for ten seconds at most.
pub(crate) fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() > Duration::from_secs(10) {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The gateway's end of a link.
pub(crate) struct Gateway {
    stream: UnixStream,
    pub(crate) picture: Picture,
    pub(crate) at: FrameRef,
    pub(crate) acks: bool,
}

impl Gateway {
    /// Connects and says hello.
    pub(crate) fn connect(socket: &Path, token: &str) -> Self {
        let stream = wait_for(|| UnixStream::connect(socket).ok()).expect("the agent listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
        let mut gateway =
            Self { stream, picture: Picture::default(), at: FrameRef::default(), acks: true };
        gateway.send(&ToAgent::Hello { version: VERSION, token: token.to_owned() });
        gateway
    }

    pub(crate) fn send(&mut self, packet: &ToAgent) {
        let packet = packet.encode();
        self.send_raw(&packet);
    }

    pub(crate) fn send_raw(&mut self, packet: &[u8]) {
        // An agent that refused us has closed the socket: the next read tells.
        let _ = self.stream.write_all(&(packet.len() as u32).to_le_bytes());
        let _ = self.stream.write_all(packet);
    }

    /// The next packet; nothing where the agent closed the link or said nothing for ten seconds.
    pub(crate) fn read(&mut self) -> Option<FromAgent> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).ok()?;
        let mut packet = vec![0; u32::from_le_bytes(len) as usize];
        self.stream.read_exact(&mut packet).ok()?;
        Some(FromAgent::decode(&packet.into()).expect("the agent sends packets"))
    }

    /// Reads until `wanted` finds what it looks for. Frames are painted and acknowledged.
    pub(crate) fn until<T>(
        &mut self,
        mut wanted: impl FnMut(&mut Self, &FromAgent) -> Option<T>,
    ) -> T {
        loop {
            let packet = self.read().expect("the agent goes on talking");
            if let FromAgent::Frame(_, packet) = &packet {
                self.paint(&Frame::decode(packet).expect("a frame can be decoded"));
            }
            if let Some(found) = wanted(self, &packet) {
                return found;
            }
        }
    }

    pub(crate) fn until_live(&mut self) {
        self.until(|_, packet| match packet {
            FromAgent::DisplayState(DisplayState { state: Availability::Live, .. }) => Some(()),
            _ => None,
        });
    }

    pub(crate) fn until_lost(&mut self) -> String {
        self.until(|_, packet| match packet {
            FromAgent::DisplayState(DisplayState { state: Availability::Lost, reason }) => {
                Some(reason.clone())
            }
            _ => None,
        })
    }

    /// Reads until a frame comes.
    pub(crate) fn until_frame(&mut self) -> Frame {
        self.until(|_, packet| match packet {
            FromAgent::Frame(_, packet) => Frame::decode(packet).ok(),
            _ => None,
        })
    }

    /// Reads until the agent says what the picture hashes to, and whether ours does so.
    pub(crate) fn until_exact(&mut self) -> bool {
        self.until(|gateway, packet| gateway.agrees_with(packet))
    }

    /// Whether our picture hashes to what the packet says, if it is a digest of it.
    pub(crate) fn agrees_with(&self, packet: &FromAgent) -> Option<bool> {
        let FromAgent::Digest(at, packet) = packet else { return None };
        let digest = Digest::decode(packet).expect("a digest can be decoded");
        let width = usize::from(digest.size.width);
        let bands = self.picture.pixels().chunks(width * usize::from(BAND_HEIGHT));
        (*at == self.at).then(|| bands.map(band_hash).eq(digest.bands))
    }

    fn paint(&mut self, frame: &Frame) {
        if let Some(size) = frame.flags.keyframe {
            self.picture = Picture::new(size);
        }
        let before = self.picture.clone();
        for op in &frame.ops {
            if let OpKind::Copy(from) = op.kind {
                let source = Rect { x: from.x, y: from.y, ..op.rect };
                copy(&mut self.picture, op.rect, before.rows(source));
            }
        }
        for op in &frame.ops {
            match &op.kind {
                OpKind::Copy(_) => {}
                OpKind::Fill(color) => self.picture.fill(op.rect, *color),
                OpKind::Png(png) => self.put(op.rect, &decode_png(png)),
                OpKind::Palette(data) => self.put(op.rect, &decode_palette(op.rect, data)),
                // What is lossy is made exact later, whoever decodes it meanwhile.
                OpKind::Video(_) => {}
            }
        }
        self.at = frame.at;
        if self.acks {
            self.send(&ToAgent::Painted(frame.at));
        }
    }

    fn put(&mut self, rect: Rect, pixels: &[u32]) {
        assert_eq!(pixels.len(), rect.area());
        copy(&mut self.picture, rect, pixels.chunks_exact(usize::from(rect.width)));
    }
}

fn copy<'a>(picture: &mut Picture, to: Rect, rows: impl Iterator<Item = &'a [u32]>) {
    picture.rows_mut(to).zip(rows).for_each(|(to, from)| to.copy_from_slice(from));
}

fn decode_png(data: &Bytes) -> Vec<u32> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(data));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().expect("a PNG has a header");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a tile is small")];
    let info = reader.next_frame(&mut bytes).expect("a PNG has a picture");
    let channels = info.color_type.samples();
    let pixel = |at: &[u8]| match channels {
        1 | 2 => u32::from(at[0]) * 0x01_0101,
        _ => u32::from(at[0]) << 16 | u32::from(at[1]) << 8 | u32::from(at[2]),
    };
    bytes[..info.buffer_size()].chunks_exact(channels).map(pixel).collect()
}

fn decode_palette(rect: Rect, data: &Bytes) -> Vec<u32> {
    let (colors, channels) =
        (usize::from(data[0] & 0x3f) + 1, if data[0] & 0x80 == 0 { 3 } else { 1 });
    let index_bits = (0..7).find(|&bits| 1 << bits >= colors).expect("at most 64 colours");
    let (palette, packed) = data[1..].split_at(colors * channels);
    let color = |index: usize| {
        let rgb = &palette[index * channels..][..channels];
        u32::from_be_bytes([0, rgb[0], rgb[channels / 2], rgb[channels - 1]])
    };
    let mut bits = packed.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut read = |count: u32| {
        (0..count).fold(0, |all, _| all << 1 | usize::from(bits.next().expect("enough bits")))
    };
    let mut pixels: Vec<u32> = Vec::new();
    for row in 0..rect.height {
        if row > 0 && read(1) == 1 {
            pixels.extend_from_within(pixels.len() - usize::from(rect.width)..);
        } else {
            pixels.extend((0..rect.width).map(|_| color(read(index_bits))));
        }
    }
    pixels
}
