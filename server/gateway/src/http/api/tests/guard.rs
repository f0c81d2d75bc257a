//! Whose pages may ask, and what bodies are taken.

use super::*;

/// FIELD T-23: from where a request says it comes.
const ORIGINS: [(Option<&str>, bool); 16] = [
    (Some(ORIGIN), true),
    (None, false),
    (Some("null"), false),
    (Some(""), false),
    (Some("http://evil.example"), false),
    (Some("http://localhost:8081"), false),
    // A preview that has a port of the server's host.
    (Some("http://localhost:20100"), false),
    (Some("http://localhost"), false),
    (Some("https://localhost:8080"), false),
    (Some("http://www.localhost:8080"), false),
    (Some("http://localhost:8080.evil.example"), false),
    (Some("http://localhost.evil.example:8080"), false),
    (Some("http://LOCALHOST:8080"), false),
    (Some("http://localhost.:8080"), false),
    (Some("http://löcalhost:8080"), false),
    (Some("https://lms.school.example"), false),
];

fn from(origin: Option<&str>, site: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(origin) = origin {
        let value = axum::http::HeaderValue::from_bytes(origin.as_bytes()).expect("a header");
        headers.insert(header::ORIGIN, value);
    }
    if let Some(site) = site {
        headers.insert("sec-fetch-site", site.parse().expect("a header"));
    }
    headers
}

#[tokio::test]
async fn only_our_own_pages_change_anything_with_a_cookie() {
    let world = World::new().await;
    let user = world.user().await;
    for route in routes().iter().filter(|route| route.method != Method::GET) {
        let path = route.path.replace("{id}", "aaaaaaaaaaaaaaaa").replace("{link}", "1");
        for (origin, ours) in ORIGINS {
            // What comes through may meet anything but the guard of pages.
            let (cookie, method) = (world.browser(&user).await, route.method.clone());
            let headers = from(origin, None);
            let answer = world.send(method, &path, &cookie, headers, "{".into()).await;
            let stopped = answer.json()["title"] == "Origin not allowed";
            assert_eq!(stopped, !ours, "{} {path} from {origin:?}", route.method);
            assert!(!stopped || answer.status == StatusCode::FORBIDDEN);
        }
    }
    let program = world.program(&user).await;
    for (origin, ours) in ORIGINS {
        let (headers, path) = (from(origin, None), "/api/v1/sessions");
        let answer = world.send(Method::POST, path, &program, headers, "{".into()).await;
        let stopped = answer.json()["title"] == "Origin not allowed";
        assert_eq!(stopped, !ours && origin.is_some(), "a program from {origin:?}");
    }
}

#[tokio::test]
async fn what_a_browser_says_of_another_site_counts_whatever_the_origin() {
    let world = World::new().await;
    let user = world.user().await;
    let (cookie, bearer) = (world.browser(&user).await, world.program(&user).await);
    let table = [
        (Some("same-origin"), true),
        (Some("none"), true),
        (None, true),
        (Some("same-site"), false),
        (Some("cross-site"), false),
        (Some("nonsense"), false),
    ];
    for (site, passes) in table {
        let headers = || from(Some(ORIGIN), site);
        let read = world.send(Method::GET, "/api/v1/me", &cookie, headers(), String::new()).await;
        assert_eq!(read.status == StatusCode::OK, passes, "{site:?}");
        let program =
            world.send(Method::GET, "/api/v1/me", &bearer, headers(), String::new()).await;
        assert_eq!(program.status, StatusCode::OK, "{site:?}");
        let anybody = Proof::default();
        let body = json!({ "token": "guess" }).to_string();
        let redeem = world.send(Method::POST, "/api/v1/redeem", &anybody, headers(), body).await;
        assert_eq!(redeem.status == StatusCode::NOT_FOUND, passes, "{site:?}");
    }
}

