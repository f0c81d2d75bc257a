//! Catalogues of apps, which an administrator signs: what is in one, once it was read.

use super::file::CatalogueFile;
use super::keys::{self, Keys};
use super::{App, Fault, settle, told, whole};
use std::collections::BTreeMap;

/// The largest file of a catalogue, in bytes.
pub const MAX_CATALOGUE: u64 = 1 << 20;

/// A catalogue that is good. Who signed it is not said here.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// What it is called in addresses; its file has the same name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Grows with each change; a lower one than was seen before is refused.
    pub serial: u64,
    /// Its apps by name.
    pub apps: BTreeMap<String, Entry>,
}

/// An app in a catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What it is for, in a line.
    pub summary: String,
    /// What there is to know, as plain text; may be empty.
    pub description: String,
    /// Its version, for people to read.
    pub version: String,
    /// Under which terms it may be used.
    pub license: String,
    /// Where it comes from, for people to read: an address, or who made it.
    pub source: String,
    /// What there is to fetch, in bytes.
    pub size: u64,
    /// What becomes of it on a desktop. Its image is named by its digest.
    pub app: App,
}

/// Reads a catalogue.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines.
pub fn read_catalogue(text: &str) -> Result<Catalogue, Vec<Fault>> {
    if text.len() as u64 > MAX_CATALOGUE {
        return Err(whole(format!(
            "a catalogue has at most {MAX_CATALOGUE} bytes, not {}",
            text.len()
        )));
    }
    let keys: Keys = serde_saphyr::from_str(text).map_err(|error| vec![told(&error)])?;
    if !matches!(keys, Keys::Map(_)) {
        return Err(whole("a catalogue is a table with name, title, serial and apps".into()));
    }
    let mut faults = keys::screen_catalogue(&keys);
    match serde_saphyr::from_str::<CatalogueFile>(text) {
        Ok(file) => {
            let read = file.check(&mut faults);
            settle(read, faults, &keys)
        }
        Err(error) => {
            faults.push(told(&error));
            Err(faults)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Network;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn with(service: &str, permissions: &str) -> String {
        format!(
            "name: school
title: Our school
serial: 3
apps:
  draw:
    title: Draw
    summary: Pictures
    version: '1.10'
    license: GPL-3.0
    source: https://draw.example
    size: 312m
    service:
      image: registry.example/draw@{DIGEST}
      mem_limit: 256m
      pids_limit: 64
{service}
    permissions:
      display: true
      clipboard: true
{permissions}
"
        )
    }

    fn refused(text: &str) -> String {
        let faults = read_catalogue(text).expect_err("something is wrong");
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_good_one_is_read() {
        let read = read_catalogue(&with("      command: [draw]", "      network: internet"));
        let read = read.expect("good");
        assert_eq!((read.name.as_str(), read.serial), ("school", 3));
        let draw = &read.apps["draw"];
        assert_eq!((draw.version.as_str(), draw.size), ("1.10", 312 << 20));
        assert_eq!(draw.app.title, "Draw");
        assert_eq!(draw.app.permissions.network, Network::Internet);
        assert_eq!(draw.app.size.pids, 64);
    }

    #[test]
    fn what_no_template_may_say_no_catalogue_may() {
        for (service, permissions, said) in [
            ("      privileged: true", "", "apps.draw.service.privileged is refused"),
            ("      volumes: ['/:/host']", "", "apps.draw.service.volumes is refused"),
            ("      comand: [x]", "", "did you mean command?"),
            ("      environment: {LD_PRELOAD: /x}", "", "apps.draw.service.environment.LD_PRELOAD"),
            ("", "      devices: [all]", "apps.draw.permissions.devices is refused"),
            ("", "      ports: [80]", "apps.draw.permissions.ports are 1024"),
            ("", "      network: everything", "everything"),
        ] {
            let faults = refused(&with(service, permissions));
            assert!(faults.contains(said), "{said} is not in: {faults}");
        }
    }

    #[test]
    fn what_would_not_be_the_same_tomorrow_is_refused() {
        let good = with("", "");
        for (what, instead, said) in [
            (format!("registry.example/draw@{DIGEST}"), "registry.example/draw:1", "by its digest"),
            (format!("registry.example/draw@{DIGEST}"), "lattice/code", "by its digest"),
            (DIGEST.to_owned(), "sha256:01", "by its digest"),
            ("      mem_limit: 256m\n".to_owned(), "", "mem_limit is missing"),
            ("      pids_limit: 64\n".to_owned(), "", "pids_limit is missing"),
            ("serial: 3".to_owned(), "serial: 0", "serial"),
            ("serial: 3".to_owned(), "serial: -3", "line"),
            ("  draw:".to_owned(), "  xorg:", "a part of every desktop"),
            ("  draw:".to_owned(), "  ../etc:", "is no name"),
            ("size: 312m".to_owned(), "size: big", "is no size"),
            ("title: Our school".to_owned(), "title: \"\u{202e}evil\"", "can be seen"),
            ("title: Our school".to_owned(), "ttle: Our school", "did you mean title?"),
        ] {
            let text = good.replacen(&what, instead, 1);
            assert_ne!(text, good, "{what}");
            let faults = refused(&text);
            assert!(faults.contains(said), "{said} is not in: {faults}");
        }
        assert!(refused("[]").contains("a catalogue is a table"));
        assert!(refused(&" ".repeat(MAX_CATALOGUE as usize + 1)).contains("at most"));
        let app = &good[good.find("  draw:").expect("it")..];
        let mut many = good[..good.find("  draw:").expect("it")].to_owned();
        for number in 0..201 {
            many += &app.replacen("draw", &format!("draw-{number}"), 1);
        }
        assert!(refused(&many).contains("200 at most"));
    }

    #[test]
    fn faults_have_their_lines() {
        let faults = refused(&with("      mem_limit: 1k", ""));
        assert!(faults.contains("line "), "{faults}");
    }
}
