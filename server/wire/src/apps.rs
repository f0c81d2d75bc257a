//! How programs of a desktop have apps opened, and ask about the desktop ([`crate::desktop`]): lines of JSON on two Unix sockets, with the session's
//! relay (`server/session-api`) between them.
//!
//! ```text
//! programs of the desktop ──Request──▶ relay ──ToGateway──▶ gateway
//!                         ◀──Reply──         ◀──FromGateway──
//! ```
//!
//! The relay listens on both. A gateway says [`FromGateway::Hello`] with the token first, and the relay
//! answers [`ToGateway::Hello`]; the newest gateway takes the place of the one before. A program asks
//! as often as it likes, one thing at a time; after [`Request::Watch`] it is told events.
//!
//! Every string has its bound in its type, every line is at most [`MAX_REQUEST`] or [`MAX_LINE`] long,
//! so whoever reads a line first knows what it takes.

use crate::desktop::{Question, Told};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of these lines; a relay's image may be older than the gateway, or newer. A question that
/// an older relay does not know is never asked, so one more makes no new version.
pub const APPS_VERSION: u16 = 1;
/// The longest line of a desktop's program, which nobody vouches for, without its end.
pub const MAX_REQUEST: usize = 4 << 10;
/// The longest line of a gateway or a relay: a list of as many apps as a template may have is below it.
pub const MAX_LINE: usize = 32 << 10;
/// The longest name of an app, as templates have it.
pub const MAX_APP_NAME: usize = 40;
/// The longest text that people read, in bytes.
pub const MAX_SAID: usize = 400;
/// The longest token that a gateway says, in bytes.
pub const MAX_SECRET: usize = 128;

/// What a program of the desktop asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Which apps there are, and how they are.
    List {},
    /// Open an app.
    Open {
        /// Which.
        app: AppName,
    },
    /// End an app.
    Close {
        /// Which.
        app: AppName,
    },
    /// Whether anybody is there to open apps.
    Status {},
    /// Tell what happens to apps from now on.
    Watch {},
    /// Something about the desktop itself.
    Desktop(Question),
}

/// What it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// All apps.
    Apps {
        /// In the order of their names.
        apps: Vec<App>,
    },
    /// What was asked for is under way.
    Done {},
    /// It is not, and why.
    Refused {
        /// For a person, with what to do.
        reason: Said,
    },
    /// How it stands.
    Status {
        /// Whether a gateway is connected.
        linked: bool,
    },
    /// From now on events follow.
    Watching {},
    /// An app ended, and not because somebody closed it.
    Ended {
        /// Which, and why.
        app: App,
        /// Whether it had been open before.
        was_open: bool,
    },
    /// What was asked about the desktop itself.
    Desktop(Told),
}

/// What a relay asks a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToGateway {
    /// The token was right.
    Hello {
        /// What the relay speaks.
        version: u16,
    },
    /// A question, to be answered under its number. Asking again does no harm.
    Ask {
        /// Its number.
        id: u64,
        /// What is asked.
        what: Ask,
    },
}

/// What can be asked of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// As [`Request::List`].
    List {},
    /// As [`Request::Open`].
    Open {
        /// Which.
        app: AppName,
    },
    /// As [`Request::Close`].
    Close {
        /// Which.
        app: AppName,
    },
    /// As [`Request::Desktop`].
    Desktop(Question),
}

/// What a gateway says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromGateway {
    /// Who it is.
    Hello {
        /// What it speaks.
        version: u16,
        /// The session's token.
        token: Secret,
    },
    /// The answer to the question of that number.
    Answer {
        /// Its number.
        id: u64,
        /// The answer.
        what: Answer,
    },
    /// How all apps are: after the hello, and whenever one of them is otherwise than before.
    Apps {
        /// In the order of their names.
        apps: Vec<App>,
    },
}

/// What a question is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// All apps.
    Apps {
        /// In the order of their names.
        apps: Vec<App>,
    },
    /// What was asked for is under way.
    Done {},
    /// It is not, and why.
    Refused {
        /// For a person, with what to do.
        reason: Said,
    },
    /// What was asked about the desktop itself.
    Desktop(Told),
}

