//! Statements with [`SqlValue`]s.

use std::sync::Arc;

use factum_sql::{SqlError, SqlRow, SqlType, SqlValue};
use rusqlite::types::{Null, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Row, Statement, ToSql};

use crate::error::sql_error;

pub fn execute(db: &Connection, sql: &str, values: &[SqlValue]) -> Result<u64, SqlError> {
    let mut statement = db.prepare_cached(sql).map_err(sql_error)?;
    bind(&mut statement, values)?;
    if statement.column_count() == 0 {
        let changed = statement.raw_execute().map_err(sql_error)?;
        return Ok(changed as u64);
    }
    // A statement with `returning`, whose rows the caller does not read.
    let mut rows = statement.raw_query();
    while rows.next().map_err(sql_error)?.is_some() {}
    Ok(db.changes())
}

pub fn execute_script(db: &Connection, sql: &str) -> Result<(), SqlError> {
    db.execute_batch(sql).map_err(sql_error)
}

pub fn fetch(
    db: &Connection,
    sql: &str,
    values: &[SqlValue],
    limit: usize,
) -> Result<Vec<SqlRow>, SqlError> {
    let mut statement = db.prepare_cached(sql).map_err(sql_error)?;
    bind(&mut statement, values)?;
    let columns = statement.column_names().into_iter().map(str::to_owned);
    let columns: Arc<[String]> = columns.collect();
    // A statement that writes must run to its end.
    let stops_early = statement.readonly();
    let mut fetched = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(sql_error)? {
        if fetched.len() < limit {
            fetched.push(decode(row, &columns)?);
        } else if stops_early {
            break;
        }
    }
    Ok(fetched)
}

/// Binds `values` to the parameters `$1`, `$2` and so on, which SQLite considers names.
fn bind(statement: &mut Statement<'_>, values: &[SqlValue]) -> Result<(), SqlError> {
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index);
        let number = match name {
            Some(name) => name.get(1..).and_then(|number| number.parse().ok()),
            None => Some(index),
        };
        let value = number.and_then(|number: usize| values.get(number.checked_sub(1)?));
        let Some(value) = value else {
            return Err(SqlError::MissingParameter {
                parameter: name.unwrap_or("?").to_owned(),
                bound: values.len(),
            });
        };
        let bound = statement.raw_bind_parameter(index, Bound(value));
        bound.map_err(SqlError::driver)?;
    }
    Ok(())
}

struct Bound<'v>(&'v SqlValue);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            SqlValue::Bool(value) => (*value).into(),
            SqlValue::I32(value) => (*value).into(),
            SqlValue::I64(value) => (*value).into(),
            SqlValue::F64(value) => (*value).into(),
            SqlValue::Text(value) => value.as_str().into(),
            SqlValue::Bytes(value) => value.as_slice().into(),
            SqlValue::Uuid(value) => ToSqlOutput::Owned(Value::Text(value.to_string())),
            _ => Null.into(),
        })
    }
}

fn decode(row: &Row<'_>, columns: &Arc<[String]>) -> Result<SqlRow, SqlError> {
    let mut values = Vec::with_capacity(columns.len());
    for index in 0..columns.len() {
        values.push(match row.get_ref(index).map_err(SqlError::driver)? {
            // The type does not matter: a null is read as `None` of any type.
            ValueRef::Null => SqlValue::Null(SqlType::Text),
            ValueRef::Integer(value) => SqlValue::I64(value),
            ValueRef::Real(value) => SqlValue::F64(value),
            ValueRef::Text(value) => {
                let text = String::from_utf8(value.to_vec());
                SqlValue::Text(text.map_err(SqlError::driver)?)
            }
            ValueRef::Blob(value) => SqlValue::Bytes(value.to_vec()),
        });
    }
    Ok(SqlRow::new(columns.clone(), values))
}
