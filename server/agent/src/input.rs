//! The input thread: from a viewer's events to the display's keyboard and pointer.
//!
//! It has an X connection of its own, so that a frame being made never delays a key. What was
//! applied is published for the frames' echo only once the X server has taken it in.

use crate::clock;
use crate::display::DisplayError;
use crate::inject::{Injector, Told};
use crate::slots::{InputItem, Shared, count};
use lattice_engine::keys::{KeyAction, Keyboard};
use lattice_wire::input::WHEEL_NOTCH;
use lattice_wire::{Button, Input, Micros, ViewerId, Wheel};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The pauses between attempts to connect.
const RETRY: (Micros, Micros) = (Micros::from_millis(250), Micros::from_millis(2000));
/// While somebody looks at a still picture the display is asked so often whether it still lives.
const PROBE: Micros = Micros::from_millis(2000);
/// A wheel that turns faster than this in one event is broken or hostile.
const MAX_CLICKS: u16 = 20;

/// X's numbers of left, middle, right, back and forward.
const BUTTONS: [u8; 5] = [1, 2, 3, 8, 9];
const WHEEL_UP: u8 = 4;
const WHEEL_DOWN: u8 = 5;
const WHEEL_LEFT: u8 = 6;
const WHEEL_RIGHT: u8 = 7;

/// Applies input for ever. `connect` is tried again whenever the display is gone.
pub fn run(shared: &Arc<Shared>, mut connect: impl FnMut() -> Result<Injector, DisplayError>) {
    let mut pause = RETRY.0;
    loop {
        let connected = {
            let _busy = shared.input_busy.enter();
            connect().and_then(|injector| Hands::new(shared, injector))
        };
        let error = match connected {
            Ok(mut hands) => {
                pause = RETRY.0;
                hands.run()
            }
            Err(error) => error,
        };
        tracing::debug!(%error, "input is not possible");
        shared.inputs.take();
        let until = clock::now().plus(pause);
        while clock::now() < until {
            shared.inputs.waker().wait(None, Some(until.since(clock::now())));
            shared.inputs.take();
        }
        pause = Micros((pause.0 * 2).min(RETRY.1.0));
    }
}

/// What is held on one connection to the display.
struct Hands<'a> {
    shared: &'a Shared,
    injector: Injector,
    keyboard: Keyboard,
    buttons: BTreeSet<u8>,
    viewer: ViewerId,
    wheel: (i32, i32),
    settled: Micros,
}

impl<'a> Hands<'a> {
    fn new(shared: &'a Shared, mut injector: Injector) -> Result<Self, DisplayError> {
        let keyboard = Keyboard::new(injector.keymap()?);
        let told = injector.settle()?;
        let mut hands = Self {
            shared,
            injector,
            keyboard,
            buttons: BTreeSet::new(),
            viewer: ViewerId(0),
            wheel: (0, 0),
            settled: clock::now(),
        };
        hands.hear(told);
        Ok(hands)
    }

    /// Works until the display is gone.
    fn run(&mut self) -> DisplayError {
        loop {
            let is_watched = self.shared.watched.load(Ordering::Relaxed);
            let patience = is_watched.then_some(PROBE);
            self.shared.inputs.waker().wait(self.injector.fd(), patience);
            if let Err(error) = self.turn() {
                return error;
            }
        }
    }

    fn turn(&mut self) -> Result<(), DisplayError> {
        let _busy = self.shared.input_busy.enter();
        let turned = self.apply_all();
        self.shared.echo.end();
        turned
    }

    fn apply_all(&mut self) -> Result<(), DisplayError> {
        // A keymap that changed while nothing was typed is known before the next key.
        let told = self.injector.listen()?;
        self.hear(told);
        let items = self.shared.inputs.take();
        if items.is_empty() && clock::now().since(self.settled) < PROBE {
            return Ok(());
        }
        let mut applied = None;
        if !items.is_empty() {
            self.shared.echo.begin();
        }
        for item in items {
            match item {
                InputItem::Apply(viewer, input) => {
                    let seq = input.seq();
                    self.apply(viewer, input)?;
                    count(&self.shared.counters.inputs);
                    applied = Some((viewer, seq));
                }
                InputItem::ReleaseAll => self.release_all()?,
            }
        }
        let told = self.injector.settle()?;
        self.hear(told);
        self.settled = clock::now();
        if let Some((viewer, seq)) = applied {
            self.shared.echo.set(viewer, seq);
        }
        Ok(())
    }

