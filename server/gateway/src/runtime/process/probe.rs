//! Finds what desktops are made of, and tries whether this machine lets sandboxes be. What is
//! missing is said with the remedy, before anybody waits for a desktop.

use super::Settings;
use crate::runtime::RuntimeError;
use crate::supervise::sandbox;
use anyhow::Context as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// This program's own file. After an upgrade in place the kernel says that the file was deleted;
/// the new one is at the same path.
pub(crate) fn own_program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find out where this program is")?;
    let text = own.to_string_lossy().into_owned();
    Ok(text.strip_suffix(" (deleted)").map_or(own, PathBuf::from))
}

/// Finds `containers/`: where `LATTICE_CONTAINERS` says, where it is installed, or in the
/// repository that this program was built in.
pub(crate) fn find_containers() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("LATTICE_CONTAINERS") {
        let path = PathBuf::from(path);
        anyhow::ensure!(
            is_complete(&path),
            "LATTICE_CONTAINERS names {}, which lacks desktop/display",
            path.display()
        );
        return Ok(path);
    }
    let own = own_program()?;
    let above = own.ancestors().skip(1);
    let shared = above.clone().map(|dir| dir.join("share/lattice/containers"));
    let beside = above.map(|dir| dir.join("containers"));
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../containers");
    let mut candidates = shared.chain(beside).chain([built]);
    let found = candidates.find(|path| is_complete(path)).context(
        "the desktop's files are missing; install them at /usr/share/lattice/containers or name \
         their directory in LATTICE_CONTAINERS",
    )?;
    found.canonicalize().with_context(|| format!("open {}", found.display()))
}

fn is_complete(containers: &Path) -> bool {
    containers.join("desktop/display").is_file() && containers.join("xorg/xorg.conf").is_file()
}

/// Finds what desktops need of this machine, and makes a sandbox.
pub(super) async fn sandbox(settings: &Settings) -> Result<PathBuf, RuntimeError> {
    if display_server().is_none() {
        return Err(missing("Xorg", "xserver-xorg-core xserver-xorg-video-dummy"));
    }
    reachable(&settings.agent)?;
    reachable(&settings.containers.join("desktop/display"))?;
    walls().await
}

/// Finds bwrap, and makes a sandbox with it.
pub(crate) async fn walls() -> Result<PathBuf, RuntimeError> {
    let bwrap = on_path("bwrap").ok_or_else(|| missing("bwrap", "bubblewrap"))?;
    for program in ["prlimit", "setpriv"] {
        on_path(program).ok_or_else(|| missing(program, "util-linux"))?;
    }
    try_out(&bwrap, rustix::process::geteuid().is_root()).await?;
    Ok(bwrap)
}

/// Finds the X server that desktops would try first.
pub(crate) fn display_server() -> Option<PathBuf> {
    // Debian's Xorg on the path is a wrapper that serves consoles only.
    let debian = PathBuf::from("/usr/lib/xorg/Xorg");
    let debian = Some(debian).filter(|path| path.is_file());
    debian.or_else(|| on_path("Xorg")).or_else(|| on_path("Xvfb"))
}

/// Refuses a file that desktops could not read.
pub(crate) fn reachable(file: &Path) -> Result<(), RuntimeError> {
    match rustix::process::geteuid().is_root() {
        true => readable_by_all(file),
        false => Ok(()),
    }
}

/// Makes a sandbox of the very kind that desktops get.
async fn try_out(bwrap: &Path, is_root: bool) -> Result<(), RuntimeError> {
    let uid = is_root.then_some(65_534);
    let output = Command::new(bwrap).args(sandbox::trial(uid)).env_clear().output().await;
    let output = output.map_err(RuntimeError::step("start", bwrap))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("it says nothing");
    let remedy = match is_root {
        true => {
            "root needs CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SETUID, CAP_SETGID and CAP_SETPCAP for \
                 them: in a container, add these and an unmasked /proc"
        }
        false => {
            "ordinary users need user namespaces for them: as root, set \
                  kernel.unprivileged_userns_clone=1 and user.max_user_namespaces=10000 (on Ubuntu \
                  also kernel.apparmor_restrict_unprivileged_userns=0) by sysctl, or run lattice as \
                  root"
        }
    };
    Err(RuntimeError::Unusable {
        what: format!("sandboxes cannot be made here: {said}"),
        remedy: remedy.into(),
    })
}

pub(crate) fn missing(program: &str, package: &str) -> RuntimeError {
    RuntimeError::Unusable {
        what: format!("{program} is not installed, which desktops need"),
        remedy: format!("apt-get install {package}"),
    }
}

/// Desktops of root's gateway run as other users. The directories above do not matter: the files
/// are mounted into the sandbox.
fn readable_by_all(file: &Path) -> Result<(), RuntimeError> {
    let found = std::fs::metadata(file).map_err(RuntimeError::step("inspect", file))?;
    if found.permissions().mode() & 0o005 == 0o005 {
        return Ok(());
    }
    Err(RuntimeError::Unusable {
        what: format!("only root may run {}, but desktops run as other users", file.display()),
        remedy: format!("chmod -R a+rX {}", file.parent().unwrap_or(file).display()),
    })
}

pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_has_what_a_desktop_is_made_of() {
        assert!(is_complete(&find_containers().expect("found")));
    }

    #[test]
    fn a_file_that_only_root_can_read_is_named_with_the_remedy() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("agent");
        std::fs::write(&file, "").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).expect("set");
        let error = readable_by_all(&file).expect_err("nobody else may").to_string();
        assert!(error.contains(&format!("chmod -R a+rX {}", dir.path().display())), "{error}");
    }

    #[tokio::test]
    async fn a_sandbox_that_cannot_be_made_is_an_error_with_a_remedy() {
        let error = try_out(Path::new("/bin/false"), false).await.expect_err("it fails");
        assert!(error.to_string().contains("user.max_user_namespaces"), "{error}");
    }
}
