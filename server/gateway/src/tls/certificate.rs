//! Certificates and keys as files hold them.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A certificate and a key in files of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The server's certificate, and then those of its issuers, in PEM.
    pub certificate: PathBuf,
    /// The key, in PEM.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("read {path}")]
    Read {
        /// Which one.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is none in the file.
    #[error(
        "{0} holds no certificate; it must be PEM, the server's own certificate first and then \
         those of its issuers"
    )]
    NoCertificate(String),
    /// There is none in the file.
    #[error("{0} holds no private key that can be read; it must be PEM and not need a password")]
    NoKey(String),
    /// They do not belong together.
    #[error("the key in {key} is not that of the first certificate in {certificate}")]
    Mismatch {
        /// The file with the key.
        key: String,
        /// The file with the certificate.
        certificate: String,
    },
    /// They are of a kind that is not spoken here.
    #[error("the certificate in {path} cannot be used")]
    Unusable {
        /// The file with the certificate.
        path: String,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
}

impl Files {
    /// Reads both; what they hold belongs together.
    pub fn read(&self) -> Result<CertifiedKey, CertificateError> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|source| CertificateError::Read { path: shown(path), source })
        };
        let (certificate, key) = (read(&self.certificate)?, read(&self.key)?);
        parse(&certificate, &self.certificate, &key, &self.key)
    }
}

/// What PEM holds; the paths are for the errors.
pub fn parse(
    certificate: &[u8],
    certificate_path: &Path,
    key: &[u8],
    key_path: &Path,
) -> Result<CertifiedKey, CertificateError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| CertificateError::NoCertificate(shown(certificate_path)))?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate(shown(certificate_path)));
    }
    let key = PrivateKeyDer::from_pem_slice(key);
    let key = key.map_err(|_| CertificateError::NoKey(shown(key_path)))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|source| match source {
        rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch {
            key: shown(key_path),
            certificate: shown(certificate_path),
        },
        source => CertificateError::Unusable { path: shown(certificate_path), source },
    })
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The one provider of cryptography.
pub fn provider() -> Arc<CryptoProvider> {
    let installed = CryptoProvider::get_default().cloned();
    installed.unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

/// From when until when a certificate is good, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub not_before: i64,
    /// Its last one.
    pub not_after: i64,
}

impl Validity {
    /// That of a certificate, where it can be read.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let validity = parsed.validity();
        let (not_before, not_after) =
            (validity.not_before.timestamp(), validity.not_after.timestamp());
        Some(Self { not_before, not_after })
    }

    /// When two thirds of it are over: the time to get another.
    pub fn renewal(&self) -> i64 {
        self.not_before + (self.not_after - self.not_before) / 3 * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn pair(dir: &Path, name: &str) -> Files {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let files = Files {
            certificate: dir.join(format!("{name}.pem")),
            key: dir.join(format!("{name}.key")),
        };
        let certificate = params.self_signed(&key).expect("signed");
        std::fs::write(&files.certificate, certificate.pem()).expect("written");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
        files
    }

    #[test]
    fn what_is_wrong_with_which_file_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let (one, two) = (pair(dir.path(), "one.test"), pair(dir.path(), "two.test"));
        assert_eq!(one.read().expect("a pair").cert.len(), 1);
        let missing = dir.path().join("missing");
        let table = [
            (&one.certificate, &two.key, "two.test.key is not that of the first certificate in"),
            (&one.key, &one.key, "one.test.key holds no certificate"),
            (&one.certificate, &one.certificate, "one.test.pem holds no private key"),
            (&missing, &one.key, "read "),
        ];
        for (certificate, key, words) in table {
            let files = Files { certificate: certificate.clone(), key: key.clone() };
            let error = files.read().expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
        let mut params = CertificateParams::new(vec!["one.test".to_owned()]).expect("a name");
        let time = |s| time::OffsetDateTime::from_unix_timestamp(s).expect("a time");
        (params.not_before, params.not_after) = (time(1_000_000), time(1_000_300));
        let key = KeyPair::generate().expect("a key");
        let der = params.self_signed(&key).expect("signed").der().clone();
        let validity = Validity::of(&der).expect("readable");
        assert_eq!(validity, Validity { not_before: 1_000_000, not_after: 1_000_300 });
        assert_eq!(validity.renewal(), 1_000_200);
        assert_eq!(Validity::of(b"no certificate"), None);
    }
}
