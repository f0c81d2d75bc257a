//! The `ssh` of the system, which speaks SFTP with the other machine on its pipes: how it is started, how long it
//! is waited for, and what it says when it does not come to that.
//!
//! INVARIANT: a machine whose key is not in the file of known ones is not spoken with. Nothing of a person's
//! own settings is read, and nothing is asked at a terminal.

use super::text::one_line;
use super::{Answer, Fault};
use lattice_wire::backup::Sftp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// So much of what it says is looked at, in bytes.
const MOST_SAID: usize = 4096;

/// A connection; it ends with this.
pub(super) struct Ssh {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    says: ChildStderr,
    patience: Duration,
    place: Sftp,
}

impl Ssh {
    pub(super) fn start(place: &Sftp, patience: Duration) -> Answer<Self> {
        let mut command = Command::new("ssh");
        let seconds = patience.as_secs().max(1);
        let options = [
            "BatchMode=yes".to_owned(),
            "StrictHostKeyChecking=yes".into(),
            format!("UserKnownHostsFile={}", place.known_hosts.display()),
            "GlobalKnownHostsFile=none".into(),
            "UpdateHostKeys=no".into(),
            format!("IdentityFile={}", place.key_file.display()),
            "IdentitiesOnly=yes".into(),
            "IdentityAgent=none".into(),
            "PreferredAuthentications=publickey".into(),
            format!("ConnectTimeout={seconds}"),
            "ConnectionAttempts=1".into(),
            format!("ServerAliveInterval={}", seconds.div_ceil(3)),
            "ServerAliveCountMax=3".into(),
            "ClearAllForwardings=yes".into(),
            "ForwardAgent=no".into(),
            "ForwardX11=no".into(),
            "PermitLocalCommand=no".into(),
            "ControlMaster=no".into(),
            "ControlPath=none".into(),
            "EscapeChar=none".into(),
            "LogLevel=ERROR".into(),
        ];
        command.args(["-F", "none", "-p", &place.port.to_string(), "-l", &place.user]);
        command.args(options.iter().flat_map(|option| ["-o", option]));
        command.args(["-s", "--", &place.host, "sftp"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            Fault::Lasting(match error.kind() {
                io::ErrorKind::NotFound => {
                    "there is no ssh on this machine; install it: apt-get install openssh-client"
                        .into()
                }
                _ => format!("ssh cannot be started: {error}"),
            })
        })?;
        let (to, from, says) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(to), Some(from), Some(says)) = (to, from, says) else {
            return Err(Fault::Passing("ssh has no pipes".into()));
        };
        let ssh = Self { child, to, from, says, patience, place: place.clone() };
        for pipe in [ssh.to.as_fd(), ssh.from.as_fd(), ssh.says.as_fd()] {
            let set = fcntl_getfl(pipe).and_then(|has| fcntl_setfl(pipe, has | OFlags::NONBLOCK));
            set.map_err(|error| Fault::Passing(format!("prepare the pipes of ssh: {error}")))?;
        }
        Ok(ssh)
    }

    /// Sends all of it, or fails when nothing of it is taken for a while.
    pub(super) fn send(&mut self, mut bytes: &[u8]) -> Answer<()> {
        while !bytes.is_empty() {
            match self.to.write(bytes) {
                Ok(0) => return Err(self.ended()),
                Ok(length) => bytes = &bytes[length..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = wait(&self.to, PollFlags::OUT, self.patience);
                    if !ready {
                        return Err(self.silent());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(self.ended()),
            }
        }
        Ok(())
    }

    /// Fills the buffer, or fails when nothing comes for a while.
    pub(super) fn receive(&mut self, mut buffer: &mut [u8]) -> Answer<()> {
        while !buffer.is_empty() {
            match self.from.read(buffer) {
                Ok(0) => return Err(self.ended()),
                Ok(length) => buffer = &mut buffer[length..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = wait(&self.from, PollFlags::IN, self.patience);
                    if !ready {
                        return Err(self.silent());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(self.ended()),
            }
        }
        Ok(())
    }

    fn silent(&self) -> Fault {
        Fault::Passing(format!(
            "{} has not answered for {} s; see whether it is well, and its network",
            self.place.host,
            self.patience.as_secs()
        ))
    }

    /// Why the other side is there no more.
    fn ended(&mut self) -> Fault {
        // What it says comes before it ends.
        let begun = Instant::now();
        let (mut said, mut some) = (Vec::new(), [0; 512]);
        while said.len() < MOST_SAID && begun.elapsed() < self.patience {
            match self.says.read(&mut some) {
                Ok(0) => break,
                Ok(length) => said.extend_from_slice(&some[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !wait(&self.says, PollFlags::IN, Duration::from_secs(1)) {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
        explain(&String::from_utf8_lossy(&said), &self.place)
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(pipe: &impl AsFd, what: PollFlags, at_most: Duration) -> bool {
    let until = Instant::now() + at_most;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(pipe, what)], Some(&left)) {
            Ok(count) => return count > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// What its last words mean, with what to do.
fn explain(said: &str, place: &Sftp) -> Fault {
    let Sftp { user, host, port, key_file, known_hosts, .. } = place;
    let (key_file, known_hosts) = (key_file.display(), known_hosts.display());
    let scan = format!("ssh-keyscan -p {port} {host}");
    let has = |words: &str| said.contains(words);
    let lasting = Fault::Lasting;
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") || has("differs from the key for the IP") {
        return lasting(format!(
            "{host} shows another key than the one in {known_hosts}: it is another machine, or somebody is \
             between; nothing was sent. Ask whoever keeps it, and only then put what {scan} prints into \
             that file"
        ));
    }
    if has("host key is known for") || has("Host key verification failed") {
        return lasting(format!(
            "the key of {host} is not in {known_hosts}; compare what {scan} prints with what whoever \
             keeps it says, and put it there"
        ));
    }
    if has("Permission denied") {
        return lasting(format!(
            "{host} does not let {user} in with the key {key_file}; put the public half of it into \
             authorized_keys there"
        ));
    }
    if has("UNPROTECTED PRIVATE KEY") || has("bad permissions") {
        return lasting(format!("{key_file} can be read by others; chmod 600 {key_file}"));
    }
    if has("Load key") || has("invalid format") || has("error in libcrypto") {
        return lasting(format!(
            "{key_file} is no private key without a passphrase; make one: ssh-keygen -t ed25519 -N '' \
             -f {key_file}"
        ));
    }
    if has("subsystem request failed") {
        return lasting(format!(
            "{host} lets {user} in but offers no SFTP; allow it in its sshd_config"
        ));
    }
    let said: String = one_line(said).chars().take(200).collect();
    Fault::Passing(match said.is_empty() {
        true => format!("{host} ended the connection; see whether it is well"),
        false => {
            format!("{host} cannot be reached ({said}); see whether it is up, and its firewall")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_says_is_told_with_what_to_do() {
        let place = Sftp {
            user: "lattice".into(),
            host: "vault".into(),
            port: 2222,
            path: "/b".into(),
            key_file: "/k".into(),
            known_hosts: "/h".into(),
        };
        for (said, is_lasting, words) in [
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!",
                true,
                ["another key", "ssh-keyscan"],
            ),
            ("No ED25519 host key is known for vault", true, ["is not in /h", "-p 2222 vault"]),
            ("lattice@vault: Permission denied (publickey).", true, ["/k", "authorized_keys"]),
            ("subsystem request failed on channel 0", true, ["no SFTP", "sshd_config"]),
            (
                "ssh: connect to host vault port 2222: Connection refused",
                false,
                ["refused", "is up"],
            ),
            ("", false, ["ended the connection", "vault"]),
        ] {
            let (lasts, told) = match explain(said, &place) {
                Fault::Lasting(told) => (true, told),
                Fault::Passing(told) => (false, told),
                Fault::Missing => panic!("{said}"),
            };
            assert_eq!(lasts, is_lasting, "{told}");
            assert!(words.iter().all(|word| told.contains(word)), "{told}");
        }
    }
}
