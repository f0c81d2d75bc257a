//! Previews on ports: whose each is, and what browsers must not be let do between them.

use super::*;

#[tokio::test]
async fn a_port_answers_what_it_is_leased_to_and_only_by_names_of_the_server() {
    let world = World::with(Book::on_ports(vec![PORT])).await;
    world.program();
    let own = "localhost:20100";
    assert_eq!(world.ask(own, "/", "").await.status, 404, "it is leased to nobody");
    let (site, name) =
        (Site::new("http://localhost:8080"), Name { session: world.session.clone(), port: 5173 });
    assert_eq!(world.api.previews().origin(&name, &site), None);
    let origin = world.api.previews().lease(&name, world.owner, &site).expect("a port");
    assert_eq!(origin, "http://localhost:20100");
    let other = Name { port: 8000, ..name.clone() };
    assert_eq!(
        world.api.previews().lease(&other, 1, &site),
        Err(NoPort::AllInUse),
        "there is no other port"
    );

    let navigates = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    let led = world.ask(own, "/a", navigates).await;
    let to = "http://localhost:8080/preview/abcdefghijklmnop/5173?to=%2Fa";
    assert_eq!(led.header("location"), Some(to));
    let entered = world.ask(own, &format!("/.lattice/enter/{}", world.ticket(5173)), "").await;
    assert_eq!(entered.header("clear-site-data"), Some("\"cache\", \"storage\""));
    let cookie = entered.header("set-cookie").and_then(|cookie| cookie.split(';').next());
    let cookie = cookie.expect("a cookie");
    assert!(cookie.starts_with("lattice-preview-20100="), "{cookie}");
    let with = |more: &str| format!("Cookie: {cookie}; {more}\r\n");
    let more = "__Host-Http-lattice-8080=s; lattice-8080=s; preview-20101-id=1; preview-20100-id=7";
    let shown = world.ask(own, "/", &with(more)).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let asked = shown.body.to_ascii_lowercase();
    assert!(asked.contains("\r\ncookie: id=7\r\n"), "{asked}");
    assert_eq!(shown.header("set-cookie"), Some("preview-20100-id=7"));
    assert_eq!(shown.header("cache-control"), Some("no-store"));

    // Names of others, and other ways to write ours.
    for host in [
        "evil.example:20100",
        "localhost.evil.example:20100",
        "xlocalhost:20100",
        "user@localhost:20100",
        "localhost:20101",
        "localhost:020100",
        "localhost:8080",
        "localhost",
        "5173--abcdefghijklmnop.localhost:20100",
    ] {
        assert_eq!(world.ask(host, "/", &with("a=b")).await.status, 404, "{host}");
    }
    let foreign = |headers: &str| format!("{}{headers}", with("a=b"));
    for (headers, status) in [
        ("Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n", 403),
        (
            "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
            403,
        ),
        ("Origin: http://localhost:8080\r\n", 403),
        ("Origin: http://localhost:20101\r\n", 403),
        ("Service-Worker: script\r\n", 403),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\n", 403),
        ("Origin: http://localhost:20100\r\n", 200),
    ] {
        assert_eq!(world.ask(own, "/", &foreign(headers)).await.status, status, "{headers}");
    }
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(world.ask(own, "/", upgrade).await.status, 401, "a socket of nobody");
    let forged = "Cookie: lattice-preview-8080=x; lattice-preview-20100=y\r\n";
    assert_eq!(world.ask(own, "/", forged).await.status, 401);
}
