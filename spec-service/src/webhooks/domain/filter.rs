//! [`WebhookFilter`]: the events that a webhook receives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::access::domain::NamespaceId;

/// The maximum number of entries of a list in a filter.
const MAX_ENTRIES: usize = 50;
/// The maximum length of an entry, in bytes.
const MAX_ENTRY_BYTES: usize = 255;

/// The events that a webhook receives. An empty list matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookFilter {
    /// The namespaces of the specifications.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// The event types, for example `spec.published`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// The error of [`WebhookFilter::check`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidFilter {
    /// A list has too many entries.
    #[error("too many {list} in the filter: {actual}; the limit is {MAX_ENTRIES}")]
    TooMany {
        /// The name of the list.
        list: &'static str,
        /// The number of entries.
        actual: usize,
    },
    /// An entry is empty or too long.
    #[error("invalid entry of {list} in the filter: {entry:?}; check its length and characters")]
    Entry {
        /// The name of the list.
        list: &'static str,
        /// The entry, shortened.
        entry: String,
    },
    /// No event has this type.
    #[error("unknown event type in the filter: {entry:?}; known are {}", .known.join(", "))]
    UnknownEvent {
        /// The entry, shortened.
        entry: String,
        /// The event types.
        known: Vec<&'static str>,
    },
}

impl InvalidFilter {
    /// Returns the name of the list that is not valid.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::TooMany { list, .. } | Self::Entry { list, .. } => list,
            Self::UnknownEvent { .. } => "events",
        }
    }
}

impl WebhookFilter {
    /// Checks the lists. `known` are the event types that exist.
    ///
    /// # Errors
    /// Returns [`InvalidFilter`], which names the rule that the filter violates.
    pub fn check(&self, known: &[&'static str]) -> Result<(), InvalidFilter> {
        check_list("namespaces", &self.namespaces)?;
        let mut namespaces = self.namespaces.iter();
        if let Some(entry) = namespaces.find(|entry| entry.parse::<NamespaceId>().is_err()) {
            return Err(InvalidFilter::Entry {
                list: "namespaces",
                entry: shortened(entry),
            });
        }
        check_list("events", &self.events)?;
        match self
            .events
            .iter()
            .find(|entry| !known.contains(&entry.as_str()))
        {
            None => Ok(()),
            Some(entry) => Err(InvalidFilter::UnknownEvent {
                entry: shortened(entry),
                known: known.to_vec(),
            }),
        }
    }

    /// Returns whether the webhook receives an event of this type in this namespace.
    #[must_use]
    pub fn matches(&self, namespace: &str, event_type: &str) -> bool {
        let has = |list: &[String], value: &str| {
            list.is_empty() || list.iter().any(|entry| entry == value)
        };
        has(&self.namespaces, namespace) && has(&self.events, event_type)
    }
}

fn check_list(list: &'static str, entries: &[String]) -> Result<(), InvalidFilter> {
    let actual = entries.len();
    if actual > MAX_ENTRIES {
        return Err(InvalidFilter::TooMany { list, actual });
    }
    let is_invalid = |entry: &&String| entry.is_empty() || entry.len() > MAX_ENTRY_BYTES;
    match entries.iter().find(is_invalid) {
        None => Ok(()),
        Some(entry) => Err(InvalidFilter::Entry {
            list,
            entry: shortened(entry),
        }),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::WebhookFilter;

    const KNOWN: &[&str] = &["spec.created", "spec.published"];

    fn filter(namespaces: &[&str], events: &[&str]) -> WebhookFilter {
        let owned = |list: &[&str]| list.iter().map(|&entry| entry.to_owned()).collect();
        WebhookFilter {
            namespaces: owned(namespaces),
            events: owned(events),
        }
    }

    #[test]
    fn filter_matches_each_list_or_everything() {
        let all = filter(&[], &[]);
        assert!(all.matches("payments", "spec.created"));
        let some = filter(&["payments", "risk"], &["spec.published"]);
        assert!(some.matches("risk", "spec.published"));
        assert!(!some.matches("risk", "spec.created"));
        assert!(!some.matches("default", "spec.published"));
    }

    #[test]
    fn filter_with_unknown_event_or_long_lists_is_rejected() {
        assert_eq!(filter(&[], &["spec.created"]).check(KNOWN), Ok(()));
        for (invalid, expected) in [
            (
                filter(&[], &["spec.archived"]),
                "unknown event type in the filter: \"spec.archived\"; known are spec.created, spec.published",
            ),
            (
                filter(&[""], &[]),
                "invalid entry of namespaces in the filter: \"\"; check its length and characters",
            ),
            (
                filter(&["a"; 51], &[]),
                "too many namespaces in the filter: 51; the limit is 50",
            ),
        ] {
            assert_eq!(invalid.check(KNOWN).unwrap_err().to_string(), expected);
        }
    }
}
