//! Who may look at a shared display: whoever holds the token that was printed at the start.
//!
//! A browser swaps the token once for a cookie, so that it leaves the address bar; programs send it
//! as a bearer. Both are compared in constant time. A right token always passes, however many wrong
//! ones came from the same address: a school is one address.

use super::limits::Budgets;
use crate::clock;
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use metrics::counter;
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq;

/// Wrong credentials answered with 401 per address and minute; later ones get 429.
const MAX_FAILURES: u32 = 60;
/// Fewer characters of base64 would be less than 128 bits.
const MIN_TOKEN: usize = 22;
/// What the agent's link allows too.
const MAX_TOKEN: usize = 128;

/// A secret that is never shown by accident.
#[derive(Clone)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why a token could not be had.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The system gave no random bytes.
    #[error("get random bytes from the system: {0}")]
    Random(getrandom::Error),
    /// The file could not be used.
    #[error("{step} the token file {path}")]
    File {
        /// What was tried.
        step: &'static str,
        /// On which file.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "the token file {0} must hold {MIN_TOKEN} to {MAX_TOKEN} characters of A-Z a-z 0-9 - _; \
         remove it to get a fresh one"
    )]
    Malformed(String),
}

impl Token {
    /// 256 random bits, in base64url.
    pub fn fresh() -> Result<Self, TokenError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(TokenError::Random)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// A token from elsewhere, where it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let good = (MIN_TOKEN..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(allowed);
        good.then(|| Self(text.to_owned()))
    }

    /// The token in `path`; a missing file is made, readable by its owner only.
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        let failed =
            |step, source| TokenError::File { step, path: path.display().to_string(), source };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = Self::fresh()?;
                std::fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .and_then(|mut file| writeln!(file, "{}", token.0))
                    .map_err(|source| failed("create", source))?;
                return Ok(token);
            }
            Err(source) => return Err(failed("read", source)),
        };
        let mode = std::fs::metadata(path).map_err(|source| failed("inspect", source))?;
        if mode.permissions().mode() & 0o077 != 0 {
            tracing::warn!(file = %path.display(), "others can read the token file; chmod 600 it");
        }
        Self::parse(text.trim()).ok_or_else(|| TokenError::Malformed(path.display().to_string()))
    }

    /// The secret itself, for the one place that must show or send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// How a request proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// By a header that no page of another site can make a browser send.
    Bearer,
    /// By a cookie, so its origin matters.
    Cookie,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It brought nothing.
    Missing,
    /// It brought something wrong.
    Wrong,
    /// Too many wrong ones came from its address.
    TooMany {
        /// When to come again, in seconds.
        retry_after_s: u64,
    },
}

/// The door: knows the right credentials and counts the wrong ones.
#[derive(Debug)]
pub struct Door {
    bearer: [u8; 32],
    cookie: [u8; 32],
    cookie_name: String,
    cookie_value: String,
    failures: Mutex<Budgets>,
}

impl Door {
    /// A door for `token`. The port makes the cookie's name, because a browser sends a cookie to
    /// every port of a host.
    pub fn new(token: &Token, port: u16) -> Self {
        let value = Sha256::new()
            .chain_update(b"lattice share cookie")
            .chain_update(token.expose())
            .finalize();
        let cookie_value = URL_SAFE_NO_PAD.encode(value);
        Self {
            bearer: hash(token.expose()),
            cookie: hash(&cookie_value),
            cookie_name: format!("lattice_share_{port}"),
            cookie_value,
            failures: Mutex::new(Budgets::new(MAX_FAILURES)),
        }
    }

