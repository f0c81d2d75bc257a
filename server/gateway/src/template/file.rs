//! A template's file as it is written, and the checks that make a [`Template`] of it.

mod catalogue;

pub(super) use catalogue::CatalogueFile;

use super::{
    Access, App, DEFAULT_TMPFS, Fault, Idle, Network, Opens, Permissions, Size, Starter, Template,
    Tmpfs, values,
};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub(super) const MAX_APPS: usize = 16;
const MAX_TITLE: usize = 60;
const MAX_SUMMARY: usize = 160;
const MAX_README: usize = 16 << 10;
const MAX_PORTS: usize = 8;
const MAX_WORDS: usize = 64;
const MAX_VARIABLE: usize = 4096;
/// The least and the most that an app or a desktop may use.
pub(super) const MEMORY: (u64, u64) = (16 << 20, 64 << 30);
pub(super) const PIDS: (u64, u64) = (16, 4096);
/// In thousandths of a processor.
const CPU: (f64, f64) = (50.0, 64_000.0);
/// Names of services that are the desktop's own.
const OWN: [&str; 6] = ["xorg", "dbus", "desktop", "api", "gateway", "broker"];
/// Variables that are the desktop's to set, or that would put other programs in the place of its own.
const RESERVED: [&str; 10] = [
    "DISPLAY",
    "XAUTHORITY",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "HOME",
    "USER",
    "PATH",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
];

/// The file as it is written. Its keys have been screened.
#[derive(Deserialize)]
pub(super) struct File {
    name: Word,
    #[serde(default)]
    services: BTreeMap<String, RawService>,
    #[serde(rename = "x-lattice")]
    lattice: RawLattice,
}

/// A string or number, with its place.
struct Word {
    text: String,
    line: u64,
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), text: spanned.value })
    }
}

#[derive(Deserialize)]
struct RawService {
    image: Word,
    #[serde(default)]
    command: Vec<Word>,
    #[serde(default)]
    environment: BTreeMap<String, Word>,
    working_dir: Option<Word>,
    mem_limit: Option<Word>,
    cpus: Option<Word>,
    pids_limit: Option<Word>,
    shm_size: Option<Word>,
    #[serde(default)]
    tmpfs: Vec<Word>,
    stop_grace_period: Option<Word>,
}

#[derive(Deserialize)]
struct RawLattice {
    title: Word,
    summary: Option<Word>,
    icon: Option<Word>,
    #[serde(default)]
    readme: String,
    #[serde(default)]
    apps: BTreeMap<String, RawApp>,
    #[serde(default)]
    permissions: BTreeMap<String, RawPermissions>,
    #[serde(default)]
    size: RawSize,
    #[serde(default)]
    idle: RawIdle,
    #[serde(default)]
    starter: Vec<RawStarter>,
}

#[derive(Deserialize)]
struct RawApp {
    title: Word,
    icon: Option<Word>,
    #[serde(default)]
    opens: Opens,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawPermissions {
    display: bool,
    dbus: Vec<Word>,
    network: Network,
    data: Access,
    clipboard: bool,
    audio: bool,
    ports: Vec<Spanned<u16>>,
    manager: bool,
}

#[derive(Deserialize, Default)]
struct RawSize {
    memory: Option<Word>,
    cpus: Option<Word>,
    pids: Option<Word>,
}

#[derive(Deserialize, Default)]
struct RawIdle {
    warn: Option<Word>,
    pause: Option<Word>,
    stop: Option<Word>,
}

#[derive(Deserialize)]
struct RawStarter {
    service: Word,
    from: Word,
    to: Word,
}

/// Where faults are gathered while the rest is read on.
struct Checker<'a>(&'a mut Vec<Fault>);

impl Checker<'_> {
    fn fault(&mut self, line: u64, place: impl Into<String>, what: impl Into<String>) {
        self.0.push(Fault { line, place: place.into(), what: what.into() });
    }

    /// What `read` makes of a word; a fault where it makes nothing.
    fn word<T>(
        &mut self,
        place: &str,
        word: &Word,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match read(&word.text) {
            Ok(value) => Some(value),
            Err(what) => {
                self.fault(word.line, place, format!("is wrong: {what}"));
                None
            }
        }
    }

    /// The same for one that may be left out.
    fn or<T>(
        &mut self,
        place: &str,
        word: Option<&Word>,
        default: T,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        match word {
            Some(word) => self.word(place, word, read).unwrap_or(default),
            None => default,
        }
    }
}

