//! The OpenAPI description: it is complete, its examples work, and it changes only by additions.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;
use serde_json::{Map, Value, json};

use server::Server;

const FILE: &str = "openapi.json";
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

fn description() -> Value {
    serde_json::to_value(spec_service::rest::openapi()).expect("the description is well-formed")
}

/// Returns the value, or the one that it refers to.
fn resolved<'a>(root: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => root
            .pointer(
                reference
                    .strip_prefix('#')
                    .expect("the description is well-formed"),
            )
            .expect("the description is well-formed"),
        None => value,
    }
}

/// Returns the operations, each with its method and path.
fn operations(root: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = root["paths"]
        .as_object()
        .expect("the description is well-formed");
    let operations = |(path, item)| {
        let item: &Value = item;
        METHODS.map(|method| (method, path, &item[method]))
    };
    let found = paths.iter().map(|(path, item)| (path.as_str(), item));
    let found = found.flat_map(operations);
    found
        .filter(|(_, _, operation)| operation.is_object())
        .collect()
}

#[test]
fn every_operation_is_described() {
    let root = description();
    assert_eq!(root["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&root) {
        let name = format!("{method} {path}");
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(
            !summary.is_empty() && !summary.contains('`'),
            "{name}: {summary:?}"
        );
        assert!(ids.insert(operation["operationId"].to_string()), "{name}");
        assert!(operation["responses"]["4XX"]["content"]["application/problem+json"].is_object());
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let text = parameter["description"].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{name}: {}", parameter["name"]);
        }
    }
    for (name, schema) in root["components"]["schemas"].as_object().unwrap() {
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            let described = schema["description"].is_string() || schema["$ref"].is_string();
            assert!(described, "{name}.{field} has no description");
        }
    }
}

/// Returns an example of a value of `schema`, from the examples of its fields.
fn example(root: &Value, schema: &Value) -> Option<Value> {
    let schema = resolved(root, schema);
    if let Some(example) = schema.get("example") {
        return Some(example.clone());
    }
    if let Some(variants) = schema["oneOf"].as_array() {
        return variants.iter().find_map(|variant| example(root, variant));
    }
    let fields = schema["properties"].as_object()?;
    let mut object = Map::new();
    for (name, field) in fields {
        if let Some(value) = example(root, field) {
            object.insert(name.clone(), value);
        }
    }
    Some(object.into())
}

/// Checks the types and the required members of `value` by `schema`.
fn check(root: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = resolved(root, schema);
    if let Some(variants) = schema["oneOf"].as_array().filter(|_| !value.is_null()) {
        let object = variants
            .iter()
            .find(|variant| variant["type"] != "null")
            .expect("the description is well-formed");
        return check(root, object, value, place);
    }
    let types = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(
        types.contains(&is),
        "{place} is {value}; described as {types:?}"
    );
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(
            value
                .get(name.as_str().expect("the description is well-formed"))
                .is_some(),
            "{place} has no {name}: {value}"
        );
    }
    let Some(fields) = schema["properties"].as_object() else {
        return;
    };
    for (name, member) in value.as_object().expect("the description is well-formed") {
        let field = fields.get(name);
        let field = field.unwrap_or_else(|| panic!("{place}.{name} is not described"));
        check(root, field, member, &format!("{place}.{name}"));
    }
    for item in value.as_array().into_iter().flatten() {
        check(root, &schema["items"], item, place);
    }
}

