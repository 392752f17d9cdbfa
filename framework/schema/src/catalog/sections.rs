//! The sections about an aggregate, its event types, a command and a process manager.

use std::fmt::Write as _;

use serde_json::Value;

use super::describe_shape::AggregateCount;
use super::links::{command_links, event_links};
use super::markdown_page::MarkdownPage;
use super::mermaid;
use super::model::{AggregateEntry, CommandEntry, DomainModel, EventEntry, ProcessManagerEntry};
use super::schema_text::{code_list, description, description_of, fields_table, table_cell};
use super::state_graph::StateGraph;
use super::type_name::short_name;

pub fn aggregate(
    page: &mut MarkdownPage,
    model: &DomainModel,
    aggregate: &AggregateEntry,
    events: &[EventEntry<'_>],
) {
    page.heading(&format!("### {}", aggregate.name));
    page.paragraph(&description_of(aggregate.doc));
    page.paragraph(&format!("Streams: `{}-…`.", aggregate.category));
    if let Some(graph) = model.state_graph(aggregate.category) {
        page.diagram(&mermaid::state_diagram(graph));
        page.paragraph(&transitions_table(model, graph));
        page.paragraph(
            "All other commands in these states were rejected, stored no event, or were not tried.",
        );
    }
    let is_own = |event: &&EventEntry<'_>| event.aggregate.category == aggregate.category;
    for event in events.iter().filter(is_own) {
        event_section(page, model, event);
    }
}

fn transitions_table(model: &DomainModel, graph: &StateGraph) -> String {
    let mut table = "| state | command | event | next state |\n|---|---|---|---|\n".to_owned();
    let state = |label: &str| graph.states.iter().position(|state| state == label);
    let command = |name: &str| model.commands.iter().position(|entry| entry.name == name);
    let mut transitions: Vec<_> = graph.transitions.iter().collect();
    transitions.sort_by_key(|transition| (state(&transition.from), command(transition.command)));
    for transition in transitions {
        let (from, to) = (table_cell(&transition.from), table_cell(&transition.to));
        let command = command_links(model, [transition.command]);
        let event = event_links(model, [transition.event]);
        let _ = writeln!(table, "| {from} | {command} | {event} | {to} |");
    }
    table
}

fn event_section(page: &mut MarkdownPage, model: &DomainModel, event: &EventEntry<'_>) {
    let event_type = event.event_type;
    page.heading(&format!("#### `{}`", event_type.name));
    page.paragraph(&description(&event.schema));
    let mut facts = format!("Schema version {}.", event_type.version);
    if !event_type.tags.is_empty() {
        let _ = write!(
            facts,
            " Tags: {}.",
            code_list(event_type.tags.iter().copied())
        );
    }
    if !event_type.personal.is_empty() {
        let personal = code_list(event_type.personal.iter().copied());
        let _ = write!(facts, " Personal data: {personal}.");
    }
    let commands = producers(model, event_type.name);
    if !commands.is_empty() {
        let _ = write!(facts, " Produced by {}.", command_links(model, commands));
    }
    let projections = model.projections.iter();
    let projections = projections
        .filter(|projection| projection.handles(event_type.name))
        .map(|projection| projection.name);
    let managers = model.process_managers.iter();
    let managers = managers
        .filter(|manager| manager.handles(event_type.name))
        .map(|manager| manager.name);
    let consumers = code_list(projections.chain(managers));
    if !consumers.is_empty() {
        let _ = write!(facts, " Handled by {consumers}.");
    }
    page.paragraph(&facts);
    page.paragraph(&fields_table(&event.schema));
}

/// Returns a sentence about the DCB queries of a command.
fn queries(model: &DomainModel, command: &CommandEntry) -> String {
    let queries = command.boundary.queries.iter();
    let states = queries.map(|(state, event_types)| {
        let events = event_links(model, event_types.iter().copied());
        format!("{}, from the events {events}", short_name(state))
    });
    let states: Vec<_> = states.collect();
    let query = if states.len() == 1 {
        "query"
    } else {
        "queries"
    };
    let tag = if command.tags.len() == 1 {
        "tag"
    } else {
        "tags"
    };
    let (states, tags) = (states.join("; "), code_list(command.tags.iter().copied()));
    format!(" DCB {query}: {states} with the same {tag} {tags}, in all streams.")
}

pub fn command(
    page: &mut MarkdownPage,
    model: &DomainModel,
    command: &CommandEntry,
    schema: &Value,
) {
    page.heading(&format!("### {}", command.name));
    page.paragraph(&description(schema));
    let aggregates = command.boundary.aggregates.iter();
    let aggregates: Vec<_> = aggregates
        .map(|aggregate| {
            let name = match aggregate.count {
                AggregateCount::One => aggregate.name.clone(),
                AggregateCount::Optional => format!("optional {}", aggregate.name),
                AggregateCount::List => format!("list of {}", aggregate.name),
            };
            match aggregate.is_found {
                true => format!("{name} (found)"),
                false => name,
            }
        })
        .collect();
    let mut facts = format!("Consistency boundary: {}.", aggregates.join(", "));
    if !command.boundary.queries.is_empty() {
        facts.push_str(&queries(model, command));
    }
    let events = produced_events(model, command.name);
    if !events.is_empty() {
        let _ = write!(facts, " Produces {}.", event_links(model, events));
    }
    let senders = model.process_managers.iter();
    let senders = code_list(
        senders
            .filter(|manager| manager.commands.contains(&command.name))
            .map(|manager| manager.name),
    );
    if !senders.is_empty() {
        let _ = write!(facts, " Sent by {senders}.");
    }
    page.paragraph(&facts);
    page.paragraph(&fields_table(schema));
}

pub fn process_manager(
    page: &mut MarkdownPage,
    model: &DomainModel,
    manager: &ProcessManagerEntry,
) {
    page.heading(&format!("### {}", manager.name));
    page.paragraph(&description_of(manager.doc));
    let commands = match &manager.commands[..] {
        [] => "no commands".to_owned(),
        commands => command_links(model, commands.iter().copied()),
    };
    page.paragraph(&format!(
        "State version {}. Sends {commands}.",
        manager.version
    ));
    let mut table = "| type | events |\n|---|---|\n".to_owned();
    for group in &manager.event_groups {
        let names = group.event_types.iter().map(|event_type| event_type.name);
        let events = event_links(model, names);
        let _ = writeln!(table, "| `{}` | {events} |", group.name);
    }
    page.paragraph(&table);
}

/// Returns the commands that produced the event type during the exploration.
fn producers(model: &DomainModel, event_type: &str) -> Vec<&'static str> {
    let mut producers = Vec::new();
    let produced = model.state_graphs.iter().flat_map(|graph| &graph.produced);
    for (command, _) in produced.filter(|(_, produced)| *produced == event_type) {
        if !producers.contains(command) {
            producers.push(*command);
        }
    }
    producers
}

/// Returns the event types that the command produced during the exploration.
fn produced_events(model: &DomainModel, command: &str) -> Vec<&'static str> {
    let mut event_types = Vec::new();
    let produced = model.state_graphs.iter().flat_map(|graph| &graph.produced);
    for (_, event_type) in produced.filter(|(producer, _)| *producer == command) {
        if !event_types.contains(event_type) {
            event_types.push(*event_type);
        }
    }
    event_types
}
