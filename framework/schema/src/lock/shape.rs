//! [`Shape`]: what JSON a value has, and how a lock writes it down.
//!
//! A word for what has no parts (`"string"`, `"uint64"`, `"null | string"`, `"'draft'"` for a literal), an object
//! for an object, and a list that begins with a word for the rest. `"name?"` is a field that is not always there.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde_json::{Map, Value};

/// A shape, and the types that it names because they hold themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    pub shape: Shape,
    pub types: BTreeMap<String, Shape>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Anything,
    Null,
    Boolean,
    /// With its format, e.g. `uuid`.
    Text(Option<String>),
    Integer(Range),
    Number,
    /// A number of half the width.
    Single,
    Literal(Value),
    /// And how many, if that is fixed.
    List(Box<Self>, Option<u64>),
    Tuple(Vec<Self>),
    Object(BTreeMap<String, Field>, Rest),
    OneOf(Vec<Self>),
    Named(String),
    /// What this page has no word for.
    Other(Value),
}

/// Both ends belong to it; `None` has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub min: Option<i128>,
    pub max: Option<i128>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub always: bool,
    pub shape: Shape,
}

/// What becomes of fields without a name of their own.
#[derive(Debug, Clone, PartialEq)]
pub enum Rest {
    Ignored,
    Rejected,
    Each(Box<Shape>),
}

const WIDTHS: [(&str, i128, i128); 8] = [
    ("int8", i8::MIN as i128, i8::MAX as i128),
    ("int16", i16::MIN as i128, i16::MAX as i128),
    ("int32", i32::MIN as i128, i32::MAX as i128),
    ("int64", i64::MIN as i128, i64::MAX as i128),
    ("uint8", 0, u8::MAX as i128),
    ("uint16", 0, u16::MAX as i128),
    ("uint32", 0, u32::MAX as i128),
    ("uint64", 0, u64::MAX as i128),
];

impl Range {
    /// The range of a width, e.g. `uint32`.
    pub fn named(name: &str) -> Option<Self> {
        let (_, min, max) = WIDTHS.iter().find(|(known, ..)| *known == name)?;
        Some(Self {
            min: Some(*min),
            max: Some(*max),
        })
    }

    fn word(self) -> String {
        let name = WIDTHS
            .iter()
            .find(|(_, min, max)| self.min == Some(*min) && self.max == Some(*max));
        let end = |end: Option<i128>| end.map(|end| end.to_string()).unwrap_or_default();
        match (name, self.min, self.max) {
            (Some((name, ..)), ..) => (*name).to_owned(),
            (_, None, None) => "integer".to_owned(),
            (_, min, max) => format!("integer {}..{}", end(min), end(max)),
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let ends = word.strip_prefix("integer")?;
        let (min, max) = ends.strip_prefix(' ').unwrap_or("..").split_once("..")?;
        let end = |end: &str| match end {
            "" => Some(None),
            end => end.parse().ok().map(Some),
        };
        Some(Self {
            min: end(min)?,
            max: end(max)?,
        })
    }
}

impl Form {
    pub fn to_json(&self) -> Value {
        let shape = self.shape.to_json();
        if self.types.is_empty() {
            return shape;
        }
        let types = self.types.iter();
        let types: Map<_, _> = types
            .map(|(name, shape)| (name.clone(), shape.to_json()))
            .collect();
        Value::Array(vec!["with".into(), types.into(), shape])
    }

    pub fn parse(json: &Value) -> Result<Self, serde_json::Error> {
        if let Value::Array(parts) = json
            && let [Value::String(word), Value::Object(types), shape] = &parts[..]
            && word == "with"
        {
            let types = types.iter();
            let types = types.map(|(name, shape)| Ok((name.clone(), Shape::parse(shape)?)));
            return Ok(Self {
                shape: Shape::parse(shape)?,
                types: types.collect::<Result<_, serde_json::Error>>()?,
            });
        }
        Ok(Self {
            shape: Shape::parse(json)?,
            types: BTreeMap::new(),
        })
    }
}

impl Shape {
    /// One of these: flat, and each once.
    pub fn one_of(alternatives: impl IntoIterator<Item = Self>) -> Self {
        let mut flat: Vec<Self> = Vec::new();
        for alternative in alternatives {
            let alternatives = match alternative {
                Self::OneOf(alternatives) => alternatives,
                other => vec![other],
            };
            for alternative in alternatives {
                if !flat.contains(&alternative) {
                    flat.push(alternative);
                }
            }
        }
        flat.sort_by_cached_key(|shape| shape.to_json().to_string());
        match flat.len() {
            1 => flat.remove(0),
            _ => Self::OneOf(flat),
        }
    }

    /// The word for what has no parts.
    pub fn word(&self) -> Option<String> {
        Some(match self {
            Self::Anything => "anything".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Text(None) => "string".to_owned(),
            Self::Text(Some(format)) => format!("string {format}"),
            Self::Integer(range) => range.word(),
            Self::Number => "number".to_owned(),
            Self::Single => "float".to_owned(),
            Self::Literal(Value::String(text)) => format!("'{text}'"),
            Self::Named(name) => format!("type {name}"),
            Self::OneOf(alternatives) => {
                let is_literal = |shape: &Self| matches!(shape, Self::Literal(_));
                if alternatives.iter().any(is_literal) {
                    return None;
                }
                let words: Option<Vec<_>> = alternatives.iter().map(Self::word).collect();
                words?.join(" | ")
            }
            _ => return None,
        })
    }

