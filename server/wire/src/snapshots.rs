//! How snapshots of somebody's Data are asked for, of the keeper (`server/keeper`): a line of JSON in,
//! a line of JSON out, and after [`Reply::Content`] the content in chunks.
//!
//! The keeper runs for one request, where Data is to be seen, and is told by whoever starts it which
//! directories it is about. So nothing here names one: [`Inside`] is a path in Data, [`SnapshotId`] a
//! snapshot, and both are what they should be however they were made.
//!
//! A chunk is its length, four bytes with the most significant first, and so many bytes. One of length
//! 0 says that all was there; content that ends without it is cut off.

use crate::imports::ProjectName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest request, in bytes, with its end.
pub const MAX_REQUEST: usize = 8 << 10;
/// The longest line that is answered, in bytes, with its end.
pub const MAX_REPLY: usize = 2 << 20;
/// The longest chunk of content, in bytes.
pub const MAX_CHUNK: usize = 64 << 10;
/// The longest path in Data, in bytes: as the kernel has it.
pub const MAX_PATH: usize = 4095;
/// So many entries of one folder are told of, the first by name.
pub const MAX_ENTRIES: usize = 5000;
/// The longest name of a snapshot, in bytes.
pub const MAX_NAME: usize = 80;
/// Digits of an id: twelve of the millisecond it was made in, eight at random.
const ID_LENGTH: usize = 20;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Which snapshots there are.
    List {},
    /// Get ready for [`Request::Take`], while desktops go on.
    Prepare {
        /// Only where Data differs from the newest snapshot.
        only_if_changed: bool,
        /// Whether a desktop is to be frozen over it, so that little is to be left for then.
        desktop_runs: bool,
    },
    /// Make one. Nobody is to write to Data meanwhile.
    Take {
        /// Why.
        cause: Cause,
        /// What it is to be called. A keeper of an earlier release takes none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<SnapshotName>,
    },
    /// Forget those that are not kept any longer.
    Tidy {},
    /// What is in a folder of one.
    Tree {
        /// Which.
        snapshot: SnapshotId,
        /// Which folder.
        path: Inside,
    },
    /// What is in a file of one.
    File {
        /// Which.
        snapshot: SnapshotId,
        /// Which file.
        path: Inside,
        /// So many bytes at most; all where that is nothing.
        most: Option<u64>,
    },
    /// A folder or a file of one, packed.
    Zip {
        /// Which.
        snapshot: SnapshotId,
        /// What of it.
        path: Inside,
    },
    /// Lay out beside what is there what [`Request::Restore`] is to put in its place.
    Stage {
        /// Of which.
        snapshot: SnapshotId,
        /// What of it.
        path: Inside,
    },
    /// Make a snapshot, then put what was laid out where it belongs. Nobody is to write to Data
    /// meanwhile.
    Restore {},
    /// Throw away what was laid out.
    Unstage {},
    /// Make a folder of that name at the top of Data, of a zip file that follows in chunks. Nothing is
    /// done before its end has come.
    Import {
        /// What it is to be called; with a number where something of that name is there.
        name: ProjectName,
    },
}

impl Request {
    /// Whether Data may be another afterwards.
    pub fn changes_data(&self) -> bool {
        match self {
            Self::Restore {} | Self::Import { .. } => true,
            Self::List {}
            | Self::Prepare { .. }
            | Self::Take { .. }
            | Self::Tidy {}
            | Self::Tree { .. }
            | Self::File { .. }
            | Self::Zip { .. }
            | Self::Stage { .. }
            | Self::Unstage {} => false,
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// Those there are.
    Snapshots {
        /// What the next one will be.
        kind: Kind,
        /// The newest first.
        snapshots: Vec<Snapshot>,
    },
    /// It may be made.
    Prepared {
        /// Whether desktops that have Data are to be frozen over it.
        freeze: bool,
    },
    /// Data is as it was.
    Unchanged {},
    /// That one was made.
    Taken {
        /// It.
        snapshot: Snapshot,
    },
    /// What is in that folder.
    Entries {
        /// Folders first, then by name.
        entries: Vec<Entry>,
        /// Whether there are more than are told of.
        cut: bool,
    },
    /// The content follows.
    Content {
        /// How long it is, where that is known.
        bytes: Option<u64>,
    },
    /// It is there.
    Imported {
        /// What the folder is called.
        folder: String,
        /// How many files are in it.
        files: u64,
        /// How long they are together, in bytes.
        bytes: u64,
    },
    /// It is done.
    Done {},
    /// It is not.
    Refused {
        /// In which way.
        why: Refusal,
        /// For a person, with what to do.
        detail: String,
    },
}

/// In which way something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// There is no such snapshot, or nothing of that name in it.
    Missing,
    /// It is there, and something else than was asked for.
    Odd,
    /// No room is left.
    Full,
    /// What is there now is in the way.
    InTheWay,
    /// It went wrong.
    Failed,
}

/// What a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A read-only subvolume of btrfs: of one instant.
    Btrfs,
    /// A copy in a repository of restic's format, read while the desktop was frozen.
    Repository,
}

