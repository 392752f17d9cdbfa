//! Documents in a table.

use async_trait::async_trait;
use factum::StoreError;
use factum::document::{ChangeError, Changes, Document, DocumentStore, Effect, Revision, Scan};
use sqlx::postgres::{PgArguments, PgConnection, PgExecutor, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};

use crate::PostgresStore;
use crate::error::{Fault, store_error};

#[async_trait]
impl DocumentStore for PostgresStore {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        changes.check()?;
        let mut columns = Columns::default();
        columns.add(&changes);
        let mut connection = self.pool().acquire().await.map_err(store_error)?;
        // One statement: whoever falls silent between two would keep the locks, and others from taking over.
        let made = columns.bind(sqlx::query("select must_change($1, $2, $3, $4)"));
        match made.fetch_one(&mut *connection).await.map_err(Fault::from) {
            Ok(row) => {
                let revision: i64 = row.try_get(0).map_err(store_error)?;
                Ok(Revision::new(revision as u64))
            }
            Err(fault) => Err(match fault.moved().and_then(|moved| moved.of(&changes)) {
                Some(moved) => moved,
                None => StoreError::from(fault).into(),
            }),
        }
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        find(self.pool(), keys).await
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

/// Those of the documents `keys` that exist.
pub(crate) async fn find(
    db: impl PgExecutor<'_>,
    keys: &[String],
) -> Result<Vec<Document>, StoreError> {
    let sql = "select key, revision, value from document where key = any ($1)";
    documents(sqlx::query(sql).bind(keys).fetch_all(db).await)
}

/// The same, and nobody else changes them until the transaction of `db` ends.
pub(crate) async fn find_to_change(
    db: &mut PgConnection,
    keys: &[String],
) -> Result<Vec<Document>, StoreError> {
    let sql =
        "select key, revision, value from document where key = any ($1) order by key for update";
    documents(sqlx::query(sql).bind(keys).fetch_all(db).await)
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
    let mut columns = Columns::default();
    columns.add(changes);
    let sql = "select moved, actual, new_revision from change($1, $2, $3, $4)";
    let row = columns.bind(sqlx::query(sql)).fetch_one(db).await;
    let row = row.map_err(store_error)?;
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

/// Changes as the arrays that the functions `change` and `must_change` take.
#[derive(Default)]
pub(crate) struct Columns {
    keys: Vec<String>,
    required: Vec<Option<i64>>,
    values: Vec<Option<String>>,
    kept: Vec<bool>,
}

impl Columns {
    pub(crate) fn add(&mut self, changes: &Changes) {
        for change in changes.as_slice() {
            self.keys.push(change.key.clone());
            let required = change.required.map(|revision| revision.get() as i64);
            self.required.push(required);
            self.values.push(match &change.effect {
                Effect::Put(value) => Some(value.clone()),
                Effect::Delete | Effect::Keep => None,
            });
            self.kept.push(change.effect == Effect::Keep);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn bind<'q>(
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
