//! TLS from outside: real sockets, a client that checks certificates as browsers do.

#[allow(unreachable_pub)] // Every test binary has a copy of its own.
mod secure;

use lattice_gateway::tls::certificate::Files;
use lattice_gateway::tls::{Settings, Tls};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use secure::*;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[tokio::test]
async fn who_trusts_the_authority_is_served_under_the_servers_names_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(&dir.path().join("tls"), &["https://desk.example:8443"]);
    let server = Server::start(settings, 100).await;
    for name in ["localhost", "127.0.0.1", "box", "desk.example"] {
        let stream = server.connect(name, &server.roots()).await;
        let stream = stream.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    for name in ["other.example", "127.0.0.2", "sub.box"] {
        let error = server.connect(name, &server.roots()).await.expect_err(name).to_string();
        assert!(error.contains("not valid for name"), "{name}: {error}");
    }
    let stranger = Elsewhere::new("Stranger");
    let error = server.connect("localhost", &[stranger.root]).await.expect_err("not trusted");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    let only_h2 = client(&server.roots(), &["h2"]);
    assert!(server.connect_with("localhost", only_h2).await.is_err(), "h2 is not served");
}

#[tokio::test]
async fn the_kernel_is_asked_about_the_connection_below_tls() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(settings(dir.path(), &[]), 100).await;
    let mut stream = server.connect("localhost", &server.roots()).await.expect("a connection");
    let own = stream.get_ref().0.local_addr().expect("bound");
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("sent");
    // The first answer is where the round trip is noted that the second one tells.
    let mut answer = [0; 1024];
    soon("an answer", stream.read(&mut answer)).await.expect("an answer");
    let last = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let answer = exchange(&mut stream, &last).await;
    let (peer, path) = answer
        .rsplit("\r\n")
        .next()
        .and_then(|body| body.split_once(' '))
        .unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(peer, own.to_string());
    assert!(path.starts_with("Some("), "{path}");
}

#[tokio::test]
async fn plain_http_is_led_to_https_of_the_same_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(settings(dir.path(), &["https://desk.example"]), 100).await;
    let port = server.address.port();
    let ask = |method: &str, host: &str| {
        let request = format!(
            "{method} /d/share?stats=1 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
        );
        let server = &server;
        async move { server.ask_plain(&request).await }
    };
    for (host, origin) in [
        (format!("127.0.0.1:{port}"), format!("https://127.0.0.1:{port}")),
        (format!("box:{port}"), format!("https://box:{port}")),
        ("desk.example".into(), "https://desk.example".into()),
    ] {
        let answer = ask("GET", &host).await.to_lowercase();
        assert!(answer.starts_with("http/1.1 307 "), "{answer}");
        assert!(
            answer.contains(&format!("\r\nlocation: {origin}/d/share?stats=1\r\n")),
            "{answer}"
        );
    }
    let answer = ask("POST", "desk.example").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("https://desk.example/d/share"), "{answer}");
    let answer = ask("GET", "evil.example").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains("evil"), "{answer}");
    assert_eq!(server.ask_plain("\0\r\n\r\n").await, "", "neither of the two");
}

