//! Links to the sections of event types and commands on the page.

use super::model::DomainModel;
use super::schema_text::{anchor, table_cell};

/// Returns the names of event types, separated by commas, with links to their sections.
///
/// An event type without a section has no link.
pub fn event_links<'a>(model: &DomainModel, names: impl IntoIterator<Item = &'a str>) -> String {
    let has_section = |name: &str| {
        let aggregates = model.aggregates.iter();
        let mut event_types = aggregates.flat_map(|aggregate| aggregate.event_types);
        event_types.any(|event_type| event_type.name == name)
    };
    links(names, has_section)
}

/// Returns the names of commands, separated by commas, with links to their sections.
///
/// A command without a section has no link. A command with the name of an aggregate has no link, because the anchor
/// belongs to the section of the aggregate.
pub fn command_links<'a>(model: &DomainModel, names: impl IntoIterator<Item = &'a str>) -> String {
    let has_section = |name: &str| {
        let mut aggregates = model.aggregates.iter();
        let is_aggregate = aggregates.any(|aggregate| anchor(&aggregate.name) == anchor(name));
        let mut commands = model.commands.iter();
        !is_aggregate && commands.any(|command| command.name == name)
    };
    links(names, has_section)
}

fn links<'a>(
    names: impl IntoIterator<Item = &'a str>,
    has_section: impl Fn(&str) -> bool,
) -> String {
    let names = names.into_iter().map(|name| match has_section(name) {
        true => format!("[`{}`](#{})", table_cell(name), anchor(name)),
        false => format!("`{}`", table_cell(name)),
    });
    names.collect::<Vec<_>>().join(", ")
}
