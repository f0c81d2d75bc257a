//! What the broker tells of what a machine holds: images, and what people keep.

use super::protocol::{Storage, Stored};
use serde::{Deserialize, Serialize};

/// An image of which desktops are made, or were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenImage {
    /// Which, by its own digest.
    pub id: ImageId,
    /// What it is called: by its tags, else by the repository that it came from, else as what it was
    /// built.
    pub names: Vec<String>,
    /// Digests by which registries know it, with `sha256:`.
    pub digests: Vec<String>,
    /// Where it is from.
    pub kind: ImageKind,
    /// The release of Lattice that it was built with, where that is known.
    pub release: Option<String>,
    /// In bytes. Layers that others have, too, are counted for each.
    pub size: u64,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// How many desktops there are with a container of it.
    pub desktops: u32,
    /// How many containers, also such as are not Lattice's.
    pub containers: u32,
    /// Whether every desktop is made of it.
    pub is_core: bool,
    /// The broker's templates that have an app of it.
    pub templates: Vec<String>,
    /// Why it is not removed; nothing where it can be.
    pub kept: Option<String>,
}

/// Where an image is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageKind {
    /// Built by Lattice, and in use by its name.
    Shipped,
    /// Fetched because a signed catalogue named it.
    Catalogue,
    /// Somebody else's, of which a template has an app.
    Template,
    /// Built by Lattice, and replaced by a newer one of its name.
    Stale,
}

impl ImageKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Shipped, Self::Catalogue, Self::Template, Self::Stale];

    /// As the API and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Catalogue => "catalogue",
            Self::Template => "template",
            Self::Stale => "stale",
        }
    }
}

/// The digest of an image: `sha256:` and 64 small hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageId(String);

impl ImageId {
    /// With `sha256:`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ImageId> for String {
    fn from(id: ImageId) -> Self {
        id.0
    }
}

impl TryFrom<String> for ImageId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64);
        match digits.is_some_and(|digits| digits.bytes().all(is_digit)) {
            true => Ok(Self(text)),
            false => Err("it is no digest of an image, which is sha256: and 64 digits"),
        }
    }
}

/// Desktops that are half started before anybody has asked for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Pool {
    /// How many are there.
    pub ready: usize,
    /// How many are to be there.
    pub wanted: usize,
}

/// What people keep, also those who have no desktop at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volumes {
    /// In what.
    pub storage: Storage,
    /// Each who was measured, by user id.
    pub people: Vec<(i64, Stored)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_digest_names_an_image() {
        let good = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(ImageId::try_from(good.clone()).expect("good").as_str(), good);
        for bad in [
            "",
            "lattice/xorg",
            "sha256:",
            &good[..70],
            &format!("{good}0"),
            &good.to_uppercase(),
            &format!("sha256:../{}", &good[10..]),
            &format!("sha512:{}", "0a".repeat(32)),
        ] {
            assert!(ImageId::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
