//! Errors of statements that the database rejects because a text in braces was not replaced.

use crate::error::SqlError;

/// Names the text in braces that may be the cause of the `error` of a projection or a view.
pub fn explain_statement(error: SqlError, sql: &str) -> SqlError {
    match (error, name_in_braces(sql)) {
        (SqlError::Driver(error), Some(text)) => SqlError::TableName {
            text: text.to_owned(),
            error,
        },
        (other, _) => other,
    }
}

/// Names the text in braces that may be the cause of the `error` of a query with plain names.
pub fn explain_query(error: SqlError, sql: &str) -> SqlError {
    match (error, name_in_braces(sql)) {
        (SqlError::Driver(error), Some(text)) => SqlError::Braces {
            text: text.to_owned(),
            error,
        },
        (other, _) => other,
    }
}

/// Returns the first text in braces outside of literals that looks like a name.
fn name_in_braces(sql: &str) -> Option<&str> {
    let outside_of_literals = sql.split('\'').step_by(2);
    let texts = outside_of_literals.flat_map(|part| part.split('{').skip(1));
    let mut texts = texts.filter_map(|text| Some(text.split_once('}')?.0));
    texts.find(|text| !text.is_empty() && !text.contains([' ', '\n', ',', ':', '"', '[']))
}
