//! Backups: people's files and the server's own state in a repository of restic's format, elsewhere.
//!
//! Whoever makes one talks to this by lines (`lattice_wire::backup`), since the password is stretched for a
//! second each time that a repository is opened. It is told which directories to read, by root, and reads
//! them as snapshots are read: by a walk that follows no link, for what is in them is their owner's.
//!
//! INVARIANT: a backup is there when the snapshot of the server's state is, which names all others, and
//! that is written last. Whatever ends this earlier leaves what the next [`vault::Vault::tidy`] removes.

mod meta;
mod read;
mod restore;
#[cfg(test)]
mod tests;
mod vault;

use lattice_wire::backup::{MAX_LINE, Reply, Request, Where};
use std::io::{self, BufRead, Read as _, Write};
use vault::Vault;

/// What went wrong, as a sentence for whoever operates the server, with what to do.
type Result<T> = std::result::Result<T, String>;

/// Answers all that is asked, until there is nothing more.
pub(crate) fn serve(mut from: impl BufRead, mut to: impl Write) -> io::Result<()> {
    let Some(place) = line::<Where>(&mut from)? else { return Ok(()) };
    let mut vault = Vault::at(place);
    while let Some(request) = line::<Request>(&mut from)? {
        let reply = answer(&mut vault, request).unwrap_or_else(|detail| Reply::Refused { detail });
        let mut said = serde_json::to_vec(&reply)?;
        said.push(b'\n');
        to.write_all(&said)?;
        to.flush()?;
    }
    Ok(())
}

fn answer(vault: &mut Vault, request: Request) -> Result<Reply> {
    Ok(match request {
        Request::Init {} => {
            vault.init()?;
            Reply::Done {}
        }
        Request::Open {} => {
            vault.open()?;
            Reply::Done {}
        }
        Request::Read { of, parts, people } => Reply::Read(read::read(vault, of, &parts, &people)?),
        Request::Forget { snapshots } => {
            vault.forget(&snapshots)?;
            Reply::Done {}
        }
        Request::Tidy { keep } => Reply::Tidied { forgotten: vault.tidy(keep)? },
        Request::List {} => {
            Reply::Sets { sets: vault.sets()?.into_iter().map(|it| it.set).collect() }
        }
        Request::Check {} => {
            vault.check()?;
            Reply::Done {}
        }
        Request::Restore { set, into } => {
            Reply::Restored(restore::restore(vault, set.as_deref(), &into)?)
        }
    })
}

/// The next one; nothing at the end.
fn line<T: serde::de::DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}
