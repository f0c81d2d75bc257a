//! The X server and its clients as a command, for suites that are not written in Rust.
//!
//! It reads one command a line and answers each with one line of JSON: an object, with `error` in
//! it where the command failed. It ends, and its X server with it, when its input does.
//!
//! | command | does |
//! |---|---|
//! | `serve xorg\|xvfb WIDTH HEIGHT` | starts an X server: `display`, `xauthority`, `pid` |
//! | `attach NUMBER` | draws on a display without a cookie that somebody else started |
//! | `size WIDTH HEIGHT` | sets the screen's size by RandR |
//! | `kill`, `restart`, `stop`, `cont` | what they say, to the X server |
//! | `text`, `scroll N`, `drag N`, `gradient`, `noise` | draws |
//! | `play MS`, `play scroll MS`, `play drag MS` | draws 60 times a second |
//! | `prepare type\|scroll\|page\|console\|drag\|video\|fullvideo` | opens windows to move: `marks` with `x`, `y`; `area` |
//! | `beat HZ MS` | moves them so often: `beats` in ms since 1970, the `first` of them has this number |
//! | `footage X Y WIDTH HEIGHT FILE` | writes this part of all frames of the video as RGBA: `frames` |
//! | `finish` | closes those windows |
//! | `relay LINK MS` | listens as that link, whose course has this length: `port` |
//! | `relay to PORT`, `relay begin` | leads it there; begins its course: `wellAt` in ms since 1970 |
//! | `image FILE` | writes the screen's pixels as RGBA: `width`, `height` |
//! | `type-log` | opens the window that logs keys and answers each by a square of another colour |
//! | `typed`, `clear`, `focus` | the log: `text`, `strokes`, `buttons`; forgets it; takes the focus |
//! | `held` | `keys` and `buttons` that the server believes to be down, and the pointer's `x`, `y` |

use lattice_tests::beat::{Beat, Motion};
use lattice_tests::footage::{FRAMES, Footage};
use lattice_tests::keylog::{AT, KeyLog, SQUARE, square_color};
use lattice_tests::relay::Relay;
use lattice_tests::scene::{Piece, Scene};
use lattice_tests::shape::Profile;
use lattice_tests::x;
use lattice_tests::xserver::{Program, XServer};
use lattice_wire::{Rect, Size};
use serde_json::{Value, json};
use std::io::{BufRead, Write, stdin, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};
use x11rb::rust_connection::RustConnection;

fn main() {
    // A failure's words go into the answer instead.
    std::panic::set_hook(Box::new(|_| {}));
    let mut stage = Stage::default();
    for line in stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let done = catch_unwind(AssertUnwindSafe(|| stage.obey(&words)));
        let answer = match done {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => json!({ "error": error }),
            Err(panic) => json!({ "error": words_of(&*panic) }),
        };
        let mut out = stdout().lock();
        if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .unwrap_or_else(|| "failed without words".to_owned())
}

/// What was started so far; clients end before their server.
#[derive(Debug, Default)]
struct Stage {
    beat: Option<Beat>,
    scene: Option<Scene>,
    keylog: Option<KeyLog>,
    server: Option<XServer>,
    /// The display of somebody else.
    attached: Option<u32>,
    /// A link, and when it is well again.
    relay: Option<(Relay, Option<Duration>)>,
}

