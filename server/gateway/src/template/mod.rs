//! Templates: what a desktop is made of, as a file that people write.
//!
//! A template is a Compose file in a subset of the Compose specification, with a section `x-lattice`.
//! Its services are apps. The desktop itself (X server, session bus, window manager) is always the
//! same, and none of its parts is named in a file.
//!
//! INVARIANT: a [`Template`] holds nothing that was not checked: sizes within bounds, names that can
//! be part of a path, images that cannot change. What a container may do is not among its keys, so
//! whoever builds containers of it has nothing to refuse.

mod catalogue;
mod file;
mod keys;
mod values;
mod write;

pub use catalogue::{Catalogue, Entry, MAX_CATALOGUE, read_catalogue};
pub(crate) use values::{bytes, is_own_image, time};
pub use write::{alone, with_apps, write};

use anyhow::{Context as _, bail};
use file::{File, MAX_APPS, MEMORY, PIDS, core_of};
use keys::Keys;
use serde::Deserialize;
use serde_saphyr::Error;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest file; longer ones are no templates.
pub const MAX_BYTES: u64 = 64 << 10;
/// Faults that one sentence tells.
const MOST_TOLD: usize = 5;
/// What a directory of its own memory holds where nothing is said.
const DEFAULT_TMPFS: u64 = 64 << 20;
/// A template that is good.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// What it is called in addresses and labels.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it is for, in a line.
    pub summary: String,
    /// The name of its icon.
    pub icon: String,
    /// What there is to know, as Markdown.
    pub readme: String,
    /// All that a desktop of it may use together. The limits of its parts and apps add up to no more,
    /// so nothing else need see to it; of processors each app may use that many.
    pub size: Size,
    /// What happens when nobody works at it.
    pub idle: Idle,
    /// What lies in Data before anything else does.
    pub starter: Vec<Starter>,
    /// Its apps by name.
    pub apps: BTreeMap<String, App>,
}

const MIB: u64 = 1 << 20;

/// What a desktop may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// In bytes.
    pub memory: u64,
    /// In thousandths of a processor.
    pub cpu_millis: u32,
    /// Processes and threads.
    pub pids: u32,
}

impl Size {
    /// The display of any desktop.
    pub const DISPLAY: Self = Self::of(512, 64);
    /// Its session bus, and each proxy of that.
    pub const BUS: Self = Self::of(64, 16);
    /// The relay that opens apps.
    pub const RELAY: Self = Self::of(32, 16);
    /// Window manager, panel, and what is opened from these.
    pub const DESKTOP: Self = Self::of(1024, 256);
    /// What leads to the ports of an app that declares some.
    pub const FORWARDER: Self = Self::of(32, 144);
    /// What every desktop consists of.
    pub const CORE: [Self; 4] = [Self::DISPLAY, Self::BUS, Self::RELAY, Self::DESKTOP];

    const fn of(mebibytes: u64, pids: u32) -> Self {
        Self { memory: mebibytes * MIB, cpu_millis: 0, pids }
    }
}

/// How long nobody may have worked at a desktop before each happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    /// The person is told.
    pub warn: Duration,
    /// It is frozen.
    pub pause: Duration,
    /// It is stopped.
    pub stop: Duration,
}

/// Files that a person begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    /// The app whose image has them.
    pub app: String,
    /// Where they are in it.
    pub from: String,
    /// Where they go below Data.
    pub to: String,
}

/// One app: a container, and what it may do.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// What people call it.
    pub title: String,
    /// The name of its icon.
    pub icon: String,
    /// When it opens.
    pub opens: Opens,
    /// What it is made of.
    pub image: String,
    /// What runs in it, where that is not what the image says.
    pub command: Vec<String>,
    /// Its variables.
    pub environment: BTreeMap<String, String>,
    /// Where it begins, where that is not what the image says.
    pub working_dir: Option<String>,
    /// What it may use of the desktop's size; where its service says nothing, an equal part of what the
    /// others leave.
    pub size: Size,
    /// Its shared memory, in bytes.
    pub shm: u64,
    /// Directories of its own memory.
    pub tmpfs: Vec<Tmpfs>,
    /// How long it may take to end.
    pub stop_grace: Duration,
    /// What it may do.
    pub permissions: Permissions,
}

/// A directory of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Whether programs in it run.
    pub exec: bool,
}

/// When an app opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opens {
    /// When somebody chooses it in the desktop's menu.
    #[default]
    Menu,
    /// With the desktop.
    AtStart,
}

/// What an app may do. It gets no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Show windows, and read what is typed into those of the same desktop, as X has it.
    pub display: bool,
    /// Talk to these names on the session bus.
    pub dbus: Vec<String>,
    /// What it reaches of the network.
    pub network: Network,
    /// What it may do with the person's files.
    pub data: Access,
    /// Take part in the clipboard: whoever shows windows does, as X has it.
    pub clipboard: bool,
    /// Ports of its own that its owner may look at.
    pub ports: Vec<u16>,
    /// Ask the manager, by `lattice`, what programs of the desktop itself may ask: how it is, for
    /// snapshots and links, and for its other apps.
    pub manager: bool,
}

/// What is reached of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Nothing but itself.
    #[default]
    None,
    /// The internet; neither other desktops nor the machine.
    Internet,
}

