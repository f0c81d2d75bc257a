//! Guesses at links and passwords, and lies about who guesses.

use super::rights::in_store;
use super::{honest_requests, quantile};
use lattice_gateway::auth::Token;
use lattice_gateway::store::{NewLink, Timestamp, TokenHash, UserId};
use lattice_tests::http::{Kept, Response};
use lattice_tests::patience;
use lattice_tests::people::{PASSWORD, Proof};
use lattice_tests::process::rss;
use lattice_tests::scene::Random;
use lattice_tests::serve::{Serve, ServeOptions};
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Wrong secrets of one address that are told so in a minute.
const A_MINUTE: u64 = 60;
/// How far apart the medians of answers may be that must not be told apart.
const ALIKE: Duration = Duration::from_millis(5);

/// A server that believes this machine, so that a test can be many addresses.
fn behind_a_proxy() -> Serve {
    let args = vec!["--trusted-proxy", "127.0.0.1"];
    Serve::start_with(ServeOptions { args, ..ServeOptions::default() })
}

fn from(address: &str) -> String {
    format!("X-Forwarded-For: {address}\r\n")
}

fn redeem(kept: &mut Kept, from: &str, secret: &str) -> Response {
    let body = json!({ "token": secret }).to_string();
    kept.ask("POST", "/api/v1/redeem", from, &body).expect("an answer")
}

