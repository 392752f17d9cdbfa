//! The second opinion: the reader that programs will use must see the same document.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess,
};
use serde_yaml::Value;

use super::content_error::{ContentError, Place, shorten_to};

/// Passes if `serde_yaml` reads `text` and finds `expected` nodes, each alias counted as what it
/// stands for.
///
/// The nodes are counted before anything is built, and counting stops at the first one too many:
/// should the two readers ever see different aliases, the difference costs nothing.
pub(super) fn agrees(text: &str, expected: usize) -> Result<(), ContentError> {
    let mut count = Count {
        nodes: 0,
        limit: expected,
    };
    let counted = count.deserialize(serde_yaml::Deserializer::from_str(text));
    if count.nodes > expected {
        return Err(ContentError::Ambiguous {
            expected,
            actual: count.nodes,
        });
    }
    counted.map_err(|error| syntax(&error))?;
    if count.nodes != expected {
        return Err(ContentError::Ambiguous {
            expected,
            actual: count.nodes,
        });
    }
    serde_yaml::from_str::<Value>(text).map_err(|error| syntax(&error))?;
    Ok(())
}

/// The reader's error without the place that it repeats. It quotes values at full length.
fn syntax(error: &serde_yaml::Error) -> ContentError {
    let at = error
        .location()
        .map_or(Place { line: 1, column: 1 }, |l| Place {
            line: l.line(),
            column: l.column(),
        });
    let place = format!(" at line {} column {}", at.line, at.column);
    let problem = shorten_to(160, &error.to_string().replacen(&place, "", 1));
    ContentError::Syntax { at, problem }
}

/// Walks a document and builds nothing.
struct Count {
    nodes: usize,
    limit: usize,
}

impl Count {
    fn one<E: de::Error>(&mut self) -> Result<(), E> {
        self.nodes += 1;
        if self.nodes > self.limit {
            Err(E::custom("more nodes than expected"))
        } else {
            Ok(())
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Count {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for &mut Count {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.one()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.one()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.one()
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<(), E> {
        self.one()
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<(), E> {
        self.one()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.one()
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.one()
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.one()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.one()?;
        while items.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        self.one()?;
        while pairs.next_key_seed(&mut *self)?.is_some() {
            pairs.next_value_seed(&mut *self)?;
        }
        Ok(())
    }

    /// A node with a tag of its own comes as an enum whose content is the node.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let (_, content) = tagged.variant::<String>()?;
        content.newtype_variant_seed(self)
    }
}
