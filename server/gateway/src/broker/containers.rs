//! How each container is made. Nothing else makes any, and all have the same walls: a user id of their
//! own, no capability, no new privileges, a root that cannot be written, no network, and bounds on all
//! that they may use. What an app has beyond that is what its template declares.

use super::calls;
use super::data::Kept;
use super::protocol::Tokens;
use crate::template::{Access, App, Network, Permissions, Size, Template};
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use lattice_engine::session::SessionId;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZero;
use std::path::{Path, PathBuf};

/// Which Lattice a container belongs to, where several use one engine.
pub(super) const INSTALLATION: &str = "io.lattice.installation";
/// Which session.
pub(super) const SESSION: &str = "io.lattice.session";
/// Which part of the desktop: `xorg`, `dbus`, `desktop`, `api`, `app`, or an app's `proxy` or `forwarder`.
pub(super) const ROLE: &str = "io.lattice.role";
/// The user whose desktop it is; on the desktop and its apps, since the rest may be there before.
pub(super) const OWNER: &str = "io.lattice.owner";
/// The template that it was made from.
pub(super) const TEMPLATE: &str = "io.lattice.template";
/// The digest of that template's text, where it is none of the broker's own files.
pub(super) const RECIPE: &str = "io.lattice.recipe";
/// Which app.
pub(super) const APP: &str = "io.lattice.app";
/// On what does one thing and ends: which broker process made it and will remove it.
pub(super) const BROKER: &str = "io.lattice.broker";
/// On images of ours: which system calls they need beside the engine's usual ones.
pub(super) const SANDBOX: &str = "io.lattice.sandbox";
/// On images of ours: which.
pub(super) const IMAGE: &str = "io.lattice.image";

const HOME: &str = "/home/student";
const MIB: u64 = 1 << 20;
/// What the engine gives where nothing is said.
const SHARES: i64 = 1024;
/// How long processor time is counted that a display may take, in microseconds: who has used theirs up
/// waits for the next, so shorter than the engine's usual 100 ms.
const PERIOD_US: i64 = 25_000;
/// Debian's limit for one process; as many descriptors as one desktop's program may have.
const MAX_FILES: i64 = 20_000;

/// A part of every desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Core {
    Xorg,
    Dbus,
    Api,
    Desktop,
}

impl Core {
    /// In the order in which they start; they end the other way round.
    pub(super) const ALL: [Self; 4] = [Self::Xorg, Self::Dbus, Self::Api, Self::Desktop];
    /// Those that are the same for everybody.
    pub(super) const PARTS: [Self; 3] = [Self::Xorg, Self::Dbus, Self::Api];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Xorg => "xorg",
            Self::Dbus => "dbus",
            Self::Api => "api",
            Self::Desktop => "desktop",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|core| core.name() == name)
    }

    pub(super) fn image(self) -> String {
        format!("lattice/{}", self.name())
    }

    fn size(self) -> Size {
        match self {
            Self::Xorg => Size::DISPLAY,
            Self::Dbus => Size::BUS,
            Self::Api => Size::RELAY,
            Self::Desktop => Size::DESKTOP,
        }
    }
}

impl fmt::Display for Core {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Xorg => "the display",
            Self::Dbus => "the session bus",
            Self::Api => "the service of the desktop's menu",
            Self::Desktop => "the desktop",
        })
    }
}

/// What an app needs beside itself for what it declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aide {
    /// Lets it talk to names on the session bus.
    Proxy,
    /// Leads to its ports.
    Forwarder,
}

impl Aide {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Forwarder => "forwarder",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Proxy, Self::Forwarder].into_iter().find(|aide| aide.name() == name)
    }
}

/// Where files of a person are, as the engine names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A directory of the engine's machine.
    Directory(PathBuf),
    /// A volume of the engine's.
    Volume(String),
}

impl Source {
    /// For a container that may write to it.
    pub(super) fn mounted(&self, target: &str) -> Mount {
        let (typ, source) = match self {
            Self::Directory(path) => (MountType::BIND, path.to_string_lossy().into_owned()),
            Self::Volume(name) => (MountType::VOLUME, name.clone()),
        };
        Mount {
            typ: Some(typ),
            source: Some(source),
            target: Some(target.into()),
            ..Mount::default()
        }
    }
}

