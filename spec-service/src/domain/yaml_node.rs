//! What a YAML node is, for telling whether two keys are the same.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{ScalarStyle, Tag};

use super::content_error::shorten;

/// The identity of a node's value: two nodes are equal if and only if their ids are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(usize);

/// The values met so far, each once. A collection refers to its parts by id, so that comparing
/// two keys costs the same however large they are.
#[derive(Debug, Default)]
pub(super) struct Values(HashMap<(Option<String>, Value), NodeId>);

#[derive(Debug, PartialEq, Eq, Hash)]
enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(u64),
    Text(String),
    List(Vec<NodeId>),
    Map(Vec<(NodeId, NodeId)>),
}

impl Values {
    /// A scalar, its value resolved as the YAML 1.2 core schema says: `0x1F` and `31` are one.
    pub(super) fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
    ) -> NodeId {
        let core = tag
            .filter(|tag| tag.is_yaml_core_schema())
            .map(|tag| &*tag.suffix);
        let value = match core {
            Some("str") => Value::Text(text.into_owned()),
            Some("null" | "bool" | "int" | "float") => resolve(text),
            _ if style == ScalarStyle::Plain => resolve(text),
            _ => Value::Text(text.into_owned()),
        };
        self.id(tag, value)
    }

    /// A sequence of these items.
    pub(super) fn list(&mut self, items: Vec<NodeId>, tag: Option<&Tag>) -> NodeId {
        self.id(tag, Value::List(items))
    }

    /// A mapping of these keys and values. Their order means nothing in YAML.
    pub(super) fn map(&mut self, mut pairs: Vec<(NodeId, NodeId)>, tag: Option<&Tag>) -> NodeId {
        pairs.sort_unstable();
        self.id(tag, Value::Map(pairs))
    }

    /// How a message shows the value. Searches them all, so only a rejection asks.
    pub(super) fn describe(&self, id: NodeId) -> String {
        let value = self
            .0
            .iter()
            .find(|(_, found)| **found == id)
            .map(|((_, value), _)| value);
        match value {
            None | Some(Value::Null) => "null".to_owned(),
            Some(Value::Bool(value)) => value.to_string(),
            Some(Value::Int(value)) => value.to_string(),
            Some(Value::Float(bits)) => format!("{:?}", f64::from_bits(*bits)),
            Some(Value::Text(text)) => shorten(text),
            Some(Value::List(_)) => "[…]".to_owned(),
            Some(Value::Map(_)) => "{…}".to_owned(),
        }
    }

    fn id(&mut self, tag: Option<&Tag>, value: Value) -> NodeId {
        // A core tag only says what the value already is; another one makes it a different value.
        let tag = tag
            .filter(|tag| !tag.is_yaml_core_schema())
            .map(ToString::to_string);
        let next = NodeId(self.0.len());
        *self.0.entry((tag, value)).or_insert(next)
    }
}

fn resolve(text: Cow<'_, str>) -> Value {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        other => match integer(other) {
            Some(int) => Value::Int(int),
            None => match float(other) {
                Some(float) => Value::Float(float.to_bits()),
                None => Value::Text(text.into_owned()),
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
        // A leading zero makes it a text: an article number, a telephone number.
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
    // Adding zero turns a negative zero into the zero that it equals.
    text.parse::<f64>()
        .ok()
        .filter(|float| float.is_finite())
        .map(|float| float + 0.0)
}
