//! Who may only look moves nothing, and who may no longer look is out.

use lattice_engine::session::SessionId;
use lattice_gateway::auth::Token;
use lattice_gateway::store::{NewLink, Store, Timestamp, TokenHash, UserId};
use lattice_tests::keylog::KeyLog;
use lattice_tests::people::Proof;
use lattice_tests::serve::Serve;
use lattice_tests::{Viewer, eventually, patience, x};
use lattice_wire::close::{ENDED, PROTOCOL, REVOKED};
use lattice_wire::{
    Button, ClientPacket, Input, Modifiers, Point, PointerAt, Seq, Size, ViewerId, Wheel,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

const DROPPED: &str = "lattice_input_dropped_total";
/// Of each kind.
const ROUNDS: u32 = 20;

/// One of everything that moves a desktop or says who does.
fn commands(number: u32, other: ViewerId) -> Vec<ClientPacket> {
    let seq = Seq(number);
    let (at, modifiers) = (Point { x: 40 + number as u16, y: 40 }, Modifiers::default());
    let key = |down| {
        let (code, key) = ("KeyA".to_owned(), "a".to_owned());
        ClientPacket::Input(Input::Key(lattice_wire::Key { seq, down, modifiers, code, key }))
    };
    let button = |down| Input::Button(Button { seq, at, button: 0, down, modifiers });
    let text = lattice_wire::Text { seq, text: "typed".to_owned() };
    vec![
        key(true),
        key(false),
        ClientPacket::Input(Input::Text(text)),
        ClientPacket::Input(Input::Pointer(PointerAt { seq, at })),
        ClientPacket::Input(button(true)),
        ClientPacket::Input(button(false)),
        ClientPacket::Input(Input::Wheel(Wheel { seq, at, dx: 0, dy: 120, modifiers })),
        ClientPacket::Input(Input::ReleaseAll(seq)),
        ClientPacket::Resize(Size::new(800, 600)),
        ClientPacket::TakeControl,
        ClientPacket::GiveControl(other),
        ClientPacket::ReleaseControl,
        ClientPacket::Point(at),
    ]
}

/// Sends all of it and checks that all of it is counted as ignored.
fn check_ignored(serve: &Serve, viewer: &Viewer, other: ViewerId) {
    let before = serve.metric(DROPPED, &[]);
    let mut sent = 0.0;
    for number in 0..ROUNDS {
        for packet in commands(number, other) {
            viewer.send(&packet);
            sent += 1.0;
        }
    }
    eventually("all of it to be counted", || serve.metric(DROPPED, &[]) >= before + sent);
    assert_eq!(serve.metric(DROPPED, &[]), before + sent);
    assert!(!viewer.view(|view| view.drives()));
    println!("{sent} packets of a viewer who may only look were ignored, and counted");
}

#[test]
fn who_came_by_a_view_only_link_moves_nothing() {
    let serve = Serve::start();
    let session = serve.desktop_of(&serve.admin());
    let (log, screen) = (serve.desktops().connect(&session), serve.desktops().connect(&session));
    let log = KeyLog::open(log, serve.desktops().connect(&session));
    let at_first = (x::pointer(&screen), x::screen_image(&screen).size());
    let guest = serve.redeem(&serve.link(&session, "view", Value::Null).secret);

    // Nobody else is there who could drive.
    let alone = serve.viewer(&guest, &session);
    alone.wait_picture();
    let own = alone.view(|view| view.welcome.clone()).expect("a welcome").viewer;
    check_ignored(&serve, &alone, own);

    let owner = serve.viewer(&serve.admin(), &session);
    owner.wait("control", |view| view.drives());
    check_ignored(&serve, &alone, own);
    assert!(owner.view(|view| view.drives()), "the owner drives on");

    // What is no packet of a viewer's is no way around: a role or a clipboard of its own saying.
    let welcome = alone.view(|view| view.welcome.clone()).expect("a welcome");
    let welcome = lattice_wire::Welcome { role: lattice_wire::Role::Own, ..welcome };
    let forged = [
        lattice_wire::ServerPacket::Welcome(welcome).encode(),
        [&[0xa0][..], b"clipboard"].concat(),
        [&[0x95][..], b"clipboard"].concat(),
    ];
    for packet in forged {
        let liar = serve.viewer(&guest, &session);
        liar.send_raw(Message::Binary(packet.into()));
        assert_eq!(liar.wait_closed().0, PROTOCOL);
    }
    // What the owner does arrives after all that, and alone.
    owner.type_text("k");
    log.expect_text("k");
    assert_eq!(log.log().buttons, []);
    assert_eq!((x::pointer(&screen), x::screen_image(&screen).size()), at_first);
    serve.assert_no_panics();
}

struct Story<'a> {
    serve: &'a Serve,
    session: &'a SessionId,
    took: Vec<Duration>,
}

