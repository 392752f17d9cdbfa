//! The canonical form of a value that serde serializes, as bytes.
//!
//! It is JSON's data model in another notation: each value begins with a letter for its type, and the entries of maps and
//! the elements of sets are sorted by their bytes. A set is recognized by the name of its type, because serde serializes
//! it like a list.

use std::any::type_name;
use std::fmt::Display;

use serde::ser::{
    self, Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};
use serde::{Serialize, Serializer};

use super::omitted_fields::OmittedFields;

/// No field is left out.
const NOTHING: OmittedFields = OmittedFields {
    of: 0,
    indexes: Vec::new(),
};

/// The canonical form of `null`.
const NULL: &[u8] = b"n";

/// The names of collections that have no order of their own.
const UNORDERED: [&str; 5] = ["HashSet", "BTreeSet", "IndexSet", "BinaryHeap", "DashSet"];

/// Returns the canonical form of `value`.
pub fn canonical_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    value.serialize(Canonical(&NOTHING))
}

/// Returns the canonical form of the struct `value` without the omitted fields.
///
/// # Errors
/// Returns an error if the value cannot be serialized, or if it serializes other fields than `omitted` expects.
pub fn canonical_fields<T: Serialize + ?Sized>(
    value: &T,
    omitted: &OmittedFields,
) -> Result<Vec<u8>, CanonicalError> {
    value.serialize(Canonical(omitted))
}

/// A value has no canonical form.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CanonicalError(String);

impl ser::Error for CanonicalError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// A serializer that returns the canonical form.
struct Canonical<'o>(&'o OmittedFields);

/// A list, a tuple or a set.
struct CanonicalElements {
    variant: Option<&'static str>,
    elements: Vec<Vec<u8>>,
    is_ordered: bool,
}

/// A tuple struct, of which fields can be omitted.
struct CanonicalTuple<'o> {
    omitted: &'o OmittedFields,
    elements: Vec<Vec<u8>>,
}

