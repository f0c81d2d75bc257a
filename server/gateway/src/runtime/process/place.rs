//! The run directory of one session: what the gateway tells the supervisor in it, and what the
//! supervisor tells whichever gateway looks.
//!
//! ```text
//! <run>/<session>/            0700
//!   spec.json                 what to run, written by the gateway
//!   template.yaml             what the desktop is made of, where that is its own
//!   token                     what the agent expects to be told, 0600
//!   relay-token               the same of the relay, where there is one
//!   lock                      held by the supervisor as long as it lives
//!   pid                       the supervisor: its id, start time and the machine's boot
//!   state                     starting, running, ended with a reason, or stopped
//!   log, log.before           what the supervisor and the parts wrote; bounded
//!   x/X0  auth/  etc/         the X socket, its cookies, the sandbox's passwd and the like
//!   link/agent.sock           where the agent listens
//!   api/desktop.sock          where the relay listens for the desktop's programs
//!   gate/gateway.sock         and where for a gateway, which they do not see
//! ```

use crate::auth::Token;
use crate::runtime::{Address, Relay, RuntimeError};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A start that was not taken up by a supervisor within this time was none.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(3);

/// Where a desktop's own template is.
const RECIPE: &str = "template.yaml";
/// Where the relay listens for a gateway; no socket has a longer name.
pub(crate) const RELAY_SOCKET: &str = "gate/gateway.sock";
const RELAY_TOKEN: &str = "relay-token";

/// What a supervisor is to run. Fields may be added, since a gateway and the supervisors that it
/// finds need not be of one release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Which session.
    pub session: String,
    /// The user it belongs to.
    pub owner: i64,
    /// What viewers call it.
    pub title: String,
    /// The first size of its screen.
    pub geometry: (u16, u16),
    /// The owner's home.
    pub home: PathBuf,
    /// The owner's Data.
    pub data: PathBuf,
    /// The user id to run it as, where the supervisor is root and can choose.
    pub uid: Option<u32>,
    /// The program bwrap.
    pub bwrap: PathBuf,
    /// The agent's program.
    pub agent: PathBuf,
    /// The relay's program, by which programs of the desktop ask about it.
    #[serde(default)]
    pub relay: Option<PathBuf>,
    /// The directory with `xorg/xorg.conf` and `desktop/display`.
    pub containers: PathBuf,
    /// What it may use.
    pub limits: Limits,
    /// The digest of its own template, where it has one.
    #[serde(default)]
    pub recipe: Option<String>,
}

/// What one desktop may use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Processors; where there is no limit all desktops share them evenly.
    pub cpus: Option<f64>,
}

/// What the supervisor last said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Said {
    /// It is starting the parts.
    Starting,
    /// The agent listens.
    Running,
    /// It gave up.
    Ended {
        /// Why.
        reason: String,
    },
    /// It was asked to end, and did.
    Stopped,
}

/// A process, told from a later one that has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Supervisor {
    pub(crate) pid: Pid,
    started: u64,
    boot: String,
}

