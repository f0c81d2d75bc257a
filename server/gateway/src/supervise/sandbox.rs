//! The walls of a desktop: what bwrap is told.
//!
//! Two sandboxes make a desktop, and a third has the relay. In the first are the X server, the session bus and all programs:
//! they need one IPC namespace for MIT-SHM, and belong to one person anyhow. In the second is the
//! agent, which sees the X socket, its cookie and the directory that it listens in, and nothing else:
//! no program of the desktop can end it, trace it or pretend to be it, and an agent that a hostile
//! program got hold of through the display finds nothing there. The relay, by which programs ask about
//! the desktop, is apart for the same reasons: of it they see one socket, and the program `lattice`.
//!
//! Root makes the mounts and leaves for the owner's own user id inside, so it needs no user
//! namespace, and files in directories that only root can enter can be mounted. Anybody else needs a
//! user namespace, in which they look like user 1000.

use super::limits;
use crate::runtime::process::home::DATA;
use crate::runtime::process::place::{Order, Place};
use ipnet::IpNet;
use lattice_wire::imports::{CloneUrl, MOST_CLONE};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The user id inside where it cannot be chosen outside.
pub(super) const INNER_UID: u32 = 1000;
pub(crate) const HOME: &str = "/home/student";
/// Where the sandbox finds what is ours.
const OURS: &str = "/run/lattice";
/// Where programs of a desktop find `lattice`: nothing can be added to the machine's own directories.
const BIN: &str = "/run/lattice/bin";
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";
/// What a desktop takes over of the environment that the server was started with.
pub(crate) const INHERITED: [&str; 4] = ["LANG", "LANGUAGE", "TZ", "LATTICE_LOG"];
/// The variable that every process of a desktop is started with, for whoever looks for them.
pub(crate) const MARK: &str = "LATTICE_SESSION";
/// A share of the memory limit for files in each of /tmp, /var/tmp and /dev/shm; they count as
/// memory where there are control groups.
const SCRATCH_SHARE: u64 = 2;

/// What of /etc programs need: how to look names up, to render text, to trust certificates. Neither
/// accounts nor anything of the services of this machine.
const ETC: &[&str] = &[
    "ImageMagick-6",
    "X11",
    "alternatives",
    "bash.bashrc",
    "bash_completion.d",
    "ca-certificates",
    "chromium",
    "chromium.d",
    "dbus-1",
    "dconf",
    "debian_version",
    "default/locale",
    "emacs",
    "firefox",
    "firefox-esr",
    "fonts",
    "gai.conf",
    "glvnd",
    "gtk-2.0",
    "gtk-3.0",
    "gtk-4.0",
    "host.conf",
    "inputrc",
    "java-17-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "libreoffice",
    "locale.alias",
    "localtime",
    "magic",
    "magic.mime",
    "manpath.config",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "papersize",
    "perl",
    "profile",
    "profile.d",
    "protocols",
    "python3",
    "python3.11",
    "python3.13",
    "resolv.conf",
    "services",
    "shells",
    "ssl",
    "terminfo",
    "timezone",
    "vim",
    "wgetrc",
    "xdg",
];

/// A command line that grows.
#[derive(Debug, Default)]
struct Words(Vec<OsString>);

impl Words {
    fn add<const N: usize>(&mut self, words: [&str; N]) {
        self.0.extend(words.map(OsString::from));
    }

    fn mount(&mut self, how: &str, from: &Path, to: &str) {
        self.0.extend([how.into(), from.into(), to.into()]);
    }
}