#[tokio::test]
async fn a_field_that_nobody_may_set_is_refused_by_name() {
    let world = World::new().await;
    let (admin, user) = (world.browser(&world.admin().await).await, world.user().await);
    let session = world.session_of(&user).await;
    let owner = world.browser(&user).await;
    let own = format!("/api/v1/sessions/{session}");
    let (links, control) = (format!("{own}/links"), format!("{own}/control"));
    let account = format!("/api/v1/users/{}", user.id.0);
    let table = [
        (&owner, Method::POST, "/api/v1/sessions", json!({ "template": "desktop" }), "owner"),
        (&owner, Method::POST, "/api/v1/sessions", json!({ "template": "desktop" }), "desired"),
        (&owner, Method::POST, "/api/v1/sessions", json!({ "template": "desktop" }), "id"),
        (&owner, Method::POST, &links, json!({ "role": "view" }), "session"),
        (&owner, Method::POST, &links, json!({ "role": "view" }), "created_by"),
        (&owner, Method::POST, &links, json!({ "role": "view" }), "uses"),
        (&owner, Method::POST, &control, json!({ "to": 1 }), "role"),
        (&owner, Method::PUT, "/api/v1/me/password", json!({ "new": "a long one" }), "role"),
        (&owner, Method::POST, "/api/v1/login", json!({ "name": "a", "password": "b" }), "role"),
        (&owner, Method::POST, "/api/v1/enter", json!({ "token": "a" }), "user"),
        (&owner, Method::POST, "/api/v1/redeem", json!({ "token": "a" }), "role"),
        (&admin, Method::POST, "/api/v1/users", json!({ "name": "zoe" }), "is_admin"),
        (&admin, Method::POST, "/api/v1/users", json!({ "name": "zoe" }), "id"),
        (&admin, Method::PATCH, &account, json!({}), "id"),
        (&admin, Method::PATCH, &account, json!({}), "name"),
        (&admin, Method::PATCH, &account, json!({}), "password_hash"),
    ];
    for (who, method, path, mut body, field) in table {
        body[field] = json!("admin");
        let answer = world.ask(method.clone(), path, who, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method} {path} {field}");
        let named = format!("unknown field `{field}`");
        assert!(answer.detail().contains(&named), "{method} {path}: {}", answer.detail());
    }
    let users = world.api.store().users().await.expect("read");
    assert!(users.iter().all(|user| user.name != "zoe"));
    assert_eq!(world.api.store().all_sessions().await.expect("read").len(), 1);
}

#[tokio::test]
async fn bodies_are_small_objects_of_the_right_kind() {
    let world = World::new().await;
    let table = [
        (String::new(), StatusCode::BAD_REQUEST),
        ("null".into(), StatusCode::BAD_REQUEST),
        ("[1]".into(), StatusCode::BAD_REQUEST),
        ("{\"token\": 1}".into(), StatusCode::BAD_REQUEST),
        ("{\"token\": \"a\"} x".into(), StatusCode::BAD_REQUEST),
        ("{\"token\": \"a\", \"token\": \"b\"}".into(), StatusCode::BAD_REQUEST),
        ("[".repeat(10_000), StatusCode::BAD_REQUEST),
        (format!("{{\"token\": \"{}\"}}", "a".repeat(20_000)), StatusCode::PAYLOAD_TOO_LARGE),
        ("{\"token\": \"a\"}".into(), StatusCode::NOT_FOUND),
    ];
    for (body, expected) in table {
        let shown: String = body.chars().take(40).collect();
        let (nobody, headers) = (Proof::default(), HeaderMap::new());
        let answer = world.send(Method::POST, "/api/v1/redeem", &nobody, headers, body).await;
        assert_eq!(answer.status, expected, "{shown}");
        let kind = answer.headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
        assert_eq!(kind, Some(b"application/problem+json".as_slice()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let (open, body) = tokio::io::duplex(64);
    let stream = futures_util::stream::unfold(body, |mut body| async move {
        let byte = tokio::io::AsyncReadExt::read_u8(&mut body).await;
        Some((byte.map(|byte| Bytes::copy_from_slice(&[byte])), body))
    });
    let request = Request::new(Body::from_stream(stream));
    let read = <answers::Read<Value> as axum::extract::FromRequest<()>>::from_request(request, &());
    let problem = read.await.expect_err("nothing came");
    let status = axum::response::IntoResponse::into_response(problem).status();
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    drop(open);
}

#[tokio::test]
async fn nothing_of_the_api_is_kept_by_caches() {
    let world = World::new().await;
    let cookie = world.browser(&world.admin().await).await;
    for who in [&cookie, &Proof::default()] {
        for path in ["/api/v1/me", "/api/v1/users", "/api/openapi.json", "/api/v1/sessions"] {
            let answer = world.get(path, who).await;
            let kept = answer.headers.get(header::CACHE_CONTROL).map(|value| value.as_bytes());
            assert_eq!(kept, Some(b"no-store".as_slice()), "{path}");
        }
    }
}