/// The entries of a map.
struct CanonicalEntries {
    key: Vec<u8>,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The fields of a struct. Fields that are `None` are left out.
struct CanonicalStruct<'o> {
    variant: Option<&'static str>,
    omitted: &'o OmittedFields,
    count: usize,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Returns `bytes` with the letter for their type and their length.
fn tagged(letter: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![letter];
    out.extend_from_slice(bytes.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(bytes);
    out
}

fn text(text: &str) -> Vec<u8> {
    tagged(b's', text.as_bytes())
}

fn list(elements: &[Vec<u8>]) -> Vec<u8> {
    tagged(b'l', &elements.concat())
}

fn map(mut entries: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    entries.sort_unstable();
    let entries: Vec<_> = entries
        .into_iter()
        .flat_map(|(key, value)| [key, value])
        .collect();
    tagged(b'm', &entries.concat())
}

/// Returns the form of an enum's variant: a map with one entry.
fn in_variant(variant: Option<&'static str>, content: Vec<u8>) -> Vec<u8> {
    match variant {
        None => content,
        Some(variant) => map(vec![(text(variant), content)]),
    }
}

/// Returns whether the elements of the collection `I` have no order.
///
/// `I` is the collection or a reference to it, as in `Serialize` of the standard library's collections.
fn is_unordered<I>() -> bool {
    let name = type_name::<I>();
    let path = name.split('<').next().unwrap_or(name);
    let last = path.rsplit("::").next().unwrap_or(path);
    UNORDERED.contains(&last.trim_start_matches('&'))
}

/// Checks that a struct has serialized as many fields as its derive expects.
fn check_count(omitted: &OmittedFields, actual: usize) -> Result<(), CanonicalError> {
    match omitted.of {
        expected if expected == actual || expected == 0 => Ok(()),
        expected => Err(CanonicalError::custom(format_args!(
            "it serializes {actual} fields, expected {expected}; derive `Serialize`, or remove `#[fingerprint(skip)]` \
             and `#[serde(default)]`"
        ))),
    }
}

macro_rules! integers {
    ($($method:ident($kind:ty);)*) => {
        $(fn $method(self, value: $kind) -> Result<Vec<u8>, CanonicalError> {
            Ok(tagged(b'i', value.to_string().as_bytes()))
        })*
    };
}

impl<'o> Serializer for Canonical<'o> {
    type Ok = Vec<u8>;
    type Error = CanonicalError;
    type SerializeSeq = CanonicalElements;
    type SerializeTuple = CanonicalElements;
    type SerializeTupleStruct = CanonicalTuple<'o>;
    type SerializeTupleVariant = CanonicalElements;
    type SerializeMap = CanonicalEntries;
    type SerializeStruct = CanonicalStruct<'o>;
    type SerializeStructVariant = CanonicalStruct<'o>;

    integers! {
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
    }

    fn serialize_bool(self, value: bool) -> Result<Vec<u8>, CanonicalError> {
        Ok(vec![if value { b't' } else { b'f' }])
    }

    fn serialize_f32(self, value: f32) -> Result<Vec<u8>, CanonicalError> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<Vec<u8>, CanonicalError> {
        // As in an event. The bits of NaN differ between runs of one program.
        if !value.is_finite() {
            return Err(CanonicalError::custom(format_args!("a number is {value}")));
        }
        Ok(tagged(b'd', &value.to_bits().to_be_bytes()))
    }

    fn serialize_char(self, value: char) -> Result<Vec<u8>, CanonicalError> {
        Ok(text(value.encode_utf8(&mut [0; 4])))
    }

    fn serialize_str(self, value: &str) -> Result<Vec<u8>, CanonicalError> {
        Ok(text(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Vec<u8>, CanonicalError> {
        Ok(tagged(b'b', value))
    }

    fn serialize_none(self) -> Result<Vec<u8>, CanonicalError> {
        Ok(NULL.to_vec())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, CanonicalError> {
        // `Some(None)` is not `None`.
        match canonical_bytes(value)? {
            null if null == NULL => Ok(tagged(b'o', NULL)),
            value => Ok(value),
        }
    }

    fn serialize_unit(self) -> Result<Vec<u8>, CanonicalError> {
        Ok(NULL.to_vec())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Vec<u8>, CanonicalError> {
        Ok(NULL.to_vec())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Vec<u8>, CanonicalError> {
        Ok(text(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Vec<u8>, CanonicalError> {
        match self.0.indexes.is_empty() {
            true => canonical_bytes(value),
            false => Ok(NULL.to_vec()),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Vec<u8>, CanonicalError> {
        Ok(in_variant(Some(variant), canonical_bytes(value)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<CanonicalElements, CanonicalError> {
        Ok(CanonicalElements {
            variant: None,
            elements: Vec::new(),
            is_ordered: true,
        })
    }

    fn collect_seq<I>(self, items: I) -> Result<Vec<u8>, CanonicalError>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let mut elements = CanonicalElements {
            variant: None,
            elements: Vec::new(),
            is_ordered: !is_unordered::<I>(),
        };
        for item in items {
            elements.push(&item)?;
        }
        elements.finish()
    }

    fn serialize_tuple(self, len: usize) -> Result<CanonicalElements, CanonicalError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<CanonicalTuple<'o>, CanonicalError> {
        Ok(CanonicalTuple {
            omitted: self.0,
            elements: Vec::new(),
        })
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<CanonicalElements, CanonicalError> {
        Ok(CanonicalElements {
            variant: Some(variant),
            elements: Vec::new(),
            is_ordered: true,
        })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<CanonicalEntries, CanonicalError> {
        if self.0.of > 0 {
            return Err(CanonicalError::custom(
                "it serializes as a map; fields can be left out of a struct without `#[serde(flatten)]` only",
            ));
        }
        Ok(CanonicalEntries {
            key: Vec::new(),
            entries: Vec::new(),
        })
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<CanonicalStruct<'o>, CanonicalError> {
        Ok(CanonicalStruct {
            variant: None,
            omitted: self.0,
            count: 0,
            entries: Vec::new(),
        })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<CanonicalStruct<'o>, CanonicalError> {
        Ok(CanonicalStruct {
            variant: Some(variant),
            omitted: self.0,
            count: 0,
            entries: Vec::new(),
        })
    }
}

impl CanonicalElements {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        self.elements.push(canonical_bytes(value)?);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, CanonicalError> {
        if self.is_ordered {
            return Ok(in_variant(self.variant, list(&self.elements)));
        }
        self.elements.sort_unstable();
        Ok(tagged(b'u', &self.elements.concat()))
    }
}

macro_rules! elements {
    ($($part:ident::$method:ident;)*) => {
        $(impl $part for CanonicalElements {
            type Ok = Vec<u8>;
            type Error = CanonicalError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
                self.push(value)
            }

            fn end(self) -> Result<Vec<u8>, CanonicalError> {
                self.finish()
            }
        })*
    };
}

elements! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleVariant::serialize_field;
}

impl SerializeTupleStruct for CanonicalTuple<'_> {
    type Ok = Vec<u8>;
    type Error = CanonicalError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        let is_omitted = self.omitted.indexes.contains(&self.elements.len());
        self.elements.push(match is_omitted {
            true => NULL.to_vec(),
            false => canonical_bytes(value)?,
        });
        Ok(())
    }

    fn end(mut self) -> Result<Vec<u8>, CanonicalError> {
        check_count(self.omitted, self.elements.len())?;
        // A field that is left out at the end is the same as a missing field.
        while self.elements.last().is_some_and(|last| last == NULL) {
            self.elements.pop();
        }
        Ok(list(&self.elements))
    }
}

impl SerializeMap for CanonicalEntries {
    type Ok = Vec<u8>;
    type Error = CanonicalError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CanonicalError> {
        self.key = canonical_bytes(key)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        let key = std::mem::take(&mut self.key);
        self.entries.push((key, canonical_bytes(value)?));
        Ok(())
    }

    fn end(self) -> Result<Vec<u8>, CanonicalError> {
        Ok(map(self.entries))
    }
}

impl CanonicalStruct<'_> {
    fn push<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), CanonicalError> {
        let index = self.count;
        self.count += 1;
        if self.omitted.indexes.contains(&index) {
            return Ok(());
        }
        let value = canonical_bytes(value)?;
        if value != NULL {
            self.entries.push((text(key), value));
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<u8>, CanonicalError> {
        check_count(self.omitted, self.count)?;
        Ok(in_variant(self.variant, map(self.entries)))
    }
}

macro_rules! struct_fields {
    ($($part:ident;)*) => {
        $(impl $part for CanonicalStruct<'_> {
            type Ok = Vec<u8>;
            type Error = CanonicalError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), CanonicalError> {
                self.push(key, value)
            }

            fn skip_field(&mut self, _: &'static str) -> Result<(), CanonicalError> {
                self.count += 1;
                Ok(())
            }

            fn end(self) -> Result<Vec<u8>, CanonicalError> {
                self.finish()
            }
        })*
    };
}

struct_fields! {
    SerializeStruct;
    SerializeStructVariant;
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

    use serde_json::json;

    use super::*;

    fn same(left: &impl Serialize, right: &impl Serialize) -> bool {
        canonical_bytes(left).expect("a form") == canonical_bytes(right).expect("a form")
    }

    fn numbers() -> std::ops::Range<u32> {
        0..100
    }

    #[derive(Serialize)]
    struct Line<S> {
        tags: S,
    }

    #[test]
    fn sets_and_maps_have_no_order_at_any_depth() {
        let sets: Vec<HashSet<u32>> = (0..8).map(|_| numbers().collect()).collect();
        let sorted: BTreeSet<u32> = numbers().collect();
        for set in &sets {
            assert!(same(set, &sorted));
            let nested = [("a", Some(Line { tags: set }))];
            let expected = [("a", Some(Line { tags: &sorted }))];
            assert!(same(&nested, &expected));
        }
        let map: HashMap<u32, &HashSet<u32>> = numbers().map(|key| (key, &sets[0])).collect();
        let expected: BTreeMap<u32, &HashSet<u32>> =
            numbers().rev().map(|key| (key, &sets[1])).collect();
        assert!(same(&map, &expected));
    }

    #[test]
    fn lists_keep_their_order() {
        assert!(!same(&vec![1, 2], &vec![2, 1]));
        assert!(!same(&(1, 2), &(2, 1)));
        assert!(!same(&[1, 2], &[2, 1]));
        assert!(!same(&json!([1, 2]), &json!([2, 1])));
        assert!(same(&vec![1, 2], &json!([1, 2])));
    }

    #[derive(Serialize)]
    struct Short {
        order: u64,
        lines: Vec<u32>,
    }

    #[derive(Serialize)]
    struct Long {
        note: Option<&'static str>,
        lines: Vec<u32>,
        order: u64,
    }

    #[test]
    fn missing_field_is_the_same_as_none() {
        let short = Short {
            order: 7,
            lines: vec![1],
        };
        let long = |note| Long {
            note,
            lines: vec![1],
            order: 7,
        };
        assert!(same(&short, &long(None)));
        assert!(!same(&short, &long(Some(""))));
        assert!(same(&short, &json!({ "lines": [1], "order": 7 })));
    }

    #[test]
    fn different_values_have_different_forms() {
        let values = [
            json!(null),
            json!(false),
            json!(0),
            json!(0.5),
            json!(""),
            json!("0"),
            json!([]),
            json!([0]),
            json!([[]]),
            json!({}),
            json!({ "a": null }),
            json!({ "a": 0 }),
            json!({ "a": "b", "c": "d" }),
            json!({ "a": "bc", "": "d" }),
            json!({ "a": "d", "c": "b" }),
        ];
        let forms: HashSet<_> = values
            .iter()
            .map(|value| canonical_bytes(value).expect("a form"))
            .collect();
        assert_eq!(forms.len(), values.len());
        assert!(!same(&Some(None::<u8>), &None::<Option<u8>>));
        assert!(!same(&0.1, &0.1f64.next_up()));
    }

    #[test]
    fn numbers_are_exact() {
        let floats = [0.0, -0.0, 1.0, f64::MIN_POSITIVE, f64::MAX, 5e-324];
        let integers = [u64::MAX.into(), u128::MAX, u128::MAX - 1, 0, 1];
        let mut forms: HashSet<_> = floats
            .iter()
            .map(|number| canonical_bytes(number).expect("a form"))
            .collect();
        forms.extend(integers.map(|number| canonical_bytes(&number).expect("a form")));
        assert_eq!(forms.len(), floats.len() + integers.len());
        assert!(!same(&f32::MIN_POSITIVE, &0.0_f32));
        assert!(!same(&i128::MIN, &(i128::MIN + 1)));
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(canonical_bytes(&number).is_err());
            assert!(canonical_bytes(&(number as f32)).is_err());
            assert!(!is_unordered::<Vec<f64>>());
        }
    }

    #[test]
    fn keys_of_maps_keep_their_types() {
        let numbers = BTreeMap::from([(1, "a"), (2, "b")]);
        let texts = BTreeMap::from([("1", "a"), ("2", "b")]);
        assert!(!same(&numbers, &texts));
        let pairs = BTreeMap::from([((1, "1"), 'a')]);
        assert!(!same(&pairs, &BTreeMap::from([((1, 1), 'a')])));
        assert!(!same(
            &BTreeMap::from([(true, 1)]),
            &BTreeMap::from([("true", 1)])
        ));
    }

    #[test]
    fn omitted_fields_are_counted() {
        let value = Short {
            order: 7,
            lines: vec![1],
        };
        let omitted = |of, index| OmittedFields {
            of,
            indexes: vec![index],
        };
        let form = canonical_fields(&value, &omitted(2, 1)).expect("a form");
        assert_eq!(
            form,
            canonical_bytes(&json!({ "order": 7 })).expect("a form")
        );
        let error = canonical_fields(&value, &omitted(3, 1)).expect_err("other fields");
        assert!(error.to_string().starts_with("it serializes 2 fields"));
        assert!(canonical_fields(&json!({}), &omitted(1, 0)).is_err());
    }
}
