//! What programs of a desktop ask about the desktop itself: part of the lines of [`crate::apps`].
//!
//! INVARIANT: nothing here names a session, a person, or a snapshot that is there. Whatever is asked is
//! asked of the desktop whose relay asks it; this set is all that there is to ask. So no program can
//! reach another desktop, learn what other links are, or touch a snapshot.

use crate::apps::Said;
use crate::snapshots::SnapshotName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// So many who look are told of by name; of the rest, how many they are.
pub const MAX_LOOKERS: usize = 16;
/// So many links are told of.
pub const MAX_LINKS: usize = 32;
/// The longest address of a link or a page, in bytes.
pub const MAX_ADDRESS: usize = 512;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// How the desktop is.
    Status {},
    /// Make a snapshot of its owner's Data.
    Snapshot {
        /// What it is to be called.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<SnapshotName>,
    },
    /// Make a link by which others see the desktop.
    Share {
        /// What it lets them do.
        right: Right,
        /// How long, in seconds.
        for_s: u32,
    },
    /// Which links were made so and have not ended.
    Links {},
    /// End one of those.
    Revoke {
        /// Its number.
        link: i64,
    },
    /// Have the desktop's page offered to whoever owns it and looks.
    Manage {},
}

impl Question {
    /// Whether asking twice does nothing that asking once does not.
    pub fn may_be_asked_again(&self) -> bool {
        match self {
            Self::Status {} | Self::Links {} | Self::Manage {} | Self::Revoke { .. } => true,
            Self::Snapshot { .. } | Self::Share { .. } => false,
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Told {
    /// How it is.
    Status(Box<Status>),
    /// The snapshot that was made.
    Snapshot(Snapshot),
    /// The link that was made, and its address, which is told this once.
    Link {
        /// What it is.
        link: Link,
        /// Whoever has this may look.
        url: Address,
    },
    /// Those there are, the newest first.
    Links {
        /// At most [`MAX_LINKS`].
        links: Vec<Link>,
    },
    /// That link has ended.
    Revoked {},
    /// The page is offered.
    Offered {
        /// Where it is; it lets nobody in who may not.
        url: Address,
    },
}

/// How a desktop is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// What it is called.
    pub name: Said,
    /// What it is made of.
    pub template: Said,
    /// As the API names it, such as `running`.
    pub state: Said,
    /// Since when it runs, in seconds since 1970, where that is known.
    pub since: Option<i64>,
    /// How long it has run, in seconds.
    pub up_s: Option<u64>,
    /// In bytes, where it was measured.
    pub memory: Option<u64>,
    /// How busy it keeps the processors, where that was measured: 100 is one of them, all the time.
    pub cpu: Option<u32>,
    /// Its owner's Data, where it was measured.
    pub data: Option<Data>,
    /// Who looks, at most [`MAX_LOOKERS`] of them.
    pub lookers: Vec<Looker>,
    /// How many more look.
    pub more_lookers: u32,
    /// The newest snapshot of Data; nothing where there is none, or it is not known at this moment.
    pub snapshot: Option<Snapshot>,
    /// The most that a link made from inside may give; nothing where none can be made.
    pub share: Option<Right>,
}

/// What somebody keeps in Data, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// So much is there.
    pub used: u64,
    /// So much may be; nothing where it is not limited.
    pub limit: Option<u64>,
}

/// Somebody who looks at a desktop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looker {
    /// What they are called; may be empty.
    pub name: Said,
    /// As the API names it: `owner`, `admin`, `control`, `assist` or `view`.
    pub role: Said,
    /// Whether they drive.
    pub drives: bool,
}

/// A snapshot of Data, as much of it as programs are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// What it is called, if it was given a name.
    pub name: Option<SnapshotName>,
    /// When it was made, in seconds since 1970.
    pub at: u64,
    /// The same as people read it, in UTC.
    pub when: Said,
    /// How many files are in it.
    pub files: u64,
    /// How long they are together, in bytes.
    pub bytes: u64,
}

/// What a link gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Sees.
    View,
    /// Sees and points.
    Assist,
    /// Sees, and drives when given control.
    Control,
}

impl Right {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Assist => "assist",
            Self::Control => "control",
        }
    }
}

