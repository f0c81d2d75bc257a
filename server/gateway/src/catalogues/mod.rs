//! Catalogues of apps: files that the administrator adds, each with a signature beside it.
//!
//! INVARIANT: nothing of a file is looked at before its signature was found good, over the very bytes
//! that are then read. Gateway and broker each look for themselves, with keys of their own
//! configuration: what the one says of an app the other does not believe.

pub mod command;
pub mod install;
mod seen;
mod signature;
mod told;

pub use seen::Seen;
pub use signature::{PublicKey, SignatureError, Trusted};
pub use told::{Power, powers};

use crate::template::{Catalogue, Fault, MAX_CATALOGUE, read_catalogue};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// So many are looked at; more would be a mistake.
const MAX_CATALOGUES: usize = 32;
/// What a catalogue's file ends in, and what its signature's does instead.
pub const EXTENSION: &str = "yaml";
const SIGNATURE: &str = "sig";

/// Where catalogues are, and whom to trust.
#[derive(Debug, Clone)]
pub struct Library {
    /// Each is a file in it.
    pub directory: PathBuf,
    /// Whose signatures count.
    pub keys: Vec<Trusted>,
    /// Where it is kept which serials were seen, by whoever looks.
    pub seen: PathBuf,
}

/// A file, and what differs whenever it was changed.
pub type Trace = (PathBuf, Option<(u64, i64, i64)>);

/// What there is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shelf {
    /// Those that can be trusted, in the order of their names.
    pub good: Vec<Signed>,
    /// The others.
    pub refused: Vec<Refused>,
}

/// A catalogue that can be trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// What is in it.
    pub catalogue: Catalogue,
    /// Who vouches for it.
    pub by: String,
}

/// A catalogue that cannot.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The name of its file, without what it ends in.
    pub name: String,
    /// Why not.
    pub why: Refusal,
}

/// Why a catalogue is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("its file cannot be read: {0}; see that the server may read it")]
    Unreadable(String),
    /// It is too long for one.
    #[error("its file has more than {MAX_CATALOGUE} bytes; split it")]
    TooLong,
    /// Nobody vouches for it.
    #[error("it has no signature; sign it with lattice catalogue sign, and add both files")]
    Unsigned,
    /// Nobody who is trusted vouches for it.
    #[error("{0}; get it again from whoever made it, or trust that key in [[catalogues.keys]]")]
    Untrusted(SignatureError),
    /// It is not good.
    #[error("it is signed, but not good: {}", listed(.0))]
    Bad(Vec<Fault>),
    /// Its name is not that of its file.
    #[error("it calls itself {0:?}, which is not the name of its file; call the file so")]
    Misnamed(String),
    /// A newer one was seen.
    #[error(
        "its serial is {found}, but {known} was seen before: somebody puts an older catalogue in the \
         place of a newer one; get the newest, or raise the serial and sign it again"
    )]
    Older {
        /// Its serial.
        found: u64,
        /// The highest that was seen.
        known: u64,
    },
    /// Another of the same serial was seen.
    #[error(
        "another catalogue with the serial {0} was seen before; raise the serial with each change, \
         and sign it again"
    )]
    Reused(u64),
}

fn listed(faults: &[Fault]) -> String {
    let lines: Vec<_> = faults.iter().take(3).map(ToString::to_string).collect();
    lines.join("; ")
}

impl Library {
    /// Looks at all of them, and notes which serials were seen.
    pub fn look(&self) -> Shelf {
        let mut seen = Seen::load(&self.seen);
        let shelf = self.compare(&mut seen);
        seen.save(&self.seen);
        shelf
    }

    /// Looks at all of them, and notes nothing.
    pub fn glance(&self) -> Shelf {
        self.compare(&mut Seen::load(&self.seen))
    }

    fn compare(&self, seen: &mut Seen) -> Shelf {
        let mut shelf = Shelf::default();
        for path in self.files() {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match self.open(&path, &name, seen) {
                Ok(signed) => shelf.good.push(signed),
                Err(why) => shelf.refused.push(Refused { name, why }),
            }
        }
        shelf
    }

