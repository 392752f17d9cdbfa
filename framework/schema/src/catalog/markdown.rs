//! The catalog as a Markdown document, for human readers.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::links::event_links;
use super::markdown_page::MarkdownPage;
use super::model::{DomainModel, schema_settings};
use super::schema_text::{description, description_of, fields_table, schema_type, table_cell};
use super::{mermaid, sections};

pub fn render(model: &DomainModel) -> String {
    let mut generator = schema_settings().into_generator();
    let events = model.events(&mut generator);
    let commands: Vec<Value> = model
        .commands
        .iter()
        .map(|command| command.schema(&mut generator))
        .collect();
    let types = generator.take_definitions(true);
    let mut page = MarkdownPage::new(&model.name);
    page.paragraph(&model.about);
    page.diagram(&mermaid::flowchart(model));
    page.paragraph(&legend(model));
    page.heading("## Aggregates");
    for aggregate in &model.aggregates {
        sections::aggregate(&mut page, model, aggregate, &events);
    }
    page.heading("## Commands");
    for (command, schema) in model.commands.iter().zip(&commands) {
        sections::command(&mut page, model, command, schema);
    }
    consumers(&mut page, model);
    used_types(&mut page, &types);
    page.finish()
}

/// Returns the legend of the flowchart.
fn legend(model: &DomainModel) -> String {
    let mut legend =
        "Commands (blue) request changes. Aggregates (yellow) decide. Events (orange) record the \
                      decisions."
            .to_owned();
    if !model.projections.is_empty() {
        legend.push_str(" Projections (green) build read models.");
    }
    if !model.process_managers.is_empty() {
        legend.push_str(" Process managers (violet) react to events with commands.");
    }
    legend
}

fn consumers(page: &mut MarkdownPage, model: &DomainModel) {
    if !model.projections.is_empty() {
        page.heading("## Projections");
        let mut table =
            "| projection | version | events | description |\n|---|---|---|---|\n".to_owned();
        for projection in &model.projections {
            let events = event_links(model, projection.event_types.iter().copied());
            let (name, version) = (projection.name, projection.version);
            let doc = table_cell(&description_of(projection.doc));
            let _ = writeln!(table, "| `{name}` | {version} | {events} | {doc} |");
        }
        page.paragraph(&table);
    }
    if !model.process_managers.is_empty() {
        page.heading("## Process managers");
        for manager in &model.process_managers {
            sections::process_manager(page, model, manager);
        }
    }
}

fn used_types(page: &mut MarkdownPage, types: &Map<String, Value>) {
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
            page.paragraph(&fields_table(schema));
        } else {
            alternatives(page, schema);
        }
    }
}

fn alternatives(page: &mut MarkdownPage, schema: &Value) {
    let Some(Value::Array(alternatives)) = schema.get("oneOf").or(schema.get("anyOf")) else {
        page.paragraph(&format!("Type: {}.", schema_type(schema)));
        return;
    };
    let mut table = "| value | description |\n|---|---|\n".to_owned();
    for alternative in alternatives {
        let value = table_cell(&schema_type(alternative));
        let doc = table_cell(&description(alternative));
        let _ = writeln!(table, "| {value} | {doc} |");
    }
    page.paragraph(&table);
}
