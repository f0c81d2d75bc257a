//! Who comes: by which secret, how often it may be tried, and what a browser keeps of it.
//!
//! `door` guards `lattice share`, whose one secret is in memory. [`Auth`] guards `lattice serve`,
//! whose people are in the store. What somebody may do is not decided here but by
//! [`lattice_engine::policy`].

pub mod admin;
mod cookies;
mod door;
mod identity;
mod limits;
mod passwords;
#[cfg(test)]
mod tests;

pub use cookies::Cookies;
pub(crate) use door::cookie;
pub use door::{Credential, Door, Refusal, Token, TokenError};
pub use identity::{Identity, Proof};
pub use passwords::{PasswordError, Passwords};

use crate::clock;
use crate::store::{LoginId, SignedIn, Store, StoreError, Timestamp, TokenHash, User, UserId};
use limits::{Account, Accounts, Budgets};
use metrics::counter;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Wrong passwords answered with 401 per address and minute: a school is one address. The right one
/// always passes; what stops guessing is the limit of the account.
const WRONG_PASSWORDS: u32 = 300;
/// Wrong tokens answered with 401 per address and minute. They are too long to be guessed.
const WRONG_TOKENS: u32 = 60;
/// Longer names are nobody's.
const MAX_NAME: usize = 256;
/// Longer passwords are nobody's: hashing them is work.
pub const MAX_PASSWORD: usize = 1024;

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The name, password or token is wrong. Which of them, and whether there is such a user, is
    /// not said.
    #[error("wrong credentials")]
    Wrong,
    /// There were too many wrong ones.
    #[error("too many wrong credentials; wait {retry_after_s} s")]
    Limited {
        /// When to come again.
        retry_after_s: u64,
    },
    /// A password could not be checked now.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// No secret could be made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A browser that has just been let in, and what it is to keep.
#[derive(Debug)]
pub struct Entry {
    /// Who.
    pub signed_in: SignedIn,
    /// The login's secret, for its cookie.
    pub token: Token,
    /// The device's secret, for its cookie.
    pub device: Token,
}

/// The door of `lattice serve`.
#[derive(Debug)]
pub struct Auth {
    store: Store,
    passwords: Passwords,
    cookies: Cookies,
    accounts: Mutex<Accounts>,
    wrong_passwords: Mutex<Budgets>,
    wrong_tokens: Mutex<Budgets>,
}

impl Auth {
    /// A door to what `store` knows, of a server on `port`.
    pub async fn new(store: Store, port: u16) -> Result<Self, AuthError> {
        Ok(Self {
            store,
            passwords: Passwords::new().await?,
            cookies: Cookies::new(port),
            accounts: Mutex::default(),
            wrong_passwords: Mutex::new(Budgets::new(WRONG_PASSWORDS)),
            wrong_tokens: Mutex::new(Budgets::new(WRONG_TOKENS)),
        })
    }

    /// The cookies of this server.
    pub fn cookies(&self) -> &Cookies {
        &self.cookies
    }

    /// For hashing new passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Signs somebody in by name and password. `device` is what their browser kept of earlier times.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &str,
        device: Option<&Token>,
        peer: IpAddr,
    ) -> Result<Entry, AuthError> {
        let found = if name.len() <= MAX_NAME { self.store.user_named(name).await? } else { None };
        let user = found.as_ref().map(|user| user.id);
        let account = self.account(name, user, device).await?;
        self.try_account(account)?;
        let right = self.is_password_of(found.as_ref(), password).await?;
        let Some(user) = user.filter(|_| right) else {
            return Err(self.wrong("password", &self.wrong_passwords, peer));
        };
        self.clear_account(account);
        count("password", "ok");
        let (token, device) = (Token::fresh()?, device.cloned().map_or_else(Token::fresh, Ok)?);
        let now = Timestamp::now();
        let signed_in = self.store.create_login(user, &hash(&token), &hash(&device), now).await?;
        Ok(Entry { signed_in, token, device })
    }

    /// Signs somebody in by a one-time sign-in.
    pub async fn enter(
        &self,
        one_time: &str,
        device: Option<&Token>,
        peer: IpAddr,
    ) -> Result<Entry, AuthError> {
        let token = Token::fresh()?;
        let device = device.cloned().map_or_else(Token::fresh, Ok)?;
        let entered = self
            .store
            .enter(&TokenHash::of(one_time), &hash(&token), &hash(&device), Timestamp::now())
            .await?;
        match entered {
            Some(signed_in) => {
                count("one-time", "ok");
                Ok(Entry { signed_in, token, device })
            }
            None => Err(self.wrong("one-time", &self.wrong_tokens, peer)),
        }
    }

    /// Checks the password of somebody who is signed in already, against the limit of their account.
    pub async fn confirm(&self, user: &User, password: &str) -> Result<(), AuthError> {
        let account = Account::User { user: user.id, device: None };
        self.try_account(account)?;
        if !self.is_password_of(Some(user), password).await? {
            count("confirm", "wrong");
            return Err(AuthError::Wrong);
        }
        self.clear_account(account);
        Ok(())
    }

    /// Counts a wrong token of an address and says what to answer.
    pub fn wrong_token(&self, method: &'static str, peer: IpAddr) -> AuthError {
        self.wrong(method, &self.wrong_tokens, peer)
    }

    /// Keeps a login alive whose person uses a desktop and sends no requests.
    pub async fn touch(&self, login: LoginId) -> Result<(), StoreError> {
        self.store.touch_login(login, Timestamp::now()).await
    }

    /// What the limit counts at. A device counts for those only who have signed in with it before.
    async fn account(
        &self,
        name: &str,
        user: Option<UserId>,
        device: Option<&Token>,
    ) -> Result<Account, StoreError> {
        let Some(user) = user else { return Ok(Account::unknown(name)) };
        let Some(device) = device.map(hash) else {
            return Ok(Account::User { user, device: None });
        };
        let known = self.store.knows_device(&device, user).await?;
        Ok(Account::User { user, device: known.then_some(device) })
    }

    /// Takes as long for users that there are not.
    async fn is_password_of(&self, user: Option<&User>, password: &str) -> Result<bool, AuthError> {
        let hash = match user.filter(|user| !user.disabled) {
            Some(user) => self.store.password_hash(user.id).await?,
            None => None,
        };
        Ok(self.passwords.verify(password, hash).await?)
    }

    /// Counts the try as a wrong one until it proves right, so that many at once are counted too.
    fn try_account(&self, account: Account) -> Result<(), AuthError> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.try_at(account, clock::now()).map_err(|retry_after_s| {
            count("password", "limited");
            AuthError::Limited { retry_after_s }
        })
    }

    fn clear_account(&self, account: Account) {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).clear(account);
    }

    fn wrong(&self, method: &'static str, budgets: &Mutex<Budgets>, peer: IpAddr) -> AuthError {
        let mut budgets = budgets.lock().unwrap_or_else(PoisonError::into_inner);
        match budgets.spend(peer, clock::now()) {
            Ok(()) => {
                count(method, "wrong");
                AuthError::Wrong
            }
            Err(retry_after_s) => {
                count(method, "limited");
                AuthError::Limited { retry_after_s }
            }
        }
    }
}

fn hash(token: &Token) -> TokenHash {
    TokenHash::of(token.expose())
}

fn count(method: &'static str, result: &'static str) {
    counter!("lattice_auth_attempts_total", "method" => method, "result" => result).increment(1);
}