#[tokio::test]
async fn examples_work_and_answers_are_as_described() {
    let root = description();
    let (_dir, server) = Server::fresh();
    for (number, (method, path, operation)) in operations(&root).into_iter().enumerate() {
        let name = format!("{method} {path}");
        let new = json!({"name": format!("sample-{number}"), "content": "limit: 1\n"});
        let created: Value = server.post("/v1/specs", &new).await.json().await.unwrap();
        let spec = format!("/v1/specs/{}", created["id"].as_str().unwrap());
        if operation["operationId"] == "deprecate_spec" {
            server.post(&format!("{spec}/publish"), &json!({})).await;
        }
        let id = created["id"].as_str().unwrap();
        let target = path.replace("{id}", id).replace("{version}", "1");
        let verb: Method = method.to_uppercase().parse().unwrap();
        let mut request = server.request(verb, &target);
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        if operation["requestBody"].is_object() && !body.is_object() {
            // An archive has tests of its own.
            continue;
        }
        if body.is_object() {
            let body = example(&root, body).unwrap();
            assert!(
                !body.as_object().unwrap().is_empty(),
                "{name} has no example"
            );
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let described = &operation["responses"][status.as_str()];
        let text = response.text().await.unwrap();
        assert!(
            status.is_success() && described.is_object(),
            "{name}: {status} {text}"
        );
        let schema = &described["content"]["application/json"]["schema"];
        if schema.is_object() {
            check(&root, schema, &serde_json::from_str(&text).unwrap(), &name);
        }
    }
}

/// Collects the parts that clients rely on, as lines: operations, parameters, statuses and members.
fn contract(root: &Value) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (method, path, operation) in operations(root) {
        let name = format!("{method} {path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let (place, parameter) = (&parameter["in"], &parameter["name"]);
            lines.insert(format!("{name} has the parameter {parameter} in {place}"));
        }
        for status in operation["responses"]
            .as_object()
            .expect("the description is well-formed")
            .keys()
        {
            lines.insert(format!("{name} can respond with {status}"));
        }
        lines.insert(name);
    }
    for (name, schema) in root["components"]["schemas"]
        .as_object()
        .expect("the description is well-formed")
    {
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            lines.insert(format!(
                "{name}.{field} is {}{}",
                schema["type"], schema["$ref"]
            ));
        }
    }
    lines
}

/// Collects what a request must have, which must not grow.
fn requirements(root: &Value) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (method, path, operation) in operations(root) {
        let name = format!("{method} {path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["required"] == true {
                lines.insert(format!(
                    "{name} requires the parameter {}",
                    parameter["name"]
                ));
            }
        }
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        for field in resolved(root, body)["required"]
            .as_array()
            .into_iter()
            .flatten()
        {
            lines.insert(format!("{name} requires the field {field}"));
        }
    }
    lines
}

/// Returns the changes from `old` to `new` that can break a client.
fn breaking_changes(old: &Value, new: &Value) -> Vec<String> {
    let removed = &contract(old) - &contract(new);
    let known: BTreeSet<_> = operations(old)
        .iter()
        .map(|(method, path, _)| format!("{method} {path} "))
        .collect();
    let required = &requirements(new) - &requirements(old);
    let required = required
        .into_iter()
        .filter(|line| known.iter().any(|name| line.starts_with(name)));
    let removed = removed.into_iter().map(|line| format!("removed: {line}"));
    removed
        .chain(required.map(|line| format!("added: {line}")))
        .collect()
}

#[test]
fn description_changes_only_by_additions() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let current = description();
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let broken = breaking_changes(&stored, &current);
    assert!(broken.is_empty(), "clients of /v1 would break: {broken:#?}");
    if stored != current {
        if std::env::var_os("UPDATE_DOCS").is_none() {
            panic!("{FILE} is not current; run this test with UPDATE_DOCS=1");
        }
        std::fs::write(&file, format!("{current:#}\n")).unwrap();
    }
}

#[test]
fn breaking_changes_are_found() {
    let current = description();
    assert_eq!(breaking_changes(&current, &current), [""; 0]);
    let mut other = current.clone();
    other["paths"]["/v1/specs"]
        .as_object_mut()
        .unwrap()
        .remove("post");
    assert!(!breaking_changes(&current, &other).is_empty());
    assert!(breaking_changes(&other, &current).is_empty());
    let mut other = current.clone();
    let fields = other["components"]["schemas"]["SpecBody"]["properties"]
        .as_object_mut()
        .unwrap();
    fields["version"]["type"] = json!("string");
    assert!(!breaking_changes(&current, &other).is_empty());
    let mut other = current.clone();
    other["components"]["schemas"]["UpdateBody"]["required"] = json!(["content", "reason"]);
    assert_eq!(
        breaking_changes(&current, &other),
        ["added: put /v1/specs/{id} requires the field \"reason\""]
    );
}

#[tokio::test]
async fn description_and_its_pages_are_served() {
    let (_dir, server) = Server::fresh();
    let served: Value = server.get("/openapi.json").await.json().await.unwrap();
    assert_eq!(served, description());
    let page = server.get("/docs/").await.text().await.unwrap();
    assert!(page.contains("swagger-ui"), "{page}");
    assert!(
        !page.contains("https://"),
        "the page loads from another origin: {page}"
    );
}
