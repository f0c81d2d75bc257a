use super::*;

const START: Duration = Duration::from_secs(100);

fn name(text: &str) -> AppName {
    AppName::parse(text).expect("a name")
}

fn open(app: &str) -> Request {
    Request::Open { app: name(app) }
}

fn asks(id: u64, app: &str) -> Say {
    Say::Gateway(ToGateway::Ask { id, what: Ask::Open { app: name(app) } })
}

fn app(state: AppState) -> App {
    let reason = (state == AppState::Ended).then(|| Said::cut("killed"));
    App {
        name: name("code"),
        title: Said::cut("VS Code"),
        icon: Said::cut("vscode"),
        state,
        reason,
    }
}

fn ended(client: Client, was_open: bool) -> Say {
    Say::Client(client, Reply::Ended { app: app(AppState::Ended), was_open })
}

fn done(id: u64) -> FromGateway {
    FromGateway::Answer { id, what: Answer::Done {} }
}

fn linked() -> Relay {
    let mut relay = Relay::default();
    relay.handle_linked(START);
    relay
}

fn refusal(said: &[Say]) -> &str {
    match said {
        [Say::Client(_, Reply::Refused { reason })] => reason.as_str(),
        said => panic!("no refusal: {said:?}"),
    }
}

#[test]
fn a_question_is_asked_and_its_answer_goes_to_whoever_asked() {
    let mut relay = linked();
    relay.handle_request(1, open("code"), START);
    relay.handle_request(2, open("browser"), START);
    assert_eq!(relay.poll_said(), [asks(1, "code"), asks(2, "browser")]);
    relay.handle_gateway(done(2));
    assert_eq!(relay.poll_said(), [Say::Client(2, Reply::Done {})]);
    assert!(relay.is_waiting(1) && !relay.is_waiting(2));
}

#[test]
fn a_question_waits_for_a_gateway_and_then_for_the_next() {
    let mut relay = Relay::default();
    relay.handle_request(1, open("code"), START);
    assert_eq!(relay.poll_said(), []);
    relay.handle_linked(START + Duration::from_secs(9));
    assert_eq!(relay.poll_said(), [asks(1, "code")]);
    relay.handle_unlinked(START + Duration::from_secs(12));
    relay.handle_linked(START + Duration::from_secs(13));
    assert_eq!(relay.poll_said(), [asks(1, "code")], "asked again");
}

#[test]
fn who_waits_too_long_is_told_why() {
    let mut relay = Relay::default();
    relay.handle_request(1, open("code"), START);
    assert_eq!(relay.deadline(), Some(START + LINK_PATIENCE));
    relay.handle_time(START + LINK_PATIENCE);
    assert_eq!(refusal(&relay.poll_said()), "Lattice is restarting; try again in a moment");
    relay.handle_linked(START);
    relay.handle_request(1, open("code"), START);
    relay.poll_said();
    relay.handle_time(START + ANSWER_PATIENCE);
    assert!(refusal(&relay.poll_said()).contains("did not answer"));
    relay.handle_gateway(done(2));
    assert_eq!(relay.poll_said(), [], "too late");
}

#[test]
fn opening_has_a_pace() {
    let mut relay = linked();
    for client in 0..10 {
        relay.handle_request(client, open("code"), START);
    }
    assert_eq!(relay.poll_said().len(), MOST_OPENS);
    relay.handle_request(10, open("code"), START + Duration::from_secs(4));
    assert!(refusal(&relay.poll_said()).contains("wait 7 s"));
    relay.handle_request(10, Request::List {}, START);
    assert_eq!(relay.poll_said().len(), 1, "looking has none");
    relay.handle_request(11, open("code"), START + WITHIN);
    assert_eq!(relay.poll_said().len(), 1);
}

#[test]
fn an_app_that_ends_is_told_of_once() {
    let mut relay = linked();
    relay.handle_request(1, Request::Watch {}, START);
    relay.poll_said();
    let mut check = |state, expected: &[Say]| {
        relay.handle_gateway(FromGateway::Apps { apps: vec![app(state)] });
        assert_eq!(relay.poll_said(), expected, "{state:?}");
    };
    check(AppState::Closed, &[]);
    check(AppState::Starting, &[]);
    check(AppState::Running, &[]);
    check(AppState::Ended, &[ended(1, true)]);
    // As a gateway says that comes back.
    check(AppState::Ended, &[]);
    check(AppState::Starting, &[]);
    check(AppState::Ended, &[ended(1, false)]);
    check(AppState::Closed, &[]);
}

