//! Whose pages may ask, by which names, and with which secrets: every combination.

use super::rights::in_store;
use lattice_engine::session::SessionId;
use lattice_gateway::auth::Token;
use lattice_gateway::store::{LIFETIME_S, Timestamp, TokenHash, UserId};
use lattice_tests::http::{Response, try_request};
use lattice_tests::people::Proof;
use lattice_tests::serve::Serve;
use lattice_wire::close::REVOKED;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// What a request says about the page that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Nowhere,
    Ours,
    Elsewhere,
}

/// The lines of a header that say so, of a server at `host` and `port`.
fn pages(host: &str, port: u16) -> Vec<(String, Page)> {
    use Page::{Elsewhere, Nowhere, Ours};
    let same = format!("http://{host}:{port}");
    let one = [
        (same.clone(), Ours),
        ("null".into(), Elsewhere),
        (String::new(), Elsewhere),
        ("http://evil.example".into(), Elsewhere),
        (format!("http://evil.example:{port}"), Elsewhere),
        (format!("http://{host}:{}", port ^ 1), Elsewhere),
        (format!("http://{host}"), Elsewhere),
        (format!("https://{host}:{port}"), Elsewhere),
        (format!("ws://{host}:{port}"), Elsewhere),
        (format!("//{host}:{port}"), Elsewhere),
        (format!("{host}:{port}"), Elsewhere),
        (format!("http://www.{host}:{port}"), Elsewhere),
        (format!("http://{host}.evil.example:{port}"), Elsewhere),
        (format!("http://{host}:{port}.evil.example"), Elsewhere),
        (format!("http://evil-{host}:{port}"), Elsewhere),
        (format!("http://{host}@evil.example:{port}"), Elsewhere),
        (format!("http://user@{host}:{port}"), Elsewhere),
        (format!("HTTP://{host}:{port}"), Elsewhere),
        (format!("http://{host}.:{port}"), Elsewhere),
        (format!("http://{host}:{port}/"), Elsewhere),
        (format!("http://{host}:0{port}"), Elsewhere),
        (format!("http://xn--lcalhost-n4a:{port}"), Elsewhere),
        (format!("http://löcalhost:{port}"), Elsewhere),
        (format!("http://LOCALHOST:{port}"), Elsewhere),
        (format!("{same} http://evil.example"), Elsewhere),
        (format!("{same},http://evil.example"), Elsewhere),
    ];
    let one = one.map(|(origin, from)| (format!("Origin: {origin}\r\n"), from));
    let evil = "Origin: http://evil.example\r\n";
    let two = [
        (format!("Origin: {same}\r\n{evil}"), Elsewhere),
        (format!("{evil}Origin: {same}\r\n"), Elsewhere),
        (format!("Origin: {same}\r\nOrigin: {same}\r\n"), Elsewhere),
    ];
    one.into_iter().chain(two).chain([(String::new(), Nowhere)]).collect()
}

