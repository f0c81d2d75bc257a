//! The same for both kinds: what is kept, what is given back, and what an owner who means harm gets.

mod harm;
mod import;

use crate::keeper::Keeper;
use lattice_wire::snapshots::{
    Cause, Entry, Inside, Kind, Refusal, Reply, Request, Snapshot, What,
};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Cursor, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const OWNER: u32 = 100_007;

/// A disk of a test's own, until it is dropped.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

/// One person's Data, and what is kept of it.
struct Place {
    keeper: Keeper,
    kind: Kind,
    _disk: Option<Disk>,
    dir: tempfile::TempDir,
}

fn run(program: &str, words: &[&str], path: &Path) -> Result<(), String> {
    let output = Command::new(program).args(words).arg(path).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

impl Place {
    fn plain() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().to_owned();
        fs::create_dir(at.join("data")).expect("made");
        Self::over(dir, &at, Kind::Repository, None)
    }

    fn btrfs() -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let (image, at) = (dir.path().join("image"), dir.path().join("disk"));
        File::create(&image).and_then(|file| file.set_len(400 << 20)).expect("made");
        fs::create_dir(&at).expect("made");
        run("mkfs.btrfs", &["--quiet"], &image)?;
        let source = image.to_str().expect("a path");
        run("mount", &["-t", "btrfs", "-o", "loop", source], &at)?;
        let disk = Disk(at.clone());
        run("btrfs", &["subvolume", "create"], &at.join("data"))?;
        Ok(Self::over(dir, &at, Kind::Btrfs, Some(disk)))
    }

    fn tmpfs(size: &str) -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().join("disk");
        fs::create_dir(&at).expect("made");
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], &at)?;
        let disk = Disk(at.clone());
        fs::create_dir(at.join("data")).expect("made");
        Ok(Self::over(dir, &at, Kind::Repository, Some(disk)))
    }

    fn over(dir: tempfile::TempDir, at: &Path, kind: Kind, disk: Option<Disk>) -> Self {
        let owner = rustix::process::geteuid().is_root().then_some(OWNER);
        let keeper = Keeper { data: at.join("data"), store: at.join("store"), owner };
        Self { keeper, kind, _disk: disk, dir }
    }

    /// One of each kind that this machine can make.
    fn each(test: &str) -> Vec<Self> {
        let mut all = vec![Self::plain()];
        match Self::btrfs() {
            Ok(place) => all.push(place),
            Err(why) => println!("{test} was left out for btrfs, which cannot be mounted: {why}"),
        }
        all
    }

    fn path(&self, name: &str) -> PathBuf {
        self.keeper.data.join(name)
    }

    fn write(&self, name: &str, what: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("Data")).expect("made");
        fs::write(path, what).expect("written");
    }

    fn ask(&self, request: Request) -> Reply {
        self.keeper.handle(request, &mut io::empty()).reply
    }

    fn take(&self) -> Snapshot {
        match self.ask(Request::Take { cause: Cause::Asked, name: None }) {
            Reply::Taken { snapshot } => snapshot,
            other => panic!("{other:?}"),
        }
    }

    fn list(&self) -> Vec<Snapshot> {
        match self.ask(Request::List {}) {
            Reply::Snapshots { kind, snapshots } => {
                assert_eq!(kind, self.kind);
                snapshots
            }
            other => panic!("{other:?}"),
        }
    }

    fn entries(&self, of: &Snapshot, path: &str) -> Vec<Entry> {
        match self.ask(Request::Tree { snapshot: of.id.clone(), path: inside(path) }) {
            Reply::Entries { entries, cut: false } => entries,
            other => panic!("{other:?}"),
        }
    }

    /// The content, where all of it came.
    fn content(&self, request: Request) -> Result<Vec<u8>, Reply> {
        let answer = self.keeper.handle(request, &mut io::empty());
        let Some(content) = answer.content else { return Err(answer.reply) };
        let mut bytes = Vec::new();
        content.write(&mut bytes).expect("written");
        let (mut rest, mut all) = (Cursor::new(bytes), Vec::new());
        loop {
            let mut length = [0; 4];
            rest.read_exact(&mut length).expect("a chunk");
            match u64::from(u32::from_be_bytes(length)) {
                0 => break,
                length => assert_eq!(
                    io::copy(&mut rest.by_ref().take(length), &mut all).expect("read"),
                    length
                ),
            }
        }
        Ok(all)
    }

    fn file(&self, of: &Snapshot, path: &str) -> Result<Vec<u8>, Reply> {
        let (snapshot, path) = (of.id.clone(), inside(path));
        self.content(Request::File { snapshot, path, most: None })
    }

    /// As the gateway does it.
    fn restore(&self, of: &Snapshot, path: &str) -> Reply {
        let staged = self.ask(Request::Stage { snapshot: of.id.clone(), path: inside(path) });
        match staged {
            Reply::Done {} => self.ask(Request::Restore {}),
            refused => refused,
        }
    }

    /// All of Data: what it is, who may do what, when it was changed, and what is in it.
    fn picture(&self) -> BTreeMap<PathBuf, (u32, i64, String)> {
        let (mut all, mut todo) = (BTreeMap::new(), vec![self.keeper.data.clone()]);
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(&folder).expect("read") {
                let path = entry.expect("read").path();
                let found = fs::symlink_metadata(&path).expect("there");
                let what = match found.file_type() {
                    kind if kind.is_dir() => {
                        todo.push(path.clone());
                        String::new()
                    }
                    kind if kind.is_symlink() => {
                        fs::read_link(&path).expect("a link").to_string_lossy().into_owned()
                    }
                    _ => format!("{:x?}", Sha256::digest(fs::read(&path).expect("read"))),
                };
                let at = found.mtime() * 1_000_000_000 + found.mtime_nsec();
                all.insert(path, (found.mode(), at, what));
            }
        }
        all
    }

    /// A bit of everything that people keep.
    fn fill(&self) {
        self.write("essay.txt", "words\n");
        self.write("empty", "");
        self.write("project/src/main.go", "package main\n");
        self.write("project/Ünï çødé \\ \"q\"\n.txt", "odd name");
        self.write("project/film.bin", noise(3_000_000, 1));
        let mut holes = vec![0; 2 << 20];
        holes[1_000_000] = 7;
        self.write("holes.img", holes);
        fs::create_dir(self.path("nothing in it")).expect("made");
        let foreign = OsString::from_vec(b"not \xff unicode".to_vec());
        fs::write(self.keeper.data.join(foreign), "raw").expect("written");
        symlink("project/src", self.path("link")).expect("made");
        symlink("/etc/passwd", self.path("out")).expect("made");
        let script = self.path("project/run");
        self.write("project/run", "#!/bin/sh\n");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o750)).expect("set");
        fs::set_permissions(self.path("essay.txt"), fs::Permissions::from_mode(0o400))
            .expect("set");
    }
}

