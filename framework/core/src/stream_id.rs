//! [`StreamId`]: the id of a stream, for example `account-42`.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

const MAX_CATEGORY: usize = 64;
/// The maximum length of a stream id, in bytes.
pub const MAX_STREAM_ID: usize = 512;

thread_local! {
    /// A buffer in which ids are formatted, so that only the final id is allocated.
    static BUFFER: Cell<String> = const { Cell::new(String::new()) };
}

/// The id of a stream: 1 to 512 bytes without control characters.
///
/// The streams of aggregates are named `category-key`. An event store also accepts any other name from its clients.
///
/// ```
/// use factum_core::stream_id::StreamId;
///
/// let stream = StreamId::new("account", 42)?;
/// assert_eq!((stream.category(), stream.key()), ("account", "42"));
/// let stream: StreamId = "audit log".parse()?;
/// assert_eq!((stream.category(), stream.key()), ("audit log", ""));
/// # Ok::<(), factum_core::stream_id::InvalidStreamId>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// Creates the id `category-key`.
    ///
    /// The category has 1 to 64 bytes and contains neither `-` nor white space. The key must not be empty.
    ///
    /// # Errors
    /// Returns [`InvalidStreamId`], which names the violated rule.
    pub fn new(category: &str, key: impl fmt::Display) -> Result<Self, InvalidStreamId> {
        if let Some(rule) = violated_category_rule(category) {
            return Err(InvalidStreamId::new(category, rule));
        }
        // Taken out of the cell, because the `Display` of a key may create another stream id.
        let mut text = BUFFER.take();
        text.clear();
        let written = write!(text, "{category}-{key}");
        let stream = match written {
            Ok(()) if text.len() == category.len() + 1 => {
                Err(InvalidStreamId::new(&text, "the key must not be empty"))
            }
            Ok(()) => Self::checked(&text),
            Err(_) => Err(InvalidStreamId::new(&text, "the key cannot be formatted")),
        };
        BUFFER.set(text);
        stream
    }

    fn checked(text: &str) -> Result<Self, InvalidStreamId> {
        match violated_rule(text) {
            None => Ok(Self(text.into())),
            Some(rule) => Err(InvalidStreamId::new(text, rule)),
        }
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the category: the text before the first `-`, or the complete id if it contains none.
    #[must_use]
    pub fn category(&self) -> &str {
        self.0
            .split_once('-')
            .map_or(&*self.0, |(category, _)| category)
    }

    /// Returns the key: the text after the first `-`, or an empty text if the id contains none.
    #[must_use]
    pub fn key(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, key)| key)
    }
}

fn violated_category_rule(category: &str) -> Option<&'static str> {
    if category.is_empty() {
        return Some("the category must not be empty");
    }
    if category.len() > MAX_CATEGORY {
        return Some("the category must have at most 64 bytes");
    }
    if category.contains('-') {
        return Some("the category must not contain `-`");
    }
    category
        .contains(char::is_whitespace)
        .then_some("the category must not contain white space")
}

fn violated_rule(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("expected at least one character");
    }
    if text.len() > MAX_STREAM_ID {
        return Some("expected at most 512 bytes");
    }
    // Fast path: most ids are printable ASCII.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    (!is_plain && text.contains(char::is_control)).then_some("control characters are not allowed")
}

impl FromStr for StreamId {
    type Err = InvalidStreamId;

    fn from_str(text: &str) -> Result<Self, InvalidStreamId> {
        Self::checked(text)
    }
}

impl TryFrom<String> for StreamId {
    type Error = InvalidStreamId;

    fn try_from(text: String) -> Result<Self, InvalidStreamId> {
        Self::checked(&text)
    }
}

impl From<StreamId> for String {
    fn from(stream: StreamId) -> Self {
        stream.0.as_ref().to_owned()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({})", self.0)
    }
}

/// The error for a text that is not a valid stream id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid stream id {value:?}: {rule}")]
pub struct InvalidStreamId {
    /// The text, truncated to 80 characters.
    pub value: String,
    /// The violated rule.
    pub rule: &'static str,
}

impl InvalidStreamId {
    fn new(value: &str, rule: &'static str) -> Self {
        Self {
            value: value.chars().take(80).collect(),
            rule,
        }
    }
}
