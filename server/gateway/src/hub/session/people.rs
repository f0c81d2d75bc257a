//! Who is there, who drives, and where the others point.

use super::super::{Seen, Whose, packet};
use super::report::drop_input;
use super::{Member, Session};
use lattice_engine::arbiter::Arbiter;
use lattice_wire::{
    Control, Input, People, Person, Point, Pointing, Role, Seq, ServerPacket, ToAgent, ViewerId,
};

impl Session {
    /// Lets the arbiter decide who drives; nothing that the last driver held stays pressed. What
    /// changes nothing is told to nobody, however often it is asked for.
    pub(super) fn pass_control(&mut self, decide: impl FnOnce(&mut Arbiter)) {
        let before = self.arbiter.clone();
        decide(&mut self.arbiter);
        if self.arbiter == before {
            return;
        }
        let (before, after) = (before.controller(), self.arbiter.controller());
        if let Some(old) = before.filter(|_| before != after) {
            let seq = self.viewers.get(&old).map_or(Seq(0), |member| member.last_seq);
            self.input_or_count(ToAgent::Input(old, Input::ReleaseAll(seq)), 0);
        }
        self.announce_control();
    }

    /// The same as a viewer says. Whoever may never drive has no say in it.
    pub(super) fn ask_control(&mut self, viewer: ViewerId, decide: impl FnOnce(&mut Arbiter)) {
        let role = self.viewers.get(&viewer).map(|member| member.visitor.role);
        match role {
            Some(Role::Control | Role::Own) => self.pass_control(decide),
            Some(Role::View | Role::Assist) | None => drop_input("not_controller"),
        }
    }

    /// Gives control to a viewer, or back to an owner, or to nobody where there is none.
    pub(super) fn give_from_outside(&mut self, to: Option<ViewerId>) {
        self.pass_control(|arbiter| match (to, arbiter.controller()) {
            (Some(to), _) => arbiter.grant(to),
            (None, Some(driver)) => arbiter.release(driver),
            (None, None) => {}
        });
    }

    /// Shows the others where somebody points. Whoever drives is seen by what they do.
    pub(super) fn point(&self, viewer: ViewerId, at: Point) {
        let may = self.viewers.get(&viewer).is_some_and(|member| member.visitor.role > Role::View);
        if !may || self.arbiter.controller() == Some(viewer) {
            drop_input("not_pointing");
            return;
        }
        let bytes = packet(&ServerPacket::Pointing(Pointing { viewer, at }));
        for (_, member) in self.viewers.iter().filter(|&(&id, _)| id != viewer) {
            member.outbox.push_latest(bytes.clone());
        }
    }

    /// Offers the desktop's page to the owner who drives, or else to all who look. Nobody else hears of it:
    /// programs of the desktop have this done.
    pub(super) fn offer_page(&self) {
        let is_owner = |member: &Member| member.visitor.role == Role::Own;
        let driver = self.arbiter.controller().and_then(|driver| self.viewers.get(&driver));
        let bytes = packet(&ServerPacket::OfferPage);
        match driver.filter(|member| is_owner(member)) {
            Some(member) => member.outbox.push_latest(bytes),
            None => {
                let owners = self.viewers.values().filter(|member| is_owner(member));
                owners.for_each(|owner| owner.outbox.push_latest(bytes.clone()));
            }
        }
    }

    /// The viewers that have this in common.
    pub(super) fn those(&self, whose: Whose) -> Vec<ViewerId> {
        let included =
            self.viewers.iter().filter(|(_, member)| whose.includes(member.visitor.right));
        included.map(|(&viewer, _)| viewer).collect()
    }

    pub(super) fn people(&self) -> Vec<Seen> {
        let seen = |(&viewer, member): (&ViewerId, &Member)| Seen {
            person: Person {
                viewer,
                role: member.visitor.role,
                asks: self.arbiter.asks(viewer),
                name: member.visitor.name.clone(),
            },
            right: member.visitor.right,
        };
        self.viewers.iter().map(seen).collect()
    }

    /// Tells everybody who drives, and owners who is there.
    pub(super) fn announce_control(&mut self) {
        self.fanout.handle_controller(self.arbiter.controller());
        let viewers = u16::try_from(self.viewers.len()).unwrap_or(u16::MAX);
        let controller = self.arbiter.controller().unwrap_or_default();
        self.broadcast(&packet(&ServerPacket::Control(Control { controller, viewers })));
        let people = self.people().into_iter().map(|seen| seen.person).collect();
        let people = packet(&ServerPacket::People(People(people)));
        let owners = self.viewers.values().filter(|member| member.visitor.role == Role::Own);
        owners.for_each(|owner| owner.outbox.push_latest(people.clone()));
        self.count_viewers();
    }
}
