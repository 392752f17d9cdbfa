//! Documents in a table.

use async_trait::async_trait;
use factum::StoreError;
use factum::document::{ChangeError, Changes, Document, DocumentStore, Effect, Revision, Scan};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use crate::PostgresStore;
use crate::error::{Fault, store_error};

#[async_trait]
impl DocumentStore for PostgresStore {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        changes.check()?;
        let mut transaction = self.pool().begin().await.map_err(store_error)?;
        let revision = change(&mut transaction, &changes).await?;
        let committed = transaction.commit().await;
        committed.map_err(|error| StoreError::from(Fault::from(error)))?;
        Ok(revision)
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        let sql = "select key, revision, value from document where key = any ($1)";
        let rows = sqlx::query(sql).bind(keys).fetch_all(self.pool()).await;
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

fn documents(rows: Result<Vec<PgRow>, sqlx::Error>) -> Result<Vec<Document>, StoreError> {
    let rows = rows.map_err(store_error)?.into_iter();
    let documents = rows.map(|row| {
        Ok(Document {
            key: row.try_get(0)?,
            revision: Revision::new(row.try_get::<i64, _>(1)? as u64),
            value: row.try_get(2)?,
        })
    });
    documents
        .collect::<Result<_, sqlx::Error>>()
        .map_err(|error| Fault::corrupt(format!("a document: {error}")).into())
}

/// Makes `changes` as a part of a transaction, which must be rolled back on an error.
pub(crate) async fn change(
    db: &mut PgConnection,
    changes: &Changes,
) -> Result<Revision, ChangeError> {
    let mut keys = Vec::new();
    let mut required = Vec::new();
    let mut values = Vec::new();
    let mut kept = Vec::new();
    for change in changes.as_slice() {
        keys.push(change.key.as_str());
        required.push(change.required.map(|revision| revision.get() as i64));
        values.push(match &change.effect {
            Effect::Put(value) => Some(value.as_str()),
            Effect::Delete | Effect::Keep => None,
        });
        kept.push(change.effect == Effect::Keep);
    }
    let row = sqlx::query("select moved, actual, new_revision from change($1, $2, $3, $4)")
        .bind(&keys)
        .bind(&required)
        .bind(&values)
        .bind(&kept)
        .fetch_one(db)
        .await
        .map_err(store_error)?;
    let moved: Option<String> = row.try_get(0).map_err(store_error)?;
    if let Some(key) = moved {
        let actual: i64 = row.try_get(1).map_err(store_error)?;
        let change = changes.as_slice().iter().find(|change| change.key == key);
        return Err(ChangeError::Moved {
            required: change
                .and_then(|change| change.required)
                .unwrap_or_default(),
            actual: Revision::new(actual as u64),
            key,
        });
    }
    let revision: i64 = row.try_get(2).map_err(store_error)?;
    Ok(Revision::new(revision as u64))
}
