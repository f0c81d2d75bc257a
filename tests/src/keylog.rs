//! An X client that has the keyboard and writes down what it gets, as any program would read it:
//! with the keyboard mapping that it fetches anew whenever the server says that it changed.

use crate::scene::create_window;
use crate::wait::{GENEROUS, eventually};
use crate::x::{root, sync};
use lattice_wire::Size;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    ButtonPressEvent, ChangeGCAux, ChangeWindowAttributesAux, ConfigureWindowAux, ConnectionExt,
    CreateGCAux, EventMask, Gcontext, InputFocus, KeyButMask, KeyPressEvent, Rectangle, StackMode,
    Window,
};
use x11rb::rust_connection::RustConnection;
use xkeysym::Keysym;

/// The side of the square that changes its colour with each key.
pub const SQUARE: u16 = 48;
/// Where the log's window is on the screen.
pub const AT: (i16, i16) = (8, 8);

/// The colour that the square has after so many keys: neighbours differ in every channel.
pub fn square_color(keys: u32) -> u32 {
    match keys % 4 {
        0 => 0x0020_c040,
        1 => 0x00e0_4090,
        2 => 0x0040_80e0,
        _ => 0x00f0_e010,
    }
}

/// A key that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stroke {
    /// Pressed or released.
    pub down: bool,
    /// What it means with the mapping and modifiers of that moment.
    pub keysym: Keysym,
    /// The modifiers before it.
    pub state: KeyButMask,
    /// Its number.
    pub keycode: u8,
}

/// Everything that came.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Keys, in order.
    pub strokes: Vec<Stroke>,
    /// Buttons, in order: number, pressed or released, where on the screen.
    pub buttons: Vec<(u8, bool, i16, i16)>,
    /// How often the mapping changed.
    pub mappings: u32,
}

impl Log {
    /// The characters that were typed.
    pub fn text(&self) -> String {
        self.presses().filter_map(|stroke| stroke.keysym.key_char()).collect()
    }

    /// The keys that were pressed and are no modifiers, with the modifiers that were held.
    pub fn presses(&self) -> impl Iterator<Item = &Stroke> {
        self.strokes.iter().filter(|stroke| stroke.down && !is_modifier(stroke.keysym))
    }
}

/// A window with the focus, and what it got.
#[derive(Debug)]
pub struct KeyLog {
    log: Arc<Mutex<Log>>,
    remote: RustConnection,
    window: Window,
}

impl KeyLog {
    /// Opens the window on `connection` and gives it the focus; `remote` is a second connection to
    /// the same server.
    ///
    /// # Panics
    /// Where the window does not get the focus.
    pub fn open(connection: RustConnection, remote: RustConnection) -> Self {
        let window = create_window(&connection, AT, Size::new(SQUARE * 2, SQUARE * 2), 0);
        let log = Arc::new(Mutex::new(Log::default()));
        let events = EventMask::KEY_PRESS
            | EventMask::KEY_RELEASE
            | EventMask::BUTTON_PRESS
            | EventMask::BUTTON_RELEASE;
        let values = ChangeWindowAttributesAux::new().event_mask(events);
        connection.change_window_attributes(window, &values).expect("send");
        connection.map_window(window).expect("send");
        let top = ConfigureWindowAux::new().stack_mode(StackMode::ABOVE);
        connection.configure_window(window, &top).expect("send");
        sync(&connection);
        let own = log.clone();
        std::thread::spawn(move || Listener::new(connection, window, own).run());
        let keylog = Self { log, remote, window };
        keylog.focus();
        keylog
    }

    /// Takes the focus (again).
    ///
    /// # Panics
    /// Where the window does not get it.
    pub fn focus(&self) {
        eventually("the log to have the focus", || {
            let now = x11rb::CURRENT_TIME;
            let set = self.remote.set_input_focus(InputFocus::POINTER_ROOT, self.window, now);
            set.expect("send");
            let focus = self.remote.get_input_focus().expect("send").reply();
            focus.expect("the server answers").focus == self.window
        });
    }