    /// Checks what a request brought.
    pub fn check(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Credential, Refusal> {
        if let Some(token) = bearer(headers) {
            return self.judge("bearer", token, &self.bearer, peer).map(|()| Credential::Bearer);
        }
        let value = cookie(headers, &self.cookie_name).ok_or(Refusal::Missing)?;
        self.judge("cookie", value, &self.cookie, peer).map(|()| Credential::Cookie)
    }

    /// Swaps the token for a `Set-Cookie` value.
    pub fn swap(&self, token: &str, peer: IpAddr, secure: bool) -> Result<HeaderValue, Refusal> {
        self.judge("token", token, &self.bearer, peer)?;
        let secure = if secure { "; Secure" } else { "" };
        let cookie = format!(
            "{}={}; Path=/; HttpOnly; SameSite=Strict{secure}",
            self.cookie_name, self.cookie_value
        );
        HeaderValue::try_from(cookie).map_err(|_| Refusal::Wrong)
    }

    fn judge(
        &self,
        method: &'static str,
        given: &str,
        right: &[u8; 32],
        peer: IpAddr,
    ) -> Result<(), Refusal> {
        // Hashes have one length, so nothing about the secret's own length or prefix is timed.
        let matches = bool::from(hash(given).ct_eq(right));
        let verdict = if matches { Ok(()) } else { Err(self.fail(peer)) };
        let result = match verdict {
            Ok(()) => "ok",
            Err(Refusal::TooMany { .. }) => "limited",
            Err(_) => "wrong",
        };
        counter!("lattice_auth_attempts_total", "method" => method, "result" => result)
            .increment(1);
        verdict
    }

    fn fail(&self, peer: IpAddr) -> Refusal {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.spend(peer, clock::now()) {
            Ok(()) => Refusal::Wrong,
            Err(retry_after_s) => Refusal::TooMany { retry_after_s },
        }
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a header"))])
    }

    #[test]
    fn a_token_opens_as_bearer_and_as_the_cookie_it_is_swapped_for() {
        let token = Token::fresh().expect("random bytes");
        let door = Door::new(&token, 8080);
        let bearer = headers(header::AUTHORIZATION, &format!("Bearer {}", token.expose()));
        assert_eq!(door.check(&bearer, PEER), Ok(Credential::Bearer));

        let cookie = door.swap(token.expose(), PEER, false).expect("the right token");
        let cookie = cookie.to_str().expect("ascii");
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"));
        assert!(!cookie.contains(token.expose()));
        let pair = format!("theme=dark; {}", cookie.split(';').next().expect("a pair"));
        assert_eq!(door.check(&headers(header::COOKIE, &pair), PEER), Ok(Credential::Cookie));
        let other_port = pair.replace("8080", "8081");
        assert_eq!(door.check(&headers(header::COOKIE, &other_port), PEER), Err(Refusal::Missing));
    }

    #[test]
    fn a_wrong_bearer_is_not_saved_by_a_right_cookie() {
        let token = Token::fresh().expect("random bytes");
        let door = Door::new(&token, 1);
        let cookie = door.swap(token.expose(), PEER, false).expect("the right token");
        let mut both = headers(header::AUTHORIZATION, "Bearer wrong");
        both.insert(header::COOKIE, cookie);
        assert_eq!(door.check(&both, PEER), Err(Refusal::Wrong));
    }

    #[test]
    fn guessing_is_limited_but_the_right_token_still_passes() {
        let token = Token::fresh().expect("random bytes");
        let door = Door::new(&token, 1);
        let answers: Vec<_> =
            (0..100).map(|n| door.swap(&format!("guess{n}"), PEER, false).err()).collect();
        let wrong = answers.iter().filter(|answer| **answer == Some(Refusal::Wrong)).count();
        assert_eq!(wrong, MAX_FAILURES as usize);
        assert!(matches!(answers.last(), Some(Some(Refusal::TooMany { retry_after_s: 1..=60 }))));
        assert!(door.swap(token.expose(), PEER, false).is_ok());
    }

    #[test]
    fn a_token_file_is_made_private_and_read_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        let made = Token::from_file(&path).expect("made");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Token::from_file(&path).expect("read").expose(), made.expose());
        std::fs::write(&path, "short").expect("written");
        assert!(matches!(Token::from_file(&path), Err(TokenError::Malformed(_))));
        assert_eq!(format!("{made:?}"), "Token(…)");
    }
}