fn between<T: PartialOrd + fmt::Display>(value: T, (least, most): (T, T)) -> Result<T, String> {
    match value >= least && value <= most {
        true => Ok(value),
        false => Err(format!("{value} is not from {least} to {most}")),
    }
}

fn memory(text: &str) -> Result<u64, String> {
    let bytes = values::bytes(text)?;
    match (MEMORY.0..=MEMORY.1).contains(&bytes) {
        true => Ok(bytes),
        false => Err(format!("{text} is not from 16m to 64g")),
    }
}

fn cpu_millis(text: &str) -> Result<u32, String> {
    let count: f64 = text.parse().map_err(|_| format!("{text:?} is no number of processors"))?;
    let least_and_most = "is not from 0.05 to 64";
    between(count * 1000.0, CPU)
        .map(|millis| millis.round() as u32)
        .map_err(|_| format!("{text} {least_and_most}"))
}

fn pids(text: &str) -> Result<u32, String> {
    let count: u64 = text.parse().map_err(|_| format!("{text:?} is no number of processes"))?;
    between(count, PIDS).map(|count| count as u32)
}

impl File {
    /// The template, if nothing is wrong with what it is made of.
    pub(super) fn check(self, faults: &mut Vec<Fault>) -> Option<Template> {
        let mut checker = Checker(faults);
        let Self { name, services, lattice } = self;
        let name = checker.word("name", &name, values::name);
        let title =
            checker.word("x-lattice.title", &lattice.title, |text| values::label(text, MAX_TITLE));
        let summary =
            checker.or("x-lattice.summary", lattice.summary.as_ref(), String::new(), |text| {
                values::label(text, MAX_SUMMARY)
            });
        let icon =
            checker.or("x-lattice.icon", lattice.icon.as_ref(), "desktop".into(), values::name);
        if lattice.readme.len() > MAX_README {
            checker.fault(0, "x-lattice.readme", format!("is longer than {MAX_README} bytes"));
        }
        if services.len() > MAX_APPS {
            checker.fault(0, "services", format!("are {}, and {MAX_APPS} at most", services.len()));
        }
        let size = lattice.size.check(&mut checker);
        let idle = lattice.idle.check(&mut checker);
        for unknown in lattice.apps.keys().filter(|name| !services.contains_key(*name)) {
            checker.fault(0, format!("x-lattice.apps.{unknown}"), "is no service");
        }
        for unknown in lattice.permissions.keys().filter(|name| !services.contains_key(*name)) {
            checker.fault(0, format!("x-lattice.permissions.{unknown}"), "is no service");
        }
        let names: BTreeSet<String> = services.keys().cloned().collect();
        let (mut described, mut permitted) = (lattice.apps, lattice.permissions);
        let proxies = permitted.values().filter(|may| !may.dbus.is_empty()).count();
        let forwarders = permitted.values().filter(|may| !may.ports.is_empty()).count();
        let own = core(proxies, forwarders);
        let share = share(size, own, &services);
        let mut apps = BTreeMap::new();
        for (name, service) in services {
            let about = (described.remove(&name), permitted.remove(&name));
            if let Some(app) = service.check(&name, about, share, size, &mut checker) {
                apps.insert(name, app);
            }
        }
        let all = apps.values().map(|app: &App| app.size);
        lattice.size.check_sum(size, own, all, &mut checker);
        let starter = lattice.starter.iter().enumerate();
        let starter =
            starter.filter_map(|(number, raw)| raw.check(number, &names, &mut checker)).collect();
        let readme = lattice.readme;
        Some(Template {
            name: name?,
            title: title?,
            summary,
            icon,
            readme,
            size,
            idle,
            starter,
            apps,
        })
    }
}

