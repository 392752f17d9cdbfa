//! Creates, promotes and drops the tables of a build.

use factum_core::document::{Document, DocumentChanges, Scan};
use factum_core::error::StoreError;
use factum_runtime::consumer::{BatchError, control_key, is_build_wanted};

use crate::connection::{Dialect, SqlTransaction};
use crate::error::SqlError;
use crate::projection_set::BoxedProjection;
use crate::sql::Sql;
use crate::table_names::{
    TABLES, TableNames, decode_names, quote, store_names, table_name, tables_key, views_key,
};
use crate::user_code;

/// The lock that orders the creation of tables of all projections; no projection has this name.
const ALL_PROJECTIONS: &str = "/";

/// Creates the tables of `build` that are missing, and stores their names.
pub async fn create(
    projection: &dyn BoxedProjection,
    build: u64,
    db: &mut dyn SqlTransaction,
) -> Result<(), BatchError> {
    let name = projection.name();
    db.lock_tables(name).await?;
    db.lock_tables(ALL_PROJECTIONS).await?;
    let control = find(db, control_key(name)).await?;
    if !is_build_wanted(control.as_deref(), build)? {
        return Err(BatchError::LeaseLost);
    }
    let names = table_names(name, build, db).await?;
    let mut sql = Sql::new(&mut *db, build);
    let clock = sql.clock();
    let created = user_code::run(name, &clock, projection.create(&mut sql));
    let created = match created.await {
        Ok(created) => created.map_err(|error| {
            let error = sql.store_error(error.into());
            error.unwrap_or_else(StoreError::Failed)
        }),
        Err(interrupted) => Err(StoreError::Failed(interrupted.into())),
    };
    let used = sql.into_table_names();
    names.check_created(created, &used)?;
    let relations = db.relations().await?.into_iter();
    let relations = relations.filter(|relation| relation.is_table);
    let existing: Vec<String> = relations.map(|table| table.name).collect();
    // Other names in braces are indexes, or are in statements that create nothing.
    let is_table = |name: &&String| existing.contains(&table_name(name, build));
    let tables: Vec<String> = used.iter().filter(is_table).cloned().collect();
    names.check(&tables)?;
    names.check_builds(existing, &used)?;
    let changes = store_names(tables_key(name, build), &tables)?;
    db.change_documents(&changes).await?;
    Ok(())
}

/// Makes the plain names views of the tables of `build`.
pub async fn promote(
    projection: &str,
    build: u64,
    db: &mut dyn SqlTransaction,
) -> Result<(), BatchError> {
    let tables = find_names(db, tables_key(projection, build)).await?;
    table_names(projection, build, db).await?.check(&tables)?;
    for view in find_names(db, views_key(projection)).await? {
        if !tables.contains(&view) {
            execute(db, &format!("drop view if exists {}", quote(&view))).await?;
        }
    }
    for view in &tables {
        replace_view(view, &table_name(view, build), db).await?;
    }
    let changes = store_names(views_key(projection), &tables)?;
    db.change_documents(&changes).await?;
    Ok(())
}

async fn replace_view(
    view: &str,
    table: &str,
    db: &mut dyn SqlTransaction,
) -> Result<(), StoreError> {
    // The plain name may be a keyword.
    let (view, table) = (quote(view), quote(table));
    if db.dialect() == Dialect::Postgres {
        // If the columns are the same, this keeps grants, and views that depend on this one.
        execute(db, "savepoint replace_view").await?;
        let replace = format!("create or replace view {view} as select * from {table}");
        if execute(db, &replace).await.is_ok() {
            return execute(db, "release savepoint replace_view").await;
        }
        db.roll_back_to("replace_view").await?;
    }
    let recreate =
        format!("drop view if exists {view}; create view {view} as select * from {table}");
    execute(db, &recreate).await
}

/// Drops the tables of `build`.
pub async fn drop(
    projection: &str,
    build: u64,
    db: &mut dyn SqlTransaction,
) -> Result<(), BatchError> {
    db.lock_tables(projection).await?;
    let key = tables_key(projection, build);
    for name in find_names(db, key.clone()).await? {
        let table = table_name(&name, build);
        execute(db, &format!("drop table if exists {}", quote(&table))).await?;
    }
    db.change_documents(&DocumentChanges::new().delete(key))
        .await?;
    Ok(())
}

/// Returns the names that `build` of `projection` may use.
async fn table_names<'p>(
    projection: &'p str,
    build: u64,
    db: &mut dyn SqlTransaction,
) -> Result<TableNames<'p>, StoreError> {
    let mut documents = db.find_documents(&[views_key(projection)]).await?;
    let mut scan = Scan::prefix(TABLES);
    loop {
        let found = db.scan_documents(&scan).await?;
        let Some(last) = found.last() else { break };
        scan = scan.after(last.key.clone());
        documents.extend(found);
    }
    let documents = documents.into_iter().map(|it| (it.key, it.value));
    let relations = db.relations().await?;
    let existing = relations.into_iter().map(|relation| relation.name);
    TableNames::new(projection, build, documents, existing)
}

async fn find(db: &mut dyn SqlTransaction, key: String) -> Result<Option<String>, StoreError> {
    let mut found: Vec<Document> = db.find_documents(&[key]).await?;
    Ok(found.pop().map(|document| document.value))
}

async fn find_names(db: &mut dyn SqlTransaction, key: String) -> Result<Vec<String>, StoreError> {
    let value = find(db, key.clone()).await?;
    decode_names(&key, value.as_deref())
}

/// Executes a statement of this crate.
pub async fn execute(db: &mut dyn SqlTransaction, sql: &str) -> Result<(), StoreError> {
    let executed: Result<(), SqlError> = db.execute_script(sql).await;
    executed.map_err(|error| {
        let error = db.store_error(error.into());
        error.unwrap_or_else(StoreError::Failed)
    })
}
