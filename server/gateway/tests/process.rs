//! The program itself, as a shell starts it.

use sqlx::{ConnectOptions as _, Connection as _};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

fn lattice() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lattice"));
    command.args(["share", "--listen", "127.0.0.1:0", "--agent-socket", "/nonexistent/agent"]);
    command.env("LATTICE_AGENT_TOKEN", "0123456789abcdefghijkl");
    command
}

#[test]
fn a_variable_that_is_no_unicode_is_passed_over() {
    let output = lattice()
        .env(OsStr::from_bytes(b"ODD_\xff"), "1")
        .env("LATTICE_SHARE__NAMES", "1")
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("did you mean LATTICE_SHARE__NAME?"), "{text}");
}

#[test]
fn closing_the_terminal_ends_it_in_order() {
    let mut child =
        lattice().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("a line");
    assert!(line.starts_with("Lattice is ready: http://127.0.0.1:"), "{line}");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("a signal");
    assert!(child.wait().expect("an end").success());
}

/// Whoever keeps services up must not try a wrong database again and again, nor change it.
#[tokio::test]
async fn a_database_of_a_newer_release_ends_it_with_the_status_for_configuration() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("lattice.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut made = options.create_if_missing(true).connect().await.expect("a database");
    let newer = "PRAGMA application_id = 1281455220; PRAGMA user_version = 1000";
    sqlx::raw_sql(newer).execute(&mut made).await.expect("set");
    made.close().await.expect("closed");
    let before = std::fs::read(&file).expect("there");
    // What the machine's owner has configured is no part of the test.
    let nothing = dir.path().join("lattice.toml");
    std::fs::write(&nothing, "").expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_lattice"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir.path())
        .env("LATTICE_CONFIG", nothing)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("newer release") && said.contains("schema 1000"), "{said}");
    assert!(before == std::fs::read(&file).expect("still there"), "it is as it was");
}

#[test]
fn with_tls_it_says_so_and_its_health_can_be_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = lattice()
        .args(["--tls", "on", "--tls-directory"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("a line");
    let base = line.strip_prefix("Lattice is ready: ").and_then(|url| url.split_once("/d/share#"));
    let (base, _) = base.unwrap_or_else(|| panic!("{line}"));
    assert!(base.starts_with("https://127.0.0.1:"), "{line}");
    let health = Command::new(env!("CARGO_BIN_EXE_lattice"))
        .args(["healthcheck", "--url", &format!("{base}/healthz")])
        .output()
        .expect("it starts");
    child.kill().expect("it runs");
    let output = child.wait_with_output().expect("an end");
    assert!(health.status.success(), "{}", String::from_utf8_lossy(&health.stderr));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("{base}/ca says how")), "{said}");
}