    /// What came so far.
    pub fn log(&self) -> Log {
        self.log.lock().expect("no holder of the lock panics").clone()
    }

    /// Forgets what came so far.
    pub fn clear(&self) {
        *self.log.lock().expect("no holder of the lock panics") = Log::default();
    }

    /// Waits until the typed text is this.
    ///
    /// # Panics
    /// With what came instead.
    pub fn expect_text(&self, text: &str) {
        let deadline = Instant::now() + GENEROUS;
        while self.log().text() != text {
            let late = Instant::now() >= deadline;
            assert!(!late, "typed {text:?}, got {:?}", self.log().text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The keycodes that the server believes to be held.
    pub fn held(&self) -> Vec<u8> {
        let keys = self.remote.query_keymap().expect("send").reply().expect("the keymap").keys;
        let is_down = |&code: &u8| keys[usize::from(code / 8)] >> (code % 8) & 1 == 1;
        (8..=255).filter(is_down).collect()
    }

    /// Where the pointer is, and which buttons and modifiers are held.
    pub fn pointer(&self) -> (i16, i16, KeyButMask) {
        let root = root(&self.remote);
        let at = self.remote.query_pointer(root).expect("send").reply().expect("the pointer");
        (at.root_x, at.root_y, at.mask)
    }
}

impl Drop for KeyLog {
    fn drop(&mut self) {
        // Closes the listener's connection, so that its thread ends.
        let _ = self.remote.kill_client(self.window);
        let _ = self.remote.flush();
    }
}

/// The thread that reads events.
struct Listener {
    connection: RustConnection,
    window: Window,
    gc: Gcontext,
    mapping: Mapping,
    log: Arc<Mutex<Log>>,
    keys: u32,
}

impl Listener {
    fn new(connection: RustConnection, window: Window, log: Arc<Mutex<Log>>) -> Self {
        let gc = connection.generate_id().expect("an id is left");
        connection.create_gc(gc, window, &CreateGCAux::new()).expect("send");
        let mapping = Mapping::fetch(&connection);
        let listener = Self { connection, window, gc, mapping, log, keys: 0 };
        listener.paint();
        listener
    }

    fn run(mut self) {
        while let Ok(event) = self.connection.wait_for_event() {
            match event {
                Event::KeyPress(key) => self.key(&key, true),
                Event::KeyRelease(key) => self.key(&key, false),
                Event::ButtonPress(button) => self.button(&button, true),
                Event::ButtonRelease(button) => self.button(&button, false),
                Event::MappingNotify(_) => {
                    self.mapping = Mapping::fetch(&self.connection);
                    self.change(|log| log.mappings += 1);
                }
                _ => {}
            }
        }
    }

    fn key(&mut self, event: &KeyPressEvent, down: bool) {
        let keysym = self.mapping.keysym(event.detail, event.state);
        if down && !is_modifier(keysym) {
            self.keys += 1;
            self.paint();
        }
        let (state, keycode) = (event.state, event.detail);
        self.change(|log| log.strokes.push(Stroke { down, keysym, state, keycode }));
    }

    fn button(&self, event: &ButtonPressEvent, down: bool) {
        let seen = (event.detail, down, event.root_x, event.root_y);
        self.change(|log| log.buttons.push(seen));
    }

    /// Answers a key as an editor does: at once, and with few pixels.
    fn paint(&self) {
        let ink = ChangeGCAux::new().foreground(square_color(self.keys));
        let square = Rectangle { x: 0, y: 0, width: SQUARE, height: SQUARE };
        // A server that is gone shows in the next wait for an event.
        let _ = self.connection.change_gc(self.gc, &ink);
        let _ = self.connection.poly_fill_rectangle(self.window, self.gc, &[square]);
        let _ = self.connection.flush();
    }

    fn change(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.log.lock().expect("no holder of the lock panics"));
    }
}

/// What keys mean, as the core protocol tells it.
struct Mapping {
    first: u8,
    per_key: usize,
    keysyms: Vec<u32>,
    /// The modifier bits that choose the third level and the keypad's digits.
    level3: u16,
    num_lock: u16,
}

impl Mapping {
    fn fetch(connection: &RustConnection) -> Self {
        let first = connection.setup().min_keycode;
        let count = connection.setup().max_keycode - first + 1;
        let keys = connection.get_keyboard_mapping(first, count).expect("send").reply();
        let keys = keys.expect("the keyboard mapping");
        let modifiers = connection.get_modifier_mapping().expect("send").reply();
        let modifiers = modifiers.expect("the modifier mapping");
        let per_key = usize::from(keys.keysyms_per_keycode);
        let mut mapping = Self { first, per_key, keysyms: keys.keysyms, level3: 0, num_lock: 0 };
        let per_modifier = modifiers.keycodes.len() / 8;
        mapping.level3 =
            mapping.bit_of(Keysym::ISO_Level3_Shift, &modifiers.keycodes, per_modifier);
        mapping.num_lock = mapping.bit_of(Keysym::Num_Lock, &modifiers.keycodes, per_modifier);
        mapping
    }

    /// The bit of the modifier that has a key with this meaning.
    fn bit_of(&self, keysym: Keysym, keycodes: &[u8], per_modifier: usize) -> u16 {
        let has = |row: &[u8]| {
            let mut keys = row.iter().filter(|&&code| code != 0);
            keys.any(|&code| self.row(code).first() == Some(&keysym.raw()))
        };
        let mut rows = keycodes.chunks_exact(per_modifier.max(1));
        rows.position(has).map_or(0, |number| 1 << number)
    }

    fn row(&self, keycode: u8) -> &[u32] {
        let start = usize::from(keycode.saturating_sub(self.first)) * self.per_key;
        self.keysyms.get(start..start + self.per_key).unwrap_or_default()
    }

    /// As `XLookupKeysym` and `XTranslateKey` do: level by Shift and the third-level modifier,
    /// letters by Lock, the keypad by Num Lock.
    fn keysym(&self, keycode: u8, state: KeyButMask) -> Keysym {
        let state = u16::from(state);
        let row = self.row(keycode);
        let at = |column: usize| row.get(column).copied().filter(|&keysym| keysym != 0);
        let shift = state & 1 != 0;
        let column = if state & self.level3 != 0 && at(4).is_some() { 4 } else { 0 };
        let (plain, shifted) = (at(column), at(column + 1));
        let is_keypad = shifted.is_some_and(|keysym| Keysym::new(keysym).is_keypad_key());
        let second = if is_keypad { (state & self.num_lock != 0) != shift } else { shift };
        let keysym = match (second, shifted) {
            (true, Some(keysym)) => keysym,
            (true, None) => plain.map_or(0, upper),
            (false, _) => plain.unwrap_or(0),
        };
        // On letters Shift and Lock undo each other, in the key type ALPHABETIC of XKB.
        let caps_lock = state & 2 != 0;
        let is_letter = plain.is_some_and(|plain| upper(plain) != plain);
        Keysym::new(match (caps_lock, shift, is_letter) {
            (true, true, true) => plain.unwrap_or(keysym),
            (true, false, _) => upper(keysym),
            _ => keysym,
        })
    }
}

/// The upper case of a letter; anything else is its own.
fn upper(keysym: u32) -> u32 {
    let Some(lower) = Keysym::new(keysym).key_char() else { return keysym };
    let mut upper = lower.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) if upper != lower => Keysym::from_char(upper).raw(),
        _ => keysym,
    }
}

/// `Keysym::is_modifier_key` and the levels of ISO 9995.
fn is_modifier(keysym: Keysym) -> bool {
    keysym.is_modifier_key() || matches!(keysym.raw(), 0xfe01..=0xfe13 | 0xff7e | 0xff7f)
}
