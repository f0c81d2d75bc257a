//! What comes back is what was read, and what is damaged is noticed.

use super::serve;
use lattice_wire::backup::{
    Held, Keep, Of, Part, Person, Place as At, Read, Reply, Request, Restored, Set, Where,
};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const KEEP: Keep = Keep { daily: 7, weekly: 0, monthly: 0 };

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("a directory") };
        fs::write(place.at("password"), "a long password\n").expect("written");
        fs::create_dir_all(place.at("homes/7/data/essay")).expect("made");
        fs::create_dir_all(place.at("state")).expect("made");
        fs::write(place.at("homes/7/data/essay/text"), "words").expect("written");
        fs::write(place.at("state/lattice.db"), "accounts").expect("written");
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// What is answered to these, one after the other.
    fn ask(&self, requests: &[Request]) -> Vec<Reply> {
        let place = Where {
            repository: At::Directory(self.at("vault")),
            password_file: self.at("password"),
            cache: self.at("cache"),
            patience_s: 1,
        };
        let mut lines = serde_json::to_string(&place).expect("a line");
        for request in requests {
            lines += "\n";
            lines += &serde_json::to_string(request).expect("a line");
        }
        let mut said = Vec::new();
        serve(lines.as_bytes(), &mut said).expect("it answers");
        let lines = said.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("an answer")).collect()
    }

    fn one(&self, request: Request) -> Reply {
        self.ask(&[request]).pop().expect("an answer")
    }

    fn refused(&self, request: Request, words: &[&str]) {
        let Reply::Refused { detail } = self.one(request) else { panic!("it was done") };
        for word in words {
            assert!(detail.contains(word), "{word} is not in: {detail}");
        }
    }

    fn person(&self) -> Read {
        let parts = vec![Part { name: "data".into(), path: self.at("homes/7/data") }];
        let read = Request::Read { of: Of::Person(7), parts, people: Vec::new(), held: false };
        match self.one(read) {
            Reply::Read(read) => read,
            other => panic!("{other:?}"),
        }
    }

    fn backup(&self) -> (Read, Read) {
        let person = self.person();
        let parts = vec![
            Part { name: String::new(), path: self.at("state") },
            Part { name: "tls".into(), path: self.at("nowhere") },
        ];
        let people = vec![Person { number: 7, snapshot: person.snapshot.clone() }];
        match self.one(Request::Read { of: Of::State, parts, people, held: false }) {
            Reply::Read(state) => (person, state),
            other => panic!("{other:?}"),
        }
    }

    fn sets(&self) -> Vec<Set> {
        match self.one(Request::List {}) {
            Reply::Sets { sets } => sets,
            other => panic!("{other:?}"),
        }
    }

    fn restore(&self, into: &str) -> Restored {
        match self.one(Request::Restore { set: None, into: self.at(into) }) {
            Reply::Restored(restored) => restored,
            other => panic!("{other:?}"),
        }
    }
}

fn init() -> Place {
    let place = Place::new();
    assert_eq!(place.one(Request::Init {}), Reply::Done {});
    place
}

#[test]
fn what_comes_back_is_what_was_there() {
    let place = init();
    let data = place.at("homes/7/data");
    fs::write(data.join("script"), vec![7; 3 << 20]).expect("written");
    fs::set_permissions(data.join("script"), fs::Permissions::from_mode(0o1751)).expect("set");
    fs::hard_link(data.join("script"), data.join("essay/same")).expect("made");
    symlink("/etc/passwd", data.join("link")).expect("made");
    fs::write(data.join("naïve \u{1b}[2J name"), "").expect("written");
    let tagged = rustix::fs::setxattr(
        data.join("essay/text"),
        "user.tag",
        b"a value",
        rustix::fs::XattrFlags::empty(),
    );
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(data.join("essay/text"), Some(100_007), Some(100_007))
            .expect("given away");
    }
    let (person, _) = place.backup();
    assert_eq!((person.files, person.left_out), (5, 0), "the link is one of them");
    let restored = place.restore("back");
    assert_eq!((restored.differing, restored.examples.len()), (0, 0), "{restored:?}");
    let back = place.at("back/homes/7/data");
    assert_eq!(fs::read(back.join("essay/text")).expect("there"), b"words");
    assert_eq!(fs::read_link(back.join("link")).expect("there"), Path::new("/etc/passwd"));
    let (before, after) = (
        fs::metadata(data.join("script")).expect("there"),
        fs::metadata(back.join("script")).expect("there"),
    );
    assert_eq!((after.mode(), after.nlink()), (before.mode(), 2));
    assert_eq!((after.mtime(), after.mtime_nsec()), (before.mtime(), before.mtime_nsec()));
    assert_eq!(after.ino(), fs::metadata(back.join("essay/same")).expect("there").ino());
    let owner = |dir: &Path| fs::metadata(dir.join("essay/text")).expect("there").uid();
    assert_eq!(owner(&back), owner(&data));
    if tagged.is_ok() {
        let mut value = [0; 32];
        let length = rustix::fs::getxattr(back.join("essay/text"), "user.tag", &mut value);
        assert_eq!(&value[..length.expect("there")], b"a value");
    }
    assert_eq!(fs::read(place.at("back/lattice.db")).expect("there"), b"accounts");
    assert!(!place.at("back/tls").exists(), "there was none");
    let mode = fs::metadata(place.at("back")).expect("there").mode();
    assert_eq!(mode & 0o777, 0o700);
    let full = Request::Restore { set: None, into: place.at("back") };
    place.refused(full, &["back", "is not empty", "name an empty directory"]);
}