    /// The files of catalogues, in the order of their names.
    fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.directory) else { return Vec::new() };
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == EXTENSION));
        files.sort();
        if files.len() > MAX_CATALOGUES {
            let directory = self.directory.display();
            tracing::warn!(%directory, most = MAX_CATALOGUES, "there are more catalogues than are looked at");
            files.truncate(MAX_CATALOGUES);
        }
        files
    }

    /// What tells whether a look would find the same as the last.
    pub fn trace(&self) -> Vec<Trace> {
        let files = self.files().into_iter();
        let both = files.flat_map(|file| [file.with_extension(SIGNATURE), file]);
        both.map(|file| {
            // When anything of it changed, which nobody can set.
            let at =
                fs::metadata(&file).map(|known| (known.ino(), known.ctime(), known.ctime_nsec()));
            (file, at.ok())
        })
        .collect()
    }

    fn open(&self, path: &Path, name: &str, seen: &mut Seen) -> Result<Signed, Refusal> {
        let (catalogue, by, digest) = read(path, name, &self.keys)?;
        seen.admit(&catalogue.name, catalogue.serial, &digest)?;
        Ok(Signed { catalogue, by })
    }
}

impl Shelf {
    /// An app, and the catalogue that has it.
    pub fn find(&self, catalogue: &str, app: &str) -> Option<(&Signed, &crate::template::Entry)> {
        let signed = self.good.iter().find(|signed| signed.catalogue.name == catalogue)?;
        Some((signed, signed.catalogue.apps.get(app)?))
    }
}

/// One catalogue that somebody trusted has signed, by whom, and the digest of its bytes.
fn read(path: &Path, name: &str, keys: &[Trusted]) -> Result<(Catalogue, String, String), Refusal> {
    let unreadable = |error: io::Error| Refusal::Unreadable(error.to_string());
    let bytes = bounded(path, MAX_CATALOGUE).map_err(unreadable)?.ok_or(Refusal::TooLong)?;
    let signature = match bounded(&path.with_extension(SIGNATURE), signature::MAX_SIGNATURE) {
        Ok(Some(signature)) => String::from_utf8(signature).unwrap_or_default(),
        Ok(None) => return Err(Refusal::Untrusted(SignatureError::Malformed)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Refusal::Unsigned),
        Err(error) => return Err(unreadable(error)),
    };
    let by = signature::verify(&bytes, &signature, keys).map_err(Refusal::Untrusted)?;
    let catalogue = parse(&bytes).map_err(Refusal::Bad)?;
    if catalogue.name != name {
        return Err(Refusal::Misnamed(catalogue.name));
    }
    Ok((catalogue, by.name.clone(), digest_of(&bytes)))
}

/// A catalogue from bytes of which it is known whose they are.
fn parse(bytes: &[u8]) -> Result<Catalogue, Vec<Fault>> {
    let text = std::str::from_utf8(bytes).map_err(|_| {
        vec![Fault { line: 0, place: String::new(), what: "it is not UTF-8".into() }]
    })?;
    read_catalogue(text)
}

