//! `lattice-keeper`: keeps snapshots of one person's Data, and gives back what is in them.
//!
//! It is started for one request, by whoever may: the gateway on its own machine, or the broker in a
//! container that sees these two directories and nothing else. The request is a line on its standard
//! input, the answer is on its standard output (`lattice_wire::snapshots`). So no desktop ever reaches
//! it, and it has nothing that it could be talked out of.

#![forbid(unsafe_code)]

mod backup;
mod beneath;
mod btrfs;
mod contents;
mod fault;
mod keeper;
mod pack;
mod put;
mod repository;
mod shelf;
#[cfg(test)]
mod tests;
mod walk;

use keeper::{Answer, Keeper};
use lattice_wire::snapshots::{MAX_REPLY, MAX_REQUEST, Refusal, Reply, Request};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
Keeps snapshots of one person's Data: a request is answered, which is given or read from standard input.

Usage: lattice-keeper --data DIRECTORY --store DIRECTORY [--owner UID] [--request JSON]
       lattice-keeper --backup
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "lattice-keeper: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args_os().skip(1);
    let (mut data, mut store, mut owner, mut request) = (None, None, None, None);
    while let Some(word) = words.next() {
        let mut value =
            || words.next().ok_or_else(|| format!("{} lacks its value", word.display()));
        match word.to_str() {
            Some("--data") => data = Some(value()?),
            Some("--store") => store = Some(value()?),
            Some("--owner") => owner = Some(number(&value()?)?),
            Some("--request") => request = Some(value()?),
            Some("--backup") => {
                let _ = rustix::process::nice(10);
                // Nobody is left to name what is read on, so it would be half a backup.
                let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
                more_files();
                return Ok(backup::serve(io::stdin().lock(), io::stdout().lock())?);
            }
            Some("--version") => {
                return say(concat!("lattice-keeper ", env!("CARGO_PKG_VERSION"), "\n"));
            }
            Some("--help") => return say(HELP),
            _ => return Err(format!("{} is not known; see --help", word.display()).into()),
        }
    }
    let (Some(data), Some(store)) = (data, store) else {
        return Err("it has to be told --data and --store; see --help".into());
    };
    let keeper = Keeper { data: PathBuf::from(data), store: PathBuf::from(store), owner };
    // Each folder that is laid out is held open.
    more_files();
    // Whoever waits for it at a desktop comes first, but not whoever waits for this.
    let _ = rustix::process::nice(2);
    let line = match request {
        Some(request) => request.into_string().map_err(|_| "the request is no Unicode")?,
        None => {
            let mut line = String::new();
            io::stdin().lock().take(MAX_REQUEST as u64).read_to_string(&mut line)?;
            line
        }
    };
    let Answer { reply, content } = keeper.handle(serde_json::from_str::<Request>(&line)?);
    let mut out = BufWriter::new(io::stdout().lock());
    out.write_all(&bounded(&reply)?)?;
    if let Some(content) = content {
        content.write(&mut out)?;
    }
    Ok(out.flush()?)
}

fn more_files() {
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
}

/// The line; one that would be too long is none.
fn bounded(reply: &Reply) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(reply)?;
    if line.len() >= MAX_REPLY {
        let detail = "too much is in that folder to be listed; download it instead";
        line = serde_json::to_vec(&Reply::Refused { why: Refusal::Odd, detail: detail.into() })?;
    }
    line.push(b'\n');
    Ok(line)
}

fn number(word: &OsString) -> Result<u32, String> {
    let number = word.to_str().and_then(|word| word.parse().ok());
    number.ok_or_else(|| format!("{} is no user id", word.display()))
}

fn say(text: &str) -> Result<(), Box<dyn Error>> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}
