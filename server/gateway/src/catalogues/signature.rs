//! Who vouches for a catalogue: ed25519 over the very bytes of its file.
//!
//! A signature's file has one line: `ed25519 PUBLIC-KEY SIGNATURE`, both in base64. The key in it is
//! only there to say by whom a file claims to be signed; what counts is whether it is trusted here.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use std::fmt;
use std::str::FromStr;

/// The longest file of a signature, in bytes.
pub(super) const MAX_SIGNATURE: u64 = 1 << 10;
const SCHEME: &str = "ed25519";

/// Whom to trust, as configurations write it: `ed25519:` and 32 bytes in base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// A key by the name that the administrator gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// Whose it is.
    pub name: String,
    /// It.
    pub key: PublicKey,
}

/// Why a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The file of the signature is none.
    #[error("its signature is not of the form that lattice catalogue sign writes")]
    Malformed,
    /// Nobody here trusts that key.
    #[error("it is signed by the key {key}, which is not trusted here")]
    Unknown {
        /// By which it claims to be signed.
        key: PublicKey,
    },
    /// These are not the bytes that were signed.
    #[error(
        "it is not what {by} signed: the catalogue or its signature was changed since, on the way or \
         on this disk"
    )]
    Changed {
        /// Whose key it claims to be signed by.
        by: String,
    },
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no key; lattice catalogue keygen prints one, as in ed25519:AAAA…=")
        };
        let encoded = text.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix(':'));
        let bytes = STANDARD.decode(encoded.ok_or_else(wrong)?).map_err(|_| wrong())?;
        bytes.try_into().map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}", STANDARD.encode(self.0))
    }
}

/// A new secret key, as PEM, and what belongs to it.
pub(super) fn generate() -> anyhow::Result<(String, PublicKey)> {
    let failed = |_| anyhow::anyhow!("the system has no random bytes for a key");
    let pair = Ed25519KeyPair::generate().map_err(failed)?;
    let secret = pair.to_pkcs8v1().map_err(failed)?;
    let encoded = STANDARD.encode(secret.as_ref());
    let lines: Vec<_> = encoded.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    let body = lines.join("\n");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    Ok((pem, public(&pair)?))
}

/// What a secret key, in PEM, signs these bytes with.
pub(super) fn sign(pem: &str, bytes: &[u8]) -> anyhow::Result<String> {
    let secret = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| anyhow::anyhow!("this is no secret key in PEM"))?;
    let pair = Ed25519KeyPair::from_pkcs8(secret.secret_pkcs8_der())
        .map_err(|_| anyhow::anyhow!("this is no secret key of ed25519"))?;
    let PublicKey(key) = public(&pair)?;
    let signature = STANDARD.encode(pair.sign(bytes).as_ref());
    Ok(format!("{SCHEME} {} {signature}\n", STANDARD.encode(key)))
}

fn public(pair: &Ed25519KeyPair) -> anyhow::Result<PublicKey> {
    let key = pair.public_key().as_ref().try_into();
    key.map(PublicKey).map_err(|_| anyhow::anyhow!("a key of ed25519 has 32 bytes"))
}

/// Who of those signed these bytes.
///
/// # Errors
/// Where none of them did.
pub(super) fn verify<'a>(
    bytes: &[u8],
    signature: &str,
    trusted: &'a [Trusted],
) -> Result<&'a Trusted, SignatureError> {
    let mut words = signature.split_ascii_whitespace();
    let (Some(SCHEME), Some(key), Some(signed), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(SignatureError::Malformed);
    };
    let key: PublicKey =
        format!("{SCHEME}:{key}").parse().map_err(|_| SignatureError::Malformed)?;
    let signed = STANDARD.decode(signed).map_err(|_| SignatureError::Malformed)?;
    let Some(known) = trusted.iter().find(|trusted| trusted.key == key) else {
        return Err(SignatureError::Unknown { key });
    };
    UnparsedPublicKey::new(&ED25519, known.key.0)
        .verify(bytes, &signed)
        .map(|()| known)
        .map_err(|_| SignatureError::Changed { by: known.name.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(name: &str, key: PublicKey) -> Trusted {
        Trusted { name: name.into(), key }
    }

    #[test]
    fn the_signer_is_found_and_nobody_else() {
        let (secret, key) = generate().expect("a key");
        let (_, other) = generate().expect("a key");
        assert_eq!(key.to_string().parse(), Ok(key));
        let signature = sign(&secret, b"apps").expect("signed");
        let both = [trusted("other", other), trusted("school", key)];
        assert_eq!(verify(b"apps", &signature, &both).map(|by| by.name.as_str()), Ok("school"));
        let unknown = verify(b"apps", &signature, &both[..1]);
        assert_eq!(unknown, Err(SignatureError::Unknown { key }));
        assert_eq!(verify(b"apps", &signature, &[]), Err(SignatureError::Unknown { key }));
    }

    #[test]
    fn one_changed_byte_is_noticed_wherever_it_is() {
        let (secret, key) = generate().expect("a key");
        let known = [trusted("school", key)];
        let signature = sign(&secret, b"name: school").expect("signed");
        for at in 0..12 {
            let mut bytes = b"name: school".to_vec();
            bytes[at] ^= 1;
            let refused = verify(&bytes, &signature, &known);
            assert_eq!(refused, Err(SignatureError::Changed { by: "school".into() }));
        }
        assert!(verify(b"name: school\n", &signature, &known).is_err());
        for at in 0..signature.trim_end().len() {
            let mut changed = signature.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("letters");
            assert!(verify(b"name: school", &changed, &known).is_err(), "{at}: {changed}");
        }
        for bad in
            ["", "ed25519", "rsa a b", &signature.replace(' ', ""), &format!("{signature} x")]
        {
            assert_eq!(verify(b"name: school", bad, &known), Err(SignatureError::Malformed));
        }
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        for bad in ["", "ed25519:", "ed25519:AAAA", "AAAA", "ed25519:!!"] {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
        }
        assert!(sign("not a key", b"x").is_err());
    }
}
