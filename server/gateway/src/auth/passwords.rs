//! Passwords: argon2id, a few at a time.

use super::Token;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{self, try_generate_salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Passwords that may wait for their turn: a whole school that signs in at once, and no more. Each
/// takes about 20 ms.
const QUEUE: usize = 512;
/// When to come again where more wait.
const RETRY_AFTER_S: u64 = 5;

/// Why a password was not hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many wait.
    #[error("too many people are signing in at this moment; wait {retry_after_s} s")]
    Busy {
        /// When to come again.
        retry_after_s: u64,
    },
    /// It could not be hashed.
    #[error("hash a password: {0}")]
    Hash(password_hash::Error),
    /// No secret could be made.
    #[error("make a secret")]
    Secret,
}

/// Hashes and checks passwords.
///
/// INVARIANT: at most `turns` at a time, each with the 19 MiB of argon2's defaults (which are those
/// of the OWASP Password Storage Cheat Sheet), however many people sign in; half of the cores stay
/// free for desktops.
#[derive(Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    memory: Arc<Memory>,
    waiting: AtomicUsize,
    queue: usize,
    /// The hash of a password that nobody knows: checked where there is none, which takes as long.
    nobodys: String,
}

impl Passwords {
    /// Ready for as many at a time as this machine has half its cores.
    pub async fn new() -> Result<Self, PasswordError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with((cores / 2).clamp(1, 4), QUEUE).await
    }

    async fn with(turns: usize, queue: usize) -> Result<Self, PasswordError> {
        let secret = Token::fresh().map_err(|_| PasswordError::Secret)?;
        let turns = Arc::new(Semaphore::new(turns));
        let (waiting, nobodys) = (AtomicUsize::new(0), String::new());
        let mut passwords = Self { turns, memory: Arc::default(), waiting, queue, nobodys };
        passwords.nobodys = passwords.hash(secret.expose()).await?;
        Ok(passwords)
    }

    /// Hashes a new password.
    pub async fn hash(&self, password: &str) -> Result<String, PasswordError> {
        let password = password.to_owned();
        self.take_turn(move |memory| {
            let hash = hash_in(memory, password.as_bytes());
            hash.map(|hash| hash.to_string()).map_err(PasswordError::Hash)
        })
        .await?
    }

    /// Whether a password is the hashed one. Takes as long where there is no hash.
    pub async fn verify(
        &self,
        password: &str,
        hash: Option<String>,
    ) -> Result<bool, PasswordError> {
        let exists = hash.is_some() && password.len() <= super::MAX_PASSWORD;
        let hash = hash.unwrap_or_else(|| self.nobodys.clone());
        let end = password.floor_char_boundary(super::MAX_PASSWORD);
        let password = password[..end].to_owned();
        let matches = self
            .take_turn(move |memory| {
                verify_in(memory, password.as_bytes(), &hash).is_ok_and(|matches| matches)
            })
            .await?;
        Ok(matches && exists)
    }

    /// Runs `work` on a thread for blocking work when its turn comes. The turn ends with the work,
    /// even where nobody waits for it any more.
    async fn take_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let busy = PasswordError::Busy { retry_after_s: RETRY_AFTER_S };
        let place = Place::take(&self.waiting, self.queue).ok_or(busy)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| PasswordError::Secret)?;
        drop(place);
        let memory = self.memory.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            memory.lend(work)
        });
        done.await.map_err(|_| PasswordError::Secret)
    }
}

/// What hashes are computed in, kept from turn to turn: each thread has an arena of the allocator,
/// which keeps what was given back, so with memory of its own each of many would hold 19 MiB.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    fn lend<T>(&self, work: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = lock().pop().unwrap_or_default();
        let done = work(&mut blocks);
        lock().push(blocks);
        done
    }
}