/// The session that containers are made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) installation: &'a str,
    pub(super) session: &'a SessionId,
    /// The session's directory, as the engine names it.
    pub(super) place: &'a Path,
}

/// Whose programs they are for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) site: Site<'a>,
    pub(super) owner: i64,
    pub(super) uid: u32,
    pub(super) template: &'a Template,
    /// The digest of its text, where that is none of the broker's own files.
    pub(super) recipe: Option<&'a str>,
    pub(super) kept: &'a Kept,
}

/// A container that is yet to be made, apart from its image.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) body: ContainerCreateBody,
}

impl Site<'_> {
    /// What runs the display, the session bus or the relay, which are the same for everybody.
    pub(super) fn part(&self, core: Core, uid: u32, title: &str, tokens: &Tokens) -> Plan {
        let mut plan = self.plan(core.name(), core.size(), uid, "etc");
        // Keys and pictures first, whatever programs do: shares count only where processors are short.
        plan.host().cpu_shares = Some(4 * SHARES);
        match core {
            Core::Xorg => {
                plan.host().cpu_period = Some(PERIOD_US);
                plan.host().cpu_quota = Some(display_quota(available_parallelism()));
                plan.bind(self.place.join("x"), "/tmp/.X11-unix", false);
                plan.bind(self.place.join("auth"), "/run/lattice/auth", true);
                plan.bind(self.place.join("link"), "/run/lattice/link", false);
                plan.bind(self.place.join("etc/xorg.conf"), "/run/lattice/xorg.conf", true);
                plan.tmpfs("/tmp", memory(uid, "1777", 64 * MIB));
                plan.set("LATTICE_X_CONFIG", "/run/lattice/xorg.conf");
                plan.set("LATTICE_NAME", title);
                plan.set("LATTICE_AGENT_TOKEN", tokens.agent.0.expose());
            }
            Core::Api => {
                plan.bind(self.place.join("api"), "/run/lattice/api", false);
                plan.bind(self.place.join("gate"), "/run/lattice/gate", false);
                plan.set("LATTICE_API_TOKEN", tokens.api.0.expose());
            }
            // A desktop is never made without its owner.
            Core::Dbus | Core::Desktop => {
                plan.bind(self.place.join("bus"), "/run/lattice/bus", false);
            }
        }
        plan
    }

    fn plan(&self, role: &str, size: Size, uid: u32, accounts: &str) -> Plan {
        let labels = [
            (INSTALLATION, self.installation.to_owned()),
            (SESSION, self.session.to_string()),
            (ROLE, role.to_owned()),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value));
        let mut plan = Plan {
            name: format!("lattice-{}-{role}", self.session),
            body: ContainerCreateBody {
                user: Some(format!("{uid}:{uid}")),
                hostname: Some("desktop".into()),
                labels: Some(HashMap::from(labels)),
                host_config: Some(walls(size)),
                ..ContainerCreateBody::default()
            },
        };
        for file in ["passwd", "group", "machine-id"] {
            plan.bind(self.place.join(accounts).join(file), &format!("/etc/{file}"), true);
        }
        plan
    }
}

