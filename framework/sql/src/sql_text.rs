//! [`SqlText`]: the text of a statement; and [`TrustedSql`]: a text that is built at run time.

use std::borrow::Cow;

/// The text of a statement: a constant, or a [`TrustedSql`].
///
/// A constant cannot contain input of a user, so it is safe from SQL injection. Pass values with `bind`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not accepted as the text of a statement, because it may contain input of a user",
    label = "neither a constant nor a `TrustedSql`",
    note = "pass values with `bind`, and wrap a text that is built from constants: `TrustedSql(text)`"
)]
pub trait SqlText {
    /// Returns the text.
    fn into_text(self) -> Cow<'static, str>;
}

/// The text of a statement that is built at run time, for example with a column to sort by.
///
/// The caller asserts that the text contains nothing but constants. Values of users are bound.
///
/// ```
/// # use factum_sql::{SqlDatabase, SqlDatabaseExt as _, TrustedSql};
/// # async fn list(store: impl SqlDatabase, newest_first: bool) -> Result<(), factum_sql::SqlError> {
/// let order = if newest_first { "desc" } else { "asc" };
/// let sql = TrustedSql(format!("select name from owner where name <> $1 order by name {order}"));
/// let names: Vec<String> = store.query(sql).bind("alice").fetch_all().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedSql(pub String);

impl SqlText for &'static str {
    fn into_text(self) -> Cow<'static, str> {
        Cow::Borrowed(self)
    }
}

impl SqlText for TrustedSql {
    fn into_text(self) -> Cow<'static, str> {
        Cow::Owned(self.0)
    }
}
