//! A [`Query`] as an SQL condition on `event e`.

use factum_core::query::{Query, QueryItem};
use sqlx::{Postgres, QueryBuilder};

/// The tags that an event must have.
enum TagFilter {
    AllOf(Vec<String>),
    AnyOf(Vec<String>),
}

/// Appends `and` and the condition that `e` matches `query`; appends nothing if every event matches.
///
/// All values are bound.
pub fn push_query(sql: &mut QueryBuilder<Postgres>, query: &Query) {
    let items = query.items();
    if items.is_empty() || items.iter().any(|item| *item == QueryItem::default()) {
        return;
    }
    sql.push(" and (false");
    // Items that differ only in a single tag are merged: thousands of tags become one array.
    let mut merged = vec![false; items.len()];
    for (index, item) in items.iter().enumerate() {
        if merged[index] {
            continue;
        }
        let mut tags: Vec<String> = item.tags.iter().map(ToString::to_string).collect();
        if tags.len() != 1 {
            push_item(sql, item, TagFilter::AllOf(tags));
            continue;
        }
        for (other_index, other) in items.iter().enumerate().skip(index + 1) {
            if other.tags.len() == 1 && differ_only_in_tags(item, other) {
                tags.push(other.tags[0].to_string());
                merged[other_index] = true;
            }
        }
        push_item(sql, item, TagFilter::AnyOf(tags));
    }
    sql.push(")");
}

fn differ_only_in_tags(one: &QueryItem, other: &QueryItem) -> bool {
    one.category == other.category
        && one.stream_prefix == other.stream_prefix
        && one.event_types == other.event_types
}

fn push_item(sql: &mut QueryBuilder<Postgres>, item: &QueryItem, tags: TagFilter) {
    sql.push(" or (true");
    if let Some(category) = &item.category {
        sql.push(" and (select split_part(s.id, '-', 1) from stream s where s.key = e.stream) = ")
            .push_bind(category.clone());
    }
    if let Some(prefix) = &item.stream_prefix {
        sql.push(" and (select starts_with(s.id, ")
            .push_bind(prefix.clone())
            .push(") from stream s where s.key = e.stream)");
    }
    if !item.event_types.is_empty() {
        // Without statistics the planner assumes that few events have the name, and would sort them. For an
        // expression like this it assumes that half of the events match.
        sql.push(" and coalesce(e.name = any (")
            .push_bind(item.event_types.clone())
            .push("), false)");
    }
    match tags {
        TagFilter::AnyOf(tags) => {
            sql.push(" and e.position in (select t.position from tag t where t.tag = any (");
            sql.push_bind(tags).push("))");
        }
        TagFilter::AllOf(tags) => {
            for tag in tags {
                sql.push(" and e.position in (select t.position from tag t where t.tag = ");
                sql.push_bind(tag).push(")");
            }
        }
    }
    sql.push(")");
}
