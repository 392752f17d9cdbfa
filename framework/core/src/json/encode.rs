//! Encoding of values as JSON that is exact: a number that JSON cannot represent is an error.

use std::io;

use serde::Serialize;
use serde::ser::Error as _;
use serde_json::ser::Formatter;
use serde_json::{Error, Value};

use super::depth::{MAX_JSON_DEPTH, is_too_deep};
use super::finite::check_finite;

/// The maximum depth of a value that is stored inside other JSON, which adds levels.
const MAX_VALUE_DEPTH: usize = MAX_JSON_DEPTH - 15;

/// A JSON serializer that records whether it has written `null`.
pub type JsonSerializer<'b> = serde_json::Serializer<&'b mut Vec<u8>, NullDetector<'b>>;

/// A compact format that records whether `null` was written.
///
/// `serde_json` writes NaN and infinity as `null`. So JSON without `null` needs no other check of its numbers.
#[derive(Debug)]
pub struct NullDetector<'n>(&'n mut bool);

impl Formatter for NullDetector<'_> {
    fn write_null<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        *self.0 = true;
        writer.write_all(b"null")
    }
}

/// Writes the JSON of `value` with `serialize`, and checks that it can be read back.
///
/// # Errors
/// Returns an error if `value` does not serialize, contains NaN or infinity, or is nested too deeply.
pub fn serialize_exactly<T: Serialize + ?Sized>(
    value: &T,
    json: &mut Vec<u8>,
    serialize: impl FnOnce(&T, &mut JsonSerializer<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut has_null = false;
    let format = NullDetector(&mut has_null);
    serialize(
        value,
        &mut JsonSerializer::with_formatter(&mut *json, format),
    )?;
    if has_null {
        check_finite(value)?;
    }
    match is_too_deep(json, MAX_JSON_DEPTH) {
        true => Err(too_deep(MAX_JSON_DEPTH)),
        false => Ok(()),
    }
}

/// Encodes `value` as JSON that can be read back.
///
/// # Errors
/// Returns an error if `value` does not serialize, contains NaN or infinity, or is nested too deeply.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut json = Vec::with_capacity(128);
    serialize_exactly(value, &mut json, |value, serializer| {
        value.serialize(serializer)
    })?;
    Ok(json)
}

/// Encodes `value` as JSON text that can be read back.
///
/// # Errors
/// Returns an error if `value` does not serialize, contains NaN or infinity, or is nested too deeply.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    String::from_utf8(to_vec(value)?).map_err(Error::custom)
}

/// Converts `value` to a JSON value that is stored inside other JSON.
///
/// # Errors
/// Returns an error if `value` does not serialize, contains NaN or infinity, or is nested so deeply that the outer JSON
/// could not be read.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    check_finite(value)?;
    let json = serde_json::to_value(value)?;
    match is_deeper(&json, MAX_VALUE_DEPTH) {
        true => Err(too_deep(MAX_VALUE_DEPTH)),
        false => Ok(json),
    }
}

/// Returns whether `json` has more than `limit` levels of nested arrays and objects.
fn is_deeper(json: &Value, limit: usize) -> bool {
    let Some(rest) = limit.checked_sub(1) else {
        return json.is_array() || json.is_object();
    };
    match json {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, rest)),
        Value::Object(fields) => fields.values().any(|value| is_deeper(value, rest)),
        _ => false,
    }
}

fn too_deep(limit: usize) -> Error {
    Error::custom(format!(
        "nested too deeply; JSON may have at most {limit} levels of arrays and objects"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Value {
        (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
    }

    #[test]
    fn values_beyond_the_readable_depth_are_errors() {
        for levels in [1, 127, 128, 200] {
            assert_eq!(
                to_vec(&nested(levels)).is_ok(),
                levels <= MAX_JSON_DEPTH,
                "{levels}"
            );
        }
        for levels in [1, 112, 113] {
            assert_eq!(
                to_value(&nested(levels)).is_ok(),
                levels <= MAX_VALUE_DEPTH,
                "{levels}"
            );
        }
    }

    #[test]
    fn numbers_without_json_are_errors_with_their_place() {
        let error = to_vec(&[Some(1.0), None, Some(f64::NAN)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`[2]` is NaN, which JSON cannot represent; use an `Option` or an enum"
        );
        assert!(to_value(&f32::INFINITY).is_err());
        assert_eq!(to_string(&(None::<f64>, -0.0)).unwrap(), "[null,-0.0]");
    }
}
