//! [`EventFilter`]: the filter of a read of all streams.

use factum::store::{Query, RecordedEvent};
use factum_compatible_protocols::kurrentdb::client::streams::read_req::options::{
    FilterOptions, filter_options,
};
use fancy_regex::{Regex, RegexBuilder};

use super::errors::Refused;

/// The maximum number of steps with which a regular expression searches one text.
const MAX_STEPS: usize = 100_000;

/// The maximum length of a regular expression in bytes.
const MAX_REGEX: usize = 16 * 1024;

/// The number of events in a window if the client leaves it to the server.
const DEFAULT_WINDOW: u64 = 32;

/// The filter of a read of all streams.
#[derive(Debug)]
pub struct EventFilter {
    property: Property,
    matcher: Matcher,
    /// The number of events that are searched between two checkpoints.
    pub checkpoint_interval: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    Stream,
    EventType,
}

#[derive(Debug)]
enum Matcher {
    Prefixes(Vec<String>),
    Regex(Box<Regex>),
}

impl EventFilter {
    /// Converts the options of a request.
    ///
    /// # Errors
    /// Returns [`Refused::Invalid`] if there is neither a prefix nor a valid regular expression.
    pub fn new(options: FilterOptions) -> Result<Self, Refused> {
        let (property, expression) = match options.filter {
            Some(filter_options::Filter::StreamIdentifier(expression)) => {
                (Property::Stream, expression)
            }
            Some(filter_options::Filter::EventType(expression)) => {
                (Property::EventType, expression)
            }
            None => {
                return Err(Refused::Invalid(
                    "missing filter; expected a property".to_owned(),
                ));
            }
        };
        let matcher = match expression.regex {
            regex if regex.is_empty() && expression.prefix.is_empty() => {
                let rule = "missing filter; expected a regular expression or prefixes";
                return Err(Refused::Invalid(rule.to_owned()));
            }
            regex if regex.is_empty() => Matcher::Prefixes(expression.prefix),
            regex => Matcher::Regex(Box::new(compile(&regex)?)),
        };
        let window = match options.window {
            Some(filter_options::Window::Max(0)) => {
                return Err(Refused::Invalid(
                    "invalid window: 0; expected at least 1".to_owned(),
                ));
            }
            Some(filter_options::Window::Max(max)) => max.into(),
            Some(filter_options::Window::Count(_)) | None => DEFAULT_WINDOW,
        };
        let multiplier = u64::from(options.checkpoint_interval_multiplier.max(1));
        Ok(Self {
            property,
            matcher,
            checkpoint_interval: window * multiplier,
        })
    }

    /// Returns a query that matches at least the events that the filter matches.
    #[must_use]
    pub fn query(&self) -> Query {
        match (&self.matcher, self.property) {
            (Matcher::Prefixes(prefixes), Property::Stream)
                if prefixes.iter().all(|p| !p.is_empty()) =>
            {
                let queries = prefixes.iter().map(Query::stream_prefix);
                queries.fold(Query::none(), Query::or)
            }
            _ => Query::all(),
        }
    }

    /// Returns whether an event matches.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        let text = match self.property {
            Property::Stream => event.stream.as_str(),
            Property::EventType => &event.name,
        };
        match &self.matcher {
            Matcher::Prefixes(prefixes) => prefixes.iter().any(|prefix| text.starts_with(prefix)),
            // A search that is too long fails; such an event does not match.
            Matcher::Regex(regex) => regex.is_match(text).unwrap_or(false),
        }
    }
}

fn compile(regex: &str) -> Result<Regex, Refused> {
    if regex.len() > MAX_REGEX {
        let rule = format!(
            "the regular expression has {} bytes; at most {MAX_REGEX}",
            regex.len()
        );
        return Err(Refused::Invalid(rule));
    }
    let compiled = RegexBuilder::new(regex).backtrack_limit(MAX_STEPS).build();
    compiled
        .map_err(|error| Refused::Invalid(format!("invalid regular expression {regex:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use factum::Timestamp;
    use factum::store::{Assigned, Position, Version};
    use factum_compatible_protocols::kurrentdb::client::Empty;

    use super::*;
    use crate::kurrentdb::event::system_event;

    fn event(stream: &str, name: &'static str) -> RecordedEvent {
        let assigned = Assigned {
            position: Position::new(1),
            version: Version::new(1),
            recorded_at: Timestamp::from_micros(0),
        };
        let event = system_event(name, &serde_json::json!({}));
        RecordedEvent::new(event, stream.parse().unwrap(), assigned)
    }

    fn expression(regex: &str, prefix: &[&str]) -> filter_options::Expression {
        filter_options::Expression {
            regex: regex.to_owned(),
            prefix: prefix.iter().map(|prefix| (*prefix).to_owned()).collect(),
        }
    }

    fn filter(filter: filter_options::Filter) -> Result<EventFilter, Refused> {
        EventFilter::new(FilterOptions {
            filter: Some(filter),
            window: Some(filter_options::Window::Max(4)),
            checkpoint_interval_multiplier: 5,
        })
    }

    #[test]
    fn regular_expression_may_look_ahead() {
        let excluded = r"^(?!(\$.+$|Result$))";
        let filter = filter(filter_options::Filter::EventType(expression(excluded, &[]))).unwrap();
        assert!(filter.matches(&event("hive", "weighed")));
        assert!(filter.matches(&event("hive", "Results")));
        assert!(!filter.matches(&event("hive", "$metadata")));
        assert!(!filter.matches(&event("hive", "Result")));
        assert_eq!(filter.checkpoint_interval, 20);
    }

    #[test]
    fn prefixes_of_streams_narrow_the_query() {
        let prefixes = expression("", &["hive-", "bee-"]);
        let filter = filter(filter_options::Filter::StreamIdentifier(prefixes)).unwrap();
        for (stream, matches) in [("hive-1", true), ("bee-1", true), ("hive", false)] {
            let event = event(stream, "weighed");
            assert_eq!(
                (filter.matches(&event), filter.query().matches(&event)),
                (matches, matches)
            );
        }
    }

    #[test]
    fn invalid_filters_are_refused() {
        let invalid = [
            expression("", &[]),
            expression("(", &[]),
            expression(&"a".repeat(MAX_REGEX + 1), &[]),
        ];
        for expression in invalid {
            assert!(filter(filter_options::Filter::EventType(expression)).is_err());
        }
        let options = FilterOptions {
            filter: Some(filter_options::Filter::EventType(expression("a", &[]))),
            window: Some(filter_options::Window::Max(0)),
            checkpoint_interval_multiplier: 1,
        };
        assert!(EventFilter::new(options.clone()).is_err());
        let window = Some(filter_options::Window::Count(Empty {}));
        assert_eq!(
            EventFilter::new(FilterOptions { window, ..options })
                .unwrap()
                .checkpoint_interval,
            32
        );
    }

    #[test]
    fn endless_search_does_not_match() {
        let nested = filter(filter_options::Filter::EventType(expression(
            r"^(a+)+\1$",
            &[],
        )))
        .unwrap();
        assert!(!nested.matches(&event(
            "hive",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"
        )));
    }
}
