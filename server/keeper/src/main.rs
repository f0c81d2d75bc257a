//! `lattice-keeper`: keeps snapshots of one person's Data, and gives back what is in them.
//!
//! It is started for one request, by whoever may: the gateway on its own machine, or the broker in a
//! container that sees these two directories and nothing else. The request is a line on its standard
//! input, the answer is on its standard output (`lattice_wire::snapshots`). So no desktop ever reaches
//! it, and it has nothing that it could be talked out of.
//!
//! Started with `--fetch` it clones a Git repository instead, and gives it back packed: where it sees
//! nothing but a network and an empty directory (`fetch.rs`).

#![forbid(unsafe_code)]

mod addresses;
mod archive;
mod backup;
mod beneath;
mod btrfs;
mod contents;
mod fault;
mod fetch;
mod import;
mod keeper;
mod pack;
mod put;
mod repository;
mod shelf;
#[cfg(test)]
mod tests;
mod walk;

use ipnet::IpNet;
use keeper::{Answer, Keeper};
use lattice_wire::snapshots::{MAX_REPLY, MAX_REQUEST, Refusal, Reply, Request};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufWriter, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Lists of files that a zip file claims to have must not fill the memory. In bytes.
const IMPORT_MEMORY: u64 = 1 << 30;

const HELP: &str = "\
Keeps snapshots of one person's Data: a request is answered, which is given or read from standard input.

Usage: lattice-keeper --data DIRECTORY --store DIRECTORY [--owner UID] [--request JSON]
       lattice-keeper --backup
       lattice-keeper --fetch URL --scratch DIRECTORY [--allow NETWORK]...
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
    let (mut url, mut scratch, mut allowed) = (None, None, Vec::new());
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
                // What the library panics about is told of as an answer.
                std::panic::set_hook(Box::new(|info| {
                    let at = info.location().map(ToString::to_string).unwrap_or_default();
                    let _ = writeln!(io::stderr(), "lattice-keeper: the library gave up at {at}");
                }));
                return Ok(backup::serve(io::stdin().lock(), io::stdout().lock())?);
            }
            Some("--fetch") => url = Some(value()?),
            Some("--scratch") => scratch = Some(value()?),
            Some("--allow") => allowed.push(network(&value()?)?),
            Some("--version") => {
                return say(concat!("lattice-keeper ", env!("CARGO_PKG_VERSION"), "\n"));
            }
            Some("--help") => return say(HELP),
            _ => return Err(format!("{} is not known; see --help", word.display()).into()),
        }
    }
    if let (Some(url), Some(scratch)) = (url, scratch) {
        let url = url.into_string().map_err(|_| "the address is no Unicode")?;
        return answer(fetch::fetch(&url, &PathBuf::from(scratch), &allowed));
    }
    let (Some(data), Some(store)) = (data, store) else {
        return Err("it has to be told --data and --store; see --help".into());
    };
    let keeper = Keeper { data: PathBuf::from(data), store: PathBuf::from(store), owner };
    // Each folder that is laid out is held open.
    more_files();
    // Whoever waits for it at a desktop comes first, but not whoever waits for this.
    let _ = rustix::process::nice(2);
    let mut input = io::stdin().lock();
    let line = match request {
        Some(request) => request.into_string().map_err(|_| "the request is no Unicode")?,
        None => {
            let mut line = Vec::new();
            (&mut input).take(MAX_REQUEST as u64).read_until(b'\n', &mut line)?;
            String::from_utf8(line).map_err(|_| "the request is no Unicode")?
        }
    };
    let request = serde_json::from_str(&line)?;
    if let Request::Import { .. } = request {
        let memory = getrlimit(Resource::As);
        let _ = setrlimit(Resource::As, Rlimit { current: Some(IMPORT_MEMORY), ..memory });
    }
    answer(keeper.handle(request, &mut input))
}

fn answer(Answer { reply, content }: Answer) -> Result<(), Box<dyn Error>> {
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

fn network(word: &OsString) -> Result<IpNet, String> {
    let network = word.to_str().and_then(|word| word.parse().ok());
    network.ok_or_else(|| format!("{} is no network", word.display()))
}

fn say(text: &str) -> Result<(), Box<dyn Error>> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}
