//! The list of specifications as a table.

use async_trait::async_trait;
use factum::prelude::*;
use factum_sql::{
    BoxError, Sql, SqlDatabase, SqlDatabaseExt as _, SqlError, SqlProject, SqlProjection,
};

use super::app::{ListPage, ListQuery, SpecList, SpecSummary};
use super::domain::{SpecEvent, SpecId, SpecState};
use crate::access::domain::{NamespaceId, TenantId};
use crate::app::{AppError, Cursor};

/// The tables, and the indexes for the order of each selection of a list.
const CREATE: &str = "
    create table if not exists {spec_list} (
        id        text primary key,
        created   bigint not null unique,
        tenant    text not null,
        namespace text not null,
        state     text not null,
        summary   text not null
    );
    create index if not exists {spec_list_by_state} on {spec_list} (tenant, state, created);
    create index if not exists {spec_list_by_namespace} on {spec_list} (tenant, namespace, state, created);
    create index if not exists {spec_list_undeleted} on {spec_list} (tenant, created) where state <> 'deleted';
    create index if not exists {spec_list_undeleted_by_namespace}
        on {spec_list} (tenant, namespace, created) where state <> 'deleted';
    create table if not exists {spec_list_total} (
        tenant    text not null,
        namespace text not null,
        state     text not null,
        total     bigint not null,
        primary key (tenant, namespace, state)
    );
    create table if not exists {spec_list_description} (
        id          text not null,
        version     bigint not null,
        description text not null,
        primary key (id, version)
    )";

/// Defines the query of a page with a condition.
///
/// One statement, so that the total and the page are of the same moment. The total comes also if the page is empty.
macro_rules! page_where {
    ($condition:literal) => {
        concat!(
            "select t.total, p.created, p.summary
            from (
                select cast(coalesce(sum(total), 0) as bigint) as total
                from spec_list_total where tenant = $3 and ",
            $condition,
            ") t
            left join (
                select created, summary from spec_list
                where tenant = $3 and created > $1 and ",
            $condition,
            "
                order by created limit $2
            ) p on true"
        )
    };
}

/// A page of the specifications of a tenant that are not deleted.
pub const UNDELETED: &str = page_where!("state <> 'deleted'");

/// A page of the specifications of a tenant in one state.
pub const IN_STATE: &str = page_where!("state = $4");

/// A page of the specifications of a namespace that are not deleted.
pub const UNDELETED_IN_NAMESPACE: &str = page_where!("state <> 'deleted' and namespace = $4");

/// A page of the specifications of a namespace in one state.
pub const IN_STATE_AND_NAMESPACE: &str = page_where!("state = $4 and namespace = $5");

/// The list of specifications as a table.
///
/// The column `created` is the position of the creation. It defines the order of the list and is the value of a
/// cursor. The number of specifications in each state is maintained, because counting them costs more with each one.
#[derive(Projection)]
#[projection(name = "spec_list", version = 2, events = SpecEvent)]
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
            "insert into {spec_list} (id, created, tenant, namespace, state, summary)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (id) do update set state = excluded.state, summary = excluded.summary",
        );
        save.bind(id)
            .bind(event.record.position)
            .bind(next.tenant.as_str())
            .bind(next.namespace.as_str())
            .bind(next.state.as_str())
            .bind(serde_json::to_string(&next)?)
            .execute()
            .await?;
        if state_before != Some(next.state) {
            change_total(&next, state_before, -1, db).await?;
            change_total(&next, Some(next.state), 1, db).await?;
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

/// Changes the number of specifications in `state`, in the namespace of `spec`.
async fn change_total(
    spec: &SpecSummary,
    state: Option<SpecState>,
    change: i64,
    db: &mut Sql<'_>,
) -> Result<(), BoxError> {
    let Some(state) = state else { return Ok(()) };
    let save = db.query(
        "insert into {spec_list_total} (tenant, namespace, state, total) values ($1, $2, $3, $4)
         on conflict (tenant, namespace, state) do update set total = {spec_list_total}.total + excluded.total",
    );
    save.bind(spec.tenant.as_str())
        .bind(spec.namespace.as_str())
        .bind(state.as_str())
        .bind(change)
        .execute()
        .await?;
    Ok(())
}

/// The list, read from the table.
pub struct SpecTableList<D>(pub D);

#[async_trait]
impl<D: SqlDatabase> SpecList for SpecTableList<D> {
    async fn page(&self, tenant: &TenantId, query: ListQuery) -> Result<ListPage, AppError> {
        let after = query.after.map_or(0, |cursor| cursor.0);
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX - 1);
        let namespace = query.namespace.as_ref().map(NamespaceId::as_str);
        let sql = match (query.state, namespace) {
            (None, None) => UNDELETED,
            (None, Some(_)) => UNDELETED_IN_NAMESPACE,
            (Some(_), None) => IN_STATE,
            (Some(_), Some(_)) => IN_STATE_AND_NAMESPACE,
        };
        let mut select = self.0.query(sql).bind(after).bind(limit + 1);
        select = select.bind(tenant.as_str());
        for condition in query
            .state
            .map(SpecState::as_str)
            .into_iter()
            .chain(namespace)
        {
            select = select.bind(condition);
        }
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
