//! Objects in a bucket: addresses are signed by `rusty-s3`, and asked for by `ureq`, one thread each.

use super::text::one_line;
use super::{Answer, Fault, Names};
use bytes::Bytes;
use lattice_wire::backup::S3;
use rustic_core::FileType;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, RootCertStore};
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket as Signer, Credentials, S3Action as _, UrlStyle};
use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::Response;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, SendBody};

/// A signature is good for so long; clocks may differ by a quarter of an hour.
const SIGNED_FOR: Duration = Duration::from_secs(3600);
/// However slowly it goes on, an answer is there by then.
const AT_MOST: Duration = Duration::from_secs(3600);
/// The longest pack that rustic makes is shorter than this, in bytes.
const LONGEST: u64 = u32::MAX as u64;
/// The longest list or explanation, in bytes: a thousand names are half of a megabyte.
const LONGEST_TEXT: u64 = 8 << 20;
/// So much of what a server says is told.
const MOST_SAID: usize = 200;

/// A bucket, or what begins with a prefix in one.
pub(super) struct Bucket {
    signer: Signer,
    credentials: Credentials,
    prefix: String,
    agent: Agent,
    /// As the configuration has it, with a port that is not the usual one.
    host: String,
    ca_file: Option<PathBuf>,
}

impl Bucket {
    pub(super) fn new(place: &S3, patience: Duration) -> Result<Self, String> {
        let endpoint = place.endpoint.parse();
        let endpoint =
            endpoint.map_err(|error| format!("backup.s3_endpoint {}: {error}", place.endpoint))?;
        let signer =
            Signer::new(endpoint, UrlStyle::Path, place.bucket.clone(), place.region.clone());
        let signer =
            signer.map_err(|error| format!("backup.s3_endpoint {}: {error}", place.endpoint))?;
        let host = signer.base_url().host_str().unwrap_or_default();
        let host = match signer.base_url().port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let is_secure = signer.base_url().scheme() == "https";
        let some = Some(patience);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .user_agent(concat!("lattice/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(some)
            .timeout_connect(some)
            .timeout_per_read(some)
            .timeout_per_write(some)
            .timeout_global(Some(AT_MOST));
        if is_secure {
            config = config.https_only(true).tls_config(tls(place)?);
        }
        Ok(Self {
            signer,
            credentials: credentials(place)?,
            prefix: place.prefix.clone(),
            agent: config.build().into(),
            host,
            ca_file: place.ca_file.clone(),
        })
    }

    pub(super) fn is_empty(&self) -> Answer<bool> {
        Ok(self.page("", None, Some(1))?.0.is_empty())
    }

    /// Names without what is before them, and their sizes in bytes.
    pub(super) fn list(&self, of: FileType) -> Answer<Names> {
        let below = match of {
            FileType::Config => "config".to_owned(),
            FileType::Index | FileType::Key | FileType::Snapshot | FileType::Pack => {
                format!("{}/", of.dirname())
            }
        };
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let (found, next) = self.page(&below, token.as_deref(), None)?;
            all.extend(found);
            match next {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        // Prefixes are of names, not of directories.
        all.retain(|(name, _)| of != FileType::Config || name == "config");
        Ok(all)
    }

    fn page(
        &self,
        below: &str,
        token: Option<&str>,
        most: Option<usize>,
    ) -> Answer<(Names, Option<String>)> {
        let mut ask = self.signer.list_objects_v2(Some(&self.credentials));
        ask.with_prefix(format!("{}{below}", self.prefix));
        if let Some(token) = token {
            ask.with_continuation_token(token.to_owned());
        }
        if let Some(most) = most {
            ask.with_max_keys(most);
        }
        let url = ask.sign(SIGNED_FOR);
        let mut answer = self.good(self.agent.get(url.as_str()).call())?;
        let read = answer.body_mut().with_config().limit(LONGEST_TEXT).read_to_string();
        let text = read.map_err(|error| self.broken(&error))?;
        let page = ListObjectsV2::parse_response(&text).map_err(|error| {
            Fault::Lasting(format!(
                "{} does not answer as S3 does ({error}); see backup.s3_endpoint",
                self.host
            ))
        })?;
        let name = |key: &str| key.rsplit('/').next().unwrap_or_default().to_owned();
        let found = page.contents.iter().map(|one| (name(&one.key), one.size.unwrap_or(0)));
        Ok((found.collect(), page.next_continuation_token))
    }

    pub(super) fn read(&self, path: &str, range: Option<Range<u64>>) -> Answer<Vec<u8>> {
        let key = self.key(path);
        let url = self.signer.get_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let mut ask = self.agent.get(url.as_str());
        if let Some(range) = &range {
            ask = ask.header("range", format!("bytes={}-{}", range.start, range.end - 1));
        }
        let mut answer = self.good(ask.call())?;
        let is_part = answer.status() == 206;
        let read = answer.body_mut().with_config().limit(LONGEST).read_to_vec();
        let all = read.map_err(|error| self.broken(&error))?;
        match range {
            // A server need not know of ranges.
            Some(range) if !is_part => {
                let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(all.len());
                let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
                Ok(all[start..end].to_vec())
            }
            Some(_) | None => Ok(all),
        }
    }

    pub(super) fn write(&self, path: &str, pieces: &[Bytes]) -> Answer<()> {
        let key = self.key(path);
        let url = self.signer.put_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let length: usize = pieces.iter().map(Bytes::len).sum();
        let mut body = Pieces { pieces: pieces.to_vec() };
        let ask = self.agent.put(url.as_str()).header("content-length", length.to_string());
        self.good(ask.send(SendBody::from_reader(&mut body))).map(drop)
    }

    pub(super) fn remove(&self, path: &str) -> Answer<()> {
        let key = self.key(path);
        let url = self.signer.delete_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        self.good(self.agent.delete(url.as_str()).call()).map(drop)
    }

    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    fn good(&self, asked: Result<Response<Body>, ureq::Error>) -> Answer<Response<Body>> {
        let mut answer = asked.map_err(|error| self.broken(&error))?;
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let body = answer.body_mut().with_config().limit(LONGEST_TEXT).read_to_string();
        Err(self.refused(status, &body.unwrap_or_default()))
    }

    fn refused(&self, status: u16, body: &str) -> Fault {
        let (host, bucket) = (&self.host, self.signer.name());
        let code = element(body, "Code").unwrap_or_default();
        let lasting = |why: String| Fault::Lasting(why);
        match (status, code) {
            (_, "NoSuchBucket") => lasting(format!(
                "{host} has no bucket {bucket}; make it there, or name another in backup.repository"
            )),
            (404, _) => Fault::Missing,
            (_, "RequestTimeTooSkewed") => lasting(format!(
                "the clocks of this machine and of {host} differ too much; set this one right: \
                 timedatectl set-ntp true"
            )),
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch") => lasting(format!(
                "{host} does not know the key in backup.s3_key_file ({code}); its first line is the id of \
                 the access key, its second the secret"
            )),
            (
                301 | 307 | 400,
                "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed",
            ) => lasting(format!(
                "the bucket {bucket} is in another region ({code}); name it as backup.s3_region"
            )),
            (507, _) | (_, "QuotaExceeded" | "XMinioStorageFull" | "EntityTooLarge") => {
                lasting(format!(
                    "no room is left in the bucket {bucket} ({status} {code}); make room there, or keep \
                 fewer by backup.keep_daily, keep_weekly and keep_monthly"
                ))
            }
            (401 | 403, _) => lasting(format!(
                "{host} refuses this to the key in backup.s3_key_file ({status} {code}); let it list, \
                 read, write and delete in the bucket {bucket}"
            )),
            (408 | 425 | 429 | 500..=599, _) => Fault::Passing(format!(
                "{host} cannot answer now ({status} {code}); see whether it is well"
            )),
            _ => {
                let said = element(body, "Message").unwrap_or(body);
                let said: String = one_line(said).chars().take(MOST_SAID).collect();
                lasting(format!(
                    "{host} refuses it ({status} {code} {said}); see backup.s3_endpoint and \
                     backup.s3_region"
                ))
            }
        }
    }

    /// The address is told of nowhere: it has a signature in it.
    fn broken(&self, error: &ureq::Error) -> Fault {
        let host = &self.host;
        let what = match error {
            ureq::Error::Timeout(step) => format!("did not answer in time ({step})"),
            ureq::Error::Io(error) => match tls_fault(error) {
                Some(error) => return self.insecure(error),
                None => format!("cannot be reached ({error})"),
            },
            ureq::Error::HostNotFound => {
                return Fault::Passing(format!(
                    "nobody knows the name {host}; see backup.s3_endpoint and this machine's DNS"
                ));
            }
            ureq::Error::Rustls(error) => return self.insecure(error),
            ureq::Error::ConnectionFailed => "cannot be reached".to_owned(),
            ureq::Error::Protocol(error) => format!("does not speak HTTP ({error})"),
            ureq::Error::BodyExceedsLimit(most) => format!("answers with more than {most} bytes"),
            _ => "could not be asked".to_owned(),
        };
        Fault::Passing(format!(
            "{host} {what}; see whether it is up, and whether a firewall is between"
        ))
    }

    /// TLS did not come about, or broke. A certificate that is not trusted will not be a moment later either, and
    /// nothing is sent before it is seen.
    fn insecure(&self, error: &rustls::Error) -> Fault {
        let host = &self.host;
        let rustls::Error::InvalidCertificate(why) = error else {
            return Fault::Passing(format!(
                "{host} does not speak TLS as it should ({error}); see whether backup.s3_endpoint names a \
                 server and a port that speak https"
            ));
        };
        let remedy = match why {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "name it in backup.s3_endpoint as its certificate does".to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "renew its certificate there, and see that this machine's clock is right".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "see that this machine's clock is right".to_owned()
            }
            CertificateError::UnknownIssuer => match &self.ca_file {
                Some(path) => format!(
                    "backup.s3_ca_file {} does not have the certificate of whoever signed it",
                    path.display()
                ),
                None => {
                    "where its certificate is of an authority of your own, name the file with that \
                         authority's certificate as backup.s3_ca_file"
                        .to_owned()
                }
            },
            _ => "its certificate is to be replaced there".to_owned(),
        };
        Fault::Lasting(format!("{host} is not trusted, nothing was sent to it ({error}); {remedy}"))
    }
}