/// A link, without what is secret of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// By which it is revoked.
    pub number: i64,
    /// What it gives.
    pub right: Right,
    /// When it ends, in seconds since 1970.
    pub expires_at: i64,
    /// How long it still works, in seconds.
    pub left_s: u64,
    /// How often it was opened.
    pub uses: u32,
}

/// An address, which may be a secret: it is never shown by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

impl Address {
    /// The address itself, for whoever asked for it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.len() <= MAX_ADDRESS && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Self(text)),
            false => Err("an address is too long, or is none"),
        }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::{FromGateway, MAX_LINE, MAX_SAID, Request};

    fn request(line: &str) -> Result<Request, String> {
        serde_json::from_str(line).map_err(|error| error.to_string())
    }

    #[test]
    fn questions_are_what_scripts_write() {
        let asked = |line| match request(line) {
            Ok(Request::Desktop(question)) => question,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(asked(r#"{"desktop":{"status":{}}}"#), Question::Status {});
        assert_eq!(asked(r#"{"desktop":{"snapshot":{}}}"#), Question::Snapshot { name: None });
        let named = asked(r#"{"desktop":{"snapshot":{"name":"before the talk"}}}"#);
        let name = SnapshotName::parse("before the talk");
        assert_eq!(named, Question::Snapshot { name: Some(name.expect("a name")) });
        let share = asked(r#"{"desktop":{"share":{"right":"view","for_s":7200}}}"#);
        assert_eq!(share, Question::Share { right: Right::View, for_s: 7200 });
    }

    #[test]
    fn what_is_not_in_the_set_is_refused_by_name() {
        for (line, part) in [
            (r#"{"desktop":{"restore":{}}}"#, "restore"),
            (r#"{"desktop":{"delete-snapshot":{}}}"#, "delete-snapshot"),
            (r#"{"desktop":{"status":{"session":"aaaaaaaaaaaaaaaa"}}}"#, "session"),
            (r#"{"desktop":{"snapshot":{"owner":2}}}"#, "owner"),
            (r#"{"desktop":{"share":{"right":"own","for_s":60}}}"#, "own"),
            (r#"{"desktop":{"share":{"right":"view","for_s":-1}}}"#, "-1"),
            (r#"{"desktop":{"share":{"right":"view","for_s":60,"token":"x"}}}"#, "token"),
            (r#"{"desktop":{"revoke":{"link":"1 OR 1=1"}}}"#, "i64"),
            (r#"{"desktop":{"snapshot":{"name":"a\u001b[2Jb"}}}"#, "name"),
            (r#"{"desktop":{"snapshot":{"name":"a\u202eb"}}}"#, "name"),
            (r#"{"desktop":[]}"#, "expected"),
        ] {
            let error = request(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn an_address_is_not_shown_and_is_one_line() {
        let address = Address::try_from("https://lattice.example/s/secret".to_owned());
        assert!(!format!("{address:?}").contains("secret"));
        for bad in ["a b", "a\nb", "ä", &"a".repeat(MAX_ADDRESS + 1)] {
            assert!(Address::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_longest_answers_fit_in_a_line() {
        let said = Said::cut(&"\"".repeat(MAX_SAID));
        let looker = Looker { name: said.clone(), role: said.clone(), drives: true };
        let name = SnapshotName::parse(&"\"".repeat(80));
        let when = said.clone();
        let snapshot = Snapshot { name, at: u64::MAX, when, files: u64::MAX, bytes: u64::MAX };
        let status = Status {
            name: said.clone(),
            template: said.clone(),
            state: said,
            since: Some(i64::MIN),
            up_s: Some(u64::MAX),
            memory: Some(u64::MAX),
            cpu: Some(u32::MAX),
            data: Some(Data { used: u64::MAX, limit: Some(u64::MAX) }),
            lookers: vec![looker; MAX_LOOKERS],
            more_lookers: u32::MAX,
            snapshot: Some(snapshot),
            share: Some(Right::Control),
        };
        let link = Link {
            number: i64::MIN,
            right: Right::Control,
            expires_at: i64::MIN,
            left_s: u64::MAX,
            uses: u32::MAX,
        };
        for told in [Told::Status(Box::new(status)), Told::Links { links: vec![link; MAX_LINKS] }] {
            let answer = crate::apps::Answer::Desktop(told);
            let line = serde_json::to_string(&FromGateway::Answer { id: u64::MAX, what: answer });
            assert!(line.is_ok_and(|line| line.len() < MAX_LINE));
        }
    }
}
