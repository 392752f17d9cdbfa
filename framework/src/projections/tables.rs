//! The names of the tables of one build, for read models in a database.

use super::json;
use crate::document::Changes;
use crate::error::StoreError;

/// Fills in the names of the tables of `build` where `sql` has names in braces, e.g. `{owner}`, and tells `seen` of each
/// name. Readers use the plain name, which is a view of the build that they see. What is in braces but no name (1 to
/// 50 lower-case letters, digits and `_`, the first no digit) stays as it is.
///
/// ```
/// use factum::projections::fill_in;
///
/// let sql = fill_in("insert into {owner} values ('{}')", 3, |name| assert_eq!(name, "owner"));
/// assert_eq!(sql, "insert into owner__3 values ('{}')");
/// ```
pub fn fill_in(sql: &str, build: u64, mut seen: impl FnMut(&str)) -> String {
    let mut filled = String::with_capacity(sql.len() + 16);
    let mut rest = sql;
    while let Some((ahead, behind)) = rest.split_once('{') {
        filled.push_str(ahead);
        match behind.split_once('}') {
            Some((name, behind)) if is_name(name) => {
                seen(name);
                filled.push_str(&table(name, build));
                rest = behind;
            }
            _ => {
                filled.push('{');
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// The name of the table `name` of `build`.
#[must_use]
pub fn table(name: &str, build: u64) -> String {
    format!("{name}__{build}")
}

/// The key of the document that lists the tables of `build` of the projection `name`.
#[must_use]
pub fn tables_key(name: &str, build: u64) -> String {
    format!("tables/{name}/{build:010}")
}

/// The key of the document that lists the views that readers of the projection `name` use.
#[must_use]
pub fn views_key(name: &str) -> String {
    format!("views/{name}")
}

/// The change that lists `names` under `key`.
///
/// # Errors
/// [`StoreError::Failed`] if they cannot be written as JSON.
pub fn list(key: String, names: &[String]) -> Result<Changes, StoreError> {
    Ok(Changes::new().put(key, json(&names)?))
}

/// The names that `value` lists, which was found under `key`; none, if nothing was.
///
/// # Errors
/// [`StoreError::Corrupt`] if it is no list of names.
pub fn listed(key: &str, value: Option<&str>) -> Result<Vec<String>, StoreError> {
    let names = value.map(serde_json::from_str).transpose();
    let names =
        names.map_err(|error| StoreError::Corrupt(format!("the document {key:?}: {error}")))?;
    Ok(names.unwrap_or_default())
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && name.len() <= 50
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
