//! Queries.

use factum::store::{MAX_EVENT_TYPE, Query, QueryItem, Tag};
use factum_compatible_protocols::umadb;

/// Converts a query; without one, every event matches.
///
/// A type or a tag that no event can have matches no event.
pub fn from_message(query: Option<umadb::Query>) -> Query {
    let items = query.unwrap_or_default().items;
    if items.is_empty() {
        return Query::all();
    }
    let items = items.into_iter().filter_map(item);
    items.fold(Query::none(), Query::or)
}

/// Converts an item, or returns `None` if no event can match it.
fn item(item: umadb::QueryItem) -> Option<QueryItem> {
    let accepts_all_types = item.types.is_empty();
    let tags: Result<Vec<Tag>, _> = item.tags.into_iter().map(Tag::try_from).collect();
    let item = QueryItem {
        event_types: item.types.into_iter().filter(|it| is_type(it)).collect(),
        tags: tags.ok()?,
        ..QueryItem::default()
    };
    (accepts_all_types || !item.event_types.is_empty()).then_some(item)
}

fn is_type(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_EVENT_TYPE && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(items: &[(&[&str], &[&str])]) -> Query {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let items = items.iter().map(|(types, tags)| umadb::QueryItem {
            types: owned(types),
            tags: owned(tags),
        });
        from_message(Some(umadb::Query {
            items: items.collect(),
        }))
    }

    fn matches(query: &Query, event_type: &str, tags: &[&str]) -> bool {
        let stream = "hive-1".parse().expect("a stream id");
        let tags = tags.iter().map(|tag| Tag::try_from(tag.to_string()));
        let tags: Vec<Tag> = tags.collect::<Result<_, _>>().expect("tags");
        query.matches_parts(&stream, event_type, &tags)
    }

    #[test]
    fn items_are_alternatives_and_their_criteria_are_not() {
        let both = query(&[(&["a", "b"], &["x", "y"]), (&["c"], &[])]);
        for (event_type, tags, expected) in [
            ("a", &["x", "y", "z"][..], true),
            ("b", &["y", "x"], true),
            ("a", &["x"], false),
            ("c", &[], true),
            ("d", &["x", "y"], false),
        ] {
            assert_eq!(matches(&both, event_type, tags), expected, "{event_type}");
        }
    }

    #[test]
    fn missing_criteria_match_every_event() {
        for all in [
            from_message(None),
            query(&[]),
            query(&[(&[], &[])]),
            query(&[(&["a"], &[]), (&[], &[])]),
        ] {
            assert!(matches(&all, "b", &[]), "{all:?}");
        }
    }

    #[test]
    fn impossible_criteria_match_no_event() {
        let long = "t".repeat(MAX_EVENT_TYPE + 1);
        for none in [
            query(&[(&[""], &[])]),
            query(&[(&[&long], &[])]),
            query(&[(&[], &["x", ""])]),
            query(&[(&["a\n"], &[]), (&[], &["\0"])]),
        ] {
            assert!(none.matches_nothing(), "{none:?}");
        }
        let partly = query(&[(&["", "a"], &[]), (&[], &["\u{1}"])]);
        assert!(matches(&partly, "a", &[]) && !matches(&partly, "b", &[]));
    }
}
