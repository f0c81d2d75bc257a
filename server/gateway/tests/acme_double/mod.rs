//! A small ACME server (RFC 8555): it hands out nonces, takes accounts and orders, really connects
//! to check a challenge, and signs what it is asked for. Signatures of requests it takes on trust.

use crate::secure::{Elsewhere, Server, client, listener, settings, soon};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use lattice_gateway::accept::Drain;
use lattice_gateway::front::Front;
use lattice_gateway::http::origin::{Scheme, Sites};
use lattice_gateway::tls::certificate::{Files, provider};
use lattice_gateway::tls::{Settings, Tls};
use rcgen::CertificateSigningRequestParams;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature_with_raw_key;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The double, while it runs.
pub struct Double {
    pub directory: String,
    /// The certificate to trust for the server itself.
    pub roots: std::path::PathBuf,
    /// Whose certificates it issues.
    pub issuer: CertificateDer<'static>,
    shared: Arc<Shared>,
    _server: Drain,
    _dir: tempfile::TempDir,
}

struct Shared {
    base: String,
    /// Where the gateway is asked, whatever its name says.
    gateway: SocketAddr,
    offers: &'static [&'static str],
    authority: Elsewhere,
    /// How long issued certificates are good, in seconds before and after now.
    span: (i64, i64),
    state: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    nonces: HashSet<String>,
    thumbprint: String,
    accounts: usize,
    orders: Vec<Order>,
    checks: Vec<String>,
}

struct Order {
    names: Vec<String>,
    valid: Vec<bool>,
    error: Option<String>,
    chain: Option<String>,
}