/// An app of a desktop's template, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// What the template calls it.
    pub name: AppName,
    /// What people call it.
    pub title: Said,
    /// The name of its icon.
    pub icon: Said,
    /// How it is.
    pub state: AppState,
    /// Of one that ended by itself: why, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Said>,
}

/// How an app is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppState {
    /// Not open.
    Closed,
    /// On its way.
    Starting,
    /// Open.
    Running,
    /// It ended by itself.
    Ended,
}

impl AppState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

/// The name of an app: of a-z, 0-9 and `-`, from a letter, so that it can be part of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

impl AppName {
    /// That name, where it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = text.len() <= MAX_APP_NAME
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(allowed);
        good.then(|| Self(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AppName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("an app's name is of a-z, 0-9 and -, from a letter")
    }
}

impl From<AppName> for String {
    fn from(name: AppName) -> Self {
        name.0
    }
}

/// Text for people: without control characters, and at most [`MAX_SAID`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Said(String);

impl Said {
    /// As much of a text as fits. Control characters become spaces.
    pub fn cut(text: &str) -> Self {
        let mut end = text.len().min(MAX_SAID);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text[..end].replace(char::is_control, " "))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Said {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.len() <= MAX_SAID && !text.contains(char::is_control) {
            true => Ok(Self(text)),
            false => Err("a text is too long or has control characters"),
        }
    }
}

impl From<Said> for String {
    fn from(said: Said) -> Self {
        said.0
    }
}

/// A token that is never shown by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one place that must show or compare it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.len() <= MAX_SECRET { Ok(Self(text)) } else { Err("a token is too long") }
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Option<Request> {
        serde_json::from_str(line).ok()
    }

    #[test]
    fn requests_are_what_programs_write() {
        let code = AppName::parse("code").expect("a name");
        assert_eq!(request(r#"{"list":{}}"#), Some(Request::List {}));
        assert_eq!(request(r#"{"open":{"app":"code"}}"#), Some(Request::Open { app: code }));
        assert_eq!(request(r#"{"watch":{}}"#), Some(Request::Watch {}));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let long = format!(r#"{{"open":{{"app":"{}"}}}}"#, "a".repeat(MAX_APP_NAME + 1));
        for line in [
            "",
            "[]",
            "{}",
            r#"{"open":{}}"#,
            r#"{"open":{"app":"code","image":"evil"}}"#,
            r#"{"open":{"app":"../code"}}"#,
            r#"{"open":{"app":"Code"}}"#,
            r#"{"open":{"app":""}}"#,
            r#"{"list":{},"open":{"app":"code"}}"#,
            r#"{"list":{"all":true}}"#,
            r#"{"hello":{"version":1,"token":"x"}}"#,
            long.as_str(),
        ] {
            assert_eq!(request(line), None, "{line}");
        }
    }

    #[test]
    fn a_text_is_cut_between_characters_and_keeps_to_one_line() {
        assert_eq!(Said::cut("a\nb\u{1b}c").as_str(), "a b c");
        let cut = Said::cut(&"ä".repeat(MAX_SAID));
        assert_eq!(cut.as_str().len(), MAX_SAID);
        assert_eq!(serde_json::to_string(&cut).ok(), Some(format!("\"{cut}\"")));
    }

    #[test]
    fn a_token_is_not_shown() {
        let secret = Secret::try_from("secret-words".to_owned()).expect("short");
        assert!(!format!("{secret:?}").contains("words"));
    }

    /// 16 is what a template may have.
    #[test]
    fn the_longest_list_fits_in_a_line() {
        let said = Said::cut(&"\"".repeat(MAX_SAID));
        let name = AppName::parse(&"a".repeat(MAX_APP_NAME)).expect("a name");
        let app = App {
            name,
            title: Said::cut(&"ä".repeat(120)),
            icon: Said::cut(&"i".repeat(MAX_APP_NAME)),
            state: AppState::Starting,
            reason: Some(said),
        };
        let line = serde_json::to_string(&FromGateway::Apps { apps: vec![app; 16] });
        assert!(line.is_ok_and(|line| line.len() < MAX_LINE));
    }
}
