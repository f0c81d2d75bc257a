use super::*;
use KeyAction::{Bind, Press, Release, Wait};
use lattice_wire::Seq;

const SHIFT: u8 = 50;
const LEVEL3: u8 = 92;
const CONTROL: u8 = 37;
const CAPS: u8 = 66;

/// Letters from 100, digits from 20, some named keys, `spares` free keycodes from 200.
fn keyboard(spares: u8) -> Keyboard {
    let mut rows = vec![[0u32; 6]; 248];
    let mut set = |keycode: u8, row: &[u32]| {
        rows[usize::from(keycode) - 8][..row.len()].copy_from_slice(row);
    };
    (8..=255).for_each(|keycode| set(keycode, &[key::XF86_Tools]));
    for (keycode, letter) in (100..).zip('a'..='z') {
        set(keycode, &[letter as u32, letter.to_ascii_uppercase() as u32]);
    }
    for (keycode, (digit, symbol)) in (20..).zip("1234567890".chars().zip("!@#$%^&*()".chars())) {
        set(keycode, &[digit as u32, symbol as u32]);
    }
    set(40, &[key::Return]);
    set(41, &[key::Tab, key::ISO_Left_Tab]);
    set(42, &[key::q, key::Q, 0, 0, key::at]);
    set(43, &[key::equal, key::plus]);
    set(44, &[key::KP_End, key::KP_1]);
    set(45, &[key::e, key::E, 0, 0, key::EuroSign]);
    set(46, &[key::Left]);
    set(SHIFT, &[key::Shift_L]);
    set(51, &[key::Alt_L]);
    set(CONTROL, &[key::Control_L]);
    set(CAPS, &[key::Caps_Lock]);
    set(77, &[key::Num_Lock]);
    set(LEVEL3, &[key::ISO_Level3_Shift]);
    (0..spares).for_each(|spare| set(200 + spare, &[0; 6]));
    let modifiers = [&[SHIFT][..], &[CAPS], &[CONTROL], &[51], &[77], &[], &[], &[LEVEL3]];
    Keyboard::new(Keymap {
        min_keycode: 8,
        keysyms_per_keycode: 6,
        keysyms: rows.concat(),
        modifiers: modifiers.map(<[u8]>::to_vec),
    })
}

fn event(down: bool, code: &str, key: &str, modifiers: u16) -> Key {
    let (code, key) = (code.to_owned(), key.to_owned());
    Key { seq: Seq(1), down, modifiers: Modifiers(modifiers), code, key }
}

const NOW: Micros = Micros(1_000_000);

fn check(keyboard: &mut Keyboard, down: bool, at: (&str, &str, u16), expected: &[KeyAction]) {
    let actions = keyboard.handle_key(&event(down, at.0, at.1, at.2), NOW);
    assert_eq!(actions, expected, "{at:?}");
}

#[test]
fn a_letter_is_pressed_and_released_on_its_own_key() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("KeyA", "a", 0), &[Press(100)]);
    check(&mut keys, false, ("KeyA", "a", 0), &[Release(100)]);
}

#[test]
fn the_key_that_went_down_is_the_one_that_goes_up() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("Digit2", "a", 0), &[Press(100)]);
    check(&mut keys, false, ("Digit2", "2", 0), &[Release(100)]);
}

#[test]
fn a_held_shift_serves_a_capital() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("ShiftLeft", "Shift", 1), &[Press(SHIFT)]);
    check(&mut keys, true, ("KeyA", "A", 1), &[Press(100)]);
    check(&mut keys, false, ("ShiftLeft", "Shift", 0), &[Release(SHIFT)]);
}

#[test]
fn shift_is_lifted_where_the_desktops_layout_needs_none() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("ShiftLeft", "Shift", 1), &[Press(SHIFT)]);
    check(&mut keys, true, ("Digit1", "1", 1), &[Release(SHIFT), Press(20), Press(SHIFT)]);
}

#[test]
fn shift_is_lent_where_the_desktops_layout_needs_it() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("BracketRight", "+", 0), &[Press(SHIFT), Press(43), Release(SHIFT)]);
}

