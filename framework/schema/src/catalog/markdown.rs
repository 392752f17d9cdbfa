//! The document for people.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::forms::{cell, description, fields, plain, words};
use super::{Catalog, links, mermaid, sections, settings};

pub fn write(catalog: &Catalog) -> String {
    let mut generator = settings().into_generator();
    let events = catalog.events(&mut generator);
    let commands: Vec<Value> = catalog
        .commands
        .iter()
        .map(|command| (command.schema)(&mut generator))
        .collect();
    let types = generator.take_definitions(true);
    let mut page = Page(format!("# {}\n", catalog.name));
    page.paragraph(&catalog.about);
    page.diagram(&mermaid::flow(catalog));
    page.paragraph(&legend(catalog));
    page.heading("## Aggregates");
    for aggregate in &catalog.aggregates {
        sections::aggregate(&mut page, catalog, aggregate, &events);
    }
    page.heading("## Commands");
    for (command, schema) in catalog.commands.iter().zip(&commands) {
        sections::command(&mut page, catalog, command, schema);
    }
    readers(&mut page, catalog);
    types_used(&mut page, &types);
    page.0
}

/// A Markdown text under way: blocks with an empty line between them.
pub struct Page(String);

impl Page {
    pub fn heading(&mut self, heading: &str) {
        let _ = writeln!(self.0, "\n{heading}");
    }

    pub fn paragraph(&mut self, text: &str) {
        if !text.trim().is_empty() {
            let _ = writeln!(self.0, "\n{}", text.trim());
        }
    }

    pub fn diagram(&mut self, diagram: &str) {
        let _ = writeln!(self.0, "\n```mermaid\n{diagram}```");
    }
}

/// What the colours of the first diagram mean.
fn legend(catalog: &Catalog) -> String {
    let mut legend = "Commands (blue) are what can be asked for. An aggregate (yellow) decides, and what happens are its \
                      events (orange)."
        .to_owned();
    if !catalog.projections.is_empty() {
        legend.push_str(" Projections (green) keep what is read.");
    }
    if !catalog.process_managers.is_empty() {
        legend.push_str(" Process managers (violet) ask for what shall follow.");
    }
    legend
}

fn readers(page: &mut Page, catalog: &Catalog) {
    if !catalog.projections.is_empty() {
        page.heading("## Projections");
        let mut table = "| projection | version | takes | |\n|---|---|---|---|\n".to_owned();
        for projection in &catalog.projections {
            let takes = links::events(catalog, projection.events.iter().copied());
            let (name, version) = (projection.name, projection.version);
            let doc = cell(&plain(projection.doc));
            let _ = writeln!(table, "| `{name}` | {version} | {takes} | {doc} |");
        }
        page.paragraph(&table);
    }
    if !catalog.process_managers.is_empty() {
        page.heading("## Process managers");
        for manager in &catalog.process_managers {
            sections::process_manager(page, catalog, manager);
        }
    }
}

fn types_used(page: &mut Page, types: &Map<String, Value>) {
    if types.is_empty() {
        return;
    }
    page.heading("## Types");
    let mut names: Vec<_> = types.keys().collect();
    names.sort();
    for name in names {
        let schema = &types[name];
        page.heading(&format!("### {name}"));
        page.paragraph(&description(schema));
        if schema.get("properties").is_some() {
            page.paragraph(&fields(schema));
        } else {
            alternatives(page, schema);
        }
    }
}

fn alternatives(page: &mut Page, schema: &Value) {
    let Some(Value::Array(alternatives)) = schema.get("oneOf").or(schema.get("anyOf")) else {
        page.paragraph(&format!("Holds: {}.", words(schema)));
        return;
    };
    let mut table = "| holds | |\n|---|---|\n".to_owned();
    for alternative in alternatives {
        let holds = words(alternative);
        let doc = cell(&description(alternative));
        let _ = writeln!(table, "| {} | {doc} |", cell(&holds));
    }
    page.paragraph(&table);
}
