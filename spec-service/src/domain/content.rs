//! The text of a specification: one YAML document, checked once, at the edge.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::content_error::{ContentError, Place};
use super::{yaml, yaml_check};

/// The most bytes a specification may have unless the service is told otherwise.
pub const DEFAULT_MAX_BYTES: usize = 2048;

/// The most bytes that a setting can allow: 1 MiB.
pub const MAX_MAX_BYTES: usize = 1 << 20;

/// The YAML text of a specification, byte for byte as its author wrote it.
///
/// [`Content::parse`] is the only way in for text from outside. Deserializing checks nothing: what
/// is stored was judged when it came, and a rule that grows stricter later must not make an old
/// event unreadable.
///
/// A clone shares the text.
#[derive(Clone, PartialEq, Eq, Hash, JsonSchema)]
pub struct Content(Arc<str>);

impl Content {
    /// Takes `bytes` for the text of a specification if they are exactly one sound YAML document.
    ///
    /// `max_bytes` is capped at [`MAX_MAX_BYTES`]. The text is UTF-8 and holds printable characters
    /// only (YAML 1.2.2, section 5.1). Of these, U+0085, U+2028 and U+2029 are rejected as well,
    /// because some YAML readers end a line there and others do not, and so is a byte order mark,
    /// because some count it as a column. No mapping names a key twice, whether in blocks, in flow,
    /// or in two spellings of one value. Nesting, nodes and what aliases stand for are bounded, and
    /// the cost of a rejection does not depend on what the aliases would expand to.
    ///
    /// # Errors
    ///
    /// A [`ContentError`] that names the rule, the offending value, and where it stands.
    ///
    /// # Examples
    ///
    /// ```
    /// # use spec_service::domain::{Content, DEFAULT_MAX_BYTES};
    /// let content = Content::parse(b"limit: 250\n", DEFAULT_MAX_BYTES)?;
    /// assert_eq!(content.as_str(), "limit: 250\n");
    ///
    /// let rejection = Content::parse(b"limit: 250\nlimit: 300\n", DEFAULT_MAX_BYTES).unwrap_err();
    /// assert_eq!(rejection.code(), "yaml_duplicate_key");
    /// assert_eq!((rejection.line(), rejection.column()), (Some(2), Some(1)));
    /// # Ok::<(), spec_service::domain::ContentError>(())
    /// ```
    pub fn parse(bytes: &[u8], max_bytes: usize) -> Result<Self, ContentError> {
        let limit = max_bytes.min(MAX_MAX_BYTES);
        if bytes.len() > limit {
            return Err(ContentError::TooLong {
                limit,
                actual: bytes.len(),
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let offset = error.valid_up_to();
            ContentError::NotUtf8 {
                at: place_of(bytes, offset),
                offset,
            }
        })?;
        refuse_unprintable(text)?;
        let nodes = yaml::inspect(text)?;
        yaml_check::agrees(text, nodes)?;
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn refuse_unprintable(text: &str) -> Result<(), ContentError> {
    let printable = |c: char| {
        matches!(c,
            '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
    };
    match text.char_indices().find(|(_, c)| !printable(*c)) {
        None => Ok(()),
        Some((offset, character)) => Err(ContentError::Unprintable {
            at: place_of(text.as_bytes(), offset),
            character,
        }),
    }
}

/// The place of the byte at `offset`; everything before it is UTF-8.
fn place_of(bytes: &[u8], offset: usize) -> Place {
    let before = String::from_utf8_lossy(&bytes[..offset]);
    let mut place = Place { line: 1, column: 1 };
    let mut chars = before.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' => {
                place = Place {
                    line: place.line + 1,
                    column: 1,
                }
            }
            _ => place.column += 1,
        }
    }
    place
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