/// What was wrong with TLS: it comes as an error of reading or writing, which holds another.
fn tls_fault(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn credentials(place: &S3) -> Result<Credentials, String> {
    let path = place.key_file.display();
    let text = fs::read_to_string(&place.key_file)
        .map_err(|error| format!("read backup.s3_key_file {path}: {error}"))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next(), lines.next()) {
        (Some(id), Some(secret), None) => Ok(Credentials::new(id, secret)),
        _ => Err(format!(
            "backup.s3_key_file {path} has to have two lines: the id of the access key, and the secret"
        )),
    }
}

fn tls(place: &S3) -> Result<TlsConfig, String> {
    let roots = match &place.ca_file {
        Some(path) => authorities(path)?,
        None => {
            let found = rustls_native_certs::load_native_certs();
            found.certs.iter().map(|it| Certificate::from_der(it.as_ref()).to_owned()).collect()
        }
    };
    if roots.is_empty() {
        return Err("this machine trusts no certificate at all; install ca-certificates".into());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

/// The certificates in a file.
fn authorities(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let name = path.display();
    let text = fs::read(path).map_err(|error| format!("read backup.s3_ca_file {name}: {error}"))?;
    let mut all = Vec::new();
    for item in parse_pem(&text) {
        match item {
            Ok(PemItem::Certificate(certificate)) => {
                // What cannot be read would be left out without a word.
                let der = CertificateDer::from(certificate.der());
                RootCertStore::empty().add(der).map_err(|error| {
                    format!(
                        "backup.s3_ca_file {name} has something that is no certificate: {error}"
                    )
                })?;
                all.push(certificate);
            }
            Ok(_) => {
                return Err(format!(
                    "backup.s3_ca_file {name} has something else in it than certificates; keys do not \
                     belong there"
                ));
            }
            Err(error) => {
                return Err(format!(
                    "backup.s3_ca_file {name} is no file of certificates: {error}"
                ));
            }
        }
    }
    match all.is_empty() {
        true => Err(format!(
            "backup.s3_ca_file {name} has no certificate in it; it has to begin with -----BEGIN \
             CERTIFICATE-----"
        )),
        false => Ok(all),
    }
}

/// What is in the first element of that name; what servers say of errors has no attributes.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// A body in pieces.
struct Pieces {
    pieces: Vec<Bytes>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pieces.first().is_some_and(Bytes::is_empty) {
            self.pieces.remove(0);
        }
        let Some(piece) = self.pieces.first_mut() else { return Ok(0) };
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece.split_to(length));
        Ok(length)
    }
}