/// The run directory of one session.
#[derive(Debug, Clone)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// The directory `dir`, which need not be there.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The session, after which the directory is named.
    pub(crate) fn session(&self) -> &OsStr {
        self.dir.file_name().unwrap_or_default()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn agent_socket(&self) -> PathBuf {
        self.dir.join("link/agent.sock")
    }

    pub(crate) fn x_socket(&self) -> PathBuf {
        self.dir.join("x/X0")
    }

    /// Makes it anew for `order` with fresh tokens; only the logs of before stay.
    pub(crate) fn prepare(&self, order: &Order, recipe: Option<&str>) -> Result<(), RuntimeError> {
        let failed = |step| RuntimeError::step(step, &self.dir);
        self.clear().map_err(failed("clear the run directory"))?;
        private_dir(&self.dir).map_err(failed("make the run directory"))?;
        let names = ["token"].into_iter().chain(order.relay.is_some().then_some(RELAY_TOKEN));
        for name in names {
            let token = Token::fresh().map_err(|error| RuntimeError::Refused(error.to_string()))?;
            write_atomically(&self.join(name), token.expose().as_bytes())
                .map_err(failed("write a token in"))?;
        }
        if let Some(text) = recipe {
            write_atomically(&self.join(RECIPE), text.as_bytes())
                .map_err(failed("write the desktop's template in"))?;
        }
        self.write_json("spec.json", order).map_err(failed("write the order in"))
    }

    /// The text of the desktop's own template, where it has one.
    pub(crate) fn recipe(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(self.join(RECIPE)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn clear(&self) -> io::Result<()> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            // A lock that is made anew is another lock.
            if name == "lock" || name.to_string_lossy().starts_with("log") {
                continue;
            }
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
        Ok(())
    }

    /// What is to be run here.
    pub(crate) fn order(&self) -> io::Result<Order> {
        self.read_json("spec.json")
    }

    /// What the supervisor last said, if anything.
    pub(crate) fn said(&self) -> Option<Said> {
        self.read_json("state").ok()
    }

    pub(crate) fn say(&self, said: &Said) -> io::Result<()> {
        self.write_json("state", said)
    }

    pub(crate) fn token(&self) -> io::Result<Token> {
        self.read_token("token")
    }

    /// What the relay expects to be told, where there is one.
    pub(crate) fn relay_token(&self) -> io::Result<Option<Token>> {
        match self.read_token(RELAY_TOKEN) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            token => token.map(Some),
        }
    }

    fn read_token(&self, name: &str) -> io::Result<Token> {
        let text = fs::read_to_string(self.join(name))?;
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "it is no token");
        Token::parse(text.trim()).ok_or_else(malformed)
    }

    pub(crate) fn address(&self) -> io::Result<Address> {
        let relay = self.relay_token()?;
        let relay = relay.map(|token| Relay { socket: self.join(RELAY_SOCKET), token });
        Ok(Address { socket: self.agent_socket(), token: self.token()?, relay })
    }

    /// Whether a start is so fresh that its supervisor may not have said so yet.
    pub(crate) fn was_just_ordered(&self) -> bool {
        let modified = fs::metadata(self.join("spec.json")).and_then(|data| data.modified());
        // A file from the future is fresh, too: the clock was set back.
        modified.is_ok_and(|at| at.elapsed().map_or(true, |age| age < TAKEN_UP_WITHIN))
    }

    /// Makes this process the session's supervisor, unless one lives.
    pub(crate) fn claim(&self) -> io::Result<fs::File> {
        let lock =
            fs::OpenOptions::new().create(true).append(true).mode(0o600).open(self.join("lock"))?;
        lock.try_lock()?;
        let own = Supervisor::own()?;
        let text = format!("{} {} {}\n", own.pid.as_raw_pid(), own.started, own.boot);
        write_atomically(&self.join("pid"), text.as_bytes())?;
        Ok(lock)
    }

    /// The session's supervisor where it lives, with a descriptor that stays bound to it.
    pub(crate) fn supervisor(&self) -> Option<(Supervisor, OwnedFd)> {
        let text = fs::read_to_string(self.join("pid")).ok()?;
        let recorded = Supervisor::parse(&text)?;
        let descriptor = pidfd_open(recorded.pid, PidfdFlags::empty()).ok()?;
        let (started, is_zombie) = stat(recorded.pid).ok()?;
        let same = started == recorded.started && boot().ok()? == recorded.boot;
        (same && !is_zombie).then_some((recorded, descriptor))
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        Ok(serde_json::from_slice(&fs::read(self.join(name))?)?)
    }

    fn write_json<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        write_atomically(&self.join(name), &serde_json::to_vec(value)?)
    }
}

impl Supervisor {
    fn own() -> io::Result<Self> {
        let pid = rustix::process::getpid();
        Ok(Self { pid, started: stat(pid)?.0, boot: boot()? })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let pid = Pid::from_raw(words.next()?.parse().ok()?)?;
        let started = words.next()?.parse().ok()?;
        Some(Self { pid, started, boot: words.next()?.to_owned() })
    }
}

/// When a process started, in ticks since the boot, and whether it has ended without being waited
/// for: fields 22 and 3 of proc(5).
fn stat(pid: Pid) -> io::Result<(u64, bool)> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()))?;
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "its line in /proc is not understood");
    // The name before may hold blanks and brackets.
    let (_, rest) = text.rsplit_once(')').ok_or_else(odd)?;
    let mut fields = rest.split_whitespace();
    let is_zombie = matches!(fields.next(), Some("Z" | "X"));
    let started = fields.nth(18).and_then(|field| field.parse().ok()).ok_or_else(odd)?;
    Ok((started, is_zombie))
}

/// Which boot of the machine this is: start times begin anew with each.
fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Makes a directory, and those above it, for this user alone; one that is there is taken.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(path)
}

/// Writes a file so that nobody ever reads half of it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(bytes)?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_got_the_number_of_a_dead_one_is_not_mistaken_for_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Place::new(dir.path());
        assert!(place.supervisor().is_none());
        let _lock = place.claim().expect("nobody else");
        let (own, _) = place.supervisor().expect("this very process");
        assert_eq!(own.pid, rustix::process::getpid());
        let pid = own.pid.as_raw_pid();
        let (started, boot) = (own.started, own.boot);
        for other in [format!("{pid} {} {boot}", started - 1), format!("{pid} {started} other")] {
            fs::write(place.join("pid"), other).expect("written");
            assert!(place.supervisor().is_none());
        }
    }

    #[test]
    fn a_session_has_one_supervisor() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Place::new(dir.path());
        let first = place.claim().expect("nobody else");
        assert!(place.claim().is_err());
        drop(first);
        place.claim().expect("the first is gone");
    }

    #[test]
    fn what_is_said_is_read_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Place::new(dir.path());
        assert_eq!(place.said(), None);
        for said in [Said::Starting, Said::Ended { reason: "no \"X\"".into() }, Said::Stopped] {
            place.say(&said).expect("written");
            assert_eq!(place.said(), Some(said));
        }
    }
}
