//! Who is there, who drives, and where the others point.

use super::super::packet;
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

    /// Tells everybody who drives, and owners who is there.
    pub(super) fn announce_control(&mut self) {
        self.fanout.handle_controller(self.arbiter.controller());
        let viewers = u16::try_from(self.viewers.len()).unwrap_or(u16::MAX);
        let controller = self.arbiter.controller().unwrap_or_default();
        self.broadcast(&packet(&ServerPacket::Control(Control { controller, viewers })));
        let person = |(&viewer, member): (&ViewerId, &Member)| Person {
            viewer,
            role: member.visitor.role,
            asks: self.arbiter.asks(viewer),
            name: member.visitor.name.clone(),
        };
        let people = People(self.viewers.iter().map(person).collect());
        let people = packet(&ServerPacket::People(people));
        let owners = self.viewers.values().filter(|member| member.visitor.role == Role::Own);
        owners.for_each(|owner| owner.outbox.push_latest(people.clone()));
        self.count();
    }
}
