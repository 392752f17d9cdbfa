//! A [`Query`] as SQL, over `event e`.

use factum::{Query, QueryItem};
use sqlx::{Postgres, QueryBuilder};

/// Writes that `e` matches `query`; nothing for a query that every event matches, else it begins with `and`.
/// Everything foreign is bound.
pub(crate) fn and_matches(sql: &mut QueryBuilder<Postgres>, query: &Query) {
    let items = query.items();
    if items.is_empty() || items.iter().any(|item| *item == QueryItem::default()) {
        return;
    }
    sql.push(" and (false");
    // Alternatives that differ in nothing but their one tag are one: thousands of tags are one array.
    let mut done = vec![false; items.len()];
    for (index, item) in items.iter().enumerate() {
        if done[index] {
            continue;
        }
        let mut tags: Vec<String> = item.tags.iter().map(ToString::to_string).collect();
        let all = tags.len() != 1;
        if !all {
            for (other_index, other) in items.iter().enumerate().skip(index + 1) {
                if other.tags.len() == 1 && same_but_tags(item, other) {
                    tags.push(other.tags[0].to_string());
                    done[other_index] = true;
                }
            }
        }
        alternative(sql, item, (tags, all));
    }
    sql.push(")");
}

fn same_but_tags(one: &QueryItem, other: &QueryItem) -> bool {
    one.category == other.category
        && one.stream_prefix == other.stream_prefix
        && one.names == other.names
}

/// `tags`: the event carries all of them, or one of them.
fn alternative(
    sql: &mut QueryBuilder<Postgres>,
    item: &QueryItem,
    (tags, all): (Vec<String>, bool),
) {
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
    if !item.names.is_empty() {
        // Without statistics the planner takes a name to be rare, and would sort all that there is; of this it
        // expects every second event to match.
        sql.push(" and coalesce(e.name = any (")
            .push_bind(item.names.clone())
            .push("), false)");
    }
    if !all {
        sql.push(" and e.position in (select t.position from tag t where t.tag = any (");
        sql.push_bind(tags).push("))");
    } else {
        for tag in tags {
            sql.push(" and e.position in (select t.position from tag t where t.tag = ");
            sql.push_bind(tag).push(")");
        }
    }
    sql.push(")");
}