impl Double {
    /// Asks the gateway at `gateway` for these challenges.
    pub async fn start(
        gateway: SocketAddr,
        offers: &'static [&'static str],
        span: (i64, i64),
    ) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let own = Elsewhere::new("The server's own");
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        own.write("localhost", &certificate, &key);
        let roots = dir.path().join("roots.pem");
        std::fs::write(&roots, &own.pem).expect("written");
        let listener = listener().await;
        let base = format!("https://localhost:{}", listener.local_addr().expect("bound").port());
        let authority = Elsewhere::new("Issuing");
        let issuer = authority.root.clone();
        let state = Mutex::default();
        let shared = Arc::new(Shared { base, gateway, offers, authority, span, state });
        let router = Router::new()
            .route("/directory", get(directory))
            .route("/nonce", any(nonce))
            .route("/{*path}", any(post))
            .with_state(shared.clone());
        let files = Some(Files { certificate, key });
        let tls =
            Tls::start(Settings { files, ..settings(dir.path(), &[]) }).expect("a certificate");
        let sites = Sites::new(Scheme::Https, 1, &[], &[]).expect("no URLs");
        let drain = Drain::default();
        Front {
            listener,
            plain: None,
            tls: Some(tls),
            sites,
            ports: Vec::new(),
            max_connections: 100,
        }
        .open(router, &drain);
        let directory = format!("{}/directory", shared.base);
        Self { directory, roots, issuer, shared, _server: drain, _dir: dir }
    }

    /// How many accounts and orders there were, and which checks.
    pub fn seen(&self) -> (usize, usize, Vec<String>) {
        let inner = self.shared.state.lock().expect("whole");
        (inner.accounts, inner.orders.len(), inner.checks.clone())
    }

    /// Waits until the gateway shows a certificate that was issued here.
    pub async fn issued(&self, server: &Server, name: &str) -> CertificateDer<'static> {
        soon("an issued certificate", async {
            loop {
                if let Some(shown) = server.shown(name, std::slice::from_ref(&self.issuer)).await {
                    return shown;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await
    }
}

async fn directory(State(shared): State<Arc<Shared>>) -> Response {
    let url = |path: &str| format!("{}/{path}", shared.base);
    let body = json!({
        "newNonce": url("nonce"), "newAccount": url("account"), "newOrder": url("order"),
        "revokeCert": url("revoke"), "keyChange": url("key"),
    });
    axum::Json(body).into_response()
}

async fn nonce(State(shared): State<Arc<Shared>>) -> Response {
    shared.answer(StatusCode::OK, &[], String::new())
}

async fn post(
    State(shared): State<Arc<Shared>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!(headers[header::CONTENT_TYPE], "application/jose+json");
    let jws: Value = serde_json::from_slice(&body).expect("JSON");
    let part = |name: &str| BASE64.decode(jws[name].as_str().expect("text")).expect("base64");
    let protected: Value = serde_json::from_slice(&part("protected")).expect("JSON");
    let payload: Value = serde_json::from_slice(&part("payload")).unwrap_or(Value::Null);
    assert_eq!(protected["url"], json!(format!("{}/{path}", shared.base)));
    let nonce = protected["nonce"].as_str().expect("a nonce").to_owned();
    if !shared.state.lock().expect("whole").nonces.remove(&nonce) {
        return shared.problem("badNonce", "never seen, or used before");
    }
    let parts: Vec<&str> = path.split('/').collect();
    let number = |index: usize| parts[index].parse::<usize>().expect("a number");
    match parts[0] {
        "account" => shared.account(&protected["jwk"]),
        _ if protected["kid"] != json!(format!("{}/account/1", shared.base)) => {
            shared.problem("accountDoesNotExist", "who is this")
        }
        "order" if parts.len() == 1 => shared.order(&payload),
        "order" => shared.show_order(number(1), StatusCode::OK),
        "authz" => shared.show_authorization(number(1), number(2)),
        "challenge" => shared.check(number(1), number(2), parts[3]),
        "finalize" => shared.sign(number(1), payload["csr"].as_str().expect("a request")),
        "certificate" => shared.certificate(number(1)),
        other => panic!("nothing is asked of {other}"),
    }
}

impl Shared {
    fn answer(&self, status: StatusCode, more: &[(HeaderName, String)], body: String) -> Response {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("random bytes");
        let nonce = BASE64.encode(bytes);
        self.state.lock().expect("whole").nonces.insert(nonce.clone());
        let mut response = (status, [("replay-nonce", nonce)], body).into_response();
        for (name, value) in more {
            response.headers_mut().insert(name, value.parse().expect("a header"));
        }
        response
    }

    fn problem(&self, kind: &str, detail: &str) -> Response {
        let body =
            json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail });
        self.answer(StatusCode::BAD_REQUEST, &[], body.to_string())
    }

    fn account(&self, jwk: &Value) -> Response {
        // RFC 7638: the members that make the key, in the order of the alphabet.
        let key = format!(
            r#"{{"crv":{},"kty":{},"x":{},"y":{}}}"#,
            jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]
        );
        let mut inner = self.state.lock().expect("whole");
        inner.thumbprint = BASE64.encode(Sha256::digest(key));
        inner.accounts += 1;
        drop(inner);
        let location = [(header::LOCATION, format!("{}/account/1", self.base))];
        self.answer(StatusCode::CREATED, &location, json!({ "status": "valid" }).to_string())
    }

    fn order(&self, payload: &Value) -> Response {
        let names = payload["identifiers"].as_array().expect("names").iter();
        let names: Vec<_> =
            names.map(|name| name["value"].as_str().expect("text").to_owned()).collect();
        let mut inner = self.state.lock().expect("whole");
        let valid = vec![false; names.len()];
        inner.orders.push(Order { names, valid, error: None, chain: None });
        let number = inner.orders.len() - 1;
        drop(inner);
        self.show_order(number, StatusCode::CREATED)
    }

    fn show_order(&self, number: usize, status: StatusCode) -> Response {
        let url = |path: &str| format!("{}/{path}/{number}", self.base);
        let body = {
            let inner = self.state.lock().expect("whole");
            let order = &inner.orders[number];
            let state = match (&order.error, &order.chain) {
                (Some(_), _) => "invalid",
                (None, Some(_)) => "valid",
                (None, None) if order.valid.iter().all(|valid| *valid) => "ready",
                (None, None) => "pending",
            };
            let authorizations: Vec<_> =
                (0..order.names.len()).map(|index| format!("{}/{index}", url("authz"))).collect();
            json!({
                "status": state,
                "authorizations": authorizations,
                "finalize": url("finalize"),
                "certificate": order.chain.as_ref().map(|_| url("certificate")),
            })
        };
        self.answer(status, &[(header::LOCATION, url("order"))], body.to_string())
    }

    fn show_authorization(&self, number: usize, index: usize) -> Response {
        let body = {
            let inner = self.state.lock().expect("whole");
            let order = &inner.orders[number];
            let status = match (order.valid[index], &order.error) {
                (true, _) => "valid",
                (false, Some(_)) => "invalid",
                (false, None) => "pending",
            };
            let challenges: Vec<_> = self
                .offers
                .iter()
                .map(|kind| {
                    let mut challenge = json!({
                        "type": kind,
                        "url": format!("{}/challenge/{number}/{index}/{kind}", self.base),
                        "token": token(number, index),
                        "status": status,
                    });
                    if let Some(error) = &order.error {
                        let kind = "urn:ietf:params:acme:error:incorrectResponse";
                        challenge["error"] = json!({ "type": kind, "detail": error });
                    }
                    challenge
                })
                .collect();
            json!({
                "status": status,
                "identifier": { "type": "dns", "value": order.names[index] },
                "challenges": challenges,
            })
        };
        self.answer(StatusCode::OK, &[], body.to_string())
    }

    fn check(self: &Arc<Self>, number: usize, index: usize, kind: &str) -> Response {
        let (name, proof) = {
            let mut inner = self.state.lock().expect("whole");
            inner.checks.push(kind.to_owned());
            let name = inner.orders[number].names[index].clone();
            (name, format!("{}.{}", token(number, index), inner.thumbprint))
        };
        let (shared, checked) = (self.clone(), kind.to_owned());
        tokio::spawn(async move {
            let result = match checked.as_str() {
                "http-01" => by_http(shared.gateway, &name, &token(number, index), &proof).await,
                _ => by_tls(shared.gateway, &name, &proof).await,
            };
            let mut inner = shared.state.lock().expect("whole");
            match result {
                Ok(()) => inner.orders[number].valid[index] = true,
                Err(error) => inner.orders[number].error = Some(error),
            }
        });
        let body = json!({
            "type": kind,
            "url": format!("{}/challenge/{number}/{index}/{kind}", self.base),
            "token": token(number, index),
            "status": "processing",
        });
        self.answer(StatusCode::OK, &[], body.to_string())
    }

    fn sign(&self, number: usize, request: &str) -> Response {
        let request = BASE64.decode(request).expect("base64").into();
        let mut request = CertificateSigningRequestParams::from_der(&request).expect("a request");
        let now = OffsetDateTime::from(std::time::SystemTime::now());
        request.params.not_before = now - time::Duration::seconds(self.span.0);
        request.params.not_after = now + time::Duration::seconds(self.span.1);
        let certificate = request.signed_by(&self.authority.issuer).expect("signed");
        let chain = certificate.pem() + &self.authority.pem;
        self.state.lock().expect("whole").orders[number].chain = Some(chain);
        self.show_order(number, StatusCode::OK)
    }

    fn certificate(&self, number: usize) -> Response {
        let chain = self.state.lock().expect("whole").orders[number].chain.clone();
        self.answer(StatusCode::OK, &[], chain.expect("it was issued"))
    }
}

