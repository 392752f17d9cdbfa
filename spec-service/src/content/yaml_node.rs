//! Interning of YAML nodes, to compare mapping keys by value.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{ScalarStyle, Tag};

use super::error::shorten;
use super::yaml_scalar::Scalar;

/// The identity of a node's value: two nodes are equal if and only if their ids are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

/// The distinct node values of a document, each with its id.
///
/// A collection refers to its parts by id, so the cost of comparing two keys does not depend on their size.
#[derive(Debug, Default)]
pub struct NodeInterner(HashMap<(Option<String>, NodeValue), NodeId>);

#[derive(Debug, PartialEq, Eq, Hash)]
enum NodeValue {
    Scalar(Scalar),
    Sequence(Vec<NodeId>),
    Mapping(Vec<(NodeId, NodeId)>),
}

impl NodeInterner {
    /// Returns the id of a scalar, resolved by the YAML 1.2 core schema: `0x1F` equals `31`.
    pub fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> NodeId {
        let value = NodeValue::Scalar(Scalar::new(text, style, tag));
        self.id(tag, value)
    }

    /// Returns the id of a sequence.
    pub fn sequence(&mut self, items: Vec<NodeId>, tag: Option<&Tag>) -> NodeId {
        self.id(tag, NodeValue::Sequence(items))
    }

    /// Returns the id of a mapping. The order of the pairs has no meaning in YAML.
    pub fn mapping(&mut self, mut pairs: Vec<(NodeId, NodeId)>, tag: Option<&Tag>) -> NodeId {
        pairs.sort_unstable();
        self.id(tag, NodeValue::Mapping(pairs))
    }

    /// Returns the value as text for an error message. Searches all values.
    pub fn describe(&self, id: NodeId) -> String {
        let value = self
            .0
            .iter()
            .find(|(_, found)| **found == id)
            .map(|((_, value), _)| value);
        match value {
            None | Some(NodeValue::Scalar(Scalar::Null)) => "null".to_owned(),
            Some(NodeValue::Scalar(Scalar::Bool(value))) => value.to_string(),
            Some(NodeValue::Scalar(Scalar::Int(value))) => value.to_string(),
            Some(NodeValue::Scalar(Scalar::Float(bits))) => format!("{:?}", f64::from_bits(*bits)),
            Some(NodeValue::Scalar(Scalar::Text(text))) => shorten(text),
            Some(NodeValue::Sequence(_)) => "[…]".to_owned(),
            Some(NodeValue::Mapping(_)) => "{…}".to_owned(),
        }
    }

    fn id(&mut self, tag: Option<&Tag>, value: NodeValue) -> NodeId {
        // A core tag repeats the type of the resolved value. Any other tag makes a different value.
        let tag = tag
            .filter(|tag| !tag.is_yaml_core_schema())
            .map(ToString::to_string);
        let next = NodeId(self.0.len());
        *self.0.entry((tag, value)).or_insert(next)
    }
}
