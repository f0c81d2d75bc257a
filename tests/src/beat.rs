//! What the bench draws: one kind of motion at a steady pace, with the number of each drawing in the
//! picture ([`crate::mark`]).
//!
//! Each drawing happens under a server grab, so nobody who reads the screen meets half of it: where
//! the numbers in the corners of a shown frame disagree, somebody else tore it.

use crate::footage::{FRAMES, Footage, frame_of};
use crate::mark;
use crate::scene::{Random, create_gc, create_window, put_image};
use crate::x::{root, sync};
use lattice_wire::{Rect, Size};
use std::time::{Duration, Instant, SystemTime};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    ChangeGCAux, ConfigureWindowAux, ConnectionExt, Gcontext, Pixmap, Rectangle, Window,
};
use x11rb::rust_connection::RustConnection;

const LINE: u16 = 15;
const LETTER: i16 = 6;
const MARGIN: u16 = 24;
const INK: u32 = 0x0010_4080;
const PAPER: u32 = 0x00fb_fbf8;
const CARD: Size = Size::new(320, 200);
const PAGE: Size = Size::new(1000, 900);
const VIDEO: Size = Size::new(1280, 720);
const CLIP: Size = Size::new(320, 240);

/// What moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// A letter is typed, with one mark instead of four.
    Type,
    /// A sheet of text scrolls by a line: 1600x960 of it on a screen of 1920x1080. It is painted
    /// anew as a whole each time, as browsers and toolkits do: they draw out of sight and put the
    /// result into their window, so the X server knows of no movement.
    Scroll,
    /// The same with 1000x900 of it.
    Page,
    /// The same as [`Motion::Scroll`], but the window itself is moved by a copy in the X server, as
    /// terminals do.
    Console,
    /// A window is dragged.
    Drag,
    /// Video in a window of 1280x720.
    Video,
    /// Video all over the screen.
    FullVideo,
    /// Video of 320x240 in the bottom right corner, which leaves room for other things.
    Clip,
}

/// Windows that are ready to move. They go with the connection.
#[derive(Debug)]
pub struct Beat {
    connection: RustConnection,
    motion: Motion,
    gc: Gcontext,
    screen: Size,
    window: Window,
    area: Rect,
    /// Windows of the marks; none where they are part of a video's picture.
    strips: Vec<Window>,
    frames: Vec<Pixmap>,
    /// Where the next picture of the window is drawn out of sight, if it is.
    buffer: Option<Pixmap>,
    random: Random,
    drawn: u32,
}

