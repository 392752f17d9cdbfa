//! The search index as tables: FTS5 in SQLite, `tsvector` with GIN in PostgreSQL.

use async_trait::async_trait;
use factum::prelude::*;
use factum_sql::{BoxError, Dialect, Sql, SqlError, SqlProject, SqlProjection, SqlReadModel, View};

use super::app::{MAX_TOTAL, SearchIndex, SearchQuery, SearchRow, SearchRows};
use super::entry::SearchDocument;
use super::fields::Tier;
use super::match_text::{fts5, tsquery};
use crate::access::domain::TenantId;
use crate::app::AppError;
use crate::specs::domain::{SpecEvent, SpecId};

/// The tables in SQLite.
///
/// The index has no copy of the texts: it is searched by words that the service has split.
///
/// `rowid` is the position of the creation, so the newest specifications are found first without sorting.
const CREATE_SQLITE: &str = "
    create table if not exists {spec_search} (
        created    integer primary key,
        id         text not null unique,
        changed_at bigint not null,
        entry      text not null,
        content    text not null
    );
    create virtual table if not exists {spec_search_words} using fts5 (
        name, description, labels, content, comments, filters,
        tokenize = 'ascii', content = '', contentless_delete = 1
    )";

/// The tables in PostgreSQL.
///
/// A search reads many rows of `spec_search_words`, but never their words, because the index alone answers it. So long
/// values are stored outside of the rows. Without `fastupdate`, a search does not read a list of pending changes.
const CREATE_POSTGRES: &str = "
    create table if not exists {spec_search} (
        created    bigint primary key,
        id         text not null unique,
        changed_at bigint not null,
        entry      text not null,
        content    text not null
    );
    create table if not exists {spec_search_words} (
        created    bigint primary key,
        changed_at bigint not null,
        words      tsvector not null
    ) with (toast_tuple_target = 128);
    alter table {spec_search_words} alter column words set storage external;
    create index if not exists {spec_search_by_words} on {spec_search_words} using gin (words) with (fastupdate = off)";

/// The search index as tables.
///
/// The comments, the labels and the owners are other event types: add them to `events`, implement `SqlProject` for each,
/// and extend [`SearchDocument::fields`] and [`SearchDocument::tokens`].
#[derive(Projection)]
#[projection(name = "spec_search", version = 1, events = SpecEvent)]
pub(crate) struct SearchTable;

impl SqlProjection for SearchTable {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        match db.dialect() {
            Dialect::Postgres => db.execute(CREATE_POSTGRES).await,
            _ => db.execute(CREATE_SQLITE).await,
        }
    }
}

impl SqlProject<SpecEvent> for SearchTable {
    async fn project(&self, event: &Recorded<SpecEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        let key = event.record.stream.key();
        let load = db.query("select created, entry, content from {spec_search} where id = $1");
        let before: Option<(i64, String, String)> = load.bind(key).fetch_optional().await?;
        let created = match &before {
            Some((created, ..)) => *created,
            None => i64::try_from(event.record.position.get())?,
        };
        let before = before.map(|(_, entry, content)| document(&entry, content));
        let spec: SpecId = key.parse()?;
        let next = SearchDocument::after(before.transpose()?, spec, event);
        let next =
            next.ok_or_else(|| format!("{key} has no creation before {}", event.record.name))?;
        save(created, &next, db).await?;
        index(created, &next, db).await
    }
}

fn document(entry: &str, content: String) -> Result<SearchDocument, serde_json::Error> {
    let entry = serde_json::from_str(entry)?;
    Ok(SearchDocument { entry, content })
}

async fn save(created: i64, document: &SearchDocument, db: &mut Sql<'_>) -> Result<(), BoxError> {
    let save = db.query(
        "insert into {spec_search} (created, id, changed_at, entry, content) values ($1, $2, $3, $4, $5)
         on conflict (created) do update
         set changed_at = excluded.changed_at, entry = excluded.entry, content = excluded.content",
    );
    save.bind(created)
        .bind(document.entry.id.to_string())
        .bind(document.entry.updated_at)
        .bind(serde_json::to_string(&document.entry)?)
        .bind(document.content.as_str())
        .execute()
        .await?;
    Ok(())
}

/// Replaces the words of a specification in the index.
async fn index(created: i64, document: &SearchDocument, db: &mut Sql<'_>) -> Result<(), BoxError> {
    let (fields, tokens) = (document.fields(), document.tokens());
    if db.dialect() == Dialect::Postgres {
        let save = db.query(
            "insert into {spec_search_words} (created, changed_at, words) values ($1, $2, ($3::text)::tsvector)
             on conflict (created) do update set changed_at = excluded.changed_at, words = excluded.words",
        );
        let save = save.bind(created).bind(document.entry.updated_at);
        save.bind(fields.tsvector(&tokens)).execute().await?;
        return Ok(());
    }
    let delete = db.query("delete from {spec_search_words} where rowid = $1");
    delete.bind(created).execute().await?;
    let mut insert = db.query(
        "insert into {spec_search_words} (rowid, name, description, labels, content, comments, filters)
         values ($1, $2, $3, $4, $5, $6, $7)",
    );
    insert = insert.bind(created);
    for column in fields.columns() {
        insert = insert.bind(column);
    }
    insert.bind(tokens.join(" ")).execute().await?;
    Ok(())
}

