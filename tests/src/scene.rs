//! An X client that draws what desktops draw, the same on every run: text, scrolling text, windows
//! that are dragged, gradients and noise.

use crate::x::{root, sync};
use lattice_wire::Size;
use std::time::{Duration, Instant};
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    ChangeGCAux, ConfigureWindowAux, ConnectionExt, CreateGCAux, CreateWindowAux, Gcontext,
    ImageFormat, Rectangle, StackMode, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

const LINE: i16 = 15;
const INDENT: i16 = 6;
const CARD: (u16, u16) = (320, 200);
const PAPER_AT: i16 = 24;
const INK: [u32; 4] = [0x0020_2020, 0x0010_4080, 0x0080_2010, 0x0020_6030];
const PAPER: u32 = 0x00fb_fbf8;

/// What a scene plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// Text scrolls.
    Scroll,
    /// A window is dragged.
    Drag,
    /// Both, and pictures now and then.
    All,
}

/// Windows of our own on somebody's display.
#[derive(Debug)]
pub struct Scene {
    connection: RustConnection,
    screen: Size,
    paper: Window,
    paper_size: Size,
    card: Window,
    gc: Gcontext,
    random: Random,
    lines: u32,
    moves: u32,
}

impl Scene {
    /// Opens the windows: a sheet of paper over most of the screen and a card above it.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn open(connection: RustConnection) -> Self {
        let geometry = connection.get_geometry(root(&connection)).expect("send").reply();
        let geometry = geometry.expect("root's geometry");
        let screen = Size::new(geometry.width, geometry.height);
        let paper_size = Size::new((screen.width * 2 / 3).max(1), (screen.height * 4 / 5).max(1));
        let at = (PAPER_AT, PAPER_AT);
        let paper = create_window(&connection, at, paper_size, PAPER);
        let card = create_window(&connection, (300, 60), Size::new(CARD.0, CARD.1), 0x00d8_e4f0);
        let gc = create_gc(&connection, paper);
        let (random, lines, moves) = (Random(1), 0, 0);
        let mut scene =
            Self { connection, screen, paper, paper_size, card, gc, random, lines, moves };
        scene.connection.map_window(scene.paper).expect("send");
        scene.text();
        scene
    }

    /// The connection that draws.
    pub fn connection(&self) -> &RustConnection {
        &self.connection
    }

    /// Fills the paper with lines of text.
    pub fn text(&mut self) {
        let size = self.paper_size;
        self.fill(PAPER, (0, 0), size);
        for row in 0..size.height as i16 / LINE {
            self.line(row * LINE);
        }
        sync(&self.connection);
    }

    /// Scrolls the paper up line by line, each with its new last line.
    pub fn scroll(&mut self, lines: u32) {
        for _ in 0..lines {
            self.scroll_once();
            sync(&self.connection);
        }
    }

    /// Drags the card in steps across the screen.
    pub fn drag(&mut self, steps: u32) {
        if self.moves == 0 {
            self.show_card();
        }
        for _ in 0..steps {
            self.drag_once();
            sync(&self.connection);
        }
    }

    /// A horizontal and vertical blend of colours, no two pixels of a row alike.
    pub fn gradient(&mut self) {
        let size = Size::new(self.paper_size.width.min(512), self.paper_size.height.min(256));
        let color = |x: u32, y: u32| (x / 2) << 16 | (y & 0xff) << 8 | ((x + y) & 0xff);
        self.put_image(size, color);
    }

    /// Noise that nothing compresses.
    pub fn noise(&mut self) {
        let size = Size::new(self.paper_size.width.min(400), self.paper_size.height.min(300));
        let mut random = Random(self.random.number() | 1);
        self.put_image(size, |_, _| random.number() & 0x00ff_ffff);
    }

    /// The same in a window of its own in a corner of the screen, as large as wanted.
    pub fn noise_window(&mut self, size: Size) {
        let window = create_window(&self.connection, (0, 0), size, PAPER);
        self.connection.map_window(window).expect("send");
        let mut random = Random(self.random.number() | 1);
        let color = |_, _| random.number() & 0x00ff_ffff;
        put_image(&self.connection, (window, self.gc), (0, 0), size, color);
    }

    /// One pixel of a colour, anywhere on the paper.
    pub fn dot(&mut self, x: i16, y: i16, color: u32) {
        self.fill(color, (x, y), Size::new(1, 1));
        sync(&self.connection);
    }

    /// A rectangle of a colour.
    pub fn rectangle(&mut self, at: (i16, i16), size: Size, color: u32) {
        self.fill(color, at, size);
        sync(&self.connection);
    }

    /// Everything at once for a while: text scrolls and the card moves, 60 times a second.
    pub fn play(&mut self, time: Duration) {
        self.play_piece(Piece::All, time);
    }

    /// One kind of motion for a while, 60 times a second.
    pub fn play_piece(&mut self, piece: Piece, time: Duration) {
        if piece != Piece::Scroll {
            self.show_card();
        }
        let start = Instant::now();
        let mut tick = 0;
        while start.elapsed() < time {
            if piece != Piece::Drag {
                self.scroll_once();
            }
            if piece != Piece::Scroll {
                self.drag_once();
            }
            if piece == Piece::All && tick % 16 == 0 {
                self.gradient();
            }
            sync(&self.connection);
            tick += 1;
            std::thread::sleep((Duration::from_millis(16) * tick).saturating_sub(start.elapsed()));
        }
    }

    fn scroll_once(&mut self) {
        let Size { width, height } = self.paper_size;
        let rows = height / LINE as u16;
        let last = (rows as i16 - 1) * LINE;
        let paper = self.paper;
        self.connection
            .copy_area(paper, paper, self.gc, 0, LINE, 0, 0, width, last as u16)
            .expect("send");
        self.fill(PAPER, (0, last), Size::new(width, LINE as u16));
        self.line(last);
    }

    fn drag_once(&mut self) {
        self.moves += 1;
        let path = |number: u32, room: u16| {
            // To and fro.
            let room = u32::from(room).max(1);
            let at = number % (2 * room);
            at.min(2 * room - at) as i32
        };
        let x = path(self.moves * 7, self.screen.width.saturating_sub(CARD.0));
        let y = path(self.moves * 3, self.screen.height.saturating_sub(CARD.1));
        let to = ConfigureWindowAux::new().x(x).y(y);
        self.connection.configure_window(self.card, &to).expect("send");
    }

    fn show_card(&mut self) {
        self.connection.map_window(self.card).expect("send");
        let top = ConfigureWindowAux::new().stack_mode(StackMode::ABOVE);
        self.connection.configure_window(self.card, &top).expect("send");
        for row in 0..12 {
            let ink = ChangeGCAux::new().foreground(INK[row % 4]).background(0x00d8_e4f0);
            self.connection.change_gc(self.gc, &ink).expect("send");
            let text = self.random.words(40);
            let y = (row as i16 + 1) * LINE;
            self.connection
                .image_text8(self.card, self.gc, INDENT, y, text.as_bytes())
                .expect("send");
        }
    }

    /// A line of text whose top is at `y`.
    fn line(&mut self, y: i16) {
        self.lines += 1;
        let ink = INK[(self.lines / 5 % 4) as usize];
        let colors = ChangeGCAux::new().foreground(ink).background(PAPER);
        self.connection.change_gc(self.gc, &colors).expect("send");
        let room = usize::from(self.paper_size.width / 6).saturating_sub(4).min(200);
        let length = room * (20 + self.random.below(80) as usize) / 100;
        let text = format!("{:>5} {}", self.lines, self.random.words(length));
        let text = &text.as_bytes()[..text.len().min(255)];
        self.connection.image_text8(self.paper, self.gc, INDENT, y + 12, text).expect("send");
    }

    fn fill(&self, color: u32, at: (i16, i16), size: Size) {
        let ink = ChangeGCAux::new().foreground(color);
        self.connection.change_gc(self.gc, &ink).expect("send");
        let (x, y) = at;
        let area = Rectangle { x, y, width: size.width, height: size.height };
        self.connection.poly_fill_rectangle(self.paper, self.gc, &[area]).expect("send");
    }

    fn put_image(&self, size: Size, color: impl FnMut(u32, u32) -> u32) {
        put_image(&self.connection, (self.paper, self.gc), (10, 10), size, color);
    }
}