#[test]
fn the_next_one_adds_what_is_new() {
    let place = init();
    let big: Vec<u8> =
        (0..4_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(place.at("homes/7/data/film"), &big).expect("written");
    let first = place.person();
    assert!(first.added > 1 << 20, "{first:?}");
    fs::write(place.at("homes/7/data/essay/text"), "more words").expect("written");
    let second = place.person();
    assert_eq!(second.bytes, first.bytes + 5);
    assert!(second.added < 64 << 10, "{second:?}");
}

#[test]
fn what_is_half_made_or_old_goes_and_the_rest_stays() {
    let place = init();
    place.refused(
        Request::Restore { set: None, into: place.at("back") },
        &["no whole backup", "lattice backup"],
    );
    place.person();
    assert_eq!(place.sets(), []);
    let tidied = Reply::Tidied { forgotten: 0 };
    assert_eq!(place.one(Request::Tidy { keep: KEEP }), tidied);
    place.backup();
    place.person();
    let (_, newest) = place.backup();
    assert_eq!(place.sets().len(), 2);
    assert_eq!(place.one(Request::Tidy { keep: KEEP }), Reply::Tidied { forgotten: 1 });
    let sets = place.sets();
    assert_eq!((sets.len(), &sets[0].id, sets[0].people), (1, &newest.snapshot, 1));
    assert_eq!(sets[0].bytes, 13);
    assert_eq!(place.one(Request::Check {}), Reply::Done {});
    let other = Request::Restore { set: Some("ffff".into()), into: place.at("back") };
    place.refused(other, &["no backup ffff", &sets[0].id[..8]]);
    assert_eq!(place.restore("back").differing, 0);
}

#[test]
fn a_flipped_byte_is_noticed() {
    let place = init();
    fs::write(place.at("homes/7/data/film"), vec![9; 1 << 20]).expect("written");
    place.backup();
    assert_eq!(place.one(Request::Check {}), Reply::Done {});
    for pack in walk(&place.at("vault/data")) {
        let mut bytes = fs::read(&pack).expect("there");
        bytes[10] ^= 1;
        fs::set_permissions(&pack, fs::Permissions::from_mode(0o600)).expect("set");
        fs::write(&pack, bytes).expect("written");
    }
    place.refused(Request::Check {}, &["vault", "is damaged"]);
    place.refused(Request::Restore { set: None, into: place.at("back") }, &["vault"]);
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("there").map(|entry| entry.expect("there").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let place = Place::new();
    place.refused(Request::Open {}, &["no repository in", "mounted", "lattice backup init"]);
    assert_eq!(place.one(Request::Init {}), Reply::Done {});
    place.refused(Request::Init {}, &["already"]);
    fs::write(place.at("password"), "another\n").expect("written");
    place.refused(Request::Open {}, &["the password in", "backup.password_file"]);
    fs::write(place.at("password"), "\n").expect("written");
    place.refused(Request::Open {}, &["no password"]);
    fs::remove_file(place.at("password")).expect("removed");
    place.refused(Request::Open {}, &["backup.password_file"]);
}

#[test]
fn one_process_makes_a_whole_backup() {
    let place = init();
    let parts = vec![Part { name: "data".into(), path: place.at("homes/7/data") }];
    let read = Request::Read { of: Of::Person(7), parts, people: Vec::new(), held: false };
    let replies = place.ask(&[read.clone(), read]);
    let [Reply::Read(ahead), Reply::Read(then)] = &replies[..] else { panic!("{replies:?}") };
    assert_ne!(ahead.snapshot, then.snapshot);
    let forget = Request::Forget { snapshots: vec![ahead.snapshot.clone()] };
    assert_eq!(place.ask(&[forget, Request::Check {}]), [Reply::Done {}, Reply::Done {}]);
}

#[test]
fn what_changes_while_it_is_read_is_as_it_was_at_one_moment() {
    let place = init();
    let data = place.at("homes/7/data");
    let parts = vec![Part { name: "data".into(), path: data.clone() }];
    let read =
        |held| Request::Read { of: Of::Person(7), parts: parts.clone(), people: Vec::new(), held };
    let hold = Request::Hold { parts: parts.clone(), aside: place.at("aside") };
    let replies = place.ask(&[read(false), hold, read(true)]);
    let [Reply::Read(ahead), Reply::Held(Held { unchanged, files, loose: 0 }), Reply::Read(then)] =
        &replies[..]
    else {
        panic!("{replies:?}")
    };
    // It was written a moment ago, which is too new to be trusted.
    assert_eq!((*unchanged, *files), (false, 1));
    assert_ne!(ahead.snapshot, then.snapshot);
    assert_eq!((then.files, then.bytes, then.left_out), (ahead.files, ahead.bytes, 0));
    assert!(!place.at("aside").exists());
}

/// One in a row of numbers that look random; the same each time.
fn next(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).expect("31 bits")
}

/// Harms one file of a repository; what was done.
fn harm(vault: &Path, seed: &mut u64) -> String {
    let kinds = ["data", "index", "snapshots", "keys", "config"];
    let kind = kinds[next(seed) % kinds.len()];
    let mut files = match kind {
        "config" => vec![vault.join("config")],
        _ => walk(&vault.join(kind)),
    };
    files.sort();
    let file = &files[next(seed) % files.len()];
    let mut bytes = fs::read(file).expect("there");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("set");
    let how = match next(seed) % 5 {
        0 => {
            fs::remove_file(file).expect("removed");
            return format!("{kind} removed");
        }
        1 => {
            bytes.truncate(next(seed) % bytes.len());
            "cut"
        }
        2 => {
            bytes.clear();
            "emptied"
        }
        3 => {
            let place = next(seed) % bytes.len();
            bytes[place..].fill(0);
            "ends in zeros"
        }
        _ => {
            let place = next(seed) % bytes.len();
            bytes[place] ^= 1 << (next(seed) % 8);
            "flipped"
        }
    };
    fs::write(file, bytes).expect("written");
    format!("{kind} {how}")
}

/// Whatever is harmed, what comes back is right or it is said that it does not, and the next backup is one that
/// can be read or says that it is none.
#[test]
fn whatever_is_damaged_is_told_of_and_nothing_wrong_comes_back() {
    let whole = init();
    let data = whole.at("homes/7/data");
    fs::write(data.join("film"), (0..200_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>())
        .expect("written");
    whole.backup();
    fs::write(data.join("essay/more"), "more words").expect("written");
    whole.backup();
    let parts = || vec![Part { name: "data".into(), path: whole.at("homes/7/data") }];
    let right = |back: &Path| {
        let back = back.join("homes/7/data");
        fs::read(back.join("film")).ok() == fs::read(data.join("film")).ok()
            && fs::read(back.join("essay/text")).ok().as_deref() == Some(b"words")
    };
    let (mut seed, mut refused) = (7, 0);
    for round in 0..30 {
        let place = Place::new();
        copy(&whole.at("vault"), &place.at("vault"));
        let harmed = harm(&place.at("vault"), &mut seed);
        let said = |reply: &Reply| match reply {
            Reply::Refused { detail } => {
                assert!(detail.contains("vault") && !detail.contains('\n'), "{harmed}: {detail}");
                true
            }
            _ => false,
        };
        let restored = place.one(Request::Restore { set: None, into: place.at("back") });
        let is_told = match &restored {
            Reply::Restored(restored) if restored.differing > 0 => true,
            Reply::Restored(_) => {
                assert!(right(&place.at("back")), "{round}: {harmed}: wrong, and nothing said");
                false
            }
            other => {
                assert!(said(other), "{harmed}: {other:?}");
                true
            }
        };
        refused += u32::from(is_told);
        let checked = place.one(Request::Check {});
        assert!(
            said(&checked) || !is_told || harmed.starts_with("snapshots"),
            "{harmed}: {checked:?}"
        );
        // Another one, made into what is damaged.
        let read =
            Request::Read { of: Of::Person(7), parts: parts(), people: Vec::new(), held: false };
        let Some(Reply::Read(person)) = place.ask(&[read]).pop() else { continue };
        let people = vec![Person { number: 7, snapshot: person.snapshot }];
        let state = vec![Part { name: String::new(), path: place.at("state") }];
        let read = Request::Read { of: Of::State, parts: state, people, held: false };
        let Some(Reply::Read(state)) = place.ask(&[read]).pop() else { continue };
        let confirmed = place.one(Request::Confirm { set: state.snapshot.clone() });
        if confirmed == (Reply::Done {}) {
            let back = place.at("again");
            match place.one(Request::Restore { set: Some(state.snapshot), into: back.clone() }) {
                Reply::Restored(restored) => {
                    assert!(restored.differing > 0 || right(&back), "{harmed}: a wrong backup");
                }
                // That there are bytes it says, and not which.
                other => assert!(said(&other), "{harmed}: {other:?}"),
            }
        } else {
            said(&confirmed);
        }
        place.one(Request::Tidy { keep: KEEP });
    }
    assert!((10..30).contains(&refused), "{refused}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("there") {
        let entry = entry.expect("there");
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).expect("copied")),
        }
    }
}
