//! Serializing the fields of a variant, without the name of the variant.

use std::cell::Cell;

use factum_core::json::{JsonSerializer, serialize_exactly};
use serde::ser::{
    Error as _, Impossible, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleVariant,
};
use serde::{Serialize, Serializer};

/// The maximum capacity of the buffer that a thread keeps, in bytes.
const MAX_BUFFER: usize = 64 * 1024;

thread_local! {
    /// The buffer for JSON, reused so that it does not grow again for each event.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Serializes the fields of `value`, a variant of an externally tagged enum, as JSON.
///
/// Named fields and unit variants become an object, several unnamed fields an array, and one unnamed field its value.
///
/// # Errors
/// Returns an error if a field does not serialize or could not be read, or `value` is not a variant.
#[doc(hidden)]
pub fn variant_to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    to_json(value, |value, json| value.serialize(VariantFields(json)))
}

/// Returns the JSON of `value` that `serialize` writes, in a vector of exactly its length.
pub fn to_json<T: Serialize>(
    value: &T,
    serialize: impl FnOnce(&T, &mut JsonSerializer<'_>) -> Result<(), serde_json::Error>,
) -> Result<Vec<u8>, serde_json::Error> {
    // Taken while in use, because an implementation of `Serialize` may call this function.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let json =
        serialize_exactly(value, &mut buffer, serialize).map(|()| buffer.as_slice().to_vec());
    if buffer.capacity() <= MAX_BUFFER {
        BUFFER.set(buffer);
    }
    json
}

/// A serializer of variants that passes their fields to the inner serializer.
pub struct VariantFields<S>(pub S);

/// A struct or tuple of the inner serializer, used for the fields of a variant.
pub struct VariantCompound<C>(C);

impl<C: SerializeStruct> SerializeStructVariant for VariantCompound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), C::Error> {
        self.0.serialize_field(key, value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
        self.0.skip_field(key)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.0.end()
    }
}

impl<C: SerializeTuple> SerializeTupleVariant for VariantCompound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.0.serialize_element(value)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.0.end()
    }
}

fn not_a_variant<T, E: serde::ser::Error>() -> Result<T, E> {
    Err(E::custom(
        "an event enum must serialize as an externally tagged enum; use serde's derive",
    ))
}

macro_rules! reject {
    ($($method:ident($($kind:ty)?);)*) => {
        $(fn $method(self, $(_: $kind)?) -> Result<S::Ok, S::Error> { not_a_variant() })*
    };
}

impl<S: Serializer> Serializer for VariantFields<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = VariantCompound<S::SerializeTuple>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Impossible<S::Ok, S::Error>;
    type SerializeStructVariant = VariantCompound<S::SerializeStruct>;

    fn serialize_unit_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_struct(name, 0)?.end()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(self.0)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.0.serialize_tuple(len).map(VariantCompound)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.0.serialize_struct(name, len).map(VariantCompound)
    }

    reject! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<S::Ok, S::Error> {
        not_a_variant()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        not_a_variant()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        not_a_variant()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, S::Error> {
        not_a_variant()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        not_a_variant()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        not_a_variant()
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        Err(S::Error::custom(
            "a struct was serialized instead of a variant; derive `Event` on the struct or on an enum",
        ))
    }
}