    pub fn to_json(&self) -> Value {
        if let Some(word) = self.word() {
            return word.into();
        }
        let list = |word: String, parts: &[Self]| {
            let parts = parts.iter().map(Self::to_json);
            Value::Array([word.into()].into_iter().chain(parts).collect())
        };
        match self {
            Self::Literal(literal) => Value::Array(vec!["literal".into(), literal.clone()]),
            Self::List(items, None) => list("list".into(), std::slice::from_ref(items)),
            Self::List(items, Some(count)) => {
                list(format!("list {count}"), std::slice::from_ref(items))
            }
            Self::Tuple(items) => list("tuple".into(), items),
            Self::OneOf(alternatives) => list("one of".into(), alternatives),
            Self::Object(fields, rest) => object(fields, rest),
            Self::Other(schema) => Value::Array(vec!["schema".into(), schema.clone()]),
            _ => Value::Null,
        }
    }

    pub fn parse(json: &Value) -> Result<Self, serde_json::Error> {
        let unknown = || serde_json::Error::custom(format!("`{json}` is no form"));
        match json {
            Value::String(word) => parse_word(word).ok_or_else(unknown),
            Value::Object(fields) => parse_object(fields),
            Value::Array(parts) => match &parts[..] {
                [Value::String(word), parts @ ..] => parse_list(word, parts)?.ok_or_else(unknown),
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

fn object(fields: &BTreeMap<String, Field>, rest: &Rest) -> Value {
    let fields = fields.iter();
    let mut json: Map<_, _> = fields
        .map(|(name, field)| (key(name, field.always), field.shape.to_json()))
        .collect();
    let rest = match rest {
        Rest::Ignored => None,
        Rest::Rejected => Some("rejected".into()),
        Rest::Each(shape) => Some(shape.to_json()),
    };
    json.extend(rest.map(|rest| ("...".to_owned(), rest)));
    json.into()
}

/// `name`, or `name?`; a `!` behind a name that would be mistaken.
fn key(name: &str, always: bool) -> String {
    if !always {
        format!("{name}?")
    } else if name == "..." || name.ends_with(['?', '!']) {
        format!("{name}!")
    } else {
        name.to_owned()
    }
}

fn parse_object(json: &Map<String, Value>) -> Result<Shape, serde_json::Error> {
    let (mut fields, mut rest) = (BTreeMap::new(), Rest::Ignored);
    for (key, json) in json {
        if key == "..." {
            rest = match json.as_str() {
                Some("rejected") => Rest::Rejected,
                _ => Rest::Each(Box::new(Shape::parse(json)?)),
            };
            continue;
        }
        let (name, always) = match (key.strip_suffix('?'), key.strip_suffix('!')) {
            (Some(name), _) => (name, false),
            (_, Some(name)) => (name, true),
            _ => (&**key, true),
        };
        let shape = Shape::parse(json)?;
        fields.insert(name.to_owned(), Field { always, shape });
    }
    Ok(Shape::Object(fields, rest))
}

fn parse_list(word: &str, parts: &[Value]) -> Result<Option<Shape>, serde_json::Error> {
    let shapes = || {
        parts
            .iter()
            .map(Shape::parse)
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match (word, parts) {
        ("literal", [literal]) => Some(Shape::Literal(literal.clone())),
        ("schema", [schema]) => Some(Shape::Other(schema.clone())),
        ("tuple", _) => Some(Shape::Tuple(shapes()?)),
        ("one of", _) => Some(Shape::OneOf(shapes()?)),
        ("list", [items]) => Some(Shape::List(Box::new(Shape::parse(items)?), None)),
        (_, [items]) => match word.strip_prefix("list ").map(str::parse) {
            Some(Ok(count)) => Some(Shape::List(Box::new(Shape::parse(items)?), Some(count))),
            _ => None,
        },
        _ => None,
    })
}

fn parse_word(word: &str) -> Option<Shape> {
    let literal = word
        .strip_prefix('\'')
        .and_then(|word| word.strip_suffix('\''));
    if let Some(text) = literal {
        return Some(Shape::Literal(text.into()));
    }
    if word.contains(" | ") {
        let alternatives: Option<Vec<_>> = word.split(" | ").map(parse_word).collect();
        return alternatives.map(Shape::OneOf);
    }
    Some(match word {
        "anything" => Shape::Anything,
        "null" => Shape::Null,
        "boolean" => Shape::Boolean,
        "string" => Shape::Text(None),
        "number" => Shape::Number,
        "float" => Shape::Single,
        _ => match (word.strip_prefix("string "), word.strip_prefix("type ")) {
            (Some(format), _) => Shape::Text(Some(format.to_owned())),
            (_, Some(name)) => Shape::Named(name.to_owned()),
            _ => Shape::Integer(Range::named(word).or_else(|| Range::parse(word))?),
        },
    })
}
