//! Keys and pointer, as the browser reports them. What they mean on a given keyboard is decided
//! where the keymap is: in the agent.

use crate::codec::{DecodeError, Reader, Writer};
use crate::geometry::Point;
use crate::units::Seq;

const KEY: u8 = 0x90;
const TEXT: u8 = 0x91;
const POINTER: u8 = 0x92;
const BUTTON: u8 = 0x93;
const WHEEL: u8 = 0x94;
const RELEASE_ALL: u8 = 0x95;

/// The longest `code` or `key`, in bytes: the longest of UI Events is `MicrophoneVolumeDown`.
pub const MAX_KEY_NAME: usize = 32;
/// The longest text of one packet, in bytes.
pub const MAX_TEXT: usize = 4096;
/// Wheel units in one notch of a classic wheel.
pub const WHEEL_NOTCH: i16 = 120;

/// Which modifiers are down or locked, after the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modifiers(pub u16);

impl Modifiers {
    /// Shift.
    pub const SHIFT: Self = Self(1);
    /// Control.
    pub const CONTROL: Self = Self(2);
    /// Alt, the left one where AltGr is told apart.
    pub const ALT: Self = Self(4);
    /// Meta, Super, Search or Command.
    pub const META: Self = Self(8);
    /// AltGr, the third level.
    pub const ALT_GRAPH: Self = Self(16);
    /// Caps Lock is on.
    pub const CAPS_LOCK: Self = Self(32);
    /// Num Lock is on.
    pub const NUM_LOCK: Self = Self(64);
    const ALL: u16 = 127;

    /// Whether all of `other` is there.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u16()? {
            bits if bits & !Self::ALL == 0 => Ok(Self(bits)),
            _ => Err(DecodeError::Invalid("modifiers")),
        }
    }
}

/// A key of the keyboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its number.
    pub seq: Seq,
    /// Pressed (again, where it repeats) or released.
    pub down: bool,
    /// The modifiers after it.
    pub modifiers: Modifiers,
    /// The place on the keyboard, `KeyboardEvent.code`; empty where the browser knows none.
    pub code: String,
    /// What it means there, `KeyboardEvent.key`: a character or a name such as `Enter` or `Dead`.
    pub key: String,
}

/// Text that was composed, dictated or pasted as keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its number.
    pub seq: Seq,
    /// The characters, in order.
    pub text: String,
}

/// Where the pointer is, in device pixels of the desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointerAt {
    /// Its number.
    pub seq: Seq,
    /// Where.
    pub at: Point,
}

/// A button of the pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Button {
    /// Its number.
    pub seq: Seq,
    /// Where the pointer is.
    pub at: Point,
    /// `PointerEvent.button`: 0 left, 1 middle, 2 right, 3 back, 4 forward.
    pub button: u8,
    /// Pressed or released.
    pub down: bool,
    /// The modifiers after it.
    pub modifiers: Modifiers,
}

/// A turn of the wheel or two fingers on a touchpad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wheel {
    /// Its number.
    pub seq: Seq,
    /// Where the pointer is.
    pub at: Point,
    /// To the right, in 1/[`WHEEL_NOTCH`] of a notch.
    pub dx: i16,
    /// Down, in 1/[`WHEEL_NOTCH`] of a notch.
    pub dy: i16,
    /// The modifiers after it.
    pub modifiers: Modifiers,
}

/// Any input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Key(Key),
    /// Text.
    Text(Text),
    /// Motion.
    Pointer(PointerAt),
    /// A button.
    Button(Button),
    /// The wheel.
    Wheel(Wheel),
    /// The viewer lost the keyboard or the pointer: nothing is held any more.
    ReleaseAll(Seq),
}

impl Input {
    /// Its number.
    pub fn seq(&self) -> Seq {
        match self {
            Self::Key(input) => input.seq,
            Self::Text(input) => input.seq,
            Self::Pointer(input) => input.seq,
            Self::Button(input) => input.seq,
            Self::Wheel(input) => input.seq,
            Self::ReleaseAll(seq) => *seq,
        }
    }