/// What may be done with files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Nothing.
    #[default]
    None,
    /// Look at them.
    Read,
    /// Change them.
    Write,
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From 1; 0 where no line is to blame.
    pub line: u64,
    /// The key, with those that it is below.
    pub place: String,
    /// What is wrong with it, as the rest of a sentence that begins with it.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(formatter, "line {}: ", self.line)?;
        }
        match self.place.as_str() {
            "" => write!(formatter, "{}", self.what),
            place => write!(formatter, "{place} {}", self.what),
        }
    }
}

/// `lattice template check`: what is in each file, or everything that is wrong with it.
///
/// # Errors
/// Where not all are good.
pub fn check(files: &[PathBuf]) -> anyhow::Result<()> {
    let mut bad = 0;
    for file in files {
        let shown = file.display();
        match load(file) {
            Ok((template, _)) => {
                let apps: Vec<_> = template.apps.values().map(|app| app.title.as_str()).collect();
                let apps = if apps.is_empty() { "no apps".into() } else { apps.join(", ") };
                let (name, title) = (&template.name, &template.title);
                writeln!(io::stdout(), "{shown}: good: {name}, {title:?}, with {apps}")?;
            }
            Err(faults) => {
                bad += 1;
                for fault in faults {
                    writeln!(io::stderr(), "{shown}: {fault}")?;
                }
            }
        }
    }
    match bad {
        0 => Ok(()),
        1 => bail!("one template is not good"),
        bad => bail!("{bad} templates are not good"),
    }
}

/// A template that is good, and its text.
pub type Good = (Template, String);
/// A file, and what is wrong with it.
pub type Bad = (PathBuf, Vec<Fault>);

/// All good templates of a directory, with their texts. Bad ones are left out, and the log says why.
pub fn load_good(directory: &Path) -> anyhow::Result<Vec<(Template, String)>> {
    let (good, bad) = load_all(directory)
        .with_context(|| format!("read the templates in {}", directory.display()))?;
    for (file, faults) in bad {
        let file = file.display();
        for fault in faults {
            tracing::warn!(%file, %fault, "a template is left out");
        }
    }
    Ok(good)
}

/// Reads all templates of a directory, which are its files that end in `.yaml`, in the order of their
/// names; then those that are none.
///
/// # Errors
/// Where the directory cannot be read.
pub fn load_all(directory: &Path) -> io::Result<(Vec<Good>, Vec<Bad>)> {
    let entries = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<_> = entries.iter().map(std::fs::DirEntry::path).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for file in files {
        match load(&file) {
            Ok(read) if file.file_stem().is_some_and(|stem| *stem == *read.0.name) => {
                good.push(read);
            }
            Ok((template, _)) => {
                let what = format!("is {:?}, which is not the name of the file", template.name);
                bad.push((file, vec![Fault { line: 0, place: "name".into(), what }]));
            }
            Err(faults) => bad.push((file, faults)),
        }
    }
    Ok((good, bad))
}

/// Reads a template from a file; its text is with it.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines.
pub fn load(path: &Path) -> Result<(Template, String), Vec<Fault>> {
    let unreadable = |error| whole(format!("{} cannot be read: {error}", path.display()));
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_BYTES {
        return Err(whole(format!("a template has at most {MAX_BYTES} bytes, not {length}")));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok((read(&text)?, text))
}

/// Reads a template.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines.
pub fn read(text: &str) -> Result<Template, Vec<Fault>> {
    let keys: Keys = serde_saphyr::from_str(text).map_err(|error| vec![told(&error)])?;
    if !matches!(keys, Keys::Map(_)) {
        return Err(whole("a template is a table with name, services and x-lattice".into()));
    }
    let mut faults = keys::screen(&keys);
    let file: Result<File, Error> = serde_saphyr::from_str(text);
    match file {
        Ok(file) => {
            let template = file.check(&mut faults);
            settle(template, faults, &keys)
        }
        Err(error) => {
            faults.push(told(&error));
            Err(faults)
        }
    }
}

/// What was read, where nothing is wrong with it; else all faults in the order of their lines.
fn settle<T>(read: Option<T>, mut faults: Vec<Fault>, keys: &Keys) -> Result<T, Vec<Fault>> {
    for fault in faults.iter_mut().filter(|fault| fault.line == 0) {
        fault.line = keys.line_of(&fault.place);
    }
    faults.sort_by_key(|fault| fault.line);
    read.filter(|_| faults.is_empty()).ok_or(faults)
}

/// Reads a template that was sent, which must have that name: by it an app's own files are found.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub fn read_sent(name: &str, text: &str) -> Result<Template, String> {
    if text.len() as u64 > MAX_BYTES {
        let length = text.len();
        return Err(format!("a template has at most {MAX_BYTES} bytes, and this one has {length}"));
    }
    match read(text) {
        Ok(template) if template.name == name => Ok(template),
        Ok(template) => Err(format!("a template is named {:?} and not {name:?}", template.name)),
        Err(faults) => {
            let faults: Vec<_> = faults.iter().take(MOST_TOLD).map(Fault::to_string).collect();
            Err(format!("the desktop's template is not good: {}", faults.join("; ")))
        }
    }
}

/// What tells a text from every other: its SHA-256, in hexadecimal.
pub fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn whole(what: String) -> Vec<Fault> {
    vec![Fault { line: 0, place: String::new(), what }]
}

fn told(error: &Error) -> Fault {
    let line = error.location().map_or(0, |location| location.line());
    let text = error.to_string();
    let what = text.lines().next().unwrap_or_default().to_owned();
    Fault { line, place: String::new(), what }
}

#[cfg(test)]
mod tests;