impl RawSize {
    fn check(&self, checker: &mut Checker<'_>) -> Size {
        Size {
            memory: checker.or("x-lattice.size.memory", self.memory.as_ref(), 4 << 30, memory),
            cpu_millis: checker.or("x-lattice.size.cpus", self.cpus.as_ref(), 2000, cpu_millis),
            pids: checker.or("x-lattice.size.pids", self.pids.as_ref(), 1024, pids),
        }
    }
}

/// What all that is not an app may use on a desktop with these.
pub(super) fn core_of(apps: &BTreeMap<String, App>) -> Size {
    let proxies = apps.values().filter(|app| !app.permissions.dbus.is_empty()).count();
    let forwarders = apps.values().filter(|app| !app.permissions.ports.is_empty()).count();
    core(proxies, forwarders)
}

/// What the fixed parts of a desktop may use, proxies of the session bus, and what leads to ports.
fn core(proxies: usize, forwarders: usize) -> Size {
    let proxies = std::iter::repeat_n(Size::BUS, proxies);
    let forwarders = std::iter::repeat_n(Size::FORWARDER, forwarders);
    sum(Size::CORE.into_iter().chain(proxies).chain(forwarders))
}

fn sum(sizes: impl Iterator<Item = Size>) -> Size {
    let none = Size { memory: 0, cpu_millis: 0, pids: 0 };
    sizes.fold(none, |sum, one| Size {
        memory: sum.memory.saturating_add(one.memory),
        cpu_millis: 0,
        pids: sum.pids.saturating_add(one.pids),
    })
}

/// What each service gets that does not say what it needs: an equal part of what all else leaves, in
/// whole MiB. What is wrong with a limit is told where it is read.
fn share(most: Size, own: Size, services: &BTreeMap<String, RawService>) -> Size {
    let said = services.values();
    let limits = said.clone().filter_map(|service| memory(&service.mem_limit.as_ref()?.text).ok());
    let left = most.memory.saturating_sub(own.memory).saturating_sub(limits.sum());
    let silent = said.clone().filter(|service| service.mem_limit.is_none()).count().max(1);
    let memory = (left / silent as u64) >> 20 << 20;
    let limits = said.clone().filter_map(|service| pids(&service.pids_limit.as_ref()?.text).ok());
    let left = most.pids.saturating_sub(own.pids).saturating_sub(limits.sum());
    let silent = said.filter(|service| service.pids_limit.is_none()).count().max(1);
    let pids = left / silent as u32;
    // Where nothing is left the least makes the sum too much, and that is told.
    Size { memory: memory.max(MEMORY.0), pids: pids.max(PIDS.0 as u32), ..most }
}

impl RawSize {
    /// All limits together are no more than the size: each container has one of its own, and there is
    /// none around them all.
    fn check_sum(
        &self,
        most: Size,
        own: Size,
        apps: impl Iterator<Item = Size>,
        checker: &mut Checker<'_>,
    ) {
        let apps = sum(apps);
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let line = |word: &Option<Word>| word.as_ref().map_or(0, |word| word.line);
        if own.memory.saturating_add(apps.memory) > most.memory {
            let what = format!(
                "is {} MiB, but the desktop's own parts may use {} MiB and its apps {} MiB; make it \
                 {}m, or mem_limit of the apps less",
                mib(most.memory),
                mib(own.memory),
                mib(apps.memory),
                mib(own.memory.saturating_add(apps.memory))
            );
            checker.fault(line(&self.memory), "x-lattice.size.memory", what);
        }
        let pids = own.pids.saturating_add(apps.pids);
        if pids > most.pids {
            let what = format!(
                "is {}, but the desktop's own parts may have {} and its apps {}; make it {pids}, or \
                 pids_limit of the apps less",
                most.pids, own.pids, apps.pids
            );
            checker.fault(line(&self.pids), "x-lattice.size.pids", what);
        }
    }
}