    fn hear(&mut self, told: Told) {
        if let Some(keymap) = told.keymap {
            self.keyboard.set_keymap(keymap);
        }
        if let Some(state) = told.state {
            self.keyboard.set_state(state);
        }
    }

    fn apply(&mut self, viewer: ViewerId, input: Input) -> Result<(), DisplayError> {
        if viewer != self.viewer {
            self.release_all()?;
            self.viewer = viewer;
        }
        let now = clock::now();
        if let Some(at) = input.place() {
            self.shared.pointer.set(at);
        }
        match input {
            Input::Key(key) => {
                if key.down {
                    self.injector.note_key();
                }
                let actions = self.keyboard.handle_key(&key, now);
                self.perform(&actions)
            }
            Input::Text(text) => {
                self.injector.note_key();
                let actions = self.keyboard.handle_text(&text.text, now);
                self.perform(&actions)
            }
            Input::Pointer(pointer) => self.injector.motion(pointer.at),
            Input::Button(button) => self.press(button, now),
            Input::Wheel(wheel) => self.turn_wheel(wheel, now),
            Input::ReleaseAll(_) => self.release_all(),
        }
    }

    fn perform(&mut self, actions: &[KeyAction]) -> Result<(), DisplayError> {
        for &action in actions {
            // Long texts wait for spare keycodes: that is no sign of a display that hangs.
            self.shared.input_busy.renew();
            if matches!(action, KeyAction::Wait { .. }) {
                // No frame waits for a number that takes so long.
                self.shared.echo.end();
            }
            self.injector.perform(action)?;
        }
        Ok(())
    }

    fn press(&mut self, event: Button, now: Micros) -> Result<(), DisplayError> {
        let actions = self.keyboard.handle_modifiers(event.modifiers, now);
        self.perform(&actions)?;
        self.injector.motion(event.at)?;
        let Some(&button) = BUTTONS.get(usize::from(event.button)) else { return Ok(()) };
        let changed = match event.down {
            true => self.buttons.insert(button),
            false => self.buttons.remove(&button),
        };
        if changed { self.injector.button(button, event.down) } else { Ok(()) }
    }

    fn turn_wheel(&mut self, event: Wheel, now: Micros) -> Result<(), DisplayError> {
        let actions = self.keyboard.handle_modifiers(event.modifiers, now);
        self.perform(&actions)?;
        self.injector.motion(event.at)?;
        let right = clicks(&mut self.wheel.0, event.dx);
        let down = clicks(&mut self.wheel.1, event.dy);
        self.click(down, WHEEL_UP, WHEEL_DOWN)?;
        self.click(right, WHEEL_LEFT, WHEEL_RIGHT)
    }

    fn click(&mut self, times: i32, back: u8, forth: u8) -> Result<(), DisplayError> {
        let button = if times < 0 { back } else { forth };
        for _ in 0..times.unsigned_abs() {
            self.injector.button(button, true)?;
            self.injector.button(button, false)?;
        }
        Ok(())
    }

    fn release_all(&mut self) -> Result<(), DisplayError> {
        let actions = self.keyboard.release_all(clock::now());
        self.perform(&actions)?;
        for button in std::mem::take(&mut self.buttons) {
            self.injector.button(button, false)?;
        }
        self.wheel = (0, 0);
        Ok(())
    }
}

/// Adds to a wheel's turn, and takes off the whole notches. Turning back starts afresh.
fn clicks(turned: &mut i32, more: i16) -> i32 {
    if turned.signum() * i32::from(more.signum()) < 0 {
        *turned = 0;
    }
    *turned += i32::from(more);
    let notches = *turned / i32::from(WHEEL_NOTCH);
    *turned -= notches * i32::from(WHEEL_NOTCH);
    notches.clamp(-i32::from(MAX_CLICKS), MAX_CLICKS.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_turns_of_the_wheel_add_up_to_a_click() {
        let mut turned = 0;
        let clicked: Vec<i32> =
            [50, 50, 50, -20, -100].map(|more| clicks(&mut turned, more)).into();
        assert_eq!(clicked, [0, 0, 1, 0, -1]);
    }

    #[test]
    fn a_wild_wheel_is_bounded() {
        assert_eq!(clicks(&mut 0, i16::MIN), -20);
    }
}
