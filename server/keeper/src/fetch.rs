//! A Git repository, cloned and packed: where nothing of anybody is, since what a server sends is written
//! by whoever means harm.
//!
//! Git is told to speak one protocol with the addresses that were judged (`addresses.rs`), to follow no
//! redirection, to ask nobody for a password, and to run no hook, filter or submodule. It finds no
//! configuration of anybody's. What it writes is bounded by the directory that it gets, and by a limit.

use crate::addresses;
use crate::beneath::Root;
use crate::fault::{Fault, Result};
use crate::keeper::{Answer, Content};
use crate::walk::{Shared, Walk, lock};
use ipnet::IpNet;
use lattice_wire::imports::{CLONE_PATIENCE_S, CloneUrl, Host, MOST_CLONE};
use lattice_wire::snapshots::{Refusal, Reply, What};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// How often it is looked whether Git has ended.
const LOOK: Duration = Duration::from_millis(20);

/// What was cloned, to be packed.
#[derive(Debug)]
pub(crate) struct Cloned(PathBuf);

/// Clones a repository into a directory that nobody else has.
pub(crate) fn fetch(url: &str, scratch: &Path, allowed: &[IpNet]) -> Answer {
    let cloned = || -> Result<Cloned> {
        let url: CloneUrl =
            url.parse().map_err(|why: lattice_wire::imports::NotAUrl| odd(why.to_string()))?;
        let addresses = addresses::of(&url, allowed)?;
        clone(&url, &addresses, scratch)
    };
    match cloned() {
        Ok(clone) => {
            Answer { reply: Reply::Content { bytes: None }, content: Some(Content::Cloned(clone)) }
        }
        Err(fault) => Answer::from(fault.reply()),
    }
}

fn clone(url: &CloneUrl, addresses: &[IpAddr], scratch: &Path) -> Result<Cloned> {
    // Inherited. Of files; of all of them together the directory's own size is the bound.
    let most = Some(MOST_CLONE);
    let _ = setrlimit(Resource::Fsize, Rlimit { current: most, maximum: most });
    let (log, to) = (scratch.join("log"), scratch.join("project"));
    let said = File::create(&log).map_err(Fault::step("make a file"))?;
    let mut child = git(url, addresses, scratch)
        .arg(&to)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .map_err(Fault::step("start git"))?;
    let begun = Instant::now();
    let ended = loop {
        if let Some(status) = child.try_wait().map_err(Fault::step("wait for git"))? {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(CLONE_PATIENCE_S) {
            let _ = child.kill().and_then(|()| child.wait());
            let detail =
                format!("it was not cloned in {CLONE_PATIENCE_S} s; clone it in a desktop");
            return Err(odd(detail));
        }
        sleep(LOOK);
    };
    let said = fs::read(&log).unwrap_or_default();
    match ended.success() {
        true => Ok(Cloned(to)),
        false => Err(explain(url, ended, &String::from_utf8_lossy(&said))),
    }
}

fn git(url: &CloneUrl, addresses: &[IpAddr], home: &Path) -> Command {
    let mut git = Command::new("git");
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    git.env_clear().env("PATH", path).env("HOME", home).env("LC_ALL", "C").current_dir(home);
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ASKPASS", "/bin/false"),
        ("GIT_ALLOW_PROTOCOL", if url.is_secure() { "https" } else { "http" }),
        ("GIT_PROTOCOL_FROM_USER", "0"),
    ] {
        git.env(name, value);
    }
    if let Host::Name(name) = url.host() {
        let addresses: Vec<_> = addresses.iter().map(bracketed).collect();
        let pinned = format!("{name}:{}:{}", url.port(), addresses.join(","));
        git.arg("-c").arg(format!("http.curloptResolve={pinned}"));
    }
    for setting in [
        // Without it, what a server says of other places to get objects from is not heard either.
        "http.followRedirects=false",
        "http.proxy=",
        "http.sslVerify=true",
        "http.lowSpeedLimit=1000",
        "http.lowSpeedTime=20",
        "credential.helper=",
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "core.protectNTFS=true",
        "core.protectHFS=true",
        "transfer.fsckObjects=true",
        "transfer.bundleURI=false",
        "fetch.fsckObjects=true",
        "submodule.recurse=false",
        "gc.auto=0",
        "pack.threads=1",
        "advice.detachedHead=false",
    ] {
        git.arg("-c").arg(setting);
    }
    git.args(["clone", "--quiet", "--depth=1", "--single-branch", "--no-tags"]);
    git.args(["--no-recurse-submodules", "--template=", "--origin=origin", "--"]);
    git.arg(url.as_str());
    git
}

