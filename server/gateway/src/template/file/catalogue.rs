//! A catalogue's file as it is written, and the checks that make a [`Catalogue`] of it. Services and
//! permissions are checked by what checks those of templates.

use super::{Checker, MAX_SUMMARY, MAX_TITLE, RawApp, RawPermissions, RawService, Word};
use crate::label::is_hidden;
use crate::template::{Catalogue, Entry, Fault, Opens, Size, alone, values};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

const MAX_APPS: usize = 200;
const MAX_DESCRIPTION: usize = 4 << 10;
const MAX_VERSION: usize = 40;
const MAX_LICENSE: usize = 120;
const MAX_SOURCE: usize = 300;
const MAX_DEFINITION: usize = 4 << 10;
/// The most that an app of a catalogue may use; the rest is for desktops themselves.
const MOST: Size = Size { memory: 32 << 30, cpu_millis: 64_000, pids: 2048 };

/// The file as it is written. Its keys have been screened.
#[derive(Deserialize)]
pub(in crate::template) struct CatalogueFile {
    name: Word,
    title: Word,
    serial: Spanned<u64>,
    #[serde(default)]
    apps: BTreeMap<String, RawEntry>,
}

#[derive(Deserialize)]
struct RawEntry {
    title: Word,
    summary: Option<Word>,
    #[serde(default)]
    description: String,
    icon: Option<Word>,
    #[serde(default)]
    opens: Opens,
    version: Word,
    license: Word,
    source: Word,
    size: Word,
    service: RawService,
    #[serde(default)]
    permissions: RawPermissions,
}

impl CatalogueFile {
    /// The catalogue, if nothing is wrong with what it is made of.
    pub(in crate::template) fn check(self, faults: &mut Vec<Fault>) -> Option<Catalogue> {
        let mut checker = Checker(faults);
        let name = checker.word("name", &self.name, values::name);
        let title = checker.word("title", &self.title, |text| values::label(text, MAX_TITLE));
        if self.serial.value == 0 || self.serial.value > i64::MAX as u64 {
            let line = self.serial.referenced.line();
            checker.fault(line, "serial", "is a number from 1 that grows with each change");
        }
        if self.apps.len() > MAX_APPS {
            let what = format!("are {}, and {MAX_APPS} at most", self.apps.len());
            checker.fault(0, "apps", what);
            return None;
        }
        let mut apps = BTreeMap::new();
        for (name, entry) in self.apps {
            let mut own = Vec::new();
            let checked = entry.check(&name, &mut Checker(&mut own));
            checker.0.extend(own.into_iter().map(|fault| moved(fault, &name)));
            if let Some(entry) = checked {
                apps.insert(name, entry);
            }
        }
        Some(Catalogue { name: name?, title: title?, serial: self.serial.value, apps })
    }
}

/// Where in a catalogue that is which is told as it would be of a template.
fn moved(mut fault: Fault, name: &str) -> Fault {
    for (theirs, ours) in [
        (format!("services.{name}"), format!("apps.{name}.service")),
        (format!("x-lattice.permissions.{name}"), format!("apps.{name}.permissions")),
        (format!("x-lattice.apps.{name}"), format!("apps.{name}")),
    ] {
        if let Some(rest) = fault.place.strip_prefix(&theirs)
            && (rest.is_empty() || rest.starts_with('.'))
        {
            fault.place = format!("{ours}{rest}");
            return fault;
        }
    }
    fault
}

impl RawEntry {
    fn check(self, name: &str, checker: &mut Checker<'_>) -> Option<Entry> {
        let place = |key: &str| format!("apps.{name}.{key}");
        let mut line = |key: &str, word: &Word, most| {
            checker.word(&place(key), word, |text| values::label(text, most))
        };
        let version = line("version", &self.version, MAX_VERSION);
        let license = line("license", &self.license, MAX_LICENSE);
        let source = line("source", &self.source, MAX_SOURCE);
        let summary = match &self.summary {
            Some(word) => line("summary", word, MAX_SUMMARY)?,
            None => String::new(),
        };
        let size = checker.word(&place("size"), &self.size, values::bytes);
        let is_text = |c: char| c == '\n' || !is_hidden(c);
        if self.description.len() > MAX_DESCRIPTION || !self.description.chars().all(is_text) {
            let what = format!("must be at most {MAX_DESCRIPTION} bytes of plain text");
            checker.fault(0, place("description"), what);
        }
        let service = &self.service;
        for (key, limit) in [("mem_limit", &service.mem_limit), ("pids_limit", &service.pids_limit)]
        {
            if limit.is_none() {
                let what = "is missing; desktops grow by that";
                checker.fault(service.image.line, place(&format!("service.{key}")), what);
            }
        }
        if !service.image.text.contains("@sha256:") {
            let what = "must be named by its digest, as in name@sha256:…";
            checker.fault(service.image.line, place("service.image"), what);
        }
        let about = RawApp { title: self.title, icon: self.icon, opens: self.opens };
        let about = (Some(about), Some(self.permissions));
        let app = self.service.check(name, about, MOST, MOST, checker);
        let (version, license, source) = (version?, license?, source?);
        let (description, size, app) = (self.description, size?, app?);
        // All that is installed goes with each desktop's start, which is bounded.
        if alone(name, &app).len() > MAX_DEFINITION {
            let what = format!("says more of command and environment than {MAX_DEFINITION} bytes");
            checker.fault(0, place("service"), what);
        }
        Some(Entry { summary, description, version, license, source, size, app })
    }
}
