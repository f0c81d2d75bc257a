//! What a template declares is what the engine was told, and nothing else. The list of what an app is
//! to have is made here, from the declaration alone.

use super::started;
use lattice_engine::session::SessionId;
use lattice_gateway::template::{self, Access, App, Network, Template};
use lattice_tests::containers::{Containers, docker};
use lattice_tests::process::repository;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::thread;

/// Each permission and each limit for itself, and all of them together.
const EACH: &str = "name: each
services:
  nothing: { image: lattice/terminal, command: [sleep, infinity] }
  display: { image: lattice/terminal, command: [sleep, infinity] }
  bus: { image: lattice/terminal, command: [sleep, infinity] }
  net: { image: lattice/terminal, command: [sleep, infinity] }
  reader: { image: lattice/terminal, command: [sleep, infinity] }
  writer: { image: lattice/terminal, command: [sleep, infinity] }
  ports: { image: lattice/terminal, command: [sleep, infinity] }
  asker: { image: lattice/terminal, command: [sleep, infinity] }
  sized:
    image: lattice/terminal
    command: [sleep, infinity]
    mem_limit: 300m
    cpus: 0.5
    pids_limit: 40
    shm_size: 32m
    tmpfs: ['/tmp:size=100m,exec', '/scratch:size=8m']
    working_dir: /scratch
    environment: { PURPOSE: a test }
  all:
    image: lattice/terminal
    command: [sleep, infinity]
x-lattice:
  title: Each
  apps:
    nothing: { title: A }
    display: { title: B }
    bus: { title: D }
    net: { title: E }
    reader: { title: F }
    writer: { title: G }
    ports: { title: H }
    asker: { title: I }
    sized: { title: J }
    all: { title: K }
  permissions:
    display: { display: true, clipboard: true }
    bus: { dbus: [org.example.Player] }
    net: { network: internet }
    reader: { data: read }
    writer: { data: write }
    ports: { ports: [8000, 9000] }
    asker: { manager: true }
    all: { display: true, clipboard: true, dbus: [org.example.*], network: internet, data: write, ports: [8000], manager: true }
";
const OWNER: i64 = 7;
/// The owner's, on a machine where the first owner has 100001.
const UID: u32 = 100_007;
const MIB: u64 = 1 << 20;

type Mounts = BTreeSet<(String, String, bool)>;

/// What one container is to be like.
struct Wanted {
    role: String,
    network: String,
    memory: u64,
    cpus: u64,
    /// What of each 25 ms its display may take, in microseconds.
    quota: u64,
    pids: u64,
    shm: Option<u64>,
    mounts: Mounts,
    tmpfs: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    chromium: bool,
}

/// Where things are.
struct Desk<'a> {
    containers: &'a Containers,
    session: &'a SessionId,
    template: &'a Template,
}

