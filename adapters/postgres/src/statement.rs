//! Statements with [`SqlValue`]s.

use std::sync::Arc;

use factum_sql::{BoxError, SqlError, SqlRow, SqlType, SqlValue};
use sqlx::postgres::{PgArguments, PgConnection, PgRow, PgValueRef};
use sqlx::query::Query;
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, Connection as _, Decode, Postgres, Row as _,
    TypeInfo as _, ValueRef as _,
};
use uuid::Uuid;

use crate::error::{is_outdated_plan, sql_error};

pub async fn execute(
    db: &mut PgConnection,
    sql: &str,
    values: &[SqlValue],
) -> Result<u64, SqlError> {
    let executed = bind(sql, values)?.execute(db).await;
    Ok(executed.map_err(sql_error)?.rows_affected())
}

pub async fn execute_script(db: &mut PgConnection, sql: &str) -> Result<(), SqlError> {
    let executed = sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await;
    executed.map(drop).map_err(sql_error)
}

pub async fn fetch(
    db: &mut PgConnection,
    sql: &str,
    values: &[SqlValue],
    limit: usize,
) -> Result<Vec<SqlRow>, SqlError> {
    let query = bind(sql, values)?;
    let rows = match limit {
        1 => query.fetch_optional(&mut *db).await.map(Vec::from_iter),
        _ => query.fetch_all(&mut *db).await,
    };
    if rows.as_ref().is_err_and(is_outdated_plan) {
        // The transaction has failed. Without this, the statement would fail on this connection again and again.
        db.clear_cached_statements().await.map_err(sql_error)?;
    }
    let rows = rows.map_err(sql_error)?;
    let Some(first) = rows.first() else {
        return Ok(Vec::new());
    };
    let columns = first
        .columns()
        .iter()
        .map(|column| column.name().to_owned());
    let columns: Arc<[String]> = columns.collect();
    let rows = rows.iter().take(limit);
    rows.map(|row| decode(row, &columns)).collect()
}

fn bind(sql: &str, values: &[SqlValue]) -> Result<Query<'static, Postgres, PgArguments>, SqlError> {
    let mut arguments = PgArguments::default();
    for value in values {
        let added = match value {
            SqlValue::Bool(value) => arguments.add(value),
            SqlValue::I32(value) => arguments.add(value),
            SqlValue::I64(value) => arguments.add(value),
            SqlValue::F64(value) => arguments.add(value),
            SqlValue::Text(value) => arguments.add(value),
            SqlValue::Bytes(value) => arguments.add(value),
            SqlValue::Uuid(value) => arguments.add(value),
            SqlValue::Null(SqlType::Bool) => arguments.add(None::<bool>),
            SqlValue::Null(SqlType::I32) => arguments.add(None::<i32>),
            SqlValue::Null(SqlType::I64) => arguments.add(None::<i64>),
            SqlValue::Null(SqlType::F64) => arguments.add(None::<f64>),
            SqlValue::Null(SqlType::Bytes) => arguments.add(None::<Vec<u8>>),
            SqlValue::Null(SqlType::Uuid) => arguments.add(None::<Uuid>),
            _ => arguments.add(None::<String>),
        };
        added.map_err(SqlError::driver)?;
    }
    Ok(sqlx::query_with(AssertSqlSafe(sql), arguments))
}

fn decode(row: &PgRow, columns: &Arc<[String]>) -> Result<SqlRow, SqlError> {
    let mut values = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let value = row.try_get_raw(index).map_err(SqlError::driver)?;
        let type_info = value.type_info().into_owned();
        let decoded = decode_value(value).map_err(SqlError::driver)?;
        values.push(decoded.ok_or_else(|| SqlError::UnsupportedType {
            column: format!("{column:?}"),
            sql_type: type_info.name().to_owned(),
        })?);
    }
    Ok(SqlRow::new(columns.clone(), values))
}

/// Decodes a value, or returns `None` if its type is not supported.
fn decode_value(value: PgValueRef<'_>) -> Result<Option<SqlValue>, BoxError> {
    // The type does not matter: a null is read as `None` of any type.
    if value.is_null() {
        return Ok(Some(SqlValue::Null(SqlType::Text)));
    }
    let type_info = value.type_info().into_owned();
    Ok(Some(match type_info.name() {
        "BOOL" => SqlValue::Bool(column::<bool>(value)?),
        "INT2" => SqlValue::I64(column::<i16>(value)?.into()),
        "INT4" => SqlValue::I64(column::<i32>(value)?.into()),
        "INT8" => SqlValue::I64(column::<i64>(value)?),
        "FLOAT4" => SqlValue::F64(column::<f32>(value)?.into()),
        "FLOAT8" => SqlValue::F64(column::<f64>(value)?),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" | "JSON" => {
            SqlValue::Text(column::<String>(value)?)
        }
        // Text, after the number of the format.
        "JSONB" => SqlValue::Text(
            column::<String>(value)?
                .trim_start_matches('\u{1}')
                .to_owned(),
        ),
        "BYTEA" => SqlValue::Bytes(column::<Vec<u8>>(value)?),
        "UUID" => SqlValue::Uuid(column::<Uuid>(value)?),
        _ => return Ok(None),
    }))
}

fn column<'r, T: Decode<'r, Postgres>>(value: PgValueRef<'r>) -> Result<T, BoxError> {
    T::decode(value)
}