/// Paints a picture, row by row, in strips that fit into one request each.
pub(crate) fn put_image(
    connection: &RustConnection,
    (drawable, gc): (u32, Gcontext),
    (left, upper): (i16, i16),
    size: Size,
    mut color: impl FnMut(u32, u32) -> u32,
) {
    const ROWS: u16 = 32;
    let depth = connection.setup().roots[0].root_depth;
    for top in (0..size.height).step_by(usize::from(ROWS)) {
        let (width, rows) = (size.width, ROWS.min(size.height - top));
        let mut data = Vec::with_capacity(usize::from(width) * usize::from(rows) * 4);
        for y in top..top + rows {
            for x in 0..width {
                data.extend(color(u32::from(x), u32::from(y)).to_le_bytes());
            }
        }
        let (kind, y) = (ImageFormat::Z_PIXMAP, upper + top as i16);
        connection
            .put_image(kind, drawable, gc, width, rows, left, y, 0, depth, &data)
            .expect("send");
    }
    sync(connection);
}

/// A window straight below the root that no window manager touches.
pub fn create_window(
    connection: &RustConnection,
    (x, y): (i16, i16),
    size: Size,
    color: u32,
) -> Window {
    let window = connection.generate_id().expect("an id is left");
    let values = CreateWindowAux::new().override_redirect(1).background_pixel(color);
    connection
        .create_window(
            COPY_DEPTH_FROM_PARENT,
            window,
            root(connection),
            x,
            y,
            size.width,
            size.height,
            0,
            WindowClass::INPUT_OUTPUT,
            0,
            &values,
        )
        .expect("send");
    window
}

/// A context to draw with, in the font that every server has built in.
pub(crate) fn create_gc(connection: &RustConnection, window: Window) -> Gcontext {
    let font = connection.generate_id().expect("an id is left");
    connection.open_font(font, b"fixed").expect("send").check().expect("open the font fixed");
    let gc = connection.generate_id().expect("an id is left");
    let values = CreateGCAux::new().font(font).graphics_exposures(0);
    connection.create_gc(gc, window, &values).expect("send");
    connection.close_font(font).expect("send");
    connection.sync().expect("the server answers");
    gc
}

/// The random numbers of every run (xorshift).
#[derive(Debug, Clone)]
pub struct Random(pub u32);

impl Random {
    /// Any number but 0.
    pub fn number(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u32) -> u32 {
        self.number() % limit
    }

    pub(crate) fn words(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        let mut word = 0;
        for _ in 0..length {
            if word == 0 {
                word = 2 + self.below(8);
                text.push(' ');
            } else {
                word -= 1;
                text.push(char::from(b'a' + self.below(26) as u8));
            }
        }
        text
    }
}
