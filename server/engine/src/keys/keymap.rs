//! Which keycodes carry which keysyms.

use std::collections::HashMap;
use xkeysym::{Keysym, key};

/// A core keyboard mapping, as the X server reports it.
#[derive(Debug, Clone, Default)]
pub struct Keymap {
    /// The keycode of the first row.
    pub min_keycode: u8,
    /// How many columns a row has.
    pub keysyms_per_keycode: u8,
    /// Row after row; 0 where there is no keysym.
    pub keysyms: Vec<u32>,
    /// The keycodes of Shift, Lock, Control and Mod1 to Mod5.
    pub modifiers: [Vec<u8>; 8],
}

/// One place where a keysym is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) keycode: u8,
    pub(super) column: u8,
}

/// What the keys of a row do with a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inverts {
    Nothing,
    CapsLock,
    NumLock,
}

/// A keymap, indexed.
#[derive(Debug, Default)]
pub(super) struct Index {
    places: HashMap<u32, Vec<Place>>,
    map: Keymap,
}

impl Index {
    pub(super) fn new(map: Keymap) -> Self {
        let mut places: HashMap<u32, Vec<Place>> = HashMap::new();
        for (keycode, row) in rows(&map) {
            for (column, &keysym) in (0..).zip(row) {
                if keysym != 0 {
                    places.entry(keysym).or_default().push(Place { keycode, column });
                }
            }
        }
        Self { places, map }
    }

    #[cfg(test)]
    pub(super) fn map(&self) -> &Keymap {
        &self.map
    }

    pub(super) fn places(&self, keysym: u32) -> &[Place] {
        self.places.get(&keysym).map_or(&[], Vec::as_slice)
    }

    /// The keycode whose unmodified meaning this keysym is.
    pub(super) fn plain(&self, keysym: u32) -> Option<u8> {
        self.places(keysym).iter().find(|place| place.column == 0).map(|place| place.keycode)
    }

    /// The keycode of a modifier that really acts as one of these rows of the modifier map.
    pub(super) fn modifier(&self, keysym: u32) -> Option<u8> {
        let acts = |keycode: u8| self.map.modifiers.iter().any(|keys| keys.contains(&keycode));
        let mut keycodes = self.places(keysym).iter().map(|place| place.keycode);
        keycodes.find(|&keycode| acts(keycode))
    }

    /// The bit of the modifier that this keysym locks or shifts, 0 where there is none.
    pub(super) fn mask(&self, keysym: u32) -> u16 {
        let keycodes = self.places(keysym);
        let row = (0..8).find(|&row: &usize| {
            keycodes.iter().any(|place| self.map.modifiers[row].contains(&place.keycode))
        });
        row.map_or(0, |row| 1 << row)
    }

    /// What turns the levels of a key around.
    pub(super) fn inverts(&self, keycode: u8) -> Inverts {
        let row = self.row(keycode);
        let (Some(&low), Some(&high)) = (row.first(), row.get(1)) else { return Inverts::Nothing };
        let is_keypad = |keysym: u32| (key::KP_Space..=key::KP_Equal).contains(&keysym);
        if is_keypad(high) && low != high {
            return Inverts::NumLock;
        }
        let char = |keysym: u32| Keysym::new(keysym).key_char();
        match (char(low), char(high)) {
            (Some(low), Some(high)) if low != high && low.to_uppercase().eq([high]) => {
                Inverts::CapsLock
            }
            _ => Inverts::Nothing,
        }
    }

    /// Keycodes that carry nothing, or only a character that an agent before this one bound and
    /// had no time to take back: the same character twice and nothing else, beyond ASCII.
    pub(super) fn spare(&self) -> Vec<(u8, u32)> {
        let is_modifier = |keycode: u8| self.map.modifiers.iter().any(|row| row.contains(&keycode));
        rows(&self.map)
            .filter(|&(keycode, _)| !is_modifier(keycode))
            .filter_map(|(keycode, row)| bound_alone(row).map(|keysym| (keycode, keysym)))
            .collect()
    }

    /// A keycode got a new meaning.
    pub(super) fn rebind(&mut self, keycode: u8, keysym: u32) {
        for places in self.places.values_mut() {
            places.retain(|place| place.keycode != keycode);
        }
        self.places.entry(keysym).or_default().push(Place { keycode, column: 0 });
        let columns = usize::from(self.map.keysyms_per_keycode);
        let start = usize::from(keycode.saturating_sub(self.map.min_keycode)) * columns;
        if let Some(row) = self.map.keysyms.get_mut(start..start + columns) {
            row.fill(keysym);
        }
    }

    fn row(&self, keycode: u8) -> &[u32] {
        let columns = usize::from(self.map.keysyms_per_keycode);
        let start = usize::from(keycode.saturating_sub(self.map.min_keycode)) * columns;
        self.map.keysyms.get(start..start + columns).unwrap_or(&[])
    }
}

fn rows(map: &Keymap) -> impl Iterator<Item = (u8, &[u32])> {
    let columns = usize::from(map.keysyms_per_keycode).max(1);
    (map.min_keycode..=u8::MAX).zip(map.keysyms.chunks_exact(columns))
}

fn bound_alone(row: &[u32]) -> Option<u32> {
    let first = *row.first()?;
    if row.iter().all(|&keysym| keysym == 0) {
        return Some(0);
    }
    let twice = row.get(1) == Some(&first) && row.iter().all(|&other| other == 0 || other == first);
    let foreign = Keysym::new(first).key_char().is_some_and(|char| !char.is_ascii());
    (twice && foreign).then_some(first)
}
