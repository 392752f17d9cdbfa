//! The JSON schema of each event type, extracted from the schema of a Rust type.

use std::fmt;

use factum_engine::event::Event;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserializer;
use serde::de::{Error as _, Visitor};
use serde_json::{Value, json};

/// Returns the JSON schemas of `E::TYPES`, in the same order.
///
/// # Panics
/// Panics if the `JsonSchema` of `E` does not match its `Deserialize`.
pub fn event_schemas<E: Event + JsonSchema>(generator: &mut SchemaGenerator) -> Vec<Value> {
    let schema = apply_transforms(E::json_schema(generator).to_value(), generator);
    let Some(names) = variant_names::<E>() else {
        return vec![schema];
    };
    // Serde lists the names that it accepts, with aliases, in the order of the variants. A schema lists the variants in
    // another order, but serialize and deserialize schemas have the same one.
    let mut deserialize = SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator();
    let accepted = variant_schemas(E::json_schema(&mut deserialize).to_value());
    let generated = variant_schemas(schema);
    let order = names
        .iter()
        .filter_map(|name| accepted.iter().position(|(accepted, _)| accepted == name));
    let schemas: Vec<_> = order
        .filter_map(|index| generated.get(index))
        .map(|(_, schema)| schema.clone())
        .collect();
    assert_eq!(
        schemas.len(),
        E::TYPES.len(),
        "the JSON schema of {} does not have one variant for each event type; derive `JsonSchema` together with \
         `Event`, `Serialize` and `Deserialize`",
        E::schema_name(),
    );
    schemas
}

/// Applies the transforms of the generator, which it only applies to whole documents, to `schema`.
pub fn apply_transforms(schema: Value, generator: &mut SchemaGenerator) -> Value {
    let Ok(mut schema) = schemars::Schema::try_from(schema) else {
        return Value::Bool(true);
    };
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    schema.to_value()
}

/// Returns the names and the schemas of the variants of an externally tagged enum.
fn variant_schemas(mut schema: Value) -> Vec<(String, Value)> {
    let alternatives = match schema.get_mut("oneOf").map(Value::take) {
        Some(Value::Array(alternatives)) => alternatives,
        _ => vec![schema],
    };
    alternatives
        .into_iter()
        .flat_map(alternative_schemas)
        .collect()
}

/// Returns the variants in one alternative of the schema.
///
/// An alternative contains several unit variants, or one other variant.
fn alternative_schemas(mut alternative: Value) -> Vec<(String, Value)> {
    let description = alternative.get("description").cloned();
    let unit = || json!({ "type": "object" });
    let mut variants: Vec<(String, Value)> =
        match (alternative.get("enum"), alternative.get("const")) {
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
    for (_, schema) in &mut variants {
        if let (Value::Object(schema), Some(description)) = (schema, &description) {
            schema.insert("description".to_owned(), description.clone());
        }
    }
    variants
}

/// Returns the variant names that the `Deserialize` of `T` accepts, or `None` if `T` is not an enum.
fn variant_names<T: serde::de::DeserializeOwned>() -> Option<&'static [&'static str]> {
    match T::deserialize(VariantProbe) {
        Err(ProbeError::Variants(names)) => Some(names),
        _ => None,
    }
}

/// A deserializer without data, which returns the requested variants as an error.
struct VariantProbe;

#[derive(Debug)]
enum ProbeError {
    Variants(&'static [&'static str]),
    Other,
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no data to deserialize")
    }
}

impl std::error::Error for ProbeError {}

impl serde::de::Error for ProbeError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }
}

impl<'de> Deserializer<'de> for VariantProbe {
    type Error = ProbeError;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, ProbeError> {
        Err(ProbeError::Variants(variants))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, ProbeError> {
        Err(ProbeError::custom(""))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