/// Counts the hits in SQLite up to a limit.
const COUNT_SQLITE: &str = "
    select count(*) from (
        select 1 from {spec_search_words} cross join {spec_search} d on d.created = {spec_search_words}.rowid
        where {spec_search_words} match $1 and d.changed_at >= $2
        limit $3
    )";

/// Selects the newest hits in SQLite.
///
/// The index returns its rows in this order. `cross join` keeps SQLite from another order of the tables.
pub(crate) const SELECT_SQLITE: &str = "
    select d.created, d.entry, d.content
    from {spec_search_words} cross join {spec_search} d on d.created = {spec_search_words}.rowid
    where {spec_search_words} match $1 and d.changed_at >= $2 and {spec_search_words}.rowid < $3
    order by {spec_search_words}.rowid desc limit $4";

/// Makes PostgreSQL use the index.
///
/// It knows too little about the words to plan well. A search by a rare word could read every row, and the time would
/// depend on statistics.
const PLAN_POSTGRES: &str =
    "select set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)";

/// Counts the hits in PostgreSQL up to a limit.
const COUNT_POSTGRES: &str = "
    select count(*) from (
        select 1 from {spec_search_words}
        where words @@ ($1::text)::tsquery and changed_at >= $2
        limit $3
    ) hit";

/// Selects the newest hits in PostgreSQL.
///
/// The sum in `order by` keeps the planner from reading all rows in their order.
const SELECT_POSTGRES: &str = "
    select d.created, d.entry, d.content
    from (
        select created from {spec_search_words}
        where words @@ ($1::text)::tsquery and changed_at >= $2 and created < $3
        order by created + 0 desc limit $4
    ) hit
    join {spec_search} d on d.created = hit.created
    order by d.created desc";

/// The search index, read from the tables.
pub(crate) struct SearchTableIndex(pub SqlReadModel);

#[async_trait]
impl SearchIndex for SearchTableIndex {
    async fn rows(&self, tenant: &TenantId, query: &SearchQuery) -> Result<SearchRows, AppError> {
        let view = self.0.view().await?;
        let mut view =
            view.ok_or_else(|| AppError::Unavailable("the search index is not built yet".into()))?;
        if view.dialect() == Dialect::Postgres {
            let plan = view.query(PLAN_POSTGRES).fetch_one::<(String, String)>();
            plan.await.map_err(unavailable)?;
        }
        let tokens = query.filters.tokens(tenant);
        let total = count(query, &tokens, &mut view).await?;
        let mut rows = Vec::new();
        let (first, mut before) = match query.after {
            Some(cursor) => (cursor.tier()?, cursor.created()),
            None => (Tier::Name, i64::MAX),
        };
        for tier in Tier::ALL.into_iter().filter(|tier| *tier >= first) {
            // Without a text there is nothing to rank by.
            if query.text.is_empty() && tier != Tier::Text {
                continue;
            }
            if rows.len() > query.limit {
                break;
            }
            let missing = query.limit + 1 - rows.len();
            rows.extend(select(query, &tokens, tier, before, missing, &mut view).await?);
            before = i64::MAX;
        }
        Ok(SearchRows { total, rows })
    }
}

/// Returns the number of hits, at most one more than [`MAX_TOTAL`].
async fn count(query: &SearchQuery, tokens: &[String], view: &mut View) -> Result<u64, AppError> {
    let count = match view.dialect() {
        Dialect::Postgres => {
            let words = tsquery(&query.text, tokens, None);
            view.query(COUNT_POSTGRES).bind(words)
        }
        _ => {
            let words = fts5(&query.text, tokens, None);
            view.query(COUNT_SQLITE).bind(words)
        }
    };
    let count = count.bind(changed_since(query)).bind(MAX_TOTAL as i64 + 1);
    let count: i64 = count.fetch_one().await.map_err(unavailable)?;
    Ok(count as u64)
}

async fn select(
    query: &SearchQuery,
    tokens: &[String],
    tier: Tier,
    before: i64,
    limit: usize,
    view: &mut View,
) -> Result<Vec<SearchRow>, AppError> {
    let select = match view.dialect() {
        Dialect::Postgres => {
            let words = tsquery(&query.text, tokens, Some(tier));
            view.query(SELECT_POSTGRES).bind(words)
        }
        _ => {
            let words = fts5(&query.text, tokens, Some(tier));
            view.query(SELECT_SQLITE).bind(words)
        }
    };
    let select = select
        .bind(changed_since(query))
        .bind(before)
        .bind(limit as i64);
    let found: Vec<(i64, String, String)> = select.fetch_all().await.map_err(unavailable)?;
    let rows = found.into_iter().map(|(created, entry, content)| {
        let document = document(&entry, content)?;
        Ok(SearchRow {
            tier,
            created: created as u64,
            document,
        })
    });
    let rows: Result<_, serde_json::Error> = rows.collect();
    rows.map_err(|error| AppError::Internal(error.into()))
}

fn changed_since(query: &SearchQuery) -> i64 {
    let since = query.filters.changed_since;
    since.map_or(i64::MIN, factum::Timestamp::as_micros)
}

fn unavailable(error: SqlError) -> AppError {
    match error {
        SqlError::Store(error) => error.into(),
        driver @ SqlError::Driver(_) => AppError::Unavailable(driver.into()),
        other => AppError::Internal(other.into()),
    }
}