#[test]
fn a_third_level_is_reached_by_alt_gr_of_the_desktop() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("KeyE", "€", 0), &[Press(LEVEL3), Press(45), Release(LEVEL3)]);
}

#[test]
fn alt_gr_held_by_the_viewer_is_kept_for_the_third_level() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("AltRight", "AltGraph", 16), &[Press(LEVEL3)]);
    check(&mut keys, true, ("KeyQ", "@", 16), &[Press(42)]);
    check(&mut keys, false, ("AltRight", "AltGraph", 0), &[Release(LEVEL3)]);
}

#[test]
fn alt_gr_of_windows_is_not_a_shortcut() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("ControlLeft", "Control", 2), &[Press(CONTROL)]);
    let expected = [Release(CONTROL), Press(LEVEL3), Press(42)];
    check(&mut keys, true, ("KeyQ", "@", 2 | 4 | 16), &expected);
}

#[test]
fn a_missed_key_up_of_a_modifier_is_made_good() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("ShiftLeft", "Shift", 1), &[Press(SHIFT)]);
    check(&mut keys, true, ("KeyA", "a", 0), &[Release(SHIFT), Press(100)]);
}

#[test]
fn a_missed_key_down_of_a_modifier_is_made_good() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("KeyC", "c", 2), &[Press(CONTROL), Press(102)]);
    check(&mut keys, false, ("ControlLeft", "Control", 0), &[Release(CONTROL)]);
}

#[test]
fn a_shortcut_keeps_the_viewers_modifiers() {
    let mut keys = keyboard(0);
    let expected = [Press(SHIFT), Press(CONTROL), Press(102)];
    check(&mut keys, true, ("KeyC", "C", 1 | 2), &expected);
}

#[test]
fn a_shortcut_under_another_script_goes_by_the_keys_place() {
    let mut keys = keyboard(3);
    check(&mut keys, true, ("KeyC", "с", 2), &[Press(CONTROL), Press(102)]);
}

#[test]
fn caps_lock_turns_letters_around_and_is_synchronised() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("CapsLock", "CapsLock", 32), &[Press(CAPS), Release(CAPS)]);
    check(&mut keys, true, ("KeyA", "A", 32), &[Press(100)]);
    check(&mut keys, true, ("Digit1", "1", 32), &[Press(20)]);
    keys.set_state(0);
    check(&mut keys, false, ("KeyA", "A", 0), &[Release(100)]);
}

#[test]
fn a_keyboard_without_num_lock_leaves_the_displays_alone() {
    let mut keys = keyboard(0);
    let mask_of_num_lock = 1 << 4;
    keys.set_state(mask_of_num_lock);
    check(&mut keys, true, ("KeyA", "a", 0), &[Press(100)]);
    check(&mut keys, false, ("KeyA", "a", 64), &[Release(100)]);
    check(&mut keys, true, ("KeyA", "a", 0), &[Press(100), Press(77), Release(77)]);
}

#[test]
fn the_number_pad_follows_num_lock() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("Numpad1", "End", 0), &[Press(44)]);
    check(&mut keys, false, ("Numpad1", "End", 64), &[Release(44), Press(77), Release(77)]);
    check(&mut keys, true, ("Numpad1", "1", 64), &[Press(44)]);
}

#[test]
fn named_keys_leave_modifiers_alone() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("Tab", "Tab", 1), &[Press(SHIFT), Press(41)]);
    check(&mut keys, true, ("ArrowLeft", "ArrowLeft", 1), &[Press(46)]);
}

#[test]
fn names_without_a_meaning_do_nothing() {
    let mut keys = keyboard(3);
    for name in ["Dead", "Process", "Unidentified", "F25", "F0", ""] {
        check(&mut keys, true, ("KeyX", name, 0), &[]);
    }
}

#[test]
fn a_function_key_that_the_keymap_lacks_is_bound() {
    let mut keys = keyboard(1);
    let keysym = key::F1 + 23;
    check(&mut keys, true, ("F24", "F24", 0), &[Bind { keycode: 200, keysym }, Press(200)]);
}

