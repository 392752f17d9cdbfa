//! The document for tools that speak of events: AsyncAPI 3.0.0.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Catalog;

pub fn write(catalog: &Catalog) -> Value {
    // Its schema objects are a superset of JSON Schema draft 07.
    let settings = SchemaSettings::draft07()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.for_serialize().into_generator();
    let events = catalog.events(&mut generator);
    let mut messages = Map::new();
    let mut names = Vec::new();
    for event in events {
        let key = key(event.kind.name);
        let mut message = json!({
            "name": event.kind.name,
            "title": event.kind.name,
            "contentType": "application/json",
            "payload": event.schema,
        });
        if let Some(summary) = event.schema.get("description") {
            message["summary"] = summary.clone();
        }
        if !event.kind.tags.is_empty() {
            message["tags"] = event
                .kind
                .tags
                .iter()
                .map(|tag| json!({ "name": tag }))
                .collect();
        }
        message["x-version"] = event.kind.version.into();
        if !event.kind.personal.is_empty() {
            message["x-personal"] = event.kind.personal.into();
        }
        messages.insert(key.clone(), message);
        names.push((event.aggregate.category, event.kind.name));
    }
    let schemas = generator.take_definitions(true);
    let mut info = json!({ "title": catalog.name, "version": catalog.version });
    if !catalog.about.is_empty() {
        info["description"] = catalog.about.clone().into();
    }
    json!({
        "asyncapi": "3.0.0",
        "info": info,
        "defaultContentType": "application/json",
        "channels": channels(catalog, &names),
        "operations": operations(catalog, &names),
        "components": { "messages": messages, "schemas": schemas },
    })
}

type Names<'a> = [(&'a str, &'a str)];

fn channels(catalog: &Catalog, names: &Names<'_>) -> Map<String, Value> {
    let channel = |category: &'static str, doc: &str| {
        let messages: Map<String, Value> = of(names, category)
            .map(|name| {
                let key = key(name);
                let to = json!({ "$ref": format!("#/components/messages/{key}") });
                (key, to)
            })
            .collect();
        let mut channel = json!({
            "address": format!("{category}-{{key}}"),
            "parameters": { "key": { "description": "Which one." } },
            "messages": messages,
        });
        if !doc.is_empty() {
            channel["description"] = doc.into();
        }
        channel
    };
    let aggregates = catalog.aggregates.iter();
    aggregates
        .map(|entry| (key(entry.category), channel(entry.category, entry.doc)))
        .collect()
}

fn operations(catalog: &Catalog, names: &Names<'_>) -> Map<String, Value> {
    let mut operations = Map::new();
    for aggregate in &catalog.aggregates {
        let category = aggregate.category;
        let ours: Vec<&str> = of(names, category).collect();
        let summary = format!("What happens to {}.", aggregate.name);
        let sent = operation("send", category, (&summary, &ours));
        operations.insert(format!("{}.send", key(category)), sent);
        for projection in &catalog.projections {
            let takes = |event: &str| projection.events.contains(&event);
            let taken = only(&ours, takes);
            if !taken.is_empty() {
                let received = operation("receive", category, (projection.doc, &taken));
                operations.insert(receive(category, projection.name), received);
            }
        }
        for manager in &catalog.process_managers {
            let taken = only(&ours, |event| manager.takes(event));
            if !taken.is_empty() {
                let mut received = operation("receive", category, (manager.doc, &taken));
                received["x-sends"] = manager.commands.as_slice().into();
                operations.insert(receive(category, manager.name), received);
            }
        }
    }
    operations
}

fn only<'a>(events: &[&'a str], takes: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let events = events.iter().copied();
    events.filter(|event| takes(event)).collect()
}

fn receive(category: &str, name: &str) -> String {
    format!("{}.receive.{}", key(category), key(name))
}

fn operation(action: &str, category: &str, (summary, events): (&str, &[&str])) -> Value {
    let channel = format!("#/channels/{}", key(category));
    let messages: Vec<_> = events
        .iter()
        .map(|event| json!({ "$ref": format!("{channel}/messages/{}", key(event)) }))
        .collect();
    let mut operation = json!({
        "action": action,
        "channel": { "$ref": channel },
        "messages": messages,
    });
    if !summary.is_empty() {
        operation["summary"] = summary.into();
    }
    operation
}

fn of<'a>(names: &'a Names<'_>, category: &str) -> impl Iterator<Item = &'a str> {
    let ours = names.iter().filter(move |(known, _)| *known == category);
    ours.map(|(_, name)| *name)
}

/// A name as a key of the components object, which holds letters, digits, `.`, `-` and `_` only.
fn key(name: &str) -> String {
    let mut key = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || ".-".contains(c) {
            key.push(c);
        } else if c == '_' {
            key.push('_');
        } else {
            key.push_str(&format!("_u{:x}_", u32::from(c)));
        }
    }
    key
}
