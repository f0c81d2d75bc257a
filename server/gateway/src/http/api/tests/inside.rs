//! What desktops' programs are told and may have done, without a relay in between.

use super::super::Inside;
use super::*;
use crate::store::LinkId;
use lattice_engine::policy::LinkRole;
use lattice_wire::desktop::{Question, Right, Told};
use lattice_wire::snapshots::SnapshotName;

const HOME: &str = "https://lattice.example";

fn inside(world: &World, most: Option<LinkRole>) -> Inside {
    Inside::new(world.api.clone(), HOME, most)
}

fn view(for_s: u32) -> Question {
    Question::Share { right: Right::View, for_s }
}

fn refused(told: Result<Told, String>) -> String {
    told.expect_err("it is refused")
}

/// The newest lines of the audit, without times.
async fn audit(world: &World, most: u32) -> Vec<String> {
    let lines = world.api.store().audit(most).await.expect("read");
    let text = |line: &crate::store::AuditEntry| {
        format!("{}: {} of {}: {}", line.actor, line.action, line.subject, line.detail)
    };
    lines.iter().map(text).collect()
}

#[tokio::test]
async fn a_link_from_inside_is_like_others_and_noted_as_what_it_is() {
    let world = World::new().await;
    let (owner, inside) = (world.user().await, inside(&world, Some(LinkRole::View)));
    let session = world.session_of(&owner).await;
    let told = inside.answer(&session, view(3600)).await.expect("made");
    let Told::Link { link, url } = told else { panic!("{told:?}") };
    let secret = url.expose().strip_prefix("https://lattice.example/s/").expect("a link");
    let line = &audit(&world, 1).await[0];
    let by =
        format!("user {}: link.create of link {} of session {session}", owner.id.0, link.number);
    assert_eq!(*line, format!("{by}: view, from the desktop"));
    assert!(!line.contains(secret));
    let guest = world.redeem(&Proof::default(), secret).await;
    assert_eq!((guest.status, &guest.json()["role"]), (StatusCode::OK, &json!("view")));
    let browser = world.browser(&owner).await;
    let listed = world.get(&format!("/api/v1/sessions/{session}/links"), &browser).await.json();
    assert_eq!(listed["links"][0]["from_desktop"], true, "{listed}");
    assert_eq!(
        (&listed["links"][0]["uses"], &listed["links"][0]["max_uses"]),
        (&json!(1), &json!(100))
    );
    let Told::Links { links } = inside.answer(&session, Question::Links {}).await.expect("told")
    else {
        panic!("no list")
    };
    assert_eq!((links.len(), links[0].number, links[0].uses), (1, link.number, 1));
    let revoke = Question::Revoke { link: link.number };
    assert_eq!(inside.answer(&session, revoke.clone()).await, Ok(Told::Revoked {}));
    assert!(world.told().await.contains(&format!("dismiss Link({:?})", LinkId(link.number))));
    assert!(
        audit(&world, 1).await[0].ends_with(
            "link.revoke of link 1 of session {session}: from the desktop"
                .replace("{session}", session.as_str())
                .as_str()
        )
    );
    assert!(refused(inside.answer(&session, revoke).await).contains("--list"));
}

#[tokio::test]
async fn a_link_from_inside_gives_what_the_administrator_allows_and_is_bounded() {
    let world = World::new().await;
    let session = world.session_of(&world.user().await).await;
    let with = |right| Question::Share { right, for_s: 60 };
    let none = inside(&world, None);
    assert!(refused(none.answer(&session, view(60)).await).contains("/#desktop/"));
    let assist = inside(&world, Some(LinkRole::Assist));
    assert!(assist.answer(&session, with(Right::Assist)).await.is_ok());
    assert!(
        refused(assist.answer(&session, with(Right::Control)).await).contains("assist at most")
    );
    for for_s in [0, 59, 86_401, u32::MAX] {
        let reason = refused(assist.answer(&session, view(for_s)).await);
        assert!(reason.contains("24 hours at most"), "{reason}");
    }
    for _ in 1..5 {
        assist.answer(&session, view(86_400)).await.expect("made");
    }
    let reason = refused(assist.answer(&session, view(60)).await);
    assert!(reason.contains("5 links") && reason.contains("--revoke"), "{reason}");
    // Making and ending them again and again is bounded, too.
    let mut made = 5;
    loop {
        let Ok(Told::Links { links }) = assist.answer(&session, Question::Links {}).await else {
            panic!("no list")
        };
        let ended = Question::Revoke { link: links[0].number };
        assist.answer(&session, ended).await.expect("ended");
        match assist.answer(&session, view(60)).await {
            Ok(_) => made += 1,
            Err(reason) => {
                assert!(reason.contains("last hour"), "{reason}");
                break;
            }
        }
        assert!(made <= 20, "{made} links were made");
    }
}