/// Why one was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It was time, and Data had changed.
    Schedule,
    /// Somebody asked for it.
    Asked,
    /// The desktop's home was to begin anew.
    Reset,
    /// Something was to be restored.
    Restore,
    /// What the desktop is made of was to change.
    Template,
    /// A program of the desktop asked for it.
    Desktop,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Which.
    pub id: SnapshotId,
    /// When it was made, in seconds since 1970.
    pub at: u64,
    /// Why.
    pub cause: Cause,
    /// What it is.
    pub kind: Kind,
    /// How many files are in it.
    pub files: u64,
    /// How long they are together, in bytes.
    pub bytes: u64,
    /// What is not in it, since it is neither a file, a folder nor a link, or could not be read.
    pub left_out: u64,
    /// What it was called by whoever asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<SnapshotName>,
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is called; what is no Unicode in it is replaced.
    pub name: String,
    /// What it is.
    pub what: What,
    /// How long it is, in bytes; 0 for all but files.
    pub bytes: u64,
    /// When it was changed, in seconds since 1970.
    pub modified_at: i64,
}

/// What something in a folder is. The order is the one in which they are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A symbolic link.
    Link,
}

/// A snapshot's id. Sorted by them, the oldest comes first.
///
/// INVARIANT: twenty digits of 0–9 and a–f, so it can be a file's name as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotId(String);

/// What was given is no id of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a snapshot's id is {ID_LENGTH} digits of 0-9 and a-f")]
pub struct NotASnapshotId;

