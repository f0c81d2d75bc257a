//! A session: one user's running desktop.

use std::fmt;
use std::str::FromStr;

/// RFC 4648's base 32, in lower case: nothing in it is mistaken for something else in a file name,
/// a URL or a label of a container.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Characters of 5 bits each.
const LENGTH: usize = 16;

/// A session's id: 80 random bits as 16 characters of a–z and 2–7.
///
/// INVARIANT: it has that form, however it was made, so it can be a file's name as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(String);

impl SessionId {
    /// The id that these bits stand for; they are to be random.
    pub fn from_bytes(bytes: [u8; 10]) -> Self {
        let bits = bytes.iter().fold(0u128, |bits, byte| (bits << 8) | u128::from(*byte));
        let letter = |place: usize| ALPHABET[(bits >> (5 * (LENGTH - 1 - place))) as usize & 31];
        Self((0..LENGTH).map(|place| char::from(letter(place))).collect())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, NotASessionId> {
        let good = text.len() == LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte));
        if good { Ok(Self(text.to_owned())) } else { Err(NotASessionId) }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was given has not the form of a session's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotASessionId;

impl fmt::Display for NotASessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a session's id is {LENGTH} characters of a-z and 2-7")
    }
}

impl std::error::Error for NotASessionId {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bits_become_letters_as_rfc_4648_has_it() {
        // Its section 10 has "fooba" → "MZXW6YTB"; ten bytes are two such groups.
        assert_eq!(SessionId::from_bytes(*b"foobafooba").as_str(), "mzxw6ytbmzxw6ytb");
        assert_eq!(SessionId::from_bytes([0; 10]).as_str(), "aaaaaaaaaaaaaaaa");
        assert_eq!(SessionId::from_bytes([255; 10]).as_str(), "7777777777777777");
    }

    #[test]
    fn what_could_leave_its_directory_is_no_id() {
        for bad in [
            "",
            "..",
            "../../etc/passwd",
            "aaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaaa",
            "AAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(bad.parse::<SessionId>(), Err(NotASessionId), "{bad}");
        }
        assert!("aaaaaaaaaaaaaaa1".parse::<SessionId>().is_err());
        assert!("aaaaaaaa/aaaaaaa".parse::<SessionId>().is_err());
    }

    proptest! {
        #[test]
        fn every_id_is_read_back(bytes: [u8; 10], other: [u8; 10]) {
            let id = SessionId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<SessionId>(), Ok(id.clone()));
            prop_assert_eq!(id == SessionId::from_bytes(other), bytes == other);
        }
    }
}
