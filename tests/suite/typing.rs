//! What is typed and pointed arrives, complete and in order, in an X client that writes it down.

use lattice_tests::keylog::KeyLog;
use lattice_tests::typing::printable_ascii;
use lattice_tests::{Share, Viewer, XServer, eventually};
use lattice_wire::{ClientPacket, Input, Modifiers, Point, Seq, Wheel};
use x11rb::protocol::xproto::KeyButMask;
use xkeysym::Keysym;

/// A viewer that drives a display on which a client logs.
struct Desk {
    // Clients end before their server.
    viewer: Viewer,
    log: KeyLog,
    share: Share,
    _server: XServer,
}

impl Desk {
    fn open() -> Self {
        let server = XServer::start(1366, 768);
        let share = Share::start(&server);
        let log = KeyLog::open(server.connect(), server.connect());
        let viewer = Viewer::join(&share);
        viewer.wait("control", |view| view.drives());
        viewer.wait_picture();
        Self { viewer, log, share, _server: server }
    }

    /// Types a text in a new log and waits for it.
    fn check(&self, text: &str) {
        self.log.clear();
        self.viewer.type_text(text);
        self.log.expect_text(text);
    }

    fn expect_nothing_held(&self) {
        eventually("no key to be held", || self.log.held().is_empty());
        let (_, _, mask) = self.log.pointer();
        assert_eq!(u16::from(mask) & 0x1f0d, 0, "buttons or modifiers are held: {mask:?}");
    }
}

#[test]
fn printable_ascii_arrives_in_order() {
    let desk = Desk::open();
    desk.check(&printable_ascii());
    desk.check(&printable_ascii().chars().rev().collect::<String>());
    desk.expect_nothing_held();
    desk.share.assert_no_panics();
}

#[test]
fn bursts_of_200_keys_lose_nothing() {
    let desk = Desk::open();
    let lower: String = ('a'..='z').cycle().take(200).collect();
    let mixed: String = "The quick brown Fox, 1+1=2! ".chars().cycle().take(200).collect();
    let same = "a".repeat(200);
    for text in [lower, mixed, same] {
        desk.check(&text);
    }
    desk.expect_nothing_held();
    let dropped = desk.share.metric("lattice_input_dropped_total", &[]);
    assert_eq!(dropped, 0.0, "input was dropped:\n{}", desk.share.log());
}

#[test]
fn characters_that_the_keymap_lacks_arrive_in_order() {
    let desk = Desk::open();
    desk.check("é ß € я 日");
    desk.check("aébßc€dяe日f");
    desk.check(&"éa".repeat(100));
    // More different characters than any keymap has spare keys.
    let many: String = ('а'..='я').chain('α'..='ω').chain('一'..='万').chain('À'..='ö').collect();
    desk.check(&many);
    desk.expect_nothing_held();
}

#[test]
fn composed_text_arrives_among_keys() {
    let desk = Desk::open();
    desk.viewer.type_text("a");
    desk.viewer.compose("日本語, über");
    desk.viewer.type_text("b");
    desk.viewer.compose(&"я1".repeat(300));
    desk.viewer.type_text("c");
    desk.log.expect_text(&format!("a日本語, überb{}c", "я1".repeat(300)));
    desk.expect_nothing_held();
}

#[test]
fn function_and_navigation_keys_are_themselves() {
    let desk = Desk::open();
    let keys = [
        ("Escape", Keysym::Escape),
        ("Enter", Keysym::Return),
        ("Tab", Keysym::Tab),
        ("Backspace", Keysym::BackSpace),
        ("Delete", Keysym::Delete),
        ("Insert", Keysym::Insert),
        ("Home", Keysym::Home),
        ("End", Keysym::End),
        ("PageUp", Keysym::Page_Up),
        ("PageDown", Keysym::Page_Down),
        ("ArrowLeft", Keysym::Left),
        ("ArrowRight", Keysym::Right),
        ("ArrowUp", Keysym::Up),
        ("ArrowDown", Keysym::Down),
        ("F1", Keysym::F1),
        ("F2", Keysym::F2),
        ("F5", Keysym::F5),
        ("F10", Keysym::F10),
        ("F11", Keysym::F11),
        ("F12", Keysym::F12),
        ("Pause", Keysym::Pause),
        ("PrintScreen", Keysym::Print),
        ("ContextMenu", Keysym::Menu),
    ];
    for (key, keysym) in keys {
        desk.log.clear();
        desk.viewer.stroke(key, key, Modifiers::default());
        let first = || desk.log.log().presses().next().map(|stroke| stroke.keysym);
        eventually(&format!("{key} to arrive"), || first().is_some());
        assert_eq!(first(), Some(keysym), "{key}");
    }
    desk.expect_nothing_held();
}