impl SnapshotId {
    /// The id of one that is made at that time, in milliseconds since 1970; `bits` are to be random.
    pub fn new(at_ms: u64, bits: u32) -> Self {
        Self(format!("{:012x}{bits:08x}", at_ms & ((1 << 48) - 1)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SnapshotId {
    type Err = NotASnapshotId;

    fn from_str(text: &str) -> Result<Self, NotASnapshotId> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = NotASnapshotId;

    fn try_from(text: String) -> Result<Self, NotASnapshotId> {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let good = text.len() == ID_LENGTH && text.bytes().all(is_digit);
        if good { Ok(Self(text)) } else { Err(NotASnapshotId) }
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> Self {
        id.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a snapshot is called, for people: one line of at most [`MAX_NAME`] bytes, with nothing in it that
/// cannot be seen, or that has the text around it read otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotName(String);

/// What was given is no name of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a snapshot's name is one line of 1 to {MAX_NAME} bytes, without control characters")]
pub struct NotASnapshotName;

impl SnapshotName {
    /// That name, without blanks around it, where it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let good = (1..=MAX_NAME).contains(&text.len()) && !text.contains(is_hidden);
        good.then(|| Self(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is not seen itself, and changes how the rest is: control characters, line separators, and marks of
/// direction, see Unicode's UAX #9.
fn is_hidden(c: char) -> bool {
    let is_mark = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    c.is_control() || is_mark
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SnapshotName {
    type Error = NotASnapshotName;

    fn try_from(text: String) -> Result<Self, NotASnapshotName> {
        Self::parse(&text).ok_or(NotASnapshotName)
    }
}

impl From<SnapshotName> for String {
    fn from(name: SnapshotName) -> Self {
        name.0
    }
}

/// A path in Data, with `/` between names; all of it is the empty one.
///
/// INVARIANT: each name is one: not empty, not `.` nor `..`, without a zero byte. That no name is a
/// link that leads out is for whoever opens it to see to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Inside(String);

/// What was given is no path in Data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a path in Data is names with / between them, of {MAX_PATH} bytes at most, none of which is empty, \
     . or .."
)]
pub struct NotInside;

impl Inside {
    /// All of Data.
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether it is all of Data.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is in front of the last name, and that; nothing where this is all of Data.
    pub fn split(&self) -> Option<(Self, &str)> {
        if self.is_all() {
            return None;
        }
        let (above, name) = self.0.rsplit_once('/').unwrap_or(("", &self.0));
        Some((Self(above.to_owned()), name))
    }
}

impl FromStr for Inside {
    type Err = NotInside;

    fn from_str(text: &str) -> Result<Self, NotInside> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Inside {
    type Error = NotInside;

    fn try_from(text: String) -> Result<Self, NotInside> {
        let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
        let good = text.len() <= MAX_PATH && text.split('/').all(is_name);
        if good || text.is_empty() { Ok(Self(text)) } else { Err(NotInside) }
    }
}

impl From<Inside> for String {
    fn from(path: Inside) -> Self {
        path.0
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_stays_in_data() {
        for good in ["", "a", "a/b", "...", "..a", "a b/ü", "-rf", "a\\..\\b", "a\nb"] {
            assert_eq!(good.parse::<Inside>().map(|path| path.to_string()), Ok(good.to_owned()));
        }
        let long = "a/".repeat(MAX_PATH / 2) + "ab";
        for bad in
            ["/", "/etc", "a/", "a//b", "..", "a/..", "../a", ".", "./a", "a/./b", "a\0", &long]
        {
            assert_eq!(bad.parse::<Inside>(), Err(NotInside), "{bad:?}");
        }
        let split = |path: &str| {
            let path: Inside = path.parse().expect("a path");
            path.split().map(|(above, name)| (above.to_string(), name.to_owned()))
        };
        assert_eq!(split("a/b/c"), Some(("a/b".into(), "c".into())));
        assert_eq!(split("a"), Some((String::new(), "a".into())));
        assert_eq!(split(""), None);
    }

    #[test]
    fn ids_sort_by_time_and_are_nothing_else() {
        let [early, late] = [1, 1 << 43].map(|at| SnapshotId::new(at, u32::MAX));
        assert!(early < late);
        assert_eq!(early.as_str(), "000000000001ffffffff");
        assert_eq!(late.as_str().parse(), Ok(late.clone()));
        for bad in ["", "..", "000000000001fffffff", "000000000001FFFFFFFF", "000000000001fffff/.."]
        {
            assert_eq!(bad.parse::<SnapshotId>(), Err(NotASnapshotId), "{bad}");
        }
    }

    #[test]
    fn what_is_not_in_the_set_is_refused() {
        let read = |text: &str| serde_json::from_str::<Request>(text);
        let id = SnapshotId::new(7, 1);
        let asked = Request::Tree { snapshot: id.clone(), path: "a/b".parse().expect("a path") };
        let text = serde_json::to_string(&asked).expect("JSON");
        assert_eq!(read(&text).expect("read"), asked);
        for bad in [
            format!(r#"{{"tree":{{"snapshot":"{id}","path":"../b"}}}}"#),
            format!(r#"{{"tree":{{"snapshot":"{id}","path":"/etc"}}}}"#),
            r#"{"tree":{"snapshot":"../../etc","path":""}}"#.into(),
            r#"{"list":{"data":"/etc"}}"#.into(),
            r#"{"take":{"cause":"whim"}}"#.into(),
            r#""list""#.into(),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_snapshots_name_is_one_line_that_shows_all_it_says() {
        for good in ["a", "before the talk", "Vor dem Umbau – 3 €", "発表", &"a".repeat(MAX_NAME)]
        {
            assert_eq!(SnapshotName::parse(good).as_ref().map(SnapshotName::as_str), Some(good));
        }
        assert_eq!(SnapshotName::parse("  a ").as_ref().map(SnapshotName::as_str), Some("a"));
        let long = "a".repeat(MAX_NAME + 1);
        for bad in
            ["", " ", "a\nb", "a\x1b[31mb", "a\0", "a\u{85}b", "a\u{202e}b", "\u{200b}", &long]
        {
            assert_eq!(SnapshotName::parse(bad), None, "{bad:?}");
        }
        // As records of an earlier release are.
        let old = r#"{"id":"019ac0ffee0012345678","at":1,"cause":"asked","kind":"btrfs","files":1,
            "bytes":2,"left_out":0}"#;
        let old: Snapshot = serde_json::from_str(old).expect("read");
        assert_eq!(old.name, None);
        let text = serde_json::to_string(&old).expect("JSON");
        assert!(!text.contains("name"), "{text}");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_path_that_leads_out(text in "[a./\\x00]{0,12}") {
            if let Ok(path) = text.parse::<Inside>() {
                let names = path.as_str().split('/');
                prop_assert!(path.is_all() || names.clone().all(|name| !matches!(name, "" | "." | "..")));
                prop_assert!(!path.as_str().starts_with('/') && !path.as_str().contains('\0'));
            }
        }
    }
}
