//! The catalog as an AsyncAPI 3.0.0 document, for tools.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::model::DomainModel;

pub fn render(model: &DomainModel) -> Value {
    // The schema objects of AsyncAPI are a superset of JSON Schema draft 07.
    let settings = SchemaSettings::draft07()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.for_serialize().into_generator();
    let events = model.events(&mut generator);
    let mut messages = Map::new();
    let mut sources = Vec::new();
    for event in events {
        let event_type = event.event_type;
        let mut message = json!({
            "name": event_type.name,
            "title": event_type.name,
            "contentType": "application/json",
            "payload": event.schema,
        });
        if let Some(summary) = event.schema.get("description") {
            message["summary"] = summary.clone();
        }
        if !event_type.tags.is_empty() {
            message["tags"] = event_type
                .tags
                .iter()
                .map(|tag| json!({ "name": tag }))
                .collect();
        }
        message["x-version"] = event_type.version.into();
        if !event_type.personal.is_empty() {
            message["x-personal"] = event_type.personal.into();
        }
        messages.insert(component_key(event_type.name), message);
        sources.push(EventSource {
            category: event.aggregate.category,
            event_type: event_type.name,
        });
    }
    let schemas = generator.take_definitions(true);
    let mut info = json!({ "title": model.name, "version": model.version });
    if !model.about.is_empty() {
        info["description"] = model.about.clone().into();
    }
    json!({
        "asyncapi": "3.0.0",
        "info": info,
        "defaultContentType": "application/json",
        "channels": channels(model, &sources),
        "operations": operations(model, &sources),
        "components": { "messages": messages, "schemas": schemas },
    })
}

/// An event type, and the category of the streams that contain it.
struct EventSource<'a> {
    category: &'a str,
    event_type: &'a str,
}

fn channels(model: &DomainModel, sources: &[EventSource<'_>]) -> Map<String, Value> {
    let channel = |category: &'static str, doc: &str| {
        let messages: Map<String, Value> = event_types_of(sources, category)
            .map(|name| {
                let key = component_key(name);
                let reference = json!({ "$ref": format!("#/components/messages/{key}") });
                (key, reference)
            })
            .collect();
        let mut channel = json!({
            "address": format!("{category}-{{key}}"),
            "parameters": { "key": { "description": "The key of the stream." } },
            "messages": messages,
        });
        if !doc.is_empty() {
            channel["description"] = doc.into();
        }
        channel
    };
    let aggregates = model.aggregates.iter();
    aggregates
        .map(|entry| {
            let channel = channel(entry.category, entry.doc);
            (component_key(entry.category), channel)
        })
        .collect()
}

fn operations(model: &DomainModel, sources: &[EventSource<'_>]) -> Map<String, Value> {
    let mut operations = Map::new();
    for aggregate in &model.aggregates {
        let category = aggregate.category;
        let all: Vec<&str> = event_types_of(sources, category).collect();
        let send = AsyncApiOperation {
            action: "send",
            category,
            summary: &format!("The events of {}.", aggregate.name),
            event_types: &all,
        };
        let key = format!("{}.send", component_key(category));
        operations.insert(key, send.to_json());
        for projection in &model.projections {
            let handled = filter(&all, |event_type| projection.handles(event_type));
            if !handled.is_empty() {
                let receive = AsyncApiOperation {
                    action: "receive",
                    category,
                    summary: projection.doc,
                    event_types: &handled,
                };
                operations.insert(receive_key(category, projection.name), receive.to_json());
            }
        }
        for manager in &model.process_managers {
            let handled = filter(&all, |event_type| manager.handles(event_type));
            if !handled.is_empty() {
                let receive = AsyncApiOperation {
                    action: "receive",
                    category,
                    summary: manager.doc,
                    event_types: &handled,
                };
                let mut receive = receive.to_json();
                receive["x-sends"] = manager.commands.as_slice().into();
                operations.insert(receive_key(category, manager.name), receive);
            }
        }
    }
    operations
}

fn filter<'a>(event_types: &[&'a str], predicate: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let event_types = event_types.iter().copied();
    event_types.filter(|name| predicate(name)).collect()
}

fn receive_key(category: &str, name: &str) -> String {
    format!(
        "{}.receive.{}",
        component_key(category),
        component_key(name)
    )
}

struct AsyncApiOperation<'a> {
    action: &'a str,
    category: &'a str,
    summary: &'a str,
    event_types: &'a [&'a str],
}

impl AsyncApiOperation<'_> {
    fn to_json(&self) -> Value {
        let channel = format!("#/channels/{}", component_key(self.category));
        let messages: Vec<_> = self
            .event_types
            .iter()
            .map(|name| json!({ "$ref": format!("{channel}/messages/{}", component_key(name)) }))
            .collect();
        let mut operation = json!({
            "action": self.action,
            "channel": { "$ref": channel },
            "messages": messages,
        });
        if !self.summary.is_empty() {
            operation["summary"] = self.summary.into();
        }
        operation
    }
}

fn event_types_of<'a>(
    sources: &'a [EventSource<'_>],
    category: &str,
) -> impl Iterator<Item = &'a str> {
    let sources = sources.iter();
    let sources = sources.filter(move |source| source.category == category);
    sources.map(|source| source.event_type)
}

/// Returns a name as a key of the components object.
///
/// A key may contain letters, digits, `.`, `-` and `_` only.
fn component_key(name: &str) -> String {
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
