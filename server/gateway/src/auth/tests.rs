//! Getting in, over a real store.

use super::*;
use crate::http::origin::Site;
use crate::store::{Actor, NewUser, UserChange, UserRole};
use axum::http::{HeaderMap, HeaderValue, header};
use futures_util::future::join_all;
use std::net::Ipv4Addr;

/// A whole school behind one address.
const SCHOOL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const PASSWORD: &str = "correct horse";

struct House {
    auth: Auth,
    _dir: tempfile::TempDir,
}

impl House {
    /// With users of those names, who share a password, and an administrator without one.
    async fn of(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("lattice.db")).await.expect("a fresh database");
        let auth = Auth::new(store, 8080).await.expect("ready");
        let now = Timestamp::now();
        admin::bootstrap(&auth.store, now).await.expect("made").expect("a first sign-in");
        let hash = auth.passwords.hash(PASSWORD).await.expect("hashed");
        for name in names {
            let password_hash = Some(hash.as_str());
            let role = UserRole::Member;
            let new = NewUser { name, display_name: name, role, password_hash };
            auth.store.create_user(&new, Actor::System, now).await.expect("a user");
        }
        Self { auth, _dir: dir }
    }

    async fn user(&self, name: &str) -> User {
        self.auth.store.user_named(name).await.expect("read").expect("there")
    }

    /// What somebody who tries is told.
    async fn told(&self, name: &str, password: &str, device: Option<&Token>) -> Told {
        match self.auth.sign_in(name, password, device, SCHOOL).await {
            Ok(_) => Told::Welcome,
            Err(AuthError::Wrong) => Told::Wrong,
            Err(AuthError::Limited { .. }) => Told::Wait,
            Err(error) => panic!("a fault: {error}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Welcome,
    Wrong,
    Wait,
}

#[tokio::test]
async fn guessing_at_one_account_locks_nobody_else_behind_the_address() {
    let house = House::of(&["ann", "ben"]).await;
    let entry = house.auth.sign_in("Ann", PASSWORD, None, SCHOOL).await.expect("in by any case");
    let guesses =
        (0..40).map(|n| house.told("ann", if n % 2 == 0 { "guess" } else { "word" }, None));
    let told = join_all(guesses).await;
    assert_eq!(told.iter().filter(|told| **told == Told::Wrong).count(), 5, "{told:?}");
    assert_eq!(told.iter().filter(|told| **told == Told::Wait).count(), 35);
    assert_eq!(house.told("ann", PASSWORD, None).await, Told::Wait, "nor does the right one tell");
    assert_eq!(house.told("ben", PASSWORD, None).await, Told::Welcome);
    let at_home = house.told("ann", PASSWORD, Some(&entry.device)).await;
    assert_eq!(at_home, Told::Welcome, "not at the device that is hers");
    let strange = Token::fresh().expect("random bytes");
    assert_eq!(house.told("ann", PASSWORD, Some(&strange)).await, Told::Wait);
}

#[tokio::test]
async fn wrong_passwords_of_a_whole_school_lock_nobody_who_is_right() {
    let house = House::of(&["ann"]).await;
    {
        let mut budgets = house.auth.wrong_passwords.lock().expect("not poisoned");
        for _ in 0..=WRONG_PASSWORDS {
            let _ = budgets.spend(SCHOOL, clock::now());
        }
    }
    assert_eq!(house.told("zoe", "guess", None).await, Told::Wait);
    assert_eq!(house.told("ann", PASSWORD, None).await, Told::Welcome);
}

#[tokio::test]
async fn nothing_tells_which_users_there_are() {
    let house = House::of(&["ann", "off"]).await;
    let off = house.user("off").await;
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    let now = Timestamp::now();
    house.auth.store.change_user(off.id, &change, None, Actor::System, now).await.expect("off");
    let long = "n".repeat(300);
    let cases =
        [("ann", "guess"), ("zoe", "guess"), ("off", PASSWORD), ("admin", ""), (&long, "x")];
    for (name, password) in cases {
        let mut told = Vec::new();
        for _ in 0..7 {
            told.push(house.told(name, password, None).await);
        }
        let [wrong, wait] = [[Told::Wrong; 5].as_slice(), [Told::Wait; 2].as_slice()];
        assert_eq!(told, [wrong, wait].concat(), "{name}");
    }
}

#[tokio::test]
async fn a_school_signs_in_at_once() {
    let house = House::of(&["ann"]).await;
    let all = join_all((0..5).map(|_| house.told("ann", PASSWORD, None))).await;
    assert!(all.iter().all(|told| *told == Told::Welcome), "{all:?}");
    assert_eq!(house.told("ann", PASSWORD, None).await, Told::Welcome, "right ones do not count");
}

#[tokio::test]
async fn the_first_administrator_gets_in_once_and_is_made_once() {
    let house = House::of(&[]).await;
    let (store, now) = (&house.auth.store, Timestamp::now());
    let printed = admin::bootstrap(store, now).await.expect("asked").expect("no password yet");
    assert_eq!(store.users().await.expect("read").len(), 1);
    let entry = house.auth.enter(printed.expose(), None, SCHOOL).await.expect("in");
    assert_eq!(entry.signed_in.user, house.user("admin").await.id);
    let again = house.auth.enter(printed.expose(), None, SCHOOL).await;
    assert!(matches!(again, Err(AuthError::Wrong)));

    let change = UserChange { password_hash: Some("a hash"), ..UserChange::default() };
    let admin = house.user("admin").await;
    store.change_user(admin.id, &change, None, Actor::System, now).await.expect("set");
    assert!(admin::bootstrap(store, now).await.expect("asked").is_none(), "nothing to print");
    let asked = admin::url(store, None, now).await.expect("made");
    assert!(house.auth.enter(asked.expose(), None, SCHOOL).await.is_ok());
}

#[tokio::test]
async fn the_command_line_names_whom_it_cannot_find() {
    let house = House::of(&["ann"]).await;
    let (store, now) = (&house.auth.store, Timestamp::now());
    let error = admin::token(store, Some("zoe"), now).await.expect_err("nobody");
    assert!(error.to_string().contains("\"zoe\""), "{error}");
    let off = UserChange { disabled: Some(true), ..UserChange::default() };
    let ann = house.user("ann").await;
    store.change_user(ann.id, &off, None, Actor::System, now).await.expect("off");
    let error = admin::url(store, Some("ANN"), now).await.expect_err("disabled");
    assert!(matches!(error, admin::AdminError::Disabled(_)), "{error}");
}

#[tokio::test]
async fn a_bearer_token_is_its_users_and_a_wrong_one_is_not_saved_by_a_cookie() {
    let house = House::of(&["ann"]).await;
    let site = Site::new("http://localhost:8080");
    let token = admin::token(&house.auth.store, Some("ann"), Timestamp::now()).await.expect("made");
    let entry = house.auth.sign_in("ann", PASSWORD, None, SCHOOL).await.expect("in");
    let set = house.auth.cookies.set_login(&entry.token, &site).expect("a cookie");
    let pair = set.to_str().expect("ascii").split(';').next().expect("a pair").to_owned();
    let ask = async |authorization: Option<&str>, cookie: Option<&str>| {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::AUTHORIZATION, authorization), (header::COOKIE, cookie)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(value).expect("a header"));
            }
        }
        house.auth.identify(&headers, &site, SCHOOL).await
    };
    let bearer = format!("bearer {}", token.expose());
    let (identity, proof) = ask(Some(&bearer), Some(&pair)).await.expect("known");
    assert_eq!((identity.user().map(|user| &*user.name), proof), (Some("ann"), Proof::Bearer));
    assert_eq!(identity.login(), None);
    let (identity, proof) = ask(None, Some(&pair)).await.expect("known");
    assert_eq!((identity.login(), proof), (Some(entry.signed_in.login), Proof::Cookie));
    for wrong in ["Bearer nonsense", "Basic YTpi", ""] {
        assert!(matches!(ask(Some(wrong), Some(&pair)).await, Err(AuthError::Wrong)), "{wrong}");
    }
    let (identity, _) = ask(None, Some("__Host-Http-lattice-8080=x")).await.expect("anonymous");
    assert_eq!(identity, Identity::Anonymous);
}

#[tokio::test]
async fn no_secret_shows_in_what_is_logged() {
    let house = House::of(&["ann"]).await;
    let entry = house.auth.sign_in("ann", PASSWORD, None, SCHOOL).await.expect("in");
    let token = admin::token(&house.auth.store, None, Timestamp::now()).await.expect("made");
    let shown = format!("{:?} {entry:?} {token:?} {:?}", house.auth, house.user("ann").await);
    for secret in [entry.token.expose(), entry.device.expose(), token.expose(), PASSWORD] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
