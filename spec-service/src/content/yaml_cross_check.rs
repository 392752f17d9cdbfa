//! A second parse with `serde_yaml`, which must not find other documents.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess,
};

use super::error::ContentError;

/// Checks that `serde_yaml` finds the same documents in `text`, or cannot read it.
///
/// `expected` has the number of nodes of each document.
///
/// `serde_yaml` reads YAML 1.1 and cannot read all of YAML 1.2. An error of it is not an error of the text: a reader
/// that fails does not apply other rules than the author wrote. A reader that finds other documents does.
///
/// The nodes are counted with aliases expanded, before any value is built. Counting stops once the expected number is
/// exceeded, so a larger expansion by the second parser costs nothing.
pub fn cross_check(text: &str, expected: &[usize]) -> Result<(), ContentError> {
    let mut documents = 0;
    for document in serde_yaml::Deserializer::from_str(text) {
        let nodes = expected.get(documents).copied();
        let mut counter = NodeCounter {
            nodes: 0,
            limit: nodes.unwrap_or(usize::MAX),
        };
        let failed = counter.deserialize(document).is_err();
        if let Some(expected) = nodes
            && (counter.nodes > expected || (!failed && counter.nodes < expected))
        {
            return Err(ContentError::Ambiguous {
                document: documents + 1,
                expected,
                actual: counter.nodes,
            });
        }
        if failed {
            return Ok(());
        }
        documents += 1;
        if nodes.is_none() {
            break;
        }
    }
    if documents != expected.len() {
        return Err(ContentError::AmbiguousDocuments {
            expected: expected.len(),
            actual: documents,
        });
    }
    Ok(())
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
