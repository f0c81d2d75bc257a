//! Which container a part of a desktop is.

use super::{Core, Desktops};
use crate::logs::PartName;
use crate::runtime::RuntimeError;
use lattice_engine::session::SessionId;

impl Desktops {
    /// The container of that part, dead or alive.
    pub(in crate::broker) async fn part(
        &self,
        session: &SessionId,
        part: &PartName,
    ) -> Result<String, RuntimeError> {
        let found = self.find(session).await?;
        let container = match part.of_app() {
            Some(app) => found.apps.get(app),
            None => Core::from_name(part.as_str()).and_then(|core| found.core.get(&core)),
        };
        container.map(|container| container.id.clone()).ok_or_else(|| {
            RuntimeError::Refused(format!("there is no part {part} of that desktop at this moment"))
        })
    }
}
