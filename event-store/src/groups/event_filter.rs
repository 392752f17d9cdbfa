//! [`EventFilter`]: a filter for events that a query of the store cannot express.

use factum::store::RecordedEvent;
use serde::{Deserialize, Serialize};

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
pub struct EventFilter {
    text: FilteredText,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default, with = "pattern")]
    pattern: Option<regex::Regex>,
}

impl EventFilter {
    /// Creates a filter by prefixes.
    pub fn prefixes(text: FilteredText, prefixes: Vec<String>) -> Self {
        Self {
            text,
            prefixes,
            pattern: None,
        }
    }

    /// Creates a filter by a regular expression.
    pub fn pattern(text: FilteredText, pattern: regex::Regex) -> Self {
        Self {
            text,
            prefixes: Vec::new(),
            pattern: Some(pattern),
        }
    }

    /// Returns whether `event` matches.
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        let text = match self.text {
            FilteredText::Stream => event.stream.as_str(),
            FilteredText::EventType => &*event.name,
        };
        let mut prefixes = self.prefixes.iter();
        prefixes.any(|prefix| text.starts_with(prefix.as_str()))
            || self
                .pattern
                .as_ref()
                .is_some_and(|pattern| pattern.is_match(text))
    }
}

impl PartialEq for EventFilter {
    fn eq(&self, other: &Self) -> bool {
        let pattern = |filter: &Self| {
            filter
                .pattern
                .as_ref()
                .map(regex::Regex::as_str)
                .map(str::to_owned)
        };
        (self.text, &self.prefixes, pattern(self)) == (other.text, &other.prefixes, pattern(other))
    }
}

/// The stored form of a regular expression.
mod pattern {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub fn serialize<S: Serializer>(
        pattern: &Option<regex::Regex>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let pattern = pattern.as_ref().map(regex::Regex::as_str);
        pattern.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<regex::Regex>, D::Error> {
        let pattern = Option::<String>::deserialize(deserializer)?;
        let pattern = pattern.map(|pattern| regex::Regex::new(&pattern));
        pattern.transpose().map_err(serde::de::Error::custom)
    }
}