#[tokio::test]
async fn a_program_ends_no_link_that_was_not_made_from_its_desktop() {
    let world = World::new().await;
    let (owner, inside) = (world.user().await, inside(&world, Some(LinkRole::View)));
    let (own, other) =
        (world.session_of(&owner).await, world.session_of(&world.user().await).await);
    let by_page =
        world.link(&world.browser(&owner).await, &own, json!({ "role": "control" })).await.1;
    let told = inside.answer(&other, view(3600)).await.expect("made");
    let Told::Link { link, .. } = told else { panic!("{told:?}") };
    for link in [by_page.parse().expect("a number"), link.number, 0, -1, i64::MAX] {
        let reason = refused(inside.answer(&own, Question::Revoke { link }).await);
        assert!(reason.contains("was made from inside this desktop"), "{reason}");
    }
    assert_eq!(
        inside.answer(&own, Question::Links {}).await,
        Ok(Told::Links { links: Vec::new() })
    );
    let now = Timestamp::now();
    assert_eq!(world.api.store().links(&other, now).await.expect("read").len(), 1);
    assert_eq!(world.api.store().links(&own, now).await.expect("read").len(), 1);
}

#[tokio::test]
async fn snapshots_from_inside_are_named_noted_and_few() {
    let world = World::new().await;
    let (owner, inside) = (world.user().await, inside(&world, None));
    let (one, two) = (world.session_of(&owner).await, world.session_of(&owner).await);
    let name = SnapshotName::parse("before the talk");
    let asked = Question::Snapshot { name: name.clone() };
    let told = inside.answer(&one, asked).await.expect("made");
    let Told::Snapshot(made) = told else { panic!("{told:?}") };
    assert_eq!((made.name, made.files), (name, 1));
    let line = &audit(&world, 1).await[0];
    assert!(line.contains("session.snapshot") && line.ends_with(", from the desktop"), "{line}");
    let browser = world.browser(&owner).await;
    let listed = world.get(&format!("/api/v1/sessions/{one}/snapshots"), &browser).await.json();
    let newest = &listed["snapshots"][0];
    assert_eq!((&newest["name"], &newest["cause"]), (&json!("before the talk"), &json!("desktop")));
    // All desktops of a person have one share, since they have one Data.
    let mut made = 1;
    let reason = loop {
        let session = if made % 2 == 0 { &one } else { &two };
        match inside.answer(session, Question::Snapshot { name: None }).await {
            Ok(_) => made += 1,
            Err(reason) => break reason,
        }
        assert!(made < 100, "as many as one likes");
    };
    assert_eq!(made, 6);
    assert!(reason.contains("wait 60 minutes") && reason.contains("page"), "{reason}");
    let other = world.session_of(&world.user().await).await;
    assert!(
        inside.answer(&other, Question::Snapshot { name: None }).await.is_ok(),
        "others' is theirs"
    );
}

#[tokio::test]
async fn the_page_is_offered_now_and_then_and_a_deleted_desktop_is_told_nothing() {
    let world = World::new().await;
    let (owner, inside) = (world.user().await, inside(&world, None));
    let session = world.session_of(&owner).await;
    let told = inside.answer(&session, Question::Manage {}).await.expect("offered");
    let Told::Offered { url } = told else { panic!("{told:?}") };
    assert_eq!(url.expose(), format!("{HOME}/#desktop/{session}"));
    assert!(world.told().await.contains(&format!("offer the page of {session}")));
    let asked = (0..9).map(|_| inside.answer(&session, Question::Manage {}));
    let all = futures_util::future::join_all(asked).await;
    assert_eq!(all.iter().filter(|told| told.is_ok()).count(), 2, "{all:?}");
    let path = format!("/api/v1/sessions/{session}/discard");
    let browser = world.browser(&owner).await;
    world.ask(Method::POST, &path, &browser, Value::Null).await;
    for question in [Question::Status {}, view(60), Question::Snapshot { name: None }] {
        assert!(refused(inside.answer(&session, question).await).contains("deleted"));
    }
}

#[tokio::test]
async fn a_status_has_what_is_known_and_nothing_secret() {
    let world = World::new().await;
    let (owner, inside) = (world.user().await, inside(&world, Some(LinkRole::View)));
    let session = world.session_of(&owner).await;
    inside.answer(&session, view(60)).await.expect("made");
    inside.answer(&session, Question::Snapshot { name: None }).await.expect("made");
    let told = inside.answer(&session, Question::Status {}).await.expect("told");
    let text = serde_json::to_string(&told).expect("JSON");
    let Told::Status(status) = told else { panic!("{text}") };
    let seen: Vec<_> =
        status.lookers.iter().map(|looker| (looker.name.as_str(), looker.drives)).collect();
    assert_eq!(seen, [("Viewer 1", true), ("Viewer 2", false)]);
    assert_eq!((status.name.as_str(), status.share), ("Desktop", Some(Right::View)));
    assert!(status.snapshot.is_some(), "{text}");
    assert!(!text.contains("/s/") && !text.contains("login"), "{text}");
}
