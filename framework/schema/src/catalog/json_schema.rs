//! The catalog as a JSON Schema, for validators.

use serde_json::{Value, json};

use super::model::{DomainModel, schema_settings};

pub fn render(model: &DomainModel) -> Value {
    let mut generator = schema_settings().into_generator();
    let events = model.events(&mut generator);
    let mut any: Vec<Value> = Vec::new();
    let mut named = Vec::new();
    for event in events {
        let mut schema = event.schema;
        if let Value::Object(keys) = &mut schema {
            keys.insert("title".to_owned(), event.event_type.name.into());
            keys.insert("x-version".to_owned(), event.event_type.version.into());
            if !event.event_type.personal.is_empty() {
                keys.insert("x-personal".to_owned(), event.event_type.personal.into());
            }
        }
        let name = format!("event.{}", event.event_type.name);
        let reference = json!({ "$ref": format!("#/$defs/{}", pointer_token(&name)) });
        // Two aggregates may have the same event type.
        if !any.contains(&reference) {
            any.push(reference);
        }
        named.push((name, schema));
    }
    for command in &model.commands {
        let mut schema = command.schema(&mut generator);
        if let Value::Object(keys) = &mut schema {
            keys.insert("title".to_owned(), command.name.into());
        }
        named.push((format!("command.{}", command.name), schema));
    }
    let mut definitions = generator.take_definitions(true);
    definitions.extend(named);
    let mut document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": model.name,
        "anyOf": any,
        "$defs": definitions,
    });
    if !model.about.is_empty() {
        document["description"] = model.about.clone().into();
    }
    document
}

/// Returns a key as a reference token of a JSON pointer in a URI fragment (RFC 6901).
fn pointer_token(key: &str) -> String {
    let mut token = String::new();
    for byte in key.replace('~', "~0").replace('/', "~1").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            token.push(byte.into());
        } else {
            token.push_str(&format!("%{byte:02X}"));
        }
    }
    token
}
