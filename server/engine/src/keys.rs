//! Which keycodes type what a viewer means.
//!
//! A viewer says what a key means to it (`key`), where the key is (`code`) and which modifiers are
//! down after it. The desktop's keyboard is another one: here the meaning is looked up in the
//! desktop's own keymap, Shift and AltGr are corrected for a moment where that keymap wants them
//! otherwise, and a character that it lacks is bound to a spare keycode.
//!
//! A shortcut (Control, Alt or Meta is down) goes out with the modifiers as they are, on the key
//! that carries the letter; a letter that no Latin keyboard has goes by the key's place, so that
//! Ctrl-C works under a Cyrillic or Arabic layout.
//!
//! INVARIANT: what is pressed here is in `held` until it is released here, so `release_all` leaves
//! nothing down; a spare keycode is never bound anew within [`REBIND_REST`] of its last use, while
//! applications may still look up what it meant.
//!
//! A repeated press of a held key is a release and a press of it.

mod keymap;
mod names;
#[cfg(test)]
mod tests;

pub use keymap::Keymap;

use keymap::{Index, Inverts, Place};
use lattice_wire::{Key, Micros, Modifiers};
use xkeysym::key;

/// Applications reload their keymap some time after a key was bound, and read a press by the keymap
/// that they have then.
pub const REBIND_REST: Micros = Micros::from_millis(40);

/// More keys than two hands hold: beyond it presses are ignored.
const MAX_HELD: usize = 32;

/// What the display's keyboard is to do, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAction {
    /// Press a keycode.
    Press(u8),
    /// Release a keycode.
    Release(u8),
    /// Give a keycode this keysym, on all levels.
    Bind {
        /// Which keycode.
        keycode: u8,
        /// Its new meaning.
        keysym: u32,
    },
    /// Go on no sooner than this.
    Wait {
        /// When.
        until: Micros,
    },
}

/// The keyboard of a display, as far as viewers press it.
#[derive(Debug, Default)]
pub struct Keyboard {
    index: Index,
    spares: Vec<Spare>,
    held: Vec<Held>,
    locks: Locks,
    /// The viewer was once seen with Num Lock on, so it has one.
    has_num_lock: bool,
    out: Vec<KeyAction>,
}

#[derive(Debug, Clone, Copy)]
struct Spare {
    keycode: u8,
    keysym: u32,
    last_used: Micros,
}

#[derive(Debug)]
struct Held {
    id: String,
    keycode: u8,
    class: Option<Class>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Locks {
    caps: bool,
    num: bool,
    group: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Shift,
    Control,
    Alt,
    Meta,
    Level3,
}

/// The modifiers that a place in the keymap asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Need {
    shift: bool,
    level3: bool,
}

/// A keycode to press, and how.
#[derive(Debug, Clone, Copy)]
struct Target {
    keycode: u8,
    class: Option<Class>,
    need: Option<Need>,
}

impl Keyboard {
    /// A keyboard with this keymap and nothing pressed.
    pub fn new(map: Keymap) -> Self {
        let mut keyboard = Self::default();
        keyboard.set_keymap(map);
        keyboard
    }

    /// The display has another keymap. Spare keycodes keep what was bound to them, where they do.
    pub fn set_keymap(&mut self, map: Keymap) {
        self.index = Index::new(map);
        let mut spares: Vec<Spare> = Vec::new();
        for (keycode, keysym) in self.index.spare() {
            let old = self.spares.iter().find(|spare| spare.keycode == keycode);
            let last_used = old.map_or(Micros(0), |old| old.last_used);
            spares.push(Spare { keycode, keysym, last_used });
        }
        for &old in self.spares.iter().filter(|old| old.keysym != 0) {
            let known = spares.iter().any(|spare| spare.keycode == old.keycode);
            if !known && self.index.plain(old.keysym) == Some(old.keycode) {
                spares.push(old);
            }
        }
        self.spares = spares;
    }

    /// The modifier state that the display reports: the eight modifiers, and the group in bits 13
    /// and 14.
    pub fn set_state(&mut self, mask: u16) {
        self.locks = Locks {
            caps: mask & 2 != 0,
            num: mask & self.index.mask(key::Num_Lock) != 0,
            group: (mask >> 13) as u8 & 3,
        };
    }

    /// A key of the viewer's keyboard went down or up.
    pub fn handle_key(&mut self, key: &Key, now: Micros) -> Vec<KeyAction> {
        let modifiers = effective(key.modifiers);
        let id = if key.code.is_empty() { &key.key } else { &key.code };
        if key.down {
            self.press_key(key, id, modifiers, now);
        } else {
            self.release_id(id, now);
            self.reconcile(modifiers, None, now);
        }
        self.sync_locks(modifiers);
        std::mem::take(&mut self.out)
    }