impl Desk<'_> {
    fn wanted(&self, role: &str, limits: (u64, u64, u64)) -> Wanted {
        let (memory, cpus, pids) = limits;
        let installation =
            std::fs::read_to_string(self.containers.path().join("data/installation"));
        let mut labels = BTreeMap::from([
            ("io.lattice.installation".into(), installation.expect("there").trim().to_owned()),
            ("io.lattice.session".into(), self.session.to_string()),
            ("io.lattice.role".into(), role.to_owned()),
        ]);
        let accounts = match role {
            "xorg" | "dbus" | "api" => "etc",
            _ => {
                labels.insert("io.lattice.owner".into(), OWNER.to_string());
                labels.insert("io.lattice.template".into(), self.template.name.clone());
                "desktop"
            }
        };
        let mut wanted = Wanted {
            role: role.into(),
            network: "none".into(),
            memory,
            cpus,
            quota: 0,
            pids,
            shm: None,
            mounts: Mounts::new(),
            tmpfs: BTreeMap::new(),
            labels,
            chromium: false,
        };
        for file in ["passwd", "group", "machine-id"] {
            self.own(&mut wanted, &format!("{accounts}/{file}"), &format!("/etc/{file}"), false);
        }
        wanted
    }

    /// Something of the session's directory.
    fn own(&self, wanted: &mut Wanted, from: &str, to: &str, writes: bool) {
        let from = self.containers.run().join(self.session.as_str()).join(from);
        mount(wanted, &from, to, writes);
    }

    fn display(&self, wanted: &mut Wanted) {
        self.own(wanted, "x", "/tmp/.X11-unix", false);
        self.own(wanted, "auth/programs", "/run/lattice/auth/client", false);
    }

    fn homes(&self) -> std::path::PathBuf {
        self.containers.path().join("data/homes").join(OWNER.to_string())
    }

    fn core(&self, role: &str) -> Wanted {
        let mut wanted = match role {
            "xorg" => self.wanted(role, (512 * MIB, 0, 64)),
            "dbus" => self.wanted(role, (64 * MIB, 0, 16)),
            "api" => self.wanted(role, (32 * MIB, 0, 16)),
            _ => self.wanted(role, (1024 * MIB, 0, 256)),
        };
        match role {
            "xorg" => {
                let processors = thread::available_parallelism().map_or(1, NonZero::get);
                wanted.quota = 25_000 * processors.max(2) as u64 / 2;
                self.own(&mut wanted, "x", "/tmp/.X11-unix", true);
                self.own(&mut wanted, "auth", "/run/lattice/auth", false);
                self.own(&mut wanted, "link", "/run/lattice/link", true);
                self.own(&mut wanted, "etc/xorg.conf", "/run/lattice/xorg.conf", false);
                tmpfs(&mut wanted, "/tmp", "1777", 64 * MIB, "");
            }
            "dbus" => self.own(&mut wanted, "bus", "/run/lattice/bus", true),
            "api" => {
                self.own(&mut wanted, "api", "/run/lattice/api", true);
                self.own(&mut wanted, "gate", "/run/lattice/gate", true);
            }
            _ => {
                self.display(&mut wanted);
                for name in ["bus", "api", "menu"] {
                    self.own(&mut wanted, name, &format!("/run/lattice/{name}"), false);
                }
                mount(&mut wanted, &self.homes().join("home"), "/home/student", true);
                mount(&mut wanted, &self.homes().join("data"), "/home/student/Data", true);
                tmpfs(&mut wanted, "/tmp", "1777", 256 * MIB, "");
                tmpfs(&mut wanted, "/run/user/1000", "0700", 16 * MIB, "");
                wanted.shm = Some(64 * MIB);
            }
        }
        wanted
    }

    fn app(&self, name: &str, app: &App) -> Wanted {
        let limits =
            (app.size.memory, u64::from(app.size.cpu_millis) * 1_000_000, app.size.pids.into());
        let mut wanted = self.wanted("app", limits);
        wanted.role = format!("app-{name}");
        wanted.labels.insert("io.lattice.app".into(), name.into());
        wanted.shm = Some(app.shm);
        let may = &app.permissions;
        if may.display {
            self.display(&mut wanted);
        }
        if !may.dbus.is_empty() {
            self.own(&mut wanted, &format!("proxy/{name}"), "/run/lattice/bus", false);
        }
        if may.manager {
            self.own(&mut wanted, "api", "/run/lattice/api", false);
        }
        if may.network == Network::Internet {
            wanted.network = format!("lattice-{}", self.session);
        }
        if may.data == Access::None {
            tmpfs(&mut wanted, "/home/student", "0700", 256 * MIB, "");
        } else {
            let home = self.homes().join("apps").join(format!("{}.{name}", self.template.name));
            mount(&mut wanted, &home, "/home/student", true);
            let writes = may.data == Access::Write;
            mount(&mut wanted, &self.homes().join("data"), "/home/student/Data", writes);
        }
        tmpfs(&mut wanted, "/tmp", "1777", 256 * MIB, "");
        tmpfs(&mut wanted, "/run/user/1000", "0700", 16 * MIB, "");
        for own in &app.tmpfs {
            let mode = if own.path == "/tmp" { "1777" } else { "0700" };
            tmpfs(&mut wanted, &own.path, mode, own.size, if own.exec { ",exec" } else { "" });
        }
        wanted.chromium = sandbox(&app.image) == "chromium";
        wanted
    }

    fn proxy(&self, name: &str) -> Wanted {
        let mut wanted = self.wanted("proxy", (64 * MIB, 0, 16));
        wanted.role = format!("proxy-{name}");
        wanted.labels.insert("io.lattice.app".into(), name.into());
        self.own(&mut wanted, "bus", "/run/lattice/bus", false);
        self.own(&mut wanted, &format!("proxy/{name}"), "/run/lattice/proxy", true);
        wanted
    }

    /// What leads to an app's ports: in the network of the app's own container.
    fn forwarder(&self, name: &str) -> Wanted {
        let mut wanted = self.wanted("forwarder", (32 * MIB, 0, 144));
        wanted.role = format!("forwarder-{name}");
        wanted.labels.insert("io.lattice.app".into(), name.into());
        let app = self.containers.inspect(self.session, &format!("app-{name}"));
        wanted.network = format!("container:{}", app["Id"].as_str().expect("an id"));
        self.own(&mut wanted, &format!("ports/{name}"), "/run/lattice/ports", true);
        wanted
    }

    fn check(&self, wanted: &Wanted) {
        let found = self.containers.inspect(self.session, &wanted.role);
        let (seen, want) = (seen(&found, wanted), wanted.as_json());
        let pretty = |value: &Value| serde_json::to_string_pretty(value).expect("JSON");
        assert_eq!(pretty(&seen), pretty(&want), "{} of {}", wanted.role, self.template.name);
        let text = found.to_string();
        assert!(!text.contains("docker.sock") && !text.contains("broker.sock"), "{text}");
    }
}