fn hash_in(memory: &mut Vec<Block>, password: &[u8]) -> password_hash::Result<PasswordHash> {
    let argon = Argon2::default();
    let salt = Salt::new(&try_generate_salt().map_err(|_| password_hash::Error::Crypto)?)?;
    Ok(PasswordHash {
        algorithm: Algorithm::default().ident(),
        version: Some(Version::default().into()),
        params: ParamsString::try_from(argon.params())?,
        hash: Some(output_in(memory, &argon, password, &salt)?),
        salt: Some(salt),
    })
}

/// Whether `hash` is one of `password`; an error where it is none.
fn verify_in(memory: &mut Vec<Block>, password: &[u8], hash: &str) -> password_hash::Result<bool> {
    let hash = PasswordHash::new(hash)?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from)?;
    let argon = Argon2::new(algorithm, version, Params::try_from(&hash)?);
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Ok(false) };
    // Outputs are compared in a time that does not depend on what they are.
    Ok(output_in(memory, &argon, password, salt)? == *expected)
}

fn output_in(
    memory: &mut Vec<Block>,
    argon: &Argon2<'_>,
    password: &[u8],
    salt: &[u8],
) -> password_hash::Result<Output> {
    memory.resize(argon.params().block_count(), Block::default());
    let mut output = [0; Output::MAX_LENGTH];
    let length = argon.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let output = output.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
    argon.hash_password_into_with_memory(password, salt, output, memory.as_mut_slice())?;
    Ok(Output::new(output)?)
}

/// A place in the queue, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(waiting);
        (before < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_alone() {
        let passwords = Passwords::new().await.expect("ready");
        let hash = passwords.hash("correct horse").await.expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse").await.expect("hashed"), "salted");
        let table = [
            ("correct horse", Some(hash.clone()), true),
            ("correct horse ", Some(hash.clone()), false),
            ("", Some(hash), false),
            ("correct horse", None, false),
            ("correct horse", Some("nonsense".into()), false),
        ];
        for (password, hash, right) in table {
            assert_eq!(passwords.verify(password, hash).await.expect("checked"), right);
        }
    }

    #[tokio::test]
    async fn what_is_beyond_the_longest_password_does_not_count_as_the_rest_of_it() {
        let passwords = Passwords::new().await.expect("ready");
        let longest = "ü".repeat(super::super::MAX_PASSWORD / 2);
        let hash = passwords.hash(&longest).await.expect("hashed");
        assert!(passwords.verify(&longest, Some(hash.clone())).await.expect("checked"));
        let longer = format!("{longest}ü");
        assert!(!passwords.verify(&longer, Some(hash)).await.expect("checked"));
    }

    /// The tasks are polled in order on one thread, so who waits and who is sent away is certain.
    #[tokio::test]
    async fn few_work_some_wait_and_the_rest_is_told_to_come_again() {
        let passwords = Passwords::with(1, 2).await.expect("ready");
        let tries = (0..10).map(|_| passwords.verify("guess", None));
        let done = join_all(tries).await;
        let busy = |answer: &Result<bool, _>| matches!(answer, Err(PasswordError::Busy { .. }));
        assert_eq!(done.iter().filter(|answer| busy(answer)).count(), 7);
        assert!(done.iter().take(3).all(|answer| matches!(answer, Ok(false))));
        assert!(passwords.verify("guess", None).await.is_ok(), "the queue is empty again");
        assert_eq!(passwords.turns.available_permits(), 1);
        assert_eq!(passwords.memory.0.lock().expect("whole").len(), 1, "all worked in the same");
    }

    /// That such a guess takes its turn like any other is seen above.
    #[tokio::test]
    async fn nobodys_password_costs_what_somebodys_does() {
        let passwords = Passwords::new().await.expect("ready");
        let somebodys = passwords.hash("correct horse").await.expect("hashed");
        let cost = |hash: &str| hash.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(cost(&passwords.nobodys), cost(&somebodys));
        assert_eq!(cost(&somebodys).as_deref(), Some("$argon2id$v=19$m=19456,t=2,p=1"));
    }
}
