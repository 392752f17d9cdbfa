//! [`EventSchema`] and [`JsonShape`]: the JSON of an event, and its notation in a schema lock file.
//!
//! | shape | notation |
//! |---|---|
//! | a value without parts | a word: `"string"`, `"uint64"`, `"null \| string"`, `"'draft'"` for a literal |
//! | an object | an object; `"name?"` is an optional field, `"..."` describes all other fields |
//! | any other | a list that starts with a word |

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde_json::{Map, Value};

/// The shape of an event, and the definitions of the recursive types in it.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSchema {
    /// The shape.
    pub shape: JsonShape,
    /// The recursive types, by name.
    pub types: BTreeMap<String, JsonShape>,
}

/// The shape of a JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonShape {
    Anything,
    Null,
    Boolean,
    /// A text, with its format if it has one, e.g. `uuid`.
    Text(Option<String>),
    Integer(IntegerRange),
    /// A floating-point number of 64 bits.
    Number,
    /// A floating-point number of 32 bits.
    Float,
    Literal(Value),
    /// A list of equal items, with its length if it is fixed.
    List(Box<Self>, Option<u64>),
    Tuple(Vec<Self>),
    Object(ObjectShape),
    OneOf(Vec<Self>),
    /// A recursive type, by name.
    Named(String),
    /// A JSON schema that has no other notation.
    Other(Value),
}

/// A range of integers, including both ends; `None` is an open end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegerRange {
    pub min: Option<i128>,
    pub max: Option<i128>,
}

/// The shape of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectShape {
    /// The fields, by name.
    pub fields: BTreeMap<String, FieldShape>,
    /// The rule for all other fields.
    pub extra: ExtraFields,
}

/// The shape of a field of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldShape {
    /// Whether the field is always present.
    pub required: bool,
    pub shape: JsonShape,
}

/// The rule for fields of an object that are not listed by name.
#[derive(Debug, Clone, PartialEq)]
pub enum ExtraFields {
    Ignored,
    Rejected,
    Each(Box<JsonShape>),
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

impl IntegerRange {
    /// Returns the range of an integer type, e.g. `uint32`.
    pub fn named(name: &str) -> Option<Self> {
        let (_, min, max) = WIDTHS.iter().find(|(width, ..)| *width == name)?;
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

impl EventSchema {
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
            let types = types.map(|(name, shape)| Ok((name.clone(), JsonShape::parse(shape)?)));
            return Ok(Self {
                shape: JsonShape::parse(shape)?,
                types: types.collect::<Result<_, serde_json::Error>>()?,
            });
        }
        Ok(Self {
            shape: JsonShape::parse(json)?,
            types: BTreeMap::new(),
        })
    }
}

impl JsonShape {
    /// Creates a shape of alternatives, without nested and repeated alternatives.
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

