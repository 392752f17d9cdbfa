//! Documents in the table `document`.

use factum_core::document::{
    Document, DocumentChanges, DocumentEffect, DocumentError, MAX_SCAN_BYTES, Revision, Scan,
};
use factum_core::error::StoreError;
use sqlx::postgres::{PgArguments, PgConnection, PgExecutor, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};

use crate::error::{BackendError, store_error};

/// Returns the documents `keys`, as far as they exist.
pub async fn find(db: impl PgExecutor<'_>, keys: &[String]) -> Result<Vec<Document>, StoreError> {
    let sql = "select key, revision, value from document where key = any ($1)";
    decode(sqlx::query(sql).bind(keys).fetch_all(db).await)
}

/// Returns and locks the documents `keys`, as far as they exist, until the end of the transaction.
pub async fn find_for_update(
    db: &mut PgConnection,
    keys: &[String],
) -> Result<Vec<Document>, StoreError> {
    let sql =
        "select key, revision, value from document where key = any ($1) order by key for update";
    decode(sqlx::query(sql).bind(keys).fetch_all(db).await)
}

/// Returns a page of the documents that `scan` selects, in the order of their keys.
pub async fn scan(db: impl PgExecutor<'_>, scan: &Scan) -> Result<Vec<Document>, StoreError> {
    let rows = sqlx::query(include_str!("sql/scan_documents.sql"))
        .bind(&scan.prefix)
        .bind(scan.end())
        .bind(&scan.after)
        .bind(scan.limit as i64)
        .bind(MAX_SCAN_BYTES as i64)
        .fetch_all(db)
        .await;
    decode(rows)
}

fn decode(rows: Result<Vec<PgRow>, sqlx::Error>) -> Result<Vec<Document>, StoreError> {
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
        .map_err(|error| BackendError::corrupt(format!("document: {error}")).into())
}

/// Makes `changes` in a separate transaction, which is one statement.
///
/// With several statements, a client that hangs between two of them would keep its locks.
pub async fn change_and_commit(
    db: &mut PgConnection,
    changes: &DocumentChanges,
) -> Result<Revision, DocumentError> {
    let mut columns = ChangeColumns::default();
    columns.add(changes);
    let changed = columns.bind(sqlx::query("select must_change($1, $2, $3, $4)"));
    match changed.fetch_one(db).await.map_err(BackendError::from) {
        Ok(row) => {
            let revision: i64 = row.try_get(0).map_err(store_error)?;
            Ok(Revision::new(revision as u64))
        }
        Err(error) => {
            let moved = error.moved_documents();
            Err(match moved.and_then(|moved| moved.first_of(changes)) {
                Some(moved) => moved,
                None => StoreError::from(error).into(),
            })
        }
    }
}

/// Makes `changes` inside of a transaction, which must be rolled back on an error.
pub async fn change(
    db: &mut PgConnection,
    changes: &DocumentChanges,
) -> Result<Revision, DocumentError> {
    let mut columns = ChangeColumns::default();
    columns.add(changes);
    let sql = "select moved, actual, new_revision from change($1, $2, $3, $4)";
    let row = columns.bind(sqlx::query(sql)).fetch_one(db).await;
    let row = row.map_err(store_error)?;
    let moved: Option<String> = row.try_get(0).map_err(store_error)?;
    if let Some(key) = moved {
        let actual: i64 = row.try_get(1).map_err(store_error)?;
        let change = changes.as_slice().iter().find(|change| change.key == key);
        return Err(DocumentError::RevisionConflict {
            expected: change
                .and_then(|change| change.expected)
                .unwrap_or_default(),
            actual: Revision::new(actual as u64),
            key,
        });
    }
    let revision: i64 = row.try_get(2).map_err(store_error)?;
    Ok(Revision::new(revision as u64))
}

/// The array arguments of the database functions `change` and `must_change`.
#[derive(Default)]
pub struct ChangeColumns {
    keys: Vec<String>,
    required: Vec<Option<i64>>,
    values: Vec<Option<String>>,
    kept: Vec<bool>,
}

impl ChangeColumns {
    pub fn add(&mut self, changes: &DocumentChanges) {
        for change in changes.as_slice() {
            self.keys.push(change.key.clone());
            let required = change.expected.map(|revision| revision.get() as i64);
            self.required.push(required);
            self.values.push(match &change.effect {
                DocumentEffect::Put(value) => Some(value.clone()),
                DocumentEffect::Delete | DocumentEffect::Keep => None,
            });
            self.kept.push(change.effect == DocumentEffect::Keep);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn bind<'q>(
        self,
        statement: Query<'q, Postgres, PgArguments>,
    ) -> Query<'q, Postgres, PgArguments> {
        statement
            .bind(self.keys)
            .bind(self.required)
            .bind(self.values)
            .bind(self.kept)
    }
}