impl RawIdle {
    fn check(&self, checker: &mut Checker<'_>) -> Idle {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let warn = checker.or("x-lattice.idle.warn", self.warn.as_ref(), minutes(25), values::time);
        let pause =
            checker.or("x-lattice.idle.pause", self.pause.as_ref(), minutes(30), values::time);
        let stop =
            checker.or("x-lattice.idle.stop", self.stop.as_ref(), minutes(480), values::time);
        let line = [&self.warn, &self.pause, &self.stop];
        let line = line.into_iter().flatten().map(|word| word.line).min().unwrap_or(0);
        if warn < minutes(1) || warn >= pause || pause >= stop || stop > minutes(60 * 24 * 30) {
            let rule = "must be so that warn comes first, after a minute at least, then pause, then \
                        stop, after 30 days at most";
            checker.fault(line, "x-lattice.idle", rule);
        }
        Idle { warn, pause, stop }
    }
}

impl RawStarter {
    fn check(
        &self,
        number: usize,
        names: &BTreeSet<String>,
        checker: &mut Checker<'_>,
    ) -> Option<Starter> {
        let place = |key: &str| format!("x-lattice.starter[{number}].{key}");
        let is_app = |text: &str| match names.contains(text) {
            true => Ok(text.to_owned()),
            false => Err(format!("{text:?} is no service")),
        };
        let app = checker.word(&place("service"), &self.service, is_app);
        let from = checker.word(&place("from"), &self.from, values::starter_from);
        let to = checker.word(&place("to"), &self.to, values::starter_to);
        Some(Starter { app: app?, from: from?, to: to? })
    }
}

impl RawService {
    fn check(
        self,
        name: &str,
        (app, permissions): (Option<RawApp>, Option<RawPermissions>),
        share: Size,
        most: Size,
        checker: &mut Checker<'_>,
    ) -> Option<App> {
        let line = self.image.line;
        let place = |key: &str| format!("services.{name}.{key}");
        let mut is_good = true;
        if let Err(what) = values::name(name) {
            checker.fault(line, format!("services.{name}"), format!("is wrong: {what}"));
            is_good = false;
        }
        if OWN.contains(&name) {
            let what =
                "is a part of every desktop, and none that a template changes; choose another name";
            checker.fault(line, format!("services.{name}"), what);
            is_good = false;
        }
        let Some(app) = app else {
            let what = "is missing; it says what people call the app";
            checker.fault(line, format!("x-lattice.apps.{name}"), what);
            return None;
        };
        let about = format!("x-lattice.apps.{name}");
        let title = checker
            .word(&format!("{about}.title"), &app.title, |text| values::label(text, MAX_TITLE));
        let icon =
            checker.or(&format!("{about}.icon"), app.icon.as_ref(), name.to_owned(), values::name);
        let image = checker.word(&place("image"), &self.image, values::image);
        let size = Size {
            memory: checker.or(&place("mem_limit"), self.mem_limit.as_ref(), share.memory, memory),
            cpu_millis: checker.or(
                &place("cpus"),
                self.cpus.as_ref(),
                share.cpu_millis,
                cpu_millis,
            ),
            pids: checker.or(&place("pids_limit"), self.pids_limit.as_ref(), share.pids, pids),
        };
        let shm = checker.or(
            &place("shm_size"),
            self.shm_size.as_ref(),
            DEFAULT_TMPFS.min(size.memory),
            values::bytes,
        );
        for (key, word, is_too_much, than) in [
            (
                "cpus",
                &self.cpus,
                size.cpu_millis > most.cpu_millis,
                "the desktop has by x-lattice.size",
            ),
            ("shm_size", &self.shm_size, shm > size.memory, "the app may use of memory"),
        ] {
            if is_too_much {
                let line = word.as_ref().map_or(line, |word| word.line);
                checker.fault(line, place(key), format!("is more than {than}"));
            }
        }
        let tmpfs: Vec<Tmpfs> = self
            .tmpfs
            .iter()
            .filter_map(|word| checker.word(&place("tmpfs"), word, values::tmpfs))
            .collect();
        let working_dir = self.working_dir.as_ref();
        let working_dir =
            working_dir.and_then(|word| checker.word(&place("working_dir"), word, values::path));
        let second = Duration::from_secs(1);
        let grace = checker.or(
            &place("stop_grace_period"),
            self.stop_grace_period.as_ref(),
            10 * second,
            |text| match values::time(text)? {
                grace if grace >= second && grace <= 60 * second => Ok(grace),
                _ => Err(format!("{text} is not from 1s to 1m")),
            },
        );
        let environment = check_environment(&place("environment"), self.environment, checker);
        let command = check_command(&place("command"), &self.command, checker);
        let permissions = permissions.unwrap_or_default().check(name, checker);
        let (title, image) = (title?, image?);
        is_good.then_some(App {
            title,
            icon,
            opens: app.opens,
            image,
            command,
            environment,
            working_dir,
            size,
            shm,
            tmpfs,
            stop_grace: grace,
            permissions,
        })
    }
}

