//! Interning of YAML nodes, to compare mapping keys by value.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{ScalarStyle, Tag};

use super::error::shorten;

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
    Null,
    Bool(bool),
    Int(i128),
    Float(u64),
    Text(String),
    Sequence(Vec<NodeId>),
    Mapping(Vec<(NodeId, NodeId)>),
}

impl NodeInterner {
    /// Returns the id of a scalar, resolved by the YAML 1.2 core schema: `0x1F` equals `31`.
    pub fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> NodeId {
        let core = tag
            .filter(|tag| tag.is_yaml_core_schema())
            .map(|tag| &*tag.suffix);
        let value = match core {
            Some("str") => NodeValue::Text(text.into_owned()),
            Some("null" | "bool" | "int" | "float") => resolve(text),
            _ if style == ScalarStyle::Plain => resolve(text),
            _ => NodeValue::Text(text.into_owned()),
        };
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
            None | Some(NodeValue::Null) => "null".to_owned(),
            Some(NodeValue::Bool(value)) => value.to_string(),
            Some(NodeValue::Int(value)) => value.to_string(),
            Some(NodeValue::Float(bits)) => format!("{:?}", f64::from_bits(*bits)),
            Some(NodeValue::Text(text)) => shorten(text),
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

/// Returns the core type of `tag` that `text` does not have, if there is one.
///
/// The schema is the core schema of YAML 1.2.2 (section 10.3).
pub fn mismatched_type<'t>(text: &str, tag: Option<&'t Tag>) -> Option<&'t str> {
    let tag = tag.filter(|tag| tag.is_yaml_core_schema())?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Integers can have any number of digits.
    let is_decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let has_type = match &*tag.suffix {
        "null" => matches!(resolve(text.into()), NodeValue::Null),
        "bool" => matches!(resolve(text.into()), NodeValue::Bool(_)),
        "int" => is_decimal || is_radix_integer(digits),
        "float" => is_decimal || float(text).is_some() || is_large_float(digits),
        _ => true,
    };
    (!has_type).then_some(&*tag.suffix)
}

fn is_radix_integer(digits: &str) -> bool {
    let has_digits = |prefix, radix| {
        let digits: Option<&str> = digits.strip_prefix(prefix);
        digits.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)))
    };
    has_digits("0x", 16) || has_digits("0o", 8) || has_digits("0b", 2)
}

/// Returns whether `digits` is a number whose value is not finite in 64 bits.
fn is_large_float(digits: &str) -> bool {
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.parse::<f64>().is_ok()
}

fn resolve(text: Cow<'_, str>) -> NodeValue {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => NodeValue::Null,
        "true" | "True" | "TRUE" => NodeValue::Bool(true),
        "false" | "False" | "FALSE" => NodeValue::Bool(false),
        other => match integer(other) {
            Some(int) => NodeValue::Int(int),
            None => match float(other) {
                Some(float) => NodeValue::Float(float.to_bits()),
                None => NodeValue::Text(text.into_owned()),
            },
        },
    }
}

fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (digits, radix) = match digits.get(..2) {
        Some("0x") => (&digits[2..], 16),
        Some("0o") => (&digits[2..], 8),
        Some("0b") => (&digits[2..], 2),
        // A leading zero makes it a string, for example an article or telephone number.
        Some(lead) if lead.starts_with('0') => return None,
        _ => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let int = i128::from_str_radix(digits, radix).ok()?;
    Some(if text.starts_with('-') { -int } else { int })
}

fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" if text.starts_with('-') => return Some(f64::NEG_INFINITY),
        ".inf" | ".Inf" | ".INF" => return Some(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let zeros_first = unsigned.len() > 1
        && unsigned.starts_with('0')
        && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    if !numeric || zeros_first {
        return None;
    }
    // Adding zero turns negative zero into positive zero, which it equals.
    text.parse::<f64>()
        .ok()
        .filter(|float| float.is_finite())
        .map(|float| float + 0.0)
}
