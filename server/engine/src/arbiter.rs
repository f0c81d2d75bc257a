//! Who drives: one viewer at a time, the others watch.

use lattice_wire::{Role, ViewerId};

/// Proof that a viewer's input may go to the desktop; only [`Arbiter::authorize`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    viewer: ViewerId,
}

impl Grant {
    /// Whose input it is.
    pub fn viewer(self) -> ViewerId {
        self.viewer
    }
}

/// The viewers of a session in the order in which they came, and the one that drives.
#[derive(Debug, Default)]
pub struct Arbiter {
    viewers: Vec<(ViewerId, Role)>,
    controller: Option<ViewerId>,
}

impl Arbiter {
    /// Nobody is there.
    pub fn new() -> Self {
        Self::default()
    }

    /// A viewer came. It drives if it may and nobody else does.
    pub fn join(&mut self, viewer: ViewerId, role: Role) {
        self.viewers.push((viewer, role));
        if self.controller.is_none() && role == Role::Control {
            self.controller = Some(viewer);
        }
    }

    /// A viewer went. If it drove, the one that waited longest and may drive does.
    pub fn leave(&mut self, viewer: ViewerId) {
        self.viewers.retain(|&(id, _)| id != viewer);
        if self.controller == Some(viewer) {
            let heir = self.viewers.iter().find(|(_, role)| *role == Role::Control);
            self.controller = heir.map(|&(id, _)| id);
        }
    }

    /// A viewer asks to drive; whether it does now.
    pub fn take(&mut self, viewer: ViewerId) -> bool {
        let may = self.viewers.contains(&(viewer, Role::Control));
        if may {
            self.controller = Some(viewer);
        }
        may
    }

    /// Who drives.
    pub fn controller(&self) -> Option<ViewerId> {
        self.controller
    }

    /// The right of this viewer's input to be applied, if it has it.
    pub fn authorize(&self, viewer: ViewerId) -> Option<Grant> {
        (self.controller == Some(viewer)).then_some(Grant { viewer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: ViewerId = ViewerId(1);
    const BEN: ViewerId = ViewerId(2);
    const EVE: ViewerId = ViewerId(3);

    fn room() -> Arbiter {
        let mut arbiter = Arbiter::new();
        arbiter.join(EVE, Role::Watch);
        arbiter.join(ANN, Role::Control);
        arbiter.join(BEN, Role::Control);
        arbiter
    }

    #[test]
    fn the_first_who_may_drives_and_others_do_not() {
        let arbiter = room();
        assert_eq!(arbiter.authorize(ANN).map(Grant::viewer), Some(ANN));
        assert_eq!(arbiter.authorize(BEN), None);
        assert_eq!(arbiter.authorize(EVE), None);
    }

    #[test]
    fn a_watcher_cannot_take_control() {
        let mut arbiter = room();
        assert!(!arbiter.take(EVE));
        assert!(arbiter.take(BEN));
        assert_eq!(arbiter.controller(), Some(BEN));
    }

    #[test]
    fn a_stranger_cannot_take_control() {
        assert!(!room().take(ViewerId(99)));
    }

    #[test]
    fn control_passes_on_when_the_controller_goes() {
        let mut arbiter = room();
        arbiter.leave(ANN);
        assert_eq!(arbiter.controller(), Some(BEN));
        arbiter.leave(BEN);
        assert_eq!(arbiter.controller(), None);
    }
}
