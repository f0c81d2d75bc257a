//! Whoever means harm to snapshots, to somebody else's files or to the disk gets nothing of it.

use super::*;

#[test]
fn no_link_leads_out_of_data() {
    for place in Place::each("no_link_leads_out_of_data") {
        let outside = place.dir.path().join("outside");
        fs::create_dir(&outside).expect("made");
        fs::write(outside.join("secret"), "of somebody else").expect("written");
        place.write("folder/secret", "own");
        symlink(&outside, place.path("trap")).expect("made");
        let good = place.take();
        assert_eq!(good.files, 1, "what a link leads to is not read");
        let trap = refused(place.file(&good, "trap/secret").expect_err("none"), Refusal::Missing);
        assert!(trap.contains("trap/secret"), "{trap}");
        refused(place.file(&good, "trap").expect_err("a link"), Refusal::Odd);
        // The folder is a link out of Data by now.
        fs::remove_dir_all(place.path("folder")).expect("removed");
        symlink(&outside, place.path("folder")).expect("made");
        refused(place.restore(&good, "folder/secret"), Refusal::InTheWay);
        assert!(matches!(place.restore(&good, "folder"), Reply::Taken { .. }));
        assert!(fs::symlink_metadata(place.path("folder")).expect("there").is_dir());
        assert!(matches!(place.restore(&good, ""), Reply::Taken { .. }));
        let left = fs::read_dir(&outside).expect("read").count();
        assert_eq!(left, 1);
        assert_eq!(fs::read(outside.join("secret")).expect("read"), b"of somebody else");
        // Nothing that was laid out is left lying about.
        let names =
            place.picture().into_keys().filter(|path| path.parent() == Some(&place.keeper.data));
        assert_eq!(names.count(), 2);
    }
}

#[test]
fn what_is_laid_out_and_was_moved_away_is_not_put_anywhere() {
    for place in Place::each("what_is_laid_out_and_was_moved_away") {
        place.write("essay", "words");
        let good = place.take();
        let stage = Request::Stage { snapshot: good.id.clone(), path: inside("essay") };
        assert_eq!(place.ask(stage), Reply::Done {});
        let is_stage = |path: &PathBuf| path.to_string_lossy().contains(".lattice-restore-");
        let stage = place.picture().into_keys().find(is_stage).expect("laid out");
        fs::rename(&stage, place.path("mine")).expect("renamed");
        fs::create_dir_all(stage.join("laid")).expect("made");
        fs::write(place.path("essay"), "new words").expect("written");
        refused(place.ask(Request::Restore {}), Refusal::InTheWay);
        assert_eq!(fs::read(place.path("essay")).expect("read"), b"new words");
    }
}

#[test]
fn where_no_room_is_left_nothing_is_half_made() {
    let place = match Place::tmpfs("24m") {
        Ok(place) => place,
        Err(why) => {
            return println!("the full disk was left out, since none can be mounted: {why}");
        }
    };
    place.write("film", noise(9_000_000, 2));
    let good = place.take();
    fs::remove_file(place.path("film")).expect("removed");
    place.write("other", noise(9_000_000, 3));
    // Neither is there room for one more,
    let full = place.ask(Request::Take { cause: Cause::Asked, name: None });
    let detail = refused(full, Refusal::Full);
    assert!(detail.contains("make room"), "{detail}");
    assert_eq!(place.list(), std::slice::from_ref(&good));
    // nor for what is to be restored, and Data is as it was.
    let before = place.picture();
    refused(place.restore(&good, ""), Refusal::Full);
    assert_eq!(place.picture(), before);
    fs::remove_file(place.path("other")).expect("removed");
    assert_eq!(place.ask(Request::Tidy {}), Reply::Done {});
    assert!(matches!(place.restore(&good, ""), Reply::Taken { .. }));
    assert!(fs::read(place.path("film")).expect("read") == noise(9_000_000, 2));
}

#[test]
fn what_btrfs_keeps_cannot_be_written_to() {
    let Ok(place) = Place::btrfs() else { return println!("left out: no btrfs can be mounted") };
    place.write("essay", "words");
    let good = place.take();
    let kept = place.keeper.store.join("btrfs").join(good.id.as_str());
    let refused = fs::write(kept.join("essay"), "others").expect_err("even root may not");
    assert_eq!(refused.kind(), io::ErrorKind::ReadOnlyFilesystem);
    fs::remove_file(kept.join("essay")).expect_err("even root may not");
}
