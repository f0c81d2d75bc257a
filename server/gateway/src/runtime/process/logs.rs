//! What desktops say: all parts of one in one file, which its supervisor keeps small.

use super::Process;
use crate::logs::{File, Lines, PARTS, PartName, Window};
use crate::runtime::RuntimeError;
use lattice_engine::session::SessionId;

impl Process {
    pub(crate) fn log_parts(&self, session: &SessionId) -> Vec<&'static str> {
        match self.place(session).join("log").exists() {
            true => PARTS.to_vec(),
            false => Vec::new(),
        }
    }

    pub(crate) fn logs(
        &self,
        session: &SessionId,
        part: &PartName,
        window: Window,
    ) -> Result<Lines, RuntimeError> {
        if !PARTS.contains(&part.as_str()) {
            let all = PARTS.join(", ");
            return Err(RuntimeError::Refused(format!("there is no part {part}; there are {all}")));
        }
        let place = self.place(session);
        let path = place.join("log");
        let opened = File::open(place, part.clone(), window);
        opened.map(Lines::of_file).map_err(RuntimeError::step("read the log", &path))
    }
}