/// What nothing makes shorter.
fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn inside(path: &str) -> Inside {
    path.parse().expect("a path")
}

#[track_caller]
fn refused(reply: Reply, wanted: Refusal) -> String {
    match reply {
        Reply::Refused { why, detail } if why == wanted => detail,
        other => panic!("{other:?}"),
    }
}

/// What a program does to somebody's files that wants money for them.
fn encrypt_everything(place: &Place) {
    for (path, (mode, ..)) in place.picture() {
        if mode & 0o170_000 == 0o100_000 {
            let mut bytes = fs::read(&path).expect("read");
            bytes.iter_mut().for_each(|byte| *byte ^= 0x5a);
            let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
            fs::write(&path, bytes).expect("written");
            let mut locked = path.clone().into_os_string();
            locked.push(".locked");
            fs::rename(&path, locked).expect("renamed");
        }
    }
    place.write("README-PAY.txt", "send money");
}

#[test]
fn what_was_encrypted_comes_back_byte_for_byte() {
    for place in Place::each("what_was_encrypted_comes_back_byte_for_byte") {
        place.fill();
        let (good, before) = (place.take(), place.picture());
        assert_eq!((good.files, good.left_out, good.kind), (8, 0, place.kind));
        encrypt_everything(&place);
        let bad = place.picture();
        let Reply::Taken { snapshot: safety } = place.restore(&good, "") else { panic!() };
        assert_eq!(place.picture(), before, "{:?}", place.kind);
        assert_eq!(safety.cause, Cause::Restore);
        // And that can be taken back.
        assert!(matches!(place.restore(&safety, ""), Reply::Taken { .. }));
        assert_eq!(place.picture(), bad);
        assert_eq!(place.list().len(), 3);
        if let Some(owner) = place.keeper.owner {
            for path in place.picture().keys() {
                assert_eq!(fs::symlink_metadata(path).expect("there").uid(), owner, "{path:?}");
            }
        }
    }
}

