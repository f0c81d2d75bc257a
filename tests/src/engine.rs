//! A container engine of a test's own, which may be stopped and started.

use crate::containers::docker;
use crate::process::signal;
use crate::wait::{GENEROUS, until_some};
use crate::xserver::TempDir;
use rustix::process::Signal;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The engine, with images of the machine's own.
#[derive(Debug)]
pub struct Engine {
    dir: TempDir,
    process: Option<Child>,
}

impl Engine {
    /// Starts it with these images.
    ///
    /// # Panics
    /// Where it does not start, or the machine's engine does not have them.
    pub fn with_images(images: &[&str]) -> Self {
        let dir = TempDir::new("engine");
        let mut engine = Self { dir, process: None };
        engine.start();
        let archive = engine.dir.path().join("images.tar");
        let path = archive.to_string_lossy();
        docker(&[&["save", "--output", &path], images].concat());
        let host = engine.host();
        docker(&["--host", &host, "load", "--quiet", "--input", &path]);
        std::fs::remove_file(&archive).expect("it was written");
        engine
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// As its command line names it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Starts it, where it was stopped.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(&mut self) {
        let place = |name: &str| self.dir.path().join(name);
        let log = File::options().create(true).append(true).open(place("log"));
        // On a network of its own: an engine without a bridge removes the docker0 that it finds.
        let mut command = Command::new("unshare");
        command.args(["--net", "dockerd"]);
        command.arg("--host").arg(self.host());
        command.arg("--data-root").arg(place("data")).arg("--exec-root").arg(place("exec"));
        command.arg("--pidfile").arg(place("pid"));
        // Beside the machine's own engine, whose bridge and rules are not touched.
        command.args(["--bridge", "none", "--iptables=false", "--ip6tables=false"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.expect("a file of ours"));
        let mut process = command.spawn().expect("dockerd is installed");
        until_some("the engine to answer", GENEROUS, || {
            let ended = process.try_wait().expect("it is ours");
            assert!(ended.is_none(), "dockerd ended: {}", self.log());
            let mut ask = Command::new("docker");
            ask.args(["--host", &self.host(), "version"]).stdout(Stdio::null());
            ask.stderr(Stdio::null()).status().is_ok_and(|status| status.success()).then_some(())
        });
        self.process = Some(process);
    }

    /// Stops it, and with it all containers.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal(process.id(), Signal::TERM);
            let _ = process.wait();
        }
    }

    /// What it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.process.is_some() {
            let host = self.host();
            let all = docker(&["--host", &host, "ps", "--all", "--quiet"]);
            if !all.is_empty() {
                let mut remove = Command::new("docker");
                let _ = remove.args(["--host", &host, "rm", "--force"]).args(all.lines()).output();
            }
        }
        self.stop();
        unmount(self.dir.path());
    }
}

/// What the engine leaves mounted when it ends would keep its directory from being removed.
fn unmount(dir: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for mount in below.filter(|mount| Path::new(mount).starts_with(dir)) {
        let _ = Command::new("umount").args(["--lazy", mount]).status();
    }
}
