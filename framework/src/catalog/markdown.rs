//! The document for people.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::forms::{cell, codes, description, fields, words};
use super::{Catalog, mermaid, sections, settings};

pub(super) fn write(catalog: &Catalog) -> String {
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
pub(super) struct Page(String);

impl Page {
    pub(super) fn heading(&mut self, heading: &str) {
        let _ = writeln!(self.0, "\n{heading}");
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        if !text.trim().is_empty() {
            let _ = writeln!(self.0, "\n{}", text.trim());
        }
    }

    pub(super) fn diagram(&mut self, diagram: &str) {
        let _ = writeln!(self.0, "\n```mermaid\n{diagram}```");
    }
}

fn readers(page: &mut Page, catalog: &Catalog) {
    if !catalog.projections.is_empty() {
        page.heading("## Projections");
        let mut table = "| projection | version | takes | |\n|---|---|---|---|\n".to_owned();
        for projection in &catalog.projections {
            let takes = codes(projection.events.iter().copied());
            let (name, version, doc) = (projection.name, projection.version, cell(projection.doc));
            let _ = writeln!(table, "| `{name}` | {version} | {takes} | {doc} |");
        }
        page.paragraph(&table);
    }
    if !catalog.process_managers.is_empty() {
        page.heading("## Process managers");
        for manager in &catalog.process_managers {
            sections::process_manager(page, manager);
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
