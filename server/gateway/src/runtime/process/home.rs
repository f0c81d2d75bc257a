//! A user's home and Data: `<data>/homes/<user>/{home,data}`.
//!
//! Where desktops have user ids of their own, what is in the home is not to be trusted: a link in it
//! may lead anywhere. So nothing here follows one.

use super::place::private_dir;
use crate::runtime::RuntimeError;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a home is called that was moved away, and when.
const BEFORE_RESET: &str = "home.before-reset-";

/// Where Data appears in the home.
pub(crate) const DATA: &str = "Data";

/// Makes what is missing, for the user id that is to own it, and returns home and Data.
pub(crate) fn prepare(
    base: &Path,
    owner: i64,
    uid: Option<u32>,
) -> Result<(PathBuf, PathBuf), RuntimeError> {
    let user = base.join("homes").join(owner.to_string());
    private_dir(&user).map_err(RuntimeError::step("make the directory", &user))?;
    let (home, data) = (user.join("home"), user.join("data"));
    for path in [&home, &data] {
        let made = private_dir(path).and_then(|()| open_directory(CWD, path));
        made.and_then(|directory| own(&directory, uid))
            .map_err(RuntimeError::step("make the directory", path))?;
    }
    mount_point(&home, uid).map_err(RuntimeError::step("make the directory Data in", &home))?;
    Ok((home, data))
}

/// Makes what is missing of an app's own home, with a place in it for Data, and returns it.
pub(crate) fn prepare_app(
    base: &Path,
    owner: i64,
    app: &str,
    uid: Option<u32>,
) -> Result<PathBuf, RuntimeError> {
    let user = base.join("homes").join(owner.to_string());
    let apps = user.join("apps");
    let home = apps.join(app);
    private_dir(&apps).map_err(RuntimeError::step("make the directory", &apps))?;
    let made = private_dir(&home).and_then(|()| open_directory(CWD, &home));
    made.and_then(|directory| own(&directory, uid))
        .and_then(|()| mount_point(&home, uid))
        .map_err(RuntimeError::step("make the directory", &home))?;
    Ok(home)
}

/// Moves a home away, and those of apps, so that the next start makes one as it is at first. The one that was moved away
/// last is kept, in case something was in it; Data is not in it.
pub(crate) fn set_aside(base: &Path, owner: i64) -> Result<(), RuntimeError> {
    let user = base.join("homes").join(owner.to_string());
    let home = user.join("home");
    let aside = free_name(&user);
    match std::fs::rename(&home, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        moved => moved.map_err(RuntimeError::step("move away the home", &home))?,
    }
    let (apps, apps_aside) = (user.join("apps"), aside.with_added_extension("apps"));
    match std::fs::rename(&apps, &apps_aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        moved => moved.map_err(RuntimeError::step("move away the apps' homes", &apps))?,
    }
    for old in asides(&user).map_err(RuntimeError::step("list", &user))? {
        if old != aside && old != apps_aside {
            std::fs::remove_dir_all(&old).map_err(RuntimeError::step("remove", &old))?;
        }
    }
    Ok(())
}

/// By the second, or the first one after it that is free.
fn free_name(user: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let names = (now..).map(|at| user.join(format!("{BEFORE_RESET}{at}")));
    let mut free = names.filter(|path| std::fs::symlink_metadata(path).is_err());
    free.next().unwrap_or_else(|| user.join(BEFORE_RESET))
}

fn asides(user: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(user)?.collect::<io::Result<Vec<_>>>()?;
    let aside = |entry: &std::fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with(BEFORE_RESET))
    };
    Ok(entries.iter().filter(|entry| aside(entry)).map(std::fs::DirEntry::path).collect())
}

/// The empty directory in the home that Data is mounted on. Whatever else has that name gives way.
fn mount_point(home: &Path, uid: Option<u32>) -> io::Result<()> {
    let home = open_directory(CWD, home)?;
    match rustix::fs::statat(&home, DATA, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => return Ok(()),
        Ok(_) => rustix::fs::renameat(&home, DATA, &home, format!("{DATA} (old)"))?,
        Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    rustix::fs::mkdirat(&home, DATA, Mode::RWXU)?;
    own(&open_directory(&home, Path::new(DATA))?, uid)
}

fn open_directory(at: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, path, flags, Mode::empty())?)
}

fn own(directory: &OwnedFd, uid: Option<u32>) -> io::Result<()> {
    let Some(uid) = uid else { return Ok(()) };
    let found = rustix::fs::fstat(directory)?;
    // Where a quota is used up not even that can be written, and it need not be.
    if (found.st_uid, found.st_gid) == (uid, uid) {
        return Ok(());
    }
    Ok(rustix::fs::fchown(directory, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    fn uid() -> Option<u32> {
        rustix::process::geteuid().is_root().then_some(100_007)
    }

    #[test]
    fn a_home_is_made_once_for_its_owner_alone() {
        let base = tempfile::tempdir().expect("a directory");
        let (home, data) = prepare(base.path(), 7, uid()).expect("made");
        fs::write(home.join("essay"), "words").expect("written");
        assert_eq!(prepare(base.path(), 7, uid()).expect("there"), (home.clone(), data.clone()));
        assert_eq!(fs::read_to_string(home.join("essay")).expect("kept"), "words");
        for path in [home.join(DATA), home, data] {
            let found = fs::symlink_metadata(&path).expect("there");
            assert_eq!(found.permissions().mode() & 0o777, 0o700, "{}", path.display());
            assert_eq!(Some(found.uid()), uid().or(Some(found.uid())), "{}", path.display());
        }
    }

    #[test]
    fn a_home_is_set_aside_once_and_data_stays() {
        let base = tempfile::tempdir().expect("a directory");
        set_aside(base.path(), 7).expect("nothing to do");
        for words in ["first", "second", "third"] {
            let (home, data) = prepare(base.path(), 7, uid()).expect("made");
            assert!(!home.join("essay").exists(), "the home begins anew");
            fs::write(home.join("essay"), words).expect("written");
            fs::write(data.join(words), words).expect("written");
            set_aside(base.path(), 7).expect("moved");
            assert!(!home.exists());
            let asides = asides(&base.path().join("homes/7")).expect("a list");
            let [aside] = asides.as_slice() else { panic!("{asides:?}") };
            assert_eq!(fs::read_to_string(aside.join("essay")).expect("kept"), words);
            assert!(data.join("first").exists() && data.join(words).exists());
        }
    }

    #[test]
    fn a_link_in_the_way_of_data_is_moved_aside_and_leads_nowhere() {
        let base = tempfile::tempdir().expect("a directory");
        let (home, _) = prepare(base.path(), 7, uid()).expect("made");
        let elsewhere = base.path().join("elsewhere");
        fs::create_dir(&elsewhere).expect("made");
        let before = fs::metadata(&elsewhere).expect("there").uid();
        fs::remove_dir(home.join(DATA)).expect("empty");
        std::os::unix::fs::symlink(&elsewhere, home.join(DATA)).expect("made");
        prepare(base.path(), 7, uid()).expect("made");
        assert!(fs::symlink_metadata(home.join(DATA)).expect("there").is_dir());
        assert!(fs::symlink_metadata(home.join("Data (old)")).expect("kept").is_symlink());
        assert_eq!(fs::metadata(&elsewhere).expect("there").uid(), before);
    }
}
