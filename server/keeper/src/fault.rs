//! Why something was not done: in which way, and what a person is told.

use lattice_wire::snapshots::{Refusal, Reply};
use rustic_core::RusticError;
use std::error::Error;
use std::io;

/// The whole of it.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Fault {
    pub(crate) why: Refusal,
    pub(crate) detail: String,
}

pub(crate) type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    pub(crate) fn new(why: Refusal, detail: impl Into<String>) -> Self {
        Self { why, detail: detail.into() }
    }

    /// There is no such thing.
    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::new(Refusal::Missing, what)
    }

    /// A step that the system refused.
    pub(crate) fn step(step: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| match is_full(&error) {
            true => Self::full(),
            false => Self::new(Refusal::Failed, format!("{step}: {error}")),
        }
    }

    pub(crate) fn full() -> Self {
        Self::new(
            Refusal::Full,
            "no room is left for it; delete what is not needed in Data, or have the administrator \
             make room on the server's disk",
        )
    }

    pub(crate) fn reply(self) -> Reply {
        Reply::Refused { why: self.why, detail: self.detail }
    }
}

impl From<Box<RusticError>> for Fault {
    fn from(error: Box<RusticError>) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&*error);
        while let Some(one) = cause {
            if one.downcast_ref::<io::Error>().is_some_and(is_full) {
                return Self::full();
            }
            cause = one.source();
        }
        Self::new(Refusal::Failed, format!("the repository of snapshots: {}", error.display_log()))
    }
}

/// The disk, or what somebody may keep on it.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