    /// Composed or pasted text, to be typed.
    pub fn handle_text(&mut self, text: &str, now: Micros) -> Vec<KeyAction> {
        for class in [Class::Control, Class::Alt, Class::Meta] {
            self.release_class(class, now);
        }
        let mut now = now;
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            if char == '\r' && chars.peek() == Some(&'\n') {
                continue;
            }
            if char.is_control() && !matches!(char, '\r' | '\n' | '\t' | '\u{8}') {
                continue;
            }
            if let Some(target) = self.find_char(char, &mut now) {
                self.lift(target.keycode, now);
                self.press_target(target, now);
                self.let_go(target.keycode, now);
            }
        }
        std::mem::take(&mut self.out)
    }

    /// The modifiers that a pointer event carries.
    pub fn handle_modifiers(&mut self, modifiers: Modifiers, now: Micros) -> Vec<KeyAction> {
        self.reconcile(effective(modifiers), None, now);
        std::mem::take(&mut self.out)
    }

    /// The viewer is gone or looks elsewhere.
    pub fn release_all(&mut self, now: Micros) -> Vec<KeyAction> {
        self.has_num_lock = false;
        while let Some(held) = self.held.pop() {
            if !self.is_held(held.keycode) {
                self.let_go(held.keycode, now);
            }
        }
        std::mem::take(&mut self.out)
    }

    fn press_key(&mut self, key: &Key, id: &str, modifiers: Modifiers, now: Micros) {
        let mut now = now;
        let Some(own) = self.resolve_modifier(key) else {
            self.reconcile(modifiers, None, now);
            if let Some(target) = self.resolve(key, modifiers, &mut now) {
                self.hold(id, target, now);
            }
            return;
        };
        self.reconcile(modifiers, own.class, now);
        if !self.held.iter().any(|held| held.id == id) {
            self.hold(id, own, now);
        }
    }

    /// Presses a target and remembers it under `id`.
    fn hold(&mut self, id: &str, target: Target, now: Micros) {
        self.release_id(id, now);
        if self.held.len() >= MAX_HELD {
            return;
        }
        self.lift(target.keycode, now);
        self.press_target(target, now);
        let Target { keycode, class, .. } = target;
        self.held.push(Held { id: id.to_owned(), keycode, class });
    }

    fn resolve_modifier(&self, key: &Key) -> Option<Target> {
        let keysym = names::named(&key.key, &key.code)?;
        let class = class_of(keysym)?;
        let keycode = self.modifier_keycode(keysym, class)?;
        Some(Target { keycode, class: Some(class), need: None })
    }

    fn modifier_keycode(&self, keysym: u32, class: Class) -> Option<u8> {
        let others = class.keysyms().iter().copied();
        std::iter::once(keysym).chain(others).find_map(|keysym| self.index.modifier(keysym))
    }

    fn resolve(&mut self, key: &Key, modifiers: Modifiers, now: &mut Micros) -> Option<Target> {
        if let Some(keysym) = names::numpad(&key.key, &key.code)
            && let Some(target) = self.find(keysym)
        {
            return Some(target);
        }
        if let Some(char) = names::character(&key.key) {
            let is_shortcut = [Modifiers::CONTROL, Modifiers::ALT, Modifiers::META]
                .into_iter()
                .any(|modifier| modifiers.has(modifier));
            return match is_shortcut {
                true => self.find_shortcut(char, &key.code, now),
                false => self.find_char(char, now),
            };
        }
        let keysym = names::named(&key.key, &key.code)?;
        if class_of(keysym).is_some() {
            return None;
        }
        let keycode = self.index.plain(keysym).or_else(|| self.bind(keysym, now))?;
        Some(Target { keycode, class: None, need: None })
    }

    /// The key that types `char`, with Shift and AltGr as they must be.
    fn find_char(&mut self, char: char, now: &mut Micros) -> Option<Target> {
        let keysyms = names::keysyms_of(char);
        if let Some(target) = keysyms.iter().find_map(|&keysym| self.find(keysym)) {
            return Some(target);
        }
        let keycode = self.bind(keysyms[0], now)?;
        Some(Target { keycode, class: None, need: None })
    }

    /// The key that a shortcut with `char` is made of. Modifiers are added to where the keymap has
    /// the character on a higher level, never taken away: they are what the viewer holds.
    fn find_shortcut(&mut self, char: char, code: &str, now: &mut Micros) -> Option<Target> {
        let place = names::latin_at(code).filter(|_| names::is_foreign(char));
        let char = place.unwrap_or(char);
        let lower = char.to_lowercase().next().filter(|_| char.is_alphabetic());
        if let Some(lower) = lower {
            let keysyms = names::keysyms_of(lower);
            let keycode = keysyms.iter().find_map(|&keysym| self.index.plain(keysym));
            let keycode = keycode.or_else(|| self.bind(keysyms[0], now))?;
            return Some(Target { keycode, class: None, need: None });
        }
        let mut target = self.find_char(char, now)?;
        if let Some(need) = &mut target.need {
            need.shift |= self.holds(Class::Shift);
            need.level3 |= self.holds(Class::Level3);
        }
        Some(target)
    }

    /// The place of a keysym that needs the fewest corrections.
    fn find(&self, keysym: u32) -> Option<Target> {
        let usable = self.index.places(keysym).iter().filter_map(|&place| {
            let need = self.need(place)?;
            Some((self.corrections(need), place.keycode, need))
        });
        let (_, keycode, need) = usable.min_by_key(|&(cost, keycode, _)| (cost, keycode))?;
        let is_spare = self.spares.iter().any(|spare| spare.keycode == keycode);
        Some(Target { keycode, class: None, need: (!is_spare).then_some(need) })
    }

    /// What a place asks for, if it can be reached in the current group. Columns are those of the
    /// core protocol: two levels of each group, then two more of each.
    fn need(&self, place: Place) -> Option<Need> {
        let columns = match self.locks.group {
            0 => [0, 1, 4, 5],
            1 => [2, 3, 6, 7],
            _ => return None,
        };
        let level = columns.iter().position(|&column| column == place.column)?;
        let (mut shift, level3) = (level % 2 == 1, level >= 2);
        if level3 && self.index.modifier(key::ISO_Level3_Shift).is_none() {
            return None;
        }
        if shift && self.index.modifier(key::Shift_L).is_none() {
            return None;
        }
        shift ^= !level3
            && match self.index.inverts(place.keycode) {
                Inverts::Nothing => false,
                Inverts::CapsLock => self.locks.caps,
                Inverts::NumLock => self.locks.num,
            };
        Some(Need { shift, level3 })
    }

    fn corrections(&self, need: Need) -> usize {
        usize::from(need.shift != self.holds(Class::Shift))
            + usize::from(need.level3 != self.holds(Class::Level3))
    }

    /// Gives a spare keycode this meaning: the one that was not used for the longest time.
    fn bind(&mut self, keysym: u32, now: &mut Micros) -> Option<u8> {
        let held = &self.held;
        let free = self
            .spares
            .iter_mut()
            .filter(|spare| !held.iter().any(|held| held.keycode == spare.keycode));
        let spare = free.min_by_key(|spare| (spare.last_used, spare.keysym != 0))?;
        let rested = spare.last_used.plus(REBIND_REST);
        if spare.last_used != Micros(0) && rested > *now {
            *now = rested;
            self.out.push(KeyAction::Wait { until: rested });
        }
        (spare.keysym, spare.last_used) = (keysym, *now);
        let keycode = spare.keycode;
        self.index.rebind(keycode, keysym);
        self.out.push(KeyAction::Bind { keycode, keysym });
        Some(keycode)
    }

    /// Presses a keycode with Shift and AltGr as needed, and puts them back.
    fn press_target(&mut self, target: Target, now: Micros) {
        let mut back = Vec::new();
        if let Some(need) = target.need {
            for (class, needed) in [(Class::Shift, need.shift), (Class::Level3, need.level3)] {
                self.correct(class, needed, &mut back);
            }
        }
        self.out.push(KeyAction::Press(target.keycode));
        self.out.extend(back.into_iter().rev());
        self.touch(target.keycode, now);
    }

    fn correct(&mut self, class: Class, needed: bool, back: &mut Vec<KeyAction>) {
        if needed == self.holds(class) {
            return;
        }
        if needed {
            let keycode = self.modifier_keycode(class.keysyms()[0], class);
            self.out.extend(keycode.map(KeyAction::Press));
            back.extend(keycode.map(KeyAction::Release));
            return;
        }
        for held in self.held.iter().filter(|held| held.class == Some(class)) {
            self.out.push(KeyAction::Release(held.keycode));
            back.push(KeyAction::Press(held.keycode));
        }
    }

    /// Makes the modifiers that are down those that the viewer says are.
    fn reconcile(&mut self, modifiers: Modifiers, except: Option<Class>, now: Micros) {
        for class in Class::ALL.into_iter().filter(|&class| Some(class) != except) {
            match (modifiers.has(class.modifier()), self.holds(class)) {
                (false, true) => self.release_class(class, now),
                (true, false) => {
                    if let Some(keycode) = self.modifier_keycode(class.keysyms()[0], class) {
                        let target = Target { keycode, class: Some(class), need: None };
                        self.hold(class.id(), target, now);
                    }
                }
                (true, true) | (false, false) => {}
            }
        }
    }

    /// Toggles Caps Lock and Num Lock where the viewer has them otherwise. Keyboards of Macs and
    /// phones have no Num Lock, and say that it is off: only a viewer that once had it on is believed.
    fn sync_locks(&mut self, modifiers: Modifiers) {
        let (caps, num) = (Modifiers::CAPS_LOCK, Modifiers::NUM_LOCK);
        self.has_num_lock |= modifiers.has(num);
        let wanted = Locks { caps: modifiers.has(caps), num: modifiers.has(num), ..self.locks };
        if wanted.caps != self.locks.caps && self.toggle(key::Caps_Lock) {
            self.locks.caps = wanted.caps;
        }
        if self.has_num_lock && wanted.num != self.locks.num && self.toggle(key::Num_Lock) {
            self.locks.num = wanted.num;
        }
    }

    fn toggle(&mut self, keysym: u32) -> bool {
        let Some(keycode) = self.index.modifier(keysym) else { return false };
        self.out.extend([KeyAction::Press(keycode), KeyAction::Release(keycode)]);
        true
    }

    fn release_class(&mut self, class: Class, now: Micros) {
        while let Some(at) = self.held.iter().position(|held| held.class == Some(class)) {
            self.drop_held(at, now);
        }
    }

    fn release_id(&mut self, id: &str, now: Micros) {
        if let Some(at) = self.held.iter().position(|held| held.id == id) {
            self.drop_held(at, now);
        }
    }

    fn drop_held(&mut self, at: usize, now: Micros) {
        let held = self.held.remove(at);
        if !self.is_held(held.keycode) {
            self.let_go(held.keycode, now);
        }
    }

    /// Releases a keycode that is about to be pressed again.
    fn lift(&mut self, keycode: u8, now: Micros) {
        if self.is_held(keycode) {
            self.let_go(keycode, now);
        }
    }

    fn let_go(&mut self, keycode: u8, now: Micros) {
        self.out.push(KeyAction::Release(keycode));
        self.touch(keycode, now);
    }

    fn touch(&mut self, keycode: u8, now: Micros) {
        if let Some(spare) = self.spares.iter_mut().find(|spare| spare.keycode == keycode) {
            spare.last_used = now;
        }
    }

    fn is_held(&self, keycode: u8) -> bool {
        self.held.iter().any(|held| held.keycode == keycode)
    }

    fn holds(&self, class: Class) -> bool {
        self.held.iter().any(|held| held.class == Some(class))
    }
}

