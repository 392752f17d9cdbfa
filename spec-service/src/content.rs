//! The YAML text of a specification: parsing, validation and locations.

mod error;
mod tree;
mod yaml;
mod yaml_anchors;
mod yaml_cross_check;
mod yaml_input;
mod yaml_node;
mod yaml_scalar;
mod yaml_validator;

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use error::{ContentError, Location, shorten_to};
pub use tree::{TreeNode, Value};
pub use yaml_scalar::Scalar;
pub use yaml_validator::MAX_DEPTH;

/// The default maximum size of a content, in bytes.
pub const DEFAULT_MAX_BYTES: usize = 2048;

/// The upper limit of the maximum size of a content, in bytes: 1 MiB.
pub const MAX_BYTES_LIMIT: usize = 1 << 20;

/// The YAML text of a specification, byte for byte as it was sent.
///
/// Input is validated by [`Content::parse`]. Deserialization does not validate: stored text was validated when it
/// was written, and a stricter rule must not make old events unreadable.
///
/// Clones share the text.
#[derive(Clone, PartialEq, Eq, Hash, JsonSchema)]
pub struct Content(Arc<str>);

impl Content {
    /// Validates `bytes` as one or several YAML documents.
    ///
    /// Each document is checked on its own. The limits apply to all documents together, and a document can be empty if
    /// another one is not.
    ///
    /// - The size is at most `max_bytes`, which is capped at [`MAX_BYTES_LIMIT`].
    /// - The text is UTF-8 and has only printable characters (YAML 1.2.2, section 5.1).
    /// - U+0085, U+2028 and U+2029 are rejected, because YAML parsers disagree on whether they end a line. A byte
    ///   order mark is allowed at the start only.
    /// - A parser of YAML 1.2 can read it. A parser of YAML 1.1 must not find other documents, but can fail.
    /// - A scalar has the type of its tag `!!null`, `!!bool`, `!!int` or `!!float`.
    /// - No mapping has a key twice. Keys are compared by value, so `0x1F` and `31` are the same key.
    /// - Nesting depth, number of nodes and alias expansion are limited. The cost of a rejection does not depend
    ///   on the size of the expanded aliases.
    ///
    /// # Errors
    ///
    /// Returns a [`ContentError`] with the rule, the offending value and its location.
    ///
    /// # Examples
    ///
    /// ```
    /// # use spec_service::content::{Content, DEFAULT_MAX_BYTES};
    /// let content = Content::parse(b"limit: 250\n", DEFAULT_MAX_BYTES)?;
    /// assert_eq!(content.as_str(), "limit: 250\n");
    ///
    /// let rejection = Content::parse(b"limit: 250\nlimit: 300\n", DEFAULT_MAX_BYTES).unwrap_err();
    /// assert_eq!(rejection.code(), "yaml_duplicate_key");
    /// assert_eq!((rejection.line(), rejection.column()), (Some(2), Some(1)));
    /// # Ok::<(), spec_service::content::ContentError>(())
    /// ```
    pub fn parse(bytes: &[u8], max_bytes: usize) -> Result<Self, ContentError> {
        let limit = max_bytes.min(MAX_BYTES_LIMIT);
        if bytes.len() > limit {
            return Err(ContentError::TooLong {
                limit,
                actual: bytes.len(),
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let offset = error.valid_up_to();
            ContentError::NotUtf8 {
                at: location_of(bytes, offset),
                offset,
            }
        })?;
        // A byte order mark at the start is not a part of a document (YAML 1.2.2, section 5.2).
        let stream = text.strip_prefix('\u{feff}').unwrap_or(text);
        reject_unprintable(stream)?;
        let nodes = yaml::validate(stream)?;
        yaml_cross_check::cross_check(stream, &nodes)?;
        Ok(Self(text.into()))
    }

    /// Returns the tree of each document.
    ///
    /// # Errors
    /// Returns [`ContentError::KeyCollision`] if JSON cannot express a mapping, or another error if the text was stored
    /// before a rule existed that it breaks.
    pub fn documents(&self) -> Result<Vec<TreeNode>, ContentError> {
        yaml::trees(self.0.strip_prefix('\u{feff}').unwrap_or(&self.0))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn reject_unprintable(text: &str) -> Result<(), ContentError> {
    let printable = |c: char| {
        matches!(c,
            '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
    };
    match text.char_indices().find(|(_, c)| !printable(*c)) {
        None => Ok(()),
        Some((offset, character)) => Err(ContentError::Unprintable {
            at: location_of(text.as_bytes(), offset),
            character,
        }),
    }
}

/// Returns the location of the byte at `offset`. All bytes before it are UTF-8.
fn location_of(bytes: &[u8], offset: usize) -> Location {
    let before = String::from_utf8_lossy(&bytes[..offset]);
    let mut location = Location {
        line: 1,
        column: 1,
        document: None,
    };
    let mut chars = before.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' => {
                location.line += 1;
                location.column = 1;
            }
            _ => location.column += 1,
        }
    }
    location
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Content").field(&self.as_str()).finish()
    }
}

impl AsRef<str> for Content {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}