impl Stage {
    fn obey(&mut self, words: &[&str]) -> Result<Value, String> {
        let ok = Ok(json!({}));
        match words {
            ["serve", program, width, height] => return self.serve(program, size(width, height)?),
            ["attach", display] => self.attached = Some(number(display)?),
            ["size", width, height] => self.server()?.set_size(size(width, height)?),
            ["kill"] => {
                self.leave();
                self.server()?.kill();
            }
            ["restart"] => {
                self.leave();
                self.server()?.restart();
            }
            ["stop"] => self.server()?.stop(),
            ["cont"] => self.server()?.cont(),
            ["text"] => self.scene()?.text(),
            ["scroll", lines] => self.scene()?.scroll(number(lines)?),
            ["drag", steps] => self.scene()?.drag(number(steps)?),
            ["gradient"] => self.scene()?.gradient(),
            ["noise"] => self.scene()?.noise(),
            ["play", ms] => self.play(Piece::All, ms)?,
            ["play", "scroll", ms] => self.play(Piece::Scroll, ms)?,
            ["play", "drag", ms] => self.play(Piece::Drag, ms)?,
            ["prepare", motion] => return self.prepare(motion),
            ["beat", hz, ms] => return self.beat(hz, ms),
            ["footage", x, y, width, height, file] => {
                let area = [side(x)?, side(y)?, side(width)?, side(height)?];
                return self.footage(area, file);
            }
            ["finish"] => self.beat = None,
            ["relay", "to", port] => {
                let port: u16 = port.parse().map_err(|_| format!("{port} is no port"))?;
                self.relay()?.0.lead(([127, 0, 0, 1], port).into());
            }
            ["relay", "begin"] => return self.begin(),
            ["relay", link, ms] => {
                let course = Duration::from_millis(u64::from(number(ms)?));
                let profile = Profile::named(link, course);
                let profile = profile.ok_or_else(|| format!("no link is called {link}"))?;
                let (relay, well_at) = (Relay::shaped(&profile), profile.well_at());
                let port = relay.address().port();
                self.relay = Some((relay, well_at));
                return Ok(json!({ "port": port }));
            }
            ["image", file] => return self.image(file),
            ["type-log"] => return self.open_keylog(),
            ["typed"] => return self.typed(),
            ["clear"] => self.keylog()?.clear(),
            ["focus"] => self.keylog()?.focus(),
            ["held"] => {
                let keylog = self.keylog()?;
                let (x, y, mask) = keylog.pointer();
                let buttons = u16::from(mask) >> 8 & 0x1f;
                return Ok(json!({ "keys": keylog.held(), "buttons": buttons, "x": x, "y": y }));
            }
            _ => return Err(format!("unknown command {words:?}")),
        }
        ok
    }

    fn serve(&mut self, program: &str, size: Size) -> Result<Value, String> {
        let program = match program {
            "xorg" => Program::Xorg,
            "xvfb" => Program::Xvfb,
            other => return Err(format!("unknown X server {other}")),
        };
        let server = XServer::start_with(program, size, &[]);
        let answer = json!({
            "display": server.display(),
            "xauthority": server.xauthority(),
            "pid": server.pid(),
        });
        self.server = Some(server);
        Ok(answer)
    }

    fn play(&mut self, piece: Piece, ms: &str) -> Result<(), String> {
        let time = Duration::from_millis(u64::from(number(ms)?));
        self.scene()?.play_piece(piece, time);
        Ok(())
    }

    fn prepare(&mut self, motion: &str) -> Result<Value, String> {
        let motion = match motion {
            "type" => Motion::Type,
            "scroll" => Motion::Scroll,
            "page" => Motion::Page,
            "console" => Motion::Console,
            "drag" => Motion::Drag,
            "video" => Motion::Video,
            "fullvideo" => Motion::FullVideo,
            other => return Err(format!("nothing moves by {other}")),
        };
        self.beat = None;
        let connection = self.connect()?;
        let beat = self.beat.insert(Beat::prepare(connection, motion));
        let marks = beat.marks().into_iter().map(|(x, y)| json!({ "x": x, "y": y }));
        let Rect { x, y, width, height } = beat.area();
        let area = json!({ "x": x, "y": y, "width": width, "height": height });
        Ok(json!({ "marks": marks.collect::<Vec<_>>(), "area": area }))
    }

    fn beat(&mut self, hz: &str, ms: &str) -> Result<Value, String> {
        let hz: f64 = hz.parse().map_err(|_| format!("{hz} is no frequency"))?;
        let time = Duration::from_millis(u64::from(number(ms)?));
        let (first, beats) = self.prepared()?.play(hz, time);
        let beats: Vec<f64> = beats.into_iter().map(milliseconds).collect();
        Ok(json!({ "first": first, "beats": beats }))
    }