#[test]
fn shortcuts_carry_their_modifiers() {
    let desk = Desk::open();
    let (control, alt, shift) = (Modifiers::CONTROL, Modifiers::ALT, Modifiers::SHIFT);
    let cases = [
        (vec![("ControlLeft", "Control", control)], "KeyC", "c", KeyButMask::CONTROL),
        (vec![("AltLeft", "Alt", alt)], "F4", "F4", KeyButMask::MOD1),
        (vec![("MetaLeft", "Meta", Modifiers::META)], "KeyL", "l", KeyButMask::MOD4),
        (
            vec![
                ("ControlLeft", "Control", control),
                ("ShiftLeft", "Shift", Modifiers(control.0 | shift.0)),
            ],
            "KeyT",
            "T",
            KeyButMask::CONTROL | KeyButMask::SHIFT,
        ),
        (
            vec![
                ("ControlLeft", "Control", control),
                ("AltLeft", "Alt", Modifiers(control.0 | alt.0)),
            ],
            "Delete",
            "Delete",
            KeyButMask::CONTROL | KeyButMask::MOD1,
        ),
    ];
    for (held, code, key, state) in cases {
        desk.log.clear();
        for &(code, key, modifiers) in &held {
            desk.viewer.key(true, code, key, modifiers);
        }
        let all = held.last().map_or(Modifiers::default(), |&(_, _, modifiers)| modifiers);
        desk.viewer.stroke(code, key, all);
        for (number, &(code, key, _)) in held.iter().enumerate().rev() {
            let left = number.checked_sub(1).map_or(Modifiers::default(), |below| held[below].2);
            desk.viewer.key(false, code, key, left);
        }
        eventually("the shortcut to arrive", || desk.log.log().presses().next().is_some());
        let stroke = desk.log.log().presses().next().copied().expect("it just was there");
        let seen = u16::from(stroke.state) & 0xff & !u16::from(KeyButMask::MOD2);
        assert_eq!(seen, u16::from(state), "modifiers of {code}: {stroke:?}");
        desk.expect_nothing_held();
    }
}

#[test]
fn shortcuts_work_while_another_alphabet_is_typed() {
    let desk = Desk::open();
    desk.viewer.key(true, "ControlLeft", "Control", Modifiers::CONTROL);
    desk.viewer.stroke("KeyC", "с", Modifiers::CONTROL);
    desk.viewer.key(false, "ControlLeft", "Control", Modifiers::default());
    eventually("the shortcut to arrive", || desk.log.log().presses().next().is_some());
    let stroke = desk.log.log().presses().next().copied().expect("it just was there");
    assert_eq!(stroke.keysym, Keysym::c, "Ctrl with the Cyrillic letter on the key C");
}

#[test]
fn modifiers_follow_what_the_browser_says_of_them() {
    let desk = Desk::open();
    // The release of Shift was lost, as it is when a system shortcut takes it.
    desk.viewer.key(true, "ShiftLeft", "Shift", Modifiers::SHIFT);
    desk.viewer.stroke("KeyA", "a", Modifiers::default());
    desk.log.expect_text("a");
    desk.expect_nothing_held();
    desk.log.clear();
    // The press of Control was lost.
    desk.viewer.stroke("KeyC", "c", Modifiers::CONTROL);
    eventually("the key to arrive", || desk.log.log().presses().next().is_some());
    let stroke = desk.log.log().presses().next().copied().expect("it just was there");
    assert!(u16::from(stroke.state) & u16::from(KeyButMask::CONTROL) != 0, "{stroke:?}");
    desk.viewer.stroke("KeyX", "x", Modifiers::default());
    eventually("the next key to arrive", || desk.log.log().presses().nth(1).is_some());
    desk.expect_nothing_held();
    desk.log.clear();
    // Caps Lock, with the letters as the browser makes them of it.
    for letter in ["A", "B"] {
        desk.viewer.stroke(&format!("Key{letter}"), letter, Modifiers::CAPS_LOCK);
    }
    desk.viewer.stroke("KeyC", "c", Modifiers::default());
    desk.log.expect_text("ABc");
}