impl Class {
    const ALL: [Self; 5] = [Self::Shift, Self::Control, Self::Alt, Self::Meta, Self::Level3];

    fn modifier(self) -> Modifiers {
        match self {
            Self::Shift => Modifiers::SHIFT,
            Self::Control => Modifiers::CONTROL,
            Self::Alt => Modifiers::ALT,
            Self::Meta => Modifiers::META,
            Self::Level3 => Modifiers::ALT_GRAPH,
        }
    }

    /// What acts as it, the best first.
    fn keysyms(self) -> &'static [u32] {
        match self {
            Self::Shift => &[key::Shift_L, key::Shift_R],
            Self::Control => &[key::Control_L, key::Control_R],
            Self::Alt => &[key::Alt_L, key::Alt_R],
            Self::Meta => &[key::Super_L, key::Super_R, key::Meta_L, key::Hyper_L],
            Self::Level3 => &[key::ISO_Level3_Shift],
        }
    }

    /// Under which name it is held when its own key was not seen; no `code` starts so.
    fn id(self) -> &'static str {
        match self {
            Self::Shift => "~Shift",
            Self::Control => "~Control",
            Self::Alt => "~Alt",
            Self::Meta => "~Meta",
            Self::Level3 => "~Level3",
        }
    }
}

fn class_of(keysym: u32) -> Option<Class> {
    let all = [key::Meta_R, key::Hyper_R];
    match keysym {
        _ if all.contains(&keysym) => Some(Class::Meta),
        _ => Class::ALL.into_iter().find(|class| class.keysyms().contains(&keysym)),
    }
}

/// Windows reports AltGr as Control and Alt together with it.
fn effective(modifiers: Modifiers) -> Modifiers {
    let both = Modifiers::CONTROL.0 | Modifiers::ALT.0;
    match modifiers.has(Modifiers::ALT_GRAPH) && modifiers.has(Modifiers(both)) {
        true => Modifiers(modifiers.0 & !both),
        false => modifiers,
    }
}