impl Story<'_> {
    /// Checks that a viewer is told to go within a second of the moment that `end` says.
    fn check(&mut self, what: &str, code: u16, who: &Proof, end: impl FnOnce() -> Instant) {
        let viewer = self.serve.viewer(who, self.session);
        viewer.wait_picture();
        let start = end();
        assert_eq!(viewer.wait_closed().0, code, "{what}");
        let took = start.elapsed();
        println!("{what}: closed with {code} after {took:?}");
        assert!(took < patience(Duration::from_secs(1)), "{what}: {took:?}");
        self.took.push(took);
    }

    fn user(&self, name: &str) -> String {
        format!("/api/v1/users/{}", self.serve.account(name, "admin"))
    }
}

#[test]
fn who_may_no_longer_look_is_out_within_a_second() {
    let serve = Serve::start();
    let admin = serve.admin();
    let session = serve.desktop_of(&admin);
    let mut story = Story { serve: &serve, session: &session, took: Vec::new() };
    let ask_as = |who: &Proof, method: &str, path: &str, body: Value| {
        let start = Instant::now();
        serve.grant(who, method, path, &body);
        start
    };
    let ask = |method: &str, path: &str, body: Value| ask_as(&admin, method, path, body);

    let link = serve.link(&session, "control", Value::Null);
    let path = format!("/api/v1/sessions/{session}/links/{}", link.id);
    story.check("a revoked link", REVOKED, &serve.redeem(&link.secret), || {
        ask("DELETE", &path, Value::Null)
    });
    check_late_hello(&serve, &session);
    check_expiry(&serve, &session, &mut story);

    let _ = story.user("ann");
    let ann = serve.sign_in("ann");
    story
        .check("a sign-out", REVOKED, &ann, || ask_as(&ann, "POST", "/api/v1/logout", Value::Null));
    let ann = serve.sign_in("ann");
    let (fresh, body) =
        (serve.sign_in("ann"), json!({ "current": "correct horse", "new": "a new one" }));
    story.check("a password that is changed elsewhere", REVOKED, &ann, || {
        ask_as(&fresh, "PUT", "/api/v1/me/password", body)
    });
    let changes = [
        ("a disabled user", "ben", json!({ "disabled": true })),
        ("a demoted administrator", "cid", json!({ "role": "member" })),
    ];
    for (what, name, change) in changes {
        let path = story.user(name);
        let program = Proof::Bearer(serve.token_of(name));
        let browser = serve.viewer(&serve.sign_in(name), &session);
        story.check(what, REVOKED, &program, || ask("PATCH", &path, change));
        assert_eq!(browser.wait_closed().0, REVOKED, "{what}");
    }
    let path = story.user("dot");
    story.check("a deleted user", REVOKED, &serve.sign_in("dot"), || {
        ask("DELETE", &path, Value::Null)
    });
    let path = format!("/api/v1/sessions/{session}");
    story.check("a deleted session", ENDED, &admin, || ask("DELETE", &path, Value::Null));
    let slowest = story.took.iter().max().copied().unwrap_or_default();
    println!("{} ways to lose the right to look, the slowest took {slowest:?}", story.took.len());
    serve.assert_no_panics();
}

/// Whoever has a socket and says hello only once the link has ended is out all the same.
fn check_late_hello(serve: &Serve, session: &SessionId) {
    let link = serve.link(session, "view", Value::Null);
    let mut late = serve.raw(&serve.redeem(&link.secret), session);
    // The link ends some time after the socket was let in, and with no viewer to tell.
    std::thread::sleep(Duration::from_secs(1));
    let path = format!("/api/v1/sessions/{session}/links/{}", link.id);
    serve.grant(&serve.admin(), "DELETE", &path, &Value::Null);
    late.say_hello();
    let start = Instant::now();
    assert_eq!(late.close_code(), REVOKED);
    let took = start.elapsed();
    println!("a link that was revoked before the hello: closed after {took:?}");
    assert!(took < patience(Duration::from_secs(1)), "{took:?}");
}

/// A link lasts a minute at least, so this one is made behind the server's back.
fn check_expiry(serve: &Serve, session: &SessionId, story: &mut Story<'_>) {
    let (token, now) = (Token::fresh().expect("random bytes"), Timestamp::now());
    let new = NewLink {
        session,
        role: lattice_engine::policy::LinkRole::View,
        token: TokenHash::of(token.expose()),
        expires_at: now.plus(4),
        max_uses: None,
        created_by: UserId(1),
        from_desktop: false,
    };
    in_store(serve, async |store| store.create_link(&new, 100, now).await.expect("a link"));
    let guest = serve.redeem(token.expose());
    story.check("a link that expires", REVOKED, &guest, || {
        while Timestamp::now().since(now) < 4 {
            std::thread::sleep(Duration::from_millis(5));
        }
        Instant::now()
    });
}

/// Does something in the server's database that its API does not do.
pub(super) fn in_store<T>(serve: &Serve, work: impl AsyncFnOnce(&Store) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let store = Store::open(&serve.desktops().data().join("lattice.db")).await;
        let store = store.expect("the database");
        let done = work(&store).await;
        store.close().await;
        done
    })
}
