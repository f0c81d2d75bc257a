//! What the names of UI Events (`key` and `code`) are as keysyms.

use xkeysym::{Keysym, key};

/// The keysym of a key that is not a character, if the desktop can do anything with it.
///
/// `Dead`, `Process` and `Unidentified` have none: what they compose arrives as text.
pub(super) fn named(name: &str, code: &str) -> Option<u32> {
    let right = code.ends_with("Right");
    Some(match name {
        "Shift" if right => key::Shift_R,
        "Shift" => key::Shift_L,
        "Control" if right => key::Control_R,
        "Control" => key::Control_L,
        "Alt" if right => key::Alt_R,
        "Alt" => key::Alt_L,
        "Meta" | "Super" | "OS" if right => key::Super_R,
        "Meta" | "Super" | "OS" => key::Super_L,
        "Hyper" => key::Hyper_L,
        "AltGraph" => key::ISO_Level3_Shift,
        "Enter" if code == "NumpadEnter" => key::KP_Enter,
        "Enter" => key::Return,
        "Tab" => key::Tab,
        "Backspace" => key::BackSpace,
        "Escape" => key::Escape,
        "Delete" => key::Delete,
        "Insert" => key::Insert,
        "Home" => key::Home,
        "End" => key::End,
        "PageUp" => key::Prior,
        "PageDown" => key::Next,
        "ArrowLeft" => key::Left,
        "ArrowUp" => key::Up,
        "ArrowRight" => key::Right,
        "ArrowDown" => key::Down,
        "ContextMenu" => key::Menu,
        "PrintScreen" => key::Print,
        "Pause" if code == "ControlLeft" || code == "ControlRight" => key::Break,
        "Pause" => key::Pause,
        "ScrollLock" => key::Scroll_Lock,
        "Clear" => key::Clear,
        "Help" => key::Help,
        "Undo" => key::Undo,
        "Redo" | "Again" => key::Redo,
        "Find" => key::Find,
        "Select" => key::Select,
        "Execute" => key::Execute,
        "Cancel" => key::Cancel,
        "Copy" => key::XF86_Copy,
        "Cut" => key::XF86_Cut,
        "Paste" => key::XF86_Paste,
        "Compose" => key::Multi_key,
        "Convert" => key::Henkan,
        "NonConvert" => key::Muhenkan,
        "KanaMode" | "HiraganaKatakana" => key::Hiragana_Katakana,
        "ZenkakuHankaku" => key::Zenkaku_Hankaku,
        "Eisu" => key::Eisu_toggle,
        "HangulMode" => key::Hangul,
        "HanjaMode" => key::Hangul_Hanja,
        "AudioVolumeMute" => key::XF86_AudioMute,
        "AudioVolumeDown" => key::XF86_AudioLowerVolume,
        "AudioVolumeUp" => key::XF86_AudioRaiseVolume,
        "MediaPlayPause" | "MediaPlay" => key::XF86_AudioPlay,
        "MediaPause" => key::XF86_AudioPause,
        "MediaStop" => key::XF86_AudioStop,
        "MediaTrackNext" => key::XF86_AudioNext,
        "MediaTrackPrevious" => key::XF86_AudioPrev,
        "BrowserBack" => key::XF86_Back,
        "BrowserForward" => key::XF86_Forward,
        "BrowserRefresh" => key::XF86_Refresh,
        "BrowserStop" => key::XF86_Stop,
        "BrowserSearch" => key::XF86_Search,
        "BrowserFavorites" => key::XF86_Favorites,
        "BrowserHome" => key::XF86_HomePage,
        "LaunchMail" => key::XF86_Mail,
        "LaunchApplication2" | "LaunchCalculator" => key::XF86_Calculator,
        "BrightnessUp" => key::XF86_MonBrightnessUp,
        "BrightnessDown" => key::XF86_MonBrightnessDown,
        "ZoomToggle" => key::XF86_FullScreen,
        _ => return function_key(name),
    })
}

fn function_key(name: &str) -> Option<u32> {
    let number: u32 = name.strip_prefix('F')?.parse().ok()?;
    (1..=24).contains(&number).then(|| key::F1 + number - 1)
}

/// The keysym of a key of the number pad, which differs from the same character elsewhere.
pub(super) fn numpad(name: &str, code: &str) -> Option<u32> {
    if !code.starts_with("Numpad") {
        return None;
    }
    let mut chars = name.chars();
    if let (Some(char), None) = (chars.next(), chars.next()) {
        return Some(match char {
            '0'..='9' => key::KP_0 + (char as u32 - '0' as u32),
            '+' => key::KP_Add,
            '-' => key::KP_Subtract,
            '*' => key::KP_Multiply,
            '/' => key::KP_Divide,
            '.' if code == "NumpadDecimal" => key::KP_Decimal,
            ',' if code == "NumpadDecimal" => key::KP_Separator,
            '=' => key::KP_Equal,
            _ => return None,
        });
    }
    Some(match name {
        "Enter" => key::KP_Enter,
        "Insert" => key::KP_Insert,
        "Delete" => key::KP_Delete,
        "Home" => key::KP_Home,
        "End" => key::KP_End,
        "PageUp" => key::KP_Prior,
        "PageDown" => key::KP_Next,
        "ArrowLeft" => key::KP_Left,
        "ArrowUp" => key::KP_Up,
        "ArrowRight" => key::KP_Right,
        "ArrowDown" => key::KP_Down,
        "Clear" => key::KP_Begin,
        _ => return None,
    })
}

/// The one character that `key` is, if it is one.
pub(super) fn character(key: &str) -> Option<char> {
    let mut chars = key.chars();
    let first = chars.next()?;
    (chars.next().is_none() && !first.is_control()).then_some(first)
}

/// The keysyms that mean this character, the one to bind first.
pub(super) fn keysyms_of(char: char) -> [u32; 2] {
    let char = match char {
        '\n' => '\r',
        other => other,
    };
    [Keysym::from_char(char).raw(), 0x0100_0000 | char as u32]
}

/// The letter or digit that a key's place has on a Latin keyboard.
pub(super) fn latin_at(code: &str) -> Option<char> {
    let name = code.strip_prefix("Key").or_else(|| code.strip_prefix("Digit"))?;
    character(name).map(|char| char.to_ascii_lowercase())
}

/// Whether no Latin keyboard types it: shortcuts then go by the key's place.
pub(super) fn is_foreign(char: char) -> bool {
    char as u32 > 0x024f && char != '€'
}
