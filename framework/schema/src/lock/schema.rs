//! From a JSON Schema, as `schemars` writes it, to a [`Shape`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::shape::{Field, Form, Range, Rest, Shape};

/// The form that `schema` describes; `definitions` are the types that hold themselves.
pub fn form(schema: &Value, definitions: &Map<String, Value>) -> Form {
    let mut types = BTreeMap::new();
    let shape = shape(schema);
    collect(&shape, definitions, &mut types);
    Form { shape, types }
}

/// The form of what is written as `schema` describes: what it would reject is no part of it.
pub fn written(schema: &Value, definitions: &Map<String, Value>) -> Form {
    let mut form = form(schema, definitions);
    form.types.values_mut().for_each(refuse_nothing);
    refuse_nothing(&mut form.shape);
    form
}

fn refuse_nothing(shape: &mut Shape) {
    match shape {
        Shape::List(items, _) => refuse_nothing(items),
        Shape::Tuple(parts) | Shape::OneOf(parts) => parts.iter_mut().for_each(refuse_nothing),
        Shape::Object(fields, rest) => {
            fields
                .values_mut()
                .for_each(|field| refuse_nothing(&mut field.shape));
            match rest {
                Rest::Rejected => *rest = Rest::Ignored,
                Rest::Each(each) => refuse_nothing(each),
                Rest::Ignored => {}
            }
        }
        _ => {}
    }
}

/// The types that `found` names, and those that they name.
fn collect(found: &Shape, definitions: &Map<String, Value>, types: &mut BTreeMap<String, Shape>) {
    match found {
        Shape::Named(name) if !types.contains_key(name) => {
            let named = definitions.get(name).map_or(Shape::Anything, shape);
            types.insert(name.clone(), named.clone());
            collect(&named, definitions, types);
        }
        Shape::List(items, _) => collect(items, definitions, types),
        Shape::Tuple(parts) | Shape::OneOf(parts) => {
            parts
                .iter()
                .for_each(|part| collect(part, definitions, types));
        }
        Shape::Object(fields, rest) => {
            let fields = fields.values();
            fields.for_each(|field| collect(&field.shape, definitions, types));
            if let Rest::Each(each) = rest {
                collect(each, definitions, types);
            }
        }
        _ => {}
    }
}

/// What no shape tells.
const UNTOLD: [&str; 7] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "dependentSchemas",
];

fn shape(schema: &Value) -> Shape {
    let Value::Object(keys) = schema else {
        return match schema {
            Value::Bool(true) => Shape::Anything,
            other => Shape::Other(other.clone()),
        };
    };
    if UNTOLD.iter().any(|key| keys.contains_key(*key)) {
        return other(keys);
    }
    if let Some(Value::String(reference)) = keys.get("$ref") {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return Shape::Named(name.to_owned());
    }
    if let Some(Value::Array(parts)) = keys.get("allOf") {
        return match (&parts[..], keys.contains_key("properties")) {
            ([part], false) => shape(part),
            _ => other(keys),
        };
    }
    if let Some(literal) = keys.get("const") {
        return Shape::Literal(literal.clone());
    }
    if let Some(Value::Array(literals)) = keys.get("enum") {
        return Shape::one_of(literals.iter().cloned().map(Shape::Literal));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(alternatives)) = keys.get(key) {
            return alternatives_of(keys, alternatives);
        }
    }
    match keys.get("type") {
        Some(Value::String(kind)) => of_kind(kind, keys),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            Shape::one_of(kinds.map(|kind| of_kind(kind, keys)))
        }
        _ => other(keys),
    }
}

fn of_kind(kind: &str, keys: &Map<String, Value>) -> Shape {
    let format = keys.get("format").and_then(Value::as_str);
    match kind {
        "null" => Shape::Null,
        "boolean" => Shape::Boolean,
        "string" if is_char(keys) => Shape::Text(Some("char".to_owned())),
        "string" => Shape::Text(format.map(str::to_owned)),
        "number" if format == Some("float") => Shape::Single,
        "number" => Shape::Number,
        "integer" => Shape::Integer(range(keys, format)),
        "array" => list(keys),
        "object" => object(keys),
        _ => other(keys),
    }
}

