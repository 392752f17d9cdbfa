//! A [`Query`] as SQL, over `factum_event e`.

use factum::{AppendCondition, Position, Query, QueryItem, Tag};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::error::Fault;

/// SQL with its arguments; only fixed text goes into it, everything foreign is bound.
#[derive(Default)]
pub(crate) struct Sql {
    text: String,
    arguments: Vec<Value>,
}

impl Sql {
    pub(crate) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.text.push('?');
        self.arguments.push(value.into());
        self
    }

    /// Calls `take` for each row until it says that this is enough.
    pub(crate) fn each(
        self,
        connection: &Connection,
        mut take: impl FnMut(&Row<'_>) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let mut statement = connection.prepare_cached(&self.text)?;
        let mut rows = statement.query(params_from_iter(self.arguments))?;
        while let Some(row) = rows.next()? {
            if !take(row)? {
                break;
            }
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
        self.push(" and ");
        self.any(&groups)?;
        if groups.iter().all(|group| !matches!(group.tags, Tags::Any)) {
            // Follows from the above; said apart so that SQLite goes by the index of tags.
            self.push(" and e.position in (");
            self.union(&groups)?;
            self.push(")");
        }
        Ok(())
    }

    /// One of `groups` matches. In halves, since SQLite takes an expression no more than 1,000 deep.
    fn any(&mut self, groups: &[Group<'_>]) -> Result<(), Fault> {
        if let [group] = groups {
            return self.group(group);
        }
        let (left, right) = groups.split_at(groups.len() / 2);
        self.push("(");
        self.any(left)?;
        self.push(" or ");
        self.any(right)?;
        self.push(")");
        Ok(())
    }

    /// The positions of the events that carry the tags of one of `groups`. In parts, since SQLite takes no more than
    /// 500 selects in a union.
    fn union(&mut self, groups: &[Group<'_>]) -> Result<(), Fault> {
        const MOST: usize = 400;
        let size = groups.len().div_ceil(MOST).max(1);
        for (index, part) in groups.chunks(size).enumerate() {
            self.push(if index == 0 { "" } else { " union " });
            self.push("select * from (");
            match part {
                [group] => self.tagged(&group.tags)?,
                parts => self.union(parts)?,
            }
            self.push(")");
        }
        Ok(())
    }

    fn group(&mut self, group: &Group<'_>) -> Result<(), Fault> {
        let Group { item, tags } = group;
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
        if !item.names.is_empty() {
            self.push(" and e.name in (select value from json_each(");
            self.bind(json(&item.names)?).push("))");
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
            Tags::Any => {}
            Tags::OneOf(tags) => {
                self.push(
                    "select position from factum_tag where tag in (select value from json_each(",
                );
                self.bind(json(tags)?).push("))");
            }
            Tags::AllOf(alternatives) => match &alternatives[..] {
                [tags] => {
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

/// Alternatives of a query that differ in nothing but their tags are one.
struct Group<'q> {
    item: &'q QueryItem,
    tags: Tags<'q>,
}

enum Tags<'q> {
    Any,
    OneOf(Vec<&'q Tag>),
    /// All tags of one of these.
    AllOf(Vec<&'q [Tag]>),
}

impl<'q> Tags<'q> {
    fn of(tags: &'q [Tag]) -> Self {
        match tags {
            [] => Self::Any,
            [tag] => Self::OneOf(vec![tag]),
            tags => Self::AllOf(vec![tags]),
        }
    }

    /// Whether `other` could be taken in.
    fn takes(&mut self, other: &mut Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => {}
            (Self::OneOf(tags), Self::OneOf(other)) => tags.append(other),
            (Self::AllOf(tags), Self::AllOf(other)) => tags.append(other),
            _ => return false,
        }
        true
    }
}

fn groups(items: &[QueryItem]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for item in items {
        let mut tags = Tags::of(&item.tags);
        let mut alike = groups
            .iter_mut()
            .filter(|group| differ_in_tags_only(group.item, item));
        if !alike.any(|group| group.tags.takes(&mut tags)) {
            groups.push(Group { item, tags });
        }
    }
    groups
}

fn differ_in_tags_only(one: &QueryItem, other: &QueryItem) -> bool {
    one.category == other.category
        && one.stream_prefix == other.stream_prefix
        && one.names == other.names
}

fn json(values: &(impl serde::Serialize + ?Sized)) -> Result<String, Fault> {
    serde_json::to_string(values).map_err(Fault::corrupt)
}

fn matches_all(item: &QueryItem) -> bool {
    *item == QueryItem::default()
}

/// The newest event that violates `condition`.
pub(crate) fn newest_match(
    connection: &Connection,
    condition: &AppendCondition,
) -> Result<Option<Position>, Fault> {
    let mut sql = Sql::default();
    sql.push("select max(e.position) from factum_event e where e.position > ");
    sql.bind(condition.after.get() as i64);
    sql.and_matches(&condition.query)?;
    let mut found: Option<i64> = None;
    sql.each(connection, |row| {
        found = row.get(0)?;
        Ok(true)
    })?;
    Ok(found.map(|position| Position::new(position as u64)))
}