    /// Where it puts the pointer, if it does.
    pub fn place(&self) -> Option<Point> {
        match self {
            Self::Pointer(pointer) => Some(pointer.at),
            Self::Button(button) => Some(button.at),
            Self::Wheel(wheel) => Some(wheel.at),
            Self::Key(_) | Self::Text(_) | Self::ReleaseAll(_) => None,
        }
    }

    /// Whether it only lets go of something: lost, it would leave a key or a button down.
    pub fn is_release(&self) -> bool {
        match self {
            Self::Key(key) => !key.down,
            Self::Button(button) => !button.down,
            Self::ReleaseAll(_) => true,
            Self::Text(_) | Self::Pointer(_) | Self::Wheel(_) => false,
        }
    }

    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Key(key) => Writer::packet(KEY, 9 + key.code.len() + key.key.len())
                .u32(key.seq.0)
                .u8(u8::from(key.down))
                .u16(key.modifiers.0)
                .str8(&key.code)
                .str8(&key.key)
                .finish(),
            Self::Text(text) => Writer::packet(TEXT, 6 + text.text.len())
                .u32(text.seq.0)
                .str16(&text.text, MAX_TEXT)
                .finish(),
            Self::Pointer(pointer) => {
                Writer::packet(POINTER, 8).u32(pointer.seq.0).point(pointer.at).finish()
            }
            Self::Button(button) => Writer::packet(BUTTON, 12)
                .u32(button.seq.0)
                .point(button.at)
                .u8(button.button)
                .u8(u8::from(button.down))
                .u16(button.modifiers.0)
                .finish(),
            Self::Wheel(wheel) => Writer::packet(WHEEL, 14)
                .u32(wheel.seq.0)
                .point(wheel.at)
                .i16(wheel.dx)
                .i16(wheel.dy)
                .u16(wheel.modifiers.0)
                .finish(),
            Self::ReleaseAll(seq) => Writer::packet(RELEASE_ALL, 4).u32(seq.0).finish(),
        }
    }

    /// Reads a packet.
    pub fn decode(packet: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        let kind = reader.u8()?;
        if !(KEY..=RELEASE_ALL).contains(&kind) {
            return Err(DecodeError::UnknownKind(kind));
        }
        let seq = Seq(reader.u32()?);
        let input = match kind {
            KEY => Self::Key(Key {
                seq,
                down: reader.flag("key state")?,
                modifiers: Modifiers::read(&mut reader)?,
                code: name(&mut reader, "key code")?,
                key: name(&mut reader, "key")?,
            }),
            TEXT => Self::Text(Text { seq, text: reader.str16("text", MAX_TEXT)?.to_owned() }),
            POINTER => Self::Pointer(PointerAt { seq, at: reader.point()? }),
            BUTTON => Self::Button(Button {
                seq,
                at: reader.point()?,
                button: match reader.u8()? {
                    button @ 0..=4 => button,
                    _ => return Err(DecodeError::Invalid("button")),
                },
                down: reader.flag("button state")?,
                modifiers: Modifiers::read(&mut reader)?,
            }),
            WHEEL => Self::Wheel(Wheel {
                seq,
                at: reader.point()?,
                dx: reader.i16()?,
                dy: reader.i16()?,
                modifiers: Modifiers::read(&mut reader)?,
            }),
            _ => Self::ReleaseAll(seq),
        };
        reader.end()?;
        Ok(input)
    }
}

fn name(reader: &mut Reader<'_>, field: &'static str) -> Result<String, DecodeError> {
    let text = reader.str8(field)?;
    if text.len() > MAX_KEY_NAME {
        return Err(DecodeError::TooLarge { field, value: text.len(), limit: MAX_KEY_NAME });
    }
    Ok(text.to_owned())
}
