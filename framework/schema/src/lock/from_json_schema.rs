//! The conversion of a JSON Schema, as `schemars` generates it, into an [`EventSchema`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::json_shape::{
    EventSchema, ExtraFields, FieldShape, IntegerRange, JsonShape, ObjectShape,
};

/// Returns the event schema of a JSON schema; `definitions` are the recursive types.
pub fn event_schema(schema: &Value, definitions: &Map<String, Value>) -> EventSchema {
    let mut types = BTreeMap::new();
    let shape = convert(schema);
    collect_types(&shape, definitions, &mut types);
    EventSchema { shape, types }
}

/// Returns the event schema of serialized data, without the rule that unknown fields are rejected.
///
/// The rule matters only for deserializing.
pub fn serialize_schema(schema: &Value, definitions: &Map<String, Value>) -> EventSchema {
    let mut schema = event_schema(schema, definitions);
    schema.types.values_mut().for_each(ignore_extra_fields);
    ignore_extra_fields(&mut schema.shape);
    schema
}

fn ignore_extra_fields(shape: &mut JsonShape) {
    match shape {
        JsonShape::List(items, _) => ignore_extra_fields(items),
        JsonShape::Tuple(parts) | JsonShape::OneOf(parts) => {
            parts.iter_mut().for_each(ignore_extra_fields);
        }
        JsonShape::Object(object) => {
            let fields = object.fields.values_mut();
            fields.for_each(|field| ignore_extra_fields(&mut field.shape));
            match &mut object.extra {
                extra @ ExtraFields::Rejected => *extra = ExtraFields::Ignored,
                ExtraFields::Each(each) => ignore_extra_fields(each),
                ExtraFields::Ignored => {}
            }
        }
        _ => {}
    }
}

/// Adds the types that `shape` names, and the types that these name, to `types`.
fn collect_types(
    shape: &JsonShape,
    definitions: &Map<String, Value>,
    types: &mut BTreeMap<String, JsonShape>,
) {
    match shape {
        JsonShape::Named(name) if !types.contains_key(name) => {
            let named = definitions.get(name).map_or(JsonShape::Anything, convert);
            types.insert(name.clone(), named.clone());
            collect_types(&named, definitions, types);
        }
        JsonShape::List(items, _) => collect_types(items, definitions, types),
        JsonShape::Tuple(parts) | JsonShape::OneOf(parts) => {
            parts
                .iter()
                .for_each(|part| collect_types(part, definitions, types));
        }
        JsonShape::Object(object) => {
            let fields = object.fields.values();
            fields.for_each(|field| collect_types(&field.shape, definitions, types));
            if let ExtraFields::Each(each) = &object.extra {
                collect_types(each, definitions, types);
            }
        }
        _ => {}
    }
}

/// The keywords that a shape cannot represent.
const UNSUPPORTED_KEYWORDS: [&str; 7] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "dependentSchemas",
];

fn convert(schema: &Value) -> JsonShape {
    let Value::Object(keys) = schema else {
        return match schema {
            Value::Bool(true) => JsonShape::Anything,
            other => JsonShape::Other(other.clone()),
        };
    };
    if UNSUPPORTED_KEYWORDS
        .iter()
        .any(|key| keys.contains_key(*key))
    {
        return unsupported(keys);
    }
    if let Some(Value::String(reference)) = keys.get("$ref") {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return JsonShape::Named(name.to_owned());
    }
    if let Some(Value::Array(parts)) = keys.get("allOf") {
        return match (&parts[..], keys.contains_key("properties")) {
            ([part], false) => convert(part),
            _ => unsupported(keys),
        };
    }
    if let Some(literal) = keys.get("const") {
        return JsonShape::Literal(literal.clone());
    }
    if let Some(Value::Array(literals)) = keys.get("enum") {
        return JsonShape::one_of(literals.iter().cloned().map(JsonShape::Literal));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(alternatives)) = keys.get(key) {
            return with_alternatives(keys, alternatives);
        }
    }
    match keys.get("type") {
        Some(Value::String(json_type)) => typed(json_type, keys),
        Some(Value::Array(json_types)) => {
            let json_types = json_types.iter().filter_map(Value::as_str);
            JsonShape::one_of(json_types.map(|json_type| typed(json_type, keys)))
        }
        _ => unsupported(keys),
    }
}