fn token(number: usize, index: usize) -> String {
    format!("token-of-{number}-{index}")
}

/// RFC 8555, 8.3.
async fn by_http(gateway: SocketAddr, name: &str, token: &str, proof: &str) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(gateway).await.map_err(said)?;
    let request = format!(
        "GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(said)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(said)?;
    let right =
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&format!("\r\n\r\n{proof}"));
    if right { Ok(()) } else { Err(format!("wrong proof: {answer}")) }
}

/// A client that asks for a proof. It takes any certificate whose key the server has; the usual way
/// of checking that stumbles over the proof in it.
pub fn prober() -> ClientConfig {
    let mut config = client(&[], &["acme-tls/1"]);
    config.dangerous().set_certificate_verifier(Arc::new(Prober));
    config
}

#[derive(Debug)]
struct Prober;

impl ServerCertVerifier for Prober {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("the newest version is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).expect("readable");
        let key = SubjectPublicKeyInfoDer::from(parsed.subject_pki.raw);
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// RFC 8737, 3: a handshake shows a certificate with the hash of the proof in it.
async fn by_tls(gateway: SocketAddr, name: &str, proof: &str) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    let stream = TcpStream::connect(gateway).await.map_err(said)?;
    let server_name = ServerName::try_from(name.to_owned()).expect("a name");
    let connector = TlsConnector::from(Arc::new(prober()));
    let stream = connector.connect(server_name, stream).await.map_err(said)?;
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(&b"acme-tls/1"[..]) {
        return Err("another protocol was spoken".into());
    }
    let shown = session.peer_certificates().and_then(|chain| chain.first()).expect("a certificate");
    let (_, shown) = x509_parser::parse_x509_certificate(shown).expect("readable");
    let names = shown.subject_alternative_name().expect("one").expect("one");
    assert_eq!(names.value.general_names.len(), 1);
    // id-pe-acmeIdentifier; an OCTET STRING of 32 bytes.
    let identifier =
        shown.extensions().iter().find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.31");
    let identifier = identifier.ok_or("no proof in the certificate")?;
    let mut expected = vec![4, 32];
    expected.extend(Sha256::digest(proof));
    let right = identifier.critical && identifier.value == expected;
    if right { Ok(()) } else { Err("a wrong proof in the certificate".into()) }
}
