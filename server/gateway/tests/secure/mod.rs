//! A gateway with TLS, and clients that look closely at it.

#![allow(dead_code)] // Each test binary uses its part.

use axum::Extension;
use axum::Router;
use axum::routing::get;
use lattice_gateway::accept::{Connection, Drain};
use lattice_gateway::auth::{Door, Token};
use lattice_gateway::front::Front;
use lattice_gateway::http::forwarded::Proxies;
use lattice_gateway::http::origin::{Scheme, Sites};
use lattice_gateway::http::{self, App, Names};
use lattice_gateway::hub::{self, Hub};
use lattice_gateway::telemetry::Metrics;
use lattice_gateway::tls::{Settings, Tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Generous: a test that gets what it waits for never waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(PATIENCE, future).await;
    in_time.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

pub async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

/// A server with its own authority in `directory`, called `box` and published as `public`.
pub fn settings(directory: &Path, public: &[&str]) -> Settings {
    Settings {
        listen: "127.0.0.1".parse().expect("an address"),
        hosts: vec!["box".into()],
        public: public.iter().map(|url| (*url).to_owned()).collect(),
        files: None,
        acme: None,
        directory: directory.to_owned(),
    }
}

/// A server that says who asks it, by TLS.
pub struct Server {
    pub address: SocketAddr,
    /// Of its own authority.
    pub root: Option<CertificateDer<'static>>,
    pub drain: Drain,
}

impl Server {
    pub async fn start(settings: Settings, max_connections: usize) -> Self {
        Self::start_on(listener().await, None, settings, max_connections)
    }

    pub fn start_on(
        listener: TcpListener,
        plain: Option<TcpListener>,
        settings: Settings,
        max_connections: usize,
    ) -> Self {
        let router = Router::new().route("/", get(who));
        Self::with_router(listener, plain, settings, max_connections, |_, _| router)
    }

    /// The whole gateway, but for an agent.
    pub async fn whole(settings: Settings, proxies: &[&str]) -> (Self, Token) {
        let token = Token::fresh().expect("random bytes");
        let listener = listener().await;
        let port = listener.local_addr().expect("bound").port();
        let door = Door::new(&token, port);
        let proxies = Proxies::new(proxies.iter().map(|text| text.parse().expect("a network")));
        let server = Self::with_router(listener, None, settings, 100, |sites, tls| {
            http::router(Arc::new(app(door, sites, proxies, tls)))
        });
        (server, token)
    }

    fn with_router(
        listener: TcpListener,
        plain: Option<TcpListener>,
        settings: Settings,
        max_connections: usize,
        router: impl FnOnce(Sites, &Tls) -> Router,
    ) -> Self {
        let address = listener.local_addr().expect("bound");
        let sites = Sites::new(Scheme::Https, address.port(), &settings.hosts, &settings.public);
        let sites = sites.expect("good URLs");
        let tls = Tls::start(settings).expect("a certificate");
        let root = tls.root().map(|root| CertificateDer::from(root.der.clone()));
        let router = router(sites.clone(), &tls);
        let drain = Drain::default();
        Front { listener, plain, tls: Some(tls), sites, ports: Vec::new(), max_connections }
            .open(router, &drain);
        Self { address, root, drain }
    }

    pub fn roots(&self) -> Vec<CertificateDer<'static>> {
        self.root.iter().cloned().collect()
    }

    /// A connection as a browser makes it that trusts `roots` and has `name` in its address bar.
    pub async fn connect(
        &self,
        name: &str,
        roots: &[CertificateDer<'static>],
    ) -> io::Result<TlsStream<TcpStream>> {
        self.connect_with(name, client(roots, &["h2", "http/1.1"])).await
    }

    pub async fn connect_with(
        &self,
        name: &str,
        config: ClientConfig,
    ) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        soon("a handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
    }

    /// The certificate that is shown for `name`, taken by whoever trusts `roots`.
    pub async fn shown(
        &self,
        name: &str,
        roots: &[CertificateDer<'static>],
    ) -> Option<CertificateDer<'static>> {
        let stream = self.connect(name, roots).await.ok()?;
        stream.get_ref().1.peer_certificates()?.first().cloned()
    }

    /// One request by TLS to the name `localhost`.
    pub async fn ask(&self, head: &str, headers: &str, body: &str) -> String {
        let mut stream = self.connect("localhost", &self.roots()).await.expect("a connection");
        let host = format!("localhost:{}", self.address.port());
        let length = body.len();
        let request = format!(
            "{head} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\
             {headers}\r\n{body}"
        );
        exchange(&mut stream, &request).await
    }

    /// One request without TLS.
    pub async fn ask_plain(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        exchange(&mut stream, request).await
    }
}

async fn who(Extension(connection): Extension<Connection>) -> String {
    format!("{} {:?}", connection.peer, connection.path.least().map(|least| least.0))
}

fn app(door: Door, sites: Sites, proxies: Proxies, tls: &Tls) -> App {
    let (hub, _) = Hub::spawn(hub::Settings { name: None, max_viewers: 9, encoders: 1 });
    let (_, agent) = watch::channel(None);
    let names = Names { sites, proxies, authority: tls.root() };
    App { hub, door, names, metrics: Metrics::install(), agent }
}

/// Everything until the other end closes.
pub async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let _ = soon("an answer", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A client that remembers no session: each handshake shows a certificate.
pub fn client(roots: &[CertificateDer<'static>], protocols: &[&str]) -> ClientConfig {
    lattice_gateway::tls::install_provider();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    let mut config = ClientConfig::builder().with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.resumption = rustls::client::Resumption::disabled();
    config
}

/// Somebody else's authority.
pub struct Elsewhere {
    pub issuer: Issuer<'static, KeyPair>,
    pub root: CertificateDer<'static>,
    pub pem: String,
}

impl Elsewhere {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("signed");
        let (root, pem) = (certificate.der().clone(), certificate.pem());
        Self { issuer: Issuer::new(params, key), root, pem }
    }

    /// Writes a certificate and its key the way renewing programs do; returns the certificate.
    pub fn write(&self, name: &str, certificate: &Path, key: &Path) -> CertificateDer<'static> {
        let pair = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let signed = params.signed_by(&pair, &self.issuer).expect("signed");
        for (path, text) in [(certificate, signed.pem()), (key, pair.serialize_pem())] {
            let fresh = path.with_extension("fresh");
            std::fs::write(&fresh, text).expect("written");
            std::fs::rename(&fresh, path).expect("renamed");
        }
        CertificateDer::from_pem_file(certificate).expect("just written")
    }
}
