//! [`SqlValue`]: a value that is bound to a statement or read from a row.

use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use uuid::Uuid;

/// The type of a [`SqlValue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqlType {
    /// The type `boolean`.
    Bool,
    /// The type `integer`.
    I32,
    /// The type `bigint`.
    I64,
    /// The type `double precision`.
    F64,
    /// The type `text`.
    Text,
    /// The type `bytea`.
    Bytes,
    /// The type `uuid`.
    Uuid,
}

/// A value that is bound to a statement or read from a row.
///
/// The adapters convert it:
///
/// | value | PostgreSQL | SQLite |
/// |---|---|---|
/// | `Bool` | `boolean` | integer 0 or 1 |
/// | `I32`, `I64` | `integer`, `bigint`; also reads `smallint` | integer |
/// | `F64` | `double precision`; also reads `real` | real |
/// | `Text` | `text`; also reads `varchar`, `json` and `jsonb` | text |
/// | `Bytes` | `bytea` | blob |
/// | `Uuid` | `uuid` | text with hyphens |
///
/// Integers are read as `I64`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SqlValue {
    /// No value. PostgreSQL needs its type.
    Null(SqlType),
    /// A boolean.
    Bool(bool),
    /// An integer of 32 bits.
    I32(i32),
    /// An integer of 64 bits.
    I64(i64),
    /// A floating-point number of 64 bits.
    F64(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A UUID.
    Uuid(Uuid),
}

impl SqlValue {
    /// Returns the name of the variant, for error messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null(_) => "null",
            Self::Bool(_) => "a boolean",
            Self::I32(_) | Self::I64(_) => "an integer",
            Self::F64(_) => "a floating-point number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Uuid(_) => "a UUID",
        }
    }
}

/// A type whose values can be bound to a statement.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be bound to a statement",
    label = "not a SQL value",
    note = "bind a `bool`, `i32`, `i64`, `f64`, `&str`, `String`, `&[u8]`, `Vec<u8>`, `Uuid`, or an `Option` of one; bind JSON as text"
)]
pub trait IntoSqlValue {
    /// The type, also of a missing value.
    const TYPE: SqlType;

    /// Converts the value.
    fn into_sql_value(self) -> SqlValue;
}

macro_rules! into_sql_value {
    ($($type:ty: $variant:ident, |$value:ident| $convert:expr;)*) => {$(
        impl IntoSqlValue for $type {
            const TYPE: SqlType = SqlType::$variant;

            fn into_sql_value(self) -> SqlValue {
                let $value = self;
                SqlValue::$variant($convert)
            }
        }
    )*};
}

into_sql_value! {
    bool: Bool, |value| value;
    i32: I32, |value| value;
    i64: I64, |value| value;
    u32: I64, |value| value.into();
    f64: F64, |value| value;
    &str: Text, |value| value.to_owned();
    String: Text, |value| value;
    &[u8]: Bytes, |value| value.to_vec();
    Vec<u8>: Bytes, |value| value;
    Uuid: Uuid, |value| value;
    StreamId: Text, |value| value.as_str().to_owned();
    Position: I64, |value| value.get() as i64;
    Version: I64, |value| value.get() as i64;
    Timestamp: I64, |value| value.as_micros();
}

impl<T: IntoSqlValue + Clone> IntoSqlValue for &T {
    const TYPE: SqlType = T::TYPE;

    fn into_sql_value(self) -> SqlValue {
        self.clone().into_sql_value()
    }
}

impl<T: IntoSqlValue> IntoSqlValue for Option<T> {
    const TYPE: SqlType = T::TYPE;

    fn into_sql_value(self) -> SqlValue {
        match self {
            Some(value) => value.into_sql_value(),
            None => SqlValue::Null(T::TYPE),
        }
    }
}

/// A type that can be read from a column.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a column",
    label = "not a SQL value",
    note = "read a `bool`, `i32`, `i64`, `f64`, `String`, `Vec<u8>`, `Uuid`, or an `Option` of one; read JSON as text"
)]
pub trait FromSqlValue: Sized {
    /// The name of the type, for error messages.
    const NAME: &'static str;

    /// Converts the value; `None` if it has another type or is out of range.
    fn from_sql_value(value: &SqlValue) -> Option<Self>;
}

macro_rules! from_sql_value {
    ($($type:ty: $name:literal, $($pattern:pat => $convert:expr),*;)*) => {$(
        impl FromSqlValue for $type {
            const NAME: &'static str = $name;

            fn from_sql_value(value: &SqlValue) -> Option<Self> {
                match value {
                    $($pattern => $convert,)*
                    _ => None,
                }
            }
        }
    )*};
}

from_sql_value! {
    bool: "a boolean",
        SqlValue::Bool(value) => Some(*value),
        SqlValue::I64(value @ (0 | 1)) => Some(*value == 1);
    i32: "an integer of 32 bits",
        SqlValue::I32(value) => Some(*value),
        SqlValue::I64(value) => Self::try_from(*value).ok();
    i64: "an integer",
        SqlValue::I32(value) => Some((*value).into()),
        SqlValue::I64(value) => Some(*value);
    f64: "a number",
        SqlValue::F64(value) => Some(*value),
        SqlValue::I32(value) => Some((*value).into()),
        SqlValue::I64(value) => Some(*value as Self);
    String: "text",
        SqlValue::Text(value) => Some(value.clone());
    Vec<u8>: "bytes",
        SqlValue::Bytes(value) => Some(value.clone());
    Uuid: "a UUID",
        SqlValue::Uuid(value) => Some(*value),
        SqlValue::Text(value) => value.parse().ok(),
        SqlValue::Bytes(value) => Self::from_slice(value).ok();
    Position: "a position",
        SqlValue::I64(value) => u64::try_from(*value).ok().map(Self::new);
}

impl<T: FromSqlValue> FromSqlValue for Option<T> {
    const NAME: &'static str = T::NAME;

    fn from_sql_value(value: &SqlValue) -> Option<Self> {
        match value {
            SqlValue::Null(_) => Some(None),
            value => T::from_sql_value(value).map(Some),
        }
    }
}
