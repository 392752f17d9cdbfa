//! [`FieldKeys`]: the JSON keys of an event's fields.

use serde::ser::{Impossible, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::Error;

/// A serializer that returns the JSON key of each field, in order, or `None` for a skipped field.
///
/// It accepts structs with named fields only, and ignores the values.
pub struct FieldKeys;

/// The result of [`FieldKeys`].
pub type JsonKeys = Vec<Option<&'static str>>;

/// Collects the keys of one struct.
pub struct StructKeys(JsonKeys);

impl SerializeStruct for StructKeys {
    type Ok = JsonKeys;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        _value: &T,
    ) -> Result<(), Error> {
        self.0.push(Some(key));
        Ok(())
    }

    fn skip_field(&mut self, _key: &'static str) -> Result<(), Error> {
        self.0.push(None);
        Ok(())
    }

    fn end(self) -> Result<JsonKeys, Error> {
        Ok(self.0)
    }
}

fn unsupported<T>() -> Result<T, Error> {
    Err(serde::ser::Error::custom(
        "an event with personal data must serialize as a struct with named fields; use serde's derive",
    ))
}

macro_rules! reject {
    ($($method:ident($($kind:ty),*) -> $out:ty;)*) => {
        $(fn $method(self, $(_: $kind),*) -> Result<$out, Error> { unsupported() })*
    };
}

type Unsupported = Impossible<JsonKeys, Error>;

impl Serializer for FieldKeys {
    type Ok = JsonKeys;
    type Error = Error;
    type SerializeSeq = Unsupported;
    type SerializeTuple = Unsupported;
    type SerializeTupleStruct = Unsupported;
    type SerializeTupleVariant = Unsupported;
    type SerializeMap = Unsupported;
    type SerializeStruct = StructKeys;
    type SerializeStructVariant = Unsupported;

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<StructKeys, Error> {
        Ok(StructKeys(Vec::with_capacity(len)))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<JsonKeys, Error> {
        unsupported()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<JsonKeys, Error> {
        unsupported()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<JsonKeys, Error> {
        unsupported()
    }

    reject! {
        serialize_bool(bool) -> JsonKeys;
        serialize_i8(i8) -> JsonKeys;
        serialize_i16(i16) -> JsonKeys;
        serialize_i32(i32) -> JsonKeys;
        serialize_i64(i64) -> JsonKeys;
        serialize_u8(u8) -> JsonKeys;
        serialize_u16(u16) -> JsonKeys;
        serialize_u32(u32) -> JsonKeys;
        serialize_u64(u64) -> JsonKeys;
        serialize_f32(f32) -> JsonKeys;
        serialize_f64(f64) -> JsonKeys;
        serialize_char(char) -> JsonKeys;
        serialize_str(&str) -> JsonKeys;
        serialize_bytes(&[u8]) -> JsonKeys;
        serialize_none() -> JsonKeys;
        serialize_unit() -> JsonKeys;
        serialize_unit_struct(&'static str) -> JsonKeys;
        serialize_unit_variant(&'static str, u32, &'static str) -> JsonKeys;
        serialize_seq(Option<usize>) -> Unsupported;
        serialize_tuple(usize) -> Unsupported;
        serialize_tuple_struct(&'static str, usize) -> Unsupported;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Unsupported;
        serialize_map(Option<usize>) -> Unsupported;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Unsupported;
    }
}