#[test]
fn nothing_stays_held_when_the_viewer_lets_go_or_leaves() {
    let desk = Desk::open();
    let hold = |viewer: &Viewer| {
        viewer.key(true, "ControlLeft", "Control", Modifiers::CONTROL);
        viewer.key(true, "KeyA", "a", Modifiers::CONTROL);
        eventually("two keys to be held", || desk.log.held().len() == 2);
    };
    hold(&desk.viewer);
    desk.viewer.input(Input::ReleaseAll);
    desk.expect_nothing_held();

    let other = Viewer::join(&desk.share);
    other.wait_picture();
    other.send(&ClientPacket::TakeControl);
    other.wait("control", |view| view.drives());
    hold(&other);
    desk.viewer.send(&ClientPacket::TakeControl);
    desk.viewer.wait("control", |view| view.drives());
    desk.expect_nothing_held();

    other.send(&ClientPacket::TakeControl);
    other.wait("control", |view| view.drives());
    hold(&other);
    drop(other);
    desk.expect_nothing_held();
}

#[test]
fn only_the_one_who_drives_is_heard() {
    let desk = Desk::open();
    let watcher = Viewer::join(&desk.share);
    watcher.wait("to be told who drives", |view| view.control.is_some());
    assert!(!watcher.view(|view| view.drives()));
    watcher.type_text("no");
    watcher.point(700, 700);
    let ignored = || {
        let reason = ["reason=\"not_controller\""];
        desk.share.metric("lattice_input_dropped_total", &reason)
    };
    eventually("the watcher's input to be counted as ignored", || ignored() >= 5.0);
    desk.check("yes");
    let (x, y, _) = desk.log.pointer();
    assert_ne!((x, y), (700, 700));

    watcher.send(&ClientPacket::TakeControl);
    watcher.wait("control", |view| view.drives());
    desk.viewer.wait("to be told", |view| !view.drives());
    desk.log.clear();
    desk.viewer.type_text("no");
    watcher.type_text("now");
    desk.log.expect_text("now");
}

#[test]
fn the_pointer_goes_where_it_is_pointed() {
    let desk = Desk::open();
    for (x, y) in [(0, 0), (1365, 767), (20, 30)] {
        desk.viewer.point(x, y);
        eventually("the pointer to get there", || {
            let (at_x, at_y, _) = desk.log.pointer();
            (at_x, at_y) == (x as i16, y as i16)
        });
    }
    desk.viewer.click(25, 35);
    let (at, modifiers) = (Point { x: 25, y: 35 }, Modifiers::default());
    let wheel = |dx, dy| move |seq| Input::Wheel(Wheel { seq, at, dx, dy, modifiers });
    desk.viewer.input(wheel(0, 120));
    desk.viewer.input(wheel(0, -240));
    desk.viewer.input(wheel(120, 0));
    // Two halves of a notch from a touchpad.
    desk.viewer.input(wheel(0, 60));
    desk.viewer.input(wheel(0, 60));
    let pressed = || -> Vec<u8> {
        let buttons = desk.log.log().buttons;
        buttons.iter().filter(|button| button.1).map(|button| button.0).collect()
    };
    eventually("all buttons to arrive", || pressed().len() >= 6);
    assert_eq!(pressed(), [1, 5, 4, 4, 7, 5]);
    let (_, _, x, y) = desk.log.log().buttons[0];
    assert_eq!((x, y), (25, 35));
    desk.expect_nothing_held();
}

#[test]
fn frames_echo_the_input_that_they_show() {
    let desk = Desk::open();
    let viewer = desk.viewer.view(|view| view.welcome.clone()).expect("a welcome came").viewer;
    desk.viewer.wait_digest();
    for _ in 0..5 {
        let Seq(last) = desk.viewer.stroke("KeyA", "a", Modifiers::default());
        // The log answers the press by a square of another colour.
        desk.viewer.wait("a frame with the press in it", |view| {
            view.frames
                .last()
                .is_some_and(|frame| frame.echo.0 == viewer && frame.echo.1.0 >= last - 1)
        });
    }
    let mut echoes =
        desk.viewer.view(|view| view.frames.iter().map(|frame| frame.echo.1).collect::<Vec<Seq>>());
    assert!(echoes.is_sorted(), "echoes never go back: {echoes:?}");
    echoes.dedup();
    assert!(echoes.len() > 4, "{echoes:?}");
}

#[test]
fn the_frame_that_answers_a_key_echoes_it() {
    let desk = Desk::open();
    desk.viewer.wait_digest();
    let mut late = Vec::new();
    for round in 0..100 {
        let before = desk.viewer.view(|view| view.frames.len());
        let Seq(released) = desk.viewer.stroke("KeyA", "a", Modifiers::default());
        desk.viewer.wait("the answer to a key", |view| view.frames.len() > before);
        let Seq(echo) = desk.viewer.view(|view| view.frames[before].echo.1);
        // The press is numbered just before the release.
        if echo < released - 1 {
            late.push((round, echo, released));
        }
    }
    // On a busy machine a program may answer before the agent has heard that it was asked.
    assert!(late.len() <= 5, "{} of 100 answers echo an older input: {late:?}", late.len());
}
