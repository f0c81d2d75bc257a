//! A session's directory, through which the containers of one desktop and the gateway meet.
//!
//! ```text
//! <run>/<session>/           broker's; the gateway may pass through it, and nobody else
//!   tokens.json              what the gateway proves itself with, 0600
//!   x/X0                     the X socket
//!   auth/                    its cookies: of the X server, the agent (client) and programs
//!   bus/bus                  the session bus
//!   link/agent.sock          where the agent listens, for the gateway
//!   api/                     where the session API listens for programs of the desktop
//!   gate/gateway.sock        and where it does for the gateway
//!   proxy/<app>/bus          the session bus as an app sees it that declares names on it
//!   ports/<app>/<port>.sock  what leads to a port that an app declares, for the gateway
//!   menu/applications/       the menu's entries of apps, to be read only
//!   etc/                     passwd, group and the like, to be read only
//!   template.yaml            what the desktop is made of, where that was sent with its start, 0600
//!   desktop/                 the same for programs, once it is known whose they are
//! ```
//!
//! A display, a bus and a relay may be there before anybody has come whose desktop they are (`pool`).
//! They run as a user of their own then.

use super::protocol::{Secret, Tokens};
use crate::auth::Token;
use crate::runtime::RuntimeError;
use crate::runtime::process::place::write_atomically;
use crate::supervise::setup;
use crate::template::Template;
use lattice_engine::session::SessionId;
use rustix::fs::{Gid, Mode, Uid, chmod, chown, mkdir};
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The directory in which the X server makes its socket: it wants to be its owner.
const OWN: [&str; 1] = ["x"];
/// Directories in which programs find a socket.
const MET: [&str; 2] = ["bus", "api"];
/// What is there once programs are.
const FURNISHED: &str = "desktop";
/// What the desktop is made of, where that is none of the broker's own templates.
const RECIPE: &str = "template.yaml";
/// Directories of the desktop's user that the gateway may pass through.
const SHARED: [&str; 2] = ["link", "gate"];
/// The xorg image's own configuration.
const X_CONFIG: &str = include_str!("../../../../containers/xorg/xorg.conf");

/// One session's directory.
#[derive(Debug, Clone)]
pub(super) struct Place {
    dir: PathBuf,
}

/// Who the display, the bus and the relay run as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub(super) uid: u32,
    /// The gateway's group.
    pub(super) gateway: u32,
    /// The first size of the screen.
    pub(super) geometry: (u16, u16),
}

/// Whose desktop it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tenant<'a> {
    pub(super) uid: u32,
    pub(super) title: &'a str,
    pub(super) template: &'a Template,
    /// The text that it was read from, where that is not a file of the broker's.
    pub(super) text: Option<&'a str>,
}

