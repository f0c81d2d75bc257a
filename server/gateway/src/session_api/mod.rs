//! What a desktop's own programs ask for: apps, from its menu, and what there is to know and do about the
//! desktop itself; by the session's relay (`server/session-api`), which this links to.
//!
//! INVARIANT: what is asked by a session's relay is asked of that session, whatever it says: no line
//! names one. What may be opened are the apps of its template; what they may do is the template's to
//! say, so nothing that is asked reaches any further. What else can be asked is a closed set
//! (`lattice_wire::desktop`), answered by `http/api/inside.rs`.

mod asking;
mod catalogue;
mod lines;
mod link;
mod pace;

pub use asking::{Asked, Asking};
pub use catalogue::{TemplateApp, apps};
pub(crate) use link::Link;
pub(crate) use pace::Pace;

/// Why an app is not opened or closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppError {
    /// The desktop's template has none of that name.
    #[error("there is no app {app:?} on this desktop; {}", there(.names))]
    Missing {
        /// What was asked for.
        app: String,
        /// What there is.
        names: Vec<String>,
    },
    /// The desktop does not run.
    #[error("the desktop does not run; start it first")]
    NotRunning,
    /// The runtime could not.
    #[error("{0}")]
    Failed(String),
}

fn there(names: &[String]) -> String {
    match names {
        [] => "its template has no apps".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    }
}