fn digest_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is in a file; nothing where that is more than `most` bytes.
fn bounded(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// The digest in the name of an image that is named by it, with `sha256:`.
pub fn pinned(image: &str) -> &str {
    image.split_once('@').map_or("", |(_, digest)| digest)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A directory with a catalogue, and whoever signs it.
    pub(crate) struct Scene {
        pub(crate) library: Library,
        secret: String,
        _dir: tempfile::TempDir,
    }

    impl Scene {
        pub(crate) fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let (secret, key) = signature::generate().expect("a key");
            let keys = vec![Trusted { name: "school".into(), key }];
            let directory = dir.path().join("catalogues");
            fs::create_dir(&directory).expect("made");
            let library = Library { directory, keys, seen: dir.path().join("seen.json") };
            Self { library, secret, _dir: dir }
        }

        /// A catalogue with one app, signed.
        pub(crate) fn put(&self, serial: u64, version: &str) {
            let digest = digest_of(version.as_bytes());
            let text = format!(
                "name: apps\ntitle: Apps\nserial: {serial}\napps:\n  draw:\n    title: Draw\n    \
                 version: '{version}'\n    license: MIT\n    source: https://draw.example\n    \
                 size: 3m\n    service:\n      image: r.example/draw@sha256:{digest}\n      \
                 mem_limit: 64m\n      pids_limit: 32\n    permissions: {{data: write}}\n"
            );
            self.sign("apps", &text);
        }

        pub(crate) fn sign(&self, name: &str, text: &str) {
            let signature = signature::sign(&self.secret, text.as_bytes()).expect("signed");
            fs::write(self.path(name), text).expect("written");
            fs::write(self.path(name).with_extension(SIGNATURE), signature).expect("written");
        }

        fn path(&self, name: &str) -> PathBuf {
            self.library.directory.join(format!("{name}.{EXTENSION}"))
        }

        fn why(&self) -> Refusal {
            let shelf = self.library.look();
            assert_eq!(shelf.good, [], "{:?}", shelf.refused);
            shelf.refused.into_iter().next().expect("one is refused").why
        }
    }

    #[test]
    fn a_signed_catalogue_is_taken_and_a_changed_byte_refuses_it() {
        let scene = Scene::new();
        scene.put(1, "1.0");
        let shelf = scene.library.look();
        assert_eq!(shelf.refused, []);
        let (signed, draw) = shelf.find("apps", "draw").expect("there");
        assert_eq!((signed.by.as_str(), draw.version.as_str()), ("school", "1.0"));
        assert!(shelf.find("apps", "other").is_none() && shelf.find("other", "draw").is_none());
        let text = fs::read_to_string(scene.path("apps")).expect("read");
        fs::write(scene.path("apps"), text.replace("64m", "65m")).expect("written");
        let why = scene.why();
        assert!(matches!(why, Refusal::Untrusted(SignatureError::Changed { .. })), "{why}");
        assert!(why.to_string().contains("was changed since"), "{why}");
    }

    #[test]
    fn who_is_not_trusted_signs_nothing() {
        let (scene, stranger) = (Scene::new(), Scene::new());
        scene.put(1, "1.0");
        let text = fs::read_to_string(scene.path("apps")).expect("read");
        let signature = signature::sign(&stranger.secret, text.as_bytes()).expect("signed");
        fs::write(scene.path("apps").with_extension(SIGNATURE), signature).expect("written");
        let why = scene.why();
        assert!(matches!(why, Refusal::Untrusted(SignatureError::Unknown { .. })), "{why}");
        fs::remove_file(scene.path("apps").with_extension(SIGNATURE)).expect("removed");
        assert_eq!(scene.why(), Refusal::Unsigned);
    }

    #[test]
    fn an_older_catalogue_does_not_come_back() {
        let scene = Scene::new();
        scene.put(2, "2.0");
        assert_eq!(scene.library.look().good.len(), 1);
        scene.put(1, "1.0");
        assert_eq!(scene.why(), Refusal::Older { found: 1, known: 2 });
        scene.put(2, "1.0");
        assert_eq!(scene.why(), Refusal::Reused(2));
        scene.put(3, "1.0");
        assert_eq!(scene.library.look().good.len(), 1, "what is signed anew may have an older app");
        scene.put(2, "2.0");
        assert_eq!(scene.why(), Refusal::Older { found: 2, known: 3 });
    }

    #[test]
    fn what_is_no_catalogue_is_refused_though_it_is_signed() {
        let scene = Scene::new();
        scene
            .sign("apps", "name: apps\ntitle: Apps\nserial: 1\napps: {draw: {privileged: true}}\n");
        let why = scene.why();
        assert!(matches!(why, Refusal::Bad(_)) && why.to_string().contains("draw"), "{why}");
        scene.sign("apps", "name: other\ntitle: Apps\nserial: 1\n");
        assert_eq!(scene.why(), Refusal::Misnamed("other".into()));
        scene.sign("apps", &"#".repeat(MAX_CATALOGUE as usize + 1));
        assert_eq!(scene.why(), Refusal::TooLong);
        let signature = scene.path("apps").with_extension(SIGNATURE);
        fs::write(signature, "x".repeat(2000)).expect("written");
        fs::write(scene.path("apps"), "name: apps").expect("written");
        assert_eq!(scene.why(), Refusal::Untrusted(SignatureError::Malformed));
    }
}
