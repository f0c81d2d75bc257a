//! Where backups go off the machine: an SSH server and a server that speaks as S3 does, both real, on loopback.

use crate::process::signal;
use crate::secure::{self, Authority};
use crate::xserver::TempDir;
use crate::{eventually, relay::Relay};
use rustix::process::Signal;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// What S3 knows as a key, and its secret.
pub const S3_KEY: [&str; 2] = ["AKIDLATTICE", "a secret/with+odd=letters"];
/// The bucket that is there.
pub const BUCKET: &str = "school";

/// OpenSSH's server for whoever runs the tests, and a network before it.
#[derive(Debug)]
pub struct Sshd {
    dir: TempDir,
    child: Child,
    port: u16,
    relay: Relay,
}

impl Sshd {
    /// Starts it; nothing where none is installed.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start() -> Option<Self> {
        let server = Path::new("/usr/sbin/sshd");
        if !server.exists() {
            println!("backups by SFTP were left out: openssh-server is not installed");
            return None;
        }
        // It insists on that when root starts it.
        let _ = fs::create_dir_all("/run/sshd");
        let dir = TempDir::new("sshd");
        for name in ["host", "other", "user", "stranger"] {
            make_key(&dir.path().join(name));
        }
        fs::copy(dir.path().join("user.pub"), dir.path().join("authorized")).expect("copied");
        let port = free_port();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {dir}/host\nPidFile none\nUsePAM no\n\
             AuthorizedKeysFile {dir}/authorized\nStrictModes no\nPermitRootLogin yes\n\
             PasswordAuthentication no\nSubsystem sftp internal-sftp\nMaxStartups 50\n",
            dir = dir.path().display()
        );
        fs::write(dir.path().join("config"), config).expect("written");
        let child = run(dir.path(), "config");
        let relay = Relay::start(SocketAddr::from(([127, 0, 0, 1], port)));
        let sshd = Self { dir, child, port, relay };
        sshd.wait();
        sshd.know("host");
        Some(sshd)
    }

    fn wait(&self) {
        eventually("sshd to listen", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    /// The network before it.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// The file of known hosts has this one of its keys: `host` is the right one.
    pub fn know(&self, key: &str) {
        let key = fs::read_to_string(self.dir.path().join(format!("{key}.pub"))).expect("there");
        let line = format!("[127.0.0.1]:{} {key}", self.relay.address().port());
        fs::write(self.known_hosts(), line).expect("written");
    }

    /// Nothing is known.
    pub fn know_nobody(&self) {
        fs::write(self.known_hosts(), "").expect("written");
    }

    fn known_hosts(&self) -> PathBuf {
        self.dir.path().join("known")
    }

    /// Where files are that it gives.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("files")
    }

    /// The settings for a backup there, with that key: `user` is the right one.
    pub fn settings(&self, key: &str) -> Vec<(&'static str, String)> {
        let user = user();
        let (port, root) = (self.relay.address().port(), self.root());
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        vec![
            (
                "LATTICE_BACKUP__REPOSITORY",
                format!("sftp://{user}@127.0.0.1:{port}{}/repository", root.display()),
            ),
            ("LATTICE_BACKUP__SSH_KEY_FILE", file(key)),
            ("LATTICE_BACKUP__SSH_KNOWN_HOSTS", file("known")),
            ("LATTICE_BACKUP__TIMEOUT", "2s".into()),
        ]
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        signal(self.child.id(), Signal::TERM);
        let _ = self.child.wait();
    }
}

fn run(dir: &Path, config: &str) -> Child {
    fs::create_dir_all(dir.join("files")).expect("made");
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f"]).arg(dir.join(config));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("sshd starts")
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8(output.stdout).expect("a name").trim().to_owned()
}

fn make_key(path: &Path) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path);
    assert!(command.status().expect("ssh-keygen").success());
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}

/// A server of buckets, and a network before it.
#[derive(Debug)]
pub struct S3 {
    dir: TempDir,
    relay: Relay,
    scheme: &'static str,
    _runtime: Runtime,
}

impl S3 {
    /// Starts it, with one bucket.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// The same behind a certificate of that authority's for that name or address.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_secure(authority: &Authority, name: &str) -> Self {
        let s3 = Self::start_with(Some(authority.vouch(name)));
        fs::write(s3.dir.path().join("authority.pem"), authority.pem()).expect("written");
        s3
    }

    fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let dir = TempDir::new("s3");
        fs::create_dir_all(dir.path().join("buckets").join(BUCKET)).expect("made");
        let files = FileSystem::new(dir.path().join("buckets")).expect("a directory");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(S3_KEY[0], S3_KEY[1]));
        let service = service.build();
        let runtime = Runtime::new().expect("threads");
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)));
        let listener = listener.expect("a port");
        let relay = Relay::start(listener.local_addr().expect("bound"));
        let scheme = if tls.is_some() { "https" } else { "http" };
        runtime.spawn(secure::answer(listener, tls, service));
        let s3 = Self { dir, relay, scheme, _runtime: runtime };
        s3.write_key("key", S3_KEY);
        s3.write_key("stranger", ["AKIDOTHER", "whatever"]);
        s3.write_key("wrong", [S3_KEY[0], "whatever"]);
        s3
    }

    fn write_key(&self, name: &str, key: [&str; 2]) {
        let path = self.dir.path().join(name);
        fs::write(&path, format!("{}\n{}\n", key[0], key[1])).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    }

    /// The network before it.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// The certificate of whoever vouches for it.
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("authority.pem")
    }

    /// Where what is in the bucket lies.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("buckets").join(BUCKET)
    }

    /// The settings for a backup there, with that key: `key` is the right one.
    pub fn settings(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![
            ("LATTICE_BACKUP__REPOSITORY", format!("s3://{BUCKET}/lattice/one")),
            ("LATTICE_BACKUP__S3_ENDPOINT", format!("{}://{}", self.scheme, self.relay.address())),
            ("LATTICE_BACKUP__S3_KEY_FILE", self.dir.path().join(key).display().to_string()),
            ("LATTICE_BACKUP__TIMEOUT", "2s".into()),
        ]
    }
}

/// How long a thread is given to see that something is under way.
pub fn while_running(child: &mut Child, mut is_there: impl FnMut() -> bool) {
    while !is_there() {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before that");
        thread::sleep(std::time::Duration::from_millis(2));
    }
}
