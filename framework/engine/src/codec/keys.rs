//! The keys under which an event's fields are written.

use serde::ser::{Impossible, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::Error;

/// The key of each field that the `Serialize` of an event with named fields speaks of, in their order; `None` for
/// one that is not written now. No value is looked at.
pub struct Keys;

pub type Found = Vec<Option<&'static str>>;

pub struct Named(Found);

impl SerializeStruct for Named {
    type Ok = Found;
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

    fn end(self) -> Result<Found, Error> {
        Ok(self.0)
    }
}

fn no_fields<T>() -> Result<T, Error> {
    Err(serde::ser::Error::custom(
        "an event with personal data must serialize as serde's derive does: as named fields",
    ))
}

macro_rules! reject {
    ($($method:ident($($kind:ty),*) -> $out:ty;)*) => {
        $(fn $method(self, $(_: $kind),*) -> Result<$out, Error> { no_fields() })*
    };
}

type Rejected = Impossible<Found, Error>;

impl Serializer for Keys {
    type Ok = Found;
    type Error = Error;
    type SerializeSeq = Rejected;
    type SerializeTuple = Rejected;
    type SerializeTupleStruct = Rejected;
    type SerializeTupleVariant = Rejected;
    type SerializeMap = Rejected;
    type SerializeStruct = Named;
    type SerializeStructVariant = Rejected;

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Named, Error> {
        Ok(Named(Vec::with_capacity(len)))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Found, Error> {
        no_fields()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<Found, Error> {
        no_fields()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Found, Error> {
        no_fields()
    }

    reject! {
        serialize_bool(bool) -> Found;
        serialize_i8(i8) -> Found;
        serialize_i16(i16) -> Found;
        serialize_i32(i32) -> Found;
        serialize_i64(i64) -> Found;
        serialize_u8(u8) -> Found;
        serialize_u16(u16) -> Found;
        serialize_u32(u32) -> Found;
        serialize_u64(u64) -> Found;
        serialize_f32(f32) -> Found;
        serialize_f64(f64) -> Found;
        serialize_char(char) -> Found;
        serialize_str(&str) -> Found;
        serialize_bytes(&[u8]) -> Found;
        serialize_none() -> Found;
        serialize_unit() -> Found;
        serialize_unit_struct(&'static str) -> Found;
        serialize_unit_variant(&'static str, u32, &'static str) -> Found;
        serialize_seq(Option<usize>) -> Rejected;
        serialize_tuple(usize) -> Rejected;
        serialize_tuple_struct(&'static str, usize) -> Rejected;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Rejected;
        serialize_map(Option<usize>) -> Rejected;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Rejected;
    }
}