#[test]
fn what_was_deleted_comes_back_whole_or_in_part() {
    for place in Place::each("what_was_deleted_comes_back_whole_or_in_part") {
        place.fill();
        let (good, before) = (place.take(), place.picture());
        for entry in fs::read_dir(&place.keeper.data).expect("read").flatten() {
            let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
        }
        assert!(place.picture().is_empty());
        assert!(matches!(place.restore(&good, "project/src/main.go"), Reply::Taken { .. }));
        let there: Vec<_> = place.picture().into_keys().collect();
        assert_eq!(
            there,
            ["project", "project/src", "project/src/main.go"].map(|name| place.path(name))
        );
        place.write("project/own", "made since");
        place.write("elsewhere", "made since");
        assert!(matches!(place.restore(&good, "project"), Reply::Taken { .. }));
        assert!(!place.path("project/own").exists(), "the folder is as it was");
        assert!(place.path("elsewhere").exists(), "and what is beside it stays");
        assert!(matches!(place.restore(&good, ""), Reply::Taken { .. }));
        assert_eq!(place.picture(), before);
    }
}

#[test]
fn a_file_comes_back_where_a_folder_has_its_name_and_a_folder_where_a_file_has() {
    for place in Place::each("a_file_comes_back") {
        place.write("a", "file");
        place.write("b/c", "in a folder");
        let (good, before) = (place.take(), place.picture());
        fs::remove_file(place.path("a")).expect("removed");
        fs::remove_dir_all(place.path("b")).expect("removed");
        place.write("a/x", "x");
        place.write("b", "b");
        let detail = refused(place.restore(&good, "b/c"), Refusal::InTheWay);
        assert!(detail.contains("restore that folder"), "{detail}");
        for path in ["a", "b"] {
            assert!(matches!(place.restore(&good, path), Reply::Taken { .. }));
        }
        let same = |(path, (mode, _, what)): (PathBuf, _)| (path, (mode, what));
        let (now, then) = (place.picture(), before);
        assert_eq!(
            now.into_iter().map(same).collect::<Vec<(PathBuf, (u32, String))>>(),
            then.into_iter().map(same).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_snapshot_is_browsed_read_and_packed() {
    for place in Place::each("a_snapshot_is_browsed_read_and_packed") {
        place.fill();
        let good = place.take();
        let told: Vec<_> =
            place.entries(&good, "").into_iter().map(|entry| (entry.what, entry.name)).collect();
        let named = |what, name: &str| (what, name.to_owned());
        assert_eq!(
            told[..3],
            [
                named(What::Folder, "nothing in it"),
                named(What::Folder, "project"),
                named(What::File, "empty")
            ]
        );
        assert_eq!(told.last(), Some(&named(What::Link, "out")));
        let within = place.entries(&good, "project");
        let film = within.iter().find(|entry| entry.name == "film.bin").expect("there");
        assert_eq!(film.bytes, 3_000_000);
        let read = place.file(&good, "project/film.bin").expect("read");
        assert!(read == fs::read(place.path("project/film.bin")).expect("read"));
        assert_eq!(place.file(&good, "empty"), Ok(Vec::new()));
        let (snapshot, path) = (good.id.clone(), inside("project/film.bin"));
        let first =
            place.content(Request::File { snapshot, path, most: Some(1000) }).expect("read");
        assert!(first == read[..1000]);
        for (path, why) in
            [("project", Refusal::Odd), ("gone", Refusal::Missing), ("empty/x", Refusal::Missing)]
        {
            refused(place.file(&good, path).expect_err("none"), why);
        }
        refused(
            place.ask(Request::Tree { snapshot: good.id.clone(), path: inside("empty") }),
            Refusal::Odd,
        );
        let (snapshot, path) = (good.id.clone(), Inside::all());
        let packed = place.content(Request::Zip { snapshot, path }).expect("packed");
        let mut zip = zip::ZipArchive::new(Cursor::new(packed)).expect("a zip file");
        let mut essay = String::new();
        zip.by_name("essay.txt").expect("there").read_to_string(&mut essay).expect("read");
        assert_eq!(essay, "words\n");
        assert_eq!(zip.len(), 13);
        let stays = |name: &str| !name.starts_with('/') && !name.contains("..");
        assert!(zip.file_names().all(|name| stays(&name.expect("a name"))));
        let unknown = "000000000001ffffffff".parse().expect("an id");
        let detail = refused(
            place.ask(Request::Tree { snapshot: unknown, path: Inside::all() }),
            Refusal::Missing,
        );
        assert!(detail.contains("list them again"), "{detail}");
    }
}

#[test]
fn one_is_only_made_where_something_changed() {
    for place in Place::each("one_is_only_made_where_something_changed") {
        let prepare = || place.ask(Request::Prepare { only_if_changed: true, desktop_runs: true });
        let freeze = place.kind == Kind::Repository;
        place.write("essay", "words");
        assert_eq!(prepare(), Reply::Prepared { freeze }, "there is none yet");
        place.take();
        assert_eq!(prepare(), Reply::Unchanged {});
        place.write("essay", "WORDS");
        assert_eq!(prepare(), Reply::Prepared { freeze });
        let second = place.take();
        assert_eq!(place.file(&second, "essay"), Ok(b"WORDS".to_vec()));
        assert_eq!(place.ask(Request::Tidy {}), Reply::Done {});
        assert_eq!(place.list().len(), 2);
        assert_eq!(prepare(), Reply::Unchanged {});
    }
}

#[test]
fn what_is_not_kept_any_longer_goes_and_the_rest_stays_readable() {
    for place in Place::each("what_is_not_kept_any_longer") {
        for words in ["first", "second", "third"] {
            place.write("essay", words);
            place.take();
        }
        let all = place.list();
        let old = place.keeper.store.join(format!("records/{}.json", all[2].id));
        let text = fs::read_to_string(&old).expect("a record");
        fs::write(&old, text.replace(&format!("\"at\":{}", all[2].at), "\"at\":1000"))
            .expect("written");
        // A keeper that was killed leaves what nothing is noted of.
        fs::remove_file(place.keeper.store.join(format!("records/{}.json", all[1].id)))
            .expect("removed");
        assert_eq!(place.ask(Request::Tidy {}), Reply::Done {});
        let left = place.list();
        assert_eq!(left, all[..1]);
        assert_eq!(place.file(&left[0], "essay"), Ok(b"third".to_vec()));
        let made = fs::read_dir(place.keeper.store.join("btrfs")).map_or(0, Iterator::count);
        assert_eq!(made, usize::from(place.kind == Kind::Btrfs));
        place.write("essay", "fourth");
        place.take();
        assert_eq!(place.list().len(), 2);
    }
}

#[test]
fn what_is_laid_out_is_in_no_snapshot_and_is_thrown_away() {
    for place in Place::each("what_is_laid_out_is_in_no_snapshot") {
        place.write("essay", "words");
        let (good, before) = (place.take(), place.picture());
        let stage = Request::Stage { snapshot: good.id.clone(), path: Inside::all() };
        assert_eq!(place.ask(stage.clone()), Reply::Done {});
        assert_eq!(place.picture().len(), 4, "laid out beside what is there");
        assert_eq!(
            place.ask(Request::Prepare { only_if_changed: true, desktop_runs: false }),
            Reply::Unchanged {}
        );
        let meanwhile = place.take();
        assert_eq!((meanwhile.files, meanwhile.bytes), (1, 5));
        // Twice is once, and its owner may have had their hands in it.
        assert_eq!(place.ask(stage), Reply::Done {});
        assert_eq!(place.ask(Request::Unstage {}), Reply::Done {});
        assert_eq!(place.picture(), before);
        refused(place.ask(Request::Restore {}), Refusal::Failed);
        assert_eq!(place.picture(), before);
    }
}
