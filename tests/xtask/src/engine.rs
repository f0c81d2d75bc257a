//! The container engine that some tests need: the one that answers, or one that is started for them
//! and ended after them; and the images in it.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::step::{PROFILE, Steps, command, is_there, succeed, target};

/// A first start makes a bridge and reads all images; a last one may have to end containers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which tests of the workspace need it, in the language of nextest: they are in modules of these
/// names.
pub(crate) const TESTS: &str = "package(lattice-tests) and test(/(^|::)(docker|containers)::/)";
/// The same for `cargo test --skip`.
pub(crate) const MODULES: [&str; 2] = ["docker::", "containers::"];

/// An engine that answers, as long as this lives.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Where it was started by us.
    daemon: Option<Child>,
}

impl Engine {
    /// One with all images in it that every desktop needs. Without, a step says why.
    pub(crate) fn prepare(steps: &mut Steps) -> Option<Self> {
        match Self::find() {
            Ok(engine) => steps.run("images", images).then_some(engine),
            Err(why) => {
                steps.skip("tests that need containers", &format!("{why:#}"));
                None
            }
        }
    }

    fn find() -> Result<Self> {
        let own = std::fs::metadata("/proc/self").context("find out who runs this")?;
        ensure!(own.uid() == 0, "only root may give desktops user ids of their own");
        ensure!(
            is_there("docker", &["--version"]),
            "there is no docker; `deploy/install-packages containers` installs it"
        );
        if answers() {
            return Ok(Self { daemon: None });
        }
        Self::start()
    }

    fn start() -> Result<Self> {
        let log = target().join("dockerd.log");
        std::fs::create_dir_all(target()).context("make the target directory")?;
        let file = File::create(&log).with_context(|| format!("make {}", log.display()))?;
        println!("starting a container engine, whose log is {}", log.display());
        let mut start = command("dockerd", &[]);
        let start = start.stdout(file.try_clone().context("share the log")?).stderr(file);
        let mut engine =
            Self { daemon: Some(start.spawn().context("no engine answers; start dockerd")?) };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && engine.is_running() {
            if answers() {
                return Ok(engine);
            }
            sleep(Duration::from_millis(200));
        }
        bail!("no engine answers, and none could be started: see {}", log.display())
    }

    fn is_running(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(|daemon| matches!(daemon.try_wait(), Ok(None)))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Asked, for it has containers to end and mounts to undo.
        if let Some(daemon) = &self.daemon {
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
        }
        let begun = Instant::now();
        while self.is_running() && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(100));
        }
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn answers() -> bool {
    // Without an engine it fails, but prints what it knows of itself all the same.
    let mut ask = command("docker", &["version", "--format", "{{.Server.APIVersion}}"]);
    ask.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Of what was built for the tests.
fn images() -> Result<()> {
    build_images(&[])
}

/// What lessons are given with: a few minutes, and most of a gigabyte, where they are not there yet.
pub(crate) fn app_images() -> Result<()> {
    build_images(&["vscode-golang", "vscode-java", "vscode-node-vue", "vscode-python"])
}

fn build_images(further: &[&str]) -> Result<()> {
    succeed(command("deploy/images", further).env("BINARIES", target().join(PROFILE)))
}
