//! What a desktop in sandboxes says, read over the API of a real server; and what is never in it.

use lattice_engine::session::SessionId;
use lattice_tests::eventually;
use lattice_tests::people::Proof;
use lattice_tests::process::signal;
use lattice_tests::serve::Serve;
use lattice_tests::wait::{GENEROUS, until_some};
use rustix::process::Signal;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

const PARTS: [&str; 4] = ["desktop", "agent", "api", "supervisor"];

fn path(session: &SessionId, query: &str) -> String {
    format!("/api/v1/sessions/{session}/logs{query}")
}

fn read(serve: &Serve, session: &SessionId, part: &str) -> String {
    let query = format!("?part={part}&tail=5000");
    let answer = serve.try_ask("GET", &path(session, &query), &Value::Null).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// Writes where the desktop's own programs do. Only root can from outside.
fn say(serve: &Serve, session: &SessionId, text: &str) {
    let program = until_some("the desktop's session", GENEROUS, || {
        serve.desktops().process(session, "session")
    });
    let stderr = std::fs::File::options().write(true).open(format!("/proc/{program}/fd/2"));
    stderr.expect("its standard error").write_all(text.as_bytes()).expect("written");
}

struct Events(TcpStream, String);

impl Events {
    fn follow(serve: &Serve, session: &SessionId, part: &str) -> Self {
        let mut stream = TcpStream::connect(serve.address()).expect("it listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("a timeout");
        let path = path(session, &format!("?part={part}&follow=1"));
        let head = serve.head(&serve.admin());
        let text = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{head}\r\n", serve.address());
        stream.write_all(text.as_bytes()).expect("sent");
        Self(stream, String::new())
    }

    fn until(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.1.contains(text) {
            let mut piece = [0; 4096];
            let count = self.0.read(&mut piece).expect("it goes on");
            assert!(count > 0 && begun.elapsed() < GENEROUS, "no {text:?} in {}", self.1);
            self.1 += &String::from_utf8_lossy(&piece[..count]);
        }
    }
}

#[test]
fn a_log_is_followed_over_restarts_of_a_part_and_to_the_end() {
    let serve = Serve::start();
    let session = serve.desktop_of(&serve.admin());
    let parts = serve.try_ask("GET", &path(&session, "/parts"), &Value::Null).expect("an answer");
    assert!(PARTS.iter().all(|part| parts.body.contains(&format!("\"{part}\""))), "{}", parts.body);
    let mut desktop = Events::follow(&serve, &session, "desktop");
    desktop.until("event: ready");
    say(&serve, &session, "a word \x1b[31min red\x1b[0m <b>\n");
    desktop.until("a word in red <b>");
    let log = read(&serve, &session, "desktop");
    let line = log.lines().find(|line| line.contains("in red")).expect("it is there");
    assert!(line.starts_with("20") && line.ends_with("Z a word in red <b>"), "{line:?}");
    assert!(!read(&serve, &session, "agent").contains("in red"), "each part has its own");

    let mut supervisor = Events::follow(&serve, &session, "supervisor");
    supervisor.until("event: ready");
    let agent = serve.desktops().process(&session, "lattice-agent").expect("an agent");
    signal(agent, Signal::KILL);
    supervisor.until("its agent ended");
    let stopped = serve.try_ask("POST", &format!("/api/v1/sessions/{session}/stop"), &Value::Null);
    assert!(stopped.expect("an answer").status < 300);
    supervisor.until("ended as asked");
    supervisor.until("event: ended");
    desktop.until("event: ended");
    // Why it ended can be read afterwards, too.
    assert!(read(&serve, &session, "supervisor").contains("ended as asked"));
    serve.assert_no_panics();
}

#[test]
fn neither_keys_nor_tokens_are_in_any_log() {
    const TYPED: &str = "correcthorsebattery";
    let serve = Serve::start();
    let session = serve.desktop_of(&serve.admin());
    let viewer = serve.viewer(&serve.admin(), &session);
    viewer.wait_picture();
    viewer.type_text(TYPED);
    viewer.compose("typed at once: größerestapler");
    viewer.wait_digest();
    let token = std::fs::read_to_string(serve.desktops().run_dir(&session).join("token"));
    let token = token.expect("a token").trim().to_owned();
    eventually("the desktop to have said something", || {
        PARTS.iter().any(|part| !read(&serve, &session, part).is_empty())
    });
    for part in PARTS {
        let log = read(&serve, &session, part);
        for secret in [TYPED, "größerestapler", &token, serve.token()] {
            assert!(!log.contains(secret), "{part}: {log}");
        }
        for letter in ["KeyC", "keysym", "\"c\""] {
            assert!(!log.contains(letter), "{part} tells of {letter}: {log}");
        }
    }
}

#[test]
fn nobody_reads_the_log_of_another() {
    let serve = Serve::start();
    serve.account("ada", "member");
    serve.account("eve", "member");
    let (ada, eve) = (serve.sign_in("ada"), serve.sign_in("eve"));
    let session = serve.desktop_of(&ada);
    let guest = serve.redeem(&serve.link(&session, "control", serde_json::json!({})).secret);
    for part in PARTS {
        for query in [format!("?part={part}"), format!("?part={part}&follow=1")] {
            let ask = |who: &Proof| serve.ask(who, "GET", &path(&session, &query), &Value::Null);
            assert_eq!(ask(&eve).status, 404, "{query}");
            assert_eq!(ask(&Proof::Nobody).status, 401, "{query}");
            assert_eq!(ask(&guest).status, 403, "{query}");
        }
        let own = serve.ask(&ada, "GET", &path(&session, &format!("?part={part}")), &Value::Null);
        assert_eq!(own.status, 200);
    }
    for bad in ["..%2F..%2Fetc%2Fpasswd", "log.before", "%00", "app:..%2Fx"] {
        let query = format!("?part={bad}");
        let status = serve.ask(&ada, "GET", &path(&session, &query), &Value::Null).status;
        assert_eq!(status, 400, "{bad}");
    }
}
