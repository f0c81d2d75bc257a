//! Certificates by ACME, ordered from a double of a server that really checks.

#[allow(unreachable_pub)] // Every test binary has a copy of its own.
mod acme_double;
#[allow(unreachable_pub)]
mod secure;

use acme_double::Double;
use lattice_gateway::tls::Settings;
use lattice_gateway::tls::acme::{self, Challenge};
use secure::*;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;

const DAY: i64 = 24 * 60 * 60;
const BOTH: &[&str] = &["dns-01", "http-01", "tls-alpn-01"];
const PUBLIC: [&str; 2] = ["https://desk.test", "https://b.desk.test:8443"];

fn ordering(double: &Double, directory: &Path, challenge: Challenge) -> Settings {
    let names = acme::Settings::names_of(&PUBLIC.map(str::to_owned));
    assert_eq!(names, ["b.desk.test", "desk.test"]);
    let acme = acme::Settings {
        directory: double.directory.clone(),
        contacts: vec!["mailto:admin@desk.test".into()],
        roots: Some(double.roots.clone()),
        names,
        challenge,
    };
    Settings { acme: Some(acme), ..settings(directory, &PUBLIC) }
}

async fn server(
    double: &Double,
    directory: &Path,
    challenge: Challenge,
    listener: TcpListener,
    plain: Option<TcpListener>,
) -> Server {
    Server::start_on(listener, plain, ordering(double, directory, challenge), 100)
}

#[tokio::test]
async fn a_certificate_is_got_by_proving_the_names_on_the_tls_port() {
    let dir = tempfile::tempdir().expect("a directory");
    let tls = listener().await;
    let double = Double::start(tls.local_addr().expect("bound"), BOTH, (DAY, 89 * DAY)).await;
    let server = server(&double, dir.path(), Challenge::TlsAlpn01, tls, None).await;
    let issued = double.issued(&server, "desk.test").await;
    let proved = vec!["tls-alpn-01".to_owned(); 2];
    assert_eq!(double.seen(), (1, 1, proved.clone()));
    let other = [double.issuer.clone()];
    assert_eq!(server.shown("b.desk.test", &other).await, Some(issued.clone()));
    // Who comes by another name finds the certificate of the server's own authority.
    assert_eq!(server.shown("localhost", &other).await, None);
    assert!(server.shown("localhost", &server.roots()).await.is_some());
    // The proof is not shown any longer than it is needed.
    assert!(server.connect_with("desk.test", acme_double::prober()).await.is_err());

    // A restart orders nothing, and shows the same at once.
    server.drain.close(Duration::from_secs(5)).await;
    let settings = ordering(&double, dir.path(), Challenge::TlsAlpn01);
    let again = Server::start(settings, 100).await;
    assert_eq!(again.shown("desk.test", &other).await, Some(issued));
    assert_eq!(double.seen(), (1, 1, proved));
}

#[tokio::test]
async fn a_certificate_is_got_by_proving_the_names_over_plain_http() {
    let dir = tempfile::tempdir().expect("a directory");
    let (tls, plain) = (listener().await, listener().await);
    let gateway = plain.local_addr().expect("bound");
    let double = Double::start(gateway, BOTH, (DAY, 89 * DAY)).await;
    let server = server(&double, dir.path(), Challenge::Http01, tls, Some(plain)).await;
    double.issued(&server, "desk.test").await;
    assert_eq!(double.seen(), (1, 1, vec!["http-01".to_owned(); 2]));
}

#[tokio::test]
async fn the_proof_that_the_server_asks_for_is_given_on_whatever_port_it_comes_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let tls = listener().await;
    let gateway = tls.local_addr().expect("bound");
    let double = Double::start(gateway, &["http-01"], (DAY, 89 * DAY)).await;
    let server = server(&double, dir.path(), Challenge::TlsAlpn01, tls, None).await;
    double.issued(&server, "desk.test").await;
    assert_eq!(double.seen(), (1, 1, vec!["http-01".to_owned(); 2]));
}

#[tokio::test]
async fn a_certificate_in_its_last_third_is_replaced_by_the_same_account() {
    let dir = tempfile::tempdir().expect("a directory");
    let tls = listener().await;
    let gateway = tls.local_addr().expect("bound");
    let double = Double::start(gateway, BOTH, (70 * DAY, 20 * DAY)).await;
    let first = server(&double, dir.path(), Challenge::TlsAlpn01, tls, None).await;
    let old = double.issued(&first, "desk.test").await;
    first.drain.close(Duration::from_secs(5)).await;
    let tls = TcpListener::bind(gateway).await.expect("the same port");
    let second = server(&double, dir.path(), Challenge::TlsAlpn01, tls, None).await;
    let roots = [double.issuer.clone()];
    soon("another certificate", async {
        loop {
            let shown = second.shown("desk.test", &roots).await.expect("one is always shown");
            if shown != old {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let (accounts, orders, _) = double.seen();
    assert_eq!((accounts, orders), (1, 2));
}

#[tokio::test]
async fn without_a_proof_the_server_goes_on_with_its_own_certificate() {
    let dir = tempfile::tempdir().expect("a directory");
    // Somebody else is asked for the proof.
    let elsewhere = listener().await;
    let gateway = elsewhere.local_addr().expect("bound");
    drop(elsewhere);
    let double = Double::start(gateway, BOTH, (DAY, 89 * DAY)).await;
    let server = server(&double, dir.path(), Challenge::Http01, listener().await, None).await;
    soon("a check", async {
        while double.seen().2.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(server.shown("desk.test", std::slice::from_ref(&double.issuer)).await, None);
    assert!(server.shown("desk.test", &server.roots()).await.is_some());
}
