//! What a desktop is made of is changed and gone back from while it runs, over crashes of the server.

use lattice_engine::session::SessionId;
use lattice_tests::eventually;
use lattice_tests::people::Proof;
use lattice_tests::process::signal;
use lattice_tests::serve::{Serve, ServeOptions};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

struct Made {
    serve: Serve,
    owner: Proof,
    session: SessionId,
}

impl Made {
    fn start(owners_edit: bool) -> Self {
        let env = vec![("LATTICE_DESKTOPS__OWNERS_EDIT_TEMPLATES", owners_edit.to_string())];
        let serve = Serve::start_with(ServeOptions { env, ..ServeOptions::default() });
        serve.account("sam", "member");
        let owner = serve.sign_in("sam");
        let session = serve.desktop_of(&owner);
        Self { serve, owner, session }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/sessions/{}{rest}", self.session)
    }

    fn read(&self, rest: &str) -> Value {
        self.serve.grant(&self.owner, "GET", &self.path(rest), &Value::Null)
    }

    /// What its own template is, where the runtime has one.
    fn kept(&self) -> PathBuf {
        self.serve.desktops().run_dir(&self.session).join("template.yaml")
    }

    /// The server dies and is started again.
    fn crash(&mut self) {
        signal(self.serve.pid(), Signal::KILL);
        self.serve.restart();
    }

    /// Waits until the desktop that runs is made of the newest version, or of an earlier one.
    fn wait(&self, is_current: bool) {
        eventually("the desktop to be made of it, or not", || {
            let seen = self.read("");
            seen["state"] == "running" && seen["template_current"] == is_current
        });
    }
}

#[test]
fn a_version_holds_from_the_next_start_on_whoever_crashes_and_is_gone_back_from() {
    let mut made = Made::start(false);
    made.wait(true);
    let before = made.read("/template");
    let base = before["text"].as_str().expect("the server's own").to_owned();
    assert_eq!((&before["version"], &before["may_edit"]), (&json!(0), &json!(false)));
    let text = base.replace("# Plain desktop", "# Mine").replace("title:", "title: My");
    assert_ne!(text, base);
    let change = json!({ "text": text, "based_on": 0, "note": "mine" });
    let refused = made.serve.ask(&made.owner, "PUT", &made.path("/template"), &change);
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("only administrators change"), "{}", refused.body);

    let supervisor = made.serve.desktops().supervisor(&made.session).expect("it runs");
    let admin = made.serve.admin();
    let applied = made.serve.grant(&admin, "PUT", &made.path("/template"), &change);
    assert_eq!(
        (&applied["template"]["version"], &applied["restarted"]),
        (&json!(1), &json!(false))
    );
    made.wait(false);
    assert_eq!(made.serve.desktops().supervisor(&made.session), Some(supervisor), "it goes on");
    assert!(!made.kept().exists());
    let snapshots = made.read("/snapshots");
    assert_eq!(snapshots["snapshots"][0]["cause"], "template");
    made.crash();
    made.wait(false);

    made.serve.grant(&admin, "POST", &made.path("/restart"), &Value::Null);
    made.wait(true);
    assert_eq!(fs::read_to_string(made.kept()).expect("kept"), text);
    let mode = fs::metadata(made.kept()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    made.crash();
    made.wait(true);

    let back = json!({ "based_on": 1, "restart": true });
    let path = made.path("/template/versions/0/restore");
    let back = made.serve.grant(&admin, "POST", &path, &back);
    assert_eq!((&back["template"]["text"], &back["restarted"]), (&json!(base), &json!(true)));
    eventually("the former one to run", || {
        fs::read_to_string(made.kept()).is_ok_and(|kept| kept == base)
    });
    made.wait(true);
    let versions = made.read("/template/versions");
    let notes: Vec<_> = versions["versions"].as_array().expect("a list").iter().collect();
    assert_eq!(
        notes.iter().map(|one| &one["note"]).collect::<Vec<_>>(),
        ["Version 0 again", "mine", ""]
    );
    made.serve.assert_no_panics();
}

#[test]
fn a_bad_template_is_refused_with_its_line_and_owners_edit_where_they_may() {
    let made = Made::start(true);
    let base = made.read("/template")["text"].as_str().expect("there").to_owned();
    let put = |text: &str| {
        let body = json!({ "text": text, "based_on": 0 });
        made.serve.ask(&made.owner, "PUT", &made.path("/template"), &body)
    };
    let line = base.lines().position(|line| line == "x-lattice:").expect("it has one") + 2;
    for (text, word) in [
        (base.replace("x-lattice:\n", "x-lattice:\n  colour: green\n"), format!("line {line}")),
        (base.replace("name: desktop", "name: other"), "must stay desktop".into()),
        (
            "name: desktop\nservices: { code: { image: lattice/terminal } }\nx-lattice: { title: A, \
             apps: { code: { title: C } } }\n"
                .into(),
            "line 2".into(),
        ),
        (format!("{base}{}", "#".repeat(64 << 10)), "65536 bytes".into()),
    ] {
        let refused = put(&text);
        assert_eq!(refused.status, 400);
        assert!(refused.body.contains(&word), "{word} is not in {}", refused.body);
    }
    assert_eq!(made.read("/template")["version"], 0);
    assert_eq!(put(&format!("{base}# mine\n")).status, 200);
    assert_eq!(put(&format!("{base}# again\n")).status, 409, "another version came between");
    made.serve.assert_no_panics();
}