impl Beat {
    /// Opens the windows, uploads what will be played, and makes the first drawing, number 0.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn prepare(connection: RustConnection, motion: Motion) -> Self {
        let geometry = connection.get_geometry(root(&connection)).expect("send").reply();
        let geometry = geometry.expect("root's geometry");
        let screen = Size::new(geometry.width, geometry.height);
        let area = area_of(motion, screen);
        let window = create_window(&connection, (area.x as i16, area.y as i16), area.size(), PAPER);
        let gc = create_gc(&connection, window);
        connection.map_window(window).expect("send");
        let mut beat = Self {
            connection,
            motion,
            gc,
            screen,
            window,
            area,
            strips: Vec::new(),
            frames: Vec::new(),
            buffer: None,
            random: Random(1),
            drawn: 0,
        };
        if matches!(motion, Motion::Scroll | Motion::Page) {
            beat.buffer = Some(beat.create_pixmap());
        }
        match motion {
            Motion::Video | Motion::FullVideo | Motion::Clip => beat.upload(),
            Motion::Type => beat.open_strips(),
            Motion::Scroll | Motion::Page | Motion::Console | Motion::Drag => {
                (0..area.height / LINE).for_each(|row| beat.line(row));
                beat.open_strips();
            }
        }
        beat.draw();
        sync(&beat.connection);
        beat
    }

    /// Where the marks are on the screen: in the four corners of what moves, or in one of them.
    pub fn marks(&self) -> Vec<(i16, i16)> {
        let count = if self.motion == Motion::Type { 1 } else { 4 };
        let area = if self.frames.is_empty() { whole(self.screen) } else { self.area };
        corners(area).into_iter().take(count).collect()
    }

    /// The part of the screen that the window covers, or covered before it moved.
    pub fn area(&self) -> Rect {
        self.area
    }

    /// Draws `hz` times a second for a while. The answer is the number of the first drawing, and
    /// when each was sent to the server.
    pub fn play(&mut self, hz: f64, time: Duration) -> (u32, Vec<SystemTime>) {
        let first = self.drawn;
        let start = Instant::now();
        let mut times = Vec::new();
        while start.elapsed() < time {
            self.draw();
            times.push(SystemTime::now());
            sync(&self.connection);
            let next = Duration::from_secs_f64(times.len() as f64 / hz);
            std::thread::sleep(next.saturating_sub(start.elapsed()));
        }
        (first, times)
    }

    /// One drawing, all of it at one moment of the server.
    fn draw(&mut self) {
        let number = self.drawn;
        self.drawn += 1;
        self.connection.grab_server().expect("send");
        match self.motion {
            Motion::Type => self.letter(number),
            Motion::Scroll | Motion::Page | Motion::Console => self.scroll(),
            Motion::Drag => self.drag(number),
            Motion::Video | Motion::FullVideo | Motion::Clip => self.show(number),
        }
        self.strips.iter().for_each(|&strip| self.mark(strip, (0, 0), number));
        self.connection.ungrab_server().expect("send");
    }

    fn letter(&mut self, number: u32) {
        let columns = u32::from(self.area.width) / LETTER as u32 - 1;
        let rows = u32::from(self.area.height / LINE);
        let (column, row) = (number % columns, number / columns % rows);
        self.ink(INK);
        let at = (column as i16 * LETTER, (row as i16 + 1) * LINE as i16 - 3);
        let letter = [b'a' + self.random.below(26) as u8];
        self.connection.image_text8(self.window, self.gc, at.0, at.1, &letter).expect("send");
    }

    fn scroll(&mut self) {
        let (sheet, last) = (self.sheet(), self.area.height / LINE - 1);
        let (step, width, height) = (LINE as i16, self.area.width, last * LINE);
        self.connection
            .copy_area(sheet, sheet, self.gc, 0, step, 0, 0, width, height)
            .expect("send");
        self.line(last);
        if let Some(buffer) = self.buffer {
            self.put(buffer);
        }
    }

    /// What text is drawn into.
    fn sheet(&self) -> u32 {
        self.buffer.unwrap_or(self.window)
    }

    /// Shows a picture of the window's size.
    fn put(&self, picture: Pixmap) {
        let Size { width, height } = self.area.size();
        self.connection
            .copy_area(picture, self.window, self.gc, 0, 0, 0, 0, width, height)
            .expect("send");
    }

    fn create_pixmap(&self) -> Pixmap {
        let Size { width, height } = self.area.size();
        let depth = self.connection.setup().roots[0].root_depth;
        let pixmap = self.connection.generate_id().expect("an id is left");
        self.connection.create_pixmap(depth, pixmap, self.window, width, height).expect("send");
        pixmap
    }

    /// To and fro on a slope.
    fn drag(&self, number: u32) {
        let path = |step: u32, room: u16| {
            let room = u32::from(room).max(1);
            let at = number * step % (2 * room);
            at.min(2 * room - at) as i32
        };
        let x = path(7, self.screen.width.saturating_sub(CARD.width));
        let y = path(3, self.screen.height.saturating_sub(CARD.height));
        let to = ConfigureWindowAux::new().x(x).y(y);
        self.connection.configure_window(self.window, &to).expect("send");
    }

    /// The marks are drawn into the frame before it is shown, over those of its last time.
    fn show(&self, number: u32) {
        let frame = self.frames[frame_of(number) as usize];
        for at in corners(whole(self.area.size())) {
            self.mark(frame, at, number);
        }
        self.put(frame);
    }

    fn mark(&self, drawable: u32, at: (i16, i16), number: u32) {
        for (white, color) in [(true, 0x00ff_ffff), (false, 0)] {
            self.ink(color);
            let blocks = mark::rectangles(number, white, at);
            self.connection.poly_fill_rectangle(drawable, self.gc, &blocks).expect("send");
        }
    }

    /// Clears a line of the sheet and writes words into it.
    fn line(&mut self, row: u16) {
        let (y, width) = ((row * LINE) as i16, self.area.width);
        self.ink(PAPER);
        let line = Rectangle { x: 0, y, width, height: LINE };
        self.connection.poly_fill_rectangle(self.sheet(), self.gc, &[line]).expect("send");
        self.ink(INK);
        let room = usize::from(width) / LETTER as usize - 2;
        let text = self.random.words(room.min(255));
        let (x, y) = (LETTER, y + LINE as i16 - 3);
        self.connection.image_text8(self.sheet(), self.gc, x, y, text.as_bytes()).expect("send");
    }

    fn ink(&self, color: u32) {
        let ink = ChangeGCAux::new().foreground(color).background(PAPER);
        self.connection.change_gc(self.gc, &ink).expect("send");
    }

    fn open_strips(&mut self) {
        let size = Size::new(mark::WIDTH, mark::BLOCK);
        let marks = self.marks();
        self.strips =
            marks.iter().map(|&at| create_window(&self.connection, at, size, 0)).collect();
        for &strip in &self.strips {
            self.connection.map_window(strip).expect("send");
        }
    }

    fn upload(&mut self) {
        let size = self.area.size();
        let footage = Footage::new(size);
        for number in 0..FRAMES {
            let frame = self.create_pixmap();
            let picture = footage.frame(number);
            let mut pixels = picture.pixels().iter();
            let next = |_, _| *pixels.next().expect("as many pixels as the size says");
            put_image(&self.connection, (frame, self.gc), (0, 0), size, next);
            self.frames.push(frame);
        }
    }
}

/// Where the window of a motion is.
fn area_of(motion: Motion, screen: Size) -> Rect {
    let Size { width, height } = screen;
    match motion {
        Motion::Type => Rect::new(width / 3, height / 3, width / 3, height / 3),
        Motion::Scroll | Motion::Console => {
            Rect::new(MARGIN, MARGIN, width / 6 * 5, height / 9 * 8)
        }
        Motion::Page => {
            let Size { width: wide, height: high } = PAGE;
            Rect::new(MARGIN, MARGIN, wide.min(width - MARGIN), high.min(height - MARGIN))
        }
        Motion::Drag => Rect::new(0, 0, CARD.width, CARD.height),
        Motion::Video => {
            let (wide, high) = (VIDEO.width.min(width), VIDEO.height.min(height));
            Rect::new((width - wide) / 2, (height - high) / 2, wide, high)
        }
        Motion::FullVideo => whole(screen),
        Motion::Clip => {
            let (wide, high) = (CLIP.width.min(width), CLIP.height.min(height));
            Rect::new(width - wide, height - high, wide, high)
        }
    }
}

fn whole(size: Size) -> Rect {
    Rect::new(0, 0, size.width, size.height)
}

/// Where strips in the corners of an area begin. The first is in the bottom right.
fn corners(area: Rect) -> [(i16, i16); 4] {
    let (left, top) = (area.x as i16, area.y as i16);
    let (right, bottom) =
        ((area.right() - mark::WIDTH) as i16, (area.bottom() - mark::BLOCK) as i16);
    [(right, bottom), (left, top), (right, top), (left, bottom)]
}
