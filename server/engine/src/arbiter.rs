//! Who drives: one viewer at a time, the others watch.
//!
//! Whose desktop it is drives whenever they wish; a guest who may drive does so when given control,
//! and may ask for it. The owner takes it back by driving.

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arbiter {
    viewers: Vec<Seat>,
    controller: Option<ViewerId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seat {
    viewer: ViewerId,
    role: Role,
    asks: bool,
}

impl Arbiter {
    /// Nobody is there.
    pub fn new() -> Self {
        Self::default()
    }

    /// A viewer came. An owner drives if nobody else does.
    pub fn join(&mut self, viewer: ViewerId, role: Role) {
        self.viewers.push(Seat { viewer, role, asks: false });
        if self.controller.is_none() && role == Role::Own {
            self.controller = Some(viewer);
        }
    }

    /// A viewer went. If it drove, the owner that came first does.
    pub fn leave(&mut self, viewer: ViewerId) {
        self.viewers.retain(|seat| seat.viewer != viewer);
        if self.controller == Some(viewer) {
            self.controller = self.heir(viewer);
        }
    }

    /// A viewer wants to drive. An owner does at once; a guest who may asks for it.
    pub fn take(&mut self, viewer: ViewerId) {
        let driven = self.controller;
        let Some(seat) = self.seat(viewer) else { return };
        match seat.role {
            Role::Own => self.controller = Some(viewer),
            Role::Control => seat.asks = driven != Some(viewer),
            Role::View | Role::Assist => {}
        }
    }

    /// `by` hands control to `to`. Only an owner may, or who drives to an owner; and only to one who
    /// may drive.
    pub fn give(&mut self, by: ViewerId, to: ViewerId) {
        let role = |viewer| Some(self.viewers.iter().find(|seat| seat.viewer == viewer)?.role);
        let allowed = match (role(by), role(to)) {
            (Some(Role::Own), Some(Role::Own | Role::Control)) => true,
            (Some(_), Some(Role::Own)) => self.controller == Some(by),
            _ => false,
        };
        if allowed {
            self.grant(to);
        }
    }

    /// `to` drives from here on, if it may drive at all: somebody said so who is no viewer.
    pub fn grant(&mut self, to: ViewerId) {
        let may = |seat: &&mut Seat| matches!(seat.role, Role::Control | Role::Own);
        if let Some(seat) = self.seat(to).filter(may) {
            seat.asks = false;
            self.controller = Some(to);
        }
    }

    /// A viewer no longer wants to drive, or to be given control.
    pub fn release(&mut self, viewer: ViewerId) {
        let Some(seat) = self.seat(viewer) else { return };
        seat.asks = false;
        if self.controller == Some(viewer) {
            self.controller = self.heir(viewer);
        }
    }

    /// Who drives.
    pub fn controller(&self) -> Option<ViewerId> {
        self.controller
    }

    /// Whether this viewer waits to be given control.
    pub fn asks(&self, viewer: ViewerId) -> bool {
        self.viewers.iter().any(|seat| seat.viewer == viewer && seat.asks)
    }

    /// The right of this viewer's input to be applied, if it has it.
    pub fn authorize(&self, viewer: ViewerId) -> Option<Grant> {
        (self.controller == Some(viewer)).then_some(Grant { viewer })
    }

    fn seat(&mut self, viewer: ViewerId) -> Option<&mut Seat> {
        self.viewers.iter_mut().find(|seat| seat.viewer == viewer)
    }

    /// Who drives after `viewer`: never a guest, who would not know of it.
    fn heir(&self, viewer: ViewerId) -> Option<ViewerId> {
        let mut owners = self.viewers.iter().filter(|seat| seat.role == Role::Own);
        owners.find(|seat| seat.viewer != viewer).map(|seat| seat.viewer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANN: ViewerId = ViewerId(1);
    const BEN: ViewerId = ViewerId(2);
    const EVE: ViewerId = ViewerId(3);
    const SUE: ViewerId = ViewerId(4);

    /// Ann and Ben own it, Sue may be given control, Eve watches.
    fn room() -> Arbiter {
        let mut arbiter = Arbiter::new();
        arbiter.join(EVE, Role::View);
        arbiter.join(SUE, Role::Control);
        arbiter.join(ANN, Role::Own);
        arbiter.join(BEN, Role::Own);
        arbiter
    }

    #[test]
    fn the_first_owner_drives_and_others_do_not() {
        let arbiter = room();
        assert_eq!(arbiter.authorize(ANN).map(Grant::viewer), Some(ANN));
        for other in [BEN, EVE, SUE] {
            assert_eq!(arbiter.authorize(other), None);
        }
    }

    #[test]
    fn an_owner_takes_control_and_a_watcher_cannot() {
        let mut arbiter = room();
        arbiter.take(EVE);
        arbiter.take(ViewerId(99));
        assert_eq!(arbiter.controller(), Some(ANN));
        arbiter.take(BEN);
        assert_eq!(arbiter.controller(), Some(BEN));
    }

    #[test]
    fn a_guest_drives_when_given_control_and_until_it_is_taken_back() {
        let mut arbiter = room();
        arbiter.take(SUE);
        assert!(arbiter.asks(SUE));
        assert_eq!(arbiter.controller(), Some(ANN), "asking is not driving");
        arbiter.give(ANN, SUE);
        assert!(!arbiter.asks(SUE));
        assert_eq!(arbiter.controller(), Some(SUE));
        arbiter.take(ANN);
        assert_eq!(arbiter.controller(), Some(ANN));
    }

    #[test]
    fn a_guest_hands_control_back_but_not_on() {
        let mut arbiter = room();
        arbiter.join(ViewerId(5), Role::Control);
        arbiter.give(ANN, SUE);
        arbiter.give(SUE, ViewerId(5));
        assert_eq!(arbiter.controller(), Some(SUE));
        arbiter.give(SUE, BEN);
        assert_eq!(arbiter.controller(), Some(BEN));
        arbiter.give(SUE, ANN);
        assert_eq!(arbiter.controller(), Some(BEN), "who does not drive gives nothing");
    }

    #[test]
    fn a_request_is_withdrawn() {
        let mut arbiter = room();
        arbiter.take(SUE);
        arbiter.release(SUE);
        assert!(!arbiter.asks(SUE));
        assert_eq!(arbiter.controller(), Some(ANN));
    }

    #[test]
    fn control_passes_to_an_owner_when_the_driver_goes_and_to_nobody_where_there_is_none() {
        let mut arbiter = room();
        arbiter.leave(ANN);
        assert_eq!(arbiter.controller(), Some(BEN));
        arbiter.give(BEN, SUE);
        arbiter.leave(SUE);
        assert_eq!(arbiter.controller(), Some(BEN));
        arbiter.leave(BEN);
        assert_eq!(arbiter.controller(), None);
    }

    proptest! {
        #[test]
        fn whoever_drives_is_there_and_may(
            steps in prop::collection::vec((0..5u8, 1..6u32, 1..6u32, 0..4usize), 0..60),
        ) {
            let roles = [Role::View, Role::Assist, Role::Control, Role::Own];
            let mut arbiter = Arbiter::new();
            let mut there: Vec<(ViewerId, Role)> = Vec::new();
            for (step, a, b, role) in steps {
                let (a, b) = (ViewerId(a), ViewerId(b));
                match step {
                    0 if there.iter().all(|&(id, _)| id != a) => {
                        there.push((a, roles[role]));
                        arbiter.join(a, roles[role]);
                    }
                    0 | 1 => {
                        there.retain(|&(id, _)| id != a);
                        arbiter.leave(a);
                    }
                    2 => arbiter.take(a),
                    3 => arbiter.give(a, b),
                    _ => arbiter.release(a),
                }
                if let Some(driver) = arbiter.controller() {
                    let role = there.iter().find(|&&(id, _)| id == driver).map(|&(_, role)| role);
                    prop_assert!(matches!(role, Some(Role::Control | Role::Own)));
                }
            }
        }
    }
}