fn mount(wanted: &mut Wanted, from: &Path, to: &str, writes: bool) {
    wanted.mounts.insert((from.display().to_string(), to.into(), writes));
}

fn tmpfs(wanted: &mut Wanted, to: &str, mode: &str, size: u64, more: &str) {
    let files = size / 4096;
    let options =
        format!("uid={UID},gid={UID},mode={mode},size={size},nr_inodes={files},nosuid,nodev{more}");
    wanted.tmpfs.insert(to.into(), options);
}

impl Wanted {
    fn as_json(&self) -> Value {
        let user = format!("{UID}:{UID}");
        json!({
            "user": user, "network": self.network, "shm": self.shm,
            "memory": self.memory, "swap": self.memory, "cpus": self.cpus, "quota": self.quota,
            "pids": self.pids,
            "mounts": self.mounts, "tmpfs": self.tmpfs, "labels": self.labels,
            "seccomp": if self.chromium { "chromium's" } else { "the engine's" },
            "walls": walls(),
        })
    }
}

/// What is the same for every container.
fn walls() -> Value {
    json!({
        "CapDrop": ["ALL"], "CapAdd": null, "Privileged": false, "ReadonlyRootfs": true,
        "IpcMode": "private", "PidMode": "", "UTSMode": "", "UsernsMode": "", "CgroupParent": "",
        "Devices": null, "DeviceRequests": null, "DeviceCgroupRules": null, "Binds": null,
        "VolumesFrom": null, "GroupAdd": null, "Links": null, "PortBindings": {}, "ExtraHosts": null,
        "PublishAllPorts": false, "AutoRemove": false, "Init": true, "NoNewPrivileges": true,
    })
}

