//! A second parse with `serde_yaml`, which must find the same document.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess,
};
use serde_yaml::Value;

use super::content_error::{ContentError, Location, shorten_to};

/// Checks that `serde_yaml` can read `text` and finds `expected` nodes, with aliases expanded.
///
/// The nodes are counted before any value is built, and counting stops once `expected` is exceeded. If the two
/// parsers resolve aliases differently, the larger expansion therefore costs nothing.
pub fn cross_check(text: &str, expected: usize) -> Result<(), ContentError> {
    let mut counter = NodeCounter {
        nodes: 0,
        limit: expected,
    };
    let counted = counter.deserialize(serde_yaml::Deserializer::from_str(text));
    if counter.nodes > expected {
        return Err(ContentError::Ambiguous {
            expected,
            actual: counter.nodes,
        });
    }
    counted.map_err(|error| syntax_error(&error))?;
    if counter.nodes != expected {
        return Err(ContentError::Ambiguous {
            expected,
            actual: counter.nodes,
        });
    }
    serde_yaml::from_str::<Value>(text).map_err(|error| syntax_error(&error))?;
    Ok(())
}

/// Converts the error of `serde_yaml`.
///
/// The location moves from the message to its own field, and the message is shortened.
fn syntax_error(error: &serde_yaml::Error) -> ContentError {
    let at = error
        .location()
        .map_or(Location { line: 1, column: 1 }, |l| Location {
            line: l.line(),
            column: l.column(),
        });
    let suffix = format!(" at line {} column {}", at.line, at.column);
    let problem = shorten_to(160, &error.to_string().replacen(&suffix, "", 1));
    ContentError::Syntax { at, problem }
}

/// A visitor that counts the nodes of a document and builds no value.
struct NodeCounter {
    nodes: usize,
    limit: usize,
}

impl NodeCounter {
    fn count<E: de::Error>(&mut self) -> Result<(), E> {
        self.nodes += 1;
        if self.nodes > self.limit {
            Err(E::custom("more nodes than expected"))
        } else {
            Ok(())
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut NodeCounter {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for &mut NodeCounter {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.count()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.count()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.count()
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<(), E> {
        self.count()
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<(), E> {
        self.count()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.count()
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.count()
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.count()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.count()?;
        while items.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        self.count()?;
        while pairs.next_key_seed(&mut *self)?.is_some() {
            pairs.next_value_seed(&mut *self)?;
        }
        Ok(())
    }

    /// Visits a node with an application-specific tag, which `serde_yaml` presents as an enum.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let (_, content) = tagged.variant::<String>()?;
        content.newtype_variant_seed(self)
    }
}
