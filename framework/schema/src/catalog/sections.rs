//! The sections on an aggregate, its events, and a command.

use std::fmt::Write as _;

use serde_json::Value;

use super::forms::{cell, codes, description, fields, plain};
use super::markdown::Page;
use super::process_managers::ProcessManagerEntry;
use super::{AggregateEntry, Catalog, CommandEntry, EventEntry, Explored, links, mermaid};

pub fn aggregate(
    page: &mut Page,
    catalog: &Catalog,
    aggregate: &AggregateEntry,
    events: &[EventEntry<'_>],
) {
    page.heading(&format!("### {}", aggregate.name));
    page.paragraph(&plain(aggregate.doc));
    page.paragraph(&format!("Streams: `{}-…`.", aggregate.category));
    if let Some(explored) = catalog.explored(aggregate.category) {
        page.diagram(&mermaid::states(explored));
        page.paragraph(&ways(catalog, explored));
        page.paragraph("What is not in the table is rejected, changes nothing, or was not tried.");
    }
    let ours = |event: &&EventEntry<'_>| event.aggregate.category == aggregate.category;
    for entry in events.iter().filter(ours) {
        event(page, catalog, entry);
    }
}

fn ways(catalog: &Catalog, explored: &Explored) -> String {
    let mut table = "| in | command | event | then |\n|---|---|---|---|\n".to_owned();
    let state = |label: &str| explored.states.iter().position(|state| state == label);
    let command = |name: &str| catalog.commands.iter().position(|entry| entry.name == name);
    let mut transitions: Vec<_> = explored.transitions.iter().collect();
    transitions.sort_by_key(|way| (state(&way.from), command(way.command)));
    for transition in transitions {
        let (from, to) = (cell(&transition.from), cell(&transition.to));
        let command = links::commands(catalog, [transition.command]);
        let event = links::events(catalog, [transition.event]);
        let _ = writeln!(table, "| {from} | {command} | {event} | {to} |");
    }
    table
}

fn event(page: &mut Page, catalog: &Catalog, event: &EventEntry<'_>) {
    let kind = event.kind;
    page.heading(&format!("#### `{}`", kind.name));
    page.paragraph(&description(&event.schema));
    let mut facts = format!("Version {}.", kind.version);
    if !kind.tags.is_empty() {
        let _ = write!(facts, " Tags: {}.", codes(kind.tags.iter().copied()));
    }
    if !kind.personal.is_empty() {
        let personal = codes(kind.personal.iter().copied());
        let _ = write!(facts, " Personal data: {personal}.");
    }
    let projections = catalog.projections.iter();
    let projections = projections
        .filter(|projection| projection.events.contains(&kind.name))
        .map(|projection| projection.name);
    let managers = catalog.process_managers.iter();
    let managers = managers
        .filter(|manager| manager.takes(kind.name))
        .map(|manager| manager.name);
    let led = follows_from(catalog, kind.name);
    if !led.is_empty() {
        let _ = write!(facts, " Follows from {}.", links::commands(catalog, led));
    }
    let takers = codes(projections.chain(managers));
    if !takers.is_empty() {
        let _ = write!(facts, " Taken by {takers}.");
    }
    page.paragraph(&facts);
    page.paragraph(&fields(&event.schema));
}

pub fn command(page: &mut Page, catalog: &Catalog, command: &CommandEntry, schema: &Value) {
    page.heading(&format!("### {}", command.name));
    page.paragraph(&description(schema));
    let looks: Vec<_> = command
        .outline
        .aggregates
        .iter()
        .map(|looked| match looked.is_list {
            true => format!("a list of {}", looked.name),
            false => looked.name.clone(),
        })
        .collect();
    let mut facts = format!("Looks at {}", looks.join(" and "));
    if let Some((state, events)) = &command.outline.query {
        let tags = codes(command.tags.iter().copied());
        let events = links::events(catalog, events.iter().copied());
        let _ = write!(
            facts,
            ", and at {state}: every event of {events} with the same {tags}, in whatever stream"
        );
    }
    facts.push('.');
    let led = led_to(catalog, command.name);
    if !led.is_empty() {
        let _ = write!(facts, " Leads to {}.", links::events(catalog, led));
    }
    let senders = catalog.process_managers.iter();
    let senders = codes(
        senders
            .filter(|manager| manager.commands.contains(&command.name))
            .map(|manager| manager.name),
    );
    if !senders.is_empty() {
        let _ = write!(facts, " Sent by {senders}.");
    }
    page.paragraph(&facts);
    page.paragraph(&fields(schema));
}

pub fn process_manager(page: &mut Page, catalog: &Catalog, manager: &ProcessManagerEntry) {
    page.heading(&format!("### {}", manager.name));
    page.paragraph(&plain(manager.doc));
    let sends = match &manager.commands[..] {
        [] => "no commands".to_owned(),
        commands => links::commands(catalog, commands.iter().copied()),
    };
    page.paragraph(&format!(
        "Version {} of its state. Sends {sends}.",
        manager.version
    ));
    let mut table = "| takes | events |\n|---|---|\n".to_owned();
    for taken in &manager.takes {
        let events = links::events(catalog, taken.kinds.iter().map(|kind| kind.name));
        let _ = writeln!(table, "| `{}` | {events} |", taken.name);
    }
    page.paragraph(&table);
}

/// The commands that the exploration saw lead to the event.
fn follows_from(catalog: &Catalog, event: &str) -> Vec<&'static str> {
    let mut led = Vec::new();
    let found = catalog.explored.iter();
    let found = found.flat_map(|explored| &explored.led_to);
    for (command, _) in found.filter(|(_, known)| *known == event) {
        if !led.contains(command) {
            led.push(*command);
        }
    }
    led
}

/// The events that the exploration saw the command lead to.
fn led_to(catalog: &Catalog, command: &str) -> Vec<&'static str> {
    let mut led = Vec::new();
    let found = catalog.explored.iter();
    let found = found.flat_map(|explored| &explored.led_to);
    for (_, event) in found.filter(|(known, _)| *known == command) {
        if !led.contains(event) {
            led.push(*event);
        }
    }
    led
}
