//! What a gateway may ask of the broker: a closed set of requests, each a line of JSON over a Unix
//! socket, answered by a line.
//!
//! INVARIANT: nothing in a [`Request`] says how a container is made. It names a session, its owner, an
//! app, a part that has a log, or something in a snapshot, by a path that cannot lead out of it. What a
//! desktop is made of it names, or has with it as a template's text, which is read as the broker's own
//! files are: what may stand in none of them is refused in it. So whoever breaks into the gateway can
//! start and end desktops, with images of the administrator's choice and any permission that templates
//! know, remove images that nothing needs, and not more: no mount, no capability, no user id, no network
//! without walls.

pub use super::builds::Build;
pub use super::stock::{ImageId, ImageKind, Pool, SeenImage, Volumes};
use crate::auth::Token;
use crate::logs::{PartName, Window};
use lattice_engine::session::SessionId;
use lattice_wire::imports::CloneUrl;
use lattice_wire::snapshots;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};

/// The longest request, in bytes.
///
/// A template's text is most of it; JSON may write each of its bytes as six.
pub const MAX_REQUEST: u64 = (8 << 10) + 6 * crate::template::MAX_BYTES;
/// The longest answer, in bytes: some hundred for each of a few thousand desktops.
pub const MAX_REPLY: u64 = 4 << 20;
/// The longest title of a session, in bytes.
pub const MAX_TITLE: usize = 256;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How the engine is, and what it lacks.
    Hello,
    /// A session that is half started already, for whoever wants a new one.
    Reserve,
    /// Start a desktop.
    Start(Order),
    /// End it.
    Stop(Id),
    /// End it and forget it.
    Remove(Id),
    /// End it, and give this user a home as a new one has; Data stays.
    Reset(Id, i64),
    /// Freeze it.
    Pause(Id),
    /// Let it go on.
    Resume(Id),
    /// Open one of its apps.
    Open(Id, String),
    /// End one of its apps.
    Close(Id, String),
    /// Ask a keeper of this user's snapshots; see [`Reply::Keeps`]. What follows an import goes to it.
    Keep(i64, snapshots::Request),
    /// Clone a repository, where nothing of anybody is; see [`Reply::Keeps`].
    Fetch(CloneUrl),
    /// What a part of it says and has said; see [`Reply::Says`].
    Logs(Id, PartName, Window),
    /// Have all that may write to this user's Data stand still, a minute and a half at most.
    Freeze(i64),
    /// Let it go on.
    Thaw(i64),
    /// Have the image of an app that a catalogue names be there; see [`Reply::Pulling`].
    Pull(Wanted),
    /// The text that a desktop was made of; see [`Reply::Recipe`].
    Recipe(Id),
    /// The images of which desktops are made, or were.
    Images,
    /// Remove one that nothing needs.
    RemoveImage(ImageId),
    /// What everybody keeps.
    Volumes,
    /// How many desktops are half started ahead of time.
    Pool,
    /// How far images are that somebody builds on the machine. Nothing here has any built.
    Builds,
    /// All there are.
    List,
    /// Say [`Reply::Changed`] whenever the list may differ, until the connection ends.
    Watch,
}

/// A desktop to be started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Which session.
    pub session: Id,
    /// The user it belongs to.
    pub owner: i64,
    /// What viewers call it.
    pub title: String,
    /// The first size of its screen.
    pub geometry: (u16, u16),
    /// What it is made of, by name.
    pub template: String,
    /// The text of its own template of that name; else the broker's file holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// An app of a catalogue, whose image is to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Which catalogue, by name.
    pub catalogue: String,
    /// Which app of it.
    pub app: String,
    /// By which digest its image is named there, or was once: what its catalogue does not say, and
    /// never said, is not fetched.
    pub image: String,
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is done, or well under way.
    Done,
    /// How the engine is.
    Engine(Engine),
    /// That one is kept for whoever asked; nothing where there is none.
    Reserved(Option<Id>),
    /// What there is.
    Instances(Vec<Seen>),
    /// The text that it was made of, where that was sent with its start.
    Recipe(Option<String>),
    /// Images.
    Images(Vec<SeenImage>),
    /// What everybody keeps.
    Volumes(Volumes),
    /// How many desktops are half started ahead of time.
    Pool(Pool),
    /// Images that are being built, or just could not be.
    Builds(Vec<Build>),
    /// What a keeper answers follows, as it gives it.
    Keeps,
    /// So much of an image is here; more lines follow, and at last [`Reply::Done`] or a refusal.
    Pulling(Progress),
    /// What a part says follows, each line with a time before it, until that part or the connection ends.
    Says,
    /// Something may have changed.
    Changed,
    /// It was not done.
    Refused {
        /// Why.
        what: String,
        /// What to do about it.
        remedy: Option<String>,
    },
}

