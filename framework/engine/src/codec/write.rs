//! Writing a variant's fields without the variant's name around them.

use std::cell::Cell;

use serde::ser::{
    Error as _, Impossible, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleVariant,
};
use serde::{Serialize, Serializer};

/// An event that needs more has its room to itself.
const MAX_ROOM: usize = 64 * 1024;

thread_local! {
    /// Room to write JSON in, so that it does not grow with each event anew.
    static TEXT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

type Json<'b> = serde_json::Serializer<&'b mut Vec<u8>>;

/// The JSON of the fields of `value`, a variant of an externally tagged enum: an object for named fields
/// and for none, an array for several unnamed ones, the value itself for one.
///
/// # Errors
/// What `Serialize` of a field says, or that `value` is no variant.
pub fn variant_to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    written(|json| value.serialize(Fields(json)))
}

/// What `write` writes, in no more room than it needs.
pub fn written(
    write: impl FnOnce(&mut Json<'_>) -> Result<(), serde_json::Error>,
) -> Result<Vec<u8>, serde_json::Error> {
    // Taken out while in use: a `Serialize` may come back here.
    let mut text = TEXT.take();
    text.clear();
    let done = write(&mut Json::new(&mut text)).map(|()| text.as_slice().to_vec());
    if text.capacity() <= MAX_ROOM {
        TEXT.set(text);
    }
    done
}

/// Takes a variant, and gives its fields to the serializer inside.
pub struct Fields<S>(pub S);

/// A struct or tuple of the serializer inside, filled as a variant.
pub struct AsVariant<C>(C);

impl<C: SerializeStruct> SerializeStructVariant for AsVariant<C> {
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

impl<C: SerializeTuple> SerializeTupleVariant for AsVariant<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.0.serialize_element(value)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.0.end()
    }
}

fn no_variant<T, E: serde::ser::Error>() -> Result<T, E> {
    Err(E::custom(
        "an event enum must serialize as serde's derive does: as a named variant",
    ))
}

macro_rules! reject {
    ($($method:ident($($kind:ty)?);)*) => {
        $(fn $method(self, $(_: $kind)?) -> Result<S::Ok, S::Error> { no_variant() })*
    };
}

impl<S: Serializer> Serializer for Fields<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = AsVariant<S::SerializeTuple>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Impossible<S::Ok, S::Error>;
    type SerializeStructVariant = AsVariant<S::SerializeStruct>;

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
        self.0.serialize_tuple(len).map(AsVariant)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.0.serialize_struct(name, len).map(AsVariant)
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
        no_variant()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        no_variant()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        no_variant()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, S::Error> {
        no_variant()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        no_variant()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        no_variant()
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        Err(S::Error::custom(
            "derive Event on the struct itself, or on an enum of variants",
        ))
    }
}