#[test]
fn an_app_that_is_opened_again_and_ends_at_once_is_told_of_again() {
    let mut relay = linked();
    relay.handle_request(1, Request::Watch {}, START);
    relay.handle_gateway(FromGateway::Apps { apps: vec![app(AppState::Ended)] });
    relay.handle_request(2, open("code"), START);
    relay.poll_said();
    relay.handle_gateway(done(1));
    relay.handle_gateway(FromGateway::Apps { apps: vec![app(AppState::Ended)] });
    assert_eq!(relay.poll_said(), [Say::Client(2, Reply::Done {}), ended(1, false)]);
}

#[test]
fn who_comes_later_hears_what_nobody_has_heard() {
    let mut relay = linked();
    relay.handle_gateway(FromGateway::Apps { apps: vec![app(AppState::Ended)] });
    relay.handle_request(1, Request::Watch {}, START);
    assert_eq!(relay.poll_said(), [Say::Client(1, Reply::Watching {}), ended(1, false)]);
    relay.handle_request(2, Request::Watch {}, START);
    assert_eq!(relay.poll_said(), [Say::Client(2, Reply::Watching {})]);
}

#[test]
fn watchers_are_few_and_one_that_goes_makes_room() {
    let mut relay = linked();
    for client in 0..4 {
        relay.handle_request(client, Request::Watch {}, START);
    }
    relay.poll_said();
    relay.handle_request(4, Request::Watch {}, START);
    assert!(refusal(&relay.poll_said()).contains("end one"));
    relay.handle_gone(0);
    relay.handle_request(4, Request::Watch {}, START);
    assert_eq!(relay.poll_said(), [Say::Client(4, Reply::Watching {})]);
}

#[test]
fn status_needs_no_gateway() {
    let mut relay = Relay::default();
    relay.handle_request(1, Request::Status {}, START);
    assert_eq!(relay.poll_said(), [Say::Client(1, Reply::Status { linked: false })]);
}

fn about(question: Desktop) -> Request {
    Request::Desktop(question)
}

fn snapshot() -> Desktop {
    Desktop::Snapshot { name: None }
}

#[test]
fn what_is_done_twice_where_it_is_asked_twice_is_asked_once() {
    let mut relay = linked();
    relay.handle_request(1, about(snapshot()), START);
    relay.handle_request(2, about(Desktop::Links {}), START);
    assert_eq!(relay.poll_said().len(), 2);
    relay.handle_unlinked(START);
    relay.handle_request(3, about(snapshot()), START);
    relay.handle_linked(START);
    let said = relay.poll_said();
    assert!(refusal(&said[..1]).contains("restarted meanwhile"), "{said:?}");
    let asked = |said: &Say| matches!(said, Say::Gateway(ToGateway::Ask { .. }));
    assert_eq!(said[1..].iter().filter(|said| asked(said)).count(), 2, "{said:?}");
    assert!(!relay.is_waiting(1) && relay.is_waiting(2) && relay.is_waiting(3));
}

/// The desktop stands still while its snapshot is made, and this with it.
#[test]
fn a_snapshot_may_take_its_time() {
    let mut relay = linked();
    relay.handle_request(1, about(snapshot()), START);
    relay.handle_request(2, about(Desktop::Status {}), START);
    relay.poll_said();
    relay.handle_time(START + ANSWER_PATIENCE);
    assert!(refusal(&relay.poll_said()).contains("did not answer"));
    assert!(relay.is_waiting(1));
    relay.handle_time(START + SNAPSHOT_PATIENCE);
    assert!(!relay.is_waiting(1));
}

#[test]
fn questions_about_the_desktop_have_a_pace() {
    let mut relay = linked();
    for client in 0..MOST_QUESTIONS as u64 {
        relay.handle_request(client, about(Desktop::Status {}), START);
    }
    assert_eq!(relay.poll_said().len(), MOST_QUESTIONS);
    relay.handle_request(99, about(Desktop::Manage {}), START);
    assert!(refusal(&relay.poll_said()).contains("wait 11 s"));
    relay.handle_request(99, open("code"), START);
    assert_eq!(relay.poll_said(), [asks(MOST_QUESTIONS as u64 + 1, "code")], "apps have their own");
}
