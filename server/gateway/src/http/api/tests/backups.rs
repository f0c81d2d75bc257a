//! Backups, as administrators see them.

use super::*;

#[tokio::test]
async fn what_fails_is_told_of_where_administrators_look() {
    let world = World::new().await;
    let admin = world.browser(&world.admin().await).await;
    let read = || world.ask(Method::GET, "/api/v1/backup", &admin, Value::Null);
    let before = read().await.json();
    assert_eq!(
        (&before["configured"], &before["made_here"], &before["every"], &before["last"]),
        (&json!(true), &json!(true), &json!("24h"), &Value::Null)
    );
    for (path, seen) in [("/api/v1/backup", "error"), ("/api/v1/backup/drill", "drill")] {
        let answer = world.ask(Method::POST, path, &admin, Value::Null).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.detail());
        let told = loop {
            let told = read().await.json();
            if told["now"].is_null() && !told[seen].is_null() {
                break told;
            }
            tokio::task::yield_now().await;
        };
        // An hour after what failed it is tried again.
        let (tried, next) = (&told["tried_at"], &told["next_at"]);
        assert!(tried.is_string() && next.is_string() && tried.as_str() < next.as_str(), "{told}");
        assert_eq!(
            (&told["repository"]["kind"], &told["progress"]),
            (&json!("directory"), &Value::Null)
        );
        let why = if seen == "error" { &told["error"] } else { &told["drill"]["error"] };
        assert!(why.as_str().is_some_and(|why| why.contains("backup.password_file")), "{told}");
    }
}