impl Subject<'_> {
    /// What runs window manager, panel and file manager.
    pub(super) fn desktop(&self) -> Plan {
        let mut plan = self.plan(Core::Desktop.name(), Core::Desktop.size());
        let place = self.site.place;
        self.display(&mut plan);
        plan.bind(place.join("bus"), "/run/lattice/bus", true);
        plan.bind(place.join("api"), "/run/lattice/api", true);
        plan.bind(place.join("menu"), "/run/lattice/menu", true);
        plan.mount(&self.kept.home, HOME, false);
        plan.mount(&self.kept.data, &format!("{HOME}/Data"), false);
        plan.host().security_opt.get_or_insert_default().extend(self.calls(None));
        plan.tmpfs("/tmp", memory(self.uid, "1777", 256 * MIB));
        plan.tmpfs("/run/user/1000", memory(self.uid, "0700", 16 * MIB));
        plan.host().shm_size = Some(64 * MIB as i64);
        plan
    }

    /// What runs an app: what it declares, and no more. `own` is its home, nothing where it has one in
    /// memory; `sandbox` is what its image needs.
    pub(super) fn app(
        &self,
        name: &str,
        app: &App,
        own: Option<&Source>,
        sandbox: Option<&str>,
    ) -> Plan {
        let mut plan = self.plan("app", app.size);
        plan.name = format!("lattice-{}-app-{name}", self.site.session);
        plan.label(APP, name);
        let Permissions { display, network, data, dbus, manager, .. } = &app.permissions;
        if *display {
            self.display(&mut plan);
        }
        match own {
            Some(own) => plan.mount(own, HOME, false),
            None => plan.tmpfs(HOME, memory(self.uid, "0700", 256 * MIB)),
        }
        match data {
            Access::None => {}
            Access::Read => plan.mount(&self.kept.data, &format!("{HOME}/Data"), true),
            Access::Write => plan.mount(&self.kept.data, &format!("{HOME}/Data"), false),
        }
        if !dbus.is_empty() {
            plan.bind(self.site.place.join("proxy").join(name), "/run/lattice/bus", true);
            plan.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/lattice/bus/bus");
        }
        if *manager {
            plan.bind(self.site.place.join("api"), "/run/lattice/api", true);
        }
        if *network == Network::Internet {
            plan.host().network_mode = Some(network_name(self.site.session));
        }
        plan.tmpfs("/run/user/1000", memory(self.uid, "0700", 16 * MIB));
        if !app.tmpfs.iter().any(|tmpfs| tmpfs.path == "/tmp") {
            plan.tmpfs("/tmp", memory(self.uid, "1777", 256 * MIB));
        }
        for tmpfs in &app.tmpfs {
            let mode = if tmpfs.path == "/tmp" { "1777" } else { "0700" };
            let exec = if tmpfs.exec { ",exec" } else { "" };
            plan.tmpfs(&tmpfs.path, memory(self.uid, mode, tmpfs.size) + exec);
        }
        plan.host().shm_size = Some(app.shm as i64);
        plan.host().cpu_shares = Some(SHARES / 2);
        // Where memory is short an app goes, not the desktop that it is on.
        plan.host().oom_score_adj = Some(300);
        plan.host().security_opt.get_or_insert_default().extend(self.calls(sandbox));
        for (variable, value) in &app.environment {
            plan.set(variable, value);
        }
        let starter = self.template.starter.iter().find(|starter| starter.app == name);
        if let Some(starter) = starter {
            plan.set("LATTICE_STARTER", &starter.to);
        }
        if !app.command.is_empty() {
            plan.body.cmd = Some(app.command.clone());
        }
        plan.body.working_dir.clone_from(&app.working_dir);
        plan
    }

    /// What passes on between an app and the names on the session bus that it declares.
    pub(super) fn proxy(&self, name: &str, app: &App) -> Plan {
        let mut plan = self.aide(Aide::Proxy, name, Size::BUS);
        plan.bind(self.site.place.join("bus"), "/run/lattice/bus", true);
        plan.bind(self.site.place.join("proxy").join(name), "/run/lattice/proxy", false);
        let fixed = [
            "xdg-dbus-proxy",
            "unix:path=/run/lattice/bus/bus",
            "/run/lattice/proxy/bus",
            "--filter",
        ];
        let talk = app.permissions.dbus.iter().map(|name| format!("--talk={name}"));
        plan.body.cmd = Some(fixed.map(str::to_owned).into_iter().chain(talk).collect());
        plan
    }

    /// What leads from sockets to the ports that an app declares: in the network of its container,
    /// which mostly is none but its own loopback.
    pub(super) fn forwarder(&self, name: &str, app: &App, container: &str) -> Plan {
        let mut plan = self.aide(Aide::Forwarder, name, Size::FORWARDER);
        plan.bind(self.site.place.join("ports").join(name), "/run/lattice/ports", false);
        plan.host().network_mode = Some(format!("container:{container}"));
        // Its name is that of the container whose network it is in.
        plan.body.hostname = None;
        let fixed = ["lattice-session", "forward", "--directory", "/run/lattice/ports"];
        let ports = app.permissions.ports.iter().map(u16::to_string);
        plan.body.cmd = Some(fixed.map(str::to_owned).into_iter().chain(ports).collect());
        plan
    }

    fn aide(&self, aide: Aide, name: &str, size: Size) -> Plan {
        let mut plan = self.plan(aide.name(), size);
        plan.name = format!("lattice-{}-{}-{name}", self.site.session, aide.name());
        plan.label(APP, name);
        plan
    }

    fn plan(&self, role: &str, size: Size) -> Plan {
        let mut plan = self.site.plan(role, size, self.uid, "desktop");
        plan.label(OWNER, &self.owner.to_string());
        plan.label(TEMPLATE, &self.template.name);
        if let Some(recipe) = self.recipe {
            plan.label(RECIPE, recipe);
        }
        plan
    }

    /// Which system calls its programs may use, where that is not as the engine has it.
    fn calls(&self, sandbox: Option<&str>) -> Option<String> {
        let is_chromium = sandbox == Some("chromium");
        calls::profile(is_chromium, self.kept.in_subvolumes).map(|text| format!("seccomp={text}"))
    }

    /// Windows on the desktop.
    fn display(&self, plan: &mut Plan) {
        plan.bind(self.site.place.join("x"), "/tmp/.X11-unix", true);
        plan.bind(self.site.place.join("auth/programs"), "/run/lattice/auth/client", true);
    }
}

