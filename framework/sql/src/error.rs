//! [`SqlError`]: a statement failed.

use factum_core::error::{BoxError, StoreError};

/// A statement failed, or its result cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The driver returned an error, which is the source.
    #[error("the database did not execute the statement")]
    Driver(#[source] BoxError),
    /// The database rejected a statement with a text in braces that is not a table name.
    #[error(
        "the database did not execute the statement: `{{{text}}}` is not a table name; \
         use 1 to 50 of a-z, 0-9 and _, and do not start with a digit"
    )]
    TableName {
        /// The text in braces.
        text: String,
        /// The error of the driver.
        #[source]
        error: BoxError,
    },
    /// The database rejected a query of the store with a table name in braces.
    #[error(
        "the database did not execute the query: `{{{text}}}` is replaced only in projections and views; \
         write the name without braces"
    )]
    Braces {
        /// The text in braces.
        text: String,
        /// The error of the driver.
        #[source]
        error: BoxError,
    },
    /// The store is closed or unavailable, for example because all connections are in use.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A query that must return a row returned none.
    #[error("the query returned no row; use `fetch_optional` if that is valid")]
    NoRow,
    /// A query returned fewer columns than the Rust type has.
    #[error("column not found: {column}; number of columns in the result: {columns}")]
    ColumnNotFound {
        /// The name or the index of the column.
        column: String,
        /// The number of columns.
        columns: usize,
    },
    /// A value does not have the expected type.
    #[error("cannot decode column {column}: found {found}, expected {expected}")]
    ColumnType {
        /// The name of the column.
        column: String,
        /// The type of the value.
        found: String,
        /// The Rust type.
        expected: &'static str,
    },
    /// The driver returned a value of a type that the generic layer does not know.
    #[error(
        "cannot decode column {column} of type {sql_type}; cast it in the query, for example to bigint or text"
    )]
    UnsupportedType {
        /// The name of the column.
        column: String,
        /// The name of the type in the database.
        sql_type: String,
    },
    /// A bound number is NaN or infinite. SQLite would store NaN as null.
    #[error("parameter ${parameter} is {value}; bind a finite number, or an `Option`")]
    NotFinite {
        /// The number of the parameter, from 1.
        parameter: usize,
        /// The bound value.
        value: f64,
    },
    /// A statement has more or other parameters than the number of bound values.
    #[error("parameter {parameter} has no value; number of bound values: {bound}")]
    MissingParameter {
        /// The parameter.
        parameter: String,
        /// The number of bound values.
        bound: usize,
    },
}

impl SqlError {
    /// Creates the error of a driver.
    #[must_use]
    pub fn driver(error: impl Into<BoxError>) -> Self {
        Self::Driver(error.into())
    }
}
