//! [`Tag`]: a label of an event, by which queries find it across streams.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The maximum length of a tag, in bytes.
pub const MAX_TAG: usize = 512;

/// A label of an event: 1 to 512 bytes without control characters.
///
/// A [`Query`](crate::query::Query) finds events by their tags. The tags of derived events are named `key:value`, for
/// example `course:math-1`. An event store also accepts any other text from its clients.
///
/// ```
/// use factum_core::tag::Tag;
///
/// assert_eq!(Tag::new("course", "math-1")?.as_str(), "course:math-1");
/// assert!(Tag::new("", "math-1").is_err());
/// # Ok::<(), factum_core::tag::InvalidTag>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(Arc<str>);

impl Tag {
    /// Creates the tag `key:value`.
    ///
    /// The key must not be empty and must not contain `:`.
    ///
    /// # Errors
    /// Returns [`InvalidTag`], which names the violated rule.
    pub fn new(key: &str, value: impl fmt::Display) -> Result<Self, InvalidTag> {
        if key.is_empty() {
            return Err(InvalidTag::new(key, "the key must not be empty"));
        }
        if key.contains(':') {
            return Err(InvalidTag::new(key, "the key must not contain `:`"));
        }
        Self::try_from(format!("{key}:{value}"))
    }

    /// Returns the tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Tag {
    type Error = InvalidTag;

    fn try_from(text: String) -> Result<Self, InvalidTag> {
        let rule = match &*text {
            "" => "expected at least one character",
            text if text.len() > MAX_TAG => "expected at most 512 bytes",
            text if text.contains(char::is_control) => "control characters are not allowed",
            _ => return Ok(Self(text.into())),
        };
        Err(InvalidTag::new(&text, rule))
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0.as_ref().to_owned()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.0)
    }
}

/// The error for a text that is not a valid tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid tag {value:?}: {rule}")]
pub struct InvalidTag {
    /// The text, truncated to 80 characters.
    pub value: String,
    /// The violated rule.
    pub rule: &'static str,
}

impl InvalidTag {
    fn new(value: &str, rule: &'static str) -> Self {
        Self {
            value: value.chars().take(80).collect(),
            rule,
        }
    }
}
