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

    pub(crate) async fn fetch_all(
        self,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<sqlx::sqlite::SqliteRow>, Fault> {
        let query = sqlx::query_with(AssertSqlSafe(self.text), self.arguments);
        Ok(query.fetch_all(connection).await?)
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
        let groups = groups(items);
        self.push(" and (");
        self.join(" or ", &groups, Self::group)?;
        self.push(")");
        if groups.iter().all(|group| !matches!(group.tags, Tags::Any)) {
            // Follows from the above; said apart so that SQLite goes by the index of tags.
            self.push(" and e.position in (");
            self.join(" union ", &groups, |sql, group| {
                sql.push("select * from (");
                sql.tagged(&group.tags)?;
                sql.push(")");
                Ok(())
            })?;
            self.push(")");
        }
        Ok(())
    }

    fn group(&mut self, group: &Group<'_>) -> Result<(), Fault> {
        let Group { item, tags } = group;
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
            self.push(" and e.name in (select value from json_each(");
            self.bind(json(&item.names)?)?.push("))");
        }
        if !matches!(tags, Tags::Any) {
            self.push(" and e.position in (");
            self.tagged(tags)?;
            self.push(")");
        }
        self.push(")");
        Ok(())
    }

    /// The positions of the events that carry `tags`.
    fn tagged(&mut self, tags: &Tags<'_>) -> Result<(), Fault> {
        match tags {
            Tags::Any => Ok(()),
            Tags::OneOf(tags) => {
                self.push(
                    "select position from factum_tag where tag in (select value from json_each(",
                );
                self.bind(json(tags)?)?.push("))");
                Ok(())
            }
            Tags::All(tags) => self.join(" intersect ", *tags, |sql, tag| {
                sql.push("select position from factum_tag where tag = ");
                sql.bind(tag.as_str()).map(drop)
            }),
        }
    }
}

/// Alternatives of a query that differ in nothing but their one tag are one: SQLite takes 500 selects in a
/// union, and an expression 1,000 deep.
struct Group<'q> {
    item: &'q QueryItem,
    tags: Tags<'q>,
}

enum Tags<'q> {
    Any,
    OneOf(Vec<&'q Tag>),
    All(&'q [Tag]),
}

fn groups(items: &[QueryItem]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for item in items {
        let tags = match &item.tags[..] {
            [] => Tags::Any,
            [tag] => {
                let same = groups.iter_mut().find_map(|group| match &mut group.tags {
                    Tags::OneOf(tags) if differ_in_tags_only(group.item, item) => Some(tags),
                    _ => None,
                });
                match same {
                    Some(tags) => {
                        tags.push(tag);
                        continue;
                    }
                    None => Tags::OneOf(vec![tag]),
                }
            }
            tags => Tags::All(tags),
        };
        groups.push(Group { item, tags });
    }
    groups
}

fn differ_in_tags_only(one: &QueryItem, other: &QueryItem) -> bool {
    one.category == other.category
        && one.stream_prefix == other.stream_prefix
        && one.names == other.names
}

fn json(values: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(values).map_err(Fault::corrupt)
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
