//! The names of query parameters and JSON fields: which ones a request has, and which ones are allowed.

use std::collections::HashSet;
use std::fmt;

use serde::de::value::Error as NoValue;
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::number::shortened;

/// A name that a request must not have.
pub struct WrongName<'n> {
    pub name: &'n str,
    pub detail: String,
}

/// Finds the first name that is repeated, or that `T` does not have as a field.
///
/// `kind` describes the names, for example `query parameter`.
pub fn find_wrong_name<'n, T: DeserializeOwned>(
    kind: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<WrongName<'n>> {
    let allowed = field_names::<T>();
    let mut found = HashSet::new();
    names.into_iter().find_map(|name| {
        let shown = shortened(name);
        let detail = if !allowed.contains(&name) {
            let allowed: Vec<String> = allowed.iter().map(|name| format!("`{name}`")).collect();
            match &allowed[..] {
                [] => format!("unknown {kind}: `{shown}`; this route has none"),
                [only] => format!("unknown {kind}: `{shown}`; the only one is {only}"),
                _ => format!(
                    "unknown {kind}: `{shown}`; allowed are {}",
                    allowed.join(", ")
                ),
            }
        } else if !found.insert(name) {
            format!("repeated {kind}: `{shown}`; send it once")
        } else {
            return None;
        };
        Some(WrongName { name, detail })
    })
}

/// Returns the names of the fields of a struct.
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The deserializer always returns an error, after it has recorded the names.
    let _ = T::deserialize(RecordNames(&mut names));
    names
}

/// A deserializer that has no value, and records the names of the fields that are requested.
struct RecordNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for RecordNames<'_> {
    type Error = NoValue;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoValue> {
        Err(NoValue::custom("no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, NoValue> {
        *self.0 = fields;
        Err(NoValue::custom("no value"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The keys of a JSON object, in the order of the text.
pub struct ObjectKeys(pub Vec<String>);

impl<'de> Deserialize<'de> for ObjectKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeysVisitor;

        impl<'de> Visitor<'de> for KeysVisitor {
            type Value = ObjectKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectKeys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(ObjectKeys(keys))
            }
        }

        deserializer.deserialize_map(KeysVisitor)
    }
}
