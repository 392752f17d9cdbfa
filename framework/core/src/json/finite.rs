//! [`check_finite`]: a serializer without output that rejects NaN and infinity.

use std::fmt::{self, Display};

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Checks that `value` contains neither NaN nor infinity.
///
/// # Errors
/// Returns an error with the path of the number, or the error of the serialization.
pub fn check_finite<T: Serialize + ?Sized>(value: &T) -> Result<(), serde_json::Error> {
    value.serialize(FiniteCheck).map_err(|error| {
        let text = match error {
            NotFinite::Number { path, number } => {
                let place = match path.is_empty() {
                    true => "the value".to_owned(),
                    false => format!("`{path}`"),
                };
                format!(
                    "{place} is {number}, which JSON cannot represent; use an `Option` or an enum"
                )
            }
            NotFinite::Other(text) => text,
        };
        serde::ser::Error::custom(text)
    })
}

/// The error of [`FiniteCheck`].
#[derive(Debug)]
enum NotFinite {
    /// The place of the number in the value, and the number.
    Number { path: String, number: f64 },
    /// The error of an implementation of `Serialize`.
    Other(String),
}

impl NotFinite {
    /// Adds the place of the value to the path inside of it.
    fn inside(self, place: impl FnOnce() -> String) -> Self {
        match self {
            Self::Number { path, number } => {
                let mut place = place();
                if !place.is_empty() && path.starts_with(|first: char| first != '[') {
                    place.push('.');
                }
                let path = place + &path;
                Self::Number { path, number }
            }
            other @ Self::Other(_) => other,
        }
    }
}

impl Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { number, .. } => Display::fmt(number, f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for NotFinite {}

impl serde::ser::Error for NotFinite {
    fn custom<T: Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }
}

/// A serializer without output.
#[derive(Clone, Copy)]
struct FiniteCheck;

/// The elements of a sequence or a tuple, by their index.
struct Elements(usize);

impl Elements {
    fn check<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotFinite> {
        let index = self.0;
        self.0 += 1;
        let checked = value.serialize(FiniteCheck);
        checked.map_err(|error| error.inside(|| format!("[{index}]")))
    }
}

fn check_field<T: Serialize + ?Sized>(key: &'static str, value: &T) -> Result<(), NotFinite> {
    let checked = value.serialize(FiniteCheck);
    checked.map_err(|error| error.inside(|| key.to_owned()))
}

macro_rules! accept {
    ($($method:ident($($kind:ty),*);)*) => {
        $(fn $method(self, $(_: $kind),*) -> Result<(), NotFinite> { Ok(()) })*
    };
}

macro_rules! open {
    ($($method:ident($($kind:ty),*) -> $compound:ty: $value:expr;)*) => {
        $(fn $method(self, $(_: $kind),*) -> Result<$compound, NotFinite> { Ok($value) })*
    };
}

impl Serializer for FiniteCheck {
    type Ok = ();
    type Error = NotFinite;
    type SerializeSeq = Elements;
    type SerializeTuple = Elements;
    type SerializeTupleStruct = Elements;
    type SerializeTupleVariant = Elements;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn serialize_f32(self, number: f32) -> Result<(), NotFinite> {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<(), NotFinite> {
        match number.is_finite() {
            true => Ok(()),
            false => Err(NotFinite::Number {
                path: String::new(),
                number,
            }),
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotFinite> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotFinite> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), NotFinite> {
        value.serialize(self)
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), NotFinite> {
        Ok(())
    }

    accept! {
        serialize_bool(bool);
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
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    open! {
        serialize_seq(Option<usize>) -> Elements: Elements(0);
        serialize_tuple(usize) -> Elements: Elements(0);
        serialize_tuple_struct(&'static str, usize) -> Elements: Elements(0);
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Elements: Elements(0);
        serialize_map(Option<usize>) -> Self: Self;
        serialize_struct(&'static str, usize) -> Self: Self;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self: Self;
    }
}

macro_rules! elements {
    ($($compound:ident: $method:ident;)*) => {$(
        impl $compound for Elements {
            type Ok = ();
            type Error = NotFinite;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotFinite> {
                self.check(value)
            }

            fn end(self) -> Result<(), NotFinite> {
                Ok(())
            }
        }
    )*};
}

elements! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
}

macro_rules! fields {
    ($($compound:ident;)*) => {$(
        impl $compound for FiniteCheck {
            type Ok = ();
            type Error = NotFinite;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), NotFinite> {
                check_field(key, value)
            }

            fn end(self) -> Result<(), NotFinite> {
                Ok(())
            }
        }
    )*};
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}

impl SerializeMap for FiniteCheck {
    type Ok = ();
    type Error = NotFinite;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), NotFinite> {
        // `serde_json` rejects keys that are not finite.
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotFinite> {
        value.serialize(Self)
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), NotFinite> {
        let checked = value.serialize(Self);
        checked.map_err(|error| {
            // Only an error needs the text of the key.
            error.inside(|| match serde_json::to_value(key) {
                Ok(serde_json::Value::String(text)) => text,
                Ok(other) => other.to_string(),
                Err(_) => "a map".to_owned(),
            })
        })
    }

    fn end(self) -> Result<(), NotFinite> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::check_finite;

    #[derive(Serialize)]
    enum Shape {
        Unit,
        One(Option<f64>),
        Many(f32, f64),
        Named {
            inner: BTreeMap<String, Vec<(f64, f64)>>,
        },
    }

    #[test]
    fn number_that_is_not_finite_is_found_at_its_place() {
        let inner = BTreeMap::from([("a".to_owned(), vec![(0.0, 1.0), (2.0, f64::NEG_INFINITY)])]);
        for (shape, place) in [
            (Shape::Named { inner }, "`inner.a[1][1]` is -inf"),
            (Shape::Many(1.0, f64::NAN), "`[1]` is NaN"),
            (Shape::One(Some(f64::INFINITY)), "the value is inf"),
        ] {
            let error = check_finite(&shape).unwrap_err().to_string();
            assert!(error.starts_with(place), "{error}");
        }
    }

    #[test]
    fn finite_numbers_are_accepted() {
        let inner = BTreeMap::from([("a".to_owned(), vec![(f64::MIN, f64::MIN_POSITIVE)])]);
        for shape in [
            Shape::Unit,
            Shape::One(None),
            Shape::One(Some(-0.0)),
            Shape::Many(f32::MAX, 5e-324),
            Shape::Named { inner },
        ] {
            check_finite(&shape).unwrap();
        }
    }
}
