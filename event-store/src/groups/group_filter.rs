//! [`GroupFilter`]: a filter for events that a query of the store cannot express.

use factum::store::RecordedEvent;
use fancy_regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// The maximum number of steps with which a regular expression searches one text.
const MAX_STEPS: usize = 100_000;
/// The maximum length of a regular expression, in bytes.
const MAX_PATTERN: usize = 16 * 1024;

/// The text of an event that a filter examines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilteredText {
    /// The name of the stream.
    Stream,
    /// The event type.
    EventType,
}

/// A filter for events: the text begins with one of the prefixes, or matches the regular expression.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "StoredFilter", into = "StoredFilter")]
pub struct GroupFilter {
    stored: StoredFilter,
    pattern: Option<Box<Regex>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredFilter {
    text: FilteredText,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    pattern: Option<String>,
}

impl GroupFilter {
    /// Creates a filter by prefixes.
    #[must_use]
    pub fn prefixes(text: FilteredText, prefixes: Vec<String>) -> Self {
        let pattern = None;
        let stored = StoredFilter {
            text,
            prefixes,
            pattern: None,
        };
        Self { stored, pattern }
    }

    /// Creates a filter by a regular expression.
    ///
    /// # Errors
    /// Returns the violated rule if the expression is too long or not valid.
    pub fn pattern(text: FilteredText, pattern: String) -> Result<Self, String> {
        Self::try_from(StoredFilter {
            text,
            prefixes: Vec::new(),
            pattern: Some(pattern),
        })
    }

    /// Returns whether `event` matches.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        let text = match self.stored.text {
            FilteredText::Stream => event.stream.as_str(),
            FilteredText::EventType => &*event.name,
        };
        let mut prefixes = self.stored.prefixes.iter();
        // A search that is too long fails; such an event does not match.
        let is_match = |pattern: &Regex| pattern.is_match(text).unwrap_or(false);
        prefixes.any(|prefix| text.starts_with(prefix.as_str()))
            || self.pattern.as_deref().is_some_and(is_match)
    }
}

impl TryFrom<StoredFilter> for GroupFilter {
    type Error = String;

    fn try_from(stored: StoredFilter) -> Result<Self, String> {
        let pattern = match &stored.pattern {
            Some(pattern) if pattern.len() > MAX_PATTERN => {
                let bytes = pattern.len();
                return Err(format!(
                    "the regular expression has {bytes} bytes; the limit is {MAX_PATTERN}"
                ));
            }
            Some(pattern) => {
                let compiled = RegexBuilder::new(pattern)
                    .backtrack_limit(MAX_STEPS)
                    .build();
                let invalid = |error| format!("invalid regular expression {pattern:?}: {error}");
                Some(Box::new(compiled.map_err(invalid)?))
            }
            None => None,
        };
        Ok(Self { stored, pattern })
    }
}

impl From<GroupFilter> for StoredFilter {
    fn from(filter: GroupFilter) -> Self {
        filter.stored
    }
}

impl PartialEq for GroupFilter {
    fn eq(&self, other: &Self) -> bool {
        self.stored == other.stored
    }
}
