//! The schema of each kind of event, out of the schema of its type.

use std::fmt;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserializer;
use serde::de::{Error as _, Visitor};
use serde_json::{Value, json};

use factum_engine::event::Event;

/// The schemas of the stored forms of `E::TYPES`, in their order.
///
/// # Panics
/// If the `JsonSchema` of `E` does not go with its `Deserialize`.
pub fn schemas<E: Event + JsonSchema>(generator: &mut SchemaGenerator) -> Vec<Value> {
    let schema = transformed(E::json_schema(generator).to_value(), generator);
    let Some(names) = variant_names::<E>() else {
        return vec![schema];
    };
    // Serde lists what it reads, aliases included, in the order of the variants; a schema lists the variants
    // in an order of its own, but in the same one for reading and for writing.
    let mut reading = SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator();
    let read = variants(E::json_schema(&mut reading).to_value());
    let written = variants(schema);
    let order = names
        .iter()
        .filter_map(|name| read.iter().position(|(known, _)| known == name));
    let kinds: Vec<_> = order
        .filter_map(|place| written.get(place))
        .map(|(_, schema)| schema.clone())
        .collect();
    assert_eq!(
        kinds.len(),
        E::TYPES.len(),
        "the schema of {} does not have one form for each kind of event: derive `JsonSchema` beside \
         `Event`, `Serialize` and `Deserialize`",
        E::schema_name(),
    );
    kinds
}

/// What the generator does to whole documents, done to a schema that becomes part of one.
pub fn transformed(schema: Value, generator: &mut SchemaGenerator) -> Value {
    let Ok(mut schema) = schemars::Schema::try_from(schema) else {
        return Value::Bool(true);
    };
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    schema.to_value()
}

/// The variants in the schema of an externally tagged enum: their names, and the schemas of their fields.
fn variants(mut schema: Value) -> Vec<(String, Value)> {
    let alternatives = match schema.get_mut("oneOf").map(Value::take) {
        Some(Value::Array(alternatives)) => alternatives,
        _ => vec![schema],
    };
    alternatives.into_iter().flat_map(named).collect()
}

fn named(mut alternative: Value) -> Vec<(String, Value)> {
    let description = alternative.get("description").cloned();
    let unit = || json!({ "type": "object" });
    let mut found: Vec<(String, Value)> = match (alternative.get("enum"), alternative.get("const"))
    {
        (Some(Value::Array(names)), _) => names
            .iter()
            .filter_map(|name| Some((name.as_str()?.to_owned(), unit())))
            .collect(),
        (_, Some(Value::String(name))) => vec![(name.clone(), unit())],
        _ => match alternative.get_mut("properties").map(Value::take) {
            Some(Value::Object(properties)) => properties.into_iter().collect(),
            _ => Vec::new(),
        },
    };
    for (_, schema) in &mut found {
        if let (Value::Object(schema), Some(description)) = (schema, &description) {
            schema.insert("description".to_owned(), description.clone());
        }
    }
    found
}

/// The variants that the `Deserialize` of `T` knows, if it reads an enum.
fn variant_names<T: serde::de::DeserializeOwned>() -> Option<&'static [&'static str]> {
    match T::deserialize(Names) {
        Err(Answer::Variants(names)) => Some(names),
        _ => None,
    }
}

/// A deserializer that holds nothing, and only learns what it is asked for.
struct Names;

#[derive(Debug)]
enum Answer {
    Variants(&'static [&'static str]),
    Other,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is nothing to read")
    }
}

impl std::error::Error for Answer {}

impl serde::de::Error for Answer {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }
}

impl<'de> Deserializer<'de> for Names {
    type Error = Answer;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer::Variants(variants))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Answer> {
        Err(Answer::custom(""))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
