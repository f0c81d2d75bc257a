//! What the store promises, over real files.

use super::*;
use lattice_engine::policy::LinkRole;
use lattice_engine::session::SessionId;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use std::os::unix::fs::PermissionsExt as _;

const NOW: Timestamp = Timestamp(1_800_000_000);

async fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(&file(&dir)).await.expect("a fresh database");
    (dir, store)
}

fn file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("lattice.db")
}

async fn raw(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.connect().await.expect("a connection")
}

async fn add(store: &Store, name: &str, role: UserRole) -> Result<User, StoreError> {
    let new = NewUser { name, display_name: name, role, password_hash: None };
    store.create_user(&new, Actor::System, NOW).await
}

async fn user(store: &Store, name: &str) -> UserId {
    add(store, name, UserRole::Member).await.expect("a user").id
}

async fn session_of(store: &Store, owner: UserId) -> SessionId {
    let mut bits = [0; 10];
    getrandom::fill(&mut bits).expect("random bytes");
    let id = SessionId::from_bytes(bits);
    let new = NewSession { id: &id, owner, template: "desktop", name: "Desktop" };
    store.create_session(&new, 8, NOW).await.expect("a session");
    id
}

async fn link_to(
    store: &Store,
    session: &SessionId,
    secret: &str,
    role: LinkRole,
    max_uses: Option<u32>,
) -> Link {
    let created_by = store.session(session).await.expect("read").expect("there").owner.id;
    let (token, expires_at) = (TokenHash::of(secret), NOW.plus(3600));
    let from_desktop = false;
    let new = NewLink { session, role, token, expires_at, max_uses, created_by, from_desktop };
    store.create_link(&new, 100, NOW).await.expect("a link")
}

async fn redeem(store: &Store, secret: &str, known: Option<LoginId>) -> Option<Redeemed> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("random bytes");
    let fresh = TokenHash::of(&format!("{bytes:?}"));
    store.redeem_as_guest(&TokenHash::of(secret), known, &fresh, NOW).await.expect("asked")
}

#[tokio::test]
async fn a_database_is_made_private_and_opened_again() {
    let (dir, store) = open().await;
    let ann = user(&store, "ann").await;
    let mode = std::fs::metadata(file(&dir)).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    store.close().await;
    let again = Store::open(&file(&dir)).await.expect("it opens");
    assert_eq!(again.user(ann).await.expect("read").expect("there").name, "ann");
    again.close().await;
    let mut raw = raw(&file(&dir)).await;
    let check: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut raw).await.expect("checked");
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut raw).await.expect("asked");
    assert_eq!((check.as_str(), mode.as_str()), ("ok", "wal"));
}

#[tokio::test]
async fn two_that_open_a_fresh_database_at_once_make_it_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = file(&dir);
    let (one, two) = tokio::join!(Store::open(&path), Store::open(&path));
    user(&one.expect("it opens"), "ann").await;
    assert_eq!(two.expect("it opens").users().await.expect("read").len(), 1);
}

/// What each released schema has left behind, by its number from 1.
const LEFT_BEHIND: [&str; 6] = [
    include_str!("fixtures/1.sql"),
    include_str!("fixtures/2.sql"),
    include_str!("fixtures/3.sql"),
    include_str!("fixtures/4.sql"),
    include_str!("fixtures/5.sql"),
    include_str!("fixtures/6.sql"),
];