#[tokio::test]
async fn those_who_never_finish_a_handshake_keep_nobody_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(settings(dir.path(), &[]), 100).await;
    let mut half_open = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(server.address).await.expect("a connection");
        if number % 2 == 0 {
            // The beginning of a hello of 512 bytes.
            stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await.expect("sent");
        }
        half_open.push(stream);
    }
    let started = std::time::Instant::now();
    for _ in 0..20 {
        let answer = server.ask("GET /", "", "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    let mut closed = 0;
    for stream in &half_open {
        closed += match stream.try_read(&mut [0; 64]) {
            Ok(0) => 1,
            Err(error) => usize::from(error.kind() != std::io::ErrorKind::WouldBlock),
            Ok(_) => 0,
        };
    }
    assert!(closed >= 200, "{closed} of 300 were pushed out");
}

#[tokio::test]
async fn new_connections_are_shown_the_certificate_that_the_files_hold_now() {
    let dir = tempfile::tempdir().expect("a directory");
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let authority = Elsewhere::new("Elsewhere");
    let files = Files { certificate: certificate.clone(), key: key.clone() };
    let settings = Settings { files: Some(files), ..settings(dir.path(), &[]) };
    let error = Tls::start(settings.clone()).expect_err("there are no files").to_string();
    assert!(error.contains("cert.pem"), "{error}");

    let first = authority.write("desk.test", &certificate, &key);
    let server = Server::start(settings, 100).await;
    let roots = [authority.root.clone()];
    assert_eq!(server.root, None, "there is nothing to tell devices");
    let mut old = server.connect("desk.test", &roots).await.expect("a connection");
    assert_eq!(server.shown("desk.test", &roots).await, Some(first.clone()));

    std::fs::write(&key, "no key").expect("written");
    assert_eq!(server.shown("desk.test", &roots).await, Some(first.clone()));
    let second = authority.write("desk.test", &certificate, &key);
    soon("the second certificate", async {
        loop {
            let shown = server.shown("desk.test", &roots).await;
            if shown.as_ref() == Some(&second) {
                return;
            }
            assert_eq!(shown.as_ref(), Some(&first));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let answer = exchange(&mut old, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "open connections go on: {answer}");
}

#[tokio::test]
async fn a_device_is_told_how_to_trust_the_server_before_it_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let (server, _) = Server::whole(settings(dir.path(), &[]), &[]).await;
    let root = server.root.clone().expect("an authority");
    let page = server.ask("GET /ca", "", "").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    let port = server.address.port();
    assert!(page.contains(&format!("https://localhost:{port}/ca")), "{page}");
    assert!(page.contains("Lattice on ") && !page.contains("<!--"), "{page}");
    let first = format!("<code>{:02X}:<wbr>", Sha256::digest(&root)[0]);
    assert!(page.contains(&first), "{first}: {page}");
    let file = server.ask("GET /ca.crt", "", "").await;
    assert!(file.contains("content-type: application/x-x509-ca-cert"), "{file}");
    let (_, pem) = file.split_once("\r\n\r\n").expect("a body");
    let given = CertificateDer::from_pem_slice(pem.as_bytes());
    assert_eq!(given.expect("a certificate"), root);
    let code = server.ask("GET /ca/qr.svg", "", "").await;
    assert!(code.contains("content-type: image/svg+xml") && code.contains("<path"), "{code}");
}

#[tokio::test]
async fn who_has_just_connected_is_answered_after_the_end_has_begun() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(settings(dir.path(), &[]), 100).await;
    let (roots, address) = (server.roots(), server.address);
    let bare = TcpStream::connect(address).await.expect("a connection");
    // Connections are accepted in order, so both are.
    let mut secure = server.connect("localhost", &roots).await.expect("a connection");
    let ended = tokio::spawn(server.drain.close(PATIENCE));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let connector = TlsConnector::from(Arc::new(client(&roots, &["http/1.1"])));
    let name = ServerName::try_from("localhost").expect("a name");
    let handshake = soon("a handshake", connector.connect(name, bare)).await;
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for stream in [&mut handshake.expect("it is done"), &mut secure] {
        let answer = exchange(stream, request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert!(ended.await.expect("no panic"));
}

#[tokio::test]
async fn cookies_and_origins_are_those_of_a_secure_site() {
    let dir = tempfile::tempdir().expect("a directory");
    let (server, token) = Server::whole(settings(dir.path(), &[]), &[]).await;
    let port = server.address.port();
    let body = format!("{{\"token\":\"{}\"}}", token.expose());
    let swap = async |scheme: &str| {
        let origin = format!("Origin: {scheme}://localhost:{port}\r\n");
        server.ask("POST /api/v1/share", &origin, &body).await
    };
    let answer = swap("https").await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert!(answer.contains("; Secure"), "{answer}");
    let answer = swap("http").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn a_proxy_is_believed_only_where_it_is_trusted() {
    let dir = tempfile::tempdir().expect("a directory");
    let public = ["https://desk.example"];
    let headers = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\
                   X-Forwarded-Host: desk.example\r\n";
    for (proxies, origin) in
        [(&["127.0.0.0/8"][..], "https://desk.example/"), (&[], "https://localhost:")]
    {
        let (server, token) = Server::whole(settings(dir.path(), &public), proxies).await;
        let bearer = format!("Authorization: Bearer {}\r\n{headers}", token.expose());
        let answer = server.ask("GET /api/v1/sessions/share", &bearer, "").await;
        assert!(answer.contains(&format!("\"url\":\"{origin}")), "{proxies:?}: {answer}");
        // Who is limited is the client, not the proxy with all its other clients.
        let wrong = "Authorization: Bearer wrong\r\n";
        for _ in 0..61 {
            server.ask("GET /api/v1/sessions/share", &format!("{wrong}{headers}"), "").await;
        }
        let other = headers.replace("192.0.2.1", "192.0.2.2");
        let answer = server.ask("GET /api/v1/sessions/share", &format!("{wrong}{other}"), "").await;
        let status = if proxies.is_empty() { "429" } else { "401" };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{proxies:?}: {answer}");
    }
}