impl Place {
    pub(super) fn new(run: &Path, session: &SessionId) -> Self {
        Self { dir: run.join(session.as_str()) }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn agent_socket(&self) -> PathBuf {
        self.dir.join("link/agent.sock")
    }

    pub(super) fn bus_socket(&self) -> PathBuf {
        self.dir.join("bus/bus")
    }

    /// Makes it anew, for whoever comes.
    pub(super) fn prepare(&self, parts: Parts) -> Result<Tokens, RuntimeError> {
        self.remove()?;
        self.make(parts).map_err(RuntimeError::step("make the session's directory", &self.dir))
    }

    fn make(&self, parts: Parts) -> io::Result<Tokens> {
        let (uid, gateway) = (Uid::from_raw(parts.uid), Gid::from_raw(parts.gateway));
        let own = Gid::from_raw(parts.uid);
        make_directory(&self.dir, Uid::ROOT, gateway, 0o710)?;
        for name in OWN {
            make_directory(&self.dir.join(name), uid, own, 0o700)?;
        }
        for name in MET {
            // Nobody comes here but who was given it.
            make_directory(&self.dir.join(name), uid, own, 0o755)?;
        }
        for name in SHARED {
            // What is made in it belongs to the gateway's group.
            make_directory(&self.dir.join(name), uid, gateway, 0o2750)?;
        }
        make_directory(&self.dir.join("auth"), Uid::ROOT, Gid::ROOT, 0o755)?;
        for (name, cookie) in setup::cookies().map_err(io::Error::other)? {
            self.keep_cookie(name, &cookie, parts.uid)?;
        }
        self.introduce("etc", "Desktop", parts.uid)?;
        let config = setup::with_size(X_CONFIG, parts.geometry);
        for_all(&self.dir.join("etc/xorg.conf"), &config)?;
        let fresh = || Token::fresh().map(Secret).map_err(io::Error::other);
        let tokens = Tokens { agent: fresh()?, api: fresh()? };
        write_atomically(&self.dir.join("tokens.json"), &serde_json::to_vec(&tokens)?)?;
        Ok(tokens)
    }

    /// Adds what programs find, now that it is known whose they are.
    pub(super) fn furnish(&self, tenant: Tenant<'_>) -> Result<(), RuntimeError> {
        self.add(tenant).map_err(RuntimeError::step("furnish the session's directory", &self.dir))
    }

    fn add(&self, tenant: Tenant<'_>) -> io::Result<()> {
        let cookie = fs::read(self.dir.join("auth/server"))?;
        self.keep_cookie("programs", &cookie, tenant.uid)?;
        for name in ["menu", "menu/applications"] {
            make_directory(&self.dir.join(name), Uid::ROOT, Gid::ROOT, 0o755)?;
        }
        for (name, app) in &tenant.template.apps {
            let file = format!("menu/applications/lattice-app-{name}.desktop");
            for_all(&self.dir.join(file), &menu_entry(name, &app.title, &app.icon))?;
        }
        if let Some(text) = tenant.text {
            write_atomically(&self.dir.join(RECIPE), text.as_bytes())?;
        }
        self.make_known(tenant.uid)?;
        self.introduce(FURNISHED, tenant.title, tenant.uid)
    }

    /// The session bus lets in whom its own list of users has, and that was written before it was known
    /// whose desktop this is. It is added to in its place: the container has that very file mounted.
    fn make_known(&self, uid: u32) -> io::Result<()> {
        let path = self.dir.join("etc/passwd");
        if fs::read_to_string(&path)?.contains(&format!(":{uid}:{uid}:")) {
            return Ok(());
        }
        let mut file = fs::OpenOptions::new().append(true).open(&path)?;
        file.write_all(format!("programs:x:{uid}:{uid}:::/usr/sbin/nologin\n").as_bytes())
    }

    /// Makes the directory in which a proxy of the session bus makes its socket for an app; where
    /// that will be.
    pub(super) fn make_proxy(&self, app: &str, uid: u32) -> Result<PathBuf, RuntimeError> {
        let own = self.make_anew("proxy", app, uid, uid, 0o700)?;
        Ok(own.join("bus"))
    }

    /// Makes the directory in which the sockets come that lead to an app's ports; the gateway's group
    /// may pass through it.
    pub(super) fn make_ports(&self, app: &str, uid: u32, gateway: u32) -> Result<(), RuntimeError> {
        self.make_anew("ports", app, uid, gateway, 0o2750).map(|_| ())
    }

    /// An empty directory of an app among those of a kind.
    fn make_anew(
        &self,
        kind: &str,
        app: &str,
        uid: u32,
        gid: u32,
        mode: u32,
    ) -> Result<PathBuf, RuntimeError> {
        let all = self.dir.join(kind);
        let own = all.join(app);
        let make = || {
            if !all.exists() {
                make_directory(&all, Uid::ROOT, Gid::ROOT, 0o755)?;
            }
            match fs::remove_dir_all(&own) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            make_directory(&own, Uid::from_raw(uid), Gid::from_raw(gid), mode)
        };
        make().map_err(RuntimeError::step("make the directory", &own))?;
        Ok(own)
    }

    /// Whether somebody's programs were here.
    pub(super) fn is_furnished(&self) -> bool {
        self.dir.join(FURNISHED).exists()
    }

    fn keep_cookie(&self, name: &str, cookie: &[u8], uid: u32) -> io::Result<()> {
        let path = self.dir.join("auth").join(name);
        write_atomically(&path, cookie)?;
        fs::set_permissions(&path, Permissions::from_mode(0o400))?;
        Ok(chown(&path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)))?)
    }

    /// Who a user is, and on which machine, in a directory of that name.
    fn introduce(&self, name: &str, title: &str, uid: u32) -> io::Result<()> {
        let directory = self.dir.join(name);
        make_directory(&directory, Uid::ROOT, Gid::ROOT, 0o755)?;
        for (file, text) in setup::accounts(title, uid) {
            for_all(&directory.join(file), &text)?;
        }
        for_all(&directory.join("machine-id"), &setup::machine_id().map_err(io::Error::other)?)
    }

    pub(super) fn tokens(&self) -> io::Result<Tokens> {
        Ok(serde_json::from_slice(&fs::read(self.dir.join("tokens.json"))?)?)
    }

    /// The text that the desktop was made of, where it was sent.
    pub(super) fn recipe(&self) -> Result<Option<String>, RuntimeError> {
        let path = self.dir.join(RECIPE);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(RuntimeError::step("read the desktop's template", &path)(error)),
        }
    }

    pub(super) fn remove(&self) -> Result<(), RuntimeError> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(RuntimeError::step("remove the session's directory", &self.dir)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Whatever the umask is.
fn make_directory(path: &Path, uid: Uid, gid: Gid, mode: u32) -> io::Result<()> {
    mkdir(path, Mode::RWXU)?;
    chown(path, Some(uid), Some(gid))?;
    // After the owner: that changes the set-group-id bit.
    Ok(chmod(path, Mode::from_raw_mode(mode))?)
}

fn for_all(path: &Path, text: &str) -> io::Result<()> {
    write_atomically(path, text.as_bytes())?;
    fs::set_permissions(path, Permissions::from_mode(0o644))
}

/// An entry of the desktop's menu, see the Desktop Entry Specification. The title was checked to be
/// one line, the names to be plain.
fn menu_entry(name: &str, title: &str, icon: &str) -> String {
    format!(
        "[Desktop Entry]\nType=Application\nVersion=1.5\nName={}\nIcon={icon}\n\
         Exec=/usr/bin/lattice open {name}\nTerminal=false\nCategories=X-Lattice;Development;\n\
         StartupNotify=false\n",
        title.replace('\\', "\\\\")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn the_gateway_reaches_two_sockets_and_nobody_else_anything() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let run = tempfile::tempdir().expect("a directory");
        let template = crate::template::read(
            "name: a\nservices: {code: {image: lattice/terminal}}\nx-lattice: {title: A, apps: \
             {code: {title: 'Co\\de'}}}",
        )
        .expect("a good template");
        let parts = Parts { uid: 1_000_000_001, gateway: 990, geometry: (1024, 700) };
        let tenant =
            Tenant { uid: 100_001, title: "Ada: her desk", template: &template, text: None };
        let place = Place::new(run.path(), &"abcdefghijklmnop".parse().expect("an id"));
        let tokens = place.prepare(parts).expect("made");
        assert!(!place.is_furnished());
        place.furnish(tenant).expect("furnished");
        assert!(place.is_furnished());
        let kept = place.tokens().expect("kept");
        assert_eq!(tokens.agent.0.expose(), kept.agent.0.expose());
        let seen = |name: &str| {
            let found = fs::metadata(place.dir().join(name)).expect(name);
            (found.uid(), found.gid(), found.mode() & 0o7777)
        };
        assert_eq!(seen(""), (0, 990, 0o710));
        assert_eq!(seen("tokens.json"), (0, 0, 0o600));
        let slot = 1_000_000_001;
        assert_eq!(seen("x"), (slot, slot, 0o700));
        assert_eq!(seen("auth/client"), (slot, slot, 0o400));
        assert_eq!(seen("auth/programs"), (100_001, 100_001, 0o400));
        assert_eq!(seen("link"), (slot, 990, 0o2750));
        assert_eq!(seen("etc/passwd"), (0, 0, 0o644));
        let known = fs::read_to_string(place.dir().join("etc/passwd")).expect("there");
        assert!(known.contains(":1000000001:") && known.contains("programs:x:100001:"), "{known}");
        let accounts = fs::read_to_string(place.dir().join("desktop/passwd")).expect("there");
        assert!(accounts.contains("student:x:100001:100001:Ada her desk:"), "{accounts}");
        let entry =
            fs::read_to_string(place.dir().join("menu/applications/lattice-app-code.desktop"));
        assert!(entry.expect("there").contains("Name=Co\\\\de\n"));
        let config = fs::read_to_string(place.dir().join("etc/xorg.conf")).expect("there");
        assert!(config.contains("1024x700"));
        assert_eq!(place.recipe().expect("looked for"), None);
        place.prepare(parts).expect("made anew");
        assert!(!place.is_furnished());
        place.furnish(Tenant { text: Some("name: a"), ..tenant }).expect("furnished");
        assert_eq!(place.recipe().expect("kept").as_deref(), Some("name: a"));
        assert_eq!(seen("template.yaml"), (0, 0, 0o600));
        place.remove().expect("gone");
        place.remove().expect("removing twice is fine");
    }
}
