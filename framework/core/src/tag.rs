//! Tags: what an event concerns, besides the stream that holds it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest tag, in bytes.
pub const MAX_TAG: usize = 512;

/// A `key:value` that an event carries and a [`Query`](crate::Query) asks for, e.g. `course:math-1`.
///
/// At most 512 bytes, without control characters; the key is not empty and holds no `:`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag `key:value`.
    ///
    /// # Errors
    /// [`InvalidTag`] names the rule that the parts break.
    pub fn new(key: &str, value: impl fmt::Display) -> Result<Self, InvalidTag> {
        if key.contains(':') {
            return Err(InvalidTag::new(key, "the key of a tag holds no `:`"));
        }
        Self::try_from(format!("{key}:{value}"))
    }

    /// The whole tag, `key:value`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Tag {
    type Error = InvalidTag;

    fn try_from(text: String) -> Result<Self, InvalidTag> {
        let rule = match text.split_once(':') {
            None => "a tag is `key:value`",
            Some(("", _)) => "the key of a tag is not empty",
            Some(_) if text.len() > MAX_TAG => "a tag has at most 512 bytes",
            Some(_) if text.contains(char::is_control) => "a tag holds no control characters",
            Some(_) => return Ok(Self(text.into())),
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

/// A text that is no tag, and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no tag: {rule}")]
pub struct InvalidTag {
    /// The text, cut after 80 characters.
    pub value: String,
    /// The rule, as a sentence.
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
