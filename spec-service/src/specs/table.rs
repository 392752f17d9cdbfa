//! The list of specifications as a table.

use async_trait::async_trait;
use factum::prelude::*;
use factum_sql::{
    BoxError, Sql, SqlDatabase, SqlDatabaseExt as _, SqlError, SqlProject, SqlProjection,
};

use super::app::{ListPage, ListQuery, SpecList, SpecSummary};
use super::domain::{SpecEvent, SpecId, SpecState};
use crate::app::{AppError, Cursor};

/// The tables, and the indexes for the order of both selections of a list.
const CREATE: &str = "
    create table if not exists {spec_list} (
        id      text primary key,
        created bigint not null unique,
        state   text not null,
        summary text not null
    );
    create index if not exists {spec_list_by_state} on {spec_list} (state, created);
    create index if not exists {spec_list_undeleted} on {spec_list} (created) where state <> 'deleted';
    create table if not exists {spec_list_total} (
        state text primary key,
        total bigint not null
    );
    create table if not exists {spec_list_description} (
        id          text not null,
        version     bigint not null,
        description text not null,
        primary key (id, version)
    )";

/// A page of the specifications that are not deleted.
///
/// One statement, so that the total and the page are of the same moment. The total comes also if the page is empty.
pub const UNDELETED: &str = "
    select t.total, p.created, p.summary
    from (
        select cast(coalesce(sum(total), 0) as bigint) as total
        from spec_list_total where state <> 'deleted'
    ) t
    left join (
        select created, summary from spec_list
        where state <> 'deleted' and created > $1
        order by created limit $2
    ) p on true";

/// A page of the specifications in one state.
pub const IN_STATE: &str = "
    select t.total, p.created, p.summary
    from (
        select cast(coalesce(sum(total), 0) as bigint) as total
        from spec_list_total where state = $3
    ) t
    left join (
        select created, summary from spec_list
        where state = $3 and created > $1
        order by created limit $2
    ) p on true";

/// The list of specifications as a table.
///
/// The column `created` is the position of the creation. It defines the order of the list and is the value of a
/// cursor. The number of specifications in each state is maintained, because counting them costs more with each one.
#[derive(Projection)]
#[projection(name = "spec_list", version = 1, events = SpecEvent)]
pub struct SpecTable;

impl SqlProjection for SpecTable {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(CREATE).await
    }
}

impl SqlProject<SpecEvent> for SpecTable {
    async fn project(&self, event: &Recorded<SpecEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        let id = event.record.stream.key();
        let load = db.query("select summary from {spec_list} where id = $1");
        let before: Option<String> = load.bind(id).fetch_optional().await?;
        let before: Option<SpecSummary> =
            before.map(|json| serde_json::from_str(&json)).transpose()?;
        let state_before = before.as_ref().map(|summary| summary.state);
        let published = published_description(event, db).await?;
        let spec: SpecId = id.parse()?;
        let next = SpecSummary::after(before, spec, event, |_| published);
        let next =
            next.ok_or_else(|| format!("{id} has no creation before {}", event.record.name))?;
        let save = db.query(
            "insert into {spec_list} (id, created, state, summary) values ($1, $2, $3, $4)
             on conflict (id) do update set state = excluded.state, summary = excluded.summary",
        );
        save.bind(id)
            .bind(event.record.position)
            .bind(next.state.as_str())
            .bind(serde_json::to_string(&next)?)
            .execute()
            .await?;
        if state_before != Some(next.state) {
            change_total(state_before, -1, db).await?;
            change_total(Some(next.state), 1, db).await?;
        }
        save_description(next.latest_version, event, db).await
    }
}

/// Returns the description of the version that `event` publishes, if it publishes one.
async fn published_description(
    event: &Recorded<SpecEvent>,
    db: &mut Sql<'_>,
) -> Result<Option<String>, BoxError> {
    let SpecEvent::Published { version } = &event.event else {
        return Ok(None);
    };
    let load = "select description from {spec_list_description} where id = $1 and version = $2";
    let load = db.query(load).bind(event.record.stream.key());
    Ok(load.bind(i64::try_from(*version)?).fetch_optional().await?)
}

/// Saves the description of the version that `event` adds, if it adds one.
async fn save_description(
    version: u64,
    event: &Recorded<SpecEvent>,
    db: &mut Sql<'_>,
) -> Result<(), BoxError> {
    let (SpecEvent::Created { description, .. } | SpecEvent::Updated { description, .. }) =
        &event.event
    else {
        return Ok(());
    };
    let Some(description) = description else {
        return Ok(());
    };
    let save = "insert into {spec_list_description} (id, version, description) values ($1, $2, $3)";
    let save = db.query(save).bind(event.record.stream.key());
    save.bind(i64::try_from(version)?)
        .bind(description.as_str())
        .execute()
        .await?;
    Ok(())
}

async fn change_total(
    state: Option<SpecState>,
    change: i64,
    db: &mut Sql<'_>,
) -> Result<(), BoxError> {
    let Some(state) = state else { return Ok(()) };
    let save = db.query(
        "insert into {spec_list_total} (state, total) values ($1, $2)
         on conflict (state) do update set total = {spec_list_total}.total + excluded.total",
    );
    save.bind(state.as_str()).bind(change).execute().await?;
    Ok(())
}

/// The list, read from the table.
pub struct SpecTableList<D>(pub D);

#[async_trait]
impl<D: SqlDatabase> SpecList for SpecTableList<D> {
    async fn page(&self, query: ListQuery) -> Result<ListPage, AppError> {
        let after = query.after.map_or(0, |cursor| cursor.0);
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX - 1);
        let select = match query.state {
            None => self.0.query(UNDELETED).bind(after).bind(limit + 1),
            Some(state) => {
                let select = self.0.query(IN_STATE).bind(after).bind(limit + 1);
                select.bind(state.as_str())
            }
        };
        let rows: Vec<(i64, Option<i64>, Option<String>)> =
            select.fetch_all().await.map_err(unavailable)?;
        let total = rows.first().map_or(0, |row| row.0);
        let mut rows: Vec<(i64, String)> = rows
            .into_iter()
            .filter_map(|row| row.1.zip(row.2))
            .collect();
        // A join does not keep the order of its parts.
        rows.sort_unstable_by_key(|row| row.0);
        page(&query, total, &rows)
    }
}

/// Creates a page from `rows`. They have one row more than the limit if there is a next page.
fn page(query: &ListQuery, total: i64, rows: &[(i64, String)]) -> Result<ListPage, AppError> {
    let next = (rows.len() > query.limit).then(|| rows[query.limit - 1].0);
    let specs = rows.iter().take(query.limit);
    let specs = specs
        .map(|(_, summary)| serde_json::from_str(summary))
        .collect::<Result<_, _>>();
    Ok(ListPage {
        specs: specs.map_err(internal)?,
        total: total as u64,
        next: next.map(|created| Cursor(created as u64)),
    })
}

fn internal(error: impl Into<BoxError>) -> AppError {
    AppError::Internal(error.into())
}

fn unavailable(error: SqlError) -> AppError {
    match error {
        SqlError::Store(error) => error.into(),
        driver @ SqlError::Driver(_) => AppError::Unavailable(driver.into()),
        other => AppError::Internal(other.into()),
    }
}