/// The status that a request with these lines is answered with, by whatever host.
fn send(serve: &Serve, first: &str, host: &str, lines: &str, body: &str) -> Response {
    let text = format!(
        "{first} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n{lines}\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(serve.address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(text.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).expect("an answer") {
            0 => break,
            count => answer.extend_from_slice(&piece[..count]),
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    Response::parse(&answer).unwrap_or_else(|| panic!("{first} {lines}: {answer:?}"))
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Protocol: lattice.v1\r\n";

fn upgrade(serve: &Serve, session: &SessionId, host: &str, lines: &str) -> u16 {
    let first = format!("GET /ws/{session}");
    send(serve, &first, host, &format!("{UPGRADE}{lines}"), "").status
}

/// Asks for what would be refused only once it has come through.
fn change(serve: &Serve, host: &str, lines: &str) -> u16 {
    let body = json!({ "template": "there is none" }).to_string();
    send(serve, "POST /api/v1/sessions", host, lines, &body).status
}

#[test]
fn only_exactly_our_own_pages_ask_with_a_cookie() {
    let serve = Serve::start();
    let session = serve.desktop_of(&serve.admin());
    let _ = serve.account("ann", "admin");
    let (cookie, port) = (serve.sign_in("ann"), serve.address().port());
    let mut cases = 0;
    for host in ["localhost", "127.0.0.1", "LocalHost"] {
        for (page, from) in pages(&host.to_lowercase(), port) {
            for who in [&cookie, &serve.admin(), &Proof::Nobody] {
                let expected = |done| match (from, who) {
                    (Page::Elsewhere, _) => 403,
                    (Page::Nowhere, Proof::Cookie(_)) => 403,
                    (Page::Ours | Page::Nowhere, Proof::Nobody) => 401,
                    (Page::Ours | Page::Nowhere, Proof::Bearer(_)) => done,
                    (Page::Ours, Proof::Cookie(_)) => done,
                };
                let (lines, host) = (format!("{page}{}", who.lines()), format!("{host}:{port}"));
                assert_eq!(upgrade(&serve, &session, &host, &lines), expected(101), "{lines:?}");
                assert_eq!(change(&serve, &host, &lines), expected(400), "{lines:?}");
                cases += 2;
            }
        }
    }
    println!("{cases} requests were answered as the table says");
    serve.assert_no_panics();
}

#[test]
fn only_exactly_our_own_names_are_answered_to() {
    let serve = Serve::start();
    let port = serve.address().port();
    let table = [
        (format!("localhost:{port}"), true),
        (format!("LOCALHOST:{port}"), true),
        (format!("127.0.0.1:{port}"), true),
        (format!("[::1]:{port}"), true),
        (format!("localhost:{}", port ^ 1), false),
        ("localhost".into(), false),
        (format!("localhost.:{port}"), false),
        (format!("localhost.evil.example:{port}"), false),
        (format!("localhost:{port}.evil.example"), false),
        (format!("evil-localhost:{port}"), false),
        (format!("www.localhost:{port}"), false),
        (format!("evil.example:{port}"), false),
        (format!("localhost@evil.example:{port}"), false),
        (format!("127.1:{port}"), false),
        (format!("2130706433:{port}"), false),
        (format!("127.0.0.1.evil.example:{port}"), false),
        (format!("*:{port}"), false),
        (format!("*.localhost:{port}"), false),
        (String::new(), false),
    ];
    for (host, known) in table {
        let status = send(&serve, "GET /healthz", &host, "", "").status;
        assert_eq!(status, if known { 200 } else { 421 }, "Host: {host}");
        // What others say of the name counts for as little.
        let said =
            format!("X-Forwarded-Host: localhost:{port}\r\nForwarded: host=localhost:{port}\r\n");
        assert_eq!(send(&serve, "GET /healthz", &host, &said, "").status, status, "Host: {host}");
    }
    let twice = format!("Host: localhost:{port}\r\n");
    let status = send(&serve, "GET /healthz", &format!("localhost:{port}"), &twice, "").status;
    assert!([400, 421].contains(&status), "two hosts: {status}");
}

#[test]
fn a_secret_that_has_ended_or_is_of_another_opens_nothing() {
    let serve = Serve::start();
    let (admin, nothing) = (serve.admin(), Value::Null);
    let session = serve.desktop_of(&admin);
    let path = format!("/api/v1/sessions/{session}");
    for name in ["ann", "ben", "cid"] {
        let _ = serve.account(name, "member");
    }
    let shared = serve.link(&session, "view", json!({}));
    let guest = serve.redeem(&shared.secret);
    let open = serve.viewer(&guest, &session);
    let signed_out = serve.sign_in("ann");
    let other = serve.sign_in("ben");
    let others_program = Proof::Bearer(serve.token_of("ben"));
    let disabled = Proof::Bearer(serve.token_of("cid"));
    let watching = {
        let body = json!({ "token": shared.secret });
        serve.grant(&signed_out, "POST", "/api/v1/redeem", &body);
        serve.viewer(&signed_out, &session)
    };
    watching.wait_picture();
    assert_eq!(serve.ask(&signed_out, "GET", &path, &nothing).status, 200);

    serve.grant(&signed_out, "POST", "/api/v1/logout", &nothing);
    assert_eq!(watching.wait_closed().0, REVOKED, "an open socket ends with its sign-out");
    assert_eq!(open.view(|view| view.closed.clone()), None);
    serve.grant(&admin, "DELETE", &format!("{path}/links/{}", shared.id), &nothing);
    assert_eq!(open.wait_closed().0, REVOKED);
    let users = serve.grant(&admin, "GET", "/api/v1/users", &nothing);
    let cid = users["users"].as_array().expect("a list").iter().find(|user| user["name"] == "cid");
    let cid = cid.and_then(|user| user["id"].as_str()).expect("an id");
    serve.grant(&admin, "PATCH", &format!("/api/v1/users/{cid}"), &json!({ "disabled": true }));

    let Proof::Cookie(pair) = &other else { panic!("a browser has a cookie") };
    let (name, secret) = pair.split_once('=').expect("a pair");
    let cookie = |value: &str| Proof::Cookie(format!("{name}={value}"));
    let table = [
        ("signed out", signed_out, 401),
        ("of a link that was revoked", guest, 404),
        ("of another user", other.clone(), 404),
        ("of another user's program", others_program, 404),
        ("of a user who is disabled", disabled, 401),
        ("that has expired", cookie(&expired(&serve)), 401),
        ("of a browser, as a program's", Proof::Bearer(secret.to_owned()), 401),
        ("of a program, as a browser's", cookie(serve.token()), 401),
        ("of a link, as a browser's", cookie(&shared.secret), 401),
        ("of a link, as a program's", Proof::Bearer(shared.secret.clone()), 401),
        ("that is nobody's", Proof::Bearer("nonsense".into()), 401),
        ("that is empty", cookie(""), 401),
    ];
    for (what, who, status) in &table {
        let host = serve.address().to_string();
        let found = upgrade(&serve, &session, &host, &serve.head(who));
        assert_eq!(found, *status, "a socket by a secret {what}");
        assert_eq!(serve.ask(who, "GET", &path, &nothing).status, *status, "a secret {what}");
        let stop = serve.ask(who, "POST", &format!("{path}/stop"), &nothing);
        assert_eq!(stop.status, *status, "a change by a secret {what}");
    }
    assert_eq!(serve.grant(&admin, "GET", &path, &nothing)["state"], "running");
    println!("{} kinds of secrets opened nothing", table.len());
}

/// The secret of a login that lasted as long as one may, and ends now.
fn expired(serve: &Serve) -> String {
    let [token, device] = [(); 2].map(|()| Token::fresh().expect("random bytes"));
    let begun = Timestamp::now().plus(-LIFETIME_S);
    in_store(serve, async |store| {
        let (token, device) = (TokenHash::of(token.expose()), TokenHash::of(device.expose()));
        store.create_login(UserId(1), &token, &device, begun).await.expect("a login")
    });
    token.expose().to_owned()
}

#[test]
fn what_only_a_proxy_may_say_is_not_believed_of_others() {
    let serve = Serve::start();
    let address = serve.address();
    let lies = [
        "X-Remote-User: admin",
        "Remote-User: admin",
        "X-Forwarded-User: admin",
        "X-Auth-Request-User: admin",
        "X-WEBAUTH-USER: admin",
        "X-Forwarded-For: 127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "Forwarded: for=127.0.0.1;proto=https;host=localhost",
        "X-Forwarded-Proto: https",
        "X-Original-URL: /metrics",
        "X-Rewrite-URL: /metrics",
        "X-HTTP-Method-Override: DELETE",
    ];
    for lie in lies {
        let head = format!("{lie}\r\n");
        for path in ["/api/v1/me", "/api/v1/users", "/api/v1/sessions"] {
            let answer = try_request(address, "GET", path, &head, "").expect("an answer");
            assert_eq!(answer.status, 401, "{lie} at {path}");
        }
        // Being on this machine opens this one, but not to what comes through a proxy on it.
        let metrics = try_request(address, "GET", "/metrics", &head, "").expect("an answer");
        let by_proxy = lie.starts_with("X-Forwarded-") && !lie.contains("User");
        let status = if by_proxy || lie.starts_with("Forwarded") { 401 } else { 200 };
        assert_eq!(metrics.status, status, "{lie}");
    }
}