/// bwrap's arguments for the desktop itself.
pub(super) fn desktop(order: &Order, place: &Place) -> Vec<OsString> {
    let mut words = walls(order.uid);
    let scratch = order.limits.memory / SCRATCH_SHARE;
    scratches(&mut words, scratch);
    system(&mut words);
    for name in ETC {
        let path = Path::new("/etc").join(name);
        words.mount("--ro-bind-try", &path, &format!("/etc/{name}"));
    }
    own_etc(&mut words, place);
    // The cache of fonts that were looked through already: without it, each first window waits.
    words.mount("--ro-bind-try", Path::new("/var/cache/fontconfig"), "/var/cache/fontconfig");
    words.mount("--ro-bind-try", Path::new("/opt"), "/opt");
    words.mount("--ro-bind", &order.containers.join("desktop"), &format!("{OURS}/desktop"));
    words.mount("--ro-bind", &place.join("xorg.conf"), &format!("{OURS}/xorg.conf"));
    words.mount("--ro-bind", &place.join("auth"), &format!("{OURS}/auth"));
    words.mount("--bind", &place.join("x"), "/tmp/.X11-unix");
    words.mount("--bind", &order.home, HOME);
    words.mount("--bind", &order.data, &format!("{HOME}/{DATA}"));
    if let Some(relay) = &order.relay {
        words.add(["--perms", "0755", "--dir", BIN]);
        words.mount("--ro-bind", relay, &format!("{BIN}/lattice"));
        words.mount("--ro-bind", &place.join("api"), &format!("{OURS}/api"));
    }
    // Into the home goes whoever owns it: what bwrap has left of root's rights does not reach there.
    words.add(["--chdir", "/", "--remount-ro", "/", "--"]);
    become_owner(&mut words, order);
    words.add(["/run/lattice/desktop/display"]);
    words.0
}

/// bwrap's arguments for its agent.
pub(super) fn agent(order: &Order, place: &Place) -> Vec<OsString> {
    let mut words = walls(order.uid);
    scratches(&mut words, 1 << 20);
    system(&mut words);
    for name in ["ld.so.cache", "localtime"] {
        words.mount("--ro-bind-try", &Path::new("/etc").join(name), &format!("/etc/{name}"));
    }
    words.mount("--ro-bind", &order.agent, &format!("{OURS}/lattice-agent"));
    words.mount("--ro-bind", &place.join("auth"), &format!("{OURS}/auth"));
    words.mount("--ro-bind", &place.join("x"), "/tmp/.X11-unix");
    words.mount("--bind", &place.join("link"), &format!("{OURS}/link"));
    words.add(["--remount-ro", "/", "--"]);
    become_owner(&mut words, order);
    words.add(["/run/lattice/lattice-agent", "--display", "/tmp/.X11-unix/X0"]);
    words.add(["--listen", "/run/lattice/link/agent.sock", "--allow-resize", "--exit-on-eof"]);
    // In one word, lest a name be taken for an option.
    words.add([&format!("--name={}", plain(&order.title))]);
    words.0
}

/// bwrap's arguments for its relay, whose program that is.
pub(super) fn relay(order: &Order, place: &Place, program: &Path) -> Vec<OsString> {
    let mut words = walls(order.uid);
    scratches(&mut words, 1 << 20);
    system(&mut words);
    words.mount("--ro-bind-try", Path::new("/etc/ld.so.cache"), "/etc/ld.so.cache");
    words.mount("--ro-bind", program, &format!("{OURS}/lattice-session"));
    words.mount("--bind", &place.join("api"), &format!("{OURS}/api"));
    words.mount("--bind", &place.join("gate"), &format!("{OURS}/gate"));
    words.add(["--remount-ro", "/", "--"]);
    become_owner(&mut words, order);
    words.add(["/run/lattice/lattice-session", "serve", "--exit-on-eof"]);
    words.0
}

/// bwrap's arguments for a sandbox of the same kind in which nothing happens.
pub(crate) fn trial(uid: Option<u32>) -> Vec<OsString> {
    let mut words = walls(uid);
    scratches(&mut words, 1 << 20);
    system(&mut words);
    words.add(["--remount-ro", "/", "--"]);
    leave_root(&mut words, uid);
    words.add(["/bin/true"]);
    words.0
}

/// bwrap's arguments for a clone of a repository: with this machine's network, which the program inside
/// uses for addresses that it has judged, and with nothing of anybody's.
pub(crate) fn fetch(
    uid: Option<u32>,
    keeper: &Path,
    url: &CloneUrl,
    allowed: &[IpNet],
) -> Vec<OsString> {
    let mut words = apart(uid);
    let size = MOST_CLONE.to_string();
    words.add(["--perms", "1777", "--size", &size, "--tmpfs", "/tmp"]);
    system(&mut words);
    for name in
        ["ca-certificates", "gai.conf", "host.conf", "hosts", "ld.so.cache", "nsswitch.conf"]
    {
        words.mount("--ro-bind-try", &Path::new("/etc").join(name), &format!("/etc/{name}"));
    }
    for name in ["resolv.conf", "ssl", "services"] {
        words.mount("--ro-bind-try", &Path::new("/etc").join(name), &format!("/etc/{name}"));
    }
    words.mount("--ro-bind", keeper, &format!("{OURS}/lattice-keeper"));
    words.add(["--chdir", "/", "--remount-ro", "/", "--"]);
    leave_root(&mut words, uid);
    words.add(["/run/lattice/lattice-keeper", "--scratch", "/tmp", "--fetch", url.as_str()]);
    for network in allowed {
        words.add(["--allow", &network.to_string()]);
    }
    words.0
}

