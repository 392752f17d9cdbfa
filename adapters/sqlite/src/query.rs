//! A [`Query`] as SQL, over `factum_event e`.

use factum::{Condition, Position, Query, QueryItem, Tag};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Encode, Row as _, Sqlite, SqliteConnection, Type};

use crate::error::Fault;

/// SQL with its arguments; only fixed text goes into it, everything foreign is bound.
#[derive(Default)]
pub(crate) struct Sql {
    text: String,
    arguments: SqliteArguments,
}

impl Sql {
    pub(crate) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(crate) fn bind<'v>(
        &mut self,
        value: impl Encode<'v, Sqlite> + Type<Sqlite>,
    ) -> Result<&mut Self, Fault> {
        self.text.push('?');
        let bound = self.arguments.add(value);
        bound.map_err(|error| Fault::from(sqlx::Error::Encode(error)))?;
        Ok(self)
    }

    pub(crate) async fn fetch_one(
        self,
        connection: &mut SqliteConnection,
    ) -> Result<sqlx::sqlite::SqliteRow, Fault> {
        let query = sqlx::query_with(AssertSqlSafe(self.text), self.arguments);
        Ok(query.fetch_one(connection).await?)
    }

    /// Writes `parts` with `separator` between them.
    fn join<T>(
        &mut self,
        separator: &'static str,
        parts: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                self.push(separator);
            }
            write(self, part)?;
        }
        Ok(())
    }

    /// `e` matches `query`. Writes nothing for a query that every event matches, else it begins with `and`.
    pub(crate) fn and_matches(&mut self, query: &Query) -> Result<(), Fault> {
        let items = query.items();
        if items.is_empty() || items.iter().any(matches_all) {
            return Ok(());
        }
        self.push(" and (");
        self.join(" or ", items, Self::item)?;
        self.push(")");
        if items.iter().all(|item| !item.tags.is_empty()) {
            // Follows from the above; said apart so that SQLite goes by the index of tags.
            self.push(" and e.position in (");
            self.join(" union ", items, |sql, item| {
                sql.push("select * from (");
                sql.tagged(&item.tags)?;
                sql.push(")");
                Ok(())
            })?;
            self.push(")");
        }
        Ok(())
    }

    fn item(&mut self, item: &QueryItem) -> Result<(), Fault> {
        self.push("(true");
        if let Some(category) = &item.category {
            self.push(" and exists (select 1 from factum_stream s where s.key = e.stream and s.category = ");
            self.bind(category.as_str())?.push(")");
        }
        if let Some(prefix) = &item.stream_prefix {
            self.push(" and exists (select 1 from factum_stream s where s.key = e.stream and substr(s.id, 1, ");
            self.bind(prefix.chars().count() as i64)?.push(") = ");
            self.bind(prefix.as_str())?.push(")");
        }
        if !item.names.is_empty() {
            self.push(" and e.name in (");
            self.join(", ", &item.names, |sql, name| {
                sql.bind(name.as_str()).map(drop)
            })?;
            self.push(")");
        }
        if !item.tags.is_empty() {
            self.push(" and e.position in (");
            self.tagged(&item.tags)?;
            self.push(")");
        }
        self.push(")");
        Ok(())
    }

    /// The positions of the events that carry all of `tags`.
    fn tagged(&mut self, tags: &[Tag]) -> Result<(), Fault> {
        self.join(" intersect ", tags, |sql, tag| {
            sql.push("select position from factum_tag where tag = ");
            sql.bind(tag.as_str()).map(drop)
        })
    }
}

fn matches_all(item: &QueryItem) -> bool {
    *item == QueryItem::default()
}

/// The newest event that violates `condition`.
pub(crate) async fn newest_match(
    connection: &mut SqliteConnection,
    condition: &Condition,
) -> Result<Option<Position>, Fault> {
    let mut sql = Sql::default();
    sql.push("select max(e.position) from factum_event e where e.position > ");
    sql.bind(condition.after.get() as i64)?;
    sql.and_matches(&condition.query)?;
    let row = sql.fetch_one(connection).await?;
    let found: Option<i64> = row.try_get(0)?;
    Ok(found.map(|position| Position::new(position as u64)))
}
