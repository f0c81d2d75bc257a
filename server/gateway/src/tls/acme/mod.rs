//! A certificate ordered from an ACME server (RFC 8555), and ordered again in time.
//!
//! The account and the newest certificate are kept in the state directory, so a restart orders
//! nothing. While there is no certificate yet, or the server cannot be reached, the gateway goes on
//! with the one that it has.

mod http;
mod order;
mod schedule;

use super::certificate::{self, Validity};
use super::client::{TrustError, trusting};
use super::names::{Name, host_of};
use super::now;
use super::shown::Shown;
use super::state::{StateDir, StateError};
use crate::accept::Guard;
use rustls::ClientConfig;
use rustls::sign::CertifiedKey;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const ACCOUNT: &str = "acme-account.json";
/// Certificate and key in one file, so that both are replaced at once.
const ORDERED: &str = "acme.pem";
/// Slow servers check from several places, one after the other.
const ORDER_PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How often the clock is looked at: it may be set, and the machine may sleep.
const LOOK: Duration = Duration::from_secs(10 * 60);

/// What to order, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The URL of the server's directory.
    pub directory: String,
    /// Whom the server may tell of trouble, such as `mailto:admin@school.example`.
    pub contacts: Vec<String>,
    /// Whom to trust to be that server, instead of whom the system trusts.
    pub roots: Option<PathBuf>,
    /// The host names to be good for.
    pub names: Vec<String>,
    /// How the server is answered.
    pub challenge: Challenge,
}

/// How a server finds out whether a name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// By plain HTTP on port 80.
    Http01,
    /// By a handshake on port 443.
    TlsAlpn01,
}

/// Why nothing can be ordered.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The directory is no URL that can be asked.
    #[error(
        "{0:?} is no directory of an ACME server; it has the form https://acme.example/directory"
    )]
    Directory(String),
    /// There is nothing to order a certificate for.
    #[error(
        "a certificate by ACME is for host names; name the server's with --public-url \
         https://desk.example"
    )]
    NoNames,
    /// A contact has no scheme.
    #[error("{0:?} is no contact; it has the form mailto:admin@school.example")]
    Contact(String),
    /// Nobody to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// What is kept.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Orders certificates and keeps them.
#[derive(Debug)]
pub struct Acme {
    settings: Settings,
    state: StateDir,
    tls: Arc<ClientConfig>,
    /// When the certificate that is shown is to be replaced; 0 where there is none.
    renewal: i64,
}