    fn footage(&mut self, area: [u16; 4], file: &str) -> Result<Value, String> {
        let [x, y, width, height] = area;
        let size = self.prepared()?.area().size();
        if !size.bounds().is_some_and(|all| all.contains(Rect::new(x, y, width, height))) {
            return Err("that is not all in the picture".to_owned());
        }
        let footage = Footage::new(size);
        let mut row = vec![0; usize::from(size.width)];
        let mut bytes = Vec::new();
        for (number, y) in (0..FRAMES).flat_map(|number| (y..y + height).map(move |y| (number, y)))
        {
            footage.row(number, y, &mut row);
            let part = row.iter().skip(usize::from(x)).take(usize::from(width));
            bytes.extend(part.flat_map(|&pixel| rgba(pixel)));
        }
        std::fs::write(file, bytes).map_err(|error| error.to_string())?;
        Ok(json!({ "frames": FRAMES }))
    }

    fn begin(&mut self) -> Result<Value, String> {
        let (relay, well_at) = self.relay()?;
        relay.begin();
        let well_at = well_at.map(|span| milliseconds(SystemTime::now() + span));
        Ok(json!({ "wellAt": well_at }))
    }

    fn image(&mut self, file: &str) -> Result<Value, String> {
        let image = x::screen_image(&self.connect()?);
        let bytes: Vec<u8> = image.pixels().iter().flat_map(|&pixel| rgba(pixel)).collect();
        std::fs::write(file, bytes).map_err(|error| error.to_string())?;
        Ok(json!({ "width": image.size().width, "height": image.size().height }))
    }

    fn open_keylog(&mut self) -> Result<Value, String> {
        let keylog = KeyLog::open(self.connect()?, self.connect()?);
        self.keylog = Some(keylog);
        let colors: Vec<u32> = (0..4).map(square_color).collect();
        Ok(json!({ "x": AT.0, "y": AT.1, "side": SQUARE, "colors": colors }))
    }

    fn typed(&mut self) -> Result<Value, String> {
        let log = self.keylog()?.log();
        let strokes: Vec<Value> = log
            .strokes
            .iter()
            .map(|stroke| {
                let name = stroke.keysym.name().map(|name| name.trim_start_matches("XK_"));
                json!({ "down": stroke.down, "key": name, "state": u16::from(stroke.state) })
            })
            .collect();
        Ok(json!({ "text": log.text(), "strokes": strokes, "buttons": log.buttons }))
    }

    /// Forgets the clients, whose server is about to go.
    fn leave(&mut self) {
        self.beat = None;
        self.scene = None;
        self.keylog = None;
    }

    fn server(&mut self) -> Result<&mut XServer, String> {
        self.server.as_mut().ok_or_else(|| "no X server: say `serve` first".to_owned())
    }

    fn connect(&mut self) -> Result<RustConnection, String> {
        match self.attached {
            Some(display) => Ok(x::connect(display, &[])),
            None => Ok(self.server()?.connect()),
        }
    }

    fn relay(&mut self) -> Result<&(Relay, Option<Duration>), String> {
        self.relay.as_ref().ok_or_else(|| "no link: say `relay LINK MS` first".to_owned())
    }

    fn prepared(&mut self) -> Result<&mut Beat, String> {
        self.beat.as_mut().ok_or_else(|| "nothing to move: say `prepare` first".to_owned())
    }

    fn scene(&mut self) -> Result<&mut Scene, String> {
        if self.scene.is_none() {
            self.scene = Some(Scene::open(self.connect()?));
        }
        self.scene.as_mut().ok_or_else(|| "no scene".to_owned())
    }

    fn keylog(&mut self) -> Result<&mut KeyLog, String> {
        self.keylog.as_mut().ok_or_else(|| "no log: say `type-log` first".to_owned())
    }
}

/// Since 1970.
fn milliseconds(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |span| span.as_secs_f64() * 1000.0)
}

fn rgba(pixel: u32) -> [u8; 4] {
    let [_, red, green, blue] = pixel.to_be_bytes();
    [red, green, blue, 255]
}

fn size(width: &str, height: &str) -> Result<Size, String> {
    Ok(Size::new(side(width)?, side(height)?))
}

fn side(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{text} is no side of a screen"))
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}