#[test]
fn a_repeated_press_is_a_release_and_a_press() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("KeyA", "a", 0), &[Press(100)]);
    check(&mut keys, true, ("KeyA", "a", 0), &[Release(100), Press(100)]);
}

#[test]
fn a_repeated_modifier_stays_down() {
    let mut keys = keyboard(0);
    check(&mut keys, true, ("ShiftLeft", "Shift", 1), &[Press(SHIFT)]);
    check(&mut keys, true, ("ShiftLeft", "Shift", 1), &[]);
}

#[test]
fn release_all_leaves_nothing_down() {
    let mut keys = keyboard(0);
    keys.handle_key(&event(true, "KeyA", "a", 2), NOW);
    keys.handle_key(&event(true, "KeyB", "b", 2), NOW);
    assert_eq!(keys.release_all(NOW), [Release(101), Release(100), Release(CONTROL)]);
    assert_eq!(keys.release_all(NOW), []);
}

#[test]
fn a_thousand_different_codes_hold_few_keys() {
    let mut keys = keyboard(0);
    (0..1000).for_each(|n| drop(keys.handle_key(&event(true, &format!("X{n}"), "a", 0), NOW)));
    assert!(keys.held.len() <= MAX_HELD);
}

#[test]
fn a_character_bound_once_is_found_again() {
    let mut keys = keyboard(2);
    let first = keys.handle_text("é", NOW);
    assert_eq!(first, [Bind { keycode: 200, keysym: 0xe9 }, Press(200), Release(200)]);
    assert_eq!(keys.handle_text("é", NOW), [Press(200), Release(200)]);
}

#[test]
fn text_types_line_ends_and_tabs_and_skips_other_controls() {
    let mut keys = keyboard(0);
    let expected = [100, 40, 41].into_iter().flat_map(|code| [Press(code), Release(code)]);
    assert_eq!(keys.handle_text("a\r\n\t\u{1b}", NOW), expected.collect::<Vec<_>>());
}

/// Types `text` as an application would read it that looks a keycode up 40 ms after its press.
fn read_back(keys: &mut Keyboard, text: &str) -> Vec<u32> {
    let (mut meaning, mut used) = ([0u32; 256], [Micros(0); 256]);
    let (mut now, mut typed) = (NOW, Vec::new());
    for action in keys.handle_text(text, NOW) {
        match action {
            Wait { until } => now = until,
            Bind { keycode, keysym } => {
                let last = used[usize::from(keycode)];
                assert!(last == Micros(0) || now.since(last) >= REBIND_REST, "rebound too soon");
                meaning[usize::from(keycode)] = keysym;
            }
            Press(keycode) => {
                used[usize::from(keycode)] = now;
                typed.push(meaning[usize::from(keycode)]);
            }
            Release(keycode) => used[usize::from(keycode)] = now,
        }
    }
    typed
}

#[test]
fn two_hundred_characters_that_the_keymap_lacks_arrive_in_order() {
    let text: String = (0..200).filter_map(|n| char::from_u32(0x4e00 + n)).collect();
    let expected: Vec<u32> = text.chars().map(|char| 0x0100_0000 | char as u32).collect();
    assert_eq!(read_back(&mut keyboard(19), &text), expected);
}

#[test]
fn a_held_spare_key_is_not_bound_anew() {
    let mut keys = keyboard(1);
    keys.handle_key(&event(true, "KeyX", "я", 0), NOW);
    check(&mut keys, true, ("KeyY", "日", 0), &[]);
}

#[test]
fn an_earlier_agents_leftovers_are_spare() {
    let mut keys = keyboard(0);
    keys.index.rebind(30, 0x0100_65e5);
    let map = Keymap { ..keys.index.map().clone() };
    let mut next = Keyboard::new(map);
    assert_eq!(next.handle_text("日", NOW), [Press(30), Release(30)]);
    assert_eq!(next.handle_text("本", Micros(9_000_000)).len(), 3);
}