/// What a display may take of each [`PERIOD_US`]: half of the machine, and never less than one processor,
/// which is more than a film on the whole screen takes. Shares alone are not enough: a display that draws
/// without end keeps all processors, and a neighbour's key waits for each of its turns.
fn display_quota(processors: usize) -> i64 {
    PERIOD_US * processors.max(2) as i64 / 2
}

fn available_parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn memory(uid: u32, mode: &str, bytes: u64) -> String {
    // Empty files take no room of it, but the kernel's: there is one for each page at most.
    let files = bytes / 4096;
    format!("uid={uid},gid={uid},mode={mode},size={bytes},nr_inodes={files},nosuid,nodev")
}

/// What no container is without.
fn walls(size: Size) -> HostConfig {
    HostConfig {
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(vec!["no-new-privileges".into()]),
        readonly_rootfs: Some(true),
        ipc_mode: Some("private".into()),
        network_mode: Some("none".into()),
        init: Some(true),
        memory: Some(size.memory as i64),
        // The same: it has no swap.
        memory_swap: Some(size.memory as i64),
        nano_cpus: (size.cpu_millis > 0).then(|| i64::from(size.cpu_millis) * 1_000_000),
        pids_limit: Some(i64::from(size.pids)),
        ulimits: Some(vec![ResourcesUlimits {
            name: Some("nofile".into()),
            soft: Some(4096),
            hard: Some(MAX_FILES),
        }]),
        // What ended is started again as a whole, by whoever wants it to run.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".into()),
            config: Some(HashMap::from([
                ("max-size".into(), "1m".into()),
                ("max-file".into(), "2".into()),
            ])),
        }),
        ..HostConfig::default()
    }
}

impl Plan {
    fn host(&mut self) -> &mut HostConfig {
        self.body.host_config.get_or_insert_default()
    }

    fn set(&mut self, variable: &str, value: &str) {
        self.body.env.get_or_insert_default().push(format!("{variable}={value}"));
    }

    fn label(&mut self, name: &str, value: &str) {
        self.body.labels.get_or_insert_default().insert(name.into(), value.into());
    }

    fn bind(&mut self, source: PathBuf, target: &str, is_read_only: bool) {
        self.mount(&Source::Directory(source), target, is_read_only);
    }

    fn mount(&mut self, source: &Source, target: &str, is_read_only: bool) {
        let is_bind = matches!(source, Source::Directory(_));
        let mount = Mount {
            read_only: Some(is_read_only),
            // How mounts propagate is left to the engine: private, but for what is below its own root,
            // as volumes are, which it refuses to make private.
            // What the image has there is not the person's.
            volume_options: (!is_bind).then(|| MountVolumeOptions {
                no_copy: Some(true),
                ..MountVolumeOptions::default()
            }),
            ..source.mounted(target)
        };
        self.host().mounts.get_or_insert_default().push(mount);
    }

    fn tmpfs(&mut self, path: &str, options: String) {
        self.host().tmpfs.get_or_insert_default().insert(path.into(), options);
    }
}

/// The network of a session's apps that declare one.
pub(super) fn network_name(session: &SessionId) -> String {
    format!("lattice-{session}")
}
