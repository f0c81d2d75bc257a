//! Which certificate a new connection is shown. Those that are open keep theirs.

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The protocol by which an ACME server asks whether a name is ours (RFC 8737).
pub const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// The certificates at hand. What brings them replaces them here.
#[derive(Debug, Default)]
pub struct Shown {
    held: RwLock<Held>,
    challenges: Arc<Challenges>,
}

#[derive(Debug, Default)]
struct Held {
    general: Option<Arc<CertifiedKey>>,
    /// Good for these names only; whoever asks for another, or says none, gets the general one.
    ordered: Option<(BTreeSet<String>, Arc<CertifiedKey>)>,
}

/// What an ACME server that asks is answered. At most one of each kind for every name of ours.
#[derive(Debug, Default)]
pub struct Challenges {
    by_name: Mutex<HashMap<String, Arc<CertifiedKey>>>,
    by_token: Mutex<HashMap<String, String>>,
}

impl Shown {
    /// Replaces the certificate for all who ask.
    pub fn set_general(&self, key: CertifiedKey) {
        self.held.write().unwrap_or_else(PoisonError::into_inner).general = Some(Arc::new(key));
    }

    /// Replaces the certificate for these names.
    pub fn set_ordered(&self, names: impl IntoIterator<Item = String>, key: CertifiedKey) {
        let ordered = (names.into_iter().collect(), Arc::new(key));
        self.held.write().unwrap_or_else(PoisonError::into_inner).ordered = Some(ordered);
    }

    /// What ACME servers are answered.
    pub fn challenges(&self) -> &Arc<Challenges> {
        &self.challenges
    }

    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let ordered = held.ordered.as_ref();
        let fits = ordered.filter(|(names, _)| name.is_some_and(|name| names.contains(name)));
        let chosen = fits.map(|(_, key)| key).or(held.general.as_ref());
        chosen.or(ordered.map(|(_, key)| key)).cloned()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        if hello.alpn().is_some_and(|mut offered| offered.any(|one| one == ACME_PROTOCOL)) {
            return self.challenges.for_name(&name?);
        }
        self.choose(name.as_deref())
    }
}

impl Challenges {
    /// Answers who asks for this name by [`ACME_PROTOCOL`].
    pub fn set_name(&self, name: &str, key: CertifiedKey) {
        let mut answers = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(name.to_ascii_lowercase(), Arc::new(key));
    }

    /// Answers who asks for this token by plain HTTP.
    pub fn set_token(&self, token: &str, answer: &str) {
        let mut answers = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(token.to_owned(), answer.to_owned());
    }

    /// The answer for a token.
    pub fn for_token(&self, token: &str) -> Option<String> {
        self.by_token.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    fn for_name(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Forgets all answers.
    pub fn clear(&self) {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.by_token.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::certificate::parse;
    use rcgen::{CertificateParams, KeyPair};
    use std::path::Path;

    fn key(name: &str) -> CertifiedKey {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let pem = params.self_signed(&key).expect("signed").pem();
        let (path, key) = (Path::new("test"), key.serialize_pem());
        parse(pem.as_bytes(), path, key.as_bytes(), path).expect("a pair")
    }

    #[test]
    fn who_asks_for_an_ordered_name_gets_that_and_others_the_general_one() {
        let shown = Shown::default();
        let (own, ordered) = (key("box"), key("desk.example"));
        let (own_cert, ordered_cert) = (own.cert.clone(), ordered.cert.clone());
        let chosen = |name| shown.choose(name).map(|key| key.cert.clone());
        assert_eq!(chosen(None), None);
        shown.set_ordered(["desk.example".to_owned()], ordered);
        assert_eq!(chosen(None), Some(ordered_cert.clone()));
        shown.set_general(own);
        assert_eq!(chosen(None), Some(own_cert.clone()));
        assert_eq!(chosen(Some("box")), Some(own_cert));
        assert_eq!(chosen(Some("desk.example")), Some(ordered_cert));
    }
}
