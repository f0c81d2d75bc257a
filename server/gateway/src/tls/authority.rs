//! A certificate authority of the gateway's own, for places that no public one reaches: a school's
//! network without a domain, an address, a machine's name.
//!
//! Devices are told once to trust it. What its key could do in wrong hands is bounded: browsers take
//! from it only certificates for the names that it was made for, for names that exist in local
//! networks only, and for private addresses.

use super::certificate::{self, CertificateError, Validity, provider};
use super::names::{Name, Names};
use super::state::{StateDir, StateError};
use ipnet::IpNet;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;

const ROOT: &str = "ca.pem";
const ROOT_KEY: &str = "ca.key";
/// Certificate and key in one file, so that both are replaced at once.
const LEAF: &str = "server.pem";

const DAY: i64 = 24 * 60 * 60;
/// To trust it anew on each device is work; in ten years the devices are others.
const ROOT_DAYS: i64 = 3650;
/// Browsers take no longer ones, some of them from private authorities either.
const LEAF_DAYS: i64 = 397;
/// The clocks of devices differ from ours.
const SLACK: i64 = DAY;

/// Names that are given out in local networks only (RFC 6761, 6762, 8375), or by custom.
const LOCAL_DOMAINS: [&str; 5] = ["localhost", "local", "home.arpa", "internal", "lan"];
/// Addresses that are nobody's own in the Internet (RFC 1918, 3927, 4193, 4291, 6598).
const LOCAL_NETWORKS: [&str; 9] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// Why there is no authority, or no certificate of it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Its files.
    #[error(transparent)]
    State(#[from] StateError),
    /// What its files hold.
    #[error(
        "{path} holds no certificate authority that can be used; remove it and its key to get a \
         fresh one, which devices must be told to trust again"
    )]
    Broken {
        /// Which file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: Option<rcgen::Error>,
    },
    /// It could not sign.
    #[error("make a certificate")]
    Make(#[from] rcgen::Error),
    /// What it signed does not work.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// What devices are given to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// As devices call it.
    pub name: String,
    /// The certificate.
    pub der: Vec<u8>,
    /// The same as text.
    pub pem: String,
    /// Its SHA-256, in the way in which browsers show it.
    pub fingerprint: String,
}

/// The authority.
#[derive(Debug)]
pub struct Authority {
    state: StateDir,
    issuer: Issuer<'static, KeyPair>,
    permitted: Permitted,
    validity: Validity,
    root: Arc<Root>,
}

/// A certificate of the authority's, and until when it is to be used.
#[derive(Debug)]
pub struct Leaf {
    /// The certificate and its key.
    pub key: CertifiedKey,
    /// When to get another.
    pub renewal: i64,
}

impl Authority {
    /// The authority that is kept in `state`. One is made where there is none, where it is about to
    /// end, or where it may not sign for a name that is required.
    pub fn open(state: &StateDir, names: &Names, now: i64) -> Result<Self, AuthorityError> {
        let _lock = state.lock()?;
        if let Some(kept) = Self::kept(state)? {
            let refused = names.required.iter().find(|name| !kept.permitted.covers(name));
            let reason = match refused {
                None if now < kept.validity.not_after - LEAF_DAYS * DAY => return Ok(kept),
                None => "it ends".to_owned(),
                Some(name) => format!("it was not made for {name}"),
            };
            tracing::warn!(
                %reason,
                "a fresh certificate authority is made; devices must be told to trust it, see /ca"
            );
            for name in [ROOT, ROOT_KEY] {
                state.put_aside(name, &format!("{name}.{now}"))?;
            }
        }
        Self::make(state, names, now)
    }

    fn kept(state: &StateDir) -> Result<Option<Self>, AuthorityError> {
        let (pem, key) = match (state.read(ROOT)?, state.read(ROOT_KEY)?) {
            (Some(pem), Some(key)) => (pem, key),
            // Made up to here before the power went: nobody can have come to trust it.
            (None, _) => return Ok(None),
            (Some(_), None) => return Err(broken(state, ROOT_KEY, None)),
        };
        let der = CertificateDer::from_pem_slice(pem.as_bytes());
        let der = der.map_err(|_| broken(state, ROOT, None))?;
        let key = KeyPair::from_pem(&key);
        let key = key.map_err(|error| broken(state, ROOT_KEY, Some(error)))?;
        Self::with(state, &der, pem, key).map(Some)
    }

