//! New folders of zip files: what is harmless comes whole, and whatever is not changes nothing.

use super::*;
use lattice_wire::imports::ProjectName;
use std::io::Write as _;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const UTF8: u16 = 1 << 11;
const ENCRYPTED: u16 = 1;
const FILE: u32 = 0o100_644;

/// Something in a zip file, whatever it may be.
#[derive(Clone)]
struct Raw {
    name: Vec<u8>,
    data: Vec<u8>,
    mode: u32,
    flags: u16,
    method: u16,
    /// How long it claims to be.
    size: u32,
}

fn raw(name: impl AsRef<[u8]>, mode: u32, data: impl AsRef<[u8]>) -> Raw {
    let (name, data) = (name.as_ref().to_owned(), data.as_ref().to_owned());
    let size = u32::try_from(data.len()).expect("short");
    Raw { name, data, mode, flags: UTF8, method: 0, size }
}

fn crc(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

/// A zip file as APPNOTE has it, with nothing looked at.
fn zip_of(entries: &[Raw]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let Raw { name, data, mode, flags, method, size } = entry;
        let offset = u32::try_from(out.len()).expect("short");
        let mut common = Vec::new();
        for word in [20, *flags, *method, 0, 0x21] {
            common.extend(word.to_le_bytes());
        }
        for long in [crc(data), u32::try_from(data.len()).expect("short"), *size] {
            common.extend(long.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).expect("short").to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name);
        out.extend(data);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name);
    }
    let (at, length) = (out.len() as u32, directory.len() as u32);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX).to_le_bytes();
    out.extend([count, count].concat());
    out.extend(length.to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn chunked(bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for chunk in bytes.chunks(50_000).chain([&[][..]]) {
        all.extend(u32::try_from(chunk.len()).expect("short").to_be_bytes());
        all.extend(chunk);
    }
    all
}

impl Place {
    fn import_raw(&self, name: &str, input: &[u8]) -> Reply {
        let name = ProjectName::after(name);
        self.keeper.handle(Request::Import { name }, &mut Cursor::new(input)).reply
    }

    fn import(&self, name: &str, bytes: &[u8]) -> Reply {
        self.import_raw(name, &chunked(bytes))
    }
}

fn imported(reply: Reply) -> (String, u64, u64) {
    match reply {
        Reply::Imported { folder, files, bytes } => (folder, files, bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_zip_file_becomes_a_folder_of_its_owners_and_never_takes_the_place_of_another() {
    for place in Place::each("a_zip_file_becomes_a_folder") {
        let zip = zip_of(&[
            raw("shop/", 0o040_700, ""),
            raw("shop/run.sh", 0o104_755, "#!/bin/sh\n"),
            raw("shop/src/deep/ü.txt", FILE, "words"),
            raw("shop/empty/", 0o040_777, ""),
            raw("shop/src/link", 0o120_777, "../run.sh"),
            raw("__MACOSX/shop/._run.sh", FILE, "x"),
        ]);
        assert_eq!(imported(place.import("shop.zip", &zip)), ("shop".into(), 2, 24));
        assert_eq!(fs::read_to_string(place.path("shop/src/deep/ü.txt")).expect("read"), "words");
        assert_eq!(
            fs::read_link(place.path("shop/src/link")).expect("a link").to_str(),
            Some("../run.sh")
        );
        let found = |name: &str| fs::symlink_metadata(place.path(name)).expect(name);
        for (name, mode) in [
            ("shop", 0o755),
            ("shop/run.sh", 0o755),
            ("shop/empty", 0o755),
            ("shop/src/deep/ü.txt", 0o644),
        ] {
            // No more than whether it is a program is taken over: neither set-uid nor write for all.
            assert_eq!(found(name).mode() & 0o7777, mode, "{name}");
        }
        if let Some(owner) = place.keeper.owner {
            for name in ["shop", "shop/src", "shop/src/link", "shop/run.sh", "shop/src/deep/ü.txt"]
            {
                assert_eq!((found(name).uid(), found(name).gid()), (owner, owner), "{name}");
            }
        }
        place.write("shop/run.sh", "mine");
        assert_eq!(imported(place.import("shop.zip", &zip)).0, "shop-2");
        assert_eq!(fs::read_to_string(place.path("shop/run.sh")).expect("read"), "mine");
        // Also what is a file, or a link to nothing.
        symlink("/nowhere", place.path("notes")).expect("made");
        let notes = zip_of(&[raw("a.txt", FILE, "a"), raw("b/c.txt", FILE, "c")]);
        assert_eq!(imported(place.import("notes.zip", &notes)).0, "notes-2");
        assert!(place.path("notes-2/b/c.txt").is_file());
        let mut all: Vec<_> = fs::read_dir(&place.keeper.data)
            .expect("read")
            .map(|entry| entry.expect("one").file_name())
            .collect();
        all.sort();
        assert_eq!(all, ["notes", "notes-2", "shop", "shop-2"]);
    }
}

#[test]
fn what_zip_files_of_programs_hold_is_read() {
    let place = Place::plain();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.start_file("page.html", options).expect("begun");
    zip.write_all("<p>".repeat(40_000).as_bytes()).expect("written");
    zip.add_symlink("index.html", "page.html", options).expect("added");
    let zip = zip.finish().expect("finished").into_inner();
    assert_eq!(imported(place.import("site.zip", &zip)), ("site".into(), 1, 120_009));
    assert_eq!(fs::metadata(place.path("site/index.html")).expect("there").len(), 120_000);
}

/// A name, and a zip file that is not to be unpacked.
fn bad() -> Vec<(&'static str, Vec<u8>)> {
    let file = |name: &'static str| zip_of(&[raw("good.txt", FILE, "g"), raw(name, FILE, "evil")]);
    let link =
        |target: &str| zip_of(&[raw("good.txt", FILE, "g"), raw("a/link", 0o120_777, target)]);
    let kind = |mode| zip_of(&[raw("odd", mode, "")]);
    let with = |change: &dyn Fn(&mut Raw)| {
        let mut entry = raw("file", FILE, "words");
        change(&mut entry);
        zip_of(&[raw("good.txt", FILE, "g"), entry])
    };
    let zeros = {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["one", "two", "three"] {
            zip.start_file(name, SimpleFileOptions::default()).expect("begun");
            zip.write_all(&vec![0; 3 << 20]).expect("written");
        }
        zip.finish().expect("finished").into_inner()
    };
    let overlapping = {
        // Three names for the same bytes.
        let mut zip =
            zip_of(&[raw("one", FILE, "same"), raw("two", FILE, "same"), raw("six", FILE, "same")]);
        let at: Vec<_> = zip
            .windows(4)
            .enumerate()
            .filter(|(_, it)| *it == b"PK\x01\x02")
            .map(|(at, _)| at)
            .collect();
        for at in at {
            zip[at + 42..at + 46].copy_from_slice(&0_u32.to_le_bytes());
        }
        zip
    };
    let good = zip_of(&[raw("good.txt", FILE, "g")]);
    let many: Vec<_> = (0..50_001).map(|at| raw(format!("f{at}"), FILE, "")).collect();
    vec![
        ("goes up", file("../evil")),
        ("goes up in the middle", file("a/../../evil")),
        ("goes up and comes back", file("a/../evil")),
        ("is above itself", file("..")),
        ("absolute", file("/etc/cron.d/evil")),
        ("two slashes", file("//server/evil")),
        ("nothing between slashes", file("a//evil")),
        ("a dot in the middle", file("a/./evil")),
        ("a drive", file("C:/evil")),
        ("a drive with a backslash", file("C:\\evil")),
        ("backslashes that go up", file("..\\..\\evil")),
        ("a zero byte", file("evil\0.txt")),
        ("a line end", file("evil\n.txt")),
        ("an escape", file("\x1b[2Jevil")),
        ("no name", file("")),
        ("only a slash", file("/")),
        ("overlong UTF-8", zip_of(&[raw(b"..\xc0\xafevil", FILE, "e")])),
        ("no UTF-8", zip_of(&[raw(b"\xff\xfe", FILE, "e")])),
        ("a long name", zip_of(&[raw("n".repeat(256), FILE, "e")])),
        ("deep folders", zip_of(&[raw("d/".repeat(70) + "evil", FILE, "e")])),
        ("a link up", link("../../outside")),
        ("a link to a file elsewhere", link("/etc/passwd")),
        ("a link to nothing", link("")),
        ("a link that goes up later", link("b/../../../outside")),
        (
            "a link through a link",
            zip_of(&[raw("a", 0o120_777, "."), raw("b", 0o120_777, "a/../..")]),
        ),
        (
            "written through a link",
            zip_of(&[raw("a", 0o120_777, "b"), raw("a/evil", FILE, "e"), raw("b/", 0o040_755, "")]),
        ),
        (
            "written through a link out",
            zip_of(&[raw("a", 0o120_777, "../outside"), raw("a/evil", FILE, "e")]),
        ),
        ("a file that is a folder", zip_of(&[raw("a", FILE, "x"), raw("a/evil", FILE, "e")])),
        ("the same name twice", zip_of(&[raw("a", FILE, "x"), raw("a", FILE, "e")])),
        ("a link of the same name", zip_of(&[raw("a", FILE, "x"), raw("./a", 0o120_777, "b")])),
        ("a folder of the same name", zip_of(&[raw("a", FILE, "x"), raw("a/", 0o040_755, "")])),
        ("a pipe", kind(0o010_644)),
        ("a device", kind(0o020_644)),
        ("a disk", kind(0o060_644)),
        ("a socket", kind(0o140_644)),
        ("a password", with(&|entry| entry.flags |= ENCRYPTED)),
        ("an odd way to pack", with(&|entry| entry.method = 12)),
        ("longer than it says", with(&|entry| entry.size = 2)),
        ("shorter than it says", with(&|entry| entry.size = 500)),
        ("claims to be huge", with(&|entry| entry.size = u32::MAX - 1)),
        ("another file than it says", {
            let mut zip = zip_of(&[raw("file", FILE, "words")]);
            let at = zip.windows(5).position(|it| it == b"words").expect("there");
            zip[at] = b'W';
            zip
        }),
        ("a bomb", zeros),
        ("bytes that are of many files", overlapping),
        ("very many files", zip_of(&many)),
        ("no zip file", b"#!/bin/sh\nrm -rf /\n".to_vec()),
        ("nothing", Vec::new()),
        ("an empty one", zip_of(&[])),
        ("cut off", good[..good.len() - 30].to_vec()),
    ]
}

#[test]
fn whatever_means_harm_is_refused_and_changes_nothing() {
    let bad = bad();
    assert!(bad.len() >= 40);
    for place in Place::each("whatever_means_harm_is_refused") {
        let outside = place.dir.path().join("outside");
        fs::create_dir(&outside).expect("made");
        place.write("mine/essay", "words");
        let before = place.picture();
        for (what, zip) in &bad {
            let begun = std::time::Instant::now();
            let answered = place.import("evil.zip", zip);
            println!("{what}: {answered:?}");
            let detail = refused(answered, Refusal::Odd);
            assert!(detail.len() > 20 && !detail.contains('\0'), "{what}: {detail}");
            assert_eq!(place.picture(), before, "{what}");
            assert!(begun.elapsed().as_secs() < 2, "{what} took {:?}", begun.elapsed());
        }
        assert_eq!(fs::read_dir(&outside).expect("read").count(), 0);
        let left = fs::read_dir(&place.keeper.store).expect("read").filter_map(|it| it.ok());
        let left: Vec<_> = left.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
        assert!(
            !left.iter().any(|name| name.starts_with("upload-") || name == "staged"),
            "{left:?}"
        );
    }
}

#[test]
fn what_does_not_arrive_whole_is_not_there() {
    let place = Place::plain();
    let whole = chunked(&zip_of(&[raw("a", FILE, "words")]));
    let before = place.picture();
    for length in [0, 3, 10, whole.len() - 4, whole.len() - 1] {
        refused(place.import_raw("cut.zip", &whole[..length]), Refusal::Failed);
        assert_eq!(place.picture(), before, "{length}");
    }
    refused(place.import_raw("long.zip", &[0x7f, 0, 0, 0, 1]), Refusal::Odd);
    assert_eq!(imported(place.import_raw("cut.zip", &whole)).0, "cut");
}

#[test]
fn where_no_room_is_left_no_folder_is_made() {
    let place = match Place::tmpfs("8m") {
        Ok(place) => place,
        Err(why) => {
            return println!("the full disk was left out, since none can be mounted: {why}");
        }
    };
    place.write("essay", "words");
    let before = place.picture();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (at, name) in ["one", "two"].into_iter().enumerate() {
        let options = SimpleFileOptions::default();
        zip.start_file(name, options).expect("begun");
        // Half a byte of chance in each: room for the file, and none for what is in it.
        let noise: Vec<_> =
            noise(3_200_000, at as u64 + 1).iter().map(|byte| byte & 0x0f).collect();
        zip.write_all(&noise).expect("written");
    }
    let zip = zip.finish().expect("finished").into_inner();
    assert!(zip.len() < 4_500_000, "{}", zip.len());
    let detail = refused(place.import("film.zip", &zip), Refusal::Full);
    assert!(detail.contains("no room is left"), "{detail}");
    assert_eq!(place.picture(), before);
}