fn check_command(place: &str, words: &[Word], checker: &mut Checker<'_>) -> Vec<String> {
    if words.len() > MAX_WORDS {
        checker.fault(words[0].line, place, format!("has more than {MAX_WORDS} words"));
    }
    let fits = |text: &str| match text.len() <= MAX_VARIABLE && !text.contains('\0') {
        true => Ok(text.to_owned()),
        false => Err(format!("a word is longer than {MAX_VARIABLE} bytes")),
    };
    words.iter().filter_map(|word| checker.word(place, word, |text| fits(plain(text)?))).collect()
}

fn check_environment(
    place: &str,
    variables: BTreeMap<String, Word>,
    checker: &mut Checker<'_>,
) -> BTreeMap<String, String> {
    let mut checked = BTreeMap::new();
    for (name, word) in variables {
        let place = format!("{place}.{name}");
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_name = name.bytes().all(inner)
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !is_name || name.len() > 64 {
            checker.fault(word.line, place, "is no name of a variable");
        } else if RESERVED.contains(&name.as_str()) || name.starts_with("LATTICE_") {
            checker.fault(word.line, place, "is the desktop's own to set");
        } else if word.text.len() > MAX_VARIABLE || word.text.contains('\0') {
            checker.fault(word.line, place, format!("is longer than {MAX_VARIABLE} bytes"));
        } else if let Some(value) =
            checker.word(&place, &word, |text| plain(text).map(str::to_owned))
        {
            checked.insert(name, value);
        }
    }
    checked
}

/// Compose would put the server's own variables in the place of `${NAME}`.
fn plain(text: &str) -> Result<&str, String> {
    match text.contains("${") {
        true => Err("nothing is put in the place of ${…}; write what is meant".into()),
        false => Ok(text),
    }
}

impl RawPermissions {
    fn check(self, name: &str, checker: &mut Checker<'_>) -> Permissions {
        let place = |key: &str| format!("x-lattice.permissions.{name}.{key}");
        let dbus = self.dbus.iter();
        let dbus =
            dbus.filter_map(|word| checker.word(&place("dbus"), word, values::bus_name)).collect();
        let mut ports = Vec::new();
        for port in self.ports {
            let line = port.referenced.line();
            if port.value < 1024 {
                checker.fault(
                    line,
                    place("ports"),
                    format!("are 1024 to 65535, not {}", port.value),
                );
            } else if ports.contains(&port.value) {
                checker.fault(line, place("ports"), format!("names {} twice", port.value));
            } else {
                ports.push(port.value);
            }
        }
        if ports.len() > MAX_PORTS {
            checker.fault(0, place("ports"), format!("are more than {MAX_PORTS}"));
        }
        if self.clipboard && !self.display {
            checker.fault(0, place("clipboard"), "is part of the display; grant that as well");
        }
        if self.display && !self.clipboard {
            let what = "gives the clipboard as well, since X keeps it from nobody who shows windows; \
                        declare that by clipboard: true";
            checker.fault(0, place("display"), what);
        }
        if self.audio {
            let what = "grants nothing: desktops have no sound yet; leave it out";
            checker.fault(0, place("audio"), what);
        }
        Permissions {
            display: self.display,
            dbus,
            network: self.network,
            data: self.data,
            clipboard: self.clipboard,
            ports,
            manager: self.manager,
        }
    }
}