#[test]
fn guesses_at_links_are_limited_and_hinder_nobody_at_the_same_address() {
    let serve = behind_a_proxy();
    let session = serve.desktop_of(&serve.admin());
    let link = serve.link(&session, "view", Value::Null);
    let school = from("192.0.2.7");
    let done = AtomicBool::new(false);
    let start = Instant::now();
    let (told, limited, honest) = thread::scope(|scope| {
        let honest = scope.spawn(|| {
            let mut statuses = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let mut kept = Kept::connect(serve.address());
                statuses.push(redeem(&mut kept, &school, &link.secret).status);
                thread::sleep(Duration::from_millis(20));
            }
            statuses
        });
        let guessers: Vec<_> = (0..2)
            .map(|guesser| {
                let school = &school;
                let mut kept = Kept::connect(serve.address());
                scope.spawn(move || {
                    let guess = |n: u32| format!("{guesser}-guess-of-a-secret-that-is-long-{n:08}");
                    let ask = |n| redeem(&mut kept, school, &guess(n)).status;
                    (0..5000).map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        let guesses = guessers.into_iter().flat_map(|one| one.join().expect("it is answered"));
        let guesses: Vec<u16> = guesses.collect();
        done.store(true, Ordering::Relaxed);
        let count = |status| guesses.iter().filter(|found| **found == status).count() as u64;
        (count(404), count(429), honest.join().expect("it is answered"))
    });
    let (took, good) = (start.elapsed(), honest.iter().filter(|status| **status == 200).count());
    println!(
        "10000 guesses in {took:?}: {told} were told that they are wrong, {limited} to wait; \
         {good} of {} honest uses of a link succeeded",
        honest.len()
    );
    assert_eq!(told + limited, 10_000, "nothing else was answered");
    assert!(told <= A_MINUTE * (1 + took.as_secs() / 60), "{told} in {took:?}");
    assert!(good * 100 >= honest.len() * 99, "{good} of {}", honest.len());
    serve.assert_no_panics();
}

#[test]
fn all_that_is_wrong_with_a_link_is_answered_alike_and_as_soon() {
    let serve = behind_a_proxy();
    let session = serve.desktop_of(&serve.admin());
    let used = serve.link(&session, "view", json!({ "max_uses": 1 }));
    let _ = serve.redeem(&used.secret);
    let revoked = serve.link(&session, "view", Value::Null);
    let path = format!("/api/v1/sessions/{session}/links/{}", revoked.id);
    serve.grant(&serve.admin(), "DELETE", &path, &Value::Null);
    let (expired, now) = (Token::fresh().expect("random bytes"), Timestamp::now());
    let new = NewLink {
        session: &session,
        role: lattice_engine::policy::LinkRole::View,
        token: TokenHash::of(expired.expose()),
        expires_at: now.plus(-60),
        max_uses: None,
        created_by: UserId(1),
        from_desktop: false,
    };
    in_store(&serve, async |store| store.create_link(&new, 100, now).await.expect("a link"));
    let wrong = Token::fresh().expect("random bytes");
    let secrets = [wrong.expose(), expired.expose(), &revoked.secret, &used.secret, "short"];

    let mut kept = Kept::connect(serve.address());
    let mut times = [const { Vec::new() }; 5];
    let first = redeem(&mut kept, &from("192.0.2.1"), wrong.expose());
    assert_eq!(first.status, 404);
    for round in 0..1000 {
        // Each address asks ten times of each kind, and so is never told to wait.
        let from = from(&format!("198.51.{}.{}", 100 + round / 2500, round / 10));
        for (secret, times) in secrets.iter().zip(&mut times) {
            let start = Instant::now();
            let answer = redeem(&mut kept, &from, secret);
            times.push(start.elapsed());
            assert_eq!((answer.status, &answer.body), (404, &first.body), "{secret}");
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
    let medians = times.each_mut().map(|times| quantile(times, 0.5));
    println!("medians of wrong, expired, revoked, used up, short: {medians:?}");
    let (least, most) = (medians.iter().min(), medians.iter().max());
    let apart = *most.expect("some") - *least.expect("some");
    assert!(apart < patience(ALIKE), "{apart:?} apart");
    serve.assert_no_panics();
}

fn sign_in(serve: &Serve, name: &str, password: &str) -> Response {
    let body = json!({ "name": name, "password": password });
    serve.ask(&Proof::Nobody, "POST", "/api/v1/login", &body)
}

#[test]
fn guesses_at_passwords_are_few_and_tell_not_who_there_is() {
    let serve = Serve::start();
    let names = |kind: &str| (0..12).map(|n| format!("{kind}{n}")).collect::<Vec<_>>();
    let [known, unknown] = ["known", "unknown"].map(names);
    for name in &known {
        let _ = serve.account(name, "member");
    }
    let mut times = [const { Vec::new() }; 2];
    for (known, unknown) in known.iter().zip(&unknown) {
        for _ in 0..5 {
            let answers = [known, unknown].map(|name| {
                let start = Instant::now();
                (sign_in(&serve, name, "a guess"), start.elapsed())
            });
            let [(first, one), (second, other)] = answers;
            assert_eq!((first.status, first.body), (401, second.body));
            times[0].push(one);
            times[1].push(other);
        }
        // The right password is told to wait as well, or it would be known by that.
        let answers = [(known, PASSWORD), (known, "a guess"), (unknown, "a guess")];
        for (name, password) in answers {
            let answer = sign_in(&serve, name, password);
            let wait = answer.header("retry-after").and_then(|text| text.parse::<u32>().ok());
            assert_eq!(answer.status, 429, "{name}");
            assert!(wait.is_some_and(|wait| (1..=60).contains(&wait)), "{wait:?}");
        }
    }
    let medians = times.each_mut().map(|times| quantile(times, 0.5));
    println!("medians of a wrong password of somebody, and of nobody: {medians:?}");
    // Without a hash to compute, an answer takes a hundredth.
    assert!(medians[0] < medians[1] * 2 && medians[1] < medians[0] * 2, "{medians:?}");
    serve.assert_no_panics();
}

#[test]
fn a_hundred_sign_ins_at_once_cost_little_memory_and_hold_up_nobody() {
    let serve = Serve::start();
    let _ = serve.account("ann", "member");
    let ann = serve.sign_in("ann");
    let memory = rss(serve.pid());
    let (mut times, most) = thread::scope(|scope| {
        let all: Vec<_> = (0..100)
            .map(|n| {
                let serve = &serve;
                scope.spawn(move || sign_in(serve, &format!("nobody{n}"), PASSWORD).status)
            })
            .collect();
        let most = Cell::new(0);
        let times = honest_requests(&serve, &ann, || {
            most.set(rss(serve.pid()).max(most.get()));
            all.iter().all(|one| one.is_finished())
        });
        for one in all {
            assert_eq!(one.join().expect("it is answered"), 401);
        }
        (times, most.get())
    });
    let (count, p95) = (times.len(), quantile(&mut times, 0.95));
    let grown = most.saturating_sub(memory);
    println!(
        "100 sign-ins at once: {} KiB more at most; {count} other requests, 95 % within {p95:?}",
        grown >> 10
    );
    assert!(count > 0 && p95 < patience(Duration::from_millis(500)), "{p95:?}");
    assert!(grown < 64 << 20, "{grown} bytes");
    serve.assert_no_panics();
}

/// Asks with a wrong token and says that it is for somebody; the status.
fn guess_for(kept: &mut Kept, lie: &str) -> u16 {
    let head = format!("Authorization: Bearer wrong\r\n{lie}");
    kept.ask("GET", "/api/v1/me", &head, "").expect("an answer").status
}

#[test]
fn lies_about_who_asks_are_believed_of_trusted_proxies_only() {
    let (alone, proxied) = (Serve::start(), behind_a_proxy());
    let mut random = Random(7);
    let mut lie = || {
        let [a, b, c, d] = random.number().to_be_bytes();
        match random.below(4) {
            0 => format!("X-Forwarded-For: {a}.{b}.{c}.{d}\r\n"),
            1 => format!("X-Forwarded-For: {a}.{b}.{c}.{d}, 127.0.0.1\r\n"),
            2 => format!("Forwarded: for={a}.{b}.{c}.{d}\r\n"),
            _ => {
                format!("X-Forwarded-For: 2001:db8:{a:x}{b:02x}::{c:x}\r\nX-Real-IP: {d}.1.1.1\r\n")
            }
        }
    };
    let (start, memory) = (Instant::now(), rss(alone.pid()));
    let mut kept = Kept::connect(alone.address());
    let told = (0..20_000).filter(|_| guess_for(&mut kept, &lie()) == 401).count() as u64;
    let (took, grown) = (start.elapsed(), rss(alone.pid()).saturating_sub(memory));
    println!("20000 lies in {took:?}: {told} were told that they are wrong, +{} KiB", grown >> 10);
    assert!(told <= A_MINUTE * (1 + took.as_secs() / 60), "{told} in {took:?}");
    assert!(grown < 10 << 20, "{grown} bytes");

    // Of a trusted proxy the right-most counts that is none itself, whatever stands left of it.
    let mut kept = Kept::connect(proxied.address());
    let start = Instant::now();
    for n in 0..A_MINUTE {
        let lie = format!("X-Forwarded-For: 10.0.{n}.1, 203.0.113.9, 127.0.0.1\r\n");
        assert_eq!(guess_for(&mut kept, &lie), 401);
    }
    if start.elapsed() < Duration::from_secs(30) {
        assert_eq!(guess_for(&mut kept, &from("10.9.9.9, 203.0.113.9")), 429);
    }
    assert_eq!(guess_for(&mut kept, &from("203.0.113.9, 203.0.113.10")), 401);
    for serve in [&alone, &proxied] {
        serve.assert_no_panics();
    }
}
