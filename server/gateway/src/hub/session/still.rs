//! Still pictures for those who look at a list of desktops: asked of the agent one at a time, and only
//! while somebody waits for one.

use super::Session;
use bytes::Bytes;
use lattice_wire::link::MAKES_STILLS;
use lattice_wire::{AgentHello, ToAgent};
use tokio::sync::watch;

/// What the session knows of still pictures.
#[derive(Debug, Default)]
pub(super) struct Still {
    is_wanted: bool,
    /// The newest; empty where there was none yet.
    newest: watch::Sender<Bytes>,
}

impl Session {
    pub(in crate::hub) fn still(&self) -> watch::Receiver<Bytes> {
        self.still.newest.subscribe()
    }

    /// Somebody looks: the next is asked for, unless it is already.
    pub(super) fn want_still(&mut self) {
        if !std::mem::replace(&mut self.still.is_wanted, true) {
            self.ask_still();
        }
    }

    /// Only its second hello says so, which older gateways take for the first one again.
    pub(super) fn learn_stills(&mut self, hello: &AgentHello) {
        let Some(link) = &mut self.link else { return };
        if hello.version & MAKES_STILLS != 0 && !std::mem::replace(&mut link.makes_stills, true) {
            self.ask_still();
        }
    }

    /// Asks where one is wanted and the agent makes any.
    pub(super) fn ask_still(&mut self) {
        let can = self.link.as_ref().is_some_and(|link| link.makes_stills);
        if self.still.is_wanted && can {
            let at_once = self.still.newest.borrow().is_empty();
            self.tell(ToAgent::Still { at_once });
        }
    }

    /// What nobody asked for is dropped: an agent cannot have others be busy with it.
    pub(super) fn show_still(&mut self, png: Bytes) {
        if std::mem::take(&mut self.still.is_wanted) {
            self.still.newest.send_replace(png);
        }
    }
}
