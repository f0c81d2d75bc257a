//! Real X servers, each with a cookie, a number and a directory of its own.

use crate::process::{repository, signal};
use crate::wait::{GENEROUS, until_some};
use crate::{randr, x};
use lattice_engine::picture::Picture;
use lattice_wire::Size;
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use x11rb::rust_connection::RustConnection;

/// The display numbers that tests use. `-displayfd` alone would count from 0 and give the number
/// of a server that a test killed and is about to restart to the next test.
const NUMBERS: std::ops::Range<u32> = 140..160;

/// Which program serves the display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Xorg with the dummy driver, as in the desktop's container.
    Xorg,
    /// Xvfb, which cannot be resized.
    Xvfb,
}

/// A running X server.
#[derive(Debug)]
pub struct XServer {
    program: Program,
    size: Size,
    number: u32,
    _reserved: File,
    cookie: [u8; 16],
    dir: TempDir,
    child: Option<Child>,
    extra: Vec<String>,
}

impl XServer {
    /// Xorg with a screen of this size.
    pub fn start(width: u16, height: u16) -> Self {
        Self::start_with(Program::Xorg, Size::new(width, height), &[])
    }

    /// A server with a screen of this size and further arguments.
    ///
    /// # Panics
    /// With the server's own words where it does not start.
    pub fn start_with(program: Program, size: Size, extra: &[&str]) -> Self {
        let dir = TempDir::new("x");
        let cookie = random();
        fs::write(dir.path().join("Xauthority"), xauthority(&cookie)).expect("write a cookie file");
        let extra = extra.iter().map(|&text| text.to_owned()).collect();
        for number in NUMBERS {
            let Some(reserved) = reserve(number) else { continue };
            let (child, dir, extra) = (None, dir.clone(), Vec::clone(&extra));
            let mut server =
                Self { program, size, number, _reserved: reserved, cookie, dir, child, extra };
            if server.launch() {
                server.set_size(size);
                return server;
            }
        }
        let log = fs::read_to_string(dir.path().join("stderr")).unwrap_or_default();
        panic!("no X server could be started on displays {NUMBERS:?}; the last one said:\n{log}");
    }

    /// `:N`.
    pub fn display(&self) -> String {
        format!(":{}", self.number)
    }

    /// The file with the cookie, for `XAUTHORITY`.
    pub fn xauthority(&self) -> PathBuf {
        self.dir.path().join("Xauthority")
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// A new connection.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn connect(&self) -> RustConnection {
        x::connect(self.number, &self.cookie)
    }

    /// What the whole screen shows, read by `GetImage`.
    pub fn image(&self) -> Picture {
        x::screen_image(&self.connect())
    }

    /// Gives Xorg's screen another size, as another RandR client would.
    pub fn set_size(&mut self, size: Size) {
        self.size = size;
        if self.program == Program::Xorg {
            randr::set_size(&self.connect(), size);
        }
    }

    /// Ends the server as a crash would.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Starts it again on the same number with the same cookie.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.launch(), "the X server did not start again on :{}", self.number);
        self.set_size(self.size);
    }

    /// Makes it hang.
    pub fn stop(&self) {
        signal(self.pid(), Signal::STOP);
    }

    /// Lets it go on.
    pub fn cont(&self) {
        signal(self.pid(), Signal::CONT);
    }

    fn end(&mut self, with: Signal) {
        if let Some(mut child) = self.child.take() {
            signal(child.id(), Signal::CONT);
            signal(child.id(), with);
            let _ = child.wait();
        }
    }

    /// Starts the program; false where it ended, as it does when the number is taken.
    fn launch(&mut self) -> bool {
        let stderr = File::create(self.dir.path().join("stderr")).expect("create a log file");
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("start {:?} (is it installed?): {error}", self.program));
        let mut ready = child.stdout.take().expect("stdout is a pipe");
        // The server writes its number when it takes connections, and then closes the pipe.
        let mut number = String::new();
        let is_ready = ready.read_to_string(&mut number).is_ok() && !number.is_empty();
        self.child = Some(child);
        if !is_ready {
            self.end(Signal::TERM);
        }
        is_ready
    }

    fn command(&self) -> Command {
        let (number, auth) = (self.display(), self.xauthority());
        let mut command = match self.program {
            Program::Xorg => {
                let mut command = Command::new(xorg());
                command.arg("-config").arg(config());
                command.arg("-logfile").arg(self.dir.path().join("Xorg.log"));
                command.args(["-novtswitch", "-sharevts"]);
                command
            }
            Program::Xvfb => {
                let mut command = Command::new("Xvfb");
                let screen = format!("{}x{}x24", self.size.width, self.size.height);
                command.args(["-screen", "0", &screen]);
                command
            }
        };
        command.arg(number).args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-auth"]);
        command.arg(auth).args(&self.extra);
        command
    }
}

/// Debian's `Xorg` may be a wrapper that serves consoles only; the server itself serves everybody.
fn xorg() -> &'static str {
    const SERVER: &str = "/usr/lib/xorg/Xorg";
    if Path::new(SERVER).exists() { SERVER } else { "Xorg" }
}

impl Drop for XServer {
    fn drop(&mut self) {
        let Some(pid) = self.child.as_ref().map(Child::id) else { return };
        signal(pid, Signal::CONT);
        signal(pid, Signal::TERM);
        let child = self.child.as_mut().expect("it was there a line above");
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until_some("the X server to end", GENEROUS, || child.try_wait().ok().flatten());
        }));
        if ended.is_err() {
            self.end(Signal::KILL);
        }
    }
}

/// The product's own configuration.
fn config() -> PathBuf {
    let path = repository().join("containers/xorg/xorg.conf");
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// Holds a display number for as long as the file is open, also while no server has it.
fn reserve(number: u32) -> Option<File> {
    let path = std::env::temp_dir().join(format!("lattice-tests-display-{number}"));
    let file = File::options().create(true).append(true).open(path).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

/// A cookie file that holds for any host and display: family 0xffff, no address, no number.
fn xauthority(cookie: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xff, 0, 0, 0, 0];
    for field in [x::COOKIE_NAME, cookie] {
        bytes.extend((field.len() as u16).to_be_bytes());
        bytes.extend(field);
    }
    bytes
}

/// Bytes from the kernel that nobody guesses.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut source = File::open("/dev/urandom").expect("open /dev/urandom");
    source.read_exact(&mut bytes).expect("read /dev/urandom");
    bytes
}

/// A directory that goes when its last owner does.
#[derive(Debug, Clone)]
pub struct TempDir(std::sync::Arc<TempDirPath>);

#[derive(Debug)]
struct TempDirPath(PathBuf);

impl TempDir {
    /// A new, empty, private directory.
    pub fn new(purpose: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "lattice-tests-{purpose}-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).expect("create a temporary directory");
        Self(std::sync::Arc::new(TempDirPath(path)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.0
    }
}

impl Drop for TempDirPath {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
