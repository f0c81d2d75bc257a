//! Which keys a template may have. Everything is screened before anything is read, so that one look
//! finds every key that is refused or misspelt, with its line.
//!
//! The keys are those of the Compose specification. What of it is left out is named here with the
//! reason: whoever brings a file from elsewhere learns what to do with it.

use super::Fault;
use crate::cli::nearest;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// What stands behind a key.
enum Shape {
    /// Anything; it is read later.
    Value,
    /// A table with keys of its own.
    Table(&'static Table),
    /// Names that the file chooses, each before a table.
    Named(&'static Table),
    /// A list of tables.
    List(&'static Table),
}

struct Table {
    known: &'static [(&'static str, Shape)],
    refused: &'static [(&'static str, &'static str)],
}

use Shape::{List, Named, Value};

static FILE: Table = Table {
    known: &[("name", Value), ("services", Named(&SERVICE)), ("x-lattice", Shape::Table(&LATTICE))],
    refused: &[
        ("version", "Compose has given it up; leave it out"),
        ("networks", "who is connected with whom follows from x-lattice.permissions"),
        ("volumes", "the person's Data is all that is kept; x-lattice.permissions says who has it"),
        ("secrets", "a desktop has none of the server's secrets"),
        ("configs", "put files into the image"),
        ("include", "a template is one file"),
        ("models", "there are none"),
    ],
};

static SERVICE: Table = Table {
    known: &[
        ("image", Value),
        ("command", Value),
        ("environment", Value),
        ("working_dir", Value),
        ("mem_limit", Value),
        ("cpus", Value),
        ("pids_limit", Value),
        ("shm_size", Value),
        ("tmpfs", Value),
        ("stop_grace_period", Value),
    ],
    refused: &[
        ("privileged", PRIVILEGE),
        ("cap_add", PRIVILEGE),
        ("cap_drop", "all are dropped already"),
        ("security_opt", PRIVILEGE),
        ("userns_mode", PRIVILEGE),
        ("user", "each desktop has a user id of its own"),
        ("group_add", PRIVILEGE),
        ("pid", SPACES),
        ("ipc", SPACES),
        ("uts", SPACES),
        ("cgroup", SPACES),
        ("cgroup_parent", SPACES),
        ("isolation", SPACES),
        ("network_mode", NETWORK),
        ("networks", NETWORK),
        ("ports", "list them in x-lattice.permissions, where the person can see them"),
        ("expose", "list them in x-lattice.permissions, where the person can see them"),
        ("links", NETWORK),
        ("external_links", NETWORK),
        ("dns", NETWORK),
        ("dns_opt", NETWORK),
        ("dns_search", NETWORK),
        ("extra_hosts", NETWORK),
        ("mac_address", NETWORK),
        ("hostname", "all containers of a desktop are called desktop"),
        ("domainname", "all containers of a desktop are called desktop"),
        ("devices", DEVICES),
        ("device_cgroup_rules", DEVICES),
        ("gpus", DEVICES),
        ("runtime", PRIVILEGE),
        ("use_api_socket", "it would hand over the machine"),
        ("volumes", MOUNTS),
        ("volumes_from", MOUNTS),
        ("configs", MOUNTS),
        ("secrets", MOUNTS),
        ("credential_spec", MOUNTS),
        ("read_only", "it always is; name what is to be writable under tmpfs"),
        ("sysctls", "they are the machine's"),
        ("ulimits", "they follow from x-lattice.size"),
        ("oom_kill_disable", LIMITS),
        ("oom_score_adj", LIMITS),
        ("memswap_limit", LIMITS),
        ("mem_swappiness", LIMITS),
        ("mem_reservation", LIMITS),
        ("cpu_shares", "use cpus"),
        ("cpu_quota", "use cpus"),
        ("cpu_period", "use cpus"),
        ("cpu_count", "use cpus"),
        ("cpu_percent", "use cpus"),
        ("cpu_rt_runtime", LIMITS),
        ("cpu_rt_period", LIMITS),
        ("cpuset", LIMITS),
        ("blkio_config", LIMITS),
        ("storage_opt", LIMITS),
        ("build", "build the image first and name it by its digest"),
        ("pull_policy", "images are here before a desktop starts"),
        ("platform", "images are of this machine's kind"),
        ("extends", "a template is one file"),
        ("env_file", "a template is one file; use environment"),
        ("label_file", "a template is one file"),
        ("profiles", "use x-lattice.apps to say what opens when"),
        ("deploy", "one desktop is on one machine; use mem_limit and cpus"),
        ("scale", "there is one of each"),
        ("develop", "files come with the image or are the person's"),
        ("provider", "it would run programs on the machine"),
        ("post_start", "put it into the image's entry point"),
        ("pre_stop", "put it into the image's entry point"),
        ("entrypoint", "it is the image's; use command"),
        ("container_name", "containers are named by their session"),
        ("labels", "they are how Lattice finds what is its own"),
        ("annotations", "they are how Lattice finds what is its own"),
        ("logging", "logs are kept with the session"),
        ("restart", "an app that ends is closed; the desktop itself is kept up"),
        ("depends_on", "an app starts when the desktop is there"),
        ("healthcheck", "an app is there while its window is"),
        ("init", "there always is one"),
        ("tty", "there is no terminal"),
        ("stdin_open", "there is no terminal"),
        ("attach", "there is no terminal"),
        ("stop_signal", "it is SIGTERM"),
    ],
};

const PRIVILEGE: &str = "no part of a desktop has more rights than another";
const SPACES: &str = "each desktop has spaces of its own, and no other";
const NETWORK: &str = "say network: internet in x-lattice.permissions, or leave it without";
const DEVICES: &str = "desktops have no devices of the machine";
const MOUNTS: &str =
    "a desktop sees the image and the person's Data, as x-lattice.permissions says";
const LIMITS: &str = "use mem_limit, cpus and pids_limit";

static LATTICE: Table = Table {
    known: &[
        ("title", Value),
        ("summary", Value),
        ("icon", Value),
        ("readme", Value),
        ("apps", Named(&APP)),
        ("permissions", Named(&PERMISSIONS)),
        ("size", Shape::Table(&SIZE)),
        ("idle", Shape::Table(&IDLE)),
        ("starter", List(&STARTER)),
    ],
    refused: &[],
};

/// A catalogue of apps. What a service and its permissions can say is the same as in a template.
static CATALOGUE: Table = Table {
    known: &[("name", Value), ("title", Value), ("serial", Value), ("apps", Named(&ENTRY))],
    refused: &[],
};

static ENTRY: Table = Table {
    known: &[
        ("title", Value),
        ("summary", Value),
        ("description", Value),
        ("icon", Value),
        ("opens", Value),
        ("version", Value),
        ("license", Value),
        ("source", Value),
        ("size", Value),
        ("service", Shape::Table(&SERVICE)),
        ("permissions", Shape::Table(&PERMISSIONS)),
    ],
    refused: &[],
};

static APP: Table =
    Table { known: &[("title", Value), ("icon", Value), ("opens", Value)], refused: &[] };

static PERMISSIONS: Table = Table {
    known: &[
        ("display", Value),
        ("dbus", Value),
        ("network", Value),
        ("data", Value),
        ("clipboard", Value),
        ("audio", Value),
        ("ports", Value),
        ("manager", Value),
    ],
    refused: &[("devices", DEVICES)],
};

static SIZE: Table =
    Table { known: &[("memory", Value), ("cpus", Value), ("pids", Value)], refused: &[] };

static IDLE: Table =
    Table { known: &[("warn", Value), ("pause", Value), ("stop", Value)], refused: &[] };

static STARTER: Table =
    Table { known: &[("service", Value), ("from", Value), ("to", Value)], refused: &[] };

/// The keys of a file, where they stand, and nothing else of it.
pub(super) enum Keys {
    Map(Vec<(Spanned<String>, Keys)>),
    List(Vec<Keys>),
    Other,
}

impl Keys {
    /// The line of the last key of `place` that is there; 0 where not even the first is.
    pub(super) fn line_of(&self, place: &str) -> u64 {
        let (mut line, mut at) = (0, self);
        for part in place.split('.') {
            let Self::Map(entries) = at else { break };
            let Some((key, behind)) = entries.iter().find(|(key, _)| key.value == part) else {
                break;
            };
            (line, at) = (key.referenced.line(), behind);
        }
        line
    }
}

/// All keys that are refused or unknown.
pub(super) fn screen(keys: &Keys) -> Vec<Fault> {
    let mut faults = Vec::new();
    FILE.screen(keys, "", &mut faults);
    faults
}

/// The same for a catalogue.
pub(super) fn screen_catalogue(keys: &Keys) -> Vec<Fault> {
    let mut faults = Vec::new();
    CATALOGUE.screen(keys, "", &mut faults);
    faults
}

impl Table {
    fn screen(&self, keys: &Keys, place: &str, faults: &mut Vec<Fault>) {
        // What is no table is told when it is read.
        let Keys::Map(entries) = keys else { return };
        for (key, behind) in entries {
            let name = key.value.as_str();
            let inner = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
            let mut tell = |what| {
                faults.push(Fault { line: key.referenced.line(), place: inner.clone(), what });
            };
            if let Some((_, shape)) = self.known.iter().find(|(known, _)| *known == name) {
                shape.screen(behind, &inner, faults);
            } else if let Some((_, reason)) = self.refused.iter().find(|(known, _)| *known == name)
            {
                tell(format!("is refused: {reason}"));
            } else if !name.starts_with("x-") {
                tell(self.unknown(name));
            }
        }
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<&str> = self.known.iter().map(|(known, _)| *known).collect();
        match nearest(&known, name) {
            Some(nearest) => format!("is not known here; did you mean {nearest}?"),
            None => "is not known here".to_owned(),
        }
    }
}

impl Shape {
    fn screen(&self, keys: &Keys, place: &str, faults: &mut Vec<Fault>) {
        match (self, keys) {
            (Self::Table(table), _) => table.screen(keys, place, faults),
            (Self::Named(table), Keys::Map(entries)) => {
                for (name, keys) in entries {
                    table.screen(keys, &format!("{place}.{}", name.value), faults);
                }
            }
            (Self::List(table), Keys::List(items)) => {
                for (number, keys) in items.iter().enumerate() {
                    table.screen(keys, &format!("{place}[{number}]"), faults);
                }
            }
            (Self::Value | Self::Named(_) | Self::List(_), _) => {}
        }
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

macro_rules! other {
    ($($visit:ident: $kind:ty),*) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Keys, E> { Ok(Keys::Other) })*
    };
}

impl<'de> Visitor<'de> for Reader {
    type Value = Keys;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    other!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Keys, E> {
        Ok(Keys::Other)
    }

    fn visit_none<E>(self) -> Result<Keys, E> {
        Ok(Keys::Other)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Keys, D::Error> {
        IgnoredAny::deserialize(inner).map(|_| Keys::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Keys, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Keys::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        Ok(Keys::Map(entries))
    }
}