    /// Returns the notation of a shape without parts, or `None` if it is not a word.
    pub fn word(&self) -> Option<String> {
        Some(match self {
            Self::Anything => "anything".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Text(None) => "string".to_owned(),
            Self::Text(Some(format)) => format!("string {format}"),
            Self::Integer(range) => range.word(),
            Self::Number => "number".to_owned(),
            Self::Float => "float".to_owned(),
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
            Self::List(items, Some(len)) => {
                list(format!("list {len}"), std::slice::from_ref(items))
            }
            Self::Tuple(items) => list("tuple".into(), items),
            Self::OneOf(alternatives) => list("one of".into(), alternatives),
            Self::Object(object) => object.to_json(),
            Self::Other(schema) => Value::Array(vec!["schema".into(), schema.clone()]),
            _ => Value::Null,
        }
    }

    pub fn parse(json: &Value) -> Result<Self, serde_json::Error> {
        let unknown = || serde_json::Error::custom(format!("invalid schema notation: `{json}`"));
        match json {
            Value::String(word) => parse_word(word).ok_or_else(unknown),
            Value::Object(fields) => ObjectShape::parse(fields).map(Self::Object),
            Value::Array(parts) => match &parts[..] {
                [Value::String(word), parts @ ..] => parse_list(word, parts)?.ok_or_else(unknown),
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

impl ObjectShape {
    fn to_json(&self) -> Value {
        let fields = self.fields.iter();
        let mut json: Map<_, _> = fields
            .map(|(name, field)| (field_key(name, field.required), field.shape.to_json()))
            .collect();
        let extra = match &self.extra {
            ExtraFields::Ignored => None,
            ExtraFields::Rejected => Some("rejected".into()),
            ExtraFields::Each(shape) => Some(shape.to_json()),
        };
        json.extend(extra.map(|extra| ("...".to_owned(), extra)));
        json.into()
    }

    fn parse(json: &Map<String, Value>) -> Result<Self, serde_json::Error> {
        let (mut fields, mut extra) = (BTreeMap::new(), ExtraFields::Ignored);
        for (key, json) in json {
            if key == "..." {
                extra = match json.as_str() {
                    Some("rejected") => ExtraFields::Rejected,
                    _ => ExtraFields::Each(Box::new(JsonShape::parse(json)?)),
                };
                continue;
            }
            let (name, required) = match (key.strip_suffix('?'), key.strip_suffix('!')) {
                (Some(name), _) => (name, false),
                (_, Some(name)) => (name, true),
                _ => (&**key, true),
            };
            let shape = JsonShape::parse(json)?;
            fields.insert(name.to_owned(), FieldShape { required, shape });
        }
        Ok(Self { fields, extra })
    }
}

/// Returns `name`, `name?` if the field is optional, or `name!` if the name alone would be ambiguous.
fn field_key(name: &str, required: bool) -> String {
    if !required {
        format!("{name}?")
    } else if name == "..." || name.ends_with(['?', '!']) {
        format!("{name}!")
    } else {
        name.to_owned()
    }
}

fn parse_list(word: &str, parts: &[Value]) -> Result<Option<JsonShape>, serde_json::Error> {
    let shapes = || {
        parts
            .iter()
            .map(JsonShape::parse)
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match (word, parts) {
        ("literal", [literal]) => Some(JsonShape::Literal(literal.clone())),
        ("schema", [schema]) => Some(JsonShape::Other(schema.clone())),
        ("tuple", _) => Some(JsonShape::Tuple(shapes()?)),
        ("one of", _) => Some(JsonShape::OneOf(shapes()?)),
        ("list", [items]) => Some(JsonShape::List(Box::new(JsonShape::parse(items)?), None)),
        (_, [items]) => match word.strip_prefix("list ").map(str::parse) {
            Some(Ok(len)) => Some(JsonShape::List(
                Box::new(JsonShape::parse(items)?),
                Some(len),
            )),
            _ => None,
        },
        _ => None,
    })
}

fn parse_word(word: &str) -> Option<JsonShape> {
    let literal = word
        .strip_prefix('\'')
        .and_then(|word| word.strip_suffix('\''));
    if let Some(text) = literal {
        return Some(JsonShape::Literal(text.into()));
    }
    if word.contains(" | ") {
        let alternatives: Option<Vec<_>> = word.split(" | ").map(parse_word).collect();
        return alternatives.map(JsonShape::OneOf);
    }
    Some(match word {
        "anything" => JsonShape::Anything,
        "null" => JsonShape::Null,
        "boolean" => JsonShape::Boolean,
        "string" => JsonShape::Text(None),
        "number" => JsonShape::Number,
        "float" => JsonShape::Float,
        _ => match (word.strip_prefix("string "), word.strip_prefix("type ")) {
            (Some(format), _) => JsonShape::Text(Some(format.to_owned())),
            (_, Some(name)) => JsonShape::Named(name.to_owned()),
            _ => {
                JsonShape::Integer(IntegerRange::named(word).or_else(|| IntegerRange::parse(word))?)
            }
        },
    })
}
