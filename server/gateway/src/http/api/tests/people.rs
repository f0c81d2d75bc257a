//! Signing in and out, and accounts.

use super::*;
use crate::store::LoginId;

impl World {
    async fn sign_in(&self, name: &str, password: &str) -> Answer {
        let body = json!({ "name": name, "password": password });
        self.ask(Method::POST, "/api/v1/login", &Proof::default(), body).await
    }

    /// A new account with that password.
    async fn account(&self, name: &str, password: &str) -> Value {
        let admin = self.browser(&self.admin().await).await;
        let body = json!({ "name": name, "display_name": "Ann B.", "password": password });
        let made = self.ask(Method::POST, "/api/v1/users", &admin, body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.detail());
        made.json()
    }
}

#[tokio::test]
async fn a_user_signs_in_is_known_and_signs_out() {
    let world = World::new().await;
    let made = world.account("ann", "correct horse").await;
    let entered = world.sign_in("ANN", "correct horse").await;
    assert_eq!(entered.status, StatusCode::NO_CONTENT);
    let browser = entered.proof();
    let me = world.get("/api/v1/me", &browser).await.json();
    let expected = json!({ "user": {
        "id": made["id"], "name": "ann", "display_name": "Ann B.", "role": "member",
        "has_password": true,
    } });
    assert_eq!(me, expected);
    world.told().await;
    let left = world.ask(Method::POST, "/api/v1/logout", &browser, Value::Null).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    let cleared = left.headers[header::SET_COOKIE].to_str().expect("ascii");
    assert!(
        cleared.starts_with("__Host-Http-lattice-8080=; Path=/;") && cleared.contains("Max-Age=0")
    );
    assert!(world.told().await[0].starts_with("dismiss Login("));
    assert_eq!(world.get("/api/v1/me", &browser).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn wrong_names_and_passwords_are_told_alike() {
    let world = World::new().await;
    world.account("ann", "correct horse").await;
    let known = world.sign_in("ann", "guess").await;
    for (name, password) in [("zoe", "guess"), ("admin", ""), ("ann'--", "guess"), ("", "")] {
        let answer = world.sign_in(name, password).await;
        assert_eq!(
            (answer.status, &answer.body),
            (StatusCode::UNAUTHORIZED, &known.body),
            "{name}"
        );
        assert_eq!(answer.headers, known.headers);
    }
    for _ in 0..4 {
        world.sign_in("ann", "guess").await;
    }
    let closed = world.sign_in("ann", "correct horse").await;
    assert_eq!(closed.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(closed.headers[header::RETRY_AFTER], "60");
}

#[tokio::test]
async fn whoever_signs_in_signs_out_whoever_was_there() {
    let world = World::new().await;
    world.account("ann", "correct horse").await;
    let before = world.browser(&world.user().await).await;
    world.told().await;
    let body = json!({ "name": "ann", "password": "correct horse" });
    let entered = world.ask(Method::POST, "/api/v1/login", &before, body).await;
    assert_eq!(entered.status, StatusCode::NO_CONTENT);
    assert!(world.told().await[0].starts_with("dismiss Login("));
    assert_eq!(world.get("/api/v1/me", &before).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_new_account_without_a_password_gets_a_link_that_works_once() {
    let world = World::new().await;
    let admin = world.browser(&world.admin().await).await;
    let made = world.ask(Method::POST, "/api/v1/users", &admin, json!({ "name": "zoe" })).await;
    let url = made.json()["url"].as_str().expect("a URL").to_owned();
    let token = url.strip_prefix(&format!("{ORIGIN}/enter#")).expect("a fragment");
    let enter = async || {
        let body = json!({ "token": token });
        world.ask(Method::POST, "/api/v1/enter", &Proof::default(), body).await
    };
    let first = enter().await;
    assert_eq!(first.status, StatusCode::NO_CONTENT);
    assert_eq!(enter().await.status, StatusCode::UNAUTHORIZED);
    let browser = first.proof();
    assert_eq!(world.get("/api/v1/me", &browser).await.json()["user"]["has_password"], false);
    let set = async |body| world.ask(Method::PUT, "/api/v1/me/password", &browser, body).await;
    assert_eq!(set(json!({ "new": "short" })).await.status, StatusCode::BAD_REQUEST);
    let good = set(json!({ "new": "a long password" })).await;
    assert_eq!(good.status, StatusCode::NO_CONTENT, "{}", good.detail());
    assert_eq!(world.sign_in("zoe", "a long password").await.status, StatusCode::NO_CONTENT);
    let listed = world.get("/api/v1/users", &admin).await.json();
    assert!(!listed.to_string().contains("argon2") && !listed.to_string().contains("\"url\""));
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_and_ends_other_logins() {
    let world = World::new().await;
    world.account("ann", "correct horse").await;
    let (here, there) =
        (world.sign_in("ann", "correct horse").await, world.sign_in("ann", "correct horse").await);
    let (here, there) = (here.proof(), there.proof());
    let set = async |body| world.ask(Method::PUT, "/api/v1/me/password", &here, body).await.status;
    assert_eq!(set(json!({ "new": "battery staple" })).await, StatusCode::BAD_REQUEST);
    let wrong = json!({ "current": "guess", "new": "battery staple" });
    assert_eq!(set(wrong).await, StatusCode::FORBIDDEN);
    let right = json!({ "current": "correct horse", "new": "battery staple" });
    assert_eq!(set(right).await, StatusCode::NO_CONTENT);
    assert_eq!(world.get("/api/v1/me", &here).await.status, StatusCode::OK);
    assert_eq!(world.get("/api/v1/me", &there).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.sign_in("ann", "correct horse").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.sign_in("ann", "battery staple").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_stolen_browser_is_no_way_to_guess_the_password() {
    let world = World::new().await;
    world.account("ann", "correct horse").await;
    let browser = world.sign_in("ann", "correct horse").await.proof();
    let mut answers = Vec::new();
    for _ in 0..6 {
        let body = json!({ "current": "guess", "new": "battery staple" });
        answers.push(world.ask(Method::PUT, "/api/v1/me/password", &browser, body).await.status);
    }
    assert_eq!(answers[..5], [StatusCode::FORBIDDEN; 5]);
    assert_eq!(answers[5], StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_disabled_or_demoted_user_is_out_at_once() {
    let world = World::new().await;
    let root = world.browser(&world.admin().await).await;
    let user = world.user().await;
    let (browser, program) = (world.browser(&user).await, world.program(&user).await);
    let path = format!("/api/v1/users/{}", user.id.0);
    let patch = async |body| world.ask(Method::PATCH, &path, &root, body).await;
    assert_eq!(patch(json!({ "role": "admin" })).await.json()["role"], "admin");
    assert_eq!(world.get("/api/v1/users", &program).await.status, StatusCode::OK);
    assert_eq!(world.get("/api/v1/me", &browser).await.status, StatusCode::UNAUTHORIZED);
    patch(json!({ "role": "member" })).await;
    assert_eq!(world.get("/api/v1/users", &program).await.status, StatusCode::FORBIDDEN);
    world.told().await;
    let browser = world.browser(&user).await;
    assert_eq!(patch(json!({ "disabled": true })).await.status, StatusCode::OK);
    assert!(world.told().await.contains(&format!("dismiss User(UserId({}))", user.id.0)));
    for who in [&browser, &program] {
        assert_eq!(world.get("/api/v1/me", who).await.status, StatusCode::UNAUTHORIZED);
    }
    let gone = world.ask(Method::DELETE, &path, &root, Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(patch(json!({ "disabled": false })).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let world = World::new().await;
    let admin = world.admin().await;
    let root = world.browser(&admin).await;
    let path = format!("/api/v1/users/{}", admin.id.0);
    for body in [json!({ "role": "member" }), json!({ "disabled": true })] {
        let answer = world.ask(Method::PATCH, &path, &root, body).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.detail());
    }
    let answer = world.ask(Method::DELETE, &path, &root, Value::Null).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(world.get("/api/v1/users", &root).await.status, StatusCode::OK);
}

#[tokio::test]
async fn names_that_could_be_taken_for_something_else_are_refused() {
    let world = World::new().await;
    let root = world.browser(&world.admin().await).await;
    let bad = ["", " ", "a b", "../x", "<svg>", "a/b", "a\u{202e}b", "a\u{0}", "...", "ADMIN"];
    let long = "n".repeat(65);
    for name in bad.into_iter().chain([&*long]) {
        let body = json!({ "name": name });
        let answer = world.ask(Method::POST, "/api/v1/users", &root, body).await;
        let expected = if name == "ADMIN" { StatusCode::CONFLICT } else { StatusCode::BAD_REQUEST };
        assert_eq!(answer.status, expected, "{name:?}");
        if name == "ADMIN" {
            assert!(answer.detail().contains("\"ADMIN\""), "{}", answer.detail());
        }
    }
    for name in ["jürgen.müller", "ann@school.example", "王芳", "o_o-1"] {
        let body = json!({ "name": name, "display_name": "<b>Ann</b> & co" });
        let answer = world.ask(Method::POST, "/api/v1/users", &root, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{name}: {}", answer.detail());
    }
    let same = json!({ "name": "longenough", "password": "LongEnough" });
    let answer = world.ask(Method::POST, "/api/v1/users", &root, same).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn ids_of_others_are_of_no_use() {
    let world = World::new().await;
    let (ann, ben) = (world.user().await, world.user().await);
    let (hers, his) = (world.session_of(&ann).await, world.browser(&ben).await);
    let (_, link) = world.link(&world.browser(&ann).await, &hers, json!({ "role": "view" })).await;
    let own = world.session_of(&ben).await;
    let tries = [
        (Method::GET, format!("/api/v1/sessions/{hers}")),
        (Method::DELETE, format!("/api/v1/sessions/{hers}")),
        (Method::POST, format!("/api/v1/sessions/{hers}/stop")),
        (Method::GET, format!("/api/v1/sessions/{hers}/links")),
        (Method::DELETE, format!("/api/v1/sessions/{hers}/links/{link}")),
        (Method::DELETE, format!("/api/v1/sessions/{own}/links/{link}")),
        (Method::GET, format!("/api/v1/sessions/{}", hers.as_str().to_uppercase())),
        (Method::GET, "/api/v1/sessions/..%2f".into()),
        (Method::GET, "/api/v1/sessions/%ff".into()),
    ];
    for (method, path) in tries {
        let answer = world.ask(method.clone(), &path, &his, Value::Null).await;
        let refused = matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST);
        assert!(refused, "{method} {path}: {}", answer.status);
    }
    let session = world.api.store().session(&hers).await.expect("read").expect("there");
    assert_eq!(session.desired, crate::store::Desired::Running);
    assert_eq!(world.api.store().links(&hers, Timestamp::now()).await.expect("read").len(), 1);
}

#[tokio::test]
async fn who_looks_is_told_and_which_of_them_one_is() {
    let world = World::new().await;
    let owner = world.user().await;
    let session = world.session_of(&owner).await;
    let browser = world.browser(&owner).await;
    let first = world.api.store().login_of_id(LoginId(1), Timestamp::now()).await.expect("read");
    assert!(first.is_some_and(|login| login.user.is_some_and(|user| user.id == owner.id)));
    let path = format!("/api/v1/sessions/{session}/viewers");
    let seen = world.get(&path, &browser).await.json();
    let expected = json!({ "viewers": [
        { "viewer": 1, "name": "Viewer 1", "role": "owner", "driving": true, "you": true },
        { "viewer": 2, "name": "Viewer 2", "role": "owner", "driving": false, "you": false },
    ] });
    assert_eq!(seen, expected);
    world.told().await;
    let path = format!("/api/v1/sessions/{session}/control");
    for (body, expected) in [
        (json!({ "to": 2 }), StatusCode::NO_CONTENT),
        (json!({ "to": null }), StatusCode::NO_CONTENT),
        (json!({ "to": 9 }), StatusCode::CONFLICT),
        (json!({ "to": -1 }), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(world.ask(Method::POST, &path, &browser, body).await.status, expected);
    }
    let told = world.told().await;
    assert_eq!(told[..2], ["control Some(ViewerId(2))", "control None"]);
}
