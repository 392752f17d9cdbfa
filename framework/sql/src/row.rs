//! [`SqlRow`] and [`FromRow`]: the rows that a query returns.

use std::sync::Arc;

use factum_core::position::Position;
use uuid::Uuid;

use crate::error::SqlError;
use crate::value::{FromSqlValue, SqlValue};

/// A row of a query.
#[derive(Debug, Clone)]
pub struct SqlRow {
    columns: Arc<[String]>,
    values: Vec<SqlValue>,
}

impl SqlRow {
    /// Creates a row. All rows of a query share the names of the columns.
    #[must_use]
    pub fn new(columns: Arc<[String]>, values: Vec<SqlValue>) -> Self {
        Self { columns, values }
    }

    /// Returns the value of a column, selected by its index from 0 or its name.
    ///
    /// # Errors
    /// Returns [`SqlError`] if there is no such column, or its value has another type.
    pub fn get<T: FromSqlValue>(&self, column: impl ColumnIndex) -> Result<T, SqlError> {
        let index = column.find(&self.columns);
        let found = index.and_then(|index| Some((index, self.values.get(index)?)));
        let Some((index, value)) = found else {
            return Err(SqlError::ColumnNotFound {
                column: column.describe(),
                columns: self.values.len(),
            });
        };
        T::from_sql_value(value).ok_or_else(|| SqlError::ColumnType {
            column: match self.columns.get(index) {
                Some(name) => format!("{name:?}"),
                None => index.describe(),
            },
            found: value.type_name().to_owned(),
            expected: T::NAME,
        })
    }
}

/// The index or the name of a column.
pub trait ColumnIndex: Copy {
    /// Returns the index of the column, if there is one.
    fn find(self, columns: &[String]) -> Option<usize>;

    /// Describes the column in an error message.
    fn describe(self) -> String;
}

impl ColumnIndex for usize {
    fn find(self, columns: &[String]) -> Option<usize> {
        (self < columns.len()).then_some(self)
    }

    fn describe(self) -> String {
        self.to_string()
    }
}

impl ColumnIndex for &str {
    fn find(self, columns: &[String]) -> Option<usize> {
        columns.iter().position(|column| column == self)
    }

    fn describe(self) -> String {
        format!("{self:?}")
    }
}

/// A type that can be read from a row: a single value, or a tuple of up to eight.
///
/// Implement it for custom types.
///
/// ```
/// use factum_sql::{FromRow, SqlError, SqlRow};
///
/// struct Account { id: String, balance: i64 }
///
/// impl FromRow for Account {
///     fn from_row(row: &SqlRow) -> Result<Self, SqlError> {
///         Ok(Self { id: row.get("id")?, balance: row.get("balance")? })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a row",
    label = "not a row",
    note = "use a `bool`, `i32`, `i64`, `f64`, `String`, `Vec<u8>`, `Uuid`, an `Option` of one, a tuple of them, or implement `FromRow`"
)]
pub trait FromRow: Sized {
    /// Reads the row.
    ///
    /// # Errors
    /// Returns [`SqlError`] if a column is missing or has another type.
    fn from_row(row: &SqlRow) -> Result<Self, SqlError>;
}

macro_rules! row_of_one {
    ($($type:ty)*) => {$(
        impl FromRow for $type {
            fn from_row(row: &SqlRow) -> Result<Self, SqlError> {
                row.get(0)
            }
        }
    )*};
}

row_of_one! { bool i32 i64 f64 String Vec<u8> Uuid Position }

impl<T: FromSqlValue> FromRow for Option<T> {
    fn from_row(row: &SqlRow) -> Result<Self, SqlError> {
        row.get(0)
    }
}

macro_rules! row_of_several {
    ($($type:ident $index:tt),*) => {
        impl<$($type: FromSqlValue),*> FromRow for ($($type,)*) {
            fn from_row(row: &SqlRow) -> Result<Self, SqlError> {
                Ok(($(row.get::<$type>($index)?,)*))
            }
        }
    };
}

row_of_several!(A 0);
row_of_several!(A 0, B 1);
row_of_several!(A 0, B 1, C 2);
row_of_several!(A 0, B 1, C 2, D 3);
row_of_several!(A 0, B 1, C 2, D 3, E 4);
row_of_several!(A 0, B 1, C 2, D 3, E 4, F 5);
row_of_several!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
row_of_several!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