/// How much of an image is here, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// So much.
    pub done: u64,
    /// Of so much, as far as that is known.
    pub total: u64,
}

/// How the engine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Its version.
    pub version: String,
    /// The version of its API that is spoken with it.
    pub api: String,
    /// Images that every desktop needs and that are not there.
    pub missing: Vec<String>,
    /// What keeps people's files.
    #[serde(default)]
    pub storage: Option<Storage>,
}

/// What keeps people's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// What it is, for a person to read.
    pub keeper: String,
    /// Whether what each person keeps is bounded by it.
    pub is_enforced: bool,
    /// Why not, where it could be.
    pub obstacle: Option<String>,
}

/// A desktop that there is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seen {
    /// Which session.
    pub session: Id,
    /// The user it belongs to.
    pub owner: i64,
    /// What it was made of.
    pub template: String,
    /// The digest of the text that was sent for it, where one was; see `template::digest`.
    #[serde(default)]
    pub recipe: Option<String>,
    /// The memory that it was last measured to use with its apps, in bytes.
    pub used: Option<u64>,
    /// What its owner keeps, as it was last measured.
    #[serde(default)]
    pub stored: Option<Stored>,
    /// How it is.
    pub state: SeenState,
    /// Its apps.
    pub apps: Vec<SeenApp>,
    /// What it is made of, and what it takes.
    #[serde(default)]
    pub usage: Usage,
}

/// What a desktop is made of and takes, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Since when it is there, in seconds since 1970.
    pub since: Option<i64>,
    /// The memory that it was last measured to use, in bytes.
    pub memory: Option<u64>,
    /// How busy it kept the processors, in hundredths of one, between the last two looks.
    pub cpu: Option<u32>,
    /// Its parts, those of the desktop first, then its apps.
    pub parts: Vec<SeenPart>,
}

/// A part of a desktop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenPart {
    /// What it is: a role, or the name of an app.
    pub name: String,
    /// Whether it is an app.
    pub is_app: bool,
    /// How it is.
    pub state: PartState,
}

/// How a part of a desktop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// Under way.
    Starting,
    /// There.
    Running,
    /// Frozen.
    Paused,
    /// It ended.
    Ended,
}

/// What one person keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// In Data.
    pub data: Held,
    /// In the home.
    pub home: Held,
    /// In all homes of apps.
    pub apps: Held,
    /// Whether no more than the limits can be kept; else it is only told when more is.
    pub is_enforced: bool,
}

/// What is kept in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// In bytes.
    pub used: u64,
    /// In bytes; nothing where it is not limited.
    pub limit: Option<u64>,
}

impl Held {
    /// Which part of what may be kept is used, of 1; nothing where that is not limited.
    pub fn share(&self) -> Option<f64> {
        let limit = self.limit.filter(|limit| *limit > 0)?;
        Some(self.used as f64 / limit as f64)
    }

    /// Whether less than a fifth of what may be kept is left: time to tell somebody.
    pub fn is_near(&self) -> bool {
        self.share().is_some_and(|share| share > 0.8)
    }

    /// Whether less than a twentieth of what may be kept is left, or nothing.
    pub fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.used >= limit - limit / 20)
    }
}

/// How a desktop is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeenState {
    /// Under way.
    Starting,
    /// There.
    Running(Tokens),
    /// Frozen.
    Paused(Tokens),
    /// It ended by itself, and why.
    Ended(String),
}

/// What a gateway proves itself with to the parts of one desktop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tokens {
    /// To its agent.
    pub agent: Secret,
    /// To its session API.
    pub api: Secret,
}

/// An app that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenApp {
    /// Which, as its template calls it.
    pub name: String,
    /// Whether it is under way only.
    pub is_starting: bool,
    /// Why it ended, where it did.
    pub ended: Option<String>,
}

/// A session's id, on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(pub SessionId);

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0.to_string()
    }
}

impl TryFrom<String> for Id {
    type Error = lattice_engine::session::NotASessionId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

/// A token, on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(pub Token);

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.0.expose().to_owned()
    }
}

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Token::parse(&text).map(Self).ok_or("it is no token")
    }
}

