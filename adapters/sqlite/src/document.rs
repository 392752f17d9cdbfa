//! Documents in a table.

use async_trait::async_trait;
use factum::StoreError;
use factum::document::{
    Change, ChangeError, Changes, Document, DocumentStore, Effect, Revision, Scan,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use std::collections::HashMap;

use crate::SqliteStore;
use crate::error::{Fault, store_error};
use crate::writing::Writing;

#[async_trait]
impl DocumentStore for SqliteStore {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        changes.check()?;
        let turn = self.turn().clone();
        // In a task of its own: a future that is dropped on the way would leave the transaction open, and with it the
        // file locked for everybody else.
        let work = tokio::spawn(async move {
            let mut turn = turn.take().await;
            let writing = turn.as_mut().ok_or(StoreError::Closed)?;
            let changed = try_change(writing, &changes).await;
            if changed.is_err() {
                writing.roll_back().await;
            }
            changed
        });
        work.await
            .unwrap_or_else(|error| Err(StoreError::Interrupted(error.into()).into()))
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        let keys = serde_json::to_string(keys).map_err(Fault::corrupt)?;
        let rows = sqlx::query(include_str!("sql/find_documents.sql"))
            .bind(keys)
            .fetch_all(self.pool())
            .await;
        documents(rows)
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        let rows = sqlx::query(include_str!("sql/scan_documents.sql"))
            .bind(&scan.prefix)
            .bind(scan.end())
            .bind(&scan.after)
            .bind(scan.limit as i64)
            .fetch_all(self.pool())
            .await;
        documents(rows)
    }
}

fn documents(rows: Result<Vec<SqliteRow>, sqlx::Error>) -> Result<Vec<Document>, StoreError> {
    let rows = rows.map_err(store_error)?.into_iter();
    let documents = rows.map(|row| {
        let key: String = row.try_get(0)?;
        let revision = revision(row.try_get(1)?)
            .map_err(|error| sqlx::Error::Decode(format!("{key:?}: {error}").into()))?;
        let value = row.try_get(2)?;
        Ok(Document {
            key,
            revision,
            value,
        })
    });
    documents
        .collect::<Result<_, sqlx::Error>>()
        .map_err(|error| Fault::corrupt(format!("a document: {error}")).into())
}

fn revision(stored: i64) -> Result<Revision, StoreError> {
    let revision = u64::try_from(stored).map(Revision::new);
    revision.map_err(|_| StoreError::Corrupt(format!("{stored} is no revision")))
}

async fn try_change(writing: &mut Writing, changes: &Changes) -> Result<Revision, ChangeError> {
    let pair = writing.begin_awaited().await.map_err(StoreError::from)?;
    let revision = change(pair.sqlx().map_err(StoreError::from)?, changes).await?;
    pair.commit().await.map_err(StoreError::from)?;
    Ok(revision)
}

/// Makes `changes` as a part of a transaction that holds the write lock; on an error it must be rolled back.
pub(crate) async fn change(
    db: &mut SqliteConnection,
    changes: &Changes,
) -> Result<Revision, ChangeError> {
    require(db, changes).await?;
    let last: i64 = sqlx::query("update factum_revision set last = last + 1 returning last")
        .fetch_one(&mut *db)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(store_error)?;
    let effects = |change: &Change| match &change.effect {
        Effect::Put(value) => Some((change.key.clone(), Some(value.clone()))),
        Effect::Delete => Some((change.key.clone(), None)),
        Effect::Keep => None,
    };
    let effects: Vec<_> = changes.as_slice().iter().filter_map(effects).collect();
    let (puts, deletes): (Vec<_>, Vec<_>) = effects.iter().partition(|(_, put)| put.is_some());
    if !puts.is_empty() {
        let puts = serde_json::to_string(&puts).map_err(|error| failed(error.into()))?;
        sqlx::query(include_str!("sql/put_documents.sql"))
            .bind(puts)
            .bind(last)
            .execute(&mut *db)
            .await
            .map_err(store_error)?;
    }
    if !deletes.is_empty() {
        let keys: Vec<&String> = deletes.iter().map(|(key, _)| key).collect();
        let keys = serde_json::to_string(&keys).map_err(|error| failed(error.into()))?;
        let sql = "delete from factum_document where key in (select value from json_each(?))";
        sqlx::query(sql)
            .bind(keys)
            .execute(db)
            .await
            .map_err(store_error)?;
    }
    Ok(revision(last)?)
}

/// Whether every document is at the revision that is required.
async fn require(db: &mut SqliteConnection, changes: &Changes) -> Result<(), ChangeError> {
    let required = changes.as_slice().iter();
    let keys: Vec<&str> = required
        .filter(|change| change.required.is_some())
        .map(|change| change.key.as_str())
        .collect();
    if keys.is_empty() {
        return Ok(());
    }
    let keys = serde_json::to_string(&keys).map_err(|error| failed(error.into()))?;
    let rows = sqlx::query(include_str!("sql/find_documents.sql"))
        .bind(keys)
        .fetch_all(db)
        .await;
    let found: HashMap<String, Revision> = documents(rows)?
        .into_iter()
        .map(|document| (document.key, document.revision))
        .collect();
    let moved = changes.moved(|key| found.get(key).copied().unwrap_or_default());
    moved.map_or(Ok(()), Err)
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Failed(error)
}