/// Everybody keeps what they have, and what has been left to none of the schemas is nowhere missing.
#[tokio::test]
async fn a_database_of_every_release_is_brought_up_to_date_with_all_that_is_in_it() {
    assert_eq!(LEFT_BEHIND.len() as i64, migrate::KNOWN, "each schema leaves a database behind");
    let (_fresh, fresh) = open().await;
    let tables = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let wanted: Vec<String> =
        sqlx::query_scalar(tables).fetch_all(&fresh.readers).await.expect("read");
    for left_behind in LEFT_BEHIND {
        let dir = tempfile::tempdir().expect("a directory");
        let mut old = raw(&file(&dir)).await;
        sqlx::raw_sql(left_behind).execute(&mut old).await.expect("made");
        old.close().await.expect("closed");
        let store = Store::open(&file(&dir)).await.expect("brought up to date");
        let has: Vec<String> =
            sqlx::query_scalar(tables).fetch_all(&store.readers).await.expect("read");
        assert_eq!(has, wanted);
        let broken: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_all(&store.readers)
            .await
            .expect("read");
        assert_eq!(broken, ["ok"]);
        let ann = store.user_named("ann").await.expect("read").expect("there");
        assert_eq!((ann.role, ann.disabled), (UserRole::Member, false));
        let token = TokenHash::of("msAc-DTMaybUkHQCZ4uTttx2nQSi_cJGWgjpJHxIeXQ");
        assert!(store.bearer(&token).await.expect("asked").is_some(), "a program's token");
        let sessions = store.all_sessions().await.expect("read");
        assert_eq!((sessions.len(), &*sessions[0].name), (1, "Biology"));
        let link = "srjwUETmwBSrpZgIRw_cq7CmQAe07fiLc756WFErNlI";
        assert!(redeem(&store, link, None).await.is_some(), "a link that was handed out");
        // Ids go on from where they were.
        assert!(user(&store, "ben").await > ann.id);
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let (dir, store) = open().await;
    store.close().await;
    let mut other = raw(&file(&dir)).await;
    sqlx::query("PRAGMA user_version = 7").execute(&mut other).await.expect("set");
    other.close().await.expect("closed");
    let before = std::fs::read(file(&dir)).expect("read");
    let error = Store::open(&file(&dir)).await.expect_err("newer");
    assert!(matches!(error, StoreError::Newer { found: 7, known: 6, .. }), "{error}");
    let message = error.to_string();
    for part in ["lattice.db", "newer release", "schema 7", "up to 6", "restore the copy"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(before == std::fs::read(file(&dir)).expect("read"), "the file is as it was");
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(file(&dir), "Dear diary, ".repeat(1000)).expect("written");
    assert!(matches!(Store::open(&file(&dir)).await, Err(StoreError::Foreign(_))));
    let theirs = dir.path().join("theirs.db");
    let mut other = raw(&theirs).await;
    sqlx::query("CREATE TABLE t (x)").execute(&mut other).await.expect("made");
    other.close().await.expect("closed");
    assert!(matches!(Store::open(&theirs).await, Err(StoreError::Foreign(_))));
    let nowhere = dir.path().join("missing/lattice.db");
    assert!(matches!(Store::open(&nowhere).await, Err(StoreError::Open { .. })));
}

/// Half of the writers are another process's, as far as SQLite can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_lose_nothing_and_never_hear_busy() {
    const WRITERS: usize = 8;
    const EACH: usize = 1000;
    let (dir, ours) = open().await;
    let theirs = Store::open(&file(&dir)).await.expect("it opens");
    let ann = user(&ours, "ann").await;
    let session = session_of(&ours, ann).await;
    link_to(&ours, &session, "secret", LinkRole::View, None).await;
    let writers = (0..WRITERS).map(|n| {
        let store = if n % 2 == 0 { ours.clone() } else { theirs.clone() };
        tokio::spawn(async move {
            for _ in 0..EACH {
                assert!(redeem(&store, "secret", None).await.is_some());
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no error");
    }
    let links = ours.links(&session, NOW).await.expect("read");
    assert_eq!(links[0].uses as usize, WRITERS * EACH);
}

#[tokio::test]
async fn a_lock_of_another_process_is_waited_for_and_then_told() {
    let (dir, store) = open().await;
    let hasty = Store::open_patient(&file(&dir), Duration::from_millis(200)).await.expect("open");
    let mut other = raw(&file(&dir)).await;
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.expect("locked");
    let told = add(&hasty, "ann", UserRole::Member).await;
    assert!(matches!(told, Err(StoreError::Busy)), "{told:?}");
    assert!(hasty.users().await.expect("reading goes on").is_empty());
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { add(&store, "ben", UserRole::Member).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("unlocked");
    waiting.await.expect("no panic").expect("it was written");
}

/// Also for longer than a lock of another process would be.
#[tokio::test]
async fn who_reads_in_a_crowd_waits_for_a_turn_and_is_not_refused() {
    let (dir, _) = open().await;
    let patience = Duration::from_millis(100);
    let store = Store::open_patient(&file(&dir), patience).await.expect("open");
    let mut crowd = Vec::new();
    for _ in 0..READERS {
        crowd.push(store.readers.acquire().await.expect("a turn"));
    }
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.users().await }
    });
    tokio::time::sleep(3 * patience).await;
    assert!(!waiting.is_finished());
    drop(crowd);
    assert!(waiting.await.expect("no panic").expect("it was read").is_empty());
}

#[tokio::test]
async fn names_are_one_whatever_their_case_and_free_again_after() {
    let (_dir, store) = open().await;
    add(&store, "root", UserRole::Admin).await.expect("an administrator");
    let made = user(&store, "Jürgen").await;
    for same in ["jürgen", "JÜRGEN", "Jürgen"] {
        assert!(matches!(add(&store, same, UserRole::Member).await, Err(StoreError::NameTaken)));
        assert_eq!(store.user_named(same).await.expect("read").expect("there").id, made);
    }
    store.delete_user(made, Actor::System, NOW).await.expect("deleted");
    assert_eq!(store.user_named("jürgen").await.expect("read"), None);
    assert_ne!(user(&store, "jürgen").await, made, "an id is never used again");
}

#[tokio::test]
async fn somebody_can_always_administer() {
    let (_dir, store) = open().await;
    let root = add(&store, "root", UserRole::Admin).await.expect("an administrator").id;
    let demote = UserChange { role: Some(UserRole::Member), ..UserChange::default() };
    let disable = UserChange { disabled: Some(true), ..UserChange::default() };
    for change in [&demote, &disable] {
        let refused = store.change_user(root, change, None, Actor::System, NOW).await;
        assert!(matches!(refused, Err(StoreError::LastAdmin)));
    }
    let refused = store.delete_user(root, Actor::System, NOW).await;
    assert!(matches!(refused, Err(StoreError::LastAdmin)));
    let still = store.user(root).await.expect("read").expect("there");
    assert_eq!((still.role, still.disabled), (UserRole::Admin, false));
    add(&store, "second", UserRole::Admin).await.expect("an administrator");
    store.change_user(root, &demote, None, Actor::System, NOW).await.expect("demoted");
}

#[tokio::test]
async fn a_login_ends_when_quiet_when_old_and_with_its_user() {
    let (_dir, store) = open().await;
    add(&store, "root", UserRole::Admin).await.expect("an administrator");
    let ann = user(&store, "ann").await;
    let (token, device) = (TokenHash::of("login"), TokenHash::of("device"));
    let login = store.create_login(ann, &token, &device, NOW).await.expect("signed in").login;
    let good = async |at: Timestamp| store.login(&token, at).await.expect("read").is_some();
    assert!(good(NOW.plus(IDLE_S - 1)).await);
    assert!(!good(NOW.plus(IDLE_S)).await);
    for day in 0..30 {
        store.touch_login(login, NOW.plus(day * 86_400)).await.expect("touched");
    }
    assert!(good(NOW.plus(LIFETIME_S - 86_400)).await);
    store.touch_login(login, NOW.plus(LIFETIME_S - 1)).await.expect("touched");
    assert!(!good(NOW.plus(LIFETIME_S)).await);
    assert!(store.knows_device(&device, ann).await.expect("read"));

    let off = UserChange { disabled: Some(true), ..UserChange::default() };
    let changed = store.change_user(ann, &off, None, Actor::System, NOW).await.expect("changed");
    assert_eq!(changed.signed_out, [login]);
    assert!(!good(NOW.plus(LIFETIME_S - 1)).await);
}

#[tokio::test]
async fn a_new_password_ends_all_logins_but_the_one_that_set_it() {
    let (_dir, store) = open().await;
    add(&store, "root", UserRole::Admin).await.expect("an administrator");
    let ann = user(&store, "ann").await;
    let mut logins = Vec::new();
    for secret in ["a", "b", "c"] {
        let token = TokenHash::of(secret);
        logins.push(store.create_login(ann, &token, &token, NOW).await.expect("in").login);
    }
    store
        .create_one_time(ann, &TokenHash::of("once"), NOW.plus(60), Actor::System, NOW)
        .await
        .expect("made");
    let change = UserChange { password_hash: Some("hash"), ..UserChange::default() };
    let keep = Some(logins[1]);
    let changed = store.change_user(ann, &change, keep, Actor::User(ann), NOW).await.expect("set");
    assert_eq!(changed.signed_out, [logins[0], logins[2]]);
    assert!(changed.user.has_password);
    let (once, token) = (TokenHash::of("once"), TokenHash::of("x"));
    let entered = store.enter(&once, &token, &token, NOW).await.expect("asked");
    assert_eq!(entered, None, "no second way in is left");
}

#[tokio::test]
async fn a_one_time_sign_in_works_once_and_not_too_late() {
    let (_dir, store) = open().await;
    let ann = user(&store, "ann").await;
    for (secret, at, works) in [("early", 0, true), ("late", 60, false)] {
        let once = TokenHash::of(secret);
        store.create_one_time(ann, &once, NOW.plus(60), Actor::System, NOW).await.expect("made");
        let enter = async |n: &str| {
            let token = TokenHash::of(&format!("{secret} {n}"));
            store.enter(&once, &token, &token, NOW.plus(at)).await.expect("asked").is_some()
        };
        assert_eq!(enter("first").await, works, "{secret}");
        assert!(!enter("second").await);
    }
}

#[tokio::test]
async fn a_link_gives_as_often_as_it_may_and_once_to_each() {
    let (_dir, store) = open().await;
    let (ann, ben) = (user(&store, "ann").await, user(&store, "ben").await);
    let session = session_of(&store, ann).await;
    link_to(&store, &session, "twice", LinkRole::Assist, Some(2)).await;
    let uses = async || store.links(&session, NOW).await.expect("read")[0].uses;

    let guest = redeem(&store, "twice", None).await.expect("a first use");
    assert_eq!((guest.grant.role, uses().await), (LinkRole::Assist, 1));
    let again = redeem(&store, "twice", guest.login).await.expect("it holds it already");
    assert_eq!((again.login, uses().await), (None, 1));

    let token = TokenHash::of("twice");
    for _ in 0..2 {
        assert!(store.redeem_as_user(&token, ann, NOW).await.expect("asked").is_some());
        assert_eq!(uses().await, 1, "an owner needs no link");
    }
    for _ in 0..2 {
        assert!(store.redeem_as_user(&token, ben, NOW).await.expect("asked").is_some());
        assert_eq!(uses().await, 2);
    }
    assert_eq!(redeem(&store, "twice", None).await, None, "it is used up");
    assert_eq!(redeem(&store, "unknown", None).await, None);
}

#[tokio::test]
async fn what_was_shared_ends_with_its_link() {
    let (_dir, store) = open().await;
    let ann = user(&store, "ann").await;
    let session = session_of(&store, ann).await;
    let view = link_to(&store, &session, "view", LinkRole::View, None).await;
    let control = link_to(&store, &session, "control", LinkRole::Control, None).await;
    let first = redeem(&store, "view", None).await.expect("redeemed");
    let second = redeem(&store, "control", first.login).await.expect("redeemed");
    let holder = Holder::Guest(second.login.expect("a login of its own"));
    let role = async |holder, at| {
        store.grant(&session, holder, at).await.expect("read").map(|grant| grant.role)
    };
    assert_eq!(role(holder, NOW).await, Some(LinkRole::Control), "the most of both");
    let old = Holder::Guest(first.login.expect("a login"));
    assert_eq!(role(old, NOW).await, Some(LinkRole::View), "who knew the old secret gains nothing");

    store.revoke_link(&session, control.id, Actor::User(ann), NOW).await.expect("revoked");
    assert_eq!(role(holder, NOW).await, Some(LinkRole::View));
    assert_eq!(role(holder, NOW.plus(3600)).await, None, "it expires");
    assert_eq!(store.next_expiry(NOW).await.expect("read"), Some(view.expires_at));
    let expired = store.links_expired(NOW, NOW.plus(3600)).await.expect("read");
    assert_eq!(expired, [view.id]);

    store.delete_session(&session, Actor::User(ann), NOW).await.expect("deleted");
    assert_eq!(role(holder, NOW).await, None);
    assert!(store.sessions_for(holder, NOW).await.expect("read").is_empty());
    assert_eq!(redeem(&store, "view", None).await, None);
}

#[tokio::test]
async fn a_deleted_session_stays_for_the_manager_until_its_desktop_is_gone() {
    let (_dir, store) = open().await;
    let ann = user(&store, "ann").await;
    let session = session_of(&store, ann).await;
    let first = store.session(&session).await.expect("read").expect("there");
    store.set_desired(&session, Desired::Running, Actor::User(ann), NOW).await.expect("asked");
    let again = store.session(&session).await.expect("read").expect("there");
    assert!(again.started_at > first.started_at, "a start within the second is another one");
    store.forget_session(&session).await.expect("asked");
    assert!(store.session(&session).await.expect("read").is_some(), "not unless it is to go");

    store.delete_session(&session, Actor::User(ann), NOW).await.expect("deleted");
    assert_eq!(store.session(&session).await.expect("read"), None);
    let all = store.all_sessions().await.expect("read");
    assert_eq!(all.len(), 1);
    assert!(all[0].deleted && all[0].desired == Desired::Stopped);
    let again = store.delete_session(&session, Actor::User(ann), NOW).await;
    assert!(matches!(again, Err(StoreError::Missing("session"))));
    store.forget_session(&session).await.expect("forgotten");
    assert!(store.all_sessions().await.expect("read").is_empty());
}

#[tokio::test]
async fn one_user_has_so_many_sessions_and_takes_them_along() {
    let (_dir, store) = open().await;
    add(&store, "root", UserRole::Admin).await.expect("an administrator");
    let ann = user(&store, "ann").await;
    let kept = session_of(&store, ann).await;
    let id = SessionId::from_bytes([9; 10]);
    let new = NewSession { id: &id, owner: ann, template: "desktop", name: "Desktop" };
    let refused = store.create_session(&new, 1, NOW).await;
    assert!(matches!(refused, Err(StoreError::TooMany { max: 1 })));
    store.delete_user(ann, Actor::System, NOW).await.expect("deleted");
    assert_eq!(store.session(&kept).await.expect("read"), None);
    assert!(store.all_sessions().await.expect("read")[0].deleted);
}

#[tokio::test]
async fn who_did_what_is_noted_without_secrets() {
    let (_dir, store) = open().await;
    let ann = user(&store, "ann").await;
    let session = session_of(&store, ann).await;
    link_to(&store, &session, "hunter2", LinkRole::View, None).await;
    redeem(&store, "hunter2", None).await.expect("redeemed");
    let audit = store.audit(10).await.expect("read");
    let actions: Vec<&str> = audit.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["link.redeem", "link.create", "session.create", "user.create"]);
    assert_eq!((audit[1].actor.as_str(), audit[1].at), (&*format!("user {}", ann.0), NOW));
    assert!(audit[0].actor.starts_with("guest "));
    assert!(!format!("{audit:?} {store:?} {:?}", TokenHash::of("hunter2")).contains("hunter2"));
    store.prune_audit(NOW.plus(500 * 86_400)).await.expect("pruned");
    assert!(store.audit(10).await.expect("read").is_empty());
}

#[tokio::test]
async fn what_was_thrown_away_is_nowhere_until_it_is_taken_back_with_its_links() {
    let (_dir, store) = open().await;
    let ann = user(&store, "ann").await;
    let session = session_of(&store, ann).await;
    link_to(&store, &session, "hunter2", LinkRole::View, None).await;
    let guest = redeem(&store, "hunter2", None).await.expect("redeemed").login.expect("a guest");
    store.discard_session(&session, Actor::User(ann), NOW).await.expect("thrown away");
    assert_eq!(store.session(&session).await.expect("read"), None);
    for holder in [Holder::User(ann), Holder::Guest(guest)] {
        assert!(store.sessions_for(holder, NOW).await.expect("read").is_empty());
        assert!(store.grants(holder, NOW).await.expect("read").is_empty());
    }
    assert_eq!(redeem(&store, "hunter2", None).await, None);
    let again = store.discard_session(&session, Actor::User(ann), NOW).await;
    assert!(matches!(again, Err(StoreError::Missing("session"))));
    let stopped = store.set_desired(&session, Desired::Stopped, Actor::System, NOW).await;
    assert!(matches!(stopped, Err(StoreError::Missing("session"))));
    let found = store.discarded_of(ann).await.expect("read");
    let discarded = found[0].discarded.expect("it was");
    assert!(discarded.is_held(NOW.plus(599)) && !discarded.is_held(NOW.plus(600)));
    assert_eq!(discarded.gone_at(), NOW.plus(7 * 86_400));

    let full = store.recover_session(&session, 0, Actor::User(ann), NOW).await;
    assert!(matches!(full, Err(StoreError::TooMany { max: 0 })));
    store.recover_session(&session, 1, Actor::User(ann), NOW).await.expect("taken back");
    store.recover_session(&session, 0, Actor::User(ann), NOW).await.expect("as it is");
    let back = store.session(&session).await.expect("read").expect("there");
    assert_eq!((back.desired, back.discarded), (Desired::Running, None));
    assert_eq!(store.grants(Holder::Guest(guest), NOW).await.expect("read").len(), 1);
}

#[tokio::test]
async fn what_was_thrown_away_goes_in_time_and_the_newest_alone_keep_their_programs() {
    let (_dir, store) = open().await;
    let ann = user(&store, "ann").await;
    let mut all = Vec::new();
    for number in 0..52 {
        let id = SessionId::from_bytes([number; 10]);
        let new = NewSession { id: &id, owner: ann, template: "desktop", name: "Desktop" };
        store.create_session(&new, 1, NOW).await.expect("what was thrown away does not count");
        let at = NOW.plus(number.into());
        store.discard_session(&id, Actor::User(ann), at).await.expect("thrown away");
        all.push(id);
    }
    let found = store.discarded_of(ann).await.expect("read");
    let newest: Vec<_> = found.iter().map(|session| session.id.clone()).collect();
    assert_eq!(newest, all.iter().rev().take(50).cloned().collect::<Vec<_>>());
    let held = found.iter().filter(|it| it.discarded.is_some_and(|it| it.is_held(NOW)));
    assert_eq!(held.map(|it| it.id.clone()).collect::<Vec<_>>(), newest[..2]);
    let week = 7 * 86_400;
    assert_eq!(store.delete_discarded(NOW.plus(week + 1)).await.expect("done"), 0);
    assert_eq!(store.delete_discarded(NOW.plus(week + 3)).await.expect("done"), 2);
    let deleted = store.all_sessions().await.expect("read").into_iter().filter(|it| it.deleted);
    assert_eq!(deleted.count(), 4);
}

#[tokio::test]
async fn versions_of_a_template_follow_each_other_and_the_first_and_the_newest_stay() {
    let (_dir, store) = open().await;
    let ann = user(&store, "ann").await;
    let session = session_of(&store, ann).await;
    let apply = async |based_on: u32, text: &str| {
        let new = NewVersion { based_on, before: "v0", text, note: "why", author: ann };
        store.apply_template(&session, &new, NOW).await
    };
    assert_eq!(store.template_versions(&session).await.expect("read"), []);
    assert_eq!(apply(0, "v1").await.expect("applied"), 1);
    let overtaken = apply(0, "v1b").await;
    assert!(matches!(overtaken, Err(StoreError::Overtaken { newest: 1 })), "{overtaken:?}");
    for number in 1..60 {
        assert_eq!(apply(number, &format!("v{}", number + 1)).await.expect("applied"), number + 1);
    }
    let kept = store.template_versions(&session).await.expect("read");
    let numbers: Vec<u32> = kept.iter().map(|version| version.number).collect();
    let expected: Vec<u32> = (12..=60).rev().chain([0]).collect();
    assert_eq!(numbers, expected, "fifty of them");
    assert_eq!((kept[0].author.as_deref(), kept[49].author.as_deref()), (Some("ann"), None));
    let read = async |number| store.template_version(&session, number).await.expect("read");
    assert_eq!(read(60).await.map(|version| version.text).as_deref(), Some("v60"));
    assert_eq!(read(0).await.map(|version| version.text).as_deref(), Some("v0"));
    assert_eq!(read(11).await, None);
    assert_eq!(store.session(&session).await.expect("read").expect("there").template_version, 60);
    let audit = store.audit(1).await.expect("read");
    assert_eq!((&*audit[0].action, &*audit[0].detail), ("session.template", "version 60: why"));

    let id = SessionId::from_bytes([3; 10]);
    let twin = NewSession { id: &id, owner: ann, template: "desktop", name: "Twin" };
    store.create_session_like(&twin, Some(&session), 8, NOW).await.expect("made");
    assert_eq!(store.session(&id).await.expect("read").expect("there").template_version, 1);
    let one = store.template_version(&id, 1).await.expect("read").expect("there");
    assert_eq!((&*one.text, store.template_versions(&id).await.expect("read").len()), ("v60", 2));

    store.delete_session(&session, Actor::User(ann), NOW).await.expect("deleted");
    assert!(matches!(apply(60, "v61").await, Err(StoreError::Missing("session"))));
    store.forget_session(&session).await.expect("forgotten");
    assert_eq!(store.template_versions(&session).await.expect("read"), []);
}
