//! Desktops as people keep them: their pictures, other names, and a way back for what was thrown away.

use lattice_engine::session::SessionId;
use lattice_tests::eventually;
use lattice_tests::people::Proof;
use lattice_tests::serve::Serve;
use lattice_wire::{ClientPacket, Size, close};
use serde_json::{Value, json};

/// A desktop that runs, and how its owner asks about it.
struct Kept {
    serve: Serve,
    owner: Proof,
    session: SessionId,
}

impl Kept {
    fn start() -> Self {
        let serve = Serve::start();
        serve.account("sam", "member");
        let owner = serve.sign_in("sam");
        let session = serve.desktop_of(&owner);
        Self { serve, owner, session }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/sessions/{}{rest}", self.session)
    }

    /// What the owner is answered with.
    fn ask(&self, method: &str, rest: &str, body: &Value) -> Value {
        self.serve.grant(&self.owner, method, &self.path(rest), body)
    }

    fn status(&self, who: &Proof, method: &str, rest: &str) -> u16 {
        self.serve.ask(who, method, &self.path(rest), &Value::Null).status
    }

    /// The number of the newest picture.
    fn picture(&self) -> Option<u64> {
        self.ask("GET", "", &Value::Null)["picture"].as_u64()
    }
}

#[test]
fn what_was_thrown_away_is_had_back_with_its_programs_and_links_and_nobody_sees_it_meanwhile() {
    let kept = Kept::start();
    let Kept { serve, owner, session } = &kept;
    let made = kept.ask("POST", "/links", &json!({ "role": "view" }));
    let secret = made["url"].as_str().and_then(|url| url.rsplit('/').next()).expect("a link");
    let guest = serve.redeem(secret);
    let (viewer, watcher) = (serve.viewer(owner, session), serve.viewer(&guest, session));
    viewer.wait_picture();
    watcher.wait_picture();
    let supervisor = serve.desktops().supervisor(session).expect("it runs");

    let thrown = kept.ask("POST", "/discard", &Value::Null);
    assert!(thrown["discarded"]["programs_until"].is_string(), "{thrown}");
    assert_eq!(viewer.wait_closed().0, close::ENDED);
    assert_eq!(watcher.wait_closed().0, close::ENDED);
    for who in [owner, &guest, &serve.admin()] {
        for (method, rest) in
            [("GET", ""), ("GET", "/picture"), ("POST", "/start"), ("GET", "/apps")]
        {
            assert_eq!(kept.status(who, method, rest), 404, "{method} {rest}");
        }
    }
    assert_eq!(kept.status(&guest, "POST", "/recover"), 404);
    let listed = serve.grant(owner, "GET", "/api/v1/sessions?discarded=1", &Value::Null);
    assert_eq!(listed["sessions"][0]["id"], session.as_str());

    kept.ask("POST", "/recover", &Value::Null);
    assert_eq!(serve.desktops().supervisor(session), Some(supervisor), "it has never ended");
    serve.viewer(owner, session).wait_picture();
    serve.viewer(&guest, session).wait_picture();
    kept.ask("DELETE", "", &Value::Null);
    assert_eq!(kept.status(owner, "POST", "/recover"), 404, "that was for good");
    eventually("the desktop to be gone", || serve.desktops().supervisor(session).is_none());
    serve.assert_no_panics();
}

#[test]
fn pictures_are_made_for_whoever_looks_and_for_nobody_else() {
    let kept = Kept::start();
    let Kept { serve, owner, session } = &kept;
    let grabs = || serve.metric("lattice_agent_grabs_total", &[]);
    assert_eq!((kept.picture(), grabs()), (None, 0.0), "nobody looks");
    let answer = serve.ask(owner, "GET", &kept.path("/picture"), &Value::Null);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/png")));
    assert!(answer.body.contains("PNG") && answer.body.len() < 300 << 10);
    let number = kept.picture().expect("it has a number");
    // Each look asks for one more, once there is something new.
    let viewer = serve.viewer(owner, session);
    viewer.wait_picture();
    viewer.wait("the owner to drive", |view| view.drives());
    viewer.send(&ClientPacket::Resize(Size::new(800, 600)));
    eventually("the next picture", || kept.picture().is_some_and(|newer| newer > number));

    serve.account("mallory", "member");
    let stranger = serve.sign_in("mallory");
    assert_eq!(kept.status(&stranger, "GET", "/picture"), 404);
    assert_eq!(kept.status(&Proof::Nobody, "GET", "/picture"), 401);
    kept.ask("POST", "/stop", &Value::Null);
    eventually("it to have stopped", || kept.ask("GET", "", &Value::Null)["state"] == "stopped");
    assert_eq!(kept.status(owner, "GET", "/picture"), 204);
    assert_eq!(kept.picture(), None, "it shows nothing any more");
    serve.assert_no_panics();
}

#[test]
fn another_name_is_shown_to_those_who_look_and_a_copy_has_the_same_files() {
    let kept = Kept::start();
    let Kept { serve, owner, session } = &kept;
    let viewer = serve.viewer(owner, session);
    viewer.wait_picture();
    kept.ask("PATCH", "", &json!({ "name": "Biology" }));
    viewer.wait("the new name", |view| {
        view.welcome.as_ref().is_some_and(|welcome| welcome.name == "Biology")
    });
    let since = || kept.ask("GET", "", &Value::Null)["usage"]["since"].clone();
    let before = since();
    assert!(before.is_string());
    let supervisor = serve.desktops().supervisor(session).expect("it runs");
    kept.ask("POST", "/restart", &Value::Null);
    eventually("it to have been started anew", || {
        let now = serve.desktops().supervisor(session);
        now.is_some_and(|now| now != supervisor)
            && kept.ask("GET", "", &Value::Null)["state"] == "running"
    });
    let twin = kept.ask("POST", "/duplicate", &json!({ "name": "Biology (2)" }));
    assert_eq!((&twin["name"], &twin["template"]), (&json!("Biology (2)"), &json!("desktop")));
    assert_eq!(kept.status(&serve.admin(), "POST", "/duplicate"), 403, "it would be theirs");
    serve.assert_no_panics();
}
