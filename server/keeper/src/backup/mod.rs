//! Backups: people's files and the server's own state in a repository of restic's format, elsewhere.
//!
//! Whoever makes one talks to this by lines (`lattice_wire::backup`), since the password is stretched for a
//! second each time that a repository is opened. It is told which directories to read, by root, and reads
//! them as snapshots are read: by a walk that follows no link, for what is in them is their owner's.
//!
//! INVARIANT: a backup is there when the snapshot of the server's state is, which names all others, and
//! that is written last. Whatever ends this earlier leaves what the next [`vault::Vault::tidy`] removes.

mod hold;
mod meta;
mod read;
mod remote;
mod restore;
#[cfg(test)]
mod tests;
mod vault;

use lattice_wire::backup::{MAX_LINE, Reply, Request, Where};
use std::io::{self, BufRead, Read as _, Write};
use std::panic::{self, AssertUnwindSafe};
use vault::Vault;

/// What went wrong, as a sentence for whoever operates the server, with what to do.
type Result<T> = std::result::Result<T, String>;

/// The repository, and what has been read for the person whose turn it is.
struct Desk {
    vault: Vault,
    ahead: Option<hold::Ahead>,
    held: Option<hold::Held>,
}

/// Answers all that is asked, until there is nothing more.
pub(crate) fn serve(mut from: impl BufRead, mut to: impl Write) -> io::Result<()> {
    let Some(place) = line::<Where>(&mut from)? else { return Ok(()) };
    let mut desk = Vault::at(place).map(|vault| Desk { vault, ahead: None, held: None });
    while let Some(request) = line::<Request>(&mut from)? {
        let reply = match &mut desk {
            Ok(desk) => caught(desk, request),
            Err(why) => Err(why.clone()),
        };
        let reply = reply.unwrap_or_else(|detail| Reply::Refused { detail });
        let mut said = serde_json::to_vec(&reply)?;
        said.push(b'\n');
        to.write_all(&said)?;
        to.flush()?;
    }
    Ok(())
}

fn caught(desk: &mut Desk, request: Request) -> Result<Reply> {
    let step = match &request {
        Request::Restore { into, .. } => {
            format!("; what is in {} is not whole, remove it", into.display())
        }
        _ => String::new(),
    };
    // Of what is damaged in certain ways the library says nothing and panics.
    // INVARIANT: whatever is asked next opens the repository anew, so nothing half done is gone on with.
    let answered = panic::catch_unwind(AssertUnwindSafe(|| answer(desk, request)));
    answered.unwrap_or_else(|_| {
        (desk.ahead, desk.held) = (None, None);
        let why = match desk.vault.trouble() {
            Some(trouble) => trouble.0,
            None => desk.vault.damaged("it cannot be read"),
        };
        Err(why + &step)
    })
}

fn answer(desk: &mut Desk, request: Request) -> Result<Reply> {
    let vault = &mut desk.vault;
    Ok(match request {
        Request::Init {} => {
            vault.init()?;
            Reply::Done {}
        }
        Request::Open {} => {
            vault.open()?;
            Reply::Done {}
        }
        Request::Read { of, parts, people, held } => {
            let held = desk.held.take().filter(|_| held);
            let (read, ahead) = match read::read(vault, of, &parts, &people, held) {
                Ok(read) => read,
                Err(why) => {
                    if vault.trouble().is_none() {
                        // Where this machine remembers it wrongly, the next one does not.
                        vault.drop_cache();
                    }
                    return Err(why);
                }
            };
            desk.ahead = Some(ahead);
            Reply::Read(read)
        }
        Request::Hold { parts, aside } => {
            let ahead = desk.ahead.take();
            let (said, held) = hold::hold(&parts, &aside, ahead.as_ref())?;
            desk.held = Some(held);
            Reply::Held(said)
        }
        Request::Confirm { set } => {
            vault.confirm(&set)?;
            Reply::Done {}
        }
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