fn bracketed(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(four) => four.to_string(),
        IpAddr::V6(six) => format!("[{six}]"),
    }
}

/// In words for whoever typed the address.
fn explain(url: &CloneUrl, ended: ExitStatus, said: &str) -> Fault {
    // What somebody called a repository is no word of Git's, and neither is what its server says.
    let own = said.lines().filter(|line| !line.starts_with("remote:"));
    let said = &own.collect::<Vec<_>>().join("\n").replace(url.as_str(), "it");
    let has = |words: &[&str]| words.iter().any(|words| said.contains(words));
    if ended.signal().is_some() || has(&["No space left", "File too large", "unable to write"]) {
        let most = MOST_CLONE >> 20;
        return odd(format!("the repository is larger than {most} MB; clone it in a desktop"));
    }
    // The first words are of Git with GnuTLS, as Debian has it, the others of OpenSSL.
    if has(&[
        "certificate verification failed",
        "certificate subject name",
        "SSL certificate problem",
    ]) {
        return odd(format!(
            "the server {} does not prove by a certificate who it is, so nothing was cloned; whoever keeps it \
             can mend that, or, where the authority is your school's own, an administrator of this server",
            address(url)
        ));
    }
    if has(&["gnutls_handshake", "TLS connect error", "OpenSSL", "SSL_"]) {
        return odd(format!(
            "the server {} does not speak https, or broke off; look at the address, or try again later",
            address(url)
        ));
    }
    if has(&["could not read Username", "Authentication failed", "not found", "error: 403"]) {
        return odd("there is no repository at this address, or not everybody may read it");
    }
    if has(&["unable to update url base from redirection", "error: 30"]) {
        return odd("the address leads on to another one, which is not followed; give that one");
    }
    if has(&["Failed to connect", "Could not connect", "timed out", "too slow"]) {
        return odd(format!("the server {} does not answer; try again later", address(url)));
    }
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    let last: String = last.chars().filter(|c| !c.is_control()).take(200).collect();
    odd(format!("git could not clone it: {last}"))
}

/// The server's name, with its port where that is not the usual one.
fn address(url: &CloneUrl) -> String {
    let name = match url.host() {
        Host::Name(name) => name.clone(),
        Host::Four(address) => bracketed(&(*address).into()),
        Host::Six(address) => bracketed(&(*address).into()),
    };
    match (url.is_secure(), url.port()) {
        (true, 443) | (false, 80) => name,
        (_, port) => format!("{name}:{port}"),
    }
}

fn odd(detail: impl Into<String>) -> Fault {
    Fault::new(Refusal::Odd, detail)
}

impl Cloned {
    /// Writes it as a zip file. Not made smaller: most of it is a pack of Git's already.
    pub(crate) fn pack(self, to: impl Write) -> Result<()> {
        let root = Root::open(&self.0).map(Arc::new).map_err(Fault::step("open the clone"))?;
        let tally = Shared::default();
        let mut zip = ZipWriter::new_stream(to);
        for found in Walk::new(root.clone(), None, tally.clone()) {
            let name = found.path.to_str().ok_or_else(|| odd("a name in it is no Unicode"))?;
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .unix_permissions(found.stat.st_mode & 0o777);
            let read = Fault::step("read the clone");
            match found.what {
                What::Folder => zip.add_directory(name, options).map_err(failed)?,
                What::File => {
                    zip.start_file(name, options).map_err(failed)?;
                    io::copy(&mut root.file(&found.path).map_err(&read)?, &mut zip)
                        .map_err(read)?;
                }
                What::Link => {
                    let target = root.link(&found.path).map_err(read)?;
                    zip.add_symlink(name, target.to_string_lossy(), options).map_err(failed)?;
                }
            }
        }
        match lock(&tally).left_out {
            0 => zip.finish().map(drop).map_err(failed),
            _ => Err(odd("something in the repository is neither a file nor a folder")),
        }
    }
}

fn failed(error: zip::result::ZipError) -> Fault {
    Fault::new(Refusal::Failed, format!("pack what was cloned: {error}"))
}