    fn make(state: &StateDir, names: &Names, now: i64) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let mark: String = hex(&Sha256::digest(key.public_key_raw())[..3]).collect();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut params = CertificateParams::default();
        // Two authorities of one name confuse browsers, so each has the mark of its key.
        params.distinguished_name.push(DnType::CommonName, format!("Lattice on {host} ({mark})"));
        params.distinguished_name.push(DnType::OrganizationName, "Lattice");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: permitted(names),
            excluded_subtrees: Vec::new(),
        });
        (params.not_before, params.not_after) = span(now, ROOT_DAYS);
        let certificate = params.self_signed(&key)?;
        // The key first: a certificate without a key would be taken for a broken authority.
        state.write(ROOT_KEY, &key.serialize_pem())?;
        state.write(ROOT, &certificate.pem())?;
        tracing::info!(directory = %state.path("").display(), "made a certificate authority");
        Self::with(state, certificate.der(), certificate.pem(), key)
    }

    fn with(
        state: &StateDir,
        der: &CertificateDer<'_>,
        pem: String,
        key: KeyPair,
    ) -> Result<Self, AuthorityError> {
        let cannot = |error| broken(state, ROOT, error);
        let (_, parsed) = x509_parser::parse_x509_certificate(der).map_err(|_| cannot(None))?;
        if parsed.public_key().subject_public_key.data[..] != *key.public_key_raw() {
            return Err(broken(state, ROOT_KEY, None));
        }
        let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let root = Root {
            name: name.unwrap_or("Lattice").to_owned(),
            der: der.to_vec(),
            fingerprint: fingerprint(der),
            pem,
        };
        let validity = Validity::of(der).ok_or_else(|| cannot(None))?;
        let permitted = Permitted::of(&parsed);
        let issuer = Issuer::from_ca_cert_der(der, key).map_err(|error| cannot(Some(error)))?;
        Ok(Self { state: state.clone(), issuer, permitted, validity, root: Arc::new(root) })
    }

    /// What devices are given to trust.
    pub fn root(&self) -> &Arc<Root> {
        &self.root
    }

    /// A certificate for `names`: the one that was kept where it will do, or a fresh one. Names that
    /// the authority may not sign for are left out.
    pub fn leaf(&self, names: &Names, now: i64) -> Result<Leaf, AuthorityError> {
        let _lock = self.state.lock()?;
        let (names, left_out): (BTreeSet<_>, BTreeSet<_>) =
            names.all().into_iter().partition(|name| self.permitted.covers(name));
        if !left_out.is_empty() {
            let names: Vec<_> = left_out.iter().map(ToString::to_string).collect();
            tracing::warn!(
                names = names.join(" "),
                "the certificate authority was not made for these; name one with --public-url to \
                 get another authority"
            );
        }
        if let Some(leaf) = self.kept_leaf(&names, now)? {
            return Ok(leaf);
        }
        let pem = self.issue(&names, now)?;
        self.state.write(LEAF, &pem)?;
        self.read_leaf(&pem)
    }

    fn kept_leaf(&self, names: &BTreeSet<Name>, now: i64) -> Result<Option<Leaf>, AuthorityError> {
        let Some(leaf) = self.state.read(LEAF)?.and_then(|pem| self.read_leaf(&pem).ok()) else {
            return Ok(None);
        };
        let good = now < leaf.renewal && self.is_good_for(&leaf.key, names, now);
        Ok(good.then_some(leaf))
    }

    fn read_leaf(&self, pem: &str) -> Result<Leaf, AuthorityError> {
        let path = self.state.path(LEAF);
        let key = certificate::parse(pem.as_bytes(), &path, pem.as_bytes(), &path)?;
        let validity = key.cert.first().and_then(|certificate| Validity::of(certificate));
        let renewal = validity.ok_or_else(|| broken(&self.state, LEAF, None))?.renewal();
        Ok(Leaf { key, renewal })
    }

    /// Whether a browser that trusts the authority takes this certificate for all these names.
    fn is_good_for(&self, key: &CertifiedKey, names: &BTreeSet<Name>, now: i64) -> bool {
        let mut roots = RootCertStore::empty();
        if roots.add(CertificateDer::from(self.root.der.as_slice())).is_err() {
            return false;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        let (Ok(verifier), Some(leaf)) = (verifier.build(), key.cert.first()) else {
            return false;
        };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
        names
            .iter()
            .filter_map(Name::to_server_name)
            .all(|name| verifier.verify_server_cert(leaf, &[], &name, &[], now).is_ok())
    }

    fn issue(&self, names: &BTreeSet<Name>, now: i64) -> Result<String, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Lattice");
        params.subject_alt_names = names.iter().filter_map(Name::to_san).collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = span(now, LEAF_DAYS);
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(certificate.pem() + &key.serialize_pem())
    }
}

