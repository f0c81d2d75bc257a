//! TLS: whether it is spoken, and which certificate browsers are shown.
//!
//! A certificate comes from files that somebody else keeps (`files`), from an ACME server (`acme`),
//! or from an authority of the gateway's own (`authority`), which asks nobody and is trusted by no
//! browser until it is told to. Beside one by ACME there is always one of our own: it is shown until
//! the other is there, and to those who ask for a name that the other is not good for.
//!
//! The parts bring certificates, `shown` chooses among them for each connection, `handshake` bounds
//! what strangers can hold open.

pub mod acme;
pub mod authority;
pub mod certificate;
pub mod client;
mod files;
pub mod handshake;
pub mod names;
mod own;
pub mod shown;
pub mod state;

use crate::accept::Guard;
use acme::{Acme, AcmeError};
use authority::{AuthorityError, Root};
use certificate::{CertificateError, Files, provider};
use clap::ValueEnum;
use files::Watch;
use handshake::Acceptor;
use names::Names;
use own::Own;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use serde::{Deserialize, Serialize};
use shown::{ACME_PROTOCOL, Challenges, Shown};
use state::{StateDir, StateError};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// When TLS is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Beyond this machine, and where a certificate is named.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never: a proxy in front does.
    Off,
}

/// What a server with TLS is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address it listens on.
    pub listen: IpAddr,
    /// The host names it answers to.
    pub hosts: Vec<String>,
    /// The addresses that it is published as.
    pub public: Vec<String>,
    /// The certificate to show, where somebody else keeps one.
    pub files: Option<Files>,
    /// Where to order one.
    pub acme: Option<acme::Settings>,
    /// Where to keep keys; made where it is missing.
    pub directory: PathBuf,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The given files.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The authority of our own.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Where keys are kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// The certificate that is ordered.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// The provider of cryptography.
    #[error("set up TLS")]
    Setup(#[from] rustls::Error),
    /// Two certificates for everybody.
    #[error("there is a certificate in files and one to be ordered by ACME; name one of them")]
    TwoSources,
}

impl Mode {
    /// Whether TLS is spoken on this address.
    pub fn is_on(self, listen: IpAddr, has_certificate: bool) -> bool {
        match self {
            Self::Auto => has_certificate || !listen.to_canonical().is_loopback(),
            Self::On => true,
            Self::Off => false,
        }
    }
}

/// Makes the one provider of cryptography that of the process.
pub fn install_provider() {
    // An error says that there is one already, which can only be the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Where keys are kept by default, below the directory for data.
pub fn default_directory() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let data = variable("LATTICE_DATA_DIR").map(PathBuf::from);
    let root = || rustix::process::geteuid().is_root().then(|| PathBuf::from("/var/lib/lattice"));
    let xdg = || variable("XDG_DATA_HOME").map(|home| PathBuf::from(home).join("lattice"));
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local/share/lattice"));
    let data = data.or_else(root).or_else(xdg).or_else(home);
    data.unwrap_or_else(|| PathBuf::from("lattice-data")).join("tls")
}

/// The certificates of a server.
#[derive(Debug)]
pub struct Tls {
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
    root: Option<Arc<Root>>,
    watch: Option<Watch>,
    own: Option<Own>,
    acme: Option<Acme>,
}

impl Tls {
    /// Finds or makes a certificate to begin with.
    pub fn start(settings: Settings) -> Result<Self, TlsError> {
        let shown = Arc::new(Shown::default());
        let mut tls = Self {
            config: Arc::new(config(&shown)?),
            shown: shown.clone(),
            root: None,
            watch: None,
            own: None,
            acme: None,
        };
        match (settings.files, settings.acme) {
            (Some(_), Some(_)) => return Err(TlsError::TwoSources),
            (Some(files), None) => {
                let (watch, key) = Watch::start(files, now())?;
                shown.set_general(key);
                tls.watch = Some(watch);
                return Ok(tls);
            }
            (None, acme) => {
                let state = StateDir::open(&settings.directory)?;
                tls.acme = acme.map(|acme| Acme::start(acme, &state, &shown)).transpose()?;
                let names = move || Names::of(settings.listen, &settings.hosts, &settings.public);
                let own = Own::start(&state, names, &shown)?;
                tls.root = Some(own.root().clone());
                tls.own = Some(own);
            }
        }
        Ok(tls)
    }

    /// For a listener with so many connections at most: half of them may be in their handshakes.
    pub fn acceptor(&self, max_connections: usize) -> Acceptor {
        Acceptor::new(self.config.clone(), max_connections / 2)
    }

    /// What devices may be told to trust, where there is something.
    pub fn root(&self) -> Option<Arc<Root>> {
        self.root.clone()
    }

    /// What an ACME server that asks by plain HTTP is answered.
    pub fn challenges(&self) -> Arc<Challenges> {
        self.shown.challenges().clone()
    }

    /// Keeps the certificates fresh until `guard` says to end.
    pub async fn keep(self, guard: Guard) {
        let Self { shown, watch, own, acme, .. } = self;
        let watch = async {
            if let Some(watch) = watch {
                watch.keep(shown.clone(), guard.clone()).await;
            }
        };
        let own = async {
            if let Some(own) = own {
                own.keep(shown.clone(), guard.clone()).await;
            }
        };
        let acme = async {
            if let Some(acme) = acme {
                acme.keep(shown.clone(), guard.clone()).await;
            }
        };
        tokio::join!(watch, own, acme);
    }
}

fn config(shown: &Arc<Shown>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(shown.clone());
    config.alpn_protocols = vec![b"http/1.1".to_vec(), ACME_PROTOCOL.to_vec()];
    // A class that comes back after a pause pays for one exchange less, without memory of ours.
    config.ticketer = Ticketer::new()?;
    Ok(config)
}

/// Seconds since 1970: what certificates are about, whatever the monotonic clock says.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_for_what_is_beyond_this_machine_or_has_a_certificate() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let table = [
            ("127.0.0.1", false, false),
            ("::1", false, false),
            ("::ffff:127.0.0.1", false, false),
            ("127.0.0.1", true, true),
            ("0.0.0.0", false, true),
            ("::", false, true),
            ("192.0.2.1", false, true),
        ];
        for (listen, has_certificate, on) in table {
            assert_eq!(Mode::Auto.is_on(address(listen), has_certificate), on, "{listen}");
            assert!(Mode::On.is_on(address(listen), has_certificate));
            assert!(!Mode::Off.is_on(address(listen), has_certificate));
        }
    }
}
