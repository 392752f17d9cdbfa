//! Deserializing a variant from its fields, without the name of the variant.

use serde::Deserializer as _;
use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, EnumAccess, IgnoredAny, IntoDeserializer, VariantAccess,
    Visitor,
};
use serde_json::Error;
use serde_json::de::SliceRead;

type JsonDeserializer<'de> = serde_json::Deserializer<SliceRead<'de>>;

/// Deserializes the variant number `index` of the enum `T` from the JSON of its fields.
///
/// # Errors
/// Returns an error if the JSON is not valid or does not fit the fields.
#[doc(hidden)]
pub fn variant_from_json<T: DeserializeOwned>(index: usize, json: &[u8]) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    let value = T::deserialize(VariantDeserializer {
        index,
        json: &mut json,
    })?;
    json.end()?;
    Ok(value)
}

/// A deserializer of an enum that selects the variant by its index.
struct VariantDeserializer<'a, 'de> {
    index: u32,
    json: &'a mut JsonDeserializer<'de>,
}

impl<'de> serde::Deserializer<'de> for VariantDeserializer<'_, 'de> {
    type Error = Error;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom(
            "an event enum must deserialize as an externally tagged enum; use serde's derive",
        ))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for VariantDeserializer<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let index: U32Deserializer<Error> = self.index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for VariantDeserializer<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.json.deserialize_ignored_any(IgnoredAny).map(drop)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.json)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.json.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.json.deserialize_struct("", fields, visitor)
    }
}
