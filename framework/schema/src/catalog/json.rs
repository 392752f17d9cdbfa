//! The document for validators: JSON Schema.

use serde_json::{Value, json};

use super::{Catalog, settings};

pub fn write(catalog: &Catalog) -> Value {
    let mut generator = settings().into_generator();
    let events = catalog.events(&mut generator);
    let mut any: Vec<Value> = Vec::new();
    let mut named = Vec::new();
    for event in events {
        let mut schema = event.schema;
        if let Value::Object(keys) = &mut schema {
            keys.insert("title".to_owned(), event.kind.name.into());
            keys.insert("x-version".to_owned(), event.kind.version.into());
            if !event.kind.personal.is_empty() {
                keys.insert("x-personal".to_owned(), event.kind.personal.into());
            }
        }
        let name = format!("event.{}", event.kind.name);
        let reference = json!({ "$ref": format!("#/$defs/{}", pointer(&name)) });
        // Two aggregates may have events of one type.
        if !any.contains(&reference) {
            any.push(reference);
        }
        named.push((name, schema));
    }
    for command in &catalog.commands {
        let mut schema = (command.schema)(&mut generator);
        if let Value::Object(keys) = &mut schema {
            keys.insert("title".to_owned(), command.name.into());
        }
        named.push((format!("command.{}", command.name), schema));
    }
    let mut definitions = generator.take_definitions(true);
    definitions.extend(named);
    let mut document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": catalog.name,
        "anyOf": any,
        "$defs": definitions,
    });
    if !catalog.about.is_empty() {
        document["description"] = catalog.about.clone().into();
    }
    document
}

/// A key as a part of a JSON pointer in a URI fragment (RFC 6901).
fn pointer(key: &str) -> String {
    let mut pointer = String::new();
    for byte in key.replace('~', "~0").replace('/', "~1").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            pointer.push(byte.into());
        } else {
            pointer.push_str(&format!("%{byte:02X}"));
        }
    }
    pointer
}
