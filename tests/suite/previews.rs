//! Previews on ports of the server's own host, as a real server listens on them.

use lattice_tests::http::request;
use lattice_tests::people::Proof;
use lattice_tests::serve::{Serve, ServeOptions};
use std::net::{SocketAddr, TcpListener};

#[test]
fn a_port_for_previews_answers_nobody_without_a_lease_and_its_pages_change_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("it").port();
    drop(free);
    let env = vec![("LATTICE_PREVIEW__PORTS", format!("{port}-{port}"))];
    let serve = Serve::start_with(ServeOptions { env, ..ServeOptions::default() });
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    for path in ["/", "/api/v1/me", "/.lattice/enter/x", "/healthz", "/static/icon.svg"] {
        let answer = request(at, "GET", path, "", "");
        assert_eq!((answer.status, answer.body.as_str()), (404, "no preview is here\n"), "{path}");
    }
    serve.account("ada", "member");
    let Proof::Cookie(cookie) = serve.sign_in("ada") else { panic!("a browser has a cookie") };
    for (origin, status) in [(format!("http://127.0.0.1:{port}"), 403), (serve.origin(), 204)] {
        let head = format!("Cookie: {cookie}\r\nOrigin: {origin}\r\n");
        let answer = request(serve.address(), "POST", "/api/v1/logout", &head, "");
        assert_eq!(answer.status, status, "from {origin}: {}", answer.body);
    }
    serve.assert_no_panics();
}
