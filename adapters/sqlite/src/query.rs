//! A [`Query`] as an SQL condition on `factum_event e`.

use factum_core::append::AppendCondition;
use factum_core::position::Position;
use factum_core::query::{Query, QueryItem};
use factum_core::tag::Tag;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::error::BackendError;

/// The maximum number of selects in one union; SQLite accepts 500.
const MAX_UNION: usize = 400;
/// The maximum number of tags that are intersected one by one; SQLite accepts 500.
const MAX_INTERSECTION: usize = 16;

/// The text of a statement and its arguments; all values are bound.
#[derive(Default)]
pub struct SqlBuilder {
    text: String,
    arguments: Vec<Value>,
}

impl SqlBuilder {
    pub fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.text.push('?');
        self.arguments.push(value.into());
        self
    }

    /// Executes the statement, and calls `handle_row` for each row until it returns `false`.
    pub fn for_each(
        self,
        connection: &Connection,
        mut handle_row: impl FnMut(&Row<'_>) -> Result<bool, BackendError>,
    ) -> Result<(), BackendError> {
        let mut statement = connection.prepare_cached(&self.text)?;
        let mut rows = statement.query(params_from_iter(self.arguments))?;
        while let Some(row) = rows.next()? {
            if !handle_row(row)? {
                break;
            }
        }
        Ok(())
    }

    /// Appends `and` and the condition that `e` matches `query`; appends nothing if every event matches.
    pub fn push_query(&mut self, query: &Query) -> Result<(), BackendError> {
        let items = query.items();
        if items.is_empty() || items.iter().any(matches_all) {
            return Ok(());
        }
        let groups = groups(items);
        self.push(" and ");
        self.push_groups(&groups)?;
        if groups
            .iter()
            .all(|group| !matches!(group.tags, TagFilter::Any))
        {
            // This follows from the condition above. Without it, SQLite would not use the index on tags.
            self.push(" and e.position in (");
            self.push_union(&groups)?;
            self.push(")");
        }
        Ok(())
    }

    /// Appends the condition that one of `groups` matches.
    ///
    /// The groups are split in halves, because SQLite limits the depth of an expression to 1,000.
    fn push_groups(&mut self, groups: &[ItemGroup<'_>]) -> Result<(), BackendError> {
        if let [group] = groups {
            return self.push_group(group);
        }
        let (left, right) = groups.split_at(groups.len() / 2);
        self.push("(");
        self.push_groups(left)?;
        self.push(" or ");
        self.push_groups(right)?;
        self.push(")");
        Ok(())
    }

    /// Appends a query for the positions of the events with the tags of one of `groups`, as nested unions.
    fn push_union(&mut self, groups: &[ItemGroup<'_>]) -> Result<(), BackendError> {
        let size = groups.len().div_ceil(MAX_UNION).max(1);
        for (index, part) in groups.chunks(size).enumerate() {
            self.push(if index == 0 { "" } else { " union " });
            self.push("select * from (");
            match part {
                [group] => self.push_tagged(&group.tags)?,
                parts => self.push_union(parts)?,
            }
            self.push(")");
        }
        Ok(())
    }

    fn push_group(&mut self, group: &ItemGroup<'_>) -> Result<(), BackendError> {
        let ItemGroup { item, tags } = group;
        self.push("(true");
        if let Some(category) = &item.category {
            self.push(" and exists (select 1 from factum_stream s where s.key = e.stream and s.category = ");
            self.bind(category.clone()).push(")");
        }
        if let Some(prefix) = &item.stream_prefix {
            self.push(" and exists (select 1 from factum_stream s where s.key = e.stream and substr(s.id, 1, ");
            self.bind(prefix.chars().count() as i64).push(") = ");
            self.bind(prefix.clone()).push(")");
        }
        if !item.event_types.is_empty() {
            self.push(" and e.name in (select value from json_each(");
            self.bind(json(&item.event_types)?).push("))");
        }
        if !matches!(tags, TagFilter::Any) {
            self.push(" and e.position in (");
            self.push_tagged(tags)?;
            self.push(")");
        }
        self.push(")");
        Ok(())
    }

    /// Appends a query for the positions of the events that match `tags`.
    fn push_tagged(&mut self, tags: &TagFilter<'_>) -> Result<(), BackendError> {
        match tags {
            TagFilter::Any => {}
            TagFilter::OneOf(tags) => {
                self.push(
                    "select position from factum_tag where tag in (select value from json_each(",
                );
                self.bind(json(tags)?).push("))");
            }
            TagFilter::AllOfOne(alternatives) => match &alternatives[..] {
                [tags] if tags.len() <= MAX_INTERSECTION => {
                    for (index, tag) in tags.iter().enumerate() {
                        self.push(if index == 0 { "" } else { " intersect " });
                        self.push("select position from factum_tag where tag = ");
                        self.bind(tag.as_str().to_owned());
                    }
                }
                alternatives => {
                    self.push(include_str!("sql/all_tags.sql"));
                    self.arguments.push(json(alternatives)?.into());
                }
            },
        }
        Ok(())
    }
}

/// Items of a query that differ only in their tags.
struct ItemGroup<'q> {
    /// The first item, for all members but the tags.
    item: &'q QueryItem,
    tags: TagFilter<'q>,
}

/// The tags that an event must have.
enum TagFilter<'q> {
    Any,
    OneOf(Vec<&'q Tag>),
    /// All tags of one of the lists.
    AllOfOne(Vec<&'q [Tag]>),
}

impl<'q> TagFilter<'q> {
    fn of(tags: &'q [Tag]) -> Self {
        match tags {
            [] => Self::Any,
            [tag] => Self::OneOf(vec![tag]),
            tags => Self::AllOfOne(vec![tags]),
        }
    }

    /// Merges `other` into this filter, and returns whether that was possible.
    fn try_merge(&mut self, other: &mut Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => {}
            (Self::OneOf(tags), Self::OneOf(other)) => tags.append(other),
            (Self::AllOfOne(tags), Self::AllOfOne(other)) => tags.append(other),
            _ => return false,
        }
        true
    }
}

fn groups(items: &[QueryItem]) -> Vec<ItemGroup<'_>> {
    let mut groups: Vec<ItemGroup<'_>> = Vec::new();
    for item in items {
        let mut tags = TagFilter::of(&item.tags);
        let mut candidates = groups
            .iter_mut()
            .filter(|group| differ_only_in_tags(group.item, item));
        if !candidates.any(|group| group.tags.try_merge(&mut tags)) {
            groups.push(ItemGroup { item, tags });
        }
    }
    groups
}

fn differ_only_in_tags(one: &QueryItem, other: &QueryItem) -> bool {
    one.category == other.category
        && one.stream_prefix == other.stream_prefix
        && one.event_types == other.event_types
}

fn json(values: &(impl serde::Serialize + ?Sized)) -> Result<String, BackendError> {
    serde_json::to_string(values).map_err(BackendError::corrupt)
}

fn matches_all(item: &QueryItem) -> bool {
    *item == QueryItem::default()
}

/// Returns the newest event that violates `condition`.
pub fn newest_match(
    connection: &Connection,
    condition: &AppendCondition,
) -> Result<Option<Position>, BackendError> {
    let mut sql = SqlBuilder::default();
    sql.push("select max(e.position) from factum_event e where e.position > ");
    sql.bind(condition.after.get() as i64);
    sql.push_query(&condition.query)?;
    let mut found: Option<i64> = None;
    sql.for_each(connection, |row| {
        found = row.get(0)?;
        Ok(true)
    })?;
    Ok(found.map(|position| Position::new(position as u64)))
}
