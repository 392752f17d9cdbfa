//! The names of streams: `category-key`, for example `account-42`.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

const MAX_CATEGORY: usize = 64;
const MAX_STREAM_ID: usize = 512;

thread_local! {
    /// Room to write an id in, so that only what is kept is allocated.
    static TEXT: Cell<String> = const { Cell::new(String::new()) };
}

/// The id of a stream: a category, a `-`, and a key.
///
/// The category has 1 to 64 bytes and holds no `-`; the key is not empty; the whole has at most
/// 512 bytes; neither holds control characters, and the category holds no white space.
///
/// ```
/// use factum::StreamId;
/// let stream: StreamId = "account-42".parse()?;
/// assert_eq!((stream.category(), stream.key()), ("account", "42"));
/// assert!("account".parse::<StreamId>().is_err());
/// # Ok::<(), factum::InvalidStreamId>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// The stream of `key` in `category`.
    ///
    /// # Errors
    /// [`InvalidStreamId`] names the rule that the parts break.
    pub fn new(category: &str, key: impl fmt::Display) -> Result<Self, InvalidStreamId> {
        if category.contains('-') {
            return Err(InvalidStreamId::new(category, "a category holds no `-`"));
        }
        // Taken out while in use: the text of a key may be made of another stream id.
        let mut text = TEXT.take();
        text.clear();
        let written = write!(text, "{category}-{key}");
        let stream = match written {
            Ok(()) => Self::checked(&text),
            Err(_) => Err(InvalidStreamId::new(
                &text,
                "the text of a key can be written",
            )),
        };
        TEXT.set(text);
        stream
    }

    fn checked(text: &str) -> Result<Self, InvalidStreamId> {
        match broken_rule(text) {
            None => Ok(Self(text.into())),
            Some(rule) => Err(InvalidStreamId::new(text, rule)),
        }
    }

    /// The whole id, `category-key`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first `-`.
    #[must_use]
    pub fn category(&self) -> &str {
        self.0.split_once('-').map_or("", |(category, _)| category)
    }

    /// What stands behind the first `-`.
    #[must_use]
    pub fn key(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, key)| key)
    }
}

fn broken_rule(text: &str) -> Option<&'static str> {
    let Some((category, key)) = text.split_once('-') else {
        return Some("a stream id is `category-key`");
    };
    if category.is_empty() {
        return Some("a category is not empty");
    }
    if category.len() > MAX_CATEGORY {
        return Some("a category has at most 64 bytes");
    }
    // Most ids are plain: no need to look at each character twice.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_plain && category.contains(char::is_whitespace) {
        return Some("a category holds no white space");
    }
    if key.is_empty() {
        return Some("a key is not empty");
    }
    if text.len() > MAX_STREAM_ID {
        return Some("a stream id has at most 512 bytes");
    }
    (!is_plain && text.contains(char::is_control))
        .then_some("a stream id holds no control characters")
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

/// A text that is no stream id, and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no stream id: {rule}")]
pub struct InvalidStreamId {
    /// The text, cut after 80 characters.
    pub value: String,
    /// The rule, as a sentence.
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
