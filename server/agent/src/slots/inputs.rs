//! Input on its way to the display.

use super::{Waker, lock};
use lattice_wire::{Input, ViewerId};
use std::collections::VecDeque;
use std::sync::Mutex;

/// More events than a person makes in several seconds.
const MAX_QUEUED: usize = 1024;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputItem {
    /// Apply a viewer's input.
    Apply(ViewerId, Input),
    /// Release all that is held: the link is gone, or input was dropped.
    ReleaseAll,
}

/// A queue of input, in order. Motion that follows motion replaces it.
#[derive(Debug)]
pub struct Inputs {
    queue: Mutex<Queue>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<InputItem>,
    overflowed: bool,
}

impl Inputs {
    /// An empty queue that rings `waker`.
    pub fn new(waker: Waker) -> Self {
        Self { queue: Mutex::default(), waker }
    }

    /// Adds an item; false where it was dropped.
    pub fn push(&self, item: InputItem) -> bool {
        let kept = lock(&self.queue).push(item);
        self.waker.wake();
        kept
    }

    /// All that is queued. Where something was dropped everything held is released after it.
    pub fn take(&self) -> VecDeque<InputItem> {
        let mut queue = lock(&self.queue);
        let mut items = std::mem::take(&mut queue.items);
        if std::mem::take(&mut queue.overflowed) {
            items.push_back(InputItem::ReleaseAll);
        }
        items
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        lock(&self.queue).items.is_empty()
    }

    /// What ends the input thread's waits.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }
}

impl Queue {
    fn push(&mut self, item: InputItem) -> bool {
        if let (
            Some(InputItem::Apply(last, Input::Pointer(old))),
            InputItem::Apply(viewer, Input::Pointer(new)),
        ) = (self.items.back_mut(), &item)
            && *last == *viewer
        {
            *old = *new;
            return true;
        }
        if self.items.len() >= MAX_QUEUED {
            self.overflowed = true;
            return false;
        }
        self.items.push_back(item);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_wire::{Button, Modifiers, Point, PointerAt, Seq};

    fn motion(seq: u32) -> InputItem {
        let at = Point { x: seq as u16, y: 0 };
        InputItem::Apply(ViewerId(1), Input::Pointer(PointerAt { seq: Seq(seq), at }))
    }

    fn click(seq: u32) -> InputItem {
        let (at, modifiers) = (Point { x: 0, y: 0 }, Modifiers(0));
        let button = Button { seq: Seq(seq), at, button: 0, down: true, modifiers };
        InputItem::Apply(ViewerId(1), Input::Button(button))
    }

    fn inputs() -> Inputs {
        Inputs::new(Waker::new().unwrap())
    }

    #[test]
    fn motion_replaces_motion_but_never_passes_a_click() {
        let inputs = inputs();
        for item in [motion(1), motion(2), click(3), motion(4), motion(5)] {
            assert!(inputs.push(item));
        }
        assert_eq!(inputs.take(), [motion(2), click(3), motion(5)]);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_then_all_is_released() {
        let inputs = inputs();
        let kept = (0..2000).filter(|&seq| inputs.push(click(seq))).count();
        assert_eq!(kept, MAX_QUEUED);
        assert_eq!(inputs.take().back(), Some(&InputItem::ReleaseAll));
        assert!(inputs.take().is_empty());
    }
}
