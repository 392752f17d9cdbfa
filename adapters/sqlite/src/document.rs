//! Documents in a table.

use std::collections::HashMap;

use async_trait::async_trait;
use factum::StoreError;
use factum::document::{
    ChangeError, Changes, Document, DocumentStore, Effect, MAX_SCAN, Revision, Scan,
};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::SqliteStore;
use crate::error::Fault;
use crate::job::{Job, Waiting};
use crate::readers::Length;

#[async_trait]
impl DocumentStore for SqliteStore {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        changes.check()?;
        let (waiting, answered) = Waiting::new();
        self.ask(Job::Change(changes, waiting)).await?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        let keys = keys.to_vec();
        let find = move |db: &_| find(db, keys.iter().map(String::as_str));
        Ok(self.readers().run(Length::Short, find).await?)
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        let scan = move |db: &_| self::scan(db, &scan);
        Ok(self.readers().run(Length::Short, scan).await?)
    }
}

/// Those of the documents `keys` that exist.
pub(crate) fn find<'k>(
    db: &Connection,
    keys: impl IntoIterator<Item = &'k str>,
) -> Result<Vec<Document>, Fault> {
    let sql = "select key, revision, value from factum_document where key = ?";
    let mut statement = db.prepare_cached(sql)?;
    let mut found = Vec::new();
    for key in keys {
        let document = statement.query_row([key], |row| Ok(document(row)));
        found.extend(document.optional()?.transpose()?);
    }
    Ok(found)
}

fn scan(db: &Connection, scan: &Scan) -> Result<Vec<Document>, Fault> {
    let mut statement = db.prepare_cached(include_str!("sql/scan_documents.sql"))?;
    let limit = scan.limit.min(MAX_SCAN) as i64;
    let bounds = (&scan.prefix, scan.end(), &scan.after, limit);
    let rows = statement.query_map(bounds, |row| Ok(document(row)))?;
    rows.map(|document| document?).collect()
}

fn document(row: &Row<'_>) -> Result<Document, Fault> {
    let key: String = row.get(0)?;
    let columns = || -> Result<_, Fault> {
        let revision: i64 = row.get(1)?;
        let revision = u64::try_from(revision).map(Revision::new);
        Ok((revision.map_err(Fault::corrupt)?, row.get(2)?))
    };
    let corrupt = |fault| match fault {
        Fault::Corrupt(what) => Fault::corrupt(format!("the document {key:?}: {what}")),
        other => other,
    };
    let (revision, value) = columns().map_err(corrupt)?;
    Ok(Document {
        key,
        revision,
        value,
    })
}

/// Makes `changes` as a part of a transaction that holds the write lock, if every document is at the revision that is
/// required. If that is rejected, nothing has changed.
pub(crate) fn change(
    db: &Connection,
    changes: &Changes,
) -> Result<Result<Revision, ChangeError>, Fault> {
    if let Some(moved) = moved(db, changes)? {
        return Ok(Err(moved));
    }
    let sql = "update factum_revision set last = last + 1 returning last";
    let revision: i64 = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    for change in changes.as_slice() {
        match &change.effect {
            Effect::Put(value) => {
                let mut put = db.prepare_cached(include_str!("sql/put_document.sql"))?;
                put.execute((&change.key, revision, value))?;
            }
            Effect::Delete => {
                let sql = "delete from factum_document where key = ?";
                db.prepare_cached(sql)?.execute([&change.key])?;
            }
            Effect::Keep => {}
        }
    }
    let revision = u64::try_from(revision).map_err(Fault::corrupt)?;
    Ok(Ok(Revision::new(revision)))
}

/// The first document that is not at the revision that is required.
fn moved(db: &Connection, changes: &Changes) -> Result<Option<ChangeError>, Fault> {
    let required = changes.as_slice().iter();
    let required = required.filter(|change| change.required.is_some());
    let sql = "select revision from factum_document where key = ?";
    let mut statement = db.prepare_cached(sql)?;
    let mut found = HashMap::new();
    for change in required {
        let revision: Option<i64> = statement
            .query_row([&change.key], |row| row.get(0))
            .optional()?;
        let revision = u64::try_from(revision.unwrap_or(0)).map_err(Fault::corrupt)?;
        found.insert(&*change.key, Revision::new(revision));
    }
    Ok(changes.moved(|key| found.get(key).copied().unwrap_or_default()))
}
