//! Checks that the events of a DCB query can have its tags.

use factum_core::tag::Tag;

use crate::command::Command;
use crate::command::boundary::Boundary;
use crate::command::part::{BoundaryParts, QueryPart};
use crate::domain::event_selection::SelectedTypes;

/// A command selects events by a tag that none of the event types of its DCB query has.
///
/// The query would never find an event, so the rule of the command would never hold. A derived command with such a tag
/// does not compile. A hand-written one is checked before it is executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the command {command:?} selects events by the tag key {key:?}, which no event of its DCB query has: {}; use the key \
     of a field with `#[tag]`",
    event_types.join(", ")
)]
#[non_exhaustive]
pub struct UnknownTag {
    /// The name of the command.
    pub command: &'static str,
    /// The key of the tag.
    pub key: String,
    /// The event types of the query.
    pub event_types: Vec<&'static str>,
}

/// The parts of the boundary of a command.
type Parts<C> = <<C as Command>::On as Boundary>::Parts;

/// Checks that an event type of each DCB query of a hand-written command has each of its tags.
///
/// # Errors
/// Returns [`UnknownTag`] for the first tag that no event can have, and for the first such key in [`Command::TAGS`].
pub fn check_tags<C: Command>(parts: &mut Parts<C>) -> Result<(), UnknownTag> {
    if C::HAS_CHECKED_TAGS || !C::On::HAS_QUERIES {
        return Ok(());
    }
    let mut list = BoundaryParts::new();
    C::On::list_parts(parts, &mut list);
    let queries: Vec<_> = list.iter_mut().filter_map(|part| part.as_query()).collect();
    let mut all_types = Vec::new();
    for query in queries {
        check_query::<C>(query)?;
        all_types.extend(query.event_types());
    }
    C::TAGS
        .iter()
        .try_for_each(|key| check_key::<C>(key, &all_types))
}

fn check_query<C: Command>(query: &dyn QueryPart) -> Result<(), UnknownTag> {
    let tags = query.query().items().iter().flat_map(|item| &item.tags);
    let mut keys: Vec<&str> = tags.map(key_of).collect();
    // A query can have thousands of tags with one key.
    keys.dedup();
    keys.into_iter()
        .try_for_each(|key| check_key::<C>(key, query.event_types()))
}

fn check_key<C: Command>(key: &str, event_types: &[SelectedTypes]) -> Result<(), UnknownTag> {
    if event_types.iter().any(|selected| selected.has_tag(key)) {
        return Ok(());
    }
    let mut names = Vec::new();
    for event_type in event_types.iter().flat_map(|selected| selected.iter()) {
        if !names.contains(&event_type.name) {
            names.push(event_type.name);
        }
    }
    Err(UnknownTag {
        command: C::NAME,
        key: key.to_owned(),
        event_types: names,
    })
}

fn key_of(tag: &Tag) -> &str {
    let text = tag.as_str();
    text.split_once(':').map_or(text, |(key, _)| key)
}