/// The environment inside. `variables` are the caller's: how to speak, and what time it is.
pub(super) fn environment(order: &Order) -> Vec<(&'static str, OsString)> {
    let uid = order.uid.unwrap_or(INNER_UID);
    let runtime = format!("/run/user/{uid}");
    let (width, height) = order.geometry;
    let path = if order.relay.is_some() { format!("{BIN}:{PATH}") } else { PATH.to_owned() };
    let mut all: Vec<(&str, OsString)> = vec![
        ("HOME", HOME.into()),
        ("USER", "student".into()),
        ("LOGNAME", "student".into()),
        ("SHELL", "/bin/bash".into()),
        ("PATH", path.into()),
        ("XDG_RUNTIME_DIR", runtime.into()),
        ("DISPLAY", ":0".into()),
        ("XAUTHORITY", format!("{OURS}/auth/client").into()),
        (MARK, order.session.clone().into()),
        ("LATTICE_X_AUTH", format!("{OURS}/auth/server").into()),
        ("LATTICE_X_CONFIG", format!("{OURS}/xorg.conf").into()),
        ("LATTICE_X_SIZE", format!("{width}x{height}").into()),
    ];
    for name in INHERITED {
        all.extend(std::env::var_os(name).map(|value| (name, value)));
    }
    if std::env::var_os("LANG").is_none() {
        all.push(("LANG", "C.UTF-8".into()));
    }
    all
}

/// A title as one line; none of its characters can end a word or a file's line.
pub(super) fn plain(title: &str) -> String {
    title.chars().filter(|c| !c.is_control()).collect()
}

/// Namespaces and privileges.
///
/// INVARIANT: the network namespace is the sandbox's own. Abstract sockets belong to it, and X clients
/// try `@/tmp/.X11-unix/X0` before the file; see the tests of walls.
fn walls(uid: Option<u32>) -> Words {
    let mut words = apart(uid);
    words.add(["--unshare-net"]);
    words
}