fn broken(state: &StateDir, name: &str, source: Option<rcgen::Error>) -> AuthorityError {
    AuthorityError::Broken { path: state.path(name).display().to_string(), source }
}

/// So many days, of which one is over.
fn span(now: i64, days: i64) -> (OffsetDateTime, OffsetDateTime) {
    let at = |s| OffsetDateTime::from_unix_timestamp(s).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // The last second counts.
    (at(now - SLACK), at(now - SLACK + days * DAY - 1))
}

fn hex(bytes: &[u8]) -> impl Iterator<Item = char> {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16))
}

fn fingerprint(der: &[u8]) -> String {
    let hash = Sha256::digest(der);
    let pairs = hash.iter().map(|byte| format!("{byte:02X}"));
    pairs.collect::<Vec<_>>().join(":")
}

fn permitted(names: &Names) -> Vec<GeneralSubtree> {
    let networks = LOCAL_NETWORKS.iter().filter_map(|network| network.parse::<IpNet>().ok());
    let mut subtrees: Vec<_> = networks.map(subtree).collect();
    subtrees.extend(LOCAL_DOMAINS.map(|domain| GeneralSubtree::DnsName(domain.to_owned())));
    let local = Permitted {
        domains: LOCAL_DOMAINS.map(str::to_owned).to_vec(),
        networks: LOCAL_NETWORKS.iter().filter_map(|network| network.parse().ok()).collect(),
    };
    subtrees.extend(names.all().into_iter().filter(|name| !local.covers(name)).map(
        |name| match name {
            Name::Host(host) => GeneralSubtree::DnsName(host),
            Name::Address(address) => subtree(IpNet::from(address)),
        },
    ));
    subtrees
}

fn subtree(network: IpNet) -> GeneralSubtree {
    let network = CidrSubnet::from_addr_prefix(network.addr(), network.prefix_len());
    GeneralSubtree::IpAddress(network)
}

/// What an authority may sign for. One without constraints, that somebody else made, may do nothing
/// that can be told, so it is replaced.
#[derive(Debug, Default)]
struct Permitted {
    domains: Vec<String>,
    networks: Vec<IpNet>,
}