fn typed(json_type: &str, keys: &Map<String, Value>) -> JsonShape {
    let format = keys.get("format").and_then(Value::as_str);
    match json_type {
        "null" => JsonShape::Null,
        "boolean" => JsonShape::Boolean,
        "string" if is_char(keys) => JsonShape::Text(Some("char".to_owned())),
        "string" => JsonShape::Text(format.map(str::to_owned)),
        "number" if format == Some("float") => JsonShape::Float,
        "number" => JsonShape::Number,
        "integer" => JsonShape::Integer(range(keys, format)),
        "array" => list(keys),
        "object" => object(keys),
        _ => unsupported(keys),
    }
}

/// Returns whether the schema is that of a Rust `char`, which differs from a text only by its length.
fn is_char(keys: &Map<String, Value>) -> bool {
    ["minLength", "maxLength"]
        .iter()
        .all(|key| keys.get(*key) == Some(&1.into()))
}

fn range(keys: &Map<String, Value>, format: Option<&str>) -> IntegerRange {
    let end = |key: &str| {
        let end = keys.get(key)?;
        end.as_i64()
            .map(i128::from)
            .or_else(|| end.as_u64().map(i128::from))
    };
    let width = format.and_then(IntegerRange::named);
    IntegerRange {
        min: end("minimum").or(width.and_then(|width| width.min)),
        max: end("maximum").or(width.and_then(|width| width.max)),
    }
}

fn list(keys: &Map<String, Value>) -> JsonShape {
    if let Some(Value::Array(items)) = keys.get("prefixItems") {
        return JsonShape::Tuple(items.iter().map(convert).collect());
    }
    let items = keys.get("items").map_or(JsonShape::Anything, convert);
    let count = |key: &str| keys.get(key).and_then(Value::as_u64);
    let len = count("minItems").filter(|min| count("maxItems") == Some(*min));
    JsonShape::List(Box::new(items), len)
}

fn object(keys: &Map<String, Value>) -> JsonShape {
    let required: Vec<&str> = match keys.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let properties = match keys.get("properties") {
        Some(Value::Object(properties)) => properties.clone(),
        _ => Map::new(),
    };
    let fields = properties.iter().map(|(name, schema)| {
        let (required, shape) = (required.contains(&name.as_str()), convert(schema));
        (name.clone(), FieldShape { required, shape })
    });
    // A map whose keys are not texts, e.g. numbers, has a pattern for its keys.
    let pattern = match keys.get("patternProperties") {
        Some(Value::Object(patterns)) if patterns.len() == 1 => patterns.values().next(),
        Some(_) => return unsupported(keys),
        None => None,
    };
    let additional = pattern.or(keys.get("additionalProperties"));
    let extra = match additional.or(keys.get("unevaluatedProperties")) {
        Some(Value::Bool(false)) => ExtraFields::Rejected,
        Some(Value::Bool(true)) => ExtraFields::Each(Box::new(JsonShape::Anything)),
        Some(each) => ExtraFields::Each(Box::new(convert(each))),
        None => ExtraFields::Ignored,
    };
    JsonShape::Object(ObjectShape {
        fields: fields.collect(),
        extra,
    })
}

/// Returns the alternatives, each with the fields that all of them share (serde's `flatten`).
fn with_alternatives(keys: &Map<String, Value>, alternatives: &[Value]) -> JsonShape {
    let alternatives = alternatives.iter().map(convert);
    if !keys.contains_key("properties") {
        return JsonShape::one_of(alternatives);
    }
    let JsonShape::Object(shared) = object(keys) else {
        return unsupported(keys);
    };
    let combined: Option<Vec<_>> = alternatives
        .map(|alternative| match alternative {
            JsonShape::Object(object) => {
                let fields = object.fields.into_iter().chain(shared.fields.clone());
                Some(JsonShape::Object(ObjectShape {
                    fields: fields.collect(),
                    extra: shared.extra.clone(),
                }))
            }
            _ => None,
        })
        .collect();
    combined.map_or_else(|| unsupported(keys), JsonShape::one_of)
}

/// Returns a schema as it is, without the keywords that only document it.
fn unsupported(keys: &Map<String, Value>) -> JsonShape {
    let annotations = [
        "title",
        "description",
        "examples",
        "default",
        "deprecated",
        "$comment",
    ];
    let kept = keys
        .iter()
        .filter(|(key, _)| !annotations.contains(&key.as_str()));
    let kept: BTreeMap<_, _> = kept
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if kept.is_empty() {
        JsonShape::Anything
    } else {
        JsonShape::Other(kept.into_iter().collect())
    }
}
