//! Catalogues as an administrator adds them by the command, and as a real server has them.

use lattice_tests::process::binary;
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::xserver::TempDir;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const IMAGE: &str =
    "r.example/draw@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Whoever makes catalogues, and a directory of a server's.
struct Maker {
    dir: TempDir,
    keys: String,
}

impl Maker {
    fn new() -> Self {
        let dir = TempDir::new("catalogue");
        let key = dir.path().join("school.key");
        let printed = run(&["keygen", &key.to_string_lossy()], &[]).expect("a key");
        let public = printed.lines().find_map(|line| line.strip_prefix("key = "));
        let keys = format!("[{{name=\"school\",key={}}}]", public.expect("it is printed"));
        Self { dir, keys }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("apps.yaml")
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let directory = self.dir.path().join("added").to_string_lossy().into_owned();
        vec![
            ("LATTICE_CATALOGUES__DIR", directory),
            ("LATTICE_CATALOGUES__KEYS", self.keys.clone()),
        ]
    }

    /// By the command, with what the server has in its environment, over its directory for data.
    fn run(&self, serve: &Serve, words: &[&str]) -> Result<String, String> {
        let mut environment = self.environment();
        let data = serve.desktops().data().to_string_lossy().into_owned();
        environment.push(("LATTICE_DATA_DIR", data));
        run(words, &environment)
    }

    fn write(&self, serial: u32) {
        let text = format!(
            "name: apps\ntitle: Apps\nserial: {serial}\napps:\n  draw:\n    title: Draw\n    version: '1'\n    \
             license: MIT\n    source: a test\n    size: 2m\n    service:\n      image: {IMAGE}\n      \
             mem_limit: 64m\n      pids_limit: 32\n    permissions: {{network: internet}}\n"
        );
        fs::write(self.file(), text).expect("written");
    }

    fn sign(&self) {
        let key = self.dir.path().join("school.key");
        let (key, file) = (key.to_string_lossy(), self.file());
        run(&["sign", "--key", &key, &file.to_string_lossy()], &[]).expect("signed");
    }
}

fn run(words: &[&str], environment: &[(&str, String)]) -> Result<String, String> {
    let mut command = Command::new(binary("lattice"));
    command
        .arg("catalogue")
        .args(words)
        .envs(environment.iter().map(|(name, value)| (name, value)));
    let output = command.output().expect("it runs");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn read(serve: &Serve) -> Value {
    let answer = serve.try_ask("GET", "/api/v1/catalogue", &Value::Null).expect("answered");
    serde_json::from_str(&answer.body).expect("JSON")
}

#[test]
fn what_is_signed_and_added_is_offered_and_what_was_changed_is_refused() {
    let maker = Maker::new();
    let serve =
        Serve::start_with(ServeOptions { env: maker.environment(), ..ServeOptions::default() });
    assert_eq!(read(&serve)["catalogues"], json!([]));
    maker.write(1);
    let file = maker.file().to_string_lossy().into_owned();
    let unsigned = maker.run(&serve, &["add", &file]).expect_err("it is not signed");
    assert!(unsigned.contains("it has no signature"), "{unsigned}");
    maker.sign();
    let checked = maker.run(&serve, &["check", &file]).expect("good");
    assert!(checked.contains("signed by school"), "{checked}");
    maker.run(&serve, &["add", &file]).expect("added");
    let offered = read(&serve);
    assert_eq!(offered["catalogues"][0]["signed_by"], "school");
    let app = &offered["apps"][0];
    assert_eq!((&app["app"], &app["offer"]["size_bytes"]), (&json!("draw"), &json!(2 << 20)));
    assert_eq!(app["offer"]["powers"][0]["text"], "can use the network");

    // Desktops in sandboxes have no apps, and that is said before and when somebody tries.
    assert!(offered["obstacle"].as_str().is_some_and(|why| why.contains("sandboxes have no apps")));
    let body = json!({ "edition": app["offer"]["edition"] });
    let path = "/api/v1/catalogue/apps/draw/everybody";
    let refused = serve.try_ask("POST", path, &body).expect("answered");
    assert_eq!(refused.status, 409, "{}", refused.body);

    // Somebody who has the disk changes a byte of what was added.
    let added = maker.dir.path().join("added/apps.yaml");
    let good = fs::read_to_string(&added).expect("read");
    fs::write(&added, good.replace("title: Draw", "title: Drew")).expect("written");
    let tampered = read(&serve);
    let why = tampered["catalogues"][0]["refused"].as_str().expect("refused");
    assert!(why.contains("it is not what school signed"), "{why}");
    assert_eq!(tampered["apps"], json!([]));
    let listed = maker.run(&serve, &["list"]).expect("listed");
    assert!(listed.contains("apps: REFUSED: it is not what school signed"), "{listed}");

    // A newer one is taken, and the older one then is not.
    maker.write(2);
    maker.sign();
    maker.run(&serve, &["add", &file]).expect("added");
    assert_eq!(read(&serve)["catalogues"][0]["serial"], 2);
    maker.write(1);
    maker.sign();
    let older = maker.run(&serve, &["add", &file]).expect_err("older");
    assert!(older.contains("its serial is 1, but 2 was seen before"), "{older}");
    maker.run(&serve, &["remove", "apps"]).expect("removed");
    assert_eq!(read(&serve)["catalogues"], json!([]));
    let none = maker.run(&serve, &["remove", "../x"]).expect_err("no name").to_lowercase();
    assert!(none.contains("is no name"), "{none}");
}