impl Settings {
    /// The host names among the addresses that a server is published as; an ACME server cannot be
    /// asked for others.
    pub fn names_of(public: &[String]) -> Vec<String> {
        let hosts =
            public.iter().filter(|url| url.trim().to_ascii_lowercase().starts_with("https:"));
        let mut names: Vec<_> = hosts
            .filter_map(|url| match host_of(url)? {
                Name::Host(host) if host.contains('.') => Some(host),
                Name::Host(_) | Name::Address(_) => None,
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn check(&self) -> Result<(), AcmeError> {
        let uri = self.directory.parse::<axum::http::Uri>().ok();
        let good = uri.is_some_and(|uri| {
            uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty())
        });
        if !good {
            return Err(AcmeError::Directory(self.directory.clone()));
        }
        if self.names.is_empty() {
            return Err(AcmeError::NoNames);
        }
        match self.contacts.iter().find(|contact| !contact.contains(':')) {
            Some(contact) => Err(AcmeError::Contact(contact.clone())),
            None => Ok(()),
        }
    }
}

impl Acme {
    /// Shows the certificate that was kept, if it is good for all names.
    pub fn start(settings: Settings, state: &StateDir, shown: &Shown) -> Result<Self, AcmeError> {
        settings.check()?;
        let tls = Arc::new(trusting(settings.roots.as_deref())?);
        let mut acme = Self { settings, state: state.clone(), tls, renewal: 0 };
        if let Some(pem) = state.read(ORDERED)? {
            match acme.use_pem(&pem, shown) {
                Ok(()) => {}
                Err(error) => {
                    tracing::info!(
                        error = format!("{error:#}"),
                        "the certificate that was kept will not do; another is ordered"
                    );
                }
            }
        }
        Ok(acme)
    }

    fn use_pem(&mut self, pem: &str, shown: &Shown) -> anyhow::Result<()> {
        let path = self.state.path(ORDERED);
        let key = certificate::parse(pem.as_bytes(), &path, pem.as_bytes(), &path)?;
        let validity = check(&key, &self.settings.names, now())?;
        self.renewal = validity.renewal();
        shown.set_ordered(self.settings.names.iter().cloned(), key);
        Ok(())
    }

    /// Orders whenever it is time, until `guard` says to end.
    pub async fn keep(mut self, shown: Arc<Shown>, mut guard: Guard) {
        let mut failures = 0;
        let mut due = self.renewal;
        loop {
            let wait = u64::try_from(due - now()).unwrap_or(0);
            if wait > 0 {
                tokio::select! {
                    () = sleep(LOOK.min(Duration::from_secs(wait))) => continue,
                    _ = guard.closing() => return,
                }
            }
            let ordered = tokio::select! {
                ordered = self.order(&shown) => ordered,
                _ = guard.closing() => return,
            };
            let dice = schedule::dice();
            match ordered {
                Ok(()) => {
                    failures = 0;
                    // A server whose certificates are old when they come is not asked all the time.
                    due = (self.renewal + schedule::spread(dice)).max(now() + schedule::HOUR);
                    tracing::info!(
                        names = self.settings.names.join(" "),
                        "got a certificate from the ACME server"
                    );
                }
                Err(error) => {
                    let pause = schedule::pause(failures, dice);
                    failures += 1;
                    due = now() + pause;
                    tracing::warn!(
                        error = format!("{error:#}"),
                        retry_in_s = pause,
                        "got no certificate from the ACME server"
                    );
                }
            }
        }
    }

    async fn order(&mut self, shown: &Shown) -> anyhow::Result<()> {
        let challenges = shown.challenges();
        let ordered = timeout(ORDER_PATIENCE, order::run(self, challenges)).await;
        challenges.clear();
        let pem = ordered.map_err(|_| anyhow::anyhow!("it took longer than 5 minutes"))??;
        self.use_pem(&pem, shown)?;
        self.state.write(ORDERED, &pem)?;
        Ok(())
    }
}

/// When a certificate is good, if it is so now and for these names.
fn check(key: &CertifiedKey, names: &[String], now: i64) -> anyhow::Result<Validity> {
    let leaf = key.cert.first().ok_or_else(|| anyhow::anyhow!("it is empty"))?;
    let parsed = rustls::server::ParsedCertificate::try_from(leaf)?;
    for name in names {
        let server_name = rustls::pki_types::ServerName::try_from(name.as_str())?;
        rustls::client::verify_server_name(&parsed, &server_name)
            .map_err(|_| anyhow::anyhow!("it is not good for {name}"))?;
    }
    let validity = Validity::of(leaf).ok_or_else(|| anyhow::anyhow!("it cannot be read"))?;
    if now > validity.not_after {
        anyhow::bail!("it has expired");
    }
    Ok(validity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            directory: "https://acme.test/directory".into(),
            contacts: vec!["mailto:a@b.test".into()],
            roots: None,
            names: vec!["desk.test".into()],
            challenge: Challenge::TlsAlpn01,
        }
    }

    #[test]
    fn what_cannot_be_ordered_is_said_at_once() {
        settings().check().expect("good");
        for directory in ["", "acme.test", "http://acme.test/directory", "https://"] {
            let bad = Settings { directory: directory.into(), ..settings() };
            assert!(matches!(bad.check(), Err(AcmeError::Directory(_))), "{directory:?}");
        }
        let bad = Settings { names: Vec::new(), ..settings() };
        assert!(matches!(bad.check(), Err(AcmeError::NoNames)));
        let bad = Settings { contacts: vec!["a@b.test".into()], ..settings() };
        assert!(matches!(bad.check(), Err(AcmeError::Contact(_))));
    }

    #[test]
    fn a_certificate_is_ordered_for_public_host_names() {
        let public = [
            "https://b.test:8443",
            "https://A.test/",
            "https://a.test",
            "https://192.0.2.1",
            "https://box",
            "http://plain.test",
        ];
        let names = Settings::names_of(&public.map(str::to_owned));
        assert_eq!(names, ["a.test", "b.test"]);
    }
}
