//! [`Scalar`]: the values without parts of the YAML 1.2 core schema.

use std::borrow::Cow;

use saphyr_parser::{ScalarStyle, Tag};

/// A value without parts, resolved by the YAML 1.2 core schema: `0x1F` equals `31`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// No value.
    Null,
    /// A boolean value.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// The bits of a floating-point number of 64 bits.
    Float(u64),
    /// A text.
    Text(String),
}

impl Scalar {
    /// Resolves the text of a scalar by its style and its tag.
    pub fn new(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Self {
        let core = tag
            .filter(|tag| tag.is_yaml_core_schema())
            .map(|tag| &*tag.suffix);
        match core {
            Some("str") => Self::Text(text.into_owned()),
            Some("null" | "bool" | "int" | "float") => resolve(text),
            _ if style == ScalarStyle::Plain => resolve(text),
            _ => Self::Text(text.into_owned()),
        }
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
        "null" => matches!(resolve(text.into()), Scalar::Null),
        "bool" => matches!(resolve(text.into()), Scalar::Bool(_)),
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

fn resolve(text: Cow<'_, str>) -> Scalar {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        other => match integer(other) {
            Some(int) => Scalar::Int(int),
            None => match float(other) {
                Some(float) => Scalar::Float(float.to_bits()),
                None => Scalar::Text(text.into_owned()),
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