/// A `char` of Rust is known by its length alone.
fn is_char(keys: &Map<String, Value>) -> bool {
    ["minLength", "maxLength"]
        .iter()
        .all(|key| keys.get(*key) == Some(&1.into()))
}

fn range(keys: &Map<String, Value>, format: Option<&str>) -> Range {
    let end = |key: &str| {
        let end = keys.get(key)?;
        end.as_i64()
            .map(i128::from)
            .or_else(|| end.as_u64().map(i128::from))
    };
    let width = format.and_then(Range::named);
    Range {
        min: end("minimum").or(width.and_then(|width| width.min)),
        max: end("maximum").or(width.and_then(|width| width.max)),
    }
}

fn list(keys: &Map<String, Value>) -> Shape {
    if let Some(Value::Array(items)) = keys.get("prefixItems") {
        return Shape::Tuple(items.iter().map(shape).collect());
    }
    let items = keys.get("items").map_or(Shape::Anything, shape);
    let count = |key: &str| keys.get(key).and_then(Value::as_u64);
    let fixed = count("minItems").filter(|min| count("maxItems") == Some(*min));
    Shape::List(Box::new(items), fixed)
}

fn object(keys: &Map<String, Value>) -> Shape {
    let required: Vec<&str> = match keys.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let properties = match keys.get("properties") {
        Some(Value::Object(properties)) => properties.clone(),
        _ => Map::new(),
    };
    let fields = properties.iter().map(|(name, schema)| {
        let (always, shape) = (required.contains(&name.as_str()), shape(schema));
        (name.clone(), Field { always, shape })
    });
    // The keys of a map that are not texts, e.g. numbers, show as a pattern.
    let pattern = match keys.get("patternProperties") {
        Some(Value::Object(patterns)) if patterns.len() == 1 => patterns.values().next(),
        Some(_) => return other(keys),
        None => None,
    };
    let more = pattern.or(keys.get("additionalProperties"));
    let rest = match more.or(keys.get("unevaluatedProperties")) {
        Some(Value::Bool(false)) => Rest::Rejected,
        Some(Value::Bool(true)) => Rest::Each(Box::new(Shape::Anything)),
        Some(each) => Rest::Each(Box::new(shape(each))),
        None => Rest::Ignored,
    };
    Shape::Object(fields.collect(), rest)
}

/// Alternatives, each with the fields that stand beside all of them (serde's `flatten`).
fn alternatives_of(keys: &Map<String, Value>, alternatives: &[Value]) -> Shape {
    let alternatives = alternatives.iter().map(shape);
    if !keys.contains_key("properties") {
        return Shape::one_of(alternatives);
    }
    let Shape::Object(beside, rest) = object(keys) else {
        return other(keys);
    };
    let with: Option<Vec<_>> = alternatives
        .map(|alternative| match alternative {
            Shape::Object(fields, _) => {
                let fields = fields.into_iter().chain(beside.clone());
                Some(Shape::Object(fields.collect(), rest.clone()))
            }
            _ => None,
        })
        .collect();
    with.map_or_else(|| other(keys), Shape::one_of)
}

/// A schema without the keys that only people read.
fn other(keys: &Map<String, Value>) -> Shape {
    let notes = [
        "title",
        "description",
        "examples",
        "default",
        "deprecated",
        "$comment",
    ];
    let kept = keys
        .iter()
        .filter(|(key, _)| !notes.contains(&key.as_str()));
    let kept: BTreeMap<_, _> = kept
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if kept.is_empty() {
        Shape::Anything
    } else {
        Shape::Other(kept.into_iter().collect())
    }
}
