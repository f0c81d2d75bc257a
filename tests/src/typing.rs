//! What a browser reports when somebody types on a keyboard with the US layout.

use crate::viewer::Viewer;
use crate::wait::GENEROUS;
use lattice_wire::{Button, Input, Key, Modifiers, Point, PointerAt, Seq, Text};
use std::thread;
use std::time::{Duration, Instant};

/// All of printable ASCII.
pub fn printable_ascii() -> String {
    (' '..='~').collect()
}

/// The rows of a US keyboard: `code`, the character alone, the character with Shift.
const KEYS: [(&str, char, char); 22] = [
    ("Backquote", '`', '~'),
    ("Digit1", '1', '!'),
    ("Digit2", '2', '@'),
    ("Digit3", '3', '#'),
    ("Digit4", '4', '$'),
    ("Digit5", '5', '%'),
    ("Digit6", '6', '^'),
    ("Digit7", '7', '&'),
    ("Digit8", '8', '*'),
    ("Digit9", '9', '('),
    ("Digit0", '0', ')'),
    ("Minus", '-', '_'),
    ("Equal", '=', '+'),
    ("BracketLeft", '[', '{'),
    ("BracketRight", ']', '}'),
    ("Backslash", '\\', '|'),
    ("Semicolon", ';', ':'),
    ("Quote", '\'', '"'),
    ("Comma", ',', '<'),
    ("Period", '.', '>'),
    ("Slash", '/', '?'),
    ("Space", ' ', ' '),
];

/// The key that types a character, and whether with Shift; nothing where the US layout has none.
pub fn us_key(character: char) -> Option<(String, bool)> {
    if character.is_ascii_alphabetic() {
        let code = format!("Key{}", character.to_ascii_uppercase());
        return Some((code, character.is_ascii_uppercase()));
    }
    let found = KEYS.iter().find(|(_, plain, shifted)| [*plain, *shifted].contains(&character))?;
    Some((found.0.to_owned(), found.1 != character))
}

/// Of times in order, that which 95 of 100 do not exceed.
///
/// # Panics
/// Where there are none.
pub fn p95(sorted: &[Duration]) -> Duration {
    sorted[(sorted.len() * 95 / 100).min(sorted.len() - 1)]
}

impl Viewer {
    /// Types for a while, a key every 30 ms at most; how long each took from the keyboard to a frame that
    /// shows it, in order. Nothing else may move on the desktop.
    pub fn type_for(&self, time: Duration) -> Vec<Duration> {
        let began = Instant::now();
        self.type_while(|| began.elapsed() < time)
    }

    /// The same, for as long as a condition holds.
    pub fn type_while(&self, mut goes_on: impl FnMut() -> bool) -> Vec<Duration> {
        let mut took = Vec::new();
        while goes_on() {
            // Not by what it echoes: on a busy machine a program may answer before the agent has heard
            // that it was asked.
            let frames = self.view(|view| view.frames.len());
            let sent = Instant::now();
            self.stroke("KeyA", "a", Modifiers::default());
            self.wait_for("a frame with the key", GENEROUS, |view| view.frames.len() > frames);
            took.push(sent.elapsed());
            thread::sleep(Duration::from_millis(30));
        }
        took.sort();
        took
    }

    /// Presses or releases one key.
    pub fn key(&self, down: bool, code: &str, key: &str, modifiers: Modifiers) -> Seq {
        let (code, key) = (code.to_owned(), key.to_owned());
        self.input(|seq| Input::Key(Key { seq, down, modifiers, code, key }))
    }

    /// Presses and releases a key.
    pub fn stroke(&self, code: &str, key: &str, modifiers: Modifiers) -> Seq {
        self.key(true, code, key, modifiers);
        self.key(false, code, key, modifiers)
    }

    /// Types characters one after the other. Those that no US key has come without a `code`, as
    /// from another layout or an input method.
    pub fn type_text(&self, text: &str) {
        let none = Modifiers::default();
        for character in text.chars() {
            let key = character.to_string();
            match us_key(character) {
                Some((code, false)) => {
                    self.stroke(&code, &key, none);
                }
                Some((code, true)) => {
                    self.key(true, "ShiftLeft", "Shift", Modifiers::SHIFT);
                    self.stroke(&code, &key, Modifiers::SHIFT);
                    self.key(false, "ShiftLeft", "Shift", none);
                }
                None => {
                    self.stroke("", &key, none);
                }
            }
        }
    }

    /// Sends composed text.
    pub fn compose(&self, text: &str) -> Seq {
        let text = text.to_owned();
        self.input(|seq| Input::Text(Text { seq, text }))
    }

    /// Moves the pointer.
    pub fn point(&self, x: u16, y: u16) -> Seq {
        self.input(|seq| Input::Pointer(PointerAt { seq, at: Point { x, y } }))
    }

    /// Presses and releases the left button.
    pub fn click(&self, x: u16, y: u16) -> Seq {
        let (at, modifiers) = (Point { x, y }, Modifiers::default());
        self.input(|seq| Input::Button(Button { seq, at, button: 0, down: true, modifiers }));
        self.input(|seq| Input::Button(Button { seq, at, button: 0, down: false, modifiers }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_character_has_a_key() {
        assert_eq!(printable_ascii().len(), 95);
        assert!(printable_ascii().chars().all(|character| us_key(character).is_some()));
        assert_eq!(us_key('A'), Some(("KeyA".to_owned(), true)));
        assert_eq!(us_key('%'), Some(("Digit5".to_owned(), true)));
        assert_eq!(us_key('é'), None);
    }
}