/// Reads one line of at most `most` bytes; nothing where the other side has ended.
///
/// # Errors
/// Where the line is longer, or is no `T`.
pub async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncBufRead + Unpin),
    most: u64,
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    stream.take(most + 1).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        let what = match line.len() as u64 > most {
            true => format!("a line is longer than {most} bytes"),
            false => "the line is cut off".to_owned(),
        };
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// Writes one line.
pub async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn request(bytes: &[u8]) -> io::Result<Option<Request>> {
        read(&mut &*bytes, MAX_REQUEST).await
    }

    #[tokio::test]
    async fn a_request_is_read_as_it_was_written() {
        let session = Id("abcdefghijklmnop".parse().expect("an id"));
        let order = Order {
            session: session.clone(),
            owner: 7,
            title: "Ada's \"desk\"\n".into(),
            geometry: (1366, 768),
            template: "go".into(),
            text: None,
        };
        let own = Order { text: Some("name: go\n# \u{7}\"\n".into()), ..order.clone() };
        let all = [
            Request::Hello,
            Request::Start(order),
            Request::Start(own),
            Request::Recipe(session.clone()),
            Request::Open(session.clone(), "code".into()),
            Request::Images,
            Request::Builds,
            Request::RemoveImage(
                format!("sha256:{}", "0a".repeat(32)).try_into().expect("a digest"),
            ),
            Request::Stop(session.clone()),
            Request::Keep(7, snapshots::Request::List {}),
            Request::Fetch("https://git.example/a".parse().expect("an address")),
            Request::Thaw(7),
            Request::Pull(Wanted {
                catalogue: "school".into(),
                app: "draw".into(),
                image: "r.example/draw@sha256:00".into(),
            }),
            Request::Logs(
                session.clone(),
                PartName::app("code").expect("a part"),
                Window { tail: 10, follow: true },
            ),
            Request::Watch,
        ];
        for one in all {
            let mut bytes = Vec::new();
            write(&mut bytes, &one).await.expect("written");
            assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(request(&bytes).await.expect("read"), Some(one));
        }
        assert_eq!(request(b"").await.expect("the end"), None);
    }

    #[tokio::test]
    async fn what_is_not_in_the_set_is_refused() {
        let start = r#"{"start":{"session":"abcdefghijklmnop","owner":1,"title":"","geometry":[1,1],"template":"go""#;
        for bad in [
            r#"{"exec":"abcdefghijklmnop"}"#,
            r#"{"stop":"../../etc"}"#,
            r#"{"remove_image":"postgres"}"#,
            r#"{"stop":"ABCDEFGHIJKLMNOP"}"#,
            &format!("{start},\"privileged\":true}}}}"),
            &format!("{start},\"image\":\"evil\"}}}}"),
            r#"{"keep":[7,{"tree":{"snapshot":"0123456789abcdef0123","path":"../../etc"}}]}"#,
            r#"{"keep":[7,{"tree":{"snapshot":"../../etc/passwd/abc","path":""}}]}"#,
            r#"{"keep":["../7",{"list":{}}]}"#,
            r#"{"keep":[7,{"import":{"name":"../../etc"}}]}"#,
            r#"{"fetch":"file:///etc"}"#,
            r#"{"fetch":"--upload-pack=id"}"#,
            r#"{"keep":[7,{"list":{"store":"/etc"}}]}"#,
            r#"{"pull":{"image":"evil"}}"#,
            r#"{"pull":{"catalogue":"a","app":"b","image":"c","registry":"evil"}}"#,
            &format!("{start},\"text\":{{\"services\":{{}}}}}}}}"),
            r#"{"logs":["abcdefghijklmnop","../xorg",{"tail":1,"follow":false}]}"#,
            r#"{"logs":["abcdefghijklmnop","xorg",{"tail":-1,"follow":false}]}"#,
            r#"{"logs":["abcdefghijklmnop","xorg",{"tail":1,"follow":false,"since":0}]}"#,
            "\"hello",
            "[]",
            "\u{0}",
        ] {
            assert!(request(format!("{bad}\n").as_bytes()).await.is_err(), "{bad}");
        }
        assert!(request(format!("{start}}}}}\n").as_bytes()).await.is_ok());
        let long = format!("\"{}\"\n", "h".repeat(MAX_REQUEST as usize));
        assert!(request(long.as_bytes()).await.is_err());
        let text = "\u{1}".repeat(crate::template::MAX_BYTES as usize);
        let longest = format!("{start},\"text\":{}}}}}\n", serde_json::json!(text));
        assert!(request(longest.as_bytes()).await.is_ok(), "the longest template fits");
        assert!(request(b"\"hello\"").await.is_err(), "a line that is cut off is none");
    }
}