fn seen(found: &Value, wanted: &Wanted) -> Value {
    let host = &found["HostConfig"];
    let options: Vec<_> = host["SecurityOpt"].as_array().into_iter().flatten().collect();
    let mut same = walls();
    for (key, value) in same.as_object_mut().expect("an object") {
        let empty = |value: &Value| {
            let is_none = value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(serde_json::Map::is_empty);
            if is_none || value.is_null() { Value::Null } else { value.clone() }
        };
        let got = empty(&host[key.as_str()]);
        // An engine may say of nothing that it is an empty list.
        *value = if got.is_null() && (value.is_null() || *value == json!({})) {
            value.clone()
        } else {
            got
        };
    }
    same["NoNewPrivileges"] = options.iter().any(|option| *option == "no-new-privileges").into();
    let profile = options.iter().filter_map(|option| option.as_str()?.strip_prefix("seccomp="));
    let profile: Vec<Value> =
        profile.map(|text| serde_json::from_str(text).expect("JSON")).collect();
    let own = std::fs::read_to_string(repository().join("containers/chromium/seccomp.json"));
    let own: Value = serde_json::from_str(&own.expect("there")).expect("JSON");
    let seccomp = match (options.len(), &profile[..]) {
        (1, []) => "the engine's",
        (2, [profile]) if *profile == own => "chromium's",
        _ => "another",
    };
    let mounts: Mounts = found["Mounts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|mount| {
            let text = |key: &str| mount[key].as_str().expect("text").to_owned();
            (text("Source"), text("Destination"), mount["RW"].as_bool().expect("one or the other"))
        })
        .collect();
    let labels = found["Config"]["Labels"].as_object().expect("labels").iter();
    // Those of the image come along.
    let labels: BTreeMap<_, _> = labels
        .filter(|(key, _)| {
            ["installation", "session", "role", "owner", "template", "app"]
                .iter()
                .any(|name| **key == format!("io.lattice.{name}"))
        })
        .collect();
    let tmpfs = if host["Tmpfs"].is_null() { json!({}) } else { host["Tmpfs"].clone() };
    json!({
        "user": found["Config"]["User"], "network": host["NetworkMode"],
        "shm": wanted.shm.map(|_| host["ShmSize"].clone()),
        "memory": host["Memory"], "swap": host["MemorySwap"], "cpus": host["NanoCpus"],
        "quota": host["CpuQuota"],
        "pids": host["PidsLimit"], "mounts": mounts, "tmpfs": tmpfs, "labels": labels,
        "seccomp": seccomp, "walls": same,
    })
}

fn is_there(image: &str) -> bool {
    let found = Command::new("docker").args(["image", "inspect", image]).output();
    found.expect("docker is there").status.success()
}

fn sandbox(image: &str) -> String {
    docker(&[
        "image",
        "inspect",
        "--format",
        "{{index .Config.Labels \"io.lattice.sandbox\"}}",
        image,
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_container_is_as_its_template_declares() {
    let containers = Containers::with_templates(&[EACH]);
    let runtime = containers.open();
    let shipped = template::load_good(&repository().join("containers/templates")).expect("there");
    let made_up = template::read(EACH).expect("a good one");
    let (mut templates, mut apps) = (0, 0);
    for template in shipped.iter().map(|(shipped, _)| shipped).chain([&made_up]) {
        let missing: BTreeSet<_> =
            template.apps.values().map(|app| &app.image).filter(|image| !is_there(image)).collect();
        if !missing.is_empty() {
            println!("{} was left out: {missing:?} are not here", template.name);
            continue;
        }
        let session = started(&runtime, OWNER, &template.name).await;
        let desk = Desk { containers: &containers, session: &session, template };
        let mut wanted = BTreeSet::new();
        for role in ["xorg", "dbus", "api", "desktop"] {
            desk.check(&desk.core(role));
            wanted.insert(format!("lattice-{session}-{role}"));
        }
        for (name, app) in &template.apps {
            runtime.open(&session, name).await.expect("it opens");
            desk.check(&desk.app(name, app));
            wanted.insert(format!("lattice-{session}-app-{name}"));
            if !app.permissions.dbus.is_empty() {
                desk.check(&desk.proxy(name));
                wanted.insert(format!("lattice-{session}-proxy-{name}"));
            }
            if !app.permissions.ports.is_empty() {
                desk.check(&desk.forwarder(name));
                wanted.insert(format!("lattice-{session}-forwarder-{name}"));
            }
            apps += 1;
        }
        assert_eq!(containers.of(&session).into_iter().collect::<BTreeSet<_>>(), wanted);
        templates += 1;
        runtime.remove(&session).await.expect("a removal");
        assert!(containers.of(&session).is_empty());
    }
    println!("{templates} templates with {apps} apps are as they are declared");
    assert!(apps >= 11, "the made-up one at least");
}