impl Permitted {
    fn of(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Self {
        let constraints = certificate.name_constraints().ok().flatten();
        let subtrees = constraints.and_then(|found| found.value.permitted_subtrees.as_ref());
        let mut permitted = Self::default();
        for subtree in subtrees.into_iter().flatten() {
            match subtree.base {
                GeneralName::DNSName(domain) => permitted.domains.push(domain.to_owned()),
                GeneralName::IPAddress(bytes) => permitted.networks.extend(network(bytes)),
                _ => {}
            }
        }
        permitted
    }

    fn covers(&self, name: &Name) -> bool {
        match name {
            Name::Host(host) => self.domains.iter().any(|domain| {
                let below = host.strip_suffix(domain.as_str());
                below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
            }),
            Name::Address(address) => self.networks.iter().any(|network| network.contains(address)),
        }
    }
}

/// Address and mask, as RFC 5280 has them.
fn network(bytes: &[u8]) -> Option<IpNet> {
    let ip = |bytes: &[u8]| -> Option<IpAddr> {
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
    };
    let (address, mask) = bytes.split_at_checked(bytes.len() / 2)?;
    IpNet::with_netmask(ip(address)?, ip(mask)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn state(dir: &tempfile::TempDir) -> StateDir {
        StateDir::open(&dir.path().join("tls")).expect("a directory")
    }

    fn names(hosts: &[&str], public: &[&str]) -> Names {
        let owned =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Names::of("192.168.7.9".parse().expect("an address"), &owned(hosts), &owned(public))
    }

    fn is_good(authority: &Authority, leaf: &Leaf, name: &str, now: i64) -> bool {
        let names = BTreeSet::from([Name::parse(name).expect("a name")]);
        authority.is_good_for(&leaf.key, &names, now)
    }

    #[test]
    fn a_leaf_is_taken_for_its_names_and_its_time_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let names = names(&["box"], &["https://desk.example:8443", "https://203.0.113.5"]);
        let authority = Authority::open(&state(&dir), &names, NOW).expect("an authority");
        let leaf = authority.leaf(&names, NOW).expect("a leaf");
        for good in
            ["localhost", "127.0.0.1", "::1", "box", "desk.example", "192.168.7.9", "203.0.113.5"]
        {
            assert!(is_good(&authority, &leaf, good, NOW), "{good}");
        }
        for bad in ["example", "other.example", "www.desk.example", "192.168.7.8", "203.0.113.6"] {
            assert!(!is_good(&authority, &leaf, bad, NOW), "{bad}");
        }
        let validity = Validity::of(&leaf.key.cert[0]).expect("readable");
        assert!(validity.not_after - validity.not_before < 397 * DAY);
        assert!(is_good(&authority, &leaf, "box", leaf.renewal), "renewed before it ends");
        assert!(!is_good(&authority, &leaf, "box", validity.not_after + 1));
    }

    #[test]
    fn a_stolen_authority_is_of_no_use_against_names_of_others() {
        let dir = tempfile::tempdir().expect("a directory");
        let own = names(&["box"], &["https://desk.example"]);
        let authority = Authority::open(&state(&dir), &own, NOW).expect("an authority");
        for other in ["bank.example", "example", "8.8.8.8", "2001:db8::1"] {
            let name = BTreeSet::from([Name::parse(other).expect("a name")]);
            let pem = authority.issue(&name, NOW).expect("signed all the same");
            let leaf = authority.read_leaf(&pem).expect("a leaf");
            assert!(!is_good(&authority, &leaf, other, NOW), "{other}");
        }
        let local = BTreeSet::from([Name::parse("printer.lan").expect("a name")]);
        let leaf = authority.read_leaf(&authority.issue(&local, NOW).expect("signed"));
        assert!(is_good(&authority, &leaf.expect("a leaf"), "printer.lan", NOW));
    }

    #[test]
    fn authority_and_leaf_outlive_a_restart_and_are_renewed_in_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let (state, names) = (state(&dir), names(&["box"], &[]));
        let first = Authority::open(&state, &names, NOW).expect("an authority");
        let leaf = first.leaf(&names, NOW).expect("a leaf");
        let second = Authority::open(&state, &names, NOW + DAY).expect("the same");
        assert_eq!(first.root(), second.root());
        let kept = second.leaf(&names, NOW + DAY).expect("the same");
        assert_eq!(kept.key.cert, leaf.key.cert);
        let renewed = second.leaf(&names, leaf.renewal).expect("another");
        assert_ne!(renewed.key.cert, leaf.key.cert);
        assert!(renewed.renewal > leaf.renewal + 200 * DAY);
        let late = Authority::open(&state, &names, NOW + (ROOT_DAYS - 300) * DAY).expect("another");
        assert_ne!(late.root(), first.root());
    }

    #[test]
    fn a_name_that_is_found_is_added_and_one_that_is_required_makes_a_fresh_authority() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = state(&dir);
        let mut own = names(&["box"], &[]);
        let first = Authority::open(&state, &own, NOW).expect("an authority");
        let leaf = first.leaf(&own, NOW).expect("a leaf");
        for found in ["10.1.2.3", "203.0.113.5"] {
            own.found.insert(Name::parse(found).expect("an address"));
        }
        let more = first.leaf(&own, NOW).expect("another");
        assert_ne!(more.key.cert, leaf.key.cert);
        assert!(is_good(&first, &more, "10.1.2.3", NOW));
        assert!(!is_good(&first, &more, "203.0.113.5", NOW), "not what it was made for");

        let moved = names(&["box"], &["https://desk.example"]);
        let second = Authority::open(&state, &moved, NOW).expect("another");
        assert_ne!(second.root(), first.root());
        assert!(state.path(&format!("{ROOT_KEY}.{NOW}")).exists(), "the old one is kept aside");
        let leaf = second.leaf(&moved, NOW).expect("a leaf");
        assert!(is_good(&second, &leaf, "desk.example", NOW));
    }

    #[test]
    fn a_broken_authority_is_named_and_not_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let (state, names) = (state(&dir), names(&[], &[]));
        Authority::open(&state, &names, NOW).expect("an authority");
        let other = KeyPair::generate().expect("a key").serialize_pem();
        for (file, text) in [(ROOT_KEY, other.as_str()), (ROOT, "no PEM")] {
            state.write(file, text).expect("written");
            let error = Authority::open(&state, &names, NOW).expect_err("broken").to_string();
            assert!(error.contains(file), "{error}");
        }
    }
}