/// The same with the network of this machine.
fn apart(uid: Option<u32>) -> Words {
    let mut words = Words::default();
    words.add(["--unshare-pid", "--unshare-ipc", "--unshare-uts"]);
    words.add(["--unshare-cgroup-try", "--hostname", "desktop"]);
    words.add(["--die-with-parent", "--new-session"]);
    match uid {
        // What it takes to become somebody else, which takes it away again.
        Some(_) => {
            words.add(["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]);
            words.add(["--cap-add", "CAP_SETPCAP"]);
        }
        None => {
            let inner = INNER_UID.to_string();
            words.add(["--unshare-user", "--uid", &inner, "--gid", &inner, "--cap-drop", "ALL"]);
        }
    }
    words.add(["--proc", "/proc", "--dev", "/dev"]);
    // Where bwrap makes a directory of its own accord, only root may enter it.
    for path in ["/etc", "/etc/default", "/home", "/run", OURS, "/var", "/var/cache"] {
        words.add(["--perms", "0755", "--dir", path]);
    }
    words
}

/// Directories in memory that everybody inside may write to.
fn scratches(words: &mut Words, bytes: u64) {
    let size = bytes.to_string();
    for path in ["/tmp", "/var/tmp", "/dev/shm", "/run/user"] {
        words.add(["--perms", "1777", "--size", &size, "--tmpfs", path]);
    }
}

/// The programs of this machine, read-only. In newer systems most of these are links into /usr.
fn system(words: &mut Words) {
    words.add(["--ro-bind", "/usr", "/usr"]);
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        let path = Path::new("/").join(name);
        match std::fs::read_link(&path) {
            Ok(target) => words.mount("--symlink", &target, &format!("/{name}")),
            Err(_) => words.mount("--ro-bind-try", &path, &format!("/{name}")),
        }
    }
}

fn own_etc(words: &mut Words, place: &Place) {
    for name in ["passwd", "group", "hostname", "hosts", "machine-id"] {
        let path: PathBuf = place.join("etc").join(name);
        words.mount("--ro-bind", &path, &format!("/etc/{name}"));
    }
}

fn become_owner(words: &mut Words, order: &Order) {
    words.0.extend(limits::of_processes(&order.limits));
    leave_root(words, order.uid);
}

fn leave_root(words: &mut Words, uid: Option<u32>) {
    let Some(uid) = uid.map(|uid| uid.to_string()) else { return };
    words.add(["setpriv", "--reuid", &uid, "--regid", &uid, "--clear-groups"]);
    words.add(["--inh-caps=-all", "--bounding-set=-all", "--"]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::limits::defaults;

    fn order(title: &str) -> Order {
        Order {
            session: "aaaaaaaaaaaaaaaa".into(),
            owner: 1,
            title: title.into(),
            geometry: (1366, 768),
            home: "/homes/1/home".into(),
            data: "/homes/1/data".into(),
            uid: Some(100_001),
            bwrap: "bwrap".into(),
            agent: "agent".into(),
            relay: Some("lattice-session".into()),
            containers: "containers".into(),
            limits: defaults(),
            recipe: None,
        }
    }

    #[test]
    fn every_sandbox_has_a_network_of_its_own_and_no_privileges() {
        let (order, place) = (order("x"), Place::new(Path::new("/run/lattice/aaaaaaaaaaaaaaaa")));
        let relay = relay(&order, &place, Path::new("lattice-session"));
        for words in
            [desktop(&order, &place), agent(&order, &place), relay, trial(None), trial(Some(1))]
        {
            for wall in ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--die-with-parent"] {
                assert!(words.iter().any(|word| word == wall), "{wall} is not in {words:?}");
            }
            let shares = words.iter().any(|word| word == "--share-net" || word == "--dev-bind");
            assert!(!shares, "{words:?}");
        }
    }

    #[test]
    fn a_desktop_sees_of_its_relay_one_socket_that_it_cannot_replace() {
        let (order, place) = (order("x"), Place::new(Path::new("/run/x")));
        let has = |words: &[OsString], three: [&str; 3]| words.windows(3).any(|all| *all == three);
        let words = desktop(&order, &place);
        assert!(has(&words, ["--ro-bind", "/run/x/api", "/run/lattice/api"]), "{words:?}");
        assert!(!words.iter().any(|word| word.to_string_lossy().contains("gate")), "{words:?}");
        let words = relay(&order, &place, Path::new("/opt/lattice-session"));
        for hole in ["/home/student", "/tmp/.X11-unix", "/run/lattice/auth", "/run/lattice/link"] {
            assert!(!words.iter().any(|word| word == hole), "{hole} is in {words:?}");
        }
        let none = Order { relay: None, ..order };
        let words = desktop(&none, &place);
        assert!(!words.iter().any(|word| word.to_string_lossy().contains("/api")), "{words:?}");
    }

    #[test]
    fn a_clone_has_a_network_and_nothing_of_anybody() {
        let url = "https://git.example/a".parse().expect("an address");
        for uid in [None, Some(65_534)] {
            let words = fetch(uid, Path::new("/usr/bin/lattice-keeper"), &url, &[]);
            for wall in ["--unshare-pid", "--unshare-ipc", "--die-with-parent", "--size"] {
                assert!(words.iter().any(|word| word == wall), "{wall} is not in {words:?}");
            }
            for hole in ["--bind", "--dev-bind", "/home/student", "--allow", "/tmp/.X11-unix"] {
                assert!(!words.iter().any(|word| word == hole), "{hole} is in {words:?}");
            }
        }
    }

    #[test]
    fn a_title_is_neither_an_option_nor_an_account() {
        let order = order("--listen\0 x\nroot:,y::0:0:::");
        let name = "--name=--listen xroot:,y::0:0:::";
        let words = agent(&order, &Place::new(Path::new("/run/x")));
        assert_eq!(words.last().expect("words"), name);
        let [(_, accounts), ..] =
            crate::supervise::setup::accounts(&order.title, order.uid.unwrap_or(INNER_UID));
        assert_eq!(accounts.lines().count(), 3);
        let own = "student:x:100001:100001:--listen xrooty00:/home/student:/bin/bash";
        assert_eq!(accounts.lines().last(), Some(own));
    }
}
